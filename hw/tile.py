"""One tile: a block of V1 positions, the residual of the pixels below it, and everything that works on them.

    clear | input | (gather | update and exchange, in rounds) x steps | drain

With ``refresh`` R, D and r~ are formed anew before some steps (``hw/control.py``). Every tile is the same module; its
place in the mesh is an input.
"""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..sim.plan import Plan
from ..sim.tiling import bits
from ..sim.timing import Phase
from .control import Control
from .datapath import Datapath
from .detect import Detect
from .drain import CodeLayout, Drain, chain_ports
from .exchange import LINKS, Exchange, LinkInLayout, LinkOutLayout
from .feed import FeedLayout, Intake, command_numbers, origin_shapes
from .gather import Gather
from .memory import BankedMemory
from .scatter import Scatter
from .update import Update


def place_members(plan: Plan) -> dict[str, int]:
    """Widths of the inputs that tell a tile where it is; the origins are signed."""
    g, t = plan.tiling.geometry, plan.tiling
    return {
        "y_low": bits(t.region[0] + 1),
        "y_high": bits(t.region[0] + 1),
        "x_low": bits(t.region[1] + 1),
        "x_high": bits(t.region[1] + 1),
        "i_base": bits(g.sheet[0]),
        "j_base": bits(g.sheet[1]),
        "present": LINKS,
        "has_east": 1,
        "has_south": 1,
    }


def trace_members(plan: Plan) -> dict[str, int]:
    """Widths of the observation outputs: every write of every state memory, as it happens. For simulation only."""
    t, k = plan.tiling, plan.tiling.geometry.kernels
    return {
        "phase": 4,
        "step": plan.steps_width,
        "step_done": 1,
        "hazard": 1,
        "u_en": 1,
        "u_addr": bits(t.membrane_depth),
        "u_data": t.update_positions * k * plan.membrane.width,
        "d_en": t.positions_per_cycle * t.kernel_groups,
        "d_addr": t.positions_per_cycle * bits(t.drive_depth),
        "d_data": t.positions_per_cycle * k * plan.drive_width,
        "r_en": t.scatter_lanes,
        "r_addr": t.residual_banks * bits(t.residual_depth),
        "r_data": t.scatter_lanes * plan.residual_width,
        "s_en": t.detect_lanes,
        "s_addr": bits(t.sent_depth),
        "s_data": t.detect_lanes * plan.residual.width,
        "event": 1,
        "event_k": bits(k),
        "event_i": bits(t.block[0]),
        "event_j": bits(t.block[1]),
        "event_dy": plan.code_change_width,
        "sent": LINKS,
        "pixel": 1,
        "pixel_c": bits(t.geometry.channels),
        "pixel_y": bits(t.region[0]),
        "pixel_x": bits(t.region[1]),
        "pixel_dr": plan.residual_change_width,
        "taken": 1,
        **({"refreshed": 1} if plan.refresh else {}),
    }


def tile_signature(plan: Plan, *, observed: bool = True) -> wiring.Signature:
    """The ports of ``Tile``, without making one; the observation outputs only where ``observed``."""
    codes = stream.Signature(CodeLayout(plan))
    return wiring.Signature(
        {
            "feed": In(FeedLayout(plan)),
            "feed_out": Out(FeedLayout(plan)),
            **{name: In(shape) for name, shape in origin_shapes(plan).items()},
            **{name: In(width) for name, width in place_members(plan).items()},
            **{f"in_{b}": In(LinkInLayout(plan)) for b in plan.tiling.links},
            "link_out": Out(LinkOutLayout(plan)),
            "consumed": Out(LINKS),
            "acknowledged": In(LINKS),
            **{port: In(codes) for port in chain_ports(plan)},
            "codes": Out(codes),
            **({"ready": Out(1), **{f"{port}_ready": In(1) for port in chain_ports(plan)}} if plan.refresh else {}),
            **({f"trace_{name}": Out(width) for name, width in trace_members(plan).items()} if observed else {}),
        }
    )


class Tile(wiring.Component):
    """A tile of the mesh. All ports to other tiles are registers or streams with registered valid and ready.

    Members:
        feed, feed_out: the input chain. y_origin, x_origin and the members of ``place_members``: where the tile is.
        in_0 .. in_7 (those that a tile of the mesh has), link_out, consumed, acknowledged: the links
        (``hw/exchange.py``).
        east, south, codes: the drain chain (``hw/drain.py``).
        ready, east_ready, south_ready: with ``refresh``, beside it: this tile and all behind it wait for the input.
        trace_*: Out, every write (``trace_members``), in an ``observed`` tile. A machine for a board has none.
    """

    def __init__(self, plan: Plan, *, observed: bool = True) -> None:
        self.plan, self.observed = plan, observed
        super().__init__(tile_signature(plan, observed=observed))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan, t = self.plan, self.plan.tiling
        kernels, ppc = t.geometry.kernels, t.positions_per_cycle
        m.submodules.control = control = Control(plan)
        m.submodules.intake = intake = Intake(plan)
        m.submodules.datapath = path = Datapath(plan)
        m.submodules.update = update = Update(plan)
        m.submodules.detect = detect = Detect(plan)
        m.submodules.gather = gather = Gather(plan)
        m.submodules.scatter = scatter = Scatter(plan)
        m.submodules.exchange = exchange = Exchange(plan)
        m.submodules.drain = drain = Drain(plan)
        m.submodules.u = u = BankedMemory(
            banks=1, depth=t.membrane_depth, width=t.update_positions * kernels * plan.membrane.width
        )
        m.submodules.d = d = BankedMemory(
            banks=ppc, depth=t.drive_depth, width=kernels * plan.drive_width, lanes=t.kernel_groups
        )
        m.submodules.r = r = BankedMemory(
            banks=t.residual_banks,
            depth=t.residual_depth,
            width=t.columns_per_word * plan.residual_width,
            lanes=t.columns_per_word,
        )
        m.submodules.s = s = BankedMemory(
            banks=1, depth=t.sent_depth, width=t.detect_lanes * plan.residual.width, lanes=t.detect_lanes
        )

        # ---- the order of things -------------------------------------------------------------------------------------
        phase, draining = control.phase, control.draining
        m.d.comb += [
            control.begin.eq(intake.begin),
            control.warm.eq(intake.warm),
            *[getattr(control, name).eq(getattr(intake, name)) for name in command_numbers(plan)],
            control.input_last.eq(intake.last),
            control.gathered.eq(detect.done & gather.idle),
            control.self_last.eq(exchange.self_last),
            control.may_start.eq(exchange.may_start),
            control.finished.eq(exchange.finished),
            control.all_last.eq(exchange.all_last),
            control.refused.eq(update.event_valid & exchange.full),
            control.updated.eq(update.done),
            control.drained.eq(drain.done),
            control.pushed.eq(exchange.push & ~control.refreshing if plan.refresh else exchange.push),
            control.saturated.eq(update.saturated),
            control.overflowed.eq(path.overflow),
            detect.start.eq(control.start_gather),
            gather.start.eq(control.start_gather),
            exchange.step.eq(control.start_gather),
            update.start.eq(control.start_update),
            drain.start.eq(control.start_drain),
            exchange.close.eq(control.close),
            exchange.last.eq(control.last),
            exchange.begin.eq(control.scatter),
            update.shift.eq(control.shift_choice),
            update.threshold.eq(control.frame_threshold),
            detect.cutoff.eq(control.frame_cutoff),
            drain.frame.eq(control.start_frame),
            drain.pushed.eq(exchange.push & ~control.refreshing if plan.refresh else exchange.push),
        ]
        if plan.refresh:
            m.d.comb += [exchange.again.eq(control.start_refresh), exchange.refreshing.eq(control.refreshing)]
            behind = [getattr(self, f"{port}_ready") | ~getattr(self, f"has_{port}") for port in chain_ports(plan)]
            m.d.sync += self.ready.eq(Cat(control.ready, *behind).all())
        if plan.settle:
            m.d.comb += [
                control.news.eq(exchange.news),
                exchange.frame.eq(control.start_frame),
                exchange.warm.eq(intake.warm),
                drain.settled.eq(control.settled),
                drain.steps.eq(control.step),
            ]

        # ---- update, exchange, drain ---------------------------------------------------------------------------------
        m.d.comb += [
            update.run.eq(control.running),
            update.drain.eq(draining | control.refreshing if plan.refresh else draining),
            exchange.event.eq(update.event),
            exchange.push.eq(~draining & update.event_valid & ~exchange.full),
            update.event_accept.eq(Mux(draining, drain.own_ready, ~exchange.full)),
            drain.own_valid.eq(draining & update.event_valid),
            drain.own_done.eq(draining & update.done),
            drain.own.k.eq(update.event.k),
            drain.own.y.eq(update.event.dy),
            drain.own.i.eq(self.i_base + update.event.i),
            drain.own.j.eq(self.j_base + update.event.j),
            drain.has_east.eq(self.has_east),
            drain.has_south.eq(self.has_south),
            drain.overflow.eq(control.overflow),
            drain.saturated.eq(control.late_saturated),
            drain.events.eq(control.late_events),
            scatter.event.eq(exchange.patch),
            scatter.event_valid.eq(exchange.patch_valid),
            exchange.patch_ready.eq(scatter.event_ready),
            exchange.scatter_idle.eq(scatter.idle),
            exchange.present.eq(self.present),
            exchange.acknowledged.eq(self.acknowledged),
            self.link_out.eq(exchange.out),
            self.consumed.eq(exchange.consumed),
        ]
        m.d.comb += [getattr(exchange, f"in_{b}").eq(getattr(self, f"in_{b}")) for b in t.links]
        for port in chain_ports(plan):
            wiring.connect(m, wiring.flipped(getattr(self, port)), getattr(drain, port))
        wiring.connect(m, drain.out, wiring.flipped(self.codes))

        # ---- detect, gather, input -----------------------------------------------------------------------------------
        # one engine at a time issues work: the phase says only whose numbers go with it
        chosen = Signal(path.issue_layout)
        ours, theirs = phase == Phase.GATHER, phase == Phase.SCATTER
        m.d.comb += [
            chosen.gather.eq(gather.issue.gather),
            chosen.scatter.eq(scatter.issue.scatter | intake.issue.scatter),
            chosen.constant.eq(intake.issue.constant),
            chosen.operand.eq(
                Mux(ours, gather.issue.operand, Mux(theirs, scatter.issue.operand, intake.issue.operand))
            ),
            *[getattr(chosen, n).eq(getattr(gather.issue, n)) for n in ("d_addr", "d_skip", "d_en")],
            *[
                getattr(chosen, n).eq(Mux(ours, getattr(gather.issue, n), getattr(scatter.issue, n)))
                for n in ("w_addr", "rot")
            ],
            *[
                getattr(chosen, n).eq(Mux(theirs, getattr(scatter.issue, n), getattr(intake.issue, n)))
                for n in ("r_addr", "r_skip", "r_en")
            ],
            chosen.w_sub.eq(scatter.issue.w_sub),
        ]
        m.d.comb += [
            gather.event.eq(detect.event),
            gather.event_valid.eq(detect.event_valid),
            detect.event_accept.eq(gather.event_ready),
            *[getattr(detect, n).eq(getattr(self, n)) for n in ("y_low", "y_high", "x_low", "x_high")],
            intake.feed.eq(self.feed),
            self.feed_out.eq(intake.out),
            intake.y_origin.eq(self.y_origin),
            intake.x_origin.eq(self.x_origin),
            path.weight_en.eq(intake.weight_en),
            path.weight_addr.eq(intake.weight_addr),
            path.weight_data.eq(intake.weight_data),
            path.issue.eq(chosen),
        ]

        # ---- memories ------------------------------------------------------------------------------------------------
        # what the clear writes is what the engines' last registers hold then: 0 from the second clock of rest on
        clearing, clear, blank = phase == Phase.CLEAR, control.clear, Signal(init=1)
        m.d.sync += blank.eq((phase == Phase.IDLE) | clearing)
        formed_anew: Value = clearing  # of R, D and r~
        if plan.refresh:  # begins after a FLUSH: the registers are 0 from its first clock on
            formed_anew = clearing | (phase == Phase.REFRESH)
            blank = blank | control.start_refresh | (phase == Phase.REFRESH)
        m.d.comb += [engine.blank.eq(blank) for engine in (update, path, detect)]

        def write(store: BankedMemory, en: Value, addr: Value, word: Value, clearing: Value) -> None:
            """A write port, its enables and addresses taken by the clear while it lasts."""
            live = clearing & (clear < store.depth)
            m.d.comb += [
                store.write_en.eq(Mux(clearing, live.replicate(len(store.write_en)), en)),
                store.write_addr.eq(
                    Mux(
                        clearing,
                        clear[: store.address_bits].replicate(store.banks)
                        if len(clear) >= store.address_bits
                        else Cat(clear, *[0]).replicate(store.banks),
                        addr,
                    )
                ),
                store.write_data.eq(word),
            ]

        write(u, update.u_write_en, update.u_write_addr, update.u_write_data, clearing)
        write(d, path.d_write_en, path.d_write_addr, path.d_write_data, formed_anew)
        write(r, path.r_write_en, path.r_write_addr, path.r_write_data, formed_anew)
        write(s, detect.s_write_en, detect.s_write_addr, detect.s_write_data, formed_anew)
        m.d.comb += [
            u.read_en.eq(update.u_read_en),
            u.read_addr.eq(update.u_read_addr),
            update.u_read_data.eq(u.read_data),
            # a frozen update holds the outputs of U and D: nobody else may read them then
            d.read_en.eq(update.d_read_en | path.d_read_en),
            d.read_addr.eq(Mux(path.d_read_en, path.d_read_addr, update.d_read_addr)),
            update.d_read_data.eq(d.read_data),
            path.d_read_data.eq(d.read_data),
            r.read_en.eq(detect.r_read_en | path.r_read_en),
            r.read_addr.eq(Mux(path.r_read_en, path.r_read_addr, detect.r_read_addr)),
            detect.r_read_data.eq(r.read_data),
            path.r_read_data.eq(r.read_data),
            s.read_en.eq(detect.s_read_en),
            s.read_addr.eq(detect.s_read_addr),
            detect.s_read_data.eq(s.read_data),
        ]

        # ---- what a testbench sees -----------------------------------------------------------------------------------
        seen: dict[str, Value] = {
            "phase": phase,
            "step": control.step,
            "step_done": control.step_done,
            "hazard": path.hazard,
            "u_en": u.write_en,
            "u_addr": u.write_addr,
            "u_data": u.write_data,
            "d_en": d.write_en,
            "d_addr": d.write_addr,
            "d_data": d.write_data,
            "r_en": r.write_en,
            "r_addr": r.write_addr,
            "r_data": r.write_data,
            "s_en": s.write_en,
            "s_addr": s.write_addr,
            "s_data": s.write_data,
            "event": exchange.push,
            "event_k": update.event.k,
            "event_i": update.event.i,
            "event_j": update.event.j,
            "event_dy": update.event.dy,
            "sent": exchange.out.send,
            "pixel": gather.event_valid & gather.event_ready,
            "pixel_c": detect.event.c,
            "pixel_y": detect.event.y,
            "pixel_x": detect.event.x,
            "pixel_dr": detect.event.dr,
            "taken": gather.taken,
            **({"refreshed": control.refreshed} if plan.refresh else {}),
        }
        if self.observed:
            m.d.comb += [getattr(self, f"trace_{name}").eq(value) for name, value in seen.items()]
        return m
