"""A design run end to end in integers: bits, events, counts and cycles.

The ``delta`` schedule is the event-driven mesh of tiles that the RTL is; ``skip`` and ``dense`` form R and D anew in
every step and give the same bits. Nothing here is estimated: every count is incremented by the code that does the work.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ..golden.dictionary import Dictionary, shipped
from ..golden.errors import InputError
from ..golden.geometry import Geometry
from . import mesh
from .design import Design
from .detect import detect_of
from .drain import Drained, drain
from .exchange import clock_of, sorted_of
from .fixed import quantise
from .gram import gram
from .kernel import arithmetic, codes
from .picture import check_image, clipping
from .plan import Plan
from .recomputed import recomputed
from .refresh import add_input, refresh
from .run import Counts, Cycles, FloatArray, Ports, Run, Steps, StepView, ended, late_events, norm
from .sheet import drive_bound, layout_of, lists_of, state_of, types_of, weights_of
from .tile import shape_of
from .tiling import IntArray
from .timing import CLEAR_MARGIN, FLUSH_INPUT, Phase
from .update import update_of
from .view import view

_UNINTERRUPTED = 1 << 26
"""Updates of neurons between two looks at the keyboard's interrupt, about: a tenth of a second."""


@dataclass(frozen=True)
class _Timeline:
    """A frame up to its drain."""

    load: int  # cycle of the last pixel
    drain_begin: IntArray
    codes: npt.NDArray[np.integer]  # (h, v, K)
    phases: IntArray

    def cycles(self, drained: Drained) -> Cycles:
        """The clock of the whole frame, for one way of draining it."""
        rows = np.concatenate([self.phases, _phase_rows(Phase.IDLE, drained.idle)])
        rows = rows[np.lexsort((rows[:, 2], rows[:, 0]))]
        return Cycles(int(drained.cycles[-1]) + 1, self.load, int(self.drain_begin.max()) - 1, rows, drained.cycles)


class Machine:
    """The delta machine of one design and dictionary, with the state that a warm frame builds on.

    Args:
        plan: the machine. weights: (K, C, p, p) integers of the plan's weight format.
        threads: processors that share the work; the result does not depend on it.

    Raises:
        InputError: fewer than one thread.
    """

    def __init__(self, plan: Plan, weights: IntArray, threads: int = 1) -> None:
        if threads < 1:
            raise InputError(f"threads must be at least 1, not {threads}")
        t, g = plan.tiling, plan.tiling.geometry
        self.plan, self.weights, self.threads = plan, np.ascontiguousarray(weights, np.int64), threads
        a, layout, types = arithmetic(plan), layout_of(plan), types_of(plan, self.weights)
        self._word_bits, self._drive_bound = np.dtype(types.membrane).itemsize * 8, drive_bound(plan, self.weights)
        self._engine = mesh.Engine(
            layout,
            shape_of(plan),
            a,
            update_of(plan, a, self._word_bits, self._drive_bound),
            detect_of(plan, a),
            weights_of(layout, self.weights, types),
            state_of(layout, types),
            lists_of(layout, types, threads),
            sorted_of(plan),
            clock_of(plan),
            np.zeros((t.count, 4), np.int64),
            np.zeros(1, np.bool_),
            np.array([plan.settle, 0], np.int64),
            mesh.counters_of(threads),
        )
        self.input = np.zeros(g.image_shape, np.int64)
        self.dirty = True
        self.threshold = plan.threshold_q  # of the state: its codes are T of the membranes with this one
        self._now = plan  # with the values of the frame
        self._last: _Timeline | None = None

    @property
    def overflow(self) -> bool:
        """An add into R left its word since the last cold start."""
        return bool(self._engine.flag[0])

    def frame(
        self,
        image: IntArray,
        steps: int,
        *,
        warm: bool = False,
        threshold: int | None = None,
        cutoff: int | None = None,
        shift: int | None = None,
        ports: Ports | None = None,
        observe: Callable[[StepView], None] | None = None,
        refreshed: Callable[[StepView], None] | None = None,
        reference: FloatArray | None = None,
    ) -> Run:
        """One frame: load, ``steps`` steps (fewer when it settles), drain.

        Args:
            image: (C, H, W) integers of the input format. warm: start from the state of the frame before.
            threshold, cutoff, shift: of this frame, in place of the design's (``Plan.at_run_time``).
            ports: handshakes of the outside world. observe: called after every step. refreshed: called after every
            refresh, with the step that follows it and the codes as events from 0.
            reference: (C, H, W) the float image, for the percent error of each step (the quantised input where not
            given).

        Raises:
            InputError: a warm frame on a machine that holds none, or whose state was made with another threshold; fewer
                than one step; a value that ``Plan.at_run_time`` refuses.
        """
        if steps < 1:
            raise InputError(f"dynamics.steps must be at least 1 on the machine, not {steps}")
        if warm and self.dirty:
            raise InputError("a warm frame needs the state of a frame before it; run a cold frame first")
        plan, t, ports = self._set(threshold, cutoff, shift, warm), self.plan.tiling, ports or Ports()
        lost, scale = _lost(image, plan, reference)
        trace = mesh.trace_of(steps, t.count)
        started = time.perf_counter()
        log, load = self._load(image, warm, ports)
        resent: dict[int, int] = {}
        log, done = self._run(steps, lost, trace, log, observe, refreshed, resent)
        trace = mesh.done_of(trace, done)
        begin = self._engine.clock.begin.copy()
        sheet = self._engine.state.u.reshape(*t.geometry.sheet, t.geometry.kernels)
        found = codes(sheet, self._engine.arithmetic).astype(np.int32)
        drained = drain(t, found, begin, load + 1, ports.codes_ready)
        seconds = time.perf_counter() - started
        self._last = _Timeline(load, begin, found, np.concatenate([log, _phase_rows(Phase.DRAIN, begin)]))
        events_late, saturated_late, quiet = late_events(trace.code_events, trace.outside)
        at_rest = bool(self._engine.counters[mesh.REST])
        return Run(
            plan,
            image.copy(),
            self.weights,
            np.ascontiguousarray(np.moveaxis(found, -1, 0), np.int64),
            self._membrane(),
            self._own(self._engine.state.r),
            self._counts(trace, image.size, len(drained.beats), resent),
            self._last.cycles(drained),
            self._steps(trace, scale, resent),
            ended(events_late, saturated_late, quiet, t.geometry.neurons, at_rest),
            self.overflow,
            (),
            seconds,
            events_late,
            saturated_late > 0,
            trace.traffic.sum(axis=0),
            at_rest,
        )

    def _set(self, threshold: int | None, cutoff: int | None, shift: int | None, warm: bool) -> Plan:
        """Give the engine the values of a frame; the plan with them."""
        plan = self.plan.at_run_time(threshold=threshold, cutoff=cutoff, shift=shift)
        if warm and plan.threshold_q != self.threshold:
            raise InputError(
                f"a warm frame goes on with the threshold of its state, {self.threshold} membrane units, not "
                f"{plan.threshold_q}; run a cold frame"
            )
        a, self.threshold, self._now = arithmetic(plan), plan.threshold_q, plan
        update = update_of(plan, a, self._word_bits, self._drive_bound)
        self._engine = self._engine._replace(arithmetic=a, update=update, detect=detect_of(plan, a))
        return plan

    def _run(
        self,
        steps: int,
        lost: npt.NDArray[np.float32],
        trace: mesh.Trace,
        log: IntArray,
        observe: Callable[[StepView], None] | None,
        refreshed: Callable[[StepView], None] | None,
        resent: dict[int, int],
    ) -> tuple[IntArray, int]:
        """The steps of a frame; the log of phases, and the steps done. ``resent``: step -> codes that the refresh
        before it sent."""
        plan = self._now
        shifts = np.array([next(s for first, s in reversed(plan.step_shift) if first <= n) for n in range(steps)])
        at_once = 1 if observe is not None else max(1, _UNINTERRUPTED // plan.tiling.geometry.neurons)
        logged, first, often = len(log), 0, plan.refresh or steps
        while first < steps:
            if first and first % often == 0:
                resent[first], log, logged = refresh(
                    plan, self._engine, self.input, trace.exchanges[first], trace.traffic[first], log, logged
                )
                if refreshed is not None:
                    refreshed(view(first, plan, self._engine, self._engine.state.s))
            sent = self._engine.state.s.copy() if observe is not None else None
            last = min(steps, first + at_once, first - first % often + often)
            log, logged, done = self._together(first, last, shifts, lost, trace, log, logged)
            if observe is not None and sent is not None:
                observe(view(first, plan, self._engine, sent))
            first = last
            if self._engine.counters[mesh.REST]:
                break
        return log[:logged], done

    def _together(  # type: ignore[no-untyped-def]
        self,
        first: int,
        last: int,
        shifts: IntArray,
        lost: npt.NDArray[np.float32],
        trace: mesh.Trace,
        log: IntArray,
        logged: int,
    ):
        """``mesh.advance`` on all threads."""
        others = [
            threading.Thread(
                target=mesh.advance,
                args=(n, self.threads, first, last, shifts, lost, self._engine, trace, log[:0], 0),
            )
            for n in range(1, self.threads)
        ]
        for other in others:
            other.start()
        try:
            return mesh.advance(0, self.threads, first, last, shifts, lost, self._engine, trace, log, logged)
        except SystemError as error:  # Ctrl-C that came while compiled code ran is reported on its return in this guise
            if isinstance(error.__cause__, KeyboardInterrupt):
                raise KeyboardInterrupt from None
            raise
        finally:
            for other in others:
                other.join()

    def _load(self, image: IntArray, warm: bool, ports: Ports) -> tuple[IntArray, int]:
        """Clear (cold) and add the input's change to R, set the clock; the phases, and the cycle of the last pixel."""
        plan, t, state = self.plan, self.plan.tiling, self._engine.state
        if not warm:
            for array in (state.u, state.d, state.r, state.s, state.active, self.input, self._engine.flag):
                array[...] = 0
        add_input(plan, self._engine, image - self.input)
        self.input[...] = image
        self.dirty = False
        hops = np.array([sum(t.place(n)) for n in range(t.count)], np.int64)
        first_pixel = 2 + (0 if warm else t.clear_cycles + CLEAR_MARGIN)
        last = int(ports.pixels[-1]) if ports.pixels is not None else first_pixel + image.size - 1
        log = [] if warm else [_phase_rows(Phase.CLEAR, 3 + hops)]
        log.append(_phase_rows(Phase.INPUT, 3 + hops + (0 if warm else t.clear_cycles)))
        log.append(_phase_rows(Phase.FLUSH, last + 4 + hops))
        clock = self._engine.clock
        clock.begin[:] = last + 4 + FLUSH_INPUT + hops
        clock.acknowledged[:] = -(1 << 40)
        self._engine.settle[1] = warm
        return np.concatenate(log), last

    def replay(self, ports: Ports) -> Cycles:
        """The clock of the last frame again, for other handshakes: the bits and the events are the same.

        The input's stalls move everything after the load by as much; the output's stall the drain alone.
        """
        assert self._last is not None, "no frame was run"
        last = self._last
        later = 0 if ports.pixels is None else int(ports.pixels[-1]) - last.load
        moved = last.phases.copy()
        loading = np.logical_and.accumulate(np.isin(moved[:, 1], (Phase.CLEAR, Phase.INPUT)))  # these phases come first
        moved[:, 2] += np.where(loading, 0, later)
        timeline = _Timeline(last.load + later, last.drain_begin + later, last.codes, moved)
        return timeline.cycles(
            drain(self.plan.tiling, last.codes, timeline.drain_begin, timeline.load + 1, ports.codes_ready)
        )

    def _counts(self, trace: mesh.Trace, pixels_in: int, codes_out: int, resent: dict[int, int]) -> Counts:
        t = self.plan.tiling
        steps, gathers, exchanges = len(trace.square), trace.gathers.sum(axis=0), trace.exchanges.sum(axis=0)
        return Counts(
            steps=steps,
            scatter_macs=int(exchanges[0]),
            gather_macs=int(gathers[0]),
            macs_dense=2 * t.geometry.pairs * steps,
            code_events=int(trace.code_events.sum()),
            residual_events=int(gathers[3]),
            link_events=int(exchanges[3]),
            rounds=int(exchanges[4]),
            scatter_issues=int(exchanges[1]),
            gather_issues=int(gathers[1]),
            gather_pauses=int(gathers[2]),
            scattered_events=int(exchanges[2]),
            detect_words=steps * t.count * t.sent_depth,
            update_positions=steps * t.count * t.positions,
            saturations=int(trace.outside.sum()),
            pixels_in=pixels_in,
            codes_out=codes_out,
            refreshes=len(resent),
            refresh_events=sum(resent.values()),
        )

    def _steps(self, trace: mesh.Trace, scale: float, resent: dict[int, int]) -> Steps:
        t, steps = self.plan.tiling, len(trace.square)
        refreshes, refresh_events = np.zeros((2, steps), np.int64)
        refreshes[list(resent)], refresh_events[list(resent)] = 1, list(resent.values())
        gathers, exchanges = trace.gathers.T.copy(), trace.exchanges.T.copy()
        return Steps(
            percent_error=100 * np.sqrt(trace.square) / scale if scale else np.zeros(steps),
            active=trace.active,
            code_events=trace.code_events,
            residual_events=gathers[3],
            link_events=exchanges[3],
            macs=gathers[0] + exchanges[0],
            end_cycle=trace.ends,
            scatter_macs=exchanges[0],
            gather_macs=gathers[0],
            scatter_issues=exchanges[1],
            gather_issues=gathers[1],
            gather_pauses=gathers[2],
            scattered_events=exchanges[2],
            update_positions=np.full(steps, t.count * t.positions, np.int64),
            detect_words=np.full(steps, t.count * t.sent_depth, np.int64),
            link_traffic=trace.traffic,
            refreshes=refreshes,
            refresh_events=refresh_events,
        )

    def _membrane(self) -> IntArray:
        """(K, H/s, W/s) membranes."""
        g, u = self.plan.tiling.geometry, self._engine.state.u
        return np.ascontiguousarray(np.moveaxis(u.reshape(*g.sheet, g.kernels), -1, 0), np.int64)

    def _own(self, region: npt.NDArray[np.integer]) -> IntArray:
        """(C, H, W): the image's part of an array over the region."""
        g = self.plan.tiling.geometry
        inside = region[:, g.margin : g.margin + g.image[0], g.margin : g.margin + g.image[1]]
        return np.ascontiguousarray(inside, np.int64)


def _lost(image: IntArray, plan: Plan, reference: FloatArray | None) -> tuple[npt.NDArray[np.float32], float]:
    """What quantising took from the float image (C, H, W), and the image's norm; nothing where there is no image."""
    quantised = np.asarray(image * plan.input.scale, np.float64)
    if reference is None:
        return np.zeros(image.shape, np.float32), norm(quantised)
    return np.ascontiguousarray(reference - quantised, np.float32), norm(reference)


def _phase_rows(phase: Phase, cycles: IntArray) -> IntArray:
    rows = np.empty((len(cycles), 3), np.int64)
    rows[:, 0], rows[:, 1], rows[:, 2] = np.arange(len(cycles)), int(phase), cycles
    return rows


def _compile(plan: Plan, weights: IntArray, schedule: str) -> None:
    """Have the compiled functions ready (from their cache, or compiled now) by a step on a single position.

    So the time that a run reports is the run's own, the first time too.
    """
    g = plan.tiling.geometry
    single = Geometry((g.stride, g.stride), g.channels, g.kernels, g.patch, g.stride)
    tiling = replace(plan.tiling, geometry=single, tiles=(1, 1), update_positions=1)
    small, nothing = replace(plan, tiling=tiling, refresh=min(1, plan.refresh)), np.zeros(single.image_shape, np.int64)
    if schedule == "gram":
        gram(small, weights, nothing, 1)
    elif schedule == "delta":
        Machine(small, weights).frame(nothing, 2 if plan.refresh else 1)
    else:
        recomputed(small, weights, nothing, 1, skip=schedule == "skip")


def load_dictionary(design: Design) -> Dictionary:
    """The dictionary a design names: the shipped one of its shape, or the file.

    Raises:
        InputError: no such dictionary, or one of another shape.
    """
    network = design.network
    if network.dictionary == "natural":
        return shipped(network.kernels, network.patch, network.stride, network.channels)
    dictionary = Dictionary.load(network.dictionary)
    have, want = dictionary.atoms.shape, design.geometry.dictionary_shape
    if have != want:
        raise InputError(
            f"dictionary {network.dictionary} is of shape (K, C, p, p) = {have}, the design wants {want}; "
            f"set network.kernels, channels and patch to the dictionary's, or name another one"
        )
    if dictionary.stride != network.stride:
        raise InputError(
            f"dictionary {network.dictionary} was learned at stride {dictionary.stride}, the design has "
            f"network.stride {network.stride}; use stride {dictionary.stride} or another dictionary"
        )
    return dictionary


def simulate(
    image: FloatArray,
    design: Design,
    *,
    dictionary: Dictionary | None = None,
    observe: Callable[[StepView], None] | None = None,
    refreshed: Callable[[StepView], None] | None = None,
    threads: int = 1,
) -> Run:
    """Run a design on an image (C, H, W), cold, with the design's schedule.

    Args:
        dictionary: in place of the one the design names. observe, refreshed: called after every step and after every
        refresh (delta only).
        threads: processors that share the work (delta only); the result does not depend on it.

    Raises:
        InputError: an image of another shape or with NaN, and whatever ``design.check_machine`` refuses.
    """
    check_image(image, design)
    dictionary = dictionary if dictionary is not None else load_dictionary(design)
    weights = quantise(dictionary.atoms, design.formats.weight)
    plan = Plan.of(design, weights)
    x = plan.quantise_image(image)
    _compile(plan, weights, design.machine.schedule)
    if design.machine.schedule == "delta":
        machine = Machine(plan, weights, threads)
        run = machine.frame(x, design.dynamics.steps, observe=observe, refreshed=refreshed, reference=image)
    elif design.machine.schedule == "gram":
        run = gram(plan, weights, x, design.dynamics.steps, reference=image)
    else:
        run = recomputed(
            plan, weights, x, design.dynamics.steps, skip=design.machine.schedule == "skip", reference=image
        )
    notes = [*design.warnings(weights), *clipping(image, x, plan)]
    if run.overflow:
        proven = design.resolved_widths(weights).residual_proven
        notes.append(
            f"R left its word of {plan.residual_width} bits: it is right only modulo 2^{plan.residual_width}; "
            f"use machine.residual_accumulator = {proven}"
        )
    return replace(run, warnings=tuple(notes))


__all__ = ["Counts", "Cycles", "Machine", "Ports", "Run", "StepView", "Steps", "load_dictionary", "simulate"]
