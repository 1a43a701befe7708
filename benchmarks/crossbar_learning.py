"""Learning and repair of a dictionary in the cells of an array, by update device and kind of update.

    python benchmarks/crossbar_learning.py [--quick]

Draws docs/crossbar_learning.png and docs/crossbar_repair.png too, unless quick.

200 crops of 64x64 of four bundled photographs, 8 kernels 16x16 at stride 2; errors on 8 crops of a fifth (camera),
coded and decoded with the kernels in the cells; means over two seeds (of start, crops, cells and pulses). Points are of
percent error, above the digital learner with the same start and crops; between seeds: how far theirs are apart. Pulses
and reads are a weight and crop; reads are conversions, to verify or for a kernel's norm. Learning starts from noise in
cells without error; repair from the shipped dictionary, written with an error of 10 % of the largest conductance, 2 %
of the cells stuck. Nothing here is timed.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from common import Row, arguments, finish, machine  # isort: skip

import numpy as np

from striate.golden.dictionary import Dictionary, shipped
from striate.golden.learn import LearnParams, TrainingCrops
from striate.reports import figures
from striate.reports.learning_figures import curves
from striate.sim.crossbar.learning.study import LearnStudy, StudyParams, learn_study
from striate.sim.crossbar.learning.training import ArrayLearned
from striate.sim.crossbar.learning.updates import UpdateRule
from striate.sim.design import Design

PICTURES = ("astronaut", "chelsea", "coffee", "rocket")
CROPS, SEEDS, HELD_OUT = 200, 2, 8
DEVICES = ("ecram", "capacitor", "reram-es", "reram-array-om", "reram-array-hfo2")
EVERY = (UpdateRule("ideal"), UpdateRule("naive"), UpdateRule("write-verify"))
CLEAN = Design(device="ideal")
DAMAGED = Design(device="ideal", programming_error=0.1, fault_rate=0.02)
AGED = Design(device="wan2022", drift_seconds=172_800.0)


def study(params: StudyParams, design: Design, seed: int, crops: int, *, natural: bool = False) -> LearnStudy:
    """One study with a seed of its own."""
    learn = replace(params.learn, seed=seed, pictures=crops)
    shown = TrainingCrops(PICTURES, learn.crop_size, scales=learn.scales, seed=seed)
    camera = TrainingCrops(["camera"], learn.crop_size, scales=learn.scales, seed=1)
    start = shipped(8, 16, 2) if natural else Dictionary.random(learn.geometry, seed)
    held_out = [camera.crop(n) for n in range(HELD_OUT)]
    return learn_study(replace(params, learn=learn), start, design, shown, held_out)


def row(group: str, what: str, runs: list[ArrayLearned], digital: list[ArrayLearned]) -> Row:
    """The same run of all seeds beside digital learning."""
    error = np.array([run.curve[-1].percent_error for run in runs])
    base = np.array([run.curve[-1].percent_error for run in digital])

    def mean(name: str) -> float:
        return float(np.mean([getattr(run.curve[-1], name) for run in runs]))

    weights = runs[0].dictionary.atoms.size * max(1, runs[0].crops)
    return {
        "group": group, "what": what,
        "error_before": float(np.mean([run.curve[0].percent_error for run in runs])),
        "error_after": float(error.mean()), "points_above_digital": float((error - base).mean()),
        "between_seeds": float(np.ptp(error - base)),
        "error_by_asked_kernels": mean("percent_error_digital"), "cosine_to_asked": mean("cosine"),
        "norm": mean("norm"), "percent_at_bounds": 100 * mean("at_bounds"), "pulses": mean("pulses") / weights,
        "reads": (mean("verify_reads") + mean("norm_reads")) / weights,
    }  # fmt: skip


def group(
    title: str, params: StudyParams, design: Design, seeds: int, crops: int, *, natural: bool = False,
    names: list[str] | None = None,
) -> tuple[list[Row], list[LearnStudy]]:  # fmt: skip
    """Rows of one comparison, digital learning first."""
    found = [study(params, design, seed, crops, natural=natural) for seed in range(seeds)]
    digital = [one.digital for one in found]
    rows = [row(title, "digital, no cells", digital, digital)]
    for n, run in enumerate(params.runs):
        what = names[n] if names else f"{run.update_device}, {run.rule.how}"
        rows.append(row(title, what, [one.runs[n] for one in found], digital))
    for name in found[0].rewritten:
        again = [one.rewritten[name].percent_error for one in found]
        rows.append({"group": title, "what": f"{name}, written again and verified, nothing learned",
                     "error_after": float(np.mean(again)),
                     "points_above_digital": float(np.mean(again) - rows[0]["error_after"])})  # fmt: skip
    return rows, found


def measure(seeds: int, crops: int) -> tuple[list[Row], LearnStudy, LearnStudy]:
    """All comparisons; the first studies of learning and of repair, for the figure."""
    base = StudyParams(LearnParams(), evaluations=5)
    rows, found = group("learning from noise", replace(base, update_devices=DEVICES, rules=EVERY), CLEAN, seeds, crops)
    repair = replace(base, update_devices=("ecram", "reram-es"), rules=EVERY, repair=True)
    more, mended = group("repair: 10 % error, 2 % stuck", repair, DAMAGED, seeds, crops, natural=True)
    rows += more
    aged = replace(base, rules=EVERY[1:], repair=True)
    rows += group("repair: wan2022 after two days", aged, AGED, seeds, crops, natural=True)[0]

    def choice(title: str, names: list[str], **keys: Any) -> None:
        design = keys.pop("design", CLEAN)
        rows.extend(group(title, replace(base, **keys), design, seeds, crops, names=names)[0])

    es, om = ("reram-es",), ("reram-array-om",)
    choice("one cell and a reference", ["reram-es, naive, one cell"], update_devices=es, rules=EVERY[1:2],
           design=CLEAN.replace({"crossbar.mapping": "offset"}))  # fmt: skip
    rounded = (UpdateRule("naive", "nearest"), UpdateRule("naive"))
    choice("rounding of open-loop pulses", ["reram-array-om, nearest", "reram-array-om, stochastic"],
           update_devices=om, rules=rounded)  # fmt: skip
    trains = tuple(UpdateRule("write-verify", train=n) for n in (1, 5, 50))
    choice("pulses between two reads", [f"reram-es, {rule.train}" for rule in trains], update_devices=es, rules=trains)
    choice("plain sum of eq. 15, scale alone", ["ecram, ideal"], rules=EVERY[:1], norm="scale")
    choice("crops coded by the machine: 1 ohm a segment, 8-bit converters",
           ["reram-es, naive", "reram-es, write-verify"], update_devices=es, rules=EVERY[1:],
           coding="crossbar")  # fmt: skip
    return rows, found[0], mended[0]


def draw(learned: LearnStudy, path: Path) -> None:
    """The curves of three of the devices."""
    names = ("ecram", "reram-es", "reram-array-om")
    runs = tuple(run for run in learned.runs if run.params.update_device in names)
    figures.png(curves(replace(learned, runs=runs)), path, 110)


def main() -> None:
    """Measure, print, write."""
    options, where = arguments(__doc__, repeats=1), machine()
    rows, learned, mended = measure(1, 10) if options.quick else measure(SEEDS, CROPS)
    if not options.quick:
        docs = Path(__file__).parents[1] / "docs"
        draw(learned, docs / "crossbar_learning.png")
        figures.png(curves(mended), docs / "crossbar_repair.png", 110)
    finish("crossbar_learning", rows, where, options)


if __name__ == "__main__":
    main()
