"""What Zeiler et al. 2010 say that one layer can show, each with a rule that was fixed before any picture was coded."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .claims import Claim, Verdict

LEVEL_DB, GAIN_DB = 13.84, 2.0
ERRORS = (10.0, 20.0, 30.0, 40.0)
"""Percent error at which codes of different p are compared, where both reach it."""


@dataclass(frozen=True)
class Denoised:
    """A crop after a method: SNR of input and result, PSNR of the result, in dB; share of active codes in percent."""

    picture: str
    crop: tuple[int, int]
    learned_from: bool
    free: bool
    method: str
    level_db: float
    seed: int
    noisy_db: float
    snr_db: float
    psnr_db: float
    percent_active: float | None

    @property
    def gain_db(self) -> float:
        """SNR won."""
        return self.snr_db - self.noisy_db


@dataclass(frozen=True)
class Sparse:
    """A contrast-normalised crop coded without noise: |residual| / |crop| and active codes, in percent."""

    picture: str
    p: float
    threshold: float
    percent_error: float
    percent_active: float


def judge(denoised: Sequence[Denoised], sparse: Sequence[Sparse]) -> tuple[Claim, ...]:
    """The claims that there are numbers for."""
    return tuple(claim for claim in (denoising_claim(denoised), sparser_claim(sparse)) if claim is not None)


def denoising_claim(rows: Sequence[Denoised]) -> Claim | None:
    """A gain of the layer at the paper's noise; None without a held-out CC0 or public-domain picture at that noise."""
    gains: dict[str, list[float]] = {}
    for row in rows:
        if row.method == "layer" and row.level_db == LEVEL_DB and row.free and not row.learned_from:
            gains.setdefault(row.picture, []).append(row.gain_db)
    if not gains:
        return None
    means = {picture: float(np.mean(values)) for picture, values in gains.items()}
    mean = float(np.mean(list(means.values())))
    enough = sum(value >= GAIN_DB for value in means.values())
    verdict = Verdict.HOLDS if mean >= GAIN_DB else Verdict.PARTLY if enough else Verdict.FAILS
    each = ", ".join(f"{picture} {value:+.2f}" for picture, value in means.items())
    return Claim(
        "denoising", "One layer takes an image with Gaussian noise from 13.84 dB to 16.31 dB SNR (+2.47 dB).", verdict,
        f"Holds when the layer (p = 1, the paper's continuation) wins at least {GAIN_DB:g} dB at {LEVEL_DB} dB in the "
        "mean of the held-out CC0 or public-domain pictures; partly when at least one of them does. The paper's image, "
        "lambda and definition of SNR are not given, so that equality is not asked for.",
        f"{mean:+.2f} dB in the mean, to {LEVEL_DB + mean:.2f} dB ({each}).",
    )  # fmt: skip


def sparser_claim(rows: Sequence[Sparse]) -> Claim | None:
    """Sparser codes by p < 1 at equal error; None where no error is reached by both."""
    ratios: dict[float, list[float]] = {}
    for picture in dict.fromkeys(row.picture for row in rows):
        one, half = (sorted((r.percent_error, r.percent_active) for r in rows if r.picture == picture and r.p == p)
                     for p in (1.0, 0.5))  # fmt: skip
        if not one or not half:
            continue
        for error in ERRORS:
            if all(curve[0][0] <= error <= curve[-1][0] for curve in (one, half)):
                ratios.setdefault(error, []).append(_at(half, error) / _at(one, error))
    if not ratios:
        return None
    means = {error: float(np.exp(np.mean(np.log(values)))) for error, values in sorted(ratios.items())}
    fewer = sum(ratio < 1 for ratio in means.values())
    verdict = Verdict.HOLDS if fewer == len(means) else Verdict.PARTLY if fewer else Verdict.FAILS
    each = ", ".join(f"{ratio:.2f} at {error:g} % error" for error, ratio in means.items())
    return Claim(
        "sparser-below-one", "Exponents below 1 impose more aggressive sparsity than p = 1.", verdict,
        "Holds when p = 0.5 has fewer active codes than p = 1 (both settled, contrast-normalised crops, no noise) at "
        "every compared error of "
        f"{', '.join(f'{e:g}' for e in ERRORS)} % that both curves reach, in the geometric mean over pictures; partly "
        "when at some.",
        f"Active codes of p = 0.5 over those of p = 1: {each}.",
    )  # fmt: skip


def _at(curve: Sequence[tuple[float, float]], error: float) -> float:
    """Percent active at an error, logarithms interpolated between neighbours; at least a tenth of a permille."""
    errors, active = zip(*curve, strict=True)
    return float(np.exp(np.interp(error, errors, np.log(np.maximum(active, 1e-2)))))
