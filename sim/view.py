"""What an observer sees after a step: every tile's memories and events, cut out of the arrays that all share."""

import numpy as np
import numpy.typing as npt

from .mesh import Engine
from .plan import Plan
from .run import StepView
from .tiling import IntArray


def view(step: int, plan: Plan, engine: Engine, sent_before: npt.NDArray[np.integer]) -> StepView:
    """The view of a step that has just ended.

    Args:
        sent_before: ``engine.state.s`` as it was before the step.
    """
    t, g, state = plan.tiling, plan.tiling.geometry, engine.state
    (th, tw), k = t.block, g.kernels
    own = (engine.layout.cover - 1) * k

    def blocks(flat: npt.NDArray[np.generic]) -> IntArray:
        sheet = np.asarray(flat, np.int64).reshape(t.tiles[0], th, t.tiles[1], tw, k)
        return np.ascontiguousarray(sheet.transpose(0, 2, 1, 3, 4)).reshape(t.count, th, tw, k)

    def regions(whole: npt.NDArray[np.integer]) -> IntArray:
        out = np.zeros((t.count, g.channels, *t.region), np.int64)
        for tile in range(t.count):
            y, x = t.origin(tile)
            y, x = y + g.margin, x + g.margin
            out[tile] = whole[:, y : y + t.region[0], x : x + t.region[1]]
        return out

    before, sent = regions(sent_before), regions(state.s)
    pixels = []
    for tile in range(t.count):
        change = sent[tile] - before[tile]
        where = np.nonzero(change)
        pixels.append(np.stack([*where, change[where]], axis=1))
    codes = [_codes(tile, engine) for tile in range(t.count)]
    drive = state.d[:, own : own + g.sheet[1] * k]
    return StepView(step, blocks(state.u), blocks(drive), regions(state.r), sent, codes, pixels)


def _codes(tile: int, engine: Engine) -> IntArray:
    """(n, 5) a tile's code events (k, i, j, dy, neighbour mask) in the order in which they left update."""
    events, lists = engine.events, engine.lists
    mine = slice(events.first[tile], events.first[tile + 1])
    at = events.source[mine], events.number[mine]
    i, j = events.row[mine], events.column[mine]
    rows = [lists.neuron[at] % engine.layout.kernels, i, j, lists.dy[at], engine.shape.send[i, j]]
    return np.stack([np.asarray(row, np.int64) for row in rows], axis=1)
