"""Refresh: R, D and r~ formed anew from the input and the codes, between two steps of a frame.

R and D are sums of changes, so a bit that flips in one of them stays wrong for good: in R until the next cold frame.
With ``machine.refresh = n`` the machine forms them again before the steps n, 2n, ... of a frame:

    every tile   clears R, D and r~, a word of each a clock, and reports when it is ready for the input
    the front    hears that all are ready and replays the x that it kept, as in a cold frame
    every tile   sends T(u) of every neuron that has a code as a change from 0, in rounds as in a step; u stays

The gather after it meets r~ = 0 and forms D in full. R and D being exact modulo their words, no word of R, D, r~, U or
of a code differs afterwards from what it would have been without a refresh. ``hw/control.py`` and ``hw/feed.py`` are
the same in gates.
"""

import numpy as np
from numba import njit

from .detect import largest
from .exchange import exchange, note, overflows, room_for, sort_events
from .kernel import transfer
from .mesh import Engine
from .plan import Plan
from .scatter import burden, most_added, scatter_rows, wrap_rows
from .tiling import IntArray
from .timing import FLUSH_INPUT, FLUSH_SCATTER, READY_DELAY, Phase

# plain integers: compiled functions take no enum members
_REFRESH, _INPUT, _FLUSH, _WAIT = int(Phase.REFRESH), int(Phase.INPUT), int(Phase.FLUSH), int(Phase.WAIT)


def add_input(plan: Plan, engine: Engine, change: IntArray) -> None:
    """``R += change << (fw + fy - fx)`` for the pixels of the image, (C, H, W); notes an add that left R's word."""
    g, state = plan.tiling.geometry, engine.state
    change = change << plan.input_shift
    half = 1 << (plan.residual_width - 1)
    part = state.r[:, g.margin : g.margin + g.image[0], g.margin : g.margin + g.image[1]]
    change += part
    if change.max(initial=0) >= half or change.min(initial=0) < -half:
        engine.flag[0] = True
        change = (change + half) % (2 * half) - half
    part[...] = change
    engine.lists.peak[0] = np.abs(state.r).max()


def refresh(
    plan: Plan, engine: Engine, image: IntArray, counts: IntArray, traffic: IntArray, log: IntArray, logged: int
) -> tuple[int, IntArray, int]:
    """One refresh, in words and in cycles. ``engine.clock.begin`` is its first cycle before, that of the gather after.

    Args:
        image: (C, H, W) the input that the front kept. counts: int64[5] += products, issues, events scattered, link
        events, rounds. traffic: (T, 8) += events sent, by link. log: (n, 3) phases as rows (tile, phase, cycle), the
        first ``logged`` in use.

    Returns:
        (codes that were sent, log, logged)
    """
    for array in (engine.state.d, engine.state.r, engine.state.s):
        array[...] = 0
    add_input(plan, engine, image)
    sent = int(send_codes(engine))
    log, logged = _clocks(engine, plan.tiling.clear_cycles, image.size, counts, traffic, log, logged)
    return sent, log, logged


@njit(cache=True)
def send_codes(e):  # type: ignore[no-untyped-def]
    """Every code that is not 0 as an event from 0, into R; the number of them."""
    n, lists, r, sent = e.layout, e.lists, e.state.r, 0
    width = e.arithmetic.residual_width
    for i in range(n.rows):
        fired = 0
        for neuron in range(n.columns * n.kernels):
            y = transfer(int(e.state.u[i, neuron]), e.arithmetic)
            if y != 0:
                lists.neuron[i, fired], lists.dy[i, fired] = neuron, y
                fired += 1
        lists.fired[i] = fired
        burden(i, fired, lists.neuron, lists.dy, lists.load, e.weights.largest, n)
        sent += fired
    sort_events(lists, e.events, e.shape)
    if not e.flag[0] and lists.peak[0] + most_added(lists, n) >= 1 << (width - 1):
        e.flag[0] = overflows(r, e.weights.scatter, lists, e.events, e.clock, n, e.shape, width)
    scatter_rows(0, r.shape[1], r, e.weights.scatter, lists, n, lists.minus[0], lists.zero)
    if e.flag[0]:
        wrap_rows(0, r.shape[1], r, width)
    lists.peak[0] = largest(r)
    return sent


@njit(cache=True)
def _clocks(e, clear_cycles, pixels, counts, traffic, log, logged):  # type: ignore[no-untyped-def]
    """The clock of a refresh whose events are sorted; (log, logged)."""
    clock, tiles = e.clock, e.clock.begin.size
    log = room_for(log, logged, 4 * tiles)
    heard = 0  # cycle in which the front knows that all tiles are ready
    for t in range(tiles):
        hops = t // e.shape.tile_columns + t % e.shape.tile_columns
        heard = max(heard, clock.begin[t] + clear_cycles + hops + READY_DELAY)
    for t in range(tiles):
        hops = t // e.shape.tile_columns + t % e.shape.tile_columns
        flush = heard + pixels + 4 + hops  # the last pixel enters the chain at heard + pixels
        clock.ready[t] = flush + FLUSH_INPUT
        note(log, logged, t, _REFRESH, clock.begin[t])
        note(log, logged + 1, t, _INPUT, clock.begin[t] + clear_cycles)
        note(log, logged + 2, t, _FLUSH, flush)
        note(log, logged + 3, t, _WAIT, clock.ready[t])
        logged += 4
    log, logged = exchange(e.events, clock, e.shape, counts, traffic, log, logged)
    for t in range(tiles):
        clock.begin[t] = clock.done[t] + 1 + FLUSH_SCATTER
    return log, logged
