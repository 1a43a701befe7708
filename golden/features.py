"""Codes as features: what a classifier is given in place of pixels, one row a picture.

Self-taught learning (Raina, Battle, Lee, Packer, Ng 2007; lectures of Salakhutdinov and Larochelle): a dictionary is
learned on pictures without labels, which need not show what is to be told apart, and the codes of labelled pictures by
it are classified.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .dictionary import Dictionary
from .errors import InputError
from .lca import Encoding, LcaParams, encode

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Pca:
    """The directions in which vectors vary most.

    Args:
        mean: ``(D,)``. components: ``(M, D)``, orthonormal rows, the largest variance first. share: of the whole
            variance that lies in them, 0 to 1.
    """

    mean: Array
    components: Array
    share: float

    @classmethod
    def fit(cls, vectors: Array, share: float = 0.95) -> "Pca":
        """As few components of ``(N, D)`` vectors as hold ``share`` of their variance.

        Raises:
            InputError: a share not above 0 or above 1, or vectors that do not vary.
        """
        if not 0 < share <= 1:
            raise InputError(f"the share of variance that components hold must be above 0 and at most 1, not {share}")
        x = np.asarray(vectors, np.float64)
        mean = x.mean(axis=0)
        _, singular, rows = np.linalg.svd(x - mean, full_matrices=False)
        held = np.cumsum(singular**2)
        if not held[-1] > 0:
            raise InputError(f"{len(x)} equal vectors have no principal components; give vectors that differ")
        held /= held[-1]
        count = min(int(np.searchsorted(held, share * (1 - 1e-12))) + 1, len(held))
        return cls(mean, np.ascontiguousarray(rows[:count]), float(held[count - 1]))

    def apply(self, vectors: Array) -> Array:
        """``(N, D)`` vectors by their components: ``(N, M)``."""
        return np.asarray((vectors - self.mean) @ self.components.T, np.float64)


def lca_features(pictures: Array, dictionary: Dictionary, params: LcaParams) -> tuple[Array, list[Encoding]]:
    """The codes of ``(N, C, H, W)`` pictures by `lca.encode`, each from rest, flat: ``(N, K H/s W/s)``.

    Raises:
        InputError: what `lca.encode` refuses.
    """
    runs = [encode(picture, dictionary, params) for picture in pictures]
    return np.array([run.code.ravel() for run in runs]), runs
