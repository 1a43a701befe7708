"""Patterns that once brought two touches of one word too close together."""

from pathlib import Path

import numpy as np
import pytest

from striate.hw.emit import MESH_FILE, TILE_FILE, verilog
from striate.hw.verify import Frame, verify_frames
from striate.sim.design import Design
from striate.sim.plan import Plan


@pytest.mark.parametrize("pattern", ["bottom-top-bottom", "all"])
def test_gather_waits_where_a_new_channel_starts_over_at_the_first_row(pattern: str, tmp_path: Path) -> None:
    """Events at the bottom of channel 0, the top of channel 1 and its bottom: the outer two share a word."""
    design = Design(
        image=(16, 4), channels=2, kernels=1, patch=4, stride=4, preprocess="none", tiles=(1, 1), gather_lanes=1,
        scatter_lanes=4, detect_lanes=4, threshold=0.3, residual_cutoff=0.0, steps=3,
    )  # fmt: skip
    weights = np.random.default_rng(0).integers(-60, 60, size=(1, 2, 4, 4))
    plan = Plan.of(design, weights)
    image = np.zeros((2, 16, 4), np.int64)
    image[0, 12:16] = image[1, 0, 0] = image[1, 12:16] = 200
    if pattern == "all":
        image[:] = 200
    for name, text in verilog(plan).items():
        (tmp_path / name).write_text(text)
    verdict = verify_frames(plan, weights, [Frame(image, 3)], tmp_path / TILE_FILE, tmp_path / MESH_FILE)
    assert verdict.passed, verdict.first_divergence
    assert verdict.cycles_rtl == verdict.cycles_model
