"""``striate crossbar-learn``."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..golden.errors import InputError
from .common import (
    DesignFile,
    Force,
    Interrupted,
    Job,
    Json,
    Seed,
    Settings,
    picture_path,
    read_design,
    say,
    the_command,
)

if TYPE_CHECKING:
    from ..golden.dictionary import Dictionary
    from ..golden.learn import LearnParams
    from ..sim.crossbar.learning.updates import UpdateRule
    from ..sim.design import Design

HELD_OUT = 12
"""Crops of the held-out picture that runs are evaluated with."""


class Update(StrEnum):
    """How changes are brought to the cells."""

    IDEAL = "ideal"
    NAIVE = "naive"
    VERIFY = "write-verify"
    ALL = "all"


class Rounding(StrEnum):
    """Of a naive number of pulses."""

    STOCHASTIC = "stochastic"
    NEAREST = "nearest"


class Coding(StrEnum):
    """What codes the crops that are learned from."""

    GOLDEN = "golden"
    CROSSBAR = "crossbar"


class Norm(StrEnum):
    """What keeps kernels at unit norm besides the periphery's scale."""

    CHANGE = "change"
    SCALE = "scale"


def crossbar_learn(
    pictures: Annotated[
        list[str], typer.Argument(metavar="PICTURES...", help="Image files, or names of bundled photographs.")
    ],
    devices: Annotated[
        str, typer.Option("--device-update", metavar="PRESET,...", help="How cells answer pulses; several, compared.")
    ] = "ecram",
    how: Annotated[Update, typer.Option("--update", help="How changes are brought to the cells.")] = Update.ALL,
    start: Annotated[
        str | None, typer.Option("--start", metavar="NAME", help="random, natural, or a DICT.npz; random.")
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend a programmed dictionary (natural without --start) in place.")
    ] = False,
    kernels: Annotated[int | None, typer.Option("--kernels", "-k", help="Kernels K: network.kernels.")] = None,
    patch: Annotated[int | None, typer.Option("--patch", "-p", help="Side of a kernel: network.patch.")] = None,
    stride: Annotated[int | None, typer.Option("--stride", "-s", help="Pixels between positions.")] = None,
    shown: Annotated[int, typer.Option("--pictures", metavar="N", help="Crops to show.")] = 400,
    held_out: Annotated[
        str, typer.Option("--held-out", metavar="PICTURE", help="The picture that errors are measured on.")
    ] = "camera",
    rate: Annotated[float, typer.Option("--rate", help="Learning rate of the Hebbian rule.")] = 0.06,
    decay: Annotated[float, typer.Option("--decay", help="Last learning rate as a share of the first.")] = 0.05,
    crop_size: Annotated[int, typer.Option("--crop-size", help="Side of a crop, pixels.")] = 64,
    rounding: Annotated[Rounding, typer.Option("--rounding", help="Of a naive number of pulses.")] = (
        Rounding.STOCHASTIC
    ),
    tolerance: Annotated[
        float, typer.Option("--tolerance", help="Of write-verify, as a share of the largest weight.")
    ] = 0.01,
    budget: Annotated[int, typer.Option("--budget", help="Pulses of write-verify a weight and update.")] = 50,
    train: Annotated[int, typer.Option("--train", help="Pulses of write-verify between two reads.")] = 1,
    norm: Annotated[Norm, typer.Option("--norm", help="change: asked changes keep the norm; scale: they do not.")] = (
        Norm.CHANGE
    ),
    coding: Annotated[
        Coding, typer.Option("--coding", help="crossbar: crops are coded with wires, converters and read noise.")
    ] = Coding.GOLDEN,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Keep run.json, dictionary.npz, figure and report.html there."),
    ] = None,
    design_file: DesignFile = None,
    settings: Settings = None,
    seed: Seed = 0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Learn or repair a dictionary in the cells of a memristor array, by pulses. Interrupted, the same command with
    --out DIR continues from the folder DIR.checkpoint beside it. Exit 1 when the codes of a run diverged.

    Example: striate crossbar-learn chelsea coffee --repair --pictures 100 --out mended
    """
    job = Job(as_json)
    design = read_design(design_file, settings)
    given = {"network.kernels": kernels, "network.patch": patch, "network.stride": stride}
    design = design.replace({key: value for key, value in given.items() if value is not None})
    params = _learn_params(design, shown, rate, decay, crop_size, seed)
    rules = _rules(how, rounding, tolerance, budget, train)
    from ..golden.learn import LearnOutcome, TrainingCrops
    from ..reports.crossbar_learning import learning_json, learning_lines, save_learning
    from ..reports.record import design_sha256, versions
    from ..reports.rundir import refuse_existing, writing
    from ..sim.crossbar.learning.study import StudyParams, learn_study

    names = tuple(dict.fromkeys(name.strip() for name in devices.split(",")))
    study = StudyParams(params, names, rules, norm.value, repair=repair, coding=coding.value)
    begun = _start(start or ("natural" if repair else "random"), repair, design, params)
    if picture_path(held_out) in [picture_path(picture) for picture in pictures]:
        raise InputError(f"{held_out} is held out to measure errors on; leave it out of PICTURES or give another "
                         "--held-out")  # fmt: skip
    if out is not None:
        _refuse_finished(out, force)
        refuse_existing(out, force)
    kind = params.preprocess
    crops = TrainingCrops(pictures, crop_size, channels=params.channels, scales=params.scales, kind=kind, seed=seed)
    measured = TrainingCrops([held_out], crop_size, channels=params.channels, scales=params.scales, kind=kind, seed=1)
    states = None if out is None else out.with_name(f"{out.name}.checkpoint")
    with _told(states), job.progress("learning") as tell:
        found = learn_study(study, begun, design, crops, [measured.crop(n) for n in range(HELD_OUT)],
                            checkpoints=states, force=force, progress=tell)  # fmt: skip
    info = learning_json(found, design) | {
        "pictures": [picture_path(picture) for picture in pictures], "held_out": picture_path(held_out),
        "held_out_crops": HELD_OUT, "versions": versions(), "command": the_command(),
    }  # fmt: skip
    sha = design_sha256(design, found.best.dictionary)
    if out is not None:
        info["out"] = str(out.absolute())
        with writing(out, force) as aside:
            save_learning(aside, job.complete(info, sha), design, found)
    if states is not None:
        shutil.rmtree(states, ignore_errors=True)
    if not as_json:
        for line in learning_lines(info):
            print(line)
    job.done(info, sha, [("kept in", str(out))] if out is not None else [])
    failed = [run for run in (found.digital, *found.runs) if run.outcome is LearnOutcome.DIVERGED]
    if failed:
        what = ", ".join("digital" if run is found.digital else f"{run.params.update_device} {run.params.rule.how}"
                         for run in failed)  # fmt: skip
        say(f"diverged: {what}. {LearnOutcome.DIVERGED.remedy}")
        raise typer.Exit(1)


def _refuse_finished(out: Path, force: bool) -> None:
    """Say of a folder in which learning ended that it did."""
    try:
        on = json.loads((out / "run.json").read_text(encoding="utf-8")).get("on")
    except (OSError, ValueError, AttributeError):
        return  # whatever it is, `refuse_existing` speaks of it
    if on == "crossbar-learn" and not force:
        raise InputError(f"--out {out} holds a study of learning that is finished; --force learns anew, or name "
                         "another folder")  # fmt: skip


@contextmanager
def _told(states: Path | None) -> Iterator[None]:
    """Say after Ctrl-C where the state is."""
    try:
        yield
    except KeyboardInterrupt:
        if states is not None and states.is_dir():
            raise Interrupted(f"stopped; what was learned is in {states}: the same command continues") from None
        raise


def _learn_params(
    design: "Design", shown: int, rate: float, decay: float, crop_size: int, seed: int
) -> "LearnParams":
    """Network and dynamics from the design, the rest from options."""
    from ..golden.learn import LearnParams

    d, network = design.dynamics, design.network
    fixed = {"transfer": "hard", "two_sided": False, "border": "cropped", "inclusive": True}
    for key, value in fixed.items():
        if getattr(d, key) != value:
            raise InputError(f"dynamics.{key} = {getattr(d, key)} is not what learning codes with; leave it at {value}")
    if len(design.eta_schedule) > 1:
        raise InputError(f"dynamics.step_shift = {design.dynamics.step_shift} is a schedule; learning takes one step, "
                         "such as 5")  # fmt: skip
    return LearnParams(
        network.kernels, network.patch, network.stride, network.channels, shown, rate, decay, crop_size,
        preprocess=design.input.preprocess, threshold=d.threshold, eta=design.eta_schedule[0][1], steps=d.steps,
        residual_cutoff=d.residual_cutoff, seed=seed,
    )  # fmt: skip


def _rules(
    how: Update, rounding: Rounding, tolerance: float, budget: int, train: int
) -> "tuple[UpdateRule, ...]":
    from ..sim.crossbar.learning.updates import UpdateRule

    every = (UpdateRule("ideal"), UpdateRule("naive", rounding.value),
             UpdateRule("write-verify", tolerance=tolerance, budget=budget, train=train))  # fmt: skip
    return every if how is Update.ALL else tuple(rule for rule in every if rule.how == how.value)


def _start(name: str, repair: bool, design: "Design", params: "LearnParams") -> "Dictionary":
    """The kernels to begin with."""
    from ..golden.dictionary import Dictionary, shipped

    if name == "random":
        if repair:
            raise InputError("--repair of --start random has nothing to mend; use --start natural or a DICT.npz")
        return Dictionary.random(params.geometry, params.seed)
    if name == "natural":
        return shipped(params.kernels, params.patch, params.stride, params.channels)
    if not name.endswith(".npz"):
        raise InputError(f"--start must be random, natural or a path ending in .npz, not '{name}'")
    return Dictionary.load(name)
