"""Single faults in the RTL: each is caught, at the word or the cycle it touches."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.mutants import MUTANTS as OTHERS
from support.mutants import Edit, Mutant, judge, sound
from support.value_mutants import VALUE_MUTANTS

from striate.hw.emit import TILE_FILE

MUTANTS = (*OTHERS, *VALUE_MUTANTS)


def test_without_a_fault_nothing_differs(tmp_path: Path) -> None:
    """The same frames on the same design: every mechanism that a mutant breaks is used, and nothing is found."""
    verdict = judge(sound(), tmp_path)
    assert verdict.passed and verdict.mismatches == 0, verdict.first_divergence
    assert verdict.cycles_rtl == verdict.cycles_model
    assert verdict.code_events > 500 and verdict.residual_events > 5000 and verdict.link_events > 500


def test_without_a_fault_frames_settle(tmp_path: Path) -> None:
    verdict = judge(sound(settling=True), tmp_path, settling=True)
    assert verdict.passed and verdict.mismatches == 0, verdict.first_divergence
    assert verdict.cycles_rtl == verdict.cycles_model
    assert 60 < verdict.steps < 180, "no frame settled, or all at once"


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_fault_is_caught(mutant: Mutant, tmp_path: Path) -> None:
    verdict = judge(mutant.verilog(), tmp_path, mutant.settling)
    first = verdict.first_divergence
    assert not verdict.passed and verdict.mismatches > 0 and first is not None, "not caught"
    assert re.search(mutant.caught, first["unit"]), f"caught in another unit: {first['text']}"
    assert first["frame"] == mutant.frame, first["text"]


def test_faults_are_single_and_all_different() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 12
    assert any(mutant.edits for mutant in MUTANTS) and any(not mutant.edits for mutant in MUTANTS)


def test_an_edit_insists_on_its_line() -> None:
    with pytest.raises(AssertionError, match="0 lines"):
        Edit(TILE_FILE, "assign nothing = 1;", "1", "0").apply(sound())
    with pytest.raises(AssertionError, match="not once"):
        Edit(TILE_FILE, r"assign out = \exchange.out ;", "absent", "y").apply(sound())
