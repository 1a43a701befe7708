"""What a voltage pulse does to a memristor: cells that take pulses, one by one or many at once in law.

A weight w is in units of its nominal range, -1 .. 1. A pulse upwards or downwards moves a cell by

===============  =======================================================================================================
"linear"         ``+a_up (1 - g_up w / b_max)`` or ``-a_down (1 - g_down w / b_min)``: slope g = 0 is a constant step,
                 g = 1 are soft bounds, where the step vanishes at the bound (Fusi & Abbott, *Limits on the memory
                 storage capacity of bounded synapses*, Nature Neuroscience 2007)
"exponential"    ``+-a max(0, 1 - A exp(+-g z))`` with ``z = 2 c w / (b_max - b_min) + d``
===============  =======================================================================================================

and never beyond the bounds b_min and b_max of that cell. Where both steps are equally long is the symmetry point: a
cell that is pulsed up and down alike ends there (Gokmen & Haensch, *Algorithm for training neural networks on resistive
device arrays*, Frontiers in Neuroscience 2020).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from ..streams import FloatArray, Stream, stream
from .presets import UpdateDevice

IntArray = npt.NDArray[np.int64]

LEAP = 16
"""From so many pulses on, a cell far from its bounds takes them in one Gaussian leap where its law allows it."""
CLEAR = 8.0
"""Standard deviations that a leap keeps clear of the bounds."""


@dataclass(frozen=True, eq=False)
class Cells:
    """Devices with their own steps and bounds; all arrays have the cells' shape. `draw` makes them.

    Args:
        device: the kind. up, down: a_up and a_down, above 0. bend_up, bend_down: g over the bound, so that a step is
            ``up (1 - bend_up w)`` or ``down (1 - bend_down w)``. low, high: bounds. reference: what is taken off what a
            cell holds to read a weight. stuck: cells that no pulse moves.
    """

    device: UpdateDevice
    up: FloatArray
    down: FloatArray
    bend_up: FloatArray
    bend_down: FloatArray
    low: FloatArray
    high: FloatArray
    reference: FloatArray
    stuck: npt.NDArray[np.bool_]

    @staticmethod
    def draw(
        device: UpdateDevice, shape: tuple[int, ...], seed: int, key: tuple[int, ...] = (), *, floor: float = -np.inf,
        stuck: npt.NDArray[np.bool_] | None = None, centred: bool | None = None,
    ) -> "Cells":  # fmt: skip
        """Cells as they come from the fab: a function of device, shape, seed and key alone.

        Args:
            key: whole numbers that tell this array from others. floor: no bound is below (conductance 0). stuck: none
            when None. centred: whether a reference is taken off, in place of the device's own.
        """
        rng = stream(seed, Stream.DEVICE, *key)
        high = np.abs(device.high * (1.0 + device.high_spread * rng.standard_normal(shape)))
        low = -np.abs(device.low * (1.0 + device.low_spread * rng.standard_normal(shape)))
        gain = device.step_spread * rng.standard_normal(shape)
        gain = np.exp(gain) if device.log_normal else 1.0 + gain
        apart = device.up_down_spread * rng.standard_normal(shape)
        up = device.step * np.abs(gain + apart + min(device.up_down, 0.0))
        down = device.step * np.abs(gain - apart - max(device.up_down, 0.0))
        slope_up = np.abs(device.slope_up + device.slope_spread * rng.standard_normal(shape))
        slope_down = np.abs(device.slope_down + device.slope_spread * rng.standard_normal(shape))
        error = device.reference_spread * rng.standard_normal(shape)
        bend_up = slope_up / (high if device.own_bounds else device.high)
        bend_down = slope_down / (low if device.own_bounds else device.low)
        low = np.maximum(low, floor)
        cells = Cells(device, up, down, bend_up, bend_down, low, high, np.zeros(shape),
                      np.zeros(shape, bool) if stuck is None else np.array(stuck, bool))  # fmt: skip
        if device.centred if centred is None else centred:
            object.__setattr__(cells, "reference", cells.symmetry + error)
        return cells

    @cached_property
    def symmetry(self) -> FloatArray:
        """Where a step up and a step down are equally long, as what a cell holds; cut to its bounds."""
        if self.device.exponential is not None:
            low, high = self.low.copy(), self.high.copy()
            for _ in range(60):
                middle = 0.5 * (low + high)
                rising = self.step_up(middle) > self.step_down(middle)
                low, high = np.where(rising, middle, low), np.where(rising, high, middle)
            return 0.5 * (low + high)
        bends = self.up * self.bend_up - self.down * self.bend_down
        apart = self.up - self.down
        with np.errstate(divide="ignore", invalid="ignore"):
            point = np.where(bends > 0, apart / bends, np.where(apart == 0, 0.0, np.sign(apart) * np.inf))
        return np.clip(point, self.low, self.high)

    def step_up(self, held: FloatArray) -> FloatArray:
        """Mean length of a step up, before the bounds."""
        if self.device.exponential is None:
            return self.up * (1.0 - self.bend_up * held)
        amplitude, _, exponent, _, c, d = self.device.exponential
        return self.up * np.maximum(0.0, 1.0 - amplitude * np.exp(exponent * (self._stretch * c * held + d)))

    def step_down(self, held: FloatArray) -> FloatArray:
        """Mean length of a step down, before the bounds."""
        if self.device.exponential is None:
            return self.down * (1.0 - self.bend_down * held)
        _, amplitude, _, exponent, c, d = self.device.exponential
        return self.down * np.maximum(0.0, 1.0 - amplitude * np.exp(-exponent * (self._stretch * c * held + d)))

    @property
    def _stretch(self) -> FloatArray:
        return 2.0 / (self.high - self.low)

    def law(self, held: FloatArray, pulses: IntArray) -> tuple[FloatArray, FloatArray]:
        """(mean, variance) of what "linear" cells hold after so many pulses that meet no bound.

        A pulse is ``w -> rho w + a`` plus noise of variance v, with rho = 1 - a_up bend_up upwards; n of them give
        ``rho^n w + a (1 - rho^n)/(1 - rho)`` and, where v does not depend on w, ``v (1 - rho^2n)/(1 - rho^2)``
        (n a and n v for a constant step). The variance is NaN where it has no such form: steps with a slope whose
        noise is proportional to them.
        """
        if self.device.exponential is not None:
            raise ValueError("an exponential step has no closed form")
        upwards = pulses > 0
        step, n = np.where(upwards, self.up, -self.down), np.abs(pulses).astype(np.float64)
        pull = step * np.where(upwards, self.bend_up, self.bend_down)  # 1 - rho
        rho = 1.0 - pull
        constant = pull == 0.0
        power = rho**n
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = np.where(constant, held + n * step, power * held + step * (1.0 - power) / pull)
            noise = (self.device.cycle * step) ** 2
            spread = np.where(constant, n, (1.0 - power**2) / (1.0 - rho**2))
        variance = noise * spread
        if self.device.proportional and self.device.cycle:
            variance = np.where(constant, variance, np.nan)
        return mean, variance

    def pulsed(self, held: FloatArray, pulses: IntArray, rng: np.random.Generator) -> FloatArray:
        """What the cells hold after ``pulses`` (upwards above 0, downwards below), one after the other; exact in law.

        A stuck cell holds what it held. A cell that takes `LEAP` pulses or more, has a Gaussian law and stays `CLEAR`
        standard deviations off its bounds is moved by one draw from that law, others pulse by pulse.
        """
        counts = np.where(self.stuck, 0, pulses)
        leap = self._leaps(held, counts)
        after = np.array(held, np.float64, order="C")
        if leap.any():
            mean, variance = self.law(held, counts)
            drawn = mean[leap] + np.sqrt(variance[leap]) * rng.standard_normal(int(leap.sum()))
            after[leap] = np.clip(drawn, self.low[leap], self.high[leap])
        single = np.where(leap, 0, counts)
        noise = rng.standard_normal(int(np.abs(single).sum()) if self.device.cycle else 0)
        c = self.device.exponential or (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        _pulse(after.ravel(), single.ravel(), self.up.ravel(), self.down.ravel(), self.bend_up.ravel(),
               self.bend_down.ravel(), self.low.ravel(), self.high.ravel(), noise, float(self.device.cycle),
               self.device.proportional, self.device.exponential is not None, *c)  # fmt: skip
        return after

    def _leaps(self, held: FloatArray, counts: IntArray) -> npt.NDArray[np.bool_]:
        many = np.abs(counts) >= LEAP
        if self.device.exponential is not None or not many.any():
            return np.zeros(held.shape, bool)
        mean, variance = self.law(held, counts)
        clear = CLEAR * np.sqrt(variance)  # NaN compares false
        inside = (np.minimum(held, mean) - clear > self.low) & (np.maximum(held, mean) + clear < self.high)
        return np.asarray(many & inside)

    def shown(self, held: FloatArray, rng: np.random.Generator) -> FloatArray:
        """What cells show right after a write: what they hold and the write noise."""
        if not self.device.write_noise:
            return held.copy()
        noise = self.device.write_noise * self.device.step * rng.standard_normal(held.shape)
        return np.where(self.stuck, held, held + noise)


@njit(cache=True)
def _pulse(
    held: Any, counts: Any, up: Any, down: Any, bend_up: Any, bend_down: Any, low: Any, high: Any, noise: Any,
    cycle: Any, proportional: Any, exponential: Any, factor_up: Any, factor_down: Any, rate_up: Any, rate_down: Any,
    c: Any, d: Any,
) -> None:  # fmt: skip
    """Pulse by pulse, in place; ``noise`` is one standard normal a pulse, cell after cell."""
    used = 0
    for n in range(held.size):
        w, upwards = held[n], counts[n] > 0
        step = up[n] if upwards else -down[n]
        bend = bend_up[n] if upwards else bend_down[n]
        stretch = 2.0 * c / (high[n] - low[n])
        for _ in range(abs(counts[n])):
            if exponential:
                z = stretch * w + d
                grown = factor_up * np.exp(rate_up * z) if upwards else factor_down * np.exp(-rate_down * z)
                move = step * max(0.0, 1.0 - grown)
            else:
                move = step * (1.0 - bend * w)
            if cycle > 0.0:
                move += cycle * noise[used] * (move if proportional else step)
                used += 1
            w = min(max(w + move, low[n]), high[n])
        held[n] = w
