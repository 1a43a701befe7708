"""Exchange: a step's code events go out and come in by rounds, without a global wire and without deadlock.

A round is at most ``link_depth`` events of a tile and a token. A tile fills its own store and its neighbours' links
without ever waiting for room, because it begins a round only when all of these were consumed. Then it scatters its own
events and each neighbour's, in fixed order, each up to its token, and says so. Whoever was not ``last`` makes another
round.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..sim.plan import Plan
from ..sim.tiling import DIRECTIONS
from ..sim.timing import SETTLE_DELAY
from .link import Link
from .scatter import PatchEventLayout
from .update import EventLayout

LINKS = len(DIRECTIONS)


def news_field(plan: Plan) -> dict[str, Shape]:
    """With ``settle`` a token carries news: bit d says that a tile within d links had a code event d steps ago."""
    return {"news": unsigned(SETTLE_DELAY)} if plan.settle else {}


class LinkOutLayout(data.StructLayout):
    """What a tile shows all its neighbours: one event for those in ``send``, or a token for all."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(
            {
                "send": unsigned(LINKS),
                "event": EventLayout(plan),
                "token": unsigned(1),
                "last": unsigned(1),
                **news_field(plan),
            }
        )


class LinkInLayout(data.StructLayout):
    """What a tile sees of one neighbour."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(
            {
                "valid": unsigned(1),
                "event": EventLayout(plan),
                "token": unsigned(1),
                "last": unsigned(1),
                **news_field(plan),
            }
        )


class Exchange(wiring.Component):
    """Stores, links, tokens and the order of sources of one tile.

    A link that no tile of the mesh has (``Tiling.links``) has no ports and no store; it keeps its clock in the order of
    sources.

    Members:
        present: In(8), which neighbours exist.
        step: In(1), a new step begins: nobody is last.
        event, push: In, a change leaves update: to the own store and the links it touches.
        full: Out(1), the own store holds ``link_depth`` events.
        close, last: In(1), the round ends in this cycle.
        begin: In(1), scatter all sources from the next cycle on.
        patch, patch_valid, patch_ready: Out, the events to scatter, source by source. scatter_idle: In(1).
        finished: Out(1), the round is over in this cycle. all_last: Out(1), so is the step's exchange.
        may_start: Out(1), nothing of the round before is unread anywhere.
        self_last: Out(1), this tile has sent its last token of the step.
        again, refreshing: In(1), with ``refresh``: a refresh begins, and is under way; its events are no news.
        frame, warm: In(1), with ``settle``: a frame begins. news: Out(1), some tile had a code event SETTLE_DELAY steps
        ago; holds for the whole step.
        out, consumed: registered outputs to the neighbours. in_0 .. in_7, those of ``Tiling.links``, acknowledged:
        registers of the neighbours.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        super().__init__(
            {
                "present": In(LINKS),
                "step": In(1),
                "event": In(EventLayout(plan)),
                "push": In(1),
                "full": Out(1),
                "close": In(1),
                "last": In(1),
                "begin": In(1),
                "patch": Out(PatchEventLayout(plan)),
                "patch_valid": Out(1),
                "patch_ready": In(1),
                "scatter_idle": In(1),
                "finished": Out(1),
                "all_last": Out(1),
                "may_start": Out(1),
                "self_last": Out(1),
                "out": Out(LinkOutLayout(plan)),
                "consumed": Out(LINKS),
                "acknowledged": In(LINKS),
                **{f"in_{b}": In(LinkInLayout(plan)) for b in plan.tiling.links},
                **({"again": In(1), "refreshing": In(1)} if plan.refresh else {}),
                **({"frame": In(1), "warm": In(1), "news": Out(1)} if plan.settle else {}),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan, t = self.plan, self.plan.tiling
        (th, tw), reach = t.block, t.geometry.reach
        own = Link(plan)
        links = {b: Link(plan) for b in t.links}
        m.submodules.own = own
        for b, link in links.items():
            m.submodules[f"link{b}"] = link

        # out: an event goes to every neighbour whose region its patch touches
        rows = {-1: self.event.i < reach, 0: 1, 1: self.event.i >= th - reach}
        columns = {-1: self.event.j < reach, 0: 1, 1: self.event.j >= tw - reach}
        touched = Cat(*[rows[di] & columns[dj] if b in links else 0 for b, (di, dj) in enumerate(DIRECTIONS)])
        m.d.comb += [
            own.push.eq(self.push),
            own.event.eq(self.event),
            self.full.eq(own.full),
            own.token.eq(self.close),
            own.last.eq(self.last),
        ]
        m.d.sync += [
            self.out.send.eq(Mux(self.push, touched & self.present, 0)),
            self.out.event.eq(self.event),
            self.out.token.eq(self.close),
            self.out.last.eq(self.last),
        ]
        mine = sum(1 << b for b in links)
        present = self.present & mine
        outstanding, seen_last = Signal(LINKS), Signal(LINKS)
        m.d.sync += outstanding.eq((outstanding | Mux(self.close, present, 0)) & ~self.acknowledged)
        m.d.comb += self.may_start.eq(outstanding == 0)
        with m.If(self.close):
            m.d.sync += self.self_last.eq(self.last)

        # in
        for b, link in links.items():
            bus = getattr(self, f"in_{b}")
            m.d.comb += [
                link.push.eq(bus.valid),
                link.event.eq(bus.event),
                link.token.eq(bus.token),
                link.last.eq(bus.last),
            ]

        # sources in order, one bit each: 0 is the own store, 1 + b is link b
        source, working, feeding = Signal(LINKS + 1, init=1), Signal(), Signal()
        stores = [own, *[links.get(b) for b in range(LINKS)]]
        there = [Const(1, 1), *[self.present[b] & ~seen_last[b] if b in links else Const(0, 1) for b in range(LINKS)]]
        skip = ~(source & Cat(*there)).any()
        arrived = (source & Cat(1, *[links[b].closed if b in links else 0 for b in range(LINKS)])).any()
        nothing = ~(source & Cat(*[store.some if store is not None else 0 for store in stores])).any()
        exhausted = ~(source & Cat(*[~store.empty if store is not None else 0 for store in stores])).any()
        head = Signal(EventLayout(plan))
        row_shift, column_shift = Signal(range(-max(th, 1), th + 1)), Signal(range(-max(tw, 1), tw + 1))
        for n, store in enumerate(stores):
            if store is not None:
                di, dj = (0, 0) if n == 0 else DIRECTIONS[n - 1]
                with m.If(source[n]):
                    m.d.comb += [head.eq(store.head), row_shift.eq(di * th), column_shift.eq(dj * tw)]
        m.d.comb += [
            self.patch.k.eq(head.k),
            self.patch.dy.eq(head.dy),
            self.patch.row.eq(head.i + row_shift + reach),
            self.patch.column.eq(head.j + column_shift + reach),
            self.patch_valid.eq(feeding & ~exhausted),
        ]
        done = Signal()  # the source is finished in this cycle
        with m.If(working & ~feeding):
            with m.If(skip | (arrived & nothing)):
                m.d.comb += done.eq(1)
            with m.Elif(arrived):
                m.d.sync += feeding.eq(1)
        with m.If(feeding & exhausted & self.scatter_idle):
            m.d.comb += done.eq(1)
            m.d.sync += feeding.eq(0)
        for n, store in enumerate(stores):
            if store is None:
                continue
            chosen = source[n]
            m.d.comb += store.next.eq(chosen & self.patch_valid & self.patch_ready)
            # a source that was skipped has nothing to forget: its next events may already be arriving
            m.d.comb += store.clear.eq(chosen & done & ~skip)
        for b in links:
            m.d.sync += self.consumed[b].eq(source[b + 1] & done & ~skip)
            with m.If(source[b + 1] & done & ~skip):
                m.d.sync += seen_last[b].eq(links[b].closed_last)
        with m.If(done):  # after the last one the first is next: of the round to come
            m.d.sync += source.eq(source.rotate_left(1))
        with m.If(self.begin):
            m.d.sync += working.eq(1)
        with m.Elif(self.finished):
            m.d.sync += working.eq(0)
        heard = {b: source[b + 1] & done & ~skip & link.closed_last for b, link in links.items()}
        m.d.comb += [
            self.finished.eq(done & source[LINKS]),
            self.all_last.eq(
                self.self_last
                & (
                    (
                        seen_last
                        | ~present
                        | Cat(*[heard[b] if b in heard else 0 for b in range(LINKS)])
                    ).all()
                )
            ),
        ]
        with m.If(self.step | self.again if plan.refresh else self.step):
            m.d.sync += [seen_last.eq(0), self.self_last.eq(0)]
        if plan.settle:
            self._pass_on_news(m, links, heard)
        return m

    def _pass_on_news(self, m: Module, links: dict[int, Link], heard: dict[int, Value]) -> None:
        """News of an event travels one tile a step, with the last token of the step.

        Bit d of ``near`` says that a tile within d links had a code event d steps ago; bit 0 is this tile in this step.
        So bit SETTLE_DELAY says the same in every tile of a mesh whose tiles are at most so many links apart.
        """
        near = Signal(SETTLE_DELAY + 1)
        push = self.push & ~self.refreshing if self.plan.refresh else self.push
        others = Signal(SETTLE_DELAY)  # what the neighbours said in this step
        # the last event of a step may leave in the very clock of the token
        m.d.sync += self.out.news.eq(near[:SETTLE_DELAY] | push)
        m.d.comb += self.news.eq(near[SETTLE_DELAY])
        for b, link in links.items():
            m.d.comb += link.news.eq(getattr(self, f"in_{b}").news)
            with m.If(heard[b]):
                m.d.sync += others.eq(others | link.closed_news)
        with m.If(push):
            m.d.sync += near[0].eq(1)
        with m.If(self.step):
            m.d.sync += [near.eq(Cat(Const(0, 1), near[:SETTLE_DELAY] | others)), others.eq(0)]
        with m.If(self.frame):  # steps before the first count as busy; in a cold frame nothing counts before an event
            m.d.sync += [near.eq(self.warm.replicate(len(near))), others.eq(0)]
