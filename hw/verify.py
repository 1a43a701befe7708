"""RTL against the machine: every word of every step and the cycle of everything, on Verilator.

The Verilog is compiled once per design and driven by ``cosim/harness.py``; what it must do comes from
``sim/machine.py``. Nothing
is sampled: all state words of all tiles are compared after every step.
"""

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..golden.dictionary import Dictionary
from ..golden.errors import InputError
from ..sim.design import Design
from ..sim.machine import Machine
from ..sim.plan import Plan
from ..sim.run import Ports
from ..sim.tiling import IntArray
from .cosim.checker import MEMORIES, Checker, Divergence, Expected
from .cosim.harness import ABANDONED, RAN_OUT, CompiledMesh, Handshakes, build
from .cosim.random_design import RandomDesign, draw, refreshing
from .emit import MESH_FILE, TILE_FILE, WEIGHTS_FILE, quantised, verilog

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Frame:
    """One thing to do with the machine, in order: load weights, run a frame, or break off in the middle."""

    image: IntArray  # (C, H, W) integers of the input format
    steps: int
    warm: bool = False
    weights: IntArray | None = None  # loaded before the frame
    reset_after: int = -1  # break off after so many clocks and reset; -1: let it finish
    handshakes: Handshakes = field(default_factory=Handshakes)
    threshold: int | None = None  # of this frame, in membrane units; None: the design's
    cutoff: int | None = None  # in units of the residual as read
    shift: int | None = None  # one step shift for all steps, of ``plan.shift_range``; None: the design's schedule

    def threshold_of(self, plan: Plan) -> int:
        """Its threshold on a machine."""
        return plan.threshold_q if self.threshold is None else self.threshold


@dataclass(frozen=True)
class Verdict:
    """What a verification compared and found. ``passed``: no word and no cycle differs."""

    passed: bool
    designs: int = 0
    steps: int = 0
    refreshes: int = 0
    words_compared: int = 0
    mismatches: int = 0
    cycles_rtl: int = 0
    cycles_model: int = 0
    code_events: int = 0
    residual_events: int = 0
    link_events: int = 0
    simulator: str = "verilator"
    first_divergence: dict[str, Any] | None = None
    seconds: float = 0.0
    rtl_seconds: float = 0.0
    mix: dict[str, Any] = field(default_factory=dict)

    @property
    def rtl_cycles_per_second(self) -> float:
        """Clocks of the compiled model a second, comparison included, compilation not."""
        return self.cycles_rtl / self.rtl_seconds if self.rtl_seconds else 0.0

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        names = (
            "passed",
            "designs",
            "steps",
            "refreshes",
            "words_compared",
            "mismatches",
            "cycles_rtl",
            "cycles_model",
            "code_events",
            "residual_events",
            "link_events",
            "simulator",
            "first_divergence",
            "rtl_seconds",
            "mix",
        )
        return {name: getattr(self, name) for name in names} | {
            "rtl_cycles_per_second": round(self.rtl_cycles_per_second)
        }

    def merged(self, other: "Verdict") -> "Verdict":
        """Both together; the first divergence is this one's if it has one."""
        sums = {
            name: getattr(self, name) + getattr(other, name)
            for name in (
                "designs",
                "steps",
                "refreshes",
                "words_compared",
                "mismatches",
                "cycles_rtl",
                "cycles_model",
                "code_events",
                "residual_events",
                "link_events",
                "rtl_seconds",
            )
        }
        return replace(
            self,
            passed=self.passed and other.passed,
            first_divergence=self.first_divergence or other.first_divergence,
            **sums,
        )


def verify_frames(
    plan: Plan,
    weights: IntArray,
    frames: Sequence[Frame],
    tile: Path,
    mesh: Path,
    *,
    wave: Path | None = None,
    jobs: int = 1,
    design: str = "",
    optimize: int = 1,
    progress: Progress | None = None,
) -> Verdict:
    """Run frames through the RTL and the machine and compare everything, until the first frame that differs.

    Args:
        tile, mesh: Verilog files. wave: a VCD of the whole run. jobs: cores to compile and, with four tiles or more, to
        run on. design: what to call it in a divergence.

    Raises:
        ToolError: the Verilog does not build.
    """
    started = time.perf_counter()
    library = build(plan, tile, mesh, trace=wave is not None, jobs=jobs, optimize=optimize)
    threads = 2 if jobs > 1 and plan.tiling.count >= 4 and wave is None else 1
    with CompiledMesh(plan, library, wave=wave, threads=threads) as rtl:
        session = _Session(plan, rtl, Machine(plan, weights), Checker(plan), len(frames), progress)
        session.load(weights, frames[0].handshakes)
        for n, frame in enumerate(frames):
            if session.check.mismatches:
                break
            session.run(n, frame)
    check, (rtl_cycles, model_cycles, codes, pixels, links) = session.check, session.totals.tolist()
    first = check.first.as_dict() | ({"design": design} if design else {}) if check.first else None
    return Verdict(
        passed=check.mismatches == 0,
        designs=1,
        steps=check.steps,
        refreshes=check.refreshes,
        words_compared=check.words,
        mismatches=check.mismatches,
        cycles_rtl=rtl_cycles,
        cycles_model=model_cycles,
        code_events=codes,
        residual_events=pixels,
        link_events=links,
        first_divergence=first,
        seconds=time.perf_counter() - started,
        rtl_seconds=session.rtl_seconds,
    )


@dataclass
class _Session:
    """RTL and machine side by side, frame after frame."""

    plan: Plan
    rtl: CompiledMesh
    machine: Machine
    check: Checker
    frames: int
    progress: Progress | None
    rtl_seconds: float = 0.0
    # clocks of the RTL and of the model, code, residual and link events
    totals: IntArray = field(default_factory=lambda: np.zeros(5, np.int64))

    def load(self, weights: IntArray, handshakes: Handshakes) -> None:
        """Load weights into both; either is then dirty."""
        loaded = self.rtl.load_weights(self.plan.layout.beats(weights), handshakes)
        if loaded != self.plan.layout.beat_count:
            self.check.differ("weight stream: beats accepted", 0, -1, self.plan.layout.beat_count, loaded)
        self.machine = Machine(self.plan, weights)

    def _steps(self, frame: Frame) -> int:
        """As many steps as can be seen: one has a clock a word of U at least, and a frame may be broken off."""
        if frame.reset_after < 0:
            return frame.steps
        return min(frame.steps, frame.reset_after // self.plan.tiling.membrane_depth + 1)

    def run(self, n: int, frame: Frame) -> None:
        """One frame in both, compared word by word as it goes and cycle by cycle at its end."""
        check, rtl = self.check, self.rtl
        check.begin(n)
        if frame.weights is not None:
            self.load(frame.weights, frame.handshakes)
        if rtl.dirty != self.machine.dirty:
            check.differ("dirty", 0, -1, int(self.machine.dirty), int(rtl.dirty))
            return
        other = frame.threshold_of(self.plan) != self.machine.threshold
        if frame.steps == 0 or frame.threshold == 0 or (frame.warm and (self.machine.dirty or other)):
            _refused(rtl, frame, check)
            return
        expected = Expected(self.plan)
        change = frame.image - (self.machine.input if frame.warm else 0)
        run = self.machine.frame(
            frame.image, self._steps(frame), warm=frame.warm, threshold=frame.threshold, cutoff=frame.cutoff,
            shift=frame.shift, observe=expected.observe, refreshed=expected.observe_refresh,
        )  # fmt: skip
        assert run.cycles is not None
        h = frame.handshakes
        # a design that hangs is given twice the clocks it should take, stalls included
        limit = int(run.cycles.frame * 2 * (1 + (h.stall_in + h.stall_out) / 64)) + 20_000
        memories = {name: rtl.memory(name) for name in MEMORIES}

        def done(tile: int, step: int) -> bool:
            if self.progress is not None and tile == 0 and step >= 0:
                text = f"frame {n + 1} of {self.frames}: step {step + 1} of {frame.steps}"
                self.progress(text, (n + (step + 1) / frame.steps) / self.frames)
            return check.step(tile, step, expected, memories, rtl.events(tile), rtl.pixels(tile))

        timer = time.perf_counter()
        seen = rtl.frame(
            _stream(change), frame.steps, warm=frame.warm, threshold=frame.threshold, cutoff=frame.cutoff,
            shift=self.plan.shift_code(frame.shift), handshakes=h, limit=limit, abandon=frame.reset_after,
            step_done=done,
        )  # fmt: skip
        self.rtl_seconds += time.perf_counter() - timer
        if seen.error:
            check.differ("assertion", 0, -1, "none", seen.error)
        elif seen.status == RAN_OUT and not check.mismatches:
            check.differ("end of the frame", 0, -1, f"within {limit} clocks", "no closing word")
        if check.mismatches:
            return
        if seen.status == ABANDONED:
            rtl.reset(clocks=1)
            if rtl.error:
                check.differ("reset", 0, -1, "idle and dirty", rtl.error)
            self.machine = Machine(self.plan, self.machine.weights)
            return
        if h.stall_in or h.stall_out:  # the recorded handshakes predict every cycle
            run = replace(run, cycles=self.machine.replay(Ports(seen.pixel_cycles, seen.ready)))
        assert run.cycles is not None
        check.complete(run.counts.steps)
        check.codes(run, seen.codes, seen.closing)
        check.cycles(run, seen.phases, seen.beat_cycles)
        if seen.link_events != run.counts.link_events:
            check.differ("link events of the frame", 0, -1, run.counts.link_events, seen.link_events)
        c = run.counts
        self.totals += np.array(
            [int(seen.closing[7]) + 1, run.cycles.frame, c.code_events, c.residual_events, c.link_events], np.int64
        )


def _stream(change: IntArray) -> IntArray:
    """dx in the order of the pixel stream."""
    return np.moveaxis(change, 0, -1).reshape(-1)


def _refused(rtl: CompiledMesh, frame: Frame, check: Checker) -> None:
    """A frame that cannot begin must be answered by a closing word that says so, no more: 0 steps, a threshold of 0,
    a warm one on a dirty machine or with another threshold than the state's.
    """
    seen = rtl.frame(
        np.zeros(0, np.int64), frame.steps, warm=frame.warm, threshold=frame.threshold, cutoff=frame.cutoff,
        shift=rtl.plan.shift_code(frame.shift), handshakes=frame.handshakes, limit=1000,
    )  # fmt: skip
    check.words += 1
    if seen.status or len(seen.codes) or int(seen.closing[5]) != 4:
        found = f"flags {int(seen.closing[5]):03b}" if len(seen.closing) else "no closing word"
        check.differ("frame that cannot begin", 0, -1, "refused", found)


def verify(
    design: Design,
    *,
    picture: npt.NDArray[np.float64] | None = None,
    random: int | None = None,
    seed: int = 0,
    rtl: Path | None = None,
    wave: Path | None = None,
    steps: int | None = None,
    jobs: int | None = None,
    dictionary: Dictionary | None = None,
    progress: Progress | None = None,
) -> Verdict:
    """Check RTL against the machine.

    Args:
        picture: (C, H, W) float image for the design. random: that many random designs instead (the design is then not
        used).
        rtl: check the Verilog in this folder, as ``emit`` wrote it or edited. wave: write a VCD. steps: in place of the
        design's. jobs: processes for random designs (all cores). progress: called with (text, fraction done).

    Raises:
        InputError: nothing to verify, a folder without the Verilog, a picture of another shape.
        ToolError: the Verilog does not build.
    """
    started = time.perf_counter()
    if random is not None:
        if rtl is not None or wave is not None:
            raise InputError("--random makes its own Verilog; leave out --rtl and --wave")
        return verify_random(random, seed, jobs=jobs, progress=progress)
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
    if progress is not None:
        progress("generating and compiling", 0.0)
    with tempfile.TemporaryDirectory(prefix="striate-") as scratch:
        folder = Path(scratch)
        if rtl is not None:
            folder = rtl
            wrong = check_folder(rtl, design, plan, weights)
            if wrong is not None:
                return Verdict(False, 1, mismatches=1, first_divergence=wrong.as_dict())
        else:
            for name, text in verilog(plan).items():
                (folder / name).write_text(text)
        frames = [Frame(plan.quantise_image(picture), steps)]
        verdict = verify_frames(
            plan,
            weights,
            frames,
            folder / TILE_FILE,
            folder / MESH_FILE,
            wave=wave,
            jobs=jobs or os.cpu_count() or 1,
            progress=progress,
        )
    return replace(verdict, seconds=time.perf_counter() - started)


def check_folder(folder: Path, design: Design, plan: Plan, weights: IntArray) -> Divergence | None:
    """The files of an emitted folder beside its Verilog: the first weight that is not the design's, or None.

    Raises:
        InputError: a file is missing, or the folder was made from another design.
    """
    for name in (TILE_FILE, MESH_FILE, WEIGHTS_FILE, "design.toml"):
        if not (folder / name).is_file():
            raise InputError(f"{folder} holds no {name}; `striate emit --out DIR` writes such a folder")
    made_from, asked = Design.load(folder / "design.toml").sections(), design.sections()
    for section, free in (
        ("network", {"dictionary"}),
        ("dynamics", {"steps"}),
        ("formats", set()),
        ("machine", {"schedule"}),
    ):
        for key, value in asked[section].items():
            if key not in free and made_from[section].get(key) != value:
                raise InputError(
                    f"{folder} was emitted with {section}.{key} = {made_from[section].get(key)}, not {value}; "
                    f"leave the option out or emit again"
                )
    want = plan.layout.beats(weights)
    lines = (folder / WEIGHTS_FILE).read_text().split()
    modulus = 1 << plan.weight.width
    for n, value in enumerate(want.tolist()):
        found = lines[n] if n < len(lines) else "nothing"
        try:
            same = int(found, 16) == value % modulus
        except ValueError:
            same = False
        if not same:
            return Divergence(f"{WEIGHTS_FILE} line {n + 1}", 0, -1, f"{value % modulus:x}", found)
    if len(lines) > len(want):
        return Divergence(f"{WEIGHTS_FILE} line {len(want) + 1}", 0, -1, "end of the file", lines[len(want)])
    return None


# ---- random designs --------------------------------------------------------------------------------------------------
def verify_random(count: int, seed: int, *, jobs: int | None = None, progress: Progress | None = None) -> Verdict:
    """Verify ``count`` designs drawn from ``seed``: cold, stalled, warm, reloaded and reset frames of each.

    The mix of what was drawn is in the verdict.
    """
    started = time.perf_counter()
    if count < 1:
        raise InputError(f"--random must be at least 1, not {count}")
    workers = min(jobs or os.cpu_count() or 1, count)
    total = Verdict(True)
    drawn: list[RandomDesign] = []
    results: dict[int, Verdict] = {}
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        waiting = {pool.submit(_verify_one, seed, n): n for n in range(count)}
        for future in as_completed(waiting):
            n = waiting[future]
            results[n], design = future.result()
            drawn.append(design)
            if progress is not None:
                progress(f"random design {len(results)} of {count}", len(results) / count)
    for n in sorted(results):
        total = total.merged(results[n])
    return replace(total, seconds=time.perf_counter() - started, mix=_mix(drawn))


def _verify_one(seed: int, number: int) -> tuple[Verdict, RandomDesign]:
    drawn = refreshing(draw(seed, number))
    with tempfile.TemporaryDirectory(prefix="striate-") as scratch:
        folder = Path(scratch)
        for name, text in verilog(drawn.plan).items():
            (folder / name).write_text(text)
        verdict = verify_frames(
            drawn.plan, drawn.weights, random_frames(drawn), folder / TILE_FILE, folder / MESH_FILE, design=drawn.text
        )
    return verdict, drawn


def random_frames(drawn: RandomDesign) -> list[Frame]:
    """What a random design is put through: see the comments."""
    rng, first, second = drawn.rng(), drawn.images[0], drawn.images[1]

    def stalls(most: int = 200) -> Handshakes:
        return Handshakes(int(rng.integers(1, 1 << 60)), *(int(rng.integers(0, most)) for _ in range(3)))

    short = min(4, drawn.steps)
    one, two, three = (drawn.values(n) for n in range(3))
    one["threshold"] = None
    goes_on = drawn.values(3)
    goes_on["threshold"] = two["threshold"]
    other = drawn.plan.threshold_q % drawn.plan.membrane.high + 1
    held = drawn.plan.threshold_q if three["threshold"] is None else three["threshold"]
    return [
        Frame(first, short, warm=True),  # just out of reset: refused
        Frame(first, drawn.steps),  # cold, never stalled, the design's values
        *([Frame(first, drawn.steps, warm=True)] if drawn.plan.settle else []),  # at rest, or nearer to it
        Frame(first, 0),  # refused
        Frame(first, short, warm=True, threshold=other),  # another threshold than the state's: refused
        Frame(second, short, warm=True, handshakes=stalls(), **one),  # warm, every port stalled
        Frame(first, drawn.steps, reset_after=int(rng.integers(20, drawn.frame_cycles))),  # reset in mid-frame
        Frame(second, short, warm=True),  # so a warm frame is refused
        Frame(second, short, weights=drawn.other_weights, handshakes=stalls(), **two),  # other weights, cold, stalled
        Frame(first, short, warm=True, **goes_on),
        Frame(first, short, weights=drawn.weights, warm=True),  # new weights: a warm frame is refused
        Frame(first, short, handshakes=stalls(120), **three),
        Frame(first, short, threshold=0),  # refused
        Frame(first, short, warm=True, threshold=three["threshold"]),
        # another threshold than the state's, in one bit: refused
        *[Frame(first, short, warm=True, threshold=held ^ 1 << bit) for bit in range(drawn.plan.threshold_width)],
    ]


def _mix(drawn: list[RandomDesign]) -> dict[str, Any]:
    """How often each property was drawn."""
    mix: dict[str, dict[str, int]] = {}
    for design in drawn:
        for name, value in design.properties.items():
            tally = mix.setdefault(name, {})
            tally[str(value)] = tally.get(str(value), 0) + 1
    redrawn = sum(design.redrawn for design in drawn)
    return {name: dict(sorted(tally.items())) for name, tally in sorted(mix.items())} | {"redrawn": redrawn}


__all__ = ["Divergence", "Frame", "Verdict", "random_frames", "verify", "verify_frames", "verify_random"]
