"""Dynamics on video: steps and events of warm frames against cold ones, at equal error and at equal steps; what a
changed part of the picture costs; step-shift schedules. Counts of the bit-exact machine: nothing here is timed.

    python benchmarks/video.py [--quick]

Pictures: 128x128 of the bundled photograph "camera" (no dictionary was learned on it) from 70,170; the pan moves by 1
or 2 pixels a frame; the object is a square of "astronaut" that moves 2 pixels a frame over the still scene. Five
frames; means over the four after the first, which is cold. The error of reference is that of a cold start of 200 steps
at shift 5. Where the cost of a change is asked for, the first frame has 1000 steps: little is left of its start then.
"""

import statistics
from collections.abc import Sequence
from typing import Any

from common import Row, arguments, finish, machine

from striate.golden.video import Array, moving_object, pan
from striate.sim.design import Design
from striate.sim.video import Frame, Player, Video, play, play_until

SIZE, CROP, FRAMES = (128, 128), (70, 170), 5
SCHEDULES: dict[str, Any] = {"5": 5, "[[0,5],[20,4]]": ((0, 5), (20, 4)), "4": 4}
MORE: dict[str, Any] = {
    **SCHEDULES, "6": 6, "[[0,6],[10,5],[20,4]]": ((0, 6), (10, 5), (20, 4)), "[[0,5],[10,4]]": ((0, 5), (10, 4)),
    "[[0,5],[20,4],[60,3]]": ((0, 5), (20, 4), (60, 3)), "3": 3,
}  # fmt: skip
LONGEST = 300
"""Steps after which a frame that did not reach the error is given up."""


def design(kernels: int, **keys: Any) -> Design:
    """The default design of 8 or 32 kernels; R is as wide as proven, so that no run can leave it."""
    lanes = {"gather_lanes": 16} if kernels == 8 else {"gather_lanes": 32}
    return Design(kernels=kernels, residual_accumulator=0, **lanes, **keys)


def object_frames(extent: int, count: int = FRAMES) -> list[Array]:
    """The still scene with a square of that side moving over it."""
    return moving_object(
        "camera", "astronaut", count, size=SIZE, crop=CROP, extent=(extent, extent), cut_at=(64, 192),
        start=(64 - extent // 2, 40 - extent // 2), step=(0, 2),
    )  # fmt: skip


def sequences(count: int) -> dict[str, list[Array]]:
    """Name to frames."""
    return {
        "pan, 1 pixel a frame": pan("camera", count, size=SIZE, start=CROP),
        "pan, 2 pixels a frame": pan("camera", count, size=SIZE, start=CROP, step=(0, 2)),
        "object of 24x24, 2 pixels a frame": object_frames(24, count),
    }


def mean(frames: Sequence[Frame], name: str) -> float:
    """Over the frames after the first."""
    return statistics.fmean(getattr(f, name) for f in frames[1:])


def columns(video: Video) -> dict[str, float]:
    """What a warm or cold sequence took, a frame."""
    wanted = ("steps", "code_events", "residual_events", "percent_error", "cycles")
    return {name: mean(video.frames, name) for name in wanted}


def equal_error(kernels: int, count: int) -> list[Row]:
    """Warm against cold, each frame with just the steps that its cold start's error of 200 steps takes."""
    rows = []
    for name, images in sequences(count).items():
        whole = play(images, design(kernels), cold=True)
        errors = [f.percent_error for f in whole.frames]
        for label, shift in SCHEDULES.items():
            chosen = design(kernels, step_shift=shift, steps=LONGEST)
            for tolerance in (0.0, 0.05, 0.1):
                for start in ("cold", "warm"):
                    video, reached = play_until(images, errors, chosen, cold=start == "cold", tolerance=tolerance)
                    diverged = sum(f.outcome == "diverged" for f in video.frames)
                    note = "" if all(reached) else f"{count - sum(reached)} of {count} frames never get there"
                    if diverged:
                        note += f"{', ' if note else ''}{diverged} of {count} end as diverged"
                    rows.append({
                        "group": f"{kernels} kernels, {name}: to the error of 200 cold steps at shift 5",
                        "what": f"within {100 * tolerance:g} %, shift {label}, {start}", "note": note, **columns(video),
                    })  # fmt: skip
    return rows


def equal_steps(kernels: int, count: int) -> list[Row]:
    """Warm against cold with the same few steps for every frame."""
    rows = []
    for name, images in sequences(count).items():
        for steps in (10, 25, 50, 100, 200):
            for start in ("cold", "warm"):
                video = play(images, design(kernels, steps=steps), cold=start == "cold")
                rows.append({
                    "group": f"{kernels} kernels, {name}: the same steps for every frame, shift 5",
                    "what": f"{steps} steps, {start}", **columns(video),
                })  # fmt: skip
    return rows


def changed_area(kernels: int, count: int) -> list[Row]:
    """The still scene with larger and larger objects, 100 steps a frame: cost against what changed."""
    rows = []
    for extent in (0, 8, 16, 24, 32, 48, 64):
        images = object_frames(extent, count) if extent else [object_frames(8, 1)[0]] * count
        player = Player(design(kernels))
        warm = [player.frame(image, 100 if n else 1000)[0] for n, image in enumerate(images)]
        changed, events = mean(warm, "changed_pixels"), mean(warm, "code_events")
        rows.append({
            "group": f"{kernels} kernels, still scene with an object: cost against what changed, 100 steps a frame",
            "what": f"object of {extent}x{extent}" if extent else "nothing moves",
            "changed_pixels": changed, "code_events": events,
            **({"events_per_changed_pixel": events / changed} if changed else {}),
            "residual_events": mean(warm, "residual_events"), "cycles": mean(warm, "cycles"),
        })  # fmt: skip
    cold = play(object_frames(24, 2), design(kernels, steps=100), cold=True)
    rows.append({
        "group": rows[0]["group"], "what": "cold start", "changed_pixels": mean(cold.frames, "changed_pixels"),
        "code_events": mean(cold.frames, "code_events"),
        "events_per_changed_pixel": mean(cold.frames, "code_events") / mean(cold.frames, "changed_pixels"),
        "residual_events": mean(cold.frames, "residual_events"), "cycles": mean(cold.frames, "cycles"),
    })  # fmt: skip
    return rows


def step_shifts(kernels: int, count: int) -> list[Row]:
    """Cold starts with every schedule: steps, events and clocks to the error of 200 steps at shift 5; stability."""
    places = [(192, 192), (0, 0), (100, 300), (60, 180), (300, 50), (384, 300)][: count + 1]
    images = [pan("camera", 1, size=SIZE, start=place)[0] for place in places]
    count = len(images)
    errors = [f.percent_error for f in play(images, design(kernels), cold=True).frames]
    rows = []
    for label, shift in MORE.items():
        chosen = design(kernels, step_shift=shift, steps=LONGEST)
        video, reached = play_until(images, errors, chosen, cold=True)
        whole = play(images, design(kernels, step_shift=shift), cold=True)
        note = "" if all(reached) else f"{count - sum(reached)} of {count} pictures never get there"
        late = [f.outcome for f in whole.frames]
        rows.append({
            "group": f"{kernels} kernels, cold starts on {count} pictures: to the error of 200 steps at shift 5",
            "what": f"shift {label}", "note": note,
            "steps": statistics.median(f.steps for f in video.frames),
            "code_events": statistics.median(f.code_events for f in video.frames),
            "residual_events": statistics.median(f.residual_events for f in video.frames),
            "cycles": statistics.median(f.cycles or 0 for f in video.frames),
            "error_after_200_steps": statistics.median(f.percent_error for f in whole.frames),
            "diverged_after_200_steps": late.count("diverged"),
        })  # fmt: skip
    return rows


def settling(kernels: int, count: int) -> list[Row]:
    """Frames that end by themselves (dynamics.settle = 8) or after 2000 steps, and the events of the last 100 steps."""
    rows = []
    still = object_frames(8, 1)
    for name, images in (("object of 24x24", object_frames(24, count)), ("nothing moves", still * count)):
        for label, shift in SCHEDULES.items():
            video = play(images, design(kernels, settle=8, steps=2000, step_shift=shift))
            player = Player(design(kernels, steps=2000, step_shift=shift))
            late = [int(player.frame(image, 2000)[1].steps.code_events[-100:].sum()) for image in images[:2]]
            rows.append({
                "group": f"{kernels} kernels, still scene, settle = 8, at most 2000 steps a frame",
                "what": f"{name}, shift {label}", "first_frame": video.frames[0].steps,
                "later_frames": mean(video.frames, "steps"),
                "settled": sum(f.steps < 2000 for f in video.frames), "of": count,
                "code_events": mean(video.frames, "code_events"), "events_of_steps_1900_to_2000": late[-1],
            })  # fmt: skip
    return rows


def main() -> None:
    """Measure, print, write."""
    options, where = arguments(__doc__, repeats=1), machine()
    count, kernels = (2, (8,)) if options.quick else (FRAMES, (8, 32))
    rows: list[Row] = []
    for part in (equal_error, equal_steps, changed_area, step_shifts, settling):
        for k in kernels:
            rows += part(k, count)
    finish("video", rows, where, options)


if __name__ == "__main__":
    main()
