"""A video's run: its JSON object, its arrays, its table and its figure."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..golden.archive import save_npz
from ..sim.design import Design
from ..sim.machine import load_dictionary
from ..sim.run import Run
from ..sim.video import Video
from . import figures, rundir
from .record import code_sha256, design_sha256
from .tables import Lines, number

Array = npt.NDArray[np.float64]
STRIP = 6
"""Most frames that the figure shows as pictures."""


class Kept:
    """What is kept of every frame: an observer of `sim.video.play`."""

    def __init__(self) -> None:
        self.runs: list[dict[str, npt.NDArray[np.int64]]] = []

    def __call__(self, number: int, run: Run) -> None:
        self.runs.append({"input": run.input, "code": run.code, "residual": run.residual})

    def stacked(self, name: str) -> npt.NDArray[np.int64]:
        """(frames, ...) of one array of every frame."""
        return np.stack([run[name] for run in self.runs])


def video_json(design: Design, warm: Video, cold: Video | None, last_code: npt.NDArray[np.int64]) -> dict[str, Any]:
    """The JSON object of a video: numbers of each frame, and of the sequence."""
    latency = warm.latency_ms
    return {
        "on": "video",
        "design": design_sha256(design, load_dictionary(design)),
        "schedule": design.machine.schedule,
        "clock_mhz": warm.clock_mhz,
        "frames": [frame.as_dict() for frame in warm.frames],
        "cold_frames": None if cold is None else [frame.as_dict() for frame in cold.frames],
        "latency_ms": None if not len(latency) else {"median": float(np.median(latency)), "max": float(latency.max())},
        "frames_per_second": warm.frames_per_second,
        "cold_frames_per_second": None if cold is None else cold.frames_per_second,
        "code_sha256": code_sha256(last_code),
        "outcome": "diverged" if any(f.outcome == "diverged" for f in warm.frames) else warm.frames[-1].outcome,
        "warnings": [f"R left its word in frame {f.number}: its code is not to be trusted" for f in warm.frames
                     if f.overflow],
    }  # fmt: skip


def video_lines(info: dict[str, Any]) -> list[str]:
    """The table of a video on a terminal, a line a frame; then what the sequence came to."""
    cold = info["cold_frames"]
    heads = ["frame", "steps", "changed pixels", "code events", "residual events", "error %", "cycles", "ms"]
    if cold is not None:
        heads += ["cold: steps", "code events", "residual events", "error %"]
    rows = []
    for n, f in enumerate(info["frames"]):
        clock = None if f["cycles"] is None else f["cycles"] / info["clock_mhz"] * 1e-3
        row = [f["number"], f["steps"], f["changed_pixels"], f["code_events"], f["residual_events"],
               f["percent_error"], f["cycles"], clock]  # fmt: skip
        if cold is not None:
            c = cold[n]
            row += [c["steps"], c["code_events"], c["residual_events"], c["percent_error"]]
        rows.append([number(value) for value in row])
    widths = [max(len(row[n]) for row in (heads, *rows)) for n in range(len(heads))]
    return ["  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True)) for row in (heads, *rows)]


def summary(info: dict[str, Any]) -> Lines:
    """The sequence in a few lines."""
    lines = [("code events after the first frame", f"{_share(info, 'code_events')}"),
             ("steps after the first frame", f"{_share(info, 'steps')}")]  # fmt: skip
    if info["frames_per_second"] is not None:
        rate = f"{info['frames_per_second']:.1f} frames/s at {info['clock_mhz']:g} MHz (target)"
        if info["cold_frames_per_second"] is not None:
            rate += f", {info['cold_frames_per_second']:.1f} cold"
        latency = info["latency_ms"]
        lines += [("rate", rate), ("latency", f"{latency['median']:.2f} ms median, {latency['max']:.2f} ms longest")]
    return [*lines, *(("warning", text) for text in info["warnings"])]


def _share(info: dict[str, Any], name: str) -> str:
    warm, cold = (
        None if frames is None else sum(f[name] for f in frames[1:]) for frames in (info["frames"], info["cold_frames"])
    )
    text = number(warm)
    return text if not cold else f"{text} warm, {number(cold)} cold ({100 * warm / cold:.1f} %)"  # type: ignore[operator]


def video_arrays(design: Design, kept: Kept, warm: Video) -> dict[str, npt.NDArray[Any]]:
    """Arrays of every frame: input, code and residual words, and the error after each step (NaN beyond the last)."""
    most = max(len(f.error_curve) for f in warm.frames)
    curves = np.full((len(warm.frames), most), np.nan)
    for f in warm.frames:
        curves[f.number, : len(f.error_curve)] = f.error_curve
    arrays: dict[str, npt.NDArray[Any]] = {name: kept.stacked(name) for name in ("input", "code", "residual")}
    arrays["frac_input"], arrays["frac_code"], arrays["frac_residual"] = (
        np.asarray(frac) for frac in (design.formats.input.frac, design.formats.code.frac, design.residual_frac)
    )
    return arrays | {"percent_error": curves}


def video_figure(images: Sequence[Array], reconstructions: Sequence[Array], warm: Video, cold: Video | None) -> Figure:
    """Some frames as seen and as reconstructed; events, error and steps of every frame, warm and cold.

    Args:
        images, reconstructions: (C, H, W) each, in units of the image.
    """
    shown = np.unique(np.linspace(0, len(images) - 1, min(STRIP, len(images))).astype(int))
    limit = float(max(np.abs(images[n]).max() for n in shown)) or 1.0
    numbers = np.arange(len(warm.frames))
    with rc_context(figures.STYLE):
        figure = Figure((9.6, 6.2))
        above, below = figure.subfigures(2, 1, height_ratios=(1.25, 1), squeeze=False)[:, 0]
        grid = above.subplots(2, len(shown), squeeze=False)
        for place, n in enumerate(shown):
            for axes, picture in ((grid[0][place], images[n]), (grid[1][place], reconstructions[n])):
                axes.imshow(figures.picture_rgb(picture, limit), interpolation="none")
                axes.set(xticks=[], yticks=[])
                axes.grid(False)
            grid[0][place].set_title(f"frame {n}")
        grid[0][0].set_ylabel("seen")
        grid[1][0].set_ylabel("reconstructed")
        plots = below.subplots(1, 3)
        for axes, (title, name) in zip(
            plots, (("code events", "code_events"), ("steps", "steps"), ("percent error", "percent_error")), strict=True
        ):
            for video, label, colour in ((cold, "cold", figures.COLOURS[7]), (warm, "warm", figures.COLOURS[0])):
                if video is not None:
                    axes.plot(numbers, [getattr(f, name) for f in video.frames], "o-", ms=3, color=colour, label=label)
            axes.set(xlabel="frame", title=title, ylim=(0, 1.1 * axes.get_ylim()[1]))
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if cold is not None:
            plots[0].legend()
    return figure


def save_video(
    folder: Path,
    info: dict[str, Any],
    design: Design,
    images: Sequence[Array],
    kept: Kept,
    warm: Video,
    cold: Video | None,
) -> None:
    """Write run.json, design.toml, video.npz and video.png into a folder."""
    rundir.write_json(folder / "run.json", info)
    design.dump(folder / "design.toml")
    save_npz(folder / "video.npz", video_arrays(design, kept, warm))
    residual = kept.stacked("residual") * 2.0**-design.residual_frac
    seen = kept.stacked("input") * design.formats.input.scale
    figures.png(video_figure(images, list(seen - residual), warm, cold), folder / "video.png")
