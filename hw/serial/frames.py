"""Frames of the serial link in gates: bytes to a body in a memory, and a body in a memory to bytes.

Both use one bit-serial CRC-32, a bit a clock: a byte lasts ten bit times of at least four clocks, its CRC eight clocks.
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out

from .framing import CRC_BYTES, ESCAPE, FLAG, FLIP

SHORTEST = 2 + CRC_BYTES
"""Bytes of the shortest frame: operation, sequence number, CRC."""


class SerialCrc(wiring.Component):
    """CRC-32 of bytes, eight clocks each, least significant bit first.

    Members:
        clear: In(1), before the first byte. byte, valid: In, a byte (valid is a strobe; the byte before it is done).
        crc: Out(32), of the bytes so far. good: Out(1), the bytes so far end with the CRC of those before.
        busy: Out(1).
    """

    def __init__(self) -> None:
        members = {"clear": In(1), "byte": In(8), "valid": In(1), "crc": Out(32), "good": Out(1), "busy": Out(1)}
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.crc = crc = CRC32_ISO_HDLC(data_width=1).create()
        shift, left = Signal(8), Signal(range(9))
        m.d.comb += [
            crc.start.eq(self.clear),
            crc.data.eq(shift[0]),
            crc.valid.eq(left != 0),
            self.busy.eq(left != 0),
            self.crc.eq(crc.crc),
            self.good.eq(crc.match_detected),
        ]
        with m.If(self.clear):
            m.d.sync += left.eq(0)
        with m.Elif(self.valid):
            m.d.sync += [shift.eq(self.byte), left.eq(8)]
        with m.Elif(left != 0):
            m.d.sync += [shift.eq(shift >> 1), left.eq(left - 1)]
        return m


class FrameIn(wiring.Component):
    """Bytes of the line to frames in a memory.

    A frame that is too short, too long, wrong in its CRC, broken by a byte without its stop bit or ended by an escape
    is dropped and counted. While ``listen`` is low the line is ignored, and after it up to the next FLAG.

    Members:
        byte, valid, error: In, from ``uart.Receiver``. listen: In(1).
        write_en, write_addr, write_data: Out, the memory. done: Out(1), a strobe: a frame is there, of length: Out
        bytes with its CRC. dropped: Out(16), modulo 2^16. lost: Out(1), a strobe: one was dropped.
        crc_clear, crc_byte, crc_valid: Out and crc_good: In, the CRC.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        super().__init__(
            {
                "byte": In(8),
                "valid": In(1),
                "error": In(1),
                "listen": In(1),
                "write_en": Out(1),
                "write_addr": Out(range(size)),
                "write_data": Out(8),
                "done": Out(1),
                "length": Out(range(size + 1)),
                "dropped": Out(16),
                "lost": Out(1),
                "crc_clear": Out(1),
                "crc_byte": Out(8),
                "crc_valid": Out(1),
                "crc_good": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        inside, escaped, bad, any_byte = Signal(), Signal(), Signal(), Signal()
        count = Signal(range(self.size + 1))
        value = Signal(8)
        m.d.comb += [
            value.eq(self.byte ^ Mux(escaped, FLIP, 0)),
            self.write_addr.eq(count),
            self.write_data.eq(value),
            self.crc_byte.eq(value),
            self.length.eq(count),
        ]
        flag = self.valid & (self.byte == FLAG)
        with m.If(~self.listen):
            m.d.sync += inside.eq(0)
        with m.Elif(flag):
            m.d.sync += [inside.eq(1), escaped.eq(0), bad.eq(0), any_byte.eq(0), count.eq(0)]
            m.d.comb += self.crc_clear.eq(1)
            with m.If(inside & any_byte):
                whole = self.crc_good & ~bad & ~escaped & (count >= SHORTEST)
                m.d.comb += [self.done.eq(whole), self.lost.eq(~whole)]
        with m.Elif(inside & self.error):
            m.d.sync += [bad.eq(1), any_byte.eq(1)]
        with m.Elif(inside & self.valid):
            m.d.sync += any_byte.eq(1)
            with m.If((self.byte == ESCAPE) & ~escaped):
                m.d.sync += escaped.eq(1)
            with m.Else():
                m.d.sync += escaped.eq(0)
                with m.If(count == self.size):
                    m.d.sync += bad.eq(1)
                with m.Else():
                    m.d.comb += [self.write_en.eq(1), self.crc_valid.eq(1)]
                    m.d.sync += count.eq(count + 1)
        with m.If(self.lost):
            m.d.sync += self.dropped.eq(self.dropped + 1)
        return m


class FrameOut(wiring.Component):
    """A body in a memory to bytes of the line.

    Members:
        start: In(1), a strobe; length: In, bytes of the body, held until done: Out(1), the last byte has been handed
        over. read_addr: Out; read_data: In(8), a clock later. bytes: Out stream, to ``uart.Transmitter``.
        crc_clear, crc_byte, crc_valid: Out; crc_busy, crc: In, the CRC.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        super().__init__(
            {
                "start": In(1),
                "length": In(range(size + 1)),
                "done": Out(1),
                "read_addr": Out(range(size)),
                "read_data": In(8),
                "bytes": Out(stream.Signature(8)),
                "crc_clear": Out(1),
                "crc_byte": Out(8),
                "crc_valid": Out(1),
                "crc_busy": In(1),
                "crc": In(32),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        index, tail = Signal(range(self.size + 1)), Signal(range(CRC_BYTES + 1))
        value, escaped, checking = Signal(8), Signal(), Signal()
        m.d.comb += [
            self.read_addr.eq(index),
            value.eq(Mux(checking, self.crc.word_select(tail[:2], 8), self.read_data)),
            self.crc_byte.eq(self.read_data),
        ]
        special = (value == FLAG) | (value == ESCAPE)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.crc_clear.eq(self.start)
                m.d.sync += [index.eq(0), tail.eq(0), escaped.eq(0), checking.eq(0)]
                with m.If(self.start):
                    m.next = "OPEN"
            with m.State("OPEN"):
                m.d.comb += [self.bytes.valid.eq(1), self.bytes.payload.eq(FLAG)]
                with m.If(self.bytes.ready):
                    m.next = "BODY"
            with m.State("FETCH"):  # the memory's clock
                m.next = "BODY"
            with m.State("BODY"):
                m.d.comb += [
                    self.bytes.valid.eq(~(checking & self.crc_busy)),
                    self.bytes.payload.eq(Mux(escaped, value ^ FLIP, Mux(special, ESCAPE, value))),
                ]
                with m.If(self.bytes.valid & self.bytes.ready):
                    with m.If(special & ~escaped):
                        m.d.sync += escaped.eq(1)
                    with m.Else():
                        m.d.sync += escaped.eq(0)
                        with m.If(checking):
                            m.d.sync += tail.eq(tail + 1)
                            with m.If(tail == CRC_BYTES - 1):
                                m.next = "CLOSE"
                        with m.Else():
                            m.d.comb += self.crc_valid.eq(1)
                            m.d.sync += [index.eq(index + 1), checking.eq(index + 1 == self.length)]
                            m.next = "FETCH"
            with m.State("CLOSE"):
                m.d.comb += [self.bytes.valid.eq(1), self.bytes.payload.eq(FLAG), self.done.eq(self.bytes.ready)]
                with m.If(self.bytes.ready):
                    m.next = "IDLE"
        return m
