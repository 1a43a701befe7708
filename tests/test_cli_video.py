"""``striate video`` and the gram schedule on the command line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from striate.cli import main

SMALL = ["--crop", "104,212", "--set", "network.image=[32,32]", "--set", "machine.tiles=[2,2]", "--steps", "30"]


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit status, standard output, standard error."""
    capsys.readouterr()
    status = main(words)
    return status, *capsys.readouterr()


def as_json(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    status, out, err = run(capsys, *words, "--json")
    assert status == 0, err
    assert out.count("\n") == 1
    found = json.loads(out)
    assert isinstance(found, dict)
    return found


def test_a_video_is_kept_in_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    words = ["video", "--object", "astronaut", "--extent", "8,8", "--frames", "3", *SMALL]
    info = as_json(capsys, *words, "--out", str(out))
    assert [(f["number"], f["warm"]) for f in info["frames"]] == [(0, False), (1, True), (2, True)]
    assert not any(f["warm"] for f in info["cold_frames"])
    assert info["frames"][0] == info["cold_frames"][0]
    assert info["frames"][2]["code_events"] < info["cold_frames"][2]["code_events"]
    assert info["frames_per_second"] > info["cold_frames_per_second"] > 0
    assert {path.name for path in out.iterdir()} == {"run.json", "design.toml", "video.npz", "video.png"}
    assert json.loads((out / "run.json").read_text())["code_sha256"] == info["code_sha256"]
    with np.load(out / "video.npz", allow_pickle=False) as saved:
        assert saved["code"].shape == (3, 8, 16, 16) and saved["input"].shape == (3, 1, 32, 32)
        assert np.count_nonzero(saved["code"][2]) == info["frames"][2]["active"]
        assert saved["percent_error"][2, -1] == info["frames"][2]["percent_error"]
    status, _, err = run(capsys, "report", str(out))
    assert status == 2 and "holds a video, whose figure is video.png" in err and err.count("\n") == 1
    status, _, err = run(capsys, "video", "--pan", "camera", "--frames", "1", *SMALL, "--out", str(out))
    assert status == 2 and "--force" in err
    assert run(capsys, "video", "--pan", "camera", "--frames", "1", *SMALL, "--out", str(out), "--force")[0] == 0


def test_a_folder_of_frames_and_equal_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    still = rng.integers(0, 256, (32, 32), dtype=np.uint8)
    for n in range(3):
        Image.fromarray(still).save(tmp_path / f"{n}.png")
    words = ["video", str(tmp_path), "--set", "network.image=[32,32]", "--set", "machine.tiles=[1,1]", "--steps", "60"]
    info = as_json(capsys, *words, "--until", "10")
    assert info["reached"] == [True, True, True] and info["until_percent"] == 10
    assert info["frames"][1]["changed_pixels"] == 0 and info["frames"][1]["steps"] == 1
    assert info["cold_frames"][1]["steps"] == info["frames"][0]["steps"] > 1
    status, text, _ = run(capsys, *words, "--schedule", "gram", "--frames", "2")
    assert status == 0 and "code events after the first frame" in text and "frames/s" not in text
    assert len(text.splitlines()) == 3 + 2


def test_a_video_file_and_a_zoom(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures = [Image.fromarray(np.full((40, 64), 60 * n, np.uint8)) for n in range(3)]
    pictures[0].save(tmp_path / "film.gif", save_all=True, append_images=pictures[1:], duration=40)
    small = ["--set", "network.image=[32,32]", "--set", "machine.tiles=[1,1]", "--steps", "2"]
    info = as_json(capsys, "video", str(tmp_path / "film.gif"), "--frames", "2", *small)
    assert len(info["frames"]) == 2 and info["frames_from"].endswith("film.gif")
    status, out, err = run(capsys, "video", str(tmp_path / "film.gif"), "--frames", "4", *small)
    assert status == 2 and out == "" and "holds 3 frames, which give 3 and not 4; use --frames 3" in err
    (tmp_path / "text.mp4").write_text("no film")
    status, out, err = run(capsys, "video", str(tmp_path / "text.mp4"), *small)
    assert status == 2 and err.count("\n") == 1 and "text.mp4 is not a video that FFmpeg can open (" in err
    near = as_json(capsys, "video", "--zoom", "camera", "--frames", "2", "--scale", "3", "--factor", "0.9", *small)
    far = as_json(capsys, "video", "--zoom", "camera", "--frames", "2", "--scale", "2.7", "--factor", "1.1", *small)
    assert near["frames_from"] == "camera" and near["frames"][0]["active"] != far["frames"][0]["active"]


@pytest.mark.parametrize(
    "words, text",
    [
        ([], "a video has one source of frames and none was given; use FOLDER, a video FILE, --pan PICTURE, --zoom"),
        (["--pan", "camera", "--object", "brick"], "one source of frames and --pan and --object were given"),
        (["--pan", "camera", "--step", "2"], "--step must be two whole numbers such as 0,2, not '2'"),
        (["--object", "brick", "--extent", "a,b"], "--extent must be two whole numbers such as 24,24, not 'a,b'"),
        (["--object", "brick", "--extent", "-3,5"], "--extent -3,5 is no size in pixels; use 24,24, say"),
        (["--object", "brick", "--extent", "200,9"], "leaves the scene of 128x128; use a smaller --extent"),
        (["--object", "brick", "--step", "99,0"], "use 1 frame at most, a smaller --step or a smaller --extent"),
        (["--pan", "camera", "--extent", "9,9"], "--scene and --extent are those of a moving object"),
        ([".", "--step", "0,1"], "--step moves a pan or an object, and other frames are as they are"),
        (["nowhere"], "nowhere: no such folder or video; give a folder with a picture for each frame, or a file"),
        (["--pan", "camera", "--factor", "0.9"], "--factor and --scale are those of a zoom; add --zoom PICTURE"),
        (["--zoom", "camera", "--crop", "1,2"], "--crop is for pictures: a zoom and a video file show their middle"),
        (["--pan", "camera", "--schedule", "dense"], "machine.schedule 'dense' keeps no state from frame to frame"),
        (["--pan", "nothing.png"], "nothing.png: no such picture"),
    ],
)
def test_bad_use_is_one_line(capsys: pytest.CaptureFixture[str], words: list[str], text: str) -> None:
    status, out, err = run(capsys, "video", *words)
    assert status == 2 and out == "" and err.count("\n") == 1 and text in err


def test_gram_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    gram = as_json(capsys, "encode", "camera", *SMALL, "--on", "machine", "--schedule", "gram", "--out", str(out))
    delta = as_json(capsys, "encode", "camera", *SMALL, "--on", "machine")
    assert abs(gram["percent_error"] - delta["percent_error"]) < 3 and gram["code_sha256"] != delta["code_sha256"]
    assert gram["cycles"] is None and gram["energy_pj"] is None and gram["residual_events"] == 0
    assert gram["macs"] == gram["counts"]["gram_macs"] + gram["counts"]["load_macs"] < delta["macs_dense"]
    assert (out / "report.html").is_file() and any("another network form" in text for text in gram["warnings"])
    d = next(word for word in gram["words"] if word["word"].startswith("D"))
    assert d["format"].endswith(".21")  # 2 fw + fy
    status, _, err = run(capsys, "emit", "--out", str(tmp_path / "rtl"), "--set", "machine.schedule=gram")
    assert status == 2 and "machine.schedule 'gram' has no hardware" in err and err.count("\n") == 1
    status, _, err = run(capsys, "verify", "--set", "machine.schedule=gram")
    assert status == 2 and "machine.schedule 'gram' has no hardware" in err and err.count("\n") == 1
