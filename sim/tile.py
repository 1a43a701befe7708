"""One tile's clock: detect and gather, from the residual events of its region; and the tables of its service times.

The words are formed for the whole network at once (``detect.py``, ``gather.py``); here is how long a tile takes for its
share, in the order in which its RTL meets the events. ``hw/tile.py`` is the tile in gates.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from .plan import Plan
from .simd import MARKS, spread
from .tiling import IntArray
from .timing import DETECT_FIFO, DETECT_FILL, HAZARD

_ALL = np.uint64((1 << 64) - 1)
_LINE, _COLUMN = 32, (1 << 32) - 1  # a place in the region: its line above its column


class Shape(NamedTuple):
    """Sizes and service tables of a tile, for the compiled functions."""

    tile_rows: int  # of the mesh
    tile_columns: int
    block_rows: int  # V1 positions of a tile
    block_columns: int
    kernels: int
    channels: int
    stride: int
    region_rows: int
    region_columns: int
    words_per_row: int  # of the scan
    update_positions: int
    reach: int
    link_depth: int
    row_first: IntArray  # gather: first V1 row and rows per line of the region, channel after channel
    row_count: IntArray
    column_count: IntArray  # V1 columns per region column, and the cycles of one of their rows
    column_cycles: IntArray
    word: IntArray  # of the scan, per region column
    patch_rows: IntArray  # scatter: visible patch rows, columns and column groups, by position + reach
    patch_columns: IntArray
    patch_groups: IntArray
    send: IntArray  # (block rows, block columns) neighbour masks
    neighbours: IntArray  # (T, 8), -1 where there is none


def shape_of(plan: Plan) -> Shape:
    """The tables of a plan's tile."""
    t, g = plan.tiling, plan.tiling.geometry
    rows, columns = t.covering(0), t.covering(1)[1]
    return Shape(
        *t.tiles, *t.block, g.kernels, g.channels, g.stride, *t.region, t.sent_words_per_row, t.update_positions,
        g.reach, plan.link_depth, np.tile(rows[0], g.channels), np.tile(rows[1], g.channels), columns,
        -(-columns // t.positions_per_cycle) * t.kernel_groups, np.arange(t.region[1]) // t.detect_lanes,
        t.visible(0)[1], t.visible(1)[1], t.visible_groups()[1], t.send_mask(), t.neighbours,
    )  # fmt: skip


@njit(cache=True)
def _window(left, right, layout, inside, start):  # type: ignore[no-untyped-def]
    """For each word of a row's marks: the bits that stand for the pixel columns ``left .. right - 1``, and the pixel
    column of its first bit; the first word with such bits, and one beyond the last."""
    n, words = layout, inside.size // layout.blocks
    begin, end = inside.size, 0
    for at in range(inside.size):
        start[at] = max(at // words * n.span * n.block_strips, n.margin) + at % words * MARKS
        low, high = max(0, left - start[at]), min(MARKS, right - start[at])
        if low < high:
            inside[at] = (_ALL >> np.uint64(MARKS - high + low)) << np.uint64(low)
            begin, end = min(begin, at), at + 1
        else:
            inside[at] = 0
    return begin, end


@njit(cache=True)
def gather_clock(tile, marks, layout, shape, pops, inside, start, place, counts):  # type: ignore[no-untyped-def]
    """The clock of a tile's detect and gather.

    Args:
        marks: the residual events, as in ``sheet.Lists``. pops, inside, start, place: scratch (DETECT_FIFO,), words
        of a row twice, and more than a row of bits.
        counts: (T, 4), of this tile = products, issues, pauses, residual events.

    Returns:
        cycle, counted from the first one of the phase, in which detect and gather are both found to be done.

    The recurrence (d = depth of the FIFO): an event enters when its word is in the serialiser, one a cycle, and a
    place was free the cycle before (``in_e >= pop_e-d + 1``); it is looked up at ``pop_e = max(in_e + 1, take_e-1)``,
    taken at ``take_e = max(pop_e + 1, final_e-1)`` and ends at ``final_e = take_e + pause + rows * groups``. As
    ``take_e-1 < final_e-1``, the time of lookup matters to the FIFO alone: ``take_e = max(in_e + 2, final_e-1)``.
    """
    n, t = layout, shape
    y0 = tile // t.tile_columns * t.block_rows * t.stride
    x0 = tile % t.tile_columns * t.block_columns * t.stride
    top, bottom = max(y0, n.margin), min(y0 + t.region_rows, n.margin + n.height)
    left, right = max(x0, n.margin), min(x0 + t.region_columns, n.margin + n.width)
    begin, end = _window(left, right, n, inside, start)
    pops[:] = -(1 << 40)
    enter, word, take, final, next_row, last_channel = DETECT_FILL - 1, -1, -2, -1, -1, -1
    events, products, issues, pauses, count = 0, 0, 0, 0, 0
    room, last_line = place.size - MARKS * (end - begin) - MARKS, (t.channels - 1) * t.region_rows + bottom - 1 - y0
    for c in range(t.channels):
        for y in range(top, bottom):
            row, line = c * n.height + y - n.margin, c * t.region_rows + y - y0
            for piece in range(begin, end):
                first = (line << _LINE) + start[piece] - x0
                count = spread(marks[row, piece] & inside[piece], first, place, count)
            if count < room and line != last_line:
                continue
            for e in range(count):
                line, at = place[e] >> _LINE, place[e] & _COLUMN
                common = next_row - t.row_first[line]
                pause = HAZARD - common if 0 < common < HAZARD else 0
                if t.channels > 1:
                    channel = line // t.region_rows
                    pause = HAZARD if 0 <= last_channel != channel else pause
                    last_channel = channel
                next_row = t.row_first[line] + t.row_count[line]
                here, slot = line * t.words_per_row + t.word[at], (events + e) % DETECT_FIFO
                ahead = here - word
                enter = max(enter + ahead + (ahead == 0), pops[slot] + 1)  # a branch here would be a coin toss
                word = here
                pops[slot] = max(enter + 1, take)
                take = max(enter + 2, final)
                cycles = t.row_count[line] * t.column_cycles[at]
                final = take + pause + cycles
                products += t.row_count[line] * t.column_count[at]
                issues += cycles
                pauses += pause
            events += count
            count = 0
    products *= t.kernels
    counts[tile, 0], counts[tile, 1], counts[tile, 2], counts[tile, 3] = products, issues, pauses, events
    scanned = t.channels * t.region_rows * t.words_per_row
    return max(enter + scanned - 1 - word, final) + 1
