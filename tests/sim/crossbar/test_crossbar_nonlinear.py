"""Nonlinear devices: the linear limit, one device in closed form, another solver, and how Newton converges."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import brentq, root

from striate.golden.errors import InputError
from striate.sim.crossbar.circuit import backward_conductance, effective_conductance
from striate.sim.crossbar.device import DEVICES
from striate.sim.crossbar.wires.nonlinear import Polynomial, at_amplitude, solve

Floats = NDArray[np.float64]


def devices(seed: int, m: int, n: int) -> Floats:
    return np.random.default_rng(seed).uniform(1e-6, 1e-4, (m, n))


@pytest.mark.parametrize(
    "ohms", [(2.0, 3.0, 10.0, 20.0), (0.0, 0.0, 0.0, 0.0), (0.0, 5.0, 1.0, 0.0), (1.0, 1.0, 0.0, 0.0)]
)
def test_linear_devices_give_the_effective_conductance(ohms: tuple[float, float, float, float]) -> None:
    rng = np.random.default_rng(1)
    g, r, y = devices(1, 12, 7), rng.normal(size=12), rng.normal(size=7)
    found = solve(g, Polynomial(), *ohms, rows_v=r)
    assert found.converged and found.steps == 1
    np.testing.assert_allclose(found.columns_a, r @ effective_conductance(g, *ohms), rtol=1e-12)
    back = solve(g, Polynomial(), *ohms, columns_v=y)
    r_word, r_bit, r_left, r_bottom = ohms
    np.testing.assert_allclose(back.rows_a, backward_conductance(g, r_word, r_bit, r_bottom, r_left) @ y, rtol=1e-12)


@pytest.mark.parametrize("volts", [-3.0, -0.2, 0.4, 5.0])
def test_one_cubic_device_is_the_root_of_a_cubic(volts: float) -> None:
    """v + R (G v + c v^3) = V with R the wires and terminations in series: the one real root, by Cardano's formula."""
    g, c, ohm = 1e-3, 4e-3, 10 + 20 + 30 + 40
    found = solve([[g]], Polynomial([0.0, c]), 10, 20, 30, 40, rows_v=[volts])
    p, q = (1 + ohm * g) / (ohm * c), -volts / (ohm * c)
    inner = np.sqrt(q**2 / 4 + p**3 / 27)
    device = np.cbrt(-q / 2 + inner) + np.cbrt(-q / 2 - inner)
    assert found.converged
    assert found.columns_a[0] == pytest.approx((volts - device) / ohm, rel=1e-12)
    assert found.rows_a[0] == -found.columns_a[0]


@pytest.mark.parametrize("odd", [False, True])
def test_one_quadratic_device(odd: bool) -> None:
    """Odd, the curve mirrors; else a negative voltage meets another device."""
    currents = {}
    for volts in (0.3, -0.3):
        found = solve([[1e-3]], Polynomial([2e-3], odd), 0, 0, 0, 100, rows_v=[volts])

        def lacking(v: float, volts: float = volts) -> float:
            return v + 100 * (1e-3 * v + 2e-3 * v * (abs(v) if odd else v)) - volts

        device = brentq(lacking, -1, 1, xtol=1e-15)
        assert found.converged
        assert found.columns_a[0] == pytest.approx((volts - device) / 100, rel=1e-11)
        currents[volts] = found.columns_a[0]
    assert bool(abs(currents[-0.3] / currents[0.3] + 1) < 1e-12) is odd


def test_a_small_array_against_another_solver():
    """2x2 with every resistance there is, against SciPy's hybrid method on equations written out here."""
    g, c2, c3 = devices(2, 2, 2) * 100, 3e-3, 1e-2
    r = np.array([0.6, -0.4])
    found = solve(g, Polynomial([c2, np.full((2, 2), c3)], odd=True), 5, 7, 11, 13, rows_v=r)

    def lacking(x: Floats) -> Floats:
        w, b = x.reshape(2, 2, 2)
        v = w - b
        device = g * v + c2 * v * abs(v) + c3 * v**3
        return np.array(
            [
                (r[i] - w[i, 0]) / 16 - (w[i, 0] - w[i, 1]) / 5 - device[i, 0] if j == 0
                else (w[i, 0] - w[i, 1]) / 5 - device[i, 1]
                for i in (0, 1) for j in (0, 1)
            ]
            + [
                device[0, j] - (b[0, j] - b[1, j]) / 7 if i == 0
                else device[1, j] + (b[0, j] - b[1, j]) / 7 - b[1, j] / 20
                for i in (0, 1) for j in (0, 1)
            ]
        )  # fmt: skip

    other = root(lacking, np.zeros(8), tol=1e-14)
    assert other.success
    np.testing.assert_allclose([found.w_v, found.b_v], other.x.reshape(2, 2, 2), rtol=1e-9)
    np.testing.assert_allclose(found.columns_a, other.x.reshape(2, 2, 2)[1, 1] / 20, rtol=1e-9)


def test_newton_converges_quadratically():
    """Each residual is at most a constant times the square of the one before, down to rounding."""
    g = devices(3, 10, 8)
    found = solve(g, Polynomial([0.0, 50 * g]), 30, 30, 50, 50, rows_v=np.full(10, 1.0))
    assert found.converged and 4 <= found.steps <= 9
    sizes = np.array([size for size in found.residuals_a if size > 1e-13 * found.residuals_a[0]])
    orders = np.log(sizes[2:] / sizes[1:-1]) / np.log(sizes[1:-1] / sizes[:-2])
    assert len(orders) >= 2 and orders[-1] > 1.7


def test_not_converged_is_a_value():
    found = solve(devices(4, 4, 4), Polynomial([0.0, 10.0]), 30, 30, 50, 50, rows_v=np.ones(4), most_steps=2)
    assert not found.converged and found.steps == 2
    with pytest.raises(FrozenInstanceError):
        found.converged = True  # type: ignore[misc]


def test_pulse_width_makes_a_gain_of_it():
    """By amplitude the read bends with the input; by width it is one matrix, here the linear one times a gain."""
    g = devices(5, 8, 5)
    curve = Polynomial([0.5 * g, 2.0 * g], odd=True)
    x = np.random.default_rng(5).uniform(0, 1, 8)
    amplitude = 0.5
    by_amplitude = solve(g, curve, 0, 0, rows_v=amplitude * x).columns_a
    gain = 1 + 0.5 * amplitude + 2 * amplitude**2
    by_width = sum(
        width * solve(g, curve, 0, 0, rows_v=amplitude * one).columns_a for width, one in zip(x, np.eye(8), strict=True)
    )
    np.testing.assert_allclose(by_width, amplitude * x @ at_amplitude(g, curve, amplitude), rtol=1e-12)
    np.testing.assert_allclose(by_width, gain * (amplitude * x) @ g, rtol=1e-12)
    ratio = by_amplitude / by_width
    assert ratio.max() - ratio.min() > 0.003  # no gain at all


@pytest.mark.parametrize("name", [name for name, device in DEVICES.items() if device.iv])
def test_presets_with_a_curve(name: str) -> None:
    """A preset is a curve: its read settles, in both directions, at the read voltage of its source."""
    device = DEVICES[name]
    g = np.random.default_rng(6).uniform(device.g_min_s, device.g_max_s, (8, 6))
    volts = np.full(8, device.read_voltage_v)
    found = solve(g, device, 1, 1, rows_v=volts)
    linear = volts @ effective_conductance(g, 1, 1)
    assert found.converged
    assert 1e-4 < np.abs(found.columns_a / linear - 1).max() < 1
    mirrored = solve(g, device, 1, 1, rows_v=-volts)
    np.testing.assert_allclose(mirrored.columns_a, -found.columns_a, rtol=1e-10)
    assert np.allclose(
        at_amplitude(g, device, device.read_voltage_v) * device.read_voltage_v, device.current_a(g, volts[0])
    )


@pytest.mark.parametrize(
    ("rows", "columns", "said"),
    [
        ([1.0], None, r"voltages of the rows have shape \(1,\); give 2 finite numbers"),
        ([1.0, np.nan], None, "voltages of the rows .*; give 2 finite numbers"),
        (None, [1.0, 2.0], r"voltages of the columns have shape \(2,\); give 1 finite"),
    ],
)
def test_refused(rows: list[float] | None, columns: list[float] | None, said: str) -> None:
    with pytest.raises(InputError, match=said):
        solve([[1.0], [1.0]], Polynomial(), 1, 1, rows_v=rows, columns_v=columns)
    with pytest.raises(InputError, match="r_word is -1 ohm"):
        solve([[1.0]], Polynomial(), -1, 1, rows_v=[1.0])
    with pytest.raises(InputError, match="singular circuit: row 0 floats"):
        solve([[0.0]], Polynomial(), 1, 1, float("inf"), 1, rows_v=[1.0])
