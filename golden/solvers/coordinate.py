"""Coordinate descent: the most promising unit is set to its best value, and inhibits all units it overlaps.

Li and Osher 2009; Gregor and LeCun, *Learning fast approximations of sparse coding* (2010). With d = Phi^T (x - Phi y)
and n = |phi|^2 of a unit, its best value while all others rest is ``y' = shrink(d + n y, lambda) / n``. The unit that
would move farthest is moved, and the drives of its neighbours follow by *lateral inhibition*:
``d <- d - (y' - y) <phi, phi_neighbour>``. Every update is an exact minimisation along one coordinate, so that the
objective never rises.

Greedy over the whole sheet is dear, and units farther apart than `geometry.reach` do not know of each other: the sheet
is cut into segments about that wide, and each in turn updates its own best unit (locally greedy: Moreau, Oudre, Vayatis
2018). An iteration is so many updates of each segment as it has positions, fewer where nothing is left to gain.

**Borders.** Inside, ``<phi, phi'>`` is a table of kernel correlations. A kernel that reaches beyond a cropped image has
lost pixels, and with them norm and overlap. Whatever the neighbour, both live on the pixels that phi has left, so that
the correlations of the clipped phi with whole kernels are exact: one table for every way of clipping (a class). They
are kept up to `TABLE_BYTES`; beyond, those of clipped kernels are summed anew at each use, which is slower. With the
circular border neighbours are counted modulo the sheet; kernels that meet twice add up.

The drives are computed from the code again at every iteration, so that rounding does not pile up.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from ..conv import Border
from ..geometry import Geometry
from .base import Array, Iterate, Iterates, Problem, needs

Indices = npt.NDArray[np.int64]

TABLE_BYTES = 256 * 2**20

# A segment rests once no unit of it would move by more than this part of lambda, until a neighbour moves.
RESTING = 1e-10


class _Sheet(NamedTuple):
    """What the loops need of the geometry: clipped rows of every position, its class, and the tables."""

    rows: Indices  # (H/s, 2): kernel rows first .. last + 1 that lie on the image
    columns: Indices  # (W/s, 2)
    row_class: Indices
    column_class: Indices
    table: Array  # (tables, K, n, n, K): correlations of kernel a, clipped, with those di, dj away
    which: Indices  # (row classes, column classes): index into table, or -1
    norms: Array  # (row classes, column classes, K)
    reach: int
    circular: bool


def coordinate(problem: Problem, start: Array, *, whole: bool = False) -> Iterates:
    """The iterates of coordinate descent from a code ``(K, H/s, W/s)``; for l1, any border of a `Problem`.

    Args:
        whole: one segment, the whole sheet: Gregor and LeCun's order; slow on large sheets.
    """
    needs(problem, "coordinate", weighted=True)
    g, atoms = problem.conv.geometry, problem.dictionary.atoms
    sheet = _sheet(g, problem.border, atoms)
    side = max(g.sheet) if whole else max(2 * g.reach + 1, 4)
    segments = (-(-g.sheet[0] // side), -(-g.sheet[1] // side))
    rounds = min(side, g.sheet[0]) * min(side, g.sheet[1])
    code, row = start, np.empty((2 * g.reach + 1, 2 * g.reach + 1, g.kernels))
    while True:
        residual = problem.residual(code)
        drive = problem.conv.analysis(residual)
        yield Iterate(code, residual, drive)
        y, d = (np.ascontiguousarray(a.transpose(1, 2, 0)) for a in (code, drive))
        _descend(y, d, sheet, atoms, g.stride, problem.levels.ravel(), problem.two_sided, side, segments, rounds, row)
        code = np.ascontiguousarray(y.transpose(2, 0, 1))


def _classes(size: int, g: Geometry, border: Border) -> tuple[Indices, Indices, Indices]:
    """Along an axis: which kernel rows each position keeps, its class, and what each class keeps."""
    first = g.stride * np.arange(size // g.stride) - g.margin
    kept = np.stack([np.maximum(0, -first), np.minimum(g.patch, size - first)], axis=1)
    if border != "cropped":
        kept[:] = 0, g.patch
    ways, members = np.unique(kept, axis=0, return_inverse=True)
    return kept.astype(np.int64), members.reshape(-1).astype(np.int64), ways.astype(np.int64)


def _sheet(g: Geometry, border: Border, atoms: Array) -> _Sheet:
    rows, row_class, row_ways = _classes(g.image[0], g, border)
    columns, column_class, column_ways = _classes(g.image[1], g, border)
    span = 2 * g.reach + 1
    classes = len(row_ways) * len(column_ways)
    every = classes * g.kernels**2 * span**2 * 8 <= TABLE_BYTES
    which = np.full((len(row_ways), len(column_ways)), -1, np.int64)
    norms = np.zeros((*which.shape, g.kernels))
    tables: list[Array] = []
    for a, b in np.ndindex(*which.shape):
        (top, bottom), (left, right) = row_ways[a], column_ways[b]
        norms[a, b] = np.square(atoms[:, :, top:bottom, left:right]).sum((1, 2, 3))
        if every or (bottom - top, right - left) == (g.patch, g.patch):
            table = np.empty((g.kernels, span, span, g.kernels))
            for kernel in range(g.kernels):
                _correlations(atoms, g.stride, kernel, top, bottom, left, right, table[kernel])
            which[a, b] = len(tables)
            tables.append(table)
    if border == "circular":  # one class; a kernel that comes around the sheet meets itself
        turns = [np.flatnonzero((np.arange(span) - g.reach) % n == 0) for n in g.sheet]
        own = tables[0][:, turns[0][:, None], turns[1][None, :]]
        norms[0, 0] = np.einsum("kijk->k", own)
    empty = np.zeros((0, g.kernels, span, span, g.kernels))
    return _Sheet(rows, columns, row_class, column_class, np.stack(tables) if tables else empty, which, norms, g.reach,
                  border == "circular")


@njit(cache=True)
def _correlations(atoms, stride, kernel, top, bottom, left, right, out):  # type: ignore[no-untyped-def]
    """<phi, phi_b at (di, dj)> of kernel phi kept on rows top..bottom, columns left..right; out (n, n, K)."""
    kernels, channels, patch, _ = atoms.shape
    reach = (out.shape[0] - 1) // 2
    for i in range(out.shape[0]):
        down = stride * (i - reach)
        first, last = max(top, down), min(bottom, down + patch)
        for j in range(out.shape[1]):
            across = stride * (j - reach)
            begin, end = max(left, across), min(right, across + patch)
            for b in range(kernels):
                total = 0.0
                for c in range(channels):
                    for q in range(first, last):
                        for t in range(begin, end):
                            total += atoms[kernel, c, q, t] * atoms[b, c, q - down, t - across]
                out[i, j, b] = total


@njit(cache=True)
def _best(y, d, sheet, levels, two_sided, top, bottom, left, right):  # type: ignore[no-untyped-def]
    """The unit of a segment that would move farthest, and by how much: (row, column, kernel, change)."""
    found, size = (-1, -1, -1), 0.0
    change = 0.0
    for i in range(top, bottom):
        for j in range(left, right):
            norms = sheet.norms[sheet.row_class[i], sheet.column_class[j]]
            for k in range(y.shape[2]):
                norm, threshold = norms[k], levels[k]
                if norm <= 0.0:
                    continue
                want = d[i, j, k] + norm * y[i, j, k]
                value = 0.0
                if want > threshold:
                    value = (want - threshold) / norm
                elif two_sided and want < -threshold:
                    value = (want + threshold) / norm
                move = value - y[i, j, k]
                if abs(move) > size:
                    found, size, change = (i, j, k), abs(move), move
    return found[0], found[1], found[2], change


@njit(cache=True)
def _inhibit(d, sheet, row, i, j, change):  # type: ignore[no-untyped-def]
    """d <- d - change <phi, phi'> over the neighbours of position (i, j)."""
    rows, columns, kernels = d.shape
    reach = sheet.reach
    for di in range(-reach, reach + 1):
        a = i + di
        if sheet.circular:
            a %= rows
        elif a < 0 or a >= rows:
            continue
        for dj in range(-reach, reach + 1):
            b = j + dj
            if sheet.circular:
                b %= columns
            elif b < 0 or b >= columns:
                continue
            for k in range(kernels):
                d[a, b, k] -= change * row[di + reach, dj + reach, k]


@njit(cache=True)
def _wake(resting, i, j, reach, side, rows, columns, circular):  # type: ignore[no-untyped-def]
    """Segments that the neighbours of (i, j) lie in have something to look at again."""
    for di in range(-reach, reach + 1):
        a = (i + di) % rows if circular else min(max(i + di, 0), rows - 1)
        for dj in range(-reach, reach + 1):
            b = (j + dj) % columns if circular else min(max(j + dj, 0), columns - 1)
            resting[a // side, b // side] = False


@njit(cache=True)
def _descend(y, d, sheet, atoms, stride, levels, two_sided, side, segments, rounds, row):  # type: ignore[no-untyped-def]
    """One iteration, in place; y and d are (rows, columns, K). row is scratch, (n, n, K)."""
    rows, columns, _ = y.shape
    resting = np.zeros(segments, np.bool_)
    for _ in range(rounds):
        moved = False
        for a in range(segments[0]):
            for b in range(segments[1]):
                if resting[a, b]:
                    continue
                i, j, k, change = _best(y, d, sheet, levels, two_sided, a * side, min((a + 1) * side, rows),
                                        b * side, min((b + 1) * side, columns))
                if abs(change) <= RESTING * levels[k]:
                    resting[a, b] = True
                    continue
                y[i, j, k] += change
                place = sheet.which[sheet.row_class[i], sheet.column_class[j]]
                if place >= 0:
                    _inhibit(d, sheet, sheet.table[place, k], i, j, change)
                else:
                    _correlations(atoms, stride, k, sheet.rows[i, 0], sheet.rows[i, 1], sheet.columns[j, 0],
                                  sheet.columns[j, 1], row)
                    _inhibit(d, sheet, row, i, j, change)
                _wake(resting, i, j, sheet.reach, side, rows, columns, sheet.circular)
                moved = True
        if not moved:
            return
