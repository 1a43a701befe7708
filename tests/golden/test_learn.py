import dataclasses
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from striate.golden.conv import StridedConv, synthesis
from striate.golden.dictionary import Dictionary
from striate.golden.errors import InputError
from striate.golden.geometry import Geometry
from striate.golden.lca import Outcome
from striate.golden.learn import (
    LearnOutcome,
    LearnParams,
    TrainingCrops,
    checkpoint_path,
    hebbian_update,
    kernel_change,
    learn,
)

SMALL = LearnParams(kernels=4, patch=8, stride=2, pictures=12, rate=0.05, crop_size=32, steps=15, seed=1)


class Interrupted(Exception):
    pass


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("pictures") / "waves.png"
    y, x = np.mgrid[:80, :90]
    Image.fromarray((127 + 100 * np.sin(x / 3) * np.cos(y / 5 + x / 9)).astype(np.uint8)).save(path)
    return path


def test_the_update_descends_the_energy():
    """eq. 15 is minus the gradient of |x - Phi y|^2/2 by the kernels, then each kernel has unit norm again."""
    rng = np.random.default_rng(0)
    atoms = np.array(Dictionary.random(Geometry((8, 10), 2, 3, 4, 2), 0).atoms)
    image, code = rng.standard_normal((2, 8, 10)), rng.standard_normal((3, 4, 5))
    residual = image - synthesis(code, atoms, 2, (8, 10))
    conv = StridedConv(atoms, 2, (8, 10))
    moved = hebbian_update(conv, atoms, residual, code, 1e-7)
    np.testing.assert_allclose(np.linalg.norm(moved.reshape(3, -1), axis=1), 1.0)

    def half_square(a):
        return 0.5 * np.sum((image - synthesis(code, a, 2, (8, 10)))**2)

    step = np.zeros_like(atoms)
    for index in np.ndindex(atoms.shape):
        nudge = np.zeros_like(atoms)
        nudge[index] = 1e-5
        step[index] = -(half_square(atoms + nudge) - half_square(atoms - nudge)) / 2e-5
    step -= atoms * np.sum(step * atoms, axis=(1, 2, 3), keepdims=True)  # along the sphere
    np.testing.assert_allclose((moved - atoms) / 1e-7, step, rtol=1e-4, atol=1e-4)
    assert kernel_change(atoms, moved) == pytest.approx(np.linalg.norm((moved - atoms).reshape(3, -1), axis=1).mean())


def test_silence_teaches_nothing():
    atoms = np.array(Dictionary.random(Geometry((8, 8), 1, 2, 4, 2), 0).atoms)
    conv = StridedConv(atoms, 2, (8, 8))
    np.testing.assert_allclose(hebbian_update(conv, atoms, np.ones((1, 8, 8)), np.zeros((2, 4, 4)), 1.0), atoms)


@pytest.mark.parametrize("warm", [False, True])
def test_an_interrupted_run_ends_with_the_same_bytes(tmp_path, picture, warm):
    params = LearnParams(**{**SMALL.__dict__, "warm": warm})
    whole = learn(params, [picture], tmp_path / "whole.npz")
    seen = []

    def strike(progress):
        seen.append(progress)
        if progress.done in (4, 9) and progress.done > progress.first:
            raise Interrupted

    for _ in range(2):
        with pytest.raises(Interrupted):
            learn(params, [picture], tmp_path / "parts.npz", progress=strike)
        assert checkpoint_path(tmp_path / "parts.npz").exists() and not (tmp_path / "parts.npz").exists()
    parts = learn(params, [picture], tmp_path / "parts.npz", progress=strike)
    assert (tmp_path / "parts.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()
    assert parts == whole
    assert [p.done for p in seen] == list(range(1, 13)) and [p.first for p in seen] == [0] * 4 + [4] * 5 + [9] * 3
    assert sorted(file.name for file in tmp_path.iterdir()) == ["parts.npz", "whole.npz"]
    assert Dictionary.load(tmp_path / "whole.npz") == whole.dictionary
    assert whole.dictionary.source == "Hebbian learning (eq. 15), 12 crops of waves.png; seed 1"


def test_learning_improves_the_code(tmp_path, picture):
    seen = []
    params = LearnParams(kernels=4, patch=8, stride=2, pictures=220, rate=0.1, decay=0.01, crop_size=32, steps=40,
                         scales=(1,))
    result = learn(params, [picture], tmp_path / "d.npz", progress=seen.append)
    assert result.outcome is LearnOutcome.COMPLETED and result.pictures == 220
    assert np.mean([p.percent_error for p in seen[-30:]]) < 0.7 * np.mean([p.percent_error for p in seen[:5]])
    assert seen[-1].change < 0.1 * seen[0].change
    assert len(result.explained) == 4 and result.gabor_like == (result.gabor_share >= 0.7)
    assert result.settled == (result.change < 0.01)


def test_both_engines_learn_the_same_at_first(tmp_path, picture):
    """Until a last-bit difference has grown through the hard threshold."""
    atoms = [learn(LearnParams(**{**SMALL.__dict__, "engine": engine}), [picture], tmp_path / f"{engine}.npz")
             for engine in ("fast", "reference")]
    np.testing.assert_allclose(atoms[0].dictionary.atoms, atoms[1].dictionary.atoms, atol=1e-9)


def test_too_few_pictures_never_count_as_settled(tmp_path, picture):
    still = LearnParams(**{**SMALL.__dict__, "rate": 1e-12})
    result = learn(still, [picture], tmp_path / "d.npz")
    assert result.change < 1e-9 and not result.settled


def test_divergence_is_an_outcome(tmp_path, picture):
    wild = LearnParams(kernels=16, patch=8, stride=2, pictures=40, crop_size=32, eta=1.0, threshold=0.01, steps=50)
    result = learn(wild, [picture], tmp_path / "d.npz")
    assert result.outcome is LearnOutcome.DIVERGED and result.dictionary is None
    assert result.diverged >= 10 and "halve --eta" in result.outcome.remedy
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_mostly_diverged_writes_nothing(tmp_path, picture, monkeypatch):
    """Half of the pictures may diverge, more may not; ten in a row end a run at once."""
    from striate.golden.learn import training

    real = training.encode
    for bad, outcome in ((4, LearnOutcome.DIVERGED), (3, LearnOutcome.DIVERGED), (2, LearnOutcome.COMPLETED)):
        seen = iter(range(4))

        def encode(*words, bad=bad, seen=seen, **named):
            run = real(*words, **named)
            return dataclasses.replace(run, outcome=Outcome.DIVERGED) if next(seen) < bad else run

        monkeypatch.setattr(training, "encode", encode)
        few = LearnParams(**{**SMALL.__dict__, "pictures": 4})
        out = tmp_path / f"{bad}.npz"
        result = learn(few, [picture], out)
        assert (result.outcome, result.diverged, result.pictures) == (outcome, bad, 4)
        assert out.exists() == (outcome is LearnOutcome.COMPLETED) == (result.dictionary is not None)
    assert [file.name for file in tmp_path.iterdir()] == ["2.npz"]


def test_a_name_that_no_design_could_use_is_refused_before_learning(tmp_path, picture):
    for name in ("b", "b.npy", ".npz"):
        with pytest.raises(InputError, match=r"does not end in .npz, so that no design could name it; use --out"):
            learn(SMALL, [picture], tmp_path / name)
    with pytest.raises(InputError, match="is a folder"):
        (tmp_path / "d.npz").mkdir()
        learn(SMALL, [picture], tmp_path / "d.npz", force=True)


def test_what_a_killed_run_left_goes_with_the_next(tmp_path, picture):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for name in (f".d.npz.{dead.pid}.part", f".d.npz.checkpoint.npz.{dead.pid}.part"):
        (tmp_path / name).write_bytes(b"half")
    learn(SMALL, [picture], tmp_path / "d.npz")
    assert [file.name for file in tmp_path.iterdir()] == ["d.npz"]


def test_a_checkpoint_of_other_settings_is_refused(tmp_path, picture):
    def strike(_):
        raise Interrupted

    out = tmp_path / "d.npz"
    with pytest.raises(Interrupted):
        learn(SMALL, [picture], out, progress=strike)
    other = LearnParams(**{**SMALL.__dict__, "rate": 0.04})
    with pytest.raises(InputError, match="d.npz.checkpoint.npz belongs to a run with other settings or pictures"):
        learn(other, [picture], out)
    with pytest.raises(InputError, match="belongs to a run with other settings or pictures"):
        learn(SMALL, [picture, "camera"], out)
    assert learn(other, [picture], out, force=True).pictures == 12
    with pytest.raises(InputError, match="d.npz exists already; choose another --out, or overwrite it with --force"):
        learn(SMALL, [picture], out)


def test_crops_are_a_function_of_seed_and_number(picture):
    first, second = (TrainingCrops([picture, "camera"], 32, seed=seed, scales=(1, 2)) for seed in (1, 2))
    again = TrainingCrops([picture, "camera"], 32, seed=1, scales=(1, 2))
    np.testing.assert_array_equal(first.crop(7), again.crop(7))
    assert first.sha256 == second.sha256 and first.sha256 != TrainingCrops([picture], 32).sha256
    assert not np.array_equal(first.crop(7), second.crop(7)) and not np.array_equal(first.crop(7), first.crop(8))
    assert first.crop(0).shape == (1, 32, 32)


def test_unusable_pictures_are_named(tmp_path, picture):
    with pytest.raises(InputError, match="waves.png is 80x90 pixels, smaller than a crop of 96x96; .* --crop-size 80"):
        TrainingCrops([picture], 96)
    with pytest.raises(InputError, match="no pictures to learn from"):
        learn(SMALL, [], tmp_path / "d.npz")
    with pytest.raises(InputError, match="nowhere: no such folder; create it first"):
        learn(SMALL, [picture], tmp_path / "nowhere" / "d.npz")


@pytest.mark.parametrize("change, message", [
    ({"pictures": 0}, "--pictures must be at least 1, not 0"),
    ({"rate": 0}, "--rate must be a finite number above 0, not 0"),
    ({"decay": 0}, "--decay must be above 0 and at most 1 (no decay), not 0"),
    ({"decay": 2}, "--decay must be above 0 and at most 1 (no decay), not 2"),
    ({"scales": ()}, "--scales must be whole numbers from 1 on, not ()"),
    ({"scales": (0,)}, "--scales must be whole numbers from 1 on, not (0,)"),
    ({"engine": "gpu"}, "the engine must be one of fast, reference, not 'gpu'"),
    ({"seed": -1}, "--seed must be 0 or more, not -1"),
    ({"eta": 2}, "--eta must be above 0 and at most 1, not 2"),
    ({"steps": 0}, "--steps must be at least 1, not 0"),
    ({"threshold": 0}, "--threshold must be"),
    ({"residual_cutoff": -1}, "--residual-cutoff must be"),
    ({"kernels": 0}, "--kernels (-k) must be at least 1, not 0"),
    ({"patch": 7}, "--patch (-p) 7 and --stride (-s) 2 differ by an odd number"),
    ({"crop_size": 33}, "--stride (-s) 2 does not divide --crop-size 33; use a --crop-size of 32 or 34"),
])
def test_bad_settings_are_refused(change, message):
    with pytest.raises(InputError, match=re.escape(message)):
        LearnParams(**change)


def test_the_rate_holds_then_falls():
    params = LearnParams(pictures=100, rate=0.1, decay=0.01)
    rates = [params.rate_at(n) for n in range(100)]
    assert rates[0] == rates[49] == 0.1 and rates[99] == pytest.approx(0.001)
    assert all(b <= a for a, b in zip(rates, rates[1:], strict=False))
