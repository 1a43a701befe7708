"""Read noise in law: the formula written out, and brute force (every device redrawn, every circuit solved again)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import linalg

from striate.golden.errors import InputError
from striate.sim.crossbar.circuit import Circuit, backward_conductance, effective_conductance
from striate.sim.crossbar.streams import Stream, stream
from striate.sim.crossbar.wires.noise import ReadNoise, draw, total

Floats = NDArray[np.float64]


def devices(seed: int, m: int, n: int) -> Floats:
    return np.random.default_rng(seed).uniform(1e-6, 1e-4, (m, n))


def written_out(sigma: Floats, circuit: Circuit, drive: Floats, *, backward: bool = False) -> Floats:
    """sum_ij sigma_ij^2 (u_ij z_ij^k)^2 for every drive and output, no term left out."""
    by_row, by_column = circuit.voltages_by_row(), circuit.voltages_by_column()
    driven, sensed = (by_column, by_row) if backward else (by_row, by_column)
    voltages = np.einsum("ija,ba->bij", driven, drive)
    return np.einsum("ij,bij,ijk->bk", sigma**2, voltages**2, sensed**2)


def scores(samples: Floats, variance: Floats) -> Floats:
    """How many standard errors the variances (and means) of N samples are from the law's: normal in law."""
    n = len(samples)
    of_variance = (samples.var(axis=0, ddof=1) / variance - 1) / np.sqrt(2 / (n - 1))
    of_mean = samples.mean(axis=0) / np.sqrt(variance / n)
    return np.abs(np.concatenate([of_variance, of_mean]))


def test_without_wires_against_brute_force():
    rng = np.random.default_rng(1)
    g = devices(1, 16, 8)
    sigma = 0.05 * g
    law = ReadNoise(sigma)
    r, y = rng.normal(size=(1, 16)), rng.normal(size=(1, 8))
    changes = rng.normal(size=(20_000, 16, 8)) * sigma
    assert scores((r @ changes)[:, 0], law.forward_variance(r)[0]).max() < 4
    assert scores(changes @ y[0], law.backward_variance(y)[0]).max() < 4


@pytest.mark.parametrize("count", [2500, pytest.param(25_000, marks=pytest.mark.slow)])
def test_with_wires_against_brute_force(count: int) -> None:
    """16x8, wires bad enough that the law of ideal wires is far off; other terminations backward."""
    rng = np.random.default_rng(2)
    g = devices(2, 16, 8)
    sigma = 0.02 * g
    ends = {"r_word": 50.0, "r_bit": 80.0, "r_source": 100.0, "r_sense": 300.0}
    forward = Circuit(g, 50, 80, 100, 300)
    law = ReadNoise(sigma, forward, Circuit(g, 50, 80, 300, 100))
    r, y = np.abs(rng.normal(size=(1, 16))), np.abs(rng.normal(size=(1, 8)))
    at_rows, at_columns = [], []
    for _ in range(count):
        drawn = g + rng.normal(size=g.shape) * sigma
        at_columns.append(r[0] @ effective_conductance(drawn, **ends))
        at_rows.append(backward_conductance(drawn, **ends) @ y[0])
    at_columns -= r[0] @ forward.effective
    at_rows -= backward_conductance(g, **ends) @ y[0]
    assert scores(at_columns, law.forward_variance(r)[0]).max() < 4
    assert scores(at_rows, law.backward_variance(y)[0]).max() < 4
    ideal = ReadNoise(sigma)
    assert scores(at_columns, ideal.forward_variance(r)[0]).max() > 15
    assert scores(at_rows, ideal.backward_variance(y)[0]).max() > 15


@pytest.mark.parametrize("shape", [(12, 7), (5, 9), (1, 4), (4, 1), (1, 1)])
@pytest.mark.parametrize("ohms", [(1.0, 2.0, 0.0, 0.0), (0.0, 5.0, 30.0, 9.0), (100.0, 0.0, 0.0, 0.0)])
def test_nothing_left_out_at_tolerance_0(shape: tuple[int, int], ohms: tuple[float, float, float, float]) -> None:
    rng = np.random.default_rng(3)
    g = devices(3, *shape)
    circuit = Circuit(g, *ohms)
    sigma = rng.uniform(0, 1e-6, shape)
    law = ReadNoise(sigma, circuit, tolerance=0)
    r, y = rng.normal(size=(6, shape[0])), rng.normal(size=(6, shape[1]))
    np.testing.assert_allclose(law.forward_variance(r), written_out(sigma, circuit, r), rtol=1e-11)
    np.testing.assert_allclose(law.backward_variance(y), written_out(sigma, circuit, y, backward=True), rtol=1e-11)
    single = law.forward_variance(r, single=True)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, law.forward_variance(r), rtol=1e-5)


@given(
    tolerance=st.sampled_from([1e-1, 1e-2, 1e-3, 1e-5]),
    ohm=st.sampled_from([0.1, 3.0, 60.0]),
    shape=st.tuples(st.integers(1, 20), st.integers(1, 8)),
    share=st.floats(0, 1),
    seed=st.integers(0, 99),
)
def test_the_error_is_within_the_tolerance_for_every_drive(
    tolerance: float, ohm: float, shape: tuple[int, int], share: float, seed: int
) -> None:
    """The worst drive, by eigenvalues: of the law's form minus the exact one, relative to the exact diagonal."""
    rng = np.random.default_rng(seed)
    g = devices(seed, *shape)
    circuit = Circuit(g, ohm, ohm)
    sigma = g * (rng.random(shape) < share)  # some devices without noise
    law = ReadNoise(sigma, circuit, tolerance=tolerance)
    for size, variance, backward in (
        (shape[0], law.forward_variance, False),
        (shape[1], law.backward_variance, True),
    ):
        ones = np.eye(size)
        pairs = (ones[:, None] + ones[None]).reshape(-1, size)

        def form(found: Floats, of_pairs: Floats, size: int = size) -> Floats:
            """(outputs, size, size) by polarisation."""
            crossed = of_pairs.reshape(size, size, -1) - found[:, None] - found[None]
            return np.moveaxis(crossed / 2, 2, 0)

        exact = form(*(written_out(sigma, circuit, v, backward=backward) for v in (ones, pairs)))
        given_ = form(*(np.asarray(variance(v)) for v in (ones, pairs)))
        for true, found in zip(exact, given_, strict=True):
            unit = 1 / np.sqrt(np.maximum(np.diag(true), 1e-9 * np.diag(true).max() + 1e-300))
            error = (found - true) * unit[:, None] * unit
            assert np.abs(linalg.eigvalsh(error)).max() <= tolerance * 1.001 + 1e-12


def test_few_squares_are_enough():
    """The point of the law: a 64x16 array on 1 ohm wires needs at most a few products instead of 64."""
    g = devices(4, 64, 16)
    law = ReadNoise(0.01 * g, Circuit(g, 1, 1))
    r = np.random.default_rng(4).normal(size=(50, 64))
    exact = written_out(0.01 * g, Circuit(g, 1, 1), r)
    assert law._forward.outputs.size <= 6 * 16
    np.testing.assert_allclose(law.forward_variance(r), exact, rtol=1e-2)
    assert np.abs(ReadNoise(0.01 * g).forward_variance(r) / exact - 1).max() > 0.03


def test_without_wires_the_products_are_exact():
    rng = np.random.default_rng(5)
    sigma = rng.random((7, 5))
    r, y = rng.normal(size=(3, 7)), rng.normal(size=(3, 5))
    for law in (ReadNoise(sigma), ReadNoise(sigma, Circuit(np.ones((7, 5)), 0, 0))):
        np.testing.assert_allclose(law.forward_variance(r), r**2 @ sigma**2, rtol=1e-14)
        np.testing.assert_allclose(law.backward_variance(y), y**2 @ sigma.T**2, rtol=1e-14)
        narrow = law.forward_variance(r.astype(np.float32))
        assert narrow.dtype == np.float32
        np.testing.assert_allclose(narrow, r**2 @ sigma**2, rtol=2e-6)
    assert not ReadNoise(np.zeros((7, 5))).forward_variance(r).any()


def test_small_units_survive_single_precision():
    """Siemens and millivolts squared are near the end of float32's range; the tables are scaled."""
    sigma = np.full((4, 3), 1e-17)
    found = ReadNoise(sigma).forward_variance(np.full((1, 4), 100.0), single=True)
    np.testing.assert_allclose(found, 4e-30, rtol=1e-6)


@pytest.mark.parametrize("tolerance", [0.0, 1e-4])
def test_twins_add(tolerance: float) -> None:
    rng = np.random.default_rng(6)
    r, y = rng.normal(size=(4, 10)), rng.normal(size=(4, 6))
    planes = [(0.01 * g, Circuit(g, 20, 20)) for g in (devices(7, 10, 6), devices(8, 10, 6))]
    laws = [ReadNoise(sigma, circuit, tolerance=tolerance) for sigma, circuit in planes]
    both = laws[0] + laws[1]
    expected = sum(written_out(sigma, circuit, r) for sigma, circuit in planes)
    np.testing.assert_allclose(both.forward_variance(r), expected, rtol=1e-3)
    expected = sum(written_out(sigma, circuit, y, backward=True) for sigma, circuit in planes)
    np.testing.assert_allclose(total(laws).backward_variance(y), expected, rtol=1e-3)
    mixed = laws[0] + ReadNoise(planes[1][0], tolerance=tolerance)  # a twin without wire resistance
    expected = written_out(*planes[0], r) + r**2 @ planes[1][0] ** 2
    np.testing.assert_allclose(mixed.forward_variance(r), expected, rtol=1e-3)
    with pytest.raises(ValueError, match="not twins"):
        laws[0] + ReadNoise(np.ones((10, 5)))


def test_prepared_laws_are_the_same_and_the_circuits_are_freed():
    g = devices(9, 8, 5)
    circuit = Circuit(g, 5, 5)
    effective = circuit.effective
    prepared = ReadNoise(g, circuit).prepare()
    assert "_system" not in circuit.__dict__ and "_rows" not in circuit.__dict__
    assert circuit.effective is effective
    r = np.random.default_rng(9).normal(size=(3, 8))
    assert np.array_equal(prepared.forward_variance(r), ReadNoise(g, Circuit(g, 5, 5)).forward_variance(r))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (([[1.0, -2.0]],), r"read noise of cell \(0, 1\) is -2; give a finite value of 0 or more"),
        (([[np.nan]],), r"read noise of cell \(0, 0\) is nan"),
        (([1.0],), r"read noise has shape \(1,\); give a matrix"),
        (([[1.0]], Circuit([[1.0, 1.0]], 1, 1)), r"read noise has shape \(1, 1\), its circuit \(1, 2\); give one per"),
        (([[1.0]], None, Circuit([[1.0, 1.0]], 1, 1)), r"its circuit \(1, 2\)"),
    ],
)
def test_refused(arguments: tuple[object, ...], said: str) -> None:
    with pytest.raises(InputError, match=said):
        ReadNoise(*arguments)  # type: ignore[arg-type]


def test_refused_tolerances_and_drives():
    for wrong in (-0.1, 1.0, float("nan")):
        with pytest.raises(InputError, match="tolerance of the read noise is .*; give 0 or more, below 1"):
            ReadNoise([[1.0]], tolerance=wrong)
    for drive in (np.zeros(1), np.zeros((2, 3)), np.zeros((2, 1), int)):
        with pytest.raises(ValueError, match=r"give \(batch, 1\) float32 or float64"):
            ReadNoise([[1.0]]).forward_variance(drive)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_drawn_noise_has_its_variance(kind: type) -> None:
    variance = np.repeat(np.array([[0.0, 1e-12, 4.0]]), 20_000, axis=0).astype(kind)
    kept = variance.copy()
    noise = draw(stream(1, Stream.FORWARD, 0), variance)
    assert noise.dtype == kind and noise.shape == variance.shape and np.array_equal(variance, kept)
    assert not noise[:, 0].any()
    assert scores(noise[:, 1:].astype(np.float64), np.array([1e-12, 4.0])).max() < 4
    assert np.array_equal(noise, draw(stream(1, Stream.FORWARD, 0), variance))
    assert not np.array_equal(noise, draw(stream(1, Stream.FORWARD, 1), variance))
