"""All solvers, one optimum: against each other, an independent Lasso, closed forms, planted codes."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Lasso

from striate.golden import images
from striate.golden.dictionary import Dictionary, shipped
from striate.golden.lca import Outcome
from striate.golden.solvers import Problem, solve
from striate.golden.solvers.base import BORDERS
from striate.golden.solvers.spectrum import lipschitz

METHODS = {"lca": 40_000, "ista": 40_000, "fista": 4000, "coordinate": 2000, "admm": 2000}
"""Every solver of the l1 problem, and iterations that are more than enough for a small one."""
MONOTONE = ["lca", "ista", "coordinate"]


def unit(rng, *shape):
    atoms = rng.standard_normal(shape)
    return atoms / np.linalg.norm(atoms.reshape(shape[0], -1), axis=1)[:, None, None, None]


def lasso(phi, x, threshold, two_sided):
    """The same optimum by scikit-learn's dense coordinate descent."""
    model = Lasso(alpha=threshold / len(x), fit_intercept=False, positive=not two_sided, tol=1e-14, max_iter=200_000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it asks for more than rounding allows
        y = model.fit(phi, x).coef_
    return 0.5 * float(np.square(x - phi @ y).sum()) + threshold * float(np.abs(y).sum())


@pytest.mark.parametrize("two_sided", [True, False])
@pytest.mark.parametrize("border", BORDERS)
def test_one_objective_which_is_the_lassos(border, two_sided, phi_matrix, atoms_of):
    atoms = atoms_of(0, 6, 2, 6, 6)
    x = np.random.default_rng(1).standard_normal((2, 12, 8))
    problem = Problem(x, Dictionary(atoms, 2), 0.4, two_sided, border)
    phi = phi_matrix(atoms, 2, (12, 8), border)
    expected = lasso(phi, problem.frame.ravel(), 0.4, two_sided)
    for method, iterations in METHODS.items():
        found = solve(problem, method, iterations=iterations, tolerance=1e-5)
        assert found.outcome is Outcome.CONVERGED and found.gap <= 1e-5, method
        assert found.objective == pytest.approx(expected, rel=1.1e-5), method
        assert problem.objective(found.code) == found.objective
        assert two_sided or (found.code >= 0).all()


@pytest.mark.parametrize("two_sided", [True, False])
def test_weights_stand_for_kernels_of_other_norms(two_sided, phi_matrix, atoms_of):
    """Kernels n times as long with lambda are unit ones with lambda / n: the dense Lasso takes them as they are."""
    atoms, norms = atoms_of(3, 4, 1, 5, 5), np.array([0.5, 1.0, 1.3, 2.0])
    x = np.random.default_rng(1).standard_normal((1, 9, 6))
    problem = Problem(x, Dictionary(atoms, 3), 0.4, two_sided, weights=1 / norms)
    expected = lasso(phi_matrix(atoms * norms[:, None, None, None], 3, (9, 6), "cropped"), x.ravel(), 0.4, two_sided)
    for method in ("ista", "fista", "coordinate", "admm"):
        found = solve(problem, method, iterations=5000, tolerance=1e-6)
        assert found.outcome is Outcome.CONVERGED
        assert found.objective == pytest.approx(expected, rel=2e-6), method


@pytest.mark.parametrize("two_sided", [True, False])
@pytest.mark.parametrize("border", BORDERS)
def test_the_optimality_conditions_hold(border, two_sided, atoms_of):
    """Of the subdifferential: Phi^T r = lambda sign(y) where active, within lambda where silent."""
    problem = Problem(np.random.default_rng(1).standard_normal((1, 6, 9)), Dictionary(atoms_of(2, 4, 1, 5, 5), 3), 0.5,
                      two_sided, border)
    for method, iterations in METHODS.items():
        y = solve(problem, method, iterations=iterations, tolerance=1e-9).code
        drive = -problem.gradient(y)
        strong = np.abs(y) > 1e-3
        assert strong.any() and not strong.all()
        np.testing.assert_allclose(drive[strong], 0.5 * np.sign(y[strong]), atol=2e-4, err_msg=method)
        assert (np.abs(drive) if two_sided else drive).max() <= 0.5 + 2e-4, method


@pytest.mark.parametrize("two_sided", [True, False])
@pytest.mark.parametrize("border", BORDERS)
def test_tiles_of_orthonormal_kernels_have_a_closed_form(border, two_sided):
    """Stride = patch and orthonormal kernels: the code is the soft threshold of the match."""
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((16, 16)))[0]
    problem = Problem(np.random.default_rng(1).standard_normal((1, 12, 8)),
                      Dictionary(basis.reshape(16, 1, 4, 4), 4), 0.3, two_sided, border)
    match = problem.conv.analysis(problem.frame)
    closed = np.sign(match) * np.maximum(np.abs(match) - 0.3, 0) if two_sided else np.maximum(match - 0.3, 0)
    for method in METHODS:
        found = solve(problem, method, iterations=400, tolerance=1e-13)
        np.testing.assert_allclose(found.code, closed, atol=1e-6, err_msg=method)
    hard = Problem(problem.image, problem.dictionary, 0.3, two_sided, border, "l0")
    kept = np.where((np.abs(match) if two_sided else match) >= 0.3, match, 0)
    for method in ("lca", "ista"):
        found = solve(hard, method, iterations=2000)
        np.testing.assert_allclose(found.code, kept, atol=1e-3 if method == "lca" else 1e-9, err_msg=method)
        assert found.outcome is Outcome.CONVERGED


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("border", BORDERS)
def test_planted_codes_are_found(method, border):
    """Few active units of incoherent kernels: support and values come back, shrunk by about lambda."""
    rng = np.random.default_rng(5)
    dictionary = Dictionary(unit(rng, 4, 1, 9, 9), 3)
    planted = np.zeros((4, 10, 10))
    places = rng.permutation(planted.size)[:12]
    planted.flat[places] = rng.choice([-1, 1], 12) * rng.uniform(1, 2, 12)
    problem = Problem(np.zeros((1, 30, 30)), dictionary, 1e-3, True, border)
    picture = problem.inside(problem.conv.synthesis(planted))
    if border == "extended":  # a picture that ends inside the image, so that nothing is cut
        planted[:, [0, -1]] = planted[:, :, [0, -1]] = 0
        picture = problem.inside(problem.conv.synthesis(planted))
    found = solve(Problem(picture, dictionary, 1e-3, True, border), method, iterations=20_000, tolerance=1e-3)
    np.testing.assert_allclose(found.code, planted, atol=6e-3)
    np.testing.assert_array_equal(np.abs(found.code) > 0.5, planted != 0)


@settings(max_examples=15)
@given(st.sampled_from(MONOTONE), st.sampled_from(BORDERS), st.booleans(), st.integers(1, 3), st.integers(0, 2),
       st.integers(1, 2), st.integers(0, 2**32 - 1))
def test_the_objective_never_rises(method, border, two_sided, stride, half, channels, seed):
    rng = np.random.default_rng(seed)
    dictionary = Dictionary(unit(rng, 3, channels, stride + 2 * half, stride + 2 * half), stride)
    problem = Problem(rng.standard_normal((channels, 4 * stride, 5 * stride)), dictionary, 0.2, two_sided, border)
    start = np.abs(rng.standard_normal(problem.code_shape))
    # LCA at the very end of what its proof allows.
    bound = lipschitz(dictionary, problem.conv.geometry, border)
    options = {"eta": min(1.0, 1.999 / bound)} if method == "lca" else {}
    for begin in (None, start):
        found = solve(problem, method, iterations=25, tolerance=0, start=begin, trace=True, **options)
        objective = found.trace.objective
        assert (np.diff(objective) <= 1e-12 * objective[:-1]).all()


@pytest.mark.parametrize("border", BORDERS)
def test_the_published_bounds_hold(border, atoms_of):
    """Beck and Teboulle, theorems 3.1 and 4.4: L |y*|^2 / (2 n) for ISTA, 2 L |y*|^2 / (n + 1)^2 for FISTA from 0."""
    dictionary = Dictionary(atoms_of(0, 6, 1, 6, 6), 2)
    problem = Problem(np.random.default_rng(1).standard_normal((1, 12, 12)), dictionary, 0.2, border=border)
    best = solve(problem, "fista", iterations=5000, tolerance=1e-9)
    size = lipschitz(dictionary, problem.conv.geometry, border) * float(np.square(best.code).sum())
    n = np.arange(1, 201)
    for method, bound, options in (("ista", size / (2 * n), {}),
                                   ("fista", 2 * size / (n + 1) ** 2, {"restart": False})):
        objective = solve(problem, method, iterations=200, tolerance=0, trace=True, **options).trace.objective
        assert (objective[1:] - best.objective <= bound).all(), method


def test_the_l0_objective_of_iterative_hard_thresholding_never_rises(atoms_of):
    problem = Problem(np.random.default_rng(1).standard_normal((1, 12, 12)), Dictionary(atoms_of(0, 5, 1, 6, 6), 2),
                      0.3, penalty="l0")
    found = solve(problem, "ista", iterations=3000, trace=True)
    objective = found.trace.objective
    assert (np.diff(objective) <= 1e-12 * objective[:-1]).all() and found.outcome is Outcome.CONVERGED


@pytest.mark.parametrize("two_sided", [True, False])
def test_one_objective_on_a_photograph(two_sided):
    """The shipped 8@2 dictionary on 24 x 24 pixels of a held-out picture, lambda 0.05: within 1e-4."""
    picture = images.photograph("camera", crop=(100, 220), size=(24, 24))
    problem = Problem(picture, shipped(8, 16, 2), 0.05, two_sided)
    found = {method: solve(problem, method, iterations=n, tolerance=1e-3).objective
             for method, n in {"lca": 4000, "ista": 8000, "fista": 2000, "coordinate": 200, "admm": 1000}.items()}
    best = min(found.values())
    assert max(found.values()) <= best * (1 + 1e-4), found


def test_hard_lca_is_sparser_than_soft_at_equal_lambda():
    picture = images.photograph("camera", crop=(100, 220), size=(32, 32))
    soft = solve(Problem(picture, shipped(8, 16, 2), 0.05, False), "lca", iterations=500)
    hard = solve(Problem(picture, shipped(8, 16, 2), 0.05, False, penalty="l0"), "lca", iterations=500)
    assert np.count_nonzero(hard.code) < 0.7 * np.count_nonzero(soft.code)
