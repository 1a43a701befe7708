"""Vector operations that the compiler does not find by itself, for the compiled functions.

``accumulate`` keeps a piece of a row of D (or R) in registers while a list of events is added to it; ``shift_down`` and
``shift_up`` shift without widening, so that loops over 32-bit words stay 32 bits wide. They are written as vectors of
LLVM, which every processor has: it cuts them to its own registers. Nothing here depends on the order of the sum:
integers are exact, and so are the integers below 2^24 (2^53) that D holds as float32 (float64).
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils as _cgutils
from numba.extending import intrinsic as _intrinsic

LANES = 16
"""Words of a vector: rows of D, R and the weights are padded to a multiple of it."""
UNROLLED = 8
"""Most vectors that ``accumulate`` keeps in registers."""

MARKS = 64
"""Words that ``marked`` looks at."""

intrinsic: Any = _intrinsic  # its own type is that of the generator, not of the function that compiled code calls
cgutils: Any = _cgutils

_INT32 = ir.IntType(32)


def _element(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [index])


@intrinsic(prefer_literal=True)
def accumulate(typingctx, target, at, weights, offsets, values, first, last, back, vectors):  # type: ignore[no-untyped-def]
    """``target[at + n] += sum weights[offsets[e] - back + n] * values[e]`` over ``first <= e < last``.

    n runs over ``vectors * LANES`` words; ``vectors`` is a literal. At least one event is asked for (first < last).
    """
    count = vectors.literal_value
    signature = types.void(
        target, types.int64, weights, offsets, values, types.int64, types.int64, types.int64, vectors
    )

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        target, at, weights, offsets, values, first, last, back, _ = arguments
        words, taps, places, changes = (signature.args[n] for n in (0, 2, 3, 4))
        vector = ir.VectorType(context.get_value_type(words.dtype), LANES)
        align, floating = words.dtype.bitwidth // 8, isinstance(words.dtype, types.Float)

        def pieces(array_type: Any, array: Any, index: Any) -> list[Any]:
            base = builder.bitcast(_element(context, builder, array_type, array, index), vector.as_pointer())
            return [builder.gep(base, [ir.Constant(_INT32, n)]) for n in range(count)]

        stored = pieces(words, target, at)
        before = [builder.load(piece, align=align) for piece in stored]
        entry, loop, done = (
            builder.block,
            builder.append_basic_block("event"),
            builder.append_basic_block("stored"),
        )
        builder.branch(loop)
        builder.position_at_end(loop)
        event, sums = builder.phi(first.type), [builder.phi(vector) for _ in range(count)]
        event.add_incoming(first, entry)
        place = builder.load(_element(context, builder, places, offsets, event))
        place = builder.sub(builder.sext(place, first.type) if places.dtype.bitwidth < 64 else place, back)
        change = builder.load(_element(context, builder, changes, values, event))
        empty = ir.Constant(vector, ir.Undefined)
        single = builder.insert_element(empty, change, ir.Constant(_INT32, 0))
        spread = builder.shuffle_vector(single, empty, ir.Constant(ir.VectorType(_INT32, LANES), [0] * LANES))
        after = []
        for piece, total in zip(pieces(taps, weights, place), sums, strict=True):
            tap = builder.load(piece, align=align)
            if floating:
                kind = ir.FunctionType(vector, [vector] * 3)
                name = f"llvm.fmuladd.v{LANES}f{words.dtype.bitwidth}"
                added = builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [tap, spread, total])
            else:
                added = builder.add(total, builder.mul(tap, spread))
            after.append(added)
        following = builder.add(event, ir.Constant(first.type, 1))
        event.add_incoming(following, loop)
        for total, start, added in zip(sums, before, after, strict=True):
            total.add_incoming(start, entry)
            total.add_incoming(added, loop)
        builder.cbranch(builder.icmp_signed("<", following, last), loop, done)
        builder.position_at_end(done)
        for piece, added in zip(stored, after, strict=True):
            builder.store(added, piece, align=align)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def marked(typingctx, words, at):  # type: ignore[no-untyped-def]
    """A bit for each of the ``MARKS`` words from ``words[at]`` on: whether it is not 0. The first is the lowest."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        kind = signature.args[0]
        scalar = context.get_value_type(kind.dtype)
        vector = ir.VectorType(scalar, LANES)
        base = builder.bitcast(_element(context, builder, kind, *arguments), vector.as_pointer())
        nothing, bits = ir.Constant(vector, None), ir.Constant(ir.IntType(64), 0)
        for n in range(MARKS // LANES):
            piece = builder.load(builder.gep(base, [ir.Constant(_INT32, n)]), align=kind.dtype.bitwidth // 8)
            some = builder.bitcast(builder.icmp_unsigned("!=", piece, nothing), ir.IntType(LANES))
            placed = builder.shl(builder.zext(some, bits.type), ir.Constant(bits.type, LANES * n))
            bits = builder.or_(bits, placed)
        return bits

    return types.uint64(words, types.int64), generate


@intrinsic
def lowest(typingctx, bits):  # type: ignore[no-untyped-def]
    """The place of the lowest bit that is set; 64 where none is."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), generate


@intrinsic
def _ones(typingctx, bits):  # type: ignore[no-untyped-def]
    """How many bits are set."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


@njit(inline="always")
def spread(bits, first, places, at):  # type: ignore[no-untyped-def]
    """``places[at], ... = first +`` the places of the bits that are set, in order; where the list ends now.

    Four at a time, and four at least, so that the processor foresees the end of most words; the list needs room for
    four more.
    """
    end = at + _ones(bits)
    while bits != 0:
        for n in range(4):
            places[at + n] = first + lowest(bits)
            bits &= bits - np.uint64(1)
        at += 4
    return end


def _lent(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    if isinstance(kind, types.BaseTuple):
        members: Any = kind
        for n, member in enumerate(members):
            part = _lent(context, builder, member, builder.extract_value(value, n))
            value = builder.insert_value(value, part, n)
    if not isinstance(kind, types.Array):
        return value
    view = context.make_array(kind)(context, builder, value)
    view.meminfo = cgutils.get_null_value(view.meminfo.type)
    view.parent = cgutils.get_null_value(view.parent.type)
    return view._getvalue()


@intrinsic
def borrowed(typingctx, arrays):  # type: ignore[no-untyped-def]
    """The same array, or tuple of arrays, without the counts of references: counting takes as long as a row of work.

    The arrays themselves must live longer than what is cut from this.
    """

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return _lent(context, builder, signature.args[0], arguments[0])

    return arrays(arrays), generate


@intrinsic
def wide(typingctx):  # type: ignore[no-untyped-def]
    """Loops of the function that says this may use the processor's widest vectors; left alone, LLVM takes half of
    them on processors that once slowed down for it."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        # a set of known words, which this attribute is not one of
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def shift_down(typingctx, value, amount):  # type: ignore[no-untyped-def]
    """``value >> amount`` in the type of ``value``; amount is less than its width."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.ashr(*arguments)

    return value(value, value), generate


@intrinsic
def shift_up(typingctx, value, amount):  # type: ignore[no-untyped-def]
    """``value << amount`` in the type of ``value``; amount is less than its width."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.shl(*arguments)

    return value(value, value), generate
