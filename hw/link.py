"""Link: the store of one source of code events, filled in rounds of at most ``link_depth`` events closed by a token.

Each tile has one for itself and one for each neighbour. It is filled completely, read completely and then emptied at
once, so it is a memory with a count and not a queue: a neighbour begins its next round only when this one was consumed.
"""

from amaranth.hdl import Module, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from ..sim.plan import Plan
from ..sim.timing import SETTLE_DELAY
from .update import EventLayout


class Link(wiring.Component):
    """Store of up to ``depth`` events and a token.

    Members:
        push, event: In, one event a cycle; there is always room (the protocol counts).
        token, last: In(1), the round is complete; ``last`` when the sender's sheet is done for this step.
        some, full: Out(1), an event is here; ``depth`` of them are.
        closed, closed_last: Out(1), the token is here, and what it said.
        next: In(1), go on to the next event. head: Out, the event to read; ``empty`` when all of some were read.
        clear: In(1), consumed: forget everything.

    What is said of the count are registers: update freezes on ``full``.
    """

    def __init__(self, plan: Plan) -> None:
        self.layout, self.depth, self.settle = EventLayout(plan), plan.link_depth, plan.settle > 0
        super().__init__(
            {
                "push": In(1),
                "event": In(self.layout),
                "token": In(1),
                "last": In(1),
                "some": Out(1),
                "full": Out(1),
                "closed": Out(1),
                "closed_last": Out(1),
                "next": In(1),
                "head": Out(self.layout),
                "empty": Out(1),
                "clear": In(1),
                **({"news": In(SETTLE_DELAY), "closed_news": Out(SETTLE_DELAY)} if self.settle else {}),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.store = store = memory.Memory(shape=self.layout, depth=self.depth, init=[])
        write, read = store.write_port(), store.read_port(domain="comb")
        last, at = Signal(range(self.depth)), Signal(range(self.depth))  # the event that came last, the one to read
        count = Signal(range(self.depth + 1))
        m.d.comb += [
            write.en.eq(self.push),
            write.addr.eq(count),
            write.data.eq(self.event),
            read.addr.eq(at),
            self.head.eq(read.data),
        ]
        with m.If(self.push):
            m.d.sync += [
                count.eq(count + 1),
                last.eq(count),
                self.some.eq(1),
                self.full.eq(count == self.depth - 1),
            ]
        with m.If(self.token):
            m.d.sync += [self.closed.eq(1), self.closed_last.eq(self.last)]
            if self.settle:
                m.d.sync += self.closed_news.eq(self.news)
        with m.If(self.next):
            m.d.sync += [at.eq(at + 1), self.empty.eq(at == last)]
        with m.If(self.clear):
            m.d.sync += [count.eq(0), at.eq(0), self.closed.eq(0), self.closed_last.eq(0)]
            m.d.sync += [self.some.eq(0), self.full.eq(0), self.empty.eq(0)]
        return m
