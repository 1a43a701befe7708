"""A training run from the first picture to the written dictionary: resumable, and honest about how it ended."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from enum import Enum
from pathlib import Path

import numpy as np

from ..archive import remove_leftovers
from ..conv import Array
from ..dictionary import Dictionary
from ..errors import InputError
from ..gabor import gabor_like
from ..lca import Outcome
from ..metrics import energy, percent_error, percent_inactive
from .batch import Batch
from .coding import Coded, Coder, coder_of
from .hebbian import kernel_change
from .params import LearnParams, by_option
from .pictures import TrainingCrops, picture_names
from .revival import redraw
from .rules import TITLES, Rule, rule_of
from .state import HISTORY_PICTURES, RECENT_PICTURES, Checkpoint, State, checkpoint_path

__all__ = ["DIVERGED_IN_A_ROW", "DIVERGED_SHARE", "GABOR_EXPLAINED", "GABOR_KERNELS", "SETTLED_CHANGE",
           "SETTLED_PICTURES", "LearnOutcome", "LearnParams", "LearnResult", "Progress", "learn"]

# Settled: kernels moved by less than SETTLED_CHANGE of their norm per update, on average over kernels and the last
# SETTLED_PICTURES pictures.
SETTLED_CHANGE = 0.01
SETTLED_PICTURES = RECENT_PICTURES

# Gabor-like: a Gabor function explains at least GABOR_EXPLAINED of the energy of at least GABOR_KERNELS of the kernels.
GABOR_EXPLAINED = 0.6
GABOR_KERNELS = 0.7

# A picture whose code diverges teaches nothing and is skipped; this many in a row end the run. A run in which more
# than this share of all pictures diverged counts as diverged too: such a dictionary is written nowhere.
DIVERGED_IN_A_ROW = 10
DIVERGED_SHARE = 0.5


class LearnOutcome(Enum):
    """How learning ended; `remedy` says what to do about it, in one sentence."""

    COMPLETED = "completed"
    DIVERGED = "diverged"

    @property
    def remedy(self) -> str:
        """One sentence."""
        return {
            LearnOutcome.COMPLETED: "Nothing to do: all pictures were shown.",
            LearnOutcome.DIVERGED: "The codes stopped being stable: halve --eta, raise --threshold or lower --rate, "
                                   "and start again.",
        }[self]


@dataclass(frozen=True)
class Progress:
    """Handed to the caller after every batch. The time left is the caller's to estimate, from ``first`` and the
    clock.

    ``done`` of ``pictures`` crops are learned, the first ``first`` of them in an earlier run; ``change`` is the mean
    movement of the kernels by this batch as a share of their norm; ``percent_error`` and ``percent_inactive`` are of
    its last code; ``reseeded`` kernels were drawn anew so far.
    """

    done: int
    pictures: int
    first: int
    change: float
    percent_error: float
    percent_inactive: float
    diverged: int
    reseeded: int = 0


@dataclass(frozen=True)
class LearnResult:
    """The dictionary and how well it was learned.

    Args:
        dictionary: the kernels; None when diverged.
        outcome: `LearnOutcome`; diverged after `DIVERGED_IN_A_ROW` such pictures in a row, or when in the end more than
            `DIVERGED_SHARE` of them were skipped.
        pictures: crops shown, those of earlier runs included.
        diverged: crops skipped because their code diverged.
        change: mean kernel movement per update over the last `SETTLED_PICTURES`, as a share of the unit norm.
        settled: change is below `SETTLED_CHANGE` over a full window of pictures.
        explained: share of energy a Gabor function explains, per kernel.
        gabor_share: share of the kernels with at least `GABOR_EXPLAINED`.
        gabor_like: gabor_share is at least `GABOR_KERNELS`.
        percent_error, percent_inactive: means over the same last pictures, of codes made while learning.
        energy: mean of ``1/2 |x - Phi y|^2`` + sparseness cost over the same pictures, diverged ones left out; NaN when
            all of them diverged.
        energies: its mean over each 100 learned pictures in a row, from the first on (the last mean over what is left).
        reseeded: how often a kernel was drawn anew.
        silent: kernels without activity in any of the last `SETTLED_PICTURES` pictures (of all, when fewer were shown).
    """

    dictionary: Dictionary | None
    outcome: LearnOutcome
    pictures: int
    diverged: int
    change: float
    settled: bool
    explained: tuple[float, ...]
    gabor_share: float
    gabor_like: bool
    percent_error: float
    percent_inactive: float
    energy: float
    energies: tuple[float, ...]
    reseeded: int
    silent: int


def learn(params: LearnParams, pictures: Sequence[str | os.PathLike[str]], out: str | os.PathLike[str], *,
          progress: Callable[[Progress], None] | None = None, force: bool = False, workers: int = 1,
          scheduler: str | None = None) -> LearnResult:
    """Learn a dictionary from pictures and write it to ``out``.

    The state is written beside ``out`` (`checkpoint_path`) every 2 s, less often where writing takes more than 0.1 s,
    and when an exception such as Ctrl-C ends the run. Called again with the same settings and pictures, an interrupted
    run loses at most the current batch, a killed one at most that and the seconds since the last writing, and ends with
    the same bytes as an uninterrupted one (on the same machine and libraries: another BLAS rounds differently, and
    learning amplifies that).

    Args:
        params: all settings.
        pictures: files, names of bundled photographs, or folders of pictures (`pictures.TrainingCrops`).
        out: the .npz to write, as `Dictionary.save` does.
        progress: called after every batch.
        force: overwrite ``out``, and drop a checkpoint that is damaged or of other settings.
        workers: processes that code the crops of a batch; more than ``params.batch`` have nothing to do. They import
            the caller's main module: a script guards its work by ``if __name__ == "__main__"``.
        scheduler: address of a Dask scheduler, such as tcp://host:8786, whose workers code them instead. Neither
            changes a byte of the result, given processors of one kind.

    Raises:
        InputError: ``out`` does not end in .npz or exists already, a checkpoint that is damaged or of other settings
            lies beside it, a picture or ``params.start`` is unusable, or no scheduler answers.
        WorkersLost: worker processes ended again and again; the state is kept.
    """
    out = _checked_out(Path(out), force)
    with by_option():
        crops = TrainingCrops(pictures, params.crop_size, channels=params.channels, scales=params.scales,
                              kind=params.preprocess, seed=params.seed)
    start = None if params.start is None else params.beginning().sha256
    settings = json.dumps({**asdict(params), "start": start, "pixels": crops.sha256}, sort_keys=True)
    state = State.resume(checkpoint_path(out), settings, params, force) or State.fresh(params)
    for file in (out, checkpoint_path(out)):
        remove_leftovers(file)
    first, rule, checkpoint = state.done, rule_of(params), Checkpoint(checkpoint_path(out), settings)
    with coder_of(params, workers, scheduler) as coder:
        try:
            while state.done < params.pictures and state.in_a_row < DIVERGED_IN_A_ROW:
                state = _advance(state, params, crops, coder, rule)
                checkpoint.keep(state)
                if progress:
                    change, error, inactive, _ = (float(value) for value in state.recent[-1])
                    progress(Progress(state.done, params.pictures, first, change, error, inactive, state.diverged,
                                      state.reseeded))
        except BaseException:
            checkpoint.write()
            raise
    result = _result(state, params, f"{TITLES[params.rule]}, {params.pictures} crops of {picture_names(pictures)}; "
                                    f"seed {params.seed}{f'; from {Path(params.start).name}' if params.start else ''}")
    if result.dictionary is not None:
        result.dictionary.save(out)
    # A diverged state is of no use to a later run either.
    checkpoint_path(out).unlink(missing_ok=True)
    return result


def _checked_out(out: Path, force: bool) -> Path:
    if out.suffix != ".npz" or not out.stem:
        raise InputError(f"--out {out} does not end in .npz, so that no design could name it; use --out {out}.npz")
    if out.is_dir():
        raise InputError(f"--out {out} is a folder; name a file")
    if out.exists() and not force:
        raise InputError(f"{out} exists already; choose another --out, or overwrite it with --force")
    if not out.parent.is_dir():
        raise InputError(f"{out.parent}: no such folder; create it first")
    return out


def _advance(state: State, params: LearnParams, crops: TrainingCrops, coder: Coder, rule: Rule) -> State:
    """The state after one more batch."""
    images = [crops.crop(n) for n in range(state.done, min(state.done + params.batch, params.pictures))]
    membranes = state.membranes[:len(images)] if params.warm else None
    runs = coder.code(images, Dictionary(state.atoms, params.stride), membranes)
    good = [run.outcome is not Outcome.DIVERGED for run in runs]
    atoms, memory, idle, reseeded, dead = state.atoms, state.memory, state.idle, 0, list[int]()
    for run in (run for run, usable in zip(runs, good, strict=True) if usable):
        idle = np.where(run.code.any(axis=(1, 2)), 0, idle + 1)
    if any(good):
        batch = _batch(images, runs, good, params, state.atoms)
        atoms, memory = rule.update(state.atoms, state.memory, batch, state.done + len(images) - 1)
        if params.reseed_after and (idle >= params.reseed_after).any():
            wanted = [int(k) for k in np.flatnonzero(idle >= params.reseed_after)]
            atoms, dead = redraw(atoms, wanted, batch)
            memory, reseeded = rule.forget(memory, dead), len(dead)
            idle[dead] = 0
    change = kernel_change(state.atoms, atoms)
    rows, history, in_a_row = [], [*state.history], state.in_a_row
    for image, run, usable in zip(images, runs, good, strict=True):
        height = energy(run.residual, run.code, params.threshold, params.transfer) if usable else np.nan
        rows.append((change if usable else 0.0, percent_error(image, run.residual), percent_inactive(run.code), height))
        if in_a_row < DIVERGED_IN_A_ROW:  # a good one after so many in the same batch mends nothing
            in_a_row = 0 if usable else in_a_row + 1
        if usable:
            if not history or history[-1][1] == HISTORY_PICTURES:
                history.append(np.zeros(2))
            history[-1] = history[-1] + (height, 1.0)
    return replace(state, atoms=atoms, membranes=_membranes(state, runs, good, dead), memory=memory, idle=idle,
                   done=state.done + len(images), diverged=state.diverged + good.count(False), in_a_row=in_a_row,
                   reseeded=state.reseeded + reseeded, history=np.array(history).reshape(-1, 2),
                   recent=np.concatenate([state.recent, rows])[-RECENT_PICTURES:])


def _batch(images: list[Array], runs: list[Coded], good: list[bool], params: LearnParams, atoms: Array) -> Batch:
    """The crops that did not diverge."""
    chosen = [(image, run) for image, run, usable in zip(images, runs, good, strict=True) if usable]
    seen, codes = tuple(image for image, _ in chosen), tuple(run.code for _, run in chosen)
    left = tuple(run.residual for _, run in chosen)
    batch = Batch(params.stride, params.border, params.inside, seen, codes, left)
    # A run leaves the residual of the image alone.
    return replace(batch, residuals=batch.left(atoms)) if params.border == "extended" else batch


def _membranes(state: State, runs: list[Coded], good: list[bool], dead: list[int]) -> Array:
    """Where the next batch starts when warm: a place that diverged, and kernels drawn anew, from rest."""
    if not len(state.membranes):
        return state.membranes
    after = state.membranes.copy()
    for place, (run, usable) in enumerate(zip(runs, good, strict=True)):
        after[place] = run.membrane if usable and run.membrane is not None else 0.0
    after[:, dead] = 0.0
    return after


def _result(state: State, params: LearnParams, source: str) -> LearnResult:
    failed = state.in_a_row >= DIVERGED_IN_A_ROW or state.diverged > DIVERGED_SHARE * state.done
    outcome = LearnOutcome.DIVERGED if failed else LearnOutcome.COMPLETED
    dictionary = Dictionary(state.atoms, params.stride, source)
    change, error, inactive = (float(value) for value in np.mean(state.recent[:, :3], axis=0))
    heights = state.recent[np.isfinite(state.recent[:, 3]), 3]
    explained = tuple(float(value) for value in gabor_like(dictionary))
    share = sum(value >= GABOR_EXPLAINED for value in explained) / len(explained)
    settled = len(state.recent) == SETTLED_PICTURES and change < SETTLED_CHANGE
    return LearnResult(None if failed else dictionary, outcome, state.done, state.diverged, change, settled, explained,
                       share, share >= GABOR_KERNELS, error, inactive,
                       float(np.mean(heights)) if len(heights) else float("nan"),
                       tuple(float(total / count) for total, count in state.history), state.reseeded,
                       int(np.count_nonzero(state.idle >= min(SETTLED_PICTURES, max(1, state.done)))))
