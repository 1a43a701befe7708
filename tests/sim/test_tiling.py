"""Index arithmetic of tiles and the layout of the weight memory, against plain enumeration."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from striate.golden.geometry import Geometry
from striate.sim.layout import WeightLayout
from striate.sim.tiling import DIRECTIONS, OPPOSITE, Tiling


@st.composite
def tilings(draw: st.DrawFn) -> Tiling:
    stride = draw(st.sampled_from([1, 2, 3, 4]))
    patch = stride + 2 * draw(st.integers(0, 5))
    kernels = draw(st.integers(1, 6))
    tiles = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    need = [max(1, -(-(patch - stride) // stride)) if n > 1 else 1 for n in tiles]
    block = [draw(st.integers(n, n + 3)) for n in need]
    geometry = Geometry(
        (tiles[0] * block[0] * stride, tiles[1] * block[1] * stride), draw(st.integers(1, 2)), kernels, patch, stride
    )
    lanes = draw(st.sampled_from([1, 2, 4, 8]))
    gather = draw(
        st.sampled_from([kernels, 2 * kernels, 4 * kernels, *[n for n in range(1, kernels) if kernels % n == 0]])
    )
    return Tiling(geometry, tiles, gather, lanes, draw(st.sampled_from([n for n in (1, 2, 4, 8) if n <= lanes])))


@settings(max_examples=60, deadline=None)
@given(tilings())
def test_covering_positions_are_those_whose_patch_holds_the_pixel(t: Tiling) -> None:
    p, s = t.geometry.patch, t.geometry.stride
    for axis in (0, 1):
        first, count = t.covering(axis)
        for pixel in range(t.region[axis]):
            want = [i for i in range(t.block[axis]) if s * i <= pixel < s * i + p]
            assert list(range(first[pixel], first[pixel] + count[pixel])) == want


@settings(max_examples=60, deadline=None)
@given(tilings())
def test_visible_part_of_a_patch_is_what_lies_in_the_region(t: Tiling) -> None:
    g = t.geometry
    for axis in (0, 1):
        first, count = t.visible(axis)
        for n, position in enumerate(range(-g.reach, t.block[axis] + g.reach)):
            want = [a for a in range(g.patch) if 0 <= g.stride * position + a < t.region[axis]]
            assert list(range(first[n], first[n] + count[n])) == want and want


@settings(max_examples=60, deadline=None)
@given(tilings())
def test_events_are_sent_exactly_to_the_neighbours_whose_region_they_touch(t: Tiling) -> None:
    g, mask = t.geometry, t.send_mask()
    for i in range(t.block[0]):
        for j in range(t.block[1]):
            for b, (di, dj) in enumerate(DIRECTIONS):
                y, x = g.stride * (i - di * t.block[0]), g.stride * (j - dj * t.block[1])
                touches = y + g.patch > 0 and y < t.region[0] and x + g.patch > 0 and x < t.region[1]
                assert bool(mask[i, j] >> b & 1) == touches


@settings(max_examples=40, deadline=None)
@given(tilings())
def test_neighbours_are_mutual_and_regions_cover_what_neurons_see(t: Tiling) -> None:
    g = t.geometry
    for tile in range(t.count):
        (row, col), (y0, x0) = t.place(tile), t.origin(tile)
        assert y0 == row * t.block[0] * g.stride - g.margin and x0 == col * t.block[1] * g.stride - g.margin
        for b in range(8):
            other = t.neighbour(tile, b)
            assert other < 0 or t.neighbour(other, OPPOSITE[b]) == tile


@settings(max_examples=40, deadline=None)
@given(tilings(), st.integers(0, 1000))
def test_weight_memory_holds_each_weight_where_gather_and_scatter_look(t: Tiling, seed: int) -> None:
    g, w = t.geometry, WeightLayout(t)
    weights = np.random.default_rng(seed).integers(-100, 100, g.dictionary_shape)
    image = w.pack(weights)
    assert image.shape == (w.depth, w.banks, w.bank_lanes) and w.beats(weights).size == w.beat_count
    per, ppc = t.kernels_per_cycle, w.banks
    for k, c, a, b in np.ndindex(*g.dictionary_shape):
        phase, q = b % g.stride, b // g.stride
        address = ((c * g.patch + a) * g.stride + phase) * w.column_words + q // ppc
        assert image[address * t.kernel_groups + k // per, -q % ppc, k % per] == weights[k, c, a, b]
        index = ((k * g.channels + c) * g.patch + a) * t.patch_groups + b // t.scatter_lanes
        flat = image[w.gather_depth + index // w.share].reshape(-1)
        assert flat[index % w.share * t.scatter_lanes + b % t.scatter_lanes] == weights[k, c, a, b]
    inside = np.abs(image).sum()
    assert inside == 2 * np.abs(weights).sum()  # twice each weight, zeros elsewhere
