"""What devices, converters, wires and time do to the memristor machine: every named study of `striate crossbar-sweep`.

    python benchmarks/crossbar_studies.py [--quick] [--jobs N] [--draw]

Three bundled photographs of 64x64 (camera, astronaut, chelsea), four seeds, 8 kernels at stride 2 and 100 steps unless
a study says otherwise; every point is a whole closed loop. Numbers are medians over pictures and seeds; points are of
percent error above the fixed-point machine on the same picture. Energy, time and area are modelled. Draws
docs/crossbar-studies.png too, unless quick. A run that was stopped goes on where it stopped; --draw keeps the points of
a finished one and draws again.
"""

import argparse
import tempfile
from pathlib import Path

from common import Row, finish, machine  # isort: skip

from striate.explore import engine
from striate.explore.conditions import overall
from striate.explore.crossbar import pictures_of, sweep_of
from striate.explore.findings import findings
from striate.explore.store import Store
from striate.explore.studies import STUDIES, Study, cases_of, shown
from striate.explore.table import Line, table
from striate.reports import figures
from striate.reports.sweep_figures import composed
from striate.sim.design import Design

DESIGN = Design(image=(64, 64), steps=100, tiles=(1, 1))
PICTURES, SEEDS = ("camera", "astronaut", "chelsea"), 4
QUICK = ("levels", "adc")
KEPT = {
    "percent_error": "percent_error", "points_above": "points_above", "programmed_points_above": "points_programmed",
    "percent_inactive": "percent_inactive", "psnr_db": "psnr_db", "conversions": "conversions",
    "adc_saturations": "clipped", "energy_pj": "energy_pj", "latency_ms": "latency_ms", "area_mm2": "area_mm2",
    "arrays": "arrays", "cells_used": "cells",
}  # fmt: skip
"""Measures in the table: name there."""


def rows_of(study: Study, lines: list[Line]) -> list[Row]:
    """One study: its numbers, a row a case, then its words."""
    rows: list[Row] = []
    for line in lines:
        row: Row = {"group": f"{study.title}: {line.series}", "what": study.names.get(line.value, shown(line.value))}
        row |= {new: line.measures[old].median for old, new in KEPT.items() if old in line.measures}
        if "points_above" in line.measures:
            row |= {"points_p10": line.measures["points_above"].low, "points_p90": line.measures["points_above"].high}
        rows.append(row | {"loops": line.done, "diverged": line.outcomes.get("diverged", 0), "failed": line.failed})
    return rows + [{"group": f"{study.title}: in words", "what": words} for words in findings(study, lines, DESIGN)]


def main() -> None:
    """Run, print, write, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two studies, one picture, one seed; nothing written")
    parser.add_argument("--jobs", type=int, default=None, help="processes; one a processor without it")
    parser.add_argument("--draw", action="store_true", help="keep the points for another drawing")
    options, where = parser.parse_args(), machine()
    studies = [study for name, study in STUDIES.items() if not options.quick or name in QUICK]
    pictures = pictures_of(PICTURES[: 1 if options.quick else None], DESIGN)
    cases = [case for study in studies for case in cases_of(study, DESIGN, pictures, 1 if options.quick else SEEDS)]
    points = [point for case in cases for point in (*case.references.values(), *case.points)]
    sweep = sweep_of(DESIGN, pictures, "benchmark")
    path = None if options.quick else Path(tempfile.gettempdir()) / "striate-crossbar-studies" / "points.sqlite"
    with Store(path, sweep) as store:
        end = engine.run(store, points, jobs=options.jobs, progress=lambda p: _say(p) if p.ran % 50 == 0 else None)
        entries = store.entries(store.add(points))
    lines = list(table(cases, sweep, entries))
    rows = [row for study in studies for row in rows_of(study, [x for x in lines if x.study == study.name])]
    rows.append({
        "group": "The sweep", "what": "closed loops", "points": end.done, "failed": end.failed,
        "seconds_of_points": sum(entry.seconds or 0.0 for entry in entries),
        "most_runs_of_a_point": max(entry.runs for entry in entries),
    })  # fmt: skip
    if not options.quick:
        drawn = composed(studies, lines, overall(DESIGN))
        figures.png(drawn, Path(__file__).parents[1] / "docs" / "crossbar-studies.png", 96)
    finish("crossbar_studies", rows, where, options)
    if path is not None and not options.draw:
        for file in path.parent.glob(f"{path.name}*"):
            file.unlink()


def _say(progress: engine.Progress) -> None:
    print(f"{progress.done + progress.failed} of {progress.points}, {progress.remaining or 0:.0f} s more", flush=True)


if __name__ == "__main__":
    main()
