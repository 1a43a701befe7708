"""Words read and written in every memory, products by kind and width, events by link: of a frame and of each step.

Everything is a linear function of the counts of a run (`Counts`, or the arrays of `Steps` for single steps) and of the
plan's shapes, so that load, steps and drain add up to the frame. A *word* here is one number of a quantity's format.

In the delta machine a read takes all lanes of an access and a write only the enabled ones, as in the RTL; a pixel of
the input is read and written in R of every tile that keeps it. The schedules that are no machine count what their loops
touch, one word at a time: a weight and a word of R (or r~, D, G) for every product.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .overlap import Overlap
from .plan import Plan
from .run import Counts, Run, Steps
from .tiling import IntArray

Count = Any
"""An int, or an int64 array of one entry a step."""


@dataclass(frozen=True)
class Words:
    """Of one memory: words read and written, ``width`` bits each."""

    width: int
    reads: Count = 0
    writes: Count = 0

    @property
    def bits(self) -> Count:
        """Bits read and written."""
        return (self.reads + self.writes) * self.width


@dataclass(frozen=True)
class Products:
    """Of one kind: products of a word of ``left`` and one of ``right`` bits, summed into words of ``total`` bits."""

    left: int
    right: int
    total: int
    count: Count = 0


@dataclass(frozen=True)
class Traffic:
    """Memories and products by name; ``links``: (T, 8) events sent over each link, or (steps, T, 8), of ``link_bits``
    bits each.
    """

    memories: Mapping[str, Words]
    products: Mapping[str, Products]
    links: IntArray
    link_bits: int

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; counts of single steps are lists."""
        memories = [
            {"name": name, "width": w.width, "reads": _plain(w.reads), "writes": _plain(w.writes)}
            for name, w in self.memories.items()
        ]
        products = [
            {"kind": kind, "left": p.left, "right": p.right, "total": p.total, "count": _plain(p.count)}
            for kind, p in self.products.items()
        ]
        links = {"bits": self.link_bits, "events": self.links.tolist()}
        return {"memories": memories, "products": products, "links": links}


def frame_traffic(run: Run, *, warm: bool = False) -> Traffic:
    """Of a whole frame: load, steps and drain.

    Args:
        warm: the frame began without a clear.
    """
    parts = [load_traffic(run, warm=warm), _done(run, run.counts, run.counts.steps), drain_traffic(run)]
    memories: dict[str, Words] = {}
    products: dict[str, Products] = {}
    for part in parts:
        for name, w in part.memories.items():
            had = memories.get(name, Words(w.width))
            memories[name] = Words(w.width, had.reads + w.reads, had.writes + w.writes)
        for kind, p in part.products.items():
            before = products[kind].count if kind in products else 0
            products[kind] = Products(p.left, p.right, p.total, before + p.count)
    order = parts[1]
    return Traffic(
        {name: memories[name] for name in sorted(memories, key=_rank(order.memories))},
        {kind: products[kind] for kind in sorted(products, key=_rank(order.products))},
        run.link_traffic,
        event_bits(run.plan),
    )


def step_traffic(run: Run) -> Traffic:
    """Of each step: arrays of one entry a step."""
    done = _done(run, run.steps, np.ones(len(run.steps.percent_error), np.int64))
    return Traffic(done.memories, done.products, run.steps.link_traffic, event_bits(run.plan))


def load_traffic(run: Run, *, warm: bool = False) -> Traffic:
    """Of the clear (unless ``warm``) and the input."""
    plan, g = run.plan, run.plan.tiling.geometry
    u, d, r, s = plan.membrane.width, plan.drive_width, plan.residual_width, plan.residual.width
    clear = 0 if warm else 1
    if plan.schedule == "gram":
        done = run.counts.load_macs
        memories = {
            "U": Words(u, 0, clear * g.neurons),
            "D": Words(d, done, done + clear * g.neurons),
            "weights": Words(plan.weight.width, done),
        }
        change = plan.input_change_width + max(0, plan.input_shift)
        return _traffic(memories, {"input": Products(plan.weight.width, change, d, done)})
    if plan.schedule != "delta":
        return _traffic({"U": Words(u, 0, clear * g.neurons), "x": Words(plan.input.width, 0, run.input.size)}, {})
    cleared, inputs = _cleared(plan), {"R": _kept_pixels(plan)}
    memories = {
        name: Words(width, inputs.get(name, 0), inputs.get(name, 0) + clear * cleared[name])
        for name, width in (("U", u), ("D", d), ("R", r), ("r~", s))
    }
    if plan.refresh:  # a warm frame adds its changes to the x that is there
        memories["x"] = Words(plan.input.width, 0 if clear else run.input.size, run.input.size)
    return _traffic(memories, {})


def _cleared(plan: Plan) -> dict[str, int]:
    """Words that a clear writes, in all tiles."""
    t = plan.tiling
    words = {
        "U": t.positions * t.geometry.kernels,
        "D": t.positions_per_cycle * t.drive_depth * t.geometry.kernels,
        "R": t.residual_banks * t.residual_depth * t.columns_per_word,
        "r~": t.sent_depth * t.detect_lanes,
    }
    return {name: t.count * count for name, count in words.items()}


def _kept_pixels(plan: Plan) -> int:
    """Pixels of the image that all tiles together keep, overlaps repeated."""
    t = plan.tiling
    return t.geometry.channels * sum((y1 - y0) * (x1 - x0) for y0, y1, x0, x1 in map(t.inside, range(t.count)))


def drain_traffic(run: Run) -> Traffic:
    """Of the way out: every membrane is read once."""
    return _traffic({"U": Words(run.plan.membrane.width, run.plan.tiling.geometry.neurons)}, {})


def event_bits(plan: Plan) -> int:
    """Bits of a code event (k, i, j, dy) with its mask of neighbours."""
    t = plan.tiling
    return sum(max(1, (size - 1).bit_length()) for size in (t.geometry.kernels, *t.block)) + plan.code_change_width + 8


def _done(run: Run, n: Counts | Steps, steps: Count) -> Traffic:
    """Of the steps: ``n`` counts them together or one by one."""
    if run.plan.schedule == "delta":
        return _delta(run.plan, n)
    if run.plan.schedule == "gram":
        return _gram(run, n, steps)
    return _recomputed(run.plan, n, steps)


def _delta(plan: Plan, n: Any) -> Traffic:
    t, k = plan.tiling, plan.tiling.geometry.kernels
    u, d, r, s, w = (
        plan.membrane.width, plan.drive_width, plan.residual_width, plan.residual.width, plan.weight.width,
    )  # fmt: skip
    updated, scanned = n.update_positions * k, n.detect_words * t.detect_lanes
    # a refresh clears D, R and r~, takes the input in again and passes over U and D as an update does, writing neither
    again, cleared, kept = n.refreshes, _cleared(plan), _kept_pixels(plan)
    looked_at = updated + again * t.count * t.positions * k
    pushed = n.code_events + n.refresh_events
    memories = {
        "U": Words(u, looked_at, updated),
        "D": Words(d, looked_at + n.gather_issues * t.gather_lanes, n.gather_macs + again * cleared["D"]),
        "R": Words(
            r,
            n.scatter_issues * t.scatter_lanes + scanned + again * kept,
            n.scatter_macs + again * (cleared["R"] + kept),
        ),
        "r~": Words(s, scanned, n.residual_events + again * cleared["r~"]),
        "weights": Words(w, (n.gather_issues + n.scatter_issues) * plan.layout.lanes),
        "event stores": Words(event_bits(plan), n.scattered_events, pushed + n.link_events),
    }
    if plan.refresh:
        memories["x"] = Words(plan.input.width, again * plan.frame_store[0])
    products = {
        "gather": Products(w, plan.residual_change_width, d, n.gather_macs),
        "scatter": Products(w, plan.code_change_width, r, n.scatter_macs),
    }
    return _traffic(memories, products)


def _recomputed(plan: Plan, n: Any, steps: Count) -> Traffic:
    g = plan.tiling.geometry
    neurons, pixels = steps * g.neurons, steps * int(np.prod(g.image_shape))
    looked_at = steps * (g.pairs // g.kernels)  # a residual is read before it is known to be 0
    memories = {
        "U": Words(plan.membrane.width, 2 * neurons, neurons),  # read for the codes, then for the update
        "D": Words(plan.drive_width, neurons, neurons),
        "R": Words(plan.residual_width, n.scatter_macs + pixels, n.scatter_macs + pixels),
        "r~": Words(plan.residual.width, looked_at, pixels),
        "x": Words(plan.input.width, pixels),
        "weights": Words(plan.weight.width, n.scatter_macs + n.gather_macs),
    }
    products = {
        "gather": Products(plan.weight.width, plan.residual.width, plan.drive_width, n.gather_macs),
        "scatter": Products(plan.weight.width, plan.code_value_width, plan.residual_width, n.scatter_macs),
    }
    return _traffic(memories, products)


def _gram(run: Run, n: Counts | Steps, steps: Count) -> Traffic:
    plan, g = run.plan, run.plan.tiling.geometry
    macs = n.gram_macs if isinstance(n, Counts) else n.macs
    overlap = Overlap.of(run.dictionary, g.stride).width
    place = sum(max(1, (size - 1).bit_length()) for size in (g.kernels, *g.sheet))
    memories = {
        "U": Words(plan.membrane.width, steps * g.neurons, steps * g.neurons),
        "D": Words(plan.drive_width, steps * g.neurons + macs, macs),
        "G": Words(overlap, macs),
        "weights": Words(plan.weight.width),
        "event stores": Words(place + plan.code_change_width, n.code_events, n.code_events),
    }
    return _traffic(memories, {"gram": Products(overlap, plan.code_change_width, plan.drive_width, macs)})


def _traffic(memories: Mapping[str, Words], products: Mapping[str, Products]) -> Traffic:
    return Traffic(memories, products, np.zeros((0, 8), np.int64), 0)


def _rank(order: Iterable[str]) -> Any:
    places = {name: place for place, name in enumerate(order)}
    return lambda name: places.get(name, len(places))


def _plain(count: Count) -> Any:
    return count.tolist() if isinstance(count, np.ndarray) else int(count)
