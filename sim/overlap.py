"""G = Phi^T Phi of quantised weights: how strongly a code event acts straight onto its neighbours (schedule ``gram``).

    G[l, di, dj, k] = sum over c, a, b of  w[l, c, a, b] w[k, c, a - s di, b - s dj]

is what one unit of the code of neuron (l, i, j) takes from the drive of neuron (k, i + di, j + dj), with the offsets
``-reach .. reach`` on both axes, ``reach = ceil(p/s) - 1``. Exact integers of the fraction ``2 fw``. The receptive
fields are whole (*extended* border), so that one table serves every position. ``G[l, di, dj, k] = G[k, -di, -dj, l]``:
a memory may keep half of it.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from ..golden.errors import InputError
from .fixed import AnyIntArray, Format

IntArray = npt.NDArray[np.int64]
MOST_ENTRIES = 1 << 26
"""Largest table: it is made with 64 bits an entry, half a gigabyte."""


@dataclass(frozen=True)
class Overlap:
    """The table and what it takes to keep it.

    Args:
        entries: (K, 2 reach + 1, 2 reach + 1, K) int64: source kernel, row offset, column offset, target kernel.
    """

    entries: IntArray

    @staticmethod
    def of(weights: AnyIntArray, stride: int) -> "Overlap":
        """The table of quantised weights (K, C, p, p).

        Raises:
            InputError: more than `MOST_ENTRIES` entries.
        """
        kernels, _, patch, _ = weights.shape
        count = overlap_entries(kernels, -(-patch // stride))
        if count > MOST_ENTRIES:
            raise InputError(
                f'machine.schedule "gram" needs K^2 (2 ceil(p/s) - 1)^2 = {count} words for the overlaps of '
                f"{kernels} kernels of {patch}x{patch} at stride {stride} and {MOST_ENTRIES} are possible; use fewer "
                f'kernels, a larger stride or machine.schedule = "delta"'
            )
        return Overlap(_table(np.asarray(weights, np.int64).tobytes(), weights.shape, stride))

    @property
    def reach(self) -> int:
        """Positions beyond which two neurons share no pixel: ceil(p/s) - 1."""
        return int(self.entries.shape[1]) // 2

    @property
    def words(self) -> int:
        """Words of the whole table: K^2 (2 ceil(p/s) - 1)^2."""
        return self.entries.size

    @property
    def distinct_words(self) -> int:
        """Words when each pair that the symmetry makes equal is kept once."""
        return (self.words + int(self.entries.shape[0])) // 2

    @cached_property
    def width(self) -> int:
        """Bits of the narrowest two's complement word that holds every entry."""
        return max(2, 1 + max(int(self.entries.max()), -int(self.entries.min()) - 1, 0).bit_length())

    @property
    def bits(self) -> int:
        """Bits of the whole table; half of it (`distinct_words`) will do where the symmetry is used."""
        return self.words * self.width

    def as_dict(self) -> dict[str, int]:
        """Size of the table, for JSON."""
        return {"words": self.words, "distinct_words": self.distinct_words, "width": self.width, "bits": self.bits}

    def drive_bound(
        self, weights: AnyIntArray, inputs: tuple[int, int], input_shift: int, codes: tuple[int, int]
    ) -> tuple[int, int]:
        """(low, high) of every D = Phi^T x - G y, changes partly added included.

        The codes and pixels are taken as free in their ranges: ``most`` of the sum of one sign and ``least`` of the
        other. Fraction ``2 fw + fy``.

        Args:
            weights: (K, C, p, p). inputs: (low, high) of x. input_shift: fw + fy - fx. codes: (low, high) of y.
        """
        up, down = (np.maximum(sign * weights, 0).sum(axis=(1, 2, 3)) << input_shift for sign in (1, -1))
        take, give = (np.maximum(sign * self.entries, 0).sum(axis=(0, 1, 2)) for sign in (1, -1))
        low = up * inputs[0] - down * inputs[1] - take * codes[1] + give * codes[0]
        high = up * inputs[1] - down * inputs[0] - take * codes[0] + give * codes[1]
        return int(low.min()), int(high.max())


def code_range(code: Format, two_sided: bool) -> tuple[int, int]:
    """(low, high) of every code that can occur in a format."""
    signed = code.signed and (two_sided or code.overflow == "wrap")
    return (-code.magnitude, code.magnitude) if signed else (0, code.high)


def overlap_entries(kernels: int, cover: int) -> int:
    """Words of G for K kernels whose patches cover ``ceil(p/s)`` positions an axis: K^2 (2 cover - 1)^2."""
    return kernels**2 * (2 * cover - 1) ** 2


@lru_cache(maxsize=1)  # plan, warnings, network and report ask for the same one
def _table(weights: bytes, shape: tuple[int, ...], stride: int) -> IntArray:
    """The entries for weights given as the bytes of an int64 array."""
    whole = np.frombuffer(weights, np.int64).reshape(shape)
    kernels, channels, patch, _ = shape
    reach = -(-patch // stride) - 1
    side = 2 * reach + 1
    # products and sums below 2^53 are exact in float64, where matrices multiply fast
    exact = channels * patch**2 * int(np.abs(whole).max(initial=0)) ** 2 < 1 << 53
    w = whole.astype(np.float64 if exact else np.int64)
    entries = np.zeros((kernels, side, side, kernels), np.int64)
    for di in range(reach + 1):
        for dj in range(-reach, reach + 1):
            if di == 0 and dj < 0:
                continue
            up, left, right = stride * di, max(0, stride * dj), max(0, -stride * dj)
            source = w[:, :, up:, left : patch - right].reshape(kernels, -1)
            target = w[:, :, : patch - up, right : patch - left].reshape(kernels, -1)
            part = (source @ target.T).astype(np.int64)
            entries[:, reach + di, reach + dj] = part
            entries[:, reach - di, reach - dj] = part.T
    entries.flags.writeable = False
    return entries
