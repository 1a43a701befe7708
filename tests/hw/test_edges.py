"""Legal designs at the edge of what is legal, where random draws seldom or never go."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from striate.hw.emit import MESH_FILE, TILE_FILE, verilog
from striate.hw.verify import Frame, Handshakes, verify_frames
from striate.sim.design import Design
from striate.sim.plan import Plan

BASE: dict[str, Any] = dict(
    image=(4, 4), kernels=2, patch=4, stride=2, tiles=(1, 1), gather_lanes=2, scatter_lanes=2, detect_lanes=2,
    preprocess="none", residual_accumulator=0, threshold=0.1, steps=6,
)  # fmt: skip
EDGES: dict[str, dict[str, Any]] = {
    "rounds away more bits than there are": dict(step_shift=24, membrane="s14.12:half_even"),
    "a shift of 64": dict(weight="s24.23", residual="s24.23", membrane="s8.6", step_shift=24),
    "r~ coarser than the word of R": dict(residual="s4.3:toward_zero", residual_accumulator=4),
    "more lanes than a machine word": dict(scatter_lanes=128, detect_lanes=128, gather_lanes=128),
    "patch as wide as the stride, six tiles in a row": dict(
        image=(3, 18), patch=3, stride=3, tiles=(1, 6), residual_cutoff=0.0, link_depth=1
    ),
    "a step that late in a frame": dict(image=(2, 2), patch=2, steps=300, step_shift=((0, 3), (257, 5))),
}


@pytest.mark.parametrize("name", EDGES)
def test_edge_designs_agree_to_the_word_and_the_cycle(name: str, tmp_path: Path) -> None:
    design = Design(**(BASE | EDGES[name]))
    rng = np.random.default_rng(1)
    high = design.formats.weight.high // 2
    weights = rng.integers(-high, high + 1, design.geometry.dictionary_shape)
    plan = Plan.of(design, weights)
    shape = plan.tiling.geometry.image_shape
    wild, extreme = rng.integers(plan.input.low, plan.input.high + 1, shape), np.full(shape, plan.input.low)
    for file, text in verilog(plan).items():
        (tmp_path / file).write_text(text)
    frames = [
        Frame(wild, design.dynamics.steps),
        Frame(extreme, 3, warm=True, handshakes=Handshakes(3, 120, 200)),
        Frame(extreme, 2),
        Frame(wild, 1, warm=True),
    ]
    verdict = verify_frames(plan, weights, frames, tmp_path / TILE_FILE, tmp_path / MESH_FILE)
    assert verdict.passed, verdict.first_divergence
    assert verdict.cycles_rtl == verdict.cycles_model > 0
