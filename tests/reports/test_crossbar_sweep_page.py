"""The page and the figures of a sweep, from results that were made up."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from striate.explore.crossbar import Picture, sweep_of
from striate.explore.grid import grid
from striate.explore.store import Store
from striate.explore.studies import STUDIES, Study, cases_of
from striate.reports.crossbar_sweep import HEADS, Found, check_folder, rows_of, save_sweep, sweep_json, sweep_lines
from striate.reports.rundir import plain
from striate.reports.sweep_figures import axis_values, composed, study_figure
from striate.sim.design import Design

DESIGN = Design(image=(64, 64), tiles=(1, 1))
PICTURES = [Picture(name, f"{name}.png", (0, 0), name) for name in ("a<b>", "b")]


def made_up(studies: tuple[Study, ...], failing: str = "") -> Found:
    """Every point done with numbers from its key, those with the word ``failing`` in their parameters failed."""
    cases = [case for study in studies for case in cases_of(study, DESIGN, PICTURES, 2)]
    points = [point for case in cases for point in (*case.references.values(), *case.points)]
    sweep = sweep_of(DESIGN, PICTURES, ["made up"])
    with Store(None, sweep) as store:
        for entry in store.entries(store.add(points)):
            store.start(entry.key)
            if failing and failing in str(entry.point.parameters):
                store.fail(entry.key, "no <room> for it", 0.1)
                continue
            draw = random.Random(entry.key).uniform
            error, energy = draw(10, 40), draw(1e6, 1e8)
            store.finish(entry.key, {
                "percent_error": error, "programmed_percent_error": error - 1, "percent_inactive": 94.0,
                "psnr_db": draw(20, 30), "programmed_psnr_db": draw(20, 30), "outcome": "max_steps",
                "conversions": 12345, "adc_saturations": 6, "energy_pj": energy, "latency_ms": 0.5, "area_mm2": 0.25,
                "energy_by_group_pj": {"adc": energy}, "arrays": 4, "cells_used": 4096, "error_by_step": [50.0, error],
            }, 0.1)  # fmt: skip
        entries = tuple(store.entries())
    return Found(DESIGN, sweep, studies, tuple(cases), entries)


NAMED = tuple(STUDIES.values())


def test_every_study_has_a_figure_of_its_series() -> None:
    found = made_up(NAMED)
    for study in found.studies:
        figure = study_figure(study, found.of(study))
        left = figure.axes[0]
        drawn = [line for line in left.get_lines() if len(line.get_xdata()) > 1]  # type: ignore[arg-type]
        assert len(drawn) == (2 if study.name == "self-correction" else len(study.series))
        if study.name not in ("stride", "self-correction"):
            own = [x for x in found.of(study) if x.series == study.series[0].label]
            assert list(drawn[0].get_ydata()) == [x.median("points_above") for x in own]  # type: ignore[arg-type]
            assert [text.get_text() for text in left.get_xticklabels()][-1] == study.names.get(
                axis_values(study)[-1], f"{axis_values(study)[-1]:g}"
            )
            shaded = left.collections[0].get_paths()[0].vertices[:, 1]  # type: ignore[index]
            assert shaded.max() == pytest.approx(max(x.measures["points_above"].high for x in own))
            low, high = left.get_ylim()
            bands = [x.measures["points_above"] for x in found.of(study)]
            every = [m.low for m in bands] + [m.high for m in bands]
            assert low < min(every) and max(every) < high  # nothing cut off
    assert sum(axes.get_visible() for axes in composed(found.studies, found.lines).axes) == len(found.studies) + 1


def test_axes_are_in_order() -> None:
    assert axis_values(STUDIES["drift"]) == [0.0, 60.0, 3600.0, 86400.0, 172800.0, 2592000.0]
    assert axis_values(STUDIES["levels"])[-1] == 0 and axis_values(STUDIES["on-off"])[0] == 1.5


def test_page_and_files(tmp_path: Path) -> None:
    found = made_up(NAMED[:2], failing="'crossbar.levels': 16")
    info = {**sweep_json(found), "pictures": [{"name": p.name, "crop": p.crop} for p in PICTURES], "seeds": 2,
            "points": len(found.entries), "done": 1, "failed": 4, "command": "striate crossbar-sweep <x>"}  # fmt: skip
    save_sweep(tmp_path, info, found)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["design.toml", "report.html", "results.csv", "results.json", "studies.png", "study-levels.png",
                     "study-self-correction.png"]  # fmt: skip
    page = (tmp_path / "report.html").read_text()
    assert page.count("<svg") == 2 and "a&lt;b&gt;" in page and "<x>" not in page and "<room>" not in page
    for words in info["findings"].values():
        for word in words:
            assert word.replace("'", "&#39;").replace("<", "&lt;").replace(">", "&gt;") in page
    assert 'class="words shared"' in page and "exact devices but for what the axis varies; lossless drivers" in page
    for study in found.studies:  # a figure that stands alone says it too
        wide = study_figure(study, found.of(study), "word " * 60).get_figheight()
        assert wide > study_figure(study, found.of(study)).get_figheight()
    assert "points failed; the first: no &lt;room&gt; for it" in page
    kept = json.loads((tmp_path / "results.json").read_text())
    assert kept["table"] == json.loads(json.dumps(plain(info["table"])))
    assert "http" not in page.replace("http://www.w3.org", "")
    check_folder(tmp_path / "new")


def test_tables() -> None:
    study = grid(["crossbar.levels=4,16"])
    found = made_up((study,), failing="'crossbar.levels': 16")
    first, second = rows_of(found.lines, study)
    assert len(first) == len(second) == len(HEADS) + 2 and first[0] == "4" and "12,345" in first
    assert second[0] == "16" and second[-1] == "4 failed" and second[2] == "\u2013"
    text = "\n".join(sweep_lines(found))
    assert text.startswith("Over levels\nlevels") and "4 of 8 points failed; the first: no <room> for it." in text
