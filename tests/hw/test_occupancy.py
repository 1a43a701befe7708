"""Where the clocks go: the machine's numbers against the wires of the RTL, and against a count by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.vcd import Changes, at, by_clock, read_vcd

from striate.golden.dictionary import Dictionary
from striate.golden.errors import InputError
from striate.golden.images import load_image
from striate.hw.tile import trace_members
from striate.hw.verify import verify
from striate.sim.design import Design
from striate.sim.fixed import quantise
from striate.sim.machine import Machine
from striate.sim.plan import Plan
from striate.sim.run import Run
from striate.sim.timing import Phase
from striate.sim.trace.occupancy import Occupancy
from striate.sim.trace.recorder import Recorder, Trace

STEPS = 5
DESIGN = Design(image=(12, 8), kernels=2, patch=4, stride=2, tiles=(2, 1), gather_lanes=4, scatter_lanes=2,
                detect_lanes=1, link_depth=2, threshold=0.05, step_shift=2, preprocess="none", steps=STEPS)  # fmt: skip
DICTIONARY = Dictionary.random(DESIGN.geometry, 3)
PICTURE = load_image("camera", crop=(104, 212), size=(12, 8), preprocess="none")


def traced(design: Design = DESIGN) -> tuple[Trace, Run]:
    weights = quantise(DICTIONARY.atoms, design.formats.weight)
    plan = Plan.of(design, weights)
    recorder = Recorder(plan, (0, 0))
    run = Machine(plan, weights).frame(plan.quantise_image(PICTURE), STEPS, observe=recorder.observe)
    return Trace.of(run, recorder), run


def test_the_wires_of_the_rtl_say_the_same(tmp_path: Path) -> None:
    """Phases, writes of D and of R, and code events counted on the wave: nothing of the model takes part."""
    trace, run = traced()
    found = Occupancy.of(trace)
    assert found.pauses > 0 and min(found.as_dict().values()) > 0, "a use of the clocks that does not occur"
    assert found.products < found.gather * found.lanes, "no issue leaves a lane unused"
    names = ("phase", "d_en", "r_en", "event")
    assert verify(DESIGN, picture=PICTURE, dictionary=DICTIONARY, wave=tmp_path / "rtl.vcd", jobs=1).passed
    tiles = run.plan.tiling.count
    wanted = {f"tile{n}.trace_{name}" for n in range(tiles) for name in names}
    widths, changes = read_vcd(tmp_path / "rtl.vcd", lambda name: name in wanted)
    assert len(changes) == len(wanted)
    members = trace_members(run.plan)
    last = max(clock for signal in changes.values() for clock, _ in by_clock(signal))
    clocks = list(range(last + 1))
    spent = dict.fromkeys(Phase, 0)
    gather = scatter = products = 0
    for n in range(tiles):
        values = {name: _levels(by_clock(changes[f"tile{n}.trace_{name}"]), clocks) for name in names}
        assert widths[f"tile{n}.trace_d_en"] == members["d_en"]
        phase = values["phase"]
        begin = int(np.flatnonzero(phase == Phase.GATHER)[0])
        end = int(np.flatnonzero(phase == Phase.DRAIN)[0])
        for which in Phase:
            spent[which] += int((phase[begin:end] == which).sum())
        # a write comes 6 clocks after its issue, never in CLEAR; the input writes R before the first gather
        gather += int((values["d_en"][begin : end + 6] != 0).sum())
        scatter += int((values["r_en"][begin : end + 6] != 0).sum())
        per = run.plan.tiling.kernels_per_cycle
        products += per * sum(int(word).bit_count() for word in values["d_en"][begin : end + 6])
    assert spent[Phase.GATHER] == found.in_gather and gather == found.gather
    assert products == found.products == run.counts.gather_macs
    assert scatter == found.scatter
    assert sum(spent.values()) == found.total
    assert found.busy == gather / spent[Phase.GATHER]
    assert found.lanes_busy == products / (spent[Phase.GATHER] * DESIGN.machine.gather_lanes)


def _levels(changes: Changes, clocks: list[int]) -> np.ndarray:
    """The value in every clock."""
    known = [c for c in clocks if c >= changes[0][0]]
    return np.array([0] * (len(clocks) - len(known)) + at(changes, known), object)


def test_every_clock_is_counted_once() -> None:
    trace, run = traced()
    found = Occupancy.of(trace)
    assert run.cycles is not None
    rows = trace.spans
    inside = (rows[:, 1] >= 0) & (rows[:, 1] < STEPS)
    assert found.total == int((rows[inside, 4] - rows[inside, 3]).sum())
    for name, value in found.as_dict().items():
        assert value >= 0, name
    assert 0 < found.lanes_busy <= found.busy <= 1 and found.imbalance >= 1
    assert found.waits == pytest.approx(found.waiting / found.total)


def test_one_tile_waits_for_nobody() -> None:
    found = Occupancy.of(traced(DESIGN.replace(tiles=(1, 1)))[0])
    assert found.waiting == 0 and found.imbalance == 1


def test_what_was_not_observed_is_refused() -> None:
    weights = quantise(DICTIONARY.atoms, DESIGN.formats.weight)
    plan = Plan.of(DESIGN, weights)
    run = Machine(plan, weights).frame(plan.quantise_image(PICTURE), STEPS)
    with pytest.raises(InputError, match="did not observe every step"):
        Occupancy.of(Trace.of(run, Recorder(plan)))
