"""The multiply path: weight memory, lane multipliers and the read-modify-write of D and R.

Gather, scatter and the input share it; they never run together in a tile. Seven registers from an issue to its write:

    t0 issue | t1 weight memory | t2 register | t3 select | t4 rotate | t5 product | t6 sum, written

D and R are addressed at t3, so the distance of two touches of one word must be ``L = 4`` clocks: read, register, add,
write.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..sim.plan import Plan
from ..sim.tiling import bits
from .memory import BankedMemory, delayed
from .shapes import lane


def rotate(lanes: list[Value], amount: Value) -> list[Value]:
    """Lane l moves to lane ``(l + amount) mod n``; n is a power of two."""
    n, step = len(lanes), 0
    while 1 << step < n:
        lanes = [Mux(amount[step], lanes[(i - (1 << step)) % n], lanes[i]) for i in range(n)]
        step += 1
    return lanes


def operand_width(plan: Plan) -> int:
    """Bits of the second factor: the widest of the residual change, the code change and the (shifted) input change."""
    return max(plan.residual_change_width, plan.code_change_width, plan.input_operand_width)


class IssueLayout(data.StructLayout):
    """One cycle of work for the lanes, from whichever engine owns the tile."""

    def __init__(self, plan: Plan) -> None:
        t, w = plan.tiling, plan.layout
        super().__init__(
            {
                "gather": unsigned(1),  # D += w * operand
                "scatter": unsigned(1),  # R += w * operand
                "constant": unsigned(1),  # the weight is the input's constant (scatter of one pixel)
                "operand": signed(operand_width(plan)),
                "w_addr": unsigned(w.banks * bits(w.depth)),
                "w_sub": unsigned(bits(w.share)),
                "rot": unsigned(max(bits(w.banks), bits(t.residual_banks))),
                "d_addr": unsigned(bits(t.drive_depth)),
                "d_skip": unsigned(t.positions_per_cycle),  # which banks are addressed a word further
                "d_en": unsigned(t.positions_per_cycle * t.kernel_groups),
                "r_addr": unsigned(bits(t.residual_depth)),
                "r_skip": unsigned(t.residual_banks),
                "r_en": unsigned(t.scatter_lanes),
            }
        )


class Datapath(wiring.Component):
    """Weight memory, lane multipliers and adders of one tile.

    Members:
        issue: In, accepted every clock.
        weight_*: write port of the weight memory (one lane a beat).
        d_*, r_*: read and write ports of the D and R banks (``hw/memory.py``); the write comes 6 clocks after the
        issue.
        blank: In(1), the tile rests: what is written is 0.
        overflow: Out(1), an add into R left the range of its word (one clock after the sum).
        hazard: Out(1), a word is read while an earlier change of it is still on its way: a broken schedule. Must stay
        low.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        t, w = plan.tiling, plan.layout
        self.issue_layout = IssueLayout(plan)
        super().__init__(
            {
                "issue": In(self.issue_layout),
                "weight_en": In(w.lanes),
                "weight_addr": In(bits(w.depth)),
                "weight_data": In(plan.weight.width),
                "d_read_en": Out(1),
                "d_read_addr": Out(t.positions_per_cycle * bits(t.drive_depth)),
                "d_read_data": In(t.positions_per_cycle * t.geometry.kernels * plan.drive_width),
                "d_write_en": Out(t.positions_per_cycle * t.kernel_groups),
                "d_write_addr": Out(t.positions_per_cycle * bits(t.drive_depth)),
                "d_write_data": Out(t.positions_per_cycle * t.geometry.kernels * plan.drive_width),
                "r_read_en": Out(1),
                "r_read_addr": Out(t.residual_banks * bits(t.residual_depth)),
                "r_read_data": In(t.scatter_lanes * plan.residual_width),
                "r_write_en": Out(t.scatter_lanes),
                "r_write_addr": Out(t.residual_banks * bits(t.residual_depth)),
                "r_write_data": Out(t.scatter_lanes * plan.residual_width),
                "blank": In(1),
                "overflow": Out(1),
                "hazard": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan, t, w = self.plan, self.plan.tiling, self.plan.layout
        bw, per, groups, ppc = plan.weight.width, t.kernels_per_cycle, t.kernel_groups, t.positions_per_cycle
        wd, wr, kernels = plan.drive_width, plan.residual_width, t.geometry.kernels

        # t0: the issue register; the fields travel beside the data as far as they are needed
        t0 = Signal(self.issue_layout)
        m.d.sync += t0.eq(self.issue)
        field = {
            name: Signal(len(Value.cast(getattr(t0, name))), name=f"t0_{name}")
            for name in (
                "gather", "scatter", "constant", "operand", "w_sub", "rot", "d_addr", "d_skip", "d_en", "r_addr",
                "r_skip", "r_en",
            )  # fmt: skip
        }
        for name, sig in field.items():
            value = Value.cast(getattr(t0, name))
            if name == "d_en":
                value = Mux(t0.gather, value, 0)
            if name == "r_en":
                value = Mux(t0.scatter, value, 0)
            m.d.comb += sig.eq(value)
        pipe = {
            name: delayed(m, sig, 6 if name in ("d_en", "r_en") else 4, f"pipe_{name}") for name, sig in field.items()
        }
        for name in ("d", "r"):  # the banks' own addresses, which memory sees at t3, are formed in the clock before
            pipe[f"{name}_addr"][3:] = self._bank_addresses(m, pipe[f"{name}_addr"], pipe[f"{name}_skip"], name)

        # t1, t2: weight memory and its register
        m.submodules.weights = weights = BankedMemory(
            banks=w.banks, depth=w.depth, width=w.bank_lanes * bw, lanes=w.bank_lanes
        )
        t2_weights = Signal(w.lanes * bw, reset_less=True)
        m.d.comb += [
            weights.read_en.eq(t0.gather | t0.scatter),
            weights.read_addr.eq(t0.w_addr),
            weights.write_en.eq(self.weight_en),
            weights.write_addr.eq(self.weight_addr.replicate(w.banks)),
            weights.write_data.eq(self.weight_data.replicate(w.lanes)),
        ]
        m.d.sync += t2_weights.eq(weights.read_data)

        # t3, t4: gather turns the banks; scatter picks its share of the word and turns its lanes to the R banks
        count = max(ppc * per, t.scatter_lanes)
        t3 = [Signal(signed(bw), name=f"t3_{n}", reset_less=True) for n in range(count)]
        t4 = [Signal(signed(bw), name=f"t4_{n}", reset_less=True) for n in range(count)]
        word = [lane(t2_weights, n, bw) for n in range(w.lanes)]
        if w.lanes == count == ppc * per == w.share * t.scatter_lanes and count & (count - 1) == 0:
            self._turn_together(m, pipe, word, t3, t4)
        else:
            self._turn_apart(m, pipe, word, t3, t4)
        with m.If(pipe["constant"][3]):
            m.d.sync += [t4[n].eq(plan.input_weight) for n in range(t.scatter_lanes)]

        # t5: products; the memory words read at t3 arrive in a register beside them
        operand = pipe["operand"][4].as_signed()
        t5 = [Signal(signed(bw + len(operand)), name=f"t5_{n}", reset_less=True) for n in range(count)]
        m.d.sync += [t5[n].eq(t4[n] * operand) for n in range(count)]
        d_word = Signal(len(self.d_read_data), reset_less=True)
        r_word = Signal(len(self.r_read_data), reset_less=True)
        m.d.sync += [d_word.eq(self.d_read_data), r_word.eq(self.r_read_data)]
        m.d.comb += [
            self.d_read_en.eq(pipe["gather"][3]),
            self.d_read_addr.eq(pipe["d_addr"][3]),
            self.r_read_en.eq(pipe["scatter"][3]),
            self.r_read_addr.eq(pipe["r_addr"][3]),
            self.d_write_en.eq(pipe["d_en"][6]),
            self.d_write_addr.eq(pipe["d_addr"][6]),
            self.r_write_en.eq(pipe["r_en"][6]),
            self.r_write_addr.eq(pipe["r_addr"][6]),
        ]

        # t6: sums modulo the word (two's complement)
        d_sum, r_sum = Signal(len(d_word), reset_less=True), Signal(len(r_word), reset_less=True)
        m.d.comb += [self.d_write_data.eq(d_sum), self.r_write_data.eq(r_sum)]
        for b in range(ppc):
            for k in range(kernels):
                at = b * kernels + k
                m.d.sync += d_sum[at * wd : (at + 1) * wd].eq(lane(d_word, at, wd) + t5[b * per + k % per])
        spilled = []
        for n in range(t.scatter_lanes):
            total = Signal(signed(max(wr, len(t5[n])) + 1), name=f"total_{n}")
            m.d.comb += total.eq(lane(r_word, n, wr) + t5[n])
            m.d.sync += r_sum[n * wr : (n + 1) * wr].eq(total)
            spilled.append(pipe["r_en"][5][n] & (total != total[:wr].as_signed()))
        with m.If(self.blank):
            m.d.sync += [d_sum.eq(0), r_sum.eq(0)]
        m.d.sync += self.overflow.eq(Cat(*spilled).any())

        m.d.comb += self.hazard.eq(
            self._touches(pipe["d_addr"], pipe["d_en"], ppc, bits(t.drive_depth), groups)
            | self._touches(pipe["r_addr"], pipe["r_en"], t.residual_banks, bits(t.residual_depth), t.columns_per_word)
        )
        return m

    def _bank_addresses(self, m: Module, word: list[Signal], skip: list[Signal], name: str) -> list[Signal]:
        """At t3 .. t6: every bank's address, the word or the one after it."""
        after, banks = Signal.like(word[2], name=f"{name}_after"), len(skip[2])
        m.d.sync += after.eq(word[1] + 1)
        first = Signal(banks * len(after), name=f"pipe_{name}_banks", reset_less=True)
        m.d.sync += first.eq(Cat(*[Mux(skip[2][b], after, word[2]) for b in range(banks)]))
        return delayed(m, first, 3, f"pipe_{name}_banks")

    def _touches(self, addr: list[Signal], en: list[Signal], banks: int, width: int, lanes: int) -> Value:
        """High when the word read at t3 is among those on their way at t4, t5 or t6."""
        hits = []
        for b in range(banks):
            for later in (4, 5, 6):
                same = addr[3][b * width : (b + 1) * width] == addr[later][b * width : (b + 1) * width]
                both = en[3][b * lanes : (b + 1) * lanes] & en[later][b * lanes : (b + 1) * lanes]
                hits.append(same & both.any())
        return Cat(*hits).any()

    def _turn_together(
        self, m: Module, pipe: dict[str, list[Signal]], word: list[Value], t3: list[Signal], t4: list[Signal]
    ) -> None:
        """t3 and t4 where all lanes are a power of two: one barrel shifter for both, in steps of half the lanes, a
        quarter, ... down to a pair of columns.

        Gather turns all lanes by whole banks. Scatter turns all of them until its share is in the low lanes, and then
        these among themselves. What a step does is decided two clocks ahead.
        """
        t = self.plan.tiling
        lanes, low, per, pair = len(word), t.scatter_lanes, t.kernels_per_cycle, t.columns_per_word

        def times(value: Value, power: int) -> Value:
            return value << (power.bit_length() - 1)

        amount = Signal(max(1, (lanes - 1).bit_length()))
        turned, share = times(pipe["rot"][0], pair) & (low - 1), times(-pipe["w_sub"][0], low) & (lanes - low)
        m.d.comb += amount.eq(Mux(pipe["gather"][0], times(pipe["rot"][0], per), turned | share))
        turn = delayed(m, amount, 3, "turn")
        steps = [n for n in reversed(range(len(amount))) if min(pair, per) <= 1 << n < lanes]
        now = word
        for at, clock, out in ((steps[: -(-len(steps) // 2)], 2, t3), (steps[-(-len(steps) // 2) :], 3, t4)):
            for n in at:
                size, before = 1 << n, now
                now = []
                for i in range(lanes):
                    moved = before[(i - size) % lanes]
                    if size < low and i < low and (i - size) % low != (i - size) % lanes:
                        moved = Mux(pipe["gather"][clock], moved, before[(i - size) % low])
                    stays = i >= low > size and per > size  # a step of scatter alone
                    now.append(before[i] if stays else Mux(turn[clock][n], moved, before[i]))
            m.d.sync += [register.eq(value) for register, value in zip(out, now, strict=True)]
            now = list(out)

    def _turn_apart(
        self, m: Module, pipe: dict[str, list[Signal]], word: list[Value], t3: list[Signal], t4: list[Signal]
    ) -> None:
        """t3 and t4 of any number of lanes: t3 turns the banks or picks the share, t4 turns the columns."""
        t, w, bw = self.plan.tiling, self.plan.layout, self.plan.weight.width
        ppc, per, count, pair = t.positions_per_cycle, t.kernels_per_cycle, len(t3), t.columns_per_word
        turned = rotate([Cat(*word[b * w.bank_lanes : b * w.bank_lanes + per]) for b in range(w.banks)], pipe["rot"][2])
        gathered = [lane(bank, k, bw) for bank in turned for k in range(per)]
        shares = [Cat(*word[n * t.scatter_lanes : (n + 1) * t.scatter_lanes]) for n in range(w.share)]
        chosen = Signal(t.scatter_lanes * bw)
        with m.Switch(pipe["w_sub"][2]):
            for n, share in enumerate(shares):
                with m.Case(n):
                    m.d.comb += chosen.eq(share)
        for n in range(count):
            g = gathered[n] if n < ppc * per else Const(0, signed(bw))
            s = lane(chosen, n, bw) if n < t.scatter_lanes else Const(0, signed(bw))
            m.d.sync += t3[n].eq(Mux(pipe["gather"][2], g, s))
        columns = [Cat(*t3[b * pair : (b + 1) * pair]) for b in range(t.residual_banks)]
        lanes_turned = rotate(columns, pipe["rot"][3])
        for n in range(count):
            if n < t.scatter_lanes:
                moved = lane(lanes_turned[n // pair], n % pair, bw)
                m.d.sync += t4[n].eq(Mux(pipe["gather"][3], t3[n], moved))
            else:
                m.d.sync += t4[n].eq(t3[n])
