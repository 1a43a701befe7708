"""Networks of different strides at equal quality: what each takes to reach the same error."""

from collections.abc import Sequence
from dataclasses import dataclass

from .studies import Study
from .table import Line

SLACK = 1.0
"""Points above the largest of the least errors: the very last points of a frame cost most and say least."""


@dataclass(frozen=True)
class Equal:
    """A series where its median error first is ``error`` percent: medians there, between steps in straight lines."""

    series: str
    error: float
    steps: float
    energy_pj: float
    conversions: float
    latency_ms: float
    cells_used: float
    arrays: float
    area_mm2: float


MEASURES = ("energy_pj", "conversions", "latency_ms", "cells_used", "arrays", "area_mm2")


def at_equal_error(lines: Sequence[Line]) -> list[Equal]:
    """What every series takes for the same error: `SLACK` points above the largest of the series' least errors.

    Args:
        lines: of series whose axis is the steps of a frame, in rising order.
    """
    curves: dict[str, list[tuple[float, Line]]] = {}
    for line in lines:
        error = line.median("percent_error")
        if error is not None:
            curves.setdefault(line.series, []).append((error, line))
    if not curves:
        return []
    target = SLACK + max(min(error for error, _ in those) for those in curves.values())
    return [_reached(series, those, target) for series, those in curves.items()]


def _reached(series: str, those: Sequence[tuple[float, Line]], target: float) -> Equal:
    n = next(n for n, (error, _) in enumerate(those) if error <= target)
    (before, left), (after, right) = those[max(0, n - 1)], those[n]
    part = (before - target) / (before - after) if before > after else 1.0
    steps = left.value + part * (right.value - left.value)
    pairs = {name: (left.median(name) or 0.0, right.median(name) or 0.0) for name in MEASURES}
    return Equal(series, target, steps, **{name: a + part * (b - a) for name, (a, b) in pairs.items()})


def groups_of(study: Study, lines: Sequence[Line]) -> dict[str, list[Line]]:
    """The lines of series that may be compared with each other, by group."""
    groups: dict[str, list[Line]] = {}
    for series in study.series:
        groups.setdefault(series.group, []).extend(line for line in lines if line.series == series.label)
    return groups


def stride_words(study: Study, lines: Sequence[Line]) -> list[str]:
    """Sentences on each group: its last series in numbers, the others against it."""
    said = []
    for own in groups_of(study, lines).values():
        found = at_equal_error(own)
        if len(found) < 2:
            continue
        *short, long = found
        said.append(
            f"At {long.error:.1f} % ({SLACK:g} point above the largest of the least errors) {long.series} takes "
            f"{long.steps:.0f} steps on {long.cells_used:,.0f} cells in {long.arrays:.0f} arrays, "
            f"{long.conversions:,.0f} conversions, {long.energy_pj * 1e-6:.1f} \u00b5J and {long.latency_ms:.3f} ms "
            "(energy and time modelled)."
        )
        for e in short:
            said.append(
                f"For that {e.series} takes {e.steps:.0f} steps, {_times(long.cells_used / e.cells_used, 'cells')}, "
                f"{_times(long.conversions / e.conversions, 'conversions')}, "
                f"{_times(long.energy_pj / e.energy_pj, 'energy')} and "
                f"{_times(long.latency_ms / e.latency_ms, 'time')}."
            )
    return said


def _times(ratio: float, what: str) -> str:
    """A ratio above 1 as so many times fewer or less, below as so many times more."""
    many = what.endswith("s")
    if 0.95 < ratio < 1.05:
        return f"as {'many' if many else 'much'} {what}"
    if ratio > 1:
        return f"{ratio:.2g} times {'fewer' if many else 'less'} {what}"
    return f"{1 / ratio:.2g} times more {what}"
