"""Integers and word widths that follow from a design: threshold, cutoff, proven bounds of the accumulators."""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from ..golden.errors import InputError
from .fixed import AnyIntArray, Format
from .overlap import Overlap, code_range

if TYPE_CHECKING:
    from .design import Design

Bound = tuple[int, int]


@dataclass(frozen=True)
class ResolvedWidths:
    """Words of R and D in a machine, and what would be enough for certain.

    Args:
        residual, drive: bits of R and D in the machine.
        residual_proven, drive_proven: bits that hold every value these weights can produce.
    """

    residual: int
    drive: int
    residual_proven: int
    drive_proven: int


def half_up(value: float, frac: int) -> int:
    """``value * 2^frac`` rounded half up, exact on the float."""
    return math.floor(Fraction(value) * (1 << frac) + Fraction(1, 2))


def ceiling(value: float, frac: int) -> int:
    """``ceil(value * 2^frac)``, exact on the float."""
    return math.ceil(Fraction(value) * (1 << frac))


def effective_cutoff(cutoff_q: int, residual: Format) -> float:
    """See `Design.effective_cutoff`."""
    nearest = residual.rounding in ("half_up", "half_even")
    return (max(cutoff_q, 1) - (0.5 if nearest else 0.0)) * residual.scale


def signed_bits(low: int, high: int) -> int:
    """Bits of the two's complement word that holds ``low .. high``, at least 2."""
    return max(2, 1 + max(high, -low - 1, 0).bit_length())


def drive_bound(design: "Design", weights_q: AnyIntArray) -> Bound:
    """(low, high) of every D: minus, plus ``max_k L1(w_k) * max|r~|``, for quantised weights (K, C, p, p).

    In the gram network form D is ``Phi^T x - G y``: see `Overlap.drive_bound`.
    """
    weights = _checked(design, weights_q)
    if design.machine.schedule == "gram":
        x, codes = design.formats.input, code_range(design.formats.code, design.dynamics.two_sided)
        found = Overlap.of(weights, design.network.stride)
        return found.drive_bound(weights, (x.low, x.high), max(design.input_shift, 0), codes)
    most = int(np.abs(weights).sum(axis=(1, 2, 3)).max()) * design.formats.residual.magnitude
    return -most, most


def residual_bound(design: "Design", weights_q: AnyIntArray) -> Bound:
    """(low, high) of every R at any time, deltas partly added included.

    ``x << (fw+fy-fx)`` minus, plus ``y_max`` times the largest sum of positive, negative taps that meet at a pixel,
    over channels and pixel phases (row mod s, column mod s); two-sided codes take both sums on both sides.

    Args:
        design: the design.
        weights_q: (K, C, p, p) quantised weights.
    """
    weights, stride = _checked(design, weights_q), design.network.stride
    positive, negative = np.maximum(weights, 0), np.maximum(-weights, 0)
    plus = minus = 0
    most, least = design.formats.code.high, 0
    if design.formats.code.signed and design.dynamics.two_sided:
        most, least = design.formats.code.magnitude, design.formats.code.magnitude
    elif design.formats.code.signed and design.formats.code.overflow == "wrap":
        least = design.formats.code.magnitude
    for row in range(stride):
        for column in range(stride):
            phase = (slice(None), slice(None), slice(row, None, stride), slice(column, None, stride))
            up = positive[phase].sum(axis=(0, 2, 3))  # per channel
            down = negative[phase].sum(axis=(0, 2, 3))
            plus = max(plus, int((most * down + least * up).max()))
            minus = max(minus, int((most * up + least * down).max()))
    x, shift = design.formats.input, max(design.input_shift, 0)
    return (x.low << shift) - minus, (x.high << shift) + plus


def resolve(design: "Design", weights_q: AnyIntArray) -> ResolvedWidths:
    """The accumulator widths: as given, or the proven bound where the design says 0."""
    residual, drive = signed_bits(*residual_bound(design, weights_q)), signed_bits(*drive_bound(design, weights_q))
    machine = design.machine
    return ResolvedWidths(machine.residual_accumulator or residual, machine.drive_accumulator or drive, residual, drive)


def warnings(design: "Design", weights_q: AnyIntArray | None) -> list[str]:
    """See `Design.warnings`."""
    lines, formats = [], design.formats
    wanted = max(shift for _, shift in design.shifts) + 7
    if formats.membrane.frac < wanted:
        lines.append(
            f"formats.membrane {formats.membrane} has {formats.membrane.frac} fraction bits; a step shift of "
            f"{wanted - 7} wants {wanted} or the code may freeze"
        )
    gram = design.machine.schedule == "gram"
    if gram:
        lines.append(
            'machine.schedule "gram" is another network form: no residual is rounded, cut off or cropped; '
            "dynamics.residual_cutoff, formats.residual and machine.residual_accumulator play no part"
        )
    elif design.cutoff_q > formats.residual.high:
        lines.append(
            f"dynamics.residual_cutoff {design.dynamics.residual_cutoff} is beyond formats.residual "
            f"{formats.residual}: no residual drives anything"
        )
    if design.machine.refresh and design.machine.schedule in ("skip", "dense"):
        lines.append(
            f'machine.refresh {design.machine.refresh} changes nothing: machine.schedule "{design.machine.schedule}" '
            f"forms R and D anew in every step"
        )
    if weights_q is not None:
        found = resolve(design, weights_q)
        for name, width, proven in (
            ("residual", found.residual, found.residual_proven),
            ("drive", found.drive, found.drive_proven),
        ):
            if width < proven and not (gram and name == "residual"):
                seen = (
                    "the overflow flag tells whether a run left it" if name == "residual" else "D wraps without a flag"
                )
                lines.append(
                    f"machine.{name}_accumulator {width} is not proven: {proven} bits hold every value; {seen}"
                )
    return lines


def aligned_width(design: "Design", residual: int, drive: int) -> int:
    """Bits of the widest sum the machine forms: ``D + y - u`` aligned, or R with x aligned.

    Args:
        design: the design.
        residual, drive: bits of R and D; 0: bits that hold them whatever the weights.
    """
    g = design.geometry
    taps_d, taps_r = g.channels * g.patch**2, g.kernels * g.cover**2
    free = 1 + max(
        design.formats.weight.width + design.formats.code.width + taps_r.bit_length(),
        design.formats.input.width + max(design.input_shift, 0),
    )
    gram = design.machine.schedule == "gram"  # D then sums products of weights and exact residuals
    read = free if gram else design.formats.residual.width
    drive = drive or design.formats.weight.width + read + taps_d.bit_length()
    residual = free if gram else residual or free
    f, frac_d = design.formats, design.drive_frac
    frac = max(frac_d, f.code.frac, f.membrane.frac)
    terms = (drive + frac - frac_d, f.code.width + 1 + frac - f.code.frac, f.membrane.width + frac - f.membrane.frac)
    widened = residual + max(0, f.residual.frac - design.residual_frac)  # R aligned to a finer r~
    return max(max(terms) + 2, residual + 1, widened + 1, f.input.width + 1 + max(design.input_shift, 0))


def _checked(design: "Design", weights_q: AnyIntArray) -> AnyIntArray:
    if weights_q.shape != design.geometry.dictionary_shape:
        shape = design.geometry.dictionary_shape
        raise InputError(f"the dictionary has the shape {weights_q.shape}, the design {shape}; use one of that shape")
    return weights_q.astype(np.int64, copy=False)
