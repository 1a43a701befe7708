"""Drain: the codes of all tiles leave as one stream, in the raster order of tiles, along a registered chain.

A tile sends its own codes, then what comes from the east, then (first column only) what comes from the south, then a
closing word in which the flags and the event counts of everything behind it are added up. Tile (0, 0) is the exit.
"""

from amaranth.hdl import Module, Mux, Shape, ShapeLike, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..sim.plan import Plan
from ..sim.tiling import bits

CHANGES_WIDTH = 32
"""Bits of the count of a frame's code changes, which is modulo 2^32."""


class Overlaid(data.FlexibleLayout):
    """Beats of several kinds in one word: fields that every beat has, from bit 0 on, and behind them, in the same bits,
    those of each kind.
    """

    def __init__(self, common: dict[str, ShapeLike], *kinds: dict[str, ShapeLike]) -> None:
        fields: dict[str, data.Field] = {}
        size = start = 0
        for kind in (common, *kinds):
            at = start
            for name, shape in kind.items():
                fields[name] = data.Field(shape, at)
                at += Shape.cast(shape).width
            start, size = (at if kind is common else start), max(size, at)
        super().__init__(size, fields)


class CodeLayout(Overlaid):
    """One beat of the code stream; ``last`` tells the two kinds apart.

    A code: ``last`` low, kernel k, sheet position (i, j), code y. The closing word: ``last`` high, the flags
    ``overflow``, ``saturated`` and ``refused``, in ``events`` the code changes of the last steps of the frame (see
    ``docs/arithmetic.md``), in ``changes`` those of the whole frame, modulo 2^32. With ``settle`` also ``settled``, the
    frame ended by rest, and ``steps``, the steps done.
    """

    def __init__(self, plan: Plan) -> None:
        g = plan.tiling.geometry
        super().__init__(
            {"last": unsigned(1)},
            {
                "k": unsigned(bits(g.kernels)),
                "i": unsigned(bits(g.sheet[0])),
                "j": unsigned(bits(g.sheet[1])),
                "y": signed(plan.code_value_width),
            },
            {
                "overflow": unsigned(1),
                "saturated": unsigned(1),
                "refused": unsigned(1),
                "events": unsigned(plan.window_count_width),
                "changes": unsigned(CHANGES_WIDTH),
                **({"settled": unsigned(1), "steps": unsigned(plan.steps_width)} if plan.settle else {}),
            },
        )


def chain_ports(plan: Plan) -> list[str]:
    """The drain chain's ways into a tile that some tile of the mesh uses: east, south, both or none."""
    rows, columns = plan.tiling.tiles
    return [port for port, there in (("east", columns > 1), ("south", rows > 1)) if there]


class Queue2(wiring.Component):
    """Two-place queue: full throughput with registered valid and ready, so that no path crosses a tile."""

    def __init__(self, layout: data.Layout) -> None:
        self.layout = layout
        super().__init__({"i": In(stream.Signature(layout)), "o": Out(stream.Signature(layout))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        first, second, level = Signal(self.layout), Signal(self.layout), Signal(2)
        m.d.comb += [self.i.ready.eq(level != 2), self.o.valid.eq(level != 0), self.o.payload.eq(first)]
        put, get = self.i.valid & self.i.ready, self.o.valid & self.o.ready
        m.d.sync += level.eq(level + put - get)
        with m.If(get):
            m.d.sync += first.eq(second)
        with m.If(put):
            with m.If((level == 0) | ((level == 1) & get)):
                m.d.sync += first.eq(self.i.payload)
            with m.Else():
                m.d.sync += second.eq(self.i.payload)
        return m


class Drain(wiring.Component):
    """One tile's place in the chain.

    Members:
        frame: In(1), a frame begins. pushed: In(1), a code event, in a step. start: In(1), the frame is done: own codes
        come next.
        own, own_valid, own_ready: the tile's codes. own_done: In(1), the last one leaves in this cycle (or there is
        none).
        has_east, has_south: In(1), whether anything is behind those ports; a port that no tile of the mesh uses
        (``chain_ports``) is not there, and passes in its one clock.
        overflow, saturated, events: In, the tile's status; with ``settle`` also settled, steps: how the frame ended,
        the same in all tiles. east, south: In streams. out: Out stream.
        done: Out(1), the closing word enters the queue in this cycle.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        layout = CodeLayout(plan)
        super().__init__(
            {
                "frame": In(1),
                "pushed": In(1),
                "start": In(1),
                "own": In(layout),
                "own_valid": In(1),
                "own_ready": Out(1),
                "own_done": In(1),
                "has_east": In(1),
                "has_south": In(1),
                "overflow": In(1),
                "saturated": In(1),
                "events": In(plan.window_count_width),
                **({"settled": In(1), "steps": In(plan.steps_width)} if plan.settle else {}),
                "done": Out(1),
                **{port: In(stream.Signature(layout)) for port in chain_ports(plan)},
                "out": Out(stream.Signature(layout)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        layout = CodeLayout(self.plan)
        m.submodules.queue = queue = Queue2(layout)
        m.d.comb += [
            self.out.valid.eq(queue.o.valid),
            self.out.payload.eq(queue.o.payload),
            queue.o.ready.eq(self.out.ready),
        ]
        m.d.comb += self.own_ready.eq(queue.i.ready)  # in all states: there is nothing own in the others
        overflow, saturated, events = Signal(), Signal(), Signal(self.plan.window_count_width)
        # one counter and one adder: first the own changes, one a clock, then the counts of the streams behind
        changes, more = Signal(CHANGES_WIDTH, name="changes"), Signal(CHANGES_WIDTH, name="more")
        m.d.comb += more.eq(self.pushed)
        m.d.sync += changes.eq(Mux(self.frame, 0, changes + more))
        behind, southern = Signal(layout, name="behind"), Signal(name="southern")  # the beat of the merged stream
        streams = [getattr(self, port).payload for port in chain_ports(self.plan)]
        if streams:
            m.d.comb += behind.eq(Mux(southern, streams[-1], streams[0]))
        with m.FSM():
            with m.State("IDLE"):
                with m.If(self.start):
                    m.d.sync += [overflow.eq(self.overflow), saturated.eq(self.saturated), events.eq(self.events)]
                    m.next = "OWN"
            with m.State("OWN"):
                m.d.comb += [queue.i.valid.eq(self.own_valid), queue.i.payload.eq(self.own)]
                with m.If(self.own_done):
                    m.next = "EAST"
            for state, name, here, following in (
                ("EAST", "east", self.has_east, "SOUTH"),
                ("SOUTH", "south", self.has_south, "CLOSE"),
            ):
                with m.State(state):
                    port = getattr(self, name, None)
                    if port is None:
                        m.next = following
                        continue
                    m.d.comb += southern.eq(state == "SOUTH")
                    with m.If(~here):
                        m.next = following
                    with m.Else():
                        m.d.comb += [
                            queue.i.valid.eq(port.valid & ~behind.last),
                            queue.i.payload.eq(behind),
                            port.ready.eq(queue.i.ready),
                        ]
                        with m.If(port.valid & port.ready & behind.last):
                            m.d.comb += more.eq(behind.changes)
                            m.d.sync += [
                                overflow.eq(overflow | behind.overflow),
                                saturated.eq(saturated | behind.saturated),
                                events.eq(events + behind.events),
                            ]
                            m.next = following
            with m.State("CLOSE"):
                m.d.comb += [
                    queue.i.valid.eq(1),
                    queue.i.payload.last.eq(1),
                    queue.i.payload.overflow.eq(overflow),
                    queue.i.payload.saturated.eq(saturated),
                    queue.i.payload.events.eq(events),
                    queue.i.payload.changes.eq(changes),
                ]
                if self.plan.settle:
                    m.d.comb += [queue.i.payload.settled.eq(self.settled), queue.i.payload.steps.eq(self.steps)]
                with m.If(queue.i.ready):
                    m.d.comb += self.done.eq(1)
                    m.next = "IDLE"
        return m
