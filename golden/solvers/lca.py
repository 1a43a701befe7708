"""The Locally Competitive Algorithm as a solver: `network`'s Euler step with the residual cutoff off.

``u <- u + eta (Phi^T (x - Phi T(u)) + T(u) - u)``; T is the soft threshold for l1, the hard one for l0. The cutoff of
`lca.encode` is no part of an objective and is 0 here; an iteration is one update.

**The step.** With a soft threshold the objective never rises when ``eta <= min(1, 2/L)``, L at least ``|Phi|^2``
(`spectrum.lipschitz`). For u - y lies in the subdifferential of h at y = T(u) (one- and two-sided), so that with dy, dv
the changes of y and of v = u - y, and u' - u = -eta (grad f(y) + v), convexity of h at y' and the quadratic bound of f
give ``E(y') - E(y) <= -(1/eta - L/2) |dy|^2 - (1/eta - 1) <dv, dy>``, and <dv, dy> >= 0 because h is convex. We take
``eta = min(1, 1.8/L)``. With a hard threshold there is no such bound: a unit that crosses lambda jumps, and the energy
may rise.
"""

import math

import numpy as np

from ..errors import InputError
from ..fast import FastNetwork
from .base import Array, Iterate, Iterates, Problem, needs
from .spectrum import lipschitz

STEP = 1.8
"""eta times L, below the 2 at which the bound is lost."""

# A hard code has settled when |du/dt| was at most this much of |u| over so many updates in a row.
SETTLED_SLOPE = 1e-4
SETTLED_STEPS = 10


def lca(problem: Problem, start: Array, *, eta: float | None = None) -> Iterates:
    """The iterates of LCA from a code ``(K, H/s, W/s)`` (from the membrane that such a code has, others at rest).

    Args:
        eta: dt/tau, above 0 and at most 1; the module's when None.

    Raises:
        InputError: eta outside its range.
    """
    needs(problem, "lca", penalty=("l1", "l0"))
    if eta is None:
        eta = min(1.0, STEP / lipschitz(problem.dictionary, problem.conv.geometry, problem.border))
    if not 0 < eta <= 1:
        raise InputError(f"eta must be above 0 and at most 1, not {eta}; leave it out for the step that suits")
    soft = problem.penalty == "l1"
    network = FastNetwork(problem.frame, problem.conv, problem.dictionary.atoms, threshold=problem.threshold,
                          kind="soft" if soft else "hard", two_sided=problem.two_sided, inclusive=True, cutoff=0.0)
    network.start(start + problem.threshold * np.sign(start) if soft else start)
    quiet = 0
    while True:
        yield Iterate(network.code, network.residual, None, not soft and quiet >= SETTLED_STEPS)
        with np.errstate(over="ignore", invalid="ignore"):
            moved = network.propose(eta)
        if not math.isfinite(moved.size):  # left to the caller, which stops at values that are not finite
            yield Iterate(np.full(problem.code_shape, np.nan))
            return
        network.accept()
        quiet = quiet + 1 if moved.slope <= SETTLED_SLOPE**2 * moved.size else 0
