"""Single bit flips by memory, without refresh and with it; many flips a frame by refresh interval, and its price.

    python benchmarks/faults.py [--quick]

Draws docs/faults.png too, unless quick.

64x64 of three bundled photographs on 2x2 tiles, 8 kernels at stride 2, 200 steps. Each single flip is in a frame of its
own, which it strikes at step 25, 50, 100 or 150 or up to 24 steps later; every bit of a word in turn. Points are of
percent error, against the frame without the flip. Bits, counts and cycles are exact, energy is modelled; nothing here
is timed.
"""

from pathlib import Path
from typing import Any

from common import Row, arguments, finish, machine  # isort: skip

import numpy as np

from striate.golden.images import load_image
from striate.reports import figures
from striate.reports.faults import overview
from striate.sim.design import Design
from striate.sim.fault_study import (
    ROWS,
    Frame,
    Refreshed,
    Strike,
    Study,
    intervals,
    refreshed,
    row_bits,
    study,
    summary,
)
from striate.sim.fixed import quantise
from striate.sim.machine import load_dictionary
from striate.sim.plan import Plan

DESIGN = Design(image=(64, 64), tiles=(2, 2))
PICTURES = {"camera": (104, 212), "astronaut": (70, 170), "chelsea": (100, 150)}
REFRESH, FLIPS, FRAMES, IN_FRAME, TOP = 25, 72, 8, 8, 4


def strikes_row(group: str, what: str, strikes: list[Strike]) -> Row:
    """What a set of single flips came to."""
    told = summary(strikes, 0.0)
    keys = {"flips": "flips", "unseen": "unseen", "healed": "healed", "persisted": "persisted", "latent": "latent",
            "percent_error_after": "points_at_end", "percent_error_worst": "worst_points", "peak_points": "peak_points",
            "steps_to_heal": "steps_to_heal"}  # fmt: skip
    return {"group": group, "what": what} | {new: told[old] for old, new in keys.items() if told[old] is not None}


Part = tuple[dict[int, list[Strike]], list[tuple[Refreshed, Any]]]


def measure(name: str, crop: tuple[int, int], seed: int, flips: int, frames: int) -> Part:
    """One picture: strikes by refresh interval, and the sweep of intervals beside the curve without flips."""
    weights = np.asarray(quantise(load_dictionary(DESIGN).atoms, DESIGN.formats.weight), np.int64)
    plan, steps = Plan.of(DESIGN, weights), DESIGN.dynamics.steps
    picture = load_image(name, crop=crop, size=DESIGN.network.image)
    found = study(plan, weights, picture, steps, flips=flips, seed=seed, refresh=REFRESH)
    frame = Frame(plan, weights, picture, steps)
    swept = refreshed(frame, flips=IN_FRAME, frames=frames, seed=seed, clock_mhz=80, every=intervals(steps))
    return {n: list(strikes) for n, strikes in found.strikes.items()}, [(r, frame.clean) for r in swept]


def rows_of(parts: list[Part]) -> list[Row]:
    """All pictures together."""
    weights = np.asarray(quantise(load_dictionary(DESIGN).atoms, DESIGN.formats.weight), np.int64)
    plan, rows = Plan.of(DESIGN, weights), []
    for n in parts[0][0]:
        strikes = [s for struck, _ in parts for s in struck[n]]
        label = f"refresh every {n} steps" if n else "no refresh"
        for bits, group in ((None, "all bits"), (TOP, f"highest {TOP} bits")):
            for row in ROWS:
                least = 0 if bits is None else row_bits(plan, row) - bits
                mine = [s for s in strikes if s.row == row and s.fault.bit >= least]
                if mine:
                    rows.append(strikes_row(f"single flips, {group}, {label}", row, mine))
    swept = [swept for _, swept in parts]
    base_cycles, base_energy = _price([results[0] for results in swept])
    for at, (first, clean) in enumerate(swept[0]):
        results, half = [one[at] for one in swept], len(clean) // 2
        cycles, energy = _price(results)
        rows.append({
            "group": f"{IN_FRAME} flips a frame in U, D, R and r~, by refresh interval",
            "what": f"{first.refresh} steps" if first.refresh else "never",
            "floor_points": float(np.mean([r.floor - clean[half:].mean() for r, clean in results])),
            "points_at_end": float(np.mean([r.mean[-1] - clean[-1] for r, clean in results])),
            "worst_points_at_end": float(max((r.percent_error[:, -1] - clean[-1]).max() for r, clean in results)),
            "cycles": cycles, "cycles_more_percent": 100 * (cycles / base_cycles - 1),
            "energy_more_percent": 100 * (energy / base_energy - 1),
        })  # fmt: skip
    return rows


def draw(parts: list[Part], path: Path) -> None:
    """The curves of all pictures as a figure."""
    weights = np.asarray(quantise(load_dictionary(DESIGN).atoms, DESIGN.formats.weight), np.int64)
    strikes = {n: tuple(s for struck, _ in parts for s in struck[n]) for n in (0, REFRESH)}
    figures.png(overview(Study(Plan.of(DESIGN, weights), parts[0][1][0][1], strikes), REFRESH), path, 110)


def _price(results: list[tuple[Refreshed, Any]]) -> tuple[float, float]:
    """Mean cycles and energy (pJ) of frames without flips."""
    return float(np.mean([r.cycles for r, _ in results])), float(np.mean([r.energy_pj.typical for r, _ in results]))


def main() -> None:
    """Measure, print, write."""
    options, where = arguments(__doc__, repeats=1), machine()
    pictures = dict(list(PICTURES.items())[: 1 if options.quick else None])
    flips, frames = (4, 1) if options.quick else (FLIPS, FRAMES)
    parts = [measure(name, crop, seed, flips, frames) for seed, (name, crop) in enumerate(pictures.items())]
    if not options.quick:
        draw(parts, Path(__file__).parents[1] / "docs" / "faults.png")
    finish("faults", rows_of(parts), where, options)


if __name__ == "__main__":
    main()
