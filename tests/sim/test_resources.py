"""Budgets: blocks by hand on each family, against what synthesis took, and what is said when something is over."""

from dataclasses import replace

import numpy as np
import pytest

from striate.golden.errors import InputError
from striate.sim.design import Design
from striate.sim.mapping.devices import BRAM18_SHAPES, DEVICES, ECP5_SHAPES, ICE40_SHAPES, device_of
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


def test_blocks_of_each_family_by_hand() -> None:
    assert memory_blocks(256, 16, ICE40_SHAPES) == 1 and memory_blocks(257, 16, ICE40_SHAPES) == 2
    assert memory_blocks(512, 112, ICE40_SHAPES) == 14  # 512 x 8
    assert memory_blocks(2048, 2, ICE40_SHAPES) == 1 and memory_blocks(2048, 3, ICE40_SHAPES) == 2
    assert memory_blocks(512, 36, BRAM18_SHAPES) == memory_blocks(512, 36, ECP5_SHAPES) == 1
    assert {device.block_bits for device in DEVICES.values()} == {18_432, 4_096}
    for device in DEVICES.values():
        assert all(words * bits <= device.block_bits for words, bits in device.block_shapes)
        assert len(device.source) > 20


def test_write_enables_take_whole_bytes() -> None:
    """A block has an enable for each 9 bits: a lane of 19 bits takes three, one of 10 two."""
    assert memory_blocks(64, 152, lanes=1) == 5 and memory_blocks(64, 152, lanes=8) == 6  # D of 8 groups of 19 bits
    assert memory_blocks(512, 64, lanes=8) == 2 and memory_blocks(512, 80, lanes=8) == 4 > memory_blocks(512, 80)
    assert memory_blocks(16_384, 4, lanes=4) == 4 and memory_blocks(8192, 6, lanes=2) == 4  # 8192 x 2, a block a lane
    assert memory_blocks(4096, 8, lanes=2) == 2
    assert (
        memory_blocks(256, 36, ICE40_SHAPES, 2, (1, 16)) == 3 and memory_blocks(512, 36, ICE40_SHAPES, 2, (1, 16)) == 6
    )


def test_devices_are_their_data_sheets() -> None:
    counts = {board: (d.lut, d.blocks, d.multipliers) for board, d in DEVICES.items()}
    assert counts["icebreaker"] == (5280, 30, 8) and DEVICES["icebreaker"].single_port_bits == 1 << 20
    assert counts["orangecrab-25f"] == counts["ulx3s-25f"] == (24_288, 56, 28)
    assert counts["ulx3s-45f"] == (43_848, 108, 72)
    assert counts["orangecrab-85f"] == counts["ulx3s-85f"] == (83_640, 208, 156)
    assert counts["zynq-7020"] == (53_200, 280, 220) and DEVICES["zynq-7020"].memory_bits == 140 * 36_864


# cells (LUT4 + 2 CCU2C + 6 TRELLIS_DPR16X4), DP16KD and MULT18X18D after synth_ecp5 of the emitted tile
ONE = {"image": (16, 16), "tiles": (1, 1), "gather_lanes": 1, "scatter_lanes": 1, "detect_lanes": 1, "link_depth": 4}
FOUR = ONE | {"image": (32, 32), "gather_lanes": 4, "scatter_lanes": 4, "detect_lanes": 4}
SYNTHESISED = {
    "16 lanes": ({}, 6494, 24, 16),
    "deep links": ({"link_depth": 64}, 8042, 24, 16),
    "8 lanes": ({"gather_lanes": 8}, 5777, 17, 8),
    "32 lanes": ({"tiles": (2, 2), "gather_lanes": 32, "scatter_lanes": 16, "detect_lanes": 16}, 10_035, 47, 32),
    "32 kernels": ({"tiles": (2, 2), "kernels": 32, "gather_lanes": 32}, 12_336, 79, 32),
    "4 lanes": (FOUR, 4608, 17, 4),
    "1 lane": (ONE, 4109, 14, 1),
}


@pytest.mark.parametrize(("keys", "cells", "blocks", "multipliers"), SYNTHESISED.values(), ids=SYNTHESISED)
def test_counts_are_those_of_synthesis(keys: dict[str, object], cells: int, blocks: int, multipliers: int) -> None:
    plan = plan_of(**keys)
    found = resources(plan)
    assert found.blocks == plan.tiling.count * blocks
    assert found.multipliers == plan.tiling.count * multipliers
    assert found.lut == plan.tiling.count * lut_estimate(plan)
    assert abs(lut_estimate(plan) / 1.14 / cells - 1) < 0.085


def test_blocks_of_an_ice40_are_at_least_those_of_synthesis() -> None:
    """synth_ice40 mixes shapes within a memory: 45 blocks where 49 are counted."""
    counted = [resources(plan_of(**keys), DEVICES["icebreaker"]).blocks for keys in (ONE, FOUR)]
    assert counted == [32, 49]


def test_placed_tiles_are_near_the_estimate() -> None:
    """5,855 and 7,397 cells were placed for an earlier tile of this shape, which lacked flags and chains."""
    shallow, deep = (lut_estimate(plan_of(link_depth=depth)) for depth in (16, 64))
    assert 1.0 < shallow / 5_855 < 1.35 and 1.0 < deep / 7_397 < 1.35
    assert abs((deep - shallow) / (7_397 - 5_855) - 1) < 0.2


def test_stores_count_as_registers_without_lut_ram() -> None:
    plan = plan_of()
    assert store_bits(plan) == 9 * 16 * (3 + 4 + 5 + 9)
    assert lut_estimate(plan, DEVICES["icebreaker"]) - lut_estimate(plan) == pytest.approx(
        1.14 * (1.1 - 0.128) * store_bits(plan), abs=1
    )


def test_a_lane_takes_more_than_one_multiplier_where_operands_are_wide() -> None:
    wide = Plan.of(MEASURED.replace(residual="s24.23", residual_accumulator=48, drive_accumulator=48), WEIGHTS)
    assert lane_multipliers(wide, DEVICES["ulx3s-85f"]) == 2 and lane_multipliers(wide, DEVICES["zynq-7020"]) == 1
    assert lane_multipliers(plan_of(), DEVICES["icebreaker"]) == 1
    assert resources(wide).multipliers == 2 * resources(plan_of()).multipliers


def test_budget_says_what_is_over_and_by_how_much() -> None:
    found = budget(plan_of(tiles=(4, 4), gather_lanes=16, scatter_lanes=8), "ulx3s-85f")
    over = found.resources.blocks - 208
    assert found.blocks_over == over > 0 and found.bits_over == over * 18_432
    assert found.multipliers_over == 256 - 156
    assert not found.fits and found.largest.name == "D"
    assert (
        f"{found.resources.blocks} of 208 18-kbit blocks, {over} over ({over * 18_432:,} bits; most for memory D"
        in (found.reason)
    )
    assert "256 of 156 multipliers, 100 over" in found.reason and "(estimated)" in found.reason
    fits = budget(plan_of(), "orangecrab-85f")
    assert fits.fits and not fits.reason and not fits.blocks_over and not fits.lut_over
    small = Budget(replace(fits.device, lut=fits.resources.lut - 1), fits.resources)
    assert small.lut_over == 1 and not small.fits and small.resources.fits(small.device)


def test_unknown_boards_are_refused() -> None:
    with pytest.raises(InputError, match="target.board must be one of ulx3s-85f, .*icebreaker.*zynq-7020, not 'foo'"):
        device_of("foo")
    with pytest.raises(InputError, match="not 'bar'"):
        budget(plan_of(), "bar")
