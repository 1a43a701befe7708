"""``striate faults``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    the_command,
)

if TYPE_CHECKING:
    from ..sim.plan import Plan
    from ..sim.run import FloatArray
    from ..sim.tiling import IntArray

FRAMES = 6
"""Frames under many flips for each refresh interval."""


def faults(
    picture: Annotated[
        str, typer.Argument(metavar="[PICTURE]", help="A picture file or a bundled name; camera without one.")
    ] = "camera",
    flips: Annotated[
        int, typer.Option("--flips", metavar="N", min=1, help="Single flips in each memory, a frame for each.")
    ] = 20,
    rate: Annotated[
        int, typer.Option("--rate", metavar="N", min=1, help="Flips a frame where refresh intervals are compared.")
    ] = 8,
    refresh: Annotated[
        int, typer.Option("--refresh", metavar="STEPS", min=1, help="The interval that single flips are compared with.")
    ] = 25,
    rtl: Annotated[
        int, typer.Option("--rtl", metavar="N", min=0, help="Check so many frames under flips against the RTL.")
    ] = 0,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Keep run.json, faults.png and report.html there.")
    ] = None,
    design_file: DesignFile = None,
    settings: Settings = None,
    steps: Steps = None,
    seed: Seed = 0,
    crop: Crop = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Flip bits of memories and links: what the loop heals, what it does not, and what a refresh costs.

    Example: striate faults camera --set network.image=[64,64] --set machine.tiles=[2,2] --out flips
    """
    job = Job(as_json)
    design = read_design(design_file, settings, None, steps)
    if design.machine.refresh:
        raise InputError(
            f"machine.refresh {design.machine.refresh}: flips are studied without refresh and with the interval of "
            f"--refresh; leave machine.refresh out"
        )
    if design.machine.schedule != "delta":
        raise InputError(f"machine.schedule '{design.machine.schedule}' has no tiles to hit; use \"delta\"")
    if refresh >= design.dynamics.steps:
        raise InputError(
            f"--refresh {refresh} is no refresh in a frame of {design.dynamics.steps} steps; give a smaller interval"
        )
    design.check_machine()
    from ..golden.images import load_image
    from ..reports.record import design_sha256, versions
    from ..reports.rundir import refuse_existing, writing

    if out is not None:
        refuse_existing(out, force)
    import numpy as np

    from ..reports.faults import Findings, faults_json, faults_lines, pictures, rtl_lines, save_faults
    from ..sim.fault_study import Frame, intervals, refreshed, study
    from ..sim.fixed import quantise
    from ..sim.machine import load_dictionary
    from ..sim.plan import Plan

    n, at = design.network, parse_crop(crop)
    at = (70, 170) if at is None and picture == "camera" else at
    image = load_image(picture, crop=at, size=n.image, channels=n.channels, preprocess=design.input.preprocess)
    dictionary = load_dictionary(design)
    weights = np.asarray(quantise(dictionary.atoms, design.formats.weight), np.int64)
    plan, length = Plan.of(design, weights), design.dynamics.steps
    with job.progress("flips") as tell:
        found = study(
            plan, weights, image, length, flips=flips, seed=seed, refresh=refresh,
            progress=lambda text, share: tell(text, 0.7 * share),
        )  # fmt: skip
        frame = Frame(plan, weights, image, length)
        compared = refreshed(
            frame, flips=rate, frames=FRAMES, seed=seed, clock_mhz=design.target.clock_mhz, every=intervals(length),
            progress=lambda text, share: tell(text, 0.7 + 0.2 * share),
        )  # fmt: skip
        shown = pictures(frame, rate, seed, refresh, frame.whole((), 0))
        checked = _against_rtl(plan, weights, image, length, rtl, seed, tell) if rtl else None
    findings = Findings(found, refresh, compared, rate, shown, checked)
    info = faults_json(findings, seed) | {
        "picture": picture_path(picture), "crop": at, "versions": versions(), "command": the_command()
    }  # fmt: skip
    sha = design_sha256(design, dictionary)
    if out is not None:
        info["out"] = str(out.absolute())
        with writing(out, force) as aside:
            save_faults(aside, job.complete(info, sha), design, findings)
    if not as_json:
        for line in faults_lines(info):
            print(line)
    job.done(info, sha, rtl_lines(info) + ([("kept in", str(out))] if out is not None else []))
    if checked is not None and not checked["passed"]:
        first = checked["first_divergence"] or {}
        say(f"the RTL does not equal the machine under flips: {first.get('text', 'see the counts above')}")
        raise typer.Exit(1)


def _against_rtl(
    plan: "Plan", weights: "IntArray", image: "FloatArray", steps: int, frames: int, seed: int, tell: Any
) -> dict[str, Any]:
    """Frames under one flip of each row, in RTL and simulator."""
    import numpy as np

    from ..hw.faults import verify_faults
    from ..sim.fault_study import ROWS, draw_row

    tell("compiling the RTL", 0.9)
    rng = np.random.default_rng([seed, len(ROWS)])
    rows = [row for row in ROWS if row != "link" or plan.tiling.count > 1]
    drawn = [[draw_row(plan, row, rng, step=int(rng.integers(steps))) for row in rows] for _ in range(frames)]
    verdict = verify_faults(
        plan, weights, plan.quantise_image(image), steps, drawn,
        progress=lambda text, share: tell(text, 0.9 + 0.1 * share),
    )  # fmt: skip
    return verdict.as_dict()
