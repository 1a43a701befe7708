"""What happens to a picture before the network sees it.

"centre-surround" is the filter of Schultz, Paiton, Lu, Kenyon: a narrow Gaussian minus a wide one, as retinal ganglion
cells see. Both sum to 1, so an even surface becomes 0 and no other scaling is wanted: with unit-norm kernels the
paper's threshold 0.05 and residual cutoff 0.005 belong to pixels in the range 0 to 1.
"""

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from .errors import InputError

Array = npt.NDArray[np.float64]
Preprocess = Literal["centre-surround", "none"]

CENTRE_SIGMA = 0.5  # pixels
SURROUND_SIGMA = 5.5  # pixels


def centre_surround(image: Array) -> Array:
    """Difference of two Gaussians (standard deviations 0.5 and 5.5 pixels, each of sum 1), channel by channel.

    Args:
        image: ``(..., H, W)``, pixels in the range 0 to 1. Beyond the edge it continues as its mirror image.

    Returns:
        The same shape, about -1 to 1, mean near 0.
    """
    def blur(sigma: float) -> Array:
        widths = [0.0] * (image.ndim - 2) + [sigma, sigma]
        return np.asarray(ndimage.gaussian_filter(image, widths, mode="reflect"), np.float64)

    return blur(CENTRE_SIGMA) - blur(SURROUND_SIGMA)


def preprocess(image: Array, kind: Preprocess = "centre-surround") -> Array:
    """Apply the named preprocessing to ``(..., H, W)``; "none" gives the image back as it is.

    Raises:
        InputError: an unknown name.
    """
    if kind == "centre-surround":
        return centre_surround(image)
    if kind == "none":
        return image
    raise InputError(f"input.preprocess must be one of {', '.join(get_args(Preprocess))}, not '{kind}'")
