"""The convolution on arrays: every tile's programmed arrays, and the two linear directions of the whole layer."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..fixed import IntArray
from .array import Array, digit, exact_array, program_array
from .device import Device
from .placement import Placement, TilePlace, gather_codes, gather_pixels
from .weights import full_scale_of

if TYPE_CHECKING:
    from ..design import Design

FloatArray = npt.NDArray[np.float64]
TileArrays = tuple[tuple[Array, ...], ...]
"""[row part][column part]"""


@dataclass(frozen=True)
class Layer:
    """Programmed arrays of all tiles.

    Args:
        placement: where weights lie. tiles: the arrays of each tile, in raster order.
        matrix: (P, Q) the integers that every tile was asked to hold.
    """

    placement: Placement
    tiles: tuple[TileArrays, ...]
    matrix: IntArray

    @staticmethod
    def of(design: "Design", weights: IntArray, device: Device, seed: int) -> "Layer":
        """Program the dictionary (K, C, p, p) into every tile.

        Raises:
            InputError: as `program_array`.
        """
        placement, crossbar = Placement.of(design), design.crossbar
        matrix = placement.matrix(weights)
        full_scale = full_scale_of(weights)
        tiles = tuple(
            tuple(
                tuple(
                    program_array(
                        matrix[top:bottom, left:right],
                        device,
                        crossbar,
                        full_scale,
                        seed,
                        (tile, row * len(placement.column_parts) + column),
                    )
                    for column, (left, right) in enumerate(placement.column_parts)
                )
                for row, (top, bottom) in enumerate(placement.row_parts)
            )
            for tile in range(len(placement.places))
        )
        return Layer(placement, tiles, matrix)

    @staticmethod
    def exact(placement: Placement, weights: IntArray, lifts: tuple[int, ...] = (0,), cell_bits: int = 0) -> "Layer":
        """Arrays that hold a dictionary (K, C, p, p) of integers exactly, in the slices given."""
        matrix = placement.matrix(weights)
        arrays = tuple(
            tuple(
                exact_array(matrix[top:bottom, left:right], lifts, cell_bits) for left, right in placement.column_parts
            )
            for top, bottom in placement.row_parts
        )
        return Layer(placement, (arrays,) * len(placement.places), matrix)

    @property
    def arrays(self) -> list[Array]:
        """Every array position."""
        return [array for tile in self.tiles for row in tile for array in row]

    def tile_matrix(self, tile: int, *, backward: bool = False) -> FloatArray:
        """(P, Q) what a tile's arrays stand for in one direction, wires included, in units of the integer weights."""
        return np.block([[array.whole(backward) for array in row] for row in self.tiles[tile]])

    def matrices(self, *, backward: bool = False) -> tuple[FloatArray, ...]:
        """`tile_matrix` of every tile."""
        return tuple(self.tile_matrix(tile, backward=backward) for tile in range(len(self.tiles)))

    def forward(self, image: FloatArray) -> FloatArray:
        """Phi^T r: (C, H, W) -> (K, h, v), as the programmed arrays do it without noise and converters."""
        return self.placement.forward(self.matrices(), image)

    def backward(self, code: FloatArray) -> FloatArray:
        """Phi y: (K, h, v) -> (C, H, W), as the programmed arrays do it without noise and converters."""
        return self.placement.backward(self.matrices(backward=True), code)

    @property
    def asymmetry(self) -> float:
        """How far the two directions are from adjoints: Frobenius norm of their difference over that of backward."""
        both = list(zip(self.matrices(), self.matrices(backward=True), strict=True))
        apart = sum(float(np.square(forward - backward).sum()) for forward, backward in both)
        whole = sum(float(np.square(backward).sum()) for _, backward in both)
        return float(np.sqrt(apart / whole)) if whole else 0.0

    @property
    def gain(self) -> float:
        """Mean size of the weights as the arrays give them backward, against those asked for (least squares)."""
        asked = self.matrix.astype(np.float64)
        whole = float(np.square(asked).sum()) * len(self.tiles)
        found = sum(float((given * asked).sum()) for given in self.matrices(backward=True))
        return found / whole if whole else 1.0

    @property
    def lifts(self) -> tuple[int, ...]:
        """Of the weight slices: each counts 2^lift."""
        return tuple(path.lift for path in self.tiles[0][0][0].forward)

    def bound(self, *, backward: bool, drive: int, cell_bits: int) -> int:
        """Largest magnitude that one conversion of the exact weights can have, in units of its slice.

        Args:
            drive: largest magnitude driven. cell_bits: of a slice, where there are several.
        """
        most, lifts = 0, self.lifts
        for top, bottom in self.placement.row_parts:
            for left, right in self.placement.column_parts:
                for lift in lifts:
                    held = digit(self.matrix[top:bottom, left:right], lift, cell_bits if len(lifts) > 1 else 0)
                    most = max(most, int(np.abs(held).sum(axis=1 if backward else 0).max(initial=0)))
        return most * drive


def valid_outputs(placement: Placement, place: TilePlace, *, backward: bool) -> npt.NDArray[np.bool_]:
    """(B, Q) or backward (B, P): outputs of each patch that are converted."""
    g = placement.geometry
    if backward:
        found = np.zeros((place.patches, placement.shape[0]))
        gather_pixels(np.ones(g.image_shape), placement.extent, place.corner, place.pixels, found)
    else:
        found = np.zeros((place.patches, placement.shape[1]))
        gather_codes(
            np.ones(g.code_shape), placement.neuron_of_column, place.first, place.rows, place.columns, found
        )
    return np.asarray(found != 0)
