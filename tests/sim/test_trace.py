"""What the recorder counts and when things happen: against the run's own totals, its phases and its state."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from striate.golden.errors import InputError
from striate.hw.cosim.random_design import draw
from striate.sim.machine import Machine
from striate.sim.run import StepView
from striate.sim.timing import Phase
from striate.sim.trace.clocks import LOAD, rounds_of, services, step_cycles, token_waits
from striate.sim.trace.recorder import UNITS, Recorder, Trace
from striate.sim.trace.timeline import nanoseconds, timeline, write_timeline
from striate.sim.trace.vcd import write_vcd


def traced(seed: int, steps: tuple[int, int] | None = None) -> tuple[Trace, list[np.ndarray]]:
    """A random design's cold frame with r~ after every step, which nothing here had a hand in; half of them refresh."""
    design = draw(seed, 0)
    plan = replace(design.plan, refresh=(0, 3, 0, 5)[seed % 4])
    recorder = Recorder(plan, steps)
    sent: list[np.ndarray] = []

    def observe(view: StepView) -> None:
        recorder.observe(view)
        sent.append(view.sent.copy())

    machine = Machine(plan, design.weights)
    run = machine.frame(design.images[0], design.steps, observe=observe, refreshed=recorder.refreshed)
    return Trace.of(run, recorder), sent


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_counts_by_tile_sum_to_those_of_the_run(seed: int) -> None:
    trace, sent = traced(seed)
    run, arrays, tiling = trace.run, trace.arrays(), trace.run.plan.tiling
    assert (arrays["tile_code_events"].sum(axis=1) == run.steps.code_events).all()
    assert (arrays["tile_residual_events"].sum(axis=1) == run.steps.residual_events).all()
    assert (arrays["link_step_events"].sum(axis=(1, 2)) == run.steps.link_events).all()
    assert (arrays["link_step_events"].sum(axis=0) == run.link_traffic).all()
    assert (arrays["link_step_events"] == run.steps.link_traffic).all()
    before = np.zeros(tiling.geometry.image_shape, np.int64)
    for step, regions in enumerate(sent):  # pixels of the image, each once, whichever tile shows it
        if run.steps.refreshes[step]:
            before = np.zeros_like(before)
        now = np.zeros_like(before)
        for tile in range(tiling.count):
            (y0, x0), (y_low, y_high, x_low, x_high) = tiling.origin(tile), tiling.inside(tile)
            now[:, y0 + y_low : y0 + y_high, x0 + x_low : x0 + x_high] = regions[tile, :, y_low:y_high, x_low:x_high]
        assert arrays["changed_residuals"][step] == np.count_nonzero(now != before)
        before = now


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_spans_fill_the_frame_and_events_lie_in_theirs(seed: int) -> None:
    trace, _ = traced(seed)
    run, tiles = trace.run, trace.run.plan.tiling.count
    assert run.cycles is not None
    for tile in range(tiles):
        rows = trace.spans[trace.spans[:, 0] == tile]
        assert (rows[1:, 3] == rows[:-1, 4]).all() and rows[-1, 4] == run.cycles.frame
        assert rows[0, 1] == LOAD and rows[-1, 1] == trace.steps
        again = rows[:, 1] < LOAD
        assert (np.diff(np.where(again, LOAD - rows[:, 1], rows[:, 1])) >= 0).all()
        ends = [rows[rows[:, 1] == LOAD - n] for n in run.steps.refreshes.nonzero()[0]]
        pairs = np.array([(mine[0, 3], mine[-1, 4]) for mine in ends]).reshape(-1, 2)
        assert np.array_equal(pairs, run.cycles.refreshes[:, tile])
        for step in run.steps.refreshes.nonzero()[0].tolist():
            mine, left = rows[rows[:, 1] == LOAD - step], trace.resent_clocks(step, tile)
            assert mine[0, 2] == Phase.REFRESH and mine[-1, 2] == Phase.FLUSH
            assert len(left) == len(trace.recorder.resent[step][tile]) and (np.diff(left) > 0).all()
            updates = mine[mine[:, 2] == Phase.UPDATE]
            assert ((left[:, None] >= updates[:, 3]) & (left[:, None] < updates[:, 4])).any(axis=1).all()
        assert (rows[rows[:, 2] == Phase.GATHER, 1] == np.arange(trace.steps)).all()
        for step in range(trace.steps):
            mine = rows[rows[:, 1] == step]
            assert mine[-1, 4] - 1 == run.steps.end_cycle[step, tile]
            codes, (entered, taken) = trace.code_clocks(step, tile), trace.pixel_clocks(step, tile)
            updates, gather = mine[mine[:, 2] == Phase.UPDATE], mine[mine[:, 2] == Phase.GATHER][0]
            assert len(codes) == len(trace.recorder.codes[step][tile]) and (np.diff(codes) > 0).all()
            inside = (codes[:, None] >= updates[:, 3]) & (codes[:, None] < updates[:, 4])
            assert (inside.sum(axis=0) <= run.plan.link_depth).all() and inside.any(axis=1).all()
            assert (np.diff(entered) > 0).all() and (taken > entered).all() and (np.diff(taken) > 0).all()
            assert not len(taken) or gather[3] <= entered[0] and taken[-1] < gather[4]
    spent = step_cycles(trace.spans, trace.steps, tiles)
    load = trace.spans[trace.spans[:, 1] == LOAD, 3].reshape(tiles, -1)[:, 0]
    outside = trace.spans[(trace.spans[:, 1] <= LOAD) | (trace.spans[:, 1] == trace.steps)]
    rest = np.bincount(outside[:, 0], weights=outside[:, 4] - outside[:, 3], minlength=tiles)
    assert (spent.sum(axis=(0, 2)) + rest + load == run.cycles.frame).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_waits_for_tokens_explain_every_clock_of_scatter(seed: int) -> None:
    """Service, looks and waits of each round end it in exactly the clock in which the machine ended it."""
    trace, _ = traced(seed)
    plan, arrays = trace.run.plan, trace.arrays()
    for step, codes in trace.recorder.codes.items():
        counts = np.array([len(rows) for rows in codes])
        scatters = [trace.of_step(step, tile, Phase.SCATTER) for tile in range(plan.tiling.count)]
        waits, ends = token_waits(services(codes, plan)[0], counts, scatters, plan)
        for tile in range(plan.tiling.count):
            rows = trace.spans[(trace.spans[:, :3] == (tile, step, Phase.SCATTER)).all(axis=1)]
            assert len(rows) == rounds_of(counts, plan)[1][tile] and ends[tile] == (rows[:, 4] - 1).tolist()
            waited = sum(after - first for t, _, first, after in waits if t == tile)
            assert waited == arrays["cycles_token_wait"][step, tile]
    if plan.tiling.count == 1:
        assert not len(trace.token_waits)
    assert (arrays["cycles_token_wait"] <= arrays["cycles_scatter"]).all()


def test_every_array_has_its_unit_and_shape() -> None:
    trace, _ = traced(3)
    arrays, steps, tiles = trace.arrays(), trace.steps, trace.run.plan.tiling.count
    assert arrays.keys() <= UNITS.keys()
    for name, array in arrays.items():
        shape = UNITS[name].partition(")")[0].lstrip("(")
        want = {"S": steps, "T": tiles, "8": 8, "5": 5}
        axes = [part.strip() for part in shape.split(",") if part.strip()]
        assert len(axes) == array.ndim, name
        assert all(have == want.get(axis, have) for have, axis in zip(array.shape, axes, strict=True)), name


def test_a_range_keeps_the_events_of_its_steps_and_counts_all() -> None:
    trace, _ = traced(3, (2, 5))
    assert trace.recorder.steps == (2, 5) and len(trace.arrays()["tile_code_events"]) == trace.steps
    with pytest.raises(InputError, match="A:B with 0 <= A < B, not 5:2"):
        Recorder(trace.run.plan, (5, 2))


def test_a_recorder_stops_keeping_events_before_memory_ends(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    whole, _ = traced(3)
    found = whole.recorder
    sizes = {
        kind: np.cumsum([sum(len(rows) for rows in getattr(found, kind)[n]) for n in range(whole.steps)])
        for kind in ("codes", "pixels")
    }
    most = int(sizes["pixels"][2])
    monkeypatch.setattr("striate.sim.trace.recorder.MOST_EVENTS", most)
    trace, _ = traced(3)
    for kind, range_ in (("codes", trace.recorder.steps), ("pixels", trace.recorder.pixel_steps)):
        assert range_ == (0, int((sizes[kind] <= most).sum())), kind
    assert trace.recorder.pixel_steps[1] < trace.recorder.steps[1]
    write_vcd(tmp_path / "part.vcd", trace)
    write_vcd(tmp_path / "whole.vcd", whole)
    part, all_ = ((tmp_path / f"{name}.vcd").read_text().splitlines() for name in ("part", "whole"))
    unknown = next(n for n, line in enumerate(part) if line.startswith("x"))  # the first clock of the step not kept
    assert part[: unknown - 20] == all_[: unknown - 20] and unknown > 200


# ---- Chrome trace events ---------------------------------------------------------------------------------------------
REQUIRED = {"X": {"name", "pid", "tid", "ts", "dur", "args"}, "C": {"name", "pid", "ts", "args"},
            "M": {"name", "pid", "args"}}  # fmt: skip


def check_format(whole: dict[str, Any]) -> None:
    """The rules of the format: keys by kind of event, numbers, and slices of a thread that nest."""
    assert {"traceEvents", "displayTimeUnit"} <= whole.keys() and whole["displayTimeUnit"] in ("ms", "ns")
    threads: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    counters: dict[str, float] = {}
    named = set()
    for event in whole["traceEvents"]:
        assert REQUIRED[event["ph"]] <= event.keys(), event
        if event["ph"] == "X":
            assert event["ts"] >= 0 and event["dur"] >= 0
            # a reader keeps whole nanoseconds
            threads[event["pid"], event["tid"]].append((int(event["ts"] * 1e3), round(event["dur"] * 1e3)))
        elif event["ph"] == "C":
            assert event["ts"] >= counters.get(event["name"], 0.0)
            assert all(isinstance(value, int | float) for value in event["args"].values())
            counters[event["name"]] = event["ts"]
        elif event["name"] == "thread_name":
            named.add((event["pid"], event["tid"]))
    assert threads.keys() <= named and len({tid for _, tid in named}) == len(named) and all(tid > 0 for _, tid in named)
    for slices in threads.values():
        open_: list[int] = []
        for begin, long in sorted(slices, key=lambda s: (s[0], -s[1])):
            while open_ and open_[-1] <= begin:
                open_.pop()
            assert not open_ or begin + long <= open_[-1]
            assert len(open_) < 2
            open_.append(begin + long)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([80.0, 33.3, 100.0, 48.123]))
def test_the_timeline_is_valid_and_says_what_the_phases_say(seed: int, clock_mhz: float) -> None:
    trace, _ = traced(seed)
    whole = json.loads(json.dumps(timeline(trace, clock_mhz), allow_nan=False))
    check_format(whole)
    assert trace.run.cycles is not None
    slices = [event for event in whole["traceEvents"] if event["ph"] == "X"]
    names = {phase.name.lower() for phase in Phase}
    for tile in range(trace.run.plan.tiling.count):
        mine = [e for e in slices if (e["pid"], e["tid"]) == (1, tile + 1) and e["name"] in names]
        rows = trace.spans[(trace.spans[:, 0] == tile) & (trace.spans[:, 4] > trace.spans[:, 3])]
        assert [(e["name"], e["args"]["cycle"], e["args"]["cycles"]) for e in mine] == [
            (Phase(phase).name.lower(), first, after - first) for _, _, phase, first, after in rows.tolist()
        ]
        whole_ns = nanoseconds(trace.run.cycles.frame, clock_mhz) - nanoseconds(int(rows[0, 3]), clock_mhz)
        assert sum(round(e["dur"] * 1e3) for e in mine) == whole_ns
    waits = sum(e["args"]["cycles"] for e in slices if e["name"] == "wait for a token")
    assert waits == trace.arrays()["cycles_token_wait"].sum()
    assert sum(e["args"]["events"] for e in slices if e["pid"] == 2) == trace.run.counts.link_events
    active = [e["args"]["neurons"] for e in whole["traceEvents"] if e["name"] == "active codes"]
    assert active == trace.run.steps.active.tolist()


def test_a_timeline_of_some_steps(tmp_path: Path) -> None:
    trace, _ = traced(3, (2, 4))
    write_timeline(tmp_path / "t.json", trace, 80.0)
    whole = json.loads((tmp_path / "t.json").read_text())
    check_format(whole)
    steps = {e["args"]["step"] for e in whole["traceEvents"] if e["ph"] == "X"}
    assert steps == {2, 3} and whole["otherData"]["steps_shown"] == [2, 4] and whole["otherData"]["clock_mhz"] == 80
    assert [p.name for p in tmp_path.iterdir()] == ["t.json"]
