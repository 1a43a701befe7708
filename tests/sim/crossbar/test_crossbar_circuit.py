"""Wire resistance: closed forms, an independent sparse solution, and what physics demands."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import spsolve

from striate.golden.errors import InputError
from striate.sim.crossbar.circuit import Circuit, backward_conductance, effective_conductance

Floats = NDArray[np.float64]


def devices(rng: np.random.Generator, m: int, n: int, low: float = 1e-6, high: float = 1e-4) -> Floats:
    return np.exp(rng.uniform(math.log(low), math.log(high), (m, n)))


def sparse_currents(g: Floats, r_word: float, r_bit: float, r_source: float, r_sense: float) -> Floats:
    """Currents of the columns for 1 V on each row alone: assembled here, node by node, solved by SuperLU."""
    m, n = g.shape
    rows: list[int] = []
    columns: list[int] = []
    values: list[float] = []

    def join(a: int | None, b: int | None, siemens: float) -> None:
        for one, other in ((a, b), (b, a)):
            if one is not None:
                rows.append(one)
                columns.append(one)
                values.append(siemens)
                if other is not None:
                    rows.append(one)
                    columns.append(other)
                    values.append(-siemens)

    for i in range(m):
        for j in range(n):
            w, b = i * n + j, m * n + j * m + i
            join(w, b, g[i, j])
            if j:
                join(w, w - 1, 1 / r_word)
            else:
                join(w, None, 1 / (r_word + r_source))
            if i < m - 1:
                join(b, b + 1, 1 / r_bit)
            else:
                join(b, None, 1 / (r_bit + r_sense))
    matrix = coo_matrix((values, (rows, columns)), shape=(2 * m * n, 2 * m * n)).tocsc()
    drive = np.zeros((2 * m * n, m))
    drive[np.arange(m) * n, np.arange(m)] = 1 / (r_word + r_source)
    volts = spsolve(matrix, drive)
    return np.asarray(volts[m * n + np.arange(n) * m + m - 1].T / (r_bit + r_sense)).reshape(m, n)


def test_one_cell_is_three_resistors():
    assert effective_conductance([[1 / 1000]], 10, 20)[0, 0] == pytest.approx(9.70873786407767e-4, rel=1e-14)
    assert effective_conductance([[1 / 1000]], 10, 20, 30, 40)[0, 0] == pytest.approx(1 / 1100, rel=1e-14)


def test_two_by_two_to_the_printed_digits():
    circuit = Circuit(1 / np.array([[1e3, 2e3], [4e3, 1e4]]), 10, 20)
    assert np.array([1.0, 0.5]) @ circuit.effective == pytest.approx([1.064790513e-3, 5.29098957e-4], rel=5e-10)
    w, b = circuit.node_voltages([[1.0], [0.5]], None)
    expected_w = [[0.9857409172031322, 0.9809371785919753], [0.49832018809740686, 0.49783293713940574]]
    expected_b = [[0.04020649863202816, 0.0201894563606291], [0.02129581026060608, 0.010581979138315638]]
    np.testing.assert_allclose(w[..., 0], expected_w, rtol=1e-14)
    np.testing.assert_allclose(b[..., 0], expected_b, rtol=1e-13)


@pytest.mark.parametrize("r_word", [0.0, 1e-9])
def test_a_column_of_four_is_a_ladder(r_word: float) -> None:
    found = effective_conductance(np.full((4, 1), 1e-3), r_word, 50)
    assert np.round(found[:, 0] * 1e3, 5).tolist() == [0.65003, 0.68254, 0.74916, 0.85325]
    ladder = np.diag([1.05, 2.05, 2.05, 2.05]) - np.diag([1.0] * 3, 1) - np.diag([1.0] * 3, -1)
    volts = np.linalg.solve(ladder, np.eye(4) * 0.05)  # of the column's nodes, in units of 1 / R_b
    np.testing.assert_allclose(found[:, 0], volts[-1] / 50, rtol=1e-8)


@pytest.mark.parametrize("shape", [(8, 5), (5, 8), (16, 16), (1, 7), (7, 1), (64, 64), (60, 23)])
def test_against_a_sparse_solution(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(sum(shape))
    g = devices(rng, *shape)
    for wires in ((1.5, 0.7, 0.0, 0.0), (1.0, 3.0, 200.0, 50.0)):
        expected = sparse_currents(g, *wires)
        assert np.abs(effective_conductance(g, *wires) / expected - 1).max() < 1e-10


def test_without_resistance_the_devices_bit_for_bit():
    g = devices(np.random.default_rng(1), 9, 4)
    g[2, 1] = 0
    assert np.array_equal(effective_conductance(g, 0, 0), g)
    assert np.array_equal(backward_conductance(g, 0, 0), g)


@pytest.mark.parametrize("case", list(itertools.product((0.0, 2.0), (0.0, 3.0), (0.0, 50.0), (0.0, 700.0))))
@pytest.mark.parametrize("shape", [(7, 5), (5, 7)])
def test_no_resistance_is_the_limit_of_little(shape: tuple[int, int], case: tuple[float, ...]) -> None:
    """Every combination of wires and terminations without resistance, against 1e-8 ohm in its place."""
    g = devices(np.random.default_rng(2), *shape)
    nearly = effective_conductance(g, *(max(r, 1e-8) for r in case))
    assert np.abs(effective_conductance(g, *case) / nearly - 1).max() < 1e-10


@pytest.mark.parametrize(
    "case", [(1.0, 2.0, 0.0, 0.0), (0.0, 2.0, 5.0, 0.0), (1e-3, 1e-3, 1000.0, 1000.0), (1, 0, 0, 3)]
)
def test_reciprocity_solved_both_ways(case: tuple[float, ...]) -> None:
    """Rows driven one at a time give the currents that columns driven one at a time give."""
    rng = np.random.default_rng(3)
    circuit = Circuit(devices(rng, 16, 8), *case)
    forward = np.einsum("ij,ija->aj", circuit.g_s, circuit.voltages_by_row())
    backward = np.einsum("ij,ijk->ik", circuit.g_s, circuit.voltages_by_column())
    r, y = rng.normal(size=(5, 16)), rng.normal(size=(5, 8))
    np.testing.assert_allclose(((r @ forward) * y).sum(1), (r * (y @ backward.T)).sum(1), rtol=1e-12)
    assert np.abs(forward - backward).max() < 1e-12 * circuit.effective.max()


def test_other_terminations_backward_are_another_circuit():
    g = devices(np.random.default_rng(4), 6, 4, 1e-4, 1e-3)
    forward = effective_conductance(g, 1, 2, 30, 500)
    backward = backward_conductance(g, 1, 2, 30, 500)  # drivers have 30 ohm, amplifiers 500, on either side
    assert np.abs(backward / forward - 1).max() > 0.01
    turned = sparse_currents(g[::-1, ::-1].T, 2, 1, 30, 500)  # rows and columns exchanged, ends kept
    np.testing.assert_allclose(backward, turned.T[::-1, ::-1], rtol=1e-11)
    assert np.array_equal(backward_conductance(g, 1, 2, 30, 30), effective_conductance(g, 1, 2, 30, 30))


@given(
    shape=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    ohms=st.tuples(*[st.sampled_from([0.0, 0.01, 1.0, 100.0])] * 4),
    seed=st.integers(0, 1000),
)
def test_turned_about_its_antidiagonal_an_array_is_the_same(
    shape: tuple[int, int], ohms: tuple[float, float, float, float], seed: int
) -> None:
    g = devices(np.random.default_rng(seed), *shape, 1e-6, 1e-3)
    r_word, r_bit, r_source, r_sense = ohms
    turned = effective_conductance(g[::-1, ::-1].T, r_bit, r_word, r_sense, r_source)
    np.testing.assert_allclose(effective_conductance(g, *ohms), turned.T[::-1, ::-1], rtol=3e-11)


@given(shape=st.tuples(st.integers(1, 6), st.integers(1, 6)), seed=st.integers(0, 1000), ohm=st.floats(1e-3, 1e4))
def test_wires_only_lose(shape: tuple[int, int], seed: int, ohm: float) -> None:
    """Passive: currents positive, those of a line in total below the devices' alone; all in all less in worse wires."""
    g = devices(np.random.default_rng(seed), *shape, 1e-6, 1e-3)
    found = effective_conductance(g, ohm, 2 * ohm)
    assert (found > 0).all()
    assert (found.sum(axis=1) < g.sum(axis=1)).all() and (found.sum(axis=0) < g.sum(axis=0)).all()
    assert effective_conductance(g, 2 * ohm, 2 * ohm).sum() < found.sum()  # all rows at 1 V (Rayleigh)


def test_first_order_law_and_a_second_order_remainder():
    g = devices(np.random.default_rng(5), 12, 9)
    m, n = g.shape
    along_row = np.minimum.outer(np.arange(n) + 1, np.arange(n) + 1)
    along_column = np.minimum.outer(m - np.arange(m), m - np.arange(m))

    def remainder(scale: float) -> float:
        r_word, r_bit = 1.5 * scale, 0.7 * scale
        first = -r_word * g * (g @ along_row) - r_bit * g * (along_column @ g)
        return float(np.abs(effective_conductance(g, r_word, r_bit) - g - first).max() / np.abs(first).max())

    assert remainder(1e-2) < 1e-4
    assert remainder(1e-2) / remainder(1e-3) == pytest.approx(10, rel=1e-2)


def test_device_voltages_are_sensitivities():
    """dG_eff[a, k] / dG_ij = u_ij^a z_ij^k (Tellegen), against a difference quotient."""
    rng = np.random.default_rng(6)
    g = devices(rng, 5, 4)
    circuit = Circuit(g, 20, 30, 100, 50)
    u, z = circuit.voltages_by_row(), circuit.voltages_by_column()
    for i, j in ((0, 0), (4, 3), (2, 1)):
        step = np.zeros_like(g)
        step[i, j] = 1e-4 * g[i, j]
        change = effective_conductance(g + step, 20, 30, 100, 50) - effective_conductance(g - step, 20, 30, 100, 50)
        np.testing.assert_allclose(change / (2 * step[i, j]), np.outer(u[i, j], z[i, j]), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize(
    ("shape", "low_ohm", "loss"),
    [
        ((32, 32), 1e4, 0.010),
        ((64, 64), 1e4, 0.040),
        pytest.param((256, 32), 1e4, 0.21, marks=pytest.mark.slow),
        pytest.param((256, 32), 1e5, 0.027, marks=pytest.mark.slow),
        pytest.param((256, 32), 1e6, 0.0028, marks=pytest.mark.slow),
    ],
)
def test_size_of_the_effect(shape: tuple[int, int], low_ohm: float, loss: float) -> None:
    """Gaussian weights, one-sided differential pair, on/off 100, 1 ohm a segment: expected losses within 15 %.

    The tolerance is for the draw, as the largest weight sets the scale: 64x64 loses 3.3 to 3.8 % over eight draws.
    """
    found = []
    for seed in range(4):
        weights = np.random.default_rng(seed).normal(size=shape)
        weights /= np.abs(weights).max()
        planes = [(0.01 + 0.99 * np.maximum(sign * weights, 0)) / low_ohm for sign in (1, -1)]
        with_wires = effective_conductance(planes[0], 1, 1) - effective_conductance(planes[1], 1, 1)
        ideal = planes[0] - planes[1]
        found.append(np.linalg.norm(with_wires - ideal) / np.linalg.norm(ideal))
    assert np.mean(found) == pytest.approx(loss, rel=0.15)


def test_open_ends():
    """A termination may be open; then nothing flows through it, and the other lines find their ground."""
    g = devices(np.random.default_rng(8), 4, 3)
    assert not effective_conductance(g, 1, 1, math.inf, 0).any()
    assert not effective_conductance(g, 1, 1, 0, math.inf).any()
    circuit = Circuit(g, 1, 1, 0, math.inf)  # columns float: they take a mean of the rows
    w, b = circuit.node_voltages(np.ones((4, 1)), None)
    np.testing.assert_allclose(w, 1, rtol=1e-12)
    np.testing.assert_allclose(b, 1, rtol=1e-12)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"r_word": -1.0}, "r_word is -1 ohm; give a finite number of ohms, 0 or more"),
        ({"r_bit": math.inf}, "r_bit is inf ohm; give a finite number"),
        ({"r_left": math.nan}, "the termination of the rows is nan ohm; give 0 or more, inf for an open line"),
        ({"r_bottom": -0.5}, "the termination of the columns is -0.5 ohm"),
        ({"g_s": [[1e-4, -1e-6]]}, r"conductance of cell \(0, 1\) is -1e-06 S; give a finite value of 0 or more"),
        ({"g_s": [[1e-4], [math.nan]]}, r"conductance of cell \(1, 0\) is nan S"),
        ({"g_s": [1.0, 2.0]}, r"conductances have shape \(2,\); give a matrix"),
        ({"g_s": np.zeros((0, 3))}, r"conductances have shape \(0, 3\)"),
        ({"g_s": [[1, 2], [3]]}, "conductances are not a matrix of numbers"),
        ({"r_left": math.inf, "r_bottom": math.inf}, "singular circuit: rows and columns are all open, row 0 floats"),
        ({"r_left": math.inf, "g_s": [[1, 1], [0, 0]]}, r"row 1 floats \(its end is open.*terminate the rows"),
        ({"r_bottom": math.inf, "g_s": [[0, 1], [0, 1]]}, "column 0 floats .*terminate the columns"),
    ],
)
def test_refused(change: dict[str, object], said: str) -> None:
    given_: dict[str, object] = {"g_s": [[1e-4, 1e-5], [1e-6, 1e-4]], "r_word": 1.0, "r_bit": 1.0} | change
    with pytest.raises(InputError, match=said) as caught:
        Circuit(**given_)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("g", [1e-20, 1e-30])
def test_conductances_too_far_apart(g: float) -> None:
    """An open row that reaches ground only through a device of 1e20 ohm, on wires of a micro-ohm."""
    with pytest.raises(InputError, match="singular circuit: .* within float64; bring"):
        Circuit(np.full((3, 3), g), 1e-6, 1e-6, math.inf, 0).voltages_by_column()


def test_driving_nothing_is_a_programming_mistake():
    with pytest.raises(ValueError, match="neither rows nor columns"):
        Circuit([[1e-4]], 1, 1).node_voltages(None, None)
