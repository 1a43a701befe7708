"""Why a synthesis did not end with a bitstream: values with one line each, and how a tool's log is read for it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ..toolchain import ToolError
from .parse import Clock, Count

Kind = Literal["does not fit", "misses the clock", "not routed", "tool missing", "tool aborted", "not finished"]

_FULL = (
    r"no BELs (?:remaining|available) to implement cell type '?(?P<type>\w+)'?",
    r"No BELs for (?P<type>\w+)",
    r"Unable to find (?:a placement location|legal placement|placement)",
    r"Unable to place cell '",
    r"failed to place (?:cell|chain)",
    r"Failed to expand region",
)
_UNROUTED = (
    r"Routing design failed", r"Failed to (?:find a route for|route) (?:arc|net)", r"cannot route global",
    r"failed to route ",
)  # fmt: skip


@dataclass(frozen=True)
class Failure:
    """What went wrong.

    Args:
        text: one line: what, by how much, what would help. tail: the tool's own last lines, where a tool stopped.
    """

    kind: Kind
    text: str
    tail: str = ""


def _blocks(counts: Mapping[str, Count]) -> str:
    return "; ".join(
        f"{c.used:,} of {c.available:,} {name}, {c.used - c.available:,} over" for name, c in counts.items()
    )


def too_large(board: str, device: str, over: Mapping[str, Count], hint: str) -> Failure:
    """More cells than the device has, counted after packing; ``hint`` says what would fit."""
    return Failure("does not fit", f"does not fit {board} ({device}): {_blocks(over)}; {hint}")


def too_slow(board: str, clock: Clock) -> Failure:
    """Routed, but slower than asked."""
    because = f"; the critical path goes {clock.path.text}" if clock.path else ""
    floor = int(clock.achieved_mhz)
    return Failure(
        "misses the clock",
        f"routed on {board} at {clock.achieved_mhz:.1f} MHz where {clock.asked_mhz:g} were asked (clock {clock.net})"
        f"{because}; ask for --clock {floor}, try more --seeds, or keep the bitstream with --allow-miss",
    )


def of_tool(error: ToolError, stage: str, hint: str = "") -> Failure:
    """A tool that is missing or stopped: what its log says, else its last lines.

    Args:
        stage: what it was doing, in words. hint: what would fit, in case it says that something does not.
    """
    if error.status is None and "install" in str(error):
        remedy = "" if "striate doctor" in str(error) else "; `striate doctor` says what is missing and how to get it"
        return Failure("tool missing", f"{error}{remedy}")
    if error.status is None and "not finished" in str(error):
        return Failure(
            "not finished", f"{stage}: {error}; give it more time or another seed, or a smaller design", error.tail
        )
    for pattern in _FULL:
        if found := re.search(pattern, error.log):
            kind = found.groupdict().get("type")
            what = f"no place is left for a {kind}" if kind else _line(error.log, found.start())
            return Failure("does not fit", f"{stage}: {error.tool} found that {what}; {hint}".rstrip("; "), error.tail)
    for pattern in _UNROUTED:
        if found := re.search(pattern, error.log):
            line = _line(error.log, found.start())
            return Failure(
                "not routed", f"{stage}: {error.tool} could not route it: {line}; try another seed", error.tail
            )
    said = next((line for line in reversed(error.tail.splitlines())), "it said nothing")
    status = "" if error.status is None else f" with status {error.status}"
    return Failure("tool aborted", f"{stage}: {error.tool} stopped{status}: {_blamed(error.log) or said}", error.tail)


def _line(log: str, at: int) -> str:
    begin = log.rfind("\n", 0, at) + 1
    end = log.find("\n", at)
    return log[begin : end if end >= 0 else None].strip().removeprefix("ERROR: ").rstrip(".")


def _blamed(log: str) -> str:
    lines = (line.strip() for line in log.splitlines())
    return next((line for line in lines if re.match(r"(ERROR|Assert|terminate|Error|\S*[Tt]rap)", line)), "")
