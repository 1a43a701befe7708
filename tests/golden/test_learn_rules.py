import dataclasses
import itertools

import numpy as np
import pytest

from striate.golden.conv import StridedConv
from striate.golden.dictionary import Dictionary
from striate.golden.geometry import Geometry
from striate.golden.learn import LearnParams, hebbian_update
from striate.golden.learn.batch import Batch, half_square
from striate.golden.learn.blocks import Cells, batch_sums, descend, quadratic
from striate.golden.learn.lags import lag_products
from striate.golden.learn.revival import redraw
from striate.golden.learn.rules import rule_of

# Patch, stride, border: non-overlapping, overlapping, patches that are no multiple of the stride, every border.
CASES = [(4, 4, "cropped"), (4, 2, "cropped"), (5, 1, "cropped"), (6, 4, "cropped"), (5, 3, "extended"),
         (4, 2, "extended"), (5, 1, "mirror"), (4, 2, "circular")]


def params(patch, stride, border, **more):
    return LearnParams(kernels=3, patch=patch, stride=stride, channels=2, crop_size=12, border=border, **more)


def made(p, crops=2, seed=0, density=0.3):
    """Random kernels, and a batch of random crops with random sparse codes."""
    rng = np.random.default_rng(seed)
    g = p.geometry
    atoms = np.array(p.beginning().atoms)
    images = tuple(rng.standard_normal(g.image_shape) for _ in range(crops))
    codes = tuple(rng.standard_normal(g.code_shape) * (rng.random(g.code_shape) < density) for _ in range(crops))
    empty = Batch(p.stride, p.border, p.inside, images, codes, ())
    return atoms, dataclasses.replace(empty, residuals=empty.left(atoms))


def slope(function, atoms, step=1e-6):
    """Central differences."""
    found = np.zeros_like(atoms)
    for index in np.ndindex(atoms.shape):
        nudge = np.zeros_like(atoms)
        nudge[index] = step
        found[index] = (function(atoms + nudge) - function(atoms - nudge)) / (2 * step)
    return found


@pytest.mark.parametrize("patch, stride, border", CASES)
def test_descent_is_minus_the_slope_of_the_error(patch, stride, border):
    atoms, batch = made(params(patch, stride, border, support=3))
    found = slope(lambda a: half_square(batch.left(a)), atoms)
    np.testing.assert_allclose(batch.descent(atoms), -found * batch.inside, atol=1e-6)
    assert np.abs(found * (1 - batch.inside)).max() > 0.1  # the support left something out


def test_lag_products_are_the_plain_sum():
    rng = np.random.default_rng(1)
    code = rng.standard_normal((3, 5, 6)) * (rng.random((3, 5, 6)) < 0.4)
    for reach in (0, 1, 3, 7):
        side = 2 * reach + 1
        wanted = np.zeros((3, 3, side, side))
        for j, i, y, x, dy, dx in itertools.product(range(3), range(3), range(5), range(6),
                                                     range(-reach, reach + 1), range(-reach, reach + 1)):
            if 0 <= y + dy < 5 and 0 <= x + dx < 6:
                wanted[j, i, dy + reach, dx + reach] += code[j, y, x] * code[i, y + dy, x + dx]
        np.testing.assert_allclose(lag_products(code, reach), wanted, atol=1e-12)


@pytest.mark.parametrize("patch, stride, border", CASES)
def test_a_and_b_are_the_error_with_every_border(patch, stride, border):
    """Right value (up to a constant) with the extended border and where nothing overlaps, above the error and touching
    it when cropped, the right slope always.
    """
    p = params(patch, stride, border)
    atoms, batch = made(p)
    a, b = batch_sums(atoms, batch, p.geometry)
    begun = half_square(batch.residuals) - quadratic(atoms, a, b, p.geometry)
    np.testing.assert_allclose(slope(lambda d: quadratic(d, a, b, p.geometry), atoms), -batch.descent(atoms), atol=1e-5)
    for seed in range(3):
        other = np.array(Dictionary.random(p.geometry, seed + 5).atoms)
        model, error = quadratic(other, a, b, p.geometry) + begun, half_square(batch.left(other))
        if border == "extended" or patch == stride:
            assert model == pytest.approx(error)
        elif border == "cropped":
            assert model > error


@pytest.mark.parametrize("patch, stride, border", [case for case in CASES if case[2] in ("cropped", "extended")])
@pytest.mark.parametrize("support", [None, 3])
def test_block_coordinate_never_raises_the_error_of_held_codes(patch, stride, border, support):
    p = params(patch, stride, border, rule="block-coordinate", support=support)
    for seed in range(3):
        atoms, batch = made(p, seed=seed, density=0.6)
        a, b = batch_sums(atoms, batch, p.geometry)
        errors, model = [half_square(batch.residuals)], [quadratic(atoms, a, b, p.geometry)]
        for _ in range(8):
            atoms = descend(atoms, a, b, p.geometry, batch.inside)
            errors.append(half_square(batch.left(atoms)))
            model.append(quadratic(atoms, a, b, p.geometry))
        assert (np.diff(model) <= 1e-9).all() and errors[-1] < 0.95 * errors[0]
        assert errors[0] - errors[1] >= model[0] - model[1] - 1e-9
        np.testing.assert_allclose(np.linalg.norm(atoms.reshape(3, -1), axis=1), 1.0)
        assert not (atoms * (1 - p.inside)).any()


def test_without_overlap_it_is_the_formula_of_the_slides():
    """D_j <- (B_j - D A_j + D_j A_jj) / A_jj on plain matrices of patches, column by column."""
    p = params(4, 4, "cropped", rule="block-coordinate")
    atoms, batch = made(p)
    size = 2 * 4 * 4
    columns = [image.reshape(2, 3, 4, 3, 4).transpose(0, 2, 4, 1, 3).reshape(size, 9) for image in batch.images]
    h = np.concatenate([code.reshape(3, 9) for code in batch.codes], axis=1)
    d, x = atoms.reshape(3, size).T.copy(), np.concatenate(columns, axis=1)
    a, b = h @ h.T, x @ h.T
    for j in range(3):
        column = (b[:, j] - d @ a[:, j] + d[:, j] * a[j, j]) / a[j, j]
        d[:, j] = column / np.linalg.norm(column)
    found, kept = rule_of(p).update(atoms, {}, batch, 1)
    np.testing.assert_allclose(found, d.T.reshape(atoms.shape), atol=1e-12)
    assert kept == {}


def test_curvature_bounds_every_eigenvalue(monkeypatch):
    from striate.golden.learn import blocks

    g = Geometry((12, 12), 1, 1, 6, 2)
    layout = Cells(g, np.ones((6, 6)))
    rng = np.random.default_rng(0)
    for density in (0.1, 0.5, 1.0):
        own = lag_products(np.abs(rng.standard_normal(g.code_shape)) * (rng.random(g.code_shape) < density), g.reach)
        largest = np.linalg.eigvalsh(own[0, 0].ravel()[layout.lag])[-1]
        assert largest <= layout.curvature(own[0, 0]) <= largest * 1.001
        monkeypatch.setattr(blocks, "EIGEN_CELLS", 1)
        assert largest <= layout.curvature(own[0, 0]) <= 3 * largest
        monkeypatch.undo()


def test_cells_go_there_and_back():
    g = Geometry((12, 12), 2, 3, 7, 3)
    atoms = np.random.default_rng(0).standard_normal(g.dictionary_shape)
    layout = Cells(g, np.ones((7, 7)))
    np.testing.assert_array_equal(layout.join(layout.split(atoms)), atoms)


def test_silent_kernels_stay():
    p = params(4, 2, "cropped", rule="online")
    atoms, batch = made(p)
    codes = tuple(code * np.array([1.0, 0.0, 1.0])[:, None, None] for code in batch.codes)
    batch = dataclasses.replace(batch, codes=codes)
    batch = dataclasses.replace(batch, residuals=batch.left(atoms))
    rule = rule_of(p)
    moved, _ = rule.update(atoms, rule.fresh(), batch, 0)
    np.testing.assert_array_equal(moved[1], atoms[1])
    assert (moved[0] != atoms[0]).any()


@pytest.mark.parametrize("patch, stride, border", CASES)
def test_projected_gradient_never_raises_the_error(patch, stride, border):
    for rate in (1e-3, 1e3):
        p = params(patch, stride, border, rule="projected", rate=rate, sweeps=1)
        atoms, batch = made(p)
        errors = [half_square(batch.residuals)]
        for _ in range(4):
            atoms, kept = rule_of(p).update(atoms, {}, batch, 0)
            batch = dataclasses.replace(batch, residuals=batch.left(atoms))
            errors.append(half_square(batch.residuals))
        assert (np.diff(errors) < 0).all() and kept == {}


def test_projected_gradient_steps_along_the_slope_on_the_sphere():
    p = params(4, 2, "cropped", rule="projected", rate=1e-7)
    atoms, batch = made(p)
    moved, _ = rule_of(p).update(atoms, {}, batch, 0)
    downhill = -slope(lambda a: half_square(batch.left(a)), atoms) / 2  # the mean of two crops
    downhill -= atoms * np.sum(downhill * atoms, axis=(1, 2, 3), keepdims=True)
    np.testing.assert_allclose((moved - atoms) / 1e-7, downhill, atol=1e-4)


def test_projected_gradient_sweeps_as_often_as_asked():
    once, thrice = (params(4, 2, "cropped", rule="projected", rate=0.01, sweeps=n) for n in (1, 3))
    atoms, batch = made(once)
    wanted, held = atoms, batch
    for _ in range(3):
        wanted, _ = rule_of(once).update(wanted, {}, held, 0)
        held = dataclasses.replace(batch, residuals=batch.left(wanted))
    np.testing.assert_allclose(rule_of(thrice).update(atoms, {}, batch, 0)[0], wanted, atol=1e-12)


def test_a_batch_of_one_is_the_hebbian_rule():
    p = params(4, 2, "cropped", rate=0.3)
    atoms, batch = made(p, crops=1)
    moved, kept = rule_of(p).update(atoms, {}, batch, 0)
    conv = StridedConv(atoms, 2, (12, 12))
    np.testing.assert_array_equal(moved, hebbian_update(conv, atoms, batch.residuals[0], batch.codes[0], 0.3))
    assert kept == {}


@pytest.mark.parametrize("crops", [1, 3])
def test_one_sweep_of_projected_is_the_hebbian_step_where_that_lowers_the_error(crops):
    p = params(4, 2, "cropped", rate=0.01)
    atoms, batch = made(p, crops=crops)
    wanted, _ = rule_of(p).update(atoms, {}, batch, 0)
    assert half_square(batch.left(wanted)) < half_square(batch.residuals)
    projected = dataclasses.replace(p, rule="projected", sweeps=1)
    np.testing.assert_allclose(rule_of(projected).update(atoms, {}, batch, 0)[0], wanted, atol=1e-14)


def test_a_batch_moves_along_the_mean_with_momentum():
    p = params(4, 2, "cropped", rate=0.1, momentum=0.5, schedule="constant", batch=2)
    atoms, batch = made(p)
    first, second = (np.mean([batch.conv(atoms).correlate(r, y) for r, y in zip(left, batch.codes, strict=True)],
                             axis=0) for left in (batch.residuals, tuple(2 * r for r in batch.residuals)))
    rule = rule_of(p)
    moved, kept = rule.update(atoms, rule.fresh(), batch, 0)
    wanted = atoms + 0.1 * first
    wanted /= np.linalg.norm(wanted.reshape(3, -1), axis=1)[:, None, None, None]
    np.testing.assert_allclose(moved, wanted, atol=1e-12)
    again = dataclasses.replace(batch, residuals=tuple(2 * r for r in batch.residuals))
    moved, kept = rule.update(atoms, kept, again, 0)
    wanted = atoms + 0.1 * (0.5 * first + second)
    wanted /= np.linalg.norm(wanted.reshape(3, -1), axis=1)[:, None, None, None]
    np.testing.assert_allclose(moved, wanted, atol=1e-12)
    assert not rule.forget(kept, [1])["velocity"][1].any() and kept["velocity"][1].any()


def test_online_sums_fade_by_the_forgetting():
    p = params(4, 2, "cropped", rule="online", forgetting=0.75, schedule="constant")
    atoms, batch = made(p)
    rule = rule_of(p)
    first = batch_sums(atoms, batch, p.geometry)
    moved, kept = rule.update(atoms, rule.fresh(), batch, 0)
    np.testing.assert_allclose(kept["a"], 0.25 * first[0])
    np.testing.assert_allclose(kept["b"], 0.25 * first[1])
    later = dataclasses.replace(batch, residuals=batch.left(moved))
    second = batch_sums(moved, later, p.geometry)
    _, kept = rule.update(moved, kept, later, 1)
    np.testing.assert_allclose(kept["a"], 0.75 * 0.25 * first[0] + 0.25 * second[0])
    np.testing.assert_allclose(kept["b"], 0.75 * 0.25 * first[1] + 0.25 * second[1])
    bare = rule.forget(kept, [2])
    assert not bare["a"][2].any() and not bare["a"][:, 2].any() and not bare["b"][2].any() and kept["b"][2].any()


def test_forgetting_grows_to_one_with_the_inverse_schedule():
    rule = rule_of(params(4, 2, "cropped", rule="online", forgetting=0.9, schedule="inverse", decay=0.01, pictures=500))
    found = np.array([rule.forgetting(n) for n in range(500)])
    assert found[0] == pytest.approx(0.9) and found[-1] == pytest.approx(0.999) and (np.diff(found) > 0).all()
    weight = 1 / (1 - found)  # grows by the same amount each time: 1/t
    np.testing.assert_allclose(np.diff(weight), np.diff(weight)[0])


@pytest.mark.parametrize("border", ["cropped", "extended", "mirror", "circular"])
def test_dead_kernels_come_back_as_the_worst_patches(border):
    p = params(4, 2, border)
    atoms, batch = made(p)
    conv = batch.conv(atoms)
    codes = np.eye(p.geometry.neurons).reshape(-1, *p.geometry.code_shape)
    energy, patches = [], []
    for residual in batch.residuals:  # the patch at a position, by the adjoint of one active unit
        for code in codes[:36]:  # kernel 0 at the 36 positions
            patch = conv.correlate(residual, code)[0]
            patches.append(patch)
            energy.append(np.sum(patch**2))
    order = np.argsort(energy)[::-1]
    renewed, replaced = redraw(atoms, [2, 0], batch)
    assert replaced == [2, 0]
    for kernel, place in zip((2, 0), order, strict=False):
        np.testing.assert_allclose(renewed[kernel], patches[place] / np.linalg.norm(patches[place]), atol=1e-12)
    np.testing.assert_array_equal(renewed[1], atoms[1])


def test_where_nothing_is_left_to_explain_nothing_is_drawn():
    p = params(4, 2, "cropped")
    atoms, batch = made(p)
    renewed, replaced = redraw(atoms, [1], dataclasses.replace(batch, residuals=tuple(
        np.zeros_like(r) for r in batch.residuals)))
    assert replaced == []
    np.testing.assert_array_equal(renewed, atoms)
