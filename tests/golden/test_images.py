import re
import warnings

import numpy as np
import pytest
from PIL import Image

from striate.golden import images
from striate.golden.errors import InputError
from striate.golden.images import CREDITS, MORE_PHOTOGRAPHS, PHOTOGRAPHS, bundled, load_image, photograph
from striate.golden.preprocess import blurred, centre_surround, local_contrast, patch_contrast, preprocess

RNG = np.random.default_rng(0)
GRAY = RNG.integers(0, 256, (10, 14), dtype=np.uint8)
RGB = RNG.integers(0, 256, (10, 14, 3), dtype=np.uint8)
WEIGHTS = np.array([0.2125, 0.7154, 0.0721])


def raw(path, **options):
    return load_image(path, preprocess="none", **options)


def test_gray_and_colour(tmp_path):
    Image.fromarray(GRAY).save(tmp_path / "gray.png")
    Image.fromarray(RGB).save(tmp_path / "rgb.png")
    np.testing.assert_allclose(raw(tmp_path / "gray.png"), GRAY[None] / 255)
    np.testing.assert_allclose(raw(tmp_path / "rgb.png")[0], RGB / 255 @ WEIGHTS)
    np.testing.assert_allclose(raw(tmp_path / "rgb.png", channels=3), RGB.transpose(2, 0, 1) / 255)
    np.testing.assert_allclose(raw(tmp_path / "gray.png", channels=3), np.stack([GRAY / 255] * 3))


def test_sixteen_bits_keep_them_all(tmp_path):
    deep = RNG.integers(0, 65536, (5, 6), dtype=np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    np.testing.assert_allclose(raw(tmp_path / "deep.png")[0], deep / 65535)


def test_palette_bilevel_alpha_and_orientation(tmp_path):
    palette = Image.fromarray(RGB).quantize(200)
    palette.save(tmp_path / "palette.png")
    np.testing.assert_allclose(raw(tmp_path / "palette.png", channels=3),
                               np.asarray(palette.convert("RGB")).transpose(2, 0, 1) / 255)
    Image.fromarray(GRAY > 99).save(tmp_path / "bits.png")
    np.testing.assert_array_equal(raw(tmp_path / "bits.png")[0], GRAY > 99)
    alpha = np.dstack([RGB, np.full((10, 14), 255, np.uint8)])
    alpha[:3, :, 3] = 0
    Image.fromarray(alpha).save(tmp_path / "alpha.png")
    flat = raw(tmp_path / "alpha.png", channels=3)
    np.testing.assert_array_equal(flat[:, :3], 1.0)
    np.testing.assert_allclose(flat[:, 3:], RGB[3:].transpose(2, 0, 1) / 255)
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(GRAY).save(tmp_path / "turned.png", exif=turned)
    np.testing.assert_allclose(raw(tmp_path / "turned.png")[0], np.rot90(GRAY, -1) / 255)


def test_arrays_are_used_as_they_are(tmp_path):
    field = RNG.standard_normal((3, 6, 8)) * 5
    np.save(tmp_path / "field.npy", field.astype(np.float32))
    np.save(tmp_path / "plane.npy", field[0])
    np.testing.assert_array_equal(raw(tmp_path / "field.npy", channels=3), field.astype(np.float32))
    np.testing.assert_array_equal(raw(tmp_path / "plane.npy"), field[:1])
    np.testing.assert_allclose(load_image(tmp_path / "plane.npy"), centre_surround(field[:1]))


def test_the_crop_is_taken_after_filtering(tmp_path):
    Image.fromarray(GRAY).save(tmp_path / "g.png")
    whole = centre_surround(GRAY[None] / 255)
    np.testing.assert_allclose(load_image(tmp_path / "g.png", crop=(2, 3), size=(4, 6)), whole[:, 2:6, 3:9])
    np.testing.assert_allclose(load_image(tmp_path / "g.png", crop=(2, 3)), whole[:, 2:, 3:])
    np.testing.assert_allclose(load_image(tmp_path / "g.png", size=(10, 14)), whole)


def test_bundled_photographs_load_by_name(tmp_path, monkeypatch):
    for name in PHOTOGRAPHS:
        image = photograph(name, crop=(0, 0), size=(128, 128))
        assert image.shape == (1, 128, 128) and 0.01 < image.std() < 0.3
    monkeypatch.chdir(tmp_path)
    np.testing.assert_array_equal(load_image("camera"), photograph("camera"))
    Image.fromarray(GRAY).save("camera", "PNG")  # a file of that name comes first
    assert load_image("camera").shape == (1, 10, 14)
    with pytest.raises(InputError, match="no photograph 'lena'; there are astronaut, brick, camera"):
        photograph("lena")


def test_a_photograph_that_is_not_installed(monkeypatch):
    monkeypatch.setattr(images.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InputError, match="the photograph 'camera' is not installed; install scikit-image"):
        photograph("camera")
    with pytest.raises(InputError, match="the photograph 'china' is not installed; install scikit-learn"):
        load_image("china")


def test_the_photographs_of_scikit_learn(tmp_path, monkeypatch):
    assert CREDITS.keys() == MORE_PHOTOGRAPHS.keys() and not MORE_PHOTOGRAPHS.keys() & PHOTOGRAPHS.keys()
    monkeypatch.chdir(tmp_path)
    for name in MORE_PHOTOGRAPHS:
        pixels = raw(name)
        assert bundled(name) and pixels.shape == (1, 427, 640) and 0 <= pixels.min() < pixels.max() <= 1
        assert "CC BY 2.0" in CREDITS[name]
        np.testing.assert_array_equal(photograph(name, preprocess="none"), pixels)
    Image.fromarray(GRAY).save("china", "PNG")  # a file of that name comes first
    assert raw("china").shape == (1, 10, 14)
    assert not bundled("lena")
    with pytest.raises(InputError, match="a .npy file or one of astronaut, .*rocket, china, flower"):
        raw("lena")


@pytest.mark.parametrize("options, message", [
    ({"size": (8, 8)}, "is 10x14 pixels, the network takes 8x8: --crop Y,X takes a part, for example --crop 1,3"),
    ({"size": (16, 8)}, "is 10x14 pixels, the network takes 16x8: the picture is too small; use a larger one"),
    ({"size": (16, 8), "crop": (0, 0)}, "is 10x14 pixels, the network takes 16x8: the picture is too small"),
    ({"size": (8, 8), "crop": (3, 2)}, "--crop 3,2 of 8x8 pixels reaches beyond"),
    ({"size": (8, 8), "crop": (3, 2)}, "of 10x14; use at most 2,6"),
    ({"crop": (10, 0)}, "--crop 10,0 lies outside"),
    ({"crop": (-1, 0)}, "--crop -1,0 lies outside"),
    ({"channels": 2}, "an image file has 1 or 3 channels, network.channels is 2; use a .npy file of shape (C, H, W)"),
    ({"preprocess": "white"}, "input.preprocess must be one of centre-surround, zca, contrast, none, not 'white'"),
    ({"preprocess": "zca"}, "learns a filter of 15x15 pixels from the picture, and it has 10x14; use a larger picture"),
])
def test_misfits_name_the_mend(tmp_path, options, message):
    Image.fromarray(GRAY).save(tmp_path / "g.png")
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        load_image(tmp_path / "g.png", **options)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_pictures(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "whole.png")
    content = (tmp_path / "whole.png").read_bytes()
    for name, data, message in (("text.png", b"hello", "text.png is not a picture; give an image file such as"),
                                ("half.png", content[:len(content) // 2], "half.png cannot be read as a picture"),
                                ("empty.npy", b"", "empty.npy is not a readable .npy array"),
                                ("text.npy", b"hello", "text.npy is not a readable .npy array")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=re.escape(message)) as caught:
            raw(tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="none.png: no such picture; give an image file, a .npy file or one of"):
        raw(tmp_path / "none.png")
    with pytest.raises(InputError, match="no such picture"):
        raw(tmp_path)


@pytest.mark.parametrize("array, message", [
    (np.ones((4, 4), np.uint8), "holds uint8 of shape (4, 4); a .npy picture holds floats of shape (H, W) or (C,"),
    (np.ones(4), "holds float64 of shape (4,)"),
    (np.ones((0, 4)), "holds float64 of shape (0, 4)"),
    (np.ones((3, 4, 4)), "has 3 channels, network.channels is 1; make them equal"),
    (np.array([[1.0, np.nan], [np.inf, 0.0]]), "holds 2 values that are not finite (NaN or infinite); mend them first"),
    (np.array([None, {}], object), "is not a readable .npy array"),
])
def test_bad_arrays(tmp_path, array, message):
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(InputError, match=re.escape(message)):
        raw(tmp_path / "a.npy")


def test_integers_beyond_sixteen_bits_are_refused(tmp_path):
    Image.fromarray(np.array([[0, 70000]], np.int32)).save(tmp_path / "i.tif")
    with pytest.raises(InputError, match="has pixels from 0 to 70000, beyond 16 bits"):
        raw(tmp_path / "i.tif")
    Image.fromarray(np.array([[0.5, np.nan]], np.float32)).save(tmp_path / "f.tif")
    with pytest.raises(InputError, match="f.tif holds 1 values that are not finite"):
        raw(tmp_path / "f.tif")


def test_huge_pictures_are_refused_before_they_are_decoded(tmp_path, monkeypatch):
    Image.new("1", (10100, 10000)).save(tmp_path / "huge.png")
    with pytest.raises(InputError, match="huge.png has 101000000 pixels; pictures over 100000000 are refused"):
        raw(tmp_path / "huge.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with warnings.catch_warnings(), pytest.raises(InputError, match="huge.png has too many pixels"):
        raw(tmp_path / "huge.png")


def test_centre_surround_is_the_difference_of_two_unit_gaussians():
    point = np.zeros((1, 81, 81))
    point[0, 40, 40] = 1.0
    offset = np.arange(81) - 40.0

    def gauss(sigma):
        row = np.where(np.abs(offset) <= int(4 * sigma + 0.5), np.exp(-0.5 * (offset / sigma)**2), 0.0)
        return np.outer(row, row) / row.sum()**2

    np.testing.assert_allclose(centre_surround(point)[0], gauss(0.5) - gauss(5.5), atol=1e-15)
    np.testing.assert_allclose(centre_surround(np.full((2, 9, 9), 0.7)), 0.0, atol=1e-15)
    assert preprocess(point, "none") is point


def test_local_contrast_is_blind_to_brightness_and_contrast():
    picture = np.random.default_rng(1).uniform(size=(2, 40, 50))
    plain = local_contrast(picture)
    np.testing.assert_allclose(local_contrast(7 * picture - 3), plain, atol=1e-12)
    mixed = picture * np.array([1.0, 5.0])[:, None, None]  # every channel by itself
    np.testing.assert_allclose(local_contrast(mixed), plain, atol=1e-12)
    # A window as wide as everything gives the global statistics.
    wide = local_contrast(picture[0], sigma=500.0, floor=0.0)
    np.testing.assert_allclose(wide, (picture[0] - picture[0].mean()) / picture[0].std(), atol=2e-3)


def test_local_contrast_divides_by_the_local_deviation_or_the_floor():
    picture = np.random.default_rng(2).standard_normal((60, 60))
    picture[:, 30:] *= 0.01
    free, held = local_contrast(picture, 3.0, 0.0), local_contrast(picture, 3.0, 1.0)
    left, right = (slice(None), slice(0, 20)), (slice(None), slice(45, 60))
    assert 0.9 < free[left].std() < 1.1 and 0.9 < free[right].std() < 1.1  # both halves alike
    assert held[right].std() < 0.011  # as it is: the floor lies above
    centred = picture - blurred(picture, 3.0)
    deviation = np.sqrt(blurred(centred**2, 3.0))
    np.testing.assert_allclose(held, centred / np.maximum(deviation, 1.0))
    np.testing.assert_array_equal(local_contrast(np.full((9, 9), 0.25)), 0.0)
    np.testing.assert_allclose(preprocess(picture[None], "contrast"), 0.1 * local_contrast(picture[None]))
    for options, message in (({"sigma": 0.0}, "sigma of a contrast normalisation must be above 0 pixels, not 0.0"),
                             ({"floor": -1.0}, "floor of a contrast normalisation must be 0 or a finite number")):
        with pytest.raises(InputError, match=message):
            local_contrast(picture, **options)


def test_patch_contrast_by_hand():
    patches = np.array([[0.0, 2.0, 4.0, 2.0], [0.1, 0.1, 0.1, 0.1], [1.0, 1.01, 1.0, 1.01]])
    out = patch_contrast(patches)
    np.testing.assert_allclose(out[0], np.array([-1, 0, 1, 0]) * np.sqrt(2))
    np.testing.assert_array_equal(out[1], 0.0)
    np.testing.assert_allclose(out[2], [-1, 1, -1, 1])
    np.testing.assert_allclose(patch_contrast(patches, 0.5)[2], np.array([-1, 1, -1, 1]) * 0.01)
    with pytest.raises(InputError, match="floor of a contrast normalisation must be 0 or a finite number above it"):
        patch_contrast(patches, np.inf)


def test_the_three_filters_leave_values_of_one_size():
    """So that a threshold of 0.05 goes on meaning what it means with centre-surround."""
    picture = load_image("camera", crop=(70, 170), size=(128, 128), preprocess="none")
    surround = preprocess(picture, "centre-surround").std()
    np.testing.assert_allclose(preprocess(picture, "zca").std(), surround)
    np.testing.assert_allclose(preprocess(0.25 * picture + 0.5, "zca"), 0.25 * preprocess(picture, "zca"), atol=1e-9)
    assert 0.5 < preprocess(picture, "contrast").std() / surround < 2
    np.testing.assert_allclose(preprocess(np.full((1, 20, 20), 0.3), "zca"), 0.0)
