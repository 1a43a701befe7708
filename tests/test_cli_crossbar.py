"""``striate encode --on crossbar``: its JSON, its files, and every refusal in one line."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from striate.cli import main
from striate.golden.archive import save_npz
from striate.golden.images import load_image
from striate.reports.record_crossbar import run_crossbar
from striate.sim.design import Design

SMALL = ["--crop", "104,212", "--set", "network.image=[32,32]", "--set", "machine.tiles=[2,2]", "--steps", "10"]
CROSSBAR = ["--on", "crossbar"]
IDEAL = [
    word
    for setting in ('device="ideal"', "adc_bits=0", "dac_bits=0", "wire_ohm=0")
    for word in ("--set", f"crossbar.{setting}")
]


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit status, standard output, standard error of an encoding of a part of "camera"."""
    capsys.readouterr()
    status = main(["encode", "camera", *SMALL, *words])
    return status, *capsys.readouterr()


def as_json(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> dict[str, Any]:
    found, out, err = run(capsys, *words, "--json")
    assert found == status, err
    assert out.endswith("\n") and out.count("\n") == 1
    info: dict[str, Any] = json.loads(out)
    return info


def test_what_scripts_rely_on(capsys: pytest.CaptureFixture[str]) -> None:
    info = as_json(capsys, *CROSSBAR)
    for key in (
        "striate", "design", "seconds", "percent_error", "programmed_percent_error", "percent_inactive", "psnr_db",
        "programmed_psnr_db", "outcome", "remedy", "steps", "code_sha256", "compute_seconds", "program_seconds",
        "conversions", "adc_saturations", "energy_pj", "latency_ms", "area_mm2", "counts", "costs", "warnings",
        "device", "arrays",
    ):  # fmt: skip
        assert key in info, key
    assert info["steps"] == 10 and info["on"] == "crossbar" and info["seed"] == 0
    machine = as_json(capsys, "--on", "machine")
    assert machine["design"] == info["design"] and machine["code_sha256"] != info["code_sha256"]


def test_everything_off_is_the_machine(capsys: pytest.CaptureFixture[str]) -> None:
    analog, machine = as_json(capsys, *CROSSBAR, *IDEAL), as_json(capsys, "--on", "machine")
    assert analog["code_sha256"] == machine["code_sha256"] and analog["percent_error"] == machine["percent_error"]
    assert analog["programmed_percent_error"] == pytest.approx(analog["percent_error"], rel=1e-9)


def test_a_folder_has_the_same_bytes_for_the_same_seed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    info = as_json(capsys, *CROSSBAR, "--seed", "7", "--out", str(folder))
    assert info["seed"] == 7 and info["machine"]["costs"] and info["fewest_steps"]["steps"] <= 10
    assert json.loads((folder / "run.json").read_text())["code_sha256"] == info["code_sha256"]
    design = Design.load(folder / "design.toml")
    image = load_image("camera", crop=(104, 212), size=(32, 32))
    _, arrays, _, _ = run_crossbar(image, design, seed=7, frames=False)
    save_npz(tmp_path / "again.npz", arrays)
    assert (folder / "encoding.npz").read_bytes() == (tmp_path / "again.npz").read_bytes()
    first = (folder / "report.html").read_bytes()
    assert main(["report", str(folder)]) == 0 and (folder / "report.html").read_bytes() == first
    status, _, err = run(capsys, *CROSSBAR, "--out", str(folder))
    assert status == 2 and "--force replaces it" in err


def test_text_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, *CROSSBAR)
    assert status == 0 and err == ""
    for words in ("by the digital dictionary", "by the programmed arrays", "conversions", "modelled", "device wan2022"):
        assert words in out, words


def test_divergence_is_an_outcome(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--set", "dynamics.step_shift=0", "--set", "dynamics.threshold=0.01", "--steps", "30")
    status, out, err = run(capsys, *CROSSBAR, *words, "--json")
    assert status == 1 and json.loads(out)["outcome"] == "diverged"
    assert err.count("\n") == 1 and "raise dynamics.step_shift by 1" in err


BAD = [
    ("seed on golden", ["--seed", "1"], "--seed is for --on crossbar; nothing is random on golden"),
    ("seed on the machine", ["--on", "machine", "--seed", "1"], "nothing is random on machine"),
    ("negative seed", [*CROSSBAR, "--seed", "-1"], "'--seed'.*-1"),
    ("schedule", [*CROSSBAR, "--schedule", "delta"], "--schedule is for --on machine"),
    ("trace", [*CROSSBAR, "--trace"], "--trace shows the machine's clock"),
    ("device", [*CROSSBAR, "--set", "crossbar.device=wan"], "wan2022"),
    ("levels", [*CROSSBAR, "--set", "crossbar.levels=1"], "2 or more"),
    ("range", [*CROSSBAR, "--set", "crossbar.on_off=0.5"], "on_off"),
    ("wires", [*CROSSBAR, "--set", "crossbar.wire_ohm=-1"], "wire_ohm cannot be -1"),
    ("too few rows", [*CROSSBAR, "--set", "crossbar.row_split=false"], "rows 128 cannot hold a kernel of 256"),
]


@pytest.mark.parametrize(("words", "says"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_bad_input_is_one_line(words: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, *words, "--out", str(tmp_path / "out"), "--json")
    assert status == 2 and out == "", (status, out)
    assert err.count("\n") == 1 and err.startswith("striate: ") and re.search(says, err), err
    assert not list(tmp_path.iterdir())
