"""The emitted folder: the same bytes everywhere, clean for Verilator and Yosys, never half written."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import striate
from striate.golden.dictionary import Dictionary
from striate.golden.errors import InputError
from striate.hw import emit as emit_module
from striate.hw.core import identity
from striate.hw.cosim.random_design import draw
from striate.hw.emit import (
    CORE_FILE,
    FILES,
    MESH_FILE,
    NAMES,
    TILE_FILE,
    WEIGHTS_FILE,
    core_verilog,
    emit,
    quantised,
    verilog,
)
from striate.hw.toolchain import CXX_FLAGS, cxx, environment, run_tool, run_yosys, verilator_bin, verilator_root
from striate.hw.vectors import small_frame
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
    assert names == set(FILES) and len(FILES) == len(set(FILES)) == 18
    assert {"striate.v", "striate_tile.v", "weights.hex", "lint.vlt", "README.md", "design.toml"} < names
    assert [path.name for path in folder.parent.iterdir()] == ["core"], "something was left beside the folder"
    plan, weights = quantised(SMALL, DICTIONARY)
    beats = plan.layout.beats(weights)
    words = [int(line, 16) for line in (folder / WEIGHTS_FILE).read_text().split()]
    assert words == [int(value) & 255 for value in beats] and plan.weight.width == 8
    text = (folder / "README.md").read_text()
    for port in port_names([folder / MESH_FILE], "striate"):
        if not port.startswith("trace_"):
            assert re.search(rf"\b{port.partition('__')[0]}\b", text), f"README.md does not tell of {port}"
    for port in port_names([folder / CORE_FILE], "striate_core"):
        name = re.sub(r"^(s_axi|s_axis|m_axis)_.*", r"\1", port)
        assert re.search(rf"`{name}(_\*)?`", text), f"README.md does not tell of {port}"
    for name in FILES:
        assert f"`{name}`" in text or name == "README.md", f"README.md does not tell of {name}"


def test_vectors(folder: Path) -> None:
    """The pixels and the words of the code stream, and what the testbench is told of them."""
    plan, weights = quantised(SMALL, DICTIONARY)
    vectors = small_frame(plan, weights)
    pixels = [int(line, 16) for line in (folder / NAMES["pixels"]).read_text().split()]
    assert pixels == [int(value) & 0xFFFFFFFF for value in vectors.pixels] and len(pixels) == 16 * 8 and any(pixels)
    codes = [int(line, 16) for line in (folder / NAMES["codes"]).read_text().split()]
    assert codes == vectors.codes and len(codes) > 1
    text = (folder / NAMES["testbench"]).read_text()
    for name, value in (("CYCLES", vectors.cycles), ("STEPS", vectors.steps), ("BEATS", len(codes))):
        assert f"localparam integer {name} = {value};" in text
    assert f"{identity(plan)['DESIGN']:08x}" in text


# ---- what other tools read -------------------------------------------------------------------------------------------
def parse_yaml(text: str) -> dict[str, object]:
    """The part of YAML that the core file uses, and nothing else: block mappings and sequences by indentation, flow
    mappings and sequences and scalars in JSON.
    """
    lines = [(len(line) - len(line.lstrip()), line.strip()) for line in text.splitlines() if line.strip()]

    def scalar(word: str) -> object:
        return json.loads(word)

    def block(at: int, indent: int) -> tuple[object, int]:
        assert lines[at][0] == indent
        made: dict[str, object] | list[object] = [] if lines[at][1].startswith("- ") else {}
        while at < len(lines) and lines[at][0] == indent:
            line = lines[at][1]
            if isinstance(made, list):
                assert line.startswith("- "), line
                name, colon, rest = line[2:].partition(": ")
                made.append({scalar(name): scalar(rest)} if colon else scalar(line[2:]))  # type: ignore[dict-item]
                at += 1
                continue
            found = re.fullmatch(r"([\w=]+):(?: (.+))?", line)
            assert found and found[1] not in made, line
            at += 1
            if found[2]:
                made[found[1]] = scalar(found[2])
            elif at < len(lines) and lines[at][0] > indent:
                made[found[1]], at = block(at, lines[at][0])
            else:
                made[found[1]] = None
        return made, at

    made, end = block(0, 0)
    assert end == len(lines), f"what is line {lines[end]}?"
    assert isinstance(made, dict)
    return made


def test_fusesoc_core_file(folder: Path) -> None:
    """CAPI2: its first line, a name of four parts, filesets of files that are there, targets of filesets that are."""
    text = (folder / NAMES["fusesoc"]).read_text()
    assert text.startswith("CAPI=2:\n") and "\t" not in text
    core: dict[str, Any] = parse_yaml(text)  # type: ignore[assignment]
    assert set(core) == {"CAPI=2", "name", "description", "filesets", "targets"} and core["CAPI=2"] is None
    vendor, library, name, version = core["name"].split(":")
    assert (vendor, library, name) == ("", "", "striate_core") and re.fullmatch(r"\d+(\.\d+)*", version)
    listed: list[str] = []
    for fileset in core["filesets"].values():
        for entry in fileset["files"]:
            ((file, keys),) = entry.items() if isinstance(entry, dict) else ((entry, fileset),)
            assert (folder / file).is_file(), file
            assert keys["file_type"] in ("verilogSource", "vlt", "SDC", "xdc", "user")
            listed.append(file)
    assert {CORE_FILE, MESH_FILE, TILE_FILE, NAMES["testbench"], WEIGHTS_FILE} < set(listed)
    assert set(core["targets"]) == {"default", "lint", "sim"}
    for target in core["targets"].values():
        assert set(target["filesets"]) <= set(core["filesets"]) and "rtl" in target["filesets"]
        assert target["toplevel"] in ("striate_core", "tb_striate_core")


def test_the_parser_of_the_core_file_refuses() -> None:
    good = 'a: "x"\nb:\n  - "y": {"z": 1}\n  - "w"\nc:\n'
    assert parse_yaml(good) == {"a": "x", "b": [{"y": {"z": 1}}, "w"], "c": None}
    for wrong in ("a: b\n", 'a: "x"\n  b: "y"\n', 'a:\n  - "x"\n  b: "y"\n', 'a: "x"\na: "y"\n', "a\n"):
        with pytest.raises((AssertionError, ValueError)):
            parse_yaml(wrong)


def test_constraints(folder: Path) -> None:
    """One clock on the port that is there, with the period of the design's clock."""
    for name in ("sdc", "xdc"):
        lines = [line for line in (folder / NAMES[name]).read_text().splitlines() if not line.startswith("#")]
        clock = re.compile(r"create_clock -name aclk -period ([\d.]+) \[get_ports (\w+)\]")
        (found,) = [clock.fullmatch(line) for line in lines]
        assert found and float(found[1]) == 1000 / SMALL.target.clock_mhz and found[2] == "aclk"
    assert "aclk" in port_names([folder / CORE_FILE], "striate_core")


@pytest.mark.slow
def test_testbench_passes_and_fails(folder: Path, tmp_path: Path) -> None:
    """Plain Verilog, by Verilator's own main program; a folder with another code in it fails."""
    place = tmp_path / "build"
    sources = [str(folder / name) for name in (NAMES["testbench"], CORE_FILE, MESH_FILE, TILE_FILE)]
    options = ["--timing", "-Wno-fatal", "-Wno-lint", "--prefix", "Vtb", "--top-module", "tb_striate_core", "-O0"]
    place.mkdir()
    run_tool(
        [str(verilator_bin()), "--cc", "--main", *options, "--Mdir", str(place), f"-I{folder}", *sources], cwd=place,
        tool="verilator",
    )  # fmt: skip
    units = "".join(f'#include "{path.name}"\n' for path in sorted(place.glob("Vtb*.cpp")))
    (place / "all.cpp").write_text(units)
    include = verilator_root() / "include"
    flags = [flag for flag in CXX_FLAGS if not flag.startswith(("-std", "-DVM_TIMING"))]
    support = [str(include / f"verilated{part}.cpp") for part in ("", "_timing", "_threads")]
    command = [*cxx().split(), "-std=c++20", *flags, "-DVM_TIMING=1", "-DVM_TRACE=0", "-I.", f"-I{include}",
               f"-I{include / 'vltstd'}", "all.cpp", *support, "-o", "tb"]  # fmt: skip
    run_tool(command, cwd=place, tool="g++")
    assert "PASS: 2 frames" in run_tool([place / "tb"], cwd=folder, tool="tb")
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    codes = (other / NAMES["codes"]).read_text()
    (other / NAMES["codes"]).write_text(f"{int(codes[:16], 16) ^ 1:016x}" + codes[16:])
    said = run_tool([place / "tb"], cwd=other, tool="tb")
    assert "FAIL: 2 errors" in said and "beat of m_axis" in said and "PASS" not in said


@pytest.mark.program("iverilog", "iverilog")
def test_testbench_passes_on_icarus(folder: Path, tmp_path: Path) -> None:
    """The second simulator, which knows unknown values."""
    sources = [NAMES["testbench"], CORE_FILE, MESH_FILE, TILE_FILE]
    run_tool(["iverilog", "-g2005", "-o", tmp_path / "tb", *sources], cwd=folder, tool="iverilog")
    assert "PASS: 2 frames" in run_tool(["vvp", tmp_path / "tb"], cwd=folder, tool="vvp")


# ---- the same everywhere ---------------------------------------------------------------------------------------------
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


def lint(place: Path, *options: str, core: bool = True) -> str:
    """What ``verilator --lint-only -Wall`` says, of the AXI top or of the ready/valid one."""
    tops = [CORE_FILE, MESH_FILE] if core else [MESH_FILE]
    command = [
        str(verilator_bin()),
        "--lint-only",
        "-Wall",
        "--top-module",
        tops[0].removesuffix(".v"),
        "--timescale",
        "1ns/1ps",
        *options,
    ]
    said = subprocess.run(
        [*command, *tops, TILE_FILE], cwd=place, env=environment(), capture_output=True, text=True, check=False
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
    if number == 0:
        (tmp_path / CORE_FILE).write_text(core_verilog(draw(77, number).plan, 5))
    assert lint(folder if number < 0 else tmp_path, "lint.vlt", core=number <= 0) == ""
    if number < 0:
        assert lint(folder, "lint.vlt", core=False) == ""


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
        found |= rules(lint(tmp_path, core=False))
    assert found == waived, f"not waived: {found - waived}; not needed: {waived - found}"


def test_yosys_elaborates_it(folder: Path, tmp_path: Path) -> None:
    for name in (TILE_FILE, MESH_FILE, CORE_FILE):
        shutil.copy(folder / name, tmp_path)
    files = f"{CORE_FILE} {MESH_FILE} {TILE_FILE}"
    script = f"read_verilog {files}; hierarchy -check -top striate_core; proc; check -assert"
    log = run_yosys(script, tmp_path)
    assert "Found and reported 0 problems" in log
    warned = [line for line in log.splitlines() if line.startswith("Warning: ") and "parallel_case" not in line]
    assert not warned, warned  # `parallel_case` says of a one-hot selection what Yosys itself found out


def test_an_emitted_folder_is_replaced_only_on_demand_and_another_never(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = {name: (folder / name).read_text() for name in FILES if not name.startswith("d")}
    monkeypatch.setattr(emit_module, "texts", lambda *_: ready)  # what it writes is the same: not made three times
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


def test_nothing_half_written(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure in the middle leaves neither a folder nor a trace; a folder that was there stays as it was."""
    out = tmp_path / "core"
    out.mkdir()
    (out / TILE_FILE).write_text("old")
    monkeypatch.setattr(emit_module, "texts", lambda *_: {TILE_FILE: "new"})
    monkeypatch.setattr(Dictionary, "save", lambda *_: 1 / 0)
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
