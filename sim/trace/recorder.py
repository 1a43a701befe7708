"""What a run did, step by step and tile by tile: recorded while it runs, put together with its clock afterwards.

A `Recorder` is the observer of `Machine.frame` or `simulate`; `Trace.of` joins it with the finished run. From there
`Trace.arrays` go into trace.npz, `vcd.write_vcd` and `timeline.write_timeline` make files for viewers.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...golden.errors import InputError
from ..plan import Plan
from ..run import Run, StepView
from ..tiling import IntArray
from ..timing import Phase
from .clocks import LOAD, code_clocks, pixel_clocks, rounds_of, services, spans, step_cycles, token_waits

SOURCES = 9  # looked at in a round, a clock each: the own store and eight links

MOST_EVENTS = 500_000
"""Events of a kind that a recorder keeps when it is not told which steps: at most about 50 MB of VCD."""

UNITS = {
    "percent_error": "(S,) percent: 100 |x - Phi y| / |x| after the step",
    "active": "(S,) neurons whose code is not 0 after the step",
    "code_events": "(S,) codes that changed",
    "residual_events": "(S,) residual events of all tiles, overlaps repeated",
    "link_events": "(S,) code events sent over links",
    "macs": "(S,) products; without those with which gram loads the picture (load_macs in run.json)",
    "scatter_macs": "(S,) products of scatter",
    "gather_macs": "(S,) products of gather",
    "scatter_issues": "(S,) clocks in which scatter's lanes work, of all tiles",
    "gather_issues": "(S,) clocks in which gather's lanes work, of all tiles",
    "gather_pauses": "(S,) clocks that gather waits for the hazard distance, of all tiles",
    "scattered_events": "(S,) code events scattered, once for each tile they reach",
    "update_positions": "(S,) V1 positions updated",
    "detect_words": "(S,) words scanned by detect",
    "changed_residuals": "(S,) pixels of the image whose r~ changed, each once",
    "tile_code_events": "(S, T) codes that changed, by tile",
    "tile_residual_events": "(S, T) residual events, by tile",
    "link_step_events": "(S, T, 8) code events sent, by tile and link (NW, N, NE, W, E, SW, S, SE)",
    "end_cycle": "(S, T) last clock of the step in each tile; clock 0 is that of the command",
    "cycles_gather": "(S, T) clocks in GATHER",
    "cycles_flush": "(S, T) clocks in FLUSH",
    "cycles_wait": "(S, T) clocks in WAIT: for acknowledgements, before a round",
    "cycles_update": "(S, T) clocks in UPDATE",
    "cycles_scatter": "(S, T) clocks in SCATTER",
    "cycles_token_wait": "(S, T) those clocks of SCATTER that waited for a neighbour's token",
    "link_traffic": "(T, 8) code events sent over the frame, by tile and link",
    "phase_cycles": "(T, phases) clocks of the frame in each phase, in the order of sim.timing.Phase",
    "spans": "(n, 5) rows (tile, step, phase, first clock, first clock after); step -1 is the load, "
    "-1 - n a refresh before step n",
    "kept_steps": "(2,) first step, and first one after, of those whose code events were kept",
    "token_waits": "(n, 5) rows (tile, step, neighbour, first clock, first clock after) of the steps kept",
    "beat_cycles": "(codes + 1,) clock in which each beat of the code stream left",
}
"""Every array that a machine adds to trace.npz: shape (S steps, T tiles), unit and meaning. A schedule without a clock
has only those of its steps, the first 14, with 0 for what it does not have; the others are empty or left out."""


class Recorder:
    """Watches a run: counts every step by tile, and keeps the events themselves of some steps.

    Args:
        plan: the machine. steps: (A, B) keeps the events of the steps A .. B - 1; None keeps those of the first steps,
            code events and residual events each as long as there are at most `MOST_EVENTS`; (0, 0) keeps none.
        pixels: keep residual events too.

    Raises:
        InputError: a range that is empty the wrong way round or begins below 0.
    """

    def __init__(self, plan: Plan, steps: tuple[int, int] | None = None, pixels: bool = True) -> None:
        if steps is not None and not 0 <= steps[0] <= steps[1]:
            raise InputError(f"steps to trace must be A:B with 0 <= A < B, not {steps[0]}:{steps[1]}")
        self.plan, self.asked = plan, steps
        self.codes: dict[int, list[IntArray]] = {}
        self.pixels: dict[int, list[IntArray]] = {}
        self.resent: dict[int, list[IntArray]] = {}  # codes that the refresh before a step sent, as events from 0
        self._sent_before = np.zeros((plan.tiling.count, 8), np.int64)  # by a refresh, to be counted with its step
        self._room = {"codes": MOST_EVENTS, "pixels": MOST_EVENTS if pixels else -1}
        self._rows: list[tuple[IntArray, IntArray, IntArray, int, IntArray]] = []
        t, g = plan.tiling, plan.tiling.geometry
        low = np.array([g.margin, g.margin], np.int64)
        self._own = low, low + g.stride * np.array(t.block, np.int64)

    def observe(self, view: StepView) -> None:
        """Note a step; to be called after every step, in order."""
        tiles = range(self.plan.tiling.count)
        counts = np.array([len(view.codes[n]) for n in tiles], np.int64)
        pixels = np.array([len(view.pixels[n]) for n in tiles], np.int64)
        low, high = self._own
        changed = sum(int(((p[:, 1:3] >= low) & (p[:, 1:3] < high)).all(axis=1).sum()) for p in view.pixels)
        clocks, sent = services(view.codes, self.plan)
        sent, self._sent_before = sent + self._sent_before, np.zeros_like(sent)
        work = SOURCES * rounds_of(counts, self.plan)[1] + clocks.sum(axis=(1, 2))
        self._rows.append((counts, pixels, sent, changed, work))
        if self._wanted("codes", view.step, int(counts.sum())):
            self.codes[view.step] = [c.copy() for c in view.codes]
        if self._wanted("pixels", view.step, int(pixels.sum())):
            self.pixels[view.step] = [p.copy() for p in view.pixels]

    def refreshed(self, view: StepView) -> None:
        """Note a refresh; to be called after every one, before the step that it precedes."""
        self._sent_before = services(view.codes, self.plan)[1]
        if self._wanted("codes", view.step, sum(map(len, view.codes))):
            self.resent[view.step] = [c.copy() for c in view.codes]

    def _wanted(self, what: str, step: int, more: int) -> bool:
        """Whether a step's events are kept; once there was no room for a step there is none for later ones."""
        if self._room[what] < 0:
            return False
        if self.asked is not None:
            return self.asked[0] <= step < self.asked[1]
        self._room[what] -= more
        return self._room[what] >= 0

    @property
    def pixel_steps(self) -> tuple[int, int]:
        """(first, after): the steps whose residual events are kept; they begin with those of `steps`."""
        return (min(self.pixels), max(self.pixels) + 1) if self.pixels else (0, 0)

    @property
    def steps(self) -> tuple[int, int]:
        """(first, after): the steps whose code events are kept."""
        return (min(self.codes), max(self.codes) + 1) if self.codes else (0, 0)

    def counts(self) -> dict[str, IntArray]:
        """The arrays that do not need a clock, by their names in `UNITS`."""
        if not self._rows:
            return {}
        code, residual, sent, changed, _ = zip(*self._rows, strict=True)
        return {
            "changed_residuals": np.array(changed, np.int64),
            "tile_code_events": np.array(code),
            "tile_residual_events": np.array(residual),
            "link_step_events": np.array(sent),
        }

    def work(self) -> IntArray:
        """(S, T) clocks of SCATTER that are not a wait for a token."""
        return np.array([row[4] for row in self._rows], np.int64)


@dataclass(frozen=True)
class Trace:
    """A finished run with what its recorder saw.

    Raises:
        InputError: ``of`` a schedule that has no clock.
    """

    run: Run
    recorder: Recorder

    @staticmethod
    def of(run: Run, recorder: Recorder) -> "Trace":
        """Put both together."""
        if run.cycles is None:
            raise InputError('only the delta schedule has a clock to trace; use machine.schedule = "delta"')
        return Trace(run, recorder)

    @cached_property
    def spans(self) -> IntArray:
        """`clocks.spans` of the run."""
        return spans(self.run)

    @property
    def steps(self) -> int:
        """Steps of the frame."""
        return len(self.run.steps.active)

    def of_step(self, step: int, tile: int, phase: Phase) -> IntArray:
        """First cycles of a tile's spans in a phase of a step."""
        return self._first.get((step, tile, int(phase)), np.zeros(0, np.int64))

    @cached_property
    def _first(self) -> dict[tuple[int, int, int], IntArray]:
        found: dict[tuple[int, int, int], list[int]] = {}
        for tile, step, phase, first, _ in self.spans.tolist():
            found.setdefault((step, tile, phase), []).append(first)
        return {key: np.array(cycles, np.int64) for key, cycles in found.items()}

    def code_clocks(self, step: int, tile: int) -> IntArray:
        """(n,) clock of each code event that the recorder kept of a step and tile."""
        return code_clocks(self.recorder.codes[step][tile], self.of_step(step, tile, Phase.UPDATE), self.run.plan)

    def resent_clocks(self, step: int, tile: int) -> IntArray:
        """(n,) clock in which each code that the refresh before a step sent left a tile, where the recorder kept it."""
        updates = self.of_step(LOAD - step, tile, Phase.UPDATE)
        return code_clocks(self.recorder.resent[step][tile], updates, self.run.plan)

    def pixel_clocks(self, step: int, tile: int) -> tuple[IntArray, IntArray]:
        """(entered, taken) clocks of each residual event that the recorder kept of a step and tile."""
        begin = int(self.of_step(step, tile, Phase.GATHER)[0])
        return pixel_clocks(self.recorder.pixels[step][tile], begin, self.run.plan)

    @cached_property
    def token_waits(self) -> IntArray:
        """(n, 5) rows (tile, step, neighbour, first cycle, first cycle after): waits in SCATTER, of the steps kept."""
        plan, rows = self.run.plan, []
        for step, codes in self.recorder.codes.items():
            counts = np.array([len(c) for c in codes], np.int64)
            scatters = [self.of_step(step, tile, Phase.SCATTER) for tile in range(plan.tiling.count)]
            waits, _ = token_waits(services(codes, plan)[0], counts, scatters, plan)
            rows += [(tile, step, other, first, after) for tile, other, first, after in waits]
        return np.array(rows, np.int64).reshape(-1, 5)

    def arrays(self) -> dict[str, IntArray]:
        """The recorder's counts and what the clock adds, by the names of `UNITS`."""
        spent = step_cycles(self.spans, self.steps, self.run.plan.tiling.count)
        phases = (Phase.GATHER, Phase.FLUSH, Phase.WAIT, Phase.UPDATE, Phase.SCATTER)
        found = {f"cycles_{phase.name.lower()}": spent[:, :, phase] for phase in phases}
        if len(self.recorder.work()) == self.steps:
            found["cycles_token_wait"] = found["cycles_scatter"] - self.recorder.work()
        assert self.run.cycles is not None
        found["kept_steps"] = np.array(self.recorder.steps, np.int64)
        found["spans"], found["token_waits"] = self.spans.astype(np.int32), self.token_waits.astype(np.int32)
        return {
            **self.recorder.counts(),
            "end_cycle": self.run.steps.end_cycle,
            **found,
            "beat_cycles": self.run.cycles.beats,
        }
