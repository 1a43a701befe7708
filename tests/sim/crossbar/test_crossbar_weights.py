"""Mappings and their inverse, for any whole matrix; slices; reference cells."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from striate.golden.errors import InputError
from striate.sim.crossbar.device import DEVICES, states_needed
from striate.sim.crossbar.devices.cell import Device
from striate.sim.crossbar.weights import (
    Mapped,
    backward_matrix,
    forward_matrix,
    full_scale_of,
    map_weights,
    recovered,
)

MAPPINGS = ("differential", "two-sided", "offset")
WEIGHTS = hnp.arrays(
    np.int64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=7), elements=st.integers(-(2**13), 2**13)
)


def targets(mapped: Mapped) -> list[list[np.ndarray]]:
    return [[plane.target_s for plane in planes] for planes in mapped.slices]


def device_with(levels: int) -> Device:
    return Device("d", "", "", 1.0, 39.26, levels=levels)


@settings(max_examples=60, deadline=None)
@given(WEIGHTS, st.sampled_from(MAPPINGS), st.integers(0, 15), st.sampled_from(["wan2022", "generic", "milo2021"]))
def test_the_inverse_gives_the_weights_back(w, mapping, cell_bits, name):
    device = DEVICES[name]
    mapped = map_weights(w, device, mapping, cell_bits)
    held = targets(mapped)
    assert np.abs(recovered(mapped, held) - w).max() < 1e-8
    for matrix in (forward_matrix, backward_matrix):
        slices = [matrix(mapped, s, held[s]) for s in range(len(held))]
        total = sum(2.0**shift * part for shift, part in zip(mapped.shifts, slices, strict=True))
        assert np.abs(total - w).max() < 1e-8
        for part in slices:  # a slice holds whole numbers within its full scale
            assert np.abs(part - np.rint(part)).max() < 1e-9 and np.abs(part).max() < mapped.full_scale + 1e-9
    for plane in (plane for planes in held for plane in planes):
        assert device.g_min_s <= plane.min() and plane.max() <= device.g_max_s


@settings(max_examples=40, deadline=None)
@given(WEIGHTS, st.sampled_from(MAPPINGS), st.integers(0, 5))
def test_just_enough_states_hold_every_weight(w, mapping, cell_bits):
    full = full_scale_of(w)
    if cell_bits:
        full = min(full, (1 << cell_bits) - 1)
    device = device_with(states_needed(mapping, full))
    mapped = map_weights(w, device, mapping, cell_bits if full < full_scale_of(w) else 0)
    held = [[device.quantised(plane) for plane in planes] for planes in targets(mapped)]
    assert np.abs(recovered(mapped, held) - w).max() < 1e-9


def test_one_state_less_loses_some_weights():
    w = np.arange(-127, 128).reshape(5, 51)
    for mapping in MAPPINGS:
        device = device_with(states_needed(mapping, 127) - 1)
        mapped = map_weights(w, device, mapping)
        held = [[device.quantised(plane) for plane in planes] for planes in targets(mapped)]
        assert 0.4 < np.abs(recovered(mapped, held) - w).max() < 1.1


def test_each_mapping_as_it_is_drawn():
    device, w = Device("d", "", "", 1.0, 8.0), np.array([[7, -3, 0]])
    us = 1e-6
    plus, minus = targets(map_weights(w, device, "differential"))[0]
    assert plus / us == pytest.approx(np.array([[8, 1, 1]])) and minus / us == pytest.approx(np.array([[1, 4, 1]]))
    plus, minus = targets(map_weights(w, device, "two-sided"))[0]
    assert plus / us == pytest.approx(np.array([[8, 3, 4.5]])) and minus / us == pytest.approx(np.array([[1, 6, 4.5]]))
    (plane,) = targets(map_weights(w, device, "offset"))[0]
    assert plane / us == pytest.approx(np.array([[8, 3, 4.5, 4.5], [4.5, 4.5, 4.5, 4.5]]))
    signs = [plane.sign for plane in map_weights(w, device, "two-sided").slices[0]]
    assert signs == [1, -1] and map_weights(w, device, "offset").slices[0][0].sign == 1


def test_slices_are_digits_with_the_sign_of_the_weight():
    w = np.array([[0b1101101, -0b0110110]])
    mapped = map_weights(w, DEVICES["isaac"], "differential", 2)
    assert mapped.shifts == (0, 2, 4, 6) and mapped.full_scale == 3 and mapped.planes == 8
    digits = [np.rint(forward_matrix(mapped, s, held)).astype(int).tolist() for s, held in enumerate(targets(mapped))]
    assert digits == [[[0b01, -0b10]], [[0b11, -0b01]], [[0b10, -0b11]], [[0b01, 0]]]


def test_arrays_of_one_dictionary_share_their_full_scale():
    device = DEVICES["generic"]
    small = map_weights(np.array([[1, -2]]), device, "differential", full_scale=127)
    assert small.unit_s == map_weights(np.array([[127]]), device, "differential").unit_s
    assert full_scale_of(np.array([0, 0])) == 1 and full_scale_of([64]) == 64 and full_scale_of([-75, 63]) == 75
    assert full_scale_of(np.zeros((0, 3), int)) == 1


def test_offset_subtracts_the_reference_column_forward_and_the_row_backward():
    rng = np.random.default_rng(0)
    mapped = map_weights(rng.integers(-7, 8, (4, 3)), DEVICES["generic"], "offset")
    g = rng.uniform(1e-6, 9e-6, (5, 4))
    v, y = rng.standard_normal(4), rng.standard_normal(3)
    currents = np.append(v, 0) @ g
    assert v @ forward_matrix(mapped, 0, [g]) == pytest.approx((currents[:3] - currents[3]) / mapped.unit_s)
    currents = g @ np.append(y, 0)
    assert backward_matrix(mapped, 0, [g]) @ y == pytest.approx((currents[:4] - currents[4]) / mapped.unit_s)


@pytest.mark.parametrize("mapping", ["differential", "two-sided"])
def test_a_pair_is_read_with_the_same_weights_in_both_directions(mapping):
    rng = np.random.default_rng(1)
    mapped = map_weights(rng.integers(-7, 8, (4, 3)), DEVICES["generic"], mapping)
    pair = [rng.uniform(1e-6, 9e-6, (4, 3)) for _ in range(2)]
    assert np.array_equal(forward_matrix(mapped, 0, pair), backward_matrix(mapped, 0, pair))
    assert forward_matrix(mapped, 0, pair) == pytest.approx((pair[0] - pair[1]) / mapped.unit_s)


@pytest.mark.parametrize(
    ("weights", "full_scale", "word"),
    [
        (np.ones((2, 2)), None, "whole numbers"),
        (np.ones(3, int), None, "must be a matrix"),
        (np.full((2, 2), 9), 7, "a weight of 9 is beyond the full scale 7"),
    ],
)
def test_weights_that_cannot_be_mapped(weights, full_scale, word):
    with pytest.raises(ValueError, match=word):
        map_weights(weights, DEVICES["generic"], "differential", 0, full_scale)


def test_slices_that_a_cell_has_no_states_for_are_the_users_mistake():
    with pytest.raises(InputError, match="cell_bits = 3 needs 8 states of a cell .* has 4; use cell_bits = 2 or 0"):
        map_weights(np.ones((1, 1), int), DEVICES["isaac"], "differential", 3)


@pytest.mark.parametrize("levels", [3, 4, 15, 16, 256])
def test_an_offset_reference_is_a_state(levels):
    """So that a weight of 0 is 0, and errors of rounding have no common sign."""
    device, w = device_with(levels), np.arange(-75, 76)[None]
    mapped = map_weights(w, device, "offset")
    held = [device.quantised(targets(mapped)[0][0])]
    for matrix in (forward_matrix, backward_matrix):
        found = matrix(mapped, 0, held)[0]
        assert found[75] == 0 and np.abs(found + found[::-1]).max() < 1e-9  # odd in the weight
        assert np.abs(found - w[0]).max() <= 75 / ((levels - 1) // 2) / 2 + 1e-9


def test_cells_that_hold_half_a_range_exactly():
    w = np.array([[-1, 0, 1]])
    mapped = map_weights(w, device_with(4), "offset")
    held = [device_with(4).quantised(targets(mapped)[0][0])]
    assert np.abs(forward_matrix(mapped, 0, held) - w).max() < 1e-12


def test_a_warning_says_that_an_error_is_verified_already():
    import striate as st

    design = st.Design(image=(16, 16), steps=2, programming="verify")
    run = st.simulate_crossbar(np.zeros((1, 16, 16)) + 0.1, design)
    assert any("selects from it once more" in line for line in run.warnings)
