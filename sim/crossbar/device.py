"""The device of a design: a preset with the keys of [crossbar] that replace its own, and what a device refuses."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...golden.errors import InputError
from ..design_file import did_you_mean
from .devices.cell import Device, check_fraction, check_levels
from .devices.drift import Drift
from .devices.presets import PRESETS

__all__ = [
    "DEVICES", "Device", "age_of", "cautions", "check_cell_bits", "check_device", "describe", "device_of", "preset",
    "states_needed", "table",
]  # fmt: skip

if TYPE_CHECKING:
    from ..design import Design
    from ..sections import Crossbar

DEVICES: dict[str, Device] = {device.name: device for device in PRESETS}
"""Name to preset."""
REPLACED = (
    "g_min_us", "g_max_us", "read_volts", "read_ns", "on_off", "levels", "programming_error", "read_noise",
    "fault_rate",
)  # fmt: skip
"""Keys of [crossbar] that replace numbers of the preset."""
MAX_REFRESHES = 1_000_000
"""Programmings before a frame; each multiplies the counts of pulses."""


def preset(name: str) -> Device:
    """The preset of a name.

    Raises:
        InputError: an unknown name; the nearest one.
    """
    if name not in DEVICES:
        raise InputError(f'crossbar.device "{name}" is unknown; {did_you_mean(name, DEVICES)}')
    return DEVICES[name]


def describe(device: Device) -> dict[str, str]:
    """A row of the table of devices: name, range, levels, error, noise, drift, read, write and source, as text."""
    middle = np.array((device.g_min_s + device.g_max_s) / 2)
    error = float(device.sigma_s(middle)) / device.g_max_s
    noise = float(device.read_sigma_s(middle) / middle)
    pulse = device.write_pulse_pj
    return {
        "name": device.name,
        "title": device.title,
        "range": f"{device.g_min_us:.3g} to {device.g_max_us:.4g} uS",
        "on/off": f"{device.on_off:.3g}",
        "levels": str(device.levels) if device.levels else "continuous",
        "error at mid-range": f"{100 * error:.2g} % of Gmax" if error else "none",
        "after write-and-verify": "yes" if device.verified else "no",
        "read noise at mid-range": f"{100 * noise:.2g} % of G" if noise else "none",
        "drift": device.drift.describe(),
        "I-V": "nonlinear" if device.iv else "linear",
        "read": f"{device.read_voltage_v:g} V, {device.read_ns:g} ns",
        "write": f"{pulse:.3g} pJ" if pulse is not None else "no source",
        "source": device.source,
    }


def table() -> list[dict[str, str]]:
    """`describe` of every preset."""
    return [describe(device) for device in DEVICES.values()]


def device_of(design: "Design") -> Device:
    """The preset ``crossbar.device`` with the keys of [crossbar] that replace its own.

    g_min_us and g_max_us set the range, or on_off g_min under g_max; read_volts and read_ns the read; levels the
    states; programming_error a standard deviation that is the same for every conductance, ``value g_max``; read_noise
    one in proportion to the conductance; fault_rate cells stuck half low, half high. The title and the source then say
    which numbers are the design's.

    Raises:
        InputError: as `check_device`.
    """
    check_device(design)
    c = design.crossbar
    device = preset(c.device)
    given = {"g_min_us": c.g_min_us, "g_max_us": c.g_max_us, "read_voltage_v": c.read_volts, "read_ns": c.read_ns}
    changes: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    if c.on_off is not None:
        changes["g_min_us"] = (c.g_max_us or device.g_max_us) / c.on_off
    if c.levels is not None:
        changes["levels"] = c.levels
    if c.programming_error is not None:
        error = (c.programming_error * (c.g_max_us or device.g_max_us),) if c.programming_error else ()
        changes |= {"error_us": error, "error_knee_us": None, "verified": False}
    if c.read_noise is not None:
        changes |= {"read_noise": c.read_noise, "read_exponent": 0.0, "read_us": None}
    if c.fault_rate is not None:
        changes |= {"stuck_low": c.fault_rate / 2, "stuck_high": c.fault_rate / 2}
    mine = [key for key in REPLACED if getattr(c, key) is not None]
    if mine:
        changes["title"] = f"{device.title}, with {', '.join(mine)} of the design"
        changes["source"] = f"{', '.join(mine)}: the design's own. The rest: {device.source}"
    return replace(device, **changes)


def check_device(design: "Design") -> None:
    """Refuse what a device cannot be or do, in one line: the key, its value, the remedy.

    Raises:
        InputError: an unknown device (the nearest name), on_off not above 1, one or a negative number of levels, a
            negative error or noise, a fault rate outside 0..1, a negative drift or refresh time, a time beyond what was
            measured, a tolerance of 0 or less, cell_bits below 0 or with more states than a cell has.
    """
    c = design.crossbar
    device = preset(c.device)
    _check_range(c, device)
    if c.on_off is not None and not c.on_off > 1:
        raise InputError(
            f"crossbar.on_off = {c.on_off:g} inverts the conductance range; "
            "use the largest over the smallest conductance, above 1"
        )
    if c.levels is not None:
        check_levels(c.levels)
    for key in ("programming_error", "read_noise"):
        value = getattr(c, key)
        if value is not None:
            check_fraction(key, value)
    if c.fault_rate is not None:
        check_fraction("fault_rate", c.fault_rate)
    if not c.verify_tolerance > 0:
        raise InputError(
            f"crossbar.verify_tolerance = {c.verify_tolerance:g} accepts no conductance; use more than 0, such as 0.01"
        )
    for key in ("drift_seconds", "refresh_seconds"):
        if not getattr(c, key) >= 0:
            raise InputError(f"crossbar.{key} = {getattr(c, key):g} is before programming; use 0 or more")
    if c.refresh_seconds and c.drift_seconds / c.refresh_seconds > MAX_REFRESHES:
        raise InputError(
            f"crossbar.refresh_seconds = {c.refresh_seconds:g} programs the arrays more than {MAX_REFRESHES:,} times "
            f"in drift_seconds = {c.drift_seconds:g}; use {c.drift_seconds / MAX_REFRESHES:g} or more"
        )
    device.drift.check(age_of(c)[0])
    levels = device.levels if c.levels is None else c.levels
    check_cell_bits(c.cell_bits, c.mapping, levels)
    if c.mapping == "offset" and levels == 2:
        raise InputError(
            "a cell of 2 levels has no state on either side of an offset's reference; use 3 levels or more, or "
            'crossbar.mapping = "differential"'
        )


def _check_range(c: "Crossbar", device: Device) -> None:
    """Refuse a range or a read of the design's own that no cell can have."""
    for key in ("g_min_us", "g_max_us", "read_volts", "read_ns"):
        value = getattr(c, key)
        if value is not None and not value > 0:
            raise InputError(f"crossbar.{key} = {value:g} is nothing a cell has; use more than 0")
    if c.on_off is not None and c.g_min_us is not None:
        raise InputError(
            f"crossbar.on_off = {c.on_off:g} and crossbar.g_min_us = {c.g_min_us:g} both set the smallest conductance; "
            f"leave one out"
        )
    low = device.g_min_us if c.g_min_us is None else c.g_min_us
    high = device.g_max_us if c.g_max_us is None else c.g_max_us
    if c.on_off is None and not low < high:
        raise InputError(
            f"crossbar.g_min_us = {low:g} and g_max_us = {high:g} invert the conductance range of {c.device}; use "
            f"g_min_us below g_max_us"
        )
    if high > device.g_max_us and device.error_us and c.programming_error is None:
        raise InputError(
            f"the write error of device {c.device} is known up to {device.g_max_us:g} uS, not to crossbar.g_max_us = "
            f"{high:g}; give crossbar.programming_error too"
        )


def cautions(design: "Design") -> list[str]:
    """What is allowed but deserves a word, one line each: keys without effect, errors counted twice, no source."""
    c, device = design.crossbar, device_of(design)
    lines = []
    if c.drift_seconds > 0 and type(device.drift) is Drift:
        lines.append(f"crossbar.drift_seconds changes nothing: device {c.device} has no measurement of drift")
    if c.programming == "verify" and device.verified:
        lines.append(
            f"the error of device {c.device} is what its own write-and-verify left and the cells did afterwards; "
            'crossbar.programming = "verify" selects from it once more'
        )
    if c.device == "sheridan-wox":
        lines.append("device sheridan-wox is illustrative: its numbers have no checked source")
    return lines


def check_cell_bits(cell_bits: int, mapping: str, levels: int) -> None:
    """Refuse bit slices that a cell has no states for.

    Raises:
        InputError: cell_bits negative or above 24; more states needed than ``levels`` (0: continuous, holds any).
    """
    if not 0 <= cell_bits <= 24:
        raise InputError(f"crossbar.cell_bits = {cell_bits} is not a number of bits; use 0 (all of them) or 1 to 24")
    needed = states_needed(mapping, 2**cell_bits - 1)
    if cell_bits and levels and needed > levels:
        fits = [bits for bits in range(1, cell_bits) if states_needed(mapping, 2**bits - 1) <= levels]
        remedy = f"cell_bits = {fits[-1]} or 0" if fits else "cell_bits = 0"
        raise InputError(
            f"crossbar.cell_bits = {cell_bits} needs {needed} states of a cell ({mapping}) and this device has "
            f"{levels}; use {remedy}"
        )


def states_needed(mapping: str, full_scale: int) -> int:
    """States of a cell that hold every whole weight of -full_scale..full_scale without rounding."""
    return full_scale + 1 if mapping == "differential" else 2 * full_scale + 1


def age_of(crossbar: "Crossbar") -> tuple[float, int]:
    """(seconds since the last programming, number of that programming) of the frame.

    Without a refresh the age is ``drift_seconds``. With one it is the oldest that an array gets, just before it is
    programmed anew: ``min(drift_seconds, refresh_seconds)``, and not where in the period the frame happens to be, so
    that a curve over drift_seconds is no saw. The number counts the refreshes before that.
    """
    drift, refresh = crossbar.drift_seconds, crossbar.refresh_seconds
    if refresh == 0 or drift <= refresh:
        return drift, 0
    return refresh, int(np.ceil(drift / refresh)) - 1
