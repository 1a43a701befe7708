"""The hazard distance: two touches of one word of D or R are never closer than L clocks.

`service_rule` proves the argument of docs/dataflow.md, section 4, for any geometry and any number of events; the two
harnesses hold the address generators themselves to it, with events of the solver's choice. `GatherHarness` also
follows an event through the FIFO to the lanes.
"""

from __future__ import annotations

from typing import Any

import z3
from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from ...sim.plan import Plan
from ...sim.tiling import bits
from ...sim.timing import DETECT_FIFO, HAZARD
from ..detect import PixelEventLayout
from ..gather import Gather
from ..scatter import PatchEventLayout, Scatter
from .engine import Verdict, holds
from .streams import before, follow
from .system import given, must


def service_rule(*, hazard: int = HAZARD, kept: int = HAZARD) -> dict[str, Verdict]:
    """The rule "wait `hazard` - c clocks where c rows are shared, 0 < c < `hazard`" keeps touches of a row `kept`
    clocks apart.

    Of two events one after the other: rows A..B each, at least one clock a row; neither the first nor the last row goes
    back. "neighbours": their touches of a common row lie so far apart. "chain": an event between two that share a row
    covers it as well, so what holds for neighbours holds for all. "channel": after a pause of `hazard` clocks any two
    touches lie so far apart.
    """
    a1, b1, a2, b2, row = z3.Ints("A1 B1 A2 B2 row")
    t1, t2, first1, last1, first2 = z3.Ints("t1 t2 first1 last1 first2")
    raster = z3.And(a1 <= b1, a2 <= b2, a1 <= a2, b1 <= b2)
    common = b1 - a2 + 1
    pause = z3.If(z3.And(common > 0, common < hazard), hazard - common, 0)
    # whatever the columns: at least one clock for each row after this one, for each row before this one
    served = z3.And(first1 <= t1, last1 - t1 >= b1 - row, first2 == last1 + 1 + pause, t2 - first2 >= row - a2)
    shared = z3.And(a1 <= row, row <= b1, a2 <= row, row <= b2)
    a, b = z3.Ints("A B")
    between = z3.And(a1 <= a, a <= a2, b1 <= b, b <= b2)
    return {
        "neighbours": holds(z3.Implies(z3.And(raster, shared, served), t2 - t1 >= kept), names=(a1, b1, a2, b2, row)),
        "chain": holds(z3.Implies(z3.And(raster, shared, between), z3.And(a <= row, row <= b)), names=(a, b, row)),
        "channel": holds(
            z3.Implies(z3.And(t1 <= last1, t2 >= last1 + 1 + hazard), t2 - t1 >= kept), names=(t1, t2, last1)
        ),
    }


def _apart(m: Module, name: str, touch: Value) -> None:
    """Two clocks with `touch` are at least L apart."""
    since = Signal(range(HAZARD + 1), init=HAZARD, name=f"since_{name}")
    with m.If(touch):
        m.d.sync += since.eq(1)
    with m.Elif(since != HAZARD):
        m.d.sync += since.eq(since + 1)
    must(m, f"{name}_distance", ~touch | (since == HAZARD))


def bank_address(word: Value, skips: Value, bank: int, width: int) -> Value:
    """The address of a bank as the datapath forms it: the word, or the one after it where the bank's bit is set.

    ValueError where the layout has another width: Amaranth cuts a slice beyond the end short, and a proof about an
    empty address proves nothing.
    """
    if len(word) != width or bank >= len(skips):
        raise ValueError(f"bank {bank}: an address of {width} bits from {len(word)}, {len(skips)} banks")
    address = (word + skips[bank])[:width]
    if len(address) != width:
        raise ValueError(f"bank {bank}: an address of {len(address)} bits, {width} are needed")
    return address


class GatherHarness(wiring.Component):
    """Gather with residual events in raster order, channel by channel (`ordered`), offered at any time."""

    def __init__(self, plan: Plan, *, ordered: bool = True, scoreboard: bool = False) -> None:
        self.plan, self.ordered, self.scoreboard = plan, ordered, scoreboard
        self.layout, t = PixelEventLayout(plan), plan.tiling
        super().__init__(
            {
                "event": In(self.layout.size), "event_valid": In(1), "mark": In(1),
                "any_bank": In(range(max(2, t.positions_per_cycle))), "any_word": In(bits(t.drive_depth)),
                "any_group": In(range(max(2, t.kernel_groups))),
            }
        )  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        t = self.plan.tiling
        m.submodules.gather = g = Gather(self.plan)
        event = self.layout(self.event)
        begun = before(m, 1, "begun")
        m.d.comb += [g.start.eq(~begun), Value.cast(g.event).eq(self.event), g.event_valid.eq(self.event_valid)]
        given(
            m,
            "a_pixel_of_the_region",
            (event.c < t.geometry.channels) & (event.y < t.region[0]) & (event.x < t.region[1]),
        )
        given(m, "after_the_start", begun | ~self.event_valid)
        put = g.event_valid & g.event_ready
        place = Cat(event.x, event.y, event.c)
        previous, some = Signal(len(place)), Signal()
        with m.If(put):
            m.d.sync += [previous.eq(place), some.eq(1)]
        if self.ordered:
            given(m, "raster_order", ~put | ~some | (place > previous))
        issue = g.issue
        touch = Signal()
        with m.If(issue.gather):
            for bank in range(t.positions_per_cycle):
                address = bank_address(issue.d_addr, issue.d_skip, bank, bits(t.drive_depth))
                for group in range(t.kernel_groups):
                    mine = (self.any_bank == bank) & (self.any_group == group) & (self.any_word == address)
                    with m.If(mine & issue.d_en[bank * t.kernel_groups + group]):
                        m.d.comb += touch.eq(1)
        _apart(m, "drive", touch)
        if self.scoreboard:
            self._scoreboard(m, g, put)
        return m

    def _scoreboard(self, m: Module, g: Gather, put: Value) -> None:
        """Every event reaches the lanes once, in order, with its own change."""
        word, due = Signal(self.layout.size, name="taken_word"), Signal(name="due")
        del word
        operand = Signal(len(Value.cast(g.issue.operand)), name="operand")
        m.d.comb += operand.eq(g.issue.operand)
        taken, dr = before(m, g.taken, "taken"), self.layout(self.event).dr
        change = Signal(len(operand), name="change")
        m.d.comb += change.eq(dr)  # sign-extended
        follow(m, "events", put=put, word=change, get=taken, got=operand, mark=self.mark, places=DETECT_FIFO + 3)
        # each event taken works at least once before the next one
        m.d.sync += due.eq((due & ~g.issue.gather) | g.taken)
        must(m, "every_event_is_served", ~(g.taken & due & ~g.issue.gather))
        must(m, "idle_when_all_are_served", ~g.idle | ~due)


class ScatterHarness(wiring.Component):
    """Scatter with code events in raster order of their positions; a new source (of any place) only when it is idle."""

    def __init__(self, plan: Plan, *, ordered: bool = True) -> None:
        self.plan, self.ordered, self.layout = plan, ordered, PatchEventLayout(plan)
        super().__init__(
            {
                "event": In(self.layout.size), "event_valid": In(1), "source": In(1),
                "any_lane": In(range(max(2, plan.tiling.scatter_lanes))),
                "any_word": In(bits(plan.tiling.residual_depth)),
            }
        )  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        t = self.plan.tiling
        reach = t.geometry.reach
        m.submodules.scatter = s = Scatter(self.plan)
        event: Any = self.layout(self.event)
        m.d.comb += [Value.cast(s.event).eq(self.event), s.event_valid.eq(self.event_valid)]
        inside = (event.row < t.block[0] + 2 * reach) & (event.column < t.block[1] + 2 * reach)
        given(m, "a_position_that_is_seen", inside & (event.k < t.geometry.kernels))
        put = s.event_valid & s.event_ready
        place = Cat(event.k, event.column, event.row)
        previous, some = Signal(len(place)), Signal()
        with m.If(put):
            m.d.sync += [previous.eq(place), some.eq(1)]
        given(m, "a_new_source_when_idle", ~self.source | s.idle)
        if self.ordered:
            given(m, "raster_order", ~put | ~some | self.source | (place > previous))
        issue = s.issue
        touch = Signal()
        with m.If(issue.scatter):
            for n in range(t.scatter_lanes):
                bank = n // t.columns_per_word
                address = bank_address(issue.r_addr, issue.r_skip, bank, bits(t.residual_depth))
                with m.If((self.any_lane == n) & issue.r_en[n] & (self.any_word == address)):
                    m.d.comb += touch.eq(1)
        _apart(m, "residual", touch)
        return m
