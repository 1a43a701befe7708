"""What a dictionary is learned from: random crops of photographs, each a function of the seed and its number."""

import hashlib
import os
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ..conv import Array
from ..errors import InputError
from ..images import load_image, photograph_path
from ..preprocess import Preprocess, preprocess

# Of a folder these files are its pictures.
SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".npy", ".png", ".pgm", ".ppm", ".tif", ".tiff", ".webp")

# Preprocessed pictures are kept in memory up to so many bytes; the one used longest ago goes first.
CACHE_BYTES = 512 << 20


class TrainingCrops:
    """Random square crops of preprocessed pictures, turned and mirrored at random.

    A picture is first made smaller by averaging blocks of ``scale`` x ``scale`` pixels (a fine and a coarse copy of
    every photograph make more varied material), then preprocessed whole, then cropped. Pictures given by name are all
    read at once, so that one that is no good is refused at once; of those of folders at first only the size, the rest
    when a crop is first drawn from them. What does not fit in `CACHE_BYTES` is read again when it is wanted again.

    Args:
        pictures: files, names of bundled photographs, or folders: all files below them whose name ends in one of
            `SUFFIXES` and does not begin with a dot, in the order of their paths.
        size: side of a crop in pixels.
        channels: C.
        scales: block sides to average, for example (1, 2); copies smaller than a crop are left out.
        kind: the preprocessing.
        seed: crop number n depends on the seed and n alone, so a run can be taken up anywhere.

    Raises:
        InputError: no picture, one that cannot be read, or one smaller than a crop.
    """

    def __init__(self, pictures: Sequence[str | os.PathLike[str]], size: int, *, channels: int = 1,
                 scales: tuple[int, ...] = (1,), kind: Preprocess = "centre-surround", seed: int = 0) -> None:
        if not pictures:
            raise InputError("no pictures to learn from; give at least one picture file")
        self._size, self._seed, self._channels, self._scales, self._kind = size, seed, channels, scales, kind
        self._cache: OrderedDict[int, list[Array]] = OrderedDict()
        self._pictures: list[str | os.PathLike[str]] = []
        for picture in pictures:
            if Path(picture).is_dir():
                below = _below(Path(picture))
                for path in below:
                    self._check_size(path)
                self._pictures += below
            else:
                self._pictures.append(picture)
                self._copies(len(self._pictures) - 1)

    @property
    def sha256(self) -> str:
        """Digest of all picture files and of what is done to them: equal digests give equal crops."""
        digest = hashlib.sha256(repr((self._channels, self._scales, self._kind)).encode())
        for picture in self._pictures:
            path = Path(picture)
            with (path if path.exists() else photograph_path(str(picture))).open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()

    def crop(self, number: int) -> Array:
        """Crop number n: ``(C, size, size)``.

        Raises:
            InputError: the picture it falls on, one of a folder, cannot be read or is too small.
        """
        draw = np.random.default_rng([self._seed, number])
        copies = self._copies(int(draw.integers(len(self._pictures))))
        plane = copies[int(draw.integers(len(copies)))]
        y, x = (int(draw.integers(n - self._size + 1)) for n in plane.shape[1:])
        cut = plane[:, y:y + self._size, x:x + self._size]
        turned = np.rot90(cut, int(draw.integers(4)), axes=(1, 2))
        return np.ascontiguousarray(turned[:, :, ::-1] if draw.integers(2) else turned)

    def _check_size(self, path: Path) -> None:
        """Refuse a picture of a folder that is no picture or too small, without decoding it."""
        try:
            if path.suffix.lower() == ".npy":
                height, width = np.load(path, mmap_mode="r", allow_pickle=False).shape[-2:]
            else:
                with Image.open(path) as opened:
                    width, height = opened.size
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            load_image(path, channels=self._channels, preprocess="none")  # says what is wrong
            raise
        self._refuse_small(path, height, width)

    def _refuse_small(self, picture: str | os.PathLike[str], height: int, width: int) -> None:
        if min(height, width) < self._size:
            raise InputError(f"{picture} is {height}x{width} pixels, smaller than a crop of {self._size}x{self._size}; "
                             f"leave it out or use --crop-size {min(height, width)} or less")

    def _copies(self, number: int) -> list[Array]:
        """The preprocessed copies of a picture, at every scale that leaves room for a crop."""
        if number in self._cache:
            self._cache.move_to_end(number)
            return self._cache[number]
        picture, size = self._pictures[number], self._size
        pixels = load_image(picture, channels=self._channels, preprocess="none")
        self._refuse_small(picture, *pixels.shape[1:])
        copies = [preprocess(_shrink(pixels, scale), self._kind) for scale in self._scales
                  if min(pixels.shape[1:]) // scale >= size]
        self._cache[number] = copies or [preprocess(pixels, self._kind)]
        while len(self._cache) > 1 and sum(plane.nbytes for kept in self._cache.values() for plane in kept
                                           ) > CACHE_BYTES:
            self._cache.popitem(last=False)
        return self._cache[number]


def picture_names(pictures: Sequence[str | os.PathLike[str]]) -> str:
    """For a dictionary's source: the names of files and photographs, and of folders with how many they hold."""
    names = []
    for picture in pictures:
        path = Path(picture)
        names.append(f"{path.name} ({len(_below(path))} pictures)" if path.is_dir() else path.name)
    return ", ".join(names)


def _below(folder: Path) -> list[Path]:
    """The pictures of a folder."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES
                   and not path.name.startswith(".") and path.is_file())
    if not found:
        raise InputError(f"{folder} holds no picture; a folder's pictures end in {', '.join(SUFFIXES)}")
    return found


def _shrink(pixels: Array, scale: int) -> Array:
    channels, height, width = (n // f for n, f in zip(pixels.shape, (1, scale, scale), strict=True))
    blocks = pixels[:, :height * scale, :width * scale].reshape(channels, height, scale, width, scale)
    return np.asarray(blocks.mean(axis=(2, 4)), np.float64)
