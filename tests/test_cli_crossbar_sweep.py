"""``striate crossbar-sweep`` from the command line."""

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
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from striate.cli import main

SMALL = ["--set", "network.image=[32,32]", "--steps", "6", "--jobs", "1"]
GRID = ["--vary", "crossbar.levels=4,16", "--vary", "crossbar.wire_ohm=0,2"]


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    return main(["crossbar-sweep", *words]), *capsys.readouterr()


def counted(store: Path) -> dict[str, tuple[int, int]]:
    """State to (points, runs of them)."""
    base = sqlite3.connect(store)
    rows = base.execute("SELECT state, count(*), sum(runs) FROM points GROUP BY state").fetchall()
    base.close()
    return {state: (count, runs) for state, count, runs in rows}


def test_a_grid_its_files_and_the_same_command_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "sweep"
    words = ["camera", *GRID, "--seeds", "2", *SMALL, "--out", str(out), "--json"]
    status, text, err = run(capsys, *words)
    assert status == 0 and text.count("\n") == 1 and err == ""
    info: dict[str, Any] = json.loads(text)
    assert {"striate", "design", "seconds", "findings", "table", "versions", "band"} <= info.keys()
    assert info["points"] == info["done"] == info["ran"] == 9 and info["failed"] == 0  # 2 x 2 x 2 and one reference
    assert [(line["series"], line["value"]) for line in info["table"]] == [
        ("wire_ohm 0", 4), ("wire_ohm 0", 16), ("wire_ohm 2", 4), ("wire_ohm 2", 16)
    ]  # fmt: skip
    for line in info["table"]:
        low, median, high = line["percent_error"]
        assert line["points"] == line["done"] == 2 and low <= median <= high and line["energy_pj"][1] > 0
        assert line["percent_error_fixed_point"] > 0 and line["points_above"][1] == pytest.approx(
            median - line["percent_error_fixed_point"]
        )
    assert info["store"] == str(out / "points.sqlite") and counted(out / "points.sqlite") == {"done": (9, 9)}
    names = {path.name for path in out.iterdir()}
    assert {"results.json", "results.csv", "design.toml", "report.html", "study-grid.png"} <= names
    rows = list(csv.DictReader((out / "results.csv").read_text().splitlines()))
    assert len(rows) == 9 and {row["state"] for row in rows} == {"done"} and {row["runs"] for row in rows} == {"1"}
    assert {row["series"] for row in rows} == {"fixed-point machine", "wire_ohm 0", "wire_ohm 2"}
    assert {row["crossbar.levels"] for row in rows} == {"0", "4", "16"} and {row["study"] for row in rows} == {"grid"}
    page = (out / "report.html").read_text()
    assert page.count("<svg") == 1 and "http" not in page.replace("http://www.w3.org", "")
    status, text, err = run(capsys, *words)  # nothing left to do
    again = json.loads(text)
    assert status == 0 and again["ran"] == 0 and again["table"] == info["table"]
    assert counted(out / "points.sqlite") == {"done": (9, 9)}
    words[words.index("--seeds") + 1] = "3"  # more seeds continue it
    more = json.loads(run(capsys, *words)[1])
    assert more["ran"] == 4 and more["points"] == 13
    status, _, err = run(capsys, "camera", *GRID[:2], *SMALL, "--out", str(out))
    assert status == 2 and "holds another sweep (of studies [" in err and err.count("\n") == 1
    status, _, err = run(capsys, "camera", *GRID, *SMALL, "--set", "dynamics.threshold=0.1", "--out", str(out))
    assert status == 2 and "holds another sweep (of other design); name another folder, or replace it" in err
    status, text, err = run(capsys, "camera", *GRID[:2], "--seeds", "1", *SMALL, "--out", str(out), "--force")
    assert status == 0 and counted(out / "points.sqlite") == {"done": (3, 3)}
    (out / "mine.txt").write_text("x")
    status, _, err = run(capsys, *words, "--force")
    assert status == 2 and f"--out {out} holds mine.txt, which no sweep wrote; name another folder" in err


def test_a_study_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["camera", "--study", "self-correction", "--seeds", "1", *SMALL]
    status, text, err = run(capsys, *words)
    assert status == 0 and err == ""
    assert text.startswith("Static errors and who decodes\n") and "Decoded by the programmed dictionary" in text
    assert "points  8: 8 done, 0 failed" in text  # seven errors and the fixed-point machine
    assert run(capsys, *words)[1] == text


def test_failed_points_are_told_and_not_fatal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody has measured cells so long after programming: only the curve without drift has results."""
    words = ["camera", "--study", "faults", "--seeds", "1", "--set", "crossbar.drift_seconds=1e9", *SMALL]
    words += ["--out", str(tmp_path / "a")]
    status, text, err = run(capsys, *words, "--json")
    info = json.loads(text)
    assert status == 0 and (info["done"], info["failed"]) == (8, 7)
    assert err.startswith("striate: 7 of 15 points failed; the first: ") and err.count("\n") == 1 and "drift" in err
    assert info["table"][-1]["failed"] == 1 and info["table"][-1]["error"] in err
    assert "1 failed" in (tmp_path / "a" / "report.html").read_text()
    assert json.loads(run(capsys, *words, "--json")[1])["ran"] == 0
    assert json.loads(run(capsys, *words, "--json", "--retry")[1])["ran"] == 7


def test_impossible_values_of_a_grid_are_refused_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["camera", "--vary", "crossbar.levels=1,8", "--seeds", "2", *SMALL, "--out", str(tmp_path / "a")]
    status, text, err = run(capsys, *words)
    assert (status, text) == (2, "") and err.count("\n") == 1 and not (tmp_path / "a").exists()
    assert "1 of 2 cases cannot run; the first, levels 1: crossbar.levels" in err


def test_when_every_point_fails_so_does_the_sweep(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("striate.explore.studies.check_cases", lambda *_: None)
    words = ["camera", "--vary", "crossbar.levels=1", "--seeds", "2", *SMALL, "--json"]
    status, text, err = run(capsys, *words)
    assert status == 1 and "2 of 3 points failed; the first: " in err and err.count("\n") == 1
    assert json.loads(text)["table"][0]["done"] == 0


def test_report_draws_the_page_of_a_sweep_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, picture = tmp_path / "sweep", tmp_path / "noise.npy"
    np.save(picture, np.random.default_rng(1).uniform(size=(32, 32)))
    for what in (GRID, ["--study", "self-correction"]):
        status, _, err = run(capsys, str(picture), *what, "--seeds", "1", *SMALL, "--out", str(out), "--force")
        assert status == 0, err
        page = (out / "report.html").read_text()
        (out / "report.html").unlink()
        assert main(["report", str(out)]) == 0 and (out / "report.html").read_text() == page
    picture.unlink()  # the points are enough
    assert main(["report", str(out), "--out", str(tmp_path / "page.html"), "--json"]) == 0
    assert (tmp_path / "page.html").read_text() == page
    capsys.readouterr()
    assert main(["report", str(out), "--out", "/proc/page.html"]) == 2
    assert "cannot write /proc/page.html" in capsys.readouterr().err

    def refused(message: str) -> None:
        capsys.readouterr()
        assert main(["report", str(out)]) == 2
        err = capsys.readouterr().err
        assert message in err and err.count("\n") == 1 and "crossbar-sweep command again" in err

    base = sqlite3.connect(out / "points.sqlite")
    base.execute("DELETE FROM points WHERE key = (SELECT min(key) FROM points)")
    base.commit()
    base.close()
    refused("has no result of 1 of 8 points")
    kept = (out / "results.json").read_text()
    (out / "results.json").write_text("{")
    refused("results.json is damaged")
    (out / "results.json").unlink()
    refused("holds a sweep that has not ended without results.json")
    (out / "results.json").write_text(kept)
    (out / "points.sqlite").unlink()
    refused("holds a sweep without points.sqlite")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give --study with one of levels, self-correction, size, adc,"),
        (["--study", "levels", "--vary", "levels=4"], "or else --vary KEY=V1,V2,..."),
        (["--study", "knee"], "unknown study 'knee'; known: levels, self-correction"),
        (["--vary", "crossbar.level=4"], "unknown design key crossbar.level; did you mean levels?"),
        (["--vary", "levels="], "--vary levels has no values; write levels=v1,v2,..."),
        (["--vary", "levels=4.5"], "crossbar.levels must be a whole number, not 4.5"),
        (["--study", "levels", "--seeds", "0"], "--seeds must be at least 1, not 0"),
        (["--study", "levels", "--jobs", "0"], "--jobs must be at least 1, not 0"),
        (["nothing.png", "--study", "levels"], "nothing.png: no such picture"),
        (["camera", "--crop", "500,0", "--study", "levels"], "reaches beyond"),
        (["camera", "--set", "network.image=[1024,1024]", "--study", "levels"], "the picture is too small"),
        (["camera", "camera", "--study", "levels"], "a picture is named twice"),
    ],
)
def test_wrong_use(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, text, err = run(capsys, *words)
    assert status == 2 and text == "" and err.count("\n") == 1 and message in err


def test_folders_that_are_no_sweeps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["camera", *GRID, "--seeds", "1", *SMALL, "--out"]
    (tmp_path / "file").write_text("x")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}")
    (tmp_path / "csv").mkdir()
    (tmp_path / "csv" / "results.csv").write_text("")
    for name, message in (
        ("file", "is a file; name a folder"),
        ("run", "holds run.json, which no sweep wrote; name another folder"),
        ("csv", "holds no sweep; name another folder"),
    ):
        for force in ([], ["--force"]):
            status, _, err = run(capsys, *words, str(tmp_path / name), *force)
            assert status == 2 and message in err and err.count("\n") == 1
    begun = tmp_path / "begun"  # killed before there was a store
    begun.mkdir()
    (begun / "points.sqlite.lock").touch()
    (begun / ".report.html.1.part").touch()
    assert run(capsys, *words, str(begun))[0] == 0 and counted(begun / "points.sqlite") == {"done": (5, 5)}
    lock = (begun / "points.sqlite.lock").open("ab")
    fcntl.flock(lock, fcntl.LOCK_EX)
    status, _, err = run(capsys, *words, str(begun), "--force")
    assert status == 2 and "is being filled by another process" in err and (begun / "report.html").is_file()
    lock.close()
    assert counted(begun / "points.sqlite") == {"done": (5, 5)}
    np.save(tmp_path / "small.npy", np.zeros((16, 64)))
    status, _, err = run(capsys, str(tmp_path / "small.npy"), *words[1:], str(tmp_path / "new"))
    assert status == 2 and "too small" in err and not (tmp_path / "new").exists()


@pytest.mark.slow
def test_five_hundred_points_killed_and_resumed(tmp_path: Path) -> None:
    """The real job; 125 programming errors, 4 seeds, and the reference: 501 points, killed after a third."""
    out = tmp_path / "sweep"
    errors = ",".join(f"{n / 1000}" for n in range(1, 126))
    command = [sys.executable, "-m", "striate", "crossbar-sweep", "camera", "--vary",
               f"crossbar.programming_error={errors}", "--seeds", "4", "--jobs", "2", "--steps", "4", "--set",
               "network.image=[32,32]", "--out", str(out), "--json"]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    store = out / "points.sqlite"
    while not store.is_file() or counted_safely(store).get("done", (0, 0))[0] < 160:
        assert process.poll() is None
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done, runs = counted(store)["done"]
    assert 160 <= done < 480 and done == runs
    second = subprocess.run(command, capture_output=True, text=True, check=True)
    info = json.loads(second.stdout)
    assert (info["points"], info["done"], info["failed"], info["ran"]) == (501, 501, 0, 501 - done)
    count, runs = counted(store)["done"]
    assert count == 501 and runs <= 501 + 2  # what was in hand, one a process


def counted_safely(store: Path) -> dict[str, tuple[int, int]]:
    """As `counted`; nothing while the tables are being made."""
    try:
        return counted(store)
    except sqlite3.OperationalError:
        return {}


def test_interrupted(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("striate.explore.engine.run", stop)
    out = tmp_path / "out"
    status, text, err = run(capsys, "camera", *GRID, *SMALL, "--out", str(out))
    assert status == 130 and text == ""
    assert err == f"striate: stopped; what was finished is in {out / 'points.sqlite'}: the same command continues\n"
