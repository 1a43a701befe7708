"""In which clock each thing of a run happened: phases as spans of a step, code events, residual events.

Everything here follows from what the run left (`Cycles.phases`) and the events of a step (`StepView`) by the
recurrences of ``docs/dataflow.md``; nothing is estimated.
"""

import numpy as np

from ..plan import Plan
from ..run import Run
from ..tiling import DIRECTIONS, IntArray
from ..timing import DETECT_FIFO, DETECT_FILL, HAZARD, SCATTER_FILL, TOKEN_DELAY, UPDATE_FILL, Phase

LOAD = -1
"""The step of a span before the first gather: clear, input and the flush after it. What precedes step n, a refresh, has
the step ``LOAD - n``."""


def spans(run: Run) -> IntArray:
    """(n, 5) rows (tile, step, phase, first cycle, first cycle after it), by tile and cycle, without gaps in a tile.

    What comes before the first gather has the step `LOAD`, a refresh before step n ``LOAD - n``; the drain and what
    follows have the number of steps. A tile's last span ends with the frame. Empty for a schedule without a clock.
    """
    if run.cycles is None:
        return np.zeros((0, 5), np.int64)
    tile, phase, first = run.cycles.phases.T
    new = np.append(True, tile[1:] != tile[:-1])
    after = np.append(first[1:], run.cycles.frame)
    after[np.append(new[1:], True)] = run.cycles.frame
    gathers = np.cumsum(phase == Phase.GATHER)
    before = gathers - (phase == Phase.GATHER)  # gathers of the tiles before and of this one's earlier rows
    step = gathers - np.repeat(before[new], np.diff(np.append(np.flatnonzero(new), len(new)))) - 1
    step = np.where((phase == Phase.DRAIN) | ((phase == Phase.IDLE) & (step >= 0)), step + 1, step)
    row = np.arange(len(phase))
    latest = [np.maximum.accumulate(np.where(phase == which, row, -1)) for which in (Phase.REFRESH, Phase.GATHER)]
    step = np.where(latest[0] > latest[1], LOAD - 1 - step, step)  # a gather follows every refresh
    return np.stack([tile, step, phase, first, np.maximum(first, after)], axis=1)


def step_cycles(found: IntArray, steps: int, tiles: int) -> IntArray:
    """(steps, T, phases) clocks that each tile spent in each phase of each step, from `spans`."""
    spent = np.zeros((steps, tiles, len(Phase)), np.int64)
    rows = found[(found[:, 1] >= 0) & (found[:, 1] < steps)]
    np.add.at(spent, (rows[:, 1], rows[:, 0], rows[:, 2]), rows[:, 4] - rows[:, 3])
    return spent


def serial(codes: IntArray, plan: Plan) -> IntArray:
    """(n,) clocks that the positions and events before each code event take in the serialiser.

    Args:
        codes: (n, 5) rows (k, i, j, dy, mask) of one tile and step, in the order in which they left.
    """
    columns = plan.tiling.block[1]
    position = (codes[:, 1] * columns + codes[:, 2]) // plan.tiling.update_positions  # words of U
    taken = np.maximum(1, np.bincount(position, minlength=plan.tiling.membrane_depth))
    begin = np.cumsum(taken) - taken
    rank = np.arange(len(position)) - np.searchsorted(position, position)
    return np.asarray(begin[position] + rank, np.int64)


def code_clocks(codes: IntArray, updates: IntArray, plan: Plan) -> IntArray:
    """(n,) clock in which each code event leaves update for the own store and the links.

    Args:
        codes: (n, 5) rows of one tile and step. updates: first cycle of each UPDATE of that tile and step.
    """
    place = serial(codes, plan)
    depth = plan.link_depth
    first = place[::depth]  # of each round
    leaves = np.where(np.arange(len(updates)) == 0, updates + UPDATE_FILL, updates)
    leaves[1 : len(first)] -= first[1:]
    return np.asarray(place + leaves[np.arange(len(place)) // depth], np.int64)


def pixel_clocks(pixels: IntArray, begin: int, plan: Plan) -> tuple[IntArray, IntArray]:
    """(entered, taken): clock in which each residual event enters the FIFO, and in which the lanes take it.

    Args:
        pixels: (n, 4) rows (c, y, x, dr) of one tile and step, in raster order. begin: first cycle of the GATHER.
    """
    if not len(pixels):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    t = plan.tiling
    rows_first, rows_count = t.covering(0)
    _, columns_count = t.covering(1)
    channel, y, x = pixels[:, 0], pixels[:, 1], pixels[:, 2]
    word = (channel * t.region[0] + y) * t.sent_words_per_row + x // t.detect_lanes
    busy = rows_count[y] * -(-columns_count[x] // t.positions_per_cycle) * t.kernel_groups
    common = (rows_first[y] + rows_count[y])[:-1] - rows_first[y][1:]
    near = np.where((common > 0) & (common < HAZARD), HAZARD - common, 0)
    pause = np.where(channel[1:] != channel[:-1], HAZARD, near)
    entered: list[int] = []
    taken: list[int] = []
    pops: list[int] = []
    now, before, take, final = DETECT_FILL, 0, -2, -1
    for e, (at, wait, long) in enumerate(zip(word.tolist(), [0, *pause.tolist()], busy.tolist(), strict=True)):
        now += at - before if e == 0 else max(1, at - before)
        before = at
        if e >= DETECT_FIFO:
            now = max(now, pops[e - DETECT_FIFO] + 1)
        pops.append(max(now + 1, take))
        take = max(pops[-1] + 1, final)
        final = take + wait + long
        entered.append(now)
        taken.append(take)
    return np.array(entered, np.int64) + begin, np.array(taken, np.int64) + begin


# ---- the exchange ----------------------------------------------------------------------------------------------------
def rounds_of(counts: IntArray, plan: Plan) -> tuple[IntArray, IntArray]:
    """(rounds, turns): rounds of each tile's own events, and those it takes part in, its neighbours' included.

    Args:
        counts: (T,) code events of a step.
    """
    rounds, near = np.maximum(1, -(-counts // plan.link_depth)), plan.tiling.neighbours
    return rounds, np.maximum(rounds, np.where(near >= 0, rounds[near], 0).max(axis=1))


def services(codes: list[IntArray], plan: Plan) -> tuple[IntArray, IntArray]:
    """(clocks, sent): (T, 9, rounds) clocks in which a tile serves a source (own store, links 0 .. 7) in a round, fill
    included, 0 for one without events; and (T, 8) events sent by link.

    Args:
        codes: per tile the (n, 5) rows (k, i, j, dy, mask) of a step.
    """
    t, g = plan.tiling, plan.tiling.geometry
    counts = np.array([len(rows) for rows in codes], np.int64)
    most = int(rounds_of(counts, plan)[0].max())
    clocks, sent = np.zeros((t.count, 9, most), np.int64), np.zeros((t.count, 8), np.int64)
    every, origin = np.concatenate(codes), np.repeat(np.arange(t.count), counts)
    turn = (np.arange(len(origin)) - np.repeat(np.cumsum(counts) - counts, counts)) // plan.link_depth
    for link in range(-1, 8):  # -1: into the tile's own R
        di, dj = DIRECTIONS[link] if link >= 0 else (0, 0)
        to = t.neighbours[origin, link] if link >= 0 else origin
        here = (to >= 0) & (every[:, 4] >> max(link, 0) & 1 == 1) if link >= 0 else np.ones(len(to), bool)
        i, j = every[here, 1] - di * t.block[0] + g.reach, every[here, 2] - dj * t.block[1] + g.reach
        source = 8 - link if link >= 0 else 0
        np.add.at(clocks[:, source], (to[here], turn[here]), t.scatter_clocks(i, j, origin[here] * most + turn[here]))
        if link >= 0:
            sent[:, link] = np.bincount(origin[here], minlength=t.count)
    return clocks + SCATTER_FILL * (clocks > 0), sent


def token_waits(
    served: IntArray, counts: IntArray, scatters: list[IntArray], plan: Plan
) -> tuple[list[tuple[int, int, int, int]], list[list[int]]]:
    """When each tile waits in SCATTER for a neighbour's token, and when each of its rounds ends.

    Args:
        served: from `services`. counts: (T,) code events of the step. scatters: per tile the first cycle of each
            SCATTER.

    Returns:
        Rows (tile, neighbour, first cycle, first cycle after), and per tile the last cycle of each SCATTER.
    """
    near = plan.tiling.neighbours.tolist()
    rounds, turns = rounds_of(counts, plan)
    waits: list[tuple[int, int, int, int]] = []
    ends: list[list[int]] = []
    for tile, first in enumerate(scatters):
        ends.append([])
        for n in range(int(turns[tile])):
            at = int(first[n]) - 1
            for source in range(9):
                at += 1
                other = tile if source == 0 else near[tile][source - 1]
                if other < 0 or n >= rounds[other]:
                    continue
                token = int(scatters[other][n]) - 1 + TOKEN_DELAY
                if source > 0 and token > at:
                    waits.append((tile, other, at, token))
                    at = token
                at += int(served[tile, source, n])
            ends[-1].append(at)
    return waits, ends
