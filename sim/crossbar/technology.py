"""Technology numbers of a crossbar machine: converters, drivers, cells and the logic beside them, at 32 nm.

As in `sim.tech`: every value is published, or follows from published ones by a rule that its source states; what has no
source that can be cited is named in ``missing`` instead of being charged.
"""

import math
from dataclasses import dataclass, fields, replace

from ...golden.errors import InputError
from ..tech import ASIC_45NM, Band, Number, Technology, node_scale

NODE_NM = 32
_ISAAC = "ISAAC (Shafiee et al., ISCA 2016, Table I, 32 nm)"
_ISAAC_ADC = (
    "ISAAC's ADC (Kull et al., ISSCC 2013, 8 bits) scaled in bits after Saberi et al. 2011 (accelergy-library-plug-in)"
)
_SURVEY = "fit of B. Murmann's ADC survey at 32 nm (accelergy-adc-plug-in; Andrulis, Chen et al., arXiv 2404.06553)"
_ADC_UM2 = ((4, 361.04), (5, 476.91), (6, 626.91), (7, 845.18), (8, 1200.0), (9, 1827.9), (10, 3002.0))
_PUMA = "PUMA simulator, include/constants.py (Ankit et al., ASPLOS 2019)"
_AT_32 = "scaled by Stillmaker and Baas 2017"


@dataclass(frozen=True)
class Converter:
    """A number of a converter that grows with its bits.

    Args:
        points: (bits, band) in rising order. Between two of them a value grows by the same factor with every bit;
            below the first it is that of the first; from the last on it grows by ``beyond`` with every bit.
        unit, node_nm, source: as for `Number`.
    """

    points: tuple[tuple[int, Band], ...]
    beyond: float
    unit: str
    node_nm: int
    source: str

    def at(self, bits: int) -> Number:
        """The number of a converter of so many bits.

        Raises:
            InputError: less than 1 bit.
        """
        if bits < 1:
            raise InputError(f"a converter has 1 bit or more, not {bits}")
        found = Band(*(self._edge(bits, edge) for edge in ("low", "typical", "high")))
        first, last = self.points[0][0], self.points[-1][0]
        how = ""
        if bits < first:
            how = f" {bits} bits: as {first}, the least that the sources have."
        elif bits > last:
            how = f" {bits} bits: extrapolated from {last}, times {self.beyond:g} a bit."
        return Number(found, self.unit, self.node_nm, self.source + how)

    def _edge(self, bits: int, edge: str) -> float:
        known = [(n, float(getattr(band, edge))) for n, band in self.points]
        if bits >= known[-1][0]:
            return known[-1][1] * self.beyond ** (bits - known[-1][0])
        if bits <= known[0][0]:
            return known[0][1]
        (n0, v0), (n1, v1) = next(pair for pair in zip(known, known[1:], strict=False) if bits <= pair[1][0])
        return math.exp(math.log(v0) + (math.log(v1) - math.log(v0)) * (bits - n0) / (n1 - n0))

    def scaled(self, factor: float) -> "Converter":
        """The same converter times a factor, for what-if questions and tests."""
        return replace(self, points=tuple((n, band * factor) for n, band in self.points))


@dataclass(frozen=True)
class CrossbarTechnology:
    """What a crossbar machine's parts cost.

    Args:
        name, title: short and readable. node_nm: of everything but the cells, which are the device preset's.
        adc_pj: one conversion, by bits. adc_mm2: one ADC, by bits. adc_rate_per_ns: conversions of 8 bits in a
            nanosecond; a successive-approximation ADC decides a bit after the other, so b bits take b/8 as long.
        row_drive_pj: switching one line on and off. dac_bit_pj: each bit of its amplitude beyond the first.
        sample_pj: one sampled output. add_bit_pj: one bit of an adder. memory_bit_pj: one bit read or written.
        register_bit_pj: one register bit clocked. adc_leak_uw, drive_leak_uw, sample_leak_uw: while they wait.
        stage_ns: one stage of the pipeline (sample-and-hold, shift-and-add, update).
        cell_mm2, sample_mm2, shift_add_mm2, memory_bit_mm2: area of one. line_mm2: a line's driver, by bits.
        missing: what is not charged for want of a number that could be cited.
    """

    name: str
    title: str
    node_nm: int
    adc_pj: Converter
    adc_mm2: Converter
    adc_rate_per_ns: Number
    row_drive_pj: Number
    dac_bit_pj: Number
    sample_pj: Number
    add_bit_pj: Number
    memory_bit_pj: Number
    register_bit_pj: Number
    adc_leak_uw: Number
    drive_leak_uw: Number
    sample_leak_uw: Number
    stage_ns: Number
    cell_mm2: Number
    line_mm2: Converter
    sample_mm2: Number
    shift_add_mm2: Number
    memory_bit_mm2: Number
    missing: tuple[str, ...] = ()

    def numbers(self) -> dict[str, Number]:
        """Every number by its key, the converters' apart (they depend on the bits)."""
        return {f.name: value for f in fields(self) if isinstance(value := getattr(self, f.name), Number)}


def _logic(number: Number) -> Number:
    """A number of the standard cells at 45 nm, brought to 32 nm."""
    return Number(number.band * node_scale(45, NODE_NM), number.unit, NODE_NM, f"{number.source}; {_AT_32} to 32 nm")


LOGIC_32NM: Technology = replace(
    ASIC_45NM,
    name="asic-32nm",
    title="Standard cells, 45 nm scaled to 32 nm",
    node_nm=NODE_NM,
    **{key: _logic(number) for key, number in ASIC_45NM.numbers().items()},  # type: ignore[arg-type]
)
"""`sim.tech.ASIC_45NM` at the node of the crossbars' periphery: for their logic, and for a machine beside them."""


def _exact(value: float, unit: str, source: str) -> Number:
    return Number(Band(value, value, value), unit, NODE_NM, source)


ISAAC_32NM = CrossbarTechnology(
    name="crossbar-32nm",
    title="Memristor crossbars, periphery at 32 nm",
    node_nm=NODE_NM,
    adc_pj=Converter(
        (
            (4, Band(0.79, 0.92, 0.92)),
            (6, Band(1.07, 1.07, 1.20)),
            (8, Band(1.56, 1.71, 1.93)),
            (10, Band(2.38, 3.31, 16.4)),
        ),
        4.0,
        "pJ/conversion",
        NODE_NM,
        f"Typical: {_SURVEY}, up to 100 MS/s, best designs. Band: {_ISAAC_ADC}, 16 mW of eight at 1.28 GS/s = 1.56 pJ; "
        "the fit at 1.28 GS/s. Past 10 bits thermal noise: four times the energy for each bit at one Schreier figure "
        "of merit.",
    ),
    adc_mm2=Converter(
        tuple((bits, Band(um2, um2, um2 * 6469 / 1200) * 1e-6) for bits, um2 in _ADC_UM2),
        2.0,
        "mm2",
        NODE_NM,
        f"{_ISAAC_ADC}: 8 bits 0.0012 mm2. High: {_SURVEY}, 6469 um2 for 8 bits at 1.28 GS/s, in the same ratio for "
        "other bits. Past 10 bits the capacitors double with each bit.",
    ),
    adc_rate_per_ns=Number(
        Band(1.2, 1.28, 1.28), "conversions of 8 bits/ns", NODE_NM, f"{_ISAAC}: 1.2 GS/s in the table, 1.28 in the text"
    ),
    row_drive_pj=Number(
        Band(0.39, 0.39, 0.41667),
        "pJ/line",
        NODE_NM,
        f"{_ISAAC}: 4 mW for 1024 1-bit row drives in 100 ns; high: the same table over the rows in use "
        "(accelergy-library-plug-in, 0.417 pJ)",
    ),
    dac_bit_pj=Number(
        Band(
            0.291 / 8 * node_scale(40, NODE_NM),
            0.05 * 0.9**2 * node_scale(28, NODE_NM),
            0.793 / 8,
        ),
        "pJ/bit",
        NODE_NM,
        f"Typical: ZigZag's DAC, 0.05 V^2 pJ a bit at 28 nm and 0.9 V, {_AT_32}. Low: 8 bits 0.291 pJ at 40 nm "
        f"(Brahms, accelergy-library-plug-in), {_AT_32}. High: 8 bits 0.793 pJ at 65 nm (Lightning, in CiMLoop)",
    ),
    sample_pj=Number(
        Band(0.00097, 0.00098, 0.00098),
        "pJ/sample",
        NODE_NM,
        f"{_ISAAC}: 10 uW for 8 x 128 sample-and-holds in 100 ns. Low: {_PUMA}, 9.7 nW each",
    ),
    add_bit_pj=LOGIC_32NM.add_bit_pj,
    memory_bit_pj=LOGIC_32NM.memory_bit_pj,
    register_bit_pj=LOGIC_32NM.clock_pj,
    adc_leak_uw=_exact(200.0, "uW", f"{_PUMA}: 0.2 mW of ISAAC's 2 mW an ADC"),
    drive_leak_uw=_exact(0.390625, "uW", f"{_PUMA}: a tenth of ISAAC's 3.9 uW a row drive"),
    sample_leak_uw=_exact(9.7e-4, "uW", f"{_PUMA}: a tenth of ISAAC's 9.7 nW a sample-and-hold"),
    stage_ns=_exact(1.0, "ns", f"{_PUMA}: sample-and-hold, shift-and-add and ALU take one 1 ns cycle each"),
    cell_mm2=Number(
        Band(25.0 / 128**2, 4 * 0.032**2, 48 * 0.032**2) * 1e-6,
        "mm2/cell",
        NODE_NM,
        f"Typical: 4 F^2, a passive crosspoint at 32 nm. Low: {_ISAAC}, 25 um2 for 128 x 128. High: 4F x 12F, a "
        "transistor at every cell (DNN+NeuroSim V1.4, Param.cpp)",
    ),
    line_mm2=Converter(
        ((1, Band(1.67e-7, 1.67e-7, 1.67e-7)), (8, Band(1.67e-7, 8 * 1.67e-7, 2**7 * 1.67e-7))),
        2.0,
        "mm2/line",
        NODE_NM,
        f"{_ISAAC}: a 1-bit row drive 1.67e-7 mm2. No figure for the amplitude's further bits. Low: none; typical: a "
        "switch a bit; high: doubling with every bit, as accelergy-library-plug-in scales it",
    ),
    sample_mm2=_exact(0.00004 / 1024, "mm2/line", f"{_ISAAC}: 0.00004 mm2 for 8 x 128 sample-and-holds"),
    shift_add_mm2=_exact(0.00006, "mm2/ADC", f"{_ISAAC}: 0.00024 mm2 for 4 shift-and-add units of 16 bits"),
    memory_bit_mm2=_exact(
        0.083 / (2048 * 256), "mm2/bit", f"{_ISAAC}: 64 KB of eDRAM in 0.083 mm2"
    ),
    missing=(
        "links between tiles, which the run does not count",
        "amplifiers that keep sensed lines at virtual ground",
        "leakage and clock tree of the logic: no figure per gate that could be cited",
    ),
)
"""ISAAC's periphery with the survey's ADC, logic of standard cells scaled to 32 nm."""

TECHNOLOGIES: dict[str, CrossbarTechnology] = {ISAAC_32NM.name: ISAAC_32NM}
"""By name."""
