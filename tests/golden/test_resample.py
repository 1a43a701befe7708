"""Area means against a finer grid, blocks, and a plane whose mean is known; what would enlarge or leave is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from striate.golden.errors import InputError
from striate.golden.resample import area_means, block_means

PIXELS = np.random.default_rng(5).random((2, 24, 30))


def test_blocks_are_means_of_blocks() -> None:
    small = block_means(PIXELS, 4)
    assert small.shape == (2, 6, 7)
    assert small[1, 5, 6] == pytest.approx(PIXELS[1, 20:24, 24:28].mean())
    np.testing.assert_allclose(small, area_means(PIXELS, (0, 0), 4.0, (6, 7)), atol=1e-12)


@given(st.integers(0, 12), st.integers(0, 16), st.integers(8, 20), st.integers(1, 4), st.integers(1, 4))
def test_fractions_of_a_pixel_count_by_their_area(top: int, left: int, scale: int, rows: int, columns: int) -> None:
    """Eighths of a pixel: the same as whole blocks of a picture with every pixel repeated 8 x 8 times."""
    fine = PIXELS.repeat(8, axis=1).repeat(8, axis=2)[:, top:, left:]
    expected = block_means(fine, scale)[:, :rows, :columns]
    found = area_means(PIXELS, (top / 8, left / 8), scale / 8, (rows, columns))
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_a_slope_keeps_its_slope() -> None:
    slope = np.arange(40.0)[None, None].repeat(40, axis=1)  # pixel j is j, the plane j + 1/2 at its middle
    found = area_means(slope, (3.3, 5.7), 1.7, (10, 10))
    # Whole pixels have the plane's mean; the covered parts of a pixel have the pixel's own value: within half of it.
    np.testing.assert_allclose(found[0, 0], 5.7 + 1.7 * (np.arange(10) + 0.5) - 0.5, atol=0.25)
    np.testing.assert_allclose(found[0, 0], found[0, 9])


@pytest.mark.parametrize(
    "work, text",
    [
        (lambda: block_means(PIXELS, 25), "blocks of 25 pixels do not fit 24x30 pixels; use 1 or 2"),
        (lambda: block_means(PIXELS, 0), "blocks of 0 pixels do not fit"),
        (lambda: area_means(PIXELS, (0, 0), 0.5, (4, 4)), "a scale of 0.5 pixels a pixel would enlarge the picture"),
        (lambda: area_means(PIXELS, (0, 0), float("nan"), (4, 4)), "a scale of nan pixels a pixel would enlarge"),
        (lambda: area_means(PIXELS, (4, 0), 2.5, (9, 4)), "9x4 pixels at a scale of 2.5 from 4,0 leave the picture of"),
        (lambda: area_means(PIXELS, (0, -0.1), 2.5, (4, 4)), "leave the picture of 24x30 pixels; use a smaller scale"),
    ],
)
def test_what_does_not_fit_is_refused(work, text: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError) as caught:
        work()
    assert text in str(caught.value) and "\n" not in str(caught.value)
