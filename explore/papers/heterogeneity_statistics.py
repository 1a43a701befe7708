"""The tests of the heterogeneity paper: two samples by Mann-Whitney's U, and orientations against the cardinal ones."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from .heterogeneity import CUTOFFS, SETTINGS, Found


@dataclass(frozen=True)
class Comparison:
    """Two samples of one measure over the same crops.

    Args:
        measure: "sparseness", "psnr_db", or "psnr_loss_db at C" of pruning at the cut-off C. setting: its name.
            first, second: kinds. u, p: Mann-Whitney's U of the second sample and its two-sided p. effect: rank-biserial
            correlation ``2 U/(n1 n2) - 1``, from -1 to 1: above 0 the second sample is larger. higher: share of crops
            where the second is larger than the first. median_first, median_second: of the samples. count: crops.
        paired_p: of Wilcoxon's signed-rank test of the differences crop by crop, two-sided. The paper has no such test;
            but U, which takes the two samples for independent, needs its 1145 pictures to see a difference that is
            smaller than that between pictures.
    """

    measure: str
    setting: str
    first: str
    second: str
    u: float
    p: float
    effect: float
    higher: float
    median_first: float
    median_second: float
    count: int
    paired_p: float


def compared(
    measure: str, setting: str, first: str, second: str, before: Sequence[float], after: Sequence[float]
) -> Comparison:
    """Compare ``before`` (of ``first``) with ``after`` (of ``second``); two samples that are all one value have p 1.

    Raises:
        ValueError: samples of different length, or empty ones.
    """
    a, b = np.asarray(before, np.float64), np.asarray(after, np.float64)
    if len(a) != len(b) or not len(a):
        raise ValueError(f"samples of {len(a)} and {len(b)} crops")
    tested = stats.mannwhitneyu(b, a, alternative="two-sided")
    u = float(tested.statistic)
    p = 1.0 if math.isnan(tested.pvalue) else float(tested.pvalue)
    sizes = np.abs(b - a)
    # By default SciPy permutes where differences tie, which takes seconds.
    how = "exact" if len(np.unique(sizes)) == len(sizes) <= 50 and sizes.all() else "asymptotic"
    paired = float(stats.wilcoxon(b - a, method=how).pvalue) if sizes.any() else 1.0
    return Comparison(measure, setting, first, second, u, p, 2.0 * u / (len(a) * len(b)) - 1.0,
                      float(np.mean(b > a)), float(np.median(a)), float(np.median(b)), len(a), paired)  # fmt: skip


PAIRS = (
    ("homogeneous", "heterogeneous"),
    ("homogeneous", "homogeneous-learned"),
    ("heterogeneous", "heterogeneous-learned"),
    ("homogeneous-learned", "heterogeneous-learned"),
    ("noise-learned", "homogeneous-learned"),
    ("noise-learned", "heterogeneous-learned"),
)
"""Those the paper tests."""


def comparisons(found: Found, held_out: bool = False) -> tuple[Comparison, ...]:
    """Every pair of `PAIRS` in both measures at both settings, and the banks' loss of PSNR by pruning.

    A crop counts where both codes of it are there; a pair without any is left out.
    """
    result = []
    for setting in SETTINGS:
        for first, second in PAIRS:
            codes = _matched(found, first, second, setting.name, held_out)
            if not codes:
                continue
            samples = {
                "sparseness": [(a.sparseness, b.sparseness) for a, b in codes],
                "psnr_db": [(a.psnr_db, b.psnr_db) for a, b in codes],
            }
            if (first, second) == PAIRS[0]:
                for n, cutoff in enumerate(CUTOFFS):
                    samples[f"psnr_loss_db at {cutoff:g}"] = [
                        (a.psnr_db - a.pruned[n][1], b.psnr_db - b.pruned[n][1]) for a, b in codes
                    ]
            result += [
                compared(name, setting.name, first, second, *zip(*sample, strict=True))
                for name, sample in samples.items()
            ]
    return tuple(result)


def _matched(found: Found, first: str, second: str, setting: str, held_out: bool) -> list[tuple[Any, Any]]:
    others = {code.crop: code for code in found.of(second, setting, held_out)}
    return [(code, others[code.crop]) for code in found.of(first, setting, held_out) if code.crop in others]


@dataclass(frozen=True)
class Cardinal:
    """Whether kernels prefer 0 and 90 degrees.

    Args:
        kind: of the dictionary. preference: mean of cos(4 theta): 1 when all kernels are cardinal, -1 all oblique, 0
            evenly spread. p: of the V test against evenness, one-sided.
    """

    kind: str
    preference: float
    p: float


def cardinal(kind: str, orientations_degrees: Sequence[float]) -> Cardinal:
    """The V test (Zar, *Biostatistical Analysis*): ``sqrt(2 n) mean cos(4 theta)`` is nearly standard normal when
    orientations are even.
    """
    cosines = np.cos(4.0 * np.radians(np.asarray(orientations_degrees, np.float64)))
    preference = float(cosines.mean())
    return Cardinal(kind, preference, float(stats.norm.sf(math.sqrt(2.0 * len(cosines)) * preference)))
