"""Figures of a sweep: a panel a measure, a curve a series, its band from the 10th to the 90th percentile.

Values of an axis stand at equal distances, whatever they are: most axes go through decades, some hold a 0 or words.
"""

import textwrap
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from ..explore.reach import TOLERANCE
from ..explore.strides import at_equal_error, groups_of
from ..explore.studies import Study, shown
from ..explore.table import Line
from . import figures

DIGITAL, PROGRAMMED = "points_above", "programmed_points_above"
LABELS = {
    DIGITAL: ("points of error", "decoded by the digital dictionary"),
    PROGRAMMED: ("points of error", "decoded by the programmed dictionary"),
    "percent_inactive": ("inactive, %", "codes that are 0"),
    "energy_pj": ("energy a frame, \u00b5J", "energy, modelled"),
}
"""Of a panel's axis, and its title."""
SCALE = {"energy_pj": 1e-6}
SECOND = {"adc": "energy_pj", "dac": "energy_pj", "read-noise": "percent_inactive"}
"""What the second panel of a study shows; others: the error by the programmed dictionary."""
STEEP = 1.0
"""Points of error up to which an axis is linear; logarithmic beyond."""


def study_figure(study: Study, lines: Sequence[Line], note: str = "") -> Figure:
    """The panels of one study, from its lines.

    Args:
        note: what its points share, below the panels.
    """
    said = textwrap.wrap(note, 185)
    with rc_context(figures.STYLE):
        figure = Figure((9.6, 3.2 + 0.14 * len(said)))
        if said:
            figure.supxlabel("\n".join(said), fontsize=7, x=0.01, ha="left")
        left, right = figure.subplots(1, 2)
        if study.name == "stride":
            _error_by_energy(left, study, lines)
            _at_equal(right, study, lines)
        elif study.name == "self-correction":
            _both_decodes(left, study, lines)
            _curves(right, study, lines, "psnr_db", figures.COLOURS[0], "digital decode")
            _curves(right, study, lines, "programmed_psnr_db", figures.COLOURS[1], "programmed decode")
            right.set(ylabel="PSNR, dB")
            right.legend()
        else:
            panel(left, study, lines, DIGITAL)
            panel(right, study, lines, SECOND.get(study.name, PROGRAMMED))
            if len(study.series) > 1:
                handles, labels = left.get_legend_handles_labels()
                figure.legend(handles, labels, loc="outside upper center", ncols=3)
    return figure


def composed(studies: Sequence[Study], lines: Sequence[Line], note: str = "") -> Figure:
    """One small panel a study, two for strides: what a page of documentation shows; ``note`` stands below."""
    drawn: list[tuple[str, Callable[[Axes], None]]] = []
    for study in studies:
        own = [line for line in lines if line.study == study.name]
        drawn.append((study.title, partial(_small, study=study, lines=own)))
        if study.name == "stride":
            drawn.append(("", partial(_at_equal, study=study, lines=own)))
    columns = min(3, len(drawn))
    rows = -(-len(drawn) // columns)
    with rc_context({**figures.STYLE, "font.size": 8, "axes.titlesize": 9, "lines.linewidth": 1.3}):
        said = textwrap.wrap(note, 195)
        figure = Figure((10.5, 2.75 * rows + 0.15 * len(said)))
        if said:
            figure.supxlabel("\n".join(said), fontsize=7.5, x=0.01, ha="left")
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes in grid[len(drawn) :]:
            axes.set_visible(False)
        for axes, (title, draw) in zip(grid, drawn, strict=False):
            draw(axes)
            if title:
                axes.set_title(title)
            axes.tick_params(labelsize=7)
    return figure


def _small(axes: Axes, study: Study, lines: Sequence[Line]) -> None:
    """The first panel of a study, with its legend inside."""
    if study.name == "stride":
        _error_by_energy(axes, study, lines)
    elif study.name == "self-correction":
        _both_decodes(axes, study, lines)
    else:
        panel(axes, study, lines, DIGITAL)
    if len(study.series) > 1:
        axes.legend(fontsize=6.5, handlelength=1.2, labelspacing=0.2)


def panel(axes: Axes, study: Study, lines: Sequence[Line], measure: str) -> None:
    """One measure over the axis of a study, a curve a series."""
    for n, series in enumerate(study.series):
        own = [line for line in lines if line.series == series.label]
        _curves(axes, study, own, measure, figures.COLOURS[n % len(figures.COLOURS)], series.label)
    label, title = LABELS[measure]
    axes.set_ylabel(label)
    axes.set_title(title)
    if measure in (DIGITAL, PROGRAMMED):
        _points_of_error(axes)
    if measure == "energy_pj" and any(measure in line.measures for line in lines):
        axes.set_yscale("log")
        _plain(axes.yaxis)


def _both_decodes(axes: Axes, study: Study, lines: Sequence[Line]) -> None:
    """Self-correction: the same codes decoded by either dictionary."""
    _curves(axes, study, lines, DIGITAL, figures.COLOURS[0], "digital decode")
    _curves(axes, study, lines, PROGRAMMED, figures.COLOURS[1], "programmed decode")
    axes.set_ylabel("points of error")
    _points_of_error(axes)
    axes.legend(loc="upper left")


def _curves(axes: Axes, study: Study, lines: Sequence[Line], measure: str, colour: str, label: str) -> None:
    values = axis_values(study)
    known = [(values.index(line.value), line.measures[measure]) for line in lines if measure in line.measures]
    scale = SCALE.get(measure, 1.0)
    x = np.array([at for at, _ in known], np.float64)
    low, median, high = (scale * np.array([getattr(m, name) for _, m in known]) for name in ("low", "median", "high"))
    axes.plot(x, median, "o-", ms=3, color=colour, label=label)
    axes.fill_between(x, low, high, color=colour, alpha=0.15, lw=0)
    axes.set_xticks(range(len(values)), [study.names.get(value, shown(value)) for value in values])
    axes.set(xlabel=study.axis, xlim=(-0.3, len(values) - 0.7))
    if max((len(tick.get_text()) for tick in axes.get_xticklabels()), default=0) * len(values) > 45:
        axes.tick_params(axis="x", labelrotation=35)


def _plain(axis: Axis) -> None:
    """A logarithmic axis with ticks at 1, 2 and 5, written out."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def axis_values(study: Study) -> list[Any]:
    """All values along the axis, in the order of the study; where only its series have values, rising."""
    found = dict.fromkeys(value for series in study.series for value in series.values or study.values)
    return sorted(found) if not study.values else [*study.values, *(v for v in found if v not in study.values)]


def _points_of_error(axes: Axes) -> None:
    """Linear up to `STEEP` points, logarithmic beyond; the first point above the mark is shaded."""
    data = [line.get_ydata() for line in axes.get_lines()]
    bands = [np.asarray(path.vertices)[:, 1] for shaded in axes.collections for path in shaded.get_paths()]
    values = np.concatenate([np.zeros(1), *(np.asarray(part, np.float64) for part in (*data, *bands))])
    low, high = float(values.min()), float(values.max())
    low, high = 1.3 * low - 0.25, max(1.35 * high, 1.3)
    axes.set_yscale("symlog", linthresh=STEEP, linscale=0.6)
    axes.set_ylim(low, high)
    ticks = (-30, -10, -3, -1, 0, 1, 3, 10, 30, 100, 300, 1000, 10_000, 100_000)
    axes.set_yticks([tick for tick in ticks if low <= tick <= high])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.axhspan(0, TOLERANCE, color=figures.COLOURS[2], alpha=0.08, lw=0)


# ---- strides ---------------------------------------------------------------------------------------------------------
def _error_by_energy(axes: Axes, study: Study, lines: Sequence[Line]) -> None:
    """Percent error against the energy of frames of more and more steps."""
    for n, series in enumerate(study.series):
        own = [line for line in lines if line.series == series.label and "percent_error" in line.measures]
        energy = [line.measures["energy_pj"].median * 1e-6 for line in own]
        error = [line.measures["percent_error"] for line in own]
        colour = figures.COLOURS[n % len(figures.COLOURS)]
        axes.plot(energy, [m.median for m in error], "o-", ms=3, color=colour, label=series.label)
        axes.fill_between(energy, [m.low for m in error], [m.high for m in error], color=colour, alpha=0.12, lw=0)
    axes.set(xscale="log", xlabel="energy a frame, \u00b5J (modelled)", ylabel="percent error")
    _plain(axes.xaxis)
    low, high = axes.get_ylim()
    axes.set_ylim(low, low + 1.3 * (high - low))  # room for the legend
    axes.legend(fontsize=7)


def _at_equal(axes: Axes, study: Study, lines: Sequence[Line]) -> None:
    """Bars: cells, area, conversions, energy and time at equal error, over those of the first series of the study."""
    found = at_equal_error(next(iter(groups_of(study, lines).values())))
    if not found:
        return
    names = {"cells_used": "cells", "area_mm2": "area", "conversions": "conversions", "energy_pj": "energy",
             "latency_ms": "time"}  # fmt: skip
    wide = 0.8 / len(found)
    for n, equal in enumerate(found):
        ratios = [getattr(equal, name) / (getattr(found[0], name) or 1.0) for name in names]
        places = np.arange(len(names)) + (n - (len(found) - 1) / 2) * wide
        axes.bar(places, np.array(ratios) - 1, wide, bottom=1, color=figures.COLOURS[n], label=equal.series)
    axes.axhline(1, color=figures.INK, lw=0.6)
    axes.set(yscale="log", ylabel=f"times that of {found[0].series}")
    axes.set_xticks(range(len(names)), list(names.values()))
    _plain(axes.yaxis)
    axes.set_title(f"at equal error, {found[0].error:.1f} %")
    axes.grid(False, axis="x")
