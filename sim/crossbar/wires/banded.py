"""Symmetric positive definite band matrices with many right-hand sides: Cholesky factor and substitution.

LAPACK factorises (pbtrf). Its substitution (pbtrs) takes right-hand sides one by one, each through the whole factor;
a crossbar has as many as an array has lines, so here they all go through it once: entry by entry where the band is
narrow, by blocks through matrix products where it is wide.
"""

import numpy as np
from numba import njit
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray
from scipy.linalg import blas, lapack

Floats = NDArray[np.float64]

BLOCK = 64  # columns of the factor at a time
WIDE = 4096  # band x right-hand sides, above which blocks are faster (measured)


class NotPositiveError(ArithmeticError):
    """The matrix has a pivot that is not positive: ``args[0]`` is its place."""


def factorised(band: Floats) -> Floats:
    """Cholesky factor of a matrix given by its lower band, which is overwritten.

    Args:
        band: (size, width): row c holds column c from the diagonal down.

    Returns:
        The factor in the same form.

    Raises:
        NotPositiveError: the matrix is not positive definite in float64.
    """
    if not len(band):
        return band
    factor, info = lapack.dpbtrf(band.T, lower=1, overwrite_ab=1)
    if info:
        raise NotPositiveError(info - 1)
    return np.ascontiguousarray(factor.T)


def substitute(factor: Floats, values: Floats) -> None:
    """Solve in place for all right-hand sides: values (size, S), C order."""
    if (factor.shape[1] - 1) * values.shape[1] < WIDE:
        _by_entries(factor, values)
    else:
        _by_blocks(factor, values)


@njit(cache=True, nogil=True)
def _by_entries(factor: Floats, values: Floats) -> None:
    """Forward and back substitution, one entry of the factor and all right-hand sides at a time."""
    size, width = factor.shape
    settings = values.shape[1]
    for c in range(size):
        for s in range(settings):
            values[c, s] /= factor[c, 0]
        for d in range(1, min(width, size - c)):
            for s in range(settings):
                values[c + d, s] -= factor[c, d] * values[c, s]
    for c in range(size - 1, -1, -1):
        for d in range(1, min(width, size - c)):
            for s in range(settings):
                values[c, s] -= factor[c, d] * values[c + d, s]
        for s in range(settings):
            values[c, s] /= factor[c, 0]


def _by_blocks(factor: Floats, values: Floats) -> None:
    """The same with BLOCK columns of the factor written out as a triangle and what stands below it."""
    size, width = factor.shape
    off_diagonal = np.arange(BLOCK + width - 1) - np.arange(BLOCK)[:, None]
    inside = ((off_diagonal >= 0) & (off_diagonal < width)).astype(np.float64)
    entry = factor.strides[1]

    def block(start: int) -> tuple[Floats, Floats, slice, slice]:
        """Triangle and rest, transposed; their places. Row r of column c lies r - c behind the column's diagonal."""
        count, reach = min(BLOCK, size - start), min(BLOCK + width - 1, size - start)
        reach = min(reach, count + width - 1)
        skewed = as_strided(factor[start:], (count, reach), (entry * (width - 1), entry), writeable=False)
        dense = skewed * inside[:count, :reach]
        end = start + count
        return dense[:, :count], dense[:, count:], slice(start, end), slice(end, start + reach)

    starts = range(0, size, BLOCK)
    for start in starts:
        triangle, below, here, after = block(start)
        values[here] = blas.dtrsm(1.0, triangle.T, values[here].T, side=1, lower=1, trans_a=1).T
        values[after] -= below.T @ values[here]
    for start in reversed(starts):
        triangle, below, here, after = block(start)
        values[here] -= below @ values[after]
        values[here] = blas.dtrsm(1.0, triangle.T, values[here].T, side=1, lower=1).T
