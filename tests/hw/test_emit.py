"""The emitted folder: the same bytes everywhere, clean for Verilator and Yosys, never half written."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import striate
from striate.golden.dictionary import Dictionary
from striate.golden.errors import InputError
from striate.hw import emit as emit_module
from striate.hw.cosim.random_design import draw
from striate.hw.emit import MESH_FILE, TILE_FILE, WEIGHTS_FILE, emit, quantised, verilog
from striate.hw.toolchain import environment, run_yosys, verilator_bin
from striate.hw.verilated import port_names
from striate.sim.design import Design

SMALL = Design(
    image=(16, 8), kernels=3, patch=6, stride=2, tiles=(2, 1), gather_lanes=6, scatter_lanes=4, detect_lanes=2,
    link_depth=4, preprocess="none",
)  # fmt: skip
DICTIONARY = Dictionary.random(SMALL.geometry, 2)

ELSEWHERE = """
import hashlib, sys
from pathlib import Path
from striate.golden.dictionary import Dictionary
from striate.hw.emit import emit
from striate.sim.design import Design
folder = Path(sys.argv[1])
design = Design.load(folder / "design.toml")
for path in emit(design, sys.argv[2]):
    print(path.name, hashlib.sha256(path.read_bytes()).hexdigest())
"""


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("emit") / "core"
    emit(SMALL, out, dictionary=DICTIONARY)
    return out


def test_what_is_in_the_folder(folder: Path) -> None:
    names = {path.name for path in folder.iterdir()}
    assert names == {TILE_FILE, MESH_FILE, WEIGHTS_FILE, "lint.vlt", "README.md", "design.toml", "dictionary.npz"}
    assert [path.name for path in folder.parent.iterdir()] == ["core"], "something was left beside the folder"
    plan, weights = quantised(SMALL, DICTIONARY)
    beats = plan.layout.beats(weights)
    words = [int(line, 16) for line in (folder / WEIGHTS_FILE).read_text().split()]
    assert words == [int(value) & 255 for value in beats] and plan.weight.width == 8
    text = (folder / "README.md").read_text()
    for port in port_names([folder / MESH_FILE], "striate"):
        if not port.startswith("trace_"):
            assert re.search(rf"\b{port.partition('__')[0]}\b", text), f"README.md does not tell of {port}"


def test_the_same_bytes_again(folder: Path, tmp_path: Path) -> None:
    """Here, and in another process with other hashes, folder names and time zone."""
    emit(SMALL, tmp_path / "again", dictionary=DICTIONARY)
    assert digests(tmp_path / "again") == digests(folder)
    package = Path(striate.__file__).parent.parent
    place = package if package.joinpath("striate").exists() else None
    paths = [*([str(place)] if place else []), *(entry for entry in sys.path if entry)]
    environment = {**os.environ, "PYTHONHASHSEED": "4711", "TZ": "Asia/Tokyo", "PYTHONPATH": os.pathsep.join(paths)}
    said = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, str(folder), str(tmp_path / "another-name")],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    assert dict(line.split() for line in said.stdout.splitlines()) == digests(folder)


def test_no_place_or_time_inside(folder: Path) -> None:
    for path in folder.iterdir():
        data = path.read_bytes()
        for word in (str(folder.parent), str(Path(striate.__file__).parent), "site-packages", os.sep + "tmp"):
            assert word.encode() not in data, f"{path.name} holds {word}"
        assert not re.search(rb"\b20\d\d-\d\d-\d\d\b|\b\d\d:\d\d:\d\d\b", data), f"{path.name} holds a time"


def lint(place: Path, *options: str) -> str:
    """What ``verilator --lint-only -Wall`` says."""
    command = [
        str(verilator_bin()),
        "--lint-only",
        "-Wall",
        "--top-module",
        "striate",
        "--timescale",
        "1ns/1ps",
        *options,
    ]
    said = subprocess.run(
        [*command, MESH_FILE, TILE_FILE], cwd=place, env=environment(), capture_output=True, text=True, check=False
    )
    assert "%Error" not in said.stderr.replace("%Error: Exiting due to", ""), said.stderr
    return said.stderr


def rules(text: str) -> set[str]:
    return set(re.findall(r"%Warning-(\w+)", text))


@pytest.mark.parametrize("number", [-1, 0, 1, 2, 3])
def test_lint_is_clean_with_the_waivers(number: int, folder: Path, tmp_path: Path) -> None:
    """The small design and designs drawn at random."""
    if number >= 0:
        for name, text in verilog(draw(77, number).plan).items():
            (tmp_path / name).write_text(text)
        shutil.copy(folder / "lint.vlt", tmp_path)
    assert lint(folder if number < 0 else tmp_path, "lint.vlt") == ""


def test_every_waiver_is_explained_and_needed(folder: Path, tmp_path: Path) -> None:
    """In the small design or in one of a few others; and each stands below a comment."""
    lines = (folder / "lint.vlt").read_text().splitlines()
    waived = {line.split()[-1] for line in lines if line.startswith("lint_off")}
    assert all(
        lines[n - 1].startswith(("//", "lint_off")) for n, line in enumerate(lines) if line.startswith("lint_off")
    )
    found = rules(lint(folder))
    for number in range(4):
        if waived <= found:
            break
        for name, text in verilog(draw(77, number).plan).items():
            (tmp_path / name).write_text(text)
        found |= rules(lint(tmp_path))
    assert found == waived, f"not waived: {found - waived}; not needed: {waived - found}"


def test_yosys_elaborates_it(folder: Path, tmp_path: Path) -> None:
    for name in (TILE_FILE, MESH_FILE):
        shutil.copy(folder / name, tmp_path)
    script = f"read_verilog {MESH_FILE} {TILE_FILE}; hierarchy -check -top striate; proc; check -assert"
    log = run_yosys(script, tmp_path)
    assert "Found and reported 0 problems" in log
    warned = [line for line in log.splitlines() if line.startswith("Warning: ") and "parallel_case" not in line]
    assert not warned, warned  # `parallel_case` says of a one-hot selection what Yosys itself found out


def test_an_emitted_folder_is_replaced_only_on_demand_and_another_never(tmp_path: Path) -> None:
    out = tmp_path / "core"
    out.mkdir()
    emit(SMALL, out, dictionary=DICTIONARY)  # an empty folder is fine
    (out / TILE_FILE).write_text("edited")
    with pytest.raises(InputError, match="holds an emitted machine; name another folder or use --force"):
        emit(SMALL, out, dictionary=DICTIONARY)
    assert (out / TILE_FILE).read_text() == "edited"
    emit(SMALL, out, dictionary=DICTIONARY, force=True)
    assert (out / TILE_FILE).read_text() != "edited"
    (out / "mine.txt").write_text("keep me")
    for force in (False, True):
        with pytest.raises(InputError, match="holds mine.txt, which emit does not write and will not delete"):
            emit(SMALL, out, dictionary=DICTIONARY, force=force)
    assert (out / "mine.txt").read_text() == "keep me"
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        emit(SMALL, tmp_path / "file", dictionary=DICTIONARY, force=True)


@pytest.mark.parametrize("schedule", ["dense", "skip"])
def test_schedules_without_hardware_are_refused(schedule: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"'{schedule}' has no hardware"):
        emit(SMALL.replace(schedule=schedule), tmp_path / "core", dictionary=DICTIONARY)
    assert not list(tmp_path.iterdir())


def test_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure in the middle leaves neither a folder nor a trace; a folder that was there stays as it was."""
    out = tmp_path / "core"
    out.mkdir()
    (out / TILE_FILE).write_text("old")
    monkeypatch.setattr(emit_module, "_readme", lambda *_: 1 / 0)
    for target, force in ((tmp_path / "new", False), (out, True)):
        with pytest.raises(ZeroDivisionError):
            emit(SMALL, target, dictionary=DICTIONARY, force=force)
    assert [path.name for path in tmp_path.iterdir()] == ["core"] and (out / TILE_FILE).read_text() == "old"


def test_folder_is_a_design_again(folder: Path) -> None:
    """The emitted design file names the dictionary beside it, and makes the same machine."""
    design = Design.load(folder / "design.toml")
    plan, weights = quantised(design)
    mine, same = quantised(SMALL, DICTIONARY)
    assert plan == mine and np.array_equal(weights, same)
