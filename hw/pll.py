"""PLL settings: the dividers that bring a board's oscillator to a wanted clock, within the limits of the data sheet.

All arithmetic is in exact fractions of a MHz; a clock that no legal setting reaches within ``TOLERANCE`` is refused and
the nearest legal one named.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from amaranth.hdl import Const, Instance, Signal, Value

from ..golden.errors import InputError

TOLERANCE = Fraction(1, 100)
"""How far from the wanted clock the nearest setting may be."""


@dataclass(frozen=True)
class Limits:
    """What a PLL may do, all in MHz, lowest and highest.

    ``input``: reference; ``phase``: at the phase detector; ``vco``: oscillator; ``output``: at the output used.
    """

    primitive: str
    input: tuple[Fraction, Fraction]
    phase: tuple[Fraction, Fraction]
    vco: tuple[Fraction, Fraction]
    output: tuple[Fraction, Fraction]
    source: str


def _range(low: str, high: str) -> tuple[Fraction, Fraction]:
    return Fraction(low), Fraction(high)


LIMITS: dict[str, Limits] = {
    "ecp5": Limits(
        "EHXPLLL", _range("8", "400"), _range("10", "400"), _range("400", "800"), _range("3.125", "400"),
        "Lattice FPGA-DS-02012, ECP5 and ECP5-5G family data sheet, sysCLOCK PLL timing",
    ),
    "ice40": Limits(
        "SB_PLL40_PAD", _range("10", "133"), _range("10", "133"), _range("533", "1066"), _range("16", "275"),
        "Lattice FPGA-DS-02008, iCE40 UltraPlus family data sheet, sysCLOCK PLL timing",
    ),
    "gw1n": Limits(
        "rPLL", _range("3", "400"), _range("3", "400"), _range("400", "1200"), _range("3.125", "600"),
        "Gowin DS117, GW1NR series data sheet, PLL switching characteristics, C6/I5",
    ),
    "gw2a": Limits(
        "rPLL", _range("3", "500"), _range("3", "500"), _range("500", "1250"), _range("3.90625", "625"),
        "Gowin DS102, GW2A series data sheet, PLL switching characteristics, C8/I7",
    ),
    "series7": Limits(
        "PLLE2_BASE", _range("19", "800"), _range("19", "450"), _range("800", "1600"), _range("6.25", "800"),
        "AMD DS181 and DS187, Artix-7 and Zynq-7000 data sheets, PLL switching characteristics, speed grade -1",
    ),
}  # fmt: skip
"""Limits by the kind of PLL."""

_GOWIN_OUTPUT_DIVIDERS = (2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128)


@dataclass(frozen=True)
class Pll:
    """One setting: ``phase = input / reference``, ``vco = phase * feedback``, ``output = vco / divider``; MHz.

    ``kind`` is a key of ``LIMITS``, "" when the oscillator itself is the clock. ``loop`` (ECP5 only): the part of
    ``feedback`` that is the divider of the output the loop is closed over, as large as it can be.
    """

    kind: str
    input_mhz: Fraction
    reference: int = 1
    feedback: int = 1
    divider: int = 1
    loop: int = 1

    @property
    def phase_mhz(self) -> Fraction:
        """At the phase detector."""
        return self.input_mhz / self.reference

    @property
    def vco_mhz(self) -> Fraction:
        """The oscillator."""
        return self.phase_mhz * self.feedback

    @property
    def output_mhz(self) -> Fraction:
        """The clock achieved."""
        return self.vco_mhz / self.divider


def pll_of(kind: str, input_mhz: float | str | Fraction, wanted_mhz: float | str | Fraction) -> Pll:
    """The legal setting nearest to the wanted clock; the oscillator itself where that is the wanted clock.

    Of equally near settings the one with the fastest phase detector (least jitter), then the fastest oscillator.

    Raises:
        InputError: no setting is within ``TOLERANCE`` of the wanted clock.
    """
    limits, reference, wanted = LIMITS[kind], _exact(input_mhz), _exact(wanted_mhz)
    if wanted <= 0:
        raise InputError(f"a clock of {float(wanted):g} MHz is none; give a positive number of MHz")
    if wanted == reference:
        return Pll("", reference)
    candidates = [pll for pll in _settings(kind, limits, reference, wanted) if legal(pll)]
    candidates.append(Pll("", reference))
    best = min(candidates, key=lambda pll: (abs(pll.output_mhz - wanted), -pll.phase_mhz, -pll.vco_mhz))
    if abs(best.output_mhz - wanted) > TOLERANCE * wanted:
        raise InputError(
            f"a clock of {float(wanted):g} MHz cannot be made from {float(reference):g} MHz by {limits.primitive}; the "
            f"nearest is {float(best.output_mhz):.6g} MHz"
        )
    return best


def legal(pll: Pll) -> bool:
    """Whether a setting keeps every limit of its data sheet."""
    if not pll.kind:
        return True
    limits = LIMITS[pll.kind]
    found = (pll.input_mhz, pll.phase_mhz, pll.vco_mhz, pll.output_mhz)
    ranges = (limits.input, limits.phase, limits.vco, limits.output)
    inside = all(low <= value <= high for value, (low, high) in zip(found, ranges, strict=True))
    if pll.kind == "ecp5":  # the output that closes the loop is an output too
        inside = inside and limits.output[0] <= pll.vco_mhz / pll.loop <= limits.output[1]
    return inside


def _exact(mhz: float | str | Fraction) -> Fraction:
    """MHz as typed: 82.14 is 8214/100 and no binary neighbour of it."""
    return mhz if isinstance(mhz, Fraction) else Fraction(str(mhz))


def _near(value: Fraction, low: int, high: int) -> Iterator[int]:
    """The whole numbers on both sides of a value, moved into low .. high."""
    floor = value.numerator // value.denominator
    yield from {min(max(n, low), high) for n in (floor, floor + 1)}


def _settings(kind: str, limits: Limits, reference: Fraction, wanted: Fraction) -> Iterator[Pll]:
    """Settings with the feedback that comes nearest, for every reference and output divider of the primitive."""
    references = {"ecp5": 128, "ice40": 16, "gw1n": 64, "gw2a": 64, "series7": 56}[kind]
    aim = min(max(wanted, limits.output[0]), limits.output[1])
    for r in range(1, references + 1):
        phase = reference / r
        if not limits.phase[0] <= phase <= limits.phase[1]:
            continue
        if kind == "ecp5":
            for o in range(1, 129):
                for n in _near(aim * o / phase, 1, 80 * 128):
                    if limits.vco[0] <= phase * n <= limits.vco[1]:
                        slowest = max(loop for loop in range(1, 129) if not n % loop)
                        if n // slowest <= 80:
                            yield Pll(kind, reference, r, n, o, slowest)
        elif kind == "ice40":
            for q in range(1, 7):
                for n in _near(aim * 2**q / phase, 1, 128):
                    yield Pll(kind, reference, r, n, 2**q)
        elif kind == "series7":
            for o in range(1, 129):
                for n in _near(aim * o / phase, 2, 64):
                    yield Pll(kind, reference, r, n, o)
        else:  # Gowin: the loop is closed over the output divider
            for o in _GOWIN_OUTPUT_DIVIDERS:
                for n in _near(aim / phase, 1, 64):
                    yield Pll(kind, reference, r, n * o, o)


def parameters(pll: Pll, *, device: str = "") -> dict[str, int | str | Const]:
    """The parameters of the primitive, by name. ``device``: what a Gowin PLL wants to know."""
    if pll.kind == "ecp5":
        return {
            "CLKI_DIV": pll.reference,
            "CLKFB_DIV": pll.feedback // pll.loop,
            "FEEDBK_PATH": "CLKOP",
            "CLKOP_ENABLE": "ENABLED",
            "CLKOP_DIV": pll.loop,
            "CLKOP_CPHASE": pll.loop - 1,
            "CLKOP_FPHASE": 0,
            "CLKOS_ENABLE": "ENABLED",
            "CLKOS_DIV": pll.divider,
            "CLKOS_CPHASE": pll.divider - 1,
            "CLKOS_FPHASE": 0,
        }
    if pll.kind == "ice40":
        return {
            "FEEDBACK_PATH": "SIMPLE",
            "DIVR": Const(pll.reference - 1, 4),
            "DIVF": Const(pll.feedback - 1, 7),
            "DIVQ": Const(pll.divider.bit_length() - 1, 3),
            "FILTER_RANGE": Const(_filter_range(pll.phase_mhz), 3),
        }
    if pll.kind == "series7":
        return {
            "CLKIN1_PERIOD": f"{float(1000 / pll.input_mhz):.3f}",
            "DIVCLK_DIVIDE": pll.reference,
            "CLKFBOUT_MULT": pll.feedback,
            "CLKOUT0_DIVIDE": pll.divider,
        }
    return {
        "FCLKIN": f"{float(pll.input_mhz):g}",
        "IDIV_SEL": pll.reference - 1,
        "FBDIV_SEL": pll.feedback // pll.divider - 1,
        "ODIV_SEL": pll.divider,
        "DEVICE": device,
    }


def _filter_range(phase_mhz: Fraction) -> int:
    """The loop filter of an iCE40 PLL by the frequency at its phase detector (Project IceStorm, icepll)."""
    return 1 + sum(phase_mhz >= step for step in (17, 26, 44, 66, 101))


def instance(pll: Pll, source: object, output: Signal, locked: Signal, *, device: str = "") -> Instance:
    """The primitive. ``source``: a signal, or the bare pin for iCE40, whose PLL sits in the clock's own pad.

    ``output`` gets the clock, ``locked`` becomes 1 when it is steady; it comes without a clock of its own.
    """
    given = {f"p_{name}": value for name, value in parameters(pll, device=device).items()}
    if pll.kind == "ecp5":
        loop = Signal(name="pll_loop")
        return Instance(
            "EHXPLLL", **given, a_ICP_CURRENT="12", a_LPF_RESISTOR="8", a_MFG_ENABLE_FILTEROPAMP="1",
            a_MFG_GMCREF_SEL="2", i_CLKI=source, i_CLKFB=loop, i_RST=Const(0), i_STDBY=Const(0), i_PLLWAKESYNC=Const(0),
            i_ENCLKOP=Const(0), i_PHASESEL0=Const(0), i_PHASESEL1=Const(0), i_PHASEDIR=Const(1), i_PHASESTEP=Const(1),
            i_PHASELOADREG=Const(1), o_CLKOP=loop, o_CLKOS=output, o_LOCK=locked,
        )  # fmt: skip
    if pll.kind == "ice40":
        return Instance(
            "SB_PLL40_PAD", **given, i_PACKAGEPIN=source, i_RESETB=Const(1), i_BYPASS=Const(0), o_PLLOUTGLOBAL=output,
            o_LOCK=locked,
        )  # fmt: skip
    if pll.kind == "series7":
        loop = Signal(name="pll_loop")
        return Instance(
            "PLLE2_BASE", **given, i_CLKIN1=source, i_CLKFBIN=loop, i_RST=Const(0), i_PWRDWN=Const(0), o_CLKFBOUT=loop,
            o_CLKOUT0=output, o_LOCKED=locked,
        )  # fmt: skip
    off: dict[str, Value] = {f"i_{name}": Const(0) for name in ("RESET", "RESET_P", "CLKFB")}
    off |= {f"i_{name}": Const(0, 6) for name in ("FBDSEL", "IDSEL", "ODSEL")}
    off |= {f"i_{name}": Const(0, 4) for name in ("PSDA", "DUTYDA", "FDLY")}
    return Instance("rPLL", **given, **off, i_CLKIN=source, o_CLKOUT=output, o_LOCK=locked)
