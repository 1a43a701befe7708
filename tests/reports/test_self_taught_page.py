"""The self-taught experiment's page, table and JSON object."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from striate.explore.papers.self_taught import Agreement, Learned, Row, SelfTaught, Settings, pairs
from striate.explore.papers.self_taught_claims import claims_of
from striate.reports.papers import self_taught as made
from striate.reports.rundir import plain

SETTINGS = Settings(kernels=12, sizes=(20, 100, 400), seeds=3)


def result() -> SelfTaught:
    rng = np.random.default_rng(0)
    rows = tuple(
        Row(source, method, size, tuple(round(float(v), 2) for v in 85 + 4 * n + rng.uniform(-1, 1, 3)))
        for source, method in pairs() for n, size in enumerate(SETTINGS.sizes)
    )  # fmt: skip
    measures = {name: 12.3 for name in ("percent_off_joint", "percent_off_sparse", "percent_error_foretold",
                                        "percent_error_joint", "percent_error_sparse")}  # fmt: skip
    learned = tuple(
        Learned(source, rng.standard_normal((12, 64)), (2.0, 1.0), (3.0, 1.5, 1.2), 26,
                {**measures, "correlation_sparse": 0.9})
        for source in ("digits", "photographs")
    )  # fmt: skip
    agreements = tuple(
        Agreement(each.source, transfer, 0.05, 0.998, 97.5, 20.0, 20.5, 75.0, 76.0, 0, 0)
        for each in learned for transfer in ("soft", "hard")
    )  # fmt: skip
    return SelfTaught(SETTINGS, rows, learned, agreements, claims_of(rows, SETTINGS))


def info_of(found: SelfTaught) -> dict[str, Any]:
    command = "striate reproduce self-taught <x>"
    return {**made.as_dict(found), "command": command, "seconds": 12.0, "versions": {"a": "1"}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("page")
    made.save_page(out, result(), info_of(result()))
    return out


def test_the_page_stands_alone_and_says_what_was_found(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == made.FILES
    text, found = (folder / "report.html").read_text(encoding="utf-8"), result()
    assert not re.search(r'(src|href)="(?!#|data:)', text) and "<script" not in text and text.count("</style>") >= 1
    assert text.count("<svg") == 4 and "{{" not in text and "striate reproduce self-taught &lt;x&gt;" in text
    for claim in found.claims:
        assert f'id="claim-{claim.name}"' in text
    assert text.count('class="badge"') == len(found.claims) == 5
    cell = found.cells["digits", "machine-hard", 400]
    assert f"{cell.mean:.1f} \u00b1 {cell.deviation:.1f}" in text
    assert "failed" not in text
    with_failure = replace(found, failed=(("score raw 20", "no room"),))
    drawn = {name: draw(with_failure) for name, draw in made.DRAWN.items()}
    assert "<b>1 point failed" in made.page(with_failure, info_of(with_failure), drawn)


def test_the_table_holds_every_draw(folder: Path) -> None:
    with (folder / "table.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 13 * 3 * 3
    found = [float(row["accuracy_percent"]) for row in rows
             if (row["source"], row["features"], row["labels"]) == ("photographs", "pca", "100")]  # fmt: skip
    assert found == pytest.approx(result().cells["photographs", "pca", 100].accuracies)


def test_rows_name_the_best_of_each_size_and_what_is_missing() -> None:
    found = result()
    rows, best = made.rows_of(found), made.best_rows(found)
    assert len(rows) == 13 and {column for _, column in best} == {2, 3, 4}
    for row, column in best:
        means = [float(line[column].split()[0]) for line in rows]
        assert means[row] == max(means)
    lacking = replace(found, rows=tuple(row for row in found.rows if row.method != "raw"))
    assert made.rows_of(lacking)[0][2:] == ["\u2013"] * 3
    assert made.lines(lacking)[0].split()[:3] == ["learned", "on", "features"]


def test_figures_of_a_result_with_nothing_in_it() -> None:
    empty = SelfTaught(SETTINGS, (), (), (), ())
    drawn = {name: draw(empty) for name, draw in made.DRAWN.items()}
    assert "<h2" in made.page(empty, info_of(empty), drawn)


def test_the_json_object_can_be_written() -> None:
    text = json.dumps(plain(made.as_dict(result())), allow_nan=False)
    back = json.loads(text)
    assert {"settings", "claims", "table", "learned", "agreement", "errors"} <= back.keys()
    assert back["claims"][0]["verdict"] in ("holds", "partly holds", "does not hold")
