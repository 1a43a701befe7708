"""The page, tables and JSON object of the heterogeneity experiment, on planted codes."""

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from striate.explore.papers.heterogeneity import BINS, CONVERGED, CUTOFFS, SETTINGS, Coded, Experiment, Found
from striate.explore.papers.heterogeneity_dictionaries import KINDS
from striate.explore.papers.heterogeneity_pictures import Crop
from striate.golden.dictionary import Dictionary
from striate.golden.geometry import Geometry
from striate.golden.log_gabor import heterogeneous_bank, homogeneous_bank, tuning
from striate.reports.papers.heterogeneity import FILES, TITLES, convergence_words, lines, page, results, save_page
from striate.reports.papers.heterogeneity_figures import decay_of, drawn
from striate.reports.rundir import plain

LEVEL = {"homogeneous": 0.0, "homogeneous-learned": 2.0, "heterogeneous": 1.0, "heterogeneous-learned": 2.0,
         "noise-learned": 2.0}  # fmt: skip


def coded(kind: str, setting: str, crop: Crop, better: float, jitter: float) -> Coded:
    psnr = 20.0 + 3.0 * better + jitter
    curve = tuple((0.990 + 0.001 * better + 0.001 * n, psnr - n * (2.0 - 0.5 * better)) for n in range(len(CUTOFFS)))
    active = tuple(int(5 + (n * 7) % 11) for n in range(144))
    counts = np.zeros(len(BINS) - 1, int)
    counts[0] = sum(active)
    return Coded(kind, setting, crop, 0.990 + 0.001 * better + 1e-4 * jitter, psnr, 0.1, curve, active,
                 tuple(counts.tolist()), 0.5)  # fmt: skip


@pytest.fixture(scope="module")
def found() -> Found:
    crops = tuple(Crop(picture, y, 0, 40) for picture in ("camera", "china", "grass") for y in range(6))
    noise = Dictionary.random(Geometry((40, 40), 1, 144, 13, 1), 0)
    made = {"homogeneous": homogeneous_bank(), "heterogeneous": heterogeneous_bank()}
    dictionaries = {kind.name: made.get(kind.name, noise) for kind in KINDS}
    draw = np.random.default_rng(0)
    jitters = draw.normal(0, 0.3, len(crops))
    codes = [coded(kind.name, setting.name, crop, LEVEL[kind.name], float(jitters[n]))
             for kind in KINDS for setting in SETTINGS for n, crop in enumerate(crops)]  # fmt: skip
    experiment = Experiment(crops)
    codes += [coded(kind, late.name, crop, LEVEL[kind] / 2, float(jitters[crops.index(crop)]))
              for kind in made for late in CONVERGED for crop in experiment.checked]  # fmt: skip
    tunings = {name: tuple(tuning(atom) for atom in each.atoms) for name, each in dictionaries.items()}
    return Found(experiment, dictionaries, tunings, tuple(codes), ())


def test_the_json_object(found: Found) -> None:
    info = json.loads(json.dumps(plain(results(found)), allow_nan=False))
    verdicts = {claim["name"]: claim["verdict"] for claim in info["claims"]}
    assert verdicts["heterogeneous-sparser"] == "holds"
    assert verdicts["heterogeneous-lower-psnr"] == "does not hold"  # planted the other way round
    assert verdicts["learning-improves"] == verdicts["learning-meets"] == "holds"
    assert verdicts["heterogeneous-resilient"] == "holds"
    assert {c["count"] for c in info["comparisons"]} == {18}
    assert {c["count"] for c in info["held_out_comparisons"]} == {12}
    assert len(info["converged"]) == 6 and info["medians"][0]["sparseness"] == pytest.approx(0.99, abs=1e-3)
    assert "sparseness +0.0010 after 100 and +0.0005 after 600" in convergence_words(info)
    assert "PSNR +3.00 dB after 100 and +1.50 dB after 600 at lambda 0.05" in convergence_words(info)


def test_the_rate_is_one_over_the_mean(found: Found) -> None:
    density, rate = decay_of(found, "homogeneous", "text")
    assert rate == pytest.approx(2.0) and density.sum() * 0.1 == pytest.approx(1.0)


def test_the_folder(found: Found, tmp_path: Path) -> None:
    info = plain({**results(found), "command": "striate reproduce <x>", "seconds": 1.5, "versions": {"numpy": "2"}})
    save_page(tmp_path, found, info)
    assert {path.name for path in tmp_path.iterdir()} == FILES
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert not re.search(r'(src|href)="https?:', html)
    for title, _ in TITLES.values():
        assert title in html
    assert html.count('class="card claim') == 6 and "holds" in html and "CC BY 2.0" in html
    assert "striate reproduce &lt;x&gt;" in html and "numpy 2." in html
    with (tmp_path / "codes.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(found.codes)
    first = next(row for row in rows if row["dictionary"] == "heterogeneous" and row["picture"] == "camera")
    assert first["held_out"] == "True" and 0.9 < float(first["sparseness"]) < 1.0
    text = "\n".join(lines(info))
    assert "does not hold: Before learning, the heterogeneous dictionary reconstructs" in text


def test_a_page_of_few_codes(found: Found) -> None:
    """Codes that failed are said; what they would have shown is left out."""
    few = replace(found, codes=tuple(c for c in found.codes if c.kind == "homogeneous" and c.setting == "text"),
                  failed=(("noise-learned", "text", found.experiment.crops[0], "it broke"),))  # fmt: skip
    info = plain(results(few))
    assert convergence_words(info) == "" and info["comparisons"] == []
    html = page(few, info, drawn(few))
    assert "1 codes failed" in html and "does not hold" in html
