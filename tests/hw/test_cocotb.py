"""The cocotb benches on Verilator: the complete mesh through its ports, against the machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from striate.golden.dictionary import Dictionary
from striate.golden.errors import InputError
from striate.hw.cosim.run import run_bench
from striate.hw.emit import TILE_FILE, emit
from striate.hw.verilated import CocotbResults
from striate.sim.design import Design

TESTS = 6  # of hw/cosim/bench.py

SMALL: dict[str, dict[str, Any]] = {
    "one tile, stride 1": dict(
        image=(8, 10), kernels=3, patch=5, stride=1, gather_lanes=6, scatter_lanes=4, detect_lanes=2,
        update_positions=2,
    ),
    "2x2 tiles, links of 2, settling": dict(
        image=(12, 12), kernels=2, patch=4, stride=2, tiles=(2, 2), gather_lanes=4, scatter_lanes=4, detect_lanes=4,
        link_depth=2, code="u4.3", threshold=0.25, steps=24, settle=1,
    ),
    "2x1 tiles, two-sided, soft, 2 channels": dict(
        image=(12, 8), channels=2, kernels=4, patch=6, stride=2, tiles=(2, 1), gather_lanes=2, scatter_lanes=2,
        detect_lanes=1, link_depth=3, transfer="soft", two_sided=True, code="s9.7",
    ),
}  # fmt: skip
LARGE: dict[str, dict[str, Any]] = {
    "3x3 tiles, links of 1": dict(
        image=(18, 18), kernels=5, patch=8, stride=2, tiles=(3, 3), gather_lanes=10, scatter_lanes=8, detect_lanes=2,
        link_depth=1, steps=4,
    ),
    "1x4 tiles, stride 4, wrapping": dict(
        image=(8, 32), channels=2, kernels=8, patch=8, stride=4, tiles=(1, 4), gather_lanes=4, scatter_lanes=16,
        detect_lanes=8, link_depth=5, residual="s9.8:half_even:wrap", residual_accumulator=16, steps=4,
    ),
}  # fmt: skip


def design_of(keys: dict[str, Any]) -> Design:
    return Design(**{"tiles": (1, 1), "preprocess": "none", "threshold": 0.1, "step_shift": 2, "steps": 3, **keys})


def bench(name: str, out: Path, seed: int = 4) -> CocotbResults:
    design = design_of((SMALL | LARGE)[name])
    return run_bench(design, out, dictionary=Dictionary.random(design.geometry, 3), seed=seed, optimize=0)


@pytest.mark.parametrize("name", SMALL)
def test_benches_pass(name: str, tmp_path: Path) -> None:
    results = bench(name, tmp_path)
    assert results.ok and results.passed == TESTS, f"{results.failures}\n{results.tail}"


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL | LARGE)
def test_benches_pass_with_other_images_and_on_larger_designs(name: str, tmp_path: Path) -> None:
    results = bench(name, tmp_path, seed=100)
    assert results.ok and results.passed == TESTS, f"{results.failures}\n{results.tail}"


def test_benches_see_an_edited_folder(tmp_path: Path) -> None:
    """The exit queue forgets to hold its beat: only a stalled receiver shows it, and the bench says what moved."""
    design = design_of(SMALL["one tile, stride 1"])
    dictionary = Dictionary.random(design.geometry, 3)
    emit(design, tmp_path / "edited", dictionary=dictionary)
    tile = tmp_path / "edited" / TILE_FILE
    right = r".queue.o__valid  & codes__ready;"
    assert tile.read_text().count(right) == 1
    tile.write_text(tile.read_text().replace(right, r".queue.o__valid ;"))
    results = run_bench(design, tmp_path / "run", dictionary=dictionary, rtl=tmp_path / "edited", seed=4, optimize=0)
    assert not results.ok
    failed = {name.rpartition(".")[2] for name in results.failures}
    assert "back_pressure" in failed and "cold_frame" not in failed, failed
    said = results.log.read_text()
    assert "while stalled" in said or "before the beat was taken" in said


def test_design_without_hardware_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="schedule"):
        run_bench(Design(schedule="dense"), tmp_path)
