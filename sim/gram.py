"""The ``gram`` schedule: code events act straight onto their neighbours through G = Phi^T Phi. Another network form.

    port 3   y  = T(u)                                                        as in every schedule
             D  = Phi^T x - G y                                               exact, modulo 2^WD, fraction 2 fw + fy
    port 2   S  = D 2^(c - 2fw - fy) + y 2^(c - fy) - u 2^(c - fu)            c = max(2 fw + fy, fu)
             u' = ovf_u(u + round_u(S 2^-(c - fu + k)))
             D += -G (y' - y)

``Phi^T x - G y`` is ``Phi^T (x - Phi y)`` with the residual on the *extended* frame (nothing is cropped), neither
rounded nor cut off: port 1 does not exist, so codes and membranes differ from those of ``delta``, ``skip`` and
``dense``, which read r~. It is no machine: it has no clock, no tiles and no RTL. The residual is carried along for the
record alone (percent error of each step, R of the `Run`): R = x - Phi y over the image, exact.
"""

import time

import numpy as np

from ..golden.errors import InputError
from .fixed import AnyIntArray
from .gram_kernel import Quick, apply, load, squared_error, update_general, update_quick
from .kernel import Arithmetic, arithmetic
from .overlap import Overlap, code_range
from .plan import Plan
from .run import Counts, FloatArray, Run, Steps, ended, late_events, norm
from .settle import settled
from .tiling import IntArray


class GramNetwork:
    """The network of a plan in this form, with the state that a warm frame builds on.

    Args:
        plan: of a design with the schedule ``gram``, so that ``drive_width`` is that of this D.
        weights: (K, C, p, p) integers of the plan's weight format.

    Raises:
        InputError: a table G that is too large; see `Overlap.of`.
    """

    def __init__(self, plan: Plan, weights: IntArray) -> None:
        g = plan.tiling.geometry
        self.plan, self.weights = plan, np.ascontiguousarray(weights, np.int64)
        self.overlap = Overlap.of(self.weights, g.stride)
        self._a = gram_arithmetic(plan)
        self._quick = _quick(plan, self.overlap, self.weights)
        word: type[np.int64] | type[np.int32] = np.int64 if self._quick is None else np.int32
        side = 2 * g.reach + 1
        self._g = np.ascontiguousarray(
            self.overlap.entries.reshape(g.kernels, side, -1), np.int16 if self.overlap.width <= 16 else word
        )
        self._w, self._wl = np.ascontiguousarray(self.weights, word), _by_phase(self.weights, g.stride).astype(word)
        (rows, columns), neurons = g.sheet, g.neurons
        self.u: AnyIntArray = np.zeros(neurons, word)
        self.y: AnyIntArray = np.zeros(neurons, word)
        self.d: AnyIntArray = np.zeros((rows, columns * g.kernels), word)
        self.r: AnyIntArray = np.zeros((g.channels, g.image[0] + 2 * g.margin, g.image[1] + 2 * g.margin), word)
        self.input = np.zeros(g.image_shape, np.int64)
        self._changed, self._dy = np.zeros(neurons, np.int32), np.zeros(neurons, word)
        self._place = np.zeros((3, neurons), np.int32)

    def frame(self, image: IntArray, steps: int, *, warm: bool = False, reference: FloatArray | None = None) -> Run:
        """One frame: add the input's change, ``steps`` steps.

        Args:
            image: (C, H, W) integers of the input format. warm: go on from the state of the frame before.
            reference: (C, H, W) the float image, for the percent error of each step (the quantised input where not
            given).

        Raises:
            InputError: fewer than one step.
        """
        if steps < 1:
            raise InputError(f"dynamics.steps must be at least 1, not {steps}")
        plan, g = self.plan, self.plan.tiling.geometry
        started = time.perf_counter()
        if not warm:
            for state in (self.u, self.y, self.d, self.r, self.input):
                state[:] = 0
        change = np.ascontiguousarray(image - self.input).astype(self.d.dtype)
        self.input = image.copy()
        loaded = load(self.d, self.r, change, self._wl, plan.input_shift, g.stride, g.patch)
        lost = np.zeros(g.image_shape) if reference is None else reference - image * plan.input.scale
        scale = norm(image * plan.input.scale + lost)
        active, at_rest = int(np.count_nonzero(self.y)), False
        changed, leaving = np.zeros(steps, np.int64), np.zeros(steps, np.int64)
        rows: list[tuple[float, int, int, int, int]] = []
        for n in range(steps):
            shift = next(s for first, s in reversed(plan.step_shift) if first <= n)
            flat = self.d.reshape(-1)
            if self._quick is None:
                out = update_general(self.u, self.y, flat, self._a, shift, self._changed, self._dy)
            else:
                if self._quick.spare:
                    flat = (flat << np.int32(self._quick.spare)) >> np.int32(self._quick.spare)
                out = update_quick(self.u, self.y, flat, self._quick, shift, self._changed, self._dy)
            events, outside, more = out
            products = apply(self.d, self.r, self._g, self._w, self._changed, self._dy, events, self._place,
                             g.sheet[1], g.stride)  # fmt: skip
            active += more
            changed[n], leaving[n] = events, outside
            squared = squared_error(self.r, lost, plan.residual_scale, g.margin)
            error_now = 100 * float(np.sqrt(squared)) / scale if scale else 0.0
            rows.append((error_now, active, events, products, g.sheet[0] * g.sheet[1]))
            if at_rest := bool(settled(changed, n + 1, plan.settle, warm)):
                steps = n + 1
                break
        late, saturated_late, quiet = late_events(changed[:steps], leaving[:steps])
        seconds = time.perf_counter() - started
        error, *columns = zip(*rows, strict=True)
        trace = _steps(np.array(error), *(np.array(column, np.int64) for column in columns))
        counts = Counts(
            steps=steps,
            load_macs=loaded,
            gram_macs=int(trace.macs.sum()),
            macs_dense=2 * g.pairs * steps,
            code_events=int(trace.code_events.sum()),
            saturations=int(leaving.sum()),
            update_positions=int(trace.update_positions.sum()),
            pixels_in=image.size,
            codes_out=int(np.count_nonzero(self.y)),
        )
        code, membrane = self._sheet(self.y), self._sheet(self.u)
        inside = self.r[:, g.margin : g.margin + g.image[0], g.margin : g.margin + g.image[1]].astype(np.int64)
        outcome = ended(late, saturated_late, quiet, g.neurons, at_rest)
        return Run(plan, image.copy(), self.weights, code, membrane, inside, counts, None, trace, outcome, False, (),
                   seconds, late, saturated_late > 0, settled=at_rest)  # fmt: skip

    def _sheet(self, flat: AnyIntArray) -> IntArray:
        """(K, H/s, W/s) int64 from neurons in raster order."""
        g = self.plan.tiling.geometry
        return np.ascontiguousarray(np.moveaxis(flat.reshape(*g.sheet, g.kernels), -1, 0), np.int64)


def gram_arithmetic(plan: Plan) -> Arithmetic:
    """The constants of a plan's arithmetic with D of the fraction 2 fw + fy."""
    fd, fy, fu = 2 * plan.weight.frac + plan.code.frac, plan.code.frac, plan.membrane.frac
    finest = max(fd, fu)
    return arithmetic(plan)._replace(
        drive_up=finest - fd, code_up=finest - fy, membrane_up=finest - fu, common=finest - fu
    )


def _quick(plan: Plan, overlap: Overlap, weights: IntArray) -> Quick | None:
    """The constants of the 32-bit update; None where a format or a word asks for the general one."""
    a, g = gram_arithmetic(plan), plan.tiling.geometry
    inputs, codes = (plan.input.low, plan.input.high), code_range(plan.code, plan.two_sided)
    drive = max(map(abs, overlap.drive_bound(weights, inputs, plan.input_shift, codes)))
    spare = 0
    if drive >= 1 << (plan.drive_width - 1):  # D may wrap
        drive, spare = 1 << (plan.drive_width - 1), 32 - plan.drive_width
    right = a.membrane_up + max(plan.shifts)
    aligned = drive + (plan.code.magnitude << a.code_up) + (plan.membrane.magnitude << a.membrane_up) + (1 << right)
    taps = int(np.abs(weights).sum(axis=0).max()) * g.cover**2
    residual = (plan.input.magnitude << plan.input_shift) + plan.code.magnitude * taps
    usual = all(f.rounding == "half_up" and f.overflow == "saturate" for f in (plan.code, plan.membrane))
    if not usual or a.drive_up or max(aligned, residual) >= 1 << 31 or not 1 <= a.code_shift <= 30 or right > 30:
        return None
    kept = a.threshold if a.soft else 0
    return Quick(
        a.code_up, a.membrane_up, a.membrane_low, a.membrane_high, a.threshold, kept, a.two_sided, a.code_shift,
        a.code_high, spare,
    )  # fmt: skip


def _by_phase(weights: IntArray, stride: int) -> IntArray:
    """(C, p, s, cover*K): weights by row, column phase b mod s, and b div s reversed with all kernels of each."""
    kernels, channels, patch, _ = weights.shape
    cover = -(-patch // stride)
    padded = np.zeros((kernels, channels, patch, cover, stride), np.int64)
    padded.reshape(kernels, channels, patch, -1)[..., :patch] = weights
    return np.ascontiguousarray(padded[:, :, :, ::-1].transpose(1, 2, 4, 3, 0)).reshape(channels, patch, stride, -1)


def _steps(error: FloatArray, active: IntArray, events: IntArray, products: IntArray, updated: IntArray) -> Steps:
    none = np.zeros(len(error), np.int64)
    return Steps(error, active, events, none, none, products, np.zeros((0, 0), np.int64), update_positions=updated)


def gram(plan: Plan, weights: IntArray, image: IntArray, steps: int, *, reference: FloatArray | None = None) -> Run:
    """A cold frame of `GramNetwork`."""
    return GramNetwork(plan, weights).frame(image, steps, reference=reference)
