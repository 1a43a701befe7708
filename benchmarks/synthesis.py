"""Calibrate the estimate of look-up tables and flip-flops on real runs of Yosys and nextpnr.

    python benchmarks/synthesis.py [--quick] [--work DIR] [--fit-only]

Synthesises the boards of ``RUNS`` as far as packing, where nextpnr counts cells; fits the coefficients of
``sim/mapping/estimate.py`` by least squares of the relative error, no coefficient below 0; writes them to
``sim/mapping/coefficients.py`` and every run beside its estimate to ``benchmarks/results/synthesis.json``. A run is
kept in ``--work`` and done again only when the RTL or a tool has changed. ``--quick`` does one run and writes nothing.

*Left out*: the estimate of a run by coefficients that were fitted to all others of its family, the honest error.
"""

import argparse
import json
import os

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import nnls

from striate.golden.archive import replacing
from striate.golden.dictionary import Dictionary, shipped
from striate.golden.errors import InputError
from striate.hw.boards import board_of
from striate.hw.emit import quantised
from striate.hw.synth import family_of, utilise
from striate.sim.design import Design
from striate.sim.mapping import estimate
from striate.sim.mapping.devices import device_of
from striate.sim.mapping.resources import resources

RESULTS = Path(__file__).parent / "results"
DOCUMENT = Path(__file__).parents[1] / "docs" / "synthesis.md"
BEGIN, END = "<!-- runs -->", "<!-- end of runs -->"
COEFFICIENTS = Path(estimate.__file__).parent / "coefficients.py"
ONE = {"tiles": (1, 1), "link_depth": 16}
TINY = {"kernels": 2, "patch": 4, "image": (8, 8), **ONE, "gather_lanes": 2, "scatter_lanes": 2, "detect_lanes": 2,
        "link_depth": 4}  # fmt: skip


def lanes(gather: int, scatter: int, detect: int, **more: Any) -> dict[str, Any]:
    """Keys of the machine section."""
    return {"gather_lanes": gather, "scatter_lanes": scatter, "detect_lanes": detect, **more}


RUNS: list[tuple[str, str, dict[str, Any]]] = [
    ("default", "ulx3s-85f", {}),
    ("strips", "ulx3s-85f", lanes(32, 16, 16, tiles=(4, 1), link_depth=64, update_positions=2)),
    ("2x2", "ulx3s-85f", lanes(16, 8, 8, image=(64, 64), tiles=(2, 2), link_depth=64)),
    ("2x1", "ulx3s-85f", lanes(8, 8, 8, image=(64, 32), tiles=(2, 1), link_depth=32)),
    ("1 lane", "ulx3s-25f", {**ONE, "image": (32, 32), **lanes(1, 1, 1)}),
    ("2 lanes", "ulx3s-25f", {**ONE, "image": (48, 48), **lanes(2, 2, 2)}),
    ("4 lanes", "ulx3s-25f", {**ONE, "image": (32, 32), **lanes(4, 4, 4)}),
    ("8 lanes", "ulx3s-25f", {**ONE, "image": (64, 64), **lanes(8, 8, 8)}),
    ("16 lanes", "ulx3s-25f", {**ONE, "image": (64, 64), **lanes(16, 8, 8)}),
    ("wide scatter", "ulx3s-25f", {**ONE, "image": (64, 64), **lanes(16, 16, 4)}),
    ("two positions", "ulx3s-25f", {**ONE, "image": (64, 64), **lanes(16, 16, 16, update_positions=2)}),
    ("32 lanes", "ulx3s-85f", {**ONE, "image": (128, 64), **lanes(32, 16, 16)}),
    ("4 kernels", "ulx3s-25f", {**ONE, "image": (64, 64), "kernels": 4, **lanes(8, 8, 4)}),
    ("16 kernels", "ulx3s-25f", {**ONE, "image": (32, 32), "kernels": 16, **lanes(16, 8, 8)}),
    ("32 kernels", "ulx3s-85f", {**ONE, "image": (32, 32), "kernels": 32, **lanes(16, 8, 8)}),
    ("small kernels", "ulx3s-25f", {**ONE, "image": (32, 32), "kernels": 4, "patch": 8, **lanes(4, 4, 4)}),
    ("stride 4", "ulx3s-25f", {**ONE, "image": (64, 64), "stride": 4, **lanes(16, 8, 8)}),
    ("stride 1", "ulx3s-25f", {**ONE, "image": (24, 24), "patch": 9, "stride": 1, **lanes(8, 4, 4)}),
    ("narrow", "ulx3s-25f", {**ONE, "image": (32, 32), "weight": "s6.5", "residual": "s6.5", **lanes(8, 8, 8)}),
    ("tiny", "ulx3s-25f", TINY),
    ("iCE40 tiny", "icebreaker", TINY),
    ("iCE40 1 lane", "icebreaker", TINY | lanes(1, 1, 1, link_depth=16)),
    ("iCE40 patch 8", "icebreaker", TINY | {"patch": 8, "image": (32, 32)} | lanes(1, 1, 1, link_depth=16)),
    ("iCE40 2 kernels", "icebreaker", {**ONE, "kernels": 2, "image": (32, 32), **lanes(1, 1, 1)}),
    ("iCE40 4 kernels", "icebreaker", TINY | {"kernels": 4, "image": (16, 16)} | lanes(1, 1, 1, link_depth=16)),
    ("iCE40 4 lanes", "icebreaker", TINY | {"kernels": 4, "image": (16, 16)} | lanes(4, 4, 2, link_depth=16)),
    ("iCE40 8@2", "icebreaker", {**ONE, "image": (16, 16), **lanes(1, 1, 1)}),
    ("Gowin tiny", "tangnano9k", TINY),
    ("Gowin 4 lanes", "tangprimer20k", {**ONE, "image": (32, 32), **lanes(4, 4, 4)}),
    ("Gowin 8 lanes", "tangprimer20k", {**ONE, "image": (48, 48), **lanes(8, 8, 8)}),
    ("Gowin 16 lanes", "tangprimer20k", {**ONE, "image": (32, 32), **lanes(16, 8, 8)}),
]  # fmt: skip
"""Name, board, keys of the design that differ from the defaults."""
SMALLEST = 4
"""A family with so few runs has two coefficients of its own; the others are those of the ECP5, all scaled alike."""


def dictionary_of(design: Design) -> Dictionary:
    """The shipped one of the design's shape, random kernels where none is: words of D follow from them."""
    n = design.network
    try:
        return shipped(n.kernels, n.patch, n.stride)
    except InputError:
        return Dictionary.random(design.geometry, seed=0)


def measure(name: str, board: str, keys: dict[str, Any], work: Path) -> dict[str, Any]:
    """One run: cells after packing, by kind, beside what was counted."""
    design = Design(**keys)
    dictionary = dictionary_of(design)
    plan, _ = quantised(design, dictionary)
    found = utilise(design, board, work / name.replace(" ", "-"), dictionary=dictionary)
    device = device_of(board)
    counted = resources(plan, device)
    return {
        "name": name, "board": board, "family": family_of(board_of(board)).name,
        "keys": {key: list(v) if isinstance(v, tuple) else v for key, v in keys.items()},
        "features": estimate.features(plan, device),
        "used": {kind: count.used for kind, count in found.used.items()},
        "counted": {"bram": counted.all_blocks, "dsp": counted.multipliers},
        "emulated": found.emulated,
    }  # fmt: skip


def again(row: dict[str, Any]) -> dict[str, Any]:
    """A committed run with its features counted anew."""
    design = Design(**{key: tuple(v) if isinstance(v, list) else v for key, v in row["keys"].items()})
    plan, _ = quantised(design, dictionary_of(design))
    device = device_of(row["board"])
    counted = resources(plan, device)
    kept = {key: row[key] for key in ("name", "board", "family", "keys", "used", "emulated")}
    return kept | {
        "features": estimate.features(plan, device), "board_blocks": 0,
        "counted": {"bram": counted.all_blocks, "dsp": counted.multipliers},
    }  # fmt: skip


def fitted(rows: list[dict[str, Any]], kind: str) -> dict[str, float]:
    """Non-negative coefficients of least relative error."""
    names = list(rows[0]["features"])
    truth = np.array([row["used"][kind] for row in rows], float)
    matrix = np.array([[row["features"][name] for name in names] for row in rows], float) / truth[:, None]
    scale = matrix.max(axis=0)
    found, _ = nnls(matrix / scale, np.ones(len(rows)))
    return {name: float(value) for name, value in zip(names, found / scale, strict=True) if value > 0}


def scaled(rows: list[dict[str, Any]], kind: str, base: dict[str, float]) -> dict[str, float]:
    """The coefficients of the ECP5 times one factor, and a constant of the family's own."""
    truth = np.array([row["used"][kind] for row in rows], float)
    rest = np.array([predicted(row, base) - base.get("board", 0.0) for row in rows])
    matrix = np.stack([np.ones(len(rows)), rest], axis=1) / truth[:, None]
    found, _ = nnls(matrix, np.ones(len(rows)))
    others = {name: float(value * found[1]) for name, value in base.items() if name != "board"}
    return others | {"board": float(found[0])}


def predicted(row: dict[str, Any], table: dict[str, float]) -> float:
    """Cells by a table of coefficients."""
    return sum(table.get(name, 0.0) * value for name, value in row["features"].items())


def calibrate(rows: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, float]]]:
    """Family -> kind -> coefficients, and the estimates written into the rows."""
    tables: dict[str, dict[str, dict[str, float]]] = {}
    for family in dict.fromkeys(row["family"] for row in rows):
        ours = [row for row in rows if row["family"] == family]
        tables[family] = {}
        for kind in ("lut", "ff"):
            base = tables.get("ecp5", {}).get(kind, {})

            def fit(some: list[dict[str, Any]], kind: str = kind, base: dict[str, float] = base) -> dict[str, float]:
                return fitted(some, kind) if not base else scaled(some, kind, base)

            tables[family][kind] = table = fit(ours)
            for row in ours:
                row.setdefault("estimate", {})[kind] = round(predicted(row, table))
                others = [other for other in ours if other is not row]
                row.setdefault("left_out", {})[kind] = round(predicted(row, fit(others)))
    return tables


def error(row: dict[str, Any], kind: str, which: str) -> float:
    """Relative error of an estimate."""
    return float(row[which][kind] / row["used"][kind] - 1)


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Per family and kind: mean and largest error, fitted and left out."""
    found = []
    for family in dict.fromkeys(row["family"] for row in rows):
        ours = [row for row in rows if row["family"] == family]
        for kind in ("lut", "ff"):
            line: dict[str, Any] = {"family": family, "kind": kind, "runs": len(ours)}
            for which in ("estimate", "left_out"):
                errors = [abs(error(row, kind, which)) for row in ours]
                line[which] = {"mean": float(np.mean(errors)), "largest": max(errors)}
            found.append(line)
    return found


def markdown(rows: list[dict[str, Any]]) -> str:
    """The runs as a table: truth, and the error of the estimate, fitted and left out, in percent."""
    lines = [
        "| run | board | LUT | estimate | left out | FF | estimate | left out | blocks | multipliers |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        used, cells = row["used"], [row["name"], row["board"]]
        for kind in ("lut", "ff"):
            cells.append(f"{used[kind]:,}")
            cells += [f"{100 * error(row, kind, which):+.1f} %" for which in ("estimate", "left_out")]
        lines.append(f"| {' | '.join([*cells, str(used['bram']), str(used['dsp'])])} |")
    lines += ["", "| family | cells | runs | mean error | largest | left out: mean | largest |", "|" + "---|" * 7]
    for line in summary(rows):
        shares = [f"{100 * line[w][name]:.1f} %" for w in ("estimate", "left_out") for name in ("mean", "largest")]
        lines.append(f"| {line['family']} | {line['kind'].upper()} | {line['runs']} | {' | '.join(shares)} |")
    return "\n".join(lines) + "\n"


def module(tables: dict[str, dict[str, dict[str, float]]], blocks: dict[str, int]) -> str:
    """The Python module with the coefficients."""
    lines = [
        '"""Cells that one of each thing takes, by family: written by `benchmarks/synthesis.py` from real runs."""', "",
        "COEFFICIENTS: dict[str, dict[str, dict[str, float]]] = {",
    ]  # fmt: skip
    for family, kinds in tables.items():
        lines.append(f'    "{family}": {{')
        for kind, table in kinds.items():
            lines.append(f'        "{kind}": {{')
            lines += [f'            "{name}": {value:.4g},' for name, value in table.items()]
            lines.append("        },")
        lines.append("    },")
    lines += ["}", '"""Family -> "lut" or "ff" -> feature (`estimate.features`) -> cells."""']
    lines += [f"BOARD_BLOCKS: dict[str, int] = {json.dumps(blocks)}"]
    lines += ['"""Family -> memory blocks of the serial link and the core."""']
    return "\n".join(lines) + "\n"


def board_blocks(rows: list[dict[str, Any]]) -> dict[str, int]:
    """Blocks outside the tiles: what the runs have beyond those counted, the same in every run of a family."""
    found = {}
    for family in dict.fromkeys(row["family"] for row in rows):
        ours = [row for row in rows if row["family"] == family]
        extra = [row["used"]["bram"] - row["counted"]["bram"] + row["board_blocks"] for row in ours]
        found[family] = int(np.median(extra))
    return found


def record(rows: list[dict[str, Any]]) -> None:
    """Write the runs beside their estimates, and the table into the documentation."""
    with replacing(RESULTS / "synthesis.json") as aside:
        aside.write_text(json.dumps({"runs": rows, "errors": summary(rows)}, indent=1) + "\n")
    head, _, rest = DOCUMENT.read_text().partition(BEGIN)
    with replacing(DOCUMENT) as aside:
        aside.write_text(f"{head}{BEGIN}\n{markdown(rows)}{END}{rest.partition(END)[2]}")


def main() -> int:
    """Run, fit, write: coefficients, results and the table; nothing is written of single runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one run, nothing written")
    parser.add_argument("--work", type=Path, default=None, help="folder that keeps the runs")
    parser.add_argument("--only", default=None, metavar="NAME", help="the run of that name, nothing written")
    parser.add_argument("--fit-only", action="store_true", help="fit again to the committed runs")
    options = parser.parse_args()
    from striate.sim.mapping.coefficients import BOARD_BLOCKS

    rows: list[dict[str, Any]] = []
    if options.fit_only:
        rows = [again(row) for row in json.loads((RESULTS / "synthesis.json").read_text())["runs"]]
    todo = [] if options.fit_only else RUNS[-1:] if options.quick else RUNS
    todo = [run for run in todo if options.only in (None, run[0])]
    with tempfile.TemporaryDirectory() as scratch:
        work = options.work or Path(scratch)
        for name, board, keys in todo:
            began = time.monotonic()
            row = measure(name, board, keys, work)
            row["board_blocks"] = BOARD_BLOCKS.get(row["family"], 0)
            rows.append(row)
            print(f"{name}: {row['used']}, counted {row['counted']}, {time.monotonic() - began:.0f} s", flush=True)
    if options.quick or options.only:
        return 0
    tables = calibrate(rows)
    for line in summary(rows):
        print(line)
    for row in rows:
        row["features"] = {name: round(value, 3) for name, value in row["features"].items()}
    with replacing(COEFFICIENTS) as aside:
        aside.write_text(module(tables, board_blocks(rows)))
    record(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
