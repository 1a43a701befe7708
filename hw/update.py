"""Update: the membranes of one V1 position a cycle (or two neighbours in a row), K lanes each; changed codes leave one
a cycle.

    address | memory | register | T(u), D - u | sum | round | saturate | T(u') | compare, serialise

The drain is the same pass with the old code taken as 0 and u left alone: it emits every code that is not 0.
"""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..sim.plan import Plan
from ..sim.tiling import bits
from .serialiser import Serialiser
from .shapes import carrying_sum, fit, lane, overflows, round_parts, transfer


class EventLayout(data.StructLayout):
    """A code event: kernel, position in the tile that made it, change of the code."""

    def __init__(self, plan: Plan) -> None:
        t = plan.tiling
        super().__init__(
            {
                "k": unsigned(bits(t.geometry.kernels)),
                "i": unsigned(bits(t.block[0])),
                "j": unsigned(bits(t.block[1])),
                "dy": signed(plan.code_change_width),
            }
        )


class Update(wiring.Component):
    """The update pipeline of one tile.

    Members:
        start: In(1), forget what is in the pipeline and begin at the first position (in the clock before ``run``).
        run: In(1), the tile is in update or drain; the pipeline stands still otherwise.
        drain: In(1), emit codes instead of changes.
        shift: In, which of ``Plan.shift_choices``. threshold: In, of the frame. Both are constant while ``run``.
        u_*, d_*: memory ports; the read enables are low while the pipeline stands, so that the outputs hold.
        event, event_valid, event_accept: the change (or code) that leaves.
        blank: In(1), the tile rests: what is written of U is 0.
        done: Out(1), the last position leaves in this cycle.
        saturated: Out(1), a membrane that is written in this cycle left its range.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        t = plan.tiling
        super().__init__(
            {
                "start": In(1),
                "run": In(1),
                "drain": In(1),
                "shift": In(bits(len(plan.shift_choices))),
                "threshold": In(plan.threshold_width),
                "u_read_en": Out(1),
                "u_read_addr": Out(bits(t.membrane_depth)),
                "u_read_data": In(t.update_positions * t.geometry.kernels * plan.membrane.width),
                "u_write_en": Out(1),
                "u_write_addr": Out(bits(t.membrane_depth)),
                "u_write_data": Out(t.update_positions * t.geometry.kernels * plan.membrane.width),
                "d_read_en": Out(1),
                "d_read_addr": Out(t.positions_per_cycle * bits(t.drive_depth)),
                "d_read_data": In(t.positions_per_cycle * t.geometry.kernels * plan.drive_width),
                "event": Out(EventLayout(plan)),
                "event_valid": Out(1),
                "event_accept": In(1),
                "blank": In(1),
                "done": Out(1),
                "saturated": Out(1),
            }
        )

    def _chosen(self, of_shifts: tuple[Value, ...]) -> Value:
        """What belongs to the step's shift, one value for each of the choices."""
        value = of_shifts[-1]
        for n in reversed(range(len(of_shifts) - 1)):
            value = Mux(self.shift == n, of_shifts[n], value)
        return value

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan, t = self.plan, self.plan.tiling
        kernels, (th, tw), ppc = t.geometry.kernels, t.block, t.positions_per_cycle
        wu, wd, change = plan.membrane.width, plan.drive_width, plan.code_change_width
        fd, fy, fu = plan.weight.frac + plan.residual.frac, plan.code.frac, plan.membrane.frac
        common = max(fd, fy, fu)

        together, lanes = t.update_positions, t.update_positions * kernels
        m.submodules.serialiser = out = Serialiser(lanes=lanes, width=change)
        advance = Signal()
        m.d.comb += advance.eq(self.run & out.free)

        # address: words of U in raster order, j the first column of the word; the word of D is its row's and column's,
        # the bank its column's low bits
        position, i, j = Signal(bits(t.membrane_depth)), Signal(bits(th)), Signal(bits(tw))
        d_row, left = Signal(bits(t.drive_depth)), Signal()
        last = Signal()  # of the row: a register, to be quick
        bank_bits = ppc.bit_length() - 1
        d_addr, bank = Signal(bits(t.drive_depth)), Signal(max(1, bank_bits))
        m.d.comb += [d_addr.eq(d_row + (j >> bank_bits)), bank.eq(j[:bank_bits] if bank_bits else 0)]
        with m.If(self.start):
            m.d.sync += [position.eq(0), i.eq(0), j.eq(0), d_row.eq(0), left.eq(1), last.eq(tw == together)]
        with m.Elif(advance & left):
            m.d.sync += [position.eq(position + 1), j.eq(j + together), last.eq(j == tw - 2 * together)]
            with m.If(last):
                m.d.sync += [j.eq(0), i.eq(i + 1), d_row.eq(d_row + t.drive_words_per_row), last.eq(tw == together)]
                m.d.sync += left.eq(i != th - 1)
        m.d.comb += [
            self.u_read_en.eq(advance),
            self.u_read_addr.eq(position),
            self.d_read_en.eq(advance),
            self.d_read_addr.eq(d_addr.replicate(ppc)),
        ]

        # which position is where: valid bits and coordinates through the seven stages in front of the serialiser
        stages = 7
        valid = Signal(stages)
        travel = Signal(len(position) + len(i) + len(j))
        m.d.comb += travel.eq(Cat(position, i, j))
        tags = [travel] + [Signal(len(travel), name=f"tag_{n}", reset_less=True) for n in range(stages)]
        banks = [bank, Signal(len(bank), name="bank_1")]
        closing = Signal()  # the last position is in the serialiser
        with m.If(self.start):
            m.d.sync += [valid.eq(0), closing.eq(0)]
        with m.Elif(advance):
            m.d.sync += [valid.eq(Cat(left, valid[:-1])), closing.eq(valid[-1] & ~left & ~valid[:-1].any())]
        with m.If(advance):
            m.d.sync += [banks[1].eq(banks[0]), *[tags[n + 1].eq(tags[n]) for n in range(stages)]]

        def stage(value: Value, name: str) -> Signal:
            register = Signal(value.shape(), name=name, reset_less=True)
            with m.If(advance):
                m.d.sync += register.eq(value)
            return register

        def code_of(u: Value) -> Value:
            return transfer(
                u,
                threshold_q=self.threshold,
                membrane=plan.membrane,
                code=plan.code,
                soft=plan.soft,
                two_sided=plan.two_sided,
            )

        emptied = Signal()  # the drain, a clock late: still before its first position comes there
        m.d.sync += emptied.eq(self.drain)
        changes, marks, outside = [], [], []
        new_u: list[Signal] = []
        d_word = Signal(lanes * wd)
        with m.Switch(banks[1]):
            for b in range(0, ppc, together):
                with m.Case(b) if b + together < ppc else m.Default():
                    m.d.comb += d_word.eq(self.d_read_data[b * kernels * wd : (b + together) * kernels * wd])
        for k in range(lanes):
            u2 = stage(lane(self.u_read_data, k, wu), f"u2_{k}")
            d2 = stage(lane(d_word, k, wd), f"d2_{k}")
            y3 = stage(code_of(u2), f"y3_{k}")
            e3 = stage((d2 << (common - fd)) - (u2 << (common - fu)), f"e3_{k}")
            u3 = stage(u2, f"u3_{k}")
            e4, y4, u4 = stage(e3 + (y3 << (common - fy)), f"e4_{k}"), stage(y3, f"y4_{k}"), stage(u3, f"u4_{k}")
            rounded = [round_parts(e4, common + s - fu, plan.membrane.rounding) for s in plan.shift_choices]
            down, up = (self._chosen(parts) for parts in zip(*rounded, strict=True))
            x5, c5 = stage(down, f"x5_{k}"), stage(up, f"c5_{k}")
            y5, u5 = stage(y4, f"y5_{k}"), stage(u4, f"u5_{k}")
            total = carrying_sum(u5, x5, c5)
            u6, o6 = stage(fit(total, plan.membrane), f"u6_{k}"), stage(overflows(total, plan.membrane), f"o6_{k}")
            y6 = stage(y5, f"y6_{k}")
            with m.If(emptied):  # u + 0, and the old code is 0
                m.d.sync += [x5.eq(0), c5.eq(0), y6.eq(0)]
            n7, u7, y7 = stage(code_of(u6), f"n7_{k}"), stage(u6, f"u7_{k}"), stage(y6, f"y7_{k}")
            o7 = stage(o6, f"o7_{k}")
            difference = Signal(signed(change), name=f"difference_{k}")
            m.d.comb += difference.eq(n7 - y7)
            new_u.append(u7)
            changes.append(difference)
            marks.append(n7 != y7)
            outside.append(o7)

        last_tag = tags[stages]
        with m.If(self.blank):
            m.d.sync += [u7.eq(0) for u7 in new_u]
        live = valid[stages - 1]
        m.d.comb += [
            out.load.eq(advance),
            out.present.eq(live),
            out.mask.eq(Mux(live, Cat(*marks), 0)),
            out.values.eq(Cat(*changes)),
            self.u_write_en.eq(advance & live & ~self.drain),
            self.u_write_addr.eq(last_tag[: len(position)]),
            self.u_write_data.eq(Cat(*new_u)),
            self.saturated.eq(self.u_write_en & Cat(*outside).any()),
        ]
        here = Signal(len(travel), reset_less=True)
        with m.If(advance):
            m.d.sync += here.eq(last_tag)
        k, column = out.index, here[len(position) + len(i) :]
        if together == 2:  # the lanes of the second position follow those of the first
            second = out.index >= kernels
            k, column = Mux(second, out.index - kernels, out.index), column + second
        m.d.comb += [
            self.event.k.eq(k),
            self.event.j.eq(column),
            self.event.i.eq(here[len(position) : len(position) + len(i)]),
            self.event.dy.eq(out.value),
            self.event_valid.eq(self.run & out.valid),
            out.accept.eq(self.run & self.event_accept),
            self.done.eq(advance & closing),
        ]
        return m
