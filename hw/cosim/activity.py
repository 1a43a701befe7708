"""A compiled mesh that counts the toggles of every net of its tiles. A build of its own: all nets are visible in it."""

import ctypes
import tempfile
from pathlib import Path

import numpy as np

from ...sim.plan import Plan
from ...sim.tiling import IntArray
from ..mesh import Mesh
from ..netlist import Netlist
from ..verilated import Model, Options, build_models, cpp_name
from ..verilog import to_verilog
from .harness import TILE, TOP, CompiledMesh, socket, source, tile_ports

_HERE = Path(__file__).parent


def counting_source(plan: Plan, nets: Netlist) -> str:
    """The C++ of the harness with counters: its wires go through ``activity.cpp``, nothing else in it changes."""
    text, body = source(plan), (_HERE / "harness.cpp").read_text()
    wires = text.removesuffix(body).replace("static void to_tiles(", "static void wires_to_tiles(")
    levels = {bit for memory in nets.memories for bit in memory.enables if isinstance(bit, int)}
    look, level, first, word = [], [], 0, 0
    for name, width in nets.wires:
        member = f"tile->__PVT__{TILE}->{cpp_name(name)}"
        look.append(f"    look({member}, before + {word}, {first});")
        level += [f"    level({member}, {first}, {bit});" for bit in range(width) if first + bit in levels]
        first, word = first + width, word + -(-width // 32)
    constants = [f'#include "Vtile_{TILE}.h"', f"static const int BITS = {first}, WORDS = {word};"]
    looks = ["static void look_at(const Vtile* tile, uint64_t* before) {", *look, "}",
             "static void levels_of(const Vtile* tile) {", *level, "}"]  # fmt: skip
    counters, after = (_HERE / "activity.cpp").read_text().split("// ---- after the harness ----\n")
    counters = counters.replace("// ---- looks at each net, generated ----", "\n".join(looks))
    return wires + "\n".join(constants) + "\n" + counters + body + after


def build_counting(plan: Plan, nets: Netlist, *, jobs: int = 1) -> Path:
    """A compiled mesh that counts; cached by content.

    Raises:
        ToolError: Verilator or the compiler refused it.
    """
    with tempfile.TemporaryDirectory(prefix="striate-") as scratch:
        place = Path(scratch)
        texts = {"tile": nets.verilog, "mesh": to_verilog(Mesh(plan, tile_module=TILE), TOP), "socket": socket(plan)}
        files = {name: place / f"{name}.v" for name in texts}
        for name, file in files.items():
            file.write_text(texts[name])
        models = [
            Model("Vtile", TILE, (files["tile"],), public=tuple((TILE, name) for name, _ in nets.wires)),
            Model("Vmesh", TOP, (files["mesh"], files["socket"]), verilator=("-finline",),
                  public=tuple((TILE, port) for port in tile_ports(plan))),
        ]  # fmt: skip
        return build_models(models, counting_source(plan, nets), options=Options(jobs=jobs))


class CountingMesh(CompiledMesh):
    """A compiled mesh that counts; made from a library of `build_counting`. One at a time: the counters are shared."""

    def begin(self) -> None:
        """Count from here on."""
        self._lib.sim_activity_begin()

    def counted(self, bits: int) -> tuple[IntArray, IntArray, int]:
        """By bit, all tiles together: changes, and clocks at 1; and the clocks looked at. Counting ends."""
        pointer = ctypes.POINTER(ctypes.c_uint64)
        toggles, high = pointer(), pointer()
        self._lib.sim_activity.restype = ctypes.c_int64
        clocks = int(self._lib.sim_activity(ctypes.byref(toggles), ctypes.byref(high)))
        first, second = (np.ctypeslib.as_array(values, (bits,)).astype(np.int64) for values in (toggles, high))
        return first, second, clocks
