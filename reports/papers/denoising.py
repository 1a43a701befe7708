"""The denoising experiment in a folder: run.json, tables, figures and the page."""

import csv
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from ...explore.papers.denoising import LAYER, METHODS, PAPER_INPUT_DB, PAPER_OUTPUT_DB
from ...explore.papers.denoising_filters import LEARNED_FROM
from ...explore.papers.denoising_run import Denoising, Example
from ...golden.archive import replacing
from ...golden.errors import InputError
from ...golden.images import CREDITS
from .. import figures, rundir
from ..tables import DASH, number
from .denoising_figures import crops_figure, filters_figure, gains_figure, sparsity_figure

STORE, RESULT, FILTERS, STRENGTHS = "points.sqlite", "run.json", "filters.npz", "strengths.json"
FIGURES = ("crops", "gains", "sparsity", "filters")
FILES = frozenset({RESULT, FILTERS, STRENGTHS, "denoised.csv", "sparse.csv", "report.html",
                   *(f"{name}.png" for name in FIGURES)})  # fmt: skip


def denoising_json(result: Denoising) -> dict[str, Any]:
    """The JSON keys of the experiment."""
    plan = result.plan
    return {
        "on": "denoising",
        "claims": [asdict(claim) for claim in result.claims],
        "paper": {"noisy_db": PAPER_INPUT_DB, "denoised_db": PAPER_OUTPUT_DB},
        "snr": "10 log10(sum (x - mean x)^2 / sum (x - y)^2)",
        "levels_db": list(plan.levels_db),
        "crop_pixels": plan.size,
        "seeds": plan.seeds,
        "pictures": {
            crop.picture: {"learned_from": crop.learned_from, "free": crop.free,
                           "crops": [[c.y, c.x] for c in plan.crops if c.picture == crop.picture]}
            for crop in plan.crops
        },
        "filters": {"sha256": result.filters.sha256, "source": result.filters.source},
        "methods": {
            name: {"title": method.title, "strength": {f"{level:g}": plan.strengths[name, level]
                                                       for level in plan.levels_db},
                   "gain_db": {f"{level:g}": {"mean_held_out": result.mean_gain(name, level),
                                              **result.gains(name, level)} for level in plan.levels_db}}
            for name, method in METHODS.items()
        },
        "seconds_a_filter_and_megapixel": result.rate,
        "point_seconds": result.seconds,
        "failed_points": list(result.failed),
    }  # fmt: skip


def gain_rows(result: Denoising, level: float) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of the table of gains at a level: a row a method, a column a picture, the held-out mean last."""
    pictures = list(dict.fromkeys(crop.picture for crop in result.plan.crops))
    marked = [f"{name} *" if name in LEARNED_FROM else name for name in pictures]
    rows = []
    for name, method in METHODS.items():
        gains = result.gains(name, level)
        rows.append([
            method.title, number(result.plan.strengths[name, level]),
            *(_signed(gains.get(picture)) for picture in pictures), _signed(result.mean_gain(name, level)),
            number(result.mean_active(name, level), 1),
        ])  # fmt: skip
    return ["method", "strength", *marked, "held-out mean", "active %"], rows


def _signed(value: float | None) -> str:
    return DASH if value is None else f"{value:+.2f}"


def denoising_lines(result: Denoising) -> list[str]:
    """Tables and verdicts on a terminal."""
    lines: list[str] = []
    for level in result.plan.levels_db:
        heads, rows = gain_rows(result, level)
        widths = [max(len(row[n]) for row in (heads, *rows)) for n in range(len(heads))]
        lines.append(f"SNR won in dB at an input of {level:g} dB")
        lines += ["  ".join(f"{text:{'>' if n else '<'}{widths[n]}}" for n, text in enumerate(row)).rstrip()
                  for row in (heads, *rows)]  # fmt: skip
        lines.append("")
    if any(crop.learned_from for crop in result.plan.crops):
        lines += ["* filters and strengths come from this photograph", ""]
    for claim in result.claims:
        lines += [f"{claim.name}: {claim.verdict}. {claim.evidence}"]
    return lines


# ---- the folder ------------------------------------------------------------------------------------------------------
def check_folder(out: Path) -> None:
    """Refuse a folder that the experiment may not fill.

    Raises:
        InputError: a file, a folder that cannot be written to, or one with files that the experiment did not write.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        rundir.refuse_existing(out, False)
        return
    if not out.is_dir():
        raise InputError(f"--out {out} is a file; name a folder")
    foreign = [path.name for path in sorted(out.iterdir()) if not _ours(path.name)]
    if foreign:
        raise InputError(f"--out {out} holds {foreign[0]}, which `reproduce denoising` did not write; name another "
                         "folder")
    if (out / RESULT).is_file() and not (out / STORE).is_file():
        raise InputError(f"--out {out} holds no points of `reproduce denoising`; name another folder")


def clear_folder(out: Path) -> None:
    """Remove what the experiment wrote into a folder, its store and its filters apart."""
    for path in sorted(out.iterdir()):
        if _ours(path.name) and not path.name.startswith(STORE) and path.name not in (FILTERS, STRENGTHS):
            path.unlink()


def _ours(name: str) -> bool:
    return name in FILES or name.startswith(STORE) or (name.startswith(".") and name.endswith(".part"))


def save_denoising(out: Path, info: dict[str, Any], result: Denoising, examples: Sequence[Example]) -> None:
    """Write run.json, denoised.csv, sparse.csv, the figures and report.html into a folder that exists."""
    drawn = {"crops": crops_figure(examples), "gains": gains_figure(result), "sparsity": sparsity_figure(result),
             "filters": filters_figure(result)}  # fmt: skip
    for name, figure in drawn.items():
        figures.png(figure, out / f"{name}.png", dpi=110)
    for name, records in (("denoised", result.denoised), ("sparse", result.sparse)):
        rows = [asdict(record) for record in records]
        with replacing(out / f"{name}.csv") as aside, aside.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            if rows:
                writer.writerow(rows[0])
                writer.writerows(row.values() for row in rows)
    rundir.write_json(out / RESULT, info)
    with replacing(out / "report.html") as aside:
        aside.write_text(page(info, result, drawn), encoding="utf-8")


def page(info: dict[str, Any], result: Denoising, drawn: dict[str, Figure]) -> str:
    """The HTML: opens without a network, follows light and dark."""
    environment = Environment(
        loader=PackageLoader((__package__ or "striate.reports.papers").rpartition(".")[0]),
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(number=number)
    shown = {crop.picture for crop in result.plan.crops}
    level = min(result.plan.levels_db, key=lambda value: abs(value - PAPER_INPUT_DB))
    text: str = environment.get_template("denoising.html.j2").render(
        info=info, result=result, level=level,
        gain=result.mean_gain(LAYER, level), blur=result.mean_gain("blur", level),
        tables=[(value, *gain_rows(result, value)) for value in result.plan.levels_db],
        credits=[text for name, text in CREDITS.items() if name in shown], learned_from=", ".join(LEARNED_FROM),
        svg={name: figures.svg(figure, f"denoising-{name}") for name, figure in drawn.items()},
    )  # fmt: skip
    return text
