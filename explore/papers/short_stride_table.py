"""The short-stride experiment as one JSON object, and as lines for a terminal.

Its short names: ``percent_error``, ``100 |x - Phi y| / |x|``, and ``percent_inactive``, of V1 units: means over the
frames of the second and later passes; ``_sd``: the sample's standard deviation over them; ``points``: how many;
``eta``: dt/tau, and ``steps`` of a frame; ``retreats``: larger steps that diverged before, and where; ``seconds``:
that the run took in its process; ``outcomes``: how many frames of those passes ended how; ``ellipse``: of 2 sigma,
centre and half-axes in percentage points, (inactive, error), and the angle of the longer in radians from the axis of
inactivity; ``changes``: from each pass to the next, by frame, mean and largest, in percentage points.
"""

from collections import Counter
from dataclasses import asdict
from typing import Any

from .configurations import PILOT_SOURCE
from .ellipse import ellipse_of
from .short_stride import Comparison, Run, ShortStride, cloud, pass_changes, summary
from .support import SHARE, Support


def run_dict(run: Run) -> dict[str, Any]:
    """One run, without its frames."""
    mean, ellipse = summary(cloud(run)), ellipse_of(cloud(run))
    return {
        "configuration": run.configuration, "threshold": run.threshold,
        "percent_error": mean.error, "percent_error_sd": mean.error_sd,
        "percent_inactive": mean.inactive, "percent_inactive_sd": mean.inactive_sd, "points": mean.points,
        "eta": run.eta, "steps": run.steps, "engine": run.engine, "retreats": [asdict(each) for each in run.retreats],
        "seconds": run.seconds, "outcomes": dict(Counter(point.outcome for point in cloud(run))),
        "ellipse": asdict(ellipse), "changes": [asdict(change) for change in pass_changes(run)],
    }  # fmt: skip


def as_dict(found: ShortStride) -> dict[str, Any]:
    """Everything but pictures, kernels and single frames."""
    frames = found.frames
    return {
        "on": "short-stride",
        "configurations": [
            {
                "name": each.name, "kernels": each.kernels, "patch": each.patch, "stride": each.stride,
                "overcompleteness": float(each.overcompleteness), "families": list(each.families),
                "dictionary_sha256": found.dictionaries[each.name].sha256,
                "dictionary_source": found.dictionaries[each.name].source,
            }
            for each in found.configurations
        ],
        "thresholds": list(found.thresholds), "passes": found.passes, "steps": found.steps, "seed": found.seed,
        "frames": {
            "name": frames.name, "count": len(frames.frames), "shape": list(frames.frames[0].shape),
            "sha256": frames.sha256, "made": frames.made, "credit": frames.credit, "motion": list(frames.motion),
        },
        "runs": [run_dict(run) for run in found.runs],
        "failed": [{"configuration": name, "threshold": at, "error": why} for name, at, why in found.failed],
        "claims": [{**asdict(claim), "verdict": claim.verdict.value} for claim in found.claims],
        "unjudged": [{"name": name, "lacks": lacks} for name, lacks in found.unjudged],
        "pilot": {"source": PILOT_SOURCE, "rows": [comparison_dict(each) for each in found.comparisons]},
        "supports": [_support_dict(each) for each in found.supports],
        "shapes": [asdict(each) for each in found.shapes],
        "training": [
            {**asdict(each), "settled": each.settled, "pictures": each.pictures} for each in found.training
        ],
        "shown_frame": found.shown_frame, "shown_threshold": found.shown_threshold,
    }  # fmt: skip


def comparison_dict(each: Comparison) -> dict[str, Any]:
    """A row beside the pilot's; the frames are not the same."""
    good, at_equal = each.as_good, each.as_good_at_equal_error
    return {**asdict(each), "at_least_as_good": good, "at_least_as_good_at_equal_error": at_equal}


def _support_dict(each: Support) -> dict[str, Any]:
    return {**asdict(each), "median_pixels": each.median_pixels, "share_of_energy": SHARE}


def lines(found: ShortStride) -> list[str]:
    """Tables and verdicts for a terminal."""
    heads = [f"{'':<10}", *(f"{f'at {threshold:g}':>17}" for threshold in found.thresholds)]
    text = ["percent error / percent inactive, means of the second and later passes", "".join(heads)]
    for each in found.configurations:
        cells = []
        for threshold in found.thresholds:
            run = found.run(each.name, threshold)
            mean = None if run is None else summary(cloud(run))
            cells.append(f"{'failed' if mean is None else f'{mean.error:.1f} / {mean.inactive:.2f}':>17}")
        text.append(f"{each.name:<10}{''.join(cells)}")
    text.append("")
    text += [f"{claim.name}: {claim.verdict.value}. {claim.evidence}" for claim in found.claims]
    text += [f"{name}: not judged, for want of {lacks}" for name, lacks in found.unjudged]
    return text
