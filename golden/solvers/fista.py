"""FISTA: ISTA from a point ahead of the code, Beck and Teboulle, *SIAM J. Imaging Sciences* 2 (2009) 183-202.

``y_n = shrink(z + Phi^T (x - Phi z) / L, lambda / L)``, ``z = y_n + (t_n - 1)/t_(n+1) (y_n - y_(n-1))`` with
``t_(n+1) = (1 + sqrt(1 + 4 t_n^2))/2``: the objective is within ``2 L |y* - y_0|^2 / (n + 1)^2`` of the optimum, but
it may rise on the way. With ``restart``, t falls back to 1 whenever the last move went against the step's gradient
(O'Donoghue and Candes 2015), which keeps the bound between restarts and removes most of the ripples.

Residual and drive are linear in the code, so that those of z follow from those of the last two codes: an iteration
costs one synthesis and one analysis, and the duality gap is free.
"""

import math

import numpy as np

from .base import Array, Iterate, Iterates, Problem, needs
from .spectrum import lipschitz


def fista(problem: Problem, start: Array, *, restart: bool = True) -> Iterates:
    """The iterates of FISTA from a code ``(K, H/s, W/s)``; for l1, any border of a `Problem`.

    Args:
        restart: forget the momentum when it points uphill; False: the method as published.
    """
    needs(problem, "fista", weighted=True)
    bound = lipschitz(problem.dictionary, problem.conv.geometry, problem.border)
    code = start
    residual = problem.residual(code)
    drive = problem.conv.analysis(residual)
    ahead, ahead_drive, t = code, drive, 1.0
    while True:
        yield Iterate(code, residual, drive)
        moved = problem.shrink(ahead + ahead_drive / bound, 1.0 / bound)
        step = moved - code
        if restart and float(np.vdot(ahead - moved, step)) > 0.0:
            t = 1.0
        residual = problem.residual(moved)
        new_drive = problem.conv.analysis(residual)
        t_next = (1.0 + math.sqrt(1.0 + 4.0 * t * t)) / 2.0
        momentum = (t - 1.0) / t_next
        ahead = moved + momentum * step
        ahead_drive = new_drive + momentum * (new_drive - drive)
        code, drive, t = moved, new_drive, t_next
