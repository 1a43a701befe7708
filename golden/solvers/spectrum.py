"""Phi in the frequency domain, for any stride and any channels: a small matrix at every frequency.

A stride-s convolution of C channels is an ordinary one once the picture is taken apart into its C s^2 *phases*, the
s x s pixels of every cell becoming channels of the sheet of V1 positions (the polyphase form of filter banks). On a
torus the DFT then splits ``x = Phi y`` into ``X(f) = A(f) Y(f)`` with A of shape (C s^2, K), one for each frequency.

At stride 1 with one channel, A is a row and ``(A^H A + rho)^-1`` is the Sherman-Morrison formula; otherwise it is the
Woodbury one, with a matrix of the smaller of the two sides (`Spectrum.solve`).
"""

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import fft

from ..conv import Border
from ..dictionary import Dictionary
from ..geometry import Geometry

Array = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]


class Spectrum:
    """A(f) of a dictionary on a torus of ``sheet`` V1 positions, ``s`` times as many pixels.

    Pixel (0, 0) of the torus is the first pixel of the cell of position (0, 0), as in `conv` with the circular border.
    """

    def __init__(self, dictionary: Dictionary, sheet: tuple[int, int]) -> None:
        self.sheet, self.stride = sheet, dictionary.stride
        self.channels, self.kernels = dictionary.channels, dictionary.kernels
        s, p = dictionary.stride, dictionary.patch
        margin = (p - s) // 2
        phases = np.zeros((self.channels, s, s, self.kernels, *sheet))
        q = np.arange(p) - margin
        # Kernels wider than the torus come around: += over repeated indices, hence add.at.
        rows, columns = (q // s) % sheet[0], (q // s) % sheet[1]
        where: Any = (slice(None), (q % s)[:, None], (q % s)[None, :], slice(None), rows[:, None], columns[None, :])
        np.add.at(phases, where, dictionary.atoms.transpose(2, 3, 1, 0))
        matrix = fft.rfft2(phases.reshape(self.channels * s * s, self.kernels, *sheet))
        # (frequencies, C s^2, K); numbers of one frequency side by side.
        self.matrix: Complex = np.ascontiguousarray(matrix.reshape(*matrix.shape[:2], -1).transpose(2, 0, 1))

    @cached_property
    def _eigen(self) -> tuple[Array, Complex]:
        """Eigenvalues and -vectors of the smaller of A A^H and A^H A at every frequency."""
        a = self.matrix
        h = a.conj().transpose(0, 2, 1)
        values, vectors = np.linalg.eigh(a @ h if a.shape[1] <= a.shape[2] else h @ a)
        return np.maximum(values, 0.0), vectors

    @property
    def norm(self) -> float:
        """``|Phi|^2``, the largest eigenvalue of Phi^T Phi on this torus: exact."""
        return float(self._eigen[0].max())

    def to_code(self, code: Array) -> Complex:
        """``(K, rows, columns)`` -> its DFT, ``(frequencies, K)``."""
        return np.asarray(fft.rfft2(code).reshape(len(code), -1).T)

    def from_code(self, spectrum: Complex) -> Array:
        """The inverse of `to_code`."""
        rows, columns = self.sheet
        return np.asarray(fft.irfft2(spectrum.T.reshape(-1, rows, columns // 2 + 1), s=self.sheet))

    def to_image(self, image: Array) -> Complex:
        """``(C, s rows, s columns)`` -> the DFT of its phases, ``(frequencies, C s^2)``."""
        (rows, columns), s = self.sheet, self.stride
        phases = image.reshape(self.channels, rows, s, columns, s).transpose(0, 2, 4, 1, 3)
        return self.to_code(phases.reshape(-1, rows, columns))

    def from_image(self, spectrum: Complex) -> Array:
        """The inverse of `to_image`."""
        (rows, columns), s = self.sheet, self.stride
        phases = self.from_code(spectrum).reshape(self.channels, s, s, rows, columns)
        return np.ascontiguousarray(phases.transpose(0, 3, 1, 4, 2)).reshape(self.channels, rows * s, columns * s)

    def synthesis(self, code: Complex) -> Complex:
        """Phi y: ``(frequencies, K)`` -> ``(frequencies, C s^2)``."""
        if self.matrix.shape[1] == 1:  # a row: several times faster than as many tiny matrices
            return np.asarray(np.einsum("fk,fk->f", self.matrix[:, 0], code)[:, None])
        return np.asarray((self.matrix @ code[..., None])[..., 0])

    def analysis(self, image: Complex) -> Complex:
        """Phi^T r: ``(frequencies, C s^2)`` -> ``(frequencies, K)``."""
        if self.matrix.shape[1] == 1:
            return np.asarray(self.matrix[:, 0].conj() * image)
        return np.asarray((image.conj()[:, None, :] @ self.matrix)[:, 0, :].conj())

    def solve(self, right: Complex, rho: float) -> Complex:
        """``(A^H A + rho)^-1 b`` at every frequency, exact for rho > 0: ``(frequencies, K)``.

        With more kernels than phases, ``(b - A^H (A A^H + rho)^-1 A b) / rho`` (Woodbury), which is the
        Sherman-Morrison formula where A is a row.
        """
        values, vectors = self._eigen
        if self.matrix.shape[1] > self.matrix.shape[2]:
            return self._invert(right, values, vectors, rho)
        inner = self._invert(self.synthesis(right), values, vectors, rho)
        return np.asarray((right - self.analysis(inner)) / rho)

    @staticmethod
    def _invert(right: Complex, values: Array, vectors: Complex, rho: float) -> Complex:
        if values.shape[1] == 1:
            return np.asarray(right / (values + rho))
        turned = (right.conj()[:, None, :] @ vectors)[:, 0, :].conj() / (values + rho)
        return np.asarray((vectors @ turned[..., None])[..., 0])


def torus(geometry: Geometry, border: Border, *, fast: bool = True) -> tuple[int, int]:
    """Sheet of a torus on which no kernel of the image comes around: the image's own when circular.

    Args:
        fast: grow it to a size the DFT likes.
    """
    if border == "circular":
        return geometry.sheet
    rows, columns = (n + geometry.reach for n in geometry.sheet)
    if not fast:
        return rows, columns
    return int(fft.next_fast_len(rows, real=True)), int(fft.next_fast_len(columns, real=True))


def lipschitz(dictionary: Dictionary, geometry: Geometry, border: Border) -> float:
    """L with ``|Phi^T Phi y| <= L |y|``: the step 1/L of gradient methods.

    Exact for the circular border. For "cropped" and "extended" it is that of the torus on which no kernel comes around:
    Phi is there a part of the torus' one (some codes, some pixels), so that L bounds it from above; a little high.
    """
    return Spectrum(dictionary, torus(geometry, border)).norm
