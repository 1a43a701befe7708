"""One tile of the delta machine: update, scatter, detect and gather on a tile's own memories, with the cycles they
take.

The compiled functions change a tile's arrays in place and return what happened, event by event and in the order of the
RTL, so that every count and every cycle comes from the run. ``hw/tile.py`` is the same block in gates.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from .kernel import fit, sent_residual, stepped, transfer, wrap
from .plan import Plan
from .tiling import IntArray
from .timing import DETECT_FIFO, DETECT_FILL, HAZARD


class Shape(NamedTuple):
    """Sizes and service tables of a tile, for the compiled functions."""

    stride: int
    patch: int
    ppc: int
    kernel_groups: int
    detect_lanes: int
    reach: int
    row_first: IntArray  # gather: first V1 row and rows per region row
    row_count: IntArray
    column_first: IntArray
    column_count: IntArray
    patch_row_first: IntArray  # scatter: first visible patch row and rows, by position + reach
    patch_row_count: IntArray
    patch_column_first: IntArray
    patch_column_count: IntArray
    patch_groups: IntArray  # scatter: visible column groups, by position + reach


def shape_of(plan: Plan) -> Shape:
    """The tables of a plan's tile."""
    t, g = plan.tiling, plan.tiling.geometry
    return Shape(
        g.stride,
        g.patch,
        t.positions_per_cycle,
        t.kernel_groups,
        t.detect_lanes,
        g.reach,
        *t.covering(0),
        *t.covering(1),
        *t.visible(0),
        *t.visible(1),
        t.visible_groups()[1],
    )


@njit(cache=True)
def update(u, d, shift, a, send, k_out, i_out, j_out, dy_out, serial_out, to_out):  # type: ignore[no-untyped-def]
    """New membranes of a tile; the changed codes in serial order.

    Args:
        u, d: (th, tw, K). send: (th, tw) neighbour masks.
        *_out: arrays of at least th*tw*K: kernel, row, column, change, cycle in the serialiser, neighbour mask.

    Returns:
        (events, serialiser cycles of the whole sheet, membranes outside their range, membranes active after it)
    """
    rows, columns, kernels = u.shape
    n, serial, outside, active = 0, 0, 0, 0
    for i in range(rows):
        for j in range(columns):
            start = n
            for k in range(kernels):
                old = transfer(u[i, j, k], a)
                exact = stepped(u[i, j, k], old, wrap(d[i, j, k], a.drive_width, True), shift, a)
                outside += exact < a.membrane_low or exact > a.membrane_high
                u[i, j, k] = fit(exact, a.membrane_low, a.membrane_high, a.membrane_wrap, True)
                new = transfer(u[i, j, k], a)
                active += new != 0
                if new != old:
                    k_out[n], i_out[n], j_out[n], dy_out[n] = k, i, j, new - old
                    serial_out[n] = serial + n - start
                    to_out[n] = send[i, j]
                    n += 1
            serial += max(1, n - start)
    return n, serial, outside, active


@njit(cache=True)
def scatter(r, w, events, first, last, link, di, dj, shape, a, counts):  # type: ignore[no-untyped-def]
    """Events ``first .. last`` of one source into a tile's R.

    Args:
        r: (C, Hr, Wr). events: (k, i, j, dy, mask) arrays of the source. link: the source's link bit to this tile, -1
        for the
            tile's own. di, dj: what brings the source's positions into this tile's coordinates.
        counts: int64[4] += products, issues, events; [3] is set when an add left R's word.

    Returns:
        cycles of the lanes: issues and pauses.
    """
    k_in, i_in, j_in, dy_in, to_in = events
    channels, stride = r.shape[0], shape.stride
    half = 1 << (a.residual_width - 1)
    cycles = 0
    for n in range(first, last):
        if link >= 0 and not to_in[n] >> link & 1:
            continue
        i, j, k, dy = i_in[n] + di, j_in[n] + dj, k_in[n], dy_in[n]
        row0, rows = shape.patch_row_first[i + shape.reach], shape.patch_row_count[i + shape.reach]
        column0, columns = shape.patch_column_first[j + shape.reach], shape.patch_column_count[j + shape.reach]
        y0, x0 = stride * i, stride * j
        for c in range(channels):
            for row in range(row0, row0 + rows):
                for column in range(column0, column0 + columns):
                    total = r[c, y0 + row, x0 + column] - w[k, c, row, column] * dy
                    if total >= half or total < -half:
                        counts[3] = 1
                        total = wrap(total, a.residual_width, True)
                    r[c, y0 + row, x0 + column] = total
        issues = channels * rows * shape.patch_groups[j + shape.reach]
        counts[0] += channels * rows * columns
        counts[1] += issues
        counts[2] += 1
        cycles += issues + HAZARD
    return cycles


@njit(cache=True)
def detect(r, s, inside, a, shape, c_out, y_out, x_out, dr_out, word_out):  # type: ignore[no-untyped-def]
    """Scan a tile's region; the changed pixels in raster order.

    Args:
        r, s: (C, Hr, Wr) residual and sent residual. inside: (y_low, y_high, x_low, x_high).
        *_out: arrays of at least C*Hr*Wr: channel, row, column, change, word of the scan.

    Returns:
        (events, words scanned)
    """
    channels, rows, columns = r.shape
    per_row = -(-columns // shape.detect_lanes)
    n, word0 = 0, 0
    for c in range(channels):
        for y in range(rows):
            if inside[0] <= y < inside[1]:
                for x in range(inside[2], inside[3]):
                    new = sent_residual(r[c, y, x], a)
                    if new != s[c, y, x]:
                        c_out[n], y_out[n], x_out[n], dr_out[n] = c, y, x, new - s[c, y, x]
                        word_out[n] = word0 + x // shape.detect_lanes
                        s[c, y, x] = new
                        n += 1
            word0 += per_row
    return n, word0


@njit(cache=True)
def gather(d, w, events, count, words, shape, counts):  # type: ignore[no-untyped-def]
    """Residual events into a tile's D, and the clock of the whole detect and gather phase.

    Args:
        d: (th, tw, K). w: (C, p, p, K). events: (c, y, x, dr, word) arrays, ``count`` of them; ``words`` scanned.
        counts: int64[3] += products, issues, pauses.

    Returns:
        cycle, counted from the first one of the phase, in which detect and gather are both found to be done.

    The recurrence (d = depth of the FIFO): an event enters when its word is in the serialiser, one a cycle, and a
    place was free the cycle before (``in_e >= pop_e-d + 1``); it is looked up at ``pop_e = max(in_e + 1, take_e-1)``,
    taken at ``take_e = max(pop_e + 1, final_e-1)`` and ends at ``final_e = take_e + pause + rows * groups``.
    """
    c_in, y_in, x_in, dr_in, word_in = events
    kernels, stride = d.shape[2], shape.stride
    pops = np.zeros(DETECT_FIFO, np.int64)
    enter, word, take, final, last_row = DETECT_FILL, 0, -2, -1, -1
    for e in range(count):
        y, x, dr = y_in[e], x_in[e], dr_in[e]
        enter += word_in[e] - word if e == 0 else max(1, word_in[e] - word)
        word = word_in[e]
        if e >= DETECT_FIFO:
            enter = max(enter, pops[e % DETECT_FIFO] + 1)
        pop = max(enter + 1, take)
        pops[e % DETECT_FIFO] = pop
        row0, rows = shape.row_first[y], shape.row_count[y]
        column0, columns = shape.column_first[x], shape.column_count[x]
        groups = -(-columns // shape.ppc) * shape.kernel_groups
        common = last_row - row0 + 1
        pause = HAZARD - common if e > 0 and 0 < common < HAZARD else 0
        if e > 0 and c_in[e] != c_in[e - 1]:
            pause = HAZARD
        last_row = row0 + rows - 1
        take = max(pop + 1, final)
        final = take + pause + rows * groups
        counts[0] += rows * columns * kernels
        counts[1] += rows * groups
        counts[2] += pause
        for i in range(row0, row0 + rows):
            for j in range(column0, column0 + columns):
                weights = w[c_in[e], y - stride * i, x - stride * j]
                target = d[i, j]
                for k in range(kernels):
                    target[k] += weights[k] * dr
    leave = enter + words - 1 - word
    return max(leave, final) + 1
