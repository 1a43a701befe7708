"""What bit flips do to a frame: single ones by memory, bit and step; and many in a frame, with and without refresh.

Everything is told by the codes: their error against the picture, with weights that no flip has touched. A strike goes
on from a frame that has run for some steps without faults: a warm frame of the same picture continues a frame exactly,
so the steps before are run once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..golden.errors import InputError
from .cost import cost
from .fault import Fault, extent, random_fault, word_bits
from .faults import APPLIED, FaultedMachine, Wrong
from .machine import Machine
from .plan import Plan
from .run import FloatArray, Run
from .tech import Band
from .tiling import IntArray

ROWS = ("u", "d", "r", "s", "gather weight", "scatter weight", "link")
"""What is struck: the memories of `fault.MEMORIES`, the two parts of the weight memory apart."""
STATE = ("u", "d", "r", "s")
"""What a refresh can heal, and what `Refreshed` hits, each bit as often as any other."""
TOLERANCE = 0.25
"""Points of percent error within which a frame counts as unharmed: two frames that round once differently, and end
equally well, were up to 0.2 apart on the way."""
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Strike:
    """One flip and what the frame came to.

    Args:
        row: of `ROWS`. apart: (n,) percent error minus that of the unharmed frame, after the step it struck and after
            each later one. codes: words of the last code that differ. wrong: of the state at the end.
    """

    row: str
    fault: Fault
    apart: FloatArray
    codes: int
    wrong: Wrong

    @cached_property
    def out(self) -> IntArray:
        """Steps after the flip, from 0, in which the error is outside the tolerance."""
        return np.flatnonzero(np.abs(self.apart) > TOLERANCE)

    @property
    def persisted(self) -> bool:
        """The error is outside the tolerance at the end of the frame."""
        return bool(abs(self.apart[-1]) > TOLERANCE)

    @property
    def steps_to_heal(self) -> int | None:
        """Steps until the error stays within the tolerance; 0 where it never left it, None where it is outside."""
        return None if self.persisted else int(self.out[-1]) + 1 if len(self.out) else 0

    @property
    def latent(self) -> bool:
        """R or D says at the end what is not so."""
        return self.wrong.residual > 0 or self.wrong.drive > 0


def summary(strikes: Sequence[Strike], before: float) -> dict[str, Any]:
    """Counts and errors of some strikes; ``before``: percent error at the end of a frame without faults."""
    at_end = np.array([s.apart[-1] for s in strikes])
    healing = [len(s.apart) if s.steps_to_heal is None else s.steps_to_heal for s in strikes if not s.persisted]
    healing = [steps for steps in healing if steps]
    return {
        "flips": len(strikes),
        "unseen": sum(not len(s.out) for s in strikes),
        "healed": len(healing),
        "persisted": sum(s.persisted for s in strikes),
        "latent": sum(s.latent for s in strikes),
        "percent_error_before": before,
        "percent_error_after": before + float(at_end.mean()),
        "percent_error_worst": before + float(at_end.max()),
        "peak_points": float(np.mean([np.abs(s.apart).max() for s in strikes])),
        "codes_different": float(np.mean([s.codes for s in strikes])),
        "steps_to_heal": float(np.median(healing)) if healing else None,
    }


@dataclass(frozen=True)
class Study:
    """The same strikes without refresh and with it.

    Args:
        clean: (steps,) percent error without faults. strikes: by refresh interval (0: none), the same faults in each.
    """

    plan: Plan
    clean: FloatArray
    strikes: dict[int, tuple[Strike, ...]]

    def of(self, row: str, refresh: int = 0, bits: Sequence[int] | None = None) -> list[Strike]:
        """The strikes of a row, all bits or some."""
        return [s for s in self.strikes[refresh] if s.row == row and (bits is None or s.fault.bit in bits)]

    @property
    def rows(self) -> list[str]:
        """The rows that were struck."""
        return [row for row in ROWS if self.of(row)]

    def by_row(self, refresh: int = 0) -> dict[str, dict[str, Any]]:
        """Of each row: flips never seen, healed, persisted; error at the end; median steps to heal."""
        return {row: summary(self.of(row, refresh), float(self.clean[-1])) for row in self.rows}


def row_bits(plan: Plan, row: str) -> int:
    """Bits of a word of a row of `ROWS`."""
    return word_bits(plan, "weight" if " " in row else row)


def draw_row(plan: Plan, row: str, rng: np.random.Generator, *, step: int, bit: int | None = None) -> Fault:
    """A fault of one of `ROWS`; on a link, a flipped bit of one of the first two events of a step."""
    if " " not in row:
        return random_fault(plan, row, rng, step=step, bit=bit, events=2)
    fault = random_fault(plan, "weight", rng, step=step, bit=bit)
    return replace(fault, address=(("gather weight", "scatter weight").index(row), *fault.address[1:]))


def draw_state(plan: Plan, rng: np.random.Generator, flips: int, steps: int) -> list[Fault]:
    """So many flips in U, D, R and r~ of a frame, every bit and step as likely as any other."""
    sizes = np.array([np.prod(extent(plan, name)) * word_bits(plan, name) for name in STATE], np.float64)
    names = rng.choice(STATE, size=flips, p=sizes / sizes.sum())
    return [random_fault(plan, str(name), rng, step=int(rng.integers(steps))) for name in names]


@dataclass
class Frame:
    """A cold frame that can be gone on with from some of its steps, under faults.

    Args:
        plan, weights: the machine. picture: (C, H, W) float. steps: of the frame. strikes: the steps that can be gone
            on from.

    Raises:
        InputError: a schedule of step shifts or settling, which count from a frame's first step.
    """

    plan: Plan
    weights: IntArray
    picture: FloatArray
    steps: int
    strikes: Sequence[int] = ()
    saved: dict[int, list[Any]] = field(default_factory=dict)
    machines: dict[int, FaultedMachine] = field(default_factory=dict)  # by refresh interval

    def __post_init__(self) -> None:
        if len(self.plan.step_shift) > 1 or self.plan.settle:
            raise InputError(
                "flips are studied with one step shift and frames of full length; set dynamics.step_shift to one "
                "number and dynamics.settle to 0"
            )
        self.x = self.plan.quantise_image(self.picture)
        machine, curves, done = self.machine(0), [], 0
        for step in (*sorted(set(self.strikes) - {self.steps}), self.steps):
            if step > done:
                run = machine.frame(self.x, step - done, warm=done > 0, reference=self.picture)
                curves.append(run.steps.percent_error)
                done, self.code = step, run.code
            self.saved[step] = machine.memories()
        self.clean = np.concatenate(curves)

    def machine(self, refresh: int) -> FaultedMachine:
        """A machine that refreshes every so many steps (0: never); the same one each time."""
        if refresh not in self.machines:
            self.machines[refresh] = FaultedMachine(replace(self.plan, refresh=refresh), self.weights)
        return self.machines[refresh]

    def strike(self, row: str, fault: Fault, refresh: int = 0) -> Strike | None:
        """Go on with it from the last step saved before the fault; None where that met nothing."""
        machine, begin = self.machine(refresh), max(step for step in self.saved if step <= fault.step)
        machine.put_memories(self.saved[begin], self.x)
        run = machine.frame(
            self.x, self.steps - begin, warm=True, reference=self.picture,
            faults=[replace(fault, step=fault.step - begin)],
        )  # fmt: skip
        if machine.met[0] != APPLIED:
            return None
        apart = (run.steps.percent_error - self.clean[begin:])[fault.step - begin :]
        return Strike(row, fault, apart, int(np.count_nonzero(run.code != self.code)), machine.wrong())

    def whole(self, faults: Sequence[Fault], refresh: int) -> Run:
        """The whole cold frame under faults."""
        machine = self.machine(refresh)
        machine.load_weights()
        return machine.frame(self.x, self.steps, reference=self.picture, faults=faults)


def study(
    plan: Plan,
    weights: IntArray,
    picture: FloatArray,
    steps: int,
    *,
    flips: int,
    seed: int,
    refresh: int,
    rows: Sequence[str] = ROWS,
    strikes: Sequence[int] | None = None,
    progress: Progress | None = None,
) -> Study:
    """Strike each row with so many flips, every bit of its word in turn, at steps drawn; without and with refresh.

    Args:
        flips: of each row. refresh: the interval to compare with; 0: compare with nothing. strikes: the steps, the flip
            up to an interval later; an eighth, a quarter, a half and three quarters of the frame where None.

    Raises:
        InputError: fewer than one flip, a frame too short, what `Frame` refuses.
    """
    if flips < 1:
        raise InputError(f"--flips must be at least 1, not {flips}")
    at = tuple(strikes) if strikes is not None else tuple(sorted({steps * n // 8 for n in (1, 2, 4, 6)}))
    spread = min(max(1, refresh), steps - max(at))
    if steps < 8:
        raise InputError(f"dynamics.steps must be at least 8 to see what heals, not {steps}")
    frame = Frame(plan, weights, picture, steps, at)
    rows = [row for row in rows if row != "link" or plan.tiling.count > 1]
    found: dict[int, list[Strike]] = {n: [] for n in dict.fromkeys((0, refresh))}
    for number, row in enumerate(rows):
        rng, width = np.random.default_rng([seed, ROWS.index(row)]), row_bits(plan, row)
        for n in range(flips):
            if progress is not None and n % 4 == 0:
                progress(f"flips in {row}", (number + n / flips) / len(rows))
            for _ in range(20):  # the event of a link may not come
                step = int(rng.choice(at)) + int(rng.integers(spread))
                bit = width - 1 - (n * width // flips if flips < width else n % width)
                fault = draw_row(plan, row, rng, step=step, bit=bit)
                first = frame.strike(row, fault)
                if first is None:
                    continue
                found[0].append(first)
                if refresh:
                    other = frame.strike(row, fault, refresh)
                    assert other is not None, "a fault that is met before any refresh is met with it"
                    found[refresh].append(other)
                break
    return Study(plan, frame.clean, {n: tuple(strikes) for n, strikes in found.items()})


@dataclass(frozen=True)
class Refreshed:
    """Frames under so many flips each, with one refresh interval.

    Args:
        refresh: the interval, 0: never. percent_error: (frames, steps). cycles, energy_pj: of a frame without faults,
            exact and modelled.
    """

    refresh: int
    percent_error: FloatArray
    cycles: int
    energy_pj: Band

    @property
    def mean(self) -> FloatArray:
        """(steps,) over the frames."""
        return np.asarray(self.percent_error.mean(axis=0))

    @property
    def floor(self) -> float:
        """Mean percent error over the last half of the frames' steps."""
        return float(self.percent_error[:, self.percent_error.shape[1] // 2 :].mean())


def intervals(steps: int) -> tuple[int, ...]:
    """Refresh intervals worth comparing in a frame of so many steps: none, and from half of it down."""
    return (0, *sorted({max(1, steps // n) for n in (2, 4, 8, 20, 40)}, reverse=True))


def refreshed(
    frame: Frame,
    *,
    flips: int,
    frames: int,
    seed: int,
    clock_mhz: float,
    every: Sequence[int],
    progress: Progress | None = None,
) -> tuple[Refreshed, ...]:
    """The same flips under several refresh intervals, and what each interval costs.

    Args:
        flips: in U, D, R and r~ of each frame. frames: how many. every: the intervals.
    """
    drawn = [draw_state(frame.plan, np.random.default_rng([seed, n]), flips, frame.steps) for n in range(frames)]
    results = []
    for number, n in enumerate(every):
        if progress is not None:
            progress(f"refresh every {n} steps" if n else "no refresh", number / len(every))
        errors = np.stack([frame.whole(faults, n).steps.percent_error for faults in drawn])
        run = Machine(replace(frame.plan, refresh=n), frame.weights).frame(frame.x, frame.steps)
        priced = cost(run, clock_mhz)
        assert run.cycles is not None and priced is not None, "a delta run has cycles"
        results.append(Refreshed(n, errors, run.cycles.frame, priced.energy_pj))
    return tuple(results)
