"""The gram network form against a dense integer network with the exact residual on the extended frame."""

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.reference import transfer

from striate.golden.dictionary import Dictionary
from striate.golden.errors import InputError
from striate.golden.geometry import Geometry
from striate.sim.design import Design
from striate.sim.fixed import ROUNDINGS, overflowed, quantise, round_shift, wrap
from striate.sim.gram import GramNetwork
from striate.sim.overlap import Overlap
from striate.sim.plan import Plan
from striate.sim.timing import SETTLE_DELAY


def extended_phi(g: Geometry, weights: np.ndarray) -> np.ndarray:
    """(frame pixels, neurons): whole receptive fields on a frame of H + 2m by W + 2m pixels."""
    (rows, columns), p = g.sheet, g.patch
    matrix = np.zeros((g.channels, g.image[0] + 2 * g.margin, g.image[1] + 2 * g.margin, g.kernels, rows, columns), int)
    for i in range(rows):
        for j in range(columns):
            y, x = g.stride * i, g.stride * j
            matrix[:, y : y + p, x : x + p, :, i, j] = np.moveaxis(weights, 0, -1)
    return matrix.reshape(-1, g.neurons)


class Dense:
    """R = x - Phi y on the extended frame, D = Phi^T R, u' by port 2: no events, no G."""

    def __init__(self, plan: Plan, weights: np.ndarray) -> None:
        self.plan, self.phi = plan, extended_phi(plan.tiling.geometry, weights)
        self.u = np.zeros(self.phi.shape[1], np.int64)

    def frame(self, x: np.ndarray, steps: int) -> np.ndarray:
        plan, m = self.plan, self.plan.tiling.geometry.margin
        framed = np.pad(x, ((0, 0), (m, m), (m, m))).reshape(-1) << plan.input_shift
        fd, fy, fu = 2 * plan.weight.frac + plan.code.frac, plan.code.frac, plan.membrane.frac
        fine = max(fd, fu)
        for n in range(steps):
            y = transfer(self.u, plan)
            drive = wrap(self.phi.T @ (framed - self.phi @ y), plan.drive_width, True)
            whole = (drive << (fine - fd)) + (y << (fine - fy)) - (self.u << (fine - fu))
            shift = [s for first, s in plan.step_shift if first <= n][-1]
            stepped = self.u + round_shift(whole, fine - fu + shift, plan.membrane.rounding)
            self.u = np.asarray(overflowed(stepped, plan.membrane))
        return (framed - self.phi @ transfer(self.u, plan)).reshape(x.shape[0], x.shape[1] + 2 * m, x.shape[2] + 2 * m)


@st.composite
def designs(draw: Any) -> tuple[Design, int]:
    """Any geometry, format, transfer and step schedule; half of them with the usual formats, which take the 32-bit
    loops."""
    stride = draw(st.sampled_from([1, 2, 3, 4]))
    patch = stride + 2 * draw(st.integers(0, 4))
    sheet = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    usual, two_sided = draw(st.booleans()), draw(st.booleans())
    keys: dict[str, Any] = {}
    if not usual:
        modes = st.sampled_from([f":{r}{o}" for r in ROUNDINGS for o in ("", ":wrap")])
        fw, fy, fu = draw(st.integers(3, 9)), draw(st.integers(3, 9)), draw(st.integers(6, 16))
        kind = "s" if two_sided or draw(st.booleans()) else "u"
        keys = {"weight": f"s{fw + draw(st.integers(1, 2))}.{fw}", "code": f"{kind}{fy + 2}.{fy}{draw(modes)}",
                "membrane": f"s{fu + draw(st.integers(1, 3))}.{fu}{draw(modes)}"}  # fmt: skip
    first = draw(st.integers(2, 5))
    design = Design(
        image=(sheet[0] * stride, sheet[1] * stride), channels=draw(st.integers(1, 3)), kernels=draw(st.integers(1, 5)),
        patch=patch, stride=stride, preprocess="none", threshold=draw(st.sampled_from([0.05, 0.1, 0.3])),
        transfer=draw(st.sampled_from(["hard", "soft"])), two_sided=two_sided, schedule="gram", tiles=(1, 1),
        gather_lanes=1, step_shift=draw(st.sampled_from([first, ((0, first), (3, 2), (6, 4))])),
        drive_accumulator=draw(st.sampled_from([0, 0, 12, 20])), **keys,
    )  # fmt: skip
    return design, draw(st.integers(0, 10**6))


def network(design: Design, seed: int) -> tuple[GramNetwork, np.ndarray]:
    """A network with a random dictionary, and two frames."""
    weights = quantise(Dictionary.random(design.geometry, seed).atoms, design.formats.weight)
    plan = Plan.of(design, weights)
    images = np.random.default_rng(seed).standard_normal((2, *design.geometry.image_shape)) * 0.4
    return GramNetwork(plan, weights), plan.quantise_image(images)


@settings(max_examples=60, deadline=None)
@given(designs())
def test_every_word_equals_the_dense_network_with_the_exact_residual(drawn: tuple[Design, int]) -> None:
    design, seed = drawn
    try:
        design.check_machine()
    except InputError:
        assume(False)
    net, images = network(design, seed)
    dense, g = Dense(net.plan, net.weights), design.geometry
    for n, (image, steps) in enumerate(zip(images, (9, 5), strict=True)):  # cold, then warm
        run = net.frame(image, steps, warm=n > 0)
        residual = dense.frame(image, steps)
        assert (run.membrane.reshape(-1) == dense.u).all()
        assert (run.code.reshape(-1) == transfer(dense.u, net.plan)).all()
        assert (net.r == residual).all()
        m = g.margin
        assert (run.residual == residual[:, m : m + g.image[0], m : m + g.image[1]]).all()
        drive = wrap(net.d.astype(np.int64).reshape(-1), net.plan.drive_width, True)
        frame = residual.reshape(-1)
        exact = np.moveaxis((dense.phi.T @ frame).reshape(g.code_shape), 0, -1).reshape(-1)
        assert (drive == wrap(exact, net.plan.drive_width, True)).all()


def test_both_updates_are_drawn() -> None:
    quick, _ = network(USUAL, 0)
    general, _ = network(USUAL.replace(membrane="s14.12:floor"), 0)
    assert quick._quick is not None and general._quick is None
    narrow, _ = network(USUAL.replace(drive_accumulator=16), 0)
    assert narrow._quick is not None and narrow._quick.spare == 16


USUAL = Design(
    image=(16, 16), kernels=3, patch=6, stride=2, tiles=(1, 1), gather_lanes=3, threshold=0.1, step_shift=3,
    preprocess="none", schedule="gram",
)  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.integers(1, 2), st.integers(1, 4), st.integers(0, 4), st.integers(0, 10**6))
def test_the_table_is_phi_transposed_phi(kernels: int, channels: int, stride: int, grow: int, seed: int) -> None:
    patch = stride + 2 * grow
    rng = np.random.default_rng(seed)
    weights = rng.integers(-127, 128, (kernels, channels, patch, patch))
    found = Overlap.of(weights, stride)
    side, n = 2 * found.reach + 1, found.reach
    assert found.words == kernels**2 * (2 * -(-patch // stride) - 1) ** 2
    phi = extended_phi(Geometry((stride * side, stride * side), channels, kernels, patch, stride), weights)
    gram = (phi.T @ phi).reshape(kernels, side, side, kernels, side, side)
    assert (np.moveaxis(gram[:, n, n], 1, -1) == found.entries).all()
    assert (found.entries == found.entries[:, ::-1, ::-1].transpose(3, 1, 2, 0)).all()
    kept = {min((k, i, j, m), (m, side - 1 - i, side - 1 - j, k)) for k, i, j, m in np.ndindex(found.entries.shape)}
    assert found.distinct_words == len(kept)
    half = 1 << (found.width - 1)
    assert -half <= found.entries.min() and found.entries.max() < half
    assert found.bits == found.words * found.width
    wide = rng.integers(-(2**23) + 1, 2**23, weights.shape)  # beyond what float64 sums exactly
    wide.flat[0] = 2**23 - 1
    phi = extended_phi(Geometry((stride * side, stride * side), channels, kernels, patch, stride), wide)
    gram = (phi.T @ phi).reshape(kernels, side, side, kernels, side, side)
    assert (np.moveaxis(gram[:, n, n], 1, -1) == Overlap.of(wide, stride).entries).all()


def test_the_drive_bound_is_reached_and_never_left() -> None:
    """Over all corners of a tiny network: the bound holds at each, and a dictionary of one pixel reaches it."""
    single = Overlap.of(np.array([[[[5]]], [[[-3]]]]), 1)
    low, high = single.drive_bound(np.array([[[[5]]], [[[-3]]]]), (-8, 7), 2, (0, 10))
    values = [
        w * (x << 2) - w * (5 * y0 - 3 * y1) for w in (5, -3) for x in (-8, 7) for y0 in (0, 10) for y1 in (0, 10)
    ]
    assert (low, high) == (min(values), max(values))
    net, images = network(USUAL, 4)
    run = net.frame(images[0], 30)
    assert run.counts.code_events > 50
    half = 1 << (net.plan.drive_width - 1)
    assert -half <= net.d.min() and net.d.max() < half


def test_counts_by_hand_from_the_codes_of_each_step() -> None:
    net, images = network(USUAL, 1)
    whole = net.frame(images[0], 8)
    code, events, products, active = np.zeros(USUAL.geometry.code_shape, int), [], [], []
    for steps in range(1, 9):
        after = network(USUAL, 1)[0].frame(images[0], steps).code
        changed = np.argwhere(after != code)
        reach = [sum(1 for n in range(8) if abs(n - i) <= 2) for i in range(8)]
        events.append(len(changed))
        products.append(sum(3 * reach[i] * reach[j] for _, i, j in changed))
        active.append(np.count_nonzero(after))
        code = after
    assert whole.steps.code_events.tolist() == events and sum(events) > 30
    assert whole.steps.macs.tolist() == products and whole.steps.active.tolist() == active
    assert whole.counts.gram_macs == sum(products) and whole.counts.code_events == sum(events)
    assert whole.counts.load_macs == sum(
        3 * sum(0 <= y + 2 - 2 * i < 6 for i in range(8)) * sum(0 <= x + 2 - 2 * j < 6 for j in range(8))
        for _, y, x in np.argwhere(images[0])
    )
    assert whole.counts.macs == whole.counts.gram_macs + whole.counts.load_macs
    assert whole.steps.residual_events.sum() == whole.counts.link_events == 0 and whole.cycles is None
    assert whole.steps.update_positions.sum() == whole.counts.update_positions > 0
    assert whole.steps.percent_error[-1] == pytest.approx(
        100 * np.linalg.norm(whole.residual_float) / np.linalg.norm(images[0] * net.plan.input.scale)
    )


def test_too_large_a_table_is_refused_in_one_line() -> None:
    with pytest.raises(InputError, match=r"needs K\^2 \(2 ceil\(p/s\) - 1\)\^2 = 1\d+ words .* use fewer kernels"):
        Overlap.of(np.zeros((512, 1, 64, 64), np.int64), 2)


def test_a_settled_frame_is_the_longer_one_cut_off() -> None:
    design = USUAL.replace(threshold=0.3, settle=3)
    net, images = network(design, 2)
    run = net.frame(images[0], 500)
    assert run.settled and SETTLE_DELAY + 3 < run.counts.steps == len(run.steps.active) < 500
    known = run.steps.code_events[:-SETTLE_DELAY]  # what every tile of a mesh would have heard of
    assert known[:-3].any() and not known[-3:].any()
    whole = network(design.replace(settle=0), 2)[0].frame(images[0], run.counts.steps)
    assert (run.membrane == whole.membrane).all() and (run.code == whole.code).all() and not whole.settled


def test_no_steps_are_refused() -> None:
    net, images = network(USUAL, 0)
    with pytest.raises(InputError, match="dynamics.steps must be at least 1, not 0"):
        net.frame(images[0], 0)
