"""Protocol fuzzing: no violation in any traffic, and a checker that finds faults when there are some."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from support.axi_mutants import MUTANTS, AxiMutant

from striate.golden.dictionary import Dictionary
from striate.golden.errors import InputError
from striate.hw.cosim.axi import CompiledCore, build_core
from striate.hw.emit import CORE_FILE, MESH_FILE, TILE_FILE, quantised
from striate.hw.verify_axi import fuzz, fuzz_design

DESIGN = fuzz_design()
DICTIONARY = Dictionary.random(DESIGN.geometry, 2)


@pytest.fixture
def folder(axi_folder: Path) -> Path:
    return axi_folder


def test_legal_and_malformed_traffic(folder: Path) -> None:
    heard: list[float] = []
    verdict = fuzz(
        40_000, design=DESIGN, dictionary=DICTIONARY, rtl=folder, seed=1, progress=lambda text, done: heard.append(done)
    )
    assert verdict.passed and verdict.violations == 0, verdict.first_divergence
    assert verdict.fuzz_cycles >= 40_000 and verdict.frames >= 20 and verdict.words_compared > 2000
    assert {"good frame", "short frame", "long frame", "accesses while busy", "register accesses"} <= set(verdict.mix)
    assert min(verdict.stalled.values()) > 50, "a port that never stood still"
    assert heard[0] == 0 and heard[-1] == 1
    info = verdict.as_dict()
    assert info["top"] == "axi" and info["violations"] == 0 and info["fuzz_cycles"] == verdict.fuzz_cycles


@pytest.mark.slow
@pytest.mark.parametrize("seed", [11, 12])
def test_a_million_clocks(seed: int) -> None:
    """Every kind of episode many times over."""
    verdict = fuzz(1_000_000, seed=seed)
    assert verdict.passed and verdict.violations == 0, verdict.first_divergence
    assert verdict.fuzz_cycles >= 1_000_000 and verdict.frames > 500
    assert len(verdict.mix) == 20 and min(verdict.mix.values()) > 15, verdict.mix


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_every_fault_is_caught(mutant: AxiMutant, folder: Path, tmp_path: Path) -> None:
    """And what is said of it is what is wrong."""
    edited = tmp_path / "edited"
    edited.mkdir()
    for path in folder.iterdir():
        (edited / path.name).write_bytes(path.read_bytes())
    plan, _ = quantised(DESIGN, DICTIONARY)
    text = mutant.verilog(plan, DESIGN.dynamics.steps)
    assert text != (edited / CORE_FILE).read_text()
    (edited / CORE_FILE).write_text(text)
    verdict = fuzz(300_000, design=DESIGN, dictionary=DICTIONARY, rtl=edited, seed=1)
    assert not verdict.passed and verdict.violations > 0, "not caught"
    first = verdict.first_divergence
    assert first is not None and re.search(mutant.caught, first["found"]), first


def test_mutants_are_single_and_all_different(folder: Path) -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) == 20
    plan, _ = quantised(DESIGN, DICTIONARY)
    sound = AxiMutant("none", "axi", "OKAY, SLVERR = 0, 2", "OKAY, SLVERR = 0, 2", "")
    assert sound.verilog(plan, DESIGN.dynamics.steps) == (folder / CORE_FILE).read_text()


def test_what_fuzzing_refuses(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--fuzz must be at least 1 clock, not 0"):
        fuzz(0)
    with pytest.raises(InputError, match=f"holds no {CORE_FILE}; emit again, or verify it with --top stream"):
        fuzz(10, design=DESIGN, dictionary=DICTIONARY, rtl=tmp_path)
    other = fuzz(10, design=DESIGN, dictionary=Dictionary.random(DESIGN.geometry, 3), rtl=folder)
    assert not other.passed and "weights.hex" in str(other.first_divergence)


def test_wave_that_cannot_be_written(folder: Path, tmp_path: Path) -> None:
    library = build_core([folder / name for name in (CORE_FILE, MESH_FILE, TILE_FILE)])
    with pytest.raises(InputError, match="cannot write the wave file .*; choose another path"):
        CompiledCore(library, wave=tmp_path / "no" / "run.vcd")


def test_reset_forgets_what_was_queued(folder: Path) -> None:
    """Nothing of before: no answer, no beat, no frame number."""
    library = build_core([folder / name for name in (CORE_FILE, MESH_FILE, TILE_FILE)])
    with CompiledCore(library) as core:
        core.queue_write(0x24, 9)
        core.queue_beats(np.arange(5), 0)
        core.run(2)
        core.reset()
        assert core.read("STEPS") == DESIGN.dynamics.steps and core.read("ERRORS") == 0
        core.queue_beats(np.arange(5), 3, last=False)
        core.run(1)
        core.withdraw()
        core.sent()
        assert core.read("ERRORS") != 0 and core.violations == 0
