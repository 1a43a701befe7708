"""What a width search tried and found, as JSON and as text. Without figures, so that the verb starts quickly."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..sim.precision.autowidth import SWEPT, AutoWidths
from ..sim.precision.calibration import Trial
from .tables import Lines, short


def _trial(trial: Trial | None) -> dict[str, Any]:
    if trial is None:
        return {"loss": None, "losses": [], "inactive": None, "psnr_db": None, "diverged": 0, "saturations": 0}
    return {
        "loss": trial.loss,
        "losses": list(trial.losses),
        "spread": trial.spread,
        "inactive": float(np.mean(trial.inactive)),
        "psnr_db": float(np.mean(trial.psnr_db)),
        "diverged": trial.diverged,
        "saturations": trial.saturations,
    }


def widths_record(result: AutoWidths, check: Trial | None, golden_errors: Sequence[float]) -> dict[str, Any]:
    """The JSON keys of a width search.

    Args:
        check: the formats found, on parts of the pictures that the search did not see; None where there were none.
        golden_errors: percent error in float64, one a calibration picture.
    """
    found, design = result.trial, result.design
    return {
        "found": design is not None,
        "budget": result.budget,
        **{key: value for key, value in _trial(found).items()},
        "least_loss": result.best,
        "golden_errors": list(golden_errors),
        "formats": {} if design is None else {name: str(getattr(design.formats, name)) for name in (*SWEPT, "input")},
        "widths": {} if design is None else {name: getattr(design.formats, name).width for name in (*SWEPT, "input")},
        "memory_bits": result.bits,
        "check": None if check is None else _trial(check),
        "ranges": [] if result.ranges is None else result.ranges.as_list(),
        "tried": [
            {"stage": t.stage, "widths": t.widths, "refused": t.refused or None, **_trial(t.trial)}
            for t in result.tried
        ],
        "notes": list(result.notes),
    }


def widths_lines(info: Mapping[str, Any]) -> Lines:
    """A width search on the terminal: what was tried, the formats, the loss, the ranges, the notes."""
    lines: Lines = []
    for t in info["tried"]:
        loss = "refused" if t["loss"] is None else f"{t['loss']:+.2f} points"
        widths = "  ".join(f"{name} {t['widths'][name]:2d}" for name in SWEPT)
        lines.append((t["stage"], f"{widths}   {loss}"))
    lines.append(("", "(widths tried are at the usual ranges, w and r~ 1, y 2, u 2: the fraction is what counts)"))
    if info["found"]:
        count, check = len(info["losses"]), info["check"]
        mean = f"{info['loss']:+.3f} +- {info['spread']:.3f} points on {count} picture(s), budget {info['budget']:g}"
        lines += [
            ("formats", ", ".join(f"{name} {text}" for name, text in info["formats"].items())),
            ("loss", f"{mean}; one picture moves by about 0.1 for no reason"),
            ("memory", f"{info['memory_bits']:,} bits of U, D, R, r~ and weights, proven accumulators"),
        ]
        if check is not None:
            mean = f"{check['loss']:+.3f} +- {check['spread']:.3f} points"
            lines.append(("loss elsewhere", f"{mean} on {len(check['losses'])} part(s) that the search did not see"))
        for q in info["ranges"]:
            reached = f"{short(q['low'])} .. {short(q['high'])}, {q['bits_seen']} bits"
            word = f"word {q['format']}, proved {q['bits_proved']}, outside {q['outside']:,}"
            lines.append((f"range of {q['symbol']}", f"{reached}; {word}"))
    lines += [("note", text) for text in info["notes"]]
    return lines
