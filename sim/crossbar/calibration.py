"""Where a calibrated converter range comes from: another picture, the exact weights, no noise.

What a test bench can do before the first frame: the network runs without any analog effect on the centre of the
bundled photograph "camera", at most 96x96 pixels preprocessed as the design's pictures, with the design's drives and
for the design's steps; the magnitude of every value that a converter would meet is noted. The range is the smallest
power of two in which all but one in `CLIPPED` of them fit. The picture to be coded is not looked at.
"""

from typing import TYPE_CHECKING

import numpy as np

from ...golden.geometry import Geometry
from ...golden.images import photograph
from ..fixed import IntArray
from ..plan import Plan
from .frame import Frame, Port, port, run_steps
from .layer import Layer
from .legality import without_schedule
from .periphery import CLIPPED, AdcRange, largest_code
from .placement import Placement

if TYPE_CHECKING:
    from ..design import Design

SIZE = 96


def calibrate(design: "Design", weights: IntArray, layer: Layer, forward: Port, backward: Port) -> None:
    """Set the exponents of the ranges that the design's reads use.

    Args:
        weights: (K, C, p, p). layer: the design's. forward, backward: changed in place.
    """
    g, placement = design.geometry, layer.placement
    height, width = (min(n, max(1, SIZE // g.stride) * g.stride) for n in g.image)
    small = without_schedule(design).replace(image=(height, width), adc_bits=0, sample_hold_noise=0.0)
    geometry = Geometry((height, width), g.channels, g.kernels, g.patch, g.stride)
    picture = photograph(
        "camera",
        crop=((512 - height) // 2, (512 - width) // 2),
        size=(height, width),
        preprocess=design.input.preprocess,
    )
    image = np.repeat(picture, g.channels, axis=0)
    whole = Placement(geometry, (1, 1), placement.side, placement.row_parts, placement.column_parts)
    exact = Layer.exact(whole, weights, layer.lifts, design.crossbar.cell_bits)
    small_plan = Plan.of_arithmetic(small, weights)
    fore, back = (port(exact, small_plan, small, 0, backward=way) for way in (False, True))
    for each in (fore, back):
        for use in (each.absolute, each.change):
            use.adc.histogram = np.zeros(64, np.int64)
    x = small_plan.quantise_image(image)
    frame = Frame(small_plan, x, fore, back, design.crossbar.reads == "change", design.machine.refresh)
    run_steps(frame, design.dynamics.steps, np.zeros(x.shape), 0.0)
    for have, seen in ((forward, fore), (backward, back)):
        _set(have.absolute.adc, seen.absolute.adc.histogram)
        _set(have.change.adc, seen.change.adc.histogram)


def _set(adc: AdcRange, histogram: IntArray) -> None:
    """The smallest exponent with which at most one in `CLIPPED` magnitudes clips; the fixed one where none was seen."""
    total = int(histogram.sum())
    if not total:
        return
    above = total - np.cumsum(histogram)  # magnitudes of more than n bits
    bits = int(np.flatnonzero(above * CLIPPED <= total)[0])
    adc.exponent = min(adc.exponent, max(0, bits - largest_code(adc.bits).bit_length()))
