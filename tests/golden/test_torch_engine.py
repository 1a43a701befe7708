"""The PyTorch engine: what is said without PyTorch, and with it that it is the reference network."""

import re
import sys
import types

import numpy as np
import pytest

from striate.golden import torch_engine
from striate.golden.batch import encode_batch
from striate.golden.conv import StridedConv
from striate.golden.dictionary import Dictionary, shipped
from striate.golden.errors import InputError
from striate.golden.geometry import Geometry
from striate.golden.images import load_image
from striate.golden.lca import LcaParams, Outcome, encode
from striate.golden.metrics import percent_error, percent_inactive

MISSING = ("the engine 'torch' needs PyTorch, which is not installed; pip install striate[torch], or use another "
           "engine")
GEOMETRY = Geometry((12, 16), 2, 5, 8, 2)
DICTIONARY = Dictionary.random(GEOMETRY, 0)
IMAGES = np.random.default_rng(1).standard_normal((3, *GEOMETRY.image_shape))


@pytest.mark.parametrize("code", [
    lambda: encode(IMAGES[0], DICTIONARY, engine="torch"),
    lambda: encode_batch(IMAGES, DICTIONARY, engine="torch"),
    lambda: encode_batch(IMAGES, DICTIONARY, engine="torch", device="cuda", precision="float32"),
    lambda: torch_engine.check_device("cpu")])
def test_without_pytorch_one_line_says_what_to_install(monkeypatch, code):
    monkeypatch.setitem(sys.modules, "torch", None)  # as if not installed, also where it is
    with pytest.raises(InputError, match=f"^{re.escape(MISSING)}$"):
        code()


def test_a_pytorch_that_does_not_load_is_said_so(monkeypatch):
    class Broken:
        def find_spec(self, name, path=None, target=None):
            if name == "torch":
                raise OSError("libtorch_cpu.so: no such file")

    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    with pytest.raises(InputError, match=r"^PyTorch is installed but does not load \(libtorch_cpu.so: no such file\)"):
        torch_engine.load_torch()


@pytest.fixture(scope="module")
def torch() -> types.ModuleType:
    return pytest.importorskip("torch", reason="PyTorch is the optional extra striate[torch]")


def example(seed: int, border: str) -> tuple[Geometry, Dictionary, LcaParams, np.random.Generator]:
    rng = np.random.default_rng(seed)
    stride = int(rng.integers(1, 5))
    patch = stride + 2 * int(rng.integers(0, 7))
    height, width = (stride * int(rng.integers(1, 9)) for _ in range(2))
    g = Geometry((height, width), int(rng.integers(1, 4)), int(rng.integers(1, 12)), patch, stride)
    params = LcaParams(0.1, ((0, 1 / 64), (10, 1 / 32)), 20, ("hard", "soft")[seed % 2], bool(seed & 2), bool(seed & 4),
                       (0.0, 0.005, 0.1)[seed % 3], border)
    return g, Dictionary.random(g, seed), params, rng


@pytest.mark.parametrize("border", ["cropped", "extended", "mirror", "circular"])
@pytest.mark.parametrize("seed", range(8))
def test_runs_equal_the_reference(torch, border, seed):
    g, dictionary, params, rng = example(seed, border)
    images, membranes = rng.standard_normal((3, *g.image_shape)), 0.2 * rng.standard_normal((3, *g.code_shape))
    starts = membranes if seed % 2 else None
    together = encode_batch(images, dictionary, params, membranes=starts, engine="torch")
    for n, run in enumerate(together):
        start = None if starts is None else starts[n]
        alone, wanted = (encode(images[n], dictionary, params, membrane=start, engine=engine, trace=True)
                         for engine in ("torch", "reference"))
        for got in (run, alone):
            for name in ("code", "membrane", "residual"):
                ours = getattr(got, name)
                assert ours.dtype == np.float64 and ours.flags.c_contiguous and ours.flags.writeable
                np.testing.assert_allclose(ours, getattr(wanted, name), rtol=0, atol=1e-9)
            assert (got.outcome, got.steps) == (wanted.outcome, wanted.steps)
            assert got.slope == pytest.approx(wanted.slope, rel=1e-9, abs=1e-15)
        for name in ("percent_error", "energy", "active", "changed"):
            np.testing.assert_allclose(getattr(alone.trace, name), getattr(wanted.trace, name), rtol=1e-9)


def test_a_diverging_picture_leaves_the_others_alone(torch):
    dictionary = Dictionary.random(Geometry((16, 16), 1, 16, 8, 2), seed=0)
    images = np.random.default_rng(1).standard_normal((3, 1, 16, 16)) * np.array([1.0, 0.0, 1e150])[:, None, None, None]
    params = LcaParams(eta=1.0, threshold=0.05, residual_cutoff=0.0, steps=200)
    runs = encode_batch(images, dictionary, params, engine="torch")
    for image, run in zip(images, runs, strict=True):
        wanted = encode(image, dictionary, params, engine="reference")
        assert (run.outcome, run.steps) == (wanted.outcome, wanted.steps)
        assert np.isfinite(run.membrane).all() and np.isfinite(run.residual).all()
        scale = max(1.0, float(np.abs(wanted.membrane).max()))
        np.testing.assert_allclose(run.membrane / scale, wanted.membrane / scale, atol=1e-6)
    assert [run.outcome is Outcome.DIVERGED for run in runs] == [True, False, True]


def test_float32_codes_are_of_the_same_quality(torch):
    dictionary = shipped(32, 16, 2)
    images = np.stack([load_image("camera", crop=crop, size=(64, 64)) for crop in ((70, 170), (200, 200))])
    runs = encode_batch(images, dictionary, engine="torch", precision="float32")
    for image, run in zip(images, runs, strict=True):
        wanted = encode(image, dictionary)
        assert run.outcome is wanted.outcome and run.code.dtype == np.float64
        assert percent_error(image, run.residual) == pytest.approx(percent_error(image, wanted.residual), abs=0.3)
        assert percent_inactive(run.code) == pytest.approx(percent_inactive(wanted.code), abs=0.1)
        assert not np.array_equal(run.membrane, wanted.membrane)
        conv = StridedConv(dictionary.atoms, 2, (64, 64))
        np.testing.assert_allclose(run.residual, image - conv.synthesis(run.code), atol=2e-6)


@pytest.mark.parametrize("named, message", [
    ({"device": "tpu"}, "the device must be cpu, cuda or cuda:N, not 'tpu'"),
    ({"device": "meta"}, "the device must be cpu, cuda or cuda:N, not 'meta'"),
    ({"device": "cuda:77"}, "PyTorch cannot compute on 'cuda:77' here (it sees "),
    ({"precision": "float16"}, "the precision must be one of float64, float32, not 'float16'")])
def test_what_pytorch_cannot_do_is_refused(torch, named, message):
    with pytest.raises(InputError, match=f"^{re.escape(message)}"):
        encode_batch(IMAGES, DICTIONARY, engine="torch", **named)


def test_on_a_gpu_the_same_comes_out(torch):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    for border in ("cropped", "mirror"):
        g, dictionary, params, rng = example(3, border)
        images = rng.standard_normal((4, *g.image_shape))
        there, again, here = (encode_batch(images, dictionary, params, engine="torch", device=device)
                              for device in ("cuda", "cuda", "cpu"))
        for one, two, wanted in zip(there, again, here, strict=True):
            np.testing.assert_array_equal(one.membrane, two.membrane)
            np.testing.assert_allclose(one.membrane, wanted.membrane, rtol=0, atol=1e-9)
