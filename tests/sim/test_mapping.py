"""The graph: every edge as wired, every neuron and pixel where the machine keeps it, traffic that adds up, export."""

import json
from dataclasses import replace

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from striate.golden.dictionary import Dictionary
from striate.golden.errors import InputError
from striate.golden.geometry import Geometry
from striate.hw.drain import CodeLayout
from striate.hw.feed import FeedLayout
from striate.hw.update import EventLayout
from striate.sim.design import Design
from striate.sim.machine import simulate
from striate.sim.mapping.graph import FRONT, Mapping, name, plan_of, tile_map, widths
from striate.sim.run import Run, StepView

DESIGN = Design(
    image=(24, 24), kernels=4, patch=6, stride=2, tiles=(3, 2), gather_lanes=8, scatter_lanes=4, detect_lanes=2,
    steps=6, step_shift=2, threshold=0.02, channels=2, residual_accumulator=0,
)  # fmt: skip
DICTIONARY = Dictionary.random(Geometry((24, 24), 2, 4, 6, 2), seed=3)


@pytest.fixture(scope="module")
def ran() -> tuple[Mapping, Run, list[StepView]]:
    views: list[StepView] = []
    image = np.random.default_rng(1).normal(0, 0.3, (2, 24, 24))

    def keep(view: StepView) -> None:
        views.append(replace(view, membrane=view.membrane.copy(), residual=view.residual.copy()))

    run = simulate(image, DESIGN, dictionary=DICTIONARY, observe=keep)
    return Mapping.of(DESIGN, "ulx3s-85f", dictionary=DICTIONARY), run, views


def test_the_graph_is_the_wiring(ran: tuple[Mapping, Run, list[StepView]]) -> None:
    mapping, t = ran[0], ran[0].plan.tiling
    graph = mapping.graph
    assert set(graph) == {FRONT, *(name(n) for n in range(6))}
    links = [(a, b, data) for a, b, data in graph.edges(data=True) if data["kind"] == "events"]
    wired = {(name(n), name(t.neighbour(n, b)), b) for n in range(6) for b in range(8) if t.neighbour(n, b) >= 0}
    assert {(a, b, data["link"]) for a, b, data in links} == wired and len(links) == len(wired)
    assert all(graph.edges[b, a, "events"]["link"] == data["back"] == 7 - data["link"] for a, b, data in links)
    for kind in ("feed", "drain"):
        chain = nx.DiGraph([(a, b) for a, b, k in graph.edges(keys=True) if k == kind])
        assert chain.number_of_edges() == 6
        tree = chain if kind == "feed" else chain.reverse()
        assert nx.is_arborescence(tree) and all(
            nx.shortest_path_length(tree, FRONT, name(n)) == 1 + sum(t.place(n)) for n in range(6)
        )
    assert sum(d["neurons"] for _, d in graph.nodes(data=True) if d["kind"] == "tile") == t.geometry.neurons
    found = mapping.budget.resources
    assert sum(d["blocks"] for _, d in graph.nodes(data=True) if d["kind"] == "tile") == found.blocks
    assert sum(d["multipliers"] for _, d in graph.nodes(data=True) if d["kind"] == "tile") == found.multipliers == 48


@given(
    kernels=st.integers(1, 40), channels=st.integers(1, 3), tiles=st.sampled_from([(1, 1), (2, 1), (2, 4)]),
    code=st.sampled_from(["u8.7", "u4.3", "s9.7"]), side=st.sampled_from([32, 64]),
)  # fmt: skip
@settings(max_examples=25)
def test_widths_are_those_of_the_rtl(kernels: int, channels: int, tiles: tuple[int, int], code: str, side: int) -> None:
    design = Design(
        image=(side, 32), kernels=kernels, channels=channels, patch=4, stride=2, tiles=tiles, gather_lanes=1, code=code,
        two_sided=code[0] == "s", threshold=0.2,
    )  # fmt: skip
    plan = plan_of(design, Dictionary.random(design.geometry, seed=0))
    packed = {"events": EventLayout(plan).size, "feed": FeedLayout(plan).size, "drain": CodeLayout(plan).size}
    assert widths(plan) == packed


def test_every_neuron_is_where_the_machine_keeps_it(ran: tuple[Mapping, Run, list[StepView]]) -> None:
    mapping, run, views = ran
    t, last = mapping.plan.tiling, views[-1]
    seen_u, seen_d = set(), set()
    for k, i, j in np.ndindex(run.membrane.shape):
        place = mapping.neuron(k, i, j)
        assert last.membrane[place.tile, place.row, place.column, k] == run.membrane[k, i, j]
        assert mapping.tile_map[i, j] == place.tile
        seen_u.add((place.tile, *place.u))
        seen_d.add((place.tile, *place.d))
        sizes = {m.name: m for m in mapping.budget.resources.memories}
        assert place.u.bank == 0 and place.u.word < sizes["U"].words
        assert place.d.bank < sizes["D"].banks and place.d.word < sizes["D"].words
    assert len(seen_u) == len(seen_d) == t.geometry.neurons, "two neurons share a word"


def test_every_copy_of_a_pixel_is_where_the_machine_keeps_it(ran: tuple[Mapping, Run, list[StepView]]) -> None:
    mapping, run, views = ran
    t, last = mapping.plan.tiling, views[-1]
    sizes = {m.name: m for m in mapping.budget.resources.memories}
    seen_r, seen_s, copies = set(), set(), 0
    for c, y, x in np.ndindex(run.residual.shape):
        for place in mapping.pixel(c, y, x):
            assert last.residual[place.tile, c, place.row, place.column] == run.residual[c, y, x]
            seen_r.add((place.tile, *place.r))
            seen_s.add((place.tile, *place.sent))
            copies += 1
            assert place.r.bank < sizes["R"].banks and place.r.word < sizes["R"].words
            assert place.r.lane < t.columns_per_word and place.sent.word < sizes["r~"].words
    kept = 2 * sum((y1 - y0) * (x1 - x0) for y0, y1, x0, x1 in map(t.inside, range(t.count)))
    assert copies == len(seen_r) == len(seen_s) == kept > run.residual.size
    for index in ((4, 0, 0), (0, 12, 0), (0, 0, -1)):
        with pytest.raises(IndexError, match="there is no neuron"):
            mapping.neuron(*index)
    with pytest.raises(IndexError, match="there is no pixel"):
        mapping.pixel(0, 24, 0)


def test_traffic_adds_up_to_the_counts(ran: tuple[Mapping, Run, list[StepView]]) -> None:
    mapping, run, _ = ran
    graph = mapping.with_traffic(run).graph
    assert "words" not in next(iter(mapping.graph.edges(data=True)))[2], "the mapping without traffic was changed"
    words = {(a, b, k): d["words"] for a, b, k, d in graph.edges(keys=True, data=True)}
    assert sum(n for (_, _, k), n in words.items() if k == "events") == run.counts.link_events > 0
    assert words["tile0", FRONT, "drain"] == run.counts.codes_out + 1
    assert all(n == 1 + run.counts.pixels_in for (_, _, k), n in words.items() if k == "feed")
    own = np.bincount(mapping.tile_map.ravel(), np.count_nonzero(run.code, axis=0).ravel()).astype(int)
    assert words["tile1", "tile0", "drain"] == own[1] + 1 and words["tile2", "tile0", "drain"] == own[2:].sum() + 1
    assert [d["codes"] for _, d in graph.nodes(data=True) if d["kind"] == "tile"] == own.tolist()
    assert all(d["bits"] == d["words"] * d["width_bits"] for *_, d in graph.edges(data=True))
    with pytest.raises(ValueError, match="same tiles"):
        mapping.with_traffic(replace(run, cycles=None))
    other = Mapping.of(DESIGN.replace(detect_lanes=4), dictionary=DICTIONARY)
    with pytest.raises(ValueError, match="same tiles"):
        other.with_traffic(run)


def test_export_reads_back(ran: tuple[Mapping, Run, list[StepView]]) -> None:
    mapping = ran[0].with_traffic(ran[1])
    data = json.loads(json.dumps(mapping.as_json()))
    back = nx.node_link_graph(data, edges="edges")
    assert nx.utils.graphs_equal(back, mapping.graph)
    assert (data["board"], data["device"]) == ("ulx3s-85f", "ECP5 85F")


def test_designs_and_boards(ran: tuple[Mapping, Run, list[StepView]]) -> None:
    assert Mapping.of(DESIGN.replace(board="icebreaker"), dictionary=DICTIONARY).device.blocks == 30
    assert Mapping.of(ran[0].plan).board == "ulx3s-85f" and Mapping.of(Design()).plan.tiling.count == 8
    with pytest.raises(InputError, match="target.board must be one of .*, not 'arty'"):
        Mapping.of(DESIGN, "arty", dictionary=DICTIONARY)
    with pytest.raises(InputError, match='machine.schedule "gram" has no tiles to map'):
        Mapping.of(DESIGN.replace(schedule="gram"), dictionary=DICTIONARY)
    with pytest.raises(InputError, match=r"machine.tiles \[5, 2\]"):
        Mapping.of(DESIGN.replace(tiles=(5, 2)), dictionary=DICTIONARY)


@given(rows=st.integers(1, 4), columns=st.integers(1, 4), th=st.integers(1, 3), tw=st.integers(1, 3))
def test_tile_map_is_blocks(rows: int, columns: int, th: int, tw: int) -> None:
    found = tile_map((rows * th, columns * tw), (rows, columns))
    assert np.array_equal(found, np.kron(np.arange(rows * columns).reshape(rows, columns), np.ones((th, tw), int)))
