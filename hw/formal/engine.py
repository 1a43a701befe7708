"""Proofs over clocks: bounded model checking, k-induction, and what comes of it as a value."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import z3

from .system import System

TIMEOUT_S = 600.0


@dataclass(frozen=True)
class Verdict:
    """Outcome of a proof.

    - `outcome`: "proved", "refuted" or "unknown" (the time limit)
    - `clocks`: a bounded proof covers every run of so many clocks from reset; None: every run of any length; 0: a claim
      without clocks
    - `failed`: the claim that does not hold; `trace`: a run that shows it, wire -> value for every clock
    - `seconds`: of the solver, wall time
    """

    outcome: Literal["proved", "refuted", "unknown"]
    clocks: int | None
    seconds: float
    failed: str = ""
    trace: tuple[Mapping[str, int], ...] = field(default=(), repr=False)

    @property
    def proved(self) -> bool:
        return self.outcome == "proved"

    @property
    def refuted(self) -> bool:
        return self.outcome == "refuted"

    def __str__(self) -> str:
        if self.proved:
            reach = (
                "any number of clocks"
                if self.clocks is None
                else f"{self.clocks} clocks"
                if self.clocks
                else "all values"
            )
            return f"proved for {reach} in {self.seconds:.1f} s"
        if self.refuted:
            return f"refuted: {self.failed} fails" + (f" in clock {self.clocks - 1}" if self.clocks else "")
        return f"unknown: not decided within {self.seconds:.0f} s"


class Run:
    """Clocks of a system one after the other, as expressions in the inputs of each clock."""

    def __init__(self, system: System, *, from_reset: bool) -> None:
        self.system = system
        self.state = {
            register: system.initial[register] if from_reset and register in system.initial
            else z3.Const(f"{register}@start", register.sort())
            for register in system.following
        }  # fmt: skip
        self.clocks: list[list[tuple[Any, Any]]] = []

    def step(self) -> None:
        """One more clock."""
        now = len(self.clocks)
        if now:
            before = self.clocks[-1]
            self.state = {
                register: z3.simplify(z3.substitute(term, *before)) for register, term in self.system.following.items()
            }
        inputs = [(leaf, z3.Const(f"{leaf}@{now}", leaf.sort())) for leaf in self.system.inputs]
        self.clocks.append([*self.state.items(), *inputs])  # a rigid input stands for itself in every clock

    def at(self, term: Any, clock: int) -> Any:
        """An expression of the system in a clock of this run."""
        return z3.simplify(z3.substitute(term, *self.clocks[clock]))

    def assumed(self, clock: int) -> list[Any]:
        return [self.at(term, clock) for term in self.system.assumes.values()]

    def broken(self, clock: int) -> list[Any]:
        return [z3.Not(self.at(term, clock)) for term in self.system.asserts.values()]


def _solver(seconds: float) -> Any:
    solver = z3.Then("simplify", "propagate-values", "solve-eqs", "bit-blast", "sat").solver()
    solver.set("timeout", max(1, int(seconds * 1000)))
    return solver


def bounded(system: System, clocks: int, *, timeout_s: float = TIMEOUT_S) -> Verdict:
    """Every run of so many clocks from reset keeps every claim, or the shortest one that does not."""
    began, run, solver = time.monotonic(), Run(system, from_reset=True), _solver(timeout_s)
    if not system.asserts:
        raise ValueError("nothing is claimed")
    so_far, failures = z3.BoolVal(True), []
    for clock in range(clocks):
        run.step()
        so_far = z3.And(so_far, *run.assumed(clock))
        failures.append(z3.simplify(z3.And(so_far, z3.Or(*run.broken(clock)))))
    solver.add(z3.Or(*failures))
    found = solver.check()
    if found != z3.sat:
        return Verdict("proved" if found == z3.unsat else "unknown", clocks, time.monotonic() - began)
    while found == z3.sat:  # shorter and shorter
        model = solver.model()
        first = next(n for n, bad in enumerate(failures) if z3.is_true(model.eval(bad, model_completion=True)))
        solver.add(z3.Or(*failures[:first]))
        found = solver.check()
    return _refuted(run, model, first, time.monotonic() - began)


def induction(system: System, depth: int, *, unique: bool = False, timeout_s: float = TIMEOUT_S) -> Verdict:
    """k-induction: the first `depth` clocks from reset keep every claim, and after any `depth` clocks that keep them so
    does the next one. `unique` leaves out runs that come back to a state, which loses nothing.

    "unknown" also where the step does not hold: the depth is too small, the claims are too weak, or they are wrong.
    """
    began = time.monotonic()
    base = bounded(system, depth, timeout_s=timeout_s)
    if not base.proved:
        return base
    run, solver = Run(system, from_reset=False), _solver(timeout_s - base.seconds)
    for clock in range(depth + 1):
        run.step()
        solver.add(*run.assumed(clock))
        if clock < depth:
            solver.add(*[z3.Not(bad) for bad in run.broken(clock)])
        if unique and clock:
            for before in range(clock):
                both = zip(run.clocks[before], run.clocks[clock], strict=True)
                solver.add(z3.Or(*[a != b for (leaf, a), (_, b) in both if leaf in system.following]))
    solver.add(z3.Or(*run.broken(depth)))
    found = solver.check()
    spent = time.monotonic() - began
    if found == z3.unsat:
        return Verdict("proved", None, spent)
    if found == z3.sat:  # a run from a state that may not be reachable: shown, not believed
        shown = _refuted(run, solver.model(), depth, spent)
        return Verdict("unknown", depth, spent, shown.failed, shown.trace)
    return Verdict("unknown", depth, spent)


def _refuted(run: Run, model: Any, clock: int, seconds: float) -> Verdict:
    def value(term: Any, at: int) -> int:
        return int(model.eval(run.at(term, at), model_completion=True).as_long())

    trace = tuple({name: value(term, at) for name, term in run.system.wires.items()} for at in range(clock + 1))
    failed = next(
        name
        for name, term in run.system.asserts.items()
        if z3.is_false(model.eval(run.at(term, clock), model_completion=True))
    )
    return Verdict("refuted", clock + 1, seconds, failed, trace)


def holds(claim: Any, *, timeout_s: float = TIMEOUT_S, names: Sequence[Any] = ()) -> Verdict:
    """A claim without clocks: true for all values of its variables, or values for which it is false (of `names`)."""
    began, solver = time.monotonic(), z3.Solver()
    solver.set("timeout", int(timeout_s * 1000))
    solver.add(z3.Not(claim))
    found = solver.check()
    spent = time.monotonic() - began
    if found == z3.unsat:
        return Verdict("proved", 0, spent)
    if found == z3.unknown:
        return Verdict("unknown", 0, spent)
    model = solver.model()
    shown = {str(name): int(model.eval(name, model_completion=True).as_long()) for name in names}
    return Verdict("refuted", 0, spent, str(shown), (shown,))
