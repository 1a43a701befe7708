"""The convergence of all solvers of one problem on one picture."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from ...explore.papers.convergence import NEAR, ONE_LABEL, WITHIN, Curve, Found
from .. import figures

Array = npt.NDArray[np.float64]

LOWEST = 1e-8
"""Where the axis of distances ends: below, the best known objective is not known well enough."""
STYLES: dict[str, dict[str, Any]] = {
    "FISTA": {"ls": "-", "lw": 3.2, "alpha": 0.75},
    "FISTA, no restart": {"ls": (0, (5, 3)), "lw": 1.1},
    ONE_LABEL: {"ls": "--", "lw": 1.0},
}
"""Thin and dashed: variants, beside the five that are compared. FISTA is wide: until its first restart, the run without
restarts lies on it.
"""


def curves_figure(found: Found) -> Figure:
    """Distance from the best against iterations and seconds, active codes; in a panel of its own what is not convex.

    Both upper axes are logarithmic; iteration n stands at n + 1, so that the start is seen.
    """
    with rc_context(figures.STYLE):
        figure = Figure((9.8, 6.6))
        grid = figure.subplots(2, 2)
        _distance(grid[0, 0], found, _counted, "iteration + 1")
        _distance(grid[0, 1], found, _timed, "seconds")
        _active(grid[1, 0], found)
        _own(grid[1, 1], found)
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=4)
    return figure


def _counted(curve: Curve) -> Array:
    return np.arange(1.0, curve.iterations + 2.0)


def _timed(curve: Curve) -> Array:
    return np.asarray(np.maximum(curve.seconds, 1e-3))


def _looks(found: Found) -> dict[str, dict[str, Any]]:
    """Colour and line of every curve, the same in all panels."""
    every = (*found.curves, *found.hard, found.half)
    return {
        curve.label: {
            "color": figures.COLOURS[n % len(figures.COLOURS)],
            **STYLES.get(curve.label, {"ls": "-", "lw": 1.6}),
        }
        for n, curve in enumerate(every)
    }  # fmt: skip


def _distance(axes: Axes, found: Found, along: Callable[[Curve], Array], label: str) -> None:
    looks = _looks(found)
    for curve in found.curves:
        above = curve.above(found.best)
        end = int(np.argmax(above < LOWEST)) + 1 if (above < LOWEST).any() else len(above)
        axes.loglog(along(curve)[:end], np.maximum(above[:end], LOWEST), label=curve.label, **looks[curve.label])
    axes.axhline(WITHIN, color=figures.INK, lw=1.2, ls=":", label=f"{NEAR} above the best")
    axes.set_ylim(LOWEST, None)
    axes.set(xlabel=label, ylabel="above the best known, relative")
    axes.set_title("objective")


def _active(axes: Axes, found: Found) -> None:
    looks = _looks(found)
    for curve in (*found.curves, found.hard[0]):
        axes.semilogx(_counted(curve), 100 * curve.active,
                      **looks[curve.label])
    last = found.hard[0]
    axes.annotate(last.label, (last.iterations + 1.0, 100 * float(last.active[-1])), textcoords="offset points",
                  xytext=(0, 4), ha="right", fontsize=7.5)
    top = 3 * max(100 * float(curve.active[-1]) for curve in found.curves)
    highest = min(top, 100.0)
    cut = max(100 * float(curve.active.max()) for curve in (*found.curves, found.hard[0])) > highest
    axes.set_ylim(0, highest)
    axes.set(xlabel="iteration + 1", ylabel="active codes, %")
    axes.set_title(f"codes that are not 0 (cut at {highest:.0f} %)" if cut else "codes that are not 0")


def _own(axes: Axes, found: Found) -> None:
    """Hard thresholds and p = 1/2, each on an objective of its own, as a share of a silent code's."""
    looks = _looks(found)
    silent = 0.5 * float(np.vdot(found.image, found.image))
    for curve in (*found.hard, found.half):
        marks = {"marker": "o", "ms": 3} if curve is found.half else {}
        axes.loglog(_counted(curve), curve.objective / silent, label=curve.label,
                    **looks[curve.label], **marks)
    axes.set(xlabel="iteration + 1 (p = 1/2: turn + 1)", ylabel="own objective / that of silence")
    axes.set_title("not convex: $\\lambda^2/2\\,|y|_0$, and $\\lambda\\,|y|^{1/2}$")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.legend()
