"""Planted dictionaries are found again by every rule, up to order, sign and shift."""

import dataclasses

import numpy as np
import pytest

from striate.golden.conv import StridedConv
from striate.golden.dictionary import Dictionary
from striate.golden.geometry import Geometry
from striate.golden.lca import LcaParams, encode
from striate.golden.learn import LearnParams
from striate.golden.learn.batch import Batch, half_square
from striate.golden.learn.rules import rule_of
from striate.golden.threshold import cost

SIZE = 20


def planted(stride, seed=3):
    """Four kernels with most of their energy in the middle, so that a shifted copy is a worse kernel."""
    patch = 5 if stride == 1 else 4
    rng = np.random.default_rng(seed)
    window = np.ones((patch, patch)) if stride == patch else np.outer(*2 * [np.hanning(patch + 2)[1:-1]])
    atoms = rng.standard_normal((4, 1, patch, patch)) * window
    atoms /= np.linalg.norm(atoms.reshape(4, -1), axis=1)[:, None, None, None]
    return Dictionary(atoms, stride)


def pictures(truth, count, seed):
    """Images made of few planted kernels each, none near the border."""
    rng = np.random.default_rng(seed)
    g = Geometry((SIZE, SIZE), 1, 4, truth.patch, truth.stride)
    conv = StridedConv(truth.atoms, truth.stride, (SIZE, SIZE))
    chance = 0.015 if truth.stride == 1 else 0.12
    for _ in range(count):
        code = rng.uniform(0.5, 1.5, g.code_shape) * (rng.random(g.code_shape) < chance)
        edge = 3 if truth.stride == 1 else 0
        inner = np.zeros_like(code)
        inner[:, edge:code.shape[1] - edge, edge:code.shape[2] - edge] = 1.0
        yield conv.synthesis(code * inner)


def found(atoms, truth):
    """For each planted kernel the best match with a learned one at any shift and sign: 1 is equal."""
    best = []
    for kernel in truth.atoms[:, 0]:
        size = 2 * truth.patch
        spectra = np.fft.fft2(atoms[:, 0], (size, size)) * np.conj(np.fft.fft2(kernel, (size, size)))
        match = np.abs(np.fft.ifft2(spectra).real)
        best.append(match.max() if truth.stride == 1 else match[:, 0, 0].max())
    return np.array(best)


RULES = [{"rule": "hebbian", "rate": 0.1}, {"rule": "hebbian", "rate": 0.05, "momentum": 0.6},
         {"rule": "projected", "rate": 0.1, "sweeps": 3}, {"rule": "block-coordinate", "sweeps": 2},
         {"rule": "online", "forgetting": 0.8}]


def coded(image, atoms, stride, dynamics):
    run = encode(image, Dictionary(atoms, stride), dynamics)
    return run.code, run.residual


@pytest.mark.parametrize("stride", [1, 4])
@pytest.mark.parametrize("change", RULES, ids=str)
def test_planted_kernels_are_found(stride, change):
    truth = planted(stride)
    params = LearnParams(kernels=4, patch=truth.patch, stride=stride, crop_size=SIZE, pictures=1200, batch=12,
                         threshold=0.2, eta=0.1, steps=60, residual_cutoff=0.0, transfer="soft", **change)
    rule = rule_of(params)
    # A rough guess of each: recovery from noise is a matter of luck for any rule.
    noise = np.array(params.beginning().atoms)
    atoms = truth.atoms[::-1] + 0.8 * noise
    atoms /= np.linalg.norm(atoms.reshape(4, -1), axis=1)[:, None, None, None]
    assert found(atoms, truth).max() < 0.95
    memory, images = rule.fresh(), list(pictures(truth, 480, 1))
    for number in range(0, 480, 12):
        shown = images[number:number + 12]
        codes, left = zip(*(coded(image, atoms, stride, params.dynamics) for image in shown), strict=True)
        batch = Batch(stride, "cropped", params.inside, tuple(shown), codes, left)
        atoms, memory = rule.update(atoms, memory, batch, number)
    assert (found(atoms, truth) > 0.97).all(), found(atoms, truth)


@pytest.mark.parametrize("change", RULES[2:4], ids=str)
@pytest.mark.parametrize("stride", [2, 4])
def test_alternating_never_raises_the_objective(stride, change):
    """Codes by a solver that goes on from the last ones, kernels by a rule that never raises the error: one training
    set, soft threshold, ``1/2 |x - Phi y|^2 + lambda |y|_1``.
    """
    truth = planted(4)
    params = LearnParams(kernels=4, patch=4, stride=stride, crop_size=SIZE, threshold=0.1, transfer="soft", **change)
    rule, atoms = rule_of(params), np.array(params.beginning().atoms)
    images = tuple(pictures(truth, 6, 2))
    codes = tuple(np.zeros(params.geometry.code_shape) for _ in images)
    heights = []
    for number in range(12):
        conv = StridedConv(atoms, stride, (SIZE, SIZE))
        codes = tuple(descended(image, code, conv, 0.1) for image, code in zip(images, codes, strict=True))
        batch = Batch(stride, "cropped", params.inside, images, codes, ())
        batch = dataclasses.replace(batch, residuals=batch.left(atoms))
        spent = sum(cost(code, 0.1, "soft") for code in codes)
        heights.append(half_square(batch.residuals) + spent)
        atoms, _ = rule.update(atoms, {}, batch, number)
        heights.append(half_square(batch.left(atoms)) + spent)
    assert (np.diff(heights) <= 1e-9).all() and heights[-1] < 0.8 * heights[0]


def descended(image, code, conv, threshold):
    """Proximal gradient descent (ISTA), which never raises the objective."""
    largest = 1.0
    probe = np.random.default_rng(0).standard_normal(code.shape)
    for _ in range(30):
        probe = conv.analysis(conv.synthesis(probe / largest))
        largest = float(np.linalg.norm(probe))
        probe /= largest
        largest = 1.0 * np.linalg.norm(conv.analysis(conv.synthesis(probe)))
    step = 0.9 / largest
    for _ in range(60):
        moved = code + step * conv.analysis(image - conv.synthesis(code))
        code = np.maximum(moved - step * threshold, 0.0)
    return code


def test_the_dynamics_is_that_of_the_params():
    params = LearnParams(transfer="soft", two_sided=True, border="mirror", threshold=0.2, eta=0.1, steps=60)
    assert params.dynamics == LcaParams(0.2, 0.1, 60, transfer="soft", two_sided=True, border="mirror")
