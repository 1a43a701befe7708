"""cocotb bench of a board at its serial pins: a UART model with a noisy line on both sides, a frame through it.

Runs inside the simulator; ``tests/hw/test_bridge_cocotb.py`` starts it and names design and dictionary for it.
"""

import os
from random import Random
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.queue import Queue
from cocotb.simtime import get_sim_time
from cocotb.triggers import FallingEdge, Timer
from support.boardsim import DIVISOR

from striate.golden.dictionary import Dictionary
from striate.hw.emit import quantised
from striate.hw.registers import register
from striate.hw.serial.framing import Answer, Deframer, Operation, Status, answer_of, frame
from striate.sim.design import Design
from striate.sim.machine import simulate

PERIOD = 10  # ns
BIT = PERIOD * DIVISOR


class Uart:
    """The host's UART: 8N1; ``flips`` is the probability that a bit time is inverted, in either direction."""

    def __init__(self, dut: Any, random: Random, flips: float) -> None:
        self.dut, self.random, self.flips = dut, random, flips
        self.heard: Queue[int] = Queue()
        self.damaged = self.retries = 0
        self.deframer = Deframer()

    def _bit(self, bit: int) -> int:
        wrong = self.random.random() < self.flips
        self.damaged += wrong
        return bit ^ wrong

    async def send(self, data: bytes) -> None:
        for byte in data:
            for bit in (0, *(byte >> n & 1 for n in range(8)), 1):
                self.dut.rx.value = self._bit(bit)
                await Timer(BIT, "ns")
            self.dut.rx.value = 1

    async def listen(self) -> None:
        while True:
            await FallingEdge(self.dut.tx)
            await Timer(BIT // 2, "ns")
            bits = []
            for _ in range(10):
                bits.append(self._bit(int(self.dut.tx.value)))
                await Timer(BIT if len(bits) < 10 else 1, "ns")
            if bits[9]:
                self.heard.put_nowait(sum(bit << n for n, bit in enumerate(bits[1:9])))

    async def ask(self, body: bytes) -> Answer:
        """The answer to a request, which is repeated until there is one."""
        for _ in range(60):
            await self.send(frame(body))
            until = get_sim_time("ns") + BIT * 10 * 300
            while get_sim_time("ns") < until:
                if self.heard.empty():
                    await Timer(BIT * 5, "ns")
                    continue
                for found in self.deframer.feed(bytes([self.heard.get_nowait()])):
                    answer = answer_of(found)
                    if answer is not None and (answer.operation, answer.sequence) == (body[0], body[1]):
                        return answer
            self.retries += 1
        raise AssertionError("no answer")


async def whole_frame(dut: Any, flips: float) -> Uart:
    """Weights, a picture and its codes through the pins; every code is the machine's."""
    design = Design.load(os.environ["STRIATE_BENCH_DESIGN"])
    dictionary = Dictionary.load(os.environ["STRIATE_BENCH_DICTIONARY"])
    plan, weights = quantised(design, dictionary)
    random = Random(int(os.environ["STRIATE_BENCH_SEED"]))
    image = np.random.default_rng(random.randrange(1000)).random(design.geometry.image_shape)
    run = simulate(image, design, dictionary=dictionary)
    cocotb.start_soon(Clock(dut.clk, PERIOD, "ns").start())
    dut.rx.value, dut.rst.value = 1, 1
    await Timer(5 * PERIOD, "ns")
    dut.rst.value = 0
    uart = Uart(dut, random, flips)
    cocotb.start_soon(uart.listen())
    sequence = 0

    async def ask(operation: Operation, arguments: bytes = b"") -> Answer:
        nonlocal sequence
        sequence = (sequence + 1) % 256
        answer = await uart.ask(bytes([operation, sequence]) + arguments)
        assert answer.status == Status.OK, answer
        return answer

    async def stream(tid: int, values: list[int]) -> None:
        for at in range(0, len(values), 16):
            part = values[at : at + 16]
            head = tid | 1 << 2 | (0x80 if at + 16 >= len(values) else 0)
            answer = await ask(
                Operation.STREAM, bytes([head]) + b"".join(v.to_bytes(2, "little", signed=True) for v in part)
            )
            assert answer.info == (len(part), 0)

    await ask(Operation.HELLO)
    await stream(1, [int(value) for value in plan.layout.beats(weights)])
    await ask(Operation.WRITE, bytes([register("CONTROL").offset, 1, 0, 0, 0]))
    await stream(0, [int(value) for value in np.moveaxis(run.input, 0, -1).reshape(-1)])
    code, beats = np.zeros_like(run.code), b""
    while True:
        answer = await ask(Operation.TAKE, bytes([4]))
        beats += answer.payload
        if answer.info[1]:
            break
    for at in range(0, len(beats) - 8, 8):
        y, k, i, j = np.frombuffer(beats[at : at + 8], "<i2")
        assert code[k, i, j] == 0
        code[k, i, j] = y
    assert np.array_equal(code, run.code) and np.count_nonzero(code)
    errors = await ask(Operation.READ, bytes([register("ERRORS").offset]))
    assert errors.payload == bytes(4)
    return uart


@cocotb.test()
async def a_clean_line(dut: Any) -> None:
    uart = await whole_frame(dut, 0.0)
    assert uart.retries == uart.deframer.dropped == 0


@cocotb.test()
async def a_noisy_line(dut: Any) -> None:
    """One bit in 500: bad frames are seen on both sides, repeated, and nothing is accepted that is wrong."""
    uart = await whole_frame(dut, 1 / 500)
    assert uart.damaged > 3 and uart.retries > 1
