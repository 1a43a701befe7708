"""Transfer functions y = T(u) from membrane to code, and the cost C(y) whose descent each of them is.

With the residual form ``u <- u + eta (Phi^T r + y - u)`` the network descends
``E = 1/2 |x - Phi y|^2 + sum C(y_k)``, where C follows from T by ``dC/dy = u - y`` (Rozell et al. 2008):

========  =========================  =============================================
transfer  T(u) for u at or above it  C(y)
========  =========================  =============================================
"hard"    u                          lambda^2 / 2 for every unit that is not zero
"soft"    u - lambda                 lambda |y|
========  =========================  =============================================

The strided paper (Schultz, Paiton, Lu, Kenyon, eq. 4 and 9) prints lambda for the hard cost; lambda^2/2 is what its
dynamics descends. Below the threshold the code is 0. One-sided units (the paper's eq. 9) never go negative; two-sided
ones are odd in u.
"""

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from .errors import InputError

Array = npt.NDArray[np.float64]
Transfer = Literal["hard", "soft"]


def transfer(membrane: Array, threshold: float, kind: Transfer = "hard", *, two_sided: bool = False,
             inclusive: bool = True) -> Array:
    """The code ``T(u)``, of the same shape as the membrane.

    Args:
        membrane: u, any shape.
        threshold: lambda > 0, in units of the code.
        kind: "hard" or "soft".
        two_sided: also let ``|u|`` of negative units through, with their sign.
        inclusive: active at ``u >= lambda`` (eq. 9) rather than ``u > lambda``; only the hard code can tell.

    Raises:
        InputError: an unknown kind or a threshold that is not above 0.
    """
    _check(threshold, kind)
    size = np.abs(membrane) if two_sided else membrane
    active = size >= threshold if inclusive else size > threshold
    if kind == "hard":
        return np.where(active, membrane, 0.0)
    shrunk = np.where(active, size - threshold, 0.0)
    return np.copysign(shrunk, membrane) * active if two_sided else shrunk


def cost(code: Array, threshold: float, kind: Transfer = "hard") -> float:
    """The sparseness cost ``sum_k C(y_k)`` of the module's table, in the units of the energy (squared image values)."""
    _check(threshold, kind)
    if kind == "hard":
        return 0.5 * threshold**2 * int(np.count_nonzero(code))
    return threshold * float(np.abs(code).sum())


def _check(threshold: float, kind: str) -> None:
    if kind not in get_args(Transfer):
        raise InputError(f"dynamics.transfer must be one of {', '.join(get_args(Transfer))}, not '{kind}'")
    if not 0 < threshold < np.inf:
        raise InputError(f"dynamics.threshold must be a finite number above 0, not {threshold}; the paper uses 0.05")
