"""One problem, one answer: what every solver of this folder takes and gives.

The problem is ``min_y 1/2 |x - Phi y|^2 + h(y)`` with ``h(y) = lambda |y|_1`` (what LCA with a soft threshold, ISTA,
FISTA, coordinate descent and ADMM all minimise) or ``h(y) = lambda^2/2 |y|_0`` (what LCA with a hard threshold
descends, see `threshold`); one-sided problems add ``y >= 0``. There is no factor 1/N anywhere. With ``weights`` w the
l1 penalty is ``lambda sum_k w_k |y_k|``: kernels of other norms n are unit ones with the weights 1/n and codes times n.

A solver is a generator of `Iterate`: the start, then the state after every iteration. `solve` draws from it, measures,
and decides when to stop, so that all solvers are stopped and traced by the same rule.

**Duality gap** (l1). Any ``v`` with ``|Phi^T v|_inf <= lambda`` (one-sided: ``max Phi^T v <= lambda``; of a kernel of
weight w: Phi^T v / w) bounds the optimum from below by ``D(v) = <v, x> - 1/2 |v|^2``. We take ``v = t r`` with r the
residual of the code at hand and t the number that makes D largest among those allowed: ``t = <r, x>/|r|^2`` held within
``lambda / |Phi^T r|_inf`` (El Ghaoui, Viallon, Rabbani 2012; Fercoq, Gramfort, Salmon 2015). The relative gap
``(P - D)/P`` with P the objective therefore bounds what is left to win: ``(P - P*)/P <= gap``. It falls more slowly
than P - P* itself.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from ..conv import StridedConv
from ..dictionary import Dictionary
from ..errors import InputError
from ..lca import Outcome
from ..threshold import cost, transfer

Array = npt.NDArray[np.float64]
Penalty = Literal["l1", "l0"]
ProblemBorder = Literal["circular", "cropped", "extended"]
BORDERS: tuple[ProblemBorder, ...] = get_args(ProblemBorder)
"""Borders a problem may have: those where Phi is a part of a convolution."""


@dataclass(frozen=True, eq=False)
class Problem:
    """A picture to be coded by a dictionary at a threshold.

    Args:
        image: x, ``(C, H, W)``, already preprocessed.
        dictionary: Phi.
        threshold: lambda > 0, in units of the code.
        two_sided: codes may be negative.
        border: "circular", "cropped" or "extended", see `conv`.
        penalty: "l1" or "l0".
        weights: ``(K,)`` above 0, or None for 1 each; l1 only.

    Raises:
        InputError: a value outside its range, an image whose shape does not fit or that is not finite.
    """

    image: Array
    dictionary: Dictionary
    threshold: float
    two_sided: bool = True
    border: ProblemBorder = "cropped"
    penalty: Penalty = "l1"
    weights: Array | None = None

    def __post_init__(self) -> None:
        if not 0 < self.threshold < math.inf:
            raise InputError(f"lambda must be a finite number above 0, not {self.threshold}; 0.05 suits pixels of 0..1")
        if self.border not in BORDERS:
            raise InputError(f"the border of a problem must be one of {', '.join(BORDERS)}, not '{self.border}'")
        if self.penalty not in get_args(Penalty):
            raise InputError(f"the penalty must be one of {', '.join(get_args(Penalty))}, not '{self.penalty}'")
        image = np.array(self.image, np.float64, order="C")
        if image.ndim != 3 or image.shape[0] != self.dictionary.channels:
            raise InputError(f"the image has the shape {image.shape}; this dictionary takes "
                             f"({self.dictionary.channels}, H, W)")
        if not np.isfinite(image).all():
            bad = int(image.size - np.isfinite(image).sum())
            raise InputError(f"the image holds {bad} values that are not finite (NaN or infinite); mend them first")
        image.flags.writeable = False
        object.__setattr__(self, "image", image)
        if self.weights is not None:
            self._check_weights(np.array(self.weights, np.float64))
        _ = self.conv  # refuses an image that the stride does not divide

    def _check_weights(self, weights: Array) -> None:
        if self.penalty != "l1":
            raise InputError("weights of kernels are for the penalty l1, not l0; leave them out")
        if weights.shape != (self.dictionary.kernels,) or not (weights > 0).all() or not np.isfinite(weights).all():
            raise InputError(f"weights must be {self.dictionary.kernels} finite numbers above 0, one a kernel; "
                             f"found the shape {weights.shape}, from {weights.min()} to {weights.max()}")
        weights.flags.writeable = False
        object.__setattr__(self, "weights", weights)

    @cached_property
    def levels(self) -> Array:
        """lambda of each kernel, weights included: ``(K, 1, 1)``."""
        weights = np.ones(self.dictionary.kernels) if self.weights is None else self.weights
        return (self.threshold * weights)[:, None, None]

    @cached_property
    def conv(self) -> StridedConv:
        """Phi and its transpose."""
        height, width = self.image.shape[1:]
        return StridedConv(self.dictionary.atoms, self.dictionary.stride, (height, width), self.border)

    @cached_property
    def frame(self) -> Array:
        """x on the frame of the residual: itself, or surrounded by zeros ``(C, H + 2m, W + 2m)`` when extended."""
        margin = (self.conv.residual_shape[1] - self.image.shape[1]) // 2
        return np.pad(self.image, ((0, 0), (margin,) * 2, (margin,) * 2))

    @property
    def code_shape(self) -> tuple[int, int, int]:
        """``(K, H/s, W/s)``."""
        return self.conv.geometry.code_shape

    def residual(self, code: Array) -> Array:
        """r = x - Phi y on the frame, ``(C, H, W)`` or extended."""
        return self.frame - self.conv.synthesis(code)

    def gradient(self, code: Array) -> Array:
        """Of ``1/2 |x - Phi y|^2``: ``-Phi^T (x - Phi y)``, ``(K, H/s, W/s)``."""
        return -self.conv.analysis(self.residual(code))

    def penalty_of(self, code: Array) -> float:
        """h(y)."""
        if self.weights is not None:
            return float((self.levels * np.abs(code)).sum())
        return cost(code, self.threshold, "soft" if self.penalty == "l1" else "hard")

    def objective(self, code: Array) -> float:
        """``1/2 |x - Phi y|^2 + h(y)``, in squared image values."""
        return self.objective_of(code, self.residual(code))

    def objective_of(self, code: Array, residual: Array) -> float:
        """The objective of a code whose residual (on the frame) is known."""
        return 0.5 * float(np.vdot(residual, residual)) + self.penalty_of(code)

    def shrink(self, values: Array, scale: float) -> Array:
        """The soft threshold ``scale * lambda`` (times weight) of ``(K, ...)``, one- or two-sided as the problem is."""
        if self.weights is None:
            return transfer(values, scale * self.threshold, "soft", two_sided=self.two_sided)
        if not self.two_sided:
            return np.maximum(values - scale * self.levels, 0.0)
        return np.asarray(np.copysign(np.maximum(np.abs(values) - scale * self.levels, 0.0), values))

    def inside(self, residual: Array) -> Array:
        """The part of a residual that lies over the image, ``(C, H, W)``."""
        margin = (residual.shape[1] - self.image.shape[1]) // 2
        return residual[:, margin:residual.shape[1] - margin, margin:residual.shape[2] - margin]

    def gap(self, code: Array, residual: Array, drive: Array) -> float | None:
        """The module's relative duality gap, at least 0; None for l0.

        Args:
            code: y, allowed by the problem (one-sided: not negative).
            residual: x - Phi y on the frame.
            drive: Phi^T (x - Phi y).
        """
        if self.penalty != "l1":
            return None
        primal = self.objective_of(code, residual)
        if primal == 0.0:
            return 0.0
        size = float(np.vdot(residual, residual))
        match = drive / self.levels
        largest = float(np.abs(match).max() if self.two_sided else max(match.max(), 0.0))
        along = float(np.vdot(residual, self.frame))
        scale = along / size if size else 0.0
        if largest > 0.0:
            # One-sided, a negative t would turn the most negative matches into the largest: 0 is allowed always.
            lowest = -1.0 / largest if self.two_sided else 0.0
            scale = min(max(scale, lowest), 1.0 / largest)
        elif not self.two_sided:
            scale = max(scale, 0.0)
        dual = scale * along - 0.5 * scale**2 * size
        return max(primal - dual, 0.0) / primal


class Iterate(NamedTuple):
    """The state of a solver after an iteration.

    ``code`` y is allowed by the problem; ``residual`` x - Phi y on the frame and ``drive`` Phi^T (x - Phi y) are None
    where the method did not need them. ``settled``: nothing will change any more (methods without a gap). The arrays
    must not be changed and hold until the next iteration.
    """

    code: Array
    residual: Array | None = None
    drive: Array | None = None
    settled: bool = False


Iterates = Iterator[Iterate]
"""What a solver is: the start first, then every iteration."""


@dataclass(frozen=True, eq=False)
class SolverTrace:
    """The numbers of the start and of every iteration: arrays of length iterations + 1.

    ``seconds`` is spent in the solver itself, measuring left out, cumulative from the call (preparation is in entry 0);
    ``active`` counts codes that are not 0.
    """

    objective: Array
    seconds: Array
    active: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Solution:
    """What a solver leaves: ``code`` (K, H/s, W/s), ``residual`` x - Phi y over the image (C, H, W), ``objective``.

    ``outcome`` "converged" means: the relative duality gap is at most the tolerance (l1), or the method says that its
    code no longer moves (l0, and penalties without a gap). ``gap`` is that of this very code, None where there is none.
    """

    code: Array
    residual: Array
    objective: float
    outcome: Outcome
    iterations: int
    gap: float | None
    trace: SolverTrace | None = None


def checked_start(problem: Problem, start: npt.ArrayLike | None) -> Array:
    """The code to start from: zeros when None; a copy.

    Raises:
        InputError: another shape, values that are not finite, or negative ones in a one-sided problem.
    """
    if start is None:
        return np.zeros(problem.code_shape)
    code = np.array(start, np.float64)
    if code.shape != problem.code_shape:
        raise InputError(f"the starting code has the shape {code.shape}; this problem takes {problem.code_shape}")
    if not np.isfinite(code).all():
        raise InputError("the starting code holds values that are not finite; start from None instead")
    if not problem.two_sided and (code < 0).any():
        raise InputError("the starting code holds negative values but the problem is one-sided; use two_sided=True")
    return code


def needs(problem: Problem, method: str, *, penalty: tuple[Penalty, ...] = ("l1",),
          border: tuple[ProblemBorder, ...] = BORDERS, weighted: bool = False) -> None:
    """Refuse a problem the method cannot solve with an InputError that names what it can."""
    if problem.penalty not in penalty:
        raise InputError(f"the solver '{method}' is for the penalty {' or '.join(penalty)}, not {problem.penalty}; "
                         f"{'use lca or ista' if problem.penalty == 'l0' else 'use another'}")
    if problem.border not in border:
        raise InputError(f"the solver '{method}' is for the border {' or '.join(border)}, not {problem.border}")
    if problem.weights is not None and not weighted:
        raise InputError(f"the solver '{method}' knows no weights of kernels; use ista, fista, coordinate or admm")
