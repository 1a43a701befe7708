"""Devices: the printed fits at points computed by hand, the keys of a design, drift in closed form, refusals."""

import math

import numpy as np
import pytest

from striate.golden.errors import InputError
from striate.sim.crossbar.device import DEVICES, Device, age_of, cautions, describe, device_of, table
from striate.sim.crossbar.devices.drift import Drift, PowerLaw, Spread
from striate.sim.crossbar.streams import Stream, normals
from striate.sim.design import Design

US = 1e-6
DAY = 86_400.0
PLAIN = Device("plain", "test", "test", 1.0, 10.0)


def us(device: Device, g_us: float) -> float:
    return float(device.sigma_s(np.array(g_us * US)) / US)


# ---- presets ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "g_us", "sigma_us"),
    [
        ("wan2022", 20.0, 1.2288 - 4.668 + 4.748 + 1.053),
        ("wan2022", 1.0, 1.536e-4 - 1.167e-2 + 0.2374 + 1.053),
        ("milo2021", 100.0, 3.871621),
        ("milo2021", 225.0, 2.733246),
        ("joshi2020", 10.0, 0.28638599 + 0.7585724 - 0.178767),
        ("sonos", 1.763115, 0.1988665 * (1 - 1 / math.e)),
        ("ideal", 5.0, 0.0),
        ("generic", 5.0, 0.0),
        ("isaac", 5.0, 0.0),
        ("sheridan-wox", 1.0, 0.06),
    ],
)
def test_the_error_of_a_preset_is_the_printed_fit(name, g_us, sigma_us):
    assert us(DEVICES[name], g_us) == pytest.approx(sigma_us, rel=1e-12, abs=1e-15)


def test_ranges_and_states_of_the_presets():
    ranges = {name: (d.g_min_us, d.g_max_us, d.levels) for name, d in DEVICES.items()}
    assert ranges["wan2022"] == (1.0, 39.26, 0)
    assert ranges["milo2021"] == (50.0, 225.0, 0)
    assert ranges["joshi2020"] == (0.25, 25.0, 0)
    assert ranges["isaac"] == (0.5, 500.0, 4)
    assert ranges["generic"] == ranges["ideal"] == (pytest.approx(1 / 1.7), 10.0, 0)
    assert DEVICES["sonos"].on_off == pytest.approx(1e7)
    assert Device("z", "", "", 0.0, 1.0).on_off == math.inf


@pytest.mark.parametrize("name", DEVICES)
def test_every_preset_says_where_it_is_from_and_has_no_negative_law(name):
    device = DEVICES[name]
    assert device.name == name and len(device.source) > 20
    g = np.linspace(device.g_min_s, device.g_max_s, 200)
    assert (device.sigma_s(g) >= 0).all() and (device.read_sigma_s(g) >= 0).all()
    assert device.read_voltage_v > 0 and device.read_ns > 0


def test_the_ideal_device_has_no_error_of_any_kind():
    ideal = DEVICES["ideal"]
    g = np.linspace(ideal.g_min_s, ideal.g_max_s, 9)
    assert not ideal.sigma_s(g).any() and not ideal.read_sigma_s(g).any()
    assert ideal.stuck_low == ideal.stuck_high == 0 and ideal.drift == Drift() and not ideal.iv and not ideal.levels


def test_a_fit_below_zero_is_no_error():
    falling = Device("f", "", "", 1.0, 10.0, error_us=(1.0, -0.2))
    assert us(falling, 4.0) == pytest.approx(0.2) and us(falling, 9.0) == 0.0


def test_read_noise_laws():
    wan, joshi, sonos = DEVICES["wan2022"], DEVICES["joshi2020"], DEVICES["sonos"]
    assert wan.read_sigma_s(np.array(20 * US)) == pytest.approx(0.2 * US)
    # 0.0088 (G/Gmax)^-0.65 sqrt(ln(20.00000025 / 5e-7)), over G
    accumulated = math.sqrt(math.log(20.00000025 / 5e-7))
    assert joshi.read_sigma_s(np.array(25 * US)) == pytest.approx(0.0088 * accumulated * 25 * US)
    assert joshi.read_sigma_s(np.array(5 * US)) == pytest.approx(0.0088 * 0.2**-0.65 * accumulated * 5 * US)
    # the first factor is at most 0.2: below 0.82 % of Gmax
    assert joshi.read_sigma_s(np.array(0.1 * US)) == pytest.approx(0.2 * accumulated * 0.1 * US)
    assert joshi.read_sigma_s(np.array(0.0)) == 0
    assert sonos.read_sigma_s(np.array(2.1536557 * US)) == pytest.approx(0.1258037 * US * (1 - 1 / math.e))


@pytest.mark.parametrize("name", DEVICES)
def test_read_noise_is_the_noise_at_the_largest_conductance(name):
    """Whether a device has any is asked of `read_noise` alone."""
    device = DEVICES[name]
    assert device.read_sigma_s(np.array(device.g_max_s)) == pytest.approx(device.read_noise * device.g_max_s)


def test_energy_of_a_write_is_g_v2_t_at_mid_range_or_unknown():
    assert DEVICES["isaac"].write_pulse_pj == pytest.approx(250.25e-6 * 4 * 40e-9 * 1e12)
    assert DEVICES["milo2021"].write_pulse_pj is None


def test_states_are_equally_spaced_and_the_nearest_is_taken():
    four = Device("l", "", "", 1.0, 10.0, levels=4)  # 1, 4, 7, 10 uS
    g = np.array([1.0, 2.4, 2.5, 5.4, 5.5, 8.4, 8.6, 10.0]) * US
    assert four.quantised(g) / US == pytest.approx([1, 1, 4, 4, 7, 7, 10, 10])
    assert np.array_equal(PLAIN.quantised(g), g)


def test_current_against_voltage():
    milo, volts = DEVICES["milo2021"], np.linspace(-0.5, 0.5, 21)
    assert np.array_equal(PLAIN.current_a(3 * US, volts), 3 * US * volts)
    g = np.linspace(50, 225, 8)[:, None] * US
    current = milo.current_a(g, volts)
    assert current == pytest.approx(-current[:, ::-1])
    step = 1e-6
    slope = (milo.current_a(g, volts + step) - milo.current_a(g, volts - step)) / (2 * step)
    assert milo.slope_s(g, volts) == pytest.approx(slope, rel=1e-4)
    assert (milo.slope_s(g, volts) > 0).all()
    # log10 G = -4: a = 1.388e-4 (-64) + 1.541e-3 16 + 5.711e-3 (-4) + 7.063e-3, b = 8.871e-5 16 - 6.7919e-4 4 + ...
    a, b = -0.0088832 + 0.024656 - 0.022844 + 0.007063, 0.00141936 - 0.00271676 + 0.0012968
    assert milo.current_a(100 * US, 0.3) == pytest.approx(100 * US * 0.3 + a * 0.09 + b * 0.027, rel=1e-9)
    assert milo.current_a(np.array(0.0), 0.3) == 0


def test_the_table_has_a_row_for_every_preset():
    rows = table()
    assert [row["name"] for row in rows] == list(DEVICES)
    assert all(value for row in rows for value in row.values())
    wan = describe(DEVICES["wan2022"])
    assert wan["range"] == "1 to 39.26 uS" and wan["after write-and-verify"] == "yes"
    assert wan["error at mid-range"] == "6 % of Gmax" and wan["read noise at mid-range"] == "1 % of G"
    assert "illustrative" in describe(DEVICES["sheridan-wox"])["source"]
    assert describe(DEVICES["joshi2020"])["drift"] == "power law, nu 0.049 to 0.1, t0 20 s"
    assert PowerLaw(1.0, (0.05, 0.0, 0.05, 0.05)).describe() == "power law, nu 0.05, t0 1 s"


# ---- a design's device -----------------------------------------------------------------------------------------------
def test_a_design_without_overrides_has_the_preset():
    for name in DEVICES:
        assert device_of(Design(device=name)) == DEVICES[name]


def test_the_keys_of_a_design_replace_the_presets_numbers():
    device = device_of(
        Design(device="joshi2020", on_off=5.0, levels=16, programming_error=0.05, read_noise=0.02, fault_rate=0.1)
    )
    assert (device.g_min_us, device.g_max_us, device.levels) == (5.0, 25.0, 16)
    assert [us(device, g) for g in (5.0, 12.0, 25.0)] == pytest.approx([1.25] * 3)
    assert device.read_sigma_s(np.array([5.0, 20.0])) == pytest.approx([0.1, 0.4])
    assert (device.stuck_low, device.stuck_high) == (0.05, 0.05)
    assert not device.verified and device.drift == DEVICES["joshi2020"].drift


def test_errors_can_be_put_on_the_ideal_device_and_taken_off_a_real_one():
    assert us(device_of(Design(device="ideal", programming_error=0.1)), 3.0) == pytest.approx(1.0)
    flat = device_of(Design(device="sonos", programming_error=0.1))
    assert [us(flat, g) for g in (0.5, 8.0)] == pytest.approx([1.6, 1.6])
    clean = device_of(Design(device="sonos", programming_error=0.0, read_noise=0.0))
    g = np.linspace(clean.g_min_s, clean.g_max_s, 5)
    assert not clean.sigma_s(g).any() and not clean.read_sigma_s(g).any()


@pytest.mark.parametrize(
    ("drift", "refresh", "age"),
    [
        (0.0, 0.0, (0.0, 0)),
        (50.0, 0.0, (50.0, 0)),
        (50.0, 60.0, (50.0, 0)),
        (60.0, 60.0, (60.0, 0)),
        (61.0, 60.0, (60.0, 1)),
        (120.0, 60.0, (60.0, 1)),
        (121.0, 60.0, (60.0, 2)),
    ],
)
def test_age_at_the_frame(drift, refresh, age):
    assert age_of(Design(drift_seconds=drift, refresh_seconds=refresh).crossbar) == age


def test_what_deserves_a_word():
    assert cautions(Design()) == []
    (line,) = cautions(Design(device="generic", drift_seconds=5.0))
    assert line.startswith("crossbar.drift_seconds changes nothing: device generic")
    (line,) = cautions(Design(programming="verify"))
    assert "write-and-verify left" in line
    assert cautions(Design(programming="verify", programming_error=0.05)) == []
    assert any("illustrative" in line for line in cautions(Design(device="sheridan-wox")))


# ---- drift -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", DEVICES)
def test_no_time_is_no_drift(name):
    device = DEVICES[name]
    g = np.linspace(0, device.g_max_s, 40)
    assert np.array_equal(device.drifted(g, 0.0, np.random.default_rng(0)), g)


def test_power_law_in_closed_form():
    device = Device("p", "", "", 1.0, 10.0, drift=PowerLaw(20.0, (0.06, 0.0, 0.06, 0.06)))
    g = np.array([1.0, 5.0, 10.0]) * US
    assert device.drifted(g, 60.0, np.random.default_rng(0)) == pytest.approx(g * 4**-0.06, rel=1e-14)


def test_the_drift_of_a_phase_change_cell():
    joshi = DEVICES["joshi2020"]
    g, z = np.array([25.0, 2.5, 0.25]) * US, np.array([1.0, -2.0, 0.5])
    # mean 0.0244 - 0.0155 ln(G/Gmax) within 0.049..0.1, spread -0.0059 - 0.0125 ln(G/Gmax) within 0.008..0.045
    nu = np.array([0.049 + 0.008, (0.0244 + 0.0155 * math.log(10)) - 2 * (-0.0059 + 0.0125 * math.log(10)), 0])
    nu[2] = 0.0244 + 0.0155 * math.log(100) + 0.5 * 0.045
    assert joshi.aged(g, DAY, z) == pytest.approx(g * (1 + DAY / 20) ** -nu, rel=1e-12)
    # a draw that would make nu negative is reflected
    assert joshi.aged(g[1:2], DAY, np.array([-5.0])) < g[1:2]


@pytest.mark.parametrize(("seconds", "row"), [(DAY, 1), (2 * DAY, 2)])
def test_the_spread_of_a_filament_after_one_and_two_days(seconds, row):
    wan = DEVICES["wan2022"]
    fits = [(0.348, 16.030, -43.853, 45.393, -16.815), (0.701, 22.086, -50.773, 47.095, -16.458)]
    fits.append((0.782, 20.274, -43.507, 37.062, -11.934))
    at = [sum(c * 0.5**k for k, c in enumerate(fit)) for fit in (fits[0], fits[row])]  # at 20 uS
    expected = math.sqrt(at[1] ** 2 - at[0] ** 2)
    z = normals((200, 200), 4, Stream.DRIFT)
    moved = wan.aged(np.full(z.shape, 20 * US), seconds, z) / US - 20
    assert abs(moved.std() / expected - 1) < 4 / math.sqrt(2 * z.size)
    assert abs(moved.mean()) < 4 * expected / math.sqrt(z.size)


def test_the_spread_between_two_times_is_a_line_in_the_logarithm():
    spread = Spread(10.0, (1.0, 100.0), ((1.0,), (3.0,)))
    g = np.array([5.0])
    assert spread.added_us(g, 0.5) == spread.added_us(g, 1.0) == 0
    assert spread.added_us(g, 10.0) == pytest.approx(math.sqrt(4.0))  # half of the 8 that the variance grows
    assert spread.added_us(g, 100.0) == pytest.approx(math.sqrt(8.0))
    assert spread.apply(g, 10.0, 100.0, np.array([-9.0])) == 0  # no negative conductance


def test_one_path_per_device():
    wan, z = DEVICES["wan2022"], normals((1, 50), 0, Stream.DRIFT)
    g = np.full(z.shape, 20 * US)
    early, late = wan.aged(g, 3600.0, z) - g, wan.aged(g, DAY, z) - g
    assert np.array_equal(np.sign(early), np.sign(late)) and (np.abs(late) > np.abs(early)).all()


# ---- refusals: one line each -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"device": "wan2002"}, ('crossbar.device "wan2002" is unknown', "did you mean wan2022?")),
        ({"device": "flash"}, ("flash", "known: ideal, generic")),
        ({"on_off": 1.0}, ("crossbar.on_off = 1 inverts the conductance range", "above 1")),
        ({"on_off": 0.2}, ("crossbar.on_off = 0.2", "above 1")),
        ({"levels": 1}, ("crossbar.levels = 1 is less than 2 states", "use 2 or more, or 0")),
        ({"levels": -3}, ("crossbar.levels = -3", "use 2 or more")),
        ({"programming_error": -0.1}, ("crossbar.programming_error = -0.1", "0 to 1")),
        ({"programming_error": 1.1}, ("crossbar.programming_error = 1.1", "0 to 1")),
        ({"read_noise": -0.01}, ("crossbar.read_noise = -0.01", "0 to 1")),
        ({"fault_rate": 1.5}, ("crossbar.fault_rate = 1.5", "0 to 1")),
        ({"fault_rate": -0.5}, ("crossbar.fault_rate = -0.5", "0 to 1")),
        ({"drift_seconds": -1.0}, ("crossbar.drift_seconds = -1", "use 0 or more")),
        ({"refresh_seconds": -1.0}, ("crossbar.refresh_seconds = -1", "use 0 or more")),
        (
            {"device": "joshi2020", "drift_seconds": 1e9, "refresh_seconds": 1e-300},
            ("refresh_seconds = 1e-300 programs the arrays more than 1,000,000 times", "use 1000 or more"),
        ),
        ({"g_min_us": 300.0}, ("g_min_us = 300 and g_max_us = 39.26 invert the conductance range", "below")),
        ({"g_max_us": 0.5}, ("invert the conductance range of wan2022",)),
        ({"g_min_us": 0.0}, ("crossbar.g_min_us = 0", "more than 0")),
        ({"read_ns": -1.0}, ("crossbar.read_ns = -1", "more than 0")),
        ({"g_min_us": 2.0, "on_off": 5.0}, ("on_off = 5", "g_min_us = 2", "leave one out")),
        ({"g_max_us": 200.0}, ("wan2022 is known up to 39.26 uS", "g_max_us = 200", "programming_error too")),
        ({"mapping": "offset", "levels": 2}, ("2 levels has no state on either side", "use 3 levels or more")),
        ({"drift_seconds": 3e5}, ("300000 s is beyond the last measurement", "172800 s", "refresh")),
        ({"verify_tolerance": 0.0}, ("crossbar.verify_tolerance = 0 accepts no conductance", "0.01")),
        ({"cell_bits": -1}, ("crossbar.cell_bits = -1", "use 0")),
        ({"cell_bits": 25}, ("crossbar.cell_bits = 25", "1 to 24")),
        ({"device": "isaac", "cell_bits": 3}, ("cell_bits = 3 needs 8 states", "has 4", "use cell_bits = 2 or 0")),
        ({"levels": 2, "mapping": "offset", "cell_bits": 1}, ("needs 3 states", "has 2", "use cell_bits = 0")),
    ],
)
def test_what_a_device_cannot_be_is_one_line(keys, words):
    with pytest.raises(InputError) as caught:
        device_of(Design(**keys))
    text = str(caught.value)
    assert "\n" not in text and all(word in text for word in words), text


def test_a_refresh_in_time_makes_a_long_drift_legal():
    assert device_of(Design(drift_seconds=3e5, refresh_seconds=DAY)) == DEVICES["wan2022"]
    assert device_of(Design(device="isaac", cell_bits=2)).levels == 4


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"g_min_us": 10.0, "g_max_us": 1.0}, "10 to 1 uS is inverted or empty"),
        ({"g_min_us": 2.0, "g_max_us": 2.0}, "inverted or empty"),
        ({"g_min_us": -1.0}, "-1 to 10 uS"),
        ({"g_min_us": float("nan")}, "nan to 10 uS"),
        ({"levels": 1}, "levels = 1"),
        ({"read_noise": -1.0}, "read_noise = -1"),
        ({"stuck_low": 0.7, "stuck_high": 0.7}, "fault_rate = 1.4"),
    ],
)
def test_a_device_made_in_python_is_checked_too(values, word):
    with pytest.raises(InputError, match=word):
        Device(**({"name": "x", "title": "", "source": "", "g_min_us": 1.0, "g_max_us": 10.0} | values))


def test_negative_times_are_refused_by_every_law():
    for name in ("generic", "joshi2020", "wan2022"):
        with pytest.raises(InputError, match="before programming; use 0 or more"):
            DEVICES[name].drifted(np.array([1 * US]), -1.0, np.random.default_rng(0))


def test_a_device_of_the_designs_own_says_which_numbers_are_its():
    mine = device_of(
        Design(
            device="generic",
            g_min_us=20.0,
            g_max_us=200.0,
            levels=16,
            programming_error=0.03,
            read_volts=0.1,
            read_ns=5.0,
        )
    )
    assert (mine.g_min_us, mine.g_max_us, mine.levels, mine.read_voltage_v, mine.read_ns) == (20, 200, 16, 0.1, 5)
    assert mine.sigma_s(np.array([20e-6, 200e-6])) == pytest.approx(6e-6)
    assert "with g_min_us, g_max_us, read_volts, read_ns, levels, programming_error of the design" in mine.title
    assert mine.source.startswith("g_min_us,") and "The rest: " in mine.source
    assert device_of(Design(device="generic", g_max_us=50.0, on_off=10.0)).g_min_us == 5
