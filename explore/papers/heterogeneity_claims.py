"""Verdicts on the claims of the heterogeneity paper: pure functions of comparisons, by rules fixed before the run."""

from collections.abc import Iterable, Sequence

from .claims import Claim, Verdict
from .heterogeneity import CUTOFFS, SETTINGS
from .heterogeneity_statistics import Cardinal, Comparison

SIGNIFICANT = 0.001
"""p of the paper's tests before learning and of learning's effect."""
RESILIENT = 0.05
"""p of the paper's test of pruning."""
RESILIENT_FROM = 0.3
SMALL = 0.33
"""Rank-biserial correlations below this are small (Romano, Kromrey, Coraggio, Skowronek 2006, for Cliff's delta)."""

_NAMES = {"sparseness": "sparseness", "psnr_db": "PSNR in dB"}
BANKS = ("homogeneous", "heterogeneous")
LEARNED = ("homogeneous-learned", "heterogeneous-learned")


def judge(comparisons: Sequence[Comparison], cardinals: Sequence[Cardinal]) -> tuple[Claim, ...]:
    """A verdict for every claim."""
    return (sparser(comparisons), lower_psnr(comparisons), improves(comparisons), meets(comparisons),
            resilient(comparisons), prefers_cardinal(cardinals))  # fmt: skip


def _pick(comparisons: Iterable[Comparison], measure: str, first: str, second: str) -> list[Comparison]:
    """Of every setting, in order."""
    found = [c for c in comparisons if (c.measure, c.first, c.second) == (measure, first, second)]
    order = [setting.name for setting in SETTINGS]
    return sorted((c for c in found if c.setting in order), key=lambda c: order.index(c.setting))


def _at(setting: str) -> str:
    """A setting in words."""
    each = next(each for each in SETTINGS if each.name == setting)
    return f"lambda {each.threshold:g}"


def _words(c: Comparison) -> str:
    digits = 4 if c.measure == "sparseness" else 2
    return (f"{_at(c.setting)}: medians {c.median_first:.{digits}f} and {c.median_second:.{digits}f}, "
            f"U = {c.u:.0f}, p = {c.p:.2g}, effect {c.effect:+.2f}, higher in {100 * c.higher:.0f} % of crops "
            f"(paired p = {c.paired_p:.2g})")


def _seen(found: Sequence[Comparison], sign: int, level: float) -> tuple[list[bool], list[bool]]:
    """Of each comparison: whether U finds the direction at that level, and whether the paired test does."""
    right = [c.effect * sign > 0 if c.effect else False for c in found]
    same = [(c.higher - 0.5) * sign > 0 for c in found]
    return ([good and c.p < level for good, c in zip(right, found, strict=True)],
            [good and c.paired_p < level for good, c in zip(same, found, strict=True)])  # fmt: skip


def _verdict(found: Sequence[Comparison], sign: int, level: float) -> Verdict:
    """Holds by U at every setting; partly by either test at one setting or more."""
    strong, weak = _seen(found, sign, level)
    if len(strong) == len(SETTINGS) and all(strong):
        return Verdict.HOLDS
    return Verdict.PARTLY if any(strong) or any(weak) else Verdict.FAILS


def sparser(comparisons: Sequence[Comparison]) -> Claim:
    """Before learning, heterogeneous codes are sparser."""
    found = _pick(comparisons, "sparseness", *BANKS)
    return Claim(
        "heterogeneous-sparser",
        "Before learning, codes of the heterogeneous dictionary are sparser than those of the homogeneous one.",
        _verdict(found, 1, SIGNIFICANT),
        f"p < {SIGNIFICANT} with heterogeneous higher: holds when Mann-Whitney's U says so at both lambdas, partly "
        "when it or the paired test says so at one.",
        "; ".join(map(_words, found)),
    )


def lower_psnr(comparisons: Sequence[Comparison]) -> Claim:
    """Before learning, heterogeneous codes have a lower PSNR."""
    found = _pick(comparisons, "psnr_db", *BANKS)
    return Claim(
        "heterogeneous-lower-psnr",
        "Before learning, the heterogeneous dictionary reconstructs at a lower PSNR than the homogeneous one.",
        _verdict(found, -1, SIGNIFICANT),
        f"p < {SIGNIFICANT} with heterogeneous lower: holds when Mann-Whitney's U says so at both lambdas, partly when "
        "it or the paired test says so at one.",
        "; ".join(map(_words, found)),
    )


def improves(comparisons: Sequence[Comparison]) -> Claim:
    """Learning raises sparseness and PSNR of both."""
    found = [c for first, second in zip(BANKS, LEARNED, strict=True) for measure in ("sparseness", "psnr_db")
             for c in _pick(comparisons, measure, first, second)]  # fmt: skip
    better, paired = _seen(found, 1, SIGNIFICANT)
    wanted = 4 * len(SETTINGS)
    verdict = Verdict.HOLDS if len(better) == wanted and all(better) else (
        Verdict.PARTLY if 2 * max(sum(better), sum(paired)) >= wanted else Verdict.FAILS)  # fmt: skip
    return Claim(
        "learning-improves",
        "Learning raises both the sparseness and the PSNR of both log-Gabor dictionaries.",
        verdict,
        f"p < {SIGNIFICANT} with learned higher, for two dictionaries, two measures, two lambdas: holds when "
        "Mann-Whitney's U says so for all eight, partly when it or the paired test says so for at least four.",
        f"{sum(better)} of {len(better)} by U, {sum(paired)} by the paired test. " + "; ".join(
            f"{c.second}, {_NAMES[c.measure]}, {_words(c)}" for c in found),
    )  # fmt: skip


def meets(comparisons: Sequence[Comparison]) -> Claim:
    """After learning all dictionaries are alike."""
    def small(c: Comparison) -> bool:
        return c.p >= 0.05 or abs(c.effect) < SMALL

    between = [c for measure in ("sparseness", "psnr_db") for c in _pick(comparisons, measure, *LEARNED)]
    noise = [c for measure in ("sparseness", "psnr_db") for second in LEARNED
             for c in _pick(comparisons, measure, "noise-learned", second)]  # fmt: skip
    whole = len(between) == 2 * len(SETTINGS) and len(noise) == 4 * len(SETTINGS)
    verdict = Verdict.FAILS
    if between and all(map(small, between)):
        verdict = Verdict.HOLDS if whole and all(map(small, noise)) else Verdict.PARTLY
    return Claim(
        "learning-meets",
        "After learning, the dictionaries have similar sparseness and PSNR, wherever they began.",
        verdict,
        f"Mann-Whitney p >= 0.05, or an effect below {SMALL}: partly when it is so between the two fine-tuned "
        "dictionaries in both measures at both lambdas, holds when also between each of them and the one learned from "
        "noise.",
        "; ".join(f"{c.first} and {c.second}, {_NAMES[c.measure]}, {_words(c)}" for c in (*between, *noise)),
    )


def resilient(comparisons: Sequence[Comparison]) -> Claim:
    """Before learning, the heterogeneous code loses less PSNR by pruning."""
    wanted = [cutoff for cutoff in CUTOFFS if cutoff > RESILIENT_FROM]
    found = [c for cutoff in wanted for c in _pick(comparisons, f"psnr_loss_db at {cutoff:g}", *BANKS)]
    by_u, by_either = [], []
    for setting in SETTINGS:
        here = [c for c in found if c.setting == setting.name]
        strong, weak = _seen(here, -1, RESILIENT)
        whole = len(here) == len(wanted)
        by_u.append(whole and all(strong))
        by_either.append(whole and all(a or b for a, b in zip(strong, weak, strict=True)))
    verdict = Verdict.HOLDS if all(by_u) else Verdict.PARTLY if any(by_either) else Verdict.FAILS
    return Claim(
        "heterogeneous-resilient",
        "Before learning, pruning at cut-offs above 0.3 costs heterogeneous codes less PSNR than homogeneous ones.",
        verdict,
        f"Loss of PSNR against the whole code at {', '.join(f'{c:g}' for c in wanted)}, p < {RESILIENT} with "
        "heterogeneous lower at each: holds when Mann-Whitney's U says so at both lambdas, partly when it or the "
        "paired test says so at one.",
        "; ".join(f"pruned at {c.measure.split(' at ')[1]}, loss in dB, {_words(c)}" for c in found),
    )


def prefers_cardinal(cardinals: Sequence[Cardinal]) -> Claim:
    """Learned kernels lie along the cardinal orientations."""
    learned = [c for c in cardinals if c.kind in (*LEARNED, "noise-learned")]
    passed = [c.p < 0.05 for c in learned]
    verdict = Verdict.HOLDS if len(passed) == 3 and all(passed) else (
        Verdict.PARTLY if any(passed) else Verdict.FAILS)  # fmt: skip
    return Claim(
        "learning-cardinal",
        "Learning biases the kernels' orientations towards the horizontal and the vertical.",
        verdict,
        "V test of the orientations against 0 and 90 degrees, p < 0.05: holds for the three learned dictionaries, "
        "partly for one or two.",
        "; ".join(f"{c.kind}: mean cos 4 theta {c.preference:+.3f}, p = {c.p:.2g}" for c in cardinals),
    )
