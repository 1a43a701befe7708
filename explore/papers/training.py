"""Learning the short-stride dictionaries in rounds, until another round no longer pays.

A learning rate that falls settles every dictionary, good or bad. So a run that has come to rest is taken up again:
another *round* starts from its kernels with the full learning rate and new crops. A dictionary counts as settled when a
whole round lowered the energy of crops it was not learned from by less than `SETTLED_GAIN`.

What was done for the shipped dictionaries is in ``golden/dictionaries/training.json``.
"""

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from ...golden.archive import replacing
from ...golden.dictionary import Dictionary, shipped
from ...golden.errors import InputError
from ...golden.lca import LcaParams, Outcome, encode
from ...golden.learn import LearnOutcome, Progress, TrainingCrops, learn
from ...golden.metrics import energy, percent_error, percent_inactive
from .configurations import CONFIGURATIONS, Configuration
from .recipes import RECIPES, Recipe

PHOTOGRAPHS = ("chelsea", "coffee", "brick", "grass", "gravel", "astronaut", "rocket")
"""What the dictionaries are learned from. The test frames come from others (camera, china)."""

SETTLED_GAIN = 0.01
PROBE_CROPS = 12
PROBE_SIZE = 128  # pixels
PROBE_SEED = 987654  # crops of this seed are never learned from
PROBE_TIME = 200 / 32  # in tau

CRITERION = (
    f"another round of learning, from its kernels and at the full rate, lowered the energy of {PROBE_CROPS} unseen "
    f"crops by less than {SETTLED_GAIN:.0%}"
)


@dataclass(frozen=True)
class Probe:
    """How well kernels code crops that they were not learned from: means over `PROBE_CROPS`.

    Args:
        energy: ``E(y) / E(0)``, 1 for a silent code. percent_error, percent_inactive: as everywhere.
        diverged: crops, out of `PROBE_CROPS`, whose code diverged.
    """

    energy: float
    percent_error: float
    percent_inactive: float
    diverged: int


@dataclass(frozen=True)
class Round:
    """One round of learning.

    Args:
        number: from 1. pictures: crops shown. energy_before: of the kernels it began with, None for
            noise.
        energy_after: see `Probe.energy`. percent_error, percent_inactive: of the probe afterwards.
        change: mean kernel movement a picture at the end, as a share of the norm. gabor_share: kernels that a Gabor
            function explains to 60 % or more. seconds: of learning, since it was last taken up. Both None where nobody
            kept them.
    """

    number: int
    pictures: int
    energy_before: float | None
    energy_after: float
    percent_error: float
    percent_inactive: float
    change: float
    gabor_share: float | None
    seconds: float | None

    @property
    def gain(self) -> float | None:
        """By how much the round lowered the energy, as a share; None for the first."""
        return None if self.energy_before is None else 1.0 - self.energy_after / self.energy_before


@dataclass(frozen=True)
class Training:
    """How a dictionary came to be.

    Args:
        configuration: its name. rule: in words. rounds: in order. kept: number of the round whose kernels are used;
            that is the last one, or the one before where the last only showed that nothing was left to gain.
        criterion: of `settled`, in words.
    """

    configuration: str
    rule: str
    rounds: tuple[Round, ...]
    kept: int
    criterion: str = CRITERION

    @property
    def settled(self) -> bool:
        """The last round gained less than `SETTLED_GAIN`."""
        gain = self.rounds[-1].gain if self.rounds else None
        return gain is not None and gain < SETTLED_GAIN

    @property
    def pictures(self) -> int:
        """Crops that the kernels kept were learned from."""
        return sum(each.pictures for each in self.rounds[: self.kept])


def probe(dictionary: Dictionary, recipe: Recipe) -> Probe:
    """How well kernels code the probe's crops of the training photographs."""
    crops = TrainingCrops(PHOTOGRAPHS, PROBE_SIZE, scales=(1, 2), seed=PROBE_SEED)
    params = LcaParams(eta=recipe.probe_eta, steps=round(PROBE_TIME / recipe.probe_eta))
    energies, errors, inactive, diverged = [], [], [], 0
    for number in range(PROBE_CROPS):
        image = crops.crop(number)
        run = encode(image, dictionary, params)
        energies.append(energy(run.residual, run.code, params.threshold) / (0.5 * float(np.vdot(image, image))))
        errors.append(percent_error(image, run.residual))
        inactive.append(percent_inactive(run.code))
        diverged += run.outcome is Outcome.DIVERGED
    return Probe(float(np.mean(energies)), float(np.mean(errors)), float(np.mean(inactive)), diverged)


@dataclass(frozen=True)
class TrainingProgress:
    """Where a training is: the round, and the picture in it."""

    configuration: str
    round_number: int
    learning: Progress


def train(
    configuration: Configuration,
    folder: str | os.PathLike[str],
    *,
    recipe: Recipe | None = None,
    progress: Callable[[TrainingProgress], None] | None = None,
) -> tuple[Dictionary, Training]:
    """Learn one configuration in rounds until it is settled, in a folder of its own making.

    Every round is kept (``NAME.round1.npz`` and so on, with ``NAME.json`` of the numbers), and a round is resumable
    itself: the same call continues where it was stopped.

    Raises:
        InputError: a learning that diverged, or files of another recipe in the folder.
    """
    recipe = recipe or RECIPES[configuration.name]
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{configuration.shipped_name}.json"
    asked = asdict(recipe)
    rounds = _resumed(log, asked)
    start = _file(folder, configuration, len(rounds)) if rounds else _grown(configuration, recipe, folder)
    while not (rounds and _settled(rounds)) and len(rounds) < recipe.rounds:
        number = len(rounds) + 1
        out = _file(folder, configuration, number)
        began = None if start is None else probe(Dictionary.load(start), recipe).energy

        def tell(learning: Progress, number: int = number) -> None:
            if progress:
                progress(TrainingProgress(configuration.name, number, learning))

        # A file of this round without its numbers in the log: the probe was cut off, and the round is learned again.
        clock = time.perf_counter()
        params = (recipe.first if number == 1 else recipe.further).params(configuration, number - 1, start)
        result = learn(params, PHOTOGRAPHS, out, progress=tell, force=out.exists())
        seconds = time.perf_counter() - clock
        if result.outcome is not LearnOutcome.COMPLETED or result.dictionary is None:
            raise InputError(f"learning {configuration.name} diverged in round {number}: {result.outcome.remedy}")
        after = probe(result.dictionary, recipe)
        rounds.append(Round(number, result.pictures, began, after.energy, after.percent_error, after.percent_inactive,
                            result.change, result.gabor_share, seconds))  # fmt: skip
        _write(log, {"recipe": asked, "rounds": [asdict(each) for each in rounds]})
        start = out
    assert start is not None
    return Dictionary.load(start), Training(configuration.name, recipe.words, tuple(rounds), len(rounds))


def _grown(configuration: Configuration, recipe: Recipe, folder: Path) -> Path | None:
    """A file of the kernels to begin with: another configuration's, those that `train` left in the folder or else the
    shipped ones, in the middle of zeros.
    """
    if recipe.grown_from is None:
        return None
    small = next(each for each in CONFIGURATIONS if each.name == recipe.grown_from)
    learned = _resumed(folder / f"{small.shipped_name}.json", asdict(RECIPES[small.name]))
    if learned:
        found = Dictionary.load(_file(folder, small, len(learned)))
    else:
        found = shipped(small.kernels, small.patch, small.stride, name=small.learned)
    margin = (configuration.patch - small.patch) // 2
    atoms = np.pad(found.atoms, ((0, 0), (0, 0), (margin, margin), (margin, margin)))
    path = folder / f"{configuration.shipped_name}.start.npz"
    Dictionary(atoms, configuration.stride, f"kernels of {small.name} in the middle of zeros").save(path)
    return path


def _settled(rounds: list[Round]) -> bool:
    gain = rounds[-1].gain
    return gain is not None and gain < SETTLED_GAIN


def _file(folder: Path, configuration: Configuration, number: int) -> Path:
    return folder / f"{configuration.shipped_name}.round{number}.npz"


def _resumed(log: Path, asked: dict[str, Any]) -> list[Round]:
    """The rounds that are in the log already."""
    if not log.exists():
        return []
    try:
        kept = json.loads(log.read_text())
        rounds = [Round(**each) for each in kept["rounds"]]
        recipe = kept["recipe"]
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{log} is no log of a training ({error}); remove it to begin anew") from None
    if recipe != asked:
        raise InputError(f"{log} belongs to another recipe; train in another folder, or remove it to begin anew")
    return rounds


def _write(path: Path, value: dict[str, Any]) -> None:
    with replacing(path) as aside:
        aside.write_text(json.dumps(value, indent=1) + "\n")


def shipped_trainings() -> dict[str, Training]:
    """How the dictionaries that come with the package were learned, by the configuration's name.

    Raises:
        InputError: a damaged installation.
    """
    path = Path(str(resources.files("striate.golden"))) / "dictionaries" / "training.json"
    try:
        kept = json.loads(path.read_text())
        found = {
            name: Training(name, each["rule"], tuple(Round(**r) for r in each["rounds"]), each["kept"])
            for name, each in kept.items()
        }
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} cannot be read ({error}); install the package again") from None
    return {each.name: found[each.name] for each in CONFIGURATIONS if each.name in found}
