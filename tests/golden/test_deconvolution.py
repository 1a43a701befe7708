"""One layer of a deconvolutional network: its operator, what it infers, and that it learns planted filters."""

import re

import numpy as np
import pytest

from striate.golden.deconvolution import (
    LayerConv,
    LayerParams,
    infer,
    learn_layer,
    update_filters,
    with_uniform,
)
from striate.golden.dictionary import Dictionary
from striate.golden.errors import InputError
from striate.golden.solvers.base import Problem
from striate.golden.solvers.continuation import Continuation
from striate.golden.solvers.half_quadratic import solve_lp


def test_the_full_border_is_matlabs_full_convolution(atoms_of):
    """Every map convolved with its filter and cut to the middle: scipy's "valid" of a map of (H + p - 1) positions."""
    from scipy.signal import convolve2d

    atoms = atoms_of(0, 3, 2, 5, 5)
    conv = LayerConv(atoms, (7, 9), "full")
    maps = np.random.default_rng(1).standard_normal(conv.maps_shape)
    assert conv.maps_shape == (3, 11, 13)
    expected = np.stack([sum(convolve2d(maps[k], atoms[k, c], mode="valid") for k in range(3)) for c in range(2)])
    np.testing.assert_allclose(conv.synthesis(maps), expected, atol=1e-12)


@pytest.mark.parametrize("border", ["full", "cropped", "circular"])
def test_both_directions_are_adjoint(atoms_of, border):
    rng = np.random.default_rng(2)
    atoms, direction = atoms_of(3, 2, 2, 3, 3), rng.standard_normal((2, 2, 3, 3))
    conv = LayerConv(atoms, (6, 5), border)
    maps, residual = rng.standard_normal(conv.maps_shape), rng.standard_normal((2, 6, 5))
    assert np.vdot(conv.analysis(residual), maps) == pytest.approx(np.vdot(residual, conv.synthesis(maps)), rel=1e-12)
    moved = LayerConv(atoms + direction, (6, 5), border).synthesis(maps) - conv.synthesis(maps)
    assert np.vdot(conv.correlate(residual, maps), direction) == pytest.approx(np.vdot(residual, moved), rel=1e-12)


def test_without_z0_and_borders_it_is_the_solver(atoms_of):
    dictionary = Dictionary(atoms_of(0, 4, 1, 5, 5), 1)
    image = np.random.default_rng(0).standard_normal((1, 12, 12))
    how = Continuation(0.8, polish=5)
    layer = infer(image, dictionary, 0.3, how, low_frequency=False, border="cropped")
    solver = solve_lp(Problem(image, dictionary, 0.3), how)
    np.testing.assert_allclose(layer.code, solver.code, atol=1e-10)
    assert layer.objective == pytest.approx(solver.objective, rel=1e-12) and layer.low.shape == (0, 12, 12)
    np.testing.assert_allclose(layer.reconstruction + layer.residual, image, atol=1e-12)


def test_z0_takes_what_is_smooth(atoms_of):
    """A ramp is z0's alone; the objective is the module's cost, counted here by hand."""
    dictionary = Dictionary(atoms_of(0, 3, 2, 5, 5), 1)
    ramp = np.stack([np.add.outer(np.arange(20.0), np.arange(20.0)) / 20, np.ones((20, 20))])
    seen = []
    found = infer(ramp, dictionary, 0.2, Continuation(cg_iterations=400, polish=30), smoothness=0.5,
                  watch=lambda turn: seen.append(turn.beta))
    assert found.low.shape == (2, 24, 24) and found.code.shape == (3, 24, 24)
    assert np.linalg.norm(found.residual) < 0.02 * np.linalg.norm(ramp)
    plain = infer(ramp, dictionary, 0.2, Continuation(polish=30), low_frequency=False)
    assert np.abs(found.code).sum() < 0.2 * np.abs(plain.code).sum()
    conv = LayerConv(with_uniform(dictionary.atoms, 2), (20, 20))
    maps = np.concatenate([found.low, found.code])
    np.testing.assert_allclose(conv.synthesis(maps), found.reconstruction, atol=1e-10)
    slopes = sum(float(np.sum(np.diff(found.low, axis=axis) ** 2)) for axis in (1, 2))
    cost = 0.5 * np.sum(found.residual**2) + 0.2 * np.abs(found.code).sum() + 0.2 * 0.5 * slopes
    assert found.objective == pytest.approx(cost, rel=1e-10)
    assert found.turns == len(seen) == 37
    warm = infer(ramp, dictionary, 0.2, Continuation(polish=30), smoothness=0.5, start=maps)
    assert warm.objective <= found.objective * 1.05


def test_the_filter_update_solves_its_least_squares(atoms_of):
    rng = np.random.default_rng(5)
    truth, start = atoms_of(1, 2, 1, 3, 3), atoms_of(2, 2, 1, 3, 3)
    codes = [np.where(rng.random((2, 14, 14)) < 0.2, rng.standard_normal((2, 14, 14)), 0.0) for _ in range(2)]
    images = [LayerConv(truth, (12, 12)).synthesis(code) for code in codes]
    moved, before, after = update_filters(start, images, codes, 60)
    np.testing.assert_allclose(moved, truth, atol=1e-6)
    assert after < 1e-12 < before
    _, first, one = update_filters(start, images, codes, 1)
    _, _, two = update_filters(start, images, codes, 2)
    assert first == before > one > two


def test_planted_filters_are_found():
    """Two filters in sparse places, found from noise, up to order and sign."""
    truth = np.zeros((2, 1, 5, 5))
    truth[0, 0, 2, :] = [1, 2, 0, -2, -1]
    truth[1, 0, :, 2] = [1, 1, 1, 1, 1]
    truth /= np.linalg.norm(truth.reshape(2, -1), axis=1)[:, None, None, None]
    rng = np.random.default_rng(0)
    places = [np.where(rng.random((2, 28, 28)) < 0.02, rng.choice([-3.0, 3.0], (2, 28, 28)), 0.0) for _ in range(4)]
    images = [LayerConv(truth, (24, 24)).synthesis(place) for place in places]
    told = []
    how = Continuation(factor=3, beta_max=100, cg_tolerance=1e-3, polish=10)
    learned = learn_layer(images, LayerParams(2, 5, 0.6, 15, batch=2, how=how, seed=1), source="planted",
                          progress=lambda text, share: told.append((text, share)))
    found = learned.dictionary.atoms

    def likeness(a, b):
        """Largest |correlation| over shifts."""
        from scipy.signal import correlate2d

        return np.abs(correlate2d(a, b)).max()

    table = np.array([[likeness(t[0], f[0]) for f in found] for t in truth])
    assert max(min(table[0, 0], table[1, 1]), min(table[0, 1], table[1, 0])) > 0.9
    assert learned.dictionary.source == "planted" and len(learned.epochs) == 15
    assert learned.epochs[-1].objective < 0.8 * learned.epochs[0].objective
    assert all(epoch.error_after <= epoch.error_before for epoch in learned.epochs)
    assert told[-1] == ("epoch 15 of 15", 1.0)
    again = learn_layer(images, LayerParams(2, 5, 0.6, 1, batch=2, how=how, seed=1))
    assert again.epochs[0] == learned.epochs[0]


def test_a_filter_that_no_map_uses_stays(atoms_of):
    atoms = atoms_of(0, 2, 1, 3, 3)
    code = np.zeros((2, 10, 10))
    code[0, 4, 4] = 2.0
    moved, _, after = update_filters(atoms, [np.random.default_rng(0).standard_normal((1, 8, 8))], [code], 5)
    np.testing.assert_array_equal(moved[1], atoms[1])
    assert np.isfinite(after)


@pytest.mark.parametrize("call, message", [
    (lambda d: infer(np.zeros((1, 8, 8)), d, 0.0), "lambda must be a finite number above 0, not 0.0"),
    (lambda d: infer(np.zeros((1, 8, 8)), d, 1.0, smoothness=0.0), "smoothness must be a finite number above 0, not 0"),
    (lambda d: infer(np.zeros((2, 8, 8)), d, 1.0), "the image has the shape (2, 8, 8); these filters take (1, H, W)"),
    (lambda d: infer(np.full((1, 8, 8), np.nan), d, 1.0), "the image holds values that are not finite"),
    (lambda d: infer(np.zeros((1, 8, 8)), d, 1.0, border="mirror"), "the border of a layer must be one of full"),
    (lambda d: infer(np.zeros((1, 8, 8)), d, 1.0, start=np.zeros((2, 8, 8))), "the maps to start with have the shape"),
    (lambda d: infer(np.zeros((1, 8, 8)), Dictionary(np.full((1, 1, 4, 4), 0.25), 2), 1.0),
     "a deconvolutional layer has stride 1 and an odd patch, not stride 2 and patch 4"),
    (lambda d: LayerParams(kernels=0), "kernels of a layer must be at least 1, not 0"),
    (lambda d: LayerParams(batch=0), "batch of a layer must be at least 1, or None for all images, not 0"),
    (lambda d: LayerParams(patch=6), "the patch of a layer must be odd, not 6; use 5 or 7"),
    (lambda d: LayerParams(threshold=-1.0), "lambda must be a finite number above 0, not -1.0"),
    (lambda d: learn_layer([]), "no images to learn a layer from; give at least one"),
])
def test_mistakes(atoms_of, call, message):
    with pytest.raises(InputError, match=re.escape(message)):
        call(Dictionary(atoms_of(0, 2, 1, 3, 3), 1))
