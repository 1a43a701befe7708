"""Calibration and the search for formats: what is found keeps the budget, is minimal, and is found again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from striate.golden.dictionary import Dictionary, shipped
from striate.golden.errors import InputError
from striate.golden.images import load_image
from striate.golden.lca import encode
from striate.golden.metrics import percent_error
from striate.sim.design import Design
from striate.sim.fixed import quantise
from striate.sim.machine import simulate
from striate.sim.plan import Plan
from striate.sim.precision.autowidth import SWEPT, AutoWidths, memory_bits, search, whole_bits
from striate.sim.precision.calibration import Calibration, drawn_parts, whole_pictures, with_widths

DESIGN = Design(image=(32, 32), tiles=(2, 2), steps=60)
CROPS = ((104, 212), (330, 200), (180, 300))
USUAL = {"weight": 1, "residual": 1, "membrane": 2, "code": 1}


def pictures(size: int = 32, scale: float = 1.0) -> list[np.ndarray]:
    return [scale * load_image("camera", crop=crop, size=(size, size)) for crop in CROPS]


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return Calibration.of(DESIGN, shipped(8, 16, 2, 1), pictures())


@pytest.fixture(scope="module")
def found(calibration: Calibration) -> AutoWidths:
    return search(DESIGN, calibration, budget=0.3)


# ---- calibration ---------------------------------------------------------------------------------------------------
def test_a_trial_is_the_mean_difference_of_single_runs(calibration: Calibration) -> None:
    trial = calibration.judge(DESIGN)
    losses = []
    for image in pictures():
        golden = encode(image, calibration.dictionary, DESIGN.lca_params)
        losses.append(simulate(image, DESIGN).percent_error(image) - percent_error(image, golden.residual))
    assert trial.losses == tuple(losses) and trial.loss == np.mean(losses)
    assert trial.spread == pytest.approx(np.std(losses, ddof=1) / np.sqrt(3))
    assert trial.psnr_db[0] > 30 and trial.ranges is None and not trial.diverged


def test_more_bits_come_closer_to_float(calibration: Calibration) -> None:
    far, near = (
        np.mean(calibration.judge(with_widths(DESIGN, widths, USUAL)).psnr_db)
        for widths in (
            {"weight": 6, "residual": 7, "membrane": 12, "code": 6},
            {"weight": 14, "residual": 12, "membrane": 20, "code": 12},
        )
    )
    assert near > far + 10


def test_pictures_that_say_nothing_are_refused() -> None:
    dictionary = shipped(8, 16, 2, 1)
    with pytest.raises(InputError, match="no calibration picture was given"):
        Calibration.of(DESIGN, dictionary, [])
    with pytest.raises(InputError, match="calibration picture 2 is 0 everywhere"):
        Calibration.of(DESIGN, dictionary, [pictures()[0], np.zeros((1, 32, 32))])
    with pytest.raises(InputError, match="picture 1 diverges in float64.*raise dynamics.step_shift"):
        Calibration.of(DESIGN.replace(step_shift=0), dictionary, pictures()[:1])


def test_parts_are_drawn_by_seed_and_checked_elsewhere() -> None:
    whole = whole_pictures(["camera", "coffee"], DESIGN)
    parts, others = drawn_parts(whole, ["camera", "coffee"], DESIGN, 4, 7)
    again, _ = drawn_parts(whole, ["camera", "coffee"], DESIGN, 4, 7)
    assert len(parts) == len(others) == 4 and all(p.shape == (1, 32, 32) for p in parts)
    assert all((a == b).all() for a, b in zip(parts, again, strict=True))
    assert not any((p == o).all() for p in parts for o in others)
    assert not all((p == o).all() for p, o in zip(parts, drawn_parts(whole, ["a", "b"], DESIGN, 4, 8)[0], strict=True))
    just, none = drawn_parts([parts[0]], ["x"], DESIGN, 4, 0)
    assert len(just) == 1 and none == [] and (just[0] == parts[0]).all()
    at, none = drawn_parts(whole, ["camera", "coffee"], DESIGN, 4, 0, (3, 5))
    assert len(at) == 2 and none == [] and (at[1] == whole[1][:, 3:35, 5:37]).all()
    with pytest.raises(InputError, match=r"--crop 500,0 leaves camera of 512x512 pixels; use at most 480,480"):
        drawn_parts(whole[:1], ["camera"], DESIGN, 1, 0, (500, 0))
    with pytest.raises(InputError, match=r"coffee has 400x600 pixels, the design's image 512x512; give a larger"):
        whole_pictures(["coffee"], DESIGN.replace(image=(512, 512), tiles=(1, 1)))


# ---- ranges --------------------------------------------------------------------------------------------------------
@given(most=st.floats(1e-3, 1e3), margin=st.floats(1, 4))
def test_whole_bits_are_the_fewest(most: float, margin: float) -> None:
    n = whole_bits(most, margin=margin)
    assert 2.0 ** (n - 1) > most * margin
    assert n == 0 or 2.0 ** (n - 2) <= most * margin


def test_small_membranes_take_a_bit_less_and_large_pictures_more_range(calibration: Calibration) -> None:
    small = search(DESIGN, calibration, budget=5.0)
    assert small.design is not None and small.wholes["membrane"] == 1
    assert any(note.startswith("u reached 0.") and "1 bit(s) fewer than usual" in note for note in small.notes)
    loud = DESIGN.replace(preprocess="none", threshold=0.2)
    large = search(loud, Calibration.of(loud, calibration.dictionary, pictures(scale=6.0)), budget=5.0)
    assert large.design is not None and large.ranges is not None
    fmt = large.design.formats
    for name, symbol in (("residual", "r~"), ("input", "x"), ("membrane", "u"), ("code", "y")):
        one, q = getattr(fmt, name), large.ranges[symbol]
        assert q.seen.saturated == 0
        assert max(-q.seen.low, q.seen.high) <= one.high + 1
    assert large.wholes["residual"] > 1 and large.wholes["input"] > 1
    assert any(note.startswith("r~ reached") and "more than usual" in note for note in large.notes)


def test_weights_take_the_range_of_the_dictionary() -> None:
    even = Dictionary.random(DESIGN.geometry, 3)  # of 256 taps none is large
    found = search(DESIGN, Calibration.of(DESIGN, even, pictures()), budget=5.0)
    assert found.design is not None and found.wholes["weight"] == 0
    fmt = found.design.formats.weight
    assert fmt.frac == fmt.width and np.abs(even.atoms).max() <= fmt.high * fmt.scale
    assert any(note.startswith("w reaches 0.") and "a range of 0.5 holds it" in note for note in found.notes)


# ---- the search ----------------------------------------------------------------------------------------------------
def test_what_is_found_keeps_the_budget_and_runs_as_said(found: AutoWidths, calibration: Calibration) -> None:
    assert found.design is not None and found.trial is not None and found.ranges is not None
    again = calibration.judge(found.design)
    assert again.losses == found.trial.losses and again.loss <= 0.3
    assert found.design.machine.tiles == (2, 2) and found.design.machine.residual_accumulator == 0
    plan = Plan.of(found.design, quantise(calibration.dictionary.atoms, found.design.formats.weight))
    assert (found.ranges["D"].width, found.ranges["R"].width) == (plan.drive_width, plan.residual_width)
    assert found.ranges.steps == 60 * 3 and found.ranges["u"].format == str(found.design.formats.membrane)
    g, f = found.design.geometry, found.design.formats
    state = g.neurons * (f.membrane.width + plan.drive_width) + 32 * 32 * (plan.residual_width + f.residual.width)
    assert found.bits == state + calibration.dictionary.atoms.size * f.weight.width
    assert found.bits == memory_bits(found.design, calibration.dictionary.atoms)


def test_no_format_could_be_a_bit_narrower(found: AutoWidths) -> None:
    """Of each, one bit less was tried and broke the budget: alone, or with the others as they are."""
    assert found.design is not None
    usual = {"weight": 1, "residual": 1, "membrane": 2, "code": 1}
    at = {n: getattr(found.design.formats, n).width - found.wholes[n] + usual[n] for n in SWEPT}
    failed = [t for t in found.tried if t.trial is None or t.loss > 0.3]
    for name in SWEPT:
        jointly = at | {name: at[name] - 1}
        alone = [t for t in failed if t.stage == f"sweep of {name}" and t.widths[name] == at[name] - 1]
        assert alone or any(t.widths == jointly for t in failed), name


def test_the_search_is_deterministic(found: AutoWidths, calibration: Calibration) -> None:
    again = search(DESIGN, calibration, budget=0.3)
    assert again.design == found.design
    assert [(t.stage, t.widths, t.loss) for t in again.tried] == [(t.stage, t.widths, t.loss) for t in found.tried]


def test_a_larger_budget_costs_no_more(found: AutoWidths, calibration: Calibration) -> None:
    loose = search(DESIGN, calibration, budget=3.0)
    assert loose.design is not None and loose.bits < found.bits


def test_formats_that_change_the_cutoff_are_not_taken(found: AutoWidths, calibration: Calibration) -> None:
    refused = [t for t in search(DESIGN, calibration, budget=5.0).tried if t.refused]
    assert any("makes the cutoff 0.007812 where 0.005 was asked for" in t.refused for t in refused)


def test_two_sided_soft_codes_keep_their_sign_and_roundings() -> None:
    design = DESIGN.replace(two_sided=True, transfer="soft", membrane="s14.12:half_even")
    result = search(design, Calibration.of(design, shipped(8, 16, 2, 1), pictures()), budget=1.0)
    assert result.design is not None
    code = result.design.formats.code
    assert code.signed and code.symmetric and code.width - code.frac == 2
    assert result.design.formats.membrane.rounding == "half_even"


def test_a_budget_that_nothing_keeps(calibration: Calibration) -> None:
    better = replace(calibration, errors=tuple(e - 3 for e in calibration.errors))
    result = search(DESIGN, better, budget=0.1)
    assert result.design is None and result.trial is None and 2 < result.best < 4


def test_what_cannot_be_searched_is_refused(calibration: Calibration) -> None:
    for budget, margin, design, text in (
        (-0.1, 1.5, DESIGN, "a loss budget must be at least 0 points, not -0.1"),
        (float("nan"), 1.5, DESIGN, "a loss budget must be at least 0 points, not nan"),
        (0.1, 0.5, DESIGN, "a range's margin must be at least 1, not 0.5; the default is 1.5"),
        (0.1, 1.5, DESIGN.replace(schedule="gram"), 'machine.schedule "gram" has no residual'),
        (0.1, 1.5, DESIGN.replace(eta=0.03), "dynamics.eta 0.03 is for golden runs only"),
    ):
        with pytest.raises(InputError) as caught:
            search(design, calibration, budget=budget, margin=margin)
        assert text in str(caught.value) and "\n" not in str(caught.value)
    fast = DESIGN.replace(step_shift=0)
    with pytest.raises(InputError, match=r"wide formats lose .* points against float64.*raise dynamics.step_shift"):
        search(fast, calibration)


def test_random_dictionaries_are_searched_too() -> None:
    design = Design(image=(16, 16), kernels=5, gather_lanes=5, patch=6, stride=2, tiles=(1, 1), threshold=0.1, steps=30,
                    preprocess="none", channels=2)  # fmt: skip
    dictionary = Dictionary.random(design.geometry, 4)
    images = [0.2 * np.random.default_rng(n).standard_normal((2, 16, 16)) for n in range(2)]
    result = search(design, Calibration.of(design, dictionary, images), budget=1.0)
    assert result.design is not None and result.trial is not None and result.trial.loss <= 1.0


@pytest.mark.slow
@pytest.mark.parametrize("kernels", [8, 32])
def test_no_loss_widths_are_those_of_the_reference(kernels: int) -> None:
    """Within a bit of w 8, r~ 9-10, u 14-16 (at +-2, 13-15 at +-1), y 8."""
    design = Design(kernels=kernels, gather_lanes=kernels, tiles=(2, 2))
    dictionary = shipped(kernels, 16, 2, 1)
    images = [load_image("camera", crop=crop, size=(128, 128)) for crop in ((70, 170), *CROPS)]
    result = search(design, Calibration.of(design, dictionary, images), budget=0.1)
    assert result.design is not None
    f = result.design.formats
    assert 7 <= f.weight.width <= 9 and 8 <= f.residual.width <= 11 and 7 <= f.code.width <= 9
    assert 13 <= f.membrane.width + 2 - result.wholes["membrane"] <= 17
