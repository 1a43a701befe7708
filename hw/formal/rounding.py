"""Rounding, overflow and the transfer function against docs/arithmetic.md, section 2 and 3, for all inputs.

The specification is not a computation but what is said of the result: rounding to nearest is "no further than half a
unit away", a wrapped word is "in range and congruent". It is written in words wide enough for everything, without
shifts, adders of halves or multiplexers, and works on plain integers too, so that it can be checked against others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import z3
from amaranth.hdl import Module, Signal, Value, signed
from amaranth.lib import wiring

from ...sim.fixed import Format
from .engine import Verdict, holds
from .system import Edit, system

Make = Callable[[Value], Value]


# ---- the specification -----------------------------------------------------------------------------------------------
def both(*facts: Any) -> Any:
    """And, of z3 terms or of plain truth values."""
    return z3.And(*facts) if any(z3.is_expr(fact) for fact in facts) else all(facts)


def either(*facts: Any) -> Any:
    return z3.Or(*facts) if any(z3.is_expr(fact) for fact in facts) else any(facts)


def implies(if_: Any, then: Any) -> Any:
    return z3.Implies(if_, then) if z3.is_expr(if_) or z3.is_expr(then) else (not if_ or then)


def is_rounded(value: Any, result: Any, shift: int, rounding: str) -> Any:
    """``result`` is ``value / 2^shift`` rounded; a shift of 0 or less is the exact left shift."""
    if shift <= 0:
        return result == value * (1 << -shift)
    unit = 1 << shift
    off = value - result * unit  # what was rounded away, in units of the value
    if rounding == "floor":
        return both(off >= 0, off < unit)
    if rounding == "half_up":
        return both(2 * off >= -unit, 2 * off < unit)
    if rounding == "half_even":
        near = both(2 * off >= -unit, 2 * off <= unit)
        tie = either(2 * off == -unit, 2 * off == unit)
        return both(near, implies(tie, result % 2 == 0))
    if rounding == "toward_zero":
        return either(both(value >= 0, off >= 0, off < unit), both(value <= 0, off <= 0, off > -unit))
    raise ValueError(f"unknown rounding {rounding!r}")


def is_fitted(value: Any, result: Any, fmt: Format) -> Any:
    """``result`` is ``value`` under the overflow rule of the format."""
    high = (1 << (fmt.width - fmt.signed)) - 1
    low = 0 if not fmt.signed else -high if fmt.symmetric else -high - 1
    if fmt.overflow == "wrap":
        ends = (-(1 << (fmt.width - 1)), (1 << (fmt.width - 1)) - 1) if fmt.signed else (0, (1 << fmt.width) - 1)
        return both(result >= ends[0], result <= ends[1], (result - value) % (1 << fmt.width) == 0)
    return both(
        implies(value > high, result == high),
        implies(value < low, result == low),
        implies(both(value >= low, value <= high), result == value),
    )


def is_code(
    u: Any, result: Any, rounded: Any, *, threshold: Any, down: int, code: Format, soft: bool, two: bool
) -> Any:
    """``result`` is T(u); ``rounded`` is a helper that must be free: the rounded magnitude, which is one number."""
    cases = []
    for negative in (False, True) if two else (False,):
        magnitude = -u if negative else u
        this = (u < 0 if negative else u >= 0) if two else u == u
        silent = implies(magnitude < threshold, result == 0)
        kept = magnitude - threshold if soft else magnitude
        active = implies(
            both(magnitude >= threshold, is_rounded(kept, rounded, down, code.rounding)),
            is_fitted(-rounded if negative else rounded, result, code),
        )
        cases.append(implies(this, both(silent, active)))
    return both(*cases)


def is_sent(residual: Any, result: Any, rounded: Any, fitted: Any, *, down: int, fmt: Format, cutoff: Any) -> Any:
    """``result`` is r~: rounded, fitted, and 0 where it is smaller than the cutoff. Two free helpers."""
    return implies(
        both(is_rounded(residual, rounded, down, fmt.rounding), is_fitted(rounded, fitted, fmt)),
        both(
            implies(both(fitted < cutoff, fitted > -cutoff), result == 0),
            implies(either(fitted >= cutoff, fitted <= -cutoff), result == fitted),
        ),
    )


# ---- the gates -------------------------------------------------------------------------------------------------------
class _Functions(wiring.Component):
    """Several functions of one signed word, each at an output of its own."""

    def __init__(self, width: int, makes: Mapping[str, Make]) -> None:
        self.makes, self.shapes = makes, {name: make(Signal(signed(width))).shape() for name, make in makes.items()}
        super().__init__({"v": wiring.In(signed(width)), **{n: wiring.Out(s) for n, s in self.shapes.items()}})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += [getattr(self, name).eq(make(self.v)) for name, make in self.makes.items()]
        return m


class Gates:
    """Functions of a signed word as Yosys has them after synthesis of the Amaranth, in words of ``wide`` bits.

    `value` is the input, `[name]` an output; both are signed z3 bit-vectors. `number(name)` makes a free helper.
    """

    def __init__(self, width: int, makes: Mapping[str, Make], *, wide: int, edit: Edit | None = None) -> None:
        self.wide, component = wide, _Functions(width, makes)
        found = system(component, edit=edit)
        self.word = found.wire("v")
        self._out = {
            name: (found.wire(name) if name in found.wires else z3.BitVecVal(0, 1), shape.signed)
            for name, shape in component.shapes.items()
        }
        self.value = self._widen(self.word, True)

    def _widen(self, term: Any, is_signed: bool) -> Any:
        extra = self.wide - term.size()
        if extra < 0:
            raise ValueError(f"{term.size()} bits do not fit in {self.wide}")
        return z3.SignExt(extra, term) if is_signed else z3.ZeroExt(extra, term)

    def __getitem__(self, name: str) -> Any:
        return self._widen(*self._out[name])

    def number(self, name: str, bits: int) -> Any:
        """A free helper of so many bits, signed."""
        return self._widen(z3.BitVec(name, bits), True)

    def prove(self, claims: Mapping[str, Any], *, timeout_s: float = 120.0) -> Verdict:
        """All claims for all values of the word; a refuted one is named, with the word."""
        verdict = holds(z3.And(*claims.values()), timeout_s=timeout_s, names=[self.word])
        if verdict.refuted:
            value = z3.BitVecVal(verdict.trace[0][str(self.word)], self.word.size())
            for name, claim in claims.items():
                wrong = holds(z3.Implies(self.word == value, claim), timeout_s=timeout_s)
                if not wrong.proved:
                    return Verdict("refuted", 0, verdict.seconds, name, ({"v": value.as_signed_long()},))
        return verdict
