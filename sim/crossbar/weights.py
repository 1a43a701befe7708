"""Whole weights as conductances, and back.

Three ways to give a cell a sign. *differential*: two twin arrays read alike, the magnitude in one of them and the other
at g_min. *two-sided*: the same pair, both moved from the middle in opposite directions. *offset*: one array around the
middle, with one row and one column of reference cells at the middle that is subtracted from every output.

With ``cell_bits`` a weight is cut into digits: slice s holds ``sign(w) ((|w| >> shift_s) mod 2^cell_bits)`` in arrays
of its own, and the results are added digitally, weighted by ``2^shift_s``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from .device import check_cell_bits
from .devices.cell import Device
from .streams import FloatArray

Mapping = Literal["differential", "two-sided", "offset"]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Plane:
    """The targets of one physical array.

    Attributes:
        target_s: (rows, columns) siemens. sign: what its current counts as: +1 or -1.
    """

    target_s: FloatArray
    sign: int


@dataclass(frozen=True)
class Mapped:
    """A matrix of weights as arrays of conductances.

    Attributes:
        shape: (P, Q) of the weights; an offset plane is (P + 1, Q + 1).
        full_scale: largest |weight| of a slice, the whole range of a cell.
        unit_s: siemens per unit of weight within a slice, in the difference of currents that is read.
        rest_s: conductance of a weight 0: g_min (differential) or the middle of the range.
        slices: planes of each slice, least significant first. shifts: a slice counts ``2^shift``.
    """

    shape: tuple[int, int]
    full_scale: int
    unit_s: float
    rest_s: float
    slices: tuple[tuple[Plane, ...], ...]
    shifts: tuple[int, ...]
    kind: Mapping

    @property
    def planes(self) -> int:
        """Physical arrays in all."""
        return sum(len(planes) for planes in self.slices)


def full_scale_of(weights: npt.ArrayLike) -> int:
    """The largest magnitude, so that the weights use the whole range of a cell; 1 for all zeros. Any shape.

    Raises:
        ValueError: weights that are no whole numbers.
    """
    return max(1, int(np.max(np.abs(_whole(weights)), initial=0)))


def map_weights(
    weights: npt.ArrayLike, device: Device, mapping: Mapping, cell_bits: int = 0, full_scale: int | None = None
) -> Mapped:
    """Conductances for a matrix of whole weights.

    Args:
        weights: (P, Q) whole numbers. cell_bits: of a slice; 0: one slice holds all.
        full_scale: the weight that takes the whole range; None: `full_scale_of` these weights. Arrays of one dictionary
            share it, so that their results add.

    Raises:
        InputError: cell_bits that the device has no states for.
        ValueError: weights that are no matrix of whole numbers, or larger than full_scale.
    """
    check_cell_bits(cell_bits, mapping, device.levels)
    w = _whole(weights)
    if w.ndim != 2:
        raise ValueError(f"weights must be a matrix, not of shape {w.shape}")
    whole = full_scale_of(w) if full_scale is None else full_scale
    if np.max(np.abs(w), initial=0) > whole:
        raise ValueError(f"a weight of {np.max(np.abs(w))} is beyond the full scale {whole}")
    digits, shifts = _digits(w, whole.bit_length(), cell_bits)
    top = whole if len(shifts) == 1 else (1 << cell_bits) - 1
    unit = (_rest(device, mapping) - device.g_min_s if mapping == "offset" else device.range_s) / top
    slices = tuple(_planes(digit, device, mapping, unit) for digit in digits)
    return Mapped((w.shape[0], w.shape[1]), top, unit, _rest(device, mapping), slices, shifts, mapping)


def forward_matrix(mapped: Mapped, s: int, conductances: Sequence[FloatArray]) -> FloatArray:
    """(P, Q) in weight units of slice s: what driving the P rows gives at the Q outputs.

    Args:
        conductances: as the planes of ``mapped.slices[s]``: programmed ones, or effective ones with wires.
    """
    return _signed(mapped, s, conductances, forward=True)


def backward_matrix(mapped: Mapped, s: int, conductances: Sequence[FloatArray]) -> FloatArray:
    """(P, Q) in weight units of slice s: what driving the Q columns gives at the P rows.

    It differs from `forward_matrix` of the same conductances for "offset" only: there the reference *row* is
    subtracted, forward the reference *column*.
    """
    return _signed(mapped, s, conductances, forward=False)


def recovered(mapped: Mapped, conductances: Sequence[Sequence[FloatArray]]) -> FloatArray:
    """(P, Q) the weights that the cells stand for: the inverse of `map_weights`, slices together.

    Args:
        conductances: for each slice its planes. "offset" cells are compared with the middle of the range, not with the
            reference cells; `forward_matrix` has those.
    """
    rows, columns = mapped.shape
    total = np.zeros(mapped.shape)
    for s, shift in enumerate(mapped.shifts):
        if mapped.kind == "offset":
            difference = conductances[s][0][:rows, :columns] - mapped.rest_s
        else:
            difference = conductances[s][0] - conductances[s][1]
        total += difference * (2.0**shift / mapped.unit_s)
    return total


def _whole(weights: npt.ArrayLike) -> IntArray:
    given = np.asarray(weights)
    if not np.issubdtype(given.dtype, np.integer):
        raise ValueError(f"weights must be whole numbers, not {given.dtype}")
    return given.astype(np.int64)


def _digits(w: IntArray, bits: int, cell_bits: int) -> tuple[list[IntArray], tuple[int, ...]]:
    """Signed digits (P, Q) of each slice, and their shifts."""
    if cell_bits == 0 or cell_bits >= bits:
        return [w], (0,)
    shifts = tuple(range(0, bits, cell_bits))
    low = (1 << cell_bits) - 1
    return [np.sign(w) * ((np.abs(w) >> shift) & low) for shift in shifts], shifts


def _rest(device: Device, mapping: Mapping) -> float:
    """The conductance of weight 0. Of an even number of states an offset takes the lower middle one: the middle of the
    range is a tie between two states, and weights that round to either would all be half a state off their reference.
    """
    if mapping == "differential":
        return device.g_min_s
    if mapping == "offset" and device.levels and device.levels % 2 == 0:
        return device.g_min_s + device.range_s * (device.levels // 2 - 1) / (device.levels - 1)
    return (device.g_min_s + device.g_max_s) / 2


def _planes(digit: IntArray, device: Device, mapping: Mapping, unit: float) -> tuple[Plane, ...]:
    rest, value = _rest(device, mapping), digit.astype(np.float64)
    if mapping == "differential":
        targets = [rest + np.where(value > 0, value, 0.0) * unit, rest - np.where(value < 0, value, 0.0) * unit]
    elif mapping == "two-sided":
        targets = [rest + value * (unit / 2), rest - value * (unit / 2)]
    else:
        targets = [np.pad(rest + value * unit, ((0, 1), (0, 1)), constant_values=rest)]
    # g_min + full_scale * unit may miss g_max by a rounding of the last bit
    bounded = [np.clip(target, device.g_min_s, device.g_max_s) for target in targets]
    return tuple(Plane(target, sign) for target, sign in zip(bounded, (1, -1), strict=False))


def _signed(mapped: Mapped, s: int, conductances: Sequence[FloatArray], forward: bool) -> FloatArray:
    rows, columns = mapped.shape
    if mapped.kind != "offset":
        return np.asarray((conductances[0] - conductances[1]) / mapped.unit_s)
    plane = conductances[0]
    reference = plane[:rows, columns:] if forward else plane[rows:, :columns]
    return np.asarray((plane[:rows, :columns] - reference) / mapped.unit_s)
