"""Mutation score: faults that Yosys draws in the tile and in the mesh of a small design, and what exposes each.

    python benchmarks/mutation.py [--quick]

The frames are those of ``hw/beds.py``. A survivor that is proved to change nothing (``hw/equivalence.py``; the kind of
proof is its "by") is not counted in ``score_percent``, but is in ``of_all_percent``. Nothing is timed but for the
seconds beside each fault, of a loaded machine or not; every fault is listed under "faults" of the results.
"""

import json
from collections import Counter
from typing import Any

from common import RESULTS, Row, arguments, machine, markdown  # isort: skip

from striate.golden.archive import replacing
from striate.hw.beds import bed, frames
from striate.hw.equivalence import settled
from striate.hw.mutation import EQUIVALENT, KILLED, Result, build_mutants, judge, score

SEED = 1
BEDS: dict[str, tuple[bool, dict[str, int]]] = {
    "2x2 tiles": (False, {"tile": 80, "mesh": 30}),
}


def rows_of(name: str, results: list[Result]) -> list[Row]:
    """One row a module."""
    return [row_of(f"{name}: {module}", [result for result in results if result.mutation.module == module])
            for module in ("tile", "mesh")]  # fmt: skip


def row_of(what: str, results: list[Result]) -> Row:
    """Counts and scores."""
    outcomes = Counter(result.outcome for result in results)
    return {"group": "mutation", "what": what, "faults": len(results), "killed": outcomes[KILLED],
            "proved_equivalent": outcomes[EQUIVALENT], "score_percent": 100 * score(results),
            "of_all_percent": 100 * outcomes[KILLED] / len(results)}  # fmt: skip


def unit_of(by: str) -> str:
    """What differed, without places and numbers."""
    return by.split(" (")[0].split(":")[0]


def main() -> None:
    """Draw, run, write."""
    options = arguments(__doc__, repeats=1)
    where = machine()
    rows: list[Row] = []
    faults: list[dict[str, Any]] = []
    everything: list[Result] = []
    for name, (settling, counts) in BEDS.items():
        plan, weights, other = bed(settling)
        chosen = {"tile": 4, "mesh": 2} if options.quick else counts
        results = judge(build_mutants(plan, chosen, SEED), weights, frames(plan, other), progress=told)
        results = settled(plan, results)
        rows += rows_of(name, results)
        faults += [{"bed": name} | result.as_dict() for result in results]
        everything += results
    rows.append(row_of("all", everything))
    units = Counter(unit_of(result.by) for result in everything if result.outcome == KILLED)
    proofs = Counter(result.by for result in everything if result.outcome == EQUIVALENT)
    rows += [{"group": "proved equivalent", "what": kind, "faults": count} for kind, count in proofs.most_common()]
    rows += [{"group": "killed by", "what": unit, "faults": count} for unit, count in units.most_common()]
    results_of: dict[str, Any] = {"name": "mutation", "machine": where, "rows": rows}
    results_of |= {"seed": SEED, "score": score(everything), "faults": faults}
    print(markdown(results_of))
    if not options.quick:
        RESULTS.mkdir(exist_ok=True)
        with replacing(RESULTS / "mutation.json") as aside:
            aside.write_text(json.dumps(results_of, indent=1) + "\n")


def told(text: str, share: float) -> None:
    """Progress."""
    print(f"{share:4.0%} {text}", flush=True)


if __name__ == "__main__":
    main()
