"""``striate synth``."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..golden.errors import InputError
from .common import DesignFile, Force, Job, Json, Settings, Steps, read_design, say

if TYPE_CHECKING:
    from ..golden.dictionary import Dictionary
    from ..hw.synth import Synthesis
    from ..sim.design import Design
    from ..sim.mapping.photographs import CropCycles


def synth(
    board: Annotated[str, typer.Option("--board", metavar="BOARD", help="Board to make a bitstream for.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the bitstream and all that led to it.")],
    seeds: Annotated[
        int, typer.Option("--seeds", metavar="N", min=1, help="Seeds of place and route to try; the fastest is kept.")
    ] = 1,
    clock: Annotated[
        float | None, typer.Option("--clock", metavar="MHZ", help="Clock to ask for; the board's own without.")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", metavar="N", min=1, help="Seeds at a time.")] = 1,
    out_of_context: Annotated[
        bool, typer.Option("--out-of-context", help="The machine without pins and bitstream (ECP5).")
    ] = False,
    textcfg: Annotated[
        bool, typer.Option("--textcfg", help="Keep the routed design as text beside the bitstream (ECP5).")
    ] = False,
    allow_miss: Annotated[
        bool, typer.Option("--allow-miss", help="Keep the bitstream of a design that misses the clock.")
    ] = False,
    force_try: Annotated[
        bool, typer.Option("--force-try", help="Synthesise what is estimated not to fit.")
    ] = False,
    limit: Annotated[
        float, typer.Option("--limit", metavar="MINUTES", help="Longest that one run of a tool may take.")
    ] = 60.0,
    design_file: DesignFile = None,
    settings: Settings = None,
    steps: Steps = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Yosys and nextpnr: what the design takes of a board, its clock, a bitstream, the estimate beside the truth.

    Without a design the machine is the fastest that is found for the board, with a smaller picture or fewer kernels
    where the default network does not fit. Stopped and called again, it goes on. Exit 1 when there is no bitstream.

    Example: striate synth --board ulx3s-85f --seeds 4 --jobs 2 --out build/ulx3s
    """
    job, design = Job(as_json), read_design(design_file, settings, None, steps)
    from ..golden.archive import replacing
    from ..hw.boards import board_of
    from ..hw.synth import synthesise
    from ..reports.record import design_sha256
    from ..sim.machine import load_dictionary
    from ..sim.mapping.photographs import photograph_cycles

    if out_of_context and textcfg:
        raise InputError("--textcfg needs pins, which --out-of-context has none of; leave one of them out")
    part = board_of(board)
    if (textcfg or out_of_context) and part.family != "ecp5":
        option = "--textcfg" if textcfg else "--out-of-context"
        raise InputError(f"{option} is for an ECP5, and {board} has a {part.device}; leave it out")
    if not (math.isfinite(limit) and limit > 0):
        raise InputError(f"--limit {limit:g}: must be a number of minutes above 0; 60 without the option")
    clock_mhz = part.clock_mhz if clock is None else clock
    design = design.replace({"target.board": board, "target.clock_mhz": float(clock_mhz)})
    changes: tuple[str, ...] = ()
    if design_file is None and not settings:
        design, dictionary, changes = _chosen(design, board)
        for change in changes:
            say(f"the default network does not fit {board}: {change}")
    else:
        design.check_machine()
        dictionary = load_dictionary(design)
    with job.progress("synthesising") as tell:
        result = synthesise(
            design, board, out, seeds=tuple(range(1, seeds + 1)), clock_mhz=clock_mhz, jobs=jobs, dictionary=dictionary,
            out_of_context=out_of_context, allow_miss=allow_miss, force=force, force_try=force_try,
            limit_s=60 * limit, keep_routed=textcfg, progress=tell,
        )  # fmt: skip
    frames = photograph_cycles(design, dictionary) if result.fmax_mhz is not None else ()
    info = _info(result, frames) | {"changes": list(changes), "machine": design.sections()["machine"],
                                    "image": design.network.image, "out": str(out.absolute())}  # fmt: skip
    if out.is_dir():
        dictionary.save(out / "dictionary.npz")
        design.replace(dictionary=str((out / "dictionary.npz").absolute())).dump(out / "design.toml")
        with replacing(out / "synthesis.json") as aside:
            aside.write_text(_text(job.complete(info, design_sha256(design, dictionary))))
    job.done(info, design_sha256(design, dictionary), _rows(result, info))
    for warning in result.warnings:
        say(warning)
    if result.failure is not None and not (allow_miss and result.bitstream is not None):
        for line in result.failure.tail.splitlines() if result.failure.kind == "tool aborted" else ():
            say(f"  {line}")
        say(result.failure.text)
        raise typer.Exit(1)


def _chosen(design: "Design", board: str) -> "tuple[Design, Dictionary, tuple[str, ...]]":
    """The fastest machine that is found for the board, of a smaller network where need be."""
    from ..sim.machine import load_dictionary
    from ..sim.mapping.fit import fastest

    found = fastest(design, board, shrink=True)
    return found.design, found.dictionary or load_dictionary(design), found.changes


def _text(info: dict[str, Any]) -> str:
    import json

    from ..reports.rundir import plain

    return json.dumps(plain(info), indent=1, allow_nan=False) + "\n"


def _info(result: "Synthesis", frames: "tuple[CropCycles, ...]") -> dict[str, Any]:
    """The keys of the JSON object."""
    used = {kind: result.used[kind].used if kind in result.used else None for kind in ("lut", "ff", "bram", "dsp")}
    cycles = _median([float(f.cycles) for f in frames])
    info: dict[str, Any] = {
        "board": result.board, "device": result.device, **used,
        "available": {kind: count.available for kind, count in result.used.items() if count.available},
        "fmax_mhz": result.fmax_mhz, "clock_mhz": result.clock_mhz,
        "critical_path": None if result.path is None else {
            "from": result.path.source, "to": result.path.sink, "delay_ns": result.path.delay_ns,
            "logic_ns": result.path.logic_ns,
        },
        "bitstream": None if result.bitstream is None else str(result.bitstream),
        "cycles_per_frame": cycles,
        "frames_per_second": None if cycles is None or result.fmax_mhz is None else result.fmax_mhz * 1e6 / cycles,
        "frames_per_second_at_clock": None if cycles is None else result.clock_mhz * 1e6 / cycles,
        "estimate": {"lut": result.estimate.lut, "ff": result.estimate.ff, "bram": result.estimate.all_blocks,
                     "dsp": result.estimate.multipliers},
        "outcome": result.outcome, "reason": None if result.failure is None else result.failure.text,
        "seed": result.seed, "warnings": list(result.warnings),
        "seeds": [
            {"seed": t.seed, "fmax_mhz": t.fmax_mhz, "outcome": "done" if t.failure is None else t.failure.kind}
            for t in result.tries
        ],
        "photographs": _photographs(frames, result.fmax_mhz),
    }  # fmt: skip
    return info


def _photographs(frames: "tuple[CropCycles, ...]", fmax_mhz: float | None) -> dict[str, Any] | None:
    if not frames or fmax_mhz is None:
        return None
    columns: dict[str, list[float]] = {
        "cycles": [f.cycles for f in frames], "code_events": [f.code_events for f in frames],
        "residual_events": [f.residual_events for f in frames],
        "frames_per_second": [fmax_mhz * 1e6 / f.cycles for f in frames],
    }  # fmt: skip
    spread = {
        name: {"min": min(values), "median": _median(values), "max": max(values)} for name, values in columns.items()
    }
    return spread | {
        "crops": [
            {"photograph": f.photograph, "crop": f.crop, "cycles": f.cycles, "code_events": f.code_events,
             "residual_events": f.residual_events} for f in frames
        ],
    }  # fmt: skip


def _median(values: list[float]) -> float | None:
    import statistics

    return float(statistics.median(values)) if values else None


_NAMES = {"lut": "look-up tables", "ff": "flip-flops", "bram": "memory blocks", "dsp": "multipliers"}


def _rows(result: "Synthesis", info: dict[str, Any]) -> list[tuple[str, str]]:
    """The table: estimate against truth, clock by seed, frames a second, the bitstream."""
    rows = [("board", f"{result.board} ({result.device})")]
    rows.append(("", f"{'estimate':>9} {'truth':>9} {'error':>8} {'of':>9}"))
    for kind, name in _NAMES.items():
        expected = info["estimate"][kind]
        count = result.used.get(kind)
        if count is None:
            rows.append((name, f"{expected:>9,} {'-':>9}"))
            continue
        off = f"{100 * (expected / count.used - 1):+.1f} %" if count.used else "-"
        have = f"{count.available:>9,}" if count.available else ""
        rows.append((name, f"{expected:>9,} {count.used:>9,} {off:>8} {have}"))
    for t in result.tries:
        said = f"{t.fmax_mhz:.1f} MHz" if t.fmax_mhz is not None else t.failure.kind if t.failure else "-"
        rows.append((f"seed {t.seed}", said + (", kept" if t.seed == result.seed and len(result.tries) > 1 else "")))
    if result.fmax_mhz is not None:
        rows.append(("clock", f"{result.fmax_mhz:.1f} MHz routed, {result.clock_mhz:g} MHz asked"))
    if result.path is not None:
        rows.append(("critical path", result.path.text))
    seen = info["photographs"]
    if seen is not None:
        fps, cycles = seen["frames_per_second"], seen["cycles"]
        crops = f"{len(seen['crops'])} crops of the bundled photographs"
        rows.append(("cycles a frame", f"{cycles['median']:,.0f} ({cycles['min']:,} to {cycles['max']:,}, {crops})"))
        rows.append(("frames/s", f"{fps['median']:.1f} ({fps['min']:.1f} to {fps['max']:.1f}) from a cold start"))
    rows.append(("bitstream", info["bitstream"] or "none"))
    return rows
