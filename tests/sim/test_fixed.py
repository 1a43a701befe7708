"""Fixed-point operations against the `fixedpoint` package, exact fractions and closed forms."""

import math
from fractions import Fraction

import numpy as np
import pytest
from fixedpoint import FixedPoint
from hypothesis import given
from hypothesis import strategies as st

from striate.golden.errors import InputError
from striate.sim.fixed import (
    OVERFLOWS,
    ROUNDINGS,
    Format,
    Range,
    overflowed,
    quantise,
    requantise,
    round_shift,
    saturate,
    to_float,
    wrap,
)

# Our names and the package's: "down" is towards -infinity, "in" towards 0, "nearest" half up, "convergent" to even.
PACKAGE = {
    "half_up": "nearest",
    "half_even": "convergent",
    "floor": "down",
    "toward_zero": "in",
    "saturate": "clamp",
    "wrap": "wrap",
}

formats = st.builds(
    lambda signed, width, frac, *modes: Format(signed, width, min(frac, width - signed), *modes),
    st.booleans(),
    st.integers(2, 20),
    st.integers(0, 20),
    st.sampled_from(ROUNDINGS),
    st.sampled_from(OVERFLOWS),
)


def package(value: int, frac: int, fmt: Format) -> int:
    """The word of ``value * 2^-frac`` in ``fmt`` by the package."""
    number = FixedPoint(
        0,
        signed=True,
        m=60,
        n=frac,
        rounding=PACKAGE[fmt.rounding],
        overflow=PACKAGE[fmt.overflow],
        overflow_alert="ignore",
        implicit_cast_alert="ignore",
        mismatch_alert="ignore",
    )
    number.from_string(hex(value & ((1 << (60 + frac)) - 1)))
    number.n = fmt.frac
    number.signed = fmt.signed
    number.m = fmt.width - fmt.frac
    bits = int(number.bits)
    return bits - (1 << fmt.width) if fmt.signed and bits >> (fmt.width - 1) else bits


def rounded(value: Fraction, rounding: str) -> int:
    """Rounding by the definition, in exact rational arithmetic."""
    if rounding == "floor":
        return math.floor(value)
    if rounding == "toward_zero":
        return math.trunc(value)
    return round(value) if rounding == "half_even" else math.floor(value + Fraction(1, 2))


@given(value=st.integers(-(2**30), 2**30), frac=st.integers(1, 24), fmt=formats)
def test_requantise_equals_the_fixedpoint_package(value: int, frac: int, fmt: Format) -> None:
    want = package(value, frac, fmt)
    assert requantise(value, frac, fmt) == want
    assert requantise(np.array([value]), frac, fmt).tolist() == [want]


@given(value=st.integers(-(2**63), 2**63 - 1), shift=st.integers(-3, 70), rounding=st.sampled_from(ROUNDINGS))
def test_round_shift_equals_fractions_over_all_of_int64(value: int, shift: int, rounding: str) -> None:
    want = rounded(Fraction(value) / Fraction(2) ** shift, rounding)
    assert round_shift(value, shift, rounding) == want
    if -(2**63) <= want < 2**63:
        got = round_shift(np.array([[value]]), shift, rounding)
        assert got.dtype == np.int64 and got.tolist() == [[want]]
    else:
        with pytest.raises(OverflowError):
            round_shift(np.array([value]), shift, rounding)


@pytest.mark.parametrize(
    ("rounding", "words"),
    [
        ("half_up", [-2, -1, -1, 0, 0, 1, 1, 2, 2]),
        ("half_even", [-2, -2, -1, 0, 0, 0, 1, 2, 2]),
        ("floor", [-2, -2, -1, -1, 0, 0, 1, 1, 2]),
        ("toward_zero", [-2, -1, -1, 0, 0, 0, 1, 1, 2]),
    ],
)
def test_ties(rounding: str, words: list[int]) -> None:
    assert round_shift(np.arange(-4, 5), 1, rounding).tolist() == words


@given(value=st.integers(-(2**80), 2**80), shift=st.integers(1, 90), rounding=st.sampled_from(ROUNDINGS))
def test_python_integers_have_no_limit(value: int, shift: int, rounding: str) -> None:
    assert round_shift(value, shift, rounding) == rounded(Fraction(value, 2**shift), rounding)


@given(value=st.integers(-(2**62), 2**62), width=st.integers(1, 63), signed=st.booleans())
def test_wrap_is_the_residue_in_the_word(value: int, width: int, signed: bool) -> None:
    word = wrap(value, width, signed)
    assert (word - value) % 2**width == 0
    assert (-(2 ** (width - 1)) <= word < 2 ** (width - 1)) if signed else (0 <= word < 2**width)
    assert wrap(np.array([value]), width, signed).tolist() == [word]


def test_wrap_refuses_widths_beyond_int64() -> None:
    with pytest.raises(ValueError, match="cannot wrap to 64 bits"):
        wrap(1, 64)


@given(value=st.floats(-40, 40) | st.sampled_from([math.inf, -math.inf, 0.49999999999999994, 1e300]), fmt=formats)
def test_quantise_rounds_exactly_and_saturates(value: float, fmt: Format) -> None:
    if math.isinf(value):
        want = fmt.high if value > 0 else fmt.low
    else:
        want = saturate(rounded(Fraction(value) * 2**fmt.frac, fmt.rounding), fmt)
    assert quantise(value, fmt) == want


@given(data=st.data(), fmt=formats)
def test_quantise_undoes_to_float(data: st.DataObject, fmt: Format) -> None:
    word = data.draw(st.integers(fmt.low, fmt.high))
    assert quantise(to_float(word, fmt), fmt) == word
    assert quantise(to_float(np.array([word]), fmt.frac), fmt).tolist() == [word]


def test_quantise_refuses_nan_and_reaches_the_ends_of_wide_words() -> None:
    with pytest.raises(InputError, match="1 of 2 values to quantise are NaN; remove them"):
        quantise([0.0, math.nan], Format(True, 8, 7))
    wide = Format(True, 62, 0)
    assert quantise([1e30, -1e30], wide).tolist() == [wide.high, wide.low]
    assert quantise(np.zeros((2, 0)), wide).shape == (2, 0)


def test_symmetric_saturation_leaves_out_the_most_negative_word() -> None:
    fmt = Format(True, 8, 7, symmetric=True)
    assert (fmt.low, fmt.high, fmt.magnitude) == (-127, 127, 127)
    assert quantise([-1.0, 1.0], fmt).tolist() == [-127, 127]
    assert Format(True, 8, 7).magnitude == 128
    assert Format(True, 8, 7, overflow="wrap", symmetric=True).magnitude == 128
    assert overflowed(-128, Format(True, 8, 7, overflow="wrap")) == -128


@given(fmt=formats)
def test_text_round_trip(fmt: Format) -> None:
    assert Format.parse(str(fmt)) == fmt


def test_short_text_and_properties() -> None:
    assert str(Format(True, 8, 7)) == "s8.7"
    assert str(Format.parse("u8.7:half_up:saturate")) == "u8.7"
    assert str(Format(False, 8, 7, "half_even")) == "u8.7:half_even"
    assert str(Format(True, 8, 7, overflow="wrap")) == "s8.7:half_up:wrap"
    assert (Format.parse("u8.7").low, Format.parse("u8.7").high, Format.parse("u8.7").scale) == (0, 255, 2**-7)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("s8.7", "ap_fixed<8, 1, AP_RND, AP_SAT>"),
        ("u8.7:half_even:wrap", "ap_ufixed<8, 1, AP_RND_CONV, AP_WRAP>"),
        ("s14.12:floor", "ap_fixed<14, 2, AP_TRN, AP_SAT>"),
        ("s8.0:toward_zero", "ap_fixed<8, 8, AP_TRN_ZERO, AP_SAT>"),
    ],
)
def test_ap_fixed(text: str, name: str) -> None:
    assert Format.parse(text).ap_fixed == name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("8.7", r"'8\.7' is not a number format; write it as s8\.7"),
        ("s8", "is not a number format"),
        ("s1.0", "'s1.0' is 1 bit wide; use a width of 2 or more"),
        ("s8.9", "'s8.9' has its fraction outside the word; use a fraction of 0 to 8"),
        ("s99.7", "'s99.7': a format cannot be 99 bits wide; use 62"),
        ("s8.7:up", "unknown rounding 'up'; use half_up, half_even, floor, toward_zero"),
        ("s8.7:floor:clamp", "unknown overflow 'clamp'; use saturate, wrap"),
        ("s8.7:wrap", r"names an overflow where the rounding stands; write s8\.7:half_up:wrap"),
    ],
)
def test_bad_text_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        Format.parse(text)
    assert "\n" not in str(caught.value)


def test_unknown_rounding_of_an_operation_is_refused() -> None:
    for value in (3, np.array([3])):
        with pytest.raises(InputError, match="unknown rounding 'up'"):
            round_shift(value, 1, "up")  # type: ignore[call-overload]


def test_left_shift_is_exact_or_refused() -> None:
    assert round_shift(np.array([-5, 5]), -2).tolist() == [-20, 20]
    assert round_shift(np.array([-1]), -63).tolist() == [-(2**63)]
    assert round_shift(np.array([0]), -80).tolist() == [0]
    assert round_shift(np.zeros(0, np.int32), -80).dtype == np.int64
    with pytest.raises(OverflowError, match="does not fit in int64"):
        round_shift(np.array([1]), -63)


@given(parts=st.lists(st.lists(st.integers(-300, 300), max_size=5), max_size=4))
def test_ranges_add_up(parts: list[list[int]]) -> None:
    fmt, total = Format(True, 8, 7), Range()
    for part in parts:
        total |= Range.of(np.array(part, np.int64), fmt)
    values = [value for part in parts for value in part]
    assert total.count == len(values)
    assert total.saturated == sum(not -128 <= value <= 127 for value in values)
    if values:
        assert (total.low, total.high) == (min(values), max(values))
        assert all(overflowed(v, Format(total.low < 0, max(total.bits, 2), 0)) == v for v in values)
