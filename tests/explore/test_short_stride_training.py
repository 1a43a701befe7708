"""Rounds of learning until another one no longer pays: the rule, the log, and taking up where it was stopped."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from striate.explore.papers import training
from striate.explore.papers.configurations import CONFIGURATIONS, Configuration
from striate.explore.papers.recipes import Lesson, Recipe
from striate.explore.papers.training import SETTLED_GAIN, Round, Training, shipped_trainings, train
from striate.golden.dictionary import Dictionary, shipped
from striate.golden.errors import InputError
from striate.golden.learn import LearnParams

TINY = Configuration("2@2", 2, 4, 2, ("stride",))
RECIPE = Recipe(
    Lesson(30, 0.05, crop_size=32, steps=20),
    Lesson(20, crop_size=32, steps=20, rule="online", batch=5, forgetting=0.5),
    rounds=2,
)


@pytest.fixture(autouse=True)
def _small_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "PROBE_CROPS", 2)
    monkeypatch.setattr(training, "PROBE_SIZE", 32)
    monkeypatch.setattr(training, "PHOTOGRAPHS", ("chelsea",))


def rounds(*energies: float) -> tuple[Round, ...]:
    """Energies after each round, the first from noise."""
    before = [None, *energies[:-1]]
    pairs = zip(before, energies, strict=True)
    return tuple(Round(n, 10, b, a, 10.0, 90.0, 0.001, 1.0, 1.0) for n, (b, a) in enumerate(pairs, start=1))


@pytest.mark.parametrize(
    ("energies", "settled"),
    [((0.1,), False), ((0.1, 0.09), False), ((0.1, 0.0995), True), ((0.1, 0.09, 0.0899), True), ((0.1, 0.11), True)],
)
def test_settled_is_a_round_that_gained_little(energies: tuple[float, ...], settled: bool) -> None:
    """The first round has nothing to be compared with; a round that made it worse did not pay either."""
    assert Training("32@4", "rule", rounds(*energies), 1).settled is settled


def test_rounds_start_where_the_one_before_ended(tmp_path: Path) -> None:
    dictionary, found = train(TINY, tmp_path, recipe=RECIPE)
    assert len(found.rounds) == 2 and found.pictures == 50
    first, second = found.rounds
    assert first.energy_before is None and second.energy_before == first.energy_after
    log = json.loads((tmp_path / "natural-k2-p4-s2.json").read_text())
    assert [each["energy_after"] for each in log["rounds"]] == [first.energy_after, second.energy_after]
    kernels = [np.load(tmp_path / f"natural-k2-p4-s2.round{n}.npz")["dictionary"] for n in (1, 2)]
    assert np.array_equal(kernels[1], dictionary.atoms) and not np.array_equal(*kernels)


def test_it_continues_after_any_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, whole_training = train(TINY, tmp_path / "whole", recipe=RECIPE)

    def stop(progress: training.TrainingProgress) -> None:
        if (progress.round_number, progress.learning.done) == (2, 10):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(TINY, tmp_path / "cut", recipe=RECIPE, progress=stop)
    shown: list[int] = []
    again, again_training = train(
        TINY, tmp_path / "cut", recipe=RECIPE, progress=lambda p: shown.append(p.round_number)
    )
    assert set(shown) == {2} and len(shown) <= RECIPE.further.pictures
    assert np.array_equal(again.atoms, whole.atoms)
    assert [r.energy_after for r in again_training.rounds] == [r.energy_after for r in whole_training.rounds]


def test_another_recipe_is_refused(tmp_path: Path) -> None:
    short = Lesson(5, 0.05, crop_size=32, steps=5)
    train(TINY, tmp_path, recipe=Recipe(short, short, rounds=1))
    with pytest.raises(InputError, match="belongs to another recipe; train in another folder"):
        train(TINY, tmp_path, recipe=RECIPE)
    (tmp_path / "natural-k2-p4-s2.json").write_text("{}")
    with pytest.raises(InputError, match="is no log of a training"):
        train(TINY, tmp_path, recipe=RECIPE)


def test_a_learning_that_diverges_says_so(tmp_path: Path) -> None:
    wild = Lesson(12, 0.05, crop_size=32, eta=1.0, steps=60)
    with pytest.raises(InputError, match=r"learning 2@2 diverged in round 1: .* halve --eta"):
        train(TINY, tmp_path, recipe=Recipe(wild, wild, rounds=1))


def test_kernels_grow_in_the_middle_of_zeros(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The larger patch computes the same as the smaller one before it has learned anything."""
    large = Configuration("2@2 p8", 2, 8, 2, ("patch",))
    short = Lesson(5, 0.05, crop_size=32, steps=5)
    monkeypatch.setattr(training, "CONFIGURATIONS", (TINY, large))
    monkeypatch.setattr(training, "RECIPES", {"2@2": RECIPE})
    small, found = train(TINY, tmp_path)
    grown = Recipe(short, short, grown_from="2@2", rounds=1)
    _, training_large = train(large, tmp_path, recipe=grown)
    start = Dictionary.load(tmp_path / "natural-k2-p8-s2.start.npz")
    assert np.array_equal(start.atoms[:, :, 2:6, 2:6], small.atoms)
    assert np.count_nonzero(start.atoms) <= small.atoms.size
    assert training_large.rounds[0].energy_before == pytest.approx(found.rounds[-1].energy_after, rel=1e-9)


def test_recipes_are_legal_and_leave_the_test_photographs_out() -> None:
    assert set(training.RECIPES) == {each.name for each in CONFIGURATIONS}
    for each in CONFIGURATIONS:
        for lesson in (training.RECIPES[each.name].first, training.RECIPES[each.name].further):
            params = lesson.params(each, 2, None)
            assert isinstance(params, LearnParams) and params.seed == 2
    assert not {"camera", "china"} & set(training.PHOTOGRAPHS)


def test_every_shipped_dictionary_tells_how_it_was_learned() -> None:
    found = shipped_trainings()
    assert list(found) == [each.name for each in CONFIGURATIONS]
    # What the documents say of each: one was still gaining when time was up.
    assert [name for name, each in found.items() if not each.settled] == ["512@16"]
    for each in CONFIGURATIONS:
        gain = found[each.name].rounds[-1].gain
        assert gain is not None and gain < (0.015 if each.name == "512@16" else SETTLED_GAIN)
        assert shipped(each.kernels, each.patch, each.stride, name=each.learned).kernels == each.kernels


def test_a_damaged_record_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "dictionaries"
    folder.mkdir()
    (folder / "training.json").write_text("[")
    monkeypatch.setattr(training.resources, "files", lambda _: tmp_path)
    with pytest.raises(InputError, match="cannot be read .*; install the package again"):
        shipped_trainings()
