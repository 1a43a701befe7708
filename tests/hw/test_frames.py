"""Frames of the serial link: CRC-32 against known answers, gates against software, any garbage before a frame."""

import zlib
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from amaranth.hdl import Elaboratable, Module
from amaranth.lib.memory import Memory
from amaranth.sim import Simulator
from hypothesis import given
from hypothesis import strategies as st

from striate.hw.serial.frames import FrameIn, FrameOut, SerialCrc
from striate.hw.serial.framing import ESCAPE, FLAG, Deframer, answer_of, frame

SIZE = 64
ENDS = b"\x7e"


def run(module: Any, bench: Callable[..., Any]) -> None:
    simulator = Simulator(module)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


# ---- CRC -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("data", "crc"), [(b"123456789", 0xCBF43926), (b"", 0), (b"\x00" * 4, 0x2144DF1C), (b"\xff" * 4, 0xFFFFFFFF)]
)
def test_crc_known_answers(data: bytes, crc: int) -> None:
    """The check value of CRC-32/ISO-HDLC and three more, in gates and in zlib; data with its CRC behind it is good."""
    module, found = SerialCrc(), []

    async def bench(context: Any) -> None:
        context.set(module.clear, 1)
        await context.tick()
        context.set(module.clear, 0)
        for byte in data + crc.to_bytes(4, "little"):
            context.set(module.byte, byte)
            context.set(module.valid, 1)
            await context.tick()
            context.set(module.valid, 0)
            while context.get(module.busy):
                await context.tick()
            found.append((context.get(module.crc), context.get(module.good)))

    run(module, bench)
    assert zlib.crc32(data) == crc
    if data:
        assert found[len(data) - 1][0] == crc
    assert found[-1][1] == 1
    if data != bytes(4):  # four zeros are the CRC of nothing
        assert not any(good for _, good in found[:-1])


# ---- software --------------------------------------------------------------------------------------------------------
@given(st.lists(st.binary(min_size=1, max_size=80), max_size=5), st.binary(max_size=40), st.integers(1, 7))
def test_bodies_come_back_whatever_went_before(bodies: list[bytes], garbage: bytes, pieces: int) -> None:
    deframer = Deframer()
    deframer.feed(garbage)
    line = ENDS + b"".join(frame(body) for body in bodies)
    found = [body for at in range(0, len(line), pieces) for body in deframer.feed(line[at : at + pieces])]
    assert found == bodies


@given(st.binary(min_size=1, max_size=40), st.data())
def test_no_flipped_bit_is_taken_for_a_frame(body: bytes, data: st.DataObject) -> None:
    """A CRC-32 sees every burst of up to 32 bits; here one byte of the line is another one."""
    line = bytearray(frame(body))
    at = data.draw(st.integers(0, len(line) - 1))
    line[at] ^= data.draw(st.integers(1, 255))
    assert all(found == body for found in Deframer().feed(bytes(line)))


def test_a_frame_without_end_is_given_up() -> None:
    deframer = Deframer(longest=100)
    assert deframer.feed(ENDS + b"x" * 1000) == [] and deframer.dropped == 1
    assert deframer.feed(frame(b"y")) == [b"y"]


def test_answers() -> None:
    answer = answer_of(bytes([0x83, 7, 1, 2, 3, 9]))
    assert answer is not None and (answer.operation, answer.sequence, answer.status) == (3, 7, 1)
    assert (answer.info, answer.payload) == ((2, 3), b"\x09")
    assert answer_of(b"\x03\x00\x00\x00\x00") is None and answer_of(b"\x83\x00") is None


# ---- gates -----------------------------------------------------------------------------------------------------------
class Entry(Elaboratable):
    """FrameIn with its CRC and its memory."""

    def __init__(self) -> None:
        self.frames, self.crc, self.memory = FrameIn(SIZE), SerialCrc(), Memory(shape=8, depth=SIZE, init=[])
        self.port = self.memory.write_port()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.frames, m.submodules.crc, m.submodules.memory = frames, crc, _ = (
            self.frames, self.crc, self.memory,
        )  # fmt: skip
        port = self.port
        m.d.comb += [
            crc.clear.eq(frames.crc_clear), crc.byte.eq(frames.crc_byte), crc.valid.eq(frames.crc_valid),
            frames.crc_good.eq(crc.good), port.en.eq(frames.write_en), port.addr.eq(frames.write_addr),
            port.data.eq(frames.write_data), frames.listen.eq(1),
        ]  # fmt: skip
        return m


def entered(line: bytes) -> tuple[list[bytes], int]:
    """Bodies that FrameIn finds in a line, and how many frames it dropped."""
    entry, bodies, dropped = Entry(), [], 0

    async def bench(context: Any) -> None:
        nonlocal dropped
        frames = entry.frames
        for byte in line:
            context.set(frames.byte, byte)
            context.set(frames.valid, 1)
            if context.get(frames.done):
                length = context.get(frames.length)
                bodies.append(bytes(context.get(entry.memory.data[n]) for n in range(length - 4)))
            await context.tick()
            context.set(frames.valid, 0)
            await context.tick().repeat(9)
        dropped = context.get(frames.dropped)

    run(entry, bench)
    return bodies, dropped


@pytest.mark.parametrize("seed", range(3))
def test_gates_find_what_software_finds(seed: int) -> None:
    """Frames with flipped, dropped and strange bytes between and in them; some too long or too short for gates."""
    random, line = Random(seed), bytearray()
    for _ in range(14):
        length = random.randrange(2, 20)
        body = bytes(random.choice((FLAG, ESCAPE, 0, 255, random.randrange(256))) for _ in range(length))
        sent = bytearray(frame(body))
        if random.random() < 0.5:
            at = random.randrange(len(sent))
            sent[at : at + 1] = random.choice((b"", b"\x7d\x7e", bytes([random.randrange(256)])))
        line += sent
    line += frame(bytes(SIZE - 4)) + frame(bytes(SIZE - 3)) + frame(b"ab")
    software = Deframer(longest=SIZE)
    expected = [body for body in software.feed(bytes(line)) if len(body) >= 2]
    bodies, dropped = entered(bytes(line))
    assert bodies == expected and b"ab" in bodies and bytes(SIZE - 4) in bodies
    assert dropped == software.dropped


class Leave(Elaboratable):
    """FrameOut with its CRC and its memory."""

    def __init__(self, body: bytes) -> None:
        self.frames, self.crc = FrameOut(SIZE), SerialCrc()
        self.memory, self.length = Memory(shape=8, depth=SIZE, init=list(body)), len(body)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.frames, m.submodules.crc, m.submodules.memory = frames, crc, memory = (
            self.frames, self.crc, self.memory,
        )  # fmt: skip
        port = memory.read_port()
        m.d.comb += [
            crc.clear.eq(frames.crc_clear), crc.byte.eq(frames.crc_byte), crc.valid.eq(frames.crc_valid),
            frames.crc.eq(crc.crc), frames.crc_busy.eq(crc.busy), port.addr.eq(frames.read_addr),
            frames.read_data.eq(port.data), frames.length.eq(self.length),
        ]  # fmt: skip
        return m


@pytest.mark.parametrize("body", [b"\x7e", b"ab", bytes(range(0x70, 0x80)), bytes([FLAG, ESCAPE] * 10), bytes(SIZE)])
@pytest.mark.parametrize("gap", [0, 11])
def test_gates_send_what_software_sends(body: bytes, gap: int) -> None:
    """Back to back and with a slow line, twice: the body stays for a repeat."""
    leave, sent = Leave(body), bytearray()

    async def bench(context: Any) -> None:
        frames = leave.frames
        for _ in range(2):
            context.set(frames.start, 1)
            await context.tick()
            context.set(frames.start, 0)
            over = False
            while not over:
                context.set(frames.bytes.ready, 1)
                while not context.get(frames.bytes.valid):
                    await context.tick()
                sent.append(context.get(frames.bytes.payload))
                over = bool(context.get(frames.done))
                await context.tick()
                context.set(frames.bytes.ready, 0)
                await context.tick().repeat(max(gap, 9))
            await context.tick()

    run(leave, bench)
    assert bytes(sent) == frame(body) * 2
