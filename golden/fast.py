"""The same Euler step as `network.ReferenceNetwork`, several times faster: one pass over the neurons.

Phi^T r~ runs through `block` with its sums in registers and moves the membrane at once, so that no array of drives or
codes is written; Phi y is summed over the active neurons alone. Everything is float64 and every array is made once: a
step allocates nothing. It differs from the reference by the order of summation only, and covers every border,
transfer, stride, patch and number of channels.

Neurons lie as ``(rows, columns, kernels)``, the kernels filled up to whole blocks with silent ones of weight 0; pixels
as a canvas ``(C, H + 2m, W + 2m)``, its rows filled up on the right with pixels that count for nobody.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from .block import LANES, POSITIONS, gather_block, outside, scatter_rows, vectors_for
from .conv import FOLDED, Array, StridedConv, inner_pixels
from .network import Moved
from .threshold import Transfer, cost, transfer

Indices = npt.NDArray[np.int64]

_block_1 = gather_block(POSITIONS[1], 1)
_block_2 = gather_block(POSITIONS[2], 2)
_block_3 = gather_block(POSITIONS.get(3, 1), 3)
_block_4 = gather_block(POSITIONS.get(4, 1), 4)
_scatter = scatter_rows()
_outside = outside()


class Rule(NamedTuple):
    """T(u) in three numbers: with size = |u| (u when one-sided), size - less from size >= least on, else 0."""

    least: float
    less: float
    two_sided: bool


@njit(cache=True)
def _code(u, rule):  # type: ignore[no-untyped-def]
    size = abs(u) if rule.two_sided else u
    code = np.copysign(size - rule.less, u)
    return code if size >= rule.least else 0.0


@njit(cache=True, fastmath={"reassoc"})
def _squares(values):  # type: ignore[no-untyped-def]
    total = 0.0
    for n in range(values.shape[0]):  # not `for value in values`, which is not vectorised
        total += values[n] * values[n]
    return total


@njit(cache=True)
def _move(field, step, offsets, weights, vectors, columns, eta, rule, u, new_u, drive):  # type: ignore[no-untyped-def]
    """u' = u + eta (Phi^T r~ + y - u); returns |u'|^2 and |Phi^T r~ + y - u|^2.

    u and new_u are (rows, columns * kernels), drive (positions of a block * kernels,).
    """
    width, kernels = field.shape[2], u.shape[1] // columns
    at_once, group, taps = drive.shape[0] // kernels, weights.shape[2], offsets.shape[0]
    size, slope = 0.0, 0.0
    for i in range(u.shape[0]):
        for start in range(0, columns, at_once):
            base = step * (i * width + start)
            for g in range(weights.shape[0]):
                first, place = g * taps * group, g * group
                if vectors == 1:
                    _block_1(field, base, step, offsets, weights, first, drive, place, kernels)
                elif vectors == 2:
                    _block_2(field, base, step, offsets, weights, first, drive, place, kernels)
                elif vectors == 3:
                    _block_3(field, base, step, offsets, weights, first, drive, place, kernels)
                else:
                    _block_4(field, base, step, offsets, weights, first, drive, place, kernels)
            many = kernels * min(at_once, columns - start)
            before = u[i, start * kernels : start * kernels + many]
            after = new_u[i, start * kernels : start * kernels + many]
            for n in range(many):
                change = drive[n] + _code(before[n], rule) - before[n]
                drive[n] = change
                after[n] = before[n] + eta * change
            slope += _squares(drive[:many])
            size += _squares(after)
    return size, slope


@njit(cache=True)
def _synthesise(u, columns, rule, step, kernels, canvas):  # type: ignore[no-untyped-def]
    """Phi T(u) on the canvas, over the active neurons alone; returns their number. kernels (K, C, p, p filled up)."""
    canvas[:] = 0.0
    active, filled, (_, channels, patch, span) = 0, u.shape[1] // columns, kernels.shape
    height, width = canvas.shape[1], canvas.shape[2]
    low = -rule.least if rule.two_sided else -np.inf
    for i in range(u.shape[0]):
        for j in range(columns):
            for start in range(0, filled, LANES):  # most are silent: they are passed over by whole vectors
                k, lit = start, _outside(u, (i * columns + j) * filled + start, low, rule.least)
                while lit:
                    if lit & 1:
                        code = _code(u[i, j * filled + k], rule)
                        active += code != 0.0
                        for c in range(channels):
                            base = (c * height + step * i) * width + step * j
                            first = (k * channels + c) * patch * span
                            for t in range(0, span, LANES):
                                _scatter(canvas, base + t, width, kernels, first + t, span, patch, code)
                    lit >>= 1
                    k += 1
    return active


@njit(cache=True)
def _subtract(x, canvas, inset, residual, cutoff, field):  # type: ignore[no-untyped-def]
    """r = x - Phi y where the canvas lies on the frame; to the field, at the same place, from the cutoff on."""
    channels, height, width = x.shape
    for c in range(channels):
        for i in range(height):
            for j in range(width):
                r = x[c, i, j] - canvas[c, inset + i, inset + j]
                residual[c, i, j] = r
                field[c, inset + i, inset + j] = r if abs(r) >= cutoff else 0.0


@njit(cache=True)
def _subtract_mirrored(x, canvas, rows, columns, residual, cutoff, field):  # type: ignore[no-untyped-def]
    """The same when pixels outside are copies of pixels inside: rows and columns name the one each stands for."""
    residual[:] = x
    for c in range(x.shape[0]):
        for i in range(len(rows)):
            for j in range(len(columns)):
                residual[c, rows[i], columns[j]] -= canvas[c, i, j]
        for i in range(len(rows)):
            for j in range(len(columns)):
                r = residual[c, rows[i], columns[j]]
                field[c, i, j] = r if abs(r) >= cutoff else 0.0


@njit(cache=True)
def _count_changed(u, before, rule):  # type: ignore[no-untyped-def]
    count = 0
    for i in range(u.shape[0]):
        for n in range(u.shape[1]):
            count += _code(u[i, n], rule) != _code(before[i, n], rule)
    return count


class FastNetwork:
    """`network.Network` in compiled loops.

    Args:
        image: x on the frame of the residual, ``(C, H, W)`` or extended.
        conv: geometry and border.
        atoms: ``(K, C, p, p)``.
        threshold, kind, two_sided, inclusive, cutoff: as in `lca.LcaParams`, kind being its transfer.
    """

    def __init__(
        self,
        image: Array,
        conv: StridedConv,
        atoms: Array,
        *,
        threshold: float,
        kind: Transfer,
        two_sided: bool,
        inclusive: bool,
        cutoff: float,
    ) -> None:
        g = self._geometry = conv.geometry
        self._image, self._cutoff = np.ascontiguousarray(image), cutoff
        self._threshold, self._kind, self._two_sided, self._inclusive = threshold, kind, two_sided, inclusive
        # u > lambda is u >= the next number above lambda.
        self._rule = Rule(
            threshold if inclusive else float(np.nextafter(threshold, np.inf)),
            threshold if kind == "soft" else 0.0,
            two_sided,
        )

        rows, columns = g.sheet
        self._vectors = vectors_for(g.kernels)
        group, at_once = self._vectors * LANES, POSITIONS[self._vectors]
        filled, span = -(-g.kernels // group) * group, -(-g.patch // LANES) * LANES
        reached = -(-columns // at_once) * at_once
        height, width = (rows - 1) * g.stride + g.patch, (reached - 1) * g.stride + span
        atoms = np.concatenate([atoms, np.zeros((filled - g.kernels, *atoms.shape[1:]))])
        self._weights = np.ascontiguousarray(atoms.reshape(filled // group, group, -1).transpose(0, 2, 1))
        self._kernels = np.pad(atoms, ((0, 0), (0, 0), (0, 0), (0, span - g.patch)))
        c, q, t = np.ogrid[: g.channels, : g.patch, : g.patch]
        self._offsets: Indices = ((c * height + q) * width + t).ravel().astype(np.int64)

        # Present state first, proposed (or past) state second.
        self._u = [np.zeros((rows, columns * filled)) for _ in range(2)]
        self._r = [np.zeros(self._image.shape) for _ in range(2)]
        self._active = [0, 0]
        self._drive = np.zeros(at_once * filled)
        self._canvas, self._field = (np.zeros((g.channels, height, width)) for _ in range(2))
        self._mirror = [inner_pixels(n, g.margin, conv.border) for n in g.image]
        self._mirrored = conv.border in FOLDED
        self._inset = 0 if conv.border == "extended" else g.margin

    @property
    def membrane(self) -> Array:
        """u ``(K, H/s, W/s)``, a view that the next steps overwrite."""
        rows, columns = self._geometry.sheet
        view = self._u[0].reshape(rows, columns, -1)[..., : self._geometry.kernels].transpose(2, 0, 1)
        view.flags.writeable = False
        return view

    @property
    def code(self) -> Array:
        """y ``(K, H/s, W/s)``, formed from u at every call."""
        return transfer(
            self.membrane, self._threshold, self._kind, two_sided=self._two_sided, inclusive=self._inclusive
        )

    @property
    def residual(self) -> Array:
        """r on its frame, untruncated; a view that the next steps overwrite."""
        view = self._r[0].view()
        view.flags.writeable = False
        return view

    def start(self, membrane: Array) -> None:
        """Set u, and y and r with it; the code before counts as silent."""
        rows, columns = self._geometry.sheet
        self._u[0].reshape(rows, columns, -1)[..., : self._geometry.kernels] = membrane.transpose(1, 2, 0)
        self._u[1][:] = 0.0
        self._follow(0)

    def propose(self, eta: float) -> Moved:
        """Compute the next state aside."""
        g = self._geometry
        size, slope = _move(
            self._field,
            g.stride,
            self._offsets,
            self._weights,
            self._vectors,
            g.sheet[1],
            eta,
            self._rule,
            self._u[0],
            self._u[1],
            self._drive,
        )
        if not np.isfinite(size):
            return Moved(size, slope, np.inf)
        self._follow(1)
        return Moved(size, slope, float(_squares(self._r[1].ravel())))

    def accept(self) -> None:
        """Make the proposed state the present one."""
        self._u.reverse()
        self._r.reverse()
        self._active.reverse()

    def counts(self) -> tuple[int, int]:
        """How many codes are not 0, and how many differ from the state before."""
        return self._active[0], int(_count_changed(self._u[0], self._u[1], self._rule))

    def cost(self) -> float:
        """sum C(y_k), as `threshold.cost`."""
        return cost(self.code, self._threshold, self._kind)

    def _follow(self, which: int) -> None:
        """r that belongs to u, and what of it counts in the next drive."""
        g, r = self._geometry, self._r[which]
        self._active[which] = int(
            _synthesise(self._u[which], g.sheet[1], self._rule, g.stride, self._kernels, self._canvas)
        )
        if self._mirrored:
            _subtract_mirrored(
                self._image, self._canvas, self._mirror[0], self._mirror[1], r, self._cutoff, self._field
            )
        else:
            _subtract(self._image, self._canvas, self._inset, r, self._cutoff, self._field)
