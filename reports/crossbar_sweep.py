"""A sweep of the memristor machine: its JSON object, its tables, its files and its page."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from ..explore.conditions import note, overall, shared
from ..explore.findings import findings
from ..explore.points import Entry, Sweep
from ..explore.studies import Case, Study, shown
from ..explore.table import HIGH, LOW, Line, csv_rows, table
from ..golden.archive import replacing
from ..golden.errors import InputError
from ..sim.design import Design
from . import figures, rundir
from .sweep_figures import composed, study_figure
from .tables import DASH, number, si

STORE, RESULTS, DESIGN = "points.sqlite", "results.json", "design.toml"
BAND = f"median, and from the {LOW}th to the {HIGH}th percentile over pictures and seeds"
HEADS = ["error %", "band", "programmed decode %", "above fixed-point", "inactive %", "PSNR dB", "conversions",
         "clipped", "energy", "latency", "area mm\u00b2", "arrays", "loops"]  # fmt: skip


@dataclass(frozen=True)
class Found:
    """What a sweep of a design came to: its studies, their cases, and the store's rows of these."""

    design: Design
    sweep: Sweep
    studies: tuple[Study, ...]
    cases: tuple[Case, ...]
    entries: tuple[Entry, ...]

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        """The table of all studies: a line a case."""
        return table(self.cases, self.sweep, self.entries)

    def of(self, study: Study) -> list[Line]:
        """The lines of one study."""
        return [line for line in self.lines if line.study == study.name]

    def words(self, study: Study) -> list[str]:
        """The findings of one study."""
        return findings(study, self.lines, self.design)


def sweep_json(found: Found) -> dict[str, Any]:
    """The JSON keys of a sweep: the table, and what it says in words."""
    return {
        "on": "crossbar-sweep",
        "band": BAND,
        "findings": {study.name: found.words(study) for study in found.studies},
        "shared": {study.name: shared(study, found.design) for study in found.studies},
        "table": [line.as_dict() for line in found.lines],
    }


def rows_of(lines: Sequence[Line], study: Study) -> list[list[str]]:
    """The table of one study: a row a case."""
    rows = []
    for line in lines:
        error = line.measures.get("percent_error")
        head = [study.names.get(line.value, shown(line.value)), line.series]
        if error is None:
            rows.append([*head, *[DASH] * (len(HEADS) - 1), f"{line.failed} failed"])
            continue
        energy = line.median("energy_pj")
        loops = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in sorted(line.outcomes.items()))
        rows.append([
            *head, number(error.median), f"{error.low:.2f} .. {error.high:.2f}",
            number(line.median("programmed_percent_error")), _signed(line.median("points_above")),
            number(line.median("percent_inactive"), 1), number(line.median("psnr_db")), _whole(line, "conversions"),
            _whole(line, "adc_saturations"), si(None if energy is None else energy * 1e-12, "J"),
            si(_scaled(line.median("latency_ms"), 1e-3), "s"), number(line.median("area_mm2"), 3),
            _whole(line, "arrays"), loops + (f", {line.failed} failed" if line.failed else ""),
        ])  # fmt: skip
    return rows


def _signed(value: float | None) -> str:
    return DASH if value is None else f"{value:+.2f}"


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _whole(line: Line, measure: str) -> str:
    median = line.median(measure)
    return DASH if median is None else f"{median:,.0f}"


def sweep_lines(found: Found) -> list[str]:
    """The tables of a sweep and its findings, on a terminal."""
    lines: list[str] = []
    for study in found.studies:
        few = [0, 1, 2, 3, 4, 5, 6, 8, 9, 10]
        heads = [study.axis, "series", *HEADS]
        rows = [[row[n] for n in few] for row in rows_of(found.of(study), study)]
        lines += [study.title, *_aligned([heads[n] for n in few], rows), *shared(study, found.design),
                  *found.words(study), ""]  # fmt: skip
    return lines


def _aligned(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[n]) for row in (heads, *rows)) for n in range(len(heads))]
    return ["  ".join(f"{text:{'>' if n > 1 else '<'}{widths[n]}}" for n, text in enumerate(row)).rstrip()
            for row in (heads, *rows)]  # fmt: skip


# ---- the folder ------------------------------------------------------------------------------------------------------
def check_folder(out: Path) -> None:
    """Refuse a folder that a sweep may not fill.

    Raises:
        InputError: a file, a folder that cannot be written to, or one with files that no sweep wrote.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        rundir.refuse_existing(out, False)
        return
    if not out.is_dir():
        raise InputError(f"--out {out} is a file; name a folder")
    names = sorted(path.name for path in out.iterdir())
    foreign = [name for name in names if not _ours(name)]
    results = [name for name in names if not name.startswith((STORE, "."))]  # without a store: of what?
    if foreign or (results and STORE not in names):
        what = f"{foreign[0]}, which no sweep wrote" if foreign else "no sweep"
        raise InputError(f"--out {out} holds {what}; name another folder")


def clear_folder(out: Path) -> None:
    """Remove what a sweep wrote into a folder, its store apart: only who has that open may do so."""
    for path in sorted(out.iterdir()):
        if _ours(path.name) and not path.name.startswith(STORE):
            path.unlink()


def _ours(name: str) -> bool:
    return (
        name in {RESULTS, DESIGN, "results.csv", "report.html", "studies.png"}
        or name.startswith(STORE)
        or (name.startswith("study-") and name.endswith(".png"))
        or (name.startswith(".") and name.endswith(".part"))
    )


def save_sweep(folder: Path, info: dict[str, Any], found: Found) -> None:
    """Write results.json, results.csv, design.toml, a figure a study, all on one, and report.html into a folder."""
    rundir.write_json(folder / RESULTS, info)
    found.design.dump(folder / DESIGN)
    with replacing(folder / "results.csv") as aside, aside.open("w", encoding="utf-8", newline="") as file:
        heads, rows = csv_rows(found.cases, found.sweep, found.entries, found.design)
        csv.writer(file).writerows([heads, *rows])
    for study in found.studies:
        alone = study_figure(study, found.of(study), note(study, found.design))
        figures.png(alone, folder / f"study-{study.name}.png")
    if len(found.studies) > 1:
        figures.png(composed(found.studies, found.lines, overall(found.design)), folder / "studies.png", dpi=110)
    with replacing(folder / "report.html") as aside:
        aside.write_text(page(info, found), encoding="utf-8")


def page(info: dict[str, Any], found: Found) -> str:
    """The HTML of a sweep: opens without a network."""
    environment = Environment(
        loader=PackageLoader(__package__ or "striate.reports"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(number=number)
    parts = [
        {
            "name": study.name, "title": study.title, "about": study.about, "words": found.words(study),
            "shared": shared(study, found.design),
            "svg": figures.svg(study_figure(study, found.of(study)), f"study-{study.name}"),
            "heads": [study.axis, "series", *HEADS], "rows": rows_of(found.of(study), study),
        }
        for study in found.studies
    ]  # fmt: skip
    text: str = environment.get_template("crossbar_sweep.html.j2").render(
        info=info, design=found.design, parts=parts, band=BAND, design_text=found.design.to_toml()
    )
    return text
