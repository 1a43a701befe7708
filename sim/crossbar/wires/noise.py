"""Read noise in law: the variance of every output for a drive, instead of a conductance drawn per device and read.

Conductances that fluctuate independently between reads, by sigma_ij around G_ij, add up to a Gaussian output. Without
wire resistance its variance is ``sum_ij sigma_ij^2 v_i^2`` of the devices of the output's line, exactly. With wires a
small change dG_ij moves output k by ``dG_ij u_ij z_ij^k``, u the device's voltage in this read and z^k its voltage with
1 V at port k alone (Tellegen's theorem; Director and Rohrer, IEEE Trans. Circuit Theory 16, 318, 1969), so::

    Var(I_k) = sum_ij sigma_ij^2 (u_ij z_ij^k)^2

which leaves out terms of second order in sigma times wire resistance. Modelled are Gaussian fluctuations, fresh in
every read and independent between devices; a conductance that such noise would make negative is not clipped at 0, and
the noise of the outputs of one read is drawn independently (wires correlate them by z off the own line: at most 0.4 %
in a 64x64 array of 10 kohm devices on 1 ohm a segment).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ....golden.errors import InputError
from ..circuit import Circuit
from .forms import Law, Plane, Reals, diagonal_law, truncated_law

Floats = NDArray[np.float64]

TOLERANCE = 1e-2  # of a variance, worst case: 0.5 % of a noise amplitude, while device papers give it to some 10 %


@dataclass(frozen=True, eq=False)
class _Noisy:
    """One array: standard deviations (m, n) and the circuits of both directions, None without wire resistance."""

    sigma: Floats
    forward: Circuit | None
    backward: Circuit | None


class ReadNoise:
    """The law of what one read of an array adds to its outputs, in both directions; ``a + b`` for twin planes.

    Twins are driven alike and their currents are added or subtracted: the variances add, at the cost of one array.

    Args:
        sigma: (m, n) standard deviation of every conductance, in the unit that gives outputs the unit wanted.
        circuit: the array with its wires, rows driven and columns sensed; None: no wire resistance.
        backward: the same with columns driven and rows sensed, where the terminations differ then; None: ``circuit``.
        tolerance: bound on the error of a variance with wires, see ``forms.truncated_law``; 0 keeps every term.

    Raises:
        InputError: sigma is negative, not finite, or not the shape of the circuit; tolerance is negative.
    """

    def __init__(
        self,
        sigma: ArrayLike,
        circuit: Circuit | None = None,
        backward: Circuit | None = None,
        *,
        tolerance: float = TOLERANCE,
    ) -> None:
        values = np.array(sigma, np.float64)
        if values.ndim != 2 or not values.size:
            raise InputError(f"read noise has shape {values.shape}; give a matrix (rows, columns) of at least one cell")
        wrong = ~(np.isfinite(values) & (values >= 0))
        if wrong.any():
            i, j = np.argwhere(wrong)[0].tolist()
            raise InputError(f"read noise of cell ({i}, {j}) is {values[i, j]:g}; give a finite value of 0 or more")
        for one in (circuit, backward):
            if one is not None and one.shape != values.shape:
                raise InputError(f"read noise has shape {values.shape}, its circuit {one.shape}; give one per device")
        if not 0 <= tolerance < 1:
            raise InputError(f"tolerance of the read noise is {tolerance:g}; give 0 or more, below 1")
        back = circuit if backward is None else backward
        self._set((_Noisy(values, *(None if one is None or one.ideal else one for one in (circuit, back))),), tolerance)

    def _set(self, planes: tuple[_Noisy, ...], tolerance: float) -> None:
        self._planes, self.tolerance = planes, tolerance

    def __add__(self, other: "ReadNoise") -> "ReadNoise":
        """The law of two arrays driven alike, of the same shape; the smaller tolerance holds."""
        if self.shape != other.shape:
            raise ValueError(f"planes of shapes {self.shape} and {other.shape} are not twins")
        both = ReadNoise.__new__(ReadNoise)
        both._set(self._planes + other._planes, min(self.tolerance, other.tolerance))
        return both

    @property
    def shape(self) -> tuple[int, int]:
        """(m, n): rows and columns."""
        m, n = self._planes[0].sigma.shape
        return m, n

    def forward_variance(self, drive: Reals, single: bool = False) -> Reals:
        """Rows driven, columns sensed.

        Args:
            drive: (batch, m) float64 or float32: the result has its precision (float32: good to about 1e-6).
            single: float32 within and as the result, whatever the drive.

        Returns:
            (batch, n) variances, in the square of sigma's unit times the drive's.
        """
        return self._forward.variance(_batch(drive, self.shape[0]), single)

    def backward_variance(self, drive: Reals, single: bool = False) -> Reals:
        """Columns driven, rows sensed: drive (batch, n), result (batch, m), else as ``forward_variance``."""
        return self._backward.variance(_batch(drive, self.shape[1]), single)

    def prepare(self) -> "ReadNoise":
        """Make the laws of both directions now, and free what the circuits keep for that. Returns itself."""
        self._forward, self._backward  # noqa: B018 - cached
        for plane in self._planes:
            for circuit in (plane.forward, plane.backward):
                if circuit is not None:
                    circuit.forget()
        return self

    @cached_property
    def _forward(self) -> Law:
        if all(plane.forward is None for plane in self._planes):
            return diagonal_law(self._squares())
        planes = []
        for plane in self._planes:
            circuit = plane.forward or Circuit(np.zeros(self.shape), 0.0, 0.0)
            rows = circuit.voltages_by_row().transpose(1, 0, 2)
            columns = circuit.voltages_by_column().transpose(1, 0, 2)
            planes.append(Plane(np.ascontiguousarray(rows), (plane.sigma.T[:, :, None] * columns) ** 2))
        return truncated_law(planes, self.tolerance)

    @cached_property
    def _backward(self) -> Law:
        if all(plane.backward is None for plane in self._planes):
            return diagonal_law(self._squares().T)
        planes = []
        for plane in self._planes:
            circuit = plane.backward or Circuit(np.zeros(self.shape), 0.0, 0.0)
            weights = (plane.sigma[:, :, None] * circuit.voltages_by_row()) ** 2
            planes.append(Plane(circuit.voltages_by_column(), weights))
        return truncated_law(planes, self.tolerance)

    def _squares(self) -> Floats:
        """(m, n): variances of the devices of all planes."""
        return np.asarray(np.sum([plane.sigma**2 for plane in self._planes], axis=0))


def _batch(drive: Reals, values: int) -> Reals:
    """The drive as a matrix (batch, values) of real numbers."""
    if drive.ndim != 2 or drive.shape[1] != values or drive.dtype not in (np.float32, np.float64):
        raise ValueError(f"drive of shape {drive.shape}, {drive.dtype}: give (batch, {values}) float32 or float64")
    return drive


def draw(rng: np.random.Generator, variance: Reals) -> Reals:
    """Gaussian noise of these variances, of their shape and precision."""
    single = variance.dtype == np.float32
    noise: Reals = rng.standard_normal(variance.shape, np.float32 if single else np.float64)
    noise *= np.sqrt(variance)
    return noise


def total(laws: Sequence[ReadNoise]) -> ReadNoise:
    """The law of several arrays driven alike: their sum."""
    first, *others = laws
    for other in others:
        first = first + other
    return first
