"""Verification speed: RTL clocks a second on the compiled model, the comparison of every word included.

python benchmarks/rtl.py [--repeats N] [--quick]
"""

import os
import statistics
import tempfile
from pathlib import Path

from common import Row, arguments, finish, machine, wall
from networks import picture

from striate.hw.cosim.harness import build
from striate.hw.emit import MESH_FILE, TILE_FILE, quantised, verilog
from striate.hw.verify import Frame, verify_frames
from striate.sim.design import Design

CASES = (
    ((32, 32), (1, 1), 100, 1),
    ((32, 32), (2, 2), 100, 1),
    ((128, 128), (4, 2), 40, 1),
    ((128, 128), (4, 2), 40, 2),
)


def measure(size: tuple[int, int], tiles: tuple[int, int], steps: int, threads: int, repeats: int) -> Row:
    """Generate, build and verify one design."""
    design = Design(image=size, tiles=tiles)
    plan, weights = quantised(design)
    image = plan.quantise_image(picture(size))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        before = os.environ.get("STRIATE_CACHE")
        os.environ["STRIATE_CACHE"] = str(folder / "cache")  # so that building is measured, not looked up

        def generate() -> None:
            for name, text in verilog(plan).items():
                (folder / name).write_text(text)
            build(plan, folder / TILE_FILE, folder / MESH_FILE)

        built = wall(generate)
        verdicts = [
            verify_frames(plan, weights, [Frame(image, steps)], folder / TILE_FILE, folder / MESH_FILE, jobs=threads)
            for _ in range(repeats)
        ]
        if before is None:
            del os.environ["STRIATE_CACHE"]
        else:
            os.environ["STRIATE_CACHE"] = before
    assert all(verdict.passed for verdict in verdicts)
    return {
        "group": "RTL, every word compared",
        "what": f"{size[0]}x{size[1]}, {tiles[0]}x{tiles[1]} tiles, {steps} steps, {threads} thread(s)",
        "clocks_per_second": statistics.median(verdict.rtl_cycles_per_second for verdict in verdicts),
        "build_seconds": built,
        "clocks": verdicts[0].cycles_rtl,
        "words_compared": verdicts[0].words_compared,
        "repeats": repeats,
        "baseline": "",
        "note": "",
    }


def main() -> None:
    """Measure all cases."""
    options, where = arguments(__doc__, 3), machine()
    rows = [measure(*case, options.repeats) for case in (CASES[:1] if options.quick else CASES)]
    finish("rtl", rows, where, options)


if __name__ == "__main__":
    main()
