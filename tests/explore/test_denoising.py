"""The denoising experiment: noise of the asked strength, methods that denoise, claims judged both ways."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from striate.explore.papers import denoising_run as run
from striate.explore.papers.claims import Verdict
from striate.explore.papers.denoising import (
    FREE,
    HELD_OUT,
    LEARNED_FROM,
    METHODS,
    crops_of,
    denoise,
    job,
    noisy,
    pixels_of,
    snr_db,
)
from striate.explore.papers.denoising_claims import Denoised, Sparse, denoising_claim, judge, sparser_claim
from striate.explore.papers.denoising_filters import filters, recipe, train_filters
from striate.explore.points import DONE, FAILED, Entry, canonical
from striate.golden.errors import InputError

ROW = Denoised("camera", (0, 0), False, True, "layer", 13.84, 0, 13.84, 16.84, 25.0, 50.0)


# ---- claims ----------------------------------------------------------------------------------------------------------
def row(gain, **changes):
    return replace(ROW, snr_db=13.84 + gain, **changes)


@pytest.mark.parametrize("gains, verdict", [
    ((2.0, 2.0), Verdict.HOLDS), ((3.5, 1.0), Verdict.HOLDS), ((2.5, 1.0), Verdict.PARTLY), ((1.9, 1.0), Verdict.FAILS),
])
def test_the_gain_decides(gains, verdict):
    claim = denoising_claim([row(gains[0]), row(gains[1], picture="rocket")])
    assert claim is not None and claim.verdict is verdict
    assert f"camera {gains[0]:+.2f}" in claim.evidence and f"rocket {gains[1]:+.2f}" in claim.evidence


def test_only_held_out_free_pictures_at_the_papers_noise_count():
    others = [row(9, learned_from=True), row(9, free=False), row(9, method="blur"), row(9, level_db=8.0)]
    assert denoising_claim(others) is None
    claim = denoising_claim([*others, row(1.0)])
    assert claim is not None and claim.verdict is Verdict.FAILS
    # pictures weigh alike, whatever the number of their crops
    assert denoising_claim([row(3.0), *[row(0.9, picture="rocket")] * 5]).verdict is Verdict.PARTLY


def curve(p, picture, *pairs):
    return [Sparse(picture, p, 0.1 * n, error, active) for n, (error, active) in enumerate(pairs)]


def test_sparser_is_judged_at_equal_error():
    one = curve(1.0, "a", (5, 40.0), (50, 4.0))
    assert sparser_claim([*one, *curve(0.5, "a", (5, 20.0), (50, 2.0))]).verdict is Verdict.HOLDS
    assert sparser_claim([*one, *curve(0.5, "a", (5, 10.0), (50, 8.0))]).verdict is Verdict.PARTLY
    assert sparser_claim([*one, *curve(0.5, "a", (5, 80.0), (50, 8.0))]).verdict is Verdict.FAILS
    assert sparser_claim([*one, *curve(0.5, "a", (1, 80.0), (4, 8.0))]) is None  # no common error
    assert sparser_claim(one) is None
    assert "0.50 at 10 % error" in sparser_claim([*one, *curve(0.5, "a", (5, 20.0), (50, 2.0))]).evidence
    assert judge([], []) == ()


# ---- noise and methods -----------------------------------------------------------------------------------------------
def test_the_snr_is_what_was_asked_for():
    clean = pixels_of("camera", 100, 100, 32)
    image, deviation = noisy(clean, 13.84, 3)
    assert snr_db(clean, image) == pytest.approx(13.84, abs=1e-9)
    assert snr_db(clean + 5, image + 5) == pytest.approx(13.84, abs=1e-9)  # an offset counts for nothing
    assert deviation == pytest.approx(float((image - clean).std()), rel=1e-12)
    assert snr_db(clean, clean) == np.inf
    again, other = noisy(clean, 13.84, 3)[0], noisy(clean, 13.84, 4)[0]
    np.testing.assert_array_equal(image, again)
    assert np.abs(image - other).max() > 0


@pytest.mark.parametrize("name", list(METHODS))
def test_every_method_denoises(name):
    crop = crops_of("chelsea", 40)[0]
    clean = pixels_of(crop.picture, crop.y, crop.x, 40)
    image, deviation = noisy(clean, 10.0, 0)
    strength = METHODS[name].strength or 0.8
    result, share = denoise(image, deviation, METHODS[name], strength, filters())
    assert snr_db(clean, result) > 11.5
    assert (share is None) == (name == "blur") and (share is None or 0 < share < 1)
    # the same picture at another brightness scale is denoised alike
    again, _ = denoise(0.1 * image, 0.1 * deviation, METHODS[name], strength, filters())
    np.testing.assert_allclose(again, 0.1 * result, atol=1e-9)


def test_pictures_are_held_out():
    assert not set(HELD_OUT) & set(LEARNED_FROM) and not {"camera", "china"} & set(LEARNED_FROM)
    assert set(HELD_OUT) - FREE == {"china"}
    assert all(name in filters().source for name in LEARNED_FROM)
    assert not any(name in filters().source for name in HELD_OUT)
    assert filters().source == recipe() and filters().atoms.shape == (9, 1, 7, 7)


def test_crops_lie_inside_and_are_told_apart():
    one, two = crops_of("camera")
    assert (one.size, one.learned_from, one.free) == (100, False, True) and (one.y, one.x) == (121, 121)
    assert one.sha256 != two.sha256 and not crops_of("china")[0].free


# ---- points ----------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def plan():
    return run.plan_of(["camera", "chelsea"], [13.84], 2, 32)


def test_points_are_what_json_can_hold_and_give_the_same_again(plan):
    points = plan.points
    assert len(points) == 2 * 2 * 2 * len(METHODS) + 2 * sum(len(v) for v in run.CODED_LAMBDA.values())
    keys = {run.sweep_of(filters()).key(point) for point in points}
    assert len(keys) == len(points)
    found = [job({"filters": ""}, json.loads(canonical(dict(p.parameters))), p.seed) for p in (points[0], points[-4])]
    assert found[0]["noisy_db"] == pytest.approx(13.84) and found[0]["snr_db"] > 13.84
    assert 0 < found[1]["percent_error"] < 100 and 0 < found[1]["percent_active"] < 100
    assert job({"filters": ""}, points[0].parameters, points[0].seed) == found[0]


def test_the_rows_of_a_store_become_results(plan):
    good = {"noisy_db": 13.84, "snr_db": 17.0, "psnr_db": 30.0, "percent_active": 5.0}
    entries = []
    for n, point in enumerate(plan.points):
        coded = point.parameters["task"] == "code"
        result = {"percent_error": 10.0 + n, "percent_active": 3.0} if coded else good
        entries.append(Entry(str(n), point, DONE, 1, 0.5, result, None))
    entries[0] = Entry("x", plan.points[0], FAILED, 1, 0.5, None, "broken")
    found = run.collect(plan, filters(), entries)
    assert len(found.denoised) + len(found.sparse) == len(plan.points) - 1 and found.failed == ("broken",)
    assert found.gains("blur", 13.84) == pytest.approx({"camera": 3.16, "chelsea": 3.16})
    assert found.mean_gain("blur", 13.84) == pytest.approx(3.16) and found.mean_active("lca", 13.84) == 5.0
    assert found.mean_gain("blur", 8.0) is None
    assert found.claims[0].verdict is Verdict.HOLDS and "camera" in found.claims[0].evidence
    assert "chelsea" not in found.claims[0].evidence
    assert found.rate == pytest.approx(0.5 / 9 / (32 * 32 / 1e6))


def test_the_mean_gain_is_of_held_out_pictures(plan):
    assert "chelsea" in LEARNED_FROM
    rows = (row(3.0), row(9.0, picture="chelsea", learned_from=True), row(2.0, picture="rocket", method="blur"))
    found = run.Denoising(plan, rows, (), (), filters(), 0.0, (), None)
    assert found.gains("layer", 13.84) == pytest.approx({"camera": 3.0, "chelsea": 9.0})
    assert found.mean_gain("layer", 13.84) == pytest.approx(3.0)
    assert replace(found, denoised=rows[1:2]).mean_gain("layer", 13.84) is None


def test_strengths_are_chosen_by_the_mean(monkeypatch):
    told = []
    best, found = run.choose("blur", 13.84, None, 40, lambda: told.append(1))
    assert best == max(found, key=found.get) and len(told) == len(found) == len(METHODS["blur"].grid)
    assert METHODS["blur"].grid[0] < best < METHODS["blur"].grid[-1]
    with pytest.raises(ValueError, match="layer needs filters"):
        run.choose("layer", 13.84, None, 40)


def test_strengths_are_chosen_on_pictures_that_filters_were_learned_from(monkeypatch):
    asked = []

    def crops_of_asked(picture, size):
        asked.append(picture)
        return crops_of(picture, size)

    monkeypatch.setattr(run, "crops_of", crops_of_asked)
    monkeypatch.setattr(run, "METHODS", {"blur": replace(METHODS["blur"], grid=METHODS["blur"].grid[:1])})
    run.choose("blur", 13.84, None, 32)
    assert tuple(asked) == LEARNED_FROM and not set(asked) & set(HELD_OUT)


def test_filters_are_learned_the_same_again():
    first, again = (train_filters(1, crops=3, crop_pixels=24, epochs=1) for _ in range(2))
    assert first.dictionary == again.dictionary
    assert first.dictionary.source == recipe(1, 3, 24, 1) != recipe()


@pytest.mark.parametrize("given, message", [
    ({"pictures": ["nowhere"]}, "nowhere: no such picture; give an image file"),
    ({"pictures": []}, "nothing to denoise: give at least one picture and one --noise"),
    ({"levels_db": [99.0]}, "--noise must be an SNR from -20 to 60 dB, not 99; the paper has 13.84"),
    ({"levels_db": [float("nan")]}, "--noise must be an SNR from -20 to 60 dB, not nan"),
    ({"seeds": 0}, "--seeds must be at least 1, not 0"),
    ({"size": 8}, "--size must be at least 16 pixels, not 8; the paper has 100"),
    ({"size": 4000}, "camera is 512x512 pixels, smaller than a crop of 4000x4000; give another or --size 512"),
])
def test_mistakes(given, message):
    with pytest.raises(InputError, match=re.escape(message)):
        run.plan_of(**{"pictures": ["camera"], "levels_db": [13.84], "size": 32, **given})


def test_an_even_picture_has_no_snr(tmp_path):
    np.save(tmp_path / "even.npy", np.ones((64, 64)))
    with pytest.raises(InputError, match="has one value everywhere, so that its signal-to-noise ratio means nothing"):
        crops_of(str(tmp_path / "even.npy"), 32)
