"""One self-contained page from a run directory: opens without a network, follows light and dark, hides nothing."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, UndefinedError

from ..golden.archive import replacing
from ..golden.errors import InputError
from ..sim.tech import CONTEXT
from . import crossbar_tables, figures, tables
from .crossbar import draw
from .drawn import Drawn, clocks_spent
from .ranges import RANGE_COLUMNS, range_rows
from .rundir import CROSSBAR, RunRecord, load, plain


def write_report(folder: Path, out: Path | None = None, command: str = "", drawn: Drawn | None = None) -> Path:
    """Write ``report.html`` of a run directory, into it unless ``out`` names another file; aside and renamed.

    Args:
        drawn: the run's figures; None: drawn anew.

    Raises:
        InputError: a folder that holds no run or an incomplete one, or a file that cannot be written.
    """
    target = out if out is not None else folder / "report.html"
    record = load(folder)
    try:
        text = page(record, command, target.absolute().parent == folder.absolute(), drawn)
    except (KeyError, UndefinedError) as error:
        raise InputError(f"the run in {folder} is incomplete ({error}); make the run again") from None
    try:
        with replacing(target) as aside:
            aside.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror}; choose another --out") from None
    return target


def page(record: RunRecord, command: str = "", beside: bool = True, drawn: Drawn | None = None) -> str:
    """The HTML of a run.

    Args:
        beside: it will lie in the run's folder, so that it may name the files there. drawn: the run's figures; None:
            drawn anew.

    A run.json may bring more tables: ``tables``, a list of objects with ``title``, ``columns``, ``rows`` (texts and
    numbers) and, where wanted, ``tag`` (exact, modelled, measured, target) and ``note``.
    """
    info, design, trace = record.info, record.design, record.trace
    drawn = draw(record) if drawn is None else drawn
    environment = Environment(
        loader=PackageLoader(__package__ or "striate.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=tables.number, si=tables.si, band=tables.band, clocks=tables.clocks)
    columns = _columns(info)
    context = {
        "info": info,
        "design": design,
        "title": Path(str(info["picture"])).name,
        "active": int(np.count_nonzero(record.encoding["code"])),
        "dictionary_name": Path(design.network.dictionary).name,
        "machine": info["on"] == "machine",
        "crossbar": crossbar_context(record),
        "beside": beside,
        "svg": {name: figures.svg(figure, name.replace("_", "-")) for name, figure in drawn.items()},
        "columns": list(columns),
        "comparison": tables.comparison(columns),
        "balance": tables.balance(clocks_spent(trace)) if len(trace.get("phase_cycles", ())) else [],
        "traces": info.get("traces") if beside else None,
        "tables": info.get("tables", []),
        "memories": tables.memory_rows(info["traffic"]) if "traffic" in info else [],
        "range_columns": RANGE_COLUMNS,
        "range_rows": range_rows(info["ranges"]) if info.get("ranges") else [],
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


def _columns(info: dict[str, Any]) -> dict[str, Any]:
    """The runs of a page by the heads of their columns, what the page is of among them."""
    columns: dict[str, Any] = {}
    if "golden" in info:
        columns["golden, float64"] = info["golden"]
    own = {"golden": "golden, float64", "crossbar": "crossbars"}
    columns[own.get(info["on"]) or f"machine, {info['schedule']}"] = info
    for name, other in info.get("schedules", {}).items():
        columns[f"machine, {name}"] = other
    if "crossbar" in info:
        columns["crossbars"] = info["crossbar"]
    return columns


def crossbar_context(record: RunRecord) -> dict[str, Any] | None:
    """What the page says of a run on crossbars: of the page's own, or of a demo's; None where there is none.

    ``folder``: the demo's folder with the whole run; "" for a run's own page.
    """
    found = record if record.info["on"] == "crossbar" else record.crossbar
    if found is None:
        return None
    heads, rows = crossbar_tables.beside_table(found.info)
    return {
        "info": found.info,
        "design": found.design,
        "heads": heads,
        "rows": rows,
        "verdict": crossbar_tables.verdict(found.info),
        "device": crossbar_tables.device_rows(found.info["device"]),
        "arrays": crossbar_tables.array_rows(found.info, found.design),
        "folder": "" if found is record else CROSSBAR,
    }


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
