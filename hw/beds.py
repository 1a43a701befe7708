"""Two small designs with every mechanism at work, and the frames they are put through: faults are tried on them."""

import functools

import numpy as np

from ..golden.dictionary import Dictionary
from ..sim.design import Design
from ..sim.fixed import quantise
from ..sim.plan import Plan
from ..sim.tiling import IntArray
from .cosim.harness import Handshakes
from .verify import Frame


def small_design() -> Design:
    """Four tiles, short links, words of R that overflow, a step shift that changes: every mechanism at work."""
    return Design(
        image=(32, 32),
        kernels=4,
        patch=8,
        stride=2,
        preprocess="none",
        threshold=0.1,
        step_shift=((0, 3), (4, 4)),
        steps=10,
        tiles=(2, 2),
        gather_lanes=8,
        scatter_lanes=4,
        detect_lanes=2,
        link_depth=2,
        membrane="s12.12",
        residual_accumulator=15,
    )


def settling_design() -> Design:
    """Three tiles in a row; a frame may end when three steps were quiet; update takes two positions a clock."""
    return Design(
        image=(8, 24),
        kernels=2,
        patch=6,
        stride=2,
        preprocess="none",
        threshold=0.1,
        step_shift=3,
        steps=60,
        settle=3,
        tiles=(1, 3),
        gather_lanes=4,
        scatter_lanes=2,
        detect_lanes=1,
        update_positions=2,
        link_depth=3,
    )


@functools.cache
def bed(settling: bool) -> tuple[Plan, IntArray, IntArray]:
    """The plan and two dictionaries."""
    design = settling_design() if settling else small_design()
    first, second = (
        np.asarray(quantise(Dictionary.random(design.geometry, seed).atoms, design.formats.weight), np.int64)
        for seed in ((2, 1) if settling else (1, 2))
    )
    return Plan.of(design, first), first, second


def frames(plan: Plan, other: IntArray) -> list[Frame]:
    """Refusals, cold and warm frames, stalled or not, with other weights, thresholds, cutoffs and shifts. The threshold
    that is kept is tried bit by bit: with each bit high and low, and refused where one bit differs. The counts are
    large enough to reach past the low bits, and frames of very many steps are broken off.

    With settling: a cold frame whose events are all in the first tile, two links from the last; more of it; half of it.
    """
    if plan.settle:
        still = np.zeros(plan.tiling.geometry.image_shape, np.int64)
        corner = still[:, :, :6]
        corner[:] = np.rint(np.random.default_rng(5).standard_normal(corner.shape) * 0.3 * (1 << plan.input.frac))
        return [Frame(still, 60), Frame(still, 60, warm=True), Frame(still // 2, 60)]
    rng = np.random.default_rng(5)

    def image(amplitude: float) -> IntArray:
        noise = np.rint(rng.standard_normal(plan.tiling.geometry.image_shape) * amplitude * (1 << plan.input.frac))
        return np.clip(noise, plan.input.low, plan.input.high).astype(np.int64)

    calm, loud = image(0.3), image(1.5)
    unlike = plan.threshold_q ^ (1 << plan.threshold_width) - 1
    half, smallest = plan.threshold_q // 2, plan.shift_range[1]
    stalled = Handshakes(seed=11, stall_in=40, stall_out=90, stall_weights=40)
    return [
        Frame(calm, 2, warm=True),
        Frame(calm, 10),
        Frame(loud, 3, warm=True, handshakes=stalled),
        Frame(calm, 3, weights=other, handshakes=stalled),
        Frame(calm, 3, warm=True, threshold=plan.threshold_q + 9),
        Frame(calm, 9, cutoff=5, handshakes=stalled, threshold=half, shift=smallest),
        Frame(loud, 3, warm=True, cutoff=0, threshold=half),
        Frame(calm, 3, warm=True, weights=other, threshold=half),
        Frame(calm, 0),
        Frame(calm, 2, threshold=0),
        Frame(loud, 2, threshold=unlike),
        Frame(calm, 2, warm=True, threshold=unlike),
        *[Frame(calm, 2, warm=True, threshold=unlike ^ 1 << bit) for bit in range(plan.threshold_width)],
        Frame(loud, 7, threshold=plan.threshold_q // 8, shift=smallest),
        *[Frame(calm, steps % (1 << plan.steps_width), reset_after=4000, shift=shift) for steps in (0x5555, 0xAAAA)
          for shift in plan.shift_range],
    ]
