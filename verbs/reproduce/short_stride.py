"""``striate reproduce short-stride``."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...golden.errors import InputError
from ..common import Force, Interrupted, Job, Json, Seed, say, the_command
from .folder import RESULT, STORE, Folder

if TYPE_CHECKING:
    from ...explore.papers.configurations import Configuration
    from ...explore.papers.training import Training
    from ...golden.dictionary import Dictionary

FRAMES = 32
"""Without a video file."""
INPUTS, TRAINING = "inputs", "training"


def short_stride(
    out: Annotated[
        Path,
        typer.Option("--out", metavar="DIR", help="Keep runs, tables, figures and report.html there; the same command "
                     "continues what was stopped."),
    ],
    only: Annotated[
        str | None,
        typer.Option("--only", metavar="NAMES", help='Only these, with commas: 32@1, 32@2, 32@4, 32@8, 32@16, 2@1, '
                     '8@2, 128@8, 512@16, "32@4 p8", "32@4 p32", "32@4 p64".'),
    ] = None,
    thresholds: Annotated[
        str, typer.Option("--thresholds", metavar="L1,L2,...", help="lambda of the runs.")
    ] = "0.025,0.05,0.075,0.1",
    frames: Annotated[
        int | None,
        typer.Option("--frames", metavar="N", help="How many frames: 32 without it, a quarter of each of four "
                     "sequences (two pans, two zooms); or all of a video."),
    ] = None,
    video: Annotated[
        Path | None, typer.Option("--video", metavar="FILE", help="Frames of this file instead of pans and zooms.")
    ] = None,
    every: Annotated[int, typer.Option("--every", metavar="N", help="Every N-th frame of the video.")] = 1,
    passes: Annotated[int, typer.Option("--passes", metavar="N", help="How often the frames are shown.")] = 3,
    steps: Annotated[int, typer.Option("--steps", metavar="N", help="Updates of a frame.")] = 200,
    train: Annotated[
        bool, typer.Option("--train", help="Learn the dictionaries again first, into DIR/training (hours).")
    ] = False,
    dictionaries: Annotated[
        Path | None,
        typer.Option("--dictionaries", metavar="DIR", help="Take the dictionaries from there: natural-kK-pP-sS.npz, "
                     "further-kK-pP-sS.npz of 32@2 and 512@16."),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", metavar="N", help="Processes; one a processor without it.")
    ] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Runs that failed before once more.")] = False,
    seed: Seed = 0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Schultz, Paiton, Lu, Kenyon: short strides with few kernels against long ones with many, and sizes of patches.

    Twelve dictionaries code the frames one after the other at four thresholds; figures 3 to 11 and a verdict for each
    claim are made of the second and later passes. The last points fit Gabors to the kernels of the stride series:
    minutes each, and one that is interrupted begins again. Exit 1 when a run failed.

    Example: striate reproduce short-stride --out short-stride
    """  # fmt: skip
    job = Job(as_json)
    from ...explore import engine
    from ...explore.papers.configurations import configurations
    from ...explore.papers.frames import default_frames, video_frames
    from ...explore.papers.short_stride_run import Experiment, check_settings, gathered
    from ...explore.papers.short_stride_table import as_dict, lines
    from ...explore.store import Store
    from ...reports.papers.short_stride import FILES, save_page
    from ...reports.record import versions
    from ...reports.rundir import write_json

    chosen = configurations([name.strip() for name in only.split(",")] if only is not None else [])
    levels = _numbers(thresholds)
    check_settings(levels, passes, steps)
    if jobs is not None and jobs < 1:
        raise InputError(f"--jobs must be at least 1, not {jobs}")
    if train and dictionaries is not None:
        raise InputError("give --train or --dictionaries, not both: the one learns what the other names")
    if frames is not None and frames < 2:
        raise InputError(f"--frames must be at least 2, not {frames}: one frame makes no cloud")
    if every != 1 and video is None:
        raise InputError("--every counts the frames of a video file; give --video FILE with it")
    folder = Folder(out, tuple(FILES), (INPUTS, TRAINING))
    folder.check()
    source = default_frames(frames or FRAMES) if video is None else video_frames(video, most=frames, every=every)
    experiment = Experiment(chosen, levels, source, passes, steps, seed)
    taken = None if train else {each.name: _dictionary(each, dictionaries) for each in chosen}
    known, unread = ((), "") if train or dictionaries is not None else _trainings(chosen)
    if unread:
        say(f"{unread}; the run goes on, and its page says nothing of how the dictionaries were learned")
    inputs = out / INPUTS
    with Store(out / STORE, experiment.sweep(inputs), force) as store, job.progress("runs") as tell:
        if force:
            folder.clear()
        try:
            used, training = (taken, known) if taken is not None else _trained(chosen, out / TRAINING, tell)
            experiment.write_inputs(inputs, used)
            points = experiment.points(used)
            end = engine.run(store, points, jobs=jobs, retry=retry,
                             progress=lambda p: tell(_said(p, len(chosen)), p.share))  # fmt: skip
        except KeyboardInterrupt:
            raise Interrupted(f"stopped; what was finished is in {out}: the same command continues") from None
        result = gathered(experiment, used, store.entries(store.add(points)), training)
    info: dict[str, Any] = {
        **as_dict(result), "points": end.points, "done": end.done, "failed_points": end.failed, "ran": end.ran,
        "point_seconds": sum(run.seconds for run in result.runs), "versions": versions(), "command": the_command(),
        "out": str(out.absolute()), **({"training_unread": unread} if unread else {}),
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
        first = [f"{name} at {threshold:g}: {why}" for name, threshold, why in result.failed[:1]]
        which = first[0] if first else "the kernels of a configuration"
        say(f"{end.failed:,} of {end.points:,} points failed; the first, {which}")
        raise typer.Exit(1)


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"--thresholds must be numbers such as 0.05,0.1, not '{text}'") from None


def _said(progress: Any, shapes: int) -> str:
    """The points through; the last ones, of ``shapes`` dictionaries, are the shapes of kernels."""
    through = progress.done + progress.failed
    last = ", fitting Gabors" if progress.points - shapes <= through < progress.points else ""
    return f"{through:,} of {progress.points:,} points{last}"


# ---- dictionaries ----------------------------------------------------------------------------------------------------
def _dictionary(each: "Configuration", folder: Path | None) -> "Dictionary":
    """The shipped one of a configuration, or that of its name in a folder."""
    from ...golden.dictionary import Dictionary, shipped

    if folder is None:
        try:
            return shipped(each.kernels, each.patch, each.stride, name=each.learned)
        except InputError as error:
            raise InputError(f"{each.name}: {error}; --train learns all of them first, --dictionaries DIR takes them "
                             "from a folder") from None  # fmt: skip
    path = folder / f"{each.shipped_name}.npz"
    found = Dictionary.load(path)
    if (found.kernels, found.channels, found.patch, found.stride) != (each.kernels, 1, each.patch, each.stride):
        raise InputError(
            f"{path} holds {found.kernels} kernels of {found.channels}x{found.patch}x{found.patch} at stride "
            f"{found.stride}, not what its name says; name another folder"
        )
    return found


def _trainings(chosen: Sequence["Configuration"]) -> "tuple[tuple[Training, ...], str]":
    """How the shipped dictionaries were learned, and why that is not known: no run depends on it."""
    from ...explore.papers.training import shipped_trainings

    try:
        known = shipped_trainings()
    except InputError as error:
        return (), str(error)
    return tuple(known[each.name] for each in chosen if each.name in known), ""


def _trained(
    chosen: Sequence["Configuration"], folder: Path, tell: Callable[[str, float], None]
) -> "tuple[dict[str, Dictionary], tuple[Training, ...]]":
    """Learn all of them, one after the other; what is finished in the folder is taken from it."""
    from ...explore.papers.training import train

    dictionaries, trainings = {}, []
    for number, each in enumerate(chosen):
        def said(p: Any, number: int = number, name: str = each.name) -> None:
            tell(f"learning {name}, round {p.round_number}", number / len(chosen))

        dictionaries[each.name], training = train(each, folder, progress=said)
        trainings.append(training)
    return dictionaries, tuple(trainings)
