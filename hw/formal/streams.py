"""Harnesses for everything with ready and valid: the rules of a stream, and a beat followed from one end to the other.

The follower is the usual one for queues of any word: at a clock of the solver's choice it picks the beat that enters,
remembers its word and how many are in front of it, and the beat that leaves when nobody is in front must carry that
word. Every beat may be the one, so none is lost, repeated, changed or overtaken.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import z3
from amaranth.hdl import Module, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In

from ...sim.plan import Plan
from ...sim.timing import SETTLE_DELAY
from ..drain import Queue2
from ..link import Link
from ..serialiser import Serialiser
from ..shapes import lane
from .system import System, given, must


def before(m: Module, value: Any, name: str, init: int = 0) -> Signal:
    """A signal's value in the clock before; `init` in the first."""
    cast = Value.cast(value)
    register = Signal(len(cast), name=f"before_{name}", init=init)
    m.d.sync += register.eq(cast)
    return register


def keeps_offer(m: Module, name: str, valid: Value, ready: Value, payload: Any, *, as_given: bool = False) -> None:
    """The rule of a stream: an offer stays, with its payload, until it is taken. Claimed, or relied on."""
    word = Value.cast(payload)
    open_offer = before(m, valid & ~ready, f"{name}_open")
    kept = ~open_offer | (valid & (word == before(m, word, f"{name}_word")))
    (given if as_given else must)(m, f"{name}_keeps_its_offer", kept)


def follow(
    m: Module, name: str, *, put: Value, word: Value, get: Value, got: Value, mark: Value, places: int
) -> Signal:
    """Follow one beat through at most `places` places; the number of beats inside, before this clock's put and get.

    `put`, `get`: a beat enters, leaves in this clock (with `places` = 0 or a beat passing at once, both are the same
    beat). `mark`: free input that picks the beat.
    """
    inside = Signal(range(places + 2), name=f"{name}_inside")
    ahead = Signal.like(inside, name=f"{name}_ahead")
    following, kept = Signal(name=f"{name}_following"), Signal(len(word), name=f"{name}_kept")
    done = Signal(name=f"{name}_done")
    m.d.sync += inside.eq(inside + put - get)
    with m.If(put & mark & ~following & ~done):
        m.d.sync += [following.eq(1), kept.eq(word), ahead.eq(inside - get)]
    with m.If(get & following):
        m.d.sync += ahead.eq(ahead - 1)
        with m.If(ahead == 0):
            m.d.sync += [following.eq(0), done.eq(1)]
    must(m, f"{name}_gives_only_what_it_took", ~get | (inside != 0))
    must(m, f"{name}_has_room", ~put | (inside < places) | get)
    must(m, f"{name}_keeps_order_and_words", ~(get & following & (ahead == 0)) | (got == kept))
    must(m, f"{name}_follower", ~following | (ahead < inside))
    return inside


class QueueHarness(wiring.Component):
    """The two-place queue between a sender and a receiver that do as they like."""

    def __init__(self, queue: wiring.Component | None = None, width: int = 4) -> None:
        self.queue = queue or Queue2(data.StructLayout({"word": width}))
        super().__init__({"valid": In(1), "word": In(width), "ready": In(1), "mark": In(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.queue = q = self.queue
        i, o = q.i, q.o
        m.d.comb += [i.valid.eq(self.valid), i.payload.eq(self.word), o.ready.eq(self.ready)]
        inside = follow(
            m, "queue", put=i.valid & i.ready, word=self.word, get=o.valid & o.ready, got=Value.cast(o.payload),
            mark=self.mark, places=2,
        )  # fmt: skip
        keeps_offer(m, "output", o.valid, o.ready, o.payload)
        must(m, "offers_what_is_inside", o.valid == (inside != 0))
        must(m, "takes_while_there_is_room", i.ready == (inside != 2))
        return m


class LinkHarness(wiring.Component):
    """The store of one source of code events under the exchange's protocol: fill, token, read, clear.

    The surroundings promise what the exchange does: at most `link_depth` events a round, none after the token,
    reading only what is there and only after the token, clearing only what was read.
    """

    def __init__(self, plan: Plan, link: Link | None = None) -> None:
        self.plan, self.link = plan, link or Link(plan)
        layout = self.link.layout
        super().__init__(
            {
                "push": In(1), "event": In(layout.size), "token": In(1), "last": In(1), "news": In(SETTLE_DELAY),
                "next": In(1), "clear": In(1), "mark": In(1),
            }
        )  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.link = link = self.link
        for name in ("push", "event", "token", "last", "next", "clear"):
            m.d.comb += Value.cast(getattr(link, name)).eq(getattr(self, name))
        pushed, read = (Signal(range(link.depth + 2), name=name) for name in ("pushed", "read"))
        closed, was_last, was_news = Signal(name="was_closed"), Signal(name="was_last"), Signal(SETTLE_DELAY)
        m.d.sync += [pushed.eq(pushed + self.push), read.eq(read + self.next), closed.eq(closed | self.token)]
        with m.If(self.token):
            m.d.sync += [was_last.eq(self.last), was_news.eq(self.news)]
        with m.If(self.clear):
            m.d.sync += [pushed.eq(0), read.eq(0), closed.eq(0)]
        given(m, "at_most_a_round", ~self.push | (pushed < link.depth))
        given(m, "nothing_after_the_token", ~(closed & (self.push | self.token)))
        given(m, "reads_what_is_there", ~self.next | (closed & (read != pushed)))
        given(m, "clears_what_was_read", ~self.clear | (closed & (read == pushed) & ~self.next))
        follow(
            m, "link", put=self.push, word=self.event, get=self.next, got=Value.cast(link.head), mark=self.mark,
            places=link.depth,
        )  # fmt: skip
        waits = before(m, closed & (read != pushed) & ~self.next, "waits")
        must(m, "head_stays_until_it_is_read", ~waits | (Value.cast(link.head) == before(m, link.head, "head")))
        must(m, "some", link.some == (pushed != 0))
        must(m, "full", link.full == (pushed == link.depth))
        must(m, "empty", link.empty == ((pushed != 0) & (read == pushed)))
        must(m, "token", link.closed == closed)
        must(m, "last", ~closed | (link.closed_last == was_last))
        if self.plan.settle:
            m.d.comb += link.news.eq(self.news)
            must(m, "news", ~closed | (link.closed_news == was_news))
        return m


class SerialiserHarness(wiring.Component):
    """A word of lanes in, marked lanes out: one lane of the solver's choice is followed through every word.

    Used as in update and detect: while the pipeline runs, a word is loaded whenever the serialiser is free; while it
    stands, nothing is taken.
    """

    def __init__(self, lanes: int, width: int = 2, serialiser: Serialiser | None = None) -> None:
        self.lanes, self.width = lanes, width
        self.serialiser = serialiser or Serialiser(lanes=lanes, width=width)
        super().__init__(
            {
                "run": In(1), "present": In(1), "mask": In(lanes), "values": In(lanes * width), "take": In(1),
                "any_lane": In(range(max(2, lanes))),
            }
        )  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.serialiser = s = self.serialiser
        for name in ("present", "mask", "values"):
            m.d.comb += getattr(s, name).eq(getattr(self, name))
        m.d.comb += [s.load.eq(self.run & s.free), s.accept.eq(self.run & self.take)]
        given(m, "a_lane_that_exists", self.any_lane < self.lanes)
        given(m, "marks_only_what_is_there", self.present | (self.mask == 0))
        marked = (self.mask >> self.any_lane)[0]
        value = Signal(self.width)
        for n in range(self.lanes):
            with m.If(self.any_lane == n):
                m.d.comb += value.eq(lane(self.values, n, self.width))
        waiting, kept = Signal(name="waiting"), Signal(self.width, name="kept")
        leaves = s.valid & s.accept
        mine = leaves & (s.index == self.any_lane)
        with m.If(s.load):
            m.d.sync += [waiting.eq(marked), kept.eq(value)]
        with m.Elif(mine):
            m.d.sync += waiting.eq(0)
        must(m, "none_is_lost", ~s.load | ~waiting | mine)
        must(m, "none_is_repeated", ~mine | waiting)
        must(m, "values", ~mine | (s.value[: self.width] == kept))
        must(m, "lowest_first", ~(leaves & waiting) | (s.index <= self.any_lane))
        must(m, "occupied_while_waiting", ~waiting | (s.occupied & s.valid))
        held = before(m, s.valid & ~s.accept, "held")
        same = (s.index == before(m, s.index, "index")) & (s.value == before(m, s.value, "value").as_signed())
        must(m, "output_keeps_its_offer", ~held | (s.valid & same))
        must(m, "an_unmarked_word_passes_at_once", s.valid | s.free)
        return m


# ---- what an induction must know of the registers inside -------------------------------------------------------------
def _is(term: Any) -> Any:
    return term == z3.BitVecVal(1, term.size())


def _wide(term: Any, width: int) -> Any:
    return z3.ZeroExt(width - term.size(), term)


def queue_inside(system: System) -> System:
    """`QueueHarness` with the claim that level and words are where the follower has them."""
    w = system.wire
    word = z3.If(w("queue_ahead") == 0, w("queue.o__payload"), w("queue.$signal$9"))
    return system.claim(
        level=z3.And(w("queue.level") == w("queue_inside"), z3.ULE(w("queue.level"), 2)),
        place=z3.Implies(_is(w("queue_following")), word == w("queue_kept")),
    )


def link_inside(system: System, depth: int, last: str = "link.$signal") -> System:
    """`LinkHarness` likewise. `last`: the wire that holds the place of the event that came last."""
    w = system.wire
    count, pushed, read, ahead = (_wide(w(name), 8) for name in ("link.count", "pushed", "read", "link_ahead"))
    place = read + ahead
    word = w("link.store[0]")
    for n in range(1, depth):
        word = z3.If(place == n, w(f"link.store[{n}]"), word)
    claims = dict(
        count=count == pushed,
        inside=_wide(w("link_inside"), 8) == pushed - read,
        order=z3.And(z3.ULE(read, pushed), z3.ULE(pushed, depth), z3.Or(read == 0, _is(w("link.closed")))),
        place=z3.Implies(_is(w("link_following")), word == w("link_kept")),
    )
    if depth > 1:
        at, newest = w("link.at"), w(last)
        claims["at"] = at == z3.Extract(at.size() - 1, 0, read)
        claims["newest"] = z3.Implies(pushed != 0, newest == z3.Extract(newest.size() - 1, 0, pushed - 1))
    return system.claim(**claims)


def serialiser_inside(system: System, lanes: int, width: int, unnamed: Sequence[str] = ()) -> System:
    """`SerialiserHarness` likewise. `unnamed`: the wire that holds the lowest marked lane, where there are several."""
    w = system.wire
    mask, values, occupied = (w(f"serialiser.{name}") for name in ("mask", "values", "occupied"))
    shift = _wide(w("any_lane"), 8)
    bit = z3.Extract(0, 0, z3.LShR(z3.ZeroExt(8, mask), z3.ZeroExt(mask.size(), shift)))
    kept = w("kept")
    same = z3.And(
        *[z3.Implies(shift == n, z3.Extract((n + 1) * width - 1, n * width, values) == kept) for n in range(lanes)]
    )
    waiting = w("waiting")
    several = (mask & (mask - 1)) != 0
    lowest = {f"lowest_{n}": w(name) == (mask & -mask) for n, name in enumerate(unnamed)}
    return system.claim(
        **lowest,
        marked=z3.If(_is(occupied), bit == waiting, z3.And(mask == 0, waiting == 0)),
        words=z3.Implies(_is(waiting), same),
        more=_is(w("serialiser.more")) == several,
        some=_is(w("serialiser.valid")) == (mask != 0),
    )
