"""Update (ports 2 and 3) of a row of V1: new membranes, and the codes that changed. ``hw/update.py`` in gates.

    y = T(u);    u' = sat(u + round((D + y - u) 2^-k));    an event for each T(u') that is not y

The usual formats - rounding half up or down, saturation - take a form without branches that the compiler turns into
vectors; everything else goes neuron by neuron through the definition in ``kernel.py``.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from .kernel import Arithmetic, fit, stepped, transfer, wrap
from .plan import Plan
from .simd import MARKS, lowest, marked, shift_down, shift_up, wide


class Update(NamedTuple):
    """The constants of the form without branches; meaningless where ``plain`` is false."""

    plain: bool
    two_sided: bool
    threshold: int
    offset: int  # added to a magnitude before its shift: half a unit, less the threshold where soft
    code_up: int
    code_down: int
    code_high: int
    drive_up: int  # left shifts that align D, y and u
    code_align: int
    membrane_up: int
    low: int
    high: int


def update_of(plan: Plan, a: Arithmetic, widest: int, drive: int) -> Update:
    """The constants of a plan.

    Args:
        widest: bits of the words in which sums are formed. drive: the largest |D|.
    """
    nearest = plan.code.rounding == "half_up"
    plain = (
        plan.code.rounding in ("half_up", "floor")
        and plan.membrane.rounding in ("half_up", "floor")
        and plan.code.overflow == plan.membrane.overflow == "saturate"
        and drive < 1 << (plan.drive_width - 1)
        and a.common + max(plan.shifts) < widest - 1
    )
    down = max(0, a.code_shift)
    half = 1 << (down - 1) if nearest and down else 0
    up = max(0, -a.code_shift)
    soft = a.threshold if plan.soft else 0
    return Update(
        plain, plan.two_sided, a.threshold, half - (soft << up), up, down, a.code_high, a.drive_up, a.code_up,
        a.membrane_up, a.membrane_low, a.membrane_high,
    )  # fmt: skip


@njit(inline="always")
def _code(u, word, threshold, offset, up, down, high):  # type: ignore[no-untyped-def]
    """T of a magnitude."""
    y = min(shift_down(word(shift_up(u, up) + offset), down), high)
    return y if u >= threshold else word(0)


@njit(inline="always")
def _vectors(u, d, dy, shift, half, c, two_sided):  # type: ignore[no-untyped-def]
    """A row without branches: u' in place of u, and dy; the membranes outside their range."""
    word = dy.dtype.type
    threshold, offset, up, down, high = (
        word(c.threshold), word(c.offset), word(c.code_up), word(c.code_down), word(c.code_high),
    )  # fmt: skip
    drive_up, code_align, membrane_up = word(c.drive_up), word(c.code_align), word(c.membrane_up)
    low, top, amount, rounding = word(c.low), word(c.high), word(shift), word(half)
    sign_bit = word(dy.itemsize * 8 - 1)
    outside = word(0)
    for n in range(u.size):
        old_u = word(u[n])
        if two_sided:
            sign = shift_down(old_u, sign_bit)
            y = _code(word(word(old_u ^ sign) - sign), word, threshold, offset, up, down, high)
            y = word(word(y ^ sign) - sign)
        else:
            y = _code(old_u, word, threshold, offset, up, down, high)
        aligned = word(shift_up(word(d[n]), drive_up) + shift_up(y, code_align))
        whole = word(word(aligned - shift_up(old_u, membrane_up)) + rounding)
        exact = word(old_u + shift_down(whole, amount))
        new_u = min(max(exact, low), top)
        if two_sided:
            sign = shift_down(new_u, sign_bit)
            new = _code(word(word(new_u ^ sign) - sign), word, threshold, offset, up, down, high)
            new = word(word(new ^ sign) - sign)
        else:
            new = _code(new_u, word, threshold, offset, up, down, high)
        u[n] = new_u
        dy[n] = word(new - y)
        outside = word(outside + (exact != new_u))
    return outside


@njit(cache=True)
def _one_sided(u, d, dy, shift, half, c):  # type: ignore[no-untyped-def]
    wide()
    return _vectors(u, d, dy, shift, half, c, False)


@njit(cache=True)
def _two_sided(u, d, dy, shift, half, c):  # type: ignore[no-untyped-def]
    wide()
    return _vectors(u, d, dy, shift, half, c, True)


@njit(cache=True)
def _any_format(u, d, dy, shift, a):  # type: ignore[no-untyped-def]
    """A row neuron by neuron, for every format."""
    outside = 0
    for n in range(u.size):
        old_u = int(u[n])
        old = transfer(old_u, a)
        exact = stepped(old_u, old, wrap(int(d[n]), a.drive_width, True), shift, a)
        outside += exact < a.membrane_low or exact > a.membrane_high
        new_u = fit(exact, a.membrane_low, a.membrane_high, a.membrane_wrap, True)
        u[n] = new_u
        dy[n] = transfer(new_u, a) - old
    return outside


@njit(cache=True)
def update_row(u, d, dy, neuron, change, shift, a, c):  # type: ignore[no-untyped-def]
    """New membranes of a V1 row, and its events in the order of the neurons.

    Args:
        u, d: (n,) membranes and drives. dy: scratch of the type that sums are formed in, (n,) and ``MARKS`` words more.
        neuron, change: (n,) int32, the events: which neuron, dy.

    Returns:
        (events, membranes outside their range, change of the number of neurons with a code)
    """
    if c.plain:
        total = a.common + shift
        half = 1 << (total - 1) if a.membrane_rounding == 0 and total > 0 else 0
        if c.two_sided:
            outside = np.int64(_two_sided(u, d, dy, total, half, c))
        else:
            outside = np.int64(_one_sided(u, d, dy, total, half, c))
    else:
        outside = _any_format(u, d, dy, shift, a)
    dy[u.size : u.size + MARKS] = 0
    events, active = 0, 0
    for first in range(0, u.size, MARKS):
        bits = marked(dy, first)
        while bits != 0:
            n = first + lowest(bits)
            bits &= bits - np.uint64(1)
            neuron[events], change[events] = n, dy[n]
            new = transfer(int(u[n]), a)
            active += (new != 0) - (new != dy[n])
            events += 1
    return events, outside, active
