"""R, D and r~ formed anew between steps: no word differs, a flipped bit is forgotten, and what it costs."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.reference import Reference
from support.tilewise import overflowing

from striate.golden.dictionary import Dictionary
from striate.golden.errors import InputError
from striate.hw.cosim.random_design import draw
from striate.sim.cost import cost
from striate.sim.design import Design
from striate.sim.fixed import quantise
from striate.sim.machine import Machine, simulate
from striate.sim.plan import Plan
from striate.sim.run import Ports, Run, StepView
from striate.sim.timing import FLUSH_INPUT, FLUSH_SCATTER, READY_DELAY, UPDATE_FILL, Phase
from striate.sim.traffic import drain_traffic, frame_traffic, load_traffic, step_traffic

BASE = Design(
    image=(16, 24), channels=2, kernels=3, patch=6, stride=2, gather_lanes=6, scatter_lanes=4, detect_lanes=2,
    tiles=(2, 3), link_depth=3, steps=12, threshold=0.1, step_shift=2, preprocess="none",
)  # fmt: skip


def planned(design: Design, seed: int = 3) -> tuple[Plan, np.ndarray, np.ndarray]:
    weights = quantise(Dictionary.random(design.geometry, seed).atoms, design.formats.weight)
    plan = Plan.of(design, weights)
    x = plan.quantise_image(np.random.default_rng(seed).standard_normal(design.geometry.image_shape) * 0.3)
    return plan, np.asarray(weights, np.int64), x


def frame(design: Design, **more: Any) -> Run:
    plan, weights, x = planned(design)
    return Machine(plan, weights).frame(x, design.dynamics.steps, **more)


# ---- words -----------------------------------------------------------------------------------------------------------
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 13))
def test_no_word_differs_from_a_run_without_refresh(seed: int, every: int) -> None:
    """Any design, widths of R and D that wrap, settling, warm: U, R, D, r~ and code events of every step, the end."""
    design = draw(seed, 5)
    seen: list[list[StepView]] = [[], []]
    runs: list[list[Run]] = [[], []]
    for n, refresh in enumerate((0, every)):
        machine = Machine(replace(design.plan, refresh=refresh), design.weights)
        for warm in (False, True):
            image = design.images[int(warm)]
            runs[n].append(machine.frame(image, design.steps, warm=warm, observe=seen[n].append))
    word = (1 << design.plan.drive_width) - 1
    assert len(seen[0]) == len(seen[1])
    for plain, again in zip(*seen, strict=True):
        assert plain.step == again.step
        for name in ("membrane", "residual", "sent"):
            assert np.array_equal(getattr(plain, name), getattr(again, name)), (name, plain.step)
        assert np.array_equal(plain.drive & word, again.drive & word)
        assert all(map(np.array_equal, plain.codes, again.codes))
    for plain, again in zip(*runs, strict=True):
        assert np.array_equal(plain.code, again.code)
        assert np.array_equal(plain.steps.code_events, again.steps.code_events)
        ends = [(r.outcome, r.events_late, r.saturated_late, r.settled, r.counts.steps) for r in (plain, again)]
        assert ends[0] == ends[1] and (plain.steps.percent_error == again.steps.percent_error).all()
        assert again.counts.refreshes == (again.counts.steps - 1) // every
        assert plain.counts.refreshes == plain.counts.refresh_events == 0


@pytest.mark.parametrize("tiles", [(1, 1), (1, 3), (4, 2)])
def test_the_matrix_agrees_at_every_step(tiles: tuple[int, int]) -> None:
    design = BASE.replace(tiles=tiles, refresh=3, step_shift=[[0, 2], [5, 3]], residual_accumulator=0)
    plan, weights, x = planned(design)
    reference, own = Reference(plan, weights, x), Machine(plan, weights)

    def check(view: StepView) -> None:
        reference.step(view.step)
        assert np.array_equal(own._membrane().reshape(-1), reference.u)
        assert np.array_equal(own._own(own._engine.state.r).reshape(-1), reference.r)

    again: list[StepView] = []
    run = own.frame(x, 12, observe=check, refreshed=again.append)
    assert [view.step for view in again] == [3, 6, 9] and run.counts.refreshes == 3
    assert all(not view.drive.any() and not view.sent.any() and view.residual.any() for view in again)
    sent = [np.concatenate(view.codes) for view in again]
    assert run.steps.refresh_events.nonzero()[0].tolist() == [3, 6, 9]
    assert run.steps.refresh_events[[3, 6, 9]].tolist() == [len(rows) for rows in sent]
    assert run.steps.refresh_events[[3, 6, 9]].tolist() == run.steps.active[[2, 5, 8]].tolist()
    assert run.counts.refresh_events == sum(map(len, sent)) > 0
    assert all(len(rows) == 0 for view in again for rows in view.pixels)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6))
def test_the_overflow_flag_follows_the_adds_of_a_refresh(seed: int) -> None:
    """In the refresh after which some tile, adding the codes in its own order to the input alone, left its word."""
    design = draw(seed, 2)
    plan = replace(design.plan, refresh=2)
    machine, x = Machine(plan, design.weights), design.images[0]
    t, g, half = plan.tiling, plan.tiling.geometry, 1 << (plan.residual_width - 1)
    whole = np.zeros((g.channels, *(n + 2 * g.margin for n in g.image)), np.int64)
    whole[:, g.margin : g.margin + g.image[0], g.margin : g.margin + g.image[1]] = x << plan.input_shift
    expected = bool((np.abs(whole) >= half).any())
    whole = (whole + half) % (2 * half) - half
    alone = np.stack([
        whole[:, y + g.margin : y + g.margin + t.region[0], xx + g.margin : xx + g.margin + t.region[1]]
        for y, xx in map(t.origin, range(t.count))
    ])  # fmt: skip
    before = alone

    def compare(of_refresh: bool) -> Callable[[StepView], None]:
        def look(view: StepView) -> None:
            nonlocal expected, before
            expected = expected or overflowing(plan, design.weights, view, alone if of_refresh else before)
            assert machine.overflow == expected
            before = view.residual

        return look

    machine.frame(x, design.steps, observe=compare(False), refreshed=compare(True))
    assert machine.overflow == expected


@pytest.mark.parametrize("memory", ["r", "d", "s"])
@pytest.mark.parametrize("refresh", [0, 4])
def test_a_refresh_forgets_what_was_flipped_and_a_machine_without_it_does_not(memory: str, refresh: int) -> None:
    plan, weights, x = planned(BASE.replace(refresh=refresh, residual_accumulator=0))
    machine, reference = Machine(plan, weights), Reference(plan, weights, x)
    wrong: list[bool] = []

    def look(view: StepView) -> None:
        g, engine = plan.tiling.geometry, machine._engine
        reference.u = machine._membrane().reshape(-1)
        reference.s = machine._own(engine.state.s).reshape(-1)
        right = np.array_equal(machine._own(engine.state.r).reshape(-1), reference.r)
        own = (engine.layout.cover - 1) * g.kernels
        drive = engine.state.d[:, own : own + g.sheet[1] * g.kernels].reshape(*g.sheet, g.kernels)
        right &= np.array_equal(np.moveaxis(drive, -1, 0).reshape(-1), reference.matrix.T @ reference.s)
        wrong.append(not right)
        if view.step == 1:
            if memory == "d":
                engine.state.d[g.sheet[0] // 2, own + g.sheet[1] * g.kernels // 2] += 1 << 9
            else:
                getattr(engine.state, memory)[0, g.margin + 7, g.margin + 9] += 1 << 6

    machine.frame(x, 12, observe=look)
    assert wrong[:2] == [False, False]
    if refresh:
        assert wrong[2] and not any(wrong[4:])
    else:
        assert all(wrong[2:])


# ---- the clock -------------------------------------------------------------------------------------------------------
def test_a_refresh_without_codes_by_hand() -> None:
    """One tile, nothing ever above the threshold: every clock of the refresh is a constant, a word or a pixel."""
    design = BASE.replace(tiles=(1, 1), threshold=1.5, refresh=2, steps=3)
    run = frame(design)
    assert run.cycles is not None and run.counts.refresh_events == 0 and run.counts.refreshes == 1
    t = run.plan.tiling
    rows = run.cycles.phases[:, 1:].tolist()
    begin = next(n for n, (phase, _) in enumerate(rows) if phase == Phase.REFRESH)
    names = [Phase(phase) for phase, _ in rows[begin : begin + 8]]
    assert names == [
        Phase.REFRESH, Phase.INPUT, Phase.FLUSH, Phase.WAIT, Phase.UPDATE, Phase.SCATTER, Phase.FLUSH, Phase.GATHER,
    ]  # fmt: skip
    lengths = np.diff([cycle for _, cycle in rows[begin : begin + 8]]).tolist()
    pixels, words = 2 * 16 * 24, t.membrane_depth
    assert lengths == [t.clear_cycles, READY_DELAY + pixels + 4, FLUSH_INPUT, 1, UPDATE_FILL + words, 9, FLUSH_SCATTER]
    assert run.cycles.refreshes.tolist() == [[[rows[begin][1], rows[begin][1] + sum(lengths)]]]
    plain = frame(design.replace(refresh=0))
    assert plain.cycles is not None
    before = [r for r in rows if r[1] < rows[begin][1]]
    assert before == plain.cycles.phases[: len(before), 1:].tolist()


def test_all_tiles_wait_for_the_last_one_and_hear_of_it_along_the_chain() -> None:
    run = frame(BASE.replace(refresh=5))
    assert run.cycles is not None
    t, pixels = run.plan.tiling, run.input.size
    hops = np.array([sum(t.place(n)) for n in range(t.count)])
    for begin in run.cycles.refreshes[:, :, 0]:
        after = [run.cycles.phases[(run.cycles.phases[:, 0] == n) & (run.cycles.phases[:, 2] > begin[n])][:2] for n in
                 range(t.count)]  # fmt: skip
        taken = np.array([[row[2] for row in rows] for rows in after])
        assert (taken[:, 0] == begin + t.clear_cycles).all()
        heard = (taken[:, 0] + hops).max() + READY_DELAY
        assert (taken[:, 1] == heard + pixels + 4 + hops).all()
    assert run.cycles.refreshes.shape == (2, 6, 2) and (np.diff(run.cycles.refreshes, axis=2) > pixels).all()


def test_stalls_of_the_input_move_a_refresh_with_everything_after_the_load() -> None:
    plan, weights, x = planned(BASE.replace(refresh=4))
    machine = Machine(plan, weights)
    run = machine.frame(x, 12)
    assert run.cycles is not None
    pixels = np.arange(x.size) * 3 + run.cycles.load
    stalled = machine.replay(Ports(pixels))
    assert np.array_equal(stalled.refreshes, run.cycles.refreshes + int(pixels[-1]) - run.cycles.load)
    again = machine.frame(x, 12, ports=Ports(pixels))
    assert again.cycles is not None and np.array_equal(again.cycles.phases, stalled.phases)


def test_threads_and_watchers_change_nothing() -> None:
    plan, weights, x = planned(BASE.replace(refresh=4))
    one, two = (Machine(plan, weights, threads).frame(x, 12) for threads in (1, 2))
    watched = Machine(plan, weights).frame(x, 12, observe=lambda _: None)
    for other in (two, watched):
        assert one.cycles is not None and other.cycles is not None
        assert np.array_equal(one.cycles.phases, other.cycles.phases) and one.counts == other.counts
        assert np.array_equal(one.steps.link_traffic, other.steps.link_traffic)


def test_a_frame_at_rest_ends_before_the_refresh_that_was_due() -> None:
    calm = BASE.replace(channels=1, settle=2, steps=90, step_shift=3, code="u5.4")
    plain = frame(calm)
    steps = plain.counts.steps
    assert plain.settled and steps < 90
    due, later = frame(calm.replace(refresh=steps)), frame(calm.replace(refresh=steps - 1))
    assert due.counts.refreshes == 0 and later.counts.refreshes == 1
    assert due.settled and later.settled and later.counts.steps == steps
    assert due.cycles is not None and plain.cycles is not None
    assert np.array_equal(due.cycles.phases, plain.cycles.phases)


# ---- counts, words moved, energy -------------------------------------------------------------------------------------
def test_what_a_refresh_reads_and_writes() -> None:
    plain, run = frame(BASE), frame(BASE.replace(refresh=4))
    t, g, again = run.plan.tiling, run.plan.tiling.geometry, run.counts.refreshes
    assert again == 2 and run.counts.code_events == plain.counts.code_events
    had, has = frame_traffic(plain), frame_traffic(run)

    def more(name: str) -> tuple[int, int]:
        return tuple(getattr(has.memories[name], way) - getattr(had.memories[name], way) for way in ("reads", "writes"))  # type: ignore[return-value]

    region = g.channels * t.region[0] * t.residual_words_per_row * t.scatter_lanes
    kept = sum(g.channels * (y1 - y0) * (x1 - x0) for y0, y1, x0, x1 in map(t.inside, range(t.count)))
    work = {
        name: getattr(run.counts, name) - getattr(plain.counts, name)
        for name in ("gather_macs", "scatter_macs", "gather_issues", "scatter_issues", "residual_events", "link_events",
                     "scattered_events")
    }  # fmt: skip
    assert all(count > 0 for count in work.values())
    assert more("U") == (again * g.neurons, 0)
    depth = t.drive_depth * t.positions_per_cycle * g.kernels
    assert more("D") == (
        again * g.neurons + work["gather_issues"] * t.gather_lanes, work["gather_macs"] + again * t.count * depth
    )  # fmt: skip
    assert more("R") == (
        again * kept + work["scatter_issues"] * t.scatter_lanes,
        again * (kept + t.count * region) + work["scatter_macs"],
    )
    assert more("r~") == (0, work["residual_events"] + again * t.count * t.sent_depth * t.detect_lanes)
    assert more("event stores") == (work["scattered_events"], work["link_events"] + run.counts.refresh_events)
    x = has.memories["x"]
    assert (x.width, x.reads, x.writes) == (run.plan.input.width, again * run.input.size, run.input.size)
    assert "x" not in had.memories
    warm = frame_traffic(run, warm=True).memories["x"]
    assert (warm.reads, warm.writes) == ((again + 1) * run.input.size, run.input.size)
    parts = [part.memories for part in (step_traffic(run), load_traffic(run), drain_traffic(run))]
    for name, words in has.memories.items():
        for way in ("reads", "writes"):
            assert getattr(words, way) == sum(int(np.sum(getattr(p[name], way))) for p in parts if name in p), name
    assert int(has.links.sum()) == run.counts.link_events == int(run.steps.link_events.sum())
    dear, cheap = cost(run, 80.0), cost(plain, 80.0)
    assert dear is not None and cheap is not None and dear.energy_pj.typical > cheap.energy_pj.typical
    assert sum(run.steps.macs) == run.counts.macs and run.counts.as_dict()["refresh_events"] > 0


# ---- designs ---------------------------------------------------------------------------------------------------------
def test_simulate_takes_the_key() -> None:
    image = np.random.default_rng(0).normal(0, 0.3, (2, 16, 24))
    dictionary = Dictionary.random(BASE.geometry, 1)
    runs = {
        schedule: simulate(image, BASE.replace(refresh=5, schedule=schedule), dictionary=dictionary)
        for schedule in ("delta", "skip", "dense")
    }
    assert runs["delta"].counts.refreshes == 2 and not any("refresh" in line for line in runs["delta"].warnings)
    for schedule in ("skip", "dense"):
        assert np.array_equal(runs[schedule].membrane, runs["delta"].membrane)
        assert any("machine.refresh 5 changes nothing" in line for line in runs[schedule].warnings)


def test_refused() -> None:
    with pytest.raises(InputError, match='machine.refresh 5 recomputes R and D, and machine.schedule "gram" keeps'):
        BASE.replace(schedule="gram", refresh=5).check_machine()
    for value in (-1, 65_536, 2.5, True):
        with pytest.raises(InputError, match="machine.refresh"):
            BASE.replace(refresh=value)


def test_the_store_of_the_input_is_there_only_with_a_refresh() -> None:
    assert planned(BASE)[0].frame_store[0] == 0
    plan = planned(BASE.replace(refresh=1))[0]
    assert plan.frame_store == (2 * 16 * 24, plan.input.width)
