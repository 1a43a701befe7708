"""Figures 5, 8 and 11 of the short-stride paper, and how the dictionaries settled, what passes change, how far kernels
reach.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse as Oval
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from matplotlib.transforms import Bbox

from ...explore.papers.configurations import Configuration, Family
from ...explore.papers.ellipse import Ellipse, ellipse_of
from ...explore.papers.short_stride import Run, ShortStride, cloud, pass_changes
from .. import figures
from .short_stride_pictures import label, members

BLUE, GREEN, RED, BLACK, MAGENTA = "#3568e8", "#1e9a45", "#d8322f", figures.INK, "#d238c8"
"""The paper's five colours; black is the ink of the page, which is light on a dark one."""
BY_STRIDE = {1: BLUE, 2: GREEN, 4: RED, 8: BLACK, 16: MAGENTA}
BY_PATCH = {8: BLUE, 16: GREEN, 32: RED, 64: BLACK}
CLOSE_UP = 4
"""Configurations up to this stride are in the close-up of figure 5: the overcomplete ones."""
EVEN = 0.5575
"""Radius, in patches, of the circle about the middle of a square that holds 90 % of its area."""


def colour(each: Configuration, family: Family) -> str:
    """The paper's colour of a configuration in the figure of a series."""
    return BY_PATCH[each.patch] if family == "patch" else BY_STRIDE[each.stride]


def clouds_figure(result: ShortStride, family: Family) -> Figure | None:
    """Percent error against percent inactive: a point a frame and pass from the second on, an ellipse a run.

    For the series of strides a second panel shows the overcomplete ones closer. None without a run.
    """
    drawn = [
        (each, run, ellipse_of(cloud(run)))
        for each in members(result, family)
        for run in result.runs
        if run.configuration == each.name
    ]
    if not drawn:
        return None
    near = [one for one in drawn if one[0].stride <= CLOSE_UP]
    panels = [drawn, near] if family == "stride" and 0 < len(near) < len(drawn) else [drawn]
    with rc_context(figures.STYLE):
        figure = Figure((9.6, 4.4) if len(panels) == 2 else (7.2, 4.8))
        every = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, ones in zip(every, panels, strict=True):
            for each, run, ellipse in ones:
                _cloud(axes, run, ellipse, colour(each, family))
            axes.set(xlabel="percent inactive", ylabel="percent error")
            _fit(axes, [ellipse for _, _, ellipse in ones])
        if len(panels) == 2:
            every[0].set_title("all strides")
            every[1].set_title(f"closer: strides up to {CLOSE_UP}")
        for each in {each.name: each for each, _, _ in drawn}.values():
            every[0].plot([], [], "o", ms=5, color=colour(each, family), label=_legend(each, family))
        every[0].legend(loc="best", fontsize=8, handletextpad=0.1)
        figure.draw_without_rendering()  # labels avoid each other in pixels: the layout must stand
        for axes, ones in zip(every, panels, strict=True):
            _name(axes, [(run, ellipse, colour(each, family)) for each, run, ellipse in ones if not (
                axes is every[0] and len(panels) == 2 and each.stride <= CLOSE_UP)])  # fmt: skip
    return figure


def _legend(each: Configuration, family: Family) -> str:
    """The paper's legend."""
    if family == "patch":
        return f"{each.patch}x{each.patch}"
    return f"stride {each.stride}" + (f", {each.kernels} kernels" if family == "overcomplete" else "")


def _cloud(axes: Axes, run: Run, ellipse: Ellipse, ink: str) -> None:
    points = cloud(run)
    x, y = [p.percent_inactive for p in points], [p.percent_error for p in points]
    axes.plot(x, y, ".", ms=3.4 if len(points) > 20 else 6, mew=0, alpha=0.5, color=ink)
    wide = 2 * ellipse.axes[0], 2 * ellipse.axes[1]
    axes.add_patch(Oval(ellipse.centre, *wide, angle=float(np.degrees(ellipse.angle)),
                        fill=False, ec=ink, lw=1.2))  # fmt: skip


def _fit(axes: Axes, ellipses: Sequence[Ellipse]) -> None:
    """Axes that hold all ellipses whole, and all points: with some room around them."""
    halves = [np.sqrt(np.diag(ellipse.matrix)) for ellipse in ellipses]
    low = np.min([np.array(e.centre) - half for e, half in zip(ellipses, halves, strict=True)], axis=0)
    high = np.max([np.array(e.centre) + half for e, half in zip(ellipses, halves, strict=True)], axis=0)
    low, high = np.minimum(low, axes.dataLim.min), np.maximum(high, axes.dataLim.max)
    room = 0.05 * np.maximum(high - low, 0.1)
    axes.set(xlim=(low[0] - room[0], high[0] + room[0]), ylim=(max(0.0, low[1] - 2 * room[1]), high[1] + room[1]))


def _name(axes: Axes, drawn: Sequence[tuple[Run, Ellipse, str]]) -> None:
    """The threshold beside each ellipse, clear of all ellipses and labels: near it, else farther with a line to it."""
    figure = axes.get_figure()
    assert figure is not None
    to_pixels, dots = axes.transData.transform, figure.dpi / 72
    width, height = 22 * dots, 9 * dots
    frame = axes.get_window_extent()
    legend = axes.get_legend()
    taken = [] if legend is None else [legend.get_window_extent()]
    outlines = np.concatenate([to_pixels(_outline(ellipse)) for _, ellipse, _ in drawn])
    for run, ellipse, ink in drawn:
        outline, middle = to_pixels(_outline(ellipse)), to_pixels(ellipse.centre)
        for away in (2, 12, 24, 38):
            boxes = []
            for turn in np.radians(270 + np.array([0, 180, 30, -30, 150, -150, 60, -60, 90, -90])):
                toward = np.array([np.cos(turn), np.sin(turn)])
                edge = outline[np.argmax((outline - middle) @ toward)]
                at = edge + toward * (away * dots + 0.5 * np.abs(toward) @ (width, height))
                box = Bbox.from_bounds(at[0] - width / 2, at[1] - height / 2, width, height)
                inside = frame.x0 < box.x0 and box.x1 < frame.x1 and frame.y0 < box.y0 and box.y1 < frame.y1
                crowd = ((outlines > box.min) & (outlines < box.max)).all(axis=1).any()
                if inside and not crowd and not any(box.overlaps(other) for other in taken):
                    boxes.append((box, at, edge))
            if boxes:
                box, at, edge = boxes[0]
                back = axes.transData.inverted().transform
                if away > 2:
                    axes.plot(*np.array([back(at - (at - edge) * 0.4), back(edge)]).T, color=ink, lw=0.5)
                x, y = back(at)
                axes.text(x, y, f"{run.threshold:g}".lstrip("0"), color=ink, fontsize=7.5, ha="center", va="center")
                taken.append(box)
                break


def _outline(ellipse: Ellipse) -> figures.Array:
    """(72, 2) points on an ellipse, a second one of half the size inside it."""
    turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    values, vectors = np.linalg.eigh(ellipse.matrix)
    ring = (np.stack([np.cos(turn), np.sin(turn)], axis=1) * np.sqrt(values)) @ vectors.T
    return np.asarray(np.concatenate([ring, 0.5 * ring[::2]]) + ellipse.centre)


def training_figure(result: ShortStride) -> Figure | None:
    """The energy of unseen crops after each round of learning, one curve a dictionary; None where nothing is known."""
    known = [each for each in result.training if each.rounds]
    if not known:
        return None
    with rc_context(figures.STYLE):
        figure = Figure((8.4, 4.2))
        axes = figure.subplots()
        for n, each in enumerate(known):
            pictures = np.cumsum([one.pictures for one in each.rounds])
            style: dict[str, Any] = {"color": figures.COLOURS[n % len(figures.COLOURS)], "ls": "-" if n < 9 else "--"}
            energies = [one.energy_after for one in each.rounds]
            axes.plot(pictures, energies, marker="o", mfc="none", ms=3.5, lw=1.2, **style)
            axes.plot(pictures[each.kept - 1], energies[each.kept - 1], marker="o", ms=5.5, **style,
                      label=each.configuration + ("" if each.settled else ", not settled"))  # fmt: skip
        axes.set(xscale="log", xlabel="pictures shown", ylabel="energy of unseen crops, share of a silent code's")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8)
    return figure


def passes_figure(result: ShortStride) -> Figure | None:
    """How far each pass is from the one before, at the shown threshold; None without a run of it."""
    runs = [run for run in result.runs if run.threshold == result.shown_threshold]
    if not runs:
        return None
    with rc_context(figures.STYLE):
        figure = Figure((8.4, 0.7 + 0.27 * len(runs) + 0.6))
        left, right = figure.subplots(1, 2, sharey=True)
        for axes, key, what in ((left, "error_mean", "of error"), (right, "inactive_mean", "inactive")):
            for later in range(2, result.passes + 1):
                changes = [next(c for c in pass_changes(run) if c.later == later) for run in runs]
                axes.plot([getattr(c, key) for c in changes], np.arange(len(runs)), "os^Dv"[(later - 2) % 5], ms=5,
                          color=figures.COLOURS[later - 2], label=f"pass {later - 1} to {later}")  # fmt: skip
            axes.set(xlabel=f"mean change of a frame, percentage points {what}")
            axes.set_xscale("symlog", linthresh=1e-4)
            axes.set_xlim(left=-2e-5)
        left.set_yticks(np.arange(len(runs)), [run.configuration for run in runs])
        left.invert_yaxis()
        figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return figure


def support_figure(result: ShortStride) -> Figure | None:
    """The radii that hold 90 % of the kernels' energy: by patch with what it allows, and by stride. None without."""
    families: tuple[Family, ...] = ("patch", "stride")
    found = {each.configuration: each for each in result.supports}
    groups = {name: [each for each in members(result, name) if each.name in found] for name in families}
    groups = {name: group for name, group in groups.items() if group}
    if not groups:
        return None
    with rc_context(figures.STYLE):
        figure = Figure((8.4, 3.4))
        every = figure.subplots(1, len(groups), squeeze=False)[0]
        for axes, (family, group) in zip(every, groups.items(), strict=True):
            for n, each in enumerate(group):
                radii = np.array(found[each.name].radii_pixels)
                ink = colour(each, family)
                axes.boxplot(radii, positions=[n], widths=0.5, showfliers=False, medianprops={"color": ink, "lw": 1.8},
                             boxprops={"color": ink}, whiskerprops={"color": ink}, capprops={"color": ink})  # fmt: skip
                spread = 0.18 * np.sin(2.4 * np.arange(len(radii)))  # golden angle: even, and the same every time
                axes.plot(n + spread, radii, ".", ms=3, mew=0, alpha=0.5, color=ink)
                axes.plot([n - 0.36, n + 0.36], [EVEN * each.patch] * 2, color=figures.INK, lw=1.4, ls=(0, (2, 1.4)),
                          label="energy spread evenly over the patch" if n == 0 else None)  # fmt: skip
            names = [f"{each.patch}x{each.patch}" if family == "patch" else str(each.stride) for each in group]
            axes.set_xticks(range(len(group)), names)
            axes.set(xlabel="patch" if family == "patch" else "stride", ylabel="radius of 90 % energy, pixels",
                     ylim=(0, None))  # fmt: skip
        every[0].legend(loc="upper left", fontsize=8)
    return figure


__all__ = ["clouds_figure", "colour", "label", "passes_figure", "support_figure", "training_figure"]
