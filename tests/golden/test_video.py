"""Made sequences move as they say, and nothing else does; folders are read in order; bad input is one line."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from striate.golden.errors import InputError
from striate.golden.images import load_image
from striate.golden.preprocess import centre_surround
from striate.golden.video import cut, folder_frames, moving_object, pan, zoom


def test_a_pan_is_the_crops_of_one_picture() -> None:
    frames = pan("camera", 3, size=(32, 48), start=(10, 20), step=(-2, 5))
    for n, frame in enumerate(frames):
        np.testing.assert_array_equal(frame, load_image("camera", crop=(10 - 2 * n, 20 + 5 * n), size=(32, 48)))
    np.testing.assert_array_equal(frames[0][:, :-2, 5:], frames[1][:, 2:, :-5])


def test_a_pan_over_fewer_pixels_is_filtered_after_they_were_averaged() -> None:
    whole = load_image("camera", preprocess="none")[0]
    small = centre_surround(whole.reshape(256, 2, 256, 2).mean(axis=(1, 3))[None])
    frames = pan("camera", 2, size=(32, 48), start=(9, 7), step=(1, 3), scale=2)
    np.testing.assert_allclose(frames[1], small[:, 10:42, 10:58], atol=1e-12)


def test_a_zoom_at_a_whole_scale_is_a_pan_over_blocks() -> None:
    """Scale 2 about a point on the grid of the blocks: the same pixels, the same filter, to rounding."""
    (seen,) = zoom("camera", 1, size=(32, 48), start_scale=2.0, centre=(200, 260))
    (expected,) = pan("camera", 1, size=(32, 48), start=(100 - 16, 130 - 24), scale=2)
    np.testing.assert_allclose(seen, expected, atol=1e-12)


def test_a_zoom_moves_as_it_says() -> None:
    """What is at distance d from the middle in frame 0 is at d / factor^n in frame n."""
    frames = zoom("camera", 3, size=(64, 64), start_scale=4.0, factor=0.5, kind="none")
    # Twice as near with each frame: 2x2 pixels of a frame cover one of the frame before, about the middle.
    for far, near in zip(frames, frames[1:], strict=False):
        means = near.reshape(1, 32, 2, 32, 2).mean(axis=(2, 4))
        np.testing.assert_allclose(means, far[:, 16:48, 16:48], atol=1e-12)
    out = zoom("camera", 3, size=(64, 64), start_scale=1.0, factor=2.0, kind="none")
    for a, b in zip(out, reversed(frames), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)


def test_an_object_moves_and_the_scene_stands_still() -> None:
    made = {"size": (64, 64), "crop": (70, 170), "extent": (8, 12), "cut_at": (64, 192), "start": (20, 4),
            "step": (1, 6)}  # fmt: skip
    frames = moving_object("camera", "astronaut", 4, kind="none", **made)
    scene = load_image("camera", crop=(70, 170), size=(64, 64), preprocess="none")
    patch = load_image("astronaut", crop=(64, 192), size=(8, 12), preprocess="none")
    for n, frame in enumerate(frames):
        y, x = 20 + n, 4 + 6 * n
        np.testing.assert_array_equal(frame[:, y : y + 8, x : x + 12], patch)
        still = np.ones((64, 64), bool)
        still[y : y + 8, x : x + 12] = False
        np.testing.assert_array_equal(frame[:, still], scene[:, still])
    again = moving_object("camera", "astronaut", 4, **made)
    filtered = moving_object("camera", "astronaut", 4, **made)
    assert all((a == b).all() for a, b in zip(again, filtered, strict=True))
    moved = np.abs(filtered[1] - filtered[0])
    assert moved[:, :, 60:].max() == 0 < moved.max()  # the filter reaches 22 pixels, not over the whole scene
    colour = moving_object("astronaut", "coffee", 1, size=(16, 16), extent=(4, 4), channels=3)
    assert colour[0].shape == (3, 16, 16)


def test_a_cut_changes_once() -> None:
    a, b = np.zeros((1, 2, 2)), np.ones((1, 2, 2))
    assert [int(frame[0, 0, 0]) for frame in cut(a, b, 5, 2)] == [0, 0, 1, 1, 1]
    assert [int(frame[0, 0, 0]) for frame in cut(a, b, 2, 0)] == [1, 1]


def test_a_folder_is_read_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    for n in (10, 2, 1):
        Image.fromarray(np.full((6, 8), n, np.uint8)).save(tmp_path / f"frame{n}.png")
    (tmp_path / "notes.txt").write_text("not a frame")
    frames = folder_frames(tmp_path, size=(6, 8), kind="none")
    assert [round(255 * float(frame[0, 0, 0])) for frame in frames] == [1, 2, 10]
    assert len(folder_frames(tmp_path, size=(4, 4), crop=(1, 2), kind="none", most=2)) == 2


@pytest.mark.parametrize(
    "work, text",
    [
        (lambda: pan("camera", 0, size=(8, 8)), "a sequence has at least 1 frame, not 0"),
        (
            lambda: pan("camera", 9, size=(512, 510)),
            "frame 3 of the pan begins at 0,3 and 512x510 pixels there leave camera of 512x512; use 3 frames at most",
        ),
        (lambda: pan("camera", 1, size=(8, 8), start=(-1, 0)), "use another --crop"),
        (
            lambda: moving_object("camera", "brick", 9, size=(32, 32), start=(0, 4)),
            "in frame 5 the object of 24x24 pixels at 0,9 leaves the scene of 32x32; use 5 frames at most",
        ),
        (lambda: moving_object("camera", "brick", 1, size=(32, 32), crop=(500, 0)), "reaches beyond camera of 512x512"),
        (
            lambda: zoom("camera", 9, size=(128, 128), start_scale=1.1, factor=0.96),
            "at a scale of 0.973 about 256,256, would be enlarged; use 3 frames at most, a factor nearer 1 or another",
        ),
        (
            lambda: zoom("camera", 2, size=(128, 128), start_scale=2.0, factor=1.01, centre=(128, 300)),
            "at a scale of 2.02 about 128,300, leaves camera of 512x512; use 1 frame at most",
        ),
        (lambda: zoom("camera", 1, size=(128, 128), start_scale=5.0), "leaves camera of 512x512; use another scale"),
        (lambda: zoom("camera", 1, size=(8, 8), factor=0.0), "a zoom's factor a frame must be above 0, not 0;"),
        (lambda: pan("camera", 1, size=(8, 8), scale=0), "blocks of 0 pixels do not fit 512x512 pixels"),
        (lambda: cut(np.zeros((1, 2, 2)), np.zeros((1, 2, 3)), 3, 1), "needs two pictures of one shape"),
        (lambda: cut(np.zeros((1, 2, 2)), np.zeros((1, 2, 2)), 3, 4), "a cut after 4 of 3 frames is outside"),
        (lambda: folder_frames("nowhere", size=(8, 8)), "nowhere: no such folder; give a folder with a picture"),
    ],
)
def test_bad_sequences_are_refused_in_one_line(work, text: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError) as caught:
        work()
    assert text in str(caught.value) and "\n" not in str(caught.value)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no pictures; frames are files that end in \.png"):
        folder_frames(tmp_path, size=(8, 8))
