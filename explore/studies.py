"""What is varied: the named studies of the memristor machine, and the points of any study.

A study is curves (`Series`) over one axis. "Alone" means that the other effects are switched off - no errors of
devices, no wires, lossless converters - and only the range of the device stays; "with the rest" means the design as is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..golden.errors import InputError
from ..sim.design import Design
from ..sim.design_file import did_you_mean
from .crossbar import Picture, point_of, without_effects
from .points import Point

GRID = "grid"
"""The study of a user's own keys."""
CLEAN: dict[str, Any] = {
    "crossbar.levels": 0, "crossbar.programming_error": 0.0, "crossbar.programming": "once",
    "crossbar.read_noise": 0.0, "crossbar.fault_rate": 0.0, "crossbar.drift_seconds": 0.0, "crossbar.wire_ohm": 0.0,
    "crossbar.driver_ohm": 0.0, "crossbar.sense_ohm": 0.0, "crossbar.sample_hold_noise": 0.0,
    "crossbar.dac_bits": 0, "crossbar.adc_bits": 0, "crossbar.reads": "absolute",
}  # fmt: skip
"""Every effect off, the range of the device kept."""


@dataclass(frozen=True)
class Series:
    """One curve: settings that all its points share.

    Args:
        seeded: anything in it is random; False: one seed is enough. values: along the axis, in place of the study's.
        group: series that may be compared with each other at equal quality.
    """

    label: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    seeded: bool = True
    values: tuple[Any, ...] | None = None
    group: str = ""


@dataclass(frozen=True)
class Study:
    """Curves over one axis.

    Args:
        title: of its part of a report. about: one sentence on what is varied. key: of the design that the axis sets;
            "" where the series set everything. axis: the key in words, with its unit. values: from the mildest or the
            coarsest on. names: of values that are shown by a word.
    """

    name: str
    title: str
    about: str
    key: str
    axis: str
    values: tuple[Any, ...]
    series: tuple[Series, ...]
    names: Mapping[Any, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """One place of one curve: ``points`` of all pictures and seeds, and ``references`` of the same pictures on the
    fixed-point machine, by picture.
    """

    study: str
    series: str
    value: Any
    points: tuple[Point, ...]
    references: Mapping[str, Point]


def cases_of(study: Study, design: Design, pictures: Sequence[Picture], seeds: int) -> tuple[Case, ...]:
    """The cases of a study on a design, seeds 0 to ``seeds - 1``.

    Raises:
        InputError: fewer than one seed, or a value that no design has.
    """
    if seeds < 1:
        raise InputError(f"--seeds must be at least 1, not {seeds}")
    cases = []
    for series in study.series:
        for value in series.values or study.values:
            settings = {**series.settings, **({study.key: value} if study.key else {})}
            cases.append(
                Case(
                    study.name, series.label, value,
                    tuple(
                        point_of(design, settings, picture.name, seed)
                        for picture in pictures
                        for seed in range(seeds if series.seeded else 1)
                    ),
                    {p.name: point_of(design, without_effects(settings), p.name, 0) for p in pictures},
                )
            )  # fmt: skip
    return tuple(cases)


def check_cases(study: Study, design: Design) -> None:
    """Refuse what cannot run before anything does: any case of a grid, a named study of which no case can.

    Raises:
        InputError: what `sim.crossbar.legality.check_crossbar` refuses, with the case.
    """
    refused: list[str] = []
    cases = [(series, value) for series in study.series for value in series.values or study.values]
    for series, value in cases:
        settings = {**series.settings, **({study.key: value} if study.key else {})}
        try:
            design.replace(settings).check_crossbar()
        except InputError as error:
            refused.append(f"{study.axis} {shown(value)}{f', {series.label}' if series.label else ''}: {error}")
    if refused and (study.name == GRID or len(refused) == len(cases)):
        raise InputError(f"{len(refused)} of {len(cases)} cases cannot run; the first, {refused[0]}")


# ---- named studies ---------------------------------------------------------------------------------------------------
ALONE, REST = "alone", "with the rest of the design"


def _both(clean_seeded: bool) -> tuple[Series, ...]:
    """The effect alone, and on top of everything that the design has."""
    return Series(ALONE, CLEAN, clean_seeded), Series(REST)


def _ranges() -> tuple[Series, ...]:
    kinds = ("fixed", "calibrated", "following")
    return tuple(Series(kind, {**CLEAN, "crossbar.adc_range": kind}, False) for kind in kinds)


def _drifts() -> tuple[Series, ...]:
    month = (0.0, 60.0, 3600.0, 86400.0, 2592000.0)
    anew = {0.0: "never anew", 3600.0: "anew every hour", 60.0: "anew every minute"}
    series = []
    for device, values, times in (
        ("joshi2020", month, (0.0, 3600.0, 60.0)),
        ("wan2022", (*month[:-1], 172800.0), (0.0, 60.0)),  # two days are all that was measured
    ):
        for seconds in times:
            settings = {"crossbar.device": device, "crossbar.refresh_seconds": seconds}
            series.append(Series(f"{device}, {anew[seconds]}", settings, True, values))
    return tuple(series)


def _strides() -> tuple[Series, ...]:
    """Devices without errors, but real converters and wires; and on the same arrays the errors of the device.

    No read noise: its law for the 32 arrays of 512 kernels takes half a minute, and `read-noise` shows what it does.
    """
    real = {**CLEAN, "crossbar.wire_ohm": 1.0, "crossbar.adc_bits": 8, "crossbar.dac_bits": 8}
    errors = {"crossbar.read_noise": 0.0}
    one: dict[str, Any] = {"network.channels": 1, "network.dictionary": "natural", "machine.tiles": (1, 1)}
    short = {**one, "network.kernels": 8, "network.stride": 2, "network.patch": 16}
    long = {**one, "network.kernels": 512, "network.stride": 16, "network.patch": 16}
    return (
        Series("8 kernels at stride 2", {**short, **real}, False),
        Series("8 at 2, Toeplitz", {**short, **real, "crossbar.placement": "toeplitz"}, False),
        Series("8 at 2, 64 tiles", {**short, **real, "machine.tiles": (8, 8)}, False),
        Series("512 kernels at stride 16", {**long, **real}, False),
        Series("8 at 2, errors of the device", {**short, **errors}, group="errors of the device"),
        Series("512 at 16, errors of the device", {**long, **errors}, group="errors of the device"),
    )


OHMS = (0.0, 0.5, 1.0, 2.0, 5.0)
SIZES = (
    *(Series(f"{ohm:g} ohm a segment", {**CLEAN, "crossbar.wire_ohm": ohm}, False) for ohm in OHMS),
    Series("2 ohm, Toeplitz", {**CLEAN, "crossbar.wire_ohm": 2.0, "crossbar.placement": "toeplitz"}, False),
)
STUDIES: dict[str, Study] = {
    study.name: study
    for study in (
        Study(
            "levels", "States of a cell",
            "Cells take the nearest of equally spaced conductances; \u221e: any conductance of their range.",
            "crossbar.levels", "states of a cell", (2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 0), _both(False),
            {0: "\u221e"},
        ),
        Study(
            "self-correction", "Static errors and who decodes",
            "Every written conductance is off by a normal error, the same at every read in both directions.",
            "crossbar.programming_error", "programming error / largest conductance",
            (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2), (Series(ALONE, CLEAN),),
        ),
        Study(
            "size", "Array size against wire resistance",
            "Longer lines drop more voltage; kernels longer than an array continue in another.",
            "crossbar.rows", "rows of an array", (32, 64, 128, 256, 512), SIZES,
        ),
        Study(
            "adc", "Converter bits and the converter's range",
            "The range holds every value (fixed), those of a calibration, or follows the signal from step to step.",
            "crossbar.adc_bits", "ADC bits", (3, 4, 5, 6, 7, 8, 9, 10, 12), _ranges(),
        ),
        Study(
            "dac", "Driver bits", "Residuals and codes are rounded before they drive the lines.",
            "crossbar.dac_bits", "DAC bits", (2, 3, 4, 5, 6, 7, 8, 10), _both(False),
        ),
        Study(
            "on-off", "On/off ratio", "The smallest conductance under the same largest, in the rest of the design.",
            "crossbar.on_off", "largest / smallest conductance", (1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 100.0, 1000.0),
            (
                *(Series(kind, {"crossbar.mapping": kind}) for kind in ("differential", "two-sided")),
                Series("offset", {"crossbar.mapping": "offset"}, True, (2.0, 10.0, 1000.0)),
            ),
        ),
        Study(
            "read-noise", "Read noise", "Every conductance differs from read to read, in proportion to itself.",
            "crossbar.read_noise", "read noise / conductance", (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0), _both(True),
        ),
        Study(
            "faults", "Stuck cells", "Cells that take no programming, half stuck low, half stuck high.",
            "crossbar.fault_rate", "share of cells stuck", (0.0, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2), _both(True),
        ),
        Study(
            "drift", "Drift, with and without programming anew",
            "The frame is coded so long after the arrays were first programmed; after whole intervals it is the last "
            "before they are programmed anew.",
            "crossbar.drift_seconds", "seconds since programming", (), _drifts(),
            {0.0: "0", 60.0: "1 min", 3600.0: "1 h", 86400.0: "1 day", 172800.0: "2 days", 2592000.0: "30 days"},
        ),
        Study(
            "stride", "Short stride on crossbars",
            "Few kernels at many places against many kernels at few, by frames of more and more steps.",
            "dynamics.steps", "steps of a frame", (10, 20, 30, 50, 75, 100, 150, 200), _strides(),
        ),
    )
}  # fmt: skip
"""By name, in the order of a report."""


def study_named(name: str) -> Study:
    """One of `STUDIES`.

    Raises:
        InputError: there is none of that name.
    """
    if name not in STUDIES:
        raise InputError(f"unknown study '{name}'; {did_you_mean(name, STUDIES)}")
    return STUDIES[name]


def shown(value: Any) -> str:
    """A value of a design in a few characters."""
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return "x".join(shown(item) for item in value)
    return str(value)
