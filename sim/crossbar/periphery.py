"""Converters: integers to line voltages or pulses, and line currents back to integers.

**DAC.** A drive is an integer q of a known word. With b bits fewer than the word's, q is rounded half up by a power of
two and what the array sees is that multiple; it saturates at the ends of the b-bit word. Lines are bipolar: a negative
drive is a negative voltage. The largest magnitude of the word (`full`) is the read voltage V:

=============  ============================================  ==============================  ===================
mode           a line with drive q                           energy in a conductance G       reads of one drive
=============  ============================================  ==============================  ===================
"amplitude"    V q/full for the read time t                  G V^2 t (q/full)^2              1
"pulse-width"  V sign(q) for t |q|/full: the same charge     G V^2 t |q|/full                1
"bit-serial"   V sign(q) for t, one magnitude bit at a time  G V^2 t for each bit that is 1  one for each bit
=============  ============================================  ==============================  ===================

**ADC.** What a line collects is a real number in units of the integer machine (w r~ forward, w y backward). b bits give
``code = round(value / 2^e)`` of -(2^(b-1) - 1) .. 2^(b-1) - 1, to the nearest, halves away from 0, clipped at the ends
and counted there; the digital side goes on with ``code * 2^e``. 0 bits: the nearest integer, never clipped. The
exponent e >= 0 is one register for all converters of a direction:

============  ======================================================================================================
range         e
============  ======================================================================================================
"fixed"       the smallest with which no sum of the exact weights can clip (programming errors can exceed it)
"calibrated"  one value, from a noise-free run on another picture (`calibration`)
"following"   starts fixed; after every step + 1 when more than one in `CLIPPED` conversions of the step clipped, - 1
              when at most one in twice as many had a code beyond half the range; unchanged where nothing was read
============  ======================================================================================================

Sample-and-hold noise is added before the conversion; its standard deviation is a fraction of the whole range
``2^b 2^e``, and of twice the proven bound for a lossless converter.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numba import njit

from ..fixed import Format, IntArray

DacMode = Literal["amplitude", "pulse-width", "bit-serial"]
MODES: tuple[str, ...] = ("amplitude", "pulse-width", "bit-serial")
MAX_BITS = 24

CLIPPED = 4096
"""A following or calibrated range lets one in so many conversions clip.

A few large sums (a bright edge, a strong code) would else set the step of all others: measured on the default design
without other effects, 6 bits and a following range leave 21.2 % error where none may clip, 14.1 % with one in 4096 and
15.5 % with one in 1000; lossless converters 12.6 %.
"""


@dataclass(frozen=True)
class Dac:
    """The drivers of one direction.

    Args:
        low, high: the range of the integers driven. width: bits of their word. bits: of the converter; 0: all of them.
        mode: see the module's table.
    """

    low: int
    high: int
    width: int
    bits: int
    mode: str

    @staticmethod
    def of(word: Format, bits: int, mode: str, *, change: bool = False) -> "Dac":
        """For values of a format, or for differences of two of them: one bit more, and a sign."""
        if change:
            most = word.magnitude + (word.high if word.signed else 0)
            return Dac(-most, most, word.width + 1, bits, mode)
        low = -word.magnitude if word.signed else 0
        return Dac(low, word.high, word.width, bits, mode)

    @property
    def shift(self) -> int:
        """Bits that the converter leaves out."""
        return max(0, self.width - self.bits) if self.bits else 0

    @property
    def full(self) -> int:
        """The largest magnitude that is ever driven: the read voltage, or the whole read time."""
        return max(abs(int(n)) for n in self.drive(np.array([self.low, self.high], np.int64)))

    @property
    def driven_bits(self) -> int:
        """Bits of the word that is converted: ``bits``, or those of the whole word."""
        return self.width - self.shift

    @property
    def planes(self) -> tuple[int, ...]:
        """Weights, as powers of two, of the reads that one drive takes: (0,) unless bit-serial."""
        if self.mode != "bit-serial":
            return (0,)
        return tuple(range(self.shift, self.full.bit_length()))

    def drive(self, values: IntArray) -> IntArray:
        """What the lines carry for integers of the word: multiples of ``2^shift``, in the same units."""
        shift = self.shift
        if not shift:
            return values
        signed = self.low < 0
        top = (1 << (self.driven_bits - signed)) - 1
        codes = np.clip((values + (1 << (shift - 1))) >> shift, -top - 1 if signed else 0, top)
        return np.asarray(codes << shift, np.int64)

    @property
    def seen(self) -> int:
        """Largest magnitude that one read drives, in the units of its conversion."""
        return 1 if self.mode == "bit-serial" else self.full


@njit(cache=True)
def bit_plane(drives, power, out):  # type: ignore[no-untyped-def]
    """out = sign(q) times bit ``power`` of |q|, for integers held as floats (B, P)."""
    for b in range(drives.shape[0]):
        for n in range(drives.shape[1]):
            value = int(drives[b, n])
            bit = (abs(value) >> power) & 1
            out[b, n] = -bit if value < 0 else bit


def largest_code(bits: int) -> int:
    """2^(b-1) - 1; 0 stands for a converter that never clips."""
    return (1 << (bits - 1)) - 1 if bits else 0


def exponent_for(bound: float, bits: int) -> int:
    """The smallest e >= 0 with which no value up to ``bound`` clips."""
    exponent, top = 0, largest_code(bits)
    while bits and bound * 2.0**-exponent >= top + 0.5:
        exponent += 1
    return exponent


@dataclass
class Tally:
    """Conversions of one direction in one step: all, those clipped, those with a code beyond half the range."""

    conversions: int = 0
    clipped: int = 0
    upper: int = 0


@dataclass
class AdcRange:
    """The range register of one direction.

    Args:
        bits: of the converter; 0: lossless. exponent: e. bound: largest magnitude that the exact weights can produce.
        follows: "following". histogram: int64[64] conversions by the bits of their magnitude, or empty: not kept.
    """

    bits: int
    exponent: int
    bound: float
    follows: bool = False
    histogram: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))

    @property
    def top(self) -> int:
        """The largest code; 0: none."""
        return largest_code(self.bits)

    @property
    def whole(self) -> float:
        """The converter's range from end to end, in units of the integer machine."""
        return 2.0 ** (self.bits + self.exponent) if self.bits else 2 * self.bound

    def follow(self, tally: Tally) -> None:
        """Move the range after a step (see the module's table)."""
        if not (self.follows and self.bits and tally.conversions):
            return
        if tally.clipped * CLIPPED > tally.conversions:
            self.exponent += 1
        elif self.exponent and tally.upper * 2 * CLIPPED <= tally.conversions:
            self.exponent -= 1
