"""A training run from the first picture to the written dictionary: resumable, and honest about how it ended."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path

import numpy as np

from ..archive import load_npz, remove_leftovers, save_npz
from ..conv import Array, StridedConv
from ..dictionary import Dictionary
from ..errors import InputError
from ..gabor import gabor_like
from ..geometry import Geometry
from ..lca import Engine, LcaParams, Outcome, check_engine, encode
from ..metrics import percent_error, percent_inactive
from ..preprocess import Preprocess
from .hebbian import hebbian_update, kernel_change
from .pictures import TrainingCrops

# Settled: kernels moved by less than SETTLED_CHANGE of their norm per picture, on average over kernels and the last
# SETTLED_PICTURES pictures.
SETTLED_CHANGE = 0.01
SETTLED_PICTURES = 200

# Gabor-like: a Gabor function explains at least GABOR_EXPLAINED of the energy of at least GABOR_KERNELS of the kernels.
GABOR_EXPLAINED = 0.6
GABOR_KERNELS = 0.7

# A picture whose code diverges teaches nothing and is skipped; this many in a row end the run. A run in which more
# than this share of all pictures diverged counts as diverged too: such a dictionary is written nowhere.
DIVERGED_IN_A_ROW = 10
DIVERGED_SHARE = 0.5

# The network's names for what `LearnParams` and the command line call otherwise, longer names first.
_OPTIONS = {"network.image height": "--crop-size", "network.image width": "--crop-size",
            "the image height": "--crop-size", "the image width": "--crop-size", "a height of": "a --crop-size of",
            "network.channels": "--channels", "network.kernels": "--kernels (-k)", "network.patch": "--patch (-p)",
            "network.stride": "--stride (-s)", "dynamics.threshold": "--threshold", "dynamics.eta": "--eta",
            "dynamics.steps": "--steps", "dynamics.residual_cutoff": "--residual-cutoff"}


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
class LearnParams:
    """Everything that decides which dictionary comes out, besides the pictures themselves.

    Args:
        kernels, patch, stride, channels: K, p and s in pixels, C.
        pictures: number of crops shown.
        rate: learning rate of the sum in eq. 15, held for the first half of the run.
        decay: the second half lowers the rate geometrically to ``decay * rate`` at the last picture; 1 holds it.
        crop_size: side of a crop in pixels.
        scales: copies of every picture, averaged over blocks of so many pixels a side.
        preprocess: "centre-surround" or "none".
        threshold, eta, steps, residual_cutoff: the dynamics, as in `LcaParams`.
        warm: start each picture from the last one's membrane (the paper, on video; the first from random values below
            the threshold) instead of from rest.
        seed: of the starting kernels and of the crops.
        engine: of `lca.encode`. Codes that differ in the last bit lead to other kernels of the same quality.

    Raises:
        InputError: a value outside its range.
    """

    kernels: int = 8
    patch: int = 16
    stride: int = 2
    channels: int = 1
    pictures: int = 4000
    rate: float = 0.06
    decay: float = 0.05
    crop_size: int = 64
    scales: tuple[int, ...] = (1, 2)
    preprocess: Preprocess = "centre-surround"
    threshold: float = 0.05
    eta: float = 1 / 32
    steps: int = 200
    residual_cutoff: float = 0.005
    warm: bool = False
    seed: int = 0
    engine: Engine = "fast"

    def __post_init__(self) -> None:
        check_engine(self.engine)
        with _by_option():
            _ = self.geometry, self.dynamics  # refuses what they refuse
        if self.pictures < 1:
            raise InputError(f"--pictures must be at least 1, not {self.pictures}")
        if not 0 < self.rate < np.inf:
            raise InputError(f"--rate must be a finite number above 0, not {self.rate}; 0.06 suits 8 kernels at "
                             "stride 2")
        if not 0 < self.decay <= 1:
            raise InputError(f"--decay must be above 0 and at most 1 (no decay), not {self.decay}")
        if not self.scales or any(scale < 1 for scale in self.scales):
            raise InputError(f"--scales must be whole numbers from 1 on, not {self.scales}")
        if self.seed < 0:
            raise InputError(f"--seed must be 0 or more, not {self.seed}")

    @property
    def geometry(self) -> Geometry:
        """Of one crop."""
        return Geometry((self.crop_size, self.crop_size), self.channels, self.kernels, self.patch, self.stride)

    @property
    def dynamics(self) -> LcaParams:
        """Of every picture."""
        return LcaParams(threshold=self.threshold, eta=self.eta, steps=self.steps, residual_cutoff=self.residual_cutoff)

    def rate_at(self, number: int) -> float:
        """Learning rate at picture ``number``, counted from 0."""
        late = max(0.0, 2.0 * (number + 1) / self.pictures - 1.0)
        return float(self.rate * self.decay**late)


@dataclass(frozen=True)
class Progress:
    """Handed to the caller after every picture. The time left is the caller's to estimate, from ``first`` and the
    clock.

    ``done`` of ``pictures`` crops are learned, the first ``first`` of them in an earlier run; ``change`` is the mean
    movement of the kernels by this picture as a share of their norm; ``percent_error`` and ``percent_inactive`` are of
    its code.
    """

    done: int
    pictures: int
    first: int
    change: float
    percent_error: float
    percent_inactive: float
    diverged: int


@dataclass(frozen=True)
class LearnResult:
    """The dictionary and how well it was learned.

    Args:
        dictionary: the kernels; None when diverged.
        outcome: `LearnOutcome`; diverged after `DIVERGED_IN_A_ROW` such pictures in a row, or when in the end more than
            `DIVERGED_SHARE` of them were skipped.
        pictures: crops shown, those of earlier runs included.
        diverged: crops skipped because their code diverged.
        change: mean kernel movement per picture over the last `SETTLED_PICTURES`, as a share of the unit norm.
        settled: change is below `SETTLED_CHANGE` over a full window of pictures.
        explained: share of energy a Gabor function explains, per kernel.
        gabor_share: share of the kernels with at least `GABOR_EXPLAINED`.
        gabor_like: gabor_share is at least `GABOR_KERNELS`.
        percent_error, percent_inactive: means over the same last pictures, of codes made while learning.
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


def checkpoint_path(out: str | os.PathLike[str]) -> Path:
    """Where a run that will write ``out`` keeps its state: beside it, gone when the run is complete."""
    out = Path(out)
    return out.with_name(f"{out.name}.checkpoint.npz")


def learn(params: LearnParams, pictures: Sequence[str | os.PathLike[str]], out: str | os.PathLike[str], *,
          progress: Callable[[Progress], None] | None = None, force: bool = False) -> LearnResult:
    """Learn a dictionary from pictures and write it to ``out``.

    After every picture the state is written beside ``out`` (`checkpoint_path`), so an interrupted run, called again
    with the same settings and pictures, loses at most the current picture and ends with the same bytes as an
    uninterrupted one (on
    the same machine and libraries: another BLAS rounds differently, and learning amplifies that).

    Args:
        params: all settings.
        pictures: files, or names of bundled photographs.
        out: the .npz to write, as `Dictionary.save` does.
        progress: called after every picture.
        force: overwrite ``out``, and drop a checkpoint of other settings.

    Raises:
        InputError: ``out`` does not end in .npz or exists already, a checkpoint of other settings lies beside it, or a
            picture is unusable.
    """
    out = Path(out)
    if out.suffix != ".npz" or not out.stem:
        raise InputError(f"--out {out} does not end in .npz, so that no design could name it; use --out {out}.npz")
    if out.is_dir():
        raise InputError(f"--out {out} is a folder; name a file")
    if out.exists() and not force:
        raise InputError(f"{out} exists already; choose another --out, or overwrite it with --force")
    if not out.parent.is_dir():
        raise InputError(f"{out.parent}: no such folder; create it first")
    with _by_option():
        crops = TrainingCrops(pictures, params.crop_size, channels=params.channels, scales=params.scales,
                              kind=params.preprocess, seed=params.seed)
    settings = json.dumps({**asdict(params), "pixels": crops.sha256}, sort_keys=True)
    state = _State.resume(out, settings, force) or _State.fresh(params)
    for file in (out, checkpoint_path(out)):
        remove_leftovers(file)
    first, in_a_row = state.done, 0
    while state.done < params.pictures and in_a_row < DIVERGED_IN_A_ROW:
        learned = state.show(crops.crop(state.done), params)
        in_a_row = 0 if learned else in_a_row + 1
        state.save(out, settings)
        if progress:
            change, error, inactive = state.recent[-1]
            progress(Progress(state.done, params.pictures, first, change, error, inactive, state.diverged))
    failed = in_a_row == DIVERGED_IN_A_ROW or state.diverged > DIVERGED_SHARE * state.done
    outcome = LearnOutcome.DIVERGED if failed else LearnOutcome.COMPLETED
    names = ", ".join(Path(picture).name for picture in pictures)
    source = f"Hebbian learning (eq. 15), {params.pictures} crops of {names}; seed {params.seed}"
    dictionary = Dictionary(state.atoms, params.stride, source)
    if outcome is LearnOutcome.COMPLETED:
        dictionary.save(out)
    # A diverged state is of no use to a later run either.
    checkpoint_path(out).unlink(missing_ok=True)
    change, error, inactive = (float(value) for value in np.mean(state.recent, axis=0))
    explained = tuple(float(value) for value in gabor_like(dictionary))
    share = sum(value >= GABOR_EXPLAINED for value in explained) / len(explained)
    settled = len(state.recent) == SETTLED_PICTURES and change < SETTLED_CHANGE
    return LearnResult(dictionary if outcome is LearnOutcome.COMPLETED else None, outcome, state.done, state.diverged,
                       change, settled, explained, share, share >= GABOR_KERNELS, error, inactive)


@contextmanager
def _by_option() -> Iterator[None]:
    """Errors of the network and its dynamics by the names that `LearnParams` has as options."""
    try:
        yield
    except InputError as error:
        text = str(error)
        for name, option in _OPTIONS.items():
            text = text.replace(name, option)
        raise InputError(text) from None


@dataclass
class _State:
    """All that a picture changes."""

    atoms: Array
    membrane: Array
    done: int
    diverged: int
    recent: list[tuple[float, float, float]]  # change, percent error, percent inactive of the last pictures

    @classmethod
    def fresh(cls, params: LearnParams) -> "_State":
        g = params.geometry
        membrane = np.zeros(g.code_shape)
        if params.warm:
            # Below the threshold: all silent, yet no two units alike.
            draw = np.random.default_rng([params.seed, params.pictures])
            membrane = draw.uniform(0.0, params.threshold, g.code_shape)
        return cls(np.array(Dictionary.random(g, params.seed).atoms), membrane, 0, 0, [])

    @classmethod
    def resume(cls, out: Path, settings: str, force: bool) -> "_State | None":
        path = checkpoint_path(out)
        if not path.exists():
            return None
        data = load_npz(path, ("settings", "atoms", "membrane", "counts", "recent"))
        if str(data["settings"]) != settings:
            if force:
                return None
            raise InputError(f"{path} belongs to a run with other settings or pictures; give those again to continue "
                             "it, choose another --out, or drop it with --force")
        done, diverged = (int(value) for value in data["counts"])
        recent = [(float(a), float(b), float(c)) for a, b, c in data["recent"]]
        return cls(data["atoms"], data["membrane"], done, diverged, recent)

    def save(self, out: Path, settings: str) -> None:
        save_npz(checkpoint_path(out), {"settings": np.str_(settings), "atoms": self.atoms, "membrane": self.membrane,
                                        "counts": np.array([self.done, self.diverged]), "recent":
                                        np.array(self.recent)})

    def show(self, image: Array, params: LearnParams) -> bool:
        """Code one picture and learn from it; False when its code diverged."""
        dictionary = Dictionary(self.atoms, params.stride)
        warm = self.membrane if params.warm else None
        run = encode(image, dictionary, params.dynamics, membrane=warm, engine=params.engine)
        change = 0.0
        learned = run.outcome is not Outcome.DIVERGED
        if learned:
            conv = StridedConv(self.atoms, params.stride, (params.crop_size, params.crop_size))
            moved = hebbian_update(conv, self.atoms, run.residual, run.code, params.rate_at(self.done))
            change = kernel_change(self.atoms, moved)
            self.atoms = moved
        if params.warm:
            self.membrane = run.membrane if learned else np.zeros_like(run.membrane)
        error = percent_error(image, run.residual)
        self.recent = [*self.recent, (change, error, percent_inactive(run.code))][-SETTLED_PICTURES:]
        self.done, self.diverged = self.done + 1, self.diverged + (not learned)
        return learned
