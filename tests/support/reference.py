"""The arithmetic once more, by another hand: an explicit matrix Phi in Python integers and ``fixed.py``, no events, no
tiles.

Slow and plain on purpose. It shares with the machine only the design's numbers and the formats.
"""

from dataclasses import dataclass

import numpy as np

from striate.sim.fixed import Format, overflowed, round_shift, wrap
from striate.sim.plan import Plan


def phi(plan: Plan, weights: np.ndarray) -> np.ndarray:
    """(pixels, neurons) int64: column n is neuron n's kernel where it covers the image, cropped."""
    g = plan.tiling.geometry
    (height, width), (rows, cols) = g.image, g.sheet
    matrix = np.zeros((g.channels, height, width, g.kernels, rows, cols), np.int64)
    for i in range(rows):
        for j in range(cols):
            for a in range(g.patch):
                for b in range(g.patch):
                    y, x = g.stride * i - g.margin + a, g.stride * j - g.margin + b
                    if 0 <= y < height and 0 <= x < width:
                        matrix[:, y, x, :, i, j] = weights[:, :, a, b].T
    return matrix.reshape(g.channels * height * width, -1)


def transfer(u: np.ndarray, plan: Plan) -> np.ndarray:
    """Port 3 on an int64 array."""
    magnitude = np.abs(u) if plan.two_sided else u
    kept = magnitude - plan.threshold_q if plan.soft else magnitude
    y = round_shift(kept, plan.membrane.frac - plan.code.frac, plan.code.rounding)
    if plan.two_sided:
        y = np.where(u < 0, -y, y)
    return np.where(magnitude >= plan.threshold_q, overflowed(y, plan.code), 0)


def sent(r: np.ndarray, plan: Plan) -> np.ndarray:
    """Port 1 on an int64 array."""
    fmt: Format = plan.residual
    value = overflowed(round_shift(r, plan.weight.frac + plan.code.frac - fmt.frac, fmt.rounding), fmt)
    return np.where(np.abs(value) < plan.cutoff_q, 0, value)


@dataclass
class Reference:
    """State of the network between steps: u (neurons,), y, R and, of the last step, r~ and D."""

    plan: Plan
    weights: np.ndarray
    x: np.ndarray

    def __post_init__(self) -> None:
        self.matrix = phi(self.plan, self.weights)
        self.u = np.zeros(self.matrix.shape[1], np.int64)
        self.s = np.zeros(self.matrix.shape[0], np.int64)
        self.d = np.zeros_like(self.u)

    @property
    def y(self) -> np.ndarray:
        return transfer(self.u, self.plan)

    @property
    def r(self) -> np.ndarray:
        return wrap(
            (self.x.reshape(-1) << self.plan.input_shift) - self.matrix @ self.y, self.plan.residual_width, True
        )

    def step(self, n: int) -> None:
        """Gather, then update."""
        plan = self.plan
        self.s = sent(self.r, plan)
        self.d = wrap(self.matrix.T @ self.s, plan.drive_width, True)
        fd, fy, fu = plan.weight.frac + plan.residual.frac, plan.code.frac, plan.membrane.frac
        fine = max(fd, fy, fu)
        whole = (self.d << (fine - fd)) + (self.y << (fine - fy)) - (self.u << (fine - fu))
        shift = [s for first, s in plan.step_shift if first <= n][-1]
        self.u = overflowed(self.u + round_shift(whole, fine + shift - fu, plan.membrane.rounding), plan.membrane)
