"""What the engine leaves out or shares - threads, copies of the residual, wide words - against the plain way."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.reference import Reference
from support.tilewise import chain, gather_cycles, overflowing

from striate.golden.dictionary import Dictionary
from striate.golden.errors import InputError
from striate.hw.cosim.random_design import draw
from striate.sim.design import Design
from striate.sim.fixed import quantise
from striate.sim.machine import Machine, simulate
from striate.sim.plan import Plan
from striate.sim.run import STEP_COUNTS, Ports, StepView
from striate.sim.sheet import types_of
from striate.sim.timing import Phase


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 4))
def test_threads_change_nothing(seed: int, threads: int) -> None:
    design = draw(seed, 0)
    one, many = Machine(design.plan, design.weights), Machine(design.plan, design.weights, threads)
    for warm in (False, True):
        a, b = (m.frame(design.images[int(warm)], design.steps, warm=warm) for m in (one, many))
        assert a.cycles is not None and b.cycles is not None
        assert (a.code == b.code).all() and (a.membrane == b.membrane).all() and (a.residual == b.residual).all()
        assert (a.cycles.phases == b.cycles.phases).all() and (a.cycles.beats == b.cycles.beats).all()
        assert a.counts == b.counts and a.overflow == b.overflow
        assert (a.steps.percent_error == b.steps.percent_error).all()  # to the last bit


def test_threads_share_a_picture_of_several_blocks() -> None:
    design = Design(image=(64, 640), kernels=2, patch=8, stride=4, tiles=(2, 2), gather_lanes=2, steps=6, step_shift=3)
    weights = quantise(Dictionary.random(design.geometry, 1).atoms, design.formats.weight)
    plan = Plan.of(design, weights)
    x = plan.quantise_image(np.random.default_rng(1).standard_normal(design.geometry.image_shape) * 0.3)
    runs = [Machine(plan, weights, threads).frame(x, 6) for threads in (1, 2, 3)]
    reference = Reference(plan, weights, x)
    for n in range(6):
        reference.step(n)
    for run in runs:
        assert (run.membrane.reshape(-1) == reference.u).all() and (run.residual.reshape(-1) == reference.r).all()
        assert (run.steps.percent_error == runs[0].steps.percent_error).all()
        assert run.counts == runs[0].counts


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**6))
def test_counts_of_the_steps_add_up_to_those_of_the_run(seed: int) -> None:
    design = draw(seed, 1)
    run = Machine(design.plan, design.weights).frame(design.images[0], design.steps)
    for name in (*STEP_COUNTS, "code_events", "residual_events", "link_events"):
        values = getattr(run.steps, name)
        assert values.shape == (run.counts.steps,) and values.sum() == getattr(run.counts, name)
    assert (run.steps.macs == run.steps.scatter_macs + run.steps.gather_macs).all()
    assert (run.steps.link_traffic.sum(axis=(1, 2)) == run.steps.link_events).all()
    assert (run.steps.link_traffic.sum(axis=0) == run.link_traffic).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_overflow_is_raised_in_the_step_in_which_some_tile_leaves_its_word(seed: int) -> None:
    design = draw(seed, 2)
    machine = Machine(design.plan, design.weights)
    half = 1 << (design.plan.residual_width - 1)
    expected = bool((np.abs(design.images[0] << design.plan.input_shift) >= half).any())
    t, g = design.plan.tiling, design.plan.tiling.geometry
    before = np.zeros((t.count, g.channels, *t.region), np.int64)
    start = np.zeros((g.channels, *(n + 2 * g.margin for n in g.image)), np.int64)
    start[:, g.margin : g.margin + g.image[0], g.margin : g.margin + g.image[1]] = design.images[0]
    start = ((start << design.plan.input_shift) + half) % (2 * half) - half
    for tile in range(t.count):
        y, x = (n + g.margin for n in t.origin(tile))
        before[tile] = start[:, y : y + t.region[0], x : x + t.region[1]]

    def compare(view: StepView) -> None:
        nonlocal expected, before
        expected = expected or overflowing(design.plan, design.weights, view, before)
        assert machine.overflow == expected
        before = view.residual

    assert machine.frame(design.images[0], design.steps, observe=compare).overflow == expected


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6))
def test_detect_and_gather_take_the_cycles_of_the_recurrence(seed: int) -> None:
    design = draw(seed, 3)
    t, taken = design.plan.tiling, []

    def note(view: StepView) -> None:
        taken.append([gather_cycles(t, pixels) for pixels in view.pixels])

    run = Machine(design.plan, design.weights).frame(design.images[0], design.steps, observe=note)
    assert run.cycles is not None
    for tile in range(t.count):
        rows = run.cycles.phases[run.cycles.phases[:, 0] == tile]
        begins = np.flatnonzero(rows[:, 1] == Phase.GATHER)
        assert (rows[begins + 1, 1] == Phase.FLUSH).all()
        assert (rows[begins + 1, 2] - rows[begins, 2]).tolist() == [row[tile] + 1 for row in taken]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.2, 0.7, 1.0]))
def test_codes_leave_as_through_a_chain_of_two_place_queues(seed: int, often: float) -> None:
    design = draw(seed, 4)
    machine = Machine(design.plan, design.weights)
    run = machine.frame(design.images[0], design.steps)
    assert run.cycles is not None
    ready = np.random.default_rng(seed).random(run.cycles.frame + 200) < often
    ready[: run.cycles.frame // 2] |= often == 1.0
    cycles = machine.replay(Ports(codes_ready=ready))
    phases = cycles.phases[cycles.phases[:, 1] == Phase.DRAIN]
    begin = phases[np.argsort(phases[:, 0]), 2]
    assert cycles.beats.tolist() == chain(design.plan.tiling, run.code, begin, cycles.load + 1, ready)


WIDE = Design(
    image=(8, 12), kernels=3, patch=6, stride=2, gather_lanes=3, scatter_lanes=2, detect_lanes=2, tiles=(1, 1),
    preprocess="none", threshold=0.1, step_shift=3, steps=6, residual_accumulator=0,
)  # fmt: skip


@pytest.mark.parametrize(
    ("formats", "drive"),
    [
        ({}, np.float32),
        ({"weight": "s18.17", "residual": "s16.15", "code": "u14.12", "membrane": "s20.18"}, np.float64),
        pytest.param(
            {"weight": "s24.22", "residual": "s24.20", "code": "u12.10", "membrane": "s18.16", "patch": 12},
            np.int64,
            marks=pytest.mark.slow,  # another set of compiled functions
        ),
    ],
)
def test_words_are_wide_enough_for_their_formats(formats: dict[str, Any], drive: type) -> None:
    design = WIDE.replace(**formats)
    weights = quantise(Dictionary.random(design.geometry, 5).atoms, design.formats.weight)
    weights[0] = design.formats.weight.high  # a kernel that reaches the bound
    plan = Plan.of(design, weights)
    assert types_of(plan, weights).drive is drive
    x = np.full(design.geometry.image_shape, plan.input.high, np.int64)
    reference = Reference(plan, weights, x)
    run = Machine(plan, weights).frame(x, 6)
    for n in range(6):
        reference.step(n)
    assert (run.membrane.reshape(-1) == reference.u).all() and (run.residual.reshape(-1) == reference.r).all()
    assert run.counts.code_events > 0


def test_threads_below_one_are_refused() -> None:
    weights = quantise(Dictionary.random(WIDE.geometry, 0).atoms, WIDE.formats.weight)
    with pytest.raises(InputError, match=r"^threads must be at least 1, not 0$"):
        Machine(Plan.of(WIDE, weights), weights, threads=0)


def test_an_interruption_in_compiled_code_is_an_interruption(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled code that is interrupted returns a SystemError caused by the KeyboardInterrupt."""

    def interrupted(*_: object) -> None:
        raise SystemError("returned a result with an exception set") from KeyboardInterrupt()

    monkeypatch.setattr("striate.sim.mesh.advance", interrupted)
    with pytest.raises(KeyboardInterrupt):
        simulate(np.zeros((1, 16, 16)), Design(image=(16, 16), tiles=(1, 1), steps=3))
