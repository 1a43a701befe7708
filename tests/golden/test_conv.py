import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from striate.golden import conv
from striate.golden.conv import StridedConv, analysis, synthesis
from striate.golden.errors import InputError

BORDERS = ["cropped", "extended", "mirror", "circular"]
CASES = [(1, 6, 8, 2, 4, 2), (2, 6, 9, 2, 5, 3), (1, 5, 7, 2, 3, 1), (3, 8, 4, 1, 4, 4), (1, 4, 4, 2, 10, 2),
         (1, 6, 6, 2, 8, 6)]


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("case", CASES)
def test_both_directions_equal_the_plain_loops(case, border, phi_matrix):
    channels, height, width, kernels, patch, stride = case
    rng = np.random.default_rng(0)
    atoms = rng.standard_normal((kernels, channels, patch, patch))
    phi = phi_matrix(atoms, stride, (height, width), border)
    operator = StridedConv(atoms, stride, (height, width), border)
    residual, code = rng.standard_normal(operator.residual_shape), rng.standard_normal(operator.geometry.code_shape)
    np.testing.assert_allclose(analysis(residual, atoms, stride, border).ravel(), phi.T @ residual.ravel(), atol=1e-12)
    np.testing.assert_allclose(synthesis(code, atoms, stride, (height, width), border).ravel(), phi @ code.ravel(),
                               atol=1e-12)


@st.composite
def geometries(draw):
    stride = draw(st.integers(1, 5))
    patch = stride + 2 * draw(st.integers(0, 5))
    sheet = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    return draw(st.integers(1, 3)), draw(st.integers(1, 4)), patch, stride, sheet


@settings(max_examples=60, deadline=None, derandomize=True)
@given(geometries(), st.sampled_from(BORDERS), st.lists(st.integers(1, 3), max_size=2), st.integers(0, 2**32 - 1))
def test_analysis_and_synthesis_are_adjoint(geometry, border, batch, seed):
    channels, kernels, patch, stride, (rows, columns) = geometry
    rng = np.random.default_rng(seed)
    atoms = rng.standard_normal((kernels, channels, patch, patch))
    operator = StridedConv(atoms, stride, (rows * stride, columns * stride), border)
    residual = rng.standard_normal((*batch, *operator.residual_shape))
    code = rng.standard_normal((*batch, *operator.geometry.code_shape))
    back, forth = operator.analysis(residual), operator.synthesis(code)
    assert back.shape == code.shape and forth.shape == residual.shape
    scale = np.linalg.norm(back) * np.linalg.norm(code) + np.linalg.norm(residual) * np.linalg.norm(forth)
    assert abs(np.vdot(back, code) - np.vdot(residual, forth)) <= 1e-12 * scale


def test_strips_do_not_change_the_result(monkeypatch):
    rng = np.random.default_rng(1)
    atoms, image = rng.standard_normal((3, 1, 6, 6)), rng.standard_normal((1, 20, 20))
    whole = analysis(image, atoms, 2), synthesis(rng.standard_normal((3, 10, 10)), atoms, 2, (20, 20))
    monkeypatch.setattr(conv, "_STRIP_VALUES", 1)
    rng = np.random.default_rng(1)
    atoms, image = rng.standard_normal((3, 1, 6, 6)), rng.standard_normal((1, 20, 20))
    np.testing.assert_allclose(analysis(image, atoms, 2), whole[0], atol=1e-12)
    np.testing.assert_allclose(synthesis(rng.standard_normal((3, 10, 10)), atoms, 2, (20, 20)), whole[1], atol=1e-12)


@pytest.mark.parametrize("border", BORDERS)
def test_correlate_is_the_gradient_by_the_kernels(border):
    rng = np.random.default_rng(2)
    atoms, direction = rng.standard_normal((2, 3, 2, 5, 5))
    operator = StridedConv(atoms, 3, (9, 12), border)
    residual, code = rng.standard_normal(operator.residual_shape), rng.standard_normal(operator.geometry.code_shape)
    moved = StridedConv(atoms + direction, 3, (9, 12), border).analysis(residual) - operator.analysis(residual)
    assert np.vdot(operator.correlate(residual, code), direction) == pytest.approx(np.vdot(moved, code), rel=1e-12)


def test_the_worked_example_of_transposed_convolution():
    """2x2 -> 4x4 with a 3x3 filter of ones at stride 2, as frameworks compute it.

    Their filter reaches from pixel 2i to 2i + 2; ours is centred, so the 3x3 block sits in the lower right of a
    4x4 kernel.
    """
    atom = np.zeros((1, 1, 4, 4))
    atom[..., 1:, 1:] = 1.0
    code = np.array([[[1.0, 2.0], [3.0, 4.0]]])
    expected = [[1, 1, 3, 2], [1, 1, 3, 2], [4, 4, 10, 6], [3, 3, 7, 4]]
    np.testing.assert_array_equal(synthesis(code, atom, 2, (4, 4))[0], expected)


def test_down_and_up_sampling_are_transposes():
    """A 1x1 kernel inside a 2x2 one keeps every second pixel; back, it puts zeros between."""
    atom = np.zeros((1, 1, 2, 2))
    atom[0, 0, 0, 0] = 1.0
    image = np.arange(16.0).reshape(1, 4, 4)
    np.testing.assert_array_equal(analysis(image, atom, 2), image[:, ::2, ::2])
    up = synthesis(image[:, :2, :2], atom, 2, (4, 4))
    np.testing.assert_array_equal(up[:, ::2, ::2], image[:, :2, :2])
    assert up.sum() == image[:, :2, :2].sum()


@pytest.mark.parametrize("call, message", [
    (lambda a: StridedConv(a, 2, (8, 8), "wrapped"),
     "border must be one of cropped, extended, mirror, circular, not 'wrapped'"),
    (lambda a: StridedConv(a[0], 2, (8, 8)), "a dictionary has the shape (K, C, p, p), not (1, 4, 4)"),
    (lambda a: StridedConv(a, 2, (9, 8)), "network.stride 2 does not divide the image height 9"),
    (lambda a: StridedConv(a, 2, (8, 8)).analysis(np.zeros((1, 8, 6))), "the residual must end in the shape (1, 8, 8)"),
    (lambda a: StridedConv(a, 2, (8, 8)).synthesis(np.zeros((1, 4, 4))), "the code must end in the shape (2, 4, 4)"),
    (lambda a: analysis(np.zeros((8, 8)), a, 2), "the residual must end in (C, H, W), not have the shape (8, 8)"),
])
def test_misfits_are_named(call, message):
    with pytest.raises(InputError, match=re.escape(message)):
        call(np.ones((2, 1, 4, 4)))
