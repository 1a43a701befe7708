"""The tools' JSON read by key: utilisation, clocks, the critical path, cells after synthesis."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .families import Family

_CELL = re.compile(
    r"_(?:TRELLIS_FF|TRELLIS_DPR16X4|LUT[1-8]|CCU2C|PFUMX|L6MUX21|DP16KD|MULT18X18D|SB_[A-Z0-9]+|ALU|MUX2_LUT\d|"
    r"DFF[A-Z]*|RAM16SDP4|SDP[BX]\w*|MULT\d+X\d+|\$)(?![a-z]).*"
)


class UnreadableReport(ValueError):
    """A tool wrote a report without a key that is read here."""


@dataclass(frozen=True)
class Count:
    """Cells of one kind: used, and available on the device."""

    used: int
    available: int


@dataclass(frozen=True)
class CriticalPath:
    """The slowest path of a clock: where it begins and ends in names of the design, and its delay in ns."""

    source: str
    sink: str
    delay_ns: float
    logic_ns: float

    @property
    def text(self) -> str:
        """In one line."""
        return f"{self.source} -> {self.sink}, {self.delay_ns:.1f} ns of which {self.logic_ns:.1f} ns logic"


@dataclass(frozen=True)
class Clock:
    """A clock after routing, in MHz: what it reaches, what was asked of it, and what holds it back."""

    net: str
    achieved_mhz: float
    asked_mhz: float
    path: CriticalPath | None

    @property
    def met(self) -> bool:
        """Whether it is as fast as asked."""
        return self.achieved_mhz >= self.asked_mhz


def _key(data: Any, key: str, what: str) -> Any:
    if not isinstance(data, dict) or key not in data:
        raise UnreadableReport(f"{what} has no key {key!r}")
    return data[key]


def load(path: Path) -> dict[str, Any]:
    """A report as a dictionary.

    Raises:
        UnreadableReport: no JSON object.
    """
    try:
        found = json.loads(path.read_text())
    except ValueError as error:
        raise UnreadableReport(f"{path.name} is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise UnreadableReport(f"{path.name} is no JSON object")
    return found


def utilisation(report: dict[str, Any], family: Family) -> dict[str, Count]:
    """Kind ("lut", "bram", ...) -> cells used and available, of a report of nextpnr.

    Raises:
        UnreadableReport: a key is missing.
    """
    cells = _key(report, "utilization", "the report")
    found = {}
    for kind, keys in family.used.items():
        first = _key(cells, next(iter(keys)), "utilization")
        total = sum(share * _key(cells[key], "used", key) for key, share in keys.items() if key in cells)
        found[kind] = Count(total, _key(first, "available", kind))
    return found


def overfull(report: dict[str, Any], family: Family) -> dict[str, Count]:
    """Every cell type of which more are used than there are; of a report after packing.

    Types of which the device has none are the tool's own, unless the family counts them.
    """
    cells = _key(report, "utilization", "the report")
    ours = {key for keys in family.used.values() for key in keys}
    counts = {name: Count(_key(c, "used", name), _key(c, "available", name)) for name, c in cells.items()}
    return {
        name: count for name, count in counts.items()
        if count.used > count.available and (count.available or name in ours)
    }  # fmt: skip


def clocks(report: dict[str, Any]) -> tuple[Clock, ...]:
    """The clocks of a routed design, the one furthest below (least above) what was asked first.

    Raises:
        UnreadableReport: a key is missing.
    """
    paths = {}
    for path in _key(report, "critical_paths", "the report"):
        starts, ends = _key(path, "from", "a critical path"), _key(path, "to", "a critical path")
        if starts == ends:  # "posedge NET"; paths between domains have no clock of their own
            paths[starts.partition(" ")[2]] = _critical(path["path"])
    found = [
        Clock(net, _key(c, "achieved", net), _key(c, "constraint", net), paths.get(net))
        for net, c in _key(report, "fmax", "the report").items()
    ]
    return tuple(sorted(found, key=lambda c: c.achieved_mhz / c.asked_mhz))


def _critical(segments: list[dict[str, Any]]) -> CriticalPath | None:
    if not segments:
        return None
    delays = [(_key(s, "delay", "a segment"), _key(s, "type", "a segment")) for s in segments]
    return CriticalPath(
        readable(segments[0]["from"]["cell"]),
        readable(segments[-1]["to"]["cell"]),
        sum(delay for delay, _ in delays),
        sum(delay for delay, kind in delays if kind != "routing"),
    )


def readable(cell: str) -> str:
    """A cell's name without what the tools appended: ``tile0.control.phase[0]_TRELLIS_FF_Q`` is the register."""
    return _CELL.sub("", cell.removeprefix("\\")) or cell


def mapped(stat: dict[str, Any], family: Family) -> dict[str, int]:
    """Kind -> cells after synthesis, from the output of Yosys' ``stat -json``.

    Raises:
        UnreadableReport: a key is missing.
    """
    cells = _key(_key(stat, "design", "the statistics"), "num_cells_by_type", "the statistics")
    return {kind: sum(cells.get(name, 0) for name in names) for kind, names in family.mapped.items()}
