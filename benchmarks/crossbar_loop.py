"""The closed loop on memristor arrays: 128x128, 8@2, 200 steps, one core.

    python benchmarks/crossbar_loop.py [--repeats N] [--quick]

A contestant is a whole call of ``simulate_crossbar`` (programming, circuits, laws of noise, loop); for the integer
machine the dense schedule, which like the arrays forms R and D anew in every step. The full row has everything on that
the default design has: device wan2022 with its error and read noise, 1 ohm a segment, 8-bit converters, a following
range, 4x2 tiles. All take turns.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from common import arguments, compared, finish, machine, rounds, wall

from striate import Design, load_image, simulate, simulate_crossbar
from striate.golden.images import Array

LIMIT = 10.0
"""Seconds that the full row may take."""

FULL = "wires, noise, 8-bit converters"
NOISELESS = "without read noise"
IDEAL = "no effects, lossless converters"
CASES: dict[str, dict[str, Any]] = {
    FULL: {},
    NOISELESS: {"read_noise": 0.0},
    "without wires": {"wire_ohm": 0.0},
    IDEAL: {"device": "ideal", "wire_ohm": 0.0, "adc_bits": 0, "dac_bits": 0},
    "Toeplitz": {"placement": "toeplitz"},
    "changes only, refresh 20": {"reads": "change", "refresh": 20},
    "calibrated range": {"adc_range": "calibrated"},
}
QUICK = (FULL, NOISELESS, IDEAL)
MACHINE = "integer machine, dense"


def contestants(image: Array, quick: bool) -> dict[str, Callable[[], float]]:
    """Every case by name."""
    runs: dict[str, Callable[[], object]] = {
        name: partial(simulate_crossbar, image, Design(**keys))
        for name, keys in CASES.items()
        if not quick or name in QUICK
    }
    runs[MACHINE] = partial(simulate, image, Design(schedule="dense"))
    return {name: partial(wall, run) for name, run in runs.items()}


def main() -> None:
    """Measure, and say whether the full row keeps its limit."""
    options, where = arguments(__doc__, 3), machine()
    image = load_image("camera", crop=(70, 170), size=(128, 128))
    medians = rounds(contestants(image, options.quick), options.repeats)
    notes = {FULL: f"limit {LIMIT:g} s"}
    rows = compared("closed loop, 128x128, 8@2, 200 steps", medians, options.repeats, MACHINE, notes)
    for row in rows:
        row["times the noiseless loop"] = row["seconds"] / medians[NOISELESS]
        row["times the ideal loop"] = row["seconds"] / medians[IDEAL]
    finish("crossbar_loop", rows, where, options)


if __name__ == "__main__":
    main()
