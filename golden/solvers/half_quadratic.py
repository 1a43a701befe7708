"""Half-quadratic continuation as a solver of a `Problem`, and of the same problem with ``|y|^p`` in place of ``|y|_1``.

Zeiler et al. 2010 minimise ``lambda_hq/2 |x - Phi z|^2 + |z|^p``; a `Problem` has ``1/2 |x - Phi y|^2 + lambda |y|``.
The minimisers are the same for ``lambda = 1/lambda_hq``, and the values differ by the factor lambda_hq. beta is the
paper's: `continuation` has the equations.

The paper's schedule (7 values of beta from 1 on, one turn each) ended 23 to 50 % above the optimum for p = 1 where it
was measured (docs/papers.md). For p = 1 the solver goes on by FISTA from there; for p < 1 `Continuation.polish` does,
by proximal gradient steps. More ``sweeps`` and a smaller ``factor`` come closer by themselves.
"""

import numpy as np
import numpy.typing as npt

from ..lca import Outcome
from .base import Array, Iterate, Iterates, Problem, Solution, checked_start, needs
from .continuation import Continuation, objective_of, turns
from .fista import fista


class Coding:
    """``1/2 |x - Phi y|^2`` of a problem, as `continuation` takes it."""

    dense = 0

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self.drive = problem.conv.analysis(problem.frame)

    def hessian(self, maps: Array) -> Array:
        """Phi^T Phi z."""
        conv = self._problem.conv
        return conv.analysis(conv.synthesis(maps))

    def cost(self, maps: Array) -> float:
        """``1/2 |x - Phi z|^2``."""
        residual = self._problem.residual(maps)
        return 0.5 * float(np.vdot(residual, residual))


def half_quadratic(problem: Problem, start: Array, *, beta: float = 1.0, factor: float = 6.0, beta_max: float = 1e5,
                   sweeps: int = 1, cg_tolerance: float = 1e-6, cg_iterations: int = 100) -> Iterates:
    """The iterates of the continuation with p = 1, one a turn, from a code ``(K, H/s, W/s)``; then those of FISTA.

    For l1, any border, one- or two-sided (one-sided: the auxiliary code may not be negative). Options and their errors
    are those of `Continuation`. The code handed out is the auxiliary one, which is exactly sparse. As many iterations
    as there are turns (7 with the defaults) give the paper's method alone.
    """
    needs(problem, "half-quadratic")
    how = Continuation(1.0, beta, factor, beta_max, sweeps, cg_tolerance, cg_iterations)
    yield Iterate(start)
    code = start
    for turn in turns(Coding(problem), problem.threshold, how, start, two_sided=problem.two_sided):
        code = turn.code.copy()
        yield Iterate(code)
    further = fista(problem, code)
    next(further)  # its start, which was the last turn's
    yield from further


def solve_lp(problem: Problem, how: Continuation, *, tolerance: float = 1e-6,
             start: npt.ArrayLike | None = None) -> Solution:
    """Minimise ``1/2 |x - Phi y|^2 + lambda |y|^p``: a local minimum for p < 1, where the problem is not convex.

    Args:
        problem: of penalty l1, in whose place |y|^p stands. how: the continuation, with p.
        tolerance: "converged" when the last turn moved the code by no more than this share of its size.
        start: the code to begin with; zeros when None.

    Returns:
        ``objective`` is with |y|^p; ``gap`` None; ``iterations`` are turns, polishing included.

    Raises:
        InputError: the penalty l0, or a start that does not fit.
    """
    needs(problem, "half-quadratic")
    model = Coding(problem)
    code, count, moved = checked_start(problem, start), 0, np.inf
    for turn in turns(model, problem.threshold, how, code, two_sided=problem.two_sided):
        count, moved, code = count + 1, turn.moved, turn.code
    objective = objective_of(model, code, problem.threshold, how.p)
    outcome = Outcome.CONVERGED if moved <= tolerance else Outcome.MAX_STEPS
    return Solution(code.copy(), problem.inside(problem.residual(code)).copy(), objective, outcome, count, None)
