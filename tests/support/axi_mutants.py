"""Single faults in the source of the AXI core, and the Verilog that comes of them."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from striate.hw.verilog import to_verilog
from striate.sim.plan import Plan

ORDER = ("axi", "packets", "core", "axi_top")  # modules of striate.hw, each imports from those before it


@dataclass(frozen=True)
class AxiMutant:
    """One piece of one module's text, found exactly once, replaced. ``caught``: a pattern of what must be said."""

    name: str
    module: str
    old: str
    new: str
    caught: str

    def verilog(self, plan: Plan, steps: int) -> str:
        """The AXI top with the fault in it."""
        with mock.patch.dict(sys.modules):
            for name in ORDER:
                spec = importlib.util.find_spec(f"striate.hw.{name}")
                assert spec is not None and spec.origin is not None
                text = Path(spec.origin).read_text()
                if name == self.module:
                    assert text.count(self.old) == 1, f"{self.name}: {text.count(self.old)} times in {name}"
                    text = text.replace(self.old, self.new)
                module = importlib.util.module_from_spec(spec)
                sys.modules[f"striate.hw.{name}"] = module
                exec(compile(text, spec.origin, "exec"), module.__dict__)
            top = sys.modules["striate.hw.axi_top"].CoreTop(plan, steps)
            return to_verilog(top, "striate_core", list(top.ports.values()), flatten=True)


MUTANTS = (
    AxiMutant("read answers overwrite each other", "axi", "read_held & (~port.rvalid | port.rready)", "read_held",
              "RDATA or RRESP changed|neither|read"),
    AxiMutant("a write answer is lost", "axi", "data_held & (~port.bvalid | port.bready)", "data_held",
              "BRESP changed|no response to a write|nothing from the register port"),
    AxiMutant("a write answer is given twice", "axi", "port.bvalid.eq(0)", "port.bvalid.eq(port.wvalid)",
              "a write response without a write"),
    AxiMutant("RVALID does not wait", "axi", "with m.If(port.rvalid & port.rready):", "with m.If(port.rvalid):",
              "RVALID fell"),
    AxiMutant("a path through the core", "axi", "port.awready.eq(~address_held)",
              "port.awready.eq(~address_held & port.awvalid)", "follows an input"),
    AxiMutant("strobes are ignored", "axi", "Mux(strobe[byte], new", "Mux(strobe[byte] | 1, new", "expected"),
    AxiMutant("TLAST is missing now and then", "core", "out.tlast.eq(queue.o.payload.last)",
              "out.tlast.eq(queue.o.payload.last & (number != 2))", "TLAST is not the closing word's"),
    AxiMutant("TLAST a beat early", "core", "out.tuser.eq(queue.o.payload.last)",
              "out.tuser.eq(queue.i.payload.last & queue.i.valid)", "TLAST is not|changed while|follows"),
    AxiMutant("TID counts by two", "core", "number.eq(number + 1)", "number.eq(number + 2)", "TID"),
    AxiMutant("codes are lost under a stall", "core", 'codes.ready.eq(queue.i.ready & ~s["refuse"])',
              'codes.ready.eq(~s["refuse"])', "codes|closing|nothing from"),
    AxiMutant("a malformed frame leaves the state clean", "core", 's["stale"].eq(1), s["marked"].eq(1)',
              's["marked"].eq(1)', "STATUS"),
    AxiMutant("parameters change while a frame waits", "core", "with m.If(under_way):", 'with m.If(s["running"]):',
              "while busy|ERRORS: "),  # bit 3 of ERRORS is the write while busy
    AxiMutant("the clock of the command is not counted", "core", "self.cycles.eq(1)", "self.cycles.eq(0)", "CYCLES"),
    AxiMutant("an error is cleared with the others", "core", "data & bytes_of", "bytes_of", "ERRORS"),
    AxiMutant("a short frame is not completed", "packets", '                m.next = "FILL"',
              '                m.next = "BETWEEN"', "nothing from a closing word"),
    AxiMutant("the surplus is one beat", "packets",
              "m.d.comb += self.long_frame.eq(self.surplus)\n                with m.If(beat.last):",
              "m.d.comb += self.long_frame.eq(self.surplus)\n                with m.If(1):", "ERRORS|STATUS|response"),
    AxiMutant("a pixel out of range is taken", "packets", "Mux(good, beat.value, 0)", "beat.value",
              "codes|flags|late|CODE|CYCLES"),
    AxiMutant("a half load is whole", "packets", "self.count.eq(0), self.void_held.eq(1)", "self.count.eq(0)",
              "STATUS|codes"),
    AxiMutant("another TID is a pixel", "packets", "beat, mine = self.beats.payload, self.beats.payload.tid == FRAME",
              "beat, mine = self.beats.payload, Signal(init=1)", "codes|ERRORS|closing|flags|nothing"),
    AxiMutant("abort forgets nothing of the queue", "core", "entry.flush.eq(self.abort)", "entry.flush.eq(0)",
              "ERRORS|STATUS|closing|codes|nothing|response"),
)  # fmt: skip
