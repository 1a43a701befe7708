"""``striate emit``."""

from pathlib import Path
from typing import Annotated

import typer

from .common import DesignFile, Force, Job, Json, Settings, read_design


def emit(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to write.")],
    design_file: DesignFile = None,
    settings: Settings = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write Verilog of the AXI and the ready/valid top, the register map, weights, testbench, constraints, a README.

    Example: striate emit --set machine.tiles=[2,2] --out build/rtl
    """
    job, design = Job(as_json), read_design(design_file, settings)
    design.check_machine()
    from ..hw.emit import emit as hw_emit
    from ..reports.record import check_board, design_sha256
    from ..sim.machine import load_dictionary

    check_board(design.target.board)
    sha = design_sha256(design, load_dictionary(design))
    files = hw_emit(design, out, force=force)
    job.done(
        {"out": str(out.absolute()), "files": [str(Path(f).absolute()) for f in files]},
        sha,
        [("written", f"{len(files)} files in {out}"), *(("", Path(f).name) for f in files)],
    )
