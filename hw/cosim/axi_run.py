"""The cocotb benches of the AXI top as a function: emit a design, compile it, run every test of ``axi_bench.py``."""

from pathlib import Path

from ...golden.dictionary import Dictionary
from ...sim.design import Design
from ..verilated import CocotbResults, Options, build_cocotb, run_cocotb

DESIGN_VARIABLE, SEED_VARIABLE = "STRIATE_BENCH_DESIGN", "STRIATE_BENCH_SEED"
"""Environment variables: path of the design file of the bench; seed of pictures and gaps."""


def run_axi_bench(
    design: Design,
    out: Path,
    *,
    dictionary: Dictionary | None = None,
    rtl: Path | None = None,
    seed: int = 0,
    optimize: int = 1,
    timeout: float = 600.0,
    only: str = "",
) -> CocotbResults:
    """Run the benches of ``axi_bench.py`` on a design's AXI top through VPI; arguments and errors as of
    ``run.run_bench``, but that with ``rtl`` the design is the one of that folder. ``only``: a regular expression that
    is found in the names of the benches to run.
    """
    from ..emit import CORE_FILE, MESH_FILE, TILE_FILE, emit

    folder = rtl or out / "rtl"
    if rtl is None:
        emit(design, folder, dictionary=dictionary)
    sources = [folder / name for name in (CORE_FILE, MESH_FILE, TILE_FILE)]
    build = build_cocotb(sources, "striate_core", options=Options(optimize=optimize))
    settings = {DESIGN_VARIABLE: str((folder / "design.toml").absolute()), SEED_VARIABLE: str(seed)}
    if only:
        settings["COCOTB_TEST_FILTER"] = only
    return run_cocotb(build, f"{__package__}.axi_bench", out, seed=seed, env=settings, timeout=timeout)
