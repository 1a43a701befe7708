"""Boards: what the tools are given, read by Yosys with each family's own cells; the pins; what is refused."""

import functools
import re
from pathlib import Path
from typing import Any

import pytest

from striate.golden.dictionary import Dictionary
from striate.golden.errors import InputError
from striate.hw.boards import BOARDS, Sources, board_of, sources
from striate.hw.boards.export import SCRIPT, export_vivado, part_of
from striate.hw.serial.bridge import LEAST_BUFFER
from striate.hw.serial.uart import divisor_of
from striate.hw.toolchain import run_yosys
from striate.sim.design import Design
from striate.sim.mapping.devices import DEVICES

DESIGN = Design(
    image=(8, 8), kernels=2, patch=4, stride=2, tiles=(1, 1), gather_lanes=2, scatter_lanes=2, detect_lanes=2,
    preprocess="none", threshold=0.1, step_shift=2, steps=3,
)  # fmt: skip
DICTIONARY = Dictionary.random(DESIGN.geometry, 3)
SYNTH = {"ecp5": "synth_ecp5", "ice40": "synth_ice40", "gowin": "synth_gowin", "xilinx": "synth_xilinx"}
PLL = {"ecp5": "EHXPLLL", "ice40": "SB_PLL40_PAD", "gw1n": "rPLL", "gw2a": "rPLL", "series7": "PLLE2_BASE"}
PINS = {
    "ulx3s-85f": {"clk25_0__io": "G2", "link_0__rx__io": "M1", "link_0__tx__io": "L4", "esp32_gpio0_0__io": "L2"},
    "orangecrab-25f": {"clk_0__io": "A9", "link_0__rx__io": "N17", "link_0__tx__io": "M18"},
    "icebreaker": {"clk12_0__io": "35", "link_0__rx__io": "6", "link_0__tx__io": "9"},
    "tangnano9k": {"clk27_0__io": "52", "link_0__rx__io": "18", "link_0__tx__io": "17"},
    "tangprimer20k": {"clk27_0__io": "H11", "link_0__rx__io": "T13", "link_0__tx__io": "M11"},
    "arty-a7-35": {"clk100_0__io": "E3", "link_0__rx__io": "A9", "link_0__tx__io": "D10"},
    "zynq-7020": {"clk125_0__io": "H16", "link_0__rx__io": "Y19", "link_0__tx__io": "Y16"},
}
"""From the boards' schematics and the constraint files that come with them."""
CLOCKS = {"ulx3s-85f": 82.0, "icebreaker": 24.0, "tangnano9k": 54.0, "arty-a7-35": 80.0}
"""One board a family, at a clock that only its PLL makes."""
MARKS = {
    "lpf": r'LOCATE COMP "(\S+)" SITE "(\S+)"', "pcf": r"set_io (\S+) (\S+)", "cst": r'IO_LOC "(\S+)" (\S+);',
    "xdc": r'set_property LOC (?P<site>\S+) \[get_ports "(?P<port>\S+)"\]',
}  # fmt: skip


@functools.cache
def made(name: str, clock_mhz: float | None = None, **more: Any) -> Sources:
    return sources(board_of(name), DESIGN, clock_mhz, dictionary=DICTIONARY, **more)


def _fast(name: str) -> Any:
    """One board in every run, the others in `make test-all`: each takes seconds to elaborate."""
    return name if name == "icebreaker" else pytest.param(name, marks=pytest.mark.slow)


def sites(constraints: str, kind: str) -> dict[str, str]:
    """Port -> site."""
    found = {}
    for match in re.finditer(MARKS[kind], constraints):
        named = match.groupdict()
        port, site = (named["port"], named["site"]) if named else match.groups()
        found[port] = site
    return found


@pytest.mark.parametrize("name", [_fast(name) for name in BOARDS])
def test_every_board_has_sources_with_its_pins(name: str) -> None:
    board, given = board_of(name), made(name, CLOCKS.get(name))
    ports = sites(given.constraints, board.constraint_file)
    body = given.rtlil[given.top].partition(f"module \\{given.top}\n")[2].partition("\nend\n")[0]
    wires = re.findall(r"^ +wire (?:width \d+ )?(?:input|output|inout) \d+ +\\(\S+)$", body, re.MULTILINE)
    assert sorted(wires) == sorted(ports) and len(set(ports.values())) == len(ports)
    assert PINS.get(name, {}).items() <= ports.items()
    assert given.constraints_name == f"striate_board.{board.constraint_file}"
    assert set(given.rtlil) == {"striate_board", "striate_tile"}
    assert not any("attribute \\src" in text for text in given.rtlil.values())
    assert given.rtlil["striate_board"].count("cell \\striate_tile ") == 1
    assert divisor_of(given.clock_mhz, given.baud) >= 4 and board.buffer >= LEAST_BUFFER


@pytest.mark.parametrize("name", [_fast(name) for name in CLOCKS])
def test_yosys_reads_them_with_the_cells_of_the_family(name: str, tmp_path: Path) -> None:
    """The hierarchy is complete, ports and parameters of the PLL are those of the family's library; no logic loop."""
    board, given = board_of(name), made(name, CLOCKS[name])
    assert given.clock_mhz == pytest.approx(CLOCKS[name], rel=0.01)
    for module, text in given.rtlil.items():
        (tmp_path / f"{module}.il").write_text(text)
    reads = "".join(f"read_rtlil {module}.il; " for module in given.rtlil)
    loops = "" if board.family == "xilinx" else "check -assert; "
    script = (
        f"{reads}{SYNTH[board.family]} -top striate_board -run begin:coarse; hierarchy -check -top striate_board; "
        f"{loops}select -assert-count 1 t:{PLL[board.pll]}; tee -o stat.txt stat"
    )
    run_yosys(script, tmp_path, outputs=["stat.txt"])


def test_the_oscillator_is_the_clock_where_it_is_the_one_asked_for() -> None:
    given = made("icebreaker")
    assert given.clock_mhz == 12.0 and "SB_PLL40" not in given.rtlil["striate_board"]


def test_names_agree_with_the_devices() -> None:
    """Every board that a design may name can be built or exported."""
    assert set(DEVICES) <= set(BOARDS)
    assert all(board.name == name and name == name.lower() for name, board in BOARDS.items())


@pytest.mark.slow
def test_the_export_for_vivado(tmp_path: Path) -> None:
    out = tmp_path / "arty"
    files = export_vivado(board_of("arty-a7-35"), DESIGN, out, dictionary=DICTIONARY)
    names = [SCRIPT, "design.toml", "dictionary.npz", "striate_board.v", "striate_board.xdc", "striate_tile.v"]
    assert [path.name for path in files] == names
    kept = Design.load(out / "design.toml")  # the folder alone is enough for `striate board`
    assert kept.target.board == "arty-a7-35" and kept.network.dictionary == str(out / "dictionary.npz")
    assert kept.machine == DESIGN.machine and kept.formats == DESIGN.formats
    script = (out / SCRIPT).read_text()
    assert "synth_design -top striate_board -part xc7a35ticsg324-1L" in script
    assert "read_verilog {striate_board.v striate_tile.v}" in script and "read_xdc striate_board.xdc" in script
    run_yosys(
        "read_verilog striate_board.v striate_tile.v; read_verilog -lib +/xilinx/cells_sim.v +/xilinx/cells_xtra.v; "
        "hierarchy -check -top striate_board; tee -o stat.txt stat",
        out, outputs=["stat.txt"],
    )  # fmt: skip
    (out / "stat.txt").unlink()
    with pytest.raises(InputError, match="holds an exported board; name another folder or use --force"):
        export_vivado(board_of("arty-a7-35"), DESIGN, out, dictionary=DICTIONARY)
    export_vivado(board_of("zynq-7020"), DESIGN, out, dictionary=DICTIONARY, force=True)
    assert part_of(board_of("zynq-7020")) == "xc7z020clg400-1" and "xc7z020clg400-1" in (out / SCRIPT).read_text()
    (out / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="holds mine.txt, which no export writes and none deletes"):
        export_vivado(board_of("zynq-7020"), DESIGN, out, dictionary=DICTIONARY, force=True)
    with pytest.raises(InputError, match="is a file; name a folder"):
        export_vivado(board_of("zynq-7020"), DESIGN, out / "mine.txt", dictionary=DICTIONARY)
    with pytest.raises(InputError, match="board icebreaker needs no vendor tool; `striate synth --board icebreaker`"):
        export_vivado(board_of("icebreaker"), DESIGN, tmp_path / "ice", dictionary=DICTIONARY)


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match=r"^unknown board 'ulx4s'; the boards are ulx3s-25f, .*zynq-7020$"):
        board_of("ulx4s")
    with pytest.raises(InputError, match=r"a clock of 14 MHz cannot be made from 12 MHz .* the nearest is 12 MHz"):
        made("icebreaker", 14.0)
    with pytest.raises(InputError, match="9000000 baud is too fast for a clock of 12 MHz; at most 3000000 baud"):
        made("icebreaker", baud=9_000_000)
