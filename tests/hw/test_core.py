"""The core as a component: what it says of itself, what it refuses, and that it is made the same way every time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from striate.golden.dictionary import Dictionary
from striate.golden.errors import InputError
from striate.hw.core import Core, identity, parameter_ranges
from striate.hw.emit import CORE_FILE, core_verilog, quantised
from striate.hw.registers import register
from striate.hw.vectors import MOST_STEPS, small_frame
from striate.hw.verify_axi import fuzz_design
from striate.hw.verilog import to_rtlil
from striate.sim.design import Design
from striate.sim.machine import Machine
from striate.sim.plan import Plan

DESIGN = fuzz_design()


def plan_of(design: Design = DESIGN) -> Plan:
    return quantised(design, Dictionary.random(design.geometry, 2))[0]


def test_identity() -> None:
    plan = plan_of()
    found = identity(plan)
    assert found["GEOMETRY0"] == 8 << 16 | 8 and found["GEOMETRY1"] == 1 << 24 | 2 << 16 | 4 << 8 | 2
    assert found["WEIGHTS"] == len(plan.layout.beats(quantised(DESIGN, Dictionary.random(DESIGN.geometry, 2))[1]))
    assert 0 < found["DESIGN"] < 1 << 32 and identity(plan_of()) == found
    assert identity(plan_of(DESIGN.replace(threshold=0.2)))["DESIGN"] != found["DESIGN"]


def test_a_number_too_large_for_its_field_reads_255() -> None:
    plan = plan_of()
    many = replace(plan, tiling=replace(plan.tiling, geometry=replace(plan.tiling.geometry, kernels=300)))
    assert register("GEOMETRY1").field("kernels").of(identity(many)["GEOMETRY1"]) == 255


def test_codes_that_do_not_fit_are_refused() -> None:
    plan = plan_of(DESIGN.replace(code="s18.12", membrane="s20.14"))
    with pytest.raises(InputError, match="formats.code has 18 bits as a signed number, the core's stream of codes 16"):
        Core(plan)
    with pytest.raises(InputError, match="use a narrower code"):
        core_verilog(plan, 1)


def test_ranges_of_the_parameters() -> None:
    plan = plan_of()
    for name, (low, high, value) in parameter_ranges(plan).items():
        assert low <= value <= high, name
    assert parameter_ranges(plan)["THRESHOLD"][2] == plan.threshold_q


def test_core_for_a_board_holds_the_mesh_itself() -> None:
    """As a submodule, without the trace outputs; with ``observed`` they are ports."""
    plan = plan_of()
    text = to_rtlil(Core(plan), "core")
    assert "cell \\striate_tile" in text and "trace_" not in text
    observed = Core(plan, observed=True)
    assert "trace_1_phase" in observed.signature.members
    assert "trace_1_phase" in to_rtlil(observed, "core")


def test_top_is_the_same_text_again(axi_folder: Path) -> None:
    text = (axi_folder / CORE_FILE).read_text()
    assert core_verilog(plan_of(), DESIGN.dynamics.steps) == text
    for port in ("aclk", "aresetn", "s_axi_awaddr", "s_axi_rdata", "s_axis_tdata", "s_axis_tid", "m_axis_tuser", "irq"):
        assert f" {port};" in text, port


def test_vectors_of_a_design_whose_codes_come_late() -> None:
    """The fewest steps that make a code; a picture that never makes one stops at the limit."""
    plan, weights = quantised(DESIGN, Dictionary.random(DESIGN.geometry, 2))
    soon = small_frame(plan, weights)
    assert soon.steps == 2 and len(soon.codes) > 1
    late = small_frame(replace(plan, step_shift=((0, 6),)), weights)
    assert soon.steps < late.steps <= MOST_STEPS and len(late.codes) > 1
    never = small_frame(replace(plan, threshold_q=plan.membrane.high), weights)
    assert never.steps == MOST_STEPS and len(never.codes) == 1
    image = soon.pixels.reshape(8, 8, 1).transpose(2, 0, 1)
    run = Machine(plan, weights).frame(image, 2)
    assert run.cycles is not None and soon.cycles == run.cycles.frame
