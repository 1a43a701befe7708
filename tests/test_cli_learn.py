"""``striate learn``: its rules, its workers, its interruptions."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.main import get_command

from striate import cli
from striate.golden.dictionary import Dictionary
from striate.golden.learn import LearnParams, WorkersLost, checkpoint_path

SMALL = ["learn", "-k", "3", "-p", "6", "-s", "2", "--pictures", "6", "--crop-size", "16", "--steps", "10"]


@pytest.fixture
def picture(tmp_path: Path) -> str:
    y, x = np.mgrid[:40, :50]
    path = tmp_path / "waves.png"
    Image.fromarray((127 + 100 * np.sin(x / 3) * np.cos(y / 5 + x / 9)).astype(np.uint8)).save(path)
    return str(path)


@pytest.fixture(autouse=True)
def quick_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("striate.golden.learn.training.gabor_like", lambda dictionary: np.full(3, 0.75))


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = cli.main(words)
    return status, *capsys.readouterr()


def test_every_setting_is_an_option() -> None:
    """Of the name that messages give it."""
    options = {
        name for parameter in get_command(cli.app).commands["learn"].params for name in parameter.opts  # type: ignore[attr-defined]
    }
    fields = {name.replace("_", "-") for name in LearnParams.__dataclass_fields__}
    assert {f"--{name}" for name in fields} <= options
    assert {"--workers", "--scheduler", "--out", "--force", "--json"} <= options


@pytest.mark.parametrize("words", [
    ["--rule", "online", "--batch", "2", "--forgetting", "0.9", "--schedule", "inverse", "--reseed-after", "2"],
    ["--rule", "block-coordinate", "--batch", "3", "--sweeps", "2", "--transfer", "soft", "--two-sided"],
    ["--rule", "projected", "--sweeps", "2", "--border", "extended", "--support", "5"],
    ["--momentum", "0.5", "--batch", "2", "--engine", "reference", "--preprocess", "none"],
])  # fmt: skip
def test_options_reach_the_learner(
    tmp_path: Path, picture: str, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    out = tmp_path / "d.npz"
    status, text, err = run(capsys, *SMALL, picture, "--out", str(out), *words, "--json")
    assert status == 0 and err == ""
    info = json.loads(text)
    rule = words[1] if words[0] == "--rule" else "hebbian"
    assert info["rule"] == rule and info["pictures"] == 6 and info["reseeded"] >= 0 and 0 <= info["silent"] <= 3
    assert info["energies"] == pytest.approx([info["energy"]])
    assert Dictionary.load(out).sha256 == info["dictionary_sha256"]
    status, text, err = run(capsys, *SMALL, picture, "--out", str(out), *words, "--force")
    assert status == 0 and "silent kernels" in text and "drawn anew" in text


def test_a_folder_and_a_start(tmp_path: Path, picture: str, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = str(tmp_path / "a.npz"), str(tmp_path / "b.npz")
    assert run(capsys, *SMALL, str(tmp_path), "--out", first)[0] == 0
    assert run(capsys, *SMALL, str(tmp_path), "--out", second, "--start", first, "--rate", "1e-12")[0] == 0
    np.testing.assert_allclose(Dictionary.load(first).atoms, Dictionary.load(second).atoms, atol=1e-9)
    assert "(1 pictures)" in Dictionary.load(second).source and "from a.npz" in Dictionary.load(second).source


@pytest.mark.parametrize("words, message", [
    (["--rule", "none"], "--rule must be one of hebbian, projected, block-coordinate, online, not 'none'"),
    (["--rule", "online", "--momentum", "0.5"], "--momentum 0.5 has no use with --rule online; leave it out"),
    (["--start", "nowhere.npz"], "--start nowhere.npz: no such file; give a .npz, or one of natural-"),
    (["--start", "natural-k8-p16-s2"], "--start natural-k8-p16-s2 holds kernels of the shape (8, 1, 16, 16)"),
    (["--workers", "2"], "--workers 2 share the crops of a batch, and --batch is 1; use --batch 8, or leave it out"),
    (["--workers", "0"], "--workers must be at least 1, not 0"),
    (["--device", "cuda"], "the engine 'fast' runs on the CPU alone, not on 'cuda'"),
    (["--support", "7"], "--support must be from 1 to the patch, 6, not 7"),
])  # fmt: skip
def test_mistakes_are_one_line(
    tmp_path: Path, picture: str, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    status, text, err = run(capsys, *SMALL, picture, "--out", str(tmp_path / "d.npz"), *words)
    assert status == 2 and text == "" and err.count("\n") == 1 and message in err
    assert [path.name for path in tmp_path.iterdir()] == ["waves.png"]


def test_lost_workers_are_a_failed_job(
    tmp_path: Path, picture: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from striate.golden.learn.coding import Here

    def lost(*_: object) -> None:
        raise WorkersLost("worker processes ended; the same command continues")

    monkeypatch.setattr(Here, "code", lost)
    status, text, err = run(capsys, *SMALL, picture, "--out", str(tmp_path / "d.npz"), "--json")
    assert status == 1 and text == "" and err == "striate: worker processes ended; the same command continues\n"


def test_interrupted_the_same_command_continues(
    tmp_path: Path, picture: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from striate.golden.learn.coding import Here

    words = [*SMALL, picture, "--rule", "online", "--batch", "2", "--json", "--out"]
    whole, out = tmp_path / "whole.npz", tmp_path / "d.npz"
    assert run(capsys, *words, str(whole))[0] == 0
    real, calls = Here.code, []

    def code(*words: object) -> object:
        calls.append(words)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*words)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Here, "code", code)
        status, text, err = run(capsys, *words, str(out))
    assert status == 130 and text == "" and "the same command continues where it stopped" in err
    assert checkpoint_path(out).exists() and not out.exists()
    calls.clear()
    assert run(capsys, *words, str(out))[0] == 0
    assert out.read_bytes() == whole.read_bytes() and not checkpoint_path(out).exists()
