"""``striate widths``."""

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
    Seed,
    Settings,
    Steps,
    parse_crop,
    picture_path,
    read_design,
    say,
)


def widths(
    pictures: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PICTURES...]", help="Pictures to calibrate on: files or bundled names; camera without one."
        ),
    ] = None,
    loss: Annotated[
        float, typer.Option("--loss", metavar="POINTS", help="Budget: points of percent error above float64.")
    ] = 0.1,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.toml", help="Write the design with the formats found.")
    ] = None,
    parts: Annotated[
        int,
        typer.Option("--parts", metavar="N", min=1, help="Parts of the image size taken in all, drawn by --seed."),
    ] = 4,
    margin: Annotated[float, typer.Option("--margin", help="Factor on the measured range of u, r~ and y.")] = 1.5,
    design_file: DesignFile = None,
    settings: Settings = None,
    steps: Steps = None,
    seed: Seed = 0,
    crop: Crop = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """The cheapest number formats within a loss budget: proven where a proof holds, else measured on pictures with a
    margin; every candidate runs on the bit-exact machine. Exit 1 when no formats keep the budget.

    Example: striate widths camera --loss 0.1 --out narrow.toml
    """
    job = Job(as_json)
    design = read_design(design_file, settings, None, steps)
    if out is not None:
        if out.is_dir():
            raise InputError(f"--out {out} is a folder; name a file, as in {out / 'narrow.toml'}")
        if out.exists() and not force:
            raise InputError(f"{out} exists; --force replaces it, or name another file")
    from ..reports.record import design_sha256
    from ..reports.widths import widths_lines, widths_record
    from ..sim.machine import load_dictionary
    from ..sim.precision.autowidth import check_search, search
    from ..sim.precision.calibration import Calibration, drawn_parts, whole_pictures

    names, at = pictures or ["camera"], parse_crop(crop)
    check_search(design, loss, margin)
    dictionary = load_dictionary(design)
    whole = whole_pictures(names, design)
    images, others = drawn_parts(whole, names, design, parts, seed, at)
    with job.progress("widths") as tell:
        tell("float64", 0.0)
        calibration = Calibration.of(design, dictionary, images)
        result = search(design, calibration, budget=loss, margin=margin, tell=tell)
        check = None
        if others and result.design is not None:
            tell("other parts", 0.97)
            check = Calibration.of(design, dictionary, others).judge(result.design)
    info = widths_record(result, check, calibration.errors)
    info |= {"pictures": [picture_path(name) for name in names], "crop": at, "parts": len(images), "seed": seed}
    if out is not None and result.design is not None:
        result.design.dump(out)
        info["out"] = str(out.absolute())
    final = result.design if result.design is not None else design
    rows = widths_lines(info)
    if "out" in info:
        rows.append(("written", str(out)))
    job.done(info, design_sha256(final, dictionary), rows)
    if result.design is None:
        say(
            f"no formats keep a loss of {loss:g} points; the least met was {result.best:+.3f}: raise --loss, or give "
            f"more pictures, as one moves by about 0.1 for no reason"
        )
        raise typer.Exit(1)
