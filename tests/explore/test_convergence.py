"""The convergence experiment: its verdicts on made-up curves, and one small run."""

import numpy as np
import pytest

from striate.explore.papers import convergence_claims as claims
from striate.explore.papers.claims import Verdict
from striate.explore.papers.convergence import (
    ENTRANTS,
    HALF_LABEL,
    HARD,
    ONE_LABEL,
    REQUIRED,
    TASKS,
    Convergence,
    Curve,
    Found,
    Task,
    converge,
)


def curve(label, objective, active=0.1, gap=1e-6):
    objective = np.asarray(objective, np.float64)
    return Curve(label, objective, np.arange(len(objective)) * 0.1, np.full(len(objective), active), gap, "max_steps")


def found(name="a", best_gap=1e-6, **objectives):
    """A task on which everything ends at 1 unless said otherwise; names with _ for what is no letter."""
    curves = {each.label: curve(each.label, [4.0, 2.0, 1.5, 1.0]) for each in ENTRANTS}
    curves["FISTA"] = curve("FISTA", [4.0, 2.0, 1.0, 1.0])
    curves |= {each.label: curve(each.label, [4.0, 3.0], 0.05, None) for each in HARD}
    half = curve(HALF_LABEL, [4.0, 3.0], 0.02, None)
    for key, value in objectives.items():
        label = next(known for known in (*curves, half.label) if known.replace(", ", "_").replace(" ", "_") == key)
        if label == half.label:
            half = value
        else:
            curves[label] = value
    image = np.ones((1, 2, 2))
    return Found(Task(name, 2, 2, True, "cropped"), 1.0, best_gap, tuple(curves[each.label] for each in ENTRANTS),
                 tuple(curves[each.label] for each in HARD), half, image, 0.1 * image, 0.3)


def test_all_hold_on_curves_that_are_as_they_should_be():
    assert {claim.name: claim.verdict for claim in claims.claims((found(), found("b")))} == dict.fromkeys(
        ["one-optimum", "momentum", "never-rises", "hard-is-sparser", "few-turns", "half-is-sparser"], Verdict.HOLDS)


@pytest.mark.parametrize("last, verdict", [(1 + 9e-5, Verdict.HOLDS), (1 + 2e-4, Verdict.PARTLY),
                                           (1 + 2e-3, Verdict.FAILS)])
@pytest.mark.parametrize("label", REQUIRED)
def test_one_optimum(label, last, verdict):
    odd = found("b", **{label.replace(", ", "_").replace(" ", "_"): curve(label, [4.0, last])})
    claim = claims.one_optimum((found(), odd))
    assert claim.verdict is verdict and label in claim.evidence and "on b" in claim.evidence
    unproven = claims.one_optimum((found(best_gap=2e-4),))
    assert unproven.verdict is Verdict.PARTLY


def test_momentum_counts_iterations_from_which_it_stays():
    late = found("b", FISTA=curve("FISTA", [4.0, 1.0, 1.2, 1.0, 1.0]))  # there once, back again after 3
    assert late.curve("FISTA").reached(1.0) == 3 and late.curve("ISTA").reached(1.0) == 3
    assert claims.momentum((late,)).verdict is Verdict.FAILS
    assert claims.momentum((found(), late)).verdict is Verdict.PARTLY
    never = found(ISTA=curve("ISTA", [4.0, 2.0]))
    assert claims.momentum((never,)).verdict is Verdict.HOLDS and "against never" in claims.momentum((never,)).evidence
    assert claims.momentum((found(FISTA=curve("FISTA", [4.0, 2.0])),)).verdict is Verdict.FAILS


def test_a_rise_is_a_rise():
    rising = found(coordinate_descent=curve("coordinate descent", [4.0, 2.0, 2.0 + 1e-9, 1.0]))
    claim = claims.never_rises((found(), rising))
    assert claim.verdict is Verdict.FAILS and "5.0e-10 (coordinate descent, a)" in claim.evidence
    rounding = found(ISTA=curve("ISTA", [4.0, 1.0, 1.0 + 1e-13]))
    assert claims.never_rises((rounding,)).verdict is Verdict.HOLDS
    assert claims.never_rises((found(FISTA=curve("FISTA", [4.0, 1.0, 2.0, 1.0])),)).verdict is Verdict.HOLDS


def test_sparser_codes():
    denser = found("b", LCA_hard=curve("LCA, hard", [4.0, 3.0], 0.2, None))
    assert claims.hard_is_sparser((denser,)).verdict is Verdict.FAILS
    assert claims.hard_is_sparser((found(), denser)).verdict is Verdict.PARTLY
    half = found("b", **{"half-quadratic_p_=_1/2": curve(HALF_LABEL, [4.0, 3.0], 0.2, None)})
    assert claims.half_is_sparser((half,)).verdict is Verdict.FAILS
    assert claims.half_is_sparser((found(), half)).verdict is Verdict.PARTLY


def test_half_is_judged_against_where_p_of_1_ends():
    """After seven turns of p = 1 nearly everything is active still: no yardstick."""
    one = curve(ONE_LABEL, [4.0, *[2.0] * 7, 1.0])
    one.active[:] = [0.0, *[0.7] * 7, 0.1]
    ways = found(**{"half-quadratic_p_=_1_then_FISTA": one,
                    "half-quadratic_p_=_1/2": curve(HALF_LABEL, [4.0, 3.0], 0.11, None)})
    claim = claims.half_is_sparser((ways,))
    assert claim.verdict is Verdict.FAILS
    assert claim.evidence == ("a: 11.00 % active at 30.0 % error against 10.00 % at 10.0 % (p = 1 after 7 turns, "
                              "before FISTA: 70.00 %).")


@pytest.mark.parametrize("end, verdict", [(1.009, Verdict.HOLDS), (1.09, Verdict.PARTLY), (1.2, Verdict.FAILS)])
def test_the_seventh_turn_counts(end, verdict):
    ways = found(**{"half-quadratic_p_=_1_then_FISTA": curve(ONE_LABEL, [9, 8, 7, 6, 5, 4, 3, end, 1.0])})
    assert claims.few_turns((ways,)).verdict is verdict


def test_a_small_run_has_everything():
    said = []
    result = converge((Task("tiny", 2, 16, False, "cropped"),), share=0.02, progress=lambda *a: said.append(a))
    assert isinstance(result, Convergence) and result.claims == ()  # a share of the iterations judges nothing
    assert result.share == 0.02 and {why for _, why in result.unjudged} == {"share 0.02"}
    assert [name for name, _ in result.unjudged] == [claim.name for claim in claims.claims(result.found)]
    assert len(result.unjudged) == 6
    (one,) = result.found
    assert [c.label for c in one.curves] == [each.label for each in ENTRANTS]
    assert [c.label for c in one.hard] == [each.label for each in HARD] and one.half.iterations == 7
    assert all(c.objective[0] == one.curves[0].objective[0] == pytest.approx(0.5 * np.square(one.image).sum())
               for c in (*one.curves, *one.hard, one.half))
    assert all((c.above(one.best) >= 0).all() for c in one.curves) and 0 <= one.best_gap < 1
    assert one.half_error > one.error > 0
    assert said[0] == ("tiny: LCA, soft", 0.0) and all(a[1] <= b[1] for a, b in zip(said, said[1:], strict=False))


def test_the_problems_are_what_their_titles_say():
    for task in TASKS:
        problem = task.problem()
        assert problem.conv.geometry.stride == task.stride and problem.image.shape == (1, task.size, task.size)
        assert problem.two_sided == task.two_sided and f"stride {task.stride}" in task.title
    widened = TASKS[2].problem().dictionary.atoms
    np.testing.assert_array_equal(widened[:, :, :16, :16], TASKS[0].problem().dictionary.atoms)
