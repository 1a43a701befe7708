"""What decides which dictionary comes out of a run, besides the pictures: all settings, checked when they are made."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from ..batch import check_placement
from ..conv import Array, Border
from ..dictionary import Dictionary, shipped, shipped_names
from ..errors import InputError
from ..geometry import Geometry
from ..lca import Engine, LcaParams, check_engine
from ..preprocess import Preprocess
from ..threshold import Transfer

RuleName = Literal["hebbian", "projected", "block-coordinate", "online"]
RateSchedule = Literal["half", "constant", "inverse"]

# The network's names for what `LearnParams` and the command line call otherwise, longer names first.
_OPTIONS = {"network.image height": "--crop-size", "network.image width": "--crop-size",
            "the image height": "--crop-size", "the image width": "--crop-size", "a height of": "a --crop-size of",
            "network.channels": "--channels", "network.kernels": "--kernels (-k)", "network.patch": "--patch (-p)",
            "network.stride": "--stride (-s)", "dynamics.threshold": "--threshold", "dynamics.eta": "--eta",
            "dynamics.steps": "--steps", "dynamics.residual_cutoff": "--residual-cutoff",
            "dynamics.transfer": "--transfer", "dynamics.border": "--border"}

# Which rules a setting belongs to; with any other rule it must keep its default.
_BELONGS = {"rate": ("hebbian", "projected"), "momentum": ("hebbian",), "forgetting": ("online",),
            "sweeps": ("projected", "block-coordinate", "online")}


@dataclass(frozen=True)
class LearnParams:
    """Everything that decides which dictionary comes out, besides the pictures themselves.

    Args:
        kernels, patch, stride, channels: K, p and s in pixels, C.
        pictures: number of crops shown.
        rate: learning rate of the sum in eq. 15 of the strided paper, of "hebbian" and "projected".
        decay: last rate as a share of the first, see ``schedule``; 1 holds it.
        crop_size: side of a crop in pixels.
        scales: copies of every picture, averaged over blocks of so many pixels a side.
        preprocess: a kind of `preprocess`.
        threshold, eta, steps, residual_cutoff: the dynamics, as in `LcaParams`.
        warm: start each picture from the last one's membrane (the paper, on video; the first from random values below
            the threshold) instead of from rest. In a batch every place continues its own membrane.
        seed: of the starting kernels and of the crops.
        engine: of `lca.encode`. Codes that differ in the last bit lead to other kernels of the same quality.
        rule: "hebbian" (`hebbian`), "projected", "block-coordinate" or "online" (`projected`, `blocks`).
        batch: crops coded with the same kernels before an update; gradients are their mean, A and B their sum.
        momentum: of "hebbian": the update is ``v <- momentum v + gradient``, from 0 (off) to below 1.
        schedule: how the rate falls, for "online" how 1 - forgetting does: "half", held for the first half of the run,
            then geometrically to ``decay`` of it; "inverse", as 1/t from the first picture on (the forgetting then
            grows to 1 as in Mairal, Bach, Ponce, Sapiro 2009), reaching ``decay`` of it at the end; "constant".
        forgetting: beta of "online", the share of A and B that an update keeps.
        transfer, two_sided, border: the dynamics, as in `LcaParams`.
        support: kernels are 0 beyond their first ``support`` rows and columns; None for all p of them.
        start: a dictionary's file, or the name of a shipped one, of this shape and stride, to begin from; None for
            noise.
        reseed_after: a kernel without activity in so many pictures in a row is drawn anew (`revival`); 0 never.
        sweeps: of "projected", gradient steps an update; of "block-coordinate" and "online", passes over the kernels.
        device: of the engine "torch", see `batch.encode_batch`.

    Raises:
        InputError: a value outside its range, or one that the rule has no use for.
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
    rule: RuleName = "hebbian"
    batch: int = 1
    momentum: float = 0.0
    schedule: RateSchedule = "half"
    forgetting: float = 0.95
    transfer: Transfer = "hard"
    two_sided: bool = False
    support: int | None = None
    start: str | None = None
    reseed_after: int = 0
    border: Border = "cropped"
    sweeps: int = 1
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_engine(self.engine)
        check_placement(self.engine, self.device)
        with by_option():
            _ = self.geometry, self.dynamics  # refuses what they refuse
        if self.start is not None:
            object.__setattr__(self, "start", str(self.start))
        self._check_run()
        self._check_rule()

    def _check_run(self) -> None:
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
        if self.batch < 1:
            raise InputError(f"--batch must be at least 1, not {self.batch}")
        if self.support is not None and not 1 <= self.support <= self.patch:
            raise InputError(f"--support must be from 1 to the patch, {self.patch}, not {self.support}")
        if self.reseed_after < 0:
            raise InputError(f"--reseed-after must be 0 (never) or a number of pictures, not {self.reseed_after}")

    def _check_rule(self) -> None:
        for name, value, known in (("rule", self.rule, get_args(RuleName)),
                                   ("preprocess", self.preprocess, get_args(Preprocess)),
                                   ("schedule", self.schedule, get_args(RateSchedule))):
            if value not in known:
                raise InputError(f"--{name} must be one of {', '.join(known)}, not '{value}'")
        if not 0 <= self.momentum < 1:
            raise InputError(f"--momentum must be from 0 (off) to below 1, not {self.momentum}")
        if not 0 <= self.forgetting < 1:
            raise InputError(f"--forgetting must be from 0 (only the last batch counts) to below 1, not "
                             f"{self.forgetting}")
        if self.sweeps < 1:
            raise InputError(f"--sweeps must be at least 1, not {self.sweeps}")
        defaults = {field.name: field.default for field in fields(self)}
        for name, rules in _BELONGS.items():
            value = getattr(self, name)
            if self.rule not in rules and value != defaults[name]:
                raise InputError(f"--{name} {value} has no use with --rule {self.rule}; leave it out, or use --rule "
                                 f"{' or '.join(rules)}")

    @property
    def geometry(self) -> Geometry:
        """Of one crop."""
        return Geometry((self.crop_size, self.crop_size), self.channels, self.kernels, self.patch, self.stride)

    @property
    def dynamics(self) -> LcaParams:
        """Of every picture."""
        return LcaParams(threshold=self.threshold, eta=self.eta, steps=self.steps, transfer=self.transfer,
                         two_sided=self.two_sided, residual_cutoff=self.residual_cutoff, border=self.border)

    @property
    def inside(self) -> Array:
        """1 where kernels may differ from 0, ``(p, p)``: their support."""
        inside = np.zeros((self.patch, self.patch))
        side = self.patch if self.support is None else self.support
        inside[:side, :side] = 1.0
        return inside

    def falling(self, number: int) -> float:
        """Share of its first value that a falling quantity has at picture ``number``, counted from 0."""
        if self.schedule == "constant":
            return 1.0
        if self.schedule == "inverse":
            last = max(1, self.pictures - 1)
            return 1.0 / (1.0 + (1.0 / self.decay - 1.0) * number / last)
        late = max(0.0, 2.0 * (number + 1) / self.pictures - 1.0)
        return float(self.decay**late)

    def rate_at(self, number: int) -> float:
        """Learning rate at picture ``number``, counted from 0."""
        return float(self.rate * self.falling(number))

    def beginning(self) -> Dictionary:
        """The kernels to begin from: those of ``start``, or noise of unit norm within the support.

        Raises:
            InputError: no such dictionary, or one of another shape, stride or support.
        """
        if self.start is None:
            noise = Dictionary.random(self.geometry, self.seed)
            if self.support is None:
                return noise
            atoms = noise.atoms * self.inside
            atoms /= np.linalg.norm(atoms.reshape(len(atoms), -1), axis=1)[:, None, None, None]
            return Dictionary(atoms, self.stride, noise.source)
        begun = named_dictionary(self.start)
        have, want = begun.atoms.shape, self.geometry.dictionary_shape
        if have != want or begun.stride != self.stride:
            raise InputError(f"--start {self.start} holds kernels of the shape {have} at stride {begun.stride}, not "
                             f"{want} at stride {self.stride}; give the -k, -p, -s and --channels of the start")
        if np.any(begun.atoms * (1.0 - self.inside)):
            raise InputError(f"--start {self.start} has kernels beyond --support {self.support}; use a larger support")
        return begun


def named_dictionary(name: str) -> Dictionary:
    """The dictionary in a file, or else the shipped one of that name.

    Raises:
        InputError: neither.
    """
    if not Path(name).exists() and name in shipped_names():
        found = re.fullmatch(r"(.+)-k(\d+)-p(\d+)-s(\d+)(?:-c(\d+))?", name)
        if found:
            return shipped(int(found[2]), int(found[3]), int(found[4]), int(found[5] or 1), found[1])
    if not Path(name).is_file():
        raise InputError(f"--start {name}: no such file; give a .npz, or one of {', '.join(shipped_names())}")
    return Dictionary.load(name)


@contextmanager
def by_option() -> Iterator[None]:
    """Errors of the network and its dynamics by the names that `LearnParams` has as options."""
    try:
        yield
    except InputError as error:
        text = str(error)
        for name, option in _OPTIONS.items():
            text = text.replace(name, option)
        raise InputError(text) from None
