"""``striate reproduce short-stride`` from the command line."""

from __future__ import annotations

import csv
import fcntl
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

from striate.cli import INTERRUPTED, main
from striate.explore.papers.configurations import Configuration, configurations
from striate.explore.papers.training import Round, Training
from striate.golden.dictionary import Dictionary
from striate.golden.geometry import Geometry
from striate.verbs.reproduce.short_stride import _said

TINY = ["--frames", "4", "--steps", "3", "--jobs", "1", "--only", "8@2"]


@pytest.fixture
def dictionaries(tmp_path: Path) -> Path:
    """Random ones; that of 32@4 p64 makes every run diverge."""
    folder = tmp_path / "dictionaries"
    folder.mkdir()
    for each in configurations(["8@2", "512@16", "32@4 p8"]):
        geometry = Geometry((128, 128), 1, each.kernels, each.patch, each.stride)
        Dictionary.random(geometry, 0).save(folder / f"{each.shipped_name}.npz")
    wave = np.cos(2 * np.pi * np.arange(64) / 16) * np.ones((64, 64))
    signs = (-1.0) ** np.arange(32)[:, None, None, None]
    Dictionary(signs * wave / np.linalg.norm(wave), 4).save(folder / "natural-k32-p64-s4.npz")
    return folder


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables and page only; figures take most of a small experiment's time, and have tests of their own."""
    monkeypatch.setattr("striate.reports.papers.short_stride.DRAWN", ())


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    return main(["reproduce", "short-stride", *words]), *capsys.readouterr()


def counted(store: Path) -> dict[str, tuple[int, int]]:
    """State to (points, runs of them)."""
    base = sqlite3.connect(store)
    rows = base.execute("SELECT state, count(*), sum(runs) FROM points GROUP BY state").fetchall()
    base.close()
    return {state: (count, runs) for state, count, runs in rows}


def test_an_experiment_its_files_and_the_same_command_again(
    tmp_path: Path, dictionaries: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "again"
    words = [*TINY, "--thresholds", "0.1,.05", "--out", str(out), "--dictionaries", str(dictionaries), "--json"]
    status, text, err = run(capsys, *words)
    assert status == 0 and text.count("\n") == 1 and err == ""
    info: dict[str, Any] = json.loads(text)
    assert {"striate", "design", "seconds", "versions", "command", "claims", "pilot", "supports"} <= info.keys()
    assert (info["points"], info["done"], info["ran"], info["failed"]) == (4, 4, 4, [])
    assert [(each["configuration"], each["threshold"]) for each in info["runs"]] == [("8@2", 0.05), ("8@2", 0.1)]
    assert all(each["points"] == 8 and each["eta"] == 1 / 32 and each["steps"] == 3 for each in info["runs"])
    assert info["frames"]["count"] == 4 and len(info["frames"]["sha256"]) == 64 and "china" in info["frames"]["credit"]
    assert info["training"] == [] and info["configurations"][0]["dictionary_source"] == "Gaussian noise, seed 0"
    kept = json.loads((out / "run.json").read_text())
    assert {**kept, "seconds": 0} == {**info, "seconds": 0}
    names = {path.name for path in out.iterdir()}
    assert {"report.html", "README.md", "table.csv", "points.csv", "points.sqlite", "inputs"} <= names
    assert "figure-8-clouds.png" in names
    monkeypatch.setattr("striate.reports.papers.short_stride.DRAWN", ())  # enough of figures
    rows = list(csv.DictReader((out / "table.csv").read_text().splitlines()))
    assert len(rows) == 2 and f"{info['runs'][0]['percent_error']:.4f}"[:5] in " ".join(rows[0].values())
    again = json.loads(run(capsys, *words)[1])
    assert again["ran"] == 0 and again["runs"] == info["runs"] and again["claims"] == info["claims"]
    words[words.index("0.1,.05")] = "0.1,.05,.2"  # another threshold continues it
    more = json.loads(run(capsys, *words)[1])
    # A new run, and the pilot's protocol at these thresholds.
    assert (more["ran"], more["points"]) == (2, 5) and more["runs"][:2] == info["runs"]
    status, _, err = run(capsys, *words, "--passes", "2")
    assert status == 2 and "holds another sweep (of passes 3, not 2); name another folder, or replace it" in err
    (out / "mine.txt").write_text("x")
    status, _, err = run(capsys, *words, "--force")
    assert status == 2 and f"--out {out} holds mine.txt, which no run of this experiment wrote" in err
    (out / "mine.txt").unlink()
    status, _, err = run(capsys, *words[:-1], "--passes", "2", "--force", "--json")
    assert status == 0 and counted(out / "points.sqlite") == {"done": (5, 5)}


@pytest.mark.usefixtures("no_figures")
def test_a_run_that_fails_is_a_row_and_status_1(
    tmp_path: Path, dictionaries: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "some"
    words = ["--frames", "4", "--passes", "2", "--steps", "12", "--jobs", "1", "--only", "32@4 p64,32@4 p8",
             "--thresholds", ".05", "--out", str(out), "--dictionaries", str(dictionaries)]  # fmt: skip
    status, text, err = run(capsys, *words)
    assert status == 1 and err.count("\n") == 1
    assert "striate: 2 of 6 points failed; the first, 32@4 p64 at 0.05: frame 0 of pass 1 diverges even with" in err
    assert "failed" in text.splitlines()[3] and "points   6: 4 done, 2 failed" in text
    kept = json.loads((out / "run.json").read_text())
    assert [each["configuration"] for each in kept["runs"]] == ["32@4 p8"] and len(kept["supports"]) == 2
    assert kept["failed"][0]["configuration"] == "32@4 p64" and (out / "report.html").is_file()
    status, text, _ = run(capsys, *words, "--json")
    assert status == 1 and json.loads(text)["ran"] == 0


@pytest.mark.usefixtures("no_figures")
def test_a_video_file(tmp_path: Path, dictionaries: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video = tmp_path / "clip.mkv"
    noise = np.random.default_rng(0).integers(0, 255, (5, 160, 200, 3), np.uint8)
    with av.open(str(video), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 200, 160, "bgr0"
        for pixels in noise:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    words = ["--video", str(video), "--passes", "2", "--steps", "2", "--jobs", "1", "--only", "8@2", "--thresholds",
             ".05", "--dictionaries", str(dictionaries), "--json", "--out"]  # fmt: skip
    status, text, err = run(capsys, *words, str(tmp_path / "a"), "--every", "2")
    assert status == 0, err
    info = json.loads(text)
    assert info["frames"]["name"] == "clip.mkv" and info["frames"]["count"] == 3 and info["runs"][0]["points"] == 3
    status, _, err = run(capsys, *words, str(tmp_path / "a"))
    assert status == 2 and "holds another sweep (of other frames)" in err and err.count("\n") == 1
    text_file = tmp_path / "no.mp4"
    text_file.write_text("this is no video")
    for name, message in ((text_file, "no.mp4"), (tmp_path / "none.mp4", "none.mp4")):
        words[1] = str(name)
        status, text, err = run(capsys, *words, str(tmp_path / "b"))
        assert status == 2 and text == "" and message in err and err.count("\n") == 1
    words[1] = str(video)
    status, _, err = run(capsys, *words, str(tmp_path / "b"), "--frames", "9")
    assert status == 2 and "clip.mkv" in err and err.count("\n") == 1 and not (tmp_path / "b").exists()


@pytest.mark.usefixtures("no_figures")
def test_training_first(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    learned: list[str] = []

    def train(each: Configuration, folder: Path, progress: Any = None) -> tuple[Dictionary, Training]:
        assert folder == tmp_path / "out" / "training" and progress is not None
        learned.append(each.name)
        dictionary = Dictionary.random(Geometry((128, 128), 1, each.kernels, each.patch, each.stride), 5)
        first = Round(1, 10, None, 0.5, 20.0, 90.0, 0.1, 0.3, 1.0)
        rounds = (first, replace(first, number=2, energy_before=0.5, energy_after=0.499))
        return dictionary, Training(each.name, "Hebbian", rounds, 2)

    monkeypatch.setattr("striate.explore.papers.training.train", train)
    words = [*TINY, "--thresholds", ".05", "--passes", "2", "--train", "--out", str(tmp_path / "out"), "--json"]
    status, text, err = run(capsys, *words)
    assert status == 0 and learned == ["8@2"], err
    info = json.loads(text)
    assert info["training"][0]["settled"] is True and info["training"][0]["pictures"] == 20
    assert info["configurations"][0]["dictionary_source"] == "Gaussian noise, seed 5"


def test_interrupted(
    tmp_path: Path, dictionaries: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("striate.explore.engine.run", stop)
    out = tmp_path / "out"
    status, text, err = run(capsys, *TINY, "--out", str(out), "--dictionaries", str(dictionaries), "--json")
    assert status == INTERRUPTED and text == ""
    assert err == f"striate: stopped; what was finished is in {out}: the same command continues\n"


@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize("damage", [None, "["])
def test_a_run_needs_no_record_of_the_training(
    damage: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Missing or damaged, it is told in a line; the page says what it lacks."""
    package, out = tmp_path / "package" / "dictionaries", tmp_path / "out"
    package.mkdir(parents=True)
    if damage is not None:
        (package / "training.json").write_text(damage)
    monkeypatch.setattr("striate.explore.papers.training.resources", SimpleNamespace(files=lambda _: package.parent))
    words = [*TINY, "--thresholds", ".05", "--passes", "2", "--out", str(out), "--json"]
    status, text, err = run(capsys, *words)
    assert status == 0 and err.count("\n") == 1, err
    assert "training.json cannot be read" in err and "the run goes on" in err
    info = json.loads(text)
    assert info["training"] == [] and "training.json cannot be read" in info["training_unread"]
    for page in ("report.html", "README.md"):
        assert "How the dictionaries were learned is not known here: " in (out / page).read_text()


def test_a_shipped_dictionary_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("striate.golden.dictionary.shipped_names", lambda: ["natural-k8-p16-s4"])
    status, _, err = run(capsys, *TINY, "--out", str(tmp_path / "out"))
    assert status == 2 and err.count("\n") == 1 and not (tmp_path / "out").exists()
    assert "8@2: no dictionary 'natural-k8-p16-s2' comes with the package" in err
    assert "--train learns all of them first, --dictionaries DIR takes them from a folder" in err


def test_the_help_names_every_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    status, text, _ = run(capsys, "--help")
    said = " ".join(text.split())
    assert status == 0 and "a quarter of each of four sequences" in said
    names = [f'"{each.name}"' if " " in each.name else each.name for each in configurations([])]
    assert len(names) == 12 and f"with commas: {', '.join(names)}." in said


def test_the_progress_says_what_takes_long() -> None:
    def progress(done: int) -> Any:
        return SimpleNamespace(done=done, failed=1, points=10)

    assert _said(progress(5), 3) == "6 of 10 points" and _said(progress(9), 3) == "10 of 10 points"
    assert _said(progress(6), 3) == "7 of 10 points, fitting Gabors"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--only", "8@2,9@3"], "no configuration '9@3'; there are 32@1, 32@2,"),
        (["--only", ""], "no configuration ''; there are 32@1"),
        (["--thresholds", "0.05,0"], "must be"),
        (["--thresholds", "-1"], "must be"),
        (["--thresholds", "nan"], "must be"),
        (["--thresholds", "a,b"], "--thresholds must be numbers such as 0.05,0.1, not 'a,b'"),
        (["--frames", "1"], "--frames must be at least 2, not 1: one frame makes no cloud"),
        (["--frames", "6"], "6 is no multiple of 4"),
        (["--passes", "1"], "--passes must be at least 2, not 1: the first does not count"),
        (["--steps", "0"], "dynamics.steps must be at least 1, not 0"),
        (["--jobs", "0"], "--jobs must be at least 1, not 0"),
        (["--every", "2"], "--every counts the frames of a video file; give --video FILE with it"),
        (["--train", "--dictionaries", "x"], "give --train or --dictionaries, not both"),
        (["--dictionaries", "nowhere", "--only", "8@2"], "natural-k8-p16-s2.npz"),
        (["--seed", "-1"], "--seed"),
    ],
)
def test_wrong_use(words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, text, err = run(capsys, *words, "--out", str(tmp_path / "out"))
    assert status == 2 and text == "" and err.count("\n") == 1 and message in err, err
    assert not (tmp_path / "out").exists()
    status, _, err = run(capsys)
    assert status == 2 and "--out" in err and err.count("\n") == 1


def test_a_dictionary_of_another_shape(tmp_path: Path, dictionaries: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (dictionaries / "natural-k32-p8-s4.npz").rename(dictionaries / "natural-k8-p16-s2.npz")
    status, _, err = run(capsys, *TINY, "--out", str(tmp_path / "out"), "--dictionaries", str(dictionaries))
    assert status == 2 and "holds 32 kernels of 1x8x8 at stride 4, not what its name says" in err


def test_folders_of_others(tmp_path: Path, dictionaries: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("x")
    for name, inside in (("run", "design.toml"), ("half", "table.csv"), ("busy", "points.sqlite.lock")):
        (tmp_path / name).mkdir()
        (tmp_path / name / inside).touch()
    with (tmp_path / "busy" / "points.sqlite.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name, message in (
            ("file", "is a file; name a folder"),
            ("run", "holds design.toml, which no run of this experiment wrote; name another folder"),
            ("half", "holds no run of this experiment; name another folder"),
            ("busy", "is being filled by another process"),
        ):
            for force in ([], ["--force"]):
                words = [*TINY, "--out", str(tmp_path / name), "--dictionaries", str(dictionaries), *force]
                status, _, err = run(capsys, *words)
                assert status == 2 and message in err and err.count("\n") == 1, err


@pytest.mark.slow
def test_killed_and_continued(tmp_path: Path, dictionaries: Path) -> None:
    out = tmp_path / "out"
    levels = ",".join(f"{0.05 + n / 1000:.3f}" for n in range(12))
    command = [sys.executable, "-m", "striate", "reproduce", "short-stride", "--frames", "4", "--passes", "2",
               "--steps", "20", "--jobs", "1", "--only", "8@2", "--thresholds", levels, "--out", str(out),
               "--dictionaries", str(dictionaries), "--json"]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    store = out / "points.sqlite"
    while done_safely(store) < 2:
        assert process.poll() is None
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done, runs = counted(store)["done"]
    assert 2 <= done < 14 and done == runs
    info = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert (info["points"], info["done"], info["failed"], info["ran"]) == (14, 14, [], 14 - done)
    assert counted(store)["done"][1] <= 15  # what was in hand


def done_safely(store: Path) -> int:
    """Points that are done; 0 while the tables are being made."""
    try:
        return counted(store).get("done", (0, 0))[0] if store.is_file() else 0
    except sqlite3.OperationalError:
        return 0
