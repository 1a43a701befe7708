"""The compiled mesh as a Python object: build it from Verilog, feed it frames, look at its memories."""

import ctypes
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from amaranth.hdl import Value
from amaranth.lib import data
from amaranth.lib.wiring import In

from ...sim.plan import Plan
from ...sim.tiling import IntArray, bits
from ..drain import CodeLayout
from ..feed import CommandLayout
from ..tile import tile_signature, trace_members
from ..verilated import Model, Options, build_models, cpp_name

TOP, TILE = "striate", "striate_tile"
FINISHED, STOPPED, RAN_OUT, ABANDONED = range(4)
"""How a frame ended: closing word seen; stopped by the caller or a hazard; too many clocks; abandoned on purpose."""
_OPTIONAL = ("settled", "steps")  # of the closing word
_PORTS = {
    "COMMAND_VALID": "command__valid",
    "COMMAND_READY": "command__ready",
    "COMMAND_PAYLOAD": "command__payload",
    "PIXELS_VALID": "pixels__valid",
    "PIXELS_READY": "pixels__ready",
    "PIXELS_PAYLOAD": "pixels__payload",
    "WEIGHTS_VALID": "weights__valid",
    "WEIGHTS_READY": "weights__ready",
    "WEIGHTS_PAYLOAD": "weights__payload",
    "CODES_VALID": "codes__valid",
    "CODES_READY": "codes__ready",
    "CODES_PAYLOAD": "codes__payload",
    "BUSY": "busy",
    "DIRTY": "dirty",
}


def source(plan: Plan) -> str:
    """The C++ of the harness for one plan: its constants, the wires between mesh and tiles, and ``harness.cpp``."""
    t, g = plan.tiling, plan.tiling.geometry
    constants = {
        "TILES": t.count,
        "K": g.kernels,
        "C": g.channels,
        "TH": t.block[0],
        "TW": t.block[1],
        "POSITIONS": t.positions,
        "UK": t.update_positions * g.kernels,
        "HR": t.region[0],
        "WRC": t.region[1],
        "PPC": t.positions_per_cycle,
        "KG": t.kernel_groups,
        "PER": t.kernels_per_cycle,
        "DWPR": t.drive_words_per_row,
        "DAB": bits(t.drive_depth),
        "SL": t.scatter_lanes,
        "PAIR": t.columns_per_word,
        "RWPR": t.residual_words_per_row,
        "RAB": bits(t.residual_depth),
        "DL": t.detect_lanes,
        "SWPR": t.sent_words_per_row,
        "WU": plan.membrane.width,
        "WD": plan.drive_width,
        "WR": plan.residual_width,
        "BR": plan.residual.width,
        "BW": plan.weight.width,
        "DYW": plan.code_change_width,
        "DRW": plan.residual_change_width,
        "DXW": plan.input_change_width,
        "COMMAND": CommandLayout(plan).size,
        "BEAT": CodeLayout(plan).size,
        **_fields("CODE", CodeLayout(plan)),
    }
    lines = [
        '#include "verilated.h"',
        '#include "Vtile.h"',
        '#include "Vmesh.h"',
        '#include "Vmesh___024root.h"',
        "#if VM_TRACE",
        '#include "verilated_vcd_c.h"',
        "#endif",
    ]
    lines += [f"static const int {name} = {value};" for name, value in constants.items()]
    lines += [f"#define {name} {cpp_name(port)}" for name, port in _PORTS.items()]
    lines.append(f"#define REFRESHED(tile) {'(tile).trace_refreshed' if plan.refresh else 'false'}")
    ports = tile_ports(plan)
    for name, kinds, arrow in (
        ("from_tiles", "output", "shell.{0} = tile[{1}]->{2};"),
        ("to_tiles", "input", "tile[{1}]->{2} = shell.{0};"),
    ):
        lines.append(f"static void {name}(Vmesh___024root& shell, Vtile* const* tile) {{")
        lines += [
            "    " + arrow.format(f"{TOP}__DOT__tile{n}__DOT__{cpp_name(port)}", n, cpp_name(port))
            for n in range(t.count)
            for port, (kind, _) in ports.items()
            if kind == kinds
        ]
        lines.append("}")
    return "\n".join(lines) + "\n" + (Path(__file__).parent / "harness.cpp").read_text()


def _fields(prefix: str, layout: data.Layout) -> dict[str, int]:
    """The first bit and the width of each field; of fields that only some machines have, and this one has not, 0."""
    places = dict.fromkeys(_OPTIONAL, (0, 0)) | {str(name): (field.offset, field.width) for name, field in layout}
    return {
        f"{prefix}_{name.upper()}_{part}": number
        for name, place in places.items()
        for part, number in zip(("AT", "BITS"), place, strict=True)
    }


def command_words(plan: Plan, **fields: int) -> tuple[int, int]:
    """A beat of the command stream as two words of 64 bits, the low one first."""
    beat = CommandLayout(plan).const(fields).as_bits()
    return beat & (1 << 64) - 1, beat >> 64


def tile_ports(plan: Plan) -> dict[str, tuple[str, int]]:
    """The tile's ports to the mesh: name -> ("input" or "output", width); not clock, reset and traces."""
    ports = {}
    signature = tile_signature(plan)
    for path, member, value in signature.flatten(signature.create()):
        name = "__".join(str(part) for part in path)
        if not name.startswith("trace_"):
            ports[name] = ("input" if member.flow == In else "output", len(Value.cast(value)))
    return ports


def socket(plan: Plan) -> str:
    """Verilog of a tile that holds no logic: the harness reads its inputs and drives its outputs.

    The mesh is compiled around it once, the tile once, and the harness wires as many tiles as there are into the mesh:
    a mesh of any size compiles in the time of one tile. It is exact because every output of a tile is a function of its
    registers alone.
    """
    lines = [f"module {TILE} (input clk, input rst"]
    ports = tile_ports(plan)
    for name, (kind, width) in ports.items():
        lines[-1] += ","
        lines.append(f"  {kind} {'reg ' if kind == 'output' else ''}[{width - 1}:0] {name}")
    for name, width in trace_members(plan).items():
        lines[-1] += ","
        lines.append(f"  output [{width - 1}:0] trace_{name}")
    lines += [");", *(f"  assign trace_{name} = 0;" for name in trace_members(plan)), "endmodule", ""]
    return "\n".join(lines)


@dataclass(frozen=True)
class Handshakes:
    """How the outside world behaves: stalls in 256ths of the clocks, from a seed."""

    seed: int = 1
    stall_in: int = 0
    stall_out: int = 0
    stall_weights: int = 0


@dataclass(frozen=True)
class Observed:
    """What left the machine in a frame, and when (cycles from the acceptance of the command)."""

    status: int  # FINISHED, STOPPED, RAN_OUT or ABANDONED
    codes: IntArray  # (n, 4) rows (k, i, j, y)
    # (10,) the closing word: k, i, j, y, last, flags, events, cycle, steps, changes; empty if none came
    closing: IntArray
    beat_cycles: IntArray
    phases: IntArray  # (n, 3) rows (tile, phase, cycle)
    pixel_cycles: IntArray
    ready: npt.NDArray[np.bool_]
    link_events: int
    error: str


class CompiledMesh:
    """One instance of a compiled mesh, just out of reset.

    Args:
        plan: what the Verilog was made from.
        library: path of the shared object (``build``).
        wave: write a VCD of everything to this file (needs a library built with ``trace``).
        threads: 2 lets a second core run half of the tiles (not with ``wave``).
    """

    def __init__(self, plan: Plan, library: Path, *, wave: Path | None = None, threads: int = 1) -> None:
        self.plan = plan
        self._lib = ctypes.CDLL(str(library))
        lib, pointer, i64 = self._lib, ctypes.c_void_p, ctypes.c_int64
        self._callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int)
        lib.sim_new.restype, lib.sim_new.argtypes = pointer, [ctypes.c_int]
        lib.sim_delete.argtypes = [pointer]
        lib.sim_error.restype, lib.sim_error.argtypes = ctypes.c_char_p, [pointer]
        lib.sim_memory.restype, lib.sim_memory.argtypes = ctypes.POINTER(i64), [pointer, ctypes.c_int]
        lib.sim_list.restype = i64
        lib.sim_list.argtypes = [pointer, ctypes.c_int, ctypes.c_int, ctypes.POINTER(pointer)]
        lib.sim_number.restype, lib.sim_number.argtypes = i64, [pointer, ctypes.c_int]
        lib.sim_reset.argtypes = [pointer, ctypes.c_int]
        lib.sim_wave.argtypes = [pointer, ctypes.c_char_p]
        lib.sim_weights.restype = i64
        lib.sim_weights.argtypes = [pointer, pointer, i64, ctypes.c_uint64, ctypes.c_int, i64]
        lib.sim_frame.argtypes = [
            pointer,
            pointer,
            pointer,
            i64,
            ctypes.c_uint64,
            ctypes.c_int,
            ctypes.c_int,
            i64,
            i64,
            self._callback,
        ]
        self._sim = pointer(lib.sim_new(threads))
        if wave is not None and lib.sim_wave(self._sim, str(wave).encode()):
            raise OSError(f"cannot write the wave file {wave}")

    def close(self) -> None:
        """End the simulation and its wave file."""
        if self._sim:
            self._lib.sim_delete(self._sim)
            self._sim = ctypes.c_void_p()

    def __enter__(self) -> "CompiledMesh":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def reset(self, clocks: int = 4) -> None:
        """Hold reset for some clocks; memories keep their contents, everything else starts over."""
        self._lib.sim_reset(self._sim, clocks)

    @property
    def error(self) -> str:
        """What the harness itself objects to: a hazard, a protocol fault, a reset that did not reset; else empty."""
        return str(self._lib.sim_error(self._sim).decode())

    @property
    def cycle(self) -> int:
        """Clocks since the beginning."""
        return int(self._lib.sim_number(self._sim, 0))

    @property
    def dirty(self) -> bool:
        """The machine's ``dirty`` output."""
        return bool(self._lib.sim_number(self._sim, 3))

    @property
    def busy(self) -> bool:
        """The machine's ``busy`` output."""
        return bool(self._lib.sim_number(self._sim, 4))

    def _list(self, which: int, columns: int, tile: int = 0) -> IntArray:
        data = ctypes.c_void_p()
        count = self._lib.sim_list(self._sim, which, tile, ctypes.byref(data))
        kind = ctypes.c_uint8 if which == 3 else ctypes.c_int64
        if not count:
            return np.zeros((0, columns) if columns > 1 else 0, np.int64)
        flat = np.ctypeslib.as_array(ctypes.cast(data, ctypes.POINTER(kind)), (count,)).astype(np.int64)
        return flat.reshape(-1, columns) if columns > 1 else flat

    def memory(self, which: str) -> IntArray:
        """A live view of a state memory as the traces left it: "membrane" and "drive" (T, th, tw, K), "residual" and
        "sent"
        (T, C, Hr, Wr)."""
        t, g = self.plan.tiling, self.plan.tiling.geometry
        number = ("membrane", "drive", "residual", "sent").index(which)
        shape = (t.count, *t.block, g.kernels) if number < 2 else (t.count, g.channels, *t.region)
        return np.ctypeslib.as_array(self._lib.sim_memory(self._sim, number), shape)

    def events(self, tile: int) -> IntArray:
        """Code events (k, i, j, dy) of the tile since its last step; valid in the callback."""
        return self._list(4, 4, tile)

    def pixels(self, tile: int) -> IntArray:
        """Residual events (c, y, x, dr) of the tile since its last step; valid in the callback."""
        return self._list(5, 4, tile)

    def load_weights(self, beats: IntArray, handshakes: Handshakes | None = None) -> int:
        """Send the weight stream; returns the beats that were accepted (fewer if the machine stopped taking them)."""
        h, data = handshakes or Handshakes(), np.ascontiguousarray(beats, np.int64)
        taken = self._lib.sim_weights(
            self._sim, data.ctypes.data, len(data), h.seed, h.stall_weights, 16 * len(data) + 1000
        )
        return int(taken)

    def frame(
        self,
        change: IntArray,
        steps: int,
        *,
        warm: bool = False,
        threshold: int | None = None,
        cutoff: int | None = None,
        shift: int = 0,
        handshakes: Handshakes | None = None,
        limit: int = 1 << 40,
        abandon: int = -1,
        step_done: Callable[[int, int], bool] | None = None,
    ) -> Observed:
        """Run one frame.

        Args:
            change: dx in stream order (raster, channels innermost), one value a beat.
            threshold, cutoff, shift: fields of the command (``hw/feed.py``); None: the design's.
            limit: give up after so many clocks. abandon: stop on purpose after so many clocks (-1: never).
            step_done: called with (tile, step) when a tile ends a step, with (tile, -1 - step) when it ends a refresh
            before one; True stops the run.
        """
        h, data = handshakes or Handshakes(), np.ascontiguousarray(change, np.int64)
        failure: list[BaseException] = []

        def done(tile: int, step: int) -> int:
            try:
                return int(step_done(tile, step)) if step_done else 0
            except BaseException as error:  # must not cross the C frames: raised again below
                failure.append(error)
                return 1

        plan = self.plan
        command = np.array(
            command_words(
                plan,
                warm=int(warm),
                steps=steps,
                threshold=plan.threshold_q if threshold is None else threshold,
                cutoff=plan.cutoff_q if cutoff is None else cutoff,
                shift=shift,
            ),
            np.uint64,
        )
        callback = self._callback(done)
        status = self._lib.sim_frame(
            self._sim,
            command.ctypes.data,
            data.ctypes.data,
            len(data),
            h.seed,
            h.stall_in,
            h.stall_out,
            limit,
            abandon,
            callback,
        )
        if failure:
            raise failure[0]
        beats = self._list(1, 10)
        closed = len(beats) > 0 and bool(beats[-1, 4])
        return Observed(
            status,
            beats[: len(beats) - closed, :4],
            beats[-1] if closed else np.zeros(0, np.int64),
            beats[:, 7],
            self._list(0, 3),
            self._list(2, 1),
            self._list(3, 1).astype(bool),
            int(self._lib.sim_number(self._sim, 2)),
            self._lib.sim_error(self._sim).decode(),
        )


def build(plan: Plan, tile: Path, mesh: Path, *, trace: bool = False, optimize: int = 1, jobs: int = 1) -> Path:
    """Compile the Verilog of a tile and of a mesh with the harness; cached by content.

    Raises:
        ToolError: Verilator or the compiler refused it.
    """
    with tempfile.TemporaryDirectory(prefix="striate-") as scratch:
        place = Path(scratch) / "socket.v"
        place.write_text(socket(plan))
        visible = tuple((TILE, port) for port in tile_ports(plan))
        models = [
            Model("Vtile", TILE, (tile,)),
            Model("Vmesh", TOP, (mesh, place), verilator=("-finline",), public=visible),
        ]
        return build_models(models, source(plan), options=Options(optimize=optimize, trace=trace, jobs=jobs))
