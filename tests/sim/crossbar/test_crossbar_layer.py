"""The layer of arrays against the golden convolution, and its two directions against each other with wires on."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from striate.golden.conv import analysis, synthesis
from striate.sim.crossbar.device import device_of
from striate.sim.crossbar.layer import Layer
from striate.sim.crossbar.placement import Placement, parts, side_of
from striate.sim.design import Design


@st.composite
def designs(draw: st.DrawFn) -> Design:
    """Small networks on small arrays: uneven tiles, ragged patches, row and column parts."""
    stride = draw(st.integers(1, 3))
    patch = stride + 2 * draw(st.integers(0, 2))
    sheet = draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    return Design(
        image=tuple(n * stride for n in sheet),
        channels=draw(st.integers(1, 2)),
        kernels=draw(st.integers(1, 5)),
        patch=patch,
        stride=stride,
        tiles=tuple(draw(st.integers(1, n)) for n in sheet),
        rows=draw(st.sampled_from([3, 7, 16, 200])),
        columns=draw(st.sampled_from([2, 5, 16, 64])),
        placement=draw(st.sampled_from(["im2col", "toeplitz"])),
        mapping=draw(st.sampled_from(["differential", "two-sided", "offset"])),
        cell_bits=draw(st.sampled_from([0, 2, 3])),
        device="ideal",
        wire_ohm=0.0,
    )


def random_weights(design: Design, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-127, 128, design.geometry.dictionary_shape)


@settings(max_examples=60)
@given(designs(), st.integers(0, 99))
def test_without_effects_a_layer_is_the_convolution(design: Design, seed: int) -> None:
    weights, rng, g = random_weights(design, seed), np.random.default_rng(seed), design.geometry
    design.check_crossbar()
    exact = Layer.exact(Placement.of(design), weights)
    image, code = rng.normal(size=g.image_shape), rng.normal(size=g.code_shape)
    programmed = Layer.of(design, weights, device_of(design), seed)
    wanted = analysis(image, weights.astype(float), g.stride), synthesis(code, weights.astype(float), g.stride, g.image)
    for layer, tolerance in ((exact, 1e-13), (programmed, 1e-10)):
        assert np.allclose(layer.forward(image), wanted[0], rtol=0, atol=tolerance * 1e3)
        assert np.allclose(layer.backward(code), wanted[1], rtol=0, atol=tolerance * 1e3)
    tiles = design.machine.tiles[0] * design.machine.tiles[1]
    held = [programmed.placement.dictionary(matrix) for matrix in programmed.matrices(backward=True)]
    assert len(held) == tiles and np.allclose(held, weights[None], atol=1e-9)


@settings(max_examples=40)
@given(designs(), st.integers(0, 99), st.sampled_from(["differential", "two-sided"]))
def test_backward_is_the_adjoint_of_forward_with_wires(design: Design, seed: int, mapping: str) -> None:
    design = design.replace(
        device="wan2022", read_noise=0.0, wire_ohm=20.0, driver_ohm=50.0, sense_ohm=50.0, mapping=mapping
    )
    rng, g = np.random.default_rng(seed), design.geometry
    layer = Layer.of(design, random_weights(design, seed), device_of(design), seed)
    image, code = rng.normal(size=g.image_shape), rng.normal(size=g.code_shape)
    forward, backward = np.vdot(layer.forward(image), code), np.vdot(image, layer.backward(code))
    size = np.linalg.norm(layer.forward(image)) * np.linalg.norm(code)
    assert abs(forward - backward) <= 1e-12 * size


def test_wires_take_current_and_different_terminations_end_the_symmetry() -> None:
    design = Design(image=(8, 8), kernels=4, patch=8, stride=4, tiles=(1, 1), device="ideal", wire_ohm=20.0)
    weights = random_weights(design, 1)
    same, other = (
        Layer.of(changed, weights, device_of(changed), 0)
        for changed in (design, design.replace(driver_ohm=500.0, sense_ohm=5.0))
    )
    exact = Placement.of(design).matrix(weights)
    assert np.abs(same.tile_matrix(0)).sum() < np.abs(exact).sum()
    assert np.allclose(same.tile_matrix(0), same.tile_matrix(0, backward=True), rtol=0, atol=1e-9)
    assert not np.allclose(other.tile_matrix(0), other.tile_matrix(0, backward=True), rtol=1e-3)


def test_tiles_are_different_devices_whatever_else_is_programmed() -> None:
    design = Design(image=(16, 16), kernels=2, patch=4, stride=2, tiles=(2, 2), rows=8)
    weights = random_weights(design, 1)
    layer = Layer.of(design, weights, device_of(design), 5)
    first, second = layer.tile_matrix(0), layer.tile_matrix(1)
    assert not np.allclose(first, second)
    alone = design.replace(tiles=(1, 1))
    assert (Layer.of(alone, weights, device_of(alone), 5).tile_matrix(0) == first).all()
    assert not np.allclose(Layer.of(design, weights, device_of(design), 6).tile_matrix(0), first)


@pytest.mark.parametrize(
    ("change", "side"),
    [
        ({}, 1),
        ({"placement": "toeplitz"}, 2),  # 8 * 9 = 72 columns would not fit 64
        ({"placement": "toeplitz", "columns": 72}, 3),
        ({"placement": "toeplitz", "columns": 72, "mapping": "offset"}, 2),
        ({"placement": "toeplitz", "columns": 7}, 1),
        ({"placement": "toeplitz", "columns": 1000, "tiles": (16, 2)}, 4),  # the tile's own 4 rows of positions
        ({"placement": "toeplitz", "rows": 300, "row_split": False}, 1),  # 18 * 18 = 324 rows
        ({"placement": "toeplitz", "rows": 324, "row_split": False}, 2),
    ],
)
def test_a_toeplitz_read_takes_the_largest_square_that_fits(change: dict[str, Any], side: int) -> None:
    assert side_of(Design(**change)) == side


def test_the_default_design_by_hand() -> None:
    placement = Placement.of(Design())
    assert placement.shape == (256, 8)
    assert placement.row_parts == ((0, 128), (128, 256)) and placement.column_parts == ((0, 8),)
    assert len(placement.places) == 8 and placement.places[0].patches == 512
    toeplitz = Placement.of(Design(placement="toeplitz"))
    assert toeplitz.shape == (324, 32) and toeplitz.row_parts == ((0, 108), (108, 216), (216, 324))
    assert toeplitz.places[0].patches == 128


def test_parts_are_few_and_even() -> None:
    assert parts(10, 4) == ((0, 3), (3, 6), (6, 10))
    assert parts(4, 4) == ((0, 4),)
    assert parts(5, 1) == tuple((n, n + 1) for n in range(5))


def test_uneven_tiles_cover_every_position_once() -> None:
    places = Placement.of(Design(image=(14, 10), kernels=1, patch=2, stride=2, tiles=(3, 2))).places
    rows = [places[n].rows for n in (0, 2, 4)]
    assert rows == [(0, 2), (2, 4), (4, 7)] and [p.columns for p in places[:2]] == [(0, 2), (2, 5)]
    assert sum(place.patches for place in places) == 35
