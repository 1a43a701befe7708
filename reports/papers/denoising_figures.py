"""Figures of the denoising experiment: crops, gains against noise, error against sparsity, filters."""

from collections.abc import Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from ...explore.papers.denoising import METHODS, PAPER_INPUT_DB, PAPER_OUTPUT_DB
from ...explore.papers.denoising_run import CODED_P, Denoising, Example
from ..figures import COLOURS, INK, STYLE, _bare, kernels, picture_rgb


def crops_figure(examples: Sequence[Example]) -> Figure:
    """A row an example: clean, noisy, denoised on the clean crop's range; what was taken away on a scale of its own."""
    with rc_context(STYLE):
        figure = Figure((9.6, 2.55 * len(examples)))
        grid = figure.subplots(len(examples), 4, squeeze=False)
        for row, found in zip(grid, examples, strict=True):
            removed = found.noisy - found.denoised
            low, span = float(found.clean.min()), float(np.ptp(found.clean))
            shown = (
                (f"{found.crop.picture} at {found.crop.y},{found.crop.x}", picture_rgb((found.clean - low) / span)),
                (f"noisy, {found.noisy_db:.2f} dB", picture_rgb((found.noisy - low) / span)),
                (f"one layer, {found.denoised_db:.2f} dB", picture_rgb((found.denoised - low) / span)),
                ("taken away", picture_rgb(removed, 4 * float(removed.std()))),
            )
            for axes, (title, pixels) in zip(row, shown, strict=True):
                axes.imshow(pixels, interpolation="none")
                _bare(axes, title)
    return figure


def gains_figure(result: Denoising) -> Figure:
    """Mean gain of the held-out pictures by method over the SNR of the input, and the paper's number."""
    with rc_context(STYLE):
        figure = Figure((6.8, 3.9))
        axes = figure.subplots()
        levels = sorted(result.plan.levels_db)
        axes.axhline(0.0, color=INK, lw=0.6)
        for n, (name, method) in enumerate(METHODS.items()):
            means = [result.mean_gain(name, level) for level in levels]
            if any(mean is not None for mean in means):
                values = [np.nan if mean is None else mean for mean in means]
                axes.plot(levels, values, marker="o", ms=4, color=COLOURS[n], label=method.title,
                          ls="-" if method.kind == "layer" else (0, (3, 2)))  # fmt: skip
        axes.plot([PAPER_INPUT_DB], [PAPER_OUTPUT_DB - PAPER_INPUT_DB], marker="*", ms=11, ls="", color=INK,
                  label="the paper, its image")  # fmt: skip
        axes.set(xlabel="SNR of the input, dB", ylabel="SNR won, dB")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", fontsize=8)
    return figure


def sparsity_figure(result: Denoising) -> Figure:
    """Active codes against error of contrast-normalised crops without noise, a line a picture and exponent."""
    with rc_context(STYLE):
        figure = Figure((6.8, 3.9))
        axes = figure.subplots()
        for n, p in enumerate(CODED_P):
            for m, picture in enumerate(dict.fromkeys(row.picture for row in result.sparse)):
                curve = sorted((r.percent_error, r.percent_active) for r in result.sparse
                               if r.p == p and r.picture == picture and r.percent_active > 0)  # fmt: skip
                if curve:
                    axes.plot(*zip(*curve, strict=True), color=COLOURS[n], marker="o", ms=3, lw=1.1,
                              label=f"p = {p:g}" if m == 0 else None)  # fmt: skip
        axes.set(xlabel="percent error of the contrast-normalised crop", ylabel="active codes, %", yscale="log")
        if axes.lines:
            axes.legend()
    return figure


def filters_figure(result: Denoising) -> Figure:
    """The filters, each on its own scale."""
    return kernels(result.filters.atoms)
