"""A study of learning on an array: its JSON object, its table, its words and its page."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from ..golden.archive import replacing, save_npz
from ..sim.crossbar.device import device_of
from ..sim.crossbar.learning.presets import update_device
from ..sim.crossbar.learning.study import LearnStudy
from ..sim.crossbar.learning.training import ArrayLearned
from ..sim.design import Design
from . import figures, rundir
from .learning_figures import HOW, answers, curves, device_names, kernels_figure, spent
from .tables import number

SMALL_POINTS = 0.5
"""Points of percent error below which two runs count as equal in words."""


# ---- JSON and table --------------------------------------------------------------------------------------------------
def learning_json(study: LearnStudy, design: Design) -> dict[str, Any]:
    """The JSON keys of a study."""
    p, device, mapping = study.params, device_of(design), design.crossbar.mapping
    best = study.best
    return {
        "on": "crossbar-learn",
        "repair": p.repair,
        "start": study.start.source,
        "start_sha256": study.start.sha256,
        "network": {key: getattr(p.learn, key) for key in ("kernels", "channels", "patch", "stride", "crop_size")},
        "crops": p.learn.pictures,
        "seed": p.learn.seed,
        "norm": p.norm,
        "coding": p.coding,
        "device": device.name,
        "cells_per_weight": 1 if mapping == "offset" else 2,
        "fault_rate": device.stuck_low + device.stuck_high,
        "programming_error": design.crossbar.programming_error,
        "digital": _run_json(study, study.digital),
        "runs": [_run_json(study, run) for run in study.runs],
        "rewritten": {name: asdict(point) for name, point in study.rewritten.items()},
        "dictionary": {"device_update": best.params.update_device, "update": best.params.rule.how,
                       "sha256": best.dictionary.sha256},
    }  # fmt: skip


def _run_json(study: LearnStudy, run: ArrayLearned) -> dict[str, Any]:
    last, rule = run.curve[-1], run.params.rule
    weights, crops = run.dictionary.atoms.size, max(1, run.crops)
    per = weights * crops
    return {
        "device_update": run.params.update_device,
        "states": update_device(run.params.update_device).states,
        "update": rule.how,
        **{key: getattr(rule, key) for key in ("rounding", "tolerance", "budget", "train")},
        "outcome": run.outcome.value,
        "diverged": run.diverged,
        "percent_error_start": run.curve[0].percent_error,
        "percent_error": last.percent_error,
        "percent_error_digital": last.percent_error_digital,
        "percent_inactive": last.percent_inactive,
        "cosine_to_asked": last.cosine,
        "cosine_to_digital": float(study.likeness(run).mean()),
        "norm": last.norm,
        "at_bounds": last.at_bounds,
        "stuck_cells": run.stuck_cells,
        "cells": run.cells,
        "pulses": last.pulses,
        "verify_reads": last.verify_reads,
        "norm_reads": last.norm_reads,
        "pulses_per_weight_and_crop": last.pulses / per,
        "reads_per_weight_and_crop": (last.verify_reads + last.norm_reads) / per,
        "curve": [asdict(point) for point in run.curve],
    }


HEADS = ["cells", "update", "error before %", "after %", "asked-for kernels %", "like digital", "norm", "at bounds %",
         "pulses", "reads"]  # fmt: skip


def rows_of(info: dict[str, Any]) -> list[list[str]]:
    """The table of a study; pulses and reads are a weight and crop."""
    rows = []
    for run in (info["digital"], *info["runs"]):
        digital = run is info["digital"]
        rows.append([
            "none: digital" if digital else run["device_update"], "float64" if digital else run["update"],
            number(run["percent_error_start"]), number(run["percent_error"]), number(run["percent_error_digital"]),
            number(run["cosine_to_digital"], 3), number(run["norm"]), number(100 * run["at_bounds"], 1),
            number(None if digital else run["pulses_per_weight_and_crop"]),
            number(None if digital else run["reads_per_weight_and_crop"]),
        ])  # fmt: skip
    return rows


def learning_lines(info: dict[str, Any]) -> list[str]:
    """The table and its words on a terminal."""
    rows = [HEADS, *rows_of(info)]
    widths = [max(len(row[n]) for row in rows) for n in range(len(HEADS))]
    table = ["  ".join(f"{text:{'>' if n > 1 else '<'}{widths[n]}}" for n, text in enumerate(row)).rstrip()
             for row in rows]  # fmt: skip
    return [*table, "", *words(info)]


# ---- words -----------------------------------------------------------------------------------------------------------
def words(info: dict[str, Any]) -> list[str]:
    """What the numbers say, one sentence or two a finding."""
    digital, runs = info["digital"], info["runs"]
    begun, ended = (number(digital[key], 1) for key in ("percent_error_start", "percent_error"))
    first = "Errors are of held-out crops, coded and decoded with the kernels in the cells."
    said = [f"{first} Without cells, the same crops take {begun} to {ended} %."]
    if info["repair"]:
        said += _repaired(info)
    for name in dict.fromkeys(run["device_update"] for run in runs):
        said.append(_compared(name, {run["update"]: run for run in runs if run["device_update"] == name}))
    said.append(_asked(runs))
    real = [run for run in runs if run["update"] != "ideal"] or runs
    least, most = (pick(run["norm"] for run in real) for pick in (min, max))
    full = max(real, key=lambda run: run["at_bounds"])
    said.append(
        f"The norm of the kernels in the cells ends at {number(least)} to {number(most)} of that at the start, which "
        f"the scale of the periphery takes out; at most {number(100 * full['at_bounds'], 1)} % of the free cells are "
        f"at a bound ({full['device_update']}, {full['update']})."
    )
    return said


def _repaired(info: dict[str, Any]) -> list[str]:
    whole, said = info["digital"]["percent_error_start"], []
    for name in dict.fromkeys(run["device_update"] for run in info["runs"]):
        runs = [run for run in info["runs"] if run["device_update"] == name]
        before, again = runs[0]["percent_error_start"], info["rewritten"][name]["percent_error"]
        ends = [f"{number(r['percent_error'], 1)} % by {HOW[r['update']]}{_share(before, r, whole)}" for r in runs]
        said.append(
            f"{name}, {runs[0]['stuck_cells']:,} of {runs[0]['cells']:,} cells stuck: {info['crops']} crops mend "
            f"{number(before, 1)} % to {', '.join(ends)}. The same kernels written a second time with "
            f"write-and-verify, nothing learned, have {number(again, 1)} %; whole they had {number(whole, 1)} %."
        )
    return said


def _share(before: float, run: dict[str, Any], whole: float) -> str:
    if before <= whole:
        return ""
    return f" ({100 * (before - run['percent_error']) / (before - whole):.0f} % of the damage)"


def _compared(name: str, runs: dict[str, dict[str, Any]]) -> str:
    states = number(float(next(iter(runs.values()))["states"]), 0)
    ends = ", ".join(f"{HOW[how]} at {number(run['percent_error'], 1)} %" for how, run in runs.items())
    said = f"{name}, {states} mean steps wide: {ends}."
    if runs.keys() >= {"ideal", "naive"}:
        lost = runs["naive"]["percent_error"] - runs["ideal"]["percent_error"]
        if lost <= SMALL_POINTS:
            said += f" Open-loop pulses are within {SMALL_POINTS} points of exact writing."
        else:
            said += f" What pulses do by themselves costs {number(lost, 1)} points."
        if "write-verify" in runs:
            verified = runs["write-verify"]
            gained = runs["naive"]["percent_error"] - verified["percent_error"]
            does = f"{'gains' if gained > 0 else 'loses'} {number(abs(gained), 1)} points"
            does = does if abs(gained) > SMALL_POINTS else f"changes less than {SMALL_POINTS} points"
            said += f" Reading back {does}, for {_price(verified)}, against {_price(runs['naive'])}."
    return said


def _price(run: dict[str, Any]) -> str:
    pulses, reads = (number(run[f"{what}_per_weight_and_crop"], 1) for what in ("pulses", "reads"))
    return f"{pulses} pulses and {reads} reads a weight and crop"


def _asked(runs: list[dict[str, Any]]) -> str:
    worst = max(runs, key=lambda run: run["percent_error_digital"] - run["percent_error"])
    apart = worst["percent_error_digital"] - worst["percent_error"]
    if apart <= SMALL_POINTS:
        return ("The kernels that were asked for decode these codes as well as the kernels in the cells: a digital "
                "copy may stand for the array.")  # fmt: skip
    return (f"The sum of what was asked for is not what the cells hold: decoded with it, the codes of "
            f"{worst['device_update']}, {worst['update']} have {number(worst['percent_error_digital'], 1)} % in place "
            f"of {number(worst['percent_error'], 1)} %. Who decodes outside the array must read it first.")  # fmt: skip


# ---- the folder ------------------------------------------------------------------------------------------------------
def save_learning(folder: Path, info: dict[str, Any], design: Design, study: LearnStudy) -> None:
    """Write run.json, design.toml, dictionary.npz, learned.npz, crossbar_learning.png and report.html into a folder.

    dictionary.npz are the kernels of `LearnStudy.best`, learned.npz those of all runs by "device update".
    """
    rundir.write_json(folder / "run.json", info)
    design.dump(folder / "design.toml")
    study.best.dictionary.save(folder / "dictionary.npz")
    save_npz(folder / "learned.npz", {
        "digital": study.digital.dictionary.atoms,
        **{f"{r.params.update_device} {r.params.rule.how}": r.dictionary.atoms for r in study.runs},
    })  # fmt: skip
    figures.png(curves(study), folder / "crossbar_learning.png")
    with replacing(folder / "report.html") as aside:
        aside.write_text(page(info, design, study), encoding="utf-8")


def page(info: dict[str, Any], design: Design, study: LearnStudy) -> str:
    """The HTML of a study: opens without a network."""
    environment = Environment(
        loader=PackageLoader(__package__ or "striate.reports"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(number=number)
    drawn = {"curves": curves(study), "spent": spent(study), "answers": answers(study),
             "kernels": kernels_figure(study)}  # fmt: skip
    sources = [(name, update_device(name).title, update_device(name).source) for name in device_names(study)]
    text: str = environment.get_template("crossbar_learning.html.j2").render(
        info=info, heads=HEADS, rows=rows_of(info), words=words(info), sources=sources,
        device=device_of(design), design_text=design.to_toml(), how=HOW,
        svg={name: figures.svg(figure, f"learning-{name}") for name, figure in drawn.items()},
    )  # fmt: skip
    return text
