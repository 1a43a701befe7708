"""All figures of a run, from its run directory: what its data allows."""

from collections.abc import Mapping as MappingOf
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ..sim.mapping.graph import Mapping
from ..sim.plan import Plan
from ..sim.timing import Phase
from . import figures
from .graph import tile_graph
from .ranges import range_figure
from .rundir import RunRecord

_PHASES = tuple(phase.name.lower() for phase in Phase)
_WAITING = "waiting for a token in scatter"
_TILES_SHOWN, _STEPS_SHOWN = 32, 3  # of the timeline
Drawn = dict[str, Figure]


def write_figures(folder: Path, drawn: Drawn) -> list[Path]:
    """Figures as PNG files in a folder."""
    written = []
    for name, figure in drawn.items():
        written.append(folder / f"{name}.png")
        figures.png(figure, written[-1])
    return written


def _reconstruction(record: RunRecord) -> figures.Array:
    """Phi y over the image, in units of the image."""
    return np.asarray(record.real("input") - record.real("residual"))


def draw(record: RunRecord) -> Drawn:
    """Every figure that the run's data allows, by name."""
    trace, design, info = record.trace, record.design, record.info
    image, code = record.real("input"), record.real("code")
    label = "float64" if info["on"] == "golden" else "fixed point"
    curves = {label: (trace["percent_error"], trace["active"])}
    photograph = trace["photograph"] / 255.0 if "photograph" in trace else None
    drawn: Drawn = {
        "pictures": figures.panel(photograph, image, _reconstruction(record), record.real("residual")),
        "kernels": figures.kernels(record.real("dictionary"), np.count_nonzero(code, axis=(1, 2))),
        "code": figures.code_map(code),
    }
    golden = record.golden
    if golden is not None:
        curves["float64"] = (golden["percent_error"], golden["active"])
        drawn["float_against_fixed"] = figures.float_against_fixed(
            golden["code"],
            code,
            golden["residual"],
            record.real("residual"),
            2.0 ** -float(record.encoding["frac_code"]),
        )
    drawn["convergence"] = figures.convergence(curves)
    if "code_events" in trace and trace["code_events"].any():
        series = {
            "residual events": trace["residual_events"],
            "code events": trace["code_events"],
            "link events": trace["link_events"],
        }
        drawn["events"] = figures.events({name: counts for name, counts in series.items() if counts.any()})
    if len(trace.get("phase_cycles", ())):
        cycles = trace["phase_cycles"]
        mapping = Mapping.of(Plan.of(design, record.encoding["dictionary"]), design.target.board)
        work = cycles[:, [Phase.GATHER, Phase.UPDATE]].sum(axis=1) / max(1, cycles.sum(axis=1).max())
        traffic = mapping.with_counts(trace["link_traffic"], record.encoding["code"])
        drawn["tiles"] = tile_graph(traffic, image, work)
        spent = clocks_spent(trace)
        names = (*_PHASES, _WAITING) if spent.shape[1] > len(Phase) else _PHASES
        drawn["cycles"] = figures.phase_cycles(spent, names)
        if "spans" in trace:
            shown = _evenly(len(cycles), _TILES_SHOWN)
            waits = trace["token_waits"].copy()
            waits[:, 2] = len(Phase)
            rows = np.concatenate([trace["spans"], waits])
            drawn["timeline"] = figures.timeline(rows, windows(trace), shown, (*_PHASES, _WAITING))
    if info.get("ranges"):
        drawn["ranges"] = range_figure(info["ranges"])
    if info.get("costs"):
        drawn["energy"] = figures.energy(info["costs"])
    return drawn


def clocks_spent(trace: MappingOf[str, Any]) -> Any:
    """(T, phases) clocks of the frame in each phase; one column more, taken out of SCATTER, where the waits for tokens
    are known.
    """
    cycles = trace["phase_cycles"]
    cycles = np.pad(cycles, ((0, 0), (0, len(Phase) - cycles.shape[1])))  # phases that an older file does not know
    if "cycles_token_wait" not in trace:
        return cycles
    waits = trace["cycles_token_wait"].sum(axis=0)[:, None]
    less = np.where(np.arange(cycles.shape[1]) == Phase.SCATTER, waits, 0)
    return np.concatenate([cycles - less, waits], axis=1)


def _evenly(count: int, most: int) -> list[int]:
    """At most so many of the tiles, from the first to the last."""
    return sorted({int(n) for n in np.rint(np.linspace(0, count - 1, min(count, most)))})


def windows(trace: MappingOf[str, Any]) -> list[tuple[str, int, int]]:
    """(title, first cycle, first cycle after): the beginning of a frame, and some steps around the longest later one of
    those whose events were kept.
    """
    rows = trace["spans"][trace["spans"][:, 1] >= 0].astype(np.int64)
    steps = len(trace["active"])
    begin, end = np.full(steps + 1, np.iinfo(np.int64).max), np.zeros(steps + 1, np.int64)
    np.minimum.at(begin, rows[:, 1], rows[:, 3])
    np.maximum.at(end, rows[:, 1], rows[:, 4])
    windows = [("load and step 1", 0, int(end[0]))]
    low, high = (int(n) for n in trace["kept_steps"])
    low = max(1, low)
    if low < high:
        longest = low + int((end - begin)[low:high].argmax())
        first = int(np.clip(longest - _STEPS_SHOWN // 2, low, max(low, high - _STEPS_SHOWN)))
        after = min(high, first + _STEPS_SHOWN)
        title = f"steps {first + 1} to {after}" if after > first + 1 else f"step {after}"
        windows.append((title, int(begin[first]), int(end[after - 1])))
    return windows
