"""The filters of the denoising experiment: one layer of a deconvolutional network, learned from bundled photographs.

Zeiler et al. 2010, section 4: 9 filters of 7x7, contrast-normalised images, 3 epochs. What differs from the paper,
and why: crops of 64x64 of four photographs in two sizes (it has 100x100 images of scenes of its own); a lambda of 2.5
for local contrasts of 1 (its 1 leaves 60 % of the codes at work and the filters noise); an update of the filters after
every four crops rather than after all; a continuation that ends in proximal gradient steps, so that codes are sparse.
"""

from collections.abc import Callable
from dataclasses import replace

from ...golden.deconvolution import LayerLearned, LayerParams, learn_layer
from ...golden.dictionary import Dictionary, shipped
from ...golden.learn.pictures import TrainingCrops
from ...golden.preprocess import CONTRAST
from ...golden.solvers.continuation import Continuation

FAMILY = "deconvolution"
KERNELS, PATCH = 9, 7
LEARNED_FROM = ("chelsea", "coffee", "brick", "gravel")
"""Photographs that filters are learned from and parameters are chosen on; none of the held-out ones."""
CROPS, CROP_PIXELS, SCALES = 60, 64, (1, 2)
RECIPE = LayerParams(
    KERNELS, PATCH, threshold=2.5, epochs=3, batch=4,
    how=Continuation(factor=3.0, beta_max=100.0, cg_tolerance=1e-3, polish=25),
)  # fmt: skip


def filters() -> Dictionary:
    """Those that come with the package."""
    return shipped(KERNELS, PATCH, 1, name=FAMILY)


def train_filters(seed: int = 0, *, crops: int = CROPS, crop_pixels: int = CROP_PIXELS,
                  epochs: int = RECIPE.epochs, progress: Callable[[str, float], None] | None = None) -> LayerLearned:
    """Learn them again: half a minute of one core with the defaults.

    Args:
        seed: of crops and first filters. progress: called with (text, share done).

    Returns:
        The same filters for the same seed.
    """
    drawn = TrainingCrops(LEARNED_FROM, crop_pixels, scales=SCALES, kind="contrast", seed=seed)
    images = [drawn.crop(n) / CONTRAST for n in range(crops)]
    params = replace(RECIPE, seed=seed, epochs=epochs)
    return learn_layer(images, params, source=recipe(seed, crops, crop_pixels, epochs), progress=progress)


def recipe(seed: int = 0, crops: int = CROPS, crop_pixels: int = CROP_PIXELS, epochs: int = RECIPE.epochs) -> str:
    """The source line of the filters that `train_filters` learns: equal lines mean equal filters."""
    return (
        f"deconvolutional layer, {crops} contrast-normalised crops {crop_pixels}x{crop_pixels} of "
        f"{', '.join(LEARNED_FROM)}, lambda {RECIPE.threshold:g}, {epochs} epochs, seed {seed}"
    )
