"""Place and route with nextpnr, one run a seed, and the bitstream."""

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..toolchain import ToolError, run_tool, run_wasm, version_of
from .failures import Failure, of_tool, too_slow
from .families import Family, Part, gowin_name
from .parse import Clock, Count, clocks, load, utilisation
from .stages import Stage, stage

REPORT, NET, LOG = "report.json", "net.json", "nextpnr.log"


@dataclass(frozen=True)
class Try:
    """One seed: what it used, the clocks it reached, and why there is no bitstream of it, where there is none."""

    seed: int
    used: dict[str, Count]
    clocks: tuple[Clock, ...]
    failure: Failure | None
    stage: Stage | None

    @property
    def fmax_mhz(self) -> float | None:
        """Of the clock that is furthest from what was asked of it; None where nothing was routed."""
        return self.clocks[0].achieved_mhz if self.clocks else None

    @property
    def margin(self) -> float:
        """Clock reached over clock asked, 0 where nothing was routed: what the best seed has most of."""
        return self.clocks[0].achieved_mhz / self.clocks[0].asked_mhz if self.clocks else 0.0


@dataclass(frozen=True)
class Job:
    """What nextpnr is given.

    Args:
        netlist: stage that holds ``net.json``. constraints: text of the pins and clocks; empty: out of context.
        limit_s: seconds a run may take.
    """

    part: Part
    family: Family
    netlist: Stage
    constraints: str
    constraints_name: str
    clock_mhz: float
    limit_s: float | None

    @property
    def tool(self) -> str:
        """The program's name and version."""
        package = self.family.nextpnr[0].replace("_", "-")
        return f"{package} {version_of(package)}"

    def options(self) -> list[str]:
        """Device, design and constraints."""
        words = [*self.family.place(self.part), "--json", NET, "--freq", f"{self.clock_mhz:g}", "--report", REPORT]
        words += ["--timing-allow-fail", "--log", LOG]
        if not self.constraints:
            return [*words, "--out-of-context"]
        option, *rest = self.family.constraints
        return [*words, option, f"{rest[0] if rest else ''}{self.constraints_name}"]

    def run(self, place: Path, words: list[str]) -> str:
        """Run nextpnr in a folder with copies of its inputs (it sees no links out of the folder); the log."""
        (place / NET).write_bytes(self.netlist.path(NET).read_bytes())
        if self.constraints:
            (place / self.constraints_name).write_text(self.constraints)
        try:
            return run_wasm(*self.family.nextpnr, [*self.options(), *words], cwd=place, timeout=self.limit_s)
        finally:
            (place / NET).unlink(missing_ok=True)

    def inputs(self, words: list[str]) -> dict[str, str]:
        """What a run depends on."""
        return {
            "netlist": self.netlist.key, "constraints": self.constraints, "tool": self.tool,
            "options": repr([*self.options(), *words]),
        }  # fmt: skip


def packed(job: Job, work: Path) -> dict[str, Any]:
    """The report after packing, before anything is placed: what the design takes of the device, whether there or not.

    Raises:
        ToolError: nextpnr failed.
    """
    done, _ = stage(
        work / "pack", job.inputs(["--pack-only"]), (REPORT,), lambda place: job.run(place, ["--pack-only"])
    )
    return load(done.path(REPORT))


def route(job: Job, work: Path, seeds: tuple[int, ...], jobs: int, hint: str, say: Any) -> tuple[Try, ...]:
    """Place and route with every seed, ``jobs`` at a time; seeds that were done before are read again."""
    finished: list[int] = []

    def one(seed: int) -> Try:
        done = _route_one(job, work, seed, hint)
        finished.append(seed)
        reached = f"{done.fmax_mhz:.1f} MHz" if done.fmax_mhz is not None else "no result"
        say(f"nextpnr: seed {seed}, {reached}", len(finished) / len(seeds))
        return done

    say(f"nextpnr: {len(seeds)} seed{'s' * (len(seeds) > 1)}", 0.0)
    with ThreadPoolExecutor(jobs) as pool:
        return tuple(pool.map(one, seeds))


def _route_one(job: Job, work: Path, seed: int, hint: str) -> Try:
    option, name = job.family.routed
    words = ["--seed", str(seed), *([option, name] if job.constraints else ["--write", name])]
    try:
        done, _ = stage(
            work / f"seed{seed}", job.inputs(words), (REPORT, name), lambda place: job.run(place, words)
        )
    except ToolError as error:
        return Try(seed, {}, (), of_tool(error, f"place and route, seed {seed}", hint), None)
    report = load(done.path(REPORT))
    found = clocks(report)
    slow = next((clock for clock in found if not clock.met), None)
    failure = too_slow(job.part.name, slow) if slow else None
    return Try(seed, utilisation(report, job.family), found, failure, done)


def bitstream(job: Job, routed: Stage, work: Path) -> Path:
    """What the board is programmed with, made from a routed design.

    Raises:
        ToolError: the packer failed.
    """
    name = job.family.routed[1]
    output = f"top.{job.family.bitstream}"

    def make(place: Path) -> str:
        (place / name).write_bytes(routed.path(name).read_bytes())
        try:
            return _pack(job, place, name, output)
        finally:
            (place / name).unlink()

    inputs: dict[str, str | bytes] = {"routed": routed.path(name).read_bytes(), "packer": repr(job.family.packer)}
    inputs["tool"] = job.tool
    done, _ = stage(work / "bitstream", inputs, (output,), make)
    return done.path(output)


def _pack(job: Job, place: Path, name: str, output: str) -> str:
    if job.family.name == "gowin":
        if not version_of("apycula"):
            raise ToolError("gowin_pack", "not installed; run `make setup`")
        start = "import sys; from apycula import gowin_pack as tool; sys.argv[0] = 'gowin_pack'; sys.exit(tool.main())"
        command = [sys.executable, "-P", "-c", start, "-d", gowin_name(job.part), "-o", output, name]
        return run_tool(command, cwd=place, tool="gowin_pack", timeout=job.limit_s)
    words = ["--input", name, "--bit", output] if job.family.name == "ecp5" else [name, output]
    return run_wasm(*job.family.packer, words, cwd=place, timeout=job.limit_s)
