"""``striate reproduce``: one command for each paper's experiment."""

import typer

from .denoising import denoising
from .heterogeneity import heterogeneity
from .self_taught import self_taught
from .short_stride import short_stride
from .solvers import solvers

reproduce = typer.Typer(
    rich_markup_mode=None,
    help="Run a paper's experiment again on bundled pictures: a table, figures, a page, a verdict for each claim.\n\n"
    "Example: striate reproduce short-stride --out short-stride",
)
for _experiment in (short_stride, heterogeneity, self_taught, solvers, denoising):
    reproduce.command()(_experiment)
