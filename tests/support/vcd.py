"""A value change dump read back: signals, their widths and their changes, by clock."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from striate.sim.trace.vcd import UNKNOWN

Changes = list[tuple[int, int]]


def read_vcd(path: Path, wanted: Callable[[str], bool]) -> tuple[dict[str, int], dict[str, Changes]]:
    """Widths and changes (time, value) of the signals ``scope.scope.name``; x is `UNKNOWN`."""
    scope: list[str] = []
    names: dict[str, list[str]] = {}
    widths: dict[str, int] = {}
    changes: dict[str, Changes] = {}
    time = 0
    with path.open() as file:
        for line in file:
            words = line.split()
            if line.lstrip().startswith("$scope"):
                scope.append(words[2])
            elif words and words[0] == "$upscope":
                scope.pop()
            elif words and words[0] == "$var":
                name = ".".join([*scope, words[4]])
                if wanted(name):
                    names.setdefault(words[3], []).append(name)
                    widths[name], changes[name] = int(words[2]), []
            elif words and words[0] == "$enddefinitions":
                break
        for line in file:
            if line[0] == "#":
                assert int(line[1:]) >= time
                time = int(line[1:])
            elif line[0] in "bx01":
                value, code = line[1:].split() if line[0] == "b" else (line[0], line[1:].strip())
                for name in names.get(code, ()):
                    changes[name].append((time, UNKNOWN if "x" in value else int(value, 2)))
    return widths, changes


def by_clock(changes: Changes) -> Changes:
    """(clock, value): what a register shows in its clocks, changes that change nothing left out."""
    kept: Changes = []
    for time, value in changes:
        clock = (time + 1) // 2
        if kept and kept[-1][0] == clock:
            kept.pop()
        if not kept or kept[-1][1] != value:
            kept.append((clock, value))
    return kept[1:]


def at(changes: Changes, clocks: list[int]) -> list[int]:
    """The value in each of some clocks, rising."""
    times = np.array([clock for clock, _ in changes], np.int64)
    return [changes[n][1] for n in np.searchsorted(times, clocks, side="right") - 1]
