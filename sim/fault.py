"""Bit flips as values: what is hit, where, which bit, and before which step. Checked against a plan, drawn from a seed.

A flip hits one tile's own copy. Halo pixels have copies of R and r~ in several tiles; weights lie in every tile, and in
each twice: the gather part feeds D, the scatter part feeds R (``layout.py``).
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..golden.errors import InputError
from .plan import Plan
from .tiling import DIRECTIONS, bits

MEMORIES = ("u", "d", "r", "s", "weight", "link")
"""What can be hit: membranes, drives, residual, residual sent last, weights, code events between tiles."""
GATHER, SCATTER = 0, 1
"""The two parts of a weight memory."""
DROPPED = -1
"""In place of a bit of a link: the event is lost."""
EVENT_FIELDS = ("k", "i", "j", "dy")
"""Of a code event on a link, from its lowest bit on."""

_ADDRESS = {
    "u": ("k", "i", "j"),
    "d": ("k", "i", "j"),
    "r": ("c", "y", "x"),
    "s": ("c", "y", "x"),
    "weight": ("part", "k", "c", "a", "b"),
    "link": ("link", "number"),
}


@dataclass(frozen=True)
class Fault:
    """One flipped bit.

    Args:
        memory: one of `MEMORIES`. tile: whose copy, in raster order; of a link the receiving tile.
        address: of u and d (k, i, j) in the tile's block; of r and s (c, y, x) in its region; of weight (part, k, c, a,
            b), part being `GATHER` or `SCATTER`; of link (link, number): the receiver's link and which event of the
            step on it, from 0.
        bit: of the stored word, from the lowest; of link a bit of the event as it travels (k, i, j, dy, from the lowest
            bit on), or `DROPPED`.
        step: a memory is hit when the tile begins this step, before it scans R; a link in the exchange of this step.

    Raises:
        InputError: no such memory, an address of another length, a negative number.
    """

    memory: str
    tile: int
    address: tuple[int, ...]
    bit: int
    step: int

    def __post_init__(self) -> None:
        if self.memory not in MEMORIES:
            raise InputError(f"a fault hits one of {', '.join(MEMORIES)}, not '{self.memory}'")
        names = _ADDRESS[self.memory]
        if len(self.address) != len(names):
            raise InputError(
                f"the address of a fault in {self.memory} is ({', '.join(names)}), not {tuple(self.address)}"
            )
        least = DROPPED if self.memory == "link" else 0
        if self.tile < 0 or self.step < 0 or min(self.address) < 0 or self.bit < least:
            raise InputError(f"tile, address, bit and step of a fault must not be negative: {self}")

    def __str__(self) -> str:
        where = ", ".join(f"{name} {value}" for name, value in zip(_ADDRESS[self.memory], self.address, strict=True))
        hit = "event dropped" if self.bit == DROPPED else f"bit {self.bit}"
        return f"{self.memory} of tile {self.tile} ({where}), {hit}, step {self.step}"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"address": list(self.address)}


def event_widths(plan: Plan) -> tuple[int, int, int, int]:
    """Bits of k, i, j and dy of a code event on a link, in the order in which they lie in it."""
    t = plan.tiling
    return bits(t.geometry.kernels), bits(t.block[0]), bits(t.block[1]), plan.code_change_width


def word_bits(plan: Plan, memory: str) -> int:
    """Bits of a word of a memory, or of an event on a link."""
    widths = {
        "u": plan.membrane.width,
        "d": plan.drive_width,
        "r": plan.residual_width,
        "s": plan.residual.width,
        "weight": plan.weight.width,
        "link": sum(event_widths(plan)),
    }
    return widths[memory]


def extent(plan: Plan, memory: str) -> tuple[int, ...]:
    """How many values each number of an address can have; the events of a link are not bounded by the plan."""
    t, g = plan.tiling, plan.tiling.geometry
    if memory in ("u", "d"):
        return g.kernels, *t.block
    if memory in ("r", "s"):
        return g.channels, *t.region
    if memory == "weight":
        return 2, g.kernels, g.channels, g.patch, g.patch
    return len(DIRECTIONS), g.neurons


def check_faults(plan: Plan, faults: Iterable[Fault], steps: int) -> None:
    """Refuse what this machine does not have.

    Raises:
        InputError: a tile, an address, a bit, a link or a step beyond the machine or the frame.
    """
    for fault in faults:
        if fault.tile >= plan.tiling.count:
            raise InputError(f"no such tile: {fault}; the mesh has {plan.tiling.count}")
        sizes = extent(plan, fault.memory)
        if any(value >= size for value, size in zip(fault.address, sizes, strict=True)):
            raise InputError(f"no such address: {fault}; it is less than {sizes}")
        if fault.memory == "link" and plan.tiling.neighbour(fault.tile, fault.address[0]) < 0:
            raise InputError(f"no neighbour at that link: {fault}")
        if fault.bit >= word_bits(plan, fault.memory):
            raise InputError(f"no such bit: {fault}; a word of {fault.memory} has {word_bits(plan, fault.memory)}")
        if fault.step >= steps:
            raise InputError(f"no such step: {fault}; the frame has {steps}")


def random_fault(
    plan: Plan, memory: str, rng: np.random.Generator, *, step: int, bit: int | None = None, events: int = 1
) -> Fault:
    """A fault drawn uniformly over the tiles and words of a memory.

    Args:
        bit: which one; drawn where None. events: a link's event is one of the first so many of the step.

    Raises:
        InputError: a link fault on a mesh of a single tile.
    """
    t = plan.tiling
    bit = int(rng.integers(word_bits(plan, memory))) if bit is None else bit
    if memory == "link":
        ends = np.argwhere(t.neighbours >= 0)
        if not len(ends):
            raise InputError("a mesh of one tile has no links to hit; set machine.tiles to [2, 2] or more")
        tile, link = ends[rng.integers(len(ends))].tolist()
        return Fault("link", tile, (link, int(rng.integers(events))), bit, step)
    address = tuple(int(rng.integers(size)) for size in extent(plan, memory))
    return Fault(memory, int(rng.integers(t.count)), address, bit, step)
