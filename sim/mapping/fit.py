"""The smallest mapping of a design that fits a board and meets a frame rate, found with exact cycles.

*Smallest*: fewest memory blocks, then fewest multipliers, then fewest cycles. What is searched: tiles, gather, scatter
and detect lanes, one or two positions a cycle of update, and as deep a link as the estimate of look-up tables allows;
R's word is its proven bound where that costs no block, else what the design says. Nothing else of the design changes,
so neither does a bit of the result.

The search counts memories and multipliers first; of what fits, a lower bound of the cycles (`workload`) removes what
cannot be fast enough; the rest runs on the bit-exact machine, smallest first, until one meets the rate.
"""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ...golden.errors import InputError
from .. import widths
from ..machine import Machine
from ..plan import Plan
from ..run import FloatArray
from ..tiling import IntArray
from .devices import device_of
from .nearest import nothing_fits
from .resources import Budget, resources
from .shrink import shrink as smaller_network
from .space import any_plan, legal_plans, machine_keys, on_one_tile, settings_text, weights_of
from .workload import Workload, record

if TYPE_CHECKING:
    from ...golden.dictionary import Dictionary
    from ..design import Design

FASTEST_RUNS = 12
"""Most runs spent on finding the fastest mapping that fits."""


class DoesNotFit(InputError):
    """No mapping fits, or none that fits is fast enough: the job failed, nothing was typed wrong."""


@dataclass(frozen=True)
class Candidate:
    """A legal mapping that fits: its plan, what it takes, and the fewest cycles it can need; ``cycles`` once run."""

    plan: Plan
    budget: Budget
    least_cycles: int
    proven_residual: bool
    cycles: int | None = None

    @property
    def size(self) -> tuple[int, int]:
        """What makes a mapping small: memory blocks, then multipliers."""
        return self.budget.resources.blocks, self.budget.resources.multipliers

    @property
    def machine(self) -> dict[str, Any]:
        """Its keys of the design's machine section."""
        return machine_keys(self.plan) | ({"residual_accumulator": 0} if self.proven_residual else {})


@dataclass(frozen=True)
class Fitted:
    """The result of `fit`.

    Args:
        design: the design with the mapping in its machine section, board and clock in its target section.
        chosen: the mapping, run. target_fps, clock_mhz: what was asked for.
        legal, fitting, promising: mappings counted, those that fit, those of them that the bound did not rule out.
        tried: the mappings that were run, in order; the last one is ``chosen``.
        changes: what was made smaller, in words. dictionary: the kernels, where they are not the design's own.
    """

    design: "Design"
    chosen: Candidate
    target_fps: float
    clock_mhz: float
    legal: int
    fitting: int
    promising: int
    tried: tuple[Candidate, ...]
    changes: tuple[str, ...] = ()
    dictionary: "Dictionary | None" = None

    @property
    def cycles(self) -> int:
        """Of a cold frame of the picture, exact."""
        assert self.chosen.cycles is not None
        return self.chosen.cycles

    @property
    def frames_per_second(self) -> float:
        """One frame after the other at the clock asked for."""
        return self.clock_mhz * 1e6 / self.cycles


def fit(
    design: "Design",
    board: str,
    target_fps: float,
    *,
    image: FloatArray | None = None,
    dictionary: "Dictionary | None" = None,
    clock_mhz: float | None = None,
    shrink: bool = False,
) -> Fitted:
    """Find the smallest mapping of a design that fits a board and makes ``target_fps`` frames a second.

    Args:
        image: (C, H, W) whose cold frame is timed; None: the centre of the bundled photograph "camera".
        dictionary: in place of the one the design names. clock_mhz: None: the design's ``target.clock_mhz``.
        shrink: where the network fits in no way, take the largest near it that does (`shrink.shrink`): a smaller
            picture first. ``Fitted.changes`` says what became of it, ``Fitted.dictionary`` holds its kernels.

    Raises:
        InputError: an unknown board, a rate or clock that is not positive, a schedule without a machine, an image of
            another shape.
        DoesNotFit: a network that no mapping fits on the board (which memory, how much is over, the nearest that fits);
            a rate that no mapping that fits reaches (what the fastest makes).
    """
    if not (isinstance(target_fps, int | float) and target_fps > 0 and math.isfinite(target_fps)):
        raise InputError(
            f"the frame rate must be a number above 0 and finite, not {target_fps!r} frames/s; ask for 30, say"
        )
    design, dictionary, changes = _smaller(design, board, dictionary) if shrink else (design, dictionary, ())
    space = replace(_search(design, board, image, dictionary, clock_mhz), changes=changes, dictionary=dictionary)
    wanted = space.clock_mhz * 1e6 / target_fps
    promising, tried = [c for c in space.candidates if c.least_cycles <= wanted], []
    for candidate in promising:
        tried.append(space.run(candidate))
        if _cycles(tried[-1]) <= wanted:
            return space.fitted(tried, target_fps, len(promising))
    best, bound = _fastest(space, tried), min(c.least_cycles for c in space.candidates)
    fps = space.clock_mhz * 1e6 / _cycles(best)
    raise DoesNotFit(
        f"{target_fps:g} frames/s are out of reach on {board} ({best.budget.device.name}) at {space.clock_mhz:g} MHz: "
        f"the fastest mapping found that fits, {settings_text(best.machine)}, makes {fps:.1f}, and none can make more "
        f"than {space.clock_mhz * 1e6 / bound:.1f}; ask for {math.floor(fps * 10) / 10:g} or less, fewer "
        f"dynamics.steps, or another board"
    )


def fastest(
    design: "Design",
    board: str,
    *,
    image: FloatArray | None = None,
    dictionary: "Dictionary | None" = None,
    clock_mhz: float | None = None,
    shrink: bool = False,
    runs: int = FASTEST_RUNS,
) -> Fitted:
    """The fastest mapping that fits, found with at most so many runs, those with the lowest bounds first.

    ``target_fps`` of the result is what no mapping can exceed. Arguments and errors as for `fit`.
    """
    design, dictionary, changes = _smaller(design, board, dictionary) if shrink else (design, dictionary, ())
    space = replace(_search(design, board, image, dictionary, clock_mhz), changes=changes, dictionary=dictionary)
    bound = min(c.least_cycles for c in space.candidates)
    return space.fitted([_fastest(space, [], runs)], space.clock_mhz * 1e6 / bound, len(space.candidates))


def _smaller(
    design: "Design", board: str, dictionary: "Dictionary | None"
) -> "tuple[Design, Dictionary | None, tuple[str, ...]]":
    """The largest network near the design's that fits a board, its kernels, and what was changed."""
    found = smaller_network(design, board, dictionary)
    if found is None:
        raise DoesNotFit(f"no network of this kind fits {board}, however small the picture; take a larger board")
    return (found.design, found.dictionary, found.changes) if found.changes else (design, dictionary, ())


@dataclass(frozen=True)
class _Search:
    """All that fits, smallest first, and what is needed to run it."""

    design: "Design"
    clock_mhz: float
    weights: IntArray
    image: IntArray
    legal: int
    candidates: list[Candidate]
    changes: tuple[str, ...] = ()
    dictionary: "Dictionary | None" = None

    def run(self, candidate: Candidate) -> Candidate:
        """The candidate with the exact cycles of the frame."""
        run = Machine(candidate.plan, self.weights).frame(self.image, self.design.dynamics.steps)
        assert run.cycles is not None
        return replace(candidate, cycles=run.cycles.frame)

    def fitted(self, tried: list[Candidate], target_fps: float, promising: int) -> Fitted:
        """The last candidate tried, with the record of the search."""
        chosen = tried[-1]
        design = self.design.replace({f"machine.{key}": value for key, value in chosen.machine.items()})
        return Fitted(
            design, chosen, target_fps, self.clock_mhz, self.legal, len(self.candidates), promising, tuple(tried),
            self.changes, self.dictionary,
        )  # fmt: skip


def _search(
    design: "Design", board: str, image: FloatArray | None, dictionary: "Dictionary | None", clock_mhz: float | None
) -> _Search:
    device, clock = device_of(board), design.target.clock_mhz if clock_mhz is None else clock_mhz
    if not (clock > 0 and math.isfinite(clock)):
        raise InputError(f"target.clock_mhz must be above 0, not {clock:g}; the default is 80")
    if design.machine.schedule != "delta":
        raise InputError(
            f"machine.schedule '{design.machine.schedule}' has no hardware to fit; use machine.schedule = \"delta\""
        )
    design = design.replace({"target.board": board, "target.clock_mhz": float(clock)})
    on_one_tile(design).check_machine()  # tiles and lanes may be anything; formats and dynamics may not
    weights = weights_of(design, dictionary)
    base = any_plan(design, weights)
    found = [(plan, Budget(device, resources(plan, device))) for plan in legal_plans(design, base, device)]
    fitting = [(plan, budget) for plan, budget in found if budget.fits]
    fitting = [(plan, budget) for plan, budget in fitting if budget.comfortable] or fitting
    if not fitting:
        raise DoesNotFit(nothing_fits(design, weights, board, found))
    shown = image if image is not None else default_picture(design)
    if shown.shape != design.geometry.image_shape:
        raise InputError(
            f"the image is {shown.shape}, the design wants (C, H, W) = {design.geometry.image_shape}; crop the image "
            f"or set network.image and network.channels"
        )
    workload = record(base, weights, base.quantise_image(shown), design.dynamics.steps)
    # a wider R changes the bits of a run that left its word
    proven = 0 if workload.run.overflow else widths.signed_bits(*widths.residual_bound(design, weights))
    candidates = [_candidate(plan, budget, workload, proven) for plan, budget in fitting]
    candidates.sort(key=lambda c: (*c.size, c.least_cycles))
    return _Search(design, float(clock), weights, workload.run.input, len(found), candidates)


def _cycles(candidate: Candidate) -> int:
    assert candidate.cycles is not None
    return candidate.cycles


def _candidate(plan: Plan, budget: Budget, workload: Workload, proven: int) -> Candidate:
    """With R's word at its proven bound of so many bits where that takes no more blocks."""
    least = workload.least_cycles(plan)
    if proven > plan.residual_width:
        wider = replace(plan, residual_width=proven)
        grown = Budget(budget.device, resources(wider, budget.device))
        if grown.resources.blocks == budget.resources.blocks and grown.fits:
            return Candidate(wider, grown, least, True)
    return Candidate(plan, budget, least, False)


def _fastest(space: _Search, tried: list[Candidate], runs: int = FASTEST_RUNS) -> Candidate:
    """The fastest of all, by branch and bound within so many runs."""
    best = min(tried, key=_cycles, default=None)
    known = {c.plan for c in tried}
    rest = sorted((c for c in space.candidates if c.plan not in known), key=lambda c: c.least_cycles)
    for candidate in rest[:runs]:
        if best is not None and candidate.least_cycles >= _cycles(best):
            break
        done = space.run(candidate)
        best = done if best is None or _cycles(done) < _cycles(best) else best
    assert best is not None
    return best


def default_crop(design: "Design") -> tuple[int, int]:
    """Where `default_picture` begins in the bundled photograph: row, column.

    Raises:
        InputError: an image larger than the photograph.
    """
    (height, width), side = design.network.image, 512
    if height > side or width > side:
        raise InputError(
            f"the bundled photograph has {side} x {side} pixels, network.image is {[height, width]}; give an image "
            f"(--picture)"
        )
    return (side - height) // 2, (side - width) // 2


def default_picture(design: "Design") -> FloatArray:
    """The centre of the bundled photograph "camera" at the design's size, with the design's preprocessing.

    Raises:
        InputError: an image larger than the photograph.
    """
    from ...golden.images import load_image

    n = design.network
    return load_image(
        "camera", crop=default_crop(design), size=n.image, channels=n.channels, preprocess=design.input.preprocess
    )
