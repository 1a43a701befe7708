"""Block-coordinate descent on running sums A and B: each kernel in turn, without a learning rate.

Salakhutdinov, *Deep Learning* (10707), Sparse Coding, "Dictionary Learning II" and "Online Learning": with
``A = sum_t h h^T`` and ``B = sum_t x h^T`` column j goes to ``D_j <- (B_j - D A_j + D_j A_jj) / A_jj``, then to unit
norm. Online (Mairal, Bach, Ponce, Sapiro, *Online Dictionary Learning for Sparse Coding*, 2009) A and B fade:
``A <- beta A + (1 - beta) h h^T``.

With kernels replicated every s pixels A has one matrix per lag, the offset between two V1 positions::

    A[j, i, l] = sum_P y_j(P) y_i(P + l),   |l| <= ceil(p/s) - 1 per axis
    (D * A)_j(q) = sum_i sum_l A[j, i, l] D_i(q - s l)
    E(D) = const - <B, D> + 1/2 <D, D * A>

and the gradient by kernel j is ``g = (D * A)_j - B_j``. By D_j alone E is a quadratic whose curvature is at most L, the
largest eigenvalue of the Toeplitz matrix ``A[j, j, l - l']``. On the sphere of unit norm the parabola of curvature L
that touches E at D_j is lowest at ``(D_j - g/L) / |D_j - g/L|`` and nowhere below E: no update raises E. Where patches
do not overlap (p = s) there is one lag, L = A_jj, and this is the formula of the slides.

A belongs to the whole plane, as if no border cut kernels off. B is therefore not x against y but ``B = D * A - dE/dD``
with the true gradient of the kernels the codes were made with. Where the border crops, that is x against y with the
pixels outside filled in by the reconstruction itself: E is then above the true error everywhere and touches it at those
kernels, so descending E descends the true error. With the extended border the two are the same; where the image goes
on by copies ("mirror", "circular") slope and fixed points are still right, the guarantee is not.
"""

from collections.abc import Mapping

import numpy as np

from ..conv import Array
from ..geometry import Geometry
from .batch import Batch
from .lags import lag_products
from .params import LearnParams

# Up to this many cells under a kernel its curvature is the largest eigenvalue; beyond, the largest sum of a row, which
# is never smaller.
EIGEN_CELLS = 256

# A kernel whose curvature is below this share of the largest one was hardly ever active: nothing says where it should
# go.
HARDLY_ACTIVE = 1e-9


class Cells:
    """Kernels as cells of s x s pixels, in which moving by a stride is moving by one cell."""

    def __init__(self, geometry: Geometry, inside: Array) -> None:
        self._shape, self._stride, self._cover = geometry.dictionary_shape, geometry.stride, geometry.cover
        offsets = np.stack(np.divmod(np.arange(self._cover**2), self._cover), axis=1)
        lags = offsets[:, None] - offsets[None] + geometry.reach
        self.lag = lags[..., 0] * (2 * geometry.reach + 1) + lags[..., 1]
        self.inside = self.split(np.broadcast_to(inside, self._shape).astype(np.float64))

    def split(self, atoms: Array) -> Array:
        """``(K, C, p, p)`` -> ``(K, cover^2, C s^2)``, filled up with 0."""
        (k, c, p, _), s, n = self._shape, self._stride, self._cover
        padded = np.pad(atoms, ((0, 0), (0, 0), (0, n * s - p), (0, n * s - p)))
        return np.ascontiguousarray(padded.reshape(k, c, n, s, n, s).transpose(0, 2, 4, 1, 3, 5)).reshape(k, n * n, -1)

    def join(self, cells: Array) -> Array:
        """The way back."""
        (k, c, p, _), s, n = self._shape, self._stride, self._cover
        atoms = cells.reshape(k, n, n, c, s, s).transpose(0, 3, 1, 4, 2, 5).reshape(k, c, n * s, n * s)
        return np.ascontiguousarray(atoms[:, :, :p, :p])

    def against(self, a: Array, cells: Array) -> Array:
        """``(D * A)_j`` of one kernel, ``(cover^2, C s^2)``; ``a`` is ``A[j]``, ``(K, lags, lags)``."""
        count = len(self.lag)
        if count == 1:
            return np.asarray(a.reshape(1, -1) @ cells.reshape(len(cells), -1))
        toeplitz = a.reshape(len(a), -1)[:, self.lag].transpose(1, 0, 2).reshape(count, -1)
        return np.asarray(toeplitz @ cells.reshape(-1, cells.shape[-1]))

    def curvature(self, own: Array) -> float:
        """An upper bound of the eigenvalues of ``A[j, j, l - l']``; ``own`` is ``A[j, j]``."""
        toeplitz = own.ravel()[self.lag]
        if len(toeplitz) == 1:
            return float(toeplitz[0, 0])
        if len(toeplitz) <= EIGEN_CELLS:
            # A little more for the rounding of the eigenvalue itself.
            return float(np.linalg.eigvalsh(toeplitz)[-1]) * (1 + 1e-9)
        return float(np.abs(toeplitz).sum(axis=1).max())


def descend(atoms: Array, a: Array, b: Array, geometry: Geometry, inside: Array, sweeps: int = 1) -> Array:
    """Kernels after ``sweeps`` cyclic passes of block-coordinate descent on ``1/2 <D, D * A> - <B, D>``.

    Args:
        atoms: ``(K, C, p, p)`` of unit norm, 0 outside ``inside``.
        a: ``(K, K, lags, lags)``, see `lags.lag_products`.
        b: ``(K, C, p, p)``.
        geometry: for K, C, p and s; its image does not count.
        inside: ``(p, p)``, 1 where kernels may differ from 0.

    Returns:
        ``(K, C, p, p)`` of unit norm; kernels that were hardly ever active stay as they are.
    """
    layout = Cells(geometry, inside)
    cells, target = layout.split(atoms), layout.split(b)
    bounds = np.array([layout.curvature(a[j, j]) for j in range(len(atoms))])
    active = np.flatnonzero(bounds > HARDLY_ACTIVE * bounds.max(initial=0.0))
    for _ in range(sweeps):
        for j in active:
            gradient = (layout.against(a[j], cells) - target[j]) * layout.inside[j]
            moved = cells[j] - gradient / bounds[j]
            norm = float(np.linalg.norm(moved))
            if np.isfinite(norm) and norm > 0.0:
                cells[j] = moved / norm
    return layout.join(cells)


def quadratic(atoms: Array, a: Array, b: Array, geometry: Geometry) -> float:
    """``1/2 <D, D * A> - <B, D>``: the error of the batch up to a constant."""
    layout = Cells(geometry, np.ones((geometry.patch, geometry.patch)))
    cells = layout.split(atoms)
    product = layout.join(np.stack([layout.against(a[j], cells) for j in range(len(a))]))
    return float(np.sum(atoms * (0.5 * product - b)))


def batch_sums(atoms: Array, batch: Batch, geometry: Geometry) -> tuple[Array, Array]:
    """A and B of a batch, see the module; ``atoms`` are the kernels it was coded with."""
    side = 2 * geometry.reach + 1
    a = np.zeros((geometry.kernels, geometry.kernels, side, side))
    for code in batch.codes:
        a += lag_products(code, geometry.reach)
    layout = Cells(geometry, batch.inside)
    cells = layout.split(atoms)
    product = layout.join(np.stack([layout.against(a[j], cells) for j in range(len(a))]))
    return a, product * batch.inside + batch.descent(atoms)


class BlockCoordinate:
    """`rules.Rule` of "Dictionary Learning II": A and B of the batch alone, which stands for the training set."""

    def __init__(self, params: LearnParams) -> None:
        self._params = params

    def fresh(self) -> dict[str, Array]:
        """Nothing."""
        return {}

    def update(self, atoms: Array, memory: Mapping[str, Array], batch: Batch,
               number: int) -> tuple[Array, dict[str, Array]]:
        """``sweeps`` passes over the kernels."""
        p = self._params
        a, b = batch_sums(atoms, batch, p.geometry)
        return descend(atoms, a, b, p.geometry, batch.inside, p.sweeps), {}

    def forget(self, memory: Mapping[str, Array], kernels: list[int]) -> dict[str, Array]:
        """Nothing to forget."""
        return {}


class Online:
    """`rules.Rule` of "Online Learning": A and B fade by the forgetting, which grows to 1 as the schedule has it."""

    def __init__(self, params: LearnParams) -> None:
        self._params = params

    def fresh(self) -> dict[str, Array]:
        """``a`` and ``b``, see the module."""
        g = self._params.geometry
        side = 2 * g.reach + 1
        return {"a": np.zeros((g.kernels, g.kernels, side, side)), "b": np.zeros(g.dictionary_shape)}

    def forgetting(self, number: int) -> float:
        """beta at picture ``number``."""
        return 1.0 - (1.0 - self._params.forgetting) * self._params.falling(number)

    def update(self, atoms: Array, memory: Mapping[str, Array], batch: Batch,
               number: int) -> tuple[Array, dict[str, Array]]:
        """A and B brought up to date, then ``sweeps`` passes over the kernels."""
        p, keep = self._params, self.forgetting(number)
        a, b = batch_sums(atoms, batch, p.geometry)
        a, b = keep * memory["a"] + (1.0 - keep) * a, keep * memory["b"] + (1.0 - keep) * b
        return descend(atoms, a, b, p.geometry, batch.inside, p.sweeps), {"a": a, "b": b}

    def forget(self, memory: Mapping[str, Array], kernels: list[int]) -> dict[str, Array]:
        """A and B without the kernels' past."""
        a, b = memory["a"].copy(), memory["b"].copy()
        a[kernels], a[:, kernels], b[kernels] = 0.0, 0.0, 0.0
        return {"a": a, "b": b}
