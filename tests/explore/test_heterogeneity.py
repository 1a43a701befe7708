"""The heterogeneity experiment: measures in closed form, tests against counting, verdicts on planted comparisons."""

import math
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from striate.explore import engine
from striate.explore.papers import heterogeneity as experiment_module
from striate.explore.papers import heterogeneity_dictionaries as dictionaries
from striate.explore.papers.claims import Verdict
from striate.explore.papers.heterogeneity import (
    CONVERGED,
    CUTOFFS,
    PROGRAM,
    SETTINGS,
    TEXT,
    Coded,
    Experiment,
    Found,
    gathered,
    job,
    measured,
    pruned,
    psnr_db,
    sparseness,
)
from striate.explore.papers.heterogeneity_claims import (
    BANKS,
    LEARNED,
    improves,
    judge,
    lower_psnr,
    meets,
    prefers_cardinal,
    resilient,
    sparser,
)
from striate.explore.papers.heterogeneity_pictures import (
    LEARNED_FROM,
    PICTURES,
    Crop,
    crops,
    normalised,
    pixels,
)
from striate.explore.papers.heterogeneity_statistics import Cardinal, Comparison, cardinal, compared, comparisons
from striate.explore.store import Store
from striate.golden.dictionary import Dictionary
from striate.golden.errors import InputError
from striate.golden.geometry import Geometry
from striate.golden.solvers import Problem


# ---- measures --------------------------------------------------------------------------------------------------------
def test_psnr_is_eq_6() -> None:
    image, residual = np.array([[[3.0, -1.0], [0.5, 2.0]]]), np.full((1, 2, 2), 0.1)
    assert psnr_db(image, residual) == pytest.approx(20 * math.log10(3.0) - 10 * math.log10(0.01))
    assert psnr_db(image, 0 * residual) == math.inf
    assert psnr_db(-np.abs(image), residual) == -math.inf


def test_sparseness_counts_zeros() -> None:
    code = np.zeros((2, 3, 4))
    assert sparseness(code) == 1.0
    code[0, :, 0] = -1.0
    assert sparseness(code) == pytest.approx(21 / 24)


def test_pruning_sets_small_codes_to_zero() -> None:
    draw = np.random.default_rng(0)
    problem = Problem(draw.standard_normal((1, 8, 8)), Dictionary.random(Geometry((8, 8), 1, 4, 3, 1), 1), 0.1,
                      border="circular")  # fmt: skip
    code = np.where(draw.random((4, 8, 8)) < 0.3, draw.normal(0, 0.3, (4, 8, 8)), 0.0)
    for cutoff in CUTOFFS:
        kept = code * (np.abs(code) >= cutoff)
        assert pruned(problem, code, cutoff) == (sparseness(kept), psnr_db(problem.image, problem.residual(kept)))
    found = measured(problem, code, problem.residual(code))
    assert sum(found["active"]) == sum(found["histogram"]) == np.count_nonzero(code)
    assert found["mean"] == pytest.approx(np.abs(code[code != 0]).mean())
    assert found["psnr_db"] == psnr_db(problem.image, problem.residual(code))
    silent = measured(problem, 0 * code, problem.image)
    assert silent["sparseness"] == 1.0 and silent["mean"] == 0.0


# ---- pictures --------------------------------------------------------------------------------------------------------
def test_pictures_are_halved_and_normalised() -> None:
    plane = normalised("camera")
    assert plane.shape == (1, 256, 256)
    assert abs(plane.mean()) < 0.05 and 0.6 < plane.std() < 1.0
    crop = Crop("camera", 10, 20, 32)
    np.testing.assert_array_equal(pixels(crop), plane[:, 10:42, 20:52])


def test_crops_depend_on_seed_and_name_alone() -> None:
    few, more = crops(("camera", "grass"), 2, 40, 0), crops(("grass", "camera"), 3, 40, 0)
    assert set(few) < set(more)
    assert crops(("camera",), 2, 40, 1) != crops(("camera",), 2, 40, 0)
    assert [crop.held_out for crop in crops(("camera", "grass", "china"), 1, 40, 0)] == [True, False, True]
    assert not {"camera", "china", "flower"} & set(LEARNED_FROM) and set(LEARNED_FROM) < set(PICTURES)


@pytest.mark.parametrize(("asked", "words"), [
    (((), 1, 40, 0), "no pictures"),
    ((("camera",), 0, 40, 0), "--crops must be at least 1, not 0"),
    ((("camera",), 1, 8, 0), "--size must be at least the kernels' 13 pixels, not 8"),
    ((("camera", "camera"), 1, 40, 0), "camera is given twice"),
    ((("chelsea",), 1, 200, 0), "chelsea has 150x225 pixels at half its size"),
])  # fmt: skip
def test_crops_refuse(asked: tuple[tuple[str, ...], int, int, int], words: str) -> None:
    with pytest.raises(InputError, match=words):
        crops(*asked)


# ---- tests -----------------------------------------------------------------------------------------------------------
def test_u_counts_pairs() -> None:
    draw = np.random.default_rng(3)
    a, b = np.round(draw.normal(0, 1, 12), 1), np.round(draw.normal(0.7, 1, 12), 1)
    found = compared("psnr_db", "text", "x", "y", a.tolist(), b.tolist())
    u = sum((y > x) + 0.5 * (y == x) for x, y in product(a, b))
    assert found.u == pytest.approx(u) and found.effect == pytest.approx(2 * u / 144 - 1)
    assert found.higher == np.mean(b > a) and found.count == 12
    shifted = compared("m", "text", "a", "b", a.tolist(), (a + 0.01).tolist())
    assert shifted.p > 0.5 and shifted.paired_p < 0.01 and shifted.higher == 1.0  # what U cannot see
    back = compared("psnr_db", "text", "y", "x", b.tolist(), a.tolist())
    assert back.effect == pytest.approx(-found.effect) and back.p == pytest.approx(found.p)


def test_u_at_its_ends() -> None:
    low, high = list(range(20)), list(range(100, 120))
    assert compared("m", "text", "a", "b", low, high).effect == 1.0
    assert compared("m", "text", "a", "b", low, high).p < 1e-6
    even = compared("m", "text", "a", "b", [1.0] * 5, [1.0] * 5)
    assert even.p == even.paired_p == 1.0 and even.effect == 0.0
    with pytest.raises(ValueError, match="samples of 1 and 2"):
        compared("m", "text", "a", "b", [1.0], [1.0, 2.0])


PLACES = tuple(Crop(picture, n, 0, 16) for n in range(3) for picture in ("camera", "grass"))
"""Three crops of a held-out picture, three of one that was learned from."""


def planted() -> Found:
    """Both banks at the text's lambda, n-th crop: homogeneous codes lose 6 + n dB by pruning at .4002 and nothing
    else, heterogeneous ones 1 + n.
    """
    codes = []
    for kind, loss, sparse in ((BANKS[0], 6.0, 0.5), (BANKS[1], 1.0, 0.7)):
        for n, crop in enumerate(PLACES):
            before = 20.0 + 10 * n
            after = [before - (loss + n if cutoff == 0.4002 else 0.0) for cutoff in CUTOFFS]
            rows = tuple((0.9, psnr) for psnr in after)
            codes.append(Coded(kind, TEXT.name, crop, sparse, before, 1e-4, rows, (), (), 0.0))
    return Found(Experiment(PLACES), {}, {}, tuple(codes), ())


def test_the_loss_by_pruning_is_what_psnr_falls_by() -> None:
    found = {each.measure: each for each in comparisons(planted())}
    loss = found["psnr_loss_db at 0.4002"]
    assert (loss.first, loss.second, loss.setting, loss.count) == (*BANKS, "text", 6)
    assert (loss.median_first, loss.median_second) == pytest.approx((8.5, 3.5))
    pairs = [(6.0 + n, 1.0 + m) for n, m in product(range(6), range(6))]
    u = sum((b > a) + 0.5 * (b == a) for a, b in pairs)
    assert loss.effect == pytest.approx(2 * u / 36 - 1) and loss.effect < -0.9 and loss.higher == 0.0
    even = found["psnr_loss_db at 0.5"]
    assert (even.median_first, even.median_second, even.effect) == (0.0, 0.0, 0.0)
    assert found["sparseness"].effect == 1.0 and found["psnr_db"].effect == 0.0


def test_held_out_crops_alone() -> None:
    found = planted()
    assert [code.crop for code in found.of(BANKS[0], "text")] == list(PLACES)
    held_out = found.of(BANKS[0], "text", held_out=True)
    assert [code.crop.picture for code in held_out] == ["camera"] * 3
    assert found.of(BANKS[0], "program") == found.of("noise-learned", "text") == []
    loss = {each.measure: each for each in comparisons(found, held_out=True)}["psnr_loss_db at 0.4002"]
    assert loss.count == 3 and loss.median_first == pytest.approx(8.0) and loss.median_second == pytest.approx(3.0)


def test_cardinal_preference() -> None:
    assert cardinal("k", [0.0, 90.0] * 30).preference == pytest.approx(1.0)
    assert cardinal("k", [0.0, 90.0] * 30).p < 1e-6
    assert cardinal("k", [45.0, 135.0] * 30).p > 0.999
    assert cardinal("k", [2.5 * n for n in range(72)]).p == pytest.approx(0.5)


# ---- verdicts --------------------------------------------------------------------------------------------------------
def plant(
    measure: str, first: str, second: str, effect: float, p: float = 1e-6, paired_p: float = 1.0
) -> list[Comparison]:
    """The same comparison at both settings; crop by crop it goes the same way."""
    higher = 0.5 + effect / 2
    return [Comparison(measure, s.name, first, second, 1.0, p, effect, higher, 0.0, 0.0, 30, paired_p)
            for s in SETTINGS]  # fmt: skip


@pytest.mark.parametrize(("claim", "measure", "wanted"), [(sparser, "sparseness", 1), (lower_psnr, "psnr_db", -1)])
def test_before_learning(claim: object, measure: str, wanted: int) -> None:
    def verdict(found: list[Comparison]) -> Verdict:
        return claim(found).verdict  # type: ignore[operator]

    good, bad = plant(measure, *BANKS, wanted * 0.6), plant(measure, *BANKS, -wanted * 0.6)
    assert verdict(good) is Verdict.HOLDS
    assert verdict(bad) is Verdict.FAILS
    assert verdict([good[0], bad[1]]) is Verdict.PARTLY
    assert verdict(plant(measure, *BANKS, wanted * 0.6, p=0.002)) is Verdict.FAILS
    assert verdict(plant(measure, *BANKS, wanted * 0.6, p=0.002, paired_p=1e-5)) is Verdict.PARTLY
    assert verdict(plant(measure, *BANKS, -wanted * 0.6, p=0.002, paired_p=1e-5)) is Verdict.FAILS
    assert verdict(good[:1]) is Verdict.PARTLY  # the other lambda was not run
    assert verdict([]) is Verdict.FAILS


def test_learning_improves() -> None:
    good = [c for first, second in zip(BANKS, LEARNED, strict=True) for m in ("sparseness", "psnr_db")
            for c in plant(m, first, second, 0.7)]  # fmt: skip
    assert improves(good).verdict is Verdict.HOLDS
    assert improves([replace(good[0], effect=-0.1), *good[1:]]).verdict is Verdict.PARTLY
    assert improves([replace(c, p=0.01) for c in good]).verdict is Verdict.FAILS
    assert improves([replace(c, p=0.01, paired_p=1e-4) for c in good]).verdict is Verdict.PARTLY
    assert improves(good[:3]).verdict is Verdict.FAILS


def test_learning_meets() -> None:
    def all_of(effect: float, p: float) -> tuple[list[Comparison], list[Comparison]]:
        between = [c for m in ("sparseness", "psnr_db") for c in plant(m, *LEARNED, effect, p)]
        noise = [c for m in ("sparseness", "psnr_db") for k in LEARNED for c in plant(m, "noise-learned", k, effect, p)]
        return between, noise

    between, noise = all_of(0.2, 0.03)
    apart, noise_apart = all_of(0.6, 0.001)
    assert meets([*between, *noise]).verdict is Verdict.HOLDS
    assert meets([*all_of(0.5, 0.2)[0], *noise]).verdict is Verdict.HOLDS  # large, but not significant
    assert meets([*between, *noise_apart]).verdict is Verdict.PARTLY
    assert meets([*apart, *noise]).verdict is Verdict.FAILS
    assert meets(between).verdict is Verdict.PARTLY
    assert meets([]).verdict is Verdict.FAILS


def test_resilience() -> None:
    def losses(effect: float, p: float = 0.01) -> list[Comparison]:
        return [c for cutoff in CUTOFFS for c in plant(f"psnr_loss_db at {cutoff:g}", *BANKS, effect, p)]

    assert resilient(losses(-0.4)).verdict is Verdict.HOLDS
    assert resilient(losses(0.4)).verdict is Verdict.FAILS
    assert resilient(losses(-0.4, 0.06)).verdict is Verdict.FAILS
    assert resilient([replace(c, paired_p=0.01) for c in losses(-0.4, 0.06)]).verdict is Verdict.PARTLY
    text = [replace(c, effect=0.4, higher=0.7) if c.setting == TEXT.name and c.measure.endswith("0.5") else c
            for c in losses(-0.4)]  # fmt: skip
    assert resilient(text).verdict is Verdict.PARTLY
    small = [replace(c, effect=0.9, higher=0.9) if c.measure.endswith("0.1008") else c for c in losses(-0.4)]
    assert resilient(small).verdict is Verdict.HOLDS  # the claim is about cut-offs above 0.3


def test_cardinal_verdict() -> None:
    def of(*p: float) -> list[Cardinal]:
        learned = zip((*LEARNED, "noise-learned"), p, strict=True)
        return [Cardinal("homogeneous", 0.0, 0.5), *(Cardinal(kind, 0.2, each) for kind, each in learned)]

    assert prefers_cardinal(of(0.01, 0.001, 0.04)).verdict is Verdict.HOLDS
    assert prefers_cardinal(of(0.01, 0.1, 0.04)).verdict is Verdict.PARTLY
    assert prefers_cardinal(of(0.5, 0.1, 0.4)).verdict is Verdict.FAILS


def test_every_claim_has_a_rule() -> None:
    claims = judge([], [])
    assert len({claim.name for claim in claims}) == len(claims) == 6
    assert all(claim.rule and claim.statement for claim in claims)


# ---- points ----------------------------------------------------------------------------------------------------------
def test_points(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = {kind.name: Dictionary.random(Geometry((16, 16), 1, 4, 13, 1), n) for n, kind in
            enumerate(dictionaries.KINDS)}  # fmt: skip
    experiment = Experiment(crops(("grass", "camera"), 2, 16, 0))
    assert [crop.picture for crop in experiment.checked] == ["camera", "grass"]  # held out first
    points = experiment.points(fake)
    assert len(points) == 4 * 5 * len(SETTINGS) + 2 * 2 * len(CONVERGED)
    assert len({experiment.sweep.key(point) for point in points}) == len(points)
    assert Experiment(experiment.crops[:1]).sweep.identity == experiment.sweep.identity


def test_a_store_comes_back_as_codes(tmp_path: Path) -> None:
    """Two small codes by the engine, taken up by a second call; a picture without structure is one line."""
    flat = tmp_path / "flat.npy"
    np.save(flat, np.full((64, 64), 0.5))
    experiment = Experiment((Crop("camera", 60, 60, 16), Crop(str(flat), 0, 0, 16)))
    bank = dictionaries.dictionary_of(dictionaries.BY_NAME["heterogeneous"])
    points = [experiment_module._point("heterogeneous", bank, PROGRAM, crop) for crop in experiment.crops]
    with Store(tmp_path / "points.sqlite", experiment.sweep) as store:
        first = engine.run(store, points, jobs=1)
        again = engine.run(store, points, jobs=1)
        found = gathered(experiment, {"heterogeneous": bank}, store.entries(store.add(points)))
    assert (first.done, first.failed, again.ran) == (1, 1, 0)
    (code,), ((kind, _, crop, line),) = found.codes, found.failed
    assert kind == "heterogeneous" and crop.picture == str(flat) and "is even at 0,0: nothing to code" in line
    assert 0.9 < code.sparseness < 1.0 and code.crop.picture == "camera" and len(code.active) == 144
    assert code.pruned[0][0] >= code.sparseness and code.pruned[-1][1] < code.pruned[0][1]
    assert found.of("heterogeneous", PROGRAM.name, held_out=True) == [code]
    with pytest.raises(ValueError, match="changed since"):
        job({"folder": None}, {**points[0].parameters, "dictionary": "0"}, 0)


def test_codes_are_made_on_a_circular_border(monkeypatch: pytest.MonkeyPatch) -> None:
    class Asked(Exception):
        pass

    def asked(problem: Problem, method: str, *, iterations: int, tolerance: float) -> None:
        assert (problem.border, problem.two_sided, problem.penalty, problem.threshold) == ("circular", True, "l1", 0.05)
        assert (method, iterations, tolerance) == ("admm", 100, 1e-4)
        raise Asked

    monkeypatch.setattr(experiment_module, "solve", asked)
    bank = dictionaries.dictionary_of(dictionaries.BY_NAME["homogeneous"])
    point = experiment_module._point("homogeneous", bank, TEXT, Crop("camera", 60, 60, 16))
    with pytest.raises(Asked):
        job({"folder": None}, point.parameters, 0)


# ---- dictionaries ----------------------------------------------------------------------------------------------------
def test_training_is_kept_and_taken_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("striate.golden.learn.training.gabor_like", lambda d: np.zeros(d.kernels))
    monkeypatch.setattr(dictionaries, "LEARNED_FROM", ("grass", "brick"))
    kind = replace(dictionaries.BY_NAME["heterogeneous-learned"], pictures=2)
    start = dictionaries.dictionary_of(dictionaries.BY_NAME["heterogeneous"])
    shown: list[int] = []

    def stop(progress: object) -> None:
        shown.append(progress.done)  # type: ignore[attr-defined]
        if progress.done == 1:  # type: ignore[attr-defined]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dictionaries.train(kind, tmp_path, stop)
    learned, result = dictionaries.train(kind, tmp_path, lambda p: shown.append(p.done))
    assert shown == [1, 2] and result is not None and result.pictures == 2
    assert np.abs(learned.atoms - start.atoms).max() > 1e-3
    assert not learned.atoms[:, :, 12].any() and not learned.atoms[:, :, :, 12].any()
    np.testing.assert_array_equal(learned.atoms, learned.atoms.astype(np.float32))
    again, nothing = dictionaries.train(kind, tmp_path)
    assert again == learned == dictionaries.dictionary_of(kind, tmp_path) and nothing is None
    assert sorted(path.name for path in tmp_path.glob("*.npz")) == ["heterogeneous-learned.npz", "heterogeneous.npz"]


def test_the_shipped_ones() -> None:
    for kind in dictionaries.KINDS:
        found = dictionaries.dictionary_of(kind)
        assert found.atoms.shape == (144, 1, 13, 13) and found.stride == 1
        assert not found.atoms[:, :, 12].any() and not found.atoms[:, :, :, 12].any()
        assert not any(name in found.source for name in ("camera", "china", "flower"))


def test_a_missing_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="noise-learned"):
        dictionaries.dictionary_of(dictionaries.BY_NAME["noise-learned"], tmp_path)
