"""Band matrices: both ways of substitution against a dense solution."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from striate.sim.crossbar.wires import banded


def matrix(size: int, width: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A positive definite band matrix, dense, and its lower band (size, width)."""
    rng = np.random.default_rng(seed)
    dense = rng.normal(size=(size, size))
    dense = np.tril(np.triu(dense + dense.T, 1 - width), width - 1)
    dense += np.diag(np.abs(dense).sum(axis=0) + 0.1)
    band = np.zeros((size, width))
    for c in range(size):
        column = dense[c : c + width, c]
        band[c, : len(column)] = column
    return dense, band


@given(size=st.integers(1, 200), width=st.integers(1, 150), settings=st.integers(1, 5), seed=st.integers(0, 99))
def test_both_ways_solve(size: int, width: int, settings: int, seed: int) -> None:
    dense, band = matrix(size, min(width, size), seed)
    factor = banded.factorised(band)
    right = np.random.default_rng(seed).normal(size=(size, settings))
    expected = np.linalg.solve(dense, right)
    for solve in (banded._by_entries, banded._by_blocks, banded.substitute):
        values = right.copy()
        solve(factor, values)
        np.testing.assert_allclose(values, expected, rtol=1e-9, atol=1e-12)


def test_not_positive_definite():
    with pytest.raises(banded.NotPositiveError) as caught:
        banded.factorised(np.array([[1.0, 0.5], [1.0, 2.0], [1.0, 0.0]]))
    assert caught.value.args == (2,)


def test_nothing_to_solve():
    assert banded.factorised(np.zeros((0, 1))).shape == (0, 1)
    banded.substitute(np.zeros((0, 1)), np.zeros((0, 3)))
