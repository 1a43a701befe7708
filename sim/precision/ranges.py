"""What every quantity of the machine can reach, what it did reach, and how often it left its word.

A *bound* is proved: from the formats, the dictionary and the equations of a step (docs/arithmetic.md); where a port
rounds and then limits, it is a bound on the value before the limit. A *range* is measured: smallest and largest value
over all steps of a run. `RangeWatch` is the observer that measures it.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import widths
from ..design import Design
from ..fixed import AnyIntArray, Format, IntArray, Range, overflowed, round_shift, wrap
from ..plan import Plan
from ..run import FloatArray, Run, StepView
from ..widths import Bound


@dataclass(frozen=True)
class Quantity:
    """One quantity of the machine: its word, its proved bound and its measured range, as integers of its fraction.

    Args:
        symbol, meaning: "u", "membrane".
        format: the word as text. signed, width, frac: of the word.
        bound: proved (low, high) before the word's limit. why: what proves it.
        seen: the measured range; ``seen.saturated`` counts values outside the word.
        stage: what was measured, e.g. "after each step".
    """

    symbol: str
    meaning: str
    format: str
    signed: bool
    width: int
    frac: int
    bound: Bound
    why: str
    seen: Range
    stage: str

    def _bits(self, low: int, high: int) -> int:
        return widths.signed_bits(low, high) if self.signed or low < 0 else max(1, high.bit_length())

    @property
    def bits_proved(self) -> int:
        """Bits that hold every value there can be."""
        return self._bits(*self.bound)

    @property
    def bits_seen(self) -> int:
        """Bits that hold every value that was met."""
        return self._bits(self.seen.low, self.seen.high)

    def as_dict(self) -> dict[str, Any]:
        """Plain values; ``low``, ``high``, ``bound`` in units of the image."""
        scale = 2.0**-self.frac
        return {
            "symbol": self.symbol,
            "meaning": self.meaning,
            "format": self.format,
            "width": self.width,
            "bits_proved": self.bits_proved,
            "bound": [self.bound[0] * scale, self.bound[1] * scale],
            "why": self.why,
            "low": self.seen.low * scale,
            "high": self.seen.high * scale,
            "bits_seen": self.bits_seen,
            "outside": self.seen.saturated,
            "values": self.seen.count,
            "stage": self.stage,
        }


@dataclass(frozen=True)
class Ranges:
    """The quantities of a run, or of several runs of one design, in the order x, w, y, dy, R, r~, dr~, D, u."""

    quantities: tuple[Quantity, ...]
    steps: int

    def __getitem__(self, symbol: str) -> Quantity:
        """The quantity of that symbol."""
        return next(q for q in self.quantities if q.symbol == symbol)

    def __or__(self, other: "Ranges") -> "Ranges":
        """Both runs together; of the same design."""
        pairs = zip(self.quantities, other.quantities, strict=True)
        return Ranges(tuple(replace(a, seen=a.seen | b.seen) for a, b in pairs), self.steps + other.steps)

    def as_list(self) -> list[dict[str, Any]]:
        """A row of plain values a quantity."""
        return [q.as_dict() for q in self.quantities]


def bounds(design: Design, atoms: FloatArray, weights_q: AnyIntArray) -> dict[str, tuple[Bound, str]]:
    """Symbol to (proved bound as integers of its fraction, what proves it).

    With ``|D| <= B_D`` and y in ``y_low .. y_high``, every step moves u towards ``D + y``:
    ``u' = (1 - 2^-k) u + 2^-k (D + y)``, so that u stays in ``-B_D + y_low .. B_D + y_high`` however it is rounded.

    Args:
        atoms: (K, C, p, p) the float dictionary. weights_q: the same quantised.
    """
    f, one = design.formats, 1 << design.formats.input.frac
    plain = design.input.preprocess == "none"
    unlimited = replace(f.weight, width=52)
    w = _ends(_rounded(atoms, unlimited))
    resolved = widths.resolve(design, weights_q)
    drive = widths.drive_bound(design, weights_q)
    if resolved.drive < resolved.drive_proven:
        drive = (-(1 << (resolved.drive - 1)), (1 << (resolved.drive - 1)) - 1)
    y_word = _after(f.code, design.dynamics.two_sided)
    fine = max(design.drive_frac, f.code.frac, f.membrane.frac)
    low, high = ((drive[n] << (fine - design.drive_frac)) + (y_word[n] << (fine - f.code.frac)) for n in (0, 1))
    u = (min(0, low >> (fine - f.membrane.frac)), max(0, -(-high >> (fine - f.membrane.frac))))
    word = (f.membrane.low, f.membrane.high)
    if f.membrane.overflow == "wrap" and not (word[0] <= u[0] and u[1] <= word[1]):
        u = (min(u[0], word[0]), max(u[1], word[1]))  # what wraps comes back at the other end
    held = (max(u[0], word[0]), min(u[1], word[1]))
    y = (_code(design, held[0]), _code(design, held[1]))
    residual = widths.residual_bound(design, weights_q)
    if resolved.residual < resolved.residual_proven:  # then it may wrap, too
        half = 1 << (resolved.residual - 1)
        residual = (min(residual[0], -half), max(residual[1], half - 1))
    drop = design.residual_frac - f.residual.frac
    ends = [round_shift(end, drop, f.residual.rounding) for end in residual]
    read = (ends[0], ends[1])
    sent = _limited(read, f.residual)
    y_out = _limited(y, f.code)
    return {
        "x": ((0, one) if plain else (-one, one), "pixels of 0 to 1" + ("" if plain else ", two blurs subtracted")),
        "w": (w, "the dictionary"),
        "y": (y, "the bound and the word of u"),
        "dy": ((y_out[0] - y_out[1], y_out[1] - y_out[0]), "the range of y"),
        "R": (residual, "the range of x and all codes at their limit"),
        "r~": (read, "the bound of R"),
        "dr~": ((sent[0] - sent[1], sent[1] - sent[0]), "the range of r~"),
        "D": (drive, "largest sum of |w| of a kernel, r~ at its limit"),
        "u": (u, "u moves towards D + y"),
    }


class RangeWatch:
    """An observer of `Machine.frame` or `simulate` (delta schedule) that keeps the range of every quantity.

    R and r~ are taken over the pixels of each tile's region that lie inside the image. R is taken after each step, not
    within one; the run's overflow flag covers every add.

    Args:
        plan: of the design that runs.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan, self.steps = plan, 0
        t = plan.tiling
        self._inside = [
            (n, slice(None), slice(y0, y1), slice(x0, x1)) for n in range(t.count) for y0, y1, x0, x1 in [t.inside(n)]
        ]
        self._found = {name: Range() for name in ("y", "dy", "R", "r~", "dr~", "D", "u")}
        self._next = Range()  # what port 1 will make of the R just seen: read only if there is another step

    def __call__(self, view: StepView) -> None:
        """Take in a step."""
        plan, found = self.plan, self._found
        u = _spread(view.membrane)
        found["u"] |= u
        found["D"] |= _spread(wrap(view.drive, plan.drive_width))
        found["r~"] |= self._next
        residual = np.concatenate([view.residual[part].ravel() for part in self._inside])
        found["R"] |= _spread(residual)
        self._next = self._port1(residual)
        found["y"] |= self._port3(view.membrane, u)
        for name, events, column in (("dy", view.codes, 3), ("dr~", view.pixels, 3)):
            for rows in events:
                found[name] |= _spread(rows[:, column])
        self.steps += 1

    def _port1(self, residual: IntArray) -> Range:
        """r~ before its limit and its cutoff; rounding keeps the order, so two values say whether any is outside."""
        p = self.plan
        drop = p.weight.frac + p.code.frac - p.residual.frac
        whole = _spread(residual)
        ends = [round_shift(v, drop, p.residual.rounding) for v in (whole.low, whole.high)]
        if p.residual.low <= ends[0] and ends[1] <= p.residual.high:
            return Range(ends[0], ends[1], residual.size, 0)
        return Range.of(round_shift(residual, drop, p.residual.rounding), p.residual)

    def _port3(self, membrane: IntArray, u: Range) -> Range:
        """y before its limit; T keeps the order too."""
        p = self.plan
        ends = [_port3(v, p) for v in (u.low, u.high)]
        if p.code.low <= ends[0] and ends[1] <= p.code.high:
            return Range(ends[0], ends[1], membrane.size, 0)
        magnitude = np.abs(membrane) if p.two_sided else membrane
        kept = magnitude - p.threshold_q if p.soft else magnitude
        value = np.where(
            magnitude < p.threshold_q, 0, round_shift(kept, p.membrane.frac - p.code.frac, p.code.rounding)
        )
        return Range.of(np.where(membrane < 0, -value, value) if p.two_sided else value, p.code)

    def ranges(self, run: Run, design: Design, image: FloatArray, atoms: FloatArray) -> Ranges:
        """The ranges of the run that was watched.

        Args:
            run, design: the run and what it ran. image, atoms: the float input (C, H, W) and dictionary (K, C, p, p).
        """
        assert self.steps == run.counts.steps, "the watch saw another run, or none"
        p, found = self.plan, dict(self._found)
        start = wrap(run.input << p.input_shift, p.residual_width)
        found["R"] |= _spread(start)
        found["r~"] |= self._port1(start)
        found["u"] = replace(found["u"] | Range(count=1), saturated=run.counts.saturations)
        found["R"] = replace(found["R"], saturated=int(run.overflow))
        found["x"] = Range.of(_rounded(image, replace(p.input, width=52)), p.input)
        found["w"] = Range.of(_rounded(atoms, replace(p.weight, width=52)), p.weight)
        proved = bounds(design, atoms, run.dictionary)
        exact = p.weight.frac + p.code.frac
        rows = []
        for symbol, meaning, signed, width, frac, text, stage in (
            ("x", "input", p.input.signed, p.input.width, p.input.frac, str(p.input), "before it was limited"),
            ("w", "weight", True, p.weight.width, p.weight.frac, str(p.weight), "before it was limited"),
            ("y", "code", p.code.signed, p.code.width, p.code.frac, str(p.code), "each step, before the limit"),
            ("dy", "change of a code", True, p.code_change_width, p.code.frac, "", "every event"),
            ("R", "exact residual", True, p.residual_width, exact, "", "after each step; outside: the overflow flag"),
            ("r~", "residual as read", True, p.residual.width, p.residual.frac, str(p.residual),
             "each step, before cutoff and limit"),
            ("dr~", "change of a residual as read", True, p.residual_change_width, p.residual.frac, "", "every event"),
            ("D", "drive", True, p.drive_width, p.weight.frac + p.residual.frac, "", "each step"),
            ("u", "membrane", True, p.membrane.width, p.membrane.frac, str(p.membrane), "after each step"),
        ):  # fmt: skip
            bound, why = proved[symbol]
            rows.append(
                Quantity(symbol, meaning, text or f"s{width}.{frac}", signed, width, frac, bound, why, found[symbol],
                         stage)
            )  # fmt: skip
        return Ranges(tuple(rows), self.steps)


def _spread(values: AnyIntArray) -> Range:
    """Smallest and largest; nothing can be outside."""
    return Range(int(values.min()), int(values.max()), values.size, 0) if values.size else Range()


def _ends(values: IntArray) -> Bound:
    return int(values.min()), int(values.max())


def _rounded(values: FloatArray, fmt: Format) -> IntArray:
    """Floats in units of a format, rounded as it does, without its limits (``fmt`` is given a wide word)."""
    from ..fixed import quantise

    return quantise(values, fmt)


def _after(fmt: Format, two_sided: bool) -> Bound:
    """The values a code can have after its overflow rule."""
    if fmt.overflow == "wrap":
        return (-fmt.magnitude, fmt.high) if fmt.signed else (0, fmt.high)
    return (fmt.low, fmt.high) if two_sided else (0, fmt.high)


def _limited(bound: Bound, fmt: Format) -> Bound:
    """What an overflow rule leaves of a range; 0 is always in it."""
    if fmt.low <= bound[0] and bound[1] <= fmt.high:
        return min(bound[0], 0), max(bound[1], 0)
    if fmt.overflow == "wrap":
        return (-fmt.magnitude if fmt.signed else 0), fmt.high
    return min(0, overflowed(bound[0], fmt)), max(0, overflowed(bound[1], fmt))


def _code(design: Design, u: int) -> int:
    """T(u) before its limit."""
    f, d = design.formats, design.dynamics
    return _transfer(u, design.threshold_q, d.transfer == "soft", d.two_sided, f.membrane.frac - f.code.frac, f.code)


def _port3(u: int, p: Plan) -> int:
    return _transfer(u, p.threshold_q, p.soft, p.two_sided, p.membrane.frac - p.code.frac, p.code)


def _transfer(u: int, threshold: int, soft: bool, two_sided: bool, drop: int, code: Format) -> int:
    magnitude = abs(u) if two_sided else u
    if magnitude < threshold:
        return 0
    value = round_shift(magnitude - threshold if soft else magnitude, drop, code.rounding)
    return -value if two_sided and u < 0 else value
