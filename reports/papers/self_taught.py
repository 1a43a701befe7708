"""The self-taught experiment in a folder: the page, its figures, the table, and its JSON object."""

import csv
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from ...explore.papers.self_taught import METHODS, PHOTOGRAPHS, SOURCES, SelfTaught, pairs
from ...explore.papers.self_taught_claims import compare
from ...golden.archive import replacing
from .. import figures
from ..tables import DASH, number
from .self_taught_figures import accuracy_figure, kernels_figure, learning_figure, machine_figure

PAGE, TABLE = "report.html", "table.csv"
DRAWN = {"accuracy.png": accuracy_figure, "machine.png": machine_figure, "kernels.png": kernels_figure,
         "learning.png": learning_figure}  # fmt: skip
FILES = frozenset({PAGE, TABLE, *DRAWN})
"""All files that `save_page` writes."""
LECTURES = (("100", "39.8", "25.3", "39.7"), ("500", "54.8", "54.8", "58.5"), ("1000", "61.9", "64.5", "65.3"))
"""The table in the lectures, digits to English characters: labels, and percent right with raw pixels, PCA and sparse
codes."""


def as_dict(result: SelfTaught) -> dict[str, Any]:
    """The JSON keys of the experiment."""
    return {
        "on": "self-taught",
        "settings": result.settings.as_dict(),
        "claims": [asdict(claim) for claim in result.claims],
        "table": [
            {"source": row.source, "features": row.method, "labels": row.size, "mean_accuracy": row.mean,
             "deviation": row.deviation, "accuracies": list(row.accuracies)}
            for row in result.rows
        ],
        "learned": [
            {"source": each.source, "objective": list(each.objective), "components": each.components,
             "predictive_objective": list(each.predictive_objective), "measures": dict(each.measures)}
            for each in result.learned
        ],
        "agreement": [asdict(each) for each in result.agreements],
        "errors": [{"point": what, "error": why} for what, why in result.failed],
    }  # fmt: skip


def heads(result: SelfTaught) -> list[str]:
    """Of the table of accuracies."""
    return ["learned on", "features", *(f"{size} labels" for size in result.settings.sizes)]


def rows_of(result: SelfTaught) -> list[list[str]]:
    """The table of accuracies: a row a kind of features, mean and standard deviation in percent."""
    made = []
    for source, method in pairs():
        cells = [result.cells.get((source, method, size)) for size in result.settings.sizes]
        texts = [DASH if cell is None else f"{cell.mean:.1f} \u00b1 {cell.deviation:.1f}" for cell in cells]
        made.append([SOURCES.get(source, DASH), METHODS[method], *texts])
    return made


def best_rows(result: SelfTaught) -> set[tuple[int, int]]:
    """(row, column) of the best mean of each size, in `rows_of`."""
    found = set()
    for column, size in enumerate(result.settings.sizes):
        means = {n: result.cells[source, method, size].mean for n, (source, method) in enumerate(pairs())
                 if (source, method, size) in result.cells}  # fmt: skip
        if means:
            found |= {(n, column + 2) for n, mean in means.items() if mean == max(means.values())}
    return found


def agreement_rows(result: SelfTaught) -> list[list[str]]:
    """The machine's codes beside the golden ones, with what that does to the accuracy."""
    made = []
    for each in result.agreements:
        gaps = [
            compare(result.cells[each.source, f"machine-{each.transfer}", size],
                    result.cells[each.source, f"golden-{each.transfer}", size])[0]
            for size in result.settings.sizes
            if (each.source, f"machine-{each.transfer}", size) in result.cells
            and (each.source, f"golden-{each.transfer}", size) in result.cells
        ]  # fmt: skip
        made.append([
            SOURCES[each.source], each.transfer, f"{100 * each.relative:.1f}", f"{each.correlation:.4f}",
            f"{each.same_units:.1f}", f"{each.golden_error:.1f} / {each.machine_error:.1f}",
            f"{each.golden_inactive:.1f} / {each.machine_inactive:.1f}",
            f"{min(gaps):+.2f} .. {max(gaps):+.2f}" if gaps else DASH, number(each.saturations, 0),
            number(each.overflows, 0),
        ])  # fmt: skip
    return made


AGREEMENT_HEADS = ["learned on", "LCA", "codes off, %", "correlation", "same units on, %",
                   "error %, golden / machine", "inactive %, golden / machine", "accuracy, machine less golden",
                   "saturated", "overflows"]  # fmt: skip
ENCODER_HEADS = ["learned on", "off the codes it is trained to foretell, %", "off sparse codes, %",
                 "correlation with sparse codes", "error of its codes, %", "error of sparse codes, %"]  # fmt: skip


def encoder_rows(result: SelfTaught) -> list[list[str]]:
    """How well each encoder foretells codes of pictures it never saw."""
    made = []
    for each in result.learned:
        m = each.measures
        made.append([
            SOURCES[each.source], f"{m['percent_off_joint']:.1f}", f"{m['percent_off_sparse']:.1f}",
            f"{m['correlation_sparse']:.3f}", f"{m['percent_error_foretold']:.1f}", f"{m['percent_error_sparse']:.1f}",
        ])  # fmt: skip
    return made


def lines(result: SelfTaught) -> list[str]:
    """Table and verdicts on a terminal."""
    table = [heads(result), *rows_of(result)]
    widths = [max(len(row[n]) for row in table) for n in range(len(table[0]))]
    made = ["  ".join(f"{text:{'>' if n > 1 else '<'}{widths[n]}}" for n, text in enumerate(row)).rstrip()
            for row in table]  # fmt: skip
    return [*made, "", *(f"{claim.verdict:<14} {claim.name}: {claim.evidence}" for claim in result.claims)]


def save_page(out: Path, result: SelfTaught, info: dict[str, Any]) -> None:
    """Write page, figures and table into the folder ``out``, each aside and renamed.

    Args:
        info: the experiment's JSON object.
    """
    drawn = {name: draw(result) for name, draw in DRAWN.items()}
    for name, figure in drawn.items():
        figures.png(figure, out / name, dpi=110)
    with replacing(out / TABLE) as aside, aside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["source", "features", "labels", "draw", "accuracy_percent"])
        for row in result.rows:
            writer.writerows(
                [row.source, row.method, row.size, seed, f"{value:.6g}"] for seed, value in enumerate(row.accuracies)
            )
    with replacing(out / PAGE) as aside:
        aside.write_text(page(result, info, drawn), encoding="utf-8")


def page(result: SelfTaught, info: dict[str, Any], drawn: dict[str, Figure]) -> str:
    """The HTML: opens without a network, follows light and dark."""
    environment = Environment(
        loader=PackageLoader((__package__ or "striate.reports.papers").rpartition(".")[0]),
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(number=number)
    text: str = environment.get_template("self_taught.html.j2").render(
        result=result, info=info, settings=result.settings, heads=heads(result), rows=rows_of(result),
        best=best_rows(result), agreement=(AGREEMENT_HEADS, agreement_rows(result)), lectures=LECTURES,
        encoder=(ENCODER_HEADS, encoder_rows(result)), photographs=PHOTOGRAPHS,
        design_text=result.settings.design("soft").to_toml(),
        svg={name.removesuffix(".png"): figures.svg(figure, name.removesuffix(".png"))
             for name, figure in drawn.items()},
    )  # fmt: skip
    return text
