"""``striate crossbar-sweep``."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from ..golden.errors import InputError
from .common import (
    Crop,
    DesignFile,
    Force,
    Interrupted,
    Job,
    Json,
    Settings,
    Steps,
    parse_crop,
    read_design,
    say,
    the_command,
)

PICTURES = ("camera", "astronaut", "chelsea")
SMALL = ["network.image=[64,64]", "dynamics.steps=100", "machine.tiles=[1,1]"]
"""Without a design file: a study then takes minutes, and one set of arrays serves the whole picture."""


def crossbar_sweep(
    pictures: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PICTURES...]", help="Files or bundled names; camera, astronaut, chelsea without any."),
    ] = None,
    study: Annotated[
        list[str] | None,
        typer.Option("--study", metavar="NAME", help="levels, self-correction, size, adc, dac, on-off, read-noise, "
                     "faults, drift, stride or all; may be repeated."),
    ] = None,
    vary: Annotated[
        list[str] | None,
        typer.Option("--vary", metavar="KEY=V1,V2,...", help="A key of the design and its values; repeated: a grid."),
    ] = None,
    seeds: Annotated[
        int, typer.Option("--seeds", metavar="N", help="Seeds of devices and reads a point is run with.")
    ] = 4,
    jobs: Annotated[
        int | None, typer.Option("--jobs", metavar="N", help="Processes; one a processor without it.")
    ] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Run points that failed before once more.")] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Keep points, tables, figures and report.html there; the same "
                     "command continues what was stopped."),
    ] = None,
    design_file: DesignFile = None,
    settings: Settings = None,
    steps: Steps = None,
    crop: Crop = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """What devices, converters, wires and time do to the memristor machine: many closed loops, with bands.

    Without a design file pictures are 64x64, frames have 100 steps, and one tile does it all. Exit 1 when no point had
    a result.

    Example: striate crossbar-sweep camera --study levels --study adc --seeds 8 --out sweep
    """  # fmt: skip
    job = Job(as_json)
    design = read_design(design_file, [*(SMALL if design_file is None else []), *(settings or [])], None, steps)
    from ..explore.grid import grid
    from ..explore.studies import STUDIES, cases_of, check_cases, study_named

    if bool(study) == bool(vary):
        raise InputError(f"give --study with one of {', '.join(STUDIES)} or all, or else --vary KEY=V1,V2,...")
    names = list(STUDIES) if study and "all" in study else list(dict.fromkeys(study or []))
    studies = tuple(study_named(name) for name in names) if names else (grid(vary or []),)
    if seeds < 1:
        raise InputError(f"--seeds must be at least 1, not {seeds}")
    if jobs is not None and jobs < 1:
        raise InputError(f"--jobs must be at least 1, not {jobs}")
    from ..explore import engine
    from ..explore.crossbar import pictures_of, subject, sweep_of
    from ..explore.store import Store
    from ..reports.crossbar_sweep import STORE, Found, check_folder, clear_folder, save_sweep, sweep_json, sweep_lines
    from ..reports.record import design_sha256, versions
    from ..sim.machine import load_dictionary

    taken = pictures_of(pictures or PICTURES, design, parse_crop(crop))
    cases = tuple(case for each in studies for case in cases_of(each, design, taken, seeds))
    for each in studies:
        check_cases(each, design)
    points = [point for case in cases for point in (*case.references.values(), *case.points)]
    sweep = sweep_of(design, taken, subject(names, vary or []))
    if out is not None:
        check_folder(out)
    with Store(None if out is None else out / STORE, sweep, force) as store, job.progress("points") as tell:
        if out is not None and force:
            clear_folder(out)
        try:
            end = engine.run(store, points, jobs=jobs, retry=retry, progress=lambda p: tell(_said(p), p.share))
        except KeyboardInterrupt:
            if out is not None:
                raise Interrupted(
                    f"stopped; what was finished is in {out / STORE}: the same command continues"
                ) from None
            raise
        entries = tuple(store.entries(store.add(points)))
        found = Found(design, sweep, studies, cases, entries)
    info: dict[str, Any] = {
        **sweep_json(found), "studies": [each.name for each in studies], "vary": list(vary or []),
        "pictures": [asdict(picture) for picture in taken],
        "seeds": seeds, "points": end.points, "done": end.done, "failed": end.failed, "ran": end.ran,
        "point_seconds": sum(entry.seconds or 0.0 for entry in entries),
        "store": None if out is None else str((out / STORE).absolute()), "versions": versions(),
        "command": the_command(),
    }  # fmt: skip
    sha = design_sha256(design, load_dictionary(design))
    if out is not None:
        info["out"] = str(out.absolute())
        save_sweep(out, job.complete(info, sha), found)
    if not as_json:
        for line in sweep_lines(found):
            print(line)
    kept = [("kept in", str(out))] if out is not None else []
    job.done(info, sha, [("points", f"{end.points:,}: {end.done:,} done, {end.failed:,} failed"), *kept])
    if end.failed:
        first = next(entry.error for entry in entries if entry.error is not None)
        say(f"{end.failed:,} of {end.points:,} points failed; the first: {first}")
    if not any(line.done for line in found.lines):
        raise typer.Exit(1)


def _said(progress: Any) -> str:
    return f"{progress.done + progress.failed:,} of {progress.points:,} points"
