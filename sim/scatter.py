"""Scatter: code events into R, and whether an add leaves R's word. ``hw/scatter.py`` is the same in gates.

Whether an add overflows depends on the order of the adds, and every tile has its own. ``most_added`` proves for most
steps that no order can; for the others ``mesh.py`` asks the tiles one by one (``exchange.overflows``).
"""

import numpy as np
from numba import njit

from .simd import LANES, accumulate, shift_down, shift_up


@njit(cache=True)
def burden(i, events, neuron, dy, load, largest, layout):  # type: ignore[no-untyped-def]
    """``load[i, g] = sum |dy| * largest weight`` over row i's events at positions ``g*cover .. (g + 1)*cover - 1``."""
    for g in range(load.shape[1]):
        load[i, g] = 0
    for e in range(events):
        j = neuron[i, e] // layout.kernels
        load[i, j // layout.cover] += abs(dy[i, e]) * largest[neuron[i, e] - j * layout.kernels]


@njit(cache=True)
def most_added(lists, layout):  # type: ignore[no-untyped-def]
    """A bound of what any of this step's adds, in any order and in part, can do to a pixel.

    A pixel is seen by ``cover`` positions along an axis, so by at most two neighbouring groups of ``cover``: it is the
    largest burden of 2 x 2 groups.
    """
    groups = lists.load.shape[1]
    most, now, before = 0, np.zeros(groups + 1, np.int64), np.zeros(groups + 1, np.int64)
    for row in range(0, layout.rows, layout.cover):
        for g in range(groups):
            before[g], now[g] = now[g], 0
        for i in range(row, min(layout.rows, row + layout.cover)):
            for g in range(groups):
                now[g] += lists.load[i, g]
        for g in range(groups):
            most = max(most, now[g] + before[g] + now[g + 1] + before[g + 1])
    return most


@njit(cache=True)
def scatter_rows(first, last, r, weights, lists, layout, minus, zero):  # type: ignore[no-untyped-def]
    """This step's code events into the region rows ``first .. last - 1`` of R.

    Args:
        minus, zero: one-entry scratch, for the change of an event and for the offset 0.
    """
    n = layout
    flat, row_words = r.reshape(-1), r.shape[2]
    for i in range(max(0, -((n.patch - 1 - first) // n.stride)), min(n.rows, (last - 1) // n.stride + 1)):
        y = n.stride * i
        low, high = max(0, first - y), min(n.patch, last - y)
        for e in range(lists.fired[i]):
            neuron = lists.neuron[i, e]
            j = neuron // n.kernels
            k = neuron - j * n.kernels
            minus[0] = -lists.dy[i, e]
            for ch in range(n.channels):
                for a in range(low, high):
                    at = (ch * r.shape[1] + y + a) * row_words + n.stride * j
                    taps = ((k * n.channels + ch) * n.patch + a) * n.tap_row
                    for done in range(0, n.tap_row, LANES):
                        accumulate(flat, at + done, weights, zero, minus, 0, 1, -taps - done, 1)


@njit(cache=True)
def wrap_rows(first, last, r, width):  # type: ignore[no-untyped-def]
    """R modulo 2^width, in place."""
    word = r.dtype.type
    unused = word(r.itemsize * 8 - width)
    for ch in range(r.shape[0]):
        for y in range(first, last):
            row = r[ch, y]
            for x in range(row.size):
                row[x] = shift_down(shift_up(row[x], unused), unused)
