"""Self-taught learning on bundled pictures: which features a classifier with few labels is best given, as values.

A dictionary is learned on pictures without labels, of another kind than those classified: the digits 0 to 4 of
scikit-learn (8x8 pixels), or patches of photographs. Then the digits 5 to 9 are told apart from their pixels, principal
components, sparse codes (golden and fixed-point) and foretold codes, with a growing number of labels. After the table
of Raina et al. 2007 (digits, then English characters) in the lectures of Salakhutdinov and Larochelle.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ...golden.errors import InputError
from ...sim.design import Design
from .claims import Claim

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

SIDE, CLASSES = 8, (5, 6, 7, 8, 9)
SOURCES = {"digits": "the digits 0 to 4", "photographs": "patches of photographs"}
"""What a dictionary is learned on, by name. Never the digits that are classified."""
PHOTOGRAPHS = ("astronaut", "brick", "chelsea", "coffee", "grass", "gravel", "rocket")
METHODS = {
    "raw": "raw pixels",
    "pca": "PCA",
    "golden-soft": "soft LCA, float64",
    "golden-hard": "hard LCA, float64",
    "machine-soft": "soft LCA, fixed-point machine",
    "machine-hard": "hard LCA, fixed-point machine",
    "predictive": "predictive encoder",
}
"""Features by name, in the order of the table. "raw" has no source."""
INVERSE_PENALTIES = (0.1, 1.0, 10.0, 100.0, 1000.0)
"""C of the logistic regression that cross-validation chooses from, for features of mean square norm 1."""
FOLDS = 3
VARIANCE = 0.95
"""Of the unlabelled pictures, held by the principal components."""


@dataclass(frozen=True)
class Settings:
    """Everything that decides the table.

    Args:
        kernels: K. threshold: lambda, for vectors whose mean square norm is 1 (`Pictures`). steps: of LCA.
        passes: of learning the dictionary; the encoder has twice as many. sizes: labelled pictures, ascending.
        seeds: draws of the labelled pictures. test: pictures to be classified, the same ones always. pool: pictures
            that the labelled ones are drawn from. patches: of photographs. held_out: unlabelled pictures that nothing
            is learned from. seed: of the split and of learning.

    Raises:
        InputError: a value outside its range.
    """

    kernels: int = 128
    threshold: float = 0.05
    steps: int = 200
    passes: int = 20
    sizes: tuple[int, ...] = (20, 50, 100, 200, 400)
    seeds: int = 10
    test: int = 396
    pool: int = 500
    patches: int = 3000
    held_out: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        least = FOLDS * len(CLASSES)
        if not self.sizes or list(self.sizes) != sorted(set(self.sizes)) or self.sizes[0] < least:
            raise InputError(f"--sizes must rise from {least} labels or more, so that each fold has every class, not "
                             f"{','.join(map(str, self.sizes))}")  # fmt: skip
        if self.sizes[-1] > self.pool - len(CLASSES):
            raise InputError(f"--sizes cannot ask for {self.sizes[-1]} labels: there are {self.pool} pictures to draw "
                             f"from; use {self.pool - len(CLASSES)} or fewer")  # fmt: skip
        if self.seeds < 2:
            raise InputError(f"--seeds must be at least 2, so that a spread can be told, not {self.seeds}")
        if self.seed < 0:
            raise InputError(f"--seed must be 0 or more, not {self.seed}")

    def as_dict(self) -> dict[str, Any]:
        """For files and keys; sizes and seeds apart, which only say how many points there are."""
        return {**asdict(self), "sizes": list(self.sizes)}

    @property
    def subject(self) -> dict[str, Any]:
        """What tells the points of one experiment from another's: sizes and seeds may grow."""
        return {key: value for key, value in self.as_dict().items() if key not in ("sizes", "seeds")}

    def design(self, transfer: str) -> Design:
        """The network as a design: one V1 position over the whole picture, one tile, all formats at their defaults."""
        lanes = next(lanes for lanes in (16, 8, 4, 2, 1) if self.kernels % lanes == 0)
        return Design(
            image=(SIDE, SIDE), patch=SIDE, stride=SIDE, kernels=self.kernels, two_sided=True, transfer=transfer,
            threshold=self.threshold, steps=self.steps, tiles=(1, 1), gather_lanes=lanes,
        )  # fmt: skip


@dataclass(frozen=True)
class Pictures:
    """The pictures of an experiment as vectors of 64 values, all less the mean picture of the digits 0 to 4 and over
    the root of their mean square norm.

    Args:
        unlabelled, held_out: the digits 0 to 4. pool, test: the digits 5 to 9, with their labels.
        mean: ``(64,)`` pixels 0 to 1. scale: the divisor.
    """

    unlabelled: Array
    held_out: Array
    pool: Array
    pool_labels: Labels
    test: Array
    test_labels: Labels
    mean: Array
    scale: float

    @property
    def labelled(self) -> Array:
        """The pool, then the test pictures: the order of all features."""
        return np.vstack([self.pool, self.test])


def load_pictures(settings: Settings) -> Pictures:
    """The digits of scikit-learn (Alpaydin and Kaynak 1998), split by the settings' seed.

    Raises:
        InputError: more pictures asked for than there are.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    pixels, labels = np.asarray(digits.data, np.float64) / 16.0, np.asarray(digits.target, np.int64)
    known = labels >= CLASSES[0]
    have = int(known.sum())
    if settings.pool + settings.test > have:
        raise InputError(f"{settings.pool} pictures to draw from and {settings.test} to test with are more than the "
                         f"{have} there are")  # fmt: skip
    pool, test, pool_labels, test_labels = train_test_split(
        pixels[known], labels[known], train_size=settings.pool, test_size=settings.test, random_state=settings.seed,
        stratify=labels[known],
    )  # fmt: skip
    others = pixels[~known][np.random.default_rng(settings.seed).permutation(int((~known).sum()))]
    mean = others[settings.held_out :].mean(axis=0)
    scale = float(np.sqrt(np.square(others[settings.held_out :] - mean).sum(axis=1).mean()))

    def made(picked: Array) -> Array:
        return np.asarray((picked - mean) / scale, np.float64)

    return Pictures(
        made(others[settings.held_out :]), made(others[: settings.held_out]), made(pool), pool_labels, made(test),
        test_labels, mean, scale,
    )  # fmt: skip


def photograph_patches(settings: Settings) -> Array:
    """``(patches, 64)``: parts of 16x16 pixels of photographs, averaged by 2, each less its mean; mean square norm 1.

    Twice the digits' pixels and averaged: the photographs at their own scale hold little that is as coarse as a stroke.
    """
    from ...golden.images import load_image

    rng = np.random.default_rng([settings.seed, 1])
    planes = [load_image(name, preprocess="none")[0] for name in PHOTOGRAPHS]
    made = []
    for _ in range(settings.patches):
        plane = planes[int(rng.integers(len(planes)))]
        y, x = (int(rng.integers(size - 2 * SIDE + 1)) for size in plane.shape)
        made.append(plane[y : y + 2 * SIDE, x : x + 2 * SIDE].reshape(SIDE, 2, SIDE, 2).mean(axis=(1, 3)).ravel())
    patches = np.array(made)
    patches -= patches.mean(axis=1, keepdims=True)
    return np.asarray(patches / np.sqrt(np.square(patches).sum(axis=1).mean()), np.float64)


# ---- what is found ---------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Row:
    """A cell of the table: features, how many labels, and the accuracy of every draw.

    Args:
        source: "" for raw pixels. accuracies: percent of the test pictures, a draw each, in the order of the seeds.
    """

    source: str
    method: str
    size: int
    accuracies: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Percent."""
        return float(np.mean(self.accuracies))

    @property
    def deviation(self) -> float:
        """Standard deviation over the draws, percentage points."""
        return float(np.std(self.accuracies, ddof=1)) if len(self.accuracies) > 1 else 0.0


@dataclass(frozen=True)
class Learned:
    """What was learned of a source, and how well.

    Args:
        atoms: ``(K, 64)``. objective, predictive_objective: of every pass, of the dictionary and of the encoder.
        components: of PCA. measures: of the encoder by name, on pictures of the same kind that it never saw.
    """

    source: str
    atoms: Array
    objective: tuple[float, ...]
    predictive_objective: tuple[float, ...]
    components: int
    measures: Mapping[str, float]


@dataclass(frozen=True)
class Agreement:
    """How far the machine's codes are from the golden ones of the same pictures and dictionary.

    Args:
        relative: ``|machine - golden| / |golden|`` over all codes, L2. correlation: of all codes.
        same_units: percent of (picture, unit) pairs that are active in both or silent in both.
        golden_error, machine_error: mean percent error. golden_inactive, machine_inactive: percent.
        saturations: membranes that left their word, of all pictures. overflows: pictures whose residual left its word.
    """

    source: str
    transfer: str
    relative: float
    correlation: float
    same_units: float
    golden_error: float
    machine_error: float
    golden_inactive: float
    machine_inactive: float
    saturations: int
    overflows: int


@dataclass(frozen=True)
class SelfTaught:
    """The experiment's result.

    Args:
        failed: (what, why) of points without a result; unjudged: claims whose rows are not all there.
    """

    settings: Settings
    rows: tuple[Row, ...]
    learned: tuple[Learned, ...]
    agreements: tuple[Agreement, ...]
    claims: tuple[Claim, ...]
    failed: tuple[tuple[str, str], ...] = ()

    @cached_property
    def cells(self) -> dict[tuple[str, str, int], Row]:
        """By source, method and size."""
        return {(row.source, row.method, row.size): row for row in self.rows}


def pairs() -> list[tuple[str, str]]:
    """(source, method) of every line of the table."""
    return [("", "raw"), *((source, method) for source in SOURCES for method in METHODS if method != "raw")]


__all__ = ["Agreement", "Learned", "Pictures", "Row", "SelfTaught", "Settings", "load_pictures", "pairs",
           "photograph_patches"]  # fmt: skip
