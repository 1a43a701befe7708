"""Running the self-taught experiment: three kinds of points in one store, each taking up what the last made."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...golden.archive import save_npz
from .. import engine
from ..points import DONE, Entry, Point, Sweep
from ..store import Store
from .self_taught import SOURCES, Agreement, Learned, Row, SelfTaught, Settings, load_pictures, pairs
from .self_taught_claims import claims_of
from .self_taught_jobs import digest, features_name, learned_name, pack, unpack

VERSION = 1


@dataclass(frozen=True)
class Ended:
    """How many points there are, how they ended, and how many this command ran."""

    points: int
    done: int
    failed: int
    ran: int


def sweep_of(settings: Settings, folder: Path) -> Sweep:
    """The sweep of an experiment whose arrays lie in ``folder``."""
    return Sweep(
        "striate.explore.papers.self_taught_jobs:run", VERSION, {"experiment": "self-taught", **settings.subject},
        {"settings": settings.as_dict(), "folder": str(folder.absolute())},
    )  # fmt: skip


def run(
    store: Store,
    settings: Settings,
    folder: Path,
    *,
    jobs: int | None = None,
    retry: bool = False,
    progress: Callable[[str, float], None] | None = None,
) -> tuple[SelfTaught, Ended]:
    """Learn, code, score; what the store holds already is not run again.

    Args:
        folder: where arrays are kept for the processes. progress: called with words and the share done.

    Raises:
        InputError: a store that cannot be written. KeyboardInterrupt: the same call continues.
    """
    folder.mkdir(parents=True, exist_ok=True)
    entries: list[Entry] = []
    ran = 0

    def stage(name: str, points: Sequence[Point], start: float, end: float) -> list[Entry]:
        nonlocal ran

        def said(p: engine.Progress) -> None:
            if progress is not None:
                progress(f"{name}, {p.done + p.failed:,} of {p.points:,}", start + (end - start) * p.share)

        ran += engine.run(store, points, jobs=jobs, retry=retry, progress=said).ran
        found = store.entries(store.add(points))
        entries.extend(found)
        return [entry for entry in found if entry.state == DONE]

    learned = stage("learning", [Point({"do": "learn", "source": source}) for source in SOURCES], 0.0, 0.2)
    made = {entry.point.parameters["source"]: entry.result for entry in learned}
    for source, result in made.items():
        save_npz(folder / learned_name(source), unpack(result["arrays"]))
    coded = stage("coding", _code_points(made), 0.2, 0.35)
    codes = {(e.point.parameters["source"], e.point.parameters["method"]): e.result for e in coded}
    codes["", "raw"] = {"arrays": pack({"features": load_pictures(settings).labelled})}
    for (source, method), result in codes.items():
        save_npz(folder / features_name(source, method), unpack(result["arrays"]))
    scored = stage("classifying", _score_points(settings, codes), 0.35, 1.0)
    result = gathered(settings, made, codes, scored, entries)
    done = sum(entry.state == DONE for entry in entries)
    return result, Ended(len(entries), done, len(entries) - done, ran)


def _code_points(made: Mapping[str, Any]) -> list[Point]:
    return [
        Point({"do": "code", "source": source, "method": method, "learned": digest(made[source]["arrays"])})
        for source, method in pairs() if source in made
    ]  # fmt: skip


def _score_points(settings: Settings, codes: Mapping[tuple[str, str], Any]) -> list[Point]:
    digests = {key: digest(result["arrays"]) for key, result in codes.items()}
    return [
        Point({"do": "score", "source": key[0], "method": key[1], "size": size, "features": digests[key]}, seed)
        for size in settings.sizes for key in pairs() if key in codes for seed in range(settings.seeds)
    ]  # fmt: skip


def gathered(
    settings: Settings,
    made: Mapping[str, Any],
    codes: Mapping[tuple[str, str], Any],
    scored: Sequence[Entry],
    entries: Sequence[Entry],
) -> SelfTaught:
    """The result of what was found; a row needs all of its draws."""
    cells: dict[tuple[str, str, int], dict[int, float]] = {}
    for entry in scored:
        p = entry.point.parameters
        cells.setdefault((p["source"], p["method"], p["size"]), {})[entry.point.seed] = entry.result["accuracy"]
    rows = tuple(
        Row(source, method, size, tuple(cells[source, method, size][seed] for seed in range(settings.seeds)))
        for source, method in pairs() for size in settings.sizes
        if len(cells.get((source, method, size), {})) == settings.seeds
    )  # fmt: skip
    learned = tuple(
        Learned(source, unpack(result["arrays"])["atoms"], tuple(result["objective"]),
                tuple(result["predictive_objective"]), result["components"], result["measures"])
        for source, result in made.items()
    )  # fmt: skip
    agreements = tuple(
        agreement(source, transfer, codes[source, f"golden-{transfer}"], codes[source, f"machine-{transfer}"])
        for source in made for transfer in ("soft", "hard")
        if (source, f"golden-{transfer}") in codes and (source, f"machine-{transfer}") in codes
    )  # fmt: skip
    failed = tuple((_named(e.point.parameters, e.point.seed), e.error or "") for e in entries if e.error is not None)
    return SelfTaught(settings, rows, learned, agreements, claims_of(rows, settings), failed)


def agreement(source: str, transfer: str, golden: Mapping[str, Any], machine: Mapping[str, Any]) -> Agreement:
    """The machine's codes beside the golden ones."""
    g, m = (unpack(result["arrays"])["features"] for result in (golden, machine))
    size = float(np.linalg.norm(g))
    varied = bool(g.any() and m.any())
    return Agreement(
        source, transfer, float(np.linalg.norm(m - g)) / size if size else 0.0,
        float(np.corrcoef(g.ravel(), m.ravel())[0, 1]) if varied else 0.0,
        100.0 * float(np.mean((g != 0) == (m != 0))), golden["percent_error"], machine["percent_error"],
        golden["percent_inactive"], machine["percent_inactive"], machine["saturations"], machine["overflows"],
    )  # fmt: skip


def _named(parameters: Mapping[str, Any], seed: int) -> str:
    words = [parameters["do"], *(str(parameters[key]) for key in ("source", "method", "size") if parameters.get(key))]
    return " ".join([*words, f"seed {seed}"] if parameters["do"] == "score" else words)
