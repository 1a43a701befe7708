"""The two directions of the network: ``analysis`` (Phi^T r) and ``synthesis`` (Phi y), exact adjoints of each other.

A V1 neuron ``(k, i, j)`` sees the image through kernel k placed with its first pixel at row ``s*i - m``, column
``s*j - m``, with ``m = (p - s)/2``. Analysis is the strided correlation of the residual with the kernels (a
convolution, then keeping every s-th sample); synthesis is its transpose (up-sampling by zeros, then convolution).
Schultz, Paiton, Lu, Kenyon, *Replicating kernels with a short stride allows sparse reconstructions with fewer
independent kernels*, eq. 10-11.

Kernels near the edge reach m pixels beyond the image. What they meet there is the ``border``:

===========  =================================================  ====================================================
border       analysis(r)                                        synthesis(y)
===========  =================================================  ====================================================
"cropped"    r counts as 0 outside the image                    what falls outside is dropped
"extended"   r has the extended shape (C, H + 2m, W + 2m)       the same extended shape: nothing is dropped
"mirror"     r continues as its mirror image (edge repeated)    what falls outside is folded back onto the image
"circular"   r continues periodically                           what falls outside comes in again on the other side
===========  =================================================  ====================================================

``<analysis(r), y> == <r, synthesis(y)>`` holds for each of them. Arrays are float64; batch dimensions stand in front.
"""

from collections.abc import Iterator
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from .errors import InputError
from .geometry import Geometry

Array = npt.NDArray[np.float64]
Border = Literal["cropped", "extended", "mirror", "circular"]

FOLDED: tuple[Border, ...] = ("mirror", "circular")
"""Borders whose pixels outside are copies of pixels inside, see `inner_pixels`."""

# Output rows are handled in strips of about this many values, so that a strip's unrolled input stays in the cache.
_STRIP_VALUES = 1 << 16


def inner_pixels(size: int, margin: int, border: Border) -> npt.NDArray[np.int64]:
    """Which pixel of an axis each of ``-margin .. size + margin - 1`` stands for, for a border of `FOLDED`.

    ``margin`` may be larger than ``size``: the image then continues more than once.
    """
    return np.pad(np.arange(size), margin, mode="wrap" if border == "circular" else "symmetric")


class StridedConv:
    """Phi and its transpose for one dictionary and one image size: kernels are unrolled once, then applied many times.

    Args:
        atoms: ``(K, C, p, p)``; any norm (the operator is linear in it).
        stride: s, pixels between neighbouring V1 positions.
        shape: ``(H, W)`` of the image, in pixels.
        border: "cropped", "extended", "mirror" or "circular", see the module's table.

    Raises:
        InputError: an unknown border, atoms that are not ``(K, C, p, p)``, or a geometry `Geometry` refuses.
    """

    def __init__(self, atoms: Array, stride: int, shape: tuple[int, int], border: Border = "cropped") -> None:
        if border not in get_args(Border):
            raise InputError(f"border must be one of {', '.join(get_args(Border))}, not '{border}'")
        if atoms.ndim != 4 or atoms.shape[2] != atoms.shape[3]:
            raise InputError(f"a dictionary has the shape (K, C, p, p), not {atoms.shape}")
        kernels, channels, patch, _ = atoms.shape
        self.geometry = Geometry((int(shape[0]), int(shape[1])), channels, kernels, patch, stride)
        self.border = border
        g = self.geometry
        # Rows of a kernel in groups of s: a group meets exactly one row of s x s cells of the image. The last group is
        # filled up with zero rows when s does not divide p.
        rows = np.zeros((kernels, channels, g.cover * stride, patch))
        rows[:, :, :patch] = atoms
        groups = rows.reshape(kernels, channels, g.cover, stride, patch).transpose(0, 2, 1, 3, 4)
        self._depth = channels * stride * patch
        self._forward = np.ascontiguousarray(groups.reshape(kernels, g.cover * self._depth))
        self._backward = np.ascontiguousarray(self._forward.T)
        self._inner = tuple(inner_pixels(n, g.margin, border) for n in g.image)

    @property
    def residual_shape(self) -> tuple[int, int, int]:
        """Shape of what analysis takes and synthesis gives: ``(C, H, W)``, or ``(C, H + 2m, W + 2m)`` when extended."""
        g = self.geometry
        grow = 2 * g.margin if self.border == "extended" else 0
        return g.channels, g.image[0] + grow, g.image[1] + grow

    def analysis(self, residual: Array) -> Array:
        """Phi^T r: ``(..., C, H, W)`` -> ``(..., K, H/s, W/s)``, the match of each kernel with the residual."""
        if residual.shape[-3:] != self.residual_shape:
            raise InputError(f"the residual must end in the shape {self.residual_shape} ({self.border} border), "
                             f"not {residual.shape}")
        batch = residual.shape[:-3]
        code = np.empty((*batch, *self.geometry.code_shape))
        for index in np.ndindex(*batch):
            self._gather(residual[index], code[index])
        return code

    def synthesis(self, code: Array) -> Array:
        """Phi y: ``(..., K, H/s, W/s)`` -> ``(..., C, H, W)``, the sum of all kernels weighted by the code."""
        if code.shape[-3:] != self.geometry.code_shape:
            raise InputError(f"the code must end in the shape {self.geometry.code_shape}, not {code.shape}")
        batch = code.shape[:-3]
        image = np.empty((*batch, *self.residual_shape))
        for index in np.ndindex(*batch):
            image[index] = self._scatter(code[index])
        return image

    def correlate(self, residual: Array, code: Array) -> Array:
        """``sum over positions of code times patch``: the gradient of <analysis(r), y> by the kernels (eq. 15).

        Args:
            residual: r, of `residual_shape`.
            code: y, ``(K, H/s, W/s)``.

        Returns:
            ``(K, C, p, p)``.
        """
        g = self.geometry
        flat = code.reshape(g.kernels, -1)
        total = np.zeros_like(self._forward)
        for positions, patches in self._patches(residual):
            total += flat[:, positions] @ patches.T
        groups = total.reshape(g.kernels, g.cover, g.channels, g.stride, g.patch).transpose(0, 2, 1, 3, 4)
        return groups.reshape(g.kernels, g.channels, g.cover * g.stride, g.patch)[:, :, :g.patch]

    # A canvas is the image with margin m in front, cut to whole s x s cells: cell row b holds canvas rows
    # s*b .. s*b + s - 1, and position i meets the cell rows i .. i + cover - 1.

    def _canvas_shape(self) -> tuple[int, int, int]:
        g = self.geometry
        rows, columns = g.sheet
        return g.channels, (rows + g.cover - 1) * g.stride, (columns + g.cover - 1) * g.stride

    def _inside(self) -> tuple[slice, slice, slice]:
        g = self.geometry
        m = 0 if self.border == "extended" else g.margin
        _, height, width = self.residual_shape
        return slice(None), slice(m, m + height), slice(m, m + width)

    def _cells(self, canvas: Array) -> Array:
        """View of the canvas as ``(C, s, cell rows, columns)``: row inside the cell apart from the row of cells."""
        channels, height, width = canvas.shape
        s = self.geometry.stride
        return canvas.reshape(channels, height // s, s, width).transpose(0, 2, 1, 3)

    def _strips(self) -> list[tuple[int, int]]:
        rows, columns = self.geometry.sheet
        step = max(1, _STRIP_VALUES // (self._depth * self.geometry.cover * columns))
        return [(start, min(start + step, rows)) for start in range(0, rows, step)]

    def _patches(self, residual: Array) -> Iterator[tuple[slice, Array]]:
        """Strips of V1 rows: which positions, and the pixels each of them sees, in the order of ``_forward``."""
        g = self.geometry
        rows, columns = g.sheet
        s, p = g.stride, g.patch
        canvas = np.zeros(self._canvas_shape())
        if self.border in FOLDED:
            height, width = (n + 2 * g.margin for n in g.image)
            canvas[:, :height, :width] = residual[:, self._inner[0][:, None], self._inner[1]]
        else:
            canvas[self._inside()] = residual
        cells = self._cells(canvas)
        # Columns are unrolled over the whole canvas once; rows only strip by strip.
        by_tap = np.empty((g.channels, s, p, rows + g.cover - 1, columns))
        for q in range(p):
            by_tap[:, :, q] = cells[..., q:q + s * columns:s]
        unrolled = by_tap.reshape(self._depth, rows + g.cover - 1, columns)
        for start, stop in self._strips():
            patches = np.empty((g.cover, self._depth, stop - start, columns))
            for t in range(g.cover):
                patches[t] = unrolled[:, start + t:stop + t]
            yield slice(start * columns, stop * columns), patches.reshape(g.cover * self._depth, -1)

    def _gather(self, residual: Array, code: Array) -> None:
        flat = code.reshape(self.geometry.kernels, -1)
        for positions, patches in self._patches(residual):
            np.matmul(self._forward, patches, out=flat[:, positions])

    def _scatter(self, code: Array) -> Array:
        g = self.geometry
        rows, columns = g.sheet
        s, p = g.stride, g.patch
        flat = code.reshape(g.kernels, rows * columns)
        unrolled = np.zeros((self._depth, rows + g.cover - 1, columns))
        for start, stop in self._strips():
            patches = np.matmul(self._backward, flat[:, start * columns:stop * columns])
            patches = patches.reshape(g.cover, self._depth, stop - start, columns)
            for t in range(g.cover):
                unrolled[:, start + t:stop + t] += patches[t]
        by_tap = unrolled.reshape(g.channels, s, p, rows + g.cover - 1, columns)
        canvas = np.zeros(self._canvas_shape())
        cells = self._cells(canvas)
        for q in range(p):
            cells[..., q:q + s * columns:s] += by_tap[:, :, q]
        if self.border not in FOLDED:
            return canvas[self._inside()]
        # The adjoint of continuing the image: every pixel outside returns to the one it was the copy of.
        height, width = (n + 2 * g.margin for n in g.image)
        by_row = np.zeros((g.channels, g.image[0], width))
        for outside, inside in enumerate(self._inner[0]):
            by_row[:, inside] += canvas[:, outside, :width]
        image = np.zeros(g.image_shape)
        for outside, inside in enumerate(self._inner[1]):
            image[:, :, inside] += by_row[:, :, outside]
        return image


def analysis(residual: Array, atoms: Array, stride: int, border: Border = "cropped") -> Array:
    """Phi^T r, the strided correlation of a residual with every kernel (eq. 11's drive).

    Args:
        residual: ``(..., C, H, W)``; with the extended border ``(..., C, H + 2m, W + 2m)``, ``m = (p - s)/2``.
        atoms: ``(K, C, p, p)``.
        stride: s in pixels.
        border: see the module's table.

    Returns:
        ``(..., K, H/s, W/s)``.

    Raises:
        InputError: shapes that do not fit each other, an illegal geometry or border.
    """
    residual = np.asarray(residual, np.float64)
    atoms = np.asarray(atoms, np.float64)
    if residual.ndim < 3:
        raise InputError(f"the residual must end in (C, H, W), not have the shape {residual.shape}")
    grow = atoms.shape[-1] - stride if border == "extended" else 0
    shape = (residual.shape[-2] - grow, residual.shape[-1] - grow)
    return StridedConv(atoms, stride, shape, border).analysis(residual)


def synthesis(code: Array, atoms: Array, stride: int, shape: tuple[int, int], border: Border = "cropped") -> Array:
    """Phi y, the reconstruction of an image from its code (eq. 10); the exact adjoint of `analysis`.

    Args:
        code: ``(..., K, H/s, W/s)``.
        atoms: ``(K, C, p, p)``.
        stride: s in pixels.
        shape: ``(H, W)`` of the image, whatever the border.
        border: see the module's table.

    Returns:
        ``(..., C, H, W)``; with the extended border ``(..., C, H + 2m, W + 2m)``.

    Raises:
        InputError: shapes that do not fit each other, an illegal geometry or border.
    """
    code = np.asarray(code, np.float64)
    return StridedConv(np.asarray(atoms, np.float64), stride, shape, border).synthesis(code)
