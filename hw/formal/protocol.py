"""The round protocol of docs/dataflow.md, section 5, as a model whose every reachable state is visited.

A tile is where it stands in its step; a link is what it holds. Tiles act one at a time in any order, which stands for
any delays: a tile acts whenever it can, the solver of a race is exhaustion. Looked for are states in which nobody can
act although not everybody is done, and three kinds of damage: a link that overflows, a token on a token, and a token of
one step read in another.

`Tile` is also the referee of the RTL: `Referee` follows the exchanges of a simulated mesh, event by event, and refuses
what the model would not do (tests/hw/test_protocol.py).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from ...sim.tiling import DIRECTIONS, OPPOSITE

WAIT, UPDATE, SCATTER, DONE = range(4)
PHASES = ("WAIT", "UPDATE", "SCATTER", "DONE")


class ProtocolError(Exception):
    """A rule of the protocol was broken, by a model or by the RTL that it follows."""


class Tile(NamedTuple):
    """Where a tile stands: `left` events to come in this step, `sent` in this round, `source` being served; `seen` and
    `outstanding` are sets of links as bits.
    """

    step: int = 0
    phase: int = WAIT
    left: int = 0
    sent: int = 0
    source: int = 0
    self_last: bool = False
    seen: int = 0
    outstanding: int = 0


class Link(NamedTuple):
    """What a link holds: events, and its token with the step it belongs to."""

    held: int = 0
    closed: bool = False
    last: bool = False
    step: int = 0


State = tuple[tuple[Tile, ...], tuple[Link, ...]]


@dataclass(frozen=True)
class Mesh:
    """A mesh of tiles and its protocol.

    - `depth`: F; `events`: the numbers of events a tile may have in a step, each of them tried; `steps`: of the run
    - `whole`: a round's events and its token are one action, which leaves out only orders that nobody can tell apart
    - `scheme`: "rounds", or the "direct" one that is obvious and wrong: update writes into a neighbour's link
      whenever there is room, waits when there is none, and the tile scatters when its own update is over
    """

    rows: int
    columns: int
    depth: int
    events: tuple[int, ...]
    steps: int = 2
    whole: bool = False
    scheme: Literal["rounds", "direct"] = "rounds"

    @property
    def count(self) -> int:
        return self.rows * self.columns

    def neighbour(self, tile: int, b: int) -> int:
        """The tile at the other end of link b, -1 for none."""
        row, column = tile // self.columns + DIRECTIONS[b][0], tile % self.columns + DIRECTIONS[b][1]
        return row * self.columns + column if 0 <= row < self.rows and 0 <= column < self.columns else -1

    def present(self, tile: int) -> list[int]:
        return [b for b in range(len(DIRECTIONS)) if self.neighbour(tile, b) >= 0]

    def target(self, tile: int, b: int) -> int:
        """The number of the link that tile writes in direction b: it lies in the neighbour."""
        return self.neighbour(tile, b) * len(DIRECTIONS) + OPPOSITE[b]

    # ---- what a tile can do ----------------------------------------------------------------------------------
    def starts(self) -> Iterator[State]:
        """Every choice of events of the first step."""
        links = tuple(Link() for _ in range(self.count * len(DIRECTIONS)))
        choices: list[tuple[Tile, ...]] = [()]
        for _ in range(self.count):
            choices = [(*tiles, Tile(left=n)) for tiles in choices for n in self.events]
        return ((tiles, links) for tiles in choices)

    def moves(self, state: State, tile: int) -> list[State]:
        """The states after one action of a tile; none when it must wait."""
        me = state[0][tile]
        if me.phase == WAIT:
            return self._begin(state, tile)
        if me.phase == UPDATE:
            return self._emit(state, tile)
        return self._serve(state, tile) if me.phase == SCATTER else []

    def _begin(self, state: State, tile: int) -> list[State]:
        me = state[0][tile]
        if me.self_last:
            return [_with(state, tile, me._replace(phase=SCATTER, source=0))]
        if me.outstanding and self.scheme == "rounds":
            return []
        return [_with(state, tile, me._replace(phase=UPDATE, sent=0))]

    def _emit(self, state: State, tile: int) -> list[State]:
        me, present = state[0][tile], self.present(tile)
        links = list(state[1])
        if (
            self.scheme == "direct"
            and me.left
            and any(links[self.target(tile, b)].held >= self.depth for b in present)
        ):
            return []
        while me.left and (me.sent < self.depth or self.scheme == "direct"):
            for b in present:
                links[self.target(tile, b)] = self.pushed(links[self.target(tile, b)])
            me = me._replace(left=me.left - 1, sent=me.sent + 1)
            if not self.whole:
                return [_with((state[0], tuple(links)), tile, me)]
        last, outstanding = not me.left, 0
        for b in present:
            links[self.target(tile, b)] = self.closed(links[self.target(tile, b)], last, me.step)
            outstanding |= 1 << b
        me = me._replace(phase=SCATTER, source=0, self_last=last, outstanding=outstanding)
        return [_with((state[0], tuple(links)), tile, me)]

    def _serve(self, state: State, tile: int) -> list[State]:
        me = state[0][tile]
        present = self.present(tile)
        while me.source < len(present) and me.seen >> present[me.source] & 1:  # passed over: nobody sees that
            me = me._replace(source=me.source + 1)
        if me.source == len(present):
            return [_with(state, tile, after) for after in self._ended(me, present)]
        b = present[me.source]
        link = state[1][tile * len(DIRECTIONS) + b]
        tiles, links = list(state[0]), list(state[1])
        if self.scheme == "direct" and link.held:
            links[tile * len(DIRECTIONS) + b] = link._replace(held=link.held - 1)
            return [(tuple(tiles), tuple(links))]
        if not link.closed:
            return []
        if link.step != me.step:
            raise ProtocolError(f"tile {tile} reads a token of step {link.step} in step {me.step}")
        links[tile * len(DIRECTIONS) + b] = Link()
        tiles[tile] = me._replace(source=me.source + 1, seen=me.seen | (1 << b if link.last else 0))
        other = self.neighbour(tile, b)
        tiles[other] = tiles[other]._replace(outstanding=tiles[other].outstanding & ~(1 << OPPOSITE[b]))
        return [(tuple(tiles), tuple(links))]

    def _ended(self, me: Tile, present: list[int]) -> list[Tile]:
        """The round is over: another one, or another step with any number of events, or the end."""
        if not me.self_last or any(not me.seen >> b & 1 for b in present):
            return [me._replace(phase=WAIT, source=0)]
        if me.step + 1 == self.steps:
            return [me._replace(phase=DONE, source=0)]
        return [Tile(step=me.step + 1, left=n, outstanding=me.outstanding) for n in self.events]

    def pushed(self, link: Link) -> Link:
        """A link with one more event."""
        if link.held >= self.depth or link.closed:
            raise ProtocolError("an event for a link that is " + ("closed" if link.closed else "full"))
        return link._replace(held=link.held + 1)

    def closed(self, link: Link, last: bool, step: int) -> Link:
        """A link with its token."""
        if link.closed:
            raise ProtocolError("a token for a link that has one")
        return link._replace(closed=True, last=last, step=step)


def _with(state: State, tile: int, after: Tile) -> State:
    return (*state[0][:tile], after, *state[0][tile + 1 :]), state[1]


@dataclass(frozen=True)
class Explored:
    """What the search found: reachable states, actions, and the first state in which nobody can act (or ""), in which
    a rule was broken, and in which two tiles' actions in one order end elsewhere than in the other.
    """

    states: int
    actions: int
    deadlock: str = ""
    broken: str = ""
    order: str = ""

    @property
    def sound(self) -> bool:
        return not self.deadlock and not self.broken and not self.order


def explore(mesh: Mesh, *, orders: Literal["all", "compared", "one"] = "all", limit: int = 5_000_000) -> Explored:
    """Visit every reachable state, breadth first. MemoryError past `limit` states: a smaller mesh, or fewer orders.

    `orders`: "compared" checks in every state that any two tiles may act in either order and meet again. Where that
    holds a tile that can act never loses the ability, so that a run that ends ends the same way in every order, and
    "one" order - the first tile that can act - finds every deadlock there is.
    """
    seen = set(mesh.starts())
    queue, actions = deque(seen), 0
    while queue:
        state = queue.popleft()
        try:
            ways = [mesh.moves(state, tile) for tile in range(mesh.count)]
            if orders == "compared" and (clash := _clash(mesh, ways)):
                return Explored(len(seen), actions, order=f"tiles {clash}; {describe(state)}")
        except ProtocolError as error:
            return Explored(len(seen), actions, broken=f"{error}; {describe(state)}")
        if orders == "one":
            ways = [next((way for way in ways if way), [])]
        actions += sum(map(len, ways))
        if not any(ways) and any(tile.phase != DONE for tile in state[0]):
            return Explored(len(seen), actions, deadlock=describe(state))
        for new in (new for way in ways for new in way):
            if new not in seen:
                seen.add(new)
                queue.append(new)
        if len(seen) > limit:
            raise MemoryError(f"more than {limit} states")
    return Explored(len(seen), actions)


def _clash(mesh: Mesh, ways: list[list[State]]) -> str:
    for a in range(mesh.count):
        for b in range(a + 1, mesh.count):
            if ways[a] and ways[b]:
                first = {end for middle in ways[a] for end in mesh.moves(middle, b)}
                second = {end for middle in ways[b] for end in mesh.moves(middle, a)}
                if first != second or not first:
                    return f"{a} and {b}"
    return ""


def describe(state: State) -> str:
    """The tiles of a state in one line."""
    return "; ".join(
        f"tile {n}: step {tile.step} {PHASES[tile.phase]}, {tile.left} events left" for n, tile in enumerate(state[0])
    )


class Referee:
    """Follows tiles that are run elsewhere: each thing they do must be what the model's tile could do then."""

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self.tiles = [Tile() for _ in range(mesh.count)]
        self.links = [Link() for _ in range(mesh.count * len(DIRECTIONS))]
        self.followed = 0

    def _check(self, right: bool, tile: int, what: str) -> None:
        self.followed += 1
        if not right:
            raise ProtocolError(f"tile {tile} {what}: {self.tiles[tile]}")

    def begin(self, tile: int) -> None:
        """A round of update begins."""
        me = self.tiles[tile]
        self._check(me.phase == WAIT and not me.self_last and not me.outstanding, tile, "begins a round")
        self.tiles[tile] = me._replace(phase=UPDATE, sent=0)

    def push(self, tile: int, links: list[int]) -> None:
        """An event leaves for the own store and these links."""
        me = self.tiles[tile]
        self._check(me.phase == UPDATE and me.sent < self.mesh.depth, tile, "sends an event")
        for b in links:
            at = self.mesh.target(tile, b)
            self.links[at] = self.mesh.pushed(self.links[at])
        self.tiles[tile] = me._replace(sent=me.sent + 1)

    def close(self, tile: int, last: bool) -> None:
        """The round ends with a token to every neighbour."""
        me, outstanding = self.tiles[tile], 0
        self._check(me.phase == UPDATE, tile, "ends a round")
        self._check(last or me.sent == self.mesh.depth, tile, "ends a round that is neither full nor last")
        for b in self.mesh.present(tile):
            at = self.mesh.target(tile, b)
            self.links[at], outstanding = self.mesh.closed(self.links[at], last, me.step), outstanding | 1 << b
        self.tiles[tile] = me._replace(phase=SCATTER, source=0, self_last=last, outstanding=outstanding)

    def rest(self, tile: int) -> None:
        """A tile that was already last begins to scatter."""
        me = self.tiles[tile]
        self._check(me.phase == WAIT and me.self_last, tile, "scatters without a round")
        self.tiles[tile] = me._replace(phase=SCATTER, source=0)

    def consume(self, tile: int, b: int) -> None:
        """A link was read to its end and acknowledged."""
        me, at = self.tiles[tile], tile * len(DIRECTIONS) + b
        link, present = self.links[at], self.mesh.present(tile)
        passed = [other for other in present[me.source : present.index(b)] if not me.seen >> other & 1]
        right = me.phase == SCATTER and link.closed and link.step == me.step and not me.seen >> b & 1
        self._check(right and not passed and present.index(b) >= me.source, tile, f"acknowledges link {b}")
        self.links[at] = Link()
        self.tiles[tile] = me._replace(source=present.index(b) + 1, seen=me.seen | (1 << b if link.last else 0))
        other = self.mesh.neighbour(tile, b)
        self.tiles[other] = self.tiles[other]._replace(outstanding=self.tiles[other].outstanding & ~(1 << OPPOSITE[b]))

    def finish(self, tile: int, all_last: bool) -> None:
        """The tile is through with every source; `all_last`: so is the step."""
        me, present = self.tiles[tile], self.mesh.present(tile)
        missed = [b for b in present[me.source :] if not me.seen >> b & 1]
        over = me.self_last and all(me.seen >> b & 1 for b in present)
        self._check(me.phase == SCATTER and not missed and over == all_last, tile, "ends its round")
        fresh = Tile(step=me.step + 1, outstanding=me.outstanding)
        self.tiles[tile] = fresh if over else me._replace(phase=WAIT, source=0)
