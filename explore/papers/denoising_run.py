"""The denoising experiment from points to results: what is run, what came of it, which claims hold."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...golden.dictionary import Dictionary
from ...golden.errors import InputError
from ...golden.preprocess import Array
from ..points import Entry, Point, Sweep
from .claims import Claim
from .denoising import (
    CROP_PIXELS,
    HELD_OUT,
    LAYER,
    LEVELS_DB,
    METHODS,
    Crop,
    crops_of,
    denoise,
    noisy,
    pixels_of,
    snr_db,
)
from .denoising_claims import Denoised, Sparse, judge
from .denoising_filters import LEARNED_FROM

VERSION = 1
CODED_P = (1.0, 0.8, 0.5)
CODED_LAMBDA = {1.0: (0.1, 0.3, 0.8, 2.0), 0.8: (0.1, 0.3, 0.8, 2.0), 0.5: (0.1, 0.3, 0.8, 2.0)}
"""lambda on contrast-normalised crops, for the curves of error against sparsity."""
MOST_DB = 60.0
CHOSEN_PIXELS = 80
"""Side of the crops that strengths are chosen on."""


@dataclass(frozen=True)
class Plan:
    """What is run.

    Args:
        crops: of the pictures, two each. levels_db: of the noisy input. seeds: noises of a crop. strengths: of every
            method and level, by "method level"; size: of a crop in pixels.
    """

    crops: tuple[Crop, ...]
    levels_db: tuple[float, ...]
    seeds: int
    strengths: dict[tuple[str, float], float]
    size: int

    @property
    def points(self) -> tuple[Point, ...]:
        """Denoising of all crops by all methods, then codes of each picture's first crop."""
        first = {crop.picture: crop for crop in reversed(self.crops)}
        return (
            *(self.denoising(crop, name, level, seed) for level in self.levels_db for crop in self.crops
              for name in METHODS for seed in range(self.seeds)),
            *(self.coding(first[picture], p, threshold) for picture in dict.fromkeys(c.picture for c in self.crops)
              for p in CODED_P for threshold in CODED_LAMBDA[p]),
        )  # fmt: skip

    def denoising(self, crop: Crop, name: str, level: float, seed: int) -> Point:
        """One denoising."""
        return Point({**_where(crop), "task": "denoise", "method": name, "noise_db": level,
                      "strength": self.strengths[name, level]}, seed)  # fmt: skip

    def coding(self, crop: Crop, p: float, threshold: float) -> Point:
        """One code without noise."""
        return Point({**_where(crop), "task": "code", "p": p, "threshold": threshold})


def _where(crop: Crop) -> dict[str, Any]:
    return {"picture": crop.picture, "crop": [crop.y, crop.x], "size": crop.size, "pixels": crop.sha256}


def plan_of(pictures: Sequence[str] = HELD_OUT, levels_db: Sequence[float] = LEVELS_DB, seeds: int = 1,
            size: int = CROP_PIXELS, chosen: dict[str, float] | None = None) -> Plan:
    """What to run; the sigma of the blur is chosen here, on `LEARNED_FROM`.

    Args:
        chosen: strengths by method, in place of those of `METHODS`.

    Raises:
        InputError: no picture or level, a picture that cannot be used, a level beyond -20..60 dB, fewer than one seed,
            a crop smaller than 16 pixels.
    """
    if seeds < 1:
        raise InputError(f"--seeds must be at least 1, not {seeds}")
    if size < 16:
        raise InputError(f"--size must be at least 16 pixels, not {size}; the paper has 100")
    levels = tuple(dict.fromkeys(float(level) for level in levels_db))
    for level in levels:
        if not -20.0 <= level <= MOST_DB:
            raise InputError(f"--noise must be an SNR from -20 to {MOST_DB:g} dB, not {level:g}; the paper has 13.84")
    names = tuple(dict.fromkeys(pictures))
    if not names or not levels:
        raise InputError("nothing to denoise: give at least one picture and one --noise")
    crops = tuple(crop for name in names for crop in crops_of(name, size))
    strengths = {(name, level): (chosen or {}).get(name, method.strength)
                 for name, method in METHODS.items() for level in levels}  # fmt: skip
    strengths |= {("blur", level): choose("blur", level, None)[0] for level in levels}
    return Plan(crops, levels, seeds, strengths, size)


def choose(name: str, level: float, dictionary: Dictionary | None, size: int = CHOSEN_PIXELS,
           progress: Callable[[], None] | None = None) -> tuple[float, dict[float, float]]:
    """The strength with the highest mean SNR over a crop of each of `LEARNED_FROM`, and the means by strength.

    Args:
        dictionary: filters; None for the blur, which needs none.
    """
    method, found = METHODS[name], {}
    crops = [crops_of(picture, size)[0] for picture in LEARNED_FROM]
    clean = [pixels_of(crop.picture, crop.y, crop.x, crop.size) for crop in crops]
    for strength in method.grid:
        values = []
        for n, pixels in enumerate(clean):
            image, deviation = noisy(pixels, level, 1000 + n)
            values.append(snr_db(pixels, denoise(image, deviation, method, strength, _needed(dictionary, name))[0]))
        found[strength] = float(np.mean(values))
        if progress is not None:
            progress()
    return max(found, key=lambda strength: found[strength]), found


def _needed(dictionary: Dictionary | None, name: str) -> Dictionary:
    if dictionary is None and METHODS[name].kind != "blur":
        raise ValueError(f"{name} needs filters")
    return dictionary if dictionary is not None else Dictionary(np.ones((1, 1, 1, 1)), 1)


def sweep_of(dictionary: Dictionary, path: str = "") -> Sweep:
    """The sweep that points belong to.

    Args:
        path: of a file with the filters, for the processes that run points; "": those of the package.
    """
    return Sweep(f"{__package__}.denoising:job", VERSION, {"filters": dictionary.sha256}, {"filters": path})


# ---- results ---------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Example:
    """A crop for the figure: clean, noisy, and denoised by `LAYER`, ``(1, H, W)`` each; SNR of the last two."""

    crop: Crop
    level_db: float
    clean: Array
    noisy: Array
    denoised: Array
    noisy_db: float
    denoised_db: float


@dataclass(frozen=True)
class Denoising:
    """The experiment.

    Args:
        plan: what was run. denoised, sparse: a row a point that is done. claims: with their verdicts.
        filters: the dictionary. seconds: of all points. failed: errors of those that failed.
        rate: median seconds of `LAYER` a filter and megapixel of crop, on the machine and under the load of the run.
    """

    plan: Plan
    denoised: tuple[Denoised, ...]
    sparse: tuple[Sparse, ...]
    claims: tuple[Claim, ...]
    filters: Dictionary
    seconds: float
    failed: tuple[str, ...]
    rate: float | None

    def gains(self, name: str, level: float) -> dict[str, float]:
        """Mean gain in dB of a method by picture."""
        found: dict[str, list[float]] = defaultdict(list)
        for row in self.denoised:
            if row.method == name and row.level_db == level:
                found[row.picture].append(row.gain_db)
        return {picture: float(np.mean(values)) for picture, values in found.items()}

    def mean_gain(self, name: str, level: float) -> float | None:
        """Mean gain in dB over the held-out pictures; None without one."""
        held_out = [gain for picture, gain in self.gains(name, level).items() if picture not in LEARNED_FROM]
        return float(np.mean(held_out)) if held_out else None

    def mean_active(self, name: str, level: float) -> float | None:
        """Mean share of active codes in percent; None for a method without codes."""
        found = [row.percent_active for row in self.denoised if row.method == name and row.level_db == level]
        known = [share for share in found if share is not None]
        return float(np.mean(known)) if known else None


def collect(plan: Plan, dictionary: Dictionary, entries: Sequence[Entry]) -> Denoising:
    """Results of the store's rows."""
    denoised, sparse, rates = [], [], []
    by_place = {(crop.picture, crop.y, crop.x): crop for crop in plan.crops}
    for entry in entries:
        given, result = entry.point.parameters, entry.result
        if result is None:
            continue
        crop = by_place[(given["picture"], *given["crop"])]
        if given["task"] == "code":
            sparse.append(Sparse(crop.picture, given["p"], given["threshold"], result["percent_error"],
                                 result["percent_active"]))  # fmt: skip
            continue
        denoised.append(Denoised(crop.picture, (crop.y, crop.x), crop.learned_from, crop.free, given["method"],
                                 given["noise_db"], entry.point.seed, result["noisy_db"], result["snr_db"],
                                 result["psnr_db"], result["percent_active"]))  # fmt: skip
        if given["method"] == LAYER and entry.seconds:
            rates.append(entry.seconds / dictionary.kernels / (crop.size**2 / 1e6))
    return Denoising(
        plan, tuple(denoised), tuple(sparse), judge(denoised, sparse), dictionary,
        sum(entry.seconds or 0.0 for entry in entries),
        tuple(entry.error for entry in entries if entry.error is not None),
        float(np.median(rates)) if rates else None,
    )  # fmt: skip


def examples(plan: Plan, dictionary: Dictionary, most: int = 4) -> tuple[Example, ...]:
    """The first crop of the first pictures at the level next to the paper's, denoised again for the figure."""
    level = min(plan.levels_db, key=lambda value: abs(value - 13.84))
    found: list[Example] = []
    for crop in plan.crops:
        if crop.picture in {other.crop.picture for other in found}:
            continue
        clean = pixels_of(crop.picture, crop.y, crop.x, crop.size)
        image, deviation = noisy(clean, level, 0)
        result, _ = denoise(image, deviation, METHODS[LAYER], plan.strengths[LAYER, level], dictionary)
        found.append(Example(crop, level, clean, image, result, snr_db(clean, image), snr_db(clean, result)))
        if len(found) == most:
            break
    return tuple(found)
