"""The tool chain on a toy: a component that adds, through Verilog, the shared library and cocotb; and what goes
wrong.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from amaranth.hdl import Assert, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

import striate
from striate.hw import toolchain, verilated
from striate.hw.toolchain import ToolError
from striate.hw.verilated import Options, build_cocotb, build_shared, cpp_name, port_names, run_cocotb
from striate.hw.verilog import to_verilog

ROOT = Path(striate.__file__).parent


class Adder(wiring.Component):
    """Accumulates `a` while `enable`; `limit` makes it assert that the sum stays below."""

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit
        super().__init__({"enable": In(1), "a": In(8), "sum__value": Out(16)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        total = Signal(16)
        m.d.sync += total.eq(total + Mux(self.enable, self.a, 0))
        m.d.comb += self.sum__value.eq(total)
        if self._limit is not None:
            m.d.sync += Assert(total < self._limit)
        return m


HARNESS = """
#include "Vtop.h"
#include <cstdio>
#include <stdexcept>
#if VM_TRACE
#include "verilated_vcd_c.h"
#endif
extern "C" int run(const unsigned char* a, int n, const char* wave, char* said, int room) {
    try {
        VerilatedContext context;
        Vtop top(&context);
#if VM_TRACE
        VerilatedVcdC vcd;
        context.traceEverOn(true);
        top.trace(&vcd, 99);
        vcd.open(wave);
#endif
        top.rst = 0;
        top.enable = 1;
        for (int i = 0; i < n; i++) {
            top.a = a[i];
            for (int clk = 0; clk < 2; clk++) {
                top.clk = clk;
                top.eval();
                context.timeInc(5);
#if VM_TRACE
                vcd.dump(context.time());
#endif
            }
        }
        return top.sum___05Fvalue;
    } catch (const std::exception& error) {
        std::snprintf(said, room, "%s", error.what());
        return -1;
    }
}
"""

BENCH = """
import os

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge


@cocotb.test()
async def adds(dut):
    dut.rst.value = 0
    dut.enable.value = 1
    dut.a.value = 3
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    await FallingEdge(dut.clk)
    before = int(dut.sum__value.value)
    for _ in range(5):
        await FallingEdge(dut.clk)
    assert int(dut.sum__value.value) - before == int(os.environ["EXPECTED"])
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STRIATE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def adder(tmp_path: Path) -> Path:
    source = tmp_path / "adder.v"
    source.write_text(to_verilog(Adder(), "adder"))
    return source


def run(library: Path, numbers: bytes, wave: str = "") -> tuple[int, str]:
    said = ctypes.create_string_buffer(500)
    total = ctypes.CDLL(str(library)).run(numbers, len(numbers), wave.encode(), said, 500)
    return total, said.value.decode()


def test_verilog_is_the_same_in_every_process(adder: Path, tmp_path: Path) -> None:
    script = "import test_toolchain as t; print(t.to_verilog(t.Adder(), 'adder'), end='')"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path]), "PYTHONHASHSEED": "7"}
    other = subprocess.run(
        [sys.executable, "-c", script], env=env, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert other.stdout == adder.read_text()
    assert "/" + "*" not in other.stdout and str(tmp_path) not in other.stdout
    assert set(port_names([adder], "adder")) == {"enable", "a", "clk", "rst", "sum__value"}


def test_shared_library_adds_and_is_built_once(adder: Path, cache: Path, tmp_path: Path) -> None:
    assert cpp_name("sum__value") in HARNESS
    library = build_shared([adder], "adder", HARNESS)
    assert run(library, bytes([1, 2, 250])) == (253, "")
    began = time.perf_counter()
    again = build_shared([adder], "adder", HARNESS, out_dir=tmp_path / "out", options=Options(jobs=2))
    assert time.perf_counter() - began < 0.2
    assert again == tmp_path / "out" / "libadder.so" and len(list(cache.iterdir())) == 1
    adder.write_text(adder.read_text().replace("+", "-"))
    assert run(build_shared([adder], "adder", HARNESS, options=Options(jobs=2)), bytes([1]))[0] == 0xFFFF
    assert len(list(cache.iterdir())) == 2


def test_wave(adder: Path, cache: Path, tmp_path: Path) -> None:
    library = build_shared([adder], "adder", HARNESS, options=Options(trace=True))
    assert run(library, bytes([1, 2]), str(tmp_path / "w.vcd"))[0] == 3
    assert "$enddefinitions" in (tmp_path / "w.vcd").read_text()


def test_failed_assertion_is_an_exception_not_the_end_of_python(cache: Path, tmp_path: Path) -> None:
    source = tmp_path / "bounded.v"
    source.write_text(to_verilog(Adder(limit=10), "bounded"))
    library = build_shared([source], "bounded", HARNESS)
    assert run(library, bytes([4, 4]))[0] == 8
    total, said = run(library, bytes([4, 4, 4, 4]))
    assert total == -1 and "assertion failed" in said
    assert (
        run(build_shared([source], "bounded", HARNESS, options=Options(assertions=False)), bytes([4, 4, 4, 4]))[0] == 16
    )


def test_bad_sources_name_the_tool_and_its_last_lines(adder: Path, cache: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.v"
    broken.write_text("module adder(input clk, output q);\n  assign q = nothing;\nendmodule\n")
    with pytest.raises(ToolError, match=r"^verilator: failed with status 1: %Error: .*broken\.v:2") as caught:
        build_shared([broken], "adder", HARNESS)
    assert "nothing" in caught.value.tail and "\n" not in str(caught.value)
    with pytest.raises(ToolError, match=r"^g\+\+: failed with status 1: .*error: ") as caught:
        build_shared([adder], "adder", HARNESS.replace("sum___05Fvalue", "missing"))
    assert "missing" in caught.value.tail
    with pytest.raises(ToolError, match="cannot read"):
        build_shared([tmp_path / "none.v"], "adder", HARNESS)
    with pytest.raises(ToolError, match="no module other"):
        build_cocotb([adder], "other")
    assert list(cache.iterdir()) == []  # a failed build leaves nothing


def test_yosys_errors(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"^yosys: failed with status 1: ERROR: .*nowhere"):
        toolchain.run_yosys("read_verilog nowhere.v", tmp_path)
    with pytest.raises(ToolError, match="did not write x.json"):
        toolchain.run_yosys("log hello", tmp_path, outputs=["x.json"])


def test_cocotb(adder: Path, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "bench_toy.py").write_text(textwrap.dedent(BENCH))
    built = build_cocotb([adder], "adder")
    good = run_cocotb(built, "bench_toy", tmp_path / "good", seed=1, env={"EXPECTED": "15"}, path=[tmp_path])
    assert good.ok and (good.passed, good.failed) == (1, 0), good.tail
    bad = run_cocotb(built, "bench_toy", tmp_path / "bad", env={"EXPECTED": "16"}, path=[tmp_path])
    assert (
        not bad.ok and (bad.passed, bad.failed) == (0, 1) and "adds" in bad.failures[0] and "AssertionError" in bad.tail
    )
    with pytest.raises(ToolError, match="^cocotb: ") as caught:
        run_cocotb(built, "no_such_bench", tmp_path / "ugly", path=[tmp_path])
    assert "no_such_bench" in caught.value.log
    with pytest.raises(ToolError, match="trace=True"):
        run_cocotb(built, "bench_toy", tmp_path / "wave", wave=tmp_path / "w.vcd")


def test_oldest_designs_are_evicted(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verilated, "KEEP", 2)
    for age, name in enumerate(["new", "middle", "old"]):
        (cache / name).mkdir(parents=True)
        os.utime(cache / name, (1e9 - age, 1e9 - age))
    verilated._evict()
    assert sorted(entry.name for entry in cache.iterdir()) == ["middle", "new"]


def test_doctor_names_every_tool_and_its_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tools = {tool.name: tool for tool in toolchain.doctor()}
    wanted = {
        "python",
        "g++",
        "make",
        "git",
        "libpython",
        "verilator",
        "yosys",
        "nextpnr-ecp5",
        "nextpnr-ice40",
        "nextpnr-gowin",
        "apycula",
        "z3",
        "cocotb",
        "iverilog",
    }
    assert wanted < set(tools)
    assert all(tool.ok and tool.version and tool.path for tool in tools.values() if tool.required)
    monkeypatch.setenv("PATH", str(tmp_path))
    missing = {tool.name: tool for tool in toolchain.doctor()}
    assert not missing["g++"].ok and missing["g++"].remedy == "sudo apt-get install -y g++"
    assert not missing["iverilog"].required


def test_shim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIATE_HOME", str(tmp_path))
    shim = toolchain.write_shim()
    assert subprocess.run([shim, "--version"], capture_output=True, check=True).stdout
    assert shim == tmp_path / "bin" / "verilator"


def test_check_system_prints_one_line_naming_what_is_missing(tmp_path: Path) -> None:
    script = [sys.executable, str(ROOT / "tools" / "check_system.py")]
    whole = subprocess.run(script, capture_output=True, text=True)
    assert (whole.returncode, whole.stdout) == (0, ""), whole.stdout
    partial = tmp_path / "bin"
    partial.mkdir()
    (partial / "git").symlink_to("/usr/bin/env")
    lacking = subprocess.run(script, capture_output=True, text=True, env={**os.environ, "PATH": str(partial)})
    assert lacking.returncode == 1
    assert lacking.stdout == "sudo apt-get install -y g++ make\n"
