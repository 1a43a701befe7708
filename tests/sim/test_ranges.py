"""Ranges: measured as another hand measures them, and never beyond what is proved."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.reference import Reference

from striate.golden.dictionary import Dictionary, shipped
from striate.golden.images import load_image
from striate.hw.cosim.random_design import draw
from striate.sim.design import Design
from striate.sim.fixed import Range, quantise, round_shift
from striate.sim.machine import Machine, simulate
from striate.sim.plan import Plan
from striate.sim.precision.ranges import Ranges, RangeWatch, bounds

SYMBOLS = ("x", "w", "y", "dy", "R", "r~", "dr~", "D", "u")


def watched(seed: int) -> tuple[Ranges, Design, Reference, int, bool]:
    """A random design run under the watch, and its matrix reference before the first step."""
    found = draw(seed, 0)
    watch, machine = RangeWatch(found.plan), Machine(found.plan, found.weights)
    run = machine.frame(found.images[0], found.steps, observe=watch)
    atoms = found.weights * found.plan.weight.scale
    image = found.images[0] * found.plan.input.scale
    ranges = watch.ranges(run, found.design, image, atoms)
    reference = Reference(found.plan, found.weights, found.images[0])
    return ranges, found.design, reference, run.counts.steps, run.overflow  # it may settle


@settings(max_examples=12)
@given(st.integers(0, 10**6))
def test_every_range_is_that_of_the_matrix_reference(seed: int) -> None:
    ranges, _, reference, steps, _ = watched(seed)
    plan = reference.plan
    drop = plan.weight.frac + plan.code.frac - plan.residual.frac
    kept: dict[str, list[np.ndarray]] = {name: [] for name in SYMBOLS}
    kept["R"].append(reference.r)
    kept["u"].append(reference.u)
    for n in range(steps):
        before, sent = reference.y, reference.s
        kept["r~"].append(round_shift(reference.r, drop, plan.residual.rounding))
        reference.step(n)
        magnitude = np.abs(reference.u) if plan.two_sided else reference.u
        value = round_shift(
            magnitude - plan.threshold_q * plan.soft, plan.membrane.frac - plan.code.frac, plan.code.rounding
        )
        value = np.where(magnitude < plan.threshold_q, 0, value)
        kept["y"].append(np.where(reference.u < 0, -value, value) if plan.two_sided else value)
        kept["dy"].append(reference.y - before)
        kept["dr~"].append(reference.s - sent)
        kept["D"].append(reference.d)
        kept["u"].append(reference.u)
        kept["R"].append(reference.r)
    for name, words in kept.items():
        if not words:
            continue
        values = np.concatenate([w.ravel() for w in words])
        if name in ("dy", "dr~"):
            values = values[values != 0]  # events
        seen = ranges[name].seen
        assert (seen.low, seen.high) == (values.min(), values.max()), name
    outside = [Range.of(w, plan.code).saturated for w in kept["y"]]
    assert ranges["y"].seen.saturated == sum(outside)
    assert (ranges["r~"].seen.saturated > 0) == any(Range.of(w, plan.residual).saturated for w in kept["r~"])


@settings(max_examples=20)
@given(st.integers(0, 10**6))
def test_no_range_leaves_its_proved_bound(seed: int) -> None:
    ranges, design, _, _, _ = watched(seed)
    for q in ranges.quantities:
        if q.symbol != "x":  # the images drawn are no photographs
            assert q.bound[0] <= q.seen.low and q.seen.high <= q.bound[1], (q.symbol, q)
            assert q.bits_seen <= q.bits_proved
    assert ranges["D"].bits_proved <= ranges["D"].width or design.machine.drive_accumulator


def test_worst_input_meets_the_bound_of_the_drive() -> None:
    design = Design(image=(16, 16), kernels=1, patch=16, stride=16, preprocess="none", tiles=(1, 1), gather_lanes=1,
                    input="s10.7", residual_cutoff=0.0, steps=1)  # fmt: skip
    dictionary = Dictionary.random(design.geometry, 3)
    weights = quantise(dictionary.atoms, design.formats.weight)
    plan = Plan.of(design, weights)
    image = np.where(weights[0] > 0, -128, np.where(weights[0] < 0, 128, 0)).astype(np.int64)  # r~ at its ends
    watch = RangeWatch(plan)
    run = Machine(plan, weights).frame(image, 1, observe=watch)
    ranges = watch.ranges(run, design, image / 128, dictionary.atoms)
    least = -int(128 * weights[weights > 0].sum() - 127 * weights[weights < 0].sum())
    assert ranges["D"].seen.low == least and ranges["D"].bound[0] == -int(np.abs(weights).sum()) * 128
    assert least < 0.99 * ranges["D"].bound[0]
    assert ranges["r~"].seen.saturated == np.count_nonzero(weights[0] < 0)  # +1 is no s8.7


def test_what_leaves_its_word_is_counted() -> None:
    design = Design(image=(16, 16), patch=8, stride=4, tiles=(1, 1), preprocess="none", steps=6, membrane="s8.7",
                    input="s6.5", weight="s6.5", step_shift=0)  # fmt: skip
    dictionary = Dictionary.random(design.geometry, 1)
    image = np.random.default_rng(0).standard_normal(design.geometry.image_shape)
    plan = Plan.of(design, quantise(dictionary.atoms, design.formats.weight))
    watch = RangeWatch(plan)
    run = simulate(image, design, dictionary=dictionary, observe=watch)
    ranges = watch.ranges(run, design, image, dictionary.atoms)
    assert ranges["u"].seen.saturated == run.counts.saturations > 0
    rounded = np.floor(image * 32 + 0.5)
    assert ranges["x"].seen.saturated == np.count_nonzero((rounded > 31) | (rounded < -32)) > 0
    assert ranges["x"].seen.high == rounded.max() > 31
    assert ranges["r~"].seen.count == 256 * 6


def test_two_pictures_together_and_as_plain_values() -> None:
    design = Design(image=(32, 32), tiles=(2, 2), steps=30)
    dictionary = shipped(8, 16, 2, 1)
    plan = Plan.of(design, quantise(dictionary.atoms, design.formats.weight))
    found = []
    for crop in ((104, 212), (330, 200)):
        image, watch = load_image("camera", crop=crop, size=(32, 32)), RangeWatch(plan)
        found.append(watch.ranges(simulate(image, design, observe=watch), design, image, dictionary.atoms))
    both = found[0] | found[1]
    assert both.steps == 60 and tuple(q.symbol for q in both.quantities) == SYMBOLS
    for symbol in SYMBOLS:
        parts = [f[symbol].seen for f in found]
        assert both[symbol].seen.high == max(p.high for p in parts)
        assert both[symbol].seen.count == sum(p.count for p in parts)
    row = {r["symbol"]: r for r in both.as_list()}["u"]
    assert row["format"] == "s14.12" and row["high"] == both["u"].seen.high / 4096 > 0.05
    assert row["bits_seen"] <= 14 < row["bits_proved"] and row["outside"] == 0
    # a photograph filtered stays within its proof, and the drive's word is the proven one
    x, drive = both["x"], both["D"]
    assert x.bound == (-512, 512) and -512 <= x.seen.low and x.seen.high <= 512
    assert drive.bits_proved == drive.width == plan.drive_width


def test_bounds_of_a_narrow_membrane_limit_the_code() -> None:
    design = Design(membrane="s13.12")
    atoms = shipped(8, 16, 2, 1).atoms
    found = bounds(design, atoms, quantise(atoms, design.formats.weight))
    assert found["y"][0] == (0, 128) and found["dy"][0] == (-128, 128)
    wide = bounds(design.replace(membrane="s18.12"), atoms, quantise(atoms, design.formats.weight))
    assert wide["y"][0][1] == round_shift(wide["u"][0][1], 5, "half_up")
    assert found["w"][0] == (int(np.floor(atoms.min() * 128 + 0.5)), int(np.floor(atoms.max() * 128 + 0.5)))


def test_a_watch_that_saw_another_run_is_refused() -> None:
    design = Design(image=(16, 16), patch=4, tiles=(1, 1), steps=2)
    dictionary = Dictionary.random(design.geometry, 1)
    plan = Plan.of(design, quantise(dictionary.atoms, design.formats.weight))
    image = np.full((1, 16, 16), 0.1)
    run = simulate(image, design, dictionary=dictionary)
    with pytest.raises(AssertionError, match="another run"):
        RangeWatch(plan).ranges(run, design, image, dictionary.atoms)
