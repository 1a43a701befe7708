"""How much of a kernel is a Gabor function: a fit by nonlinear least squares, and the share of energy it explains.

A Gabor function is a plane wave under an elliptic Gaussian, ``exp(-a^2/(2 sa^2) - b^2/(2 sb^2)) cos(w a + phi)`` with
(a, b) the coordinates turned by theta about a centre: the shape of simple cells in V1 and of kernels learned from
natural images. A Gaussian blob (w = 0) belongs to the family.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize

from .dictionary import Dictionary

Array = npt.NDArray[np.float64]

_STARTS = 6  # spectral peaks tried, each with a narrow and a wide envelope


@dataclass(frozen=True)
class GaborFit:
    """The best Gabor found for one kernel.

    Args:
        explained: share of the kernel's energy the fit accounts for, ``1 - |f - g|^2 / |f|^2``, from 0 to 1.
        centre: ``(row, column)`` in pixels from the kernel's first pixel.
        sigma: ``(along, across)`` the wave, in pixels.
        frequency: cycles per pixel.
        orientation: direction of the wave, radians from the column axis.
        phase: of the wave at the centre, radians.
        kernel: the fitted function, ``(C, p, p)`` (one amplitude per channel).
    """

    explained: float
    centre: tuple[float, float]
    sigma: tuple[float, float]
    frequency: float
    orientation: float
    phase: float
    kernel: Array


def fit_gabor(kernel: Array) -> GaborFit:
    """Fit a Gabor function to a kernel.

    The amplitudes of the two quadratures are linear, so they are solved exactly inside the search over the six others
    (centre, two widths, wave vector): variable projection. The searches start at the strongest peaks of the spectrum
    and the centre of the kernel's energy; the best one counts.

    Args:
        kernel: ``(C, p, p)`` or ``(p, p)``, any norm above 0. Channels share everything but the amplitude.

    Returns:
        The fit; the same kernel gives the same fit.
    """
    planes = kernel.reshape(-1, *kernel.shape[-2:])
    size = planes.shape[-1]
    rows, columns = np.mgrid[:size, :size].astype(np.float64)
    target = planes.reshape(len(planes), -1).T
    energy = float(np.sum(target**2))
    weight = np.sum(planes**2, axis=0) / energy
    centre = float(np.sum(rows * weight)), float(np.sum(columns * weight))
    spread = float(np.sqrt(np.sum(((rows - centre[0])**2 + (columns - centre[1])**2) * weight) / 2)) + 0.3

    def basis(p: Array) -> tuple[Array, float]:
        """The two quadratures at (row, column, log sa, log sb, wave row, wave column), and the wave's direction."""
        angle = float(np.arctan2(p[4], p[5]))
        dy, dx = rows - p[0], columns - p[1]
        along, across = dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)
        envelope = np.exp(-0.5 * ((along / np.exp(p[2]))**2 + (across / np.exp(p[3]))**2))
        wave = 2 * np.pi * np.hypot(p[4], p[5]) * along
        return np.stack([(envelope * np.cos(wave)).ravel(), (envelope * np.sin(wave)).ravel()], axis=1), angle

    def project(p: Array) -> tuple[Array, Array]:
        """Amplitudes (2, C) and the residual. One phase for all channels: the best rank-one amplitude matrix."""
        design, _ = basis(p)
        # The ridge only matters at w = 0, where the sine column vanishes.
        normal = design.T @ design + 1e-9 * np.eye(2)
        amplitude = np.linalg.solve(normal, design.T @ target)
        if amplitude.shape[1] > 1:
            left, value, right = np.linalg.svd(np.linalg.cholesky(normal).T @ amplitude, full_matrices=False)
            amplitude = np.linalg.solve(np.linalg.cholesky(normal).T, np.outer(left[:, 0] * value[0], right[0]))
        return np.asarray(amplitude, np.float64), np.asarray(design @ amplitude - target, np.float64)

    low = [-size / 2, -size / 2, np.log(0.4), np.log(0.4), -0.7, -0.7]
    high = [1.5 * size, 1.5 * size, np.log(2.0 * size), np.log(2.0 * size), 0.7, 0.7]
    best: optimize.OptimizeResult | None = None
    for wave in _spectral_peaks(planes):
        for width in (0.7 * spread, 1.4 * spread):
            start = np.clip([*centre, np.log(width), np.log(width), *wave], np.array(low) + 1e-6, np.array(high) - 1e-6)
            found = optimize.least_squares(lambda p: project(p)[1].ravel(), start, bounds=(low, high), max_nfev=100)
            if best is None or found.cost < best.cost:
                best = found
    assert best is not None
    p = np.asarray(best.x, np.float64)
    amplitude, residual = project(p)
    strongest = int(np.argmax(np.sum(amplitude**2, axis=0)))
    explained = max(0.0, 1.0 - float(np.sum(residual**2)) / energy)
    return GaborFit(explained, (float(p[0]), float(p[1])), (float(np.exp(p[2])), float(np.exp(p[3]))),
                    float(np.hypot(p[4], p[5])), basis(p)[1],
                    float(np.arctan2(-amplitude[1, strongest], amplitude[0, strongest])),
                    (residual + target).T.reshape(planes.shape))


def gabor_like(dictionary: Dictionary) -> Array:
    """The share of energy a Gabor function explains, for every kernel: ``(K,)``, 0 to 1."""
    return np.array([fit_gabor(kernel).explained for kernel in dictionary.atoms])


def _spectral_peaks(planes: Array) -> list[tuple[float, float]]:
    """The strongest distinct wave vectors, in cycles per pixel (row, column); one of each pair +w, -w."""
    size = 2 * planes.shape[-1]
    power = np.sum(np.abs(np.fft.fft2(planes, (size, size)))**2, axis=0)
    frequency = np.fft.fftfreq(size)
    peaks: list[tuple[float, float]] = []
    for index in np.argsort(power, axis=None)[::-1]:
        row, column = np.unravel_index(index, power.shape)
        wave = float(frequency[row]), float(frequency[column])
        near = 2.5 / size  # of one lobe of the spectrum only its top counts
        if all(np.hypot(wave[0] - sign * y, wave[1] - sign * x) > near for y, x in peaks for sign in (1, -1)):
            peaks.append(wave)
        if len(peaks) == _STARTS:
            break
    return peaks
