"""RTL against the machine while bits flip: the same faults in both, every word and every cycle compared."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..sim.fault import Fault
from ..sim.faults import MET, FaultedMachine
from ..sim.plan import Plan
from ..sim.run import Ports
from ..sim.tiling import IntArray
from .cosim.checker import MEMORIES, Checker, Expected
from .cosim.faults import FaultedMesh, build_faulted
from .cosim.harness import RAN_OUT, Handshakes
from .emit import MESH_FILE, TILE_FILE, verilog


@dataclass(frozen=True)
class FaultVerdict:
    """What frames under faults compared and found. ``met``: by fault, what became of it (``sim.faults.MET``)."""

    passed: bool
    frames: int
    steps: int
    words_compared: int
    mismatches: int
    cycles: int
    met: tuple[str, ...]
    first_divergence: dict[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        became = {name: self.met.count(name) for name in MET}
        return {
            "passed": self.passed,
            "frames": self.frames,
            "steps": self.steps,
            "words_compared": self.words_compared,
            "mismatches": self.mismatches,
            "cycles": self.cycles,
            "faults": became,
            "first_divergence": self.first_divergence,
        }


def verify_faults(
    plan: Plan,
    weights: IntArray,
    image: IntArray,
    steps: int,
    frames: Sequence[Sequence[Fault]],
    *,
    handshakes: Handshakes | None = None,
    jobs: int = 1,
    progress: Callable[[str, float], None] | None = None,
) -> FaultVerdict:
    """Run a cold frame for each list of faults through the RTL and the faulted machine, until one differs.

    Weights are loaded anew before each frame.

    Args:
        image: (C, H, W) integers of the input format. handshakes: how the outside world stalls the ports; never where
            None.

    Raises:
        InputError: a fault that the machine does not have.
        ToolError: the Verilog does not build.
    """
    check, cycles = Checker(plan), 0
    met: list[str] = []
    with tempfile.TemporaryDirectory(prefix="striate-") as scratch:
        folder = Path(scratch)
        for name, text in verilog(plan).items():
            (folder / name).write_text(text)
        library = build_faulted(plan, folder / TILE_FILE, folder / MESH_FILE, jobs=jobs)
        rtl = FaultedMesh(plan, library)
        with rtl:
            for n, faults in enumerate(frames):
                if progress is not None:
                    progress(f"RTL under faults: frame {n + 1} of {len(frames)}", n / len(frames))
                found, clocks = _frame(n, plan, weights, image, steps, faults, rtl, check, handshakes or Handshakes())
                met += [MET[value] for value in found]
                cycles += clocks
                if check.mismatches:
                    break
    first = check.first.as_dict() if check.first else None
    return FaultVerdict(
        check.mismatches == 0, len(frames), check.steps, check.words, check.mismatches, cycles, tuple(met), first
    )


def _frame(
    n: int,
    plan: Plan,
    weights: IntArray,
    image: IntArray,
    steps: int,
    faults: Sequence[Fault],
    rtl: FaultedMesh,
    check: Checker,
    handshakes: Handshakes,
) -> tuple[list[int], int]:
    """One frame in both; what became of the faults in the RTL, and its clocks."""
    check.begin(n)
    machine, expected = FaultedMachine(plan, weights), Expected(plan)
    run = machine.frame(
        image, steps, observe=expected.observe, refreshed=expected.observe_refresh, faults=faults
    )  # fmt: skip
    assert run.cycles is not None
    rtl.load_weights(plan.layout.beats(weights))
    rtl.arm(faults, steps)
    memories = {name: rtl.memory(name) for name in MEMORIES}

    def done(tile: int, step: int) -> bool:
        return check.step(tile, step, expected, memories, rtl.events(tile), rtl.pixels(tile))

    stalled = handshakes.stall_in + handshakes.stall_out
    limit = int(run.cycles.frame * 2 * (1 + stalled / 64)) + 20_000
    stream = np.moveaxis(image, 0, -1).reshape(-1)
    seen = rtl.frame(stream, steps, handshakes=handshakes, limit=limit, step_done=done)
    met = rtl.met()
    if seen.error:
        check.differ("assertion", 0, -1, "none", seen.error)
    elif seen.status == RAN_OUT and not check.mismatches:
        check.differ("end of the frame", 0, -1, f"within {limit} clocks", "no closing word")
    if check.mismatches:
        rtl.reset()
        return met.tolist(), 0
    if stalled:
        run = replace(run, cycles=machine.replay(Ports(seen.pixel_cycles, seen.ready)))
    check.complete(run.counts.steps)
    check.codes(run, seen.codes, seen.closing)
    check.cycles(run, seen.phases, seen.beat_cycles)
    if seen.link_events != run.counts.link_events:
        check.differ("link events of the frame", 0, -1, run.counts.link_events, seen.link_events)
    if (met != machine.met).any():
        wrong = int(np.flatnonzero(met != machine.met)[0])
        check.differ(f"fault {wrong}", faults[wrong].tile, faults[wrong].step, MET[machine.met[wrong]], MET[met[wrong]])
    return met.tolist(), int(seen.closing[7]) + 1
