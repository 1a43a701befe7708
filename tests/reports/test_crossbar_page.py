"""A run on crossbars as a folder and a page: recomputed from its files, compared at equal error, shown whole."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from support.page import Page

from striate.golden.conv import synthesis
from striate.golden.errors import InputError
from striate.golden.images import load_image
from striate.golden.metrics import percent_error
from striate.reports import crossbar_tables, figures, tables
from striate.reports.crossbar import draw
from striate.reports.demo import complete
from striate.reports.html import page
from striate.reports.record import run_machine, versions
from striate.reports.record_crossbar import crossbar_remedy, machine_at_equal_quality, run_crossbar
from striate.reports.rundir import CROSSBAR, CROSSBAR_FIGURES, FILES, load, refuse_existing, save, writing
from striate.sim.crossbar.loop import simulate_crossbar
from striate.sim.crossbar.result import CrossbarRun
from striate.sim.design import Design
from striate.sim.machine import simulate

DESIGN = Design(image=(32, 32), tiles=(2, 2), steps=12)
COMMON: dict[str, Any] = {"striate": "0", "picture": "camera", "versions": versions(), "command": "striate <b>",
                          "seconds": 1.0, "design": "d"}  # fmt: skip
Made = tuple[dict[str, Any], Path, CrossbarRun]


@pytest.fixture(scope="module")
def image() -> figures.Array:
    return load_image("camera", crop=(104, 212), size=(32, 32))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, image: figures.Array) -> Made:
    """(JSON keys, run directory, run) of the default design's devices, 12 steps."""
    out = tmp_path_factory.mktemp("crossbar") / "run"
    info, arrays, trace, run = run_crossbar(image, DESIGN, seed=3, frames=True)
    trace["photograph"] = np.zeros((1, 32, 32), np.uint8)
    with writing(out, False) as aside:
        complete(aside, info | COMMON, DESIGN, arrays, trace)
    return info, out, run


# ---- what is kept --------------------------------------------------------------------------------------------
def test_the_run_can_be_recomputed_from_its_files(made: Made, image: figures.Array) -> None:
    info, out, run = made
    with np.load(out / "encoding.npz", allow_pickle=False) as saved:
        z = {name: saved[name] for name in saved.files}
    assert all(z[name].dtype.kind == "i" for name in ("input", "dictionary", "code", "membrane", "residual"))
    assert z["programmed"].shape == (4, *z["dictionary"].shape)
    assert z["frac_residual"] == z["frac_weight"] + z["frac_code"]
    code = z["code"] * 2.0 ** -float(z["frac_code"])
    digital = synthesis(code, z["dictionary"] * 2.0 ** -float(z["frac_weight"]), 2, (32, 32))
    assert percent_error(image, image - digital) == pytest.approx(info["percent_error"], rel=1e-12)
    # each tile of 8 x 8 positions decodes with its own arrays
    analog = np.zeros_like(image)
    for tile, weights in enumerate(z["programmed"]):
        own, (i, j) = np.zeros_like(code), (8 * (tile // 2), 8 * (tile % 2))
        own[:, i : i + 8, j : j + 8] = code[:, i : i + 8, j : j + 8]
        analog += synthesis(own, weights, 2, (32, 32))
    assert percent_error(image, image - analog) == pytest.approx(info["programmed_percent_error"], rel=1e-9)
    assert info["counts"]["conversions"] == info["conversions"] == int(run.steps.conversions.sum())
    assert info["energy_pj"] == info["costs"][0]["energy_pj"][1] and info["seed"] == 3
    assert 0 < info["area_mm2"] and 0 < info["latency_ms"] and info["arrays"]["count"] == run.arrays == 16


def test_every_step_is_that_of_a_shorter_run(made: Made, image: figures.Array) -> None:
    """Devices and reads depend on the step alone: 5 steps of 12 are 5 steps."""
    _, out, _ = made
    trace = load(out).trace
    short = simulate_crossbar(image, DESIGN.replace(steps=5), seed=3)
    assert trace["digital_error"][4] == pytest.approx(short.percent_error(image), rel=1e-12)
    at = trace["frame_steps"].tolist().index(5)
    np.testing.assert_allclose(trace["frames"][at], short.residual * 2.0**-DESIGN.residual_frac, atol=1e-6)
    assert trace["frame_steps"][-1] == 12 and len(trace["digital_error"]) == 12


def test_the_same_seed_gives_the_same_bytes(made: Made, image: figures.Array) -> None:
    info, out, _ = made
    again, arrays, _, _ = run_crossbar(image, DESIGN, seed=3, frames=False)
    assert again["code_sha256"] == info["code_sha256"] and "machine" not in again
    saved = load(out).encoding
    assert all(np.array_equal(saved[name], arrays[name]) for name in ("code", "membrane", "residual", "programmed"))
    other, _, _, _ = run_crossbar(image, DESIGN, seed=4, frames=False)
    assert other["code_sha256"] != info["code_sha256"]


# ---- at equal quality ----------------------------------------------------------------------------------------
def test_fewest_steps_of_both(made: Made, image: figures.Array) -> None:
    info, out, _ = made
    wanted, early, machine = info["percent_error"], info["fewest_steps"], info["machine"]
    error = load(out).trace["digital_error"]
    assert early["percent_error"] <= wanted and all(error[: early["steps"] - 1] > wanted)
    assert early["energy_pj"] <= info["energy_pj"] and early["lowest_percent_error"] == error.min()
    assert machine["reached"] and machine["percent_error"] <= wanted
    before = simulate(image, DESIGN.replace(steps=machine["steps"] - 1))
    assert before.percent_error(image) > wanted
    assert [cost["technology"] for cost in machine["costs"]] == ["fpga-40nm", "asic-45nm", "asic-32nm"]
    assert machine["energy_pj"] == machine["costs"][0]["energy_pj"][1]
    ratio = machine["costs"][2]["energy_pj"][1] / machine["costs"][1]["energy_pj"][1]
    assert ratio == pytest.approx(0.659)  # one machine at two nodes


def test_a_machine_that_never_gets_there_takes_all_steps(image: figures.Array) -> None:
    found = machine_at_equal_quality(image, DESIGN, 0.0)
    assert not found["reached"] and found["steps"] == 12 and found["percent_error"] > 0


def test_no_machine_of_this_design_is_said(image: figures.Array, made: Made) -> None:
    found = machine_at_equal_quality(image, DESIGN.replace(tiles=(3, 3)), 50.0)
    assert not found["reached"] and found["costs"] == [] and "tiles" in found["refused"]
    info = made[0] | {"machine": found}
    assert "There is no digital machine of this design" in crossbar_tables.verdict(info)
    heads, rows = crossbar_tables.beside_table(info)
    assert len(heads) in (2, 3) and all(len(row) == len(heads) for row in rows)


def test_what_the_comparison_says(made: Made) -> None:
    info = made[0]
    machine = info["machine"]
    said = crossbar_tables.verdict(info)
    assert f"in {info['fewest_steps']['steps']} of 12 steps" in said and f"takes {machine['steps']} of 12 steps" in said
    assert "(FPGA, 40 nm)" in said and "(standard cells, 32 nm)" in said
    never = info | {"machine": machine | {"reached": False, "steps": 12, "percent_error": 77.0}}
    assert "takes all 12 steps and then has 77.00 %" in crossbar_tables.verdict(never)
    better = info | {"machine": machine | {"percent_error_of_all_steps": 0.5}}
    assert crossbar_tables.verdict(better).endswith("With all 12 it has 0.50 %.")
    cheap = machine["costs"][0] | {"energy_pj": [0.0, info["fewest_steps"]["energy_pj"] / 4000, 1.0]}
    cheaper = info | {"machine": machine | {"costs": [cheap]}}
    assert "is 1/4,000 (FPGA, 40 nm) of that" in crossbar_tables.verdict(cheaper)
    assert "made without" in crossbar_tables.verdict({k: v for k, v in info.items() if k != "machine"})


def test_rows_beside_other_runs(made: Made) -> None:
    """A machine's time is that of its first technology; what only crossbars have is a dash elsewhere."""
    machine = {"percent_error": 1.0, "costs": [{"latency_ms": 2.5}]}
    rows = {row[0]: row[1:] for row in tables.comparison({"machine": machine, "crossbars": made[0]})}
    assert rows["time a frame (modelled)"] == ["2.5 ms", tables.si(made[0]["latency_ms"] * 1e-3, "s")]
    assert rows["conversions"] == [tables.DASH, f"{made[0]['conversions']:,}"]
    assert rows["by the programmed arrays"][0] == tables.DASH


def test_reads_that_flicker_are_named(made: Made, image: figures.Array) -> None:
    assert made[0]["outcome"] == "max_steps" and "Reads differ each time" in made[0]["remedy"]
    ideal = DESIGN.replace(device="ideal", adc_bits=0, dac_bits=0, wire_ohm=0.0)
    assert "more steps if the code" in crossbar_remedy(simulate_crossbar(image, ideal))
    wild = DESIGN.replace(step_shift=0, threshold=0.01, steps=30)
    assert "raise dynamics.step_shift" in crossbar_remedy(simulate_crossbar(image, wild))


# ---- the page ------------------------------------------------------------------------------------------------
def test_the_page_is_self_contained(made: Made) -> None:
    _, out, _ = made
    text = (out / "report.html").read_text()
    found = Page(text)
    assert all(load.startswith(("data:", "#")) for load in found.loads), found.loads
    assert not re.search(r"@import|url\((?!#)|https?://", re.sub(r"data:image/png;base64,[\w+/=\n]+", "", text))
    assert len(found.ids) == len(set(found.ids)) and len(text) < 4_000_000 and "striate &lt;b&gt;" in text
    names = {path.name for path in out.iterdir()}
    assert names <= FILES and {f"{name}.png" for name in CROSSBAR_FIGURES} <= names


def test_the_page_says_what_it_must(made: Made) -> None:
    info, out, _ = made
    text = (out / "report.html").read_text()
    for words in (
        "memristor crossbars", "modelled", "by the programmed arrays", "at the same error", "Not charged: links",
        "Shafiee", "Wan et al.", "Horowitz", "Murmann", "residual_accumulator", "Reads differ each time", "low .. high",
        f"{info['conversions']:,}", crossbar_tables.verdict(info), "Seed of everything random: 3",
    ):  # fmt: skip
        assert words in text, words
    for row in info["costs"][0]["rows"]:
        assert row["component"] in text


@pytest.mark.parametrize(
    "changes",
    [
        {"device": "ideal", "adc_bits": 0, "dac_bits": 0, "wire_ohm": 0.0, "steps": 1},
        {"mapping": "offset", "dac_mode": "pulse-width", "device": "milo2021"},
        {"cell_bits": 4, "dac_mode": "bit-serial", "adc_range": "fixed"},
        {"placement": "toeplitz", "columns": 32, "wire_ohm": 0.0},
        {"threshold": 1.5},
    ],
    ids=["ideal, one step", "offset", "slices", "toeplitz", "nothing active"],
)
def test_every_kind_of_run_has_a_page(changes: dict[str, Any], image: figures.Array, tmp_path: Path) -> None:
    design = DESIGN.replace(steps=3).replace(**changes)
    info, arrays, trace, _ = run_crossbar(image, design, frames=True)
    save(tmp_path, info | COMMON, design, arrays, trace)
    record = load(tmp_path)
    drawn = draw(record)
    assert set(drawn) == {"pictures", "kernels", "code", "convergence", *CROSSBAR_FIGURES}
    text = page(record, drawn=dict.fromkeys(drawn, Figure((1, 1))))
    lossless = design.crossbar.adc_bits == 0
    assert ("The lossless ADC is charged" in text) == lossless and "photograph" not in record.trace
    assert ("writing the cells" in text) == (info["costs"][0]["programming"]["energy_pj"] is None)


def test_an_incomplete_run_is_one_line(made: Made, tmp_path: Path) -> None:
    _, out, _ = made
    shutil.copytree(out, tmp_path / "run")
    broken = json.loads((out / "run.json").read_text())
    del broken["area_mm2"]
    (tmp_path / "run" / "run.json").write_text(json.dumps(broken))
    with pytest.raises(InputError, match=r"has no area_mm2; make the run again"):
        load(tmp_path / "run")


# ---- a demo's run beside the machine's -----------------------------------------------------------------------
def test_a_demo_holds_the_run_on_crossbars(made: Made, image: figures.Array, tmp_path: Path) -> None:
    info, out, _ = made
    m_info, m_arrays, m_trace, _ = run_machine(image, DESIGN, frames=False)
    short = {key: value for key, value in info.items() if key not in ("costs", "words", "machine")}
    demo = tmp_path / "demo"
    with writing(demo, False) as aside:
        shutil.copytree(out, aside / CROSSBAR)
        save(aside, m_info | COMMON | {"crossbar": short}, DESIGN, m_arrays, m_trace)
    record = load(demo)
    assert record.crossbar is not None and record.crossbar.info["conversions"] == info["conversions"]
    drawn = draw(record)
    assert "beside" in drawn
    text = page(record, drawn=dict.fromkeys(drawn, Figure((1, 1))))
    found = Page(text)
    assert "On memristor crossbars" in text and crossbar_tables.verdict(info) in text
    assert [load for load in found.loads if not load.startswith(("data:", "#"))] == ["crossbar/report.html"]
    assert "crossbar/report.html" not in page(record, beside=False, drawn=dict.fromkeys(drawn, Figure((1, 1))))
    # the folder may be replaced as a whole, and only while nothing foreign lies in it
    refuse_existing(demo, True)
    (demo / CROSSBAR / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"holds crossbar/notes.txt, which no run wrote"):
        refuse_existing(demo, True)
    (demo / CROSSBAR / "notes.txt").unlink()
    (demo / CROSSBAR / "run.json").unlink()
    with pytest.raises(InputError, match=r"holds crossbar, which no run wrote"):
        refuse_existing(demo, True)
