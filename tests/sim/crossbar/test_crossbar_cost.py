"""Costs of a crossbar run: one cell in closed form, a small run by hand, sums, halving, converters and their bits."""

import math
from dataclasses import fields, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from striate.golden.errors import InputError
from striate.sim.crossbar.cost import converters, crossbar_cost
from striate.sim.crossbar.device import Device
from striate.sim.crossbar.technology import ISAAC_32NM, TECHNOLOGIES, Converter, CrossbarTechnology
from striate.sim.design import Design
from striate.sim.plan import Plan
from striate.sim.tech import ASIC_45NM, Band, Number, node_scale

DESIGN = Design(
    image=(8, 16), kernels=2, patch=4, stride=2, tiles=(1, 2), gather_lanes=2, scatter_lanes=4, detect_lanes=4,
    rows=16, columns=8, residual_accumulator=18, drive_accumulator=19,
)  # fmt: skip
COUNTS = {
    "steps": 3, "forward_reads": 400, "backward_reads": 240, "forward_conversions": 400, "backward_conversions": 1800,
    "dac_conversions": 5000, "sampled": 4400, "cells_pj": 12.5, "partial_sums": 70, "accumulations": 1700,
    "updates": 192, "serial_forward_reads": 96, "serial_backward_reads": 60, "programming_pulses": 512,
}  # fmt: skip


def a_run(design: Design = DESIGN, **changes: Any) -> Any:
    """What `crossbar_cost` reads of a run: 2 tiles of a pair of 16 x 8 arrays, 3 steps, 32 positions, 128 pixels."""
    counts = SimpleNamespace(**{**COUNTS, **changes.pop("counts", {})})
    run = {
        "design": design,
        "plan": Plan.of(design, np.zeros((2, 1, 4, 4), np.int64)),
        "device": Device("x", "x", "test", 1.0, 10.0, write_voltage_v=2.0, write_pulse_ns=50.0),
        "counts": counts,
        "arrays": 4,
        "cells_used": 512,
        "layout": SimpleNamespace(planes=2),
        "array_shape": (16, 8),
        "conversions_per_forward_read": 2,
        "conversions_per_backward_read": 16,
        "forward_read_ns": 10.0,
        "backward_read_ns": 10.0,
        "adc_forward_bits": 8,
        "adc_backward_bits": 8,
        "dac_forward_bits": 8,
        "dac_backward_bits": 8,
    }
    return SimpleNamespace(**{**run, **changes})


def rows_of(run: Any, technology: CrossbarTechnology = ISAAC_32NM) -> dict[str, float]:
    return {row.component: row.energy_pj.typical for row in crossbar_cost(run, technology).rows}


def test_energy_by_hand() -> None:
    """Every factor with pencil and paper: 3 steps of 128 pixels; U 14, y 8, R 18, D 19, r~ 8, x 10 bits."""
    run = a_run()
    p, rows = run.plan, rows_of(run)
    assert (p.membrane.width, p.code.width, p.residual.width, p.input.width) == (14, 8, 8, 10)
    assert (p.residual_width, p.drive_width) == (18, 19)
    add, memory, register = 0.03 / 8 * 0.659, 10 / 64 * 0.659, 0.009 / 0.869 * 0.659
    expected = {
        "cells: G V^2 t of every read": 12.5,
        "lines switched": 5000 * 0.39,
        "amplitude: 7 bits beyond the first": 5000 * 7 * 0.05 * 0.81 * 0.659 / 0.513,
        "outputs sampled": 4400 * 0.00098,
        "forward, 8 bits": 400 * 1.71,
        "backward, 8 bits": 1800 * 1.71,
        "partial sums of arrays, slices and bits": 70 * 19 * add,
        "sums of R": 1700 * 18 * add,
        "update: every membrane, every step": 192 * 4 * 19 * add,
        "rounding and cutoff of R": 3 * 128 * 2 * 18 * add,
        "registers of the sums": 1770 * 19 * register,
        "memory: membranes and codes": 192 * (14 + 14 + 8) * memory,
        "memory: sums of R": 1700 * 36 * memory,
        "memory: R begun from x, r~ made of it": 3 * 128 * (10 + 36 + 8) * memory,
        "memory: words that are driven": 5000 * 8 * memory,
    }
    # 96 x 10 + 3 x 1.5625 ns, 60 x 12.5 + 3 x 10 ns and 3 x 6 x 1 ns; two ADCs convert 2200 times in 0.78125 ns
    frame = 96 * 10 + 3 * 1.5625 + 60 * 12.5 + 3 * 10 + 18
    expected |= {
        "ADCs that wait": (2 * frame - 2200 / 1.28) * 1e-3 * 200,
        "line drivers": 2 * 24 * frame * 1e-3 * 0.390625,
        "sample-and-holds": 2 * 24 * frame * 1e-3 * 9.7e-4,
    }
    assert rows == pytest.approx(expected, rel=1e-12)
    assert sum(expected.values()) == pytest.approx(crossbar_cost(run).energy_pj.typical, rel=1e-12)


def test_time_by_hand() -> None:
    """Integration 10 ns; 2 conversions of 0.78125 ns hide behind it forward, 16 do not backward."""
    found = crossbar_cost(a_run())
    t = found.latency
    assert (t.forward_convert, t.backward_convert) == pytest.approx((1.5625, 12.5))
    assert t.forward == pytest.approx(96 * 10 + 3 * 1.5625) and t.backward == pytest.approx(60 * 12.5 + 3 * 10)
    assert t.logic == 3 * 2 * 3 and t.total == pytest.approx(t.forward + t.backward + t.logic)
    assert found.latency_ms == pytest.approx(t.total * 1e-6)
    assert found.frames_per_second == pytest.approx(1e9 / t.total)
    assert found.power_mw.typical == pytest.approx(found.energy_pj.typical / t.total)  # pJ / ns
    # half the bits take half the time; a longer pulse makes the read longer
    assert crossbar_cost(a_run(adc_backward_bits=4)).latency.backward == pytest.approx(60 * 10 + 3 * 6.25)
    assert crossbar_cost(a_run(forward_read_ns=2550.0)).latency.forward == pytest.approx(96 * 2550 + 3 * 1.5625)
    # nothing was read backward: no pass to wait for
    assert crossbar_cost(a_run(counts={"serial_backward_reads": 0})).latency.backward == 0


def test_area_by_hand() -> None:
    """2 pairs of 16 x 8 arrays with a set of drivers and an ADC each; 64 neurons of 22 bits and 128 pixels of 36."""
    found = crossbar_cost(a_run())
    mm2 = {area.component: area.mm2.typical for area in found.areas}
    assert mm2 == pytest.approx(
        {
            "cells": 512 * 4 * 0.032**2 * 1e-6,
            "line drivers": 48 * 8 * 1.67e-7,
            "sample-and-holds": 48 * 0.00004 / 1024,
            "ADCs": 2 * 0.0012,
            "shift-and-add": 2 * 0.00006,
            "memory of U, y, R, r~ and x": (64 * 22 + 128 * 36) * 0.083 / 524288,
        }
    )
    assert found.area_mm2.typical == pytest.approx(sum(mm2.values()))
    offset = a_run(DESIGN.replace(mapping="offset"))
    assert (converters(a_run()), converters(offset)) == (2, 4)


def test_one_cell_is_in_closed_form() -> None:
    """10 uS read with 0.2 V for 10 ns: G V^2 t = 4 fJ, whatever the technology."""
    energy = 10e-6 * 0.2**2 * 10e-9 * 1e12
    one = a_run(counts={"cells_pj": energy, "forward_reads": 1, "backward_reads": 0})
    row = crossbar_cost(one).rows[0]
    assert row.energy_pj.as_list() == pytest.approx([0.004] * 3) and row.operations == 1 and row.group == "cells"


@pytest.mark.parametrize("technology", TECHNOLOGIES.values(), ids=str)
def test_parts_sum_to_the_total(technology: CrossbarTechnology) -> None:
    found = crossbar_cost(a_run(), technology)
    for edge in ("low", "typical", "high"):
        total = getattr(found.energy_pj, edge)
        assert total == pytest.approx(sum(getattr(row.energy_pj, edge) for row in found.rows))
        assert total == pytest.approx(sum(getattr(band, edge) for band in found.by_group().values()))
        assert getattr(found.area_mm2, edge) == pytest.approx(sum(getattr(area.mm2, edge) for area in found.areas))
    assert list(found.by_group()) == ["cells", "drivers", "sample-and-hold", "adc", "digital", "idle"]


@pytest.mark.parametrize("technology", TECHNOLOGIES.values(), ids=str)
def test_halving_a_number_halves_its_rows(technology: CrossbarTechnology) -> None:
    run = a_run()
    before = crossbar_cost(run, technology)
    keys = {row.key for row in before.rows} | {area.key for area in before.areas}
    assert keys - {"device"} <= before.numbers.keys()
    names = [f.name for f in fields(technology) if isinstance(getattr(technology, f.name), Number | Converter)]
    assert len(names) == len(technology.numbers()) + 3
    for name in names:
        if name in ("adc_rate_per_ns", "stage_ns"):  # they make the frame longer: see the time by hand
            continue
        halved: dict[str, Any] = {name: getattr(technology, name).scaled(0.5)}
        after = crossbar_cost(run, replace(technology, **halved))
        changed = 0
        for old, new in zip(before.rows, after.rows, strict=True):
            factor = 0.5 if old.key.split()[0] == name else 1.0
            changed += factor != 1.0
            assert new.energy_pj.as_list() == pytest.approx([factor * v for v in old.energy_pj.as_list()]), name
        for was, now in zip(before.areas, after.areas, strict=True):
            factor = 0.5 if was.key == name else 1.0
            changed += factor != 1.0
            assert now.mm2.as_list() == pytest.approx([factor * v for v in was.mm2.as_list()]), name
        assert changed, name


def test_every_number_has_unit_node_source_and_an_ordered_band() -> None:
    for technology in TECHNOLOGIES.values():
        found = crossbar_cost(a_run(adc_forward_bits=3, adc_backward_bits=13), technology)
        for key, number in found.numbers.items():
            assert number.unit and len(number.source) > 20 and number.node_nm == technology.node_nm, key
            assert 0 < number.band.low <= number.band.typical <= number.band.high, key


def test_logic_is_that_of_the_standard_cells() -> None:
    number = ISAAC_32NM.add_bit_pj.band
    assert number.as_list() == pytest.approx([v * node_scale(45, 32) for v in ASIC_45NM.add_bit_pj.band.as_list()])


# ---- converters ----------------------------------------------------------------------------------------------
def test_adc_over_its_bits() -> None:
    adc = ISAAC_32NM.adc_pj
    known = {4: 0.92, 6: 1.07, 8: 1.71, 10: 3.31}  # the survey's fit at 32 nm
    for bits, picojoule in known.items():
        assert adc.at(bits).band.typical == pytest.approx(picojoule)
    assert adc.at(7).band.typical == pytest.approx(math.sqrt(1.07 * 1.71))  # the same factor with every bit
    assert adc.at(12).band.as_list() == pytest.approx([2.38 * 16, 3.31 * 16, 16.4 * 16])  # thermal noise: 4 a bit
    assert adc.at(2).band == adc.at(4).band and "2 bits: as 4" in adc.at(2).source
    assert "extrapolated from 10" in adc.at(12).source and "extrapolated" not in adc.at(10).source
    energies = [adc.at(bits).band for bits in range(1, 25)]
    for edge in ("low", "typical", "high"):
        values = [getattr(band, edge) for band in energies]
        assert values == sorted(values)
    assert ISAAC_32NM.adc_mm2.at(8).band.typical == pytest.approx(0.0012)
    assert ISAAC_32NM.line_mm2.at(1).band == Band(1.67e-7, 1.67e-7, 1.67e-7)


def test_a_converter_without_bits_is_refused() -> None:
    with pytest.raises(InputError, match="1 bit or more, not 0"):
        ISAAC_32NM.adc_pj.at(0)


def test_lossless_converters_are_charged_and_said() -> None:
    lossless = a_run(DESIGN.replace(adc_bits=0), adc_forward_bits=19, adc_backward_bits=17)
    found = crossbar_cost(lossless)
    rows = {row.component: row.energy_pj.typical for row in found.rows}
    assert rows["forward, 19 bits"] == pytest.approx(400 * 3.31 * 4**9)
    assert rows["backward, 17 bits"] == pytest.approx(1800 * 3.31 * 4**7)
    assert len(found.notes) == 1
    assert "lossless ADC is charged as one of 19 bits forward and 17 backward" in found.notes[0]
    both = crossbar_cost(a_run(DESIGN.replace(adc_bits=0, dac_bits=0)))
    assert [note.split()[2] for note in both.notes] == ["ADC", "driver"]
    assert crossbar_cost(a_run()).notes == ()


@pytest.mark.parametrize("mode", ["pulse-width", "bit-serial"])
def test_lines_that_are_only_switched(mode: str) -> None:
    found = crossbar_cost(a_run(DESIGN.replace(dac_mode=mode)))
    assert [row.key for row in found.rows if row.group == "drivers"] == ["row_drive_pj"]
    assert next(a for a in found.areas if a.key == "line_mm2").mm2.high == pytest.approx(48 * 1.67e-7)
    words = next(row for row in found.rows if row.component == "memory: words that are driven")
    assert words.operations == 5000 * (1 if mode == "bit-serial" else 8)
    assert any("timers" in text for text in found.missing) == (mode == "pulse-width")


def test_programming_is_apart() -> None:
    """(1 + 10)/2 uS, 2 V, 50 ns: 1.1 pJ a pulse; 512 pulses in 4 arrays at once."""
    found = crossbar_cost(a_run())
    assert found.programming.energy_pj == pytest.approx(512 * 1.1) and found.programming.pulses == 512
    assert found.programming.serial_ns == pytest.approx(128 * 50)
    assert not any("writing the cells" in text for text in found.missing)
    verified = replace(a_run().device, verified=True)
    assert "pulses that verified the cells" in crossbar_cost(a_run(device=verified)).missing[-1]
    again = crossbar_cost(a_run(DESIGN.replace(programming="verify"), device=verified))
    assert not any("pulses that verified" in text for text in again.missing)
    silent = a_run(device=Device("mute", "x", "test", 1.0, 10.0))
    found = crossbar_cost(silent)
    assert found.programming.energy_pj is None and found.programming.serial_ns is None
    assert "writing the cells: the preset mute has no energy of a pulse" in found.missing
