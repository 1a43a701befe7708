"""The frames on which dictionaries are tested: pans and zooms with known motion over held-out photographs, or a video.

The paper tested on the 196 frames of one Vine video, shrunk from 480x480 to 128x128 pixels. Here 128x128 pixels are
seen at about half the photographs' resolution: a pan after averaging blocks of 2x2 pixels, a zoom from 2.5 pixels of
the photograph a pixel downwards. No dictionary is ever learned from these two photographs.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...golden.errors import InputError
from ...golden.images import CREDITS
from ...golden.video import pan, zoom
from ...golden.video_file import file_frames

Array = npt.NDArray[np.float64]
SIZE = (128, 128)
"""Pixels of a frame, as the paper's."""
SCALE = 2
"""Pixels of the photograph a pixel of a pan, each way."""
START_SCALE, FACTOR = 2.5, 0.98
"""Of a zoom: pixels of the photograph a pixel in its first frame, and what multiplies this with each frame."""
MOST = 4 * (1 + int(np.log(1 / START_SCALE) / np.log(FACTOR)))
"""Pans and zooms together: with another frame the zooms would enlarge the photographs."""
PANS = {"camera": (64, 64), "china": (42, 64)}
"""Where the pans begin, in the larger pixels: in the middle of the height."""
CREDIT = f"camera.png of scikit-image, CC0; {CREDITS['china']}."


@dataclass(frozen=True)
class FrameSource:
    """Frames in the order in which they are shown.

    Args:
        name: "pans and zooms", or the video file's name. frames: ``(C, H, W)`` float64 each, preprocessed. motion: of
            each frame, what changed since the one before, as text. sha256: of the frames (`frames_sha256`). made: how
            they were made, one or two sentences. credit: whose pictures they are; "" for the user's own.
    """

    name: str
    frames: tuple[Array, ...]
    motion: tuple[str, ...]
    sha256: str
    made: str = ""
    credit: str = ""


def default_frames(count: int = 32) -> FrameSource:
    """A quarter each: a pan over camera, a pan over china, a zoom into camera, a zoom into china.

    Args:
        count: of all frames, a multiple of 4. Pans go 1 pixel to the right with each frame; a zoom's scale falls by 2 %
            with each frame, which moves its corners by 1.8 pixels or less. Between the quarters is a cut.

    Raises:
        InputError: a count that is no multiple of 4, or more than `MOST`.
    """
    if count < 4 or count % 4:
        raise InputError(f"pans and zooms share the frames in quarters, and {count} is no multiple of 4; use 32")
    if count > MOST:
        raise InputError(
            f"--frames {count}: pans and zooms give {MOST} frames at most, with more the zooms would enlarge the "
            f"photographs; use --frames {MOST}, or --video for more"
        )
    quarter = count // 4
    frames: list[Array] = []
    motion: list[str] = []
    for picture, start in PANS.items():
        frames += pan(picture, quarter, size=SIZE, start=start, scale=SCALE)
        motion += _motion(f"pan over {picture} at half resolution", "1 pixel to the right", quarter)
    for picture in PANS:
        frames += zoom(picture, quarter, size=SIZE, start_scale=START_SCALE, factor=FACTOR)
        scales = [START_SCALE * FACTOR**n for n in range(quarter)]
        motion += _motion(f"zoom into {picture}", f"scale {FACTOR:g} times", quarter, scales)
    made = (
        f"{quarter} frames each of a pan over camera, a pan over china, a zoom into camera and a zoom into china, cut "
        f"together: {SIZE[0]}x{SIZE[1]} pixels; pans after averaging blocks of {SCALE}x{SCALE} pixels, 1 pixel a "
        f"frame; zooms from {START_SCALE:g} pixels of the photograph a pixel, {FACTOR:g} times that each frame, by "
        "exact area means. Each frame is filtered with its surroundings after it was made smaller."
    )
    return FrameSource("pans and zooms", tuple(frames), tuple(motion), frames_sha256(frames), made, CREDIT)


def video_frames(
    path: str | os.PathLike[str], *, most: int | None = None, every: int = 1, size: tuple[int, int] = SIZE
) -> FrameSource:
    """Frames of a video file, gray, shrunk and filtered as `golden.video_file.file_frames` does it.

    Raises:
        InputError: whatever that refuses.
    """
    frames = file_frames(path, size=size, most=most, every=every)
    name = Path(path).name
    motion = tuple(f"frame {n * every} of {name}" for n in range(len(frames)))
    made = (
        f"{len(frames)} frames of {name}{f', every {every}th' if every > 1 else ''}: the largest centred window of "
        f"{size[0]}:{size[1]}, averaged over areas to {size[0]}x{size[1]} pixels, gray, then filtered."
    )
    return FrameSource(name, tuple(frames), motion, frames_sha256(frames), made)


def frames_sha256(frames: Sequence[Array]) -> str:
    """Of the frames' shapes and values in millionths (little-endian int64): the last bits depend on the CPU."""
    digest = hashlib.sha256()
    for frame in frames:
        digest.update(repr(frame.shape).encode())
        digest.update((np.rint(frame * 1e6) + 0.0).astype("<i8").tobytes())
    return digest.hexdigest()


def _motion(what: str, moved: str, count: int, scales: Sequence[float] = ()) -> list[str]:
    """Of the frames of one sequence."""
    texts = [f"cut to: {what}"] + [f"{what}, {moved}"] * (count - 1)
    if scales:
        texts = [f"{text}, {scale:.3f} pixels a pixel" for text, scale in zip(texts, scales, strict=True)]
    return texts
