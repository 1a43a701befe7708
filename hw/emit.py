"""A design as a folder of Verilog that anyone can take away: byte for byte the same in every clone."""

import shutil
import tempfile
from pathlib import Path

import numpy as np

from ..golden.dictionary import Dictionary
from ..golden.errors import InputError
from ..sim.design import Design
from ..sim.fixed import quantise
from ..sim.machine import load_dictionary
from ..sim.plan import Plan
from ..sim.tiling import IntArray
from .cosim.harness import TILE, TOP
from .drain import CodeLayout
from .feed import CommandLayout, WeightLayoutBeat
from .mesh import Mesh
from .tile import Tile
from .verilog import to_verilog

TILE_FILE, MESH_FILE, WEIGHTS_FILE = f"{TILE}.v", f"{TOP}.v", "weights.hex"

WAIVERS = """`verilator_config
// Why each warning of `verilator --lint-only -Wall` is waived; there are no others.
// Yosys writes one declaration, file and name for everything it flattened: names with dots and dollars, several modules' nets.
lint_off -rule DECLFILENAME
lint_off -rule EOFNEWLINE
// Constants are written with 32 bits and cut by the assignment; slices of wider intermediate sums are cut on purpose (modulo 2^n).
lint_off -rule WIDTHTRUNC
lint_off -rule WIDTHEXPAND
// Upper bits of an intermediate sum, of a table's word or of an address that the word's width does not need.
lint_off -rule UNUSEDSIGNAL
// Yosys leaves a net without a driver where a struct field is never used; nothing reads it.
lint_off -rule UNDRIVEN
// `-noattr` drops the initial value's attribute, Verilog keeps the initialiser at the declaration: both reset and initialiser.
lint_off -rule PROCASSINIT
"""


def verilog(plan: Plan) -> dict[str, str]:
    """File name -> Verilog of the tile (one flat module, instantiated by name) and of the mesh."""
    return {TILE_FILE: to_verilog(Tile(plan), TILE, flatten=True), MESH_FILE: to_verilog(Mesh(plan, tile_module=TILE), TOP)}


def quantised(design: Design, dictionary: Dictionary | None = None) -> tuple[Plan, IntArray]:
    """The plan of a design and its quantised dictionary.

    Raises:
        InputError: no such dictionary, or a design that the machine refuses (the schedules that are no machine included).
    """
    if design.machine.schedule != "delta":
        raise InputError(f"machine.schedule '{design.machine.schedule}' has no hardware; use machine.schedule = \"delta\"")
    weights = quantise((dictionary or load_dictionary(design)).atoms, design.formats.weight)
    return Plan.of(design, weights), np.asarray(weights, np.int64)


def emit(design: Design, out: Path | str, *, dictionary: Dictionary | None = None, force: bool = False) -> list[Path]:
    """Write Verilog, the weight stream, the design and a README of the ports to a folder, aside and then renamed.

    Raises:
        InputError: the folder exists (and not ``force``), or a design that has no hardware.
    """
    out = Path(out)
    if out.exists() and not force:
        raise InputError(f"{out} exists; name another folder or use --force")
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; name a folder")
    plan, weights = quantised(design, dictionary)
    mask = (1 << plan.weight.width) - 1
    digits = -(-plan.weight.width // 4)
    files = verilog(plan) | {
        WEIGHTS_FILE: "".join(f"{int(v) & mask:0{digits}x}\n" for v in plan.layout.beats(weights)),
        "lint.vlt": WAIVERS, "README.md": _readme(plan, design),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as scratch:
        place = Path(scratch) / "new"
        place.mkdir()
        for name, text in files.items():
            (place / name).write_text(text)
        (dictionary or load_dictionary(design)).save(place / "dictionary.npz")
        design.replace(dictionary=str((place / "dictionary.npz").absolute())).dump(place / "design.toml")
        if out.exists():
            out.rename(Path(scratch) / "old")
        shutil.move(place, out)
    return sorted(out.iterdir())


def _fields(layout: CodeLayout | CommandLayout | WeightLayoutBeat) -> str:
    rows = []
    for name, field in layout:
        kind = "signed" if getattr(field.shape, "signed", False) else ""
        rows.append(f"| `{name}` | {field.offset} | {field.width} | {kind} |")
    return "\n".join(["| field | first bit | bits | |", "|---|---|---|---|", *rows])


def _readme(plan: Plan, design: Design) -> str:
    t, g = plan.tiling, plan.tiling.geometry
    return f"""# A Striate machine

{g.kernels} kernels {g.patch}x{g.patch} at stride {g.stride} on a {g.image[0]}x{g.image[1]} image of {g.channels} channel(s), in
{t.tiles[0]}x{t.tiles[1]} tiles of {t.block[0]}x{t.block[1]} V1 positions. `design.toml` is the design; `striate verify --rtl .`
checks this folder, edited or not, against the machine it was made from.

| file | what it is |
|---|---|
| `{MESH_FILE}` | the top, module `{TOP}`: front, links, chains and {t.count} instances of the tile |
| `{TILE_FILE}` | the tile, module `{TILE}`; all tiles are equal, their place is an input |
| `{WEIGHTS_FILE}` | the weight stream, {plan.layout.beat_count} weights of {plan.weight.width} bits, one a line, two's complement |
| `dictionary.npz`, `design.toml` | what it was made from |
| `lint.vlt` | waivers for `verilator --lint-only -Wall lint.vlt {MESH_FILE} {TILE_FILE}`, each with its reason |

One clock `clk`, one synchronous reset `rst` (active high). Streams are ready/valid: a beat moves in a clock in which both are
high; valid never waits for ready. Port names are `<stream>__payload`, `<stream>__valid`, `<stream>__ready`.

## `weights` (in)
{plan.layout.beat_count} beats, in the order of `{WEIGHTS_FILE}`, the first with `first` set. Taken only while `busy` is low. Sets `dirty`.

{_fields(WeightLayoutBeat(plan))}

## `command` (in)
Begins a frame. Cold (`warm` = 0): all state is cleared and the pixels are the image. Warm: the state stays and the pixels are
the change of the image; refused while `dirty` is high (after reset or a weight load), with a closing word that says so.

{_fields(CommandLayout(plan))}

## `pixels` (in)
{g.image[0] * g.image[1] * g.channels} beats in raster order, channels innermost: {plan.input_change_width} bits, signed, fraction {plan.input.frac}.

## `codes` (out)
Every code that is not 0 (`last` = 0): kernel `k`, sheet position (`i`, `j`), code `y` of fraction {plan.code.frac}; tiles in raster
order, positions in raster order, k ascending. Then one closing word (`last` = 1): `overflow`, `saturated`, `refused`, and in
`events` the code changes of the last 8 steps. The run diverged if `events` > {g.neurons} or `saturated` is set.

{_fields(CodeLayout(plan))}

## `busy`, `dirty` (out)
A frame is in the machine; the state does not belong to the weights.

## `trace_*` (out)
Every write of every state memory, for simulation. Leave them unconnected: synthesis removes them.

Effective residual cutoff: {design.effective_cutoff:.5f}. Threshold: {plan.threshold_q} / 2^{plan.membrane.frac}. Step: 2^-{plan.shifts[0]}.
"""
