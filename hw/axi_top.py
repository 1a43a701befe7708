"""The AXI top of an emitted folder: the core with port names as the AXI specifications have them."""

from amaranth.hdl import ClockDomain, ClockSignal, Elaboratable, Instance, Module, ResetSignal, Signal, Value
from amaranth.lib.wiring import In

from ..golden.errors import InputError
from ..sim.plan import Plan
from .core import Core
from .mesh import Mesh

CORE, MESH = "striate_core", "striate"
"""Module names of the AXI top and of the ready/valid top."""


class NamedMesh(Mesh):
    """A mesh that is module ``striate`` of a file of its own; its trace outputs stay open."""

    def elaborate(self, platform: object) -> Module:
        m = Module()
        ports: dict[str, Value] = {}
        for path, member, value in self.signature.flatten(self):
            side = "i" if member.flow == In else "o"
            ports[f"{side}_{'__'.join(str(part) for part in path)}"] = Value.cast(value)
        m.submodules.module = Instance(MESH, i_clk=ClockSignal(), i_rst=ResetSignal(), **ports)
        return m


class CoreTop(Elaboratable):
    """``Core`` as the top of an emitted folder: port names as the AXI specifications have them, clock ``aclk``, reset
    ``aresetn`` (active low, sampled by the clock), interrupt ``irq``, the mesh an instance of module ``striate``.
    """

    def __init__(self, plan: Plan, steps: int) -> None:
        try:
            self.core = Core(plan, steps=steps, mesh=NamedMesh)
        except InputError:
            self._MustUse__silence = True  # Amaranth complains of what is made and not used
            raise
        self.aclk, self.aresetn = Signal(name="aclk"), Signal(name="aresetn")
        self.ports: dict[str, Signal] = {"aclk": self.aclk, "aresetn": self.aresetn}
        self.inside: list[tuple[Signal, Value, bool]] = []  # (port, the core's member, whether it is an input)
        names = {"axil": "s_axi", "s_axis": "s_axis", "m_axis": "m_axis", "interrupt": "irq"}
        for path, member, value in self.core.signature.flatten(self.core):
            name = "_".join([names[str(path[0])], *(str(part) for part in path[1:])])
            port = Signal(len(Value.cast(value)), name=name)
            self.ports[name] = port
            self.inside.append((port, Value.cast(value), member.flow == In))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.domains.sync = ClockDomain()
        m.submodules.core = self.core
        m.d.comb += [ClockSignal().eq(self.aclk), ResetSignal().eq(~self.aresetn)]
        for port, member, is_input in self.inside:
            m.d.comb += member.eq(port) if is_input else port.eq(member)
        return m
