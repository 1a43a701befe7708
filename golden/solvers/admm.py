"""ADMM for convolutional sparse coding, every linear system solved exactly in the frequency domain.

The code is held twice: w explains the picture, y is sparse, and the multiplier u draws them together (Boyd et al. 2011;
Bristow, Eriksson, Lucey 2013; Wohlberg 2016)::

    w <- (Phi^T Phi + rho)^-1 (Phi^T x + rho (y - u))       exact: `spectrum.Spectrum.solve`
    w'<- a w + (1 - a) y                                     over-relaxation, a = 1.8
    y <- shrink(w' + u, lambda / rho)
    u <- u + w' - y

That needs Phi as a convolution on a torus. With the *circular* border it is one. With the *extended* one Phi is the
torus' convolution of those codes that belong to the image: the others are held at 0 in y. With the *cropped* one the
pixels outside the image count for nothing as well, which is no convolution: their values become a variable of their
own, ``v = Phi w`` on the whole torus with the data term on the pixels of the image only (mask decoupling, Heide,
Heidrich, Wetzstein 2015), with a penalty rho_v of its own::

    w <- (rho_v Phi^T Phi + rho)^-1 (rho_v Phi^T (v - t) + rho (y - u))
    v <- (x + rho_v (Phi w' + t)) / (1 + rho_v) on the image, Phi w' + t elsewhere
    t <- t + Phi w' - v

The answer is y: sparse, 0 outside the image, allowed by the problem. Its objective may rise on the way.

rho balances the relative primal and dual residuals (He, Yang, Wang 2000; Wohlberg 2017): every tenth iteration it is
multiplied by the root of their ratio, by at most 10, the multipliers divided likewise; after ``adapt`` iterations it
stays, which the convergence proof asks for.
"""

import math

import numpy as np

from ..errors import InputError
from .base import Array, Iterate, Iterates, Problem, needs
from .spectrum import Spectrum, torus

# rho is looked at every so manieth iteration, and multiplied by at most so much.
BALANCE_EVERY = 10
BALANCE_MOST = 10.0


def admm(problem: Problem, start: Array, *, rho: float | None = None, rho_v: float = 0.1, relaxation: float = 1.8,
         adapt: int = 200) -> Iterates:
    """The iterates of ADMM from a code ``(K, H/s, W/s)``; for l1, any border of a `Problem`.

    Args:
        rho: penalty of ``w = y``; ``50 lambda + 1`` when None.
        rho_v: penalty of ``v = Phi w``, used with the cropped border; it is not adapted.
        relaxation: a, from 1 (none) to below 2.
        adapt: iterations during which rho is adapted; 0: never.

    Raises:
        InputError: an option outside its range.
    """
    needs(problem, "admm", weighted=True)
    for name, value in (("rho", rho), ("rho_v", rho_v)):
        if value is not None and not 0 < value < math.inf:
            raise InputError(f"{name} must be a finite number above 0, not {value}")
    if not 1 <= relaxation < 2:
        raise InputError(f"the relaxation must be from 1 (none) to below 2, not {relaxation}; 1.8 suits most problems")
    if adapt < 0:
        raise InputError(f"adapt must be 0 (rho stays) or a number of iterations, not {adapt}")
    rho = 50.0 * problem.threshold + 1.0 if rho is None else rho
    cropped = problem.border == "cropped"
    state = _Masked(problem, start, rho, relaxation, rho_v) if cropped else _Whole(problem, start, rho, relaxation)
    done = 0
    while True:
        yield Iterate(state.answer)
        primal, dual = state.step()
        done += 1
        if done <= adapt and done % BALANCE_EVERY == 0 and primal > 0 and dual > 0:
            state.rescale(min(max(math.sqrt(primal / dual), 1 / BALANCE_MOST), BALANCE_MOST))


class _Whole:
    """Circular and extended borders: the picture is the whole torus."""

    def __init__(self, problem: Problem, start: Array, rho: float, relaxation: float) -> None:
        self.problem, self.rho, self.relaxation = problem, rho, relaxation
        g = problem.conv.geometry
        self.spectrum = Spectrum(problem.dictionary, torus(g, problem.border))
        self.sheet = g.sheet
        rows, columns = self.spectrum.sheet
        self.torus_shape = (g.channels, rows * g.stride, columns * g.stride)
        self.y = np.zeros((g.kernels, rows, columns))
        self.y[:, :g.sheet[0], :g.sheet[1]] = start
        self.u = np.zeros_like(self.y)
        self.match = self.spectrum.analysis(self.spectrum.to_image(self.placed(problem.frame)))

    @property
    def answer(self) -> Array:
        """y over the image."""
        return self.y[:, :self.sheet[0], :self.sheet[1]]

    def placed(self, frame: Array) -> Array:
        """A residual's frame on the torus, whose pixel 0 is the image's first; zeros elsewhere."""
        g = self.problem.conv.geometry
        margin = g.margin if self.problem.border == "extended" else 0
        canvas = np.zeros(self.torus_shape)
        canvas[:, :frame.shape[1], :frame.shape[2]] = frame
        return np.roll(canvas, (-margin, -margin), (1, 2))

    def sparse(self, values: Array) -> Array:
        """The shrinkage of codes on the torus, 0 outside the image."""
        rows, columns = self.sheet
        y = np.zeros_like(values)
        part = np.ascontiguousarray(values[:, :rows, :columns])
        y[:, :rows, :columns] = self.problem.shrink(part, 1.0 / self.rho)
        return y

    def explain(self) -> Array:
        """w of the next step."""
        right = self.match + self.rho * self.spectrum.to_code(self.y - self.u)
        return self.spectrum.from_code(self.spectrum.solve(right, self.rho))

    def step(self) -> tuple[float, float]:
        """One iteration; the relative primal and dual residuals."""
        w = self.explain()
        relaxed = self.relaxation * w + (1.0 - self.relaxation) * self.y
        before = self.y
        self.y = self.sparse(relaxed + self.u)
        self.u = self.u + relaxed - self.y
        return (_ratio(_norm(w - self.y), max(_norm(w), _norm(self.y))),
                _ratio(_norm(self.y - before), _norm(self.u)))

    def rescale(self, factor: float) -> None:
        """rho times factor; the multipliers keep their unscaled value."""
        self.rho *= factor
        self.u /= factor


class _Masked(_Whole):
    """Cropped border: pixels outside the image are free."""

    def __init__(self, problem: Problem, start: Array, rho: float, relaxation: float, rho_v: float) -> None:
        super().__init__(problem, start, rho, relaxation)
        self.image = self.placed(problem.frame)
        self.inside = self.placed(np.ones_like(problem.frame))
        self.rho_v = rho_v
        s = self.spectrum
        self.v = s.from_image(s.synthesis(s.to_code(self.y)))
        self.t = np.zeros_like(self.v)

    def step(self) -> tuple[float, float]:
        """One iteration; the relative primal and dual residuals, of both splits together."""
        s, a = self.spectrum, self.relaxation
        ratio = self.rho / self.rho_v
        right = s.analysis(s.to_image(self.v - self.t)) + ratio * s.to_code(self.y - self.u)
        spectrum = s.solve(right, ratio)
        w, seen = s.from_code(spectrum), s.from_image(s.synthesis(spectrum))
        w_relaxed, seen_relaxed = a * w + (1.0 - a) * self.y, a * seen + (1.0 - a) * self.v
        before = self.y
        self.y = self.sparse(w_relaxed + self.u)
        self.u = self.u + w_relaxed - self.y
        free = seen_relaxed + self.t
        self.v = np.where(self.inside > 0, (self.image + self.rho_v * free) / (1.0 + self.rho_v), free)
        self.t = free - self.v
        return (_ratio(_norm(w - self.y), max(_norm(w), _norm(self.y))),
                _ratio(_norm(self.y - before), _norm(self.u)))


def _norm(values: Array) -> float:
    return float(np.linalg.norm(values))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0
