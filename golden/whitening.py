"""ZCA whitening: pixels of unit variance that no longer predict each other, and still look like the picture.

With the mean mu and the covariance ``Sigma = U Lambda U^T`` of some vectors, ZCA takes each to
``U (Lambda + epsilon)^(-1/2) U^T (x - mu)``: mean 0, covariance the identity where epsilon is small beside the
eigenvalues (lectures of Salakhutdinov and Larochelle on sparse coding). The matrix is symmetric, so a whitened patch is
in place: of all whitening matrices this one moves pixels least.

Of a whole picture the same is one filter, the middle row of the matrix of its own patches: every pixel is the centre of
a patch.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from .errors import InputError

Array = npt.NDArray[np.float64]

FILTER_SIDE = 15
"""Pixels of the whitening filter of a picture, a side; odd, so that it has a middle."""
FILTER_EPSILON = 0.01
"""Of that filter, over the mean variance of a pixel: below a hundredth of it, power is left to be noise."""
FILTER_PATCHES = 20_000
"""Patches a picture's covariance is estimated from, at most."""


@dataclass(frozen=True)
class Zca:
    """A whitening fitted to vectors.

    Args:
        mean: ``(D,)``, mu. values: ``(D,)`` eigenvalues of the covariance, largest first, none negative.
        vectors: ``(D, D)``, U: a column an eigenvector. epsilon: added to every eigenvalue, squared units of the data.
    """

    mean: Array
    values: Array
    vectors: Array
    epsilon: float

    @classmethod
    def fit(cls, vectors: Array, epsilon: float = 0.0) -> "Zca":
        """The whitening of ``(N, D)`` vectors, one a row; the covariance is divided by N - 1.

        Raises:
            InputError: not two vectors, values that are not finite, epsilon below 0, or epsilon 0 where the vectors do
                not vary in every direction.
        """
        x = np.asarray(vectors, np.float64)
        if x.ndim != 2 or len(x) < 2 or not x.shape[1]:
            raise InputError(f"whitening is fitted to vectors of shape (N, D) with N of 2 or more, not {x.shape}")
        if not np.isfinite(x).all():
            raise InputError(f"{int(x.size - np.isfinite(x).sum())} of the values to whiten are not finite; mend them")
        if not 0 <= epsilon < np.inf:
            raise InputError(f"the epsilon of a whitening must be 0 or a finite number above it, not {epsilon}")
        mean = x.mean(axis=0)
        centred = x - mean
        return cls._of(mean, centred.T @ centred / (len(x) - 1), epsilon)

    @classmethod
    def _of(cls, mean: Array, covariance: Array, epsilon: float) -> "Zca":
        values, vectors = np.linalg.eigh(covariance)
        values, vectors = np.maximum(values[::-1], 0.0), np.ascontiguousarray(vectors[:, ::-1])
        # What rounding leaves of an eigenvalue that is 0.
        floor = float(values[0]) * len(values) * np.finfo(np.float64).eps
        flat = int(np.count_nonzero(values <= floor))
        if epsilon <= 0 and flat:
            raise InputError(
                f"the vectors do not vary in {flat} of {len(values)} directions, so that a whitening with epsilon 0 "
                f"would divide by 0; give more vectors or an epsilon such as {0.01 * float(values.mean()) or 1e-6:.3g}"
            )
        return cls(mean, values, vectors, float(epsilon))

    @property
    def matrix(self) -> Array:
        """``(D, D)``: ``U (Lambda + epsilon)^(-1/2) U^T``, symmetric."""
        return (self.vectors / np.sqrt(self.values + self.epsilon)) @ self.vectors.T

    def apply(self, vectors: Array) -> Array:
        """Whiten ``(..., D)`` vectors.

        Raises:
            InputError: vectors of another length.
        """
        return (self._checked(vectors) - self.mean) @ self.matrix

    def invert(self, whitened: Array) -> Array:
        """The vectors ``(..., D)`` that `apply` takes to these: exact, whatever epsilon.

        Raises:
            InputError: vectors of another length.
        """
        back = (self.vectors * np.sqrt(self.values + self.epsilon)) @ self.vectors.T
        return self._checked(whitened) @ back + self.mean

    def _checked(self, vectors: Array) -> Array:
        x = np.asarray(vectors, np.float64)
        if x.ndim < 1 or x.shape[-1] != len(self.mean):
            raise InputError(f"this whitening takes vectors of {len(self.mean)} values, not the shape {x.shape}")
        return x


def whitening_filter(plane: Array, side: int = FILTER_SIDE, epsilon: float = FILTER_EPSILON) -> Array:
    """The ZCA filter ``(side, side)`` of a picture's patches: equal under a half turn, so that it shifts no phase.

    The patches are all of the picture, or `FILTER_PATCHES` drawn with a fixed seed. Each counts in its two directions
    of reading: a picture's correlation depends on the distance of two pixels and not on which comes first, and the
    filter of a sample then does not either.

    Args:
        plane: ``(H, W)``. side: odd. epsilon: over the mean variance of a pixel, above 0.

    Raises:
        InputError: an even side, epsilon not above 0, or a picture smaller than the filter.
    """
    if side < 1 or side % 2 == 0:
        raise InputError(f"the side of a whitening filter must be odd, so that it has a middle, not {side}")
    if not 0 < epsilon < np.inf:
        raise InputError(f"the epsilon of a whitening filter must be a finite number above 0, not {epsilon}")
    height, width = plane.shape
    if min(plane.shape) < side:
        raise InputError(
            f'the preprocessing "zca" learns a filter of {side}x{side} pixels from the picture, and it has '
            f'{height}x{width}; use a larger picture or another preprocessing'
        )
    windows = np.lib.stride_tricks.sliding_window_view(plane, (side, side))
    rows, columns = windows.shape[:2]
    places = np.arange(rows * columns)
    if len(places) > FILTER_PATCHES:
        places = np.sort(np.random.default_rng(0).choice(len(places), FILTER_PATCHES, replace=False))
    x = windows[places // columns, places % columns].reshape(len(places), -1) - plane.mean()
    product = x.T @ x
    covariance = (product + product[::-1, ::-1]) / (2 * len(x))
    mean_variance = float(np.trace(covariance)) / side**2
    if mean_variance == 0.0:  # an even surface: nothing to whiten, and nothing comes through
        return np.zeros((side, side))
    zca = Zca._of(np.zeros(side**2), covariance, epsilon * mean_variance)
    middle = zca.matrix[side**2 // 2]
    return np.asarray((middle + middle[::-1]) / 2, np.float64).reshape(side, side)


def whitened(image: Array, side: int = FILTER_SIDE, epsilon: float = FILTER_EPSILON) -> Array:
    """A picture ``(..., H, W)`` through its own `whitening_filter`, channel by channel, about its mean.

    Beyond the edge it continues as its mirror image. The variance of a pixel becomes about 1, less what epsilon holds
    back.

    Raises:
        InputError: as for `whitening_filter`.
    """
    planes = np.asarray(image, np.float64).reshape(-1, *image.shape[-2:])
    out = [
        ndimage.convolve(plane - plane.mean(), whitening_filter(plane, side, epsilon), mode="reflect")
        for plane in planes
    ]
    return np.asarray(out, np.float64).reshape(image.shape)
