"""``striate reproduce self-taught`` from the command line."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from striate.cli import main
from striate.explore import engine
from striate.explore.papers import self_taught, self_taught_jobs, self_taught_run
from striate.explore.points import QUEUED

FILES = {"report.html", "run.json", "table.csv", "accuracy.png", "machine.png", "kernels.png", "learning.png",
         "points.sqlite", "arrays"}  # fmt: skip
WORDS = ["--kernels", "8", "--steps", "4", "--passes", "1", "--sizes", "20", "--seeds", "2"]


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    return main(["reproduce", "self-taught", *words]), *capsys.readouterr()


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Few pictures, and no processes; the methods put into the set fail."""
    methods: set[str] = set()

    def here(store: Any, points: Any, **_: Any) -> engine.Progress:
        keys, ran = store.add(points), 0
        for entry in store.entries(keys):
            if entry.state == QUEUED:
                store.start(entry.key)
                p = entry.point
                if p.parameters.get("method") in methods:
                    store.fail(entry.key, "no such luck", 0.0)
                else:
                    store.finish(entry.key, self_taught_jobs.run(store.sweep.context, p.parameters, p.seed), 0.0)
                ran += 1
        return engine.Progress(len(keys), len(keys), 0, ran, 0.0, None)

    monkeypatch.setattr(self_taught_run.engine, "run", here)
    monkeypatch.setattr(self_taught, "Settings", partial(self_taught.Settings, test=20, pool=40, patches=130))
    return methods


@pytest.mark.slow
def test_a_run_the_same_again_and_what_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], failing: set[str]
) -> None:
    out = tmp_path / "st"
    status, text, err = run(capsys, *WORDS, "--out", str(out), "--json")
    assert status == 0 and text.count("\n") == 1 and err == ""
    info = json.loads(text)
    assert {"striate", "claims", "table", "agreement", "versions", "seconds", "settings", "out"} <= info.keys()
    assert info["points"] == info["done"] == info["ran"] == 2 + 12 + 13 * 2 and info["failed"] == 0
    assert {path.name for path in out.iterdir()} - {"points.sqlite.lock"} == FILES
    assert json.loads((out / "run.json").read_text())["table"] == info["table"]
    status, text, err = run(capsys, *WORDS, "--out", str(out))  # nothing is run again
    assert status == 0 and "points   40: 40 done, 0 failed" in text and "machine-codes-are-enough" in text
    assert json.loads((out / "run.json").read_text())["ran"] == 0
    other = [*WORDS, "--threshold", "0.1", "--out", str(out)]
    status, _, err = run(capsys, *other)
    assert status == 2 and "holds another sweep (of threshold 0.05, not 0.1)" in err and err.count("\n") == 1
    failing.add("raw")
    status, text, err = run(capsys, *other, "--force")
    assert status == 1 and "2 of 40 points failed; the first, score raw 20 seed 0: no such luck" in err
    found = json.loads((out / "run.json").read_text())
    assert found["settings"]["threshold"] == 0.1 and len(found["errors"]) == 2 and len(found["table"]) == 12


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--sizes", "20,many"], "--sizes must be whole numbers with commas such as 20,100, not '20,many'"),
        (["--sizes", "100,20"], "--sizes must rise from 15 labels or more, so that each fold has every class"),
        (["--sizes", "20,500"], "--sizes cannot ask for 500 labels: there are 500 pictures to draw from; use 495"),
        (["--seeds", "1"], "--seeds must be at least 2, so that a spread can be told, not 1"),
        (["--jobs", "0"], "--jobs must be at least 1, not 0"),
        (["--threshold", "0"], "the threshold must be a finite number above 0, not 0.0"),
        (["--threshold", "9"], "dynamics.threshold 9.0 cannot be represented in formats.membrane"),
    ],
)
def test_bad_options(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], text: str) -> None:
    status, out, err = run(capsys, *words, "--out", str(tmp_path / "st"))
    assert status == 2 and out == "" and err.count("\n") == 1 and text in err
    assert not (tmp_path / "st").exists()


def test_folders_that_are_not_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("x")
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "report.html").write_text("x")
    for name, text in (("file", "is a file; name a folder"),
                       ("full", "holds thesis.tex, which no run of this experiment wrote; name another folder"),
                       ("half", "holds no run of this experiment; name another folder")):  # fmt: skip
        status, out, err = run(capsys, "--out", str(tmp_path / name), "--force")
        assert status == 2 and out == "" and text in err and err.count("\n") == 1
    assert (tmp_path / "full" / "thesis.tex").exists() and (tmp_path / "half" / "report.html").exists()


def test_interrupted(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(self_taught_run, "run", stop)
    out = tmp_path / "out"
    status, text, err = run(capsys, *WORDS, "--out", str(out))
    assert status == 130 and text == ""
    assert err == f"striate: stopped; what was finished is in {out}: the same command continues\n"
