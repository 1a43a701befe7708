"""The setting of Sheridan et al., Nature Nanotechnology 12, 784 (2017): a 16x32 dictionary on one 32x32 array.

4x4 patches that do not overlap, 32 kernels (2x overcomplete), hard threshold, forward and backward reads of the same
cells. *Settles* means here: in the last 8 of 200 steps less than 1 % of the neurons change their code per step, and the
error that the machine itself reads moves by less than 2 % of itself over the last 50.
"""

from functools import cache

import numpy as np
import pytest

from striate.golden.dictionary import Dictionary
from striate.golden.images import load_image
from striate.golden.lca import Outcome
from striate.sim.crossbar.loop import simulate_crossbar
from striate.sim.design import Design
from striate.sim.machine import simulate

DESIGN = Design(kernels=32, patch=4, stride=4, image=(120, 120), tiles=(1, 1), rows=32, columns=32, transfer="hard")


@cache
def dictionary() -> Dictionary:
    """32 kernels learned from patches of the photograph "brick": winner takes all, with Oja's rule."""
    picture = load_image("brick")[0][:500, :500]
    patches = picture.reshape(125, 4, 125, 4).transpose(0, 2, 1, 3).reshape(-1, 16)
    patches = patches[np.linalg.norm(patches, axis=1) > 0.3]
    rng = np.random.default_rng(0)
    patches = rng.permutation(patches)
    kernels = patches[:32] / np.linalg.norm(patches[:32], axis=1)[:, None]
    for patch in patches[32:4032]:
        winner = int(np.argmax(kernels @ patch))
        match = kernels[winner] @ patch
        kernels[winner] += 0.05 * match * (patch - match * kernels[winner])
    kernels /= np.linalg.norm(kernels, axis=1)[:, None]
    return Dictionary(kernels.reshape(32, 1, 4, 4), 4, "winner takes all with Oja's rule on the photograph brick")


def picture() -> np.ndarray:
    return load_image("camera", crop=(70, 170), size=(120, 120))


@pytest.mark.parametrize("device", ["sheridan-wox", "generic", "ideal"])
def test_the_setting_runs_and_settles(device: str) -> None:
    image, design = picture(), DESIGN.replace(device=device)
    run = simulate_crossbar(image, design, dictionary=dictionary(), seed=1)
    assert run.array_shape == (16, 32) and run.arrays == 2
    assert run.outcome is not Outcome.DIVERGED
    assert run.steps.code_events[-8:].mean() < 0.01 * design.geometry.neurons
    late = run.steps.percent_error[-50:]
    assert late.max() - late.min() < 0.02 * late.mean()
    machine = simulate(image, design.replace(gather_lanes=32), dictionary=dictionary())
    assert run.programmed_percent_error(image) < machine.percent_error(image) + 10
    assert run.percent_inactive > 75
