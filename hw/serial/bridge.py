"""The bridge between the serial line and the core's AXI ports: a server of requests, one at a time.

The host asks, the bridge answers; it says nothing unasked. A request has a sequence number; the answer stays in memory
until a request with another number comes, so that a request repeated because its answer was lost is answered again
and not executed again, and codes taken from the core are never lost. Bytes are defined in ``docs/boards.md``.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..axi import OKAY, lite_signature, stream_signature
from ..packets import FRAME as PIXELS
from .frames import FrameIn, FrameOut, SerialCrc
from .framing import ANSWER, BEAT_BYTES, CRC_BYTES, HEADER, VERSION, Operation, Status
from .uart import Receiver, Transmitter

ADDRESS_BITS = 8
STREAM_BYTES = 3 + CRC_BYTES
"""Bytes of a STREAM beside its values."""
LEAST_BUFFER, MOST_BUFFER = 64, 32_768
"""Bytes of the longest frame in one direction; STREAM counts its values in 16 bits."""


class Bridge(wiring.Component):
    """UART, frames and a master of the core's ports.

    Args:
        divisor: clocks of a bit (``uart.divisor_of``). buffer: bytes of the longest frame, its CRC included, a power of
        two; a memory of twice that. patience: clocks that STREAM waits for room and TAKE for a code before they answer
        with what they have.

    Members:
        rx, tx: In(1) and Out(1), the pins. axil: Out, AXI4-Lite master. data: Out, AXI4-Stream to the core's
        ``s_axis``. codes: In, AXI4-Stream from its ``m_axis``. busy: Out(1), a request is being executed or answered.
        error: Out(1), since the last good frame one was dropped, or its request was refused.
    """

    def __init__(self, divisor: int, *, buffer: int = 256, patience: int = 16_384) -> None:
        assert buffer.bit_count() == 1 and LEAST_BUFFER <= buffer <= MOST_BUFFER
        self.divisor, self.buffer, self.patience = divisor, buffer, patience
        self.counted = (buffer - 1).bit_length()  # bits of the number of values in a request
        super().__init__(
            {
                "rx": In(1),
                "tx": Out(1, init=1),
                "axil": Out(lite_signature(ADDRESS_BITS)),
                "data": Out(stream_signature(32, 2)),
                "codes": In(stream_signature(64, 8, 1)),
                "busy": Out(1),
                "error": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.receiver = receiver = Receiver(self.divisor)
        m.submodules.transmitter = transmitter = Transmitter(self.divisor)
        m.submodules.crc = crc = SerialCrc()
        m.submodules.frame_in = self.frame_in = entry = FrameIn(self.buffer)
        m.submodules.frame_out = self.frame_out = leave = FrameOut(self.buffer)
        m.submodules.memory = memory = Memory(shape=8, depth=2 * self.buffer, init=[])
        self.read, self.write = memory.read_port(), memory.write_port()
        wiring.connect(m, leave.bytes, transmitter.bytes)
        # the request is read at ``place``, which moves on with ``advance``; the answer is written with ``put``
        self.place, self.advance = Signal(range(self.buffer)), Signal()
        self.put, self.put_at, self.put_byte = Signal(), Signal(range(self.buffer)), Signal(8)
        self.listening, self.sending = Signal(), Signal()
        m.d.comb += [
            receiver.rx.eq(self.rx),
            self.tx.eq(transmitter.tx),
            *[getattr(entry, name).eq(getattr(receiver, name)) for name in ("byte", "valid", "error")],
            entry.listen.eq(self.listening),
            entry.crc_good.eq(crc.good),
            leave.crc.eq(crc.crc),
            leave.crc_busy.eq(crc.busy),
            leave.read_data.eq(self.read.data),
            crc.clear.eq(entry.crc_clear | leave.crc_clear),
            crc.valid.eq(entry.crc_valid | leave.crc_valid),
            crc.byte.eq(Mux(self.sending, leave.crc_byte, entry.crc_byte)),
            # lower half: the request; upper half: the answer
            # (no word is ever used that was read in the clock in which it was written, so synthesis need not care)
            self.read.addr.eq(Mux(self.sending, Cat(leave.read_addr, Const(1, 1)), Cat(self.place, Const(0, 1)))),
            self.read.en.eq(self.sending | self.advance | self.listening),
            self.write.en.eq(entry.write_en | self.put),
            self.write.addr.eq(Mux(self.put, Cat(self.put_at, Const(1, 1)), Cat(entry.write_addr, Const(0, 1)))),
            self.write.data.eq(Mux(self.put, self.put_byte, entry.write_data)),
            self.axil.awprot.eq(0),
            self.axil.arprot.eq(0),
            self.axil.wstrb.eq(0b1111),
            self.busy.eq(~self.listening),
        ]
        with m.If(self.advance):
            m.d.sync += self.place.eq(self.place + 1)
        self._server(m)
        return m

    def _server(self, m: Module) -> None:
        """The state machine: a request's header, its execution, the answer's header, the answer."""
        entry, leave, byte = self.frame_in, self.frame_out, self.read.data
        self.operation, self.sequence, given, known = Signal(8), Signal(8), Signal(8), Signal()
        self.head, self.word, self.part = Signal(8), Signal(32), Signal(3)
        self.left, self.size = Signal(range(self.buffer + 1)), Signal(range(self.buffer + 1))
        self.status, self.info = Signal(3), Signal(16)
        self.wait = Signal(range(self.patience + 1))
        # ``word`` takes bytes in and gives bytes out at its ends, in one direction
        self.shift, self.incoming, self.load, self.loaded = Signal(), Signal(8), Signal(), Signal(32)
        with m.If(self.load):
            m.d.sync += self.word.eq(self.loaded)
        with m.Elif(self.shift):
            m.d.sync += self.word.eq(Cat(self.word[8:], self.incoming))
        with m.If(self.data.tvalid & self.data.tready):
            m.d.sync += self.data.tvalid.eq(0)
        with m.If(entry.lost):
            m.d.sync += self.error.eq(1)
        axil = self.axil
        m.d.comb += [
            leave.length.eq(self.size),
            axil.araddr.eq(self.head),
            axil.awaddr.eq(self.head),
            axil.wdata.eq(self.word),
        ]
        # clocks from the last pixel's handshake to the first word of codes: the machine's, whatever the line took
        clocks, counting = Signal(32), Signal()
        with m.If(self.codes.tvalid):
            m.d.sync += counting.eq(0)
        with m.If(counting):
            m.d.sync += clocks.eq(clocks + 1)
        with m.If(self.data.tvalid & self.data.tready & self.data.tlast & (self.data.tid == PIXELS)):
            m.d.sync += [clocks.eq(0), counting.eq(1)]
        for channel in ("aw", "w", "ar"):
            valid, ready = getattr(axil, f"{channel}valid"), getattr(axil, f"{channel}ready")
            with m.If(valid & ready):
                m.d.sync += valid.eq(0)
        with m.FSM():
            with m.State("LISTEN"):
                m.d.comb += [self.listening.eq(1), self.advance.eq(entry.done)]
                m.d.sync += self.left.eq(entry.length)
                with m.If(entry.done):
                    m.next = "OPERATION"
            with m.State("OPERATION"):  # from here on the memory shows the byte before ``place``
                m.d.comb += self.advance.eq(1)
                m.d.sync += self.operation.eq(byte)
                m.next = "SEQUENCE"
            with m.State("SEQUENCE"):
                m.d.comb += self.advance.eq(1)
                m.d.sync += given.eq(byte)
                m.next = "REPEATED"
            with m.State("REPEATED"):  # no decision in the clock in which the memory gives the byte: too slow
                m.d.sync += [self.sequence.eq(given), known.eq(1)]
                with m.If(known & (given == self.sequence) & (self.operation != Operation.HELLO)):
                    m.next = "START"
                with m.Else():
                    m.d.sync += [
                        self.size.eq(HEADER),
                        self.status.eq(Status.OK),
                        self.info.eq(0),
                        self.part.eq(0),
                        self.wait.eq(self.patience),
                    ]
                    m.next = "ARGUMENT"
            with m.State("ARGUMENT"):
                m.d.comb += self.advance.eq(1)
                m.d.sync += self.head.eq(byte)
                m.next = "DISPATCH"
            with m.State("DISPATCH"):
                m.d.sync += self.left.eq(self.left - STREAM_BYTES)
                self._dispatch(m)
            with m.State("HELLO"):
                m.d.sync += self.info.eq(Cat(Const(VERSION, 8), Const(self.buffer.bit_length() - 1, 8)))
                m.d.comb += [self.load.eq(1), self.loaded.eq(entry.dropped)]
                m.next = "WORD"
            with m.State("CLOCKS"):
                m.d.comb += [self.load.eq(1), self.loaded.eq(clocks)]
                m.next = "WORD"
            self._registers(m)
            self._stream(m)
            self._take(m)
            with m.State("CLOSE"):  # the header, now that all of it is known
                m.d.comb += [self.put.eq(1), self.put_at.eq(self.part)]
                m.d.sync += self.part.eq(self.part + 1)
                with m.Switch(self.part):
                    first = (self.operation | ANSWER, self.sequence, self.status, self.info[:8], self.info[8:])
                    for index, value in enumerate(first):
                        with m.Case(index):
                            m.d.comb += self.put_byte.eq(value)
                with m.If(self.part == HEADER - 1):
                    m.d.sync += self.error.eq(self.status > Status.BUSY)
                    m.next = "START"
            with m.State("START"):
                m.d.comb += [self.sending.eq(1), leave.start.eq(1)]
                m.next = "SEND"
            with m.State("SEND"):
                m.d.comb += self.sending.eq(1)
                m.d.sync += self.place.eq(0)
                with m.If(leave.done):
                    m.next = "LISTEN"

    def _close(self, m: Module, status: Status = Status.OK) -> None:
        """On to the answer's header."""
        m.d.sync += [self.status.eq(status), self.part.eq(0)]
        m.next = "CLOSE"

    def _dispatch(self, m: Module) -> None:
        """From the operation to the state that executes it, if the request has its length: ``left``."""
        lengths = {Operation.HELLO: 2, Operation.READ: 3, Operation.WRITE: 7, Operation.TAKE: 3,
                   Operation.CLOCKS: 2}  # fmt: skip
        with m.Switch(self.operation):
            for operation, length in lengths.items():
                with m.Case(operation):
                    with m.If(self.left != length + CRC_BYTES):
                        self._close(m, Status.LENGTH)
                    with m.Else():
                        m.next = operation.name
            with m.Case(Operation.STREAM):
                log_bytes, rest = self.head[2:4], self.left[:2]  # STREAM_BYTES, of the form 4 n + 3, are no values
                odd = (log_bytes == 1) & (rest[0] == 0) | (log_bytes == 2) & (rest != 3) | (log_bytes == 3)
                with m.If((self.left < STREAM_BYTES) | odd):
                    self._close(m, Status.LENGTH)
                with m.Else():
                    m.next = "STREAM"
            with m.Default():
                self._close(m, Status.UNKNOWN)

    def _registers(self, m: Module) -> None:
        """READ and WRITE."""
        axil, word, part = self.axil, self.word, self.part
        with m.State("READ"):
            m.d.sync += axil.arvalid.eq(1)
            m.next = "READING"
        with m.State("READING"):
            m.d.comb += axil.rready.eq(1)
            m.d.comb += [self.load.eq(axil.rvalid), self.loaded.eq(axil.rdata)]
            with m.If(axil.rvalid):
                with m.If(axil.rresp != OKAY):
                    self._close(m, Status.REFUSED)
                with m.Else():
                    m.next = "WORD"
        with m.State("WORD"):  # four bytes into the answer
            m.d.comb += [self.put.eq(1), self.put_at.eq(self.size), self.put_byte.eq(word[:8]), self.shift.eq(1)]
            m.d.sync += [self.size.eq(self.size + 1), part.eq(part + 1)]
            with m.If(part == 3):
                self._close(m)
        with m.State("WRITE"):  # four bytes from the request
            m.d.comb += [self.advance.eq(1), self.shift.eq(1), self.incoming.eq(self.read.data)]
            m.d.sync += part.eq(part + 1)
            with m.If(part == 3):
                m.d.sync += [axil.awvalid.eq(1), axil.wvalid.eq(1)]
                m.next = "WRITING"
        with m.State("WRITING"):
            m.d.comb += axil.bready.eq(1)
            with m.If(axil.bvalid):
                with m.If(axil.bresp != OKAY):
                    self._close(m, Status.REFUSED)
                with m.Else():
                    self._close(m)

    def _stream(self, m: Module) -> None:
        """STREAM: values from the request to the core; ``info`` counts those that were handed over."""
        data, word, part, head = self.data, self.word, self.part, self.head
        with m.State("STREAM"):  # a value, four clocks; its sign stands for the bytes that it does not have
            real = (part == 0) | head[3] | (head[2] & ~part[1])
            with m.If((part == 0) & (self.left == 0)):
                self._close(m)
            with m.Else():
                m.d.comb += [
                    self.shift.eq(1),
                    self.incoming.eq(Mux(real, self.read.data, word[31].replicate(8))),
                    self.advance.eq(real),
                ]
                m.d.sync += [self.left.eq(self.left - real), part.eq(part + 1)]
                with m.If(part == 3):
                    m.d.sync += part.eq(0)
                    m.next = "OFFER"
        with m.State("OFFER"):
            with m.If(~data.tvalid | data.tready):
                m.d.sync += [
                    data.tvalid.eq(1),
                    data.tdata.eq(word),
                    data.tid.eq(head[:2]),
                    data.tlast.eq(head[7] & (self.left == 0)),
                    self.info[: self.counted].eq(self.info[: self.counted] + 1),
                    self.wait.eq(self.patience),
                ]
                m.next = "STREAM"
            with m.Else():
                m.d.sync += self.wait.eq(self.wait - 1)
                with m.If(self.wait == 0):
                    self._close(m, Status.BUSY)

    def _take(self, m: Module) -> None:
        """TAKE: beats of codes into the answer: as many as were asked for (0: 256), as have room, up to a closing
        word, or as come in time.
        """
        codes, part, most = self.codes, self.part, self.head
        full = self.size > self.buffer - 1 - BEAT_BYTES  # this beat is the last one that has room
        with m.State("TAKE"):
            with m.If(codes.tvalid):
                m.d.comb += [
                    self.put.eq(1),
                    self.put_at.eq(self.size),
                    self.put_byte.eq(codes.tdata.word_select(part, 8)),
                    codes.tready.eq(part == BEAT_BYTES - 1),
                ]
                m.d.sync += [part.eq(part + 1), self.size.eq(self.size + 1), self.wait.eq(self.patience)]
                with m.If(codes.tready):
                    m.d.sync += [self.info.eq(Cat(codes.tid, codes.tlast)), most.eq(most - 1)]
                    with m.If(codes.tlast | full | (most == 1)):
                        self._close(m)
            with m.Else():
                m.d.sync += self.wait.eq(self.wait - 1)
                with m.If(self.wait == 0):
                    self._close(m)
