"""The folder of a reproduction: what it may be, and what ``--force`` removes."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from ...golden.errors import InputError

STORE, RESULT = "points.sqlite", "run.json"


@dataclass(frozen=True)
class Folder:
    """``--out`` of an experiment.

    Args:
        out: its path. files: names that the experiment's page writes. folders: names of the folders that it makes.
    """

    out: Path
    files: tuple[str, ...]
    folders: tuple[str, ...]

    def check(self) -> None:
        """Refuse a folder that the experiment may not fill.

        Raises:
            InputError: a file, a folder that cannot be written to, or one with what the experiment did not write.
        """
        from ...reports import rundir

        out = self.out
        if not out.exists() or (out.is_dir() and not any(out.iterdir())):
            rundir.refuse_existing(out, False)
            return
        if not out.is_dir():
            raise InputError(f"--out {out} is a file; name a folder")
        names = sorted(path.name for path in out.iterdir())
        foreign = [name for name in names if not self._ours(name)]
        if foreign or not any(name.startswith(STORE) for name in names):
            what = f"{foreign[0]}, which no run of this experiment wrote" if foreign else "no run of this experiment"
            raise InputError(f"--out {out} holds {what}; name another folder")

    def clear(self) -> None:
        """Remove what was written, its store apart: only who has that open may do so."""
        for path in sorted(self.out.iterdir()):
            if path.name in self.folders and path.is_dir():
                shutil.rmtree(path)
            elif self._ours(path.name) and not path.name.startswith(STORE):
                path.unlink()

    def _ours(self, name: str) -> bool:
        aside = name.startswith(".") and name.endswith(".part")
        return name in self.files or name in (RESULT, *self.folders) or name.startswith(STORE) or aside
