"""What the points of a sweep came to, case by case: medians and bands over pictures and seeds."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..sim.design import Design
from .conditions import effective
from .points import DONE, Entry, Sweep
from .studies import Case, shown

REFERENCE = "fixed-point machine"
"""The series of the points that others are compared with."""
LOW, HIGH = 10, 90
"""Percentiles of a band."""
MEASURES: dict[str, str] = {
    "percent_error": "error, digital decode, %",
    "programmed_percent_error": "error, programmed decode, %",
    "points_above": "points above the fixed-point machine, digital decode",
    "programmed_points_above": "points above the fixed-point machine, programmed decode",
    "percent_inactive": "inactive, %",
    "psnr_db": "PSNR, dB",
    "programmed_psnr_db": "PSNR, programmed decode, dB",
    "code_events": "code events",
    "conversions": "conversions",
    "adc_saturations": "ADC saturations",
    "energy_pj": "energy, pJ",
    "latency_ms": "latency, ms",
    "area_mm2": "area, mm2",
    "arrays": "arrays",
    "cells_used": "cells",
    "programming_pulses": "programming pulses",
    "stuck_cells": "stuck cells",
}
"""Numbers of a point by name, and in words."""


@dataclass(frozen=True)
class Measured:
    """A number over the points of a case: median, 10th and 90th percentile; ``count`` points had it."""

    median: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Iterable[float | None]) -> "Measured | None":
        """None where no point has it (a PSNR without error, say)."""
        known = np.array([value for value in values if value is not None], np.float64)
        if not len(known):
            return None
        low, median, high = np.percentile(known, (LOW, 50, HIGH))
        return cls(float(median), float(low), float(high), len(known))


@dataclass(frozen=True)
class Line:
    """A row of the table.

    Args:
        points, done, failed: of the case. measures: by name of `MEASURES`. outcomes: points by how the loop ended.
        groups: median energy in pJ by component. reference: median percent error of the same pictures on the
            fixed-point machine. curve: median percent error after each step, where all frames are equally long.
        error: the first line of a failed point.
    """

    study: str
    series: str
    value: Any
    points: int
    done: int
    failed: int
    measures: Mapping[str, Measured]
    outcomes: Mapping[str, int]
    groups: Mapping[str, float]
    reference: float | None
    curve: tuple[float, ...]
    error: str | None

    def median(self, measure: str) -> float | None:
        """The median of a measure, None where it has none."""
        found = self.measures.get(measure)
        return None if found is None else found.median

    def as_dict(self) -> dict[str, Any]:
        """As JSON; a measure is [low, median, high]."""
        return {
            "study": self.study, "series": self.series, "value": self.value, "points": self.points, "done": self.done,
            "failed": self.failed, "error": self.error, "outcomes": dict(self.outcomes),
            "percent_error_fixed_point": self.reference, "energy_by_group_pj": dict(self.groups),
            **{name: [m.low, m.median, m.high] for name, m in self.measures.items()},
        }  # fmt: skip


def table(cases: Sequence[Case], sweep: Sweep, entries: Iterable[Entry]) -> tuple[Line, ...]:
    """A line for each case of a sweep, from the entries of its store."""
    rows = {entry.key: entry for entry in entries}
    return tuple(_line(case, sweep, rows) for case in cases)


def _line(case: Case, sweep: Sweep, rows: Mapping[str, Entry]) -> Line:
    own = [rows[sweep.key(point)] for point in case.points]
    done = [entry for entry in own if entry.state == DONE]
    failed = [entry for entry in own if entry.error is not None]
    base: dict[str, float] = {}
    for picture, point in case.references.items():
        entry = rows.get(sweep.key(point))
        if entry is not None and entry.state == DONE:
            base[picture] = entry.result["percent_error"]
    results = [{**entry.result, **_above(entry, base)} for entry in done]
    measures = {name: m for name in MEASURES if (m := Measured.of(r.get(name) for r in results)) is not None}
    parts = [r["energy_by_group_pj"] for r in results if r["energy_by_group_pj"]]
    groups = {name: float(np.median([part.get(name, 0.0) for part in parts]))
              for name in dict.fromkeys(name for part in parts for name in part)}  # fmt: skip
    curves = [r["error_by_step"] for r in results]
    level = bool(curves) and len({len(curve) for curve in curves}) == 1
    return Line(
        case.study, case.series, case.value, len(own), len(done), len(failed), measures,
        dict(Counter(r["outcome"] for r in results)), groups,
        float(np.median(list(base.values()))) if base else None,
        tuple(np.median(curves, axis=0).tolist()) if level else (),
        failed[0].error if failed else None,
    )  # fmt: skip


def _above(entry: Entry, base: Mapping[str, float]) -> dict[str, float]:
    """Points of percent error above the same picture on the fixed-point machine, decoded either way."""
    reference = base.get(entry.point.parameters["picture"])
    if reference is None:
        return {}
    return {
        "points_above": entry.result["percent_error"] - reference,
        "programmed_points_above": entry.result["programmed_percent_error"] - reference,
    }


def csv_rows(
    cases: Sequence[Case], sweep: Sweep, entries: Iterable[Entry], design: Design
) -> tuple[list[str], list[list[Any]]]:
    """(heads, rows) for other programs: a row a point of a curve, with every varied key as it is in effect.

    A point of two curves has two rows. Those of the fixed-point machine have `REFERENCE` as their series and no value.
    """
    found = {entry.key: entry for entry in entries}
    rows: dict[tuple[str, str, str], tuple[Case | None, Entry]] = {}
    for case in cases:
        for points, series, of in ((case.references.values(), REFERENCE, None), (case.points, case.series, case)):
            for point in points:
                key = sweep.key(point)
                if key in found:
                    rows.setdefault((case.study, series, key), (of, found[key]))
    parameters = sorted({name for _, entry in rows.values() for name in entry.point.parameters})
    plain = list(dict.fromkeys(
        name for _, entry in rows.values() for name, value in (entry.result or {}).items()
        if not isinstance(value, dict | list)
    ))  # fmt: skip
    heads = ["study", "series", "value", *parameters, "seed", "state", "runs", "seconds", *plain, "error"]
    written = [
        [study, series, None if of is None else of.value,
         *(_cell(effective(design, entry.point.parameters, name)) for name in parameters), entry.point.seed,
         entry.state, entry.runs, entry.seconds, *((entry.result or {}).get(name) for name in plain), entry.error]
        for (study, series, _), (of, entry) in rows.items()
    ]  # fmt: skip
    return heads, written


def _cell(value: Any) -> Any:
    return shown(value) if isinstance(value, list | tuple) else value
