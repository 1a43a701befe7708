import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg

from striate.golden.errors import InputError
from striate.golden.images import load_image
from striate.golden.whitening import Zca, whitened, whitening_filter


def correlated(count=400, size=6, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((count, size)) @ rng.standard_normal((size, size)) + rng.uniform(-3, 3, size)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), size=st.integers(1, 8))
def test_whitened_vectors_have_mean_0_and_the_identity_for_covariance(seed, size):
    x = correlated(size=size, seed=seed)
    white = Zca.fit(x).apply(x)
    np.testing.assert_allclose(white.mean(axis=0), 0.0, atol=1e-7)
    np.testing.assert_allclose(np.cov(white.T).reshape(size, size), np.eye(size), atol=1e-6)


def test_the_matrix_is_the_symmetric_root_of_the_inverse_covariance():
    x = correlated()
    zca = Zca.fit(x)
    np.testing.assert_allclose(zca.matrix, linalg.inv(linalg.sqrtm(np.cov(x.T))), atol=1e-9)
    np.testing.assert_allclose(zca.matrix, zca.matrix.T, atol=1e-12)
    assert np.all(np.diff(zca.values) <= 0)


def test_of_all_whitenings_zca_moves_the_vectors_least():
    x = correlated()
    zca, centred = Zca.fit(x), x - x.mean(axis=0)
    best = np.linalg.norm(zca.apply(x) - centred)
    for seed in range(20):
        turn, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((6, 6)))
        assert np.linalg.norm(zca.apply(x) @ turn - centred) > best


@pytest.mark.parametrize("epsilon", [0.0, 0.3, 100.0])
def test_epsilon_holds_back_each_direction_by_its_share_and_invert_undoes_all(epsilon):
    x = correlated()
    zca = Zca.fit(x, epsilon)
    covariance = np.cov(zca.apply(x).T)
    wanted = zca.vectors @ np.diag(zca.values / (zca.values + epsilon)) @ zca.vectors.T
    np.testing.assert_allclose(covariance, wanted, atol=1e-9)
    np.testing.assert_allclose(zca.invert(zca.apply(x)), x, atol=1e-9)
    np.testing.assert_allclose(zca.apply(x[3]), zca.apply(x)[3])


def test_directions_without_variance():
    flat = np.repeat(correlated(size=2), 2, axis=1)
    with pytest.raises(InputError, match=re.escape("the vectors do not vary in 2 of 4 directions, so that a whitening "
                                                   "with epsilon 0 would divide by 0")):
        Zca.fit(flat)
    zca = Zca.fit(flat, 1e-6)
    white = zca.apply(flat)
    np.testing.assert_allclose(np.trace(np.cov(white.T)), 2.0, rtol=1e-4)
    np.testing.assert_allclose(zca.invert(white), flat, atol=1e-9)
    with pytest.raises(InputError, match="in 3 of 3 directions"):
        Zca.fit(np.ones((5, 3)))


@pytest.mark.parametrize("vectors, epsilon, message", [
    (np.ones(4), 0.0, "vectors of shape (N, D) with N of 2 or more, not (4,)"),
    (np.ones((1, 4)), 0.0, "not (1, 4)"),
    (np.array([[1.0, np.nan], [0.0, 1.0]]), 0.0, "1 of the values to whiten are not finite"),
    (np.eye(3), -1.0, "the epsilon of a whitening must be 0 or a finite number above it, not -1.0"),
    (np.eye(3), np.inf, "not inf"),
])
def test_what_cannot_be_fitted(vectors, epsilon, message):
    with pytest.raises(InputError, match=re.escape(message)):
        Zca.fit(vectors, epsilon)


def test_vectors_of_another_length():
    zca = Zca.fit(correlated())
    for method in (zca.apply, zca.invert):
        with pytest.raises(InputError, match=re.escape("takes vectors of 6 values, not the shape (2, 5)")):
            method(np.ones((2, 5)))


def test_the_filter_of_a_picture_shifts_no_phase_and_flattens_its_spectrum():
    picture = load_image("chelsea", crop=(60, 100), size=(160, 200), preprocess="none")[0]
    kernel = whitening_filter(picture)
    np.testing.assert_array_equal(kernel, kernel[::-1, ::-1])
    assert np.unravel_index(kernel.argmax(), kernel.shape) == (7, 7)
    window = np.outer(np.hanning(picture.shape[0]), np.hanning(picture.shape[1]))
    radius = np.hypot(np.fft.fftfreq(picture.shape[0])[:, None], np.fft.fftfreq(picture.shape[1])[None])

    def spread(image):
        power = np.abs(np.fft.fft2((image - image.mean()) * window))**2
        bands = [power[(radius >= low) & (radius < high)].mean() for low, high in ((0.03, 0.1), (0.1, 0.2), (0.2, 0.3))]
        return max(bands) / min(bands)

    out = whitened(picture)
    assert spread(out) < 3 < 30 < spread(picture)
    assert 0.5 < out.std() < 1.05 and abs(out.mean()) < 0.05
    np.testing.assert_array_equal(out, whitened(picture))  # nothing random about it
    # Contrast and brightness of a picture do not matter to what is whitened.
    np.testing.assert_allclose(whitened(5 * picture - 2), out, atol=1e-8)


def test_the_filter_is_the_middle_row_of_zca_on_the_patches():
    """Against `Zca.fit` on all patches and their half turns."""
    picture = np.random.default_rng(3).standard_normal((30, 33)).cumsum(axis=1)
    patches = np.lib.stride_tricks.sliding_window_view(picture - picture.mean(), (3, 3)).reshape(-1, 9)
    both = np.vstack([patches, patches[:, ::-1], -patches, -patches[:, ::-1]])  # of mean 0
    variance = both.var(axis=0).mean()
    matrix = Zca.fit(both, 0.05 * variance).matrix
    np.testing.assert_allclose(whitening_filter(picture, 3, 0.05), matrix[4].reshape(3, 3), rtol=1e-3, atol=1e-6)


def test_an_even_picture_whitens_to_nothing_and_channels_are_apart():
    np.testing.assert_array_equal(whitened(np.full((1, 20, 20), 0.4)), 0.0)
    planes = np.random.default_rng(4).standard_normal((2, 30, 30))
    np.testing.assert_array_equal(whitened(planes)[1], whitened(planes[1]))


@pytest.mark.parametrize("shape, options, message", [
    ((40, 40), {"side": 4}, "the side of a whitening filter must be odd, so that it has a middle, not 4"),
    ((40, 40), {"epsilon": 0.0}, "the epsilon of a whitening filter must be a finite number above 0, not 0.0"),
    ((10, 40), {}, 'the preprocessing "zca" learns a filter of 15x15 pixels from the picture, and it has 10x40'),
])
def test_filters_that_cannot_be(shape, options, message):
    with pytest.raises(InputError, match=re.escape(message)):
        whitening_filter(np.zeros(shape), **options)
