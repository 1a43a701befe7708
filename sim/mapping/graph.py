"""The machine as a graph: tiles with their memories, the links between them, and where every neuron and pixel lives.

Nodes are the front and the tiles, edges what carries words from one to another: the eight event links of a tile, the
feed chain out and the drain chain back. `Mapping.with_traffic` puts what a run really sent on the edges.
"""

import copy
import json
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import networkx as nx
import numpy as np

from ...golden.errors import InputError
from ..plan import Plan
from ..run import Run
from ..tiling import OPPOSITE, IntArray, bits
from .devices import Device, device_of
from .resources import Budget, Resources, budget

if TYPE_CHECKING:
    from ...golden.dictionary import Dictionary
    from ..design import Design

FRONT = "front"
_FEED_KIND_BITS, _FEED_MARK_BITS, _CLOSING_FLAGS, _CHANGES_BITS = 2, 1, 3, 32  # as hw/feed.py and hw/drain.py pack them


class Word(NamedTuple):
    """A place in a memory of a tile: bank, word of that bank, lane of that word."""

    bank: int
    word: int
    lane: int


class NeuronPlace(NamedTuple):
    """Where neuron (k, i, j) lives: the tile, its block coordinates, and its words of U and D.

    ``u`` and ``d`` are in lanes of one membrane and one drive.
    """

    tile: int
    row: int
    column: int
    u: Word
    d: Word


class PixelPlace(NamedTuple):
    """One of a pixel's copies: the tile, its region coordinates, and its words of R and r~."""

    tile: int
    row: int
    column: int
    r: Word
    sent: Word


@dataclass(frozen=True)
class Mapping:
    """A plan on a device.

    Args:
        plan: the machine. device: what it is to fill. board: the name it was asked for by.
        graph: nodes ``front`` and ``tile0`` .. ; edges keyed by kind: ``events``, ``feed``, ``drain``. Node and edge
            attributes are plain values.
    """

    plan: Plan
    board: str
    device: Device
    graph: "nx.MultiDiGraph[str]"

    @staticmethod
    def of(plan: "Plan | Design", board: str | None = None, *, dictionary: "Dictionary | None" = None) -> "Mapping":
        """Map a plan, or a design with its dictionary (the one it names where none is given), on a board.

        Args:
            board: a name of `devices.DEVICES`; None: the design's ``target.board``, for a plan the ULX3S 85F.

        Raises:
            InputError: an unknown board; the schedule gram, which is no machine; for a design also what the machine
                refuses, or no such dictionary.
        """
        if not isinstance(plan, Plan):
            board = board or plan.target.board
            plan = plan_of(plan, dictionary)
        if plan.schedule == "gram":
            raise InputError('machine.schedule "gram" has no tiles to map; use machine.schedule = "delta"')
        board = board or "ulx3s-85f"
        device = device_of(board)
        return Mapping(plan, board, device, _graph(plan, budget(plan, device).resources, device))

    @property
    def budget(self) -> Budget:
        """Memories, blocks, multipliers beside what the device has."""
        return budget(self.plan, self.device)

    # ---- where things live -------------------------------------------------------------------------------------------
    @property
    def tile_map(self) -> IntArray:
        """(H/s, W/s): the tile of each V1 position."""
        t = self.plan.tiling
        return tile_map(t.geometry.sheet, t.tiles)

    def neuron(self, k: int, i: int, j: int) -> NeuronPlace:
        """Where neuron (k, i, j) of the sheet lives.

        Raises:
            IndexError: no such neuron.
        """
        t, g = self.plan.tiling, self.plan.tiling.geometry
        _inside("neuron", (k, i, j), (g.kernels, *g.sheet))
        (row, column), (th, tw), ppc = (i // t.block[0], j // t.block[1]), t.block, t.positions_per_cycle
        y, x = i - row * th, j - column * tw
        u = Word(0, y * tw + x, k)
        return NeuronPlace(row * t.tiles[1] + column, y, x, u, Word(x % ppc, y * t.drive_words_per_row + x // ppc, k))

    def pixel(self, c: int, y: int, x: int) -> list[PixelPlace]:
        """All copies of pixel (c, y, x): one in every tile whose neurons see it, in the order of the tiles.

        Raises:
            IndexError: no such pixel.
        """
        t, g = self.plan.tiling, self.plan.tiling.geometry
        _inside("pixel", (c, y, x), g.image_shape)
        places, sl, dl, pair = [], t.scatter_lanes, t.detect_lanes, t.columns_per_word
        for tile in range(t.count):
            (y0, x0), (y_low, y_high, x_low, x_high) = t.origin(tile), t.inside(tile)
            row, column = y - y0, x - x0
            if not (y_low <= row < y_high and x_low <= column < x_high):
                continue
            line = c * t.region[0] + row
            r = Word(column % sl // pair, line * t.residual_words_per_row + column // sl, column % sl % pair)
            sent = Word(0, line * t.sent_words_per_row + column // dl, column % dl)
            places.append(PixelPlace(tile, row, column, r, sent))
        return places

    # ---- traffic -----------------------------------------------------------------------------------------------------
    def with_traffic(self, run: Run) -> "Mapping":
        """The same mapping with the words that a run of this plan's tiling sent over each edge (``words``).

        Raises:
            ValueError: a run of another tiling, or of a schedule that is no machine.
        """
        if run.plan.tiling != self.plan.tiling or run.cycles is None:
            raise ValueError("traffic is that of a delta run on the same tiles and lanes")
        return self.with_counts(run.link_traffic, run.code)

    def with_counts(self, link_traffic: IntArray, code: IntArray) -> "Mapping":
        """The same from a run's arrays: (T, 8) events sent by link, and the final code (K, H/s, W/s).

        A frame's feed is its command and every pixel, past every tile; a drain edge carries the codes of the tiles
        behind it and their closing word.
        """
        t, graph = self.plan.tiling, copy.deepcopy(self.graph)
        own = np.bincount(self.tile_map.ravel(), np.count_nonzero(code, axis=0).ravel(), t.count).astype(int).tolist()
        pixels = int(np.prod(t.geometry.image_shape))
        for source, _, kind, edge in graph.edges(keys=True, data=True):
            if kind == "events":
                edge["words"] = int(link_traffic[graph.nodes[source]["tile"], edge["link"]])
            elif kind == "feed":
                edge["words"] = 1 + pixels
            else:
                edge["words"] = 1 + sum(own[tile] for tile in _behind(t.tiles, graph.nodes[source]["tile"]))
            edge["bits"] = edge["words"] * edge["width_bits"]
        for _, node in graph.nodes(data=True):
            if node["kind"] == "tile":
                node["codes"] = own[node["tile"]]
        return replace(self, graph=graph)

    # ---- export ------------------------------------------------------------------------------------------------------
    def as_json(self) -> dict[str, Any]:
        """The graph as node-link data of plain values; ``networkx.node_link_graph(data, edges="edges")`` reads it."""
        data: dict[str, Any] = nx.node_link_data(self.graph, edges="edges")
        plain: dict[str, Any] = json.loads(json.dumps(data))
        return plain | {"board": self.board, "device": self.device.name}


def plan_of(design: "Design", dictionary: "Dictionary | None" = None) -> Plan:
    """The plan of a design and a dictionary, the one that the design names where none is given."""
    from ..fixed import quantise
    from ..machine import load_dictionary

    design.check_machine()
    atoms = (dictionary if dictionary is not None else load_dictionary(design)).atoms
    return Plan.of(design, np.asarray(quantise(atoms, design.formats.weight), np.int64))


def tile_map(sheet: tuple[int, int], tiles: tuple[int, int]) -> IntArray:
    """(rows, columns) of V1 positions to tile numbers, for a mesh that divides them."""
    rows, columns = (np.arange(size) * count // size for size, count in zip(sheet, tiles, strict=True))
    return np.asarray(rows[:, None] * tiles[1] + columns[None, :], np.int64)


def _inside(what: str, index: tuple[int, ...], shape: tuple[int, ...]) -> None:
    if not all(0 <= n < size for n, size in zip(index, shape, strict=True)):
        raise IndexError(f"there is no {what} {index}; the shape is {shape}")


def _behind(tiles: tuple[int, int], tile: int) -> list[int]:
    """The tiles whose codes leave through a tile: itself, its row to the east, and for column 0 all rows below."""
    row, column = divmod(tile, tiles[1])
    last = tiles[0] * tiles[1] if column == 0 else (row + 1) * tiles[1]
    return list(range(tile, last))


def widths(plan: Plan) -> MappingOf[str, int]:
    """Bits of one word on each kind of edge, as the RTL packs them (valid and ready apart)."""
    g, t = plan.tiling.geometry, plan.tiling
    event = sum(bits(size) for size in (g.kernels, *t.block)) + plan.code_change_width
    value = max(plan.weight.width, plan.input_change_width)
    pixel = value + sum(bits(n) for n in g.image_shape)
    begin = plan.steps_width + plan.threshold_width + plan.cutoff_width + bits(plan.shift_codes)
    code = sum(bits(size) for size in g.code_shape) + plan.code_value_width
    closing = _CLOSING_FLAGS + plan.window_count_width + _CHANGES_BITS + (1 + plan.steps_width if plan.settle else 0)
    feed = _FEED_KIND_BITS + _FEED_MARK_BITS + max(pixel, begin)
    return {"events": event, "feed": feed, "drain": 1 + max(code, closing)}  # 1: which of the two


def _graph(plan: Plan, found: Resources, device: Device) -> "nx.MultiDiGraph[str]":
    t, g = plan.tiling, plan.tiling.geometry
    graph: nx.MultiDiGraph[str] = nx.MultiDiGraph(
        kernels=g.kernels, patch=g.patch, stride=g.stride, image=list(g.image), channels=g.channels,
        tiles=list(t.tiles), device=device.name,
    )  # fmt: skip
    graph.add_node(FRONT, kind="front")
    memories = [
        {"name": m.name, "banks": m.banks, "words": m.words, "bits": m.bits, "stored_bits": m.total_bits,
         "blocks": m.blocks}
        for m in found.memories
    ]  # fmt: skip
    for tile in range(t.count):
        (row, column), (th, tw) = t.place(tile), t.block
        (y0, x0), (y_low, y_high, x_low, x_high) = t.origin(tile), t.inside(tile)
        graph.add_node(
            name(tile), kind="tile", tile=tile, row=row, column=column, neurons=th * tw * g.kernels,
            positions=[row * th, (row + 1) * th, column * tw, (column + 1) * tw],
            pixels=[y0 + y_low, y0 + y_high, x0 + x_low, x0 + x_high], region=[*t.region],
            gather_lanes=t.gather_lanes, scatter_lanes=t.scatter_lanes, detect_lanes=t.detect_lanes,
            multipliers=found.multipliers // t.count, blocks=found.blocks // t.count,
            memories=copy.deepcopy(memories),
        )  # fmt: skip
    width = widths(plan)
    for tile in range(t.count):
        for link in range(8):
            other = t.neighbour(tile, link)
            if other >= 0:
                graph.add_edge(
                    name(tile), name(other), key="events", kind="events", link=link, back=OPPOSITE[link],
                    width_bits=width["events"], depth=plan.link_depth,
                )  # fmt: skip
        before = FRONT if tile == 0 else name(tile - 1 if tile % t.tiles[1] else tile - t.tiles[1])
        graph.add_edge(before, name(tile), key="feed", kind="feed", width_bits=width["feed"], depth=1)
        graph.add_edge(name(tile), before, key="drain", kind="drain", width_bits=width["drain"], depth=2)
    return graph


def name(tile: int) -> str:
    """The node of a tile."""
    return f"tile{tile}"
