"""One array position and its reads: energy and counts by hand, noise against drawn devices."""

import numpy as np
import pytest

from striate.sim.crossbar.array import digit, exact_array, program_array
from striate.sim.crossbar.device import device_of
from striate.sim.crossbar.layer import Layer
from striate.sim.crossbar.periphery import AdcRange, Dac
from striate.sim.crossbar.reader import Reader
from striate.sim.crossbar.weights import backward_matrix, forward_matrix, map_weights
from striate.sim.design import Design
from striate.sim.fixed import Format

ONE = Design(image=(1, 1), kernels=1, patch=1, stride=1, tiles=(1, 1), device="ideal", wire_ohm=0.0)
BYTE = Format(True, 8, 7)


def reader_of(design: Design, weights: np.ndarray, *, backward: bool = False, seed: int = 0) -> Reader:
    layer = Layer.of(design, weights, device_of(design), seed)
    return Reader(layer, backward, seed, design.crossbar.sample_hold_noise)


@pytest.mark.parametrize(
    ("mode", "share"),
    [("amplitude", (64 / 128) ** 2), ("pulse-width", 64 / 128), ("bit-serial", 1)],
)
def test_a_network_of_one_cell_costs_g_v_squared_t(mode: str, share: float) -> None:
    design, device = ONE.replace(dac_mode=mode), device_of(ONE)
    reader = reader_of(design, np.array([[[[127]]]]))
    dac = Dac.of(BYTE, 0, mode)
    result, tally = reader.read(np.array([[[64]]]), dac, AdcRange(0, 0, 1), 0)
    assert result.tolist() == [[[64 * 127]]] and tally.conversions == 1
    # the pair: one cell at g_max, its twin at g_min
    wanted = (device.g_max_s + device.g_min_s) * device.read_voltage_v**2 * device.read_ns * 1e-9 * share * 1e12
    assert reader.energy_pj(device.read_voltage_v, device.read_ns) == pytest.approx(wanted, rel=1e-12)
    assert reader.way.reads == 2 and reader.way.lines == 1
    assert reader.way.skipped == (14 if mode == "bit-serial" else 0)  # 7 of 8 planes are empty, in both twins


def test_counts_of_a_row_split_read_by_hand() -> None:
    design = ONE.replace(image=(2, 4), patch=2, stride=2, kernels=3, rows=2, columns=2, tiles=(1, 2), cell_bits=4)
    weights = np.arange(1, 13).reshape(3, 1, 2, 2) * 9
    image = np.zeros((1, 2, 4), np.int64)
    image[0, :, :2] = [[3, 0], [-1, 5]]  # the right tile sees nothing
    forward = reader_of(design, weights)
    result, tally = forward.read(image, Dac.of(BYTE, 8, "amplitude"), AdcRange(0, 0, 1), 0)
    assert (result[:, 0, 0] == (weights[:, 0] * image[0, :, :2]).sum(axis=(1, 2))).all()
    assert not result[:, 0, 1].any()
    # 2 row parts (first line driven of 2, both of 2) x 2 column parts (1 and 2 kernels) x 2 slices x 2 twins
    assert forward.way.reads == 16 and forward.way.skipped == 16
    assert tally.conversions == 2 * 2 * 3  # row parts, slices, kernels
    assert forward.way.results == 3
    assert forward.way.lines == (1 + 2) * 2  # each column part has its own drivers
    assert forward.way.serial == 1  # arrays work side by side
    code = np.array([[[2, 0]], [[0, 0]], [[0, 0]]])
    backward = reader_of(design, weights, backward=True)
    back, tally = backward.read(code, Dac.of(Format(False, 8, 7), 8, "amplitude"), AdcRange(0, 0, 1), 0)
    assert (back[0, :, :2] == 2 * weights[0, 0]).all() and not back[0, :, 2:].any()
    # the second column part (kernels 1 and 2) carries nothing, nor does the second tile
    assert backward.way.reads == 2 * 2 * 2 and backward.way.skipped == 2 * 2 * 2 * 3
    assert tally.conversions == 2 * 4 and backward.way.results == 4


def test_outputs_outside_the_image_are_not_converted() -> None:
    design = ONE.replace(image=(2, 2), patch=4, stride=2, kernels=1)
    weights = np.full((1, 1, 4, 4), 7)
    backward = reader_of(design, weights, backward=True)
    back, tally = backward.read(np.array([[[3]]]), Dac.of(BYTE, 0, "amplitude"), AdcRange(0, 0, 1), 0)
    assert (back == 21).all() and tally.conversions == 4


@pytest.mark.parametrize("mapping", ["differential", "two-sided", "offset"])
@pytest.mark.parametrize("backward", [False, True])
def test_noise_of_a_read_is_that_of_fluctuating_devices(mapping: str, backward: bool) -> None:
    """Against conductances drawn for every read, correlations through the reference included."""
    reads = 4000
    design = ONE.replace(mapping=mapping, read_noise=0.05, patch=2, stride=2, image=(2, 2), kernels=3)
    device, rng = device_of(design), np.random.default_rng(3)
    weights = rng.integers(-127, 128, (3, 1, 2, 2))
    drive = np.array([[[30, -70], [0, 127]]]) if not backward else np.array([[[100]], [[0]], [[-55]]])
    reader = reader_of(design, weights, backward=backward)
    dac, adc = Dac.of(BYTE, 0, "amplitude"), AdcRange(0, 0, 1)
    seen = np.array([reader.read(drive, dac, adc, step)[0].ravel() for step in range(reads)])
    mapped = map_weights(reader.layer.matrix, device, mapping, 0, int(np.abs(weights).max()))
    matrix_of, brute = backward_matrix if backward else forward_matrix, np.empty_like(seen, dtype=float)
    for n in range(reads):
        targets = [plane.target_s for plane in mapped.slices[0]]
        drawn = [g_s + rng.normal(size=g_s.shape) * device.read_sigma_s(g_s) for g_s in targets]
        matrix = matrix_of(mapped, 0, drawn)
        brute[n] = matrix @ drive.ravel() if backward else drive.ravel() @ matrix
    deviation = brute.std(axis=0)
    assert (np.abs(seen.mean(axis=0) - brute.mean(axis=0)) < 4 * deviation * np.sqrt(2 / reads)).all()
    assert (np.abs(seen.std(axis=0) / deviation - 1) < 4 / np.sqrt(reads)).all()
    here, there = np.corrcoef(seen.T), np.corrcoef(brute.T)
    assert (np.abs(here - there) < 4 * np.sqrt(2 / reads)).all()
    assert (np.abs(there - np.eye(len(there))).max() > 0.2) == (mapping == "offset")  # the reference is shared


def test_sample_and_hold_noise_is_a_fraction_of_the_range() -> None:
    design = ONE.replace(sample_hold_noise=0.02, image=(40, 40), tiles=(1, 1))
    reader = reader_of(design, np.array([[[[100]]]]))
    values = np.full((1, 40, 40), 10)
    dac, adc = Dac.of(BYTE, 0, "amplitude"), AdcRange(12, 2, 1)
    seen, _ = reader.read(values, dac, adc, 0)
    sigma = 0.02 * 2**14
    assert abs(seen.std() / sigma - 1) < 4 / np.sqrt(2 * seen.size)
    assert abs(seen.mean() - 1000) < 4 * sigma / np.sqrt(seen.size)
    again, _ = reader.read(values, dac, adc, 1)
    assert (again != seen).any()


def test_noise_belongs_to_seed_tile_array_step_and_direction() -> None:
    design = ONE.replace(read_noise=0.05, image=(4, 4), patch=2, stride=2, kernels=2, tiles=(2, 1), rows=2)
    weights = np.random.default_rng(1).integers(-127, 128, (2, 1, 2, 2))
    dac, adc = Dac.of(BYTE, 0, "amplitude"), AdcRange(0, 0, 1)
    whole = np.random.default_rng(2).integers(-128, 128, (1, 4, 4))
    lower = whole.copy()
    lower[0, :2] = 0  # the first tile is not read at all
    first = reader_of(design, weights).read(whole, dac, adc, 3)[0]
    assert (reader_of(design, weights).read(whole, dac, adc, 3)[0] == first).all()
    assert (reader_of(design, weights).read(lower, dac, adc, 3)[0][:, 1] == first[:, 1]).all()
    assert (reader_of(design, weights).read(whole, dac, adc, 4)[0] != first).any()
    assert (reader_of(design, weights, seed=1).read(whole, dac, adc, 3)[0] != first).any()


def test_slices_of_an_exact_array_add_up() -> None:
    weights = np.array([[-107, 12], [127, 0]])
    array = exact_array(weights, (0, 3, 6), 3)
    assert (array.whole() == weights).all() and (array.whole(backward=True) == weights).all()
    assert digit(weights, 3, 3).tolist() == [[-5, 1], [7, 0]]


def test_pulses_of_one_amplitude_see_a_curved_device_as_a_conductance() -> None:
    design = Design(device="milo2021", programming_error=0.0, wire_ohm=0.0)
    device, weights = device_of(design), np.array([[60, -127], [0, 5]])
    straight = program_array(weights, device, design.crossbar, 127, 0, (0, 0)).whole()
    assert np.allclose(straight, weights)
    pulsed = design.replace(dac_mode="pulse-width")
    curved = program_array(weights, device, pulsed.crossbar, 127, 0, (0, 0))
    g_s = device.g_min_s + np.array([[60, 127], [0, 5]]) * device.range_s / 127
    v = np.full(g_s.shape, device.read_voltage_v)
    rest = device.current_a(np.full(g_s.shape, device.g_min_s), v)
    wanted = np.sign(weights) * (device.current_a(g_s, v) - rest) / v / (device.range_s / 127)
    assert np.allclose(curved.whole(), wanted) and np.allclose(curved.whole(backward=True), wanted)
    assert not np.allclose(curved.whole(), weights, rtol=1e-3)
    assert np.allclose(curved.row_siemens.sum(), (device.current_a(g_s, v) + rest).sum() / device.read_voltage_v)


def test_programming_is_counted() -> None:
    design = Design(device="milo2021")
    weights = np.ones((4, 3), np.int64) * 5
    once = program_array(weights, device_of(design), design.crossbar, 127, 0, (0, 0))
    assert (once.physical, once.cells, once.pulses, once.verify_reads) == (2, 24, 24, 0)
    offset = design.replace(mapping="offset")
    held = program_array(weights, device_of(offset), offset.crossbar, 127, 0, (0, 0))
    assert (held.physical, held.cells, held.shape) == (1, 20, (5, 4))
    verify = design.replace(programming="verify", verify_tolerance=0.01)
    written = program_array(weights, device_of(verify), verify.crossbar, 127, 0, (0, 0))
    assert written.verify_reads == written.pulses > 24
