"""Energy and latency of a run: the counts of the bit-exact run times the technology, component by component.

Modelled, never measured. There is no second, analytical model that could disagree with the run: every factor is
either a count that the run incremented, a width of the plan or a number of `tech`.
"""

from dataclasses import dataclass

from .mapping.resources import resources
from .plan import Plan
from .run import Run
from .tech import FPGA_40NM, Band, Number, Technology
from .traffic import frame_traffic


@dataclass(frozen=True)
class Row:
    """One component: ``operations`` of ``each`` picojoules.

    ``group`` is what a stacked bar adds up ("arithmetic", "memory", "links", "idle"); ``key`` a number of `tech`.
    """

    component: str
    group: str
    operations: float
    unit: str
    energy_pj: Band
    key: str


class Priced:
    """What every cost has: rows of energy that add up, and a rate of frames."""

    rows: tuple[Row, ...]

    @property
    def frames_per_second(self) -> float:
        """One frame after the other."""
        raise NotImplementedError

    @property
    def energy_pj(self) -> Band:
        """Of the frame, all components."""
        return sum((row.energy_pj for row in self.rows), start=Band(0.0, 0.0, 0.0))

    @property
    def power_mw(self) -> Band:
        """Mean power while frames follow one another."""
        return self.energy_pj * (self.frames_per_second * 1e-9)

    def by_group(self) -> dict[str, Band]:
        """Sums of the rows' groups, in the order of the rows."""
        groups: dict[str, Band] = {}
        for row in self.rows:
            groups[row.group] = groups.get(row.group, Band(0.0, 0.0, 0.0)) + row.energy_pj
        return groups


@dataclass(frozen=True)
class Cost(Priced):
    """Energy and time of one frame.

    Args:
        technology: what the rows were multiplied with. rows: the components, which add up to ``energy_pj``.
        cycles: of the frame. clock_mhz: the stated target, not an achieved clock.
    """

    technology: Technology
    rows: tuple[Row, ...]
    cycles: int
    clock_mhz: float

    @property
    def latency_ms(self) -> float:
        """Of one frame at the target clock."""
        return self.cycles / self.clock_mhz * 1e-3

    @property
    def frames_per_second(self) -> float:
        """One frame after the other at the target clock."""
        return self.clock_mhz * 1e6 / self.cycles


def memory_bits(run: Run) -> dict[str, int]:
    """Bits read and written in each of the machine's memories during a cold frame: see `traffic`."""
    return {name: int(words.bits) for name, words in frame_traffic(run).memories.items()}


def cost(run: Run, clock_mhz: float, technology: Technology = FPGA_40NM) -> Cost | None:
    """What a frame of a delta run costs; None for the schedules that are no machine (they have no cycles).

    Args:
        clock_mhz: the clock to assume, in MHz.
    """
    if run.cycles is None:
        return None
    plan, n = run.plan, run.counts
    k, cycles, tech = plan.tiling.geometry.kernels, run.cycles.frame, technology
    rows: list[Row] = []

    def add(
        component: str, group: str, operations: float, unit: str, key: str, number: Number, factor: float = 1.0
    ) -> None:
        rows.append(Row(component, group, operations, unit, number.band * (operations * factor), key))

    traffic = frame_traffic(run)
    for name, p in traffic.products.items():
        area = p.left * p.right / 64
        add(f"{name}: multiply", "arithmetic", p.count, "products", "multiply_8x8_pj", tech.multiply_8x8_pj, area)
        add(f"{name}: accumulate", "arithmetic", p.count * p.total, "adder bits", "add_bit_pj", tech.add_bit_pj)
    # u + (D + y - u) >> k: three adds and a comparison over the widest operand, for every membrane in every step
    width = max(plan.drive_width, plan.membrane.width)
    add(
        "update: every membrane, every step",
        "arithmetic",
        n.update_positions * k * 4 * width,
        "adder bits",
        "add_bit_pj",
        tech.add_bit_pj,
    )
    add(
        "detect: compare every pixel, every step",
        "arithmetic",
        n.detect_words * plan.tiling.detect_lanes * 2 * plan.residual_width,
        "adder bits",
        "add_bit_pj",
        tech.add_bit_pj,
    )
    for name, words in traffic.memories.items():
        add(f"memory {name}", "memory", words.bits, "bits", "memory_bit_pj", tech.memory_bit_pj)
    add("links between tiles", "links", n.link_events * traffic.link_bits, "bits", "link_bit_pj", tech.link_bit_pj)
    units = clock_units(plan, tech)
    add("clock and registers", "idle", cycles * units, f"cycles x {tech.clock_unit}", "clock_pj", tech.clock_pj)
    if tech.leakage_uw is not None:  # uW times us is pJ
        add("leakage", "idle", cycles / clock_mhz * units, "us x units", "leakage_uw", tech.leakage_uw)
    return Cost(tech, tuple(rows), cycles, clock_mhz)


def clock_units(plan: Plan, technology: Technology) -> float:
    """What clock and leakage are multiplied with: pipeline register bits, or groups of multipliers."""
    if technology.clock_multipliers:
        return resources(plan).multipliers / technology.clock_multipliers
    return pipeline_bits(plan)


def pipeline_bits(plan: Plan) -> int:
    """Register bits of the pipelines of all tiles: operands, product, sum of each lane; words of update and detect."""
    t, k = plan.tiling, plan.tiling.geometry.kernels
    product = plan.weight.width + plan.residual_change_width
    gather = t.gather_lanes * (plan.weight.width + plan.residual_change_width + product + 2 * plan.drive_width)
    scatter = t.scatter_lanes * 2 * plan.residual_width
    update = k * (plan.drive_width + 2 * plan.membrane.width + plan.code_change_width)
    detect = t.detect_lanes * (plan.residual_width + 2 * plan.residual.width)
    return t.count * (gather + scatter + update + detect)
