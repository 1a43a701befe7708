"""The state of learning on an array from crop to crop, and its checkpoint."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ....golden.archive import load_npz, save_npz
from ....golden.errors import InputError
from ..streams import FloatArray
from .updates import Spent, Stored


@dataclass(frozen=True)
class Evaluation:
    """The array after ``crops`` crops, means over the held-out crops and over kernels.

    Args:
        percent_error: of codes made and decoded with the programmed kernels. percent_error_digital: of the same codes
            decoded with the kernels that were asked for. percent_inactive: of the codes.
        cosine: of programmed and asked-for kernels. norm: of the cells' kernels over that at the start. at_bounds:
            share of the free cells. pulses, verify_reads: spent so far. norm_reads: conversions for the scales so far.
    """

    crops: int
    percent_error: float
    percent_error_digital: float
    percent_inactive: float
    cosine: float
    norm: float
    at_bounds: float
    pulses: int
    verify_reads: int
    norm_reads: int


@dataclass(frozen=True, eq=False)
class LearnState:
    """All that a crop changes; ``wanted``: the weights that were asked for, in units of the cells."""

    stored: Stored
    wanted: FloatArray
    spent: Spent
    norm_reads: int
    done: int
    diverged: int
    in_a_row: int
    curve: tuple[Evaluation, ...]


_COUNTS = ("done", "diverged", "in_a_row", "norm_reads")


def save_state(path: Path, settings: str, state: LearnState) -> None:
    """Write a state aside and rename it; ``settings`` tell whose it is."""
    save_npz(path, {
        "settings": np.str_(settings), "held": state.stored.held, "shown": state.stored.shown, "wanted": state.wanted,
        "counts": np.array([getattr(state, name) for name in _COUNTS] + [state.spent.pulses, state.spent.verify_reads]),
        "curve": np.array([list(asdict(point).values()) for point in state.curve], np.float64),
    })  # fmt: skip


def load_state(path: Path, settings: str, fresh: LearnState, force: bool) -> LearnState:
    """The state in a checkpoint; the cells are those that ``fresh`` drew. With ``force`` one of other settings is left.

    Raises:
        InputError: not a checkpoint, or one of other settings.
    """
    data = load_npz(path, ("settings", "held", "shown", "wanted", "counts", "curve"))
    if str(data["settings"]) != settings:
        if force:
            return fresh
        raise InputError(f"{path} belongs to a run with other settings, pictures or start; give those again to "
                         "continue it, choose another --out, or drop it with --force")  # fmt: skip
    *counts, pulses, reads = (int(value) for value in data["counts"])
    stored = replace(fresh.stored, held=data["held"], shown=data["shown"])
    named: dict[str, Any] = dict(zip(_COUNTS, counts, strict=True))
    return replace(fresh, stored=stored, wanted=data["wanted"], spent=Spent(pulses, reads),
                   curve=tuple(_point(row) for row in data["curve"]), **named)  # fmt: skip


def _point(row: FloatArray) -> Evaluation:
    kinds = (int, *[float] * 6, int, int, int)
    return Evaluation(*(kind(value) for kind, value in zip(kinds, row, strict=True)))
