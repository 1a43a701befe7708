"""What one memristor is: its range and states, and how far writing, reading, time and faults take it from its target.

A `Device` is a value; `presets` has the published ones. Their numbers are in microsiemens (``_us``), as the literature
prints them; everything that computes is in siemens (``_s``). A fit is evaluated as printed and clipped at 0.
"""

from dataclasses import dataclass, field

import numpy as np

from ....golden.errors import InputError
from ..streams import BoolArray, FloatArray
from .drift import Drift

MICRO = 1e-6


@dataclass(frozen=True)
class Device:
    """One kind of memristor.

    Attributes:
        title, source: for tables; where the numbers are from, and which of them are assumptions.
        g_min_us, g_max_us: range of programmed conductances, uS.
        levels: equally spaced states from g_min to g_max; 0: continuous.
        error_us: c_k of ``sigma_uS = sum c_k G_uS^k``, the standard deviation of a written conductance.
        error_knee_us: where given, ``sigma_uS = error_us[0] (1 - exp(-G_uS / knee))`` instead.
        verified: the error is what is left after the source's own write-and-verify, and what the cell does afterwards.
        read_noise: standard deviation of a conductance from read to read, over itself, at g_max; 0: no read noise.
        read_exponent: the same at G: ``read_noise (G / g_max)^-exponent``, at most ``read_limit``; 0: proportional.
        read_us: where given, ``(a, knee)`` of ``sigma_uS = a (1 - exp(-G_uS / knee))`` instead of those two.
        stuck_low, stuck_high: probabilities that a cell is stuck at g_min, at g_max.
        drift: see `drift`.
        iv: c_k of ``sum c_k (log10 G_S)^k``, for the V |V| and the V^3 term of `current_a`; (): linear.
        read_voltage_v: of a full-scale drive; read_ns: integration time of one read.
        write_voltage_v, write_pulse_ns: of one write; None: no source.

    Raises:
        InputError: a range that is inverted or empty, one level, a negative error or noise, a probability outside 0..1.
    """

    name: str
    title: str
    source: str
    g_min_us: float
    g_max_us: float
    levels: int = 0
    error_us: tuple[float, ...] = ()
    error_knee_us: float | None = None
    verified: bool = False
    read_noise: float = 0.0
    read_exponent: float = 0.0
    read_limit: float = 1.0
    read_us: tuple[float, float] | None = None
    stuck_low: float = 0.0
    stuck_high: float = 0.0
    drift: Drift = field(default_factory=Drift)
    iv: tuple[tuple[float, ...], ...] = ()
    read_voltage_v: float = 0.2
    read_ns: float = 10.0
    write_voltage_v: float | None = None
    write_pulse_ns: float | None = None

    def __post_init__(self) -> None:
        check_range(self.name, self.g_min_us, self.g_max_us)
        check_levels(self.levels)
        check_fraction("read_noise", self.read_noise)
        for stuck in (self.stuck_low, self.stuck_high, self.stuck_low + self.stuck_high):
            check_fraction("fault_rate", stuck)

    # ---- in siemens --------------------------------------------------------------------------------------------------
    @property
    def g_min_s(self) -> float:
        """Smallest programmed conductance in siemens."""
        return self.g_min_us * MICRO

    @property
    def g_max_s(self) -> float:
        """Largest programmed conductance in siemens."""
        return self.g_max_us * MICRO

    @property
    def range_s(self) -> float:
        """g_max - g_min in siemens."""
        return (self.g_max_us - self.g_min_us) * MICRO

    @property
    def on_off(self) -> float:
        """Largest over smallest conductance; infinite for a smallest of 0."""
        return self.g_max_us / self.g_min_us if self.g_min_us else float("inf")

    @property
    def write_pulse_pj(self) -> float | None:
        """Energy of one write in pJ at mid-range, ``G V^2 t``; None without a source for V and t."""
        if self.write_voltage_v is None or self.write_pulse_ns is None:
            return None
        return (self.g_min_us + self.g_max_us) / 2 * self.write_voltage_v**2 * self.write_pulse_ns * 1e-3

    def sigma_s(self, g_s: FloatArray) -> FloatArray:
        """Standard deviation in siemens of a conductance written as ``g_s`` siemens; any shape."""
        g_us = np.asarray(g_s, np.float64) / MICRO
        if not self.error_us:
            return np.zeros_like(g_us)
        if self.error_knee_us is not None:
            sigma: FloatArray = self.error_us[0] * -np.expm1(-g_us / self.error_knee_us)
        else:
            sigma = np.asarray(np.polynomial.polynomial.polyval(g_us, self.error_us), np.float64)
        return np.asarray(np.maximum(sigma, 0.0) * MICRO)

    def read_sigma_s(self, g_s: FloatArray) -> FloatArray:
        """Standard deviation in siemens, from read to read, of a conductance of ``g_s`` siemens; any shape."""
        g_s = np.asarray(g_s, np.float64)
        if self.read_us is not None:
            a_us, knee_us = self.read_us
            return np.asarray(a_us * MICRO * -np.expm1(-g_s / (knee_us * MICRO)))
        if self.read_exponent == 0 or self.read_noise == 0:
            return self.read_noise * g_s
        relative = np.maximum(g_s / self.g_max_s, 1e-9)
        return np.asarray(g_s * np.minimum(self.read_noise * relative**-self.read_exponent, self.read_limit))

    def quantised(self, g_s: FloatArray) -> FloatArray:
        """The nearest states, siemens; a tie goes up. Continuous devices: a copy."""
        g_s = np.asarray(g_s, np.float64)
        if not self.levels:
            return g_s.copy()
        step = self.range_s / (self.levels - 1)
        return np.asarray(self.g_min_s + np.floor((g_s - self.g_min_s) / step + 0.5) * step)

    def drifted(self, g_s: FloatArray, seconds: float, rng: np.random.Generator) -> FloatArray:
        """Conductances in siemens ``seconds`` after programming, one normal number drawn per device; any shape.

        Raises:
            InputError: a negative time, or one beyond what was measured.
        """
        return self.aged(g_s, seconds, rng.standard_normal(np.shape(g_s)))

    def aged(self, g_s: FloatArray, seconds: float, normals: FloatArray) -> FloatArray:
        """As `drifted`, with the normal numbers given."""
        g_s = np.asarray(g_s, np.float64)
        if type(self.drift) is Drift or seconds == 0:
            self.drift.check(seconds)
            return g_s.copy()
        return self.drift.apply(g_s / MICRO, self.g_max_us, seconds, normals) * MICRO

    # ---- current against voltage -------------------------------------------------------------------------------------
    def current_a(self, g_s: FloatArray, volts: FloatArray) -> FloatArray:
        """``I = G V + a(G) V |V| + b(G) V^3`` in amperes, odd in V; shapes broadcast."""
        a, b = self._nonlinearity(g_s)
        return np.asarray(g_s * volts + a * volts * np.abs(volts) + b * volts**3)

    def slope_s(self, g_s: FloatArray, volts: FloatArray) -> FloatArray:
        """dI/dV of `current_a` in siemens."""
        a, b = self._nonlinearity(g_s)
        return np.asarray(g_s + 2 * a * np.abs(volts) + 3 * b * volts**2)

    def _nonlinearity(self, g_s: FloatArray) -> tuple[FloatArray, FloatArray]:
        """a in A/V^2 and b in A/V^3; a conductance of 0 has neither."""
        g_s = np.asarray(g_s, np.float64)
        if not self.iv:
            return np.zeros_like(g_s), np.zeros_like(g_s)
        conducts = g_s > 0
        log = np.log10(np.where(conducts, g_s, 1.0))
        terms = [np.where(conducts, np.polynomial.polynomial.polyval(log, c), 0.0) for c in self.iv]
        return terms[0], terms[1]

    # ---- what is stuck -----------------------------------------------------------------------------------------------
    def stuck_cells(self, uniforms: FloatArray) -> tuple[BoolArray, BoolArray]:
        """(stuck low, stuck high) from one uniform number per device; a higher rate keeps the cells of a lower one."""
        return uniforms < self.stuck_low, uniforms >= 1.0 - self.stuck_high


def check_range(name: str, g_min_us: float, g_max_us: float) -> None:
    """Refuse a conductance range that is inverted, empty or below 0.

    Raises:
        InputError: see above.
    """
    if not 0 <= g_min_us < g_max_us:
        raise InputError(
            f"device {name}: the conductance range {g_min_us:g} to {g_max_us:g} uS is inverted or empty; "
            "use 0 <= smallest < largest"
        )


def check_levels(levels: int) -> None:
    """Refuse one state, or fewer than none.

    Raises:
        InputError: see above.
    """
    if levels < 0 or levels == 1:
        raise InputError(f"crossbar.levels = {levels} is less than 2 states; use 2 or more, or 0 for continuous")


def check_fraction(key: str, value: float) -> None:
    """Refuse a fraction outside 0 to 1.

    Raises:
        InputError: see above.
    """
    if not 0 <= value <= 1:
        raise InputError(f"crossbar.{key} = {value:g} is outside 0 to 1; use a fraction such as 0.01")
