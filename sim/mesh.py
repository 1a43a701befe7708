"""The mesh: steps of the whole network, in words and in cycles.

A step is detect, gather and update, scatter: three sweeps over arrays that all tiles share, which several threads
share too, and then the clocks of the tiles, which follow from the events. ``hw/mesh.py`` is the mesh in gates.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from .detect import Detect, detect_block, largest, squares_of_block
from .exchange import Clock, Sorted, exchange, note, overflows, room_for, sort_events
from .gather import gather_row
from .kernel import Arithmetic
from .scatter import burden, most_added, scatter_rows, wrap_rows
from .settle import settled
from .sheet import Layout, Lists, State, Weights
from .simd import borrowed
from .team import SHARE, claim, claim_own, meet
from .tile import Shape, gather_clock
from .tiling import IntArray
from .timing import DETECT_FIFO, FLUSH_GATHER, FLUSH_SCATTER, Phase
from .update import Update, update_row

# plain integers: compiled functions take no enum members
_GATHER, _WAIT, _FLUSH = int(Phase.GATHER), int(Phase.WAIT), int(Phase.FLUSH)

# places of the threads' counters, each in a cache line of its own; REST: the frame ends with this step
_MEET, _BLOCK, _TILE, REST = 0, 8, 16, 24
_ROW = 32  # from here on SHARE for each thread
_BANDS = 4  # of R's rows for each thread


class Trace(NamedTuple):
    """What each step did; the first axis of every array is the step."""

    square: npt.NDArray[np.float64]  # sum of (residual)^2 after the step
    active: IntArray  # neurons with a code after it
    code_events: IntArray
    outside: IntArray  # membranes outside their range
    gathers: IntArray  # (steps, 4) products, issues, pauses, residual events
    exchanges: IntArray  # (steps, 5) products, issues, events scattered, link events, rounds
    traffic: IntArray  # (steps, T, 8) events sent, by link
    ends: IntArray  # (steps, T) last cycle of the step's exchange


class Engine(NamedTuple):
    """Everything that the compiled step needs."""

    layout: Layout
    shape: Shape
    arithmetic: Arithmetic
    update: Update
    detect: Detect
    weights: Weights
    state: State
    lists: Lists
    events: Sorted
    clock: Clock
    gathers: IntArray  # (T, 4) scratch: each tile's counts of detect and gather
    flag: npt.NDArray[np.bool_]  # (1,) an add left R's word
    settle: IntArray  # (2,) quiet steps that end a frame (0: none), and whether the frame is warm
    counters: IntArray  # of the threads, `counters_of`


def counters_of(threads: int) -> IntArray:
    """The counters of so many threads: those of all, then each one's of V1 rows, then each one's of bands of R."""
    return np.zeros(_ROW + 2 * SHARE * threads, np.int64)


def trace_of(steps: int, tiles: int) -> Trace:
    """An empty trace."""
    single = [np.zeros(steps, np.int64) for _ in range(3)]
    return Trace(
        np.zeros(steps, np.float64), single[0], single[1], single[2], np.zeros((steps, 4), np.int64),
        np.zeros((steps, 5), np.int64), np.zeros((steps, tiles, 8), np.int64), np.zeros((steps, tiles), np.int64),
    )  # fmt: skip


def done_of(trace: Trace, steps: int) -> Trace:
    """The trace of the first ``steps`` steps, which were done."""
    return Trace(
        trace.square[:steps], trace.active[:steps], trace.code_events[:steps], trace.outside[:steps],
        trace.gathers[:steps], trace.exchanges[:steps], trace.traffic[:steps], trace.ends[:steps],
    )  # fmt: skip


@njit(cache=True)
def detect_blocks(thread, lost, e):  # type: ignore[no-untyped-def]
    """Detect, by blocks of columns."""
    n, lists, change, place = e.layout, e.lists, e.lists.scratch[thread], e.lists.spot[thread]
    r, s, marks = e.state.r, e.state.s, lists.marks
    while True:
        block = claim(e.counters, _BLOCK, 1)
        if block >= n.blocks:
            return
        detect_block(block, r, s, lists, marks, lost, n, change, place, e.arithmetic, e.detect)


@njit(cache=True)
def respond(thread, threads, shift, e):  # type: ignore[no-untyped-def]
    """Gather and update, by V1 rows."""
    n, lists, state = e.layout, e.lists, e.state
    own, neurons = (n.cover - 1) * n.kernels, n.columns * n.kernels
    scratch, drives, membranes, neuron, dy = lists.scratch[thread], state.d, state.u, lists.neuron, lists.dy
    while True:
        row = claim_own(e.counters[_ROW:], thread, threads, n.rows)
        if row < 0:
            return
        d = drives[row]
        gather_row(row, d, e.weights.gather, lists.place, lists.change, lists.reached, n)
        fired, outside, active = update_row(
            membranes[row], d[own : own + neurons], scratch, neuron[row], dy[row], shift, e.arithmetic,
            e.update,
        )  # fmt: skip
        lists.fired[row], lists.outside[row] = fired, outside
        state.active[row] += active
        burden(row, fired, lists.neuron, lists.dy, lists.load, e.weights.largest, n)


@njit(cache=True)
def gather_clocks(thread, e):  # type: ignore[no-untyped-def]
    """The clocks of detect and gather, by tiles."""
    clock, pops, words = e.clock, np.zeros(DETECT_FIFO, np.int64), e.lists.marks.shape[1]
    inside, start = np.zeros(words, np.uint64), np.zeros(words, np.int64)
    while True:
        tile = claim(e.counters, _TILE, 1)
        if tile >= clock.begin.size:
            return
        clock.found[tile] = clock.begin[tile] + gather_clock(
            tile, e.lists.marks, e.layout, e.shape, pops, inside, start, e.lists.spot[thread], e.gathers
        )


@njit(cache=True)
def scatter_bands(thread, threads, e):  # type: ignore[no-untyped-def]
    """The step's code events into R, by bands of its rows."""
    r = e.state.r
    rows, bands = r.shape[1], 1 if threads == 1 else _BANDS * threads
    counters = e.counters[_ROW + SHARE * threads :]
    while True:
        band = claim_own(counters, thread, threads, bands)
        if band < 0:
            return
        first, last = rows * band // bands, rows * (band + 1) // bands
        scatter_rows(first, last, r, e.weights.scatter, e.lists, e.layout, e.lists.minus[thread], e.lists.zero)
        if e.flag[0]:
            wrap_rows(first, last, r, e.arithmetic.residual_width)


@njit(cache=True)
def total(values):  # type: ignore[no-untyped-def]
    """Their sum, from the first to the last."""
    result = values[0]
    for n in range(1, values.size):
        result += values[n]
    return result


@njit(cache=True)
def close_step(step, e, trace, log, logged):  # type: ignore[no-untyped-def]
    """The clock of a step whose events are known, and its line of the trace; the log of phases and its length."""
    clock, tiles = e.clock, e.clock.begin.size
    log = room_for(log, logged, 3 * tiles)
    for t in range(tiles):
        note(log, logged + t, t, _GATHER, clock.begin[t])
        note(log, logged + tiles + t, t, _FLUSH, clock.found[t] + 1)
        note(log, logged + 2 * tiles + t, t, _WAIT, clock.found[t] + 1 + FLUSH_GATHER)
        clock.ready[t] = clock.found[t] + 1 + FLUSH_GATHER
    log, logged = exchange(
        e.events, clock, e.shape, trace.exchanges[step], trace.traffic[step], log, logged + 3 * tiles
    )
    for t in range(tiles):
        clock.begin[t] = clock.done[t] + 1 + FLUSH_SCATTER
        trace.ends[step, t] = clock.begin[t] - 1
        for n in range(4):
            trace.gathers[step, n] += e.gathers[t, n]
    trace.active[step] = total(e.state.active)
    trace.outside[step] = total(e.lists.outside)
    return log, logged


@njit(cache=True, nogil=True)
def advance(thread, threads, first, last, shifts, lost, e, trace, log, logged):  # type: ignore[no-untyped-def]
    """Steps ``first .. last - 1``, or fewer when the frame comes to rest; every thread calls it with its own number,
    and thread 0 keeps the clock.

    Args:
        shifts: (steps,) the step shift of each update. lost: (C, H, W) what the residual's error is measured against,
        beyond R. log: (n, 3) phases as rows (tile, phase, cycle), the first ``logged`` in use.

    Returns:
        (log, logged, the first step that was not done)
    """
    e, trace, lost = borrowed(e), borrowed(trace), borrowed(lost)  # the caller holds them
    lists, n = e.lists, e.layout
    lead, half = thread == 0, 1 << (e.arithmetic.residual_width - 1)
    for step in range(first, last):
        if lead:
            for other in range(threads):
                e.counters[_ROW + SHARE * other] = 0
        detect_blocks(thread, lost, e)
        meet(e.counters, _MEET, threads)
        if lead:
            e.counters[_TILE] = 0
            for other in range(threads):
                e.counters[_ROW + SHARE * (threads + other)] = 0
            if step > first:
                trace.square[step - 1] = total(lists.square)
        respond(thread, threads, shifts[step], e)
        meet(e.counters, _MEET, threads)
        added = most_added(lists, n)
        doubtful = not e.flag[0] and lists.peak[0] + added >= half
        if lead:
            e.counters[_BLOCK] = 0
            trace.code_events[step] = total(lists.fired)
            e.counters[REST] = settled(trace.code_events, step + 1, e.settle[0], e.settle[1] == 1)
        if doubtful:
            meet(e.counters, _MEET, threads)  # every thread has looked at the flag and the peak
            if lead:
                lists.peak[0] = largest(e.state.r)
                if lists.peak[0] + added >= half:
                    sort_events(lists, e.events, e.shape)
                    e.flag[0] = overflows(
                        e.state.r, e.weights.scatter, lists, e.events, e.clock, n, e.shape, e.arithmetic.residual_width
                    )
            meet(e.counters, _MEET, threads)
        scatter_bands(thread, threads, e)
        gather_clocks(thread, e)
        meet(e.counters, _MEET, threads)
        if lead:
            lists.peak[0] += added
            sort_events(lists, e.events, e.shape)
            log, logged = close_step(step, e, trace, log, logged)
        if e.counters[REST]:
            last = step + 1
            break
    while True:
        block = claim(e.counters, _BLOCK, 1)
        if block >= n.blocks:
            break
        lists.square[block] = squares_of_block(block, e.state.r, lost, n, e.detect.scale)
    meet(e.counters, _MEET, threads)
    if lead:
        e.counters[_BLOCK] = 0
        trace.square[last - 1] = total(lists.square)
    return log, logged, last
