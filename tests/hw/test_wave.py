"""The machine's VCD against the wave of the RTL: the same scopes and names, the same changes in the same clocks."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from support.vcd import at, by_clock, read_vcd

from striate.golden.dictionary import Dictionary
from striate.golden.images import load_image
from striate.hw.tile import trace_members
from striate.hw.verify import verify
from striate.sim.design import Design
from striate.sim.fixed import quantise
from striate.sim.machine import Machine, load_dictionary
from striate.sim.plan import Plan
from striate.sim.tiling import bits
from striate.sim.timing import Phase
from striate.sim.trace.recorder import Recorder, Trace
from striate.sim.trace.vcd import UNKNOWN, signals, wave_origin, write_vcd

STEPS = 6
TINY = Design(image=(8, 8), kernels=2, patch=4, stride=2, tiles=(2, 2), gather_lanes=2, scatter_lanes=4, detect_lanes=2,
              link_depth=1, threshold=0.02, step_shift=2, preprocess="none", steps=STEPS)  # fmt: skip
VALUES = ("event_k", "event_i", "event_j", "event_dy", "pixel_c", "pixel_y", "pixel_x", "pixel_dr")


def is_ours(name: str) -> bool:
    return bool(re.fullmatch(rf"tile\d+\.trace_({'|'.join(signals(PLAN))})", name))


def traced(design: Design, dictionary: Dictionary, picture: np.ndarray, steps: tuple[int, int] | None = None) -> Trace:
    weights = quantise(dictionary.atoms, design.formats.weight)
    plan = Plan.of(design, weights)
    recorder = Recorder(plan, steps)
    run = Machine(plan, weights).frame(
        plan.quantise_image(picture), design.dynamics.steps, observe=recorder.observe, refreshed=recorder.refreshed,
        reference=picture,
    )  # fmt: skip
    return Trace.of(run, recorder)


DICTIONARY = Dictionary.random(TINY.geometry, 1)
PICTURE = 0.3 * np.random.default_rng(6).standard_normal((1, 8, 8))
PLAN = Plan.of(TINY, quantise(DICTIONARY.atoms, TINY.formats.weight))


def compare(design: Design, dictionary: Dictionary, picture: np.ndarray, folder: Path) -> Trace:
    """Both files, signal by signal."""
    trace = traced(design, dictionary, picture)
    write_vcd(folder / "machine.vcd", trace)
    assert verify(design, picture=picture, dictionary=dictionary, wave=folder / "rtl.vcd", jobs=1).passed
    mine, theirs = (read_vcd(folder / name, is_ours) for name in ("machine.vcd", "rtl.vcd"))
    assert mine[0] == theirs[0] and len(mine[0]) == design.machine.tiles[0] * design.machine.tiles[1] * len(
        signals(trace.run.plan)
    )
    for name in mine[0]:
        ours, rtl = by_clock(mine[1][name]), by_clock(theirs[1][name])
        signal = name.partition("trace_")[2]
        if signal in VALUES:
            strobe = name.replace(signal, signal.partition("_")[0])
            pulses = by_clock(theirs[1][strobe])
            clocks = [c for begin, end in zip(pulses[::2], pulses[1::2], strict=True) for c in range(begin[0], end[0])]
            assert at([(0, 0), *ours], clocks) == at([(0, 0), *rtl], clocks), name
        else:
            assert ours == rtl, name
    return trace


def test_every_event_in_the_clock_of_the_rtl(tmp_path: Path) -> None:
    trace = compare(TINY, DICTIONARY, PICTURE, tmp_path)
    run = trace.run
    assert run.counts.link_events > 20 and run.counts.rounds > STEPS * run.plan.tiling.count  # several rounds a step


def test_a_refresh_in_the_clock_of_the_rtl(tmp_path: Path) -> None:
    run = compare(TINY.replace(refresh=2), DICTIONARY, PICTURE, tmp_path).run
    assert run.counts.refreshes == 2 and run.counts.refresh_events > 10


@pytest.mark.slow
def test_a_photograph_in_the_clock_of_the_rtl(tmp_path: Path) -> None:
    design = Design(image=(32, 32), tiles=(2, 2), steps=8)
    trace = compare(design, load_dictionary(design), load_image("camera", crop=(104, 212), size=(32, 32)), tmp_path)
    assert trace.run.counts.code_events > 100 and trace.run.counts.link_events > 20


@pytest.mark.slow
def test_a_frame_that_settles(tmp_path: Path) -> None:
    design = TINY.replace(threshold=0.3, settle=3, steps=150)
    trace = compare(design, DICTIONARY, PICTURE, tmp_path)
    assert trace.steps == trace.run.counts.steps < 150 and trace.run.settled


def test_phases_are_those_of_the_run(tmp_path: Path) -> None:
    trace = traced(TINY, DICTIONARY, PICTURE)
    write_vcd(tmp_path / "m.vcd", trace, origin=0)
    _, changes = read_vcd(tmp_path / "m.vcd", is_ours)
    assert trace.run.cycles is not None
    phases = trace.run.cycles.phases
    for tile in range(4):
        rows = [(int(c), int(p)) for t, p, c in phases if t == tile]
        assert by_clock(changes[f"tile{tile}.trace_phase"]) == rows
    assert sum(value == 1 for _, value in changes["tile0.trace_step_done"]) == STEPS
    codes = sum(len(c) for step in trace.recorder.codes.values() for c in step)
    assert codes == trace.run.counts.code_events


def test_a_range_of_steps_is_unknown_outside(tmp_path: Path) -> None:
    trace = traced(TINY, DICTIONARY, PICTURE, (2, 4))
    write_vcd(tmp_path / "m.vcd", trace, origin=0)
    whole = traced(TINY, DICTIONARY, PICTURE)
    write_vcd(tmp_path / "w.vcd", whole, origin=0)
    _, part = read_vcd(tmp_path / "m.vcd", is_ours)
    _, full = read_vcd(tmp_path / "w.vcd", is_ours)
    spans = trace.spans
    for tile in range(4):
        rows = spans[(spans[:, 0] == tile) & (spans[:, 1] >= 2) & (spans[:, 1] < 4)]
        inside = list(range(rows[0, 3], rows[-1, 4]))
        for name in ("phase", "step", "step_done", "event", "sent", "pixel", "taken"):
            ours, theirs = ([(0, 0), *by_clock(c[f"tile{tile}.trace_{name}"])] for c in (part, full))
            assert at(ours, inside) == at(theirs, inside), name
            assert ours[-1] == (rows[-1, 4], UNKNOWN)
        assert part[f"tile{tile}.trace_phase"][0] == (0, UNKNOWN)
        assert part[f"tile{tile}.trace_phase"][1] == (2 * rows[0, 3] - 1, Phase.GATHER)


def test_names_and_widths_are_those_of_the_tile() -> None:
    members = trace_members(PLAN)
    assert all(members[name] == width for name, width in signals(PLAN).items())
    assert bits(PLAN.tiling.geometry.kernels) == members["event_k"] and wave_origin(PLAN) > PLAN.layout.beat_count
