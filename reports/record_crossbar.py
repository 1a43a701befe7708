"""What is kept of a run on crossbars: JSON keys, arrays, and the digital machine at the same quality beside it."""

import time
from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..golden.conv import synthesis
from ..golden.errors import InputError
from ..golden.lca import Outcome
from ..golden.metrics import percent_error
from ..sim.cost import cost
from ..sim.crossbar.cost import CrossbarCost, converters, crossbar_cost
from ..sim.crossbar.device import describe
from ..sim.crossbar.loop import simulate_crossbar
from ..sim.crossbar.result import CrossbarRun
from ..sim.crossbar.technology import LOGIC_32NM
from ..sim.design import Design
from ..sim.fixed import quantise
from ..sim.machine import load_dictionary, simulate
from ..sim.tech import ASIC_45NM, FPGA_40NM
from .record import Tick, code_sha256, cost_json, design_sha256, resources_json, words_json
from .rundir import Arrays, frames_of

if TYPE_CHECKING:
    from ..sim.crossbar.result import CrossbarView

Array = npt.NDArray[np.float64]
BESIDE = (FPGA_40NM, ASIC_45NM, LOGIC_32NM)
"""Technologies of the digital machine beside the crossbars; the first is that of its own report."""


def run_crossbar(
    image: Array, design: Design, *, seed: int = 0, frames: bool, tick: Tick | None = None
) -> tuple[dict[str, Any], Arrays, Arrays, CrossbarRun]:
    """Encode on memristor crossbars: (JSON keys, encoding arrays, trace arrays, run).

    Args:
        seed: of everything random. frames: keep pictures of some steps and the error of each, and run crossbars and the
            digital machine with no more steps than that error takes. tick: called with every step.
    """
    dictionary = load_dictionary(design)
    watch = Watch(image, design, quantise(dictionary.atoms, design.formats.weight), tick) if frames else None
    observe = watch or (None if tick is None else lambda view: tick(view.step + 1))
    run = simulate_crossbar(image, design, dictionary=dictionary, seed=seed, observe=observe)
    priced = crossbar_cost(run)
    quality = _quality(run, image)
    info = {
        "on": "crossbar",
        "design": design_sha256(design, dictionary),
        "seed": seed,
        **quality,
        "outcome": run.outcome.value,
        "remedy": crossbar_remedy(run),
        "steps": run.counts.steps,
        "code_sha256": code_sha256(run.code),
        "compute_seconds": max(0.0, run.compute_seconds - (watch.seconds if watch else 0.0)),
        "program_seconds": run.program_seconds,
        "events": run.counts.code_events,
        "conversions": run.counts.conversions,
        "adc_saturations": run.counts.adc_saturations,
        "energy_pj": priced.energy_pj.typical,
        "latency_ms": priced.latency_ms,
        "area_mm2": priced.area_mm2.typical,
        "overflow": run.overflow,
        "warnings": [*run.warnings, *priced.notes],
        "counts": run.counts.as_dict(),
        "costs": [crossbar_cost_json(priced)],
        "words": words_json(run, design),  # type: ignore[arg-type]
        "device": describe(run.device),
        "arrays": arrays_json(run),
    }
    if watch is not None:
        info["fewest_steps"] = fewest_steps(image, design, seed, run, watch.digital_error)
        info["machine"] = machine_at_equal_quality(image, design, quality["percent_error"])
    trace = {f.name: np.asarray(getattr(run.steps, f.name)) for f in fields(run.steps)}
    return info, _arrays(run, design), trace | (watch.arrays(run) if watch else {}), run


class Watch:
    """Looks on at a run: pictures of some steps, and after every step the error by the digital dictionary.

    Args:
        weights: (K, C, p, p) integers. tick: called with every step. ``seconds``: what looking on took.
    """

    def __init__(self, image: Array, design: Design, weights: npt.NDArray[np.integer], tick: Tick | None) -> None:
        self.image, self.tick, self.seconds = image, tick, 0.0
        self.digital_error: list[float] = []
        self._atoms = np.asarray(weights * design.formats.weight.scale, np.float64)
        self._code, self._residual = design.formats.code.scale, 2.0**-design.residual_frac
        self._stride = design.network.stride
        self._wanted = set(frames_of(image[0].size, design.dynamics.steps))
        self._frames: dict[int, npt.NDArray[np.float32]] = {}

    def __call__(self, view: "CrossbarView") -> None:
        """Take note of a step: its residual is that of the codes before it."""
        started = time.perf_counter()
        if view.step in self._wanted:
            self._frames[view.step] = (view.residual * self._residual).astype(np.float32)
        code = np.asarray(view.code * self._code, np.float64)
        drawn = synthesis(code, self._atoms, self._stride, (self.image.shape[1], self.image.shape[2]))
        self.digital_error.append(percent_error(self.image, self.image - drawn))
        if self.tick is not None:
            self.tick(view.step + 1)
        self.seconds += time.perf_counter() - started

    def arrays(self, run: CrossbarRun) -> Arrays:
        """What trace.npz holds of it."""
        if run.counts.steps in self._wanted or run.settled:
            self._frames[run.counts.steps] = (run.residual * self._residual).astype(np.float32)
        steps = sorted(self._frames)
        return {
            "digital_error": np.array(self.digital_error),
            "frame_steps": np.array(steps, np.int64),
            "frames": np.array([self._frames[n] for n in steps], np.float32).reshape(len(steps), *self.image.shape),
            "programmed_picture": run.programmed_reconstruction.astype(np.float32),
        }


def _quality(run: CrossbarRun, image: Array) -> dict[str, float]:
    return {
        "percent_error": run.percent_error(image),
        "programmed_percent_error": run.programmed_percent_error(image),
        "gained_percent_error": run.gained_percent_error(image),
        "gain": run.gain(image),
        "percent_inactive": run.percent_inactive,
        "psnr_db": run.psnr_db(image),
        "programmed_psnr_db": run.programmed_psnr_db(image),
    }


def crossbar_remedy(run: CrossbarRun) -> str:
    """What to do about how a run ended; reads that differ each time keep codes at the threshold moving."""
    if run.outcome is Outcome.DIVERGED:
        return (
            "The arrays hold the dictionary too badly for this step: raise dynamics.step_shift by 1, raise the "
            "threshold, or take a better device, more ADC bits or less wire resistance."
        )
    if run.outcome is Outcome.MAX_STEPS and (run.device.read_noise or run.design.crossbar.sample_hold_noise):
        return "Reads differ each time, so that codes near the threshold go on changing: more steps do not end it."
    return run.outcome.remedy


def _arrays(run: CrossbarRun, design: Design) -> Arrays:
    p = run.plan
    fractions = {"input": p.input.frac, "weight": p.weight.frac, "code": p.code.frac, "membrane": p.membrane.frac,
                 "residual": design.residual_frac}  # fmt: skip
    return {
        "input": run.input,
        "dictionary": run.dictionary,
        "code": run.code,
        "membrane": run.membrane,
        "residual": run.residual,
        "programmed": run.programmed,
        **{f"frac_{name}": np.asarray(frac, np.int64) for name, frac in fractions.items()},
    }


def arrays_json(run: CrossbarRun) -> dict[str, Any]:
    """How many arrays, of which shape (the largest), with how many cells."""
    rows, columns = run.array_shape
    return {
        "count": run.arrays,
        "rows": rows,
        "columns": columns,
        "tiles": run.tiles,
        "planes": run.layout.planes,
        "row_parts": run.layout.row_parts,
        "column_parts": run.layout.column_parts,
        "side": run.layout.side,
        "converters": converters(run),
        "cells": run.cells_used,
        "stuck_cells": run.counts.stuck_cells,
        "conversions_per_forward_read": run.conversions_per_forward_read,
        "conversions_per_backward_read": run.conversions_per_backward_read,
        "adc_forward_bits": run.adc_forward_bits,
        "adc_backward_bits": run.adc_backward_bits,
        "forward_read_ns": run.forward_read_ns,
        "backward_read_ns": run.backward_read_ns,
    }


def crossbar_cost_json(priced: CrossbarCost) -> dict[str, Any]:
    """A cost as plain values, as `record.cost_json` has one of the machine; bands are [low, typical, high]."""
    return {
        "technology": priced.technology.name,
        "title": priced.technology.title,
        "energy_pj": priced.energy_pj.as_list(),
        "power_mw": priced.power_mw.as_list(),
        "latency_ms": priced.latency_ms,
        "frames_per_second": priced.frames_per_second,
        "area_mm2": priced.area_mm2.as_list(),
        "groups": {name: band.as_list() for name, band in priced.by_group().items()},
        "rows": [{**asdict(row), "energy_pj": row.energy_pj.as_list()} for row in priced.rows],
        "areas": [{**asdict(area), "mm2": area.mm2.as_list()} for area in priced.areas],
        "latency_ns": {**asdict(priced.latency), "total": priced.latency.total},
        "programming": asdict(priced.programming),
        "numbers": {
            key: {"band": n.band.as_list(), "unit": n.unit, "node_nm": n.node_nm, "source": n.source}
            for key, n in priced.numbers.items()
        },
        "missing": list(priced.missing),
        "notes": list(priced.notes),
    }


# ---- at the same quality ------------------------------------------------------------------------------------------
def fewest_steps(
    image: Array, design: Design, seed: int, run: CrossbarRun, digital_error: Sequence[float]
) -> dict[str, Any]:
    """The same crossbars with no more steps than the error of the whole run takes, by the digital dictionary.

    Args:
        digital_error: of each step. Static errors pull the code towards the dictionary that the arrays hold, so that
            the error by the digital one can pass its lowest point long before the end.
    """
    steps = int(np.flatnonzero(np.array(digital_error) <= digital_error[-1])[0]) + 1
    if steps < run.counts.steps:
        run = simulate_crossbar(image, design.replace(steps=steps), seed=seed)
    priced = crossbar_cost(run)
    return {
        "steps": run.counts.steps,
        **_quality(run, image),
        "conversions": run.counts.conversions,
        "energy_pj": priced.energy_pj.typical,
        "latency_ms": priced.latency_ms,
        "lowest_percent_error": float(np.min(digital_error)),
        "lowest_at_step": int(np.argmin(digital_error)) + 1,
        "costs": [crossbar_cost_json(priced)],
    }


def machine_at_equal_quality(image: Array, design: Design, wanted: float) -> dict[str, Any]:
    """The delta machine on the same picture, with the fewest steps after which its percent error is at most ``wanted``.

    Both decode with the digital dictionary. ``reached`` is false where not even all steps do: then it has them all.
    ``refused``: why there is no such machine, else None.
    """
    digital = design.replace(schedule="delta")
    try:
        run = simulate(image, digital)
    except InputError as error:
        return {"refused": str(error), "reached": False, "costs": []}
    whole = run.percent_error(image)
    good = np.flatnonzero(run.steps.percent_error <= wanted)
    if good.size and good[0] + 1 < run.counts.steps:
        digital = digital.replace(steps=int(good[0]) + 1)
        run = simulate(image, digital)
    assert run.cycles is not None
    found = [cost(run, design.target.clock_mhz, technology) for technology in BESIDE]
    return {
        "refused": None,
        "reached": bool(good.size),
        "wanted_percent_error": wanted,
        "percent_error": run.percent_error(image),
        "percent_error_of_all_steps": whole,
        "percent_inactive": run.percent_inactive,
        "psnr_db": run.psnr_db(image),
        "steps": run.counts.steps,
        "cycles": run.cycles.frame,
        "macs": run.counts.macs,
        "latency_ms": run.cycles.frame / design.target.clock_mhz * 1e-3,
        "clock_mhz": design.target.clock_mhz,
        "energy_pj": found[0].energy_pj.typical if found[0] else None,
        "costs": [cost_json(priced) for priced in found if priced is not None],
        "resources": resources_json(run.plan, design.target.board),
    }
