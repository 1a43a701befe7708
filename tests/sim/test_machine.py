"""The machine against an independent reference, against itself in other shapes, and against the float64 truth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.reference import Reference, phi

from striate.golden.dictionary import Dictionary, shipped
from striate.golden.errors import InputError
from striate.golden.images import load_image
from striate.golden.lca import LcaParams, Outcome, encode
from striate.hw.cosim.random_design import RandomDesign, draw
from striate.sim.design import Design
from striate.sim.fixed import quantise
from striate.sim.machine import Machine, simulate
from striate.sim.plan import Plan
from striate.sim.recomputed import recomputed
from striate.sim.run import Ports

SMALL = Design(
    image=(16, 16),
    kernels=3,
    patch=6,
    stride=2,
    gather_lanes=6,
    scatter_lanes=4,
    detect_lanes=2,
    tiles=(2, 2),
    link_depth=3,
    steps=10,
    threshold=0.1,
    step_shift=3,
    preprocess="none",
    dictionary="natural",
)


def small_machine(design: Design = SMALL, seed: int = 0) -> tuple[Machine, np.ndarray]:
    weights = quantise(Dictionary.random(design.geometry, seed).atoms, design.formats.weight)
    plan = Plan.of(design, weights)
    x = plan.quantise_image(np.random.default_rng(seed).standard_normal(design.geometry.image_shape) * 0.3)
    return Machine(plan, weights), x


def drawn(seed: int) -> RandomDesign:
    return draw(seed, 0)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_every_state_word_of_every_step_equals_the_matrix_reference(seed: int) -> None:
    design = drawn(seed)
    t, g = design.plan.tiling, design.plan.tiling.geometry
    reference, machine = Reference(design.plan, design.weights, design.images[0]), Machine(design.plan, design.weights)
    half = 1 << (design.plan.drive_width - 1)

    def compare(view) -> None:  # type: ignore[no-untyped-def]
        reference.step(view.step)
        for tile in range(t.count):
            (row, col), (th, tw) = t.place(tile), t.block
            rows, cols = slice(row * th, (row + 1) * th), slice(col * tw, (col + 1) * tw)
            u = reference.u.reshape(g.code_shape)[:, rows, cols]
            d = reference.d.reshape(g.code_shape)[:, rows, cols]
            assert (np.moveaxis(view.membrane[tile], -1, 0) == u).all()
            assert ((np.moveaxis(view.drive[tile].astype(np.int64), -1, 0) + half) % (2 * half) - half == d).all()
            (y0, x0), (yl, yh, xl, xh) = t.origin(tile), t.inside(tile)
            own = slice(None), slice(y0 + yl, y0 + yh), slice(x0 + xl, x0 + xh)
            here = slice(None), slice(yl, yh), slice(xl, xh)
            assert (view.residual[tile][here] == reference.r.reshape(g.image_shape)[own]).all()
            assert (view.sent[tile][here] == reference.s.reshape(g.image_shape)[own]).all()

    run = machine.frame(design.images[0], design.steps, observe=compare)
    assert (run.code.reshape(-1) == reference.y).all()
    assert (run.residual.reshape(-1) == reference.r).all()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6))
def test_schedules_give_the_same_bits_and_their_own_counts(seed: int) -> None:
    design = drawn(seed)
    delta = Machine(design.plan, design.weights).frame(design.images[0], design.steps)
    for skip in (False, True):
        other = recomputed(design.plan, design.weights, design.images[0], design.steps, skip=skip)
        assert (other.code == delta.code).all() and (other.membrane == delta.membrane).all()
        assert (other.residual == delta.residual).all()
        assert other.counts.code_events == delta.counts.code_events
        assert other.outcome is delta.outcome
        assert np.allclose(other.steps.percent_error, delta.steps.percent_error)
        if not skip:
            assert other.counts.macs == other.counts.macs_dense == delta.counts.macs_dense
        else:
            assert other.counts.macs <= other.counts.macs_dense


@pytest.mark.parametrize(
    "change",
    [
        {"tiles": (1, 1)},
        {"tiles": (4, 4)},
        {"tiles": (1, 4)},
        {"link_depth": 1},
        {"link_depth": 64},
        {"gather_lanes": 1},
        {"gather_lanes": 12},
        {"scatter_lanes": 16, "detect_lanes": 16},
        {"scatter_lanes": 1, "detect_lanes": 1},
    ],
)
def test_tiling_lanes_and_links_change_cycles_but_no_word(change: dict[str, object]) -> None:
    machine, x = small_machine()
    other, _ = small_machine(SMALL.replace(**change))
    a, b = machine.frame(x, 10), other.frame(x, 10)
    assert (a.code == b.code).all() and (a.membrane == b.membrane).all() and (a.residual == b.residual).all()
    assert a.counts.code_events == b.counts.code_events and a.counts.gather_macs == b.counts.gather_macs
    assert a.cycles is not None and b.cycles is not None and a.cycles.frame != b.cycles.frame


def test_a_warm_frame_is_the_reference_going_on_with_another_input() -> None:
    machine, x = small_machine()
    reference = Reference(machine.plan, machine.weights, x)
    machine.frame(x, 6)
    for n in range(6):
        reference.step(n)
    reference.x = np.roll(x, 3, axis=-1)
    run = machine.frame(reference.x, 5, warm=True)
    for n in range(5):
        reference.step(n)
    assert (run.membrane.reshape(-1) == reference.u).all() and (run.residual.reshape(-1) == reference.r).all()


def test_counts_by_hand_from_the_events() -> None:
    machine, x = small_machine()
    t, g = machine.plan.tiling, machine.plan.tiling.geometry
    (row_first, rows), (_, cols) = t.covering(0), t.covering(1)
    gather = scatter = links = residuals = 0
    patch_rows, patch_cols = t.visible(0)[1], t.visible(1)[1]

    def count(view) -> None:  # type: ignore[no-untyped-def]
        nonlocal gather, scatter, links, residuals
        for tile in range(t.count):
            for _, y, x_, _ in view.pixels[tile]:
                gather += int(rows[y] * cols[x_]) * g.kernels
                residuals += 1
            for _, i, j, _, mask in view.codes[tile]:
                scatter += int(patch_rows[i + g.reach] * patch_cols[j + g.reach])
                for b in range(8):
                    other = t.neighbour(tile, b)
                    if mask >> b & 1 and other >= 0:
                        di, dj = t.place(tile)[0] - t.place(other)[0], t.place(tile)[1] - t.place(other)[1]
                        ii, jj = i + di * t.block[0], j + dj * t.block[1]
                        scatter += int(patch_rows[ii + g.reach] * patch_cols[jj + g.reach])
                        links += 1

    run = machine.frame(x, 10, observe=count)
    del row_first
    assert run.counts.gather_macs == gather and run.counts.scatter_macs == scatter
    assert run.counts.link_events == links > 0 and run.counts.residual_events == residuals
    assert run.link_traffic.sum() == links
    assert run.steps.code_events.sum() == run.counts.code_events and run.steps.macs.sum() == run.counts.macs


def test_replayed_clock_is_the_frames_own_when_nothing_stalls() -> None:
    machine, x = small_machine()
    run = machine.frame(x, 4)
    again = machine.replay(Ports())
    assert run.cycles is not None and (again.phases == run.cycles.phases).all() and again.frame == run.cycles.frame


def test_stalls_move_the_clock_and_nothing_else() -> None:
    machine, x = small_machine()
    run = machine.frame(x, 4)
    assert run.cycles is not None
    ready = np.zeros(run.cycles.frame + 50, bool)
    late = np.arange(x.size) * 2 + run.cycles.load
    stalled = machine.replay(Ports(late, ready))
    assert stalled.load == late[-1]
    assert stalled.frame > len(ready) + (late[-1] - run.cycles.load) * 0
    assert stalled.compute - run.cycles.compute == late[-1] - run.cycles.load


@pytest.mark.parametrize("kernels", [8, 32])
def test_machine_and_golden_agree_on_a_photograph(kernels: int) -> None:
    design = Design(kernels=kernels, image=(64, 64), tiles=(1, 1), steps=200)
    image, dictionary = load_image("camera", crop=(120, 200), size=(64, 64)), shipped(kernels, 16, 2)
    truth = encode(image, dictionary, LcaParams())
    run = simulate(image, design)
    error = 100 * np.linalg.norm(truth.residual) / np.linalg.norm(image)
    assert abs(run.percent_error(image) - error) < 0.5
    assert run.percent_inactive > 80
    assert run.counts.macs < run.counts.macs_dense / 10


def test_more_bits_bring_the_machine_to_the_golden_model() -> None:
    image = np.random.default_rng(3).standard_normal((1, 16, 16)) * 0.3
    design = SMALL.replace(tiles=(1, 1), residual_cutoff=0.0, threshold=0.25, step_shift=4, steps=12)
    dictionary = Dictionary.random(design.geometry, 0)
    params = LcaParams(threshold=0.25, eta=1 / 16, steps=12, residual_cutoff=0.0)
    truth = encode(image, dictionary, params).membrane
    gaps = []
    for extra in (0, 4, 8):
        fine = design.replace(
            weight=f"s{8 + extra}.{7 + extra}",
            code=f"u{9 + extra}.{7 + extra}",
            residual=f"s{9 + extra}.{7 + extra}",
            membrane=f"s{14 + extra}.{12 + extra}",
            input=f"s{14 + extra}.{11 + extra}",
            residual_accumulator=0,
        )
        run = simulate(image, fine, dictionary=dictionary)
        gaps.append(np.abs(run.membrane * run.plan.membrane.scale - truth).max())
    assert gaps[2] < gaps[1] < gaps[0] and gaps[2] < 1e-4


def test_overflow_is_raised_when_a_residual_leaves_its_word_and_the_bits_still_agree() -> None:
    design = SMALL.replace(residual_accumulator=11)
    machine, x = small_machine(design)
    run = machine.frame(x, 6)
    assert run.overflow
    other = recomputed(machine.plan, machine.weights, x, 6, skip=True)
    assert other.overflow and (other.residual == run.residual).all()
    image = np.random.default_rng(0).standard_normal((1, 16, 16)) * 0.3
    whole = simulate(image, design, dictionary=Dictionary.random(design.geometry, 0))
    # the error is the code's, whatever R says, and the reader is told the width that would do
    phi_y = phi(whole.plan, whole.dictionary) @ whole.code.reshape(-1) * whole.plan.residual_scale
    assert np.isclose(
        whole.percent_error(image), 100 * np.linalg.norm(image.reshape(-1) - phi_y) / np.linalg.norm(image)
    )
    assert any("R left its word of 11 bits" in line and "residual_accumulator = 1" in line for line in whole.warnings)
    wide, _ = small_machine(SMALL.replace(residual_accumulator=0))
    assert not wide.frame(x, 6).overflow


def test_a_step_that_is_too_large_is_reported_as_diverged() -> None:
    image = load_image("camera", crop=(120, 200), size=(64, 64))
    run = simulate(image, Design(image=(64, 64), tiles=(1, 1), kernels=32, step_shift=1, steps=60))
    assert run.outcome is Outcome.DIVERGED and "step" in run.outcome.remedy


def test_a_run_that_goes_quiet_is_converged() -> None:
    machine, _ = small_machine()
    zero = np.zeros(machine.plan.tiling.geometry.image_shape, np.int64)
    run = machine.frame(zero, 9)
    assert run.outcome is Outcome.CONVERGED and run.counts.code_events == 0 and run.counts.residual_events == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: simulate(np.zeros((1, 8, 8)), SMALL), r"the image is \(1, 8, 8\), the design wants .*crop the image"),
        (lambda: simulate(np.full((1, 16, 16), np.nan), SMALL), r"NaN or infinite values; mend the file"),
        (
            lambda: small_machine()[0].frame(np.zeros((1, 16, 16), np.int64), 0),
            r"steps must be at least 1 on the machine, not 0",
        ),
        (
            lambda: small_machine()[0].frame(np.zeros((1, 16, 16), np.int64), 3, warm=True),
            r"warm frame needs the state",
        ),
    ],
)
def test_bad_input_is_one_clear_line(make, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_an_input_that_does_not_fit_its_format_is_said_not_clipped_silently() -> None:
    image = np.random.default_rng(0).standard_normal((1, 16, 16)) * 0.3
    run = simulate(image, SMALL.replace(input="u8.7"), dictionary=Dictionary.random(SMALL.geometry, 0))
    outside = int((image < -0.5 / 128).sum())
    assert any(f"cannot hold {outside} of 256 input values" in line or "clipped" in line for line in run.warnings)


def test_a_dictionary_of_another_shape_is_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "other.npz"
    Dictionary.random(SMALL.replace(kernels=4, gather_lanes=8).geometry, 0).save(path)
    with pytest.raises(
        InputError, match=r"is of shape \(K, C, p, p\) = \(4, 1, 6, 6\), the design wants \(3, 1, 6, 6\)"
    ):
        simulate(np.zeros((1, 16, 16)), SMALL.replace(dictionary=str(path)))
