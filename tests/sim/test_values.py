"""Threshold, cutoff and step shift of a frame: the words are those of a design that has them, cold and warm."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.reference import Reference

from striate.golden.dictionary import Dictionary
from striate.golden.errors import InputError
from striate.sim.design import Design
from striate.sim.fixed import quantise
from striate.sim.machine import Machine, simulate
from striate.sim.plan import Plan
from striate.sim.tiling import IntArray

DESIGN = Design(
    image=(16, 16), kernels=3, patch=6, stride=2, tiles=(2, 2), gather_lanes=3, scatter_lanes=2, detect_lanes=1,
    preprocess="none", threshold=0.1, step_shift=3, steps=8,
)  # fmt: skip


def made(design: Design = DESIGN) -> tuple[Machine, IntArray]:
    weights = np.asarray(quantise(Dictionary.random(design.geometry, 0).atoms, design.formats.weight), np.int64)
    plan = Plan.of(design, weights)
    image = np.random.default_rng(1).standard_normal(design.geometry.image_shape) * 0.3
    return Machine(plan, weights), plan.quantise_image(image)


@pytest.mark.parametrize("transfer", ["hard", "soft"])
@pytest.mark.parametrize("two_sided", [False, True])
def test_a_cold_frame_is_that_of_a_design_with_the_values(transfer: str, two_sided: bool) -> None:
    design = DESIGN.replace(transfer=transfer, two_sided=two_sided)
    changed = design.replace(threshold=0.2, residual_cutoff=0.03, step_shift=4)
    machine, x = made(design)
    picture = x * machine.plan.input.scale
    want = simulate(picture, changed, dictionary=Dictionary.random(design.geometry, 0))
    before = machine.frame(x, 8)
    run = machine.frame(x, 8, threshold=changed.threshold_q, cutoff=changed.cutoff_q, shift=4)
    assert want.cycles is not None and run.cycles is not None
    for name in ("code", "membrane", "residual"):
        assert (getattr(run, name) == getattr(want, name)).all()
        assert (getattr(run, name) != getattr(before, name)).any()
    assert run.counts == want.counts and run.cycles.frame == want.cycles.frame
    assert (machine.frame(x, 8).membrane == before.membrane).all()


def test_a_warm_frame_goes_on_with_other_values() -> None:
    """The dense equations go on from the old u and the old threshold, with another cutoff and another step."""
    machine, x = made()
    low = machine.plan.threshold_q // 2
    plan = machine.plan.at_run_time(threshold=low, cutoff=0, shift=4)
    reference = Reference(plan, machine.weights, x)
    machine.frame(x, 6, threshold=low, cutoff=0, shift=4)
    for n in range(6):
        reference.step(n)
    reference.x, reference.plan = np.roll(x, 3, axis=-1), plan.at_run_time(cutoff=7, shift=2)
    run = machine.frame(reference.x, 5, warm=True, threshold=low, cutoff=7, shift=2)
    for n in range(5):
        reference.step(n)
    assert (run.membrane.reshape(-1) == reference.u).all() and (run.residual.reshape(-1) == reference.r).all()


def test_a_warm_frame_with_another_threshold_is_refused_and_changes_nothing() -> None:
    (machine, x), (same, _) = made(), made()
    own = machine.plan.threshold_q
    for each in (machine, same):
        each.frame(x, 4)
    with pytest.raises(InputError, match=f"threshold of its state, {own} membrane units, not {own + 1}; run a cold"):
        machine.frame(x, 4, warm=True, threshold=own + 1)
    assert (machine.frame(x, 4, warm=True).membrane == same.frame(x, 4, warm=True).membrane).all()
    machine.frame(x, 4, threshold=own + 1)
    with pytest.raises(InputError, match="run a cold frame"):
        machine.frame(x, 4, warm=True)


def test_a_large_shift_is_exact_in_the_words_of_the_design() -> None:
    """The design's own step would do with 32-bit words, the one above it would not. Rounded down, something moves."""
    design = DESIGN.replace(step_shift=23, membrane="s12.8:floor")
    machine, x = made(design)
    want, _ = made(design.replace(step_shift=24))
    got = machine.frame(x, 6, shift=24)
    assert (got.membrane == want.frame(x, 6).membrane).all() and got.membrane.any()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"threshold": 0}, r"threshold must be 1 \.\. 8191 membrane units, not 0"),
        ({"threshold": 8192}, "not 8192"),
        ({"cutoff": -1}, r"cutoff must be 0 \.\. 15 residual units, not -1"),
        ({"cutoff": 16}, "not 16"),
        ({"shift": 1}, r"step shift 1: this machine has 2 \.\. 4; leave it out"),
        ({"shift": 5}, "step shift 5"),
    ],
)
def test_a_value_that_a_command_cannot_carry_is_one_line(values: dict[str, int], message: str) -> None:
    machine, x = made()
    with pytest.raises(InputError, match=message) as caught:
        machine.frame(x, 2, **values)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_ranges_that_follow_from_a_design() -> None:
    plan = made()[0].plan
    assert (plan.shift_range, plan.shift_choices, plan.shift_codes) == ((2, 4), (2, 3, 4), 4)
    assert [plan.shift_code(s) for s in (None, 2, 3, 4)] == [0, 1, 2, 3]
    steps = made(DESIGN.replace(step_shift=((0, 2), (3, 9))))[0].plan
    assert (steps.shift_range, steps.shift_choices) == ((8, 10), (2, 8, 9, 10))
    assert made(DESIGN.replace(step_shift=0))[0].plan.shift_range == (0, 1)
    assert made(DESIGN.replace(step_shift=24))[0].plan.shift_range == (23, 24)
    wide = made(DESIGN.replace(residual_cutoff=1.5))[0].plan  # beyond r~: nothing passes
    assert wide.cutoff_width == 8 and wide.cutoff_q == 129
    fixed = replace(plan, shift_range=(1, 0))
    assert fixed.shift_choices == (3,) and fixed.shift_codes == 1
    with pytest.raises(InputError, match="has no other"):
        fixed.at_run_time(shift=3)
