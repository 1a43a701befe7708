"""A board in simulation: bridge, core and tiles compiled from the emitted RTLIL, driven at its two serial pins."""

import ctypes
import functools
import tempfile
from pathlib import Path

from striate.golden.dictionary import Dictionary
from striate.hw.cosim.harness import TILE
from striate.hw.emit import quantised
from striate.hw.serial.linked import LinkedCore
from striate.hw.tile import Tile
from striate.hw.verilated import Options, build_shared
from striate.hw.verilog import to_verilog
from striate.sim.design import Design
from striate.sim.plan import Plan

TOP = "board"
DIVISOR = 4
BUFFER = 256

_HARNESS = r"""
#include "verilated.h"
#include "Vtop.h"
#include <cstdint>
struct Sim {
    VerilatedContext context;
    Vtop top{&context};
    uint64_t cycles = 0, noise = 1;
    double period = 4, flips = 0, sent_at = 0, heard_at = 0;
    int sending = -1, hearing = -1, shift_in = 0, shift_out = 0;
    bool flip() {  // xorshift64*
        if (flips <= 0) return false;
        noise ^= noise >> 12; noise ^= noise << 25; noise ^= noise >> 27;
        return (double)((noise * 2685821657736338717ull) >> 11) / 9007199254740992.0 < flips;
    }
    void clock() {
        top.clk = 0; top.eval();
        top.clk = 1; top.eval();
        cycles++;
    }
};
extern "C" {
void* sim_new(uint64_t seed) {
    Sim* s = new Sim; s->noise = seed * 2 + 1;
    s->top.rx = 1; s->top.rst = 1;
    for (int n = 0; n < 4; n++) s->clock();
    s->top.rst = 0;
    return s;
}
void sim_free(void* p) { delete (Sim*)p; }
void sim_line(void* p, double period, double flips) { ((Sim*)p)->period = period; ((Sim*)p)->flips = flips; }
uint64_t sim_cycles(void* p) { return ((Sim*)p)->cycles; }
int sim_lights(void* p) { Sim* s = (Sim*)p; return s->top.busy | s->top.error << 1; }
// Send `n` bytes, go on for `more` clocks after the last one, and keep what the device says: the number of bytes heard.
int sim_run(void* p, const uint8_t* in, int n, int64_t more, uint8_t* out, int room) {
    Sim* s = (Sim*)p;
    int next = 0, heard = 0;
    while (next < n || s->sending >= 0 || more-- > 0) {
        if (s->sending < 0 && next < n) {
            s->shift_in = in[next++] << 1 | 1 << 9;
            s->sending = 0; s->sent_at = (double)s->cycles;
            s->top.rx = ((s->shift_in & 1) != 0) ^ s->flip();
        } else if (s->sending >= 0 && (double)s->cycles >= s->sent_at + s->period * (s->sending + 1)) {
            if (++s->sending == 10) { s->sending = -1; s->top.rx = 1; continue; }
            s->top.rx = ((s->shift_in >> s->sending & 1) != 0) ^ s->flip();
        }
        s->clock();
        if (s->hearing < 0) {
            if (!s->top.tx) { s->hearing = 0; s->heard_at = (double)s->cycles; s->shift_out = 0; }
        } else if ((double)s->cycles >= s->heard_at + s->period * (s->hearing + 0.5)) {
            s->shift_out |= (s->top.tx ^ s->flip()) << s->hearing;
            if (++s->hearing == 10) {
                s->hearing = -1;
                if ((s->shift_out >> 9 & 1) && heard < room) out[heard++] = s->shift_out >> 1 & 0xff;
            }
        }
    }
    return heard;
}
}
"""


@functools.cache
def library(plan: Plan, steps: int) -> Path:
    """The compiled board; kept by content."""
    with tempfile.TemporaryDirectory() as scratch:
        return build_shared(verilog(plan, steps, Path(scratch)), TOP, _HARNESS, options=Options())


def verilog(plan: Plan, steps: int, folder: Path) -> list[Path]:
    """The board's Verilog: files written to a folder."""
    top = LinkedCore(plan, DIVISOR, buffer=BUFFER, patience=400, steps=steps, tile_module=TILE)
    tile = to_verilog(Tile(plan, observed=False), TILE, flatten=True)
    files = {folder / "board.v": to_verilog(top, TOP), folder / "tile.v": tile}
    for path, text in files.items():
        path.write_text(text)
    return list(files)


class SimulatedBoard:
    """The board, as a transport of ``hw.serial.host.Link``: bytes in, bytes out, the clock runs while one waits.

    Args:
        period: clocks of a bit at the host's end. flips: probability that a bit of the line is inverted, both ways.
    """

    def __init__(
        self, design: Design, dictionary: Dictionary, *, seed: int = 0, period: float = DIVISOR, flips: float = 0.0
    ) -> None:
        self.lib = ctypes.CDLL(str(library(quantised(design, dictionary)[0], design.dynamics.steps)))
        self.lib.sim_new.restype, self.lib.sim_new.argtypes = ctypes.c_void_p, [ctypes.c_uint64]
        self.lib.sim_free.argtypes = [ctypes.c_void_p]
        self.lib.sim_line.argtypes = [ctypes.c_void_p, ctypes.c_double, ctypes.c_double]
        self.lib.sim_cycles.restype, self.lib.sim_cycles.argtypes = ctypes.c_uint64, [ctypes.c_void_p]
        self.lib.sim_lights.argtypes = [ctypes.c_void_p]
        self.lib.sim_run.argtypes = [
            ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_int64, ctypes.c_char_p, ctypes.c_int,
        ]  # fmt: skip
        self.handle = self.lib.sim_new(seed)
        self.line(period, flips)
        self.out = bytearray()

    def line(self, period: float = DIVISOR, flips: float = 0.0) -> None:
        """Another clock or another noise."""
        self.lib.sim_line(self.handle, period, flips)

    def run(self, data: bytes, more: int) -> bytes:
        """Send bytes, go on for so many clocks; what the device said."""
        room = 65_536
        heard = ctypes.create_string_buffer(room)
        count = self.lib.sim_run(self.handle, data, len(data), more, heard, room)
        return heard.raw[:count]

    # ---- a transport -------------------------------------------------------------------------------------------------
    def write(self, data: bytes) -> None:
        self.out += self.run(data, 0)

    def read(self, wait_s: float) -> bytes:
        """What has come; waits for at least a byte, a second being a million clocks."""
        left = int(wait_s * 1e6) + 1
        while not self.out and left > 0:
            self.out += self.run(b"", min(200, left))
            left -= 200
        taken, self.out = bytes(self.out), bytearray()
        return taken

    def clear(self) -> None:
        self.out.clear()

    @property
    def cycles(self) -> int:
        """Clocks since reset."""
        return int(self.lib.sim_cycles(self.handle))

    @property
    def lights(self) -> tuple[bool, bool]:
        """(busy, error)."""
        word = self.lib.sim_lights(self.handle)
        return bool(word & 1), bool(word & 2)
