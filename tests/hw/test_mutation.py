"""Faults drawn by Yosys: what is drawn is what the text holds, no fault means no difference, and the score."""

from __future__ import annotations

import pytest

from striate.golden.errors import InputError
from striate.hw import mutation as module
from striate.hw.beds import bed, frames
from striate.hw.equivalence import settled
from striate.hw.mutation import (
    EQUIVALENT,
    KILLED,
    SURVIVED,
    Mutants,
    Mutation,
    Result,
    build_mutants,
    judge,
    mutate,
    score,
)
from striate.hw.verify import Frame

MODES = {"inv", "const0", "const1", "cnot0", "cnot1"}


@pytest.fixture(scope="module")
def few() -> Mutants:
    return build_mutants(bed(False)[0], {"tile": 5, "mesh": 3}, 7)


def short(plan_frames: list[Frame]) -> list[Frame]:
    """The first refusal and a cold frame, cut short."""
    refused, *_ = plan_frames
    return [refused, Frame(refused.image, 3)]


def test_a_handful(few: Mutants) -> None:
    """Without a fault nothing differs (`judge` insists); most of a handful show in the first three steps."""
    plan, weights, other = bed(False)
    told: list[float] = []
    results = judge(few, weights, short(frames(plan, other)), progress=lambda _, share: told.append(share))
    assert [result.mutation for result in results] == list(few.mutations) and len(results) == 8
    assert told == sorted(told) and len(told) == 8
    assert score(results) >= 0.5, [result.as_dict() for result in results]
    assert all(result.by and result.frame in (0, 1) for result in results if result.outcome == KILLED)
    assert all(result.seconds > 0 for result in results)


def test_frames_that_differ_anyway_are_refused(few: Mutants, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, weights, other = bed(False)
    right = module.run_mutant
    monkeypatch.setattr(module, "run_mutant", lambda m, _, *rest: right(m, m.mutations[0], *rest))
    with pytest.raises(InputError, match="the RTL without a fault is not the machine: "):
        judge(few, weights, short(frames(plan, other)))


def test_the_draw_is_a_function_of_the_seed() -> None:
    plan = bed(False)[0]
    text, drawn = mutate(plan, "mesh", 6, 3)
    assert (text, drawn) == mutate(plan, "mesh", 6, 3)
    assert drawn != mutate(plan, "mesh", 6, 4)[1]
    assert [mutation.number for mutation in drawn] == [1, 2, 3, 4, 5, 6]
    assert {mutation.mode for mutation in drawn} <= MODES and all(mutation.module == "mesh" for mutation in drawn)
    assert text.count("input [11:0] mutant") == 1


@pytest.mark.parametrize("count", [0, 4096])
def test_as_many_as_there_are_selectors(count: int) -> None:
    with pytest.raises(InputError, match=f"{count} faults in a module; use 1 to 4095"):
        mutate(bed(False)[0], "tile", count, 1)


def test_score() -> None:
    fault = Mutation("tile", 1, "inv", "$add$1", "Y", 0)
    results = [Result(fault, KILLED, "drive", 1), Result(fault, SURVIVED), Result(fault, KILLED), Result(fault, KILLED)]
    assert score(results) == 0.75
    assert results[0].as_dict()["by"] == "drive" and results[0].as_dict()["cell"] == "$add$1"
    assert score([*results, Result(fault, EQUIVALENT, "unread")]) == 0.75
    for none in ([], [Result(fault, EQUIVALENT, "unread")]):
        with pytest.raises(InputError, match="0 faults; use at least 1"):
            score(none)


@pytest.mark.slow
def test_at_least_95_percent_are_killed() -> None:
    """The draw of ``benchmarks/mutation.py``."""
    plan, weights, other = bed(False)
    mutants = build_mutants(plan, {"tile": 80, "mesh": 30}, 1)
    results = settled(plan, judge(mutants, weights, frames(plan, other)))
    survivors = [result.as_dict() for result in results if result.outcome == SURVIVED]
    assert len(results) == 110 and score(results) >= 0.95, survivors
    assert sum(result.outcome == EQUIVALENT for result in results) <= 11
