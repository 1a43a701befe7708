"""Self-taught learning: pictures, features, the classifier's protocol, the run and its verdicts."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from striate.explore import engine
from striate.explore.papers import self_taught_jobs, self_taught_run
from striate.explore.papers.claims import Claim, Verdict
from striate.explore.papers.self_taught import CLASSES, SOURCES, Row, Settings, load_pictures, photograph_patches
from striate.explore.papers.self_taught_claims import (
    claims_of,
    compare,
    foretold_will_do,
    gain_grows,
    machine_is_enough,
    noise,
    sparse_pays,
)
from striate.explore.papers.self_taught_jobs import digest, pack, score, unpack
from striate.explore.points import QUEUED
from striate.explore.store import Store
from striate.golden.errors import InputError
from striate.golden.features import Pca

SMALL = Settings(kernels=12, steps=15, passes=2, sizes=(20, 40), seeds=2, test=30, pool=60, patches=200)


# ---- settings and pictures -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"sizes": (10, 20)}, "--sizes must rise from 15 labels or more, so that each fold has every class, not 10,20"),
        ({"sizes": ()}, "--sizes must rise"),
        ({"sizes": (50, 20)}, "not 50,20"),
        ({"sizes": (20, 20)}, "not 20,20"),
        ({"sizes": (20, 496)}, "--sizes cannot ask for 496 labels: there are 500 pictures to draw from; use 495"),
        ({"seeds": 1}, "--seeds must be at least 2, so that a spread can be told, not 1"),
        ({"seed": -1}, "--seed must be 0 or more, not -1"),
    ],
)
def test_bad_settings(keys: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=re.escape(text)):
        Settings(**keys)


def test_more_pictures_than_there_are() -> None:
    with pytest.raises(InputError, match="600 pictures to draw from and 396 to test with are more than the 896"):
        load_pictures(Settings(pool=600))


def test_the_pictures_are_apart_and_of_one_scale() -> None:
    pictures, digits = load_pictures(Settings()), load_digits()
    shapes = [len(part) for part in (pictures.unlabelled, pictures.held_out, pictures.pool, pictures.test)]
    assert shapes == [801, 100, 500, 396] and sum(shapes) == len(digits.data)
    for labels in (pictures.pool_labels, pictures.test_labels):
        counts = np.bincount(labels, minlength=10)
        assert counts[:5].sum() == 0 and np.ptp(counts[5:]) <= 0.06 * len(labels)
    np.testing.assert_allclose(pictures.unlabelled.mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(np.square(pictures.unlabelled).sum(axis=1).mean(), 1.0)
    # Back to pixels: the classified are the digits from 5 on, each once, and none of them was learned from.
    back = np.rint(16 * (pictures.labelled * pictures.scale + pictures.mean))
    wanted = digits.data[digits.target >= CLASSES[0]]
    assert sorted(map(tuple, back)) == sorted(map(tuple, wanted))
    again = load_pictures(Settings())
    np.testing.assert_array_equal(again.test, pictures.test)
    assert not np.array_equal(load_pictures(Settings(seed=1)).test, pictures.test)


def test_photograph_patches() -> None:
    patches = photograph_patches(replace(SMALL, patches=150))
    assert patches.shape == (150, 64)
    np.testing.assert_allclose(patches.mean(axis=1), 0.0, atol=1e-12)
    np.testing.assert_allclose(np.square(patches).sum(axis=1).mean(), 1.0)
    np.testing.assert_array_equal(patches, photograph_patches(replace(SMALL, patches=150)))


def test_pca_is_that_of_scikit_learn_up_to_sign() -> None:
    x = load_pictures(Settings()).unlabelled
    mine, theirs = Pca.fit(x, 0.95), PCA(n_components=0.95, svd_solver="full").fit(x)
    np.testing.assert_allclose(np.abs(mine.apply(x)), np.abs(theirs.transform(x)), atol=1e-9)
    assert 0.95 <= mine.share < 0.97
    assert len(Pca.fit(x, 1.0).components) >= len(mine.components) * 2
    for share, text in ((0.0, "share of variance that components hold must be above 0 and at most 1, not 0.0"),
                        (1.1, "not 1.1")):  # fmt: skip
        with pytest.raises(InputError, match=text):
            Pca.fit(x, share)
    with pytest.raises(InputError, match="4 equal vectors have no principal components"):
        Pca.fit(np.ones((4, 3)))


# ---- the protocol ----------------------------------------------------------------------------------------------------
def test_features_that_tell_all_and_features_that_tell_nothing() -> None:
    pictures = load_pictures(Settings(pool=100, test=200, sizes=(20,)))
    labels = np.concatenate([pictures.pool_labels, pictures.test_labels])
    told = score(pictures, np.eye(10)[labels], 20, 0)
    assert told["accuracy"] == 100.0 and np.trace(told["confusion"]) == 200
    noise_only = np.random.default_rng(0).standard_normal((300, 8))
    assert 5.0 < score(pictures, noise_only, 50, 0)["accuracy"] < 40.0
    # Silent features are classified too, by guessing.
    assert 15.0 < score(pictures, np.zeros((300, 8)), 20, 0)["accuracy"] < 25.0


def test_a_draw_is_its_seed_and_the_scale_of_features_does_not_count() -> None:
    pictures = load_pictures(Settings(pool=100, test=100, sizes=(20,)))
    one = score(pictures, pictures.labelled, 25, 3)
    assert one == score(pictures, 1000.0 * pictures.labelled, 25, 3)
    others = [score(pictures, pictures.labelled, 25, seed)["accuracy"] for seed in (4, 5, 6)]
    assert len({one["accuracy"], *others}) > 1


def test_test_pictures_are_not_learned_from() -> None:
    """Swapping test labels changes the accuracy and nothing else."""
    pictures = load_pictures(Settings(pool=100, test=100, sizes=(20,)))
    features = pictures.labelled
    told = score(pictures, features, 30, 1)
    turned = replace(pictures, test_labels=5 + (pictures.test_labels - 4) % 5)
    other = score(turned, features, 30, 1)
    assert other["c"] == told["c"] and other["accuracy"] < 20.0 < told["accuracy"]
    np.testing.assert_array_equal(np.sum(other["confusion"], axis=0), np.sum(told["confusion"], axis=0))


def test_packed_arrays_come_back() -> None:
    arrays = {"a": np.random.default_rng(0).standard_normal((3, 4)), "b": np.zeros(5)}
    for name, array in unpack(pack(arrays)).items():
        np.testing.assert_array_equal(array, arrays[name])
    assert digest(pack(arrays)) == digest(pack({name: array.copy() for name, array in arrays.items()}))
    assert digest(pack(arrays)) != digest(pack({**arrays, "b": np.ones(5)}))


# ---- the run ---------------------------------------------------------------------------------------------------------
def in_this_process(
    store: Store, points: Any, *, jobs: int | None = None, retry: bool = False, progress: Any = None
) -> engine.Progress:
    """`engine.run` without processes."""
    keys, ran = store.add(points), 0
    for entry in store.entries(keys):
        if entry.state == QUEUED:
            store.start(entry.key)
            told = self_taught_jobs.run(store.sweep.context, entry.point.parameters, entry.point.seed)
            store.finish(entry.key, told, 0.0)
            ran += 1
    return engine.Progress(len(keys), len(keys), 0, ran, 0.0, None)


def test_a_whole_small_run_and_the_same_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_taught_run.engine, "run", in_this_process)
    sweep = self_taught_run.sweep_of(SMALL, tmp_path / "arrays")
    with Store(tmp_path / "points.sqlite", sweep) as store:
        result, end = self_taught_run.run(store, SMALL, tmp_path / "arrays")
    assert end == self_taught_run.Ended(66, 66, 0, 66) and not result.failed
    assert len(result.rows) == 13 * 2 and all(len(row.accuracies) == 2 for row in result.rows)
    assert {claim.name for claim in result.claims} == {
        "gain-grows-with-labels", "machine-codes-are-enough", "foretold-codes-will-do"
    }  # fmt: skip
    for learned in result.learned:
        assert learned.objective[-1] < learned.objective[0]
        np.testing.assert_allclose(np.linalg.norm(learned.atoms, axis=1), 1.0)
    for each in result.agreements:  # the machine codes the same pictures with the same kernels
        assert 0.0 < each.relative < 0.2 and each.correlation > 0.98 and each.same_units > 90
        assert abs(each.golden_error - each.machine_error) < 1.0 and each.saturations == each.overflows == 0
    # More draws are added to what is there; nothing is run twice.
    more = replace(SMALL, seeds=3)
    with Store(tmp_path / "points.sqlite", self_taught_run.sweep_of(more, tmp_path / "arrays")) as store:
        again, end = self_taught_run.run(store, more, tmp_path / "arrays")
    assert end == self_taught_run.Ended(92, 92, 0, 26)
    assert [row.accuracies[:2] for row in again.rows] == [row.accuracies for row in result.rows]
    other = self_taught_run.sweep_of(replace(SMALL, threshold=0.1), tmp_path)
    with pytest.raises(InputError, match="holds another sweep .of threshold 0.05, not 0.1"):
        Store(tmp_path / "points.sqlite", other)


# ---- verdicts --------------------------------------------------------------------------------------------------------
SIZES = (20, 100, 400)


def rows_with(**gaps: Any) -> dict[tuple[str, str, int], Row]:
    """Rows of ten draws: raw pixels at 90 %, all else at that plus a gap by method, or by method and (source, size)."""
    wobble = np.linspace(-1, 1, 10)
    cells = {}
    for size in SIZES:
        cells["", "raw", size] = Row("", "raw", size, tuple(90 + wobble))
        for source in SOURCES:
            for method in ("pca", "golden-soft", "golden-hard", "machine-soft", "machine-hard", "predictive"):
                gap = gaps.get(method.replace("-", "_"), 0.0)
                gap = gap.get((source, size), 0.0) if isinstance(gap, dict) else gap
                cells[source, method, size] = Row(source, method, size, tuple(90 + gap + wobble))
    return cells


def verdict(claim: Claim | None) -> Verdict:
    assert claim is not None
    return claim.verdict


def test_noise_is_two_standard_errors_or_half_a_point() -> None:
    assert noise([3.0, 3.0, 3.0]) == 0.5 and noise([1.0]) == 0.5
    differences = [0.0, 4.0, 8.0, 2.0]
    np.testing.assert_allclose(noise(differences), np.std(differences, ddof=1))  # 2 / sqrt(4)
    mean, within = compare(Row("", "raw", 20, (91.0, 95.0)), Row("", "pca", 20, (90.0, 90.0)))
    assert mean == 3.0 and within == pytest.approx(4.0)


@pytest.mark.parametrize("source", list(SOURCES))
def test_sparse_codes_pay_or_not(source: str) -> None:
    assert verdict(sparse_pays(rows_with(golden_soft=-0.4), SIZES, source)) is Verdict.HOLDS
    assert verdict(sparse_pays(rows_with(golden_soft=-0.6), SIZES, source)) is Verdict.FAILS
    assert verdict(sparse_pays(rows_with(golden_soft=3, pca=3.6), SIZES, source)) is Verdict.FAILS  # PCA counts too
    late = rows_with(golden_soft={(source, 20): -9.0, (source, 100): -2.0, (source, 400): 1.0})
    claim = sparse_pays(late, SIZES, source)
    assert verdict(claim) is Verdict.PARTLY and claim is not None and "-2.0 points to raw" in claim.evidence
    assert sparse_pays(rows_with(), (20, 50), source) is None
    lacking = rows_with()
    del lacking[source, "pca", 400]
    assert sparse_pays(lacking, SIZES, source) is None


def test_the_gain_grows_or_not() -> None:
    def gains(first: float, last: float, sources: Any = SOURCES) -> dict[tuple[str, str, int], Row]:
        return rows_with(golden_soft={(s, n): gap for s in sources for n, gap in ((20, first), (400, last))})

    assert verdict(gain_grows(gains(-5.0, 1.0), SIZES)) is Verdict.HOLDS
    assert verdict(gain_grows(gains(2.0, 5.0), SIZES)) is Verdict.FAILS  # ahead from the beginning
    assert verdict(gain_grows(gains(0.0, 0.4), SIZES)) is Verdict.FAILS
    assert verdict(gain_grows(gains(-5.0, 1.0, ["digits"]), SIZES)) is Verdict.PARTLY
    assert gain_grows(gains(-5.0, 1.0), (20,)) is None


def test_the_machine_is_enough_or_not() -> None:
    assert verdict(machine_is_enough(rows_with(machine_soft=0.4, machine_hard=-0.4), SIZES)) is Verdict.HOLDS
    one = rows_with(machine_hard={("digits", 20): -3.0, ("photographs", 400): 2.0})
    claim = machine_is_enough(one, SIZES)
    assert verdict(claim) is Verdict.PARTLY and claim is not None
    assert "10 of 12 within noise; the largest difference -3.00 points (noise 0.50): hard, digits, 20" in claim.evidence
    assert verdict(machine_is_enough(rows_with(machine_hard=2.0), SIZES)) is Verdict.FAILS  # better is not the same


def test_foretold_codes_will_do_or_not() -> None:
    assert verdict(foretold_will_do(rows_with(predictive=4.0), SIZES)) is Verdict.HOLDS
    assert verdict(foretold_will_do(rows_with(predictive={("digits", 20): -3.0}), SIZES)) is Verdict.PARTLY
    assert verdict(foretold_will_do(rows_with(predictive=-1.0), SIZES)) is Verdict.FAILS


def test_only_what_can_be_judged_is() -> None:
    settings = replace(Settings(), sizes=SIZES)
    cells = rows_with()
    assert len(claims_of(list(cells.values()), settings)) == 5
    few = [row for row in cells.values() if not row.method.startswith("machine")]
    assert [claim.name for claim in claims_of(few, settings)] == [
        "sparse-codes-pay-digits", "sparse-codes-pay-photographs", "gain-grows-with-labels", "foretold-codes-will-do"
    ]  # fmt: skip
    assert claims_of([], settings) == ()
