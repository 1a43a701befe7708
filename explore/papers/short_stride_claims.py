"""The claims of Schultz, Paiton, Lu, Kenyon on runs: trends, thresholds, passes, equal quality. Rules fixed beforehand.

A claim that the runs at hand cannot judge (``--only``, a failed run) has no verdict; what it lacks is said instead.
Those on overlap and on kernels are in `short_stride_shapes`.
"""

from collections.abc import Callable, Sequence

import numpy as np

from .claims import Claim, Verdict
from .configurations import CONFIGURATIONS, configuration, family
from .short_stride import KernelShapes, Run
from .short_stride_evidence import MOSTLY, Check, Evidence, Lacking, counted, decide, means_of
from .short_stride_shapes import gabor_kernels, overcomplete_overlap, patch_overlap, support_independent
from .support import Support

WORSE = 1.25
"""Times an error, or a share of active units, that counts as clearly more."""
SIMILAR = 0.5
"""Percentage points that two similar passes differ by at most, on average over the frames."""


# ---- trends ----------------------------------------------------------------------------------------------------------
def stride_trend(found: Evidence) -> Claim:
    """Figure 5, threshold by threshold."""
    members = family("stride")
    found.need(members)
    checks = []
    for threshold in found.thresholds:
        for small, large in zip(members, members[1:], strict=False):
            one, other = found.mean(small, threshold), found.mean(large, threshold)
            where = f"{small.name} and {large.name} at {threshold:g}"
            checks += [
                Check(one.error < other.error, f"error of {where} ({one.error:.1f}, {other.error:.1f})"),
                Check(one.inactive > other.inactive,
                      f"inactivity of {where} ({one.inactive:.2f}, {other.inactive:.2f})"),
            ]  # fmt: skip
    return Claim(
        "stride-trend", "With 32 kernels, the smaller the stride, the sparser the code and the smaller its error.",
        decide(checks),
        "At each threshold, from each stride to the next larger the mean error rises and the mean inactivity falls: "
        f"holds where all do, partly where at least {MOSTLY:.0%} do.",
        f"{counted(checks)}; {means_of(found, members)}",
    )  # fmt: skip


def stride_trend_at_equal_error(found: Evidence) -> Claim:
    """Figure 5, as curves: what a threshold means differs with the stride, what an error means does not."""
    members = family("stride")
    found.need(members)
    checks: list[Check] = []
    lonely = []
    for small, large in zip(members, members[1:], strict=False):
        line = sorted((mean.error, mean.inactive) for mean in (found.mean(small, t) for t in found.thresholds))
        own: list[Check] = []
        for mean in (found.mean(large, threshold) for threshold in found.thresholds):
            beyond = mean.error > line[-1][0]
            if mean.error < line[0][0] or (beyond and mean.inactive > line[-1][1]):
                continue  # neither is better in both
            best = line[-1][1] if beyond else float(np.interp(mean.error, *np.array(line).T))
            text = f"{small.name} and {large.name} at {mean.error:.1f} % error ({best:.2f}, {mean.inactive:.2f})"
            own.append(Check(best > mean.inactive, text))
        checks += own
        if not own:
            lonely.append(f"{small.name} and {large.name} have no error in common")
    verdict = decide(checks) if checks else Verdict.FAILS
    return Claim(
        "stride-trend-at-equal-error", "With 32 kernels, at equal error, the smaller the stride, the sparser the code.",
        Verdict.PARTLY if lonely and verdict is Verdict.HOLDS else verdict,
        "Each mean of a stride, by threshold, is compared with the line through the means of the next smaller stride "
        "at the same error (with that line's end, where the error lies beyond it and the end is better in both): holds "
        f"where the smaller stride is sparser everywhere and each pair can be compared, partly where in {MOSTLY:.0%}.",
        "; ".join([counted(checks) if checks else "nothing to compare", *lonely]),
    )  # fmt: skip


def undercomplete_worse(found: Evidence) -> Claim:
    """Figures 4 (e), (f) and 5."""
    members = family("stride")
    found.need(members)
    overcomplete = [each for each in members if each.overcompleteness >= 1]
    (eight,), (sixteen,) = ([each for each in members if each.stride == stride] for stride in (8, 16))
    checks = []
    for threshold in found.thresholds:
        worst = max(found.mean(each, threshold).error for each in overcomplete)
        one, other = found.mean(eight, threshold).error, found.mean(sixteen, threshold).error
        checks += [
            Check(one >= WORSE * worst, f"stride 8 at {threshold:g} ({one:.1f} against {worst:.1f})"),
            Check(other >= WORSE * one, f"stride 16 at {threshold:g} ({other:.1f} against {one:.1f})"),
        ]
    return Claim(
        "undercomplete-worse",
        "With 32 kernels, stride 8 (1/2 undercomplete) loses fine detail and stride 16 (1/8) reconstructs very poorly.",
        decide(checks, 0.5),
        f"At each threshold the mean error at stride 8 is at least {WORSE:g} times the largest of strides 1, 2 and 4, "
        f"and that at stride 16 at least {WORSE:g} times that at stride 8: holds where all do, partly where half do.",
        f"{counted(checks)}; {means_of(found, members)}",
    )


def threshold_trend(found: Evidence) -> Claim:
    """Figures 5, 8 and 11: within a colour."""
    if len(found.thresholds) < 2:
        raise Lacking("a second threshold")
    members = [each for each in CONFIGURATIONS if any(run.configuration == each.name for run in found.runs)]
    found.need(members)
    sparser, worse = [], []
    for each in members:
        for low, high in zip(found.thresholds, found.thresholds[1:], strict=False):
            one, other = found.mean(each, low), found.mean(each, high)
            where = f"{each.name} from {low:g} to {high:g}"
            sparser.append(Check(other.inactive > one.inactive,
                                 f"inactivity of {where} ({one.inactive:.2f}, {other.inactive:.2f})"))  # fmt: skip
            worse.append(Check(other.error > one.error, f"error of {where} ({one.error:.1f}, {other.error:.1f})"))
    up, errors = (sum(check.holds for check in checks) / len(checks) for checks in (sparser, worse))
    verdict = Verdict.PARTLY if min(up, errors) >= MOSTLY else Verdict.FAILS
    return Claim(
        "threshold-trend", "A larger threshold always makes codes sparser, and generally their error larger.",
        Verdict.HOLDS if up == 1.0 and errors >= 0.9 else verdict,
        "From each threshold to the next, in each configuration: holds where the mean inactivity always rises and the "
        f"mean error in at least 90%, partly where each does in at least {MOSTLY:.0%}.",
        f"inactivity: {counted(sparser)}; error: {counted(worse)}",
    )  # fmt: skip


# ---- passes ----------------------------------------------------------------------------------------------------------
def passes_alike(found: Evidence) -> Claim:
    """Of the methods: why the first pass is left out."""
    members = [each for each in CONFIGURATIONS if any(run.configuration == each.name for run in found.runs)]
    if not members:
        raise Lacking("runs")
    if max(run.passes for run in found.runs) < 3:
        raise Lacking("a third pass")
    alike, first = [], []
    numbers = []
    for each in members:
        changes = found.changes(each)
        early, late = ([c for c in changes if (c.later == 2) is is_early] for is_early in (True, False))
        (e1, i1), (e2, i2) = (
            (float(np.mean([c.error_mean for c in some])), float(np.mean([c.inactive_mean for c in some])))
            for some in (early, late)
        )
        alike.append(Check(max(e2, i2) <= SIMILAR, f"{each.name} later ({e2:.2f} error, {i2:.2f} inactive)"))
        first.append(Check(e1 > 2 * e2 or i1 > 2 * i2, f"{each.name} first ({e1:.3f} then {e2:.3f} error)"))
        numbers.append((e1, e2, max(c.error_most for c in early), max(c.error_most for c in late)))
    both = [Check(a.holds and b.holds, a.text) for a, b in zip(alike, first, strict=True)]
    partly = all(check.holds for check in alike) or decide(both, 0.5) is not Verdict.FAILS
    e1, e2 = (float(np.mean([number[n] for number in numbers])) for n in (0, 1))
    most1, most2 = (max(number[n] for number in numbers) for n in (2, 3))
    return Claim(
        "passes-alike", "The second and later passes over a video are much alike, the first is not.",
        Verdict.HOLDS if all(check.holds for check in both) else Verdict.PARTLY if partly else Verdict.FAILS,
        "In each configuration, frame by frame and on average: from each pass after the first to the "
        f"next neither error nor inactivity changes by more than {SIMILAR:g} points, and from the first to the second "
        "either changes by more than twice as much: holds where all do, partly where the later passes are alike in all "
        "or both in half.",
        f"alike later: {counted(alike)}; first differs: {counted(first)}; on average over configurations error "
        f"changes by {e1:.3f} points (at most {most1:.2f}) from the first pass to the second, by {e2:.3f} (at most "
        f"{most2:.2f}) after that",
    )


# ---- equal quality ---------------------------------------------------------------------------------------------------
def eight_for_512(found: Evidence) -> Claim:
    """The abstract's example."""
    eight, many = configuration("8@2"), configuration("512@16")
    found.need((eight, many))
    within, not_worse = [], []
    for threshold in found.thresholds:
        one, other = found.mean(eight, threshold), found.mean(many, threshold)
        for what, a, b in (("error", one.error, other.error), ("active", 100 - one.inactive, 100 - other.inactive)):
            text = f"{what} at {threshold:g} ({a:.2f} against {b:.2f} %)"
            within.append(Check(b <= WORSE * a and a <= WORSE * b, text))
            not_worse.append(Check(a <= WORSE * b, text))
    partly = all(check.holds for check in not_worse) or decide(within, 0.5) is not Verdict.FAILS
    return Claim(
        "eight-for-512",
        "8 kernels at stride 2 code as sparsely and as well as 512 kernels at stride 16, where patches do not overlap.",
        Verdict.HOLDS if all(check.holds for check in within) else Verdict.PARTLY if partly else Verdict.FAILS,
        f"At each threshold mean error and mean active share of 8@2 and 512@16 are within a factor of {WORSE:g}: holds "
        "where all are, partly where half are or 8@2 is nowhere worse by that factor.",
        f"{counted(within)}; {means_of(found, (eight, many))}",
    )


def two_kernels_slightly_worse(found: Evidence) -> Claim:
    """Figure 8: the blue ellipses."""
    members = family("overcomplete")
    found.need(members)
    two, others = members[0], members[1:]
    checks = []
    for threshold in found.thresholds:
        mean = found.mean(two, threshold)
        rest = [found.mean(each, threshold) for each in others]
        error, inactive = (float(np.mean([getattr(one, name) for one in rest])) for name in ("error", "inactive"))
        checks += [
            Check(mean.error > error, f"not more error at {threshold:g} ({mean.error:.1f} against {error:.1f})"),
            Check(mean.inactive < inactive,
                  f"not less inactivity at {threshold:g} ({mean.inactive:.2f} against {inactive:.2f})"),
            Check(mean.error <= WORSE * error,
                  f"much more error at {threshold:g} ({mean.error:.1f} against {error:.1f})"),
        ]  # fmt: skip
    return Claim(
        "two-kernels-slightly-worse",
        "At twice overcompleteness, 2 kernels at stride 1 are slightly worse than 8 to 512.",
        decide(checks, 0.5),
        "At each threshold the mean error of 2@1 is above the mean of the other four, its mean inactivity below "
        f"theirs, and its error at most {WORSE:g} times theirs: holds where all do, partly where half do.",
        counted(checks),
    )  # fmt: skip


Rule = Callable[[Evidence], Claim]


def judge(
    runs: Sequence[Run], supports: Sequence[Support] = (), shapes: Sequence[KernelShapes] = ()
) -> tuple[tuple[Claim, ...], tuple[tuple[str, str], ...]]:
    """The claims that can be judged, in the paper's order; and (claim, what it lacks) of the others."""
    rules: tuple[Rule, ...] = (
        passes_alike, gabor_kernels, stride_trend, stride_trend_at_equal_error, undercomplete_worse, threshold_trend,
        overcomplete_overlap, two_kernels_slightly_worse, eight_for_512, patch_overlap, support_independent,
    )  # fmt: skip
    found = Evidence(tuple(runs), tuple(supports), tuple(shapes))
    claims, lacking = [], []
    for rule in rules:
        try:
            claims.append(rule(found))
        except Lacking as what:
            lacking.append((rule.__name__.replace("_", "-"), str(what)))
    return tuple(claims), tuple(lacking)
