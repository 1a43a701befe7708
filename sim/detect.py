"""Detect (port 1): the residual as read, row by row, and the pixels where it changed. ``hw/detect.py`` is the same in
gates.

    r~ = sat(round(R)), 0 where |r~| < cutoff;    an event for each r~ that is not the one sent last
"""

from typing import NamedTuple

from numba import njit

from .kernel import Arithmetic, sent_residual
from .plan import Plan
from .simd import MARKS, marked, shift_down, shift_up, spread, wide


class Detect(NamedTuple):
    """The constants of the form without branches; meaningless where ``plain`` is false."""

    plain: bool
    up: int
    down: int
    half: int
    low: int
    high: int
    cutoff: int
    scale: float  # value of one unit of R


def detect_of(plan: Plan, a: Arithmetic) -> Detect:
    """The constants of a plan."""
    down = max(0, a.residual_shift)
    return Detect(
        plan.residual.rounding in ("half_up", "floor") and plan.residual.overflow == "saturate",
        max(0, -a.residual_shift),
        down,
        1 << (down - 1) if plan.residual.rounding == "half_up" and down else 0,
        a.residual_low,
        a.residual_high,
        a.cutoff,
        plan.residual_scale,
    )


@njit(cache=True)
def _changes(r, s, change, a, c):  # type: ignore[no-untyped-def]
    """r~ of a piece of a row in place of s, and what changed."""
    wide()
    word = r.dtype.type
    if c.plain:
        up, down, half = word(c.up), word(c.down), word(c.half)
        low, high, cutoff = word(c.low), word(c.high), word(c.cutoff)
        for n in range(r.size):
            value = min(max(shift_down(word(shift_up(r[n], up) + half), down), low), high)
            value = value if abs(value) >= cutoff else word(0)
            change[n] = word(value - word(s[n]))
            s[n] = value
    else:
        for n in range(r.size):
            value = word(sent_residual(int(r[n]), a))
            change[n] = value - word(s[n])
            s[n] = value


@njit(cache=True, fastmath={"reassoc", "contract"})
def squares(r, lost, scale):  # type: ignore[no-untyped-def]
    """Sum of (R scale + lost)^2 over a piece of a row."""
    wide()
    total = 0.0
    for n in range(r.size):
        value = r[n] * scale + lost[n]
        total += value * value
    return total


@njit(cache=True)
def largest(r):  # type: ignore[no-untyped-def]
    """The largest |R|."""
    most, flat = r.dtype.type(0), r.reshape(-1)
    for n in range(flat.size):
        most = max(most, abs(flat[n]))
    return most


@njit(cache=True)
def detect_block(block, r, s, lists, marks, lost, layout, change, place, a, c):  # type: ignore[no-untyped-def]
    """Scan a block of columns, all its rows: residual events by strip, and as marks by row for the clock.

    The block's sum of squares, R being that of the step before, comes along. ``change``, ``place``: scratch, a row and
    ``MARKS`` words more.
    """
    n, tail = layout, lists.tail
    words = marks.shape[1] // n.blocks
    first_strip = block * n.block_strips
    end_strip = min(n.strips, first_strip + n.block_strips)
    left = max(n.span * first_strip, n.margin)
    right = min(n.span * end_strip, n.margin + n.width)
    per_strip = n.channels * n.height * n.span
    for strip in range(first_strip, end_strip):
        tail[strip] = strip * per_strip
    total = 0.0
    for y in range(r.shape[1]):
        if y % n.stride == 0 or (y - n.patch) % n.stride == 0:
            for strip in range(first_strip, end_strip):
                lists.reached[y, strip] = tail[strip]
        if y < n.margin or y >= n.margin + n.height or left >= right:
            continue
        for ch in range(n.channels):
            row, now = ch * n.height + y - n.margin, r[ch, y, left:right]
            total += squares(now, lost[ch, y - n.margin, left - n.margin : right - n.margin], c.scale)
            _changes(now, s[ch, y, left:right], change, a, c)
            change[now.size : now.size + MARKS] = 0
            base, count = (ch * n.patch + y) * n.span * n.window, 0
            for first in range(0, now.size, MARKS):
                bits = marked(change, first)
                marks[row, block * words + first // MARKS] = bits
                count = spread(bits, first, place, count)
            for e in range(count):
                x = place[e]
                strip = lists.strip[left + x]
                at = tail[strip]
                tail[strip] = at + 1
                lists.place[at] = base + lists.phase[left + x]
                lists.change[at] = change[x]
    for strip in range(first_strip, end_strip):
        lists.reached[r.shape[1], strip] = tail[strip]
    lists.square[block] = total


@njit(cache=True)
def squares_of_block(block, r, lost, layout, scale):  # type: ignore[no-untyped-def]
    """The block's sum of squares alone, in the same order."""
    n = layout
    first = n.span * block * n.block_strips
    left, right = max(first, n.margin), min(first + n.span * n.block_strips, n.margin + n.width)
    total = 0.0
    if left < right:
        for y in range(n.height):
            for ch in range(n.channels):
                now = r[ch, y + n.margin, left:right]
                total += squares(now, lost[ch, y, left - n.margin : right - n.margin], scale)
    return total
