"""The figures of the heterogeneity experiment: data in, a matplotlib `Figure` out."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...explore.papers.heterogeneity import BINS, CUTOFFS, SETTINGS, Found
from ...explore.papers.heterogeneity_dictionaries import BY_NAME, KINDS
from ...golden.log_gabor import SUPPORT
from ..figures import GRID, STYLE

Array = npt.NDArray[np.float64]
WIDE_DEGREES = 60.0
"""Bandwidths from here on are drawn here: a kernel without an orientation has none."""
_TICKS = [kind.title.replace(", ", ",\n").replace("learned from", "learned\nfrom") for kind in KINDS]
PRUNED = ("homogeneous", "heterogeneous", "heterogeneous-learned")
"""The three of the paper's figure 6."""


def drawn(found: Found) -> dict[str, Figure]:
    """All figures by name."""
    return {
        "kernels": kernels(found), "distributions": distributions(found), "pruning": pruning(found),
        "tuning": tuning_plane(found), "activity": activity(found), "coefficients": coefficients(found),
    }  # fmt: skip


def kernels(found: Found) -> Figure:
    """All kernels of the five dictionaries, each on its own gray scale: the paper's figure 2a to c."""
    with rc_context(STYLE):
        figure = Figure((9.6, 4.3))
        grid = figure.subplots(2, 3).ravel()
        for axes in grid:
            axes.set_axis_off()
        for axes, kind in zip(grid, (*KINDS[:2], KINDS[4], *KINDS[2:4]), strict=False):
            axes.imshow(_sheet(found.dictionaries[kind.name].atoms[:, 0, :SUPPORT, :SUPPORT]), cmap="gray",
                        vmin=-1, vmax=1, interpolation="none")  # fmt: skip
            axes.set_title(kind.title, color=kind.colour)
    return figure


def _sheet(atoms: Array, columns: int = 18) -> Array:
    """(K, p, p) as one picture, kernels side by side with a gap of a pixel."""
    count, side = len(atoms), atoms.shape[-1] + 1
    sheet = np.ones((-(-count // columns) * side + 1, columns * side + 1))
    for n, atom in enumerate(atoms):
        y, x = 1 + n // columns * side, 1 + n % columns * side
        sheet[y : y + side - 1, x : x + side - 1] = atom / (np.abs(atom).max() or 1.0)
    return sheet


def distributions(found: Found) -> Figure:
    """Sparseness and PSNR of the five, violins over the crops with their medians: figure 2d."""
    with rc_context(STYLE):
        figure = Figure((9.6, 5.6))
        grid = figure.subplots(2, len(SETTINGS), sharex=True)
        for column, setting in enumerate(SETTINGS):
            for row, (measure, label) in enumerate((("sparseness", "sparseness"), ("psnr_db", "PSNR, dB"))):
                axes = grid[row][column]
                for place, kind in enumerate(KINDS):
                    values = [getattr(code, measure) for code in found.of(kind.name, setting.name)]
                    if values:
                        _violin(axes, place, values, kind.colour)
                axes.set_ylabel(label if column == 0 else "")
                axes.set_xticks(range(len(KINDS)), _TICKS, fontsize=7)
                axes.grid(False, axis="x")
                if row == 0:
                    axes.set_title(f"lambda {setting.threshold:g}")
        for row in grid:
            _one_scale(row)
    return figure


def _violin(axes: Axes, place: int, values: Sequence[float], colour: str) -> None:
    if len(set(values)) > 1:
        body = axes.violinplot(values, [place], widths=0.8, showextrema=False)
        for part in body["bodies"]:  # type: ignore[attr-defined]
            part.set(facecolor=colour, alpha=0.45, edgecolor="none")
    spread = np.linspace(-0.12, 0.12, len(values)) if len(values) > 1 else np.zeros(1)
    axes.scatter(place + spread, values, s=4, color=colour, lw=0)
    middle = float(np.median(values))
    axes.plot([place - 0.4, place + 0.4], [middle, middle], color=colour, ls=(0, (4, 2)), lw=1.4)


def _one_scale(row: Sequence[Axes]) -> None:
    limits = [axes.get_ylim() for axes in row]
    for axes in row:
        axes.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))


def pruning(found: Found) -> Figure:
    """Sparseness against PSNR at the cut-offs, one point a crop, and the course of their medians: figure 6a."""
    with rc_context(STYLE):
        figure = Figure((9.6, 3.8))
        row = figure.subplots(1, len(SETTINGS), sharex=True, sharey=True)
        for axes, setting in zip(row, SETTINGS, strict=True):
            for name in PRUNED:
                codes = found.of(name, setting.name)
                if not codes:
                    continue
                kind, points = BY_NAME[name], np.array([code.pruned for code in codes])
                for n in range(len(CUTOFFS)):
                    axes.scatter(*points[:, n].T, s=5, color=kind.colour, alpha=0.15 + 0.1 * n, lw=0)
                axes.plot(*np.median(points, axis=0).T, color=kind.colour, marker="o", ms=4, label=kind.title)
            axes.set(xlabel="sparseness", title=f"lambda {setting.threshold:g}")
        row[0].set_ylabel("PSNR, dB")
        handles, labels = max((axes.get_legend_handles_labels() for axes in row), key=lambda pair: len(pair[0]))
        if handles:
            figure.legend(handles, labels, loc="outside upper center", ncols=3)
    return figure


def tuning_plane(found: Found) -> Figure:
    """Orientation and bandwidth of every kernel, its area the share of active codes: figure 3a."""
    with rc_context(STYLE):
        figure = Figure((9.6, 5.0))
        grid = figure.subplots(2, 3, sharex=True, sharey=True).ravel()
        for axes, kind in zip(grid, (*KINDS[:2], KINDS[4], *KINDS[2:4]), strict=False):
            share = _share(found, kind.name)
            angles = [each.orientation_degrees for each in found.tunings[kind.name]]
            widths = [min(each.bandwidth_degrees, WIDE_DEGREES) for each in found.tunings[kind.name]]
            axes.scatter(angles, widths, s=3 + 1500 * share, color=kind.colour, alpha=0.5, lw=0)
            axes.set_title(kind.title, color=kind.colour)
            axes.set(xlim=(-3, 183), ylim=(0, WIDE_DEGREES + 3), xticks=(0, 45, 90, 135, 180))
        grid[5].set_axis_off()
        for n in (0, 3):
            grid[n].set_ylabel("B, degrees")
        for n in (2, 3, 4):
            grid[n].set_xlabel("orientation of the wave, degrees")
        grid[2].xaxis.set_tick_params(labelbottom=True)
    return figure


def _share(found: Found, kind: str) -> Array:
    """Of all active codes of a kind, those of each kernel; 0 where nothing was coded."""
    total = np.zeros(found.dictionaries[kind].kernels)
    for setting in SETTINGS:
        for code in found.of(kind, setting.name):
            total += code.active
    return total / max(1.0, float(total.sum()))


def activity(found: Found) -> Figure:
    """Active codes by orientation and by bandwidth, before and after learning: figures 3b and 5a."""
    with rc_context(STYLE):
        figure = Figure((9.6, 5.0))
        grid = figure.subplots(2, 2)
        angles, widths = np.arange(0.0, 181.0, 15.0), np.arange(0.0, WIDE_DEGREES + 1, 5.0)
        families = (("homogeneous", "homogeneous-learned"),
                    ("heterogeneous", "heterogeneous-learned", "noise-learned"))  # fmt: skip
        for row, names in zip(grid, families, strict=True):
            for name in names:
                kind, share = BY_NAME[name], _share(found, name)
                tunings = found.tunings[name]
                # Bins about 0, 15, ... degrees: the bank's own orientations lie in their middles.
                turned = [(each.orientation_degrees + 7.5) % 180.0 for each in tunings]
                bands = [min(each.bandwidth_degrees, WIDE_DEGREES - 1e-9) for each in tunings]
                row[0].stairs(np.histogram(turned, angles, weights=share)[0], angles - 7.5, color=kind.colour,
                              lw=1.6, label=kind.title)  # fmt: skip
                row[1].stairs(np.histogram(bands, widths, weights=share)[0], widths, color=kind.colour, lw=1.6)
            row[0].set(ylabel="share of active codes", xlim=(-7.5, 172.5), xticks=range(0, 180, 30), ylim=(0, None))
            row[1].set(xlim=(0, WIDE_DEGREES), ylim=(0, None))
            row[0].legend(fontsize=8)
        grid[1][0].set_xlabel("orientation of the kernel, degrees")
        grid[1][1].set_xlabel(f"bandwidth B of the kernel, degrees (from {WIDE_DEGREES - 5:.0f} on: last bin)")
    return figure


def decay_of(found: Found, kind: str, setting: str) -> tuple[Array, float]:
    """The density of active codes over |code|, ``(30,)``, and the rate b of ``a exp(-b |code|)`` by maximum likelihood:
    one over the mean; NaN where nothing was coded.
    """
    codes = found.of(kind, setting)
    counts = np.zeros(len(BINS) - 1)
    for code in codes:
        counts += code.histogram
    whole = float(sum(sum(code.active) for code in codes))
    mean = sum(code.mean * sum(code.active) for code in codes) / whole if whole else 0.0
    density = np.asarray(counts / (max(whole, 1.0) * np.diff(BINS)), np.float64)
    return density, 1.0 / mean if mean else float("nan")


def coefficients(found: Found) -> Figure:
    """How large active codes are, and the exponential of the same mean: figure 4a."""
    with rc_context(STYLE):
        figure = Figure((9.6, 3.4))
        row = figure.subplots(1, len(SETTINGS), sharey=True)
        places = np.asarray(BINS)[:-1] + 0.05
        for axes, setting in zip(row, SETTINGS, strict=True):
            for kind in KINDS:
                if not found.of(kind.name, setting.name):
                    continue
                density, rate = decay_of(found, kind.name, setting.name)
                shown: Any = np.where(density[:-1] > 0, density[:-1], np.nan)
                axes.plot(places[:-1], shown, "o", ms=3, color=kind.colour)
                axes.plot(places, rate * np.exp(-rate * places), color=kind.colour, lw=1,
                          label=f"{kind.title}: b = {rate:.2f}")  # fmt: skip
            axes.set(xlabel="|code|", yscale="log", title=f"lambda {setting.threshold:g}", xlim=(0, BINS[-1]),
                     ylim=(1e-4, 30))  # fmt: skip
            if axes.lines:
                axes.legend(fontsize=7.5)
            axes.grid(color=GRID)
        row[0].set_ylabel("density of active codes")
    return figure
