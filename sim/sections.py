"""The sections of a design file: every key with its type, default and the comment printed into a new file.

Validation here is about single keys and about keys of one section; what combines sections is in `design`, and what only
the machine minds is in `legality`. All values are frozen and hashable.
"""

import os
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PlainValidator, field_validator, model_validator

from ..golden.conv import Border
from ..golden.errors import InputError
from ..golden.preprocess import Preprocess
from ..golden.threshold import Transfer
from .fixed import Format

Schedule = Literal["delta", "skip", "dense", "gram"]
StepShift = int | tuple[tuple[int, int], ...]
MAX_FORMAT_WIDTH = 24
"""Widest stored word: products and aligned sums then stay inside int64."""
MAX_STEP_SHIFT = 24


def _plain(value: Any) -> Any:
    """Lists as tuples and NumPy numbers as Python's, so that strict types take them."""
    if isinstance(value, list | tuple):
        return tuple(_plain(item) for item in value)
    return value.item() if isinstance(value, np.generic) else value


def _format(value: Any) -> Format:
    if isinstance(value, str):
        value = Format.parse(value)
    if not isinstance(value, Format):
        raise InputError(f'must be a number format written like "s8.7", not {value!r}')
    if not 2 <= value.width <= MAX_FORMAT_WIDTH:
        raise InputError(f"is {value.width} bits wide; use a width of 2 to {MAX_FORMAT_WIDTH}")
    if not 0 <= value.frac <= value.width:
        raise InputError(f"has its fraction {value.frac} outside the word; use 0 to {value.width}")
    return value


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _step_shift(value: Any) -> StepShift:
    if _whole(value):
        value = [(0, value)]
    try:
        pairs = tuple((start, shift) for start, shift in value)
    except (TypeError, ValueError):
        pairs = ()
    if not pairs or not all(_whole(start) and _whole(shift) for start, shift in pairs):
        raise InputError(f"must be a whole number such as 5 or pairs [[from_step, shift], ...], not {value!r}")
    starts = [start for start, _ in pairs]
    if starts[0] != 0 or any(b <= a for a, b in zip(starts, starts[1:], strict=False)):
        raise InputError(f"changes at the steps {starts}; start at step 0 and then rise, as in [[0, 4], [50, 5]]")
    for _, shift in pairs:
        if not 0 <= shift <= MAX_STEP_SHIFT:
            raise InputError(f"cannot be {shift}; use 0 to {MAX_STEP_SHIFT}")
    return pairs[0][1] if len(pairs) == 1 else pairs


FormatKey = Annotated[Format, PlainValidator(_format)]


class Section(BaseModel):
    """Frozen, strictly typed, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _made_plain(cls, data: Any) -> Any:
        return {key: _plain(value) for key, value in data.items()} if isinstance(data, dict) else data


class Network(Section):
    """Geometry and kernels."""

    image: tuple[int, int] = Field((128, 128), description="height, width in pixels")
    channels: int = Field(1, description="planes of the image: 1 gray, 3 colour")
    kernels: int = Field(8, description="independent kernels K")
    patch: int = Field(16, description="side of a kernel in pixels; patch - stride must be even")
    stride: int = Field(2, description="pixels between neighbouring V1 positions; divides height and width")
    dictionary: str = Field("natural", description='"natural": the shipped one of this shape; or a path to .npz')

    @field_validator("dictionary")
    @classmethod
    def _known(cls, value: str) -> str:
        if value == "natural":
            return value
        if not value.endswith(".npz"):
            raise InputError(f"must be \"natural\" or a path ending in .npz, not '{value}'")
        return os.path.abspath(value)


class Input(Section):
    """What happens to a picture before it is coded."""

    preprocess: Preprocess = Field("centre-surround", description='"centre-surround", "contrast", "zca" or "none"')


class Dynamics(Section):
    """The algorithm. The keys eta, border and inclusive are for the golden model only."""

    threshold: float = Field(0.05, gt=0, description="lambda, in units of the code")
    transfer: Transfer = Field("hard", description='"hard" or "soft"')
    two_sided: bool = Field(False, description="codes may be negative")
    residual_cutoff: float = Field(0.005, ge=0, description="theta: smaller residuals drive nothing; 0 switches it off")
    step_shift: Annotated[StepShift, PlainValidator(_step_shift)] = Field(
        5, description="eta = 2^-step_shift; or [[from_step, shift], ...]"
    )
    steps: int = Field(200, ge=1, description="updates of a frame")
    settle: int = Field(0, ge=0, le=65_535, description="machine: end a frame after n steps without an event; 0: never")
    eta: float | None = Field(None, gt=0, le=1, description="golden only: replaces step_shift, e.g. 0.03125")
    border: Border = Field("cropped", description='golden only: or "extended", "mirror", "circular"')
    inclusive: bool = Field(True, description="golden only when false: active at u > threshold, not u >= threshold")


class Formats(Section):
    """Number formats, written ``<s|u><width>.<fraction>[:<rounding>[:<overflow>]]``.

    ``code`` and ``input`` have defaults that follow from other keys (`default_code`, `default_input`).
    """

    weight: FormatKey = Field(Format(True, 8, 7, symmetric=True), description="w; saturates symmetrically")
    code: FormatKey = Field(Format(False, 8, 7), description="y; s9.7 when two_sided")
    residual: FormatKey = Field(Format(True, 8, 7), description="residual as read by the neurons")
    membrane: FormatKey = Field(Format(True, 14, 12), description="u")
    input: FormatKey = Field(Format(True, 10, 9), description="x; fraction at most that of weight + code")


class Machine(Section):
    """Tiles, lanes and words of the dataflow machine; their legality is `Design.check_machine`."""

    tiles: tuple[int, int] = Field((4, 2), description="rows, columns of the mesh")
    gather_lanes: int = Field(16, description="multipliers of a tile: a divisor of K, or K times a power of two")
    scatter_lanes: int = Field(8, description="pixels a cycle, a power of two")
    detect_lanes: int = Field(8, description="pixels a cycle, divides scatter_lanes")
    update_positions: int = Field(1, description="V1 positions a cycle of update: 1, or 2 with gather_lanes >= 2 K")
    link_depth: int = Field(16, description="events of a round and of a link")
    schedule: Schedule = Field("delta", description='"delta", "skip" or "dense": same bits; "gram": another form')
    residual_accumulator: int = Field(18, description="bits of R; 0: the proven bound")
    drive_accumulator: int = Field(0, description="bits of D; 0: the proven bound")
    refresh: int = Field(0, ge=0, le=65_535, description="recompute R and D before every n-th step; 0: never")


class Crossbar(Section):
    """Memristor arrays; their legality is `Design.check_crossbar`. None: as the device preset has it."""

    rows: int = Field(128, description="word lines of an array")
    columns: int = Field(64, description="bit lines of an array")
    row_split: bool = Field(True, description="kernels longer than an array continue in another; sums added digitally")
    placement: Literal["im2col", "toeplitz"] = Field("im2col", description='"im2col" (a patch per read) or "toeplitz"')
    mapping: Literal["differential", "two-sided", "offset"] = Field(
        "differential", description='cells of a weight: "differential" (one-sided pair), "two-sided", "offset"'
    )
    cell_bits: int = Field(0, description="bits of a weight that one cell holds; 0: all of them")
    device: str = Field("wan2022", description='device preset; "ideal" has no error of any kind')
    g_min_us: float | None = Field(None, description="smallest conductance, microsiemens, in place of the preset's")
    g_max_us: float | None = Field(None, description="largest conductance, microsiemens, in place of the preset's")
    read_volts: float | None = Field(None, description="amplitude of a full-scale drive, in place of the preset's")
    read_ns: float | None = Field(None, description="integration time of a read, in place of the preset's")
    on_off: float | None = Field(None, description="largest over smallest conductance, in place of the preset's")
    levels: int | None = Field(None, description="states of a cell, in place of the preset's; 0: continuous")
    programming_error: float | None = Field(
        None, description="standard deviation of a written conductance over the largest one, in place of the preset's"
    )
    programming: Literal["once", "verify"] = Field("once", description='"once", or "verify": until within tolerance')
    verify_tolerance: float = Field(0.01, description="of write-and-verify, over the conductance range")
    read_noise: float | None = Field(
        None, description="standard deviation of a conductance at each read over itself, in place of the preset's"
    )
    fault_rate: float | None = Field(
        None, description="cells stuck, half of them low, half high, in place of the preset's"
    )
    drift_seconds: float = Field(0.0, description="time between programming and the frame")
    refresh_seconds: float = Field(0.0, description="arrays are programmed anew this often; 0: never")
    dac_bits: int = Field(8, description="0: lossless")
    dac_mode: Literal["amplitude", "pulse-width", "bit-serial"] = Field(
        "amplitude", description='"amplitude", "pulse-width" or "bit-serial"'
    )
    adc_bits: int = Field(8, description="0: lossless")
    adc_range: Literal["fixed", "calibrated", "following"] = Field(
        "following", description='"fixed" (no value can clip), "calibrated", or "following" the shrinking signal'
    )
    sample_hold_noise: float = Field(0.0, description="standard deviation over the converter's range")
    wire_ohm: float = Field(1.0, description="ohms per wire segment between neighbouring cells")
    driver_ohm: float = Field(0.0, description="ohms of a line's driver")
    sense_ohm: float = Field(0.0, description="ohms of a line's sense amplifier")
    reads: Literal["absolute", "change"] = Field(
        "absolute", description='"absolute": every read anew; "change": only what changed is driven, and errors add up'
    )


class Target(Section):
    """Where the machine is to run."""

    board: str = Field("ulx3s-85f", description="what it may fill: ulx3s-85f, orangecrab-25f, icebreaker, zynq-7020...")
    clock_mhz: float = Field(80.0, description="clock in MHz, for frames/s and power")


SECTIONS: dict[str, type[Section]] = {
    "network": Network,
    "input": Input,
    "dynamics": Dynamics,
    "formats": Formats,
    "machine": Machine,
    "crossbar": Crossbar,
    "target": Target,
}
"""Section name to class, in file order."""

EXAMPLES: dict[str, Any] = {
    "eta": 0.03125, "g_min_us": 1.0, "g_max_us": 40.0, "read_volts": 0.2, "read_ns": 10.0, "on_off": 17.0,
    "levels": 16, "programming_error": 0.05, "read_noise": 0.01, "fault_rate": 0.001,
}  # fmt: skip
"""Values of the keys that have no default, for the commented design file."""

SECTION_OF: dict[str, str] = {key: name for name, section in SECTIONS.items() for key in section.model_fields}
"""Bare key to section name; bare keys are unique. (``input`` is also a section: a mapping means that.)"""


def default_code(two_sided: bool) -> Format:
    """The code format when none is given: u8.7, or s9.7 (symmetric) when codes may be negative."""
    return Format(True, 9, 7, symmetric=True) if two_sided else Format(False, 8, 7)


def default_input(weight: Format, code: Format) -> Format:
    """The input format when none is given: signed, fraction ``min(9, fw + fy)``, one bit more than its fraction."""
    frac = min(9, weight.frac + code.frac)
    return Format(True, max(2, frac + 1), frac)
