"""Test vectors of an emitted folder: a small frame, what goes in and what must come out."""

from dataclasses import dataclass

import numpy as np

from ..sim.machine import Machine
from ..sim.plan import Plan
from ..sim.run import Run
from ..sim.tiling import IntArray

MOST_STEPS = 64
"""Steps after which a frame without codes is taken as it is."""


@dataclass(frozen=True)
class Vectors:
    """One cold frame. ``pixels``: beats of the input stream. ``codes``: words of ``m_axis``, the closing word last.
    ``cycles``: what the cycle counter reads if no port ever waits.
    """

    steps: int
    pixels: IntArray
    codes: list[int]
    cycles: int


def small_frame(plan: Plan, weights: IntArray) -> Vectors:
    """A picture that is 0 but for the first kernel, as strong as the input allows, in the middle; the fewest steps, of
    2, 4, 8 .. 64, that make a code of it. Integers all the way: the same in every clone.

    Args:
        weights: (K, C, p, p) integers.
    """
    g = plan.tiling.geometry
    image = np.zeros(g.image_shape, np.int64)
    y, x = ((size - g.patch) // 2 // g.stride * g.stride for size in g.image)
    kernel = np.asarray(weights[0], np.int64)
    strongest = max(1, int(np.abs(kernel).max()))
    image[:, y : y + g.patch, x : x + g.patch] = kernel * plan.input.high // strongest
    steps = 2
    while True:
        run = Machine(plan, weights).frame(image, steps)
        if run.code.any() or steps >= MOST_STEPS:
            break
        steps *= 2
    assert run.cycles is not None
    return Vectors(steps, np.moveaxis(image, 0, -1).reshape(-1), output_words(run), run.cycles.frame)


def output_words(run: Run) -> list[int]:
    """The beats of ``m_axis`` of a good run, as 64-bit words."""
    from .cosim.checker import codes_in_order

    parts = [(y, k, i, j) for k, i, j, y in codes_in_order(run).tolist()]
    words = [sum((part & 0xFFFF) << (16 * n) for n, part in enumerate(beat)) for beat in parts]
    flags = int(run.overflow) | int(run.saturated_late) << 1 | int(run.settled) << 3
    return [*words, flags | run.counts.steps << 16 | run.events_late << 32]
