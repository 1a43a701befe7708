"""The engines of `golden.lca.encode` against each other: where the frequency domain pays, and what a batch costs.

    python benchmarks/engines.py [--repeats N] [--quick]

CPU time of one thread. A step's time is that of a long run less that of a short one over the difference of their
steps. Kernels of every patch size are shipped ones where there are any, else noise of unit norm (the note says so).
Rows of the engine "torch" appear where PyTorch is installed.
"""

import importlib.util

from common import Row, arguments, compared, cpu, finish, machine, rounds

# isort: split
import numpy as np

from striate.golden.batch import encode_batch
from striate.golden.dictionary import Dictionary, shipped
from striate.golden.engines import best_engine, modelled_step_ms
from striate.golden.errors import InputError
from striate.golden.geometry import Geometry
from striate.golden.images import load_image
from striate.golden.lca import Engine, LcaParams, Outcome, encode
from striate.golden.torch_engine import Precision, load_torch

# K, p, s: the patches of the strided paper, and the extremes of stride.
NETWORKS = ((32, 8, 4), (32, 16, 4), (32, 32, 4), (32, 64, 4), (32, 15, 1), (32, 16, 2))
TOGETHER = 8
FEW, MANY = 10, 30
ETA = 1 / 64


def kernels(count: int, patch: int, stride: int) -> tuple[Dictionary, str]:
    """Of that shape, and a note unless they were learned."""
    try:
        return shipped(count, patch, stride), ""
    except InputError:
        return Dictionary.random(Geometry((patch, patch), 1, count, patch, patch), 0), "noise for kernels"


def single(count: int, patch: int, stride: int, repeats: int) -> list[Row]:
    """"fast" and "fft" on one 128x128 picture."""
    image = load_image("camera", crop=(70, 170), size=(128, 128))
    found, note = kernels(count, patch, stride)
    dictionary = Dictionary(found.atoms, stride)
    run = encode(image, dictionary, LcaParams(eta=ETA, steps=MANY))
    assert run.outcome is not Outcome.DIVERGED, (count, patch, stride)

    def per_step(engine: Engine) -> float:
        times = [cpu(lambda n=steps: encode(image, dictionary, LcaParams(eta=ETA, steps=n), engine=engine))
                 for steps in (FEW, MANY)]
        return (times[1] - times[0]) / (MANY - FEW)

    medians = rounds({"fast": lambda: per_step("fast"), "fft": lambda: per_step("fft")}, repeats)
    rows = compared(f"128x128, {count}@{stride}, patch {patch}, one step", medians, repeats, "fast", {"fast": note})
    for row in rows:
        row["ms_per_step"] = 1e3 * row.pop("seconds")
        row["modelled_ms"] = modelled_step_ms(dictionary, (128, 128), row["what"])
    best = best_engine(dictionary, (128, 128))
    for row in rows:
        row["note"] = "; ".join(text for text in (row["note"], "named best" if row["what"] == best else "") if text)
    return rows


def batch(count: int, patch: int, stride: int, repeats: int) -> list[Row]:
    """PyTorch on the CPU with one thread against "fast", `TOGETHER` crops of 64x64."""
    load_torch().set_num_threads(1)
    found, note = kernels(count, patch, stride)
    dictionary = Dictionary(found.atoms, stride)
    photograph = load_image("chelsea")
    images = np.stack([photograph[:, 30 * n : 30 * n + 64, 40 * n : 40 * n + 64] for n in range(TOGETHER)])

    def per_step(engine: Engine, precision: Precision) -> float:
        times = [cpu(lambda n=steps: encode_batch(images, dictionary, LcaParams(eta=ETA, steps=n), engine=engine,
                                                  precision=precision)) for steps in (FEW, MANY)]
        return (times[1] - times[0]) / (MANY - FEW) / TOGETHER

    medians = rounds({"fast, one after another": lambda: per_step("fast", "float64"),
                      "torch, float64, together": lambda: per_step("torch", "float64"),
                      "torch, float32, together": lambda: per_step("torch", "float32")}, repeats)
    name = f"{TOGETHER} crops of 64x64, {count}@{stride}, patch {patch}, one step of one crop, CPU"
    rows = compared(name, medians, repeats, "fast, one after another", {"fast, one after another": note})
    for row in rows:
        row["ms_per_step"] = 1e3 * row.pop("seconds")
    return rows


def main() -> None:
    """Measure, print, write."""
    options, where = arguments(__doc__, 3), machine()
    rows = [row for network in NETWORKS[3:4] if options.quick for row in single(*network, options.repeats)]
    if not options.quick:
        rows = [row for network in NETWORKS for row in single(*network, options.repeats)]
        if importlib.util.find_spec("torch"):
            where["torch"] = load_torch().__version__
            for network in ((32, 16, 2), (512, 16, 16)):
                rows += batch(*network, options.repeats)
    finish("engines", rows, where, options)


if __name__ == "__main__":
    main()
