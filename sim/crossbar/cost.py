"""Energy, time and area of a run on crossbars: its counts times the technology, component by component.

Modelled, never measured. As in `sim.cost` every factor is a count of the run, a word width of its plan or a number of
`technology`; the cells' energy ``sum G V^2 t`` comes from the run itself, which knows conductances and drives.

Time. In a tile all arrays work at once, the twins of a pair, the slices and the parts of a split kernel too; positions
come one after the other. A sample-and-hold lets the next read begin while the last is converted, so that a read takes
the longer of integration and conversion, and the shorter one only once at the end of a pass. A step is two passes,
forward and backward, each followed by the stages of the logic: codes must be known before they are read backward, and
the whole residual before it is read forward.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..cost import Priced, Row
from ..tech import Band, Number
from .technology import ISAAC_32NM, CrossbarTechnology

if TYPE_CHECKING:
    from .result import CrossbarRun

ADC_BITS = 8
"""Of the converter whose rate is tabulated: one with b bits takes b/8 as long."""
STAGES = 3
"""Of the logic behind a pass: sample-and-hold, shift-and-add, update or accumulation."""


@dataclass(frozen=True)
class Area:
    """One component's area: ``count`` of ``unit`` make ``mm2``; ``key`` is a number of the technology."""

    component: str
    count: float
    unit: str
    mm2: Band
    key: str


@dataclass(frozen=True)
class Latency:
    """Where a frame's time goes, in ns: one tile after its start, the slowest.

    Args:
        forward_read, backward_read: of one read, integration. forward_convert, backward_convert: of one read's
            conversions in one ADC. forward, backward: the passes of all steps. logic: the stages behind them.
    """

    forward_read: float
    backward_read: float
    forward_convert: float
    backward_convert: float
    forward: float
    backward: float
    logic: float

    @property
    def total(self) -> float:
        """Of the frame."""
        return self.forward + self.backward + self.logic


@dataclass(frozen=True)
class Programming:
    """What writing the arrays once takes; not part of a frame.

    Args:
        pulses: over all cells. energy_pj: None where the device preset has no energy of a pulse. serial_ns: one pulse
            after the other in each array, the arrays at once; None where the preset has no duration.
    """

    pulses: int
    energy_pj: float | None
    serial_ns: float | None


@dataclass(frozen=True)
class CrossbarCost(Priced):
    """Energy, time and area of one frame.

    Args:
        technology: what the rows were multiplied with. rows: energy by component, adding up to ``energy_pj``.
        areas: adding up to ``area_mm2``. numbers: every number in use, by its key. missing: what is not charged.
        notes: what a reader of the numbers should know.
    """

    technology: CrossbarTechnology
    rows: tuple[Row, ...]
    areas: tuple[Area, ...]
    latency: Latency
    programming: Programming
    numbers: dict[str, Number]
    missing: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def area_mm2(self) -> Band:
        """Of all components."""
        total = Band(0.0, 0.0, 0.0)
        for area in self.areas:
            total += area.mm2
        return total

    @property
    def latency_ms(self) -> float:
        """Of one frame."""
        return self.latency.total * 1e-6

    @property
    def frames_per_second(self) -> float:
        """One frame after the other."""
        return 1e3 / self.latency_ms if self.latency_ms else float("inf")


def crossbar_cost(run: "CrossbarRun", technology: CrossbarTechnology = ISAAC_32NM) -> CrossbarCost:
    """What a frame of a run on crossbars costs.

    A lossless converter (``adc_bits`` or ``dac_bits`` 0) is charged as one with as many bits as the proven bound of
    what it converts needs, and ``notes`` says so.
    """
    tech, crossbar = technology, run.design.crossbar
    latency = _latency(run, tech)
    amplitude = crossbar.dac_mode == "amplitude"
    drive_bits = max(run.dac_forward_bits, run.dac_backward_bits) if amplitude else 1
    numbers = {
        **tech.numbers(),
        "adc_pj forward": tech.adc_pj.at(run.adc_forward_bits),
        "adc_pj backward": tech.adc_pj.at(run.adc_backward_bits),
        "adc_mm2": tech.adc_mm2.at(max(run.adc_forward_bits, run.adc_backward_bits)),
        "line_mm2": tech.line_mm2.at(drive_bits),
    }
    rows = (
        *_analog_rows(run, numbers, drive_bits),
        *_digital_rows(run, numbers),
        *_idle_rows(run, numbers, latency),
    )
    areas = _areas(run, numbers)
    used = {row.key for row in rows} | {area.key for area in areas} | {"adc_rate_per_ns", "stage_ns"}
    device, missing = run.device, list(tech.missing)
    if crossbar.dac_mode == "pulse-width":
        missing.append("the timers that make pulses of a wanted width")
    if device.write_pulse_pj is None:
        missing.append(f"writing the cells: the preset {device.name} has no energy of a pulse")
    elif device.verified and crossbar.programming == "once":
        missing.append(f"pulses that verified the cells: the error of {device.name} is what they left")
    return CrossbarCost(
        tech,
        rows,
        areas,
        latency,
        _programming(run),
        {key: number for key, number in numbers.items() if key in used},
        tuple(missing),
        _notes(run),
    )


def _programming(run: "CrossbarRun") -> Programming:
    pulses, device = run.counts.programming_pulses, run.device
    energy_pj, one_ns = device.write_pulse_pj, device.write_pulse_ns
    return Programming(
        pulses,
        None if energy_pj is None else pulses * energy_pj,
        None if one_ns is None else pulses / max(1, run.arrays) * one_ns,
    )


def _notes(run: "CrossbarRun") -> tuple[str, ...]:
    """What stands in for a converter that cannot be bought."""
    return tuple(
        f"The lossless {name} is charged as one of {forward} bits forward and {backward} backward, which hold every "
        "value that can occur."
        for name, bits, forward, backward in (
            ("ADC", run.design.crossbar.adc_bits, run.adc_forward_bits, run.adc_backward_bits),
            ("driver", run.design.crossbar.dac_bits, run.dac_forward_bits, run.dac_backward_bits),
        )
        if bits == 0
    )


def converters(run: "CrossbarRun") -> int:
    """ADCs of the machine: one an array, or one for the twins of a pair, whose currents are subtracted before it."""
    return run.arrays if run.design.crossbar.mapping == "offset" else run.arrays // 2


def _drivers(run: "CrossbarRun") -> int:
    """Sets of line drivers: twins and slices of one place are driven alike, by one set."""
    return run.arrays // run.layout.planes


def _latency(run: "CrossbarRun", tech: CrossbarTechnology) -> Latency:
    """One ADC converts all outputs of its array, one after the other."""
    per_bit = 1.0 / (tech.adc_rate_per_ns.band.typical * ADC_BITS)
    n, stage = run.counts, tech.stage_ns.band.typical
    convert = (
        run.conversions_per_forward_read * run.adc_forward_bits * per_bit,
        run.conversions_per_backward_read * run.adc_backward_bits * per_bit,
    )
    integrate = (run.forward_read_ns, run.backward_read_ns)
    forward, backward = (
        reads * max(read, conversion) + (n.steps * min(read, conversion) if reads else 0.0)
        for reads, read, conversion in zip(
            (n.serial_forward_reads, n.serial_backward_reads), integrate, convert, strict=True
        )
    )
    return Latency(*integrate, *convert, forward, backward, n.steps * 2 * STAGES * stage)


def _row(
    numbers: dict[str, Number], name: str, group: str, count: float, unit: str, key: str, factor: float = 1.0
) -> Row:
    return Row(name, group, count, unit, numbers[key].band * (count * factor), key)


def _analog_rows(run: "CrossbarRun", numbers: dict[str, Number], drive_bits: int) -> list[Row]:
    n = run.counts
    cells = Band(n.cells_pj, n.cells_pj, n.cells_pj)
    reads = n.forward_reads + n.backward_reads
    rows = [
        Row("cells: G V^2 t of every read", "cells", reads, "reads of an array", cells, "device"),
        _row(numbers, "lines switched", "drivers", n.dac_conversions, "lines driven", "row_drive_pj"),
    ]
    if drive_bits > 1:
        name = f"amplitude: {drive_bits - 1} bits beyond the first"
        rows.append(_row(numbers, name, "drivers", n.dac_conversions, "lines driven", "dac_bit_pj", drive_bits - 1))
    return [
        *rows,
        _row(numbers, "outputs sampled", "sample-and-hold", n.sampled, "samples", "sample_pj"),
        _row(numbers, f"forward, {run.adc_forward_bits} bits", "adc", n.forward_conversions, "conversions",
             "adc_pj forward"),
        _row(numbers, f"backward, {run.adc_backward_bits} bits", "adc", n.backward_conversions, "conversions",
             "adc_pj backward"),
    ]  # fmt: skip


def _digital_rows(run: "CrossbarRun", numbers: dict[str, Number]) -> list[Row]:
    """Sums, updates, and the words that are read and written for them: D stays in its accumulator."""
    n, p = run.counts, run.plan
    wide, update = max(p.drive_width, p.residual_width), max(p.drive_width, p.membrane.width)
    pixels = n.steps * math.prod(p.tiling.geometry.image_shape)
    word = 1 if run.design.crossbar.dac_mode == "bit-serial" else max(p.residual.width, p.code.width)
    moved = {
        "memory: membranes and codes": n.updates * (2 * p.membrane.width + p.code.width),
        "memory: sums of R": n.accumulations * 2 * p.residual_width,
        "memory: R begun from x, r~ made of it": pixels * (p.input.width + 2 * p.residual_width + p.residual.width),
        "memory: words that are driven": n.dac_conversions * word,
    }

    def adder(name: str, bits: float) -> Row:
        return _row(numbers, name, "digital", bits, "adder bits", "add_bit_pj")

    return [
        adder("partial sums of arrays, slices and bits", n.partial_sums * wide),
        adder("sums of R", n.accumulations * p.residual_width),
        # u + (D + y - u) >> k: three adds and a comparison over the widest operand, as in `sim.cost`
        adder("update: every membrane, every step", n.updates * 4 * update),
        adder("rounding and cutoff of R", pixels * 2 * p.residual_width),
        _row(numbers, "registers of the sums", "digital", (n.partial_sums + n.accumulations) * wide,
             "register bits clocked", "register_bit_pj"),
        *(_row(numbers, name, "digital", bits, "bits", "memory_bit_pj") for name, bits in moved.items()),
    ]  # fmt: skip


def _idle_rows(run: "CrossbarRun", numbers: dict[str, Number], latency: Latency) -> list[Row]:
    """Leakage while a part waits: at work it is in the energy of its operations. uW times ns is fJ."""
    rows, columns = run.array_shape
    n, per_ns = run.counts, numbers["adc_rate_per_ns"].band.typical
    busy = (n.forward_conversions * run.adc_forward_bits + n.backward_conversions * run.adc_backward_bits) / (
        ADC_BITS * per_ns
    )
    waits = max(0.0, converters(run) * latency.total - busy) * 1e-3
    driven, sampled = (count * (rows + columns) * latency.total * 1e-3 for count in (_drivers(run), converters(run)))
    return [
        _row(numbers, "ADCs that wait", "idle", waits, "us", "adc_leak_uw"),
        _row(numbers, "line drivers", "idle", driven, "us", "drive_leak_uw"),
        _row(numbers, "sample-and-holds", "idle", sampled, "us", "sample_leak_uw"),
    ]


def _areas(run: "CrossbarRun", numbers: dict[str, Number]) -> tuple[Area, ...]:
    rows, columns = run.array_shape
    p, adcs = run.plan, converters(run)
    g = p.tiling.geometry
    bits = g.neurons * (p.membrane.width + p.code.width)
    bits += math.prod(g.image_shape) * (p.residual_width + p.residual.width + p.input.width)

    def area(name: str, count: float, unit: str, key: str) -> Area:
        return Area(name, count, unit, numbers[key].band * count, key)

    return (
        area("cells", run.cells_used, "cells", "cell_mm2"),
        area("line drivers", _drivers(run) * (rows + columns), "lines", "line_mm2"),
        area("sample-and-holds", adcs * (rows + columns), "lines", "sample_mm2"),
        area("ADCs", adcs, "ADCs", "adc_mm2"),
        area("shift-and-add", adcs, "ADCs", "shift_add_mm2"),
        area("memory of U, y, R, r~ and x", bits, "bits", "memory_bit_mm2"),
    )
