"""Refresh in gates: every word of R, D, r~ and U at its end and every clock of it; and faults in it are noticed."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from striate.golden.dictionary import Dictionary
from striate.hw.cosim.random_design import draw, refreshing
from striate.hw.cosim.run import run_bench
from striate.hw.emit import MESH_FILE, TILE_FILE, verilog
from striate.hw.feed import Front
from striate.hw.tile import tile_signature
from striate.hw.verify import Frame, Handshakes, Verdict, verify_frames
from striate.hw.verilog import to_rtlil
from striate.sim.design import Design
from striate.sim.fixed import quantise
from striate.sim.machine import Machine
from striate.sim.plan import Plan

BASE = Design(
    image=(16, 16), channels=2, kernels=2, patch=4, stride=2, preprocess="none", tiles=(2, 2), gather_lanes=4,
    scatter_lanes=2, detect_lanes=2, link_depth=2, threshold=0.05, residual_cutoff=0.03, step_shift=[[0, 3], [3, 2]],
    steps=7, refresh=2,
)  # fmt: skip
CALM = BASE.replace(channels=1, tiles=(1, 4), settle=1, steps=60, refresh=4, code="u4.3", threshold=0.25, step_shift=2)


def check(
    design: Design, folder: Path, frames: list[Frame] | None = None, edits: dict[str, str] | None = None
) -> Verdict:
    """A cold frame, a warm one with every port stalled, another one and a cold one; with edits (pattern -> text), each
    of which must fit one place of the Verilog."""
    weights = np.asarray(quantise(Dictionary.random(design.geometry, 3).atoms, design.formats.weight), np.int64)
    plan = Plan.of(design, weights)
    rng = np.random.default_rng(2)
    one, two = (plan.quantise_image(rng.standard_normal(design.geometry.image_shape) * 0.3) for _ in range(2))
    files, places = verilog(plan), dict.fromkeys(edits or {}, 0)
    for name, text in files.items():
        for pattern, other in (edits or {}).items():
            text, count = re.subn(pattern, other, text)
            places[pattern] += count
        (folder / name).write_text(text)
    assert all(count == 1 for count in places.values()), places
    steps = design.dynamics.steps
    stalled = Handshakes(seed=5, stall_in=90, stall_out=120)
    frames = frames or [
        Frame(one, steps), Frame(two, steps, warm=True, handshakes=stalled), Frame(one, steps, warm=True),
        Frame(two, steps),
    ]  # fmt: skip
    return verify_frames(plan, weights, frames, folder / TILE_FILE, folder / MESH_FILE)


DESIGNS: dict[str, Design] = {
    "2x2 tiles, two channels, a step shift that changes": BASE,
    "settling, four tiles in a row": CALM,
    "one pixel": BASE.replace(
        image=(1, 1), channels=1, patch=1, stride=1, tiles=(1, 1), refresh=1, scatter_lanes=1, detect_lanes=1
    ),
    "before every step, a word of R that wraps": BASE.replace(refresh=1, steps=3, residual_accumulator=13),
}
FAST = list(DESIGNS)[:2]


@pytest.mark.parametrize("name", [n if n in FAST else pytest.param(n, marks=pytest.mark.slow) for n in DESIGNS])
def test_words_and_clocks_agree(name: str, tmp_path: Path) -> None:
    design = DESIGNS[name]
    verdict = check(design, tmp_path)
    assert verdict.passed, verdict.first_divergence
    assert verdict.cycles_rtl == verdict.cycles_model > 0
    if not design.dynamics.settle:
        assert verdict.refreshes == 4 * ((design.dynamics.steps - 1) // design.machine.refresh)
    assert verdict.refreshes > 0 and verdict.as_dict()["refreshes"] == verdict.refreshes


@pytest.mark.slow
@pytest.mark.parametrize("tiles", [(6, 1), (3, 3), (1, 6)])
def test_all_tiles_of_larger_meshes_are_waited_for(tiles: tuple[int, int], tmp_path: Path) -> None:
    verdict = check(BASE.replace(image=(8 * tiles[0], 8 * tiles[1]), tiles=tiles, refresh=1, steps=4), tmp_path)
    assert verdict.passed and verdict.refreshes == 12, verdict.first_divergence


def test_reset_in_a_refresh_leaves_a_machine_that_starts_afresh(tmp_path: Path) -> None:
    """Broken off by a clock of reset every 97 clocks from the first refresh to the end of the second."""
    design = BASE.replace(steps=5)
    weights = quantise(Dictionary.random(design.geometry, 3).atoms, design.formats.weight)
    plan = Plan.of(design, weights)
    image = plan.quantise_image(np.random.default_rng(2).standard_normal(design.geometry.image_shape) * 0.3)
    run = Machine(plan, weights).frame(image, 5)
    assert run.cycles is not None and run.counts.refreshes == 2
    places = range(int(run.cycles.refreshes[0, :, 0].min()), int(run.cycles.refreshes[1, :, 1].max()), 97)
    frames = [frame for n in places for frame in (Frame(image, 5, reset_after=n), Frame(image, 3))]
    verdict = check(design, tmp_path, frames)
    assert verdict.passed and verdict.refreshes >= len(places) > 10, verdict.first_divergence


def test_random_designs_refresh_in_a_part_and_are_otherwise_the_same() -> None:
    drawn = [draw(7, n) for n in range(8)]
    again = [refreshing(d) for d in drawn]
    found = [d.plan.refresh for d in again]
    assert 2 <= sum(n > 0 for n in found) <= 6 and found == [refreshing(d).plan.refresh for d in drawn]
    for one, two in zip(drawn, again, strict=True):
        assert replace(two.plan, refresh=0) == one.plan and two.design.machine.refresh == two.plan.refresh
        assert two.properties["refresh"] == two.plan.refresh
        assert (two.frame_cycles > one.frame_cycles) == (two.plan.refresh > 0)


def test_the_machine_without_refresh_has_nothing_of_it() -> None:
    weights = quantise(Dictionary.random(BASE.geometry, 3).atoms, BASE.formats.weight)
    for refresh in (0, 2):
        plan = Plan.of(BASE.replace(refresh=refresh), weights)
        signature = tile_signature(plan)
        ports = {"__".join(map(str, path)) for path, _, _ in signature.flatten(signature.create())}
        assert ("trace_refreshed" in ports) == ("ready" in ports) == ("east_ready" in ports) == (refresh > 0)
        assert ("memory " in to_rtlil(Front(plan), "front")) == (refresh > 0)


@pytest.mark.slow
def test_the_cocotb_bench_watches_a_refresh(tmp_path: Path) -> None:
    design = BASE.replace(image=(8, 16), tiles=(1, 2), steps=5)
    results = run_bench(design, tmp_path / "run", dictionary=Dictionary.random(design.geometry, 3), seed=4, optimize=0)
    assert results.ok, f"{results.failures}\n{results.tail}"


FAULTS: dict[str, tuple[Design, str, str]] = {
    "codes leave as changes": (BASE, r"(assign drain = \w+) \| \\control\.refreshing ", r"\1"),
    "neighbours are still last": (BASE, r"(assign \w+ = \\exchange\.step ) \| again;", r"\1;"),
    "of a warm frame the change alone is kept": (BASE, r"keep_warm \? .* (: \d+'h0+;)", r"1'h0 ? 1'h0 \1"),
    "a cold frame is added to what was kept": (BASE, r"keep_warm (\? .* : \d+'h0+;)", r"1'h1 \1"),
    "codes count as late events": (BASE, r"(assign \\control\.pushed  = trace_event) & \w+;", r"\1;"),
    "the front hears of the first tile alone": (BASE, r"else ready <= \w+;", r"else ready <= \\control.ready ;"),
    "codes are news and changes": (CALM, r"(assign \\drain\$\d+\.pushed  = trace_event) & \w+;", r"\1;"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_noticed(name: str, tmp_path: Path) -> None:
    design, pattern, other = FAULTS[name]
    assert not check(design, tmp_path, edits={pattern: other}).passed
