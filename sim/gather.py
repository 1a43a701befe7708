"""Gather: residual events into a row of D. ``hw/gather.py`` is the same in gates, a pixel at a time.

The positions that a pixel drives in one V1 row lie side by side in D, K words each. The picture is cut into *strips*,
some pixel columns wide: all events of a strip, in the p pixel rows that a V1 row sees, share one window of D's row. It
is read once, and written once. A strip is as many cells wide as make its windows begin at whole vectors, so that no
vector straddles what the strip before has just written.
"""

from numba import njit

from .simd import LANES, UNROLLED, accumulate


@njit(inline="always")
def _window(d, at, weights, place, change, first, last, back, pieces):  # type: ignore[no-untyped-def]
    """``accumulate`` over ``pieces`` vectors, 1 to 8: how many it keeps in registers is part of its code."""
    if pieces == 8:
        accumulate(d, at, weights, place, change, first, last, back, 8)
    elif pieces == 7:
        accumulate(d, at, weights, place, change, first, last, back, 7)
    elif pieces == 6:
        accumulate(d, at, weights, place, change, first, last, back, 6)
    elif pieces == 5:
        accumulate(d, at, weights, place, change, first, last, back, 5)
    elif pieces == 4:
        accumulate(d, at, weights, place, change, first, last, back, 4)
    elif pieces == 3:
        accumulate(d, at, weights, place, change, first, last, back, 3)
    elif pieces == 2:
        accumulate(d, at, weights, place, change, first, last, back, 2)
    else:
        accumulate(d, at, weights, place, change, first, last, back, 1)


@njit(cache=True)
def gather_row(i, d, weights, place, change, reached, layout):  # type: ignore[no-untyped-def]
    """Every residual event that V1 row ``i`` sees into ``d`` (padded,), its drives."""
    n = layout
    begin, end = reached[n.stride * i], reached[n.stride * i + n.patch]
    back = n.stride * i * n.span * n.window
    for strip in range(n.strips):
        first, last = begin[strip], end[strip]
        if first == last:
            continue
        at, done = strip * n.group * n.kernels, 0
        while done < n.window:
            pieces = min((n.window - done) // LANES, UNROLLED)
            _window(d, at + done, weights, place, change, first, last, back - done, pieces)
            done += pieces * LANES
