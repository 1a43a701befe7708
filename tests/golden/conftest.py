"""The network in plain loops over pixels and neurons, straight from the definition: slow and hard to get wrong."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

Array = npt.NDArray[np.float64]


def pixel(index: int, size: int, border: str) -> int | None:
    """Image pixel met at an index that may lie outside; None where there is nothing."""
    if 0 <= index < size:
        return index
    if border == "circular":
        return index % size
    if border != "mirror":
        return None
    while not 0 <= index < size:
        index = -1 - index if index < 0 else 2 * size - 1 - index
    return index


def matrix(atoms: Array, stride: int, shape: tuple[int, int], border: str) -> Array:
    """Phi as a matrix: (C * rows * columns of the residual's frame, neurons)."""
    kernels, channels, patch, _ = atoms.shape
    height, width = shape
    margin = (patch - stride) // 2
    grow = margin if border == "extended" else 0
    phi = np.zeros((channels, height + 2 * grow, width + 2 * grow, kernels, height // stride, width // stride))
    for k, i, j in np.ndindex(kernels, height // stride, width // stride):
        for c, q, t in np.ndindex(channels, patch, patch):
            y, x = stride * i - margin + q, stride * j - margin + t
            if border == "extended":
                phi[c, y + grow, x + grow, k, i, j] += atoms[k, c, q, t]
                continue
            row, column = pixel(y, height, border), pixel(x, width, border)
            if row is not None and column is not None:
                phi[c, row, column, k, i, j] += atoms[k, c, q, t]
    return phi.reshape(channels * (height + 2 * grow) * (width + 2 * grow), -1)


def unit_atoms(rng: np.random.Generator, *shape: int) -> Array:
    """Random kernels of unit norm, ``(K, C, p, p)``."""
    atoms = rng.standard_normal(shape)
    return atoms / np.linalg.norm(atoms.reshape(shape[0], -1), axis=1)[:, None, None, None]


@pytest.fixture(scope="session")
def phi_matrix() -> Callable[..., Array]:
    return matrix


@pytest.fixture(scope="session")
def atoms_of() -> Callable[..., Array]:
    """``atoms_of(seed, K, C, p, p)``: random kernels of unit norm."""
    return lambda seed, *shape: unit_atoms(np.random.default_rng(seed), *shape)
