"""``striate widths`` from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from striate.cli import main
from striate.sim.design import Design
from striate.sim.precision import calibration

SMALL = ["--set", "network.image=[32,32]", "--set", "machine.tiles=[2,2]", "--steps", "40", "--parts", "2"]


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    return main(["widths", *words]), *capsys.readouterr()


def test_the_design_written_is_the_design_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "narrow.toml"
    words = ["camera", *SMALL, "--loss", "0.5", "--out", str(out), "--json"]
    status, text, err = run(capsys, *words)
    assert status == 0 and text.count("\n") == 1, err
    info: dict[str, Any] = json.loads(text)
    design = Design.load(out)
    assert {"striate", "design", "seconds", "found", "loss", "tried", "ranges", "check"} <= info.keys()
    assert info["formats"] == {name: str(getattr(design.formats, name)) for name in info["formats"]}
    assert info["loss"] <= 0.5 and info["parts"] == 2 and len(info["check"]["losses"]) == 2
    assert info["out"] == str(out) and design.network.image == (32, 32) and design.machine.tiles == (2, 2)
    design.check_machine()
    before = out.read_bytes()
    status, _, err = run(capsys, *words)
    assert status == 2 and err == f"striate: {out} exists; --force replaces it, or name another file\n"
    status, text, err = run(capsys, *words, "--force")
    assert status == 0 and out.read_bytes() == before
    assert {k: v for k, v in json.loads(text).items() if k != "seconds"} == {
        k: v for k, v in info.items() if k != "seconds"
    }


def test_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    status, text, err = run(capsys, *SMALL, "--loss", "0.5", "--crop", "104,212")
    assert status == 0 and err == ""
    assert "sweep of membrane" in text and "joint, widening" in text and "range of r~" in text
    assert "give more pictures to tell" in text and "loss elsewhere" not in text


def test_no_formats_keep_the_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = calibration.percent_error
    monkeypatch.setattr(calibration, "percent_error", lambda image, residual: real(image, residual) - 3)
    out = tmp_path / "none.toml"
    status, text, err = run(capsys, *SMALL, "--out", str(out), "--json")
    assert status == 1 and json.loads(text)["found"] is False and not out.exists()
    assert err.count("\n") == 1 and "no formats keep a loss of 0.1 points; the least met was +" in err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--loss", "-1"], "a loss budget must be at least 0 points, not -1.0; 0.1 is about no loss"),
        (["--loss", "nan"], "a loss budget must be at least 0 points, not nan"),
        (["--margin", "0.5"], "a range's margin must be at least 1, not 0.5; the default is 1.5"),
        (["--set", "machine.schedule=gram"], 'machine.schedule "gram" has no residual whose format could be searched'),
        (["nothing.png"], "nothing.png: no such picture"),
        (["--crop", "500,0"], "--crop 500,0 leaves camera of 512x512 pixels; use at most 480,480"),
        (["--set", "network.kernels=3"], "machine.gather_lanes 16 is neither a divisor of the 3 kernels"),
        (
            ["--set", "network.image=[1024,1024]"],
            "camera has 512x512 pixels, the design's image 1024x1024; give",
        ),
        (
            ["--set", "dynamics.step_shift=0"],
            "diverges in float64, so no format can be judged on it; raise dyn",
        ),
        (["--parts", "0"], "--parts"),
        (["--out", "."], "--out . is a folder; name a file"),
    ],
)
def test_bad_input_is_one_line(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, text, err = run(capsys, *SMALL, *words)
    assert status == 2 and text == "" and err.count("\n") == 1 and says in err
