import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment, minimize

from striate.golden.errors import InputError
from striate.golden.predictive import (
    PredictiveEncoder,
    PredictiveParams,
    dictionary_step,
    encoder_step,
    objective,
    sparse_codes,
    train,
)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def some_encoder(kind, kernels=7, size=5, seed=0):
    rng = np.random.default_rng(seed)
    return PredictiveEncoder(unit(rng.standard_normal((kernels, size))), rng.standard_normal((kernels, size)),
                             rng.uniform(0.1, 0.5, kernels), rng.uniform(0.5, 1.5, kernels), kind)


def planted(count=600, kernels=16, size=20, active=2, seed=1):
    """Vectors of few atoms each, and the atoms."""
    rng = np.random.default_rng(seed)
    atoms = unit(rng.standard_normal((kernels, size)))
    codes = np.zeros((count, kernels))
    for row in codes:
        row[rng.choice(kernels, active, replace=False)] = rng.choice([-1, 1], active) * rng.uniform(0.5, 1.5, active)
    return codes @ atoms, atoms, codes


@pytest.mark.parametrize("kind", ["tanh", "shrink"])
def test_gradients_are_the_differences_of_the_squared_error(kind):
    encoder, rng = some_encoder(kind), np.random.default_rng(2)
    x, z = rng.standard_normal((11, 5)), rng.standard_normal((11, 7))

    def error(weights, bias, gain):
        moved = PredictiveEncoder(encoder.atoms, weights, bias, gain, kind)
        return 0.5 * np.square(moved.encode(x) - z).sum() / len(x)

    at, step = [encoder.weights, encoder.bias, encoder.gain], 1e-6
    for which, gradient in enumerate(encoder.gradients(x, z)):
        assert gradient.shape == at[which].shape and np.abs(gradient).max() > 1e-3
        for index in np.ndindex(gradient.shape):
            up, down = ([value.copy() for value in at] for _ in range(2))
            up[which][index] += step
            down[which][index] -= step
            assert abs((error(*up) - error(*down)) / (2 * step) - gradient[index]) < 1e-7


def test_the_encoders_by_hand():
    atoms = np.eye(2)
    tanh = PredictiveEncoder(atoms, 2 * atoms, np.array([0.5, 0.0]), np.array([3.0, 1.0]), "tanh")
    np.testing.assert_allclose(tanh.encode(np.array([[1.0, -1.0]])), [[3 * np.tanh(2.5), -np.tanh(2.0)]])
    shrink = PredictiveEncoder(atoms, 2 * atoms, np.array([0.5, 3.0]), np.array([3.0, 1.0]), "shrink")
    np.testing.assert_allclose(shrink.encode(np.array([[1.0, -1.0], [-1.0, 2.0]])), [[4.5, 0.0], [-4.5, 1.0]])


@pytest.mark.parametrize("prediction", [0.0, 0.7])
def test_codes_meet_the_conditions_of_the_minimum(prediction):
    """Where z is not 0 the smooth gradient is -lambda sign(z), elsewhere it is at most lambda."""
    encoder, x = some_encoder("tanh"), np.random.default_rng(3).standard_normal((9, 5))
    foretold = encoder.encode(x)
    z = sparse_codes(x, encoder.atoms, 0.2, foretold=foretold, prediction=prediction, iterations=4000)
    gradient = (z @ encoder.atoms - x) @ encoder.atoms.T + prediction * (z - foretold)
    on = z != 0
    assert 0.1 < on.mean() < 0.95
    np.testing.assert_allclose(gradient[on], -0.2 * np.sign(z[on]), atol=1e-6)
    assert np.abs(gradient[~on]).max() <= 0.2 + 1e-6


def test_codes_of_orthonormal_atoms_are_shrunk_projections():
    atoms, _ = np.linalg.qr(np.random.default_rng(4).standard_normal((5, 5)))
    x = np.random.default_rng(5).standard_normal((6, 5))
    drive = x @ atoms.T
    np.testing.assert_allclose(sparse_codes(x, atoms, 0.3), np.sign(drive) * np.maximum(np.abs(drive) - 0.3, 0))
    # With the pull of a prediction: the shrunk mean of the two.
    pulled = sparse_codes(x, atoms, 0.3, foretold=np.ones((6, 5)), prediction=2.0)
    both = drive + 2.0
    np.testing.assert_allclose(pulled, np.sign(both) * np.maximum(np.abs(both) - 0.3, 0) / 3.0, atol=1e-12)


def test_codes_against_another_minimiser():
    encoder, x = some_encoder("tanh", 4, 3), np.random.default_rng(6).standard_normal((1, 3))

    def cost(parts):  # z = parts[:4] - parts[4:], both not negative: smooth
        z = (parts[:4] - parts[4:])[None]
        return float(objective(x, z, encoder, 0.1, 0.5)[0]) + 0.1 * float(parts.sum() - np.abs(z).sum())

    found = minimize(cost, np.full(8, 0.1), bounds=[(0, None)] * 8, options={"ftol": 1e-15, "gtol": 1e-10}).fun
    z = sparse_codes(x, encoder.atoms, 0.1, foretold=encoder.encode(x), prediction=0.5, iterations=3000)
    np.testing.assert_allclose(objective(x, z, encoder, 0.1, 0.5)[0], found, rtol=1e-6)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), rate=st.floats(0.05, 1.0), kind=st.sampled_from(["tanh", "shrink"]))
def test_no_step_raises_what_it_descends(seed, rate, kind):
    rng = np.random.default_rng(seed)
    encoder, x = some_encoder(kind, seed=seed), rng.standard_normal((20, 5))
    start = rng.standard_normal((20, 7))
    foretold = encoder.encode(x)
    z = sparse_codes(x, encoder.atoms, 0.1, foretold=foretold, prediction=1.0, iterations=3, start=start)
    assert np.all(objective(x, z, encoder, 0.1, 1.0) <= objective(x, start, encoder, 0.1, 1.0))
    atoms = dictionary_step(encoder.atoms, x, z, rate)
    np.testing.assert_allclose(np.linalg.norm(atoms, axis=1), 1.0)
    assert np.square(x - z @ atoms).sum() <= np.square(x - z @ encoder.atoms).sum() * (1 + 1e-12)
    moved = encoder_step(encoder, x, z, rate)
    assert np.square(moved.encode(x) - z).sum() < np.square(foretold - z).sum()
    assert kind == "tanh" or moved.bias.min() >= 0


def test_a_dictionary_without_activity_stays():
    atoms = unit(np.random.default_rng(0).standard_normal((3, 4)))
    np.testing.assert_array_equal(dictionary_step(atoms, np.ones((2, 4)), np.zeros((2, 3)), 1.0), atoms)


def test_planted_atoms_are_found_up_to_order_and_sign():
    x, atoms, codes = planted()
    trained = train(PredictiveParams(kernels=16, threshold=0.05, prediction=0.0, passes=50, batch=100), x)
    match = np.abs(trained.encoder.atoms @ atoms.T)
    rows, columns = linear_sum_assignment(-match)
    assert np.count_nonzero(match[rows, columns] > 0.9) >= 15  # two atoms may share what a third stands for
    found = np.abs(trained.codes)[:, rows[np.argsort(columns)]]
    assert np.corrcoef(found.ravel(), np.abs(codes).ravel())[0, 1] > 0.95


@pytest.mark.parametrize("kind", ["tanh", "shrink"])
def test_training_in_one_batch_never_raises_the_objective_and_foretells_new_codes(kind):
    x, _, _ = planted(count=500)
    params = PredictiveParams(kernels=16, threshold=0.1, nonlinearity=kind, passes=60, batch=400, seed=3)
    seen: list[tuple[int, float]] = []
    trained = train(params, x[:400], progress=lambda done, cost: seen.append((done, cost)))
    assert trained.reseeded == 0 and np.all(np.diff(trained.objective) <= 1e-9)
    assert trained.objective[-1] < 0.6 * trained.objective[0]
    assert seen[-1] == (60, trained.objective[-1]) and len(seen) == 60
    encoder, new = trained.encoder, x[400:]
    foretold = encoder.encode(new)
    best = sparse_codes(new, encoder.atoms, 0.1, foretold=foretold, prediction=1.0)
    untrained = PredictiveEncoder(encoder.atoms, encoder.atoms, 0 * encoder.bias, 0 * encoder.gain + 1.0, kind)

    def missed(codes):
        return np.linalg.norm(codes - best) / np.linalg.norm(best)

    assert missed(foretold) < 0.5 < missed(untrained.encode(new))


def test_the_same_seed_trains_the_same_encoder_and_dead_atoms_live_again():
    x, _, _ = planted(count=60)
    params = PredictiveParams(kernels=16, passes=6, batch=20, seed=5)
    one, other = train(params, x), train(params, x)
    for name in ("atoms", "weights", "bias", "gain"):
        np.testing.assert_array_equal(getattr(one.encoder, name), getattr(other.encoder, name))
    assert not np.array_equal(one.encoder.atoms, train(PredictiveParams(16, passes=6, batch=20), x).encoder.atoms)
    # Vectors of a plane, atoms across it: only those that become vectors of the data can serve.
    flat = np.zeros((40, 6))
    flat[:, :2] = np.random.default_rng(7).standard_normal((40, 2))
    start = np.eye(6)
    again = train(PredictiveParams(kernels=6, prediction=0.0, passes=8, batch=40), flat, start=start)
    assert again.reseeded >= 4
    assert np.count_nonzero(again.codes.any(axis=0)) > 2


@pytest.mark.parametrize("options, message", [
    ({"nonlinearity": "relu"}, "the nonlinearity must be one of tanh, shrink, not 'relu'"),
    ({"kernels": 0}, "kernels must be at least 1, not 0"),
    ({"passes": 0}, "passes must be at least 1, not 0"),
    ({"batch": 0}, "batch must be at least 1, not 0"),
    ({"iterations": 0}, "iterations must be at least 1, not 0"),
    ({"threshold": 0.0}, "the threshold must be a finite number above 0, not 0.0"),
    ({"prediction": -1.0}, "the weight of the prediction must be 0 or a finite number above it, not -1.0"),
    ({"rate": 1.5}, "the rate must be above 0 and at most 1, not 1.5"),
    ({"seed": -1}, "the seed must be 0 or more, not -1"),
])
def test_bad_parameters(options, message):
    with pytest.raises(InputError, match=re.escape(message)):
        PredictiveParams(**options)


def test_bad_vectors():
    params = PredictiveParams(kernels=3, passes=1)
    for x, message in ((np.ones(4), "two or more vectors that are not 0, (N, D), not on (4,)"),
                       (np.zeros((5, 4)), "two or more vectors that are not 0"),
                       (np.array([[1.0, 2.0], [np.nan, 1.0]]), "1 of the values to learn from are not finite")):
        with pytest.raises(InputError, match=re.escape(message)):
            train(params, x)
    with pytest.raises(InputError, match=re.escape("the starting atoms have the shape (2, 4), not (3, 4)")):
        train(params, np.eye(4), start=np.eye(4)[:2])
    with pytest.raises(InputError, match=re.escape("these atoms code vectors of 4 values, not of shape (2, 3)")):
        sparse_codes(np.ones((2, 3)), np.eye(4), 0.1)
    with pytest.raises(InputError, match="the threshold must be a finite number above 0, not -0.1"):
        sparse_codes(np.ones((2, 4)), np.eye(4), -0.1)
