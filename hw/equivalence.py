"""Which drawn faults change nothing: proofs on the netlist, never a judgement.

Three kinds, tried in this order. *unread*: no output of the module and no port of a tile depends on the bit; memories
are followed from write to read. *constant*: the fault ties a bit to the value that it has, by Yosys's optimisation of
the whole module with its read-only memories as logic. *same function*: the cell computes the same with the fault, for
all its inputs (Yosys, `sat`). What is undefined, a word of a memory beyond its last, counts as anything, as it does in
synthesis. A fault without a proof stays a survivor.
"""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..sim.plan import Plan
from .cosim.harness import TILE, socket
from .mesh import Mesh
from .mutation import EQUIVALENT, MODULES, SURVIVED, Mutation, Result
from .tile import Tile
from .toolchain import ToolError, run_yosys
from .verilog import to_rtlil

UNREAD, CONSTANT, SAME = "unread", "constant", "same function"
CLOCKED = ("ff", "mem", "latch")
"""In the names of types of cells that are no function of their inputs."""


def settled(plan: Plan, results: Sequence[Result]) -> list[Result]:
    """The results with the survivors that are proved to be no fault marked as such.

    Raises:
        ToolError: Yosys refuses a module.
    """
    proofs: dict[Mutation, str] = {}
    for module in MODULES:
        left = [r.mutation for r in results if r.outcome == SURVIVED and r.mutation.module == module]
        found = equivalent(plan, module, left) if left else {}
        proofs |= {mutation: found[mutation.number] for mutation in left if mutation.number in found}
    return [replace(r, outcome=EQUIVALENT, by=proofs[r.mutation]) if r.mutation in proofs else r for r in results]


def equivalent(plan: Plan, module: str, mutations: Iterable[Mutation]) -> dict[int, str]:
    """Number of a fault -> kind of proof, for those of the module that are proved to change nothing.

    Raises:
        ToolError: Yosys refuses the module.
    """
    made = Tile(plan) if module == "tile" else Mesh(plan, tile_module=TILE, observed=False)
    top, proved = MODULES[module], {}
    with tempfile.TemporaryDirectory(prefix="striate-") as scratch:
        place = Path(scratch)
        (place / "in.il").write_text(to_rtlil(made, top))
        (place / "socket.v").write_text(socket(plan) if module == "mesh" else "")
        read = "read_verilog -lib socket.v; read_rtlil in.il; proc; flatten; opt -full; opt_clean; "
        # what `mutation.mutate` draws from; the list is drawn so that names are given in the same order
        run_yosys(read + "write_json drawn.json; write_rtlil drawn.il", place, outputs=["drawn.json", "drawn.il"])
        run_yosys("read_verilog -lib socket.v; read_rtlil drawn.il; setattr -set keep 1 w:*; memory_map -rom-only; "
                  "opt -full; write_json folded.json", place, outputs=["folded.json"])  # fmt: skip
        drawn, folded = (json.loads((place / f"{name}.json").read_text())["modules"][top] for name in
                         ("drawn", "folded"))  # fmt: skip
        for mutation in mutations:
            if mutation.module != module:
                continue
            if not _read(drawn, mutation):
                proved[mutation.number] = UNREAD
            elif _constant(drawn, folded, mutation):
                proved[mutation.number] = CONSTANT
            elif _same(place, top, drawn, mutation):
                proved[mutation.number] = SAME
    return proved


def _read(netlist: dict[str, Any], mutation: Mutation) -> bool:
    """Whether an output may depend on the bit: the readers of the bit, of what they drive, and so on."""
    readers: dict[int, list[str]] = defaultdict(list)
    words: dict[str, list[str]] = defaultdict(list)  # the reading ports of each memory
    for name, cell in netlist["cells"].items():
        if cell["type"].startswith("$memrd"):
            words[cell["parameters"]["MEMID"]].append(name)
        for port, direction in cell["port_directions"].items():
            for bit in cell["connections"][port] if direction != "output" else ():
                readers[bit].append(name)
    outputs = {bit for port in netlist["ports"].values() if port["direction"] != "input" for bit in port["bits"]}
    cell = netlist["cells"][mutation.cell]
    driven = cell["port_directions"][mutation.port] == "output"
    bits = [cell["connections"][mutation.port][mutation.portbit]] if driven else []
    cells, seen = [] if driven else [mutation.cell], set[str]()
    while bits or cells:
        if bits:
            bit = bits.pop()
            if bit in outputs:
                return True
            cells += readers[bit]
            continue
        name = cells.pop()
        if name in seen:
            continue
        seen.add(name)
        kind, ports = netlist["cells"][name]["type"], netlist["cells"][name]["port_directions"]
        if not kind.startswith("$"):  # a tile
            return True
        if kind.startswith("$memwr"):
            cells += words[netlist["cells"][name]["parameters"]["MEMID"]]
        elif "output" not in ports.values():  # an assertion, or what is not known
            return True
        for port, direction in ports.items():
            bits += netlist["cells"][name]["connections"][port] if direction == "output" else []
    return False


def _constant(drawn: dict[str, Any], folded: dict[str, Any], mutation: Mutation) -> bool:
    """Whether the fault ties the bit to the constant that it is."""
    if mutation.mode not in ("const0", "const1"):
        return False
    bit = drawn["cells"][mutation.cell]["connections"][mutation.port][mutation.portbit]
    values = {bit}
    for name, net in drawn["netnames"].items():  # optimised, a wire keeps its name and loses its driver
        if bit in net["bits"] and name in folded["netnames"]:
            values.add(folded["netnames"][name]["bits"][net["bits"].index(bit)])
    return mutation.mode[-1] in values


def _same(place: Path, top: str, drawn: dict[str, Any], mutation: Mutation) -> bool:
    """Whether the cell alone is proved to be the same function with the fault."""
    kind = drawn["cells"][mutation.cell]["type"]
    if not kind.startswith("$") or any(word in kind for word in CLOCKED):
        return False
    fault = f"-mode {mutation.mode} -cell {mutation.cell} -port {mutation.port} -portbit {mutation.portbit}"
    if mutation.ctrlbit is not None:
        fault += f" -ctrlbit {mutation.ctrlbit}"
    try:
        log = run_yosys(
            f"read_verilog -lib socket.v; read_rtlil drawn.il; select {top}/c:{mutation.cell}; submod -name right; "
            f"select -clear; delete {top}; copy right wrong; mutate {fault} -module wrong; "
            "miter -equiv -flatten right wrong both; hierarchy -top both; sat -verify -prove trigger 0 both",
            place,
        )
    except ToolError:
        return False
    return "SAT proof finished - no model found: SUCCESS!" in log
