"""Ranges and width searches as tables, figure, page and text."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from striate.golden.dictionary import shipped
from striate.golden.images import load_image
from striate.reports.demo import complete
from striate.reports.ranges import RANGE_COLUMNS, range_figure, range_rows
from striate.reports.record import run_machine, versions
from striate.reports.rundir import plain
from striate.reports.widths import widths_lines, widths_record
from striate.sim.design import Design
from striate.sim.precision.autowidth import AutoWidths, search
from striate.sim.precision.calibration import Calibration

DESIGN = Design(image=(32, 32), tiles=(2, 2), steps=30)


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return load_image("camera", crop=(104, 212), size=(32, 32))


@pytest.fixture(scope="module")
def result(image: np.ndarray) -> tuple[AutoWidths, Calibration]:
    calibration = Calibration.of(DESIGN, shipped(8, 16, 2, 1), [image])
    return search(DESIGN, calibration, budget=2.0), calibration


def test_a_run_that_is_kept_holds_its_ranges_and_shows_them(tmp_path: Path, image: np.ndarray) -> None:
    info, arrays, trace, run = run_machine(image, DESIGN, frames=True)
    info |= {"striate": "0", "picture": "camera", "versions": versions(), "command": "", "seconds": 1.0}
    complete(tmp_path, info, DESIGN, arrays, trace)
    kept = {r["symbol"]: r for r in json.loads((tmp_path / "run.json").read_text())["ranges"]}
    assert list(kept) == ["x", "w", "y", "dy", "R", "r~", "dr~", "D", "u"]
    assert kept["u"]["high"] >= run.membrane.max() / 4096 and kept["r~"]["low"] < 0 < kept["D"]["bits_seen"]
    assert kept["y"]["high"] >= run.code.max() / 128 > 0
    page = (tmp_path / "report.html").read_text()
    assert "r~ (residual as read)" in page and "D (drive)" in page and "lowest at the end" not in page
    assert f"<td>{kept['D']['high']:.4g}</td>" in page and 'aria-label="ranges"' in page
    assert (tmp_path / "ranges.png").stat().st_size > 5000


def test_runs_without_a_watch_show_the_end(image: np.ndarray) -> None:
    assert run_machine(image, DESIGN, frames=False)[0]["ranges"] is None
    assert run_machine(image, DESIGN.replace(schedule="skip"), frames=True)[0]["ranges"] is None


def test_rows_and_figure(result: tuple[AutoWidths, Calibration]) -> None:
    assert result[0].ranges is not None
    ranges = result[0].ranges.as_list()
    rows = range_rows(ranges)
    assert len(rows) == 9 and all(len(row) == len(RANGE_COLUMNS) for row in rows)
    assert rows[4][0] == "R (exact residual)" and rows[4][-1] == "no" and rows[8][-1] == "0"
    over = [r | {"outside": 1} for r in ranges]
    assert range_rows(over)[4][-1] == "yes" and range_rows(over)[8][-1] == "1"
    axes = range_figure(ranges).axes[0]
    assert [t.get_text() for t in axes.get_yticklabels()] == [r["symbol"] for r in ranges]
    assert len(axes.patches) == 27


def test_a_search_as_json_and_as_text(result: tuple[AutoWidths, Calibration]) -> None:
    found, calibration = result
    assert found.design is not None
    info = widths_record(found, calibration.judge(found.design), calibration.errors)
    assert json.loads(json.dumps(plain(info), allow_nan=False))["found"] is True
    assert info["widths"]["membrane"] == found.design.formats.membrane.width
    assert info["check"]["losses"] == info["losses"] and len(info["tried"]) == len(found.tried)
    lines = dict(widths_lines(info))
    assert lines["formats"].startswith(f"weight {found.design.formats.weight}, residual ")
    assert "budget 2" in lines["loss"] and "search did not see" in lines["loss elsewhere"]
    assert {f"range of {q.symbol}" for q in found.ranges.quantities} <= set(lines) if found.ranges else False
    assert any(text.endswith("refused") for label, text in widths_lines(info) if label.startswith("sweep"))


def test_a_search_without_a_result(result: tuple[AutoWidths, Calibration]) -> None:
    _, calibration = result
    better = Calibration(
        calibration.dictionary,
        calibration.images,
        tuple(e - 3 for e in calibration.errors),
        calibration.inactive,
        calibration.reconstructions,
    )
    info = widths_record(search(DESIGN, better), None, better.errors)
    assert info["found"] is False and info["formats"] == {} and info["loss"] is None and info["least_loss"] > 2
    assert all(label != "formats" for label, _ in widths_lines(info))
