"""All solvers by name, and `solve`, which runs any of them by one rule."""

import inspect
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..lca import EXPLODED, Outcome
from .admm import admm
from .base import Array, Iterate, Iterates, Problem, Solution, SolverTrace, checked_start
from .coordinate import coordinate
from .fista import fista
from .half_quadratic import half_quadratic
from .ista import ista
from .lca import lca

SOLVERS: dict[str, Callable[..., Iterates]] = {
    "lca": lca,
    "ista": ista,
    "fista": fista,
    "coordinate": coordinate,
    "admm": admm,
    "half-quadratic": half_quadratic,
}
"""Name -> generator function ``(problem, start, **options)`` of `base.Iterate`; options by keyword only."""

# Where a method does not compute Phi^T r, the gap is taken at every so manieth iteration (and at the last).
GAP_EVERY = 10


def solve(problem: Problem, method: str = "fista", *, iterations: int = 500, tolerance: float = 1e-6,
          start: npt.ArrayLike | None = None, trace: bool = False,
          progress: Callable[[int, int], None] | None = None, **options: Any) -> Solution:
    """Solve a problem by the named method.

    Args:
        problem: what to minimise.
        method: a name from `SOLVERS`.
        iterations: the most iterations; what one of them is, the method's file says.
        tolerance: stop once the relative duality gap (`base`) is at most this; 0 never stops early. Methods without a
            gap stop when they say that their code no longer moves.
        start: the code to start from, ``(K, H/s, W/s)``; zeros when None.
        trace: keep objective, seconds and active codes of the start and every iteration.
        progress: called with (iterations done, the most there will be).
        options: the method's own keywords.

    Returns:
        A `Solution`. Divergence is an outcome, not an error: values that stop being finite, or an objective
        `lca.EXPLODED` squared times that of silence and of the start; the code is then the last good one.

    Raises:
        InputError: an unknown method or option, a problem the method cannot solve, a start that does not fit, fewer
            than one iteration, a tolerance below 0.
    """
    if method not in SOLVERS:
        raise InputError(f"no solver '{method}'; there are {', '.join(SOLVERS)}")
    known = [name for name, p in inspect.signature(SOLVERS[method]).parameters.items() if p.kind is p.KEYWORD_ONLY]
    for name in options:
        if name not in known:
            raise InputError(f"the solver '{method}' has no option '{name}'; it has {', '.join(known) or 'none'}")
    if iterations < 1:
        raise InputError(f"a solver needs at least 1 iteration, not {iterations}")
    if not 0 <= tolerance < math.inf:
        raise InputError(f"the tolerance must be 0 (never stop early) or a finite number above it, not {tolerance}")
    run = _Run(problem, tolerance, iterations, trace)
    begun = time.perf_counter()
    states = SOLVERS[method](problem, checked_start(problem, start), **options)
    done = -1
    while not run.outcome:
        state = next(states)
        done += 1
        run.take(done, state, time.perf_counter() - begun)
        if progress:
            progress(done, iterations)
        begun = time.perf_counter()
    return run.solution()


class _Run:
    """Measures the iterates of one call and decides when to stop."""

    def __init__(self, problem: Problem, tolerance: float, iterations: int, trace: bool) -> None:
        self._problem, self._tolerance, self._most, self._trace = problem, tolerance, iterations, trace
        self._objectives: list[float] = []
        self._seconds: list[float] = []
        self._active: list[int] = []
        self._spent = 0.0
        self._limit = math.inf
        self._code: Array = np.zeros(0)
        self._done = 0
        self.outcome: Outcome | None = None

    def take(self, done: int, state: Iterate, seconds: float) -> None:
        """One more state; sets ``outcome`` when it is the last."""
        problem, last = self._problem, done == self._most
        look = state.drive is not None or last or done % GAP_EVERY == 0
        self._spent += seconds
        objective = math.nan
        residual = state.residual
        if self._trace or look or residual is not None:
            with np.errstate(over="ignore", invalid="ignore"):
                residual = problem.residual(state.code) if residual is None else residual
                objective = problem.objective_of(state.code, residual)
            if done == 0:
                silent = 0.5 * float(np.vdot(problem.frame, problem.frame))
                self._limit = EXPLODED**2 * max(silent, objective, np.finfo(float).tiny)
            if not objective <= self._limit:
                self.outcome = Outcome.DIVERGED
                return
        self._code, self._done = state.code, done
        if self._trace:
            self._objectives.append(objective)
            self._seconds.append(self._spent)
            self._active.append(int(np.count_nonzero(state.code)))
        if state.settled:
            self.outcome = Outcome.CONVERGED
        elif look and residual is not None and problem.penalty == "l1":
            drive = problem.conv.analysis(residual) if state.drive is None else state.drive
            gap = problem.gap(state.code, residual, drive)
            if gap is not None and gap <= self._tolerance:
                self.outcome = Outcome.CONVERGED
        if last and self.outcome is None:
            self.outcome = Outcome.MAX_STEPS

    def solution(self) -> Solution:
        """What is left, with residual, objective and gap computed anew from the code."""
        problem, code = self._problem, np.array(self._code, order="C")
        residual = problem.residual(code)
        gap = problem.gap(code, residual, problem.conv.analysis(residual))
        kept = SolverTrace(np.array(self._objectives), np.array(self._seconds), np.array(self._active, np.int64))
        outcome = self.outcome or Outcome.MAX_STEPS
        return Solution(code, np.array(problem.inside(residual), order="C"), problem.objective_of(code, residual),
                        outcome, self._done, gap, kept if self._trace else None)
