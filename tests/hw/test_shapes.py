"""Rounding, overflow and the transfer function in gates against ``sim/fixed.py`` and ``sim/kernel.py``."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value, signed, unsigned
from amaranth.sim import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st

from striate.hw import shapes
from striate.sim import fixed, kernel
from striate.sim.fixed import OVERFLOWS, ROUNDINGS, Format
from striate.sim.tiling import IntArray

Make = Callable[[Value], Value]


def evaluate(shape: Shape, makes: Sequence[Make], values: Sequence[int]) -> tuple[IntArray, list[Shape]]:
    """Every function of one input, in one simulated module: (functions, values), and the shapes of the results."""
    m = Module()
    given_value = Signal(shape)
    results = []
    for n, make in enumerate(makes):
        value = make(given_value)
        results.append(Signal(value.shape(), name=f"result_{n}"))
        m.d.comb += results[-1].eq(value)
    found: list[list[int]] = []

    async def process(ctx) -> None:  # type: ignore[no-untyped-def]
        for value in values:
            ctx.set(given_value, value)
            found.append([ctx.get(result) for result in results])

    simulator = Simulator(m)
    simulator.add_testbench(process)
    simulator.run()
    return np.array(found, np.int64).T, [result.shape() for result in results]


def interesting(width: int, also: Sequence[int], seed: int, count: int = 40) -> list[int]:
    """Signed values of a width: the ends, 0, neighbours of the given ones, powers of two, and random ones."""
    low, high = -(1 << (width - 1)), (1 << (width - 1)) - 1
    rng = np.random.default_rng(seed)
    powers = [sign << n for n in range(width - 1) for sign in (1, -1)]
    near = [value + d for value in (*also, *(-v for v in also), low, high, 0) for d in (-1, 0, 1)]
    spread = [int(v) >> int(rng.integers(0, width)) for v in rng.integers(low, high, count, endpoint=True)]
    return sorted({v for v in (*near, *powers, *spread) if low <= v <= high})


# ---- rounding --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_round_shift_of_every_byte(rounding: str) -> None:
    """All 256 values, shifts from two to the left to further right than there are bits."""
    shifts = range(-2, 11)
    values = list(range(-128, 128))
    found, _ = evaluate(signed(8), [lambda v, s=s: shapes.round_shift(v, s, rounding) for s in shifts], values)
    for row, shift in zip(found, shifts, strict=True):
        wanted = fixed.round_shift(np.array(values), shift, rounding)  # type: ignore[arg-type]
        assert np.array_equal(row, wanted), f"shift {shift}"
        compiled = [kernel.round_shift.py_func(v, shift, kernel.ROUNDING[rounding]) for v in values]
        assert np.array_equal(row, compiled), f"shift {shift}"


@settings(max_examples=20)
@given(width=st.integers(2, 40), shift=st.integers(-8, 42), seed=st.integers(0, 1 << 30))
def test_round_shift_of_wide_words(width: int, shift: int, seed: int) -> None:
    values = interesting(width, [3 << max(0, shift - 1), 1 << max(0, shift - 1)], seed)
    found, _ = evaluate(signed(width), [lambda v, r=r: shapes.round_shift(v, shift, r) for r in ROUNDINGS], values)
    for row, rounding in zip(found, ROUNDINGS, strict=True):
        wanted = [fixed.round_shift(v, shift, rounding) for v in values]  # type: ignore[call-overload]
        assert row.tolist() == wanted, rounding


@settings(max_examples=25)
@given(a=st.integers(2, 20), b=st.integers(2, 20), shift=st.integers(-2, 22), seed=st.integers(0, 1 << 30))
def test_a_rounded_summand_is_two_parts_in_one_sum(a: int, b: int, shift: int, seed: int) -> None:
    """What the update does with the step: the floor and the last carry, added to u at once."""
    other = int(np.random.default_rng(seed).integers(-(1 << (a - 1)), 1 << (a - 1)))

    def total(value: Value, rounding: str) -> Value:
        return shapes.carrying_sum(Const(other, signed(a)), *shapes.round_parts(value, shift, rounding))

    values = interesting(b, [3 << max(0, shift - 1), 1 << max(0, shift - 1)], seed)
    found, _ = evaluate(signed(b), [lambda v, r=r: total(v, r) for r in ROUNDINGS], values)
    for row, rounding in zip(found, ROUNDINGS, strict=True):
        wanted = [other + fixed.round_shift(v, shift, rounding) for v in values]  # type: ignore[call-overload]
        assert row.tolist() == wanted, rounding


@pytest.mark.parametrize("size", [1, 3, 5, 6])
def test_smaller_than_every_limit(size: int) -> None:
    values = list(range(-16, 16))
    limits = range(1 << size)
    makes: list[Make] = [lambda v, n=n: shapes.smaller(v, Const(n, size), Const(max(n, 1) - 1, size)) for n in limits]
    found, _ = evaluate(signed(5), makes, values)
    assert found.tolist() == [[int(abs(v) < n) for v in values] for n in limits]


def test_unknown_rounding_is_refused() -> None:
    with pytest.raises(ValueError, match="up_and_away"):
        shapes.round_shift(Signal(signed(4)), 1, "up_and_away")


# ---- overflow --------------------------------------------------------------------------------------------------------
def formats_of(width: int) -> list[Format]:
    return [
        Format(is_signed, width, 0, "half_up", overflow, symmetric)  # type: ignore[arg-type]
        for is_signed in (True, False)
        for overflow in OVERFLOWS
        for symmetric in ((False, True) if is_signed and overflow == "saturate" else (False,))
    ]


@settings(max_examples=25)
@given(width=st.integers(1, 30), word=st.integers(2, 34), seed=st.integers(0, 1 << 30))
def test_fit_and_overflows(width: int, word: int, seed: int) -> None:
    """Words wider, equal and narrower than the value."""
    formats = formats_of(word)
    values = interesting(width, [1 << (word - 1), 1 << word], seed)
    makes: list[Make] = [lambda v, f=f: shapes.fit(v, f) for f in formats]
    makes += [lambda v, f=f: shapes.overflows(v, f) for f in formats]
    found, results = evaluate(signed(width), makes, values)
    for n, fmt in enumerate(formats):
        assert results[n] == (signed(word) if fmt.signed else unsigned(word)) == shapes.shape_of(fmt)
        assert found[n].tolist() == [fixed.overflowed(v, fmt) for v in values], fmt
        assert found[n + len(formats)].tolist() == [int(not fmt.low <= v <= fmt.high) for v in values], fmt


# ---- words -----------------------------------------------------------------------------------------------------------
def test_lanes_and_signed_value() -> None:
    values = [-(1 << 23), (1 << 23) - 1, 0x123456, -0x654321, -1]
    found, _ = evaluate(signed(24), [lambda v, n=n: shapes.lane(v, n, 6) for n in range(4)], values)
    for n, row in enumerate(found):
        assert row.tolist() == [fixed.wrap(v >> (6 * n), 6) for v in values]
    makes: list[Make] = [shapes.signed_value, lambda v: shapes.signed_value(v[:5])]
    found, results = evaluate(signed(5), makes, list(range(-16, 16)))
    assert found[0].tolist() == list(range(-16, 16)) and results[0] == signed(5)
    assert found[1].tolist() == [v % 32 for v in range(-16, 16)] and results[1] == signed(6)
    assert all(shape.signed for shape in results)


# ---- the transfer function -------------------------------------------------------------------------------------------
def transfer_of(u: int, threshold: int, membrane: Format, code: Format, soft: bool, two_sided: bool) -> int:
    """T(u) as docs/arithmetic.md has it, from the functions of ``sim/fixed.py``."""
    magnitude = abs(u) if two_sided else u
    if magnitude < threshold:
        return 0
    kept = magnitude - threshold if soft else magnitude
    rounded = fixed.round_shift(kept, membrane.frac - code.frac, code.rounding)
    return fixed.overflowed(-rounded if two_sided and u < 0 else rounded, code)


def compiled_transfer(
    u: Sequence[int], threshold: int, membrane: Format, code: Format, soft: bool, two_sided: bool
) -> list[int]:
    """T(u) by the compiled function of ``sim/kernel.py``."""
    numbers = dict.fromkeys(kernel.Arithmetic._fields, 0) | {
        "threshold": threshold,
        "soft": soft,
        "two_sided": two_sided,
        "code_shift": membrane.frac - code.frac,
        "code_rounding": kernel.ROUNDING[code.rounding],
        "code_low": code.low,
        "code_high": code.high,
        "code_wrap": code.width if code.overflow == "wrap" else 0,
        "code_signed": code.signed,
    }
    a = kernel.Arithmetic(**numbers)
    return [kernel.transfer.py_func(v, a) for v in u]


@st.composite
def transfers(draw: st.DrawFn) -> tuple[Format, Format, int]:
    """Membrane, code (its fraction above, at and below the membrane's) and threshold."""
    frac = draw(st.integers(2, 14))
    membrane = Format(True, frac + draw(st.integers(1, 4)), frac)
    code_frac = draw(st.integers(0, 10))
    code = Format(
        draw(st.booleans()),
        max(2, code_frac + draw(st.integers(-2, 3))),
        code_frac,
        draw(st.sampled_from(ROUNDINGS)),  # type: ignore[arg-type]
        draw(st.sampled_from(OVERFLOWS)),  # type: ignore[arg-type]
    )
    return membrane, code, draw(st.integers(0, membrane.high))


@settings(max_examples=60)
@given(transfers(), st.integers(0, 1 << 30))
def test_transfer(drawn: tuple[Format, Format, int], seed: int) -> None:
    """Hard and soft, one- and two-sided, at the threshold and next to it, at both ends of the membrane."""
    membrane, code, threshold = drawn
    kinds = [(soft, two) for soft in (False, True) for two in ((False, True) if code.signed else (False,))]
    values = interesting(membrane.width, [threshold, threshold + (1 << max(0, membrane.frac - code.frac))], seed)
    makes: list[Make] = [
        lambda u, soft=soft, two=two: shapes.transfer(
            u, threshold_q=threshold, membrane=membrane, code=code, soft=soft, two_sided=two
        )
        for soft, two in kinds
    ]
    found, results = evaluate(signed(membrane.width), makes, values)
    for row, shape, (soft, two) in zip(found, results, kinds, strict=True):
        assert shape.signed
        assert row.tolist() == [transfer_of(u, threshold, membrane, code, soft, two) for u in values], (soft, two)
        assert row.tolist() == compiled_transfer(values, threshold, membrane, code, soft, two), (soft, two)
        if two and code.overflow == "saturate" and threshold > 0:
            by_value = dict(zip(values, row.tolist(), strict=True))
            odd = [u for u in values if -u in by_value and by_value[u] not in (code.low, code.high)]
            assert all(by_value[-u] == -by_value[u] for u in odd if by_value[-u] not in (code.low, code.high))


# ---- the detect port, as it is put together in hw/detect.py ----------------------------------------------------------
@settings(max_examples=25)
@given(
    width=st.integers(8, 30), down=st.integers(0, 12), word=st.integers(3, 12), cutoff=st.integers(0, 9),
    rounding=st.sampled_from(ROUNDINGS), overflow=st.sampled_from(OVERFLOWS), seed=st.integers(0, 1 << 30),
)  # fmt: skip
def test_sent_residual(width: int, down: int, word: int, cutoff: int, rounding: str, overflow: str, seed: int) -> None:
    fmt = Format(True, word, 0, rounding, overflow)  # type: ignore[arg-type]

    def port(r: Value) -> Value:
        rounded = shapes.round_shift(r, down, rounding)
        clipped = shapes.fit(rounded, fmt)
        early = overflow == "saturate" and bits_of_cutoff < word
        limits = Const(cutoff, bits_of_cutoff), Const(max(cutoff, 1) - 1, bits_of_cutoff)
        return Mux(shapes.smaller(rounded if early else clipped, *limits), 0, clipped).as_signed()

    bits_of_cutoff = min(word, 4)
    cutoff = min(cutoff, (1 << bits_of_cutoff) - 1)
    values = interesting(width, [cutoff << down, fmt.high << down, 1 << max(0, down - 1)], seed)
    numbers = dict.fromkeys(kernel.Arithmetic._fields, 0) | {
        "cutoff": cutoff,
        "residual_shift": down,
        "residual_rounding": kernel.ROUNDING[rounding],
        "residual_low": fmt.low,
        "residual_high": fmt.high,
        "residual_wrap": word if overflow == "wrap" else 0,
    }
    found, _ = evaluate(signed(width), [port], values)
    assert found[0].tolist() == [kernel.sent_residual.py_func(v, kernel.Arithmetic(**numbers)) for v in values]
    wanted = [fixed.requantise(v, down, fmt) for v in values]
    assert found[0].tolist() == [0 if -cutoff < v < cutoff else v for v in wanted]


def test_evaluate_itself() -> None:
    """The harness of this file tells signed from unsigned."""
    found, results = evaluate(signed(4), [lambda v: v + 1, lambda v: Cat(v)], [-8, 7])
    assert found.tolist() == [[-7, 8], [8, 7]] and [r.signed for r in results] == [True, False]
