"""``striate emit --board``: the folder for Vivado from the command line, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from striate.cli import main
from striate.golden.dictionary import Dictionary
from striate.hw.boards import BOARDS, Board
from striate.hw.boards.export import SCRIPT
from striate.hw.synth.families import FAMILIES, family_of
from striate.sim.design import Design

SMALL = ("--set", "network.image=[16,16]", "--set", "machine.tiles=[1,1]")


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit status, standard output, standard error."""
    capsys.readouterr()
    status = main(("emit", *words))
    return status, *capsys.readouterr()


def test_the_options_reach_the_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The export itself, which takes long, is in the slow test below."""
    given: list[tuple[object, ...]] = []

    def export(
        board: Board, design: Design, out: Path, clock_mhz: float, *, baud: int | None, dictionary: Dictionary,
        force: bool,
    ) -> list[Path]:  # fmt: skip
        given.append((board.name, design.target.board, design.network.image, out, clock_mhz, baud, force))
        return [out / SCRIPT]

    monkeypatch.setattr("striate.hw.boards.export.export_vivado", export)
    out = tmp_path / "zynq"
    status, text, err = run(capsys, *SMALL, "--board", "zynq-7020", "--out", str(out))
    assert status == 0 and f"vivado -mode batch -source {out / SCRIPT}" in text and "100 MHz" in text, err
    words = ("--board", "zynq-7020", "--out", str(out), "--clock", "33.4", "--baud", "982505", "--force", "--json")
    status, text, err = run(capsys, *SMALL, *words)
    info = json.loads(text)
    assert (info["part"], info["baud"]) == ("xc7z020clg400-1", 982505) and info["clock_mhz"] == pytest.approx(33.4052)
    zynq = ("zynq-7020", "zynq-7020", (16, 16), out)
    assert given == [(*zynq, 100.0, None, False), (*zynq, 33.4, 982505, True)]


@pytest.mark.slow
def test_a_folder_for_vivado(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """At a clock that the PLL does not hit: what it makes is what is said, and what the script holds the paths to."""
    out = tmp_path / "arty"
    words = (*SMALL, "--board", "arty-a7-35", "--clock", "33.4", "--baud", "980392", "--out", str(out))
    status, text, err = run(capsys, *words, "--json")
    assert status == 0, err
    info = json.loads(text)
    assert (info["board"], info["part"]) == ("arty-a7-35", "xc7a35ticsg324-1L") and info["out"] == str(out)
    assert {Path(name).name for name in info["files"]} == {path.name for path in out.iterdir()} >= {SCRIPT}
    assert info["clock_mhz"] == pytest.approx(33.4, rel=0.01) and info["clock_mhz"] != 33.4 and info["baud"] == 980392
    script = (out / SCRIPT).read_text()
    assert f"the clock of {info['clock_mhz']:.6g} MHz is missed" in script and info["part"] in script
    status, text, err = run(capsys, *words)
    assert status == 2 and "holds an exported board; name another folder or use --force" in err and not text
    assert len(err.strip().splitlines()) == 1


def test_what_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "out")
    for words, said in (
        (("--board", "ulx3s-85f"), "needs no vendor tool; `striate synth --board ulx3s-85f` makes its bitstream"),
        (("--board", "icebreaker"), "`striate synth --board icebreaker` makes its bitstream"),
        (("--board", "arty"), "unknown board 'arty'; the boards are ulx3s-25f, "),
        (("--clock", "50"), "--clock is that of a --board; without one the clock is target.clock_mhz of the design"),
        (("--baud", "9600"), "--baud is that of a --board; leave it out, or name the board"),
        (("--board", "zynq-7020", "--clock", "33.4"), "1000000 baud cannot be made from a clock of 33.4052 MHz"),
        (("--board", "zynq-7020", "--clock", "-1"), "a clock of -1 MHz is none"),
        (("--board", "zynq-7020", "--clock", "5000"), "5000"),
    ):
        status, text, err = run(capsys, *SMALL, *words, "--out", out)
        assert status == 2 and not text and said in err and len(err.strip().splitlines()) == 1, err
    assert not list(tmp_path.iterdir())


def test_what_synthesis_says_of_these_boards_is_a_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The very words of its message, with a folder put in, are taken."""
    ours = [board for board in BOARDS.values() if board.family not in FAMILIES]
    assert {board.name for board in ours} == {"arty-a7-35", "arty-a7-100", "zynq-7020"}
    for board in ours:
        with pytest.raises(Exception, match="no open place-and-route") as refused:
            family_of(board)
        (command,) = re.findall(r"`striate emit (.*)`", str(refused.value))
        file = tmp_path / "file"
        file.write_text("")
        status, _, err = run(capsys, *command.replace("DIR", str(file)).split())
        assert status == 2 and "is a file; name a folder" in err, err
