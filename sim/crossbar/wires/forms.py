"""Variances of many outputs, each a quadratic form of the drive: as a diagonal and a few squares.

Output s has the variance ``sum_d weight_ds (x_d . v)^2`` over devices d, whose voltage is linear in the drive v. With
wires of low resistance device d almost only sees its own line, so the form is nearly diagonal; what wires add varies
smoothly along them, and a few eigenvectors hold it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Reals = NDArray[np.float32] | NDArray[np.float64]

BATCH = 512  # drives at a time: their projections stay in the cache
FAR = 0.25  # share of the tolerance that may be spent on off-diagonal terms of far devices


@dataclass(frozen=True)
class Plane:
    """The devices of one array, grouped by the line that is sensed: group s holds the devices on the line of output s.

    voltages: (S, P, P) volts across device p of group s per volt on drive a. weights: (S, P, S) variance of a
    conductance times the square of its sense voltage, for every output.
    """

    voltages: Floats
    weights: Floats


class Law:
    """Variances of S outputs for drives of P values.

    diagonal: (P, S). vectors (P, K), signs (K,) and outputs (K,): ``+-(vector . v)^2`` to be added to an output. full:
    (S, P, P) or None; given, it is the whole form and the others are not used.
    """

    def __init__(
        self, diagonal: Floats, vectors: Floats, signs: Floats, outputs: Ints, full: Floats | None = None
    ) -> None:
        self.full = full
        self.outputs = outputs
        self.scale = max(float(np.abs(diagonal).max(initial=0.0)), np.finfo(np.float64).tiny)
        root = np.sqrt(self.scale)
        self._tables: dict[np.dtype[Any], tuple[Any, Any, Any]] = {
            np.dtype(kind): (
                np.ascontiguousarray(diagonal / self.scale, kind),
                np.ascontiguousarray(vectors / root, kind),
                np.ascontiguousarray(signs, kind),
            )
            for kind in (np.float64, np.float32)
        }

    def variance(self, drive: Reals, single: bool = False) -> Reals:
        """(batch, S) of drive (batch, P), in the drive's precision, or single. A negative result of rounding is 0."""
        kind: Any = np.float32 if single else drive.dtype.type
        if self.full is not None:
            exact = np.stack([np.einsum("bp,bp->b", drive @ form, drive) for form in self.full], axis=1)
            rounded: Reals = np.maximum(exact, 0).astype(kind, copy=False)
            return rounded
        diagonal, vectors, signs = self._tables[np.dtype(kind)]
        found: Reals = np.empty((len(drive), diagonal.shape[1]), kind)
        room = (min(BATCH, len(drive)), drive.shape[1])
        plain, squares = np.empty(room, kind), np.empty(room, kind)
        for start in range(0, len(drive), BATCH):
            part: Reals = drive[start : start + BATCH]
            into = found[start : start + BATCH]
            _squared(part, plain, squares)
            np.matmul(squares[: len(part)], diagonal, out=into)
            if len(signs):
                _add_squares(into, plain[: len(part)] @ vectors, signs, self.outputs)
        found *= kind(self.scale)
        return found


@njit(cache=True, nogil=True)
def _squared(drive: Reals, plain: Reals, squares: Reals) -> None:
    """The drive and its squares in the precision of the tables, one pass over memory."""
    for b in range(drive.shape[0]):
        for a in range(drive.shape[1]):
            plain[b, a] = drive[b, a]
            squares[b, a] = plain[b, a] * plain[b, a]


@njit(cache=True, nogil=True)
def _add_squares(into: Reals, projections: Reals, signs: Reals, outputs: Ints) -> None:
    """into (B, S) += signs (K,) * projections (B, K) squared, at outputs (K,); never below 0."""
    for row in range(into.shape[0]):
        for k in range(len(signs)):
            value = projections[row, k]
            into[row, outputs[k]] += signs[k] * value * value
        for s in range(into.shape[1]):
            into[row, s] = max(into[row, s], 0)


def diagonal_law(weights: Floats) -> Law:
    """Every drive moves one line alone: weights (P, S)."""
    return Law(weights, np.zeros((len(weights), 0)), np.zeros(0), np.zeros(0, np.int64))


def truncated_law(planes: Sequence[Plane], tolerance: float) -> Law:
    """The law of planes that are driven alike and whose currents are added or subtracted.

    Let q_a be the variance of an output with 1 V on drive a alone. The variance returned differs from the true one by
    at most ``tolerance * sum_a q_a v_a^2``, for every drive; where the signs of the drive are random the sum is the
    variance, and the error averages out to far less. 0: nothing is left out.
    """
    diagonals = sum(_diagonals(plane) for plane in planes)
    assert isinstance(diagonals, np.ndarray)
    if tolerance == 0:
        every = range(diagonals.shape[1])
        full = np.stack([_form(planes, s, every) for s in every])
        return Law(diagonals, np.zeros((len(diagonals), 0)), np.zeros(0), np.zeros(0, np.int64), full)
    unit = 1 / np.sqrt(np.maximum(diagonals, np.maximum(diagonals.max(axis=0), 1e-300) * 1e-12))  # (P, S)
    bounds = sum(_bounds(plane, unit) for plane in planes)
    assert isinstance(bounds, np.ndarray)
    kept, vectors, signs = [], [], []
    for s in range(diagonals.shape[1]):
        near, spent = _near(bounds[:, s], s, FAR * tolerance)
        rest = _form(planes, s, near)
        rest[np.diag_indices_from(rest)] -= _own(planes, s)
        found, sign = _squares(rest * unit[:, s, None] * unit[:, s], tolerance - spent)
        found = found / unit[:, s, None]
        kept.append(diagonals[:, s] - found**2 @ sign)
        vectors.append(found)
        signs.append(sign)
    outputs = np.repeat(np.arange(len(signs)), [len(sign) for sign in signs])
    return Law(np.stack(kept, axis=1), np.concatenate(vectors, axis=1), np.concatenate(signs), outputs)


def _diagonals(plane: Plane) -> Floats:
    """(P, S): variance of output s with 1 V on drive a alone."""
    groups, size, drives = plane.voltages.shape
    voltages = plane.voltages.reshape(groups * size, drives)
    return np.asarray((voltages**2).T @ plane.weights.reshape(groups * size, -1))


def _bounds(plane: Plane, unit: Floats) -> Floats:
    """(groups, S): bounds on the norm of each group's part of the form, in units of the diagonal.

    The norm of a symmetric matrix is at most its largest row sum of magnitudes, here bounded without forming it.
    """
    size = np.abs(plane.voltages)
    sums = size.transpose(0, 2, 1) @ (plane.weights * (size @ unit))  # (groups, P, S)
    return np.asarray((sums * unit).max(axis=1))


def _near(bounds: Floats, own: int, allowed: float) -> tuple[list[int], float]:
    """The groups whose off-diagonal terms count, and the bound of the others: as many as are allowed."""
    order = np.argsort(bounds)
    dropped = [group for group in order[np.cumsum(bounds[order]) <= allowed].tolist() if group != own]
    return sorted(set(range(len(bounds))) - set(dropped)), float(bounds[dropped].sum())


def _form(planes: Sequence[Plane], output: int, groups: Sequence[int]) -> Floats:
    """(P, P): the form of one output, of these groups of devices."""
    drives = planes[0].voltages.shape[2]
    form = np.zeros((drives, drives))
    for plane in planes:
        for group in groups:
            voltages = plane.voltages[group]
            form += (voltages * plane.weights[group, :, output, None]).T @ voltages
    return form


def _own(planes: Sequence[Plane], output: int) -> Floats:
    """(P,): what each drive gives through the device on its own line alone, without the smooth part of its voltage.

    Taken off the form, it leaves something smooth, of which few eigenvectors hold nearly all. The smooth part at drive
    a is read off next to it, from the devices of lines a - 1 and a + 1.
    """
    drives = planes[0].voltages.shape[2]
    here = np.arange(drives)
    own = np.zeros(drives)
    for plane in planes:
        voltages = plane.voltages[output]
        alone = voltages[here, here]
        if drives > 1:
            before, after = np.abs(here - 1), np.where(here + 1 < drives, here + 1, drives - 2)
            alone = alone - (voltages[before, here] + voltages[after, here]) / 2
        own += plane.weights[output, :, output] * alone**2
    return own


def _squares(form: Floats, tolerance: float) -> tuple[Floats, Floats]:
    """Vectors (P, rank) and signs (rank,) without which only the diagonal of ``form`` (P, P) is left, within tolerance.

    What the vectors leave off the diagonal has at most the norm of the next eigenvalue and of what they leave on it.
    """
    magnitudes = np.abs(form)
    np.fill_diagonal(magnitudes, 0)
    if magnitudes.sum(axis=1).max() <= tolerance:
        return np.zeros((len(form), 0)), np.zeros(0)
    values, vectors = np.linalg.eigh(form)
    order = np.argsort(-np.abs(values))
    values, vectors = values[order], vectors[:, order]
    diagonal = np.concatenate([np.zeros((len(form), 1)), np.cumsum(vectors**2 * values, axis=1)], axis=1)
    left = np.append(np.abs(values), 0.0) + np.abs(np.diag(form)[:, None] - diagonal).max(axis=0)
    enough = left <= tolerance
    rank = int(np.argmax(enough)) if enough.any() else len(values)
    return vectors[:, :rank] * np.sqrt(np.abs(values[:rank])), np.sign(values[:rank])
