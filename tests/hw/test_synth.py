"""Real runs: a small machine through Yosys and nextpnr, and what must hold of every netlist."""

import json
from pathlib import Path

import pytest

from striate.golden.dictionary import Dictionary
from striate.hw.boards import board_of
from striate.hw.emit import quantised
from striate.hw.mesh import Mesh
from striate.hw.synth import family_of, synthesise
from striate.hw.synth.netlist import synthesise_netlist
from striate.hw.synth.parse import load, readable
from striate.hw.tile import Tile
from striate.hw.verilog import to_rtlil
from striate.sim.design import Design

TINY = Design(image=(8, 8), kernels=2, patch=4, stride=2, tiles=(1, 1), gather_lanes=2, scatter_lanes=2, detect_lanes=2,
              link_depth=16)  # fmt: skip
DICTIONARY = Dictionary.random(TINY.geometry, seed=1)


def test_a_tiny_machine_out_of_context(tmp_path: Path) -> None:
    """Synthesised, placed and routed; counted blocks and multipliers are those of the netlist (no warning says no)."""
    said: list[str] = []
    found = synthesise(
        TINY, "ulx3s-25f", tmp_path / "o", out_of_context=True, clock_mhz=20.0, dictionary=DICTIONARY,
        progress=lambda text, share: said.append(text),
    )  # fmt: skip
    assert found.outcome == "done", found.failure
    assert found.fmax_mhz is not None and found.fmax_mhz >= 20 and found.bitstream is None
    assert found.used["dsp"].used == found.estimate.multipliers == 2
    assert 500 < found.used["lut"].used < 6000 and found.used["ff"].used > 500
    assert not any("emulate_" in text or "multipliers" in text for text in found.warnings)
    assert found.path is not None and found.path.source.startswith("tile0.") and "TRELLIS" not in found.path.text
    assert any("flat" in text for text in said) and any("seed 1" in text for text in said)
    stat = load(tmp_path / "o" / "work" / "netlist" / "stat.json")
    assert stat["design"]["num_cells_by_type"]["MULT18X18D"] == 2
    report = json.loads((tmp_path / "o" / "report.json").read_text())
    assert readable(report["critical_paths"][0]["path"][0]["from"]["cell"])


@pytest.mark.slow
def test_a_mesh_is_as_many_tiles_as_it_has(tmp_path: Path) -> None:
    """Synthesised once and joined: multipliers and blocks of two tiles, and no memory with an emulated port."""
    design = TINY.replace(tiles=(2, 1), image=(64, 16))
    plan, _ = quantised(design, DICTIONARY)
    rtlil = {
        "striate": to_rtlil(Mesh(plan, observed=False), "striate"),
        "striate_tile": to_rtlil(Tile(plan, observed=False), "striate_tile"),
    }
    family = family_of(board_of("ulx3s-25f"))
    said: list[str] = []
    found = synthesise_netlist(rtlil, "striate", plan, family, tmp_path, lambda text, share: said.append(text))
    one = load(tmp_path / "tile" / "stat.json")["design"]["num_cells_by_type"]
    both = load(tmp_path / "netlist" / "stat.json")["design"]["num_cells_by_type"]
    assert found.cells["dsp"] == 2 * one["MULT18X18D"] == 4 and found.emulated == 0
    assert found.cells["bram"] == 2 * one["DP16KD"] > 0
    assert 2 * one["LUT4"] < both["LUT4"] < 2 * one["LUT4"] + 2000
    assert said == ["Yosys: the tile", "Yosys: what is around the tiles", "Yosys: joining"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("board", "keys", "suffix"),
    [
        ("ulx3s-25f", {"tiles": (2, 1), "image": (16, 8)}, "bit"),
        ("icebreaker", {"gather_lanes": 1, "scatter_lanes": 1, "detect_lanes": 1}, "bin"),
        ("tangnano9k", {}, "fs"),
    ],
)
def test_bitstreams(tmp_path: Path, board: str, keys: dict[str, object], suffix: str) -> None:
    found = synthesise(TINY.replace(keys), board, tmp_path / "o", clock_mhz=12.0, dictionary=DICTIONARY)
    assert found.outcome == "done", found.failure
    assert found.bitstream is not None and found.bitstream.name == f"top.{suffix}"
    assert found.bitstream.stat().st_size > 50_000 and found.fmax_mhz is not None and found.fmax_mhz >= 12
    assert found.warnings == () and found.used["bram"].used == found.estimate.all_blocks
    again = synthesise(TINY.replace(keys), board, tmp_path / "o", clock_mhz=12.0, dictionary=DICTIONARY)
    assert again == found
