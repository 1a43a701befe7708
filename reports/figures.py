"""One function a figure: data in, a matplotlib `Figure` out. Nothing is shown or saved here.

Text and axes are drawn in `INK`, which the page replaces by its own text colour so that figures follow light and dark.
"""

import base64
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.collections import PolyCollection
from matplotlib.colors import hsv_to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, MaxNLocator
from PIL import Image

from ..golden.archive import replacing
from ..sim.timing import Phase

Array = npt.NDArray[np.float64]
INK = "#0a0b0c"
GRID = "#8a8f9855"
COLOURS = ("#3f7fbf", "#d9772f", "#3d9b78", "#b5525c", "#8468b8", "#b8952e", "#4aa3b5", "#8a8f98", "#d486b4")
PHASE_COLOURS = ("#c9ccd1", "#4aa3b5", "#3d9b78", "#7d6a4f", "#3f7fbf", "#b5525c", "#b8952e", "#d9772f", "#8468b8",
                 "#5f6b7a", "#e3b9bc")  # fmt: skip
"""Of each phase in the order of `Phase`, and of the clocks in which a tile waited inside one."""
STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.5,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "svg.fonttype": "none",
    "figure.constrained_layout.use": True,
}


def png(figure: Figure, path: Path, dpi: int = 160) -> None:
    """Write a figure as PNG on white, aside and renamed."""
    with rc_context(STYLE), replacing(path) as aside:
        FigureCanvasAgg(figure)
        figure.savefig(aside, format="png", dpi=dpi, facecolor="white", metadata={"Software": None})


def svg(figure: Figure, name: str) -> str:
    """A figure as an inline <svg>: transparent, text in the page's font and colour, ids that no other figure has."""
    text = io.StringIO()
    with rc_context({**STYLE, "svg.hashsalt": name}):
        FigureCanvasSVG(figure)
        figure.savefig(
            text, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
        )
    body = text.getvalue()
    body = body[body.index("<svg") :].replace(INK, "currentColor")
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", body)
    body = re.sub(r'\b(id="|url\(#|xlink:href="#|href="#)(?!image)', rf"\g<1>{name}-", body)
    body = re.sub(r' xmlns(:xlink)?="[^"]*"', "", body).replace("xlink:href", "href")
    return re.sub(r' (width|height)="[\d.]+pt"', "", body, count=2).replace(
        "<svg", f'<svg role="img" aria-label="{name}"', 1
    )


def picture_rgb(image: Array, limit: float | None = None) -> npt.NDArray[np.uint8]:
    """(C, H, W) as (H, W, 3) bytes: 0..1 as it is with ``limit`` None, else -limit..limit around mid-gray."""
    values = image if limit is None else 0.5 + 0.5 * image / (limit or 1.0)
    pixels = np.clip(np.rint(255 * np.moveaxis(values, 0, -1)), 0, 255).astype(np.uint8)
    return np.asarray(np.repeat(pixels[..., :1], 3, axis=2) if pixels.shape[2] != 3 else pixels)


def data_uri(pixels: npt.NDArray[np.uint8]) -> str:
    """(H, W) or (H, W, 3) bytes as a PNG in a data: address."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def sprite(frames: Array, limit: float) -> npt.NDArray[np.uint8]:
    """(n, C, H, W) frames side by side as gray (H, n W): what the slider cuts its pictures from."""
    gray = frames.mean(axis=1)
    bytes_ = np.clip(np.rint(255 * (0.5 + 0.5 * gray / (limit or 1.0))), 0, 255).astype(np.uint8)
    return np.concatenate(list(bytes_), axis=1)


def _bare(axes: Axes, title: str = "") -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if title:
        axes.set_title(title)


def panel(photograph: Array | None, filtered: Array, reconstruction: Array, residual: Array) -> Figure:
    """Photograph, what the network sees, what it makes of it, what is left: (C, H, W), the last three on one scale."""
    limit = float(np.abs(filtered).max())
    shown = [
        ("centre-surround filtered" if photograph is not None else "input", picture_rgb(filtered, limit)),
        ("reconstruction from the code", picture_rgb(reconstruction, limit)),
        ("residual, same scale", picture_rgb(residual, limit)),
    ]
    if photograph is not None:
        shown.insert(0, ("photograph", picture_rgb(photograph)))
    with rc_context(STYLE):
        figure = Figure((2.45 * len(shown), 0.3 + 2.4 * filtered.shape[1] / filtered.shape[2]))
        for axes, (title, pixels) in zip(np.atleast_1d(figure.subplots(1, len(shown))), shown, strict=True):
            axes.imshow(pixels, interpolation="none")
            _bare(axes, title)
    return figure


def kernel_colours(kernels: int) -> Array:
    """(K, 3) a hue per kernel."""
    hue = (np.arange(kernels) * 0.381966 + 0.55) % 1.0
    return np.asarray(hsv_to_rgb(np.stack([hue, np.full(kernels, 0.62), np.ones(kernels)], axis=1)))


def kernels(atoms: Array, usage: npt.NDArray[np.int64] | None = None) -> Figure:
    """(K, C, p, p) kernels, each on its own scale, framed in its colour of the code map; ``usage``: active codes."""
    count = len(atoms)
    columns = 4 if count <= 16 else 8
    rows = -(-count // columns)
    colours = kernel_colours(count)
    with rc_context(STYLE):
        figure = Figure((4.2, 4.2 / columns * 1.14 * rows))
        grid = np.atleast_1d(figure.subplots(rows, columns, squeeze=False)).ravel()
        for n, axes in enumerate(grid):
            _bare(axes)
            if n < count:
                axes.imshow(picture_rgb(atoms[n], float(np.abs(atoms[n]).max())), interpolation="none")
                axes.add_patch(Rectangle((0, 0), 1, 1, transform=axes.transAxes, fill=False, lw=2.5, ec=colours[n]))
                if usage is not None:
                    axes.set_xlabel(f"{usage[n]:,}", fontsize=8, labelpad=3)
    return figure


def code_map(code: Array) -> Figure:
    """(K, H/s, W/s): the strongest code at every V1 position; hue says which kernel, brightness how strong."""
    strongest = np.abs(code).argmax(axis=0)
    value = np.abs(code).max(axis=0)
    bright = np.sqrt(np.clip(value / (np.percentile(value[value > 0], 98) if (value > 0).any() else 1.0), 0, 1))
    image = kernel_colours(len(code))[strongest] * bright[..., None]
    with rc_context(STYLE):
        figure = Figure((4.2, 4.2 * code.shape[1] / code.shape[2]))
        axes = figure.subplots()
        axes.imshow(image, interpolation="none")
        _bare(axes)
    return figure


def convergence(curves: Mapping[str, tuple[Array, Array]]) -> Figure:
    """Percent error and active codes over the steps; name -> (percent error, active), one entry a step."""
    with rc_context(STYLE):
        figure = Figure((9.6, 2.7))
        left, right = figure.subplots(1, 2)
        for n, (name, (error, active)) in enumerate(curves.items()):
            style = {"color": COLOURS[n], "ls": "-" if n == 0 else (0, (3, 2)), "label": name, "marker": _dot(error)}
            left.plot(np.arange(1, len(error) + 1), error, **style)
            right.plot(np.arange(1, len(active) + 1), active, **style)
            _whole_steps(left, len(error))
            _whole_steps(right, len(active))
        left.set(xlabel="step", ylabel="percent error", ylim=(0, 105))
        right.set(xlabel="step", ylabel="active codes", ylim=(0, None))
        if len(curves) > 1:
            left.legend()
    return figure


def events(series: Mapping[str, npt.NDArray[np.int64]]) -> Figure:
    """Events in each step, on a log scale: what the delta machine works through."""
    with rc_context(STYLE):
        figure = Figure((9.6, 2.4))
        axes = figure.subplots()
        for n, (name, counts) in enumerate(series.items()):
            axes.plot(
                np.arange(1, len(counts) + 1),
                np.where(counts > 0, counts, np.nan),
                color=COLOURS[n],
                label=name,
                lw=1.2,
                marker=_dot(counts),
            )
            _whole_steps(axes, len(counts))
        axes.set(xlabel="step", ylabel="events a step", yscale="log")
        axes.legend(ncols=len(series), loc="upper right")
    return figure


def _dot(values: npt.NDArray[Any]) -> str:
    """A marker where there is nothing to join by a line."""
    return "o" if len(values) == 1 else ""


def _whole_steps(axes: Axes, steps: int) -> None:
    """Ticks at whole steps, all of them where there are few."""
    axes.xaxis.set_major_locator(FixedLocator(range(1, steps + 1)) if steps <= 10 else MaxNLocator(integer=True))


def float_against_fixed(
    golden_code: Array, fixed_code: Array, golden_residual: Array, fixed_residual: Array, unit: float
) -> Figure:
    """Every active code in float64 against fixed point, and how far the residuals are apart; ``unit``: a code step."""
    active = (golden_code != 0) | (fixed_code != 0)
    x, y = golden_code[active], fixed_code[active]
    difference = (fixed_residual - golden_residual).ravel()
    with rc_context(STYLE):
        figure = Figure((9.6, 3.4))
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.25))
        low, high = (min(x.min(), y.min()), max(x.max(), y.max())) if len(x) else (0.0, 1.0)
        left.plot([low, high], [low, high], color=COLOURS[7], lw=0.8, zorder=0)
        both = (x != 0) & (y != 0)
        left.scatter(x[both], y[both], s=3, color=COLOURS[0], alpha=0.35, lw=0, rasterized=True, label="active in both")
        left.scatter(x[~both], y[~both], s=5, color=COLOURS[1], alpha=0.6, lw=0, rasterized=True, label="in one only")
        left.set(xlabel="code, float64", ylabel="code, fixed point", aspect="equal")
        left.legend(markerscale=2, handletextpad=0.1, loc="upper left")
        right.hist(difference, bins=81, color=COLOURS[0], log=True)
        right.axvspan(-unit, unit, color=COLOURS[1], alpha=0.2, lw=0)
        right.set(xlabel="residual, fixed point minus float64", ylabel="pixels")
        right.set_title(f"shaded: one code unit, {unit:.3g}", fontsize=9)
    return figure


def phase_cycles(cycles: npt.NDArray[np.int64], names: Sequence[str]) -> Figure:
    """Where each tile's clocks go: (T, phases) cycles as stacked bars; phases that never happened are left out.

    ``cycles`` may have one column more than there are phases: what was waited.
    """
    tiles = np.arange(len(cycles))
    with rc_context(STYLE):
        legend = -(-int(cycles.any(axis=0).sum()) // 3)  # rows of it
        figure = Figure((5.2, 0.6 + 0.17 * legend + max(0.4, _rows_height(len(cycles)))))
        axes = figure.subplots()
        left = np.zeros(len(cycles))
        for n, name in enumerate(names):
            if cycles[:, n].any():
                right = left + cycles[:, n] / 1e3
                _bars(axes, tiles, left, right, PHASE_COLOURS[n], name)
                left = right
        axes.set(xlabel="thousand cycles of a frame", ylabel="tile", yticks=_some(tiles), ylim=(-0.6, len(tiles) - 0.4))
        axes.set_xlim(0, 1.02 * max(1e-3, left.max(initial=0)))
        axes.grid(False, axis="y")
        axes.invert_yaxis()
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=3, handlelength=1)
    return figure


def timeline(
    spans: npt.NDArray[np.int64], windows: Sequence[tuple[str, int, int]], tiles: Sequence[int], names: Sequence[str]
) -> Figure:
    """What the tiles do clock by clock, one panel a window.

    Args:
        spans: (n, 5) rows (tile, step, phase, first cycle, first cycle after). windows: (title, first cycle, first
            cycle after). tiles: those shown, from top to bottom. names: of the phases.
    """
    height = 0.55 + _rows_height(len(tiles))
    with rc_context(STYLE):
        figure = Figure((9.6, 0.5 + height * len(windows)))
        grid = figure.subplots(len(windows), 1, squeeze=False)[:, 0]
        place = np.full(max(tiles) + 1, -1)
        place[list(tiles)] = np.arange(len(tiles))
        drawn: dict[str, PolyCollection] = {}
        for axes, (title, first, after) in zip(grid, windows, strict=True):
            inside = spans[(spans[:, 3] < after) & (spans[:, 4] > first) & np.isin(spans[:, 0], tiles)]
            for phase in np.unique(inside[:, 2]).tolist():
                rows = inside[inside[:, 2] == phase]
                begin, end = np.maximum(rows[:, 3], first), np.minimum(rows[:, 4], after)
                drawn[names[phase]] = _bars(axes, place[rows[:, 0]], begin, end, PHASE_COLOURS[phase], names[phase])
            starts = spans[(spans[:, 0] == tiles[0]) & (spans[:, 2] == Phase.GATHER)]
            for _, step, _, cycle, _ in starts[(starts[:, 3] >= first) & (starts[:, 3] < after)].tolist():
                axes.axvline(cycle, color=INK, lw=0.5, ls=":")
                axes.annotate(f"step {step + 1}", (cycle, 1.0), xycoords=axes.get_xaxis_transform(), fontsize=7.5,
                              xytext=(2, 2), textcoords="offset points")  # fmt: skip
            axes.set(xlim=(first, after), ylim=(len(tiles) - 0.4, -0.6), ylabel="tile")
            axes.set_yticks(_some(np.arange(len(tiles))), [str(tiles[n]) for n in _some(np.arange(len(tiles)))])
            axes.set_title(title, fontsize=9, loc="right", pad=12)
            axes.grid(False, axis="y")
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        grid[-1].set_xlabel("cycle of the frame")
        figure.legend(list(drawn.values()), list(drawn), loc="outside upper center", ncols=8, handlelength=1)
    return figure


def _bars(axes: Axes, rows: Any, left: Any, right: Any, colour: str, label: str) -> PolyCollection:
    """Bars from ``left`` to ``right`` in their rows, all in one thing to draw."""
    low, high = np.asarray(rows) - 0.37, np.asarray(rows) + 0.37
    corners = np.stack(
        [np.stack(xy, axis=-1) for xy in ((left, low), (right, low), (right, high), (left, high))], axis=1
    )
    bars = PolyCollection(list(corners), facecolors=colour, edgecolors="none", label=label)
    axes.add_collection(bars, autolim=False)
    return bars


def _rows_height(count: int) -> float:
    """Inches for a row a tile: thinner where there are many."""
    return 0.27 * count if count <= 16 else max(4.3, min(9.0, 0.09 * count))


def _some(rows: npt.NDArray[np.int64]) -> list[int]:
    """Every row, or every so manieth, to be labelled."""
    return [int(n) for n in rows[:: 1 + (len(rows) - 1) // 32]]


def energy(costs: Sequence[Mapping[str, Any]]) -> Figure:
    """Energy of a frame by component, one stacked bar a technology; the whisker is the band of the total."""
    groups = list(costs[0]["groups"])
    with rc_context(STYLE):
        figure = Figure((9.6, 0.95 + 0.42 * len(costs)))
        axes = figure.subplots()
        for place, cost in enumerate(costs):
            left = 0.0
            for n, group in enumerate(groups):
                typical = cost["groups"][group][1] * 1e-9
                axes.barh(place, typical, left=left, color=COLOURS[n], height=0.55, label=group if place == 0 else None)
                left += typical
            low, _, high = (value * 1e-9 for value in cost["energy_pj"])
            axes.errorbar(left, place, xerr=[[left - low], [high - left]], color=INK, capsize=3, lw=1)
        axes.set(xlabel="millijoule a frame (modelled)", yticks=range(len(costs)), xscale="linear", xlim=(0, None))
        axes.set_yticklabels([cost["title"].partition(" (")[0] for cost in costs])
        axes.grid(False, axis="y")
        axes.invert_yaxis()
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=len(groups), handlelength=1)
    return figure
