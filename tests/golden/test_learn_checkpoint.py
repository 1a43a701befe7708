"""The state of an interrupted run: all of it comes back, and nothing that no run wrote is taken for one."""

import dataclasses
import re

import numpy as np
import pytest
from PIL import Image

from striate.golden.archive import load_npz, save_npz
from striate.golden.dictionary import Dictionary
from striate.golden.errors import InputError
from striate.golden.learn import LearnParams, checkpoint_path, coding, learn

PARAMS = LearnParams(kernels=4, patch=8, stride=2, pictures=8, crop_size=32, steps=15, seed=1, warm=True, momentum=0.5)


class Interrupted(Exception):
    pass


@pytest.fixture(autouse=True)
def quick_fits(monkeypatch):
    monkeypatch.setattr("striate.golden.learn.training.gabor_like", lambda dictionary: np.full(4, 0.5))


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("pictures") / "waves.png"
    y, x = np.mgrid[:80, :90]
    Image.fromarray((127 + 100 * np.sin(x / 3) * np.cos(y / 5 + x / 9)).astype(np.uint8)).save(path)
    return path


def interrupted(params, picture, out, after):
    """The checkpoint of a run that ended after so many pictures."""
    def strike(progress):
        if progress.done == after:
            raise Interrupted

    with pytest.raises(Interrupted):
        learn(params, [picture], out, progress=strike)
    return checkpoint_path(out)


def test_how_long_a_kernel_was_idle_survives_an_interruption(tmp_path, picture, monkeypatch):
    """Kernel 2 of the start is never active; it is drawn anew after three pictures, two of them before the end."""
    begun = Dictionary.random(PARAMS.geometry, 0)
    begun.save(tmp_path / "start.npz")
    real = coding.encode_batch

    def encode(images, dictionary, *words, **named):
        [run] = real(images, dictionary, *words, **named)
        if np.allclose(dictionary.atoms[2], begun.atoms[2], atol=1e-12):
            run.code[2] = 0.0
        return [run]

    monkeypatch.setattr(coding, "encode_batch", encode)
    params = dataclasses.replace(PARAMS, start=str(tmp_path / "start.npz"), steps=40, reseed_after=3, warm=False,
                                 momentum=0.0)  # fmt: skip
    whole = learn(params, [picture], tmp_path / "whole.npz")
    state = interrupted(params, picture, tmp_path / "parts.npz", 2)
    assert load_npz(state, ("idle",))["idle"][2] == 2
    seen = []
    parts = learn(params, [picture], tmp_path / "parts.npz", progress=seen.append)
    assert seen[0].done == 3 and seen[0].reseeded == 1
    assert (tmp_path / "parts.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes() and parts == whole


def put(place, value):
    """An array with one value changed."""
    def change(array):
        array = array.copy()
        array[place] = value
        return array

    return change


@pytest.mark.parametrize("name, change, message", [
    ("atoms", lambda a: a[:3], "'atoms' has the shape (3, 1, 8, 8) and holds float64, where the run has (4, 1, 8, 8)"),
    ("atoms", lambda a: a[..., :7], "'atoms' has the shape (4, 1, 8, 7)"),
    ("atoms", put((1, 0, 2, 3), np.nan), "'atoms' holds values that are not finite"),
    ("atoms", lambda a: 2 * a, "kernel 0 has the L2 norm 2, not 1"),
    ("atoms", lambda a: a.astype(str), "'atoms' has the shape (4, 1, 8, 8) and holds <U"),
    ("membranes", lambda a: np.zeros(0), "'membranes' has the shape (0,)"),
    ("membranes", put((0, 0, 0, 0), np.inf), "'membranes' holds values that are not finite"),
    ("memory velocity", lambda a: a[:1], "'memory velocity' has the shape (1, 1, 8, 8)"),
    ("memory velocity", put((0, 0, 0, 0), np.nan), "'memory velocity' holds values that are not finite"),
    ("idle", lambda a: a[:2], "'idle' has the shape (2,)"),
    ("idle", lambda a: a.astype(float), "'idle' has the shape (4,) and holds float64, where the run has (4,) and int"),
    ("idle", put(0, -1), "'idle' is out of range"),
    ("idle", put(0, 4), "'idle' is out of range"),
    ("counts", lambda a: a[:3], "its counts are not four whole numbers"),
    ("counts", lambda a: a + 0.5, "its counts are not four whole numbers"),
    ("counts", lambda a: a[:, None], "its counts are not four whole numbers"),
    ("counts", put(0, 9), "its counts are out of range"),
    ("counts", put(0, -1), "its counts are out of range"),
    ("counts", put(1, 4), "its counts are out of range"),
    ("counts", put(2, 1), "its counts are out of range"),
    ("counts", put(3, -1), "its counts are out of range"),
    ("counts", put(1, 1), "its energies are not those of its pictures"),
    ("counts", put(0, 4), "'recent' has the shape (3, 4) and holds float64, where the run has (4, 4)"),
    ("recent", lambda a: a[:, :3], "'recent' has the shape (3, 3)"),
    ("recent", put((1, 0), np.nan), "'recent' holds values that are not finite"),
    ("recent", put((1, 3), np.nan), "its energies are not those of its pictures"),
    ("history", lambda a: a[:0], "'history' has the shape (0, 2)"),
    ("history", put((0, 0), np.nan), "'history' holds values that are not finite"),
    ("history", put((0, 1), 2.0), "its energies are not those of its pictures"),
])  # fmt: skip
def test_a_state_that_no_run_wrote_is_refused(kept, tmp_path, picture, name, change, message):
    arrays, whole = kept
    path = checkpoint_path(tmp_path / "d.npz")
    save_npz(path, {**arrays, name: change(arrays[name])})
    with pytest.raises(InputError) as caught:
        learn(PARAMS, [picture], tmp_path / "d.npz")
    text = str(caught.value)
    assert text.startswith(f"{path} is damaged: ") and message in text and "\n" not in text
    assert text.endswith("; begin anew with --force, or remove it")
    assert not (tmp_path / "d.npz").exists() and path.exists()


@pytest.fixture(scope="module")
def kept(tmp_path_factory, picture):
    """The arrays of a state after three pictures, and the bytes of the whole run."""
    folder = tmp_path_factory.mktemp("kept")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("striate.golden.learn.training.gabor_like", lambda dictionary: np.full(4, 0.5))
        arrays = load_npz(interrupted(PARAMS, picture, folder / "d.npz", 3), None)
        learn(PARAMS, [picture], folder / "whole.npz")
    return arrays, (folder / "whole.npz").read_bytes()


@pytest.mark.parametrize("damage", ["cut", "empty", "no array", "shape"])
def test_force_drops_a_damaged_state(kept, tmp_path, picture, damage):
    arrays, whole = kept
    out = tmp_path / "d.npz"
    path = checkpoint_path(out)
    save_npz(path, {**arrays, "atoms": arrays["atoms"][:2]} if damage == "shape" else arrays)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:700])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "no array":
        save_npz(path, {key: value for key, value in arrays.items() if key != "idle"})
    with pytest.raises(InputError, match=re.escape(f"{path} ") + r".*; begin anew with --force, or remove it$"):
        learn(PARAMS, [picture], out)
    seen = []
    learn(PARAMS, [picture], out, progress=seen.append, force=True)
    assert seen[0].first == 0 and out.read_bytes() == whole and not path.exists()


def test_force_continues_a_state_that_is_whole(kept, tmp_path, picture):
    arrays, whole = kept
    save_npz(checkpoint_path(tmp_path / "d.npz"), arrays)
    seen = []
    learn(PARAMS, [picture], tmp_path / "d.npz", progress=seen.append, force=True)
    assert seen[0].first == 3 and (tmp_path / "d.npz").read_bytes() == whole


def test_a_folder_in_place_of_the_state_is_refused(tmp_path, picture):
    checkpoint_path(tmp_path / "d.npz").mkdir()
    for force in (False, True):
        with pytest.raises(InputError, match="where the state is to be kept, is a folder; move it away"):
            learn(PARAMS, [picture], tmp_path / "d.npz", force=force)
