"""Frames of a video file, by PyAV: whatever FFmpeg decodes.

Each frame is made smaller as the paper made its Vine videos smaller (480x480 to 128x128 pixels): the largest centred
window of the wanted shape - a square for a square network - is averaged over areas to the wanted size. Then it is
filtered as a whole picture. Nothing is enlarged, and no frame is repeated, left out or taken from behind damage.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .errors import InputError
from .images import _LUMINANCE, MAX_PIXELS
from .preprocess import Preprocess, preprocess
from .resample import area_means

if TYPE_CHECKING:
    import av

Array = npt.NDArray[np.float64]
MAX_VALUES = 2**28
"""Of all frames together: 2 GiB as float64."""


class _Damaged(Exception):
    """Decoding failed after the frames that were good; the text is FFmpeg's reason in short."""


def file_frames(
    path: str | os.PathLike[str],
    *,
    size: tuple[int, int],
    most: int | None = None,
    every: int = 1,
    channels: int = 1,
    kind: Preprocess = "centre-surround",
) -> list[Array]:
    """Frames of the first video stream of a file.

    Args:
        path: a video file. size: ``(H, W)`` of the frames: the largest centred window of that shape, area-averaged.
        most: exactly so many frames; None: all. Decoding ends with the last one wanted: what comes behind it may be
            damaged. every: takes frames 0, ``every``, 2 ``every`` .. of the file.
        channels: 1 (BT.709 luminance, as `load_image`) or 3. kind: the preprocessing, after the averaging.

    Returns:
        ``(C, H, W)`` float64 each. Colours are decoded to 8 bits; stored pixels count as square; a rotation by quarter
        turns that the file asks for is followed.

    Raises:
        InputError: no such file, or a folder; not a video, or one that FFmpeg cannot decode (with its reason); no video
            stream; fewer frames than ``most``; damage before the last frame wanted, or a file shorter than its own
            header says (with the number of good frames, which ``most`` may ask for); frames too small for ``size``, too
            large, or too many for memory.
    """
    path = Path(path)
    if channels not in (1, 3):
        raise InputError(f"a video has 1 or 3 channels, network.channels is {channels}; use one of these")
    if every < 1 or (most is not None and most < 1):
        raise InputError(f"every {every}th of {most} frames is no frame; use 1 or more of both")
    if path.is_dir():
        raise InputError(f"{path} is a folder, not a video; give a file that FFmpeg can decode")
    if not path.is_file():
        raise InputError(f"{path}: no such video; give a file that FFmpeg can decode")
    frames: list[Array] = []
    decoded = 0
    try:
        for pixels in decode(path):
            if decoded % every == 0:
                frames.append(preprocess(_shrunk(path, pixels, size, channels), kind))
                if len(frames) * channels * size[0] * size[1] > MAX_VALUES:
                    raise InputError(f"{path}: over {len(frames) - 1} frames of {size[0]}x{size[1]} pixels are more "
                                     "than 2 GiB; ask for fewer with --frames")
            decoded += 1
            if len(frames) == most:
                return frames
    except _Damaged as damage:
        if not frames:
            raise InputError(f"{path} cannot be decoded ({damage}); is it a whole video file?") from None
        first = "the first frame is" if len(frames) == 1 else f"the first {len(frames)} are"
        of = f", of every {every}th," if every > 1 else ""
        raise InputError(f"{path} is damaged after {decoded} frames ({damage});{of} {first} good: --frames "
                         f"{len(frames)} takes them") from None
    if not frames:
        raise InputError(f"{path} holds a video stream without frames; is it a whole video file?")
    if most is not None:
        raise InputError(f"{path} holds {decoded} frames, which give {len(frames)} and not {most}; use --frames "
                         f"{len(frames)}")
    return frames


@dataclass
class _Seen:
    """What a demuxed file has shown so far, to compare with what its header says: the clock is in seconds."""

    packets: int = 0
    end_s: float = 0.0
    longest_s: float = 0.0

    def __call__(self, packet: "av.Packet[Any]", video: bool) -> None:
        self.packets += video
        if packet.pts is not None and packet.time_base is not None:
            lasts = float((packet.duration or 0) * packet.time_base)
            self.end_s = max(self.end_s, float(packet.pts * packet.time_base) + lasts)
            self.longest_s = max(self.longest_s, lasts)


def decode(path: Path) -> Iterator[npt.NDArray[np.uint8]]:
    """``(H, W, 3)`` bytes of each frame of the first video stream that is no cover picture.

    Raises:
        InputError: what FFmpeg cannot open, no video stream, frames over 10^8 pixels. `_Damaged` after good frames.
    """
    import av

    try:
        # No protocol but files: a playlist cannot make this reach for a network.
        container = av.open(str(path.absolute()), options={"protocol_whitelist": "file"})
    except (av.FFmpegError, ValueError) as error:
        raise InputError(f"{path} is not a video that FFmpeg can open ({_reason(error)}); give a whole video "
                         "file") from None
    with contextlib.closing(container):
        streams = [s for s in container.streams.video if "attached_pic" not in str(s.disposition)]
        if not streams or container.format.name == "tty":  # FFmpeg draws plain text as a film of a terminal
            others = ", ".join(sorted({str(s.type) for s in container.streams})) if not streams else "text"
            raise InputError(f"{path} holds no video stream, only {others or 'nothing'}; give a video file")
        yield from _decoded(path, container, streams[0])


def _decoded(path: Path, container: Any, stream: Any) -> Iterator[npt.NDArray[np.uint8]]:
    import av

    seen = _Seen()
    if stream.codec_context is None:
        raise InputError(f"{path} is of a video codec that this FFmpeg cannot decode; convert it first")
    if stream.codec_context.width * stream.codec_context.height > MAX_PIXELS:
        raise _large(path, stream.codec_context.width, stream.codec_context.height)
    try:
        for packet in container.demux():
            seen(packet, packet.stream_index == stream.index and bool(packet.size))
            if packet.stream_index != stream.index:
                continue
            if packet.is_corrupt:
                raise _Damaged("a corrupt packet")
            for frame in packet.decode():
                if frame.is_corrupt:
                    raise _Damaged("a corrupt frame")
                if frame.width * frame.height > MAX_PIXELS:
                    raise _large(path, frame.width, frame.height)
                yield np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90) % 4)
    except (av.FFmpegError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise _Damaged(_reason(error)) from None
    if stream.frames > seen.packets + 1:  # FFmpeg's own AVI counts one more where frames are stored out of order
        raise _Damaged(f"its header says {stream.frames} frames")
    if container.duration:
        said = container.duration / av.time_base + max(0.0, (container.start_time or 0) / av.time_base)
        # Rounded to milliseconds, and perhaps with a frame more or less.
        if said - seen.end_s > max(0.1, 2 * seen.longest_s):
            raise _Damaged(f"its header says {said:.2f} s and it ends after {seen.end_s:.2f} s")


def _shrunk(path: Path, pixels: npt.NDArray[np.uint8], size: tuple[int, int], channels: int) -> Array:
    """The largest centred window of the shape ``size``, averaged over areas to it: ``(C, H, W)`` from 0 to 1."""
    height, width = pixels.shape[:2]
    scale = min(height / size[0], width / size[1])
    if scale < 1:
        raise InputError(f"{path} has frames of {height}x{width} pixels, smaller than {size[0]}x{size[1]}; nothing is "
                         "enlarged: use a smaller network.image")
    values = pixels.astype(np.float64) / 255.0
    planes = (values @ _LUMINANCE)[None] if channels == 1 else np.moveaxis(values, -1, 0)
    return area_means(planes, ((height - scale * size[0]) / 2, (width - scale * size[1]) / 2), scale, size)


def _large(path: Path, width: int, height: int) -> InputError:
    return InputError(f"{path} has frames of {height}x{width} pixels; over {MAX_PIXELS} pixels are refused, shrink it "
                      "first")


def _reason(error: BaseException) -> str:
    """FFmpeg's text without number and file name."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).splitlines()[0]
