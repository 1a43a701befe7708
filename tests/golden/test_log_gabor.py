"""Log-Gabor kernels against eq. 3, written out once more here."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from striate.golden.errors import InputError
from striate.golden.log_gabor import (
    BANDWIDTHS_DEGREES,
    HETEROGENEOUS,
    HOMOGENEOUS,
    bandwidth_degrees,
    bank,
    heterogeneous_bank,
    homogeneous_bank,
    log_gabor,
    sigma_theta,
    tuning,
)


def spectrum(kernel: np.ndarray, side: int = 192) -> np.ndarray:
    return np.abs(np.fft.fft2(kernel, (side, side)))


def kernel_of(side: int, theta_degrees: float, b_degrees: float, phase: float = 0.0, f0: float = 0.4) -> np.ndarray:
    return log_gabor((side, side), f0, 0.4, math.radians(theta_degrees), sigma_theta(b_degrees), phase)


def away(a: float, b: float) -> float:
    """Degrees between two orientations."""
    return abs((a - b + 90.0) % 180.0 - 90.0)


@pytest.mark.parametrize("phase", [0.0, math.pi / 2])
@pytest.mark.parametrize("theta", [0.0, 30.0, 75.0, 120.0])
def test_the_spectrum_is_eq_3(theta: float, phase: float) -> None:
    side = 48  # large enough to hold B = 20 degrees whole
    kernel = kernel_of(side, theta, 20.0, phase)
    measured = np.abs(np.fft.fft2(kernel))
    f_row, f_column = np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None, :]
    f, angle = np.hypot(f_row, f_column), np.arctan2(f_row, f_column)
    sigma = math.radians(20.0) / math.sqrt(2 * math.log(2))
    with np.errstate(divide="ignore"):
        radial = np.exp(-0.5 * np.log(f / 0.4) ** 2 / np.log(1 + 0.4 / 0.4) ** 2)
    expected = radial * np.exp(np.cos(2 * (angle - math.radians(theta))) / (4 * sigma**2))
    inside = np.ones((side, side), bool)  # at the Nyquist rows +f and -f are one frequency
    inside[side // 2], inside[:, side // 2] = False, False
    a, b = measured[inside], expected[inside]
    assert a @ b / math.sqrt(a @ a * (b @ b)) > 0.995


@pytest.mark.parametrize("theta", [0.0, 22.5, 60.0, 135.0])
@pytest.mark.parametrize("f0", [0.2, 0.3])
def test_the_peak_lies_at_f0_and_theta0(theta: float, f0: float) -> None:
    side = 192
    kernel = log_gabor((64, 64), f0, 0.1, math.radians(theta), 0.3)
    peak = np.unravel_index(np.argmax(spectrum(kernel, side)), (side, side))
    row, column = (np.fft.fftfreq(side)[n] for n in peak)
    assert math.hypot(row, column) == pytest.approx(f0, abs=0.02)
    assert away(math.degrees(math.atan2(row, column)), theta) < 4.0


def test_half_the_peak_at_the_bandwidth() -> None:
    """B is the half-width at half height of the profile over orientation, for a narrow one."""
    from striate.golden.log_gabor import response

    for b in (5.0, 12.0):
        turned = math.radians(30.0 + b)
        here = response(np.array(0.4 * math.sin(turned)), np.array(0.4 * math.cos(turned)), 0.4, 0.4,
                        math.radians(30.0), sigma_theta(b))  # fmt: skip
        assert float(here) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("b", [8.4, 12.0, 19.2, 30.0])
def test_bandwidth_and_orientation_are_measured_as_asked_where_there_is_room(b: float) -> None:
    for theta in (0.0, 17.0, 45.0, 100.0):
        found = tuning(kernel_of(48, theta, b, math.pi / 2))
        assert found.bandwidth_degrees == pytest.approx(b, rel=0.02)
        assert away(found.orientation_degrees, theta) < 0.2


@pytest.mark.parametrize(("asked", "low", "high"), [(3.0, 12.0, 14.0), (8.4, 10.3, 11.5), (12.0, 12.5, 13.5),
                                                     (19.2, 19.0, 20.0), (30.0, 29.8, 30.6)])  # fmt: skip
def test_what_12_pixels_hold(asked: float, low: float, high: float) -> None:
    """Below about 11 degrees the kernel is as long as the patch, and the cut spreads it."""
    measured = [tuning(kernel_of(12, theta, asked, phase)).bandwidth_degrees
                for theta in (0.0, 10.0, 22.5, 45.0) for phase in (0.0, math.pi / 2)]  # fmt: skip
    assert low < float(np.mean(measured)) < high


def test_even_and_odd() -> None:
    even, odd = kernel_of(12, 25.0, 15.0), kernel_of(12, 25.0, 15.0, math.pi / 2)
    np.testing.assert_allclose(even, even[::-1, ::-1], atol=1e-12)
    np.testing.assert_allclose(odd, -odd[::-1, ::-1], atol=1e-12)
    assert abs(float(np.vdot(even, odd))) < 1e-12


@pytest.mark.parametrize(("made", "members"), [(homogeneous_bank, HOMOGENEOUS), (heterogeneous_bank, HETEROGENEOUS)])
def test_the_banks(made: object, members: tuple[object, ...]) -> None:
    dictionary = made()  # type: ignore[operator]
    assert len(members) == dictionary.kernels == 144
    assert dictionary.atoms.shape == (144, 1, 13, 13) and dictionary.stride == 1
    assert not dictionary.atoms[:, :, 12].any() and not dictionary.atoms[:, :, :, 12].any()
    np.testing.assert_allclose(dictionary.atoms.sum(axis=(1, 2, 3)), 0.0, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(dictionary.atoms.reshape(144, -1), axis=1), 1.0, atol=1e-12)
    for asked, atom in list(zip(members, dictionary.atoms, strict=True))[::5]:
        assert away(tuning(atom).orientation_degrees, asked.orientation_degrees) < 1.5  # type: ignore[attr-defined]


def test_what_the_banks_are_made_of() -> None:
    assert {each.bandwidth_degrees for each in HOMOGENEOUS} == {12.0}
    assert len({each.orientation_degrees for each in HOMOGENEOUS}) == 72
    assert {each.bandwidth_degrees for each in HETEROGENEOUS} == set(BANDWIDTHS_DEGREES)
    assert BANDWIDTHS_DEGREES[0] == 3.0 and BANDWIDTHS_DEGREES[-1] == 30.0 and len(BANDWIDTHS_DEGREES) == 6
    assert {each.orientation_degrees for each in HETEROGENEOUS} == {15.0 * n for n in range(12)}
    assert {each.phase_degrees for each in HETEROGENEOUS} == {0.0, 90.0}


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 100.0))
def test_tuning_of_any_kernel(seed: int, scale: float) -> None:
    kernel = np.random.default_rng(seed).standard_normal((9, 9))
    found, scaled = tuning(kernel), tuning(-scale * kernel)
    assert scaled.bandwidth_degrees == pytest.approx(found.bandwidth_degrees)
    assert away(scaled.orientation_degrees, found.orientation_degrees) < 1e-6
    turned = tuning(np.rot90(kernel))  # counter-clockwise, while angles here run clockwise
    assert away(turned.orientation_degrees, found.orientation_degrees - 90.0) < 1e-6
    assert 0.0 <= found.orientation_degrees < 180.0


def test_a_round_spot_has_no_orientation() -> None:
    y, x = np.mgrid[:13, :13] - 6.0
    assert tuning(np.exp(-(x**2 + y**2) / 4.0)).bandwidth_degrees > 500.0
    assert tuning(np.zeros((5, 5))).bandwidth_degrees == math.inf


def test_degrees_and_radians() -> None:
    assert bandwidth_degrees(sigma_theta(12.0)) == pytest.approx(12.0)
    assert sigma_theta(12.0) == pytest.approx(0.17789, abs=1e-4)  # 12 pi/180 / 1.17741


@pytest.mark.parametrize(("call", "words"), [
    (lambda: log_gabor((1, 12), 0.4, 0.4, 0.0, 0.2), "at least 2x2 pixels, not 1x12"),
    (lambda: log_gabor((12, 12), 0.0, 0.4, 0.0, 0.2), "f0 must be above 0 and at most 0.5 cycles per pixel, not 0"),
    (lambda: log_gabor((12, 12), 0.6, 0.4, 0.0, 0.2), "not 0.6"),
    (lambda: log_gabor((12, 12), 0.4, -1.0, 0.0, 0.2), "sigma_f must be a finite number above 0, not -1"),
    (lambda: log_gabor((12, 12), 0.4, 0.4, 0.0, 0.0), "sigma_theta must be a finite number above 0, not 0"),
    (lambda: log_gabor((2, 2), 0.001, 1e-4, 0.0, 0.01), "leaves nothing on 2x2 pixels"),
    (lambda: bank(HOMOGENEOUS[:1], "x", support=14), "kernels of 14x14 pixels do not fit a patch of 13x13"),
])  # fmt: skip
def test_what_is_refused(call: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        call()  # type: ignore[operator]
