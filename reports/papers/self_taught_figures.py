"""The figures of the self-taught experiment: result in, matplotlib `Figure` out."""

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, ScalarFormatter

from ...explore.papers.self_taught import METHODS, SIDE, SOURCES, SelfTaught
from ..figures import COLOURS, INK, STYLE

SHOWN = {
    "raw": (COLOURS[7], "-"), "pca": (COLOURS[5], "-"), "golden-soft": (COLOURS[0], "-"),
    "golden-hard": (COLOURS[1], "-"), "machine-soft": (COLOURS[0], (0, (2, 2))),
    "machine-hard": (COLOURS[1], (0, (2, 2))), "predictive": (COLOURS[2], "-"),
}  # fmt: skip
"""Colour and line of each kind of features; the machine's dashed, in the colour of the golden ones."""
BANDS = ("raw", "golden-soft")
MOST_KERNELS = 128


def accuracy_figure(result: SelfTaught) -> Figure:
    """Accuracy against the number of labels, a panel a source; bands: one standard deviation over the draws."""
    with rc_context(STYLE):
        figure = Figure((9.6, 4.1))
        panels = np.atleast_1d(figure.subplots(1, len(SOURCES), sharey=True))
        for axes, (source, words) in zip(panels, SOURCES.items(), strict=True):
            for method, (colour, line) in SHOWN.items():
                rows = [row for row in result.rows if row.method == method and row.source in ("", source)]
                if not rows:
                    continue
                sizes, means = [row.size for row in rows], np.array([row.mean for row in rows])
                axes.plot(sizes, means, color=colour, ls=line, label=METHODS[method], marker="o", ms=3.2)
                if method in BANDS:
                    spread = np.array([row.deviation for row in rows])
                    axes.fill_between(sizes, means - spread, means + spread, color=colour, alpha=0.15, lw=0)
            _by_labels(axes, result)
            axes.set_title(f"learned on {words}")
        panels[0].set_ylabel("digits 5 to 9 told apart, %")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8)
    return figure


def machine_figure(result: SelfTaught) -> Figure:
    """The machine's accuracy less the golden one's, draw by draw: mean, and two standard errors either way."""
    with rc_context(STYLE):
        figure = Figure((9.6, 2.9))
        panels = np.atleast_1d(figure.subplots(1, len(SOURCES), sharey=True))
        for axes, (source, words) in zip(panels, SOURCES.items(), strict=True):
            for transfer, colour, shift in (("soft", COLOURS[0], 0.97), ("hard", COLOURS[1], 1.03)):
                sizes, means, errors = [], [], []
                for size in result.settings.sizes:
                    pair = [result.cells.get((source, f"{where}-{transfer}", size)) for where in ("machine", "golden")]
                    if pair[0] is None or pair[1] is None:
                        continue
                    differences = np.subtract(pair[0].accuracies, pair[1].accuracies)
                    sizes.append(size * shift)
                    means.append(float(differences.mean()))
                    errors.append(2 * float(differences.std(ddof=1)) / np.sqrt(len(differences)))
                axes.errorbar(sizes, means, errors, color=colour, fmt="o", ms=4, capsize=3, label=f"{transfer} LCA")
            axes.axhline(0.0, color=INK, lw=0.6)
            _by_labels(axes, result)
            axes.set_title(f"learned on {words}")
        panels[0].set_ylabel("machine less golden, points")
        if result.agreements:
            panels[0].legend(loc="best")
    return figure


def kernels_figure(result: SelfTaught) -> Figure:
    """The learned kernels of each source, each on its own scale, 0 in the middle."""
    with rc_context(STYLE):
        figure = Figure((9.6, 4.4 if result.settings.kernels > 32 else 2.6))
        panels = np.atleast_1d(figure.subplots(1, max(1, len(result.learned))))
        for axes, learned in zip(panels, result.learned, strict=False):
            atoms = learned.atoms[:MOST_KERNELS].reshape(-1, SIDE, SIDE)
            columns = int(np.ceil(np.sqrt(len(atoms) * 1.4)))
            rows = -(-len(atoms) // columns)
            sheet = np.full((rows * (SIDE + 1) + 1, columns * (SIDE + 1) + 1), np.nan)
            for n, atom in enumerate(atoms):
                y, x = 1 + n // columns * (SIDE + 1), 1 + n % columns * (SIDE + 1)
                sheet[y : y + SIDE, x : x + SIDE] = atom / np.abs(atom).max()
            axes.imshow(np.ma.masked_invalid(sheet), cmap="gray", vmin=-1, vmax=1, interpolation="none")
            axes.set(xticks=[], yticks=[])
            axes.grid(False)
            for spine in axes.spines.values():
                spine.set_visible(False)
            more = f", {MOST_KERNELS} of {len(learned.atoms)}" if len(learned.atoms) > MOST_KERNELS else ""
            axes.set_title(f"learned on {SOURCES[learned.source]}{more}")
    return figure


def learning_figure(result: SelfTaught) -> Figure:
    """The objective over the passes, of the dictionaries and of the encoders."""
    with rc_context(STYLE):
        figure = Figure((9.6, 2.6))
        panels = figure.subplots(1, 2)
        for learned, colour in zip(result.learned, COLOURS, strict=False):
            for axes, values in zip(panels, (learned.objective, learned.predictive_objective), strict=True):
                axes.plot(np.arange(1, len(values) + 1), values, color=colour, label=SOURCES[learned.source])
        for axes, title in zip(panels, ("dictionary", "dictionary and encoder"), strict=True):
            axes.set(xlabel="pass over the unlabelled pictures", title=title)
            if result.learned:
                axes.set_yscale("log")
                axes.yaxis.set_major_formatter(ScalarFormatter())
                axes.yaxis.set_minor_formatter(ScalarFormatter())
                axes.tick_params(axis="y", which="minor", labelsize=7)
        panels[0].set_ylabel("objective a picture")
        if result.learned:
            panels[1].legend()
    return figure


def _by_labels(axes: Axes, result: SelfTaught) -> None:
    sizes = result.settings.sizes
    axes.set_xlim(sizes[0] / 1.15, sizes[-1] * 1.15)
    axes.set_xscale("log")
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("labelled pictures")
