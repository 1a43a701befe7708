"""The state of a training run: what a batch changes, and how it goes to the checkpoint and comes back."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..archive import load_npz, save_npz
from ..conv import Array
from ..dictionary import Dictionary
from ..errors import InputError
from .params import LearnParams
from .rules import rule_of

# Kernel movement, error, sparseness and energy are averaged over so many pictures.
RECENT_PICTURES = 200

# The history of energies has one mean for so many learned pictures.
HISTORY_PICTURES = 100

# A checkpoint is written when so many seconds passed since the last one, and so many times what writing that one took.
CHECKPOINT_S = 2.0
CHECKPOINT_TIMES = 20.0


class _Damaged(Exception):
    """A checkpoint holds what no run wrote; the text says what."""


@dataclass(frozen=True)
class State:
    """All that a batch changes. Values: a batch makes a new one, so an interruption never meets half of one.

    Args:
        atoms: ``(K, C, p, p)``.
        membranes: ``(batch, K, H/s, W/s)`` when warm, else empty.
        memory: of the rule.
        idle: ``(K,)`` pictures in a row without activity.
        done, diverged, in_a_row, reseeded: crops shown, those that diverged, the last of them in a row, kernels drawn
            anew.
        recent: movement, percent error, percent inactive and energy of the last `RECENT_PICTURES`, ``(n, 4)``; the
            energy of a diverged one is NaN.
        history: sum of energies and number of pictures, for each `HISTORY_PICTURES` learned pictures, ``(n, 2)``.
    """

    atoms: Array
    membranes: Array
    memory: dict[str, Array]
    idle: npt.NDArray[np.int64]
    done: int
    diverged: int
    in_a_row: int
    reseeded: int
    recent: Array
    history: Array

    @classmethod
    def fresh(cls, params: LearnParams) -> "State":
        """Before the first picture."""
        g = params.geometry
        membranes = np.zeros(0)
        if params.warm:
            # Below the threshold: all silent, yet no two units alike.
            draw = np.random.default_rng([params.seed, params.pictures])
            membranes = draw.uniform(0.0, params.threshold, (params.batch, *g.code_shape))
        return cls(np.array(params.beginning().atoms), membranes, rule_of(params).fresh(),
                   np.zeros(g.kernels, np.int64), 0, 0, 0, 0, np.zeros((0, 4)), np.zeros((0, 2)))

    @classmethod
    def resume(cls, path: Path, settings: str, params: LearnParams, force: bool) -> "State | None":
        """From a checkpoint; None when there is none, or with ``force`` one that is damaged or of other settings.

        Raises:
            InputError: it belongs to other settings, is damaged, or is a folder.
        """
        if not path.exists():
            return None
        if path.is_dir():
            raise InputError(f"{path}, where the state is to be kept, is a folder; move it away")
        try:
            theirs = str(load_npz(path, ("settings",))["settings"])
            state = cls._read(path, params) if theirs == settings else None
        except (InputError, _Damaged) as error:
            if force:
                return None
            text = str(error).removeprefix(f"{path} ").split(";")[0]
            raise InputError(f"{path} {text}; begin anew with --force, or remove it") from None
        if state is None and not force:
            raise InputError(f"{path} belongs to a run with other settings or pictures; give those again to continue "
                             "it, choose another --out, or drop it with --force")
        return state

    @classmethod
    def _read(cls, path: Path, params: LearnParams) -> "State":
        """What `save` wrote, checked."""
        memory = sorted(rule_of(params).fresh())
        data = load_npz(path, ("atoms", "membranes", "idle", "counts", "recent", "history",
                               *(f"memory {name}" for name in memory)))
        if data["counts"].shape != (4,) or data["counts"].dtype.kind != "i":
            raise _Damaged("is damaged: its counts are not four whole numbers")
        done, diverged, in_a_row, reseeded = (int(value) for value in data["counts"])
        state = cls(data["atoms"], data["membranes"], {name: data[f"memory {name}"] for name in memory}, data["idle"],
                    done, diverged, in_a_row, reseeded, data["recent"], data["history"])
        state._check(params)
        return state

    def _check(self, params: LearnParams) -> None:
        """Refuse what no run of these settings comes to: arrays of another shape or kind, values that are not finite,
        kernels that are not of unit norm, counts out of range.
        """
        learned = self.done - self.diverged
        if not (0 <= self.in_a_row <= self.diverged <= self.done <= params.pictures and self.reseeded >= 0):
            raise _Damaged("is damaged: its counts are out of range")
        fresh = State.fresh(params)
        arrays = {"atoms": (self.atoms, fresh.atoms.shape), "membranes": (self.membranes, fresh.membranes.shape),
                  "idle": (self.idle, fresh.idle.shape),
                  "recent": (self.recent, (min(self.done, RECENT_PICTURES), 4)),
                  "history": (self.history, (-(-learned // HISTORY_PICTURES), 2)),
                  **{f"memory {name}": (self.memory[name], array.shape) for name, array in fresh.memory.items()}}
        for name, (array, shape) in arrays.items():
            kind = "i" if name == "idle" else "f"
            if array.shape != shape or array.dtype.kind != kind:
                raise _Damaged(f"is damaged: '{name}' has the shape {array.shape} and holds {array.dtype}, where the "
                               f"run has {shape} and {'int64' if kind == 'i' else 'float64'}")
            # Pictures that diverged have no energy, and perhaps no error.
            if not np.isfinite(array[:, 0] if name == "recent" else array).all():
                raise _Damaged(f"is damaged: '{name}' holds values that are not finite")
        try:
            Dictionary(self.atoms, params.stride)
        except InputError as error:
            raise _Damaged(f"is damaged: {error}") from None
        if np.count_nonzero(np.isnan(self.recent[:, 3])) > self.diverged or self.history[:, 1].sum() != learned:
            raise _Damaged("is damaged: its energies are not those of its pictures")
        if not ((self.idle >= 0) & (self.idle <= self.done)).all():
            raise _Damaged("is damaged: 'idle' is out of range")

    def save(self, path: Path, settings: str) -> None:
        """Write the checkpoint."""
        save_npz(path, {"settings": np.str_(settings), "atoms": self.atoms, "membranes": self.membranes,
                        "idle": self.idle, "counts": np.array([self.done, self.diverged, self.in_a_row, self.reseeded]),
                        "recent": self.recent, "history": self.history,
                        **{f"memory {name}": array for name, array in self.memory.items()}})


def checkpoint_path(out: str | os.PathLike[str]) -> Path:
    """Where a run that will write ``out`` keeps its state: beside it, gone when the run is complete."""
    out = Path(out)
    return out.with_name(f"{out.name}.checkpoint.npz")


class Checkpoint:
    """Writes states now and then, so that writing takes a small part of the time."""

    def __init__(self, path: Path, settings: str) -> None:
        self._path, self._settings = path, settings
        self._last, self._took = time.monotonic(), 0.0
        self._state: State | None = None

    def keep(self, state: State) -> None:
        """Take note of a state, and write it when it is time."""
        self._state = state
        if time.monotonic() - self._last >= max(CHECKPOINT_S, CHECKPOINT_TIMES * self._took):
            self.write()

    def write(self) -> None:
        """Write the last state that was noted, if that is still to be done."""
        if self._state is not None:
            started = time.monotonic()
            self._state.save(self._path, self._settings)
            self._state, self._last = None, time.monotonic()
            self._took = self._last - started
