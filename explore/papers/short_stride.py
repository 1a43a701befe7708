"""The short-stride experiment of Schultz, Paiton, Lu, Kenyon as values: every frame of every run, kernels, claims.

What runs it is `short_stride_run`, what judges it `short_stride_claims`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ...golden.dictionary import Dictionary
from .claims import Claim
from .configurations import PILOT, Configuration
from .support import Support

if TYPE_CHECKING:
    from .frames import FrameSource
    from .training import Training

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Point:
    """One frame of one pass.

    Args:
        pass_number: from 1. frame: from 0.
        percent_error: ``100 |x - Phi y| / |x|``. percent_inactive: V1 units that are silent.
        outcome: value of `golden.lca.Outcome`.
    """

    pass_number: int
    frame: int
    percent_error: float
    percent_inactive: float
    outcome: str


@dataclass(frozen=True)
class Retreat:
    """A step that was too large: where it diverged, before all was done again with half of it.

    Args:
        eta, steps: as tried. pass_number, frame: where it diverged.
    """

    eta: float
    steps: int
    pass_number: int
    frame: int


@dataclass(frozen=True)
class Run:
    """One configuration at one threshold over all passes of the frames.

    Args:
        configuration: its name. threshold: lambda.
        eta, steps: of every frame; ``eta * steps`` is the same for all runs.
        points: by pass, then frame. seconds: of one processor, retreats included.
        engine: of `golden.lca.encode`. retreats: larger steps that diverged before.
    """

    configuration: str
    threshold: float
    eta: float
    steps: int
    points: tuple[Point, ...]
    seconds: float
    engine: str = "fast"
    retreats: tuple[Retreat, ...] = ()

    def numbers(self, name: str, pass_number: int) -> Array:
        """``percent_error`` or ``percent_inactive`` of the frames of one pass."""
        return np.array([getattr(point, name) for point in self.points if point.pass_number == pass_number])

    @property
    def passes(self) -> int:
        """How often the frames were shown."""
        return max(point.pass_number for point in self.points)


def cloud(run: Run) -> tuple[Point, ...]:
    """The points of the second and later passes, which the paper plots."""
    return tuple(point for point in run.points if point.pass_number > 1)


@dataclass(frozen=True)
class Summary:
    """Means and standard deviations over a cloud: error and inactivity in percent."""

    error: float
    error_sd: float
    inactive: float
    inactive_sd: float
    points: int


def summary(points: Iterable[Point]) -> Summary:
    """Of at least two points; the deviations are those of a sample (n - 1)."""
    found = tuple(points)
    error = np.array([point.percent_error for point in found])
    inactive = np.array([point.percent_inactive for point in found])
    return Summary(float(error.mean()), float(error.std(ddof=1)), float(inactive.mean()), float(inactive.std(ddof=1)),
                   len(found))  # fmt: skip


@dataclass(frozen=True)
class PassChange:
    """How far a pass is from the one before it, frame by frame, in percentage points of error and of inactivity.

    Args:
        configuration, threshold: of the run. later: number of the later pass.
        error_mean, inactive_mean: mean of the absolute changes. error_most, inactive_most: the largest.
    """

    configuration: str
    threshold: float
    later: int
    error_mean: float
    error_most: float
    inactive_mean: float
    inactive_most: float


def pass_changes(run: Run) -> tuple[PassChange, ...]:
    """From each pass to the next."""
    found = []
    for later in range(2, run.passes + 1):
        error, inactive = (
            np.abs(run.numbers(name, later) - run.numbers(name, later - 1))
            for name in ("percent_error", "percent_inactive")
        )
        found.append(PassChange(run.configuration, run.threshold, later, float(error.mean()), float(error.max()),
                                float(inactive.mean()), float(inactive.max())))  # fmt: skip
    return tuple(found)


@dataclass(frozen=True)
class KernelShapes:
    """How Gabor-like the kernels of a configuration are, a number a kernel.

    Args:
        explained: share of the energy that the best Gabor explains, 0 to 1 (`golden.gabor`).
        frequencies: mean spatial frequency of the kernel's power spectrum, in cycles per pixel.
    """

    configuration: str
    explained: tuple[float, ...]
    frequencies: tuple[float, ...]


@dataclass(frozen=True)
class Comparison:
    """The pilot's protocol at the training threshold beside the pilot's row, which is of other frames.

    Args:
        error, inactive: means over the frames. pilot_error, pilot_inactive: the pilot's.
        inactive_at_pilot_error: on the line through the means of the thresholds, in percent; None where the pilot's
            error is outside them.
    """

    configuration: str
    error: float
    inactive: float
    pilot_error: float
    pilot_inactive: float
    inactive_at_pilot_error: float | None

    @property
    def as_good(self) -> bool:
        """No more error and no less inactivity than the pilot's."""
        return self.error <= self.pilot_error and self.inactive >= self.pilot_inactive

    @property
    def as_good_at_equal_error(self) -> bool | None:
        """No less inactivity at the pilot's error; None where that was not reached."""
        return None if self.inactive_at_pilot_error is None else self.inactive_at_pilot_error >= self.pilot_inactive


def compare(
    name: str, runs: Iterable[Run], threshold: float, of: Callable[[Run], Iterable[Point]] = cloud
) -> Comparison | None:
    """A configuration beside the pilot's row, by the means of what ``of`` takes of a run; None without a run at
    ``threshold``.
    """
    found = sorted((run for run in runs if run.configuration == name), key=lambda run: run.threshold)
    means = {run.threshold: summary(of(run)) for run in found}
    if threshold not in means:
        return None
    error, inactive = PILOT[name]
    line = sorted((mean.error, mean.inactive) for mean in means.values())
    inside = line[0][0] <= error <= line[-1][0]
    at_equal = float(np.interp(error, *np.array(line).T)) if inside else None
    return Comparison(name, means[threshold].error, means[threshold].inactive, error, inactive, at_equal)


@dataclass(frozen=True)
class ShortStride:
    """The whole experiment.

    Args:
        configurations: that were asked for. runs: by configuration, then threshold. failed: (configuration, threshold,
            why) of runs without a result.
        frames: what was shown. dictionaries: by configuration.
        supports: of every configuration. shapes: of the stride series.
        reconstructions: Phi y, ``(H, W)``, by configuration: of the frame number ``shown_frame`` in the last pass at
            ``shown_threshold``.
        claims: with their verdicts. unjudged: (claim, what it lacks) of those that these runs cannot judge.
        comparisons: beside the pilot's rows. training: how the dictionaries were learned, where that is known.
    """

    configurations: tuple[Configuration, ...]
    thresholds: tuple[float, ...]
    passes: int
    steps: int
    seed: int
    runs: tuple[Run, ...]
    supports: tuple[Support, ...]
    shapes: tuple[KernelShapes, ...]
    claims: tuple[Claim, ...]
    frames: "FrameSource"
    training: "tuple[Training, ...]"
    dictionaries: Mapping[str, Dictionary]
    reconstructions: Mapping[str, Array]
    shown_frame: int
    shown_threshold: float
    unjudged: tuple[tuple[str, str], ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    failed: tuple[tuple[str, float, str], ...] = field(default=())

    def run(self, configuration: str, threshold: float) -> Run | None:
        """The run of a configuration at a threshold; None where it failed or was not asked for."""
        for run in self.runs:
            if run.configuration == configuration and run.threshold == threshold:
                return run
        return None
