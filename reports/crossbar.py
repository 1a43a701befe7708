"""Figures of one run on crossbars, and of the digital machine beside it. Plain data in, a matplotlib `Figure` out."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from ..golden.conv import synthesis
from ..sim.crossbar.placement import Placement
from ..sim.design import Design
from . import drawn, figures
from .crossbar_tables import short_title
from .drawn import Drawn
from .figures import COLOURS, INK, STYLE, Array
from .rundir import RunRecord

GROUPS = ("cells", "drivers", "sample-and-hold", "adc", "arithmetic", "digital", "memory", "links", "idle")
"""Of the components of both machines, in the order in which bars stack them."""
KERNELS_SHOWN = 8
DRAWN_ARRAYS = 16


def draw(record: RunRecord) -> Drawn:
    """Every figure of a run's page, whatever it ran on."""
    if record.info["on"] == "crossbar":
        return draw_crossbar(record)
    found = drawn.draw(record)
    if record.crossbar is not None:
        found["beside"] = beside(record.crossbar.info)
    return found


def draw_crossbar(record: RunRecord) -> Drawn:
    """The figures of a run on crossbars, by name."""
    trace, info, weights = record.trace, record.info, record.encoding["dictionary"]
    image, code, atoms = record.real("input"), record.real("code"), record.real("dictionary")
    by_digital = synthesis(code, atoms, record.design.network.stride, image.shape[1:])
    photograph = trace["photograph"] / 255.0 if "photograph" in trace else None
    made = record.encoding["programmed"] * 2.0 ** float(record.encoding["frac_weight"])
    return {
        "pictures": pictures(photograph, image, by_digital, trace["programmed_picture"]),
        "kernels": figures.kernels(atoms, np.count_nonzero(code, axis=(1, 2))),
        "code": figures.code_map(code),
        "convergence": convergence(trace),
        "converters": converters(trace, record.design),
        "programmed": programmed(weights, made),
        "arrays": arrays(record.design, info["arrays"]),
        "beside": beside(info),
    }


# ---- figures ---------------------------------------------------------------------------------------------------------
def pictures(photograph: Array | None, image: Array, by_digital: Array, by_programmed: Array) -> Figure:
    """What goes in, the code decoded by both dictionaries, and what the digital one leaves: (C, H, W), one scale."""
    limit = float(np.abs(image).max()) or 1.0
    shown = [
        ("centre-surround filtered" if photograph is not None else "input", figures.picture_rgb(image, limit)),
        ("by the digital dictionary", figures.picture_rgb(by_digital, limit)),
        ("by the programmed arrays", figures.picture_rgb(by_programmed, limit)),
        ("residual, digital dictionary", figures.picture_rgb(image - by_digital, limit)),
    ]
    if photograph is not None:
        shown.insert(0, ("photograph", figures.picture_rgb(photograph)))
    with rc_context(STYLE):
        figure = Figure((2.4 * len(shown), 0.3 + 2.3 * image.shape[1] / image.shape[2]))
        for axes, (title, pixels) in zip(np.atleast_1d(figure.subplots(1, len(shown))), shown, strict=True):
            _picture(axes, pixels, title)
    return figure


def _picture(axes: Axes, pixels: Any, title: str = "") -> None:
    axes.imshow(pixels, interpolation="none")
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if title:
        axes.set_title(title)


def convergence(trace: Mapping[str, Any]) -> Figure:
    """Percent error as the loop reads it and by the digital dictionary, active codes, over the steps."""
    error, active = trace["percent_error"], trace["active"]
    steps = np.arange(1, len(error) + 1)
    with rc_context(STYLE):
        figure = Figure((9.6, 2.7))
        left, right = figure.subplots(1, 2)
        mark = "o" if len(steps) == 1 else ""
        left.plot(steps, trace["digital_error"], color=COLOURS[0], marker=mark, label="by the digital dictionary")
        left.plot(steps, error, color=COLOURS[1], marker=mark, lw=1.2, label="as the loop reads it, by the arrays")
        left.set(xlabel="step", ylabel="percent error", ylim=(0, 1.05 * float(np.nanmax([100.0, error.max()]))))
        left.legend()
        right.plot(steps, active, color=COLOURS[0], marker=mark, label="active codes")
        right.plot(steps, trace["code_events"], color=COLOURS[2], marker=mark, lw=1, label="codes that changed")
        right.set(xlabel="step", ylim=(0, None))
        right.legend()
        for axes in (left, right):
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def converters(trace: Mapping[str, Any], design: Design) -> Figure:
    """Conversions and clipped ones in each step, and the exponents of the ADC ranges."""
    steps = np.arange(1, len(trace["conversions"]) + 1)
    with rc_context(STYLE):
        figure = Figure((9.6, 2.5))
        left, right = figure.subplots(1, 2)
        left.plot(steps, trace["conversions"] / 1e3, color=COLOURS[0], label="thousand conversions")
        clipped = trace["adc_saturations"]
        left.set(xlabel="step", ylabel="thousand conversions", ylim=(0, None))
        if clipped.any():
            other = left.twinx()
            other.vlines(steps, 0, clipped, color=COLOURS[3], lw=1.2)
            other.set_ylabel("clipped", color=COLOURS[3])
            other.set_ylim(0, None)
            other.grid(False)
            other.spines["right"].set_visible(True)
        for name, key, colour in (("forward", "forward_exponent", 1), ("backward", "backward_exponent", 4)):
            right.step(steps, trace[key], where="mid", color=COLOURS[colour], label=name)
        bits = design.crossbar.adc_bits
        right.set(xlabel="step", ylabel="exponent e of the step 2^e")
        right.set_title(f"{bits} bits, range {design.crossbar.adc_range}" if bits else "lossless: e is always 0")
        right.legend()
        for axes in (left, right):
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        right.yaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        if not bits:
            right.set_ylim(-0.5, 1.5)
    return figure


def programmed(wanted: Array, made: Array) -> Figure:
    """Weights as the arrays have them against those wanted, and kernels of the first tile.

    Args:
        wanted: (K, C, p, p) integers. made: (T, K, C, p, p) in the same units.
    """
    with rc_context(STYLE):
        figure = Figure((9.6, 5.4))
        halves: Any = figure.subfigures(2, 1)
        _weights(halves[0], wanted, made)
        _kernels(halves[1], wanted, made[0])
    return figure


def _weights(figure: SubFigure, wanted: Array, made: Array) -> None:
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.25))
    x = np.broadcast_to(wanted, made.shape).ravel()
    error = np.round(made.ravel() - x, 9)
    top = float(max(np.abs(x).max(initial=1.0), np.abs(made).max(initial=1.0)))
    if error.any():
        left.hexbin(x, made.ravel(), gridsize=60, cmap="Blues", norm=LogNorm(), linewidths=0, rasterized=True)
    else:
        left.plot(x, made.ravel(), ".", ms=2, color=COLOURS[0])
    left.plot([-top, top], [-top, top], color=COLOURS[7], lw=0.8)
    left.set(xlabel="weight wanted, units", ylabel="as the arrays have it", aspect="equal")
    right.hist(error, bins=101, range=None if error.any() else (-1, 1), color=COLOURS[0], log=True)
    right.set(xlabel="error of a weight, units", ylabel="weights")
    right.set_title(f"mean {_near(error.mean())}, standard deviation {error.std():.2f} of {np.abs(x).max():.0f} units")


def _near(value: float) -> str:
    """Two places, without a minus before zero."""
    return f"{value:.2f}".replace("-0.00", "0.00")


def _kernels(figure: SubFigure, wanted: Array, made: Array) -> None:
    count = min(len(wanted), KERNELS_SHOWN)
    grid = figure.subplots(3, count, squeeze=False)
    difference = made - wanted
    worst = float(np.abs(difference[:count]).max()) or 1.0
    for n in range(count):
        limit = float(np.abs(wanted[n]).max()) or 1.0
        for row, (values, scale) in enumerate(((wanted[n], limit), (made[n], limit), (difference[n], worst))):
            _picture(grid[row, n], figures.picture_rgb(values, scale))
    for axes, name in zip(grid[:, 0], ("wanted", "programmed", f"difference\n(\u00b1{worst:.1f} units)"), strict=True):
        axes.set_ylabel(name, rotation=0, ha="right", va="center")


def arrays(design: Design, facts: Mapping[str, Any]) -> Figure:
    """The arrays of one tile to scale, each beside the largest that the design allows."""
    place, c, planes = Placement.of(design), design.crossbar, facts["planes"]
    extra = 1 if c.mapping == "offset" else 0
    built = [
        (high - low + extra, right - left + extra)
        for low, high in place.row_parts
        for left, right in place.column_parts
        for _ in range(planes)
    ]
    shown = built[:DRAWN_ARRAYS]
    gap, across = 0.12 * max(c.rows, c.columns), min(len(shown), 8)
    down = -(-len(shown) // across)
    wide, tall = across * (c.columns + gap), down * (c.rows + gap)
    with rc_context(STYLE):
        figure = Figure((4.6, float(np.clip(4.4 * tall / wide, 1.2, 4.4))))
        axes = figure.subplots()
        for n, (rows, columns) in enumerate(shown):
            x, y = n % across * (c.columns + gap), n // across * (c.rows + gap)
            axes.add_patch(Rectangle((x, y), c.columns, c.rows, fc="none", ec=COLOURS[7], lw=0.8, ls=":"))
            axes.add_patch(Rectangle((x, y), columns, rows, fc=COLOURS[n % planes % len(COLOURS)], ec="none"))
        axes.set(xlim=(-gap, wide), ylim=(tall, -gap), aspect="equal", xticks=[], yticks=[])
        axes.grid(False)
        for spine in axes.spines.values():
            spine.set_visible(False)
    return figure


def beside(info: Mapping[str, Any]) -> Figure:
    """Energy of a frame by component and its time: the crossbars, and the digital machine at the same error."""
    bars = [(f"crossbars, {info['steps']} steps", info["costs"][0])]
    early = info.get("fewest_steps")
    if early and early["steps"] < info["steps"]:
        bars.append((f"crossbars, {early['steps']} steps", early["costs"][0]))
    bars += [(short_title(cost["title"]), cost) for cost in info.get("machine", {}).get("costs", [])]
    names = [group for group in GROUPS if any(group in cost["groups"] for _, cost in bars)]
    with rc_context(STYLE):
        figure = Figure((9.6, 1.1 + 0.42 * len(bars)))
        left, right = figure.subplots(1, 2, width_ratios=(2.1, 1), sharey=True)
        seen: set[str] = set()
        for place, (_, cost) in enumerate(bars):
            start = 0.0
            for group in names:
                typical = cost["groups"].get(group, [0, 0, 0])[1] * 1e-9
                if typical:
                    label = None if group in seen else ("ADC" if group == "adc" else group)
                    left.barh(place, typical, left=start, color=COLOURS[GROUPS.index(group)], height=0.55, label=label)
                    seen.add(group)
                start += typical
            low, _, high = (value * 1e-9 for value in cost["energy_pj"])
            left.errorbar(start, place, xerr=[[start - low], [high - start]], color=INK, capsize=3, lw=1)
            right.barh(place, cost["latency_ms"], color=COLOURS[7], height=0.55)
            right.annotate(f" {cost['latency_ms']:.3g}", (cost["latency_ms"], place), va="center", fontsize=8)
        left.set(xlabel="millijoule a frame (modelled)", xlim=(0, None))
        left.set_yticks(range(len(bars)), [name for name, _ in bars])
        left.xaxis.set_major_formatter(lambda value, _: f"{value:,.4g}")
        right.set(xlabel="milliseconds a frame (modelled)", xlim=(0, 1.2 * max(c["latency_ms"] for _, c in bars)))
        for axes in (left, right):
            axes.grid(False, axis="y")
        left.invert_yaxis()
        figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=9, handlelength=1)
    return figure
