"""Feed: commands, weights and pixels reach every tile along one registered row-then-column chain, without
back-pressure.

The front accepts them only when every tile can take them, so the chain never stalls: tile (r, c) sees each beat r + c
+ 1 clocks after the front's register. With ``refresh`` it keeps the input, and sends it once more whenever all tiles
are ready for it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from amaranth.hdl import Module, Mux, Shape, Signal, Value, signed, unsigned
from amaranth.lib import data, enum, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from ..sim.plan import Plan
from ..sim.tiling import bits
from ..sim.timing import CLEAR_MARGIN
from .datapath import IssueLayout, operand_width
from .drain import CodeLayout, Overlaid
from .memory import Table


class FeedKind(enum.Enum, shape=2):  # type: ignore[call-arg]
    """What a beat of the chain carries."""

    NONE = 0
    WEIGHT = 1
    BEGIN = 2
    PIXEL = 3


class FeedLayout(Overlaid):
    """One beat of the chain. ``mark``: first weight of a load, last value of a frame, or a warm begin. A beat that
    begins a frame has the command's numbers where the others have ``value`` and the pixel's place.
    """

    def __init__(self, plan: Plan) -> None:
        g = plan.tiling.geometry
        super().__init__(
            {"kind": FeedKind, "mark": unsigned(1)},
            {
                "value": signed(max(plan.weight.width, plan.input_change_width)),
                "c": unsigned(bits(g.channels)),
                "y": unsigned(bits(g.image[0])),
                "x": unsigned(bits(g.image[1])),
            },
            command_numbers(plan),
        )


def command_numbers(plan: Plan) -> dict[str, Shape]:
    """The numbers of a command: steps, and the values that a frame may have in place of the design's."""
    return {
        "steps": unsigned(plan.steps_width),
        "threshold": unsigned(plan.threshold_width),
        "cutoff": unsigned(plan.cutoff_width),
        "shift": unsigned(bits(plan.shift_codes)),
    }


class CommandLayout(data.StructLayout):
    """Begin a frame: ``warm`` keeps the state of the frame before (the pixels are then changes), ``steps`` updates.

    ``threshold`` (units of the membrane, 1 or more) and ``cutoff`` (units of the residual as read) hold for the frame;
    ``Plan.threshold_q`` and ``cutoff_q`` are the design's. ``shift``: 0 for the design's schedule of step shifts, else
    one shift for all steps, ``Plan.shift_code``.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__({"warm": unsigned(1), **command_numbers(plan)})


class WeightLayoutBeat(data.StructLayout):
    """One weight of the load stream; ``first`` restarts the load at the first word."""

    def __init__(self, plan: Plan) -> None:
        super().__init__({"value": signed(plan.weight.width), "first": unsigned(1)})


def origin_shapes(plan: Plan) -> dict[str, Shape]:
    """Shapes of the image coordinates of a region's first pixel; both may be negative."""
    g = plan.tiling.geometry
    return {
        f"{axis}_origin": signed(max(bits(size), bits(g.margin + 1)) + 1)
        for axis, size in zip("yx", g.image, strict=True)
    }


class Front(wiring.Component):
    """The machine's entrance and exit.

    Members:
        command, pixels, weights: In streams; codes: Out stream.
        feed: Out, the register at the head of the chain. exit: In stream, the closing end of the drain chain.
        busy: Out(1), a frame is in the machine. dirty: Out(1), the state does not belong to the weights (after reset
        or a weight load): a warm frame is then refused with a closing word that says so, as is one whose threshold is
        not that of the state, and any frame of 0 steps, with a threshold of 0 or a shift that is none.
        ready: In(1), with ``refresh``: all tiles wait for the input.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        codes = stream.Signature(CodeLayout(plan))
        super().__init__(
            {
                "command": In(stream.Signature(CommandLayout(plan))),
                "pixels": In(stream.Signature(signed(plan.input_change_width))),
                "weights": In(stream.Signature(WeightLayoutBeat(plan))),
                "codes": Out(codes),
                "exit": In(codes),
                "feed": Out(FeedLayout(plan)),
                "busy": Out(1),
                "dirty": Out(1, init=1),
                **({"ready": In(1)} if plan.refresh else {}),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan, g = self.plan, self.plan.tiling.geometry
        threshold = Signal(plan.threshold_width)  # of the state: its codes are T of the membranes with this one
        wait = Signal(range(plan.tiling.clear_cycles + CLEAR_MARGIN + 1))
        c, y, x = Signal(bits(g.channels)), Signal(bits(g.image[0])), Signal(bits(g.image[1]))
        m.d.sync += self.feed.kind.eq(FeedKind.NONE)
        m.d.comb += [self.codes.payload.eq(self.exit.payload)]
        kept = _Kept(plan, m, self) if plan.refresh else None
        command, wrong = self.command.payload, Signal()
        m.d.comb += wrong.eq(
            (command.steps == 0)
            | (command.threshold == 0)
            | (command.shift >= plan.shift_codes if plan.shift_codes < 1 << len(command.shift) else 0)
            | (command.warm & (self.dirty | (command.threshold != threshold)))
        )
        with m.FSM() as fsm:
            with m.State("IDLE"):
                m.d.comb += [self.weights.ready.eq(1), self.command.ready.eq(~self.weights.valid)]
                with m.If(self.weights.valid):
                    m.d.sync += [
                        self.feed.kind.eq(FeedKind.WEIGHT),
                        self.feed.mark.eq(self.weights.payload.first),
                        self.feed.value.eq(self.weights.payload.value),
                        self.dirty.eq(1),
                    ]
                with m.Elif(self.command.valid):
                    with m.If(wrong):
                        m.next = "REFUSE"
                    with m.Else():
                        m.d.sync += [
                            self.feed.kind.eq(FeedKind.BEGIN),
                            self.feed.mark.eq(command.warm),
                            *[self.feed[name].eq(command[name]) for name in command_numbers(plan)],
                            threshold.eq(command.threshold),
                            self.dirty.eq(0),
                            c.eq(0),
                            y.eq(0),
                            x.eq(0),
                            wait.eq(Mux(command.warm, 0, plan.tiling.clear_cycles + CLEAR_MARGIN)),
                        ]
                        m.next = "CLEAR"
            with m.State("CLEAR"):
                m.d.sync += wait.eq(wait - 1)
                with m.If(wait == 0):
                    m.next = "PIXELS"
            with m.State("PIXELS"):
                m.d.comb += self.pixels.ready.eq(1)
                with m.If(self.pixels.valid):
                    if kept is not None:
                        kept.look(m)
                        m.d.sync += kept.keep.eq(1)
                    with self._pixel(m, self.pixels.payload, (c, y, x)):
                        m.next = "RUN"
            with m.State("RUN"):
                m.d.comb += [self.codes.valid.eq(self.exit.valid), self.exit.ready.eq(self.codes.ready)]
                with m.If(self.exit.valid & self.codes.ready & self.exit.payload.last):
                    m.next = "IDLE"
                if kept is not None:
                    with m.If(self.ready):
                        kept.look(m)
                        m.next = "AGAIN"
            if kept is not None:
                with m.State("AGAIN"):  # the word read in the clock before is sent, the next one read
                    kept.look(m)
                    with self._pixel(m, kept.word, (c, y, x)):
                        m.next = "HEARD"
                with m.State("HEARD"):  # until the tiles have taken it: `ready` is then low until the next refresh
                    m.d.sync += kept.at.eq(0)
                    with m.If(~self.ready):
                        m.next = "RUN"
            with m.State("REFUSE"):
                m.d.comb += [
                    self.codes.valid.eq(1),
                    self.codes.payload.eq(0),
                    self.codes.payload.last.eq(1),
                    self.codes.payload.refused.eq(1),
                ]
                with m.If(self.codes.ready):
                    m.next = "IDLE"
            m.d.comb += self.busy.eq(~fsm.ongoing("IDLE"))
        return m

    @contextmanager
    def _pixel(self, m: Module, value: Value, place: tuple[Signal, Signal, Signal]) -> Iterator[None]:
        """The next pixel in raster order, channels innermost; what stands in the context happens with the last one."""
        g, (c, y, x) = self.plan.tiling.geometry, place
        height, width = g.image
        m.d.sync += [
            self.feed.kind.eq(FeedKind.PIXEL),
            self.feed.value.eq(value),
            self.feed.mark.eq(0),
            self.feed.c.eq(c),
            self.feed.y.eq(y),
            self.feed.x.eq(x),
            c.eq(c + 1),
        ]
        with m.If(c == g.channels - 1):
            m.d.sync += [c.eq(0), x.eq(x + 1)]
            with m.If(x == width - 1):
                m.d.sync += [x.eq(0), y.eq(y + 1)]
                with m.If(y == height - 1):
                    m.d.sync += self.feed.mark.eq(1)
                    if self.plan.refresh:
                        m.d.sync += y.eq(0)
                    yield


class _Kept:
    """The input of the frame in a memory, by number of pixel: what came, or in a warm frame the sum of what came.

    A word is read a clock before it is used; in a warm frame that is a clock before the change is added to it.
    """

    def __init__(self, plan: Plan, m: Module, front: Front) -> None:
        words, width = plan.frame_store
        m.submodules.kept = store = memory.Memory(shape=signed(width), depth=words, init=[])
        write, self._read = store.write_port(), store.read_port()
        self._last = words - 1
        self.at, self.keep, warm = Signal(bits(words)), Signal(name="keep"), Signal(name="keep_warm")
        here = Signal.like(self.at, name="kept_at")
        self.word = self._read.data
        m.d.sync += [self.keep.eq(0), here.eq(self.at)]
        with m.If(front.feed.kind == FeedKind.BEGIN):
            m.d.sync += [warm.eq(front.feed.mark), self.at.eq(0)]
        m.d.comb += [
            self._read.addr.eq(self.at),
            self._read.en.eq(0),
            write.en.eq(self.keep),
            write.addr.eq(here),
            write.data.eq(Mux(warm, self.word, 0) + front.feed.value),
        ]

    def look(self, m: Module) -> None:
        """Read the next word."""
        m.d.comb += self._read.en.eq(1)
        m.d.sync += self.at.eq(Mux(self.at == self._last, 0, self.at + 1))


class Intake(wiring.Component):
    """A tile's place in the chain, its weight loader, and pixels as a scatter of one pixel each.

    Members:
        feed: In, the register of the tile (or front) before. out: Out, this tile's register.
        y_origin, x_origin: In, image coordinates of the region's first pixel.
        begin, warm, steps, threshold, cutoff, shift: Out, a frame begins (this tile's register holds the command in
        this cycle).
        issue: Out, to the lanes. last: Out(1), the last pixel of the frame is issued in this cycle.
        weight_en, weight_addr, weight_data: Out, the write port of the weight memory.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        w = plan.layout
        super().__init__(
            {
                "feed": In(FeedLayout(plan)),
                "out": Out(FeedLayout(plan)),
                **{name: In(shape) for name, shape in origin_shapes(plan).items()},
                "begin": Out(1),
                "warm": Out(1),
                **{name: Out(shape) for name, shape in command_numbers(plan).items()},
                "issue": Out(IssueLayout(plan)),
                "last": Out(1),
                "weight_en": Out(w.lanes),
                "weight_addr": Out(bits(w.depth)),
                "weight_data": Out(plan.weight.width),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan, t, w = self.plan, self.plan.tiling, self.plan.layout
        here = self.out
        m.d.sync += here.eq(self.feed)
        m.d.comb += [
            self.begin.eq(here.kind == FeedKind.BEGIN),
            self.warm.eq(here.mark),
            *[getattr(self, name).eq(here[name]) for name in command_numbers(plan)],
        ]

        # weights: one lane a beat, word by word
        address, lane = Signal(bits(w.depth)), Signal(w.lanes, init=1)
        is_weight = here.kind == FeedKind.WEIGHT
        restart = is_weight & here.mark
        lane_now = Mux(restart, 1, lane)
        address_now = Mux(restart, 0, address)
        m.d.comb += [
            self.weight_en.eq(Mux(is_weight, lane_now, 0)),
            self.weight_addr.eq(address_now),
            self.weight_data.eq(here.value),
        ]
        with m.If(is_weight):
            m.d.sync += lane.eq(lane_now.rotate_left(1) if w.lanes > 1 else 1)
            m.d.sync += address.eq(Mux(lane_now[-1], address_now + 1, address_now))

        # pixels: into region coordinates, then one lane of one row of banks
        (hr, wr), lanes = t.region, t.scatter_lanes
        y, x = Signal(signed(len(self.y_origin) + 1)), Signal(signed(len(self.x_origin) + 1))
        m.d.comb += [y.eq(here.y - self.y_origin), x.eq(here.x - self.x_origin)]
        inside, last, c = Signal(), Signal(), Signal.like(here.c)
        row, column, change = Signal(bits(hr)), Signal(bits(wr)), Signal(signed(plan.input_change_width))
        m.d.sync += [
            inside.eq((here.kind == FeedKind.PIXEL) & (y >= 0) & (y < hr) & (x >= 0) & (x < wr)),
            last.eq((here.kind == FeedKind.PIXEL) & here.mark),
            c.eq(here.c),
            row.eq(y),
            column.eq(x),
            change.eq(here.value),
        ]
        m.submodules.rows = rows = Table({"r_row": [n * t.residual_words_per_row for n in range(hr)]})
        m.submodules.channels = channels = Table(
            {"r_channel": [n * hr * t.residual_words_per_row for n in range(t.geometry.channels)]}
        )
        lane_bits = lanes.bit_length() - 1
        r_addr, operand = Signal(bits(t.residual_depth)), Signal(signed(operand_width(plan)))
        m.d.comb += [
            rows.index.eq(row),
            channels.index.eq(c),
            operand.eq((-change) << plan.input_extra_shift),
            r_addr.eq(rows.r_row + channels.r_channel + (column >> lane_bits)),
            self.last.eq(last),
            self.issue.scatter.eq(inside),
            self.issue.constant.eq(inside),
            self.issue.operand.eq(operand),
            self.issue.r_addr.eq(r_addr),
            self.issue.r_en.eq(1 << column[:lane_bits] if lane_bits else 1),
        ]
        return m
