"""The compiled loops of the ``gram`` schedule: input into D, codes from membranes, code events onto D and R.

D lies as (rows, columns * K): the neurons that one event reaches in one V1 row are neighbours in memory, so a row is a
single multiply-add of up to (2 ceil(p/s) - 1) K words against a contiguous row of G. Only the order of additions
differs from the equations in `gram`; sums are integers and the order is free.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from .kernel import fit, stepped, transfer, wrap

BLOCK = 128
"""Neurons that are looked through together for a changed code."""


class Quick(NamedTuple):
    """The numbers of `update_quick`: D finest of all, rounding half up, saturating, every sum within 32 bits."""

    code_up: int  # left shifts that align y and u with D
    membrane_up: int
    membrane_low: int
    membrane_high: int
    threshold: int
    kept: int  # subtracted from the magnitude: the threshold when soft, 0 when hard
    two_sided: bool
    code_shift: int  # at least 1
    code_high: int
    spare: int  # bits of the 32 beyond D's word; 0 where D cannot leave its word


@njit(cache=True)
def load(d, r, dx, wl, shift, stride, patch):  # type: ignore[no-untyped-def]
    """Add Phi^T dx to D and dx to R; the products performed.

    Args:
        d: (h, v*K). r: (C, H + p - s, W + p - s). dx: (C, H, W) the input's change. wl: (C, p, s, cover*K) weights by
        row, column phase and reversed column offset. shift: fw + fy - fx.
    """
    channels, height, width = dx.shape
    margin, rows = (patch - stride) // 2, d.shape[0]
    cover = -(-patch // stride)
    kernels = wl.shape[3] // cover
    columns = d.shape[1] // kernels
    products = 0
    for c in range(channels):
        for y0 in range(height):
            y = y0 + margin
            i0, i1 = max(0, -((patch - 1 - y) // stride)), min(rows - 1, y // stride)
            for x0 in range(width):
                if dx[c, y0, x0] == 0:
                    continue
                value = dx[c, y0, x0] << shift
                x = x0 + margin
                r[c, y, x] += value
                last = x // stride
                j0, j1 = max(0, -((patch - 1 - x) // stride)), min(columns - 1, last)
                skip = (cover - 1 - last + j0) * kernels
                length = (j1 - j0 + 1) * kernels
                for i in range(i0, i1 + 1):
                    target = d[i, j0 * kernels : j0 * kernels + length]
                    weights = wl[c, y - stride * i, x - last * stride, skip : skip + length]
                    for n in range(length):
                        target[n] += weights[n] * value
                products += (i1 - i0 + 1) * length
    return products


@njit(cache=True)
def update_quick(u, y, d, q, shift, changed, dy):  # type: ignore[no-untyped-def]
    """New membranes and codes of the whole sheet, without branches in the inner loops (see `Quick`).

    The casts keep every operation 32 bits wide: the compiler then works on as many neurons at once as it can.

    Args:
        u, y, d: flat int32 arrays of h*v*K; u and y are changed. shift: of the step. changed, dy: int32 arrays of that
        size: the neurons whose code changed, in raster order, and by how much.

    Returns:
        (code events, membranes outside their range, change of the number of active codes)
    """
    i4 = np.int32
    right, code_right = i4((q.membrane_up + shift) & 31), i4(q.code_shift & 31)
    half = i4((1 << right) >> 1)
    code_up, membrane_up = i4(q.code_up & 31), i4(q.membrane_up & 31)
    low, high, threshold = i4(q.membrane_low), i4(q.membrane_high), i4(q.threshold)
    code_half, most = i4(((1 << code_right) >> 1) - q.kept), i4(q.code_high)
    events, outside, active = 0, 0, 0
    for start in range(0, u.size, BLOCK):
        stop = min(start + BLOCK, u.size)
        us, ys, ds = u[start:stop], y[start:stop], d[start:stop]
        fresh = dy[events : events + stop - start]  # a scratch: what is read of it is written first
        moved, beyond = i4(0), i4(0)
        if q.two_sided:
            for n in range(stop - start):
                whole = i4(i4(ds[n] + i4(ys[n] << (code_up & 31))) - i4(us[n] << (membrane_up & 31)))
                exact = i4(us[n] + i4(i4(whole + half) >> (right & 31)))
                new = min(max(exact, low), high)
                beyond = i4(beyond + i4(new != exact))
                us[n] = new
                sign = i4(new >> 31)
                magnitude = i4(i4(new ^ sign) - sign)
                kept = min(i4(i4(magnitude + code_half) >> (code_right & 31)), most)
                code = i4(i4(kept ^ sign) - sign) if magnitude >= threshold else i4(0)
                moved = i4(moved | i4(code ^ ys[n]))
                fresh[n] = code
        else:
            for n in range(stop - start):
                whole = i4(i4(ds[n] + i4(ys[n] << (code_up & 31))) - i4(us[n] << (membrane_up & 31)))
                exact = i4(us[n] + i4(i4(whole + half) >> (right & 31)))
                new = min(max(exact, low), high)
                beyond = i4(beyond + i4(new != exact))
                us[n] = new
                kept = i4(i4(new + code_half) >> (code_right & 31)) if new >= threshold else i4(0)
                code = min(kept, most)
                moved = i4(moved | i4(code ^ ys[n]))
                fresh[n] = code
        outside += int(beyond)
        if moved != 0:
            for n in range(stop - start):
                now = fresh[n]
                if now != ys[n]:
                    active += (now != 0) - (ys[n] != 0)
                    changed[events] = start + n
                    dy[events] = now - ys[n]  # never beyond n: it was read already
                    ys[n] = now
                    events += 1
    return events, outside, active


@njit(cache=True)
def update_general(u, y, d, a, shift, changed, dy):  # type: ignore[no-untyped-def]
    """`update_quick` for every format, rounding and overflow: ``a`` is the `kernel.Arithmetic` of the network."""
    events, outside, active = 0, 0, 0
    for n in range(u.size):
        exact = stepped(u[n], y[n], wrap(d[n], a.drive_width, True), shift, a)
        outside += exact < a.membrane_low or exact > a.membrane_high
        u[n] = fit(exact, a.membrane_low, a.membrane_high, a.membrane_wrap, True)
        code = transfer(u[n], a)
        if code != y[n]:
            active += (code != 0) - (y[n] != 0)
            changed[events] = n
            dy[events] = code - y[n]
            y[n] = code
            events += 1
    return events, outside, active


@njit(cache=True)
def apply(d, r, g, w, changed, dy, events, place, columns, stride):  # type: ignore[no-untyped-def]
    """``D -= G dy`` and ``R -= Phi dy`` for the code events of a step.

    D is gone through row by row, each with the events that reach it, so that a row of D stays in the nearest cache.

    Args:
        d: (h, v*K). r: (C, H + p - s, W + p - s). g: (K, 2 reach + 1, (2 reach + 1)*K). w: (K, C, p, p).
        changed, dy: the first ``events`` entries, in raster order. place: (3, h*v*K) scratch for (k, i, j).

    Returns:
        the products with G; neurons beyond the sheet take none. R is for the record and counts none.
    """
    rows, kernels = d.shape[0], w.shape[0]
    channels, patch = w.shape[1], w.shape[2]
    reach = g.shape[1] // 2
    ks, rows_of, columns_of = place[0], place[1], place[2]
    for e in range(events):
        position = changed[e] // kernels
        i = position // columns
        j = position - i * columns
        k = changed[e] - position * kernels
        ks[e], rows_of[e], columns_of[e] = k, i, j
        change = dy[e]
        for c in range(channels):
            for a in range(patch):
                target = r[c, stride * i + a, stride * j : stride * j + patch]
                weights = w[k, c, a]
                for n in range(patch):
                    target[n] -= weights[n] * change
    products, first = 0, 0
    for row in range(rows):
        whole = d[row]
        while first < events and rows_of[first] < row - reach:
            first += 1
        e = first
        while e < events and rows_of[e] <= row + reach:
            j, change = columns_of[e], dy[e]
            j0, j1 = max(0, j - reach), min(columns - 1, j + reach)
            begin, length = (j0 - j + reach) * kernels, (j1 - j0 + 1) * kernels
            target = whole[j0 * kernels : j0 * kernels + length]
            weights = g[ks[e], row - rows_of[e] + reach, begin : begin + length]
            for n in range(length):
                target[n] -= weights[n] * change
            products += length
            e += 1
    return products


@njit(cache=True)
def squared_error(r, lost, scale, margin):  # type: ignore[no-untyped-def]
    """Sum over the image of ``(R scale + lost)^2``; four sums side by side, in an order that is always the same."""
    channels, height, width = lost.shape
    total = 0.0
    for c in range(channels):
        for y in range(height):
            row, rest = r[c, margin + y, margin : margin + width], lost[c, y]
            s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
            whole = width - width % 4
            for x in range(0, whole, 4):
                v0, v1 = row[x] * scale + rest[x], row[x + 1] * scale + rest[x + 1]
                v2, v3 = row[x + 2] * scale + rest[x + 2], row[x + 3] * scale + rest[x + 3]
                s0, s1, s2, s3 = s0 + v0 * v0, s1 + v1 * v1, s2 + v2 * v2, s3 + v3 * v3
            for x in range(whole, width):
                s0 += (row[x] * scale + rest[x]) ** 2
            total += (s0 + s1) + (s2 + s3)
    return total
