"""The LCA step in integers: the bit-true definition that every schedule, the tiles and the RTL share.

    y  = T(u)                                     hard or soft, one- or two-sided, rounded to the code's format
    R  = (x << (fw + fy - fx)) - sum w y          exact, modulo 2^WR
    r~ = sat(round(R));  0 where |r~| < cutoff    rounded once
    D  = sum w r~                                 exact, modulo 2^WD
    u' = sat(u + round((D + y - u) 2^-k))         rounded once

The scalar functions are compiled (numba) and used by the tiles of the delta machine; ``recompute`` runs the ``dense``
and ``skip`` schedules, which form R and D anew in every step.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from .fixed import Format
from .plan import Plan

ROUNDING = {"half_up": 0, "half_even": 1, "floor": 2, "toward_zero": 3}


class Arithmetic(NamedTuple):
    """The numbers of one design that the compiled functions need."""

    threshold: int
    soft: bool
    two_sided: bool
    cutoff: int
    code_shift: int  # membrane fraction - code fraction
    code_rounding: int
    code_low: int
    code_high: int
    code_wrap: int  # bits of a wrapping code, 0 when it saturates
    code_signed: bool
    residual_shift: int  # fw + fy - fr
    residual_rounding: int
    residual_low: int
    residual_high: int
    residual_wrap: int
    drive_up: int  # left shifts that align D, y and u to their finest fraction
    code_up: int
    membrane_up: int
    common: int  # that fraction - membrane fraction
    membrane_rounding: int
    membrane_low: int
    membrane_high: int
    membrane_wrap: int
    drive_width: int
    residual_width: int


def _overflow(fmt: Format) -> tuple[int, int, int]:
    return fmt.low, fmt.high, fmt.width if fmt.overflow == "wrap" else 0


def arithmetic(plan: Plan) -> Arithmetic:
    """The constants of a plan's arithmetic."""
    fd, fy, fu = plan.weight.frac + plan.residual.frac, plan.code.frac, plan.membrane.frac
    finest = max(fd, fy, fu)
    return Arithmetic(
        plan.threshold_q,
        plan.soft,
        plan.two_sided,
        plan.cutoff_q,
        fu - fy,
        ROUNDING[plan.code.rounding],
        *_overflow(plan.code),
        plan.code.signed,
        plan.weight.frac + fy - plan.residual.frac,
        ROUNDING[plan.residual.rounding],
        *_overflow(plan.residual),
        finest - fd,
        finest - fy,
        finest - fu,
        finest - fu,
        ROUNDING[plan.membrane.rounding],
        *_overflow(plan.membrane),
        plan.drive_width,
        plan.residual_width,
    )


@njit(inline="always")
def round_shift(value: int, shift: int, rounding: int) -> int:
    """``value / 2^shift`` rounded to an integer (``ROUNDING`` numbers); exact for a shift of 0 or less."""
    if shift <= 0:
        return value << -shift
    if (
        shift > 62
    ):  # a machine's shifter counts modulo 64; aligned sums have at most 62 bits, so nothing is left of them
        return -1 if rounding == 2 and value < 0 else 0
    if rounding == 0:
        return (value + (1 << (shift - 1))) >> shift
    down = value >> shift
    rest = value - (down << shift)
    if rounding == 1:
        half = 1 << (shift - 1)
        return down + (1 if rest > half or (rest == half and down & 1 == 1) else 0)
    if rounding == 3:
        return down + (1 if value < 0 and rest != 0 else 0)
    return down


@njit(inline="always")
def wrap(value: int, width: int, signed: bool) -> int:
    """Two's complement (or unsigned) value of the low ``width`` bits."""
    low = value & ((1 << width) - 1)
    if signed and low >> (width - 1):
        low -= 1 << width
    return low


@njit(inline="always")
def fit(value: int, low: int, high: int, wrap_width: int, signed: bool) -> int:
    """The overflow rule of a format."""
    if wrap_width > 0:
        return wrap(value, wrap_width, signed)
    return min(max(value, low), high)


@njit(inline="always")
def transfer(u: int, a: Arithmetic) -> int:
    """Port 3: the code of a membrane."""
    magnitude = -u if a.two_sided and u < 0 else u
    if magnitude < a.threshold:
        return 0
    kept = magnitude - a.threshold if a.soft else magnitude
    value = round_shift(kept, a.code_shift, a.code_rounding)
    if a.two_sided and u < 0:
        value = -value
    return fit(value, a.code_low, a.code_high, a.code_wrap, a.code_signed)


@njit(inline="always")
def sent_residual(r: int, a: Arithmetic) -> int:
    """Port 1: the residual as read, r~."""
    value = fit(
        round_shift(r, a.residual_shift, a.residual_rounding), a.residual_low, a.residual_high, a.residual_wrap, True
    )
    return 0 if -a.cutoff < value < a.cutoff else value


@njit(inline="always")
def stepped(u: int, y: int, d: int, shift: int, a: Arithmetic) -> int:
    """Port 2 before its overflow rule: the exact new membrane."""
    whole = (d << a.drive_up) + (y << a.code_up) - (u << a.membrane_up)
    return u + round_shift(whole, a.common + shift, a.membrane_rounding)


@njit(cache=True)
def recompute(u, x, w, wk, residual_only, stride, shift, skip, a, y, r, s, d, counts):  # type: ignore[no-untyped-def]
    """One step that forms R, r~ and D anew: gather, then update. Arrays are changed in place.

    Args:
        u, y: (K, h, v) int64 membranes and codes. x: (C, H, W) input in R's scale. w, wk: the weights as (K, C, p, p)
        and (C, p, p, K). r, s: (C, H, W) R and r~; d: (K, h, v). x, w, wk, r, s, d may be int32 where the words of R
        and D have
        at most 32 bits and every true R fits 32: sums are modulo 2^32 then, and only their low bits are kept.
        residual_only: form R and r~, leave the membranes. skip: leave out zero codes and zero residuals.
        counts: int64[6] += scatter products, gather products, code events, changed r~, saturated membranes,
        residuals outside their word.
    """
    kernels, rows, columns = u.shape
    channels, height, width = x.shape
    p = w.shape[2]
    margin = (p - stride) // 2
    r[:] = x
    for k in range(kernels):
        for i in range(rows):
            y0 = stride * i - margin
            a0, a1 = max(0, -y0), min(p, height - y0)
            for j in range(columns):
                value = y[k, i, j]
                if skip and value == 0:
                    continue
                x0 = stride * j - margin
                b0, b1 = max(0, -x0), min(p, width - x0)
                for c in range(channels):
                    for row in range(a0, a1):
                        target, weights = r[c, y0 + row, x0 + b0 : x0 + b1], w[k, c, row, b0:b1]
                        for n in range(b1 - b0):
                            target[n] -= weights[n] * value
                counts[0] += channels * (a1 - a0) * (b1 - b0)
    for c in range(channels):
        for yy in range(height):
            for xx in range(width):
                kept = wrap(r[c, yy, xx], a.residual_width, True)
                counts[5] += kept != r[c, yy, xx]
                r[c, yy, xx] = kept
                new = sent_residual(r[c, yy, xx], a)
                counts[3] += new != s[c, yy, xx]
                s[c, yy, xx] = new
    if residual_only:
        return
    total = np.zeros(kernels, d.dtype)
    for i in range(rows):
        y0 = stride * i - margin
        a0, a1 = max(0, -y0), min(p, height - y0)
        for j in range(columns):
            x0 = stride * j - margin
            b0, b1 = max(0, -x0), min(p, width - x0)
            total[:] = 0
            products = 0
            for c in range(channels):
                for row in range(a0, a1):
                    for column in range(b0, b1):
                        value = s[c, y0 + row, x0 + column]
                        if skip and value == 0:
                            continue
                        weights = wk[c, row, column]
                        for k in range(kernels):
                            total[k] += weights[k] * value
                        products += kernels
            counts[1] += products
            for k in range(kernels):
                d[k, i, j] = wrap(total[k], a.drive_width, True)
    for k in range(kernels):
        for i in range(rows):
            for j in range(columns):
                exact = stepped(u[k, i, j], y[k, i, j], d[k, i, j], shift, a)
                u[k, i, j] = fit(exact, a.membrane_low, a.membrane_high, a.membrane_wrap, True)
                counts[4] += exact < a.membrane_low or exact > a.membrane_high
                new = transfer(u[k, i, j], a)
                counts[2] += new != y[k, i, j]
                y[k, i, j] = new


@njit(cache=True)
def codes(u, a):  # type: ignore[no-untyped-def]
    """``y = T(u)`` for an array of membranes of any shape."""
    flat, out = u.reshape(-1), np.empty(u.size, np.int64)
    for n in range(flat.size):
        out[n] = transfer(flat[n], a)
    return out.reshape(u.shape)
