"""Serialiser: a word of lanes in, its marked lanes out, one a cycle. Update, drain and detect end in one."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..sim.tiling import bits
from .shapes import lane


class Serialiser(wiring.Component):
    """One word of lanes in, its marked lanes out, lowest first, one a cycle; an unmarked word passes in one cycle.

    Members:
        load: In(1), take ``mask`` and ``values`` now (only while ``free``); ``mask`` is 0 where nothing is ``present``.
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
        mask = Signal(self.lanes)
        values = Signal(self.lanes * self.width, reset_less=True)
        # a lane, and a second one, is marked: computed before the register, so that neither is on the freeze path
        more = Signal()
        first, rest = Signal(self.lanes), Signal(self.lanes)  # the lowest marked lane (a register too), and the others
        m.d.comb += [
            rest.eq(mask & ~first),
            self.free.eq(~self.valid | (self.accept & ~more)),
            # one lane at most is chosen: an OR of ANDs, where a chain of priorities would be a tree of multiplexers
            self.index.eq(_any_of([Mux(first[n], n, 0) for n in range(self.lanes)])),
            self.value.eq(
                _any_of([Mux(first[n], lane(values, n, self.width), 0) for n in range(self.lanes)])[: self.width]
            ),
        ]
        with m.If(self.free):
            with m.If(self.load):
                m.d.sync += [
                    self.occupied.eq(self.present),
                    mask.eq(self.mask),
                    first.eq(_lowest(self.mask)),
                    values.eq(self.values),
                    self.valid.eq(self.mask.any()),
                    more.eq(_two(self.mask)),
                ]
        with m.Elif(self.accept):
            m.d.sync += [mask.eq(rest), first.eq(_lowest(rest)), more.eq(_two(rest))]
        return m


def _any_of(words: list[Value]) -> Value:
    """The OR of all words, as a balanced tree."""
    half = len(words) // 2
    return _any_of(words[:half]) | _any_of(words[half:]) if half else words[0]


def _lowest(mask: Value) -> Value:
    """The lowest bit that is set, alone, by halves."""
    half = len(mask) // 2
    if not half:
        return mask
    low, high = mask[:half], mask[half:]
    return Cat(_lowest(low), _lowest(high) & (~low.any()).replicate(len(high)))


def _two(mask: Value) -> Value:
    """High when at least two bits are set, by halves: no carry chain."""
    if len(mask) < 2:
        return Const(0, 1)
    low, high = mask[: len(mask) // 2], mask[len(mask) // 2 :]
    return _two(low) | _two(high) | (low.any() & high.any())
