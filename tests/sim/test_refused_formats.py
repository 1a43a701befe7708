"""Formats that a machine cannot have: one line each, and the remedy that it names is taken."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from striate.golden.errors import InputError
from striate.sim.design import Design
from striate.sim.fixed import ROUNDINGS, Format, requantise

KEYS = ("weight", "code", "residual", "membrane", "input")


def refusal(design: Design) -> str | None:
    """What the machine says to a design, None when it takes it."""
    try:
        design.check_machine()
    except InputError as error:
        assert "\n" not in str(error)
        return str(error)
    return None


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("s1.0", "is 1 bit wide; use a width of 2 or more"),
        ("s0.0", "cannot be 0 bits wide; use 1"),
        ("s25.7", "is 25 bits wide; use a width of 2 to 24"),
        ("s8.9", "has its fraction outside the word; use a fraction of 0 to 8"),
        (Format(True, 8, 9), "has its fraction 9 outside the word; use 0 to 8"),
        (Format(True, 8, -1), "has its fraction -1 outside the word; use 0 to 8"),
        (Format(True, 1, 0), "is 1 bits wide; use a width of 2 to 24"),
        ("s8.-1", "is not a number format; write it as s8.7"),
        ("8.7", "is not a number format; write it as s8.7"),
        ("s8.7:nearest", "unknown rounding 'nearest'; use half_up, half_even, floor, toward_zero"),
        ("s8.7:floor:clip", "unknown overflow 'clip'; use saturate, wrap"),
    ],
)
def test_words_that_do_not_exist(key: str, text: str | Format, says: str) -> None:
    with pytest.raises(InputError) as caught:
        Design(**{f"formats.{key}": text})
    assert says in str(caught.value) and f"formats.{key}" in str(caught.value) and "\n" not in str(caught.value)


@given(fw=st.integers(1, 12), fy=st.integers(4, 12), fx=st.integers(0, 23))
def test_an_input_finer_than_its_products(fw: int, fy: int, fx: int) -> None:
    design = Design(weight=f"s{fw + 1}.{fw}", code=f"u{fy + 1}.{fy}", input=f"s{fx + 1}.{fx}" if fx else "s2.0")
    said = refusal(design)
    assert (said is not None) == (fx > fw + fy)
    if said is not None:
        found = re.fullmatch(
            rf"formats.input s{fx + 1}.{fx} is finer than a product of weight and code; its widest legal fraction is "
            r"(\d+)",
            said,
        )
        assert found and int(found[1]) == fw + fy
        assert refusal(design.replace(input=f"s{fx + 1}.{found[1]}")) is None


@given(threshold=st.floats(1e-7, 1e3), frac=st.integers(0, 16), whole=st.integers(1, 4))
def test_a_threshold_that_the_membrane_cannot_hold(threshold: float, frac: int, whole: int) -> None:
    assume(frac + whole >= 2)
    fmt = Format(True, frac + whole, frac)
    design = Design(threshold=threshold, membrane=str(fmt), code="u24.16")
    said = refusal(design)
    assert (said is not None) == (not 1 <= design.threshold_q <= fmt.high)
    if said is not None:
        found = re.fullmatch(
            rf"dynamics.threshold {re.escape(str(threshold))} cannot be represented in formats.membrane {fmt}; use a "
            r"threshold of (\S+)",
            said,
        )
        assert found
        nearest = float(found[1])
        assert refusal(design.replace(threshold=nearest)) is None
        assert nearest in (fmt.scale, fmt.high * fmt.scale) and (nearest > threshold) == (threshold < fmt.scale)


@given(
    threshold=st.floats(0.001, 1.9),
    frac=st.integers(0, 8),
    rounding=st.sampled_from(ROUNDINGS),
    two_sided=st.booleans(),
    soft=st.booleans(),
)
def test_a_code_that_is_0_at_the_threshold(
    threshold: float, frac: int, rounding: str, two_sided: bool, soft: bool
) -> None:
    text = f"{'s' if two_sided else 'u'}{frac + 1 + two_sided}.{frac}:{rounding}"
    assume(frac + 1 + two_sided >= 2)
    design = Design(
        threshold=threshold, code=text, two_sided=two_sided, transfer="soft" if soft else "hard", input="s2.0"
    )
    silent = requantise(design.threshold_q, 12, design.formats.code) == 0
    said = refusal(design)
    assert (said is not None) == (silent and not soft)
    if said is not None:
        found = re.match(r"formats.code \S+ is 0 at the threshold \S+; use (\S+)$", said)
        assert found, said
        assert refusal(design.replace(code=found[1])) is None


@pytest.mark.parametrize(
    ("keys", "remedy"),
    [
        ({"threshold": 2.0**-20, "membrane": "s24.22", "code": "u20.12"}, "u24.19"),  # a half rounds up
        ({"threshold": 2.0**-20, "membrane": "s24.22", "code": "u20.12:floor"}, "u24.20:floor"),
        ({"threshold": 0.05, "code": "u24.0"}, "u24.4"),  # no bit left: whole bits are given up
        ({"threshold": 2.0**-24, "membrane": "s24.24", "code": "u24.22:floor"}, "u24.24:floor"),
    ],
)
def test_the_finer_code_fits_the_widest_word(keys: dict[str, object], remedy: str) -> None:
    design = Design(input="s2.0", **keys)
    said = refusal(design)
    assert said is not None and said.endswith(f"; use {remedy}")
    now = refusal(design.replace(code=remedy))
    assert now is None or "need sums of" in now
