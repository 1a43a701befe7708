"""The documents are true: constants are the code's, examples run, named files exist, nothing outside is mentioned."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest

import striate
from striate.cli import app, main
from striate.hw.emit import quantised
from striate.hw.tile import trace_members
from striate.sim import timing
from striate.sim.design import Design
from striate.sim.fixed import OVERFLOWS, ROUNDINGS

ROOT = Path(striate.__file__).resolve().parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MEMBER = re.compile(r"`([\w./-]+)`")
LINK = re.compile(r"\]\(([^)#]+)\)")
FOLDERS = {"golden", "sim", "hw", "reports", "tests", "docs", "tools", "benchmarks"}


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def table(document: str, header: str) -> list[list[str]]:
    """Rows of the table whose header line begins with `header`, cells without backticks."""
    lines = document.splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith(header))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    assert rows
    return rows


def blocks(document: str) -> list[tuple[str, str]]:
    """(language, content) of every fenced block."""
    return FENCE.findall(document)


def examples(language: str) -> list[tuple[str, str, str]]:
    """(document, code, what it prints) of each block of `language` that a ```text block follows."""
    found = []
    for path in DOCUMENTS:
        fenced = blocks(path.read_text(encoding="utf-8"))
        for (kind, code), (after, printed) in zip(fenced, fenced[1:], strict=False):
            if kind == language and after == "text":
                found.append((path.name, code, printed))
    return found


def test_timing_constants_are_the_codes() -> None:
    quoted = {row[0].strip("`"): int(row[1]) for row in table(text("docs/dataflow.md"), "| constant | value |")}
    assert quoted == {name: value for name, value in vars(timing).items() if name.isupper() and isinstance(value, int)}


def test_phases_are_the_codes() -> None:
    quoted = {row[0].strip("`"): int(row[1]) for row in table(text("docs/dataflow.md"), "| phase | number |")}
    assert quoted == {phase.name: phase.value for phase in timing.Phase}


def test_constants_in_the_text() -> None:
    dataflow, arithmetic = text("docs/dataflow.md"), text("docs/arithmetic.md")
    assert f"**L = {timing.HAZARD}**" in dataflow
    assert f"a FIFO of {timing.DETECT_FIFO} events" in dataflow
    assert f"**WINDOW = {timing.WINDOW}**" in arithmetic
    assert f"no code changed in the last {timing.WINDOW} steps" in arithmetic


def test_formats_are_the_defaults() -> None:
    design, two_sided = Design(), Design(two_sided=True)
    rows = table(text("docs/arithmetic.md"), "| quantity | symbol | default format |")
    names = {
        "weight": "weight",
        "code": "code",
        "residual as read": "residual",
        "membrane": "membrane",
        "input": "input",
    }
    assert {row[0] for row in rows} == set(names)
    for row in rows:
        fmt = getattr(design.formats, names[row[0]])
        assert row[2].startswith(f"`{fmt}`")
        if row[0] == "code":
            assert f"`{two_sided.formats.code}`" in row[2] and two_sided.formats.code.symmetric and not fmt.symmetric
        else:
            assert fmt.symmetric == (row[3] == "yes")
    for row in table(text("docs/arithmetic.md"), "| width | default |"):
        assert int(row[1]) == getattr(design.machine, re.findall(r"`(\w+)`", row[0])[0])


def test_modes_and_cutoffs_are_the_codes() -> None:
    arithmetic = text("docs/arithmetic.md")
    assert [re.findall(r"`(\w+)`", row[0])[0] for row in table(arithmetic, "| rounding |")] == list(ROUNDINGS)
    assert [re.findall(r"`(\w+)`", row[0])[0] for row in table(arithmetic, "| overflow |")] == list(OVERFLOWS)
    for frac in (7, 8, 9, 10):
        cutoff = Design(residual=f"s{frac + 1}.{frac}", residual_cutoff=0.005).effective_cutoff
        assert re.search(rf"{cutoff:.4f}"[1:] + rf" at (fr = )?{frac}\b", arithmetic), (frac, cutoff)


def test_trace_ports_are_named() -> None:
    plan, _ = quantised(Design(image=(32, 32), tiles=(1, 1)))
    dataflow = text("docs/dataflow.md")
    for name in trace_members(plan):
        general = f"u_{name[2:]}" if name.startswith(("d_", "r_", "s_")) else name
        assert f"`{general}`" in dataflow, name


def test_verbs_are_those_of_the_command_line() -> None:
    quoted = [row[0].strip("`").split()[1] for row in table(text("README.md"), "| verb | does |")]
    groups = [str(group.name) for group in app.registered_groups]
    assert set(groups) <= set(quoted)
    assert [verb for verb in quoted if verb not in groups] == [
        command.name or command.callback.__name__.replace("_", "-")
        for command in app.registered_commands
        if command.callback
    ]


@pytest.mark.parametrize(
    ("document", "code", "printed"), examples("python"), ids=lambda value: value.split("\n")[0][:20]
)
def test_python_examples_print_what_is_shown(
    document: str, code: str, printed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, document, "exec"), {"__name__": "example"})
    assert out.getvalue() == printed


@pytest.mark.parametrize(("document", "code", "printed"), examples("sh"), ids=lambda value: value.split("\n")[0][:20])
def test_shell_examples_print_what_is_shown(
    document: str, code: str, printed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        for line in code.splitlines():
            program, *words = shlex.split(line)
            assert program == "striate" and main(words) == 0, line
    shown = [" ".join(line.split()) for line in out.getvalue().splitlines()]
    for line in printed.splitlines():
        assert " ".join(line.split()) in shown, f"{document}: {line}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_named_exists(path: Path) -> None:
    document = path.read_text(encoding="utf-8")
    for target in LINK.findall(document):
        if "://" not in target:
            assert (path.parent / target).exists(), f"{path.name} links to {target}"
    for name in MEMBER.findall(document):
        folder, slash, _ = name.partition("/")
        if slash and folder in FOLDERS:
            assert (ROOT / name).exists(), f"{path.name} names {name}"


def test_the_rooms_are_those_of_the_house() -> None:
    document = text("docs/architecture.md")
    crossbar = ["sim/crossbar", *(f"sim/crossbar/{room}" for room in ("devices", "wires", "learning"))]
    crossbar += ["sim/mapping", "sim/precision", "sim/trace"]
    rooms = [f"hw/{room}" for room in ("boards", "serial", "synth", "formal", "gates")]
    golden = ["golden", "golden/learn", "golden/solvers"]
    for floor in (*golden, "sim", *crossbar, "hw", *rooms, "explore", "explore/papers"):
        rows = table(document, f"| `{floor}/` |")
        named = {name.rstrip("/") for row in rows for name in MEMBER.findall(row[0])}
        modules = {path.name for path in (ROOT / floor).glob("*.py")} - {"__init__.py"}
        assert named >= modules, f"{floor}/: {sorted(modules - named)} not in docs/architecture.md"
        assert all((ROOT / floor / name).exists() for name in named)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_documents_stand_on_their_own(path: Path) -> None:
    outside = re.compile(
        "|".join([r"\.\./" + "shared", "/" + "work/", r"/root\b", r"/home/", r"/tmp/", r"\bissue \d", r"#\d+\b"])
    )
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        assert not outside.search(line), f"{path.name}:{number}: {line}"


def test_benchmarks_have_their_place() -> None:
    readme = text("README.md")
    assert 0 < readme.index("<!-- benchmarks -->") < readme.index("<!-- /benchmarks -->")
