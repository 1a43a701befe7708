"""``striate report``."""

from pathlib import Path
from typing import Annotated

import typer

from .common import Job, Json


def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A run directory.")],
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="DIR/report.html without it.")] = None,
    as_json: Json = False,
) -> None:
    """Make the page of a run again: one self-contained HTML file.

    Example: striate report run --out page.html
    """
    from ..reports.html import write_report
    from ..reports.rundir import load

    job, info = Job(as_json), load(folder).info
    written = write_report(folder, out)
    job.done({"report": str(written.absolute())}, info["design"], [("report", str(written))])
