"""A design as a bitstream: sources, Yosys, nextpnr for several seeds, the packer. Every stage is kept and continued."""

import json
import math
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...golden.archive import replacing
from ...golden.dictionary import Dictionary
from ...golden.errors import InputError
from ...sim.design import Design
from ...sim.machine import load_dictionary
from ...sim.mapping.nearest import does_not_fit
from ...sim.mapping.resources import Resources, budget
from ...sim.plan import Plan
from ..boards import Board, board_of, sources
from ..emit import quantised
from ..mesh import Mesh
from ..tile import Tile
from ..toolchain import ToolError
from ..verilog import to_rtlil
from .failures import Failure, of_tool, too_large
from .families import Family, family_of
from .floorplan import crowded, floorplanned
from .netlist import TILE, Netlist, synthesise_netlist
from .parse import Count, CriticalPath, UnreadableReport, overfull, utilisation
from .route import REPORT, Job, Try, bitstream, packed, route

WORK, RECORD, JOB = "work", "synthesis.json", "job.json"
LIMIT_S = 3600.0
"""Seconds that one run of a tool may take where nothing else is said."""
_SHARES = {"sources": (0.0, 0.05), "yosys": (0.05, 0.2), "pack": (0.2, 0.22), "floorplan": (0.22, 0.35),
           "route": (0.35, 0.95)}


@dataclass(frozen=True)
class Synthesis:
    """What came of a synthesis; a failure is a value, not an exception.

    Args:
        used: kind ("lut", "ff", "bram", "dsp") -> cells used and available, as nextpnr counts after
            packing; empty where nothing was packed.
        fmax_mhz: clock reached by the best seed. clock_mhz: clock asked for. path: what holds it back.
        bitstream: the file, None where there is none.
        tries: every seed. estimate: what was expected before synthesis.
        failure: why there is no bitstream, or why it is slower than asked; None when all is well.
        warnings: what is not as counted, one line each.
    """

    board: str
    device: str
    clock_mhz: float
    used: dict[str, Count]
    fmax_mhz: float | None
    path: CriticalPath | None
    bitstream: Path | None
    seed: int | None
    tries: tuple[Try, ...]
    estimate: Resources
    failure: Failure | None
    warnings: tuple[str, ...] = ()

    @property
    def outcome(self) -> str:
        """"done", or the kind of the failure."""
        return "done" if self.failure is None else self.failure.kind


@dataclass(frozen=True)
class _Made:
    """The sources of one job, in the board's frame or out of context."""

    top: str
    rtlil: dict[str, str]
    constraints: str
    constraints_name: str
    clock_mhz: float


def synthesise(
    design: Design,
    board: str,
    out: Path | str,
    *,
    seeds: Sequence[int] = (1,),
    clock_mhz: float | None = None,
    jobs: int = 1,
    dictionary: Dictionary | None = None,
    out_of_context: bool = False,
    allow_miss: bool = False,
    force: bool = False,
    force_try: bool = False,
    limit_s: float | None = LIMIT_S,
    keep_routed: bool = False,
    progress: Callable[[str, float], None] | None = None,
) -> Synthesis:
    """Synthesise, place and route a design for a board and write its bitstream into a folder.

    The folder keeps every stage: the same call goes on where it was stopped, and returns at once what is done. The
    best seed is the one with the highest clock.

    Args:
        seeds: of the placement, each a run of its own, ``jobs`` at a time.
        clock_mhz: asked of the board's PLL and of place-and-route; None: the board's own.
        out_of_context: the machine alone, no pins and no bitstream (ECP5).
        allow_miss: keep the bitstream of a design that misses the clock; it is not safe to use at that clock.
        force: begin anew in a folder that holds something else's synthesis. force_try: synthesise what is estimated
            not to fit.
        limit_s: seconds that one run of a tool may take; None: no limit.
        keep_routed: keep what nextpnr wrote beside the bitstream.

    Raises:
        InputError: an unknown board, a clock out of reach, seeds that are none, a folder of another job, a design
            without hardware.
    """
    part, say = board_of(board), progress or _silent
    family = family_of(part)
    clock = part.clock_mhz if clock_mhz is None else clock_mhz
    _check(part, family, clock, seeds, jobs, out_of_context)
    plan, weights = quantised(design, dictionary)
    found = budget(plan, board)
    if not found.fits and not force_try:
        text = does_not_fit(design, weights, board, found)
        return _nothing(part, clock, found.resources, Failure("does not fit", f"{text} (estimated before synthesis)"))
    out = Path(out)
    made = _sources(part, design, plan, clock, dictionary, out_of_context)
    _claim(out, _job_text(design, dictionary, part, made, out_of_context), force)
    work = out / WORK
    try:
        netlist = synthesise_netlist(made.rtlil, made.top, plan, family, work, _part(say, "yosys"))
        job = Job(part, family, netlist.stage, made.constraints, made.constraints_name, made.clock_mhz, limit_s)
        _part(say, "pack")("nextpnr: packing", 0.0)
        report = packed(job, work)
        used = utilisation(report, family) | _flip_flops(family, netlist)
        over = overfull(report, family)
    except ToolError as error:
        return _nothing(part, made.clock_mhz, found.resources, of_tool(error, "synthesis", _hint(design, plan, board)))
    except UnreadableReport as error:
        return _nothing(part, made.clock_mhz, found.resources, Failure("tool aborted", f"synthesis: {error}"))
    warnings = _warnings(netlist, found.resources, out_of_context)
    if over:
        failure = too_large(board, part.device, over, _hint(design, plan, board))
        return _nothing(part, made.clock_mhz, found.resources, failure, used, warnings)
    if family.name == "ecp5" and plan.tiling.count > 1 and crowded(board, netlist.cells):
        try:
            job = replace(job, netlist=floorplanned(job, plan, work, _part(say, "floorplan")))
        except ToolError as error:
            return _nothing(part, made.clock_mhz, found.resources, of_tool(error, "floorplan"), used, warnings)
    tries = route(job, work, tuple(dict.fromkeys(seeds)), jobs, _hint(design, plan, board), _part(say, "route"))
    result = _result(part, job, tries, used, found.resources, warnings, out, allow_miss)
    best = next((t.stage for t in tries if t.seed == result.seed), None)
    if keep_routed and best is not None:
        _publish(best.path(family.routed[1]), out)
    say("done", 1.0)
    return result


@dataclass(frozen=True)
class Utilisation:
    """A design synthesised and packed, not placed: cells by kind, and lines of the log that tell of emulated ports."""

    used: dict[str, Count]
    emulated: int


def utilise(
    design: Design, board: str, work: Path | str, *, dictionary: Dictionary | None = None
) -> Utilisation:
    """What a design takes of a board's device, from synthesis and packing alone; stages are kept in ``work``.

    Raises:
        InputError: an unknown board, a design without hardware. ToolError: a tool failed.
    """
    part = board_of(board)
    family, (plan, _) = family_of(part), quantised(design, dictionary)
    made = _sources(part, design, plan, part.clock_mhz, dictionary, False)
    netlist = synthesise_netlist(made.rtlil, made.top, plan, family, Path(work), _silent)
    job = Job(part, family, netlist.stage, made.constraints, made.constraints_name, made.clock_mhz, None)
    return Utilisation(utilisation(packed(job, Path(work)), family) | _flip_flops(family, netlist), netlist.emulated)


def _silent(text: str, share: float) -> None:
    """No progress."""


def _part(say: Callable[[str, float], None], name: str) -> Callable[[str, float], None]:
    begin, end = _SHARES[name]
    return lambda text, share: say(text, begin + (end - begin) * share)


def _check(part: Board, family: Family, clock: float, seeds: Sequence[int], jobs: int, out_of_context: bool) -> None:
    if not (isinstance(clock, int | float) and math.isfinite(clock) and clock > 0):
        raise InputError(
            f"the clock must be a number of MHz above 0, not {clock!r}; {part.name} takes {part.clock_mhz:g}"
        )
    if clock > family.ceiling_mhz:
        raise InputError(
            f"a clock of {clock:g} MHz is out of reach on {part.name} ({part.device}): nothing above "
            f"{family.ceiling_mhz:g} MHz is tried; leave it out for {part.clock_mhz:g} MHz"
        )
    if not seeds or any(not isinstance(seed, int) or seed < 0 for seed in seeds):
        raise InputError(f"seeds must be whole numbers from 0 and at least one, not {list(seeds)}; take (1, 2, 3), say")
    if jobs < 1:
        raise InputError(f"jobs must be at least 1, not {jobs}")
    if out_of_context and family.name != "ecp5":
        raise InputError(
            f"out of context is possible on an ECP5 only, and {part.name} has a {part.device}; leave it out"
        )


def _sources(
    part: Board, design: Design, plan: Plan, clock: float, dictionary: Dictionary | None, out_of_context: bool
) -> _Made:
    if out_of_context:
        rtlil = {
            "striate": to_rtlil(Mesh(plan, observed=False, tile_module=TILE), "striate"),
            TILE: to_rtlil(Tile(plan, observed=False), TILE),
        }
        return _Made("striate", rtlil, "", "", float(clock))
    made = sources(part, design, clock, dictionary=dictionary)
    return _Made(made.top, made.rtlil, made.constraints, made.constraints_name, made.clock_mhz)


def _job_text(
    design: Design, dictionary: Dictionary | None, part: Board, made: _Made, out_of_context: bool
) -> str:
    atoms = (dictionary or load_dictionary(design)).atoms
    job = {
        "design": design.sha256(atoms.tobytes()), "board": part.name, "clock_mhz": made.clock_mhz,
        "out_of_context": out_of_context,
    }  # fmt: skip
    return json.dumps(job, indent=1) + "\n"


def _claim(out: Path, job: str, force: bool) -> None:
    """Take the folder for a job: new, empty, of the same job, or forced."""
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; name a folder")
    there = sorted(path.name for path in out.iterdir()) if out.exists() else []
    ours = there and (out / JOB).is_file()
    if there and not ours:
        raise InputError(f"{out} holds {there[0]}, which is not a synthesis; name another folder")
    if ours and (out / JOB).read_text() != job:
        if not force:
            raise InputError(f"{out} holds another synthesis (see {JOB} in it); name another folder or use --force")
    if ours and force:
        shutil.rmtree(out / WORK, ignore_errors=True)
        for path in out.glob("top.*"):
            path.unlink()
        (out / RECORD).unlink(missing_ok=True)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with replacing(out / JOB) as aside:
            aside.write_text(job)
    except OSError as error:
        raise InputError(f"{out} cannot be written: {error.strerror}; name another folder") from error


def _flip_flops(family: Family, netlist: Netlist) -> dict[str, Count]:
    """From synthesis where nextpnr counts cells that hold a look-up table and a flip-flop."""
    return {} if "ff" in family.used else {"ff": Count(netlist.cells["ff"], 0)}


def _warnings(netlist: Netlist, expected: Resources, out_of_context: bool) -> tuple[str, ...]:
    found = []
    if netlist.emulated:
        found.append(
            f"Yosys built logic for the read port of a memory ({netlist.emulated} lines of its log say emulate_)"
        )
    blocks = expected.blocks if out_of_context else expected.all_blocks
    for kind, name, count in (("dsp", "multipliers", expected.multipliers), ("bram", "memory blocks", blocks)):
        if netlist.cells[kind] != count:
            found.append(f"{netlist.cells[kind]} {name} after synthesis where {count} were counted")
    return tuple(found)


def _hint(design: Design, plan: Plan, board: str) -> str:
    """What to do about a design that was estimated to fit and does not."""
    fewer = plan.tiling.gather_lanes // 2
    depth = f"machine.link_depth={plan.link_depth // 2}, " if plan.tiling.count > 1 and plan.link_depth > 4 else ""
    lanes = f"machine.gather_lanes={fewer}, " if fewer else ""
    return f"try {depth}{lanes}a smaller network.image or a larger board"


def _nothing(
    part: Board, clock: float, estimate: Resources, failure: Failure, used: dict[str, Count] | None = None,
    warnings: tuple[str, ...] = (),
) -> Synthesis:  # fmt: skip
    return Synthesis(
        part.name, part.device, clock, used or {}, None, None, None, None, (), estimate, failure, warnings
    )


def _result(
    part: Board, job: Job, tries: tuple[Try, ...], used: dict[str, Count], estimate: Resources,
    warnings: tuple[str, ...], out: Path, allow_miss: bool,
) -> Synthesis:  # fmt: skip
    best = max(tries, key=lambda t: t.margin)
    if best.stage is None:
        return Synthesis(
            part.name, part.device, job.clock_mhz, used, None, None, None, None, tries, estimate, best.failure, warnings
        )
    failure, made = best.failure, None
    if job.constraints and (failure is None or allow_miss):
        try:
            made = _publish(bitstream(job, best.stage, out / WORK), out)
        except ToolError as error:
            failure = of_tool(error, "bitstream")
    for name in (REPORT, "nextpnr.log"):
        if best.stage.path(name).is_file():
            _publish(best.stage.path(name), out)
    slowest = best.clocks[0] if best.clocks else None
    return Synthesis(
        part.name, part.device, job.clock_mhz, used, best.fmax_mhz, slowest.path if slowest else None, made,
        best.seed, tries, estimate, failure, warnings,
    )  # fmt: skip


def _publish(path: Path, out: Path) -> Path:
    """Copy a stage's file into the folder itself, aside and renamed."""
    target, aside = out / path.name, out / f".{path.name}"
    aside.write_bytes(path.read_bytes())
    os.replace(aside, target)
    return target.absolute()
