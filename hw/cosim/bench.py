"""cocotb benches of the whole mesh: drivers with random gaps, monitors, and the checker of the compiled model.

Runs inside the simulator (``run.py`` starts it). The design comes from a file named in the environment; machine,
``Expected`` and ``Checker`` are made from it, so that RTL and machine meet every word of every step and every cycle,
through the public ports of the emitted top module alone.

All benches keep one discipline: inputs change at the falling edge, everything is sampled in the read-only phase after
it, which is what the rising edge then sees.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any, Unpack

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.task import Task
from cocotb.triggers import FallingEdge, ReadOnly
from cocotb.utils import get_sim_time

from ...golden.dictionary import Dictionary
from ...sim.design import Design
from ...sim.fixed import quantise
from ...sim.machine import Machine
from ...sim.plan import Plan, Values
from ...sim.run import Ports
from ...sim.tiling import IntArray
from ..drain import CodeLayout
from ..emit import quantised
from ..feed import CommandLayout
from .checker import Checker, Expected
from .run import DESIGN_VARIABLE, SEED_VARIABLE
from .tile_monitor import TileMonitor, signed

PERIOD = 10  # ns
LATEST = 200_000  # clocks after which a frame is given up


def now() -> int:
    """The clock under way, counted from the beginning of the simulation."""
    return int(get_sim_time("ns")) // PERIOD


@dataclass(frozen=True)
class Gaps:
    """How often a port stands idle (drivers) or refuses (the monitor of the codes), as a probability a clock."""

    command: float = 0.0
    pixels: float = 0.0
    weights: float = 0.0
    codes: float = 0.0


class Driver:
    """Puts beats into one ready/valid input, with random gaps; a beat once offered stays until it is taken."""

    def __init__(self, dut: Any, name: str, random: Random) -> None:
        self._clk, self._random = dut.clk, random
        self._valid, self._ready, self._payload = (
            getattr(dut, f"{name}__{part}") for part in ("valid", "ready", "payload")
        )
        self._mask = (1 << len(self._payload)) - 1
        self.idle()

    def idle(self) -> None:
        """Offer nothing."""
        self._valid.value = 0

    async def send(self, beats: list[int], gap: float) -> list[int]:
        """Send the beats; the clock in which each was taken."""
        taken: list[int] = []
        for beat in beats:
            await FallingEdge(self._clk)
            while self._random.random() < gap:
                self.idle()
                self._payload.value = self._random.getrandbits(len(self._payload))  # means nothing without valid
                await FallingEdge(self._clk)
            self._valid.value = 1
            self._payload.value = beat & self._mask
            await ReadOnly()
            while not int(self._ready.value):
                await FallingEdge(self._clk)
                await ReadOnly()
            taken.append(now())
        await FallingEdge(self._clk)
        self.idle()
        return taken


@dataclass
class CodeMonitor:
    """Takes the code stream with random ready, and holds it to the protocol: a beat that was offered stays, unchanged,
    until it is taken.
    """

    dut: Any
    plan: Plan
    random: Random
    gap: float = 0.0
    codes: list[tuple[int, ...]] = field(default_factory=list)
    closing: list[int] = field(default_factory=list)
    cycles: list[int] = field(default_factory=list)
    ready: list[bool] = field(default_factory=list)
    stalled: int = 0

    async def run(self, origin: int) -> None:
        """Until the closing word; cycles count from ``origin``, the clock under way when this is called."""
        layout = {name: (f.offset, f.width) for name, f in CodeLayout(self.plan)}
        offered: int | None = None
        while not self.closing:
            assert now() - origin < LATEST, "no closing word"
            valid, ready = int(self.dut.codes__valid.value), int(self.dut.codes__ready.value)
            self.ready.append(bool(ready))
            payload = int(self.dut.codes__payload.value)
            if offered is not None:
                assert valid, "valid fell before the beat was taken"
                assert payload == offered, f"payload changed while stalled: {offered:x} -> {payload:x}"
            offered = payload if valid and not ready else None
            self.stalled += offered is not None
            if valid and ready:
                beat = {name: payload >> at & ((1 << width) - 1) for name, (at, width) in layout.items()}
                y = signed(beat["y"], self.plan.code_value_width)
                self.cycles.append(now() - origin)
                if beat["last"]:
                    names = ("overflow", "saturated", "refused", "settled")
                    flags = sum(beat.get(name, 0) << n for n, name in enumerate(names))
                    at, steps = self.cycles[-1], beat.get("steps", 0)
                    self.closing = [0, 0, 0, 0, 1, flags, beat["events"], at, steps, beat["changes"]]
                else:
                    self.codes.append((beat["k"], beat["i"], beat["j"], y))
            await FallingEdge(self.dut.clk)
            self.dut.codes__ready.value = 0 if self.closing else int(self.random.random() >= self.gap)
            await ReadOnly()


class Testbench:
    """Everything around the mesh: clock, drivers, monitors, the machine beside it, and the checker."""

    def __init__(self, dut: Any, test: str) -> None:
        self.dut = dut
        design = Design.load(Path(os.environ[DESIGN_VARIABLE]))
        self.plan, self.weights = quantised(design)
        self.steps = design.dynamics.steps
        seed = int(os.environ[SEED_VARIABLE])
        self.random = Random(f"{seed} {test}")
        generator = np.random.default_rng([seed, *test.encode()])
        other = Dictionary.random(design.geometry, int(generator.integers(1 << 30)))
        self.other_weights = np.asarray(quantise(other.atoms, design.formats.weight), np.int64)
        self.images = [self._image(generator) for _ in range(3)]
        self.machine, self.check = Machine(self.plan, self.weights), Checker(self.plan, frame=-1)
        t, g = self.plan.tiling, self.plan.tiling.geometry
        sheet, region = (t.count, *t.block, g.kernels), (t.count, g.channels, *t.region)
        shapes = {"membrane": sheet, "drive": sheet, "residual": region, "sent": region}
        self.memories: dict[str, IntArray] = {name: np.zeros(shape, np.int64) for name, shape in shapes.items()}
        self.tiles = [TileMonitor(dut, self.plan, n, self.memories) for n in range(t.count)]
        self.drivers = {name: Driver(dut, name, self.random) for name in ("command", "pixels", "weights")}
        self.stalled = 0  # clocks in which a code waited

    def _image(self, generator: np.random.Generator) -> IntArray:
        scale = 0.4 * (1 << self.plan.input.frac)
        noise = np.rint(generator.standard_normal(self.plan.tiling.geometry.image_shape) * scale)
        return np.asarray(np.clip(noise, self.plan.input.low, self.plan.input.high), np.int64)

    async def start(self) -> None:
        """Clock, reset, weights."""
        Clock(self.dut.clk, PERIOD, unit="ns").start(start_high=False)
        await self.reset()
        await self.load(self.weights)

    async def reset(self, clocks: int = 3) -> None:
        """Reset: control and links are empty afterwards, the machine is dirty, the memories keep their words."""
        await FallingEdge(self.dut.clk)
        for driver in self.drivers.values():
            driver.idle()
        self.dut.codes__ready.value = 0
        self.dut.rst.value = 1
        for _ in range(clocks):
            await FallingEdge(self.dut.clk)
        self.dut.rst.value = 0
        await ReadOnly()
        assert not int(self.dut.busy.value), "busy after reset"
        assert int(self.dut.dirty.value), "a machine just reset must be dirty"
        assert not int(self.dut.codes__valid.value), "a code is offered after reset"
        await FallingEdge(self.dut.clk)
        self.machine = Machine(self.plan, self.machine.weights)
        for tile in self.tiles:
            tile.phase = 0

    async def load(self, weights: IntArray, gap: float = 0.0) -> None:
        """Send the weight stream: value, and ``first`` with the first beat."""
        width = self.plan.weight.width
        beats = [int(value) & ((1 << width) - 1) for value in self.plan.layout.beats(weights)]
        beats[0] |= 1 << width
        taken = await self.drivers["weights"].send(beats, gap)
        if not gap:
            assert taken[-1] - taken[0] == len(beats) - 1, "the weight stream was stalled while idle"
        for _ in range(self.plan.tiling.count + 4):  # the chain empties
            await FallingEdge(self.dut.clk)
        assert int(self.dut.dirty.value), "a machine with new weights must be dirty"
        self.machine = Machine(self.plan, weights)

    def command(
        self,
        steps: int,
        warm: bool = False,
        threshold: int | None = None,
        cutoff: int | None = None,
        shift: int | None = None,
    ) -> int:
        """The beat that begins a frame; None: the design's value."""
        fields = {
            "warm": int(warm),
            "steps": steps,
            "threshold": self.plan.threshold_q if threshold is None else threshold,
            "cutoff": self.plan.cutoff_q if cutoff is None else cutoff,
            "shift": self.plan.shift_code(shift),
        }
        return int(CommandLayout(self.plan).const(fields).as_bits())

    async def refused(self, gaps: Gaps | None = None, *, command: int | None = None) -> None:
        """A frame, warm if no command is given, that must be answered by one closing word that says so."""
        command = self.command(1, True) if command is None else command
        monitor = await self._watch(command, gaps or Gaps(), None, [])
        assert not monitor.codes and monitor.closing[5] == 4, f"not refused: {monitor.closing}"

    async def frame(
        self,
        image: IntArray,
        *,
        steps: int = 0,
        warm: bool = False,
        gaps: Gaps | None = None,
        abandon: int = 0,
        **values: Unpack[Values],
    ) -> None:
        """Run one frame in RTL and machine and compare all there is; with ``abandon`` leave it after so many clocks.

        Args:
            values: threshold, cutoff and shift, as for ``Machine.frame``.
        """
        steps, gaps = steps or self.steps, gaps or Gaps()
        assert bool(int(self.dut.dirty.value)) == self.machine.dirty, "dirty"
        self.check.begin(self.check.frame + 1)
        expected = Expected(self.plan)
        change = image - (self.machine.input if warm else 0)
        run = self.machine.frame(
            image, steps, warm=warm, observe=expected.observe, refreshed=expected.observe_refresh, **values
        )
        command = self.command(steps, warm, **values)
        beats = [int(value) for value in np.moveaxis(change, 0, -1).reshape(-1)]
        if abandon:
            task = cocotb.start_soon(self._watch(command, gaps, expected, beats))
            for _ in range(abandon):
                await FallingEdge(self.dut.clk)
            assert not task.done(), f"the frame took less than {abandon} clocks"
            for running in (*self._tasks, task):
                running.cancel()
            assert not self.check.first, str(self.check.first)
            return
        monitor = await self._watch(command, gaps, expected, beats)
        assert run.cycles is not None
        if gaps != Gaps():
            pixels = np.array(self._pixel_cycles, np.int64)
            run = replace(run, cycles=self.machine.replay(Ports(pixels, np.array(monitor.ready, bool))))
        self.check.complete(run.counts.steps)
        rows = np.array(monitor.codes, np.int64).reshape(-1, 4)
        self.check.codes(run, rows, np.array(monitor.closing, np.int64))
        phases = np.array([row for tile in self.tiles for row in tile.phases], np.int64).reshape(-1, 3)
        self.check.cycles(run, phases, np.array(monitor.cycles, np.int64))
        assert not self.check.first, str(self.check.first)
        found = sum(tile.link_events for tile in self.tiles)
        assert found == run.counts.link_events, f"{found} link events, {run.counts.link_events} expected"
        assert run.counts.code_events and run.counts.residual_events, "nothing happened"

    async def _watch(self, command: int, gaps: Gaps, expected: Expected | None, pixels: list[int]) -> CodeMonitor:
        """Command, pixels and codes of one frame, with the tiles' traces beside them."""
        self.dut.codes__ready.value = 0
        (origin,) = await self.drivers["command"].send([command], gaps.command)
        # the monitors begin with the clock after the one that took the command: its codes ready was 0
        monitor = CodeMonitor(self.dut, self.plan, self.random, gaps.codes, ready=[False])
        self.dut.codes__ready.value = 1
        await ReadOnly()
        for tile in self.tiles:
            tile.forget()
        traces = cocotb.start_soon(self._trace(origin, expected))
        codes = cocotb.start_soon(monitor.run(origin))
        sending = cocotb.start_soon(self._pixels(origin, pixels, gaps.pixels))
        self._tasks: tuple[Task[Any], ...] = (traces, codes, sending)
        await codes
        await sending
        for _ in range(2):  # the tile at the exit falls idle after the closing word has left
            await FallingEdge(self.dut.clk)
        traces.cancel()
        assert not int(self.dut.busy.value), "busy after the closing word"
        self.stalled += monitor.stalled
        return monitor

    async def _pixels(self, origin: int, pixels: list[int], gap: float) -> None:
        taken = await self.drivers["pixels"].send(pixels, gap)
        self._pixel_cycles = [at - origin for at in taken]

    async def _trace(self, origin: int, expected: Expected | None) -> None:
        """Every tile, every clock."""
        while True:
            cycle = now() - origin
            for tile in self.tiles:
                step = tile.sample(cycle)
                if step is not None:
                    assert expected is not None, "a step of a frame that was refused"
                    codes, pixels = (np.array(rows, np.int64).reshape(-1, 4) for rows in (tile.codes, tile.pixels))
                    if self.check.step(tile.tile, step, expected, self.memories, codes, pixels):
                        raise AssertionError(str(self.check.first))
                    tile.codes, tile.pixels = [], []
            await FallingEdge(self.dut.clk)
            await ReadOnly()


def bench(function: Callable[[Testbench], Any]) -> Any:
    """A cocotb test that gets a started testbench."""

    async def test(dut: Any) -> None:
        testbench = Testbench(dut, function.__name__)
        await testbench.start()
        await function(testbench)

    test.__name__ = test.__qualname__ = function.__name__
    test.__doc__ = function.__doc__
    return cocotb.test()(test)


@bench
async def cold_frame(b: Testbench) -> None:
    """Never stalled: the machine's own clock, cycle for cycle."""
    await b.frame(b.images[0])


@bench
async def back_pressure(b: Testbench) -> None:
    """Every port stalled at random: the same words, and the cycles that the recorded handshakes predict."""
    await b.load(b.weights, gap=0.3)
    await b.frame(b.images[0], gaps=Gaps(command=0.5, pixels=0.4, codes=0.6))
    await b.frame(b.images[1], gaps=Gaps(pixels=0.8, codes=0.1))
    assert b.stalled, "no code ever waited"


@bench
async def warm_frames(b: Testbench) -> None:
    """The state of the frame before is kept; the pixels are changes."""
    await b.frame(b.images[0], steps=2)
    await b.frame(b.images[1], warm=True)
    await b.frame(b.images[2], warm=True, steps=1, gaps=Gaps(0.2, 0.2, 0.2, 0.5))


@bench
async def values_of_a_frame(b: Testbench) -> None:
    """Threshold, cutoff and step shift of a frame; the threshold of a warm one is that of its state."""
    near, (_, shift) = b.plan.threshold_q, b.plan.shift_range
    await b.frame(b.images[0], threshold=near + 1, cutoff=0, shift=shift)
    await b.refused()
    await b.frame(b.images[1], warm=True, threshold=near + 1, cutoff=b.plan.cutoff_q + 2)
    await b.refused(command=b.command(1, threshold=0))
    await b.refused(command=b.command(1, True, threshold=0))
    await b.frame(b.images[2], warm=True, threshold=near + 1)
    await b.frame(b.images[0], steps=2)


@bench
async def weight_reload(b: Testbench) -> None:
    """New weights refuse a warm frame and take effect everywhere."""
    await b.frame(b.images[0], steps=2)
    await b.load(b.other_weights, gap=0.2)
    await b.refused()
    await b.frame(b.images[0], steps=2)
    await b.load(b.weights)
    await b.refused(Gaps(command=0.5, codes=0.7))
    await b.frame(b.images[1], steps=2)


@bench
async def reset_in_mid_frame(b: Testbench) -> None:
    """Reset in the load, in a step and in the drain: a warm frame is refused, a cold one is right."""
    await b.refused()
    run = Machine(b.plan, b.weights).frame(b.images[0], 2)
    assert run.cycles is not None
    cycles = run.cycles
    for at in (cycles.load // 2, (cycles.load + cycles.compute) // 2, (cycles.compute + cycles.frame) // 2):
        await b.frame(b.images[0], steps=2, abandon=at)
        await b.reset()
        await b.refused()
        await b.frame(b.images[1], steps=2)
