"""The machine's graph as a figure: tiles over the picture they code, what each link carried, the two chains."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, Rectangle

from ..golden.archive import replacing
from ..golden.errors import InputError
from ..sim.mapping.graph import FRONT, Mapping
from ..sim.mapping.resources import Budget
from ..sim.tiling import DIRECTIONS
from .figures import COLOURS, INK, STYLE, Array, picture_rgb, png
from .rundir import write_json

Points = dict[str, npt.NDArray[np.float64]]


def tile_graph(mapping: Mapping, picture: Array | None = None, busy: Array | None = None) -> Figure:
    """Arrows as wide as the events over each link, discs as large as a tile's busy share; feed and drain chains thin.

    Args:
        mapping: with traffic, or without: arrows are then of one width. picture: (C, H, W) to draw under it.
        busy: (T,) share of the frame in which each tile works; None: discs of one size.
    """
    tiling = mapping.plan.tiling
    (height, width), s = tiling.geometry.image, tiling.geometry.stride
    th, tw = (s * side for side in tiling.block)
    side = min(th, tw)
    nodes = {node: data for node, data in mapping.graph.nodes(data=True) if data["kind"] == "tile"}
    at: Points = {n: np.array([tw * (d["column"] + 0.5), th * (d["row"] + 0.5)]) for n, d in nodes.items()}
    at[FRONT] = at["tile0"] - [0.5 * tw + 0.09 * max(height, width), 0]
    with rc_context(STYLE):
        figure = Figure((4.9, 0.25 + 4.6 * height / width))
        axes = figure.subplots()
        if picture is not None:
            rgb = picture_rgb(picture, float(np.abs(picture).max()))
            axes.imshow(rgb, interpolation="none", alpha=0.42, extent=(0, width, height, 0))
        for data in nodes.values():
            corner = (data["column"] * tw, data["row"] * th)
            axes.add_patch(Rectangle(corner, tw, th, fill=False, ec=INK, lw=0.5, ls=":"))
        _chains(axes, mapping, at, side)
        _links(axes, mapping, at, side)
        for node, data in nodes.items():
            share = 0.5 if busy is None else float(busy[data["tile"]])
            axes.add_patch(Circle(tuple(at[node]), side * (0.07 + 0.09 * share), color=COLOURS[0], zorder=3))
            _text(axes, at[node], str(data["tile"]), color="white", fontsize=8)
        _text(axes, at[FRONT], "front", fontsize=7, rotation=90)
        axes.set(xlim=(at[FRONT][0] - 0.05 * width, width + 1), ylim=(height + 1, -1), aspect="equal")
        axes.set_axis_off()
    return figure


def _text(axes: Axes, where: Array, text: str, **style: Any) -> None:
    axes.text(float(where[0]), float(where[1]), text, ha="center", va="center", zorder=4, **style)


def _chains(axes: Axes, mapping: Mapping, at: Points, side: float) -> None:
    """Feed and drain run between the same tiles in opposite directions: two thin lines beside each other."""
    for source, target, kind in mapping.graph.edges(keys=True):
        if kind == "events":
            continue
        across = np.array([0.5, 0.86]) * side * (0.2 if kind == "feed" else 0.26)
        colour = COLOURS[2] if kind == "feed" else COLOURS[4]
        axes.add_patch(
            FancyArrowPatch(
                tuple(at[source] - across), tuple(at[target] - across), arrowstyle="-|>", mutation_scale=5, shrinkA=3,
                shrinkB=3, lw=0.8, color=colour, zorder=1,
            )
        )  # fmt: skip
    for n, (label, colour) in enumerate((("feed", COLOURS[2]), ("drain", COLOURS[4]), ("code events", COLOURS[1]))):
        axes.annotate(
            label, (0.02 + 0.2 * n, 1.0), xycoords="axes fraction", xytext=(0, 3), textcoords="offset points",
            color=colour, fontsize=7.5,
        )  # fmt: skip


def _links(axes: Axes, mapping: Mapping, at: Points, side: float) -> None:
    edges = [(a, b, data) for a, b, data in mapping.graph.edges(data=True) if data["kind"] == "events"]
    most = max((data.get("words", 0) for _, _, data in edges), default=0)
    for source, target, data in edges:
        words = data.get("words")
        if words == 0:
            continue
        share = 0.15 if words is None else words / most
        di, dj = DIRECTIONS[data["link"]]
        across = np.array([-di, dj]) / float(np.hypot(di, dj)) * side * 0.035  # keeps the two directions apart
        axes.add_patch(
            FancyArrowPatch(
                tuple(at[source] + across), tuple(at[target] + across), arrowstyle="-|>",
                mutation_scale=4 + 7 * share, shrinkA=9, shrinkB=9, lw=0.4 + 4.0 * share,
                color=COLOURS[1] if di == 0 or dj == 0 else COLOURS[5], alpha=0.85, zorder=2,
            )
        )  # fmt: skip


FILES = ("graph.json", "graph.png", "graph.svg", "budget.md")
"""What `export` writes."""


def export(folder: Path, mapping: Mapping, figure: Figure, lines: Sequence[str], force: bool = False) -> list[Path]:
    """Write the graph as node-link JSON, PNG and SVG and the budget as text, each aside and renamed.

    Args:
        lines: the budget table (`budget_table`) and what else is to stand in ``budget.md``.

    Raises:
        InputError: a folder that cannot be made; one with other files in it; one with these, unless ``force``.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out {folder} is a file; name a folder")
    there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    if foreign := [name for name in there if name not in FILES]:
        raise InputError(f"--out {folder} holds {foreign[0]}, which no mapping wrote; name another folder")
    if there and not force:
        raise InputError(f"--out {folder} exists and is not empty; --force replaces it, or name another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / FILES[0], mapping.as_json())
        png(figure, folder / FILES[1])
        with rc_context({**STYLE, "svg.hashsalt": "graph"}), replacing(folder / FILES[2]) as aside:
            figure.savefig(aside, format="svg", facecolor="white", metadata={"Date": None})
        with replacing(folder / FILES[3]) as aside:
            aside.write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write to {folder}: {error.strerror}; choose another --out") from None
    return [folder / name for name in FILES]


def budget_table(budget: Budget) -> list[str]:
    """A Markdown table: each memory of a tile, its blocks on all tiles, the totals beside the device."""
    found, device = budget.resources, budget.device
    rows = [
        f"| {m.name} | {m.banks} | {m.words} | {m.bits} | {found.tiles * m.total_bits:,} | {found.tiles * m.blocks} |"
        for m in found.memories
    ]
    return [
        "| memory | banks | words | bits | stored bits, all tiles | blocks, all tiles |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
        f"| {device.name} | needed | there are |",
        "|---|---|---|",
        f"| {device.block_name}s | {found.blocks} | {device.blocks} |",
        f"| multipliers | {found.multipliers} | {device.multipliers} |",
        f"| LUT{device.lut_inputs} (estimated) | {found.lut} | {device.lut} |",
    ]
