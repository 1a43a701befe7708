"""Percent error against float64, bit by bit: every format of the machine swept alone and jointly.

Shipped dictionaries (8 and 32 kernels 16x16 at stride 2), crops of a photograph that no dictionary was learned on,
lambda 0.05, step 2^-5, cold. A sweep varies the fraction of one format and keeps its range (w and r~ +-1, y 2, u +-2);
the other formats are then wide (`WIDE`). Beside ours stand the numbers of an earlier reference of another dictionary
(32 kernels, float engine in C, two frames), so agreement is expected in the shape and to a few tenths of a point.

    python benchmarks/bit_widths.py [--out FILE.json] [--table FILE.md] [--kernels 8,32] [--frames N] [--quick]
"""

import os

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import argparse
import platform
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from striate.golden.archive import replacing
from striate.golden.errors import InputError
from striate.golden.images import load_image
from striate.reports.rundir import write_json
from striate.sim.design import Design
from striate.sim.fixed import quantise
from striate.sim.machine import Machine, load_dictionary
from striate.sim.plan import Plan
from striate.sim.precision.calibration import Calibration, sized, with_widths

PICTURE, SIZE = "camera", (128, 128)
CROPS = ((70, 170), (104, 212), (180, 300), (330, 200))
WIDE = {"weight": 16, "code": 12, "residual": 12, "membrane": 20}
WHOLE = {"weight": 1, "code": 1, "residual": 1, "membrane": 2}
"""Bits before the point, sign included."""

SWEEPS: tuple[tuple[str, str, str, dict[int, float | None]], ...] = (
    ("weight", "weight", "half_up", {4: 1.96, 5: 0.83, 6: 0.30, 7: 0.01, 8: -0.05, 10: -0.09, 12: -0.11, 16: -0.06}),
    ("residual, half up", "residual", "half_up",
     {4: 14.9, 5: 4.6, 6: 0.48, 7: -0.07, 8: -0.20, 9: -0.12, 10: -0.03, 12: -0.06, 16: -0.04}),
    ("residual, floor", "residual", "floor", {6: 7.7, 8: 0.46, 10: -0.03, 12: -0.03}),
    ("residual, toward zero", "residual", "toward_zero", {6: 6.4, 8: 1.13, 10: 0.25}),
    ("membrane, half up", "membrane", "half_up",
     {6: 59.0, 8: 23.4, 9: 14.2, 10: 8.5, 12: 1.92, 13: None, 14: -0.01, 16: -0.10}),
    ("membrane, floor", "membrane", "floor", {8: 41.9, 10: 15.7, 12: 3.98, 14: 0.58, 16: 0.10}),
    ("code", "code", "half_up", {4: 3.98, 5: 0.60, 6: 0.18, 7: 0.06, 8: -0.04, 9: -0.07}),
)  # fmt: skip
"""Title, format, rounding, width -> points of error of the reference (None: not in it)."""

JOINT: tuple[tuple[dict[str, int], float | None], ...] = (
    ({"weight": 8, "residual": 9, "membrane": 16, "code": 8}, 0.00),
    ({"weight": 8, "residual": 10, "membrane": 14, "code": 8}, 0.05),
    ({"weight": 6, "residual": 8, "membrane": 14, "code": 6}, 0.52),
    ({"weight": 9, "residual": 9, "membrane": 13, "code": 9}, 0.47),
    ({"weight": 8, "residual": 8, "membrane": 12, "code": 8}, 1.66),
    ({"weight": 5, "residual": 7, "membrane": 12, "code": 6}, 2.33),
    ({"weight": 8, "residual": 8, "membrane": 14, "code": 8}, None),
)
"""Formats together; the last one is the default design's."""


def silent_at_threshold(base: Design, calibration: Calibration, widths: dict[str, int]) -> tuple[list[float], float]:
    """Losses, and mean points of percent inactive, of a code that is 0 at the threshold.

    No design may have one; the machine of a legal design runs it when its code format is replaced.
    """
    legal = with_widths(base, widths | {"code": widths["code"] + 1}, WHOLE)
    weights = quantise(calibration.dictionary.atoms, legal.formats.weight)
    plan = replace(Plan.of(legal, weights), code=sized(legal.formats.code, widths["code"], WHOLE["code"]))
    losses, inactive = [], []
    for n, image in enumerate(calibration.images):
        run = Machine(plan, weights).frame(plan.quantise_image(image), base.dynamics.steps)
        losses.append(run.percent_error(image) - calibration.errors[n])
        inactive.append(run.percent_inactive - calibration.inactive[n])
    return losses, float(np.mean(inactive))


def measure(kernels: int, frames: int, quick: bool) -> dict[str, Any]:
    """Every sweep and joint row of one shipped dictionary."""
    base = Design(kernels=kernels, image=SIZE, tiles=(1, 1), steps=20 if quick else 200)
    dictionary = load_dictionary(base)
    images = [load_image(PICTURE, crop=crop, size=SIZE) for crop in CROPS[:frames]]
    calibration = Calibration.of(base, dictionary, images)
    rows: list[dict[str, Any]] = []

    def judge(title: str, widths: dict[str, int], rounding: dict[str, str], reference: float | None) -> None:
        design = with_widths(base, widths, WHOLE)
        changed = {f"formats.{name}": f"{getattr(design.formats, name)}:{mode}" for name, mode in rounding.items()}
        row = {"sweep": title, "widths": widths, "rounding": rounding, "reference": reference, "refused": None}
        rows.append(row)
        try:
            trial = calibration.judge(design.replace(changed))
            losses, inactive = list(trial.losses), float(np.mean(trial.inactive))
            row |= {"psnr_db": float(np.mean(trial.psnr_db)), "diverged": trial.diverged, "overflow": trial.overflow}
        except InputError as error:
            row["refused"] = str(error)
            losses, inactive = silent_at_threshold(base, calibration, widths)
        spread = float(np.std(losses, ddof=1) / np.sqrt(len(losses))) if len(losses) > 1 else 0.0
        row |= {"loss": float(np.mean(losses)), "losses": losses, "spread": spread, "inactive": inactive}
        print(f"{kernels}@2  {title:22}  {widths}  {row['loss']:+.3f}  (reference {reference})", flush=True)

    judge("all wide", WIDE, {}, None)
    for title, name, rounding, points in SWEEPS:
        for width, reference in points.items():
            if not quick or width == max(points):
                judge(title, WIDE | {name: width}, {} if rounding == "half_up" else {name: rounding}, reference)
    for widths, reference in JOINT[-1:] if quick else JOINT:
        judge("joint", widths, {}, reference)
    return {
        "kernels": kernels,
        "golden_error": calibration.errors,
        "golden_inactive": calibration.inactive,
        "rows": rows,
    }


def table(results: dict[str, Any]) -> str:
    """Markdown: a row a width, a column a dictionary, the reference last."""
    found = results["dictionaries"]
    names = [f"{d['kernels']}@2" for d in found]
    lines = []
    title = ""
    for group in zip(*(d["rows"] for d in found), strict=True):
        row = group[0]
        if row["sweep"] != title:
            title = row["sweep"]
            heading = "w / r~ / u / y" if title in ("joint", "all wide") else "bits"
            lines += ["", f"**{title}**", "", f"| {heading} | {' | '.join(names)} | reference |",
                      "|---|" + "---|" * (len(names) + 1)]  # fmt: skip
        w = row["widths"]
        order = ("weight", "residual", "membrane", "code")
        key = next((n for _, n, _, _ in SWEEPS if title.startswith(n)), None)
        label = " / ".join(str(w[n]) for n in order) if key is None else str(w[key])
        cells = []
        for r in group:
            mark = " (refused)" if r["refused"] else " (diverged)" if r["diverged"] else ""
            cells.append(f"{r['loss']:+.2f} ± {r['spread']:.2f}{mark}")
        reference = "" if row["reference"] is None else f"{row['reference']:+.2f}"
        lines.append(f"| {label} | {' | '.join(cells)} | {reference} |")
    return "\n".join(lines[1:]) + "\n"


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--table", type=Path, default=None)
    parser.add_argument("--kernels", default="32,8")
    parser.add_argument("--frames", type=int, default=len(CROPS))
    parser.add_argument("--quick", action="store_true", help="20 steps and the widest row of each sweep")
    options = parser.parse_args()
    started = time.perf_counter()
    found = [measure(int(k), 1 if options.quick else options.frames, options.quick) for k in options.kernels.split(",")]
    results = {
        "picture": PICTURE,
        "crops": CROPS[: options.frames],
        "wide": WIDE,
        "python": f"Python {platform.python_version()}, NumPy {np.__version__}",
        "dictionaries": found,
        "seconds": time.perf_counter() - started,
    }
    text = table(results)
    print(text)
    if options.out is not None:
        write_json(options.out, results)
    if options.table is not None:
        with replacing(options.table) as aside:
            aside.write_text(text)


if __name__ == "__main__":
    main()
