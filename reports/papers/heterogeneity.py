"""The heterogeneity experiment in a folder: its JSON object, tables, figures and page."""

import csv
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from ...explore.papers.heterogeneity import BINS, CONVERGED, CUTOFFS, SETTINGS, Found
from ...explore.papers.heterogeneity_claims import judge
from ...explore.papers.heterogeneity_dictionaries import KINDS
from ...explore.papers.heterogeneity_pictures import SHRINK, SIGMA
from ...explore.papers.heterogeneity_statistics import Cardinal, cardinal, comparisons
from ...golden.archive import replacing
from ...golden.images import CREDITS
from .. import figures
from ..tables import DASH, number
from .heterogeneity_figures import decay_of, drawn
from .short_stride import small_png

PAGE, TABLE = "report.html", "codes.csv"
_TUNED = (
    "A kernel's area is its share of all active codes. Orientation and bandwidth are measured from the spectrum; 12x12 "
    "pixels turn a bandwidth of 3 degrees into one of 13, of 12 into 13, of 30 into 30. Bandwidths above 60 degrees "
    "are drawn at 60."
)
_PRUNED = (
    "Codes whose absolute value is below a cut-off are set to 0; cut-offs from light to dark: "
    f"{', '.join(f'{cutoff:g}' for cutoff in CUTOFFS)}. Line: the medians."
)
_DECAY = "Points: density of |code| over all crops. Lines: b exp(-b |code|), b one over the mean."
TITLES = {
    "kernels": ("The kernels (figure 2a to c)", "Each kernel on a gray scale of its own, in the order of the banks."),
    "distributions": ("Sparseness and PSNR (figure 2d)", "A point is a crop; dashed: the median."),
    "pruning": ("Pruning (figure 6a)", _PRUNED),
    "tuning": ("Tuning of the kernels (figure 3a)", _TUNED),
    "activity": ("Activity by orientation and bandwidth (figures 3b and 5a)",
                 "Active codes of all crops at both lambdas, by what their kernel is tuned to."),
    "coefficients": ("Size of active codes (figure 4a)", _DECAY),
}  # fmt: skip
FILES = frozenset({PAGE, TABLE, *(f"{name}.png" for name in TITLES)})
"""What `save_page` writes."""
_PREPARED = (
    "The text does not say what is done to pictures before coding. The program its authors published shrinks whole "
    f"photographs and normalises their local contrast; here blocks of {SHRINK}x{SHRINK} pixels are averaged and "
    f"contrast is normalised with a Gaussian of {SIGMA:.2f} pixels. PSNR is against the normalised picture, as there."
)
_LEVELS = (
    "The text has lambda 0.05, the program 0.01 and at most 100 iterations of ADMM: both lambdas are run, with 100 "
    "iterations."
)
_SAMPLED = (
    "Kernels follow eq. 3 as printed (f0 = sigma_f = 0.4 cycles per pixel), cut from a fine grid; the program samples "
    "a narrower band on a grid of 12x12 frequencies and fades the corners."
)
DIFFERENT = (
    "Pictures: crops of bundled photographs, not 1145 pictures of 256x256 pixels.",
    _PREPARED,
    _LEVELS,
    _SAMPLED,
    "The six bandwidths are even steps from 3 to 30 degrees; the text names the ends, the program has 5 to 30.",
    "Learning: a few hundred crops at lambda 0.2 by the Hebbian rule, coded by LCA; the paper takes 750 pictures.",
    "Not reproduced: the classification of CIFAR-10 (figure 7), and the fits of orientations (figure 5).",
)
"""Deviations, one sentence or two each."""


def results(found: Found) -> dict[str, Any]:
    """The JSON keys of the experiment."""
    compared, cardinals = comparisons(found), cardinals_of(found)
    return {
        "on": "heterogeneity",
        "claims": [asdict(claim) for claim in judge(compared, cardinals)],
        "comparisons": [asdict(each) for each in compared],
        "held_out_comparisons": [asdict(each) for each in comparisons(found, held_out=True)],
        "converged": converged(found),
        "cardinal": [asdict(each) for each in cardinals],
        "medians": medians(found),
        "settings": [asdict(each) for each in (*SETTINGS, *CONVERGED)],
        "cutoffs": CUTOFFS, "bins": BINS,
        "crops": [{**asdict(crop), "held_out": crop.held_out} for crop in found.experiment.crops],
        "dictionaries": {name: {"sha256": each.sha256, "source": each.source} for name, each in
                         found.dictionaries.items()},
        "codes_failed": [{"kind": kind, "setting": setting, **asdict(crop), "error": error}
                         for kind, setting, crop, error in found.failed],
        "sha256": found.checksum,
    }  # fmt: skip


def cardinals_of(found: Found) -> tuple[Cardinal, ...]:
    """Of every dictionary."""
    return tuple(cardinal(name, [t.orientation_degrees for t in each]) for name, each in found.tunings.items())


def medians(found: Found) -> list[dict[str, Any]]:
    """A row a dictionary and setting: medians over the crops, active codes' mean and rate of decay."""
    rows = []
    for setting in SETTINGS:
        for kind in KINDS:
            codes = found.of(kind.name, setting.name)
            if not codes:
                continue
            silent = int(np.sum(np.sum([code.active for code in codes], axis=0) == 0))
            rows.append({
                "kind": kind.name, "threshold": setting.threshold, "crops": len(codes),
                "sparseness": float(np.median([code.sparseness for code in codes])),
                "psnr_db": float(np.median([code.psnr_db for code in codes])),
                "silent_kernels": silent, "decay": decay_of(found, kind.name, setting.name)[1],
            })  # fmt: skip
    return rows


def converged(found: Found) -> list[dict[str, Any]]:
    """The banks with the paper's iterations and with more, crop by crop: is it the kernels, or the solver?"""
    rows = []
    for early, late in zip(SETTINGS, CONVERGED, strict=True):
        for crop in found.experiment.checked:
            row: dict[str, Any] = {"picture": crop.picture, "y": crop.y, "x": crop.x, "threshold": early.threshold}
            for setting in (early, late):
                pair = [next((c for c in found.of(kind, setting.name) if c.crop == crop), None)
                        for kind in ("homogeneous", "heterogeneous")]  # fmt: skip
                for measure in ("sparseness", "psnr_db"):
                    values = [None if code is None else getattr(code, measure) for code in pair]
                    row[f"{measure} after {setting.iterations}"] = values
            rows.append(row)
    return rows


# ---- words and tables ------------------------------------------------------------------------------------------------
def lines(info: dict[str, Any]) -> list[str]:
    """The medians and verdicts on a terminal."""
    heads, rows = median_table(info)
    widths = [max(len(row[n]) for row in (heads, *rows)) for n in range(len(heads))]
    table = ["  ".join(f"{text:{'<' if n == 0 else '>'}{widths[n]}}" for n, text in enumerate(row)).rstrip()
             for row in (heads, *rows)]  # fmt: skip
    return [*table, "", *(f"{claim['verdict']}: {claim['statement']}" for claim in info["claims"]), ""]


def median_table(info: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of `medians`."""
    heads = ["dictionary", "lambda", "crops", "sparseness", "PSNR dB", "silent kernels", "decay b"]
    rows = [
        [row["kind"], f"{row['threshold']:g}", f"{row['crops']}", number(row["sparseness"], 4),
         number(row["psnr_db"]), f"{row['silent_kernels']}", number(row["decay"])]
        for row in info["medians"]
    ]  # fmt: skip
    return heads, rows


def test_table(compared: list[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of comparisons."""
    heads = ["first", "second", "measure", "lambda", "median 1", "median 2", "U", "p", "effect", "2 higher", "paired p"]
    level = {setting.name: f"{setting.threshold:g}" for setting in SETTINGS}
    rows = []
    for c in compared:
        digits = 4 if c["measure"] == "sparseness" else 2
        rows.append([
            c["first"], c["second"], c["measure"].replace("_db", ", dB").replace("_", " ").replace("psnr", "PSNR"),
            level[c["setting"]], number(c["median_first"], digits), number(c["median_second"], digits),
            f"{c['u']:.0f}", f"{c['p']:.2g}", f"{c['effect']:+.2f}", f"{100 * c['higher']:.0f} %",
            f"{c['paired_p']:.2g}",
        ])  # fmt: skip
    return heads, rows


def converged_table(info: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of `converged`: homogeneous and heterogeneous, early and late."""
    early, late = SETTINGS[0].iterations, CONVERGED[0].iterations
    keys = [f"{measure} after {count}" for measure in ("sparseness", "psnr_db") for count in (early, late)]
    heads = ["crop", "lambda", *(key.replace("psnr_db", "PSNR, dB") for key in keys)]
    rows = []
    for row in info["converged"]:
        cells = [" / ".join(DASH if value is None else number(value, 4 if "sparseness" in key else 2)
                            for value in row[key]) for key in keys]  # fmt: skip
        rows.append([f"{Path(row['picture']).name} {row['y']},{row['x']}", f"{row['threshold']:g}", *cells])
    return heads, rows


def convergence_words(info: dict[str, Any]) -> str:
    """What `converged` says in one sentence; empty when a code is missing."""
    late, said = CONVERGED[0].iterations, []
    for setting in SETTINGS:
        rows = [row for row in info["converged"] if row["threshold"] == setting.threshold]
        for measure, unit in (("sparseness", ""), ("psnr_db", " dB")):
            ends = []
            for count in (setting.iterations, late):
                pairs = [row[f"{measure} after {count}"] for row in rows]
                if not pairs or any(None in pair for pair in pairs):
                    return ""
                ends.append(float(np.mean([b - a for a, b in pairs])))
            digits = 4 if measure == "sparseness" else 2
            said.append(f"{'PSNR' if unit else measure} {ends[0]:+.{digits}f}{unit} after {setting.iterations} and "
                        f"{ends[1]:+.{digits}f}{unit} after {late} at lambda {setting.threshold:g}")  # fmt: skip
    return f"Heterogeneous less homogeneous, mean over these crops: {'; '.join(said)}."


# ---- the folder ------------------------------------------------------------------------------------------------------
def save_page(out: Path, found: Found, info: dict[str, Any]) -> None:
    """Write report.html, codes.csv and the figures into a folder that exists, each aside and renamed."""
    pictures = drawn(found)
    for name, figure in pictures.items():
        small_png(figure, out / f"{name}.png")
    with replacing(out / TABLE) as aside, aside.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(codes_csv(found))
    with replacing(out / PAGE) as aside:
        aside.write_text(page(found, info, pictures), encoding="utf-8")


def codes_csv(found: Found) -> list[list[Any]]:
    """A row a code, heads first."""
    heads = ["dictionary", "lambda", "iterations", "picture", "y", "x", "held_out", "sparseness", "psnr_db"]
    heads += [f"{measure} pruned at {cutoff:g}" for cutoff in CUTOFFS for measure in ("sparseness", "psnr_db")]
    known = {setting.name: setting for setting in (*SETTINGS, *CONVERGED)}
    rows: list[list[Any]] = [heads]
    for code in found.codes:
        setting, crop = known[code.setting], code.crop
        rows.append([code.kind, setting.threshold, setting.iterations, crop.picture, crop.y, crop.x, crop.held_out,
                     code.sparseness, code.psnr_db, *(value for pair in code.pruned for value in pair)])  # fmt: skip
    return rows


def page(found: Found, info: dict[str, Any], pictures: dict[str, Figure]) -> str:
    """The HTML: opens without a network, follows light and dark."""
    environment = Environment(
        loader=PackageLoader("striate.reports"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(number=number)
    parts = [{"id": name, "title": TITLES[name][0], "about": TITLES[name][1],
              "svg": figures.svg(figure, f"heterogeneity-{name}")} for name, figure in pictures.items()]  # fmt: skip
    shown = dict.fromkeys(crop.picture for crop in found.experiment.crops)
    text: str = environment.get_template("heterogeneity.html.j2").render(
        info=info, parts=parts, medians=median_table(info), tests=test_table(info["comparisons"]),
        held=test_table(info["held_out_comparisons"]), converged=converged_table(info),
        convergence=convergence_words(info), different=DIFFERENT, size=found.experiment.crops[0].size,
        pictures=[Path(name).name for name in shown], credits=[CREDITS[name] for name in shown if name in CREDITS],
        settings=SETTINGS,
    )  # fmt: skip
    return text
