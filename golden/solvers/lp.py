"""The proximal operator of ``|w|^p``, 0 < p <= 1: the one-dimensional problem that half-quadratic splitting leaves.

``prox(v) = argmin_w 1/2 (w - v)^2 + weight |w|^p``. For p = 1 it is shrinkage (Zeiler et al. 2010, eq. 8). For p < 1
the paper looks it up in a table; here it is solved to rounding error. A minimiser w > 0 for v > 0 is the larger root of
``w - v + weight p w^(p-1)``, a convex function that rises there, so that Newton's steps from v fall onto the root
without passing it. At the jump

    ``w_jump = (2 weight (1 - p))^(1/(2 - p))``,  ``v_jump = w_jump + weight p w_jump^(p - 1)``

0 and w_jump cost the same; below it 0 costs less, above it the root. At the jump itself 0 is taken, the sparser one.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from ..errors import InputError

Array = npt.NDArray[np.float64]

# The most Newton steps; 4 to 9 do, also at the jump, where the slope is least: 1 - p/2.
_STEPS = 60


def check_exponent(p: float) -> None:
    """Refuse an exponent outside (0, 1] with an InputError."""
    if not 0 < p <= 1:
        raise InputError(f"p must be above 0 and at most 1, not {p}; 1 is the l1 norm, 0.5 and 0.8 code more sparsely")


def jump(weight: float, p: float) -> tuple[float, float]:
    """``(v_jump, w_jump)``: up to v_jump the operator gives 0, above it at least w_jump; (weight, 0) for p = 1."""
    check_exponent(p)
    if p == 1.0:
        return weight, 0.0
    low = (2.0 * weight * (1.0 - p)) ** (1.0 / (2.0 - p))
    return low + weight * p * low ** (p - 1.0), low


def proximal(values: Array, weight: float, p: float = 1.0, *, two_sided: bool = True) -> Array:
    """``argmin_w 1/2 (w - v)^2 + weight |w|^p`` element by element.

    Args:
        values: v, any shape.
        weight: above 0, in the units of v to the power 2 - p.
        p: above 0, at most 1.
        two_sided: False: w may not be negative, so that v <= 0 gives 0.

    Returns:
        The same shape, exact to rounding.

    Raises:
        InputError: p or a weight outside its range.
    """
    if not 0 < weight < math.inf:
        raise InputError(f"the weight of |w|^p must be a finite number above 0, not {weight}")
    threshold, _ = jump(weight, p)
    v = np.ascontiguousarray(values, np.float64)
    if p == 1.0:
        size = np.maximum((np.abs(v) if two_sided else v) - threshold, 0.0)
        return np.copysign(size, v) * (size > 0)
    found: Array = _roots(v.reshape(-1), weight, p, threshold, two_sided).reshape(v.shape)
    return found


@njit(cache=True)
def _roots(values: Any, weight: float, p: float, threshold: float, two_sided: bool) -> Any:
    found = np.zeros(values.size)
    for n in range(values.size):
        v = values[n]
        size = abs(v)
        if size <= threshold or (v < 0 and not two_sided):
            continue
        w = size
        for _ in range(_STEPS):
            slope = weight * p * w ** (p - 1.0)
            step = (w - size + slope) / (1.0 + (p - 1.0) * slope / w)
            w -= step
            if step <= 1e-15 * w:
                break
        found[n] = w if v > 0 else -w
    return found
