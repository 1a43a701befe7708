"""Bit flips in the simulator: without them it is the machine; with one, what is wrong afterwards is a closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from striate.golden.dictionary import Dictionary
from striate.golden.errors import InputError
from striate.sim.design import Design
from striate.sim.fault import DROPPED, GATHER, SCATTER, event_widths
from striate.sim.faults import APPLIED, NOT_MET, OUTSIDE, Fault, FaultedMachine, random_fault, simulate
from striate.sim.fixed import quantise
from striate.sim.machine import Machine
from striate.sim.plan import Plan
from striate.sim.run import Run, StepView
from tests.support.reference import transfer

STEPS = 30


def made(seed: int = 1, **keys: Any) -> tuple[Plan, np.ndarray, np.ndarray]:
    """Plan, weights and an image that keeps a small mesh busy."""
    base: dict[str, Any] = dict(
        image=(24, 32), kernels=3, patch=6, stride=2, tiles=(2, 2), gather_lanes=6, scatter_lanes=4, detect_lanes=2,
        step_shift=2, threshold=0.1, link_depth=2, preprocess="none", residual_accumulator=0, steps=STEPS,
    )  # fmt: skip
    design = Design(**(base | keys))
    weights = np.asarray(quantise(Dictionary.random(design.geometry, seed).atoms, design.formats.weight), np.int64)
    plan = Plan.of(design, weights)
    picture = np.random.default_rng(seed).standard_normal(design.geometry.image_shape) * 0.25
    return plan, weights, plan.quantise_image(picture)


def struck(
    plan: Plan, weights: np.ndarray, x: np.ndarray, *faults: Fault
) -> tuple[FaultedMachine, Run, list[StepView]]:
    machine, views = FaultedMachine(plan, weights), []
    run = machine.frame(x, STEPS, observe=views.append, faults=faults)
    return machine, run, views


def wrong_residual(plan: Plan, weights: np.ndarray, x: np.ndarray, view: StepView) -> np.ndarray:
    """(T, C, Hr, Wr) R minus x - Phi T(u), inside the image; by slices, a neuron at a time."""
    t, g = plan.tiling, plan.tiling.geometry
    full = np.zeros((g.channels, *(n + 2 * g.margin for n in g.image)), np.int64)
    inner = (slice(None), slice(g.margin, g.margin + g.image[0]), slice(g.margin, g.margin + g.image[1]))
    full[inner] = x << plan.input_shift
    y = transfer(view.membrane, plan)
    for tile in range(t.count):
        row, column = t.place(tile)
        for i, j, k in zip(*np.nonzero(y[tile]), strict=True):
            top, left = g.stride * (row * t.block[0] + i), g.stride * (column * t.block[1] + j)
            full[:, top : top + g.patch, left : left + g.patch] -= weights[k] * y[tile, i, j, k]
    apart = np.zeros_like(view.residual)
    for tile in range(t.count):
        (y0, x0), (top, bottom, left, right) = t.origin(tile), t.inside(tile)
        y0, x0 = y0 + g.margin, x0 + g.margin
        part = full[:, y0 + top : y0 + bottom, x0 + left : x0 + right]
        apart[tile, :, top:bottom, left:right] = view.residual[tile, :, top:bottom, left:right] - part
    return apart


def wrong_drive(plan: Plan, weights: np.ndarray, view: StepView) -> np.ndarray:
    """(T, th, tw, K) D minus Phi^T r~ of the tile, modulo its word."""
    t, g = plan.tiling, plan.tiling.geometry
    want = np.zeros_like(view.drive)
    for i in range(t.block[0]):
        for j in range(t.block[1]):
            part = view.sent[:, :, g.stride * i : g.stride * i + g.patch, g.stride * j : g.stride * j + g.patch]
            want[:, i, j] = np.tensordot(part, weights, ((1, 2, 3), (1, 2, 3)))
    turn = 1 << plan.drive_width
    return (view.drive - want + turn // 2) % turn - turn // 2


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"link_depth": 1, "update_positions": 2, "channels": 2, "two_sided": True, "code": "s8.7"},
        {"tiles": (1, 1), "stride": 1, "patch": 5, "image": (9, 12), "residual_accumulator": 12, "refresh": 7},
        {"settle": 1, "code": "u5.4", "gather_lanes": 1, "refresh": 4, "drive_accumulator": 14},
    ],
)
def test_without_flips_it_is_the_machine(keys: dict[str, Any]) -> None:
    """Every word of every step, every count, every cycle; cold, then warm with another picture."""
    plan, weights, x = made(3, **keys)
    other = np.roll(x, 5, axis=2)
    one, two = Machine(plan, weights), FaultedMachine(plan, weights)
    for image, warm in ((x, False), (other, True)):
        seen: tuple[list[StepView], list[StepView]] = ([], [])
        a = one.frame(image, STEPS, warm=warm, observe=seen[0].append)
        b = two.frame(image, STEPS, warm=warm, observe=seen[1].append)
        assert a.cycles is not None and b.cycles is not None and len(seen[0]) == len(seen[1])
        assert a.counts.code_events > 20 and a.counts == b.counts and a.settled == b.settled
        assert a.overflow == b.overflow and a.outcome == b.outcome and a.events_late == b.events_late
        np.testing.assert_array_equal(a.cycles.phases, b.cycles.phases)
        np.testing.assert_array_equal(a.cycles.beats, b.cycles.beats)
        np.testing.assert_array_equal(a.code, b.code)
        np.testing.assert_array_equal(a.steps.link_traffic, b.steps.link_traffic)
        if not a.overflow:
            np.testing.assert_allclose(a.steps.percent_error, b.steps.percent_error, rtol=1e-6)
            assert (two.wrong().residual, two.wrong().drive) == (0, 0)
        turn = 1 << plan.drive_width
        for v, w in zip(*seen, strict=True):
            for name in ("membrane", "residual", "sent"):
                np.testing.assert_array_equal(getattr(v, name), getattr(w, name))
            assert ((v.drive - w.drive) % turn == 0).all()
            for mine, others in zip((*v.codes, *v.pixels), (*w.codes, *w.pixels), strict=True):
                np.testing.assert_array_equal(mine, others)


@settings(max_examples=12)
@given(st.integers(0, 10**6))
def test_r_never_forgets(seed: int) -> None:
    """After a flip of bit b of R, that copy of that pixel is wrong by 2^b for good, and nothing else is."""
    plan, weights, x = made()
    rng = np.random.default_rng(seed)
    fault = random_fault(plan, "r", rng, step=int(rng.integers(STEPS)), bit=int(rng.integers(plan.residual_width - 2)))
    _, _, views = struck(plan, weights, x, fault)
    (c, y, col), (top, bottom, left, right) = fault.address, plan.tiling.inside(fault.tile)
    inside = top <= y < bottom and left <= col < right
    for view in views[fault.step :]:
        apart = wrong_residual(plan, weights, x, view)
        assert np.count_nonzero(apart) == inside
        assert abs(apart[fault.tile, c, y, col]) == (1 << fault.bit) * inside
        assert not wrong_drive(plan, weights, view).any()


@settings(max_examples=8)
@given(st.integers(0, 10**6))
def test_d_never_forgets(seed: int) -> None:
    """A flip of D is a constant offset of that neuron's drive; R stays true."""
    plan, weights, x = made()
    rng = np.random.default_rng(seed)
    fault = random_fault(plan, "d", rng, step=int(rng.integers(STEPS)))
    _, _, views = struck(plan, weights, x, fault)
    apart = wrong_drive(plan, weights, views[-1])
    k, i, j = fault.address
    assert np.count_nonzero(apart) == 1 and abs(apart[fault.tile, i, j, k]) == 1 << fault.bit
    assert not wrong_residual(plan, weights, x, views[-1]).any()


def test_a_flip_of_r_sent_is_put_right_at_once_and_stays_in_d() -> None:
    plan, weights, x = made()
    fault = Fault("s", 1, (0, 7, 9), 6, 11)
    clean, hit = struck(plan, weights, x)[2], struck(plan, weights, x, fault)[2]
    np.testing.assert_array_equal(clean[11].sent, hit[11].sent)  # the scan that follows sends the difference
    before = int(clean[10].sent[1, 0, 7, 9])
    turned = (before + 128 ^ 64) - 128 if before >= 0 else -((-before - 1) ^ 64) - 1
    want = np.zeros_like(hit[11].drive)
    g = plan.tiling.geometry
    for i in range(plan.tiling.block[0]):
        for j in range(plan.tiling.block[1]):
            a, b = 7 - g.stride * i, 9 - g.stride * j
            if 0 <= a < g.patch and 0 <= b < g.patch:
                want[1, i, j] = weights[:, 0, a, b] * (before - turned)
    for view in (hit[11], hit[-1]):
        np.testing.assert_array_equal(wrong_drive(plan, weights, view), want)
        assert not wrong_residual(plan, weights, x, view).any()


@settings(max_examples=12)
@given(st.integers(0, 10**6))
def test_a_flip_of_u_leaves_r_wrong_by_the_code_that_nobody_was_told(seed: int) -> None:
    """R is wrong by Phi (T(flipped u) - T(u)) in every tile that sees the neuron, for good; D follows R."""
    plan, weights, x = made()
    t, g, rng = plan.tiling, plan.tiling.geometry, np.random.default_rng(seed)
    fault = random_fault(plan, "u", rng, step=int(rng.integers(1, STEPS)), bit=int(rng.integers(8, 14)))
    clean, hit = struck(plan, weights, x)[2], struck(plan, weights, x, fault)[2]
    k, i, j = fault.address
    old = int(clean[fault.step - 1].membrane[fault.tile, i, j, k])
    low = old & (1 << 14) - 1 ^ 1 << fault.bit
    flipped = low - (1 << 14) * (low >> 13)
    dy = int(transfer(np.array(flipped), plan) - transfer(np.array(old), plan))
    full = np.zeros((g.channels, *(n + 2 * g.margin for n in g.image)), np.int64)
    row, column = t.place(fault.tile)
    top, left = g.stride * (row * t.block[0] + i), g.stride * (column * t.block[1] + j)
    full[:, top : top + g.patch, left : left + g.patch] = weights[k] * dy
    for view in (hit[fault.step], hit[-1]):
        apart = wrong_residual(plan, weights, x, view)
        for tile in range(t.count):
            (y0, x0), (up, down, west, east) = t.origin(tile), t.inside(tile)
            y0, x0 = y0 + g.margin, x0 + g.margin
            want = full[:, y0 + up : y0 + down, x0 + west : x0 + east]
            np.testing.assert_array_equal(apart[tile, :, up:down, west:east], want)
        assert not wrong_drive(plan, weights, view).any()


def test_a_membrane_leaks_back_when_its_code_did_not_change() -> None:
    """|u' - u| shrinks by 1 - 2^-k a step, down to what rounding holds, and no code is ever another."""
    plan, weights, x = made()
    clean = struck(plan, weights, x)[2]
    quiet = np.argwhere(np.max([np.abs(v.membrane) for v in clean], axis=0) < plan.threshold_q - 64)
    tile, i, j, k = quiet[len(quiet) // 2].tolist()
    machine, run, hit = struck(plan, weights, x, Fault("u", tile, (k, i, j), 5, 4))
    apart = [abs(int(h.membrane[tile, i, j, k] - c.membrane[tile, i, j, k])) for h, c in zip(hit, clean, strict=True)]
    assert apart[3] == 0 and 20 <= apart[4] <= 28
    for n in range(5, 12):
        assert apart[n] <= max(4, 0.75 * apart[n - 1] + 1)
    assert apart[-1] <= 1 << plan.shifts[0] - 1
    assert machine.wrong().residual == machine.wrong().drive == 0


@pytest.mark.parametrize("part", [GATHER, SCATTER])
def test_a_weight_is_wrong_for_all_changes_since(part: int) -> None:
    """D is off by dw (r~ now - r~ then) through the gather part, R by dw (y then - y now) through the scatter part."""
    plan, weights, x = made()
    g, tile, step = plan.tiling.geometry, 2, 6
    k, a, b = 1, 3, 2
    _, _, views = struck(plan, weights, x, Fault("weight", tile, (part, k, 0, a, b), 6, step))
    dw = -64 if weights[k, 0, a, b] & 64 else 64
    last, then = views[-1], views[step - 1]
    drive, residual = wrong_drive(plan, weights, last), wrong_residual(plan, weights, x, last)
    if part == GATHER:
        th, tw = plan.tiling.block
        window = (tile, 0, slice(a, a + g.stride * th, g.stride), slice(b, b + g.stride * tw, g.stride))
        want = np.zeros_like(drive)
        want[tile, :, :, k] = dw * (last.sent[window] - then.sent[window])
        assert want.any()
        np.testing.assert_array_equal(drive, want)
        assert not residual.any()
    else:
        assert not drive.any() and residual[tile].any()
        assert not np.delete(residual, tile, axis=0).any()
        y = transfer(last.membrane, plan) - transfer(then.membrane, plan)
        top, bottom, left, right = plan.tiling.inside(tile)
        seen = 0
        for i, j in np.ndindex(*plan.tiling.block):
            row, column = g.stride * i + a, g.stride * j + b
            if top <= row < bottom and left <= column < right:
                assert residual[tile, 0, row, column] == -dw * y[tile, i, j, k]
                seen += y[tile, i, j, k] != 0
        assert seen > 0


def test_a_lost_event_leaves_one_copy_of_the_halo_wrong() -> None:
    plan, weights, x = made()
    t, g = plan.tiling, plan.tiling.geometry
    step = 8
    clean = struck(plan, weights, x)[2]
    sent = [row for row in clean[step].codes[0].tolist() if row[4] >> 4 & 1]  # link 4 of tile 0: east, to tile 1
    assert len(sent) > 1, "a step with more than one event to the east"
    k, i, j, dy, _ = sent[1]
    machine, run, views = struck(plan, weights, x, Fault("link", 1, (3, 1), DROPPED, step))
    apart = wrong_residual(plan, weights, x, views[step])
    want = np.zeros_like(apart)
    for a in range(g.patch):
        for b in range(g.patch):
            col = g.stride * (j - t.block[1]) + b
            if 0 <= col < t.region[1]:
                want[1, 0, g.stride * i + a, col] = weights[k, 0, a, b] * dy
    top, bottom, left, right = t.inside(1)
    want[1, :, :top], want[1, :, bottom:], want[1, :, :, :left], want[1, :, :, right:] = 0, 0, 0, 0
    assert want.any() and machine.met.tolist() == [APPLIED]
    np.testing.assert_array_equal(apart, want)
    np.testing.assert_array_equal(wrong_residual(plan, weights, x, views[-1]), want)


def test_flips_of_an_event_on_its_way() -> None:
    """Each field; a bit that leaves the receiver's positions is no event and is left alone, as one that never came."""
    plan, weights, x = made()
    kb, ib, jb, _ = event_widths(plan)
    clean = struck(plan, weights, x)[1]
    met = []
    for bit in range(sum(event_widths(plan))):
        machine, run, _ = struck(plan, weights, x, Fault("link", 1, (3, 0), bit, 8))
        met.append(int(machine.met[0]))
        if met[-1] == OUTSIDE:
            np.testing.assert_array_equal(run.code, clean.code)
        else:
            assert machine.wrong().residual > 0
    assert met[-1] == APPLIED and OUTSIDE in met[: kb + ib + jb]
    machine = struck(plan, weights, x, Fault("link", 1, (3, 10**2), 0, 8))[0]
    assert machine.met.tolist() == [NOT_MET]


def test_two_flips_of_one_bit_are_none() -> None:
    plan, weights, x = made()
    for memory in ("u", "d", "r", "s", "weight"):
        fault = random_fault(plan, memory, np.random.default_rng(5), step=9)
        np.testing.assert_array_equal(struck(plan, weights, x)[1].code, struck(plan, weights, x, fault, fault)[1].code)


def test_refresh_heals_all_but_weights() -> None:
    plan, weights, x = made(refresh=10)
    rng = np.random.default_rng(2)
    state = [random_fault(plan, memory, rng, step=12) for memory in ("u", "d", "r", "s", "link") for _ in range(3)]
    machine, _, views = struck(plan, weights, x, *state)
    assert wrong_residual(plan, weights, x, views[19]).any() and wrong_drive(plan, weights, views[19]).any()
    assert (machine.wrong().residual, machine.wrong().drive) == (0, 0)
    machine = struck(plan, weights, x, Fault("weight", 0, (SCATTER, 0, 0, 2, 2), 6, 12))[0]
    assert machine.wrong().residual > 0
    machine.load_weights()
    machine.frame(x, STEPS)
    assert (machine.wrong().residual, machine.wrong().drive) == (0, 0)


def test_a_weight_outlives_the_frame_and_a_cold_frame_clears_the_rest() -> None:
    plan, weights, x = made()
    machine = FaultedMachine(plan, weights)
    machine.frame(x, STEPS, faults=[Fault("r", 0, (0, 9, 9), 9, 3)])
    assert machine.wrong().residual == 1
    machine.frame(x, STEPS, warm=True)
    assert machine.wrong().residual == 1  # a warm frame keeps it
    machine.frame(x, STEPS, faults=[Fault("weight", 0, (GATHER, 0, 0, 2, 2), 6, 3)])
    assert machine.wrong().residual == 0 and machine.wrong().drive > 0
    machine.frame(x, STEPS)
    assert machine.wrong().drive > 0


def test_simulate_is_the_machine_with_flips() -> None:
    design = Design(image=(32, 32), tiles=(2, 2), steps=20)
    image = np.random.default_rng(1).standard_normal((1, 32, 32)) * 0.2
    found = simulate(image, design, faults=[Fault("r", 0, (0, 10, 10), 16, 5)])
    assert found.met.tolist() == [APPLIED] and found.wrong.residual == 1
    assert found.wrong.residual_most == 2.0**16 * found.run.plan.residual_scale
    with pytest.raises(InputError, match="no tiles to hit"):
        simulate(image, design.replace(schedule="skip"))
    with pytest.raises(InputError, match="must be finite and of shape"):
        simulate(image[:, :16], design)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (("x", 0, (0, 0, 0), 0, 0), "a fault hits one of u, d, r, s, weight, link, not 'x'"),
        (("u", 0, (0, 0), 0, 0), r"the address of a fault in u is \(k, i, j\), not \(0, 0\)"),
        (("r", 0, (0, -1, 0), 0, 0), "must not be negative"),
        (("r", 0, (0, 0, 0), DROPPED, 0), "must not be negative"),
        (("u", 4, (0, 0, 0), 0, 0), "no such tile: .*; the mesh has 4"),
        (("u", 0, (3, 0, 0), 0, 0), "no such address: .*; it is less than"),
        (("weight", 0, (2, 0, 0, 0, 0), 0, 0), "no such address"),
        (("link", 0, (0, 0), 0, 0), "no neighbour at that link"),
        (("s", 0, (0, 0, 0), 8, 0), "no such bit: .*; a word of s has 8"),
        (("d", 0, (0, 0, 0), 0, STEPS), f"no such step: .*; the frame has {STEPS}"),
    ],
)
def test_faults_that_are_none(fault: tuple[Any, ...], message: str) -> None:
    plan, weights, x = made()
    with pytest.raises(InputError, match=message):
        struck(plan, weights, x, Fault(*fault))


def test_no_links_on_a_single_tile() -> None:
    plan, _, _ = made(tiles=(1, 1))
    with pytest.raises(InputError, match="no links to hit"):
        random_fault(plan, "link", np.random.default_rng(0), step=0)


def test_a_fault_in_words() -> None:
    assert str(Fault("r", 1, (0, 4, 5), 3, 7)) == "r of tile 1 (c 0, y 4, x 5), bit 3, step 7"
    assert str(Fault("link", 1, (3, 0), DROPPED, 7)) == "link of tile 1 (link 3, number 0), event dropped, step 7"
    assert Fault("u", 0, (1, 2, 3), 4, 5).as_dict() == {
        "memory": "u", "tile": 0, "address": [1, 2, 3], "bit": 4, "step": 5,
    }  # fmt: skip
