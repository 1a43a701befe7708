"""The whole path once: a photograph on the golden model, the fixed-point machine, RTL, crossbars; compared, shown."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..golden.images import load_image, photograph_path
from ..sim.design import Design
from ..sim.trace.recorder import Trace
from . import record, rundir
from .record_crossbar import Array, run_crossbar
from .traces import write_traces

PHOTOGRAPH, CROP, CROP_RTL = "camera", (70, 170), (104, 212)
"""Bundled photograph (no dictionary was learned on it), first pixel of its part, and of the part for the RTL."""
RTL_TILES = ((1, 1), (2, 2))

Say = Callable[[str, float], None]


def demo(
    folder: Path, say: Say, stamp: Callable[[dict[str, Any], str | None], dict[str, Any]], command: str = ""
) -> dict[str, Any]:
    """Run everything and fill a folder: run.json, design.toml, arrays, figures, report.html.

    Args:
        say: called with what is being done and the share of the work that is done.
        stamp: adds version, design and seconds to the JSON object. command: written into the report.

    Returns:
        The JSON object of the machine's run, with ``golden``, ``schedules``, ``verification`` and ``crossbar`` beside
        it. The whole run on crossbars is a run directory of its own in the folder.
    """
    from ..hw.verify import verify

    design = Design()
    picture = photograph_path(PHOTOGRAPH)
    image = load_image(picture, crop=CROP, size=design.network.image)
    steps = design.dynamics.steps

    def part(text: str, begin: float, end: float) -> Callable[[int], None]:
        say(text, begin)
        return lambda step: say(text, begin + (end - begin) * step / steps)

    golden, golden_arrays, golden_trace, _ = record.run_golden(
        image, design, frames=False, tick=part("golden, float64", 0.0, 0.05)
    )
    info, arrays, trace, _ = record.run_machine(image, design, frames=True, tick=part("machine, delta", 0.05, 0.15))
    schedules: dict[str, Any] = {}
    for n, schedule in enumerate(("skip", "dense")):
        part(f"machine, {schedule}", 0.15 + 0.2 * n, 0.35 + 0.2 * n)
        schedules[schedule] = record.run_machine(image, design.replace(schedule=schedule), frames=False)[0]
    checks = []
    for n, tiles in enumerate(RTL_TILES):
        small = design.replace(image=(32, 32), tiles=tiles)
        crop = load_image(picture, crop=CROP_RTL, size=(32, 32))
        begin = 0.55 + 0.15 * n
        name = f"32x32, {tiles[0]}x{tiles[1]} tiles"

        def told(text: str, share: float, name: str = name, begin: float = begin) -> None:
            say(f"RTL on Verilator, {name}: {text}", begin + 0.15 * share)

        told("", 0.0)
        checks.append({"name": name, **verify(small, picture=crop, progress=told).as_dict()})
    trace["photograph"] = np.rint(
        255 * load_image(picture, crop=CROP, size=design.network.image, preprocess="none")
    ).astype(np.uint8)
    common = {"picture": str(picture), "crop": list(CROP), "command": command, "versions": record.versions()}
    analog = run_on_crossbars(folder / rundir.CROSSBAR, image, design, trace["photograph"], part, stamp, common)
    say("report", 0.95)
    info |= common | {"golden": golden, "schedules": schedules, "verification": checks, "crossbar": analog}
    kept = {name: golden_arrays[name] for name in ("code", "residual")} | {
        name: golden_trace[name] for name in ("percent_error", "active")
    }
    return complete(folder, stamp(info, info["design"]), design, arrays, trace, kept)


def run_on_crossbars(
    folder: Path,
    image: Array,
    design: Design,
    photograph: npt.NDArray[np.uint8],
    part: Callable[[str, float, float], Callable[[int], None]],
    stamp: Callable[[dict[str, Any], str | None], dict[str, Any]],
    common: dict[str, Any],
) -> dict[str, Any]:
    """The demo's run on crossbars in a run directory of its own; its JSON object without what only its page needs."""
    info, arrays, trace, _ = run_crossbar(image, design, frames=True, tick=part("memristor crossbars", 0.85, 0.92))
    trace["photograph"] = photograph
    folder.mkdir()
    complete(folder, stamp(info | common, info["design"]), design, arrays, trace)
    return {key: value for key, value in info.items() if key not in ("costs", "words", "machine", "fewest_steps")}


def complete(
    folder: Path,
    info: dict[str, Any],
    design: Design,
    arrays: rundir.Arrays,
    trace: rundir.Arrays,
    golden: rundir.Arrays | None = None,
    traced: Trace | None = None,
) -> dict[str, Any]:
    """Write the files of a run into a folder, its figures and its page too; the object as run.json has it.

    Args:
        traced: write machine.vcd and timeline.json of it, and say so under ``traces``.
    """
    from .crossbar import draw
    from .drawn import write_figures
    from .html import write_report

    if traced is not None:
        info["traces"] = write_traces(folder, traced, design.target.clock_mhz)
    rundir.save(folder, info, design, arrays, trace, golden)
    drawn = draw(rundir.load(folder))
    write_report(folder, drawn=drawn)
    write_figures(folder, drawn)
    return info
