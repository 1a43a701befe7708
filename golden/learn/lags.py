"""Correlations of code maps at every lag two receptive fields can overlap at, from the active units alone."""

import numpy as np
from numba import njit

from ..conv import Array


@njit(cache=True)
def _products(kernel, row, column, value, first, columns, rows, reach, total):  # type: ignore[no-untyped-def]
    """total[j, i, l] += y_j(P) y_i(P + l); units lie position by position, those of position n from first[n] on."""
    for m in range(len(value)):
        for dy in range(max(-reach, -row[m]), min(reach, rows - 1 - row[m]) + 1):
            for dx in range(max(-reach, -column[m]), min(reach, columns - 1 - column[m]) + 1):
                place = (row[m] + dy) * columns + column[m] + dx
                for n in range(first[place], first[place + 1]):
                    total[kernel[m], kernel[n], dy + reach, dx + reach] += value[m] * value[n]


def lag_products(code: Array, reach: int) -> Array:
    """``A[j, i, l] = sum_P y_j(P) y_i(P + l)`` for lags of up to ``reach`` positions per axis.

    Args:
        code: y, ``(K, H/s, W/s)``.
        reach: as `Geometry.reach`.

    Returns:
        ``(K, K, 2 reach + 1, 2 reach + 1)``, lag 0 in the middle.
    """
    kernels, rows, columns = code.shape
    by_position = np.ascontiguousarray(code.transpose(1, 2, 0)).reshape(rows * columns, kernels)
    place, kernel = np.nonzero(by_position)
    first = np.searchsorted(place, np.arange(rows * columns + 1))
    side = 2 * reach + 1
    total = np.zeros((kernels, kernels, side, side))
    _products(kernel, place // columns, place % columns, by_position[place, kernel], first, columns, rows, reach, total)
    return total
