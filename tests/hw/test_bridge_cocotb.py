"""The board's pins on cocotb with a UART model: a whole frame over a clean and over a noisy line."""

from pathlib import Path

import pytest
from support.boardsim import TOP, verilog

from striate.golden.dictionary import Dictionary
from striate.hw.emit import quantised
from striate.hw.verilated import Options, build_cocotb, run_cocotb
from striate.sim.design import Design

DESIGN = Design(
    image=(8, 8), kernels=2, patch=4, stride=2, tiles=(1, 1), gather_lanes=2, scatter_lanes=2, detect_lanes=2,
    preprocess="none", threshold=0.1, step_shift=2, steps=5,
)  # fmt: skip


@pytest.mark.slow
def test_a_frame_through_the_pins(tmp_path: Path) -> None:
    dictionary = Dictionary.random(DESIGN.geometry, 3)
    dictionary.save(tmp_path / "dictionary.npz")
    DESIGN.dump(tmp_path / "design.toml")
    plan, _ = quantised(DESIGN, dictionary)
    build = build_cocotb(verilog(plan, DESIGN.dynamics.steps, tmp_path), TOP, options=Options(optimize=0))
    settings = {
        "STRIATE_BENCH_DESIGN": str(tmp_path / "design.toml"),
        "STRIATE_BENCH_DICTIONARY": str(tmp_path / "dictionary.npz"),
        "STRIATE_BENCH_SEED": "3",
    }
    path = [Path(__file__).parents[1]]
    results = run_cocotb(build, "support.uart_bench", tmp_path / "run", seed=3, env=settings, path=path)
    assert results.ok and results.passed == 2, f"{results.failures}\n{results.tail}"
