"""Energy of a frame from what switches: toggles of every net of the tiles while the RTL runs, times the technology.

The netlist is the flattened tile before technology mapping. Once a clock, when everything has settled, every bit of
every net is compared with the clock before (glitches within a clock are not seen). A published energy of an operation
is taken as that of random operands, of whose bits half change: half of an operation's bits toggling cost its energy.
The technology numbers are those of ``sim/tech.py``; modelled, never measured. ``sim/cost.py`` counts operations
instead; nets that only observation outputs need are left out, as is the mesh's front.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..golden.dictionary import Dictionary
from ..golden.errors import InputError
from ..sim.cost import Cost, Row, clock_units, cost
from ..sim.design import Design
from ..sim.machine import Machine
from ..sim.plan import Plan
from ..sim.run import Run
from ..sim.tech import FPGA_40NM, Number, Technology
from ..sim.tiling import IntArray
from .cosim.activity import CountingMesh, build_counting
from .cosim.checker import Checker
from .cosim.harness import FINISHED
from .emit import quantised
from .netlist import Netlist, netlist

RANDOM = 0.5
"""Part of the bits of a word that change from one random word to the next."""


@dataclass(frozen=True)
class Activity:
    """What switched in a frame. ``toggles``, ``high``: by bit, summed over the tiles: changes, and clocks at 1.
    ``clocks``: looked at; one more than the frame has, for its first change wants one before.
    """

    netlist: Netlist
    run: Run
    toggles: IntArray
    high: IntArray
    clocks: int

    def of(self, port: str) -> int:
        """Toggles of a port of the tile, all bits and tiles together."""
        return int(self.toggles[list(self.netlist.named[port])].sum())


def count(plan: Plan, weights: IntArray, image: IntArray, steps: int, *, jobs: int = 1) -> Activity:
    """Run a cold frame, from its command to its closing word, and count; codes and cycles are held against the machine.

    Args:
        image: (C, H, W) integers of the input format.

    Raises:
        InputError: the RTL is not the machine. ToolError: it does not build.
    """
    nets = netlist(plan)
    run, check = Machine(plan, weights).frame(image, steps), Checker(plan)
    assert run.cycles is not None
    rtl = CountingMesh(plan, build_counting(plan, nets, jobs=jobs))
    with rtl:
        rtl.load_weights(plan.layout.beats(weights))
        rtl.begin()
        stream = np.moveaxis(image, 0, -1).reshape(-1)
        seen = rtl.frame(stream, steps, limit=2 * run.cycles.frame + 20_000)
        toggles, high, clocks = rtl.counted(nets.bits)
    if not seen.error and seen.status == FINISHED:
        check.codes(run, seen.codes, seen.closing)
        check.cycles(run, seen.phases, seen.beat_cycles)
    if seen.error or seen.status != FINISHED or check.mismatches:
        wrong = seen.error or check.first or "no closing word"
        raise InputError(f"the RTL is not the machine: {wrong}; see `striate verify`")
    return Activity(nets, run, toggles, high, clocks)


# ---- energy ----------------------------------------------------------------------------------------------------------
def energy(activity: Activity, clock_mhz: float, technology: Technology = FPGA_40NM) -> Cost:
    """What the frame costs by its toggles: rows as those of ``sim.cost.cost``, which they stand beside.

    Args:
        clock_mhz: the clock to assume, in MHz.
    """
    nets, plan, tech = activity.netlist, activity.run.plan, technology
    assert activity.run.cycles is not None
    tiles, cycles = plan.tiling.count, activity.run.cycles.frame
    rows: list[Row] = []

    def add(name: str, group: str, operations: float, unit: str, key: str, number: Number, factor: float = 1) -> None:
        rows.append(Row(name, group, operations, unit, number.band * (operations * factor), key))

    def toggled(bits: tuple[int, ...]) -> int:
        return int(activity.toggles[list(bits)].sum())

    # a product costs what a random one does times the part of its operand bits that changed, of those that would have
    products = sum(
        left * right / 64 * toggled(bits) / (RANDOM * (left + right)) for bits, left, right in nets.products
    )
    add("multipliers, by operand toggles", "arithmetic", products, "8x8 products of random words", "multiply_8x8_pj",
        tech.multiply_8x8_pj)  # fmt: skip
    for kind in ("adders and comparators", "logic", "registers", "memory outputs"):
        bits = nets.kinds.get(kind, ())
        group = "arithmetic" if kind == "adders and comparators" else "logic"
        add(kind, group, toggled(bits), "toggles", "add_bit_pj", tech.add_bit_pj, 1 / RANDOM)
    for name, accessed in memory_bits(activity).items():
        add(f"memory {name}", "memory", accessed, "bits", "memory_bit_pj", tech.memory_bit_pj)
    for kind in ("links", "chains"):
        add(f"{kind} between tiles", "links", toggled(nets.kinds.get(kind, ())), "toggles", "link_bit_pj",
            tech.link_bit_pj, 1 / RANDOM)  # fmt: skip
    units = clock_units(plan, tech) if tech.clock_multipliers else float(nets.register_bits * tiles)
    add("clock and registers", "idle", cycles * units, f"cycles x {tech.clock_unit}", "clock_pj", tech.clock_pj)
    if tech.leakage_uw is not None:  # uW times us is pJ
        add("leakage", "idle", cycles / clock_mhz * units, "us x units", "leakage_uw", tech.leakage_uw)
    return Cost(tech, tuple(rows), cycles, clock_mhz)


def memory_bits(activity: Activity) -> dict[str, int]:
    """Bits moved in each memory: all of a clocked read that is enabled, the enabled ones of a write, all tiles.

    A read without a clock (lookup tables) is no access: its outputs are nets.
    """
    clocks = activity.clocks * activity.run.plan.tiling.count
    moved: dict[str, int] = defaultdict(int)
    for memory in activity.netlist.memories:
        if not (memory.clocked or memory.write):
            continue
        on = [int(activity.high[bit]) if isinstance(bit, int) else clocks * (bit == "1") for bit in memory.enables]
        moved[_group(memory.name)] += sum(on) if memory.write else on[0] * memory.width
    return dict(moved)


def _group(name: str) -> str:
    """The memory's name in ``sim.traffic``."""
    first = name.split(".")[0]
    if "weights" in name:
        return "weights"
    return {"u": "U", "d": "D", "r": "R", "s": "r~", "exchange": "event stores"}.get(first, "queues")


@dataclass(frozen=True)
class Compared:
    """Energy of a frame, in pJ, by toggles and by counts. ``ratio``: of the typical values, toggles over counts."""

    by_activity: Cost
    by_counts: Cost

    @property
    def ratio(self) -> float:
        return self.by_activity.energy_pj.typical / self.by_counts.energy_pj.typical

    def as_dict(self) -> dict[str, Any]:
        """The keys of ``striate verify --activity``; energies are [low, typical, high]."""

        def parts(cost: Cost) -> dict[str, list[float]]:
            return {group: band.as_list() for group, band in cost.by_group().items()}

        return {
            "energy_activity_pj": self.by_activity.energy_pj.as_list(),
            "energy_counts_pj": self.by_counts.energy_pj.as_list(),
            "energy_ratio": self.ratio,
            "energy_parts_pj": {"activity": parts(self.by_activity), "counts": parts(self.by_counts)},
        }


def of_design(
    design: Design, picture: npt.NDArray[np.float64], *, steps: int | None = None, dictionary: Dictionary | None = None,
    jobs: int = 1,
) -> Compared:  # fmt: skip
    """Both models of one cold frame of a design, at the clock of its target.

    Args:
        picture: (C, H, W) float image for the design. steps: in place of the design's.

    Raises:
        InputError, ToolError: as `count`, and a design without hardware.
    """
    plan, weights = quantised(design, dictionary)
    steps = design.dynamics.steps if steps is None else steps
    return compare(count(plan, weights, plan.quantise_image(picture), steps, jobs=jobs), design.target.clock_mhz)


def compare(activity: Activity, clock_mhz: float, technology: Technology = FPGA_40NM) -> Compared:
    """Both models of the same frame at the same clock."""
    counted = cost(activity.run, clock_mhz, technology)
    assert counted is not None  # a delta run has cycles
    return Compared(energy(activity, clock_mhz, technology), counted)


__all__ = ["Activity", "Compared", "Netlist", "compare", "count", "energy", "memory_bits", "netlist", "of_design"]
