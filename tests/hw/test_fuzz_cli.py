"""``striate verify`` on the AXI top, from the command line: its JSON, its table, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from striate.cli import main


@pytest.fixture
def folder(axi_folder: Path) -> Path:
    return axi_folder


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit status, standard output, standard error."""
    capsys.readouterr()
    status = main(words)
    return status, *capsys.readouterr()


def as_json(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> dict[str, Any]:
    """The one JSON object of a verb that must end with that status."""
    found, out, err = run(capsys, *words, "--json")
    assert found == status, err
    info = json.loads(out)
    assert isinstance(info, dict)
    return info


def test_fuzz(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("verify", "--fuzz", "5000", "--seed", "3", "--rtl", str(folder))
    info = as_json(capsys, *words)
    assert info["passed"] and info["top"] == "axi" and info["violations"] == 0 and info["fuzz_cycles"] >= 5000
    assert info["design"] is not None and info["picture"] is None and info["mix"]
    status, out, _ = run(capsys, *words)
    assert status == 0 and "AXI rules" in out and "0 violations" in out and f"{info['fuzz_cycles']:,} clocks" in out


@pytest.mark.slow
def test_fuzz_of_the_small_machine(capsys: pytest.CaptureFixture[str]) -> None:
    info = as_json(capsys, "verify", "--fuzz", "5000", "--seed", "3")
    assert info["passed"] and info["design"] is None and info["fuzz_cycles"] >= 5000


def test_picture_through_an_emitted_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    info = as_json(capsys, "verify", "--top", "axi", "--rtl", str(folder), "--picture", "camera", "--crop", "104,212")
    assert info["passed"] and info["top"] == "axi" and (info["violations"], info["fuzz_cycles"]) == (0, 0)
    assert info["cycles_rtl"] == info["cycles_model"] > 0 and info["frames"] == 3
    status, out, _ = run(capsys, "verify", "--top", "axi", "--rtl", str(folder))
    assert status == 0 and "RTL equals machine" in out and "clocks stood still" in out


def test_another_weight_ends_with_1(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edited = tmp_path / "edited"
    edited.mkdir()
    for path in folder.iterdir():
        (edited / path.name).write_bytes(path.read_bytes())
    lines = (edited / "weights.hex").read_text().split()
    (edited / "weights.hex").write_text("\n".join(["55", *lines[1:]]) + "\n")
    for words in (("--top", "axi"), ("--fuzz", "1000")):
        status, _, err = run(capsys, "verify", *words, "--rtl", str(edited))
        assert status == 1 and "weights.hex line 1" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--fuzz", "10", "--picture", "camera"], "--fuzz 10 makes its own frames; leave out --picture"),
        (["--fuzz", "10", "--steps", "3", "--crop", "0,0"], "leave out --crop, --steps"),
        (["--random", "2", "--top", "axi"], "--random 2 is for the ready/valid top; leave out --top axi and --fuzz"),
        (["--random", "2", "--fuzz", "10"], "--random 2 is for the ready/valid top"),
        (["--fuzz", "0"], "Invalid value for '--fuzz': must be greater than or equal to 1, not '0'"),
        (["--top", "pcie"], "'pcie'"),
    ],
)
def test_what_is_refused(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "verify", *words)
    assert status == 2 and not out and said in err and len(err.strip().splitlines()) == 1, err
