"""The rounds of the exchange: which events a tile sends where, and the clock of every tile.

The clock is a max-plus recurrence over what the run did: only ``max`` and ``+``; every service time is a function of
the data. For tile t in round r, with the neighbours b in link order:

    update starts    c = max(first cycle of the wait, what b consumed of the round before + 2) + 1
    round closes     at the refusal of event F + 1, or when the last position leaves the serialiser
    sources          own store first, then each link once its token is visible (b's close + 2):
                     a source with events is done 4 cycles of fill and its service later, one without at once
    step ends        when every source has been consumed and nobody has another round

``hw/exchange.py`` is the same thing in gates, to the cycle.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from .plan import Plan
from .tiling import DIRECTIONS, IntArray
from .timing import HAZARD, SCATTER_FILL, TOKEN_DELAY, UPDATE_FILL, Phase

# plain integers: compiled functions take no enum members
_WAIT, _UPDATE, _SCATTER, _FLUSH = int(Phase.WAIT), int(Phase.UPDATE), int(Phase.SCATTER), int(Phase.FLUSH)
_DIRECTIONS = DIRECTIONS


class Sorted(NamedTuple):
    """The code events of one step by tile, each tile's in the order in which they leave update."""

    first: IntArray  # (T + 1,) where a tile's events begin
    cycles: IntArray  # (T,) serialiser cycles of the whole sheet
    row: npt.NDArray[np.int32]  # (neurons,) position in the block
    column: npt.NDArray[np.int32]
    serial: npt.NDArray[np.int32]  # cycle in the serialiser
    source: npt.NDArray[np.int32]  # (2, neurons) V1 row and number in it, to find the event in the lists again
    number: npt.NDArray[np.int32]
    fill: IntArray  # (T,) scratch
    last: IntArray  # (T,) scratch: word of U of the event before


class Clock(NamedTuple):
    """Where every tile's clock stands."""

    begin: IntArray  # (T,) first cycle of gather
    found: IntArray  # (T,) cycle in which detect and gather are found done
    done: IntArray  # (T,) cycle in which the exchange is done
    acknowledged: IntArray  # (T, 8) cycle in which the neighbour consumed the last token
    close: IntArray  # (T,) scratch
    ready: IntArray  # (T,) scratch
    rounds: IntArray  # (T,) scratch
    turns: IntArray  # (T,) scratch


def sorted_of(plan: Plan) -> Sorted:
    """Room for every code event of a step; memory is used where events are."""
    tiles, neurons = plan.tiling.count, plan.tiling.geometry.neurons
    lists = [np.empty(neurons, np.int32) for _ in range(5)]
    return Sorted(
        np.zeros(tiles + 1, np.int64), np.zeros(tiles, np.int64), lists[0], lists[1], lists[2], lists[3], lists[4],
        np.zeros(tiles, np.int64), np.zeros(tiles, np.int64),
    )  # fmt: skip


def clock_of(plan: Plan) -> Clock:
    """A clock at rest."""
    tiles = plan.tiling.count
    each = [np.zeros(tiles, np.int64) for _ in range(7)]
    acknowledged = np.full((tiles, 8), -(1 << 40), np.int64)
    return Clock(each[0], each[1], each[2], acknowledged, each[3], each[4], each[5], each[6])


@njit(cache=True)
def sort_events(lists, events, shape):  # type: ignore[no-untyped-def]
    """The step's code events, which come by V1 row, by tile."""
    t = shape
    tiles = t.tile_rows * t.tile_columns
    first, cycles = events.first, events.cycles
    words = t.block_rows * t.block_columns // t.update_positions
    first[:], cycles[:] = 0, words
    width = t.block_columns * t.kernels
    for i in range(lists.fired.size):
        row_tile = i // t.block_rows * t.tile_columns
        for e in range(lists.fired[i]):
            first[row_tile + lists.neuron[i, e] // width + 1] += 1
    for tile in range(tiles):
        first[tile + 1] += first[tile]
        events.fill[tile], events.last[tile] = first[tile], -1
    for i in range(lists.fired.size):
        row_tile, row = i // t.block_rows * t.tile_columns, i % t.block_rows
        for e in range(lists.fired[i]):
            neuron = lists.neuron[i, e]
            tile = row_tile + neuron // width
            column = neuron % width // t.kernels
            word = (row * t.block_columns + column) // t.update_positions
            if word == events.last[tile]:
                cycles[tile] += 1  # its word holds the serialiser a clock longer
            events.last[tile] = word
            at = events.fill[tile]
            events.fill[tile] = at + 1
            events.row[at], events.column[at] = row, column
            events.serial[at] = word + cycles[tile] - words
            events.source[at], events.number[at] = i, e


@njit(cache=True)
def _rounds(events, clock, shape):  # type: ignore[no-untyped-def]
    """Rounds of every tile, rounds it takes part in (its own and its neighbours'), and the most of all."""
    most = 1
    for t in range(clock.rounds.size):
        count = events.first[t + 1] - events.first[t]
        clock.rounds[t] = max(1, -(-count // shape.link_depth))
        most = max(most, clock.rounds[t])
    for t in range(clock.rounds.size):
        clock.turns[t] = clock.rounds[t]
        for b in range(8):
            if shape.neighbours[t, b] >= 0:
                clock.turns[t] = max(clock.turns[t], clock.rounds[shape.neighbours[t, b]])
    return most


@njit(cache=True)
def _service(events, first, last, link, di, dj, shape, counts):  # type: ignore[no-untyped-def]
    """Events ``first .. last - 1`` of one source at one tile.

    Args:
        link: the source's link bit to this tile, -1 for the tile's own. di, dj: what brings the source's positions
        into this tile's coordinates. counts: int64[3] += products, issues, events.

    Returns:
        (events served, cycles of the lanes: issues and pauses)
    """
    served, cycles, last_row, t = 0, 0, -1, shape
    for e in range(first, last):
        if link >= 0 and not t.send[events.row[e], events.column[e]] >> link & 1:
            continue
        row, column = events.row[e] + di + t.reach, events.column[e] + dj + t.reach
        issues = t.channels * t.patch_rows[row] * t.patch_groups[column]
        counts[0] += t.channels * t.patch_rows[row] * t.patch_columns[column]
        counts[1] += issues
        first_row = max(0, t.stride * (row - t.reach))  # of the region
        common = last_row - first_row + 1
        cycles += issues
        if served > 0 and 0 < common < HAZARD:
            cycles += HAZARD - common
        last_row = first_row + t.patch_rows[row] - 1
        served += 1
    counts[2] += served
    return served, cycles


@njit(cache=True)
def note(log, row, tile, phase, cycle):  # type: ignore[no-untyped-def]
    """A line of the log."""
    log[row, 0], log[row, 1], log[row, 2] = tile, phase, cycle


@njit(cache=True)
def room_for(log, logged, rows):  # type: ignore[no-untyped-def]
    """The log, or a copy of twice its size, with room for ``rows`` more."""
    if logged + rows <= log.shape[0]:
        return log
    larger = np.empty((2 * log.shape[0] + rows, 3), np.int64)
    for n in range(logged):
        for column in range(3):
            larger[n, column] = log[n, column]
    return larger


@njit(cache=True)
def exchange(events, clock, shape, counts, traffic, log, logged):  # type: ignore[no-untyped-def]
    """The clock of one step's rounds. ``clock.found`` goes in; ``clock.done`` and ``acknowledged`` come out.

    Args:
        counts: int64[5] += products, issues, events scattered, link events, rounds. traffic: (T, 8) += events sent, by
        link. log: (n, 3) phases as rows (tile, phase, cycle), the first ``logged`` in use.

    Returns:
        (log, logged)
    """
    tiles, depth = clock.rounds.size, shape.link_depth
    rounds, turns, ready, close, done = clock.rounds, clock.turns, clock.ready, clock.close, clock.done
    most = _rounds(events, clock, shape)
    log = room_for(log, logged, 3 * tiles * most)
    for n in range(most):
        for t in range(tiles):
            if n >= turns[t]:
                continue
            if n >= rounds[t]:
                note(log, logged, t, _SCATTER, ready[t] + 1)
                logged += 1
                done[t] = ready[t]  # the first source is looked at one cycle later
                continue
            start = ready[t]
            for b in range(8):
                if shape.neighbours[t, b] >= 0:
                    start = max(start, clock.acknowledged[t, b] + TOKEN_DELAY)
            start += 1
            first, after = events.first[t] + n * depth, events.first[t] + (n + 1) * depth
            leaves = start + UPDATE_FILL if n == 0 else start - events.serial[first]  # cycle of serial index 0
            close[t] = leaves + (events.serial[after] if events.first[t + 1] > after else events.cycles[t] - 1)
            done[t] = close[t]
            note(log, logged, t, _UPDATE, start)
            note(log, logged + 1, t, _SCATTER, close[t] + 1)
            logged += 2
        for t in range(tiles):
            if n >= turns[t]:
                continue
            at = done[t]
            for source in range(9):
                at += 1  # the source is looked at
                o = t if source == 0 else shape.neighbours[t, source - 1]
                if o < 0 or n >= rounds[o]:
                    continue
                if source > 0:
                    at = max(at, close[o] + TOKEN_DELAY)
                first = events.first[o] + n * depth
                last = min(first + depth, events.first[o + 1])
                link, di, dj = -1, 0, 0
                if source > 0:
                    link = 8 - source
                    di = _DIRECTIONS[source - 1][0] * shape.block_rows
                    dj = _DIRECTIONS[source - 1][1] * shape.block_columns
                served, cycles = _service(events, first, last, link, di, dj, shape, counts)
                if served > 0:
                    at += SCATTER_FILL + cycles
                if source > 0:
                    counts[3] += served
                    traffic[o, link] += served
                    clock.acknowledged[o, link] = at
            done[t] = at
            counts[4] += 1
            if n == turns[t] - 1:
                note(log, logged, t, _FLUSH, at + 1)
            else:
                ready[t] = at + 1
                note(log, logged, t, _WAIT, at + 1)
            logged += 1
    return log, logged


@njit(cache=True)
def overflows(r, weights, lists, events, clock, layout, shape, width):  # type: ignore[no-untyped-def]
    """Whether some tile, adding the step's events in its own order, leaves R's word of ``width`` bits.

    Args:
        r: R before the step's events. weights: ``Weights.scatter``.
    """
    half, tiles, depth = 1 << (width - 1), clock.rounds.size, shape.link_depth
    most, n, s = _rounds(events, clock, shape), layout, shape.stride
    for t in range(tiles):
        y0, x0 = t // shape.tile_columns * shape.block_rows * s, t % shape.tile_columns * shape.block_columns * s
        region = r[:, y0 : y0 + shape.region_rows, x0 : x0 + shape.region_columns].copy()
        for turn in range(most):
            for source in range(9):
                o = t if source == 0 else shape.neighbours[t, source - 1]
                if o < 0 or turn >= clock.rounds[o]:
                    continue
                link, di, dj = -1, 0, 0
                if source > 0:
                    link = 8 - source
                    di = _DIRECTIONS[source - 1][0] * shape.block_rows
                    dj = _DIRECTIONS[source - 1][1] * shape.block_columns
                first = events.first[o] + turn * depth
                for e in range(first, min(first + depth, events.first[o + 1])):
                    if link >= 0 and not shape.send[events.row[e], events.column[e]] >> link & 1:
                        continue
                    y, x = s * (events.row[e] + di), s * (events.column[e] + dj)
                    i, number = events.source[e], events.number[e]
                    k, dy = lists.neuron[i, number] % n.kernels, np.int64(lists.dy[i, number])
                    for c in range(n.channels):
                        for a in range(max(0, -y), min(n.patch, shape.region_rows - y)):
                            taps = ((k * n.channels + c) * n.patch + a) * n.tap_row
                            for b in range(max(0, -x), min(n.patch, shape.region_columns - x)):
                                total = region[c, y + a, x + b] - weights[taps + b] * dy
                                if total >= half or total < -half:
                                    return True
                                region[c, y + a, x + b] = total
    return False
