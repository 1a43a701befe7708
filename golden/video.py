"""Frames one after the other: a folder of pictures, or made from bundled photographs with a known motion.

Made sequences are deterministic: a *pan* moves the crop over a photograph, a *zoom* changes its scale, an *object* is a
part of another photograph that moves over a still one, a *cut* changes from one still picture to another. Every frame
is ``(C, H, W)`` float64 as `load_image` gives it: the whole picture is put together and filtered before its crop is
taken. Video files: `video_file`.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .errors import InputError
from .images import load_image
from .preprocess import Preprocess, preprocess
from .resample import area_means, block_means

Array = npt.NDArray[np.float64]
Pair = tuple[int, int]
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".npy")
"""Names that count as frames of a folder end like this."""


def folder_frames(
    folder: str | os.PathLike[str],
    *,
    size: Pair,
    crop: Pair | None = None,
    channels: int = 1,
    kind: Preprocess = "centre-surround",
    most: int | None = None,
) -> list[Array]:
    """The pictures of a folder as frames, in the order of their names (2 before 10).

    Args:
        size, crop, channels, kind: as for `load_image`. most: only the first so many.

    Raises:
        InputError: no such folder, no picture in it, and whatever `load_image` refuses of a picture.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give a folder with a picture for each frame")
    files = sorted((file for file in folder.iterdir() if file.suffix.lower() in PICTURES), key=_natural)
    if not files:
        raise InputError(f"{folder} holds no pictures; frames are files that end in {', '.join(PICTURES)}")
    return [load_image(file, crop=crop, size=size, channels=channels, preprocess=kind) for file in files[:most]]


def pan(
    picture: str,
    count: int,
    *,
    size: Pair,
    start: Pair = (0, 0),
    step: Pair = (0, 1),
    scale: int = 1,
    channels: int = 1,
    kind: Preprocess = "centre-surround",
) -> list[Array]:
    """``count`` crops of a picture, the n-th one beginning at ``start + n step``.

    Args:
        scale: above 1, the picture is first made smaller, each block of ``scale x scale`` pixels to its mean, then
            filtered; ``start`` and ``step`` count these larger pixels.

    Raises:
        InputError: a crop that leaves the picture, naming how many frames there can be; blocks that do not fit.
    """
    _at_least_one(count)
    if scale == 1:
        whole = load_image(picture, channels=channels, preprocess=kind)
    else:
        whole = preprocess(block_means(load_image(picture, channels=channels, preprocess="none"), scale), kind)
    frames = []
    for n in range(count):
        y, x = start[0] + n * step[0], start[1] + n * step[1]
        if not _inside((y, x), size, whole.shape[1:]):
            raise InputError(
                f"frame {n} of the pan begins at {y},{x} and {size[0]}x{size[1]} pixels there leave {picture} of "
                f"{whole.shape[1]}x{whole.shape[2]}; {_fewer(n, 'another --crop')}"
            )
        frames.append(np.ascontiguousarray(whole[:, y : y + size[0], x : x + size[1]]))
    return frames


def zoom(
    picture: str,
    count: int,
    *,
    size: Pair,
    start_scale: float = 2.0,
    factor: float = 0.98,
    centre: tuple[float, float] | None = None,
    channels: int = 1,
    kind: Preprocess = "centre-surround",
) -> list[Array]:
    """``count`` views of a picture about one point, the n-th at ``start_scale factor^n`` pixels of it a pixel.

    Every view is the mean over the areas that its pixels cover of the photograph at full resolution, so that motion
    below a pixel is exact and nothing aliases. As much of the photograph as there is around the view is brought to the
    view's scale and filtered with it: its borders show the real surroundings.

    Args:
        size: ``(H, W)`` of a frame. start_scale: of the first frame, at least 1. factor: below 1 moves in, above 1
            moves out. centre: ``(y, x)`` of the fixed point in pixels, which is every frame's middle; None: the middle
            of the picture.

    Raises:
        InputError: a view that leaves the picture or would enlarge it, naming how many frames there can be; a factor
            not above 0.
    """
    _at_least_one(count)
    if not 0.0 < factor < np.inf:
        raise InputError(f"a zoom's factor a frame must be above 0, not {factor:g}; use 0.98 to move in")
    pixels = load_image(picture, channels=channels, preprocess="none")
    middle = centre or (pixels.shape[1] / 2, pixels.shape[2] / 2)
    views = []
    for n in range(count):
        scale = start_scale * factor**n
        corner = [m - scale * length / 2 for m, length in zip(middle, size, strict=True)]
        rest = [have - scale * length - at for have, length, at in zip(pixels.shape[1:], size, corner, strict=True)]
        if scale < 1.0 or min(*corner, *rest) < 0:
            what = "would be enlarged" if scale < 1.0 else f"leaves {picture} of {pixels.shape[1]}x{pixels.shape[2]}"
            raise InputError(
                f"frame {n} of the zoom, {size[0]}x{size[1]} pixels at a scale of {scale:.3g} about {middle[0]:g},"
                f"{middle[1]:g}, {what}; {_fewer(n, 'another scale', 'a factor nearer 1')}"
            )
        views.append((scale, corner, rest))
    return [_view(pixels, scale, corner, rest, size, kind) for scale, corner, rest in views]


def _view(
    pixels: Array, scale: float, corner: Sequence[float], rest: Sequence[float], size: Pair, kind: Preprocess
) -> Array:
    """``size`` pixels at a scale, filtered with all whole pixels of that scale above and left (``corner`` pixels of the
    picture), below and right (``rest``)."""
    before, after = ([int(gap / scale) for gap in gaps] for gaps in (corner, rest))
    origin = corner[0] - scale * before[0], corner[1] - scale * before[1]
    whole = area_means(pixels, origin, scale, (before[0] + size[0] + after[0], before[1] + size[1] + after[1]))
    return np.ascontiguousarray(preprocess(whole, kind)[:, before[0] :, before[1] :][:, : size[0], : size[1]])


def moving_object(
    background: str,
    thing: str,
    count: int,
    *,
    size: Pair,
    crop: Pair = (0, 0),
    extent: Pair = (24, 24),
    cut_at: Pair = (0, 0),
    start: Pair = (0, 0),
    step: Pair = (0, 1),
    channels: int = 1,
    kind: Preprocess = "centre-surround",
) -> list[Array]:
    """A still scene with a rectangle of another picture moving over it.

    Args:
        background, thing: pictures. size, crop: of the scene. extent: (height, width) of the rectangle, whose pixels
        begin at ``cut_at`` in ``thing``. start: where it is in the first frame, in pixels of the scene. step: (rows,
        columns) it moves with each frame.

    Raises:
        InputError: a crop or a rectangle that leaves its picture, or a size below 0.
    """
    _at_least_one(count)
    if min(extent) < 0:
        raise InputError(f"--extent {extent[0]},{extent[1]} is no size in pixels; use 24,24, say")
    scene = load_image(background, channels=channels, preprocess="none")
    patch = load_image(thing, crop=cut_at, size=extent, channels=channels, preprocess="none")
    if not _inside(crop, size, scene.shape[1:]):
        raise InputError(
            f"--crop {crop[0]},{crop[1]} of {size[0]}x{size[1]} pixels reaches beyond {background} of "
            f"{scene.shape[1]}x{scene.shape[2]}; use a crop inside it"
        )
    frames = []
    for n in range(count):
        y, x = start[0] + n * step[0], start[1] + n * step[1]
        if not _inside((y, x), extent, size):
            raise InputError(
                f"in frame {n} the object of {extent[0]}x{extent[1]} pixels at {y},{x} leaves the scene of "
                f"{size[0]}x{size[1]}; {_fewer(n, 'a smaller --extent')}"
            )
        composed = scene.copy()
        top, left = crop[0] + y, crop[1] + x
        composed[:, top : top + extent[0], left : left + extent[1]] = patch
        seen = preprocess(composed, kind)
        frames.append(np.ascontiguousarray(seen[:, crop[0] : crop[0] + size[0], crop[1] : crop[1] + size[1]]))
    return frames


def cut(first: Array, second: Array, count: int, at: int) -> list[Array]:
    """``at`` frames of one still picture, then ``count - at`` of another of the same shape.

    Raises:
        InputError: shapes that differ, or a cut outside the sequence.
    """
    _at_least_one(count)
    if first.shape != second.shape:
        raise InputError(f"a cut needs two pictures of one shape, not {first.shape} and {second.shape}; crop one")
    if not 0 <= at <= count:
        raise InputError(f"a cut after {at} of {count} frames is outside the sequence; use 0 to {count}")
    return [first.copy() if n < at else second.copy() for n in range(count)]


def _natural(file: Path) -> list[tuple[int, str]]:
    """Digits by their value, the rest as text."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", file.name)]


def _at_least_one(count: int) -> None:
    if count < 1:
        raise InputError(f"a sequence has at least 1 frame, not {count}")


def _inside(at: Pair, size: Pair, within: tuple[int, ...]) -> bool:
    return all(0 <= a and a + n <= most for a, n, most in zip(at, size, within, strict=True))


def _fewer(n: int, other: str, slower: str = "a smaller --step") -> str:
    return f"use {n} frame{'s' if n > 1 else ''} at most, {slower} or {other}" if n else f"use {other}"
