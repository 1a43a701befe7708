"""The Locally Competitive Algorithm with a V1 layer and a residual layer: float64 truth for everything built later.

Schultz, Paiton, Lu, Kenyon, *Replicating kernels with a short stride allows sparse reconstructions with fewer
independent kernels*, eq. 10-12, as explicit Euler steps of size eta = dt/tau (dynamics of Rozell et al. 2008)::

    y  = T(u)
    r  = x - Phi y
    r~ = r where |r| >= cutoff, else 0
    u <- u + eta (Phi^T r~ + y - u)

After N updates the result is u_N, y_N = T(u_N) and the untruncated residual R_N = x - Phi y_N.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from .conv import Array, Border, StridedConv
from .dictionary import Dictionary
from .errors import InputError
from .fast import FastNetwork
from .fft import FftNetwork
from .metrics import percent_error
from .network import Network, ReferenceNetwork
from .threshold import Transfer, transfer

Schedule = tuple[tuple[int, float], ...]
Engine = Literal["fast", "reference", "fft", "torch"]

# A run is converged when, over each of its last CONVERGED_STEPS updates, the slope du/dt = (u_n - u_(n-1))/eta was at
# most CONVERGED_SLOPE of u itself (L2 norms): what is left to come is then of that order.
CONVERGED_SLOPE = 0.05
CONVERGED_STEPS = 10

# A run is stopped as diverged once the residual is this many times both the image and the residual it started from.
EXPLODED = 100.0


class Outcome(Enum):
    """How a run ended. The value is the name used in files; `remedy` says what to do about it, in one sentence."""

    CONVERGED = "converged"
    MAX_STEPS = "max_steps"
    DIVERGED = "diverged"

    @property
    def remedy(self) -> str:
        """One sentence."""
        return {
            Outcome.CONVERGED: "Nothing to do: the membrane no longer moves noticeably.",
            Outcome.MAX_STEPS: "The membrane was still moving at the last step: give it more steps if the code must "
                               "settle.",
            Outcome.DIVERGED: "The step is too large for this dictionary: halve eta (raise step_shift by 1) or raise "
                              "the threshold.",
        }[self]


@dataclass(frozen=True)
class LcaParams:
    """Parameters of the dynamics. The defaults are the paper's, with the step it leaves open.

    Args:
        threshold: lambda, in units of the code.
        eta: dt/tau of an update, above 0 and at most 1; or a schedule of pairs ``(from_step, eta)``, the first from
        step 0.
        steps: N, number of updates.
        transfer: "hard" or "soft".
        two_sided: codes may be negative.
        inclusive: active at u >= lambda rather than u > lambda.
        residual_cutoff: theta, residuals smaller than this count as 0 in the drive; 0 switches it off.
        border: "cropped", "extended" or "mirror", see `conv`.

    Raises:
        InputError: a value outside its range, naming the design key.
    """

    threshold: float = 0.05
    eta: float | Schedule = 1 / 32
    steps: int = 200
    transfer: Transfer = "hard"
    two_sided: bool = False
    inclusive: bool = True
    residual_cutoff: float = 0.005
    border: Border = "cropped"

    def __post_init__(self) -> None:
        transfer(np.zeros(0), self.threshold, self.transfer)  # refuses a bad threshold or name
        if self.border not in get_args(Border):
            raise InputError(f"dynamics.border must be one of {', '.join(get_args(Border))}, not '{self.border}'")
        if self.steps < 1:
            raise InputError(f"dynamics.steps must be at least 1, not {self.steps}")
        if not 0 <= self.residual_cutoff < math.inf:
            raise InputError(f"dynamics.residual_cutoff must be 0 (off) or a finite number above it, not "
                             f"{self.residual_cutoff}")
        if not isinstance(self.eta, int | float):
            object.__setattr__(self, "eta", tuple((int(start), float(eta)) for start, eta in self.eta))
        starts = [start for start, _ in self.schedule]
        if not starts or starts[0] != 0 or any(b <= a for a, b in zip(starts, starts[1:], strict=False)):
            raise InputError(f"a schedule of eta starts at step 0 and then rises, not at steps {starts}")
        for _, eta in self.schedule:
            if not 0 < eta <= 1:
                raise InputError(f"dynamics.eta must be above 0 and at most 1, not {eta}; 1/32 suits most dictionaries")

    @property
    def schedule(self) -> Schedule:
        """``((from_step, eta), ...)``, also when eta is one number."""
        return ((0, float(self.eta)),) if isinstance(self.eta, int | float) else self.eta

    def eta_at(self, step: int) -> float:
        """eta of update number ``step``, counted from 0."""
        return [eta for start, eta in self.schedule if start <= step][-1]

    def activate(self, membrane: Array) -> Array:
        """y = T(u)."""
        return transfer(membrane, self.threshold, self.transfer, two_sided=self.two_sided, inclusive=self.inclusive)


def exponential_eta(dt: float, tau: float) -> float:
    """``eta = 1 - exp(-dt/tau)``: the step whose leak is exact over dt (dt and tau in the same unit)."""
    if not (dt > 0 and tau > 0):
        raise InputError(f"dt and tau must be above 0, not {dt} and {tau}")
    return -math.expm1(-dt / tau)


@dataclass(frozen=True)
class Step:
    """The network after ``step`` updates, as handed to a trace callback.

    The arrays must not be changed and hold only during the call (the next steps may overwrite them): copy what is kept.
    ``energy`` is in squared image values; ``active`` counts codes that are not 0; ``changed`` counts codes that differ
    from the step before (from silence at step 0); ``residual`` is untruncated and, with the extended border, extended.
    """

    step: int
    percent_error: float
    energy: float
    active: int
    changed: int
    membrane: Array
    code: Array
    residual: Array


@dataclass(frozen=True)
class Trace:
    """The numbers of `Step` for the start and after every update: arrays of length N + 1 (shorter if stopped early)."""

    percent_error: Array
    energy: Array
    active: npt.NDArray[np.int64]
    changed: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Encoding:
    """What a run leaves: ``code`` and ``membrane`` (K, H/s, W/s), ``residual`` x - Phi y over the image (C, H, W),
    untruncated.

    All of it is finite whatever the outcome. ``steps`` counts the updates performed (fewer than asked when stopped as
    diverged); ``slope`` is |du/dt| / |u| of the last update, ``trace`` None unless asked for.
    """

    code: Array
    membrane: Array
    residual: Array
    outcome: Outcome
    steps: int
    slope: float
    trace: Trace | None = None


def encode(image: npt.ArrayLike, dictionary: Dictionary, params: LcaParams | None = None, *,
           membrane: Array | None = None, trace: bool | Callable[[Step], None] = False,
           engine: Engine = "fast") -> Encoding:
    """Sparse-code an image: N updates of the module's equations, starting from rest or from a given membrane.

    Args:
        image: x, ``(C, H, W)``, already preprocessed.
        dictionary: Phi.
        params: the dynamics; the defaults when None.
        membrane: u_0, ``(K, H/s, W/s)``, for a warm start; zeros when None.
        trace: True to keep the numbers of every step; or a function called with every `Step` (they are kept as well).
        engine: "fast", compiled loops (`fast`); "reference", the equations as array operations (`network`); "fft",
            the same in the frequency domain (`fft`), for patches of 64 pixels; or "torch", PyTorch on the CPU
            (`torch_engine`; on a GPU and for many pictures at once: `batch.encode_batch`). All are float64 here and
            cover every setting; they differ by the order of summation: membranes agree to 1e-9 until a threshold or
            the cutoff is met closer than that. A hard threshold turns a difference in the last bit into another code
            sooner or later, of the same quality. `engines.best_engine` names the fastest on the CPU.

    Returns:
        An `Encoding`. Divergence is an outcome, not an error: the run counts as diverged when a value stops being
        finite or the residual grows `EXPLODED` times too large (it is then stopped at the last good state), or when it
        ends with more energy than both the silent and the starting code have, beyond what the cutoff can hide.

    Raises:
        InputError: shapes that do not fit, values that are not finite, an unknown engine, or PyTorch is missing.
    """
    params = params or LcaParams()
    check_engine(engine)
    x = checked_image(image, dictionary)
    conv = StridedConv(dictionary.atoms, dictionary.stride, (x.shape[1], x.shape[2]), params.border)
    network, margin = _network(x, dictionary, conv, params, engine)
    network.start(checked_membrane(membrane, conv))
    errors: list[float] = []
    energies: list[float] = []
    active: list[int] = []
    changed: list[int] = []

    def inside() -> Array:
        r = network.residual
        return r[:, margin:r.shape[1] - margin, margin:r.shape[2] - margin]

    def energy() -> float:
        return 0.5 * float(np.vdot(network.residual, network.residual)) + network.cost()

    course = Course(params, 0.5 * float(np.vdot(x, x)), energy(), 0.5 * float(np.vdot(network.residual,
                    network.residual)), network.residual.size)
    while True:
        if trace:
            step = Step(course.steps, percent_error(x, inside()), energy(), *network.counts(), network.membrane,
                        network.code, network.residual)
            errors.append(step.percent_error)
            energies.append(step.energy)
            active.append(step.active)
            changed.append(step.changed)
            if callable(trace):
                trace(step)
        if course.steps == params.steps:
            break
        with np.errstate(over="ignore", invalid="ignore"):
            size, slope, residual = network.propose(params.eta_at(course.steps))
        if not course.goes_on(size, slope, residual):
            break
        network.accept()

    kept = Trace(np.array(errors), np.array(energies), np.array(active, np.int64), np.array(changed, np.int64))
    code, u, r = (np.array(a, order="C") for a in (network.code, network.membrane, inside()))
    return Encoding(code, u, r, course.outcome(energy()), course.steps, course.slope, kept if trace else None)


class Course:
    """How a run of one picture goes, from the numbers of its steps: when it is stopped, and as what it counts.

    Args:
        params: the dynamics.
        silent: energy of the silent code, ``|x|^2 / 2``.
        start: energy at the start.
        misfit: ``|r|^2 / 2`` at the start.
        pixels: values of the residual.
    """

    def __init__(self, params: LcaParams, silent: float, start: float, misfit: float, pixels: int) -> None:
        self._hidden = 0.5 * params.residual_cutoff**2 * pixels
        self._most = max(start, silent)
        self.limit = EXPLODED**2 * max(2.0 * silent, 2.0 * misfit, params.residual_cutoff**2)
        self._slopes: list[float] = []
        self._exploded = False

    @property
    def steps(self) -> int:
        """Updates performed."""
        return len(self._slopes)

    @property
    def slope(self) -> float:
        """|du/dt| / |u| of the last update; 0 before the first."""
        return self._slopes[-1] if self._slopes else 0.0

    def goes_on(self, size: float, slope: float, residual: float) -> bool:
        """Note a proposed step, by the squared norms of `network.Moved`; False when it must not be taken."""
        self._exploded = not (math.isfinite(size) and residual <= self.limit)
        if not self._exploded:
            self._slopes.append(math.sqrt(slope / size) if size else 0.0)
        return not self._exploded

    def outcome(self, energy: float) -> Outcome:
        """Of the run that ended with this energy."""
        if self._exploded or energy > self._most * (1 + 1e-9) + self._hidden:
            return Outcome.DIVERGED
        if self.steps >= CONVERGED_STEPS and max(self._slopes[-CONVERGED_STEPS:]) <= CONVERGED_SLOPE:
            return Outcome.CONVERGED
        return Outcome.MAX_STEPS


def check_engine(engine: str) -> None:
    """Refuse a name that is no engine of `encode` with an InputError."""
    if engine not in get_args(Engine):
        raise InputError(f"the engine must be one of {', '.join(get_args(Engine))}, not '{engine}'")


def _network(x: Array, dictionary: Dictionary, conv: StridedConv, params: LcaParams,
             engine: Engine) -> tuple[Network, int]:
    """The network at rest, and the pixels its frame reaches beyond the image."""
    margin = (conv.residual_shape[1] - x.shape[1]) // 2
    frame = np.pad(x, ((0, 0), (margin,) * 2, (margin,) * 2))
    kind: type[FastNetwork | FftNetwork] = FftNetwork if engine == "fft" else FastNetwork
    rule: dict[str, Any] = {"threshold": params.threshold, "kind": params.transfer, "two_sided": params.two_sided,
                            "inclusive": params.inclusive, "cutoff": params.residual_cutoff}
    if engine == "reference":
        return ReferenceNetwork(frame, conv, **rule), margin
    if engine == "torch":
        from .torch_engine import TorchNetwork  # only here: PyTorch is optional, and takes seconds to import

        return TorchNetwork(frame, conv, dictionary.atoms, **rule), margin
    return kind(frame, conv, dictionary.atoms, **rule), margin


def checked_image(image: npt.ArrayLike, dictionary: Dictionary) -> Array:
    """The image as float64; an InputError if it does not fit the dictionary or is not finite."""
    x = np.asarray(image, np.float64)
    if x.ndim != 3 or x.shape[0] != dictionary.channels:
        raise InputError(f"the image has the shape {x.shape}; this dictionary takes ({dictionary.channels}, H, W)")
    if not np.isfinite(x).all():
        bad = int(x.size - np.isfinite(x).sum())
        raise InputError(f"the image holds {bad} values that are not finite (NaN or infinite); mend them first")
    return x


def checked_membrane(membrane: Array | None, conv: StridedConv) -> Array:
    """A copy of the starting membrane as float64, or zeros; an InputError if it does not fit or is not finite."""
    shape = conv.geometry.code_shape
    if membrane is None:
        return np.zeros(shape)
    u = np.array(membrane, np.float64)
    if u.shape != shape:
        raise InputError(f"the starting membrane has the shape {u.shape}; this image and dictionary take {shape}")
    if not np.isfinite(u).all():
        raise InputError("the starting membrane holds values that are not finite; start from rest instead")
    return u
