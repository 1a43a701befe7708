"""Mutation score of the bench: single faults that Yosys draws in the netlists, and which of them the frames expose.

`mutate -list` draws the faults evenly over the cells of the flattened tile and of the mesh. All faults of a module are
in one Verilog file, each behind a multiplexer that a number at an input of the module selects; 0 selects none. So one
compiled library serves all of them, and what runs is the session of ``verify.py``.
"""

from __future__ import annotations

import ctypes
import re
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..golden.errors import InputError
from ..sim.machine import Machine
from ..sim.plan import Plan
from ..sim.tiling import IntArray
from .cosim.checker import Checker
from .cosim.harness import TILE, TOP, CompiledMesh, socket, source, tile_ports
from .mesh import Mesh
from .tile import Tile
from .toolchain import run_yosys
from .verify import Frame, _Session
from .verilated import Model, Options, build_models
from .verilog import to_rtlil, to_verilog

SELECT = "mutant"
"""The input that selects a fault."""
WIDTH = 12
"""Its bits."""
MODULES = {"tile": TILE, "mesh": TOP}
KILLED, SURVIVED, EQUIVALENT = "killed", "survived", "equivalent"


@dataclass(frozen=True)
class Mutation:
    """One fault as Yosys drew it.

    Args:
        module: "tile" or "mesh". number: what selects it, from 1 on in each module.
        mode: "inv" inverts the bit, "const0" and "const1" tie it, "cnot0" and "cnot1" invert it while another bit
            of the cell (``ctrlbit``) is 0 or 1.
        cell, port, portbit: the bit. wire, wirebit: the signal it belongs to, as far as Yosys has a name for it.
    """

    module: str
    number: int
    mode: str
    cell: str
    port: str
    portbit: int
    ctrlbit: int | None = None
    wire: str = ""
    wirebit: int | None = None


@dataclass(frozen=True)
class Result:
    """What became of one fault. ``by``: the unit of the first difference, or how it was proved that there is none
    (``hw/equivalence.py``); ``frame``: the frame it is in."""

    mutation: Mutation
    outcome: str  # KILLED, SURVIVED or EQUIVALENT
    by: str = ""
    frame: int = -1
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self.mutation) | {
            "outcome": self.outcome,
            "by": self.by,
            "frame": self.frame,
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True)
class Mutants:
    """A design with its faults, compiled."""

    plan: Plan
    mutations: tuple[Mutation, ...]
    library: Path


def score(results: Sequence[Result]) -> float:
    """Killed faults over all that are not proved to be none.

    Raises:
        InputError: no fault to divide by.
    """
    counted = [result.outcome == KILLED for result in results if result.outcome != EQUIVALENT]
    if not counted:
        raise InputError("a mutation score of 0 faults; use at least 1")
    return sum(counted) / len(counted)


def mutate(plan: Plan, module: str, count: int, seed: int) -> tuple[str, tuple[Mutation, ...]]:
    """Draw ``count`` faults in a module: Verilog with all of them behind `SELECT`, and the faults.

    Raises:
        InputError: more faults than selectors. ToolError: Yosys refuses.
    """
    if not 1 <= count < 1 << WIDTH:
        raise InputError(f"{count} faults in a module; use 1 to {(1 << WIDTH) - 1}")
    made = Tile(plan) if module == "tile" else Mesh(plan, tile_module=TILE, observed=False)
    with tempfile.TemporaryDirectory(prefix="striate-") as scratch:
        place = Path(scratch)
        (place / "in.il").write_text(to_rtlil(made, MODULES[module]))
        # the mesh's tiles are boxes with ports: else their outputs would be taken for inputs and cut off
        (place / "socket.v").write_text(socket(plan) if module == "mesh" else "")
        run_yosys(
            "read_verilog -lib socket.v; read_rtlil in.il; proc; flatten; opt -full; opt_clean; "
            f"mutate -list {count} -seed {seed} -ctrl {SELECT} {WIDTH} 1 -o list.ys; script list.ys; "
            "opt_clean; write_verilog -noattr out.v",
            place,
            outputs=["list.ys", "out.v"],
        )
        lines = [line for line in (place / "list.ys").read_text().splitlines() if line.startswith("mutate ")]
        mutations = tuple(_parsed(module, number, line) for number, line in enumerate(lines, start=1))
        return (place / "out.v").read_text(), mutations


def _parsed(module: str, number: int, line: str) -> Mutation:
    options = dict(re.findall(r"-(mode|cell|port|portbit|ctrlbit|wire|wirebit) (\S+)", line))
    selected = re.search(rf"-ctrl {SELECT} {WIDTH} (\d+)", line)
    if selected is None or int(selected[1]) != number:
        raise AssertionError(f"fault {number} of the {module} is selected otherwise: {line}")
    return Mutation(
        module,
        number,
        options["mode"],
        options.get("cell", ""),
        options.get("port", ""),
        int(options.get("portbit", 0)),
        int(options["ctrlbit"]) if "ctrlbit" in options else None,
        options.get("wire", ""),
        int(options["wirebit"]) if "wirebit" in options else None,
    )


def mutants_source(plan: Plan, modules: Sequence[str]) -> str:
    """The C++ of the harness with selectors: its wires set them, nothing else in it changes."""
    text, body = source(plan), (Path(__file__).parent / "cosim" / "harness.cpp").read_text()
    wires = text.removesuffix(body).replace("static void to_tiles(", "static void wires_to_tiles(")
    lines = ["static int mutant_of_tile = 0, mutant_of_mesh = 0;"]
    lines += ["static void to_tiles(Vmesh___024root& shell, Vtile* const* tile) {"]
    if "mesh" in modules:  # before the wires are read: the mesh settles again
        lines += [f"    if (shell.{SELECT} != mutant_of_mesh) {{", f"        shell.{SELECT} = mutant_of_mesh;",
                  "        Vmesh___024root___eval(&shell);", "    }"]  # fmt: skip
    lines += ["    wires_to_tiles(shell, tile);"]
    if "tile" in modules:
        lines += [f"    for (int t = 0; t < TILES; t++) tile[t]->{SELECT} = mutant_of_tile;"]
    lines += ["}"]
    after = 'extern "C" void sim_mutant(int tile, int mesh) { mutant_of_tile = tile; mutant_of_mesh = mesh; }\n'
    before = "void Vmesh___024root___eval(Vmesh___024root*);\n"
    return wires + before + "\n".join(lines) + "\n" + body + after


def build_mutants(plan: Plan, counts: dict[str, int], seed: int, *, optimize: int = 0) -> Mutants:
    """Draw and compile: ``counts`` says how many faults of "tile" and of "mesh".

    Raises:
        ToolError: Yosys, Verilator or the compiler refused.
    """
    texts: dict[str, str] = {}
    mutations: list[Mutation] = []
    for module in MODULES:
        if counts.get(module):
            texts[module], drawn = mutate(plan, module, counts[module], seed)
            mutations += drawn
        else:
            made = Tile(plan) if module == "tile" else Mesh(plan, tile_module=TILE, observed=False)
            texts[module] = to_verilog(made, MODULES[module], flatten=module == "tile")
    with tempfile.TemporaryDirectory(prefix="striate-") as scratch:
        place = Path(scratch)
        files = {name: place / f"{top}.v" for name, top in MODULES.items()}
        for name, file in files.items():
            file.write_text(texts[name])
        (place / "socket.v").write_text(socket(plan))
        visible = tuple((TILE, port) for port in tile_ports(plan))
        models = [
            Model("Vtile", TILE, (files["tile"],)),
            Model("Vmesh", TOP, (files["mesh"], place / "socket.v"), verilator=("-finline",), public=visible),
        ]
        text = mutants_source(plan, [module for module in MODULES if counts.get(module)])
        library = build_models(models, text, options=Options(optimize=optimize))
    return Mutants(plan, tuple(mutations), library)


def run_mutant(
    mutants: Mutants, mutation: Mutation | None, weights: IntArray, frames: Sequence[Frame]
) -> dict[str, Any] | None:
    """The first difference that the frames show with one fault (None: without any), or None."""
    library = ctypes.CDLL(str(mutants.library))
    number = mutation.number if mutation else 0
    module = mutation.module if mutation else ""
    plan = mutants.plan
    library.sim_mutant(0, 0)
    with CompiledMesh(plan, mutants.library) as rtl:
        library.sim_mutant(number if module == "tile" else 0, number if module == "mesh" else 0)
        rtl.reset()  # with the fault; what the simulator throws there is caught
        check = Checker(plan)
        if rtl.error:
            check.differ("reset", 0, -1, "idle and dirty", rtl.error)
        session = _Session(plan, rtl, Machine(plan, weights), check, len(frames), None)
        if not check.mismatches:
            session.load(weights, frames[0].handshakes)
        for n, frame in enumerate(frames):
            if check.mismatches:
                break
            session.run(n, frame)
    return check.first.as_dict() if check.first else None


def judge(
    mutants: Mutants,
    weights: IntArray,
    frames: Sequence[Frame],
    *,
    progress: Callable[[str, float], None] | None = None,
) -> list[Result]:
    """Run each fault through the frames, from reset on, until a word, a cycle or a handshake differs.

    A machine that hangs is given up after twice the clocks of the frame (``verify.py``), which is a difference too.

    Raises:
        InputError: the frames differ without a fault.
    """
    first = run_mutant(mutants, None, weights, frames)
    if first is not None:
        raise InputError(f"the RTL without a fault is not the machine: {first['text']}; see `striate verify`")
    results: list[Result] = []
    for mutation in mutants.mutations:
        started = time.perf_counter()
        first = run_mutant(mutants, mutation, weights, frames)
        seconds = time.perf_counter() - started
        if first is None:
            results.append(Result(mutation, SURVIVED, seconds=seconds))
        else:
            results.append(Result(mutation, KILLED, first["unit"], first["frame"], seconds))
        if progress is not None:
            done, of = len(results), len(mutants.mutations)
            progress(f"fault {done} of {of}: {results[-1].outcome} {results[-1].by}", done / of)
    return results
