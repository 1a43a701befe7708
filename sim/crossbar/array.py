"""One programmed array position: what its planes do together, as one matrix per weight slice and direction.

An array position holds one part of a tile's weight matrix in as many physical arrays as its mapping and slices need
(twins of a differential pair, one pair a slice). They are driven alike; the currents of twins are subtracted before
conversion, those of slices are converted one by one.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..fixed import IntArray
from .circuit import Circuit
from .device import Device, age_of
from .program import program
from .weights import backward_matrix, forward_matrix, map_weights
from .wires.noise import ReadNoise
from .wires.nonlinear import at_amplitude

if TYPE_CHECKING:
    from ..sections import Crossbar

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ReadPath:
    """One slice of an array in one direction.

    Args:
        matrix: (driven, sensed) what a unit drive of each line gives at each output, in units of the weight times the
            drive. noise: of the outputs, the reference's last where there is one; None: none.
        reference: outputs are differences to a reference line, whose noise they share.
        lift: the slice's weight is 2^lift.
    """

    matrix: FloatArray
    noise: ReadNoise | None
    forward: bool
    reference: bool
    lift: int

    def variance(self, drives: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """(B, sensed) of a read of drives (B, driven); one output more, the reference, where there is one."""
        assert self.noise is not None
        drives = drives.astype(np.float32)
        if self.reference:  # the reference line of the driven side carries nothing
            drives = np.pad(drives, ((0, 0), (0, 1)))
        found = self.noise.forward_variance(drives) if self.forward else self.noise.backward_variance(drives)
        return np.ascontiguousarray(found, np.float32)


@dataclass(frozen=True)
class Array:
    """A programmed array position.

    Args:
        forward, backward: a path for each slice. physical: arrays (planes). cells: devices in them.
        shape: (rows, columns) of a plane, reference lines included.
        row_siemens, column_siemens: conductance on each weight row and column, summed over the planes.
        pulses, verify_reads, failed, stuck: of programming, see `program`; where the arrays were programmed anew, the
            first two are as many times those of the last programming.
    """

    forward: tuple[ReadPath, ...]
    backward: tuple[ReadPath, ...]
    physical: int
    cells: int
    shape: tuple[int, int]
    row_siemens: FloatArray
    column_siemens: FloatArray
    pulses: int
    verify_reads: int
    failed: int
    stuck: int

    def whole(self, backward: bool = False) -> FloatArray:
        """(m, n) weights that the slices together stand for in one direction, wires included."""
        if backward:
            return np.asarray(sum(path.matrix.T * 2.0**path.lift for path in self.backward))
        return np.asarray(sum(path.matrix * 2.0**path.lift for path in self.forward))


def program_array(
    weights: IntArray, device: Device, crossbar: "Crossbar", full_scale: int, seed: int, key: tuple[int, int]
) -> Array:
    """Write a part of a tile's weights and work out what its reads give.

    Args:
        weights: (m, n) integers. full_scale: the largest weight a cell range stands for, the same in all arrays.
        seed: of the devices. key: (tile, array).

    Raises:
        InputError: as `program`, `map_weights` and `Circuit`.
    """
    mapped = map_weights(weights, device, crossbar.mapping, crossbar.cell_bits, full_scale)
    age, refreshes = age_of(crossbar)
    height, width = weights.shape
    forward, backward = [], []
    rows, columns = np.zeros(height), np.zeros(width)
    totals, shape, physical = np.zeros(5, np.int64), (0, 0), 0
    for s, planes in enumerate(mapped.slices):
        done = [
            program(
                plane.target_s,
                device,
                seed,
                (*key, s, p),
                method=crossbar.programming,
                tolerance=crossbar.verify_tolerance,
                age_seconds=age,
                generation=refreshes,
            )
            for p, plane in enumerate(planes)
        ]
        # Pulses of one amplitude see a curved device as a conductance of its own; amplitudes are read as if straight.
        seen = [
            at_amplitude(plane.g_s, device, device.read_voltage_v)
            if device.iv and crossbar.dac_mode != "amplitude"
            else plane.g_s
            for plane in done
        ]
        to_wires = [_circuits(g_s, crossbar) for g_s in seen]
        reference = mapped.kind == "offset"
        fore = forward_matrix(mapped, s, [circuits[0].effective for circuits in to_wires])
        back = backward_matrix(mapped, s, [circuits[1].effective for circuits in to_wires])
        sigmas = [device.read_sigma_s(plane.g_s) / mapped.unit_s for plane in done]
        noise = _noise(sigmas, to_wires) if any(sigma.any() for sigma in sigmas) else None
        lift = mapped.shifts[s]
        forward.append(ReadPath(np.ascontiguousarray(fore), noise, True, reference, lift))
        backward.append(ReadPath(np.ascontiguousarray(back.T), noise, False, reference, lift))
        for plane, g_s in zip(done, seen, strict=True):
            rows += g_s[:height].sum(axis=1)
            columns += g_s[:, :width].sum(axis=0)
            again = 1 + refreshes
            stuck = int(plane.stuck.sum())
            totals += [plane.pulses * again, plane.reads * again, plane.failed, stuck, plane.g_s.size]
            shape, physical = plane.g_s.shape, physical + 1
    return Array(
        tuple(forward),
        tuple(backward),
        physical,
        int(totals[4]),
        shape,
        rows,
        columns,
        *(int(n) for n in totals[:4]),
    )


def _circuits(g_s: FloatArray, crossbar: "Crossbar") -> tuple[Circuit, Circuit]:
    """The array as it is read forward and backward: the same circuit unless driver and sense differ."""
    wire, driver, sense = crossbar.wire_ohm, crossbar.driver_ohm, crossbar.sense_ohm
    forward = Circuit(g_s, wire, wire, driver, sense)
    return forward, (forward if driver == sense else Circuit(g_s, wire, wire, sense, driver))


def _noise(sigmas: list[FloatArray], circuits: list[tuple[Circuit, Circuit]]) -> ReadNoise:
    """The law of all planes of a slice together, in units of the weight times the drive."""
    laws = [
        ReadNoise(sigma, None if forward.ideal else forward, None if backward.ideal else backward)
        for sigma, (forward, backward) in zip(sigmas, circuits, strict=True)
    ]
    total = laws[0]
    for law in laws[1:]:
        total = total + law
    return total.prepare()  # worked out now, as part of programming


def exact_array(weights: IntArray, lifts: tuple[int, ...], cell_bits: int) -> Array:
    """An array that holds integer weights (m, n) exactly: no device, no wires. For calibration.

    Args:
        lifts: of its slices, of ``cell_bits`` each where there are several.
    """
    digits = [digit(weights, lift, cell_bits if len(lifts) > 1 else 0).astype(np.float64) for lift in lifts]
    pairs = list(zip(digits, lifts, strict=True))
    height, width = weights.shape
    return Array(
        tuple(ReadPath(matrix, None, True, False, lift) for matrix, lift in pairs),
        tuple(ReadPath(np.ascontiguousarray(matrix.T), None, False, False, lift) for matrix, lift in pairs),
        len(lifts),
        len(lifts) * weights.size,
        (height, width),
        np.zeros(height),
        np.zeros(width),
        *(0, 0, 0, 0),
    )


def digit(weights: IntArray, lift: int, bits: int) -> IntArray:
    """Signed digit of ``bits`` bits (0: all) from bit ``lift`` of each magnitude: what a slice holds."""
    magnitude = np.abs(weights) >> lift
    return np.asarray(np.sign(weights) * (magnitude & ((1 << bits) - 1) if bits else magnitude), np.int64)
