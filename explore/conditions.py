"""What points stand for: the value that every key has in effect, and in words what the curves of a study share."""

import contextlib
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ..golden.errors import InputError
from ..sim.crossbar.device import device_of
from ..sim.crossbar.devices.cell import Device
from ..sim.design import Design
from ..sim.machine import load_dictionary
from .points import canonical
from .studies import STUDIES, Study


# ---- values ----------------------------------------------------------------------------------------------------------
def effective(design: Design, parameters: Mapping[str, Any], key: str) -> Any:
    """The value of a key in the design of a point; None only where there is none.

    A key of [crossbar] that is left to the device has the device's value, or "law of DEVICE" where that is no number.

    Args:
        parameters: of the point. key: "section.key" of the design, or a name of ``parameters``.
    """
    if key == "dictionary":
        return parameters.get(key) or _dictionary_sha256(design)
    if "." not in key:
        return parameters.get(key)
    changes = {name: value for name, value in parameters.items() if "." in name}
    section, _, name = key.partition(".")
    value = _sections(design, canonical(changes))[section][name]
    if value is None and section == "crossbar":
        return _devices_own(_design(design, canonical(changes)), name)
    return str(value) if type(value).__name__ == "Format" else value


@lru_cache(maxsize=4)
def _dictionary_sha256(design: Design) -> str:
    return hashlib.sha256(np.ascontiguousarray(load_dictionary(design).atoms).astype("<f8").tobytes()).hexdigest()


@lru_cache(maxsize=1024)
def _design(design: Design, changes: str) -> Design:
    return design.replace(json.loads(changes))


@lru_cache(maxsize=1024)
def _sections(design: Design, changes: str) -> dict[str, dict[str, Any]]:
    return _design(design, changes).sections()


def _devices_own(design: Design, name: str) -> Any:
    try:
        device = device_of(design)
    except InputError:  # a point that failed: nothing was in effect
        return None
    law = f"law of {device.name}"
    proportional = device.read_us is None and device.read_exponent == 0
    own: dict[str, Any] = {
        "g_min_us": device.g_min_us, "g_max_us": device.g_max_us, "read_volts": device.read_voltage_v,
        "read_ns": device.read_ns, "on_off": device.on_off, "levels": device.levels,
        "programming_error": law if device.error_us else 0.0,
        "read_noise": device.read_noise if proportional else law,
        "fault_rate": device.stuck_low + device.stuck_high,
    }  # fmt: skip
    return own.get(name)


# ---- words -----------------------------------------------------------------------------------------------------------
def shared(study: Study, design: Design) -> list[str]:
    """What all points of a study have in common, then each curve's own: devices, their errors, converters, wires.

    What the axis varies is left out, and so are curves that the design refuses.
    """
    told: dict[str, list[str]] = {}
    for series in study.series:
        settings = {key: value for key, value in series.settings.items() if key != study.key}
        with contextlib.suppress(InputError):  # its points failed and say why
            told[series.label] = [part(design.replace(settings), study.key) for part in _PARTS]
    if not told:
        return []
    common = [n for n in range(len(_PARTS)) if len({parts[n] for parts in told.values()}) == 1]
    first = next(iter(told.values()))
    said = []
    every = [first[n] for n in common if first[n]]
    if every:
        said.append(f"{'All curves' if len(told) > 1 else 'All points'}: {'; '.join(every)}.")
    for label, parts in told.items():
        own = [text for n, text in enumerate(parts) if n not in common and text]
        if own:
            said.append(f"{label}: {'; '.join(own)}.")
    return said


def note(study: Study, design: Design) -> str:
    """`shared` as one text, for a figure that stands alone."""
    return " ".join(shared(study, design))


def overall(design: Design) -> str:
    """What named studies share, for a figure of many: exact cells where one effect is shown alone, else the design."""
    c, device = design.crossbar, device_of(design)
    own = "; ".join(part(design, "") for part in (_errors, _converters, _wires))
    stride = design.replace(STUDIES["stride"].series[0].settings)
    real = "; ".join(part(stride, "") for part in (_converters, _wires))
    return (
        f"Alone, and curves by ohm or by range: exact cells of {c.device} between {device.g_min_us:g} and "
        f"{device.g_max_us:g} \u00b5S, lossless drivers and converters, no resistance of wires, but for what is "
        f"varied. With the rest of the design, and the on/off ratio: {own}. Drift: the same with the named device. "
        f"Strides: exact cells unless their errors are named; {real}."
    )


def _device(design: Design, axis: str) -> str:
    c = design.crossbar
    device = device_of(design)
    what = f"cells of device {c.device}"
    if axis == "crossbar.device":
        return ""
    if axis == "crossbar.on_off":
        return f"{what}, up to {device.g_max_us:g} \u00b5S, {c.mapping}"
    return f"{what}, {device.g_min_us:g} to {device.g_max_us:g} \u00b5S, {c.mapping}"


def _errors(design: Design, axis: str) -> str:
    """Of cells: states, writing, reading, faults, time."""
    c, device = design.crossbar, device_of(design)
    known: dict[str, str] = {}
    if device.levels:
        known["levels"] = f"{device.levels} states"
    if device.error_us:
        known["programming_error"] = _amount(c.programming_error, "programming error", device)
    if device.read_noise or device.read_us:
        known["read_noise"] = _amount(c.read_noise, "read noise", device)
    if device.stuck_low + device.stuck_high:
        known["fault_rate"] = f"{100 * (device.stuck_low + device.stuck_high):g} % of cells stuck"
    if device.iv:
        known["iv"] = "the device's nonlinear current"
    if c.drift_seconds:
        known["drift_seconds"] = f"{c.drift_seconds:g} s after programming"
    if c.refresh_seconds:
        known["refresh_seconds"] = f"programmed anew every {c.refresh_seconds:g} s"
    known.pop(axis.rpartition(".")[2], None)
    besides = axis.rpartition(".")[2] in _ERRORS
    if known:
        return ", ".join(known.values())
    return f"exact devices {'but for what the axis varies' if besides else '(any conductance, no errors)'}"


_ERRORS = ("levels", "programming_error", "read_noise", "fault_rate", "drift_seconds", "refresh_seconds")


def _amount(value: float | None, what: str, device: Device) -> str:
    return f"the device's {what}" if value is None else f"{what} {value:g}"


def _converters(design: Design, axis: str) -> str:
    c = design.crossbar
    drivers = "" if axis == "crossbar.dac_bits" else f"{c.dac_bits}-bit drivers" if c.dac_bits else "lossless drivers"
    adc = f"{c.adc_bits}-bit converters, {c.adc_range} range" if c.adc_bits else "lossless converters"
    if axis == "crossbar.adc_bits":
        adc = f"{c.adc_range} range of the converters"
    if not c.adc_bits and not c.dac_bits and not axis.endswith("_bits"):
        return "lossless drivers and converters"
    return ", ".join(text for text in (drivers, adc) if text)


def _wires(design: Design, axis: str) -> str:
    names = {"wire_ohm": "ohm a segment of wire", "driver_ohm": "ohm of a driver", "sense_ohm": "ohm of a sense"}
    own = [f"{getattr(design.crossbar, key):g} {text}" for key, text in names.items()
           if getattr(design.crossbar, key) and axis != f"crossbar.{key}"]  # fmt: skip
    if own:
        return ", ".join(own)
    return "no wires but what the axis varies" if axis.endswith("_ohm") else "no resistance of wires"


def _arrays(design: Design, axis: str) -> str:
    c = design.crossbar
    rows = f"{c.columns} columns" if axis == "crossbar.rows" else f"{c.rows}x{c.columns}"
    return f"arrays of {rows}"


def _placement(design: Design, axis: str) -> str:
    return "" if axis == "crossbar.placement" else f"{design.crossbar.placement} placement"


def _network(design: Design, axis: str) -> str:
    n, d = design.network, design.dynamics
    steps = "" if axis == "dynamics.steps" else f", {d.steps} steps"
    tiles = "" if design.machine.tiles == (1, 1) else f", {design.machine.tiles[0]}x{design.machine.tiles[1]} tiles"
    return f"{n.kernels} kernels of {n.patch}x{n.patch} at stride {n.stride}{steps}{tiles}"


_PARTS: Sequence[Callable[[Design, str], str]] = (_device, _errors, _converters, _wires, _arrays, _placement, _network)
