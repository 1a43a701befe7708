"""The frequency-domain engine against the direct operators and the reference network."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from striate.golden.conv import StridedConv
from striate.golden.dictionary import Dictionary, shipped
from striate.golden.engines import best_engine
from striate.golden.fft import FftConv
from striate.golden.geometry import Geometry
from striate.golden.images import load_image
from striate.golden.lca import LcaParams, Outcome, encode
from striate.golden.metrics import percent_error

BORDERS = ["cropped", "extended", "mirror", "circular"]


@st.composite
def networks(draw):
    stride = draw(st.integers(1, 5))
    patch = stride + 2 * draw(st.integers(0, 10))
    height, width = (stride * draw(st.integers(1, 9)) for _ in range(2))
    return Geometry((height, width), draw(st.integers(1, 3)), draw(st.integers(1, 7)), patch, stride)


@settings(max_examples=25)
@given(networks(), st.sampled_from(BORDERS), st.integers(0, 2**32 - 1))
@example(Geometry((4, 4), 1, 2, 32, 4), "cropped", 0)  # one neuron whose kernel is eight times the image
@example(Geometry((16, 64), 2, 3, 64, 4), "cropped", 1)
@example(Geometry((6, 9), 1, 4, 3, 3), "circular", 2)  # no margin
def test_both_directions_equal_the_direct_ones(g, border, seed):
    rng = np.random.default_rng(seed)
    atoms = rng.standard_normal(g.dictionary_shape)
    direct = StridedConv(atoms, g.stride, g.image, border)
    ours = FftConv(direct, atoms)
    residual, code = rng.standard_normal(direct.residual_shape), rng.standard_normal(g.code_shape)
    for got, wanted in ((ours.analysis(residual), direct.analysis(residual)),
                        (ours.synthesis(code), direct.synthesis(code))):
        assert got.shape == wanted.shape and got.flags.c_contiguous
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-12 * np.abs(wanted).max())
    forth, back = np.vdot(ours.analysis(residual), code), np.vdot(residual, ours.synthesis(code))
    assert forth == pytest.approx(back, rel=1e-10, abs=1e-10)


def test_small_residuals_count_as_nothing():
    g = Geometry((8, 12), 2, 3, 6, 2)
    rng = np.random.default_rng(0)
    atoms, residual = rng.standard_normal(g.dictionary_shape), rng.standard_normal(g.image_shape)
    residual[0, 0, 0] = 0.5  # exactly the cutoff: counts
    direct = StridedConv(atoms, 2, g.image)
    wanted = direct.analysis(np.where(np.abs(residual) >= 0.5, residual, 0.0))
    np.testing.assert_allclose(FftConv(direct, atoms).analysis(residual, 0.5), wanted, atol=1e-12)
    assert 0.1 < np.mean(np.abs(residual) < 0.5) < 0.9


@settings(max_examples=12)
@given(networks(), st.sampled_from(BORDERS), st.sampled_from(["hard", "soft"]), st.booleans(), st.booleans(),
       st.sampled_from([0.0, 0.005, 0.1]), st.booleans(), st.integers(0, 2**32 - 1))
def test_a_run_equals_the_reference(g, border, kind, two_sided, inclusive, cutoff, warm, seed):
    rng = np.random.default_rng(seed)
    dictionary, image = Dictionary.random(g, seed), rng.standard_normal(g.image_shape)
    params = LcaParams(0.1, ((0, 1 / 64), (12, 1 / 32)), 20, kind, two_sided, inclusive, cutoff, border)
    membrane = 0.2 * rng.standard_normal(g.code_shape) if warm else None
    ours, wanted = (encode(image, dictionary, params, membrane=membrane, engine=engine, trace=True)
                    for engine in ("fft", "reference"))
    for name in ("code", "membrane", "residual"):
        got = getattr(ours, name)
        assert got.flags.c_contiguous and got.flags.writeable and got.flags.owndata
        np.testing.assert_allclose(got, getattr(wanted, name), rtol=0, atol=1e-9)
    for name in ("percent_error", "energy", "active", "changed"):
        np.testing.assert_allclose(getattr(ours.trace, name), getattr(wanted.trace, name), rtol=1e-9)
    assert (ours.outcome, ours.steps) == (wanted.outcome, wanted.steps)
    assert ours.slope == pytest.approx(wanted.slope, rel=1e-9)


def test_a_photograph_comes_out_the_same():
    image, dictionary = load_image("camera", crop=(70, 170), size=(48, 48)), shipped(32, 16, 2)
    ours, wanted = (encode(image, dictionary, LcaParams(steps=80), engine=engine, trace=True)
                    for engine in ("fft", "fast"))
    errors = [percent_error(image, run.residual) for run in (ours, wanted)]
    assert errors[0] == pytest.approx(errors[1], abs=0.05) and ours.outcome is wanted.outcome
    np.testing.assert_allclose(ours.trace.percent_error[:50], wanted.trace.percent_error[:50], rtol=1e-9)


@pytest.mark.parametrize("scale", [1.0, 1e150, 1e-150])
def test_divergence_is_seen_at_the_same_step(scale):
    dictionary = Dictionary.random(Geometry((16, 16), 1, 16, 8, 2), seed=0)
    image = np.random.default_rng(1).standard_normal((1, 16, 16)) * scale
    params = LcaParams(eta=1.0, threshold=0.05 * scale, residual_cutoff=0.0, steps=200)
    ours, wanted = (encode(image, dictionary, params, engine=engine) for engine in ("fft", "reference"))
    assert ours.outcome is wanted.outcome is Outcome.DIVERGED
    assert ours.steps == wanted.steps < 200
    assert np.isfinite(ours.membrane).all() and np.isfinite(ours.residual).all()
    np.testing.assert_allclose(ours.membrane / scale, wanted.membrane / scale, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kernels, patch, stride, side, best", [
    (32, 64, 4, 128, "fft"), (32, 32, 4, 96, "fast"), (32, 16, 2, 128, "fast"), (32, 15, 1, 64, "fast"),
    (512, 16, 16, 64, "fast"), (2, 15, 1, 64, "fast")])
def test_the_engine_named_best(kernels, patch, stride, side, best):
    dictionary = Dictionary.random(Geometry((side, side), 1, kernels, patch, stride), 0)
    assert best_engine(dictionary, (side, side)) == best
