"""How each dictionary of the short-stride paper is learned: the settings of its rounds."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...golden.lca import Engine
from ...golden.learn import LearnParams
from ...golden.learn.params import RuleName
from .configurations import Configuration


@dataclass(frozen=True)
class Lesson:
    """The settings of a round, as in `LearnParams`; each crop from rest.

    Args:
        pictures: crops shown. rate: of the Hebbian rule; 0 for a rule without one. decay: what the rate falls to over
            the second half, as a share. crop_size: pixels. eta, steps: of the dynamics while learning.
        rule, batch, forgetting, engine: by default the paper's rule, one crop at a time.
    """

    pictures: int
    rate: float = 0.0
    decay: float = 0.02
    crop_size: int = 64
    eta: float = 1 / 32
    steps: int = 100
    rule: RuleName = "hebbian"
    batch: int = 1
    forgetting: float = 0.0
    engine: Engine = "fast"

    def params(self, configuration: Configuration, seed: int, start: Path | None) -> LearnParams:
        """With the network, the seed of the crops and the kernels to begin with (None: noise)."""
        own: dict[str, Any] = {"rate": self.rate} if self.rate else {"forgetting": self.forgetting}
        return LearnParams(
            kernels=configuration.kernels, patch=configuration.patch, stride=configuration.stride,
            pictures=self.pictures, decay=self.decay, crop_size=self.crop_size, eta=self.eta, steps=self.steps,
            seed=seed, engine=self.engine, rule=self.rule, batch=self.batch,
            start=None if start is None else str(start), **own,
        )  # fmt: skip

    @property
    def words(self) -> str:
        """For tables."""
        if self.rule == "hebbian":
            return "Hebbian (eq. 15), one crop at a time"
        return f"{self.rule}, running A and B, batches of {self.batch}"


@dataclass(frozen=True)
class Recipe:
    """How a configuration is learned: round n shows crops of the seed n - 1.

    Args:
        first: the first round. further: every one after it.
        grown_from: configuration whose kernels, with zeros around them, the first round begins with; None: noise.
        probe_eta: of the dynamics when the energy is measured, over 200/32 tau.
        rounds: at most.
    """

    first: Lesson
    further: Lesson
    grown_from: str | None = None
    probe_eta: float = 1 / 32
    rounds: int = 12

    @property
    def words(self) -> str:
        """The rules, for tables."""
        texts = list(dict.fromkeys((self.first.words, self.further.words)))
        grown = f"from the kernels of {self.grown_from}; " if self.grown_from else ""
        return grown + ", then ".join(texts)


def _hebbian(first: int, further: int, rate: float) -> Recipe:
    return Recipe(Lesson(first, rate), Lesson(further, rate))


_PATCH_64 = Lesson(600, decay=0.05, crop_size=128, steps=70, rule="online", batch=12, forgetting=0.92, engine="fft")
RECIPES = {
    "32@1": Recipe(Lesson(4000, 0.06, eta=1 / 64, steps=150), Lesson(2500, 0.15, eta=1 / 64, steps=150),
                   probe_eta=1 / 64),
    "32@2": _hebbian(6000, 3000, 0.2),
    "32@4": _hebbian(8000, 4000, 0.14),
    "32@8": _hebbian(6000, 3000, 0.2),
    "32@16": _hebbian(6000, 3000, 0.2),
    "2@1": _hebbian(8000, 4000, 0.016),
    "8@2": _hebbian(10000, 5000, 0.08),
    "128@8": _hebbian(8000, 4000, 0.5),
    "512@16": Recipe(
        Lesson(14000, 6.0, decay=0.01, eta=1 / 16, steps=60),
        Lesson(5000, decay=0.05, crop_size=128, eta=1 / 16, steps=60, rule="online", batch=40, forgetting=0.98),
    ),
    "32@4 p8": _hebbian(8000, 4000, 0.14),
    "32@4 p32": Recipe(Lesson(3000, 0.03, decay=0.05, crop_size=96), Lesson(2500, 0.04, crop_size=96, steps=80)),
    # Kernels of 64x64 pixels overlap so much that a Hebbian step from noise is either unstable or tiny.
    "32@4 p64": Recipe(_PATCH_64, _PATCH_64, grown_from="32@4 p32"),
}  # fmt: skip
"""By the configuration's name."""
