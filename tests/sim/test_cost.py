"""Costs: a small case by hand, sums, halving, monotone nodes, and the block count of the machine that was measured."""

from dataclasses import fields, replace

import numpy as np
import pytest

from striate.golden.dictionary import Dictionary
from striate.golden.geometry import Geometry
from striate.sim.cost import clock_units, cost, memory_bits
from striate.sim.design import Design
from striate.sim.machine import simulate
from striate.sim.mapping.resources import DEVICES, memory_blocks, resources
from striate.sim.plan import Plan
from striate.sim.run import Run
from striate.sim.tech import ASIC_45NM, FPGA_40NM, NODES_NM, TECHNOLOGIES, Number, Technology, node_scale
from striate.sim.traffic import event_bits


@pytest.fixture(scope="module")
def run() -> Run:
    """Two tiles, three steps: 8x16 pixels, 2 kernels 4x4 at stride 2, blocks of 4x4 positions."""
    design = Design(
        image=(8, 16),
        kernels=2,
        patch=4,
        stride=2,
        tiles=(1, 2),
        gather_lanes=2,
        scatter_lanes=4,
        detect_lanes=4,
        steps=3,
        step_shift=1,
        threshold=0.02,
        residual_accumulator=18,
        drive_accumulator=19,
    )
    image = np.random.default_rng(0).normal(0, 0.3, (1, 8, 16))
    dictionary = Dictionary.random(Geometry((8, 16), 1, 2, 4, 2), seed=1)
    return simulate(image, design, dictionary=dictionary)


def test_hand_computed(run: Run) -> None:
    """2 tiles, 3 steps; every factor counted with pencil and paper from the geometry."""
    n, bits = run.counts, memory_bits(run)
    assert n.steps == 3 and n.link_events > 0 and n.gather_macs > 0 and n.scatter_macs > 0
    # every one of 2 x 16 positions, 3 times; 3 scans of 2 x 10 rows of 3 words
    assert n.update_positions == 96 and n.detect_words == 180
    # U: 14 bits, 2 kernels. Read and written per update (96), read by the drain (32 positions), cleared once (32)
    assert bits["U"] == 96 * 2 * 2 * 14 + 32 * 2 * 14 + 32 * 2 * 14
    # D: 19 bits; 1 position of 2 kernels a cycle
    assert bits["D"] == 96 * 2 * 19 + n.gather_issues * 2 * 19 + n.gather_macs * 19 + 32 * 2 * 19
    # R: 18 bits; each tile keeps 8 rows x 9 columns of the image; 2 tiles x 10 rows x 3 words x 4 pixels are cleared
    assert bits["R"] == (n.scatter_issues * 4 + n.scatter_macs + 180 * 4 + 2 * 2 * 72 + 2 * 10 * 3 * 4) * 18
    assert bits["r~"] == (180 * 4 + n.residual_events + 2 * 10 * 3 * 4) * 8
    assert bits["weights"] == (n.gather_issues + n.scatter_issues) * 4 * 8
    assert event_bits(run.plan) == 1 + 2 + 2 + 9 + 8
    assert bits["event stores"] == (n.code_events + n.link_events + n.scattered_events) * 22
    priced = cost(run, 100.0, ASIC_45NM)
    assert priced is not None
    rows = {row.component: row.energy_pj.typical for row in priced.rows}
    assert rows["gather: multiply"] == pytest.approx(n.gather_macs * 8 * 9 / 64 * 0.2)
    assert rows["gather: accumulate"] == pytest.approx(n.gather_macs * 19 * 0.03 / 8)
    assert rows["update: every membrane, every step"] == pytest.approx(96 * 2 * 4 * 19 * 0.03 / 8)
    assert rows["memory U"] == pytest.approx(bits["U"] * 10 / 64)
    assert rows["links between tiles"] == pytest.approx(n.link_events * 22 * 20.74 / 256 / 0.659)
    assert run.cycles is not None
    assert priced.latency_ms == pytest.approx(run.cycles.frame / 100e3)


@pytest.mark.parametrize("technology", TECHNOLOGIES.values(), ids=str)
def test_parts_sum_to_total(run: Run, technology: Technology) -> None:
    priced = cost(run, 80.0, technology)
    assert priced is not None
    for edge in ("low", "typical", "high"):
        total = getattr(priced.energy_pj, edge)
        assert total == pytest.approx(sum(getattr(row.energy_pj, edge) for row in priced.rows))
        assert total == pytest.approx(sum(getattr(band, edge) for band in priced.by_group().values()))
    assert priced.power_mw.typical == pytest.approx(priced.energy_pj.typical * 1e-9 / (priced.latency_ms * 1e-3))


@pytest.mark.parametrize("technology", TECHNOLOGIES.values(), ids=str)
def test_halving_a_number_halves_its_rows(run: Run, technology: Technology) -> None:
    before = cost(run, 80.0, technology)
    assert before is not None
    for key, number in technology.numbers().items():
        halved: dict[str, Number] = {key: number.scaled(0.5)}
        after = cost(run, 80.0, replace(technology, **halved))  # type: ignore[arg-type]
        assert after is not None
        assert any(row.key == key for row in after.rows), key
        for old, new in zip(before.rows, after.rows, strict=True):
            assert new.energy_pj.typical == pytest.approx(old.energy_pj.typical * (0.5 if old.key == key else 1.0))


def test_every_number_has_unit_node_source_and_an_ordered_band() -> None:
    for technology in TECHNOLOGIES.values():
        for key, number in technology.numbers().items():
            assert number.unit and len(number.source) > 20 and number.node_nm == technology.node_nm, key
            assert 0 < number.band.low <= number.band.typical <= number.band.high, key
        absent = [f.name for f in fields(technology) if getattr(technology, f.name) is None]
        assert len(absent) == len(technology.missing)


def test_nodes_are_monotone() -> None:
    nodes = range(7, 46)
    factors = [node_scale(45, node) for node in nodes]
    assert all(a < b for a, b in zip(factors, factors[1:], strict=False))
    for node, factor in NODES_NM.items():
        assert node_scale(45, node) == pytest.approx(factor)


def test_other_schedules_are_no_machine(run: Run) -> None:
    assert cost(replace(run, cycles=None), 80.0) is None


def test_blocks() -> None:
    assert [memory_blocks(*size) for size in ((512, 36), (513, 36), (512, 112), (1024, 18), (2048, 9), (100, 1))] == [
        1,
        2,
        4,
        1,
        1,
        1,
    ]


def test_the_measured_tile() -> None:
    """32x64 pixels, 8@2, 16 gather lanes, synthesised for an ECP5: U 4, D 10, R 4, r~ 2, w 4 block RAMs, 16 DSPs."""
    plan = Plan.of(Design(residual_accumulator=18, drive_accumulator=19), np.zeros((8, 1, 16, 16), np.int64))
    found = resources(plan)
    assert [m.blocks for m in found.memories] == [4, 10, 4, 2, 4]
    assert (found.blocks, found.multipliers) == (192, 128)
    assert found.fits(DEVICES["ulx3s-85f"]) and not found.fits(DEVICES["ulx3s-45f"])
    assert clock_units(plan, FPGA_40NM) == 16
