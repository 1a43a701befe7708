"""A frame that ends by rest: the rule, and that no tiling, schedule or width of a link changes where it ends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from striate.golden.dictionary import Dictionary
from striate.golden.errors import InputError
from striate.golden.lca import Outcome
from striate.sim.design import Design
from striate.sim.fixed import quantise
from striate.sim.machine import Machine
from striate.sim.plan import Plan
from striate.sim.recomputed import recomputed
from striate.sim.settle import settled
from striate.sim.timing import SETTLE_DELAY, WINDOW


def news(events: np.ndarray, links: np.ndarray, settle: int, warm: bool) -> list[int]:
    """Steps after which each tile ends, from nothing but what its neighbours tell it once a step.

    Args:
        events: (steps, T) whether a tile had an event. links: (T, T) who hears whom, itself included.
    """
    steps, tiles = events.shape
    near = np.full((tiles, SETTLE_DELAY + 1), warm)
    quiet, stirred, ends = np.zeros(tiles, int), np.full(tiles, warm), [steps] * tiles
    for m in range(steps):
        near[:, 1:] = (links @ near[:, :-1].astype(int)) > 0
        near[:, 0] = events[m]
        quiet = np.where(near[:, -1] | ~stirred, 0, quiet + 1)
        stirred |= near[:, -1]
        for t in np.flatnonzero(quiet >= settle):
            ends[t] = min(ends[t], m + 1)
    return ends


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 9), st.integers(1, 4), st.integers(1, 12), st.booleans())
def test_every_tile_finds_the_same_step_from_its_neighbours_alone(
    seed: int, rows: int, columns: int, settle: int, warm: bool
) -> None:
    """The rule of sim/settle.py is what tiles of any legal mesh come to by passing news on."""
    rng = np.random.default_rng(seed)
    events = rng.random((80, rows * columns)) < rng.choice([0.0, 0.003, 0.03, 0.3])
    events[: rng.integers(0, 10)] |= rng.random() < 0.5
    place = np.stack(np.divmod(np.arange(rows * columns), columns), axis=1)
    links = (np.abs(place[:, None] - place[None]).max(axis=2) <= 1).astype(int)
    totals = events.sum(axis=1)
    rule = next((n for n in range(1, 80) if settled(totals, n, settle, warm)), 80)
    assert news(events, links, settle, warm) == [rule] * (rows * columns)


def test_the_rule_by_hand() -> None:
    def ends(code_events: list[int], settle: int, warm: bool) -> bool:
        younger = [*code_events, *([5] * SETTLE_DELAY)]  # what these steps do is not known everywhere
        return bool(settled(np.array(younger), len(younger), settle, warm))

    assert not ends([3, 0, 0], 3, True) and ends([3, 0, 0], 2, False)
    assert ends([0, 0, 0], 3, True) and not ends([0, 0, 0], 3, False), "a cold frame waits for its first event"
    assert ends([1, 0], 1, False) and not ends([1, 0], 0, True), "0 switches it off"


CALM = Design(
    image=(16, 24), kernels=3, patch=6, stride=2, gather_lanes=6, scatter_lanes=4, detect_lanes=2, tiles=(2, 3),
    link_depth=3, steps=90, settle=2, threshold=0.1, step_shift=3, preprocess="none", code="u5.4",
)  # fmt: skip


def machine(design: Design) -> tuple[Machine, np.ndarray]:
    weights = quantise(Dictionary.random(design.geometry, 3).atoms, design.formats.weight)
    plan = Plan.of(design, weights)
    x = plan.quantise_image(np.random.default_rng(3).standard_normal(design.geometry.image_shape) * 0.2)
    return Machine(plan, weights), x


def test_a_frame_ends_at_rest_and_says_so() -> None:
    calm, x = machine(CALM)
    run = calm.frame(x, 90)
    steps, events = run.counts.steps, run.steps.code_events
    assert run.settled and run.outcome is Outcome.CONVERGED and 20 < steps < 90
    assert len(events) == len(run.steps.percent_error) == len(run.steps.end_cycle) == steps
    assert not events[-WINDOW - 2 : -WINDOW].any() and run.events_late == events[-WINDOW:].sum()
    assert run.counts.macs_dense == 2 * CALM.geometry.pairs * steps
    endless, _ = machine(CALM.replace(settle=0))
    same = endless.frame(x, steps)
    assert not same.settled and np.array_equal(same.membrane, run.membrane)
    assert same.cycles is not None and run.cycles is not None and same.cycles.frame == run.cycles.frame
    assert np.array_equal(same.cycles.phases, run.cycles.phases), "resting costs no cycle"
    whole = endless.frame(x, 90)
    assert whole.cycles is not None and whole.cycles.frame > run.cycles.frame


def test_a_warm_frame_without_a_change_ends_as_soon_as_it_can() -> None:
    calm, x = machine(CALM.replace(steps=400))
    assert calm.frame(x, 400).settled
    while (run := calm.frame(x, 400, warm=True)).counts.code_events:
        assert run.settled
    assert run.counts.steps == SETTLE_DELAY + CALM.dynamics.settle


@pytest.mark.parametrize("change", [dict(tiles=(1, 1)), dict(tiles=(2, 1)), dict(link_depth=1), dict(gather_lanes=3)])
def test_the_machine_changes_nothing_about_the_end(change: dict[str, object]) -> None:
    calm, x = machine(CALM)
    other, _ = machine(CALM.replace(**change))
    run, same = calm.frame(x, 90), other.frame(x, 90)
    assert (run.counts.steps, run.settled) == (same.counts.steps, same.settled)
    assert np.array_equal(run.membrane, same.membrane) and np.array_equal(run.residual, same.residual)


@pytest.mark.parametrize("skip", [False, True])
def test_dense_and_skip_end_where_the_machine_ends(skip: bool) -> None:
    calm, x = machine(CALM)
    run, same = calm.frame(x, 90), recomputed(calm.plan, calm.weights, x, 90, skip=skip)
    assert (run.counts.steps, run.settled, run.outcome) == (same.counts.steps, same.settled, same.outcome)
    assert np.array_equal(run.membrane, same.membrane) and np.array_equal(run.residual, same.residual)
    assert np.array_equal(run.steps.code_events, same.steps.code_events)


def test_a_frame_that_stays_saturated_is_diverged_even_at_rest() -> None:
    """The alarm looks at the last steps that were done, not at the last of those that were asked for."""
    stuck, x = machine(CALM.replace(membrane="s12.12", kernels=1, gather_lanes=2))
    run = stuck.frame(np.clip(3 * x, stuck.plan.input.low, stuck.plan.input.high), 90)
    assert run.settled and run.counts.steps < 90 - WINDOW, "it rests, and not in the last steps asked for"
    assert run.saturated_late and run.outcome is Outcome.DIVERGED


def test_meshes_that_news_cannot_cross_are_refused() -> None:
    design = Design(image=(4, 2 * 10), kernels=2, patch=2, stride=2, tiles=(1, 10), gather_lanes=2, settle=3)
    with pytest.raises(InputError, match=r"dynamics.settle 3 needs a mesh of at most 9 tiles a side.*settle = 0"):
        design.check_machine()
    design.replace(settle=0).check_machine()
    design.replace(image=(4, 18), tiles=(1, 9)).check_machine()
    with pytest.raises(InputError, match="dynamics.settle"):
        Design(settle=-1)
    with pytest.raises(InputError, match="dynamics.settle"):
        Design(settle=70_000)
    assert Design().dynamics.settle == 0
    assert Design().dynamics.settle == 0
