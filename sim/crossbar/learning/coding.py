"""Coding a crop for learning: in float64, or by the memristor machine with its converters, wires and read noise."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ....golden.dictionary import Dictionary
from ....golden.lca import Outcome, encode
from ....golden.learn.training import LearnParams
from ..loop import simulate_crossbar
from ..streams import FloatArray

if TYPE_CHECKING:
    from ...design import Design

Coding = Literal["golden", "crossbar"]
Coder = Callable[[FloatArray, Dictionary, int], "Coded"]
WEIGHT = "s18.16"
"""Weights of the machine that codes: fine beside any pulse, so that it reads what the cells show."""


@dataclass(frozen=True, eq=False)
class Coded:
    """A code (K, h, v) and the residual (C, H, W) that was left, in units of the image."""

    code: FloatArray
    residual: FloatArray
    diverged: bool


def coder(how: Coding, params: LearnParams, design: "Design") -> Coder:
    """What codes a crop (C, H, W) with kernels; the number of the crop is the seed of its read noise.

    "crossbar" runs `simulate_crossbar`, whose arrays hold the kernels without any further error: their errors, faults
    and age are in the kernels already.

    Raises:
        InputError: "crossbar" with a design that ``check_crossbar`` refuses.
    """
    if how == "golden":

        def golden(image: FloatArray, kernels: Dictionary, number: int) -> Coded:
            run = encode(image, kernels, params.dynamics, engine=params.engine)
            return Coded(run.code, run.residual, run.outcome is Outcome.DIVERGED)

        return golden
    machine = design.replace({
        "network.image": (params.crop_size, params.crop_size), "formats.weight": WEIGHT,
        "machine.residual_accumulator": 0, "machine.drive_accumulator": 0,
        "crossbar.programming": "once", "crossbar.programming_error": 0.0, "crossbar.fault_rate": 0.0,
        "crossbar.levels": 0, "crossbar.cell_bits": 0, "crossbar.drift_seconds": 0.0, "crossbar.refresh_seconds": 0.0,
    })  # fmt: skip
    machine.check_crossbar()

    def analog(image: FloatArray, kernels: Dictionary, number: int) -> Coded:
        run = simulate_crossbar(image, machine, dictionary=kernels, seed=number)
        failed = run.outcome is Outcome.DIVERGED or run.overflow
        code, residual = (np.asarray(words, np.float64) for words in (run.code, run.residual))
        return Coded(code * 2.0**-machine.formats.code.frac, residual * 2.0**-machine.residual_frac, failed)

    return analog
