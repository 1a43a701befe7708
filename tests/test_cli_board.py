"""``striate board``: the real program on a pseudo-terminal, the compiled board at its other end; every refusal."""

import json
import os
import pty
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.boardsim import SimulatedBoard
from support.ptyboard import PtyBoard

from striate.cli import main
from striate.golden.dictionary import Dictionary
from striate.hw.serial import host, port
from striate.sim.design import Design

KEYS: dict[str, Any] = dict(
    image=(16, 16), kernels=3, patch=6, stride=2, tiles=(1, 1), gather_lanes=3, scatter_lanes=2, detect_lanes=2,
    preprocess="none", threshold=0.1, step_shift=2, steps=12,
)  # fmt: skip


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A design file and a picture in a folder."""
    design = Design(**KEYS)
    Dictionary.random(design.geometry, 3).save(tmp_path / "dictionary.npz")
    design.replace(dictionary=str(tmp_path / "dictionary.npz")).dump(tmp_path / "design.toml")
    np.save(tmp_path / "picture.npy", np.random.default_rng(4).random((16, 16)))
    return tmp_path


def simulated(seed: int = 0) -> SimulatedBoard:
    design = Design(**KEYS)
    return SimulatedBoard(design, Dictionary.random(design.geometry, 3), seed=seed)


def words(files: Path, name: str, *more: str) -> list[str]:
    return ["board", name, str(files / "picture.npy"), "--design", str(files / "design.toml"), *more]


def test_a_board_codes_what_the_machine_codes(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with PtyBoard(simulated()) as board:
        assert main(words(files, board.port, "--frames", "2", "--json")) == 0
    info = json.loads(capsys.readouterr().out)
    assert info["passed"] and info["mismatches"] == 0 and info["frames"] == 2 and info["first_difference"] is None
    assert info["cycles_rtl"] == info["cycles_model"] > 0 and info["codes"] > 0
    assert info["board"] == "ulx3s-85f" and info["baud"] == 1_000_000 and info["crc_errors"] == 0


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 8))])
def test_a_noisy_line_is_mended(
    seed: int, files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One byte in 200 is flipped, lost or followed by a stray one, in both directions; the result is the same."""
    monkeypatch.setattr(host, "TRIES", 40)
    with PtyBoard(simulated(seed), noise=0.005, seed=seed) as board:
        assert main(words(files, board.port, "--json")) == 0
        assert board.damaged > 0
    info = json.loads(capsys.readouterr().out)
    assert info["passed"] and info["mismatches"] == 0 and info["cycles_rtl"] == info["cycles_model"]
    assert info["retries"] > 0 and info["crc_errors"] == info["crc_errors_host"] + info["crc_errors_board"] > 0


def test_the_table_for_people(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with PtyBoard(simulated()) as board:
        assert main(words(files, board.port)) == 0
    out = capsys.readouterr().out
    assert "0 neurons differ: equal" in out and "from last pixel to first code; the model" in out


def refused(status: int, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line of a refusal."""
    assert main(arguments) == status
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and said.err.startswith("striate: ")
    return said.err


def test_a_board_with_another_design(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with PtyBoard(simulated()) as board:
        line = refused(2, words(files, board.port, "--set", "machine.link_depth=7"), capsys)
    assert "the board holds another design (0x" in line and "16x16 pixels" in line


def test_a_board_that_computes_something_else(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same machine, another dictionary: the comparison sees it, whatever the link says."""
    weights = Dictionary.random(Design(**KEYS).geometry, 9)
    from striate.hw.serial.machine import BoardMachine

    def other(machine: Any, loaded: Any, tell: Any) -> None:
        from striate.hw.emit import quantised

        machine.link.stream(1, [int(v) for v in machine.plan.layout.beats(quantised(Design(**KEYS), weights)[1])])

    with PtyBoard(simulated()) as board, pytest.MonkeyPatch.context() as patch:
        patch.setattr(BoardMachine, "load", other)
        assert main(words(files, board.port, "--json")) == 1
    said = capsys.readouterr()
    info = json.loads(said.out)
    assert not info["passed"] and info["mismatches"] > 0
    assert "the board does not equal the machine: frame 0: " in said.err and "neurons differ" in said.err


def test_nobody_answers(files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "TRIES", 2)
    with PtyBoard(None) as board:
        line = refused(1, words(files, board.port), capsys)
    assert "no answer: 2 requests were sent and not a byte came back" in line


def test_ports_that_cannot_be_opened(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(2, words(files, "/dev/ttyNONE7"), capsys)
    assert "no serial port /dev/ttyNONE7; " in line
    line = refused(2, words(files, str(files / "design.toml")), capsys)
    assert "cannot be opened" in line and "is it a serial port?" in line
    line = refused(2, words(files, "/dev/ttyNONE7", "--set", "target.board=ulx4s"), capsys)
    assert "ulx4s" in line


def test_permission_and_use(
    files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A port of another group, and one that another program holds."""
    master, slave = pty.openpty()
    name = os.ttyname(slave)
    first = port.SerialPort(name, 115_200)
    line = refused(2, words(files, name), capsys)
    assert f"{name} is in use by another program; close that one" in line
    first.close()

    def denied(*arguments: Any, **more: Any) -> None:
        raise port.serial.SerialException(13, "could not open port: Permission denied")

    monkeypatch.setattr(port.serial, "Serial", denied)
    line = refused(2, words(files, name), capsys)
    assert f"no permission to open {name}; join its group (sudo usermod -aG dialout $USER)" in line
    os.close(master)
    os.close(slave)


def test_a_port_that_vanishes(files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "TRIES", 2)
    master, slave = pty.openpty()
    line = port.SerialPort(os.ttyname(slave), 115_200)
    os.close(master)
    with pytest.raises(host.LinkError, match="is the board still plugged in"):
        line.write(b"x")
        line.read(0.1)
    line.close()
    os.close(slave)
