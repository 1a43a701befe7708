"""Verilog to something that runs: a shared library driven by a C++ harness, or a program driven by cocotb.

Both ways translate with Verilator, compile the C++ it writes in one go (a few large units: the headers are read
once) and link Verilator's run-time support compiled beforehand. A module used many times stays one module
(`-fno-inline`): sixteen equal tiles compile as one, three times faster than inlined and a little faster to run.
What was built is kept by content: the same sources, harness and options are never compiled twice.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from xml.etree import ElementTree

from .toolchain import (
    CXX_FLAGS,
    ToolError,
    cache_dir,
    cxx,
    cxx_version,
    include_flags,
    run_tool,
    runtime,
    verilator_bin,
    version_of,
)

ICARUS = "iverilog"
KEEP = 200
"""Built designs kept; older ones (by last use) are deleted."""

_LAYOUT = 1  # raise when the way of building changes: old cache entries are then not used


@dataclass(frozen=True)
class Options:
    """How to build. The defaults compile fast; optimize = 2 takes 1.4 times as long and runs 1.1 times as fast.

    - `optimize`: g++ -O level
    - `trace`: can write a VCD file (the harness sees VM_TRACE == 1; slower to build and to run)
    - `assertions`: check the design's assertions while running
    - `public`: (module, variable) patterns visible from C++ and VPI beside the ports, as ("tile", "membrane*")
    - `jobs`: processor cores to compile with
    - `verilator`, `compiler`: further arguments
    """

    optimize: int = 1
    trace: bool = False
    assertions: bool = True
    public: tuple[tuple[str, str], ...] = ()
    jobs: int = 1
    verilator: tuple[str, ...] = ()
    compiler: tuple[str, ...] = ()


def cpp_name(port: str) -> str:
    """The C++ member Verilator makes of a port: two underscores are written out, `i__valid` is `i___05Fvalid`."""
    return port.replace("__", "___05F")


@dataclass(frozen=True)
class Model:
    """Verilog that becomes one C++ class called `prefix`, with top module `top`; further arguments for Verilator."""

    prefix: str
    top: str
    sources: tuple[Path, ...]
    verilator: tuple[str, ...] = ()
    public: tuple[tuple[str, str], ...] = ()


def build_models(models: Sequence[Model], harness_cpp: str, *, options: Options | None = None) -> Path:
    """Several models and one harness in one shared library: the parts of a machine, each compiled once however often
    the harness instantiates it. As `build_shared`, which see; the harness includes "<prefix>.h" of each.
    """
    chosen = options or Options()

    def build(place: Path) -> None:
        units: list[Path] = []
        for model in models:
            arguments = [*chosen.verilator, *model.verilator, *(["--trace-vcd"] if chosen.trace else [])]
            units += _translate(
                model.sources, model.top, place, chosen, arguments, public=(*chosen.public, *model.public),
                prefix=model.prefix)  # fmt: skip
        _finish(place, units, harness_cpp, chosen)

    names = " ".join(f"{model.prefix}={model.top}({model.verilator}{model.public})" for model in models)
    sources = [source for model in models for source in model.sources]
    return _cached(_key("models", sources, names, chosen, harness_cpp), "design.so", build)


def build_shared(
    sources: Sequence[Path], top: str, harness_cpp: str, *, out_dir: Path | None = None, options: Options | None = None
) -> Path:
    """Translate `sources` with top module `top`, compile them with a harness; return the shared library for
    `ctypes.CDLL`.

    The harness is C++ text that includes "Vtop.h" and exports `extern "C"` functions; the model is `Vtop` whatever
    `top` is called, its ports are members named as `cpp_name` says. A failed assertion, `$stop` or a loop that does
    not settle throws `std::runtime_error` from `eval()`: catch it inside every exported function and hand its
    `what()` back.

    The library lies in the cache and is shared; with `out_dir` a copy `lib<top>.so` is put there and returned.
    Building takes about a second and a half for a tile, three for a 4 x 4 mesh. ToolError, with the tool's last
    lines, on bad Verilog or C++.
    """
    chosen = options or Options()

    def build(place: Path) -> None:
        arguments = [*chosen.verilator, *(["--trace-vcd"] if chosen.trace else [])]
        units = _translate(sources, top, place, chosen, arguments, public=chosen.public)
        _finish(place, units, harness_cpp, chosen)

    library = _cached(_key("shared", sources, top, chosen, harness_cpp), "design.so", build)
    if out_dir is None:
        return library
    out_dir.mkdir(parents=True, exist_ok=True)
    copy = out_dir / f"lib{top}.so"
    aside = out_dir / f".lib{top}.{os.getpid()}.so"
    shutil.copy2(library, aside)
    aside.replace(copy)  # a copy in use by another process stays whole
    return copy


@dataclass(frozen=True)
class CocotbBuild:
    """A compiled simulation program, the name of its top module, and what runs it where it does not run by itself."""

    program: Path
    top: str
    trace: bool
    launcher: tuple[str, ...] = ()


@dataclass(frozen=True)
class CocotbResults:
    """Outcome of one cocotb run: how many tests passed and failed, which failed, the end of the log, the whole
    log's file.
    """

    passed: int
    failed: int
    failures: tuple[str, ...]
    tail: str
    log: Path

    @property
    def ok(self) -> bool:
        return self.passed > 0 and self.failed == 0


def build_cocotb(
    sources: Sequence[Path], top: str, *, out_dir: Path | None = None, public: Sequence[tuple[str, str]] = (),
    options: Options | None = None,
) -> CocotbBuild:  # fmt: skip
    """Compile `sources` into a program that cocotb tests drive through VPI.

    Visible to the tests are the ports of `top` and the (module, variable) patterns in `public`; everything else is
    optimised. With `out_dir` a copy of the program is put there. ToolError, with the tool's last lines, on bad
    Verilog.
    """
    import cocotb_tools.config

    chosen = options or Options()
    ports = tuple((top, port) for port in port_names(sources, top))
    visible = (*ports, *chosen.public, *public)
    libraries = Path(cocotb_tools.config.libs_dir)
    main = Path(cocotb_tools.config.share_dir) / "lib" / "verilator" / "verilator.cpp"

    def build(place: Path) -> None:
        arguments = ["--vpi", *chosen.verilator, *(["--trace-vcd"] if chosen.trace else [])]
        units = _translate(sources, top, place, chosen, arguments, public=visible)
        objects = ["verilated.o", "verilated_threads.o", "verilated_vpi.o", "in_program.o"]
        objects += ["verilated_vcd_c.o"] if chosen.trace else []
        link = [f"-L{libraries}", "-lcocotbvpi_verilator", f"-Wl,-rpath,{libraries}"]
        _compile([*units, main], place / "program", place, chosen, objects, link)

    salt = f"{version_of('cocotb')} {libraries} {visible}"
    program = _cached(_key("cocotb", sources, top, chosen, salt), "program", build)
    if out_dir is not None:
        out_dir.mkdir(parents=True, exist_ok=True)
        program = Path(shutil.copy2(program, out_dir / f"{top}-cocotb"))
    return CocotbBuild(program, top, chosen.trace)


def build_icarus(sources: Sequence[Path], top: str, out_dir: Path) -> CocotbBuild:
    """Compile `sources` for Icarus Verilog, which takes a fraction of a second; every signal is visible to the tests.

    The program goes to `out_dir`. ToolError when Icarus is not installed or refuses the Verilog.
    """
    import cocotb_tools.config

    out_dir.mkdir(parents=True, exist_ok=True)
    program = out_dir.absolute() / f"{top}.vvp"
    (out_dir / "units.f").write_text("+timescale+1ns/1ps\n")  # else a unit of time is a second
    files = [str(source.absolute()) for source in sources]
    command = [ICARUS, "-g2012", "-c", "units.f", "-s", top, "-o", str(program), *files]
    run_tool(command, cwd=out_dir, tool="iverilog")
    return CocotbBuild(program, top, False, ("vvp", "-m", cocotb_tools.config.lib_entry("vpi", "icarus")))


def run_cocotb(
    build: CocotbBuild, test_module: str, out_dir: Path, *, seed: int = 0, env: Mapping[str, str] | None = None,
    path: Sequence[Path] = (), wave: Path | None = None, timeout: float = 600.0,
) -> CocotbResults:  # fmt: skip
    """Run the cocotb tests of a Python module (importable name; `path` adds folders to search) on a built design.

    `env` reaches the tests as environment variables; `seed` fixes cocotb's random numbers; `wave` writes a VCD file
    (the build needs `trace`). The log and results.xml go to `out_dir`. A failing test is a result, not an error;
    ToolError when the simulation ends without results: a crash, a module that cannot be imported, no test in it,
    the time limit.
    """
    import cocotb_tools.config
    import find_libpython

    library = os.environ.get("LIBPYTHON_LOC") or find_libpython.find_libpython()
    if not library:
        short = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise ToolError("cocotb", f"no libpython{short}.so; sudo apt-get install -y libpython{short}")
    if wave is not None and not build.trace:
        raise ToolError("cocotb", "a wave file needs a design built with Options(trace=True)")
    out_dir = out_dir.absolute()
    out_dir.mkdir(parents=True, exist_ok=True)
    results, log = out_dir / "results.xml", out_dir / "cocotb.log"
    results.unlink(missing_ok=True)
    search = [*(str(folder.absolute()) for folder in path), *(entry for entry in sys.path if entry)]
    settings = {
        "COCOTB_TOPLEVEL": build.top,
        "COCOTB_TEST_MODULES": test_module,
        "COCOTB_RESULTS_FILE": str(results),
        "COCOTB_RESULTS_ATTACHMENTS": "",
        "COCOTB_RANDOM_SEED": str(seed),
        "COCOTB_TRUST_INERTIAL_WRITES": "1",
        "COCOTB_ANSI_OUTPUT": "0",
        "TOPLEVEL_LANG": "verilog",
        "GPI_USERS": f"{library};{cocotb_tools.config.pygpi_entry_point()}",
        "LIBPYTHON_LOC": str(library),
        "PYGPI_PYTHON_BIN": sys.executable,
        "PYTHONPATH": os.pathsep.join(search),
        **(env or {}),
    }
    arguments = ["--trace", "--trace-file", str(wave.absolute())] if wave is not None else []
    command = ["env", *(f"{name}={value}" for name, value in settings.items())]
    command += [*build.launcher, str(build.program), *arguments]
    said, failure = "", None
    try:
        said = run_tool(command, cwd=out_dir, tool="cocotb", timeout=timeout)
    except ToolError as error:
        said, failure = error.log, error
    log.write_text(said)
    if not results.is_file():
        raise failure or ToolError("cocotb", "the simulation ended without results", log=said)
    cases = list(ElementTree.parse(results).getroot().iter("testcase"))
    failures = tuple(
        f"{case.get('classname')}.{case.get('name')}"
        for case in cases
        if case.find("failure") is not None or case.find("error") is not None
    )
    skipped = sum(case.find("skipped") is not None for case in cases)
    if not cases or (failure is not None and not failures):
        raise failure or ToolError("cocotb", f"no test in {test_module}", log=said)
    tail = "\n".join(said.rstrip().splitlines()[-40:])
    return CocotbResults(len(cases) - len(failures) - skipped, len(failures), failures, tail, log)


def port_names(sources: Sequence[Path], top: str) -> tuple[str, ...]:
    """Names of the ports of a Verilog module, in the order of its header (as Yosys and most people write it)."""
    for source in sources:
        text = re.sub(r"//[^\n]*|/\*.*?\*/|\(\*.*?\*\)", "", source.read_text(), flags=re.DOTALL)
        found = re.search(rf"\bmodule\s+\\?{re.escape(top)}\s*(?:#\s*\(.*?\)\s*)?\((.*?)\)\s*;", text, flags=re.DOTALL)
        if found:
            entries = [re.sub(r"\[[^\]]*\]", " ", entry).split() for entry in found.group(1).split(",")]
            return tuple(words[-1].removeprefix("\\") for words in entries if words)
    raise ToolError("verilator", f"no module {top} in {', '.join(source.name for source in sources)}")


# --- translating and compiling ----------------------------------------------------------------------------------------


def _translate(
    sources: Sequence[Path], top: str, place: Path, options: Options, arguments: Sequence[str],
    *, public: Sequence[tuple[str, str]], prefix: str = "Vtop",
) -> list[Path]:  # fmt: skip
    """Verilog to C++ in `place`; the C++ files."""
    control: list[str] = []
    if public:
        lines = [f'public_flat_rw -module "{module}" -var "{variable}"' for module, variable in public]
        (place / f"{prefix}.vlt").write_text("\n".join(["`verilator_config", *lines, ""]))
        control = [f"{prefix}.vlt"]
    command = [
        str(verilator_bin()), "--cc", "--prefix", prefix, "--top-module", top, "--Mdir", ".", "-O3", "-fno-inline",
        "--timescale", "1ns/1ps", "--x-assign", "fast", "--x-initial", "fast", "-Wno-fatal", "-Wno-lint",
        "--assert" if options.assertions else "--no-assert", *arguments, *control,
        *(str(source.absolute()) for source in sources),
    ]  # fmt: skip
    with (place / "verilator.log").open("a") as log:
        log.write(run_tool(command, cwd=place, tool="verilator"))
    return sorted(place.glob(f"{prefix}*.cpp"))


def _finish(place: Path, units: Sequence[Path], harness_cpp: str, options: Options) -> None:
    """Compile translated models and their harness into `design.so`."""
    (place / "harness.cpp").write_text(harness_cpp)
    objects = [
        "verilated.o",
        "verilated_threads.o",
        "in_library.o",
        *(["verilated_vcd_c.o"] if options.trace else []),
    ]
    _compile(
        [*units, place / "harness.cpp"], place / "design.so", place, options, objects, ["-shared", "-Wl,-Bsymbolic"]
    )


def _compile(
    files: Sequence[Path], output: Path, place: Path, options: Options, objects: Sequence[str], link: Sequence[str]
) -> None:
    """Compile and link in as many large units as there are jobs."""
    support = runtime(jobs=max(options.jobs, 2))
    by_model: dict[str, list[Path]] = {}  # two models' precompiled headers must not meet in one unit
    for file in sorted(files):
        by_model.setdefault(re.split("_|[.]", file.name)[0], []).append(file)
    units: list[list[Path]] = []
    for members in by_model.values():
        # one large model over several cores; several models are as many units anyway
        shares: list[tuple[int, list[Path]]] = [
            (0, []) for _ in range(max(1, options.jobs) if len(by_model) <= 2 else 1)
        ]
        for file in sorted(members, key=lambda file: (-file.stat().st_size, file.name)):
            lightest = min(range(len(shares)), key=lambda index: shares[index][0])
            shares[lightest] = (shares[lightest][0] + file.stat().st_size, [*shares[lightest][1], file])
        units += [files for _, files in shares if files]
    trace = ["-DVM_TRACE=1", "-DVM_TRACE_VCD=1"] if options.trace else ["-DVM_TRACE=0"]
    flags = [f"-O{options.optimize}", *CXX_FLAGS, *trace, f"-I{place}", *include_flags(), *options.compiler]
    names: list[str] = []
    for index, members in enumerate(units):
        names.append(f"unit{index}")
        (place / f"unit{index}.cpp").write_text("".join(f'#include "{file}"\n' for file in sorted(members)))
    ending = [*(str(support / name) for name in objects), *link]
    if len(names) == 1:
        run_tool([*cxx().split(), *flags, f"{names[0]}.cpp", "-o", str(output), *ending], cwd=place, tool="g++")
        return
    with ThreadPoolExecutor(max(1, options.jobs)) as pool:
        commands = [[*cxx().split(), *flags, "-c", f"{name}.cpp", "-o", f"{name}.o"] for name in names]
        list(pool.map(lambda command: run_tool(command, cwd=place, tool="g++"), commands))
    run_tool(
        [*cxx().split(), "-pthread", *(f"{name}.o" for name in names), "-o", str(output), *ending],
        cwd=place,
        tool="g++",
    )


# --- kept by content --------------------------------------------------------------------------------------------------


def _key(kind: str, sources: Sequence[Path], top: str, options: Options, salt: str) -> str:
    settings = {name: value for name, value in asdict(options).items() if name != "jobs"}
    made_of = [_LAYOUT, kind, version_of("verilator"), cxx(), cxx_version(), top, settings, CXX_FLAGS, salt]
    digest = hashlib.sha256(json.dumps(made_of).encode())
    for source in sources:
        try:
            content = source.read_bytes()
        except OSError as error:
            raise ToolError("verilator", f"cannot read {source}: {error.strerror}") from error
        digest.update(f"\0{source.name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:32]


def _cached(key: str, name: str, build: Callable[[Path], None]) -> Path:
    """The file `name` of the cache entry `key`, built aside and renamed into place when it is not there yet."""
    entry = cache_dir() / key
    if not (entry / name).is_file():
        cache_dir().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".building-", dir=cache_dir()) as scratch:
            place = Path(scratch)
            build(place)
            ready = place / "entry"
            ready.mkdir()
            for kept in (name, "verilator.log"):
                (place / kept).rename(ready / kept)
            try:
                ready.rename(entry)
            except OSError:  # another process was first
                if not (entry / name).is_file():
                    raise
        _evict()
    os.utime(entry)
    return entry / name


def _evict() -> None:
    entries: list[tuple[float, Path]] = []
    for folder in cache_dir().iterdir():
        try:
            if not folder.name.startswith("."):
                entries.append((folder.stat().st_mtime, folder))
        except FileNotFoundError:  # another process evicted it
            continue
    for _, folder in sorted(entries, reverse=True)[KEEP:]:
        shutil.rmtree(folder, ignore_errors=True)
