"""``striate verify``."""

from pathlib import Path
from typing import Annotated

import typer

from ..golden.errors import InputError
from .common import Crop, DesignFile, Job, Json, Seed, Settings, Steps, parse_crop, picture_path, read_design, say


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
    from ..golden.images import load_image
    from ..reports.record import check_board, design_sha256
    from ..sim.machine import load_dictionary

    check_board(design.target.board)
    sha = design_sha256(design, load_dictionary(design)) if random is None else None
    image, at, n = None, parse_crop(crop), design.network
    if random is None:
        if picture is None:
            picture, at = "camera", at or (70, 170)
        image = load_image(picture, crop=at, size=n.image, channels=n.channels, preprocess=design.input.preprocess)
    from ..hw.verify import verify as hw_verify
    from ..reports.tables import verify_lines

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
