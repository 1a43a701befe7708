"""The network in PyTorch, optional: many pictures at once, on the CPU or a GPU.

Pixels are taken apart into the C s^2 polyphase planes of `fft`, so that both directions are convolutions at stride 1
with kernels of ceil(p/s) cells. In float64 it differs from `network.ReferenceNetwork` by the order of summation: 1e-9
until a threshold or the cutoff is met closer than that. In float32 one pass agrees to about 1e-6; codes of a settled
run then differ here and there, at equal error and sparseness. TensorFloat-32 stays off.

Everything of PyTorch is `Any` here: it is no dependency, and type checks run without it.
"""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np

from .conv import FOLDED, Array, StridedConv, inner_pixels
from .errors import InputError
from .network import Moved
from .threshold import Transfer, cost

Precision = Literal["float64", "float32"]


def load_torch() -> Any:
    """The module ``torch``.

    Raises:
        InputError: it is not installed, or its libraries do not load.
    """
    try:
        import torch
    except ImportError:
        raise InputError("the engine 'torch' needs PyTorch, which is not installed; pip install striate[torch], or use "
                         "another engine") from None
    except OSError as error:
        raise InputError(f"PyTorch is installed but does not load ({error}); install it again: pip install "
                         "--force-reinstall striate[torch]") from None
    return torch


def check_device(device: str) -> None:
    """Refuse a device that PyTorch cannot compute on here with an InputError."""
    torch = load_torch()
    try:
        kind = torch.device(device).type
    except RuntimeError:
        kind = ""
    if kind not in ("cpu", "cuda"):
        raise InputError(f"the device must be cpu, cuda or cuda:N, not '{device}'")
    try:
        torch.zeros(1, dtype=torch.float64, device=device).cpu()
    except (RuntimeError, AssertionError):
        seen = torch.cuda.device_count()
        raise InputError(f"PyTorch cannot compute on '{device}' here (it sees {seen} CUDA devices); use --device cpu"
                         ) from None


class TorchBatch:
    """u, y and r of B pictures of one size, moved together; a picture may stay where it is while the others go on.

    Args:
        images: x on the frame of the residual, ``(B, C, H, W)`` or extended.
        conv: geometry and border; every border is covered.
        atoms: ``(K, C, p, p)``, those of conv.
        threshold, kind, two_sided, inclusive, cutoff: as in `lca.LcaParams`, kind being its transfer.
        device, precision: as in `batch.encode_batch`.

    Raises:
        InputError: PyTorch is missing, a device it has not, or an unknown precision.
    """

    def __init__(self, images: Array, conv: StridedConv, atoms: Array, *, threshold: float, kind: Transfer,
                 two_sided: bool, inclusive: bool, cutoff: float, device: str = "cpu",
                 precision: Precision = "float64") -> None:
        torch = self._torch = load_torch()
        check_device(device)
        if precision not in get_args(Precision):
            raise InputError(f"the precision must be one of {', '.join(get_args(Precision))}, not '{precision}'")
        self._to = {"dtype": getattr(torch, precision), "device": device}
        self._threshold, self._kind, self._two_sided, self._inclusive = threshold, kind, two_sided, inclusive
        self._cutoff = cutoff
        g = self._geometry = conv.geometry
        self._x = self._tensor(images)
        side = g.cover * g.stride
        filled = np.zeros((g.kernels, g.channels, side, side))
        filled[:, :, : g.patch, : g.patch] = atoms
        phases = filled.reshape(g.kernels, g.channels, g.cover, g.stride, g.cover, g.stride)
        self._kernels = self._tensor(phases.transpose(0, 1, 3, 5, 2, 4).reshape(g.kernels, -1, g.cover, g.cover))
        self._inset = 0 if conv.border == "extended" else g.margin
        self._canvas = [(n + g.cover - 1) * g.stride for n in g.sheet]
        # With a border that copies pixels, matrices (rows of the canvas, rows of the image): sums in a fixed order also
        # on a GPU, where index_add has none.
        self._copies: list[Any] = []
        for size, whole in zip(g.image, self._canvas, strict=True) if conv.border in FOLDED else ():
            inner = inner_pixels(size, g.margin, conv.border)
            copies = np.zeros((whole, size))
            copies[np.arange(len(inner)), inner] = 1.0
            self._copies.append(self._tensor(copies))

    def start(self, membranes: Array) -> None:
        """Set u, ``(B, K, H/s, W/s)``, and y and r with it; the codes before count as silent."""
        self.u = self._tensor(membranes)
        self.y, self.r = self._follow(self.u)
        self.before = self._torch.zeros_like(self.y)

    def propose(self, eta: float) -> tuple[Any, Any, Any]:
        """Compute the next states aside; the squared norms of `network.Moved` as float64 tensors ``(B,)``."""
        torch, r = self._torch, self.r
        change = self.analysis(torch.where(r.abs() >= self._cutoff, r, torch.zeros_like(r))) + self.y - self.u
        u = self.u + eta * change
        self._next = (u, *self._follow(u))
        return self._squares(u), self._squares(change), self._squares(self._next[2])

    def accept(self, these: Any = None) -> None:
        """Make the proposed states the present ones; of the pictures where ``these``, ``(B,)``, is true if given."""
        if these is None:
            self.before = self.y
            self.u, self.y, self.r = self._next
            return
        these = these[:, None, None, None]
        self.before = self._torch.where(these, self.y, self.before)
        self.u, self.y, self.r = (self._torch.where(these, new, old) for new, old in
                                  zip(self._next, (self.u, self.y, self.r), strict=True))

    def analysis(self, residual: Any) -> Any:
        """Phi^T r: ``(B, C, H, W)`` or extended -> ``(B, K, H/s, W/s)``."""
        functional = self._torch.nn.functional
        if self._copies:
            canvas = self._copies[0] @ residual @ self._copies[1].T
        else:
            before, after = self._inset, [whole - self._inset - size for whole, size in
                                          zip(self._canvas, residual.shape[2:], strict=True)]
            canvas = functional.pad(residual, (before, after[1], before, after[0]))
        cells = functional.pixel_unshuffle(canvas, self._geometry.stride)
        with self._exact():
            return functional.conv2d(cells, self._kernels)

    def synthesis(self, code: Any) -> Any:
        """Phi y: ``(B, K, H/s, W/s)`` -> ``(B, C, H, W)`` or extended."""
        functional = self._torch.nn.functional
        with self._exact():
            cells = functional.conv_transpose2d(code, self._kernels)
        canvas = functional.pixel_shuffle(cells, self._geometry.stride)
        if self._copies:
            return self._copies[0].T @ canvas @ self._copies[1]
        (height, width), inset = self._x.shape[2:], self._inset
        return canvas[:, :, inset:inset + height, inset:inset + width]

    def column(self, values: Sequence[float]) -> Any:
        """Numbers as a float64 tensor ``(B,)`` where the pictures are."""
        return self._torch.tensor(list(values), dtype=self._torch.float64, device=self._to["device"])

    def numbers(self, values: Any) -> Array:
        """A tensor as a float64 array of its own."""
        return np.array(values.detach().cpu().numpy(), np.float64)

    def _follow(self, u: Any) -> tuple[Any, Any]:
        torch = self._torch
        size = u.abs() if self._two_sided else u
        active = size >= self._threshold if self._inclusive else size > self._threshold
        y = u
        if self._kind == "soft":
            y = torch.copysign(size - self._threshold, u) if self._two_sided else u - self._threshold
        y = torch.where(active, y, torch.zeros_like(u))
        return y, self._x - self.synthesis(y)

    def _squares(self, values: Any) -> Any:
        return (values * values).sum(dim=(1, 2, 3), dtype=self._torch.float64)

    def _tensor(self, values: Array) -> Any:
        return self._torch.tensor(np.ascontiguousarray(values), **self._to)

    def _exact(self) -> Any:
        """Full precision, and one algorithm: cuDNN's choice by a race would change the bits from run to run."""
        cudnn = self._torch.backends.cudnn
        return cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)


class TorchNetwork:
    """`network.Network`: `TorchBatch` with one picture, on the CPU in float64."""

    def __init__(self, image: Array, conv: StridedConv, atoms: Array, *, threshold: float, kind: Transfer,
                 two_sided: bool, inclusive: bool, cutoff: float) -> None:
        self._batch = TorchBatch(image[None], conv, atoms, threshold=threshold, kind=kind, two_sided=two_sided,
                                 inclusive=inclusive, cutoff=cutoff)
        self._threshold, self._kind = threshold, kind

    @property
    def membrane(self) -> Array:
        """u, ``(K, H/s, W/s)``."""
        return self._batch.numbers(self._batch.u[0])

    @property
    def code(self) -> Array:
        """y, ``(K, H/s, W/s)``."""
        return self._batch.numbers(self._batch.y[0])

    @property
    def residual(self) -> Array:
        """r on its frame, untruncated."""
        return self._batch.numbers(self._batch.r[0])

    def start(self, membrane: Array) -> None:
        """Set u, and y and r with it; the code before counts as silent."""
        self._batch.start(membrane[None])

    def propose(self, eta: float) -> Moved:
        """Compute the next state aside."""
        size, slope, residual = (float(value) for value in self._batch.propose(eta))
        return Moved(size, slope, residual)

    def accept(self) -> None:
        """Make the proposed state the present one."""
        self._batch.accept()

    def counts(self) -> tuple[int, int]:
        """How many codes are not 0, and how many differ from the state before."""
        y, before = self._batch.y, self._batch.before
        return int((y != 0).sum()), int((y != before).sum())

    def cost(self) -> float:
        """sum C(y_k), as `threshold.cost`."""
        return cost(self.code, self._threshold, self._kind)
