"""A study of learning on an array: several update devices and updates from one start, beside learning without cells."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ....golden.dictionary import Dictionary
from ....golden.learn.pictures import TrainingCrops
from ....golden.learn.training import LearnParams
from ..device import device_of
from ..streams import FloatArray
from .coding import Coding, coder
from .presets import EXACT
from .state import Evaluation
from .training import (
    ArrayLearned,
    ArrayLearnParams,
    ArrayProgress,
    Norm,
    check_start,
    learn_on_array,
    programmed_start,
)
from .updates import UpdateRule

if TYPE_CHECKING:
    from ...design import Design


@dataclass(frozen=True)
class StudyParams:
    """What is compared: every update device with every rule.

    Args:
        learn, norm, evaluations, coding: as in `ArrayLearnParams`, for all runs; the digital one is coded in float64.
        repair: the start is to be mended; it is also written a second time, with write-and-verify.

    Raises:
        InputError: as `ArrayLearnParams`.
    """

    learn: LearnParams
    update_devices: tuple[str, ...] = ("ecram",)
    rules: tuple[UpdateRule, ...] = (UpdateRule("ideal"), UpdateRule("naive"), UpdateRule("write-verify"))
    norm: Norm = "change"
    evaluations: int = 10
    repair: bool = False
    coding: Coding = "golden"

    def __post_init__(self) -> None:
        _ = self.runs  # refuses what they refuse

    @property
    def runs(self) -> tuple[ArrayLearnParams, ...]:
        """One a device and rule."""
        return tuple(ArrayLearnParams(self.learn, name, rule, self.norm, self.evaluations, self.coding)
                     for name in self.update_devices for rule in self.rules)  # fmt: skip

    @property
    def digital(self) -> ArrayLearnParams:
        """Learning without an array: the golden rule."""
        return ArrayLearnParams(self.learn, EXACT.name, UpdateRule("ideal"), "change", self.evaluations)


@dataclass(frozen=True, eq=False)
class LearnStudy:
    """What a study found.

    Args:
        digital: the same start and crops in float64, without cells. runs: in the order of ``params.runs``.
        rewritten: in repair, the start written again with write-and-verify, by update device; nothing learned.
    """

    params: StudyParams
    start: Dictionary
    digital: ArrayLearned
    runs: tuple[ArrayLearned, ...]
    rewritten: dict[str, Evaluation]

    def likeness(self, run: ArrayLearned) -> FloatArray:
        """(K,): cosine of every kernel with the one that digital learning ends with."""
        atoms = run.dictionary.atoms * self.digital.dictionary.atoms
        return np.asarray(atoms.reshape(len(atoms), -1).sum(axis=1))

    @property
    def best(self) -> ArrayLearned:
        """The run that ends with the lowest held-out error, ideal ones only where there are no others."""
        real = [run for run in self.runs if run.params.rule.how != "ideal"] or list(self.runs)
        return min(real, key=lambda run: run.curve[-1].percent_error)


def learn_study(
    params: StudyParams, start: Dictionary, design: "Design", crops: TrainingCrops, held_out: Sequence[FloatArray], *,
    checkpoints: Path | None = None, force: bool = False, progress: Callable[[str, float], None] | None = None,
) -> LearnStudy:  # fmt: skip
    """All runs, one after the other.

    Args:
        design: [crossbar] of every run but the digital one.
        checkpoints: a folder for the state of every run, complete ones too: the same call goes on where it was
            interrupted. The caller removes it.
        progress: called with (text, share done).

    Raises:
        InputError: as `learn_on_array`.
    """
    check_start(start, params.learn)
    device_of(design)  # both refuse what they refuse before a folder is made
    coder(params.coding, params.learn, design)
    exact = design.replace({"crossbar.device": "ideal", "crossbar.fault_rate": 0.0, "crossbar.programming_error": 0.0,
                            "crossbar.levels": 0, "crossbar.drift_seconds": 0.0})  # fmt: skip
    jobs = [(params.digital, exact), *((run, design) for run in params.runs)]
    if checkpoints is not None:
        checkpoints.mkdir(parents=True, exist_ok=True)
    found = []
    for number, (run, on) in enumerate(jobs):
        name = f"{run.update_device}, {run.rule.how}" if number else "digital"

        def tell(p: ArrayProgress, number: int = number, name: str = name) -> None:
            if progress is not None:
                text = f"{name}: crop {p.done}/{p.crops}, error {p.percent_error:.1f} %"
                progress(text, (number + p.done / p.crops) / len(jobs))

        file = None if checkpoints is None else checkpoints / f"{number}.npz"
        found.append(learn_on_array(run, start, on, crops, held_out, checkpoint=file, force=force, progress=tell))
    verified = design.replace({"crossbar.programming": "verify", "crossbar.drift_seconds": 0.0})
    again = {name: programmed_start(replace(params.digital, update_device=name), start, verified, held_out)
             for name in params.update_devices if params.repair}  # fmt: skip
    return LearnStudy(params, start, found[0], tuple(found[1:]), again)
