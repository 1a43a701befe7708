"""Projected gradient descent: codes held, kernels moved along the gradient and brought back to unit norm, repeatedly.

Salakhutdinov, *Deep Learning* (10707), Sparse Coding, "Dictionary Learning I": ``D <- D + alpha 1/T sum_t (x_t - D h_t)
h_t^T``, then every column to unit norm, with the codes of all T pictures held. Here a picture is a whole crop, its sum
one over positions (so alpha is in the unit of the Hebbian rate), and T the batch. alpha is halved as often as a step
would raise ``sum 1/2 |x - D h|^2``, so that it never rises while the codes are held.
"""

from collections.abc import Mapping

from ..conv import Array
from .batch import Batch, half_square, unit
from .params import LearnParams

HALVINGS = 40
"""A step this often halved is below rounding: the kernels are where the gradient vanishes along the sphere."""


class Projected:
    """`rules.Rule` without memory: the gradient is taken anew, with true residuals, at every step."""

    def __init__(self, params: LearnParams) -> None:
        self._params = params

    def fresh(self) -> dict[str, Array]:
        """Nothing."""
        return {}

    def update(self, atoms: Array, memory: Mapping[str, Array], batch: Batch,
               number: int) -> tuple[Array, dict[str, Array]]:
        """``sweeps`` steps; fewer when the last one found nothing lower."""
        residuals, before = batch.residuals, half_square(batch.residuals)
        for _ in range(self._params.sweeps):
            step, rate = batch.descent(atoms, residuals) / len(batch), self._params.rate_at(number)
            for _ in range(HALVINGS):
                moved = unit(atoms + rate * step, atoms)
                left = batch.left(moved)
                after = half_square(left)
                if after < before:
                    break
                rate /= 2.0
            else:
                break
            atoms, residuals, before = moved, left, after
        return atoms, {}

    def forget(self, memory: Mapping[str, Array], kernels: list[int]) -> dict[str, Array]:
        """Nothing to forget."""
        return {}
