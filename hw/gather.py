"""Gather: ``D += w * dr~`` at every V1 position that covers a changed pixel, ``gather_lanes`` products a cycle.

Events wait in a small FIFO, one more is looked up in the tables while the lanes serve the one before it. Positions are
served rows first, then groups of ppc columns that need not be aligned (D and the weights have ppc banks with their own
addresses).
"""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from ..sim.plan import Plan
from ..sim.tiling import bits
from ..sim.timing import DETECT_FIFO, HAZARD
from .datapath import IssueLayout
from .detect import PixelEventLayout
from .memory import Table


def row_table(plan: Plan) -> dict[str, list[int]]:
    """Per region row: first V1 row, rows - 1, address of that row in D, patch row of it in the gather weights."""
    t, w = plan.tiling, plan.layout
    first, count = (values.tolist() for values in t.covering(0))
    return {
        "first": first,
        "last": [f + n - 1 for f, n in zip(first, count, strict=True)],
        "more": [n - 1 for n in count],
        "d_row": [f * t.drive_words_per_row for f in first],
        "w_row": [(y - t.geometry.stride * f) * w.row_stride for y, f in enumerate(first)],
    }


def column_table(plan: Plan) -> dict[str, list[int]]:
    """Per region column: where the first group starts in D and in the weights, groups - 1, lanes of the last group."""
    t, w = plan.tiling, plan.layout
    s, ppc, groups = t.geometry.stride, t.positions_per_cycle, t.kernel_groups
    table: dict[str, list[int]] = {
        n: [] for n in ("d_word", "d_skip", "more", "w_column", "w_skip", "rot", "last_mask")
    }
    for x, (first, count) in enumerate(zip(*(values.tolist() for values in t.covering(1)), strict=True)):
        q = x // s - first  # column offset, in positions, of the first position of the row
        tail = count - (-(-count // ppc) - 1) * ppc
        start = first % ppc
        table["d_word"].append(first // ppc)
        table["d_skip"].append(sum(1 << b for b in range(ppc) if b < start))
        table["more"].append(-(-count // ppc) - 1)
        table["w_column"].append((x % s * w.column_words + q // ppc) * groups)
        table["w_skip"].append(sum(1 << b for b in range(ppc) if -b % ppc > q % ppc))
        table["rot"].append(x // s % ppc)
        table["last_mask"].append(sum(1 << ((start + n) % ppc) for n in range(tail)))
    return table


class Gather(wiring.Component):
    """FIFO, look-up and address loops of the gather of one tile.

    Members:
        start: In(1), a new detect and gather phase: forget the event before.
        event, event_valid, event_ready: from detect; ready is a register.
        issue: Out, to the lanes; ``issue.gather`` marks a cycle of work.
        idle: Out(1), nothing is waiting and nothing is being served.
        taken: Out(1), the lanes begin an event in the next cycle (observation).
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        super().__init__(
            {
                "start": In(1),
                "event": In(PixelEventLayout(plan)),
                "event_valid": In(1),
                "event_ready": Out(1),
                "issue": Out(IssueLayout(plan)),
                "idle": Out(1),
                "taken": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan, t, w = self.plan, self.plan.tiling, self.plan.layout
        ppc, groups = t.positions_per_cycle, t.kernel_groups
        layout = PixelEventLayout(plan)

        # FIFO with a registered level
        m.submodules.fifo = store = memory.Memory(shape=layout, depth=DETECT_FIFO, init=[])
        write, read = store.write_port(), store.read_port(domain="comb")
        level, head, tail = Signal(range(DETECT_FIFO + 1)), Signal(range(DETECT_FIFO)), Signal(range(DETECT_FIFO))
        push, pop = Signal(), Signal()
        full = Signal()  # a register: detect stands still on it
        m.d.comb += [
            self.event_ready.eq(~full),
            push.eq(self.event_valid & self.event_ready),
            write.en.eq(push),
            write.addr.eq(tail),
            write.data.eq(self.event),
            read.addr.eq(head),
        ]
        m.d.sync += [level.eq(level + push - pop), full.eq(~pop & (full | (push & (level == DETECT_FIFO - 1))))]
        with m.If(push):
            m.d.sync += tail.eq(tail + 1)
        with m.If(pop):
            m.d.sync += head.eq(head + 1)

        # look-up: one event ahead of the lanes
        m.submodules.rows = rows = Table(row_table(plan))
        m.submodules.columns = columns = Table(
            column_table(plan), {name: ppc for name in ("d_skip", "w_skip", "last_mask")}
        )
        m.submodules.channels = channels = Table(
            {"w_channel": [c * t.geometry.patch * w.row_stride for c in range(t.geometry.channels)]}
        )
        ahead, take = Signal(), Signal()
        m.d.comb += [
            rows.index.eq(read.data.y),
            columns.index.eq(read.data.x),
            channels.index.eq(read.data.c),
            pop.eq((level != 0) & (~ahead | take)),
        ]
        held: dict[str, Signal] = {}

        def hold(name: str, value: Value) -> None:
            held[name] = Signal(value.shape(), name=f"ahead_{name}")
            with m.If(pop):
                m.d.sync += held[name].eq(value)

        for name in ("first", "last", "more", "d_row"):
            hold(f"row_{name}", getattr(rows, name))
        for name in ("d_word", "d_skip", "more", "w_skip", "rot", "last_mask"):
            hold(f"column_{name}", getattr(columns, name))
        hold("dr", read.data.dr)
        hold("c", read.data.c)
        last_c = Signal.like(held["c"])
        weight = Signal(bits(w.depth))
        m.d.comb += weight.eq(rows.w_row + columns.w_column + channels.w_channel)
        hold("weight", weight)
        with m.If(pop):
            m.d.sync += ahead.eq(1)
        with m.Elif(take):
            m.d.sync += ahead.eq(0)

        # the loops: wait, then rows > column groups > kernel groups
        active, previous = Signal(), Signal()
        wait = Signal(range(HAZARD + 1))
        row_left, column_left, kg = Signal.like(rows.more), Signal.like(columns.more), Signal(bits(groups))
        columns_more, d_skip, w_skip = (
            Signal.like(columns.more),
            Signal.like(columns.d_skip),
            Signal.like(columns.w_skip),
        )
        rot, last_mask, dr = Signal.like(columns.rot), Signal.like(columns.last_mask), Signal.like(held["dr"])
        d_word0, d_line, d_now = Signal.like(columns.d_word), Signal(bits(t.drive_depth)), Signal(bits(t.drive_depth))
        w_line, w_now = Signal(bits(w.depth)), Signal(bits(w.depth))
        last_row = Signal.like(rows.last)
        working, final = Signal(), Signal()
        m.d.comb += [
            working.eq(active & (wait == 0)),
            final.eq(working & (row_left == 0) & (column_left == 0) & (kg == groups - 1)),
            take.eq(ahead & (~active | final)),
            self.taken.eq(take),
            self.idle.eq((level == 0) & ~ahead & ~active),
        ]
        # rows in common with the event before it: too few, and the same word would be touched within the hazard
        # distance
        common = Signal(range(-t.block[0], t.block[0] + 2))
        m.d.comb += common.eq(last_row - held["row_first"] + 1)
        with m.If(self.start):
            m.d.sync += previous.eq(0)
        with m.If(take):
            m.d.sync += [
                active.eq(1),
                previous.eq(1),
                kg.eq(0),
                last_row.eq(held["row_last"]),
                last_c.eq(held["c"]),
                wait.eq(
                    Mux(
                        previous & (held["c"] != last_c),
                        HAZARD,
                        Mux(previous & (common > 0) & (common < HAZARD), HAZARD - common, 0),
                    )
                ),
                row_left.eq(held["row_more"]),
                column_left.eq(held["column_more"]),
                columns_more.eq(held["column_more"]),
                d_skip.eq(held["column_d_skip"]),
                w_skip.eq(held["column_w_skip"]),
                rot.eq(held["column_rot"]),
                last_mask.eq(held["column_last_mask"]),
                dr.eq(held["dr"]),
                d_word0.eq(held["column_d_word"]),
                d_line.eq(held["row_d_row"]),
                d_now.eq(held["row_d_row"] + held["column_d_word"]),
                w_line.eq(held["weight"]),
                w_now.eq(held["weight"]),
            ]
        with m.Elif(final):
            m.d.sync += active.eq(0)
        with m.Elif(wait != 0):
            m.d.sync += wait.eq(wait - 1)
        with m.Elif(active):
            with m.If(kg != groups - 1):
                m.d.sync += kg.eq(kg + 1)
            with m.Else():
                m.d.sync += kg.eq(0)
                with m.If(column_left != 0):
                    m.d.sync += [column_left.eq(column_left - 1), d_now.eq(d_now + 1), w_now.eq(w_now - groups)]
                with m.Else():
                    step = t.geometry.stride * w.row_stride
                    m.d.sync += [
                        row_left.eq(row_left - 1),
                        column_left.eq(columns_more),
                        d_line.eq(d_line + t.drive_words_per_row),
                        d_now.eq(d_line + t.drive_words_per_row + d_word0),
                        w_line.eq(w_line - step),
                        w_now.eq(w_line - step),
                    ]

        mask = Signal(ppc)
        m.d.comb += mask.eq(Mux(column_left == 0, last_mask, ~0))
        w_addr = [Signal(bits(w.depth), name=f"w_addr_{b}") for b in range(ppc)]
        for b in range(ppc):
            m.d.comb += w_addr[b].eq(Mux(w_skip[b], w_now - groups, w_now) + kg)
        m.d.comb += [
            self.issue.gather.eq(working),
            self.issue.operand.eq(dr),
            self.issue.rot.eq(rot),
            self.issue.w_addr.eq(Cat(*w_addr)),
            self.issue.d_addr.eq(d_now),
            self.issue.d_skip.eq(d_skip),
            self.issue.d_en.eq(Cat(*[(mask[b] & (kg == n)) for b in range(ppc) for n in range(groups)])),
        ]
        return m
