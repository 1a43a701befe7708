"""The state of the whole network in memory, laid out for the compiled functions.

The tiles' copies of R agree wherever their regions overlap, at the end of every step: an event reaches every tile
whose region it touches. So one R serves them all, and a tile's region is a window of it; likewise r~, D and U. What is
a matter of one tile - counts, cycles - follows from the lists of events afterwards (``tile.py``, ``exchange.py``).

Coordinates are those of a single tile that owns everything: neuron (i, j) covers the rows ``s*i .. s*i + p - 1`` and
the columns ``s*j .. s*j + p - 1``; pixel (y, x) of the image lies at (y + margin, x + margin).
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .plan import Plan
from .simd import LANES, MARKS
from .tiling import IntArray

BLOCK = 256
"""Pixel columns, about, that one thread scans at a time. Sums of squares are formed by block, so it decides their last
bits, and the number of threads does not."""
SPOTS = 4096
"""Events, about, that a thread lists before it looks at them."""
WIDEST = 4
"""Most cells of a strip."""

Words = npt.NDArray[Any]


class Layout(NamedTuple):
    """Sizes that the compiled functions share."""

    channels: int
    kernels: int
    rows: int  # V1 rows h
    columns: int  # V1 columns v
    patch: int
    stride: int
    margin: int
    height: int  # of the image
    width: int
    cover: int  # V1 positions that see a pixel, along an axis
    group: int  # V1 columns of a strip, so many that the words of D of a strip are whole vectors
    span: int  # pixel columns of a strip: group * stride
    strips: int  # of the region
    window: int  # words of D that the residual events of a strip reach in one V1 row, padded
    tap_row: int  # words of one row of a kernel for scatter, padded
    blocks: int  # of BLOCK columns
    block_strips: int  # strips of a block


class State(NamedTuple):
    """What a warm frame builds on."""

    u: Words  # (h, v*K) membranes
    d: Words  # (h, padded) drives; cover - 1 positions more on the left, as many or more on the right
    r: Words  # (C, region rows, padded) residual
    s: Words  # (C, region rows, region columns) residual as read, 0 outside the image
    active: IntArray  # (h,) neurons with a code, by V1 row


class Weights(NamedTuple):
    """The kernels twice, as gather and as scatter read them."""

    gather: Words  # flat [c][row][phase][window]: place o of the window sees column phase + s*(cover - 1 - o)
    scatter: Words  # flat [k][c][row][tap_row]
    largest: IntArray  # (K,) largest magnitude of a weight


class Lists(NamedTuple):
    """The events of a step."""

    place: npt.NDArray[np.int32]  # residual events by strip: where their weights begin, for V1 row 0
    change: Words  # and dr~
    reached: npt.NDArray[np.int32]  # (region rows + 1, strips): events before the row, by strip
    marks: npt.NDArray[np.uint64]  # (C*H, blocks * words of a block): bits of the pixels with an event
    neuron: npt.NDArray[np.int32]  # (h, v*K): code events of a V1 row: j*K + k
    dy: npt.NDArray[np.int32]  # (h, v*K)
    fired: IntArray  # (h,): how many
    outside: IntArray  # (h,) membranes outside their range
    load: IntArray  # (h, coarse columns) sum of |dy| * largest weight, by groups of ``cover`` positions
    peak: IntArray  # (1,) a bound of |R|: no pixel is beyond it
    strip: npt.NDArray[np.int32]  # (region columns,) strip of a pixel
    phase: npt.NDArray[np.int32]  # (region columns,) where the weights of its phase begin
    square: npt.NDArray[np.float64]  # (blocks,) sum of (residual)^2
    tail: IntArray  # (strips,) scratch: end of each strip's list
    scratch: Words  # (threads, widest row) changes of a row
    spot: IntArray  # (threads, SPOTS and a row) where events are, while one row or some are looked at
    minus: Words  # (threads, 1) an event's change, for scatter
    zero: npt.NDArray[np.int32]  # (1,) its offset


@dataclass(frozen=True)
class Types:
    """The words of the state: the narrow ones where everything fits, else 64 bits."""

    drive: type[np.generic]
    kept: type[np.generic]  # of membranes in memory: half the traffic where a picture is larger than the caches
    membrane: type[np.generic]  # of the sums formed with them
    residual: type[np.generic]
    sent: type[np.generic]


def aligned(shape: tuple[int, ...], dtype: type[np.generic]) -> Words:
    """Zeros that begin at a multiple of 64 bytes, so that no vector straddles two cache lines.

    They are written, not just promised: the pages then belong to the machine before a frame begins, and large ones come
    as huge pages, which NumPy asks for where it does not leave the zeroing to the system.
    """
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.empty(size + 64, np.uint8)
    raw.fill(0)
    start = -raw.ctypes.data % 64
    return raw[start : start + size].view(dtype).reshape(shape)


def padded(count: int) -> int:
    """``count`` rounded up to whole vectors."""
    return -(-count // LANES) * LANES


def marks_of_block(layout: Layout) -> int:
    """Words of ``Lists.marks`` in a row of a block."""
    return -(-layout.block_strips * layout.span // MARKS)


def layout_of(plan: Plan) -> Layout:
    """The sizes of a plan's network."""
    g = plan.tiling.geometry
    cover, group = -(-g.patch // g.stride), LANES // math.gcd(g.kernels, LANES)
    group = group if group <= WIDEST else 1
    span = group * g.stride
    strips = -(-(g.stride * g.sheet[1] + g.patch - g.stride) // span)
    block_strips = max(1, BLOCK // span)
    return Layout(
        g.channels, g.kernels, *g.sheet, g.patch, g.stride, g.margin, *g.image, cover, group, span, strips,
        padded((cover + group - 1) * g.kernels), padded(g.patch), -(-strips // block_strips), block_strips,
    )  # fmt: skip


def drive_bound(plan: Plan, weights: IntArray) -> int:
    """The largest |D| that these weights (K, C, p, p) can produce."""
    return int(np.abs(weights).sum(axis=(1, 2, 3)).max()) * plan.residual.magnitude


def types_of(plan: Plan, weights: IntArray) -> Types:
    """The smallest words in which every sum is exact."""
    bound = drive_bound(plan, weights)
    fd, fy, fu = plan.weight.frac + plan.residual.frac, plan.code.frac, plan.membrane.frac
    finest = max(fd, fy, fu)
    largest = (bound << (finest - fd)) + (plan.code.magnitude << (finest - fy))
    largest += plan.membrane.magnitude << (finest - fu)
    shifts = [finest - fu + shift for shift in plan.shift_choices]
    largest += 1 << max(shifts)
    code = (plan.membrane.magnitude << max(0, fy - fu)) + (1 << max(0, fu - fy))
    down = plan.weight.frac + fy - plan.residual.frac
    residual = (1 << (plan.residual_width + max(0, -down))) + (1 << max(0, down))
    narrow = (
        bound < 1 << 24
        and max(largest, code, residual) < 1 << 30
        and max(shifts) < 31
        and plan.residual.width <= 16
        and plan.membrane.width <= 16
    )
    if narrow:
        return Types(np.float32, np.int16, np.int32, np.int32, np.int16)
    return Types(np.float64 if bound < 1 << 53 else np.int64, np.int64, np.int64, np.int64, np.int64)


def state_of(layout: Layout, types: Types) -> State:
    """A cleared state."""
    n = layout
    rows, columns = n.stride * n.rows + n.patch - n.stride, n.stride * n.columns + n.patch - n.stride
    return State(
        aligned((n.rows, n.columns * n.kernels), types.kept),
        aligned((n.rows, (n.strips - 1) * n.group * n.kernels + n.window), types.drive),
        aligned((n.channels, rows, padded(columns) + LANES), types.residual),
        aligned((n.channels, rows, padded(columns)), types.sent),
        np.zeros(n.rows, np.int64),
    )


def weights_of(layout: Layout, weights: IntArray, types: Types) -> Weights:
    """The two layouts of weights (K, C, p, p)."""
    n = layout
    gather = aligned((n.channels, n.patch, n.span, n.window), types.drive)
    for phase in range(n.span):
        for place in range(n.cover + n.group - 1):
            column = phase + n.stride * (n.cover - 1 - place)
            if 0 <= column < n.patch:
                own = slice(place * n.kernels, (place + 1) * n.kernels)
                gather[:, :, phase, own] = np.moveaxis(weights[..., column], 0, -1)
    scatter = aligned((n.kernels, n.channels, n.patch, n.tap_row), types.residual)
    scatter[..., : n.patch] = weights
    return Weights(gather.reshape(-1), scatter.reshape(-1), np.abs(weights).max(axis=(1, 2, 3)).astype(np.int64))


def lists_of(layout: Layout, types: Types, threads: int) -> Lists:
    """Room for every event that a step can have; memory is used where events are."""
    n = layout
    rows = n.stride * n.rows + n.patch - n.stride
    columns = n.stride * n.columns + n.patch - n.stride
    most = n.strips * n.channels * n.height * n.span
    neurons = (n.rows, n.columns * n.kernels)
    widest = max(n.columns * n.kernels, padded(columns)) + MARKS
    return Lists(
        np.empty(most, np.int32),
        np.empty(most, types.drive),
        np.zeros((rows + 1, n.strips), np.int32),
        np.zeros((n.channels * n.height, n.blocks * marks_of_block(n)), np.uint64),
        np.empty(neurons, np.int32),
        np.empty(neurons, np.int32),
        np.zeros(n.rows, np.int64),
        np.zeros(n.rows, np.int64),
        np.zeros((n.rows, -(-n.columns // n.cover)), np.int64),
        np.zeros(1, np.int64),
        (np.arange(columns) // n.span).astype(np.int32),
        (np.arange(columns) % n.span * n.window).astype(np.int32),
        np.zeros(n.blocks, np.float64),
        np.zeros(n.strips, np.int64),
        np.zeros((threads, widest), types.membrane),
        np.zeros((threads, SPOTS + widest), np.int64),
        np.zeros((threads, 1), types.residual),
        np.zeros(1, np.int32),
    )
