"""Solvers of one sparse-coding problem, one method a file, one contract (`base`).

::

    from striate.golden.solvers import Problem, solve

    solution = solve(Problem(image, dictionary, 0.05), "fista", tolerance=1e-4)
"""

from .base import Problem, Solution, SolverTrace
from .registry import SOLVERS, solve

__all__ = ["SOLVERS", "Problem", "Solution", "SolverTrace", "solve"]
