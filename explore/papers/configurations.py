"""The twelve networks of Schultz, Paiton, Lu, Kenyon (short stride), their thresholds, and a pilot's numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from ...golden.errors import InputError

Family = Literal["stride", "overcomplete", "patch"]
FAMILIES: tuple[Family, ...] = ("stride", "overcomplete", "patch")
"""Figures 3-5: 32 kernels; figures 6-8: twice overcomplete; figures 9-11: 32 kernels at stride 4."""
THRESHOLDS = (0.025, 0.05, 0.075, 0.1)
"""lambda of the test runs."""
TRAINED_AT = 0.05
"""lambda of the training, of the reconstructions shown and of the pilot's rows."""


@dataclass(frozen=True)
class Configuration:
    """One network of the paper.

    Args:
        name: "32@4": kernels at a stride; with the patch, "32@4 p8", where that tells it from another.
        kernels: K. patch: p in pixels; 15 at stride 1, where only odd patches centre on a pixel. stride: s in pixels.
        families: the series of the paper that it is a member of.
        learned: the family of its dictionary. "natural" ones are those that designs take by default; two of them had
            not settled and were learned further.
    """

    name: str
    kernels: int
    patch: int
    stride: int
    families: tuple[Family, ...]
    learned: str = "natural"

    @property
    def overcompleteness(self) -> Fraction:
        """V1 units to a pixel, K/s^2."""
        return Fraction(self.kernels, self.stride**2)

    @property
    def shipped_name(self) -> str:
        """Of its dictionary."""
        return f"{self.learned}-k{self.kernels}-p{self.patch}-s{self.stride}"


CONFIGURATIONS = (
    Configuration("32@1", 32, 15, 1, ("stride",)),
    Configuration("32@2", 32, 16, 2, ("stride",), "further"),
    Configuration("32@4", 32, 16, 4, ("stride", "overcomplete", "patch")),
    Configuration("32@8", 32, 16, 8, ("stride",)),
    Configuration("32@16", 32, 16, 16, ("stride",)),
    Configuration("2@1", 2, 15, 1, ("overcomplete",)),
    Configuration("8@2", 8, 16, 2, ("overcomplete",)),
    Configuration("128@8", 128, 16, 8, ("overcomplete",)),
    Configuration("512@16", 512, 16, 16, ("overcomplete",), "further"),
    Configuration("32@4 p8", 32, 8, 4, ("patch",)),
    Configuration("32@4 p32", 32, 32, 4, ("patch",)),
    Configuration("32@4 p64", 32, 64, 4, ("patch",)),
)


def configuration(name: str) -> Configuration:
    """The one of that name.

    Raises:
        InputError: none of that name; the message lists them.
    """
    for each in CONFIGURATIONS:
        if each.name == name:
            return each
    raise InputError(f"no configuration '{name}'; there are {', '.join(each.name for each in CONFIGURATIONS)}")


def configurations(names: Sequence[str]) -> tuple[Configuration, ...]:
    """Those of the names, each once, in the order of `CONFIGURATIONS`; all of them without a name.

    Raises:
        InputError: as for `configuration`.
    """
    wanted = {configuration(name) for name in names}
    return tuple(each for each in CONFIGURATIONS if each in wanted or not names)


def family(name: Family) -> tuple[Configuration, ...]:
    """The members of a series: by rising stride, or by rising patch for "patch"."""
    members = [each for each in CONFIGURATIONS if name in each.families]
    return tuple(sorted(members, key=lambda each: each.patch if name == "patch" else each.stride))


PILOT_SOURCE = (
    "a pilot study of this project: threshold .05, 200 steps of eta 1/32, warm start, 3 frames each of held-out pans "
    "of camera and china (other frames of the same two photographs; some of its dictionaries had not settled)"
)
PILOT: dict[str, tuple[float, float]] = {
    "32@1": (12.7, 99.33), "32@2": (11.8, 97.92), "32@4": (16.5, 92.41), "32@8": (26.7, 75.50), "32@16": (44.3, 46.10),
    "2@1": (20.8, 88.46), "8@2": (18.2, 90.88), "128@8": (17.5, 92.17), "512@16": (19.4, 89.70),
    "32@4 p8": (15.9, 91.37), "32@4 p32": (21.4, 89.61), "32@4 p64": (25.3, 89.79),
}  # fmt: skip
"""(percent error, percent inactive) by configuration, from `PILOT_SOURCE`."""
