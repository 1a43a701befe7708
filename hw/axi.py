"""AXI4-Lite and AXI4-Stream ports whose outputs are registers or functions of registers alone.

The rules (AMBA AXI4 and AXI4-Stream protocol specifications, IHI 0022 and IHI 0051): valid never waits for ready; once
high it stays, its payload unchanged, until the clock in which ready is high too; the two channels of a write come in
any order; every write gets one response and every read one.
"""

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .drain import Queue2

OKAY, SLVERR = 0, 2
"""Responses."""


def lite_signature(address_width: int) -> wiring.Signature:
    """An AXI4-Lite port of 32 bits, as its master has it."""
    return wiring.Signature(
        {
            "awaddr": Out(address_width),
            "awprot": Out(3),
            "awvalid": Out(1),
            "awready": In(1),
            "wdata": Out(32),
            "wstrb": Out(4),
            "wvalid": Out(1),
            "wready": In(1),
            "bresp": In(2),
            "bvalid": In(1),
            "bready": Out(1),
            "araddr": Out(address_width),
            "arprot": Out(3),
            "arvalid": Out(1),
            "arready": In(1),
            "rdata": In(32),
            "rresp": In(2),
            "rvalid": In(1),
            "rready": Out(1),
        }
    )


def stream_signature(data_width: int, id_width: int, user_width: int = 0) -> wiring.Signature:
    """An AXI4-Stream port with TLAST and TID, and TUSER where it has bits, as its transmitter has it."""
    return wiring.Signature(
        {
            "tdata": Out(data_width),
            "tvalid": Out(1),
            "tready": In(1),
            "tlast": Out(1),
            "tid": Out(id_width),
            **({"tuser": Out(user_width)} if user_width else {}),
        }
    )


class LiteSlave(wiring.Component):
    """An AXI4-Lite slave: bus transactions become one-clock strobes, answered in the same clock.

    Address, data and read address have a register of one entry each, so that neither channel of a write waits for the
    other one; a transaction is executed when its response has room. A read and a write in the same clock both happen.

    Members:
        port: In, the bus. write: Out(1) strobe with write_word (the address in words), write_data, write_strobe (a bit
        a byte); write_error: In(1), the answer. read: Out(1) strobe with read_word; read_data, read_error: In, the
        answer.
    """

    def __init__(self, address_width: int) -> None:
        self.address_width = address_width
        super().__init__(
            {
                "port": In(lite_signature(address_width)),
                "write": Out(1),
                "write_word": Out(address_width - 2),
                "write_data": Out(32),
                "write_strobe": Out(4),
                "write_error": In(1),
                "read": Out(1),
                "read_word": Out(address_width - 2),
                "read_data": In(32),
                "read_error": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        port = self.port
        address_held, data_held, read_held = Signal(), Signal(), Signal()
        m.d.comb += [
            port.awready.eq(~address_held),
            port.wready.eq(~data_held),
            port.arready.eq(~read_held),
            self.write.eq(address_held & data_held & (~port.bvalid | port.bready)),
            self.read.eq(read_held & (~port.rvalid | port.rready)),
        ]
        with m.If(port.bvalid & port.bready):
            m.d.sync += port.bvalid.eq(0)
        with m.If(port.rvalid & port.rready):
            m.d.sync += port.rvalid.eq(0)
        with m.If(port.awvalid & port.awready):
            m.d.sync += [address_held.eq(1), self.write_word.eq(port.awaddr[2:])]
        with m.If(port.wvalid & port.wready):
            m.d.sync += [data_held.eq(1), self.write_data.eq(port.wdata), self.write_strobe.eq(port.wstrb)]
        with m.If(port.arvalid & port.arready):
            m.d.sync += [read_held.eq(1), self.read_word.eq(port.araddr[2:])]
        with m.If(self.write):
            m.d.sync += [
                address_held.eq(0),
                data_held.eq(0),
                port.bvalid.eq(1),
                port.bresp.eq(Mux(self.write_error, SLVERR, OKAY)),
            ]
        with m.If(self.read):
            m.d.sync += [
                read_held.eq(0),
                port.rvalid.eq(1),
                port.rdata.eq(self.read_data),
                port.rresp.eq(Mux(self.read_error, SLVERR, OKAY)),
            ]
        return m


class BeatLayout(data.StructLayout):
    """A beat of the input stream: ``value`` (low bits of TDATA), whether TDATA is in the range of a pixel of a cold
    frame, of a warm one, or of a weight, ``last`` and ``tid``.
    """

    def __init__(self, value_width: int, id_width: int) -> None:
        fields = {"value": unsigned(value_width), "cold": 1, "warm": 1, "weight": 1, "last": 1, "tid": id_width}
        super().__init__(fields)


class StreamIn(wiring.Component):
    """The receiving end of the input stream: a queue of two places, which ``flush`` empties.

    Args:
        cold, warm, weight: bits of the signed value that a pixel of a cold frame, of a warm frame, and a weight have.

    Members:
        port: In, the bus. beats: Out stream of ``BeatLayout``. flush: In(1), forget what is in the queue and what
        enters it in this clock; no beat is offered then.
    """

    def __init__(self, data_width: int, id_width: int, *, cold: int, warm: int, weight: int) -> None:
        self.ranges = {"cold": cold, "warm": warm, "weight": weight}
        self.layout = BeatLayout(max(self.ranges.values()), id_width)
        super().__init__(
            {
                "port": In(stream_signature(data_width, id_width)),
                "beats": Out(stream.Signature(self.layout)),
                "flush": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        queue = Queue2(self.layout)
        m.submodules.queue = ResetInserter(self.flush)(queue)
        port, beat = self.port, queue.i.payload
        m.d.comb += [
            queue.i.valid.eq(port.tvalid),
            port.tready.eq(queue.i.ready),
            beat.value.eq(port.tdata),
            beat.last.eq(port.tlast),
            beat.tid.eq(port.tid),
            self.beats.payload.eq(queue.o.payload),
            self.beats.valid.eq(queue.o.valid & ~self.flush),
            queue.o.ready.eq(self.beats.ready),
        ]
        for name, width in self.ranges.items():
            sign = port.tdata[width - 1 :]
            m.d.comb += getattr(beat, name).eq(sign.all() | ~sign.any())
        return m


def merged(old: Value, new: Value, strobe: Value) -> Value:
    """A register's word after a write: the bytes of ``new`` whose strobe is high, the others of ``old``."""
    return Cat(
        *[Mux(strobe[byte], new[8 * byte : 8 * byte + 8], old[8 * byte : 8 * byte + 8]) for byte in range(4)]
    )


__all__ = [
    "OKAY",
    "SLVERR",
    "BeatLayout",
    "LiteSlave",
    "StreamIn",
    "lite_signature",
    "merged",
    "stream_signature",
]
