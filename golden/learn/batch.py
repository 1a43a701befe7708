"""What a rule learns from: a batch of crops, their codes and what the codes left unexplained."""

from dataclasses import dataclass

import numpy as np

from ..conv import FOLDED, Array, Border, StridedConv


@dataclass(frozen=True)
class Batch:
    """Crops coded with the same kernels, at least one.

    Args:
        stride, border: s in pixels, and how the image goes on, see `conv`.
        inside: ``(p, p)``, 1 where kernels may differ from 0.
        images: x, each ``(C, H, W)``.
        codes: y, each ``(K, H/s, W/s)``.
        residuals: x - Phi y with the kernels they were coded with, each of `StridedConv.residual_shape`.
    """

    stride: int
    border: Border
    inside: Array
    images: tuple[Array, ...]
    codes: tuple[Array, ...]
    residuals: tuple[Array, ...]

    def __len__(self) -> int:
        return len(self.images)

    def conv(self, atoms: Array) -> StridedConv:
        """Phi of these kernels on the crops."""
        height, width = self.images[0].shape[1:]
        return StridedConv(atoms, self.stride, (height, width), self.border)

    def descent(self, atoms: Array, residuals: tuple[Array, ...] | None = None) -> Array:
        """``(K, C, p, p)``: minus the gradient by the kernels of ``sum 1/2 |x - Phi y|^2`` over the batch (eq. 15).

        Args:
            atoms: only their shape counts.
            residuals: those of other kernels than the codes were made with.
        """
        conv = self.conv(atoms)
        parts = [conv.correlate(residual, code)
                 for residual, code in zip(residuals or self.residuals, self.codes, strict=True)]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total * self.inside

    def left(self, atoms: Array) -> tuple[Array, ...]:
        """The residuals that these codes have with other kernels."""
        conv = self.conv(atoms)
        return tuple(framed(image, conv) - conv.synthesis(code)
                     for image, code in zip(self.images, self.codes, strict=True))


def framed(image: Array, conv: StridedConv) -> Array:
    """The image ``(C, H, W)`` as a residual lies: with the extended border between margins of 0."""
    margin = (conv.residual_shape[1] - image.shape[1]) // 2
    return np.pad(image, ((0, 0), (margin,) * 2, (margin,) * 2))


def half_square(residuals: tuple[Array, ...]) -> float:
    """``sum 1/2 |r|^2`` over a batch."""
    return sum(0.5 * float(np.sum(np.square(residual))) for residual in residuals)


def unit(atoms: Array, instead: Array) -> Array:
    """Kernels brought to unit L2 norm; one that leaves nothing to normalise becomes its counterpart in ``instead``."""
    norms = np.linalg.norm(atoms.reshape(len(atoms), -1), axis=1)[:, None, None, None]
    usable = np.isfinite(norms) & (norms > 0.0)
    return np.where(usable, atoms / np.where(usable, norms, 1.0), instead)


def on_canvas(residual: Array, conv: StridedConv) -> Array:
    """A residual with what the receptive fields meet beyond the border, ``(C, H + 2m, W + 2m)``."""
    margin = conv.geometry.margin
    if conv.border == "extended" or margin == 0:
        return residual
    pads = ((0, 0), (margin,) * 2, (margin,) * 2)
    if conv.border in FOLDED:
        return np.pad(residual, pads, mode="wrap" if conv.border == "circular" else "symmetric")
    return np.pad(residual, pads)
