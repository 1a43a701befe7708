"""``striate emit``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..golden.errors import InputError
from .common import DesignFile, Force, Job, Json, Settings, read_design

if TYPE_CHECKING:
    from ..sim.design import Design


def emit(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to write.")],
    board: Annotated[
        str | None,
        typer.Option("--board", metavar="BOARD", help="For Vivado on this AMD board: arty-a7-35, zynq-7020..."),
    ] = None,
    clock: Annotated[
        float | None, typer.Option("--clock", metavar="MHZ", help="With --board: the clock; the board's own without.")
    ] = None,
    baud: Annotated[
        int | None, typer.Option("--baud", metavar="N", min=1, help="With --board: rate of its serial link.")
    ] = None,
    design_file: DesignFile = None,
    settings: Settings = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write Verilog of the AXI and the ready/valid top, the register map, weights, testbench, constraints, a README.

    With --board: the machine with the pins, clock and serial link of an AMD board, and the script that Vivado runs.

    Example: striate emit --set machine.tiles=[2,2] --out build/rtl
    """
    job, design = Job(as_json), read_design(design_file, settings)
    if clock is not None and board is None:
        raise InputError("--clock is that of a --board; without one the clock is target.clock_mhz of the design")
    if baud is not None and board is None:
        raise InputError("--baud is that of a --board; leave it out, or name the board")
    design.check_machine()
    from ..hw.emit import emit as hw_emit
    from ..reports.record import check_board, design_sha256
    from ..sim.machine import load_dictionary

    if board is not None:
        _for_vivado(job, design, board, out, clock=clock, baud=baud, force=force)
        return
    check_board(design.target.board)
    sha = design_sha256(design, load_dictionary(design))
    files = hw_emit(design, out, force=force)
    job.done(
        {"out": str(out.absolute()), "files": [str(Path(f).absolute()) for f in files]},
        sha,
        [("written", f"{len(files)} files in {out}"), *(("", Path(f).name) for f in files)],
    )


def _for_vivado(
    job: Job, design: "Design", board: str, out: Path, *, clock: float | None, baud: int | None, force: bool
) -> None:
    """The folder of a board, at ``clock`` (MHz) or the board's own; what is printed is the clock that its PLL makes."""
    from ..hw.boards import board_of
    from ..hw.boards.export import SCRIPT, export_vivado, part_of
    from ..hw.pll import pll_of
    from ..reports.record import design_sha256
    from ..sim.machine import load_dictionary

    part = board_of(board)
    clock_mhz = part.clock_mhz if clock is None else clock
    design = design.replace({"target.board": board, "target.clock_mhz": float(clock_mhz)})
    dictionary = load_dictionary(design)
    files = export_vivado(part, design, out, clock_mhz, baud=baud, dictionary=dictionary, force=force)
    clock_mhz = float(pll_of(part.pll, part.input_mhz, clock_mhz).output_mhz)
    job.done(
        {
            "out": str(out.absolute()), "files": [str(path.absolute()) for path in files], "board": board,
            "part": part_of(part), "clock_mhz": clock_mhz, "baud": part.baud if baud is None else baud,
        },
        design_sha256(design, dictionary),
        [
            ("written", f"{len(files)} files in {out}"), *(("", path.name) for path in files),
            ("board", f"{board} ({part_of(part)}), {clock_mhz:g} MHz"),
            ("next", f"vivado -mode batch -source {out / SCRIPT}"),
        ],
    )  # fmt: skip
