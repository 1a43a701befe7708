"""What the benchmark programs share: one core, medians, rows, results in files, tables. Run alone it does nothing.

A program measures, writes ``benchmarks/results/<name>.json`` and prints its table; ``benchmarks/table.py`` prints all
of them and puts them into the README. A row is::

    group     what belongs together, printed as a heading
    what      the thing measured
    seconds   median wall time (with other units: the key says which)
    repeats   measurements behind the median
    baseline  the row of the same group that ratio compares with, "" for none
    ratio     seconds / seconds of the baseline: above 1 is slower than it
    note      what a reader must know to trust the number
"""

import os
import sys

assert "numpy" not in sys.modules, "import common first: it sets the number of BLAS threads, which NumPy reads once"
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"  # one core means one core

import argparse
import json
import platform
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np

from striate.golden.archive import replacing

RESULTS = Path(__file__).parent / "results"
Row = dict[str, Any]


def arguments(description: str | None, repeats: int = 5) -> argparse.Namespace:
    """``--repeats N`` and ``--quick`` (fewest repeats, slow rows left out, nothing written)."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=repeats, help="measurements behind every median")
    parser.add_argument("--quick", action="store_true", help="one repeat, slow rows left out, nothing written")
    options = parser.parse_args()
    options.repeats = 1 if options.quick else options.repeats
    return options


def wall(work: Callable[[], object]) -> float:
    """Wall time of one call, seconds."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def cpu(work: Callable[[], object]) -> float:
    """CPU time of one call of one thread, seconds: its wall time where nobody else wants the core."""
    started = time.process_time()
    work()
    return time.process_time() - started


def rounds(contestants: dict[str, Callable[[], float]], repeats: int) -> dict[str, float]:
    """Median seconds of each contestant: all take turns, so that a slow spell of the machine meets every one.

    A contestant returns the seconds it took; one turn before the first measured one warms it up.
    """
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(repeats + 1):
        for name, run in contestants.items():
            seconds = run()
            if turn:
                times[name].append(seconds)
    return {name: statistics.median(measured) for name, measured in times.items()}


def compared(group: str, medians: dict[str, float], repeats: int, baseline: str, notes: dict[str, str]) -> list[Row]:
    """Rows of one group, each beside the baseline."""
    return [
        {
            "group": group,
            "what": what,
            "seconds": seconds,
            "repeats": repeats,
            "baseline": "" if what == baseline else baseline,
            "ratio": seconds / medians[baseline],
            "note": notes.get(what, ""),
        }
        for what, seconds in medians.items()
    ]


# Linux keeps the peak of the parent in a child's ru_maxrss; VmHWM is the child's own.
_ENDING = """
import resource, sys
try:
    text = open("/proc/self/status").read()
    peak = int(text.split("VmHWM:")[1].split()[0])
except OSError:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "darwin" else 1)
print(peak)
"""


def apart(program: str) -> tuple[dict[str, Any], float]:
    """Run a Python program in a process of its own: the JSON object it prints last, and its peak memory in MiB.

    The peak is of resident memory and holds everything: interpreter, imports, compiled kernels, data.
    """
    done = subprocess.run([sys.executable, "-c", program + "\n" + _ENDING], check=True, capture_output=True, text=True)
    *lines, peak = done.stdout.splitlines()
    return (json.loads(lines[-1]) if lines else {}), int(peak) / 1024


def machine() -> dict[str, Any]:
    """Where the numbers come from."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return {
        "processor": name,
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),  # processes that wanted a core in the last minute, before this program
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba.__version__,
    }


def finish(name: str, rows: list[Row], where: dict[str, Any], options: argparse.Namespace) -> None:
    """Print the table; write ``results/<name>.json`` unless quick."""
    results = {"name": name, "machine": where, "rows": rows}
    print(markdown(results))
    if not options.quick:
        RESULTS.mkdir(exist_ok=True)
        with replacing(RESULTS / f"{name}.json") as aside:
            aside.write_text(json.dumps(results, indent=1) + "\n")


def number(value: float) -> str:
    """Three significant digits, thousands with commas."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def markdown(results: dict[str, Any]) -> str:
    """A table for every group of rows; a column for every quantity that one of its rows has."""
    titles = {"seconds": "seconds", "ratio": "times the baseline"}
    parts = []
    for group in dict.fromkeys(row["group"] for row in results["rows"]):
        rows = [row for row in results["rows"] if row["group"] == group]
        fixed = ("group", "what", "repeats", "baseline", "note")
        keys = [key for key in dict.fromkeys(key for row in rows for key in row) if key not in (*fixed, "ratio")]
        if any(row.get("baseline") for row in rows):
            keys.append("ratio")
        heads = [titles.get(key, key.replace("_", " ")) for key in keys]
        lines = [f"| {group} | {' | '.join(heads)} |", f"|---|{'---|' * len(keys)}"]
        for row in rows:
            what = row["what"] + (f" ({row['note']})" if row.get("note") else "")
            cells = [number(row[key]) if key in row else "" for key in keys]
            lines.append(f"| {what} | {' | '.join(cells)} |")
        baselines = {row["baseline"] for row in rows if row.get("baseline")}
        if baselines:
            lines += ["", f"Baseline: {', '.join(sorted(baselines))}. Medians of {rows[0]['repeats']}, taking turns."]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)
