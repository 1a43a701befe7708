"""Time and memory against the size of the picture: 8@2, 100 steps, cold, one thread.

    python benchmarks/scaling.py [--repeats N] [--quick]

The picture: four bundled photographs of 512x512 (camera and astronaut above brick and gravel) make 1024x1024; mirrored
to the right and then downwards they make 2048x2048. It is preprocessed whole. So that every size sees the same
material, the smaller sizes take the upper left 1024x1024 in pieces: 16 of 256x256, 4 of 512x512, one of 1024x1024;
their time is the mean of the pieces. Each size runs in a process of its own, whose peak memory is everything from
the interpreter to the result; the pictures are in it, 1024x1024 of them also for the smaller sizes. "bytes per further
pixel" is the growth of the peak from the size before over the growth in pixels: constant where memory is linear.
"""

import statistics

from common import Row, apart, arguments, finish, machine

SIZES = (256, 512, 1024, 2048)
KERNELS, STEPS = 8, 100
CORNER = 1024

PROGRAM = """
import json
import time

import numpy as np

from striate import Design, load_image, simulate
from striate.golden.preprocess import preprocess

size = {size}
names = (("camera", "astronaut"), ("brick", "gravel"))
photographs = np.block([[load_image(name, preprocess="none")[0] for name in row] for row in names])
if size > {corner}:
    photographs = np.hstack([photographs, photographs[:, ::-1]])
    photographs = np.vstack([photographs, photographs[::-1]])
whole = preprocess(photographs[None], "centre-surround")
del photographs
design = Design(image=(size, size), kernels={kernels}, steps={steps})
simulate(np.zeros((1, 64, 64)), design.replace(image=(64, 64)))  # loads the compiled kernels
compute, wall = [], []
for y in range(0, max({corner}, size), size):
    for x in range(0, max({corner}, size), size):
        started = time.perf_counter()
        run = simulate(whole[:, y : y + size, x : x + size], design)
        wall.append(time.perf_counter() - started)
        compute.append(run.compute_seconds)
        del run
print(json.dumps(dict(seconds=sum(compute) / len(compute), wall=sum(wall) / len(wall))))
"""

IMPORTS = "import numpy as np\nfrom striate import Design, load_image, simulate\nload_image, Design, simulate\n"


def main() -> None:
    """Measure every size."""
    options, where = arguments(__doc__, 3), machine()
    group = f"{KERNELS}@2, {STEPS} steps, by size"
    _, imports = apart(IMPORTS)
    rows: list[Row] = [
        {"group": group, "what": "imports alone", "peak_MiB": imports, "repeats": 1, "baseline": "", "note": ""}
    ]
    per_pixel: dict[int, float] = {}
    peaks: dict[int, float] = {}
    for size in SIZES[:-1] if options.quick else SIZES:
        program = PROGRAM.format(size=size, corner=CORNER, kernels=KERNELS, steps=STEPS)
        runs = [apart(program) for _ in range(options.repeats)]
        seconds, wall = (statistics.median(found[key] for found, _ in runs) for key in ("seconds", "wall"))
        peaks[size] = statistics.median(mib for _, mib in runs)
        per_pixel[size] = seconds / size**2
        row: Row = {
            "group": group,
            "what": f"{size}x{size}",
            "seconds": seconds,
            "simulate_seconds": wall,
            "ns_per_pixel_and_step": per_pixel[size] / STEPS * 1e9,
            "peak_MiB": peaks[size],
            "repeats": options.repeats,
            "baseline": "256x256, per pixel" if size != SIZES[0] else "",
            "ratio": per_pixel[size] / per_pixel[SIZES[0]],
            "note": "",
        }
        if size // 2 in peaks:
            growth = (peaks[size] - peaks[size // 2]) * 2**20
            row["bytes_per_further_pixel"] = growth / (size**2 - (size // 2) ** 2)
        rows.append(row)
    finish("scaling", rows, where, options)


if __name__ == "__main__":
    main()
