"""Reads of a layer as the machine does them: driven, disturbed, converted, added up, and counted."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from numba import njit

from ..fixed import IntArray
from .array import ReadPath
from .layer import Layer, valid_outputs
from .periphery import AdcRange, Dac, Tally, bit_plane
from .placement import TilePlace, gather_codes, gather_pixels, scatter_codes, scatter_pixels
from .streams import Stream, read_stream

FloatArray = npt.NDArray[np.float64]
_NONE = np.zeros((0, 0), np.float32)
_NO_COMMON = np.zeros(0, np.float32)


@njit(cache=True)
def convert(  # type: ignore[no-untyped-def]
    product, variance, draws, common, held, rows, low, valid, lsb, top, unit, out, tally, histogram
):
    """out[rows, low:] += converted (product + noise), counted where ``valid``.

    Args:
        product: (B', n) in units of the conversion. variance, draws: (B', n) of the read noise and unit normals; empty:
            none. common: (B',) noise of the reference, subtracted; empty: none. held: (B', n) sample-and-hold noise;
            empty: none. rows: (B',) which patches these are. low: the part's first output. valid, out: (B, N).
        lsb: units of one code. top: largest code, 0: none. unit: integers of the result in one code.
        tally: int64[3] as `Tally`. histogram: int64[64] or empty.
    """
    noisy, shared, sampled = variance.shape[0] > 0, common.shape[0] > 0, held.shape[0] > 0
    scale = 1.0 / lsb
    done, clipped, upper = 0, 0, 0
    for b in range(product.shape[0]):
        row = rows[b]
        for n in range(product.shape[1]):
            if not valid[row, low + n]:
                continue
            value = product[b, n]
            if noisy:
                value += np.sqrt(variance[b, n]) * draws[b, n]
            if shared:
                value -= common[b]
            if sampled:
                value += held[b, n]
            code = int(np.floor(abs(value) * scale + 0.5))
            if top > 0 and code > top:
                code = top
                clipped += 1
            upper += 2 * code > top
            if histogram.shape[0] > 0:
                bits = 0
                while code >> bits:
                    bits += 1
                histogram[bits] += 1
            out[row, low + n] += (-code if value < 0 else code) * unit
            done += 1
    tally[0] += done
    tally[1] += clipped
    tally[2] += upper


@njit(cache=True)
def survey(drives, parts, pulse, effort, occupied):  # type: ignore[no-untyped-def]
    """Look through drives (B, N): driven lines of each part, and what they cost.

    Args:
        parts: (n, 2) lines of each part. effort: (N,) += q^2, or |q| for pulses.
        occupied: (B, n) = lines driven.
    """
    for b in range(drives.shape[0]):
        line = drives[b]
        for part in range(len(parts)):
            count = 0
            for n in range(parts[part, 0], parts[part, 1]):
                count += line[n] != 0
            occupied[b, part] = count
        if pulse:
            for n in range(len(line)):
                effort[n] += abs(line[n])
        else:
            for n in range(len(line)):
                effort[n] += line[n] * line[n]


@dataclass
class Way:
    """Counts of one direction, over all steps.

    Args:
        effort: (T, N) of each tile's driven lines, the sum of (q/full)^2, of |q|/full for pulses, of bits for
            bit-serial drives: times G V^2 t the energy in a cell of the line.
        results: outputs with at least one conversion. The others are as in `result.CrossbarCounts`.
    """

    effort: FloatArray
    reads: int = 0
    skipped: int = 0
    conversions: int = 0
    saturations: int = 0
    lines: int = 0
    results: int = 0
    serial: int = 0


class Reader:
    """Reads one layer in one direction.

    Args:
        layer: the arrays. backward: columns driven. seed: of the noise of reads.
        sample_hold: standard deviation over the converter's range.
    """

    def __init__(self, layer: Layer, backward: bool, seed: int, sample_hold: float = 0.0) -> None:
        self.layer, self.backward, self.seed, self.sample_hold = layer, backward, seed, sample_hold
        p = layer.placement
        self._size, self._outputs = (p.shape[1], p.shape[0]) if backward else p.shape
        self._parts, self._sensed = (p.column_parts, p.row_parts) if backward else (p.row_parts, p.column_parts)
        self._part_table = np.array(self._parts, np.int64)
        self._valid = [valid_outputs(p, place, backward=backward) for place in p.places]
        self._valid_outputs = [valid.sum(axis=1) for valid in self._valid]
        # Tiles of one size take turns with the same memory: new pages would cost more than what is done in them.
        sizes = {place.patches for place in p.places}
        self._lines = {size: np.empty((size, self._size)) for size in sizes}
        self._outs = {size: np.empty((size, self._outputs), np.int64) for size in sizes}
        self.way = Way(np.zeros((len(p.places), self._size)))

    def read(self, driven: IntArray, dac: Dac, adc: AdcRange, step: int) -> tuple[IntArray, Tally]:
        """Phi^T of driven pixels (C, H, W), or Phi of driven codes (K, h, v), as converted; and the step's tally."""
        p, g = self.layer.placement, self.layer.placement.geometry
        result = np.zeros(g.image_shape if self.backward else g.code_shape, np.int64)
        tally = np.zeros(3, np.int64)
        slowest, values = 0, driven.astype(np.float64)
        for tile, place in enumerate(p.places):
            lines, out = self._lines[place.patches], self._outs[place.patches]
            self._gather(values, place, lines)
            out[:] = 0
            visit = _Visit(tile, step, adc, out, tally, self._valid[tile], self.seed)
            serial, patches = self._tile(visit, lines, dac)
            slowest = max(slowest, serial)
            self._scatter(out, place, patches, result)
        self.way.serial += slowest
        self.way.conversions += int(tally[0])
        self.way.saturations += int(tally[1])
        return result, Tally(int(tally[0]), int(tally[1]), int(tally[2]))

    def _gather(self, driven: FloatArray, place: TilePlace, lines: FloatArray) -> None:
        p = self.layer.placement
        if self.backward:
            gather_codes(driven, p.neuron_of_column, place.first, place.rows, place.columns, lines)
        else:
            gather_pixels(driven, p.extent, place.corner, place.pixels, lines)

    def _scatter(self, out: IntArray, place: TilePlace, patches: IntArray, result: IntArray) -> None:
        p = self.layer.placement
        if self.backward:
            scatter_pixels(out, p.extent, place.corner, place.pixels, patches, result)
        else:
            scatter_codes(out, p.neuron_of_column, place.first, place.rows, place.columns, patches, result)

    def _tile(self, visit: "_Visit", lines: FloatArray, dac: Dac) -> tuple[int, IntArray]:
        """All reads of one tile: the reads that its busiest array did one after the other, and the patches driven."""
        bitwise, pulse = dac.mode == "bit-serial", dac.mode == "pulse-width"
        effort, occupied = np.zeros(self._size), np.zeros((len(lines), len(self._parts)), np.int64)
        driven, serial = np.zeros(len(lines), np.bool_), np.zeros(len(self._parts), np.int64)
        plane = np.empty_like(lines) if bitwise else lines
        for power in dac.planes:
            if bitwise:
                bit_plane(lines, power, plane)
            survey(plane, self._part_table, pulse, effort, occupied)
            self.way.lines += int(occupied.sum()) * len(self._sensed)
            driven |= occupied.any(axis=1)
            for part in range(len(self._parts)):
                rows = np.flatnonzero(occupied[:, part])
                serial[part] += len(rows)
                self._part(visit, part, plane, rows, power)
        scale = 1 if bitwise else dac.full if pulse else dac.full**2
        self.way.effort[visit.tile] += effort / scale
        self.way.results += int(self._valid_outputs[visit.tile] @ driven)
        return int(serial.max()), np.flatnonzero(driven)

    def _part(self, visit: "_Visit", part: int, plane: FloatArray, rows: IntArray, power: int) -> None:
        """The reads of all arrays on one part of the driven lines, for the patches ``rows``."""
        low, high = self._parts[part]
        drives = plane[:, low:high] if len(rows) == len(plane) else plane[rows, low:high]
        for other, (first_output, _) in enumerate(self._sensed):
            row, column = (other, part) if self.backward else (part, other)
            array = self.layer.tiles[visit.tile][row][column]
            self.way.reads += array.physical * len(rows)
            self.way.skipped += array.physical * (len(plane) - len(rows))
            if len(rows):
                number = row * len(self.layer.placement.column_parts) + column
                for path in array.backward if self.backward else array.forward:
                    self._one(visit, number, path, drives, rows, first_output, power)

    def _one(
        self, visit: "_Visit", array: int, path: ReadPath, drives: FloatArray, rows: IntArray, low: int, power: int
    ) -> None:
        """One physical read (twins together) of the patches ``rows``, converted into the outputs from ``low`` on."""
        product: FloatArray = np.asarray(drives @ path.matrix, np.float64)
        variance, normals, common, held = _NONE, _NONE, _NO_COMMON, _NONE
        shape = len(rows), path.matrix.shape[1]
        if path.noise is not None:
            rng = visit.stream(Stream.BACKWARD if self.backward else Stream.FORWARD, array)
            variance = path.variance(drives)
            normals = rng.standard_normal(shape, np.float32)
            if path.reference:
                common = np.sqrt(variance[:, -1]) * rng.standard_normal(len(rows), np.float32)
                variance = np.ascontiguousarray(variance[:, :-1])
        if self.sample_hold:
            rng = visit.stream(Stream.SAMPLE_BACKWARD if self.backward else Stream.SAMPLE_FORWARD, array)
            held = rng.standard_normal(shape, np.float32) * np.float32(self.sample_hold * visit.adc.whole)
        adc = visit.adc
        noises = variance, normals, common, held
        unit = 1 << (adc.exponent + path.lift + power)
        lsb = 2.0**adc.exponent
        convert(product, *noises, rows, low, visit.valid, lsb, adc.top, unit, visit.out, visit.tally, adc.histogram)

    def energy_pj(self, read_voltage_v: float, read_ns: float) -> float:
        """Of the cells over all reads, ``sum G V^2 t`` with the programmed G and the drives as they were."""
        total = 0.0
        for tile, rows in enumerate(self.layer.tiles):
            siemens = np.zeros(self._size)
            for (top, bottom), arrays in zip(self.layer.placement.row_parts, rows, strict=True):
                for (left, right), array in zip(self.layer.placement.column_parts, arrays, strict=True):
                    if self.backward:
                        siemens[left:right] += array.column_siemens
                    else:
                        siemens[top:bottom] += array.row_siemens
            total += float(siemens @ self.way.effort[tile])
        return total * read_voltage_v**2 * read_ns * 1e3


@dataclass
class _Visit:
    """What the reads of one tile in one step share.

    Args:
        out: (B, N) results. tally: as in `convert`. valid: (B, N) outputs that are converted.
    """

    tile: int
    step: int
    adc: AdcRange
    out: IntArray
    tally: IntArray
    valid: npt.NDArray[np.bool_]
    seed: int
    _streams: dict[tuple[Stream, int], np.random.Generator] = field(default_factory=dict)

    def stream(self, what: Stream, array: int) -> np.random.Generator:
        """The stream of one array in this step and direction, begun once."""
        if (what, array) not in self._streams:
            self._streams[what, array] = read_stream(self.seed, what, self.tile, array, self.step)
        return self._streams[what, array]
