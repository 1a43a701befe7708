"""What a dictionary is learned from: random crops of photographs, each a function of the seed and its number."""

import hashlib
import os
from collections.abc import Sequence

import numpy as np

from ..conv import Array
from ..errors import InputError
from ..images import load_image
from ..preprocess import Preprocess, preprocess


class TrainingCrops:
    """Random square crops of preprocessed pictures, turned and mirrored at random.

    A picture is first made smaller by averaging blocks of ``scale`` x ``scale`` pixels (a fine and a coarse copy of
    every photograph make more varied material), then preprocessed whole, then cropped.

    Args:
        pictures: files or names of bundled photographs.
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
        self._size, self._seed = size, seed
        self._planes: list[list[Array]] = []
        for picture in pictures:
            pixels = load_image(picture, channels=channels, preprocess="none")
            if min(pixels.shape[1:]) < size:
                raise InputError(f"{picture} is {pixels.shape[1]}x{pixels.shape[2]} pixels, smaller than a crop of "
                                 f"{size}x{size}; leave it out or use --crop-size {min(pixels.shape[1:])} or less")
            copies = [preprocess(_shrink(pixels, scale), kind) for scale in scales
                      if min(pixels.shape[1:]) // scale >= size]
            self._planes.append(copies or [preprocess(pixels, kind)])

    @property
    def sha256(self) -> str:
        """Digest of all preprocessed pixels: equal digests give equal crops."""
        digest = hashlib.sha256()
        for plane in (plane for copies in self._planes for plane in copies):
            digest.update(str(plane.shape).encode() + plane.astype("<f8").tobytes())
        return digest.hexdigest()

    def crop(self, number: int) -> Array:
        """Crop number n: ``(C, size, size)``."""
        draw = np.random.default_rng([self._seed, number])
        copies = self._planes[int(draw.integers(len(self._planes)))]
        plane = copies[int(draw.integers(len(copies)))]
        y, x = (int(draw.integers(n - self._size + 1)) for n in plane.shape[1:])
        cut = plane[:, y:y + self._size, x:x + self._size]
        turned = np.rot90(cut, int(draw.integers(4)), axes=(1, 2))
        return np.ascontiguousarray(turned[:, :, ::-1] if draw.integers(2) else turned)


def _shrink(pixels: Array, scale: int) -> Array:
    channels, height, width = (n // f for n, f in zip(pixels.shape, (1, scale, scale), strict=True))
    blocks = pixels[:, :height * scale, :width * scale].reshape(channels, height, scale, width, scale)
    return np.asarray(blocks.mean(axis=(2, 4)), np.float64)
