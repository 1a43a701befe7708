"""Proofs of arithmetic and streams, each with faults that must be refuted."""

from __future__ import annotations

import inspect
import itertools
import sys
import textwrap
from collections.abc import Sequence
from typing import Any
from unittest import mock

import numpy as np
import pytest
import z3
from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, wiring

from striate.hw import gather, scatter, shapes
from striate.hw.drain import Drain, Queue2
from striate.hw.feed import Front
from striate.hw.formal import chains, streams
from striate.hw.formal.engine import bounded, holds, induction
from striate.hw.formal.hazard import GatherHarness, ScatterHarness, bank_address, service_rule
from striate.hw.formal.rounding import Gates, is_code, is_fitted, is_rounded, is_sent
from striate.hw.formal.system import System, given, must, system
from striate.hw.link import Link
from striate.hw.serialiser import Serialiser
from striate.sim import fixed
from striate.sim.design import Design
from striate.sim.fixed import Format
from striate.sim.plan import Plan

ROUNDINGS = ("half_up", "half_even", "floor", "toward_zero")


def plan_of(**keys: Any) -> Plan:
    design = Design(**{
        "image": (8, 8), "kernels": 1, "patch": 4, "stride": 2, "preprocess": "none", "tiles": (2, 2),
        "gather_lanes": 1, "scatter_lanes": 2, "detect_lanes": 2, "link_depth": 2, "threshold": 0.1, **keys,
    })  # fmt: skip
    g = design.geometry
    weights = np.random.default_rng(0).integers(-60, 60, size=(g.kernels, g.channels, g.patch, g.patch))
    return Plan.of(design, weights)


def faulty(component: Any, old: str, new: str) -> Any:
    """The same class with one piece of its hardware replaced."""
    source = textwrap.dedent(inspect.getsource(component.elaborate))
    assert source.count(old) == 1, f"{old!r} is there {source.count(old)} times"
    space = dict(vars(sys.modules[component.__module__]))
    exec(source.replace(old, new), space)
    return type(f"Faulty{component.__name__}", (component,), {"elaborate": space["elaborate"]})


# ---- the runner ------------------------------------------------------------------------------------------------------
class Counter(wiring.Component):
    """Counts to 5 and begins again; `limit` is what it is claimed to stay below. `never`: it is not let go."""

    def __init__(self, limit: int, never: bool = False) -> None:
        self.limit, self.never = limit, never
        super().__init__({"go": wiring.In(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        count = Signal(4, name="count")
        with m.If(self.go):
            m.d.sync += count.eq(Mux(count == 5, 0, count + 1))
        must(m, "below", count < self.limit)
        if self.never:
            given(m, "rest", ~self.go)
        return m


def test_bounded_proves_and_refutes_with_the_shortest_run() -> None:
    assert bounded(system(Counter(6)), 12).proved
    wrong = bounded(system(Counter(5)), 12)
    assert wrong.refuted and wrong.failed == "below" and len(wrong.trace) == 6 and wrong.clocks == 6
    assert [row["count"] for row in wrong.trace] == [0, 1, 2, 3, 4, 5] and wrong.trace[0]["go"] == 1
    assert str(wrong) == "refuted: below fails in clock 5"
    assert bounded(system(Counter(5)), 5).proved, "not yet"
    assert bounded(system(Counter(1, never=True)), 9).proved, "assumptions hold"


def test_induction_covers_any_number_of_clocks_or_says_that_it_does_not_know() -> None:
    proved = induction(system(Counter(6)), 1)
    assert proved.proved and proved.clocks is None and "any number" in str(proved)
    assert induction(system(Counter(5)), 6).refuted
    # 15 would follow 14, which is never reached; a run that stands still at 14 is as long as one likes
    lost = system(Counter(15))
    assert induction(lost, 1).outcome == "unknown" and induction(lost, 10).outcome == "unknown"
    assert induction(lost, 10, unique=True).proved
    assert induction(lost.claim(few=z3.ULE(lost.wire("count"), 5)), 1).proved


def test_a_question_that_takes_too_long_is_unknown() -> None:
    a, b = z3.BitVecs("a b", 48)
    verdict = holds(z3.Or(a * b != 0x3FFFFFFFFFF5, a == 1, b == 1), timeout_s=0.05)
    assert verdict.outcome == "unknown" and "not decided" in str(verdict)
    with pytest.raises(ValueError, match="nothing is claimed"):
        bounded(system(Queue2(data.StructLayout({"word": 1}))), 2)
    with pytest.raises(KeyError, match="no wire 'nowhere'"):
        system(Counter(6)).wire("nowhere")


# ---- rounding, overflow, transfer ------------------------------------------------------------------------------------
def test_the_specification_itself_is_what_the_software_does() -> None:
    """On plain integers, and exactly one result for every value."""
    for rounding, shift, value in itertools.product(ROUNDINGS, range(-2, 5), range(-40, 41)):
        right = [q for q in range(-200, 201) if is_rounded(value, q, shift, rounding)]
        assert right == [int(fixed.round_shift(value, shift, rounding))], (rounding, shift, value)  # type: ignore[call-overload]
    for fmt in formats(range(2, 5)):
        for value in range(-20, 21):
            right = [q for q in range(-40, 41) if is_fitted(value, q, fmt)]
            assert right == [int(fixed.overflowed(value, fmt))], (fmt, value)


def formats(widths: Any, rounding: str = "half_up") -> list[Format]:
    return [
        Format(is_signed, width, 0, rounding, overflow, symmetric)  # type: ignore[arg-type]
        for width in widths
        for is_signed in (True, False)
        for overflow in ("saturate", "wrap")
        for symmetric in ((False, True) if is_signed and overflow == "saturate" else (False,))
    ]


def rounding_verdict(width: int, shifts: Any, wide: int, edit: Any = None) -> Any:
    ways = list(itertools.product(shifts, ROUNDINGS))
    makes = {f"r{n}": (lambda v, s=s, r=r: shapes.round_shift(v, s, r)) for n, (s, r) in enumerate(ways)}
    gates = Gates(width, makes, wide=wide, edit=edit)
    return gates.prove({f"r{n}": is_rounded(gates.value, gates[f"r{n}"], s, r) for n, (s, r) in enumerate(ways)})


def fit_verdict(width: int, words: Any, wide: int) -> Any:
    makes: dict[str, Any] = {}
    for n, fmt in enumerate(formats(words)):
        makes[f"f{n}"] = lambda v, fmt=fmt: shapes.fit(v, fmt)
        makes[f"o{n}"] = lambda v, fmt=fmt: shapes.overflows(v, fmt)
    gates, claims = Gates(width, makes, wide=wide), {}
    for n, fmt in enumerate(formats(words)):
        claims[f"f{n}"] = is_fitted(gates.value, gates[f"f{n}"], fmt)
        outside = z3.Or(gates.value < fmt.low, gates.value > fmt.high)
        claims[f"o{n}"] = (gates[f"o{n}"] != 0) == outside
    return gates.prove(claims)


@pytest.mark.parametrize("width", [2, 4, 6])
def test_rounding_of_every_small_word_by_every_shift(width: int) -> None:
    assert rounding_verdict(width, range(-3, 9), 24).proved


@pytest.mark.parametrize("width", [1, 3, 7])
def test_overflow_of_every_small_word_into_every_small_format(width: int) -> None:
    assert fit_verdict(width, range(2, 8), 16).proved


@pytest.mark.slow
def test_rounding_and_overflow_of_all_other_widths() -> None:
    assert all(rounding_verdict(width, range(-3, 9), 24).proved for width in (3, 5))
    assert all(fit_verdict(width, range(2, 8), 16).proved for width in (2, 4, 5, 6))
    assert rounding_verdict(24, (1, 7, 12, 14, 23, 25), 64).proved
    assert fit_verdict(26, (8, 12, 14, 24), 40).proved


def test_a_wrong_rounding_is_refuted() -> None:
    right = shapes.round_parts

    def ties_down(value: Value, shift: int, rounding: str) -> tuple[Value, Value]:
        down, up = right(value, shift, rounding)
        return (down, up & value[: shift - 1].any()) if rounding == "half_up" and shift > 1 else (down, up)

    with mock.patch.object(shapes, "round_parts", ties_down):
        verdict = rounding_verdict(4, (2,), 24)
    assert verdict.refuted and verdict.failed == "r0" and verdict.trace[0]["v"] % 4 == 2


def code_verdict(width: int, downs: Any, words: Any, wide: int, threshold: int | None = None) -> Any:
    """All transfers of a width; any threshold, which is then half of the input word, or one."""
    makes: dict[str, Any] = {}
    ways = []
    for down, rounding in itertools.product(downs, ROUNDINGS):
        for fmt, soft in itertools.product(formats(words, rounding), (False, True)):
            for two in (False, True) if fmt.signed else (False,):
                code = Format(fmt.signed, fmt.width, max(0, -down), rounding, fmt.overflow, fmt.symmetric)  # type: ignore[arg-type]
                membrane = Format(True, width, max(0, down))
                ways.append((down, code, soft, two))
                makes[f"t{len(makes)}"] = lambda v, m=membrane, c=code, s=soft, t=two: shapes.transfer(
                    v[:width].as_signed(), threshold_q=v[width:] if threshold is None else threshold,
                    membrane=m, code=c, soft=s, two_sided=t,
                )  # fmt: skip
    bits = width if threshold is not None else 2 * width - 1
    gates = Gates(bits, makes, wide=wide)
    u = z3.SignExt(wide - width, z3.Extract(width - 1, 0, gates.word))
    limit: Any = threshold
    if threshold is None:
        limit = z3.ZeroExt(wide - width + 1, z3.Extract(2 * width - 2, width, gates.word))
    rounded = gates.number("rounded", width + 5)
    return gates.prove({
        f"t{n}": is_code(u, gates[f"t{n}"], rounded, threshold=limit, down=down, code=code, soft=soft, two=two)
        for n, (down, code, soft, two) in enumerate(ways)
    })  # fmt: skip


def test_transfer_of_every_small_membrane_with_every_threshold() -> None:
    """Hard and soft, one- and two-sided, into codes of 2 bits of every kind."""
    assert code_verdict(3, (0, 1), (2,), 16).proved


@pytest.mark.slow
def test_transfer_of_wider_membranes() -> None:
    assert code_verdict(3, (0, 1, 2), (2, 3), 16).proved
    assert code_verdict(4, range(-1, 4), (2, 3, 4), 16).proved
    assert code_verdict(5, range(-1, 5), (3, 5), 16).proved
    assert code_verdict(14, (5,), (8,), 40, threshold=410).proved


def test_an_exclusive_threshold_is_refuted() -> None:
    right = shapes.transfer

    def exclusive(u: Value, *, threshold_q: Any, **more: Any) -> Value:
        return Mux(u == threshold_q, 0, right(u, threshold_q=threshold_q, **more))

    with mock.patch.object(shapes, "transfer", exclusive):
        assert code_verdict(3, (1,), (3,), 16).refuted


@pytest.mark.parametrize("width", [3, pytest.param(9, marks=pytest.mark.slow)])
def test_the_cutoff_of_every_residual(width: int) -> None:
    """As detect puts it together: round, fit, compare with a cutoff that is an input (2 bits, and all of r~'s)."""
    ways = list(itertools.product((0, 1, 3), ROUNDINGS, ("saturate", "wrap"), (2, 3)))
    makes: dict[str, Any] = {}
    for n, (down, rounding, overflow, size) in enumerate(ways):

        def make(v: Value, down: int = down, r: str = rounding, overflow: str = overflow, size: int = size) -> Value:
            fmt = Format(True, 3, 0, r, overflow)  # type: ignore[arg-type]
            cutoff = v[width : width + size]
            clipped = shapes.fit(shapes.round_shift(v[:width].as_signed(), down, r), fmt)
            return Mux(shapes.smaller(clipped, cutoff, Mux(cutoff == 0, 0, cutoff - 1)[:size]), 0, clipped).as_signed()

        makes[f"s{n}"] = make
    gates = Gates(width + 3, makes, wide=24)
    value = z3.SignExt(24 - width, z3.Extract(width - 1, 0, gates.word))
    rounded, fitted = gates.number("rounded", width + 2), gates.number("fitted", 5)
    claims = {}
    for n, (down, rounding, overflow, size) in enumerate(ways):
        fmt = Format(True, 3, 0, rounding, overflow)  # type: ignore[arg-type]
        cutoff = z3.ZeroExt(24 - size, z3.Extract(width + size - 1, width, gates.word))
        claims[f"s{n}"] = is_sent(value, gates[f"s{n}"], rounded, fitted, down=down, fmt=fmt, cutoff=cutoff)
    assert gates.prove(claims).proved


# ---- streams ---------------------------------------------------------------------------------------------------------
def test_queue_under_any_back_pressure() -> None:
    proved = system(streams.QueueHarness())
    assert bounded(proved, 12).proved and induction(streams.queue_inside(proved), 1).proved
    beats = proved.claim(seen=proved.wire("queue_done") == 0)
    assert bounded(beats, 6).refuted, "no beat was ever followed to the end"


def test_a_queue_that_puts_a_beat_in_the_wrong_place_is_refuted() -> None:
    wrong = faulty(Queue2, "(level == 0) | ((level == 1) & get)", "level == 0")
    verdict = bounded(system(streams.QueueHarness(wrong(data.StructLayout({"word": 4})))), 12)
    assert verdict.refuted and verdict.failed in ("queue_keeps_order_and_words", "output_keeps_its_offer")


@pytest.mark.parametrize("depth", [1, 2, 3, pytest.param(8, marks=pytest.mark.slow)])
def test_link_store(depth: int) -> None:
    found = system(streams.LinkHarness(plan_of(link_depth=depth, settle=1)))
    assert induction(streams.link_inside(found, depth), 1).proved
    assert bounded(found, 8).proved


def test_a_link_that_forgets_to_forget_is_refuted() -> None:
    wrong = faulty(Link, "[count.eq(0), at.eq(0), self.closed", "[count.eq(0), self.closed")
    plan = plan_of()
    assert bounded(system(streams.LinkHarness(plan, wrong(plan))), 8).refuted


@pytest.mark.parametrize("lanes", [pytest.param(1, marks=pytest.mark.slow), 2, pytest.param(5, marks=pytest.mark.slow)])
def test_serialiser(lanes: int) -> None:
    found = system(streams.SerialiserHarness(lanes))

    def inside(found: System, unnamed: Sequence[str]) -> System:
        return streams.serialiser_inside(found, lanes, 2, unnamed)

    assert chains.induction_of(found, inside, "serialiser", int(lanes > 1), 1).proved
    assert bounded(found, 12).proved


def test_a_serialiser_that_drops_a_refused_lane_is_refuted() -> None:
    wrong = faulty(Serialiser, "with m.Elif(self.accept):", "with m.Else():")
    verdict = bounded(system(streams.SerialiserHarness(2, 2, wrong(lanes=2, width=2))), 8)
    assert verdict.refuted and verdict.failed == "output_keeps_its_offer"


@pytest.mark.parametrize(
    "keys",
    [
        dict(tiles=(2, 2)),
        pytest.param(dict(tiles=(1, 2), image=(4, 8), settle=1), marks=pytest.mark.slow),
        pytest.param(dict(tiles=(1, 1), image=(4, 4)), marks=pytest.mark.slow),
        pytest.param(dict(tiles=(2, 1), image=(8, 4), kernels=3), marks=pytest.mark.slow),
    ],
)
def test_drain_merges_without_loss(keys: dict[str, Any]) -> None:
    found = system(chains.DrainHarness(plan_of(**keys)))
    assert chains.induction_of(found, chains.drain_inside, "drain", 2).proved
    done = found.claim(closed=z3.Not(z3.And(found.wire("turn") == 0, found.wire("drain_done") == 1)))
    assert bounded(done, 9).refuted, "no frame was ever drained"


@pytest.mark.parametrize(
    "old, new",
    [
        pytest.param(
            "overflow.eq(overflow | behind.overflow)", "overflow.eq(behind.overflow)", marks=pytest.mark.slow
        ),
        ("queue.i.valid.eq(port.valid & ~behind.last)", "queue.i.valid.eq(port.valid)"),
    ],
)
def test_a_drain_with_a_fault_is_refuted(old: str, new: str) -> None:
    plan = plan_of()
    assert bounded(system(chains.DrainHarness(plan, faulty(Drain, old, new)(plan))), 8).refuted


@pytest.mark.parametrize(
    "keys", [dict(channels=2), pytest.param(dict(channels=3, image=(6, 8)), marks=pytest.mark.slow)]
)
def test_front_feeds_what_it_takes(keys: dict[str, Any]) -> None:
    found = system(chains.FrontHarness(plan_of(**{"image": (4, 4), "tiles": (1, 1), **keys})))
    assert chains.induction_of(found, chains.front_inside, "front", 2).proved


@pytest.mark.parametrize(
    "old, new",
    [
        pytest.param(
            "self.command.ready.eq(~self.weights.valid)", "self.command.ready.eq(1)", marks=pytest.mark.slow
        ),
        ("(command.steps == 0)", "(command.steps == 1)"),
    ],
)
def test_a_front_with_a_fault_is_refuted(old: str, new: str) -> None:
    plan = plan_of(image=(4, 4), tiles=(1, 1))
    assert bounded(system(chains.FrontHarness(plan, faulty(Front, old, new)(plan))), 5).refuted


# ---- the hazard distance ---------------------------------------------------------------------------------------------
SMALL = dict(image=(8, 4), tiles=(1, 1), gather_lanes=2, scatter_lanes=4)  # two banks of D, two of R
CHANNELS = dict(image=(16, 4), channels=2, stride=4, tiles=(1, 1), scatter_lanes=4, detect_lanes=4)


def test_the_service_rule_keeps_the_distance_for_any_geometry() -> None:
    assert all(verdict.proved for verdict in service_rule().values())
    assert service_rule(hazard=3)["neighbours"].refuted, "a pause for three clocks does not do for four"
    assert service_rule(kept=5)["neighbours"].refuted


def test_a_bank_without_a_whole_address_is_refused() -> None:
    """One address a bank would be cut short without a word; a bank that has no bit of its own would be left out."""
    for word, skips, bank, width in ((8, 2, 1, 4), (3, 2, 0, 4), (4, 1, 1, 4)):
        with pytest.raises(ValueError, match=f"bank {bank}: an address of {width} bits"):
            bank_address(Signal(word), Signal(skips), bank, width)
    assert len(bank_address(Signal(4), Signal(2), 1, 4)) == 4


def touched(harness: GatherHarness | ScatterHarness, choice: str, number: int) -> Any:
    """The claim that a bank or lane is never touched, which must be refuted: otherwise nothing is said about it."""
    found = system(harness)
    never = z3.Not(z3.And(found.wire("touch") == 1, found.wire(choice) == number))
    return bounded(found.claim(never=never), 8)


def test_gather_keeps_the_distance() -> None:
    assert bounded(system(GatherHarness(plan_of(**SMALL))), 10).proved
    assert touched(GatherHarness(plan_of(**SMALL)), "any_bank", 1).failed == "never"
    with mock.patch.object(gather, "HAZARD", 3):
        assert bounded(system(GatherHarness(plan_of(**SMALL))), 9).refuted


@pytest.mark.slow
def test_gather_keeps_the_distance_for_longer_and_where_a_channel_begins() -> None:
    assert bounded(system(GatherHarness(plan_of(**SMALL))), 12, timeout_s=1800).proved
    assert bounded(system(GatherHarness(plan_of(**CHANNELS))), 12, timeout_s=1800).proved
    assert bounded(system(GatherHarness(plan_of(**CHANNELS), ordered=False)), 14).refuted, "raster order is needed"


def test_scatter_with_a_shorter_pause_is_refuted() -> None:
    assert touched(ScatterHarness(plan_of(**SMALL)), "any_lane", 3).failed == "never"
    with mock.patch.object(scatter, "HAZARD", 3):
        assert bounded(system(ScatterHarness(plan_of(**SMALL))), 12, timeout_s=1800).refuted


@pytest.mark.slow
def test_scatter_keeps_the_distance() -> None:
    """At stride 4; at stride 2 the question for so many clocks is not decided within minutes, nor a fault found."""
    assert touched(ScatterHarness(plan_of(**CHANNELS)), "any_lane", 3).failed == "never"
    assert bounded(system(ScatterHarness(plan_of(**CHANNELS))), 12, timeout_s=1800).proved
    assert not bounded(system(ScatterHarness(plan_of(**SMALL))), 12, timeout_s=300).refuted


@pytest.mark.slow
def test_every_residual_event_reaches_the_lanes_once_and_in_order() -> None:
    found = system(GatherHarness(plan_of(**SMALL), scoreboard=True))
    assert bounded(found, 10, timeout_s=1800).proved
    assert bounded(found.claim(seen=found.wire("events_done") == 0), 12).refuted, (
        "no event was ever followed to the end"
    )
