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
from .axi_top import CORE, CoreTop
from .core import identity, parameter_ranges
from .cosim.harness import TILE, TOP
from .drain import CodeLayout
from .feed import CommandLayout, WeightLayoutBeat
from .mesh import Mesh
from .registers import c_header, markdown, python_module, verilog_header
from .tile import Tile
from .toolchain import version_of
from .vectors import Vectors, small_frame
from .verilog import to_verilog

TILE_FILE, MESH_FILE, CORE_FILE, WEIGHTS_FILE = f"{TILE}.v", f"{TOP}.v", f"{CORE}.v", "weights.hex"
NAMES = {
    "tile": TILE_FILE,
    "mesh": MESH_FILE,
    "core": CORE_FILE,
    "weights": WEIGHTS_FILE,
    "verilog_header": "striate_registers.vh",
    "c_header": "striate_registers.h",
    "python_module": "striate_registers.py",
    "registers": "registers.md",
    "testbench": "tb_striate_core.v",
    "pixels": "tb_pixels.hex",
    "codes": "tb_codes.hex",
    "fusesoc": "striate.core",
    "sdc": "striate.sdc",
    "xdc": "striate.xdc",
    "lint": "lint.vlt",
    "readme": "README.md",
    "dictionary": "dictionary.npz",
    "design": "design.toml",
}
"""What each file of the folder is called."""
FILES = tuple(NAMES.values())
"""All that ``emit`` writes."""

_TEMPLATES = Path(__file__).parent / "templates"


def verilog(plan: Plan) -> dict[str, str]:
    """File name -> Verilog of the tile (one flat module, instantiated by name) and of the mesh."""
    return {
        TILE_FILE: to_verilog(Tile(plan), TILE, flatten=True),
        MESH_FILE: to_verilog(Mesh(plan, tile_module=TILE), TOP),
    }


def core_verilog(plan: Plan, steps: int) -> str:
    """Verilog of the AXI top, which instantiates the mesh; ``steps``: what its STEPS reads after reset.

    Raises:
        InputError: a machine whose codes do not fit the core's stream.
    """
    top = CoreTop(plan, steps)
    return to_verilog(top, CORE, list(top.ports.values()), flatten=True)


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
    """Write all of ``FILES`` to a folder, aside and then renamed: Verilog of the tile, the mesh and the AXI top, the
    register map, the weight stream, a testbench with vectors, a FuseSoC core file, constraints, a README, the design.

    Raises:
        InputError: the folder holds an emitted machine (and not ``force``) or something else; a design without
        hardware, or with codes too wide for the core's stream.
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
    files = texts(design, plan, weights)
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


def texts(design: Design, plan: Plan, weights: IntArray) -> dict[str, str]:
    """File name -> text of everything but the dictionary and the design file."""
    vectors = small_frame(plan, weights)
    files = verilog(plan) | {
        CORE_FILE: core_verilog(plan, design.dynamics.steps),
        WEIGHTS_FILE: _hex(plan.layout.beats(weights).tolist(), plan.weight.width),
        NAMES["pixels"]: _hex(vectors.pixels.tolist(), 32),
        NAMES["codes"]: _hex(vectors.codes, 64),
        NAMES["verilog_header"]: verilog_header(),
        NAMES["c_header"]: c_header(),
        NAMES["python_module"]: python_module(),
        NAMES["registers"]: markdown(),
        NAMES["lint"]: (_TEMPLATES / "lint.vlt").read_text(),
        NAMES["readme"]: _readme(plan, design),
        NAMES["testbench"]: _testbench(plan, vectors),
        NAMES["fusesoc"]: _render("striate.core.j2", top=CORE, version=version_of("striate") or "0"),
    }
    for name in ("sdc", "xdc"):
        clock = _render("clock.sdc.j2", top=CORE, clock_mhz=design.target.clock_mhz, xdc=name == "xdc")
        files[NAMES[name]] = clock
    return files


def _hex(values: list[int], width: int) -> str:
    """One number a line, two's complement, as ``$readmemh`` reads it."""
    return "".join(f"{value & ((1 << width) - 1):0{-(-width // 4)}x}\n" for value in values)


def _render(template: str, **values: object) -> str:
    made = jinja2.Template(
        (_TEMPLATES / template).read_text(), undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    text: str = made.render(files=NAMES, **values)
    return text


def _testbench(plan: Plan, vectors: Vectors) -> str:
    # each of two frames, its load and its registers, ten times over
    patience = 20 * (2 * vectors.cycles + plan.layout.beat_count + len(vectors.pixels)) + 10_000
    return _render(
        "tb_striate_core.v.j2",
        vectors=vectors,
        weights=plan.layout.beat_count,
        weight_bits=plan.weight.width,
        identity=identity(plan),
        patience=patience,
    )


def _fields(layout: CodeLayout | CommandLayout | WeightLayoutBeat) -> str:
    rows = []
    for name, field in layout:
        kind = "signed" if getattr(field.shape, "signed", False) else ""
        rows.append(f"| `{name}` | {field.offset} | {field.width} | {kind} |")
    return "\n".join(["| field | first bit | bits | |", "|---|---|---|---|", *rows])


def _readme(plan: Plan, design: Design) -> str:
    return _render(
        "core.md.j2",
        plan=plan,
        design=design,
        t=plan.tiling,
        g=plan.tiling.geometry,
        top=TOP,
        tile=TILE,
        core=CORE,
        window=WINDOW,
        ranges=parameter_ranges(plan),
        register_tables=markdown(),
        weights_fields=_fields(WeightLayoutBeat(plan)),
        command_fields=_fields(CommandLayout(plan)),
        codes_fields=_fields(CodeLayout(plan)),
    )
