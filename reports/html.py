"""One self-contained page from a run directory: opens without a network, follows light and dark, hides nothing."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from ..golden.archive import replacing
from ..golden.errors import InputError
from ..sim.tech import CONTEXT
from ..sim.tiling import Tiling
from ..sim.timing import Phase
from . import figures, tables
from .rundir import RunRecord, load, plain

# A tile in SCATTER also waits there for what its neighbours send.
_PHASES = tuple("scatter and wait for neighbours" if phase is Phase.SCATTER else phase.name.lower() for phase in Phase)


def write_report(folder: Path, out: Path | None = None, command: str = "") -> Path:
    """Write ``report.html`` of a run directory, into it unless ``out`` names another file; aside and renamed.

    Raises:
        InputError: a folder that holds no run, or a file that cannot be written.
    """
    target = out if out is not None else folder / "report.html"
    text = page(load(folder), command)
    try:
        with replacing(target) as aside:
            aside.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror}; choose another --out") from None
    return target


def write_figures(folder: Path, record: RunRecord) -> list[Path]:
    """The figures of a run as PNG files in a folder."""
    written = []
    for name, figure in _figures(record).items():
        written.append(folder / f"{name}.png")
        figures.png(figure, written[-1])
    return written


def page(record: RunRecord, command: str = "") -> str:
    """The HTML of a run."""
    info, design = record.info, record.design
    environment = Environment(
        loader=PackageLoader(__package__ or "striate.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=tables.number, si=tables.si, band=tables.band, clocks=tables.clocks)
    columns: dict[str, Any] = {}
    if "golden" in info:
        columns["golden, float64"] = info["golden"]
    columns["golden, float64" if info["on"] == "golden" else f"machine, {info['schedule']}"] = info
    for name, other in info.get("schedules", {}).items():
        columns[f"machine, {name}"] = other
    context = {
        "info": info,
        "design": design,
        "title": Path(str(info["picture"])).name,
        "active": int(np.count_nonzero(record.encoding["code"])),
        "dictionary_name": Path(design.network.dictionary).name,
        "machine": info["on"] != "golden",
        "svg": {name: figures.svg(figure, name.replace("_", "-")) for name, figure in _figures(record).items()},
        "columns": list(columns),
        "comparison": tables.comparison(columns),
        "verifications": info.get("verification", []),
        "verdict": tables.verdict(info.get("verification", [])),
        "context": CONTEXT,
        "slider": _slider(record),
        "design_text": design.to_toml(),
        "made_by": info.get("command", ""),
        "report_by": command,
        "dash": tables.DASH,
    }
    return environment.get_template("report.html.j2").render(context)


def _reconstruction(record: RunRecord) -> figures.Array:
    """Phi y over the image, in units of the image."""
    return np.asarray(record.real("input") - record.real("residual"))


def _figures(record: RunRecord) -> dict[str, Any]:
    """Every figure that the run's data allows, by name."""
    trace, design, info = record.trace, record.design, record.info
    image, code = record.real("input"), record.real("code")
    label = "float64" if info["on"] == "golden" else "fixed point"
    curves = {label: (trace["percent_error"], trace["active"])}
    photograph = trace["photograph"] / 255.0 if "photograph" in trace else None
    drawn: dict[str, Any] = {
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
        m = design.machine
        tiling = Tiling(design.geometry, m.tiles, m.gather_lanes, m.scatter_lanes, m.detect_lanes)
        work = cycles[:, [Phase.GATHER, Phase.UPDATE]].sum(axis=1) / max(1, cycles.sum(axis=1).max())
        drawn["tiles"] = figures.tile_graph(image, tiling, trace["link_traffic"], work)
        drawn["cycles"] = figures.phase_cycles(cycles, _PHASES)
    if info.get("costs"):
        drawn["energy"] = figures.energy(info["costs"])
    return drawn


def _slider(record: RunRecord) -> dict[str, Any] | None:
    """What the page's slider needs: two sprites and the curves, as text for the script."""
    trace = record.trace
    if not len(trace.get("frame_steps", ())):
        return None
    image = record.real("input")
    limit = float(np.abs(image).max())
    frames = np.asarray(trace["frames"], np.float64)
    curves = {"error": np.round(trace["percent_error"], 3)}
    for name in ("code_events", "residual_events", "link_events"):
        if name in trace and trace[name].any():
            curves[name.replace("_", " ")] = trace[name]
    data = {
        "steps": trace["frame_steps"],
        "width": image.shape[2],
        "height": image.shape[1],
        "curves": curves,
        "active": trace["active"],
    }
    return {
        "residual": figures.data_uri(figures.sprite(frames, limit)),
        "reconstruction": figures.data_uri(figures.sprite(image[None] - frames, limit)),
        "count": len(trace["frame_steps"]),
        "data": json.dumps(plain(data)),
    }
