"""The command line: every verb once, every kind of bad input in one line, nothing half written, pure JSON."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from striate.cli import app, main
from striate.golden.dictionary import Dictionary
from striate.golden.geometry import Geometry
from striate.hw.emit import MESH_FILE
from striate.verbs.reproduce import reproduce

SMALL = ["--crop", "104,212", "--set", "network.image=[32,32]", "--set", "machine.tiles=[2,2]", "--steps", "30"]
VERBS = (
    "demo", "new", "learn", "encode", "emit", "map", "verify", "synth", "board", "faults", "video", "widths",
    "crossbar-sweep", "crossbar-learn", "reproduce", "report", "doctor",
)  # fmt: skip


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit status, standard output, standard error."""
    capsys.readouterr()
    status = main(words)
    return status, *capsys.readouterr()


def as_json(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> dict[str, Any]:
    """The JSON object of a verb that must end with that status, and print nothing else on standard output."""
    found, out, err = run(capsys, *words, "--json")
    assert found == status, err
    assert out.endswith("\n") and out.count("\n") == 1
    info = json.loads(out)
    assert isinstance(info, dict) and {"striate", "design", "seconds"} <= info.keys()
    return info


# ---- using it ------------------------------------------------------------------------------------------------
def test_every_verb_has_help_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "--help")
    assert status == 0 and all(re.search(rf"^  {verb} ", out, re.MULTILINE) for verb in VERBS)
    registered = {command.callback.__name__ for command in app.registered_commands if command.callback}
    registered |= {str(group.name) for group in app.registered_groups}
    assert registered == {verb.replace("-", "_") for verb in VERBS}
    for verb in VERBS:
        status, out, _ = run(capsys, verb, "--help")
        assert status == 0 and out.count("Example: striate " + verb) == 1, verb


def test_every_experiment_has_help_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    for command in reproduce.registered_commands:
        assert command.callback
        name = command.callback.__name__.replace("_", "-")
        status, out, _ = run(capsys, "reproduce", name, "--help")
        assert status == 0 and out.count("Example: striate reproduce " + name) == 1, name


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "--version")
    assert (status, err) == (0, "") and re.fullmatch(r"\d+\.\d+\.\d+\n", out)


def test_golden_and_machine_agree(capsys: pytest.CaptureFixture[str]) -> None:
    golden = as_json(capsys, "encode", "camera", *SMALL)
    machine = as_json(capsys, "encode", "camera", *SMALL, "--on", "machine")
    assert abs(golden["percent_error"] - machine["percent_error"]) < 0.5
    assert golden["design"] == machine["design"] and golden["steps"] == machine["steps"] == 30
    assert golden["code_sha256"] != machine["code_sha256"]
    for key in ("percent_inactive", "psnr_db", "outcome", "compute_seconds"):
        assert key in golden and key in machine
    assert machine["frames_per_second"] == pytest.approx(80e6 / machine["cycles"])
    assert machine["energy_pj"] > 0 and machine["overflow"] is False and isinstance(machine["warnings"], list)


def test_schedules_give_one_code(capsys: pytest.CaptureFixture[str]) -> None:
    runs = {
        name: as_json(capsys, "encode", "camera", *SMALL, "--on", "machine", "--schedule", name)
        for name in ("delta", "skip", "dense")
    }
    assert len({info["code_sha256"] for info in runs.values()}) == 1
    assert len({info["percent_error"] for info in runs.values()}) == 1
    assert runs["delta"]["macs"] < runs["skip"]["macs"] < runs["dense"]["macs"] == runs["dense"]["macs_dense"]
    assert runs["delta"]["cycles"] > 0 and runs["dense"]["cycles"] is None and runs["dense"]["energy_pj"] is None


def test_a_run_directory_can_be_recomputed_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    info = as_json(capsys, "encode", "camera", *SMALL, "--on", "machine", "--out", str(out))
    assert json.loads((out / "run.json").read_text())["code_sha256"] == info["code_sha256"]
    assert Path(info["out"]) == out and Path(info["picture"]).is_absolute()
    with np.load(out / "encoding.npz", allow_pickle=False) as saved:
        z = {name: saved[name] for name in saved.files}
    assert all(z[name].dtype.kind == "i" for name in ("input", "dictionary", "code", "membrane", "residual"))
    assert z["frac_residual"] == z["frac_weight"] + z["frac_code"]
    from striate.golden.conv import synthesis

    drawn = synthesis(z["code"].astype(float), z["dictionary"].astype(float), 2, (32, 32))
    shift = int(z["frac_residual"] - z["frac_input"])
    np.testing.assert_array_equal(z["residual"], (z["input"] << shift) - np.rint(drawn).astype(np.int64))
    names = {path.name for path in out.iterdir()}
    assert {
        "run.json",
        "design.toml",
        "encoding.npz",
        "trace.npz",
        "report.html",
        "pictures.png",
        "kernels.png",
    } <= names
    again = as_json(
        capsys, "encode", "camera", "--crop", "104,212", "--design", str(out / "design.toml"), "--on", "machine"
    )
    assert again["design"] == info["design"] and again["code_sha256"] == info["code_sha256"]


def test_a_run_directory_is_replaced_only_by_force(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    words = ("encode", "camera", *SMALL, "--out", str(out))
    assert run(capsys, *words)[0] == 0
    bytes_ = (out / "encoding.npz").read_bytes()
    status, _, err = run(capsys, *words)
    assert status == 2 and "--force" in err
    assert run(capsys, *words, "--force")[0] == 0
    assert (out / "encoding.npz").read_bytes() == bytes_
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.tex").write_text("years of work")
    status, _, err = run(capsys, "encode", "camera", *SMALL, "--out", str(mine), "--force")
    assert status == 2 and "holds no run" in err and (mine / "thesis.tex").exists()


def test_new_and_its_design(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "design.toml"
    assert as_json(capsys, "new", str(file))["file"] == str(file)
    assert "threshold" in file.read_text() and "#" in file.read_text()
    file.write_text("[dynamics]\nsteps = 3\n")
    status, _, err = run(capsys, "new", str(file))
    assert status == 2 and "--force" in err and file.read_text() == "[dynamics]\nsteps = 3\n"
    assert as_json(capsys, "encode", "camera", "--crop", "0,0", "--design", str(file))["steps"] == 3


def test_learn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "d.npz"
    words = (
        "learn",
        "camera",
        "-k",
        "2",
        "-p",
        "6",
        "-s",
        "2",
        "--pictures",
        "3",
        "--crop-size",
        "16",
        "--steps",
        "10",
        "--out",
        str(out),
    )
    info = as_json(capsys, *words)
    assert info["outcome"] == "completed" and info["pictures"] == 3 and info["settled"] is False
    assert Dictionary.load(out).atoms.shape == (2, 1, 6, 6) and Dictionary.load(out).sha256 == info["dictionary_sha256"]
    status, text, err = run(capsys, *words)
    assert status == 2 and "--force" in err
    status, text, err = run(capsys, *words, "--force")
    assert status == 0 and "settled" in text and "Gabor-like" in text


def test_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "doctor", "--json")
    info = json.loads(out)
    assert status == (0 if info["ok"] else 1) and {"verilator", "python"} <= {tool["name"] for tool in info["tools"]}


def test_emit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    info = as_json(capsys, "emit", *SMALL[2:-2], "--out", str(tmp_path / "rtl"))
    assert any(name.endswith(".v") for name in info["files"]) and all(Path(name).is_file() for name in info["files"])


def test_verify(capsys: pytest.CaptureFixture[str]) -> None:
    info = as_json(capsys, "verify", "--picture", "camera", *SMALL[:-1], "5")
    assert info["passed"] is True and info["mismatches"] == 0 and info["cycles_rtl"] == info["cycles_model"] > 0
    assert info["words_compared"] > 0 and info["first_divergence"] is None and info["steps"] == 5


def test_verify_that_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from striate.hw import verify as hw

    first = {
        "step": 3,
        "tile": 1,
        "unit": "R",
        "expected": 5,
        "found": 6,
        "text": "step 3, tile 1: R: expected 5, found 6",
    }
    broken = hw.Verdict(False, 1, 5, 100, 1, 10, 10, first_divergence=first)
    monkeypatch.setattr(hw, "verify", lambda *_, **__: broken)
    status, out, err = run(capsys, "verify", "--picture", "camera", *SMALL, "--json")
    assert status == 1 and json.loads(out)["passed"] is False
    assert "step 3, tile 1" in err and err.count("\n") == 1


def test_random_designs_have_no_hash_of_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from striate.hw import verify as hw

    monkeypatch.setattr(hw, "verify", lambda *_, **__: hw.Verdict(True, 2, 10, 100, 0, 12, 12))
    assert as_json(capsys, "verify", "--random", "2")["design"] is None
    assert as_json(capsys, "verify", *SMALL)["design"] is not None


def test_edited_verilog_that_does_not_build(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "emit", *SMALL[2:-2], "--out", str(tmp_path / "rtl"))[0] == 0
    file = tmp_path / "rtl" / MESH_FILE
    file.write_text(file.read_text() + "\nmodule oops; assign = 1; endmodule\n")
    status, out, err = run(capsys, "verify", "--rtl", str(tmp_path / "rtl"), *SMALL[:2], "--steps", "2")
    assert status == 1 and out == "" and err.count("\n") == 1, err
    assert file.name in err and "mend that file" in err and "doctor" not in err


def test_a_missing_tool_sends_to_the_doctor(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from striate.hw import toolchain
    from striate.hw import verify as hw

    for error, says in (
        (toolchain.ToolError("verilator", "not installed; run `make setup`"), "doctor"),
        (toolchain.ToolError("g++", "failed with status 1", log="x.cpp: error: y", status=1), "please report"),
    ):

        def fail(*_: object, error: Exception = error, **__: object) -> None:
            raise error

        monkeypatch.setattr(hw, "verify", fail)
        status, _, err = run(capsys, "verify", *SMALL)
        assert status == 1 and err.count("\n") == 1 and says in err, err


def test_learning_that_diverged_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "b.npz"
    words = ["learn", "camera", "--pictures", "4", "--crop-size", "32", "--steps", "50", "--eta", "0.99"]
    status, text, err = run(capsys, *words, "--threshold", "0.001", "--out", str(out))
    assert status == 1 and "4 of 4" in text and "halve --eta" in err and not list(tmp_path.iterdir())
    assert "only 4 were shown" in text


# ---- bad input -----------------------------------------------------------------------------------------------
def bad_files(folder: Path) -> dict[str, str]:
    """Files that are wrong in one way each."""
    np.save(folder / "nan.npy", np.full((32, 32), np.nan))
    np.save(folder / "small.npy", np.zeros((20, 20)))
    (folder / "not.png").write_text("hello")
    Dictionary.random(Geometry((32, 32), 1, 4, 16, 2), 0).save(folder / "four.npz")
    (folder / "broken.toml").write_text("[network\n")
    (folder / "section.toml").write_text("network = 5\n")
    (folder / "text.npy").write_text("hello")
    return {path.name: str(path) for path in folder.iterdir()}


MACHINE = ["--on", "machine"]
BAD: list[tuple[str, list[str], str]] = [
    ("missing picture", ["nowhere.png"], "no such picture"),
    ("not a picture", ["{not.png}"], "not a picture"),
    ("NaN", ["{nan.npy}"], "not finite"),
    ("too small", ["{small.npy}"], "too small"),
    ("wrong size", ["camera"], r"--crop Y,X takes a part, for example --crop \d+,\d+"),
    ("crop outside", ["camera", "--crop", "5000,0"], "lies outside"),
    ("crop not two numbers", ["camera", "--crop", "five"], "Y,X"),
    ("parity", ["camera", "--set", "network.patch=15"], "patch"),
    ("stride", ["camera", "--set", "network.image=[33,33]"], "stride"),
    ("unknown key", ["camera", "--set", "network.kernel=8"], "kernel"),
    ("unknown section", ["camera", "--set", "netwrk.kernels=8"], "netwrk"),
    ("wrong unit", ["camera", "--set", "target.clock_mhz='80 MHz'"], "clock_mhz"),
    ("format", ["camera", "--set", "formats.code=q8.7"], "format"),
    ("setting", ["camera", "--set", "kernels"], "kernels"),
    ("steps", ["camera", "--steps", "0"], "steps"),
    ("steps not a number", ["camera", "--steps", "many"], "--steps"),
    ("no design file", ["camera", "--design", "nowhere.toml"], "striate new"),
    ("broken design file", ["camera", "--design", "{broken.toml}"], "broken.toml"),
    ("dictionary of another shape", ["camera", "--crop", "0,0", "--set", "network.dictionary={four.npz}"], "shape"),
    ("no dictionary of this shape", ["camera", "--crop", "0,0", "--set", "network.kernels=7"], "no dictionary"),
    ("tile too small", ["camera", *MACHINE, "--crop", "0,0", "--set", "machine.tiles=[16,16]"], "tiles"),
    ("format too narrow", ["camera", *MACHINE, "--crop", "0,0", "--set", "formats.membrane=s4.3"], "formats"),
    ("eta on the machine", ["camera", *MACHINE, "--crop", "0,0", "--set", "dynamics.eta=0.03"], "eta"),
    ("seed without crossbars", ["camera", "--crop", "0,0", "--seed", "1"], "--seed is for --on crossbar"),
    ("unknown machine", ["camera", "--on", "abacus"], "abacus"),
    ("unknown option", ["camera", "--nonsense"], "--nonsense"),
    ("no picture", [], "PICTURE"),
    ("value of --steps", ["camera", "--steps", "many"], "'many'"),
    ("schedule", ["camera", "--schedule", "fast"], "'--schedule': 'fast' is not one of"),
    ("one number for two", ["camera", "--crop", "0,0", "--set", "network.image=[32]"], r"not \[32\]; the default"),
    ("board", ["camera", *MACHINE, "--crop", "0,0", "--set", "target.board=foo"], "ulx3s-45f.*'foo'"),
    ("section as a key", ["camera", "--design", "{section.toml}"], r"write \[network\]"),
    ("text as .npy", ["{text.npy}"], "is not a NumPy array file"),
]


@pytest.mark.parametrize(("words", "says"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_bad_input_is_one_line(words: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    files = bad_files(folder)
    for name, path in files.items():
        words = [word.replace("{" + name + "}", path) for word in words]
    out = tmp_path / "out"
    if not any(word.startswith("network.image") for word in words) and "--crop" not in words:
        words = [*words, "--set", "network.image=[32,32]"]
    status, text, err = run(capsys, "encode", *words, "--out", str(out), "--json")
    assert status == 2 and text == "", (status, text)
    assert err.count("\n") == 1 and err.startswith("striate: ") and re.search(says, err), err
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize(
    "words",
    [
        ["frobnicate"],
        ["new"],
        ["report", "nowhere"],
        ["learn", "nowhere.png", "--out", "x.npz"],
        ["emit"],
        ["learn", "camera", "--out", "nowhere/x.npz", "--pictures", "1", "--steps", "1"],
        ["new", "nowhere/x.toml"],
        ["emit", "--set", "machine.tiles=[16,16]", "--out", "x"],
        ["verify", "--random", "0"],
        ["verify", "--random", "3", "--picture", "camera"],
        ["verify", "--random", "3", "--set", "network.kernels=32"],
        ["new", ".", "--force"],
        ["learn", "camera", "--out", "x"],
        ["emit", "--set", "target.board=foo", "--out", "x"],
        ["verify", "--picture", "nowhere.png"],
        ["verify", "--rtl", "nowhere", "--crop", "0,0"],
        ["learn", "camera", "--out", "x.npz", "--scales", "a,b"],
        ["learn", "camera", "--out", "x.npz", "--rate", "-1"],
        ["learn", "camera", "--out", "x.npz", "--preprocess", "white"],
    ],
    ids=" ".join,
)
def test_wrong_use_of_other_verbs(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    status, text, err = run(capsys, *words)
    assert status == 2 and text == "" and err.count("\n") == 1, (status, text, err)
    assert not list(tmp_path.iterdir())


def test_divergence_is_an_outcome(capsys: pytest.CaptureFixture[str]) -> None:
    found, out, err = run(
        capsys, "encode", "camera", *SMALL, "--set", "dynamics.eta=1.0", "--set", "dynamics.threshold=0.001", "--json"
    )
    info = json.loads(out)
    assert found == 1 and info["outcome"] == "diverged" and "halve eta" in err and err.count("\n") == 1
    found, out, err = run(
        capsys,
        "encode",
        "camera",
        *SMALL,
        *MACHINE,
        "--set",
        "dynamics.step_shift=0",
        "--set",
        "dynamics.threshold=0.01",
        "--json",
    )
    info = json.loads(out)
    assert found == 1 and info["outcome"] == "diverged" and "step_shift" in err and err.count("\n") == 1


def test_interruption_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from striate.golden import learn

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(learn, "learn", interrupted)
    status, _, err = run(capsys, "learn", "camera", "--out", str(tmp_path / "d.npz"))
    assert status == 130 and "continues where it stopped" in err and len(err.strip().splitlines()) == 1


# ---- as a process --------------------------------------------------------------------------------------------
def test_as_a_process(tmp_path: Path) -> None:
    def call(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "striate", *words], capture_output=True, text=True, cwd=tmp_path)

    good = call("encode", "camera", *SMALL, "--json")
    assert (
        good.returncode == 0 and good.stderr == "" and json.loads(good.stdout)["outcome"] in ("converged", "max_steps")
    )
    bad = call("encode", "nowhere.png")
    assert bad.returncode == 2 and bad.stdout == "" and bad.stderr.count("\n") == 1 and "Traceback" not in bad.stderr


def test_import_is_quick() -> None:
    code = "import sys, striate; print([m for m in ('numpy', 'numba', 'matplotlib', 'amaranth') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.stdout.strip() == "[]", found.stderr


def test_public_names() -> None:
    import striate as st

    for name in st.__all__:
        assert getattr(st, name) is not None
    design = st.Design(image=(32, 32), tiles=(1, 1), steps=5)
    image = st.load_image("camera", crop=(104, 212), size=(32, 32))
    assert st.encode(image, design).code.shape == st.simulate(image, design).code.shape
    with pytest.raises(AttributeError):
        _ = st.nonsense
