"""One tile at work on memories of its own, which a flip can set apart from its neighbours' copies; compiled.

``mesh.py`` keeps one state for all tiles, because without faults their copies agree. Here every add is done in every
tile, in the order of its RTL (``faulted_mesh.py``), so that copies that differ, and overflows that only one tile sees,
are exact.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from .kernel import Arithmetic, fit, sent_residual, stepped, transfer, wrap
from .plan import Plan
from .run import word_type
from .tile import Shape, shape_of
from .tiling import IntArray
from .timing import DETECT_FIFO, DETECT_FILL, HAZARD


class Tiles(NamedTuple):
    """The memories of all tiles, and where the events of a step are put."""

    u: IntArray  # (T, positions, K)
    d: npt.NDArray[np.integer]  # (T, th, tw*K), modulo its word
    r: IntArray  # (T, C, Hr, Wr)
    s: IntArray  # (T, C, Hr, Wr)
    gather: npt.NDArray[np.integer]  # (T, C, p, s, cover*K): of a column phase, the last position first
    scatter: IntArray  # (T, K, C, p, p)
    pixel: npt.NDArray[np.int32]  # (T, C*Hr*Wr) residual events: place in the region
    change: npt.NDArray[np.int32]  # and dr~
    pixels: IntArray  # (T,) how many
    neuron: npt.NDArray[np.int32]  # (T, positions*K) code events: position*K + k
    dy: npt.NDArray[np.int32]
    serial: npt.NDArray[np.int32]  # and the clock of the serialiser
    events: IntArray  # (T,) how many
    cycles: IntArray  # (T,) clocks of the serialiser for the whole sheet
    outside: IntArray  # (T,) membranes outside their range in the step
    active: IntArray  # (T,) neurons with a code after it
    gathers: IntArray  # (T, 4) products, issues, pauses, residual events of the step
    flag: npt.NDArray[np.bool_]  # (1,) an add left R's word


class Mesh(NamedTuple):
    """What does not change in a frame."""

    shape: Shape
    arithmetic: Arithmetic
    column_first: IntArray  # (Wr,) first V1 column that covers a region column
    inside: IntArray  # (T, 4) the part of the region inside the image
    patch: int
    cover: int
    operand: int  # bits of the lanes' second operand
    fields: IntArray  # (4,) bits of k, i, j, dy on a link


def tiles_of(plan: Plan, weights: IntArray) -> Tiles:
    """Cleared memories with their weights (K, C, p, p)."""
    t, g = plan.tiling, plan.tiling.geometry
    word = word_type(plan.drive_width)
    padded = np.zeros((g.kernels, g.channels, g.patch, g.cover * g.stride), np.int64)
    padded[..., : g.patch] = weights
    by_phase = padded.reshape(g.kernels, g.channels, g.patch, g.cover, g.stride)[..., ::-1, :]
    gather = by_phase.transpose(1, 2, 4, 3, 0).reshape(g.channels, g.patch, g.stride, g.cover * g.kernels)
    region, neurons = (t.count, g.channels, *t.region), (t.count, t.positions * g.kernels)
    pixels = (t.count, g.channels * t.region[0] * t.region[1])
    return Tiles(
        np.zeros((t.count, t.positions, g.kernels), np.int64),
        np.zeros((t.count, t.block[0], t.block[1] * g.kernels), word),
        np.zeros(region, np.int64),
        np.zeros(region, np.int64),
        np.repeat(gather[None], t.count, axis=0).astype(word),
        np.repeat(weights[None], t.count, axis=0).astype(np.int64),
        np.zeros(pixels, np.int32),
        np.zeros(pixels, np.int32),
        np.zeros(t.count, np.int64),
        np.zeros(neurons, np.int32),
        np.zeros(neurons, np.int32),
        np.zeros(neurons, np.int32),
        np.zeros(t.count, np.int64),
        np.zeros(t.count, np.int64),
        np.zeros(t.count, np.int64),
        np.zeros(t.count, np.int64),
        np.zeros((t.count, 4), np.int64),
        np.zeros(1, np.bool_),
    )


def mesh_of(plan: Plan, arithmetic: Arithmetic, fields: tuple[int, int, int, int]) -> Mesh:
    """The constants of a plan."""
    t, g = plan.tiling, plan.tiling.geometry
    operand = max(plan.residual_change_width, plan.code_change_width, plan.input_operand_width)
    inside = np.array([t.inside(tile) for tile in range(t.count)], np.int64)
    return Mesh(
        shape_of(plan), arithmetic, t.covering(1)[0], inside, g.patch, g.cover, operand, np.array(fields, np.int64)
    )


@njit(cache=True)
def detect(tile, m, e):  # type: ignore[no-untyped-def]
    """Scan a tile's R; its residual events in the order of the scan."""
    a, r, s, n = m.arithmetic, e.r[tile], e.s[tile], 0
    top, bottom, left, right = m.inside[tile]
    for c in range(r.shape[0]):
        for y in range(r.shape[1]):
            for x in range(r.shape[2]):
                seen = top <= y < bottom and left <= x < right
                new = sent_residual(r[c, y, x], a) if seen else 0
                old = s[c, y, x]
                if new != old:
                    e.pixel[tile, n], e.change[tile, n] = (c * r.shape[1] + y) * r.shape[2] + x, new - old
                    s[c, y, x] = new
                    n += 1
    e.pixels[tile] = n


@njit(cache=True)
def gather(tile, m, e):  # type: ignore[no-untyped-def]
    """A tile's residual events into its D; the clocks from the first of the phase until both are found done."""
    t, d, weights, kernels = m.shape, e.d[tile], e.gather[tile], m.shape.kernels
    pops = np.full(DETECT_FIFO, -(1 << 40), np.int64)
    enter, word, take, final, next_row, before = DETECT_FILL - 1, -1, -2, -1, -1, -1
    products, issues, pauses = 0, 0, 0
    for n in range(e.pixels[tile]):
        line, x = e.pixel[tile, n] // t.region_columns, e.pixel[tile, n] % t.region_columns
        c, y = line // t.region_rows, line % t.region_rows
        change, first, count = e.change[tile, n], t.row_first[line], t.row_count[line]
        column, phase = m.column_first[x], x % t.stride
        back, wide = (m.cover - 1 - (x // t.stride - column)) * kernels, t.column_count[x] * kernels
        for i in range(first, first + count):
            taps = weights[c, y - t.stride * i, phase]
            row = d[i]
            at = column * kernels
            for k in range(wide):
                row[at + k] += taps[back + k] * change
        common, pause = next_row - first, 0
        if 0 < common < HAZARD:
            pause = HAZARD - common
        if t.channels > 1:
            pause = HAZARD if 0 <= before != c else pause
            before = c
        next_row = first + count
        here = line * t.words_per_row + t.word[x]
        ahead = here - word
        enter = max(enter + max(ahead, 1), pops[n % DETECT_FIFO] + 1)
        word = here
        pops[n % DETECT_FIFO] = max(enter + 1, take)
        take = max(enter + 2, final)
        clocks = count * t.column_cycles[x]
        final = take + pause + clocks
        products += count * wide
        issues += clocks
        pauses += pause
    counts = e.gathers[tile]
    counts[0], counts[1], counts[2], counts[3] = products, issues, pauses, e.pixels[tile]
    scanned = t.channels * t.region_rows * t.words_per_row
    return max(enter + scanned - 1 - word, final) + 1


@njit(cache=True)
def update(tile, shift, m, e):  # type: ignore[no-untyped-def]
    """New membranes of a tile, and its code events with their clock in the serialiser."""
    a, u, d, kernels, t = m.arithmetic, e.u[tile], e.d[tile], m.shape.kernels, m.shape
    words = u.shape[0] // t.update_positions
    n, outside, active, cycles, before = 0, 0, 0, words, -1
    for position in range(u.shape[0]):
        i, j = position // t.block_columns, position % t.block_columns
        word = position // t.update_positions
        for k in range(kernels):
            old_u = u[position, k]
            old = transfer(old_u, a)
            exact = stepped(old_u, old, wrap(int(d[i, j * kernels + k]), a.drive_width, True), shift, a)
            outside += exact < a.membrane_low or exact > a.membrane_high
            new_u = fit(exact, a.membrane_low, a.membrane_high, a.membrane_wrap, True)
            u[position, k] = new_u
            new = transfer(new_u, a)
            active += new != 0
            dy = new - old
            if dy != 0:
                cycles += word == before
                before = word
                e.neuron[tile, n], e.dy[tile, n] = position * kernels + k, dy
                e.serial[tile, n] = word + cycles - words
                n += 1
    e.events[tile], e.cycles[tile], e.outside[tile], e.active[tile] = n, cycles, outside, active


@njit(cache=True)
def resend(tile, m, e):  # type: ignore[no-untyped-def]
    """A tile's codes as events from 0, for a refresh; their number."""
    t, u = m.shape, e.u[tile]
    words = u.shape[0] // t.update_positions
    n, cycles, before = 0, words, -1
    for position in range(u.shape[0]):
        word = position // t.update_positions
        for k in range(t.kernels):
            y = transfer(u[position, k], m.arithmetic)
            if y != 0:
                cycles += word == before
                before = word
                e.neuron[tile, n], e.dy[tile, n] = position * t.kernels + k, y
                e.serial[tile, n] = word + cycles - words
                n += 1
    e.events[tile], e.cycles[tile] = n, cycles
    return n


@njit(cache=True)
def add(tile, k, row, column, dy, m, e):  # type: ignore[no-untyped-def]
    """R -= w dy over the visible part of a patch, ``row`` and ``column`` in the tile's block or near it."""
    t, r, taps = m.shape, e.r[tile], e.scatter[tile, k]
    y, x = t.stride * row, t.stride * column
    operand, width = wrap(-int(dy), m.operand, True), m.arithmetic.residual_width
    half = 1 << (width - 1)
    for c in range(t.channels):
        for a in range(max(0, -y), min(m.patch, t.region_rows - y)):
            for b in range(max(0, -x), min(m.patch, t.region_columns - x)):
                total = r[c, y + a, x + b] + taps[c, a, b] * operand
                if not -half <= total < half:
                    e.flag[0] = True
                    total = wrap(total, width, True)
                r[c, y + a, x + b] = total
