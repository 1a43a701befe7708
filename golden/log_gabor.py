"""Log-Gabor kernels: Gaussian over the logarithm of frequency, no DC, and a bandwidth over orientation to choose.

Ladret, Casanova, Perrinet, *Kernel Heterogeneity Improves Sparseness of Natural Images Representations*, eq. 3, gives
the filter in the frequency domain in polar coordinates::

    G(f, theta) = exp(-log(f/f0)^2 / (2 log(1 + sigma_f/f0)^2)) exp((cos 2(theta - theta0) - 1) / (4 sigma_theta^2))

with f in cycles per pixel and angles in radians (the -1 makes the peak 1; eq. 3 leaves that to the norm). Its bandwidth
is ``B = sigma_theta sqrt(2 ln 2)``: where the profile over orientation has fallen to a half, for a narrow one. theta is
the direction of the wave, from the column axis towards rising rows, as in `gabor`.

The paper does not say how a filter of the whole plane becomes a kernel of 12x12 pixels, or which phases there are. Here
eq. 3 is sampled on a fine frequency grid, brought to space about the middle of the kernel, and cut to its pixels; what
the cut leaves of DC is taken out, and the kernel gets unit norm. Phases 0 (even) and 90 degrees (odd) make the paper's
144 kernels of 72 orientations, and of 12 orientations times 6 bandwidths.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from .dictionary import Dictionary
from .errors import InputError

Array = npt.NDArray[np.float64]

FREQUENCY = 0.4  # f0 and sigma_f of the paper, cycles per pixel
SUPPORT = 12  # pixels a side of the paper's kernels
PATCH = 13  # pixels a side of a patch that is centred at stride 1 and holds them; the last row and column are 0
ORIENTATIONS = 72  # of the homogeneous bank
BANDWIDTH_DEGREES = 12.0
MIXED_ORIENTATIONS = 12  # of the heterogeneous bank
BANDWIDTHS_DEGREES = (3.0, 8.4, 13.8, 19.2, 24.6, 30.0)  # six from 3 to 30; even steps are our reading
PHASES = (0.0, math.pi / 2)

_FINE = 8  # frequencies of the grid a pixel: how far the copies that sampling makes lie apart
_HALF = math.sqrt(2.0 * math.log(2.0))


def sigma_theta(bandwidth_degrees: float) -> float:
    """sigma_theta in radians of a bandwidth B in degrees."""
    return math.radians(bandwidth_degrees) / _HALF


def bandwidth_degrees(sigma: float) -> float:
    """B in degrees of sigma_theta in radians."""
    return math.degrees(sigma * _HALF)


def response(rows: Array, columns: Array, f0: float, sigma_f: float, theta0: float, sigma: float) -> Array:
    """G of eq. 3, its peak 1, at frequencies in cycles per pixel along rows and columns; 0 at frequency 0."""
    f, theta = np.hypot(rows, columns), np.arctan2(rows, columns)
    octaves = np.log(np.where(f > 0, f, f0) / f0) / math.log1p(sigma_f / f0)
    around = (np.cos(2.0 * (theta - theta0)) - 1.0) / (4.0 * sigma**2)
    return np.asarray(np.where(f > 0, np.exp(around - 0.5 * octaves**2), 0.0), np.float64)


def log_gabor(
    shape: tuple[int, int], f0: float, sigma_f: float, theta0: float, sigma_theta: float, phase: float = 0.0
) -> Array:
    """One kernel of unit norm and no DC.

    Args:
        shape: ``(H, W)`` pixels. f0, sigma_f: cycles per pixel. theta0, sigma_theta: radians. phase: of the wave in the
            middle of the kernel, radians: 0 an even kernel, pi/2 an odd one.

    Returns:
        ``(H, W)``.

    Raises:
        InputError: fewer than 2x2 pixels, a frequency that is not above 0 and at most 0.5 (the finest that pixels can
            carry), or a width that is not above 0.
    """
    height, width = shape
    if min(shape) < 2:
        raise InputError(f"a log-Gabor kernel needs at least 2x2 pixels, not {height}x{width}")
    if not 0 < f0 <= 0.5:
        raise InputError(f"f0 must be above 0 and at most 0.5 cycles per pixel, not {f0:g}")
    for name, value in (("sigma_f", sigma_f), ("sigma_theta", sigma_theta)):
        if not 0 < value < math.inf:
            raise InputError(f"{name} must be a finite number above 0, not {value:g}")
    grid = _FINE * max(shape)
    rows, columns = _plane(grid)
    envelope = response(rows, columns, f0, sigma_f, theta0, sigma_theta)
    # Eq. 3 is the same at f and -f, an even kernel. The odd one turns the two halves by a quarter of a period each way.
    ahead = np.sign(rows * math.sin(theta0) + columns * math.cos(theta0))
    wave = envelope * (math.cos(phase) + 1j * math.sin(phase) * ahead)
    middle = np.exp(-2j * math.pi * (rows * (height - 1) / 2 + columns * (width - 1) / 2))
    kernel = np.asarray(np.fft.ifft2(wave * middle).real[:height, :width], np.float64)
    kernel = kernel - kernel.mean()
    norm = float(np.linalg.norm(kernel))
    if norm < 1e-12:
        raise InputError(f"a log-Gabor of f0 {f0:g}, sigma_f {sigma_f:g}, sigma_theta {sigma_theta:g} leaves nothing "
                         f"on {height}x{width} pixels; use a higher f0 or wider bands")  # fmt: skip
    return np.asarray(kernel / norm, np.float64)


def _plane(grid: int) -> tuple[Array, Array]:
    """Frequencies of a square grid, cycles per pixel: (grid, 1) along rows and (1, grid) along columns."""
    f = np.asarray(np.fft.fftfreq(grid), np.float64)
    return f[:, None], f[None, :]


@dataclass(frozen=True)
class Member:
    """Of one kernel of a bank: what was asked for. Angles in degrees."""

    orientation_degrees: float
    bandwidth_degrees: float
    phase_degrees: float


def members(orientations: int, bandwidths_degrees: tuple[float, ...]) -> tuple[Member, ...]:
    """The kernels of a bank in their order: by orientation (evenly over 180 degrees), bandwidth, phase."""
    return tuple(
        Member(180.0 * n / orientations, bandwidth, math.degrees(phase))
        for n in range(orientations) for bandwidth in bandwidths_degrees for phase in PHASES
    )  # fmt: skip


HOMOGENEOUS = members(ORIENTATIONS, (BANDWIDTH_DEGREES,))
HETEROGENEOUS = members(MIXED_ORIENTATIONS, BANDWIDTHS_DEGREES)


def homogeneous_bank() -> Dictionary:
    """The paper's 144 kernels of one bandwidth: 72 orientations, B 12 degrees, two phases; 12x12 pixels, stride 1."""
    return bank(HOMOGENEOUS, f"log-Gabor, {ORIENTATIONS} orientations, B {BANDWIDTH_DEGREES:g} degrees, even and odd")


def heterogeneous_bank() -> Dictionary:
    """The paper's 144 kernels of mixed bandwidth: 12 orientations, six B from 3 to 30 degrees, two phases; 12x12 pixels
    at stride 1.
    """
    widths = ", ".join(f"{value:g}" for value in BANDWIDTHS_DEGREES)
    return bank(HETEROGENEOUS, f"log-Gabor, {MIXED_ORIENTATIONS} orientations, B {widths} degrees, even and odd")


def bank(
    kernels: tuple[Member, ...], source: str, *, frequency: float = FREQUENCY, support: int = SUPPORT,
    patch: int = PATCH,
) -> Dictionary:
    """A dictionary of stride 1 of such kernels with f0 = sigma_f = ``frequency``, in cycles per pixel.

    12x12 pixels at stride 1 have no pixel in their middle, so that `Geometry` refuses them: they lie in the upper left
    of a patch of 13x13, the rest of it 0. That moves every code by half a pixel and changes nothing else.

    Raises:
        InputError: as `log_gabor`, or a support that is larger than the patch.
    """
    if support > patch:
        raise InputError(f"kernels of {support}x{support} pixels do not fit a patch of {patch}x{patch}")
    atoms = np.zeros((len(kernels), 1, patch, patch))
    for atom, asked in zip(atoms[:, 0], kernels, strict=True):
        atom[:support, :support] = log_gabor(
            (support, support), frequency, frequency, math.radians(asked.orientation_degrees),
            sigma_theta(asked.bandwidth_degrees), math.radians(asked.phase_degrees),
        )  # fmt: skip
    return Dictionary(atoms, 1, source)


@dataclass(frozen=True)
class Tuning:
    """What a kernel answers to, measured from its spectrum.

    Args:
        orientation_degrees: mean direction of the wave, 0 to 180. bandwidth_degrees: B of the log-Gabor whose energy is
            as spread over orientation; infinity for one that has none. frequency: where the energy has its median,
            cycles per pixel.
    """

    orientation_degrees: float
    bandwidth_degrees: float
    frequency: float


def tuning(kernel: Array) -> Tuning:
    """Orientation and bandwidth of any kernel, by circular statistics of its energy over orientation.

    The energy of eq. 3 over theta is a von Mises density of the doubled angle with concentration 1/(2 sigma_theta^2),
    whose mean resultant length is I1/I0 of that; the measured length is turned back into sigma_theta. Energy counts
    within the circle of 0.5 cycles per pixel, which is the same for all orientations, and without DC.

    Args:
        kernel: ``(C, p, p)`` or ``(p, p)``, not all 0; channels add their energy.
    """
    planes = kernel.reshape(-1, *kernel.shape[-2:])
    grid = _FINE * max(planes.shape[-2:])
    rows, columns = _plane(grid)
    f = np.hypot(rows, columns)
    energy = np.sum(np.abs(np.fft.fft2(planes, (grid, grid))) ** 2, axis=0) * ((f > 0) & (f <= 0.5))
    total = float(energy.sum())
    if total == 0.0:
        return Tuning(0.0, math.inf, 0.0)
    resultant = complex(np.sum(energy * np.exp(2j * np.arctan2(rows, columns)))) / total
    order = np.argsort(f, axis=None)
    half = int(np.searchsorted(np.cumsum(energy.ravel()[order]), total / 2))
    concentration = _concentration(abs(resultant))
    sigma = math.inf if concentration == 0.0 else math.sqrt(0.5 / concentration)
    orientation = math.degrees(np.angle(resultant)) / 2 % 180.0
    return Tuning(orientation, bandwidth_degrees(sigma), float(f.ravel()[order[half]]))


def _concentration(length: float) -> float:
    """kappa with I1(kappa)/I0(kappa) = length, of a von Mises density."""
    if length < 1e-9:
        return 0.0
    top = 1e9
    if special.i1e(top) / special.i0e(top) <= length:
        return top
    return float(optimize.brentq(lambda kappa: special.i1e(kappa) / special.i0e(kappa) - length, 0.0, top))
