"""Where a tile's weights lie in its arrays: the pixel of each row, the neuron of each column, the array of both.

A tile owns a block of V1 positions. It reads them ``side x side`` positions at a time: the pixels that these see are
the P rows of one weight matrix, their neurons its Q columns. The same matrix serves every such *patch* of the tile, so
a tile is programmed once and read as often as it has patches.

============  ======================================================================================================
placement     one read
============  ======================================================================================================
"im2col"      one position: P = C p p, Q = K
"toeplitz"    a x a neighbouring positions: P = C (p + (a - 1) s)^2, Q = K a a; 0 where a kernel does not cover a row.
              a is the largest whose Q fits the columns of an array (and without ``row_split`` P its rows), at most the
              side of the smallest tile
============  ======================================================================================================

A matrix larger than an array is cut into *parts*, as even as possible: a row part is another set of pixels, a column
part another set of neurons. Pixels outside the image and positions outside the tile exist in the matrix, but are
neither driven nor converted: their lines stay at 0 V. So forward and backward of a tile remain adjoint.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from numba import njit

from ...golden.geometry import Geometry
from ..fixed import IntArray

if TYPE_CHECKING:
    from ..design import Design

FloatArray = npt.NDArray[np.float64]
Part = tuple[int, int]
"""Half-open range of rows or columns of a tile's weight matrix that one array holds."""


@dataclass(frozen=True)
class TilePlace:
    """The positions of one tile and the patches in which it reads them.

    Args:
        rows, columns: half-open ranges of V1 positions.
        first: (B, 2) V1 position of each patch's first neuron.
        corner: (B, 2) image coordinates of each patch's first pixel, negative at the border.
        pixels: (y_low, y_high, x_low, x_high), the half-open range of image pixels that the tile's neurons see.
    """

    rows: Part
    columns: Part
    first: IntArray
    corner: IntArray
    pixels: tuple[int, int, int, int]

    @property
    def patches(self) -> int:
        """B: reads of the whole tile."""
        return len(self.first)

    @property
    def all(self) -> IntArray:
        """(B,) the numbers of all patches."""
        return np.arange(self.patches)


@dataclass(frozen=True)
class Placement:
    """The weight matrix of a tile and its cut into arrays.

    Args:
        geometry: the network. tiles: (rows, columns) of tiles. side: a, positions of a patch along an axis.
        row_parts, column_parts: the arrays' ranges of rows and columns.
    """

    geometry: Geometry
    tiles: tuple[int, int]
    side: int
    row_parts: tuple[Part, ...]
    column_parts: tuple[Part, ...]

    @staticmethod
    def of(design: "Design") -> "Placement":
        """The placement of a design that `legality.check_crossbar` has passed."""
        g, c, side = design.geometry, design.crossbar, side_of(design)
        pixels, neurons = g.channels * span(g, side) ** 2, g.kernels * side * side
        height, width = usable(design)
        return Placement(
            g, design.machine.tiles, side, parts(pixels, height if c.row_split else pixels), parts(neurons, width)
        )

    @property
    def shape(self) -> tuple[int, int]:
        """(P, Q) of a tile's weight matrix."""
        return self.geometry.channels * self.extent**2, self.geometry.kernels * self.side**2

    @cached_property
    def pixel_of_row(self) -> IntArray:
        """(P, 3): channel, row and column of each matrix row inside the patch."""
        return np.indices((self.geometry.channels, self.extent, self.extent)).reshape(3, -1).T.astype(np.int64)

    @cached_property
    def neuron_of_column(self) -> IntArray:
        """(Q, 3): kernel, row and column of each matrix column's neuron inside the patch; kernels run fastest."""
        found = np.indices((self.side, self.side, self.geometry.kernels)).reshape(3, -1).T
        return np.ascontiguousarray(found[:, [2, 0, 1]], np.int64)

    @property
    def extent(self) -> int:
        """Pixels of a patch along an axis."""
        return span(self.geometry, self.side)

    @cached_property
    def places(self) -> tuple[TilePlace, ...]:
        """Every tile, in raster order."""
        return tuple(self._place(rows, columns) for rows in self._cuts(0) for columns in self._cuts(1))

    def _cuts(self, axis: int) -> list[Part]:
        size, count = self.geometry.sheet[axis], self.tiles[axis]
        return [(size * n // count, size * (n + 1) // count) for n in range(count)]

    def _place(self, rows: Part, columns: Part) -> TilePlace:
        g = self.geometry
        first = [(i, j) for i in range(*rows, self.side) for j in range(*columns, self.side)]
        firsts = np.array(first, np.int64)
        (y0, y1), (x0, x1) = (
            (max(0, g.stride * low - g.margin), min(size, g.stride * (high - 1) - g.margin + g.patch))
            for (low, high), size in zip((rows, columns), g.image, strict=True)
        )
        return TilePlace(rows, columns, firsts, g.stride * firsts - g.margin, (y0, y1, x0, x1))

    def matrix(self, weights: npt.NDArray[np.integer]) -> IntArray:
        """(P, Q) weights of a tile from a dictionary (K, C, p, p)."""
        (channel, y, x), (kernel, i, j) = self.pixel_of_row.T, self.neuron_of_column.T
        g = self.geometry
        row = y[:, None] - g.stride * i
        column = x[:, None] - g.stride * j
        covered = (row >= 0) & (row < g.patch) & (column >= 0) & (column < g.patch)
        inside = np.clip(row, 0, g.patch - 1), np.clip(column, 0, g.patch - 1)
        values = weights[kernel[None, :], channel[:, None], inside[0], inside[1]]
        return np.where(covered, values, 0).astype(np.int64)

    def dictionary(self, matrix: FloatArray) -> FloatArray:
        """(K, C, p, p) from a tile's matrix (P, Q): the mean over the copies that a Toeplitz placement holds."""
        g, extent = self.geometry, self.extent
        cells = matrix.reshape(g.channels, extent, extent, self.side, self.side, g.kernels)
        total = np.zeros(g.dictionary_shape)
        for i, j in self.shifts():
            y, x = g.stride * i, g.stride * j
            total += np.moveaxis(cells[:, y : y + g.patch, x : x + g.patch, i, j], -1, 0)
        return total / self.side**2

    def forward(self, matrices: Sequence[FloatArray], image: FloatArray) -> FloatArray:
        """Phi^T r: (C, H, W) -> (K, h, v), with a matrix (P, Q) for each tile."""
        code = np.zeros(self.geometry.code_shape)
        for place, matrix in zip(self.places, matrices, strict=True):
            seen = np.empty((place.patches, self.shape[0]))
            gather_pixels(image, self.extent, place.corner, place.pixels, seen)
            values = seen @ matrix
            scatter_codes(values, self.neuron_of_column, place.first, place.rows, place.columns, place.all, code)
        return code

    def backward(self, matrices: Sequence[FloatArray], code: FloatArray) -> FloatArray:
        """Phi y: (K, h, v) -> (C, H, W), with a matrix (P, Q) for each tile; the adjoint of `forward`."""
        image = np.zeros(self.geometry.image_shape)
        for place, matrix in zip(self.places, matrices, strict=True):
            driven = np.empty((place.patches, self.shape[1]))
            gather_codes(code, self.neuron_of_column, place.first, place.rows, place.columns, driven)
            scatter_pixels(driven @ matrix.T, self.extent, place.corner, place.pixels, place.all, image)
        return image

    def shifts(self) -> Iterator[tuple[int, int]]:
        """The positions (i, j) of a patch."""
        return ((i, j) for i in range(self.side) for j in range(self.side))


def span(geometry: Geometry, side: int) -> int:
    """Pixels along an axis that ``side`` neighbouring positions see: p + (a - 1) s."""
    return geometry.patch + (side - 1) * geometry.stride


def usable(design: "Design") -> tuple[int, int]:
    """(rows, columns) of an array that can hold weights: an offset mapping needs one of each for its reference."""
    c = design.crossbar
    taken = 1 if c.mapping == "offset" else 0
    return c.rows - taken, c.columns - taken


def side_of(design: "Design") -> int:
    """a of the design's placement: positions of a patch along an axis, at least 1."""
    g, c = design.geometry, design.crossbar
    if c.placement == "im2col":
        return 1
    height, width = usable(design)
    most = min(size // count for size, count in zip(g.sheet, design.machine.tiles, strict=True))
    fits = [
        a
        for a in range(1, most + 1)
        if g.kernels * a * a <= width and (c.row_split or g.channels * span(g, a) ** 2 <= height)
    ]
    return max(fits, default=1)


def largest_array(design: "Design") -> tuple[int, int]:
    """(rows, columns) of the largest array of the design's placement, reference lines included."""
    placement, taken = Placement.of(design), 1 if design.crossbar.mapping == "offset" else 0
    height, width = (
        max(high - low for low, high in cut) + taken for cut in (placement.row_parts, placement.column_parts)
    )
    return height, width


def parts(length: int, most: int) -> tuple[Part, ...]:
    """``length`` lines cut into as few ranges of at most ``most`` as possible, as even as possible."""
    count = -(-length // most)
    return tuple((length * n // count, length * (n + 1) // count) for n in range(count))


# ---- between the image, the sheet of neurons and the patches ---------------------------------------------------------
@njit(cache=True)
def gather_pixels(image, extent, corner, pixels, out):  # type: ignore[no-untyped-def]
    """out (B, P) = what the rows of each patch see of an image (C, H, W); 0 outside ``pixels``.

    Args:
        extent: pixels of a patch along an axis. corner, pixels: as in `TilePlace`.
    """
    y_low, y_high, x_low, x_high = pixels
    for b in range(len(corner)):
        y0, x0 = corner[b]
        first, last = max(0, x_low - x0), min(extent, x_high - x0)
        for c in range(image.shape[0]):
            for y in range(extent):
                base = (c * extent + y) * extent
                if first > 0 or last < extent or not y_low <= y0 + y < y_high:
                    for x in range(extent):
                        out[b, base + x] = 0
                    if not y_low <= y0 + y < y_high:
                        continue
                for x in range(first, last):
                    out[b, base + x] = image[c, y0 + y, x0 + x]


@njit(cache=True)
def gather_codes(code, neuron_of_column, first, rows, columns, out):  # type: ignore[no-untyped-def]
    """out (B, Q) = the codes (K, h, v) of each patch's neurons; 0 outside the tile's positions."""
    for b in range(len(first)):
        for n in range(len(neuron_of_column)):
            i, j = first[b, 0] + neuron_of_column[n, 1], first[b, 1] + neuron_of_column[n, 2]
            if i < rows[1] and j < columns[1]:
                out[b, n] = code[neuron_of_column[n, 0], i, j]
            else:
                out[b, n] = 0


@njit(cache=True)
def scatter_pixels(values, extent, corner, pixels, patches, image):  # type: ignore[no-untyped-def]
    """image (C, H, W) += values (B, P) of some patches, each where `gather_pixels` would find it (overlap-add)."""
    y_low, y_high, x_low, x_high = pixels
    for b in patches:
        y0, x0 = corner[b]
        first, last = max(0, x_low - x0), min(extent, x_high - x0)
        for c in range(image.shape[0]):
            for y in range(max(0, y_low - y0), min(extent, y_high - y0)):
                line = values[b, (c * extent + y) * extent : (c * extent + y + 1) * extent]
                target = image[c, y0 + y]
                for x in range(first, last):
                    target[x0 + x] += line[x]


@njit(cache=True)
def scatter_codes(values, neuron_of_column, first, rows, columns, patches, code):  # type: ignore[no-untyped-def]
    """code (K, h, v) += values (B, Q) of some patches, each where `gather_codes` would find it."""
    for b in patches:
        for n in range(len(neuron_of_column)):
            i, j = first[b, 0] + neuron_of_column[n, 1], first[b, 1] + neuron_of_column[n, 2]
            if i < rows[1] and j < columns[1]:
                code[neuron_of_column[n, 0], i, j] += values[b, n]
