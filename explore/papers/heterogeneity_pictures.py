"""The pictures of the heterogeneity experiment: photographs with their local contrast normalised, and crops of them.

The text of Ladret, Casanova, Perrinet says that their pictures are gray and have 256x256 pixels, and nothing else of
what is done to them. The program they published (github.com/hugoladret/epistemic_CSC, read at a2eff63) shrinks whole
photographs to that size, normalises their local contrast with a Gaussian window of 15x15 pixels (standard deviation
7/3), and takes PSNR against the normalised picture. Their lambda therefore belongs to pictures whose local standard
deviation is about 1, not to pixels of 0 to 1. The same is done here, with blocks of 2x2 pixels averaged: bundled
photographs have 300 to 512 pixels along their shorter side.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...golden.errors import InputError
from ...golden.images import load_image
from ...golden.preprocess import local_contrast

Array = npt.NDArray[np.float64]

SHRINK = 2  # pixels of a photograph along the side of one that is coded
SIGMA = 7 / 3  # of the contrast normalisation, in pixels after that
EVEN = 1e-9
"""Below this nothing is left to code, in units of the pixels."""
LEARNED_FROM = ("astronaut", "brick", "chelsea", "coffee", "grass", "gravel", "rocket")
"""What the dictionaries that come with the package were learned from."""
PICTURES = ("astronaut", "brick", "camera", "chelsea", "china", "coffee", "flower", "grass", "gravel", "rocket")
"""All bundled photographs; camera, china and flower are never learned from."""


@dataclass(frozen=True)
class Crop:
    """A square of a picture: its name or file, ``(y, x)`` of the first pixel, and side, all in pixels."""

    picture: str
    y: int
    x: int
    size: int

    @property
    def held_out(self) -> bool:
        """Whether no dictionary that comes with the package was learned from this picture."""
        return self.picture not in LEARNED_FROM


def normalised(picture: str) -> Array:
    """``(1, H/2, W/2)``: gray pixels, averaged over blocks of 2x2 (an odd last row or column is left out), then local
    contrast normalised; mean near 0, standard deviation about 0.8.

    Raises:
        InputError: as `load_image`.
    """
    whole = load_image(picture, preprocess="none")
    height, width = (n // SHRINK for n in whole.shape[1:])
    blocks = whole[:, : height * SHRINK, : width * SHRINK].reshape(1, height, SHRINK, width, SHRINK)
    gray = np.asarray(blocks.mean(axis=(2, 4)), np.float64)
    if float(np.ptp(gray)) < EVEN:  # what rounding leaves of an even picture is no structure
        return np.zeros_like(gray)
    return local_contrast(gray, SIGMA)


def crops(pictures: tuple[str, ...], count: int, size: int, seed: int) -> tuple[Crop, ...]:
    """``count`` crops of every picture, at places that depend on the seed and the picture's name alone.

    Raises:
        InputError: no picture, one smaller than a crop, one given twice, or fewer than one crop.
    """
    if not pictures:
        raise InputError("no pictures; give at least one")
    if count < 1:
        raise InputError(f"--crops must be at least 1, not {count}")
    if size < 13:
        raise InputError(f"--size must be at least the kernels' 13 pixels, not {size}")
    if len(set(pictures)) < len(pictures):
        twice = next(name for n, name in enumerate(pictures) if name in pictures[:n])
        raise InputError(f"{twice} is given twice; give every picture once")
    found = []
    for picture in pictures:
        height, width = (n // SHRINK for n in load_image(picture, preprocess="none").shape[1:])
        if min(height, width) < size:
            raise InputError(f"{picture} has {height}x{width} pixels at half its size, fewer than a crop of "
                             f"{size}x{size}; leave it out or use --size {min(height, width)} or less")  # fmt: skip
        draw = np.random.default_rng([seed, *picture.encode()])
        found += [Crop(picture, int(draw.integers(height - size + 1)), int(draw.integers(width - size + 1)), size)
                  for _ in range(count)]  # fmt: skip
    return tuple(found)


def pixels(crop: Crop) -> Array:
    """``(1, size, size)`` of a crop: the whole picture is normalised, then cut."""
    return np.ascontiguousarray(
        normalised(crop.picture)[:, crop.y : crop.y + crop.size, crop.x : crop.x + crop.size]
    )
