"""Random designs for verification: small, legal, of every kind, and busy enough to prove something."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ...golden.dictionary import Dictionary
from ...golden.errors import InputError
from ...sim.design import Design
from ...sim.fixed import ROUNDINGS, quantise
from ...sim.machine import Machine
from ...sim.plan import Plan, Values
from ...sim.tiling import IntArray

MOST_CYCLES = 120_000
"""Longest cold frame of a drawn design."""
FEWEST_EVENTS = 20
"""Code and residual events that a drawn design has at least; with several tiles also a link event. One that may settle
does."""


@dataclass(frozen=True)
class RandomDesign:
    """A drawn design with two images and two dictionaries, quantised."""

    seed: int
    number: int
    design: Design
    plan: Plan
    weights: IntArray
    other_weights: IntArray
    images: tuple[IntArray, IntArray]
    steps: int
    frame_cycles: int
    redrawn: int
    properties: dict[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """One line to find it again."""
        return f"seed {self.seed}, design {self.number}"

    def rng(self) -> np.random.Generator:
        """The generator for its handshakes."""
        return np.random.default_rng([self.seed, self.number, 1])


    def values(self, number: int) -> Values:
        """Threshold, cutoff and step shift of a frame, each as often as not the design's own (None)."""
        rng, plan = np.random.default_rng([self.seed, self.number, 3, number]), self.plan
        near, high = plan.threshold_q, plan.membrane.high
        (low, top), most = plan.shift_range, (1 << plan.cutoff_width) - 1

        def perhaps(*ones: int) -> int | None:
            return int(rng.choice(ones)) if rng.random() < 0.6 else None

        return {
            "threshold": perhaps(max(1, near // 2), min(high, near + near // 3 + 1), int(rng.integers(1, high + 1))),
            "cutoff": perhaps(0, 1, min(plan.cutoff_q + 1, most), int(rng.integers(0, most + 1))),
            "shift": perhaps(*range(low, top + 1)),
        }


def draw(seed: int, number: int) -> RandomDesign:
    """Design ``number`` of ``seed``: the same for the same pair, whatever else is drawn."""
    rng = np.random.default_rng([seed, number])
    for redrawn in range(10_000):
        drawn = _attempt(rng, seed, number, redrawn)
        if drawn is not None:
            return drawn
    raise RuntimeError(f"no legal design in 10000 draws for seed {seed}, design {number}")


def refreshing(drawn: RandomDesign) -> RandomDesign:
    """The same design, in about half of all cases with a refresh every few steps, if that is not too long a frame."""
    rng = np.random.default_rng([drawn.seed, drawn.number, 3])
    refresh = int(rng.choice([1, 2, 3, max(1, drawn.steps // 3)])) if rng.random() < 0.5 else 0
    plan = replace(drawn.plan, refresh=refresh)
    run = Machine(plan, drawn.weights).frame(drawn.images[0], drawn.steps)
    assert run.cycles is not None
    if run.cycles.frame > MOST_CYCLES:
        return replace(drawn, properties=drawn.properties | {"refresh": 0})
    properties = drawn.properties | {"refresh": refresh, "overflow": run.overflow}
    design = drawn.design.replace(refresh=refresh)
    return replace(drawn, design=design, plan=plan, frame_cycles=run.cycles.frame, properties=properties)


def _attempt(rng: np.random.Generator, seed: int, number: int, redrawn: int) -> RandomDesign | None:
    """One draw; None when it is illegal, too long, or shows too little."""
    stride = int(rng.choice([1, 2, 4]))
    patch = int(rng.choice([p for p in range(max(3, stride), 17) if (p - stride) % 2 == 0]))
    kernels, channels = int(rng.integers(1, 9)), int(rng.choice([1, 1, 1, 2, 3]))
    tiles = (int(rng.integers(1, 5)), int(rng.integers(1, 5)))
    need = [max(1, -(-(patch - stride) // stride)) if n > 1 else 1 for n in tiles]
    block = [int(rng.integers(n, n + 5)) for n in need]
    divisors = [n for n in range(1, kernels + 1) if kernels % n == 0]
    gather_lanes = int(rng.choice([kernels, 2 * kernels, 4 * kernels, *divisors]))
    scatter_lanes = int(rng.choice([1, 2, 4, 8, 16]))
    detect_lanes = int(rng.choice([n for n in (1, 2, 4, 8, 16) if n <= scatter_lanes]))
    two_sided = bool(rng.integers(2))
    modes = [f":{r}{o}" for r in ROUNDINGS for o in ("", ":wrap")]
    mode = [str(rng.choice(modes)) if rng.random() < 0.5 else "" for _ in range(4)]
    fw, fy, fr, fu = (int(rng.integers(*span)) for span in ((3, 9), (3, 9), (3, 10), (6, 14)))
    extra = int(rng.integers(1, 3))
    signed_code = two_sided or rng.random() < 0.3
    shift = int(rng.integers(2, 6))
    steps = int(rng.integers(8, 13))
    # drawn apart, so that every other draw of an attempt stays what it was without these keys
    calm = np.random.default_rng([seed, number, redrawn, 2])
    settle = int(calm.choice([1, 2, 3, 5])) if calm.random() < 0.6 else 0
    together = 2 if calm.random() < 0.7 and gather_lanes >= 2 * kernels else 1
    block[1] += block[1] % together
    image = (tiles[0] * block[0] * stride, tiles[1] * block[1] * stride)
    if settle:  # coarse codes come to rest soon
        steps, shift, fy = steps + 30, min(shift, 3), min(fy, 4)
    code_bits = fy + extra
    schedule = ((0, shift), (int(rng.integers(1, steps)), int(rng.integers(2, 6)))) if rng.random() < 0.3 else shift
    try:
        design = Design(
            image=image,
            channels=channels,
            kernels=kernels,
            patch=patch,
            stride=stride,
            preprocess="none",
            threshold=float(rng.choice([0.05, 0.1, 0.2, 0.3])),
            transfer=str(rng.choice(["hard", "soft"])),
            two_sided=two_sided,
            residual_cutoff=float(rng.choice([0.0, 0.005, 0.02, 0.06])),
            step_shift=schedule,
            steps=steps,
            settle=settle,
            weight=f"s{fw + int(rng.integers(1, 3))}.{fw}",
            code=f"{'s' if signed_code else 'u'}{code_bits + signed_code}.{fy}{mode[1]}",
            residual=f"s{fr + int(rng.integers(1, 3))}.{fr}{mode[2]}",
            membrane=f"s{fu + int(rng.integers(1, 4))}.{fu}{mode[3]}",
            tiles=tiles,
            gather_lanes=gather_lanes,
            scatter_lanes=scatter_lanes,
            detect_lanes=detect_lanes,
            update_positions=together,
            link_depth=int(rng.choice([1, 2, 3, 5, 8, 16, 33, 64])),
            residual_accumulator=int(rng.choice([0, 0, 10, 12, 18])),
            drive_accumulator=int(rng.choice([0, 0, 11, 16])),
        )
        design.check_machine()
    except InputError:
        return None
    weights, other = (
        np.asarray(
            quantise(Dictionary.random(design.geometry, int(rng.integers(1 << 30))).atoms, design.formats.weight),
            np.int64,
        )
        for _ in range(2)
    )
    plan = Plan.of(design, weights)
    t = plan.tiling
    if t.geometry.neurons > 4000 or np.prod(t.region) * t.count > 12_000:
        return None  # too long to be worth trying
    low, high = plan.input.low, plan.input.high
    amplitude = float(rng.choice([0.1, 0.3, 0.6])) * (1 << plan.input.frac)
    images = tuple(
        np.clip(np.rint(rng.standard_normal(t.geometry.image_shape) * amplitude), low, high).astype(np.int64)
        for _ in range(2)
    )
    run = Machine(plan, weights).frame(images[0], steps)
    assert run.cycles is not None
    c = run.counts
    if min(c.code_events, c.residual_events) < FEWEST_EVENTS or run.cycles.frame > MOST_CYCLES:
        return None
    if t.count > 1 and not c.link_events or settle and not run.settled:
        return None
    properties = {
        "kernels": kernels,
        "patch": patch,
        "stride": stride,
        "channels": channels,
        "tiles": f"{tiles[0]}x{tiles[1]}",
        "transfer": design.dynamics.transfer,
        "sides": 2 if two_sided else 1,
        "link_depth": plan.link_depth,
        "gather": f"{t.positions_per_cycle} positions, 1/{t.kernel_groups} of the kernels",
        "scatter_lanes": scatter_lanes,
        "update_positions": plan.tiling.update_positions,
        "detect_lanes": detect_lanes,
        "step_shifts": len(plan.shifts),
        **{f"{name}_rounding": getattr(plan, name).rounding for name in ("code", "residual", "membrane")},
        **{f"{name}_overflow": getattr(plan, name).overflow for name in ("code", "residual", "membrane")},
        "settle": settle,
        "settled": run.settled,
        "outcome": run.outcome.value,
        "overflow": run.overflow,
    }
    return RandomDesign(
        seed, number, design, plan, weights, other, (images[0], images[1]), steps, run.cycles.frame, redrawn, properties
    )
