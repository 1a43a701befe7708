"""What happens to a picture before the network sees it.

"centre-surround" is the filter of Schultz, Paiton, Lu, Kenyon: a narrow Gaussian minus a wide one, as retinal ganglion
cells see. Both sum to 1, so an even surface becomes 0 and no other scaling is wanted: with unit-norm kernels the
paper's threshold 0.05 and residual cutoff 0.005 belong to pixels in the range 0 to 1.

The other two kinds would give values about 1, and a threshold of 0.05 would be another one. Both are brought to where
centre-surround leaves a photograph (a standard deviation of 0.04 to 0.12 over the bundled ones), so that thresholds,
cutoffs and number formats keep their meaning:

"zca" flattens the spectrum by the picture's own ZCA filter (`whitening`), then takes the one factor that gives the
picture the standard deviation its centre-surround version has: twice the contrast in, twice the contrast out. Fine
detail weighs more than it does there, and single pixels may lie beyond -1 and 1 (on four of ten bundled photographs).

"contrast" subtracts the local mean and divides by the local standard deviation (Jarrett, Kavukcuoglu, Ranzato, LeCun,
*What is the best multi-stage architecture for object recognition?*, 2009), times `CONTRAST`: faint and strong structure
come out alike, and so do pictures of any contrast.
"""

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from .errors import InputError
from .whitening import whitened

Array = npt.NDArray[np.float64]
Preprocess = Literal["centre-surround", "zca", "contrast", "none"]

CENTRE_SIGMA = 0.5  # pixels
SURROUND_SIGMA = 5.5  # pixels
CONTRAST = 0.1
"""What a local standard deviation of 1 becomes with "contrast"."""


def blurred(image: Array, sigma: float) -> Array:
    """``(..., H, W)`` through a Gaussian of sum 1 and standard deviation ``sigma`` pixels; mirrored at the edge."""
    widths = [0.0] * (image.ndim - 2) + [sigma, sigma]
    return np.asarray(ndimage.gaussian_filter(image, widths, mode="reflect"), np.float64)


def centre_surround(image: Array) -> Array:
    """Difference of two Gaussians (standard deviations 0.5 and 5.5 pixels, each of sum 1), channel by channel.

    Args:
        image: ``(..., H, W)``, pixels in the range 0 to 1. Beyond the edge it continues as its mirror image.

    Returns:
        The same shape, about -1 to 1, mean near 0.
    """
    return blurred(image, CENTRE_SIGMA) - blurred(image, SURROUND_SIGMA)


def local_contrast(image: Array, sigma: float = SURROUND_SIGMA, floor: float | None = None) -> Array:
    """``(x - m) / max(d, floor)``: m and d the mean and standard deviation around a pixel, channel by channel.

    Args:
        image: ``(..., H, W)``. sigma: standard deviation in pixels of the Gaussian that says what is around; d is the
            root of the blurred ``(x - m)^2``.
        floor: smallest divisor, in units of the image; None: the channel's mean d, so that faint structure is not
            raised above the common one.

    Returns:
        The same shape; 0 where there is nothing to divide by.

    Raises:
        InputError: sigma not above 0, a floor below 0.
    """
    if not 0 < sigma < np.inf:
        raise InputError(f"the sigma of a contrast normalisation must be above 0 pixels, not {sigma}")
    if floor is not None and not 0 <= floor < np.inf:
        raise InputError(f"the floor of a contrast normalisation must be 0 or a finite number above it, not {floor}")
    centred = image - blurred(image, sigma)
    deviation = np.sqrt(np.maximum(blurred(np.square(centred), sigma), 0.0))
    divisor = np.maximum(deviation, deviation.mean(axis=(-2, -1), keepdims=True) if floor is None else floor)
    return np.asarray(np.divide(centred, divisor, out=np.zeros_like(centred), where=divisor > 0), np.float64)


def patch_contrast(vectors: Array, floor: float = 0.0) -> Array:
    """Every ``(..., D)`` vector less its own mean, over its own standard deviation or the floor if that is larger.

    Raises:
        InputError: a floor below 0.
    """
    if not 0 <= floor < np.inf:
        raise InputError(f"the floor of a contrast normalisation must be 0 or a finite number above it, not {floor}")
    centred = vectors - vectors.mean(axis=-1, keepdims=True)
    divisor = np.maximum(centred.std(axis=-1, keepdims=True), floor)
    # What rounding leaves of an even patch is no contrast.
    noise = 4 * np.finfo(np.float64).eps * np.abs(vectors).max(axis=-1, keepdims=True, initial=0.0)
    wide = np.broadcast_to(divisor > noise, centred.shape)
    return np.asarray(np.divide(centred, divisor, out=np.zeros_like(centred), where=wide), np.float64)


def zca(image: Array) -> Array:
    """The picture ``(..., H, W)`` whitened by its own filter, at the standard deviation of its `centre_surround`.

    Raises:
        InputError: a picture smaller than the filter.
    """
    flat = whitened(image)
    deviation = float(flat.std())
    return flat * (float(centre_surround(image).std()) / deviation) if deviation else flat


def preprocess(image: Array, kind: Preprocess = "centre-surround") -> Array:
    """Apply the named preprocessing to ``(..., H, W)``; "none" gives the image back as it is.

    Raises:
        InputError: an unknown name, or a picture too small for "zca".
    """
    if kind == "centre-surround":
        return centre_surround(image)
    if kind == "zca":
        return zca(image)
    if kind == "contrast":
        return CONTRAST * local_contrast(image)
    if kind == "none":
        return image
    raise InputError(f"input.preprocess must be one of {', '.join(get_args(Preprocess))}, not '{kind}'")
