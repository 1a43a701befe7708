"""Crops of the bundled photographs: where they lie, and that their cycles are the machine's."""

import numpy as np
import pytest

from striate.golden.dictionary import Dictionary
from striate.golden.errors import InputError
from striate.golden.images import PHOTOGRAPHS, load_image
from striate.sim.design import Design
from striate.sim.machine import simulate
from striate.sim.mapping.photographs import crops, photograph_cycles

SMALL = Design(image=(24, 24), kernels=4, patch=6, stride=2, steps=6, step_shift=3, threshold=0.02, tiles=(1, 1),
               gather_lanes=4, scatter_lanes=2, detect_lanes=2)  # fmt: skip


def test_crops_lie_inside_and_differ() -> None:
    found = crops(Design())
    assert len(set(found)) == len(found) == 5 * len(PHOTOGRAPHS)
    assert ("camera", (192, 192)) in found and ("camera", (64, 320)) in found
    for name, (y, x) in found:
        _, height, width = load_image(name, preprocess="none").shape
        assert 0 <= y <= height - 128 and 0 <= x <= width - 128
    wide = crops(Design(image=(480, 512)))
    assert 0 < len(wide) < len(found) and all(y >= 0 and x >= 0 for _, (y, x) in wide)
    with pytest.raises(InputError, match=r"no bundled photograph has 4000 x 16 pixels; set network.image to"):
        crops(Design(image=(4000, 16)))


def test_cycles_are_those_of_a_run() -> None:
    dictionary = Dictionary.random(SMALL.geometry, seed=3)
    found = photograph_cycles(SMALL, dictionary)
    assert [(f.photograph, f.crop) for f in found] == crops(SMALL)
    for one in (found[0], found[-1]):
        run = simulate(load_image(one.photograph, crop=one.crop, size=(24, 24)), SMALL, dictionary=dictionary)
        assert run.cycles is not None and run.cycles.frame == one.cycles
        assert (run.counts.code_events, run.counts.residual_events) == (one.code_events, one.residual_events)
    assert len(np.unique([f.cycles for f in found])) > 30
