"""cocotb benches of the AXI top: corners of the protocol, strobes, refusals, frames right and wrong.

Runs inside the simulator (``axi_run.py`` starts it). The drivers and the monitor are written here, apart from the C++
ones of the compiled model, so that one reading of the AXI rules checks the other. Inputs change at the falling edge;
everything is sampled in the read-only phase after it, which is what the rising edge then sees.
"""

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly

from ...sim.design import Design
from ...sim.machine import Machine
from ...sim.run import Run
from ...sim.tiling import IntArray
from ..core import identity
from ..emit import quantised
from ..registers import ERRORS, REGISTERS, register
from ..vectors import output_words
from .axi_run import DESIGN_VARIABLE, SEED_VARIABLE

OKAY, SLVERR = 0, 2
LATEST = 100_000  # clocks after which something is given up
ERROR = {field.name: field.mask for field in ERRORS}


class Bench:
    """The core, its clock, a master of each port and a monitor of everything it drives."""

    def __init__(self, dut: Any, test: str) -> None:
        self.dut = dut
        design = Design.load(Path(os.environ[DESIGN_VARIABLE]))
        self.plan, self.weights = quantised(design)
        self.steps = design.dynamics.steps
        seed = int(os.environ[SEED_VARIABLE])
        self.random = Random(f"{seed} {test}")
        self.numbers = np.random.default_rng([seed, *test.encode()])
        self.machine = Machine(self.plan, self.weights)
        self.beats: list[tuple[int, int, int, int]] = []  # (tdata, tlast, tuser, tid) as taken
        self.gap = 0.0  # of the codes

    async def start(self) -> None:
        """Clock and reset."""
        Clock(self.dut.aclk, 10, unit="ns").start(start_high=False)
        await FallingEdge(self.dut.aclk)
        for name in ("s_axi_awvalid", "s_axi_wvalid", "s_axi_arvalid", "s_axi_bready", "s_axi_rready", "s_axis_tvalid"):
            self.port(name).value = 0
        self.port("m_axis_tready").value = 0
        self.dut.aresetn.value = 0
        for _ in range(3):
            await FallingEdge(self.dut.aclk)
        await ReadOnly()
        assert not any(int(self.port(name).value) for name in ("s_axi_bvalid", "s_axi_rvalid", "m_axis_tvalid"))
        await FallingEdge(self.dut.aclk)
        self.dut.aresetn.value = 1
        cocotb.start_soon(self._receive())
        for channel, payload in (("b", ("bresp",)), ("r", ("rdata", "rresp"))):
            names = [f"s_axi_{part}" for part in payload]
            cocotb.start_soon(self._steady(f"s_axi_{channel}valid", f"s_axi_{channel}ready", names))

    def port(self, name: str) -> Any:
        """A port of the top."""
        return getattr(self.dut, name)

    async def _steady(self, valid: str, ready: str, payload: list[str]) -> None:
        """A response that was offered stays, unchanged, until it is taken."""
        offered: list[int] | None = None
        while True:
            await FallingEdge(self.dut.aclk)
            await ReadOnly()
            on, word = int(self.port(valid).value), [int(self.port(name).value) for name in payload]
            assert offered is None or on, f"{valid} fell before {ready}"
            assert offered is None or word == offered, f"{payload} changed while it waited"
            offered = word if on and not int(self.port(ready).value) else None

    async def _receive(self) -> None:
        """Take codes with random gaps; a beat that was offered stays, unchanged, until it is taken."""
        names = ("m_axis_tdata", "m_axis_tlast", "m_axis_tuser", "m_axis_tid")
        offered: tuple[int, ...] | None = None
        while True:
            await FallingEdge(self.dut.aclk)
            self.port("m_axis_tready").value = int(self.random.random() >= self.gap)
            await ReadOnly()
            valid = int(self.port("m_axis_tvalid").value)
            assert offered is None or valid, "TVALID fell before TREADY"
            if not valid:
                continue
            beat = tuple(int(self.port(name).value) for name in names)
            assert offered is None or beat == offered, "the beat changed while it waited"
            taken = int(self.port("m_axis_tready").value)
            offered = None if taken else beat
            if taken:
                self.beats.append(beat)  # type: ignore[arg-type]
                assert beat[1] == beat[2], "TLAST is not the closing word's"

    async def _offer(self, valid: str, ready: str, payload: dict[str, int], delay: int = 0) -> None:
        """One transfer on a channel that the master drives, after so many clocks."""
        for _ in range(delay + 1):
            await FallingEdge(self.dut.aclk)
        for name, value in payload.items():
            self.port(name).value = value
        self.port(valid).value = 1
        await ReadOnly()
        for _ in range(LATEST):
            if int(self.port(ready).value):
                break
            await FallingEdge(self.dut.aclk)
            await ReadOnly()
        else:
            raise AssertionError(f"{ready} stays low")
        await FallingEdge(self.dut.aclk)
        self.port(valid).value = 0

    async def _take(self, valid: str, ready: str, payload: list[str], delay: int = 0) -> list[int]:
        """One response, taken so many clocks after it was there."""
        for waited in range(LATEST):
            await FallingEdge(self.dut.aclk)
            await ReadOnly()
            if int(self.port(valid).value):
                break
            assert waited < 64, f"no {valid} for 64 clocks"
        for _ in range(delay):
            await FallingEdge(self.dut.aclk)
        await FallingEdge(self.dut.aclk)
        self.port(ready).value = 1
        await ReadOnly()
        assert int(self.port(valid).value), f"{valid} fell before {ready}"
        word = [int(self.port(name).value) for name in payload]
        await FallingEdge(self.dut.aclk)
        self.port(ready).value = 0
        return word

    async def write(
        self, name: str | int, value: int, strobe: int = 15, *, address: int = 0, data: int = 0, answer: int = 0
    ) -> int:
        """Write a register; address, data and the taking of the answer so many clocks late. The response."""
        offset = name if isinstance(name, int) else register(name).offset
        sending = [
            cocotb.start_soon(
                self._offer("s_axi_awvalid", "s_axi_awready", {"s_axi_awaddr": offset, "s_axi_awprot": 0}, address)
            ),
            cocotb.start_soon(
                self._offer("s_axi_wvalid", "s_axi_wready", {"s_axi_wdata": value, "s_axi_wstrb": strobe}, data)
            ),
        ]
        for task in sending:
            await task
        (response,) = await self._take("s_axi_bvalid", "s_axi_bready", ["s_axi_bresp"], answer)
        return response

    async def read(self, name: str | int, answer: int = 0) -> tuple[int, int]:
        """(data, response) of a register."""
        offset = name if isinstance(name, int) else register(name).offset
        await self._offer("s_axi_arvalid", "s_axi_arready", {"s_axi_araddr": offset, "s_axi_arprot": 0})
        data, response = await self._take("s_axi_rvalid", "s_axi_rready", ["s_axi_rdata", "s_axi_rresp"], answer)
        return data, response

    async def value(self, name: str) -> int:
        """A register's value; it must be readable."""
        data, response = await self.read(name)
        assert response == OKAY, f"{name} was refused"
        return data

    async def send(self, values: list[int], tid: int, *, last: bool = True, gap: float = 0.0) -> None:
        """A packet, with random gaps."""
        for n, value in enumerate(values):
            await FallingEdge(self.dut.aclk)
            while self.random.random() < gap:
                self.port("s_axis_tvalid").value = 0
                await FallingEdge(self.dut.aclk)
            self.port("s_axis_tdata").value = value & 0xFFFFFFFF
            self.port("s_axis_tid").value = tid
            self.port("s_axis_tlast").value = int(last and n == len(values) - 1)
            self.port("s_axis_tvalid").value = 1
            await ReadOnly()
            for _ in range(LATEST):
                if int(self.port("s_axis_tready").value):
                    break
                await FallingEdge(self.dut.aclk)
                await ReadOnly()
            else:
                raise AssertionError("TREADY stays low")
        await FallingEdge(self.dut.aclk)
        self.port("s_axis_tvalid").value = 0

    async def load(self, gap: float = 0.0) -> None:
        """The weights."""
        await self.send([int(value) for value in self.plan.layout.beats(self.weights)], 1, gap=gap)
        await self.wait(8)

    async def wait(self, clocks: int) -> None:
        """Let clocks pass."""
        for _ in range(clocks):
            await FallingEdge(self.dut.aclk)

    def image(self) -> IntArray:
        """A random picture."""
        shape, fmt = self.plan.tiling.geometry.image_shape, self.plan.input
        noise = np.rint(self.numbers.standard_normal(shape) * 0.3 * (1 << fmt.frac))
        return np.asarray(np.clip(noise, fmt.low, fmt.high), np.int64)

    async def closed(self) -> list[int]:
        """The words of one frame, when its closing word has come."""
        for _ in range(LATEST):
            if self.beats and self.beats[-1][1]:
                words = [beat[0] for beat in self.beats]
                self.beats = []
                await self.wait(3)
                return words
            await FallingEdge(self.dut.aclk)
        raise AssertionError("no closing word")

    async def frame(self, image: IntArray, *, gap: float = 0.0) -> Run:
        """A good cold frame: codes and closing word are the machine's."""
        run = self.machine.frame(image, self.steps)
        assert await self.write("STEPS", self.steps) == OKAY and await self.write("CONTROL", 1) == OKAY
        await self.send(np.moveaxis(image, 0, -1).reshape(-1).tolist(), 0, gap=gap)
        found = await self.closed()
        assert found == output_words(run), f"expected {output_words(run)}, found {found}"
        return run


def bench(function: Callable[[Bench], Awaitable[None]]) -> Any:
    """A cocotb test that gets a started bench."""

    async def test(dut: Any) -> None:
        one = Bench(dut, function.__name__)
        await one.start()
        await function(one)

    test.__name__ = test.__qualname__ = function.__name__
    test.__doc__ = function.__doc__
    return cocotb.test()(test)


@bench
async def either_channel_first(b: Bench) -> None:
    """Address before data, data before address, both at once; one answer each, kept until it is taken."""
    for n, (address, data, answer) in enumerate([(0, 0, 0), (0, 6, 0), (6, 0, 0), (1, 0, 5), (0, 1, 9), (3, 3, 1)]):
        assert await b.write("STEPS", n + 2, address=address, data=data, answer=answer) == OKAY
        assert await b.value("STEPS") == n + 2
    await b.wait(20)
    await ReadOnly()
    assert not int(b.port("s_axi_bvalid").value) and not int(b.port("s_axi_rvalid").value), "an answer to nothing"


@bench
async def next_address_does_not_wait_for_the_answer(b: Bench) -> None:
    """A second write is taken while the answer to the first waits; both are answered in order."""
    for name, value in (("STEPS", 7), ("ID", 1)):
        offset = register(name).offset
        await b._offer("s_axi_awvalid", "s_axi_awready", {"s_axi_awaddr": offset})
        await b._offer("s_axi_wvalid", "s_axi_wready", {"s_axi_wdata": value, "s_axi_wstrb": 15})
    await b.wait(10)
    found = [(await b._take("s_axi_bvalid", "s_axi_bready", ["s_axi_bresp"]))[0] for _ in range(2)]
    assert found == [OKAY, SLVERR]
    assert await b.value("STEPS") == 7 and await b.value("ERRORS") == ERROR["bad_address"]


@bench
async def strobes(b: Bench) -> None:
    """Bytes without a strobe keep their value, and the whole word is what is checked."""
    assert await b.write("STEPS", 0x1234) == OKAY
    assert await b.write("STEPS", 0xFFFFFF56, strobe=0b0001) == OKAY and await b.value("STEPS") == 0x1256
    assert await b.write("STEPS", 0x0000AB00, strobe=0b0010) == OKAY and await b.value("STEPS") == 0xAB56
    assert await b.write("STEPS", 0, strobe=0) == OKAY and await b.value("STEPS") == 0xAB56
    assert await b.write("STEPS", 0x00010000, strobe=0b0100) == SLVERR and await b.value("STEPS") == 0xAB56
    assert await b.value("ERRORS") == ERROR["bad_value"]
    assert await b.write("ERRORS", 0xFFFF, strobe=0b0010) == OKAY and await b.value("ERRORS") == ERROR["bad_value"]
    assert await b.write("ERRORS", ERROR["bad_value"]) == OKAY and await b.value("ERRORS") == 0
    assert await b.write("CONTROL", 1, strobe=0b1110) == OKAY and await b.value("STATUS") == 2


@bench
async def refusals(b: Bench) -> None:
    """What is in no register, read only, or out of range is refused, flagged, and changes nothing."""
    for name, value in identity(b.plan).items():
        assert await b.value(name) == value, name
    for offset in (REGISTERS[-1].offset + 4, 0x80, 0xFC):
        assert (await b.read(offset))[1] == SLVERR and await b.write(offset, 1) == SLVERR
    assert await b.value("ERRORS") == ERROR["bad_address"]
    for entry in REGISTERS:
        if entry.access == "ro":
            assert await b.write(entry.offset, 1) == SLVERR, entry.name
    assert await b.value("ID") == 0x53545249
    await b.write("ERRORS", 0xFFFFFFFF)
    for value in (0, 1 << 16, 0xFFFFFFFF):
        assert await b.write("STEPS", value) == SLVERR and await b.value("STEPS") == b.steps
    assert await b.write("CONTROL", 9) == SLVERR  # start and abort
    assert await b.value("ERRORS") == ERROR["bad_value"] and await b.value("STATUS") == 2


@bench
async def frames_with_gaps(b: Bench) -> None:
    """A picture in, codes out; never stalled, the cycle counter reads what the machine says."""
    await b.load(gap=0.3)
    run = await b.frame(b.image())
    assert run.cycles is not None and await b.value("CYCLES_LOW") == run.cycles.frame
    assert await b.value("CODES") == int(np.count_nonzero(run.code)) > 0
    b.gap = 0.6
    run = await b.frame(b.image(), gap=0.5)
    assert run.cycles is not None and await b.value("CYCLES_LOW") > run.cycles.frame
    assert await b.value("FRAMES") == 2 and await b.value("ERRORS") == 0 and await b.value("STATUS") == 8


@bench
async def busy_core_keeps_its_parameters(b: Bench) -> None:
    """While a frame is under way every parameter and a second start are refused, and the frame is not disturbed."""
    await b.load()
    image = b.image()
    run = b.machine.frame(image, b.steps)
    await b.write("CONTROL", 1)
    assert await b.value("STATUS") == 0b111  # busy, dirty, waiting
    for name in ("STEPS", "THRESHOLD", "CUTOFF", "STEP_SHIFT", "CONTROL"):
        assert await b.write(name, 1) == SLVERR, name
    assert await b.value("STEPS") == b.steps and await b.value("ERRORS") == ERROR["write_while_busy"]
    await b.send([1, 2, 3], 1)  # weights, too
    await b.send(np.moveaxis(image, 0, -1).reshape(-1).tolist(), 0)
    assert await b.closed() == output_words(run)


@bench
async def malformed_frames(b: Bench) -> None:
    """Short, long and unasked packets are flagged, and the frame after each is right."""
    await b.load()
    pixels = np.moveaxis(b.image(), 0, -1).reshape(-1)
    cut = len(pixels) // 3
    half = pixels.copy()
    half[cut:] = 0
    shape = np.moveaxis(b.image(), 0, -1).shape
    run = b.machine.frame(np.moveaxis(half.reshape(shape), -1, 0), b.steps)
    await b.write("CONTROL", 1)
    await b.send(pixels[:cut].tolist(), 0)
    found = await b.closed()
    assert found[:-1] == output_words(run)[:-1] and found[-1] == output_words(run)[-1] | 16, "the marked frame"
    assert await b.value("ERRORS") == ERROR["short_frame"] and await b.value("STATUS") == 0b1010
    assert await b.write("CONTROL", 3) == OKAY and (await b.closed()) == [4], "a warm frame must be refused"
    await b.write("ERRORS", 0xFFFFFFFF)
    await b.frame(b.image())
    for packet, tid in (([1] * 5, 0), ([7], 2), ([1, 2], 3)):
        await b.send(packet, tid)
    assert await b.value("ERRORS") == ERROR["unexpected_data"]
    await b.frame(b.image())
    run = b.machine.frame(np.moveaxis(pixels.reshape(shape), -1, 0), b.steps)
    await b.write("CONTROL", 1)
    await b.send([*pixels.tolist(), 1, 2, 3], 0)
    assert await b.closed() == output_words(run)
    bits = ERROR["unexpected_data"] | ERROR["missing_tlast"] | ERROR["long_frame"]
    assert await b.value("ERRORS") == bits
    await b.frame(b.image())


@bench
async def abort_brings_the_input_back(b: Bench) -> None:
    """From a waiting start, a half frame, a half load and a packet without an end."""
    await b.load()
    await b.write("CONTROL", 1)
    await b.write("CONTROL", 8)
    assert await b.value("STATUS") == 2
    await b.frame(b.image())
    await b.write("CONTROL", 1)
    await b.send([1] * 9, 0, last=False)
    await b.wait(8)
    await b.write("CONTROL", 8)
    assert (await b.closed())[-1] & 16
    await b.frame(b.image())
    await b.send([1] * 3, 1, last=False)
    await b.write("CONTROL", 8)
    assert await b.value("STATUS") & 0b10000 and await b.value("ERRORS") & ERROR["bad_weights"]
    assert await b.write("CONTROL", 1) == OKAY and await b.closed() == [4], "void weights must be refused"
    await b.load()
    await b.send([1] * 3, 2, last=False)
    assert await b.write("CONTROL", 1) == SLVERR and await b.value("STATUS") & 0b100000
    await b.write("CONTROL", 8)
    await b.frame(b.image())
