"""Half-quadratic continuation: sparse coding with ``|z|^p`` by a quadratic problem and a pointwise one in turns.

Zeiler, Krishnan, Taylor, Fergus, *Deconvolutional Networks*, CVPR 2010, eq. 4-8. The paper minimises
``lambda_hq/2 |x - Phi z|^2 + |z|^p``; everything here is that divided by lambda_hq, so that it has the unit of the
other solvers: ``1/2 |x - Phi z|^2 + lambda |z|^p`` with ``lambda = 1/lambda_hq``. The auxiliary cost of eq. 4 is then

    ``1/2 |x - Phi z|^2 + lambda beta/2 |z - w|^2 + lambda |w|^p``

(the paper's x is w here). For each beta of a rising sequence w follows from z by the proximal operator of
``|.|^p / beta`` (`lp`), and z from w by conjugate gradients on
``(Phi^T Phi + lambda beta I) z = Phi^T x + lambda beta w``, begun at the z before. Neither step can raise the auxiliary
cost of its beta. The code handed back is w of the last z: exactly sparse.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from .lp import check_exponent, proximal

Array = npt.NDArray[np.float64]


class Quadratic(Protocol):
    """A quadratic cost ``1/2 z^T H z - b^T z + constant`` of feature maps ``(K, rows, columns)``."""

    drive: Array
    """b, of the maps' shape."""
    dense: int
    """How many maps, in front, have no sparse prior."""

    def hessian(self, maps: Array) -> Array:
        """H z."""

    def cost(self, maps: Array) -> float:
        """The cost itself, with the constant."""


@dataclass(frozen=True)
class Continuation:
    """How beta rises and how exactly each step is solved; the defaults are the paper's where it has them.

    Args:
        p: exponent of the sparse prior, above 0 and at most 1.
        beta: the first one (paper: 1), in units of 1/code^(2 - p).
        factor: beta is multiplied by it (paper: 6), above 1.
        beta_max: beta stays below it (paper: 10^5).
        sweeps: turns at each beta (paper: 1).
        cg_tolerance: |b - A z| / |b| at which conjugate gradients stop (not in the paper).
        cg_iterations: the most of them for one z (not in the paper).
        polish: the most proximal gradient steps after the last beta, on the objective itself; 0, the paper: none.

    Raises:
        InputError: a value outside its range.
    """

    p: float = 1.0
    beta: float = 1.0
    factor: float = 6.0
    beta_max: float = 1e5
    sweeps: int = 1
    cg_tolerance: float = 1e-6
    cg_iterations: int = 100
    polish: int = 0

    def __post_init__(self) -> None:
        check_exponent(self.p)
        if not 0 < self.beta < math.inf:
            raise InputError(f"beta must be a finite number above 0, not {self.beta}; the paper begins with 1")
        if not 1 < self.factor < math.inf:
            raise InputError(f"the factor of beta must be above 1, not {self.factor}, or beta never rises; the paper "
                             "takes 6")
        if not self.beta < self.beta_max < math.inf:
            raise InputError(f"beta_max must be a finite number above beta {self.beta}, not {self.beta_max}; the paper "
                             "takes 1e5")
        if not 0 < self.cg_tolerance < 1:
            raise InputError(f"cg_tolerance must be above 0 and below 1, not {self.cg_tolerance}")
        for name, least in (("sweeps", 1), ("cg_iterations", 1), ("polish", 0)):
            if getattr(self, name) < least:
                raise InputError(f"{name} must be at least {least}, not {getattr(self, name)}")

    @property
    def betas(self) -> tuple[float, ...]:
        """All of them, rising: 1, 6, 36, ... 46656 with the defaults."""
        count = math.ceil(math.log(self.beta_max / self.beta) / math.log(self.factor) - 1e-12)
        return tuple(self.beta * self.factor**n for n in range(count))


@dataclass(frozen=True)
class Turn:
    """The maps after one turn.

    The arrays hold only until the next one: copy what is kept.

    Args:
        beta: of the turn; infinity when polishing.
        before, between, after: auxiliary cost of this beta with the old w and z, after w, after z (of a polishing step:
            the objective before and after).
        objective: of ``code``, without beta.
        code: w of the last z, ``(K, rows, columns)``, dense maps as they are.
        maps: z.
        cg_iterations: spent on z.
        moved: how far the code moved since the turn before, |change| / |code|.
    """

    beta: float
    before: float
    between: float
    after: float
    objective: float
    code: Array
    maps: Array
    cg_iterations: int
    moved: float


def objective_of(model: Quadratic, code: Array, threshold: float, p: float) -> float:
    """``quadratic cost + lambda sum |w|^p`` of the sparse maps."""
    return model.cost(code) + threshold * _prior(code[model.dense:], p)


def turns(model: Quadratic, threshold: float, how: Continuation, start: Array, *,
          two_sided: bool = True) -> Iterator[Turn]:
    """Continuation turn by turn, then polishing.

    Args:
        model: what is quadratic in the maps.
        threshold: lambda = 1/lambda_hq, above 0.
        start: z to begin with, of the maps' shape; zeros where nothing is known.
        two_sided: False: codes may not be negative.

    Yields:
        A `Turn` for every turn; the last one's ``code`` is the answer.

    Raises:
        InputError: lambda outside its range.
    """
    if not 0 < threshold < math.inf:
        raise InputError(f"lambda must be a finite number above 0, not {threshold}")

    def shrunk(values: Array, weight: float) -> Array:
        code = values.copy()
        code[model.dense:] = proximal(values[model.dense:], weight, how.p, two_sided=two_sided)
        return code

    z = np.array(start, np.float64)
    code = shrunk(z, 1.0 / how.beta)
    for beta in how.betas:
        coupling = threshold * beta

        def auxiliary(maps: Array, w: Array, coupling: float = coupling) -> float:
            gap = maps[model.dense:] - w[model.dense:]
            return model.cost(maps) + 0.5 * coupling * float(np.vdot(gap, gap)) + threshold * _prior(
                w[model.dense:], how.p)

        for _ in range(how.sweeps):
            before = auxiliary(z, code)
            w = shrunk(z, 1.0 / beta)
            between = auxiliary(z, w)
            z, spent = _coupled(model, coupling, w, z, how)
            after = auxiliary(z, w)
            now = shrunk(z, 1.0 / beta)
            moved, code = _moved(now, code), now
            yield Turn(beta, before, between, after, objective_of(model, code, threshold, how.p), code, z, spent, moved)
    if how.polish:
        yield from _polished(model, threshold, how, code, shrunk)


def largest_eigenvalue(model: Quadratic, iterations: int = 15, seed: int = 0) -> float:
    """Of H, by power iteration; approached from below, some percent short after 15 iterations."""
    v = np.random.default_rng(seed).standard_normal(model.drive.shape)
    size = 0.0
    for _ in range(iterations):
        v /= np.linalg.norm(v)
        v = model.hessian(v)
        size = float(np.linalg.norm(v))
        if size == 0.0:
            return 0.0
    return size


def conjugate_gradients(apply: Callable[[Array], Array], target: Array, start: Array, tolerance: float,
                        iterations: int) -> tuple[Array, int]:
    """Solve ``A z = target`` for a symmetric positive (semi)definite A; the solution and the iterations spent.

    Stops when |target - A z| <= tolerance |target|. No iterate has a larger ``1/2 z^T A z - target^T z`` than the one
    before.
    """
    z = start.copy()
    residual = target - apply(z)
    direction = residual.copy()
    size = float(np.vdot(residual, residual))
    limit = (tolerance * float(np.linalg.norm(target)))**2
    for spent in range(iterations):
        if size <= limit or size == 0.0:
            return z, spent
        product = apply(direction)
        curvature = float(np.vdot(direction, product))
        if curvature <= 0.0:  # only rounding is left of the direction
            return z, spent
        rate = size / curvature
        z += rate * direction
        residual -= rate * product
        size, last = float(np.vdot(residual, residual)), size
        direction = residual + (size / last) * direction
    return z, iterations


def _coupled(model: Quadratic, coupling: float, w: Array, start: Array, how: Continuation) -> tuple[Array, int]:
    """z of eq. 6: the minimiser of the quadratic cost plus ``coupling/2 |z - w|^2`` over the sparse maps."""
    target = model.drive.copy()
    target[model.dense:] += coupling * w[model.dense:]

    def apply(maps: Array) -> Array:
        product = model.hessian(maps)
        product[model.dense:] += coupling * maps[model.dense:]
        return product

    return conjugate_gradients(apply, target, start, how.cg_tolerance, how.cg_iterations)


def _polished(model: Quadratic, threshold: float, how: Continuation, code: Array,
              shrunk: Callable[[Array, float], Array]) -> Iterator[Turn]:
    """Proximal gradient steps; one that would raise the objective is taken again at half the length."""
    bound = 1.05 * largest_eigenvalue(model)
    value = objective_of(model, code, threshold, how.p)
    for _ in range(how.polish if bound else 0):
        gradient = model.hessian(code) - model.drive
        while True:
            now = shrunk(code - gradient / bound, threshold / bound)
            reached = objective_of(model, now, threshold, how.p)
            if reached <= value * (1.0 + 1e-13):
                break
            bound *= 2.0
        moved, before = _moved(now, code), value
        code, value = now, min(value, reached)
        yield Turn(math.inf, before, before, value, value, code, code, 0, moved)


def _prior(code: Array, p: float) -> float:
    return float(np.abs(code).sum() if p == 1.0 else (np.abs(code[code != 0])**p).sum())


def _moved(now: Array, before: Array) -> float:
    size = float(np.linalg.norm(now))
    change = float(np.linalg.norm(now - before))
    return change / size if size else (0.0 if change == 0.0 else math.inf)
