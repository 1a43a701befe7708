"""The machine as an IP core: AXI4-Lite registers, one AXI4-Stream in (frames and weights), one out (codes).

A frame: write the parameters, write CONTROL.start, stream the pixels (TID 0, TLAST on the last one); its codes and one
closing word leave on ``m_axis``. Weights are streamed with TID 1 and TLAST while nothing is under way. What becomes of
malformed packets is in ``hw/packets.py``, what each register says in ``hw/registers.py``. Of writes:

- A parameter or a start while busy, and a start while a packet is swallowed or stands at the door, are answered with
  SLVERR, flagged `write_while_busy`, and ignored. So are values out of range (`bad_value`), and addresses of no
  register and writes of one that is read only (`bad_address`).
- A warm start on a dirty machine or with another threshold than the frame before, and any start while the weights are
  void, is answered by a closing word with `refused` and nothing else; its pixels, if they come, are swallowed.
- A marked (malformed) frame leaves the machine dirty.
"""

import hashlib

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..golden.errors import InputError
from ..sim.plan import Plan
from .axi import LiteSlave, StreamIn, lite_signature, merged, stream_signature
from .drain import Queue2
from .mesh import Mesh
from .packets import EVENTS, Packets, pixel_width
from .registers import ERRORS, FLAGS, IDENTITY, MAP_VERSION, REGISTERS, SPAN, register

COUNTERS = ("CODE_EVENTS", "CODES", "OVERFLOWS", "DIVERGED", "FRAMES")
CYCLES_WIDTH = 40
CODE_BITS = 16
"""Bits of each of y, k, i, j in a beat of ``m_axis``."""


def identity(plan: Plan) -> dict[str, int]:
    """Values of the registers that say which machine this is, by name."""
    g = plan.tiling.geometry
    shape = {"stride": g.stride, "patch": g.patch, "kernels": g.kernels, "channels": g.channels}
    geometry1 = register("GEOMETRY1")
    size = register("GEOMETRY0")
    return {
        "ID": IDENTITY,
        "VERSION": MAP_VERSION,
        "DESIGN": int(hashlib.sha256(repr(plan).encode()).hexdigest()[:8], 16),
        "GEOMETRY0": size.field("height").put(g.image[0]) | size.field("width").put(g.image[1]),
        "GEOMETRY1": sum(geometry1.field(name).put(min(value, 255)) for name, value in shape.items()),
        "WEIGHTS": plan.layout.beat_count,
    }


def parameter_ranges(plan: Plan) -> dict[str, tuple[int, int, int]]:
    """Register -> (lowest, highest, the design's value) of the numbers that a frame may have of its own.

    The range of STEP_SHIFT is that of its field `shift` without `schedule`; it may be empty (lowest above highest).
    """
    return {
        "STEPS": (1, (1 << plan.steps_width) - 1, 1),
        "THRESHOLD": (1, plan.membrane.high, plan.threshold_q),
        "CUTOFF": (0, (1 << plan.cutoff_width) - 1, plan.cutoff_q),
        "STEP_SHIFT": (*plan.shift_range, plan.shifts[0]),
    }


def output_layout() -> data.StructLayout:
    """A beat in the output queue: TDATA, and whether it is the closing word."""
    return data.StructLayout({"data": 64, "last": 1})


class Core(wiring.Component):
    """The machine behind AXI ports; clock and reset are those of its domain (``hw/axi_top.py`` names them as AXI does).

    Args:
        plan: the machine. steps: what STEPS reads after reset. observed: with the trace outputs of ``Mesh``.
        tile_module: name of the tile's module. mesh: what is made in place of a ``Mesh`` (``hw/axi_top.py``).

    Members:
        axil: In, AXI4-Lite slave. s_axis: In, AXI4-Stream: TDATA a signed number of 32 bits, TID 0 pixels, 1 weights.
        m_axis: Out, AXI4-Stream: a code is y, k, i, j in 16 bits each from bit 0 on, TUSER 0; the closing word has
        TUSER 1 and TLAST, flags (``registers.FLAGS``) in 15:0, steps done in 31:16, late code changes in 63:32. TID is
        the frame's number, modulo 256, from reset on.
        interrupt: Out(1), STATUS.done or any of ERRORS. trace_*: as of ``Mesh``, where ``observed``.

    Raises:
        InputError: codes wider than 16 bits.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        steps: int = 1,
        observed: bool = False,
        tile_module: str = "striate_tile",
        mesh: type[Mesh] = Mesh,
    ) -> None:
        if plan.code_value_width > CODE_BITS:
            self._MustUse__silence = True  # Amaranth complains of a component that is made and not used
            raise InputError(
                f"formats.code has {plan.code_value_width} bits as a signed number, the core's stream of codes "
                f"{CODE_BITS}; use a narrower code"
            )
        self.plan = plan
        self.mesh = mesh(plan, tile_module=tile_module, observed=observed)
        self.start_steps = min(max(steps, 1), (1 << plan.steps_width) - 1)
        traces = {name: member for name, member in self.mesh.signature.members.items() if name.startswith("trace_")}
        super().__init__(
            {
                "axil": In(lite_signature((SPAN - 1).bit_length())),
                "s_axis": In(stream_signature(32, 2)),
                "m_axis": Out(stream_signature(64, 8, 1)),
                "interrupt": Out(1),
                **traces,
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan = self.plan
        m.submodules.slave = self.slave = slave = LiteSlave((SPAN - 1).bit_length())
        m.submodules.input = entry = StreamIn(
            32, 2, cold=pixel_width(plan), warm=plan.input_change_width, weight=plan.weight.width
        )
        m.submodules.packets = self.packets = packets = Packets(plan, entry.layout)
        m.submodules.output = self.queue = Queue2(output_layout())
        m.submodules.mesh = self.mesh
        traces = [name for name in self.mesh.signature.members if name.startswith("trace_")]
        m.d.comb += [getattr(self, name).eq(getattr(self.mesh, name)) for name in traces]
        wiring.connect(m, wiring.flipped(self.axil), slave.port)
        wiring.connect(m, wiring.flipped(self.s_axis), entry.port)
        wiring.connect(m, entry.beats, packets.beats)
        wiring.connect(m, packets.pixels, self.mesh.pixels)
        wiring.connect(m, packets.weights, self.mesh.weights)

        names = ("armed", "running", "refuse", "warm", "done", "stale", "marked")
        self.state = {name: Signal(name=name) for name in names}
        self.errors = Signal(len(ERRORS))
        self.raised = Signal(len(ERRORS))  # set in this clock
        self.clear, self.abort = Signal(), Signal()
        self.dirty, self.cannot_warm = Signal(), Signal()
        m.d.comb += [
            entry.flush.eq(self.abort),
            packets.abort.eq(self.abort),
            self.interrupt.eq(self.state["done"] | self.errors.any()),
        ]
        self.parameters = self._parameter_registers()
        self._frames(m)
        self._codes(m)
        self._writes(m)
        self._reads(m)
        return m

    # ---- frames ---------------------------------------------------------------------------------------------------
    def _parameter_registers(self) -> dict[str, tuple[Signal, int, int]]:
        """Register name -> (its signal, lowest and highest value)."""
        made = {}
        for name, (low, high, value) in parameter_ranges(self.plan).items():
            init = self.start_steps if name == "STEPS" else value
            made[name] = (Signal(max(high, value, 1).bit_length(), init=init, name=name.lower()), low, high)
        self.schedule = Signal(init=1)
        return made

    def _parameter(self, name: str) -> Value:
        """What a parameter's register reads."""
        value = _extended(self.parameters[name][0], 32)
        return Cat(value[:31], self.schedule) if name == "STEP_SHIFT" else value

    def _frames(self, m: Module) -> None:
        """A frame from its start to its closing word."""
        s, packets, codes = self.state, self.packets, self.mesh.codes
        command = self.mesh.command
        shift, lowest, _ = self.parameters["STEP_SHIFT"]
        threshold = self.parameters["THRESHOLD"][0]
        state_threshold = Signal.like(threshold)  # of the frame that a warm one would continue
        m.d.comb += [
            command.valid.eq(packets.command),
            packets.command_ready.eq(command.ready),
            command.payload.warm.eq(s["warm"]),
            command.payload.steps.eq(self.parameters["STEPS"][0]),
            command.payload.threshold.eq(threshold),
            command.payload.cutoff.eq(self.parameters["CUTOFF"][0]),
            command.payload.shift.eq(Mux(self.schedule, 0, shift - lowest + 1)),
            self.dirty.eq(self.mesh.dirty | s["stale"]),
            self.cannot_warm.eq(self.dirty | (threshold != state_threshold)),
            packets.armed.eq(s["armed"]),
            packets.warm.eq(s["warm"]),
            packets.busy.eq(s["armed"] | s["running"]),
            packets.gone.eq(codes.valid & codes.ready & codes.payload.last),
        ]
        self.begins = Signal()
        m.d.comb += self.begins.eq(packets.command & command.ready)
        with m.If(self.abort):
            m.d.sync += s["armed"].eq(0)
        with m.If(self.begins):
            m.d.sync += [s["armed"].eq(0), s["running"].eq(1), s["stale"].eq(0), s["marked"].eq(0)]
            m.d.sync += state_threshold.eq(threshold)
        with m.If(packets.malformed):
            m.d.sync += [s["stale"].eq(1), s["marked"].eq(1)]
        for bit, field in enumerate(ERRORS):
            if field.name in EVENTS:
                with m.If(getattr(packets, field.name)):
                    m.d.comb += self.raised[bit].eq(1)

    def _codes(self, m: Module) -> None:
        """The code stream, the closing word, and everything that is counted of a frame."""
        plan, s, codes, queue = self.plan, self.state, self.mesh.codes, self.queue
        word, fields = codes.payload, dict(codes.payload.shape())
        neurons = plan.tiling.geometry.neurons
        flags = Signal(len(FLAGS))
        settled = word.settled if "settled" in fields else Const(0, 1)
        steps = word.steps if "steps" in fields else self.parameters["STEPS"][0]
        refused = s["refuse"] | word.refused
        m.d.comb += flags.eq(
            Mux(refused, 4, Cat(word.overflow, word.saturated, Const(0, 1), settled, s["marked"]))
        )
        closing = Cat(flags, Const(0, 16 - len(flags)), Mux(refused, 0, steps), Mux(refused, 0, word.events))
        m.d.comb += [
            queue.i.valid.eq(codes.valid | s["refuse"]),
            codes.ready.eq(queue.i.ready & ~s["refuse"]),
            queue.i.payload.last.eq(word.last | s["refuse"]),
        ]
        code = Cat(*[_extended(part, CODE_BITS) for part in (word.y, word.k, word.i, word.j)])
        m.d.comb += queue.i.payload.data.eq(Mux(queue.i.payload.last, closing, code))

        out, number = self.m_axis, Signal(8)
        m.d.comb += [
            out.tvalid.eq(queue.o.valid),
            queue.o.ready.eq(out.tready),
            out.tdata.eq(queue.o.payload.data),
            out.tlast.eq(queue.o.payload.last),
            out.tuser.eq(queue.o.payload.last),
            out.tid.eq(number),
        ]
        taken = queue.i.valid & queue.i.ready
        with m.If(taken & s["refuse"]):
            m.d.sync += s["refuse"].eq(0)
        with m.If(out.tvalid & out.tready & out.tlast):
            m.d.sync += [number.eq(number + 1), s["running"].eq(0), s["done"].eq(1)]

        self.cycles, counting = Signal(CYCLES_WIDTH), Signal()
        self.counted = {name: Signal(32, name=name.lower()) for name in COUNTERS}
        self.last_flags, c = Signal(len(FLAGS)), self.counted
        ends = taken & queue.i.payload.last
        with m.If(counting):
            m.d.sync += self.cycles.eq(self.cycles + 1)
        with m.If(taken & ~queue.i.payload.last):
            m.d.sync += c["CODES"].eq(c["CODES"] + 1)
        with m.If(self.begins):
            m.d.sync += [counting.eq(1), self.cycles.eq(1), c["CODES"].eq(0)]
        with m.If(ends):
            m.d.sync += [counting.eq(0), self.last_flags.eq(flags)]
            with m.If(~refused):
                m.d.sync += [
                    c["FRAMES"].eq(c["FRAMES"] + 1),
                    c["OVERFLOWS"].eq(c["OVERFLOWS"] + word.overflow),
                    c["DIVERGED"].eq(c["DIVERGED"] + (word.saturated | (word.events > neurons))),
                    c["CODE_EVENTS"].eq(word.changes),
                ]
        with m.If(self.clear):
            m.d.sync += [c[name].eq(0) for name in ("CODE_EVENTS", "OVERFLOWS", "DIVERGED", "FRAMES")]
            m.d.sync += [self.last_flags.eq(0), s["done"].eq(0)]
            with m.If(~s["running"]):
                m.d.sync += [self.cycles.eq(0), c["CODES"].eq(0)]

    # ---- registers ---------------------------------------------------------------------------------------------------
    def _writes(self, m: Module) -> None:
        slave, s, packets = self.slave, self.state, self.packets
        error = {field.name: field.mask for field in ERRORS}
        under_way, found = Signal(), Signal(len(ERRORS))  # found: what is wrong with this write
        m.d.comb += under_way.eq(s["armed"] | s["running"] | packets.loading)
        data, strobe = slave.write_data, slave.write_strobe
        with m.Switch(slave.write_word):
            for entry in REGISTERS:
                if not entry.writable:
                    continue
                with m.Case(entry.offset // 4):
                    if entry.name == "CONTROL":
                        self._control(m, found, error)
                    elif entry.name == "ERRORS":
                        pass  # below: it is cleared and set in one place
                    else:
                        value, low, high = self.parameters[entry.name]
                        shifts = entry.name == "STEP_SHIFT"
                        whole = merged(self._parameter(entry.name), data, strobe)
                        default = whole[31] if shifts else Const(0, 1)
                        with m.If(under_way):
                            m.d.comb += found.eq(error["write_while_busy"])
                        with m.Elif(~default & ((whole < low) | (whole > high))):
                            m.d.comb += found.eq(error["bad_value"])
                        with m.Elif(slave.write):
                            m.d.sync += value.eq(Mux(default, value.init, whole))
                            if shifts:
                                m.d.sync += self.schedule.eq(default)
            with m.Default():
                m.d.comb += found.eq(error["bad_address"])
        m.d.comb += slave.write_error.eq(found.any() & (found != error["refused"]))
        cleared = Signal(len(ERRORS))
        bytes_of = Cat(*[strobe[bit // 8] for bit in range(len(ERRORS))])
        with m.If(slave.write & (slave.write_word == register("ERRORS").offset // 4)):
            m.d.comb += cleared.eq(data & bytes_of)
        m.d.sync += self.errors.eq(
            (self.errors & ~cleared)
            | self.raised
            | Mux(slave.write, found, 0)
            | Mux(slave.read & slave.read_error, error["bad_address"], 0)
        )

    def _control(self, m: Module, found: Signal, error: dict[str, int]) -> None:
        """A write of CONTROL: what it does, and what is wrong with it."""
        slave, s, packets = self.slave, self.state, self.packets
        bit = {field.name: slave.write_data[field.bit] & slave.write_strobe[0] for field in register("CONTROL").fields}
        with m.If(bit["start"] & bit["abort"]):
            m.d.comb += found.eq(error["bad_value"])
        with m.Else():
            m.d.comb += [self.clear.eq(slave.write & bit["clear"]), self.abort.eq(slave.write & bit["abort"])]
            with m.If(bit["start"]):
                with m.If(s["armed"] | s["running"] | ~packets.idle):
                    m.d.comb += found.eq(error["write_while_busy"])
                with m.Else():
                    with m.If((bit["warm"] & self.cannot_warm) | packets.void):
                        m.d.comb += found.eq(error["refused"])
                        with m.If(slave.write):
                            m.d.sync += [s["running"].eq(1), s["refuse"].eq(1)]
                    with m.Elif(slave.write):
                        m.d.sync += [s["armed"].eq(1), s["warm"].eq(bit["warm"])]
                    with m.If(slave.write):
                        m.d.sync += s["done"].eq(0)

    def _reads(self, m: Module) -> None:
        slave, s, packets = self.slave, self.state, self.packets
        held = Signal(CYCLES_WIDTH - 32)
        status = {
            "busy": s["armed"] | s["running"] | packets.loading,
            "dirty": self.dirty,
            "waiting": s["armed"],
            "done": s["done"],
            "weights_void": packets.void,
            "swallowing": packets.swallowing,
        }
        assert list(status) == [field.name for field in register("STATUS").fields]
        values: dict[str, Value | int] = {
            **identity(self.plan),
            "CONTROL": 0,
            "STATUS": Cat(*status.values()),
            "ERRORS": self.errors,
            **{name: self._parameter(name) for name in self.parameters},
            "CYCLES_LOW": self.cycles[:32],
            "CYCLES_HIGH": held,
            **self.counted,
            "LAST": self.last_flags,
        }
        with m.Switch(slave.read_word):
            for entry in REGISTERS:
                with m.Case(entry.offset // 4):
                    m.d.comb += slave.read_data.eq(values[entry.name])
            with m.Default():
                m.d.comb += slave.read_error.eq(1)
        with m.If(slave.read & (slave.read_word == register("CYCLES_LOW").offset // 4)):
            m.d.sync += held.eq(self.cycles[32:])


def _extended(value: Value, width: int) -> Value:
    """``value`` in ``width`` bits, by its sign where it has one."""
    filler = value[-1] if value.shape().signed else Const(0, 1)
    return Cat(value, filler.replicate(width - len(value))) if len(value) < width else value


__all__ = ["Core", "identity", "parameter_ranges"]
