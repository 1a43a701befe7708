import dataclasses
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from striate.golden.conv import StridedConv, synthesis
from striate.golden.dictionary import Dictionary, shipped
from striate.golden.errors import InputError
from striate.golden.geometry import Geometry
from striate.golden.lca import Outcome, encode
from striate.golden.learn import (
    LearnOutcome,
    LearnParams,
    TrainingCrops,
    checkpoint_path,
    hebbian_update,
    kernel_change,
    learn,
)
from striate.golden.learn.rules import TITLES

SMALL = LearnParams(kernels=4, patch=8, stride=2, pictures=12, rate=0.05, crop_size=32, steps=15, seed=1)


class Interrupted(Exception):
    pass


@pytest.fixture(autouse=True)
def quick_fits(request, monkeypatch):
    """Gabor fits take most of the time of a small run, and few tests look at them."""
    if request.node.name != "test_learning_improves_the_code":
        monkeypatch.setattr("striate.golden.learn.training.gabor_like", lambda dictionary: np.full(4, 0.5))


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
def test_the_defaults_are_eq_15_picture_by_picture(tmp_path, picture, warm):
    """The loop written out: the same bits."""
    params = dataclasses.replace(SMALL, warm=warm)
    crops = TrainingCrops([picture], 32, scales=(1, 2), seed=1)
    atoms = np.array(Dictionary.random(params.geometry, 1).atoms)
    membrane = np.random.default_rng([1, 12]).uniform(0.0, 0.05, (4, 16, 16)) if warm else None
    for number in range(12):
        run = encode(crops.crop(number), Dictionary(atoms, 2), params.dynamics, membrane=membrane)
        rate = 0.05 * 0.05**max(0.0, 2.0 * (number + 1) / 12 - 1.0)
        atoms = hebbian_update(StridedConv(atoms, 2, (32, 32)), atoms, run.residual, run.code, rate)
        membrane = run.membrane if warm else None
    np.testing.assert_array_equal(learn(params, [picture], tmp_path / "d.npz").dictionary.atoms, atoms)


@pytest.mark.parametrize("change", [
    {}, {"warm": True}, {"batch": 5, "warm": True, "momentum": 0.5}, {"rule": "online", "batch": 2, "reseed_after": 2},
    {"rule": "block-coordinate", "batch": 3}, {"rule": "projected", "sweeps": 2},
], ids=str)
def test_an_interrupted_run_ends_with_the_same_bytes(tmp_path, picture, change):
    params = dataclasses.replace(SMALL, **{"rate": 0.06} | change)
    batch, marks, seen = params.batch, [4, 9], []
    whole = learn(params, [picture], tmp_path / "whole.npz")

    def strike(progress):
        seen.append(progress)
        if marks and progress.done >= marks[0]:
            marks.pop(0)
            raise Interrupted

    for _ in range(2):
        with pytest.raises(Interrupted):
            learn(params, [picture], tmp_path / "parts.npz", progress=strike)
        assert checkpoint_path(tmp_path / "parts.npz").exists() and not (tmp_path / "parts.npz").exists()
    parts = learn(params, [picture], tmp_path / "parts.npz", progress=strike)
    assert (tmp_path / "parts.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()
    assert parts == whole
    assert [p.done for p in seen] == [*range(batch, 12, batch), 12]
    if batch == 1:
        assert [p.first for p in seen] == [0] * 4 + [4] * 5 + [9] * 3
    assert sorted(file.name for file in tmp_path.iterdir()) == ["parts.npz", "whole.npz"]
    assert Dictionary.load(tmp_path / "whole.npz") == whole.dictionary
    assert whole.dictionary.source == f"{TITLES[params.rule]}, 12 crops of waves.png; seed 1"


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
    from striate.golden.learn import coding

    real = coding.encode_batch
    for bad, outcome in ((4, LearnOutcome.DIVERGED), (3, LearnOutcome.DIVERGED), (2, LearnOutcome.COMPLETED)):
        seen = iter(range(4))

        def encode(*words, bad=bad, seen=seen, **named):
            [run] = real(*words, **named)
            return [dataclasses.replace(run, outcome=Outcome.DIVERGED) if next(seen) < bad else run]

        monkeypatch.setattr(coding, "encode_batch", encode)
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


def test_folders_are_read_when_a_crop_is_drawn(tmp_path, picture, monkeypatch):
    """The same crops as by name, in the order of paths, although memory holds one picture at a time."""
    from striate.golden.learn import pictures

    pixels = np.array(Image.open(picture))
    for name in ("b/z.png", "a.PNG", "b/c.bmp", ".hidden.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(np.roll(pixels, len(name), axis=1)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    by_name = TrainingCrops([tmp_path / "a.PNG", tmp_path / "b/c.bmp", tmp_path / "b/z.png"], 32, seed=1)
    read = []
    real = pictures.load_image
    monkeypatch.setattr(pictures, "load_image", lambda path, **named: read.append(path) or real(path, **named))
    monkeypatch.setattr(pictures, "CACHE_BYTES", 1)
    crops = TrainingCrops([tmp_path], 32, seed=1)
    assert read == [] and crops.sha256 == by_name.sha256
    for number in range(14):
        np.testing.assert_array_equal(crops.crop(number), by_name.crop(number))
    assert len(set(read)) == 3 and len(read) == 5
    before = crops.sha256
    Image.fromarray(pixels).save(tmp_path / "a.PNG")
    assert crops.sha256 != before != TrainingCrops([tmp_path], 32, scales=(1, 2)).sha256


def test_unusable_folders_are_refused_before_learning(tmp_path, picture):
    with pytest.raises(InputError, match="holds no picture; a folder's pictures end in .bmp"):
        TrainingCrops([tmp_path], 32)
    Image.open(picture).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_text("hello")
    with pytest.raises(InputError, match="bad.png is not a picture"):
        TrainingCrops([tmp_path], 32)
    Image.open(picture).crop((0, 0, 50, 20)).save(tmp_path / "bad.png")
    with pytest.raises(InputError, match="bad.png is 20x50 pixels, smaller than a crop of 32x32; .* --crop-size 20 or"):
        TrainingCrops([tmp_path], 32)
    (tmp_path / "bad.png").unlink()
    np.save(tmp_path / "small.npy", np.zeros((40, 16)))
    with pytest.raises(InputError, match="small.npy is 40x16 pixels, smaller"):
        TrainingCrops([tmp_path], 32)
    (tmp_path / "small.npy").write_text("hello")
    with pytest.raises(InputError, match="small.npy is not a readable .npy array"):
        TrainingCrops([tmp_path], 32)


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
    ({"engine": "gpu"}, "the engine must be one of fast, reference"),
    ({"device": "cuda"}, "the engine 'fast' runs on the CPU alone, not on 'cuda'"),
    ({"rule": "hebb"}, "--rule must be one of hebbian, projected, block-coordinate, online, not 'hebb'"),
    ({"schedule": "never"}, "--schedule must be one of half, constant, inverse, not 'never'"),
    ({"preprocess": "dog"}, "--preprocess must be one of centre-surround, "),
    ({"transfer": "firm"}, "--transfer must be one of hard, soft, not 'firm'"),
    ({"border": "open"}, "--border must be one of cropped, "),
    ({"batch": 0}, "--batch must be at least 1, not 0"),
    ({"momentum": 1.0}, "--momentum must be from 0 (off) to below 1, not 1.0"),
    ({"forgetting": 1.0}, "--forgetting must be from 0 (only the last batch counts) to below 1, not 1.0"),
    ({"sweeps": 0}, "--sweeps must be at least 1, not 0"),
    ({"support": 17}, "--support must be from 1 to the patch, 16, not 17"),
    ({"support": 0}, "--support must be from 1 to the patch, 16, not 0"),
    ({"reseed_after": -1}, "--reseed-after must be 0 (never) or a number of pictures, not -1"),
    ({"rule": "online", "rate": 0.1}, "--rate 0.1 has no use with --rule online; leave it out, or use --rule hebb"),
    ({"rule": "projected", "momentum": 0.1}, "--momentum 0.1 has no use with --rule projected"),
    ({"forgetting": 0.5}, "--forgetting 0.5 has no use with --rule hebbian; leave it out, or use --rule online"),
    ({"sweeps": 2}, "--sweeps 2 has no use with --rule hebbian"),
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


def test_a_run_goes_on_from_a_start(tmp_path, picture):
    begun = learn(SMALL, [picture], tmp_path / "a.npz").dictionary
    still = dataclasses.replace(SMALL, rate=1e-12, start=tmp_path / "a.npz")
    again = learn(still, [picture], tmp_path / "b.npz").dictionary
    np.testing.assert_allclose(again.atoms, begun.atoms, atol=1e-9)
    assert again.source == "Hebbian learning (eq. 15), 12 crops of waves.png; seed 1; from a.npz"
    # A checkpoint knows the start by its kernels.
    with pytest.raises(Interrupted):
        learn(still, [picture], tmp_path / "c.npz", progress=strike_at_once)
    Dictionary(-begun.atoms, 2).save(tmp_path / "a.npz")
    with pytest.raises(InputError, match="belongs to a run with other settings or pictures"):
        learn(still, [picture], tmp_path / "c.npz")


def strike_at_once(_):
    raise Interrupted


def test_a_shipped_dictionary_is_a_start():
    params = LearnParams(start="natural-k8-p16-s2")
    assert params.beginning() == shipped(8, 16, 2)


def test_starts_that_do_not_fit_are_refused(tmp_path):
    Dictionary.random(Geometry((32, 32), 1, 4, 8, 2), 0).save(tmp_path / "a.npz")
    a = str(tmp_path / "a.npz")
    for change in ({"kernels": 5}, {"patch": 16}, {"stride": 4}, {"channels": 3}):
        with pytest.raises(InputError, match=r"--start .*a.npz holds kernels of the shape \(4, 1, 8, 8\) at stride 2, "
                                             r"not .*; give the -k, -p, -s and --channels of the start"):
            dataclasses.replace(SMALL, start=a, **change).beginning()
    with pytest.raises(InputError, match="a.npz has kernels beyond --support 7; use a larger support"):
        dataclasses.replace(SMALL, start=a, support=7).beginning()
    with pytest.raises(InputError, match="--start natural: no such file; give a .npz, or one of .*natural-k8-p16-s2"):
        dataclasses.replace(SMALL, start="natural").beginning()


@pytest.mark.parametrize("change", [{}, {"momentum": 0.3}, {"rule": "online", "rate": 0.06, "batch": 3},
                                    {"rule": "projected"}, {"reseed_after": 1}], ids=str)
def test_kernels_stay_within_their_support(tmp_path, picture, change):
    params = dataclasses.replace(SMALL, support=6, **change)
    atoms = learn(params, [picture], tmp_path / "d.npz").dictionary.atoms
    assert not atoms[:, :, 6:].any() and not atoms[:, :, :, 6:].any() and atoms[:, :, :6, :6].all()


def test_soft_two_sided_codes_and_borders_are_learned_with(tmp_path, picture):
    for border in ("extended", "mirror"):
        params = dataclasses.replace(SMALL, transfer="soft", two_sided=True, border=border)
        dictionary = learn(params, [picture], tmp_path / f"{border}.npz").dictionary
        crops, atoms = TrainingCrops([picture], 32, scales=(1, 2), seed=1), Dictionary.random(params.geometry, 1).atoms
        for number in range(12):
            run = encode(crops.crop(number), Dictionary(atoms, 2), params.dynamics)
            conv = StridedConv(atoms, 2, (32, 32), border)
            margin = 3 if border == "extended" else 0
            left = np.pad(crops.crop(number), ((0, 0), (margin,) * 2, (margin,) * 2)) - conv.synthesis(run.code)
            atoms = hebbian_update(conv, atoms, left, run.code, params.rate_at(number))
        assert (run.code < 0).any()
        np.testing.assert_allclose(dictionary.atoms, atoms, atol=1e-9)


def test_dead_kernels_are_counted_and_drawn_anew(tmp_path, picture, monkeypatch):
    """Kernel 2 of the start is never active, whatever is shown; any other in its place is."""
    from striate.golden.learn import coding

    begun = Dictionary.random(SMALL.geometry, 0)
    begun.save(tmp_path / "start.npz")
    real = coding.encode_batch

    def encode(images, dictionary, *words, **named):
        [run] = real(images, dictionary, *words, **named)
        if np.allclose(dictionary.atoms[2], begun.atoms[2], atol=1e-12):
            run.code[2] = 0.0
        return [run]

    monkeypatch.setattr(coding, "encode_batch", encode)
    params = dataclasses.replace(SMALL, start=str(tmp_path / "start.npz"), steps=40)
    dead = learn(params, [picture], tmp_path / "dead.npz")
    assert dead.silent == 1 and dead.reseeded == 0
    np.testing.assert_allclose(dead.dictionary.atoms[2], begun.atoms[2], atol=1e-15)
    seen = []
    alive = learn(dataclasses.replace(params, reseed_after=3), [picture], tmp_path / "alive.npz", progress=seen.append)
    assert alive.reseeded >= 1 and alive.silent == 0 and [p.reseeded for p in seen[:3]] == [0, 0, 1]
    assert abs(np.sum(alive.dictionary.atoms[2] * begun.atoms[2])) < 0.5


def test_the_energy_has_a_history(tmp_path, picture):
    result = learn(dataclasses.replace(SMALL, pictures=205, steps=5), [picture], tmp_path / "d.npz")
    assert len(result.energies) == 3
    # The mean over the last 200 pictures: all but the first five.
    first = learn(dataclasses.replace(SMALL, pictures=205, steps=5, schedule="constant"), [picture], tmp_path / "e.npz")
    assert first.energies[0] == result.energies[0] > result.energies[1]  # the rate falls after the first hundred
    total = 100 * (result.energies[0] + result.energies[1]) + 5 * result.energies[2]
    assert result.energy == pytest.approx(total / 205, rel=0.2)


def test_checkpoints_are_written_now_and_then(tmp_path, monkeypatch):
    from striate.golden.learn import state

    clock, written = [0.0], []
    monkeypatch.setattr(state.time, "monotonic", lambda: clock[0])

    class Slow:
        def __init__(self, number):
            self.number = number

        def save(self, path, settings):
            written.append(self.number)
            clock[0] += 0.25

    kept = state.Checkpoint(tmp_path / "c", "")
    for number in range(60):
        clock[0] += 0.5
        kept.keep(Slow(number))
    assert written == [3, 13, 23, 33, 43, 53]  # after 2 s, then every 5 s: 20 times 0.25 s
    kept.write()
    assert written[-1] == 59
    kept.keep(Slow(60))
    kept.write()
    assert written[-1] == 60


def test_the_rate_falls_as_the_schedule_says():
    held = LearnParams(pictures=100, rate=0.1, decay=0.01, schedule="constant")
    assert {held.rate_at(n) for n in range(100)} == {0.1}
    inverse = dataclasses.replace(held, schedule="inverse")
    rates = np.array([inverse.rate_at(n) for n in range(100)])
    assert rates[0] == 0.1 and rates[-1] == pytest.approx(0.001)
    np.testing.assert_allclose(np.diff(1 / rates), np.diff(1 / rates)[0])  # 1/t
    assert dataclasses.replace(inverse, pictures=1).rate_at(0) == 0.1


def test_the_rate_holds_then_falls():
    params = LearnParams(pictures=100, rate=0.1, decay=0.01)
    rates = [params.rate_at(n) for n in range(100)]
    assert rates[0] == rates[49] == 0.1 and rates[99] == pytest.approx(0.001)
    assert all(b <= a for a, b in zip(rates, rates[1:], strict=False))
