"""What a run leaves behind: the words, the counts, the clock, and how it ended."""

from dataclasses import dataclass, field, fields
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..golden.conv import synthesis
from ..golden.lca import Outcome
from ..golden.metrics import percent_error, percent_inactive, psnr_db
from .plan import Plan
from .tiling import IntArray
from .timing import WINDOW, Phase

FloatArray = npt.NDArray[np.float64]


@dataclass
class Counts:
    """What a run did. Words and products are those the machine performed, halo repeats included."""

    steps: int = 0
    scatter_macs: int = 0
    gather_macs: int = 0
    macs_dense: int = 0
    code_events: int = 0
    residual_events: int = 0
    link_events: int = 0
    rounds: int = 0
    scatter_issues: int = 0
    gather_issues: int = 0
    gather_pauses: int = 0
    scattered_events: int = 0
    detect_words: int = 0
    update_positions: int = 0
    saturations: int = 0
    pixels_in: int = 0
    codes_out: int = 0
    load_macs: int = 0  # gram: Phi^T x of the input
    gram_macs: int = 0  # gram: G dy
    refreshes: int = 0  # times that R, D and r~ were formed anew; the work of it is in the other counts
    refresh_events: int = 0  # codes sent for it, which are no code events

    @property
    def macs(self) -> int:
        """Products performed."""
        return self.scatter_macs + self.gather_macs + self.load_macs + self.gram_macs

    def as_dict(self) -> dict[str, int]:
        """Every count by name."""
        return {f.name: int(getattr(self, f.name)) for f in fields(self)} | {"macs": self.macs}


STEP_COUNTS = (
    "scatter_macs", "gather_macs", "scatter_issues", "gather_issues", "gather_pauses", "scattered_events",
    "update_positions", "detect_words",
)  # fmt: skip
"""Counts of the machine that `Steps` has by step."""


def _none() -> IntArray:
    return np.zeros(0, np.int64)


@dataclass(frozen=True)
class Steps:
    """What each step did: arrays of one entry a step. ``percent_error`` and ``active`` are after the step; the others
    are the step's share of the count of the same name in ``Counts``.
    """

    percent_error: FloatArray
    active: IntArray
    code_events: IntArray
    residual_events: IntArray
    link_events: IntArray
    macs: IntArray
    end_cycle: IntArray  # (steps, T): last cycle of the step's exchange in each tile; empty for skip and dense
    scatter_macs: IntArray = field(default_factory=_none)
    gather_macs: IntArray = field(default_factory=_none)
    scatter_issues: IntArray = field(default_factory=_none)
    gather_issues: IntArray = field(default_factory=_none)
    gather_pauses: IntArray = field(default_factory=_none)
    scattered_events: IntArray = field(default_factory=_none)
    update_positions: IntArray = field(default_factory=_none)
    detect_words: IntArray = field(default_factory=_none)
    # (steps, T, 8): events sent, by link; empty for skip and dense
    link_traffic: IntArray = field(default_factory=lambda: np.zeros((0, 0, 8), np.int64))
    refreshes: IntArray = field(default_factory=_none)  # 1 where a refresh precedes the step: its work is the step's
    refresh_events: IntArray = field(default_factory=_none)

    def __post_init__(self) -> None:
        """What a schedule does not have is 0 in every step."""
        for name in (*STEP_COUNTS, "refreshes", "refresh_events"):
            if not getattr(self, name).size:
                object.__setattr__(self, name, np.zeros(len(self.active), np.int64))


@dataclass(frozen=True)
class Cycles:
    """The clock of a delta run; cycle 0 is the clock in which the command is accepted.

    Args:
        frame: from the command to the closing word, both included.
        load: until the last pixel was accepted. compute: until the last tile ended its last step.
        phases: (n, 3) rows (tile, phase, first cycle), by tile and cycle.
        beats: (codes + 1,) cycle in which each beat of the code stream left.
    """

    frame: int
    load: int
    compute: int
    phases: IntArray
    beats: IntArray

    @property
    def refreshes(self) -> IntArray:
        """(n, T, 2): of each refresh in each tile its first cycle, and the first of the gather after it."""
        tiles = int(self.phases[-1, 0]) + 1
        begins = np.flatnonzero(self.phases[:, 1] == Phase.REFRESH)
        gathers = np.flatnonzero(self.phases[:, 1] == Phase.GATHER)
        after = gathers[np.searchsorted(gathers, begins)]
        return np.stack([self.phases[rows, 2].reshape(tiles, -1).T for rows in (begins, after)], axis=-1)


@dataclass(frozen=True)
class Run:
    """A finished run, in integers of the design's formats.

    Args:
        code, membrane: (K, H/s, W/s). residual: (C, H, W), the exact R of scale ``2^-(fw + fy)``.
        input, dictionary: (C, H, W) and (K, C, p, p) as the machine saw them.
        cycles: None for the schedules that are no machine (skip, dense).
        outcome: converged (no code changed in the last steps, or settled), max_steps or diverged.
        overflow: an add into R left its word: R is then right only modulo 2^width.
        warnings: what a reader of the numbers should know.
        compute_seconds: wall time from the quantised input to the last word.
    """

    plan: Plan
    input: IntArray
    dictionary: IntArray
    code: IntArray
    membrane: IntArray
    residual: IntArray
    counts: Counts
    cycles: Cycles | None
    steps: Steps
    outcome: Outcome
    overflow: bool
    warnings: tuple[str, ...]
    compute_seconds: float
    events_late: int = 0  # code changes in the last WINDOW steps: what the closing word carries
    saturated_late: bool = False
    link_traffic: IntArray = field(default_factory=lambda: np.zeros((0, 8), np.int64))  # (T, 8) events sent, by link
    settled: bool = False  # ended by rest (``dynamics.settle``); ``counts.steps`` were done

    @cached_property
    def residual_float(self) -> FloatArray:
        """R in units of the image."""
        return np.asarray(self.residual * self.plan.residual_scale)

    @cached_property
    def code_float(self) -> FloatArray:
        """The code in units of the image."""
        return np.asarray(self.code * self.plan.code.scale)

    @property
    def percent_inactive(self) -> float:
        """100 (1 - nonzero / all)."""
        return percent_inactive(self.code)

    def percent_error(self, image: FloatArray) -> float:
        """100 |x - Phi y| / |x| against the float image (C, H, W), with the quantised dictionary."""
        return percent_error(image, self.residual_against(image))

    def psnr_db(self, image: FloatArray) -> float:
        """Peak signal-to-noise ratio of the reconstruction, peak 1."""
        return psnr_db(self.residual_against(image))

    def residual_against(self, image: FloatArray) -> FloatArray:
        """x - Phi y for the float image x, from the code: right even when R left its word."""
        return np.asarray(image - self.reconstruction)

    @cached_property
    def reconstruction(self) -> FloatArray:
        """Phi y (C, H, W), with the quantised dictionary."""
        g, weights = self.plan.tiling.geometry, self.dictionary * self.plan.weight.scale
        return synthesis(self.code_float, np.asarray(weights, np.float64), g.stride, g.image)


@dataclass(frozen=True)
class Ports:
    """When the outside world was ready, to predict the cycle of everything for any handshake.

    Args:
        pixels: cycle in which each pixel was accepted; None: as soon as the machine took it.
        codes_ready: ready of the code stream by cycle; None: always.
    """

    pixels: IntArray | None = None
    codes_ready: npt.NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class StepView:
    """What an observer sees after each step.

    ``membrane`` and ``drive`` (T, th, tw, K), of the drive only the low bits count; ``residual`` and ``sent``
    (T, C, Hr, Wr). ``codes``: per tile (n, 5) rows (k, i, j, dy, neighbour mask) in the order in which they left
    update; ``pixels``: per tile (n, 4) rows (c, y, x, dr) in the order in which detect found them.
    """

    step: int
    membrane: IntArray
    drive: IntArray
    residual: IntArray
    sent: IntArray
    codes: list[IntArray]
    pixels: list[IntArray]


def late_events(code_events: IntArray, outside: IntArray) -> tuple[int, int, int]:
    """Code events and membranes outside their range in the last WINDOW steps, and the quiet steps at the end.

    Args:
        code_events, outside: (steps,) of every step.
    """
    busy = np.flatnonzero(code_events)
    quiet = len(code_events) - 1 - int(busy[-1]) if busy.size else len(code_events)
    return int(code_events[-WINDOW:].sum()), int(outside[-WINDOW:].sum()), quiet


def ended(events_late: int, saturated_late: int, quiet: int, neurons: int, settled: bool = False) -> Outcome:
    """How the run ended, by the rule of the machine's status word (``docs/arithmetic.md``)."""
    if events_late > neurons or saturated_late:
        return Outcome.DIVERGED
    return Outcome.CONVERGED if quiet >= WINDOW or settled else Outcome.MAX_STEPS


def word_type(width: int) -> type[np.int32] | type[np.int64]:
    """The integer type in which sums modulo 2^width are formed: only the low bits count."""
    return np.int32 if width <= 32 else np.int64


def error_percent(residual: FloatArray, scale: float) -> float:
    """100 |r| / scale, 0 for an empty image; without BLAS, whose threads would cost more than the sum."""
    return 100 * norm(residual) / scale if scale else 0.0


def norm(values: FloatArray) -> float:
    """L2 norm."""
    return float(np.sqrt(np.square(values).sum()))
