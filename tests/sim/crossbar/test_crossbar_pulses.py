"""Pulses against closed forms, against their own law pulse by pulse, and as a function of their seed alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from striate.golden.errors import InputError
from striate.sim.crossbar.learning import pulses as module
from striate.sim.crossbar.learning.presets import UPDATE_DEVICES, UpdateDevice, update_device
from striate.sim.crossbar.learning.pulses import Cells
from striate.sim.crossbar.streams import Stream, stream


def even(**keys: object) -> UpdateDevice:
    """A device without any spread or noise, apart from what is given."""
    none = dict(step=0.01, step_spread=0.0, up_down_spread=0.0, high_spread=0.0, low_spread=0.0, cycle=0.0)
    return UpdateDevice("even", "even", "none", **{**none, **keys})  # type: ignore[arg-type]


def rng(number: int = 0) -> np.random.Generator:
    return stream(7, Stream.PULSE, number)


def pulse(device: UpdateDevice, held: float, counts: list[int]) -> list[float]:
    cells = Cells.draw(device, (len(counts),), 0)
    return [float(w) for w in cells.pulsed(np.full(len(counts), held), np.array(counts), rng())]


@given(st.integers(-40, 40), st.floats(-0.5, 0.5))
def test_constant_steps_add_up(count: int, held: float) -> None:
    assert pulse(even(), held, [count])[0] == pytest.approx(held + 0.01 * count, abs=1e-12)


@given(st.integers(0, 300), st.floats(-1, 1))
def test_soft_bounds_are_a_geometric_series(count: int, held: float) -> None:
    """Step 0.02 (1 - w/b): the distance to the bound shrinks by 1 - 0.02/b a pulse."""
    device = even(step=0.02, slope_up=1.0, slope_down=1.0, high=1.25, low=-0.75)
    held = float(np.clip(held, -0.75, 1.0))
    up, down = pulse(device, held, [count, -count])
    assert up == pytest.approx(1.25 + (held - 1.25) * (1 - 0.02 / 1.25) ** count, abs=1e-12)
    assert down == pytest.approx(-0.75 + (held + 0.75) * (1 - 0.02 / 0.75) ** count, abs=1e-12)


def test_pulse_by_pulse_and_leap_agree_where_nothing_is_random(monkeypatch: pytest.MonkeyPatch) -> None:
    device = even(step=0.003, slope_up=0.3, slope_down=0.8)
    cells, held = Cells.draw(device, (50,), 1), np.linspace(-0.4, 0.4, 50)
    counts = np.arange(-50, 50, 2)
    leapt = cells.pulsed(held, counts, rng())
    monkeypatch.setattr(module, "LEAP", 10**6)
    np.testing.assert_allclose(cells.pulsed(held, counts, rng()), leapt, atol=1e-13)


def test_exponential_step_by_hand() -> None:
    """One pulse of the ReRamES fit from w = 0.2, written out."""
    es = UPDATE_DEVICES["reram-es"]
    device = even(step=es.step, up_down=es.up_down, exponential=es.exponential)
    z = 2 * -0.5 * 0.2 / 2 - 0.5
    up, down = pulse(device, 0.2, [1, -1])
    assert up == pytest.approx(0.2 + 0.00135 * (1 + 1.18445 * np.exp(5 * z)), abs=1e-15)
    assert down == pytest.approx(0.2 - 0.00135 * (1 - 0.259359) * (1 + 0.081404 * np.exp(-5 * z)), abs=1e-15)


def test_nothing_leaves_its_bounds_and_saturates_there() -> None:
    assert pulse(even(), 0.9, [50, -500, 3]) == pytest.approx([1.0, -1.0, 0.93])
    noisy = even(step=0.05, cycle=5.0, high_spread=0.3, low_spread=0.3)
    cells = Cells.draw(noisy, (400,), 3)
    held = cells.pulsed(np.zeros(400), np.resize([30, -30], 400), rng())
    assert (held <= cells.high).all() and (held >= cells.low).all() and (held == cells.high).any()
    assert np.ptp(cells.high) > 0.5


@pytest.mark.parametrize(("up_down", "longer"), [(0.3, "up"), (-0.3, "down"), (0.0, "neither")])
def test_sign_of_the_asymmetry(up_down: float, longer: str) -> None:
    up, down = pulse(even(up_down=up_down), 0.0, [1, -1])
    assert (up > -down, up < -down) == (longer == "up", longer == "down")
    assert max(up, -down) == pytest.approx(0.01) and min(up, -down) == pytest.approx(0.01 * (1 - abs(up_down)))


@pytest.mark.parametrize("name", ["reram-es", "reram-sb", "ecram", "reram-array-om"])
def test_pulses_up_and_down_in_turn_end_at_the_symmetry_point(name: str) -> None:
    """Reached from both sides, up to a step's length."""
    preset = UPDATE_DEVICES[name]
    device = even(step=0.004, up_down=preset.up_down, high=preset.high, low=preset.low, slope_up=preset.slope_up,
                  slope_down=preset.slope_down, exponential=preset.exponential)  # fmt: skip
    cells = Cells.draw(device, (2,), 0)
    point = cells.symmetry[0]
    np.testing.assert_allclose(cells.step_up(cells.symmetry), cells.step_down(cells.symmetry), rtol=1e-9)
    held = np.array([-0.6, 0.6])
    for _ in range(1500):
        held = cells.pulsed(cells.pulsed(held, np.array([1, 1]), rng()), np.array([-1, -1]), rng())
    np.testing.assert_allclose(held, point, atol=0.012)


def test_known_symmetry_points() -> None:
    soft = even(slope_up=1.0, slope_down=1.0, high=1.25, low=-0.75)
    assert Cells.draw(soft, (1,), 0).symmetry[0] == 0.0
    uneven = even(slope_up=1.0, slope_down=1.0, up_down=0.5)  # (1 - w) = 0.5 (1 + w)
    assert Cells.draw(uneven, (1,), 0).symmetry[0] == pytest.approx(1 / 3)
    assert Cells.draw(even(up_down=0.5), (1,), 0).symmetry[0] == 1.0  # constant steps: carried to the bound
    centred = even(slope_up=1.0, slope_down=1.0, up_down=0.5, centred=True)
    assert Cells.draw(centred, (1,), 0).reference[0] == pytest.approx(1 / 3)
    assert Cells.draw(centred, (1,), 0, centred=False).reference[0] == 0.0


@pytest.mark.parametrize("proportional", [False, True])
def test_mean_and_variance_of_a_constant_step(proportional: bool) -> None:
    device, n = even(step=1e-3, cycle=2.0, proportional=proportional), 20_000
    cells = Cells.draw(device, (n,), 0)
    for count in (7, -40):
        moved = cells.pulsed(np.zeros(n), np.full(n, count), rng(count + 50))
        sigma = 1e-3 * 2.0 * np.sqrt(abs(count))
        assert abs(moved.mean() - 1e-3 * count) < 4 * sigma / np.sqrt(n)
        assert abs(moved.var() / sigma**2 - 1) < 4 * np.sqrt(2 / n)


def test_a_leap_has_the_law_of_its_pulses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Soft bounds with additive noise: the closed form's two moments, and the same distribution by either way."""
    device, n = even(step=2e-3, cycle=3.0, proportional=False, slope_up=1.0, slope_down=1.0), 20_000
    cells, held, counts = Cells.draw(device, (n,), 0), np.full(n, 0.1), np.full(n, 60)
    mean, variance = cells.law(held, counts)
    leapt = cells.pulsed(held, counts, rng())
    monkeypatch.setattr(module, "LEAP", 10**6)
    one_by_one = cells.pulsed(held, counts, rng(1))
    for moved in (leapt, one_by_one):
        assert abs(moved.mean() - mean[0]) < 4 * np.sqrt(variance[0] / n)
        assert abs(moved.var() / variance[0] - 1) < 4 * np.sqrt(2 / n)
    assert stats.ks_2samp(leapt, one_by_one).pvalue > 1e-3


def test_no_leap_near_a_bound_or_where_the_law_is_not_gaussian() -> None:
    near = Cells.draw(even(step=0.02, cycle=1.0), (2,), 0)
    assert near._leaps(np.array([0.0, 0.9]), np.array([20, 20])).tolist() == [False, False]
    assert near._leaps(np.array([-0.9, 0.9]), np.array([16, 16])).tolist() == [False, False]
    fine = Cells.draw(even(step=1e-4, cycle=1.0), (3,), 0)
    assert fine._leaps(np.array([0.0, 0.9999, 0.0]), np.array([16, 16, 15])).tolist() == [True, False, False]
    sloped = Cells.draw(even(step=1e-4, cycle=1.0, slope_up=1.0), (1,), 0)
    assert not sloped._leaps(np.zeros(1), np.array([16])).any() and np.isnan(sloped.law(np.zeros(1), np.array([16]))[1])
    es = Cells.draw(UPDATE_DEVICES["reram-es"], (1,), 0)
    assert not es._leaps(np.zeros(1), np.array([16])).any()
    with pytest.raises(ValueError, match="no closed form"):
        es.law(np.zeros(1), np.array([16]))


def test_spread_from_device_to_device() -> None:
    n = 40_000
    cells = Cells.draw(UPDATE_DEVICES["gokmen-vlasov"], (n,), 5)
    assert abs(cells.up.mean() / 0.0016 - 1) < 4 * 0.3 / np.sqrt(n) + 1e-3  # the few below 0 are turned over
    assert abs(cells.high.std() / 0.3 - 1) < 0.03 and cells.low.max() <= 0 <= cells.high.min()
    logged = Cells.draw(UPDATE_DEVICES["reram-array-om"], (n,), 5)
    spread = np.log(logged.up / 0.0949)
    assert abs(spread.mean()) < 4 * 0.7829 / np.sqrt(n) and abs(spread.std() / 0.7829 - 1) < 4 / np.sqrt(2 * n)
    apart = logged.reference - logged.symmetry
    assert abs(apart.std() / 0.05 - 1) < 4 / np.sqrt(2 * n)
    floored = Cells.draw(UPDATE_DEVICES["gokmen-vlasov"], (n,), 5, floor=-1.05)
    assert floored.low.min() == -1.05 and (floored.high == cells.high).all()


def test_write_noise_is_shown_not_held() -> None:
    device, n = even(step=1e-3, write_noise=56.0), 20_000
    stuck = np.arange(n) < 100
    cells = Cells.draw(device, (n,), 0, stuck=stuck)
    shown = cells.shown(np.full(n, 0.25), rng())
    assert abs(shown[~stuck].std() / 0.056 - 1) < 4 * np.sqrt(0.5 / n) and (shown[stuck] == 0.25).all()
    quiet = Cells.draw(even(), (3,), 0)
    assert (quiet.shown(np.ones(3), rng()) == 1.0).all()


def test_stuck_cells_do_not_move() -> None:
    cells = Cells.draw(UPDATE_DEVICES["idealized"], (6,), 0, stuck=np.arange(6) % 2 == 0)
    moved = cells.pulsed(np.zeros(6), np.full(6, 30), rng())
    assert (moved[::2] == 0).all() and (moved[1::2] != 0).all()


def test_arrays_are_functions_of_seed_and_key_in_any_order() -> None:
    device = UPDATE_DEVICES["reram-es"]
    forth = [Cells.draw(device, (4, 3), 9, (n,)) for n in (0, 1, 2)]
    back = [Cells.draw(device, (4, 3), 9, (n,)) for n in (2, 1, 0)][::-1]
    counts = np.resize([3, -5, 0], (4, 3))
    for n, (a, b) in enumerate(zip(forth, back, strict=True)):
        assert (a.up == b.up).all() and (a.low == b.low).all()
        assert (a.pulsed(a.symmetry, counts, rng(n)) == b.pulsed(b.symmetry, counts, rng(n))).all()
    assert (forth[0].up != forth[1].up).all() and (Cells.draw(device, (4, 3), 8, (0,)).up != forth[0].up).all()


def test_presets_have_sources_and_plausible_states() -> None:
    for name, device in UPDATE_DEVICES.items():
        assert device.name == name and "20" in device.source and device.title
    states = {name: round(device.states) for name, device in UPDATE_DEVICES.items()}
    assert states == {"reram-es": 1481, "reram-sb": 1000, "reram-array-om": 21, "reram-array-hfo2": 4, "capacitor": 400,
                      "ecram": 1000, "ecram-mo": 7089, "gokmen-vlasov": 1250, "idealized": 10_000}  # fmt: skip


def test_unknown_names_and_impossible_devices() -> None:
    assert update_device("ecram").step == 0.002
    with pytest.raises(InputError, match=r"no update device 'reram-ess'; did you mean reram-es\?"):
        update_device("reram-ess")
    with pytest.raises(InputError, match=r"no update device 'zzzz'; known: reram-es, "):
        update_device("zzzz")
    for keys in ({"step": 0.0}, {"high": -0.1}, {"low": 0.2}):
        with pytest.raises(InputError, match="must be above 0 and the bounds on both sides of 0"):
            even(**keys)
