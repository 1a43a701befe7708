"""The cocotb benches as a function: emit a design, compile the whole mesh, run every test of ``bench.py`` on it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from ...golden.dictionary import Dictionary
from ...sim.design import Design
from ..emit import MESH_FILE, TILE_FILE, emit
from ..verilated import CocotbResults, Options, build_cocotb, build_icarus, run_cocotb
from .harness import TOP

DESIGN_VARIABLE = "STRIATE_BENCH_DESIGN"
"""Environment variable with the path of the design file that the bench builds its machine from."""
SEED_VARIABLE = "STRIATE_BENCH_SEED"
"""Environment variable with the seed of images, other weights and handshakes."""


def run_bench(
    design: Design,
    out: Path,
    *,
    dictionary: Dictionary | None = None,
    rtl: Path | None = None,
    sources: Sequence[Path] = (),
    simulator: Literal["verilator", "icarus"] = "verilator",
    seed: int = 0,
    optimize: int = 1,
    wave: Path | None = None,
    timeout: float = 600.0,
) -> CocotbResults:
    """Run the benches of ``bench.py`` on a design's Verilog: real mesh and real tiles, driven through VPI.

    Args:
        design: what to build; a frame is ``design.dynamics.steps`` steps. out: a new folder for the emitted files,
        the program's log and its results. dictionary: in place of the one the design names.
        rtl: a folder as ``emit`` wrote it, perhaps edited, whose Verilog is run in place of the design's.
        sources: Verilog with the same top module in place of both, such as a netlist with its cells (``hw/gates``).
        simulator: Verilator, or Icarus, which is a program of the system and knows unknown values; no wave file there.
        seed: images, second dictionary and handshakes. wave: write a VCD to this file.

    Raises:
        InputError: a design without hardware, or an existing folder. ToolError: the Verilog does not build, or the
        simulation ends without results. A failing test is a result.
    """
    emit(design, out / "rtl", dictionary=dictionary)
    folder = rtl or out / "rtl"
    files = list(sources) or [folder / MESH_FILE, folder / TILE_FILE]
    if simulator == "icarus":
        build = build_icarus(files, TOP, out)
    else:
        build = build_cocotb(files, TOP, options=Options(optimize=optimize, trace=wave is not None))
    settings = {DESIGN_VARIABLE: str((out / "rtl" / "design.toml").absolute()), SEED_VARIABLE: str(seed)}
    module = f"{__package__}.bench"
    return run_cocotb(build, module, out, seed=seed, env=settings, wave=wave, timeout=timeout)
