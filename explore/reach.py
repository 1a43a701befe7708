"""How far along a curve a study's effect stays small, by one rule, in numbers and in words.

The rule: a value passes when its median error is within `TOLERANCE` points of percent error of the mildest value's, and
so do all milder ones. The mildest is the last value of an axis that helps (states, bits, on/off ratio) and the first of
one that harms (errors, noise, faults, time, rows). Every sentence says the rule, and whether the mildest value itself
is more than that above the fixed-point machine.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .studies import CLEAN, Series, Study, shown
from .table import Line

TOLERANCE = 1.0
"""Points of percent error."""
HELPS = frozenset({"levels", "adc", "dac", "on-off"})
"""Studies whose axis goes from coarse to fine."""
UNITS = {"levels": " states", "size": " rows", "adc": " bits", "dac": " bits"}
PERCENT = frozenset({"self-correction", "read-noise", "faults"})
"""Studies whose values are shares, said in percent."""
DIGITAL, PROGRAMMED = "points_above", "programmed_points_above"


@dataclass(frozen=True)
class Knee:
    """Where a curve bends.

    Args:
        value: the farthest from the mildest that passes. error: its median points above the fixed-point machine.
            beyond: the next one, which does not pass, and its error; None where all pass.
    """

    value: Any
    error: float
    beyond: tuple[Any, float] | None


def curve(lines: Sequence[Line], series: str, measure: str = DIGITAL) -> list[tuple[Any, float]]:
    """(value, median) along one series, in the order of the axis; places without a result are left out."""
    found = [(line.value, line.median(measure)) for line in lines if line.series == series]
    return [(value, median) for value, median in found if median is not None]


def knee(places: Sequence[tuple[Any, float]], helps: bool, tolerance: float = TOLERANCE) -> Knee | None:
    """The knee of a curve in the order of its axis; None for fewer than two places."""
    mild = list(places[::-1] if helps else places)
    if len(mild) < 2:
        return None
    bad = next((n for n, (_, error) in enumerate(mild) if error > mild[0][1] + tolerance), len(mild))
    return Knee(*mild[bad - 1], mild[bad] if bad < len(mild) else None)


def word(study: Study, value: Any) -> str:
    """A value of the axis as figures show it."""
    return study.names.get(value, shown(value))


def percent(error: float) -> str:
    """Points of percent error with their sign."""
    return f"{round(error, 2) + 0.0:+.2f} points"  # + 0.0: no minus before a rounded zero


def at(study: Study, value: Any) -> str:
    """A value with its unit."""
    if study.name in PERCENT:
        return f"{100 * value:g} %"
    return f"{word(study, value)}{UNITS.get(study.name, '')}"


def reach(study: Study, series: Series, places: Sequence[tuple[Any, float]]) -> str:
    """How far a curve stays within `TOLERANCE` of its mildest value, and how far that is from the fixed-point machine.

    Args:
        places: two or more of the curve, in the order of its axis.
    """
    helps, within = study.name in HELPS, f"within {TOLERANCE:g} point"
    k = knee(places, helps)
    assert k is not None, "fewer than two places"
    mild, cost = places[-1 if helps else 0]
    far = f"from {at(study, k.value)} on" if helps else f"up to {at(study, k.value)}"
    far = ("throughout" if k.beyond is None else far) + (f" ({percent(k.error)})" if k.value != mild else "")
    beyond = "" if k.beyond is None else f"; at {at(study, k.beyond[0])} it is {percent(k.beyond[1])}"
    mildest, more = f"{at(study, mild)}, {percent(cost)}", f"more than {TOLERANCE:g} point"
    already = ""
    if k.beyond is not None and k.value == mild:
        already = f"already at {at(study, k.beyond[0])} ({percent(k.beyond[1])})"
    if min(error for _, error in places) <= TOLERANCE:
        if already:
            return f"{already} {more} above its mildest value ({mildest})"
        return f"{within} of its mildest value ({mildest}) {far}{beyond}"
    if not series.settings.keys() >= CLEAN.keys():
        rest = f"the {percent(cost)} that the rest of the design costs (at {at(study, mild)})"
        if already:
            return f"{already} this adds {more} to {rest}"
        return f"{far} this adds at most {TOLERANCE:g} point to {rest}{beyond}"
    what = {"size": "array", "adc": "converter"}.get(study.name, "value")
    told = f"{already} {more} above that" if already else f"{within} of that {far}{beyond}"
    return f"no {what} is {within} of the fixed-point machine; the mildest, {mildest}; {told}"


def bend(places: Sequence[tuple[Any, float]]) -> Any:
    """The value at which a curve is farthest below its chord, over the logarithm of its values: where it bends.

    The rule of Satopaa et al., *Finding a "kneedle" in a haystack*, ICDCS Workshops 2011, without smoothing; None below
    three places.
    """
    if len(places) < 3:
        return None
    x = np.log([float(value) for value, _ in places])
    y = np.array([error for _, error in places])
    chord = y[0] + (y[-1] - y[0]) * (x - x[0]) / (x[-1] - x[0])
    return places[int(np.argmax(chord - y))][0]
