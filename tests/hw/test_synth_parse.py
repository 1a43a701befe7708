"""Reports of nextpnr and Yosys read by key: on reports of real runs (shortened), and on broken ones."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from striate.golden.errors import InputError
from striate.hw.boards import BOARDS
from striate.hw.synth.families import FAMILIES, KINDS, family_of, gowin_name
from striate.hw.synth.parse import (
    Count,
    UnreadableReport,
    clocks,
    load,
    mapped,
    overfull,
    readable,
    utilisation,
)

REPORTS = Path(__file__).parent / "synth_reports"


def report_of(family: str) -> dict[str, Any]:
    return load(REPORTS / f"{family}.json")


@pytest.mark.parametrize(
    ("family", "counts"),
    [
        ("ecp5", {"lut": (2261, 83640), "ff": (1744, 83640), "bram": (1, 208), "dsp": (2, 156)}),
        ("ice40", {"lut": (3363, 5280), "bram": (10, 30), "dsp": (2, 8)}),
        ("gowin", {"lut": (2485 + 830 + 4 * 49, 8640), "ff": (1743, 6480), "bram": (1, 26), "dsp": (2, 20)}),
    ],
)
def test_utilisation_by_key(family: str, counts: dict[str, tuple[int, int]]) -> None:
    found = utilisation(report_of(family), FAMILIES[family])
    assert found == {kind: Count(*pair) for kind, pair in counts.items()}
    assert set(found) <= set(KINDS)


def test_clocks_and_the_critical_path_by_key() -> None:
    (clock,) = clocks(report_of("ecp5"))
    assert clock.net == "$glbnet$lock_sync.por_clk" and clock.asked_mhz == 80 and clock.met
    assert clock.achieved_mhz == pytest.approx(130.497, abs=1e-3)
    assert clock.path is not None
    assert clock.path.source == "mesh.tile0.update.x5_1[1]" and clock.path.sink == "mesh.tile0.update.u6_1[0]"
    report = report_of("ecp5")
    delays = [s["delay"] for s in report["critical_paths"][0]["path"]]
    routing = [s["delay"] for s in report["critical_paths"][0]["path"] if s["type"] == "routing"]
    assert clock.path.delay_ns == pytest.approx(sum(delays))
    assert clock.path.logic_ns == pytest.approx(sum(delays) - sum(routing)) and routing
    assert "mesh.tile0.update.x5_1[1] -> mesh.tile0.update.u6_1[0], " in clock.path.text


def test_the_clock_furthest_from_what_was_asked_comes_first() -> None:
    report = report_of("ice40")
    report["fmax"] |= {"usb": {"achieved": 40.0, "constraint": 48.0}, "slow": {"achieved": 11.0, "constraint": 12.0}}
    found = clocks(report)
    assert [clock.net for clock in found] == ["usb", "slow", "clk"] and [clock.met for clock in found] == [0, 0, 1]
    assert found[0].path is None and found[2].path is not None


def test_what_is_over_is_named() -> None:
    report = report_of("gowin")
    assert overfull(report, FAMILIES["gowin"]) == {}  # 8 of 0 DUMMY_CELL and 3 of 0 TBUF are the tool's own
    report["utilization"]["BSRAM"]["used"] = 30
    report["utilization"]["RAM16SDP4"] = {"used": 300, "available": 270}
    report["utilization"]["MULT18X18"] = {"used": 1, "available": 0}
    assert overfull(report, FAMILIES["gowin"]) == {
        "BSRAM": Count(30, 26), "RAM16SDP4": Count(300, 270), "MULT18X18": Count(1, 0),
    }  # fmt: skip


def test_reports_without_a_key_say_which() -> None:
    for key in ("utilization", "fmax", "critical_paths"):
        report = report_of("ecp5")
        del report[key]
        with pytest.raises(UnreadableReport, match=f"no key '{key}'"):
            _ = utilisation(report, FAMILIES["ecp5"]), clocks(report)
    report = copy.deepcopy(report_of("ecp5"))
    del report["utilization"]["DP16KD"]
    with pytest.raises(UnreadableReport, match="no key 'DP16KD'"):
        utilisation(report, FAMILIES["ecp5"])


@pytest.mark.parametrize(("text", "said"), [("{", "x.json is no JSON"), ("[1]", "x.json is no JSON object")])
def test_reports_that_are_none(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(UnreadableReport, match=said):
        load(tmp_path / "x.json")


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ("tile0.control.phase[0]_TRELLIS_FF_Q", "tile0.control.phase[0]"),
        ("tile0.update.valid[1]_LUT4_D_Z_LUT4_D_Z", "tile0.update.valid[1]"),
        ("mesh.tile0.control.phase[0]_SB_DFFESR_Q_D_SB_LUT4_O_LC", "mesh.tile0.control.phase[0]"),
        ("tile1.d.bank0._ram_DP16KD_DOA0", "tile1.d.bank0._ram"),
        ("a_MULT18X18D_P0_1", "a"),
        ("plain.name_of_lut4", "plain.name_of_lut4"),
        ("x_DFFRE_Q", "x"),
        ("_TRELLIS_FF_Q", "_TRELLIS_FF_Q"),
    ],
)
def test_names_without_what_the_tools_appended(cell: str, name: str) -> None:
    assert readable(cell) == name


def test_cells_after_synthesis_by_type() -> None:
    stat = {"design": {"num_cells_by_type": {"SB_DFF": 3, "SB_DFFESR": 4, "SB_LUT4": 9, "SB_RAM40_4K": 2}}}
    assert mapped(stat, FAMILIES["ice40"]) == {"ff": 7, "bram": 2, "dsp": 0}
    with pytest.raises(UnreadableReport, match="no key 'num_cells_by_type'"):
        mapped({"design": {}}, FAMILIES["ice40"])


def test_every_board_has_its_options_or_is_refused_in_one_line() -> None:
    words = {}
    for board in BOARDS.values():
        if board.family == "xilinx":
            said = f"{board.name} .* has no open place-and-route here; `striate emit --board {board.name} --out DIR`"
            with pytest.raises(InputError, match=said):
                family_of(board)
        else:
            words[board.name] = family_of(board).place(board)
    assert words["ulx3s-85f"] == ["--85k", "--package", "CABGA381", "--speed", "6"]
    assert words["orangecrab-25f"][0] == "--25k" and words["icebreaker"] == ["--up5k", "--package", "sg48"]
    assert words["tangnano9k"] == ["--device", "GW1NR-LV9QN88PC6/I5", "--vopt", "family=GW1N-9C"]
    assert gowin_name(BOARDS["tangprimer20k"]) == "GW2A-18C"


def test_the_samples_are_small() -> None:
    assert all(len(json.dumps(report_of(family))) < 8000 for family in FAMILIES)
