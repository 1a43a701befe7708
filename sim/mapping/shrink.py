"""The largest network near a design's that fits a board: a smaller picture first, then fewer and smaller kernels."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...golden.dictionary import Dictionary
from ..machine import load_dictionary
from .devices import Device, device_of
from .resources import Budget, resources
from .space import any_plan, legal_plans, weights_of

if TYPE_CHECKING:
    from ..design import Design

STEP = 4
"""V1 positions by which the sides of a picture are made smaller."""
PATCHES = 2
"""Kernels that must fit side by side into a picture; below that the kernels are made smaller."""


@dataclass(frozen=True)
class Shrunk:
    """A design that fits a board on one tile or more, its dictionary, and what was changed, in words."""

    design: "Design"
    dictionary: Dictionary
    changes: tuple[str, ...]


def shrink(design: "Design", board: str, dictionary: Dictionary | None = None) -> Shrunk | None:
    """The design itself where some mapping of it fits, else the largest network that does; None where none does.

    The dictionary of a smaller network is cut from the one at hand: its first kernels, their middle, length 1 again.

    Raises:
        InputError: an unknown board.
    """
    device = device_of(board)
    whole = dictionary if dictionary is not None else load_dictionary(design)
    if _fits(design, whole, device):
        return Shrunk(design, whole, ())
    for kernels, patch in _networks(design):
        smaller = design.replace({"network.kernels": kernels, "network.patch": patch})
        cut = cut_dictionary(whole, kernels, patch)
        size = _largest_picture(smaller, cut, device)
        if size is not None:
            changes = []
            if (kernels, patch) != (design.network.kernels, design.network.patch):
                changes.append(
                    f"{kernels} kernels {patch}x{patch}, cut from {design.network.kernels} of {design.network.patch}x"
                    f"{design.network.patch}"
                )
            before = design.network.image
            changes.append(f"{size[0]}x{size[1]} pixels in place of {before[0]}x{before[1]}")
            return Shrunk(smaller.replace({"network.image": size}), cut, tuple(changes))
    return None


def cut_dictionary(whole: Dictionary, kernels: int, patch: int) -> Dictionary:
    """The first so many kernels, the middle so many pixels of each, scaled to length 1 again."""
    margin = (whole.patch - patch) // 2
    atoms = whole.atoms[:kernels, :, margin : margin + patch, margin : margin + patch]
    length = np.sqrt((atoms**2).sum(axis=(1, 2, 3), keepdims=True))
    if kernels == whole.kernels and patch == whole.patch:
        return whole
    return Dictionary(atoms / length, whole.stride, f"cut from {whole.source}")


def _networks(design: "Design") -> Iterator[tuple[int, int]]:
    """(kernels, patch), those of the design first, then by the size of the dictionary, larger kernels first."""
    n = design.network
    kernels = [k for k in range(min(2, n.kernels), n.kernels + 1) if n.kernels % k == 0]  # one kernel has no rival
    patches = [p for p in range(2 * n.stride, n.patch + 1) if (n.patch - p) % (2 * n.stride) == 0]
    pairs = sorted(((k, p) for k in kernels for p in patches), key=lambda pair: (-pair[0] * pair[1] ** 2, -pair[1]))
    return iter(pairs)


def _largest_picture(design: "Design", dictionary: Dictionary, device: Device) -> tuple[int, int] | None:
    """The largest picture of the design's proportions that fits, sides in steps of ``STEP`` positions."""
    (rows, columns), s = design.geometry.sheet, design.network.stride
    most = min(rows, columns) // STEP

    def size(part: int) -> tuple[int, int]:
        height, width = (max(1, round(side * part / most / STEP)) * STEP * s for side in (rows, columns))
        return height, width

    least = next((n for n in range(1, most + 1) if min(size(n)) >= PATCHES * design.network.patch), most + 1)
    if least > most or not _fits(design.replace({"network.image": size(least)}), dictionary, device):
        return None
    low, high = least, most + 1  # a picture of `low` fits; one of `high`, were there one, does not
    while high - low > 1:
        middle = (low + high) // 2
        fits = _fits(design.replace({"network.image": size(middle)}), dictionary, device)
        low, high = (middle, high) if fits else (low, middle)
    return size(low)


def _fits(design: "Design", dictionary: Dictionary, device: Device) -> bool:
    """Whether some mapping fits; on one tile, which takes least, or on any where one tile does not do."""
    base = any_plan(design, weights_of(design, dictionary))
    plans = (plan for plan in legal_plans(design, base, device) if plan.tiling.tiles == (1, 1))
    return any(Budget(device, resources(plan, device)).comfortable for plan in plans)
