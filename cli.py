"""The command line: parse, call, print. Nothing is computed here.

Exit status 0: done. 1: the job failed (diverged, RTL not equal). 2: wrong use, one line on standard error.
"""

import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .golden.errors import InputError

if TYPE_CHECKING:
    from .sim.design import Design

# One thread multiplies these small matrices fastest; several fight for a busy machine. A value from outside stands.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

app = typer.Typer(
    name="striate",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Convolutional sparse coding from a floating-point model to gates. Every verb has --help with an example.",
)


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
            from .reports.rundir import plain

            print(json.dumps(plain(info), allow_nan=False))
            return
        wide = max((len(label) for label, _ in rows), default=0)
        for label, text in rows:
            print(f"{label:<{wide}}  {text}".rstrip())

    def complete(self, info: dict[str, Any], design: str | None) -> dict[str, Any]:
        """The keys that every verb has, in front."""
        from . import __version__

        return {"striate": __version__, **info, "design": design, "seconds": time.perf_counter() - self.started}


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
    from .sim.design import Design

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


def picture_path(picture: str) -> str:
    """The absolute path of a picture, bundled ones included."""
    from .golden.images import PHOTOGRAPHS, photograph_path

    return str(
        photograph_path(picture) if picture in PHOTOGRAPHS and not Path(picture).exists() else Path(picture).absolute()
    )


@app.callback(invoke_without_command=True)
def top(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Convolutional sparse coding from a floating-point model to gates. Every verb has --help with an example."""
    if version:
        from . import __version__

        print(__version__)
        raise typer.Exit


@app.command()
def demo(
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Folder; build/demo, replaced, without it.")
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """The whole path: photograph, golden, machine, RTL on Verilator, costs, report.html.

    Example: striate demo --out first-light
    """
    from .reports.demo import demo as run_demo
    from .reports.rundir import writing
    from .reports.tables import comparison, demo_lines, verdict

    job, folder = Job(as_json), out if out is not None else Path("build/demo")
    with writing(folder, force or out is None) as aside, job.progress("demo") as tell:
        info = run_demo(aside, tell, job.complete, the_command())
    info |= {"out": str(folder.absolute()), "report": str(folder.absolute() / "report.html")}
    columns = {"golden": info["golden"], "delta": info, **info["schedules"]}
    result = verdict(info["verification"])
    assert result is not None
    if not as_json:
        from rich.console import Console
        from rich.table import Table

        table = Table(title="camera, 128x128, 8 kernels 16x16 at stride 2", title_justify="left")
        table.add_column("")
        for name in columns:
            table.add_column(name, justify="right")
        for row in comparison(columns):
            table.add_row(*row)
        console = Console()
        Console(width=max(console.width, 110)).print(table)
    job.done(info, info["design"], demo_lines(info))
    if not result["passed"]:
        say(f"the RTL does not equal the machine: {result['first'] or result['text']}")
        raise typer.Exit(1)


@app.command()
def new(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The design file to write.")],
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write a design file with every key, its default and a comment.

    Example: striate new design.toml
    """
    from .golden.archive import replacing
    from .reports.record import design_sha256
    from .sim.design import Design
    from .sim.machine import load_dictionary

    job = Job(as_json)
    if file.is_dir():
        raise InputError(f"{file} is a folder; name a file, as in {file / 'design.toml'}")
    if file.exists() and not force:
        raise InputError(f"{file} exists; --force replaces it, or name another file")
    try:
        with replacing(file) as aside:
            aside.write_text(Design.commented_toml(), encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {file}: {error.strerror}; choose another path") from None
    design = Design.load(file)
    job.done({"file": str(file.absolute())}, design_sha256(design, load_dictionary(design)), [("written", str(file))])


@app.command()
def learn(
    pictures: Annotated[
        list[str], typer.Argument(metavar="PICTURES...", help="Image files, or names of bundled photographs.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DICT.npz", help="The dictionary to write.")],
    kernels: Annotated[int, typer.Option("--kernels", "-k", help="Kernels K.")] = 8,
    patch: Annotated[int, typer.Option("--patch", "-p", help="Side of a kernel, pixels.")] = 16,
    stride: Annotated[int, typer.Option("--stride", "-s", help="Pixels between V1 positions.")] = 2,
    channels: Annotated[int, typer.Option("--channels", help="1 gray, 3 colour.")] = 1,
    shown: Annotated[int, typer.Option("--pictures", metavar="N", help="Crops to show.")] = 4000,
    rate: Annotated[float, typer.Option("--rate", help="Learning rate of the Hebbian rule.")] = 0.06,
    decay: Annotated[float, typer.Option("--decay", help="Last learning rate as a share of the first.")] = 0.05,
    crop_size: Annotated[int, typer.Option("--crop-size", help="Side of a crop, pixels.")] = 64,
    scales: Annotated[str, typer.Option("--scales", help="Block sides to shrink by, with commas.")] = "1,2",
    preprocess: Annotated[str, typer.Option("--preprocess", help="centre-surround or none.")] = "centre-surround",
    threshold: Annotated[float, typer.Option("--threshold", help="lambda.")] = 0.05,
    eta: Annotated[float, typer.Option("--eta", help="dt/tau.")] = 1 / 32,
    steps: Annotated[int, typer.Option("--steps", help="Updates a picture.")] = 200,
    residual_cutoff: Annotated[float, typer.Option("--residual-cutoff", help="theta.")] = 0.005,
    warm: Annotated[bool, typer.Option("--warm", help="Keep the membrane from picture to picture.")] = False,
    seed: Seed = 0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Learn a dictionary from pictures. Interrupted, the same command continues. Exit 1, and no dictionary, when more
    than half of the pictures diverged.

    Example: striate learn chelsea coffee rocket -k 8 -p 16 -s 2 --pictures 500 --out mine.npz
    """
    from .golden.learn import LearnOutcome, LearnParams, Progress
    from .golden.learn import learn as golden_learn
    from .golden.preprocess import Preprocess
    from .reports.record import learn_record
    from .reports.tables import learn_lines

    job = Job(as_json)
    try:
        sides = tuple(int(part) for part in scales.split(","))
    except ValueError:
        raise InputError(f"--scales must be whole numbers with commas such as 1,2, not '{scales}'") from None
    if preprocess not in ("centre-surround", "none"):
        raise InputError(f"--preprocess must be centre-surround or none, not '{preprocess}'")
    kind: Preprocess = "none" if preprocess == "none" else "centre-surround"
    params = LearnParams(kernels, patch, stride, channels, shown, rate, decay, crop_size, sides, kind, threshold, eta,
                         steps, residual_cutoff, warm, seed)
    with job.progress("learning") as tell:

        def show(p: Progress) -> None:
            text = f"picture {p.done}/{p.pictures}, kernels move {100 * p.change:.2f} %, error {p.percent_error:.1f} %"
            tell(text, p.done / p.pictures)

        result = golden_learn(params, pictures, out, progress=show, force=force)
    info, sha = learn_record(result, params, out)
    job.done(info, sha, learn_lines(info))
    if result.outcome is LearnOutcome.DIVERGED:
        say(result.outcome.remedy)
        raise typer.Exit(1)


@app.command()
def encode(
    picture: Annotated[
        str, typer.Argument(metavar="PICTURE", help="An image, a .npy file, or a bundled photograph's name.")
    ],
    on: Annotated[
        On, typer.Option("--on", help="Where to encode: golden or machine; crossbar is not there yet.")
    ] = On.GOLDEN,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Keep code, figures and report in this folder.")
    ] = None,
    design_file: DesignFile = None,
    settings: Settings = None,
    schedule: ScheduleOption = None,
    steps: Steps = None,
    crop: Crop = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Sparse-code a picture: code, reconstruction, residual, figures, numbers. Nothing here is random: there is no
    --seed.

    Example: striate encode camera --crop 70,170 --on machine --schedule delta --out run
    """
    job = Job(as_json)
    if on is On.CROSSBAR:
        raise InputError("--on crossbar is not there yet; use golden or machine")
    design = read_design(design_file, settings, schedule, steps)
    from .golden.images import load_image
    from .reports import record
    from .reports.rundir import refuse_existing, writing
    from .reports.tables import encode_lines

    if on is On.MACHINE:
        design.check_machine()
        record.check_board(design.target.board)
    if out is not None:
        refuse_existing(out, force)
    n, at = design.network, parse_crop(crop)
    image = load_image(picture, crop=at, size=n.image, channels=n.channels, preprocess=design.input.preprocess)
    total = design.dynamics.steps
    with job.progress(f"encoding on {on}") as tell:

        def tick(step: int) -> None:
            tell(f"encoding on {on}, step {step}", step / total)

        if on is On.GOLDEN:
            info, arrays, trace, _ = record.run_golden(image, design, frames=out is not None, tick=tick)
        else:
            info, arrays, trace, _ = record.run_machine(
                image, design, frames=out is not None, tick=None if out is None else tick
            )
    info |= {"picture": picture_path(picture), "crop": at, "versions": record.versions(), "command": the_command()}
    if out is not None:
        from .reports.demo import complete

        if design.input.preprocess != "none" and not picture.lower().endswith(".npy"):
            import numpy as np

            photograph = load_image(picture, crop=at, size=n.image, channels=n.channels, preprocess="none")
            trace["photograph"] = np.clip(np.rint(255 * photograph), 0, 255).astype(np.uint8)
        info["out"] = str(out.absolute())
        with writing(out, force) as aside:
            info = complete(aside, job.complete(info, info["design"]), design, arrays, trace)
    rows = encode_lines(info, design.target.clock_mhz)
    if out is not None:
        rows.append(("report", str(out / "report.html")))
    job.done(info, info["design"], rows)
    if info["outcome"] == "diverged":
        say(f"the run diverged after {info['steps']} steps: {info['remedy']}")
        raise typer.Exit(1)


@app.command()
def emit(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to write.")],
    design_file: DesignFile = None,
    settings: Settings = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write Verilog, memory images, a README of ports and registers, and the design file.

    Example: striate emit --set machine.tiles=[2,2] --out build/rtl
    """
    job, design = Job(as_json), read_design(design_file, settings)
    design.check_machine()
    from .hw.emit import emit as hw_emit
    from .reports.record import check_board, design_sha256
    from .sim.machine import load_dictionary

    check_board(design.target.board)
    sha = design_sha256(design, load_dictionary(design))
    files = hw_emit(design, out, force=force)
    job.done(
        {"out": str(out.absolute()), "files": [str(Path(f).absolute()) for f in files]},
        sha,
        [("written", f"{len(files)} files in {out}"), *(("", Path(f).name) for f in files)],
    )


@app.command()
def verify(
    picture: Annotated[
        str | None, typer.Option("--picture", metavar="FILE", help="Compare on this picture; camera without one.")
    ] = None,
    random: Annotated[
        int | None, typer.Option("--random", metavar="N", min=1, help="Compare N random designs instead.")
    ] = None,
    rtl: Annotated[
        Path | None, typer.Option("--rtl", metavar="DIR", help="Check the Verilog of this emitted folder.")
    ] = None,
    wave: Annotated[Path | None, typer.Option("--wave", metavar="FILE.vcd", help="Write a waveform.")] = None,
    design_file: DesignFile = None,
    settings: Settings = None,
    steps: Steps = None,
    seed: Seed = 0,
    crop: Crop = None,
    as_json: Json = False,
) -> None:
    """RTL on Verilator against the machine: every word and every cycle. Exit 1 when they are not equal.

    Example: striate verify --picture camera --crop 104,212 --set network.image=[32,32] --set machine.tiles=[2,2]
    """
    job = Job(as_json)
    if random is not None:
        given = {"--picture": picture, "--crop": crop, "--rtl": rtl, "--wave": wave, "--design": design_file,
                 "--set": settings or None, "--steps": steps}  # fmt: skip
        needless = ", ".join(name for name, value in given.items() if value is not None)
        if needless:
            raise InputError(f"--random {random} draws its own designs and pictures; leave out {needless}")
    if rtl is not None and design_file is None and (rtl / "design.toml").is_file():
        design_file = rtl / "design.toml"
    design = read_design(design_file, settings, None, steps)
    design.check_machine()
    from .golden.images import load_image
    from .reports.record import check_board, design_sha256
    from .sim.machine import load_dictionary

    check_board(design.target.board)
    sha = design_sha256(design, load_dictionary(design)) if random is None else None
    image, at, n = None, parse_crop(crop), design.network
    if random is None:
        if picture is None:
            picture, at = "camera", at or (70, 170)
        image = load_image(picture, crop=at, size=n.image, channels=n.channels, preprocess=design.input.preprocess)
    from .hw.verify import verify as hw_verify
    from .reports.tables import verify_lines

    with job.progress("verifying") as tell:
        result = hw_verify(
            design,
            picture=image,
            random=random,
            seed=seed,
            rtl=rtl,
            wave=wave,
            steps=design.dynamics.steps,
            progress=tell,
        )
    info = result.as_dict() | {"picture": picture_path(picture) if picture else None, "crop": at}
    job.done(info, sha, verify_lines(info))
    if not result.passed:
        first = result.first_divergence or {}
        say(f"the RTL does not equal the machine: {first.get('text', 'see the counts above')}")
        raise typer.Exit(1)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A run directory.")],
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="DIR/report.html without it.")] = None,
    as_json: Json = False,
) -> None:
    """Make the page of a run again: one self-contained HTML file.

    Example: striate report run --out page.html
    """
    from .reports.html import write_report
    from .reports.rundir import load

    job, info = Job(as_json), load(folder).info
    written = write_report(folder, out)
    job.done({"report": str(written.absolute())}, info["design"], [("report", str(written))])


@app.command()
def doctor(as_json: Json = False) -> None:
    """What is installed, what is missing, how to get it. Exit 1 when something required is missing.

    Example: striate doctor
    """
    from dataclasses import asdict

    from .hw.toolchain import doctor as look

    job, tools = Job(as_json), look()
    missing = [tool for tool in tools if tool.required and not tool.ok]
    job.done(
        {"ok": not missing, "tools": [asdict(tool) for tool in tools]},
        None,
        [
            (
                f"{'ok' if t.ok else 'MISSING' if t.required else 'absent'}  {t.name}",
                f"{t.version}  {t.path}" if t.ok else t.remedy,
            )
            for t in tools
        ],
    )
    if missing:
        raise typer.Exit(1)


def wrong_use(error: Any) -> str:
    """typer's complaint about an option or an argument, with the value that it leaves out."""
    text = " ".join(error.format_message().split()).rstrip(".").replace("Value error, ", "")
    cause = error.__cause__
    if hasattr(cause, "errors") and (details := cause.errors()):
        text = text.partition(", unable to parse")[0].replace("Input should be", "must be")
        value = str(details[0].get("input"))
        if f"'{value}'" not in text:
            text += f", not '{value}'"
    return text


def tool_remedy(error: Any, words: Sequence[str]) -> str:
    """What to do about a program that is missing, that refused its input, or that failed in another way."""
    if error.status is None and "install" in str(error):
        return "" if "`striate doctor`" in str(error) else "; `striate doctor` says what is missing"
    if any(word == "--rtl" or word.startswith("--rtl=") for word in words):
        return "; mend that file, or make it anew with `striate emit`"
    return "; this is not about your input: please report it with the command"


INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status. A user's mistake is one line on standard error."""
    words = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        status = app(words, standalone_mode=False, prog_name="striate")
        status = status if isinstance(status, int) else 0
    except InputError as error:
        say(str(error))
        return 2
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except Exception as error:
        if hasattr(error, "format_message"):  # typer's own: wrong options and arguments
            context = getattr(error, "ctx", None)
            path = context.command_path if context is not None else "striate"
            say(f"{wrong_use(error)}; see `{path} --help`")
            return 2
        toolchain = sys.modules.get(f"{__package__}.hw.toolchain")
        if toolchain is not None and isinstance(error, toolchain.ToolError):
            say(f"{error}{tool_remedy(error, words)}")
            return 1
        raise
    if status == INTERRUPTED:  # typer turns an interruption into this status
        verb = next((word for word in words if not word.startswith("-")), "")
        resume = "the same command continues where it stopped" if verb == "learn" else "run the same command again"
        say(f"interrupted; {resume}")
    return status


if __name__ == "__main__":
    raise SystemExit(main())
