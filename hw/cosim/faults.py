"""Bit flips in the compiled mesh: memory words of a tile as it begins a step, code events on their way between tiles.

A build of its own: the memories' arrays are visible from C++ in it, which the default build has no use for.
"""

import ctypes
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...sim.fault import GATHER, Fault, check_faults, event_widths
from ...sim.plan import Plan
from ...sim.tiling import IntArray
from ...sim.timing import Phase
from ..verilated import Model, Options, build_models
from .harness import TILE, TOP, CompiledMesh, socket, source, tile_ports

STORES = ("u", "d", "r", "s", "weight")
_MODULES = {"u": "u", "d": "d", "r": "r", "s": "s", "weight": "datapath.weights"}
_HERE = Path(__file__).parent


def banks(plan: Plan) -> dict[str, int]:
    """Banks of each store of a tile."""
    t = plan.tiling
    return {"u": 1, "d": t.positions_per_cycle, "r": t.residual_banks, "s": 1, "weight": plan.layout.banks}


def placed(plan: Plan, fault: Fault) -> tuple[int, int, int]:
    """(bank, word, bit) of a fault in the memories of a tile, as ``docs/dataflow.md`` lays them out."""
    t, g = plan.tiling, plan.tiling.geometry
    if fault.memory == "u":
        k, i, j = fault.address
        word, second = divmod(i * t.block[1] + j, t.update_positions)
        return 0, word, (second * g.kernels + k) * plan.membrane.width + fault.bit
    if fault.memory == "d":
        k, i, j = fault.address
        column, bank = divmod(j, t.positions_per_cycle)
        return bank, i * t.drive_words_per_row + column, k * plan.drive_width + fault.bit
    if fault.memory == "r":
        c, y, x = fault.address
        column, lane = divmod(x, t.scatter_lanes)
        bank, second = divmod(lane, t.columns_per_word)
        word = (c * t.region[0] + y) * t.residual_words_per_row + column
        return bank, word, second * plan.residual_width + fault.bit
    if fault.memory == "s":
        c, y, x = fault.address
        column, lane = divmod(x, t.detect_lanes)
        word = (c * t.region[0] + y) * t.sent_words_per_row + column
        return 0, word, lane * plan.residual.width + fault.bit
    part, *tap = fault.address
    numbers = 1 + np.arange(int(np.prod(g.dictionary_shape))).reshape(g.dictionary_shape)
    split = plan.layout.gather_depth  # words below it are the gather part's
    found = np.argwhere(plan.layout.pack(numbers) == numbers[tuple(tap)])
    word, bank, lane = next(row for row in found.tolist() if (row[0] < split) == (part == GATHER))
    return bank, word, lane * plan.weight.width + fault.bit


def rows(plan: Plan, faults: Sequence[Fault]) -> IntArray:
    """(n, 8) a fault a row, as ``faults.cpp`` reads them.

    Of a memory: tile, step, store, bank, word, bit, index into the harness's copy, bit of the word there. Of a link:
    tile, exchange, -1, link, number, bit, 0, 0.
    """
    t, g = plan.tiling, plan.tiling.geometry
    table = []
    for fault in faults:
        if fault.memory == "link":
            # exchanges of the frame before that of the step: a refresh has one too
            number = fault.step + (fault.step // plan.refresh if plan.refresh else 0)
            table.append((fault.tile, number, -1, *fault.address, fault.bit, 0, 0))
            continue
        copy = 0
        if fault.memory in ("u", "d"):
            k, i, j = fault.address
            copy = ((fault.tile * t.block[0] + i) * t.block[1] + j) * g.kernels + k
        elif fault.memory in ("r", "s"):
            c, y, x = fault.address
            copy = ((fault.tile * g.channels + c) * t.region[0] + y) * t.region[1] + x
        store = STORES.index(fault.memory)
        table.append((fault.tile, fault.step, store, *placed(plan, fault), copy, fault.bit))
    return np.array(table, np.int64).reshape(-1, 8)


def faulted_source(plan: Plan) -> str:
    """The C++ of the harness with flips: its wires go through ``faults.cpp``, nothing else in it changes."""
    text, body = source(plan), (_HERE / "harness.cpp").read_text()
    wires = text.removesuffix(body).replace("static void to_tiles(", "static void wires_to_tiles(")
    kb, ib, jb, dyw = event_widths(plan)
    t = plan.tiling
    widths = (plan.membrane.width, plan.drive_width, plan.residual_width, plan.residual.width)
    constants = {
        "FAULT_GATHER": int(Phase.GATHER),
        "FAULT_KB": kb,
        "FAULT_IB": ib,
        "FAULT_JB": jb,
        "FAULT_EVENT": kb + ib + jb + dyw,
        "FAULT_REACH": t.geometry.reach,
        "FAULT_WIDTHS[4]": f"{{{', '.join(map(str, widths))}}}",
    }
    lines = [f'#include "Vtile_{TILE}.h"', "#include <vector>"]
    lines += [f"static const int {name} = {value};" for name, value in constants.items()]
    lines += [
        "template <class T> static void turn(T& word, int bit) { word ^= (T)1 << bit; }",
        "template <std::size_t N> static void turn(VlWide<N>& word, int bit) { word[bit >> 5] ^= 1U << (bit & 31); }",
        "static void turn_bit(Vtile* tile, int store, int bank, int word, int bit) {",
        "    switch (store * 1000 + bank) {",
    ]
    for n, store in enumerate(STORES):
        for bank in range(banks(plan)[store]):
            name = f"{_MODULES[store]}.bank{bank}".replace(".", "__02e")
            lines.append(f"    case {n * 1000 + bank}: turn(tile->__PVT__{TILE}->{name}[word], bit); break;")
    lines += ["    }", "}", "static uint64_t link_of(const Vtile* tile, int link) {", "    switch (link) {"]
    lines += [f"    case {b}: return tile->in_{b};" for b in t.links]
    lines += ["    }", "    return 0;", "}", "static void to_link(Vtile* tile, int link, uint64_t value) {",
              "    switch (link) {"]  # fmt: skip
    lines += [f"    case {b}: tile->in_{b} = value; break;" for b in t.links]
    lines += ["    }", "}"]
    before, after = (_HERE / "faults.cpp").read_text().split("// ---- after the harness ----\n")
    return wires + "\n".join(lines) + "\n" + before + body + after


def build_faulted(plan: Plan, tile: Path, mesh: Path, *, jobs: int = 1) -> Path:
    """`harness.build` with memories that can be reached; cached by content.

    Raises:
        ToolError: Verilator or the compiler refused it.
    """
    with tempfile.TemporaryDirectory(prefix="striate-") as scratch:
        place = Path(scratch) / "socket.v"
        place.write_text(socket(plan))
        models = [
            Model("Vtile", TILE, (tile,), public=((TILE, "*bank*"),)),
            Model("Vmesh", TOP, (mesh, place), verilator=("-finline",),
                  public=tuple((TILE, port) for port in tile_ports(plan))),
        ]  # fmt: skip
        return build_models(models, faulted_source(plan), options=Options(jobs=jobs))


class FaultedMesh(CompiledMesh):
    """A compiled mesh whose bits can be turned over; made from a library of `build_faulted`."""

    def arm(self, faults: Sequence[Fault], steps: int) -> None:
        """Set the faults of the next frame.

        Raises:
            InputError: a fault that this machine does not have.
        """
        check_faults(self.plan, faults, steps)
        table = rows(self.plan, faults)
        self._lib.sim_faults.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
        self._lib.sim_faults(self._sim, table.ctypes.data, len(table))

    def met(self) -> IntArray:
        """What became of each fault (``sim.faults.MET``)."""
        data = ctypes.c_void_p()
        self._lib.sim_faults_met.restype = ctypes.c_int64
        self._lib.sim_faults_met.argtypes = [ctypes.POINTER(ctypes.c_void_p)]
        count = self._lib.sim_faults_met(ctypes.byref(data))
        if not count:
            return np.zeros(0, np.int64)
        return np.ctypeslib.as_array(ctypes.cast(data, ctypes.POINTER(ctypes.c_int64)), (count,)).copy()
