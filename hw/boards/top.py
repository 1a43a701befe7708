"""The module with a board's pins: clock, reset, serial link, core, and two lights."""

from typing import Any

from amaranth.hdl import ClockDomain, ClockSignal, Elaboratable, Module, ResetSignal, Signal, Value
from amaranth.lib import io
from amaranth.lib.cdc import FFSynchronizer

from ...sim.plan import Plan
from ..pll import Pll, instance
from ..serial.linked import LinkedCore
from .board import Board

RESET_US = 20
"""Reset lasts this long after the clock is steady: block RAM of an iCE40 reads 0 for some 3 us after configuration."""


PATIENCE_MS = 1.0
"""What the bridge waits for the core before it answers with what it has."""


class BoardTop(Elaboratable):
    """A machine on a board. Ports: those that it requests from the platform that elaborates it."""

    def __init__(self, plan: Plan, board: Board, pll: Pll, divisor: int, *, steps: int, tile_module: str) -> None:
        self.plan, self.board, self.pll, self.divisor = plan, board, pll, divisor
        self.steps, self.tile_module = steps, tile_module

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        self._clock(m, platform)
        pins = platform.request("link", 0, dir="-")
        m.submodules.rx_pin = rx_pin = io.Buffer("i", pins.rx)
        m.submodules.tx_pin = tx_pin = io.Buffer("o", pins.tx)
        patience = int(PATIENCE_MS * 1000 * self.pll.output_mhz)
        m.submodules.machine = machine = LinkedCore(
            self.plan, self.divisor, buffer=self.board.buffer, patience=patience, steps=self.steps,
            tile_module=self.tile_module,
        )  # fmt: skip
        m.d.comb += [machine.rx.eq(rx_pin.i), tx_pin.o.eq(machine.tx)]
        self._lights(m, platform, {"busy": (self.board.busy, machine.busy), "error": (self.board.error, machine.error)})
        for name in self.board.tied:
            m.submodules[f"{name}_pin"] = pin = io.Buffer("o", platform.request(name, 0, dir="-"))
            m.d.comb += pin.o.eq(1)
        return m

    def _clock(self, m: Module, platform: Any) -> None:
        """Domain ``sync``: oscillator, PLL, and a reset that begins with configuration and lasts RESET_US."""
        pad = platform.request(self.board.clock, 0, dir="-")
        clock, locked = Signal(name="clock"), Signal(name="pll_locked")
        if self.pll.kind == "ice40":  # this PLL is part of the pad
            m.submodules.pll = instance(self.pll, pad.io, clock, locked)
        else:
            m.submodules.clock_pin = pin = io.Buffer("i", pad)
            if self.pll.kind:
                m.submodules.pll = instance(self.pll, pin.i, clock, locked, device=self.board.pll_device)
            else:
                m.d.comb += [clock.eq(pin.i), locked.eq(1)]
        m.domains += [ClockDomain("por", reset_less=True, local=True), ClockDomain("sync")]
        m.d.comb += [ClockSignal("por").eq(clock), ClockSignal("sync").eq(clock)]
        wait = int(RESET_US * self.pll.output_mhz)
        steady, count, reset = Signal(), Signal(range(wait + 1)), Signal(init=1)
        m.submodules.lock_sync = FFSynchronizer(locked, steady, o_domain="por")
        m.d.por += reset.eq(count != wait)
        with m.If(~steady):
            m.d.por += count.eq(0)
        with m.Elif(count != wait):
            m.d.por += count.eq(count + 1)
        m.d.comb += ResetSignal("sync").eq(reset)

    @staticmethod
    def _lights(m: Module, platform: Any, lights: dict[str, tuple[tuple[str, int, str], Value]]) -> None:
        """Lights by name: their place and when they shine. Two may be colours of one resource."""
        ports: dict[tuple[str, int], Any] = {}
        for name, ((resource, number, part), value) in lights.items():
            if (resource, number) not in ports:
                ports[resource, number] = platform.request(resource, number, dir="-")
            port = ports[resource, number]
            m.submodules[f"{name}_pin"] = pin = io.Buffer("o", getattr(port, part) if part else port)
            m.d.comb += pin.o.eq(value)
