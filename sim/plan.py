"""A design made concrete: every width, address space and constant that the machine and the RTL share.

``Design`` says what is wanted; ``Plan`` adds what follows from the quantised dictionary (the proven word widths of R
and D) and cuts the network into tiles. Both faces of the machine are made from this one value.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from ..golden.errors import InputError
from .fixed import Format
from .layout import WeightLayout
from .legality import check_arithmetic
from .sections import MAX_STEP_SHIFT
from .tiling import IntArray, Tiling
from .timing import STEPS_WIDTH, WINDOW

if TYPE_CHECKING:
    from .design import Design


class Values(TypedDict, total=False):
    """What a frame may have in place of the design's: see `Plan.at_run_time`."""

    threshold: int | None
    cutoff: int | None
    shift: int | None


CUTOFF_ROOM = 3
"""Bits that the cutoff of a frame may have more than the design's."""


@dataclass(frozen=True)
class Plan:
    """Shapes and constants of one machine.

    ``step_shift`` is ((from_step, shift), ...), its first entry from step 0. ``residual_width`` and ``drive_width``
    are the words of R and D: integers modulo 2^width. ``settle``: a frame ends after so many quiet steps; 0: never.
    ``refresh``: R, D and r~ are recomputed before every so many-th step of a frame; 0: never.
    ``threshold_q``, ``cutoff_q`` and ``step_shift`` are what a frame has that asks for nothing else. ``cutoff_width``:
    bits of a cutoff that it may ask for. ``shift_range``: lowest and highest constant step shift that it may ask for
    in place of the schedule; (1, 0): none.
    """

    tiling: Tiling
    weight: Format
    code: Format
    residual: Format
    membrane: Format
    input: Format
    residual_width: int
    drive_width: int
    threshold_q: int
    cutoff_q: int
    soft: bool
    two_sided: bool
    step_shift: tuple[tuple[int, int], ...]
    link_depth: int
    schedule: str = "delta"
    settle: int = 0
    refresh: int = 0
    cutoff_width: int = 1
    shift_range: tuple[int, int] = (1, 0)

    @staticmethod
    def of(design: "Design", weights: IntArray) -> "Plan":
        """The plan of a checked design and its quantised dictionary (K, C, p, p).

        Raises:
            InputError: what ``design.check_machine`` refuses.
        """
        design.check_machine()
        machine = design.machine
        return Plan._made(
            design,
            weights,
            Tiling(
                design.geometry,
                machine.tiles,
                machine.gather_lanes,
                machine.scatter_lanes,
                machine.detect_lanes,
                machine.update_positions,
            ),
        )

    @staticmethod
    def of_arithmetic(design: "Design", weights: IntArray) -> "Plan":
        """Formats, widths and constants alone, for a machine that is not the dataflow machine: one tile, one lane.

        Raises:
            InputError: what ``legality.check_arithmetic`` refuses.
        """
        check_arithmetic(design)
        return Plan._made(design, weights, Tiling(design.geometry, (1, 1), 1, 1, 1))

    @staticmethod
    def _made(design: "Design", weights: IntArray, tiling: Tiling) -> "Plan":
        machine, formats, widths = design.machine, design.formats, design.resolved_widths(weights)
        return Plan(
            tiling=tiling,
            weight=formats.weight,
            code=formats.code,
            residual=formats.residual,
            membrane=formats.membrane,
            input=formats.input,
            residual_width=widths.residual,
            drive_width=widths.drive,
            threshold_q=design.threshold_q,
            cutoff_q=min(design.cutoff_q, formats.residual.magnitude + 1),  # beyond that nothing passes anyway
            soft=design.dynamics.transfer == "soft",
            two_sided=design.dynamics.two_sided,
            step_shift=design.shifts,
            link_depth=machine.link_depth,
            schedule=machine.schedule,
            settle=design.dynamics.settle,
            refresh=machine.refresh,
            cutoff_width=min(formats.residual.width, max(1, design.cutoff_q.bit_length()) + CUTOFF_ROOM),
            shift_range=shift_window(design.shifts[-1][1]),
        )

    def at_run_time(
        self, *, threshold: int | None = None, cutoff: int | None = None, shift: int | None = None
    ) -> "Plan":
        """This machine in a frame with values of its own; None: the design's.

        Args:
            threshold: units of the membrane, 1 .. the largest one. cutoff: units of the residual as read; 0: none.
            shift: one step shift for all steps, within ``shift_range``.

        Raises:
            InputError: a value that the command of a frame cannot carry.
        """
        threshold = self.threshold_q if threshold is None else threshold
        cutoff = self.cutoff_q if cutoff is None else cutoff
        if not 1 <= threshold <= self.membrane.high:
            raise InputError(f"a frame's threshold must be 1 .. {self.membrane.high} membrane units, not {threshold}")
        if not 0 <= cutoff < 1 << self.cutoff_width:
            raise InputError(
                f"a frame's cutoff must be 0 .. {(1 << self.cutoff_width) - 1} residual units, not {cutoff}"
            )
        self.shift_code(shift)
        schedule = self.step_shift if shift is None else ((0, shift),)
        return replace(self, threshold_q=threshold, cutoff_q=cutoff, step_shift=schedule)

    def shift_code(self, shift: int | None) -> int:
        """How a command asks for a constant step shift: 1 for the lowest one; 0 (None): the design's schedule.

        Raises:
            InputError: a shift outside ``shift_range``.
        """
        low, high = self.shift_range
        if shift is None:
            return 0
        if not low <= shift <= high:
            have = f"{low} .. {high}" if low <= high else "no other"
            raise InputError(f"a frame cannot ask for the step shift {shift}: this machine has {have}; leave it out")
        return shift - low + 1

    @cached_property
    def layout(self) -> WeightLayout:
        """Where each weight lies in a tile's weight memory."""
        return WeightLayout(self.tiling)

    @property
    def shifts(self) -> tuple[int, ...]:
        """The step shifts in the order of the schedule."""
        return tuple(shift for _, shift in self.step_shift)

    @property
    def shift_choices(self) -> tuple[int, ...]:
        """Every step shift that some frame can use, rising."""
        low, high = self.shift_range
        return tuple(sorted({*self.shifts, *range(low, high + 1)}))

    @property
    def threshold_width(self) -> int:
        """Bits of a threshold: those of a membrane without its sign."""
        return self.membrane.width - 1

    @property
    def shift_codes(self) -> int:
        """Values of the command's ``shift``: 0 and one for each shift of ``shift_range``."""
        low, high = self.shift_range
        return high - low + 2

    @property
    def residual_scale(self) -> float:
        """Value of one unit of R: 2^-(fw + fy)."""
        return float(2.0 ** -(self.weight.frac + self.code.frac))

    @property
    def code_value_width(self) -> int:
        """Bits of a code as a signed number."""
        return self.code.width + (0 if self.code.signed else 1)

    @property
    def code_change_width(self) -> int:
        """Bits of dy: one more than the code."""
        return self.code.width + 1

    @property
    def residual_change_width(self) -> int:
        """Bits of dr~: one more than the residual as read."""
        return self.residual.width + 1

    @property
    def input_change_width(self) -> int:
        """Bits of dx: one more than the input."""
        return self.input.width + 1

    @property
    def input_shift(self) -> int:
        """x is added to R as ``dx << input_shift``."""
        return self.weight.frac + self.code.frac - self.input.frac

    @property
    def input_weight(self) -> int:
        """The constant weight that stands for the input's scale: -2^n, as large as a weight can be."""
        return -(1 << min(self.input_shift, self.weight.width - 1))

    @property
    def input_extra_shift(self) -> int:
        """What the constant weight cannot hold: the input is shifted by this before it enters the lanes."""
        return max(0, self.input_shift - (self.weight.width - 1))

    @property
    def input_operand_width(self) -> int:
        """Bits of the negated, shifted dx at the lanes."""
        return self.input_change_width + self.input_extra_shift

    @property
    def frame_store(self) -> tuple[int, int]:
        """(words, bits of a word) of the memory in which the front keeps x for `refresh`; no words without."""
        return (int(np.prod(self.tiling.geometry.image_shape)) if self.refresh else 0), self.input.width

    @property
    def steps_width(self) -> int:
        """Bits of the step counter."""
        return STEPS_WIDTH

    @property
    def window_count_width(self) -> int:
        """Bits of the count of code changes in the last steps of a frame."""
        return int(self.tiling.geometry.neurons * WINDOW).bit_length()

    def quantise_image(self, image: np.ndarray) -> IntArray:
        """The input as integers of its format: (C, H, W)."""
        from .fixed import quantise

        return np.asarray(quantise(image, self.input), np.int64)


def shift_window(shift: int) -> tuple[int, int]:
    """The constant step shifts that a frame may ask for: the design's last one and its neighbours, as far as legal."""
    return max(0, shift - 1), min(MAX_STEP_SHIFT, shift + 1)
