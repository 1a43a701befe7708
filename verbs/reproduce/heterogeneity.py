"""``striate reproduce heterogeneity``."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from ...golden.errors import InputError
from ..common import Force, Interrupted, Job, Json, Seed, say, the_command
from .folder import RESULT, STORE, Folder

TRAINING = "training"


def heterogeneity(
    out: Annotated[
        Path,
        typer.Option("--out", metavar="DIR", help="Keep codes, tables, figures and report.html there; the same command "
                     "continues what was stopped."),
    ],
    pictures: Annotated[
        list[str] | None,
        typer.Option("--pictures", metavar="PICTURE", help="An image file or a bundled photograph; repeat for more. "
                     "Without it all bundled photographs."),
    ] = None,
    crops: Annotated[int, typer.Option("--crops", metavar="N", help="Crops of every picture.")] = 3,
    size: Annotated[
        int, typer.Option("--size", metavar="PIXELS", help="Side of a crop, of pictures at half their size.")
    ] = 40,
    train: Annotated[
        bool, typer.Option("--train", help="Learn the three dictionaries again first, into DIR/training (minutes).")
    ] = False,
    jobs: Annotated[
        int | None, typer.Option("--jobs", metavar="N", help="Processes; one a processor without it.")
    ] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Codes that failed before once more.")] = False,
    seed: Seed = 0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Ladret, Casanova, Perrinet: log-Gabor kernels of one bandwidth against kernels of six, before and after learning.

    Five dictionaries of 144 kernels code crops of photographs at two lambdas; sparseness, PSNR, pruning, activity and
    a verdict for each claim by the paper's tests. Exit 1 when a code failed.

    Example: striate reproduce heterogeneity --out heterogeneity
    """  # fmt: skip
    job = Job(as_json)
    if jobs is not None and jobs < 1:
        raise InputError(f"--jobs must be at least 1, not {jobs}")
    from ...explore import engine
    from ...explore.papers.heterogeneity import Experiment, gathered
    from ...explore.papers.heterogeneity_pictures import PICTURES
    from ...explore.papers.heterogeneity_pictures import crops as crops_of
    from ...explore.store import Store
    from ...reports.papers.heterogeneity import FILES, lines, results, save_page
    from ...reports.record import versions
    from ...reports.rundir import write_json

    taken = crops_of(tuple(pictures or PICTURES), crops, size, seed)
    folder = Folder(out, tuple(FILES), (TRAINING,))
    folder.check()
    experiment = Experiment(taken, out / TRAINING if train else None)
    if not train:
        _ = experiment.dictionaries  # refused before anything is written
    with Store(out / STORE, experiment.sweep, force) as store, job.progress("codes") as tell:
        if force:
            folder.clear()
        try:
            if train:
                _train(out / TRAINING, tell)
            dictionaries = experiment.dictionaries
            points = experiment.points(dictionaries)
            end = engine.run(store, points, jobs=jobs, retry=retry, progress=lambda p: tell(_said(p), p.share))
        except KeyboardInterrupt:
            raise Interrupted(f"stopped; what was finished is in {out}: the same command continues") from None
        entries = store.entries(store.add(points))
        found = gathered(experiment, dictionaries, entries)
    info: dict[str, Any] = {
        **results(found), "points": end.points, "done": end.done, "failed": end.failed, "ran": end.ran,
        "point_seconds": sum(entry.seconds or 0.0 for entry in entries), "versions": versions(),
        "command": the_command(), "out": str(out.absolute()),
    }  # fmt: skip
    info = job.complete(info, None)
    if found.codes:
        save_page(out, found, info)
    write_json(out / RESULT, info)
    if not as_json:
        for line in lines(info):
            print(line)
    through = f"{end.points:,}: {end.done:,} done, {end.failed:,} failed"
    job.done(info, None, [("codes", through), ("kept in", str(out))])
    if end.failed:
        say(f"{end.failed:,} of {end.points:,} codes failed; the first: {found.failed[0][3]}")
        raise typer.Exit(1)


def _said(progress: Any) -> str:
    return f"{progress.done + progress.failed:,} of {progress.points:,} codes"


def _train(folder: Path, tell: Callable[[str, float], None]) -> None:
    """Learn the three dictionaries; what is finished in the folder is taken from it."""
    from ...explore.papers.heterogeneity_dictionaries import KINDS, train

    learned = [kind for kind in KINDS if kind.learned]
    for number, kind in enumerate(learned):
        def told(p: Any, number: int = number, name: str = kind.name) -> None:
            tell(f"learning {name}", (number + p.done / p.pictures) / len(learned))

        train(kind, folder, told)
