"""Kernels stored in cells that take pulses, and three ways to change them: ideal, naive, write-and-verify.

A weight w of -1 .. 1 is held by one cell against a reference, ``w = h - h_ref`` with the cell's state h, or by a pair
of cells, ``w = (h+ - h-)/2``, which starts in the middle (h+ = w, h- = -w) and takes half of the pulses each, in
opposite directions: the pair's mean step is then equally long up and down, whatever that of its cells is. A state h of
-1 .. 1 is a conductance from G_min to G_max.

=============  =========================================================================================================
ideal          every weight moves by what was asked; no bounds
naive          as many pulses as the nominal step fits into what was asked, and nobody looks what came of them
write-verify   read, pulse towards the wanted weight, read again: until within a tolerance or out of pulses
=============  =========================================================================================================
"""

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from ....golden.errors import InputError
from ..devices.cell import Device
from ..program import program
from ..streams import FloatArray
from .presets import UpdateDevice
from .pulses import Cells, IntArray

How = Literal["ideal", "naive", "write-verify"]
Rounding = Literal["stochastic", "nearest"]


@dataclass(frozen=True)
class UpdateRule:
    """How a wanted change is brought to the cells.

    Args:
        how: "ideal", "naive" or "write-verify". rounding: of the naive number of pulses; "stochastic" is right on
            average, "nearest" loses every change below half a step. tolerance: of write-and-verify, in units of w.
        budget: pulses that write-and-verify may give a weight in one update. train: pulses it sends between two reads;
            where cells show write noise, few are better: the noise is drawn anew by every train and reading chooses.

    Raises:
        InputError: a value outside its range.
    """

    how: How = "naive"
    rounding: Rounding = "stochastic"
    tolerance: float = 0.01
    budget: int = 50
    train: int = 1

    def __post_init__(self) -> None:
        for name, kind in (("--update", How), ("--rounding", Rounding)):
            value = self.how if kind is How else self.rounding
            if value not in get_args(kind):
                raise InputError(f"{name} must be one of {', '.join(get_args(kind))}, not '{value}'")
        if not 0 < self.tolerance < np.inf:
            raise InputError(f"--tolerance must be above 0, not {self.tolerance}; 0.01 is a hundredth of the largest "
                             "weight")  # fmt: skip
        if self.budget < 1:
            raise InputError(f"--budget must be at least 1 pulse a weight and update, not {self.budget}")
        if self.train < 1:
            raise InputError(f"--train must be at least 1 pulse between two reads, not {self.train}")


@dataclass(frozen=True)
class Spent:
    """What updates cost: pulses sent (to stuck cells too), conversions of weights read to verify."""

    pulses: int = 0
    verify_reads: int = 0

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(self.pulses + other.pulses, self.verify_reads + other.verify_reads)


@dataclass(frozen=True, eq=False)
class Stored:
    """Weights on an array.

    Args:
        cells: of shape (devices, ...): 1 with a reference, or the 2 of a pair. held: what they hold; shown: what they
            show until the next write. device: conductances and read noise.
    """

    cells: Cells
    held: FloatArray
    shown: FloatArray
    device: Device

    @property
    def devices(self) -> int:
        """Cells of a weight."""
        return len(self.held)

    @property
    def step(self) -> float:
        """Nominal change of a weight by one pulse at one of its cells."""
        return self.cells.device.step / self.devices

    @property
    def weights(self) -> FloatArray:
        """What the array multiplies by, of shape ``held.shape[1:]``."""
        return self._difference(self.shown - self.cells.reference)

    @property
    def at_bounds(self) -> float:
        """Share of the cells that are not stuck and hold their lowest or highest value."""
        free = ~self.cells.stuck
        edge = (self.held <= self.cells.low) | (self.held >= self.cells.high)
        return float((edge & free).sum() / max(1, free.sum()))

    def read(self, rng: np.random.Generator) -> FloatArray:
        """The weights, read once: with read noise, converted without loss."""
        sigma = self.device.read_sigma_s(self.conductances_s) / (0.5 * self.device.range_s)
        if not sigma.any():
            return self.weights
        return self._difference(self.shown - self.cells.reference + sigma * rng.standard_normal(self.shown.shape))

    @property
    def conductances_s(self) -> FloatArray:
        """What the cells show, in siemens, at least 0."""
        return np.maximum(0.0, self.device.g_min_s + 0.5 * self.device.range_s * (1.0 + self.shown))

    def _difference(self, values: FloatArray) -> FloatArray:
        return np.asarray(values[0] if self.devices == 1 else 0.5 * (values[0] - values[1]))

    def moved(self, change: FloatArray) -> "Stored":
        """Every weight changed by ``change`` exactly, as far as its cells are not stuck."""
        free = ~self.cells.stuck
        share = free * self.devices / np.maximum(1, free.sum(axis=0))
        held = self.held + share * change * self._signs
        return replace(self, held=held, shown=held)

    def pulsed(self, counts: IntArray, rng: np.random.Generator) -> "Stored":
        """The array after ``counts`` pulses a weight; a pair shares them, an odd one goes to either cell by chance."""
        if self.devices == 1:
            each = counts[None]
        else:
            first = np.sign(counts) * ((np.abs(counts) + rng.integers(0, 2, counts.shape)) // 2)
            each = np.stack([first, first - counts])
        held = self.cells.pulsed(self.held, each, rng)
        touched = each != 0
        held = np.where(touched, held, self.held)
        return replace(self, held=held, shown=np.where(touched, self.cells.shown(held, rng), self.shown))

    @property
    def _signs(self) -> FloatArray:
        return np.array([1.0, -1.0])[: self.devices].reshape(-1, *[1] * (self.held.ndim - 1))


def store(
    weights: FloatArray, update: UpdateDevice, device: Device, seed: int, *, pair: bool,
    method: Literal["once", "verify"] = "once", tolerance: float = 0.01, age_seconds: float = 0.0,
) -> tuple[Stored, Spent]:  # fmt: skip
    """Weights (K, C, p, p) of -1 .. 1 written into new cells, with levels, error, faults and drift of ``device``.

    Args:
        pair: two cells a weight, else one against its reference. method, tolerance, age_seconds: as for `program`.

    Raises:
        InputError: as for `program`.
    """
    half = 0.5 * device.range_s
    zero = (device.g_min_s + half) / half
    shape = (2 if pair else 1, *weights.shape)
    cells = Cells.draw(update, shape, seed, floor=-zero, centred=update.centred and not pair)
    wanted = cells.reference + np.stack([weights, -weights][: shape[0]])
    rows = wanted.reshape(shape[0], shape[1], -1)
    held, stuck, spent = np.empty_like(rows), np.empty(rows.shape, bool), Spent()
    for plane in range(shape[0]):
        target = device.g_min_s + half * (1.0 + np.clip(rows[plane].T, -1.0, 1.0))
        written = program(target, device, seed, (plane,), method=method, tolerance=tolerance,
                          age_seconds=age_seconds)  # fmt: skip
        held[plane], stuck[plane] = (written.g_s / half - zero).T, written.stuck.T
        spent += Spent(written.pulses, written.reads)
    free = np.clip(held.reshape(shape), cells.low, cells.high)
    cells = replace(cells, stuck=stuck.reshape(shape))
    state = np.where(cells.stuck, held.reshape(shape), free)
    return Stored(cells, state, state, device), spent


def update(
    stored: Stored, change: FloatArray, wanted: FloatArray, rule: UpdateRule, rng: np.random.Generator
) -> tuple[Stored, Spent]:
    """The array after one update.

    Args:
        change: asked of every weight (ideal, naive). wanted: the weights that write-and-verify is to reach.
    """
    if rule.how == "ideal":
        return stored.moved(change), Spent()
    if rule.how == "write-verify":
        return _verified(stored, wanted, rule, rng)
    pulses = change / stored.step
    if rule.rounding == "stochastic":
        counts = np.floor(pulses + rng.random(pulses.shape)).astype(np.int64)
    else:
        counts = np.rint(pulses).astype(np.int64)
    return stored.pulsed(counts, rng), Spent(int(np.abs(counts).sum()))


def _verified(
    stored: Stored, wanted: FloatArray, rule: UpdateRule, rng: np.random.Generator
) -> tuple[Stored, Spent]:
    left = np.full(wanted.shape, rule.budget, np.int64)
    open_ = np.ones(wanted.shape, bool)
    spent = Spent()
    while open_.any():
        off = wanted - stored.read(rng)
        spent += Spent(0, int(open_.sum()))
        open_ &= (np.abs(off) > rule.tolerance) & (left > 0)
        asked = np.sign(off) * np.maximum(1.0, np.rint(np.abs(off) / stored.step))
        most = np.minimum(left, rule.train)
        counts = np.where(open_, np.clip(asked, -most, most), 0).astype(np.int64)
        left -= np.abs(counts)
        stored = stored.pulsed(counts, rng)
        spent += Spent(int(np.abs(counts).sum()))
    return stored, spent
