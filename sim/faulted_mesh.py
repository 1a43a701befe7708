"""Steps of a mesh whose tiles may differ: the rounds of the exchange, flips of events on their way, the clock.

The clock is the recurrence of ``exchange.py`` over what each tile received.
"""

import numpy as np
from numba import njit

from .exchange import note, room_for
from .faulted import add, detect, gather, resend, update
from .kernel import wrap
from .tiling import DIRECTIONS
from .timing import (
    FLUSH_GATHER,
    FLUSH_INPUT,
    FLUSH_SCATTER,
    HAZARD,
    READY_DELAY,
    SCATTER_FILL,
    TOKEN_DELAY,
    UPDATE_FILL,
    Phase,
)

# plain integers: compiled functions take no enum members
_GATHER, _FLUSH, _WAIT, _UPDATE, _SCATTER = (
    int(phase) for phase in (Phase.GATHER, Phase.FLUSH, Phase.WAIT, Phase.UPDATE, Phase.SCATTER)
)
_REFRESH, _INPUT = int(Phase.REFRESH), int(Phase.INPUT)
_DIRECTIONS = DIRECTIONS
NOT_MET, APPLIED, OUTSIDE = range(3)
"""What became of a fault: its event or step never came; it was applied; the flipped event names no position that the
receiver knows, which is no defined event."""


@njit(cache=True)
def _flipped(k, i, j, dy, bit, f):  # type: ignore[no-untyped-def]
    """(k, i, j, dy) of an event after one of its bits was turned over; ``f``: their bits."""
    if bit < f[0]:
        k ^= 1 << bit
    elif bit < f[0] + f[1]:
        i ^= 1 << (bit - f[0])
    elif bit < f[0] + f[1] + f[2]:
        j ^= 1 << (bit - f[0] - f[1])
    else:
        dy = wrap(np.int64(dy) ^ (1 << (bit - f[0] - f[1] - f[2])), f[3], True)
    return k, i, j, dy


@njit(cache=True)
def _serve(tile, source, turn, arrived, faults, met, m, e, counts):  # type: ignore[no-untyped-def]
    """A round's events of one source into the tile's R.

    Args:
        source: 0 the tile itself, 1 + b its link b. arrived: (T, 8) events of the step on each link so far. faults:
            (n, 4) rows (tile, link, number, bit), met: (n,) what became of them. counts: products, issues, events and
            link events are added.

    Returns:
        (events served, clocks of the lanes, events that were sent)
    """
    t = m.shape
    origin, link, di, dj = tile, -1, 0, 0
    if source > 0:
        origin, link = t.neighbours[tile, source - 1], 8 - source
        di, dj = _DIRECTIONS[source - 1][0] * t.block_rows, _DIRECTIONS[source - 1][1] * t.block_columns
    served, clocks, last_row, sent = 0, 0, -1, 0
    for n in range(turn * t.link_depth, min((turn + 1) * t.link_depth, e.events[origin])):
        neuron, dy = e.neuron[origin, n], np.int64(e.dy[origin, n])
        k, i, j = neuron % t.kernels, neuron // t.kernels // t.block_columns, neuron // t.kernels % t.block_columns
        if source > 0:
            if not t.send[i, j] >> link & 1:
                continue
            sent += 1
            lost = False
            for f in range(faults.shape[0]):
                if faults[f, 0] != tile or faults[f, 1] != source - 1 or faults[f, 2] != arrived[tile, source - 1]:
                    continue
                if faults[f, 3] < 0:
                    lost, met[f] = True, APPLIED
                    continue
                flip_k, flip_i, flip_j, flip_dy = _flipped(k, i, j, dy, faults[f, 3], m.fields)
                known = -t.reach <= flip_i + di < t.block_rows + t.reach
                known = known and -t.reach <= flip_j + dj < t.block_columns + t.reach and flip_k < t.kernels
                met[f] = APPLIED if known else OUTSIDE
                if known:
                    k, i, j, dy = flip_k, flip_i, flip_j, flip_dy
            arrived[tile, source - 1] += 1
            if lost:
                continue
        add(tile, k, i + di, j + dj, dy, m, e)
        row, column = i + di + t.reach, j + dj + t.reach
        issues = t.channels * t.patch_rows[row] * t.patch_groups[column]
        counts[0] += t.channels * t.patch_rows[row] * t.patch_columns[column]
        counts[1] += issues
        first_row = max(0, t.stride * (row - t.reach))
        common = last_row - first_row + 1
        clocks += issues
        if served > 0 and 0 < common < HAZARD:
            clocks += HAZARD - common
        last_row = first_row + t.patch_rows[row] - 1
        served += 1
    counts[2] += served
    return served, clocks, sent


@njit(cache=True)
def _exchange(clock, faults, met, m, e, counts, traffic, log, logged):  # type: ignore[no-untyped-def]
    """A step's rounds: every tile's adds into R, and the clock as in ``exchange.exchange``."""
    t, tiles, most = m.shape, e.events.size, 1
    arrived = np.zeros((tiles, 8), np.int64)
    for tile in range(tiles):
        clock.rounds[tile] = max(1, -(-e.events[tile] // t.link_depth))
        most = max(most, clock.rounds[tile])
    for tile in range(tiles):
        clock.turns[tile] = clock.rounds[tile]
        for b in range(8):
            if t.neighbours[tile, b] >= 0:
                clock.turns[tile] = max(clock.turns[tile], clock.rounds[t.neighbours[tile, b]])
    log = room_for(log, logged, 3 * tiles * most)
    for turn in range(most):
        for tile in range(tiles):
            if turn >= clock.turns[tile]:
                continue
            if turn >= clock.rounds[tile]:
                note(log, logged, tile, _SCATTER, clock.ready[tile] + 1)
                logged += 1
                clock.done[tile] = clock.ready[tile]
                continue
            start = clock.ready[tile]
            for b in range(8):
                if t.neighbours[tile, b] >= 0:
                    start = max(start, clock.acknowledged[tile, b] + TOKEN_DELAY)
            start += 1
            first, after = turn * t.link_depth, (turn + 1) * t.link_depth
            leaves = start + UPDATE_FILL if turn == 0 else start - e.serial[tile, first]
            more = e.events[tile] > after
            clock.close[tile] = leaves + (e.serial[tile, after] if more else e.cycles[tile] - 1)
            clock.done[tile] = clock.close[tile]
            note(log, logged, tile, _UPDATE, start)
            note(log, logged + 1, tile, _SCATTER, clock.close[tile] + 1)
            logged += 2
        for tile in range(tiles):
            if turn >= clock.turns[tile]:
                continue
            at = clock.done[tile]
            for source in range(9):
                at += 1
                origin = tile if source == 0 else t.neighbours[tile, source - 1]
                if origin < 0 or turn >= clock.rounds[origin]:
                    continue
                if source > 0:
                    at = max(at, clock.close[origin] + TOKEN_DELAY)
                served, clocks, sent = _serve(tile, source, turn, arrived, faults, met, m, e, counts)
                if served > 0:
                    at += SCATTER_FILL + clocks
                if source > 0:
                    counts[3] += sent
                    traffic[origin, 8 - source] += sent
                    clock.acknowledged[origin, 8 - source] = at
            clock.done[tile] = at
            counts[4] += 1
            last = turn == clock.turns[tile] - 1
            note(log, logged, tile, _FLUSH if last else _WAIT, at + 1)
            clock.ready[tile] = at + 1
            logged += 1
    return log, logged


@njit(cache=True)
def refresh(clear_cycles, pixels, clock, m, e, counts, traffic, log, logged):  # type: ignore[no-untyped-def]
    """The codes into R anew, and the clock of a whole refresh as in ``refresh.py``; R holds the input.

    Args:
        clear_cycles, pixels: clocks of the clear, and values of the image.

    Returns:
        (codes that were sent, log, logged)
    """
    t, tiles, sent, heard = m.shape, e.events.size, 0, 0
    log = room_for(log, logged, 4 * tiles)
    for tile in range(tiles):
        sent += resend(tile, m, e)
        hops = tile // t.tile_columns + tile % t.tile_columns
        heard = max(heard, clock.begin[tile] + clear_cycles + hops + READY_DELAY)
    for tile in range(tiles):
        flush = heard + pixels + 4 + tile // t.tile_columns + tile % t.tile_columns
        clock.ready[tile] = flush + FLUSH_INPUT
        note(log, logged, tile, _REFRESH, clock.begin[tile])
        note(log, logged + 1, tile, _INPUT, clock.begin[tile] + clear_cycles)
        note(log, logged + 2, tile, _FLUSH, flush)
        note(log, logged + 3, tile, _WAIT, clock.ready[tile])
        logged += 4
    none = np.zeros((0, 4), np.int64)
    log, logged = _exchange(clock, none, none[:, 0], m, e, counts, traffic, log, logged)
    for tile in range(tiles):
        clock.begin[tile] = clock.done[tile] + 1 + FLUSH_SCATTER
    return sent, log, logged


@njit(cache=True)
def _follow(true, weights, m, e, margin):  # type: ignore[no-untyped-def]
    """x - Phi y of the whole image (C, H, W) after the step's code changes, with weights that no flip has touched."""
    t = m.shape
    for tile in range(e.events.size):
        y0, x0 = tile // t.tile_columns * t.block_rows, tile % t.tile_columns * t.block_columns
        for n in range(e.events[tile]):
            neuron, dy = e.neuron[tile, n], np.int64(e.dy[tile, n])
            position = neuron // t.kernels
            move(true, weights, neuron % t.kernels, y0 + position // t.block_columns,
                 x0 + position % t.block_columns, dy, t.stride, margin)  # fmt: skip


@njit(cache=True)
def move(true, weights, k, i, j, dy, stride, margin):  # type: ignore[no-untyped-def]
    """``true`` (C, H, W) minus w dy of neuron (k, i, j) of the sheet."""
    y, x, patch = stride * i - margin, stride * j - margin, weights.shape[2]
    for c in range(true.shape[0]):
        for a in range(max(0, -y), min(patch, true.shape[1] - y)):
            for b in range(max(0, -x), min(patch, true.shape[2] - x)):
                true[c, y + a, x + b] -= weights[k, c, a, b] * dy


@njit(cache=True)
def step(number, shift, faults, met, clock, true, weights, lost, scale, margin, m, e, trace, log, logged):  # type: ignore[no-untyped-def]
    """One step of all tiles: words, counts and clock.

    Args:
        number, shift: which step, and its step shift. faults, met: of its links, as in ``_serve``. true: (C, H, W) the
            residual of the codes, followed along. weights: (K, C, p, p) without faults. lost: (C, H, W) what quantising
            took from the image; scale: value of one unit of R. trace: ``mesh.Trace``, of which a line is filled.

    Returns:
        (log, logged)
    """
    tiles = e.events.size
    log = room_for(log, logged, 3 * tiles)
    for tile in range(tiles):
        detect(tile, m, e)
        found = clock.begin[tile] + gather(tile, m, e)
        update(tile, shift, m, e)
        note(log, logged + tile, tile, _GATHER, clock.begin[tile])
        note(log, logged + tiles + tile, tile, _FLUSH, found + 1)
        note(log, logged + 2 * tiles + tile, tile, _WAIT, found + 1 + FLUSH_GATHER)
        clock.found[tile], clock.ready[tile] = found, found + 1 + FLUSH_GATHER
        trace.code_events[number] += e.events[tile]
        trace.outside[number] += e.outside[tile]
        for n in range(4):
            trace.gathers[number, n] += e.gathers[tile, n]
    log, logged = _exchange(
        clock, faults, met, m, e, trace.exchanges[number], trace.traffic[number], log, logged + 3 * tiles
    )
    for tile in range(tiles):
        clock.begin[tile] = clock.done[tile] + 1 + FLUSH_SCATTER
        trace.ends[number, tile] = clock.begin[tile] - 1
    _follow(true, weights, m, e, margin)
    square = 0.0
    for c in range(true.shape[0]):
        for y in range(true.shape[1]):
            for x in range(true.shape[2]):
                value = true[c, y, x] * scale + lost[c, y, x]
                square += value * value
    trace.square[number], trace.active[number] = square, e.active.sum()
    return log, logged
