"""``striate faults`` from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from striate.cli import main
from striate.sim.fault_study import ROWS

SMALL = ["--set", "network.image=[32,32]", "--set", "machine.tiles=[2,2]", "--steps", "16", "--crop", "104,212"]
SMALL += ["--flips", "2", "--rate", "3", "--refresh", "4"]


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    return main(["faults", *words]), *capsys.readouterr()


def test_a_study_and_its_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "flips"
    words = ["camera", *SMALL, "--out", str(out), "--json"]
    status, text, err = run(capsys, *words)
    assert status == 0 and text.count("\n") == 1, err
    info: dict[str, Any] = json.loads(text)
    assert {"striate", "design", "seconds", "flips", "memories", "intervals", "versions"} <= info.keys()
    assert info["flips"] == 2 * len(ROWS) and list(info["memories"]) == list(ROWS) == list(info["memories_refreshed"])
    for name in ROWS:
        told = info["memories"][name]
        assert told["flips"] == 2 == told["unseen"] + told["healed"] + told["persisted"]
        assert told["percent_error_before"] == info["percent_error"] and "steps_to_heal" in told
    assert [r["refresh"] for r in info["intervals"]] == [0, 8, 4, 2, 1]
    cycles = [r["cycles"] for r in info["intervals"]]
    assert cycles == sorted(cycles) and info["intervals"][0]["cycles_ratio"] == 1
    assert info["rtl"] is None and info["refresh"] == 4 and info["flips_in_frame"] == 3
    assert sorted(path.name for path in out.iterdir()) == ["design.toml", "faults.png", "report.html", "run.json"]
    page = (out / "report.html").read_text()
    assert page.count("<svg") == 4 and "What heals and what does not" in page
    assert "http" not in page.replace("http://www.w3.org", "")
    assert json.loads((out / "run.json").read_text())["memories"] == info["memories"]
    status, _, err = run(capsys, *words)
    assert status == 2 and "exists and is not empty; --force replaces it" in err
    assert main(["report", str(out)]) == 2
    assert "holds a study of bit flips, whose page is its report.html" in capsys.readouterr().err


def test_as_text_and_the_same_again(capsys: pytest.CaptureFixture[str]) -> None:
    status, text, err = run(capsys, *SMALL, "--seed", "3")
    assert status == 0 and err == ""
    assert "membranes U" in text and "with a refresh every 4 steps" in text and "8 steps" in text and "never" in text
    assert run(capsys, *SMALL, "--seed", "3")[1] == text


def test_on_one_tile_there_are_no_links(capsys: pytest.CaptureFixture[str]) -> None:
    status, text, _ = run(capsys, *SMALL, "--set", "machine.tiles=[1,1]", "--json")
    assert status == 0 and "link" not in json.loads(text)["memories"]


@pytest.mark.slow
def test_against_the_rtl(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    status, text, err = run(capsys, *SMALL, "--rtl", "2", "--json")
    rtl = json.loads(text)["rtl"]
    assert status == 0 and rtl["passed"] and rtl["frames"] == 2 and rtl["faults"]["applied"] >= 12, err
    from striate.hw.cosim import faults as cosim

    monkeypatch.setattr(cosim, "rows", lambda plan, faults: cosim.np.zeros((0, 8), cosim.np.int64))
    status, _, err = run(capsys, *SMALL, "--rtl", "1", "--json")
    assert status == 1 and err.startswith("striate: the RTL does not equal the machine under flips: frame 0")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "machine.refresh=5"], "leave machine.refresh out"),
        (["--set", "machine.schedule=dense"], "has no tiles to hit"),
        (["--refresh", "16"], "--refresh 16 is no refresh in a frame of 16 steps"),
        (["--steps", "6"], "dynamics.steps must be at least 8 to see what heals, not 6"),
        (["--set", "dynamics.settle=3"], "flips are studied with one step shift and frames of full length"),
        (["--flips", "0"], "--flips': must be greater than or equal to 1, not '0'"),
        (["nothing.png"], "nothing.png: no such picture"),
    ],
)
def test_wrong_use(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, text, err = run(capsys, *SMALL, *words)
    assert status == 2 and text == "" and err.count("\n") == 1 and message in err
