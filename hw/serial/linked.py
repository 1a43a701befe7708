"""The core behind its serial bridge: what a board holds between its pins."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...sim.plan import Plan
from ..core import Core
from .bridge import Bridge


class LinkedCore(wiring.Component):
    """``Bridge`` and ``Core``.

    Members:
        rx, tx: In(1) and Out(1), the serial pins. busy: Out(1), a frame is in the machine, from its first pixel to its
        closing word. error: Out(1), as the bridge's.

    Args: as those of ``Bridge`` and ``Core``.
    """

    def __init__(
        self, plan: Plan, divisor: int, *, buffer: int, patience: int, steps: int, tile_module: str = "striate_tile"
    ) -> None:
        self.bridge = Bridge(divisor, buffer=buffer, patience=patience)
        self.core = Core(plan, steps=steps, tile_module=tile_module)
        super().__init__({"rx": In(1), "tx": Out(1, init=1), "busy": Out(1), "error": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.bridge, m.submodules.core = bridge, core = self.bridge, self.core
        wiring.connect(m, bridge.axil, core.axil)
        wiring.connect(m, bridge.data, core.s_axis)
        wiring.connect(m, core.m_axis, bridge.codes)
        busy = Signal()
        m.d.comb += [bridge.rx.eq(self.rx), self.tx.eq(bridge.tx), self.error.eq(bridge.error), self.busy.eq(busy)]
        with m.If(core.m_axis.tvalid & core.m_axis.tready & core.m_axis.tlast):
            m.d.sync += busy.eq(0)
        with m.Elif(bridge.data.tvalid & bridge.data.tready & (bridge.data.tid == 0)):
            m.d.sync += busy.eq(1)
        return m
