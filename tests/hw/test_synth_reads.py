"""Reading a memory on the falling edge is the same machine: proved on a small one, and held against the tile's text."""

from pathlib import Path

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from striate.golden.dictionary import Dictionary
from striate.hw.emit import quantised
from striate.hw.synth.reads import half_clock_reads
from striate.hw.tile import Tile
from striate.hw.toolchain import ToolError, run_yosys
from striate.hw.verilog import to_rtlil
from striate.sim.design import Design


class Store(wiring.Component):
    """A memory read without a clock, between registers; ``rom``: one that is never written beside it."""

    def __init__(self) -> None:
        super().__init__({"en": In(1), "where": In(2), "what": In(2), "at": In(2), "word": Out(2), "table": Out(2)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.store = store = memory.Memory(shape=2, depth=4, init=[])
        m.submodules.rom = rom = memory.Memory(shape=2, depth=4, init=[3, 1, 2, 0])
        write, read, look = store.write_port(), store.read_port(domain="comb"), rom.read_port(domain="comb")
        at = Signal(2)
        m.d.sync += [
            write.en.eq(self.en), write.addr.eq(self.where), write.data.eq(self.what), at.eq(self.at),
            self.word.eq(read.data), self.table.eq(look.data),
        ]  # fmt: skip
        m.d.comb += [read.addr.eq(at ^ write.addr), look.addr.eq(at)]
        return m


def prove(gate: str, place: Path) -> str:
    """Yosys' log of the proof that a module ``gate`` does what `Store` does, over ten clocks, reset in the first two.

    Without a reset the first rising edge of all comes before any falling one.
    """
    reset = " ".join(f"-set-at {n} in_rst 1 -set-at {n} in_clk {1 - n % 2}" for n in range(1, 5))
    (place / "gold.il").write_text(to_rtlil(Store(), "gold"))
    (place / "gate.il").write_text(gate)
    script = (
        "read_rtlil gold.il; prep -top gold -flatten; memory; design -stash gold; "
        "read_rtlil gate.il; prep -top gate -flatten; memory; design -stash gate; "
        "design -copy-from gold gold; design -copy-from gate gate; miter -equiv -make_assert gold gate miter; "
        "hierarchy -top miter; proc; flatten; clk2fflogic; opt_clean; "
        f"sat -verify -prove-asserts -seq 20 {reset} miter"
    )
    return run_yosys(script, place)


def test_the_falling_edge_gives_the_same_word_in_the_same_clock(tmp_path: Path) -> None:
    text = to_rtlil(Store(), "gate")
    moved = half_clock_reads(text)
    assert moved != text and "SUCCESS!" in prove(moved, tmp_path)


def test_the_proof_has_teeth(tmp_path: Path) -> None:
    late = half_clock_reads(to_rtlil(Store(), "gate")).replace("\\CLK_POLARITY 1'0", "\\CLK_POLARITY 1'1")
    with pytest.raises(ToolError) as caught:
        prove(late, tmp_path)
    assert "model found: FAIL" in caught.value.log


def tile(**keys: object) -> str:
    design = Design(image=(16, 16), kernels=2, patch=4, gather_lanes=2, scatter_lanes=2, detect_lanes=2).replace(keys)
    plan, _ = quantised(design, Dictionary.random(design.geometry, seed=0))
    return to_rtlil(Tile(plan, observed=False), "striate_tile")


def test_stores_and_queue_of_a_tile_move_and_tables_stay() -> None:
    text = tile(tiles=(1, 1))
    moved = half_clock_reads(text)
    changed = [(a, b) for a, b in zip(text.splitlines(), moved.splitlines(), strict=True) if a != b]
    assert len(changed) == 3 * 2  # the store of the tile itself and the queue, three lines each
    assert {b.strip() for _, b in changed} == {
        "parameter \\CLK_ENABLE 1'1", "parameter \\CLK_POLARITY 1'0", "connect \\CLK \\clk [0]",
    }  # fmt: skip
    assert half_clock_reads(moved) == moved
