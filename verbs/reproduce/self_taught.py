"""``striate reproduce self-taught``."""

import shutil
from pathlib import Path
from typing import Annotated, Any

import typer

from ...golden.errors import InputError
from ..common import Force, Interrupted, Job, Json, Seed, say, the_command

STORE, ARRAYS, RESULT = "points.sqlite", "arrays", "run.json"


def self_taught(
    out: Annotated[
        Path,
        typer.Option("--out", metavar="DIR", help="Keep points, table, figures and report.html there; the same command "
                     "continues what was stopped."),
    ],
    seeds: Annotated[
        int, typer.Option("--seeds", metavar="N", help="Draws of the labelled pictures; at least 2.")
    ] = 10,
    sizes: Annotated[
        str, typer.Option("--sizes", metavar="N1,N2,...", help="Numbers of labelled pictures.")
    ] = "20,50,100,200,400",
    kernels: Annotated[int, typer.Option("--kernels", "-k", help="Kernels K.", min=1)] = 128,
    threshold: Annotated[float, typer.Option("--threshold", help="lambda.")] = 0.05,
    steps: Annotated[int, typer.Option("--steps", metavar="N", help="Updates of LCA.", min=1)] = 200,
    passes: Annotated[
        int, typer.Option("--passes", metavar="N", help="Of learning, over the unlabelled pictures.", min=1)
    ] = 20,
    jobs: Annotated[
        int | None, typer.Option("--jobs", metavar="N", help="Processes; one a processor without it.")
    ] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Points that failed before once more.")] = False,
    seed: Seed = 0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Self-taught learning: codes as features for a classifier, beside raw pixels and PCA, and the machine's codes.

    A dictionary is learned on the digits 0 to 4, and one on photographs; the digits 5 to 9 are classified with a
    growing number of labels. Exit 1 when a point failed.

    Example: striate reproduce self-taught --out self-taught
    """
    job = Job(as_json)
    from ...explore.papers.self_taught import Settings
    from ...explore.papers.self_taught_run import run, sweep_of
    from ...explore.store import Store
    from ...golden.predictive import PredictiveParams
    from ...reports.papers.self_taught import as_dict, lines, save_page
    from ...reports.record import versions
    from ...reports.rundir import write_json

    settings = Settings(kernels, threshold, steps, passes, _numbers(sizes), seeds, seed=seed)
    PredictiveParams(kernels, threshold, passes=passes)  # what it refuses is refused before any work
    settings.design("soft").check_machine()
    if jobs is not None and jobs < 1:
        raise InputError(f"--jobs must be at least 1, not {jobs}")
    _check_folder(out)
    with Store(out / STORE, sweep_of(settings, out / ARRAYS), force) as store, job.progress("points") as tell:
        if force:
            _clear_folder(out)
        try:
            result, end = run(store, settings, out / ARRAYS, jobs=jobs, retry=retry, progress=tell)
        except KeyboardInterrupt:
            raise Interrupted(f"stopped; what was finished is in {out}: the same command continues") from None
    info: dict[str, Any] = {
        **as_dict(result), "points": end.points, "done": end.done, "failed": end.failed, "ran": end.ran,
        "versions": versions(), "command": the_command(), "out": str(out.absolute()),
    }  # fmt: skip
    info = job.complete(info, None)
    save_page(out, result, info)
    write_json(out / RESULT, info)
    if not as_json:
        for line in lines(result):
            print(line)
    through = f"{end.points:,}: {end.done:,} done, {end.failed:,} failed"
    job.done(info, None, [("points", through), ("kept in", str(out))])
    if end.failed:
        say(f"{end.failed:,} of {end.points:,} points failed; the first, {result.failed[0][0]}: {result.failed[0][1]}")
        raise typer.Exit(1)


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"--sizes must be whole numbers with commas such as 20,100, not '{text}'") from None


# ---- the folder ------------------------------------------------------------------------------------------------------
def _check_folder(out: Path) -> None:
    """Refuse a folder that this experiment may not fill.

    Raises:
        InputError: a file, a folder that cannot be written to, or one with what this experiment did not write.
    """
    from ...reports import rundir

    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        rundir.refuse_existing(out, False)
        return
    if not out.is_dir():
        raise InputError(f"--out {out} is a file; name a folder")
    names = sorted(path.name for path in out.iterdir())
    foreign = [name for name in names if not _ours(name)]
    if foreign or not any(name.startswith(STORE) for name in names):
        what = f"{foreign[0]}, which no run of this experiment wrote" if foreign else "no run of this experiment"
        raise InputError(f"--out {out} holds {what}; name another folder")


def _ours(name: str) -> bool:
    from ...reports.papers.self_taught import FILES

    aside = name.startswith(".") and name.endswith(".part")
    return name in FILES or name in (RESULT, ARRAYS) or name.startswith(STORE) or aside


def _clear_folder(out: Path) -> None:
    """Remove what was written, the store apart: only who has that open may do so."""
    for path in sorted(out.iterdir()):
        if path.name == ARRAYS and path.is_dir():
            shutil.rmtree(path)
        elif _ours(path.name) and not path.name.startswith(STORE):
            path.unlink()
