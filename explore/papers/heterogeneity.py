"""The heterogeneity experiment as values and as points of a sweep: five dictionaries code the same crops.

Ladret, Casanova, Perrinet, *Kernel Heterogeneity Improves Sparseness of Natural Images Representations*. A point is one
crop coded by one dictionary at one setting, with two-sided codes, an l1 penalty and a circular border, by ADMM: the
method and the border of sporco, which the paper uses.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...golden.dictionary import Dictionary
from ...golden.errors import InputError
from ...golden.log_gabor import Tuning, tuning
from ...golden.solvers import Problem, solve
from .. import points
from ..points import Entry, Point, Sweep
from .heterogeneity_dictionaries import BY_NAME, KINDS, dictionary_of
from .heterogeneity_pictures import EVEN, Crop, pixels

Array = npt.NDArray[np.float64]
JOB, VERSION = f"{__name__}:job", 1

CUTOFFS = (0.001, 0.1008, 0.2006, 0.3004, 0.4002, 0.5)
"""Of the pruning curves: from .001 to .5 in six steps."""
BINS = tuple(round(0.1 * n, 10) for n in range(31))
"""Edges of the histogram of |code|, in units of the code; what is larger counts in the last bin."""


@dataclass(frozen=True)
class Setting:
    """How codes are made: lambda, iterations of ADMM, and where that is from."""

    name: str
    threshold: float
    iterations: int
    about: str


TEXT = Setting("text", 0.05, 100, "lambda of the paper's text")
PROGRAM = Setting("program", 0.01, 100, "lambda and iterations of the program the authors published")
SETTINGS = (TEXT, PROGRAM)
CONVERGED = tuple(Setting(f"{each.name}-converged", each.threshold, 600, each.about) for each in SETTINGS)
"""Six times the iterations: what is left of a difference when the solver is not stopped early."""
CONVERGED_CROPS = 3


@dataclass(frozen=True)
class Coded:
    """One code.

    Args:
        kind, setting: names. crop: what was coded. sparseness: share of codes that are 0. psnr_db: eq. 6, the peak the
            largest pixel of the crop. gap: relative duality gap that the solver left. pruned: (sparseness, psnr_db)
            with codes of absolute value below each of `CUTOFFS` set to 0. active: codes other than 0 of each kernel.
            histogram: of their absolute values, by `BINS`. mean: of these values.
    """

    kind: str
    setting: str
    crop: Crop
    sparseness: float
    psnr_db: float
    gap: float
    pruned: tuple[tuple[float, float], ...]
    active: tuple[int, ...]
    histogram: tuple[int, ...]
    mean: float


@dataclass(frozen=True)
class Experiment:
    """What is asked for: the crops, and where learned dictionaries are (None: those that come with the package)."""

    crops: tuple[Crop, ...]
    folder: Path | None = None

    @property
    def dictionaries(self) -> dict[str, Dictionary]:
        """The five, by kind."""
        return {kind.name: dictionary_of(kind, self.folder) for kind in KINDS}

    @property
    def sweep(self) -> Sweep:
        """Crops and dictionaries are parameters of its points: a store may be filled bit by bit."""
        base = {"cutoffs": list(CUTOFFS), "bins": list(BINS)}
        return Sweep(JOB, VERSION, base, {"folder": None if self.folder is None else str(self.folder.absolute())})

    @property
    def checked(self) -> tuple[Crop, ...]:
        """Crops that are coded to convergence: of held-out pictures first."""
        firsts = {crop.picture: crop for crop in reversed(self.crops)}
        order = sorted(firsts.values(), key=lambda crop: (not crop.held_out, crop.picture))
        return tuple(order[:CONVERGED_CROPS])

    def points(self, dictionaries: Mapping[str, Dictionary]) -> list[Point]:
        """The work, the longest first."""
        banks = [kind.name for kind in KINDS if not kind.learned]
        long = [(kind, setting, crop) for setting in CONVERGED for crop in self.checked for kind in banks]
        rest = [(kind.name, setting, crop) for crop in self.crops for setting in SETTINGS for kind in KINDS]
        return [_point(kind, dictionaries[kind], setting, crop) for kind, setting, crop in long + rest]


def _point(kind: str, dictionary: Dictionary, setting: Setting, crop: Crop) -> Point:
    return Point({
        "kind": kind, "dictionary": dictionary.sha256, "setting": setting.name, "threshold": setting.threshold,
        "iterations": setting.iterations, "picture": crop.picture, "y": crop.y, "x": crop.x, "size": crop.size,
    })  # fmt: skip


@lru_cache(maxsize=8)
def _dictionary(kind: str, folder: str | None) -> Dictionary:
    return dictionary_of(BY_NAME[kind], None if folder is None else Path(folder))


def job(context: Mapping[str, Any], parameters: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Code one crop and measure: the fields of `Coded` as JSON holds them.

    Raises:
        InputError: a picture or dictionary that is no longer there, or an even crop.
    """
    p = parameters
    dictionary = _dictionary(p["kind"], context["folder"])
    if dictionary.sha256 != p["dictionary"]:
        raise ValueError(f"the dictionary {p['kind']} changed since the sweep was asked for")
    image = pixels(Crop(p["picture"], p["y"], p["x"], p["size"]))
    if image.max() < EVEN:
        raise InputError(f"{p['picture']} is even at {p['y']},{p['x']}: nothing to code; use another picture or --seed")
    problem = Problem(image, dictionary, p["threshold"], border="circular")
    found = solve(problem, "admm", iterations=p["iterations"], tolerance=1e-4)
    return measured(problem, found.code, found.residual, found.gap)


def measured(problem: Problem, code: Array, residual: Array, gap: float | None = None) -> dict[str, Any]:
    """What is kept of a code ``(K, H, W)`` and its residual ``(1, H, W)``."""
    sizes = np.abs(code[code != 0])
    histogram = np.histogram(np.minimum(sizes, BINS[-1]), BINS)[0]
    return {
        "sparseness": sparseness(code), "psnr_db": psnr_db(problem.image, residual), "gap": gap,
        "pruned": [pruned(problem, code, cutoff) for cutoff in CUTOFFS],
        "active": np.count_nonzero(code, axis=(1, 2)).tolist(), "histogram": histogram.tolist(),
        "mean": float(sizes.mean()) if len(sizes) else 0.0,
    }  # fmt: skip


def sparseness(code: Array) -> float:
    """Share of codes that are 0: 1 for a silent code."""
    return 1.0 - np.count_nonzero(code) / code.size


def psnr_db(image: Array, residual: Array) -> float:
    """Eq. 6: ``20 log10(max(image)) - 10 log10(mean residual^2)``; the paper's peak is the source's largest pixel.

    A crop without a pixel above 0 has none (-inf); without a residual it is infinite.
    """
    peak, mean_square = float(image.max()), float(np.mean(np.square(residual)))
    if peak <= 0.0:
        return -math.inf
    return math.inf if mean_square == 0.0 else 20.0 * math.log10(peak) - 10.0 * math.log10(mean_square)


def pruned(problem: Problem, code: Array, cutoff: float) -> tuple[float, float]:
    """(sparseness, psnr_db) when codes of absolute value below the cut-off are set to 0."""
    kept = np.where(np.abs(code) < cutoff, 0.0, code)
    return sparseness(kept), psnr_db(problem.image, problem.inside(problem.residual(kept)))


# ---- what came of it -------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Found:
    """What the experiment came to.

    Args:
        experiment: what was asked for. dictionaries, tunings: by kind. codes: of all that did not fail. failed: (kind,
            setting, crop, one line).
    """

    experiment: Experiment
    dictionaries: dict[str, Dictionary]
    tunings: dict[str, tuple[Tuning, ...]]
    codes: tuple[Coded, ...]
    failed: tuple[tuple[str, str, Crop, str], ...]

    def of(self, kind: str, setting: str, held_out: bool = False) -> list[Coded]:
        """Codes of a kind at a setting in the order of the crops; ``held_out``: of held-out pictures only."""
        return [
            code for code in self.codes
            if code.kind == kind and code.setting == setting and (code.crop.held_out or not held_out)
        ]  # fmt: skip

    @property
    def checksum(self) -> str:
        """Of all numbers: equal however the points were run."""
        return hashlib.sha256(points.canonical([repr(code) for code in self.codes]).encode()).hexdigest()


def gathered(experiment: Experiment, dictionaries: dict[str, Dictionary], entries: Sequence[Entry]) -> Found:
    """Codes from the store's rows of the experiment's points."""
    codes, failed = [], []
    place = {crop: number for number, crop in enumerate(experiment.crops)}
    for entry in entries:
        p = entry.point.parameters
        crop = Crop(p["picture"], p["y"], p["x"], p["size"])
        if entry.result is None:
            failed.append((str(p["kind"]), str(p["setting"]), crop, entry.error or "not run"))
            continue
        r = entry.result
        codes.append(Coded(
            p["kind"], p["setting"], crop, r["sparseness"], r["psnr_db"], r["gap"],
            tuple((a, b) for a, b in r["pruned"]), tuple(r["active"]), tuple(r["histogram"]), r["mean"],
        ))  # fmt: skip
    codes.sort(key=lambda code: (code.setting, code.kind, place[code.crop]))
    tunings = {name: tuple(tuning(atom) for atom in each.atoms) for name, each in dictionaries.items()}
    return Found(experiment, dictionaries, tunings, tuple(codes), tuple(failed))
