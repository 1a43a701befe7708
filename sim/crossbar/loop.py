"""`simulate_crossbar`: a design's network on a picture, with memristor arrays in the loop.

Without any analog effect (device "ideal", no wires, lossless converters) the result is that of `sim.machine`, bit for
bit, for every tiling, placement, mapping, slicing, drive and kind of read: the codes of a lossless converter are then
the integer sums.
"""

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ...golden.errors import InputError
from ...golden.geometry import Geometry
from ..fixed import IntArray, quantise
from ..machine import load_dictionary
from ..picture import check_image, clipping
from ..plan import Plan
from ..run import FloatArray, norm
from .calibration import calibrate
from .device import cautions, device_of
from .devices.cell import Device
from .frame import Done, Frame, Port, port, run_steps
from .layer import Layer
from .legality import check_crossbar, without_schedule
from .placement import Placement
from .result import CrossbarCounts, CrossbarLayout, CrossbarRun, Observer

if TYPE_CHECKING:
    from ...golden.dictionary import Dictionary
    from ..design import Design


ADJOINT = 0.01
"""Difference between forward and backward from which a run warns; 0 for pairs of twins with equal terminations."""


GAIN = 0.1
"""Distance of the arrays' mean gain from 1 from which a run warns."""


def _counts(layer: Layer, frame: Frame, done: Done, device: Device) -> CrossbarCounts:
    fore, back, arrays = frame.forward.reader.way, frame.backward.reader.way, layer.arrays
    readers = frame.forward.reader, frame.backward.reader
    energy = sum(reader.energy_pj(device.read_voltage_v, device.read_ns) for reader in readers)
    return CrossbarCounts(
        steps=done.count,
        forward_reads=fore.reads,
        backward_reads=back.reads,
        skipped_reads=fore.skipped + back.skipped,
        forward_conversions=fore.conversions,
        backward_conversions=back.conversions,
        adc_saturations=fore.saturations + back.saturations,
        dac_conversions=fore.lines + back.lines,
        sampled=fore.conversions + back.conversions,
        cells_pj=energy,
        partial_sums=fore.conversions - fore.results + back.conversions - back.results + frame.kept_adds,
        accumulations=back.results,
        updates=done.count * frame.plan.tiling.geometry.neurons,
        code_events=int(done.steps.code_events.sum()),
        serial_forward_reads=fore.serial,
        serial_backward_reads=back.serial,
        serial_ns=(fore.serial + back.serial) * device.read_ns,
        programming_pulses=sum(array.pulses for array in arrays),
        verify_reads=sum(array.verify_reads for array in arrays),
        failed_cells=sum(array.failed for array in arrays),
        stuck_cells=sum(array.stuck for array in arrays),
    )


def _layout(layer: Layer) -> CrossbarLayout:
    arrays, p = layer.arrays, layer.placement
    shape = max(array.shape[0] for array in arrays), max(array.shape[1] for array in arrays)
    return CrossbarLayout(
        len(p.places),
        sum(array.physical for array in arrays),
        sum(array.cells for array in arrays),
        shape,
        p.side,
        len(p.row_parts),
        len(p.column_parts),
        arrays[0].physical,
        max(high - low for low, high in p.column_parts),
        max(high - low for low, high in p.row_parts),
    )


def _converter_bits(port: Port, changes: bool) -> tuple[int, int]:
    """(ADC, DAC) bits of a direction."""
    use = port.change if changes else port.absolute
    return use.adc.bits or int(use.adc.bound).bit_length() + 1, use.dac.driven_bits


def _of_the_design(design: "Design", layer: Layer) -> list[str]:
    """What deserves a word before anything ran."""
    notes = []
    if (asymmetry := layer.asymmetry) > ADJOINT:
        notes.append(
            f"forward and backward reads differ by {100 * asymmetry:.1f} % (Frobenius norm): they are no adjoints and "
            f'the loop may diverge; use crossbar.mapping = "differential" and equal driver_ohm and sense_ohm'
        )
    if abs((gain := layer.gain) - 1) > GAIN:
        notes.append(
            f"weights arrive at {gain:.2f} of their size: wires and time take the rest; use fewer rows, less wire_ohm, "
            f"larger resistances or a refresh, or calibrate one gain (gained_percent_error)"
        )
    notes.extend(cautions(design))
    device = device_of(design)
    if device.iv and design.crossbar.dac_mode == "amplitude":
        notes.append(
            f"device {device.name} conducts in a curve, and the loop reads it as a line at every amplitude; "
            f'crossbar.dac_mode = "pulse-width" or "bit-serial" keeps one amplitude'
        )
    return notes


def _of_the_run(design: "Design", weights: IntArray, frame: Frame, counts: CrossbarCounts) -> list[str]:
    """What happened that deserves a word."""
    notes, width = [], frame.plan.residual_width
    if frame.overflow:
        proven = design.resolved_widths(weights).residual_proven
        notes.append(
            f"R left its word of {width} bits: it is right only modulo 2^{width}; "
            f"use machine.residual_accumulator = {max(proven, width + 1)}"
        )
    if counts.failed_cells:
        notes.append(
            f"{counts.failed_cells} cells stayed outside crossbar.verify_tolerance = "
            f"{design.crossbar.verify_tolerance:g}; allow more, or take them as they are"
        )
    return notes


def _compile(plan: Plan, design: "Design") -> None:
    """Have the compiled functions of the loop ready, by a step on a single position: a run's time is then its own."""
    g = plan.tiling.geometry
    single = Geometry((g.stride, g.stride), g.channels, g.kernels, g.patch, g.stride)
    small = replace(plan, tiling=replace(plan.tiling, geometry=single))
    pixels = g.channels * g.patch**2
    layer = Layer.exact(
        Placement(single, (1, 1), 1, ((0, pixels),), ((0, g.kernels),)), np.ones(single.dictionary_shape, np.int64)
    )
    forward, backward = (port(layer, small, design, 0, backward=way) for way in (False, True))
    x = np.full(single.image_shape, plan.input.high, np.int64)
    run_steps(Frame(small, x, forward, backward, False, 0), 1, np.zeros(1), 0.0)


def simulate_crossbar(
    image: FloatArray,
    design: "Design",
    *,
    dictionary: "Dictionary | None" = None,
    seed: int = 0,
    observe: Observer | None = None,
) -> CrossbarRun:
    """Run a design's network on an image (C, H, W) with memristor arrays in the loop, cold.

    Args:
        dictionary: in place of the one the design names. seed: of devices and reads, 0 or more.
        observe: called after every step.

    Raises:
        InputError: an image of another shape or with NaN, a negative seed, whatever ``design.check_crossbar`` refuses,
            and circuits that have no solution.
    """
    check_image(image, design)
    check_crossbar(design)
    if seed < 0:
        raise InputError(f"a seed of {seed} names no devices; use 0 or more")
    dictionary = dictionary if dictionary is not None else load_dictionary(design)
    weights = quantise(dictionary.atoms, design.formats.weight)
    plan, device, c = Plan.of_arithmetic(without_schedule(design), weights), device_of(design), design.crossbar
    x = plan.quantise_image(image)
    _compile(plan, design)
    started = time.perf_counter()
    layer = Layer.of(design, weights, device, seed)
    programmed = time.perf_counter()
    forward, backward = (port(layer, plan, design, seed, backward=way) for way in (False, True))
    if c.adc_range == "calibrated" and c.adc_bits:
        calibrate(design, weights, layer, forward, backward)
    frame = Frame(plan, x, forward, backward, c.reads == "change", design.machine.refresh)
    lost = np.asarray(image - x * plan.input.scale, np.float64)
    done = run_steps(frame, design.dynamics.steps, lost, norm(image), observe)
    seconds = time.perf_counter() - programmed
    counts = _counts(layer, frame, done, device)
    notes = [
        *without_schedule(design).warnings(weights),
        *clipping(image, x, plan),
        *_of_the_design(design, layer),
        *_of_the_run(design, weights, frame, counts),
    ]
    (adc_forward, dac_forward), (adc_backward, dac_backward) = (
        _converter_bits(each, frame.changes) for each in (forward, backward)
    )
    return CrossbarRun(
        design=design,
        plan=plan,
        device=device,
        input=x.copy(),
        dictionary=weights,
        placement=layer.placement,
        applied=layer.matrices(backward=True),
        code=frame.y,
        membrane=frame.u,
        residual=frame.r,
        counts=counts,
        steps=done.steps,
        layout=_layout(layer),
        forward_read_ns=device.read_ns,
        backward_read_ns=device.read_ns,
        adc_forward_bits=adc_forward,
        adc_backward_bits=adc_backward,
        dac_forward_bits=dac_forward,
        dac_backward_bits=dac_backward,
        outcome=done.outcome,
        overflow=bool(frame.overflow),
        warnings=tuple(notes),
        compute_seconds=seconds,
        program_seconds=programmed - started,
        events_late=done.events_late,
        settled=done.settled,
    )


__all__ = ["CrossbarCounts", "CrossbarRun", "simulate_crossbar"]
