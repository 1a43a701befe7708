"""Phi and its transpose in the frequency domain, for large patches: the work hardly grows with the patch.

A strided convolution is an ordinary one between the s x s phases of the pixels: gather the pixels at the same place
of every s x s cell into a plane of its own (C s^2 polyphase planes of one value per cell) and the kernels alike, and
Phi joins K maps to C s^2 planes by kernels of ceil(p/s) cells a side at stride 1 (Vaidyanathan, *Multirate Systems and
Filter Banks*, polyphase representation). At every frequency that is one small complex matrix, for Phi^T its conjugate
transpose: K + C s^2 transforms of the size of the sheet and K C s^2 products a frequency, where the direct loop costs
K C p^2 products a position. The price of p is the kernels' reach, which the period of the transform must hold.

Sums are float64 in another order than those of `conv`: one pass agrees with it to 1e-12 of the largest value, a run to
1e-9 until a threshold or the cutoff is met within that distance.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit
from scipy import fft

from .conv import FOLDED, Array, Border, StridedConv, inner_pixels
from .geometry import Geometry
from .network import ArrayNetwork, Moved
from .threshold import Transfer

Spectrum = npt.NDArray[np.complex128]
Indices = npt.NDArray[np.int64]

# Frequencies are handled so many at a time: the sums over them then stay in the cache while the spectra go by.
_AT_ONCE = 512


@njit(cache=True, fastmath={"contract", "reassoc"})
def _combine(kernels, adjoint, values, sums):  # type: ignore[no-untyped-def]
    """sums[o] = sum over i of kernels[o, i] values[i] at every frequency; adjoint: of conj(kernels[i, o]).

    All are real and imaginary parts apart, (2, ..., frequencies): complex numbers side by side would not vectorise.
    """
    sums[:] = 0.0
    frequencies, sign = values.shape[2], -1.0 if adjoint else 1.0
    for first in range(0, frequencies, _AT_ONCE):
        last = min(first + _AT_ONCE, frequencies)
        for o in range(sums.shape[1]):
            real, imaginary = sums[0, o, first:last], sums[1, o, first:last]
            for i in range(values.shape[1]):
                c, k = (i, o) if adjoint else (o, i)
                a, b = kernels[0, c, k, first:last], kernels[1, c, k, first:last]
                x, y = values[0, i, first:last], values[1, i, first:last]
                for f in range(last - first):
                    real[f] += a[f] * x[f] - sign * b[f] * y[f]
                    imaginary[f] += a[f] * y[f] + sign * b[f] * x[f]


@njit(cache=True)
def _take_apart(image, rows, columns, stride, cutoff, planes):  # type: ignore[no-untyped-def]
    """Polyphase planes (C, s, s, period) of the canvas whose rows and columns are those of the image, or -1.

    Pixels smaller than the cutoff count as 0.
    """
    planes[:] = 0.0
    height, width = planes.shape[3:]
    for c in range(image.shape[0]):
        for y in range(len(rows)):
            if rows[y] < 0:
                continue
            i, line = y // stride % height, image[c, rows[y]]
            for q in range(stride):
                phase = planes[c, y % stride, q, i]
                for j in range(len(columns) // stride):
                    x = columns[stride * j + q]
                    if x >= 0 and abs(line[x]) >= cutoff:
                        phase[j if j < width else j - width] = line[x]


@njit(cache=True)
def _put_together(planes, rows, columns, stride, image):  # type: ignore[no-untyped-def]
    """The adjoint: every pixel of the canvas is added to the pixel of the image that it stands for."""
    image[:] = 0.0
    height, width = planes.shape[3:]
    for c in range(image.shape[0]):
        for y in range(len(rows)):
            if rows[y] < 0:
                continue
            i, line = y // stride % height, image[c, rows[y]]
            for q in range(stride):
                phase = planes[c, y % stride, q, i]
                for j in range(len(columns) // stride):
                    x = columns[stride * j + q]
                    if x >= 0:
                        line[x] += phase[j if j < width else j - width]


@njit(cache=True)
def _move(drive, u, y, eta, new_u):  # type: ignore[no-untyped-def]
    """u' = u + eta (drive + y - u); returns |u'|^2 and |drive + y - u|^2."""
    size = slope = 0.0
    for n in range(u.size):
        change = drive[n] + y[n] - u[n]
        new_u[n] = u[n] + eta * change
        slope += change * change
        size += new_u[n] * new_u[n]
    return size, slope


def period_cells(g: Geometry, border: Border) -> tuple[int, int]:
    """Period of the transforms in s x s cells, ``(rows, columns)``: the least quick one that keeps wrapping harmless.

    With the cropped border nothing lies in the cells before and after the image: what wraps around may fall onto them,
    and the period be so much shorter than all cells that the kernels reach.
    """
    least = [n + g.cover - 1 for n in g.sheet]
    if border == "cropped":
        free = g.margin // g.stride
        least = [max(n - free, -(-(g.margin + size) // g.stride)) for n, size in zip(least, g.image, strict=True)]
    return fft.next_fast_len(least[0]), fft.next_fast_len(least[1], real=True)


class FftConv:
    """The two directions of a `conv.StridedConv`, for one picture at a time.

    Args:
        conv: geometry and border; every border is covered.
        atoms: ``(K, C, p, p)``, those of conv.
    """

    def __init__(self, conv: StridedConv, atoms: Array) -> None:
        g = self.geometry = conv.geometry
        self.residual_shape = conv.residual_shape
        cells = [n + g.cover - 1 for n in g.sheet]
        self._period = period_cells(g, conv.border)
        side = g.cover * g.stride
        filled = np.zeros((g.kernels, g.channels, side, side))
        filled[:, :, : g.patch, : g.patch] = atoms
        phases = filled.reshape(g.kernels, g.channels, g.cover, g.stride, g.cover, g.stride)
        phases = phases.transpose(1, 3, 5, 0, 2, 4).reshape(-1, g.kernels, g.cover, g.cover)
        folded = np.zeros((*phases.shape[:2], *self._period))
        for i, j in np.ndindex(g.cover, g.cover):  # a kernel longer than the period wraps around as well
            folded[:, :, i % self._period[0], j % self._period[1]] += phases[:, :, i, j]
        spectra: Spectrum = fft.rfft2(folded).reshape(*phases.shape[:2], -1)
        self._kernels = np.stack([spectra.real, spectra.imag])
        self._mixed, self._matched = (np.empty((2, n, spectra.shape[2])) for n in spectra.shape[:2])
        self._planes = np.empty((g.channels, g.stride, g.stride, *self._period))
        self._pixels: list[Indices] = []
        for size, frame, count in zip(g.image, self.residual_shape[1:], cells, strict=True):
            inner = np.arange(frame) if conv.border == "extended" else np.pad(
                np.arange(size), g.margin, constant_values=-1)
            if conv.border in FOLDED:
                inner = inner_pixels(size, g.margin, conv.border)
            self._pixels.append(np.pad(inner, (0, count * g.stride - len(inner)), constant_values=-1))

    def analysis(self, residual: Array, cutoff: float = 0.0) -> Array:
        """Phi^T r, ``(K, H/s, W/s)``, of the residual, of `residual_shape`, where it is at least the cutoff."""
        _take_apart(residual, self._pixels[0], self._pixels[1], self.geometry.stride, cutoff, self._planes)
        seen = self._forward(self._planes.reshape(-1, *self._period))
        _combine(self._kernels, True, seen, self._matched)
        return self._backward(self._matched, self.geometry.sheet)

    def synthesis(self, code: Array) -> Array:
        """Phi y, of `residual_shape`, for the code ``(K, H/s, W/s)``."""
        _combine(self._kernels, False, self._forward(code), self._mixed)
        planes = self._backward(self._mixed, self._period).reshape(self._planes.shape)
        image = np.empty(self.residual_shape)
        _put_together(planes, self._pixels[0], self._pixels[1], self.geometry.stride, image)
        return image

    def _forward(self, planes: Array) -> Array:
        """Spectra ``(2, planes, frequencies)`` over the period. Rows first, and only those that hold something."""
        height, width = self._period
        by_row: Any = fft.rfft(planes, width, axis=2)
        spectra: Spectrum = fft.fft(by_row, height, axis=1, overwrite_x=True)
        spectra = spectra.reshape(len(planes), -1)
        return np.stack([spectra.real, spectra.imag])

    def _backward(self, spectra: Array, shape: tuple[int, int]) -> Array:
        """``(planes, *shape)``: the values at the beginning of the period."""
        height, width = self._period
        whole: Spectrum = np.empty((spectra.shape[1], height, width // 2 + 1), np.complex128)
        whole.real, whole.imag = (part.reshape(whole.shape) for part in spectra)
        by_row: Any = fft.ifft(whole, axis=1, overwrite_x=True)
        values: Array = fft.irfft(by_row[:, : shape[0]], width, axis=2)
        return np.ascontiguousarray(values[:, :, : shape[1]])


class FftNetwork(ArrayNetwork):
    """`network.Network` through `FftConv`.

    Args:
        image: x on the frame of the residual, ``(C, H, W)`` or extended.
        conv: geometry and border.
        atoms: ``(K, C, p, p)``.
        threshold, kind, two_sided, inclusive, cutoff: as in `lca.LcaParams`, kind being its transfer.
    """

    def __init__(self, image: Array, conv: StridedConv, atoms: Array, *, threshold: float, kind: Transfer,
                 two_sided: bool, inclusive: bool, cutoff: float) -> None:
        self._conv, self._cutoff = FftConv(conv, atoms), cutoff
        super().__init__(image, self._conv.synthesis, threshold, kind, two_sided, inclusive)

    def propose(self, eta: float) -> Moved:
        """Compute the next state aside."""
        drive, u = self._conv.analysis(self.residual, self._cutoff), np.empty_like(self.membrane)
        size, slope = _move(drive.ravel(), self.membrane.ravel(), self.code.ravel(), eta, u.ravel())
        if not math.isfinite(size):
            return Moved(size, slope, np.inf)
        y, r = self._follow(u)
        self._next = u, y, r
        return Moved(size, slope, float(np.vdot(r, r)))
