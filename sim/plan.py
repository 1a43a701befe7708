"""A design made concrete: every width, address space and constant that the machine and the RTL share.

``Design`` says what is wanted; ``Plan`` adds what follows from the quantised dictionary (the proven word widths of R
and D) and cuts the network into tiles. Both faces of the machine are made from this one value.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from .fixed import Format
from .layout import WeightLayout
from .tiling import IntArray, Tiling
from .timing import STEPS_WIDTH, WINDOW

if TYPE_CHECKING:
    from .design import Design


@dataclass(frozen=True)
class Plan:
    """Shapes and constants of one machine.

    ``step_shift`` is ((from_step, shift), ...), its first entry from step 0. ``residual_width`` and ``drive_width``
    are the words of R and D: integers modulo 2^width. ``settle``: a frame ends after so many quiet steps; 0: never.
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

    @staticmethod
    def of(design: "Design", weights: IntArray) -> "Plan":
        """The plan of a checked design and its quantised dictionary (K, C, p, p).

        Raises:
            InputError: what ``design.check_machine`` refuses.
        """
        design.check_machine()
        machine, formats, widths = design.machine, design.formats, design.resolved_widths(weights)
        tiling = Tiling(
            design.geometry,
            machine.tiles,
            machine.gather_lanes,
            machine.scatter_lanes,
            machine.detect_lanes,
            machine.update_positions,
        )
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
        )

    @cached_property
    def layout(self) -> WeightLayout:
        """Where each weight lies in a tile's weight memory."""
        return WeightLayout(self.tiling)

    @property
    def shifts(self) -> tuple[int, ...]:
        """The step shifts in the order of the schedule."""
        return tuple(shift for _, shift in self.step_shift)

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
