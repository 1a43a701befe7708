"""The memristor machine as a job, its studies, their tables and what is said about them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from striate.explore import crossbar, findings
from striate.explore.conditions import effective, overall, shared
from striate.explore.crossbar import Picture, job, pictures_of, point_of, sweep_of, without_effects
from striate.explore.grid import grid, split
from striate.explore.points import Entry, Point, Sweep
from striate.explore.reach import Knee, bend, knee
from striate.explore.strides import at_equal_error
from striate.explore.studies import CLEAN, STUDIES, Case, Series, Study, cases_of, check_cases, study_named
from striate.explore.table import Line, Measured, csv_rows, table
from striate.golden.errors import InputError
from striate.golden.images import load_image
from striate.sim.design import Design
from striate.sim.machine import simulate

SMALL = Design(image=(32, 32), steps=8, tiles=(1, 1), step_shift=4)


@pytest.fixture
def picture(tmp_path: Path) -> tuple[Picture, ...]:
    np.save(tmp_path / "noise.npy", np.random.default_rng(3).uniform(size=(40, 36)))
    return pictures_of([str(tmp_path / "noise.npy")], SMALL)


# ---- the job ---------------------------------------------------------------------------------------------------------
def test_without_effects_it_is_the_fixed_point_machine(picture: tuple[Picture, ...]) -> None:
    sweep = sweep_of(SMALL, picture, ["x"])
    image = load_image(picture[0].path, crop=(4, 2), size=(32, 32))
    for settings in ({}, {"dynamics.threshold": 0.1}):
        point = point_of(SMALL, without_effects({**settings, "crossbar.levels": 4}), picture[0].name, 0)
        found = job(sweep.context, point.parameters, point.seed)
        run = simulate(image, SMALL.replace(settings).replace(schedule="dense"))
        assert found["percent_error"] == run.percent_error(image) == found["programmed_percent_error"]
        assert found["code_events"] == run.counts.code_events and found["percent_inactive"] == run.percent_inactive
        assert found["energy_pj"] is None and found["area_mm2"] is None  # no lossless converter can be built
        assert len(found["error_by_step"]) == found["steps"] == 8


def test_a_point_is_its_parameters_and_its_seed(picture: tuple[Picture, ...]) -> None:
    sweep, name = sweep_of(SMALL, picture, ["x"]), picture[0].name
    parameters = point_of(SMALL, {"crossbar.programming_error": 0.1}, name, 0).parameters
    first, again, other = (job(sweep.context, parameters, seed) for seed in (0, 0, 1))
    assert first == again and first["percent_error"] != other["percent_error"]
    groups = first["energy_by_group_pj"]
    assert sum(groups.values()) == pytest.approx(first["energy_pj"]) and first["latency_ms"] > 0
    assert first["energy_band_pj"][0] <= first["energy_pj"] <= first["energy_band_pj"][2]


def test_equal_designs_are_equal_points(picture: tuple[Picture, ...]) -> None:
    def of(**settings: Any) -> dict[str, Any]:
        return dict(point_of(SMALL, settings, "p", 0).parameters)

    assert of(**{"crossbar.wire_ohm": 2}) == of(wire_ohm=2.0) == {"picture": "p", "crossbar.wire_ohm": 2.0}
    assert of(steps=8, tiles=[1, 1]) == {"picture": "p"}
    assert of(tiles=(2, 1), weight="s6.5")["machine.tiles"] == [2, 1]
    other = of(kernels=32)
    assert len(other["dictionary"]) == 64 and other["network.kernels"] == 32
    with pytest.raises(InputError, match="crossbar.rows must be a whole number"):
        of(rows=1.5)


def test_what_changed_since_the_sweep_began_is_refused(picture: tuple[Picture, ...], tmp_path: Path) -> None:
    sweep = sweep_of(SMALL, picture, ["x"])
    np.save(picture[0].path, np.random.default_rng(4).uniform(size=(40, 36)))
    crossbar._image.cache_clear()
    with pytest.raises(InputError, match="is no longer the picture that the sweep began with"):
        job(sweep.context, {"picture": picture[0].name}, 0)
    bundled = pictures_of(["camera"], SMALL)
    parameters = {"picture": "camera", "network.kernels": 32, "dictionary": "0" * 64}
    with pytest.raises(InputError, match="the dictionary natural is no longer the one"):
        job(sweep_of(SMALL, bundled, ["x"]).context, parameters, 0)


def test_pictures(picture: tuple[Picture, ...], tmp_path: Path) -> None:
    assert picture[0].crop == (4, 2)  # the middle
    camera, brick = pictures_of(["camera", "brick"], SMALL)
    assert camera.crop == (104, 212) and brick.crop == (240, 240)
    assert pictures_of(["camera"], SMALL, (1, 2))[0].crop == (1, 2)
    assert len({p.sha256 for p in (*picture, camera, brick)}) == 3
    with pytest.raises(InputError, match="a picture is named twice in camera, camera"):
        pictures_of(["camera", "camera"], SMALL)
    np.save(tmp_path / "small.npy", np.zeros((20, 36)))
    with pytest.raises(InputError, match="is 20x36 pixels.*too small"):
        pictures_of([str(tmp_path / "small.npy")], SMALL)


def test_the_identity_holds_design_pictures_and_subject(picture: tuple[Picture, ...]) -> None:
    first = sweep_of(SMALL, picture, ["levels"])
    moved = sweep_of(SMALL, [replace(picture[0], path="elsewhere")], ["levels"])
    assert first.identity == moved.identity
    for other in (
        sweep_of(SMALL, picture, ["adc"]),
        sweep_of(SMALL.replace(threshold=0.1), picture, ["levels"]),
        sweep_of(SMALL, [replace(picture[0], sha256="0")], ["levels"]),
    ):
        assert other.identity != first.identity


# ---- studies ---------------------------------------------------------------------------------------------------------
def test_every_study_makes_legal_points(picture: tuple[Picture, ...]) -> None:
    design = Design(image=(64, 64), tiles=(1, 1))
    for study in STUDIES.values():
        assert study.title and study.about.endswith(".") and len({s.label for s in study.series}) == len(study.series)
        cases = cases_of(study, design, picture, 2)
        assert len(cases) == sum(len(s.values or study.values) for s in study.series)
        for case in cases:
            for point in (*case.points, *case.references.values()):
                changes = {key: value for key, value in point.parameters.items() if "." in key}
                design.replace(changes).check_crossbar()
        seeds = {len(case.points) for case in cases}
        assert seeds <= {1, 2} and all(len(case.references) == 1 for case in cases)
    hashes = {p.parameters.get("dictionary") for case in cases for p in case.points}
    assert study.name == "stride" and len(hashes) == 2 and None in hashes  # the base's own, and that of 512 kernels


def test_seeds_and_references() -> None:
    pictures = [Picture(name, "", None, "") for name in ("a", "b")]
    study = Study("s", "S", "About.", "crossbar.levels", "x", (4, 8), (Series("one"), Series("two", CLEAN, False)))
    cases = cases_of(study, SMALL, pictures, 3)
    assert [len(case.points) for case in cases] == [6, 6, 2, 2]
    assert [(p.parameters["picture"], p.seed) for p in cases[0].points] == [(n, s) for n in "ab" for s in range(3)]
    references = {tuple(sorted(map(repr, case.references.values()))) for case in cases}
    assert len(references) == 1  # the axis is the memristor machine's alone: one reference for all
    for seeds in (0, -1):
        with pytest.raises(InputError, match=f"--seeds must be at least 1, not {seeds}"):
            cases_of(study, SMALL, pictures, seeds)


def test_a_grid_is_every_combination() -> None:
    study = grid(["levels=4, 16", "crossbar.wire_ohm=0,1.5", "tiles=[1,1],[2,2]"])
    assert study.key == "crossbar.levels" and study.values == (4, 16)
    assert [s.settings for s in study.series] == [
        {"crossbar.wire_ohm": ohm, "machine.tiles": tiles} for ohm in (0, 1.5) for tiles in ([1, 1], [2, 2])
    ]
    assert study.series[-1].label == "wire_ohm 1.5, tiles 2x2"
    assert grid(["device=ideal,wan2022"]).values == ("ideal", "wan2022")
    assert split('a,[1,2],"x,y",b') == ["a", "[1,2]", '"x,y"', "b"]


@pytest.mark.parametrize(
    ("varied", "message"),
    [
        (["crossbar.level=4"], "unknown design key crossbar.level; did you mean levels?"),
        (["nothing=4"], "unknown design key nothing"),
        (["levels"], "--vary 'levels' is not of the form key=v1,v2,...; write crossbar.levels=4,16,64, say"),
        (["levels="], "--vary levels has no values; write levels=v1,v2,..."),
        (["levels=4,,8"], "--vary 'levels=4,,8' has an empty value"),
        (["levels=4,8,4"], "--vary levels has the value 4 twice"),
        (["wire_ohm=1,nan"], "--vary wire_ohm cannot take nan; give finite numbers or words"),
        (["wire_ohm=-inf"], "--vary wire_ohm cannot take -inf"),
        (["wire_ohm=2026-01-01"], "--vary wire_ohm cannot take 2026-01-01"),
        (["levels=4", "crossbar.levels=8"], "--vary names crossbar.levels twice"),
    ],
)
def test_wrong_grids(varied: list[str], message: str) -> None:
    with pytest.raises(InputError) as caught:
        grid(varied)
    assert message in str(caught.value)


def test_an_unknown_study_is_one_line() -> None:
    with pytest.raises(InputError, match="unknown study 'level'; did you mean levels?"):
        study_named("level")


# ---- the table -------------------------------------------------------------------------------------------------------
def entry(sweep: Sweep, point: Point, error: float | None, **more: Any) -> Entry:
    result = None if error is None else {
        "percent_error": error, "programmed_percent_error": error / 2, "outcome": "converged", "psnr_db": None,
        "energy_by_group_pj": {"adc": 2.0, "cells": error}, "error_by_step": [50.0, error], **more,
    }  # fmt: skip
    return Entry(sweep.key(point), point, "done" if result else "failed", 1, 0.5, result, None if result else "no room")


def test_the_table_is_medians_and_percentiles() -> None:
    sweep = Sweep("a:b", 1, {})
    points = tuple(Point({"picture": "ab"[n % 2], "x": n}) for n in range(7))
    references = {name: Point({"picture": name}) for name in "ab"}
    errors = [14.0, 15.0, 12.0, 19.0, 30.0, None, 11.0]
    entries = [entry(sweep, p, e, conversions=n) for n, (p, e) in enumerate(zip(points, errors, strict=True))]
    entries += [entry(sweep, references["a"], 10.0), entry(sweep, references["b"], 11.0)]
    (line,) = table([Case("s", "one", 3, points, references)], sweep, entries)
    assert (line.points, line.done, line.failed, line.error) == (7, 6, 1, "no room")
    known = np.array([e for e in errors if e is not None])
    found = line.measures["percent_error"]
    assert [found.low, found.median, found.high] == pytest.approx(list(np.percentile(known, [10, 50, 90])))
    assert line.median("points_above") == np.median([4.0, 4.0, 2.0, 8.0, 20.0, 1.0])
    assert line.median("programmed_points_above") == np.median([7 - 10, 7.5 - 11, 6 - 10, 9.5 - 11, 15 - 10, 5.5 - 10])
    assert line.reference == 10.5 and line.outcomes == {"converged": 6} and "psnr_db" not in line.measures
    assert line.groups == {"adc": 2.0, "cells": 14.5} and line.curve == (50.0, 14.5)
    assert line.as_dict()["percent_error"] == [found.low, found.median, found.high]
    heads, rows = csv_rows([Case("s", "one", 3, points, references)], sweep, entries, SMALL)
    assert heads[:6] == ["study", "series", "value", "picture", "x", "seed"] and len(rows) == 9
    assert rows[0][:4] == ["s", "fixed-point machine", None, "a"] and rows[2][:5] == ["s", "one", 3, "a", 0]
    assert rows[7][-1] == "no room" and rows[4][heads.index("percent_error")] == 12.0
    assert rows[4][heads.index("conversions")] == 2


def test_files_for_others_have_every_varied_key_as_it_is_in_effect(picture: tuple[Picture, ...]) -> None:
    study = grid(["levels=4,16", "wire_ohm=1,2"])  # 1 ohm is the design's own
    cases = cases_of(study, SMALL, picture, 1)
    sweep = sweep_of(SMALL, picture, ["x"])
    points = [p for case in cases for p in (*case.references.values(), *case.points)]
    entries = [entry(sweep, p, 1.0) for p in points]
    heads, rows = csv_rows(cases, sweep, entries, SMALL)
    found = [dict(zip(heads, row, strict=True)) for row in rows]
    assert [(f["series"], f["value"], f["crossbar.levels"], f["crossbar.wire_ohm"]) for f in found] == [
        ("fixed-point machine", None, 0, 0.0), ("wire_ohm 1", 4, 4, 1.0), ("wire_ohm 1", 16, 16, 1.0),
        ("wire_ohm 2", 4, 4, 2.0), ("wire_ohm 2", 16, 16, 2.0),
    ]  # fmt: skip
    assert all(f[head] is not None for f in found for head in heads[: heads.index("seed")] if head != "value")
    assert {f["crossbar.device"] for f in found} == {"ideal", "wan2022"}


def test_effective_values() -> None:
    assert effective(SMALL, {}, "crossbar.on_off") == pytest.approx(39.26) and effective(SMALL, {}, "x") is None
    assert effective(SMALL, {"crossbar.on_off": 5.0}, "crossbar.g_min_us") == pytest.approx(39.26 / 5)
    assert effective(SMALL, {"crossbar.read_noise": 0.1}, "crossbar.read_noise") == 0.1
    assert effective(SMALL, {}, "crossbar.read_noise") == 0.01
    assert effective(SMALL, {}, "crossbar.programming_error") == "law of wan2022"
    assert effective(SMALL, {"crossbar.device": "ideal"}, "crossbar.programming_error") == 0.0
    assert effective(SMALL, {}, "formats.weight") == str(SMALL.formats.weight)
    assert effective(SMALL, {"crossbar.levels": 1}, "crossbar.fault_rate") is None  # refused: nothing in effect
    assert len(effective(SMALL, {}, "dictionary")) == 64


def test_what_points_share_is_said() -> None:
    design = Design(image=(64, 64), tiles=(1, 1))
    every, alone, rest = shared(STUDIES["levels"], design)
    assert every.startswith("All curves: cells of device wan2022, 1 to 39.26 \u00b5S, differential; arrays of 128x64;")
    assert alone == (
        "alone: exact devices but for what the axis varies; lossless drivers and converters; no resistance of wires."
    )
    assert rest == (
        "with the rest of the design: the device's programming error, the device's read noise; 8-bit drivers, 8-bit "
        "converters, following range; 1 ohm a segment of wire."
    )
    first, *ohms = shared(STUDIES["size"], design)
    assert "exact devices (any conductance, no errors); lossless drivers and converters; arrays of 64 columns" in first
    assert ohms[3] == "2 ohm a segment: 2 ohm a segment of wire; im2col placement."
    for study in STUDIES.values():
        assert shared(study, design)
    assert shared(STUDIES["faults"], design.replace(drift_seconds=1e9)) and "no resistance" in overall(design)
    lone = shared(grid(["levels=4"]), design.replace(wire_ohm=0.0, adc_bits=0))
    assert lone[0].startswith("All points: ")
    assert "8-bit drivers, lossless converters; no resistance of wires" in lone[0]
    assert "no wires but what the axis varies" in shared(grid(["wire_ohm=1,2"]), design)[0]


def test_impossible_cases_are_refused_before_anything_runs() -> None:
    with pytest.raises(InputError, match=r"^1 of 2 cases cannot run; the first, levels 1: crossbar.levels"):
        check_cases(grid(["levels=1,8"]), SMALL)
    with pytest.raises(InputError, match="2 of 4 cases cannot run; the first, levels 4, wire_ohm -1: crossbar.wire"):
        check_cases(grid(["levels=4,8", "wire_ohm=1,-1"]), SMALL)
    check_cases(STUDIES["faults"], SMALL.replace(drift_seconds=1e9))  # alone can run
    with pytest.raises(InputError, match="14 of 14 cases cannot run"):
        check_cases(STUDIES["faults"], SMALL.replace(rows=0))


# ---- words -----------------------------------------------------------------------------------------------------------
def lines_of(study: Study, series: str, errors: dict[Any, float], own: dict[Any, float] | None = None) -> list[Line]:
    def measured(value: float) -> Measured:
        return Measured(value, value, value, 1)

    own = errors if own is None else own
    return [
        Line(study.name, series, value, 1, 1, 0, {"points_above": measured(error), "percent_error": measured(error),
             "programmed_points_above": measured(own[value])}, {"converged": 1}, {}, 10.0, (), None)
        for value, error in errors.items()
    ]  # fmt: skip


def say(study: Study, lines: list[Line]) -> list[str]:
    return findings.findings(study, lines, Design(image=(64, 64), tiles=(1, 1)))


def test_knee() -> None:
    places = [(2, 40.0), (4, 9.0), (8, 1.4), (16, 0.9), (32, 1.1), (64, 0.2)]
    assert knee(places, helps=True) == Knee(16, 0.9, (8, 1.4))  # 32 is within a point of 64, and so is 16
    assert knee(places, helps=True, tolerance=0.5) == Knee(64, 0.2, (32, 1.1))
    assert knee([(0.0, 0.1), (0.1, 1.1), (0.2, 1.2), (0.3, 0.1)], helps=False) == Knee(0.1, 1.1, (0.2, 1.2))
    assert knee([(0, 0.0), (1, 0.5)], helps=False) == Knee(1, 0.5, None)
    assert knee(places[:1], helps=True) is None


def test_bend_is_farthest_below_the_chord() -> None:
    assert bend([(2, 8.0), (4, 4.0), (8, 0.2), (16, 0.1), (32, 0.0)]) == 8
    assert bend([(2, 8.0), (4, 0.5), (8, 0.2), (16, 0.1), (32, 0.0)]) == 4
    assert bend([(2, 1.0), (4, 0.0)]) is None


def test_words_of_levels() -> None:
    study = STUDIES["levels"]
    errors = {2: 80.0, 4: 40.0, 8: 12.0, 16: 2.5, 32: 0.5, 0: 0.1}
    said = " ".join(say(study, lines_of(study, "alone", errors, {**errors, 16: 1.25})))
    assert "The curve bends at 8 states" in said
    assert (
        "alone: within 1 point of its mildest value (\u221e states, +0.10 points) from 32 states on (+0.50 points); at "
        "16 states it is +2.50 points."
    ) in said
    far = " ".join(say(study, lines_of(study, "alone", {**errors, 32: 1.5})))
    assert (
        "alone: already at 32 states (+1.50 points) more than 1 point above its mildest value (\u221e states, +0.10"
    ) in far
    rest = say(study, lines_of(study, "with the rest of the design", {8: 9.0, 16: 4.5, 32: 4.1, 0: 3.94}))
    assert rest[0].startswith(
        "with the rest of the design: from 16 states on (+4.50 points) this adds at most 1 point to the +3.94 points "
        "that the rest of the design costs (at \u221e states); at 8 states it is +9.00 points."
    )
    (lone,) = say(study, lines_of(study, "with the rest of the design", {16: 5.5, 0: 3.94}))
    assert ": already at 16 states (+5.50 points) this adds more than 1 point to the +3.94 points that" in lone
    assert "here 16 for each cell of a pair cost +2.50 points by the digital and +1.25 points by the programmed" in said


def test_words_of_self_correction() -> None:
    study = STUDIES["self-correction"]
    errors, own = {0.0: 0.0, 0.01: 0.6, 0.05: 10.0, 0.1: 30.0}, {0.0: 0.0, 0.01: 0.9, 0.05: 4.0, 0.1: 6.0}
    said = " ".join(say(study, lines_of(study, "alone", errors, own)))
    assert "1 % of the largest conductance costs +0.60 points by the digital and +0.90" in said
    assert "the loop's own dictionary decodes no better" in said
    assert "60 % of the damage is in the decoding alone" in said and "80 % of the damage" in said
    assert (
        "Decoded by the digital dictionary: within 1 point of its mildest value (0 %, +0.00 points) up to 1 % (+0.60 "
        "points); at 5 % it is +10.00 points."
    ) in said


def test_words_of_converters_sizes_and_drift() -> None:
    study = STUDIES["adc"]
    lines = [
        *lines_of(study, "fixed", {4: 90.0, 8: 20.0, 12: 0.1}),
        *lines_of(study, "following", {4: 5.0, 8: 0.2, 12: 0.1}),
    ]
    said = say(study, lines)
    assert said[0] == (
        "fixed: already at 8 bits (+20.00 points) more than 1 point above its mildest value (12 bits, +0.10 points)."
    )
    assert said[-1].startswith("A following range needs 4 bits fewer than a fixed one to be within 1 point of its")
    study = STUDIES["size"]
    (said_size,) = say(study, lines_of(study, "2 ohm a segment", {32: 0.0, 128: 0.4, 512: 9.0}))
    assert said_size == (
        "2 ohm a segment: within 1 point of its mildest value (32 rows, +0.00 points) up to 128 rows (+0.40 points); "
        "at 512 rows it is +9.00 points. With 512 rows +9.00 points, of which the programmed dictionary leaves +9.00 "
        "points."
    )
    far = say(study, lines_of(study, "2 ohm a segment", {32: 2.39, 64: 2.5, 128: 9.0}))
    assert far[0] == (
        "2 ohm a segment: no array is within 1 point of the fixed-point machine; the mildest, 32 rows, +2.39 points; "
        "within 1 point of that up to 64 rows (+2.50 points); at 128 rows it is +9.00 points. With 128 rows +9.00 "
        "points, of which the programmed dictionary leaves +9.00 points."
    )
    (none,) = say(study, lines_of(study, "2 ohm a segment", {32: 2.39, 64: 4.5}))
    assert "the mildest, 32 rows, +2.39 points; already at 64 rows (+4.50 points) more than 1 point above that." in none
    study = STUDIES["drift"]
    (said_drift,) = say(
        study, lines_of(study, "joshi2020, never anew", {0.0: 3.0, 60.0: 3.5, 3600.0: 7.0})
    )
    assert (
        "within 1 point of fresh arrays (those +3.00 points above the fixed-point machine) up to 1 min; after 1 h +7.00"
    ) in said_drift
    (said_drift,) = say(study, lines_of(study, "wan2022, never anew", {0.0: 3.0, 60.0: 4.5}))
    assert said_drift.startswith(
        "wan2022, never anew: already at 1 min it is more than 1 point above fresh arrays (those +3.00 points above "
        "the fixed-point machine), +4.50 points; after 1 min +4.50 points by the digital"
    )


def test_sizes_that_hold_whole_kernels_are_said_to_be_the_same() -> None:
    """16x16 kernels: P = 256 rows; an offset mapping takes one for its reference; patches of 2x2: 18^2 = 324."""
    study, errors = STUDIES["size"], {128: 0.0, 256: 7.0, 512: 7.0}
    assert say(study, lines_of(study, "2 ohm a segment", errors))[1:] == [
        "im2col: 512 rows give what 256 give, a weight matrix has 256 rows."
    ]
    lines = lines_of(study, "2 ohm a segment", errors)
    offset = Design(image=(64, 64), tiles=(1, 1), mapping="offset")
    assert len(findings.findings(study, lines, offset)) == 1  # 256 rows hold 255 values
    assert len(say(study, lines_of(study, "2 ohm, Toeplitz", errors))) == 1


def test_words_of_other_axes_and_of_failures() -> None:
    study = STUDIES["faults"]
    lines = lines_of(study, "alone", {0.0: 0.0, 0.001: 0.5, 0.01: 6.0})
    assert [words.removeprefix("alone: within 1 point of its mildest value ") for words in say(study, lines)] == [
        "(0 %, +0.00 points) up to 0.1 % (+0.50 points); at 1 % it is +6.00 points."
    ]
    assert say(study, lines[:2])[0].endswith(" throughout (+0.50 points).")
    lost = lines_of(STUDIES["on-off"], "offset", {2.0: 1800.0, 10.0: 1300.0})
    assert say(STUDIES["on-off"], lost) == ["offset: of no use here, its least error is +1300.00 points."]
    broken = [replace(lines[0], failed=1, error="no room"), replace(lines[1], outcomes={"diverged": 1})]
    said = say(study, broken)
    assert said[1:] == ["1 of 2 points failed; the first: no room.", "1 of 2 loops diverged: alone 0.001."]
    study = grid(["levels=4,8,16"])
    (said_grid,) = say(study, lines_of(study, "", {4: 9.0, 8: 1.0, 16: 2.0}))
    assert said_grid.startswith("least error at levels 8 (+1.00 points") and "most at 4" in said_grid
    assert say(STUDIES["stride"], []) == []


def test_strides_are_compared_at_equal_error() -> None:
    def line(series: str, steps: int, error: float, energy: float) -> Line:
        numbers = {"percent_error": error, "energy_pj": energy, "conversions": 10 * energy, "latency_ms": 1.0,
                   "cells_used": 100.0 if series == "short" else 400.0, "arrays": 2.0, "area_mm2": 0.1}  # fmt: skip
        return Line("stride", series, steps, 1, 1, 0, {k: Measured(v, v, v, 1) for k, v in numbers.items()},
                    {}, {}, None, (), None)  # fmt: skip

    lines = [line("short", 10, 40.0, 1e6), line("short", 20, 21.0, 2e6), line("short", 40, 13.0, 4e6),
             line("long", 10, 32.0, 8e6), line("long", 20, 17.0, 16e6), line("long", 40, 16.0, 32e6)]  # fmt: skip
    short, long = at_equal_error(lines)
    assert long.error == short.error == 17.0 and long.steps == 20 and long.energy_pj == 16e6  # a point above 16
    assert short.steps == pytest.approx(30) and short.energy_pj == pytest.approx(3e6)
    study = replace(STUDIES["stride"], series=(Series("short"), Series("long"), Series("other", group="b")))
    said = say(study, [*lines, line("other", 10, 90.0, 1e6)])
    assert len(said) == 2 and said[0].startswith("At 17.0 % (1 point above the largest of the least errors) long takes")
    assert "20 steps on 400 cells in 2 arrays, 160,000,000 conversions, 16.0" in said[0]
    assert said[1] == (
        "For that short takes 30 steps, 4 times fewer cells, 5.3 times fewer conversions, 5.3 times less energy and as "
        "much time."
    )
    lines[3:] = [line("long", 10, 32.0, 1e6), line("long", 20, 17.0, 1e6), line("long", 40, 16.0, 1e6)]
    assert "3 times more conversions, 3 times more energy" in say(study, lines)[1]
    assert at_equal_error([]) == []
