"""Denoising by one deconvolutional layer (Zeiler et al. 2010, section 4.4), with baselines: methods, points, results.

Gaussian noise is added to crops of photographs so that the signal-to-noise ratio of the input is a given number of dB:

    ``SNR = 10 log10(sum (x - mean x)^2 / sum (x - y)^2)``

with x the clean crop and y the noisy or denoised one. The paper does not say which SNR it means; leaving the mean out
makes it independent of an offset and, on its contrast-normalised images of mean 0, the same as leaving it in.

Every crop is divided by the standard deviation of its noise, which is taken as known, before it is coded: the strength
of a method (lambda, in noise units) then serves at every level of noise. Strengths were chosen by `choose` on crops of
`LEARNED_FROM`, never on the held-out photographs.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...golden.deconvolution import infer
from ...golden.dictionary import Dictionary
from ...golden.errors import InputError
from ...golden.images import load_image
from ...golden.lca import LcaParams, encode
from ...golden.metrics import percent_error, psnr_db
from ...golden.preprocess import CONTRAST, SURROUND_SIGMA, Array, blurred
from ...golden.solvers.continuation import Continuation
from .denoising_filters import LEARNED_FROM, filters

PAPER_INPUT_DB, PAPER_OUTPUT_DB = 13.84, 16.31
HELD_OUT = ("camera", "china", "astronaut", "rocket")
"""The default pictures: neither filters nor strengths come from them."""
FREE = frozenset({"camera", "chelsea", "coffee", "brick", "grass", "gravel", "rocket", "astronaut"})
"""Bundled photographs under CC0 or in the public domain (scikit-image, data/README.txt)."""
LEVELS_DB = (8.0, PAPER_INPUT_DB, 20.0)
CROP_PIXELS = 100
PLACES = ((1 / 3, 1 / 3), (2 / 3, 2 / 3))
"""Centres of a picture's crops, as shares of its height and width."""
LAYER = "layer"
"""The method that the paper's claim is about: p = 1, its continuation."""
SETTLED: Mapping[str, Any] = {"factor": 3.0, "beta_max": 100.0, "cg_tolerance": 1e-3, "polish": 20}


@dataclass(frozen=True)
class Method:
    """A way to denoise.

    Args:
        title: for tables. kind: "layer", "lca" or "blur". p, schedule: of a layer (`Continuation`).
        strength: lambda in noise units; of blur unused, its sigma is chosen for each level. grid: what `choose` tries.
    """

    title: str
    kind: str
    p: float = 1.0
    schedule: Mapping[str, Any] | None = None
    strength: float = 0.0
    grid: tuple[float, ...] = ()


METHODS: dict[str, Method] = {
    LAYER: Method("layer, p = 1, the paper's continuation", "layer", 1.0, {"cg_tolerance": 1e-3}, 1.4, (1.0, 1.4, 2.0)),
    "settled": Method("layer, p = 1, settled", "layer", 1.0, SETTLED, 1.0, (0.7, 1.0, 1.4)),
    "p08": Method("layer, p = 0.8, settled", "layer", 0.8, SETTLED, 1.1, (0.8, 1.1, 1.6)),
    "p05": Method("layer, p = 0.5, settled", "layer", 0.5, SETTLED, 0.7, (0.5, 0.7, 1.0)),
    "lca": Method("LCA, soft threshold, same filters", "lca", strength=1.4, grid=(1.0, 1.4, 2.0)),
    "blur": Method("Gaussian blur", "blur", grid=(0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.4, 1.7, 2.0)),
}  # fmt: skip
LCA_STEPS, LCA_ETA = 200, 1 / 32


@dataclass(frozen=True)
class Crop:
    """A square of a photograph: first pixel and side in pixels; ``sha256`` of its values."""

    picture: str
    y: int
    x: int
    size: int
    sha256: str

    @property
    def learned_from(self) -> bool:
        """Filters and strengths come from this photograph."""
        return self.picture in LEARNED_FROM

    @property
    def free(self) -> bool:
        """A bundled photograph under CC0 or in the public domain."""
        return self.picture in FREE


def pixels_of(picture: str, y: int, x: int, size: int) -> Array:
    """The clean crop, ``(1, size, size)``, 0 to 1."""
    return load_image(picture, crop=(y, x), size=(size, size), preprocess="none")


def crops_of(picture: str, size: int = CROP_PIXELS) -> tuple[Crop, ...]:
    """The crops of a picture at `PLACES`, kept inside it.

    Raises:
        InputError: no such picture, one smaller than a crop, or a crop of one value.
    """
    height, width = load_image(picture, preprocess="none").shape[1:]
    if min(height, width) < size:
        raise InputError(f"{picture} is {height}x{width} pixels, smaller than a crop of {size}x{size}; give another or "
                         f"--size {min(height, width)}")
    found = []
    for down, right in PLACES:
        y = int(np.clip(round(down * height - size / 2), 0, height - size))
        x = int(np.clip(round(right * width - size / 2), 0, width - size))
        values = pixels_of(picture, y, x, size)
        if float(values.std()) == 0.0:
            raise InputError(f"the crop of {picture} at {y},{x} has one value everywhere, so that its signal-to-noise "
                             "ratio means nothing; leave the picture out")
        found.append(Crop(picture, y, x, size, hashlib.sha256(values.astype("<f8").tobytes()).hexdigest()))
    return tuple(found)


def snr_db(clean: Array, found: Array) -> float:
    """The module's signal-to-noise ratio in dB; infinite where nothing is wrong."""
    wrong = float(np.sum((clean - found)**2))
    return math.inf if wrong == 0.0 else 10.0 * math.log10(float(np.sum((clean - clean.mean())**2)) / wrong)


def noisy(clean: Array, noise_db: float, seed: int) -> tuple[Array, float]:
    """The crop with Gaussian noise, scaled so that its SNR is ``noise_db`` exactly, and the noise's deviation."""
    noise = np.random.default_rng([seed, round(1000 * noise_db) + 10**6]).standard_normal(clean.shape)
    signal = float(np.linalg.norm(clean - clean.mean()))
    noise *= signal / float(np.linalg.norm(noise)) * 10.0 ** (-noise_db / 20.0)
    return clean + noise, float(noise.std())


def denoise(image: Array, deviation: float, method: Method, strength: float,
            dictionary: Dictionary) -> tuple[Array, float | None]:
    """A denoised crop and the share of its codes that are not 0 (None: the method has no code).

    Args:
        image: ``(1, H, W)``. deviation: of its noise. strength: of the method, see `Method`.
    """
    if method.kind == "blur":
        return blurred(image, strength), None
    scaled = image / deviation
    if method.kind == "layer":
        found = infer(scaled, dictionary, strength, Continuation(method.p, **dict(method.schedule or {})))
        return found.reconstruction * deviation, np.count_nonzero(found.code) / found.code.size
    low = blurred(scaled, SURROUND_SIGMA)
    params = LcaParams(strength, LCA_ETA, LCA_STEPS, "soft", two_sided=True, residual_cutoff=0.0, border="mirror")
    coded = encode(scaled - low, dictionary, params)
    share = np.count_nonzero(coded.code) / coded.code.size
    return (scaled - coded.residual) * deviation, share


# ---- the jobs of `engine` --------------------------------------------------------------------------------------------
def job(context: Mapping[str, Any], parameters: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """One point: a crop denoised (``task`` "denoise"), or its contrast-normalised self coded (``task`` "code")."""
    dictionary = Dictionary.load(context["filters"]) if context["filters"] else filters()
    y, x = parameters["crop"]
    clean = pixels_of(parameters["picture"], y, x, parameters["size"])
    if parameters["task"] == "code":
        square = (parameters["size"],) * 2
        normal = load_image(parameters["picture"], crop=(y, x), size=square, preprocess="contrast") / CONTRAST
        found = infer(normal, dictionary, parameters["threshold"], Continuation(parameters["p"], **SETTLED),
                      low_frequency=False)  # fmt: skip
        return {"percent_error": percent_error(normal, found.residual),
                "percent_active": 100 * np.count_nonzero(found.code) / found.code.size}  # fmt: skip
    image, deviation = noisy(clean, parameters["noise_db"], seed)
    method = METHODS[parameters["method"]]
    result, share = denoise(image, deviation, method, parameters["strength"], dictionary)
    return {
        "noisy_db": snr_db(clean, image), "snr_db": snr_db(clean, result), "psnr_db": psnr_db(clean - result),
        "percent_active": None if share is None else 100 * share,
    }  # fmt: skip
