"""The mesh of tiles: one step of all of them, the rounds of the exchange, and the clock of every tile.

The clock is a max-plus recurrence over what the run did: only ``max`` and ``+``; every service time is a function of
the data. For tile t in round r, with the neighbours b in link order:

    update starts    c = max(first cycle of the wait, what b consumed of the round before + 2) + 1
    round closes     at the refusal of event F + 1, or when the last position leaves the serialiser
    sources          own store first, then each link once its token is visible (b's close + 2):
                     a source with events is done 4 cycles of fill and its service later, one without at once
    step ends        when every source has been consumed and nobody has another round

``hw/mesh.py`` and ``hw/exchange.py`` are the same thing in gates, to the cycle.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from .tile import detect, gather, scatter, update
from .tiling import IntArray
from .timing import FLUSH_GATHER, FLUSH_SCATTER, SCATTER_FILL, TOKEN_DELAY, UPDATE_FILL, Phase

# plain integers: compiled functions take no enum members
_GATHER, _WAIT, _UPDATE, _SCATTER, _FLUSH = (
    int(Phase.GATHER),
    int(Phase.WAIT),
    int(Phase.UPDATE),
    int(Phase.SCATTER),
    int(Phase.FLUSH),
)


@njit(cache=True)
def gather_all(r, s, d, w, inside, begin, a, shape, pixels, counts):  # type: ignore[no-untyped-def]
    """Detect and gather in every tile.

    Args:
        r, s: (T, C, Hr, Wr). d: (T, th, tw, K). w: (C, p, p, K). inside: (T, 4). begin: (T,) first cycle of the phase.
        pixels: five (T, C*Hr*Wr) arrays for the residual events; counts: int64[8], see ``machine.Counts``.

    Returns:
        (found, events): per tile the cycle in which the phase is found to be done, and how many residual events it had.
    """
    tiles = r.shape[0]
    found, events = np.zeros(tiles, np.int64), np.zeros(tiles, np.int64)
    for t in range(tiles):
        out = (pixels[0][t], pixels[1][t], pixels[2][t], pixels[3][t], pixels[4][t])
        n, words = detect(r[t], s[t], inside[t], a, shape, out[0], out[1], out[2], out[3], out[4])
        found[t] = begin[t] + gather(d[t], w, out, n, words, shape, counts[:3])
        events[t] = n
        counts[3] += n
        counts[4] += words
    return found, events


@njit(cache=True)
def update_all(u, d, shift, a, send, codes, serial, counts):  # type: ignore[no-untyped-def]
    """Update in every tile.

    Args:
        u, d: (T, th, tw, K). codes: five (T, th*tw*K) arrays (k, i, j, dy, mask); serial: the same shape, cycle in the
        serialiser. counts: int64[4] += code events, saturated membranes, positions; [3] = active neurons now.

    Returns:
        (events, serialiser cycles) per tile.
    """
    tiles = u.shape[0]
    events, cycles = np.zeros(tiles, np.int64), np.zeros(tiles, np.int64)
    counts[3] = 0
    for t in range(tiles):
        events[t], cycles[t], outside, active = update(
            u[t], d[t], shift, a, send, codes[0][t], codes[1][t], codes[2][t], codes[3][t], serial[t], codes[4][t]
        )
        counts[0] += events[t]
        counts[1] += outside
        counts[2] += u.shape[1] * u.shape[2]
        counts[3] += active
    return events, cycles


class Wiring(NamedTuple):
    """Who is connected to whom, and how deep the links are."""

    neighbours: IntArray  # (T, 8), -1 where there is none
    directions: IntArray  # (8, 2) rows and columns to each neighbour
    block: IntArray  # (th, tw)
    depth: int  # F: events of a round


class Changed(NamedTuple):
    """The code events of one step: per tile, in the order in which they leave update."""

    codes: tuple[IntArray, IntArray, IntArray, IntArray, IntArray]  # k, i, j, dy, neighbour mask, each (T, most)
    serial: IntArray  # (T, most) cycle in the serialiser
    events: IntArray  # (T,)
    cycles: IntArray  # (T,) serialiser cycles of the whole sheet


@njit(cache=True)
def exchange(r, w, changed, wiring, wait, acknowledged, shape, a, counts, traffic):  # type: ignore[no-untyped-def]
    """The rounds of one step: every event into every R it touches, and the clock.

    Args:
        r: (T, C, Hr, Wr). w: (K, C, p, p).
        wait: (T,) first cycle of the wait for round 0. acknowledged: (T, 8) cycle in which the neighbour consumed the
        last token of t; changed in place. counts: int64[6] += products, issues, services; [3] overflow; += link
        events, rounds.
        traffic: (T, 8) += events sent, by link.

    Returns:
        (done, phases): per tile the cycle in which the last source is done; phases as rows (tile, phase, cycle).
    """
    codes, serial, events, cycles = changed
    neighbours, directions, block, depth = wiring
    tiles = r.shape[0]
    rounds = np.maximum(1, -(-events // depth))
    most = rounds.max()
    turns = rounds.copy()  # rounds a tile takes part in: its own and its neighbours'
    for t in range(tiles):
        for b in range(8):
            if neighbours[t, b] >= 0:
                turns[t] = max(turns[t], rounds[neighbours[t, b]])
    phases, logged = np.zeros((tiles * (3 * most + 3), 3), np.int64), 0
    close, done, ready = np.zeros(tiles, np.int64), np.zeros(tiles, np.int64), wait.copy()
    for n in range(most):
        first, after = n * depth, (n + 1) * depth
        for t in range(tiles):
            if n >= turns[t]:
                continue
            if n >= rounds[t]:
                phases[logged] = t, _SCATTER, ready[t] + 1
                logged += 1
                done[t] = ready[t]  # the first source is looked at one cycle later
                continue
            start = ready[t]
            for b in range(8):
                if neighbours[t, b] >= 0:
                    start = max(start, acknowledged[t, b] + 2)
            start += 1
            leaves = start + UPDATE_FILL if n == 0 else start - serial[t, first]  # cycle of serial index 0
            close[t] = leaves + (serial[t, after] if events[t] > after else cycles[t] - 1)
            done[t] = close[t]
            phases[logged] = t, _UPDATE, start
            phases[logged + 1] = t, _SCATTER, close[t] + 1
            logged += 2
        for t in range(tiles):
            if n >= turns[t]:
                continue
            at = done[t]
            for source in range(9):
                at += 1  # the source is looked at
                o = t if source == 0 else neighbours[t, source - 1]
                if source > 0 and (o < 0 or n >= rounds[o]):
                    continue
                if source > 0:
                    at = max(at, close[o] + TOKEN_DELAY)
                if n < rounds[o]:
                    link = 8 - source if source > 0 else -1
                    di = directions[source - 1, 0] * block[0] if source > 0 else 0
                    dj = directions[source - 1, 1] * block[1] if source > 0 else 0
                    served = counts[2]
                    service = scatter(
                        r[t],
                        w,
                        (codes[0][o], codes[1][o], codes[2][o], codes[3][o], codes[4][o]),
                        first,
                        min(after, events[o]),
                        link,
                        di,
                        dj,
                        shape,
                        a,
                        counts[:4],
                    )
                    if counts[2] > served:
                        at += SCATTER_FILL + service
                    if source > 0:
                        counts[4] += counts[2] - served
                        traffic[o, 8 - source] += counts[2] - served
                if source > 0:
                    acknowledged[o, 8 - source] = at
            done[t] = at
            counts[5] += 1
            if n == turns[t] - 1:
                phases[logged] = t, _FLUSH, at + 1
            else:
                ready[t] = at + 1
                phases[logged] = t, _WAIT, at + 1
            logged += 1
    return done, phases[:logged]


@njit(cache=True)
def wait_after_gather(found):  # type: ignore[no-untyped-def]
    """First cycle of the wait, per tile, after detect and gather were found done."""
    return found + 1 + FLUSH_GATHER


@njit(cache=True)
def gather_after_exchange(done):  # type: ignore[no-untyped-def]
    """First cycle of the next detect and gather (or of the drain), per tile, after the exchange was done."""
    return done + 1 + FLUSH_SCATTER
