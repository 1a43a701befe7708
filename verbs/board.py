"""``striate board``."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .common import Crop, DesignFile, Job, Json, Settings, Steps, parse_crop, picture_path, read_design, say

if TYPE_CHECKING:
    from ..hw.serial.host import Link
    from ..hw.serial.machine import BoardFrame
    from ..sim.run import Run


def board(
    port: Annotated[str, typer.Argument(metavar="PORT", help="Serial port of the board, as in /dev/ttyUSB0.")],
    picture: Annotated[
        str, typer.Argument(metavar="PICTURE", help="An image, a .npy file, or a bundled photograph's name.")
    ],
    baud: Annotated[
        int | None, typer.Option("--baud", metavar="N", min=1, help="Rate of the line; without it target.board's.")
    ] = None,
    frames: Annotated[int, typer.Option("--frames", metavar="N", min=1, help="Send the picture so many times.")] = 1,
    design_file: DesignFile = None,
    settings: Settings = None,
    steps: Steps = None,
    crop: Crop = None,
    as_json: Json = False,
) -> None:
    """Code a picture on a board and compare every code, the flags and the clocks with those of the machine. Exit 1 when
    they are not equal, or the link fails.

    Example: striate board /dev/ttyUSB0 camera --design build/design.toml
    """
    job = Job(as_json)
    design = read_design(design_file, settings, None, steps)
    design.check_machine()
    from ..golden.images import load_image
    from ..hw.boards import board_of
    from ..hw.emit import quantised
    from ..hw.serial.host import Link, LinkError
    from ..hw.serial.port import SerialPort
    from ..reports.record import design_sha256
    from ..sim.machine import load_dictionary, simulate

    rate = baud if baud is not None else board_of(design.target.board).baud
    n, at, dictionary = design.network, parse_crop(crop), load_dictionary(design)
    plan, weights = quantised(design, dictionary)
    image = load_image(picture, crop=at, size=n.image, channels=n.channels, preprocess=design.input.preprocess)
    line = SerialPort(port, rate)
    try:
        info: dict[str, Any] = {
            "board": design.target.board, "port": port, "baud": rate, "picture": picture_path(picture), "crop": at,
        }  # fmt: skip
        with job.progress("board") as tell:
            run = simulate(image, design, dictionary=dictionary)
            info |= _compare(Link(line, rate), plan, weights, run, design.dynamics.steps, frames, tell)
    except LinkError as error:
        say(f"{port}: {error}")
        raise typer.Exit(1) from None
    finally:
        line.close()
    job.done(info, design_sha256(design, dictionary), _rows(info))
    if not info["passed"]:
        say(f"the board does not equal the machine: {info['first_difference']}")
        raise typer.Exit(1)


def _compare(
    link: "Link", plan: Any, weights: Any, run: "Run", steps: int, frames: int, tell: Any
) -> dict[str, Any]:
    """Weights and frames through the link; what the JSON object says of them."""
    from ..hw.serial.machine import BoardMachine, differences, expected_clocks

    assert run.cycles is not None
    started = time.perf_counter()
    machine = BoardMachine(link, plan)
    machine.open()
    machine.load(weights, lambda text, share: tell(text, share / (1 + frames)))

    def told(number: int) -> Callable[[str, float], None]:
        return lambda text, share: tell(f"{text} {number}", (1 + number + share) / (1 + frames))

    seen: list[BoardFrame] = []
    found: list[dict[str, int]] = []
    for number in range(frames):
        seen.append(
            machine.frame(
                run.input, steps=steps, expected=run.cycles.frame,
                tell=told(number),
            )
        )  # fmt: skip
        found.append(differences(seen[-1], run))
    seconds = time.perf_counter() - started
    link.hello()  # its counters
    first = next((n for n, differing in enumerate(found) if differing), None)
    return {
        "passed": first is None,
        "frames": frames,
        "codes": seen[0].beats - 1,
        "mismatches": sum(differing.get("code", 0) for differing in found),
        "first_difference": None if first is None else f"frame {first}: {_said(found[first])}",
        "cycles_rtl": seen[0].clocks,
        "cycles_model": expected_clocks(run),
        "cycles_with_link": seen[0].cycles,
        "requests": link.counters.requests,
        "retries": link.counters.retries,
        "crc_errors": link.counters.crc_errors + link.counters.lost,
        "crc_errors_host": link.counters.crc_errors,
        "crc_errors_board": link.counters.lost,
        "seconds_link": seconds,
    }


def _said(differing: dict[str, int]) -> str:
    """What differs, in words."""
    words = {"code": "neurons differ", "clocks": "clocks more", "flags": "flags differ"}
    return ", ".join(f"{count} {words.get(name, f'{name} differ')}" for name, count in differing.items())


def _rows(info: dict[str, Any]) -> list[tuple[str, str]]:
    verdict = "equal" if info["passed"] else "NOT equal"
    return [
        ("board", f"{info['board']} at {info['port']}, {info['baud']} baud"),
        ("codes", f"{info['codes']} a frame, {info['frames']} frames, {info['mismatches']} neurons differ: {verdict}"),
        ("cycles", f"{info['cycles_rtl']} from last pixel to first code; the model {info['cycles_model']}"),
        ("link", f"{info['seconds_link']:.2f} s, {info['crc_errors']} bad frames, {info['retries']} retries"),
    ]
