"""What the machine and the RTL refuse, each in one line with the nearest legal value. A golden run minds none of it."""

import dataclasses
from typing import TYPE_CHECKING

from ..golden.errors import InputError
from . import widths
from .fixed import requantise
from .sections import MAX_FORMAT_WIDTH
from .timing import SETTLE_DELAY, STEPS_WIDTH

if TYPE_CHECKING:
    from .design import Design

MAX_LINK_DEPTH = 1024
MAX_ACCUMULATOR = 48
MAX_SUM = 62
MAX_LANES = 4096


def check_machine(design: "Design") -> None:
    """Refuse a design that the dataflow machine cannot run bit for bit.

    Raises:
        InputError: golden-only keys, formats, accumulators, tiles, lanes or link depth; the first problem found.
    """
    check_arithmetic(design)
    _check_tiles(design)
    _check_settle(design)
    _check_refresh(design)
    _check_lanes(design)


def check_arithmetic(design: "Design") -> None:
    """Refuse what no machine can do in integers, whatever it is made of: the part of `check_machine` without tiles.

    Raises:
        InputError: golden-only keys, formats, accumulators; the first problem found.
    """
    _check_golden_only(design)
    _check_formats(design)
    _check_accumulators(design)


def _check_golden_only(design: "Design") -> None:
    dynamics = design.dynamics
    if dynamics.eta is not None:
        raise InputError(
            f"dynamics.eta {dynamics.eta} is for golden runs only: the machine steps by powers of two; "
            f"remove it and use dynamics.step_shift = {_nearest_shift(dynamics.eta)}"
        )
    if dynamics.border != "cropped" and (design.machine.schedule, dynamics.border) != ("gram", "extended"):
        raise InputError(f'dynamics.border "{dynamics.border}" is for golden runs only; the machine needs "cropped"')
    if not dynamics.inclusive:
        raise InputError("dynamics.inclusive false is for golden runs only; the machine needs true (u >= threshold)")
    if dynamics.steps >= 1 << STEPS_WIDTH:
        raise InputError(
            f"dynamics.steps {dynamics.steps} does not fit the machine's step counter; "
            f"use {(1 << STEPS_WIDTH) - 1} or fewer"
        )


def _nearest_shift(eta: float) -> int:
    return min(range(25), key=lambda shift: abs(2.0**-shift - eta))


def _check_formats(design: "Design") -> None:
    f, dynamics = design.formats, design.dynamics
    for name in ("weight", "residual", "membrane"):
        fmt = getattr(f, name)
        if not fmt.signed:
            raise InputError(f"formats.{name} {fmt} has no sign; use s{str(fmt)[1:]}")
    if dynamics.two_sided and not f.code.signed:
        width = min(f.code.width + 1, MAX_FORMAT_WIDTH)
        raise InputError(
            f"formats.code {f.code} has no sign, but dynamics.two_sided is true; use s{width}.{f.code.frac}"
        )
    if f.input.frac > design.residual_frac:
        raise InputError(
            f"formats.input {f.input} is finer than a product of weight and code; its widest legal "
            f"fraction is {design.residual_frac}"
        )
    low, high = design.formats.membrane.scale, design.formats.membrane.high * design.formats.membrane.scale
    if not 1 <= design.threshold_q <= f.membrane.high:
        nearest = low if design.threshold_q < 1 else high
        raise InputError(
            f"dynamics.threshold {dynamics.threshold} cannot be represented in formats.membrane "
            f"{f.membrane}; use a threshold of {nearest!r}"
        )
    if dynamics.transfer == "hard" and requantise(design.threshold_q, f.membrane.frac, f.code) == 0:
        raise InputError(f"formats.code {f.code} is 0 at the threshold {dynamics.threshold}; {_finer_code(design)}")


def _finer_code(design: "Design") -> str:
    """The code with the fewest more fraction bits that is not 0 at the threshold. The finest is never 0: no membrane is
    finer.
    """
    code, membrane = design.formats.code, design.formats.membrane
    for frac in range(code.frac + 1, MAX_FORMAT_WIDTH + 1):
        wider = dataclasses.replace(code, width=min(code.width + frac - code.frac, MAX_FORMAT_WIDTH), frac=frac)
        if requantise(design.threshold_q, membrane.frac, wider) != 0:
            break
    return f"use {wider}"


def _check_accumulators(design: "Design") -> None:
    machine = design.machine
    for name in ("residual_accumulator", "drive_accumulator"):
        width = getattr(machine, name)
        if width != 0 and not 2 <= width <= MAX_ACCUMULATOR:
            raise InputError(
                f"machine.{name} cannot be {width} bits; use 0 (the proven bound) or 2 to {MAX_ACCUMULATOR}"
            )
    widest = widths.aligned_width(design, machine.residual_accumulator, machine.drive_accumulator)
    if widest > MAX_SUM:
        raise InputError(
            f"formats of these fractions need sums of {widest} bits and {MAX_SUM} are possible; "
            f"use {widest - MAX_SUM} fraction bits less in formats.membrane, weight or residual"
        )


def _check_tiles(design: "Design") -> None:
    g, tiles = design.geometry, design.machine.tiles
    legal = [legal_tile_counts(design, axis) for axis in (0, 1)]
    for axis, (count, name) in enumerate(zip(tiles, ("rows", "columns"), strict=True)):
        if count in legal[axis]:
            continue
        remedy = _nearest_tilings(legal, tiles, axis)
        size = g.sheet[axis]
        if count < 1 or size % count:
            raise InputError(
                f"machine.tiles {list(tiles)}: {count} {name} of tiles do not divide the {size} {name} of "
                f"V1 positions; use {remedy}"
            )
        side, need = g.stride * size // count, g.patch - g.stride
        raise InputError(
            f"machine.tiles {list(tiles)}: {count} {name} of tiles give blocks of {side} pixels where "
            f"patch - stride needs {need}; use {remedy}"
        )


def _check_settle(design: "Design") -> None:
    most, tiles = SETTLE_DELAY + 1, design.machine.tiles
    if design.dynamics.settle and max(tiles) > most:
        raise InputError(
            f"dynamics.settle {design.dynamics.settle} needs a mesh of at most {most} tiles a side, and machine.tiles "
            f"is {list(tiles)}; use fewer tiles or dynamics.settle = 0"
        )


def _check_refresh(design: "Design") -> None:
    refresh = design.machine.refresh
    if refresh and design.machine.schedule == "gram":
        raise InputError(
            f'machine.refresh {refresh} recomputes R and D, and machine.schedule "gram" keeps no R; '
            f'use machine.refresh = 0 or machine.schedule = "delta"'
        )


def legal_tile_counts(design: "Design", axis: int) -> list[int]:
    """Legal numbers of tiles along an axis (0 rows, 1 columns), ascending.

    They divide the V1 positions of the axis, and more than one tile needs blocks of at least patch - stride pixels, so
    that events reach no further than the eight neighbours.
    """
    g = design.geometry
    size = g.sheet[axis]
    return [n for n in range(1, size + 1) if size % n == 0 and (n == 1 or g.stride * size // n >= g.patch - g.stride)]


def _nearest_tilings(legal: list[list[int]], tiles: tuple[int, int], axis: int) -> str:
    other = min(legal[1 - axis], key=lambda n: abs(n - tiles[1 - axis]))
    pairs = [[n, other] if axis == 0 else [other, n] for n in _neighbours(legal[axis], tiles[axis])]
    return " or ".join(str(pair) for pair in pairs)


def _neighbours(legal: list[int], value: int) -> list[int]:
    below = [n for n in legal if n < value][-1:]
    return below + [n for n in legal if n > value][:1]


def _check_lanes(design: "Design") -> None:
    machine, kernels = design.machine, design.network.kernels
    for name in ("gather_lanes", "scatter_lanes", "detect_lanes"):
        if not 1 <= getattr(machine, name) <= MAX_LANES:
            raise InputError(f"machine.{name} cannot be {getattr(machine, name)}; use 1 to {MAX_LANES}")
    gather = legal_gather_lanes(kernels)
    if machine.gather_lanes not in gather:
        near = " or ".join(str(n) for n in _neighbours(gather, machine.gather_lanes))
        raise InputError(
            f"machine.gather_lanes {machine.gather_lanes} is neither a divisor of the {kernels} kernels "
            f"nor {kernels} times a power of two; use {near}"
        )
    powers = [1 << n for n in range(MAX_LANES.bit_length())]
    if machine.scatter_lanes not in powers:
        near = " or ".join(str(n) for n in _neighbours(powers, machine.scatter_lanes))
        raise InputError(f"machine.scatter_lanes {machine.scatter_lanes} is not a power of two; use {near}")
    if machine.scatter_lanes % machine.detect_lanes:
        divisors = [n for n in powers if n <= machine.scatter_lanes]
        near = " or ".join(str(n) for n in _neighbours(divisors, machine.detect_lanes))
        raise InputError(
            f"machine.detect_lanes {machine.detect_lanes} does not divide the {machine.scatter_lanes} "
            f"scatter lanes; use {near}"
        )
    _check_update_positions(design)
    if not 1 <= machine.link_depth <= MAX_LINK_DEPTH:
        near = str(1 if machine.link_depth < 1 else MAX_LINK_DEPTH)
        raise InputError(f"machine.link_depth cannot be {machine.link_depth}; use {near}")
    if design.target.clock_mhz <= 0:
        raise InputError(f"target.clock_mhz must be above 0, not {design.target.clock_mhz}; the default is 80")


def _check_update_positions(design: "Design") -> None:
    """A word of U holds the positions; their drives lie in as many banks of D, in one word of each."""
    machine, kernels = design.machine, design.network.kernels
    if machine.update_positions not in (1, 2):
        raise InputError(f"machine.update_positions cannot be {machine.update_positions}; use 1 or 2")
    if machine.update_positions == 2 and machine.gather_lanes < 2 * kernels:
        raise InputError(
            f"machine.update_positions 2 needs two banks of D, and machine.gather_lanes {machine.gather_lanes} give "
            f"one; use gather_lanes = {2 * kernels} or update_positions = 1"
        )
    columns = design.geometry.sheet[1] // machine.tiles[1]
    if columns % machine.update_positions:
        raise InputError(
            f"machine.update_positions 2 takes the V1 columns of a tile in pairs, and a tile has {columns}; "
            f"use update_positions = 1 or tiles with an even number of columns"
        )


def legal_gather_lanes(kernels: int) -> list[int]:
    """Legal ``machine.gather_lanes`` for K kernels, ascending: the divisors of K, and K times powers of two."""
    multiples = [kernels << n for n in range(1, 13) if kernels << n <= MAX_LANES]
    return [n for n in range(1, min(kernels, MAX_LANES) + 1) if kernels % n == 0] + multiples
