"""Video files: made with PyAV here, read back frame by frame; damage and what is no video are refused in one line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from striate.golden import video_file
from striate.golden.errors import InputError
from striate.golden.preprocess import centre_surround
from striate.golden.resample import area_means
from striate.golden.video_file import file_frames

COUNT, HEIGHT, WIDTH = 20, 96, 128


def picture(n: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Frame n: even, brighter with each, with a bright bar that moves 4 pixels a frame."""
    pixels = np.full((HEIGHT, WIDTH, 3), 20 + 9 * n, np.uint8)
    pixels[10:30, 4 * n : 4 * n + 20] = 255 - 5 * n
    pixels[60:80, 40:60, 0] = 255  # red
    return pixels


def write(path: Path, codec: str, count: int = COUNT, options: dict[str, str] | None = None) -> Path:
    with av.open(str(path), "w", options=options or {}) as container:
        stream: Any = container.add_stream(codec, rate=25)
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, stream.codec.video_formats[0].name
        for n in range(count):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(n), format="rgb24")))
        container.mux(stream.encode())
    return path


def sound(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def cut_off(path: Path, share: float = 0.6) -> Path:
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    return path


@pytest.mark.parametrize(
    "name, codec, tolerance",
    [("a.mp4", "mpeg4", 4), ("b.avi", "mjpeg", 4), ("c.mkv", "ffv1", 1.5), ("d.webm", "libvpx-vp9", 4),
     ("e.mov", "libx264", 4), ("f.mpg", "mpeg2video", 4), ("g.gif", "gif", 8), ("h.ts", "libx264", 4)],
)  # fmt: skip
def test_frames_of_a_file_are_its_centre_made_smaller(tmp_path: Path, name: str, codec: str, tolerance: float) -> None:
    frames = file_frames(write(tmp_path / name, codec), size=(32, 32), kind="none")
    assert len(frames) == COUNT
    for n, frame in enumerate(frames):
        gray = picture(n)[:, 16:112] @ np.array([0.2125, 0.7154, 0.0721])  # the centre square, BT.709
        expected = gray.reshape(32, 3, 32, 3).mean(axis=(1, 3))
        assert np.abs(255 * frame[0] - expected).mean() < tolerance


def test_options(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", "ffv1")
    every = file_frames(path, size=(24, 40), kind="none", channels=3)
    assert every[0].shape == (3, 24, 40)
    assert every[0][0, 17, 15] > 0.9 > 0.2 > every[0][1, 17, 15]  # red stays red
    # 24:40 is wider than 96:128: all columns at 3.2 pixels a pixel, 9.6 rows less above and below.
    expected = area_means(np.moveaxis(picture(3) / 255.0, -1, 0), (9.6, 0.0), 3.2, (24, 40))
    assert np.abs(every[3] - expected).mean() < 0.015
    some = file_frames(path, size=(24, 40), kind="none", channels=3, every=7, most=2)
    for found, n in zip(some, (0, 7), strict=True):
        np.testing.assert_array_equal(found, every[n])
    (seen,) = file_frames(path, size=(24, 40), most=1)
    (plain,) = file_frames(path, size=(24, 40), most=1, kind="none")
    np.testing.assert_array_equal(seen, centre_surround(plain))  # filtered after it was made smaller


@pytest.mark.parametrize("name, codec, options", [
    ("a.avi", "mjpeg", {}), ("b.mkv", "ffv1", {}), ("c.mp4", "mpeg4", {"movflags": "+faststart"}),
    ("d.webm", "libvpx-vp9", {}), ("e.mpg", "mpeg2video", {}),
])  # fmt: skip
def test_frames_before_damage_are_taken_only_when_asked(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    path = cut_off(write(tmp_path / name, codec, options=options))
    with pytest.raises(InputError) as caught:
        file_frames(path, size=(32, 32))
    text = str(caught.value)
    good = int(text.rsplit("--frames ", 1)[1].split()[0])
    assert f"is damaged after {good} frames (" in text and "\n" not in text and 0 < good < COUNT
    assert len(file_frames(path, size=(32, 32), most=good)) == good
    with pytest.raises(InputError, match=f"--frames {good} takes them"):
        file_frames(path, size=(32, 32), most=good + 1)
    with pytest.raises(InputError, match=f"of every 3th, .* good: --frames {-(-good // 3)} takes them"):
        file_frames(path, size=(32, 32), every=3)


def test_damage_inside_a_file_is_found(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", "ffv1")
    whole = bytearray(path.read_bytes())
    middle = len(whole) // 2
    whole[middle : middle + 800] = bytes(range(1, 201)) * 4
    path.write_bytes(whole)
    with pytest.raises(InputError, match=r"is damaged after \d+ frames \(Invalid data found"):
        file_frames(path, size=(32, 32))


def test_sound_longer_than_the_pictures_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        pictures: Any = container.add_stream("mpeg4", rate=25)
        pictures.height, pictures.width, pictures.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        tone: Any = container.add_stream("pcm_s16le", rate=8000)
        for n in range(5):
            container.mux(pictures.encode(av.VideoFrame.from_ndarray(picture(n), format="rgb24")))
        for n in range(20):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
            frame.rate, frame.pts = 8000, 800 * n
            container.mux(tone.encode(frame))
        container.mux(pictures.encode())
        container.mux(tone.encode())
    assert len(file_frames(path, size=(32, 32))) == 5


def test_a_file_without_its_index_is_refused(tmp_path: Path) -> None:
    path = cut_off(write(tmp_path / "a.mp4", "mpeg4"))
    with pytest.raises(InputError, match=r"a.mp4 is not a video that FFmpeg can open \(Invalid data found"):
        file_frames(path, size=(32, 32))


def refused(work: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        work()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    text, empty, playlist = tmp_path / "text.mp4", tmp_path / "empty.mkv", tmp_path / "list.m3u8"
    text.write_text("frames? " * 100)
    empty.write_bytes(b"")
    plain = tmp_path / "notes.txt"
    plain.write_text("a plain text file\n" * 50)
    playlist.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://localhost:1/a.ts\n#EXT-X-ENDLIST\n")
    for path in (text, empty, playlist):
        assert f"{path} is not a video that FFmpeg can open (" in refused(lambda: file_frames(path, size=(8, 8)))  # noqa: B023
    assert "holds no video stream, only text" in refused(lambda: file_frames(plain, size=(8, 8)))
    only = sound(tmp_path / "sound.wav")
    assert "sound.wav holds no video stream, only audio; give a" in refused(lambda: file_frames(only, size=(8, 8)))
    assert "nothing.mp4: no such video; give a file" in refused(
        lambda: file_frames(tmp_path / "nothing.mp4", size=(8, 8))
    )
    assert f"{tmp_path} is a folder, not a video; give a file" in refused(lambda: file_frames(tmp_path, size=(8, 8)))


def test_what_cannot_be_given_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.mkv", "ffv1", 5)
    assert "holds 5 frames, which give 3 and not 4; use --frames 3" in refused(
        lambda: file_frames(path, size=(8, 8), every=2, most=4)
    )
    assert "has frames of 96x128 pixels, smaller than 97x97; nothing is enlarged" in refused(
        lambda: file_frames(path, size=(97, 97))
    )
    assert "a video has 1 or 3 channels, network.channels is 2" in refused(
        lambda: file_frames(path, size=(8, 8), channels=2)
    )
    assert "every 0th of None frames is no frame" in refused(lambda: file_frames(path, size=(8, 8), every=0))
    assert "every 1th of 0 frames is no frame" in refused(lambda: file_frames(path, size=(8, 8), most=0))
    monkeypatch.setattr(video_file, "MAX_VALUES", 3 * 64)
    assert "over 3 frames of 8x8 pixels are more than 2 GiB; ask for fewer with --frames" in refused(
        lambda: file_frames(path, size=(8, 8))
    )
    monkeypatch.setattr(video_file, "MAX_PIXELS", 96 * 128 - 1)
    assert "has frames of 96x128 pixels; over 12287 pixels are refused" in refused(
        lambda: file_frames(path, size=(8, 8))
    )
