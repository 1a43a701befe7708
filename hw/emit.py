"""A design as a folder of Verilog that anyone can take away: byte for byte the same in every clone."""

import shutil
import tempfile
from pathlib import Path

import jinja2
import numpy as np

from ..golden.dictionary import Dictionary
from ..golden.errors import InputError
from ..sim.design import Design
from ..sim.fixed import quantise
from ..sim.machine import load_dictionary
from ..sim.plan import Plan
from ..sim.tiling import IntArray
from ..sim.timing import WINDOW
from .cosim.harness import TILE, TOP
from .drain import CodeLayout
from .feed import CommandLayout, WeightLayoutBeat
from .mesh import Mesh
from .tile import Tile
from .verilog import to_verilog

TILE_FILE, MESH_FILE, WEIGHTS_FILE = f"{TILE}.v", f"{TOP}.v", "weights.hex"
FILES = (TILE_FILE, MESH_FILE, WEIGHTS_FILE, "lint.vlt", "README.md", "dictionary.npz", "design.toml")
"""All that ``emit`` writes."""

_TEMPLATES = Path(__file__).parent / "templates"


def verilog(plan: Plan) -> dict[str, str]:
    """File name -> Verilog of the tile (one flat module, instantiated by name) and of the mesh."""
    return {
        TILE_FILE: to_verilog(Tile(plan), TILE, flatten=True),
        MESH_FILE: to_verilog(Mesh(plan, tile_module=TILE), TOP),
    }


def quantised(design: Design, dictionary: Dictionary | None = None) -> tuple[Plan, IntArray]:
    """The plan of a design and its quantised dictionary.

    Raises:
        InputError: no such dictionary, or a design that the machine refuses (the schedules that are no machine
        included).
    """
    if design.machine.schedule != "delta":
        raise InputError(
            f"machine.schedule '{design.machine.schedule}' has no hardware; use machine.schedule = \"delta\""
        )
    weights = quantise((dictionary or load_dictionary(design)).atoms, design.formats.weight)
    return Plan.of(design, weights), np.asarray(weights, np.int64)


def emit(design: Design, out: Path | str, *, dictionary: Dictionary | None = None, force: bool = False) -> list[Path]:
    """Write Verilog, the weight stream, the design and a README of the ports to a folder, aside and then renamed.

    Raises:
        InputError: the folder holds an emitted machine (and not ``force``) or something else; a design without
        hardware.
    """
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; name a folder")
    there = sorted(path.name for path in out.iterdir()) if out.exists() else []
    foreign = [name for name in there if name not in FILES]
    if foreign:
        raise InputError(
            f"{out} holds {foreign[0]}, which emit does not write and will not delete; name another folder"
        )
    if there and not force:
        raise InputError(f"{out} holds an emitted machine; name another folder or use --force")
    plan, weights = quantised(design, dictionary)
    mask = (1 << plan.weight.width) - 1
    digits = -(-plan.weight.width // 4)
    files = verilog(plan) | {
        WEIGHTS_FILE: "".join(f"{int(v) & mask:0{digits}x}\n" for v in plan.layout.beats(weights)),
        "lint.vlt": (_TEMPLATES / "lint.vlt").read_text(),
        "README.md": _readme(plan, design),
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
    template = jinja2.Template(
        (_TEMPLATES / "core.md.j2").read_text(), undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    text: str = template.render(
        plan=plan,
        design=design,
        t=plan.tiling,
        g=plan.tiling.geometry,
        files={"mesh": MESH_FILE, "tile": TILE_FILE, "weights": WEIGHTS_FILE},
        top=TOP,
        tile=TILE,
        window=WINDOW,
        weights_fields=_fields(WeightLayoutBeat(plan)),
        command_fields=_fields(CommandLayout(plan)),
        codes_fields=_fields(CodeLayout(plan)),
    )
    return text
