"""Look-up tables and flip-flops before synthesis: what a machine has of each thing, times what one of them takes.

The coefficients are least squares over real runs of Yosys and nextpnr (`benchmarks/synthesis.py`, which writes
`coefficients`); errors stand in `docs/synthesis.md`. A run is a whole board: serial link, core, mesh.
"""

import functools
from collections.abc import Mapping

from ..plan import Plan
from ..tiling import bits
from ..timing import DETECT_FIFO
from .blocks import choose, lut_memory
from .coefficients import COEFFICIENTS
from .devices import Device


def event_bits(plan: Plan) -> int:
    """Bits of a code event in a link."""
    t = plan.tiling
    return sum(bits(size) for size in (t.geometry.kernels, *t.block)) + plan.code_change_width


def links_present(plan: Plan) -> int:
    """Links that some tile of the mesh has: the others are not built."""
    return len(plan.tiling.links)


def memory_sizes(plan: Plan) -> tuple[tuple[str, int, int, int, int], ...]:
    """(name, banks, words of a bank, bits of a word, lanes of it with a write enable) of each memory of a tile."""
    t, k, layout = plan.tiling, plan.tiling.geometry.kernels, plan.layout
    return (
        ("U", 1, t.membrane_depth, t.update_positions * k * plan.membrane.width, 1),
        ("D", t.positions_per_cycle, t.drive_depth, k * plan.drive_width, t.kernel_groups),
        ("R", t.residual_banks, t.residual_depth, t.columns_per_word * plan.residual_width, t.columns_per_word),
        ("r~", 1, t.sent_depth, t.detect_lanes * plan.residual.width, t.detect_lanes),
        ("weights", layout.banks, layout.depth, layout.bank_lanes * plan.weight.width, layout.bank_lanes),
    )


def queues(plan: Plan) -> tuple[tuple[str, int, int, int], ...]:
    """(name, banks, words, bits) of what a tile reads without a clock: event stores, and the queue into gather."""
    t = plan.tiling
    pixel = sum(bits(size) for size in (t.geometry.channels, *t.region)) + plan.residual_change_width
    return (
        ("events", 1 + links_present(plan), plan.link_depth, event_bits(plan)), ("queue", 1, DETECT_FIFO, pixel)
    )  # fmt: skip


def features(plan: Plan, device: Device) -> dict[str, float]:
    """What the whole machine has of the things that take cells: name -> how many, all tiles together.

    ``*_bits`` are widths of what is added, shifted or selected in a clock; ``stores`` are 16 x 4 memories of look-up
    tables of links and small memories, or bits in flip-flops on a device that has no such memories.
    """
    t = plan.tiling
    k = t.geometry.kernels
    sources = 1 + links_present(plan)
    stores, addresses = 0.0, 0.0
    for _, banks, words, width in queues(plan):
        built = lut_memory(words, width)[1] if device.lut_ram else choose(words, width, device)
        stores += banks * built.count * (built.kind != "block")
    for _, banks, words, width, lanes in memory_sizes(plan):
        choice = choose(words, width, device, lanes)
        addresses += banks * bits(words)
        stores += banks * choice.count * (choice.kind != "block")
    one = {
        "tiles": 1.0,
        "gather_bits": float(t.gather_lanes * plan.drive_width),
        "scatter_bits": float(t.scatter_lanes * plan.residual_width),
        "detect_bits": float(t.detect_lanes * plan.residual.width),
        "update_bits": float(t.update_positions * k * (plan.membrane.width + plan.drive_width)),
        "operand_bits": float(max(t.gather_lanes, t.scatter_lanes) * plan.weight.width),
        "links": float(sources * event_bits(plan)),
        "stores": stores,
        "address_bits": addresses,
        "table_bits": float(sum(t.region) + sum(t.block)) * bits(t.drive_depth),
    }
    return {"board": 1.0} | {name: t.count * value for name, value in one.items()}


def cells(plan: Plan, device: Device, kind: str) -> float:
    """Estimated look-up tables ("lut") or flip-flops ("ff") of a whole board, as place-and-route counts them."""
    table = _table(device.family, kind)
    return sum(table.get(name, 0.0) * value for name, value in features(plan, device).items())


@functools.cache
def _table(family: str, kind: str) -> Mapping[str, float]:
    known = COEFFICIENTS[family if family in COEFFICIENTS else "ecp5"]
    return known[kind]
