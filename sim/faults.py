"""The machine under bit flips: every tile on memories of its own, bit for bit and cycle for cycle like its RTL.

The machine without faults (``machine.py``) is untouched and several times faster; this one is for what its shared
state cannot show. What a run reports as its error is that of the codes, ``x - Phi y`` with weights that no flip has
touched, because R itself may be wrong.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..golden.dictionary import Dictionary
from ..golden.errors import InputError
from . import faulted_mesh, mesh
from .design import Design
from .fault import GATHER, MEMORIES, Fault, check_faults, event_widths, random_fault
from .faulted import Tiles, mesh_of, tiles_of
from .faulted_mesh import APPLIED, NOT_MET, OUTSIDE
from .fixed import quantise
from .kernel import Arithmetic, transfer, wrap
from .machine import Machine, load_dictionary
from .plan import Plan
from .run import FloatArray, Ports, Run, StepView
from .settle import settled
from .tiling import IntArray

MET = ("not met", "applied", "outside")
"""What became of a fault: `NOT_MET`, `APPLIED`, `OUTSIDE`."""


@dataclass(frozen=True)
class Wrong:
    """What is broken in the state at the end of a frame, in words.

    Args:
        residual: words of R, all tiles, that are not ``x - Phi y``. residual_most: the largest such difference, in
            units of the image. drive: words of D that are not ``Phi^T r~`` of the tile's own r~. drive_most: the
            largest difference, in units of the membrane.
    """

    residual: int
    residual_most: float
    drive: int
    drive_most: float


class FaultedMachine(Machine):
    """`Machine` with a state in every tile, and bits that flip.

    A weight that was hit stays so until `load_weights`; U, D, R and r~ until a cold frame clears them.

    Args:
        plan, weights: as of `Machine`. A run takes one thread.
    """

    def __init__(self, plan: Plan, weights: IntArray) -> None:
        super().__init__(plan, weights)
        self._tiles: Tiles = tiles_of(plan, self.weights)
        self._mesh = mesh_of(plan, self._engine.arithmetic, event_widths(plan))
        self._true = np.zeros(plan.tiling.geometry.image_shape, np.int64)
        self._faults: tuple[Fault, ...] = ()
        self.met: IntArray = np.zeros(0, np.int64)

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
        faults: Sequence[Fault] = (),
    ) -> Run:
        """As `Machine.frame`, with faults; ``self.met`` says afterwards what became of each (`MET`).

        ``Run.residual`` is ``x - Phi y`` of the codes, in units of R.

        Raises:
            InputError: a fault that this machine does not have, and what `Machine.frame` refuses.
        """
        check_faults(self.plan, faults, steps)
        self._faults, self.met = tuple(faults), np.full(len(faults), NOT_MET)
        return super().frame(
            image, steps, warm=warm, threshold=threshold, cutoff=cutoff, shift=shift, ports=ports, observe=observe,
            refreshed=refreshed, reference=reference,
        )  # fmt: skip

    def _load(self, image: IntArray, warm: bool, ports: Ports) -> tuple[IntArray, int]:
        e, g, plan = self._tiles, self.plan.tiling.geometry, self.plan
        if not warm:
            for array in (e.u, e.d, e.r, e.s, e.flag, self._true):
                array[...] = 0
        change = (image - (self.input if warm else 0)) << plan.input_shift
        self._true += change
        self._add_input(change)
        loaded = super()._load(image, warm, ports)
        self._engine.state.r[:, g.margin : g.margin + g.image[0], g.margin : g.margin + g.image[1]] = 0
        return loaded

    def _add_input(self, change: IntArray) -> None:
        """``R += change`` (C, H, W) in every tile."""
        e, t, half = self._tiles, self.plan.tiling, 1 << (self.plan.residual_width - 1)
        for tile in range(t.count):
            (y0, x0), (top, bottom, left, right) = t.origin(tile), t.inside(tile)
            part = e.r[tile, :, top:bottom, left:right]
            part += change[:, y0 + top : y0 + bottom, x0 + left : x0 + right]
            if part.max(initial=0) >= half or part.min(initial=0) < -half:
                e.flag[0] = True
                part[...] = (part + half) % (2 * half) - half

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
        plan, e, engine = self._now, self._tiles, self._engine
        self._mesh = m = self._mesh._replace(arithmetic=engine.arithmetic)
        margin, logged, done, rest = plan.tiling.geometry.margin, len(log), 0, False
        while done < steps and not rest:
            if plan.refresh and done and done % plan.refresh == 0:
                resent[done], log, logged = self._refresh(trace, done, log, logged)
                if refreshed is not None:
                    refreshed(self._view(done))
            shift = next(s for first, s in reversed(plan.step_shift) if first <= done)
            links, places = self._due(done)
            met = np.full(len(links), NOT_MET)
            log, logged = faulted_mesh.step(
                done, shift, links, met, engine.clock, self._true, self.weights, lost, plan.residual_scale, margin, m,
                e, trace, log, logged,
            )  # fmt: skip
            self.met[places] = met
            if observe is not None:
                observe(self._view(done))
            done += 1
            rest = bool(settled(trace.code_events, done, engine.settle[0], engine.settle[1] == 1))
        self._hand_back(rest)
        return log[:logged], done

    def _refresh(self, trace: mesh.Trace, step: int, log: IntArray, logged: int) -> tuple[int, IntArray, int]:
        """R, D and r~ of every tile anew from the input and its codes; (codes sent, log, logged)."""
        e = self._tiles
        for array in (e.d, e.r, e.s):
            array[...] = 0
        e.pixels[:] = 0
        self._add_input(self.input << self.plan.input_shift)
        sent, log, logged = faulted_mesh.refresh(
            self.plan.tiling.clear_cycles, self.input.size, self._engine.clock, self._mesh, e, trace.exchanges[step],
            trace.traffic[step], log, logged,
        )  # fmt: skip
        return sent, log, logged

    def _due(self, step: int) -> tuple[IntArray, list[int]]:
        """Turn the memory bits of a step over; its link faults as rows (tile, link, number, bit), and their numbers."""
        links, places = [], []
        for n, fault in enumerate(self._faults):
            if fault.step != step:
                continue
            if fault.memory == "link":
                links.append((fault.tile, *fault.address, fault.bit))
                places.append(n)
            else:
                self._flip(fault)
                self.met[n] = APPLIED
        return np.array(links, np.int64).reshape(-1, 4), places

    def _flip(self, fault: Fault) -> None:
        plan, e, t = self.plan, self._tiles, self.plan.tiling
        kernels, turn = t.geometry.kernels, 1 << fault.bit

        def turned(value: int, width: int) -> int:
            return int(wrap((int(value) & ((1 << width) - 1)) ^ turn, width, True))

        if fault.memory in ("r", "s"):
            store, width = (e.r, plan.residual_width) if fault.memory == "r" else (e.s, plan.residual.width)
            at = (fault.tile, *fault.address)
            store[at] = turned(store[at], width)
        elif fault.memory == "d":
            k, i, j = fault.address
            e.d[fault.tile, i, j * kernels + k] = turned(e.d[fault.tile, i, j * kernels + k], plan.drive_width)
        elif fault.memory == "u":
            k, i, j = fault.address
            at = (fault.tile, i * t.block[1] + j, k)
            old = int(e.u[at])
            e.u[at] = turned(old, plan.membrane.width)
            self._codes_moved(fault, code_of(int(e.u[at]), self._engine.arithmetic)
                              - code_of(old, self._engine.arithmetic))  # fmt: skip
        else:
            part, k, c, a, b = fault.address
            at = (fault.tile, k, c, a, b)
            if part == GATHER:
                q, phase = divmod(b, t.geometry.stride)
                at = (fault.tile, c, a, phase, (t.geometry.cover - 1 - q) * kernels + k)
            weights = e.gather if part == GATHER else e.scatter
            weights[at] = turned(weights[at], plan.weight.width)

    def _codes_moved(self, fault: Fault, dy: int) -> None:
        """A membrane that was hit has another code, without an event: only the followed residual knows."""
        t, g = self.plan.tiling, self.plan.tiling.geometry
        (row, column), (k, i, j) = t.place(fault.tile), fault.address
        i, j = row * t.block[0] + i, column * t.block[1] + j
        faulted_mesh.move(self._true, self.weights, k, i, j, dy, g.stride, g.margin)

    def _hand_back(self, rest: bool) -> None:
        """What ``Machine.frame`` reports, in the engine's arrays."""
        t, g, state = self.plan.tiling, self.plan.tiling.geometry, self._engine.state
        sheet = self._tiles.u.reshape(*t.tiles, *t.block, g.kernels).transpose(0, 2, 1, 3, 4)
        state.u[...] = sheet.reshape(state.u.shape)
        state.r[:, g.margin : g.margin + g.image[0], g.margin : g.margin + g.image[1]] = self._true
        self._engine.flag[0] = self._tiles.flag[0]
        self._engine.counters[mesh.REST] = rest

    def _view(self, step: int) -> StepView:
        e, t, g = self._tiles, self.plan.tiling, self.plan.tiling.geometry
        codes, pixels = [], []
        for tile in range(t.count):
            n = e.events[tile]
            position, k = np.divmod(e.neuron[tile, :n].astype(np.int64), g.kernels)
            i, j = np.divmod(position, t.block[1])
            codes.append(np.stack([k, i, j, e.dy[tile, :n], self._mesh.shape.send[i, j]], axis=1))
            n = e.pixels[tile]
            line, x = np.divmod(e.pixel[tile, :n].astype(np.int64), t.region[1])
            pixels.append(np.stack([*np.divmod(line, t.region[0]), x, e.change[tile, :n]], axis=1))
        block = (t.count, *t.block, g.kernels)
        return StepView(
            step, e.u.reshape(block).copy(), e.d.reshape(block).astype(np.int64), e.r.copy(), e.s.copy(), codes, pixels
        )

    def memories(self) -> list[npt.NDArray[Any]]:
        """Copies of all state between frames, weights included: for `put_memories` of a machine of the same plan."""
        e = self._tiles
        return [array.copy() for array in (e.u, e.d, e.r, e.s, e.gather, e.scatter, e.flag, self._true)]

    def put_memories(self, memories: list[npt.NDArray[Any]], image: IntArray) -> None:
        """Take over the state that another machine had after a frame of ``image`` (C, H, W)."""
        e = self._tiles
        for array, saved in zip((e.u, e.d, e.r, e.s, e.gather, e.scatter, e.flag, self._true), memories, strict=True):
            array[...] = saved
        self.input[...] = image
        self.dirty = False

    def load_weights(self) -> None:
        """Load the weights anew: flips in them are gone."""
        fresh = tiles_of(self.plan, self.weights)
        self._tiles.gather[...], self._tiles.scatter[...] = fresh.gather, fresh.scatter

    def wrong(self) -> Wrong:
        """What the state of the tiles says that is not so, at the end of the last frame."""
        plan, e, t = self.plan, self._tiles, self.plan.tiling
        half = 1 << (plan.residual_width - 1)
        apart = np.zeros_like(e.r)
        for tile in range(t.count):
            (y0, x0), (top, bottom, left, right) = t.origin(tile), t.inside(tile)
            part = self._true[:, y0 + top : y0 + bottom, x0 + left : x0 + right]
            apart[tile, :, top:bottom, left:right] = (e.r[tile, :, top:bottom, left:right] - part + half) % (
                2 * half
            ) - half
        drive = self._drives()
        turn = 1 << plan.drive_width
        off = (e.d.reshape(drive.shape) - drive + turn // 2) % turn - turn // 2
        unit = 2.0 ** -(plan.weight.frac + plan.residual.frac)
        return Wrong(
            int(np.count_nonzero(apart)), float(np.abs(apart).max()) * plan.residual_scale,
            int(np.count_nonzero(off)), float(np.abs(off).max()) * unit,
        )  # fmt: skip

    def _drives(self) -> IntArray:
        """(T, th, tw, K) the drives of each tile's r~, from weights without faults."""
        t, g = self.plan.tiling, self.plan.tiling.geometry
        drive = np.zeros((t.count, *t.block, g.kernels), np.int64)
        for a in range(g.patch):
            for b in range(g.patch):
                window = self._tiles.s[:, :, a :: g.stride, b :: g.stride][:, :, : t.block[0], : t.block[1]]
                drive += np.einsum("tcij,kc->tijk", window, self.weights[:, :, a, b])
        return drive


def code_of(u: int, a: Arithmetic) -> int:
    """T of one membrane."""
    return int(transfer(u, a))


@dataclass(frozen=True)
class FaultRun:
    """A run under faults.

    Args:
        run: as of `Machine.frame`; its error curve is that of the codes. met: (n,) what became of each fault (`MET`).
        wrong: of the state at the end.
    """

    run: Run
    met: IntArray
    wrong: Wrong


def simulate(
    image: FloatArray,
    design: Design,
    *,
    faults: Sequence[Fault] = (),
    dictionary: Dictionary | None = None,
    observe: Callable[[StepView], None] | None = None,
) -> FaultRun:
    """Run a design on an image (C, H, W), cold, while bits flip.

    Raises:
        InputError: a schedule other than delta, an image of another shape or with values that are not finite, a fault
            that the machine does not have, and what ``design.check_machine`` refuses.
    """
    if design.machine.schedule != "delta":
        raise InputError(f"machine.schedule '{design.machine.schedule}' has no tiles to hit; use \"delta\"")
    if image.shape != design.geometry.image_shape or not np.isfinite(image).all():
        raise InputError(f"the image must be finite and of shape (C, H, W) = {design.geometry.image_shape}, "
                         f"not {image.shape}")  # fmt: skip
    dictionary = dictionary if dictionary is not None else load_dictionary(design)
    weights = np.asarray(quantise(dictionary.atoms, design.formats.weight), np.int64)
    plan = Plan.of(design, weights)
    machine = FaultedMachine(plan, weights)
    run = machine.frame(
        plan.quantise_image(image), design.dynamics.steps, observe=observe, reference=image, faults=faults
    )
    return FaultRun(replace(run, warnings=tuple(design.warnings(weights))), machine.met, machine.wrong())


__all__ = [
    "APPLIED", "MEMORIES", "MET", "NOT_MET", "OUTSIDE", "Fault", "FaultRun", "FaultedMachine", "Wrong",
    "random_fault", "simulate",
]  # fmt: skip
