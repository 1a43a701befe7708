"""How good a code is: error, sparseness, peak signal to noise, energy. Arrays in, plain floats out."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from .threshold import Transfer, cost

Array = npt.NDArray[np.float64]


def percent_error(image: Array, residual: Array) -> float:
    """``100 |x - Phi y|_2 / |x|_2``, the paper's percent error, over the whole image and with the residual untruncated.

    Args:
        image: x, ``(C, H, W)``, the float input.
        residual: ``x - Phi y``, the same shape.

    Returns:
        Percent: 0 is exact, 100 as bad as no code at all. Of a blank image: 0 when the residual is blank too, else
        infinity.
    """
    error, size = float(np.linalg.norm(residual)), float(np.linalg.norm(image))
    if size == 0.0:
        return 0.0 if error == 0.0 else math.inf
    return 100.0 * error / size


def percent_inactive(code: npt.NDArray[Any]) -> float:
    """``100 (1 - nonzero / all)``: the share of V1 units that are silent, in percent."""
    return 100.0 * (1.0 - np.count_nonzero(code) / code.size)


def psnr_db(residual: Array) -> float:
    """Peak signal to noise ratio ``-10 log10(mean r^2)`` in dB for a peak of 1; infinity when the residual is 0."""
    mean_square = float(np.mean(np.square(residual)))
    return math.inf if mean_square == 0.0 else -10.0 * math.log10(mean_square)


def energy(residual: Array, code: Array, threshold: float, transfer: Transfer = "hard") -> float:
    """``1/2 |x - Phi y|^2 + sum C(y_k)``, what the network descends (Schultz, Paiton, Lu, Kenyon, eq. 3).

    C is the cost of `threshold`, which differs from the printed one; squared image values.
    """
    return 0.5 * float(np.vdot(residual, residual)) + cost(code, threshold, transfer)
