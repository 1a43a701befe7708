"""A UART: eight data bits, no parity, one stop bit, least significant bit first; one divisor for both directions."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from ...golden.errors import InputError

BITS = 10
"""Bit times of a byte: start, eight data bits, stop."""
LEAST_DIVISOR = 4
"""Fewest clocks of a bit: with fewer, half a clock of doubt about the start is too much of a bit."""
RATE_TOLERANCE = 0.01
"""How far the rate made from the clock may be from the one asked for; the receiver bears twice that."""


def divisor_of(clock_mhz: float, baud: int) -> int:
    """Clocks of a bit.

    Raises:
        InputError: fewer than ``LEAST_DIVISOR``, or a rate further than ``RATE_TOLERANCE`` from the one asked for.
    """
    if baud < 1:
        raise InputError(f"a rate of {baud} baud is none; give a positive number")
    hertz = clock_mhz * 1e6
    divisor = max(round(hertz / baud), 1)
    if divisor < LEAST_DIVISOR:
        raise InputError(
            f"{baud} baud is too fast for a clock of {clock_mhz:g} MHz; at most {int(hertz / LEAST_DIVISOR)} baud"
        )
    if abs(hertz / divisor - baud) > RATE_TOLERANCE * baud:
        rates = sorted(round(hertz / n) for n in {divisor, divisor + (1 if hertz / divisor > baud else -1)})
        raise InputError(
            f"{baud} baud cannot be made from a clock of {clock_mhz:g} MHz; the nearest are "
            f"{' and '.join(str(rate) for rate in rates)}"
        )
    return divisor


class Receiver(wiring.Component):
    """The receiving half.

    The start bit's edge sets the phase; each bit is the majority of three samples around its middle, an eighth of a bit
    apart (one sample where a bit has fewer than eight clocks). A start bit that is high in its middle was a spike and
    is forgotten. The line is looked at for the next start from the middle of the stop bit on.

    Members:
        rx: In(1), the pin, not synchronised. byte: Out(8), with valid: Out(1), a strobe. error: Out(1), a strobe: the
        stop bit was low; the byte is lost.
    """

    def __init__(self, divisor: int) -> None:
        assert divisor >= LEAST_DIVISOR
        self.divisor = divisor
        super().__init__({"rx": In(1), "byte": Out(8), "valid": Out(1), "error": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        middle, apart = self.divisor // 2, self.divisor // 8
        line, clock, index = Signal(init=1), Signal(range(self.divisor)), Signal(range(BITS))
        m.submodules.synchroniser = FFSynchronizer(self.rx, line, init=1)
        if apart:
            first, second = Signal(), Signal()
            with m.If(clock == middle - apart):
                m.d.sync += first.eq(line)
            with m.If(clock == middle):
                m.d.sync += second.eq(line)
            bit = (first & second) | (line & (first | second))
        else:
            bit = line
        m.d.sync += [self.valid.eq(0), self.error.eq(0)]
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [clock.eq(1), index.eq(0)]
                with m.If(~line):
                    m.next = "BITS"
            with m.State("BITS"):
                m.d.sync += clock.eq(clock + 1)
                with m.If(clock == self.divisor - 1):
                    m.d.sync += [clock.eq(0), index.eq(index + 1)]
                with m.If(clock == middle + apart):
                    with m.If(index == BITS - 1):
                        m.d.sync += [self.valid.eq(bit), self.error.eq(~bit)]
                        with m.If(bit):  # the next start bit of a fast sender may be half a bit away
                            m.next = "IDLE"
                        with m.Else():
                            m.next = "REST"
                    with m.Elif((index == 0) & bit):
                        m.next = "IDLE"
                    with m.Elif(index != 0):
                        m.d.sync += self.byte.eq(Cat(self.byte[1:], bit))
            with m.State("REST"):  # a line that stays low is no new start
                m.d.sync += [clock.eq(1), index.eq(0)]
                with m.If(line):
                    m.next = "IDLE"
        return m


class Transmitter(wiring.Component):
    """The sending half.

    Members:
        bytes: In stream of 8 bits. tx: Out(1), the pin, a register. idle: Out(1), the last stop bit is over.
    """

    def __init__(self, divisor: int) -> None:
        self.divisor = divisor
        super().__init__({"bytes": In(stream.Signature(8)), "tx": Out(1, init=1), "idle": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        clock, left, shift = Signal(range(self.divisor)), Signal(range(BITS + 1)), Signal(BITS - 1, init=-1)
        m.d.comb += [self.bytes.ready.eq(left == 0), self.idle.eq(left == 0)]
        with m.If(left == 0):
            with m.If(self.bytes.valid):
                m.d.sync += [
                    self.tx.eq(0),
                    shift.eq(Cat(self.bytes.payload, 1)),
                    left.eq(BITS),
                    clock.eq(self.divisor - 1),
                ]
        with m.Elif(clock != 0):
            m.d.sync += clock.eq(clock - 1)
        with m.Else():
            m.d.sync += [clock.eq(self.divisor - 1), left.eq(left - 1)]
            m.d.sync += [self.tx.eq(shift[0]), shift.eq(Cat(shift[1:], 1))]
        return m
