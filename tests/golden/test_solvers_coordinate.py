"""Coordinate descent: its tables, its order, its borders."""

import numpy as np
import pytest

from striate.golden.dictionary import Dictionary
from striate.golden.solvers import Problem, coordinate, solve
from striate.golden.solvers.base import BORDERS
from striate.golden.solvers.coordinate import _sheet


@pytest.mark.parametrize("border", BORDERS)
def test_lateral_inhibition_is_the_gram_matrix(border, phi_matrix, atoms_of):
    """Row by row of Phi^T Phi, clipped kernels and kernels that come around included."""
    atoms, shape = atoms_of(0, 2, 2, 7, 7), (9, 12)
    g = Dictionary(atoms, 3).geometry(shape)
    phi = phi_matrix(atoms, 3, shape, border)
    gram = (phi.T @ phi).reshape(*g.code_shape, *g.code_shape)
    sheet = _sheet(g, border, atoms)
    for k, i, j in np.ndindex(*g.code_shape):
        row = np.zeros(g.code_shape)
        table = sheet.table[sheet.which[sheet.row_class[i], sheet.column_class[j]], k]
        for di in range(-g.reach, g.reach + 1):
            for dj in range(-g.reach, g.reach + 1):
                a, b = i + di, j + dj
                if border == "circular":
                    a, b = a % g.sheet[0], b % g.sheet[1]
                if 0 <= a < g.sheet[0] and 0 <= b < g.sheet[1]:
                    row[:, a, b] += table[di + g.reach, dj + g.reach]
        np.testing.assert_allclose(row, gram[k, i, j], atol=1e-12)
        assert sheet.norms[sheet.row_class[i], sheet.column_class[j], k] == pytest.approx(gram[k, i, j, k, i, j])


@pytest.mark.parametrize("border", BORDERS)
def test_sums_without_tables_are_the_same(border, atoms_of, monkeypatch):
    problem = Problem(np.random.default_rng(1).standard_normal((1, 12, 9)), Dictionary(atoms_of(0, 3, 1, 7, 7), 3),
                      0.3, True, border)
    known = solve(problem, "coordinate", iterations=3, tolerance=0)
    monkeypatch.setattr(coordinate, "TABLE_BYTES", 0)
    assert (_sheet(problem.conv.geometry, border, problem.dictionary.atoms).which < 0).any() == (border == "cropped")
    np.testing.assert_allclose(solve(problem, "coordinate", iterations=3, tolerance=0).code, known.code, atol=1e-12)


def test_the_first_unit_is_the_most_promising_one(atoms_of):
    """Whole sheet, kernels that nothing clips: the largest |match| above lambda moves first, to match - lambda."""
    problem = Problem(np.random.default_rng(1).standard_normal((1, 8, 8)), Dictionary(atoms_of(0, 3, 1, 4, 4), 2), 0.3,
                      border="extended")
    drive = problem.conv.analysis(problem.frame)
    best = np.unravel_index(np.argmax(np.abs(drive)), drive.shape)
    sheet = _sheet(problem.conv.geometry, "extended", problem.dictionary.atoms)
    y, d = np.zeros((4, 4, 3)), np.ascontiguousarray(drive.transpose(1, 2, 0))
    coordinate._descend(y, d, sheet, problem.dictionary.atoms, 2, problem.levels.ravel(), True, 4, (1, 1), 1,
                        np.empty((3, 3, 3)))
    assert np.count_nonzero(y) == 1
    value = y[best[1], best[2], best[0]]
    assert value == pytest.approx(np.sign(drive[best]) * (abs(drive[best]) - 0.3))
    # The drives are those of the new code: lateral inhibition reached everyone.
    np.testing.assert_allclose(d.transpose(2, 0, 1), -problem.gradient(y.transpose(2, 0, 1)), atol=1e-12)


def test_segments_or_the_whole_sheet_one_optimum(atoms_of):
    problem = Problem(np.random.default_rng(1).standard_normal((1, 16, 16)), Dictionary(atoms_of(0, 3, 1, 4, 4), 2),
                      0.3)
    whole = solve(problem, "coordinate", iterations=200, tolerance=1e-8, whole=True)
    parts = solve(problem, "coordinate", iterations=200, tolerance=1e-8)
    assert whole.objective == pytest.approx(parts.objective, rel=1e-7)


def test_a_kernel_that_sees_nothing_stays_silent():
    """All of its weight lies outside the image at the upper left: norm 0 there."""
    atom = np.zeros((1, 1, 5, 5))
    atom[0, 0, 0, 0] = 1.0
    problem = Problem(np.ones((1, 4, 4)), Dictionary(atom, 1), 0.1)
    found = solve(problem, "coordinate")
    assert not found.code[0, :2].any() and not found.code[0, :, :2].any()
    np.testing.assert_allclose(found.code[0, 2:, 2:], 0.9)
