"""The loop: bit for bit the integer machine without effects; with them reproducible, counted, and sane."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from striate.golden.conv import synthesis
from striate.golden.dictionary import Dictionary
from striate.golden.errors import InputError
from striate.golden.images import load_image
from striate.golden.lca import Outcome
from striate.sim.crossbar.loop import simulate_crossbar
from striate.sim.crossbar.result import CrossbarRun, CrossbarView
from striate.sim.design import Design
from striate.sim.fixed import quantise
from striate.sim.machine import simulate
from striate.sim.plan import Plan
from striate.sim.recomputed import recomputed
from striate.sim.run import Run

EXACT: dict[str, Any] = {"device": "ideal", "wire_ohm": 0.0, "adc_bits": 0, "dac_bits": 0}
SMALL = Design(image=(16, 16), kernels=4, patch=8, stride=2, tiles=(2, 2), steps=30, threshold=0.03, step_shift=3)
ATOMS = Dictionary.random(SMALL.geometry, 4)
PICTURE = load_image("camera", crop=(70, 170), size=(16, 16))


@st.composite
def designs(draw: st.DrawFn) -> Design:
    stride = draw(st.integers(1, 3))
    sheet = draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    two_sided = draw(st.booleans())
    return Design(
        image=tuple(n * stride for n in sheet),
        channels=draw(st.integers(1, 2)),
        kernels=draw(st.integers(1, 5)),
        patch=stride + 2 * draw(st.integers(0, 2)),
        stride=stride,
        tiles=tuple(draw(st.integers(1, n)) for n in sheet),
        transfer=draw(st.sampled_from(["hard", "soft"])),
        two_sided=two_sided,
        threshold=draw(st.sampled_from([0.04, 0.1])),
        residual_cutoff=draw(st.sampled_from([0.0, 0.02])),
        step_shift=draw(st.sampled_from([2, 4])),
        steps=12,
        settle=draw(st.sampled_from([0, 1])),
        residual=draw(st.sampled_from(["s8.7", "s6.4:half_even", "s5.4:floor:wrap"])),
        weight=draw(st.sampled_from(["s8.7", "s4.3", "s7.6"])),
        residual_accumulator=draw(st.sampled_from([0, 14])),
        drive_accumulator=draw(st.sampled_from([0, 15])),
        rows=draw(st.sampled_from([4, 16, 200])),
        columns=draw(st.sampled_from([3, 16, 64])),
        placement=draw(st.sampled_from(["im2col", "toeplitz"])),
        mapping=draw(st.sampled_from(["differential", "two-sided", "offset"])),
        cell_bits=draw(st.sampled_from([0, 1, 3])),
        dac_mode=draw(st.sampled_from(["amplitude", "pulse-width", "bit-serial"])),
        reads=draw(st.sampled_from(["absolute", "change"])),
        refresh=draw(st.sampled_from([0, 1, 5])),
        **EXACT,
    )


def dense(design: Design, dictionary: Dictionary, image: np.ndarray) -> Run:
    weights = quantise(dictionary.atoms, design.formats.weight)
    plan = Plan.of_arithmetic(design, weights)
    return recomputed(
        plan, weights, plan.quantise_image(image), design.dynamics.steps, skip=False, reference=image
    )


def assert_same(run: CrossbarRun, other: Run) -> None:
    assert (run.code == other.code).all()
    assert (run.membrane == other.membrane).all()
    assert (run.residual == other.residual).all()
    assert (run.outcome, run.events_late, run.settled) == (other.outcome, other.events_late, other.settled)
    assert run.counts.code_events == other.counts.code_events and run.counts.steps == other.counts.steps
    assert np.allclose(run.steps.percent_error, other.steps.percent_error, rtol=1e-9)
    assert (run.steps.active == other.steps.active).all()


@settings(max_examples=60)
@given(designs(), st.integers(0, 99))
def test_without_effects_every_bit_is_the_integer_machines(design: Design, seed: int) -> None:
    dictionary = Dictionary.random(design.geometry, seed)
    image = np.random.default_rng(seed).normal(scale=0.3, size=design.geometry.image_shape)
    run, reference = simulate_crossbar(image, design, dictionary=dictionary), dense(design, dictionary, image)
    assert_same(run, reference)
    if design.crossbar.reads == "absolute":
        assert run.overflow == reference.overflow
    assert np.allclose(run.programmed * 2.0**design.formats.weight.frac, run.dictionary[None], atol=1e-9)
    assert np.allclose(run.programmed_reconstruction, run.reconstruction, atol=1e-9)
    silent = replace(run, code=np.zeros_like(run.code))
    assert not silent.programmed_reconstruction.any() and not silent.reconstruction.any()


@pytest.mark.parametrize("change", [{}, {"placement": "toeplitz", "tiles": (3, 5)}, {"reads": "change"}])
def test_a_picture_of_64_without_effects_is_the_machines(change: dict[str, Any]) -> None:
    image = load_image("camera", crop=(70, 170), size=(64, 64))
    design = Design(image=(64, 64), steps=60)
    machine = simulate(image, design)
    run = simulate_crossbar(image, design.replace(**EXACT, **change))
    assert_same(run, machine)
    assert run.percent_error(image) == machine.percent_error(image) and run.psnr_db(image) == machine.psnr_db(image)


@pytest.mark.parametrize("mapping", ["differential", "offset"])
def test_the_widest_sums_that_are_accepted_are_exact(mapping: str) -> None:
    """47 of the 48 bits that `legality` takes: 64 values of 16 bits by 24."""
    design = SMALL.replace(
        weight="s16.15", residual="s24.20", code="s14.12", membrane="s24.20", input="s24.23", drive_accumulator=48,
        residual_accumulator=0, two_sided=True, steps=20, mapping=mapping, **EXACT,
    )  # fmt: skip
    run = simulate_crossbar(PICTURE, design, dictionary=ATOMS)
    assert_same(run, dense(design, ATOMS, PICTURE))
    with pytest.raises(InputError, match="are exact"):
        simulate_crossbar(PICTURE, design.replace(weight="s18.15"), dictionary=ATOMS)


@pytest.mark.slow
@pytest.mark.parametrize(
    "change", [{}, {"mapping": "offset", "reads": "change"}, {"placement": "toeplitz", "dac_mode": "bit-serial"}]
)
def test_a_whole_picture_without_effects_is_the_machines(change: dict[str, Any]) -> None:
    image = load_image("camera", crop=(70, 170), size=(128, 128))
    assert_same(simulate_crossbar(image, Design(**EXACT, **change)), simulate(image, Design()))


def run_small(seed: int = 0, **change: Any) -> CrossbarRun:
    return simulate_crossbar(PICTURE, SMALL.replace(**change), dictionary=ATOMS, seed=seed)


def test_a_seed_is_a_machine_and_its_noise() -> None:
    first, again, other = run_small(3), run_small(3), run_small(4)
    assert (first.code == again.code).all() and (first.residual == again.residual).all()
    assert first.counts == again.counts
    assert (first.programmed == again.programmed).all()
    assert (first.programmed != other.programmed).any() and (first.code != other.code).any()


def test_static_errors_correct_themselves_in_the_programmed_dictionary() -> None:
    """Programming errors alone: decoded with what the arrays hold, the code is as good as it thinks it is."""
    run = run_small(device="ideal", programming_error=0.1, adc_bits=0, dac_bits=0, wire_ohm=0.0, steps=100)
    assert run.programmed_percent_error(PICTURE) == pytest.approx(run.steps.percent_error[-1], abs=0.5)
    assert run.programmed_percent_error(PICTURE) < run.percent_error(PICTURE) - 3


def test_steps_add_up_to_the_counts() -> None:
    run = run_small()
    counts, steps = run.counts, run.steps
    assert steps.conversions.sum() == counts.conversions == counts.sampled
    assert steps.adc_saturations.sum() == counts.adc_saturations
    assert steps.code_events.sum() == counts.code_events
    assert len(steps.active) == counts.steps == 30 and steps.active[-1] == np.count_nonzero(run.code)
    assert counts.updates == 30 * SMALL.geometry.neurons
    assert counts.serial_reads == counts.serial_forward_reads + counts.serial_backward_reads
    assert counts.serial_ns == counts.serial_reads * run.device.read_ns
    assert counts.as_dict()["conversions"] == counts.conversions
    assert counts.programming_pulses == run.cells_used == run.layout.cells


def test_counts_of_a_frame_by_hand() -> None:
    """One tile, one array, four patches of 4 pixels, two kernels: every patch sees light, no code until step 1."""
    design = Design(
        image=(4, 4), kernels=2, patch=2, stride=2, tiles=(1, 1), preprocess="none", steps=2, step_shift=0,
        threshold=0.1, rows=4, columns=2, **EXACT,
    )  # fmt: skip
    dictionary = Dictionary(np.array([[[[0.5, 0.5], [0.5, 0.5]]], [[[0.5, -0.5], [0.5, -0.5]]]]), 2)
    run = simulate_crossbar(np.full((1, 4, 4), 0.25), design, dictionary=dictionary)
    c = run.counts
    # step 0: y = 0, nothing driven backward; forward 4 patches x 2 twins, 2 conversions each
    # step 1: u = D = 0.5 for kernel 0: r = 0, so nothing is driven forward; backward 4 patches, 4 conversions each
    assert (run.code[0] == 64).all() and not run.code[1].any() and not run.residual.any()
    assert (c.forward_reads, c.backward_reads, c.skipped_reads) == (8, 8, 16)
    assert (c.forward_conversions, c.backward_conversions) == (8, 16)
    assert (c.partial_sums, c.accumulations, c.updates, c.code_events) == (0, 16, 16, 4)
    assert c.dac_conversions == 4 * 4 + 4
    assert (c.serial_forward_reads, c.serial_backward_reads) == (4, 4)
    assert (run.arrays, run.cells_used, run.array_shape, run.tiles) == (2, 16, (4, 2), 1)
    assert (run.conversions_per_forward_read, run.conversions_per_backward_read) == (2, 4)
    assert (run.dac_forward_bits, run.dac_backward_bits) == (8, 8)
    assert (run.adc_forward_bits, run.adc_backward_bits) == (17, 16)  # 4 * 64 * 128 and 2 * 64 * 255, and a sign
    g_max, g_min, v, t = run.device.g_max_s, run.device.g_min_s, run.device.read_voltage_v, run.device.read_ns
    # every |weight| is 64, the largest, which takes the whole range
    forward = 4 * 4 * (32 / 128) ** 2 * 2 * (g_max + g_min)
    backward = 4 * (64 / 255) ** 2 * 4 * (g_max + g_min)
    assert c.cells_pj == pytest.approx((forward + backward) * v * v * t * 1e3, rel=1e-9)


def test_change_reads_count_adds_to_the_kept_drive() -> None:
    absolute, change = run_small(**EXACT), run_small(**EXACT, reads="change")
    assert change.counts.forward_conversions < absolute.counts.forward_conversions
    a, c = absolute.counts, change.counts
    split = a.forward_conversions // 1  # one row part: no partial sums forward in absolute reads
    assert a.partial_sums == 0 and split > 0
    assert 0 < c.partial_sums < c.forward_conversions
    assert change.dac_forward_bits == 9 and absolute.dac_forward_bits == 8


def test_errors_of_change_reads_add_up_until_a_refresh() -> None:
    def error(**change: Any) -> float:
        run = run_small(device="ideal", wire_ohm=0.0, adc_bits=5, steps=100, **change)
        return run.percent_error(PICTURE)

    assert error(reads="change") > error(reads="change", refresh=5) + 2


def test_rounding_of_the_drivers_does_not_add_up_in_change_reads() -> None:
    """What lines carry stays within half a step of the code: R is off by at most the weights that meet at a pixel."""
    run = run_small(**EXACT | {"dac_bits": 8, "reads": "change", "steps": 120})
    code_scale = 2.0**-run.plan.code.frac
    exact = run.input * run.plan.input.scale - run.reconstruction
    apart = np.abs(run.residual_float - exact)
    weights = np.abs(run.dictionary) * run.plan.weight.scale
    most = synthesis(np.ones_like(run.code_float) * code_scale, weights, 2, SMALL.network.image)
    assert run.counts.code_events > 100 and 0 < apart.max()
    assert (apart <= most + 1e-12).all()


def test_ranges_fixed_calibrated_following() -> None:
    fixed, calibrated, following = (run_small(adc_range=kind) for kind in ("fixed", "calibrated", "following"))
    for run in (fixed, calibrated):
        assert (run.steps.forward_exponent == run.steps.forward_exponent[0]).all()
        assert (run.steps.backward_exponent == run.steps.backward_exponent[0]).all()
    assert fixed.counts.adc_saturations == 0
    assert calibrated.steps.forward_exponent[0] < fixed.steps.forward_exponent[0]
    assert following.steps.forward_exponent[0] == fixed.steps.forward_exponent[0]
    assert (np.abs(np.diff(following.steps.forward_exponent)) <= 1).all()
    assert following.steps.forward_exponent[-1] < fixed.steps.forward_exponent[-1]
    # L1 of the largest kernel times 128 must be within 127.5 codes
    bound = int(np.abs(fixed.dictionary).sum(axis=(1, 2, 3)).max()) * 128
    exponent = int(fixed.steps.forward_exponent[0])
    assert bound < 127.5 * 2**exponent and bound >= 127.5 * 2 ** (exponent - 1)


def test_calibration_does_not_look_at_the_picture() -> None:
    change = {"adc_range": "calibrated", "device": "ideal"}
    one = run_small(**change)
    other = simulate_crossbar(PICTURE / 8, SMALL.replace(**change), dictionary=ATOMS)
    assert one.steps.forward_exponent[0] == other.steps.forward_exponent[0]
    assert one.steps.backward_exponent[0] == other.steps.backward_exponent[0]
    colour = SMALL.replace(channels=2, **change)
    run = simulate_crossbar(np.repeat(PICTURE, 2, axis=0), colour, dictionary=Dictionary.random(colour.geometry, 1))
    assert run.counts.conversions > 0


@pytest.mark.parametrize(
    "change",
    [
        {"mapping": "two-sided", "dac_mode": "bit-serial", "cell_bits": 2, "reads": "change", "refresh": 2},
        {"placement": "toeplitz", "rows": 20, "columns": 10, "sample_hold_noise": 0.01, "programming": "verify"},
        {"driver_ohm": 100.0, "drift_seconds": 3600.0, "refresh_seconds": 600.0, "fault_rate": 0.01, "adc_bits": 6},
        {"schedule": "gram", "dac_mode": "pulse-width", "dac_bits": 4, "adc_bits": 0, "levels": 16, "on_off": 3.0},
    ],
)
def test_every_option_runs_together(change: dict[str, Any]) -> None:
    run = run_small(**change)
    assert np.isfinite(run.steps.percent_error).all() and run.counts.conversions > 0
    assert run.percent_error(PICTURE) < 110
    if "fault_rate" in change:
        assert run.counts.stuck_cells > 0
        assert run.counts.programming_pulses == 6 * run.cells_used


def test_an_observer_sees_the_steps() -> None:
    views: list[CrossbarView] = []
    run = simulate_crossbar(PICTURE, SMALL, dictionary=ATOMS, observe=views.append)
    assert [view.step for view in views] == list(range(30))
    assert (views[-1].code == run.code).all() and (views[-1].membrane == run.membrane).all()
    assert (views[0].residual == run.input << run.plan.input_shift).all() and views[0].drive.any()
    assert [np.count_nonzero(view.code) for view in views] == run.steps.active.tolist()


def test_an_offset_reference_that_errs_is_reported_as_it_ends() -> None:
    """Forward subtracts the reference column, backward the reference row: with errors the two are no adjoints."""
    change: dict[str, Any] = EXACT | {"programming_error": 0.05, "steps": 100}
    offset, pair = run_small(mapping="offset", **change), run_small(**change)
    assert pair.outcome is not Outcome.DIVERGED and pair.programmed_percent_error(PICTURE) < 90
    assert offset.outcome is Outcome.DIVERGED and offset.programmed_percent_error(PICTURE) > 100
    assert any("they are no adjoints" in line for line in offset.warnings)
    assert not any("no adjoints" in line for line in (*pair.warnings, *run_small().warnings))


def test_a_loop_that_cannot_settle_says_so() -> None:
    blind = simulate_crossbar(np.zeros((1, 16, 16)), SMALL, dictionary=ATOMS)
    assert blind.outcome is Outcome.CONVERGED and not blind.code.any() and blind.counts.conversions == 0
    wild = run_small(step_shift=0, device="generic", read_noise=1.0, adc_bits=4, steps=60)
    assert wild.outcome is not Outcome.CONVERGED and wild.events_late > 0


def test_warnings_name_what_a_reader_should_know() -> None:
    assert any("clipped" in line for line in simulate_crossbar(PICTURE * 40, SMALL, dictionary=ATOMS).warnings)
    narrow = SMALL.replace(residual_accumulator=8, **EXACT)
    assert any("R left its word of 8 bits" in x for x in simulate_crossbar(PICTURE, narrow, dictionary=ATOMS).warnings)
    tight = run_small(programming="verify", verify_tolerance=0.0001)
    assert tight.counts.failed_cells and any("outside crossbar.verify_tolerance" in line for line in tight.warnings)
    curved = run_small(device="milo2021")
    assert any("conducts in a curve" in line for line in curved.warnings)
    assert not any("in a curve" in line for line in run_small(device="milo2021", dac_mode="pulse-width").warnings)


def test_one_gain_is_the_best_one_and_weights_that_shrink_are_named() -> None:
    change: dict[str, Any] = EXACT | {"g_min_us": 50.0, "g_max_us": 500.0, "wire_ohm": 10.0}
    small, exact = run_small(**change), run_small(**EXACT)
    gain, drawn = small.gain(PICTURE), small.reconstruction

    def error(factor: float) -> float:
        return float(100 * np.linalg.norm(PICTURE - factor * drawn) / np.linalg.norm(PICTURE))

    assert error(gain) == pytest.approx(small.gained_percent_error(PICTURE))
    assert error(gain) < min(error(gain * 1.01), error(gain * 0.99)) and error(gain) < small.percent_error(PICTURE)
    assert any("weights arrive at 0." in line for line in small.warnings)
    assert not any("weights arrive" in line for line in exact.warnings)
