"""The machine against the same network in floats: 200 steps from cold, on one core, everybody in turn.

    python benchmarks/speed.py [--repeats N] [--quick]

Against the machine (``delta``, bit-exact, event by event) stand the golden model's two engines (float64), a plain
NumPy im2col loop and PyTorch's conv2d + conv_transpose2d (float32, one thread; left out where PyTorch is missing:
``pip install -e .[torch]``). The dense float loops do the same work in every step, so they are timed over fewer steps
and scaled to 200; before that each of them must agree with the golden model in percent error.

The machine's time is `Run.compute_seconds`: the frame itself, without quantising the dictionary. Its other schedules
are timed with it. Last: memory and start of a new process.
"""

from collections.abc import Callable

from common import Row, apart, arguments, compared, finish, machine, rounds, wall

# isort: split
import numpy as np
from networks import SMALL, W1, W3, Array, dictionary, numpy_lca, picture, torch_lca

from striate.golden.conv import synthesis
from striate.golden.dictionary import Dictionary
from striate.golden.lca import LcaParams, encode
from striate.golden.metrics import percent_error
from striate.sim.design import Design
from striate.sim.machine import simulate

STEPS = 200
MACHINE = "machine, delta, 1 thread"

# Network, image, steps that the dense float loops are timed over, schedules besides delta.
CASES = (
    (W1, (128, 128), 20, ("gram", "skip", "dense")),
    (SMALL, (128, 128), 20, ("gram", "skip", "dense")),
    (W3, (512, 512), 5, ("gram",)),
)

# A run of its own: what the whole of a job takes up. The first line alone is the imports.
IMPORTS = "import json\nfrom striate.golden.images import load_image\nfrom striate import Design, simulate\n"
JOB = (
    IMPORTS + 'image = load_image("camera", crop=(70, 170), size=(128, 128))\n'
    "run = simulate(image, Design(kernels=32))\nprint(json.dumps({'seconds': run.compute_seconds}))"
)


def floats(image: Array, atoms: Dictionary, few: int) -> dict[str, Callable[[], float]]:
    """The dense float loops: seconds of `STEPS` steps, scaled from few; checked against the golden model first."""
    kernels, stride = atoms.atoms, atoms.stride
    loops: dict[str, Callable[[int], Array]] = {
        "NumPy im2col, float32": lambda n: numpy_lca(image, kernels, stride, n, np.float32),
        "NumPy im2col, float64": lambda n: numpy_lca(image, kernels, stride, n, np.float64),
        "PyTorch conv2d, float32": lambda n: torch_lca(image, kernels, stride, n),
    }
    truth = encode(image, atoms, LcaParams(steps=few))
    wanted = percent_error(image, truth.residual)
    for name in list(loops):
        try:
            code = loops[name](few)
        except ImportError:
            print(f"{name}: not installed, left out")
            del loops[name]
            continue
        size = (image.shape[1], image.shape[2])
        reached = percent_error(image, image - synthesis(code.astype(np.float64), kernels, stride, size))
        assert abs(reached - wanted) < 0.01, f"{name}: {reached} percent after {few} steps, not {wanted}"
    return {f"{name}, 1 thread": lambda f=loop: wall(lambda: f(few)) * STEPS / few for name, loop in loops.items()}


def case(name: str, size: tuple[int, int], few: int, others: tuple[str, ...], repeats: int, quick: bool) -> list[Row]:
    """All contestants on one network."""
    image, atoms = picture(size), dictionary(name)
    design = Design(image=size, kernels=atoms.kernels, patch=atoms.patch, stride=atoms.stride, steps=STEPS)

    def fixed(threads: int = 1, schedule: str = "delta") -> float:
        run = simulate(image, design.replace(schedule=schedule), dictionary=atoms, threads=threads)
        return run.compute_seconds

    medians = rounds({MACHINE: fixed, "machine, delta, 2 threads": lambda: fixed(2)}, max(repeats, 3))
    medians |= rounds(
        {f"machine, {schedule}, 1 thread": lambda s=schedule: fixed(schedule=s) for schedule in others},
        1 if quick else min(repeats, 3),
    )
    contestants: dict[str, Callable[[], float]] = {
        "golden, fast, float64": lambda: wall(lambda: encode(image, atoms, LcaParams(steps=STEPS))),
        "golden, reference, float64": lambda: (
            wall(lambda: encode(image, atoms, LcaParams(steps=few), engine="reference")) * STEPS / few
        ),
    }
    medians |= rounds(contestants | floats(image, atoms, few), 1 if quick else min(repeats, 3))
    tiles = f"{design.machine.tiles[0]}x{design.machine.tiles[1]} tiles"
    notes = {MACHINE: tiles, **{what: f"{few} steps, scaled" for what in medians if "machine" not in what}}
    notes["golden, fast, float64"] = ""
    title = f"{name}, {STEPS} steps" + (f", kernels of {atoms.source}" if name == W3 else "")
    rows = compared(title, medians, repeats, MACHINE, notes)
    for row in rows:
        row["repeats"] = max(repeats, 3) if "delta" in row["what"] else (1 if quick else min(repeats, 3))
    return rows


def process_rows(repeats: int) -> list[Row]:
    """Memory and time of processes that do one job, their compiled kernels in the cache."""
    apart(JOB)
    rows = []
    for what, program in (("imports alone", IMPORTS), (f"{W1}, {STEPS} steps, delta", JOB)):
        runs = []
        for _ in range(repeats):
            peak: list[float] = []
            seconds = wall(lambda p=program, m=peak: m.append(apart(p)[1]))
            runs.append((seconds, peak[0]))
        seconds, mib = (float(value) for value in np.median(np.array(runs), axis=0))
        rows.append({"group": "A process of its own", "what": what, "seconds": seconds, "peak_MiB": mib,
                     "repeats": repeats, "baseline": "", "note": ""})  # fmt: skip
    return rows


def main() -> None:
    """Measure all cases."""
    options, where = arguments(__doc__), machine()
    rows: list[Row] = []
    for name, size, few, others in CASES:
        rows += case(name, size, few, () if options.quick else others, options.repeats, options.quick)
    rows += process_rows(1 if options.quick else 3)
    finish("speed", rows, where, options)


if __name__ == "__main__":
    main()
