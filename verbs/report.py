"""``striate report``."""

from pathlib import Path
from typing import Annotated

import typer

from .common import Job, Json


def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A run directory, or the folder of a sweep.")],
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="DIR/report.html without it.")] = None,
    as_json: Json = False,
) -> None:
    """Make the page of a run or of a sweep again: one self-contained HTML file; nothing is run.

    Example: striate report run --out page.html
    """
    from ..reports.html import write_report
    from ..reports.rundir import load
    from ..reports.sweep_again import holds_sweep, write_sweep_page

    job = Job(as_json)
    if holds_sweep(folder):
        written, info = write_sweep_page(folder, out)
    else:
        info = load(folder).info
        written = write_report(folder, out)
    job.done({"report": str(written.absolute())}, info["design"], [("report", str(written))])
