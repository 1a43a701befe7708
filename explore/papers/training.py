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
from ...golden.lca import Engine, LcaParams, Outcome, encode
from ...golden.learn import LearnOutcome, LearnParams, Progress, TrainingCrops, learn
from ...golden.learn.params import RuleName
from ...golden.metrics import energy, percent_error, percent_inactive
from .configurations import CONFIGURATIONS, Configuration

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
class Lesson:
    """The settings of a round, as in `LearnParams`; each crop from rest.

    Args:
        pictures: crops shown. rate: of the Hebbian rule; 0 for a rule without one. decay: what the rate falls to over
            the second half, as a share. crop_size: pixels. eta, steps: of the dynamics while learning.
        rule, batch, forgetting, engine: by default the paper's rule, one crop at a time.
    """

    pictures: int
    rate: float = 0.0
    decay: float = 0.02
    crop_size: int = 64
    eta: float = 1 / 32
    steps: int = 100
    rule: RuleName = "hebbian"
    batch: int = 1
    forgetting: float = 0.0
    engine: Engine = "fast"

    def params(self, configuration: Configuration, seed: int, start: Path | None) -> LearnParams:
        """With the network, the seed of the crops and the kernels to begin with (None: noise)."""
        own: dict[str, Any] = {"rate": self.rate} if self.rate else {"forgetting": self.forgetting}
        return LearnParams(
            kernels=configuration.kernels, patch=configuration.patch, stride=configuration.stride,
            pictures=self.pictures, decay=self.decay, crop_size=self.crop_size, eta=self.eta, steps=self.steps,
            seed=seed, engine=self.engine, rule=self.rule, batch=self.batch,
            start=None if start is None else str(start), **own,
        )  # fmt: skip

    @property
    def words(self) -> str:
        """For tables."""
        if self.rule == "hebbian":
            return "Hebbian (eq. 15), one crop at a time"
        return f"{self.rule}, running A and B, batches of {self.batch}"


@dataclass(frozen=True)
class Recipe:
    """How a configuration is learned: round n shows crops of the seed n - 1.

    Args:
        first: the first round. further: every one after it.
        grown_from: configuration whose kernels, with zeros around them, the first round begins with; None: noise.
        probe_eta: of the dynamics when the energy is measured, over 200/32 tau.
        rounds: at most.
    """

    first: Lesson
    further: Lesson
    grown_from: str | None = None
    probe_eta: float = 1 / 32
    rounds: int = 12

    @property
    def words(self) -> str:
        """The rules, for tables."""
        texts = list(dict.fromkeys((self.first.words, self.further.words)))
        grown = f"from the kernels of {self.grown_from}; " if self.grown_from else ""
        return grown + ", then ".join(texts)


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


def _hebbian(first: int, further: int, rate: float) -> Recipe:
    return Recipe(Lesson(first, rate), Lesson(further, rate))


_PATCH_64 = Lesson(600, decay=0.05, crop_size=128, steps=70, rule="online", batch=12, forgetting=0.92, engine="fft")
RECIPES = {
    "32@1": Recipe(Lesson(4000, 0.06, eta=1 / 64, steps=150), Lesson(2500, 0.15, eta=1 / 64, steps=150),
                   probe_eta=1 / 64),
    "32@2": _hebbian(6000, 3000, 0.2),
    "32@4": _hebbian(8000, 4000, 0.14),
    "32@8": _hebbian(6000, 3000, 0.2),
    "32@16": _hebbian(6000, 3000, 0.2),
    "2@1": _hebbian(8000, 4000, 0.016),
    "8@2": _hebbian(10000, 5000, 0.08),
    "128@8": _hebbian(8000, 4000, 0.5),
    "512@16": Recipe(
        Lesson(14000, 6.0, decay=0.01, eta=1 / 16, steps=60),
        Lesson(5000, decay=0.05, crop_size=128, eta=1 / 16, steps=60, rule="online", batch=40, forgetting=0.98),
    ),
    "32@4 p8": _hebbian(8000, 4000, 0.14),
    "32@4 p32": Recipe(Lesson(3000, 0.03, decay=0.05, crop_size=96), Lesson(2500, 0.04, crop_size=96, steps=80)),
    # Kernels of 64x64 pixels overlap so much that a Hebbian step from noise is either unstable or tiny.
    "32@4 p64": Recipe(_PATCH_64, _PATCH_64, grown_from="32@4 p32"),
}  # fmt: skip
"""By the configuration's name."""


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
