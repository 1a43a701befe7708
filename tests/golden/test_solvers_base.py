"""The problem and its numbers, against finite differences and a dense matrix."""

import re
from typing import get_args, get_type_hints

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from striate.golden.dictionary import Dictionary
from striate.golden.errors import InputError
from striate.golden.lca import Outcome
from striate.golden.solvers import SOLVERS, Problem, solve
from striate.golden.solvers.base import BORDERS, Iterate


def unit(rng, *shape):
    atoms = rng.standard_normal(shape)
    return atoms / np.linalg.norm(atoms.reshape(shape[0], -1), axis=1)[:, None, None, None]


@st.composite
def problems(draw, penalty="l1"):
    """Small problems of any stride, border, channels."""
    stride = draw(st.integers(1, 3))
    patch = stride + 2 * draw(st.integers(0, 2))
    channels, kernels = draw(st.integers(1, 2)), draw(st.integers(1, 4))
    rows, columns = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dictionary = Dictionary(unit(rng, kernels, channels, patch, patch), stride)
    image = rng.standard_normal((channels, rows * stride, columns * stride))
    return Problem(image, dictionary, draw(st.sampled_from([0.05, 0.5])), draw(st.booleans()),
                   draw(st.sampled_from(BORDERS)), penalty)


def code_of(problem, seed=0):
    code = np.random.default_rng(seed).standard_normal(problem.code_shape)
    return code if problem.two_sided else np.abs(code)


@settings(max_examples=40)
@given(problems())
def test_the_gradient_is_the_finite_difference_of_the_objective(problem):
    code = code_of(problem)
    direction = np.random.default_rng(1).standard_normal(code.shape)

    def smooth(y):
        return problem.objective(y) - problem.penalty_of(y)

    step = 1e-4  # the objective is quadratic: central differences are exact but for rounding
    slope = (smooth(code + step * direction) - smooth(code - step * direction)) / (2 * step)
    assert slope == pytest.approx(float(np.vdot(problem.gradient(code), direction)), rel=1e-6, abs=1e-8)


@settings(max_examples=25)
@given(problems())
def test_the_gap_bounds_what_is_left_to_win(problem):
    code = code_of(problem) * 0.1
    residual = problem.residual(code)
    gap = problem.gap(code, residual, problem.conv.analysis(residual))
    best = solve(problem, "fista", iterations=1000, tolerance=1e-9).objective
    primal = problem.objective(code)
    assert gap >= (primal - best) / primal - 1e-9
    assert problem.gap(np.zeros(code.shape), problem.frame, np.zeros(code.shape)) == 0.0


def test_objective_and_gap_by_hand(phi_matrix, atoms_of):
    atoms = atoms_of(0, 2, 1, 4, 4)
    x = np.random.default_rng(1).standard_normal((1, 6, 4))
    problem = Problem(x, Dictionary(atoms, 2), 0.3)
    code = code_of(problem)
    phi = phi_matrix(atoms, 2, (6, 4), "cropped")
    r = x.ravel() - phi @ code.ravel()
    primal = 0.5 * r @ r + 0.3 * np.abs(code).sum()
    assert problem.objective(code) == pytest.approx(primal, rel=1e-12)
    # The dual as a function of t, searched on a fine grid of what is allowed.
    limit = 0.3 / np.abs(phi.T @ r).max()
    grid = np.linspace(-limit, limit, 200_001)
    dual = (grid * (r @ x.ravel()) - 0.5 * grid**2 * (r @ r)).max()
    residual = problem.residual(code)
    assert problem.gap(code, residual, problem.conv.analysis(residual)) == pytest.approx((primal - dual) / primal,
                                                                                        rel=1e-6)
    hard = Problem(x, Dictionary(atoms, 2), 0.3, penalty="l0")
    assert hard.objective(code) == pytest.approx(0.5 * r @ r + 0.045 * code.size, rel=1e-12)
    assert hard.gap(code, residual, residual) is None


def test_a_one_sided_gap_looks_at_positive_matches_only():
    """One kernel of one pixel, x < 0: the best one-sided code is silence, and the gap knows it."""
    dictionary = Dictionary(np.ones((1, 1, 1, 1)), 1)
    problem = Problem(-np.ones((1, 2, 2)), dictionary, 0.1, two_sided=False)
    silent = np.zeros((1, 2, 2))
    assert problem.gap(silent, problem.frame, problem.frame) == 0.0
    both = Problem(-np.ones((1, 2, 2)), dictionary, 0.1)
    assert both.gap(silent, both.frame, both.frame) == pytest.approx((2 - (0.4 - 0.02)) / 2)


def test_a_one_sided_gap_takes_no_negative_share_of_the_residual():
    """x = (1, 1), y = (3, 0): the residual (-2, 1) turned round is 2 where a positive code is, more than allowed."""
    code, residual = np.array([[[3.0, 0.0]]]), np.array([[[-2.0, 1.0]]])
    one, both = (Problem(np.ones((1, 1, 2)), Dictionary(np.ones((1, 1, 1, 1)), 1), 0.1, two_sided=sides)
                 for sides in (False, True))
    assert one.gap(code, residual, residual) == 1.0
    assert both.gap(code, residual, residual) == pytest.approx((2.8 - (0.05 - 0.00625)) / 2.8)


def test_blank_pictures_are_silent():
    dictionary = Dictionary(np.ones((1, 1, 1, 1)), 1)
    for method in ("lca", "ista", "fista", "coordinate", "admm"):
        solution = solve(Problem(np.zeros((1, 3, 3)), dictionary, 0.1), method)
        assert solution.objective == 0.0 and not solution.code.any() and solution.outcome is Outcome.CONVERGED, method


def small(**changes):
    rng = np.random.default_rng(0)
    known = {"image": rng.standard_normal((1, 8, 8)), "dictionary": Dictionary(unit(rng, 3, 1, 4, 4), 2),
             "threshold": 0.1}
    return Problem(**{**known, **changes})


def test_traces_count_from_the_start_and_progress_is_told():
    told = []
    solution = solve(small(), "ista", iterations=25, tolerance=0, trace=True, progress=lambda *n: told.append(n))
    trace = solution.trace
    assert len(trace.objective) == len(trace.seconds) == len(trace.active) == 26 == len(told)
    assert told[0] == (0, 25) and told[-1] == (25, 25)
    assert trace.objective[0] == pytest.approx(0.5 * np.square(small().image).sum()) and trace.active[0] == 0
    assert trace.objective[-1] == pytest.approx(solution.objective) and (np.diff(trace.seconds) >= 0).all()
    assert solution.iterations == 25 and solution.outcome is Outcome.MAX_STEPS
    assert solve(small(), "ista", iterations=3).trace is None


@pytest.mark.parametrize("method", ["lca", "ista", "fista", "coordinate", "admm"])
def test_a_solution_is_a_good_start(method):
    best = solve(small(), "fista", iterations=5000, tolerance=1e-12)
    again = solve(small(), method, iterations=10, tolerance=1e-8, start=best.code)
    assert again.objective == pytest.approx(best.objective, rel=1e-8)
    assert again.outcome is Outcome.CONVERGED
    np.testing.assert_array_equal(best.code, solve(small(), "fista", iterations=5000, tolerance=1e-12).code)


def test_divergence_is_an_outcome(monkeypatch):
    def wild(problem, start):
        yield Iterate(start)
        yield Iterate(start + 1.0)
        for factor in (1e3, 1e6, 1e9):
            code = start + factor
            yield Iterate(code, problem.residual(code))
        raise AssertionError("not stopped")

    monkeypatch.setitem(SOLVERS, "wild", wild)
    solution = solve(small(), "wild", trace=True)
    assert solution.outcome is Outcome.DIVERGED and solution.iterations == 1
    assert (solution.code == 1.0).all() and np.isfinite(solution.objective)


def test_a_method_without_a_gap_says_when_it_has_settled(monkeypatch):
    def tame(problem, start):
        for n in range(100):
            yield Iterate(start, settled=n == 3)

    monkeypatch.setitem(SOLVERS, "tame", tame)
    solution = solve(small(penalty="l0"), "tame")
    assert solution.outcome is Outcome.CONVERGED and solution.iterations == 3 and solution.gap is None


def test_residuals_are_over_the_image():
    problem = small(border="extended")
    assert problem.residual(np.zeros(problem.code_shape)).shape == (1, 10, 10)
    solution = solve(problem, "fista", iterations=5)
    assert solution.residual.shape == (1, 8, 8)
    np.testing.assert_array_equal(solution.residual, problem.residual(solution.code)[:, 1:-1, 1:-1])


NAN = np.full((1, 8, 8), np.nan)


@pytest.mark.parametrize("call, message", [
    (lambda: small(threshold=0.0), "lambda must be a finite number above 0, not 0.0"),
    (lambda: small(threshold=-1.0), "lambda must be a finite number above 0, not -1.0"),
    (lambda: small(threshold=np.inf), "lambda must be a finite number above 0, not inf"),
    (lambda: small(border="mirror"),
     "the border of a problem must be one of circular, cropped, extended, not 'mirror'"),
    (lambda: small(penalty="l2"), "the penalty must be one of l1, l0, not 'l2'"),
    (lambda: small(weights=np.ones(2)), "weights must be 3 finite numbers above 0, one a kernel; found the shape (2,)"),
    (lambda: small(weights=np.zeros(3)), "weights must be 3 finite numbers above 0, one a kernel"),
    (lambda: small(weights=np.ones(3), penalty="l0"), "weights of kernels are for the penalty l1, not l0"),
    (lambda: solve(small(weights=np.ones(3)), "lca"), "the solver 'lca' knows no weights of kernels; use ista"),
    (lambda: small(image=np.zeros((8, 8))), "the image has the shape (8, 8); this dictionary takes (1, H, W)"),
    (lambda: small(image=NAN), "the image holds 64 values that are not finite"),
    (lambda: small(image=np.zeros((1, 8, 7))), "network.stride 2 does not divide the image width 7"),
    (lambda: solve(small(), "newton"), "no solver 'newton'; there are lca, ista, fista, coordinate, admm"),
    (lambda: solve(small(), "fista", rho=1), "the solver 'fista' has no option 'rho'; it has restart"),
    (lambda: solve(small(), "ista", rho=1), "the solver 'ista' has no option 'rho'; it has none"),
    (lambda: solve(small(), iterations=0), "a solver needs at least 1 iteration, not 0"),
    (lambda: solve(small(), tolerance=-1), "the tolerance must be 0 (never stop early) or a finite number above it"),
    (lambda: solve(small(), start=np.zeros((3, 4, 5))),
     "the starting code has the shape (3, 4, 5); this problem takes (3, 4, 4)"),
    (lambda: solve(small(), start=np.full((3, 4, 4), np.inf)), "the starting code holds values that are not finite"),
    (lambda: solve(small(two_sided=False), start=np.full((3, 4, 4), -1.0)), "the starting code holds negative values"),
    (lambda: solve(small(penalty="l0"), "fista"), "the solver 'fista' is for the penalty l1, not l0; use lca or ista"),
    (lambda: solve(small(penalty="l0"), "admm"), "the solver 'admm' is for the penalty l1, not l0"),
    (lambda: solve(small(penalty="l0"), "coordinate"), "the solver 'coordinate' is for the penalty l1, not l0"),
    (lambda: solve(small(), "lca", eta=1.5), "eta must be above 0 and at most 1, not 1.5"),
    (lambda: solve(small(), "admm", rho=0.0), "rho must be a finite number above 0, not 0.0"),
    (lambda: solve(small(), "admm", rho_v=-1.0), "rho_v must be a finite number above 0, not -1.0"),
    (lambda: solve(small(), "admm", relaxation=2.0), "the relaxation must be from 1 (none) to below 2, not 2.0"),
    (lambda: solve(small(), "admm", adapt=-1), "adapt must be 0 (rho stays) or a number of iterations, not -1"),
])  # fmt: skip
def test_bad_input_is_named(call, message):
    with pytest.raises(InputError, match=re.escape(message)):
        call()


def test_the_type_of_a_border_allows_what_a_problem_takes():
    assert get_args(get_type_hints(Problem)["border"]) == BORDERS
    for border in BORDERS:
        assert small(border=border).border == border


def test_kernels_must_be_of_unit_norm():
    with pytest.raises(InputError, match="kernel 0 has the L2 norm 4, not 1; divide every kernel by its norm"):
        Dictionary(np.ones((1, 1, 4, 4)), 2)
