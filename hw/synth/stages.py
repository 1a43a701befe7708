"""Stages of a long job, each in a folder of its own: done again only when what it is made from has changed.

A stage is complete when its folder holds the file ``key`` with the hash of its inputs; that file is written last. A
job that was killed goes on with the first stage that is not complete.
"""

import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..toolchain import ToolError

KEY = "key"


def digest(parts: Mapping[str, str | bytes]) -> str:
    """A hash of named parts, whatever their order."""
    total = hashlib.sha256()
    for name in sorted(parts):
        part = parts[name]
        data = part if isinstance(part, bytes) else part.encode()
        total.update(f"{name}\0{len(data)}\0".encode() + data)
    return total.hexdigest()


@dataclass(frozen=True)
class Stage:
    """One stage: its folder, the hash of all it depends on, the files it makes."""

    folder: Path
    key: str
    outputs: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether it was done with these inputs."""
        mark = self.folder / KEY
        there = all((self.folder / name).is_file() for name in self.outputs)
        return there and mark.is_file() and mark.read_text() == self.key

    def path(self, name: str) -> Path:
        """One of its files."""
        return self.folder / name


def stage(
    folder: Path, inputs: Mapping[str, str | bytes], outputs: Sequence[str], make: Callable[[Path], str]
) -> tuple[Stage, bool]:
    """Do a stage unless it is complete; the stage and whether it was done now.

    Args:
        inputs: everything the result depends on. make: called with the empty folder; returns the tools' log, which is
            kept as ``log.txt``.

    Raises:
        ToolError: a tool failed or an output is missing; its log is kept.
    """
    done = Stage(folder, digest(inputs), tuple(outputs))
    if done.complete:
        return done, False
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        log = make(folder)
    except ToolError as error:
        (folder / "log.txt").write_text(error.log)
        raise
    (folder / "log.txt").write_text(log)
    for name in outputs:
        if not (folder / name).is_file() or not (folder / name).stat().st_size:
            raise ToolError(folder.name, f"did not write {name}", log=log, status=0)
    aside = folder / f".{KEY}"
    aside.write_text(done.key)
    aside.rename(folder / KEY)
    return done, True
