"""``striate reproduce solvers``."""

from pathlib import Path
from typing import Annotated

import typer

from ...golden.errors import InputError
from ..common import Force, Job, Json, the_command


def solvers(
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Keep run.json, curves.npz, figures and report.html there.")
    ],
    only: Annotated[
        str | None,
        typer.Option("--only", metavar="NAMES", help="Only these problems: two-sided, one-sided, stride-1."),
    ] = None,
    share: Annotated[
        float, typer.Option("--share", metavar="PART", help="Share of each solver's iterations; below 1 "
                     "nothing is judged.")
    ] = 1.0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """LCA, ISTA, FISTA, coordinate descent, ADMM and half-quadratic on the same problems: how fast each converges.

    Example: striate reproduce solvers --out solvers
    """
    job = Job(as_json)
    from ...explore.papers.convergence import TASKS, Task, converge

    if not 0 < share <= 1:
        raise InputError(f"--share must be above 0 and at most 1, not {share:g}")
    tasks: tuple[Task, ...] = TASKS
    if only is not None:
        names = [name.strip() for name in only.split(",")]
        known = {task.name: task for task in TASKS}
        for name in names:
            if name not in known:
                raise InputError(f"--only: no problem '{name}'; there are {', '.join(known)}")
        tasks = tuple(task for task in TASKS if task.name in names)
    from ...reports.papers.convergence import check_folder, convergence_json, convergence_lines, save_convergence
    from ...reports.record import versions

    check_folder(out, force)
    with job.progress("solvers") as tell:
        result = converge(tasks, share=share, progress=tell)
    info = convergence_json(result) | {
        "share": share, "versions": versions(), "command": the_command(), "out": str(out.absolute())
    }  # fmt: skip
    info = job.complete(info, None)
    save_convergence(out, info, result)
    if not as_json:
        for line in convergence_lines(result):
            print(line)
    job.done(info, None, [("kept in", str(out))])
