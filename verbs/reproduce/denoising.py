"""``striate reproduce denoising``."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...golden.errors import InputError
from ..common import Force, Interrupted, Job, Json, say, the_command

if TYPE_CHECKING:
    from ...golden.dictionary import Dictionary


def denoising(
    out: Annotated[
        Path,
        typer.Option("--out", metavar="DIR", help="Keep points, tables, figures and report.html there; the same "
                     "command continues what was stopped."),
    ],
    noise: Annotated[
        str, typer.Option("--noise", metavar="DB,...", help="SNR of the noisy crops in dB; 13.84 is the paper's.")
    ] = "8,13.84,20",
    pictures: Annotated[
        str,
        typer.Option("--pictures", metavar="NAME,...", help="Bundled photographs or files, two crops of each; without "
                     "it camera, china, astronaut, rocket."),
    ] = "",
    size: Annotated[
        int, typer.Option("--size", metavar="N", help="Side of a crop in pixels; the paper's is 100.")
    ] = 100,
    seeds: Annotated[int, typer.Option("--seeds", metavar="N", help="Noises that each crop is denoised with.")] = 1,
    train: Annotated[
        bool, typer.Option("--train", help="Learn the filters and choose the strengths again (minutes).")
    ] = False,
    crops: Annotated[
        int, typer.Option("--train-crops", metavar="N", help="Crops that --train learns the filters from.")
    ] = 60,
    jobs: Annotated[
        int | None, typer.Option("--jobs", metavar="N", help="Processes; one a processor without it.")
    ] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Points that failed before once more.")] = False,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", min=0, help="Of --train: its crops and first filters; noises have "
                          "seeds of their own.")
    ] = 0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Zeiler, Krishnan, Taylor, Fergus: one deconvolutional layer takes the noise from photographs.

    Crops with Gaussian noise are coded by 9 learned filters and a low-frequency map with |z|^p for p of 1, 0.8 and 0.5,
    beside a soft-threshold LCA and a Gaussian blur; --seed is that of --train. Exit 1 when a point failed.

    Example: striate reproduce denoising --out denoising
    """
    job = Job(as_json)
    from ...explore import engine
    from ...explore.papers.denoising import HELD_OUT
    from ...explore.papers.denoising_filters import filters
    from ...explore.papers.denoising_run import collect, examples, plan_of, sweep_of
    from ...explore.store import Store
    from ...reports.papers.denoising import (
        FILTERS,
        STORE,
        check_folder,
        clear_folder,
        denoising_json,
        denoising_lines,
        save_denoising,
    )  # fmt: skip
    from ...reports.record import versions

    if jobs is not None and jobs < 1:
        raise InputError(f"--jobs must be at least 1, not {jobs}")
    if crops < 1:
        raise InputError(f"--train-crops must be at least 1, not {crops}")
    chosen = [name.strip() for name in pictures.split(",") if name.strip()] or list(HELD_OUT)
    levels = _levels(noise)
    plan = plan_of(chosen, levels, seeds, size)
    check_folder(out)
    with job.progress("points") as tell:
        dictionary, path = filters(), ""
        if train:
            dictionary, strengths = _trained(out, seed, crops, force, tell)
            plan, path = plan_of(chosen, levels, seeds, size, strengths), str((out / FILTERS).absolute())
        with Store(out / STORE, sweep_of(dictionary, path), force) as store:
            if force:
                clear_folder(out)
            try:
                end = engine.run(store, plan.points, jobs=jobs, retry=retry,
                                 progress=lambda p: tell(_said(p), p.share))  # fmt: skip
            except KeyboardInterrupt:
                raise Interrupted(f"stopped; what was finished is in {out}: the same command continues") from None
            result = collect(plan, dictionary, store.entries(store.add(plan.points)))
    info: dict[str, Any] = {
        **denoising_json(result), "points": end.points, "done": end.done, "failed": end.failed, "ran": end.ran,
        "trained": train, "versions": versions(), "command": the_command(), "out": str(out.absolute()),
    }  # fmt: skip
    info = job.complete(info, None)
    save_denoising(out, info, result, examples(plan, dictionary))
    if not as_json:
        for line in denoising_lines(result):
            print(line)
        print()
    job.done(info, None, [("points", f"{end.points:,}: {end.done:,} done, {end.failed:,} failed"),
                          ("kept in", str(out))])  # fmt: skip
    if end.failed:
        say(f"{end.failed:,} of {end.points:,} points failed; the first: {result.failed[0]}")
        raise typer.Exit(1)


def _levels(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"--noise must be numbers of dB such as 8,13.84,20, not '{text}'") from None


def _said(progress: Any) -> str:
    return f"{progress.done + progress.failed:,} of {progress.points:,} points"


def _trained(out: Path, seed: int, crops: int, force: bool, tell: Any) -> "tuple[Dictionary, dict[str, float]]":
    """Filters learned into the folder and strengths chosen with them; either is taken from there where it is done."""
    from ...explore.papers.denoising import METHODS, PAPER_INPUT_DB
    from ...explore.papers.denoising_filters import recipe, train_filters
    from ...explore.papers.denoising_run import choose
    from ...golden.dictionary import Dictionary
    from ...reports.papers.denoising import FILTERS, STRENGTHS
    from ...reports.rundir import write_json

    out.mkdir(parents=True, exist_ok=True)
    file, table = out / FILTERS, out / STRENGTHS
    if not force and file.is_file() and (dictionary := Dictionary.load(file)).source == recipe(seed, crops):
        said = _strengths(table, dictionary.sha256)
    else:
        dictionary, said = train_filters(seed, crops=crops, progress=tell).dictionary, {}
        dictionary.save(file)
    names = [name for name, method in METHODS.items() if method.kind != "blur"]
    for n, name in enumerate(names):
        if name not in said:
            tell(f"strength of {name}", n / len(names))
            said[name] = choose(name, PAPER_INPUT_DB, dictionary)[0]
            write_json(table, {"filters": dictionary.sha256, "strengths": said})
    return dictionary, said


def _strengths(table: Path, sha256: str) -> dict[str, float]:
    """Those chosen so far with the same filters."""
    try:
        kept = json.loads(table.read_text(encoding="utf-8"))
        return {str(k): float(v) for k, v in kept["strengths"].items()} if kept["filters"] == sha256 else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
