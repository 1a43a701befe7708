"""ISTA, the iterative shrinkage-thresholding algorithm: a gradient step, then the shrinkage of the penalty.

``y <- prox_(h/L)(y + Phi^T (x - Phi y) / L)`` with L at least ``|Phi|^2`` (`spectrum.lipschitz`): the objective never
rises (Daubechies, Defrise, De Mol 2004; Beck and Teboulle 2009, whose bound is ``L |y* - y_0|^2 / (2 n)``). For l1 the
prox is a soft threshold lambda/L; for l0 it keeps what is at least ``lambda / sqrt(L)`` (iterative hard thresholding,
Blumensath and Davies 2008), which ends in a local minimum.
"""

import numpy as np

from ..threshold import transfer
from .base import Array, Iterate, Iterates, Problem, needs
from .spectrum import lipschitz

# An l0 code has settled once an iteration moves it by at most this much of its own size (L2 norms).
SETTLED = 1e-9


def ista(problem: Problem, start: Array) -> Iterates:
    """The iterates of ISTA from a code ``(K, H/s, W/s)``; for l1 and l0, any border of a `Problem`."""
    needs(problem, "ista", penalty=("l1", "l0"), weighted=True)
    bound = lipschitz(problem.dictionary, problem.conv.geometry, problem.border)
    code, settled = start, False
    while True:
        residual = problem.residual(code)
        drive = problem.conv.analysis(residual)
        yield Iterate(code, residual, drive, settled)
        moved = _prox(problem, code + drive / bound, bound)
        settled = problem.penalty == "l0" and bool(np.linalg.norm(moved - code) <= SETTLED * np.linalg.norm(moved))
        code = moved


def _prox(problem: Problem, values: Array, bound: float) -> Array:
    if problem.penalty == "l1":
        return problem.shrink(values, 1.0 / bound)
    return transfer(values, problem.threshold / bound**0.5, "hard", two_sided=problem.two_sided)
