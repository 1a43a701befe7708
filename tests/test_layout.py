"""The order of the house: floors import only from below, the package list is the tree, the lock is whole."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import striate

ROOT = Path(striate.__file__).resolve().parent
FLOORS = ("golden", "sim", "hw", "explore", "reports", "verbs")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def sources() -> Iterator[Path]:
    """Every module of the package, relative to the root."""
    yield from (path.relative_to(ROOT) for path in ROOT.glob("*.py"))
    for floor in FLOORS:
        yield from (path.relative_to(ROOT) for path in sorted((ROOT / floor).rglob("*.py")))


def imports(source: Path) -> Iterator[tuple[int, str]]:
    """(line, what) for each import of our own, `what` as a path from the root: "golden.lca", "" for the root
    itself.
    """
    for node in ast.walk(ast.parse((ROOT / source).read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names if alias.name.split(".")[0] == "striate")
        elif isinstance(node, ast.ImportFrom) and node.level:
            above = source.parts[: len(source.parts) - node.level]
            for alias in node.names:
                yield node.lineno, ".".join([*above, *([node.module] if node.module else []), alias.name])
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "striate":
            yield node.lineno, node.module


def floor_of(what: str) -> int | None:
    """Height of a floor, cli on top; None for what is no floor."""
    order = [*FLOORS, "cli"]
    first = what.split(".")[0]
    return order.index(first) if first in order else None


@pytest.mark.parametrize("source", [path for path in sources() if path.parent != Path(".")], ids=str)
def test_floors_import_only_from_below(source: Path) -> None:
    own = FLOORS.index(source.parts[0])
    for line, what in imports(source):
        assert not what.startswith("striate"), (
            f"{source}:{line} imports {what}: write it relative (..{what.partition('.')[2]})"
        )
        if what == "__version__" and source.parts[0] == "verbs":
            continue
        height = floor_of(what)
        assert height is not None, f"{source}:{line} imports {what}, which is on no floor"
        assert height <= own, f"{source}:{line} imports {what}: {source.parts[0]} is below {what.split('.')[0]}"


def test_the_layer_test_sees_relative_imports() -> None:
    found = {what for source in sources() for _, what in imports(source)}
    assert any(floor_of(what) == FLOORS.index("golden") for what in found)
    assert any(floor_of(what) == FLOORS.index("hw") for what in found)


def test_package_list_is_the_tree() -> None:
    folders = {path.parent.relative_to(ROOT) for floor in FLOORS for path in (ROOT / floor).rglob("__init__.py")}
    tree = {"striate", *(".".join(["striate", *folder.parts]) for folder in folders)}
    assert sorted(PROJECT["tool"]["setuptools"]["packages"]) == sorted(tree)
    bare = {path.parent for path in sources()} - folders - {Path(".")}
    assert not bare, f"modules in folders without __init__.py: {bare}"


def test_only_three_modules_at_the_root() -> None:
    """Any other would be shipped as part of the package."""
    assert {path.name for path in ROOT.glob("*.py")} <= {"__init__.py", "__main__.py", "cli.py"}


def test_checkers_see_every_floor() -> None:
    view = ROOT / "typings" / "striate"
    for name in [
        *(floor for floor in FLOORS if (ROOT / floor / "__init__.py").exists()),
        "__init__.py",
        "cli.py",
        "py.typed",
    ]:
        assert (view / name).is_symlink() and (view / name).readlink() == Path("../..") / name
        assert (view / name).exists()


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_dependency_is_locked() -> None:
    locked = dict(
        re.findall(r"^([\w.-]+)==([^\s\\]+) \\$", (ROOT / "requirements.lock").read_text(), flags=re.MULTILINE)
    )
    versions = {normal(name): version for name, version in locked.items()}
    wanted = [*PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"]["dev"]]
    for line in [*wanted, *PROJECT["build-system"]["requires"]]:
        name, exact, pinned = re.fullmatch(r"([\w.-]+)(==|>=)(\S+)", line).groups()  # type: ignore[union-attr]
        assert normal(name) in versions, f"{name} is not in requirements.lock: make lock"
        assert exact == ">=" or versions[normal(name)] == pinned


def test_lock_is_hashed_and_names_no_address() -> None:
    lines = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if not line.startswith("#")]
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        assert re.fullmatch(r"[\w.-]+==\S+ \\|    --hash=sha256:[0-9a-f]{64}( \\)?", line), line
        assert line.endswith("\\") == after.startswith("    --hash"), line


def test_tracked_text_names_no_place_outside_the_repository() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    outside = re.compile("|".join([r"\.\./" + "shared", "/" + "work/"]))
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.is_symlink() or not path.is_file():
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # pictures and arrays
        found = outside.search(text)
        assert not found, f"{name} mentions {found.group() if found else ''}"
