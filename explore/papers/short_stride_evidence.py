"""What the short-stride claims are judged on, and how comparisons become a verdict."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from .claims import Verdict
from .configurations import Configuration
from .ellipse import Ellipse, ellipse_of
from .short_stride import KernelShapes, PassChange, Run, Summary, cloud, pass_changes, summary
from .support import Support

MOSTLY = 0.75
"""Share of the comparisons that must agree for "partly holds", where a rule does not say another."""


class Lacking(Exception):
    """What a claim would need to be judged."""


@dataclass(frozen=True)
class Evidence:
    """What claims are judged on."""

    runs: tuple[Run, ...]
    supports: tuple[Support, ...] = ()
    shapes: tuple[KernelShapes, ...] = ()

    @cached_property
    def thresholds(self) -> tuple[float, ...]:
        """Of any run, rising."""
        return tuple(sorted({run.threshold for run in self.runs}))

    @cached_property
    def _by_name(self) -> dict[tuple[str, float], Run]:
        return {(run.configuration, run.threshold): run for run in self.runs}

    def need(self, members: Iterable[Configuration]) -> None:
        """Raise `Lacking` unless there is a run of every member at every threshold."""
        if not self.runs:
            raise Lacking("runs")
        for each in members:
            for threshold in self.thresholds:
                if (each.name, threshold) not in self._by_name:
                    raise Lacking(f"a run of {each.name} at threshold {threshold:g}")

    @cached_property
    def _means(self) -> dict[tuple[str, float], Summary]:
        return {key: summary(cloud(run)) for key, run in self._by_name.items()}

    @cached_property
    def _ellipses(self) -> dict[tuple[str, float], Ellipse]:
        return {key: ellipse_of(cloud(run)) for key, run in self._by_name.items()}

    def mean(self, each: Configuration, threshold: float) -> Summary:
        """Over the second and later passes; after `need`."""
        return self._means[each.name, threshold]

    def ellipse(self, each: Configuration, threshold: float) -> Ellipse:
        """Of the second and later passes; after `need`."""
        return self._ellipses[each.name, threshold]

    def changes(self, each: Configuration) -> list[PassChange]:
        """Of all its runs."""
        return [change for run in self.runs if run.configuration == each.name for change in pass_changes(run)]


@dataclass(frozen=True)
class Check:
    """One comparison that a rule makes."""

    holds: bool
    text: str


def decide(checks: Sequence[Check], mostly: float = MOSTLY) -> Verdict:
    """Holds where all do, partly where ``mostly`` of them do."""
    share = sum(check.holds for check in checks) / len(checks)
    return Verdict.HOLDS if share == 1.0 else Verdict.PARTLY if share >= mostly else Verdict.FAILS


def counted(checks: Sequence[Check]) -> str:
    """How many hold, and which do not (the first four)."""
    against = [check.text for check in checks if not check.holds]
    text = f"{len(checks) - len(against)} of {len(checks)} comparisons agree"
    more = f" and {len(against) - 4} more" if len(against) > 4 else ""
    return f"{text}; against it: {', '.join(against[:4])}{more}" if against else text


def means_of(found: Evidence, members: Sequence[Configuration]) -> str:
    """Error/inactivity of the members at the threshold of the training, or the first."""
    at = 0.05 if 0.05 in found.thresholds else found.thresholds[0]
    means = [(each.name, found.mean(each, at)) for each in members]
    return f"at threshold {at:g}, error/inactive %: " + ", ".join(
        f"{name} {mean.error:.1f}/{mean.inactive:.2f}" for name, mean in means
    )
