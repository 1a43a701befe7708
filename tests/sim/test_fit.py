"""The search: bounds below exact cycles, the smallest that meets the rate by trying all, and every refusal."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from striate.golden.dictionary import Dictionary
from striate.golden.errors import InputError
from striate.golden.images import load_image
from striate.sim.design import Design
from striate.sim.machine import Machine, simulate
from striate.sim.mapping.devices import DEVICES
from striate.sim.mapping.fit import DoesNotFit, fastest, fit
from striate.sim.mapping.graph import Mapping, plan_of
from striate.sim.mapping.nearest import does_not_fit
from striate.sim.mapping.resources import budget
from striate.sim.mapping.space import any_plan, legal_plans, machine_keys, weights_of
from striate.sim.mapping.workload import Workload, record
from striate.sim.plan import Plan
from striate.sim.run import FloatArray
from striate.sim.tiling import IntArray

# 24 x 24 pixels, blocks of at least 4: up to 6 x 6 tiles of 2 x 2 positions
SMALL = Design(image=(24, 24), kernels=4, patch=6, stride=2, steps=8, step_shift=3, threshold=0.02, tiles=(1, 1),
               gather_lanes=4, scatter_lanes=2, detect_lanes=2)  # fmt: skip
DICTIONARY = Dictionary.random(SMALL.geometry, seed=5)


@pytest.fixture(scope="module")
def picture() -> FloatArray:
    return np.asarray(load_image("camera", crop=(104, 212), size=(24, 24)))


@pytest.fixture(scope="module")
def loaded(picture: FloatArray) -> tuple[Plan, IntArray, Workload]:
    weights = weights_of(SMALL, DICTIONARY)
    base = any_plan(SMALL, weights)
    return base, weights, record(base, weights, base.quantise_image(picture), SMALL.dynamics.steps)


def test_the_workload_counts_every_event(loaded: tuple[Plan, IntArray, Workload]) -> None:
    base, _, work = loaded
    n, t = work.run.counts, work.run.plan.tiling
    assert work.pixels.sum() == n.residual_events > 0 and work.codes.sum() == n.code_events > 0
    assert work.gather_cycles(t).sum() == n.gather_issues
    assert work.scatter_cycles(t).sum() == n.scatter_issues
    assert work.ends[-1] == work.steps == 8 and (np.diff(work.ends) > 0).all()
    plan = replace(base, tiling=replace(base.tiling, tiles=(3, 2), gather_lanes=16, scatter_lanes=4, detect_lanes=2))
    run = Machine(plan, loaded[1]).frame(work.run.input, 8)
    assert work.gather_cycles(plan.tiling).sum() == run.counts.gather_issues
    assert work.scatter_cycles(plan.tiling).sum() == run.counts.scatter_issues
    assert np.array_equal(run.code, work.run.code)


@given(data=st.data())
@settings(max_examples=25)
def test_no_mapping_is_faster_than_its_bound(loaded: tuple[Plan, IntArray, Workload], data: st.DataObject) -> None:
    base, weights, work = loaded
    plan = data.draw(st.sampled_from(list(legal_plans(SMALL, base))))
    plan = replace(plan, link_depth=data.draw(st.sampled_from([1, 3, 16, 64])))
    cycles = Machine(plan, weights).frame(work.run.input, 8).cycles
    assert cycles is not None
    assert 0.5 * cycles.frame < work.least_cycles(plan) <= cycles.frame


def test_every_legal_plan_is_legal_and_none_is_left_out(loaded: tuple[Plan, IntArray, Workload]) -> None:
    plans = list(legal_plans(SMALL, loaded[0]))
    keys = {tuple(machine_keys(plan).values()) for plan in plans}
    assert len(keys) == len(plans)
    for plan in plans[::7]:
        SMALL.replace({f"machine.{key}": value for key, value in machine_keys(plan).items()}).check_machine()
    assert {plan.tiling.tiles for plan in plans} == {(r, c) for r in (1, 2, 3, 4, 6) for c in (1, 2, 3, 4, 6)}
    assert {plan.tiling.gather_lanes for plan in plans} == {1, 2, 4, 8, 16, 32}
    pairs = {(plan.tiling.gather_lanes, plan.tiling.block[1]) for plan in plans if plan.tiling.update_positions == 2}
    assert pairs and all(lanes >= 2 * SMALL.network.kernels and not columns % 2 for lanes, columns in pairs)


def test_a_frame_that_settles_is_bounded_too(picture: FloatArray) -> None:
    design = SMALL.replace(settle=2, steps=120, threshold=0.1, step_shift=5)
    weights = weights_of(design, DICTIONARY)
    base = any_plan(design, weights)
    work = record(base, weights, base.quantise_image(picture), 120)
    assert work.steps < 120 and work.run.settled
    for plan in list(legal_plans(design, base))[::97]:
        run = Machine(plan, weights).frame(work.run.input, 120)
        assert run.cycles is not None and run.counts.steps == work.steps
        assert 0.5 * run.cycles.frame < work.least_cycles(plan) <= run.cycles.frame
    wide = SMALL.replace(settle=2, image=(96, 96))
    assert max(max(plan.tiling.tiles) for plan in legal_plans(wide, any_plan(wide, weights))) < 24


@pytest.mark.parametrize("target", [2_000.0, 8_000.0])
def test_the_smallest_is_the_smallest(
    loaded: tuple[Plan, IntArray, Workload], picture: FloatArray, target: float
) -> None:
    """Against every mapping that fits, run."""
    base, weights, work = loaded
    found = fit(SMALL, "ulx3s-25f", target, image=picture, dictionary=DICTIONARY)
    wanted = 80e6 / target
    assert found.cycles <= wanted and found.frames_per_second >= target
    device = DEVICES["ulx3s-25f"]
    smaller = [
        plan for plan in legal_plans(SMALL, base, device)
        if budget(plan, device).fits
        and (budget(plan, device).resources.blocks, budget(plan, device).resources.multipliers) < found.chosen.size
    ]  # fmt: skip
    assert smaller or target == 2_000.0
    for plan in smaller:
        if work.least_cycles(plan) <= wanted:  # the bound is held by a test of its own
            cycles = Machine(plan, weights).frame(work.run.input, 8).cycles
            assert cycles is not None and cycles.frame > wanted
    design = found.design
    assert design.target.board == "ulx3s-25f" and design.machine.tiles == found.chosen.plan.tiling.tiles
    assert plan_of(design, DICTIONARY) == found.chosen.plan
    run = simulate(picture, design, dictionary=DICTIONARY)
    assert run.cycles is not None and run.cycles.frame == found.cycles
    assert np.array_equal(run.code, work.run.code) and np.array_equal(run.residual, work.run.residual)
    assert Mapping.of(design, dictionary=DICTIONARY).budget.fits
    assert found.tried[-1] is found.chosen and len(found.tried) <= found.promising <= found.fitting <= found.legal
    assert found == fit(SMALL, "ulx3s-25f", target, image=picture, dictionary=DICTIONARY)


def test_two_positions_a_cycle_are_searched_whatever_the_design_has(picture: FloatArray) -> None:
    """On 6 x 4 positions, which leave more look-up tables than a mesh can use."""
    small, shown = SMALL.replace(image=(12, 8)), picture[:, :12, :8]
    given = small.replace(gather_lanes=8, update_positions=2)
    best = fastest(small, "ulx3s-85f", image=shown, dictionary=DICTIONARY)
    assert fastest(given, "ulx3s-85f", image=shown, dictionary=DICTIONARY).chosen == best.chosen
    assert best.design.machine.update_positions == best.chosen.plan.tiling.update_positions == 2
    given = SMALL.replace(gather_lanes=8, update_positions=2)
    least = fit(given, "ulx3s-25f", 1, image=picture, dictionary=DICTIONARY).design
    assert least.machine.update_positions == 1
    least.check_machine()


def test_design_fit_is_the_same(picture: FloatArray) -> None:
    design = SMALL.fit("ulx3s-25f", 2_000, image=picture, dictionary=DICTIONARY, clock_mhz=60)
    assert design == fit(SMALL, "ulx3s-25f", 2_000, image=picture, dictionary=DICTIONARY, clock_mhz=60).design
    assert design.target.clock_mhz == 60 and design.network == SMALL.network and design.formats == SMALL.formats


def test_the_words_of_r_are_proven_where_that_is_free(picture: FloatArray) -> None:
    tight = SMALL.replace(code="u12.7", residual_accumulator=18)
    proven = tight.resolved_widths(weights_of(tight, DICTIONARY)).residual_proven
    assert proven > 18
    for target in (2_000, 8_000):
        chosen = fit(tight, "ulx3s-25f", target, image=picture, dictionary=DICTIONARY).chosen
        wide = replace(chosen.plan, residual_width=proven)
        free = budget(wide, "ulx3s-25f").resources.blocks == chosen.size[0]
        assert chosen.proven_residual == free and chosen.plan.residual_width == (proven if free else 18)


def test_an_impossible_rate_says_what_is_possible(picture: FloatArray) -> None:
    best = fastest(SMALL, "ulx3s-25f", image=picture, dictionary=DICTIONARY)
    with pytest.raises(DoesNotFit) as caught:
        fit(SMALL, "ulx3s-25f", 1e6, image=picture, dictionary=DICTIONARY)
    said = str(caught.value)
    assert said.startswith(
        "1e+06 frames/s are out of reach on ulx3s-25f (ECP5 25F) at 80 MHz: the fastest mapping found"
    )
    assert f"makes {best.frames_per_second:.1f}, and none can make more than {best.target_fps:.1f}; ask for" in said
    asked = float(re.search(r"ask for ([\d.]+) or less", said)[1])  # type: ignore[index]
    assert fit(SMALL, "ulx3s-25f", asked, image=picture, dictionary=DICTIONARY).frames_per_second >= asked
    assert "\n" not in said and math.isclose(asked, best.frames_per_second, abs_tol=0.11)


def test_a_network_that_fits_nowhere_says_which_memory_and_what_is_near() -> None:
    """8@2 at 128 x 128 on 56 blocks: no run is needed to know."""
    with pytest.raises(DoesNotFit) as caught:
        Design().fit("orangecrab-25f", 30)
    said = str(caught.value)
    assert re.match(
        r"no mapping of this network fits orangecrab-25f \(ECP5 25F\): the smallest needs (\d+) of 56 18-kbit blocks, "
        r"\d+ over \([\d,]+ bits; most for memory D, of U \d+, D \d+, .*nearest that fits: network.image=\[\d+, \d+\], "
        r"or network.kernels=2, or target.board ulx3s-85f or ulx3s-45f or orangecrab-85f or .*zynq-7020$", said
    ), said  # fmt: skip
    size = tuple(map(int, re.search(r"image=\[(\d+), (\d+)\]", said).groups()))  # type: ignore[union-attr]

    def fits(image: tuple[int, int]) -> bool:
        design = Design(image=image)
        base = any_plan(design, weights_of(design, None))
        return any(budget(p, "orangecrab-25f").fits for p in legal_plans(design, base, DEVICES["orangecrab-25f"]))

    assert fits(size) and not fits((size[0] + 2, size[1] + 2))  # type: ignore[arg-type]


def test_a_mapping_that_does_not_fit_names_the_nearest_that_does() -> None:
    design = Design(tiles=(4, 4))
    weights = weights_of(design, None)
    found = budget(plan_of(design), "ulx3s-85f")
    said = does_not_fit(design, weights, "ulx3s-85f", found)
    assert said.startswith(f"this mapping does not fit ulx3s-85f (ECP5 85F): {found.reason}; the nearest that fits is ")
    near = Design().set(*said.rpartition("that fits is ")[2].split())
    assert budget(plan_of(near), "ulx3s-85f").fits
    nowhere = does_not_fit(design, weights, "icebreaker", budget(plan_of(design), "icebreaker"))
    assert re.search(r"nor does any other of this network, the smallest needs 4\d\d blocks; nearest that fits", nowhere)
    folded = does_not_fit(design, weights, "icebreaker", budget(plan_of(design), "icebreaker"), folded=True)
    assert folded.endswith("fold onto fewer tiles, use one buffer, or more machine.tiles")


@pytest.mark.parametrize(
    ("keys", "arguments", "said"),
    [
        ({}, ("arty", 30.0), "target.board must be one of ulx3s-85f, .*, not 'arty'"),
        ({}, ("ulx3s-85f", 0.0), "the frame rate must be a number above 0 and finite, not 0.0 frames/s; ask for 30"),
        ({}, ("ulx3s-85f", math.inf), "the frame rate must be a number above 0 and finite, not inf"),
        ({}, ("ulx3s-85f", "x"), "the frame rate must be a number above 0 and finite, not 'x' frames/s"),
        ({}, ("ulx3s-85f", 30.0, -1.0), "target.clock_mhz must be above 0, not -1; the default is 80"),
        ({"schedule": "skip"}, ("ulx3s-85f", 30.0), "machine.schedule 'skip' has no hardware to fit"),
        ({"eta": 0.1}, ("ulx3s-85f", 30.0), "dynamics.eta 0.1 is for golden runs only"),
        ({"image": (520, 16)}, ("zynq-7020", 30.0), "the bundled photograph has 512 x 512 pixels"),
    ],
)
def test_refusals(keys: dict[str, object], arguments: tuple[object, ...], said: str) -> None:
    board, target, *clock = arguments
    design = SMALL.replace(keys)
    dictionary = Dictionary.random(design.geometry, seed=0)
    with pytest.raises(InputError, match=said):
        fit(design, board, target, dictionary=dictionary, clock_mhz=clock[0] if clock else None)  # type: ignore[arg-type]


def test_an_image_of_another_shape_is_refused(picture: FloatArray) -> None:
    with pytest.raises(InputError, match=r"the image is \(1, 24, 22\), the design wants .*crop the image"):
        fit(SMALL, "ulx3s-85f", 10, image=picture[:, :, :22], dictionary=DICTIONARY)
