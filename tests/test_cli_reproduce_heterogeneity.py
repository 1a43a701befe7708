"""`striate reproduce heterogeneity`: what it refuses, and a small run from start to finish."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "striate", "reproduce", "heterogeneity", *words], cwd=cwd, text=True,
                          capture_output=True, check=False)  # fmt: skip


@pytest.mark.parametrize(("words", "said"), [
    (("--out", "x", "--jobs", "0"), "--jobs must be at least 1, not 0"),
    (("--out", "x", "--crops", "0"), "--crops must be at least 1, not 0"),
    (("--out", "x", "--pictures", "nowhere.png"), "nowhere.png: no such picture"),
    (("--out", "file"), "--out file is a file; name a folder"),
    (("--out", "full"), "--out full holds notes.txt, which no run of this experiment wrote; name another folder"),
])  # fmt: skip
def test_one_line_and_exit_2(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    done = run(*words, cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    assert said in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "x").exists()


@pytest.mark.slow
def test_a_small_run(tmp_path: Path) -> None:
    words = ("--out", "out", "--pictures", "camera", "--pictures", "coffee", "--crops", "1", "--size", "16", "--jobs",
             "1")  # fmt: skip
    done = run(*words, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    info = json.loads(done.stdout)
    assert info["done"] == info["points"] == info["ran"] == 2 * 2 * 5 + 2 * 2 * 2 and len(info["claims"]) == 6
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"run.json", "report.html", "codes.csv",
                                                                   "kernels.png", "pruning.png"}  # fmt: skip
    again = run(*words, "--json", cwd=tmp_path)  # nothing is run twice
    assert json.loads(again.stdout)["ran"] == 0
    assert json.loads(again.stdout)["sha256"] == info["sha256"]
    text = run(*words, cwd=tmp_path)
    assert "homogeneous-learned" in text.stdout and "kept in" in text.stdout
