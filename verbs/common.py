"""What the verbs share: common options, the job's clock and output, reading of designs and crops."""

import json
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..golden.errors import InputError

if TYPE_CHECKING:
    from ..sim.design import Design


class On(StrEnum):
    """Where to encode."""

    GOLDEN = "golden"
    MACHINE = "machine"
    CROSSBAR = "crossbar"


class Schedule(StrEnum):
    """How the machine goes through a step."""

    DELTA = "delta"
    SKIP = "skip"
    DENSE = "dense"
    GRAM = "gram"


DesignFile = Annotated[
    Path | None, typer.Option("--design", metavar="FILE", help="Design file; the defaults without one.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Change one key of the design, as in network.kernels=32; may be repeated."
    ),
]
ScheduleOption = Annotated[
    Schedule | None, typer.Option("--schedule", help="Schedule of the machine: machine.schedule.")
]
Steps = Annotated[int | None, typer.Option("--steps", metavar="N", help="Updates of a frame: dynamics.steps.")]
Seed = Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Seed of everything random.")]
Crop = Annotated[
    str | None, typer.Option("--crop", metavar="Y,X", help="Take the part of the picture that begins at this pixel.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace what is there.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output and nothing else there.")]


class Job:
    """One verb at work: its clock, its progress on standard error, its result on standard output."""

    def __init__(self, as_json: bool) -> None:
        self.as_json, self.started = as_json, time.perf_counter()

    @contextmanager
    def progress(self, text: str) -> Iterator[Callable[[str, float], None]]:
        """A bar with remaining time on a terminal, nothing elsewhere; call with (text, share done)."""
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        ) as bar:
            task = bar.add_task(text, total=1.0)
            yield lambda said, share: bar.update(task, description=said, completed=share)

    def done(self, info: dict[str, Any], design: str | None, rows: Sequence[tuple[str, str]] = ()) -> None:
        """Print the result: the JSON object, or a table of (label, text)."""
        info = self.complete(info, design)
        if self.as_json:
            from ..reports.rundir import plain

            print(json.dumps(plain(info), allow_nan=False))
            return
        wide = max((len(label) for label, _ in rows), default=0)
        for label, text in rows:
            print(f"{label:<{wide}}  {text}".rstrip())

    def complete(self, info: dict[str, Any], design: str | None) -> dict[str, Any]:
        """The keys that every verb has, in front."""
        from .. import __version__

        return {"striate": __version__, **info, "design": design, "seconds": time.perf_counter() - self.started}


class Interrupted(Exception):
    """Ctrl-C, with the line to say of it: where the work is, and how to go on."""


def say(text: str) -> None:
    """One line on standard error."""
    print(f"striate: {' '.join(text.split())}", file=sys.stderr)


def the_command() -> str:
    """What was typed, for reports."""
    return (
        "striate " + shlex.join(sys.argv[1:]) if Path(sys.argv[0]).name in ("striate", "__main__.py", "cli.py") else ""
    )


def read_design(
    file: Path | None, settings: list[str] | None, schedule: Schedule | None = None, steps: int | None = None
) -> "Design":
    """The design that the common options ask for."""
    from ..sim.design import Design

    design = Design.load(file) if file is not None else Design()
    if settings:
        design = design.set(*settings)
    changes: dict[str, Any] = {}
    if schedule is not None:
        changes["machine.schedule"] = schedule.value
    if steps is not None:
        changes["dynamics.steps"] = steps
    return design.replace(changes) if changes else design


def parse_crop(crop: str | None) -> tuple[int, int] | None:
    """ "Y,X" as two numbers."""
    if crop is None:
        return None
    try:
        y, x = (int(part) for part in crop.split(","))
    except ValueError:
        raise InputError(f"--crop must be two whole numbers Y,X such as 0,0, not '{crop}'") from None
    return y, x


def parse_range(text: str | None) -> tuple[int, int] | None:
    """ "A:B" as two numbers."""
    if text is None:
        return None
    try:
        first, after = (int(part) for part in text.split(":"))
    except ValueError:
        raise InputError(f"--trace-steps must be two whole numbers A:B such as 0:20, not '{text}'") from None
    return first, after


def picture_path(picture: str) -> str:
    """The absolute path of a picture, bundled ones included."""
    from ..golden.images import bundled, photograph_path

    named = bundled(picture) and not Path(picture).exists()
    return str(photograph_path(picture) if named else Path(picture).absolute())
