"""The mesh: tiles, their links, the chains, and the front. Wiring only."""

from amaranth.hdl import Cat, ClockSignal, Instance, Module, ResetSignal, Signal, Value, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..sim.plan import Plan
from ..sim.tiling import OPPOSITE
from .drain import CodeLayout
from .exchange import LINKS, LinkOutLayout
from .feed import CommandLayout, Front, WeightLayoutBeat
from .tile import place_members, tile_signature, trace_members


class Mesh(wiring.Component):
    """The machine: a ready/valid core with three inputs and one output.

    Members:
        command, pixels, weights: In streams; codes: Out stream (``hw/feed.py``, ``hw/drain.py`` give the payloads).
        busy, dirty: Out(1).
        trace_<tile>_*: Out, the observation outputs of every tile (``hw/tile.py``), where ``observed``.

    The tile is instantiated by name: it is the module that ``Tile(plan)`` elaborates to, emitted once.
    """

    def __init__(self, plan: Plan, *, tile_module: str = "striate_tile", observed: bool = True) -> None:
        self.plan, self.tile_module, self.observed = plan, tile_module, observed
        super().__init__(
            {
                "command": In(stream.Signature(CommandLayout(plan))),
                "pixels": In(stream.Signature(signed(plan.input_change_width))),
                "weights": In(stream.Signature(WeightLayoutBeat(plan))),
                "codes": Out(stream.Signature(CodeLayout(plan))),
                "busy": Out(1),
                "dirty": Out(1),
                **{
                    f"trace_{n}_{name}": Out(width)
                    for n in range(plan.tiling.count if observed else 0)
                    for name, width in trace_members(plan).items()
                },
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan, t = self.plan, self.plan.tiling
        m.submodules.front = front = Front(plan)
        for port in ("command", "pixels", "weights"):
            wiring.connect(m, wiring.flipped(getattr(self, port)), getattr(front, port))
        wiring.connect(m, front.codes, wiring.flipped(self.codes))
        m.d.comb += [self.busy.eq(front.busy), self.dirty.eq(front.dirty)]

        # one signal per tile port; the signature of Tile says which ports there are
        signature = tile_signature(plan, observed=self.observed)
        wires = [_PortWires(signature, n) for n in range(t.count)]
        for n in range(t.count):
            row, col = t.place(n)
            here = wires[n]
            (y0, x0), inside = t.origin(n), t.inside(n)
            place: dict[str, int] = dict(zip(("y_low", "y_high", "x_low", "x_high"), inside, strict=True))
            present = sum(1 << b for b in range(LINKS) if t.neighbour(n, b) >= 0)
            east, south = col + 1 < t.tiles[1], col == 0 and row + 1 < t.tiles[0]
            place |= {
                "i_base": row * t.block[0],
                "j_base": col * t.block[1],
                "present": present,
                "has_east": int(east),
                "has_south": int(south),
            }
            assert place.keys() == place_members(plan).keys()
            m.d.comb += [here[name].eq(value) for name, value in place.items()]
            m.d.comb += [here["y_origin"].eq(y0), here["x_origin"].eq(x0)]
            # the input chain goes down the first column and along each row
            before = front.feed if n == 0 else wires[n - 1 if col else n - t.tiles[1]]["feed_out"]
            m.d.comb += here["feed"].eq(Value.cast(before))
            # links
            for b in t.links:
                other = t.neighbour(n, b)
                if other < 0:
                    continue
                there = LinkOutLayout(plan)(wires[other]["link_out"])
                target = here[f"in_{b}"]
                m.d.comb += target.eq(Cat(there.send[OPPOSITE[b]], there.as_value()[LINKS:]))
            m.d.comb += here["acknowledged"].eq(
                Cat(
                    *[
                        wires[t.neighbour(n, b)]["consumed"][OPPOSITE[b]] if t.neighbour(n, b) >= 0 else 0
                        for b in range(LINKS)
                    ]
                )
            )
            # the drain chain, against the input chain
            for port, exists, other in (("east", east, n + 1), ("south", south, n + t.tiles[1])):
                if exists and plan.refresh:
                    m.d.comb += here[f"{port}_ready"].eq(wires[other]["ready"])
                if exists:
                    m.d.comb += [
                        here[f"{port}__valid"].eq(wires[other]["codes__valid"]),
                        here[f"{port}__payload"].eq(wires[other]["codes__payload"]),
                        wires[other]["codes__ready"].eq(here[f"{port}__ready"]),
                    ]
            if self.observed:
                m.d.comb += [
                    getattr(self, f"trace_{n}_{name}").eq(here[f"trace_{name}"]) for name in trace_members(plan)
                ]
            m.submodules[f"tile{n}"] = Instance(
                self.tile_module, i_clk=ClockSignal(), i_rst=ResetSignal(), **here.instance_ports()
            )
        first = wires[0]
        if plan.refresh:
            m.d.comb += front.ready.eq(first["ready"])
        m.d.comb += [
            front.exit.valid.eq(first["codes__valid"]),
            front.exit.payload.eq(first["codes__payload"]),
            first["codes__ready"].eq(front.exit.ready),
        ]
        return m


class _PortWires:
    """The wires at one tile's ports, by Verilog port name."""

    def __init__(self, signature: wiring.Signature, number: int) -> None:
        self.wires: dict[str, Signal] = {}
        self.kinds: dict[str, str] = {}
        for path, member, value in signature.flatten(signature.create()):
            name = "__".join(str(part) for part in path)
            self.wires[name] = Signal(len(Value.cast(value)), name=f"tile{number}_{name}")
            self.kinds[name] = "i" if member.flow == In else "o"

    def __getitem__(self, name: str) -> Signal:
        return self.wires[name]

    def instance_ports(self) -> dict[str, Signal]:
        """Keyword arguments for the ``Instance``."""
        return {f"{self.kinds[name]}_{name}": wire for name, wire in self.wires.items()}
