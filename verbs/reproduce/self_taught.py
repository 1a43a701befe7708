"""``striate reproduce self-taught``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ...golden.errors import InputError
from ..common import Force, Interrupted, Job, Json, Seed, say, the_command
from .folder import RESULT, STORE, Folder

ARRAYS = "arrays"


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
    from ...reports.papers.self_taught import FILES, as_dict, lines, save_page
    from ...reports.record import versions
    from ...reports.rundir import write_json

    settings = Settings(kernels, threshold, steps, passes, _numbers(sizes), seeds, seed=seed)
    PredictiveParams(kernels, threshold, passes=passes)  # what it refuses is refused before any work
    settings.design("soft").check_machine()
    if jobs is not None and jobs < 1:
        raise InputError(f"--jobs must be at least 1, not {jobs}")
    folder = Folder(out, tuple(FILES), (ARRAYS,))
    folder.check()
    with Store(out / STORE, sweep_of(settings, out / ARRAYS), force) as store, job.progress("points") as tell:
        if force:
            folder.clear()
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
