"""The nets of a tile: the flattened netlist before technology mapping, every bit once, by what drives it."""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..sim.plan import Plan
from .cosim.harness import TILE
from .tile import Tile
from .toolchain import run_yosys
from .verilog import to_rtlil

ARITHMETIC = ("$add", "$sub", "$alu", "$neg", "$lt", "$le", "$gt", "$ge")
FREE = ("$not", "$logic_not", "$pos", "$buf", "$scopeinfo")
"""Cells that a lookup table behind them takes in."""


@dataclass(frozen=True)
class Memory:
    """A port of a memory: the bits that enable it (one each for a write), how many bits an access moves, and whether
    it is clocked (block RAM) or read as it stands (lookup tables)."""

    name: str
    write: bool
    enables: tuple[int | str, ...]
    width: int
    clocked: bool


@dataclass(frozen=True)
class Netlist:
    """The tile's nets. A bit is a number of ``bits``; constants are text.

    Args:
        wires: (name, width) of the Verilog's signals, one after the other in the bits' order.
        kinds: class -> its bits ("registers", "adders and comparators", "logic", "memory outputs", "links", "chains").
        products: (bits of the operands, left width, right width) of each multiplier.
        memories: their ports. named: ports by name -> their bits.
    """

    wires: tuple[tuple[str, int], ...]
    kinds: Mapping[str, tuple[int, ...]]
    products: tuple[tuple[tuple[int, ...], int, int], ...]
    memories: tuple[Memory, ...]
    named: Mapping[str, tuple[int, ...]]
    register_bits: int
    verilog: str

    @property
    def bits(self) -> int:
        """How many."""
        return sum(width for _, width in self.wires)


def netlist(plan: Plan) -> Netlist:
    """The observed tile's nets, from Yosys.

    Raises:
        ToolError: Yosys refuses.
    """
    with tempfile.TemporaryDirectory(prefix="striate-") as scratch:
        place = Path(scratch)
        (place / "in.il").write_text(to_rtlil(Tile(plan), TILE))
        run_yosys(
            "read_rtlil in.il; proc; flatten; opt -full; opt_clean; rename -hide w:*; opt_clean; "
            "rename -enumerate -pattern net% w:*; write_json out.json; write_verilog -noattr out.v",
            place,
            outputs=["out.json", "out.v"],
        )
        module = json.loads((place / "out.json").read_text())["modules"][TILE]
        return _parsed(module, (place / "out.v").read_text())


def _parsed(module: dict[str, Any], verilog: str) -> Netlist:
    numbers: dict[int, int] = {}  # Yosys's number of a bit -> ours
    wires: list[tuple[str, int]] = []
    count = 0
    for name, net in sorted(module["netnames"].items(), key=lambda item: -len(item[1]["bits"])):
        if name in ("clk", "rst") or all(bit in numbers or isinstance(bit, str) for bit in net["bits"]):
            continue
        for bit in net["bits"]:
            if not isinstance(bit, str):
                numbers.setdefault(bit, count)
            count += 1
        wires.append((name, len(net["bits"])))

    def ours(bits: list[int | str]) -> tuple[int | str, ...]:
        return tuple(bit if isinstance(bit, str) else numbers.get(bit, "clock") for bit in bits)

    def nets(bits: list[int | str]) -> tuple[int, ...]:
        return tuple(dict.fromkeys(bit for bit in ours(bits) if isinstance(bit, int)))

    used = _needed(module)
    cells = {name: cell for name, cell in module["cells"].items() if name in used}
    kinds: dict[str, list[int]] = defaultdict(list)
    products, memories = [], []
    for cell in cells.values():
        kind, ports = cell["type"], cell["connections"]
        if kind == "$mul":
            left, right = nets(ports["A"]), nets(ports["B"])
            products.append((left + right, len(ports["A"]), len(ports["B"])))
        elif kind in ("$memrd_v2", "$memwr_v2"):
            write, memory = kind == "$memwr_v2", str(cell["parameters"]["MEMID"]).removeprefix("\\")
            clocked = int(cell["parameters"]["CLK_ENABLE"], 2) != 0
            memories.append(Memory(memory, write, ours(ports["EN"]), len(ports["DATA"]), clocked))
            kinds["memory outputs"] += () if write else nets(ports["DATA"])
        elif "Q" in ports:
            kinds["registers"] += nets(ports["Q"])
        elif "Y" in ports and kind not in FREE:
            kinds["adders and comparators" if kind in ARITHMETIC else "logic"] += nets(ports["Y"])
    named = {name: nets(port["bits"]) for name, port in module["ports"].items() if name not in ("clk", "rst")}
    for name, port in module["ports"].items():
        if port["direction"] == "input" and name.startswith("in_"):
            kinds["links"] += named[name]
        elif port["direction"] == "input" and name.partition("__")[0] in ("feed", "east", "south"):
            kinds["chains"] += named[name]
    return Netlist(
        tuple(wires), {kind: tuple(bits) for kind, bits in kinds.items()}, tuple(products), tuple(memories), named,
        len(kinds["registers"]), verilog,
    )  # fmt: skip


def _needed(module: dict[str, Any]) -> set[str]:
    """Cells that an output other than the traces depends on."""
    drives: dict[int, str] = {}
    writers: dict[str, list[str]] = defaultdict(list)
    for name, cell in module["cells"].items():
        if cell["type"] == "$memwr_v2":
            writers[cell["parameters"]["MEMID"]].append(name)
        for port, direction in cell.get("port_directions", {}).items():
            if direction == "output":
                drives |= {bit: name for bit in cell["connections"][port] if not isinstance(bit, str)}
    waiting = [
        drives[bit]
        for name, port in module["ports"].items()
        if port["direction"] == "output" and not name.startswith("trace_")
        for bit in port["bits"]
        if bit in drives
    ]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        cell = module["cells"][name]
        if cell["type"] == "$memrd_v2":
            waiting += writers[cell["parameters"]["MEMID"]]
        for port, direction in cell["port_directions"].items():
            if direction == "input":
                waiting += [drives[bit] for bit in cell["connections"][port] if bit in drives]
    return seen
