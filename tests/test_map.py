"""``striate map`` and what it writes: the table, JSON, the graph drawn and exported, one line when it does not fit."""

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
from PIL import Image

from striate.cli import main
from striate.golden.errors import InputError
from striate.reports.graph import FILES, budget_table, export, tile_graph
from striate.sim.design import Design
from striate.sim.mapping.graph import Mapping
from striate.sim.mapping.resources import budget

SMALL = ["--set", "network.image=[32,32]", "--set", "machine.tiles=[2,2]", "--steps", "10"]


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit status, standard output, standard error."""
    capsys.readouterr()
    status = main(["map", *words])
    return status, *capsys.readouterr()


def as_json(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> dict[str, Any]:
    found, out, err = run(capsys, *words, "--json")
    assert found == status, err
    assert out.count("\n") == 1
    info: dict[str, Any] = json.loads(out)
    assert {"striate", "design", "seconds", "board", "fits", "reason"} <= info.keys()
    return info


def test_the_table_says_where_things_live(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, *SMALL)
    assert (status, err) == (0, "")
    rows = dict(line.split("  ", 1) for line in out.splitlines())
    assert rows["machine"].strip() == "2x2 tiles, 16 gather, 8 scatter, 8 detect lanes, links of 16"
    assert rows["a tile"].strip() == "8x8 positions, 512 neurons, 30x30 pixels"
    assert re.match(r" *12 of 18 bits, the busiest tile\d to tile\d: \d+ events; feed chain \d+ bits", rows["links"])
    assert {f"memory {name}" for name in ("U", "D", "R", "r~", "weights")} <= rows.keys()
    assert rows["multipliers"].strip() == "64 of 156" and "(exact)" in rows["cycles a frame"]
    info = as_json(capsys, *SMALL)
    assert info["fits"] and info["reason"] is None and info["multipliers"] == 64 and info["device"] == "ECP5 85F"
    assert info["frames_per_second"] == pytest.approx(80e6 / info["cycles"])
    assert info["blocks"] == info["tiles"] * sum(memory["blocks"] for memory in info["memories"])


def test_what_does_not_fit_ends_with_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, *SMALL, "--board", "icebreaker")
    assert status == 1 and "4-kbit blocks" in out
    assert err.count("\n") == 1 and "this mapping does not fit icebreaker (iCE40 UP5K): " in err and "over" in err
    info = as_json(capsys, *SMALL, "--board", "icebreaker", status=1)
    assert not info["fits"] and info["reason"] in err and info["blocks_over"] > 0


def test_fit_and_what_cannot_be(capsys: pytest.CaptureFixture[str]) -> None:
    info = as_json(capsys, *SMALL, "--board", "ulx3s-25f", "--fit", "500")
    assert info["fits"] and info["frames_per_second"] >= 500 and info["board"] == "ulx3s-25f"
    assert info["search"]["tried"][-1]["cycles"] == info["cycles"] and info["machine"]["tiles"] != [2, 2]
    slow = as_json(capsys, *SMALL, "--fit", "1e6", status=1)
    assert not slow["fits"] and "1e+06 frames/s are out of reach on ulx3s-85f" in slow["reason"]
    status, out, err = run(capsys, *SMALL, "--fit", "1e6")
    assert (status, out) == (1, "") and err.count("\n") == 1


def test_fit_takes_any_tiles_and_lanes_of_the_design(capsys: pytest.CaptureFixture[str]) -> None:
    """Also those that its picture cannot have: a search replaces them."""
    odd = ["--set", "network.image=[30,30]", "--steps", "5", "--set", "machine.update_positions=2"]
    assert run(capsys, *odd)[0] == 2
    info = as_json(capsys, *odd, "--fit", "10")
    assert info["fits"] and info["frames_per_second"] >= 10 and info["crop"] == [241, 241]
    status, _, err = run(capsys, *odd, "--fit", "10", "--set", "formats.code=u4.3")
    assert status == 2 and "formats.code u4.3 is 0 at the threshold 0.05; use u5.4" in err


def test_fold(capsys: pytest.CaptureFixture[str]) -> None:
    info = as_json(capsys, *SMALL, "--fold", "1,1", "--memory-bits", "64", "--buffers", "2", "--board", "ulx3s-25f")
    assert info["fold"]["mesh"] == [1, 1] and info["fold"]["logical"] == [2, 2] and info["tiles"] == 1
    assert info["fold"]["read_words"] == -(-sum(info["fold"]["read_bits"].values()) // 64)
    whole = as_json(capsys, *SMALL, status=0)
    assert info["cycles"] > whole["cycles"] and info["multipliers"] * 4 == whole["multipliers"]
    status, out, err = run(capsys, *SMALL, "--fold", "1,1", "--board", "icebreaker")
    assert status == 1 and "(modelled)" in out and "this folded mapping does not fit icebreaker" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--board", "arty"], "target.board must be one of .*, not 'arty'"),
        (["--fold", "3,1"], r"the fold \[3, 1\] does not divide machine.tiles \[2, 2\]"),
        (["--fold", "two"], "--fold must be two whole numbers R,C such as 2,1, not 'two'"),
        (["--fold", "1,1", "--fit", "30"], "--fold and --fit exclude each other"),
        (["--fit", "-3"], "the frame rate must be a number above 0 and finite, not -3"),
        (["--fit", "inf"], "the frame rate must be a number above 0 and finite, not inf"),
        (["--memory-bits", "64"], "--memory-bits and --buffers are those of a folded machine; add --fold R,C"),
        (["--crop", "0,0"], "--crop 0,0 needs a picture"),
        (["--set", "machine.schedule=skip"], "machine.schedule 'skip' has no tiles to map"),
        (["--picture", "nowhere.png"], "nowhere.png: no such picture"),
    ],
)
def test_wrong_use(capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:

    status, out, err = run(capsys, *SMALL, *words)
    assert (status, out) == (2, "") and err.count("\n") == 1 and re.search(said, err), err


def test_out_writes_the_graph(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = tmp_path / "map"
    info = as_json(capsys, *SMALL, "--picture", "camera", "--crop", "104,212", "--out", str(folder))
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES) and info["out"] == str(folder)
    graph = nx.node_link_graph(json.loads((folder / "graph.json").read_text()), edges="edges")
    assert sum(d["words"] for *_, d in graph.edges(data=True) if d["kind"] == "events") == info["link_events"] > 0
    with Image.open(folder / "graph.png") as png:
        assert min(png.size) > 500 and len(np.unique(np.asarray(png.convert("L")))) > 50
    assert ET.parse(folder / "graph.svg").getroot().tag.endswith("svg")
    text = (folder / "budget.md").read_text()
    assert f"| 18-kbit blocks | {info['blocks']} | 208 |" in text and "| D | " in text
    before = (folder / "graph.svg").read_bytes()
    status, _, err = run(capsys, *SMALL, "--out", str(folder))
    assert status == 2 and "--force replaces it" in err
    as_json(capsys, *SMALL, "--picture", "camera", "--crop", "104,212", "--out", str(folder), "--force")
    assert (folder / "graph.svg").read_bytes() == before


def test_export_keeps_off_other_files(tmp_path: Path) -> None:
    mapping = Mapping.of(Design(image=(32, 32), tiles=(2, 2)))
    figure, lines = tile_graph(mapping), budget_table(mapping.budget)
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match="holds thesis.tex, which no mapping wrote; name another folder"):
        export(tmp_path, mapping, figure, lines, force=True)
    with pytest.raises(InputError, match="is a file; name a folder"):
        export(tmp_path / "thesis.tex", mapping, figure, lines)
    assert len(export(tmp_path / "new", mapping, figure, lines)) == 4


def test_the_drawing_has_every_link_that_carried_something() -> None:
    mapping = Mapping.of(Design(image=(32, 32), tiles=(2, 2)))
    code = np.zeros((8, 16, 16), np.int64)
    traffic = np.zeros((4, 8), np.int64)
    traffic[0, 4], traffic[3, 0] = 7, 2
    figure = tile_graph(mapping.with_counts(traffic, code), busy=np.ones(4))
    arrows = [p for p in figure.axes[0].patches if type(p).__name__ == "FancyArrowPatch"]
    assert len(arrows) == 2 + 2 * 4, "two links, four tiles on each chain"
    assert len([p for p in tile_graph(mapping).axes[0].patches if type(p).__name__ == "FancyArrowPatch"]) == 12 + 8
    assert {text.get_text() for text in figure.axes[0].texts} >= {"0", "1", "2", "3", "front", "feed", "drain"}


def test_budget_table_adds_up() -> None:
    found = budget(Mapping.of(Design()).plan, "zynq-7020")
    lines = budget_table(found)
    blocks = [int(line.split("|")[6]) for line in lines[2:7]]
    assert sum(blocks) == found.resources.blocks and f"| 18-kbit blocks | {sum(blocks)} | 280 |" in lines
    assert any(line.startswith("| LUT6 (estimated) |") for line in lines)
