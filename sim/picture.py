"""What every machine asks of an image before it takes it, and what it says about what it had to clip."""

from typing import TYPE_CHECKING

import numpy as np

from ..golden.errors import InputError
from .plan import Plan
from .run import FloatArray
from .tiling import IntArray

if TYPE_CHECKING:
    from .design import Design


def check_image(image: FloatArray, design: "Design") -> None:
    """Refuse an image that is not (C, H, W) of the design, or not finite.

    Raises:
        InputError: another shape, NaN or infinite values.
    """
    if image.shape != design.geometry.image_shape:
        raise InputError(
            f"the image is {image.shape}, the design wants (C, H, W) = {design.geometry.image_shape}; "
            f"crop the image or set network.image and network.channels"
        )
    if not np.isfinite(image).all():
        raise InputError("the image holds NaN or infinite values; mend the file")


def clipping(image: FloatArray, quantised: IntArray, plan: Plan) -> list[str]:
    """One line when the input format could not hold every value of the image (C, H, W), else none."""
    clipped = np.count_nonzero(np.abs(quantised * plan.input.scale - image) > plan.input.scale)
    if not clipped:
        return []
    text = (
        f"formats.input {plan.input} cannot hold {clipped} of {image.size} input values ({image.min():.3f} .. "
        f"{image.max():.3f}): they were clipped; give it a wider range"
    )
    return [text]
