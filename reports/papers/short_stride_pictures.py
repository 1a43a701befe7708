"""Figures 3, 4, 6, 7, 9 and 10 of the short-stride paper: kernels as tiles, overlaps, reconstructions of one frame."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ...explore.papers.configurations import CONFIGURATIONS, Configuration, Family
from ...explore.papers.short_stride import ShortStride
from .. import figures

Array = npt.NDArray[np.float64]
LETTERS = "abcdefghijklm"
BAR = 8
"""Pixels of the bar below the kernels."""
LIMIT_PERCENTILE = 99.5
"""Of the frame's absolute values: what is drawn black or white."""


def members(result: ShortStride, family: Family) -> list[Configuration]:
    """The configurations of a result that belong to a series: by rising stride, or patch."""
    asked = {each.name for each in result.configurations}
    found = [each for each in CONFIGURATIONS if family in each.families and each.name in asked]
    return sorted(found, key=lambda each: each.patch if family == "patch" else each.stride)


def overcompleteness(each: Configuration) -> str:
    """ "2x over", "1/8 under" in the paper's words."""
    share = each.overcompleteness
    return f"{share}x overcomplete" if share >= 1 else f"{share} undercomplete"


def label(each: Configuration, family: Family) -> str:
    """What tells a configuration from the others of its series."""
    if family == "patch":
        return f"{each.patch}x{each.patch} patches"
    if family == "stride":
        return f"stride {each.stride}, {overcompleteness(each)}"
    return f"stride {each.stride}, {each.kernels} kernels"


def mosaic(atoms: Array) -> npt.NDArray[np.uint8]:
    """(K, C, p, p) kernels as gray tiles on white, each on its own scale, 0 in the middle.

    About twice as wide as high, 2^n columns. The gaps are as wide as it takes to see them in a small figure.
    """
    count, patch = len(atoms), atoms.shape[-1]
    columns = min(count, 2 ** math.ceil(math.log2(2 * count) / 2))
    gap = max(1, patch // 16, 2 if count > 128 else 1)
    pitch = patch + gap
    sheet = np.full((-(-count // columns) * pitch + gap, columns * pitch + gap), 255, np.uint8)
    for n, atom in enumerate(atoms.mean(axis=1)):
        y, x = (n // columns) * pitch + gap, (n % columns) * pitch + gap
        scaled = 0.5 + 0.5 * atom / (np.abs(atom).max() or 1.0)
        sheet[y : y + patch, x : x + patch] = np.rint(255 * scaled)
    return sheet


def kernels_figure(result: ShortStride, family: Family) -> Figure | None:
    """(a) how the patches overlap, then the kernels of each configuration of a series; None for an empty one."""
    shown = members(result, family)
    if not shown:
        return None
    sheets = [mosaic(np.asarray(result.dictionaries[each.name].atoms, np.float64)) for each in shown]
    rows = -(-(len(shown) + 1) // 2)
    with rc_context({**figures.STYLE, "axes.grid": False}):
        figure = Figure((8.4, 2.45 * rows))
        axes = figure.subplots(rows, 2, squeeze=False).ravel()
        _overlaps(axes[0], shown, family)
        for n, each in enumerate(shown, 1):
            _bare(axes[n], f"({LETTERS[n]}) {label(each, family)}")
            height, width = sheets[n - 1].shape
            axes[n].imshow(sheets[n - 1], cmap="gray", vmin=0, vmax=255, interpolation="none", aspect="equal")
            # Room of the shape 2 : 1 for every sheet: a common layout whatever the number of kernels.
            across = max(width, 2 * height)
            axes[n].set(xlim=(width / 2 - across / 2, width / 2 + across / 2), ylim=(height + 0.05 * across, -0.5))
            left, below = width / 2 - min(width, across) / 2, height + 0.03 * across
            axes[n].plot([left, left + BAR], [below, below], color=figures.INK, lw=2.2, solid_capstyle="butt")
        for empty in axes[len(shown) + 1 :]:
            empty.set_visible(False)
    return figure


def _overlaps(axes: Axes, shown: Sequence[Configuration], family: Family) -> None:
    """Four neighbouring patches of each configuration, side by side to one scale."""
    _bare(axes, "(a) four neighbouring patches, to scale")
    at, tallest = 0.0, max(each.patch + each.stride for each in shown)
    for n, each in enumerate(shown):
        for dy in (0, 1):
            for dx in (0, 1):
                corner = (at + dx * each.stride, dy * each.stride)
                axes.add_patch(Rectangle(corner, each.patch, each.patch, fc=figures.COLOURS[0], alpha=0.16, lw=0))
                axes.add_patch(Rectangle(corner, each.patch, each.patch, fill=False, ec=figures.INK, lw=0.6))
        across = each.patch + each.stride
        name = f"({LETTERS[n + 1]})"
        axes.text(at + across / 2, -0.06 * tallest, name, ha="center", va="bottom", fontsize=8)
        at += across + 0.18 * tallest
    axes.set(xlim=(-1, at - 0.18 * tallest + 1), ylim=(tallest + 1, -0.28 * tallest), aspect="equal")


def reconstructions_figure(result: ShortStride, family: Family) -> Figure | None:
    """(a) the frame, then its reconstruction by each configuration, all on one scale; None without any."""
    shown = [each for each in members(result, family) if each.name in result.reconstructions]
    if not shown:
        return None
    frame = result.frames.frames[result.shown_frame].mean(axis=0)
    limit = float(np.percentile(np.abs(frame), LIMIT_PERCENTILE))
    pictures = [("(a) the frame, filtered", frame)]
    for n, each in enumerate(shown, 1):
        run = result.run(each.name, result.shown_threshold)
        assert run is not None
        point = next(p for p in run.points if (p.pass_number, p.frame) == (run.passes, result.shown_frame))
        text = f"error {point.percent_error:.1f} %, inactive {point.percent_inactive:.1f} %"
        pictures.append((f"({LETTERS[n]}) {label(each, family)}\n{text}", result.reconstructions[each.name]))
    rows = -(-len(pictures) // 3)
    with rc_context({**figures.STYLE, "axes.grid": False}):
        figure = Figure((8.4, 3.15 * rows * frame.shape[0] / frame.shape[1]))
        axes = figure.subplots(rows, 3, squeeze=False).ravel()
        for place, (title, picture) in zip(axes, pictures, strict=False):
            place.imshow(figures.picture_rgb(picture[None], limit), interpolation="none")
            _bare(place, title)
        for empty in axes[len(pictures) :]:
            empty.set_visible(False)
    return figure


def _bare(axes: Axes, title: str) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_title(title, fontsize=9)
