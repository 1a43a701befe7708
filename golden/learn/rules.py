"""The learning rules under one contract: kernels, a memory of named arrays and a coded batch in, new kernels out."""

from collections.abc import Mapping
from typing import Protocol

from ..conv import Array
from .batch import Batch
from .blocks import BlockCoordinate, Online
from .hebbian import Hebbian
from .params import LearnParams
from .projected import Projected


class Rule(Protocol):
    """One update of the kernels. It keeps nothing itself: what it must remember are the arrays of ``memory``, which go
    to the checkpoint and are never changed in place.
    """

    def fresh(self) -> dict[str, Array]:
        """The memory before the first picture."""

    def update(self, atoms: Array, memory: Mapping[str, Array], batch: Batch,
               number: int) -> tuple[Array, dict[str, Array]]:
        """New kernels and memory.

        Args:
            atoms: ``(K, C, p, p)`` of unit norm, those the batch was coded with.
            memory: of the update before.
            batch: at least one crop.
            number: of the batch's last picture, counted from 0: where schedules are.
        """

    def forget(self, memory: Mapping[str, Array], kernels: list[int]) -> dict[str, Array]:
        """The memory without these kernels' past: they were drawn anew."""


def rule_of(params: LearnParams) -> Rule:
    """The rule that the settings name."""
    rules: dict[str, type[Hebbian] | type[Projected] | type[BlockCoordinate] | type[Online]] = {
        "hebbian": Hebbian, "projected": Projected, "block-coordinate": BlockCoordinate, "online": Online}
    return rules[params.rule](params)


# What stands in a dictionary's source.
TITLES = {"hebbian": "Hebbian learning (eq. 15)", "projected": "Projected gradient descent",
          "block-coordinate": "Block-coordinate descent", "online": "Online block-coordinate descent"}
