"""What a frame asks of any mapping: where its events lie, and a lower bound of the cycles that every mapping needs.

The bits do not depend on tiles, lanes or link depth, so neither do the events. One run on a single tile records how
often each pixel and each position changed; the least that a tile of any mapping has to do follows by table look-up,
without running that mapping.
"""

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from ..machine import Machine
from ..plan import Plan
from ..run import Run, StepView
from ..tiling import IntArray, Tiling
from ..timing import (
    CLEAR_MARGIN,
    DETECT_FILL,
    FLUSH_GATHER,
    FLUSH_INPUT,
    FLUSH_SCATTER,
    UPDATE_FILL,
)

_SOURCES = 9  # own store and eight links, each looked at once a round
_GROUPED = 1 << 22
"""Counters that are kept about; large pictures get fewer groups of steps."""
_STEP = (1 + FLUSH_GATHER) + (1 + UPDATE_FILL - 1) + _SOURCES + (1 + FLUSH_SCATTER)
"""Clocks of a step that are there without any event."""


@dataclass(frozen=True)
class Workload:
    """The events of one frame by place.

    Args:
        steps: done. ends: last step + 1 of each group of steps; equal ones where the frame settled early.
        pixels: (groups, H, W) residual events of each pixel, channels added up.
        codes: (H/s, W/s) code events of each position.
        serial: (2, H/s, W/s) clocks of each word of U in update's serialiser: max(1, changed), added up over the
            steps; [n] for words of n + 1 positions, each at its first one.
        drained: (2, H/s, W/s) the same in the drain: max(1, active).
        run: the run that was recorded.
    """

    steps: int
    ends: IntArray
    pixels: npt.NDArray[np.int32]
    codes: IntArray
    serial: IntArray
    drained: IntArray
    run: Run
    _gathers: dict[tuple[object, ...], IntArray] = field(default_factory=dict, repr=False, compare=False)
    _scatters: dict[tuple[object, ...], IntArray] = field(default_factory=dict, repr=False, compare=False)

    def gather_cycles(self, t: Tiling) -> IntArray:
        """(tiles, groups): clocks of gather's lanes, rows * column groups * kernel groups over the events."""
        key = (t.tiles, t.positions_per_cycle, t.kernel_groups)
        if key not in self._gathers:
            rows, columns = t.covering(0)[1], -(-t.covering(1)[1] // t.positions_per_cycle) * t.kernel_groups
            found = np.zeros((t.count, len(self.ends)), np.int64)
            for tile in range(t.count):
                (y0, x0), (y1, y2, x1, x2) = t.origin(tile), t.inside(tile)
                part = self.pixels[:, y0 + y1 : y0 + y2, x0 + x1 : x0 + x2]
                found[tile] = np.einsum("gyx,y,x->g", part, rows[y1:y2], columns[x1:x2])
            self._gathers[key] = found
        return self._gathers[key]

    def scatter_cycles(self, t: Tiling) -> IntArray:
        """(tiles,): issues of scatter's lanes, own and neighbours' events."""
        key = (t.tiles, t.scatter_lanes)
        if key not in self._scatters:
            g, (th, tw), reach = t.geometry, t.block, t.geometry.reach
            rows, groups = g.channels * t.visible(0)[1], t.visible_groups()[1]
            wide = np.pad(self.codes, reach)
            found = np.zeros(t.count, np.int64)
            for tile in range(t.count):
                row, column = t.place(tile)
                part = wide[row * th : (row + 1) * th + 2 * reach, column * tw : (column + 1) * tw + 2 * reach]
                found[tile] = rows @ part @ groups
            self._scatters[key] = found
        return self._scatters[key]

    def by_tile(self, values: IntArray, t: Tiling) -> IntArray:
        """(tiles,) sums of an array over the positions of each tile."""
        (rows, columns), (th, tw) = t.tiles, t.block
        return np.asarray(values.reshape(rows, th, columns, tw).sum(axis=(1, 3)).ravel())

    def least_cycles(self, plan: Plan) -> int:
        """A lower bound of a cold frame's cycles on a plan that differs in tiles, lanes, link depth or word of R only.

        Per tile: a step is gather, update and scatter one after the other; detect hides behind gather or gather behind
        detect; waiting for neighbours, pauses and further rounds are left out. Exact is `Machine.frame`.
        """
        t = plan.tiling
        serial, drained = (self.by_tile(values[t.update_positions - 1], t) for values in (self.serial, self.drained))
        lengths = np.diff(self.ends, prepend=0)
        gathered = np.maximum(self.gather_cycles(t), lengths * t.sent_depth) + lengths * DETECT_FILL
        compute = gathered.sum(axis=1) + serial + self.scatter_cycles(t) + self.steps * _STEP
        hops = np.array([sum(t.place(n)) for n in range(t.count)], np.int64)
        loaded = 2 + t.clear_cycles + CLEAR_MARGIN + int(np.prod(t.geometry.image_shape)) - 1
        begun = loaded + 4 + FLUSH_INPUT + hops + compute
        return int((begun + UPDATE_FILL + drained).max())


def record(plan: Plan, weights: IntArray, image: IntArray, steps: int) -> Workload:
    """Run a frame on a single tile and keep where its events lay.

    Args:
        plan: network and arithmetic; its tiles do not matter, its lanes must be legal.
        weights, image: (K, C, p, p) and (C, H, W) integers of the plan's formats. steps: of the frame.
    """
    single = replace(plan, tiling=replace(plan.tiling, tiles=(1, 1)))
    g, margin = single.tiling.geometry, single.tiling.geometry.margin
    groups = int(np.clip(_GROUPED // (g.image[0] * g.image[1]), 3, 12))
    ends = np.unique(np.append(np.rint(np.geomspace(1, steps, groups)).astype(np.int64), steps))
    pixels = np.zeros((len(ends), *g.image), np.int32)
    codes, serial = np.zeros(g.sheet, np.int64), np.zeros((2, *g.sheet), np.int64)

    def keep(view: StepView) -> None:
        group = int(np.searchsorted(ends, view.step, side="right"))
        changed = view.pixels[0]
        np.add.at(pixels[group], (changed[:, 1] - margin, changed[:, 2] - margin), 1)
        events = np.bincount(view.codes[0][:, 1] * g.sheet[1] + view.codes[0][:, 2], minlength=codes.size)
        codes[...] += events.reshape(g.sheet)
        serial[...] += _words(events.reshape(g.sheet))

    run = Machine(single, weights).frame(image, steps, observe=keep)
    drained = _words(np.count_nonzero(run.code, axis=0))
    done = run.counts.steps  # fewer than asked for where the frame settled
    return Workload(done, np.minimum(ends, done), pixels, codes, serial, drained, run)


def _words(events: IntArray) -> IntArray:
    """(2, H/s, W/s) clocks of each word of 1 and of 2 positions, at its first: an event a clock, one at the least."""
    found = np.zeros((2, *events.shape), np.int64)
    found[0] = np.maximum(events, 1)
    even = events.shape[1] & ~1  # no tile of an odd number of columns has words of two positions
    found[1, :, :even:2] = np.maximum(events[:, :even:2] + events[:, 1:even:2], 1)
    return found
