"""Networks of different strides at equal quality: what each takes to reach the same error."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .table import Line


@dataclass(frozen=True)
class Equal:
    """A series where its median error is ``error`` percent: medians there, between steps in straight lines."""

    series: str
    error: float
    steps: float
    energy_pj: float
    conversions: float
    latency_ms: float
    cells: float
    arrays: float
    area_mm2: float


def at_equal_error(lines: Sequence[Line]) -> list[Equal]:
    """Every series at the largest of the series' least errors, reached first: what it takes for the same quality."""
    by_series: dict[str, list[Line]] = {}
    for line in lines:
        if line.median("percent_error") is not None:
            by_series.setdefault(line.series, []).append(line)
    if not by_series:
        return []
    errors = {s: [float(x.median("percent_error") or 0.0) for x in those] for s, those in by_series.items()}
    target = max(min(those) for those in errors.values())
    found = []
    for series, those in by_series.items():
        n = next(n for n, error in enumerate(errors[series]) if error <= target + 1e-9)
        left, right = those[max(0, n - 1)], those[n]
        span = errors[series][max(0, n - 1)] - errors[series][n]
        part = (errors[series][max(0, n - 1)] - target) / span if span > 0 else 1.0

        def between(pick: Callable[[Line], float], left: Line = left, right: Line = right, part: float = part) -> float:
            return float(np.interp(part, (0, 1), (pick(left), pick(right))))

        def of(measure: str, between: Any = between) -> float:
            return float(between(lambda line: float(line.median(measure) or 0.0)))

        found.append(
            Equal(series, target, between(lambda line: float(line.value)), of("energy_pj"), of("conversions"),
                  of("latency_ms"), of("cells_used"), of("arrays"), of("area_mm2"))
        )  # fmt: skip
    return found


def stride_words(lines: Sequence[Line]) -> list[str]:
    found = at_equal_error(lines)
    if len(found) < 2:
        return []
    *short, long = found
    first = (
        f"All reach {found[0].error:.1f} % (the largest of their least errors), {long.series} after "
        f"{long.steps:.0f} steps on {long.cells:,.0f} cells in {long.arrays:.0f} arrays, with {long.conversions:,.0f} "
        f"conversions, {long.energy_pj * 1e-6:.2f} \u00b5J and {long.latency_ms:.3f} ms (energy and time modelled)."
    )
    said = [first]
    for e in short:
        said.append(
            f"{e.series}: {e.steps:.0f} steps, {_times(long.cells / e.cells, 'fewer', 'more')} cells, "
            f"{_times(long.conversions / e.conversions, 'fewer', 'more')} conversions, "
            f"{_times(long.energy_pj / e.energy_pj, 'less', 'more')} energy, "
            f"{_times(long.latency_ms / e.latency_ms, 'less', 'more')} time."
        )
    return said


def _times(ratio: float, down: str, up: str) -> str:
    """A ratio above 1 as so many times less, below as so many times more."""
    return f"{ratio:.2g} times {down}" if ratio >= 1 else f"{1 / ratio:.2g} times {up}"
