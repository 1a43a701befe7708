"""Technology numbers: what one operation costs, each with its unit, node and source, and a band where sources differ.

Nothing here is measured on this machine. Every value is a published number, or published numbers scaled between nodes
by the polynomials of Stillmaker and Baas, *Scaling equations for the accurate prediction of CMOS device performance
from 180 nm to 7 nm*, Integration 58, 2017. A number without a source that can be cited is not here:
`Technology.missing` says so instead.
"""

from dataclasses import dataclass, fields, replace
from itertools import pairwise

from ..golden.errors import InputError

NODES_NM: dict[int, float] = {45: 1.0, 40: 0.869, 32: 0.659, 28: 0.513, 22: 0.294, 16: 0.174, 7: 0.094}
"""Energy of an operation relative to 45 nm (Stillmaker and Baas 2017, 0.8 V)."""


def node_scale(from_nm: int, to_nm: int) -> float:
    """Factor from an energy at one node to the other, between the tabulated ones in straight lines.

    Raises:
        InputError: a node outside 7 to 45 nm.
    """
    return _relative(to_nm) / _relative(from_nm)


def _relative(node_nm: int) -> float:
    nodes = sorted(NODES_NM)
    if not nodes[0] <= node_nm <= nodes[-1]:
        raise InputError(f"node {node_nm} nm is outside the scaling table; use {nodes[0]} to {nodes[-1]} nm")
    for low, high in pairwise(nodes):
        if low <= node_nm <= high:
            part = (node_nm - low) / (high - low)
            return NODES_NM[low] * (1 - part) + NODES_NM[high] * part
    raise AssertionError  # the table has at least two nodes


@dataclass(frozen=True)
class Band:
    """(low, typical, high) of one quantity; adds and scales element by element."""

    low: float
    typical: float
    high: float

    def __add__(self, other: "Band") -> "Band":
        return Band(self.low + other.low, self.typical + other.typical, self.high + other.high)

    def __mul__(self, factor: float) -> "Band":
        return Band(self.low * factor, self.typical * factor, self.high * factor)

    def as_list(self) -> list[float]:
        """[low, typical, high]."""
        return [self.low, self.typical, self.high]


@dataclass(frozen=True)
class Number:
    """One technology number.

    Args:
        band: low, typical, high in ``unit``. unit: of one operation. node_nm: the node the band stands for.
        source: where it can be looked up, and what was derived from it.
    """

    band: Band
    unit: str
    node_nm: int
    source: str

    def scaled(self, factor: float) -> "Number":
        """The same number times a factor, for what-if questions and tests."""
        return replace(self, band=self.band * factor)


@dataclass(frozen=True)
class Technology:
    """What operations cost in one technology.

    Args:
        name, title: short and readable. node_nm: its node.
        multiply_8x8_pj: a product of two 8-bit numbers; others scale with the product of their widths.
        add_bit_pj: one bit of an adder, comparator or shifter.
        memory_bit_pj: one bit read from or written to a tile's memory.
        link_bit_pj: one bit to a neighbouring tile.
        clock_pj: clock tree and registers, one cycle of one ``clock_unit``.
        leakage_uw: of one ``clock_unit``; None: no number.
        clock_unit: what clock and leakage are counted by, "register bit" or groups of ``clock_multipliers``.
        missing: what is not charged for want of a number that could be cited.
    """

    name: str
    title: str
    node_nm: int
    multiply_8x8_pj: Number
    add_bit_pj: Number
    memory_bit_pj: Number
    link_bit_pj: Number
    clock_pj: Number
    leakage_uw: Number | None
    clock_unit: str
    clock_multipliers: int
    missing: tuple[str, ...] = ()

    def numbers(self) -> dict[str, Number]:
        """Every number by its key."""
        return {f.name: value for f in fields(self) if isinstance(value := getattr(self, f.name), Number)}


_HOROWITZ = "Horowitz, Computing's energy problem, ISSCC 2014, 45 nm 0.9 V"
_ALADDIN = "Aladdin 40 nm tables (accelergy-library-plug-in)"
_SCALING = "scaled by Stillmaker and Baas 2017"
_ICE40 = "iCE40 UP5K, measured with a Joulescope (tinyvision-ai-inc/ice40_power)"


def _at(node_nm: int, value: float, from_nm: int) -> float:
    return value * node_scale(from_nm, node_nm)


ASIC_45NM = Technology(
    name="asic-45nm",
    title="Standard cells, 45 nm",
    node_nm=45,
    multiply_8x8_pj=Number(
        Band(_at(45, 0.04, 28), 0.2, 0.2 * _at(45, 12.68, 40) / 3.1),
        "pJ",
        45,
        f"{_HOROWITZ}: 8-bit multiply 0.2 pJ. Low: 0.04 pJ of ZigZag's 8-bit MAC taken as 28 nm. High: the ratio of "
        f"{_ALADDIN} to Horowitz at 32 bits, 12.68 to 3.1 pJ. {_SCALING}",
    ),
    add_bit_pj=Number(
        Band(0.1 / 32, 0.03 / 8, _at(45, 0.21, 40) / 32),
        "pJ/bit",
        45,
        f"{_HOROWITZ}: add 8 bit 0.03 pJ (typical), 32 bit 0.1 pJ (low). High: {_ALADDIN}, 32 bit 0.21 pJ",
    ),
    memory_bit_pj=Number(
        Band(_at(45, 13.3 / 256, 28), 10 / 64, _at(45, 208 / 1024, 28)),
        "pJ/bit",
        45,
        f"{_HOROWITZ}: 64 bit from 8 KB 10 pJ. Low and high: ZigZag's SRAM tables taken as 28 nm, 13.3 pJ for "
        f"256 bit of 32 kbit and 208 pJ for 1024 bit of 1 Mbit. {_SCALING}",
    ),
    link_bit_pj=Number(
        Band(0.040, _at(45, 20.74 / 256, 32), 0.5314 / 0.892),
        "pJ/bit/hop",
        45,
        "Low: 1 mm of low-swing wire, 40 fJ/bit/mm. Typical: ISAAC's router, 20.74 pJ for 256 bit at 32 nm, "
        f"{_SCALING}. High: a 4x4 mesh in 45 nm SOI, 531.4 mW at 892 Gbit/s",
    ),
    clock_pj=Number(
        Band(_at(45, 0.009, 40) / 4, _at(45, 0.009, 40), 2 * _at(45, 0.009, 40)),
        "pJ/bit/cycle",
        45,
        f"{_ALADDIN}: 0.009 pJ a flip-flop bit, clocked every cycle. Low: gated three cycles of four. High: the clock "
        "tree costs as much again",
    ),
    leakage_uw=None,
    clock_unit="register bit",
    clock_multipliers=0,
    missing=("leakage: no figure per gate that could be cited",),
)
"""Standard cells at 45 nm, from published tables."""

_ISCA = node_scale(28, 40)

FPGA_40NM = Technology(
    name="fpga-40nm",
    title="FPGA, 40 nm (iCE40 measurements, system brackets)",
    node_nm=40,
    multiply_8x8_pj=Number(
        Band(6.1 * _ISCA, 24.1, 35.7),
        "pJ",
        40,
        f"{_ICE40}: 8x8 multiply with its counters and routing, 24.1 pJ with a DSP block, 35.7 pJ in LUTs (high). "
        f"Low: DeltaRNN on a 28 nm Zynq, 164 GOp/s/W = 6.1 pJ an operation, {_SCALING}",
    ),
    add_bit_pj=Number(
        Band(0.1 / 32 * 0.869, 0.014, 35.7 / 180),
        "pJ/bit",
        40,
        f"{_ICE40}: 0.014 pJ a logic cell and cycle of a counter. Low: {_HOROWITZ}, {_SCALING}. High: the 180 logic "
        "cells of a LUT multiply share all of its 35.7 pJ",
    ),
    memory_bit_pj=Number(
        Band(0.136, 0.42, 1.3),
        "pJ/bit",
        40,
        f"No block RAM figure can be cited; a bracket. Low: {_HOROWITZ}, SRAM 10 pJ for 64 bit, {_SCALING}. High: "
        "DeltaRNN's 12.2 pJ a MAC at 28 nm, everything included, as if the 16 bits of its weight cost it all. Typical: "
        "their geometric mean",
    ),
    link_bit_pj=Number(
        Band(0.035, 0.107, 0.52), "pJ/bit/hop", 40, f"The 45 nm figures of the standard cells, {_SCALING}"
    ),
    clock_pj=Number(
        Band(51.9 / 2, 51.9, 2 * 51.9),
        "pJ/cycle",
        40,
        f"{_ICE40}: 51.9 pJ a cycle for oscillator, clock tree and a small counter, per 8 multipliers as that device "
        "has. Band: a factor of two either way for another device of the same node",
    ),
    leakage_uw=Number(
        Band(112 / 2, 112.0, 2 * 112.0),
        "uW",
        40,
        f"{_ICE40}: halted, 92.1 uA at 1.219 V = 112 uW, per 8 multipliers as that device has. "
        "Band: a factor of two either way",
    ),
    clock_unit="multipliers",
    clock_multipliers=8,
)
"""FPGA fabric at 40 nm. There is no table per block to cite: measured iCE40 rows and brackets from whole systems."""

TECHNOLOGIES: dict[str, Technology] = {t.name: t for t in (FPGA_40NM, ASIC_45NM)}
"""By name."""

CONTEXT: tuple[tuple[str, str, str], ...] = (
    ("SAILnet ASIC, 65 nm, place and route", "486 pJ/pixel", "Kim, Knag, Chen, Zhang, IEEE TSP 62(16), 2014"),
    ("Sparse-coding ASIC, 65 nm, memory at 440 mV", "47.6 pJ/pixel", "Knag et al., IEEE JSSC 2015"),
    ("Object-recognition ASIC, 65 nm", "26.4 / 5.7 pJ/pixel", "Kim et al., Symp. VLSI Circuits 2015"),
    ("FPAA LCA, 4 inputs, 6 neurons", "240 us, 69.6 uW", "Shapero, Charles, Rozell, Hasler, IEEE JETCAS 2(3), 2012"),
)
"""Published results of other algorithms and sizes: (what, figure, source). Context, not a comparison."""
