"""Programming: what the cells hold after writing, faults and time.

Targets are rounded to the device's states, written with its error - once, or again until a read finds them within a
tolerance - and age. Stuck cells stay where they are. Every number that is drawn belongs to a device (seed, key, row,
column): neither the order of programming nor the size of the array changes it, and a sweep over an error, a fault rate
or a time moves the same devices.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import special

from ...golden.errors import InputError
from .devices.cell import Device
from .streams import BoolArray, FloatArray, Stream, normals, uniforms

IntArray = npt.NDArray[np.int64]

MAX_WRITES = 100
"""Writes of a cell after which write-and-verify gives up."""


@dataclass(frozen=True)
class Programmed:
    """One programmed array.

    Attributes:
        g_s: (rows, columns) siemens. stuck: (rows, columns).
        pulses: writes. reads: verifying reads. failed: cells that `MAX_WRITES` writes left outside the tolerance, stuck
            ones among them; 0 when written once.
        floored: cells whose error would have made them negative; they are 0.
    """

    g_s: FloatArray
    stuck: BoolArray
    pulses: int
    reads: int
    failed: int
    floored: int


def program(
    target_s: FloatArray,
    device: Device,
    seed: int,
    key: tuple[int, ...],
    *,
    method: Literal["once", "verify"] = "once",
    tolerance: float = 0.01,
    age_seconds: float = 0.0,
    generation: int = 0,
) -> Programmed:
    """Program an array and let it age: states, error, stuck cells, drift, in this order.

    Args:
        target_s: (rows, columns) siemens within the device's range.
        seed, key: name the array, for instance (tile, array, slice, plane).
        method: "verify" writes a cell until a read is within ``tolerance`` of the range, at most `MAX_WRITES` times;
            the read is exact, and what follows it (the drift) is not verified.
        generation: number of the programming (refreshes); its errors are new, its stuck cells are the same.

    Raises:
        InputError: a tolerance of 0 or less; a negative time, or one beyond what was measured.
        ValueError: targets outside the range.
    """
    device.drift.check(age_seconds)
    target = np.asarray(target_s, np.float64)
    slack = 1e-9 * device.g_max_s
    if target.min(initial=device.g_min_s) < device.g_min_s - slack or target.max(initial=0) > device.g_max_s + slack:
        raise ValueError(f"targets of {target.min():g} to {target.max():g} S are outside the range of {device.name}")
    wanted = device.quantised(target)
    low, high = _stuck(target.shape, device, seed, key)
    if method == "verify":
        if not tolerance > 0:
            raise InputError(f"crossbar.verify_tolerance = {tolerance:g} accepts no conductance; use more than 0")
        allowed = tolerance * device.range_s
        written, writes = _verified(wanted, device, allowed, seed, (*key, generation))
        held = np.where(low, device.g_min_s, device.g_max_s)
        writes = np.where(low | high, np.where(np.abs(held - wanted) <= allowed, 1, MAX_WRITES + 1), writes)
        pulses, failed = int(np.minimum(writes, MAX_WRITES).sum()), int(np.count_nonzero(writes > MAX_WRITES))
    else:
        written, pulses, failed = _once(wanted, device, seed, (*key, generation)), wanted.size, 0
    written = np.where(low, device.g_min_s, np.where(high, device.g_max_s, written))
    floored = int(np.count_nonzero(written < 0))
    written = np.maximum(written, 0.0)
    if age_seconds > 0:
        moved = device.aged(written, age_seconds, normals(target.shape, seed, Stream.DRIFT, *key, generation))
        written = np.where(low | high, written, moved)
    reads = pulses if method == "verify" else 0
    return Programmed(written, low | high, pulses, reads, failed, floored)


def _stuck(shape: tuple[int, ...], device: Device, seed: int, key: tuple[int, ...]) -> tuple[BoolArray, BoolArray]:
    if device.stuck_low == 0 and device.stuck_high == 0:
        return np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
    return device.stuck_cells(uniforms((shape[0], shape[1]), seed, Stream.STUCK, *key))


def _once(wanted: FloatArray, device: Device, seed: int, key: tuple[int, ...]) -> FloatArray:
    """What one write leaves in each cell, siemens; may be negative."""
    sigma = device.sigma_s(wanted)
    if not sigma.any():
        return wanted
    return wanted + sigma * normals((wanted.shape[0], wanted.shape[1]), seed, Stream.PROGRAM, *key)


def _verified(
    wanted: FloatArray, device: Device, allowed: float, seed: int, key: tuple[int, ...]
) -> tuple[FloatArray, IntArray]:
    """(conductances, writes) of each cell, written until it is within ``allowed`` siemens.

    Not played write by write but drawn from its law, from two numbers a cell: a write is accepted with the probability
    p of the normal law within the tolerance, so the number of writes is geometric, and what is held is that normal law
    cut to the tolerance - or, after `MAX_WRITES` refusals (the count is then one more), to its outside. A cell whose
    write would be negative reads as 0.
    """
    shape = (wanted.shape[0], wanted.shape[1])
    sigma = device.sigma_s(wanted)
    if not sigma.any():
        return wanted, np.ones(shape, np.int64)
    reach = allowed / np.where(sigma > 0, sigma, np.nan)
    reach = np.where(sigma > 0, reach, np.inf)
    below = np.where(wanted <= allowed, 0.0, special.ndtr(-reach))  # probability of landing under the tolerance
    p = np.maximum(special.ndtr(reach) - below, np.finfo(np.float64).tiny)
    with np.errstate(divide="ignore", over="ignore"):  # p = 1: one write; p = 0: never
        refused = np.log1p(-uniforms(shape, seed, Stream.PROGRAM, *key, 0)) / np.log1p(-p)
    writes = 1 + np.floor(np.minimum(refused, MAX_WRITES)).astype(np.int64)
    u = uniforms(shape, seed, Stream.PROGRAM, *key, 1)
    outside = u * (1 - p)
    quantile = np.where(writes > MAX_WRITES, np.where(outside < below, outside, outside + p), below + u * p)
    z = special.ndtri(np.clip(quantile, np.finfo(np.float64).tiny, 1 - np.finfo(np.float64).epsneg))
    return wanted + sigma * z, writes
