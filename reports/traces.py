"""The trace of a run for other programs: which steps, which files, what run.json says of them."""

from pathlib import Path
from typing import Any

from ..golden.dictionary import Dictionary
from ..golden.errors import InputError
from ..sim.design import Design
from ..sim.fixed import quantise
from ..sim.machine import load_dictionary
from ..sim.plan import Plan
from ..sim.trace.recorder import UNITS, Recorder, Trace
from ..sim.trace.timeline import write_timeline
from ..sim.trace.vcd import wave_origin, write_vcd

PICTURES = {
    "frame_steps": "(n,) steps, counted from 1, after which the page shows the reconstruction",
    "frames": "(n, C, H, W) reconstruction Phi y after each of them",
    "photograph": "(C, H, W) gray or colour values 0 .. 255 before the filter; not for a .npy picture",
}
"""What trace.npz holds beside `UNITS`."""


def plan_of(design: Design, dictionary: Dictionary) -> Plan:
    """The plan of a design with this dictionary."""
    return Plan.of(design, quantise(dictionary.atoms, design.formats.weight))


def recorder_of(design: Design, steps: tuple[int, int] | None = None) -> Recorder:
    """A recorder for a run of a design; ``steps`` as for `Recorder`.

    Raises:
        InputError: a schedule without a clock, or steps that the frame does not have.
    """
    schedule, count = design.machine.schedule, design.dynamics.steps
    if schedule != "delta":
        raise InputError(
            f'a trace needs the clock of machine.schedule = "delta", and "{schedule}" has none; leave --trace out'
        )
    if steps is not None and not 0 <= steps[0] < steps[1] <= count:
        raise InputError(
            f"--trace-steps must be A:B with 0 <= A < B <= {count} (dynamics.steps), not {steps[0]}:{steps[1]}"
        )
    return Recorder(plan_of(design, load_dictionary(design)), steps)


def write_traces(folder: Path, traced: Trace, clock_mhz: float) -> dict[str, Any]:
    """Write machine.vcd and timeline.json; what run.json says of them and of trace.npz."""
    write_vcd(folder / "machine.vcd", traced)
    write_timeline(folder / "timeline.json", traced, clock_mhz)
    first, after = traced.recorder.steps
    return {
        "steps": [first, after],
        "residual_event_steps": list(traced.recorder.pixel_steps),
        "files": {
            "trace.npz": "counts and clocks of every step",
            "machine.vcd": "phases and events of every tile, for a wave viewer (GTKWave, Surfer)",
            "timeline.json": "phases and link traffic as Chrome trace events, for ui.perfetto.dev",
        },
        "vcd_units_per_clock": 2,
        "vcd_clock_0": 2 * wave_origin(traced.run.plan) - 1,
        "npz_units": UNITS | PICTURES,
    }
