"""Pictures at fewer pixels, exactly: every new pixel is the mean of the area that it covers, fractions of pixels too.

Area averaging is what a sensor of larger pixels sees and needs no prefilter against aliasing. It only ever shrinks.
"""

import numpy as np
import numpy.typing as npt

from .errors import InputError

Array = npt.NDArray[np.float64]


def block_means(pixels: Array, scale: int) -> Array:
    """``(C, H, W)`` to ``(C, H // scale, W // scale)``: the mean of each block of ``scale x scale`` pixels.

    Rows and columns at the lower and right edge that fill no block are left out.

    Raises:
        InputError: a scale below 1, or blocks larger than the picture.
    """
    height, width = pixels.shape[1] // max(scale, 1), pixels.shape[2] // max(scale, 1)
    if scale < 1 or height * width == 0:
        raise InputError(f"blocks of {scale} pixels do not fit {pixels.shape[1]}x{pixels.shape[2]} pixels; use 1 or 2")
    whole = pixels[:, : height * scale, : width * scale]
    return np.asarray(whole.reshape(-1, height, scale, width, scale).mean(axis=(2, 4)))


def area_means(pixels: Array, origin: tuple[float, float], scale: float, size: tuple[int, int]) -> Array:
    """A window of a picture at ``scale`` pixels of the picture a pixel.

    Args:
        pixels: ``(C, H, W)``. origin: ``(y, x)`` of the window's upper left corner in pixels, fractions allowed: pixel
            (i, j) covers from i to i + 1 and from j to j + 1. scale: side of the square that a new pixel covers, at
            least 1. size: ``(H', W')`` of the result.

    Returns:
        ``(C, H', W')``: pixel (i, j) is the mean over rows ``origin[0] + i scale`` to ``origin[0] + (i + 1) scale`` and
        over the columns alike.

    Raises:
        InputError: a scale below 1 (it would enlarge), or a window that leaves the picture.
    """
    if not scale >= 1.0:
        raise InputError(f"a scale of {scale:g} pixels a pixel would enlarge the picture; use 1 or more")
    height, width = pixels.shape[1:]
    rows = _weights(origin[0], scale, size[0], height)
    columns = _weights(origin[1], scale, size[1], width)
    if rows is None or columns is None:
        raise InputError(
            f"{size[0]}x{size[1]} pixels at a scale of {scale:g} from {origin[0]:g},{origin[1]:g} leave the picture of "
            f"{height}x{width} pixels; use a smaller scale"
        )
    return np.ascontiguousarray(np.einsum("ih,chw,jw->cij", rows, pixels, columns, optimize=True))


def _weights(origin: float, scale: float, count: int, length: int) -> Array | None:
    """``(count, length)``: how much each pixel of a line counts in each new one; None for a window that leaves it."""
    slack = 1e-9 * length  # rounding of origin + count * scale
    if origin < -slack or origin + count * scale > length + slack:
        return None
    edges = origin + scale * np.arange(count + 1)
    pixel = np.arange(length)
    covered = np.minimum(edges[1:, None], pixel + 1.0) - np.maximum(edges[:-1, None], pixel)
    weights = np.clip(covered, 0.0, None)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
