"""The short-stride experiment in a folder: the page, README.md, the paper's figures 3 to 11 drawn again, and tables."""

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from ...explore.papers.configurations import PILOT_SOURCE
from ...explore.papers.short_stride import ShortStride
from ...golden.archive import replacing
from .. import figures
from ..tables import number
from . import short_stride_tables as tables
from .short_stride_pictures import kernels_figure, reconstructions_figure
from .short_stride_plots import clouds_figure, passes_figure, support_figure, training_figure

PAGE, README, TABLE, POINTS = "report.html", "README.md", "table.csv", "points.csv"
_AXES = (
    "On a dark page black is light. A point is a frame of the second or a later pass; an ellipse is 2 sigma of a run; "
    "numbers are lambda. Within a colour lambda rises from left to right."
)
_TILES = (
    "Each kernel on a gray scale of its own, 0 in the middle; the bar below is 8 pixels. (a): four neighbouring "
    "patches of each network, all to one scale."
)
_SEEN = "All on one gray scale, at the threshold of the training or the one nearest to it."
_REACH = (
    "The radius about a kernel's centroid that holds 90 % of its energy, a point a kernel; boxes: quartiles. Dashed: "
    "what it would be were the energy spread evenly over the patch."
)
_SETTLED = (
    "Energy of crops that were never learned from, after each round of learning, as a share of a silent code's. "
    "Filled: the kernels that are used."
)
DRAWN: tuple[tuple[str, str, str, Callable[[ShortStride], Figure | None]], ...] = (
    ("figure-3-kernels.png", "Figure 3 again: kernels by stride, 32 of them", _TILES,
     lambda r: kernels_figure(r, "stride")),
    ("figure-4-reconstructions.png", "Figure 4 again: one frame by these dictionaries", _SEEN,
     lambda r: reconstructions_figure(r, "stride")),
    ("figure-5-clouds.png", "Figure 5 again: error against sparsity, 32 kernels",
     f"Blue: stride 1, green: 2, red: 4, black: 8, magenta: 16. {_AXES}", lambda r: clouds_figure(r, "stride")),
    ("figure-6-kernels.png", "Figure 6 again: kernels by stride, all twice overcomplete", _TILES,
     lambda r: kernels_figure(r, "overcomplete")),
    ("figure-7-reconstructions.png", "Figure 7 again: one frame by these dictionaries", _SEEN,
     lambda r: reconstructions_figure(r, "overcomplete")),
    ("figure-8-clouds.png", "Figure 8 again: error against sparsity, all twice overcomplete",
     f"Blue: stride 1, green: 2, red: 4, black: 8, magenta: 16. {_AXES}", lambda r: clouds_figure(r, "overcomplete")),
    ("figure-9-kernels.png", "Figure 9 again: kernels by patch, stride 4", _TILES,
     lambda r: kernels_figure(r, "patch")),
    ("figure-10-reconstructions.png", "Figure 10 again: one frame by these dictionaries", _SEEN,
     lambda r: reconstructions_figure(r, "patch")),
    ("figure-11-clouds.png", "Figure 11 again: error against sparsity, by patch",
     f"Blue: 8x8, green: 16x16, red: 32x32, black: 64x64. {_AXES}", lambda r: clouds_figure(r, "patch")),
    ("support.png", "How far kernels reach",
     _REACH, lambda r: support_figure(r)),
    ("passes.png", "What a further pass changes",
     "Mean over the frames of how far a frame's error and inactivity are from the same frame's in the pass before.",
     lambda r: passes_figure(r)),
    ("training.png", "How the dictionaries settled",
     _SETTLED,
     lambda r: training_figure(r)),
)  # fmt: skip
"""(file, title, what is to be seen, what draws it) of every figure, in order."""
FILES = frozenset({PAGE, README, TABLE, POINTS, *(name for name, *_ in DRAWN)})
"""All files that `save_page` writes."""


def save_page(out: Path, result: ShortStride, info: dict[str, Any]) -> list[Path]:
    """Write page, README.md, figures and tables into the folder ``out``, each aside and renamed.

    Args:
        out: a folder that exists. info: what the result does not hold, all optional: ``command``, the command that
            made it; ``seconds``, of the whole; ``versions``, of packages by name.

    Returns:
        The files in the order in which they were written: some of `FILES`, for a figure that the result gives nothing
        for (a series without a member, a training that is not known) is left out.

    Raises:
        OSError: a file that cannot be written.
    """
    drawn = {name: figure for name, _, _, draw in DRAWN if (figure := draw(result)) is not None}
    written = []
    for name, figure in drawn.items():
        small_png(figure, out / name)
        written.append(out / name)
    captions = {name: f"{title}. {about}" for name, title, about, _ in DRAWN if name in drawn}
    texts = {
        TABLE: tables.table_csv(result),
        POINTS: tables.points_csv(result),
        README: tables.readme(result, info, captions),
        PAGE: page(result, info, drawn),
    }
    for name, text in texts.items():
        with replacing(out / name) as aside:
            aside.write_text(text, encoding="utf-8")
        written.append(out / name)
    return written


def small_png(figure: Figure, path: Path, dpi: int = 110, colours: int = 96) -> None:
    """A figure as PNG on white of few colours: a fifth of the bytes, for what is kept under version control."""
    buffer = io.BytesIO()
    with rc_context(figures.STYLE):
        FigureCanvasAgg(figure)
        figure.savefig(buffer, format="png", dpi=dpi, facecolor="white")
    with Image.open(buffer) as picture, replacing(path) as aside:
        few = picture.convert("RGB").quantize(colours, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        few.save(aside, format="PNG", optimize=True)


def page(result: ShortStride, info: dict[str, Any], drawn: dict[str, Figure]) -> str:
    """The HTML: opens without a network, follows light and dark."""
    environment = Environment(
        loader=PackageLoader((__package__ or "striate.reports.papers").rpartition(".")[0]),
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(number=number)
    parts = [
        {"id": name.removesuffix(".png"), "title": title, "about": about,
         "svg": _inline(drawn[name], name.removesuffix(".png"))}
        for name, title, about, _ in DRAWN
        if name in drawn
    ]  # fmt: skip
    context = {
        "result": result, "info": info, "parts": parts, "pilot_source": PILOT_SOURCE, "same": tables.SAME,
        "different": tables.DIFFERENT, "criterion": result.training[0].criterion if result.training else "",
        "table": (tables.HEADS, tables.run_rows(result)),
        "pilot": (tables.PILOT_HEADS, tables.pilot_rows(result)),
        "training": (tables.TRAINING_HEADS, tables.training_rows(result)),
        "size": result.frames.frames[0].shape[1:], "motion": _runs_of(result.frames.motion),
    }  # fmt: skip
    text: str = environment.get_template("short_stride.html.j2").render(context)
    return text


def _inline(figure: Figure, name: str) -> str:
    """`figures.svg` for a page that shows one picture in several figures: ids of pictures come from their pixels."""
    return re.sub(r'(\bid="|href="#)(?=image)', rf"\g<1>{name}-", figures.svg(figure, name))


def _runs_of(motion: tuple[str, ...]) -> list[tuple[str, str]]:
    """(frames, motion) with one row for equal neighbours: "0", "1 to 7"."""
    found: list[tuple[int, int, str]] = []
    for n, text in enumerate(motion):
        if found and found[-1][2] == text:
            found[-1] = (found[-1][0], n, text)
        else:
            found.append((n, n, text))
    return [(str(a) if a == b else f"{a} to {b}", text) for a, b, text in found]
