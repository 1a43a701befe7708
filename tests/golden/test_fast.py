"""The compiled network against the reference, and its inner loops against plain sums."""

import os
import platform
import re
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numba import njit

from striate.golden.block import LANES, POSITIONS, gather_block, outside, scatter_rows, vectors_for
from striate.golden.conv import StridedConv
from striate.golden.dictionary import Dictionary, shipped
from striate.golden.errors import InputError
from striate.golden.fast import FastNetwork
from striate.golden.geometry import Geometry
from striate.golden.images import load_image
from striate.golden.lca import LcaParams, Outcome, encode
from striate.golden.metrics import percent_error


def both(image, dictionary, params, **named):
    return [encode(image, dictionary, params, engine=engine, trace=True, **named) for engine in ("fast", "reference")]


@st.composite
def networks(draw):
    stride = draw(st.integers(1, 4))
    patch = stride + 2 * draw(st.integers(0, 6))
    height, width = (stride * draw(st.integers(1, 14)) for _ in range(2))
    return Geometry((height, width), draw(st.integers(1, 3)), draw(st.integers(1, 40)), patch, stride)


@settings(max_examples=60)
@given(networks(), st.sampled_from(["cropped", "extended", "mirror", "circular"]), st.sampled_from(["hard", "soft"]),
       st.booleans(), st.booleans(), st.sampled_from([0.0, 0.005, 0.1]), st.booleans(), st.integers(0, 2**32 - 1))
@example(Geometry((12, 12), 1, 24, 9, 3), "mirror", "soft", True, False, 0.1, True, 0)  # three vectors to a block
@example(Geometry((10, 30), 2, 40, 8, 2), "extended", "hard", False, False, 0.0, True, 1)
def test_a_run_equals_the_reference(g, border, kind, two_sided, inclusive, cutoff, warm, seed):
    rng = np.random.default_rng(seed)
    dictionary = Dictionary.random(g, seed)
    image = rng.standard_normal(g.image_shape)
    params = LcaParams(0.1, 1 / 64, 25, kind, two_sided, inclusive, cutoff, border)
    membrane = 0.2 * rng.standard_normal(g.code_shape) if warm else None
    fast, reference = both(image, dictionary, params, membrane=membrane)
    for name in ("code", "membrane", "residual"):
        ours = getattr(fast, name)
        assert ours.flags.c_contiguous and ours.flags.writeable and ours.flags.owndata
        np.testing.assert_allclose(ours, getattr(reference, name), rtol=0, atol=1e-9)
    for name in ("percent_error", "energy", "active", "changed"):
        np.testing.assert_allclose(getattr(fast.trace, name), getattr(reference.trace, name), rtol=1e-9)
    assert (fast.outcome, fast.steps) == (reference.outcome, reference.steps)
    assert fast.slope == pytest.approx(reference.slope, rel=1e-9)


def test_a_photograph_comes_out_the_same():
    image, dictionary = load_image("camera", crop=(70, 170), size=(64, 64)), shipped(32, 16, 2)
    fast, reference = both(image, dictionary, LcaParams())
    errors = [percent_error(image, run.residual) for run in (fast, reference)]
    assert f"{errors[0]:.4g}" == f"{errors[1]:.4g}" and fast.outcome is reference.outcome
    np.testing.assert_allclose(fast.trace.percent_error[:50], reference.trace.percent_error[:50], rtol=1e-9)


@pytest.mark.parametrize("scale", [1.0, 1e150, 1e-150])
def test_divergence_is_seen_at_the_same_step(scale):
    dictionary = Dictionary.random(Geometry((16, 16), 1, 16, 8, 2), seed=0)
    image = np.random.default_rng(1).standard_normal((1, 16, 16)) * scale
    params = LcaParams(eta=1.0, threshold=0.05 * scale, residual_cutoff=0.0, steps=200)
    fast, reference = both(image, dictionary, params)
    assert fast.outcome is reference.outcome is Outcome.DIVERGED
    assert fast.steps == reference.steps < 200
    np.testing.assert_allclose(fast.membrane / scale, reference.membrane / scale, rtol=1e-6, atol=1e-6)
    assert np.isfinite(fast.membrane).all() and np.isfinite(fast.residual).all()


@pytest.mark.parametrize("border", ["cropped", "mirror"])
def test_a_step_allocates_no_array(border):
    dictionary, image = shipped(8, 16, 2), load_image("camera", crop=(70, 170), size=(128, 128))
    conv = StridedConv(dictionary.atoms, 2, (128, 128), border)
    network = FastNetwork(image, conv, dictionary.atoms, threshold=0.05, kind="hard", two_sided=False, inclusive=True,
                          cutoff=0.005)
    network.start(np.zeros(conv.geometry.code_shape))
    network.propose(1 / 32)
    network.accept()
    tracemalloc.start()
    for _ in range(3):
        network.propose(1 / 32)
        network.accept()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert network.counts()[0] > 0
    assert peak < 16384  # bytes; the smallest array of the network's size, the residual, has 131072


def test_what_is_handed_out_cannot_be_written():
    seen = []

    def look(step):
        seen.append(step.step)
        for array in (step.membrane, step.residual):
            with pytest.raises(ValueError, match="read-only"):
                array[0, 0, 0] = 1.0

    encode(np.ones((1, 8, 8)), shipped(8, 16, 2), LcaParams(steps=2), trace=look)
    assert seen == [0, 1, 2]


def test_an_unknown_engine_is_refused():
    with pytest.raises(InputError, match=re.escape("the engine must be one of fast, reference, fft, torch, not 'gpu'")):
        encode(np.zeros((1, 8, 8)), shipped(8, 16, 2), engine="gpu")


@pytest.mark.parametrize("positions, vectors, lanes", [
    *((positions, vectors, LANES) for vectors, positions in POSITIONS.items()), (6, 2, 4), (8, 1, 4), (8, 2, 8)])
def test_a_gathered_block_is_the_plain_sum(positions, vectors, lanes):
    rng = np.random.default_rng(vectors)
    block, wide = gather_block(positions, vectors, lanes), vectors * lanes
    offsets = rng.integers(0, 30, 7)
    canvas, weights = rng.standard_normal((4, 40)), rng.standard_normal((2, 7, wide))
    out = np.full((positions, wide + 3), 9.0)

    @njit
    def run(canvas, offsets, weights, out):
        block(canvas, 11, 2, offsets, weights, 7 * weights.shape[2], out, 2, out.shape[1])

    run(canvas, offsets, weights, out)
    for n in range(positions):
        np.testing.assert_allclose(out[n, 2:2 + wide], canvas.ravel()[11 + 2 * n + offsets] @ weights[1], atol=1e-12)
    assert (out[:, :2] == 9).all() and (out[:, 2 + wide:] == 9).all()


@pytest.mark.parametrize("lanes", [4, 8])
def test_rows_are_scattered_and_neurons_found(lanes):
    rng = np.random.default_rng(lanes)
    scatter, found = scatter_rows(lanes), outside(lanes)
    canvas, kernels = rng.standard_normal((6, 20)), rng.standard_normal((2, 5, 8))

    @njit
    def run(canvas, kernels):
        scatter(canvas, 23, 20, kernels, 40, 8, 5, 0.5)
        return found(canvas, 21, -0.5, 0.25)

    expected = canvas.copy()
    expected[1:, 3:3 + lanes] += 0.5 * kernels[1, :, :lanes]
    bits = run(canvas, kernels)
    np.testing.assert_allclose(canvas, expected, atol=1e-15)
    wanted = [(value <= -0.5 or value >= 0.25) for value in canvas[1, 1:1 + lanes]]
    assert [bool(bits >> n & 1) for n in range(lanes)] == wanted and bits >> lanes == 0
    assert 0 < sum(wanted) < lanes


def test_blocks_hold_every_number_of_kernels():
    for kernels in range(1, 200):
        vectors = vectors_for(kernels)
        assert vectors in POSITIONS and -(-kernels // LANES) % vectors == 0


PROGRAM = """
import hashlib

import numpy as np
from striate.golden.block import LANES
from striate.golden.dictionary import Dictionary
from striate.golden.geometry import Geometry
from striate.golden.lca import LcaParams, encode

digest = hashlib.sha256()
for kernels, patch in ((3, 4), (8, 8), (20, 6), (32, 16)):
    g = Geometry((20, 28), 2, kernels, patch, 2)
    image, params = np.random.default_rng(kernels).standard_normal(g.image_shape), LcaParams(steps=20, border="mirror")
    ours, theirs = (encode(image, Dictionary.random(g, 0), params, engine=e) for e in ("fast", "reference"))
    np.testing.assert_allclose(ours.membrane, theirs.membrane, rtol=0, atol=1e-9)
    digest.update(ours.membrane.tobytes() + ours.residual.tobytes())
print(LANES, digest.hexdigest())
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="names features of x86")
def test_the_bits_do_not_depend_on_the_width_of_registers(tmp_path):
    """Every sum has its order: as on a processor without AVX-512, the same bits."""
    narrow = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma", "NUMBA_CACHE_DIR": str(tmp_path)}
    said = []
    for change in ({}, narrow):
        done = subprocess.run([sys.executable, "-c", PROGRAM], env={**os.environ, **change}, capture_output=True,
                              text=True)
        assert done.returncode == 0, done.stderr
        said.append(done.stdout.split())
    assert said[0][0] == str(LANES) and said[1][0] == "4"
    assert said[0][1] == said[1][1]
