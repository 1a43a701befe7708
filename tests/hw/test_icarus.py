"""Icarus Verilog as a second simulator: it knows unknown values and schedules by itself. A program of the system."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cocotb.types import LogicArray

from striate.golden.dictionary import Dictionary
from striate.hw.cosim.run import run_bench
from striate.hw.cosim.tile_monitor import enabled_lanes
from striate.hw.toolchain import ToolError
from striate.hw.verilated import build_icarus
from striate.sim.design import Design

TESTS = 5  # of hw/cosim/bench.py, at least
DESIGNS: dict[str, dict[str, Any]] = {
    "one tile, stride 1": dict(
        image=(8, 10), kernels=3, patch=5, stride=1, gather_lanes=6, scatter_lanes=4, detect_lanes=2, update_positions=2
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


@pytest.mark.slow
@pytest.mark.program("iverilog", "iverilog")
@pytest.mark.parametrize("name", DESIGNS)
def test_benches_pass_on_icarus(name: str, tmp_path: Path) -> None:
    """The benches read every port as a number: one unknown bit where a word is looked at ends them."""
    keys = {"tiles": (1, 1), "preprocess": "none", "threshold": 0.1, "step_shift": 2, "steps": 3, **DESIGNS[name]}
    design = Design(**keys)
    dictionary = Dictionary.random(design.geometry, 3)
    results = run_bench(design, tmp_path / "run", dictionary=dictionary, seed=4, simulator="icarus", timeout=7200)
    assert results.ok and results.passed >= TESTS, f"{results.failures}\n{results.tail}"


def test_unknown_bits_count_where_a_lane_is_enabled() -> None:
    """An unknown bit in a lane that is not written is nobody's; in one that is written it ends the bench."""
    word = LogicArray("01X010")
    assert enabled_lanes(word, 2, [True, False, True]) == [2, 0, 1]
    for enables in ([True, True, True], [False, True, False]):
        with pytest.raises(AssertionError, match="lane 1 of 01X010 is unknown"):
            enabled_lanes(word, 2, enables)
    with pytest.raises(AssertionError, match="lane 3"):  # the port is narrower than the plan says
        enabled_lanes(word, 2, [True, False, True, True])


@pytest.mark.slow
@pytest.mark.program("iverilog", "iverilog")
def test_icarus_refuses_what_is_no_verilog(tmp_path: Path) -> None:
    source = tmp_path / "wrong.v"
    source.write_text("module top; nonsense endmodule\n")
    with pytest.raises(ToolError, match="iverilog: failed"):
        build_icarus([source], "top", tmp_path / "out")


def test_without_icarus_the_error_says_where_to_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("striate.hw.verilated.ICARUS", "no-such-iverilog")
    with pytest.raises(ToolError, match="striate doctor"):
        build_icarus([tmp_path / "any.v"], "top", tmp_path / "out")


@pytest.mark.parametrize("strict", [False, True])
def test_a_missing_program_is_said_and_fails_where_everything_must_run(strict: bool, tmp_path: Path) -> None:
    """The project's own conftest around one test that needs a program nobody has."""
    shutil.copy(Path(__file__).parents[1] / "conftest.py", tmp_path)
    (tmp_path / "test_one.py").write_text(
        "import pytest\n@pytest.mark.slow\n"
        "@pytest.mark.program('no-such-program', 'iverilog')\ndef test_one():\n    pass\n"
    )
    env = {name: value for name, value in os.environ.items() if name != "STRIATE_ALL"} | {
        "STRIATE_ALL": str(int(strict))
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *([] if strict else ["--all"]), "."]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert "not run: apt install iverilog" in done.stdout
    assert ("1 error" if strict else "1 skipped") in done.stdout  # pytest's word for what fails before a test begins
    assert done.returncode == int(strict)
