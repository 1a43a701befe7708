"""``striate verify``."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..golden.errors import InputError
from .common import Crop, DesignFile, Job, Json, Seed, Settings, Steps, parse_crop, picture_path, read_design, say

if TYPE_CHECKING:
    from ..hw.verify import Verdict


class Top(StrEnum):
    """Which top of the emitted Verilog to drive."""

    STREAM = "stream"
    AXI = "axi"


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
    top: Annotated[
        Top, typer.Option("--top", help="Drive the ready/valid top, or the AXI top: registers, streams, random stalls.")
    ] = Top.STREAM,
    fuzz: Annotated[
        int | None,
        typer.Option(
            "--fuzz", metavar="CYCLES", min=1, help="Legal and malformed traffic on the AXI top for so many clocks."
        ),
    ] = None,
    wave: Annotated[Path | None, typer.Option("--wave", metavar="FILE.vcd", help="Write a waveform.")] = None,
    activity: Annotated[
        bool, typer.Option("--activity", help="Model the frame's energy from what toggles in the RTL, beside counts.")
    ] = False,
    design_file: DesignFile = None,
    settings: Settings = None,
    steps: Steps = None,
    seed: Seed = 0,
    crop: Crop = None,
    as_json: Json = False,
) -> None:
    """RTL on Verilator against the machine: every word and every cycle. Exit 1 when they are not equal.

    With --top axi: a picture through the AXI ports; codes, closing words, registers and the cycle counter. With --fuzz:
    a small machine of its own, unless --design, --set or --rtl name one.

    Example: striate verify --picture camera --crop 104,212 --set network.image=[32,32] --set machine.tiles=[2,2]
    """
    job = Job(as_json)
    if activity and (random is not None or fuzz is not None or top is Top.AXI or rtl is not None):
        asked = {"--random": random, "--fuzz": fuzz, "--rtl": rtl, "--top axi": top is Top.AXI or None}
        needless = ", ".join(name for name, value in asked.items() if value is not None)
        raise InputError(f"--activity counts in the ready/valid top that it makes; leave out {needless}")
    if random is not None:
        given = {"--picture": picture, "--crop": crop, "--rtl": rtl, "--wave": wave, "--design": design_file,
                 "--set": settings or None, "--steps": steps}  # fmt: skip
        needless = ", ".join(name for name, value in given.items() if value is not None)
        if needless:
            raise InputError(f"--random {random} draws its own designs and pictures; leave out {needless}")
        if top is Top.AXI or fuzz is not None:
            raise InputError(f"--random {random} is for the ready/valid top; leave out --top axi and --fuzz")
    if fuzz is not None:
        given = {"--picture": picture, "--crop": crop, "--wave": wave, "--steps": steps}
        needless = ", ".join(name for name, value in given.items() if value is not None)
        if needless:
            raise InputError(f"--fuzz {fuzz} makes its own frames; leave out {needless}")
        top = Top.AXI
    own = fuzz is not None and design_file is None and not settings and rtl is None  # the small machine of the fuzzing
    if rtl is not None and design_file is None and (rtl / "design.toml").is_file():
        design_file = rtl / "design.toml"
    design = read_design(design_file, settings, None, steps)
    design.check_machine()
    from ..golden.images import load_image
    from ..reports.record import check_board, design_sha256
    from ..sim.machine import load_dictionary

    check_board(design.target.board)
    sha = design_sha256(design, load_dictionary(design)) if random is None and not own else None
    image, at, n = None, parse_crop(crop), design.network
    if random is None and fuzz is None:
        if picture is None:
            picture, at = "camera", at or (70, 170)
        image = load_image(picture, crop=at, size=n.image, channels=n.channels, preprocess=design.input.preprocess)
    from ..reports.tables import verify_lines

    result: Verdict
    with job.progress("verifying") as tell:
        if fuzz is not None:
            from ..hw.verify_axi import fuzz as hw_fuzz

            result = hw_fuzz(fuzz, design=None if own else design, seed=seed, rtl=rtl, progress=tell)
        elif top is Top.AXI:
            from ..hw.verify_axi import verify_axi

            result = verify_axi(
                design, picture=image, seed=seed, rtl=rtl, wave=wave, steps=design.dynamics.steps, progress=tell
            )
        else:
            from ..hw.verify import verify as hw_verify

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
        energy: dict[str, Any] = {}
        if activity and result.passed:
            from ..hw.activity import of_design

            assert image is not None  # random designs and fuzzing, which have none, were refused
            tell("counting toggles", 0.0)
            energy = of_design(design, image).as_dict()
    info = {"top": top.value, "fuzz_cycles": 0, "violations": 0} | result.as_dict()
    info |= {"picture": picture_path(picture) if picture else None, "crop": at}
    info |= energy
    job.done(info, sha, _lines(info, verify_lines(info)))
    if not result.passed:
        first = result.first_divergence or {}
        say(f"the RTL does not equal the machine: {first.get('text', 'see the counts above')}")
        raise typer.Exit(1)


def _lines(info: dict[str, Any], lines: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The table: ``lines`` of any verification, and what the AXI top adds."""
    if "energy_ratio" in info:
        from ..reports.tables import si

        by_toggles, by_counts = (si(info[f"energy_{way}_pj"][1] * 1e-12, "J") for way in ("activity", "counts"))
        text = f"{by_toggles} by toggles, {by_counts} by counts, ratio {info['energy_ratio']:.2f}"
        return [*lines, ("energy of the frame, modelled", text)]
    if info["top"] != Top.AXI.value:
        return lines
    rows = [("AXI rules", f"{info['violations']} violations")]
    if info["fuzz_cycles"]:
        done = f"{info['fuzz_cycles']:,} clocks, {info['frames']:,} frames, {info['words_compared']:,} values compared"
        lines = [("fuzzing", done), *((name, f"{count:,}") for name, count in info["mix"].items())]
    stood = ", ".join(f"{port} {clocks:,}" for port, clocks in info["stalled"].items())
    return [*lines, *rows, ("clocks stood still", stood)]
