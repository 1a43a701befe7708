"""What `lca.encode` steps: the state of a network and its next one. Here the reference, straight from the equations.

The others are equal to rounding: `fast.FastNetwork`, `fft.FftNetwork` and the optional `torch_engine.TorchNetwork`.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from .conv import Array, StridedConv
from .threshold import Transfer, cost, transfer


class Moved(NamedTuple):
    """Squared L2 norms of a proposed step: |u'|^2, |du/dt|^2 = |Phi^T r~ + y - u|^2 and |x - Phi y'|^2."""

    size: float
    slope: float
    residual: float


class Network(Protocol):
    """u, y = T(u) and r = x - Phi y, moved by ``u <- u + eta (Phi^T r~ + y - u)`` in two steps: propose, accept.

    The arrays must not be changed, and hold only until the next `propose`.
    """

    @property
    def membrane(self) -> Array:
        """u, ``(K, H/s, W/s)``."""

    @property
    def code(self) -> Array:
        """y, ``(K, H/s, W/s)``."""

    @property
    def residual(self) -> Array:
        """r, untruncated, on the frame: ``(C, H, W)``, or extended."""

    def start(self, membrane: Array) -> None:
        """Set u, and y and r with it; the code before counts as silent."""

    def propose(self, eta: float) -> Moved:
        """Compute the next state aside; its values need not be finite."""

    def accept(self) -> None:
        """Make the proposed state the present one."""

    def counts(self) -> tuple[int, int]:
        """How many codes are not 0, and how many differ from the state before."""

    def cost(self) -> float:
        """sum C(y_k), as `threshold.cost`."""


class ArrayNetwork:
    """What networks share whose state is three arrays: u, y = T(u) and r = x - Phi y; theirs is how u moves.

    Args:
        image: x on the frame of the residual. synthesis: Phi.
        threshold, kind, two_sided, inclusive: as in `lca.LcaParams`, kind being its transfer.
    """

    _next: tuple[Array, Array, Array]  # what `propose` leaves: u, y, r

    def __init__(
        self, image: Array, synthesis: Callable[[Array], Array], threshold: float, kind: Transfer, two_sided: bool,
        inclusive: bool,
    ) -> None:  # fmt: skip
        self._image, self._synthesis = image, synthesis
        self._threshold, self._kind, self._two_sided, self._inclusive = threshold, kind, two_sided, inclusive

    def start(self, membrane: Array) -> None:
        """Set u, and y and r with it; the code before counts as silent."""
        self.membrane = np.ascontiguousarray(membrane)
        self.code, self.residual = self._follow(self.membrane)
        self._before = np.zeros_like(self.code)

    def accept(self) -> None:
        """Make the proposed state the present one."""
        self._before = self.code
        self.membrane, self.code, self.residual = self._next

    def counts(self) -> tuple[int, int]:
        """How many codes are not 0, and how many differ from the state before."""
        return int(np.count_nonzero(self.code)), int(np.count_nonzero(self.code != self._before))

    def cost(self) -> float:
        """sum C(y_k), as `threshold.cost`."""
        return cost(self.code, self._threshold, self._kind)

    def _follow(self, u: Array) -> tuple[Array, Array]:
        y = transfer(u, self._threshold, self._kind, two_sided=self._two_sided, inclusive=self._inclusive)
        return y, self._image - self._synthesis(y)


class ReferenceNetwork(ArrayNetwork):
    """The equations as they stand, one array operation each, through `conv.StridedConv`.

    Args:
        image: x on the frame of the residual, ``(C, H, W)`` or extended.
        conv: Phi and its transpose.
        threshold, kind, two_sided, inclusive, cutoff: as in `lca.LcaParams`, kind being its transfer.
    """

    def __init__(
        self,
        image: Array,
        conv: StridedConv,
        *,
        threshold: float,
        kind: Transfer,
        two_sided: bool,
        inclusive: bool,
        cutoff: float,
    ) -> None:
        super().__init__(image, conv.synthesis, threshold, kind, two_sided, inclusive)
        self._conv, self._cutoff = conv, cutoff

    def propose(self, eta: float) -> Moved:
        """Compute the next state aside."""
        r = self.residual
        drive = self._conv.analysis(np.where(np.abs(r) >= self._cutoff, r, 0.0))
        slope = drive + self.code - self.membrane
        u = self.membrane + eta * slope
        y, r = self._follow(u)
        self._next = u, y, r
        return Moved(float(np.vdot(u, u)), float(np.vdot(slope, slope)), float(np.vdot(r, r)))
