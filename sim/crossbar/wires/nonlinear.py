"""Crossbars of devices whose current is no multiple of their voltage: Newton's method on the nodes, one read at a time.

A slow oracle beside `circuit`, which no read of the network goes through: every step factorises the nodal matrix anew
with the devices' slopes in place of their conductances. It says what the linear model leaves out, and what a read of
fixed amplitude and varied width makes of it: without wire resistance a gain per device (`at_amplitude`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ....golden.errors import InputError
from ..circuit import checked_wires, conductances, refuse_floating
from .nodal import System

Floats = NDArray[np.float64]

LEAST_SLOPE = 1e-3  # of the conductance: a curve that bends down still has a matrix to step with
HALVINGS = 40


class Curve(Protocol):
    """Current against voltage of devices with conductance g_s (at low voltage); `device.Device` is one."""

    def current_a(self, g_s: Floats, volts: Floats) -> Floats:
        """Amperes; shapes broadcast."""

    def slope_s(self, g_s: Floats, volts: Floats) -> Floats:
        """dI/dV, siemens."""


@dataclass(frozen=True)
class Polynomial:
    """``I = G V + c_2 V^2 + c_3 V^3 + ...``; odd: of |V|, with the sign of V.

    coefficients: c_2, c_3, ... in A/V^2, A/V^3, ...; each a number or one value per device (m, n).
    """

    coefficients: Sequence[ArrayLike] = ()
    odd: bool = False

    def current_a(self, g_s: Floats, volts: Floats) -> Floats:
        """Amperes, of the shape of ``volts``."""
        size = np.abs(volts) if self.odd else volts
        total = g_s * size
        for power, coefficient in enumerate(self.coefficients, 2):
            total = total + np.asarray(coefficient) * size**power
        return np.asarray(np.copysign(1.0, volts) * total if self.odd else total)

    def slope_s(self, g_s: Floats, volts: Floats) -> Floats:
        """dI/dV in siemens, of the shape of ``volts``."""
        size = np.abs(volts) if self.odd else volts
        total = g_s + 0.0 * size
        for power, coefficient in enumerate(self.coefficients, 2):
            total = total + power * np.asarray(coefficient) * size ** (power - 1)
        return np.asarray(total)


@dataclass(frozen=True)
class Solution:
    """One read: currents and how the iteration went.

    columns_a (n,): amperes out of the columns' ends; rows_a (m,): out of the rows' ends (negative where a row drives).
    w_v, b_v (m, n): volts of the nodes. residuals_a: largest current that a node lacked before each step and at the
    end. converged: the last step moved no node by more than the tolerance.
    """

    columns_a: Floats
    rows_a: Floats
    w_v: Floats
    b_v: Floats
    residuals_a: tuple[float, ...]
    converged: bool

    @property
    def steps(self) -> int:
        """Newton steps taken."""
        return len(self.residuals_a) - 1


def solve(
    g_s: ArrayLike,
    curve: Curve,
    r_word: float,
    r_bit: float,
    r_left: float = 0.0,
    r_bottom: float = 0.0,
    *,
    rows_v: ArrayLike | None = None,
    columns_v: ArrayLike | None = None,
    tolerance: float = 1e-13,
    most_steps: int = 50,
) -> Solution:
    """Newton's method with halved steps where a full one would not come closer.

    Args:
        g_s: (m, n) siemens at low voltage. r_word, r_bit: ohms per segment. r_left, r_bottom: of the terminations.
        rows_v: (m,) volts behind the rows' terminations, columns_v: (n,) behind the columns'; None: 0 V.
        tolerance: largest last step, over the largest voltage.

    Raises:
        InputError: as ``circuit.Circuit``; a voltage that is not finite; voltages of another length than the lines.
    """
    g_s, wires = conductances(g_s), checked_wires(r_word, r_bit, r_left, r_bottom)
    refuse_floating(g_s, wires.r_left, wires.r_bottom)
    rows = _volts("rows", rows_v, g_s.shape[0])
    columns = _volts("columns", columns_v, g_s.shape[1])
    scale = max(float(np.abs(rows).max()), float(np.abs(columns).max()))
    system = System(g_s, wires)
    w, b = system.voltages(rows, columns)  # the linear solution
    free = _free(system, w, b)
    residuals: list[float] = []
    converged = False
    for _ in range(most_steps):
        lacking = system.lacking(w, b, _devices(curve, g_s, w - b), rows, columns)
        residuals.append(_largest(lacking))
        step = _slopes(curve, system, w - b).solve(lacking.copy())
        free, w, b, size = _stepped(curve, system, free, step, rows, columns, float(np.linalg.norm(lacking)))
        converged = size <= tolerance * scale
        if converged or not size:
            break
    currents = _devices(curve, g_s, w - b)
    residuals.append(_largest(system.lacking(w, b, currents, rows, columns)))
    flow = currents[:, :, 0]
    return Solution(flow.sum(axis=0), -flow.sum(axis=1), w[:, :, 0], b[:, :, 0], tuple(residuals), bool(converged))


def at_amplitude(g_s: ArrayLike, curve: Curve, volts: float) -> Floats:
    """(m, n) siemens that pulses of one amplitude see: current over voltage. The charge is linear in their width.

    Without wire resistance a read by pulse width is this matrix exactly, whatever the curve.
    """
    values = conductances(g_s)
    return np.asarray(curve.current_a(values, np.full(values.shape, float(volts))) / volts)


def _volts(what: str, volts: ArrayLike | None, lines: int) -> Floats:
    """(lines, 1), 0 where not given."""
    values = np.zeros(lines) if volts is None else np.array(volts, np.float64)
    if values.shape != (lines,) or not np.isfinite(values).all():
        raise InputError(f"voltages of the {what} have shape {values.shape}; give {lines} finite numbers")
    return values[:, None]


def _devices(curve: Curve, g_s: Floats, volts: Floats) -> Floats:
    """(m, n, 1) amperes through the devices."""
    return np.asarray(curve.current_a(g_s, volts[:, :, 0]))[:, :, None]


def _slopes(curve: Curve, system: System, volts: Floats) -> System:
    """The nodal matrix at these voltages (m, n, 1)."""
    slopes = np.maximum(curve.slope_s(system.g_s, volts[:, :, 0]), LEAST_SLOPE * system.g_s)
    return System(slopes, system.wires)


def _free(system: System, w: Floats, b: Floats) -> Floats:
    """(nodes, 1) volts of the nodes that no source holds."""
    nodes = np.zeros((system.size + 1, 1))  # the last takes what is held (its number is -1)
    nodes[system.w] = w
    nodes[system.b] = b
    return nodes[:-1]


def _stepped(
    curve: Curve, system: System, free: Floats, step: Floats, rows: Floats, columns: Floats, before: float
) -> tuple[Floats, Floats, Floats, float]:
    """The nodes after a step that lacks less current than ``before``, their w and b, and the largest change (0: none).

    A full step below rounding is taken as it is: the residual cannot show that it helps.
    """
    share = 1.0
    for _ in range(HALVINGS):
        moved = free + share * step
        w, b = system.on_grid(moved, rows, columns)
        lacking = system.lacking(w, b, _devices(curve, system.g_s, w - b), rows, columns)
        size = share * _largest(step)
        if np.linalg.norm(lacking) < before or size <= 1e-12 * max(_largest(rows), _largest(columns)):
            return moved, w, b, size
        share /= 2
    w, b = system.on_grid(free, rows, columns)
    return free, w, b, 0.0


def _largest(values: Floats) -> float:
    return float(np.abs(values).max(initial=0.0))
