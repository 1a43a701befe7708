"""Speed and memory of the project's own engines, on one core, medians; ``make bench`` runs it.

Every figure stands beside a named baseline measured in the same run. Results go to ``benchmarks/results.json``; with
``--readme`` the table in README.md between the benchmark markers is rewritten from it.

    python benchmarks/run.py [--repeats N] [--quick] [--readme]
"""

import os

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"  # before NumPy: one core means one core

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from striate.golden.images import load_image
from striate.golden.lca import LcaParams, encode
from striate.hw.cosim.harness import build
from striate.hw.emit import MESH_FILE, TILE_FILE, quantised, verilog
from striate.hw.verify import Frame, verify_frames
from striate.sim.design import Design
from striate.sim.machine import load_dictionary, simulate

HERE = Path(__file__).parent
RESULTS, README = HERE / "results.json", HERE.parent / "README.md"
START, END = "<!-- benchmarks -->", "<!-- /benchmarks -->"


def median_seconds(work: Callable[[], object], repeats: int) -> float:
    """Median wall time after one call to warm up."""
    work()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def machine_rows(repeats: int, quick: bool) -> list[dict[str, Any]]:
    """The machine's schedules against the golden model on 128x128 photographs, 200 steps, cold."""
    rows = []
    image = load_image("camera", crop=(70, 170), size=(128, 128))
    for kernels, tiles in ((8, (4, 2)), (32, (2, 2))):
        design = Design(kernels=kernels, tiles=tiles, gather_lanes=16 if kernels == 8 else 32)
        dictionary = load_dictionary(design)
        golden = median_seconds(lambda d=dictionary: encode(image, d, LcaParams()), 1 if quick else repeats)
        rows.append(
            {
                "what": f"golden float64, 128x128, {kernels}@2, 200 steps",
                "seconds": golden,
                "ratio": 1.0,
                "baseline": "itself",
            }
        )
        for schedule in ("delta", "skip", "dense"):
            run: list[Any] = []
            chosen = design.replace(schedule=schedule)
            median = median_seconds(lambda c=chosen, r=run: r.append(simulate(image, c).compute_seconds), repeats)
            seconds = statistics.median(run[1:])
            del median
            rows.append(
                {
                    "what": f"machine, {schedule}, 128x128, {kernels}@2, 200 steps",
                    "seconds": seconds,
                    "ratio": golden / seconds,
                    "baseline": f"golden {kernels}@2",
                }
            )
    return rows


def rtl_rows(repeats: int, quick: bool) -> list[dict[str, Any]]:
    """Verification on the compiled model: RTL clocks a second, the comparison of every word included."""
    rows = []
    large = 10 if quick else 40
    for size, tiles, steps, threads in (
        ((32, 32), (1, 1), 100, 1),
        ((32, 32), (2, 2), 100, 1),
        ((128, 128), (4, 2), large, 1),
        ((128, 128), (4, 2), large, 2),
    ):
        design = Design(image=size, tiles=tiles)
        plan, weights = quantised(design)
        image = plan.quantise_image(load_image("camera", crop=(70, 170), size=size))
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            os.environ["STRIATE_CACHE"] = str(folder / "cache")  # so that building is measured, not looked up
            started = time.perf_counter()
            for name, text in verilog(plan).items():
                (folder / name).write_text(text)
            build(plan, folder / TILE_FILE, folder / MESH_FILE)
            built = time.perf_counter() - started
            rates, verdict = [], None
            for _ in range(repeats):
                verdict = verify_frames(
                    plan, weights, [Frame(image, steps)], folder / TILE_FILE, folder / MESH_FILE, jobs=threads
                )
                assert verdict.passed
                rates.append(verdict.rtl_cycles_per_second)
            del os.environ["STRIATE_CACHE"]
        assert verdict is not None
        rows.append(
            {
                "what": f"RTL, {size[0]}x{size[1]}, {tiles[0]}x{tiles[1]} tiles, {steps} steps, {threads} core(s)",
                "cycles_per_second": statistics.median(rates),
                "build_seconds": built,
                "cycles": verdict.cycles_rtl,
                "words_compared": verdict.words_compared,
            }
        )
    return rows


def first_start_seconds() -> float:
    """A second process's import and first run: the compiled kernels come from the cache."""
    code = (
        "from striate.sim.design import Design; from striate.sim.machine import simulate; import numpy as np;"
        "simulate(np.zeros((1, 32, 32)), Design(image=(32, 32), tiles=(1, 1), steps=1))"
    )
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - started


def table(results: dict[str, Any]) -> str:
    """Markdown for the README."""
    lines = [
        (
            f"Medians of {results['repeats']} on one core of {results['machine']} ({results['python']}); "
            f"`make bench` measures them again."
        ),
        "",
        "| what | seconds | against |",
        "|---|---|---|",
    ]
    for row in results["machine_rows"]:
        against = "" if row["baseline"] == "itself" else f"{row['ratio']:.1f}x {row['baseline']}"
        lines.append(f"| {row['what']} | {row['seconds']:.3f} | {against} |")
    lines += ["", "| every word compared | clocks a second | seconds to generate and build |", "|---|---|---|"]
    lines += [
        f"| {row['what']} | {row['cycles_per_second']:,.0f} | {row['build_seconds']:.1f} |"
        for row in results["rtl_rows"]
    ]
    lines += [
        "",
        (
            f"A new process to its first result (kernels cached): {results['start_seconds']:.1f} s. "
            f"Peak memory of this benchmark: {results['peak_mib']:.0f} MiB."
        ),
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure, write the results, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--readme", action="store_true")
    options = parser.parse_args()
    results: dict[str, Any] = {
        "repeats": options.repeats,
        "machine": platform.processor() or platform.machine(),
        "python": f"Python {platform.python_version()}, NumPy {np.__version__}",
    }
    results["machine_rows"] = machine_rows(options.repeats, options.quick)
    results["start_seconds"] = first_start_seconds()
    results["rtl_rows"] = rtl_rows(min(3, options.repeats), options.quick)
    results["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    aside = RESULTS.with_suffix(".tmp")
    aside.write_text(json.dumps(results, indent=1) + "\n")
    aside.replace(RESULTS)
    text = table(results)
    print(text)
    if options.readme:
        whole = README.read_text()
        head, rest = whole.split(START)
        README.write_text(f"{head}{START}\n{text}\n{END}{rest.split(END)[1]}")


if __name__ == "__main__":
    main()
