"""What the memristor machine refuses, each in one line with the remedy. A golden or dataflow run minds none of it."""

from typing import TYPE_CHECKING

from ...golden.errors import InputError
from ..legality import check_arithmetic
from .device import check_device
from .periphery import MAX_BITS
from .placement import largest_array, span, usable

if TYPE_CHECKING:
    from ..design import Design

MAX_SHORT_SIDE = 256
"""Lines on the short side of an array whose circuit is solved exactly: 1.3 GB at 256x256."""

EXACT_BITS = 48
"""Bits of a sum that float64 still tells from its neighbours, after the rounding of as many products."""


def check_crossbar(design: "Design") -> None:
    """Refuse a design that the memristor machine cannot be built or run with.

    Raises:
        InputError: formats and golden-only keys (as the dataflow machine), tiles, array sizes, placements, resistances,
            converters, and what `cell.Device` and `check_device` refuse; the first problem found.
    """
    check_arithmetic(without_schedule(design))
    _check_tiles(design)
    _check_arrays(design)
    _check_resistances(design)
    _check_converters(design)
    check_device(design)


def without_schedule(design: "Design") -> "Design":
    """The schedule is the dataflow machine's: "gram" would ask for other words."""
    return design.replace({"machine.schedule": "delta"}) if design.machine.schedule == "gram" else design


def _check_tiles(design: "Design") -> None:
    tiles, sheet = design.machine.tiles, design.geometry.sheet
    for count, size, name in zip(tiles, sheet, ("rows", "columns"), strict=True):
        if not 1 <= count <= size:
            legal = [min(max(n, 1), most) for n, most in zip(tiles, sheet, strict=True)]
            raise InputError(
                f"machine.tiles {list(tiles)}: {count} {name} of tiles for {size} {name} of V1 positions; use {legal}"
            )


def _check_arrays(design: "Design") -> None:
    g, c = design.geometry, design.crossbar
    least = 2 if c.mapping == "offset" else 1
    for name in ("rows", "columns"):
        value = getattr(c, name)
        if value < least:
            why = " (one line is the reference of an offset mapping)" if least > 1 else ""
            raise InputError(f"crossbar.{name} cannot be {value}{why}; use {least} or more")
    pixels, height = g.channels * span(g, 1) ** 2, usable(design)[0]
    if not c.row_split and pixels > height:
        raise InputError(
            f"crossbar.rows {c.rows} cannot hold a kernel of {pixels} values without row_split; "
            f"use rows = {pixels + least - 1} or row_split = true"
        )


def _check_resistances(design: "Design") -> None:
    """Also that the circuit can be solved: its factor grows with the square of an array's short side."""
    for name in ("wire_ohm", "driver_ohm", "sense_ohm"):
        value = getattr(design.crossbar, name)
        if value < 0:
            raise InputError(f"crossbar.{name} cannot be {value:g}; use 0 or more")
    if any(getattr(design.crossbar, name) for name in ("wire_ohm", "driver_ohm", "sense_ohm")):
        height, width = largest_array(design)
        if min(height, width) > MAX_SHORT_SIDE:
            raise InputError(
                f"arrays of {height}x{width} with resistances need a circuit of more than {MAX_SHORT_SIDE} lines on "
                f"its short side; use crossbar.columns = {MAX_SHORT_SIDE}, or wire_ohm, driver_ohm and sense_ohm = 0"
            )


def _check_converters(design: "Design") -> None:
    g, c, f = design.geometry, design.crossbar, design.formats
    for name in ("dac_bits", "adc_bits"):
        value = getattr(c, name)
        if value != 0 and not 2 <= value <= MAX_BITS:
            raise InputError(f"crossbar.{name} cannot be {value}; use 0 (lossless) or 2 to {MAX_BITS}")
    if not 0 <= c.sample_hold_noise <= 1:
        raise InputError(
            f"crossbar.sample_hold_noise {c.sample_hold_noise:g} is no fraction of a range; use 0 to 1"
        )
    taps = max(g.channels * g.patch**2, g.kernels * g.cover**2)
    widest = max(f.residual.width, f.code.width)
    need = taps.bit_length() + f.weight.width + widest
    if c.adc_bits == 0 and need > EXACT_BITS:
        raise InputError(
            f"crossbar.adc_bits 0 converts without loss, and sums of these formats need {need} bits where "
            f"{EXACT_BITS} are exact; use {need - EXACT_BITS} bits less in formats.weight, residual or code, or "
            f"adc_bits = {MAX_BITS}"
        )
