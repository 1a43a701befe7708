import contextlib
import os
import re
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from striate.golden import archive
from striate.golden.dictionary import Dictionary, shipped, shipped_names
from striate.golden.errors import InputError
from striate.golden.gabor import gabor_like
from striate.golden.geometry import Geometry
from striate.golden.images import photograph
from striate.golden.lca import LcaParams, Outcome, encode
from striate.golden.metrics import percent_error, percent_inactive

GEOMETRY = Geometry((8, 8), 2, 3, 4, 2)


def test_random_is_a_function_of_its_seed():
    first = Dictionary.random(GEOMETRY, 1)
    assert first == Dictionary.random(GEOMETRY, 1) and first != Dictionary.random(GEOMETRY, 2)
    assert (first.kernels, first.channels, first.patch, first.stride) == (3, 2, 4, 2)
    np.testing.assert_allclose(np.linalg.norm(first.atoms.reshape(3, -1), axis=1), 1.0)
    assert first.geometry((6, 10)).code_shape == (3, 3, 5)


def test_the_value_cannot_be_changed():
    atoms = np.array(Dictionary.random(GEOMETRY, 1).atoms)
    dictionary = Dictionary(atoms, 2)
    digest = dictionary.sha256
    atoms[:] = 0.0
    assert dictionary.sha256 == digest
    with pytest.raises(ValueError, match="read-only"):
        dictionary.atoms[0] = 0.0


def test_digest_sees_kernels_and_stride():
    atoms = Dictionary.random(GEOMETRY, 1).atoms
    digests = {Dictionary(atoms, 2).sha256, Dictionary(atoms, 4).sha256, Dictionary(-atoms, 2).sha256}
    assert len(digests) == 3
    assert Dictionary(atoms, 2, "elsewhere").sha256 in digests


def test_save_and_load_give_the_same_value_and_bytes(tmp_path):
    dictionary = Dictionary(Dictionary.random(GEOMETRY, 1).atoms, 2, "Gabor \N{GREEK SMALL LETTER LAMDA}")
    dictionary.save(tmp_path / "a.npz")
    Dictionary.load(tmp_path / "a.npz").save(tmp_path / "b.npz")
    assert Dictionary.load(tmp_path / "b.npz") == dictionary
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.npz", "b.npz"]
    with np.load(tmp_path / "a.npz", allow_pickle=False) as data:
        assert data["dictionary"].dtype == np.float64 and data["dictionary"].shape == (3, 2, 4, 4)
        assert (int(data["patch"]), int(data["stride"])) == (4, 2)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    Dictionary.random(GEOMETRY, 1).save(tmp_path / "a.npz")
    before = (tmp_path / "a.npz").read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archive.os, "replace", full)
    with pytest.raises(InputError, match="cannot write .*a.npz: No space left on device; check that the folder exists"):
        Dictionary.random(GEOMETRY, 2).save(tmp_path / "a.npz")
    assert (tmp_path / "a.npz").read_bytes() == before and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("atoms, stride, message", [
    (np.ones((2, 4, 4)), 2, "a dictionary has the shape (K, C, p, p), not (2, 4, 4)"),
    (np.ones((2, 1, 4, 5)), 2, "a dictionary has the shape (K, C, p, p), not (2, 1, 4, 5)"),
    (np.zeros((0, 1, 4, 4)), 2, "a dictionary has the shape (K, C, p, p), not (0, 1, 4, 4)"),
    (np.full((2, 1, 4, 4), np.nan), 2, "the dictionary holds values that are not finite"),
    (np.ones((2, 1, 4, 4)), 2, "kernel 0 has the L2 norm 4, not 1; divide every kernel by its norm"),
    (np.full((2, 1, 4, 4), 0.25), 3, "network.patch 4 and network.stride 3 differ by an odd number"),
    (np.full((2, 1, 4, 4), 0.25), 0, "must be at least 1, not 0"),
])
def test_what_is_no_dictionary_is_refused(atoms, stride, message):
    with pytest.raises(InputError, match=re.escape(message)):
        Dictionary(atoms, stride)


def written(path, **change):
    arrays = {"dictionary": np.full((1, 1, 2, 2), 0.5), "patch": np.int64(2), "stride": np.int64(2),
              "source": np.str_("x")}
    arrays.update(change)
    archive.save_npz(path, {key: value for key, value in arrays.items() if value is not None})


@pytest.mark.parametrize("change, message", [
    ({"stride": None}, r"holds dictionary, patch, source but not stride; is it the right kind of file\?"),
    ({"patch": np.int64(4)}, r"a.npz: 'patch' says 4 but the kernels are 2 pixels wide"),
    ({"patch": np.float64(2)}, r"a.npz: 'patch' is not a whole number"),
    ({"dictionary": np.ones((1, 1, 2, 2), np.int64)}, r"a.npz: 'dictionary' holds int64, not floats"),
    ({"dictionary": np.ones((1, 1, 2, 2))}, r"a.npz: kernel 0 has the L2 norm 2, not 1"),
])
def test_files_that_hold_no_dictionary_are_refused(tmp_path, change, message):
    written(tmp_path / "a.npz", **change)
    with pytest.raises(InputError, match=message):
        Dictionary.load(tmp_path / "a.npz")


def test_files_that_are_no_archive_are_refused(tmp_path):
    with pytest.raises(InputError, match="a.npz: no such file"):
        Dictionary.load(tmp_path / "a.npz")
    written(tmp_path / "a.npz")
    whole = (tmp_path / "a.npz").read_bytes()
    np.save(tmp_path / "one.npy", np.ones(3))
    damaged = {"empty": b"", "text": b"hello there", "half": whole[:len(whole) // 2],
               "array": (tmp_path / "one.npy").read_bytes()}
    for name, content in damaged.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=rf"{name} is not a readable .npz archive \(.*\); write it anew") as caught:
            Dictionary.load(tmp_path / name)
        assert "\n" not in str(caught.value) and "pickle" not in str(caught.value)
    np.savez(tmp_path / "pickle.npz", dictionary=np.array([{}], object), patch=1, stride=1, source="")
    with pytest.raises(InputError, match=r"pickle.npz is not a readable .npz archive \(it holds Python objects"):
        Dictionary.load(tmp_path / "pickle.npz")
    with zipfile.ZipFile(tmp_path / "other.npz", "w") as made:
        made.writestr("dictionary.npy", b"no array")
    for keys in (("dictionary",), None):
        with pytest.raises(InputError, match=r"other.npz is not a readable .npz archive \(it holds what is no array\)"):
            archive.load_npz(tmp_path / "other.npz", keys)
    for place in range(0, len(whole), 7):  # whatever byte is wrong: one line, or the byte did not matter
        (tmp_path / "flipped.npz").write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1:])
        with contextlib.suppress(InputError):
            archive.load_npz(tmp_path / "flipped.npz", None)


def test_leftovers_of_dead_processes_are_removed(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    kept = {f".a.npz.{os.getppid()}.part", ".b.npz.1.part", ".a.npz.x.part", "a.npz"}
    for name in kept | {f".a.npz.{dead.pid}.part"}:
        (tmp_path / name).write_bytes(b"")
    archive.remove_leftovers(tmp_path / "a.npz")
    assert {file.name for file in tmp_path.iterdir()} == kept


def test_nothing_is_left_of_a_file_that_cannot_be_replaced(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="cannot write .*folder: Is a directory"):
        archive.save_npz(tmp_path / "folder", {"a": 1})
    with pytest.raises(KeyError), archive.replacing(tmp_path / "file") as aside:
        aside.write_text("half")
        raise KeyError
    assert [file.name for file in tmp_path.iterdir()] == ["folder"]


def test_unknown_shapes_list_the_shipped_ones():
    family = [name for name in shipped_names() if name.startswith("natural-k")]
    assert {"natural-k8-p16-s2", "natural-k32-p16-s2", "natural-k512-p16-s16"} <= set(family) < set(shipped_names())
    with pytest.raises(InputError) as refused:
        shipped(7, 16, 2)
    text = "no dictionary 'natural-k7-p16-s2' comes with the package (there are: {}); use one of these shapes"
    assert str(refused.value).startswith(text.format(", ".join(family)))
    with pytest.raises(InputError, match=r"no dictionary 'none-k8-p16-s2' comes with the package \(there are: none\)"):
        shipped(8, 16, 2, name="none")
    with pytest.raises(InputError, match="no dictionary 'natural-k8-p16-s2-c3'"):
        shipped(8, 16, 2, channels=3)


@pytest.mark.parametrize("kernels, error", [(8, 20.0), (32, 15.0)])
def test_shipped_dictionaries_are_gabors_and_code_an_unseen_photograph(kernels, error):
    """The camera man was not among the pictures they were learned from."""
    dictionary = shipped(kernels, 16, 2)
    assert f"natural-k{kernels}-p16-s2" in shipped_names()
    assert "camera" not in dictionary.source
    assert np.mean(gabor_like(dictionary) >= 0.6) >= 0.7
    image = photograph("camera", crop=(192, 192), size=(128, 128))
    run = encode(image, dictionary, LcaParams())
    assert run.outcome is not Outcome.DIVERGED
    assert percent_error(image, run.residual) < error
    assert percent_inactive(run.code) > 80
