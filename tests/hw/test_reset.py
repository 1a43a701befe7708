"""Reset at every place of a frame: the next cold frame must be right, whatever was going on."""

import re
from pathlib import Path

import numpy as np
import pytest

from striate.golden.dictionary import Dictionary
from striate.hw.emit import MESH_FILE, TILE_FILE, verilog
from striate.hw.verify import Frame, Handshakes, Verdict, verify_frames
from striate.sim.design import Design
from striate.sim.fixed import quantise
from striate.sim.machine import Machine
from striate.sim.plan import Plan

TINY = Design(
    image=(16, 16), kernels=2, patch=4, stride=2, preprocess="none", tiles=(2, 2), gather_lanes=4, scatter_lanes=2,
    detect_lanes=2, link_depth=2, threshold=0.05, residual_cutoff=0.03, step_shift=3, steps=4,
)  # fmt: skip


def sweep(folder: Path, edit: tuple[str, str] | None = None, every: int = 31) -> Verdict:
    """A frame broken off by one clock of reset, then a stalled cold one; and so on, through the whole frame."""
    weights = quantise(Dictionary.random(TINY.geometry, 3).atoms, TINY.formats.weight)
    plan = Plan.of(TINY, weights)
    image = plan.quantise_image(np.random.default_rng(2).standard_normal(TINY.geometry.image_shape) * 0.3)
    for name, text in verilog(plan).items():
        if edit is not None and name == TILE_FILE:
            text, count = re.subn(edit[0], edit[1], text)
            assert count == 1, f"{count} places are {edit[0]!r}"
        (folder / name).write_text(text)
    whole = Machine(plan, weights).frame(image, 4)
    assert whole.cycles is not None and whole.counts.rounds > 4 * 4, "the frame must take several rounds a step"
    frames: list[Frame] = []
    for n in range(3, whole.cycles.frame, every):
        stalled = Handshakes(seed=n, stall_in=30, stall_out=120)
        frames += [Frame(image, 4, reset_after=n), Frame(image, 2, handshakes=stalled)]
    return verify_frames(plan, weights, frames, folder / TILE_FILE, folder / MESH_FILE)


def test_reset_anywhere_leaves_a_machine_that_starts_afresh(tmp_path: Path) -> None:
    verdict = sweep(tmp_path)
    assert verdict.passed, verdict.first_divergence


@pytest.mark.parametrize(
    ("register", "width"),
    [(r"\\control\.phase ", 4), (r"\\drain\$\d+\.fsm_state ", 3), (r"\\drain\$\d+\.queue\.level ", 2)],
)
def test_a_register_that_reset_forgets_is_noticed(register: str, width: int, tmp_path: Path) -> None:
    pattern = rf"if \(rst\) {register}\s*<= {width}'h0;\s*else "
    verdict = sweep(tmp_path, (pattern, ""), every=61)
    assert not verdict.passed
