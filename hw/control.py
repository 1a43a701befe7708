"""Control: the order of things in a tile. Which phase it is in, which step, and how a frame ends.

    idle | clear | input | (gather | update and scatter, in rounds) x steps | drain

With ``refresh`` also, before some steps, ``refresh | input | update and scatter, in rounds``: R, D and r~ are cleared,
the input comes again, and the codes that are not 0 are scattered (``sim/refresh.py``).

Every engine says when it is done and is told when to begin; nothing else in a tile knows the phase.
"""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..sim.plan import Plan
from ..sim.tiling import bits
from ..sim.timing import FLUSH_GATHER, FLUSH_INPUT, FLUSH_SCATTER, WINDOW, Phase
from .feed import command_numbers

REFRESH_OUTPUTS = ("refreshing", "ready", "start_refresh", "refreshed")
"""Outputs that only a control with ``refresh`` has."""


class Control(wiring.Component):
    """The state machine of one tile, its step counter and its closing word.

    Members:
        begin, warm, steps, threshold, cutoff, shift: In, a command arrives. input_last: In(1), the last pixel is issued
        in this cycle.
        gathered: In(1), detect and gather are done.
        self_last, may_start, finished, all_last: In, of the exchange. news: In(1), with ``settle``: some tile had a
        code event SETTLE_DELAY steps ago.
        refused: In(1), update has an event that the round cannot take. updated: In(1), its last position leaves.
        drained: In(1), the closing word enters the queue.
        pushed, saturated, overflowed: In(1), a code event, a membrane outside its range, an add that left R's word.
        phase: Out. clear: Out, the word that the clear writes. step: Out, steps done.
        frame_threshold, frame_cutoff: Out, of the frame. shift_choice: Out, the step's: which of
        ``Plan.shift_choices``.
        start_frame: Out(1), a frame begins. start_gather, start_update, start_drain: Out(1), the phase begins in the
        next cycle. close, last, scatter: Out(1), the round ends, it was the last one, scatter all sources.
        running, draining: Out(1), registers: the phase is UPDATE or DRAIN, and DRAIN.
        step_done: Out(1), the last cycle of a step.
        overflow, late_saturated, late_events: Out, status of the frame: sticky, and over its last WINDOW steps.
        settled: Out(1), with ``settle``: the frame was ended by rest.
        refreshing: Out(1), with ``refresh``: R is being formed anew. ready: Out(1), it is cleared and the input may
        come. start_refresh: Out(1), the phase begins in the next cycle. refreshed: Out(1), the last cycle of it all.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        flags = (
            "begin", "warm", "input_last", "gathered", "self_last", "may_start", "finished", "all_last", "refused",
            "updated", "drained", "pushed", "saturated", "overflowed",
        )  # fmt: skip
        strobes = (
            "start_frame", "start_gather", "start_update", "start_drain", "close", "last", "scatter", "step_done",
        )  # fmt: skip
        super().__init__(
            {
                **{name: In(1) for name in flags},
                **{name: In(shape) for name, shape in command_numbers(plan).items()},
                **{name: Out(1) for name in strobes},
                "phase": Out(Phase, init=Phase.IDLE),
                "clear": Out(bits(plan.tiling.clear_cycles)),
                "running": Out(1),
                "draining": Out(1),
                "step": Out(plan.steps_width),
                "frame_threshold": Out(plan.threshold_width),
                "frame_cutoff": Out(plan.cutoff_width),
                "shift_choice": Out(bits(len(plan.shift_choices))),
                "overflow": Out(1),
                "late_saturated": Out(1),
                "late_events": Out(plan.window_count_width),
                **({"news": In(1), "settled": Out(1)} if plan.settle else {}),
                **({name: Out(1) for name in REFRESH_OUTPUTS} if plan.refresh else {}),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        phase, clear_cycles = self.phase, self.plan.tiling.clear_cycles
        after, remaining = Signal(Phase), Signal(self.plan.steps_width)
        flush, step_end = Signal(range(FLUSH_INPUT + 1)), Signal()  # step_end: the flush under way ends a step
        ends = Signal()  # the step that ends in this cycle is the last one
        m.d.comb += ends.eq((remaining == 1) | self._rest(m))
        again = self.plan.refresh > 0
        next_step = self._next_step(m) if again else Phase.GATHER

        def to_flush(cycles: int, following: Phase | Value) -> None:
            m.d.sync += [phase.eq(Phase.FLUSH), flush.eq(cycles - 1), after.eq(following)]

        with m.Switch(phase):
            with m.Case(Phase.IDLE):
                with m.If(self.begin):
                    m.d.comb += self.start_frame.eq(1)
                    m.d.sync += [
                        phase.eq(Mux(self.warm, Phase.INPUT, Phase.CLEAR)),
                        self.clear.eq(0),
                        self.step.eq(0),
                        remaining.eq(self.steps),
                    ]
            with m.Case(Phase.CLEAR):
                m.d.sync += self.clear.eq(self.clear + 1)
                with m.If(self.clear == clear_cycles - 1):
                    m.d.sync += phase.eq(Phase.INPUT)
            with m.Case(Phase.INPUT):
                with m.If(self.input_last):
                    to_flush(FLUSH_INPUT, Mux(self.refreshing, Phase.WAIT, Phase.GATHER) if again else Phase.GATHER)
            with m.Case(Phase.FLUSH):
                m.d.sync += flush.eq(flush - 1)
                with m.If(flush == 0):
                    m.d.sync += [phase.eq(after), step_end.eq(0)]
                    m.d.sync += [flag.eq(after == Phase.DRAIN) for flag in (self.running, self.draining)]
                    m.d.comb += [
                        self.start_gather.eq(after == Phase.GATHER),
                        self.start_update.eq((after == Phase.WAIT) | (after == Phase.DRAIN)),
                        self.start_drain.eq(after == Phase.DRAIN),
                        self.step_done.eq(step_end),
                    ]
            with m.Case(Phase.GATHER):
                with m.If(self.gathered):
                    to_flush(FLUSH_GATHER, Phase.WAIT)
            with m.Case(Phase.WAIT):
                with m.If(self.self_last):
                    m.d.sync += phase.eq(Phase.SCATTER)
                    m.d.comb += self.scatter.eq(1)
                with m.Elif(self.may_start):
                    m.d.sync += [phase.eq(Phase.UPDATE), self.running.eq(1)]
            with m.Case(Phase.UPDATE):
                with m.If(self.refused | self.updated):
                    m.d.sync += [phase.eq(Phase.SCATTER), self.running.eq(0)]
                    m.d.comb += [self.close.eq(1), self.last.eq(~self.refused), self.scatter.eq(1)]
            with m.Case(Phase.SCATTER):
                with m.If(self.finished):
                    if again:
                        with m.If(self.all_last & self.refreshing):
                            to_flush(FLUSH_SCATTER, Phase.GATHER)
                    with m.If(self.all_last & ~self.refreshing if again else self.all_last):
                        m.d.sync += [step_end.eq(1), self.step.eq(self.step + 1), remaining.eq(remaining - 1)]
                        with m.If(ends):
                            to_flush(FLUSH_SCATTER, Phase.DRAIN)
                        with m.Else():
                            to_flush(FLUSH_SCATTER, next_step)
                    with m.Elif(~self.all_last) if again else m.Else():
                        m.d.sync += phase.eq(Phase.WAIT)
            with m.Case(Phase.DRAIN):
                with m.If(self.drained):
                    m.d.sync += [phase.eq(Phase.IDLE), self.running.eq(0), self.draining.eq(0)]

        if again:
            self._refresh(m, clear_cycles, (flush == 0) & (phase == Phase.FLUSH), after)

        with m.If(self.start_frame):
            m.d.sync += [self.frame_threshold.eq(self.threshold), self.frame_cutoff.eq(self.cutoff)]
        self._choose_shift(m)

        with m.If(self.overflowed):
            m.d.sync += self.overflow.eq(1)
        with m.Elif(self.start_frame & ~self.warm):
            m.d.sync += self.overflow.eq(0)
        if self.plan.settle:
            self._sliding_window(m)
        else:
            self._last_window(m, remaining)
        return m

    def _next_step(self, m: Module) -> Value:
        """What follows a step: a refresh where one is due. Counts the steps in between."""
        left = Signal(bits(self.plan.refresh), name="steps_left", init=self.plan.refresh - 1)
        with m.If(self.step_done):
            m.d.sync += left.eq(Mux(left == 0, self.plan.refresh - 1, left - 1))
        with m.If(self.start_frame):
            m.d.sync += left.eq(self.plan.refresh - 1)
        return Mux(left == 0, Phase.REFRESH, Phase.GATHER)

    def _refresh(self, m: Module, clear_cycles: int, flushed: Value, after: Signal) -> None:
        """The clear of a refresh, from when to when it lasts, and what others hear of it."""
        phase = self.phase
        with m.If(phase == Phase.REFRESH):
            m.d.sync += self.clear.eq(self.clear + 1)
            with m.If(self.clear == clear_cycles - 1):
                m.d.sync += phase.eq(Phase.INPUT)
        m.d.comb += [
            self.ready.eq(self.refreshing & (phase == Phase.INPUT)),
            self.start_refresh.eq(flushed & (after == Phase.REFRESH)),
            self.refreshed.eq(flushed & (after == Phase.GATHER) & self.refreshing),
        ]
        with m.If(self.start_refresh):
            m.d.sync += [self.refreshing.eq(1), self.clear.eq(0)]
        with m.Elif(self.refreshed):
            m.d.sync += self.refreshing.eq(0)

    def _choose_shift(self, m: Module) -> None:
        """The step's shift, the command's or the schedule's. Registers: a step begins long before its update."""
        plan, choices = self.plan, self.plan.shift_choices
        asked, due = Signal.like(self.shift, name="asked"), Signal.like(self.shift_choice, name="due")
        with m.If(self.start_frame):
            m.d.sync += asked.eq(self.shift)
        m.d.comb += due.eq(choices.index(plan.shifts[0]))
        for first, shift in plan.step_shift[1:]:
            with m.If(self.step >= first):
                m.d.comb += due.eq(choices.index(shift))
        with m.Switch(asked):
            for code in range(1, plan.shift_codes):
                with m.Case(code):
                    m.d.comb += due.eq(choices.index(plan.shift_range[0] + code - 1))
        m.d.sync += self.shift_choice.eq(due)

    def _last_window(self, m: Module, remaining: Signal) -> None:
        """Events and saturations of the last WINDOW steps: which steps those are is known when the frame begins."""
        in_window = Signal()
        with m.If(self.start_gather):
            m.d.sync += in_window.eq(remaining <= WINDOW)
        with m.If(self.start_frame):
            m.d.sync += [self.late_events.eq(0), self.late_saturated.eq(0)]
        with m.If(self.pushed & in_window):
            m.d.sync += self.late_events.eq(self.late_events + 1)
        with m.If(self.saturated & in_window):
            m.d.sync += self.late_saturated.eq(1)

    def _sliding_window(self, m: Module) -> None:
        """The same of a frame that may end at any step: a count a step, the oldest leaves when a step begins."""
        t = self.plan.tiling
        width = (t.positions * t.geometry.kernels).bit_length()
        history = [Signal(width, name=f"events_{n}") for n in range(WINDOW)]  # the step under way first
        outside = Signal(WINDOW)
        m.d.comb += self.late_saturated.eq(outside.any())
        with m.If(self.pushed):
            m.d.sync += [history[0].eq(history[0] + 1), self.late_events.eq(self.late_events + 1)]
        with m.If(self.saturated):
            m.d.sync += outside[0].eq(1)
        with m.If(self.start_gather):
            m.d.sync += [self.late_events.eq(self.late_events - history[-1]), outside.eq(outside << 1)]
            m.d.sync += history[0].eq(0)
            m.d.sync += [later.eq(earlier) for earlier, later in zip(history[:-1], history[1:], strict=True)]
        with m.If(self.start_frame):
            m.d.sync += [self.late_events.eq(0), outside.eq(0), Cat(*history).eq(0)]

    def _rest(self, m: Module) -> Signal:
        """High when the step under way is the last one because ``settle`` steps were quiet (``sim/settle.py``)."""
        rest = Signal()
        if self.plan.settle:
            quiet = Signal(bits(self.plan.settle))
            stirred = Signal()  # a warm frame, or there was an event: quiet counts
            m.d.comb += rest.eq(~self.news & stirred & (quiet == self.plan.settle - 1))
            with m.If(self.step_done):
                m.d.sync += [
                    quiet.eq(Mux(self.news | ~stirred, 0, quiet + 1)),
                    stirred.eq(stirred | self.news),
                    self.settled.eq(rest),
                ]
            with m.If(self.start_frame):
                m.d.sync += [quiet.eq(0), stirred.eq(self.warm)]
        return rest
