"""The claims of Schultz, Paiton, Lu, Kenyon on ellipses that overlap and kernels' shapes. Rules fixed beforehand."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from ...golden.learn.training import GABOR_EXPLAINED
from .claims import Claim, Verdict
from .configurations import Configuration, family
from .ellipse import overlap
from .short_stride import KernelShapes
from .short_stride_evidence import MOSTLY, Check, Evidence, Lacking, counted, decide
from .support import SHARE

SIGNIFICANT, SUBSTANTIAL = 0.25, 0.5
"""Shared area of two ellipses, as a share of the smaller one: the words are the paper's, the numbers ours."""
SEVERAL = 3
"""Kernels of 32."""
PRIMARILY = 2 / 3
"""Of the kernels."""
HIGH_FREQUENCY = 0.25
"""Mean frequency, in cycles per pixel, from which on a kernel counts as one of high frequency."""
GROWN, MUCH_GROWN = 1.25, 2.0
"""Times the smallest median support."""


# ---- ellipses --------------------------------------------------------------------------------------------------------
def _shares(found: Evidence, members: Sequence[Configuration]) -> dict[tuple[str, str, float], float]:
    """The overlap of each pair at each threshold."""
    found.need(members)
    return {
        (one.name, other.name, threshold): overlap(found.ellipse(one, threshold), found.ellipse(other, threshold))
        for threshold in found.thresholds
        for one, other in combinations(members, 2)
    }


def _frame_by_frame(found: Evidence, members: Sequence[Configuration], base: Configuration) -> str:
    """How the members differ from one of them on the same frames, which ellipses as wide as the frames hide."""
    texts = []
    for each in members:
        if each != base:
            apart = np.mean([found.mean(each, t).error - found.mean(base, t).error for t in found.thresholds])
            active = np.mean([found.mean(each, t).inactive - found.mean(base, t).inactive for t in found.thresholds])
            texts.append(f"{each.name} {apart:+.2f} error, {active:+.2f} inactive")
    return f"on the same frames, on average over thresholds, points from {base.name}: {', '.join(texts)}"


def _overlap_checks(shares: dict[tuple[str, str, float], float], wanted: float, met: str = "") -> list[Check]:
    """Whether each pair shares ``wanted``; those with the configuration ``met`` need only meet."""
    return [
        Check(share > 0 if met in (one, other) else share >= wanted,
              f"{one} and {other} at {threshold:g} ({share:.2f})")
        for (one, other, threshold), share in shares.items()
    ]  # fmt: skip


def _overlap_verdict(checks: Sequence[Check], shares: dict[tuple[str, str, float], float]) -> Verdict:
    if all(check.holds for check in checks):
        return Verdict.HOLDS
    meeting = sum(share > 0 for share in shares.values()) / len(shares)
    return Verdict.PARTLY if meeting >= MOSTLY else Verdict.FAILS


def overcomplete_overlap(found: Evidence) -> Claim:
    """Figure 8."""
    members = family("overcomplete")
    shares = _shares(found, members)
    checks = _overlap_checks(shares, SIGNIFICANT, met="2@1")
    return Claim(
        "overcomplete-overlap",
        "At twice overcompleteness, whatever the stride, the clouds of a threshold overlap significantly.",
        _overlap_verdict(checks, shares),
        f"At each threshold the 2-sigma ellipses of each two of strides 2, 4, 8 and 16 share {SIGNIFICANT:.0%} or more "
        "of the smaller one's area, and that of stride 1 meets each of them: holds where all do, partly where at least "
        f"{MOSTLY:.0%} of all pairs meet.",
        f"{counted(checks)}; least shared {min(shares.values()):.2f}; {_frame_by_frame(found, members, members[2])}",
    )  # fmt: skip


def patch_overlap(found: Evidence) -> Claim:
    """Figure 11."""
    members = family("patch")
    shares = _shares(found, members)
    checks = _overlap_checks(shares, SUBSTANTIAL)
    return Claim(
        "patch-overlap", "With 32 kernels at stride 4, the size of the patch has essentially no effect on quality.",
        _overlap_verdict(checks, shares),
        "At each threshold the 2-sigma ellipses of each two of patches 8, 16, 32 and 64 share at least "
        f"{SUBSTANTIAL:.0%} of the smaller one's area: holds where all do, partly where at least {MOSTLY:.0%} of the "
        "pairs meet.",
        f"{counted(checks)}; least shared {min(shares.values()):.2f}; {_frame_by_frame(found, members, members[1])}",
    )  # fmt: skip


# ---- kernels ---------------------------------------------------------------------------------------------------------
def support_independent(found: Evidence) -> Claim:
    """Figure 9."""
    members = family("patch")
    medians = {support.patch: support.median_pixels for support in found.supports
               if support.configuration in {each.name for each in members}}  # fmt: skip
    for each in members:
        if each.patch not in medians:
            raise Lacking(f"the kernels of {each.name}")
    small, *rest = (medians[each.patch] for each in members)
    grown = max(rest) / min(rest)
    shown = ", ".join(f"patch {patch} {radius:.1f}" for patch, radius in sorted(medians.items()))
    return Claim(
        "support-independent", "Kernels have a natural support whose radius does not depend on the patch.",
        Verdict.HOLDS if grown <= GROWN else Verdict.PARTLY if grown <= MUCH_GROWN else Verdict.FAILS,
        f"The median over kernels of the radius about the centroid that holds {SHARE:.0%} of the energy: holds where "
        f"the largest of patches 16, 32 and 64 is at most {GROWN:g} times the smallest, partly up to {MUCH_GROWN:g} "
        "times (the patch grows fourfold). Patch 8 is too small to count: energy spread evenly ends at 4.3 pixels.",
        f"median radius in pixels: {shown}; largest over smallest of 16, 32, 64: {grown:.2f}"
        + (", patch 8 below all of them" if small < min(rest) else ""),
    )  # fmt: skip


def gabor_kernels(found: Evidence) -> Claim:
    """Figure 3."""
    by_name = {shape.configuration: shape for shape in found.shapes}
    members = family("stride")
    for each in members:
        if each.name not in by_name:
            raise Lacking(f"the kernels of {each.name}")
    one, two, four, eight, sixteen = (by_name[each.name] for each in members)
    high = sum(frequency >= HIGH_FREQUENCY for frequency in one.frequencies)
    checks = [
        Check(_gabors(one) >= SEVERAL and high >= SEVERAL,
              f"stride 1 ({_gabors(one)} Gabor-like, {high} of high frequency)"),
        Check(_gabors(two) >= PRIMARILY * len(two.explained), f"stride 2 ({_gabors(two)} Gabor-like)"),
        Check(_gabors(four) >= PRIMARILY * len(four.explained), f"stride 4 ({_gabors(four)} Gabor-like)"),
        Check(_gabors(eight) >= SEVERAL and _median(eight) < min(_median(two), _median(four)),
              f"stride 8 ({_gabors(eight)} Gabor-like, median explained {_median(eight):.2f})"),
        Check(_gabors(sixteen) < len(sixteen.explained) / 2 and _median(sixteen) < _median(eight),
              f"stride 16 ({_gabors(sixteen)} Gabor-like, median explained {_median(sixteen):.2f})"),
    ]  # fmt: skip
    numbers = ", ".join(
        f"{each.stride}: {_gabors(by_name[each.name])} and {_median(by_name[each.name]):.2f}" for each in members
    )
    return Claim(
        "gabor-kernels",
        "Of 32 kernels, several are Gabor-like and several of high frequency at stride 1, most are Gabor-like at "
        "strides 2 and 4, some and worse at stride 8, and at stride 16 they are not useful.",
        decide(checks, 0.6),
        f"Gabor-like: a Gabor explains {GABOR_EXPLAINED:.0%} or more of the energy. Stride 1: at least {SEVERAL} such, "
        f"and {SEVERAL} of mean frequency {HIGH_FREQUENCY:g} cycles per pixel or more; strides 2 and 4: at least two "
        f"thirds; stride 8: at least {SEVERAL}, and the median share explained below those of strides 2 and 4; stride "
        "16: less than half, and that median below stride 8's. Holds where all five do, partly where three do.",
        f"{counted(checks)}; Gabor-like kernels and median share explained, by stride: {numbers}; of high frequency at "
        f"stride 1: {high}",
    )


def _gabors(shape: KernelShapes) -> int:
    return sum(share >= GABOR_EXPLAINED for share in shape.explained)


def _median(shape: KernelShapes) -> float:
    return float(np.median(shape.explained))
