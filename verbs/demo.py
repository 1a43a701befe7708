"""``striate demo``."""

from pathlib import Path
from typing import Annotated

import typer

from .common import Force, Job, Json, say, the_command


def demo(
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Folder; build/demo, replaced, without it.")
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """The whole path: photograph, golden, machine, RTL on Verilator, memristor crossbars, costs, report.html.

    Example: striate demo --out first-light
    """
    from ..reports.demo import demo as run_demo
    from ..reports.rundir import writing
    from ..reports.tables import comparison, demo_lines, verdict

    job, folder = Job(as_json), out if out is not None else Path("build/demo")
    with writing(folder, force or out is None) as aside, job.progress("demo") as tell:
        info = run_demo(aside, tell, job.complete, the_command())
    info |= {"out": str(folder.absolute()), "report": str(folder.absolute() / "report.html")}
    columns = {"golden": info["golden"], "delta": info, **info["schedules"], "crossbars": info["crossbar"]}
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
