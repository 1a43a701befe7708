"""Page, figures, tables and README.md of the short-stride experiment, from numbers that were made up."""

from __future__ import annotations

import csv
import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Ellipse
from PIL import Image
from support.page import Page

from striate.explore.papers.claims import Claim, Verdict
from striate.explore.papers.configurations import FAMILIES, PILOT, THRESHOLDS, configuration, configurations
from striate.explore.papers.frames import FrameSource, frames_sha256
from striate.explore.papers.short_stride import Point, Run, ShortStride, cloud, compare, summary
from striate.explore.papers.support import support_of
from striate.explore.papers.training import Round, Training
from striate.golden.dictionary import Dictionary
from striate.reports.papers import short_stride_tables as tables
from striate.reports.papers.short_stride import DRAWN, FILES, PAGE, page, save_page
from striate.reports.papers.short_stride_pictures import (
    kernels_figure,
    label,
    members,
    mosaic,
    overcompleteness,
    reconstructions_figure,
)
from striate.reports.papers.short_stride_plots import (
    EVEN,
    clouds_figure,
    colour,
    passes_figure,
    support_figure,
    training_figure,
)

NAMES = ("32@1", "32@2", "32@4", "32@16", "8@2", "32@4 p8")


def made_up(names: tuple[str, ...] = NAMES) -> ShortStride:
    """Four frames, three passes: the second and third are close to each other; "32@16" at .025 failed."""
    rng = np.random.default_rng(3)
    asked = configurations(names)
    frames = tuple(rng.normal(0, 0.1, (1, 16, 24)) for _ in range(4))
    runs = []
    for each in asked:
        for threshold in THRESHOLDS:
            if (each.name, threshold) == ("32@16", 0.025):
                continue
            error, inactive = PILOT[each.name][0] * threshold / 0.05, PILOT[each.name][1]
            points = [
                Point(n, k, error + k + (2.0 if n == 1 else 0.001 * n), inactive - 0.1 * k * k, "max_steps")
                for n in (1, 2, 3)
                for k in range(4)
            ]
            runs.append(Run(each.name, threshold, 1 / 64 if each.name == "32@1" else 1 / 32, 200, tuple(points), 1.0))
    atoms = {each.name: rng.normal(size=(each.kernels, 1, each.patch, each.patch)) for each in asked}
    dictionaries = {
        each.name: Dictionary(a / np.sqrt(np.square(a).sum(axis=(1, 2, 3), keepdims=True)), each.stride)
        for each, a in zip(asked, atoms.values(), strict=True)
    }
    rounds = (Round(1, 3000, None, 0.5, 20, 90, 0.01, 0.5, 9), Round(2, 1000, 0.5, 0.4999, 20, 90, 0.01, 0.75, 9))
    motion = ("cut", "by 1", "by 1", "by 2")
    source = FrameSource("made up", frames, motion, frames_sha256(frames), "Drawn.", "A")
    return ShortStride(
        asked, THRESHOLDS, 3, 200, 0, tuple(runs),
        tuple(support_of(name, dictionary) for name, dictionary in dictionaries.items()), (),
        (Claim("trend", "Shorter <is> better.", Verdict.HOLDS, "less than 3 %.", "it | was."),
         Claim("patch", "No effect.", Verdict.FAILS, "within 1.", "it was 2.")),
        source, (Training("32@2", "Hebbian", rounds, 1), Training("32@4", "Hebbian", rounds[:1], 1)), dictionaries,
        {name: frames[1].mean(0) + rng.normal(0, 0.01, (16, 24)) for name in names}, 1, 0.05,
        (("radius", "a 64x64 patch"),),
        tuple(found for name in names if (found := compare(name, runs, 0.05))), (("32@16", 0.025, "it diverged"),),
    )  # fmt: skip


RESULT = made_up()


def test_series_have_the_papers_order_and_colours() -> None:
    assert [each.name for each in members(RESULT, "stride")] == ["32@1", "32@2", "32@4", "32@16"]
    assert [each.name for each in members(RESULT, "patch")] == ["32@4 p8", "32@4"]
    four = configuration("32@4")
    assert colour(four, "stride") == colour(four, "overcomplete") != colour(four, "patch")
    red, green, blue = (int(colour(four, "stride")[n : n + 2], 16) for n in (1, 3, 5))
    assert red > 2 * max(green, blue)
    assert label(configuration("32@8"), "stride") == "stride 8, 1/2 undercomplete"
    assert [overcompleteness(configuration(n)) for n in ("32@1", "512@16")] == ["32x overcomplete", "2x overcomplete"]
    assert label(four, "patch") == "16x16 patches" and label(four, "overcomplete") == "stride 4, 32 kernels"


@pytest.mark.parametrize("count, patch", [(1, 4), (2, 15), (3, 8), (32, 16), (512, 16), (32, 64)])
def test_a_mosaic_holds_every_kernel_whole(count: int, patch: int) -> None:
    atoms = np.random.default_rng(0).normal(size=(count, 1, patch, patch))
    sheet = mosaic(atoms)
    found = 0
    rows, columns = (np.flatnonzero((sheet == 255).all(axis=axis)) for axis in (1, 0))
    tops, lefts = (lines[:-1][np.diff(lines) > 1] + 1 for lines in (rows, columns))
    for top in tops:
        for left in lefts:
            tile = sheet[top : top + patch, left : left + patch]
            if (tile == 255).all():
                continue
            atom = atoms[found, 0]
            np.testing.assert_allclose(tile, 255 * (0.5 + 0.5 * atom / np.abs(atom).max()), atol=0.51)
            found += 1
    assert found == count
    assert count < 8 or 0.9 < sheet.shape[1] / sheet.shape[0] < 2.2


def test_clouds_show_later_passes_and_ellipses() -> None:
    for family in FAMILIES:
        figure = clouds_figure(RESULT, family)
        assert figure is not None
        axes = figure.axes[0]
        assert axes.get_xlabel() == "percent inactive" and axes.get_ylabel() == "percent error"
        shown = members(RESULT, family)
        runs = [(each, run) for each in shown for run in RESULT.runs if run.configuration == each.name]
        ovals = [patch for patch in axes.patches if isinstance(patch, Ellipse)]
        dots = [line for line in axes.get_lines() if line.get_marker() == "." and len(np.asarray(line.get_xdata()))]
        assert len(ovals) == len(dots) == len(runs)
        for oval, line, (each, run) in zip(ovals, dots, runs, strict=True):
            assert to_hex(oval.get_edgecolor()) == to_hex(line.get_color()) == colour(each, family)
            xy = np.array([(p.percent_inactive, p.percent_error) for p in cloud(run)])
            np.testing.assert_array_equal(np.asarray(line.get_xydata()), xy)
            # The ellipse is that of 2 standard deviations: its extent along each axis of the figure says so.
            half = 2 * xy.std(axis=0, ddof=1)
            turn = math.radians(oval.angle)
            w, h = oval.width / 2, oval.height / 2
            extent = np.hypot((w * math.cos(turn), w * math.sin(turn)), (h * math.sin(turn), h * math.cos(turn)))
            np.testing.assert_allclose(extent, half, rtol=1e-6)
            box = np.array([axes.get_xlim(), axes.get_ylim()])
            assert (xy.min(axis=0) >= box[:, 0]).all() and (xy.max(axis=0) <= box[:, 1]).all()
        texts = {text.get_text() for panel in figure.axes for text in panel.texts}
        assert texts <= {".025", ".05", ".075", ".1"} and len(texts) >= 3
    assert len(clouds_figure(RESULT, "stride").axes) == 2  # type: ignore[union-attr]
    assert clouds_figure(dataclasses.replace(RESULT, runs=()), "stride") is None


def test_figures_of_kernels_and_reconstructions() -> None:
    for family in FAMILIES:
        shown = members(RESULT, family)
        kernels, pictures = kernels_figure(RESULT, family), reconstructions_figure(RESULT, family)
        assert pictures is not None
        assert kernels is not None
        for figure in (kernels, pictures):
            titles = [axes.get_title().split("\n")[0] for axes in figure.axes if axes.get_visible()]
            assert titles[1:] == [f"({'bcdef'[n]}) {label(each, family)}" for n, each in enumerate(shown)]
        overlaps = kernels.axes[0]
        sides = [patch.get_width() for patch in overlaps.patches]  # type: ignore[attr-defined]
        assert sides == [each.patch for each in shown for _ in range(8)]
        first = pictures.axes[1].get_title()
        point = RESULT.run(shown[0].name, 0.05).points[2 * 4 + 1]  # type: ignore[union-attr]
        assert f"error {point.percent_error:.1f} %, inactive {point.percent_inactive:.1f} %" in first
    assert reconstructions_figure(dataclasses.replace(RESULT, reconstructions={}), "stride") is None


def test_passes_supports_and_training_are_drawn_from_their_numbers() -> None:
    passes = passes_figure(RESULT)
    assert passes is not None
    lines = {line.get_label(): np.asarray(line.get_xdata()) for line in passes.axes[0].get_lines()}
    np.testing.assert_allclose(lines["pass 1 to 2"], 1.998, atol=1e-9)
    np.testing.assert_allclose(lines["pass 2 to 3"], 0.001, atol=1e-9)
    support = support_figure(RESULT)
    assert support is not None
    limits = [line for line in support.axes[0].get_lines() if line.get_linewidth() == 1.4]
    assert [np.asarray(line.get_ydata())[0] for line in limits] == [EVEN * 8, EVEN * 16]
    training = training_figure(RESULT)
    assert training is not None
    curves = training.axes[0].get_lines()
    np.testing.assert_array_equal(np.asarray(curves[0].get_xydata()), [[3000, 0.5], [4000, 0.4999]])
    assert [curve.get_label() for curve in curves[1::2]] == ["32@2", "32@4, not settled"]
    bare = dataclasses.replace(RESULT, training=(), supports=(), runs=())
    assert training_figure(bare) is None and support_figure(bare) is None and passes_figure(bare) is None


def test_energy_spread_evenly_reaches_as_far_as_said() -> None:
    y, x = np.mgrid[:400, :400] - 199.5
    radius = np.sort(np.hypot(y, x).ravel())[int(0.9 * 400 * 400)] / 400
    assert radius == pytest.approx(EVEN, abs=1e-3)


def test_rows() -> None:
    rows = tables.run_rows(RESULT)
    assert len(rows) == len(NAMES) * len(THRESHOLDS) and all(len(row) == len(tables.HEADS) for row in rows)
    run = RESULT.run("32@1", 0.05)
    assert run is not None
    mean = summary(cloud(run))
    assert rows[1] == ["32@1", "32x overcomplete", "0.05", f"{mean.error:.2f} \u00b1 {mean.error_sd:.2f}",
                       f"{mean.inactive:.2f} \u00b1 {mean.inactive_sd:.2f}", "1/64", "200", "8 max steps",
                       "\u2013"]  # fmt: skip
    failed = next(row for row in rows if row[7].startswith("failed"))
    assert (failed[0], failed[2], failed[7]) == ("32@16", "0.025", "failed: it diverged")
    assert [row[8] for row in rows if row[0] in ("32@2", "32@4")] == ["yes"] * 4 + ["no"] * 4
    assert tables.training_rows(RESULT)[0] == ["32@2", "2", "1", "3,000", "0.5000", "0.5000", "0.02 %", "50 %", "yes"]
    pilot = tables.pilot_rows(RESULT)
    assert [row[0] for row in pilot] == list(NAMES) and {row[6] for row in pilot} <= {"yes", "no", "at equal error"}
    assert tables.fraction(1 / 48) == "1/48" and tables.fraction(0.3) == "0.3"


def test_a_folder(tmp_path: Path) -> None:
    written = save_page(tmp_path, RESULT, {"command": "striate reproduce short-stride --out <x>", "seconds": 12.0})
    assert {path.name for path in written} == {path.name for path in tmp_path.iterdir()} == FILES
    for path in written:
        if path.suffix == ".png":
            assert path.stat().st_size < 150_000
            with Image.open(path) as picture:
                assert picture.mode == "P" and picture.width >= 700
    with (tmp_path / "points.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(RESULT.runs) * 12
    assert float(rows[5]["percent_error"]) == round(RESULT.runs[0].points[5].percent_error, 4)
    with (tmp_path / "table.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [float(row["percent_error"]) for row in table] == [round(summary(cloud(r)).error, 6) for r in RESULT.runs]
    readme = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "- **holds**: Shorter <is> better. *Rule:* less than 3 %." in readme
    assert "*not judged*: radius, for want of a 64x64 patch." in readme
    for name, *_ in DRAWN:
        assert f"]({name})" in readme
    text = (tmp_path / PAGE).read_text(encoding="utf-8")
    seen = Page(text)
    assert all(link.startswith(("#", "data:image/png")) for link in seen.loads)
    assert len(seen.ids) == len(set(seen.ids)) and {"table", "claim-trend", "figure-5-clouds"} <= set(seen.ids)
    assert {link[1:] for link in seen.loads if link.startswith("#")} <= set(seen.ids)
    assert "Shorter &lt;is&gt; better." in text and "--out &lt;x&gt;" in text and "1 run failed" in text
    assert text.index('class="badge">holds') < text.index("<svg") and "does not hold" in text


def test_a_part_of_the_experiment(tmp_path: Path) -> None:
    part = dataclasses.replace(made_up(("32@2",)), training=())
    files = {path.name for path in save_page(tmp_path, part, {})}
    assert "training.png" not in files and {PAGE, "README.md"} < files
    assert not {name for name in files if name.startswith(("figure-6", "figure-9"))} and "figure-3-kernels.png" in files
    assert Page(page(part, {}, {})).ids  # no figure at all is a page too
