"""Frames a second of three networks on four boards, for the four schedules: what fits, how fast, what stops the rest.

    python benchmarks/frame_rates.py [--quick]

128 x 128 pixels of the bundled photograph "camera", 200 steps from cold. Writes
``benchmarks/results/frame_rates.json`` and ``frame_rates.md`` beside it.

*delta*: cycles of the bit-exact machine on the fastest mapping that fits (`sim/mapping/fit.py`); where none fits, of
the best folding found onto memory outside (`sim/mapping/fold.py`, modelled). *dense*, *skip* and *gram* have no RTL.
For them stands an upper bound of the rate: products of the bit-exact run over all multipliers of the device, plus one
clock for each position updated, on as many tiles as delta has there. Their memory is counted in bits, not in blocks:
dense and skip keep U, R and the weights (D is formed position by position), gram U, D and its kernel table; a machine
needs more.

Clocks and the memory outside are stated assumptions, not measurements.
"""

import argparse
import json
import os

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from striate.golden.archive import replacing
from striate.golden.dictionary import Dictionary, shipped
from striate.golden.images import load_image
from striate.sim.design import Design
from striate.sim.machine import simulate
from striate.sim.mapping.devices import DEVICES, Device
from striate.sim.mapping.fit import DoesNotFit, fastest
from striate.sim.mapping.fold import STATE, Folded, folded, legal_meshes, on_chip, services
from striate.sim.mapping.graph import plan_of
from striate.sim.mapping.resources import Budget, memory_sizes
from striate.sim.mapping.space import any_plan, legal_plans, weights_of
from striate.sim.mapping.workload import Workload, record
from striate.sim.overlap import Overlap
from striate.sim.plan import Plan
from striate.sim.run import Run

RESULTS = Path(__file__).parent / "results"
CLOCK_MHZ = {"icebreaker": 24.0, "orangecrab-85f": 80.0, "ulx3s-85f": 80.0, "zynq-7020": 100.0}
OUTSIDE = {
    "icebreaker": (64, "its four single-port memories, 1 Mbit in all"),
    "orangecrab-85f": (64, "DDR3, 16 bits four times a clock"),
    "ulx3s-85f": (16, "SDRAM, 16 bits a clock"),
    "zynq-7020": (64, "one 64-bit port to the DDR3"),
}
"""Bits a clock of a memory outside, for folding."""
FOLDINGS_RUN = 6


def networks(steps: int) -> dict[str, tuple[Design, Dictionary]]:
    """Name -> design and dictionary. No 32@4 is shipped: the kernels of 32@2 are used at stride 4."""
    wide = shipped(32, 16, 2)
    strided = Dictionary(wide.atoms, 4, "natural-k32-p16-s2 at stride 4")
    found = {}
    for name, kernels, stride, dictionary in (
        ("8@2", 8, 2, shipped(8, 16, 2)), ("32@4", 32, 4, strided), ("32@2", 32, 2, wide),
    ):  # fmt: skip
        design = Design(kernels=kernels, stride=stride, steps=steps, tiles=(1, 1), gather_lanes=kernels)
        found[name] = design, dictionary
    return found


def delta_row(design: Design, dictionary: Dictionary, image: Any, board: str) -> dict[str, Any]:
    """The fastest mapping that fits, or what stops it; and the best folding found."""
    clock = CLOCK_MHZ[board]
    best = best_folding(design, dictionary, image, board)
    row: dict[str, Any] = {"folded_reason": best} if isinstance(best, str) else {"folded": folding_row(best, clock)}
    try:
        found = fastest(design, board, image=image, dictionary=dictionary, clock_mhz=clock)
    except DoesNotFit as error:
        return row | {"fits": False, "reason": str(error)}
    r = found.chosen.budget.resources
    return row | {
        "fits": True, "machine": found.chosen.machine, "cycles": found.cycles,
        "frames_per_second": found.frames_per_second, "at_most": found.target_fps, "tiles": r.tiles,
        "blocks": r.blocks, "multipliers": r.multipliers, "lut_estimate": r.lut,
        "memory_bits": r.tiles * sum(m.total_bits for m in r.memories),
    }  # fmt: skip


def folding_row(best: Folded, clock_mhz: float) -> dict[str, Any]:
    """A folding as plain values."""
    read, written = best.words
    return {
        "logical": best.logical, "mesh": best.mesh, "buffers": best.buffers, "cycles": best.cycles,
        "frames_per_second": best.frames_per_second(clock_mhz), "blocks": best.on_chip.blocks,
        "multipliers": best.on_chip.multipliers, "memory_bits_per_clock": best.memory_bits_per_clock,
        "read_words": read, "written_words": written, "outside_bits": best.outside_bits,
    }  # fmt: skip


def best_folding(design: Design, dictionary: Dictionary, image: Any, board: str) -> Folded | str:
    """The fastest folding found that fits, those with the lowest bounds run; or why even the smallest does not."""
    device, bits = DEVICES[board], OUTSIDE[board][0]
    weights = weights_of(design, dictionary)
    base = any_plan(design, weights)
    x = base.quantise_image(image)
    work = record(base, weights, x, design.dynamics.steps)
    small: Budget | None = None
    bounds: list[tuple[float, int, Plan, tuple[int, int]]] = []
    for plan in legal_plans(design, base):
        plan = replace(plan, link_depth=16)
        if plan.tiling.gather_lanes > device.multipliers or plan.tiling.detect_lanes != plan.tiling.scatter_lanes:
            continue
        for mesh in legal_meshes(plan.tiling.tiles):
            for buffers in (1, 2):
                chip = Budget(device, on_chip(plan, mesh[0] * mesh[1], buffers, device))
                if small is None or chip.resources.blocks < small.resources.blocks:
                    small = chip
                if chip.fits:
                    bounds.append((folding_bound(work, plan, mesh, bits, buffers), buffers, plan, mesh))
    if not bounds:
        assert small is not None
        return f"even folded onto one tile of the smallest blocks: {small.reason}"
    bounds.sort(key=lambda bound: bound[0])
    best: Folded | None = None
    for _, buffers, plan, mesh in bounds[:FOLDINGS_RUN]:
        served = services(plan, weights, x, design.dynamics.steps)
        found = folded(served, mesh, memory_bits_per_clock=bits, buffers=buffers, device=device)
        best = found if best is None or found.cycles < best.cycles else best
    assert best is not None
    return best


def folding_bound(work: Workload, plan: Plan, mesh: tuple[int, int], bits: int, buffers: int) -> float:
    """Rough cycles of a folding, to choose which to run: traffic and the mean tile's work, added or overlapped."""
    t = plan.tiling
    state = sum(banks * words * width for name, banks, words, width, _ in memory_sizes(plan) if name in STATE)
    traffic = 2 * t.count * work.steps * state / bits
    gathered = np.maximum(work.gather_cycles(t), np.diff(work.ends, prepend=0) * t.sent_depth).sum()
    clocks = (gathered + work.serial[t.update_positions - 1].sum() + work.scatter_cycles(t).sum()) / (mesh[0] * mesh[1])
    return float(max(traffic, clocks) if buffers == 2 else traffic + clocks)


def bound_row(run: Run, device: Device, clock_mhz: float, tiles: int, memories: dict[str, int]) -> dict[str, Any]:
    """Upper bound of the rate of a schedule without RTL."""
    t, n = run.plan.tiling, run.counts
    positions = n.steps * t.geometry.sheet[0] * t.geometry.sheet[1]
    cycles = -(-n.macs // device.multipliers) + -(-positions // tiles)
    total = sum(memories.values())
    over = max(0, total - device.memory_bits)
    return {
        "macs": n.macs, "update_positions": positions, "tiles": tiles, "least_cycles": cycles,
        "at_most_frames_per_second": clock_mhz * 1e6 / cycles, "memory_bits": total, "device_bits": device.memory_bits,
        "memories": memories, "fits": not over, "bits_over": over,
        "largest": max(memories, key=lambda name: memories[name]),
    }  # fmt: skip


def schedule_memories(design: Design, dictionary: Dictionary, schedule: str) -> dict[str, int]:
    """Bits by memory that a machine of that schedule cannot do without."""
    chosen = design.replace(schedule=schedule)
    plan, weights = plan_of(chosen, dictionary), weights_of(chosen, dictionary)
    g = plan.tiling.geometry
    neurons, pixels = g.neurons, int(np.prod(g.image_shape))
    if schedule == "gram":
        table = Overlap.of(np.asarray(weights, np.int64), g.stride)
        kernel = g.kernels**2 * (2 * g.cover - 1) ** 2 * table.width
        return {"U": neurons * plan.membrane.width, "D": neurons * plan.drive_width, "kernel table": kernel}
    return {
        "U": neurons * plan.membrane.width,
        "R": pixels * plan.residual_width,
        "weights": int(weights.size) * plan.weight.width,
    }


def measure(steps: int) -> dict[str, Any]:
    """Every network on every board in every schedule."""
    image = load_image("camera", crop=(70, 170), size=(128, 128))
    table: dict[str, Any] = {}
    for name, (design, dictionary) in networks(steps).items():
        boards: dict[str, Any] = {board: {"delta": delta_row(design, dictionary, image, board)} for board in CLOCK_MHZ}
        runs: dict[str, Run] = {}
        for schedule in ("delta", "dense", "skip", "gram"):
            runs[schedule] = simulate(image, design.replace(schedule=schedule), dictionary=dictionary)
        for board, clock in CLOCK_MHZ.items():
            tiles = boards[board]["delta"].get("tiles", 1)
            for schedule in ("dense", "skip", "gram"):
                boards[board][schedule] = bound_row(
                    runs[schedule], DEVICES[board], clock, tiles, schedule_memories(design, dictionary, schedule)
                )
        table[name] = {
            "dictionary": dictionary.source, "boards": boards,
            "percent_error": {key: run.percent_error(image) for key, run in runs.items()},
            "macs": {key: run.counts.macs for key, run in runs.items()},
        }  # fmt: skip
        print(f"{name} done", flush=True)
    return {"steps": steps, "clock_mhz": CLOCK_MHZ, "outside": OUTSIDE, "networks": table}


COLUMNS = ("network", "board, clock", "multipliers, blocks", "delta, frames/s", "skip", "dense", "gram")


def markdown(found: dict[str, Any]) -> str:
    """The table, one row a network and board, and under it what does not fit and why."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    notes: list[str] = []
    for name, network in found["networks"].items():
        for board, rows in network["boards"].items():
            device, clock = DEVICES[board], found["clock_mhz"][board]
            have = f"{device.multipliers}, {device.blocks} x {device.block_bits // 1024} kbit"
            cells = [name, f"{board}, {clock:g} MHz", have, delta_cell(rows["delta"])]
            cells += [bound_cell(rows[schedule]) for schedule in ("skip", "dense", "gram")]
            lines.append("| " + " | ".join(cells) + " |")
            if not rows["delta"]["fits"]:
                notes.append(f"- {name}: {rows['delta']['reason']}.")
            if "folded_reason" in rows["delta"]:
                notes.append(f"- {name} on {board}, {rows['delta']['folded_reason']}.")
    errors = [
        f"{name}: " + ", ".join(f"{key} {value:.2f}" for key, value in network["percent_error"].items())
        for name, network in found["networks"].items()
    ]
    return "\n".join([*lines, "", f"Percent error. {'; '.join(errors)}.", "", "What does not fit:", "", *notes]) + "\n"


def delta_cell(row: dict[str, Any]) -> str:
    """Frames/s of the mapping, or what is over; and of the folding, where that is faster or all there is."""
    if row["fits"]:
        m = row["machine"]
        text = (
            f"**{row['frames_per_second']:.1f}**: {m['tiles'][0]}x{m['tiles'][1]} tiles of {m['gather_lanes']} lanes, "
        )
        text += f"{row['blocks']} blocks, {row['multipliers']} multipliers"
    else:
        text = "does not fit: " + row["reason"].partition("the smallest needs ")[2].partition(" (")[0]
    folded_row = row.get("folded")
    if folded_row and folded_row["frames_per_second"] > row.get("frames_per_second", 0):
        f = folded_row
        text += f"; {f['logical'][0]}x{f['logical'][1]} folded onto {f['mesh'][0]}x{f['mesh'][1]}, modelled: "
        text += f"{f['frames_per_second']:.1f}"
    elif not row["fits"]:
        text += "; nor folded"
    return text


def bound_cell(row: dict[str, Any]) -> str:
    """At most so many frames/s, and what is over."""
    text = f"<= {row['at_most_frames_per_second']:.3g}"
    return text if row["fits"] else f"{text}, but {row['bits_over'] / 1e6:.2f} Mbit over ({row['largest']})"


def main() -> None:
    """Measure and write both files."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="20 steps, nothing written")
    arguments = parser.parse_args()
    found = measure(20 if arguments.quick else 200)
    text = markdown(found)
    if not arguments.quick:
        RESULTS.mkdir(exist_ok=True)
        for name, content in (("json", json.dumps(found, indent=1) + "\n"), ("md", text)):
            with replacing(RESULTS / f"frame_rates.{name}") as aside:
                aside.write_text(content, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
