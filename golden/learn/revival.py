"""Dead kernels, those no picture needs any more, drawn anew from what the others explain worst."""

import numpy as np

from ..conv import Array
from .batch import Batch, on_canvas


def redraw(atoms: Array, dead: list[int], batch: Batch) -> tuple[Array, list[int]]:
    """Replace kernels by the patches of the residual that hold most energy, scaled to unit norm.

    Patches lie where receptive fields do, no two of those taken share a position, and of equal ones the first counts:
    the same batch gives the same kernels.

    Args:
        atoms: ``(K, C, p, p)``.
        dead: which to replace, in this order, the worst patch first.
        batch: coded with ``atoms``.

    Returns:
        The new kernels, and which of ``dead`` were replaced: not those for which no patch with any energy was left.
    """
    conv = batch.conv(atoms)
    g = conv.geometry
    seen = [on_canvas(residual, conv) for residual in batch.residuals]
    energies = np.stack([_window_sums(np.sum(np.square(canvas), axis=0), g.patch, g.stride) for canvas in seen])
    renewed, replaced = atoms.copy(), []
    for k in dead:
        crop, row, column = np.unravel_index(int(np.argmax(energies)), energies.shape)
        y, x = row * g.stride, column * g.stride
        patch = seen[crop][:, y:y + g.patch, x:x + g.patch] * batch.inside
        norm = float(np.linalg.norm(patch))
        energies[crop, row, column] = -1.0
        if norm > 0.0:
            renewed[k] = patch / norm
            replaced.append(k)
    return renewed, replaced


def _window_sums(plane: Array, side: int, stride: int) -> Array:
    """Sums over windows of side x side values, every ``stride`` of them."""
    sums = np.lib.stride_tricks.sliding_window_view(plane, side, axis=0)[::stride].sum(axis=-1)
    return np.asarray(np.lib.stride_tricks.sliding_window_view(sums, side, axis=1)[:, ::stride].sum(axis=-1))
