"""Every legal mapping of a design: the choices of tiles and lanes, as plans."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...golden.errors import InputError
from .. import legality
from ..fixed import quantise
from ..machine import load_dictionary
from ..plan import Plan
from ..tiling import IntArray
from .devices import Device
from .resources import resources

if TYPE_CHECKING:
    from ...golden.dictionary import Dictionary
    from ..design import Design

LINK_DEPTHS = (64, 32, 16, 8, 4)
MAX_SCATTER_LANES = 64
LEAST = {"tiles": (1, 1), "gather_lanes": 1, "scatter_lanes": 1, "detect_lanes": 1, "update_positions": 1}
"""A machine section that every network may have."""


def weights_of(design: "Design", dictionary: "Dictionary | None") -> IntArray:
    """The quantised dictionary (K, C, p, p): the one given, or that which the design names."""
    dictionary = dictionary if dictionary is not None else load_dictionary(design)
    return np.asarray(quantise(dictionary.atoms, design.formats.weight), np.int64)


def any_plan(design: "Design", weights: IntArray) -> Plan:
    """A plan of the design's network and arithmetic on one small tile, whatever its machine section says."""
    return Plan.of(on_one_tile(design), weights)


def on_one_tile(design: "Design", tiles: tuple[int, int] = (1, 1)) -> "Design":
    """The design on one tile, or so many, of one lane each."""
    return design.replace({f"machine.{key}": value for key, value in (LEAST | {"tiles": tiles}).items()})


def legal_plans(design: "Design", base: Plan, device: Device | None = None) -> Iterator[Plan]:
    """Every legal choice of tiles, lanes and positions a cycle of update, links as deep as look-up tables allow.

    With a device, lanes that its multipliers cannot hold are left out.
    """
    g = design.geometry
    rows, columns = (legality.legal_tile_counts(design, axis) for axis in (0, 1))
    most = device.multipliers if device is not None else legality.MAX_LANES
    wide = min(MAX_SCATTER_LANES, 1 << (g.patch - 1).bit_length())
    powers = [1 << n for n in range(wide.bit_length())]
    for tiles in itertools.product(rows, columns):
        if not _legal(design, tiles):
            continue
        for gather in legality.legal_gather_lanes(g.kernels):
            if gather * tiles[0] * tiles[1] > max(most, tiles[0] * tiles[1]) or gather > g.kernels * g.sheet[1]:
                break
            for scatter in powers:
                if scatter > gather and scatter * tiles[0] * tiles[1] > most:
                    break
                for detect, together in itertools.product((n for n in powers if n <= scatter), (1, 2)):
                    if together == 2 and (gather < 2 * g.kernels or g.sheet[1] // tiles[1] % 2):
                        continue
                    tiling = replace(
                        base.tiling, tiles=tiles, gather_lanes=gather, scatter_lanes=scatter, detect_lanes=detect,
                        update_positions=together,
                    )  # fmt: skip
                    yield _deepest(replace(base, tiling=tiling), device)


def _legal(design: "Design", tiles: tuple[int, int]) -> bool:
    """Whether the design may have so many tiles, whatever else its checks say of that."""
    try:
        on_one_tile(design, tiles).check_machine()
    except InputError:
        return False
    return True


def _deepest(plan: Plan, device: Device | None) -> Plan:
    """The plan with the deepest links whose estimate of look-up tables fits; the shallowest when none does."""
    for depth in LINK_DEPTHS:
        plan = replace(plan, link_depth=depth)
        if device is None or resources(plan, device).lut <= device.routable * device.lut:
            break
    return plan


def machine_keys(plan: Plan) -> dict[str, Any]:
    """The keys of a design's machine section that make this plan's tiles, lanes and links."""
    t = plan.tiling
    return {
        "tiles": t.tiles, "gather_lanes": t.gather_lanes, "scatter_lanes": t.scatter_lanes,
        "detect_lanes": t.detect_lanes, "update_positions": t.update_positions, "link_depth": plan.link_depth,
    }  # fmt: skip


def settings_text(machine: dict[str, Any]) -> str:
    """Machine keys as the settings that `--set` takes."""
    texts = (f"{key}={list(v) if isinstance(v, tuple) else v}" for key, v in machine.items())
    return " ".join(f"machine.{text}".replace(" ", "") for text in texts)
