"""The UART: bytes through a sender with another clock, spikes, broken bytes; the sent waveform bit by bit."""

from collections.abc import Callable, Iterable
from random import Random
from typing import Any

import pytest
from amaranth.sim import Simulator

from striate.golden.errors import InputError
from striate.hw.serial.uart import LEAST_DIVISOR, Receiver, Transmitter, divisor_of


def levels(data: Iterable[int], period: float, gap: float = 0.0) -> list[int]:
    """The line, clock by clock, of bytes sent with ``period`` clocks a bit."""
    edges, now = [], 3.0
    for byte in data:
        for bit in (0, *(byte >> n & 1 for n in range(8)), 1):
            edges.append((now, bit))
            now += period
        now += gap
    line, level, place = [], 1, 0
    for clock in range(int(now + 3 * period)):
        while place < len(edges) and edges[place][0] <= clock:
            level = edges[place][1]
            place += 1
        line.append(level)
    return line


def receive(divisor: int, line: list[int]) -> tuple[bytes, int]:
    """What a receiver makes of a line: bytes, and how many were broken."""
    receiver = Receiver(divisor)
    heard, broken = bytearray(), 0

    async def bench(context: Any) -> None:
        nonlocal broken
        context.set(receiver.rx, 1)
        await context.tick()
        for level in [*line, *[1] * (2 * divisor)]:
            context.set(receiver.rx, level)
            await context.tick()
            if context.get(receiver.valid):
                heard.append(context.get(receiver.byte))
            broken += context.get(receiver.error)

    _run(receiver, bench)
    return bytes(heard), broken


def _run(module: Any, bench: Callable[..., Any]) -> None:
    simulator = Simulator(module)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("divisor", [4, 8, 12, *(pytest.param(n, marks=pytest.mark.slow) for n in (5, 16, 80))])
@pytest.mark.parametrize("off", [-0.02, 0.0, 0.02])
def test_a_sender_whose_clock_is_two_percent_off_is_understood(divisor: int, off: float) -> None:
    random = Random(divisor)
    data = bytes([0x00, 0xFF, 0x55, 0x80, 0x01, *random.randbytes(20 if divisor < 80 else 0)])
    assert receive(divisor, levels(data, divisor * (1 + off))) == (data, 0)


def test_how_far_off_a_sender_may_be() -> None:
    """Back to back, in clocks of 16 a bit: the stop bit is missed at about half a bit in nine and a half."""
    data = bytes([0x00, 0x55, 0xFF, 0xA5, 0x00])
    tried = {percent: receive(16, levels(data, 16 * (1 + percent / 100))) for percent in (-8, -4, -3, 0, 3, 4, 8)}
    good = [percent for percent, found in tried.items() if found == (data, 0)]
    assert {-3, 0, 3} <= set(good) and max(good) < 8 and min(good) > -8


def test_spikes_of_a_clock_do_no_harm() -> None:
    """One wrong clock near the middle of every bit, and one in the idle line."""
    data = Random(3).randbytes(12)
    for place in (-2, 0, 2):
        line = [1, 1, 0, *[1] * 40, *levels(data, 16)]
        for bit in range(10 * len(data)):
            at = 43 + 3 + 16 * bit + 8 + place
            line[at] ^= 1
        assert receive(16, line) == (data, 0)


def test_a_byte_without_its_stop_bit_is_an_error_and_a_break_is_one() -> None:
    line = levels(b"\x21", 8)
    broken = [*line[: 3 + 9 * 8], *[0] * 8, *[1] * 40, *levels(b"\x42", 8)]
    assert receive(8, broken) == (b"\x42", 1)
    assert receive(8, [*[1] * 5, *[0] * 400, *[1] * 20, *levels(b"\x42", 8)]) == (b"\x42", 1)


@pytest.mark.parametrize("divisor", [4, 7])
def test_the_sent_waveform(divisor: int) -> None:
    """Against the definition, back to back, each bit exactly ``divisor`` clocks."""
    data, sender = bytes([0x00, 0xA5, 0xFF]), Transmitter(divisor)
    line: list[int] = []

    async def bench(context: Any) -> None:
        for byte in data:
            context.set(sender.bytes.payload, byte)
            context.set(sender.bytes.valid, 1)
            while not context.get(sender.bytes.ready):
                line.append(context.get(sender.tx))
                await context.tick()
            line.append(context.get(sender.tx))
            await context.tick()
        context.set(sender.bytes.valid, 0)
        while not context.get(sender.idle):
            line.append(context.get(sender.tx))
            await context.tick()

    _run(sender, bench)
    sent = "".join(str(bit) for bit in line)
    bits = [(0, *(byte >> n & 1 for n in range(8)), 1) for byte in data]
    frames = ["".join(str(bit) * divisor for bit in byte) for byte in bits]
    assert sent == "1" + "1".join(frames)  # a clock of rest before each byte


def test_divisors() -> None:
    assert [divisor_of(mhz, 1_000_000) for mhz in (12.0, 80.0, 82.142857)] == [12, 80, 82]
    assert [divisor_of(12.0, 921_600), divisor_of(27.0, 115_200)] == [13, 234]
    assert divisor_of(4.0, 1_000_000) == LEAST_DIVISOR


@pytest.mark.parametrize(
    ("mhz", "baud", "message"),
    [
        (12.0, 4_000_000, "4000000 baud is too fast for a clock of 12 MHz; at most 3000000 baud"),
        (12.0, 890_000, "890000 baud cannot be made from a clock of 12 MHz; the nearest are 857143 and 923077"),
        (12.0, 0, "a rate of 0 baud is none; give a positive number"),
    ],
)
def test_rates_that_are_refused(mhz: float, baud: int, message: str) -> None:
    with pytest.raises(InputError) as caught:
        divisor_of(mhz, baud)
    assert str(caught.value) == message
