"""How far a kernel reaches: the radius that holds most of its energy, and its mean spatial frequency."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...golden.dictionary import Dictionary

Array = npt.NDArray[np.float64]
SHARE = 0.9
"""Of a kernel's energy that counts as its support."""


@dataclass(frozen=True)
class Support:
    """The natural support of a dictionary's kernels.

    Args:
        configuration: its name. radii_pixels: of every kernel, by `support_radius`. patch: p in pixels.
    """

    configuration: str
    radii_pixels: tuple[float, ...]
    patch: int

    @property
    def median_pixels(self) -> float:
        """Over the kernels."""
        return float(np.median(self.radii_pixels))


def support_radius(kernel: Array, share: float = SHARE) -> float:
    """The smallest radius in pixels about the kernel's centroid whose pixels hold ``share`` of its energy.

    Args:
        kernel: ``(C, p, p)``, not all zero. share: above 0, at most 1.

    The centroid is that of the energy, summed over channels; a pixel counts as its centre. A Gaussian envelope
    ``exp(-d^2 / (2 sigma^2))`` gives ``sigma sqrt(-ln(1 - share))``, and energy spread evenly over a large patch
    0.5575 p at 0.9.
    """
    energy = np.sum(np.square(kernel), axis=0)
    energy = energy / energy.sum()
    rows, columns = np.mgrid[: energy.shape[0], : energy.shape[1]].astype(np.float64)
    distance = np.hypot(rows - np.sum(rows * energy), columns - np.sum(columns * energy)).ravel()
    order = np.argsort(distance, kind="stable")
    held = np.cumsum(energy.ravel()[order])
    # Sums of shares end a rounding short of 1.
    first = min(int(np.searchsorted(held, share - 1e-12)), len(order) - 1)
    return float(distance[order[first]])


def support_of(configuration: str, dictionary: Dictionary) -> Support:
    """Of every kernel."""
    return Support(configuration, tuple(support_radius(kernel) for kernel in dictionary.atoms), dictionary.patch)


def mean_frequency(kernel: Array) -> float:
    """The mean of ``|f|`` over the kernel's power spectrum, in cycles per pixel (white noise: 0.38).

    Args:
        kernel: ``(C, p, p)``. The spectrum is taken on twice the patch, so that its ends do not meet.
    """
    size = 2 * kernel.shape[-1]
    power = np.sum(np.abs(np.fft.fft2(kernel, (size, size))) ** 2, axis=0)
    axis = np.fft.fftfreq(size)
    return float(np.sum(power * np.hypot(axis[:, None], axis[None])) / power.sum())
