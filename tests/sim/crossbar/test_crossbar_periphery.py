"""Converters against their rules: every code, every bit plane, the clipping count, the range that moves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from striate.sim.crossbar.periphery import AdcRange, Dac, Tally, bit_plane, exponent_for, largest_code
from striate.sim.crossbar.reader import convert
from striate.sim.fixed import Format

WORDS = [Format(True, 8, 7), Format(False, 8, 7), Format(True, 9, 7, symmetric=True), Format(True, 5, 2)]


def dac_cases() -> st.SearchStrategy[Dac]:
    return st.builds(
        Dac.of,
        st.sampled_from(WORDS),
        st.sampled_from([0, 2, 3, 5, 8, 12]),
        st.sampled_from(["amplitude", "pulse-width", "bit-serial"]),
        change=st.booleans(),
    )


@given(dac_cases())
def test_a_drive_is_the_nearest_multiple_that_the_converter_has(dac: Dac) -> None:
    values = np.arange(dac.low, dac.high + 1)
    driven = dac.drive(values)
    step = 1 << dac.shift
    assert not (driven % step).any()
    assert (np.diff(driven) >= 0).all()
    assert (dac.drive(driven) == driven).all()
    codes = len(np.unique(driven))
    assert codes <= (1 << dac.bits if dac.bits else len(values))
    top = int(driven.max())
    inside = values <= top
    assert (np.abs(driven - values)[inside] * 2 <= step).all()
    assert (driven[~inside] == top).all()  # saturated, and only upwards: two's complement reaches the lower end
    assert dac.full == np.abs(driven).max()


@given(dac_cases())
def test_bit_planes_add_up_to_the_drive(dac: Dac) -> None:
    serial = Dac(dac.low, dac.high, dac.width, dac.bits, "bit-serial")
    driven = serial.drive(np.arange(dac.low, dac.high + 1))[None].astype(float)
    total, plane = np.zeros_like(driven), np.empty_like(driven)
    for power in serial.planes:
        bit_plane(driven, power, plane)
        assert set(np.unique(plane)) <= {-1.0, 0.0, 1.0}
        total += plane * 2.0**power
    assert (total == driven).all()
    assert serial.seen == 1


def test_default_words_are_driven_without_loss_by_eight_bits() -> None:
    assert Dac.of(Format(True, 8, 7), 8, "amplitude").shift == 0
    assert Dac.of(Format(False, 8, 7), 8, "amplitude").shift == 0
    change = Dac.of(Format(False, 8, 7), 8, "amplitude", change=True)
    assert (change.low, change.high, change.width, change.shift) == (-255, 255, 9, 1)
    signed = Dac.of(Format(True, 8, 7), 8, "amplitude", change=True)
    assert (signed.low, signed.high, signed.width) == (-255, 255, 9)


def converted(values: np.ndarray, exponent: int, bits: int) -> tuple[np.ndarray, np.ndarray]:
    out, tally = np.zeros((1, values.size), np.int64), np.zeros(3, np.int64)
    none, nobody = np.zeros((0, 0), np.float32), np.zeros(0, np.float32)
    convert(
        values[None], none, none, nobody, none, np.array([0]), 0, np.ones((1, values.size), np.bool_), 2.0**exponent,
        largest_code(bits), 1 << exponent, out, tally, np.zeros(0, np.int64),
    )  # fmt: skip
    return out[0], tally


@given(st.integers(0, 9), st.sampled_from([2, 3, 6, 8]), st.integers(0, 2**32 - 1))
def test_an_adc_is_symmetric_monotone_and_keeps_what_it_made(exponent: int, bits: int, seed: int) -> None:
    values = np.sort(np.random.default_rng(seed).normal(scale=2.0 ** (bits + exponent - 2), size=200))
    codes, tally = converted(values, exponent, bits)
    lsb, top = 1 << exponent, largest_code(bits)
    wanted = np.clip(np.sign(values) * np.floor(np.abs(values) / lsb + 0.5), -top, top) * lsb
    assert (codes == wanted).all()
    assert (np.diff(codes) >= 0).all()
    assert (converted(-values, exponent, bits)[0] == -codes).all()
    assert (converted(codes.astype(float), exponent, bits)[0] == codes).all()
    clipped = np.count_nonzero(np.abs(values) >= (top + 0.5) * lsb)
    assert tally.tolist() == [200, clipped, np.count_nonzero(2 * np.abs(codes) // lsb > top)]


def test_a_lossless_adc_rounds_to_the_integer_and_never_clips() -> None:
    codes, tally = converted(np.array([1e9 + 0.4, -3.6, 0.49]), 0, 0)
    assert codes.tolist() == [1_000_000_000, -4, 0] and tally[1] == 0


@given(st.integers(1, 10**7), st.sampled_from([2, 4, 8, 12]))
def test_the_fixed_exponent_is_the_smallest_that_holds_the_bound(bound: int, bits: int) -> None:
    exponent = exponent_for(bound, bits)
    assert converted(np.array([float(bound)]), exponent, bits)[1][1] == 0
    assert exponent == 0 or converted(np.array([float(bound)]), exponent - 1, bits)[1][1] == 1


@pytest.mark.parametrize(
    ("tally", "exponent"),
    [
        (Tally(10, 1, 1), 6),  # of few conversions none may clip
        (Tally(10, 0, 1), 5),
        (Tally(10, 0, 0), 4),
        (Tally(8192, 2, 9), 5),  # one in 4096
        (Tally(8192, 3, 9), 6),
        (Tally(8192, 0, 2), 5),
        (Tally(8192, 0, 1), 4),  # one in 8192
        (Tally(0, 0, 0), 5),  # nothing read, nothing learned
    ],
)
def test_a_following_range_moves_by_its_rule(tally: Tally, exponent: int) -> None:
    adc = AdcRange(8, 5, 1000, follows=True)
    adc.follow(tally)
    assert adc.exponent == exponent
    fixed = AdcRange(8, 5, 1000)
    fixed.follow(tally)
    assert fixed.exponent == 5


def test_a_range_does_not_fall_below_single_units() -> None:
    adc = AdcRange(8, 0, 1000, follows=True)
    adc.follow(Tally(5, 0, 0))
    assert adc.exponent == 0


def test_the_whole_range_is_what_sample_and_hold_noise_is_a_fraction_of() -> None:
    assert AdcRange(8, 3, 999).whole == 2.0**11
    assert AdcRange(0, 0, 999).whole == 1998
