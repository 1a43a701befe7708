"""``striate learn``."""

from pathlib import Path
from typing import Annotated

import typer

from ..golden.errors import InputError
from .common import Force, Job, Json, Seed, say


def learn(
    pictures: Annotated[
        list[str], typer.Argument(metavar="PICTURES...", help="Image files, or names of bundled photographs.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DICT.npz", help="The dictionary to write.")],
    kernels: Annotated[int, typer.Option("--kernels", "-k", help="Kernels K.")] = 8,
    patch: Annotated[int, typer.Option("--patch", "-p", help="Side of a kernel, pixels.")] = 16,
    stride: Annotated[int, typer.Option("--stride", "-s", help="Pixels between V1 positions.")] = 2,
    channels: Annotated[int, typer.Option("--channels", help="1 gray, 3 colour.")] = 1,
    shown: Annotated[int, typer.Option("--pictures", metavar="N", help="Crops to show.")] = 4000,
    rate: Annotated[float, typer.Option("--rate", help="Learning rate of the Hebbian rule.")] = 0.06,
    decay: Annotated[float, typer.Option("--decay", help="Last learning rate as a share of the first.")] = 0.05,
    crop_size: Annotated[int, typer.Option("--crop-size", help="Side of a crop, pixels.")] = 64,
    scales: Annotated[str, typer.Option("--scales", help="Block sides to shrink by, with commas.")] = "1,2",
    preprocess: Annotated[str, typer.Option("--preprocess", help="centre-surround or none.")] = "centre-surround",
    threshold: Annotated[float, typer.Option("--threshold", help="lambda.")] = 0.05,
    eta: Annotated[float, typer.Option("--eta", help="dt/tau.")] = 1 / 32,
    steps: Annotated[int, typer.Option("--steps", help="Updates a picture.")] = 200,
    residual_cutoff: Annotated[float, typer.Option("--residual-cutoff", help="theta.")] = 0.005,
    warm: Annotated[bool, typer.Option("--warm", help="Keep the membrane from picture to picture.")] = False,
    seed: Seed = 0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Learn a dictionary from pictures. Interrupted, the same command continues. Exit 1, and no dictionary, when more
    than half of the pictures diverged.

    Example: striate learn chelsea coffee rocket -k 8 -p 16 -s 2 --pictures 500 --out mine.npz
    """
    from ..golden.learn import LearnOutcome, LearnParams, Progress
    from ..golden.learn import learn as golden_learn
    from ..golden.preprocess import Preprocess
    from ..reports.record import learn_record
    from ..reports.tables import learn_lines

    job = Job(as_json)
    try:
        sides = tuple(int(part) for part in scales.split(","))
    except ValueError:
        raise InputError(f"--scales must be whole numbers with commas such as 1,2, not '{scales}'") from None
    if preprocess not in ("centre-surround", "none"):
        raise InputError(f"--preprocess must be centre-surround or none, not '{preprocess}'")
    kind: Preprocess = "none" if preprocess == "none" else "centre-surround"
    params = LearnParams(
        kernels,
        patch,
        stride,
        channels,
        shown,
        rate,
        decay,
        crop_size,
        sides,
        kind,
        threshold,
        eta,
        steps,
        residual_cutoff,
        warm,
        seed,
    )
    with job.progress("learning") as tell:

        def show(p: Progress) -> None:
            text = f"picture {p.done}/{p.pictures}, kernels move {100 * p.change:.2f} %, error {p.percent_error:.1f} %"
            tell(text, p.done / p.pictures)

        result = golden_learn(params, pictures, out, progress=show, force=force)
    info, sha = learn_record(result, params, out)
    job.done(info, sha, learn_lines(info))
    if result.outcome is LearnOutcome.DIVERGED:
        say(result.outcome.remedy)
        raise typer.Exit(1)
