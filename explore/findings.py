"""What a study shows, in words: every number in them comes from the table, every judgement from a stated rule.

A value is *good enough* when the median error is within `TOLERANCE` points of percent error of the mildest value's, and
so are all milder ones. The mildest is the last value of an axis that helps (states, bits, on/off ratio) and the first
of one that harms (errors, noise, faults, time, rows).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .grid import GRID
from .strides import stride_words
from .studies import ALONE, Study, shown
from .table import Line

TOLERANCE = 1.0
"""Points of percent error."""
USELESS = 100.0
"""Points from which a code is worse than none."""
HELPS = frozenset({"levels", "adc", "dac", "on-off"})
"""Studies whose axis goes from coarse to fine."""
DIGITAL, PROGRAMMED = "points_above", "programmed_points_above"


@dataclass(frozen=True)
class Knee:
    """Where a curve bends.

    Args:
        value: the coarsest good enough one; None: only the mildest is. error: its median percent error above the
            fixed-point machine. beyond: the next coarser one, and its error; None where all are good enough.
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


def findings(study: Study, lines: Sequence[Line]) -> list[str]:
    """Sentences on a study from its lines; none where too little of it ran."""
    own = [line for line in lines if line.study == study.name]
    written = _WORDS.get(study.name, _plain)(study, own)
    failed = sum(line.failed for line in own)
    if failed:
        first = next(line.error for line in own if line.error is not None)
        written.append(f"{failed} of {sum(line.points for line in own)} points failed; the first: {first}.")
    diverged = [line for line in own if line.outcomes.get("diverged")]
    if diverged:
        count, of = sum(line.outcomes["diverged"] for line in diverged), sum(line.done for line in own)
        where = dict.fromkeys(f"{line.series} {_word(study, line.value)}".strip() for line in diverged)
        written.append(f"{count} of {of} loops diverged: {', '.join(where)}.")
    return written


def _word(study: Study, value: Any) -> str:
    return study.names.get(value, shown(value))


def _percent(error: float) -> str:
    return f"{round(error, 2) + 0.0:+.2f} points"  # + 0.0: no minus before a rounded zero


def _knees(study: Study, lines: Sequence[Line], measure: str = DIGITAL) -> dict[str, Knee]:
    found = {s.label: knee(curve(lines, s.label, measure), study.name in HELPS) for s in study.series}
    return {label: k for label, k in found.items() if k is not None}


def _plain(study: Study, lines: Sequence[Line]) -> list[str]:
    """How far good enough reaches, series by series."""
    said = []
    for label, k in _knees(study, lines).items():
        head = f"{label}: " if label else ""
        if study.name == GRID:
            places = curve(lines, label)
            best, worst = (pick(places, key=lambda place: place[1]) for pick in (min, max))
            said.append(
                f"{head}least error at {study.axis} {_word(study, best[0])} ({_percent(best[1])} from the fixed-point "
                f"machine), most at {_word(study, worst[0])} ({_percent(worst[1])})."
            )
        elif min(error for _, error in curve(lines, label)) > USELESS:
            said.append(f"{head}of no use here, its least error is {_percent(min(e for _, e in curve(lines, label)))}.")
        elif k.beyond is None:
            said.append(f"{head}every value of the axis is within {TOLERANCE:g} point of the mildest.")
        else:
            said.append(
                f"{head}within {TOLERANCE:g} point of the mildest {'from' if study.name in HELPS else 'up to'} "
                f"{_word(study, k.value)} ({_percent(k.error)}); at {_word(study, k.beyond[0])} it is "
                f"{_percent(k.beyond[1])}."
            )
    return said


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


def _levels(study: Study, lines: Sequence[Line]) -> list[str]:
    said = []
    for label, k in _knees(study, lines).items():
        places = curve(lines, label)
        own = dict(curve(lines, label, PROGRAMMED))
        finite = [(value, error) for value, error in places if value]
        at = bend(finite)
        more = "" if k.beyond is None else f", with {_word(study, k.beyond[0])} {_percent(k.beyond[1])}"
        reach = f"from {k.value} on ({_percent(k.error)}{more})" if k.value else f"with no number tried{more}"
        said.append(
            f"{label}: the curve bends at {at} states (farthest from its chord over log states); the error is within "
            f"{TOLERANCE:g} point of continuous cells {reach}."
        )
        if 16 in dict(finite) and 16 in own and label == ALONE:
            said.append(
                f"Woods and Teuscher (2015) found about 16 states to suffice; here 16 for each cell of a pair cost "
                f"{_percent(dict(finite)[16])} by the digital and {_percent(own[16])} by the programmed dictionary."
            )
    return said


def _self_correction(study: Study, lines: Sequence[Line]) -> list[str]:
    said = []
    for series in study.series:
        digital = dict(curve(lines, series.label, DIGITAL))
        programmed = dict(curve(lines, series.label, PROGRAMMED))
        for value in sorted(digital.keys() & programmed.keys()):
            own, other = programmed[value], digital[value]
            if value not in (0.01, 0.05, 0.1) or other <= 0:
                continue
            share = 100 * (1 - max(0.0, own) / other)
            verdict = (
                f"{share:.0f} % of the damage is in the decoding alone, the loop has fitted the picture with the "
                "weights that it has" if own < other else "the loop's own dictionary decodes no better"
            )  # fmt: skip
            said.append(
                f"An error of {100 * value:g} % of the largest conductance costs {_percent(other)} by the digital and "
                f"{_percent(own)} by the programmed dictionary: {verdict}."
            )
        for name, places in (("digital", digital), ("programmed", programmed)):
            k = knee(list(places.items()), False)
            if k is not None:
                said.append(f"Decoded by the {name} dictionary it is good enough up to {100 * k.value:g} %.")
    return said


def _adc(study: Study, lines: Sequence[Line]) -> list[str]:
    said, bits = [], {}
    for label, k in _knees(study, lines).items():
        if k.beyond is not None:
            bits[label] = k.value
        clipped = next((x.median("adc_saturations") for x in lines if x.series == label and x.value == k.value), None)
        said.append(
            f"{label}: good enough from {_word(study, k.value)} bits ({_percent(k.error)}"
            f"{'' if not clipped else f', {clipped:,.0f} conversions clipped'})."
        )
    said += [
        f"A {label} range needs {abs(bits['fixed'] - own)} bits {'fewer' if own < bits['fixed'] else 'more'} than a "
        f"fixed one."
        for label, own in bits.items()
        if label != "fixed" and "fixed" in bits and own != bits["fixed"]
    ]
    return said


def _size(study: Study, lines: Sequence[Line]) -> list[str]:
    said = []
    for series in study.series:
        places, own = curve(lines, series.label), dict(curve(lines, series.label, PROGRAMMED))
        k = knee(places, False)
        if k is None or not series.settings.get("crossbar.wire_ohm"):
            continue
        last, error = places[-1]
        said.append(
            f"{series.label}: good enough up to {k.value} rows; {_percent(places[0][1])} with arrays of {places[0][0]} "
            f"rows, {_percent(error)} with {last}, of which the programmed dictionary leaves {_percent(own[last])}."
        )
    return said


def _drift(study: Study, lines: Sequence[Line]) -> list[str]:
    said = []
    for series in study.series:
        places, own = curve(lines, series.label), dict(curve(lines, series.label, PROGRAMMED))
        k = knee(places, False)
        if k is None:
            continue
        last, error = places[-1]
        far = "throughout"
        if k.beyond is not None:
            far = f"up to {_word(study, k.value)}" if k.value else f"for less than {_word(study, k.beyond[0])}"
        said.append(
            f"{series.label}: within {TOLERANCE:g} point of fresh arrays ({_percent(places[0][1])}) {far}; after "
            f"{_word(study, last)} {_percent(error)} by the digital and {_percent(own[last])} by the programmed "
            "dictionary."
        )
    return said


_WORDS: Mapping[str, Callable[[Study, Sequence[Line]], list[str]]] = {
    "levels": _levels, "self-correction": _self_correction, "adc": _adc, "size": _size, "drift": _drift,
    "stride": stride_words,
}  # fmt: skip
