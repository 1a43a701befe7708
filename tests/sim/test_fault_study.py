"""The study of flips: going on from a saved step is the whole frame, and what it counts is what it says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from striate.golden.errors import InputError
from striate.golden.images import load_image
from striate.sim.cost import cost
from striate.sim.design import Design
from striate.sim.fault import Fault
from striate.sim.fault_study import (
    ROWS,
    TOLERANCE,
    Frame,
    Strike,
    draw_row,
    draw_state,
    intervals,
    refreshed,
    row_bits,
    study,
    summary,
)
from striate.sim.faults import FaultedMachine, Wrong
from striate.sim.fixed import quantise
from striate.sim.machine import load_dictionary, simulate
from striate.sim.plan import Plan

STEPS = 24
DESIGN = Design(image=(32, 32), tiles=(2, 2), steps=STEPS, step_shift=4)
WEIGHTS = np.asarray(quantise(load_dictionary(DESIGN).atoms, DESIGN.formats.weight), np.int64)
PLAN = Plan.of(DESIGN, WEIGHTS)
PICTURE = load_image("camera", crop=(104, 212), size=(32, 32))
NOTHING = Wrong(0, 0.0, 0, 0.0)


def test_a_strike_is_the_whole_frame_with_that_flip() -> None:
    frame = Frame(PLAN, WEIGHTS, PICTURE, STEPS, (3, 12))
    clean = simulate(PICTURE, DESIGN)
    np.testing.assert_allclose(frame.clean, clean.steps.percent_error, rtol=1e-6)
    np.testing.assert_array_equal(frame.code, clean.code)
    weight = Fault("weight", 0, (1, 0, 0, 8, 8), 6, 12)
    for fault in (Fault("r", 1, (0, 9, 9), 16, 14), Fault("u", 2, (3, 4, 4), 12, 3), weight):
        machine = FaultedMachine(PLAN, WEIGHTS)
        run = machine.frame(frame.x, STEPS, reference=PICTURE, faults=[fault])
        found = frame.strike("r", fault)
        assert found is not None and found.wrong == machine.wrong() != NOTHING
        np.testing.assert_allclose(found.apart, (run.steps.percent_error - frame.clean)[fault.step :], atol=1e-9)
        assert found.codes == np.count_nonzero(run.code != clean.code)
    assert frame.strike("link", Fault("link", 1, (3, 2000), 0, 12)) is None
    again = frame.whole((), 0)  # the weight that the last strike hit is loaded anew
    np.testing.assert_array_equal(again.code, clean.code)
    with pytest.raises(InputError, match="one step shift and frames of full length"):
        Frame(replace(PLAN, settle=3), WEIGHTS, PICTURE, STEPS)


def test_refresh_changes_no_unharmed_frame_and_heals_r() -> None:
    frame, fault = Frame(PLAN, WEIGHTS, PICTURE, STEPS, (3,)), Fault("r", 1, (0, 9, 9), 17, 5)
    for refresh in (4, 100):
        np.testing.assert_array_equal(frame.whole((), refresh).code, frame.code)
    before, after = frame.strike("r", fault), frame.strike("r", fault, 4)
    assert before is not None and after is not None
    np.testing.assert_array_equal(before.apart[:2], after.apart[:2])  # steps 5 and 6; the refresh is before step 3 + 4
    assert before.latent and not after.latent and after.wrong == NOTHING
    assert np.abs(before.apart).max() > 1 and abs(after.apart[-1]) < abs(before.apart[-1]) / 4


def strike(apart: list[float], wrong: Wrong = NOTHING) -> Strike:
    return Strike("r", Fault("r", 0, (0, 0, 0), 0, 0), np.array(apart), 3, wrong)


def test_unseen_healed_persisted() -> None:
    far = 2 * TOLERANCE
    unseen, healed = strike([0.0, 0.1, 0.0]), strike([far, -far, 0.0])
    persisted = strike([0.0, 0.0, far], Wrong(1, 1.0, 0, 0.0))
    assert [s.steps_to_heal for s in (unseen, healed, persisted)] == [0, 2, None]
    assert [s.latent for s in (unseen, healed, persisted)] == [False, False, True]
    told = summary([unseen, healed, persisted], 10.0)
    assert (told["flips"], told["unseen"], told["healed"], told["persisted"], told["latent"]) == (3, 1, 1, 1, 1)
    assert told["steps_to_heal"] == 2 and told["percent_error_worst"] == 10 + far
    assert told["percent_error_after"] == pytest.approx(10 + far / 3) and told["codes_different"] == 3
    assert summary([unseen], 10.0)["steps_to_heal"] is None


def test_the_same_flips_with_and_without_refresh() -> None:
    found = study(PLAN, WEIGHTS, PICTURE, STEPS, flips=2, seed=3, refresh=5)
    assert found.rows == list(ROWS) and set(found.strikes) == {0, 5}
    for before, after in zip(found.strikes[0], found.strikes[5], strict=True):
        assert before.fault == after.fault and before.fault.bit < row_bits(PLAN, before.row)
        assert after.row.split()[-1] == before.fault.memory and len(before.apart) == len(after.apart)
    assert all(found.of(row, 0, [row_bits(PLAN, row) - 1]) for row in ROWS)  # the highest bit comes first
    again = study(PLAN, WEIGHTS, PICTURE, STEPS, flips=2, seed=3, refresh=5, rows=("r",))
    assert [s.fault for s in again.strikes[0]] == [s.fault for s in found.of("r")]
    assert found.by_row(0)["d"]["flips"] == 2 and found.by_row(0)["d"]["latent"] == 2
    with pytest.raises(InputError, match="--flips must be at least 1"):
        study(PLAN, WEIGHTS, PICTURE, STEPS, flips=0, seed=3, refresh=5)
    with pytest.raises(InputError, match="steps must be at least 8"):
        study(PLAN, WEIGHTS, PICTURE, 7, flips=1, seed=3, refresh=5)


def test_intervals_and_their_price() -> None:
    assert intervals(200) == (0, 100, 50, 25, 10, 5) and intervals(8) == (0, 4, 2, 1)
    frame = Frame(PLAN, WEIGHTS, PICTURE, STEPS)
    results = refreshed(frame, flips=30, frames=2, seed=1, clock_mhz=80, every=(0, 6))
    run = simulate(PICTURE, DESIGN.replace(refresh=6))
    priced = cost(run, 80)
    assert run.cycles is not None and priced is not None and run.counts.refreshes == 3
    assert results[1].cycles == run.cycles.frame > results[0].cycles
    assert results[1].energy_pj == priced.energy_pj and results[1].energy_pj.typical > results[0].energy_pj.typical
    assert results[0].percent_error.shape == (2, STEPS) and results[0].floor > results[1].floor
    assert results[0].floor == pytest.approx(results[0].percent_error[:, STEPS // 2 :].mean())


def test_bits_are_drawn_alike() -> None:
    """Of many flips each memory has its share of the bits: four standard deviations."""
    drawn = draw_state(PLAN, np.random.default_rng(1), 4000, STEPS)
    t = PLAN.tiling
    bits = {"u": t.positions * 8 * 14, "d": t.positions * 8 * PLAN.drive_width,
            "r": t.region[0] * t.region[1] * 18, "s": t.region[0] * t.region[1] * 8}  # fmt: skip
    for name, size in bits.items():
        share = size / sum(bits.values())
        seen = sum(fault.memory == name for fault in drawn)
        assert abs(seen - 4000 * share) < 4 * (4000 * share * (1 - share)) ** 0.5
    parts = {draw_row(PLAN, row, np.random.default_rng(1), step=0).address[0] for row in ROWS if "weight" in row}
    assert parts == {0, 1}
