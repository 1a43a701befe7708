"""The same flips in the compiled RTL and in the simulator: every word of every step and every cycle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from striate.golden.dictionary import Dictionary
from striate.golden.errors import InputError
from striate.hw.cosim import faults as cosim_faults
from striate.hw.cosim.faults import FaultedMesh, build_faulted, faulted_source, placed
from striate.hw.cosim.harness import RAN_OUT, Handshakes, source
from striate.hw.cosim.random_design import draw
from striate.hw.emit import verilog
from striate.hw.faults import verify_faults
from striate.sim.design import Design
from striate.sim.fault import DROPPED, MEMORIES, Fault, random_fault, word_bits
from striate.sim.fixed import quantise
from striate.sim.plan import Plan

STEPS = 16


def made(**keys: Any) -> tuple[Plan, np.ndarray, np.ndarray]:
    """A mesh of 2x2 tiles with events on every link."""
    base: dict[str, Any] = dict(
        image=(16, 24), kernels=3, patch=6, stride=2, tiles=(2, 2), gather_lanes=6, scatter_lanes=4, detect_lanes=2,
        step_shift=2, threshold=0.1, link_depth=2, preprocess="none", residual_accumulator=0, steps=STEPS,
    )  # fmt: skip
    design = Design(**(base | keys))
    weights = np.asarray(quantise(Dictionary.random(design.geometry, 1).atoms, design.formats.weight), np.int64)
    plan = Plan.of(design, weights)
    picture = np.random.default_rng(1).standard_normal(design.geometry.image_shape) * 0.25
    return plan, weights, plan.quantise_image(picture)


def frames_of(plan: Plan, rng: np.random.Generator, count: int, each: int = 3) -> list[list[Fault]]:
    """Frames under flips of every kind, events that are dropped among them."""
    names = [name for name in MEMORIES if name != "link" or plan.tiling.count > 1]
    frames = []
    for _ in range(count):
        faults = [
            random_fault(plan, m, rng, step=int(rng.integers(1, STEPS)), events=3) for m in names for _ in range(each)
        ]
        lost = [replace(f, bit=DROPPED, step=f.step // 2) for f in faults if f.memory == "link"]
        frames.append([*faults, *lost])
    return frames


def test_rtl_equals_the_simulator_under_flips_of_every_kind() -> None:
    """Kind by kind and all together; the counts say that flips were met and did something."""
    plan, weights, x = made()
    rng = np.random.default_rng(7)
    single = [[random_fault(plan, m, rng, step=9, bit=word_bits(plan, m) - 2, events=2)] for m in MEMORIES]
    verdict = verify_faults(plan, weights, x, STEPS, [[], *single, *frames_of(plan, rng, 3)])
    assert verdict.passed, verdict.first_divergence
    told = verdict.as_dict()
    assert told["frames"] == 10 and verdict.steps == 10 * STEPS and told["faults"]["applied"] > 50
    stalled = verify_faults(plan, weights, x, STEPS, frames_of(plan, rng, 1), handshakes=Handshakes(3, 90, 140, 30))
    assert stalled.passed, stalled.first_divergence
    assert told["words_compared"] > 10 * STEPS * plan.tiling.geometry.neurons


def test_a_flip_in_one_of_them_alone_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    plan, weights, x = made()
    real, wanted = cosim_faults.rows, Fault("d", 2, (1, 2, 1), 9, 5)

    def other(p: Plan, faults: list[Fault]) -> np.ndarray:
        return real(p, [replace(f, bit=f.bit + 1) for f in faults])

    monkeypatch.setattr(cosim_faults, "rows", other)
    verdict = verify_faults(plan, weights, x, STEPS, [[wanted]])
    first = verdict.first_divergence
    assert not verdict.passed and first is not None and (first["tile"], first["step"]) == (2, 5)
    assert first["unit"].startswith("drive (k, i, j) = (1, ")
    with pytest.raises(InputError, match="no such tile"):
        verify_faults(plan, weights, x, STEPS, [[replace(wanted, tile=9)]])


def test_where_a_bit_lies() -> None:
    """By hand from the layouts of docs/dataflow.md: ppc 2, sl 4, pairs, dl 2, tw 6, Wr 16."""
    plan, _, _ = made()
    assert placed(plan, Fault("u", 0, (2, 1, 3), 5, 0)) == (0, 9, 2 * 14 + 5)
    assert placed(plan, Fault("d", 0, (1, 1, 3), 5, 0)) == (1, 3 + 1, plan.drive_width + 5)
    assert placed(plan, Fault("r", 0, (0, 2, 7), 5, 0)) == (1, 2 * 4 + 1, plan.residual_width + 5)
    assert placed(plan, Fault("s", 0, (0, 2, 7), 5, 0)) == (0, 2 * 8 + 3, 8 + 5)
    # gather: bank (-q) mod 2, word (a*s + phase)*NG + q div 2 with NG = 2; b = 5 is phase 1, q 2
    assert placed(plan, Fault("weight", 0, (0, 2, 0, 1, 5), 3, 0)) == (0, (1 * 2 + 1) * 2 + 1, 2 * 8 + 3)
    # scatter: word ((k*C + c)*p + a)*2 + g beyond the 24 of the gather part, 4 lanes of 6 in one word
    assert placed(plan, Fault("weight", 0, (1, 2, 0, 1, 5), 3, 0)) == (0, 24 + (2 * 6 + 1) * 2 + 1, 1 * 8 + 3)


@pytest.mark.slow
def test_a_lost_token_stops_the_mesh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events may be lost, the token that closes a round may not: its receiver waits for good, and so does the frame."""
    plan, weights, x = made()
    for name, text in verilog(plan).items():
        (tmp_path / name).write_text(text)
    real = cosim_faults.faulted_source

    def without_tokens(p: Plan) -> str:
        return real(p).replace("to_link(tile, link, bus);", "to_link(tile, link, bus & ~((uint64_t)2 << FAULT_EVENT));")

    monkeypatch.setattr(cosim_faults, "faulted_source", without_tokens)
    library = build_faulted(plan, tmp_path / "striate_tile.v", tmp_path / "striate.v")
    with FaultedMesh(plan, library) as rtl:
        rtl.load_weights(plan.layout.beats(weights))
        rtl.arm([Fault("link", 1, (3, 0), DROPPED, 9)], STEPS)
        seen = rtl.frame(np.moveaxis(x, 0, -1).reshape(-1), STEPS, limit=60_000)
    assert seen.status == RAN_OUT and len(seen.closing) == 0


def test_the_default_build_reaches_no_memory() -> None:
    """Flips are a build of their own, made of the same harness."""
    plan, _, _ = made()
    assert "turn_bit" in faulted_source(plan) and "turn_bit" not in source(plan)
    assert faulted_source(plan).endswith("}\n") and source(plan).count("to_tiles(*top.rootp, tile)") == 1


@pytest.mark.slow
def test_with_refresh() -> None:
    """Flips before, at and after a refresh; the refresh itself is compared as the steps are."""
    plan, weights, x = made(refresh=5)
    frames = frames_of(plan, np.random.default_rng(3), 4)
    at = [replace(fault, step=step) for fault, step in zip(frames[0], (4, 5, 6) * 20, strict=False)]
    verdict = verify_faults(plan, weights, x, STEPS, [[], at, *frames])
    assert verdict.passed, verdict.first_divergence
    assert verdict.as_dict()["faults"]["applied"] > 60


@pytest.mark.slow
@pytest.mark.parametrize("number", range(8))
def test_random_designs_under_flips(number: int) -> None:
    drawn = draw(11, number)
    rng = np.random.default_rng(number)
    plan, steps = drawn.plan, drawn.steps
    names = [name for name in MEMORIES if name != "link" or plan.tiling.count > 1]
    frames = [
        [random_fault(plan, m, rng, step=int(rng.integers(steps)), events=3) for m in names for _ in range(4)]
        for _ in range(4)
    ]
    verdict = verify_faults(plan, drawn.weights, drawn.images[0], steps, frames)
    assert verdict.passed, (drawn.text, verdict.first_divergence)
