"""2-sigma ellipses and what two of them share; how far a kernel reaches."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from striate.explore.papers.configurations import CONFIGURATIONS, configuration, configurations, family
from striate.explore.papers.ellipse import Ellipse, ellipse_of, overlap, shared_area
from striate.explore.papers.short_stride import Point
from striate.explore.papers.support import mean_frequency, support_of, support_radius
from striate.golden.dictionary import Dictionary
from striate.golden.errors import InputError
from striate.golden.geometry import Geometry


def circle(x: float, y: float, radius: float) -> Ellipse:
    return Ellipse((x, y), (radius, radius), 0.0)


def cloud(numbers: np.ndarray) -> list[Point]:
    return [Point(2, n, float(error), float(inactive), "converged") for n, (inactive, error) in enumerate(numbers)]


# ---- ellipses --------------------------------------------------------------------------------------------------------
def test_an_ellipse_has_the_mean_and_twice_the_deviations_of_its_cloud() -> None:
    points = np.array([[90.0, 10.0], [94.0, 10.0], [92.0, 9.0], [92.0, 11.0]])
    found = ellipse_of(cloud(points))  # variances 8/3 of inactivity and 2/3 of error, no covariance
    assert found.centre == pytest.approx((92.0, 10.0))
    assert found.axes == pytest.approx((2 * math.sqrt(8 / 3), 2 * math.sqrt(2 / 3)))
    assert math.sin(found.angle) == pytest.approx(0.0, abs=1e-12)
    turned = ellipse_of(cloud(points[:, ::-1]))
    assert turned.axes == pytest.approx(found.axes) and abs(turned.angle) == pytest.approx(math.pi / 2)
    assert found.area == pytest.approx(math.pi * 4 * 4 / 3)
    assert found.matrix == pytest.approx(4 * np.cov(points.T))


@given(seed=st.integers(0, 2**32 - 1))
def test_the_matrix_of_any_cloud_is_four_times_its_covariance(seed: int) -> None:
    points = np.random.default_rng(seed).normal(size=(9, 2)) @ np.array([[3.0, 1.0], [0.2, 0.7]]) + [90, 20]
    found = ellipse_of(cloud(points))
    assert found.matrix == pytest.approx(4 * np.cov(points.T)) and -math.pi / 2 < found.angle <= math.pi / 2
    inside = np.einsum("ni,ij,nj->n", points - found.centre, np.linalg.inv(found.matrix), points - found.centre)
    assert inside.sum() == pytest.approx((len(points) - 1) * 2 / 4)  # the trace of the whitened covariance


def test_clouds_on_a_line_or_a_point_are_narrow_and_one_point_is_refused() -> None:
    line = ellipse_of(cloud(np.array([[90.0, 10.0], [92.0, 12.0]])))
    assert line.axes == (pytest.approx(4.0), 1e-6) and line.angle == pytest.approx(math.pi / 4)
    # The part of a narrow ellipse within a quarter of its length.
    part = 2 / math.pi * (0.25 * math.sqrt(1 - 0.25**2) + math.asin(0.25))
    assert overlap(line, circle(91, 11, 1)) == pytest.approx(part, abs=1e-4)
    same = ellipse_of(cloud(np.array([[90.0, 10.0], [90.0, 10.0]])))
    assert same.axes == (1e-6, 1e-6) and overlap(same, same) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="at least two points"):
        ellipse_of(cloud(np.array([[90.0, 10.0]])))


@pytest.mark.parametrize("distance", [0.0, 0.3, 1.0, 1.9, 1.9999, 2.0, 5.0])
def test_two_circles_share_a_lens(distance: float) -> None:
    lens = 2 * math.acos(distance / 2) - distance / 2 * math.sqrt(4 - distance**2) if distance < 2 else 0.0
    for angle in (0.0, 0.7, math.pi / 2):
        other = circle(90 + distance * math.cos(angle), 10 + distance * math.sin(angle), 1)
        assert shared_area(circle(90, 10, 1), other) == pytest.approx(lens, abs=1e-5)
        assert overlap(other, circle(90, 10, 1)) == pytest.approx(lens / math.pi, abs=1e-5)


def test_one_ellipse_inside_another_and_two_that_cross() -> None:
    assert overlap(circle(0, 0, 1), circle(0.5, 0.2, 3)) == pytest.approx(1.0, abs=1e-5)
    a, b = Ellipse((0, 0), (2, 1), 0.0), Ellipse((0, 0), (2, 1), math.pi / 2)
    # A cross: in polar coordinates four equal parts of the integral of r^2/2, r^2 = 1/(cos^2/4 + sin^2), beyond pi/4.
    assert shared_area(a, b) == pytest.approx(8 * math.atan(0.5), abs=1e-5)  # a b = 2: 4 * 2 atan(b/a)
    assert overlap(Ellipse((0, 0), (3, 0.01), 0.6), Ellipse((0, 5), (3, 0.01), 0.6)) == 0.0


@given(
    ones=st.tuples(*[st.floats(-2, 2)] * 2, *[st.floats(0.2, 3)] * 2, st.floats(-1.5, 1.5)),
    others=st.tuples(*[st.floats(-2, 2)] * 2, *[st.floats(0.2, 3)] * 2, st.floats(-1.5, 1.5)),
)
def test_the_shared_area_is_that_which_points_find(ones: tuple[float, ...], others: tuple[float, ...]) -> None:
    pair = [Ellipse((x, y), (max(a, b), min(a, b)), angle) for x, y, a, b, angle in (ones, others)]
    side = np.linspace(-5.5, 5.5, 276)
    grid = np.stack(np.meshgrid(side, side), axis=-1)
    inside = [
        np.einsum("...i,ij,...j->...", grid - e.centre, np.linalg.inv(e.matrix), grid - e.centre) <= 1 for e in pair
    ]
    counted = np.count_nonzero(inside[0] & inside[1]) * (side[1] - side[0]) ** 2
    assert shared_area(*pair) == pytest.approx(counted, abs=0.2)
    assert shared_area(*pair) == pytest.approx(shared_area(*pair[::-1]), abs=1e-9)


# ---- supports --------------------------------------------------------------------------------------------------------
def test_the_support_of_a_gaussian_of_points_and_of_a_full_patch() -> None:
    rows, columns = np.mgrid[:64, :64]
    for sigma in (2.0, 4.0, 7.0):
        envelope = np.exp(-((rows - 30.2) ** 2 + (columns - 33.1) ** 2) / (2 * sigma**2))  # energy: half the variance
        assert support_radius(envelope[None]) == pytest.approx(sigma * math.sqrt(math.log(10)), abs=0.35)
    kernel = np.zeros((1, 16, 16))
    kernel[0, 3, 4] = -1.0
    assert support_radius(kernel) == 0.0
    kernel[0, 3, 10] = 1.0
    assert support_radius(kernel) == pytest.approx(3.0)
    assert support_radius(np.concatenate([kernel, kernel])) == pytest.approx(3.0)  # two channels
    assert support_radius(np.ones((1, 64, 64))) == pytest.approx(0.5575 * 64, abs=0.3)
    for share in (0.1, 0.5, 1.0):
        assert support_radius(np.ones((1, 9, 9)), share) <= math.hypot(4, 4) + 1e-9
    assert support_radius(np.ones((1, 9, 9)), 1.0) == pytest.approx(math.hypot(4, 4))


def test_a_kernel_has_the_same_support_in_a_larger_patch() -> None:
    small = np.random.default_rng(0).normal(size=(2, 1, 16, 16)) * np.hanning(16)[:, None] * np.hanning(16)
    large = np.pad(small, ((0, 0), (0, 0), (20, 28), (10, 38)))
    found = []
    for atoms in (small, large):
        atoms = atoms / np.linalg.norm(atoms.reshape(2, -1), axis=1)[:, None, None, None]
        found.append(support_of("32@4", Dictionary(atoms, 4)))
    assert found[0].radii_pixels == pytest.approx(found[1].radii_pixels) and found[1].patch == 64
    assert found[0].median_pixels == pytest.approx(np.mean(found[0].radii_pixels))


def test_the_mean_frequency_of_a_wave_and_of_noise() -> None:
    columns = np.broadcast_to(np.arange(64), (64, 64))
    for frequency in (0.05, 0.2, 0.4):
        wave = np.cos(2 * np.pi * frequency * columns) * np.hanning(64) * np.hanning(64)[:, None]
        assert mean_frequency(wave[None]) == pytest.approx(frequency, abs=0.01)
    assert mean_frequency(np.random.default_rng(1).normal(size=(1, 64, 64))) == pytest.approx(0.3826, abs=0.01)


# ---- configurations --------------------------------------------------------------------------------------------------
def test_twelve_networks_in_three_series() -> None:
    assert len({each.name for each in CONFIGURATIONS}) == len(CONFIGURATIONS) == 12
    assert [each.stride for each in family("stride")] == [1, 2, 4, 8, 16]
    assert {each.kernels for each in family("stride")} == {32}
    assert {each.overcompleteness for each in family("overcomplete")} == {2}
    assert [each.patch for each in family("patch")] == [8, 16, 32, 64]
    assert {(each.kernels, each.stride) for each in family("patch")} == {(32, 4)}
    for each in CONFIGURATIONS:
        assert Geometry((128, 128), 1, each.kernels, each.patch, each.stride).code_shape[0] == each.kernels
    assert configuration("512@16").shipped_name == "further-k512-p16-s16"
    assert configurations([]) == CONFIGURATIONS
    assert [each.name for each in configurations(["32@4 p64", "8@2", "8@2"])] == ["8@2", "32@4 p64"]
    with pytest.raises(InputError, match=r"no configuration '3@2'; there are 32@1, 32@2, .*32@4 p64$"):
        configurations(["8@2", "3@2"])
