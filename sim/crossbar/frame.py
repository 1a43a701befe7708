"""One frame of the network on the arrays: the integer step with D and Phi y read from devices.

::

    R  = (x << (fw + fy - fx)) - read of Phi y      backward, subtracted digitally; modulo 2^WR
    r~ = the sent residual                          rounded, cut off: as the integer machine
    D  = read of Phi^T r~                           forward; modulo 2^WD
    u' = the integer update; y = T(u')

With ``reads = "change"`` what is driven is the difference to what the lines carried so far (so that a converter's
rounding does not add up), and R and D keep the sum; every error of a read then stays in them until
``machine.refresh`` forms them anew, or until the frame ends. The first step of a frame reads anew.
"""

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from ...golden.lca import Outcome
from ..fixed import IntArray
from ..kernel import arithmetic, fit, sent_residual, stepped, transfer, wrap
from ..plan import Plan
from ..run import FloatArray, ended, error_percent, late_events
from ..settle import settled
from .layer import Layer
from .periphery import AdcRange, Dac, Tally, exponent_for
from .reader import Reader
from .result import CrossbarSteps, CrossbarView, Observer

if TYPE_CHECKING:
    from ..design import Design


@njit(cache=True)
def send(r, a, s):  # type: ignore[no-untyped-def]
    """R (C, H, W) to its word and r~ from it, in place; how many R were outside."""
    outside = 0
    flat, sent = r.reshape(-1), s.reshape(-1)
    for n in range(flat.size):
        kept = wrap(flat[n], a.residual_width, True)
        outside += kept != flat[n]
        flat[n] = kept
        sent[n] = sent_residual(kept, a)
    return outside


@njit(cache=True)
def update(u, y, d, shift, a):  # type: ignore[no-untyped-def]
    """Port 2 and 3 on membranes, codes and drives (K, h, v), in place; (codes changed, membranes saturated)."""
    changed, saturated = 0, 0
    us, ys, ds = u.reshape(-1), y.reshape(-1), d.reshape(-1)
    for n in range(us.size):
        ds[n] = wrap(ds[n], a.drive_width, True)
        exact = stepped(us[n], ys[n], ds[n], shift, a)
        us[n] = fit(exact, a.membrane_low, a.membrane_high, a.membrane_wrap, True)
        saturated += exact < a.membrane_low or exact > a.membrane_high
        new = transfer(us[n], a)
        changed += new != ys[n]
        ys[n] = new
    return changed, saturated


@dataclass
class Converters:
    """DAC and ADC range of one direction for one kind of read."""

    dac: Dac
    adc: AdcRange


@dataclass
class Port:
    """One direction: its reader, and converters for reads of the whole and of changes."""

    reader: Reader
    absolute: Converters
    change: Converters

    def read(self, values: IntArray, step: int, *, change: bool) -> tuple[IntArray, IntArray, Tally, int]:
        """(result, what was driven, tally, exponent of the range) of one read of all tiles."""
        use = self.change if change else self.absolute
        driven, exponent = use.dac.drive(values), use.adc.exponent
        result, tally = self.reader.read(driven, use.dac, use.adc, step)
        use.adc.follow(tally)
        return result, driven, tally, exponent


class Frame:
    """The state of the network and its steps.

    Args:
        plan: formats and constants. x: (C, H, W) input integers. forward, backward: the arrays.
        changes: drive changes only. refresh: steps between reads of the whole; 0: only the first.
    """

    def __init__(self, plan: Plan, x: IntArray, forward: Port, backward: Port, changes: bool, refresh: int) -> None:
        g = plan.tiling.geometry
        self.plan, self.arithmetic = plan, arithmetic(plan)
        self.forward, self.backward, self.changes, self.refresh = forward, backward, changes, refresh
        self.u, self.y, self.d = (np.zeros(g.code_shape, np.int64) for _ in range(3))
        self.r, self.s = np.zeros(g.image_shape, np.int64), np.zeros(g.image_shape, np.int64)
        self._x = x << plan.input_shift
        self._y_driven, self._s_driven = np.zeros_like(self.y), np.zeros_like(self.s)
        self.overflow = False
        self.kept_adds = 0  # results added to a D that was kept

    def residual(self, step: int, closing: bool = False) -> tuple[Tally, int]:
        """Form R and r~; the tally of the backward read and its exponent."""
        change = self.changes and not (self._anew(step) and not closing)
        read, driven, tally, exponent = self.backward.read(
            self.y - self._y_driven if change else self.y, step, change=change
        )
        self.r = (self.r if change else self._x) - read
        self._y_driven = self._y_driven + driven if change else driven.copy()
        self.overflow |= send(self.r, self.arithmetic, self.s) > 0
        return tally, exponent

    def drive(self, step: int) -> tuple[Tally, int]:
        """Form D; the tally of the forward read and its exponent."""
        change = self.changes and not self._anew(step)
        before = self.forward.reader.way.results
        read, driven, tally, exponent = self.forward.read(
            self.s - self._s_driven if change else self.s, step, change=change
        )
        self.d = self.d + read if change else read
        self._s_driven = self._s_driven + driven if change else driven.copy()
        self.kept_adds += self.forward.reader.way.results - before if change else 0
        return tally, exponent

    def update(self, step: int) -> tuple[int, int]:
        """New membranes and codes; (codes changed, membranes saturated)."""
        shift = next(v for first, v in reversed(self.plan.step_shift) if first <= step)
        changed, saturated = update(self.u, self.y, self.d, shift, self.arithmetic)
        return int(changed), int(saturated)

    def _anew(self, step: int) -> bool:
        return step == 0 or bool(self.refresh and step % self.refresh == 0)


def port(layer: Layer, plan: Plan, design: "Design", seed: int, *, backward: bool) -> Port:
    """The arrays in one direction with the design's converters, ranges at the proven bound."""
    c, word = design.crossbar, plan.code if backward else plan.residual
    kinds = []
    for change in (False, True):
        dac = Dac.of(word, c.dac_bits, c.dac_mode, change=change)
        bound = layer.bound(backward=backward, drive=dac.seen, cell_bits=c.cell_bits)
        kinds.append(
            Converters(dac, AdcRange(c.adc_bits, exponent_for(bound, c.adc_bits), bound, c.adc_range == "following"))
        )
    return Port(Reader(layer, backward, seed, c.sample_hold_noise), *kinds)


@dataclass(frozen=True)
class Done:
    """How the steps of a frame went; as in `result.CrossbarRun`."""

    steps: CrossbarSteps
    count: int
    outcome: Outcome
    events_late: int
    settled: bool


def run_steps(frame: Frame, steps: int, lost: FloatArray, scale: float, observe: Observer | None = None) -> Done:
    """Up to ``steps`` steps of a frame and the closing read of R.

    Args:
        lost: (C, H, W) what quantising took from the image, and ``scale`` its norm: for the percent error.
    """
    plan, rows, errors = frame.plan, [], []
    changed, outside = np.zeros(steps, np.int64), np.zeros(steps, np.int64)
    n, at_rest = 0, False
    while True:
        closing = n == steps
        kept = copy.deepcopy(frame.backward.reader.way) if closing else None
        back, back_exponent = frame.residual(n, closing)
        if n:
            error = np.asarray(frame.r * plan.residual_scale + lost, np.float64)
            errors.append(error_percent(error, scale))
        if kept is not None:
            frame.backward.reader.way = kept  # the closing R belongs to no step
            break
        fore, fore_exponent = frame.drive(n)
        changed[n], outside[n] = frame.update(n)
        rows.append((
            int(np.count_nonzero(frame.y)),
            int(changed[n]),
            fore.conversions + back.conversions,
            fore.clipped + back.clipped,
            fore_exponent,
            back_exponent,
        ))
        if observe is not None:
            f = frame
            observe(CrossbarView(n, f.r.copy(), f.s.copy(), f.d.copy(), f.u.copy(), f.y.copy()))
        n += 1
        if at_rest := bool(settled(changed, n, plan.settle, False)):
            steps = n
    late, saturated_late, quiet = late_events(changed[:steps], outside[:steps])
    done = CrossbarSteps(np.array(errors), *np.array(rows, np.int64).T.copy())
    outcome = ended(late, saturated_late, quiet, plan.tiling.geometry.neurons, at_rest)
    return Done(done, steps, outcome, late, at_rest)
