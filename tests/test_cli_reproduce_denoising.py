"""``striate reproduce denoising`` from the command line."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from striate.cli import main
from striate.explore import engine
from striate.explore.papers import denoising, denoising_filters, denoising_run
from striate.golden.dictionary import Dictionary

SMALL = ["--pictures", "camera,chelsea", "--noise", "13.84", "--size", "24", "--jobs", "1"]
RECIPE = denoising_filters.recipe


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    return main(["reproduce", "denoising", *words]), *capsys.readouterr()


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer codes without noise."""
    monkeypatch.setattr(denoising_run, "CODED_LAMBDA", {1.0: (0.3,), 0.8: (0.3,), 0.5: (0.3,)})


def test_the_experiment_its_files_and_its_continuation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], few: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "denoising"
    real, calls = engine.run, 0

    def stopped(*args: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1

        def stop(progress: engine.Progress) -> None:
            if progress.ran == 3:
                raise KeyboardInterrupt

        return real(*args, **{**options, "progress": stop})

    monkeypatch.setattr(engine, "run", stopped)
    status, _, err = run(capsys, *SMALL, "--out", str(out))
    assert status == 130 and calls == 1
    assert err == f"striate: stopped; what was finished is in {out}: the same command continues\n"
    monkeypatch.setattr(engine, "run", real)
    status, text, err = run(capsys, *SMALL, "--out", str(out), "--json")
    assert status == 0 and text.count("\n") == 1, err
    info: dict[str, Any] = json.loads(text)
    points = 2 * 2 * len(denoising.METHODS) + 2 * 3
    assert (info["points"], info["done"], info["failed"], info["ran"]) == (points, points, 0, points - 3)
    assert {"striate", "seconds", "claims", "methods", "versions", "command"} <= info.keys()
    assert info["pictures"]["chelsea"]["learned_from"] and not info["pictures"]["camera"]["learned_from"]
    gains = info["methods"]["layer"]["gain_db"]["13.84"]
    assert gains["mean_held_out"] == gains["camera"] != gains["chelsea"]
    assert [claim["name"] for claim in info["claims"]][:1] == ["denoising"]
    names = {path.name for path in out.iterdir() if not path.name.startswith("points.sqlite")}
    assert names == {"run.json", "denoised.csv", "sparse.csv", "report.html", "crops.png", "gains.png", "sparsity.png",
                     "filters.png"}  # fmt: skip
    with (out / "denoised.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 24
    status, text, _ = run(capsys, *SMALL, "--out", str(out))
    assert status == 0 and "SNR won in dB at an input of 13.84 dB" in text and "chelsea *" in text
    assert "* filters and strengths come from this photograph" in text and "30 done" in text
    assert json.loads((out / "run.json").read_text())["ran"] == 0


@pytest.mark.slow
def test_train_learns_once_and_chooses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], few: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned = []

    def quick(seed: int, *, crops: int, progress: Any) -> Any:
        learned.append(seed)
        return real(seed, crops=2, crop_pixels=24, epochs=1, progress=progress)

    real, out = denoising_filters.train_filters, tmp_path / "again"
    monkeypatch.setattr(denoising_filters, "train_filters", quick)
    monkeypatch.setattr(denoising_filters, "recipe", lambda seed, crops, *_: RECIPE(seed, 2, 24, 1))
    monkeypatch.setattr(denoising_run, "choose", lambda name, *_: (1.5, {}))
    options = [*SMALL, "--pictures", "camera", "--train", "--seed", "3", "--out", str(out)]
    status, text, err = run(capsys, *options, "--json")
    assert status == 0, err
    info = json.loads(text)
    assert info["trained"] and info["methods"]["p05"]["strength"]["13.84"] == 1.5
    assert info["filters"]["sha256"] == Dictionary.load(out / "filters.npz").sha256
    assert json.loads((out / "strengths.json").read_text())["strengths"].keys() == denoising.METHODS.keys() - {"blur"}
    status, text, _ = run(capsys, *options, "--json")
    assert status == 0 and learned == [3] and json.loads(text)["ran"] == 0
    status, _, err = run(capsys, *SMALL, "--pictures", "camera", "--out", str(out))
    assert status == 2 and "holds another sweep (of other filters" in err


@pytest.mark.parametrize("options, message", [
    (["--noise", "loud"], "--noise must be numbers of dB such as 8,13.84,20, not 'loud'"),
    (["--noise", "99"], "--noise must be an SNR from -20 to 60 dB, not 99"),
    (["--pictures", "nowhere"], "nowhere: no such picture"),
    (["--seeds", "0"], "--seeds must be at least 1, not 0"),
    (["--size", "3"], "--size must be at least 16 pixels, not 3"),
    (["--jobs", "0"], "--jobs must be at least 1, not 0"),
    (["--train-crops", "0"], "--train-crops must be at least 1, not 0"),
])
def test_mistakes_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    status, text, err = run(capsys, "--out", str(tmp_path / "out"), *options)
    assert status == 2 and message in err and err.count("\n") == 1 and not text
    assert not (tmp_path / "out").exists()


def test_folders_of_others_are_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    status, _, err = run(capsys, *SMALL, "--out", str(tmp_path), "--force")
    assert status == 2 and "holds letter.txt, which `reproduce denoising` did not write" in err
    assert (tmp_path / "letter.txt").read_text() == "mine"
    status, _, err = run(capsys, *SMALL, "--out", str(tmp_path / "letter.txt"))
    assert status == 2 and "is a file; name a folder" in err
    other = tmp_path / "other"
    other.mkdir()
    (other / "run.json").write_text("{}")
    status, _, err = run(capsys, *SMALL, "--out", str(other), "--force")
    assert status == 2 and "holds no points of `reproduce denoising`" in err


def test_a_point_that_fails_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], few: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture that goes away between planning and coding."""
    import numpy as np

    picture = tmp_path / "mine.npy"
    np.save(picture, np.random.default_rng(0).random((40, 40)))
    real = engine.run

    def gone(*args: Any, **options: Any) -> Any:
        picture.rename(tmp_path / "away.npy")
        try:
            return real(*args, **options)
        finally:
            (tmp_path / "away.npy").rename(picture)

    monkeypatch.setattr(engine, "run", gone)
    out = tmp_path / "out"
    status, _, err = run(capsys, *SMALL, "--pictures", str(picture), "--out", str(out))
    assert status == 1 and "points failed; the first:" in err and "no such picture" in err
    assert "points failed:" in (out / "report.html").read_text()
    monkeypatch.setattr(engine, "run", real)
    status, text, _ = run(capsys, *SMALL, "--pictures", str(picture), "--out", str(out), "--retry")
    assert status == 0 and "0 failed" in text
    assert "No claim: that needs a held-out CC0 or public-domain picture" in (out / "report.html").read_text()
