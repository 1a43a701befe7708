"""How the network is cut into tiles, and the address tables that every tile carries.

A tile owns a block of ``th x tw`` V1 positions. Its *region* is the block's pixels and ``p - s`` more on each axis, so
that in region coordinates neuron ``(i, j)`` covers the rows ``s*i .. s*i + p - 1``: there is no offset inside a tile.
The tables give, for a pixel, the positions that cover it (gather) and, for a code event, the part of its patch inside
the region (scatter). The machine (``sim``) and the RTL (``hw``) read the same tables, so no index arithmetic exists
twice.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..golden.geometry import Geometry
from .timing import HAZARD

IntArray = npt.NDArray[np.int64]

DIRECTIONS: tuple[tuple[int, int], ...] = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))
"""(row, column) offset of the eight neighbours in the fixed order in which their links are served."""

OPPOSITE: tuple[int, ...] = tuple(7 - b for b in range(8))
"""The link by which a neighbour sees this tile."""


def bits(count: int) -> int:
    """Wires needed to count 0 .. count - 1 (at least one)."""
    return max(1, (count - 1).bit_length())


@dataclass(frozen=True)
class Tiling:
    """Blocks, regions, lanes and banks of one tile, and where each tile sits.

    Args:
        geometry: the network.
        tiles: (rows, columns) of the mesh; rows divide H/s and columns divide W/s.
        gather_lanes: ``ppc * K`` (ppc V1 positions a cycle, a power of two) or a divisor of K.
        scatter_lanes: pixels a cycle written by scatter, a power of two: the column banks of R.
        detect_lanes: pixels a cycle scanned by detect; divides ``scatter_lanes``.
        update_positions: V1 positions a cycle of update and drain, neighbours in a row; divides ppc and tw.
    """

    geometry: Geometry
    tiles: tuple[int, int]
    gather_lanes: int
    scatter_lanes: int
    detect_lanes: int
    update_positions: int = 1

    # ---- block and region --------------------------------------------------------------------------------------------
    @property
    def count(self) -> int:
        """Tiles in the mesh."""
        return self.tiles[0] * self.tiles[1]

    @property
    def block(self) -> tuple[int, int]:
        """(th, tw): V1 positions of a tile."""
        sheet = self.geometry.sheet
        return sheet[0] // self.tiles[0], sheet[1] // self.tiles[1]

    @property
    def region(self) -> tuple[int, int]:
        """(Hr, Wr): pixels that the tile's own neurons see."""
        g = self.geometry
        return (g.stride * self.block[0] + g.patch - g.stride, g.stride * self.block[1] + g.patch - g.stride)

    def place(self, tile: int) -> tuple[int, int]:
        """(row, column) of a tile in the mesh; tiles are numbered in raster order."""
        return divmod(tile, self.tiles[1])

    def origin(self, tile: int) -> tuple[int, int]:
        """Image coordinates of the region's first pixel (negative at the upper and left border)."""
        g, (row, col) = self.geometry, self.place(tile)
        return row * self.block[0] * g.stride - g.margin, col * self.block[1] * g.stride - g.margin

    def inside(self, tile: int) -> tuple[int, int, int, int]:
        """(y_low, y_high, x_low, x_high): the half-open part of the region that lies inside the image."""
        (y0, x0), (height, width), (hr, wr) = self.origin(tile), self.geometry.image, self.region
        return max(0, -y0), min(hr, height - y0), max(0, -x0), min(wr, width - x0)

    def neighbour(self, tile: int, link: int) -> int:
        """The tile at the other end of ``link`` (0..7 in the order of ``DIRECTIONS``), or -1 at the edge of the
        mesh.
        """
        row, col = self.place(tile)
        row, col = row + DIRECTIONS[link][0], col + DIRECTIONS[link][1]
        return row * self.tiles[1] + col if 0 <= row < self.tiles[0] and 0 <= col < self.tiles[1] else -1

    @cached_property
    def neighbours(self) -> IntArray:
        """(tiles, 8) neighbour numbers, -1 where there is none."""
        return np.array([[self.neighbour(t, b) for b in range(8)] for t in range(self.count)], np.int64)

    @cached_property
    def links(self) -> tuple[int, ...]:
        """The links that some tile of the mesh has, in their order: none of a single tile, two of a strip."""
        return tuple(b for b in range(8) if (self.neighbours[:, b] >= 0).any())

    # ---- lanes and banks ---------------------------------------------------------------------------------------------
    @property
    def positions_per_cycle(self) -> int:
        """ppc: V1 positions that gather serves in one cycle; also the number of banks of D."""
        return max(1, self.gather_lanes // self.geometry.kernels)

    @property
    def kernels_per_cycle(self) -> int:
        """Kernels of one position served in one cycle: K, or gather_lanes where that is a divisor of K."""
        return min(self.geometry.kernels, self.gather_lanes)

    @property
    def kernel_groups(self) -> int:
        """Cycles that one position takes: K / kernels_per_cycle."""
        return self.geometry.kernels // self.kernels_per_cycle

    @property
    def drive_words_per_row(self) -> int:
        """Words of one V1 row in one bank of D."""
        return -(-self.block[1] // self.positions_per_cycle)

    @property
    def drive_depth(self) -> int:
        """Words in one bank of D."""
        return self.block[0] * self.drive_words_per_row

    @property
    def columns_per_word(self) -> int:
        """Neighbouring pixel columns that share one word of an R bank (2 where no access can straddle a pair, else
        1).
        """
        return 2 if self.geometry.stride % 2 == 0 and self.scatter_lanes % 2 == 0 else 1

    @property
    def residual_banks(self) -> int:
        """Banks of R, each with its own address."""
        return self.scatter_lanes // self.columns_per_word

    @property
    def residual_words_per_row(self) -> int:
        """Words of one region row in one bank of R."""
        return -(-self.region[1] // self.scatter_lanes)

    @property
    def residual_depth(self) -> int:
        """Words in one bank of R."""
        return self.geometry.channels * self.region[0] * self.residual_words_per_row

    @property
    def sent_words_per_row(self) -> int:
        """Words of one region row in the memory of the sent residual r~."""
        return -(-self.region[1] // self.detect_lanes)

    @property
    def sent_depth(self) -> int:
        """Words in the memory of the sent residual r~: what detect scans, one a cycle."""
        return self.geometry.channels * self.region[0] * self.sent_words_per_row

    @property
    def positions(self) -> int:
        """V1 positions of a tile: th * tw."""
        return self.block[0] * self.block[1]

    @property
    def membrane_depth(self) -> int:
        """Words of U, each of the K membranes of ``update_positions`` positions."""
        return self.positions // self.update_positions

    @property
    def clear_cycles(self) -> int:
        """Cycles of a clear: the deepest memory, one word a cycle."""
        return max(self.membrane_depth, self.drive_depth, self.residual_depth, self.sent_depth)

    @property
    def patch_groups(self) -> int:
        """Cycles for one patch row of a scatter: ceil(p / scatter_lanes); groups stay aligned to the patch."""
        return -(-self.geometry.patch // self.scatter_lanes)

    # ---- gather: pixel -> positions ----------------------------------------------------------------------------------
    def covering(self, axis: int) -> tuple[IntArray, IntArray]:
        """First position and number of positions that cover each region row (axis 0) or column (axis 1)."""
        p, s = self.geometry.patch, self.geometry.stride
        pixel = np.arange(self.region[axis])
        first = np.maximum(0, -((p - 1 - pixel) // s))
        last = np.minimum(self.block[axis] - 1, pixel // s)
        return first, last - first + 1

    # ---- scatter: event -> part of its patch in the region -----------------------------------------------------------
    def visible(self, axis: int) -> tuple[IntArray, IntArray]:
        """First patch row (column) inside the region and how many, for positions ``-reach .. block + reach - 1``."""
        g = self.geometry
        start = g.stride * np.arange(-g.reach, self.block[axis] + g.reach)
        first = np.maximum(0, -start)
        last = np.minimum(g.patch, self.region[axis] - start)
        return first, last - first

    def visible_groups(self) -> tuple[IntArray, IntArray]:
        """First patch column group that touches the region and how many, for positions ``-reach .. tw + reach - 1``."""
        first, count = self.visible(1)
        low = first // self.scatter_lanes
        return low, (first + count - 1) // self.scatter_lanes - low + 1

    def scatter_clocks(self, row: IntArray, column: IntArray, visit: IntArray | int = 0) -> IntArray:
        """(n,) clocks that each event of one source takes in scatter: its issues, and the wait before it.

        Args:
            row, column: (n,) positions + reach of the events in the order in which they come. visit: (n,) which visit
                of the source an event is served in; the first of a visit never waits.
        """
        g = self.geometry
        clocks = g.channels * self.visible(0)[1][row] * self.visible_groups()[1][column]
        first = np.maximum(0, g.stride * (row - g.reach))
        common = first[:-1] + self.visible(0)[1][row[:-1]] - first[1:]
        near = (common > 0) & (common < HAZARD)
        if not isinstance(visit, int):
            near &= visit[1:] == visit[:-1]
        clocks[1:] += np.where(near, HAZARD - common, 0)
        return np.asarray(clocks, np.int64)

    def send_mask(self) -> IntArray:
        """(th, tw) bit masks: bit b set when an event at that position touches the region of the neighbour of link
        b.
        """
        (th, tw), reach = self.block, self.geometry.reach
        rows = {-1: np.arange(th) < reach, 0: np.ones(th, bool), 1: np.arange(th) >= th - reach}
        cols = {-1: np.arange(tw) < reach, 0: np.ones(tw, bool), 1: np.arange(tw) >= tw - reach}
        mask = np.zeros((th, tw), np.int64)
        for b, (di, dj) in enumerate(DIRECTIONS):
            mask |= (rows[di][:, None] & cols[dj][None, :]).astype(np.int64) << b
        return mask
