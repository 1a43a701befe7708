"""A component as a transition system for the solver: registers, inputs, next states, assertions.

Amaranth makes RTLIL, Yosys makes SMT-LIB of it, and this module takes that apart into z3 expressions, so that a run of
n clocks is a substitution of expressions and constants fold on the way.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import z3
from amaranth.hdl import Module, Signal, Value
from z3 import z3util

from ..toolchain import ToolError, run_yosys
from ..verilog import to_rtlil

TOP = "top"
LOWER = (
    "read_rtlil in.il; hierarchy -check -top top; proc; flatten; memory_map; opt -full; async2sync; dffunmap; opt_clean"
)
MUST, GIVEN, ANY = "must_", "given_", "any_"

Edit = Callable[[str], str]


def must(m: Module, name: str, value: Any) -> None:
    """In a harness: ``value`` must be true in every clock."""
    signal = Signal(name=f"{MUST}{name}", attrs={"keep": 1})
    m.d.comb += signal.eq(Value.cast(value).any())


def given(m: Module, name: str, value: Any) -> None:
    """In a harness: the surroundings keep ``value`` true in every clock."""
    signal = Signal(name=f"{GIVEN}{name}", attrs={"keep": 1})
    m.d.comb += signal.eq(Value.cast(value).any())


@dataclass(frozen=True)
class System:
    """Registers and inputs are z3 constants; everything else is an expression in them.

    - `initial`: register -> value at the beginning (a register without one may begin with anything)
    - `following`: register -> its expression one clock later
    - `inputs`: the free ones; a reset is not among them: it is 0. `rigid`: inputs called `any_...`, which keep one
      value for the whole run
    - `asserts`, `assumes`: by name, Booleans that must hold (`must` in the harness), that may be relied on (`given`)
    - `wires`: what can be looked at, by name (ports, and named signals below the top as "sub.name")
    """

    initial: Mapping[Any, Any]
    following: Mapping[Any, Any]
    inputs: tuple[Any, ...]
    rigid: tuple[Any, ...]
    asserts: Mapping[str, Any]
    assumes: Mapping[str, Any]
    wires: Mapping[str, Any]

    def claim(self, **more: Any) -> System:
        """The same with further claims, in terms of `wire`: what an induction needs to know of registers inside."""
        return replace(self, asserts={**self.asserts, **more})

    def wire(self, name: str) -> Any:
        """The expression of a wire as a bit-vector; KeyError names those there are."""
        if name not in self.wires:
            raise KeyError(f"no wire {name!r}; there are {', '.join(sorted(self.wires))}")
        return self.wires[name]


def smt2(component: Any, ports: Sequence[Any] | Mapping[str, Any] | None = None, *, edit: Edit | None = None) -> str:
    """SMT-LIB text of a component. `edit` is applied to the RTLIL text before: a way to plant a fault. ToolError when
    Yosys refuses the design.
    """
    text = to_rtlil(component, TOP, ports)
    with tempfile.TemporaryDirectory(prefix="striate-") as scratch:
        place = Path(scratch)
        (place / "in.il").write_text(edit(text) if edit else text)
        run_yosys(f"{LOWER}; write_smt2 -wires out.smt2", place, outputs=["out.smt2"])
        return (place / "out.smt2").read_text()


def system(
    component: Any, ports: Sequence[Any] | Mapping[str, Any] | None = None, *, edit: Edit | None = None
) -> System:
    """The transition system of a component (see `smt2`)."""
    return parse(smt2(component, ports, edit=edit))


def _bits(term: Any) -> Any:
    return z3.If(term, z3.BitVecVal(1, 1), z3.BitVecVal(0, 1)) if z3.is_bool(term) else term


def parse(text: str) -> System:
    """Take the SMT-LIB text of Yosys apart."""
    wires = dict.fromkeys(re.findall(r"^; yosys-smt2-wire (\S+) \d+$", text, flags=re.MULTILINE))
    # each is asked for as an equation with a name of its own, so that the parser neither evaluates nor drops it
    sorts = dict(
        re.findall(rf"\(define-fun \|{TOP}_n ([^|]+)\| \(\(state \|{TOP}_s\|\)\) (Bool|\(_ BitVec \d+\))", text)
    )
    lines = [text, f"(declare-const s |{TOP}_s|)", f"(declare-const t |{TOP}_s|)"]
    asked = [("Bool", f"|{TOP}_i| s"), ("Bool", f"|{TOP}_t| s t")]
    asked += [(sorts[name], f"|{TOP}_n {name}| s") for name in wires]
    for n, (sort, term) in enumerate(asked):
        lines += [f"(declare-const |asked {n}| {sort})", f"(assert (= |asked {n}| ({term})))"]
    try:
        found = list(z3.parse_smt2_string("\n".join(lines)))
    except z3.Z3Exception as error:
        raise ToolError("z3", "cannot read what Yosys wrote", log=str(error)) from error
    starts, moves, *shown = [equation.arg(1) for equation in found[-len(asked) :]]

    leaves: dict[str, Any] = {}  # by name: the constant that stands for a register or an input
    here: list[tuple[Any, Any]] = []
    _leaves([starts, moves, *shown], leaves, here)

    def plain(term: Any) -> Any:
        return z3.simplify(z3.substitute(term, *here))

    following: dict[Any, Any] = {}
    for part in _conjuncts(moves):
        for name, (high, low), value in _assigned(part.arg(1), part.arg(0)):
            register = leaves[name]
            if z3.is_bv(register) and high - low + 1 != register.size():
                raise ToolError("yosys", f"a register moves in parts: {part}")
            following[register] = plain(value)
    initial = _beginnings(starts, leaves)
    seen = {name: plain(_bits(term)) for name, term in zip(wires, shown, strict=True)}
    free = [leaf for leaf in leaves.values() if not any(leaf.eq(register) for register in following)]
    reset = [(leaf, z3.BoolVal(False)) for leaf in free if "rst" in seen and seen["rst"].eq(z3.simplify(_bits(leaf)))]

    named = z3.Concat(
        z3.BitVecVal(0, 1), *[term for name, term in seen.items() if name.startswith(ANY)], z3.BitVecVal(0, 1)
    )
    constants = {str(leaf) for leaf in z3util.get_vars(named)}  # an input may be split into its bits
    rigid = [leaf for leaf in free if str(leaf) in constants]

    def run(term: Any) -> Any:
        return z3.simplify(z3.substitute(term, *reset)) if reset else term

    def true(term: Any) -> Any:
        return z3.simplify(term == z3.BitVecVal(1, 1))

    return System(
        initial,
        {register: run(value) for register, value in following.items()},
        tuple(leaf for leaf in free if not any(leaf.eq(other) for other in (*rigid, *(gone for gone, _ in reset)))),
        tuple(rigid),
        {name.removeprefix(MUST): true(run(term)) for name, term in seen.items() if name.startswith(MUST)},
        {name.removeprefix(GIVEN): true(run(term)) for name, term in seen.items() if name.startswith(GIVEN)},
        {name: run(term) for name, term in seen.items() if not name.startswith((MUST, GIVEN))},
    )


def _conjuncts(term: Any) -> list[Any]:
    if z3.is_and(term):
        return [leaf for child in term.children() for leaf in _conjuncts(child)]
    return [] if z3.is_true(term) else [term]


def _assigned(term: Any, value: Any) -> list[tuple[str, tuple[int, int], Any]]:
    """What ``term = value`` says of each register in the term: name, bits, their value."""
    if term.decl().kind() == z3.Z3_OP_CONCAT:
        found, top = [], term.size()
        for child in term.children():
            found += _assigned(child, z3.Extract(top - 1, top - child.size(), value))
            top -= child.size()
        return found
    at = (term.size() - 1, 0) if z3.is_bv(term) else (0, 0)
    if term.decl().kind() == z3.Z3_OP_EXTRACT:
        at, term = tuple(term.params()), term.arg(0)
    if term.decl().kind() == z3.Z3_OP_ITE:  # a Boolean register as a bit
        return _assigned(term.arg(0), z3.simplify(value == z3.BitVecVal(1, 1)))
    if term.decl().kind() != z3.Z3_OP_UNINTERPRETED:
        raise ToolError("yosys", f"neither a register nor a part of one: {term}")
    return [(term.decl().name(), at, value)]


def _register_bits(term: Any) -> list[tuple[str, int] | None]:
    """The register bits that a term consists of, the lowest first; None where it is a constant."""
    kind = term.decl().kind()
    if kind == z3.Z3_OP_CONCAT:
        return [bit for child in reversed(term.children()) for bit in _register_bits(child)]
    if kind == z3.Z3_OP_EXTRACT:
        high, low = term.params()
        return _register_bits(term.arg(0))[low : high + 1]
    if kind == z3.Z3_OP_ITE:  # a Boolean register as a bit
        return _register_bits(term.arg(0))
    if kind == z3.Z3_OP_BNUM:
        return [None] * int(term.size())
    if kind != z3.Z3_OP_UNINTERPRETED:
        raise ToolError("yosys", f"neither a register nor a part of one: {term}")
    return [(term.decl().name(), n) for n in range(term.size() if z3.is_bv(term) else 1)]


def _beginnings(starts: Any, leaves: Mapping[str, Any]) -> dict[Any, Any]:
    """Register -> its first value; Yosys gives it whole, in pieces, or for the bits of a mask."""
    known: dict[tuple[str, int], int] = {}
    for part in _conjuncts(starts):
        term, value = (part.arg(0), part.arg(1)) if z3.is_eq(part) else (part, z3.BoolVal(True))
        if z3.is_not(part):
            term, value = part.arg(0), z3.BoolVal(False)
        if z3.is_eq(term):  # one bit of a register, as a Boolean
            term = term.arg(0)
        number = int(z3.simplify(_bits(value)).as_long())
        mask = -1
        if term.decl().kind() == z3.Z3_OP_BAND:
            term, mask = term.arg(0), int(term.arg(1).as_long())
        for n, bit in enumerate(_register_bits(term)):
            if bit is not None and mask >> n & 1:
                known[bit] = number >> n & 1
    initial = {}
    for name in {name for name, _ in known}:
        register = leaves[name]
        if not z3.is_bv(register):
            initial[register] = z3.BoolVal(bool(known[name, 0]))
            continue
        free = z3.Const(f"{name}@start", register.sort())
        bits = [
            z3.BitVecVal(known[name, n], 1) if (name, n) in known else z3.Extract(n, n, free)
            for n in range(register.size())
        ]
        initial[register] = z3.simplify(z3.Concat(*reversed(bits)) if len(bits) > 1 else bits[0])
    return initial


def _leaves(terms: Sequence[Any], leaves: dict[str, Any], here: list[tuple[Any, Any]]) -> None:
    """Collect the applications of state functions below the terms, and what replaces them."""
    done: set[int] = set()
    stack = list(terms)
    while stack:
        term = stack.pop()
        if term.get_id() in done:
            continue
        done.add(term.get_id())
        if term.num_args() == 1 and term.decl().kind() == z3.Z3_OP_UNINTERPRETED:
            name = term.decl().name()
            if name not in leaves:
                leaves[name] = z3.Const(name, term.sort())
            if str(term.arg(0)) == "s":
                here.append((term, leaves[name]))
        else:
            stack += term.children()
