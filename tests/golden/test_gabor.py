import numpy as np
import pytest

from striate.golden.dictionary import Dictionary
from striate.golden.gabor import fit_gabor, gabor_like
from striate.golden.geometry import Geometry


def gabor(centre, sigma, frequency, orientation, phase, size=16):
    rows, columns = np.mgrid[:size, :size]
    dy, dx = rows - centre[0], columns - centre[1]
    along = dx * np.cos(orientation) + dy * np.sin(orientation)
    across = dy * np.cos(orientation) - dx * np.sin(orientation)
    envelope = np.exp(-0.5 * ((along / sigma[0])**2 + (across / sigma[1])**2))
    return envelope * np.cos(2 * np.pi * frequency * along + phase)


@pytest.mark.parametrize("seed", range(6))
def test_recovers_a_gabor(seed):
    rng = np.random.default_rng(seed)
    centre, sigma, frequency = rng.uniform(5, 10, 2), rng.uniform(1.5, 3, 2), rng.uniform(0.1, 0.3)
    orientation, phase = rng.uniform(-1.5, 1.5), rng.uniform(-3, 3)
    fit = fit_gabor(3 * gabor(centre, sigma, frequency, orientation, phase))
    assert fit.explained > 0.9999
    np.testing.assert_allclose(fit.centre, centre, atol=1e-3)
    np.testing.assert_allclose(fit.sigma, sigma, atol=1e-3)
    assert fit.frequency == pytest.approx(frequency, abs=1e-4)
    # A wave is the same as its reverse with the phase negated.
    sign = 1 if np.cos(fit.orientation - orientation) > 0 else -1
    assert np.sin(fit.orientation - orientation) == pytest.approx(0, abs=1e-3)
    assert np.exp(1j * fit.phase) == pytest.approx(np.exp(1j * sign * phase), abs=1e-2)


def test_a_noisy_gabor_is_explained_in_part_and_noise_hardly():
    rng = np.random.default_rng(0)
    clean = gabor((8, 7), (2, 3), 0.15, 0.4, 1.0)
    clean /= np.linalg.norm(clean)
    noise = rng.standard_normal((16, 16))
    noise /= np.linalg.norm(noise)
    assert fit_gabor(clean + 0.5 * noise).explained == pytest.approx(0.8, abs=0.05)
    assert gabor_like(Dictionary.random(Geometry((32, 32), 1, 8, 16, 2), 0)).max() < 0.3


def test_channels_share_the_wave_but_not_the_amplitude():
    wave = gabor((8, 7), (2, 3), 0.15, 0.4, 1.0)
    fit = fit_gabor(np.stack([wave, -2 * wave, 0 * wave]))
    assert fit.explained > 0.9999 and fit.kernel.shape == (3, 16, 16)
    # Channels a quarter wave apart are two Gabors, not one.
    assert fit_gabor(np.stack([wave, gabor((8, 7), (2, 3), 0.15, 0.4, 1.0 + np.pi / 2)])).explained < 0.7


def test_blobs_belong_to_the_family_and_checks_do_not():
    assert fit_gabor(gabor((8, 8), (2, 2), 0.0, 0.0, 0.0)).explained > 0.99
    row, column = np.indices((16, 16)) // 4
    checks = (row + column) % 2 - 0.5
    assert fit_gabor(checks * gabor((8, 8), (6, 6), 0, 0, 0)).explained < 0.6
