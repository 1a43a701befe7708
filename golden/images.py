"""Pictures in: any image file, NumPy arrays, or a photograph that comes with scikit-image or scikit-learn.

Order of work: decode, bring pixels to 0..1, make the wanted channels, preprocess the *whole* picture, then take the
crop. Filtering first means that a crop's borders show the real surroundings, not a mirror image of the crop. Nothing is
ever resized, clipped or replaced silently.
"""

import importlib.util
import os
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from .archive import UNREADABLE, unreadable
from .errors import InputError
from .preprocess import Preprocess, preprocess

Array = npt.NDArray[np.float64]

MAX_PIXELS = 10**8

# Photographs inside every scikit-image installation (no download), by the name that load_image takes.
PHOTOGRAPHS = {"astronaut": "astronaut.png", "brick": "brick.png", "camera": "camera.png", "chelsea": "chelsea.png",
               "coffee": "coffee.png", "grass": "grass.png", "gravel": "gravel.png", "rocket": "rocket.jpg"}

# Two more, inside every scikit-learn installation, with whom to credit: both are under CC BY 2.0.
MORE_PHOTOGRAPHS = {"china": "china.jpg", "flower": "flower.jpg"}
CREDITS = {"china": "china.jpg of scikit-learn, photograph by danielbuechele (Flickr), CC BY 2.0",
           "flower": "flower.jpg of scikit-learn, photograph by vultilion (Flickr), CC BY 2.0"}

# By name: the package, its folder and the file.
_BUNDLED = {name: ("skimage", "scikit-image", "data", file) for name, file in PHOTOGRAPHS.items()} | {
    name: ("sklearn", "scikit-learn", "datasets/images", file) for name, file in MORE_PHOTOGRAPHS.items()}

# Luminance of linear RGB, ITU-R BT.709: the weights of skimage.color.rgb2gray.
_LUMINANCE = np.array([0.2125, 0.7154, 0.0721])


def load_image(path: str | os.PathLike[str], *, crop: tuple[int, int] | None = None,
               size: tuple[int, int] | None = None, channels: int = 1,
               preprocess: Preprocess = "centre-surround") -> Array:
    """Load a picture as the network wants it.

    Args:
        path: an image file; a .npy file of floats, ``(H, W)`` or ``(C, H, W)``, whose values are used as they are
            (before the preprocessing); or, when there is no such file, a name from `PHOTOGRAPHS` or
            `MORE_PHOTOGRAPHS`.
        crop: ``(y, x)`` of the crop's first pixel, after the whole picture was preprocessed.
        size: ``(H, W)`` wanted, in pixels. Without a crop the picture must have exactly this size; without a size a
            crop reaches to the lower right corner.
        channels: 1 makes colour gray (BT.709 luminance); 3 keeps it and repeats gray. Transparency is laid on white, an
            EXIF orientation is followed.
        preprocess: "centre-surround", "zca", "contrast" or "none".

    Returns:
        ``(C, H, W)`` float64; with "none", pixels from 0 (black) to 1.

    Raises:
        InputError: no such file, not an image, more than 10^8 pixels, values that are not finite, channels that do not
            fit, a wrong size (naming a crop that would do), a crop outside the picture.
    """
    path = Path(path)
    if not path.exists() and bundled(str(path)):
        path = photograph_path(str(path))
    if not path.is_file():
        raise InputError(f"{path}: no such picture; give an image file, a .npy file or one of "
                         f"{', '.join(_BUNDLED)}")
    pixels = _array(path, channels) if path.suffix.lower() == ".npy" else _picture(path, channels)
    if not np.isfinite(pixels).all():
        bad = int(pixels.size - np.isfinite(pixels).sum())
        raise InputError(f"{path} holds {bad} values that are not finite (NaN or infinite); mend them first")
    window = _window(path, pixels.shape[1:], crop, size)
    return np.ascontiguousarray(_apply(pixels, preprocess)[:, *window])


def photograph(name: str, *, crop: tuple[int, int] | None = None, size: tuple[int, int] | None = None,
               channels: int = 1, preprocess: Preprocess = "centre-surround") -> Array:
    """A bundled photograph, with the options and errors of `load_image`."""
    return load_image(photograph_path(name), crop=crop, size=size, channels=channels, preprocess=preprocess)


def bundled(name: str) -> bool:
    """Whether ``name`` is a photograph of `PHOTOGRAPHS` or `MORE_PHOTOGRAPHS`."""
    return name in _BUNDLED


def photograph_path(name: str) -> Path:
    """Where scikit-image or scikit-learn keeps the named photograph on this machine.

    Raises:
        InputError: a name in neither `PHOTOGRAPHS` nor `MORE_PHOTOGRAPHS`, or an installation without it.
    """
    if not bundled(name):
        raise InputError(f"no photograph '{name}'; there are {', '.join(_BUNDLED)}")
    module, package, folder, file = _BUNDLED[name]
    # Found, not imported: importing either package costs more than reading the picture.
    found = importlib.util.find_spec(module)
    for root in (found.submodule_search_locations or []) if found else []:
        path = Path(root) / folder / file
        if path.is_file():
            return path
    raise InputError(f"the photograph '{name}' is not installed; install {package}, or give a picture file")


def _apply(pixels: Array, kind: Preprocess) -> Array:
    return preprocess(pixels, kind)


def _refuse_large(path: Path, height: int, width: int) -> None:
    if height * width > MAX_PIXELS:
        raise InputError(f"{path} has {height * width} pixels; pictures over {MAX_PIXELS} are refused, cut it first")


def _array(path: Path, channels: int) -> Array:
    try:
        stored = np.load(path, mmap_mode="r", allow_pickle=False)
    except UNREADABLE as error:
        with path.open("rb") as file:
            array = file.read(6) == b"\x93NUMPY"
        # Not NumPy's own text, which names the option that would run code from the file.
        reason = unreadable(error) if array else "it is not a NumPy array file"
        raise InputError(f"{path} is not a readable .npy array ({reason}); write it with numpy.save") from error
    if not isinstance(stored, np.ndarray) or stored.ndim not in (2, 3) or stored.dtype.kind != "f" or not stored.size:
        found = f"{stored.dtype} of shape {stored.shape}" if isinstance(stored, np.ndarray) else "several arrays"
        raise InputError(f"{path} holds {found}; a .npy picture holds floats of shape (H, W) or (C, H, W)")
    _refuse_large(path, *stored.shape[-2:])
    pixels = np.array(stored, np.float64).reshape(-1, *stored.shape[-2:])
    if len(pixels) != channels:
        raise InputError(f"{path} has {len(pixels)} channels, network.channels is {channels}; make them equal")
    return pixels


def _picture(path: Path, channels: int) -> Array:
    if channels not in (1, 3):
        raise InputError(f"an image file has 1 or 3 channels, network.channels is {channels}; use a .npy file of shape "
                         "(C, H, W)")
    try:
        with warnings.catch_warnings():
            # Pillow's own limit lies lower and only warns; ours is applied two lines down.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as opened:
                _refuse_large(path, opened.height, opened.width)
                pixels = _to_unit(path, ImageOps.exif_transpose(opened))
    except Image.DecompressionBombError as error:
        raise InputError(f"{path} has too many pixels; pictures over {MAX_PIXELS} are refused, cut it first") from error
    except UnidentifiedImageError as error:
        raise InputError(f"{path} is not a picture; give an image file such as PNG or JPEG, or a .npy file") from error
    except (OSError, SyntaxError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        reason = str(error).splitlines()[0] if str(error) else "damaged"
        raise InputError(f"{path} cannot be read as a picture ({reason}); is the file whole?") from error
    if channels == 1:
        return (pixels @ _LUMINANCE if pixels.shape[2] == 3 else pixels[..., 0])[None]
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)).transpose(2, 0, 1))


def _to_unit(path: Path, picture: Image.Image) -> Array:
    """Pixels as ``(H, W, 1 or 3)``, 0 to 1."""
    mode = picture.mode
    if mode == "F":
        return np.asarray(picture, np.float64)[..., None]
    if mode == "I" or mode.startswith("I;16"):
        values = np.asarray(picture).astype(np.float64)
        if values.size and (values.min() < 0 or values.max() > 65535):
            raise InputError(f"{path} has pixels from {values.min():.0f} to {values.max():.0f}, beyond 16 bits; store "
                             "it as 16-bit, or as floats in a .npy file")
        return (values / 65535.0)[..., None]
    if mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
        gray = mode in ("L", "LA", "La", "1")
        return np.asarray(picture.convert("L" if gray else "RGB"), np.float64).reshape(*picture.size[::-1], -1) / 255.0
    if mode in ("1", "L"):
        return np.asarray(picture.convert("L"), np.float64)[..., None] / 255.0
    return np.asarray(picture.convert("RGB"), np.float64) / 255.0


def _window(path: Path, have: tuple[int, ...], crop: tuple[int, int] | None,
            size: tuple[int, int] | None) -> tuple[slice, slice]:
    """Rows and columns to keep."""
    height, width = have
    if crop is None:
        if size is not None and (height, width) != tuple(size):
            raise InputError(f"{path} is {height}x{width} pixels, the network takes {size[0]}x{size[1]}: "
                             + _mend(height, width, size))
        return slice(None), slice(None)
    y, x = crop
    if not (0 <= y < height and 0 <= x < width):
        raise InputError(f"--crop {y},{x} lies outside {path} of {height}x{width} pixels; use 0,0 to "
                         f"{height - 1},{width - 1}")
    rows, columns = size if size is not None else (height - y, width - x)
    if y + rows > height or x + columns > width:
        if rows > height or columns > width:
            raise InputError(f"{path} is {height}x{width} pixels, the network takes {rows}x{columns}: "
                             + _mend(height, width, (rows, columns)))
        raise InputError(f"--crop {y},{x} of {rows}x{columns} pixels reaches beyond {path} of {height}x{width}; use at "
                         f"most {height - rows},{width - columns}")
    return slice(y, y + rows), slice(x, x + columns)


def _mend(height: int, width: int, size: tuple[int, int]) -> str:
    if height >= size[0] and width >= size[1]:
        return f"--crop Y,X takes a part, for example --crop {(height - size[0]) // 2},{(width - size[1]) // 2}"
    return "the picture is too small; use a larger one or a smaller network.image"
