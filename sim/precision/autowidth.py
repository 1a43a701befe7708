"""Automatic number formats: the cheapest ones that keep a loss budget on calibration pictures.

1. *Ranges.* w from the dictionary, exactly. u, r~, y and x from wide runs of the pictures, times a margin; the usual
   range (r~ +-1, y 2, u +-2, x +-1) grows where that needs more, and that of u shrinks to +-1 where that will do.
   R and D get their proven bounds.
2. *Sweeps.* One format's fraction at a time, the others wide, down to the first width beyond the budget. No format goes
   below its width here later on: what one gains by chance does not pay for what another loses.
3. *Joint.* From the narrowest width of each sweep: widen the format that helps most until the budget holds, then narrow
   again, most memory first, while it holds.

Every trial runs the bit-exact machine on every picture (`calibration`). Everything is deterministic.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from ...golden.errors import InputError
from .. import widths
from ..design import Design
from ..fixed import quantise
from ..run import FloatArray
from .calibration import Calibration, Trial, with_widths
from .ranges import Ranges

Tell = Callable[[str, float], None]

SWEPT = ("weight", "residual", "membrane", "code")
"""The formats that are searched, in the order of the sweeps. The input keeps its default fraction."""
WIDE = {"weight": 16, "residual": 12, "membrane": 20, "code": 12}
"""Widths at the usual ranges that cost nothing measurable: the ranges are taken with them."""
ROOMY = {"weight": 12, "residual": 11, "membrane": 18, "code": 10}
"""The other formats' widths in a sweep: as good, and with half the events."""
FIRST = {"weight": 9, "residual": 10, "membrane": 15, "code": 9}
"""Where a sweep starts: narrower while the budget holds, wider while it does not."""
LEAST = {"weight": 3, "residual": 3, "membrane": 5, "code": 3}
USUAL = {"weight": 1, "residual": 1, "membrane": 2, "code": 1, "input": 1}
"""Bits before the point, sign included: w, r~ and x +-1, y 2, u +-2."""
CUTOFF_SHARE = 0.25
"""Formats of r~ move the cutoff to a multiple of half their unit; by at most this share of it."""
SPARE = 3
"""Bits of range beyond the usual while the ranges are measured."""
HOPELESS = 5.0
"""Points: a loss that no fraction explains, a step that is too large does."""
CHAOS = 0.1
"""Points by which the error of one picture moves without a reason."""


@dataclass(frozen=True)
class Tried:
    """One step of the search: in which part, what was changed, and what came of it (None: the design is refused)."""

    stage: str
    widths: dict[str, int]
    trial: Trial | None
    refused: str = ""

    @property
    def loss(self) -> float:
        """Points, infinite for a refused design."""
        return float("inf") if self.trial is None else self.trial.loss


@dataclass(frozen=True)
class AutoWidths:
    """The result of `search`.

    Args:
        design: the design with the formats found; None where no formats keep the budget.
        budget: points. trial: the formats on the calibration pictures, with the ranges of every step.
        best: the least loss met in any trial with all formats wide, points.
        wholes: bits before the point of each format, sign included.
        bits: what the formats cost, `memory_bits`. tried: every trial, in order. notes: what a reader should know.
    """

    design: Design | None
    budget: float
    trial: Trial | None
    ranges: Ranges | None
    best: float
    wholes: dict[str, int]
    bits: int
    tried: tuple[Tried, ...]
    notes: tuple[str, ...]


def memory_bits(design: Design, atoms: FloatArray) -> int:
    """State and weights of an undivided machine: ``neurons (Bu + WD) + pixels (WR + Br) + weights Bw`` bits.

    Args:
        design: the design. atoms: (K, C, p, p) its dictionary.
    """
    g, f = design.geometry, design.formats
    words = widths.resolve(design, quantise(atoms, f.weight))
    pixels = g.channels * g.image[0] * g.image[1]
    state = g.neurons * (f.membrane.width + words.drive) + pixels * (words.residual + f.residual.width)
    return int(state + atoms.size * f.weight.width)


def whole_bits(most: float, *, margin: float = 1.0) -> int:
    """Bits n before the point, sign included, of the smallest range ``+-2^(n-1)`` that holds ``most * margin``.

    At least 0, which is ``+-1/2``.
    """
    need, n = most * margin, 0
    while 2.0 ** (n - 1) <= need:
        n += 1
    return n


def check_search(design: Design, budget: float, margin: float) -> None:
    """Refuse, before anything runs, what `search` cannot do.

    Raises:
        InputError: a budget or margin out of range, the gram form, and what the machine refuses of the design.
    """
    if not (np.isfinite(budget) and budget >= 0):
        raise InputError(f"a loss budget must be at least 0 points, not {budget}; 0.1 is about no loss")
    if not (np.isfinite(margin) and margin >= 1):
        raise InputError(f"a range's margin must be at least 1, not {margin}; the default is 1.5")
    if design.machine.schedule == "gram":
        raise InputError(
            'machine.schedule "gram" has no residual whose format could be searched; choose the formats with '
            '"delta" and set the schedule afterwards'
        )
    design.check_machine()


def search(
    design: Design, calibration: Calibration, *, budget: float = 0.1, margin: float = 1.5, tell: Tell | None = None
) -> AutoWidths:
    """The cheapest formats (`memory_bits`) whose mean loss over the pictures is within the budget.

    Args:
        design: everything but the widths; its roundings, overflows and signs stay.
        calibration: the pictures. budget: points of percent error above float64.
        margin: factor on measured ranges. tell: called with what is done and about what share of it is.

    Raises:
        InputError: a budget or margin out of range, and what the machine refuses of the design itself.
    """
    check_search(design, budget, margin)
    # dense, skip and every tiling give the same bits; one tile on the delta schedule gives them soonest
    fast = design.replace({"machine.tiles": (1, 1), "machine.schedule": "delta"})
    work = _Search(fast, calibration, budget, tell or (lambda text, share: None))
    notes = work.find_ranges(margin)
    minima = work.sweeps()
    if minima is None:
        return AutoWidths(None, budget, None, None, work.best, work.wholes, 0, tuple(work.tried), tuple(notes))
    found = work.joint(minima)
    if found is None:
        return AutoWidths(None, budget, None, None, work.best, work.wholes, 0, tuple(work.tried), tuple(notes))
    chosen = work.design_of(found)
    trial = calibration.judge(chosen, watch=True)
    settled = {f"formats.{name}": getattr(chosen.formats, name) for name in (*SWEPT, "input")}
    accumulators = {"machine.residual_accumulator": 0, "machine.drive_accumulator": 0}
    if len(calibration.images) < 3 or trial.spread > budget:
        notes.append(
            f"the loss is {trial.loss:+.2f} +- {trial.spread:.2f} points over {len(calibration.images)} picture(s) and "
            f"a single picture moves by about {CHAOS} for no reason: give more pictures to tell {budget} points apart"
        )
    return AutoWidths(
        design.replace({**settled, **accumulators}), budget, trial, trial.ranges, work.best, work.wholes,
        memory_bits(chosen, calibration.dictionary.atoms), tuple(work.tried), tuple(notes),
    )  # fmt: skip


@dataclass
class _Search:
    design: Design
    calibration: Calibration
    budget: float
    tell: Tell
    wholes: dict[str, int] = field(default_factory=lambda: dict(USUAL))
    tried: list[Tried] = field(default_factory=list)
    best: float = float("inf")
    known: dict[tuple[int, ...], Tried] = field(default_factory=dict)

    # ---- ranges ------------------------------------------------------------------------------------------------------
    def find_ranges(self, margin: float) -> list[str]:
        """Set ``wholes`` from the dictionary and from wide runs of every picture; what was unusual, in words."""
        notes = []
        if self.design.formats.code.signed:
            self.wholes["code"] = 2
        most = float(np.abs(self.calibration.dictionary.atoms).max())
        self.wholes["weight"] = max(0, whole_bits(most))
        self.tell("ranges", 0.0)
        common = dict(self.wholes)
        most_x = max(float(np.abs(image).max()) for image in self.calibration.images)
        self.wholes = {name: bits + SPARE for name, bits in common.items()} | {"weight": common["weight"]}
        self.wholes["input"] = max(common["input"], whole_bits(most_x))
        trial = self.calibration.judge(self.design_of(WIDE), watch=True)
        self.wholes = common
        self.tried.append(Tried("ranges", dict(WIDE), trial))
        self.best = trial.loss
        assert trial.ranges is not None
        if trial.saturations or trial.loss > HOPELESS:
            raise InputError(
                f"wide formats lose {trial.loss:.1f} points against float64 and {trial.saturations} membranes leave "
                f"their word, so no width can be judged; raise dynamics.step_shift or dynamics.threshold"
            )
        for symbol, name in (("u", "membrane"), ("r~", "residual"), ("y", "code"), ("x", "input")):
            q, fmt, usual = trial.ranges[symbol], getattr(self.design.formats, name), self.wholes[name]
            reach = max(-q.seen.low, q.seen.high) * 2.0**-q.frac
            need = whole_bits(reach, margin=1.0 if name == "input" else margin) - (not fmt.signed)
            if name == "membrane":
                need = max(need, 1)  # not below +-1, however little these pictures drive
            elif name == "input" and self.design.input.preprocess == "centre-surround":
                need = max(need, usual)  # proved for pixels of 0 to 1, whatever these pictures reached
            if need > usual or (name == "membrane" and need < usual):
                self.wholes[name] = need
                holds, word = 2.0 ** (need - fmt.signed), "more" if need > usual else "fewer"
                notes.append(
                    f"{symbol} reached {reach:.3f} on the pictures: with a margin of {margin:g} a range of {holds:g} "
                    f"holds it, {abs(need - usual)} bit(s) {word} than usual"
                )
        if self.wholes["weight"] != USUAL["weight"]:
            notes.append(
                f"w reaches {most:.3f} in the dictionary: a range of {2.0 ** (self.wholes['weight'] - 1):g} holds it"
            )
        return notes

    # ---- trials ------------------------------------------------------------------------------------------------------
    def design_of(self, at: Mapping[str, int]) -> Design:
        """The design with widths given at the usual ranges: the fraction counts, the range found is put around it."""
        usual = USUAL | ({"code": 2} if self.design.formats.code.signed else {})
        real = {name: max(2, width - usual[name] + self.wholes[name]) for name, width in at.items()}
        made = with_widths(self.design, real, self.wholes)
        x = self.design.formats.input
        frac = min(9, made.residual_frac)
        whole = self.wholes["input"] if x.signed else self.wholes["input"] - 1
        return made.replace({"formats.input": type(x)(x.signed, max(2, frac + whole), frac, x.rounding, x.overflow)})

    def run(self, stage: str, at: Mapping[str, int]) -> Tried:
        """Judge these widths, or remember them."""
        key = tuple(at[name] for name in SWEPT)
        if key in self.known:
            return self.known[key]
        text = ", ".join(f"{name} {at[name]}" for name in SWEPT)
        self.tell(f"{stage}: {text}", min(0.97, len(self.tried) / 32))
        try:
            design = self.design_of(at)
            self._cutoff_survives(design)
            found = Tried(stage, dict(at), self.calibration.judge(design))
        except InputError as error:
            found = Tried(stage, dict(at), None, str(error))
        self.known[key] = found
        self.tried.append(found)
        self.best = min(self.best, found.loss)
        return found

    def _cutoff_survives(self, design: Design) -> None:
        wanted = design.dynamics.residual_cutoff
        if wanted and abs(design.effective_cutoff - wanted) > CUTOFF_SHARE * wanted:
            raise InputError(
                f"formats.residual {design.formats.residual} makes the cutoff {design.effective_cutoff:.4g} where "
                f"{wanted} was asked for; use more fraction bits"
            )

    def good(self, tried: Tried) -> bool:
        """Within the budget, no membrane outside its word, R whole.

        The outcome does not count: where much is active and codes are fine, the event rate alone calls a run diverged.
        """
        t = tried.trial
        return t is not None and t.loss <= self.budget and not (t.overflow or t.saturations)

    # ---- the search --------------------------------------------------------------------------------------------------
    def sweeps(self) -> dict[str, int] | None:
        """The narrowest width of each format that holds the budget alone; None where even the widest does not."""
        minima = {}
        for name in SWEPT:
            width = FIRST[name]
            while not self.good(self.run(f"sweep of {name}", ROOMY | {name: width})):
                if width >= WIDE[name]:
                    return None
                width += 1
            while width > LEAST[name] and self.good(self.run(f"sweep of {name}", ROOMY | {name: width - 1})):
                width -= 1
            minima[name] = width
        return minima

    def joint(self, minima: dict[str, int]) -> dict[str, int] | None:
        """Up from the corner until the budget holds, then down while it does."""
        at = dict(minima)
        while not self.good(now := self.run("joint, widening", at)):
            wider = [at | {name: at[name] + 1} for name in SWEPT if at[name] < WIDE[name]]
            if not wider:
                return None
            ranked = [(self.run("joint, widening", w), self.cost(w), n) for n, w in enumerate(wider)]
            passing = [r for r in ranked if self.good(r[0])]
            best = min(passing, key=lambda r: r[1:]) if passing else min(ranked, key=lambda r: (r[0].loss, r[1:]))
            if not passing and now.loss < best[0].loss:  # nothing helps alone: widen everything
                at = {name: min(at[name] + 1, WIDE[name]) for name in SWEPT}
                continue
            at = wider[best[2]]
        while True:
            narrower = sorted((at | {name: at[name] - 1} for name in SWEPT if at[name] > minima[name]), key=self.cost)
            lower = next((n for n in narrower if self.good(self.run("joint, narrowing", n))), None)
            if lower is None:
                return at
            at = lower

    def cost(self, at: Mapping[str, int]) -> tuple[int, int]:
        """Memory bits, then the sum of the widths."""
        return memory_bits(self.design_of(at), self.calibration.dictionary.atoms), sum(at.values())
