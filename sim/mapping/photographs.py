"""Exact cycles of a machine on crops of the bundled photographs: what a frame rate is measured on."""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from ...golden.errors import InputError
from ...golden.images import PHOTOGRAPHS, load_image
from ..machine import Machine
from ..plan import Plan
from .space import weights_of

if TYPE_CHECKING:
    from ...golden.dictionary import Dictionary
    from ..design import Design

SHARES = ((0.5, 0.5), (0.25, 0.25), (0.25, 0.75), (0.75, 0.25), (0.75, 0.75))
"""Where a crop's centre lies in its picture, as shares of height and width: the middle, and that of each quarter."""


@dataclass(frozen=True)
class CropCycles:
    """One crop: cycles of a cold frame from start to the last code, and how many events it had."""

    photograph: str
    crop: tuple[int, int]
    cycles: int
    code_events: int
    residual_events: int


@cache
def _height_width(photograph: str) -> tuple[int, int]:
    shape = load_image(photograph, preprocess="none").shape
    return int(shape[1]), int(shape[2])


def crops(design: "Design") -> list[tuple[str, tuple[int, int]]]:
    """(photograph, first pixel) of every crop of the design's size; a picture that is too small has none.

    Raises:
        InputError: an image larger than all of them.
    """
    (height, width), found = design.network.image, []
    for name in PHOTOGRAPHS:
        rows, columns = _height_width(name)
        if rows < height or columns < width:
            continue
        places = [
            (min(max(0, round(rows * y) - height // 2), rows - height),
             min(max(0, round(columns * x) - width // 2), columns - width))
            for y, x in SHARES
        ]  # fmt: skip
        found += [(name, place) for place in dict.fromkeys(places)]
    if not found:
        raise InputError(
            f"no bundled photograph has {height} x {width} pixels; set network.image to [300, 300] or less"
        )
    return found


def photograph_cycles(design: "Design", dictionary: "Dictionary | None" = None) -> tuple[CropCycles, ...]:
    """A cold frame of every crop on the bit-exact machine.

    Raises:
        InputError: as for `crops`, and a design that the machine refuses.
    """
    weights, n = weights_of(design, dictionary), design.network
    plan = Plan.of(design, weights)
    machine, found = Machine(plan, weights), []
    for name, place in crops(design):
        image = load_image(
            name, crop=place, size=n.image, channels=n.channels, preprocess=design.input.preprocess
        )
        run = machine.frame(plan.quantise_image(np.asarray(image)), design.dynamics.steps)
        assert run.cycles is not None
        counts = run.counts
        found.append(CropCycles(name, place, run.cycles.frame, counts.code_events, counts.residual_events))
    return tuple(found)
