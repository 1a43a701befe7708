"""Faults that are none: each kind of proof finds what it should, and nothing that the frames expose."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from striate.hw import equivalence as module
from striate.hw.beds import bed
from striate.hw.equivalence import CONSTANT, SAME, UNREAD, equivalent, settled
from striate.hw.mutation import EQUIVALENT, KILLED, SURVIVED, Mutation, Result


def test_proofs_in_the_mesh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the comparison of the state with 0, of an acknowledgement to a tile that is not there, and of the 1 that
    a counter adds. The same faults in other modes and bits are not proved."""
    plan = bed(False)[0]
    seen: dict[str, Any] = {}
    right = module._read
    monkeypatch.setattr(module, "_read", lambda netlist, mutation: seen.update(netlist) or right(netlist, mutation))
    cells = cells_of(plan, seen)
    compare = next(
        name for name, cell in cells.items()
        if cell["type"] == "$logic_not" and len(cell["connections"]["A"]) == 3 and name.startswith("$flatten\\front.")
    )  # fmt: skip
    adder = next(
        name for name, cell in cells.items() if cell["type"] == "$add" and cell["connections"]["B"] == ["1"]
    )
    faults = {
        1: (Mutation("mesh", 1, "cnot1", compare, "A", 1, 0), SAME),  # turned over where another bit is 1 already
        2: (Mutation("mesh", 2, "cnot0", compare, "A", 1, 0), None),
        3: (Mutation("mesh", 3, "inv", "tile3", "consumed", 2), UNREAD),
        4: (Mutation("mesh", 4, "inv", "tile3", "consumed", 1), None),
        5: (Mutation("mesh", 5, "const1", adder, "B", 0), CONSTANT),
        6: (Mutation("mesh", 6, "const0", adder, "B", 0), None),
    }
    drawn = [replace(fault, number=number) for number, (fault, _) in faults.items()]
    found = equivalent(plan, "mesh", drawn)
    assert {number: found.get(number) for number in faults} == {n: kind for n, (_, kind) in faults.items()}


def cells_of(plan: Any, seen: dict[str, Any]) -> dict[str, Any]:
    """The cells of the mesh as they are drawn from."""
    equivalent(plan, "mesh", [Mutation("mesh", 1, "inv", "tile3", "consumed", 2)])
    return dict(seen["cells"])


def test_only_survivors_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    faults = [Mutation(name, n, "inv", "c", "A", 0) for name in ("tile", "mesh") for n in (1, 2)]
    asked: list[Mutation] = []

    def proves(_: Any, name: str, given: list[Mutation]) -> dict[int, str]:
        asked.extend(given)
        return {2: UNREAD} if name == "mesh" else {}

    monkeypatch.setattr(module, "equivalent", proves)
    results = [Result(fault, KILLED, "drive", 1) if fault.number == 1 else Result(fault, SURVIVED) for fault in faults]
    after = settled(bed(False)[0], results)
    assert asked == [faults[1], faults[3]]
    assert [r.outcome for r in after] == [KILLED, SURVIVED, KILLED, EQUIVALENT] and after[3].by == UNREAD
