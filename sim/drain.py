"""The way out: when each code leaves the mesh along the drain chain.

Every tile has a two-place queue; a beat moves on one cycle after it arrived, when the next queue had a place the cycle
before. Tile (r, c) sends its own codes, then its eastern neighbour's stream, then (first column) the southern one's,
then a closing word. So the tiles' codes leave in raster order, each along its row to the first column and up from
there. ``hw/drain.py`` is the same chain in gates.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from .tiling import IntArray, Tiling
from .timing import UPDATE_FILL


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
    codes: npt.NDArray[np.integer],
    begin: IntArray,
    earliest: int,
    ready: npt.NDArray[np.bool_] | None = None,
) -> Drained:
    """Run the chain.

    Args:
        codes: (h, v, K) the codes. begin: (T,) first drain cycle of each tile.
        earliest: first cycle in which the front passes beats on.
        ready: the receiver's ready by cycle (held at its last value afterwards); None: always ready.
    """
    count = int(np.count_nonzero(codes))
    beats, cycles = np.zeros((count, 4), np.int64), np.zeros(count + 1, np.int64)
    idle = np.zeros(tiling.count, np.int64)
    handshakes = np.zeros(0, np.bool_) if ready is None else np.asarray(ready, np.bool_)
    rows, columns = tiling.tiles
    _chain(codes, rows, columns, tiling.update_positions, begin, earliest, handshakes, beats, cycles, idle)
    return Drained(beats, cycles, idle)


@njit(cache=True, inline="always")
def _enter(node, at, left):  # type: ignore[no-untyped-def]
    """The first cycle from ``at`` on in which the node's queue has room: the beat before the last has left."""
    return max(at, left[node, 1] + 1)


@njit(cache=True, inline="always")
def _leave(node, at, left):  # type: ignore[no-untyped-def]
    """The first cycle in which a beat that entered at ``at`` can leave."""
    return max(at + 1, left[node, 0] + 1)


@njit(cache=True, inline="always")
def _accept(at, ready):  # type: ignore[no-untyped-def]
    """The first cycle from ``at`` on in which the receiver is ready."""
    while at < ready.size and not ready[at]:
        at += 1
    return at


@njit(cache=True)
def _send(tile, columns, now, left, front, ready):  # type: ignore[no-untyped-def]
    """A beat from a tile's own codes to the front, through every queue on its way; the cycle of its hand-over.

    Args:
        now: (T,) first cycle in which each node can take its next item. left: (T, 2) cycles in which the last beat and
        the one before left the node's queue. front: first cycle in which the front can pass it on.
    """
    node = tile
    now[node] = _enter(node, now[node], left)
    available = _leave(node, now[node], left)
    now[node] += 1
    while node > 0:
        following = node - 1 if node % columns else node - columns
        entered = _enter(following, max(now[following], available), left)
        left[node, 1], left[node, 0] = left[node, 0], entered
        available = _leave(following, entered, left)
        now[following] = entered + 1
        node = following
    at = _accept(max(available, front), ready)
    left[0, 1], left[0, 0] = left[0, 0], at
    return at


@njit(cache=True)
def _chain(codes, rows, columns, together, begin, earliest, ready, beats, cycles, idle):  # type: ignore[no-untyped-def]
    """``drain``, compiled; beats, cycles and idle are filled in."""
    height, width, kernels = codes.shape
    th, tw = height // rows, width // columns
    now, left = begin + UPDATE_FILL, np.full((rows * columns, 2), -(1 << 40), np.int64)
    sent, before, front = 0, 0, earliest
    for tile in range(rows * columns):
        row, column = tile // columns, tile % columns
        for i in range(row * th, (row + 1) * th):
            for j in range(column * tw, (column + 1) * tw):
                if j % together == 0:  # blocks begin at a multiple of it
                    before = sent
                for k in range(kernels):
                    if codes[i, j, k] != 0:
                        beats[sent, 0], beats[sent, 1], beats[sent, 2], beats[sent, 3] = k, i, j, codes[i, j, k]
                        cycles[sent] = _send(tile, columns, now, left, front, ready)
                        front = cycles[sent] + 1
                        sent += 1
                if (j + 1) % together == 0 and sent == before:
                    now[tile] += 1
        if column < columns - 1:
            continue  # its eastern neighbour's stream comes next
        now[tile] += 1
        # streams end: from the last column to the second, and where there is nothing further south up to the front
        node = tile
        while True:
            if node % columns or node // columns == rows - 1:
                now[node] += 1  # no southern stream to merge
            elif tile < rows * columns - 1:
                break
            now[node] = _enter(node, now[node], left)
            idle[node] = now[node] + 1
            available = _leave(node, now[node], left)
            if node == 0:
                cycles[sent] = _accept(max(available, front), ready)
                return
            following = node - 1 if node % columns else node - columns
            now[following] = _enter(following, max(now[following], available), left) + 1
            node = following
