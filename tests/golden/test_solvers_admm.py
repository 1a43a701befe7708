"""ADMM: its options move the way, not the end; its parts against dense algebra."""

import numpy as np
import pytest

from striate.golden.dictionary import Dictionary
from striate.golden.lca import Outcome
from striate.golden.solvers import Problem, admm, solve
from striate.golden.solvers.base import BORDERS


def problem_of(atoms_of, border, two_sided=True):
    return Problem(np.random.default_rng(1).standard_normal((2, 9, 12)), Dictionary(atoms_of(0, 4, 2, 7, 7), 3), 0.4,
                   two_sided, border)


@pytest.mark.parametrize("options", [{"rho": 0.5}, {"rho": 50.0}, {"relaxation": 1.0}, {"adapt": 0}, {"rho_v": 1.0}])
@pytest.mark.parametrize("border", ["circular", "cropped"])
def test_options_change_the_way_only(border, options, atoms_of):
    problem = problem_of(atoms_of, border)
    best = solve(problem, "fista", iterations=5000, tolerance=1e-8).objective
    found = solve(problem, "admm", iterations=8000, tolerance=1e-5, **options)
    assert found.outcome is Outcome.CONVERGED
    assert found.objective == pytest.approx(best, rel=2e-5)


@pytest.mark.parametrize("border", BORDERS)
def test_the_answer_is_sparse_and_allowed_from_the_first_iteration(border, atoms_of):
    problem = problem_of(atoms_of, border, two_sided=False)
    states = admm.admm(problem, np.zeros(problem.code_shape))
    next(states)
    for _ in range(5):
        code = next(states).code
        assert code.shape == problem.code_shape and (code >= 0).all() and not code.all()


@pytest.mark.parametrize("border", ["circular", "extended"])
def test_one_step_by_dense_algebra(border, phi_matrix, atoms_of):
    """w, y and u of the docstring, with Phi as a matrix of the torus."""
    problem = problem_of(atoms_of, border)
    state = admm._Whole(problem, np.zeros(problem.code_shape), 2.0, 1.8)
    rows, columns = state.spectrum.sheet
    phi = phi_matrix(problem.dictionary.atoms, 3, (3 * rows, 3 * columns), "circular")
    x = state.placed(problem.frame).ravel()
    w = np.linalg.solve(phi.T @ phi + 2.0 * np.eye(phi.shape[1]), phi.T @ x).reshape(4, rows, columns)
    state.step()
    y = np.zeros_like(w)
    seen = 1.8 * w[:, :3, :4]
    y[:, :3, :4] = np.sign(seen) * np.maximum(np.abs(seen) - 0.2, 0)
    np.testing.assert_allclose(state.y, y, atol=1e-10)
    np.testing.assert_allclose(state.u, 1.8 * w - y, atol=1e-10)


def test_pixels_outside_a_cropped_image_are_free(atoms_of):
    """Its torus is larger than the image; what stands there changes nothing."""
    problem = problem_of(atoms_of, "cropped")
    state = admm._Masked(problem, np.zeros(problem.code_shape), 2.0, 1.8, 0.1)
    assert state.image.size > problem.image.size and state.inside.sum() == problem.image.size
    for _ in range(30):
        state.step()
    code = state.y.copy()
    assert not code[:, 3:].any() and not code[:, :, 4:].any() and code.any()
