"""Counter-based random numbers: a function of seed, purpose, key and place, and of nothing else."""

import numpy as np
import pytest

from striate.sim.crossbar.streams import Stream, normals, stream, uniforms


def test_a_device_has_its_number_in_an_array_of_any_size():
    large = normals((40, 70), 3, Stream.PROGRAM, 1, 2)
    for shape in ((1, 1), (7, 70), (40, 3), (12, 33)):
        assert np.array_equal(normals(shape, 3, Stream.PROGRAM, 1, 2), large[: shape[0], : shape[1]])
    assert np.array_equal(uniforms((5, 4), 3, Stream.STUCK), uniforms((9, 8), 3, Stream.STUCK)[:5, :4])


def test_every_part_of_the_name_counts():
    base = normals((3, 5), 0, Stream.PROGRAM, 0, 1)
    others = [
        normals((3, 5), 1, Stream.PROGRAM, 0, 1),
        normals((3, 5), 0, Stream.DRIFT, 0, 1),
        normals((3, 5), 0, Stream.PROGRAM, 1, 0),
        normals((3, 5), 0, Stream.PROGRAM, 0, 1, 0),
        normals((3, 5), 0, Stream.PROGRAM, 0),
    ]
    for other in others:
        assert not np.isin(other, base).any()
    assert len(np.unique(base)) == base.size  # rows do not repeat one another


def test_what_was_drawn_before_does_not_matter():
    first = stream(5, Stream.FORWARD, 2).standard_normal(4)
    stream(5, Stream.FORWARD, 1).standard_normal(1000)
    assert np.array_equal(stream(5, Stream.FORWARD, 2).standard_normal(4), first)


@pytest.mark.parametrize(("draw", "mean", "variance"), [(normals, 0.0, 1.0), (uniforms, 0.5, 1 / 12)])
def test_the_distribution_is_the_one_named(draw, mean, variance):
    x = draw((300, 300), 11, Stream.DEVICE)
    assert abs(x.mean() - mean) < 4 * np.sqrt(variance / x.size)
    assert abs(x.var() / variance - 1) < 4 * np.sqrt(2 / x.size)
    neighbours = np.corrcoef(x[:-1].ravel(), x[1:].ravel())[0, 1]
    assert abs(neighbours) < 4 / np.sqrt(x.size)
