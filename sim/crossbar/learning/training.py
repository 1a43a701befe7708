"""Learning on the array: the Hebbian rule as pulses to the cells that the network reads, from scratch or in repair.

A crop is coded with the kernels that the cells show; code and residual of that run give the change of eq. 15 (Schultz,
Paiton, Lu, Kenyon, see `golden.learn.hebbian`), which an `UpdateRule` brings to the cells, and the next crop meets what
came of it. So the loop learns around cells that are stuck, err or answer pulses badly.

Unit norm is kept in two places. The periphery has one scale a kernel, ``f_k = w_k / |w_k|``: it reads each kernel after
every update (one backward read with a single column driven, C p p conversions; taken as exact here) and applies the
reciprocal of its norm to conversions forward and to codes backward. And the change that is asked for is that of the
normalised rule, which has no part along the kernel to first order, so that the cells do not creep towards their bounds
(``norm="scale"`` leaves that out, to measure it).

The coding of what is learned from is `golden.lca.encode`, or with ``coding="crossbar"`` the memristor machine with its
wires, converters and read noise (`coding`). Held-out crops are coded by the former either way.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from ....golden.archive import remove_leftovers
from ....golden.conv import StridedConv
from ....golden.dictionary import Dictionary
from ....golden.errors import InputError
from ....golden.lca import encode
from ....golden.learn.hebbian import hebbian_update, kernel_change
from ....golden.learn.pictures import TrainingCrops
from ....golden.learn.training import DIVERGED_IN_A_ROW, DIVERGED_SHARE, LearnOutcome, LearnParams
from ....golden.metrics import percent_error, percent_inactive
from ..device import age_of, device_of
from ..devices.cell import Device
from ..streams import FloatArray, Stream, stream
from .coding import Coding, coder
from .presets import update_device
from .state import Evaluation, LearnState, load_state, save_state
from .updates import Spent, Stored, UpdateRule, store, update

if TYPE_CHECKING:
    from ...design import Design

PEAK_OVER_RMS = 8.0
"""Full scale of a weight over the root mean square of a unit-norm kernel; the shipped natural-k8 peak at 4.6 to 9.4."""
HEADROOM = 1.1
"""Full scale over the largest value of the kernels at the start, where that is more."""
SAVE_EVERY = 10
"""Crops between two checkpoints; an interrupt saves as well."""
Norm = Literal["change", "scale"]


@dataclass(frozen=True)
class ArrayLearnParams:
    """What decides how an array learns, besides pictures, start and design.

    Args:
        learn: network, crops, rates, dynamics. update_device: a preset of `update_devices`. rule: how changes are made.
        norm: "change" (the asked change keeps the norm) or "scale" (the plain sum of eq. 15; only the scale does).
        evaluations: times that the held-out crops are coded, besides the start. coding: see `coding.coder`.

    Raises:
        InputError: a value outside its range, an unknown preset.
    """

    learn: LearnParams
    update_device: str = "ecram"
    rule: UpdateRule = UpdateRule()
    norm: Norm = "change"
    evaluations: int = 10
    coding: Coding = "golden"

    def __post_init__(self) -> None:
        update_device(self.update_device)
        if self.norm not in ("change", "scale"):
            raise InputError(f"--norm must be change or scale, not '{self.norm}'")
        if self.coding not in ("golden", "crossbar"):
            raise InputError(f"--coding must be golden or crossbar, not '{self.coding}'")
        if self.evaluations < 1:
            raise InputError(f"--evaluations must be at least 1, not {self.evaluations}")

    @property
    def evaluated(self) -> tuple[int, ...]:
        """Numbers of crops after which the held-out crops are coded; 0 and the last among them."""
        last = self.learn.pictures
        return tuple(sorted({round(last * n / self.evaluations) for n in range(self.evaluations + 1)}))


@dataclass(frozen=True)
class ArrayProgress:
    """After every crop: ``done`` of ``crops``, mean movement of the programmed kernels by it, its error."""

    done: int
    crops: int
    change: float
    percent_error: float


@dataclass(frozen=True, eq=False)
class ArrayLearned:
    """What learning left on the array.

    Args:
        dictionary: the programmed kernels, as the encoder sees them. asked: the kernels that were asked for. scale: of
            the periphery, (K,): a kernel over what its cells show. curve: from the start to the last crop. diverged:
            crops whose code diverged (they teach nothing). stuck_cells, cells: of the array. start_pulses: spent on
            programming the start. stored: the array.
    """

    params: ArrayLearnParams
    dictionary: Dictionary
    asked: Dictionary
    scale: FloatArray
    curve: tuple[Evaluation, ...]
    outcome: LearnOutcome
    crops: int
    diverged: int
    stuck_cells: int
    cells: int
    start_pulses: int
    stored: Stored

    def column(self, name: str) -> FloatArray:
        """One value of every `Evaluation`."""
        return np.array([getattr(point, name) for point in self.curve], np.float64)


def learn_on_array(
    params: ArrayLearnParams, start: Dictionary, design: "Design", crops: TrainingCrops, held_out: Sequence[FloatArray],
    *, checkpoint: Path | None = None, force: bool = False, progress: Callable[[ArrayProgress], None] | None = None,
) -> ArrayLearned:  # fmt: skip
    """Program the start into the cells of the design's device and learn.

    Args:
        start: kernels to program; their shape and stride are those of ``params.learn``.
        design: [crossbar] says device, errors, faults, age, and whether one cell ("offset") or a pair holds a weight.
        crops: what is shown. held_out: (C, H, W) crops to evaluate with.
        checkpoint: .npz to keep the state in, every `SAVE_EVERY` crops and on an interrupt; the same call goes on from
            there and ends with the same kernels. force: drop a checkpoint of other settings.
        progress: called after every crop.

    Raises:
        InputError: a start of another shape, a checkpoint of other settings, what `device_of` and `coder` refuse.
    """
    check_start(start, params.learn)
    device = device_of(design)
    settings = json.dumps({**asdict(params), "start": start.sha256, "pixels": crops.sha256,
                           "design": design.to_toml(), "held": [float(x.sum()) for x in held_out]},
                          sort_keys=True)  # fmt: skip
    learner = _Learner(params, start, design, device, held_out)
    state = learner.start()
    if checkpoint is not None and checkpoint.exists():
        remove_leftovers(checkpoint)
        state = load_state(checkpoint, settings, state, force)
    try:
        while state.done < params.learn.pictures and state.in_a_row < DIVERGED_IN_A_ROW:
            state, change, error = learner.show(crops.crop(state.done), state)
            if checkpoint is not None and state.done % SAVE_EVERY == 0:
                save_state(checkpoint, settings, state)
            if progress is not None:
                progress(ArrayProgress(state.done, params.learn.pictures, change, error))
    finally:
        if checkpoint is not None:
            save_state(checkpoint, settings, state)
    return learner.result(state)


def programmed_start(
    params: ArrayLearnParams, start: Dictionary, design: "Design", held_out: Sequence[FloatArray]
) -> Evaluation:
    """The start as the design programs it, before anything is learned; arguments and errors of `learn_on_array`."""
    check_start(start, params.learn)
    return _Learner(params, start, design, device_of(design), held_out).start().curve[0]


class _Learner:
    """One run: what stays the same from crop to crop, and the step from state to state."""

    def __init__(
        self, params: ArrayLearnParams, start: Dictionary, design: "Design", device: Device,
        held_out: Sequence[FloatArray],
    ) -> None:  # fmt: skip
        self._params, self._held_out, self._start = params, held_out, start
        kernels = start.atoms.shape
        rms = 1.0 / np.sqrt(np.prod(kernels[1:]))
        full_scale = max(PEAK_OVER_RMS * rms, HEADROOM * float(np.abs(start.atoms).max()))
        c = design.crossbar
        self._placed, self._programming = store(
            start.atoms / full_scale, update_device(params.update_device), device, params.learn.seed,
            pair=c.mapping != "offset", method=c.programming, tolerance=c.verify_tolerance, age_seconds=age_of(c)[0],
        )  # fmt: skip
        self._norms = _norms(self._placed.weights)
        self._code = coder(params.coding, params.learn, design)

    def start(self) -> LearnState:
        """Programmed, nothing shown yet."""
        weights = self._placed.weights
        state = LearnState(self._placed, weights, Spent(), weights.size, 0, 0, 0, ())
        return replace(state, curve=(self._evaluate(state),))

    def show(self, image: FloatArray, state: LearnState) -> tuple[LearnState, float, float]:
        """(the state after one crop, mean movement of the kernels, percent error of the crop)."""
        p, kernels = self._params.learn, self._dictionary(state.stored.weights)
        number = state.done
        run = self._code(image, kernels, number)
        error = percent_error(image, run.residual)
        if run.diverged:
            after, change = replace(state, diverged=state.diverged + 1, in_a_row=state.in_a_row + 1), 0.0
        else:
            conv = StridedConv(kernels.atoms, p.stride, (p.crop_size, p.crop_size))
            rate = p.rate_at(number)
            if self._params.norm == "change":
                asked = hebbian_update(conv, kernels.atoms, run.residual, run.code, rate) - kernels.atoms
            else:
                asked = rate * conv.correlate(run.residual, run.code)
            after = self._write(state, asked * _norms(state.stored.weights), number)
            change = kernel_change(kernels.atoms, self._dictionary(after.stored.weights).atoms)
        after = replace(after, done=number + 1)
        if after.done in self._params.evaluated:
            after = replace(after, curve=(*after.curve, self._evaluate(after)))
        return after, change, error

    def _write(self, state: LearnState, change: FloatArray, number: int) -> LearnState:
        rng = stream(self._params.learn.seed, Stream.PULSE, number)
        ideal = self._params.rule.how == "ideal"
        wanted = state.wanted + change
        wanted = wanted if ideal else np.clip(wanted, -1.0, 1.0)
        stored, spent = update(state.stored, change, wanted, self._params.rule, rng)
        # write-and-verify has just read every weight; the others read them for the scale
        reads = 0 if self._params.rule.how == "write-verify" else wanted.size
        return replace(state, stored=stored, wanted=wanted, spent=state.spent + spent,
                       norm_reads=state.norm_reads + reads, in_a_row=0)  # fmt: skip

    def _dictionary(self, weights: FloatArray, source: str = "") -> Dictionary:
        return Dictionary(weights / _norms(weights), self._params.learn.stride, source)

    def _evaluate(self, state: LearnState) -> Evaluation:
        p, weights = self._params.learn, state.stored.weights
        shown, asked = self._dictionary(weights), self._dictionary(state.wanted)
        conv = StridedConv(asked.atoms, p.stride, (p.crop_size, p.crop_size))
        runs = [(x, encode(x, shown, p.dynamics, engine=p.engine)) for x in self._held_out]
        cosines = (shown.atoms * asked.atoms).reshape(len(weights), -1).sum(axis=1)
        return Evaluation(
            state.done,
            float(np.mean([percent_error(x, run.residual) for x, run in runs])),
            float(np.mean([percent_error(x, x - conv.synthesis(run.code)) for x, run in runs])),
            float(np.mean([percent_inactive(run.code) for _, run in runs])),
            float(cosines.mean()),
            float(np.mean(_norms(weights) / self._norms)),
            state.stored.at_bounds,
            state.spent.pulses,
            state.spent.verify_reads,
            state.norm_reads,
        )

    def result(self, state: LearnState) -> ArrayLearned:
        """The values of a finished run."""
        p, weights = self._params, state.stored.weights
        failed = state.in_a_row == DIVERGED_IN_A_ROW or state.diverged > DIVERGED_SHARE * state.done
        source = (f"learned on an array of {p.update_device} cells, update {p.rule.how}, {state.done} crops; seed "
                  f"{p.learn.seed}; from: {self._start.source}")  # fmt: skip
        return ArrayLearned(
            p, self._dictionary(weights, source), self._dictionary(state.wanted, f"asked for while {source}"),
            1.0 / _norms(weights).ravel(), state.curve,
            LearnOutcome.DIVERGED if failed else LearnOutcome.COMPLETED, state.done, state.diverged,
            int(state.stored.cells.stuck.sum()), int(state.stored.held.size), self._programming.pulses, state.stored,
        )  # fmt: skip


def _norms(weights: FloatArray) -> FloatArray:
    """(K, 1, 1, 1): L2 norm of every kernel as the cells hold it."""
    return np.asarray(np.linalg.norm(weights.reshape(len(weights), -1), axis=1)[:, None, None, None])


def check_start(start: Dictionary, params: LearnParams) -> None:
    """Refuse a start of another shape or stride.

    Raises:
        InputError: it is.
    """
    have, want = start.atoms.shape, params.geometry.dictionary_shape
    if have != want or start.stride != params.stride:
        raise InputError(f"the start has kernels of shape (K, C, p, p) = {have} at stride {start.stride}, the network "
                         f"{want} at stride {params.stride}; give -k, -p, -s and --channels of the start")  # fmt: skip
