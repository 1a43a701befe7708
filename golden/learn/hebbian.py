"""The Hebbian rule of the strided paper: kernels move along what the residual still holds where they were active.

Schultz, Paiton, Lu, Kenyon, *Replicating kernels with a short stride allows sparse reconstructions with fewer
independent kernels*, eq. 15: ``df_k(q) = rate * sum_p r(p) z_k(p - q)``, a sum over all replications of the kernel,
after every picture. It is stochastic gradient descent on the energy; afterwards every kernel is brought back to
unit L2 norm.
"""

from collections.abc import Mapping

import numpy as np

from ..conv import Array, StridedConv
from .batch import Batch, unit
from .params import LearnParams


def hebbian_update(conv: StridedConv, atoms: Array, residual: Array, code: Array, rate: float) -> Array:
    """New kernels of unit norm after one picture.

    Args:
        conv: the operator of these kernels on this image.
        atoms: ``(K, C, p, p)``.
        residual: x - Phi y, ``(C, H, W)``.
        code: y, ``(K, H/s, W/s)``.
        rate: of the plain sum over positions, so a larger image moves the kernels further; per squared image value.

    Returns:
        ``(K, C, p, p)``; a kernel whose update would leave nothing to normalise stays as it is.
    """
    return unit(atoms + rate * conv.correlate(residual, code), atoms)


def kernel_change(before: Array, after: Array) -> float:
    """Mean over kernels of ``|f_after - f_before|_2``: the fraction of its unit norm that a kernel moved."""
    return float(np.mean(np.linalg.norm((after - before).reshape(len(after), -1), axis=1)))


class Hebbian:
    """The rule for a batch: eq. 15 averaged over its pictures, with momentum if wanted (`rules.Rule`)."""

    def __init__(self, params: LearnParams) -> None:
        self._params = params

    def fresh(self) -> dict[str, Array]:
        """``velocity`` ``(K, C, p, p)``, when there is a momentum."""
        p = self._params
        return {"velocity": np.zeros(p.geometry.dictionary_shape)} if p.momentum else {}

    def update(self, atoms: Array, memory: Mapping[str, Array], batch: Batch,
               number: int) -> tuple[Array, dict[str, Array]]:
        """One step of gradient descent on the batch's mean energy."""
        step = batch.descent(atoms) / len(batch)
        kept: dict[str, Array] = {}
        if self._params.momentum:
            step = self._params.momentum * memory["velocity"] + step
            kept["velocity"] = step
        return unit(atoms + self._params.rate_at(number) * step, atoms), kept

    def forget(self, memory: Mapping[str, Array], kernels: list[int]) -> dict[str, Array]:
        """The memory without the kernels' past."""
        cleared = {name: array.copy() for name, array in memory.items()}
        for array in cleared.values():
            array[kernels] = 0.0
        return cleared
