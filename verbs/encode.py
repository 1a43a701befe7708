"""``striate encode``."""

from pathlib import Path
from typing import Annotated

import typer

from ..golden.errors import InputError
from .common import (
    Crop,
    DesignFile,
    Force,
    Job,
    Json,
    On,
    ScheduleOption,
    Settings,
    Steps,
    parse_crop,
    parse_range,
    picture_path,
    read_design,
    say,
    the_command,
)


def encode(
    picture: Annotated[
        str, typer.Argument(metavar="PICTURE", help="An image, a .npy file, or a bundled photograph's name.")
    ],
    on: Annotated[
        On, typer.Option("--on", help="Where to encode: golden, machine, or crossbar (memristor arrays).")
    ] = On.GOLDEN,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Keep code, figures and report in this folder.")
    ] = None,
    design_file: DesignFile = None,
    settings: Settings = None,
    schedule: ScheduleOption = None,
    steps: Steps = None,
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="N", min=0, help="Seed of devices and read noise, 0 without it.")
    ] = None,
    crop: Crop = None,
    trace_files: Annotated[
        bool, typer.Option("--trace", help="With --out: also machine.vcd (wave viewer) and timeline.json (Perfetto).")
    ] = False,
    trace_steps: Annotated[
        str | None,
        typer.Option("--trace-steps", metavar="A:B", help="Trace the steps A .. B - 1; without it, the first ones."),
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Sparse-code a picture: code, reconstruction, residual, figures, numbers. Only crossbars are random, by --seed.

    Example: striate encode camera --crop 70,170 --on machine --schedule delta --out run
    """
    job = Job(as_json)
    if seed is not None and on is not On.CROSSBAR:
        raise InputError(f"--seed is for --on crossbar; nothing is random on {on}, leave it out")
    if schedule is not None and on is On.CROSSBAR:
        raise InputError("--schedule is for --on machine; crossbars read all positions in every step, leave it out")
    design = read_design(design_file, settings, schedule, steps)
    from ..golden.images import load_image
    from ..reports import crossbar_tables, record, tables
    from ..reports.rundir import refuse_existing, writing
    from ..reports.traces import recorder_of
    from ..sim.trace.recorder import Trace

    if on is On.MACHINE:
        design.check_machine()
        record.check_board(design.target.board)
    if on is On.CROSSBAR:
        design.check_crossbar()
    if out is not None:
        refuse_existing(out, force)
    recorder = None
    if trace_files or trace_steps is not None:
        if on is not On.MACHINE:
            raise InputError("--trace shows the machine's clock; encode with --on machine, or leave --trace out")
        if out is None:
            raise InputError("--trace writes files; name a folder with --out DIR")
        recorder = recorder_of(design, parse_range(trace_steps))
    n, at = design.network, parse_crop(crop)
    image = load_image(picture, crop=at, size=n.image, channels=n.channels, preprocess=design.input.preprocess)
    total = design.dynamics.steps
    with job.progress(f"encoding on {on}") as tell:

        def tick(step: int) -> None:
            tell(f"encoding on {on}, step {step}", step / total)

        traced = None
        if on is On.GOLDEN:
            info, arrays, trace, _ = record.run_golden(image, design, frames=out is not None, tick=tick)
        elif on is On.CROSSBAR:
            from ..reports.record_crossbar import run_crossbar

            info, arrays, trace, _ = run_crossbar(image, design, seed=seed or 0, frames=out is not None, tick=tick)
        else:
            info, arrays, trace, run = record.run_machine(
                image, design, frames=out is not None, tick=None if out is None else tick, recorder=recorder
            )
            traced = Trace.of(run, recorder) if recorder is not None else None
    info |= {"picture": picture_path(picture), "crop": at, "versions": record.versions(), "command": the_command()}
    if out is not None:
        from ..reports.demo import complete

        if design.input.preprocess != "none" and not picture.lower().endswith(".npy"):
            import numpy as np

            photograph = load_image(picture, crop=at, size=n.image, channels=n.channels, preprocess="none")
            trace["photograph"] = np.clip(np.rint(255 * photograph), 0, 255).astype(np.uint8)
        info["out"] = str(out.absolute())
        with writing(out, force) as aside:
            info = complete(aside, job.complete(info, info["design"]), design, arrays, trace, traced=traced)
    on_crossbar = on is On.CROSSBAR
    rows = crossbar_tables.encode_lines(info) if on_crossbar else tables.encode_lines(info, design.target.clock_mhz)
    if out is not None:
        if traced is not None:
            first, after = info["traces"]["steps"]
            rows.append(("trace", f"steps {first} .. {after - 1} of {info['steps']} in machine.vcd and timeline.json"))
        rows.append(("report", str(out / "report.html")))
    job.done(info, info["design"], rows)
    if info["outcome"] == "diverged":
        say(f"the run diverged after {info['steps']} steps: {info['remedy']}")
        raise typer.Exit(1)
