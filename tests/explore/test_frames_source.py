"""The frames of the short-stride tests: their motion is the one that is said, and the same frames give the same key."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from striate.explore.papers import frames
from striate.explore.papers.frames import (
    FACTOR,
    MOST,
    START_SCALE,
    FrameSource,
    default_frames,
    frames_sha256,
    video_frames,
)
from striate.golden import video
from striate.golden.errors import InputError


def test_a_quarter_each_of_pans_and_zooms() -> None:
    source = default_frames(12)
    assert len(source.frames) == len(source.motion) == 12
    assert all(frame.shape == (1, 128, 128) for frame in source.frames)
    assert [n for n, text in enumerate(source.motion) if text.startswith("cut to")] == [0, 3, 6, 9]
    for first in (0, 3):  # pans: one pixel to the right
        for a, b in zip(source.frames[first : first + 2], source.frames[first + 1 : first + 3], strict=True):
            np.testing.assert_array_equal(a[:, :, 1:], b[:, :, :-1])
    assert source.motion[7] == "zoom into camera, scale 0.98 times, 2.450 pixels a pixel"
    assert np.abs(source.frames[6] - source.frames[7]).max() > 0.01
    assert "CC BY 2.0" in source.credit and "china" in source.credit
    assert all(0.03 < float(np.std(frame)) < 0.2 for frame in source.frames)  # centre-surround filtered


def test_the_key_is_of_the_frames() -> None:
    source = default_frames(4)
    assert source.sha256 == frames_sha256(source.frames) == default_frames(4).sha256
    moved = (source.frames[0] + 1e-5, *source.frames[1:])
    assert frames_sha256(moved) != source.sha256
    assert frames_sha256(source.frames[::-1]) != source.sha256
    assert frames_sha256((source.frames[0] + 1e-14, *source.frames[1:])) == source.sha256


def test_frames_of_a_file(tmp_path: Path) -> None:
    pictures = [Image.fromarray(np.full((150, 140), 40 * n, np.uint8)) for n in range(5)]
    pictures[0].save(tmp_path / "film.gif", save_all=True, append_images=pictures[1:], duration=40)
    source = video_frames(tmp_path / "film.gif", every=2)
    assert isinstance(source, FrameSource) and source.name == "film.gif" and source.credit == ""
    assert source.motion == ("frame 0 of film.gif", "frame 2 of film.gif", "frame 4 of film.gif")
    assert "the largest centred window of 128:128, averaged over areas to 128x128" in source.made
    with pytest.raises(InputError, match="holds 5 frames, which give 5 and not 9"):
        video_frames(tmp_path / "film.gif", most=9)


@pytest.mark.parametrize("count, text", [
    (30, "30 is no multiple of 4; use 32"), (0, "0 is no multiple"),
    (188, "--frames 188: pans and zooms give 184 frames at most, .*; use --frames 184, or --video for more$"),
    (400, "--frames 400: pans and zooms give 184 frames at most"),
])  # fmt: skip
def test_counts_that_do_not_fit(count: int, text: str) -> None:
    with pytest.raises(InputError, match=text):
        default_frames(count)


def test_the_most_frames_are_those_that_enlarge_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    last = START_SCALE * FACTOR ** (MOST // 4 - 1)
    assert MOST == 184 and last >= 1.0 > last * FACTOR
    # Whether zooms fit is decided before any is made; to make them all takes seconds.
    monkeypatch.setattr(video, "_view", lambda *_: np.zeros((1, 8, 8)))
    assert len(default_frames(MOST).frames) == MOST
    monkeypatch.setattr(frames, "MOST", MOST + 4)
    with pytest.raises(InputError, match="frame 46 of the zoom, .* would be enlarged; use 46 frames at most"):
        default_frames(MOST + 4)


def test_a_folder_is_no_video(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"{tmp_path} is a folder, not a video; give a file that FFmpeg can decode"):
        video_frames(tmp_path)
