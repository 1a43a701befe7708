"""What time does to programmed conductances: nothing, a power law (phase change), or a widening spread (filaments).

A drift is a value; `apply` takes one standard normal number per device, drawn once in a device's life, so that a device
follows one path over time and the same path in every point of a sweep. ``apply(g, 0, z)`` is g itself.
"""

import math
from dataclasses import dataclass

import numpy as np

from ....golden.errors import InputError
from ..streams import FloatArray

Line = tuple[float, float, float, float]
"""(at ln 1, per unit of ln(G / Gmax), smallest, largest)."""


@dataclass(frozen=True)
class Drift:
    """No drift; the base of the laws."""

    def apply(self, g_us: FloatArray, g_max_us: float, seconds: float, normals: FloatArray) -> FloatArray:
        """Conductances in uS after ``seconds`` since programming; any shape, ``normals`` of the same.

        Raises:
            InputError: a negative time, or one beyond what was measured.
        """
        self.check(seconds)
        return g_us.copy()

    def check(self, seconds: float) -> None:
        """Refuse a time that the law has no answer for.

        Raises:
            InputError: a negative time, or one beyond what was measured.
        """
        if not seconds >= 0:
            raise InputError(f"a drift time of {seconds:g} s is before programming; use 0 or more")

    def describe(self) -> str:
        """The law in a few words, for tables."""
        return "none"


@dataclass(frozen=True)
class PowerLaw(Drift):
    """``G(t) = G (1 + t / t0)^-nu``, nu of each device ``|mean + spread z|``.

    Mean and spread are straight lines in ln(G / Gmax), clipped. (1 + t/t0) because t counts from the end of programming
    and the first read is at t0: at t = 0 nothing has moved.
    """

    t0_s: float
    mean: Line
    spread: Line = (0.0, 0.0, 0.0, 0.0)

    def apply(self, g_us: FloatArray, g_max_us: float, seconds: float, normals: FloatArray) -> FloatArray:
        """As `Drift.apply`."""
        self.check(seconds)
        nu = np.abs(_line(self.mean, g_us, g_max_us) + _line(self.spread, g_us, g_max_us) * normals)
        return np.asarray(g_us * np.exp(-nu * math.log1p(seconds / self.t0_s)))

    def describe(self) -> str:
        """As `Drift.describe`."""
        low, high = self.mean[2:]
        nu = f"{low:g}" if low == high else f"{low:g} to {high:g}"
        return f"power law, nu {nu}, t0 {self.t0_s:g} s"


@dataclass(frozen=True)
class Spread(Drift):
    """Relaxation: the standard deviation grows with time, the mean stays.

    ``sigma_uS(G, t) = sum c_k (G / scale_us)^k`` at tabulated times; the error of programming is that of the first one.
    Each device moves by ``z sqrt(sigma(t)^2 - sigma(t_first)^2)``, the variance between two tabulated times in straight
    lines of ln t. One z per device: at any one time the law is right, between two times the moves are fully correlated.
    A conductance that would become negative is 0.
    """

    scale_us: float
    times_s: tuple[float, ...]
    sigma_us: tuple[tuple[float, ...], ...]

    def apply(self, g_us: FloatArray, g_max_us: float, seconds: float, normals: FloatArray) -> FloatArray:
        """As `Drift.apply`."""
        added = self.added_us(g_us, seconds)
        return np.where(added > 0, np.maximum(g_us + added * normals, 0.0), g_us)

    def added_us(self, g_us: FloatArray, seconds: float) -> FloatArray:
        """Standard deviation in uS that ``seconds`` add to the error of programming, shape of ``g_us``.

        Raises:
            InputError: a negative time, or one beyond the table.
        """
        self.check(seconds)
        if seconds <= self.times_s[0]:
            return np.zeros_like(g_us)
        variances = [np.polynomial.polynomial.polyval(g_us / self.scale_us, c) ** 2 for c in self.sigma_us]
        after = next(k for k, time in enumerate(self.times_s) if time >= seconds)
        t_low, t_high = self.times_s[after - 1], self.times_s[after]
        part = math.log(seconds / t_low) / math.log(t_high / t_low)
        variance = variances[after - 1] * (1 - part) + variances[after] * part
        return np.asarray(np.sqrt(np.maximum(variance - variances[0], 0.0)))

    def check(self, seconds: float) -> None:
        """As `Drift.check`."""
        super().check(seconds)
        if seconds > self.times_s[-1]:
            raise InputError(
                f"a drift time of {seconds:g} s is beyond the last measurement of this device, {self.times_s[-1]:g} s; "
                "take a shorter one, or refresh earlier"
            )

    def describe(self) -> str:
        """As `Drift.describe`."""
        return f"spread widens, measured to {self.times_s[-1]:g} s"


def _line(line: Line, g_us: FloatArray, g_max_us: float) -> FloatArray:
    """A clipped straight line in ln(G / Gmax); a conductance of 0 has the value of the smallest one."""
    at_one, slope, low, high = line
    relative = np.maximum(g_us / g_max_us, 1e-7)
    return np.asarray(np.clip(at_one + slope * np.log(relative), low, high))
