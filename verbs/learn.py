"""``striate learn``."""

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from ..golden.errors import InputError
from .common import Force, Job, Json, Seed, say


def learn(
    pictures: Annotated[
        list[str],
        typer.Argument(metavar="PICTURES...", help="Image files, folders of them, or names of bundled photographs."),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DICT.npz", help="The dictionary to write.")],
    kernels: Annotated[int, typer.Option("--kernels", "-k", help="Kernels K.")] = 8,
    patch: Annotated[int, typer.Option("--patch", "-p", help="Side of a kernel, pixels.")] = 16,
    stride: Annotated[int, typer.Option("--stride", "-s", help="Pixels between V1 positions.")] = 2,
    channels: Annotated[int, typer.Option("--channels", help="1 gray, 3 colour.")] = 1,
    shown: Annotated[int, typer.Option("--pictures", metavar="N", help="Crops to show.")] = 4000,
    rule: Annotated[
        str, typer.Option("--rule", help="hebbian, projected, block-coordinate or online: how kernels are updated. "
                     "With --sweeps 1 and no momentum projected takes the step of hebbian, halved while it would raise "
                     "the error.")
    ] = "hebbian",
    batch: Annotated[int, typer.Option("--batch", metavar="N", help="Crops coded with the same kernels before an "
                     "update: at equal --pictures there are fewer updates.")] = 1,
    rate: Annotated[float, typer.Option("--rate", help="Learning rate of hebbian and projected.")] = 0.06,
    decay: Annotated[float, typer.Option("--decay", help="Last learning rate as a share of the first.")] = 0.05,
    schedule: Annotated[
        str, typer.Option("--schedule", help="How the rate falls: half (held, then falls), inverse (1/t) or constant.")
    ] = "half",
    momentum: Annotated[float, typer.Option("--momentum", help="Of hebbian: share of the last step kept.")] = 0.0,
    forgetting: Annotated[
        float, typer.Option("--forgetting", help="beta of online: share of A and B that an update keeps.")
    ] = 0.95,
    sweeps: Annotated[
        int, typer.Option("--sweeps", help="Steps of projected, passes of block-coordinate and online, an update.")
    ] = 1,
    crop_size: Annotated[int, typer.Option("--crop-size", help="Side of a crop, pixels.")] = 64,
    scales: Annotated[str, typer.Option("--scales", help="Block sides to shrink by, with commas.")] = "1,2",
    preprocess: Annotated[
        str, typer.Option("--preprocess", help="What is done to a picture first, such as centre-surround or none.")
    ] = "centre-surround",
    threshold: Annotated[float, typer.Option("--threshold", help="lambda.")] = 0.05,
    transfer: Annotated[str, typer.Option("--transfer", help="hard or soft threshold.")] = "hard",
    two_sided: Annotated[bool, typer.Option("--two-sided", help="Codes may be negative.")] = False,
    border: Annotated[
        str, typer.Option("--border", help="Beyond the crop: cropped, extended, mirror or circular.")
    ] = "cropped",
    eta: Annotated[float, typer.Option("--eta", help="dt/tau.")] = 1 / 32,
    steps: Annotated[int, typer.Option("--steps", help="Updates a picture.")] = 200,
    residual_cutoff: Annotated[float, typer.Option("--residual-cutoff", help="theta.")] = 0.005,
    warm: Annotated[bool, typer.Option("--warm", help="Keep the membrane from picture to picture.")] = False,
    start: Annotated[
        str | None, typer.Option("--start", metavar="DICT", help="Begin from this file or shipped dictionary.")
    ] = None,
    support: Annotated[
        int | None, typer.Option("--support", metavar="PIXELS", help="Kernels are 0 beyond so many rows and columns.")
    ] = None,
    reseed_after: Annotated[
        int, typer.Option("--reseed-after", metavar="N", help="Draw a kernel anew after N silent pictures; 0 never.")
    ] = 0,
    engine: Annotated[str, typer.Option("--engine", help="fast, reference, fft or torch.")] = "fast",
    device: Annotated[str, typer.Option("--device", help="Of --engine torch: cpu, cuda or cuda:1.")] = "cpu",
    workers: Annotated[int, typer.Option("--workers", metavar="N", help="Processes that code a batch.")] = 1,
    scheduler: Annotated[
        str | None,
        typer.Option("--scheduler", metavar="ADDRESS", help="Dask scheduler whose workers code, as tcp://host:8786."),
    ] = None,
    seed: Seed = 0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Learn a dictionary from pictures. Interrupted, the same command continues. Exit 1, and no dictionary, when more
    than half of the pictures diverged.

    Example: striate learn chelsea coffee rocket -k 8 -p 16 -s 2 --pictures 500 --out mine.npz
    """
    from ..golden.learn import LearnOutcome, LearnParams, Progress, WorkersLost
    from ..golden.learn import learn as golden_learn
    from ..reports.record import learn_record
    from ..reports.tables import learn_lines

    job = Job(as_json)
    try:
        sides = tuple(int(part) for part in scales.split(","))
    except ValueError:
        raise InputError(f"--scales must be whole numbers with commas such as 1,2, not '{scales}'") from None
    # Names are checked by LearnParams, which knows them.
    named: dict[str, Any] = {
        "preprocess": preprocess, "engine": engine, "rule": rule, "schedule": schedule, "transfer": transfer,
        "border": border,
    }  # fmt: skip
    params = LearnParams(
        kernels, patch, stride, channels, shown, rate, decay, crop_size, sides, threshold=threshold, eta=eta,
        steps=steps, residual_cutoff=residual_cutoff, warm=warm, seed=seed, batch=batch, momentum=momentum,
        forgetting=forgetting, two_sided=two_sided, support=support, start=start, reseed_after=reseed_after,
        sweeps=sweeps, device=device, **cast(Any, named),
    )  # fmt: skip
    with job.progress("learning") as tell:

        def show(p: Progress) -> None:
            text = f"picture {p.done}/{p.pictures}, kernels move {100 * p.change:.2f} %, error {p.percent_error:.1f} %"
            if p.reseeded:
                text += f", {p.reseeded} drawn anew"
            tell(text, p.done / p.pictures)

        try:
            result = golden_learn(
                params, pictures, out, progress=show, force=force, workers=workers, scheduler=scheduler
            )
        except WorkersLost as error:
            lost: str | None = str(error)
        else:
            lost = None
    if lost is not None:
        say(lost)
        raise typer.Exit(1)
    info, sha = learn_record(result, params, out)
    job.done(info, sha, learn_lines(info))
    if result.outcome is LearnOutcome.DIVERGED:
        say(result.outcome.remedy)
        raise typer.Exit(1)
