"""The five dictionaries of the heterogeneity paper: two log-Gabor banks, both fine-tuned, and one learned from noise.

Ladret, Casanova, Perrinet, *Kernel Heterogeneity Improves Sparseness of Natural Images Representations*, figure 2. The
paper learns with sporco's online dictionary learning: one picture a step, a gradient step on the kernels, a norm of 1.
That is the Hebbian rule of `golden.learn` with a soft threshold and two-sided codes; it is used here.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...golden.dictionary import Dictionary, shipped
from ...golden.errors import InputError
from ...golden.learn import LearnParams, LearnResult, Progress, learn
from ...golden.log_gabor import PATCH, SUPPORT, heterogeneous_bank, homogeneous_bank
from .heterogeneity_pictures import LEARNED_FROM, normalised

KERNELS = 144


@dataclass(frozen=True)
class Kind:
    """One of the five.

    Args:
        name: key in files. title: on figures. colour: the paper's, of figure 2. start: name of the kind that it is
            learned from, "noise", or "" for a bank. pictures: crops learned from. family: of the shipped file.
    """

    name: str
    title: str
    colour: str
    start: str = ""
    pictures: int = 0
    family: str = ""

    @property
    def learned(self) -> bool:
        """Whether it was learned."""
        return bool(self.start)


KINDS = (
    Kind("homogeneous", "homogeneous", "#3d9b78"),
    Kind("homogeneous-learned", "homogeneous, learned", "#d9772f", "homogeneous", 160, "log-gabor-homogeneous"),
    Kind("heterogeneous", "heterogeneous", "#3f7fbf"),
    Kind("heterogeneous-learned", "heterogeneous, learned", "#8468b8", "heterogeneous", 160,
         "log-gabor-heterogeneous"),
    Kind("noise-learned", "learned from noise", "#5f6b7a", "noise", 320, "noise"),
)  # fmt: skip
"""Green, orange, blue, purple, black as in figure 2; the last one gray, to be seen on dark pages."""
BY_NAME = {kind.name: kind for kind in KINDS}

_BANKS = {"homogeneous": homogeneous_bank, "heterogeneous": heterogeneous_bank}


def recipe(kind: Kind, start: Path | None) -> LearnParams:
    """How a kind is learned, from the kernels in ``start``.

    lambda is four times the experiment's: at 0.05 the time steps under which 144 such kernels stay stable are too small
    for codes to come near their optimum in a time that one can wait for. Kernels, once learned, code at any lambda.
    """
    return LearnParams(
        kernels=KERNELS, patch=PATCH, stride=1, support=SUPPORT, pictures=kind.pictures,
        rate=0.03, decay=0.1, crop_size=40, scales=(1,), preprocess="none",
        threshold=0.2, eta=1 / 64, steps=100, residual_cutoff=0.0, transfer="soft", two_sided=True,
        start=None if start is None else str(start), seed=0,
    )  # fmt: skip


def train(
    kind: Kind, folder: Path, progress: Callable[[Progress], None] | None = None
) -> tuple[Dictionary, LearnResult | None]:
    """Learn a kind in a folder, or take up what was begun there; a finished one is read, not learned again.

    The folder holds the normalised photographs as ``pictures/NAME.npy`` and the dictionaries as ``NAME.npz``, their
    kernels rounded to float32.

    Returns:
        The dictionary, and how learning ended (None: it was finished before).

    Raises:
        InputError: learning diverged, or the folder cannot be written.
    """
    finished = folder / f"{kind.name}.npz"
    if finished.is_file():
        return Dictionary.load(finished), None
    pictures = folder / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    files: list[str | os.PathLike[str]] = []
    for name in LEARNED_FROM:
        file = pictures / f"{name}.npy"
        np.save(file, normalised(name))
        files.append(file)
    start: Path | None = None
    if kind.start in _BANKS:
        start = folder / f"{kind.start}.npz"
        _BANKS[kind.start]().save(start)
    whole = folder / f"{kind.name}.float64.npz"
    result = learn(recipe(kind, start), files, whole, progress=progress, force=whole.exists())
    if result.dictionary is None:
        raise InputError(f"learning {kind.name} diverged: {result.outcome.remedy}")
    source = f"{kind.title}: Hebbian learning, {kind.pictures} crops of {', '.join(LEARNED_FROM)}"
    rounded = Dictionary(result.dictionary.atoms.astype(np.float32).astype(np.float64), 1, source)
    rounded.save(finished)
    whole.unlink()
    return rounded, result


def dictionary_of(kind: Kind, folder: Path | None = None) -> Dictionary:
    """The dictionary of a kind: a bank is made, a learned one comes with the package, or from ``folder`` (of `train`).

    Raises:
        InputError: it is not there.
    """
    if not kind.learned:
        return _BANKS[kind.name]()
    if folder is not None:
        return Dictionary.load(folder / f"{kind.name}.npz")
    return shipped(KERNELS, PATCH, 1, name=kind.family)
