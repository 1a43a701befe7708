"""Number formats in gates: rounding, overflow and the transfer function, equal to ``sim/fixed.py`` bit for bit."""

from amaranth.hdl import Cat, Const, Mux, Shape, Value, signed, unsigned

from ..sim.fixed import Format


def shape_of(fmt: Format) -> Shape:
    """The Amaranth shape of a format's integers."""
    return signed(fmt.width) if fmt.signed else unsigned(fmt.width)


def lane(word: Value, index: int, width: int) -> Value:
    """Lane ``index`` of a word of equal lanes, as a signed number."""
    return word[index * width : (index + 1) * width].as_signed()


def signed_value(value: Value) -> Value:
    """The same number as a signed value (one bit wider where it was unsigned)."""
    return value if value.shape().signed else Cat(value, Const(0, 1)).as_signed()


def round_parts(value: Value, shift: int, rounding: str) -> tuple[Value, Value]:
    """(down, up): ``value / 2^shift`` rounded to an integer is ``down + up``, up being one bit, so that an adder behind
    can take it as its carry. A shift of 0 or less is exact. ``value`` must be signed.
    """
    if shift <= 0:
        return (value << -shift) if shift else value, Const(0, 1)
    if len(value) <= shift:  # the bits that are rounded away must exist
        value = Cat(value, value[-1].replicate(shift + 1 - len(value))).as_signed()
    down = value >> shift  # arithmetic: floor
    half, rest = value[shift - 1], value[: shift - 1].any() if shift > 1 else Const(0, 1)
    if rounding == "floor":
        return down, Const(0, 1)
    if rounding == "half_up":
        return down, half
    if rounding == "half_even":
        return down, half & (rest | down[0])
    if rounding == "toward_zero":
        return down, value[-1] & (half | rest)
    raise ValueError(f"unknown rounding {rounding!r}")


def round_shift(value: Value, shift: int, rounding: str) -> Value:
    """``value / 2^shift`` rounded to an integer, as ``round_parts`` has it."""
    down, up = round_parts(value, shift, rounding)
    return down if shift <= 0 or rounding == "floor" else down + up


def carrying_sum(a: Value, b: Value, carry: Value) -> Value:
    """``a + b + carry`` of two signed values and a bit, in one adder: the carry comes in as a bit below the others."""
    return (Cat(Const(1, 1), a).as_signed() + Cat(carry, b).as_signed()) >> 1


def smaller(value: Value, limit: Value, below: Value) -> Value:
    """``|value| < limit`` of a signed value, with ``below = max(limit, 1) - 1``: no negation and no carry chain."""
    size, negative = len(limit), value[-1]
    value = Cat(value, negative.replicate(max(0, size + 1 - len(value))))
    upper, less = value[size:], Const(0, 1)
    for n in range(size):  # a negative number's complement is its magnitude less 1
        bit, other = value[n] ^ negative, Mux(negative, below[n], limit[n])
        less = Mux(bit ^ other, other, less)
    return less & (upper.all() | ~upper.any())


def overflows(value: Value, fmt: Format) -> Value:
    """High when the signed ``value`` is outside the format's range; the range of a whole word takes no comparator."""
    if fmt.high != (1 << (fmt.width - fmt.signed)) - 1 or fmt.low not in (-fmt.high - 1, -fmt.high, 0):
        return (value > fmt.high) | (value < fmt.low)
    wide = Cat(value, value[-1].replicate(max(0, fmt.width + 1 - len(value))))
    if not fmt.signed:
        return wide[fmt.width :].any()
    outside = wide[fmt.width - 1 :].any() & ~wide[fmt.width - 1 :].all()
    return outside | (wide.as_signed() == fmt.low - 1) if fmt.low == -fmt.high else outside


def fit(value: Value, fmt: Format) -> Value:
    """The format's overflow rule applied to a signed value; the result has exactly the format's width."""
    if fmt.overflow == "wrap":
        low = Cat(value, value[-1].replicate(max(0, fmt.width - len(value))))[: fmt.width]
        return low.as_signed() if fmt.signed else low
    inside = Cat(value, value[-1].replicate(max(0, fmt.width - len(value))))[: fmt.width]
    clipped = Mux(overflows(value, fmt), Mux(value < 0, fmt.low, fmt.high), inside)[: fmt.width]
    return clipped.as_signed() if fmt.signed else clipped


def transfer(
    u: Value, *, threshold_q: int | Value, membrane: Format, code: Format, soft: bool, two_sided: bool
) -> Value:
    """``y = T(u)`` of the arithmetic: the code of a membrane, as a signed value.

    Hard: u where ``u >= threshold``, else 0; soft: ``u - threshold``. Two-sided: odd in u, rounding the magnitude.
    """
    magnitude = Mux(u < 0, -u, u) if two_sided else u
    passed = magnitude >= threshold_q
    kept = magnitude - threshold_q if soft else magnitude
    rounded = round_shift(kept, membrane.frac - code.frac, code.rounding)
    value = Mux(u < 0, -rounded, rounded) if two_sided else rounded
    # an AND, no choice of 0: synthesis would make that a reset of the register behind, a wire to every lane's own
    kept_code = fit(value, code)[: code.width] & passed.replicate(code.width)
    return signed_value(kept_code.as_signed() if code.signed else kept_code)
