"""``striate crossbar-learn`` from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from striate.cli import main
from striate.golden.dictionary import Dictionary
from striate.golden.geometry import Geometry
from striate.reports.crossbar_learning import words
from striate.sim.crossbar.learning import training as learning
from striate.sim.design import Design
from striate.sim.machine import load_dictionary

SMALL = ["chelsea", "-k", "4", "-p", "8", "-s", "2", "--crop-size", "32", "--pictures", "8", "--set",
         "dynamics.steps=40"]  # fmt: skip


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    return main(["crossbar-learn", *words]), *capsys.readouterr()


def test_a_study_its_page_and_its_dictionary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "learned"
    options = [*SMALL, "--device-update", "ecram, reram-es,ecram", "--out", str(out), "--json"]
    status, text, err = run(capsys, *options)
    assert status == 0 and text.count("\n") == 1, err
    info: dict[str, Any] = json.loads(text)
    assert {"striate", "design", "seconds", "runs", "digital", "dictionary", "versions"} <= info.keys()
    found = [(r["device_update"], r["update"]) for r in info["runs"]]
    assert found == [(d, u) for d in ("ecram", "reram-es") for u in ("ideal", "naive", "write-verify")]
    for one in info["runs"]:
        crops = [point["crops"] for point in one["curve"]]
        assert crops[0] == 0 and crops[-1] == 8 == info["crops"] and crops == sorted(crops)
        assert one["percent_error"] == one["curve"][-1]["percent_error"] < one["percent_error_start"]
        assert (one["pulses"] > 0) == (one["update"] != "ideal") and one["outcome"] == "completed"
        assert one["cells"] == 2 * 256 and one["stuck_cells"] == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "crossbar_learning.png", "design.toml", "dictionary.npz", "learned.npz", "report.html", "run.json"
    ]  # fmt: skip
    design = Design(image=(32, 32), kernels=4, patch=8, stride=2, dictionary=str(out / "dictionary.npz"))
    assert load_dictionary(design).sha256 == info["dictionary"]["sha256"]
    best = min((r for r in info["runs"] if r["update"] != "ideal"), key=lambda r: float(r["percent_error"]))
    assert {key: best[key] for key in ("device_update", "update")}.items() <= info["dictionary"].items()
    with np.load(out / "learned.npz") as learned:
        assert set(learned.files) == {"digital", *(f"{d} {u}" for d, u in found)}
        np.testing.assert_array_equal(
            learned[f"{best['device_update']} {best['update']}"], Dictionary.load(out / "dictionary.npz").atoms
        )
    page = (out / "report.html").read_text()
    assert page.count("<svg") == 4 and "What the cells do with a pulse" in page and "Tang et al., IEDM 2018" in page
    assert "http" not in page.replace("http://www.w3.org", "")
    assert all(sentence.split(":")[0] in page for sentence in words(info))
    assert not (tmp_path / "learned.checkpoint").exists()
    status, _, err = run(capsys, *options)
    assert status == 2 and "holds a study of learning that is finished; --force learns anew, or name another" in err
    again = json.loads(run(capsys, *options, "--force")[1])
    assert again["runs"] == info["runs"]
    assert main(["report", str(out)]) == 2
    assert "holds a study of learning, whose page is its report.html" in capsys.readouterr().err


def test_repair_as_text(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    start = tmp_path / "start.npz"
    Dictionary.random(Geometry((32, 32), 1, 4, 8, 2), 1).save(start)
    damage = ["--set", "crossbar.fault_rate=0.05", "--set", "crossbar.mapping=offset"]
    status, text, err = run(capsys, *SMALL, *damage, "--repair", "--start", str(start), "--update", "naive")
    assert status == 0 and err == ""
    assert "none: digital" in text and "of 256 cells stuck: 8 crops mend" in text and "exact writing" not in text
    assert "written a second time with write-and-verify, nothing learned" in text and "write-verify" not in text


def test_goes_on_after_an_interrupt(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, shown = tmp_path / "learned", []
    options = [*SMALL, "--update", "naive", "--seed", "5", "--out", str(out), "--json"]
    whole = json.loads(run(capsys, *options[:-3], "--json")[1])
    show = learning._Learner.show

    def strike(self: Any, image: Any, state: Any) -> Any:
        shown.append(state.done)
        if len(shown) == 12:
            raise KeyboardInterrupt
        return show(self, image, state)

    monkeypatch.setattr(learning._Learner, "show", strike)
    status, _, err = run(capsys, *options)
    states = tmp_path / "learned.checkpoint"
    assert status == 130
    assert err == f"striate: stopped; what was learned is in {states}: the same command continues\n"
    assert not out.exists() and len(list((tmp_path / "learned.checkpoint").iterdir())) == 2
    status, text, err = run(capsys, *options)
    assert status == 0 and len(shown) == 12 + 5, err  # digital had ended, naive goes on at its crop 3
    assert json.loads(text)["runs"] == whole["runs"] and not (tmp_path / "learned.checkpoint").exists()


def test_words_follow_the_numbers() -> None:
    """From a made-up study: who wins, by how much, and what is said of a digital copy."""

    def one(update: str, error: float, digital: float, norm: float = 1.0) -> dict[str, Any]:
        return {"device_update": "ecram", "states": 1000.0, "update": update, "percent_error_start": 60.0,
                "percent_error": error, "percent_error_digital": digital, "norm": norm, "at_bounds": 0.01,
                "pulses_per_weight_and_crop": 2.0, "reads_per_weight_and_crop": 1.5, "stuck_cells": 3,
                "cells": 512}  # fmt: skip

    info: dict[str, Any] = {
        "repair": False, "crops": 8, "rewritten": {"ecram": {"percent_error": 33.0}},
        "digital": one("ideal", 30.0, 30.0) | {"percent_error_start": 40.0},
        "runs": [one("ideal", 31.0, 31.0), one("naive", 35.0, 48.0, 1.4), one("write-verify", 32.0, 32.1)],
    }  # fmt: skip
    said = " ".join(words(info))
    assert "take 40.0 to 30.0 %" in said and "costs 4.0 points. Reading back gains 3.0 points" in said
    assert "ecram, naive have 48.0 % in place of 35.0 %" in said and "ends at 1.00 to 1.40" in said
    info["runs"][1] = one("naive", 31.2, 31.3)
    info["repair"] = True
    said = " ".join(words(info))
    assert "Open-loop pulses are within 0.5 points of exact writing. Reading back loses 0.8 points" in said
    assert "a digital copy may stand for the array" in said
    assert "ecram, 3 of 512 cells stuck: 8 crops mend 60.0 % to 31.0 % by exact writing (145 % of the damage)" in said
    assert "31.2 % by open-loop pulses (144 % of the damage)" in said
    assert "nothing learned, have 33.0 %; whole they had 40.0 %" in said


def test_diverging_exits_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    wild = ["--set", "dynamics.eta=1.0", "--set", "dynamics.threshold=0.0001", "--pictures", "11"]
    status, text, err = run(capsys, *SMALL, *wild, "--update", "ideal", "--json")
    assert status == 1 and json.loads(text)["runs"][0]["outcome"] == "diverged"
    assert err.startswith("striate: diverged: digital, ecram ideal. The codes stopped being stable")


def test_a_folder_of_others_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for text in ('{"on": "machine"}', "{", "[]"):
        (tmp_path / "run.json").write_text(text)
        status, _, err = run(capsys, *SMALL, "--out", str(tmp_path))
        assert status == 2 and "exists and is not empty; --force replaces it" in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--device-update", "ecrom"], "no update device 'ecrom'; did you mean ecram?"),
        (["--pictures", "0"], "--pictures must be at least 1, not 0"),
        (["--budget", "0"], "--budget must be at least 1 pulse a weight and update, not 0"),
        (["--train", "0"], "--train must be at least 1 pulse between two reads, not 0"),
        (["--tolerance", "0"], "--tolerance must be above 0, not 0.0"),
        (["--rate", "0"], "--rate must be a finite number above 0, not 0.0"),
        (["--start", "noise"], "--start must be random, natural or a path ending in .npz, not 'noise'"),
        (["--start", "none.npz"], "none.npz: no such file"),
        (["--start", "natural"], "no dictionary 'natural-k4-p8-s2' comes with the package"),
        (["--repair", "--start", "random"], "--repair of --start random has nothing to mend"),
        (["--held-out", "chelsea"], "chelsea is held out to measure errors on; leave it out of PICTURES"),
        (["--set", "dynamics.transfer=soft"], "dynamics.transfer = soft is not what learning codes with"),
        (["--set", "dynamics.step_shift=[[0,4],[9,5]]"], "is a schedule; learning takes one step, such as 5"),
        (["--set", "crossbar.device=wan"], 'crossbar.device "wan" is unknown'),
        (["--set", "crossbar.fault_rate=2.0"], "fault_rate"),
        (["--coding", "crossbar", "--set", "crossbar.rows=0"], "crossbar.rows"),
    ],
)
def test_mistakes_are_one_line(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, text, err = run(capsys, *SMALL, *options)
    assert (status, text) == (2, "") and message in err and err.startswith("striate: ") and err.count("\n") == 1


def test_a_start_of_another_shape(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "five.npz"
    Dictionary.random(Geometry((32, 32), 1, 5, 8, 2), 0).save(file)
    status, _, err = run(capsys, *SMALL, "--start", str(file))
    assert status == 2 and err.startswith("striate: the start has kernels of shape (K, C, p, p) = (5, 1, 8, 8)")
