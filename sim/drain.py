"""The way out: when each code leaves the mesh along the drain chain.

Every tile has a two-place queue; a beat moves on one cycle after it arrived, when the next queue had a place the cycle
before. Tile (r, c) sends its own codes, then its eastern neighbour's stream, then (first column) the southern one's,
then a closing word. ``hw/drain.py`` is the same chain in gates.
"""

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .tiling import IntArray, Tiling
from .timing import UPDATE_FILL

Beat = tuple[int, int, int, int]
Node = Generator[tuple[int, Beat | None], int, None]


@dataclass(frozen=True)
class Drained:
    """What left the machine.

    Args:
        beats: (n, 4) codes (k, i, j, y) on the sheet, in order.
        cycles: (n + 1,) cycle in which each beat, and then the closing word, was handed over.
        idle: (T,) first idle cycle of each tile.
    """

    beats: IntArray
    cycles: IntArray
    idle: IntArray


def drain(
    tiling: Tiling,
    codes: list[list[IntArray]],
    begin: IntArray,
    earliest: int,
    ready: npt.NDArray[np.bool_] | None = None,
) -> Drained:
    """Run the chain.

    Args:
        codes: per tile and position, the (k, y) pairs that are not 0, as (n, 2) arrays.
        begin: (T,) first drain cycle of each tile. earliest: first cycle in which the front passes beats on.
        ready: the receiver's ready by cycle (held at its last value afterwards); None: always ready.
    """
    idle = np.zeros(tiling.count, np.int64)

    def accept(at: int) -> int:
        if ready is None:
            return at
        while at < len(ready) and not ready[at]:
            at += 1
        return at

    beats: list[Beat] = []
    cycles: list[int] = []
    node = _node(tiling, 0, codes, begin, idle)
    available, beat = next(node)
    while True:
        at = accept(max(available, earliest, cycles[-1] + 1 if cycles else 0))
        cycles.append(at)
        if beat is None:
            break
        beats.append(beat)
        available, beat = node.send(at)
    return Drained(np.array(beats, np.int64).reshape(-1, 4), np.array(cycles, np.int64), idle)


def _node(tiling: Tiling, tile: int, codes: list[list[IntArray]], begin: IntArray, idle: IntArray) -> Node:
    """One tile's stream: yields (first cycle a beat can leave, beat or None for the closing word), is sent when it
    left.
    """
    (row, col), (th, tw) = tiling.place(tile), tiling.block
    left: list[int] = []  # cycles in which beats left this queue
    entered = 0

    def place(at: int) -> int:
        """First cycle from ``at`` on in which the queue has room."""
        return max(at, left[entered - 2] + 1) if entered >= 2 else at

    def leaves(at: int) -> int:
        return max(at + 1, left[-1] + 1) if left else at + 1

    now = int(begin[tile]) + UPDATE_FILL
    for position, present in enumerate(codes[tile]):
        i, j = divmod(position, tw)
        for k, y in present.tolist():
            now = place(now)
            entered += 1
            left.append((yield leaves(now), (k, row * th + i, col * tw + j, y)))
            now += 1
        if not len(present):
            now += 1
    for exists, other in (
        (col + 1 < tiling.tiles[1], tile + 1),
        (col == 0 and row + 1 < tiling.tiles[0], tile + tiling.tiles[1]),
    ):
        if not exists:
            now += 1
            continue
        source = _node(tiling, other, codes, begin, idle)
        available, beat = next(source)
        while True:
            now = place(max(now, available))
            if beat is None:
                now += 1
                break
            entered += 1
            left.append((yield leaves(now), beat))
            available, beat = source.send(now)
            now += 1
    now = place(now)
    idle[tile] = now + 1
    yield leaves(now), None
