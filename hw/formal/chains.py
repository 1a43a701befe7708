"""Harnesses for the two ends of the machine: the drain's merge of three streams, and the front's three inputs."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from typing import Any

import z3
from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In

from ...sim.plan import Plan
from ...sim.tiling import bits
from ..drain import CodeLayout, Drain, chain_ports
from ..feed import FeedKind, Front, command_numbers
from .engine import Verdict, induction
from .streams import before, follow, keeps_offer
from .system import System, given, must

SUMS, FLAGS = ("events", "changes"), ("overflow", "saturated")
"""Fields of the closing word that are added up over tiles, and those that are ORed; ``changes`` are counted in
the drain itself."""


class DrainHarness(wiring.Component):
    """The drain of one tile between its own codes, two neighbours' streams and a receiver that does as it likes.

    The neighbours keep the rules of a stream and end with one word marked ``last``; the tile's own codes end with
    ``own_done``, in the clock in which the last one leaves or in any clock in which none is offered. Code events are
    counted while no codes leave.
    """

    def __init__(self, plan: Plan, drain: Drain | None = None) -> None:
        self.drain, self.layout = drain or Drain(plan), CodeLayout(plan)
        size = self.layout.size
        status = {
            name: In(Value.cast(getattr(self.drain, name)).shape())
            for name in ("overflow", "saturated", "settled", "steps", "events")
            if hasattr(self.drain, name)
        }
        self.status, self.ports = tuple(status), chain_ports(plan)
        super().__init__(
            {
                "frame": In(1), "pushed": In(1), "start": In(1), "own": In(size), "own_valid": In(1), "own_done": In(1),
                "any_east": In(1), "any_south": In(1), "east": In(size), "east_valid": In(1), "south": In(size),
                "south_valid": In(1), "ready": In(1), "mark": In(1), **status,
            }
        )  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.drain = d = self.drain
        for name in ("frame", "pushed", "start", "own_valid", "own_done", *self.status):
            m.d.comb += Value.cast(getattr(d, name)).eq(getattr(self, name))
        m.d.comb += [
            Value.cast(d.own).eq(self.own), d.has_east.eq(self.any_east), d.has_south.eq(self.any_south),
            d.out.ready.eq(self.ready),
        ]  # fmt: skip
        own, behind = self.layout(self.own), {port: self.layout(getattr(self, port)) for port in self.ports}
        taken: dict[str, Value] = {"own": d.own_valid & d.own_ready}
        ready: dict[str, Value] = {}
        for port in self.ports:
            chain, valid = getattr(d, port), getattr(self, f"{port}_valid")
            m.d.comb += [chain.valid.eq(valid), Value.cast(chain.payload).eq(getattr(self, port))]
            taken[port], ready[port] = chain.valid & chain.ready, chain.ready
        last = {port: taken[port] & behind[port].last if port in behind else Const(0, 1) for port in ("east", "south")}
        for port, there in (("east", self.any_east), ("south", self.any_south)):
            if port not in behind:
                given(m, f"no_{port}", ~there)

        # whose turn it is, as the page on dataflow has it
        turn = Signal(3, name="turn")  # 0 nobody's, 1 own, 2 east, 3 south, 4 the closing word
        with m.If((turn == 0) & self.start):
            m.d.sync += turn.eq(1)
        with m.Elif((turn == 1) & self.own_done):
            m.d.sync += turn.eq(2)
        with m.Elif((turn == 2) & (~self.any_east | last["east"])):
            m.d.sync += turn.eq(3)
        with m.Elif((turn == 3) & (~self.any_south | last["south"])):
            m.d.sync += turn.eq(4)
        with m.Elif((turn == 4) & d.done):
            m.d.sync += turn.eq(0)
        given(m, "starts_when_idle", ~self.start | (turn == 0))
        given(m, "own_codes_in_their_turn", (turn == 1) | ~(self.own_valid | self.own_done))
        given(m, "own_codes_end", ~self.own_done | ~self.own_valid | d.own_ready)
        given(m, "own_is_a_code", ~own.last)
        given(m, "counts_and_begins_when_idle", ~(self.pushed | self.frame) | (turn == 0))
        for port in self.ports:
            keeps_offer(m, port, getattr(self, f"{port}_valid"), ready[port], getattr(self, port), as_given=True)
        for name in taken:
            number = ("own", "east", "south").index(name) + 1
            must(m, f"{name}_in_its_turn", ~taken[name] | (turn == number))

        # the closing word: flags ORed, counts added
        totals: dict[str, Signal] = {}
        put_close = (turn == 4) & d.done
        for name in (*self.status, "changes"):
            total = Signal(Value.cast(self.layout(self.own)[name]).shape(), name=f"total_{name}")
            if name == "changes":
                with m.If(self.frame):
                    m.d.sync += total.eq(0)
                with m.Elif(self.pushed):
                    m.d.sync += total.eq(total + 1)
            else:
                with m.If(self.start):
                    m.d.sync += total.eq(getattr(self, name))
            for port, word in behind.items():
                with m.If(last[port]):
                    if name in SUMS:
                        m.d.sync += total.eq(total + word[name])
                    elif name in FLAGS:
                        m.d.sync += total.eq(total | word[name])
            totals[name] = total

        put = Cat(taken["own"], put_close, *[taken[port] & ~behind[port].last for port in behind]).any()
        word = Signal(self.layout.size, name="entering")
        with m.If(turn == 1):
            m.d.comb += word.eq(self.own)
        with m.Elif(turn == 2):
            m.d.comb += word.eq(self.east)
        with m.Elif(turn == 3):
            m.d.comb += word.eq(self.south)
        with m.Else():
            closing = self.layout(word)
            m.d.comb += closing.last.eq(1)
            for name in totals:
                live = name in (*SUMS, *FLAGS)  # the others are this tile's own, as they are when the word enters
                m.d.comb += closing[name].eq(totals[name] if live else getattr(self, name))
        got = d.out.valid & d.out.ready
        inside = follow(
            m, "drain", put=put, word=word, get=got, got=Value.cast(d.out.payload), mark=self.mark, places=2
        )
        keeps_offer(m, "codes", d.out.valid, d.out.ready, d.out.payload)
        must(m, "offers_what_is_inside", d.out.valid == (inside != 0))
        offered = {1: d.own_valid & ~d.own_ready, 4: ~d.done}
        for number, port, there in ((2, "east", self.any_east), (3, "south", self.any_south)):
            if port in behind:
                offered[number] = there & getattr(self, f"{port}_valid") & ~ready[port]
        waits = Cat(*[(turn == n) & wait for n, wait in offered.items()]).any()
        must(m, "waits_only_for_room", ~waits | (inside == 2))
        return m


class FrontHarness(wiring.Component):
    """The front: what it takes is what it feeds, one clock later, once, with the pixel's coordinates."""

    def __init__(self, plan: Plan, front: Front | None = None) -> None:
        self.plan, self.front = plan, front or Front(plan)
        self.codes = CodeLayout(plan)
        f = self.front
        self.sizes = {name: len(Value.cast(getattr(f, name).payload)) for name in ("command", "pixels", "weights")}
        members: dict[str, Any] = {}
        for name, size in self.sizes.items():
            members |= {name: In(size), f"{name}_valid": In(1)}
        super().__init__({**members, "exit": In(self.codes.size), "exit_valid": In(1), "ready": In(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.front = f = self.front
        taken: dict[str, Value] = {}
        for name in self.sizes:
            port: stream.Interface = getattr(f, name)
            m.d.comb += [
                port.valid.eq(getattr(self, f"{name}_valid")), Value.cast(port.payload).eq(getattr(self, name))
            ]  # fmt: skip
            taken[name] = before(m, port.valid & port.ready, f"{name}_taken")
        m.d.comb += [
            f.exit.valid.eq(self.exit_valid),
            Value.cast(f.exit.payload).eq(self.exit),
            f.codes.ready.eq(self.ready),
        ]
        keeps_offer(m, "exit", f.exit.valid, f.exit.ready, self.exit, as_given=True)
        keeps_offer(m, "codes", f.codes.valid, f.codes.ready, f.codes.payload)

        command, pixels, weights = (before(m, getattr(self, name), name) for name in self.sizes)
        was_dirty = before(m, f.dirty, "dirty", init=1)
        asked = f.command.payload.shape()(command)
        kept = Signal(self.plan.threshold_width, name="kept_threshold")  # of the state: that of the last frame begun
        wrong = (asked.steps == 0) | (asked.threshold == 0) | (asked.shift >= self.plan.shift_codes)
        refused = wrong | (asked.warm & (was_dirty | (asked.threshold != before(m, kept, "kept_threshold"))))
        feed = f.feed
        kind = feed.kind
        must(m, "weights_are_fed", taken["weights"] == (kind == FeedKind.WEIGHT))
        must(m, "pixels_are_fed", taken["pixels"] == (kind == FeedKind.PIXEL))
        must(m, "commands_are_fed", (taken["command"] & ~refused) == (kind == FeedKind.BEGIN))
        load = f.weights.payload.shape()(weights)
        fed = Value.cast(feed.value)
        must(m, "weight_words", ~taken["weights"] | ((feed.value == load.value) & (feed.mark == load.first)))
        must(m, "pixel_words", ~taken["pixels"] | (fed[: len(pixels)] == pixels))
        same = Cat(*[feed[name] == asked[name] for name in command_numbers(self.plan)]).all() & (
            feed.mark == asked.warm
        )
        must(m, "commands", ~(kind == FeedKind.BEGIN) | same)
        now = f.command.payload
        none = (now.steps == 0) | (now.threshold == 0) | (now.shift >= self.plan.shift_codes)
        none = none | (now.warm & (f.dirty | (now.threshold != kept)))
        with m.If(f.command.valid & f.command.ready & ~none):
            m.d.sync += kept.eq(now.threshold)

        # raster order, channels innermost, counted here from the handshakes alone
        g = self.plan.tiling.geometry
        sizes = (g.channels, g.image[1], g.image[0])
        c, x, y = (Signal(bits(size), name=f"count_{axis}") for axis, size in zip("cxy", sizes, strict=True))
        took = f.pixels.valid & f.pixels.ready
        ends = (c == sizes[0] - 1, x == sizes[1] - 1, y == sizes[2] - 1)
        with m.If(f.command.valid & f.command.ready):
            m.d.sync += [c.eq(0), x.eq(0), y.eq(0)]
        with m.Elif(took):
            for counter, end, carry in zip((c, x, y), ends, (1, ends[0], ends[0] & ends[1]), strict=True):
                with m.If(carry):
                    m.d.sync += counter.eq(0)
                    with m.If(~end):
                        m.d.sync += counter.eq(counter + 1)
        place = before(m, Cat(c, x, y), "place")
        last = before(m, Cat(*ends).all(), "last_place")
        must(m, "pixel_places", ~taken["pixels"] | (Cat(feed.c, feed.x, feed.y) == place))
        must(m, "last_pixel", ~taken["pixels"] | (feed.mark == last))
        over = before(m, took & Cat(*ends).all(), "over")
        must(m, "no_pixel_after_the_last", ~over | ~f.pixels.ready)

        # codes: what enters at the exit leaves in the same clock; a refusal is one closing word
        word = self.codes(f.codes.payload)
        entered, left = f.exit.valid & f.exit.ready, f.codes.valid & f.codes.ready
        must(m, "codes_pass", ~entered | (left & (Value.cast(f.codes.payload) == self.exit)))
        must(m, "nothing_else_leaves", ~left | entered | (word.last & word.refused))
        must(m, "one_kind_at_a_time", ~(f.command.ready & f.weights.valid))
        must(m, "idle_or_busy", ~f.busy | ~(f.command.ready | f.weights.ready))
        return m


# ---- what an induction must know of the registers inside -------------------------------------------------------------
CLEAR, PIXELS = 2, 3  # states of the front, in the order in which its text names them


def drain_inside(system: System, unnamed: Sequence[str]) -> System:
    """`DrainHarness` with the claim that state, sums and queue are where the harness has them. `unnamed`: the wires
    that hold overflow and saturated.
    """
    w = system.wire
    turn, level = w("turn"), w("drain.queue.level")
    word = z3.If(w("drain_ahead") == 0, w("drain.queue.o__payload"), w("drain.queue.$signal$9"))
    overflow, saturated = unnamed
    sums = [w("total_overflow") == w(overflow), w("total_saturated") == w(saturated)]
    sums += [w("total_events") == w("drain.events")]
    return system.claim(
        turns=z3.And(z3.ULE(turn, 4), w("drain.fsm_state") == turn),
        level=z3.And(level == w("drain_inside"), z3.ULE(level, 2)),
        place=z3.Implies(w("drain_following") == 1, word == w("drain_kept")),
        totals=z3.Or(turn == 0, z3.And(*sums)),
        changes=w("total_changes") == w("drain.changes"),
    )


def front_inside(system: System, unnamed: Sequence[str]) -> System:
    """`FrontHarness` likewise: while pixels come, the counters are those of the harness. `unnamed`: c and y."""
    w = system.wire
    state, held = w("front.fsm_state"), dict(zip("cyx", [*unnamed, "front.x"], strict=True))
    places = [w(f"count_{n}") == w(name) for n, name in held.items() if f"count_{n}" in system.wires]
    return system.claim(
        places=z3.Implies(z3.Or(state == CLEAR, state == PIXELS), z3.And(*places)),
        states=z3.And(z3.ULE(state, 4), z3.Implies(w("before_over") == 1, state == 4)),
        threshold=w("kept_threshold") == w("front.threshold"),
    )


def induction_of(
    system: System,
    inside: Callable[[System, Sequence[str]], System],
    unit: str,
    names: int,
    depth: int = 2,
    **more: Any,
) -> Verdict:
    """The induction with what `inside` says of the registers of a unit. Amaranth gives numbers to signals that are made
    in one statement, so which is which is tried out: a proof is a proof, whatever it was told to look at.
    """
    there = [name for name in system.wires if re.fullmatch(rf"{unit}\.\$signal(\$\d+)?", name)]
    verdict = None
    for choice in itertools.permutations(there, names):
        try:
            verdict = induction(inside(system, choice), depth, **more)
        except z3.Z3Exception:  # widths that differ: not this one
            continue
        if verdict.proved:
            return verdict
    if verdict is None:
        raise ValueError(f"{unit} has {len(there)} unnamed signals, {names} are looked for")
    return verdict
