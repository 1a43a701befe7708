"""The nodal matrix of a crossbar with wires: numbering of the nodes, assembly, solutions (see `circuit`).

A network of wires is badly scaled: rounding a diagonal entry of 1 / r_wire is a leak to ground of about 1e-16 / r_wire
siemens. Where the wires conduct much better than the ends of the lines that would show, so there the solution is
refined with residuals from voltage differences, in which no such leak exists.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ....golden.errors import InputError
from .banded import NotPositiveError, factorised, substitute

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

HELD = -1  # a node that a source without resistance holds
REFINE_ABOVE = 2e4  # nodes of a line x termination / segment: below it at most some 1e-11 of a current is lost
MOST_REFINEMENTS = 8
ENOUGH = 1e-8  # of the largest voltage: a correction as small leaves its square


@dataclass(frozen=True)
class Wires:
    """Resistances, ohms: per segment of row and column wires, and of the terminations (inf: open)."""

    r_word: float
    r_bit: float
    r_left: float
    r_bottom: float

    @property
    def at_left(self) -> float:
        """Siemens between a row's first node and its source; inf: the source holds the node."""
        return _conductance(self.r_word + self.r_left)

    @property
    def at_bottom(self) -> float:
        """Siemens between a column's last node and its source; inf: the source holds the node."""
        return _conductance(self.r_bit + self.r_bottom)


def _conductance(ohm: float) -> float:
    """1 / ohm, with 0 ohm as inf."""
    return math.inf if ohm == 0 else 1 / ohm


class System:
    """Kirchhoff's current law at the nodes of one array, factorised.

    Args:
        g_s: (m, n) siemens of the devices, checked. wires: checked, no line floating.

    Raises:
        InputError: the factorisation fails: conductances too far apart for float64.
    """

    def __init__(self, g_s: Floats, wires: Wires) -> None:
        self.g_s, self.wires = g_s, wires
        m, n = g_s.shape
        self.w, self.b, self.size = numbers(m, n, wires)
        self._factor = self._factorised()
        ends = [
            float(g_s.sum(axis=axis).min()) if end == 0 else end
            for end, axis in ((wires.at_left, 1), (wires.at_bottom, 0))
        ]
        stiffest = max((1 / r for r in (wires.r_word, wires.r_bit) if r > 0), default=0.0)
        self._refine = max(m, n) * stiffest > REFINE_ABOVE * min(ends)

    def voltages(self, rows_v: Floats, columns_v: Floats) -> tuple[Floats, Floats]:
        """Node voltages w, b (m, n, S) with the row sources at ``rows_v`` (m, S), the column sources at (n, S)."""
        nodes = self.solve(self._sources(rows_v, columns_v))
        w, b = self.on_grid(nodes, rows_v, columns_v)
        scale = max(float(np.abs(rows_v).max()), float(np.abs(columns_v).max()))
        last = math.inf
        for _ in range(MOST_REFINEMENTS if self._refine and self.size else 0):
            device = self.g_s[:, :, None] * (w - b)
            correction = self.solve(self.lacking(w, b, device, rows_v, columns_v))
            step = float(np.abs(correction).max())
            if not step < last / 2:  # as good as it gets
                break
            nodes, last = nodes + correction, step
            w, b = self.on_grid(nodes, rows_v, columns_v)
            if step <= ENOUGH * scale:
                break
        if ENOUGH * scale < last < math.inf:
            raise _unsolvable("the solution does not settle")
        return w, b

    def _factorised(self) -> Floats:
        """Lower band of the Cholesky factor, (nodes, band + 1): row c holds column c from its diagonal down."""
        w, b, wires = self.w, self.b, self.wires
        joins = [(w, b, self.g_s)]  # (node, node, conductance)
        if wires.r_word > 0:
            joins.append((w[:, :-1], w[:, 1:], np.full(w[:, 1:].shape, 1 / wires.r_word)))
        if wires.r_bit > 0:
            joins.append((b[:-1], b[1:], np.full(b[1:].shape, 1 / wires.r_bit)))
        first = np.concatenate([a.ravel() for a, _, _ in joins])
        second = np.concatenate([a.ravel() for _, a, _ in joins])
        siemens = np.concatenate([g.ravel() for _, _, g in joins])
        diagonal = np.zeros(self.size)
        for nodes in (first, second):
            free = nodes != HELD
            diagonal += np.bincount(nodes[free], siemens[free], self.size)
        for nodes, end in ((w[:, 0], wires.at_left), (b[-1], wires.at_bottom)):
            if math.isfinite(end):
                diagonal += np.bincount(nodes, np.full(nodes.shape, end), self.size)
        free = (first != HELD) & (second != HELD)
        low, high = np.minimum(first, second)[free], np.maximum(first, second)[free]
        width = int((high - low).max(initial=0)) + 1
        flat = np.bincount(low * width + (high - low), -siemens[free], self.size * width)
        band = flat.astype(np.float64, copy=False).reshape(self.size, width)  # bincount of nothing is whole numbers
        band[:, 0] = diagonal
        try:
            return factorised(band)
        except NotPositiveError as error:
            raise _unsolvable(f"node {error.args[0]} of {self.size} has no path to a termination") from None

    def solve(self, currents: Floats) -> Floats:
        """(nodes, S) volts for (nodes, S) amperes, which are overwritten."""
        substitute(self._factor, currents)
        return currents

    def _sources(self, rows_v: Floats, columns_v: Floats) -> Floats:
        """(nodes, S) amperes that the sources push into the nodes while these are at 0 V."""
        into = np.zeros((self.size, rows_v.shape[1]))
        if math.isfinite(self.wires.at_left):
            into[self.w[:, 0]] += self.wires.at_left * rows_v
        elif self.b[0, 0] != HELD:
            _gathered(into, self.b, self.g_s[:, :, None] * rows_v[:, None])
        if math.isfinite(self.wires.at_bottom):
            into[self.b[-1]] += self.wires.at_bottom * columns_v
        elif self.w[0, 0] != HELD:
            _gathered(into, self.w, self.g_s[:, :, None] * columns_v[None])
        return into

    def lacking(self, w: Floats, b: Floats, device_a: Floats, rows_v: Floats, columns_v: Floats) -> Floats:
        """(nodes, S) amperes that the nodes lack when they stand at w, b and the devices carry these (m, n, S)."""
        wires = self.wires
        lacking = np.zeros((self.size, rows_v.shape[1]))
        if self.w[0, 0] != HELD:
            into = -device_a
            if wires.r_word > 0:
                along = (w[:, :-1] - w[:, 1:]) / wires.r_word
                into[:, 1:] += along
                into[:, :-1] -= along
            if math.isfinite(wires.at_left):
                into[:, 0] += wires.at_left * (rows_v - w[:, 0])
            _gathered(lacking, self.w, into)
        if self.b[0, 0] != HELD:
            into = device_a.copy()
            if wires.r_bit > 0:
                along = (b[:-1] - b[1:]) / wires.r_bit
                into[1:] += along
                into[:-1] -= along
            if math.isfinite(wires.at_bottom):
                into[-1] += wires.at_bottom * (columns_v - b[-1])
            _gathered(lacking, self.b, into)
        return lacking

    def on_grid(self, nodes: Floats, rows_v: Floats, columns_v: Floats) -> tuple[Floats, Floats]:
        """w, b (m, n, S) from the unknown nodes (nodes, S) and the held ones."""
        shape = (*self.w.shape, rows_v.shape[1])
        held_rows, held_columns = math.isinf(self.wires.at_left), math.isinf(self.wires.at_bottom)
        w = np.broadcast_to(rows_v[:, None], shape) if held_rows else nodes[self.w]
        b = np.broadcast_to(columns_v[None], shape) if held_columns else nodes[self.b]
        return w, b


def _gathered(nodes: Floats, places: Ints, amperes: Floats) -> None:
    """Add (m, n, S) amperes to the nodes at (m, n) places, of which several may be one node."""
    if (places[:, -1] == places[:, 0]).all() and places.shape[1] > 1:  # every row is one node
        nodes[places[:, 0]] += amperes.sum(axis=1)
    elif (places[-1] == places[0]).all() and places.shape[0] > 1:  # every column is one node
        nodes[places[0]] += amperes.sum(axis=0)
    else:
        nodes[places] += amperes


def _unsolvable(why: str) -> InputError:
    return InputError(
        f"singular circuit: {why} within float64; bring conductances, wire resistances and terminations closer together"
    )


def numbers(m: int, n: int, wires: Wires) -> tuple[Ints, Ints, int]:
    """Numbers of the nodes w (m, n) and b (m, n), ordered for a narrow band, and how many there are.

    Nodes joined by a wire without resistance share a number; nodes that a source holds have ``HELD``.
    """
    held_rows, held_columns = math.isinf(wires.at_left), math.isinf(wires.at_bottom)
    i, j = np.arange(m)[:, None], np.arange(n)[None, :]
    whole = np.zeros((m, n), np.int64)
    held = whole + HELD
    if wires.r_word > 0 and wires.r_bit > 0:  # w, b of one device side by side, the short side in the band: 2 min(m, n)
        place = 2 * (i * n + j if n <= m else j * m + i)
        return place, place + 1, 2 * m * n
    if wires.r_bit > 0:  # every row is one node, or held
        if held_rows:
            return held, whole + j * m + i, m * n  # columns apart: a band of 1
        return whole + i * (n + 1), i * (n + 1) + 1 + j, m * (n + 1)
    if wires.r_word > 0:
        if held_columns:
            return i * n + j, held, m * n
        return j * (m + 1) + 1 + i, whole + j * (m + 1), n * (m + 1)
    w, size = (held, 0) if held_rows else (whole + i, m)
    b, size = (held, size) if held_columns else (whole + j + size, size + n)
    return w, b, size
