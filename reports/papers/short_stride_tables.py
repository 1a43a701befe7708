"""The short-stride experiment as rows of text: the table of runs, the pilot's rows, training, CSV files, README.md."""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ...explore.papers.configurations import PILOT_SOURCE, Configuration
from ...explore.papers.short_stride import Run, ShortStride, cloud, summary
from ..tables import DASH, number
from .short_stride_pictures import overcompleteness

HEADS = ["configuration", "overcompleteness", "lambda", "error %", "inactive %", "eta", "steps", "outcomes", "settled"]
PILOT_HEADS = ["configuration", "error %", "inactive %", "pilot's error %", "pilot's inactive %",
               "inactive % at the pilot's error", "at least as good"]  # fmt: skip
TRAINING_HEADS = ["configuration", "rounds", "round kept", "pictures up to it", "energy after round 1",
                  "energy kept", "last round's gain", "Gabor-like", "settled"]  # fmt: skip
_PAPER = (
    "Schultz, Paiton, Lu, Kenyon, *Replicating kernels with a short stride allows sparse reconstructions with fewer "
    "independent kernels*."
)
SAME = (
    "The dynamics (eq. 10-12: hard threshold at lambda, residuals below 0.005 count as 0), the learning rule (eq. 15, "
    "kernels brought back to unit norm), the patches, strides and kernels of all twelve networks, the four thresholds, "
    "200 time steps a frame, frames of 128x128 pixels, the centre-surround filter (0.5 and 5.5 pixels), the warm "
    "start, and that only the second and later passes count."
)
DIFFERENT = (
    ("Frames: the paper's are 79,891 training frames and a 196-frame test video from Vine; here dictionaries are "
     "learned from crops of bundled photographs, and tested on frames of others."),
    ("Step: the paper does not give dt/tau. Here it is 1/32, so that 200 steps are 6.25 tau; where that diverges it is "
     "halved and the steps doubled (the column eta says so)."),
    ("Learning: the paper does not give its learning rate. While learning, each crop here starts from rest rather than "
     "from the state of the one before, with a step and a number of steps of its own; rounds go on until one pays no "
     "more."),
    ("Two shipped dictionaries did not come from noise by eq. 15 alone: 512@16 goes on by the online rule, and kernels "
     "of 64x64 pixels begin with learned ones of 32x32 in the middle of zeros - that they stay small is no evidence of "
     "their own, that they do not spread is."),
    "Borders: the paper does not say what lies beyond them. Here the residual beyond the image counts as 0.",
    "Codes are never negative, as equation 9 has it; the first membranes are random below the threshold.",
)  # fmt: skip


def spread(mean: float, sd: float, digits: int = 2) -> str:
    """ "12.34 \u00b1 0.56"."""
    return f"{mean:.{digits}f} \u00b1 {sd:.{digits}f}"


def fraction(value: float) -> str:
    """A step of 1/32 as it is chosen: "1/32"; others to four digits."""
    return f"1/{round(1 / value)}" if value > 0 and abs(1 / value - round(1 / value)) < 1e-9 else f"{value:.4g}"


def settled(result: ShortStride, name: str) -> str:
    """Whether the dictionary of a configuration has settled; a dash where its training is not known."""
    return next(("yes" if each.settled else "no" for each in result.training if each.configuration == name), DASH)


def outcomes(run: Run) -> str:
    """How the dynamics ended: counts of the counted frames."""
    counts = Counter(point.outcome for point in cloud(run))
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in sorted(counts.items()))


def run_rows(result: ShortStride) -> list[list[str]]:
    """`HEADS`: a row a configuration and threshold, failed ones too."""
    rows = []
    for each in result.configurations:
        for threshold in result.thresholds:
            head = [each.name, overcompleteness(each), f"{threshold:g}"]
            run = result.run(each.name, threshold)
            if run is None:
                why = next((text for *which, text in result.failed if which == [each.name, threshold]), "not run")
                rows.append([*head, DASH, DASH, DASH, DASH, f"failed: {why}", settled(result, each.name)])
                continue
            found = summary(cloud(run))
            rows.append([
                *head, spread(found.error, found.error_sd), spread(found.inactive, found.inactive_sd),
                fraction(run.eta), str(run.steps), outcomes(run), settled(result, each.name),
            ])  # fmt: skip
    return rows


def pilot_rows(result: ShortStride) -> list[list[str]]:
    """`PILOT_HEADS`: a row a configuration at the training threshold."""
    rows = []
    for each in result.comparisons:
        at_equal = each.as_good_at_equal_error
        # As it stands, or more silent at the pilot's own error: which of the two is said.
        good = "yes" if each.as_good else {True: "at equal error", False: "no", None: "no"}[at_equal]
        rows.append([
            each.configuration, number(each.error), number(each.inactive), number(each.pilot_error),
            number(each.pilot_inactive), number(each.inactive_at_pilot_error), good,
        ])  # fmt: skip
    return rows


def training_rows(result: ShortStride) -> list[list[str]]:
    """`TRAINING_HEADS`: a row a dictionary."""
    rows = []
    for each in result.training:
        if not each.rounds:
            continue
        first, kept, last = each.rounds[0], each.rounds[each.kept - 1], each.rounds[-1]
        gain = DASH if last.gain is None else f"{100 * last.gain:.2f} %"
        gabors = DASH if kept.gabor_share is None else f"{100 * kept.gabor_share:.0f} %"
        rows.append([
            each.configuration, str(len(each.rounds)), str(each.kept), number(each.pictures),
            f"{first.energy_after:.4f}", f"{kept.energy_after:.4f}", gain, gabors,
            "yes" if each.settled else "no",
        ])  # fmt: skip
    return rows


# ---- CSV -------------------------------------------------------------------------------------------------------------
def table_csv(result: ShortStride) -> str:
    """A row a run, numbers in full."""
    rows: list[Sequence[Any]] = [
        ("configuration", "kernels", "patch", "stride", "threshold", "percent_error", "percent_error_sd",
         "percent_inactive", "percent_inactive_sd", "points", "eta", "steps", "engine", "retreats", "seconds")
    ]  # fmt: skip
    by_name: dict[str, Configuration] = {each.name: each for each in result.configurations}
    for run in result.runs:
        each, found = by_name[run.configuration], summary(cloud(run))
        rows.append((each.name, each.kernels, each.patch, each.stride, run.threshold, round(found.error, 6),
                     round(found.error_sd, 6), round(found.inactive, 6), round(found.inactive_sd, 6), found.points,
                     run.eta, run.steps, run.engine, len(run.retreats), round(run.seconds, 3)))  # fmt: skip
    return _csv(rows)


def points_csv(result: ShortStride) -> str:
    """A row a frame of every pass of every run."""
    rows: list[Sequence[Any]] = [
        ("configuration", "threshold", "pass", "frame", "percent_error", "percent_inactive", "outcome")
    ]
    for run in result.runs:
        rows += [(run.configuration, run.threshold, p.pass_number, p.frame, round(p.percent_error, 4),
                  round(p.percent_inactive, 4), p.outcome) for p in run.points]  # fmt: skip
    return _csv(rows)


def _csv(rows: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


# ---- README.md -------------------------------------------------------------------------------------------------------
def readme(result: ShortStride, info: dict[str, Any], captions: dict[str, str]) -> str:
    """The folder's README.md: verdicts, table, figures.

    Args:
        info: ``command`` where known; ``training_unread``, why no training is known where one should be.
        captions: of the figures, by file name, in order.
    """
    made_by = info.get("command") or "striate reproduce short-stride"
    parts = [
        "# Short stride: the experiment again\n",
        f"{_PAPER} {_what(result)} Made by `{made_by}`; this file, figures and tables are written by that command.\n",
        "## Verdicts\n",
    ]
    for claim in result.claims:
        parts.append(f"- **{claim.verdict}**: {claim.statement} *Rule:* {claim.rule} *Found:* {claim.evidence}\n")
    parts += [f"- *not judged*: {name}, for want of {lacks}.\n" for name, lacks in result.unjudged]
    parts += ["## Table\n", "Mean \u00b1 standard deviation over the frames of the second and later passes.\n",
              _markdown(HEADS, run_rows(result), left=2)]  # fmt: skip
    if result.comparisons:
        parts += [f"Beside {PILOT_SOURCE}:\n", _markdown(PILOT_HEADS, pilot_rows(result), left=1)]
    if result.training:
        parts += [f"## Training\n\nA dictionary counts as settled when {result.training[0].criterion}.\n",
                  _markdown(TRAINING_HEADS, training_rows(result), left=1)]  # fmt: skip
    if unread := info.get("training_unread"):
        parts.append(f"## Training\n\nHow the dictionaries were learned is not known here: {unread}.\n")
    parts.append("## Figures\n")
    parts += [f"![{text}]({name})\n\n{text}\n" for name, text in captions.items()]
    parts += ["## Frames\n", f"{result.frames.made} {result.frames.credit}".strip() + "\n",
              f"SHA-256 of the frames: `{result.frames.sha256}`\n",
              "## As in the paper, and not\n", SAME + "\n",
              "".join(f"- {text}\n" for text in DIFFERENT)]  # fmt: skip
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def _what(result: ShortStride) -> str:
    count = len(result.frames.frames)
    return (f"{len(result.configurations)} networks at {len(result.thresholds)} thresholds, {count} frames of "
            f"{result.frames.frames[0].shape[1]}x{result.frames.frames[0].shape[2]} pixels in {result.passes} passes, "
            f"{result.steps} steps a frame at eta 1/32.")  # fmt: skip


def _markdown(heads: Sequence[str], rows: Sequence[Sequence[str]], left: int) -> str:
    ruler = ["---" if n < left else "---:" for n in range(len(heads))]
    lines = [heads, ruler, *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
