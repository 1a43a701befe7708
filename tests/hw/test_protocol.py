"""The round protocol: every reachable state of small meshes, and the RTL held to the same rules, clock by clock."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from random import Random
from typing import Any

import numpy as np
import pytest

from striate.hw.exchange import Exchange
from striate.hw.formal.protocol import Mesh, ProtocolError, Referee, State, explore
from striate.hw.formal.rounds import RoundsMesh, follow_rounds
from striate.sim.design import Design
from striate.sim.plan import Plan


# ---- every state -----------------------------------------------------------------------------------------------------
def amounts(depth: int) -> tuple[int, ...]:
    """No event, and one, two and three rounds with the last one full or not."""
    return tuple(sorted({0, 1, depth, depth + 1, 2 * depth, 2 * depth + 1}))


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_two_tiles_never_stop(depth: int) -> None:
    found = explore(Mesh(1, 2, depth, amounts(depth), steps=3), orders="compared")
    assert found.sound and found.states > 500, found


def test_three_tiles_in_a_row_never_stop_in_any_order() -> None:
    found = explore(Mesh(1, 3, 1, (0, 2)), orders="compared")
    assert found.sound and found.states > 1_000, found


@pytest.mark.parametrize("rows, columns, depth, steps", [(2, 2, 1, 2), (2, 3, 1, 1)])
def test_larger_meshes_never_stop(rows: int, columns: int, depth: int, steps: int) -> None:
    """One order: actions of different tiles commute, which the tests of smaller meshes check in every state."""
    found = explore(Mesh(rows, columns, depth, (0, depth + 1), steps=steps, whole=True), orders="one")
    assert found.sound and found.states > 1_000, found


@pytest.mark.slow
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_larger_meshes_never_stop_with_more_events(depth: int) -> None:
    assert explore(Mesh(1, 3, 1, (0, 1, 2)), orders="compared").sound
    row = explore(Mesh(1, 3, depth, (0, depth, depth + 1, 2 * depth + 1), whole=True), orders="compared")
    assert row.sound, row
    square = explore(Mesh(2, 2, depth, (0, depth, depth + 1, 2 * depth + 1), whole=True), orders="one")
    assert square.sound, square
    oblong = explore(Mesh(2, 3, depth, (0, depth + 1), whole=True), orders="one")
    assert oblong.sound, oblong
    three = explore(Mesh(2, 3, depth, (0, depth + 1, 2 * depth + 1), steps=1, whole=True), orders="one")
    assert three.sound, three


@pytest.mark.slow
def test_four_tiles_never_stop_in_any_order() -> None:
    found = explore(Mesh(2, 2, 1, (0, 2), steps=1), orders="compared")
    assert found.sound and found.states > 30_000, found
    found = explore(Mesh(2, 2, 2, (0, 3), steps=2, whole=True), orders="compared")
    assert found.sound, found


def test_the_obvious_scheme_does_stop() -> None:
    """Update that writes into the links and waits for room, scatter after it: each waits for the other's scatter."""
    assert explore(Mesh(1, 2, 2, (0, 2), steps=1, scheme="direct")).sound, "what fits into the links is no trouble"
    found = explore(Mesh(1, 2, 2, (0, 3), steps=1, scheme="direct"))
    assert found.deadlock == "tile 0: step 0 UPDATE, 1 events left; tile 1: step 0 UPDATE, 1 events left"


class Hasty(Mesh):
    """Begins a round without waiting for acknowledgements."""

    def _begin(self, state: State, tile: int) -> list[State]:
        me = state[0][tile]
        tiles = (*state[0][:tile], me._replace(outstanding=0), *state[0][tile + 1 :])
        return super()._begin((tiles, state[1]), tile)


class Forgetful(Mesh):
    """Waits for a token of a neighbour that was already last in this step."""

    def _serve(self, state: State, tile: int) -> list[State]:
        me = state[0][tile]
        tiles = (*state[0][:tile], me._replace(seen=0), *state[0][tile + 1 :])
        return super()._serve((tiles, state[1]), tile)


def test_a_round_without_acknowledgements_and_one_that_waits_for_the_silent_are_found() -> None:
    assert "for a link that" in explore(Hasty(1, 2, 1, (0, 2))).broken
    wrong = explore(Forgetful(1, 2, 1, (0, 2)))
    assert wrong.deadlock or wrong.broken, wrong


# ---- the RTL ---------------------------------------------------------------------------------------------------------
def plan_of(tiles: tuple[int, int], depth: int) -> Plan:
    design = Design(
        image=(4 * tiles[0], 4 * tiles[1]), kernels=1, patch=4, stride=2, preprocess="none", tiles=tiles,
        gather_lanes=1, scatter_lanes=2, detect_lanes=2, link_depth=depth, threshold=0.1,
    )  # fmt: skip
    return Plan.of(design, np.random.default_rng(0).integers(-60, 60, size=(1, 1, 4, 4)))


def rhythms(seed: int, tiles: int, depth: int) -> Iterator[dict[str, int]]:
    """Random surroundings of every tile, slow and fast ones; the pace of a tile changes now and then."""
    random = Random(seed)
    pace = [(0.5, 0.5)] * tiles
    clock = 0
    while True:
        if clock % 64 == 0:
            pace = [random.choice([(0.9, 0.9), (0.1, 0.9), (0.9, 0.1), (0.5, 0.5), (1.0, 1.0)]) for _ in range(tiles)]
        clock += 1
        inputs: dict[str, int] = {}
        for n, (update, scatter) in enumerate(pace):
            inputs |= {
                f"go_{n}": random.random() < update, f"tight_{n}": random.getrandbits(1),
                f"ready_{n}": random.random() < scatter, f"idle_{n}": random.random() < scatter,
                f"amount_{n}": random.choice(amounts(depth)), f"i_{n}": random.getrandbits(1),
                f"j_{n}": random.getrandbits(1),
            }  # fmt: skip
        yield inputs


@pytest.mark.parametrize(
    "tiles, depth",
    [
        ((2, 2), 2),
        *[pytest.param(tiles, depth, marks=pytest.mark.slow)
          for tiles in ((1, 2), (2, 2), (1, 3), (2, 3)) for depth in (1, 2, 3)],
    ],
)  # fmt: skip
def test_the_rtl_does_what_the_model_does_and_comes_to_an_end(tiles: tuple[int, int], depth: int) -> None:
    """Real exchange and real control of every tile: each push, token, acknowledgement and end of a round is legal."""
    steps = 30
    count = tiles[0] * tiles[1]
    mesh = RoundsMesh(plan_of(tiles, depth))
    referee, clocks = follow_rounds(mesh, rhythms(depth, count, depth), steps=steps, clocks=400 * steps)
    assert [tile.step for tile in referee.tiles] == [steps] * count
    assert referee.followed > 10 * steps * count and clocks > 20 * steps


class Silent(Exchange):
    """Acknowledges nothing: a neighbour waits for ever."""

    def elaborate(self, platform: object) -> Any:
        m = super().elaborate(platform)
        m.d.sync += self.consumed.eq(0)
        return m


def test_an_exchange_that_does_not_acknowledge_is_seen_and_so_is_one_that_stops() -> None:
    mesh = RoundsMesh(plan_of((1, 2), 1), make=Silent)
    with pytest.raises(ProtocolError, match="ends its round"):
        follow_rounds(mesh, rhythms(0, 2, 1), steps=4, clocks=2000)
    still = RoundsMesh(plan_of((1, 2), 1), make=Silent)
    with pytest.raises(TimeoutError, match="no end after 100 clocks: phases INPUT, INPUT"):
        follow_rounds(still, itertools.repeat({}), steps=4, clocks=100)
    referee = Referee(Mesh(1, 2, 1, ()))
    referee.begin(0)
    referee.push(0, [4])
    with pytest.raises(ProtocolError, match="sends an event"):
        referee.push(0, [4])
    referee.close(0, True)
    with pytest.raises(ProtocolError, match="begins a round"):
        referee.begin(0)
    with pytest.raises(ProtocolError, match="acknowledges link 4"):
        referee.consume(0, 4)
