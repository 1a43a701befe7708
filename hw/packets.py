"""The input side of the core: what becomes of each packet of the input stream.

A packet is what lies between two TLASTs. Its first beat decides:

- TID 0 after a start: a frame. The machine gets its command in the clock in which the first pixel is there.
- TID 1 while nothing is under way: a weight load.
- Anything else is swallowed up to its TLAST and flagged; TREADY never stays low for it.

Rules for what is malformed. *Short frame*: the pixels that are missing are zeros, the frame runs and is marked.
*Missing TLAST*: the frame runs unmarked, everything up to TLAST is swallowed (`long_frame` when there is anything).
*Pixel out of range*: a zero stands for it, the frame is marked. *Another TID inside a packet*: the beat is swallowed,
its TLAST counts for nothing. *Weights out of range, too few or too many*: the load is void. *Abort*: a half frame is
completed as a short one, a half load is void, the rest of a swallowed packet is taken for a new one. So the machine
always gets whole frames, and no beat of one packet ever reaches the frame of another.
"""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..sim.plan import Plan
from ..sim.tiling import bits
from .axi import BeatLayout
from .feed import WeightLayoutBeat

FRAME, WEIGHTS = 0, 1
"""TIDs of the input stream."""

EVENTS = (
    "short_frame", "long_frame", "missing_tlast", "write_while_busy", "bad_value", "bad_weights", "unexpected_data",
)  # fmt: skip
"""Errors that the input side finds; bits of ``ERRORS``."""


def pixel_width(plan: Plan) -> int:
    """Bits of a pixel of a cold frame, as a signed number."""
    return plan.input.width + (0 if plan.input.signed else 1)


class Packets(wiring.Component):
    """The state machine of the input side.

    Members:
        beats: In stream of ``BeatLayout``.
        armed, warm: In(1), a start waits for its frame; the frame is a warm one. busy: In(1), a start has been taken
        and not been answered. abort: In(1); no beat is offered in this clock. gone: In(1), the machine's closing word
        leaves it in this clock.
        command, command_ready: Out(1), In(1), handshake of the machine's command. pixels, weights: Out streams.
        idle: Out(1), between packets and nothing at the door. loading, swallowing: Out(1).
        void: Out(1), the last weight load was no whole one. It outlives a reset, as the weights do.
        malformed: Out(1) strobe, the frame under way is not what was meant.
        one Out(1) strobe for each of ``EVENTS``.
    """

    def __init__(self, plan: Plan, layout: BeatLayout) -> None:
        self.plan = plan
        super().__init__(
            {
                "beats": In(stream.Signature(layout)),
                **{name: In(1) for name in ("armed", "warm", "busy", "abort", "gone", "command_ready")},
                "command": Out(1),
                "pixels": Out(stream.Signature(signed(plan.input_change_width))),
                "weights": Out(stream.Signature(WeightLayoutBeat(plan))),
                **{name: Out(1) for name in ("idle", "loading", "swallowing", "malformed", *EVENTS)},
                "void": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        g = self.plan.tiling.geometry
        self.frame_length, self.load_length = g.image[0] * g.image[1] * g.channels, self.plan.layout.beat_count
        self.count = Signal(bits(max(self.frame_length, self.load_length)))
        self.kind, self.surplus = Signal(len(self.beats.payload.tid)), Signal()
        self.void_held = Signal(reset_less=True)
        m.d.comb += self.void.eq(self.void_held)
        with m.FSM() as fsm:
            with m.State("BETWEEN"):
                self._between(m)
                m.d.comb += self.idle.eq(~self.beats.valid)
            with m.State("FRAME"):
                self._frame(m)
            with m.State("FILL"):
                self._fill(m)
            with m.State("WEIGHTS"):
                self._weights(m)
            with m.State("SWALLOW"):
                self._swallow(m)
            m.d.comb += [self.loading.eq(fsm.ongoing("WEIGHTS")), self.swallowing.eq(fsm.ongoing("SWALLOW"))]
        return m

    def _discard(self, m: Module, kind: object, *, surplus: bool = False) -> None:
        """From the next clock on, swallow up to the TLAST of packet ``kind``."""
        m.d.sync += [self.kind.eq(kind), self.surplus.eq(surplus)]
        m.next = "SWALLOW"

    def _between(self, m: Module) -> None:
        beat = self.beats.payload
        with m.If(self.beats.valid):
            with m.If((beat.tid == FRAME) & self.armed):
                m.d.comb += self.command.eq(1)
                with m.If(self.command_ready):
                    m.d.sync += self.count.eq(0)
                    m.next = "FRAME"
            with m.Elif((beat.tid == WEIGHTS) & ~self.busy):
                m.d.sync += [self.count.eq(0), self.void_held.eq(1), self.surplus.eq(0)]
                m.next = "WEIGHTS"
            with m.Else():
                m.d.comb += [
                    self.write_while_busy.eq(beat.tid == WEIGHTS),
                    self.unexpected_data.eq(beat.tid != WEIGHTS),
                ]
                self._discard(m, beat.tid)

    def _frame(self, m: Module) -> None:
        beat, mine = self.beats.payload, self.beats.payload.tid == FRAME
        good = Mux(self.warm, beat.warm, beat.cold)
        m.d.comb += [
            self.pixels.valid.eq(self.beats.valid & mine),
            self.pixels.payload.eq(Mux(good, beat.value, 0)),
            self.beats.ready.eq(~mine | self.pixels.ready),
            self.unexpected_data.eq(self.beats.valid & ~mine),
        ]
        with m.If(self.pixels.valid & self.pixels.ready):
            m.d.sync += self.count.eq(self.count + 1)
            m.d.comb += [self.bad_value.eq(~good), self.malformed.eq(~good)]
            with m.If(self.count == self.frame_length - 1):
                with m.If(beat.last):
                    m.next = "BETWEEN"
                with m.Else():
                    m.d.comb += self.missing_tlast.eq(1)
                    self._discard(m, FRAME, surplus=True)
            with m.Elif(beat.last):
                m.d.comb += [self.short_frame.eq(1), self.malformed.eq(1)]
                m.next = "FILL"
        with m.If(self.abort):
            m.d.comb += [self.short_frame.eq(1), self.malformed.eq(1)]
            m.next = "FILL"
        with m.If(self.gone):  # the machine refused the frame: it takes no pixel of it
            with m.If(self.abort):
                m.next = "BETWEEN"
            with m.Else():
                self._discard(m, FRAME)

    def _fill(self, m: Module) -> None:
        m.d.comb += self.pixels.valid.eq(1)
        with m.If(self.pixels.ready):
            m.d.sync += self.count.eq(self.count + 1)
            with m.If(self.count == self.frame_length - 1):
                m.next = "BETWEEN"
        with m.If(self.gone):
            m.next = "BETWEEN"

    def _weights(self, m: Module) -> None:
        beat, mine = self.beats.payload, self.beats.payload.tid == WEIGHTS
        m.d.comb += [
            self.weights.valid.eq(self.beats.valid & mine),
            self.weights.payload.value.eq(beat.value),
            self.weights.payload.first.eq(self.count == 0),
            self.beats.ready.eq(~mine | self.weights.ready),
            self.unexpected_data.eq(self.beats.valid & ~mine),
        ]
        with m.If(self.weights.valid & self.weights.ready):
            m.d.sync += self.count.eq(self.count + 1)
            m.d.comb += self.bad_value.eq(~beat.weight)
            with m.If(~beat.weight):
                m.d.sync += self.surplus.eq(1)  # of a load: one of its values is bad
            with m.If(self.count == self.load_length - 1):
                with m.If(beat.last):
                    m.d.sync += self.void_held.eq(self.surplus | ~beat.weight)
                    m.next = "BETWEEN"
                with m.Else():
                    m.d.comb += self.bad_weights.eq(1)
                    self._discard(m, WEIGHTS)
            with m.Elif(beat.last):
                m.d.comb += self.bad_weights.eq(1)
                m.next = "BETWEEN"
        with m.If(self.abort):
            m.d.comb += self.bad_weights.eq(1)
            m.next = "BETWEEN"

    def _swallow(self, m: Module) -> None:
        beat = self.beats.payload
        m.d.comb += self.beats.ready.eq(1)
        with m.If(self.beats.valid):
            with m.If(beat.tid == self.kind):
                m.d.comb += self.long_frame.eq(self.surplus)
                with m.If(beat.last):
                    m.next = "BETWEEN"
            with m.Else():
                m.d.comb += self.unexpected_data.eq(1)
        with m.If(self.abort):
            m.next = "BETWEEN"
