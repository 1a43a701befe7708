"""The checker: what a run of the RTL must show, from the machine, and the first place where it does not."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...sim.plan import Plan
from ...sim.run import Run, StepView
from ...sim.tiling import IntArray
from ...sim.timing import Phase
from ..drain import CHANGES_WIDTH

MEMORIES = ("sent", "drive", "membrane", "residual")


@dataclass
class Divergence:
    """The first difference: where, when, what was expected and what was found."""

    unit: str
    tile: int
    step: int
    expected: int | str
    found: int | str
    frame: int = 0
    cycle: int | None = None

    def __str__(self) -> str:
        at = f", cycle {self.cycle}" if self.cycle is not None else ""
        step = f"step {self.step}, " if self.step >= 0 else ""
        if self.step < -1:
            step = f"refresh before step {-1 - self.step}, "
        return (
            f"frame {self.frame}, {step}tile {self.tile}{at}: {self.unit}: expected {self.expected}, found {self.found}"
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "frame": self.frame,
            "step": self.step,
            "tile": self.tile,
            "unit": self.unit,
            "cycle": self.cycle,
            "expected": self.expected,
            "found": self.found,
            "text": str(self),
        }


@dataclass
class Expected:
    """The state of every tile after every step, and its events, collected from the machine as it runs."""

    plan: Plan
    memories: dict[str, list[IntArray]] = field(default_factory=lambda: {name: [] for name in MEMORIES})
    codes: list[list[IntArray]] = field(default_factory=list)
    pixels: list[list[IntArray]] = field(default_factory=list)
    refreshed: "dict[int, Expected]" = field(default_factory=dict)  # by the step that follows a refresh: one entry each

    def observe_refresh(self, view: StepView) -> None:
        """For ``Machine.frame``."""
        self.refreshed[view.step] = again = Expected(self.plan)
        again.observe(view)

    def observe(self, view: StepView) -> None:
        """For ``Machine.frame``."""
        half = 1 << (self.plan.drive_width - 1)
        states = {
            "membrane": view.membrane,
            "residual": view.residual,
            "sent": view.sent,
            "drive": (view.drive.astype(np.int64) + half) % (2 * half) - half,
        }
        for name, words in states.items():
            narrow = np.int32 if max(self.plan.drive_width, self.plan.residual_width) < 32 else np.int64
            self.memories[name].append(words.astype(narrow))
        self.codes.append([rows[:, :4] for rows in view.codes])
        self.pixels.append(view.pixels)


@dataclass
class Checker:
    """Counts what was compared and keeps the first difference.

    Each step of each tile is compared in the order in which it happens: residual events, r~ and D of the gather, code
    events and U of the update, R of the exchange; a refresh before step n likewise, as step -1 - n. Then, for the
    frame, the codes that left, the closing word and every cycle.
    """

    plan: Plan
    words: int = 0
    mismatches: int = 0
    steps: int = 0
    refreshes: int = 0
    first: Divergence | None = None
    frame: int = 0
    seen: dict[int, list[int]] = field(default_factory=dict)  # by tile: the steps compared in this frame

    def differ(
        self,
        unit: str,
        tile: int,
        step: int,
        expected: object,
        found: object,
        *,
        count: int = 1,
        cycle: int | None = None,
    ) -> None:
        """Note a difference; the first one is kept in full."""
        self.mismatches += count
        if self.first is None:
            plain = [int(v) if isinstance(v, (int, np.integer)) else str(v) for v in (expected, found)]
            self.first = Divergence(unit, tile, step, plain[0], plain[1], self.frame, cycle)

    def step(
        self, tile: int, step: int, expected: Expected, memories: dict[str, IntArray], codes: IntArray, pixels: IntArray
    ) -> bool:
        """Compare one step of one tile; True when something differs."""
        before = self.mismatches
        self.seen.setdefault(tile, []).append(step)
        if not 0 <= step < len(expected.codes) and -1 - step not in expected.refreshed:
            self.differ("end of the frame", tile, step, f"{len(expected.codes)} steps", f"step {step}")
            return True
        if step < 0:
            at, expected = 0, expected.refreshed[-1 - step]
        else:
            at = step
        kind = "code of a refresh (k, i, j, y)" if step < 0 else "code event (k, i, j, dy)"
        self._rows("residual event (c, y, x, dr)", tile, step, expected.pixels[at][tile], pixels)
        self._words("sent", tile, step, expected.memories["sent"][at], memories)
        self._words("drive", tile, step, expected.memories["drive"][at], memories)
        self._rows(kind, tile, step, expected.codes[at][tile], codes)
        self._words("membrane", tile, step, expected.memories["membrane"][at], memories)
        self._words("residual", tile, step, expected.memories["residual"][at], memories)
        self.steps += tile == 0 and step >= 0
        self.refreshes += tile == 0 and step < 0
        return self.mismatches > before

    def begin(self, frame: int) -> None:
        """A new frame."""
        self.frame = frame
        self.seen = {}

    def complete(self, steps: int) -> None:
        """Every tile must have shown every step of the frame and every refresh, once and in order: silence is not
        agreement."""
        due = range(self.plan.refresh, steps, self.plan.refresh) if self.plan.refresh else range(0)
        wanted = sorted([*range(steps), *(-1 - n for n in due)], key=lambda n: n if n >= 0 else -1.5 - n)
        for tile in range(self.plan.tiling.count):
            if self.seen.get(tile, []) != wanted:
                shown = self.seen.get(tile, [])
                missing = next((n for i, n in enumerate(wanted) if i >= len(shown) or shown[i] != n), steps)
                self.differ(
                    "steps shown by the trace", tile, missing, f"{steps} in order", f"{len(shown)}: {shown[:4]}"
                )

    def _rows(self, unit: str, tile: int, step: int, want: IntArray, have: IntArray) -> None:
        self.words += len(want)
        common = min(len(want), len(have))
        wrong = np.flatnonzero((want[:common] != have[:common]).any(axis=1))
        extra = abs(len(want) - len(have))
        if len(wrong):
            n = wrong[0]
            self.differ(
                f"{unit} {n}", tile, step, tuple(want[n].tolist()), tuple(have[n].tolist()), count=len(wrong) + extra
            )
        elif extra:
            show = [tuple(rows[common].tolist()) if len(rows) > common else "nothing" for rows in (want, have)]
            self.differ(f"{unit} {common}", tile, step, show[0], show[1], count=extra)

    def _words(self, name: str, tile: int, step: int, expected: IntArray, memories: dict[str, IntArray]) -> None:
        want, have = expected[tile], memories[name][tile]
        self.words += want.size
        wrong = np.argwhere(want != have)
        if len(wrong):
            at = tuple(wrong[0].tolist())
            t = self.plan.tiling
            row, col = t.place(tile)
            if name in ("membrane", "drive"):
                where = f"{name} (k, i, j) = ({at[2]}, {row * t.block[0] + at[0]}, {col * t.block[1] + at[1]})"
            else:
                y0, x0 = t.origin(tile)
                where = f"{'r~' if name == 'sent' else 'residual'} (c, y, x) = ({at[0]}, {y0 + at[1]}, {x0 + at[2]})"
            self.differ(where, tile, step, want[at], have[at], count=len(wrong))

    def codes(self, run: Run, codes: IntArray, closing: IntArray) -> None:
        """The code stream and the flags of the closing word."""
        t = self.plan.tiling
        dense = np.zeros(t.geometry.code_shape, np.int64)
        for k, i, j, y in codes.tolist():
            if dense[k, i, j]:
                self.differ(f"code (k, i, j) = ({k}, {i}, {j})", 0, -1, "once", "twice")
            dense[k, i, j] = y
        self.words += dense.size
        wrong = np.argwhere(dense != run.code)
        if len(wrong):
            at = tuple(wrong[0].tolist())
            self.differ(f"code (k, i, j) = {at}", 0, -1, run.code[at], dense[at], count=len(wrong))
        order = codes_in_order(run)
        if not len(wrong) and (len(codes) != len(order) or (codes != order).any()):
            self.differ("order of the code stream", 0, -1, "raster order of tiles and positions", "another order")
        self.words += 1
        flags = int(run.overflow) | int(run.saturated_late) << 1 | int(run.settled) << 3
        if len(closing) and int(closing[5]) != flags:
            unit = "closing word: overflow, saturated, refused, settled"
            self.differ(unit, 0, -1, f"{flags:04b}"[::-1], f"{int(closing[5]):04b}"[::-1])
        if len(closing) and int(closing[6]) != run.events_late:
            self.differ("closing word: events", 0, -1, run.events_late, closing[6])
        if len(closing) and self.plan.settle and int(closing[8]) != run.counts.steps:
            self.differ("closing word: steps", 0, -1, run.counts.steps, closing[8])
        changes = run.counts.code_events % (1 << CHANGES_WIDTH)
        if len(closing) and int(closing[9]) != changes:
            self.differ("closing word: changes", 0, -1, changes, closing[9])

    def cycles(self, run: Run, phases: IntArray, beat_cycles: IntArray) -> None:
        """Every phase change of every tile, and the cycle of every beat."""
        assert run.cycles is not None
        have = phases[np.lexsort((phases[:, 2], phases[:, 0]))]
        want = run.cycles.phases
        common = min(len(have), len(want))
        wrong = np.flatnonzero((have[:common] != want[:common]).any(axis=1))
        if len(wrong) or len(have) != len(want):
            n = int(wrong[0]) if len(wrong) else common
            show = [
                f"{Phase(int(rows[n, 1])).name.lower()} at {int(rows[n, 2])}" if n < len(rows) else "nothing"
                for rows in (want, have)
            ]
            row = want[n] if n < len(want) else have[n]
            self.differ(
                "phase",
                int(row[0]),
                -1,
                show[0],
                show[1],
                count=len(wrong) + abs(len(have) - len(want)),
                cycle=int(row[2]),
            )
        beats = run.cycles.beats
        if len(beats) != len(beat_cycles) or (beats != beat_cycles).any():
            n = (
                int(np.flatnonzero(beats[: len(beat_cycles)] != beat_cycles[: len(beats)])[0])
                if (beats[: len(beat_cycles)] != beat_cycles[: len(beats)]).any()
                else min(len(beats), len(beat_cycles))
            )
            show = [str(int(rows[n])) if n < len(rows) else "nothing" for rows in (beats, beat_cycles)]
            self.differ(f"cycle of code beat {n}", 0, -1, show[0], show[1])


def codes_in_order(run: Run) -> IntArray:
    """The (k, i, j, y) rows of a run's codes in the order in which the drain sends them."""
    t = run.plan.tiling
    (th, tw) = t.block
    rows: list[IntArray] = []
    for tile in range(t.count):
        row, col = divmod(tile, t.tiles[1])
        block = run.code[:, row * th : (row + 1) * th, col * tw : (col + 1) * tw]
        i, j, k = np.nonzero(np.moveaxis(block, 0, -1))
        rows.append(np.stack([k, i + row * th, j + col * tw, block[k, i, j]], axis=1))
    return np.concatenate(rows) if rows else np.zeros((0, 4), np.int64)
