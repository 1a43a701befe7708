"""Serialiser: a word of lanes in, its marked lanes out, one a cycle. Update, drain and detect end in one."""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..sim.tiling import bits
from .shapes import lane


class Serialiser(wiring.Component):
    """One word of lanes in, its marked lanes out, lowest first, one a cycle; an unmarked word passes in one cycle.

    Members:
        load: In(1), take ``mask`` and ``values`` now (only while ``free``).
        index, value: Out, the lane that leaves in this cycle, while ``valid``.
        accept: In(1), the lane was taken.
        free: Out(1), the word leaves (or none is here): a new one may be loaded.
        ``occupied`` is high while a word is here, marked or not.
    """

    def __init__(self, *, lanes: int, width: int) -> None:
        self.lanes, self.width = lanes, width
        super().__init__(
            {
                "load": In(1),
                "present": In(1),
                "mask": In(lanes),
                "values": In(lanes * width),
                "index": Out(bits(lanes)),
                "value": Out(signed(width)),
                "valid": Out(1),
                "accept": In(1),
                "occupied": Out(1),
                "free": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        mask, values = Signal(self.lanes), Signal(self.lanes * self.width)
        more = Signal()  # a second lane is marked: computed before the register, so that it is not on the freeze path
        rest = Signal(self.lanes)
        m.d.comb += [
            self.valid.eq(self.occupied & mask.any()),
            rest.eq(mask & (mask - 1)),
            self.free.eq(~self.occupied | ~self.valid | (self.accept & ~more)),
        ]
        for n in reversed(range(self.lanes)):
            with m.If(mask[n]):
                m.d.comb += [self.index.eq(n), self.value.eq(lane(values, n, self.width))]
        with m.If(self.free):
            with m.If(self.load):
                m.d.sync += [
                    self.occupied.eq(self.present),
                    mask.eq(self.mask),
                    values.eq(self.values),
                    more.eq((self.mask & (self.mask - 1)).any()),
                ]
        with m.Elif(self.accept):
            m.d.sync += [mask.eq(rest), more.eq((rest & (rest - 1)).any())]
        return m
