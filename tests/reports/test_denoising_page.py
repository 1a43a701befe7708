"""The page of the denoising experiment: says what was found, opens without a network."""

import re
from dataclasses import replace

import numpy as np
import pytest

from striate.explore.papers import denoising_run as run
from striate.explore.papers.denoising import METHODS, Crop
from striate.explore.papers.denoising_claims import Denoised, Sparse, judge
from striate.golden.dictionary import Dictionary
from striate.reports.papers import denoising as page_of
from striate.reports.rundir import plain


@pytest.fixture
def result():
    """Two pictures, one of them learned from, at two levels; numbers made up."""
    crops = tuple(Crop(name, 0, n, 16, "0") for name in ("china", "camera", "chelsea") for n in range(2))
    levels = (8.0, 13.84)
    strengths = {(name, level): 1.25 for name in METHODS for level in levels}
    rows = [
        Denoised(c.picture, (c.y, c.x), c.learned_from, c.free, name, level, 0, level, level + 3.0 - n / 2, 20.0, 1.5)
        for c in crops for n, name in enumerate(METHODS) for level in levels
    ]
    sparse = [Sparse("camera", p, t, 100 * t, 2 * p / t) for p in run.CODED_P for t in (0.05, 0.2, 0.5)]
    atoms = np.random.default_rng(0).standard_normal((9, 1, 7, 7))
    atoms /= np.linalg.norm(atoms.reshape(9, -1), axis=1)[:, None, None, None]
    plan = run.Plan(crops, levels, 1, strengths, 16)
    return run.Denoising(plan, tuple(rows), tuple(sparse), judge(rows, sparse), Dictionary(atoms, 1, "made up"), 12.0,
                         (), 4.5)


def example():
    clean = np.random.default_rng(1).random((1, 16, 16))
    return run.Example(Crop("camera", 0, 0, 16, "0"), 13.84, clean, clean + 0.1, clean, 13.84, 17.5)


def info_of(result):
    return {**page_of.denoising_json(result), "command": "striate reproduce denoising"}


def test_the_page_says_what_was_found(result, tmp_path):
    page_of.save_denoising(tmp_path, info_of(result), result, [example()])
    page = (tmp_path / "report.html").read_text()
    assert page.count("<svg") == 4 and "http" not in page.replace("http://www.w3.org", "")
    assert "holds</span>" in page and result.claims[0].evidence in page.replace("&#43;", "+")
    assert "+3.00" in page and "chelsea *" in page and "camera at 0,0" in page
    assert "made up." in page and "4.5 s a filter and megapixel" in page and "CC BY 2.0" in page
    assert "striate reproduce denoising" in page and "A blur does as well" not in page
    assert len(re.findall(r'id="denoising-crops-', page)) == len(set(re.findall(r'id="(denoising-crops-[^"]+)"', page)))
    assert {path.name for path in tmp_path.iterdir()} <= page_of.FILES
    assert (tmp_path / "sparse.csv").read_text().splitlines()[0].startswith("picture,p,threshold")


def test_a_better_blur_is_said(result, tmp_path):
    rows = tuple(replace(row, snr_db=30.0) if row.method == "blur" else row for row in result.denoised)
    better = replace(result, denoised=rows)
    page_of.save_denoising(tmp_path, info_of(better), better, [example()])
    assert "A blur does as well on these pictures" in (tmp_path / "report.html").read_text()


def test_tables_and_json(result):
    heads, rows = page_of.gain_rows(result, 13.84)
    assert heads == ["method", "strength", "china", "camera", "chelsea *", "held-out mean", "active %"]
    assert rows[0] == ["layer, p = 1, the paper's continuation", "1.25", "+3.00", "+3.00", "+3.00", "+3.00", "1.5"]
    assert len(rows) == len(METHODS)
    told = plain(page_of.denoising_json(result))
    assert told["methods"]["layer"]["gain_db"]["8"]["mean_held_out"] == pytest.approx(3.0)
    assert [claim["verdict"] for claim in told["claims"]] == ["holds", "holds"]
    lines = page_of.denoising_lines(result)
    assert any(line.startswith("denoising: holds.") for line in lines)
    nothing = replace(result, denoised=(), sparse=(), claims=())
    assert page_of.gain_rows(nothing, 13.84)[1][0][2] == "\u2013"


def test_nothing_done_still_makes_a_page(result, tmp_path):
    nothing = replace(result, denoised=(), sparse=(), claims=(), failed=("broken",), rate=None)
    page_of.save_denoising(tmp_path, info_of(nothing), nothing, [example()])
    page = (tmp_path / "report.html").read_text()
    assert "1 point failed: broken" in page and "not judged" in page
