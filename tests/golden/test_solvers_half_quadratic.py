"""Half-quadratic continuation: its pointwise problem by brute force, its quadratic one by algebra, its descent."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from striate.golden.dictionary import Dictionary
from striate.golden.errors import InputError
from striate.golden.lca import Outcome
from striate.golden.solvers.base import Problem
from striate.golden.solvers.continuation import Continuation, conjugate_gradients, largest_eigenvalue, turns
from striate.golden.solvers.fista import fista
from striate.golden.solvers.half_quadratic import Coding, half_quadratic, solve_lp
from striate.golden.solvers.lp import jump, proximal


@pytest.fixture
def problem(atoms_of):
    """16 x 16 pixels of 5 unit-norm kernels 5x5 in sparse places, and a little noise."""
    rng = np.random.default_rng(3)
    dictionary = Dictionary(atoms_of(1, 5, 1, 5, 5), 1)
    planted = np.where(rng.random((5, 16, 16)) < 0.02, rng.choice([-1.0, 1.0], (5, 16, 16)), 0.0)
    blank = Problem(np.zeros((1, 16, 16)), dictionary, 0.1)
    return Problem(blank.conv.synthesis(planted) + 0.02 * rng.standard_normal((1, 16, 16)), dictionary, 0.1)


def last_of(iterates, count):
    return [next(iterates).code.copy() for _ in range(count)][-1]


# ---- the pointwise problem -------------------------------------------------------------------------------------------
@given(st.floats(-4, 4), st.floats(0.01, 3), st.sampled_from([0.05, 0.3, 0.5, 0.8, 0.95, 1.0]))
def test_the_proximal_operator_is_the_minimum_of_a_grid(v, weight, p):
    def cost(w):
        return 0.5 * (w - v) ** 2 + weight * np.abs(w) ** p

    found = proximal(np.array([v]), weight, p)[0]
    grid = np.concatenate([np.linspace(-abs(v), abs(v), 20001), [0.0]])
    assert cost(found) <= cost(grid).min() + 1e-12
    assert found * v >= 0 and abs(found) <= abs(v)
    if found and p < 1:  # stationary to rounding
        assert abs(found - v + np.sign(v) * weight * p * abs(found) ** (p - 1)) <= 1e-12 * max(1.0, abs(v))


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_at_the_jump_both_answers_cost_the_same_and_zero_is_taken(p):
    weight = 0.7
    v, w = jump(weight, p)
    assert 0.5 * v**2 == pytest.approx(0.5 * (w - v) ** 2 + weight * w**p, rel=1e-13)
    below, at, above = proximal(np.array([v * (1 - 1e-9), v, v * (1 + 1e-9)]), weight, p)
    assert below == at == 0.0 and above == pytest.approx(w, rel=1e-6)


def test_closed_forms():
    """p = 1 is shrinkage; for p = 1/2 the root has a formula by the cosine (Xu et al. 2012, half thresholding)."""
    v = np.linspace(-3, 3, 61)
    np.testing.assert_allclose(proximal(v, 0.5), np.sign(v) * np.maximum(np.abs(v) - 0.5, 0), atol=1e-15)
    np.testing.assert_array_equal(proximal(v, 0.5, two_sided=False), np.maximum(v - 0.5, 0))
    weight = 0.4
    large = v[np.abs(v) > jump(weight, 0.5)[0]]
    angle = np.arccos(weight / 4 * (np.abs(large) / 3) ** -1.5)
    formula = 2 / 3 * large * (1 + np.cos(2 * np.pi / 3 - 2 / 3 * angle))
    np.testing.assert_allclose(proximal(large, weight, 0.5), formula, rtol=1e-12)
    np.testing.assert_array_equal(proximal(v, weight, 0.5, two_sided=False), np.maximum(proximal(v, weight, 0.5), 0))


# ---- the quadratic problem -------------------------------------------------------------------------------------------
def test_conjugate_gradients_solve_the_coupled_problem(problem, phi_matrix):
    phi = phi_matrix(problem.dictionary.atoms, 1, (16, 16), "cropped")
    model, coupling = Coding(problem), 0.05
    w = np.random.default_rng(0).standard_normal(problem.code_shape)
    found, spent = conjugate_gradients(lambda z: model.hessian(z) + coupling * z, model.drive + coupling * w,
                                       np.zeros(problem.code_shape), 1e-12, 500)
    matrix = phi.T @ phi + coupling * np.eye(phi.shape[1])
    exact = np.linalg.solve(matrix, phi.T @ problem.image.ravel() + coupling * w.ravel())
    assert 0 < spent < 500
    np.testing.assert_allclose(found.ravel(), exact, atol=1e-9)
    eigenvalue = np.linalg.eigvalsh(phi.T @ phi)[-1]
    assert 0.85 * eigenvalue <= largest_eigenvalue(model) <= eigenvalue * (1 + 1e-9)


def test_conjugate_gradients_on_nothing():
    nothing = np.zeros((1, 2, 2))
    found, spent = conjugate_gradients(lambda z: 0 * z, nothing, nothing, 1e-3, 10)
    assert spent == 0 and not found.any()


# ---- the continuation ------------------------------------------------------------------------------------------------
def test_the_papers_betas():
    assert Continuation().betas == pytest.approx([1, 6, 36, 216, 1296, 7776, 46656])
    assert Continuation(factor=10).betas == pytest.approx([1, 10, 100, 1000, 10000])  # 1e5 itself is not below 1e5


@pytest.mark.parametrize("p", [1.0, 0.5])
@pytest.mark.parametrize("two_sided", [True, False])
def test_the_auxiliary_cost_never_rises_within_a_beta(problem, p, two_sided):
    how = Continuation(p, factor=3, sweeps=3, polish=20)
    betas, objectives = [], []
    for turn in turns(Coding(problem), problem.threshold, how, np.zeros(problem.code_shape), two_sided=two_sided):
        assert turn.between <= turn.before * (1 + 1e-12) and turn.after <= turn.between * (1 + 1e-12)
        assert two_sided or turn.code.min() >= 0
        betas.append(turn.beta)
        objectives.append(turn.objective)
    assert betas[:33] == sorted(betas[:33]) and betas[33:] == [np.inf] * 20
    assert all(b <= a * (1 + 1e-12) for a, b in zip(objectives[32:], objectives[33:], strict=False))
    assert objectives[-1] < 0.5 * float(np.vdot(problem.image, problem.image))


@pytest.mark.parametrize("border", ["cropped", "extended", "circular"])
@pytest.mark.parametrize("two_sided", [True, False])
def test_it_comes_to_the_optimum_of_fista(problem, border, two_sided):
    problem = Problem(problem.image, problem.dictionary, 0.1, two_sided=two_sided, border=border)
    best = problem.objective(last_of(fista(problem, np.zeros(problem.code_shape)), 700))
    coarse = problem.objective(last_of(half_quadratic(problem, np.zeros(problem.code_shape)), 8))
    fine = problem.objective(last_of(
        half_quadratic(problem, np.zeros(problem.code_shape), factor=1.5, sweeps=4), 1 + 29 * 4))
    further = problem.objective(last_of(half_quadratic(problem, np.zeros(problem.code_shape)), 408))
    assert best * (1 - 1e-9) <= fine < coarse
    assert further == pytest.approx(best, rel=1e-5)
    assert fine == pytest.approx(best, rel=0.1)


def test_channels(atoms_of):
    """Two channels that are the same picture over sqrt(2) are coded as one."""
    single = Dictionary(atoms_of(4, 4, 1, 5, 5), 1)
    double = Dictionary(np.repeat(single.atoms, 2, axis=1) / np.sqrt(2), 1)
    x = np.random.default_rng(1).standard_normal((1, 12, 12))
    for how in (Continuation(), Continuation(0.5, polish=10)):
        one = solve_lp(Problem(x, single, 0.3), how)
        two = solve_lp(Problem(np.repeat(x, 2, axis=0) / np.sqrt(2), double, 0.3), how)
        np.testing.assert_allclose(one.code, two.code, atol=1e-8)
        assert two.residual.shape == (2, 12, 12)


def test_the_answer_for_p_and_the_papers_cost(problem):
    found = solve_lp(problem, Continuation(0.8, polish=1000), tolerance=1e-3)
    lambda_hq = 1 / problem.threshold
    paper = 0.5 * lambda_hq * np.sum(found.residual**2) + np.sum(np.abs(found.code) ** 0.8)
    assert found.objective * lambda_hq == pytest.approx(paper, rel=1e-12)
    assert found.outcome is Outcome.CONVERGED and found.gap is None
    assert solve_lp(problem, Continuation(0.8)).outcome is Outcome.MAX_STEPS
    again = solve_lp(problem, Continuation(0.8, polish=5), start=found.code)
    assert again.code.shape == found.code.shape
    # a local minimum: on its support the gradient is 0
    gradient = problem.gradient(found.code)
    active = found.code != 0
    slope = 0.8 * problem.threshold * np.sign(found.code[active]) * np.abs(found.code[active]) ** -0.2
    np.testing.assert_allclose(gradient[active], -slope, atol=0.01)


def test_smaller_p_is_sparser_at_equal_error(problem):
    """The paper's reason for p < 1."""
    codes = {}
    for p in (1.0, 0.5):
        for threshold in np.geomspace(0.01, 0.5, 12):
            found = solve_lp(Problem(problem.image, problem.dictionary, float(threshold)),
                             Continuation(p, factor=2, polish=60))
            codes.setdefault(p, []).append((float(np.linalg.norm(found.residual)), np.count_nonzero(found.code)))
    for error in np.linalg.norm(problem.image) * np.array([0.2, 0.3, 0.4]):
        counts = {p: np.interp(error, *zip(*sorted(found), strict=True)) for p, found in codes.items()}
        assert counts[0.5] < counts[1.0]


# ---- mistakes --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("options, message", [
    ({"p": 0.0}, "p must be above 0 and at most 1, not 0.0; 1 is the l1 norm"),
    ({"p": 1.5}, "p must be above 0 and at most 1, not 1.5"),
    ({"p": float("nan")}, "p must be above 0 and at most 1, not nan"),
    ({"beta": 0.0}, "beta must be a finite number above 0, not 0.0; the paper begins with 1"),
    ({"factor": 1.0}, "the factor of beta must be above 1, not 1.0, or beta never rises; the paper takes 6"),
    ({"beta_max": 1.0}, "beta_max must be a finite number above beta 1.0, not 1.0; the paper takes 1e5"),
    ({"cg_tolerance": 1.0}, "cg_tolerance must be above 0 and below 1, not 1.0"),
    ({"sweeps": 0}, "sweeps must be at least 1, not 0"),
    ({"cg_iterations": 0}, "cg_iterations must be at least 1, not 0"),
    ({"polish": -1}, "polish must be at least 0, not -1"),
])
def test_a_schedule_that_cannot_be(options, message):
    with pytest.raises(InputError, match=re.escape(message)):
        Continuation(**options)


def test_problems_it_does_not_take(problem):
    with pytest.raises(InputError, match="'half-quadratic' is for the penalty l1, not l0"):
        next(half_quadratic(Problem(problem.image, problem.dictionary, 0.1, penalty="l0"), np.zeros((5, 16, 16))))
    with pytest.raises(InputError, match="lambda must be a finite number above 0, not -1"):
        next(turns(Coding(problem), -1, Continuation(), np.zeros(problem.code_shape)))
    with pytest.raises(InputError, match=re.escape("the weight of |w|^p must be a finite number above 0, not 0")):
        proximal(np.zeros(1), 0.0)
    with pytest.raises(InputError, match="p must be above 0 and at most 1, not 2"):
        proximal(np.zeros(1), 1.0, 2)
