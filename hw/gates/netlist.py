"""A design's netlist as Verilog that a simulator takes: cells of the family resolved to models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ...golden.errors import InputError
from ...sim.plan import Plan
from ..cosim.harness import TOP
from ..mesh import Mesh
from ..synth.families import FAMILIES
from ..synth.netlist import synthesise_netlist
from ..tile import Tile
from ..toolchain import run_yosys
from ..verilog import to_rtlil

PLACE = Path(__file__).parent
GATE_FILE = "gates.v"


@dataclass(frozen=True)
class Cells:
    """Where the models of a family's cells come from.

    - `models`: our file; `ours`: the modules in it, which stay instances
    - `shared`: files of Yosys with the models of the small cells, which are dissolved
    """

    models: str
    ours: tuple[str, ...]
    shared: tuple[str, ...]


FAMILY_CELLS: dict[str, Cells] = {
    "ecp5": Cells("ecp5.v", ("MULT18X18D", "DP16KD", "TRELLIS_DPR16X4"), ("+/lattice/cells_sim_ecp5.v",)),
    "ice40": Cells("ice40.v", ("SB_MAC16", "SB_RAM40_4K"), ("+/ice40/cells_sim.v",)),
}


@dataclass(frozen=True)
class Gates:
    """A netlist to simulate.

    - `sources`: Verilog files, the netlist first; `cells`: kind -> how many, as `hw/synth` counts them
    """

    sources: tuple[Path, ...]
    cells: Mapping[str, int]


def gates(plan: Plan, family: str, work: Path) -> Gates:
    """Synthesise the observed mesh of a plan, flat, and write a netlist of it that can be simulated to `work`.

    InputError for a family without models. ToolError when Yosys fails.
    """
    if family not in FAMILY_CELLS:
        raise InputError(f"no cell models for '{family}'; use one of {', '.join(FAMILY_CELLS)}")
    cells = FAMILY_CELLS[family]
    work.mkdir(parents=True, exist_ok=True)
    # not named as the product names its tile: everything is then made flat, with the observation outputs
    parts = {"observed_tile": to_rtlil(Tile(plan), "striate_tile"), "observed_mesh": to_rtlil(Mesh(plan), TOP)}
    netlist = synthesise_netlist(parts, TOP, plan, FAMILIES[family], work, lambda *_: None)
    place = work / "simulated"
    place.mkdir(exist_ok=True)
    (place / "net.json").write_text(netlist.stage.path("net.json").read_text())
    run_yosys(_resolve(cells), place, outputs=[GATE_FILE])
    return Gates((place / GATE_FILE, PLACE / cells.models), netlist.cells)


def _resolve(cells: Cells) -> str:
    """The small cells dissolved into logic, ours left as instances. Without the macro Yosys spends minutes on the large
    memories of iCE40, which are left out here.
    """
    boxes = " ".join(f"-unset {name}" for name in ("whitebox", "abc9_box", "abc9_flop", "keep_hierarchy"))
    lines = [
        "read_json net.json",
        "delete =$paramod*",  # derived black boxes that would be taken for the models
        *[f"read_verilog -overwrite -DBLACKBOX {name}" for name in cells.shared],
        f"setattr -mod {boxes} A:whitebox",
        f"blackbox {' '.join(cells.ours)}",
        f"hierarchy -top {TOP}",
        "proc; flatten; opt_expr; opt_clean",
        f"write_verilog -noattr {GATE_FILE}",
    ]
    return "; ".join(lines)
