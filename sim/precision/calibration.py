"""How much fixed point costs: the same pictures on the golden model and on the machine, format by format.

``loss = mean over the pictures of (percent error on the machine - percent error in float64)``, in points, with the same
dictionary, dynamics and steps. The hard threshold makes single runs chaotic: one picture's error moves by about 0.1
point for no reason that a format has, so several pictures are judged together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ...golden.dictionary import Dictionary
from ...golden.errors import InputError
from ...golden.images import load_image
from ...golden.lca import Outcome, encode
from ...golden.metrics import percent_error, percent_inactive
from ..design import Design
from ..fixed import Format, quantise
from ..machine import simulate
from ..plan import Plan
from ..run import FloatArray, Run
from .ranges import Ranges, RangeWatch

QUANTITIES = ("weight", "code", "residual", "membrane", "input")
"""The formats of a design, by key."""


def sized(fmt: Format, width: int, whole: int) -> Format:
    """A format like ``fmt`` with ``width`` bits, ``whole`` of them before the point, sign included."""
    return Format(fmt.signed, width, width - whole, fmt.rounding, fmt.overflow, fmt.symmetric)


@dataclass(frozen=True)
class Trial:
    """A design judged on every picture.

    Args:
        design: what was tried.
        losses: points of percent error above float64, one a picture.
        inactive: points of percent inactive above float64, one a picture.
        psnr_db: of the machine's reconstruction against that of float64, peak 1, one a picture.
        diverged, overflow: pictures whose run diverged; in which R left its word.
        saturations: membranes that left their word, all pictures and steps.
        seconds: computing time of all pictures.
    """

    design: Design
    losses: tuple[float, ...]
    inactive: tuple[float, ...]
    psnr_db: tuple[float, ...]
    diverged: int
    overflow: int
    saturations: int
    seconds: float
    ranges: Ranges | None = field(default=None, compare=False)

    @property
    def loss(self) -> float:
        """Mean over the pictures, points of percent error."""
        return float(np.mean(self.losses))

    @property
    def spread(self) -> float:
        """Standard error of the mean loss over the pictures, points; 0 for one picture."""
        n = len(self.losses)
        return float(np.std(self.losses, ddof=1) / np.sqrt(n)) if n > 1 else 0.0


@dataclass(frozen=True)
class Calibration:
    """Pictures (C, H, W) with what float64 makes of them.

    Args:
        images: the pictures, as the network sees them. errors, inactive: percent error and percent inactive in float64.
        reconstructions: (C, H, W) ``Phi y`` in float64.
    """

    dictionary: Dictionary
    images: tuple[FloatArray, ...]
    errors: tuple[float, ...]
    inactive: tuple[float, ...]
    reconstructions: tuple[FloatArray, ...]

    @classmethod
    def of(cls, design: Design, dictionary: Dictionary, images: Sequence[FloatArray]) -> "Calibration":
        """Run the golden model on each picture, with the design's dynamics.

        Raises:
            InputError: no picture, a picture that is 0 everywhere, or one whose float64 run diverges.
        """
        if not images:
            raise InputError("no calibration picture was given; give at least one")
        errors, inactive, reconstructions = [], [], []
        for n, image in enumerate(images):
            if not np.any(image):
                raise InputError(f"calibration picture {n + 1} is 0 everywhere; take another part or picture")
            done = encode(image, dictionary, design.lca_params)
            if done.outcome is Outcome.DIVERGED:
                raise InputError(
                    f"calibration picture {n + 1} diverges in float64, so no format can be judged on it; "
                    f"raise dynamics.step_shift or dynamics.threshold"
                )
            errors.append(percent_error(image, done.residual))
            inactive.append(percent_inactive(done.code))
            reconstructions.append(np.asarray(image - done.residual))
        return cls(dictionary, tuple(images), tuple(errors), tuple(inactive), tuple(reconstructions))

    def judge(self, design: Design, *, watch: bool = False) -> Trial:
        """Run a design on every picture, bit for bit.

        Args:
            watch: also keep the ranges over all steps (slower).

        Raises:
            InputError: whatever the machine refuses.
        """
        losses, inactive, psnr, ranges = [], [], [], None
        diverged = overflow = saturations = 0
        seconds = 0.0
        plan = Plan.of(design, quantise(self.dictionary.atoms, design.formats.weight))
        for n, image in enumerate(self.images):
            watcher = RangeWatch(plan) if watch else None
            run = simulate(image, design, dictionary=self.dictionary, observe=watcher)
            losses.append(run.percent_error(image) - self.errors[n])
            inactive.append(run.percent_inactive - self.inactive[n])
            psnr.append(self._psnr(run, n))
            diverged += run.outcome is Outcome.DIVERGED
            overflow += run.overflow
            saturations += run.counts.saturations
            seconds += run.compute_seconds
            if watcher is not None:
                found = watcher.ranges(run, design, image, self.dictionary.atoms)
                ranges = found if ranges is None else ranges | found
        return Trial(
            design, tuple(losses), tuple(inactive), tuple(psnr), diverged, overflow, saturations, seconds, ranges
        )

    def _psnr(self, run: Run, n: int) -> float:
        square = float(np.mean((run.reconstruction - self.reconstructions[n]) ** 2))
        return float("inf") if square == 0 else float(-10 * np.log10(square))


def whole_pictures(names: Sequence[str], design: Design) -> list[FloatArray]:
    """Pictures (C, H, W) of any size, preprocessed as the design wants them.

    Raises:
        InputError: a picture that cannot be read or is smaller than the design's image.
    """
    wanted, found = design.network.image, []
    for name in names:
        picture = load_image(name, channels=design.network.channels, preprocess=design.input.preprocess)
        if picture.shape[1] < wanted[0] or picture.shape[2] < wanted[1]:
            raise InputError(
                f"{name} has {picture.shape[1]}x{picture.shape[2]} pixels, the design's image {wanted[0]}x{wanted[1]}; "
                f"give a larger picture or set network.image"
            )
        found.append(picture)
    return found


def drawn_parts(
    pictures: Sequence[FloatArray],
    names: Sequence[str],
    design: Design,
    count: int,
    seed: int,
    crop: tuple[int, int] | None = None,
) -> tuple[list[FloatArray], list[FloatArray]]:
    """Parts of the design's image size to calibrate on, and as many others to check the result on.

    Parts are drawn at random places of the pictures in turn; flat ones (standard deviation below half that of the
    picture) are drawn again, so that sky does not decide. A picture of just the image's size is taken once.

    Args:
        pictures, names: (C, H, W) each. count: parts in all. seed: of the places.
        crop: (y, x) of the one part taken of every picture instead.

    Returns:
        (parts, others); others is empty where every part was taken.

    Raises:
        InputError: a crop outside a picture.
    """
    height, width = design.network.image

    def part(picture: FloatArray, y: int, x: int) -> FloatArray:
        return np.ascontiguousarray(picture[:, y : y + height, x : x + width])

    if crop is not None:
        for picture, name in zip(pictures, names, strict=True):
            most = (picture.shape[1] - height, picture.shape[2] - width)
            if not (0 <= crop[0] <= most[0] and 0 <= crop[1] <= most[1]):
                raise InputError(
                    f"--crop {crop[0]},{crop[1]} leaves {name} of {picture.shape[1]}x{picture.shape[2]} pixels; "
                    f"use at most {most[0]},{most[1]}"
                )
        return [part(picture, *crop) for picture in pictures], []
    random = np.random.default_rng(seed)
    taken: list[FloatArray] = []
    seen: set[tuple[int, int, int]] = set()
    count = max(count, len(pictures))
    for n in range(2 * count):
        which = n % len(pictures)
        picture = pictures[which]
        for _ in range(20):
            y = int(random.integers(0, picture.shape[1] - height + 1))
            x = int(random.integers(0, picture.shape[2] - width + 1))
            found = part(picture, y, x)
            if found.std() >= 0.5 * picture.std():
                break
        if (which, y, x) not in seen:
            seen.add((which, y, x))
            taken.append(found)
    return taken[:count], taken[count:]


def with_widths(design: Design, widths: Mapping[str, int], wholes: Mapping[str, int]) -> Design:
    """A design whose formats have these widths, with ``wholes`` bits before the point (sign included).

    Args:
        widths: `QUANTITIES` key to bits; what is not named stays. The accumulators get their proven bound.
    """
    formats = {f"formats.{q}": sized(getattr(design.formats, q), w, wholes[q]) for q, w in widths.items()}
    return design.replace({**formats, "machine.residual_accumulator": 0, "machine.drive_accumulator": 0})
