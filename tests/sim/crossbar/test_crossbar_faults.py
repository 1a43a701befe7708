"""What a single fault in a read, a count or a conductance would change: closed forms, and sums made another way."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import striate.sim.crossbar.array as array_module
from striate.golden.conv import analysis, synthesis
from striate.golden.dictionary import Dictionary
from striate.golden.errors import InputError
from striate.golden.images import load_image
from striate.sim.crossbar.array import program_array
from striate.sim.crossbar.circuit import Circuit
from striate.sim.crossbar.device import device_of, preset
from striate.sim.crossbar.frame import Frame, port, run_steps
from striate.sim.crossbar.layer import Layer
from striate.sim.crossbar.legality import check_crossbar
from striate.sim.crossbar.loop import simulate_crossbar
from striate.sim.crossbar.periphery import AdcRange, Dac, exponent_for
from striate.sim.crossbar.program import program
from striate.sim.crossbar.reader import Reader
from striate.sim.crossbar.result import CrossbarView
from striate.sim.crossbar.wires.noise import ReadNoise
from striate.sim.design import Design
from striate.sim.fixed import Format, quantise
from striate.sim.plan import Plan
from striate.sim.recomputed import recomputed

ONE = Design(image=(1, 1), kernels=1, patch=1, stride=1, tiles=(1, 1), device="ideal", wire_ohm=0.0)
BYTE = Format(True, 8, 7)
LOSSLESS = AdcRange(0, 0, 20_000)


def reader_of(design: Design, weights: np.ndarray, *, backward: bool = False, seed: int = 0) -> Reader:
    return Reader(Layer.of(design, weights, device_of(design), seed), backward, seed, design.crossbar.sample_hold_noise)


def read(design: Design, weights: np.ndarray, values: np.ndarray, *, backward: bool = False) -> np.ndarray:
    dac = Dac.of(BYTE, 0, design.crossbar.dac_mode)
    return reader_of(design, weights, backward=backward).read(values, dac, LOSSLESS, 0)[0]


def test_a_bound_of_half_a_code_too_much_takes_the_next_range() -> None:
    assert exponent_for(127.5, 8) == 1 and exponent_for(255, 8) == 2 and exponent_for(254, 8) == 1


def test_tiles_arrays_and_directions_have_noise_of_their_own() -> None:
    noisy = ONE.replace(read_noise=0.05, image=(20, 20))
    flat = np.full((1, 20, 20), 100)
    tiles = read(noisy.replace(tiles=(1, 2)), np.full((1, 1, 1, 1), 127), flat)[0]
    assert (tiles[:, :10] != tiles[:, 10:]).any()
    arrays = read(noisy.replace(kernels=2, columns=1), np.full((2, 1, 1, 1), 127), flat)
    assert (arrays[0] != arrays[1]).any()
    forward, backward = (read(noisy, np.full((1, 1, 1, 1), 127), flat, backward=way) for way in (False, True))
    assert (forward != backward).any()


@pytest.mark.parametrize("backward", [False, True])
def test_the_noise_of_sampling_is_not_that_of_the_read(backward: bool) -> None:
    weights, flat = np.full((1, 1, 1, 1), 127), np.full((1, 40, 40), 100)
    design = ONE.replace(image=(40, 40))
    alone = [
        read(design.replace(**change), weights, flat, backward=backward).ravel()
        for change in ({"read_noise": 0.05}, {"sample_hold_noise": 0.02})
    ]
    assert abs(np.corrcoef(alone)[0, 1]) < 4 / np.sqrt(flat.size)


@pytest.mark.parametrize("change", [{"dac_mode": "bit-serial"}, {"cell_bits": 1}])
def test_bit_planes_and_slices_are_disturbed_one_by_one(change: dict[str, Any]) -> None:
    design = ONE.replace(image=(40, 40), read_noise=0.05, **change)
    drive = np.full((1, 40, 40), 127)
    seen = read(design, np.full((1, 1, 1, 1), 127), drive)
    device = device_of(design)
    # 7 reads of weights 1, 2 .. 64; the cell at g_max, its twin at g_min; sigma is in proportion
    largest = 1 if "cell_bits" in change else 127
    one = 0.05 * np.hypot(device.g_max_s, device.g_min_s) / (device.range_s / largest)
    one *= 127 if "cell_bits" in change else 1
    sigma = one * np.sqrt(sum(4.0**n for n in range(7)))
    assert abs(seen.std() / sigma - 1) < 4 / np.sqrt(2 * seen.size)


def test_reads_one_after_the_other_are_those_of_the_slowest_tile() -> None:
    row = ONE.replace(image=(1, 3), tiles=(1, 2))
    reader = reader_of(row, np.full((1, 1, 1, 1), 127))
    reader.read(np.array([[[5, 6, 7]]]), Dac.of(BYTE, 0, "amplitude"), LOSSLESS, 0)
    assert reader.way.serial == 2  # tiles of 1 and of 2 positions
    serial = ONE.replace(dac_mode="bit-serial")
    reader = reader_of(serial, np.full((1, 1, 1, 1), 127))
    reader.read(np.array([[[65]]]), Dac.of(BYTE, 0, "bit-serial"), LOSSLESS, 0)
    assert reader.way.serial == 2 and reader.way.reads == 4


def test_a_dac_of_fewer_bits_has_fewer_bit_planes() -> None:
    dac = Dac.of(BYTE, 5, "bit-serial")
    assert dac.planes == (3, 4, 5, 6, 7)  # the lowest three bits are never driven
    reader = reader_of(ONE.replace(dac_mode="bit-serial", dac_bits=5), np.full((1, 1, 1, 1), 127))
    reader.read(dac.drive(np.array([[[64]]])), dac, LOSSLESS, 0)
    assert (reader.way.reads, reader.way.skipped) == (2, 8)


@pytest.mark.parametrize("backward", [False, True])
def test_energy_does_not_depend_on_where_arrays_are_cut_but_on_whose_they_are(backward: bool) -> None:
    rng = np.random.default_rng(2)
    design = ONE.replace(image=(4, 8), patch=4, stride=4, kernels=6, tiles=(1, 2), rows=200, columns=200)
    weights = rng.integers(-127, 128, (6, 1, 4, 4))
    values = rng.integers(-127, 128, (6, 1, 2) if backward else (1, 4, 8))

    def energy(changed: Design, driven: np.ndarray) -> tuple[float, Reader]:
        reader = reader_of(changed, weights, backward=backward)
        reader.read(driven, Dac.of(BYTE, 0, "amplitude"), LOSSLESS, 0)
        return reader.energy_pj(0.5, 10.0), reader

    whole, _ = energy(design, values)
    assert energy(design.replace(rows=5, columns=2), values)[0] == pytest.approx(whole, rel=1e-12)
    right = values.copy()
    right[..., : right.shape[-1] // 2] = 0  # the second tile alone is driven
    found, reader = energy(design.replace(programming_error=0.2), right)
    array = reader.layer.tiles[1][0][0]
    squares = (right[:, 0, 1] if backward else right[0, :, 4:].ravel()) ** 2 / 128**2
    held = array.column_siemens if backward else array.row_siemens
    assert found == pytest.approx(float(held @ squares) * 0.25 * 10 * 1e3, rel=1e-12)


SMALL = Design(
    image=(16, 16), kernels=4, patch=8, stride=2, tiles=(1, 1), steps=30, threshold=0.03, step_shift=3,
    device="ideal", wire_ohm=0.0, adc_bits=0, dac_bits=4, reads="change",
)  # fmt: skip
ATOMS = Dictionary.random(SMALL.geometry, 4)
PICTURE = load_image("camera", crop=(70, 170), size=(16, 16))


def test_rounding_of_driven_changes_does_not_add_up() -> None:
    """Lines carry what was driven: what is still to come is at most half a step of the converter."""
    views: list[CrossbarView] = []
    run = simulate_crossbar(PICTURE, SMALL, dictionary=ATOMS, observe=views.append)
    weights, code = run.dictionary.astype(float), np.zeros(run.code.shape)
    half = [(1 << Dac.of(word, 4, "amplitude", change=True).shift) / 2 for word in (run.plan.residual, run.plan.code)]
    x = run.input << run.plan.input_shift
    for view in views[1:]:
        away = view.drive - analysis(view.sent.astype(float), weights, 2)
        assert np.abs(away).max() <= half[0] * np.abs(weights).sum(axis=(1, 2, 3)).max()
        code, before = view.code.astype(float), code
        away = view.residual - (x - synthesis(before, weights, 2, (16, 16)))
        assert np.abs(away).max() <= half[1] * synthesis(np.ones_like(code), np.abs(weights), 2, (16, 16)).max()
    assert run.code.any()


def test_the_closing_read_is_of_changes_whatever_the_refresh() -> None:
    run, other = (simulate_crossbar(PICTURE, SMALL.replace(steps=6, refresh=n), dictionary=ATOMS) for n in (6, 0))
    assert run.code.any() and (run.code == other.code).all() and (run.residual == other.residual).all()


def test_the_driver_drives_and_the_amplifier_senses() -> None:
    """Without wires and drivers, two cells of a column share its amplifier; backward each row has its own."""
    design = Design(device="ideal", wire_ohm=0.0, driver_ohm=0.0, sense_ohm=40_000.0)
    device = device_of(design)
    array = program_array(np.array([[127], [127]]), device, design.crossbar, 127, 0, (0, 0))
    unit, r, high, low = device.range_s / 127, 40_000.0, device.g_max_s, device.g_min_s
    shared = (high / (1 + 2 * r * high) - low / (1 + 2 * r * low)) / unit
    own = (high / (1 + r * high) - low / (1 + r * low)) / unit
    assert np.allclose(array.whole(), shared, rtol=1e-12)
    assert np.allclose(array.whole(backward=True), own, rtol=1e-12)


def test_arrays_are_as_old_as_their_last_refresh(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[float, int]] = []

    def watched(*arguments: Any, **options: Any) -> Any:
        asked.append((options["age_seconds"], options["generation"]))
        return program(*arguments, **options)

    monkeypatch.setattr(array_module, "program", watched)
    design = Design(drift_seconds=3600.0, refresh_seconds=600.0)
    program_array(np.array([[5]]), device_of(design), design.crossbar, 127, 0, (0, 0))
    assert asked == [(600.0, 5)] * 2


def test_read_noise_is_that_of_what_the_cells_hold() -> None:
    design = Design(device="ideal", read_noise=0.05, wire_ohm=0.0)
    device = replace(device_of(design), stuck_low=1.0)  # a cell that should be at g_max is at g_min, as its twin
    array = program_array(np.array([[127]]), device, design.crossbar, 127, 0, (0, 0))
    wanted = 2 * (0.05 * device.g_min_s / (device.range_s / 127)) ** 2
    assert array.forward[0].variance(np.ones((1, 1)))[0, 0] == pytest.approx(wanted, rel=1e-5)


def test_cells_that_are_written_anew_drift_anew() -> None:
    device = replace(preset("joshi2020"), error_us=())
    target = np.full((4, 4), 12e-6)
    first, second = (program(target, device, 0, (0,), age_seconds=1e5, generation=n).g_s for n in (0, 1))
    assert (first < target).all() and (first != second).all()


def test_noise_backward_is_of_the_circuit_that_is_read_backward() -> None:
    rng = np.random.default_rng(1)
    g_s = rng.uniform(1e-6, 1e-4, (6, 4))
    fore, back = Circuit(g_s, 30.0, 30.0, 500.0, 5.0), Circuit(g_s, 30.0, 30.0, 5.0, 500.0)
    drive = rng.normal(size=(3, 4))
    both, alone, wrong = (
        ReadNoise(0.1 * g_s, *circuits, tolerance=0).backward_variance(drive)
        for circuits in ((fore, back), (back,), (fore,))
    )
    assert np.allclose(both, alone, rtol=1e-12, atol=0) and not np.allclose(both, wrong, rtol=1e-2, atol=0)


def test_the_decoding_of_the_arrays_is_what_they_do_backward() -> None:
    design = SMALL.replace(mapping="offset", programming_error=0.02, reads="absolute", steps=3)
    run = simulate_crossbar(PICTURE, design, dictionary=ATOMS, seed=2)
    layer = Layer.of(design, run.dictionary, device_of(design), 2)
    assert layer.asymmetry > 0.01
    decoded = layer.backward(run.code.astype(float)) * run.plan.residual_scale
    assert run.code.any() and np.allclose(run.programmed_reconstruction, decoded, rtol=1e-12)


def test_partial_sums_of_column_parts_by_hand() -> None:
    """One position, two kernels in arrays of their own: backward each of 4 pixels is a sum of two conversions."""
    design = SMALL.replace(
        image=(2, 2), kernels=2, patch=2, columns=1, rows=4, dac_bits=0, reads="absolute", steps=2, step_shift=0,
        threshold=0.1,
    )  # fmt: skip
    dictionary = Dictionary(np.array([[[[0.5, 0.5], [0.5, 0.5]]], [[[0.5, -0.5], [0.5, -0.5]]]]), 2)
    run = simulate_crossbar(np.array([[[0.5, 0.0], [0.5, 0.0]]]), design, dictionary=dictionary)
    assert run.code.all()
    assert (run.counts.backward_conversions, run.counts.accumulations, run.counts.partial_sums) == (8, 4, 4)


def test_a_calibrated_range_is_that_of_a_run_without_noise() -> None:
    design = SMALL.replace(adc_bits=6, adc_range="calibrated", reads="absolute", dac_bits=0)
    quiet, loud = (
        simulate_crossbar(PICTURE, design.replace(sample_hold_noise=noise), dictionary=ATOMS).steps
        for noise in (0.0, 0.02)
    )
    assert quiet.forward_exponent[0] == loud.forward_exponent[0]
    assert quiet.backward_exponent[0] == loud.backward_exponent[0]


def test_a_calibrated_range_is_the_smallest_that_seldom_clips() -> None:
    """Fed the calibration picture itself: the D of a lossless run are the magnitudes that the range was chosen for."""
    design = SMALL.replace(
        image=(32, 32), adc_bits=6, adc_range="calibrated", reads="absolute", dac_bits=0, cell_bits=3
    )
    picture = load_image("camera", crop=(240, 240), size=(32, 32))
    chosen = simulate_crossbar(picture, design, dictionary=ATOMS).steps
    low, high = int(chosen.forward_exponent[0]), int(chosen.backward_exponent[0])
    lossless = design.replace(adc_bits=0)
    weights = quantise(ATOMS.atoms, design.formats.weight)
    plan, layer = Plan.of_arithmetic(lossless, weights), Layer.of(lossless, weights, device_of(lossless), 0)
    ports = [port(layer, plan, lossless, 0, backward=way) for way in (False, True)]
    for each in ports:
        each.absolute.adc.histogram = np.zeros(64, np.int64)
    run_steps(Frame(plan, plan.quantise_image(picture), *ports, False, 0), 30, np.zeros(1), 1.0)
    for each, exponent in zip(ports, (low, high), strict=True):
        seen = each.absolute.adc.histogram
        above = [int(seen[bits + 1 :].sum()) * 4096 for bits in (5 + exponent, 4 + exponent)]
        assert above[0] <= seen.sum() and (exponent == 0 or above[1] > seen.sum())


def test_verifying_reads_are_counted_for_every_refresh() -> None:
    design = Design(device="milo2021", programming="verify")
    device, weights = device_of(design), np.full((3, 3), 40)
    once = program_array(weights, device, design.crossbar, 127, 0, (0, 0))
    crossbar = design.replace(drift_seconds=3600.0, refresh_seconds=600.0).crossbar
    often = program_array(weights, device, crossbar, 127, 0, (0, 0))
    assert once.verify_reads == once.pulses > 18 and often.verify_reads == often.pulses and often.pulses % 6 == 0


@pytest.mark.parametrize("tiles", [(2, 1), (1, 2), (2, 2)])
def test_patches_that_end_past_their_tile(tiles: tuple[int, int]) -> None:
    """Tiles of 3 positions read two by two: the last patch of each hangs over into the next tile."""
    sheet = [3 * n if n > 1 else 4 for n in tiles]
    design = Design(
        image=(2 * sheet[0], 2 * sheet[1]), kernels=1, patch=4, stride=2, tiles=tiles, placement="toeplitz", columns=5,
        device="ideal", wire_ohm=0.0,
    )  # fmt: skip
    rng, g = np.random.default_rng(1), design.geometry
    weights = rng.integers(-127, 128, g.dictionary_shape)
    layer = Layer.of(design, weights, device_of(design), 0)
    assert layer.placement.side == 2
    image, code = rng.normal(size=g.image_shape), rng.normal(size=g.code_shape)
    assert np.allclose(layer.forward(image), analysis(image, weights.astype(float), 2), rtol=0, atol=1e-9)
    assert np.allclose(layer.backward(code), synthesis(code, weights.astype(float), 2, g.image), rtol=0, atol=1e-9)


def test_ranges_of_changes_are_calibrated_too() -> None:
    change: dict[str, Any] = {"adc_bits": 6, "dac_bits": 0, "reads": "change"}
    calibrated, fixed = (
        simulate_crossbar(PICTURE, SMALL.replace(adc_range=kind, **change), dictionary=ATOMS).steps
        for kind in ("calibrated", "fixed")
    )
    assert calibrated.forward_exponent[1] < fixed.forward_exponent[1]
    assert calibrated.backward_exponent[1] < fixed.backward_exponent[1]


@pytest.mark.parametrize("tolerance", [0.003, 0.01, 0.1])
@pytest.mark.parametrize("ohms", [(2.0, 2.0, 0.0, 0.0), (20.0, 5.0, 100.0, 100.0), (1.0, 30.0, 1000.0, 0.0)])
def test_no_drive_errs_more_than_the_tolerance(tolerance: float, ohms: tuple[float, float, float, float]) -> None:
    """The whole quadratic form, found by drives of one and two lines: the worst drive is its extreme eigenvector."""
    rng = np.random.default_rng(4)
    g_s = 10.0 ** rng.uniform(-6, -3.5, (14, 9))

    def form(law: ReadNoise) -> np.ndarray:
        single = np.eye(14)
        alone = law.forward_variance(single)  # (P, S)
        pairs = law.forward_variance((single[:, None] + single[None]).reshape(-1, 14)).reshape(14, 14, -1)
        return (pairs - alone[:, None] - alone[None]) / 2

    exact, short = (form(ReadNoise(0.1 * g_s, Circuit(g_s, *ohms), tolerance=t)) for t in (0, tolerance))
    for output in range(9):
        unit = 1 / np.sqrt(np.diag(exact[:, :, output]))
        error = (short - exact)[:, :, output] * unit[:, None] * unit
        assert np.abs(np.linalg.eigvalsh(error)).max() <= tolerance * (1 + 1e-9)


def test_a_schedule_of_steps_is_the_integer_machines() -> None:
    design = SMALL.replace(step_shift=[[0, 2], [4, 5], [9, 3]], reads="absolute", dac_bits=0)
    run = simulate_crossbar(PICTURE, design, dictionary=ATOMS)
    plan = Plan.of_arithmetic(design, run.dictionary)
    other = recomputed(plan, run.dictionary, run.input, 30, skip=False, reference=PICTURE)
    assert (run.code == other.code).all() and (run.membrane == other.membrane).all() and run.code.any()


def test_the_seed_is_that_of_the_reads_too() -> None:
    noisy = SMALL.replace(read_noise=0.02, reads="absolute", dac_bits=0)
    first, other = (simulate_crossbar(PICTURE, noisy, dictionary=ATOMS, seed=n) for n in (0, 1))
    assert (first.programmed == other.programmed).all() and (first.membrane != other.membrane).any()


def test_a_fixed_range_is_that_of_the_largest_part() -> None:
    design = SMALL.replace(adc_bits=8, adc_range="fixed", reads="absolute", dac_bits=0, rows=16)
    run = simulate_crossbar(PICTURE, design, dictionary=ATOMS)
    rows = np.abs(run.dictionary.reshape(4, 4, 16)).sum(axis=2)  # 4 parts of 16 of a kernel's 64 pixels
    assert int(run.steps.forward_exponent[0]) == exponent_for(int(rows.max()) * 128, 8)


def test_what_a_lossless_converter_can_hold_counts_the_channels() -> None:
    wide = SMALL.replace(
        image=(4, 4), patch=2, kernels=1, reads="absolute", dac_bits=0, weight="s20.19", residual="s22.20",
        code="s14.12", two_sided=True, membrane="s24.20", input="s24.23",
    )  # fmt: skip
    check_crossbar(wide)  # 4 taps: 3 + 20 + 22 bits
    with pytest.raises(InputError, match="49 bits where 48 are exact"):
        check_crossbar(wide.replace(channels=16))


def test_a_run_that_settles_early_counts_the_steps_it_took() -> None:
    design = SMALL.replace(settle=3, steps=600, reads="absolute", dac_bits=0, threshold=0.3, step_shift=5)
    run = simulate_crossbar(PICTURE, design, dictionary=ATOMS)
    plan = Plan.of_arithmetic(design, run.dictionary)
    other = recomputed(plan, run.dictionary, run.input, 600, skip=False, reference=PICTURE)
    assert run.settled and run.counts.steps == other.counts.steps == len(run.steps.active) < 600
    assert run.counts.updates == run.counts.steps * design.geometry.neurons and run.code.any()


def test_an_overflow_early_in_a_frame_is_remembered() -> None:
    """One pixel leaves a word of 13 bits before any code explains it; at the end the true R is well inside."""
    half = np.full((2, 2), 0.5)
    atoms = Dictionary(np.stack([half, half * [1, -1]])[:, None], 2)
    design = ONE.replace(
        image=(4, 4), kernels=2, patch=2, stride=2, preprocess="none", steps=20, step_shift=1, threshold=0.05,
        adc_bits=0, dac_bits=0, residual_accumulator=13,
    )  # fmt: skip
    image = np.zeros((1, 4, 4))
    image[0, :2, :2] = [[0.268, 0.208], [0.208, 0.208]]
    run = simulate_crossbar(image, design, dictionary=atoms)
    drawn = synthesis(run.code.astype(float), run.dictionary.astype(float), 2, (4, 4))
    assert np.abs((run.input << run.plan.input_shift) - drawn).max() < 2**12
    assert run.overflow and any("R left its word of 13 bits" in line for line in run.warnings)
