"""Detect: scan the whole region, send on what the rounded residual changed by.

    address | memory | register | round | saturate, cut | compare, serialise

``r~ = sat(round(R))``, 0 below the cutoff and outside the image; a pixel whose r~ differs from the one sent before
becomes a residual event, in raster order, channel by channel.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..sim.plan import Plan
from ..sim.tiling import bits
from .serialiser import Serialiser
from .shapes import fit, lane, round_shift, smaller


class PixelEventLayout(data.StructLayout):
    """A residual event: channel, region row and column, change of r~."""

    def __init__(self, plan: Plan) -> None:
        t = plan.tiling
        super().__init__(
            {
                "c": unsigned(bits(t.geometry.channels)),
                "y": unsigned(bits(t.region[0])),
                "x": unsigned(bits(t.region[1])),
                "dr": signed(plan.residual_change_width),
            }
        )


class Detect(wiring.Component):
    """The scan of one tile.

    Members:
        start: In(1), begin a scan in the next clock.
        y_low, y_high, x_low, x_high: In, the half-open part of the region inside the image.
        cutoff: In, smaller residuals count as 0; constant while a scan is on.
        r_*, s_*: memory ports of the residual and of the sent residual.
        event, event_valid, event_accept: the changed pixel that leaves.
        blank: In(1), the tile rests: what is written of r~ is 0.
        done: Out(1), the scan is over and every event has left.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        t = plan.tiling
        super().__init__(
            {
                "start": In(1),
                "y_low": In(bits(t.region[0] + 1)),
                "y_high": In(bits(t.region[0] + 1)),
                "x_low": In(bits(t.region[1] + 1)),
                "x_high": In(bits(t.region[1] + 1)),
                "cutoff": In(plan.cutoff_width),
                "r_read_en": Out(1),
                "r_read_addr": Out(t.residual_banks * bits(t.residual_depth)),
                "r_read_data": In(t.scatter_lanes * plan.residual_width),
                "s_read_en": Out(1),
                "s_read_addr": Out(bits(t.sent_depth)),
                "s_read_data": In(t.detect_lanes * plan.residual.width),
                "s_write_en": Out(t.detect_lanes),
                "s_write_addr": Out(bits(t.sent_depth)),
                "s_write_data": Out(t.detect_lanes * plan.residual.width),
                "event": Out(PixelEventLayout(plan)),
                "event_valid": Out(1),
                "event_accept": In(1),
                "blank": In(1),
                "done": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan, t = self.plan, self.plan.tiling
        channels, (rows, _), lanes = t.geometry.channels, t.region, t.detect_lanes
        wr, br = plan.residual_width, plan.residual.width
        parts = t.scatter_lanes // lanes  # words of the scan in one word of R
        part_bits = parts.bit_length() - 1

        m.submodules.serialiser = out = Serialiser(lanes=lanes, width=plan.residual_change_width)
        advance, left = Signal(), Signal()
        last_word, last_row = Signal(), Signal()  # w, y is the last one: registers, to be quick
        m.d.comb += advance.eq(out.free)  # when no scan is on, nothing moves on

        c, y = Signal(bits(channels)), Signal(bits(rows))
        w, address, r_row = (
            Signal(bits(t.sent_words_per_row)),
            Signal(bits(t.sent_depth)),
            Signal(bits(t.residual_depth)),
        )
        r_addr = Signal(bits(t.residual_depth))
        m.d.comb += r_addr.eq(r_row + (w >> part_bits))
        with m.If(self.start):
            m.d.sync += [c.eq(0), y.eq(0), w.eq(0), address.eq(0), r_row.eq(0), left.eq(1)]
            m.d.sync += [last_word.eq(t.sent_words_per_row == 1), last_row.eq(rows == 1)]
        with m.Elif(advance & left):
            m.d.sync += [address.eq(address + 1), w.eq(w + 1), last_word.eq(w == t.sent_words_per_row - 2)]
            with m.If(last_word):
                m.d.sync += [w.eq(0), y.eq(y + 1), r_row.eq(r_row + t.residual_words_per_row)]
                m.d.sync += [last_word.eq(t.sent_words_per_row == 1), last_row.eq(y == rows - 2)]
                with m.If(last_row):
                    m.d.sync += [y.eq(0), last_row.eq(rows == 1), c.eq(c + 1), left.eq(c != channels - 1)]
        m.d.comb += [
            self.r_read_en.eq(advance & left),
            self.r_read_addr.eq(r_addr.replicate(t.residual_banks)),
            self.s_read_en.eq(advance & left),
            self.s_read_addr.eq(address),
        ]

        stages = 5
        valid = Signal(stages)
        travel = Signal(len(address) + len(c) + len(y) + len(w))
        m.d.comb += travel.eq(Cat(address, c, y, w))
        tags = [travel] + [Signal(len(travel), name=f"tag_{n}", reset_less=True) for n in range(stages)]
        with m.If(self.start):
            m.d.sync += valid.eq(0)
        with m.Elif(advance):
            m.d.sync += valid.eq(Cat(left, valid[:-1]))
        with m.If(advance):
            m.d.sync += [tags[n + 1].eq(tags[n]) for n in range(stages)]

        def fields(tag: Value) -> tuple[Value, Value, Value, Value]:
            a, b = len(address), len(address) + len(c)
            return tag[:a], tag[a:b], tag[b : b + len(y)], tag[b + len(y) :]

        def stage(value: Value, name: str) -> Signal:
            register = Signal(value.shape(), name=name, reset_less=True)
            with m.If(advance):
                m.d.sync += register.eq(value)
            return register

        part = fields(tags[1])[3][:part_bits] if part_bits else Const(0, 1)
        picked = Signal(lanes * wr)
        with m.Switch(part):
            for n in range(parts):
                with m.Case(n):
                    m.d.comb += picked.eq(self.r_read_data[n * lanes * wr : (n + 1) * lanes * wr])
        shift = plan.weight.frac + plan.code.frac - plan.residual.frac
        # which lanes lie inside the image: by their word first, by their place in it only at the two edges
        _, _, y2, w2 = fields(tags[2])
        lane_bits = lanes.bit_length() - 1
        row_inside = (y2 >= self.y_low) & (y2 < self.y_high)
        (word_low, first), (word_high, end) = ((x[lane_bits:], x[:lane_bits]) for x in (self.x_low, self.x_high))
        inside = stage(
            Cat(
                *[
                    row_inside
                    & ((w2 > word_low) | ((w2 == word_low) & (first <= n)))
                    & ((w2 < word_high) | ((w2 == word_high) & (end > n)))
                    for n in range(lanes)
                ]
            ),
            "inside",
        )
        below = Signal(plan.cutoff_width)  # of a negative number's complement, which is one less than its magnitude
        m.d.sync += below.eq(Mux(self.cutoff == 0, 0, self.cutoff - 1))
        new, changes, marks = [], [], []
        for n in range(lanes):
            r2 = stage(lane(picked, n, wr), f"r2_{n}")
            r3 = stage(round_shift(r2, shift, plan.residual.rounding), f"r3_{n}")
            clipped = Signal(signed(br), name=f"clipped_{n}")
            m.d.comb += clipped.eq(fit(r3, plan.residual))
            # what saturates is never small, where a cutoff has fewer bits than r~: no need to wait for the clipping
            early = plan.residual.overflow == "saturate" and plan.cutoff_width < br
            small = smaller(r3 if early else clipped, self.cutoff, below)
            passed = (~small & inside[n]).replicate(br)  # an AND: as a reset of r4 it would hang on ``advance``
            r4 = stage((clipped[:br] & passed).as_signed(), f"r4_{n}")
            s2 = stage(lane(self.s_read_data, n, br), f"s2_{n}")
            s4 = stage(stage(s2, f"s3_{n}"), f"s4_{n}")
            r5, d5, m5 = stage(r4, f"r5_{n}"), stage(r4 - s4, f"d5_{n}"), stage(r4 != s4, f"m5_{n}")
            with m.If(self.blank):
                m.d.sync += r5.eq(0)
            new.append(r5[:br])
            changes.append(Cat(d5)[: plan.residual_change_width])
            marks.append(m5)

        live = valid[stages - 1]
        mask = Signal(lanes)
        m.d.comb += [
            mask.eq(Mux(live, Cat(*marks), 0)),
            out.load.eq(advance),
            out.present.eq(live),
            out.mask.eq(mask),
            out.values.eq(Cat(*changes)),
            self.s_write_en.eq(Mux(advance, mask, 0)),
            self.s_write_addr.eq(fields(tags[stages])[0]),
            self.s_write_data.eq(Cat(*new)),
        ]
        here = Signal(len(travel), reset_less=True)
        with m.If(advance):
            m.d.sync += here.eq(tags[stages])
        _, hc, hy, hw = fields(here)
        base = Signal(bits(t.sent_words_per_row * lanes))
        m.d.comb += [
            base.eq(hw << (lanes - 1).bit_length()),
            self.event.c.eq(hc),
            self.event.y.eq(hy),
            self.event.x.eq(base | out.index if lanes > 1 else base),
            self.event.dr.eq(out.value),
            self.event_valid.eq(out.valid),
            out.accept.eq(self.event_accept),
            self.done.eq(~left & ~valid.any() & ~out.occupied),
        ]
        return m
