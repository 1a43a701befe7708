"""The tiles one by one, in plain Python: the chain out, the clock of detect and gather, and who overflows when.

Slow on purpose and without the machine's shortcuts: the machine keeps one residual for all tiles, compiles its chain
and proves most steps free of overflow; here every tile has its own copy and every add is looked at.
"""

from collections.abc import Iterator

import numpy as np

from striate.sim.plan import Plan
from striate.sim.run import StepView
from striate.sim.tiling import DIRECTIONS, Tiling
from striate.sim.timing import DETECT_FIFO, DETECT_FILL, HAZARD, UPDATE_FILL


def chain(tiling: Tiling, code: np.ndarray, begin: np.ndarray, earliest: int, ready: np.ndarray) -> list[int]:
    """The cycle in which each beat, and the closing word, leaves; code (K, h, v)."""
    cycles: list[int] = []
    stream = _node(tiling, 0, code, begin)
    available, last = next(stream)
    while True:
        at = max(available, earliest, cycles[-1] + 1 if cycles else 0)
        while at < len(ready) and not ready[at]:
            at += 1
        cycles.append(at)
        if last:
            return cycles
        available, last = stream.send(at)


def _node(t: Tiling, tile: int, code: np.ndarray, begin: np.ndarray):  # type: ignore[no-untyped-def]
    """A tile's stream: yields (first cycle a beat can leave, whether it is the closing word), is sent when it left."""
    (row, col), (th, tw) = t.place(tile), t.block
    left: list[int] = []
    entered, now = 0, int(begin[tile]) + UPDATE_FILL

    def place(at: int) -> int:
        return max(at, left[entered - 2] + 1) if entered >= 2 else at

    def leaves(at: int) -> int:
        return max(at, left[-1] if left else at) + 1

    own = code[:, row * th : (row + 1) * th, col * tw : (col + 1) * tw]
    for word in np.moveaxis(own, 0, -1).reshape(-1, t.update_positions * len(code)):
        for _ in range(np.count_nonzero(word)):
            now = place(now)
            entered += 1
            left.append((yield leaves(now), False))
            now += 1
        now += not word.any()
    for exists, other in (
        (col + 1 < t.tiles[1], tile + 1),
        (col == 0 and row + 1 < t.tiles[0], tile + t.tiles[1]),
    ):
        if not exists:
            now += 1
            continue
        source = _node(t, other, code, begin)
        available, last = next(source)
        while not last:
            now = place(max(now, available))
            entered += 1
            left.append((yield leaves(now), False))
            available, last = source.send(now)
            now += 1
        now = place(max(now, available)) + 1
    yield leaves(place(now)), True


def gather_cycles(t: Tiling, pixels: np.ndarray) -> int:
    """Cycles of a tile's detect and gather, from its residual events (n, 4) (c, y, x, dr): docs/dataflow.md, 7."""
    (first, rows), (_, columns) = t.covering(0), t.covering(1)
    words = t.sent_depth
    if not len(pixels):
        return DETECT_FILL + words
    enter, pop, take, final = [], [], [], []
    before = 0
    for e, (c, y, x, _) in enumerate(pixels.tolist()):
        word = (c * t.region[0] + y) * t.sent_words_per_row + x // t.detect_lanes
        enter.append(DETECT_FILL + word if e == 0 else enter[-1] + max(1, word - before))
        if e >= DETECT_FIFO:
            enter[-1] = max(enter[-1], pop[e - DETECT_FIFO] + 1)
        pop.append(max(enter[e] + 1, take[e - 1] if e else 0))
        take.append(max(pop[e] + 1, final[e - 1] if e else 0))
        pause = 0
        if e:
            c_before, y_before = pixels[e - 1, :2]
            common = int(first[y_before] + rows[y_before] - first[y])
            pause = HAZARD if c != c_before else HAZARD - common if 0 < common < HAZARD else 0
        groups = -(-columns[x] // t.positions_per_cycle) * t.kernel_groups
        final.append(int(take[e] + pause + rows[y] * groups))
        before = word
    return max(enter[-1] + words - 1 - before, final[-1]) + 1


def overflowing(plan: Plan, weights: np.ndarray, view: StepView, before: np.ndarray) -> bool:
    """Whether some tile's adds of a step leave R's word; ``before``: (T, C, Hr, Wr) R before the step."""
    t, half = plan.tiling, 1 << (plan.residual_width - 1)
    for tile in range(t.count):
        r = before[tile].copy()
        for k, i, j, dy in _served(plan, view, tile):
            y, x, p = t.geometry.stride * i, t.geometry.stride * j, t.geometry.patch
            rows, columns = slice(max(0, y), min(y + p, t.region[0])), slice(max(0, x), min(x + p, t.region[1]))
            taps = weights[k, :, rows.start - y : rows.stop - y, columns.start - x : columns.stop - x]
            r[:, rows, columns] -= taps * dy
            if r.max() >= half or r.min() < -half:
                return True
    return False


def _served(plan: Plan, view: StepView, tile: int) -> Iterator[tuple[int, int, int, int]]:
    """A tile's and its neighbours' code events in the tile's coordinates, in the order in which it scatters them."""
    t, depth = plan.tiling, plan.link_depth
    for turn in range(max(-(-len(events) // depth) for events in view.codes)):
        for source in range(-1, 8):
            other = tile if source < 0 else t.neighbour(tile, source)
            if other < 0:
                continue
            di, dj = DIRECTIONS[source] if source >= 0 else (0, 0)
            for k, i, j, dy, mask in view.codes[other][turn * depth : (turn + 1) * depth].tolist():
                if source < 0 or mask >> (7 - source) & 1:
                    yield k, i + di * t.block[0], j + dj * t.block[1], dy
