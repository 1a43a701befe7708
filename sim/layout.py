"""What the weight memory of a tile holds: both layouts, word by word, as the loader writes them.

One memory of ``ppc`` banks serves gather and scatter, which never run together in a tile.

*Gather* part, one word for all kernels at once: bank ``(-q) mod ppc``, address
``(((c*p + a)*s + phase)*NG + q//ppc)*KG + kg``, lane ``k mod kernels_per_cycle`` for the weight ``w[k, c, a, phase +
s*q]``: a pixel at region column x meets position ``j = x//s - q`` with column offset ``b = x mod s + s*q``.

*Scatter* part, one word for ``scatter_lanes`` columns of a patch row: index ``((k*C + c)*p + a)*G + g``, lane l for
``w[k, c, a, g*scatter_lanes + l]``; several of these share one memory word where it is wide enough.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .tiling import IntArray, Tiling


@dataclass(frozen=True)
class WeightLayout:
    """Addresses and lanes of the weight memory of a tile."""

    tiling: Tiling

    @property
    def banks(self) -> int:
        """Banks with their own address: ppc."""
        return self.tiling.positions_per_cycle

    @property
    def bank_lanes(self) -> int:
        """Weights in one word of one bank."""
        return max(self.tiling.kernels_per_cycle, -(-self.tiling.scatter_lanes // self.banks))

    @property
    def lanes(self) -> int:
        """Weights in one word over all banks."""
        return self.banks * self.bank_lanes

    @property
    def column_words(self) -> int:
        """NG: words of one (channel, row, phase) in a bank: ceil(ceil(p/s) / ppc)."""
        return -(-self.tiling.geometry.cover // self.banks)

    @property
    def row_stride(self) -> int:
        """Words from patch row a to a + 1 in the gather part."""
        return self.tiling.geometry.stride * self.column_words * self.tiling.kernel_groups

    @property
    def gather_depth(self) -> int:
        """Words of the gather part."""
        g = self.tiling.geometry
        return g.channels * g.patch * self.row_stride

    @property
    def share(self) -> int:
        """Scatter words in one memory word (a power of two)."""
        return 1 << (self.lanes // self.tiling.scatter_lanes).bit_length() - 1

    @property
    def scatter_words(self) -> int:
        """Scatter words: K * C * p * G."""
        g = self.tiling.geometry
        return g.kernels * g.channels * g.patch * self.tiling.patch_groups

    @property
    def depth(self) -> int:
        """Words of the whole memory."""
        return self.gather_depth + -(-self.scatter_words // self.share)

    def pack(self, weights: IntArray) -> IntArray:
        """Lay out quantised weights (K, C, p, p) as the memory image (depth, banks, bank_lanes); unused lanes are 0."""
        t, g = self.tiling, self.tiling.geometry
        k_, c_, p, s = g.kernels, g.channels, g.patch, g.stride
        image = np.zeros((self.depth, self.banks, self.bank_lanes), np.int64)
        padded = np.zeros((k_, c_, p, s * g.cover), np.int64)
        padded[..., :p] = weights
        by_phase = padded.reshape(k_, c_, p, g.cover, s)  # [k, c, a, q, phase]
        per, groups = t.kernels_per_cycle, t.kernel_groups
        gather = image[: self.gather_depth].reshape(c_, p, s, self.column_words, groups, self.banks, self.bank_lanes)
        for q in range(g.cover):
            for kg in range(groups):
                block = by_phase[kg * per : (kg + 1) * per, :, :, q, :]  # (per, C, p, s)
                gather[:, :, :, q // self.banks, kg, -q % self.banks, :per] = np.moveaxis(block, 0, -1)
        lanes, count = t.scatter_lanes, t.patch_groups
        wide = np.zeros((k_, c_, p, count * lanes), np.int64)
        wide[..., :p] = weights
        words = np.zeros((-(-self.scatter_words // self.share) * self.share, lanes), np.int64)
        words[: self.scatter_words] = wide.reshape(-1, lanes)
        flat = image[self.gather_depth :].reshape(-1, self.lanes)
        flat[:, : self.share * lanes] = words.reshape(-1, self.share * lanes)
        return image

    def beats(self, weights: IntArray) -> IntArray:
        """The weight stream: one weight a beat, lane by lane and word by word: (depth * banks * bank_lanes,)."""
        return self.pack(weights).reshape(-1)

    @cached_property
    def beat_count(self) -> int:
        """Beats of one complete load."""
        return self.depth * self.lanes
