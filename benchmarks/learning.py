"""Learning: crops a second and peak memory, for each network of the strided paper and each rule.

    python benchmarks/learning.py [--repeats N] [--quick]

Every network learns in a process of its own, from crops of one photograph of the size of its recipe
(`explore.papers.recipes`; 100 steps each), from its shipped kernels where there are any (else noise), with the engine
that `golden.engines.best_engine` names. A rate is that of the median update, in CPU time of one thread; drawing the
crop, coding, the update and the checkpoint are in it. The peak is of resident memory (VmHWM) and holds interpreter,
compiled loops and photograph. Some 3 minutes; ``--repeats`` is the number of updates measured.
"""

import argparse

from common import Row, apart, arguments, finish, machine

from striate.explore.papers.configurations import CONFIGURATIONS, Configuration
from striate.explore.papers.recipes import RECIPES
from striate.golden.dictionary import Dictionary, shipped_names
from striate.golden.engines import best_engine

STEPS = 100
RULES = ("hebbian", "projected", "block-coordinate", "online")
BATCH = 4  # of the rules compared

PROGRAM = """
import json, os, statistics, tempfile, time
for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"
from striate.golden.learn import LearnParams, learn

class Enough(Exception):
    pass

updates, settings = {updates}, {settings}
times = []

def tell(progress):
    times.append(time.process_time())
    if len(times) == updates + 2:  # the first update compiles and warms up
        raise Enough

with tempfile.TemporaryDirectory() as folder:
    try:
        learn(LearnParams(pictures=10**6, **settings), ["chelsea"], os.path.join(folder, "out.npz"), progress=tell)
    except Enough:
        pass
each = [after - before for before, after in zip(times[1:], times[2:])]
print(json.dumps(dict(seconds=statistics.median(each) / settings.get("batch", 1))))
"""


def learned(configuration: Configuration, updates: int, **named: object) -> tuple[float, float, str, str]:
    """Seconds of CPU a crop, peak MiB, the engine, and where it begins."""
    c, lesson = configuration, RECIPES[configuration.name].first
    start = c.shipped_name if c.shipped_name in shipped_names() else None
    side = lesson.crop_size
    g = lesson.params(c, 0, None).geometry
    engine = best_engine(Dictionary.random(g, 0), (side, side))
    settings = {"kernels": c.kernels, "patch": c.patch, "stride": c.stride, "crop_size": side, "eta": lesson.eta,
                "steps": STEPS, "engine": engine, "start": start, **named}
    measured, peak = apart(PROGRAM.format(updates=updates, settings=settings))
    return measured["seconds"], peak, engine, "" if start else "from noise"


def networks(options: argparse.Namespace) -> list[Row]:
    """The twelve, by eq. 15, one crop an update."""
    rows: list[Row] = []
    for c in CONFIGURATIONS[:1] if options.quick else CONFIGURATIONS:
        lesson = RECIPES[c.name].first
        # The rates are those of one crop an update, at the end of a round: the kernels hardly move while measured.
        seconds, peak, engine, start = learned(c, options.repeats, rate=(lesson.rate or 0.1) * lesson.decay)
        side = lesson.crop_size
        note = "; ".join(text for text in (f"crops {side}x{side}", f"engine {engine}", start) if text)
        rows.append({"group": f"learning, Hebbian, {STEPS} steps a crop, one core", "what": c.name,
                     "crops_per_s": 1 / seconds, "peak_MiB": peak, "repeats": options.repeats, "baseline": "",
                     "note": note})
    return rows


def rules(options: argparse.Namespace) -> list[Row]:
    """Every rule on one network."""
    rows: list[Row] = []
    c = next(each for each in CONFIGURATIONS if each.name == "32@2")
    updates = max(1, options.repeats // 2)
    for rule in RULES[:1] if options.quick else RULES:
        rate = {"rate": 0.004} if rule == "hebbian" else {}
        seconds, peak, _, start = learned(c, updates, rule=rule, batch=BATCH, **rate)
        rows.append({"group": f"learning, {c.name}, {STEPS} steps a crop, {BATCH} crops an update, one core",
                     "what": rule, "crops_per_s": 1 / seconds, "peak_MiB": peak, "repeats": updates, "baseline": "",
                     "note": start})
    return rows


def main() -> None:
    """Measure, print, write."""
    options, where = arguments(__doc__, 9), machine()
    finish("learning", networks(options) + rules(options), where, options)


if __name__ == "__main__":
    main()
