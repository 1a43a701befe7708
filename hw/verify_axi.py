"""The emitted AXI top against the machine: a picture in, codes out, registers read back; and protocol fuzzing.

`verify_axi` is what a host does, first without a stall (the cycle counter must then read what the machine says), then
with every channel standing still at random. `fuzz` is what a host should not do as well. In both a checker of the AXI
rules watches every clock (``cosim/axi.cpp``).
"""

import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..golden.dictionary import Dictionary
from ..golden.errors import InputError
from ..sim.design import Design
from ..sim.fixed import quantise
from ..sim.machine import Machine
from ..sim.plan import Plan
from ..sim.run import Run
from ..sim.tiling import IntArray
from .core import identity, parameter_ranges
from .cosim.axi import Closed, CompiledCore, Hang, Stalls, build_core
from .cosim.axi_fuzz import Fuzz, Wrong
from .cosim.checker import Checker
from .emit import CORE_FILE, MESH_FILE, TILE_FILE, core_verilog, quantised, verilog
from .registers import REGISTERS, register
from .verify import Verdict, check_folder

Progress = Callable[[str, float], None]
WARM_STEPS = 8
"""Most steps of the third frame, which continues the second one."""


def fuzz_design() -> Design:
    """A machine of two tiles whose frames take about a thousand clocks, so that a million holds a thousand frames."""
    return Design(
        image=(8, 8),
        kernels=2,
        patch=4,
        stride=2,
        preprocess="none",
        threshold=0.1,
        step_shift=2,
        steps=3,
        two_sided=True,
        tiles=(1, 2),
        gather_lanes=4,
        scatter_lanes=4,
        detect_lanes=4,
        link_depth=4,
    )


@dataclass(frozen=True)
class AxiVerdict(Verdict):
    """A ``Verdict`` of the AXI top. ``violations``: breaches of the AXI rules and, when fuzzing, wrong answers.

    ``fuzz_cycles``: clocks of fuzzing; ``frames``: frames made and compared; ``stalled``: clocks in which a port stood
    still, by port. ``mix`` counts the episodes of a fuzzing run.
    """

    violations: int = 0
    fuzz_cycles: int = 0
    frames: int = 0
    stalled: dict[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        own = {name: getattr(self, name) for name in ("violations", "fuzz_cycles", "frames", "stalled")}
        return super().as_dict() | {"top": "axi"} | own


@contextmanager
def _compiled(
    design: Design, plan: Plan, weights: IntArray, rtl: Path | None, wave: Path | None, seed: int, jobs: int
) -> Any:
    """The compiled top of a design or of a folder; the divergence when the folder's files are not the design's."""
    with tempfile.TemporaryDirectory(prefix="striate-") as scratch:
        folder, wrong = Path(scratch), None
        if rtl is not None:
            folder = rtl
            if not (folder / CORE_FILE).is_file():
                raise InputError(f"{folder} holds no {CORE_FILE}; emit again, or verify it with --top stream")
            wrong = check_folder(rtl, design, plan, weights)
        else:
            for name, text in verilog(plan).items():
                (folder / name).write_text(text)
            (folder / CORE_FILE).write_text(core_verilog(plan, design.dynamics.steps))
        sources = [folder / name for name in (CORE_FILE, MESH_FILE, TILE_FILE)]
        library = build_core(sources, trace=wave is not None, jobs=jobs)
        with CompiledCore(library, wave=wave, seed=seed * 2 + 1) as core:
            yield core, wrong


def verify_axi(
    design: Design,
    *,
    picture: npt.NDArray[np.float64] | None = None,
    seed: int = 0,
    rtl: Path | None = None,
    wave: Path | None = None,
    steps: int | None = None,
    jobs: int = 1,
    dictionary: Dictionary | None = None,
    progress: Progress | None = None,
) -> AxiVerdict:
    """Check the AXI top against the machine on a picture; arguments and errors as of ``verify.verify``.

    Three frames: cold and never stalled, cold with random stalls on every channel, warm with stalls (the picture turned
    upside down, at most ``WARM_STEPS`` steps).
    """
    started = time.perf_counter()
    plan, weights = quantised(design, dictionary)
    steps = design.dynamics.steps if steps is None else steps
    if picture is None:
        picture = np.random.default_rng(seed).standard_normal(design.geometry.image_shape) * 0.1
    if picture.shape != design.geometry.image_shape:
        raise InputError(
            f"the picture is {picture.shape}, the design wants {design.geometry.image_shape}; "
            f"crop it or set network.image"
        )
    if wave is not None and not wave.absolute().parent.is_dir():
        raise InputError(f"cannot write the wave file {wave}: no folder {wave.absolute().parent}; make it first")
    tell = progress or (lambda text, share: None)
    tell("generating and compiling", 0.0)
    with _compiled(design, plan, weights, rtl, wave, seed, jobs) as (core, wrong):
        session = _Session(design, plan, core, Machine(plan, weights), Checker(plan))
        if wrong is not None:
            session.check.first, session.check.mismatches = wrong, 1
        image = plan.quantise_image(picture)
        frames = (
            ("a cold frame", image, steps, False, Stalls()),
            ("a cold frame, stalled", image, steps, False, Stalls.all(96)),
            ("a warm frame, stalled", image[:, ::-1].copy(), min(steps, WARM_STEPS), True, Stalls.all(160)),
        )
        try:
            if not session.check.mismatches:
                session.registers()
                session.load(weights)
            for n, (text, picture_q, count, warm, stalls) in enumerate(frames):
                if session.check.mismatches:
                    break
                tell(text, n / len(frames))
                session.frame(n, picture_q, count, warm, stalls)
        except Hang as error:
            session.check.differ("answer of the core", 0, -1, "one", str(error))
        return session.verdict(time.perf_counter() - started)


class _Session:
    """A host with the core, the machine beside it and the checker between them."""

    def __init__(self, design: Design, plan: Plan, core: CompiledCore, machine: Machine, check: Checker) -> None:
        self.design, self.plan, self.core, self.machine, self.check = design, plan, core, machine, check
        self.totals = {name: 0 for name in ("steps", "rtl", "model", "codes", "pixels", "links", "frames")}
        self.input = np.zeros(plan.tiling.geometry.image_shape, np.int64)
        self.rtl_seconds = 0.0

    def same(self, unit: str, expected: object, found: object) -> None:
        """Compare one value."""
        self.check.words += 1
        if expected != found:
            self.check.differ(unit, 0, -1, expected, found)

    def registers(self) -> None:
        """What every register reads after reset, and that each parameter is written, read back and refused."""
        ranges, core = parameter_ranges(self.plan), self.core
        start = {name: own for name, (_, _, own) in ranges.items()} | {"STEPS": self.design.dynamics.steps}
        start["STEP_SHIFT"] |= 1 << 31
        want = identity(self.plan) | {"STATUS": 2} | start
        for entry in REGISTERS:
            self.same(f"{entry.name} after reset", want.get(entry.name, 0), core.read(entry.name))
        for name, (low, high, _) in ranges.items():
            for value in sorted({low, high} if low <= high else set()):
                self.same(f"response to writing {value} to {name}", True, core.write(name, value))
                self.same(name, value, core.read(name))
            self.same(f"response to writing {high + 1} to {name}", False, core.write(name, high + 1))
            core.write(name, start[name])
            self.same(name, start[name], core.read(name))
        self.same("ERRORS", register("ERRORS").field("bad_value").mask, core.read("ERRORS"))
        core.write("ERRORS", 0xFFFFFFFF)

    def load(self, weights: IntArray) -> None:
        """The weight stream, with stalls."""
        self.core.behave(Stalls.all(64))
        self.core.send(np.asarray(self.plan.layout.beats(weights), np.int64), 1)
        self.same("ERRORS after the weight load", 0, self.core.read("ERRORS"))

    def frame(self, number: int, image: IntArray, steps: int, warm: bool, stalls: Stalls) -> None:
        """One frame in the core and in the machine."""
        check, core = self.check, self.core
        check.frame = number
        change = image - (self.input if warm else 0)
        run = self.machine.frame(image, steps, warm=warm)
        assert run.cycles is not None
        core.limit = 40 * run.cycles.frame + 100_000
        core.behave(stalls)
        timer = time.perf_counter()
        self.same("response to STEPS", True, core.write("STEPS", steps))
        self.same("response to CONTROL.start", True, core.write("CONTROL", 1 | 2 * warm))
        core.queue_beats(np.moveaxis(change, 0, -1).reshape(-1), 0)
        if stalls.rates:
            self.same("STATUS.busy in the frame", 1, core.read("STATUS") & 1)
        (closed,) = core.closed()
        self.rtl_seconds += time.perf_counter() - timer
        self.input = image
        self._compare(run, closed, number, exact=not stalls.rates)

    def _compare(self, run: Run, closed: Closed, number: int, *, exact: bool) -> None:
        assert run.cycles is not None
        check, c, core = self.check, run.counts, self.core
        flags = int(run.overflow) | int(run.saturated_late) << 1 | int(run.settled) << 3
        # the checker's closing word: its flags, late events, cycle, steps; the flags of AXI are the same bits
        beat = np.array([0, 0, 0, 0, 1, closed.flags, closed.late_events, 0, closed.steps, c.code_events], np.int64)
        check.codes(run, closed.codes, beat)
        self.same("flags of the closing word", flags, closed.flags)
        self.same("steps of the closing word", c.steps, closed.steps)
        self.same("TID", number, closed.tid)
        core.behave(Stalls())
        cycles = core.read("CYCLES_LOW") | core.read("CYCLES_HIGH") << 32
        if exact:
            self.same("CYCLES", run.cycles.frame, cycles)
            self.totals["rtl"], self.totals["model"] = cycles, run.cycles.frame
        else:
            self.same("CYCLES, at least those of the machine", True, cycles >= run.cycles.frame)
        found = {name: core.read(name) for name in ("CODES", "CODE_EVENTS", "FRAMES", "LAST", "ERRORS", "STATUS")}
        want = {
            "CODES": len(closed.codes), "CODE_EVENTS": c.code_events, "FRAMES": number + 1, "LAST": flags, "ERRORS": 0,
            "STATUS": 8,
        }  # fmt: skip
        for name, value in want.items():
            self.same(name, value, found[name])
        for name, count in zip(
            ("steps", "codes", "pixels", "links", "frames"),
            (c.steps, c.code_events, c.residual_events, c.link_events, 1),
            strict=True,
        ):
            self.totals[name] += count

    def verdict(self, seconds: float) -> AxiVerdict:
        """What was compared and found."""
        check, core, t = self.check, self.core, self.totals
        if core.violations and not check.mismatches:
            check.differ("AXI rules", 0, -1, "0 violations", core.first_violation)
        return AxiVerdict(
            passed=check.mismatches == 0 and core.violations == 0,
            designs=1,
            steps=t["steps"],
            words_compared=check.words,
            mismatches=check.mismatches,
            cycles_rtl=t["rtl"],
            cycles_model=t["model"],
            code_events=t["codes"],
            residual_events=t["pixels"],
            link_events=t["links"],
            first_divergence=check.first.as_dict() if check.first else None,
            seconds=seconds,
            rtl_seconds=self.rtl_seconds,
            violations=core.violations,
            frames=t["frames"],
            stalled=core.stalled,
        )


def fuzz(
    cycles: int,
    *,
    design: Design | None = None,
    seed: int = 0,
    rtl: Path | None = None,
    dictionary: Dictionary | None = None,
    jobs: int = 1,
    progress: Progress | None = None,
) -> AxiVerdict:
    """Random legal and malformed traffic for so many clocks; stops at the first violation.

    Args:
        design: None: ``fuzz_design`` with a dictionary from the seed. rtl: fuzz the Verilog of this emitted folder.

    Raises:
        InputError: fewer than one clock, a folder without an AXI top. ToolError: the Verilog does not build.
    """
    started = time.perf_counter()
    if cycles < 1:
        raise InputError(f"--fuzz must be at least 1 clock, not {cycles}")
    if design is None:
        design = fuzz_design()
        dictionary = dictionary or Dictionary.random(design.geometry, 2)
    plan, weights = quantised(design, dictionary)
    other = Dictionary.random(design.geometry, seed + 1)
    others = np.asarray(quantise(other.atoms, design.formats.weight), np.int64)
    tell = progress or (lambda text, share: None)
    tell("generating and compiling", 0.0)
    with _compiled(design, plan, weights, rtl, None, seed, jobs) as (core, wrong):
        if wrong is not None:
            return AxiVerdict(False, 1, mismatches=1, first_divergence=wrong.as_dict())
        core.limit = max(100_000, 400 * plan.tiling.geometry.neurons)
        host = Fuzz(
            core, plan, (weights, others), seed=seed, identity=identity(plan), ranges=parameter_ranges(plan),
            steps=design.dynamics.steps,
        )  # fmt: skip
        error = ""
        try:
            while core.clock < cycles and not core.violations:
                host.episode()
                tell(f"clock {core.clock} of {cycles}", min(1.0, core.clock / cycles))
        except (Wrong, Hang) as found:
            error = str(found)
        error = core.first_violation or error  # what the core did wrong first: a hang is often what comes of it
        check = Checker(plan)
        if error:
            check.differ("rules of the AXI top", 0, -1, "0 violations", error)
        verdict = AxiVerdict(
            passed=not error,
            designs=1,
            words_compared=host.words,
            mismatches=int(bool(error)),
            violations=max(core.violations, int(bool(error))),
            fuzz_cycles=core.clock,
            frames=host.frames,
            stalled=core.stalled,
            mix=dict(sorted(host.mix.items())),
            first_divergence=check.first.as_dict() if check.first else None,
        )
        return replace(verdict, seconds=time.perf_counter() - started)


__all__ = ["AxiVerdict", "fuzz", "fuzz_design", "verify_axi"]
