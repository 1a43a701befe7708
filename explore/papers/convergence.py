"""How fast the solvers of one sparse-coding problem come to its optimum, on pieces of a held-out photograph.

Every solver of ``1/2 |x - Phi y|^2 + lambda |y|_1`` runs on every `Task`, far enough to see where it ends. What is
drawn is the objective above the best known one, which a long run of ADMM or FISTA gives, with its duality gap as the
proof of how far from the optimum even that can be. Hard thresholds and ``|y|^p`` with p < 1 have objectives of their
own, and many local minima: they stand apart.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...golden.dictionary import Dictionary, shipped
from ...golden.images import photograph
from ...golden.solvers import Problem, Solution, solve
from ...golden.solvers.base import ProblemBorder
from ...golden.solvers.continuation import Continuation, turns
from ...golden.solvers.half_quadratic import Coding
from .claims import Claim

Array = npt.NDArray[np.float64]

PICTURE, CROP, THRESHOLD = "camera", (96, 208), 0.05
"""The photograph (never learned from), first pixel of the piece, lambda."""
WITHIN = 1e-4
"""Solvers agree when they are this near to the best known objective, relative to it."""
NEAR = f"{WITHIN:.0e}".replace("e-0", "e-")
"""The same for titles."""
HALF = 0.5
"""The p of the panel of ``|y|^p``."""


@dataclass(frozen=True)
class Task:
    """One problem: ``size`` pixels a side, 8 kernels at a stride of 2 or 1, one- or two-sided, a border."""

    name: str
    stride: int
    size: int
    two_sided: bool
    border: ProblemBorder

    @property
    def title(self) -> str:
        """One line."""
        sides = "two-sided" if self.two_sided else "one-sided"
        return f"8 kernels at stride {self.stride}, {self.size}x{self.size} pixels, {sides}, {self.border} border"

    def problem(self) -> Problem:
        """Of the shipped 8@2 dictionary; at stride 1 its kernels stand in 17x17 pixels, so that they centre."""
        picture = photograph(PICTURE, crop=CROP, size=(self.size, self.size))
        dictionary = shipped(8, 16, 2)
        if self.stride == 1:
            atoms = np.pad(dictionary.atoms, ((0, 0), (0, 0), (0, 1), (0, 1)))
            dictionary = Dictionary(atoms, 1, f"{dictionary.source}; at stride 1 in 17x17 pixels")
        return Problem(picture, dictionary, THRESHOLD, self.two_sided, self.border)


TASKS = (
    Task("two-sided", 2, 64, True, "cropped"),
    Task("one-sided", 2, 64, False, "cropped"),
    Task("stride-1", 1, 32, True, "circular"),
)


@dataclass(frozen=True)
class Entrant:
    """A solver as it starts here: the name it is shown by, the name in `solvers.SOLVERS`, iterations, options."""

    label: str
    method: str
    iterations: int
    options: tuple[tuple[str, Any], ...] = ()


ONE_LABEL, HALF_LABEL = "half-quadratic, p = 1, then FISTA", "half-quadratic, p = 1/2"
ENTRANTS = (
    Entrant("LCA, soft", "lca", 3000),
    Entrant("ISTA", "ista", 4000),
    Entrant("FISTA", "fista", 800),
    Entrant("FISTA, no restart", "fista", 800, (("restart", False),)),
    Entrant("coordinate descent", "coordinate", 60),
    Entrant("ADMM", "admm", 400),
    Entrant(ONE_LABEL, "half-quadratic", 300),
)
"""Of the convex problem. An iteration is an update of everything, but of coordinate descent: as many single updates as
there are V1 positions, and of half-quadratic: a turn (a linear system by conjugate gradients), after 7 of FISTA."""
REQUIRED = ("LCA, soft", "ISTA", "FISTA", "coordinate descent", "ADMM")
"""Those that must agree."""
HARD = (Entrant("LCA, hard", "lca", 3000), Entrant("iterative hard thresholding", "ista", 1000))
STOP = 1e-6
"""Duality gap at which a run ends."""
TURNS = 7
"""Of the half-quadratic paper's schedule."""


@dataclass(frozen=True, eq=False)
class Curve:
    """A solver's way: arrays over its iterations, the start first.

    ``active`` is a share of all codes. ``gap`` is None where there is none, ``outcome`` the word for files.
    """

    label: str
    objective: Array
    seconds: Array
    active: Array
    gap: float | None
    outcome: str

    @property
    def iterations(self) -> int:
        """How many."""
        return len(self.objective) - 1

    def above(self, best: float) -> Array:
        """``(objective - best) / best`` of every iteration."""
        return (self.objective - best) / best

    def reached(self, best: float, within: float = WITHIN) -> int | None:
        """The first iteration from which on it stays within this of the best; None when it never does."""
        far = np.flatnonzero(~(self.above(best) <= within))
        first = int(far[-1]) + 1 if len(far) else 0
        return first if first < len(self.objective) else None

    @property
    def rise(self) -> float:
        """The most the objective rose in an iteration, relative to it; 0 when it never did."""
        rises = np.diff(self.objective) / self.objective[:-1]
        return max(float(rises.max()), 0.0) if len(rises) else 0.0


@dataclass(frozen=True, eq=False)
class Found:
    """What came of a task.

    Args:
        best: the lowest objective of any code seen; best_gap: the relative duality gap of a code within 1e-9 of it.
        curves: of `ENTRANTS`; hard: of `HARD`, with the l0 energy; half: the continuation with p = 1/2, on its own
            objective.
        image: x, ``(C, H, W)``; residual: of the best code over the image.
        half_error: |x - Phi y| / |x| of the code of ``half``.
    """

    task: Task
    best: float
    best_gap: float
    curves: tuple[Curve, ...]
    hard: tuple[Curve, ...]
    half: Curve
    image: Array
    residual: Array
    half_error: float

    @property
    def error(self) -> float:
        """|x - Phi y| / |x| of the best code."""
        return float(np.linalg.norm(self.residual) / np.linalg.norm(self.image))

    def curve(self, label: str) -> Curve:
        """The one of that label."""
        return next(curve for curve in (*self.curves, *self.hard, self.half) if curve.label == label)


@dataclass(frozen=True, eq=False)
class Convergence:
    """The experiment: what came of each task, and the claims.

    Args:
        unjudged: (claim, why) of those without a verdict: all of them when only a share of the iterations was run.
        share: of the iterations of each entrant.
    """

    found: tuple[Found, ...]
    claims: tuple[Claim, ...]
    unjudged: tuple[tuple[str, str], ...] = ()
    share: float = 1.0


def converge(tasks: Sequence[Task] = TASKS, *, share: float = 1.0,
             progress: Callable[[str, float], None] | None = None) -> Convergence:
    """Run every entrant on every task, one after the other.

    Args:
        share: of the iterations of each entrant; below 1 for a quick look: some then do not finish, and no claim is
            judged.
        progress: called with what runs now and the share that is done.
    """
    from .convergence_claims import claims  # it needs the values above

    _compile()
    found = []
    for n, task in enumerate(tasks):
        def tell(text: str, part: float, n: int = n, name: str = task.name) -> None:
            if progress:
                progress(f"{name}: {text}", (n + part) / len(tasks))

        found.append(_one(task, share, tell))
    judged = claims(found)
    if share < 1:
        return Convergence(tuple(found), (), tuple((each.name, f"share {share:g}") for each in judged), share)
    return Convergence(tuple(found), judged)


def _compile() -> None:
    """Whatever is compiled at its first call is not on anybody's clock."""
    for two_sided in (True, False):
        soft = Problem(np.ones((1, 4, 4)), shipped(8, 16, 2), 0.1, two_sided)
        hard = Problem(np.ones((1, 4, 4)), shipped(8, 16, 2), 0.1, two_sided, penalty="l0")
        for problem, method in ((soft, "lca"), (hard, "lca"), (soft, "coordinate"), (soft, "half-quadratic")):
            solve(problem, method, iterations=2, tolerance=0.0)


def _one(task: Task, share: float, tell: Callable[[str, float], None]) -> Found:
    problem = task.problem()
    hard = Problem(problem.image, problem.dictionary, THRESHOLD, task.two_sided, task.border, "l0")
    runs = [*((problem, each) for each in ENTRANTS), *((hard, each) for each in HARD)]
    curves, solutions = [], []
    for n, (what, each) in enumerate(runs):
        tell(each.label, n / (len(runs) + 2))
        solution = solve(what, each.method, iterations=max(1, round(each.iterations * share)), tolerance=STOP,
                         trace=True, **dict(each.options))
        solutions.append(solution)
        curves.append(_curve(each.label, solution))
    tell(HALF_LABEL, len(runs) / (len(runs) + 2))
    half, half_error = _half(problem)
    tell("a long run", (len(runs) + 1) / (len(runs) + 2))
    # From the best so far: what is left is small, and both methods are good at it.
    nearest = min(solutions[:len(ENTRANTS)], key=lambda solution: solution.objective)
    refined = [solve(problem, method, iterations=max(1, round(n * share)), tolerance=STOP / 10, start=nearest.code)
               for method, n in (("fista", 3000), ("admm", 1000))]
    best = min([nearest, *refined], key=lambda solution: solution.objective)
    gap = min(s.gap for s in (*solutions[:len(ENTRANTS)], *refined)
              if s.gap is not None and s.objective <= best.objective * (1 + 1e-9))
    lowest = min(best.objective, *(float(curve.objective.min()) for curve in curves[:len(ENTRANTS)]))
    return Found(task, lowest, gap, tuple(curves[:len(ENTRANTS)]), tuple(curves[len(ENTRANTS):]), half, problem.image,
                 best.residual, half_error)


def _curve(label: str, solution: Solution) -> Curve:
    trace = solution.trace
    assert trace is not None
    return Curve(label, trace.objective, trace.seconds, trace.active / solution.code.size, solution.gap,
                 solution.outcome.value)


def _half(problem: Problem) -> tuple[Curve, float]:
    """The half-quadratic paper's schedule with p = 1/2, an entry a turn; and the error of its last code, |r| / |x|."""
    begun = time.perf_counter()
    model = Coding(problem)
    code = np.zeros(problem.code_shape)
    objective, seconds, active = [0.5 * float(np.vdot(problem.frame, problem.frame))], [0.0], [0.0]
    for turn in turns(model, problem.threshold, Continuation(HALF), code.copy(),
                      two_sided=problem.two_sided):
        objective.append(turn.objective)
        seconds.append(time.perf_counter() - begun)
        active.append(np.count_nonzero(turn.code) / turn.code.size)
        code = turn.code
    left = problem.inside(problem.residual(code))
    curve = Curve(HALF_LABEL, np.array(objective), np.array(seconds), np.array(active), None, "max_steps")
    return curve, float(np.linalg.norm(left) / np.linalg.norm(problem.image))
