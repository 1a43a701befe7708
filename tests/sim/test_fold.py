"""Folding: services that add up to the run's counts, a frame by hand, monotone in the memory, and its refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from striate.golden.dictionary import Dictionary
from striate.golden.errors import InputError
from striate.golden.images import load_image
from striate.sim.design import Design
from striate.sim.machine import simulate
from striate.sim.mapping.fold import Folded, Services, check_fold, folded, legal_meshes, services
from striate.sim.mapping.graph import plan_of
from striate.sim.mapping.resources import resources
from striate.sim.mapping.space import weights_of
from striate.sim.timing import HAZARD, SCATTER_FILL

DESIGN = Design(image=(32, 32), kernels=4, patch=6, stride=2, tiles=(4, 4), gather_lanes=8, scatter_lanes=4,
                detect_lanes=4, steps=10, step_shift=3, threshold=0.02)  # fmt: skip
DICTIONARY = Dictionary.random(DESIGN.geometry, seed=5)
WIDE = 10**9  # bits a clock: a transfer takes one clock


@pytest.fixture(scope="module")
def served() -> Services:
    plan = plan_of(DESIGN, DICTIONARY)
    image = load_image("camera", crop=(104, 212), size=(32, 32))
    return services(plan, weights_of(DESIGN, DICTIONARY), plan.quantise_image(image), 10)


def test_services_add_up_to_the_run(served: Services) -> None:
    n, t = served.run.counts, served.plan.tiling
    assert served.read.sum() == served.written.sum() == n.scattered_events == n.code_events + n.link_events > 0
    beyond = served.scatter.sum() - n.scatter_issues  # a fill a source, and waits of less than the hazard distance
    most = int(np.minimum(served.read, 9).sum())
    assert 0 < beyond <= SCATTER_FILL * most + (HAZARD - 1) * (n.scattered_events - most)
    assert (served.update >= t.positions).all() and served.gather.shape == (10, 16)
    assert (served.gather >= t.sent_depth).all() and served.gather.sum() >= n.gather_issues + n.gather_pauses


def test_the_words_are_those_of_any_other_mapping(served: Services) -> None:
    """Folding reorders integer sums only; the logical run is the folded one's result."""
    image = load_image("camera", crop=(104, 212), size=(32, 32))
    for schedule, tiles in (("delta", (1, 1)), ("skip", (4, 4))):
        run = simulate(image, DESIGN.replace(schedule=schedule, tiles=tiles), dictionary=DICTIONARY)
        assert np.array_equal(run.code, served.run.code) and np.array_equal(run.membrane, served.run.membrane)
        assert np.array_equal(run.residual, served.run.residual)


def test_one_physical_tile_by_hand(served: Services) -> None:
    """One tile, one buffer, one clock a transfer: the visits' work and 4 clocks each, waiting for nobody but itself."""
    found = folded(served, (1, 1), memory_bits_per_clock=WIDE)
    t, active = served.plan.tiling, np.count_nonzero(served.run.code, axis=0)
    kept = sum((y1 - y0) * (x1 - x0) for y0, y1, x0, x1 in map(t.inside, range(16)))
    work = int(served.gather.sum() + served.update.sum() + served.scatter.sum())
    work += 10 * 16 * (1 + 5 + 1 + 8 - 1)  # found, flush, first cycle of update, its fill
    work += 10 * 16 * (9 + 1 + 6)  # the sources looked at, found, flush
    work += 16 * (t.clear_cycles + 7) + kept + 16 * 8 + int(np.maximum(1, active).sum())
    reads, writes = int(np.count_nonzero(served.read)), int(np.count_nonzero(served.written))
    transfers = 2 * 11 * 16 + reads + writes
    waits = found.cycles - work - transfers
    assert 0 <= waits <= 2 * 10  # a step's first visit may begin two clocks after the last one's events were written
    assert found.step_end.shape == (10, 16) and (np.diff(found.step_end.ravel()) > 0).all()


@given(
    mesh=st.sampled_from(legal_meshes((4, 4))), bits=st.integers(1, 600), more=st.integers(0, 600),
    buffers=st.sampled_from([1, 2]),
)  # fmt: skip
@settings(max_examples=40)
def test_more_memory_is_never_slower(
    served: Services, mesh: tuple[int, int], bits: int, more: int, buffers: int
) -> None:
    slow = folded(served, mesh, memory_bits_per_clock=bits, buffers=buffers)
    fast = folded(served, mesh, memory_bits_per_clock=bits + more, buffers=buffers)
    endless = folded(served, mesh, memory_bits_per_clock=WIDE, buffers=buffers)
    assert endless.cycles <= fast.cycles <= slow.cycles
    assert (fast.step_end <= slow.step_end).all()
    traffic = sum(slow.read_bits.values()) + sum(slow.written_bits.values())
    assert slow.cycles * bits >= traffic and 0 < slow.memory_share <= 1.01
    assert slow.read_bits == endless.read_bits and slow.outside_bits == endless.outside_bits


def test_traffic_by_hand(served: Services) -> None:
    """Every step loads and stores every block; the closing visit reads U and R and writes R."""
    found, plan = folded(served, (2, 2)), served.plan
    t = plan.tiling
    neurons, region = 16 * 4, t.region[0] * t.region[1]
    u, d, r, s = neurons * 14, neurons * plan.drive_width, region * 18, region * 8
    assert found.read_bits["D"] == 16 * 9 * d and found.written_bits["D"] == 16 * 10 * d
    assert found.read_bits["U"] == 16 * 10 * u and found.written_bits["U"] == 16 * 10 * u
    assert found.read_bits["R"] == 16 * 10 * r and found.written_bits["R"] == 16 * 11 * r
    assert found.read_bits["r~"] == 16 * 9 * s and found.written_bits["r~"] == 16 * 10 * s
    event = 2 + 2 + 2 + 9
    assert found.read_bits["events"] == found.written_bits["events"] == served.read.sum() * event
    most = int(served.written.sum(axis=1).max())
    assert found.outside_bits == 16 * (u + d + r + s) + 2 * most * event
    assert found.words == (-(-sum(found.read_bits.values()) // 32), -(-sum(found.written_bits.values()) // 32))
    assert found.frames_per_second(80) == 80e6 / found.cycles


def test_what_is_on_the_chip(served: Services) -> None:
    one, two = (folded(served, (2, 1), buffers=n).on_chip for n in (1, 2))
    whole = resources(served.plan)
    assert one.blocks * 8 == whole.blocks and one.multipliers * 8 == whole.multipliers and one.tiles == 2
    weights = next(m.blocks for m in whole.memories if m.name == "weights")
    assert two.blocks == 2 * one.blocks - 2 * weights and two.multipliers == one.multipliers


def test_two_buffers_hide_the_memory_behind_the_work(served: Services) -> None:
    """With work and transfers alike, what is hidden is nearly the smaller of the two."""
    for mesh in ((1, 1), (2, 2)):
        one, two = (folded(served, mesh, memory_bits_per_clock=64, buffers=n) for n in (1, 2))
        endless = folded(served, mesh, memory_bits_per_clock=WIDE)
        assert endless.cycles < two.cycles < one.cycles
        assert isinstance(two, Folded) and two.memory_share > one.memory_share


def test_a_larger_mesh_is_faster_when_memory_is_not_the_limit(served: Services) -> None:
    cycles = [folded(served, mesh, memory_bits_per_clock=WIDE).cycles for mesh in ((1, 1), (2, 1), (2, 2), (4, 2))]
    assert cycles == sorted(cycles, reverse=True) and cycles[-1] < cycles[0] / 3


@pytest.mark.parametrize(
    ("mesh", "bits", "buffers", "said"),
    [
        ((3, 2), 32, 1, r"the fold \[3, 2\] does not divide machine.tiles \[4, 4\]; use \[2, 2\]"),
        ((8, 4), 32, 1, r"the fold \[8, 4\] does not divide machine.tiles \[4, 4\]; use \[2, 4\]"),
        ((0, 1), 32, 1, r"the fold \[0, 1\] does not divide machine.tiles \[4, 4\]; use \[1, 1\]"),
        ((4, 4), 32, 1, r"the fold \[4, 4\] is the mesh itself; use \["),
        ((2, 2), 0, 1, "the memory outside must move at least 1 bit a clock, not 0; use 32"),
        ((2, 2), 32, 3, "a physical tile has 1 or 2 buffers, not 3; with 2 it loads a block while it works"),
    ],
)
def test_refusals(served: Services, mesh: tuple[int, int], bits: int, buffers: int, said: str) -> None:
    with pytest.raises(InputError, match=said):
        folded(served, mesh, memory_bits_per_clock=bits, buffers=buffers)


def test_one_tile_cannot_be_folded() -> None:
    with pytest.raises(InputError, match=r"machine.tiles \[1, 1\] is one tile: nothing can be folded; use more tiles"):
        check_fold((1, 1), (1, 1), 32, 1)
    assert legal_meshes((2, 3)) == [(1, 1), (1, 3), (2, 1)]


def test_an_unknown_board_is_refused(served: Services) -> None:
    with pytest.raises(InputError, match="target.board must be one of"):
        folded(served, (2, 2), device="foo")


def test_channels_and_odd_strides() -> None:
    """Services hold for another geometry: 2 channels, stride 3."""
    design = DESIGN.replace(image=(24, 36), channels=2, patch=5, stride=3, tiles=(2, 3), gather_lanes=4, steps=5)
    dictionary = Dictionary.random(design.geometry, seed=1)
    plan = plan_of(design, dictionary)
    image = np.random.default_rng(2).normal(0, 0.3, (2, 24, 36))
    found = services(plan, weights_of(design, dictionary), plan.quantise_image(image), 5)
    assert found.read.sum() == found.run.counts.scattered_events > 0
    assert folded(found, (1, 1)).cycles > folded(found, (2, 1), memory_bits_per_clock=64).cycles


def test_a_refresh_is_not_folded() -> None:
    design = DESIGN.replace(refresh=5)
    image = np.zeros((1, 32, 32), np.int64)
    with pytest.raises(InputError, match=r"machine.refresh 5 is not modelled on folded tiles; use machine.refresh = 0"):
        services(plan_of(design, DICTIONARY), weights_of(design, DICTIONARY), image, 10)
