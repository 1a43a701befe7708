"""Cell models against independent ones, and the synthesised netlist on the benches of the RTL."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import numpy as np
import pytest

from striate.golden.dictionary import Dictionary
from striate.golden.errors import InputError
from striate.hw.cosim.run import run_bench
from striate.hw.emit import quantised
from striate.hw.gates.netlist import FAMILY_CELLS, PLACE, gates
from striate.hw.verilated import build_shared
from striate.sim.design import Design

HARNESS = """
#include "Vtop.h"
#include "verilated.h"
#include <stdexcept>
extern "C" int run(int clocks, const unsigned *in, unsigned *out) {
    try {
        VerilatedContext context;
        Vtop top{&context};
        top.clk = 0;
        for (int n = 0; n < clocks; ++n) {
            top.clk = 0;
            for (int w = 0; w < 6; ++w) top.i[w] = in[6 * n + w];
            top.eval();
            top.clk = 1;
            top.eval();
            for (int w = 0; w < 4; ++w) out[4 * n + w] = top.o[w];
        }
        top.final();
        return 0;
    } catch (const std::runtime_error &) { return 1; }
}
"""


def compiled(body: str, model: str, where: Path) -> Callable[[Sequence[int]], list[int]]:
    """Verilog around a cell - inputs `i[191:0]`, outputs `o[127:0]`, clock `clk` - as a function of the words given
    before each edge that returns the words after it.
    """
    top = where / "around.v"
    top.write_text(f"module around(input clk, input [191:0] i, output [127:0] o);\n{body}\nendmodule\n")
    library = ctypes.CDLL(str(build_shared([top, PLACE / model], "around", HARNESS)))

    def run(words: Sequence[int]) -> list[int]:
        given = np.array([[word >> (32 * n) & 0xFFFFFFFF for n in range(6)] for word in words], np.uint32)
        seen = np.zeros((len(words), 4), np.uint32)
        failed = library.run(len(words), *(array.ctypes.data_as(ctypes.c_void_p) for array in (given, seen)))
        assert not failed, "the model refused"
        return [int.from_bytes(row.tobytes(), "little") for row in seen]

    return run


def wire(name: str, count: int, at: int) -> str:
    """Scalar ports name0 .. of a cell, at the bits of `i` from `at` on."""
    return ", ".join(f".{name}{n}(i[{at + n}])" for n in range(count))


def signed(value: int, width: int) -> int:
    return value - (1 << width) if value >> (width - 1) & 1 else value


# ---- ECP5 ------------------------------------------------------------------------------------------------------------
def test_ecp5_multiplier(tmp_path: Path) -> None:
    """Signed and unsigned factors in every combination, with the corners."""
    outs = ", ".join(f".P{n}(o[{n}])" for n in range(36))
    body = f"MULT18X18D m ({wire('A', 18, 0)}, {wire('B', 18, 18)}, .SIGNEDA(i[36]), .SIGNEDB(i[37]), "
    body += f".SOURCEA(1'b0), .SOURCEB(1'b0), {outs});"
    run, random = compiled(body + " assign o[127:36] = 0;", "ecp5.v", tmp_path), Random(1)
    corners = [0, 1, (1 << 17) - 1, 1 << 17, (1 << 18) - 1]
    cases = [(a, b, s, t) for a in corners for b in corners for s in (0, 1) for t in (0, 1)]
    cases += [
        (random.getrandbits(18), random.getrandbits(18), random.getrandbits(1), random.getrandbits(1))
        for _ in range(2000)
    ]
    found = run([a | b << 18 | s << 36 | t << 37 for a, b, s, t in cases])
    wanted = [(signed(a, 18) if s else a) * (signed(b, 18) if t else b) & (1 << 36) - 1 for a, b, s, t in cases]
    assert found == wanted


@pytest.mark.slow
def test_ecp5_small_memory(tmp_path: Path) -> None:
    """Written at the edge, read in the same clock."""
    body = "TRELLIS_DPR16X4 #(.INITVAL(64'hfedcba9876543210)) m (.DI(i[3:0]), .WAD(i[7:4]), "
    body += ".RAD(i[11:8]), .WRE(i[12]), .WCK(clk), .DO(o[3:0])); assign o[127:4] = 0;"
    run, random, words = compiled(body, "ecp5.v", tmp_path), Random(2), list(range(16))
    cases = [
        (random.getrandbits(4), random.getrandbits(4), random.getrandbits(4), random.getrandbits(1))
        for _ in range(2000)
    ]
    wanted = []
    for data, write, read, enable in cases:
        if enable:
            words[write] = data
        wanted.append(words[read])
    assert run([d | w << 4 | r << 8 | e << 12 for d, w, r, e in cases]) == wanted


class Block:
    """18 Kbit as a list of bits, by the usage guide: width of a word -> which bits it is, which are enabled."""

    UNITS = 2048

    def __init__(self, words: Sequence[int]) -> None:
        self.bits = [word >> n & 1 for word in words for n in range(18)]

    @staticmethod
    def place(width: int, address: int) -> list[int]:
        """Numbers of the bits of a word; words of 4, 2 and 1 bits leave the ninth bit of every unit out."""
        if width >= 9:
            first = (address >> {36: 5, 18: 4, 9: 3}[width]) * width
            return list(range(first, first + width))
        number = address >> {4: 2, 2: 1, 1: 0}[width]
        flat = [number * width + n for n in range(width)]
        return [bit // 8 * 9 + bit % 8 for bit in flat]

    def write(self, width: int, address: int, data: int) -> list[int]:
        """The bits written."""
        place = self.place(width, address)
        lanes = {36: 4, 18: 2}.get(width)
        enabled = [n for n in range(width) if lanes is None or address >> (n // 9) & 1]
        for n in enabled:
            self.bits[place[n]] = data >> n & 1
        return [place[n] for n in enabled]

    def read(self, width: int, address: int) -> int:
        return sum(self.bits[bit] << n for n, bit in enumerate(self.place(width, address)))


def block_body(width_a: int, width_b: int, mode: str, register: str, init: Sequence[int]) -> str:
    slices = [sum(init[16 * n + k] << (20 * k) for k in range(16)) for n in range(64)]
    values = ", ".join(f".INITVAL_{n:02X}(320'h{value:x})" for n, value in enumerate(slices))
    sides = []
    for side, width, at in (("A", width_a, 0), ("B", width_b, 40)):
        sides.append(f'.DATA_WIDTH_{side}({width}), .WRITEMODE_{side}("{mode}"), .REGMODE_{side}("{register}")')
        values += ", " + sides[-1]
        del at
    ports = []
    for side, at in (("A", 0), ("B", 40)):
        ports += [wire(f"DI{side}", 18, at), wire(f"AD{side}", 14, at + 18), f".CLK{side}(clk)",
                  f".CE{side}(i[{at + 32}])",
                  f".WE{side}(i[{at + 33}])", f".RST{side}(i[{at + 34}])", f".OCE{side}(i[{at + 35}])"]  # fmt: skip
        ports += [f".CS{side}{n}(1'b0)" for n in range(3)]
        ports += [f".DO{side}{n}(o[{n + (0 if side == 'A' else 18)}])" for n in range(18)]
    return f"DP16KD #({values}) m ({', '.join(ports)}); assign o[127:36] = 0;"


@pytest.mark.parametrize(
    "width_a, width_b, mode, register",
    [
        pytest.param(36, 36, "NORMAL", "NOREG", marks=pytest.mark.slow),
        (18, 18, "READBEFOREWRITE", "OUTREG"),
        pytest.param(9, 18, "WRITETHROUGH", "NOREG", marks=pytest.mark.slow),
        pytest.param(36, 9, "NORMAL", "NOREG", marks=pytest.mark.slow),
        pytest.param(18, 36, "NORMAL", "NOREG", marks=pytest.mark.slow),
        pytest.param(1, 4, "NORMAL", "NOREG", marks=pytest.mark.slow),
        pytest.param(2, 1, "WRITETHROUGH", "OUTREG", marks=pytest.mark.slow),
        pytest.param(4, 9, "READBEFOREWRITE", "NOREG", marks=pytest.mark.slow),
    ],
)
def test_ecp5_memory_block(width_a: int, width_b: int, mode: str, register: str, tmp_path: Path) -> None:
    """Random traffic on both ports; of what one reads, the bits that the other writes are the wrong ones."""
    random = Random(f"{width_a} {width_b} {mode}")
    init = [random.getrandbits(18) for _ in range(1024)]
    run, block = compiled(block_body(width_a, width_b, mode, register, init), "ecp5.v", tmp_path), Block(init)
    wide = width_a == 36 or width_b == 36
    latch, held = [0, 0], [0, 0]
    words, wanted, clashes, shared = [], [], 0, 0
    near = 1 << (6 if min(width_a, width_b) < 9 else 8)  # narrow words meet seldom
    for _ in range(3000):
        ports = []
        for side, width in ((0, width_a), (1, width_b)):
            address = random.randrange(1 << 14) if random.random() < 0.2 else random.randrange(near)
            writes = int(random.random() < 0.5) if not (wide and side == 1) else 0
            if wide and side == 0:
                writes = 1
            ports.append(
                (
                    random.getrandbits(18),
                    address,
                    int(random.random() < 0.9),
                    writes,
                    int(random.random() < 0.05),
                    random.getrandbits(1),
                )
            )
            del width
        words.append(sum((data | address << 18 | ce << 32 | we << 33 | rst << 34 | oce << 35) << (40 * n)
                         for n, (data, address, ce, we, rst, oce) in enumerate(ports)))  # fmt: skip
        before = Block([])
        before.bits = list(block.bits)
        written: list[set[int]] = [set(), set()]
        datas = [ports[0][0] | ports[1][0] << 18 if width_a == 36 else ports[0][0], ports[1][0]]
        for n, width in ((0, width_a), (1, width_b)):
            if ports[n][2] and ports[n][3]:
                written[n] = set(block.write(width, ports[n][1], datas[n]))
        if written[0] & written[1]:  # what remains is undefined: start again without this clock
            block.bits = before.bits
            words.pop()
            continue
        shared += bool({bit // 9 for bit in written[0]} & {bit // 9 for bit in written[1]})
        for n, width in ((0, width_a), (1, width_b)):
            _, address, ce, we, rst, oce = ports[n]
            mine = Block.place(width, address)
            dirty = sum(1 << k for k, bit in enumerate(mine) if bit in written[1 - n])
            shown = latch[n]
            if ce and not we:
                shown = before.read(width, address) ^ dirty
                clashes += bool(dirty)
            elif ce and we and mode == "WRITETHROUGH":
                own = Block([])
                own.bits = list(before.bits)
                own.write(width, address, datas[n])
                shown = own.read(width, address) ^ dirty
            elif ce and we and mode == "READBEFOREWRITE":
                shown = before.read(width, address) ^ dirty
            held[n] = 0 if rst else latch[n] if oce else held[n]
            latch[n] = 0 if rst else shown
        a, b = held if register == "OUTREG" else latch
        wanted.append(b if width_b == 36 else (a & 0x3FFFF) | (b & 0x3FFFF) << 18)
    assert clashes > 20
    assert shared > 20 or wide or max(width_a, width_b) >= 9, "two narrow words of one unit were never written together"
    found = run(words)
    mask = (1 << 36) - 1 if width_a != 36 or width_b == 36 else ((1 << 18) - 1) << 18  # DOA is not used there
    differ = [n for n in range(len(words)) if (found[n] ^ wanted[n]) & mask]
    assert not differ, f"clock {differ[0]} of {len(words)}: {found[differ[0]]:09x}, {wanted[differ[0]]:09x} expected"


@pytest.mark.slow
@pytest.mark.parametrize("apart", [True, False])
def test_ecp5_two_writes_of_one_bit_stop_the_simulation(apart: bool, tmp_path: Path) -> None:
    """Bits 0 and 1 of a unit may be written in one clock, bit 0 twice may not."""
    run = compiled(block_body(1, 1, "NORMAL", "NOREG", [0] * 1024), "ecp5.v", tmp_path)
    both = [1 | (n * apart) << 18 | 1 << 32 | 1 << 33 for n in range(2)]
    clock = both[0] | both[1] << 40
    if apart:
        read = [word & ~(1 << 33) for word in both]
        assert run([clock, read[0] | read[1] << 40])[1] == 1 | 1 << 18
    else:
        with pytest.raises(AssertionError, match="refused"):
            run([clock])


def test_a_setting_that_is_not_modelled_is_refused(tmp_path: Path) -> None:
    outs = ", ".join(f".P{n}(o[{n}])" for n in range(36))
    body = f'MULT18X18D #(.REG_OUTPUT_CLK("CLK0")) m ({wire("A", 18, 0)}, {wire("B", 18, 18)}, {outs});'
    body += " assign o[127:36] = 0;"
    with pytest.raises(AssertionError, match="refused"):
        compiled(body, "ecp5.v", tmp_path)([0])


# ---- iCE40 -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "write_mode, read_mode",
    [(1, 2), *[pytest.param(*modes, marks=pytest.mark.slow) for modes in ((0, 0), (2, 3), (3, 1))]],
)
def test_ice40_memory(write_mode: int, read_mode: int, tmp_path: Path) -> None:
    """Masks, clock enables, every width; what is read while it is written is wrong."""
    random = Random(write_mode * 4 + read_mode)
    init = [random.getrandbits(256) for _ in range(16)]
    values = ", ".join(f".INIT_{n:X}(256'h{value:x})" for n, value in enumerate(init))
    body = (
        f"SB_RAM40_4K #(.WRITE_MODE({write_mode}), .READ_MODE({read_mode}), {values}) m (.RDATA(o[15:0]), "
        ".RCLK(clk), .RCLKE(i[0]), .RE(i[1]), .RADDR(i[12:2]), .WCLK(clk), .WCLKE(i[13]), .WE(i[14]), "
        ".WADDR(i[25:15]), .MASK(i[41:26]), .WDATA(i[57:42])); assign o[127:16] = 0;"
    )
    run = compiled(body, "ice40.v", tmp_path)
    bits = [value >> n & 1 for value in init for n in range(256)]

    def place(mode: int, address: int) -> list[tuple[int, int]]:
        """(bit of the memory, bit of the port): address bits above the row pick one of each group of 2^mode."""
        row, column, group = address & 255, address >> 8 & ((1 << mode) - 1), 1 << mode
        port = {0: 0, 1: 0, 2: 1, 3: 3}[mode]
        return [(16 * row + group * n + column, group * n + port) for n in range(16 // group)]

    words, wanted, shown, clashes = [], [], 0, 0
    for _ in range(3000):
        rclke, re, wclke, we = (int(random.random() < 0.85) for _ in range(4))
        raddr, waddr = (random.randrange(1 << 11) & ~0xF0 for _ in range(2))
        mask, data = random.getrandbits(16), random.getrandbits(16)
        words.append(rclke | re << 1 | raddr << 2 | wclke << 13 | we << 14 | waddr << 15 | mask << 26 | data << 42)
        old, changed = list(bits), set()
        if wclke and we:
            for bit, port in place(write_mode, waddr):
                if write_mode or not mask >> port & 1:
                    bits[bit] = data >> port & 1
                    changed.add(bit)
        if rclke and re:
            read = place(read_mode, raddr)
            shown = sum((old[bit] ^ (bit in changed)) << port for bit, port in read)
            clashes += any(bit in changed for bit, _ in read)
        wanted.append(shown)
    assert clashes > 10
    assert run(words) == wanted


MAC = dict(A_REG=0, B_REG=0, C_REG=0, D_REG=0)


@pytest.mark.parametrize(
    "a_signed, b_signed, stages",
    [
        pytest.param(1, 1, 0, marks=pytest.mark.slow),
        (0, 1, 2),
        pytest.param(1, 0, 1, marks=pytest.mark.slow),
        pytest.param(0, 0, 3, marks=pytest.mark.slow),
    ],
)
def test_ice40_multiplier(a_signed: int, b_signed: int, stages: int, tmp_path: Path) -> None:
    """16 x 16 bits straight to the output, with 0 to 3 registers on the way: inputs, first and second stage."""
    one, two, inputs = stages >= 1, stages >= 2, stages >= 3
    body = (
        f"SB_MAC16 #(.A_SIGNED({a_signed}), .B_SIGNED({b_signed}), .TOPOUTPUT_SELECT(3), .BOTOUTPUT_SELECT(3), "
        f".PIPELINE_16x16_MULT_REG1({int(one)}), .TOP_8x8_MULT_REG({int(one)}), .BOT_8x8_MULT_REG({int(one)}), "
        f".PIPELINE_16x16_MULT_REG2({int(two)}), .A_REG({int(inputs)}), .B_REG({int(inputs)})) m "
        "(.CLK(clk), .CE(1'b1), .A(i[15:0]), .B(i[31:16]), .O(o[31:0])); assign o[127:32] = 0;"
    )
    run, random = compiled(body, "ice40.v", tmp_path), Random(stages)
    corners = [0, 1, 0x7FFF, 0x8000, 0xFFFF]
    cases = [(a, b) for a in corners for b in corners] + [
        (random.getrandbits(16), random.getrandbits(16)) for _ in range(1500)
    ]
    products = [(signed(a, 16) if a_signed else a) * (signed(b, 16) if b_signed else b) & 0xFFFFFFFF for a, b in cases]
    found = run([a | b << 16 for a, b in cases])
    late = max(0, stages - 1)  # the outputs are looked at after the edge
    assert found[late:] == products[: len(products) - late]


@pytest.mark.slow
def test_ice40_accumulator(tmp_path: Path) -> None:
    """Both adders as one of 32 bits that sums products, adding and subtracting, held and loaded."""
    body = (
        "SB_MAC16 #(.A_SIGNED(1), .B_SIGNED(1), .TOPOUTPUT_SELECT(1), .BOTOUTPUT_SELECT(1), .TOPADDSUB_LOWERINPUT(2), "
        ".BOTADDSUB_LOWERINPUT(2), .TOPADDSUB_CARRYSELECT(2), .TOPADDSUB_UPPERINPUT(0), .BOTADDSUB_UPPERINPUT(0)) m "
        "(.CLK(clk), .CE(i[64]), .A(i[15:0]), .B(i[31:16]), .C(i[47:32]), .D(i[63:48]), .ADDSUBTOP(i[65]), "
        ".ADDSUBBOT(i[65]), "
        ".OHOLDTOP(i[66]), .OHOLDBOT(i[66]), .OLOADTOP(i[67]), .OLOADBOT(i[67]), .O(o[31:0])); assign o[127:32] = 0;"
    )
    run, random, total = compiled(body, "ice40.v", tmp_path), Random(5), 0
    words, wanted = [], []
    for _ in range(2000):
        a, b, c, d = (random.getrandbits(16) for _ in range(4))
        ce, sub, hold, load = (int(random.random() < share) for share in (0.9, 0.4, 0.1, 0.05))
        words.append(a | b << 16 | c << 32 | d << 48 | ce << 64 | sub << 65 | hold << 66 | load << 67)
        product = signed(a, 16) * signed(b, 16)
        if ce and not hold:
            total = (c << 16 | d) if load else total + (-product if sub else product)
        total &= 0xFFFFFFFF
        wanted.append(total)
    # a subtraction complements the kept sum, adds the product and complements again: kept - product; carry select 2
    # is the lower adder's plain carry, which this needs (3 inverts it in a subtraction)
    assert run(words) == wanted


# ---- the netlist -----------------------------------------------------------------------------------------------------
@pytest.mark.slow
@pytest.mark.parametrize("family", sorted(FAMILY_CELLS))
def test_the_netlist_passes_the_benches_of_the_rtl(family: str, tmp_path: Path) -> None:
    """Every word of every memory, every event and every clock, as for the RTL: the same benches on the same design."""
    design = Design(
        image=(8, 8), kernels=2, patch=4, stride=2, preprocess="none", tiles=(1, 1), gather_lanes=2, scatter_lanes=2,
        detect_lanes=1, link_depth=2, threshold=0.1, step_shift=2, steps=3,
    )  # fmt: skip
    dictionary = Dictionary.random(design.geometry, 3)
    plan, _ = quantised(design, dictionary)
    made = gates(plan, family, tmp_path / "gates")
    assert made.cells["dsp"] > 0 and made.cells["bram"] > 0, made.cells
    results = run_bench(
        design, tmp_path / "run", dictionary=dictionary, sources=made.sources, seed=4, optimize=0, timeout=7200
    )
    assert results.ok and results.passed >= 5, f"{results.failures}\n{results.tail}"


@pytest.mark.slow
def test_the_benches_see_a_fault_in_a_netlist(tmp_path: Path) -> None:
    """One cell of the multiplier's model is wrong: the sign of a factor is ignored."""
    design = Design(
        image=(8, 8), kernels=2, patch=4, stride=2, preprocess="none", tiles=(1, 1), gather_lanes=2, scatter_lanes=2,
        detect_lanes=1, link_depth=2, threshold=0.1, step_shift=2, steps=3,
    )  # fmt: skip
    dictionary = Dictionary.random(design.geometry, 3)
    plan, _ = quantised(design, dictionary)
    netlist, models = gates(plan, "ecp5", tmp_path / "gates").sources
    wrong = tmp_path / models.name
    text = models.read_text()
    assert text.count("{SIGNEDB & b[17], b}") == 1
    wrong.write_text(text.replace("{SIGNEDB & b[17], b}", "{1'b0, b}"))
    results = run_bench(
        design, tmp_path / "run", dictionary=dictionary, sources=[netlist, wrong], seed=4, optimize=0, timeout=7200
    )
    assert not results.ok


def test_a_family_without_models_is_refused(tmp_path: Path) -> None:
    design = Design(image=(8, 8), kernels=1, patch=4, stride=2, preprocess="none", tiles=(1, 1))
    plan, _ = quantised(design, Dictionary.random(design.geometry, 3))
    with pytest.raises(InputError, match="no cell models for 'gowin'; use one of ecp5, ice40"):
        gates(plan, "gowin", tmp_path)
