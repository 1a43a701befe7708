"""Figures of a study of learning on an array: error over crops, what updates cost, what cells do, the kernels."""

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..sim.crossbar.learning.presets import update_device
from ..sim.crossbar.learning.pulses import Cells
from ..sim.crossbar.learning.study import LearnStudy
from ..sim.crossbar.streams import Stream, stream
from . import figures
from .figures import Array

HOW = {"ideal": "exact writing", "naive": "open-loop pulses", "write-verify": "write-and-verify"}
"""Kinds of update in words."""
COLUMNS = 3
COLOUR = {"ideal": figures.COLOURS[2], "naive": figures.COLOURS[1], "write-verify": figures.COLOURS[0]}


def device_names(study: LearnStudy) -> list[str]:
    """Update devices of a study, each once."""
    return list(dict.fromkeys(run.params.update_device for run in study.runs))


def _panels(count: int, height: float) -> tuple[Figure, list[Axes]]:
    """So many axes, `COLUMNS` in a row at most; ``height`` of a row in inches."""
    columns = min(COLUMNS, count)
    figure = Figure((9.6, height * -(-count // columns)))
    grid = figure.subplots(-(-count // columns), columns, squeeze=False, sharey=True)
    for axes in grid.ravel()[count:]:
        axes.set_visible(False)
    return figure, list(grid.ravel()[:count])


def curves(study: LearnStudy) -> Figure:
    """Held-out error over the crops, one panel an update device."""
    names = device_names(study)
    with rc_context(figures.STYLE):
        figure, grid = _panels(len(names), 3.1)
        for n, (axes, name) in enumerate(zip(grid, names, strict=True)):
            for run in (r for r in study.runs if r.params.update_device == name):
                how = run.params.rule.how
                axes.plot(run.column("crops"), run.column("percent_error"), "o-", ms=3, color=COLOUR[how],
                          label=HOW[how])  # fmt: skip
            line = study.digital.column("crops"), study.digital.column("percent_error")
            axes.plot(*line, "--", color=figures.COLOURS[7], label="digital, no cells", lw=1.2)
            if name in study.rewritten:
                axes.axhline(study.rewritten[name].percent_error, color=figures.COLOURS[4], lw=1, ls=":",
                             label="written again, nothing learned")  # fmt: skip
            axes.set_title(f"{name}: {update_device(name).states:,.0f} mean steps wide")
            axes.set(xlabel="crops shown")
            axes.set_ylabel("" if n % COLUMNS else "held-out error, percent")
        handles, labels = grid[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(handles))
    return figure


def spent(study: LearnStudy) -> Figure:
    """What a weight costs a crop, and how far the cells are from what was asked for."""
    runs = [run for run in study.runs if run.params.rule.how != "ideal"]
    with rc_context(figures.STYLE):
        figure = Figure((9.6, 1.6 + 0.35 * max(4, len(runs))))
        left, right = figure.subplots(1, 2)
        for n, run in enumerate(runs):
            per = run.dictionary.atoms.size * max(1, run.crops)
            last = run.curve[-1]
            reads = (last.verify_reads + last.norm_reads) / per
            left.barh(n - 0.2, last.pulses / per, 0.36, color=figures.COLOURS[1], label="" if n else "pulses")
            left.barh(n + 0.2, reads, 0.36, color=figures.COLOURS[0], label="" if n else "reads")
        left.set_yticks(range(len(runs)), [f"{r.params.update_device}, {r.params.rule.how}" for r in runs], fontsize=8)
        left.set(xlabel="a weight and crop")
        left.grid(False, axis="y")
        left.invert_yaxis()
        if runs:
            left.legend()
        for n, name in enumerate(device_names(study)):
            for run in (r for r in runs if r.params.update_device == name):
                style = "-" if run.params.rule.how == "naive" else "--"
                right.plot(run.column("crops"), run.column("cosine"), style, color=figures.COLOURS[n + 3],
                           label=f"{name}, {run.params.rule.how}")  # fmt: skip
        right.set(xlabel="crops shown", ylabel="cosine, cells and asked for", ylim=(None, 1.01))
        if runs:
            right.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def answers(study: LearnStudy) -> Figure:
    """What 12 cells of each device hold while pulsed up, then down, over their nominal range and back."""
    names = device_names(study)
    with rc_context(figures.STYLE):
        figure, grid = _panels(len(names), 2.8)
        for n, (axes, name) in enumerate(zip(grid, names, strict=True)):
            _answer(axes, name, study.params.learn.seed)
            axes.set_ylabel("" if n % COLUMNS else "w in one cell")
    return figure


def _answer(axes: Axes, name: str, seed: int) -> None:
    device = update_device(name)
    cells, rng = Cells.draw(device, (12,), seed, (9,)), stream(seed, Stream.PULSE, 0, 9)
    half = int(np.ceil(device.states))
    each = max(1, half // 100)
    held, shown, sent = cells.low.copy(), [], []
    for n in range(2 * (half // each)):
        held = cells.pulsed(held, np.full(12, each if n < half // each else -each), rng)
        sent.append((n + 1) * each)
        shown.append(cells.shown(held, rng) - cells.reference)
    for line in np.array(shown).T:
        axes.plot(sent, line, lw=0.7, alpha=0.8)
    axes.axhline(0, color=figures.GRID, lw=0.8)
    axes.set(xlabel="pulses: up, then down", ylim=(-2.2, 2.2))
    axes.set_title(f"{name}\n{device.title}")


def kernels_figure(study: LearnStudy) -> Figure:
    """Kernels side by side: the start, digital learning, and every run."""
    rows: list[tuple[str, Array]] = [("start", study.start.atoms), ("digital", study.digital.dictionary.atoms)]
    rows += [(f"{r.params.update_device}\n{r.params.rule.how}", r.dictionary.atoms) for r in study.runs]
    count = min(16, len(study.start.atoms))
    with rc_context(figures.STYLE):
        figure = Figure((9.6, 0.2 + len(rows) * 8.2 / max(8, count)))
        grid = figure.subplots(len(rows), count, squeeze=False)
        for line, (title, atoms) in zip(grid, rows, strict=True):
            for axes, atom in zip(line, atoms[:count], strict=True):
                axes.imshow(figures.picture_rgb(atom, float(np.abs(atom).max())), interpolation="none")
                axes.set(xticks=[], yticks=[])
                axes.grid(False)
            line[0].set_ylabel(title, rotation=0, ha="right", va="center", fontsize=8)
    return figure
