"""PLL settings: the data sheets' formulas and limits, an exhaustive search as the second opinion, what is refused."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from striate.golden.errors import InputError
from striate.hw.pll import LIMITS, TOLERANCE, Pll, legal, parameters, pll_of

INPUTS = {"ecp5": ("25", "48"), "ice40": ("12",), "gw1n": ("27",), "gw2a": ("27",), "series7": ("100", "125")}


def made_of(pll: Pll) -> Fraction:
    """The clock that the primitive's parameters make, by the formula of its data sheet."""
    given = {name: value.value if hasattr(value, "value") else value for name, value in parameters(pll).items()}
    if pll.kind == "ecp5":  # the loop is closed over CLKOP, the clock is CLKOS
        assert given["FEEDBK_PATH"] == "CLKOP"
        loop = pll.input_mhz / given["CLKI_DIV"] * given["CLKFB_DIV"]
        return loop * given["CLKOP_DIV"] / given["CLKOS_DIV"]
    if pll.kind == "ice40":
        return pll.input_mhz * (given["DIVF"] + 1) / (2 ** given["DIVQ"] * (given["DIVR"] + 1))
    if pll.kind == "series7":
        return pll.input_mhz * given["CLKFBOUT_MULT"] / (given["DIVCLK_DIVIDE"] * given["CLKOUT0_DIVIDE"])
    return pll.input_mhz * (given["FBDIV_SEL"] + 1) / (given["IDIV_SEL"] + 1)


@pytest.mark.parametrize("kind", LIMITS)
@settings(max_examples=20)
@given(data=st.data())
def test_a_setting_keeps_the_limits_and_makes_the_clock(kind: str, data: st.DataObject) -> None:
    reference = data.draw(st.sampled_from(INPUTS[kind]))
    wanted = data.draw(st.decimals(1, 500, places=2, allow_nan=False))
    try:
        pll = pll_of(kind, reference, str(wanted))
    except InputError as error:
        nearest = Fraction(str(error).rpartition("nearest is ")[2].partition(" MHz")[0])
        assert abs(nearest - Fraction(wanted)) > TOLERANCE * Fraction(wanted) * Fraction("0.999")
        return
    assert legal(pll) and abs(pll.output_mhz - Fraction(wanted)) <= TOLERANCE * Fraction(wanted)
    if pll.kind:
        assert made_of(pll) == pll.output_mhz
        low, high = LIMITS[kind].vco
        assert low <= pll.vco_mhz <= high


def test_no_setting_of_an_ice40_is_nearer() -> None:
    """Against every one there is."""
    reference, (low, high) = Fraction(12), LIMITS["ice40"].vco
    every = {
        reference * (f + 1) / (r + 1) / 2**q
        for r in range(16)
        for f in range(128)
        for q in range(1, 7)
        if 10 <= reference / (r + 1) and low <= reference * (f + 1) / (r + 1) <= high
    }
    reachable = {clock for clock in every if 16 <= clock <= 275} | {reference}
    for wanted in (Fraction(n, 4) for n in range(40, 400)):
        best = min(abs(clock - wanted) for clock in reachable)
        if best <= TOLERANCE * wanted:
            assert abs(pll_of("ice40", reference, wanted).output_mhz - wanted) == best
        else:
            with pytest.raises(InputError):
                pll_of("ice40", reference, wanted)


def test_no_setting_of_an_ecp5_is_nearer() -> None:
    reference = Fraction(25)
    outputs = {
        reference * n / r / o
        for r in (1, 2)
        for n in range(1, 200)
        for o in range(1, 129)
        if 400 <= reference * n / r <= 800 and Fraction(25, 8) <= reference * n / r / o <= 400
    }
    for wanted in (Fraction(n, 3) for n in range(60, 400, 9)):
        got = pll_of("ecp5", reference, wanted).output_mhz
        assert abs(got - wanted) == min(abs(clock - wanted) for clock in outputs), (float(wanted), float(got))


def test_settings_that_others_compute() -> None:
    """icepll -i 12 -o 30 and -o 60, as the documentation of Project IceStorm shows them."""
    for wanted, divf, divq in ((30, 79, 5), (60, 79, 4)):
        names = parameters(pll_of("ice40", 12, wanted))
        given = {name: getattr(value, "value", value) for name, value in names.items()}
        found = {name: given[name] for name in ("DIVR", "DIVF", "DIVQ", "FILTER_RANGE")}
        assert found == {"DIVR": 0, "DIVF": divf, "DIVQ": divq, "FILTER_RANGE": 1}


def test_the_oscillator_itself() -> None:
    assert pll_of("ice40", 12, 12) == Pll("", Fraction(12)) and pll_of("ecp5", 48, "48.0").kind == ""


@pytest.mark.parametrize(
    ("kind", "reference", "wanted", "message"),
    [
        ("ice40", 12, 14, "a clock of 14 MHz cannot be made from 12 MHz by SB_PLL40_PAD; the nearest is 12 MHz"),
        ("ecp5", 25, 900, "a clock of 900 MHz cannot be made from 25 MHz by EHXPLLL; the nearest is 400 MHz"),
        ("ecp5", 25, 1, "a clock of 1 MHz cannot be made from 25 MHz by EHXPLLL; the nearest is 3.125 MHz"),
        ("gw1n", 27, 40, "a clock of 40 MHz cannot be made from 27 MHz by rPLL; the nearest is 40.5 MHz"),
        ("series7", 100, 0, "a clock of 0 MHz is none; give a positive number of MHz"),
    ],
)
def test_unreachable_clocks_are_refused(kind: str, reference: int, wanted: int, message: str) -> None:
    with pytest.raises(InputError) as caught:
        pll_of(kind, reference, wanted)
    assert str(caught.value) == message
