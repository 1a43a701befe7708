"""The page of a sweep drawn again from its folder: nothing is run, pictures are not needed."""

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

from ..explore.crossbar import Picture, subject, sweep_of
from ..explore.grid import grid
from ..explore.store import Store
from ..explore.studies import cases_of, study_named
from ..golden.archive import replacing
from ..golden.errors import InputError
from ..sim.design import Design
from .crossbar_sweep import DESIGN, RESULTS, STORE, Found, page
from .rundir import EXPERIMENTS, of_experiment


def holds_sweep(folder: Path) -> bool:
    """Whether a sweep of crossbars was begun in a folder.

    Raises:
        InputError: a paper's experiment was begun there, whose points are in such a store too.
    """
    name = _experiment(folder)
    if name is not None:
        raise of_experiment(folder, name)
    return (folder / STORE).is_file() or (
        (folder / RESULTS).is_file() and (folder / "results.csv").is_file() and not (folder / "run.json").exists()
    )


def _experiment(folder: Path) -> str | None:
    """Which of `EXPERIMENTS` was begun in a folder: by its run.json, or else by the job of its store."""
    with contextlib.suppress(ValueError, KeyError, TypeError, OSError):
        on = json.loads((folder / "run.json").read_text(encoding="utf-8"))["on"]
        if on in EXPERIMENTS:
            return str(on)
    if not (folder / STORE).is_file():
        return None
    job = ""
    with contextlib.suppress(sqlite3.Error, ValueError, KeyError, TypeError):
        # Not made if it has gone; SQLite itself falls back to reading where nothing may be written.
        with contextlib.closing(sqlite3.connect(f"{(folder / STORE).absolute().as_uri()}?mode=rw", uri=True)) as base:
            job = str(json.loads(base.execute("SELECT identity FROM sweep").fetchone()[0])["job"])
    module = job.partition(":")[0].rpartition(".")[2].replace("_", "-")
    return next((name for name in EXPERIMENTS if module.startswith(name)), None)


def load_sweep(folder: Path) -> tuple[dict[str, Any], Found]:
    """The JSON object of a finished sweep, and what its store holds.

    Raises:
        InputError: a sweep that has not ended, a folder from which files were taken, or one that is damaged.
    """
    for name in (RESULTS, DESIGN, STORE):
        if not (folder / name).is_file():
            what = "a sweep that has not ended" if name == RESULTS else "a sweep"
            raise InputError(f"{folder} holds {what} without {name}; give its crossbar-sweep command again")
    try:
        info = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
        names, varied = info["studies"], info["vary"]
        pictures = [Picture(p["name"], p["path"], tuple(p["crop"]), p["sha256"]) for p in info["pictures"]]
        seeds = int(info["seeds"])
    except (ValueError, KeyError, TypeError, OSError):
        raise InputError(f"{folder / RESULTS} is damaged; give its crossbar-sweep command again") from None
    design = Design.load(folder / DESIGN)
    studies = (grid(varied),) if varied else tuple(study_named(name) for name in names)
    cases = tuple(case for study in studies for case in cases_of(study, design, pictures, seeds))
    sweep = sweep_of(design, pictures, subject([] if varied else names, varied))
    keys = list(dict.fromkeys(sweep.key(p) for case in cases for p in (*case.references.values(), *case.points)))
    with Store(folder / STORE, sweep) as store:
        known = {entry.key: entry for entry in store.entries()}
    missing = [key for key in keys if key not in known]
    if missing:
        raise InputError(
            f"{folder / STORE} has no result of {len(missing)} of {len(keys)} points; give its crossbar-sweep command "
            "again"
        )
    return info, Found(design, sweep, studies, cases, tuple(known[key] for key in keys))


def write_sweep_page(folder: Path, out: Path | None = None) -> tuple[Path, dict[str, Any]]:
    """Draw the page of a sweep again: (where it is, the sweep's JSON object).

    Args:
        out: the file; report.html in the folder without it.

    Raises:
        InputError: as for `load_sweep`, or a file that cannot be written.
    """
    info, found = load_sweep(folder)
    written = out if out is not None else folder / "report.html"
    try:
        with replacing(written) as aside:
            aside.write_text(page(info, found), encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {written}: {error.strerror}; choose another --out") from None
    return written, info
