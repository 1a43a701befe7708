"""Fixed-point numbers: formats, and exact integer operations on them.

A word of ``Format(signed, width, frac, rounding, overflow)`` is an integer q standing for the value ``q * 2^-frac``.
All arithmetic here is on those integers, exact, for Python integers and for int64 arrays alike; the only floats are the
input of `quantise` and the output of `to_float`. The vocabulary maps one to one onto ap_fixed (`Format.ap_fixed`).

==============  ===========  ===========================================================
rounding        ap_fixed     value between two integers
==============  ===========  ===========================================================
"half_up"       AP_RND       the nearest; a tie goes towards +infinity (the default)
"half_even"     AP_RND_CONV  the nearest; a tie goes to the even one
"floor"         AP_TRN       the lower one
"toward_zero"   AP_TRN_ZERO  the one nearer to 0
==============  ===========  ===========================================================
"""

import re
from dataclasses import dataclass
from typing import Literal, cast, get_args, overload

import numpy as np
import numpy.typing as npt

from ..golden.errors import InputError

IntArray = npt.NDArray[np.int64]
AnyIntArray = npt.NDArray[np.integer]
Rounding = Literal["half_up", "half_even", "floor", "toward_zero"]
Overflow = Literal["saturate", "wrap"]

ROUNDINGS: tuple[str, ...] = get_args(Rounding)
OVERFLOWS: tuple[str, ...] = get_args(Overflow)
MAX_WIDTH = 62
"""Widest format: one bit and a sign are left in int64 for the difference of two words."""

_AP = {
    "half_up": "AP_RND",
    "half_even": "AP_RND_CONV",
    "floor": "AP_TRN",
    "toward_zero": "AP_TRN_ZERO",
    "saturate": "AP_SAT",
    "wrap": "AP_WRAP",
}
_TEXT = re.compile(r"([su])(\d{1,3})\.(\d{1,3})(?::(\w+))?(?::(\w+))?")


@dataclass(frozen=True)
class Format:
    """A fixed-point number format: which integers, what they stand for, and how a value gets there.

    Args:
        signed: two's complement when true.
        width: bits of the word, the sign included; 1 .. 62.
        frac: fraction bits; the value of a word q is ``q * 2^-frac``.
        rounding: how `requantise` and `quantise` drop fraction bits.
        overflow: what `requantise` does with a value outside the word.
        symmetric: the most negative word is not used by saturation, so the range is ``-high .. high`` (signed only).

    Raises:
        InputError: a width outside 1 .. 62, or an unknown rounding or overflow.
    """

    signed: bool
    width: int
    frac: int
    rounding: Rounding = "half_up"
    overflow: Overflow = "saturate"
    symmetric: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.width <= MAX_WIDTH:
            raise InputError(f"a format cannot be {self.width} bits wide; use {1 if self.width < 1 else MAX_WIDTH}")
        if self.rounding not in ROUNDINGS:
            raise InputError(f"unknown rounding '{self.rounding}'; use {', '.join(ROUNDINGS)}")
        if self.overflow not in OVERFLOWS:
            raise InputError(f"unknown overflow '{self.overflow}'; use {', '.join(OVERFLOWS)}")

    @classmethod
    def parse(cls, text: str) -> "Format":
        """The format ``<s|u><width>.<fraction>[:<rounding>[:<overflow>]]``, as in "s8.7" or "u8.7:half_even:wrap".

        Raises:
            InputError: text of another form, a width below 2 or above 62, a fraction outside the word.
        """
        match = _TEXT.fullmatch(text.strip())
        if match is None:
            raise InputError(
                f"'{text}' is not a number format; write it as s8.7 (signed, 8 bits, 7 of them fraction), "
                f"u8.7 or s8.7:half_even:wrap"
            )
        sign, width, frac, rounding, overflow = match.groups()
        if rounding in OVERFLOWS and overflow is None:
            raise InputError(
                f"'{text}' names an overflow where the rounding stands; write {sign}{width}.{frac}:half_up:{rounding}"
            )
        try:
            fmt = cls(
                sign == "s",
                int(width),
                int(frac),
                cast(Rounding, rounding or "half_up"),
                cast(Overflow, overflow or "saturate"),
            )
        except InputError as error:
            raise InputError(f"number format '{text}': {error}") from None
        if fmt.width < 2:
            raise InputError(f"number format '{text}' is {fmt.width} bit wide; use a width of 2 or more")
        if fmt.frac > fmt.width:
            raise InputError(
                f"number format '{text}' has its fraction outside the word; use a fraction of 0 to {fmt.width}"
            )
        return fmt

    def __str__(self) -> str:
        """The text that `parse` reads; rounding and overflow only where not the defaults. Symmetry is not in it."""
        text = f"{'s' if self.signed else 'u'}{self.width}.{self.frac}"
        if self.overflow != "saturate":
            return f"{text}:{self.rounding}:{self.overflow}"
        return text if self.rounding == "half_up" else f"{text}:{self.rounding}"

    @property
    def high(self) -> int:
        """Largest integer of the word."""
        return int((1 << (self.width - self.signed)) - 1)

    @property
    def low(self) -> int:
        """Smallest integer that saturation leaves: 0 unsigned, ``-high`` symmetric, else ``-high - 1``."""
        if not self.signed:
            return 0
        return -self.high if self.symmetric else -self.high - 1

    @property
    def magnitude(self) -> int:
        """Largest absolute integer that a word can hold: wrapping reaches ``high + 1`` even in a symmetric format."""
        wrapped = self.signed and (self.overflow == "wrap" or not self.symmetric)
        return self.high + 1 if wrapped else self.high

    @property
    def scale(self) -> float:
        """Value of one unit in the last place: ``2^-frac``."""
        return float(2.0**-self.frac)

    @property
    def ap_fixed(self) -> str:
        """The C++ type of the same numbers, e.g. ``ap_fixed<8, 1, AP_RND, AP_SAT>`` (AP_SAT_SYM when symmetric)."""
        overflow = "AP_SAT_SYM" if self.symmetric and self.overflow == "saturate" else _AP[self.overflow]
        name, whole = "ap_fixed" if self.signed else "ap_ufixed", self.width - self.frac
        return f"{name}<{self.width}, {whole}, {_AP[self.rounding]}, {overflow}>"


@overload
def round_shift(value: int, shift: int, rounding: Rounding = "half_up") -> int: ...
@overload
def round_shift(value: AnyIntArray, shift: int, rounding: Rounding = "half_up") -> IntArray: ...
def round_shift(value: int | AnyIntArray, shift: int, rounding: Rounding = "half_up") -> int | IntArray:
    """``value / 2^shift`` rounded to an integer; a shift of 0 or less is the exact ``value * 2^-shift``.

    Args:
        value: an integer, or an integer array of any shape (result: int64 of that shape).
        shift: fraction bits to drop.
        rounding: see the module's table.

    Raises:
        OverflowError: a left shift of an array out of int64.
    """
    if not isinstance(value, np.ndarray):
        return _round_int(int(value), shift, rounding)
    array = value.astype(np.int64, copy=False)
    if shift <= 0:
        return _shift_left(array, -shift)
    if shift > 63:  # every |value / 2^shift| is at most a half, reached only by -2^63 / 2^64, a tie that goes to 0
        return np.where(array < 0, np.int64(-1), np.int64(0)) if rounding == "floor" else np.zeros_like(array)
    down = array >> shift
    if rounding == "floor":
        return down
    if rounding == "half_up":
        return down + ((array >> (shift - 1)) & 1)
    rest = array & np.int64((1 << shift) - 1)
    if rounding == "half_even":
        half = np.int64(1 << (shift - 1))
        up: IntArray = ((rest > half) | ((rest == half) & (down & 1 == 1))).astype(np.int64)
        return down + up
    if rounding == "toward_zero":
        negative: IntArray = ((array < 0) & (rest != 0)).astype(np.int64)
        return down + negative
    raise InputError(f"unknown rounding '{rounding}'; use {', '.join(ROUNDINGS)}")


def _round_int(value: int, shift: int, rounding: Rounding) -> int:
    if shift <= 0:
        return value << -shift
    down, rest, half = value >> shift, value & ((1 << shift) - 1), 1 << (shift - 1)
    if rounding == "floor":
        return down
    if rounding == "half_up":
        return down + (rest >= half)
    if rounding == "half_even":
        return down + (rest > half or (rest == half and down & 1 == 1))
    if rounding == "toward_zero":
        return down + (value < 0 and rest != 0)
    raise InputError(f"unknown rounding '{rounding}'; use {', '.join(ROUNDINGS)}")


def _shift_left(array: IntArray, shift: int) -> IntArray:
    if shift == 0 or array.size == 0:
        return array.copy()
    extreme = max(int(array.max()), -int(array.min()) - 1)
    if extreme << shift > np.iinfo(np.int64).max:
        raise OverflowError(f"{extreme} * 2^{shift} does not fit in int64")
    return array << shift if shift < 64 else np.zeros_like(array)


@overload
def saturate(value: int, fmt: Format) -> int: ...
@overload
def saturate(value: AnyIntArray, fmt: Format) -> IntArray: ...
def saturate(value: int | AnyIntArray, fmt: Format) -> int | IntArray:
    """The nearest integer of ``fmt``'s range ``low .. high``, whatever its overflow; any shape."""
    if not isinstance(value, np.ndarray):
        return min(max(int(value), fmt.low), fmt.high)
    return np.clip(value.astype(np.int64, copy=False), fmt.low, fmt.high)


@overload
def wrap(value: int, width: int, signed: bool = True) -> int: ...
@overload
def wrap(value: AnyIntArray, width: int, signed: bool = True) -> IntArray: ...
def wrap(value: int | AnyIntArray, width: int, signed: bool = True) -> int | IntArray:
    """``value`` modulo ``2^width``: the two's complement value of its low bits, or the unsigned one.

    Args:
        value: an integer, or an integer array of any shape (result: int64 of that shape).
        width: bits kept, 1 .. 63.
        signed: read the bits as two's complement.

    Raises:
        ValueError: a width outside 1 .. 63.
    """
    if not 1 <= width <= 63:
        raise ValueError(f"cannot wrap to {width} bits; 1 to 63 are possible")
    mask, half = (1 << width) - 1, 1 << (width - 1) if signed else 0
    if not isinstance(value, np.ndarray):
        return ((int(value) & mask) ^ half) - half
    return ((value.astype(np.int64, copy=False) & np.int64(mask)) ^ np.int64(half)) - np.int64(half)


@overload
def overflowed(value: int, fmt: Format) -> int: ...
@overload
def overflowed(value: AnyIntArray, fmt: Format) -> IntArray: ...
def overflowed(value: int | AnyIntArray, fmt: Format) -> int | IntArray:
    """An integer at ``fmt.frac`` brought into the word as ``fmt.overflow`` says; any shape."""
    return saturate(value, fmt) if fmt.overflow == "saturate" else wrap(value, fmt.width, fmt.signed)


@overload
def requantise(value: int, from_frac: int, fmt: Format) -> int: ...
@overload
def requantise(value: AnyIntArray, from_frac: int, fmt: Format) -> IntArray: ...
def requantise(value: int | AnyIntArray, from_frac: int, fmt: Format) -> int | IntArray:
    """``value * 2^-from_frac`` as a word of ``fmt``: first rounded, then saturated or wrapped.

    Args:
        value: an integer, or an integer array of any shape (result: int64 of that shape).
        from_frac: fraction bits of ``value``.
        fmt: the format of the result.

    Raises:
        OverflowError: an array that gains fraction bits beyond int64.
    """
    return overflowed(round_shift(value, from_frac - fmt.frac, fmt.rounding), fmt)


def quantise(value: npt.ArrayLike, fmt: Format) -> IntArray:
    """The words of ``fmt`` nearest to float values, by its rounding; always saturating, whatever its overflow. Exact.

    Args:
        value: floats of any shape; infinities saturate.
        fmt: the format of the result.

    Returns:
        int64 of the same shape (shape () for a scalar).

    Raises:
        InputError: a value that is not a number (NaN).
    """
    array = np.asarray(value, np.float64)
    if np.isnan(array).any():
        raise InputError(f"{int(np.isnan(array).sum())} of {array.size} values to quantise are NaN; remove them first")
    # Scaling by a power of two is exact; clipping first keeps the rounding away from infinities and huge values.
    scaled = np.clip(np.ldexp(np.clip(array, -(2.0**200), 2.0**200), fmt.frac), float(fmt.low) - 1, float(fmt.high) + 1)
    down = np.floor(scaled)
    rest = scaled - down
    if fmt.rounding == "half_up":
        down = down + (rest >= 0.5)
    elif fmt.rounding == "half_even":
        down = np.rint(scaled)
    elif fmt.rounding == "toward_zero":
        down = np.trunc(scaled)
    # Compared as floats and replaced as integers: `high` of a wide format is not a float.
    inside = np.where((down > fmt.low) & (down < fmt.high), down, 0.0).astype(np.int64)
    result = np.where(down >= fmt.high, np.int64(fmt.high), np.where(down <= fmt.low, np.int64(fmt.low), inside))
    return np.asarray(result, np.int64)


@overload
def to_float(value: int, fmt: Format | int) -> float: ...
@overload
def to_float(value: AnyIntArray, fmt: Format | int) -> npt.NDArray[np.float64]: ...
def to_float(value: int | AnyIntArray, fmt: Format | int) -> float | npt.NDArray[np.float64]:
    """``value * 2^-frac`` of words, exact up to 53 bits; ``fmt`` is a format or its fraction bits; any shape."""
    frac = fmt.frac if isinstance(fmt, Format) else fmt
    if not isinstance(value, np.ndarray):
        return float(np.ldexp(float(value), -frac))
    return np.ldexp(value.astype(np.float64), -frac)


@dataclass(frozen=True)
class Range:
    """What a quantity did in a run: the range it reached and how often it left its word.

    Args:
        low, high: smallest and largest integer met before the word's limits were applied.
        count: values seen.
        saturated: values outside the word, thus saturated or wrapped.
    """

    low: int = 0
    high: int = 0
    count: int = 0
    saturated: int = 0

    @classmethod
    def of(cls, value: AnyIntArray, fmt: Format) -> "Range":
        """The range of integers at ``fmt.frac``, taken after rounding and before saturation; any shape."""
        if value.size == 0:
            return cls()
        low, high = int(value.min()), int(value.max())
        inside = fmt.low <= low and high <= fmt.high
        return cls(low, high, value.size, 0 if inside else int(((value < fmt.low) | (value > fmt.high)).sum()))

    def __or__(self, other: "Range") -> "Range":
        """Both ranges together."""
        if not (self.count and other.count):
            return self if self.count else other
        return Range(
            min(self.low, other.low),
            max(self.high, other.high),
            self.count + other.count,
            self.saturated + other.saturated,
        )

    @property
    def bits(self) -> int:
        """Width that would hold the whole range, with a sign where it goes below 0; at least 1."""
        if self.low < 0:
            return 1 + max((-self.low - 1).bit_length(), self.high.bit_length())
        return max(1, self.high.bit_length())
