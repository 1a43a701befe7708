"""Words by memory, products by kind, events by link: parts add up, and a machine that keeps count of itself agrees."""

from collections import Counter

import numpy as np
import pytest

from striate.golden.dictionary import Dictionary
from striate.sim.design import Design
from striate.sim.kernel import arithmetic, sent_residual
from striate.sim.machine import simulate
from striate.sim.run import Run
from striate.sim.traffic import Traffic, drain_traffic, event_bits, frame_traffic, load_traffic, step_traffic

DESIGN = Design(
    image=(8, 16), kernels=2, patch=4, stride=2, tiles=(1, 2), gather_lanes=2, scatter_lanes=4, detect_lanes=4, steps=6,
    step_shift=1, threshold=0.05, residual_accumulator=0, preprocess="none",
)  # fmt: skip
SCHEDULES = ("delta", "skip", "dense", "gram")


def run_of(schedule: str) -> Run:
    image = np.random.default_rng(0).normal(0, 0.3, (1, 8, 16))
    image[:, 3] = 0
    return simulate(image, DESIGN.replace(schedule=schedule), dictionary=Dictionary.random(DESIGN.geometry, seed=1))


def words(traffic: Traffic) -> dict[str, tuple[int, int]]:
    return {name: (int(np.sum(w.reads)), int(np.sum(w.writes))) for name, w in traffic.memories.items()}


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_steps_and_load_and_drain_are_the_frame(schedule: str) -> None:
    run = run_of(schedule)
    whole, steps = frame_traffic(run), step_traffic(run)
    parts = [words(part) for part in (steps, load_traffic(run), drain_traffic(run))]
    for name, (reads, writes) in words(whole).items():
        found = [part.get(name, (0, 0)) for part in parts]
        assert (reads, writes) == (sum(f[0] for f in found), sum(f[1] for f in found)), name
    assert set(words(whole)) == set().union(*parts)
    for w in steps.memories.values():
        assert all(np.shape(n) in ((), (6,)) for n in (w.reads, w.writes))
    assert sum(int(p.count) for p in whole.products.values()) == run.counts.macs > 0
    for kind, p in steps.products.items():
        on_load = load_traffic(run).products
        assert p.count.sum() + (on_load[kind].count if kind in on_load else 0) == whole.products[kind].count
    assert (steps.links.sum(axis=0) == whole.links).all() if schedule == "delta" else not whole.links.size
    assert whole.links.sum() == run.counts.link_events
    plain = whole.as_dict()
    assert [m["name"] for m in plain["memories"]] == list(whole.memories) and plain["links"]["bits"] == whole.link_bits


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_warm_frame_saves_the_clear_alone(schedule: str) -> None:
    run = run_of(schedule)
    cold, warm = words(frame_traffic(run)), words(frame_traffic(run, warm=True))
    cleared = {"delta": {"U": 64, "D": 64, "R": 240, "r~": 240}, "gram": {"U": 64, "D": 64}}.get(schedule, {"U": 64})
    for name, (reads, writes) in cold.items():
        assert warm[name] == (reads, writes - cleared.get(name, 0)), name


@pytest.mark.parametrize("schedule", ["skip", "dense"])
def test_a_loop_that_counts_itself_touches_the_same_words(schedule: str) -> None:
    """The equations once more, one word at a time, counting every read and write."""
    run, skip = run_of(schedule), schedule == "skip"
    g, a, reads, writes = DESIGN.geometry, arithmetic(run.plan), Counter(), Counter()
    assert run.steps.code_events.any()
    codes = codes_of_each_step(schedule)
    x = run.input << run.plan.input_shift
    taps = [
        (k, i, j, y, xx, run.dictionary[k, 0, y - 2 * i + 1, xx - 2 * j + 1])
        for k, i, j in np.ndindex(g.code_shape)
        for y in range(max(0, 2 * i - 1), min(8, 2 * i + 3))
        for xx in range(max(0, 2 * j - 1), min(16, 2 * j + 3))
    ]
    products = Counter()
    for code in codes[:-1]:  # the code that a step begins with
        residual = x.copy()
        reads["x"] += x.size
        writes["R"] += x.size
        reads["U"] += code.size
        for k, i, j, y, xx, w in taps:
            if not skip or code[k, i, j]:
                residual[0, y, xx] -= w * code[k, i, j]
                reads["R"], writes["R"], reads["weights"] = reads["R"] + 1, writes["R"] + 1, reads["weights"] + 1
                products["scatter"] += 1
        sent = np.array([sent_residual(int(r), a) for r in residual.ravel()]).reshape(residual.shape)
        reads["R"] += x.size
        writes["r~"] += x.size
        for k, _, _, y, xx, _ in taps:
            reads["r~"] += k == 0  # one read serves all kernels
            if not skip or sent[0, y, xx]:
                reads["weights"] += 1
                products["gather"] += 1
        writes["D"], reads["D"] = writes["D"] + code.size, reads["D"] + code.size
        reads["U"], writes["U"] = reads["U"] + code.size, writes["U"] + code.size
    found = step_traffic(run)
    assert words(found) == {name: (reads[name], writes[name]) for name in found.memories}
    assert {kind: int(p.count.sum()) for kind, p in found.products.items()} == dict(products)


def codes_of_each_step(schedule: str) -> list[np.ndarray]:
    """The codes before each step and after the last."""
    image = np.random.default_rng(0).normal(0, 0.3, (1, 8, 16))
    image[:, 3] = 0
    dictionary = Dictionary.random(DESIGN.geometry, seed=1)
    runs = [simulate(image, DESIGN.replace(schedule=schedule, steps=n), dictionary=dictionary) for n in range(1, 7)]
    return [np.zeros_like(runs[0].code), *(run.code for run in runs)]


def test_gram_by_hand() -> None:
    run = run_of("gram")
    codes, g = codes_of_each_step("gram"), DESIGN.geometry
    macs, events = 0, 0
    for before, after in zip(codes, codes[1:], strict=False):
        for _, i, j in np.argwhere(before != after):
            macs += 2 * len(range(max(0, i - 1), min(4, i + 2))) * len(range(max(0, j - 1), min(8, j + 2)))
            events += 1
    load = sum(
        2 * sum(0 <= y + 1 - 2 * i < 4 for i in range(4)) * sum(0 <= x + 1 - 2 * j < 4 for j in range(8))
        for _, y, x in np.argwhere(run.input)
    )
    assert events > 10 and run.input[:, 3].any() == 0
    assert words(frame_traffic(run)) == {
        "U": (6 * 64 + 64, 6 * 64 + 64),
        "D": (6 * 64 + macs + load, macs + load + 64),
        "G": (macs, 0),
        "weights": (load, 0),
        "event stores": (events, events),
    }
    p = frame_traffic(run).products
    assert (p["gram"].count, p["input"].count) == (macs, load)
    assert (p["gram"].right, p["input"].left, p["input"].total) == (9, 8, run.plan.drive_width)
    assert g.neurons == 64


def test_widths_are_the_plans() -> None:
    run = run_of("delta")
    found, p = frame_traffic(run), run.plan
    assert {name: w.width for name, w in found.memories.items()} == {
        "U": 14, "D": p.drive_width, "R": p.residual_width, "r~": 8, "weights": 8, "event stores": event_bits(p),
    }  # fmt: skip
    assert (found.products["gather"].right, found.products["scatter"].right) == (9, 9)
    dense = frame_traffic(run_of("dense")).products
    assert (dense["gather"].right, dense["scatter"].right) == (8, 9)  # r~ itself, and a code as a signed number
