"""The Hebbian rule of the strided paper: kernels move along what the residual still holds where they were active.

Schultz, Paiton, Lu, Kenyon, *Replicating kernels with a short stride allows sparse reconstructions with fewer
independent kernels*, eq. 15: ``df_k(q) = rate * sum_p r(p) z_k(p - q)``, a sum over all replications of the kernel,
after every picture. It is stochastic gradient descent on the energy; afterwards every kernel is brought back to
unit L2 norm.
"""

import numpy as np

from ..conv import Array, StridedConv


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
    moved = atoms + rate * conv.correlate(residual, code)
    norms = np.linalg.norm(moved.reshape(len(moved), -1), axis=1)[:, None, None, None]
    usable = np.isfinite(norms) & (norms > 0.0)
    return np.where(usable, moved / np.where(usable, norms, 1.0), atoms)


def kernel_change(before: Array, after: Array) -> float:
    """Mean over kernels of ``|f_after - f_before|_2``: the fraction of its unit norm that a kernel moved."""
    return float(np.mean(np.linalg.norm((after - before).reshape(len(after), -1), axis=1)))
