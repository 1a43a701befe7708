"""The real exchange and the real control of every tile of a small mesh, with everything else left to its surroundings.

When update has an event, how long gather takes and how fast scatter works are inputs; so the rounds of the RTL can be
run in any rhythm, without arithmetic, beside the model of `protocol.py` or in the solver.
"""

from __future__ import annotations

import ctypes
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...sim.plan import Plan
from ...sim.tiling import OPPOSITE, bits
from ...sim.timing import Phase
from ..control import Control
from ..exchange import LINKS, Exchange
from ..verilated import build_shared
from ..verilog import to_verilog
from .protocol import Mesh, Referee

INPUTS = {"go": 1, "tight": 1, "ready": 1, "idle": 1}
"""Of each tile, in every clock: what is being waited for may happen; the last event leaves as the round ends; scatter
takes an event; scatter is idle."""


class RoundsMesh(wiring.Component):
    """Exchange and control of all tiles of a plan, linked as in hw/mesh.py.

    Members, of each tile n:
        go_n, tight_n, ready_n, idle_n: In (`INPUTS`). amount_n: In, events of the step that begins. i_n, j_n: In,
        position of the event offered. begin: In, a frame; steps: In.
        phase_n, pushed_n, send_n, token_n, last_n, consumed_n: Out, registers. finished_n, all_last_n: Out, in this
        clock.
    """

    def __init__(self, plan: Plan, *, make: Callable[[Plan], Exchange] = Exchange) -> None:
        self.plan, self.make, t = plan, make, plan.tiling
        shapes = {**INPUTS, "amount": 4, "i": bits(t.block[0]), "j": bits(t.block[1])}
        seen = {
            "phase": 4,
            "pushed": 1,
            "send": LINKS,
            "token": 1,
            "last": 1,
            "consumed": LINKS,
            "finished": 1,
            "all_last": 1,
        }
        super().__init__(
            {
                "begin": In(1), "steps": In(plan.steps_width),
                **{f"{name}_{n}": In(width) for n in range(t.count) for name, width in shapes.items()},
                **{f"{name}_{n}": Out(width) for n in range(t.count) for name, width in seen.items()},
            }
        )  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        t = self.plan.tiling
        exchanges = [self.make(self.plan) for _ in range(t.count)]
        for n, exchange in enumerate(exchanges):
            m.submodules[f"exchange{n}"] = exchange
            for b in t.links:
                other = t.neighbour(n, b)
                if other >= 0:
                    out = exchanges[other].out
                    words = Cat(out.send[OPPOSITE[b]], out.as_value()[LINKS:])
                    m.d.comb += [
                        Value.cast(getattr(exchange, f"in_{b}")).eq(words),
                        exchange.present[b].eq(1),
                        exchange.acknowledged[b].eq(exchanges[other].consumed[OPPOSITE[b]]),
                    ]
            self._tile(m, n, exchange)
        return m

    def _tile(self, m: Module, n: int, exchange: Exchange) -> None:
        """The control of one tile, and update, gather and scatter as its inputs have them."""
        m.submodules[f"control{n}"] = control = Control(self.plan)
        go, tight, ready, idle = (getattr(self, f"{name}_{n}") for name in INPUTS)
        phase = control.phase
        left = Signal(4, name=f"left_{n}")
        update = phase == Phase.UPDATE
        offered = update & go & (left != 0)
        m.d.sync += getattr(self, f"pushed_{n}").eq(exchange.push)
        with m.If(control.start_gather):
            m.d.sync += left.eq(getattr(self, f"amount_{n}"))
        with m.Elif(exchange.push):
            m.d.sync += left.eq(left - 1)
        m.d.comb += [
            control.begin.eq(self.begin),
            control.steps.eq(self.steps),
            control.input_last.eq((phase == Phase.INPUT) & go),
            control.gathered.eq((phase == Phase.GATHER) & go),
            control.drained.eq((phase == Phase.DRAIN) & go),
            control.refused.eq(offered & exchange.full),
            control.updated.eq(update & go & ((left == 0) | ((left == 1) & tight & ~exchange.full))),
            control.pushed.eq(exchange.push),
            exchange.event.i.eq(getattr(self, f"i_{n}")),
            exchange.event.j.eq(getattr(self, f"j_{n}")),
            exchange.push.eq(offered & ~exchange.full),
            exchange.step.eq(control.start_gather),
            exchange.close.eq(control.close),
            exchange.last.eq(control.last),
            exchange.begin.eq(control.scatter),
            exchange.patch_ready.eq(ready),
            exchange.scatter_idle.eq(idle),
            *[getattr(control, name).eq(getattr(exchange, name)) for name in ("self_last", "may_start", "finished")],
            control.all_last.eq(exchange.all_last),
        ]
        m.d.comb += [
            getattr(self, f"phase_{n}").eq(phase),
            getattr(self, f"send_{n}").eq(exchange.out.send),
            getattr(self, f"token_{n}").eq(exchange.out.token),
            getattr(self, f"last_{n}").eq(exchange.out.last),
            getattr(self, f"consumed_{n}").eq(exchange.consumed),
            getattr(self, f"finished_{n}").eq(exchange.finished),
            getattr(self, f"all_last_{n}").eq(exchange.all_last),
        ]


class _Packed(wiring.Component):
    """The mesh with its inputs in one word and its outputs in another, both wider than a machine word."""

    IN_WORDS, OUT_WORDS = 4, 8  # of 32 bits

    def __init__(self, mesh: RoundsMesh) -> None:
        self.mesh = mesh
        super().__init__({"inputs": In(32 * self.IN_WORDS), "outputs": Out(32 * self.OUT_WORDS)})
        self.places: dict[str, tuple[int, int]] = {}
        at = {In: 0, Out: 0}
        for name, member in mesh.signature.members.items():
            width = len(Value.cast(getattr(mesh, name)))
            self.places[name] = (at[member.flow], width)
            at[member.flow] += width
        if at[In] > 32 * self.IN_WORDS or at[Out] > 32 * self.OUT_WORDS:
            raise ValueError(f"{at[In]} inputs and {at[Out]} outputs are too many")

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.mesh = self.mesh
        for name, member in self.mesh.signature.members.items():
            at, width = self.places[name]
            port = Value.cast(getattr(self.mesh, name))
            if member.flow == In:
                m.d.comb += port.eq(self.inputs[at : at + width])
            else:
                m.d.comb += self.outputs[at : at + width].eq(port)
        return m


_HARNESS = """
#include "Vtop.h"
#include "verilated.h"
#include <cstring>
extern "C" void run(int clocks, const unsigned *in, unsigned *out) {
    VerilatedContext context;
    Vtop top{&context};
    top.rst = 1; top.clk = 0; top.eval(); top.clk = 1; top.eval(); top.rst = 0;
    for (int n = 0; n < clocks; ++n) {
        top.clk = 0;
        for (int w = 0; w < 4; ++w) top.inputs[w] = in[4 * n + w];
        top.eval();
        for (int w = 0; w < 8; ++w) out[8 * n + w] = top.outputs[w];
        top.clk = 1;
        top.eval();
    }
    top.final();
}
"""


def follow_rounds(
    mesh: RoundsMesh, inputs: Iterator[dict[str, int]], *, steps: int, clocks: int
) -> tuple[Referee, int]:
    """Run a frame of the RTL with the inputs of an iterator, clock by clock, and let the referee follow every tile.

    The referee and the clocks until all tiles were idle again. ProtocolError where the RTL does what the model would
    not; TimeoutError when the frame is not over after `clocks` clocks, which is a deadlock unless it is too few.
    """
    packed = _Packed(mesh)
    with tempfile.TemporaryDirectory(prefix="striate-") as scratch:
        source = Path(scratch) / "rounds.v"
        source.write_text(to_verilog(packed, "rounds", flatten=True))
        library = ctypes.CDLL(str(build_shared([source], "rounds", _HARNESS)))
    given, seen = np.zeros((clocks, 4), np.uint32), np.zeros((clocks, 8), np.uint32)
    for n in range(clocks):
        word = 0
        for name, value in ({"begin": n == 0, "steps": steps} | next(inputs)).items():
            at, width = packed.places[name]
            word |= (int(value) & ((1 << width) - 1)) << at
        given[n] = np.frombuffer(word.to_bytes(16, "little"), np.uint32)
    library.run(clocks, *(words.ctypes.data_as(ctypes.c_void_p) for words in (given, seen)))
    rows = [int.from_bytes(row.tobytes(), "little") for row in seen]
    return _judge(mesh, packed, rows)


def _judge(mesh: RoundsMesh, packed: _Packed, rows: list[int]) -> tuple[Referee, int]:
    t = mesh.plan.tiling
    referee = Referee(Mesh(*t.tiles, mesh.plan.link_depth, ()))
    before = [int(Phase.IDLE)] * t.count
    ended: list[tuple[int, bool]] = []
    for clock, row in enumerate(rows):

        def read(name: str, n: int, row: int = row) -> int:
            at, width = packed.places[f"{name}_{n}"]
            return row >> at & ((1 << width) - 1)

        phases = [read("phase", n) for n in range(t.count)]
        _observe(read, referee, before, phases)
        for n, last in ended:
            referee.finish(n, last)
        before, ended = phases, [(n, bool(read("all_last", n))) for n in range(t.count) if read("finished", n)]
        if clock > 1 and not any(phases):
            return referee, clock
    raise TimeoutError(f"no end after {len(rows)} clocks: phases {', '.join(Phase(phase).name for phase in before)}")


def _observe(read: Callable[[str, int], int], referee: Referee, before: list[int], phases: list[int]) -> None:
    """What the registers say that happened in the clock before, in an order in which it can have happened."""
    tiles = range(len(phases))
    for n in tiles:
        if phases[n] == Phase.UPDATE and before[n] == Phase.WAIT:
            referee.begin(n)
        if phases[n] == Phase.SCATTER and before[n] == Phase.WAIT:
            referee.rest(n)
    for n in tiles:
        if read("pushed", n):
            referee.push(n, [b for b in range(LINKS) if read("send", n) >> b & 1])
    for n in tiles:
        if read("token", n):
            referee.close(n, bool(read("last", n)))
    for n in tiles:
        for b in range(LINKS):
            if read("consumed", n) >> b & 1:
                referee.consume(n, b)
