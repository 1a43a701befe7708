"""Budgets: blocks by hand on each family, against what synthesis took, and what is said when something is over."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import striate
from striate.golden.dictionary import Dictionary, shipped
from striate.golden.errors import InputError
from striate.sim.design import Design
from striate.sim.fixed import quantise
from striate.sim.mapping.blocks import choose
from striate.sim.mapping.devices import DEVICES, Device, device_of
from striate.sim.mapping.estimate import features
from striate.sim.mapping.resources import (
    Budget,
    budget,
    lane_multipliers,
    lut_estimate,
    memory_blocks,
    resources,
    store_bits,
)
from striate.sim.plan import Plan

WEIGHTS = np.zeros((8, 1, 16, 16), np.int64)
MEASURED = Design(residual_accumulator=18, drive_accumulator=19)


def plan_of(**keys: object) -> Plan:
    design = MEASURED.replace(keys)
    return Plan.of(design, np.zeros(design.geometry.dictionary_shape, np.int64))


ECP5, UP5K, GOWIN = DEVICES["ulx3s-85f"], DEVICES["icebreaker"], DEVICES["tangnano9k"]


def test_blocks_of_each_family_by_hand() -> None:
    assert memory_blocks(256, 16, UP5K) == 1 and memory_blocks(257, 16, UP5K) == 2
    assert memory_blocks(512, 112, UP5K) == 14  # 512 x 8
    assert memory_blocks(2048, 2, UP5K) == 1 and memory_blocks(2048, 3, UP5K) == 2
    assert memory_blocks(512, 36, ECP5) == memory_blocks(512, 36, GOWIN) == 1
    assert {device.block_bits for device in DEVICES.values()} == {18_432, 4_096}
    for device in DEVICES.values():
        assert all(words * bits <= device.block_bits for words, bits in device.block_shapes)
        assert len(device.source) > 20


def test_write_enables_take_whole_bytes() -> None:
    """A block has an enable for each 9 bits: a lane of 19 bits takes three, one of 10 two; an iCE40's for each bit."""
    assert memory_blocks(64, 152, lanes=1) == 5 and memory_blocks(64, 152, lanes=8) == 6  # D of 8 groups of 19 bits
    assert memory_blocks(512, 64, lanes=8) == 2 and memory_blocks(512, 80, lanes=8) == 4 > memory_blocks(512, 80)
    assert memory_blocks(16_384, 4, lanes=4) == 4 and memory_blocks(8192, 6, lanes=2) == 4  # 8192 x 2, a block a lane
    assert memory_blocks(4096, 8, lanes=2) == 2
    assert [memory_blocks(n, 36, UP5K, lanes) for n in (256, 512) for lanes in (1, 2)] == [3, 3, 5, 5]


def test_blocks_share_what_a_deep_memory_leaves_over() -> None:
    """Two ranges of 256 words of 40 bits are 80 bits: five blocks of 16, not three for each; three of 9 are two."""
    assert memory_blocks(512, 40, UP5K) == 5 < 2 * -(-40 // 16)
    assert memory_blocks(600, 9, UP5K) == 2 < 3 * -(-9 // 16)


@pytest.mark.parametrize(
    ("words", "bits", "device", "kind", "count"),
    [
        (16, 16, ECP5, "lut", 4), (32, 28, ECP5, "lut", 14), (64, 152, ECP5, "block", 5), (2048, 9, ECP5, "block", 1),
        (2, 1, ECP5, "register", 2), (4, 12, UP5K, "register", 48), (16, 14, UP5K, "block", 1),
        (16, 18, UP5K, "block", 2), (16, 16, GOWIN, "lut", 4), (512, 36, GOWIN, "block", 1),
    ],
)  # fmt: skip
def test_small_memories_are_no_blocks(words: int, bits: int, device: Device, kind: str, count: int) -> None:
    """A block is priced at 128 look-up tables (64 on an iCE40), a 16 x 4 memory of them at 4, a flip-flop at 1."""
    found = choose(words, bits, device)
    assert (found.kind, found.count) == (kind, count) and found.blocks == (count if kind == "block" else 0)


def test_devices_are_their_data_sheets() -> None:
    counts = {board: (d.lut, d.blocks, d.multipliers) for board, d in DEVICES.items()}
    assert counts["icebreaker"] == (5280, 30, 8) and DEVICES["icebreaker"].single_port_bits == 1 << 20
    assert counts["orangecrab-25f"] == counts["ulx3s-25f"] == (24_288, 56, 28)
    assert counts["ulx3s-45f"] == (43_848, 108, 72)
    assert counts["orangecrab-85f"] == counts["ulx3s-85f"] == (83_640, 208, 156)
    assert counts["zynq-7020"] == (53_200, 280, 220) and DEVICES["zynq-7020"].memory_bits == 140 * 36_864


RUNS = json.loads((Path(striate.__file__).parent / "benchmarks" / "results" / "synthesis.json").read_text())["runs"]


def run_plan(run: dict[str, Any]) -> Plan:
    design = Design(**{key: tuple(v) if isinstance(v, list) else v for key, v in run["keys"].items()})
    try:
        dictionary = shipped(design.network.kernels, design.network.patch, design.network.stride)
    except InputError:
        dictionary = Dictionary.random(design.geometry, seed=0)
    return Plan.of(design, np.asarray(quantise(dictionary.atoms, design.formats.weight), np.int64))


@pytest.mark.parametrize("run", RUNS, ids=[run["name"] for run in RUNS])
def test_counts_are_those_of_real_runs(run: dict[str, Any]) -> None:
    """Blocks and multipliers to the last, cells as near as `docs/synthesis.md` says, on every committed synthesis."""
    found = resources(run_plan(run), DEVICES[run["board"]])
    assert (found.all_blocks, found.multipliers) == (run["used"]["bram"], run["used"]["dsp"])
    assert abs(found.lut / run["used"]["lut"] - 1) < 0.1 and abs(found.ff / run["used"]["ff"] - 1) < 0.1
    assert run["emulated"] == 0


def test_an_estimate_is_a_sum_over_tiles_and_a_board() -> None:
    one, many = (features(plan_of(image=size, tiles=tiles), ECP5) for size, tiles in
                 (((32, 32), (1, 1)), ((64, 128), (2, 4))))  # fmt: skip
    assert one["board"] == many["board"] == 1 and many["tiles"] == 8 * one["tiles"]
    assert many["gather_bits"] == 8 * one["gather_bits"]
    assert many["links"] == 8 * 9 * one["links"]  # the inner tiles of 2 x 4 have all eight links
    assert lut_estimate(plan_of()) * plan_of().tiling.count == pytest.approx(resources(plan_of()).lut, abs=8)


def test_stores_take_what_the_mesh_has_of_links() -> None:
    assert store_bits(plan_of()) == 9 * 16 * (3 + 4 + 5 + 9)
    assert store_bits(plan_of(tiles=(4, 1))) == 3 * 16 * (3 + 4 + 6 + 9)
    assert store_bits(plan_of(tiles=(1, 1))) == 16 * (3 + 6 + 6 + 9)
    names = {m.name for m in resources(plan_of(), UP5K).memories} - {m.name for m in resources(plan_of()).memories}
    assert names == {"events", "queue"}  # blocks, read half a clock later


def test_a_lane_takes_more_than_one_multiplier_where_operands_are_wide() -> None:
    wide = Plan.of(MEASURED.replace(residual="s24.23", residual_accumulator=48, drive_accumulator=48), WEIGHTS)
    assert lane_multipliers(wide, DEVICES["ulx3s-85f"]) == 2 and lane_multipliers(wide, DEVICES["zynq-7020"]) == 1
    assert lane_multipliers(plan_of(), DEVICES["icebreaker"]) == 1
    assert resources(wide).multipliers == 2 * resources(plan_of()).multipliers


def test_budget_says_what_is_over_and_by_how_much() -> None:
    found = budget(plan_of(tiles=(4, 4), gather_lanes=16, scatter_lanes=8), "ulx3s-85f")
    over = found.resources.all_blocks - 208
    assert found.blocks_over == over > 0 and found.bits_over == over * 18_432
    assert found.multipliers_over == 256 - 156
    assert not found.fits and found.largest.name == "D"
    assert (
        f"{found.resources.all_blocks} of 208 18-kbit blocks, {over} over ({over * 18_432:,} bits; most for memory D"
        in (found.reason)
    )
    assert "256 of 156 multipliers, 100 over" in found.reason
    fits = budget(plan_of(), "orangecrab-85f")
    assert fits.fits and not fits.reason and not fits.blocks_over and not fits.lut_over
    few = Budget(replace(fits.device, flip_flops=fits.resources.ff - 1), fits.resources)
    assert few.ff_over == 1 and not few.fits and "flip-flops (estimated)" in few.reason
    full = Budget(replace(fits.device, lut=fits.resources.lut + 1, flip_flops=10**6), fits.resources)
    assert full.fits and not full.comfortable and fits.comfortable
    small = Budget(replace(fits.device, lut=fits.resources.lut - 1), fits.resources)
    assert small.reason.endswith("LUT4 (estimated)")
    assert small.lut_over == 1 and not small.fits and small.resources.fits(small.device)


def test_unknown_boards_are_refused() -> None:
    with pytest.raises(InputError, match="target.board must be one of ulx3s-85f, .*icebreaker.*zynq-7020, not 'foo'"):
        device_of("foo")
    with pytest.raises(InputError, match="not 'bar'"):
        budget(plan_of(), "bar")


def test_the_input_kept_for_a_refresh_is_counted_once() -> None:
    """128x128 words of 10 bits: ten blocks of 16384 x 1, however many tiles there are."""
    for tiles, lanes in (((4, 1), 32), ((4, 2), 16)):
        keys = {"tiles": tiles, "gather_lanes": lanes}
        without, kept = (resources(plan_of(**keys, refresh=n)) for n in (0, 25))
        assert kept.all_blocks - without.all_blocks == 10
        assert kept.memories == without.memories
