"""One read port, one write port, in banks: every state memory of a tile."""

from amaranth.hdl import Module, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from ..sim.tiling import bits


class BankedMemory(wiring.Component):
    """``banks`` memories of the same depth, each with its own addresses, written by lanes.

    Members:
        read_en: In(1), the outputs hold while it is low.
        read_addr: In(banks * address_bits), bank 0 in the low bits.
        read_data: Out(banks * width), valid one cycle after ``read_en``.
        write_en: In(banks * lanes), one bit a lane.
        write_addr, write_data: as for reading.

    Latency: one cycle. A read and a write of one word in the same cycle must not happen (the hazard distance forbids
    it), so the ports need no bypass.
    """

    def __init__(self, *, banks: int, depth: int, width: int, lanes: int = 1) -> None:
        if width % lanes:
            raise ValueError(f"width {width} is not a multiple of {lanes} lanes")
        self.banks, self.depth, self.width, self.lanes = banks, depth, width, lanes
        self.address_bits = bits(depth)
        super().__init__(
            {
                "read_en": In(1),
                "read_addr": In(banks * self.address_bits),
                "read_data": Out(banks * width),
                "write_en": In(banks * lanes),
                "write_addr": In(banks * self.address_bits),
                "write_data": In(banks * width),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        a = self.address_bits
        for b in range(self.banks):
            store = memory.Memory(shape=self.width, depth=self.depth, init=[])
            m.submodules[f"bank{b}"] = store
            read = store.read_port()
            write = store.write_port(granularity=self.width // self.lanes)
            m.d.comb += [
                read.en.eq(self.read_en),
                read.addr.eq(self.read_addr[b * a : (b + 1) * a]),
                self.read_data[b * self.width : (b + 1) * self.width].eq(read.data),
                write.en.eq(self.write_en[b * self.lanes : (b + 1) * self.lanes]),
                write.addr.eq(self.write_addr[b * a : (b + 1) * a]),
                write.data.eq(self.write_data[b * self.width : (b + 1) * self.width]),
            ]
        return m


class Table(wiring.Component):
    """A constant table read in the same cycle: address arithmetic without multipliers or dividers.

    Args:
        columns: name -> list of non-negative integers, all of one length.
        widths: bits of a column where they are not those of its largest value (masks).

    Members:
        index: In, which row.
        one output per column, wide enough for its largest value.
    """

    def __init__(self, columns: dict[str, list[int]], widths: dict[str, int] | None = None) -> None:
        lengths = {len(values) for values in columns.values()}
        if len(lengths) != 1:
            raise ValueError(f"table columns differ in length: {sorted(lengths)}")
        self.columns, self.depth = columns, lengths.pop()
        self.widths = {name: max(1, max(values).bit_length()) for name, values in columns.items()} | (widths or {})
        super().__init__({"index": In(bits(self.depth)), **{name: Out(width) for name, width in self.widths.items()}})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        rows = []
        for r in range(self.depth):
            word, at = 0, 0
            for name, values in self.columns.items():
                word |= values[r] << at
                at += self.widths[name]
            rows.append(word)
        m.submodules.rom = rom = memory.Memory(shape=sum(self.widths.values()), depth=self.depth, init=rows)
        port = rom.read_port(domain="comb")
        m.d.comb += port.addr.eq(self.index)
        at = 0
        for name, width in self.widths.items():
            m.d.comb += getattr(self, name).eq(port.data[at : at + width])
            at += width
        return m


def delayed(m: Module, value: Signal, cycles: int, name: str) -> list[Signal]:
    """``value`` and its copies 1 .. cycles clocks later: [now, +1, ..., +cycles]."""
    chain = [value]
    for n in range(1, cycles + 1):
        later = Signal.like(value, name=f"{name}_{n}")
        m.d.sync += later.eq(chain[-1])
        chain.append(later)
    return chain
