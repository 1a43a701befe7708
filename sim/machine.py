"""A design run end to end in integers: bits, events, counts and cycles.

The ``delta`` schedule is the event-driven mesh of tiles that the RTL is; ``skip`` and ``dense`` form R and D anew in every step
and give the same bits. Nothing here is estimated: every count is incremented by the code that does the work.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..golden.dictionary import Dictionary, shipped
from ..golden.errors import InputError
from ..golden.lca import Outcome
from ..golden.metrics import percent_error, percent_inactive, psnr_db
from . import mesh
from .design import Design
from .drain import Drained, drain
from .fixed import quantise
from .kernel import arithmetic, code_of, recompute
from .plan import Plan
from .tile import shape_of
from .tiling import DIRECTIONS, IntArray
from .timing import CLEAR_MARGIN, FLUSH_INPUT, WINDOW, Phase

Schedule = Literal["delta", "skip", "dense"]


@dataclass
class Counts:
    """What a run did. Words and products are those the machine performed, halo repeats included."""

    steps: int = 0
    scatter_macs: int = 0
    gather_macs: int = 0
    macs_dense: int = 0
    code_events: int = 0
    residual_events: int = 0
    link_events: int = 0
    rounds: int = 0
    scatter_issues: int = 0
    gather_issues: int = 0
    gather_pauses: int = 0
    scattered_events: int = 0
    detect_words: int = 0
    update_positions: int = 0
    saturations: int = 0
    pixels_in: int = 0
    codes_out: int = 0

    @property
    def macs(self) -> int:
        """Products performed."""
        return self.scatter_macs + self.gather_macs

    def as_dict(self) -> dict[str, int]:
        """Every count by name."""
        return {f.name: int(getattr(self, f.name)) for f in fields(self)} | {"macs": self.macs}


@dataclass(frozen=True)
class Steps:
    """What each step did: arrays of one entry a step, for plots. ``percent_error`` and ``active`` are after the step."""

    percent_error: npt.NDArray[np.float64]
    active: IntArray
    code_events: IntArray
    residual_events: IntArray
    link_events: IntArray
    macs: IntArray
    end_cycle: IntArray  # (steps, T): last cycle of the step's exchange in each tile; empty for skip and dense


@dataclass(frozen=True)
class Cycles:
    """The clock of a delta run; cycle 0 is the clock in which the command is accepted.

    Args:
        frame: from the command to the closing word, both included.
        load: until the last pixel was accepted. compute: until the last tile ended its last step.
        phases: (n, 3) rows (tile, phase, first cycle), by tile and cycle.
        beats: (codes + 1,) cycle in which each beat of the code stream left.
    """

    frame: int
    load: int
    compute: int
    phases: IntArray
    beats: IntArray


@dataclass(frozen=True)
class Run:
    """A finished run, in integers of the design's formats.

    Args:
        code, membrane: (K, H/s, W/s). residual: (C, H, W), the exact R of scale ``2^-(fw + fy)``.
        input, dictionary: (C, H, W) and (K, C, p, p) as the machine saw them.
        cycles: None for the schedules that are no machine (skip, dense).
        outcome: converged (no code changed in the last steps), max_steps or diverged.
        overflow: an add into R left its word: R is then right only modulo 2^width.
        warnings: what a reader of the numbers should know.
        compute_seconds: wall time from the quantised input to the last word.
    """

    plan: Plan
    input: IntArray
    dictionary: IntArray
    code: IntArray
    membrane: IntArray
    residual: IntArray
    counts: Counts
    cycles: Cycles | None
    steps: Steps
    outcome: Outcome
    overflow: bool
    warnings: tuple[str, ...]
    compute_seconds: float
    events_late: int = 0  # code changes in the last WINDOW steps: what the closing word carries
    saturated_late: bool = False
    link_traffic: IntArray = field(default_factory=lambda: np.zeros((0, 8), np.int64))  # (T, 8) events sent, by link

    @cached_property
    def residual_float(self) -> npt.NDArray[np.float64]:
        """R in units of the image."""
        return np.asarray(self.residual * 2.0 ** -(self.plan.weight.frac + self.plan.code.frac))

    @cached_property
    def code_float(self) -> npt.NDArray[np.float64]:
        """The code in units of the image."""
        return np.asarray(self.code * self.plan.code.scale)

    @property
    def percent_inactive(self) -> float:
        """100 (1 - nonzero / all)."""
        return percent_inactive(self.code)

    def percent_error(self, image: npt.NDArray[np.float64]) -> float:
        """100 |x - Phi y| / |x| against the float image (C, H, W), with the quantised dictionary."""
        return percent_error(image, self.residual_against(image))

    def psnr_db(self, image: npt.NDArray[np.float64]) -> float:
        """Peak signal-to-noise ratio of the reconstruction, peak 1."""
        return psnr_db(self.residual_against(image))

    def residual_against(self, image: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """x - Phi y for the float image x: R and what quantising the input took away."""
        return np.asarray(self.residual_float + (image - self.input * self.plan.input.scale))

    def reconstruction(self, image: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Phi y (C, H, W)."""
        return np.asarray(image - self.residual_against(image))


@dataclass(frozen=True)
class Ports:
    """When the outside world was ready, to predict the cycle of everything for any handshake.

    Args:
        pixels: cycle in which each pixel was accepted; None: as soon as the machine took it.
        codes_ready: ready of the code stream by cycle; None: always.
    """

    pixels: IntArray | None = None
    codes_ready: npt.NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class StepView:
    """What an observer sees after each step: live arrays, to be copied.

    ``membrane`` (T, th, tw, K), ``drive`` (T, th, tw, K), ``residual`` and ``sent`` (T, C, Hr, Wr); ``codes``: per tile
    (n, 5) rows (k, i, j, dy, neighbour mask) in the order in which they left update; ``pixels``: per tile (n, 4) rows
    (c, y, x, dr) in the order in which detect found them.
    """

    step: int
    membrane: IntArray
    drive: IntArray
    residual: IntArray
    sent: IntArray
    codes: list[IntArray]
    pixels: list[IntArray]


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


class Machine:
    """The delta machine of one design and dictionary, with the state that a warm frame builds on.

    Args:
        plan: the machine. weights: (K, C, p, p) integers of the plan's weight format.
    """

    def __init__(self, plan: Plan, weights: IntArray) -> None:
        t, g = plan.tiling, plan.tiling.geometry
        self.plan, self.weights = plan, np.ascontiguousarray(weights, np.int64)
        drive = _word(plan.drive_width)
        self._gather_weights = np.ascontiguousarray(np.moveaxis(self.weights, 0, -1), drive)
        self._a, self._shape, self._send = arithmetic(plan), shape_of(plan), t.send_mask()
        self._inside = np.array([t.inside(n) for n in range(t.count)], np.int64)
        self._directions, self._block = np.array(DIRECTIONS, np.int64), np.array(t.block, np.int64)
        (th, tw), (hr, wr), k = t.block, t.region, g.kernels
        self.u, self.d = np.zeros((t.count, th, tw, k), np.int64), np.zeros((t.count, th, tw, k), drive)
        self.r, self.s = (np.zeros((t.count, g.channels, hr, wr), np.int64) for _ in range(2))
        self._codes = tuple(np.zeros((t.count, th * tw * k), np.int64) for _ in range(5))
        self._serial = np.zeros((t.count, th * tw * k), np.int64)
        self._pixels = tuple(np.zeros((t.count, g.channels * hr * wr), np.int64) for _ in range(5))
        self.input = np.zeros(g.image_shape, np.int64)
        self.overflow, self.dirty = False, True
        self._last: _Timeline | None = None

    def frame(self, image: IntArray, steps: int, *, warm: bool = False, ports: Ports | None = None,
              observe: Callable[[StepView], None] | None = None, reference: npt.NDArray[np.float64] | None = None) -> Run:
        """One frame: load, ``steps`` steps, drain.

        Args:
            image: (C, H, W) integers of the input format. warm: start from the state of the frame before.
            ports: handshakes of the outside world. observe: called after every step.
            reference: (C, H, W) the float image, for the percent error of each step (the quantised input where not given).

        Raises:
            InputError: a warm frame on a machine that holds none, or fewer than one step.
        """
        if steps < 1:
            raise InputError(f"dynamics.steps must be at least 1 on the machine, not {steps}")
        if warm and self.dirty:
            raise InputError("a warm frame needs the state of a frame before it; run a cold frame first")
        plan, t, ports = self.plan, self.plan.tiling, ports or Ports()
        started = time.perf_counter()
        counts = Counts(steps=steps, macs_dense=2 * t.geometry.pairs * steps, pixels_in=image.size)
        log: list[IntArray] = []
        begin = self._load(image, warm, ports, log)
        load = int(begin.min()) - FLUSH_INPUT - 4
        acknowledged = np.full((t.count, 8), -(1 << 40), np.int64)
        gathers, updates, exchanges = (np.zeros(n, np.int64) for n in (8, 4, 6))
        traffic = np.zeros((t.count, 8), np.int64)
        rows: dict[str, list[float]] = {name: [] for name in ("error", "active", "code", "residual", "link", "macs")}
        ends = np.zeros((steps, t.count), np.int64)
        in_window, saturated_late, quiet = 0, 0, 0
        scale = _norm(reference if reference is not None else image * plan.input.scale)
        lost = None if reference is None else reference - image * plan.input.scale
        for n in range(steps):
            before = (int(updates[0]), int(gathers[3]), int(exchanges[4]), int(gathers[0] + exchanges[0]), int(updates[1]))
            log.append(_phase_rows(Phase.GATHER, begin))
            found, pixel_events = mesh.gather_all(self.r, self.s, self.d, self._gather_weights, self._inside, begin, self._a,
                                                  self._shape, self._pixels, gathers)
            wait = mesh.wait_after_gather(found)
            log += [_phase_rows(Phase.FLUSH, found + 1), _phase_rows(Phase.WAIT, wait)]
            shift = next(s for first, s in reversed(plan.step_shift) if first <= n)
            events, cycles = mesh.update_all(self.u, self.d, shift, self._a, self._send, self._codes, self._serial, updates)
            done, phases = mesh.exchange(
                self.r, self.weights, self._codes, self._serial, events, cycles, plan.link_depth, t.neighbours, wait,
                acknowledged, self._shape, self._a, self._directions, self._block, exchanges, traffic)
            log.append(phases)
            begin = mesh.gather_after_exchange(done)
            ends[n] = begin - 1
            if n >= steps - WINDOW:
                in_window += int(updates[0]) - before[0]
                saturated_late += int(updates[1]) - before[4]
            quiet = quiet + 1 if updates[0] == before[0] else 0
            residual = self._assemble(self.r) * 2.0 ** -(plan.weight.frac + plan.code.frac)
            rows["error"].append(100 * _norm(residual if lost is None else residual + lost) / scale if scale else 0.0)
            rows["active"].append(int(updates[3]))
            after = (int(updates[0]), int(gathers[3]), int(exchanges[4]), int(gathers[0] + exchanges[0]))
            for name, now, then in zip(("code", "residual", "link", "macs"), after, before[:4], strict=True):
                rows[name].append(now - then)
            if observe is not None:
                observe(StepView(
                    n, self.u, self.d, self.r, self.s,
                    [np.stack([c[tile, : events[tile]] for c in self._codes], axis=1) for tile in range(t.count)],
                    [np.stack([p[tile, : pixel_events[tile]] for p in self._pixels[:4]], axis=1)
                     for tile in range(t.count)]))
        self.overflow |= bool(exchanges[3])
        present = self._present()
        drained = drain(t, present, begin, load + 1, ports.codes_ready)
        self._last = _Timeline(load, begin, present, np.concatenate([*log, _phase_rows(Phase.DRAIN, begin)]))
        seconds = time.perf_counter() - started
        counts.scatter_macs, counts.scatter_issues, counts.scattered_events = (int(v) for v in exchanges[:3])
        counts.link_events, counts.rounds = int(exchanges[4]), int(exchanges[5])
        counts.gather_macs, counts.gather_issues, counts.gather_pauses = (int(v) for v in gathers[:3])
        counts.residual_events, counts.detect_words = int(gathers[3]), int(gathers[4])
        counts.code_events, counts.saturations, counts.update_positions = (int(v) for v in updates[:3])
        counts.codes_out = len(drained.beats)
        membrane = _global(self.u, t.tiles)
        steps_done = Steps(
            np.array(rows["error"]), *(np.array(rows[n], np.int64) for n in ("active", "code", "residual", "link", "macs")),
            ends)
        return Run(
            plan, image.copy(), self.weights, code_of(membrane, plan), membrane, self._assemble(self.r), counts,
            self._last.cycles(drained),
            steps_done, _outcome(in_window, saturated_late, quiet, t.geometry.neurons), self.overflow, (), seconds,
            in_window, saturated_late > 0, traffic)

    def _load(self, image: IntArray, warm: bool, ports: Ports, log: list[IntArray]) -> IntArray:
        """Clear (cold) and add the input's change to R; the first gather cycle of each tile."""
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
        return last + 4 + FLUSH_INPUT + hops

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
        return timeline.cycles(drain(self.plan.tiling, last.present, timeline.drain_begin, timeline.load + 1,
                                     ports.codes_ready))

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
            own.reshape(*t.tiles, g.channels, height, width).transpose(2, 0, 3, 1, 4).reshape(g.image_shape))


def _word(width: int) -> type[np.int32] | type[np.int64]:
    """The integer type in which sums modulo 2^width are formed: only the low bits count."""
    return np.int32 if width <= 32 else np.int64


def _norm(values: npt.NDArray[np.float64]) -> float:
    """L2 norm without BLAS, whose threads would cost more than the sum."""
    return float(np.sqrt(np.square(values).sum()))


def _phase_rows(phase: Phase, cycles: IntArray) -> IntArray:
    rows = np.empty((len(cycles), 3), np.int64)
    rows[:, 0], rows[:, 1], rows[:, 2] = np.arange(len(cycles)), int(phase), cycles
    return rows


def _global(blocks: IntArray, tiles: tuple[int, int]) -> IntArray:
    """(K, H/s, W/s) from the tiles' blocks (T, th, tw, K)."""
    _, th, tw, k = blocks.shape
    return np.ascontiguousarray(
        blocks.reshape(*tiles, th, tw, k).transpose(4, 0, 2, 1, 3).reshape(k, tiles[0] * th, tiles[1] * tw))


def _outcome(events_late: int, saturated_late: int, quiet: int, neurons: int) -> Outcome:
    """How the run ended, by the rule of the machine's status word (``docs/arithmetic.md``)."""
    if events_late > neurons or saturated_late:
        return Outcome.DIVERGED
    return Outcome.CONVERGED if quiet >= WINDOW else Outcome.MAX_STEPS


def recomputed(plan: Plan, weights: IntArray, image: IntArray, steps: int, *, skip: bool,
               reference: npt.NDArray[np.float64] | None = None) -> Run:
    """The same bits without events: R and D formed anew in every step, over all codes and residuals or the nonzero ones."""
    g, a = plan.tiling.geometry, arithmetic(plan)
    started = time.perf_counter()
    largest = int(np.abs(image).max() << plan.input_shift) + plan.code.magnitude * int(np.abs(weights).sum())
    word = _word(max(plan.residual_width, plan.drive_width, largest.bit_length() + 1))
    u, y, d = np.zeros(g.code_shape, np.int64), np.zeros(g.code_shape, np.int64), np.zeros(g.code_shape, word)
    r, s = np.zeros(g.image_shape, word), np.zeros(g.image_shape, word)
    x = (image << plan.input_shift).astype(word)
    w, wk = weights.astype(word), np.ascontiguousarray(np.moveaxis(weights, 0, -1), word)
    tallies = np.zeros(6, np.int64)
    rows: list[tuple[float, int, int, int, int]] = []
    scale = _norm(reference if reference is not None else image * plan.input.scale)
    lost = 0.0 if reference is None else reference - image * plan.input.scale
    late, saturated_late, quiet, products = 0, 0, 0, 0
    for n in range(steps + 1):
        shift = next(v for first, v in reversed(plan.step_shift) if first <= min(n, steps - 1))
        before = tallies.copy()
        recompute(u, x, w, wk, n == steps, g.stride, shift, skip, a, y, r, s, d, tallies)
        if n:
            error = 100 * _norm(r * 2.0 ** -(plan.weight.frac + plan.code.frac) + lost) / scale if scale else 0.0
            rows[-1] = (error, *rows[-1][1:])
        if n == steps:
            overflow = tallies[5] > 0
            tallies = before  # the closing R belongs to no step
            break
        if n >= steps - WINDOW:
            late += int(tallies[2] - before[2])
            saturated_late += int(tallies[4] - before[4])
        quiet = quiet + 1 if tallies[2] == before[2] else 0
        products = int(tallies[0] + tallies[1] - before[0] - before[1])
        rows.append((0.0, int(np.count_nonzero(y)), int(tallies[2] - before[2]), int(tallies[3] - before[3]), products))
    counts = Counts(steps=steps, scatter_macs=int(tallies[0]), gather_macs=int(tallies[1]), macs_dense=2 * g.pairs * steps,
                    code_events=int(tallies[2]), residual_events=int(tallies[3]), saturations=int(tallies[4]),
                    pixels_in=image.size, codes_out=int(np.count_nonzero(y)))
    column = [np.array([row[n] for row in rows], np.int64) for n in range(1, 5)]
    trace = Steps(np.array([row[0] for row in rows]), column[0], column[1], column[2], np.zeros(steps, np.int64), column[3],
                  np.zeros((0, 0), np.int64))
    return Run(plan, image.copy(), weights, y, u, r.astype(np.int64), counts, None, trace, _outcome(late, saturated_late, quiet, g.neurons),
               bool(overflow), (), time.perf_counter() - started, late, saturated_late > 0)


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
        raise InputError(f"dictionary {network.dictionary} is of shape (K, C, p, p) = {have}, the design wants {want}; "
                         f"set network.kernels, channels and patch to the dictionary's, or name another one")
    if dictionary.stride != network.stride:
        raise InputError(f"dictionary {network.dictionary} was learned at stride {dictionary.stride}, the design has "
                         f"network.stride {network.stride}; use stride {dictionary.stride} or another dictionary")
    return dictionary


def simulate(image: npt.NDArray[np.float64], design: Design, *, dictionary: Dictionary | None = None,
             observe: Callable[[StepView], None] | None = None) -> Run:
    """Run a design on an image (C, H, W), cold, with the design's schedule.

    Args:
        dictionary: in place of the one the design names. observe: called after every step (delta only).

    Raises:
        InputError: an image of another shape or with NaN, and whatever ``design.check_machine`` refuses.
    """
    if image.shape != design.geometry.image_shape:
        raise InputError(f"the image is {image.shape}, the design wants (C, H, W) = {design.geometry.image_shape}; "
                         f"crop the image or set network.image and network.channels")
    if not np.isfinite(image).all():
        raise InputError("the image holds NaN or infinite values; mend the file")
    dictionary = dictionary if dictionary is not None else load_dictionary(design)
    weights = quantise(dictionary.atoms, design.formats.weight)
    plan = Plan.of(design, weights)
    x = plan.quantise_image(image)
    if design.machine.schedule == "delta":
        run = Machine(plan, weights).frame(x, design.dynamics.steps, observe=observe, reference=image)
    else:
        run = recomputed(plan, weights, x, design.dynamics.steps, skip=design.machine.schedule == "skip", reference=image)
    return replace(run, warnings=tuple(design.warnings(weights)))
