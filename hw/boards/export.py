"""A design on an AMD board as a folder for Vivado: Verilog, pins and clock, and the script that makes the bitstream.

Nothing of the vendor's is needed to make the folder, and nothing of the vendor's was there to try it with.
"""

import re
import shutil
import tempfile
from pathlib import Path

from ...golden.dictionary import Dictionary
from ...golden.errors import InputError
from ...sim.design import Design
from ...sim.machine import load_dictionary
from ..verilog import rtlil_to_verilog
from .board import Board
from .sources import TOP, Sources, sources

SCRIPT, DESIGN, DICTIONARY = "build.tcl", "design.toml", "dictionary.npz"


def part_of(board: Board) -> str:
    """The part as Vivado names it: xc7a35ticsg324-1L."""
    return f"{board.device}{board.package}-{board.speed}"


def vivado_script(board: Board, made: Sources) -> str:
    """Tcl for ``vivado -mode batch -source``, in the folder that it lies in: synthesis to bitstream, reports beside it.

    It fails when the clock is missed: a bitstream that may not work is worth nothing.
    """
    files = " ".join(f"{name}.v" for name in made.rtlil)
    lines = [
        "cd [file dirname [file normalize [info script]]]",
        f"set_part {part_of(board)}",
        f"read_verilog {{{files}}}",
        f"read_xdc {made.constraints_name}",
        f"synth_design -top {made.top} -part {part_of(board)}",
        "opt_design",
        "place_design",
        "phys_opt_design",
        "route_design",
        "report_utilization -file utilization.rpt",
        "report_timing_summary -file timing.rpt",
        "set slack [get_property SLACK [get_timing_paths -max_paths 1 -setup]]",
        f'if {{$slack < 0}} {{ error "the clock of {made.clock_mhz:.6g} MHz is missed by [expr {{-$slack}}] ns" }}',
        f"write_bitstream -force {made.top}.bit",
    ]
    return "\n".join(lines) + "\n"


def export_vivado(
    board: Board,
    design: Design,
    out: Path | str,
    clock_mhz: float | None = None,
    *,
    baud: int | None = None,
    dictionary: Dictionary | None = None,
    force: bool = False,
) -> list[Path]:
    """Write the folder, aside and then renamed; its files. With it goes the design, which ``striate board`` needs.

    Raises:
        InputError: a board that is not AMD's, a folder that holds something (and not ``force``, or files that no export
        writes), and what ``sources`` refuses. ToolError: Yosys fails.
    """
    if board.family != "xilinx":
        raise InputError(
            f"board {board.name} needs no vendor tool; `striate synth --board {board.name}` makes its bitstream"
        )
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; name a folder")
    made = sources(board, design, clock_mhz, baud=baud, dictionary=dictionary)
    files = {f"{name}.v": rtlil_to_verilog(text, name, flatten=name != TOP) for name, text in made.rtlil.items()}
    files[made.constraints_name] = re.sub(r"^ +", "", made.constraints, flags=re.MULTILINE).strip() + "\n"
    files[SCRIPT] = vivado_script(board, made)
    there = sorted(path.name for path in out.iterdir()) if out.exists() else []
    foreign = [name for name in there if name not in (*files, DESIGN, DICTIONARY)]
    if foreign:
        raise InputError(f"{out} holds {foreign[0]}, which no export writes and none deletes; name another folder")
    if there and not force:
        raise InputError(f"{out} holds an exported board; name another folder or use --force")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as scratch:
        place = Path(scratch) / "new"
        place.mkdir()
        for name, text in files.items():
            (place / name).write_text(text)
        (dictionary or load_dictionary(design)).save(place / DICTIONARY)
        kept = design.replace({"target.board": board.name, "target.clock_mhz": float(made.clock_mhz)})
        kept.replace(dictionary=str((place / DICTIONARY).absolute())).dump(place / DESIGN)
        if out.exists():
            out.rename(Path(scratch) / "old")
        shutil.move(place, out)
    return sorted(out.iterdir())
