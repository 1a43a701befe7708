"""The floorplan: regions that tile the chip, arrangements carried over, netlists with their cells fixed."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from striate.hw.synth.floorplan import _outside, crowded, grid, lock, spread
from striate.hw.toolchain import ToolError

EBR, MULT = "DP16KD", "MULT18X18D"


def chip(rows: int = 4, columns: int = 12) -> dict[str, dict[str, tuple[int, int]]]:
    """Rows of blocks and rows of multipliers by turns, as on an ECP5."""
    return {
        kind: {
            f"X{10 * x + 5}/Y{20 * y + first}/{kind}": (20 * y + first, 10 * x + 5)
            for y in range(rows)
            for x in range(columns)
        }
        for kind, first in ((EBR, 15), (MULT, 5))
    }


@pytest.mark.parametrize(
    ("tiles", "shape"), [((2, 2), (2, 2)), ((4, 1), (2, 2)), ((1, 4), (2, 2)), ((2, 1), (1, 2)), ((3, 3), (3, 3))]
)
def test_regions_are_as_square_as_can_be(tiles: tuple[int, int], shape: tuple[int, int]) -> None:
    cut = grid(tiles, chip())
    assert cut.shape == shape and len(set(cut.places)) == tiles[0] * tiles[1]


def test_strips_run_to_and_fro() -> None:
    """Tiles that are linked have regions that touch."""
    places = np.array(grid((4, 1), chip()).places)
    assert np.abs(np.diff(places, axis=0)).sum(axis=1).tolist() == [1, 1, 1]


def test_a_mesh_of_the_regions_shape_keeps_it() -> None:
    assert grid((2, 2), chip()).places == ((0, 0), (0, 1), (1, 0), (1, 1))
    wide = {kind: {name: (y // 2, x) for name, (y, x) in places.items()} for kind, places in chip().items()}
    assert grid((4, 2), wide).shape == (2, 4) and grid((4, 2), wide).places[1] == (1, 0), "turned by a quarter"


@given(st.data())
def test_every_tile_is_arranged_as_the_first(data: st.DataObject) -> None:
    """No site twice; where the regions have the same sites the arrangement is the same, moved."""
    sites = chip()
    cut = grid((2, 2), sites)
    mine = {kind: [s for s in places if s not in set(_outside(places, 3, cut))] for kind, places in sites.items()}
    chosen = {
        f"{kind}.{n}": (kind, site)
        for kind in sites
        for n, site in enumerate(data.draw(st.permutations(mine[kind]))[: data.draw(st.integers(1, 6))])
    }
    fixed = spread(chosen, sites, cut)
    assert len(set(fixed.values())) == len(fixed) == 4 * len(chosen)
    for tile in range(4):
        for name, (kind, site) in chosen.items():
            there, here = sites[kind][fixed[tile, name]], sites[kind][site]
            moved = np.array(cut.places[tile]) * np.array(cut.size) / np.array(cut.shape)
            assert np.array(there) - np.array(here) == pytest.approx(moved), (tile, name)


def test_a_full_device_finds_a_site_for_every_cell() -> None:
    sites = chip(rows=3)  # the regions of the lower half have fewer rows near them
    cut = grid((4, 1), sites)
    own = [s for s in sites[EBR] if s not in set(_outside(sites[EBR], 9, cut))]
    assert len(own) == 9
    fixed = spread({f"m{n}": (EBR, site) for n, site in enumerate(own)}, sites, cut)
    assert len(set(fixed.values())) == 36 and {fixed[0, f"m{n}"] for n in range(9)} == set(own)


def netlist() -> dict[str, object]:
    cells = {f"machine.mesh.tile{t}.d.bank0": {"type": EBR, "attributes": {}} for t in range(2)}
    cells["machine.bridge.memory"] = {"type": EBR, "attributes": {}}
    return {"modules": {"box": {"attributes": {}}, "top": {"attributes": {"top": "1"}, "cells": cells}}}


def test_cells_are_fixed_by_tile() -> None:
    net = netlist()
    assert lock(net, {(0, "d.bank0"): "A", (1, "d.bank0"): "B"}) == 2
    cells = net["modules"]["top"]["cells"]  # type: ignore[index]
    assert [cells[name]["attributes"] for name in sorted(cells)] == [{}, {"BEL": "A"}, {"BEL": "B"}]


def test_a_cell_that_is_not_there_is_no_silence() -> None:
    net = netlist()
    before = copy.deepcopy(net)
    with pytest.raises(ToolError, match=r"cell d.bank1 of tile 0 is not in the netlist"):
        lock(net, {(0, "d.bank1"): "A"})
    with pytest.raises(ToolError, match="no top module"):
        lock({"modules": {"top": {"attributes": {}}}}, {(0, "d.bank0"): "A"})
    assert net == before


def test_only_a_crowded_device_gets_a_floorplan() -> None:
    assert crowded("ulx3s-85f", {"bram": 105, "dsp": 0}) and crowded("ulx3s-85f", {"bram": 0, "dsp": 79})
    assert not crowded("ulx3s-85f", {"bram": 104, "dsp": 78})
