"""Scatter: ``R -= w * dy`` over the part of a patch that lies in the region, ``scatter_lanes`` pixels a cycle.

Serves this tile's own events and its neighbours': a position up to ``reach`` outside the block is an index into the
same tables. An event waits where it shares few rows with the one before, so that the two never meet in one word within
the hazard distance.
"""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..sim.plan import Plan
from ..sim.tiling import bits
from ..sim.timing import HAZARD
from .datapath import IssueLayout
from .memory import Table


class PatchEventLayout(data.StructLayout):
    """A code event as a tile sees it: kernel, table row (position + reach), table column, change of the code."""

    def __init__(self, plan: Plan) -> None:
        t = plan.tiling
        reach = t.geometry.reach
        super().__init__(
            {
                "k": unsigned(bits(t.geometry.kernels)),
                "row": unsigned(bits(t.block[0] + 2 * reach)),
                "column": unsigned(bits(t.block[1] + 2 * reach)),
                "dy": signed(plan.code_change_width),
            }
        )


def row_table(plan: Plan) -> dict[str, list[int]]:
    """Per table row: first and last region row, visible patch rows - 1, R address of the first one, offset of it in the
    scatter weights.
    """
    t = plan.tiling
    first, count = (values.tolist() for values in t.visible(0))
    start = [t.geometry.stride * (n - t.geometry.reach) for n in range(len(first))]
    return {
        "first": [y + a for y, a in zip(start, first, strict=True)],
        "last": [y + a + n - 1 for y, a, n in zip(start, first, count, strict=True)],
        "more": [n - 1 for n in count],
        "r_row": [(y + a) * t.residual_words_per_row for y, a in zip(start, first, strict=True)],
        "w_row": [a * t.patch_groups for a in first],
    }


def column_table(plan: Plan) -> dict[str, list[int]]:
    """Per table column: visible groups - 1, the first of them, its R word and the turn that brings lane 0 to its
    bank.
    """
    t = plan.tiling
    first, count = (values.tolist() for values in t.visible_groups())
    start = [t.geometry.stride * (n - t.geometry.reach) for n in range(len(first))]
    words = 1 << bits(t.residual_depth)  # the word before the region is never written: its address may wrap
    turn = [x % t.scatter_lanes // t.columns_per_word for x in start]
    return {
        "more": [n - 1 for n in count],
        "first": first,
        "r_word": [(x // t.scatter_lanes + g) % words for x, g in zip(start, first, strict=True)],
        "rot": turn,
        "r_skip": [sum(1 << b for b in range(t.residual_banks) if b < r) for r in turn],
    }


def mask_table(plan: Plan) -> dict[str, list[int]]:
    """Per (table column, group): which R columns, by bank, are inside the region and the patch."""
    t = plan.tiling
    step = 1 << bits(t.patch_groups)
    masks = [0] * ((t.block[1] + 2 * t.geometry.reach) * step)
    for n in range(t.block[1] + 2 * t.geometry.reach):
        start = t.geometry.stride * (n - t.geometry.reach)
        for b in range(t.geometry.patch):
            if 0 <= start + b < t.region[1]:
                masks[n * step + b // t.scatter_lanes] |= 1 << (start + b) % t.scatter_lanes
    return {"mask": masks}


class Scatter(wiring.Component):
    """Event register, look-up and address loops of the scatter of one tile.

    Members:
        event, event_valid, event_ready: the events of one source after the other.
        issue: Out, to the lanes; ``issue.scatter`` marks a cycle of work.
        idle: Out(1), every event given has been served.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        super().__init__(
            {
                "event": In(PatchEventLayout(plan)),
                "event_valid": In(1),
                "event_ready": Out(1),
                "issue": Out(IssueLayout(plan)),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan, t, w = self.plan, self.plan.tiling, self.plan.layout
        g, groups = t.geometry, t.patch_groups

        # event register
        event, waiting = Signal(PatchEventLayout(plan)), Signal()
        ahead, take, look = Signal(), Signal(), Signal()
        m.d.comb += [look.eq(waiting & (~ahead | take)), self.event_ready.eq(~waiting | look)]
        with m.If(self.event_ready):
            m.d.sync += [waiting.eq(self.event_valid), event.eq(self.event)]

        # look-up
        m.submodules.rows = rows = Table(row_table(plan))
        m.submodules.columns = columns = Table(column_table(plan), {"r_skip": t.residual_banks})
        m.submodules.kernels = kernels = Table(
            {"w_kernel": [k * g.channels * g.patch * groups for k in range(g.kernels)]}
        )
        m.submodules.masks = masks = Table(mask_table(plan), {"mask": t.scatter_lanes})
        m.d.comb += [rows.index.eq(event.row), columns.index.eq(event.column), kernels.index.eq(event.k)]
        held: dict[str, Signal] = {}

        def hold(name: str, value: Value) -> None:
            held[name] = Signal(value.shape(), name=f"ahead_{name}")
            with m.If(look):
                m.d.sync += held[name].eq(value)

        weight, word = Signal(bits(w.scatter_words)), Signal(bits(t.residual_depth))
        m.d.comb += [weight.eq(kernels.w_kernel + rows.w_row + columns.first), word.eq(rows.r_row + columns.r_word)]
        for name, value in {
            "weight": weight,
            "word": word,
            "row_first": rows.first,
            "row_last": rows.last,
            "row_more": rows.more,
            "column_more": columns.more,
            "group": columns.first,
            "rot": columns.rot,
            "skip": columns.r_skip,
            "column": event.column,
            "dy": event.dy,
        }.items():
            hold(name, value)
        with m.If(look):
            m.d.sync += ahead.eq(1)
        with m.Elif(take):
            m.d.sync += ahead.eq(0)

        # the loops: wait, then channels > patch rows > column groups
        active, previous = Signal(), Signal()
        wait = Signal(range(HAZARD + 1))
        channel_left, row_left, column_left = (
            Signal(bits(g.channels)),
            Signal.like(rows.more),
            Signal.like(columns.more),
        )
        row_more, column_more = Signal.like(rows.more), Signal.like(columns.more)
        rot, skip, dy, column = (Signal.like(held[name]) for name in ("rot", "skip", "dy", "column"))
        group0, group = Signal(bits(groups)), Signal(bits(groups))
        w_plane, w_line, w_now = (Signal(bits(w.scatter_words), name=f"w_{n}") for n in ("plane", "line", "now"))
        r_plane, r_line, r_now = (Signal(bits(t.residual_depth), name=f"r_{n}") for n in ("plane", "line", "now"))
        last_row = Signal.like(rows.last)
        working, final = Signal(), Signal()
        m.d.comb += [
            working.eq(active & (wait == 0)),
            final.eq(working & (column_left == 0) & (row_left == 0) & (channel_left == 0)),
            take.eq(ahead & (~active | final)),
            self.idle.eq(~waiting & ~ahead & ~active),
        ]
        # rows in common with the event of the same source before it, as in gather
        common = Signal(range(-t.region[0], t.region[0] + 2))
        m.d.comb += common.eq(last_row - held["row_first"] + 1)
        with m.If(self.idle):
            m.d.sync += previous.eq(0)
        with m.If(take):
            m.d.sync += [
                active.eq(1),
                previous.eq(1),
                last_row.eq(held["row_last"]),
                wait.eq(Mux(previous & (common > 0) & (common < HAZARD), HAZARD - common, 0)),
                channel_left.eq(g.channels - 1),
                row_left.eq(held["row_more"]),
                row_more.eq(held["row_more"]),
                column_left.eq(held["column_more"]),
                column_more.eq(held["column_more"]),
                rot.eq(held["rot"]),
                skip.eq(held["skip"]),
                dy.eq(held["dy"]),
                column.eq(held["column"]),
                group0.eq(held["group"]),
                group.eq(held["group"]),
            ]
            m.d.sync += [s.eq(held["weight"]) for s in (w_plane, w_line, w_now)]
            m.d.sync += [s.eq(held["word"]) for s in (r_plane, r_line, r_now)]
        with m.Elif(final):
            m.d.sync += active.eq(0)
        with m.Elif(wait != 0):
            m.d.sync += wait.eq(wait - 1)
        with m.Elif(active):
            with m.If(column_left != 0):
                m.d.sync += [
                    column_left.eq(column_left - 1),
                    group.eq(group + 1),
                    w_now.eq(w_now + 1),
                    r_now.eq(r_now + 1),
                ]
            with m.Elif(row_left != 0):
                m.d.sync += [
                    row_left.eq(row_left - 1),
                    column_left.eq(column_more),
                    group.eq(group0),
                    w_line.eq(w_line + groups),
                    w_now.eq(w_line + groups),
                    r_line.eq(r_line + t.residual_words_per_row),
                    r_now.eq(r_line + t.residual_words_per_row),
                ]
            with m.Else():
                m.d.sync += [
                    channel_left.eq(channel_left - 1),
                    row_left.eq(row_more),
                    column_left.eq(column_more),
                    group.eq(group0),
                ]
                m.d.sync += [s.eq(w_plane + g.patch * groups) for s in (w_plane, w_line, w_now)]
                m.d.sync += [s.eq(r_plane + t.region[0] * t.residual_words_per_row) for s in (r_plane, r_line, r_now)]

        w_addr = Signal(bits(w.depth))
        sub_bits = w.share.bit_length() - 1
        m.d.comb += [
            w_addr.eq(w.gather_depth + (w_now >> sub_bits)),
            masks.index.eq(Cat(group, column)),
            self.issue.scatter.eq(working),
            self.issue.operand.eq(-dy),
            self.issue.rot.eq(rot),
            self.issue.w_addr.eq(w_addr.replicate(w.banks)),
            self.issue.w_sub.eq(w_now[:sub_bits] if sub_bits else 0),
            self.issue.r_addr.eq(r_now),
            self.issue.r_skip.eq(skip),
            self.issue.r_en.eq(masks.mask),
        ]
        return m
