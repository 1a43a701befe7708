"""LCA as a solver: the very network of `lca.encode`."""

import numpy as np
import pytest

from striate.golden.dictionary import Dictionary
from striate.golden.lca import LcaParams, Outcome, encode
from striate.golden.solvers import Problem, solve
from striate.golden.solvers.base import BORDERS
from striate.golden.solvers.spectrum import lipschitz


@pytest.mark.parametrize("penalty, transfer", [("l1", "soft"), ("l0", "hard")])
@pytest.mark.parametrize("border", BORDERS)
def test_it_is_encode_without_a_cutoff(border, penalty, transfer, atoms_of):
    dictionary = Dictionary(atoms_of(0, 5, 1, 6, 6), 2)
    image = np.random.default_rng(1).standard_normal((1, 10, 12))
    for two_sided in (True, False):
        found = solve(Problem(image, dictionary, 0.3, two_sided, border, penalty), "lca", iterations=40, tolerance=0,
                      eta=0.1)
        params = LcaParams(0.3, 0.1, found.iterations, transfer, two_sided, True, 0.0, border)
        for engine in ("fast", "reference"):
            run = encode(image, dictionary, params, engine=engine)
            np.testing.assert_allclose(found.code, run.code, atol=1e-10)
            np.testing.assert_allclose(found.residual, run.residual, atol=1e-10)


def test_a_warm_start_continues(atoms_of):
    """From the code of a settled run nothing moves."""
    problem = Problem(np.random.default_rng(1).standard_normal((1, 10, 12)), Dictionary(atoms_of(0, 5, 1, 6, 6), 2),
                      0.4)
    settled = solve(problem, "lca", iterations=20_000, tolerance=1e-9)
    again = solve(problem, "lca", iterations=1, tolerance=0, start=settled.code, trace=True)
    np.testing.assert_allclose(again.trace.objective, settled.objective, rtol=1e-8)
    assert settled.outcome is Outcome.CONVERGED


def test_too_large_a_step_diverges_as_an_outcome(atoms_of):
    """Many kernels at stride 1 overlap so much that eta = 1 explodes; the code handed back is finite."""
    dictionary = Dictionary(np.abs(atoms_of(0, 6, 1, 5, 5)), 1)
    problem = Problem(np.random.default_rng(1).standard_normal((1, 10, 10)), dictionary, 0.01)
    assert lipschitz(dictionary, problem.conv.geometry, "cropped") > 20
    found = solve(problem, "lca", iterations=500, eta=1.0)
    assert found.outcome is Outcome.DIVERGED and np.isfinite(found.code).all() and np.isfinite(found.objective)
    assert solve(problem, "lca", iterations=5).outcome is Outcome.MAX_STEPS
