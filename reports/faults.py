"""A study of bit flips: its JSON object, its table, its figures and its page."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from ..golden.archive import replacing
from ..sim.design import Design
from ..sim.fault_study import STATE, TOLERANCE, Frame, Refreshed, Strike, Study, draw_state, row_bits
from ..sim.run import Run
from . import figures, rundir, tables
from .tables import Lines, number

Array = npt.NDArray[np.float64]
NAMES = {
    "u": "membranes U", "d": "drives D", "r": "residual R", "s": "sent residual r~",
    "gather weight": "weights, gather part", "scatter weight": "weights, scatter part", "link": "events on links",
}  # fmt: skip
TOP_BITS = 4
"""Highest bits of a word, whose flips the curves are of: the lower ones seldom show."""


@dataclass(frozen=True)
class Findings:
    """What a study found, for its report.

    Args:
        refresh: the interval that the strikes were compared with; 0: none. flips_in_frame: of ``refreshed``.
        pictures: reconstructions of the whole frame under many flips: without faults, without refresh, with it.
        rtl: what the check against the RTL found, None where there was none.
    """

    study: Study
    refresh: int
    refreshed: tuple[Refreshed, ...]
    flips_in_frame: int
    pictures: dict[str, Array]
    rtl: dict[str, Any] | None = None


def pictures(frame: Frame, flips: int, seed: int, refresh: int, clean: Run) -> dict[str, Array]:
    """Reconstructions (C, H, W) of one frame under so many flips, beside that without (``clean``)."""
    faults = draw_state(frame.plan, np.random.default_rng([seed, 0]), flips, frame.steps)
    shown = {"no flips": clean.reconstruction}
    for n in dict.fromkeys((0, refresh)):
        run = frame.whole(faults, n)
        name = f"{flips} flips, refresh every {n} steps" if n else f"{flips} flips"
        shown[f"{name}: {run.percent_error(frame.picture):.1f} %"] = run.reconstruction
    return shown


def faults_json(found: Findings, seed: int) -> dict[str, Any]:
    """The JSON keys of a study."""
    study = found.study
    clean = next((r for r in found.refreshed if r.refresh == 0), None)
    return {
        "on": "faults",
        "flips": len(study.strikes[0]),
        "tolerance_points": TOLERANCE,
        "seed": seed,
        "percent_error": float(study.clean[-1]),
        "memories": study.by_row(0),
        "refresh": found.refresh or None,
        "memories_refreshed": study.by_row(found.refresh) if found.refresh else None,
        "flips_in_frame": found.flips_in_frame,
        "intervals": [
            {
                "refresh": r.refresh,
                "frames": len(r.percent_error),
                "percent_error_floor": r.floor,
                "percent_error_end": float(r.mean[-1]),
                "cycles": r.cycles,
                "energy_pj": r.energy_pj.as_list(),
                "cycles_ratio": None if clean is None else r.cycles / clean.cycles,
                "energy_ratio": None if clean is None else r.energy_pj.typical / clean.energy_pj.typical,
            }
            for r in found.refreshed
        ],
        "rtl": found.rtl,
    }


HEADS = ["flips in", "flips", "unseen", "healed", "persisted", "latent", "error before %", "after %", "worst %",
         "steps to heal"]  # fmt: skip


def rows_of(memories: dict[str, dict[str, Any]]) -> list[list[str]]:
    """The table of `Study.by_row`, a row a memory."""
    return [
        [NAMES[row], *(number(m[key]) for key in ("flips", "unseen", "healed", "persisted", "latent",
                                                  "percent_error_before", "percent_error_after",
                                                  "percent_error_worst")), number(m["steps_to_heal"], 0)]
        for row, m in memories.items()
    ]  # fmt: skip


INTERVAL_HEADS = ["refresh every", "error floor %", "at the end %", "cycles", "energy, modelled"]


def interval_rows(info: dict[str, Any]) -> list[list[str]]:
    """The table of refresh intervals: what is left of the error, and what it costs."""
    return [
        [f"{r['refresh']} steps" if r["refresh"] else "never", number(r["percent_error_floor"]),
         number(r["percent_error_end"]), f"{r['cycles']:,} ({_more(r['cycles_ratio'])})",
         f"{tables.si(r['energy_pj'][1] * 1e-12, 'J')} ({_more(r['energy_ratio'])})"]
        for r in info["intervals"]
    ]  # fmt: skip


def _more(ratio: float | None) -> str:
    return tables.DASH if ratio is None else f"{100 * (ratio - 1):+.1f} %"


def faults_lines(info: dict[str, Any]) -> list[str]:
    """The tables of a study on a terminal."""
    lines = _aligned(HEADS, rows_of(info["memories"]))
    if info["memories_refreshed"] is not None:
        rows = rows_of(info["memories_refreshed"])
        lines += ["", f"with a refresh every {info['refresh']} steps", *_aligned(HEADS, rows)]
    return [*lines, "", f"{info['flips_in_frame']} flips a frame in U, D, R and r~",
            *_aligned(INTERVAL_HEADS, interval_rows(info))]  # fmt: skip


def rtl_lines(info: dict[str, Any]) -> Lines:
    """What the check against the RTL came to."""
    rtl = info["rtl"]
    if rtl is None:
        return []
    verdict = "equal in every word and cycle" if rtl["passed"] else "NOT equal"
    compared = f"{rtl['frames']} frames, {rtl['words_compared']:,} words, {rtl['cycles']:,} cycles"
    return [("RTL", f"{verdict}: {compared}, {rtl['faults']['applied']} flips")]


def _aligned(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[n]) for row in (heads, *rows)) for n in range(len(heads))]

    def line(row: Sequence[str]) -> str:
        return "  ".join(f"{text:{'>' if n else '<'}{widths[n]}}" for n, text in enumerate(row))

    return [line(row) for row in (heads, *rows)]


# ---- figures ---------------------------------------------------------------------------------------------------------
def curves(study: Study, refresh: int) -> Figure:
    """Mean error above the unharmed frame against the steps since the flip, of the highest bits, one panel a row."""
    rows = study.rows
    with rc_context(figures.STYLE):
        columns = 4 if len(rows) > 4 else len(rows)
        figure = Figure((9.6, 2.1 * -(-len(rows) // columns)))
        grid = figure.subplots(-(-len(rows) // columns), columns, squeeze=False, sharex=True)
        for n, axes in enumerate(grid.ravel()):
            axes.set_visible(n < len(rows))
            if n < len(rows):
                _curve(axes, study, rows[n], refresh)
                axes.set_title(NAMES[rows[n]])
        for axes in grid[:, 0]:
            axes.set_ylabel("points of error")
        for axes in grid[-1]:
            axes.set_xlabel("steps after the flip")
        handles, labels = grid[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=3)
    return figure


def _curve(axes: Axes, study: Study, row: str, refresh: int) -> None:
    width = row_bits(study.plan, row)
    bits = range(width) if row == "link" else range(width - TOP_BITS, width)
    for n in dict.fromkeys((0, refresh)):
        length = len(study.clean) // 2
        strikes = [s for s in study.of(row, n, bits) if len(s.apart) >= length]
        if not strikes:  # an empty panel would look like an error of 0
            if not axes.texts:
                axes.text(0.5, 0.5, "no flip of these bits\nearly enough", ha="center", transform=axes.transAxes)
            continue
        apart = np.stack([s.apart[:length] for s in strikes])
        colour, label = (figures.COLOURS[0], f"refresh every {n} steps") if n else (figures.COLOURS[1], "no refresh")
        axes.plot(np.arange(length), apart.mean(axis=0), color=colour, label=label)
        axes.fill_between(np.arange(length), *np.quantile(apart, (0.1, 0.9), axis=0), color=colour, alpha=0.15, lw=0)


def by_bit(study: Study, refresh: int) -> Figure:
    """Mean |error above the unharmed frame| at the end, by row and bit; without refresh and with it."""
    kinds = list(dict.fromkeys((0, refresh)))
    rows, most = study.rows, max(row_bits(study.plan, row) for row in study.rows)
    with rc_context(figures.STYLE):
        figure = Figure((9.6, 0.7 + 0.28 * len(rows) * len(kinds) + 0.3 * len(kinds)))
        grid = figure.subplots(len(kinds), 1, squeeze=False, sharex=True)[:, 0]
        for axes, n in zip(grid, kinds, strict=True):
            table = np.full((len(rows), most), np.nan)
            for at, row in enumerate(rows):
                for bit in range(row_bits(study.plan, row)):
                    strikes = study.of(row, n, [bit])
                    if strikes:
                        table[at, bit] = np.mean([abs(s.apart[-1]) for s in strikes])
            shown = axes.imshow(np.maximum(table, 0.01), norm=LogNorm(0.01, 20), cmap="magma_r", aspect="auto")
            axes.set_yticks(range(len(rows)), [NAMES[row] for row in rows])
            axes.grid(False)
            axes.set_title(f"refresh every {n} steps" if n else "no refresh", fontsize=9, loc="right")
        grid[-1].set(xlabel="bit of the word (of an event on a link: k, i, j, dy from the lowest on)")
        grid[-1].set_xticks(range(most))
        figure.colorbar(shown, ax=list(grid), label="points of error at the end", pad=0.01)
    return figure


def intervals_figure(refreshed: Sequence[Refreshed], flips: int) -> Figure:
    """Error over the steps of frames under flips, by refresh interval; the floor against its price."""
    with rc_context(figures.STYLE):
        figure = Figure((9.6, 2.9))
        left, right = figure.subplots(1, 2, width_ratios=(1.35, 1))
        for n, r in enumerate(refreshed):
            label = f"every {r.refresh}" if r.refresh else "no refresh"
            left.plot(np.arange(1, len(r.mean) + 1), r.mean, color=figures.COLOURS[n], label=label, lw=1.2)
        last = np.concatenate([r.mean[len(r.mean) // 4 :] for r in refreshed])
        left.set(xlabel="step", ylabel="percent error", ylim=(last.min() - 0.3, last.max() + 0.5))
        left.set_title(f"{flips} flips a frame in U, D, R and r~, mean of {len(refreshed[0].percent_error)} frames")
        left.legend(ncols=2)
        base = refreshed[0]
        cycles = [100 * (r.cycles / base.cycles - 1) for r in refreshed]
        energy = [100 * (r.energy_pj.typical / base.energy_pj.typical - 1) for r in refreshed]
        floor = [r.floor for r in refreshed]
        right.plot(cycles, floor, "o-", color=figures.COLOURS[0], ms=4, label="cycles, exact")
        right.plot(energy, floor, "s--", color=figures.COLOURS[1], ms=4, label="energy, modelled")
        for r, x, y in zip(refreshed, cycles, floor, strict=True):
            right.annotate(str(r.refresh or "never"), (x, y), xytext=(4, 4), textcoords="offset points", fontsize=8)
        right.set(xlabel="percent more than without refresh", ylabel="error floor, percent")
        right.legend()
    return figure


def pictures_figure(shown: dict[str, Array]) -> Figure:
    """Reconstructions side by side on one scale."""
    limit = float(max(np.abs(picture).max() for picture in shown.values())) or 1.0
    shape = next(iter(shown.values())).shape
    with rc_context(figures.STYLE):
        figure = Figure((3.2 * len(shown), 0.4 + 3.1 * shape[1] / shape[2]))
        for axes, (title, picture) in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown.items(), strict=True):
            axes.imshow(figures.picture_rgb(picture, limit), interpolation="none")
            axes.set(xticks=[], yticks=[])
            axes.grid(False)
            axes.set_title(title)
    return figure


def overview(study: Study, refresh: int) -> Figure:
    """`curves` of U, D, R and r~ on one strip."""
    rows = [row for row in STATE if row in study.rows]
    with rc_context(figures.STYLE):
        figure = Figure((9.6, 2.2))
        for axes, row in zip(figure.subplots(1, len(rows), squeeze=False)[0], rows, strict=True):
            _curve(axes, study, row, refresh)
            axes.set(title=NAMES[row], xlabel="steps after the flip")
        figure.axes[0].set_ylabel("points of error")
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


# ---- the folder ------------------------------------------------------------------------------------------------------
def save_faults(folder: Path, info: dict[str, Any], design: Design, found: Findings) -> None:
    """Write run.json, design.toml, faults.png and report.html into a folder."""
    rundir.write_json(folder / "run.json", info)
    design.dump(folder / "design.toml")
    figures.png(overview(found.study, found.refresh), folder / "faults.png")
    with replacing(folder / "report.html") as aside:
        aside.write_text(page(info, design, found), encoding="utf-8")


def page(info: dict[str, Any], design: Design, found: Findings) -> str:
    """The HTML of a study: opens without a network."""
    environment = Environment(
        loader=PackageLoader(__package__ or "striate.reports"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(number=number)
    drawn = {
        "pictures": pictures_figure(found.pictures),
        "curves": curves(found.study, found.refresh),
        "bits": by_bit(found.study, found.refresh),
        "intervals": intervals_figure(found.refreshed, found.flips_in_frame),
    }
    text: str = environment.get_template("faults.html.j2").render(
        info=info, design=design, title=Path(str(info["picture"])).name, heads=HEADS, rows=rows_of(info["memories"]),
        rows_refreshed=rows_of(info["memories_refreshed"]) if info["memories_refreshed"] else [],
        interval_heads=INTERVAL_HEADS, intervals=interval_rows(info), rtl=dict(rtl_lines(info)).get("RTL"),
        svg={name: figures.svg(figure, f"faults-{name}") for name, figure in drawn.items()}, top_bits=TOP_BITS,
        design_text=design.to_toml(),
    )  # fmt: skip
    return text


__all__ = ["Findings", "Strike", "faults_json", "faults_lines", "page", "pictures", "rtl_lines", "save_faults"]
