"""The memristor machine as a job: a design with some keys changed, a picture and a seed in, numbers out.

One point is one whole closed loop on freshly programmed arrays: its seed is that of the devices, of reads and of
everything else random. Energy, latency and area are modelled (`sim.crossbar.cost`), all else is counted or computed.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ..golden.errors import InputError
from ..golden.images import PHOTOGRAPHS, load_image, photograph_path
from ..sim.crossbar.cost import crossbar_cost
from ..sim.crossbar.loop import simulate_crossbar
from ..sim.crossbar.result import CrossbarRun
from ..sim.design import Design
from ..sim.fixed import Format
from ..sim.machine import load_dictionary
from ..sim.run import FloatArray
from .points import Point, Sweep, canonical

JOB, VERSION = f"{__name__}:job", 2
CROPS = {"camera": (104, 212), "astronaut": (70, 170), "chelsea": (100, 150), "coffee": (120, 200)}
"""Parts of bundled photographs with something in them, (y, x). No shipped dictionary has seen camera."""
NO_EFFECTS: dict[str, Any] = {
    "device": "ideal", "on_off": None, "levels": None, "programming_error": None, "programming": "once",
    "read_noise": None, "fault_rate": None, "drift_seconds": 0.0, "refresh_seconds": 0.0, "dac_bits": 0,
    "dac_mode": "amplitude", "adc_bits": 0, "sample_hold_noise": 0.0, "wire_ohm": 0.0, "driver_ohm": 0.0,
    "sense_ohm": 0.0, "reads": "absolute",
}  # fmt: skip
"""Keys of [crossbar] with which it is the fixed-point machine, bit by bit."""


@dataclass(frozen=True)
class Picture:
    """A picture that points name: ``crop`` (y, x) of its first pixel, None for the whole; ``sha256`` of its values."""

    name: str
    path: str
    crop: tuple[int, int] | None
    sha256: str


def pictures_of(names: Sequence[str], design: Design, crop: tuple[int, int] | None = None) -> tuple[Picture, ...]:
    """The pictures of a sweep, read once to see that they can be.

    Args:
        names: files or bundled names. crop: of all of them; None: of bundled ones that of `CROPS`, else the centre.

    Raises:
        InputError: as for `load_image`, and a picture named twice.
    """
    if len(set(names)) != len(names):
        raise InputError(f"a picture is named twice in {', '.join(names)}; name each once")
    found = []
    for name in names:
        bundled = name in PHOTOGRAPHS and not Path(name).exists()
        at = crop
        if at is None:
            at = CROPS.get(name) if bundled else None
        at = _centre(name, design) if at is None else at
        path = str(photograph_path(name) if bundled else Path(name).absolute())
        image = _load(name if bundled else path, at, design)
        found.append(Picture(name, path, at, _sha256(image)))
    return tuple(found)


def _centre(name: str, design: Design) -> tuple[int, int]:
    """(y, x) of the middle part; 0, 0 of a picture that is too small, for `load_image` to refuse."""
    _, height, width = load_image(name, channels=design.network.channels, preprocess="none").shape
    rows, columns = design.network.image
    return max(0, (height - rows) // 2), max(0, (width - columns) // 2)


def _load(path: str, crop: tuple[int, int] | None, design: Design) -> FloatArray:
    n = design.network
    return load_image(path, crop=crop, size=n.image, channels=n.channels, preprocess=design.input.preprocess)


def _sha256(image: FloatArray) -> str:
    return hashlib.sha256(f"{image.shape}\n".encode() + np.ascontiguousarray(image).astype("<f8").tobytes()).hexdigest()


def subject(studies: Sequence[str], varied: Sequence[str]) -> list[str]:
    """What a sweep studies, for `sweep_of`: names of studies, or else the keys of ``key=v1,v2,...`` texts."""
    return list(studies) or sorted({text.partition("=")[0].strip() for text in varied})


def sweep_of(design: Design, pictures: Iterable[Picture], of: Any) -> Sweep:
    """The sweep of a design over pictures.

    Args:
        of: what is studied, so that a store of one study is not taken for that of another.
    """
    pictures = tuple(pictures)
    base = {"studies": of, "design": design.sha256(_atoms(design)), "pictures": {p.name: p.sha256 for p in pictures}}
    context = {"design": design.to_toml(), "pictures": {p.name: [p.path, p.crop, p.sha256] for p in pictures}}
    return Sweep(JOB, VERSION, base, context)


def _atoms(design: Design) -> bytes:
    return np.ascontiguousarray(load_dictionary(design).atoms).astype("<f8").tobytes()


def point_of(design: Design, settings: Mapping[str, Any], picture: str, seed: int) -> Point:
    """The point of some settings: its parameters are the keys in which the design differs from the sweep's.

    Settings that come to the same design are thus the same point, however they were written.

    Raises:
        InputError: an unknown key, or a value that no design has.
    """
    return Point({"picture": picture, **_changes(design, canonical(_plain(dict(settings))))}, seed)


@lru_cache(maxsize=4096)
def _changes(design: Design, settings: str) -> dict[str, Any]:
    other = design.replace(json.loads(settings))
    before, after = design.sections(), other.sections()
    changes = {
        f"{section}.{key}": _plain(value)
        for section, keys in after.items()
        for key, value in keys.items()
        if value != before[section][key]
    }
    if other.network != design.network:  # another dictionary, whose contents count and not its place
        changes["dictionary"] = hashlib.sha256(_atoms(other)).hexdigest()
    return changes


def _plain(value: Any) -> Any:
    """A value of a design as JSON has it."""
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Format) else value


def without_effects(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of the same network and dynamics on the fixed-point machine."""
    kept = {key: value for key, value in settings.items() if not key.startswith("crossbar.")}
    return kept | {f"crossbar.{key}": value for key, value in NO_EFFECTS.items()}


# ---- the job ---------------------------------------------------------------------------------------------------------
@lru_cache(maxsize=4)
def _base(design: str) -> Design:
    return Design.from_toml(design)


@lru_cache(maxsize=64)
def _image(path: str, crop: tuple[int, int], sha256: str, design: Design) -> FloatArray:
    image = _load(path, crop, design)
    if _sha256(image) != sha256:
        raise InputError(f"{path} is no longer the picture that the sweep began with; put it back, or begin anew")
    return image


def job(context: Mapping[str, Any], parameters: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """One closed loop of the design in ``context`` with the keys of ``parameters`` changed, and what it came to.

    Raises:
        InputError: a design that the memristor machine refuses; a picture or dictionary changed since the sweep began.
    """
    changes = {key: value for key, value in parameters.items() if "." in key}
    design = _base(context["design"]).replace(changes)
    path, crop, sha256 = context["pictures"][parameters["picture"]]
    image = _image(path, tuple(crop), sha256, design)
    dictionary = load_dictionary(design)
    if parameters.get("dictionary") not in (None, hashlib.sha256(_atoms(design)).hexdigest()):
        raise InputError(f"the dictionary {design.network.dictionary} is no longer the one that the sweep began with")
    run = simulate_crossbar(image, design, dictionary=dictionary, seed=seed)
    counts = run.counts
    found = {
        "percent_error": run.percent_error(image),
        "programmed_percent_error": run.programmed_percent_error(image),
        "percent_inactive": run.percent_inactive,
        "psnr_db": run.psnr_db(image),
        "programmed_psnr_db": run.programmed_psnr_db(image),
        "outcome": run.outcome.value,
        "overflow": run.overflow,
        "steps": counts.steps,
        "code_events": counts.code_events,
        "conversions": counts.conversions,
        "forward_conversions": counts.forward_conversions,
        "backward_conversions": counts.backward_conversions,
        "adc_saturations": counts.adc_saturations,
        "reads": counts.forward_reads + counts.backward_reads,
        "programming_pulses": counts.programming_pulses,
        "stuck_cells": counts.stuck_cells,
        "arrays": run.arrays,
        "cells_used": run.cells_used,
        "error_by_step": [round(float(error), 4) for error in run.steps.percent_error],  # as the machine reads it
        **_modelled(run),
    }
    return {name: _finite(value) for name, value in found.items()}


def _modelled(run: CrossbarRun) -> dict[str, Any]:
    """Energy, latency and area; none with lossless converters, which nobody can build."""
    if not run.design.crossbar.adc_bits:
        return dict.fromkeys(("energy_pj", "energy_band_pj", "energy_by_group_pj", "latency_ms", "area_mm2"))
    cost = crossbar_cost(run)
    return {
        "energy_pj": cost.energy_pj.typical,
        "energy_band_pj": cost.energy_pj.as_list(),
        "energy_by_group_pj": {group: band.typical for group, band in cost.by_group().items()},
        "latency_ms": cost.latency_ms,
        "area_mm2": cost.area_mm2.typical,
    }


def _finite(value: Any) -> Any:
    """NumPy's numbers as Python's; what is not finite is None."""
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
