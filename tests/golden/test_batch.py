"""Coding many pictures: one by one or together, and what is refused whatever the engine."""

import re
from typing import get_args

import numpy as np
import pytest

from striate.golden.batch import encode_batch
from striate.golden.dictionary import Dictionary
from striate.golden.errors import InputError
from striate.golden.geometry import Geometry
from striate.golden.lca import Engine, LcaParams, encode

GEOMETRY = Geometry((12, 16), 2, 5, 8, 2)
DICTIONARY = Dictionary.random(GEOMETRY, 0)
IMAGES = np.random.default_rng(1).standard_normal((3, *GEOMETRY.image_shape))
PARAMS = LcaParams(0.2, 1 / 32, 15)


@pytest.mark.parametrize("engine", ["fast", "reference", "fft"])
@pytest.mark.parametrize("warm", [False, True])
def test_every_picture_as_if_alone(engine, warm):
    membranes = np.random.default_rng(2).standard_normal((3, *GEOMETRY.code_shape)) if warm else None
    runs = encode_batch(IMAGES, DICTIONARY, PARAMS, membranes=membranes, engine=engine)
    assert len(runs) == 3
    for n, run in enumerate(runs):
        alone = encode(IMAGES[n], DICTIONARY, PARAMS, membrane=None if membranes is None else membranes[n],
                       engine=engine)
        np.testing.assert_array_equal(run.membrane, alone.membrane)
        np.testing.assert_array_equal(run.residual, alone.residual)
        assert (run.outcome, run.steps, run.slope) == (alone.outcome, alone.steps, alone.slope)


def test_no_picture_gives_no_code():
    assert encode_batch(np.zeros((0, 2, 12, 16)), DICTIONARY) == []


@pytest.mark.parametrize("named, message", [
    ({"images": IMAGES[0]}, "a batch of images has the shape (B, C, H, W), not (2, 12, 16)"),
    ({"membranes": np.zeros((2, *GEOMETRY.code_shape))},
     "2 starting membranes were given for 3 images; give one for each"),
    ({"device": "cuda"}, "the engine 'fast' runs on the CPU alone, not on 'cuda'; only the engine 'torch' has others"),
    ({"engine": "fft", "precision": "float32"},
     "the engine 'fft' computes in float64, not in float32; the engine 'torch' has float32"),
    ({"engine": "gpu"}, "the engine must be one of fast, reference, fft, torch, not 'gpu'"),
])
def test_bad_batches_are_refused(named, message):
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        encode_batch(**{"images": IMAGES, "dictionary": DICTIONARY, **named})


def test_the_batch_of_every_engine_refuses_what_is_not_finite():
    images = IMAGES.copy()
    images[1, 0, 0, 0] = np.nan
    for engine in ("fast", "reference", "fft"):
        with pytest.raises(InputError, match="^the image holds 1 values that are not finite"):
            encode_batch(images, DICTIONARY, PARAMS, engine=engine)


@pytest.mark.parametrize("threshold", [0.0, -0.05, float("nan"), float("inf")])
@pytest.mark.parametrize("engine", get_args(Engine))
def test_no_engine_takes_a_threshold_that_is_not_above_0(engine, threshold):
    """Refused before any engine is reached: also by "torch" where PyTorch is missing."""
    line = f"dynamics.threshold must be a finite number above 0, not {threshold}; the paper uses 0.05"
    with pytest.raises(InputError, match=f"^{re.escape(line)}$"):
        encode_batch(IMAGES, DICTIONARY, LcaParams(threshold=threshold), engine=engine)


@pytest.mark.parametrize("engine", get_args(Engine))
def test_no_engine_takes_kernels_that_are_not_of_unit_norm(engine):
    atoms = np.array(DICTIONARY.atoms)
    atoms[3] *= 1.5
    with pytest.raises(InputError, match=r"^[^\n]*norm[^\n]*$") as caught:
        encode(IMAGES[0], Dictionary(atoms, 2), engine=engine)
    assert "1.5" in str(caught.value)
