"""A design run end to end in integers: bits, events, counts and cycles.

The ``delta`` schedule is the event-driven mesh of tiles that the RTL is; ``skip`` and ``dense`` form R and D anew in
every step and give the same bits. Nothing here is estimated: every count is incremented by the code that does the work.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..golden.dictionary import Dictionary, shipped
from ..golden.errors import InputError
from ..golden.geometry import Geometry
from . import mesh
from .design import Design
from .drain import Drained, drain
from .fixed import quantise
from .kernel import arithmetic, code_of
from .plan import Plan
from .recomputed import recomputed
from .run import Counts, Cycles, FloatArray, Ports, Run, Steps, StepView, ended, error_percent, norm, word_type
from .tile import shape_of
from .tiling import DIRECTIONS, IntArray
from .timing import CLEAR_MARGIN, FLUSH_INPUT, WINDOW, Phase


@dataclass(frozen=True)
class _Timeline:
    """A frame up to its drain."""

    load: int  # cycle of the last pixel
    drain_begin: IntArray
    present: list[list[IntArray]]
    phases: IntArray

    def cycles(self, drained: Drained) -> Cycles:
        rows = np.concatenate([self.phases, _phase_rows(Phase.IDLE, drained.idle)])
        rows = rows[np.lexsort((rows[:, 2], rows[:, 0]))]
        return Cycles(int(drained.cycles[-1]) + 1, self.load, int(self.drain_begin.max()) - 1, rows, drained.cycles)


@dataclass
class _Tally:
    """What a frame has done so far: the compiled functions' counters, and what each step added to them."""

    gathers: IntArray  # products, issues, pauses, residual events, words scanned
    updates: IntArray  # code events, membranes outside, positions; [3] neurons active now
    exchanges: IntArray  # products, issues, events scattered; [3] overflow; link events, rounds
    traffic: IntArray  # (T, 8) events sent, by link
    rows: list[tuple[float, int, int, int, int, int]]
    events_late: int = 0
    saturated_late: int = 0
    quiet: int = 0

    @classmethod
    def empty(cls, tiles: int) -> "_Tally":
        gathers, updates, exchanges = (np.zeros(n, np.int64) for n in (5, 4, 6))
        return cls(gathers, updates, exchanges, np.zeros((tiles, 8), np.int64), [])

    def now(self) -> IntArray:
        """Code events, residual events, link events, products, membranes outside."""
        g, u, e = self.gathers, self.updates, self.exchanges
        return np.array([u[0], g[3], e[4], g[0] + e[0], u[1]], np.int64)

    def add(self, before: IntArray, error: float, left: int) -> None:
        """Close a step that began at ``before``; ``left`` steps remain, it included."""
        code, residual, link, macs, outside = (self.now() - before).tolist()
        self.rows.append((error, int(self.updates[3]), code, residual, link, macs))
        self.quiet = 0 if code else self.quiet + 1
        if left <= WINDOW:
            self.events_late += code
            self.saturated_late += outside

    def counts(self, steps: int, macs_dense: int, pixels_in: int, codes_out: int) -> Counts:
        g, u, e = self.gathers.tolist(), self.updates.tolist(), self.exchanges.tolist()
        return Counts(
            steps=steps, scatter_macs=e[0], gather_macs=g[0], macs_dense=macs_dense, code_events=u[0],
            residual_events=g[3], link_events=e[4], rounds=e[5], scatter_issues=e[1], gather_issues=g[1],
            gather_pauses=g[2], scattered_events=e[2], detect_words=g[4], update_positions=u[2], saturations=u[1],
            pixels_in=pixels_in, codes_out=codes_out,
        )  # fmt: skip

    def steps(self, ends: IntArray) -> Steps:
        error, *rest = zip(*self.rows, strict=True)
        active, code, residual, link, macs = (np.array(column, np.int64) for column in rest)
        return Steps(np.array(error), active, code, residual, link, macs, ends)


class Machine:
    """The delta machine of one design and dictionary, with the state that a warm frame builds on.

    Args:
        plan: the machine. weights: (K, C, p, p) integers of the plan's weight format.
    """

    def __init__(self, plan: Plan, weights: IntArray) -> None:
        t, g = plan.tiling, plan.tiling.geometry
        self.plan, self.weights = plan, np.ascontiguousarray(weights, np.int64)
        drive = word_type(plan.drive_width)
        self._gather_weights = np.ascontiguousarray(np.moveaxis(self.weights, 0, -1), drive)
        self._a, self._shape, self._send = arithmetic(plan), shape_of(plan), t.send_mask()
        self._inside = np.array([t.inside(n) for n in range(t.count)], np.int64)
        self._wiring = mesh.Wiring(
            t.neighbours, np.array(DIRECTIONS, np.int64), np.array(t.block, np.int64), plan.link_depth
        )
        (th, tw), (hr, wr), k = t.block, t.region, g.kernels
        self.u, self.d = np.zeros((t.count, th, tw, k), np.int64), np.zeros((t.count, th, tw, k), drive)
        self.r, self.s = (np.zeros((t.count, g.channels, hr, wr), np.int64) for _ in range(2))
        events = [np.zeros((t.count, th * tw * k), np.int64) for _ in range(5)]
        self._codes = (events[0], events[1], events[2], events[3], events[4])
        self._serial = np.zeros((t.count, th * tw * k), np.int64)
        self._pixels = tuple(np.zeros((t.count, g.channels * hr * wr), np.int64) for _ in range(5))
        self.input = np.zeros(g.image_shape, np.int64)
        self.overflow, self.dirty = False, True
        self._last: _Timeline | None = None

    def frame(
        self,
        image: IntArray,
        steps: int,
        *,
        warm: bool = False,
        ports: Ports | None = None,
        observe: Callable[[StepView], None] | None = None,
        reference: FloatArray | None = None,
    ) -> Run:
        """One frame: load, ``steps`` steps, drain.

        Args:
            image: (C, H, W) integers of the input format. warm: start from the state of the frame before.
            ports: handshakes of the outside world. observe: called after every step.
            reference: (C, H, W) the float image, for the percent error of each step (the quantised input where not
            given).

        Raises:
            InputError: a warm frame on a machine that holds none, or fewer than one step.
        """
        if steps < 1:
            raise InputError(f"dynamics.steps must be at least 1 on the machine, not {steps}")
        if warm and self.dirty:
            raise InputError("a warm frame needs the state of a frame before it; run a cold frame first")
        plan, t, ports = self.plan, self.plan.tiling, ports or Ports()
        started = time.perf_counter()
        log: list[IntArray] = []
        begin, load = self._load(image, warm, ports, log)
        tally = _Tally.empty(t.count)
        quantised = np.asarray(image * plan.input.scale, np.float64)
        lost = np.zeros_like(quantised) if reference is None else reference - quantised
        scale = norm(quantised + lost)
        acknowledged = np.full((t.count, 8), -(1 << 40), np.int64)
        ends = np.zeros((steps, t.count), np.int64)
        for n in range(steps):
            before = tally.now()
            log.append(_phase_rows(Phase.GATHER, begin))
            found, pixel_events = mesh.gather_all(
                self.r, self.s, self.d, self._gather_weights, self._inside, begin, self._a, self._shape, self._pixels,
                tally.gathers,
            )  # fmt: skip
            wait = mesh.wait_after_gather(found)
            log += [_phase_rows(Phase.FLUSH, found + 1), _phase_rows(Phase.WAIT, wait)]
            shift = next(s for first, s in reversed(plan.step_shift) if first <= n)
            events, cycles = mesh.update_all(
                self.u, self.d, shift, self._a, self._send, self._codes, self._serial, tally.updates
            )
            changed = mesh.Changed(self._codes, self._serial, events, cycles)
            done, phases = mesh.exchange(
                self.r, self.weights, changed, self._wiring, wait, acknowledged, self._shape, self._a, tally.exchanges,
                tally.traffic,
            )  # fmt: skip
            log.append(phases)
            begin = mesh.gather_after_exchange(done)
            ends[n] = begin - 1
            residual = np.asarray(self._assemble(self.r) * plan.residual_scale + lost, np.float64)
            tally.add(before, error_percent(residual, scale), steps - n)
            if observe is not None:
                observe(self._view(n, events, pixel_events))
        self.overflow |= bool(tally.exchanges[3])
        present = self._present()
        drained = drain(t, present, begin, load + 1, ports.codes_ready)
        self._last = _Timeline(load, begin, present, np.concatenate([*log, _phase_rows(Phase.DRAIN, begin)]))
        seconds = time.perf_counter() - started
        membrane = _global(self.u, t.tiles)
        return Run(
            plan,
            image.copy(),
            self.weights,
            code_of(membrane, plan),
            membrane,
            self._assemble(self.r),
            tally.counts(steps, 2 * t.geometry.pairs * steps, image.size, len(drained.beats)),
            self._last.cycles(drained),
            tally.steps(ends),
            ended(tally.events_late, tally.saturated_late, tally.quiet, t.geometry.neurons),
            self.overflow,
            (),
            seconds,
            tally.events_late,
            tally.saturated_late > 0,
            tally.traffic,
        )

    def _view(self, step: int, events: IntArray, pixel_events: IntArray) -> StepView:
        tiles = range(self.plan.tiling.count)
        return StepView(
            step,
            self.u,
            np.asarray(self.d, np.int64),
            self.r,
            self.s,
            [np.stack([c[tile, : events[tile]] for c in self._codes], axis=1) for tile in tiles],
            [np.stack([p[tile, : pixel_events[tile]] for p in self._pixels[:4]], axis=1) for tile in tiles],
        )

    def _load(self, image: IntArray, warm: bool, ports: Ports, log: list[IntArray]) -> tuple[IntArray, int]:
        """Clear (cold) and add the input's change to R; the first gather cycle of each tile, and
        the cycle of the last pixel."""
        plan, t = self.plan, self.plan.tiling
        if not warm:
            for state in (self.u, self.d, self.r, self.s):
                state[:] = 0
            self.input[:] = 0
            self.overflow = False
        change = (image - self.input) << plan.input_shift
        half = 1 << (plan.residual_width - 1)
        for tile in range(t.count):
            (y0, x0), (y_low, y_high, x_low, x_high) = t.origin(tile), t.inside(tile)
            part = self.r[tile, :, y_low:y_high, x_low:x_high]
            part += change[:, y0 + y_low : y0 + y_high, x0 + x_low : x0 + x_high]
            self.overflow |= bool(((part >= half) | (part < -half)).any())
            part[:] = (part + half) % (2 * half) - half
        self.input[:] = image
        self.dirty = False
        hops = np.array([sum(t.place(n)) for n in range(t.count)], np.int64)
        first_pixel = 2 + (0 if warm else t.clear_cycles + CLEAR_MARGIN)
        last = int(ports.pixels[-1]) if ports.pixels is not None else first_pixel + image.size - 1
        if not warm:
            log.append(_phase_rows(Phase.CLEAR, 3 + hops))
        log.append(_phase_rows(Phase.INPUT, 3 + hops + (0 if warm else t.clear_cycles)))
        log.append(_phase_rows(Phase.FLUSH, last + 4 + hops))
        return last + 4 + FLUSH_INPUT + hops, last

    def replay(self, ports: Ports) -> Cycles:
        """The clock of the last frame again, for other handshakes: the bits and the events are the same.

        The input's stalls move everything after the load by as much; the output's stall the drain alone.
        """
        assert self._last is not None, "no frame was run"
        last = self._last
        later = 0 if ports.pixels is None else int(ports.pixels[-1]) - last.load
        moved = last.phases.copy()
        moved[:, 2] += np.where(np.isin(moved[:, 1], (Phase.CLEAR, Phase.INPUT)), 0, later)
        timeline = _Timeline(last.load + later, last.drain_begin + later, last.present, moved)
        return timeline.cycles(
            drain(self.plan.tiling, last.present, timeline.drain_begin, timeline.load + 1, ports.codes_ready)
        )

    def _present(self) -> list[list[IntArray]]:
        """Per tile and position the (k, y) pairs that are not 0."""
        y, positions = code_of(self.u, self.plan), self.plan.tiling.positions
        present = []
        for tile in range(self.plan.tiling.count):
            flat = y[tile].reshape(positions, -1)
            at, k = np.nonzero(flat)
            pairs = np.stack([k, flat[at, k]], axis=1)
            present.append(np.split(pairs, np.searchsorted(at, np.arange(1, positions))))
        return present

    def _assemble(self, regions: IntArray) -> IntArray:
        """(C, H, W) from the tiles' own pixels of an array of regions (T, C, Hr, Wr)."""
        t, g = self.plan.tiling, self.plan.tiling.geometry
        height, width = t.block[0] * g.stride, t.block[1] * g.stride
        own = regions[:, :, g.margin : g.margin + height, g.margin : g.margin + width]
        return np.ascontiguousarray(
            own.reshape(*t.tiles, g.channels, height, width).transpose(2, 0, 3, 1, 4).reshape(g.image_shape)
        )


def _phase_rows(phase: Phase, cycles: IntArray) -> IntArray:
    rows = np.empty((len(cycles), 3), np.int64)
    rows[:, 0], rows[:, 1], rows[:, 2] = np.arange(len(cycles)), int(phase), cycles
    return rows


def _global(blocks: IntArray, tiles: tuple[int, int]) -> IntArray:
    """(K, H/s, W/s) from the tiles' blocks (T, th, tw, K)."""
    _, th, tw, k = blocks.shape
    return np.ascontiguousarray(
        blocks.reshape(*tiles, th, tw, k).transpose(4, 0, 2, 1, 3).reshape(k, tiles[0] * th, tiles[1] * tw)
    )


def _compile(plan: Plan, weights: IntArray, schedule: str) -> None:
    """Have the compiled functions ready (from their cache, or compiled now) by a step on a single position.

    So the time that a run reports is the run's own, the first time too.
    """
    g = plan.tiling.geometry
    single = Geometry((g.stride, g.stride), g.channels, g.kernels, g.patch, g.stride)
    small, nothing = (
        replace(plan, tiling=replace(plan.tiling, geometry=single, tiles=(1, 1))),
        np.zeros(single.image_shape, np.int64),
    )
    if schedule == "delta":
        Machine(small, weights).frame(nothing, 1)
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
) -> Run:
    """Run a design on an image (C, H, W), cold, with the design's schedule.

    Args:
        dictionary: in place of the one the design names. observe: called after every step (delta only).

    Raises:
        InputError: an image of another shape or with NaN, and whatever ``design.check_machine`` refuses.
    """
    if image.shape != design.geometry.image_shape:
        raise InputError(
            f"the image is {image.shape}, the design wants (C, H, W) = {design.geometry.image_shape}; "
            f"crop the image or set network.image and network.channels"
        )
    if not np.isfinite(image).all():
        raise InputError("the image holds NaN or infinite values; mend the file")
    dictionary = dictionary if dictionary is not None else load_dictionary(design)
    weights = quantise(dictionary.atoms, design.formats.weight)
    plan = Plan.of(design, weights)
    x = plan.quantise_image(image)
    _compile(plan, weights, design.machine.schedule)
    if design.machine.schedule == "delta":
        run = Machine(plan, weights).frame(x, design.dynamics.steps, observe=observe, reference=image)
    else:
        run = recomputed(
            plan, weights, x, design.dynamics.steps, skip=design.machine.schedule == "skip", reference=image
        )
    notes = design.warnings(weights)
    clipped = np.count_nonzero(np.abs(x * plan.input.scale - image) > plan.input.scale)
    if clipped:
        notes.append(
            f"formats.input {plan.input} cannot hold {clipped} of {image.size} input values ({image.min():.3f} .. "
            f"{image.max():.3f}): they were clipped; give it a wider range"
        )
    if run.overflow:
        proven = design.resolved_widths(weights).residual_proven
        notes.append(
            f"R left its word of {plan.residual_width} bits: it is right only modulo 2^{plan.residual_width}; "
            f"use machine.residual_accumulator = {proven}"
        )
    return replace(run, warnings=tuple(notes))


__all__ = ["Counts", "Cycles", "Machine", "Ports", "Run", "StepView", "Steps", "load_dictionary", "simulate"]
