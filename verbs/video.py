"""``striate video``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..golden.errors import InputError
from .common import (
    Crop,
    DesignFile,
    Force,
    Job,
    Json,
    ScheduleOption,
    Settings,
    Steps,
    parse_crop,
    read_design,
    say,
    the_command,
)

if TYPE_CHECKING:
    from ..golden.video import Array
    from ..reports.video import Kept
    from ..sim.run import Run
    from ..sim.video import Observer


def video(
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FOLDER|FILE]",
            help="Frames: the pictures of a folder in the order of names, or a video file that FFmpeg decodes.",
        ),
    ] = None,
    pan: Annotated[
        str | None, typer.Option("--pan", metavar="PICTURE", help="Frames: a crop that moves over this picture.")
    ] = None,
    zoom: Annotated[
        str | None, typer.Option("--zoom", metavar="PICTURE", help="Frames: this picture nearer with each frame.")
    ] = None,
    factor: Annotated[
        float,
        typer.Option("--factor", metavar="F", help="What multiplies the zoom's scale with a frame; above 1 moves out."),
    ] = 0.98,
    scale: Annotated[
        float,
        typer.Option("--scale", metavar="S", help="Pixels of the picture a pixel, in the zoom's first frame."),
    ] = 2.0,
    moving: Annotated[
        str | None,
        typer.Option("--object", metavar="PICTURE", help="Frames: a part of this picture that moves over --scene."),
    ] = None,
    scene: Annotated[str, typer.Option("--scene", metavar="PICTURE", help="What the object moves over.")] = "camera",
    extent: Annotated[str, typer.Option("--extent", metavar="H,W", help="Size of the object in pixels.")] = "24,24",
    count: Annotated[
        int | None,
        typer.Option("--frames", metavar="N", min=1, help="So many frames; of a folder at most. Else all, made 8."),
    ] = None,
    step: Annotated[
        str, typer.Option("--step", metavar="DY,DX", help="Pixels that the pan or the object moves with a frame.")
    ] = "0,2",
    until: Annotated[
        float | None,
        typer.Option(
            "--until",
            metavar="PERCENT",
            min=0.0,
            help="Give each frame only the steps until its error is within this of a whole cold start's.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Keep run.json, video.npz and a figure in this folder.")
    ] = None,
    design_file: DesignFile = None,
    settings: Settings = None,
    schedule: ScheduleOption = None,
    steps: Steps = None,
    crop: Crop = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Code the frames of a video on the machine, each one from the state of the one before, and cold for comparison.

    Example: striate video --object astronaut --crop 70,170 --frames 6 --steps 100
    """
    job = Job(as_json)
    _check_source(source, pan, zoom, moving)
    if moving is None and (scene, extent) != ("camera", "24,24"):
        raise InputError("--scene and --extent are those of a moving object; add --object PICTURE or leave them out")
    if zoom is None and (factor, scale) != (0.98, 2.0):
        raise InputError("--factor and --scale are those of a zoom; add --zoom PICTURE or leave them out")
    if pan is None and moving is None and step != "0,2":
        raise InputError("--step moves a pan or an object, and other frames are as they are; leave it out")
    at = parse_crop(crop)
    if at is not None and (zoom is not None or (source is not None and not source.is_dir())):
        raise InputError("--crop is for pictures: a zoom and a video file show their middle; leave it out")
    design = read_design(design_file, settings, schedule, steps)
    design.check_machine()
    from ..reports.record import check_board, versions
    from ..reports.rundir import refuse_existing, writing

    check_board(design.target.board)
    if out is not None:
        refuse_existing(out, force)
    from ..golden import video as made
    from ..reports.video import Kept, save_video, summary, video_json, video_lines
    from ..sim.video import Player, play, play_until

    Player(design)  # what it refuses is said before any work
    n = design.network
    common = {"size": n.image, "channels": n.channels, "kind": design.input.preprocess}
    images: list[Array]
    if source is not None and source.is_dir():
        images = made.folder_frames(source, crop=at, most=count, **common)  # type: ignore[arg-type]
    elif source is not None:
        from ..golden.video_file import file_frames

        images = file_frames(source, most=count, **common)  # type: ignore[arg-type]
    elif zoom is not None:
        images = made.zoom(zoom, count or 8, start_scale=scale, factor=factor, **common)  # type: ignore[arg-type]
    elif pan is not None:
        images = made.pan(pan, count or 8, start=at or (0, 0), step=_pair("--step", step, "0,2"), **common)  # type: ignore[arg-type]
    else:
        size = _pair("--extent", extent, "24,24")
        images = made.moving_object(
            scene, str(moving), count or 8, crop=at or (0, 0), extent=size, cut_at=(64, 192),
            start=((n.image[0] - size[0]) // 2, 0), step=_pair("--step", step, "0,2"), **common,  # type: ignore[arg-type]
        )  # fmt: skip
    kept = Kept()
    with job.progress("coding frames") as tell:

        def watch(done: int, into: "Kept | None" = None) -> "Observer":
            def seen(number: int, run: "Run") -> None:
                if into is not None:
                    into(number, run)
                tell(f"coding frame {number}", (done + number + 1) / (2 * len(images)))

            return seen

        cold = play(images, design, cold=True, observe=watch(0))
        if until is None:
            warm = play(images, design, observe=watch(len(images), kept))
        else:
            errors = [frame.percent_error for frame in cold.frames]
            share = until / 100
            warm, reached = play_until(images, errors, design, tolerance=share, observe=watch(len(images), kept))
            cold = play_until(images, errors, design, tolerance=share, cold=True)[0]
    info = video_json(design, warm, cold, kept.runs[-1]["code"])
    info |= {"frames_from": str(source or pan or zoom or moving), "crop": at}
    info |= {"versions": versions(), "command": the_command()}
    if until is not None:
        info |= {"until_percent": until, "reached": list(reached)}
    if out is not None:
        info["out"] = str(out.absolute())
        with writing(out, force) as aside:
            save_video(aside, job.complete(info, info["design"]), design, images, kept, warm, cold)
    if not as_json:
        for line in video_lines(info):
            print(line)
    job.done(info, info["design"], summary(info) + ([("kept in", str(out))] if out is not None else []))
    if info["outcome"] == "diverged":
        first = next(frame for frame in warm.frames if frame.outcome == "diverged")
        say(f"frame {first.number} diverged: raise dynamics.step_shift by 1 or raise the threshold")
        raise typer.Exit(1)


def _check_source(source: Path | None, pan: str | None, zoom: str | None, moving: str | None) -> None:
    """Exactly one source of frames."""
    given = (("FOLDER or FILE", source), ("--pan", pan), ("--zoom", zoom), ("--object", moving))
    names = [name for name, value in given if value is not None]
    if len(names) != 1:
        raise InputError(
            f"a video has one source of frames and {' and '.join(names) or 'none'} {'were' if names else 'was'} given; "
            "use FOLDER, a video FILE, --pan PICTURE, --zoom PICTURE or --object PICTURE"
        )
    if source is not None and not source.exists():
        raise InputError(f"{source}: no such folder or video; give a folder with a picture for each frame, or a file")


def _pair(option: str, text: str, example: str) -> tuple[int, int]:
    """ "A,B" as two numbers."""
    try:
        a, b = (int(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"{option} must be two whole numbers such as {example}, not '{text}'") from None
    return a, b
