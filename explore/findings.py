"""What a study shows, in words: every number in them comes from the table, every judgement from the rule of `reach`."""

from collections.abc import Callable, Mapping, Sequence

from ..sim.crossbar.placement import Placement, usable
from ..sim.design import Design
from .reach import DIGITAL, PROGRAMMED, TOLERANCE, at, bend, curve, knee, percent, reach, word
from .strides import stride_words
from .studies import ALONE, GRID, Study
from .table import Line

USELESS = 100.0
"""Points from which a code is worse than none."""


def findings(study: Study, lines: Sequence[Line], design: Design) -> list[str]:
    """Sentences on a study of a design from its lines; none where too little of it ran."""
    own = [line for line in lines if line.study == study.name]
    written = _WORDS.get(study.name, _plain)(study, own)
    if study.name == "size":
        written += _same_sizes(study, own, design)
    failed = sum(line.failed for line in own)
    if failed:
        first = next(line.error for line in own if line.error is not None)
        written.append(f"{failed} of {sum(line.points for line in own)} points failed; the first: {first}.")
    diverged = [line for line in own if line.outcomes.get("diverged")]
    if diverged:
        count, of = sum(line.outcomes["diverged"] for line in diverged), sum(line.done for line in own)
        where = dict.fromkeys(f"{line.series} {word(study, line.value)}".strip() for line in diverged)
        written.append(f"{count} of {of} loops diverged: {', '.join(where)}.")
    return written


def _plain(study: Study, lines: Sequence[Line]) -> list[str]:
    """How far the rule reaches, series by series."""
    said = []
    for series in study.series:
        places, head = curve(lines, series.label), f"{series.label}: " if series.label else ""
        if len(places) < 2:
            continue
        if study.name == GRID:
            best, worst = (pick(places, key=lambda place: place[1]) for pick in (min, max))
            said.append(
                f"{head}least error at {study.axis} {word(study, best[0])} ({percent(best[1])} from the fixed-point "
                f"machine), most at {word(study, worst[0])} ({percent(worst[1])})."
            )
        elif min(error for _, error in places) > USELESS:
            said.append(f"{head}of no use here, its least error is {percent(min(e for _, e in places))}.")
        else:
            said.append(f"{head}{reach(study, series, places)}.")
    return said


def _levels(study: Study, lines: Sequence[Line]) -> list[str]:
    said = []
    for series in study.series:
        places, own = curve(lines, series.label), dict(curve(lines, series.label, PROGRAMMED))
        if len(places) < 2:
            continue
        finite = [(value, error) for value, error in places if value]
        turn = bend(finite)
        bends = "" if turn is None else f" The curve bends at {turn} states (farthest from its chord over log states)."
        said.append(f"{series.label}: {reach(study, series, places)}.{bends}")
        if 16 in dict(finite) and 16 in own and series.label == ALONE:
            said.append(
                f"Woods and Teuscher (2015) found about 16 states to suffice; here 16 for each cell of a pair cost "
                f"{percent(dict(finite)[16])} by the digital and {percent(own[16])} by the programmed dictionary."
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
                f"An error of {100 * value:g} % of the largest conductance costs {percent(other)} by the digital and "
                f"{percent(own)} by the programmed dictionary: {verdict}."
            )
        for name, places in (("digital", digital), ("programmed", programmed)):
            if len(places) > 1:
                said.append(f"Decoded by the {name} dictionary: {reach(study, series, list(places.items()))}.")
    return said


def _adc(study: Study, lines: Sequence[Line]) -> list[str]:
    said, bits = [], {}
    for series in study.series:
        label, places = series.label, curve(lines, series.label)
        k = knee(places, True)
        if k is None:
            continue
        if k.beyond is not None:
            bits[label] = k.value
        clipped = next((x.median("adc_saturations") for x in lines if x.series == label and x.value == k.value), None)
        more = f"; with {at(study, k.value)} {clipped:,.0f} conversions clipped" if clipped else ""
        said.append(f"{label}: {reach(study, series, places)}{more}.")
    said += [
        f"A {label} range needs {abs(bits['fixed'] - own)} bits {'fewer' if own < bits['fixed'] else 'more'} than a "
        f"fixed one to be within {TOLERANCE:g} point of its mildest value."
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
            f"{series.label}: {reach(study, series, places)}. With {at(study, last)} {percent(error)}, of which the "
            f"programmed dictionary leaves {percent(own[last])}."
        )
    return said


def _same_sizes(study: Study, lines: Sequence[Line], design: Design) -> list[str]:
    """Which sizes are the same arrays: all that hold the P rows of a weight matrix whole."""
    said: dict[str, None] = {}
    for series in study.series:
        whole, rows = [], 0
        for value, _ in curve(lines, series.label):
            one = design.replace({**series.settings, study.key: value})
            rows = Placement.of(one).shape[0]
            if usable(one)[0] >= rows:
                whole.append(value)
        if len(whole) > 1:
            same, how = " and ".join(map(str, whole[1:])), one.crossbar.placement
            said[f"{how}: {same} rows give what {whole[0]} give, a weight matrix has {rows} rows."] = None
    return list(said)


def _drift(study: Study, lines: Sequence[Line]) -> list[str]:
    said = []
    for series in study.series:
        places, own = curve(lines, series.label), dict(curve(lines, series.label, PROGRAMMED))
        k = knee(places, False)
        if k is None:
            continue
        (first, fresh), (last, error) = places[0], places[-1]
        arrays = f"fresh arrays (those {percent(fresh)} above the fixed-point machine)"
        if k.beyond is not None and k.value == first:
            told = (f"already at {word(study, k.beyond[0])} it is more than {TOLERANCE:g} point above {arrays}, "
                    f"{percent(k.beyond[1])}")  # fmt: skip
        else:
            far = "throughout" if k.beyond is None else f"up to {word(study, k.value)}"
            told = f"within {TOLERANCE:g} point of {arrays} {far}"
        said.append(
            f"{series.label}: {told}; after {word(study, last)} {percent(error)} by the digital and "
            f"{percent(own[last])} by the programmed dictionary."
        )
    return said


_WORDS: Mapping[str, Callable[[Study, Sequence[Line]], list[str]]] = {
    "levels": _levels, "self-correction": _self_correction, "adc": _adc, "size": _size, "drift": _drift,
    "stride": stride_words,
}  # fmt: skip
