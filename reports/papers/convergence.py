"""The convergence of the solvers in a folder: a figure a problem, the page, the curves, and the tables of both."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from ...explore.papers.convergence import (
    CROP,
    NEAR,
    PICTURE,
    REQUIRED,
    THRESHOLD,
    TURNS,
    WITHIN,
    Convergence,
    Curve,
    Found,
)
from ...golden.archive import replacing, save_npz
from ...golden.errors import InputError
from .. import figures, rundir
from ..tables import DASH, number
from .convergence_figures import curves_figure

RESULT, PAGE, CURVES = "run.json", "report.html", "curves.npz"
HEADS = ["solver", "objective", "above the best", f"iterations until within {NEAR}", f"seconds until within {NEAR}",
         "iterations", "seconds", "active %", "duality gap", "outcome"]  # fmt: skip


def rows_of(found: Found) -> list[list[str]]:
    """The final table of a problem: the convex solvers, then those with objectives of their own."""
    rows = []
    for curve in found.curves:
        above, reached = float(curve.above(found.best)[-1]), curve.reached(found.best)
        rows.append([
            curve.label, f"{curve.objective[-1]:.6f}", f"{above:.1e}", DASH if reached is None else f"{reached:,}",
            DASH if reached is None else number(float(curve.seconds[reached])), *_common(curve),
        ])  # fmt: skip
    for curve in (*found.hard, found.half):
        rows.append([f"{curve.label} (its own objective)", f"{curve.objective[-1]:.6f}", DASH, DASH, DASH,
                     *_common(curve)])  # fmt: skip
    return rows


def _common(curve: Curve) -> list[str]:
    gap = DASH if curve.gap is None else f"{curve.gap:.1e}"
    return [f"{curve.iterations:,}", number(float(curve.seconds[-1])), number(100 * float(curve.active[-1])), gap,
            curve.outcome.replace("_", " ")]  # fmt: skip


def convergence_json(result: Convergence) -> dict[str, Any]:
    """The JSON keys of the experiment: problems with their solvers, and the claims."""
    return {
        "on": "solvers", "picture": PICTURE, "crop": list(CROP), "threshold": THRESHOLD, "within": WITHIN,
        "problems": [
            {
                "name": f.task.name, "title": f.task.title, "best_objective": f.best, "best_gap": f.best_gap,
                "solvers": [_curve_json(curve, f.best) for curve in f.curves],
                "percent_error": 100 * f.error, "half_percent_error": 100 * f.half_error,
                "own_objective": [_curve_json(curve, None) for curve in (*f.hard, f.half)],
            }
            for f in result.found
        ],
        "claims": [
            {"name": c.name, "statement": c.statement, "verdict": c.verdict.value, "rule": c.rule,
             "evidence": c.evidence}
            for c in result.claims
        ],
        "unjudged": [{"name": name, "why": why} for name, why in result.unjudged],
    }  # fmt: skip


def _curve_json(curve: Curve, best: float | None) -> dict[str, Any]:
    known = {
        "solver": curve.label, "objective": float(curve.objective[-1]), "iterations": curve.iterations,
        "seconds": float(curve.seconds[-1]), "percent_active": 100 * float(curve.active[-1]), "gap": curve.gap,
        "outcome": curve.outcome, "largest_rise": curve.rise,
    }  # fmt: skip
    if best is None:
        return known
    reached = curve.reached(best)
    return known | {"above_best": float(curve.above(best)[-1]), "required": curve.label in REQUIRED,
                    "iterations_to_within": reached,
                    "seconds_to_within": None if reached is None else float(curve.seconds[reached])}  # fmt: skip


def convergence_lines(result: Convergence) -> list[str]:
    """The tables and verdicts, on a terminal."""
    lines: list[str] = []
    for found in result.found:
        rows = rows_of(found)
        widths = [max(len(row[n]) for row in (HEADS, *rows)) for n in range(len(HEADS))]
        lines += [found.task.title, *("  ".join(f"{text:{'>' if n else '<'}{widths[n]}}" for n, text in enumerate(row))
                                      .rstrip() for row in (HEADS, *rows)), ""]  # fmt: skip
    lines += [f"{claim.name}: {claim.verdict}. {claim.evidence}" for claim in result.claims]
    return lines + [f"{name}: not judged ({why})" for name, why in result.unjudged]


# ---- the folder ------------------------------------------------------------------------------------------------------
def check_folder(out: Path, force: bool) -> None:
    """Refuse a folder that the experiment may not fill.

    Raises:
        InputError: a file, a folder that cannot be written to; one that is not empty, without ``force``; or, even with
            it, one with files that this experiment did not write.
    """
    if not out.exists() or not out.is_dir() or not any(out.iterdir()):
        rundir.refuse_existing(out, force)
        return
    foreign = [path.name for path in sorted(out.iterdir()) if not _ours(path.name)]
    if foreign or not (out / RESULT).is_file():
        what = f"{foreign[0]}, which this experiment did not write" if foreign else "no run of this experiment"
        raise InputError(f"--out {out} holds {what}; name another folder")
    if not force:
        raise InputError(f"--out {out} exists and is not empty; --force replaces it, or name another folder")


def _ours(name: str) -> bool:
    drawn = name.startswith("convergence-") and name.endswith(".png")
    return name in (RESULT, PAGE, CURVES) or drawn or (name.startswith(".") and name.endswith(".part"))


def save_convergence(out: Path, info: dict[str, Any], result: Convergence) -> None:
    """Write the page, a figure a problem, curves.npz and, last, run.json into a folder, each aside and renamed."""
    out.mkdir(parents=True, exist_ok=True)
    for found in result.found:
        figures.png(curves_figure(found), out / f"convergence-{found.task.name}.png")
    save_npz(out / CURVES, {
        f"{f.task.name}/{curve.label}/{name}": getattr(curve, name)
        for f in result.found for curve in (*f.curves, *f.hard, f.half) for name in ("objective", "seconds", "active")
    })  # fmt: skip
    with replacing(out / PAGE) as aside:
        aside.write_text(page(info, result), encoding="utf-8")
    rundir.write_json(out / RESULT, info)


def page(info: dict[str, Any], result: Convergence) -> str:
    """The HTML: opens without a network, follows light and dark."""
    environment = Environment(
        loader=PackageLoader((__package__ or "striate.reports.papers").rpartition(".")[0]),
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(number=number)
    parts = [
        {
            "name": found.task.name, "title": found.task.title, "rows": rows_of(found), "best": f"{found.best:.6f}",
            "gap": f"{found.best_gap:.1e}",
            "svg": figures.svg(curves_figure(found), f"convergence-{found.task.name}"),
            "pictures": figures.svg(figures.panel(None, found.image, found.image - found.residual, found.residual),
                                    f"pictures-{found.task.name}"),
            "error": 100 * found.error, "setup": float(found.curve("coordinate descent").seconds[0]),
        }
        for found in result.found
    ]  # fmt: skip
    text: str = environment.get_template("convergence.html.j2").render(
        info=info, claims=result.claims, unjudged=result.unjudged, share=f"{result.share:g}", parts=parts, heads=HEADS,
        near=NEAR, picture=PICTURE, crop=CROP, threshold=THRESHOLD, turns=TURNS,
    )  # fmt: skip
    return text
