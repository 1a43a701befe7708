"""What a run of the memristor machine leaves behind: integers, counts, and the numbers of the machine itself."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ...golden.conv import synthesis
from ...golden.lca import Outcome
from ...golden.metrics import percent_error, percent_inactive, psnr_db
from ..fixed import IntArray
from ..plan import Plan
from ..run import FloatArray
from .devices.cell import Device
from .placement import Placement

if TYPE_CHECKING:
    from ..design import Design


@dataclass(frozen=True)
class CrossbarCounts:
    """What the steps of a run did; the closing read of R, which belongs to no step, is not in it.

    Args:
        forward_reads, backward_reads: drives of one physical array; twins, slices and bit planes count each.
        skipped_reads: such drives that were all zero and not done.
        forward_conversions, backward_conversions: analog outputs converted; of twins one for both.
        adc_saturations: conversions that clipped.
        dac_conversions: lines driven, once for all planes of an array position; a line at 0 is not driven.
        sampled: sample-and-holds, one a conversion.
        cells_pj: sum of G V^2 t over all reads, with the programmed G and the drives as they were.
        partial_sums: digital adds of converted results to one another (row and column parts, slices, bit planes), and
            of changes to a kept D. accumulations: digital adds into R.
        updates: membranes written. code_events: codes that changed.
        serial_forward_reads, serial_backward_reads: over the steps, drives that the busiest array of a step did one
            after the other; arrays work side by side.
        serial_ns: the same in time, integration of the reads alone.
        programming_pulses, verify_reads, failed_cells, stuck_cells: of programming all arrays, refreshes included.
    """

    steps: int
    forward_reads: int
    backward_reads: int
    skipped_reads: int
    forward_conversions: int
    backward_conversions: int
    adc_saturations: int
    dac_conversions: int
    sampled: int
    cells_pj: float
    partial_sums: int
    accumulations: int
    updates: int
    code_events: int
    serial_forward_reads: int
    serial_backward_reads: int
    serial_ns: float
    programming_pulses: int
    verify_reads: int
    failed_cells: int
    stuck_cells: int

    @property
    def conversions(self) -> int:
        """Of both directions."""
        return self.forward_conversions + self.backward_conversions

    @property
    def serial_reads(self) -> int:
        """Of both directions, one after the other."""
        return self.serial_forward_reads + self.serial_backward_reads

    def as_dict(self) -> dict[str, int | float]:
        """Every count by name."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        return found | {"conversions": self.conversions, "serial_reads": self.serial_reads}


@dataclass(frozen=True)
class CrossbarSteps:
    """What each step did: arrays of one entry a step.

    Args:
        percent_error: 100 |R| / |x| after the step, with R as the machine itself reads it: noise, converters and
            programmed weights included. active: codes that are not 0, after the step.
        forward_exponent, backward_exponent: of the range in the step (a code is 2^e units); 0 when lossless.
    """

    percent_error: FloatArray
    active: IntArray
    code_events: IntArray
    conversions: IntArray
    adc_saturations: IntArray
    forward_exponent: IntArray
    backward_exponent: IntArray


@dataclass(frozen=True)
class CrossbarView:
    """What an observer sees after each step: integers, new arrays.

    Args:
        residual, sent: (C, H, W) R and r~ that the step began with. drive, membrane, code: (K, h, v) after it.
    """

    step: int
    residual: IntArray
    sent: IntArray
    drive: IntArray
    membrane: IntArray
    code: IntArray


@dataclass(frozen=True)
class CrossbarLayout:
    """The arrays of a machine.

    Args:
        tiles: tiles. arrays: physical arrays of all tiles. cells: devices in them.
        shape: (rows, columns) of the largest array, reference lines included.
        side: V1 positions of a read along an axis.
        row_parts, column_parts: arrays that a tile's matrix is cut into. planes: physical arrays of each of them.
        forward_outputs, backward_outputs: conversions that one drive of the largest array takes.
    """

    tiles: int
    arrays: int
    cells: int
    shape: tuple[int, int]
    side: int
    row_parts: int
    column_parts: int
    planes: int
    forward_outputs: int
    backward_outputs: int


@dataclass(frozen=True)
class CrossbarRun:
    """A finished run of the memristor machine, in integers of the design's formats.

    Args:
        input, dictionary: (C, H, W) and (K, C, p, p) integers that the machine was given.
        placement: where weights lie. applied: (P, Q) of each tile, the weights in units of the integers that its arrays
            really apply to a code (Phi y): wires included, noise not.
        code, membrane: (K, h, v). residual: (C, H, W), of scale 2^-(fw + fy), as the machine reads it at the end.
        forward_read_ns, backward_read_ns: integration time of one drive, which is one bit plane when bit-serial.
        adc_forward_bits, adc_backward_bits: of the converters; of lossless ones the bits of the proven bound.
        dac_forward_bits, dac_backward_bits: bits that are driven.
        outcome: by the rule of the integer machine. overflow: R left its word.
        compute_seconds, program_seconds: wall time of the loop (calibration included), and of programming and circuits.
        events_late: code events in the last WINDOW steps.
    """

    design: "Design"
    plan: Plan
    device: Device
    input: IntArray
    dictionary: IntArray
    placement: Placement
    applied: tuple[FloatArray, ...]
    code: IntArray
    membrane: IntArray
    residual: IntArray
    counts: CrossbarCounts
    steps: CrossbarSteps
    layout: CrossbarLayout
    forward_read_ns: float
    backward_read_ns: float
    adc_forward_bits: int
    adc_backward_bits: int
    dac_forward_bits: int
    dac_backward_bits: int
    outcome: Outcome
    overflow: bool
    warnings: tuple[str, ...]
    compute_seconds: float
    program_seconds: float
    events_late: int
    settled: bool

    @property
    def arrays(self) -> int:
        """Physical arrays of all tiles."""
        return self.layout.arrays

    @property
    def cells_used(self) -> int:
        """Devices in them."""
        return self.layout.cells

    @property
    def array_shape(self) -> tuple[int, int]:
        """(rows, columns) of the largest one."""
        return self.layout.shape

    @property
    def conversions_per_forward_read(self) -> int:
        """Conversions of one converter for one drive: the columns of the largest array."""
        return self.layout.forward_outputs

    @property
    def conversions_per_backward_read(self) -> int:
        """The same backward: its rows."""
        return self.layout.backward_outputs

    @property
    def tiles(self) -> int:
        """Tiles of the machine."""
        return self.layout.tiles

    @property
    def percent_inactive(self) -> float:
        """100 (1 - nonzero / all)."""
        return percent_inactive(self.code)

    @cached_property
    def code_float(self) -> FloatArray:
        """The code in units of the image."""
        return np.asarray(self.code * self.plan.code.scale)

    @cached_property
    def residual_float(self) -> FloatArray:
        """R in units of the image, as the machine reads it."""
        return np.asarray(self.residual * self.plan.residual_scale)

    @cached_property
    def reconstruction(self) -> FloatArray:
        """Phi y (C, H, W), with the quantised dictionary."""
        g, weights = self.plan.tiling.geometry, self.dictionary * self.plan.weight.scale
        return synthesis(self.code_float, np.asarray(weights, np.float64), g.stride, g.image)

    @cached_property
    def programmed(self) -> FloatArray:
        """(T, K, C, p, p) what each tile's arrays hold, in units of the dictionary; Toeplitz copies averaged."""
        return np.stack([self.placement.dictionary(matrix) for matrix in self.applied]) * self.plan.weight.scale

    @cached_property
    def programmed_reconstruction(self) -> FloatArray:
        """Phi y (C, H, W) as the arrays do it without noise and converters, every copy with its own errors."""
        image = self.placement.backward(self.applied, self.code.astype(np.float64))
        return np.asarray(image * self.plan.residual_scale)

    def percent_error(self, image: FloatArray) -> float:
        """100 |x - Phi y| / |x| against the float image (C, H, W), decoded with the quantised dictionary."""
        return percent_error(image, np.asarray(image - self.reconstruction))

    def gain(self, image: FloatArray) -> float:
        """The factor on that reconstruction that brings it nearest to the image (C, H, W): what one calibration of the
        whole machine would find. Wires make the arrays' weights smaller, so that codes come out larger.
        """
        energy = float(np.square(self.reconstruction).sum())
        return float((self.reconstruction * image).sum()) / energy if energy else 1.0

    def gained_percent_error(self, image: FloatArray) -> float:
        """`percent_error` with the reconstruction times `gain`."""
        return percent_error(image, np.asarray(image - self.gain(image) * self.reconstruction))

    def psnr_db(self, image: FloatArray) -> float:
        """Peak signal-to-noise ratio of that reconstruction, peak 1."""
        return psnr_db(np.asarray(image - self.reconstruction))

    def programmed_percent_error(self, image: FloatArray) -> float:
        """The same decoded with what the arrays really hold."""
        return percent_error(image, np.asarray(image - self.programmed_reconstruction))

    def programmed_psnr_db(self, image: FloatArray) -> float:
        """Peak signal-to-noise ratio of that reconstruction, peak 1."""
        return psnr_db(np.asarray(image - self.programmed_reconstruction))


Observer = Callable[[CrossbarView], None]
