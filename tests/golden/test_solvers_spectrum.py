"""Phi in the frequency domain against the plain matrix."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from striate.golden.conv import StridedConv
from striate.golden.dictionary import Dictionary
from striate.golden.solvers.base import BORDERS
from striate.golden.solvers.spectrum import Spectrum, lipschitz, torus


@st.composite
def cases(draw):
    stride = draw(st.integers(1, 3))
    patch = stride + 2 * draw(st.integers(0, 3))
    shape = draw(st.integers(1, 6)), draw(st.integers(1, 3)), patch, patch
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    atoms = rng.standard_normal(shape)
    atoms /= np.linalg.norm(atoms.reshape(shape[0], -1), axis=1)[:, None, None, None]
    return Dictionary(atoms, stride), (draw(st.integers(1, 5)), draw(st.integers(1, 5))), rng


@settings(max_examples=60)
@given(cases())
def test_it_is_the_circular_convolution(case):
    dictionary, sheet, rng = case
    shape = sheet[0] * dictionary.stride, sheet[1] * dictionary.stride
    conv = StridedConv(dictionary.atoms, dictionary.stride, shape, "circular")
    spectrum = Spectrum(dictionary, sheet)
    code, image = rng.standard_normal(conv.geometry.code_shape), rng.standard_normal(conv.residual_shape)
    np.testing.assert_allclose(spectrum.from_image(spectrum.to_image(image)), image, atol=1e-12)
    np.testing.assert_allclose(spectrum.from_image(spectrum.synthesis(spectrum.to_code(code))), conv.synthesis(code),
                               atol=1e-11)
    np.testing.assert_allclose(spectrum.from_code(spectrum.analysis(spectrum.to_image(image))), conv.analysis(image),
                               atol=1e-11)


@settings(max_examples=60)
@given(cases(), st.sampled_from([0.01, 1.0, 30.0]))
def test_the_inner_system_is_solved_exactly(phi_matrix, case, rho):
    dictionary, sheet, rng = case
    shape = sheet[0] * dictionary.stride, sheet[1] * dictionary.stride
    phi = phi_matrix(dictionary.atoms, dictionary.stride, shape, "circular")
    right = rng.standard_normal((dictionary.kernels, *sheet))
    dense = np.linalg.solve(phi.T @ phi + rho * np.eye(phi.shape[1]), right.ravel())
    spectrum = Spectrum(dictionary, sheet)
    found = spectrum.from_code(spectrum.solve(spectrum.to_code(right), rho))
    np.testing.assert_allclose(found.ravel(), dense, rtol=1e-8, atol=1e-9 * np.abs(dense).max())


@settings(max_examples=40)
@given(cases(), st.sampled_from(BORDERS))
def test_the_step_of_gradient_methods_is_safe(phi_matrix, case, border):
    dictionary, sheet, _ = case
    shape = sheet[0] * dictionary.stride, sheet[1] * dictionary.stride
    exact = np.linalg.norm(phi_matrix(dictionary.atoms, dictionary.stride, shape, border), 2) ** 2
    bound = lipschitz(dictionary, dictionary.geometry(shape), border)
    assert bound >= exact * (1 - 1e-12)
    if border == "circular":
        assert bound == pytest.approx(exact, rel=1e-10)


def test_the_bound_is_tight_on_a_large_image():
    """Power iteration on the cropped operator comes from below to within a few percent of the bound."""
    rng = np.random.default_rng(3)
    atoms = rng.standard_normal((4, 1, 6, 6))
    dictionary = Dictionary(atoms / np.linalg.norm(atoms.reshape(4, -1), axis=1)[:, None, None, None], 2)
    conv = StridedConv(dictionary.atoms, 2, (64, 64))
    code = rng.standard_normal(conv.geometry.code_shape)
    for _ in range(200):
        code /= np.linalg.norm(code)
        code = conv.analysis(conv.synthesis(code))
    found, bound = float(np.linalg.norm(code)), lipschitz(dictionary, conv.geometry, "cropped")
    assert 0.95 * bound <= found <= bound


def test_the_torus_leaves_room():
    g = Dictionary(np.eye(16).reshape(16, 1, 4, 4)[:1], 2).geometry((12, 8))
    assert torus(g, "circular") == (6, 4)
    assert torus(g, "cropped", fast=False) == torus(g, "extended", fast=False) == (7, 5)
    assert all(a >= b for a, b in zip(torus(g, "cropped"), (7, 5), strict=True))
