"""Ranges as a table and a figure: what each quantity of a run can reach, did reach, and is given."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from .figures import COLOURS, STYLE
from .tables import number, short

RANGE_COLUMNS = ("quantity", "word", "proved bound", "bits", "lowest", "highest", "bits", "of", "outside")
"""Heads of `range_rows`."""


def range_rows(ranges: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """A row a quantity: symbol and meaning, word, proved bound and its bits, measured range and its bits, bits in use,
    values outside the word.

    Args:
        ranges: `sim.ranges.Ranges.as_list`, from memory or from run.json.
    """
    rows = []
    for q in ranges:
        outside = number(q["outside"])
        if q["symbol"] == "R":
            outside = "yes" if q["outside"] else "no"
        bound = f"{short(q['bound'][0])} .. {short(q['bound'][1])}"
        rows.append(
            [f"{q['symbol']} ({q['meaning']})", q["format"], bound, number(q["bits_proved"]), short(q["low"]),
             short(q["high"]), number(q["bits_seen"]), number(q["width"]), outside]
        )  # fmt: skip
    return rows


def range_figure(ranges: Sequence[Mapping[str, Any]]) -> Figure:
    """Bits of every quantity, placed by weight: proved (dashed outline), the word (pale), reached in the run (dark)."""
    with rc_context(STYLE):
        figure = Figure((9.6, 0.8 + 0.3 * len(ranges)))
        axes = figure.subplots()
        rows = np.arange(len(ranges))
        last = [float(str(q["format"]).partition(":")[0].partition(".")[2]) for q in ranges]

        def bits(key: str) -> list[float]:
            return [-float(q[key]) for q in ranges]

        axes.barh(rows, bits("width"), left=last, height=0.8, color=COLOURS[0], alpha=0.35, lw=0, label="the word")
        axes.barh(rows, bits("bits_seen"), left=last, height=0.4, color=COLOURS[0], lw=0, label="reached in the run")
        axes.barh(rows, bits("bits_proved"), left=last, height=0.8, fill=False, ec=COLOURS[7], ls="--", label="proved")
        axes.axvline(0, color=COLOURS[3], lw=0.8, ls=":")
        first = min(f - float(q["bits_proved"]) for f, q in zip(last, ranges, strict=True))
        ticks = np.arange(2 * np.floor(min(first, 0) / 2), max(last) + 1, 2)
        axes.set(yticks=rows, xticks=ticks, xlim=(min(first, 0) - 0.5, max(last) + 0.5))
        axes.set_xlabel("fraction bits; right of the dotted line whole numbers and the sign")
        axes.set_yticklabels([str(q["symbol"]) for q in ranges])
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0f}" if value >= 0 else f"{-value:.0f} whole")
        axes.grid(False, axis="y")
        axes.invert_yaxis()
        axes.invert_xaxis()
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=3, handlelength=1.4)
    return figure
