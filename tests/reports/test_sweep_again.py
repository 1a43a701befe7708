"""Which folders `striate report` takes for sweeps of crossbars: the papers' experiments keep their points alike."""

import json
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from striate.cli import main
from striate.explore.papers import denoising_run, self_taught_run, short_stride_run
from striate.explore.papers.heterogeneity import Experiment
from striate.explore.papers.heterogeneity_pictures import Crop
from striate.explore.points import Sweep
from striate.explore.store import Store
from striate.golden.dictionary import Dictionary
from striate.golden.errors import InputError
from striate.reports.rundir import EXPERIMENTS
from striate.reports.sweep_again import holds_sweep


def refusal(folder: Path, name: str) -> str:
    return (
        f"{folder} holds a paper's experiment, whose page is its report.html; `striate reproduce {name}` with the "
        "options of its first run continues it and draws the page again"
    )


def refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["report", str(folder)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    return err.strip().removeprefix("striate: ")


@pytest.mark.parametrize("store", [True, False])
@pytest.mark.parametrize("name", ["short-stride", "heterogeneity", "self-taught", "solvers", "denoising"])
def test_a_finished_experiment_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, store: bool
) -> None:
    assert name in EXPERIMENTS
    (tmp_path / "run.json").write_text(json.dumps({"on": name}))
    if store:
        Store(tmp_path / "points.sqlite", Sweep("whatever:job", 1, {})).close()
    assert refused(tmp_path, capsys) == refusal(tmp_path, name)


def sweep_of(name: str, tmp_path: Path) -> Sweep:
    """As the experiment makes it."""
    if name == "heterogeneity":
        return Experiment((Crop("camera", 0, 0, 16),)).sweep
    if name == "denoising":
        return denoising_run.sweep_of(Dictionary(np.ones((1, 1, 1, 1)), 1))
    if name == "short-stride":
        return Sweep(short_stride_run.JOB, short_stride_run.VERSION, {"frames": "0"})
    return self_taught_run.sweep_of(self_taught_run.Settings(), tmp_path)


@pytest.mark.parametrize("name", ["short-stride", "heterogeneity", "self-taught", "denoising"])
@pytest.mark.parametrize("damaged", [False, True])
def test_an_experiment_that_has_not_ended_is_known_by_its_store(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, damaged: bool
) -> None:
    Store(tmp_path / "points.sqlite", sweep_of(name, tmp_path)).close()
    if damaged:
        (tmp_path / "run.json").write_text('{"on":')
    assert refused(tmp_path, capsys) == refusal(tmp_path, name)
    with Store(tmp_path / "points.sqlite", sweep_of(name, tmp_path)), pytest.raises(InputError, match="holds a paper"):
        holds_sweep(tmp_path)  # while its command fills it


def test_other_stores_are_of_sweeps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert not holds_sweep(tmp_path) and list(tmp_path.iterdir()) == []
    path = tmp_path / "points.sqlite"
    Store(path, Sweep("striate.explore.crossbar:job", 2, {})).close()
    assert holds_sweep(tmp_path)
    assert "holds a sweep that has not ended without results.json" in refused(tmp_path, capsys)
    base = sqlite3.connect(path)
    base.execute("UPDATE sweep SET identity = '[]'")
    base.commit()
    base.close()
    assert holds_sweep(tmp_path)
    path.write_bytes(b"no store at all, and long enough to be read as one" * 40)
    assert holds_sweep(tmp_path)
