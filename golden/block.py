"""The inner loops of `fast`, written out in LLVM's own terms so that they use whole vector registers.

A compiler left alone loads and stores each sum of Phi^T r once per multiply-add. In `gather_block` the sums of
``positions`` x ``vectors`` x `LANES` neurons stay in registers over all taps of a kernel, and every weight that is
loaded serves all positions. The results are those of plain loops up to rounding: each multiply-add is rounded once.
"""

from typing import Any

from llvmlite import ir
from numba import config, types
from numba.core.codegen import get_host_cpu_features
from numba.extending import intrinsic

# What the compiler may use: the machine's features unless NUMBA_CPU_FEATURES names others.
_CHOSEN = getattr(config, "CPU_FEATURES", None)
_FEATURES = str(get_host_cpu_features() if _CHOSEN is None else _CHOSEN)  # type: ignore[no-untyped-call]
_WIDE = "+avx512f" in _FEATURES.split(",")

# float64 values to a vector register, and for every number of vectors the positions whose sums then still fit beside
# them into the machine's registers (32 with AVX-512, taken as 16 otherwise).
LANES = 8 if _WIDE else 4
POSITIONS = {4: 6, 3: 8, 2: 8, 1: 8} if _WIDE else {2: 6, 1: 8}


def vectors_for(kernels: int) -> int:
    """Vectors of `LANES` kernels to a block: the most that divide the kernels, filled up to whole vectors."""
    whole = -(-kernels // LANES)
    return max(count for count in POSITIONS if whole % count == 0)


def _fma(build: Any, vector: Any, lanes: int) -> Any:
    return build.module.declare_intrinsic(f"llvm.fma.v{lanes}f64", (), ir.FunctionType(vector, [vector] * 3))


def gather_block(positions: int, vectors: int, lanes: int = LANES) -> Any:
    """A function for use inside compiled code, the sums of one block::

        f(canvas, base, step, offsets, weights, first, out, where, pitch)

        out[where + pitch n + k] = sum over taps t of canvas[base + step n + offsets[t]]
                                   * weights[first + t * vectors * lanes + k]

    for n below ``positions`` and k below ``vectors * lanes``. The arrays are C-contiguous, float64 except the int64
    ``offsets`` (at least one), and indexed as if they were flat; nothing checks that the indices are inside.
    """
    real, whole, short = ir.DoubleType(), ir.IntType(64), ir.IntType(32)
    vector = ir.VectorType(real, lanes)
    zeros, undefined = ir.Constant(vector, None), ir.Constant(vector, ir.Undefined)
    everywhere = ir.Constant(ir.VectorType(short, lanes), None)

    def number(value: int) -> Any:
        return ir.Constant(whole, value)

    def generate(context: Any, build: Any, signature: Any, words: Any) -> Any:
        def data(index: int) -> Any:
            return context.make_array(signature.args[index])(context, build, words[index]).data

        def at(pointer: Any, index: Any) -> Any:
            return build.gep(pointer, [index], source_etype=real)

        def vector_at(pointer: Any, index: Any) -> Any:
            return build.bitcast(at(pointer, index), vector.as_pointer())

        canvas, offsets, weights, out = (data(index) for index in (0, 3, 4, 6))
        base, step, first, where, pitch = (words[index] for index in (1, 2, 5, 7, 8))
        taps = build.extract_value(context.make_array(signature.args[3])(context, build, words[3]).shape, 0)
        fma = _fma(build, vector, lanes)
        pixels = [at(canvas, build.add(base, build.mul(step, number(n)))) for n in range(positions)]
        kernels = at(weights, first)

        before = build.block
        loop, after = build.append_basic_block("taps"), build.append_basic_block("sums")
        build.branch(loop)
        build.position_at_end(loop)
        tap = build.phi(whole)
        tap.add_incoming(number(0), before)
        sums = [build.phi(vector) for _ in range(positions * vectors)]
        row = at(kernels, build.mul(tap, number(vectors * lanes)))
        loaded = [build.load(vector_at(row, number(v * lanes)), align=8) for v in range(vectors)]
        offset = build.load(build.gep(offsets, [tap], source_etype=whole))
        added = []
        for n in range(positions):
            single = build.insert_element(undefined, build.load(at(pixels[n], offset)), ir.Constant(short, 0))
            pixel = build.shuffle_vector(single, undefined, everywhere)
            added += [build.call(fma, [pixel, loaded[v], sums[n * vectors + v]]) for v in range(vectors)]
        following = build.add(tap, number(1))
        tap.add_incoming(following, loop)
        for old, new in zip(sums, added, strict=True):
            old.add_incoming(zeros, before)
            old.add_incoming(new, loop)
        build.cbranch(build.icmp_signed("<", following, taps), loop, after)
        build.position_at_end(after)
        for n in range(positions):
            place = at(out, build.add(where, build.mul(pitch, number(n))))
            for v in range(vectors):
                build.store(added[n * vectors + v], vector_at(place, number(v * lanes)), align=8)
        return context.get_dummy_value()

    @intrinsic
    def block(
        typing: Any,
        canvas: Any,
        base: Any,
        step: Any,
        offsets: Any,
        weights: Any,
        first: Any,
        out: Any,
        where: Any,
        pitch: Any,
    ) -> Any:
        index = types.int64
        return types.void(canvas, index, index, offsets, weights, index, out, index, index), generate

    return block


def scatter_rows(lanes: int = LANES) -> Any:
    """A function for use inside compiled code, ``rows`` pieces of ``lanes`` pixels::

        f(canvas, base, pitch, kernels, first, step, rows, code)

        canvas[base + pitch q + t] += code * kernels[first + step q + t]

    for q below ``rows`` (at least 1) and t below ``lanes``; arrays as in `gather_block`.
    """
    real, whole, short = ir.DoubleType(), ir.IntType(64), ir.IntType(32)
    vector = ir.VectorType(real, lanes)
    undefined, everywhere = ir.Constant(vector, ir.Undefined), ir.Constant(ir.VectorType(short, lanes), None)

    def generate(context: Any, build: Any, signature: Any, words: Any) -> Any:
        def vector_at(index: int, place: Any) -> Any:
            data = context.make_array(signature.args[index])(context, build, words[index]).data
            return build.bitcast(build.gep(data, [place], source_etype=real), vector.as_pointer())

        base, pitch, first, step, rows, code = (words[index] for index in (1, 2, 4, 5, 6, 7))
        fma = _fma(build, vector, lanes)
        single = build.insert_element(undefined, code, ir.Constant(short, 0))
        factor = build.shuffle_vector(single, undefined, everywhere)
        before = build.block
        loop, after = build.append_basic_block("rows"), build.append_basic_block("added")
        build.branch(loop)
        build.position_at_end(loop)
        row = build.phi(whole)
        row.add_incoming(ir.Constant(whole, 0), before)
        pixels = vector_at(0, build.add(base, build.mul(pitch, row)))
        weights = build.load(vector_at(3, build.add(first, build.mul(step, row))), align=8)
        build.store(build.call(fma, [factor, weights, build.load(pixels, align=8)]), pixels, align=8)
        following = build.add(row, ir.Constant(whole, 1))
        row.add_incoming(following, loop)
        build.cbranch(build.icmp_signed("<", following, rows), loop, after)
        build.position_at_end(after)
        return context.get_dummy_value()

    @intrinsic
    def scatter(
        typing: Any, canvas: Any, base: Any, pitch: Any, kernels: Any, first: Any, step: Any, rows: Any, code: Any
    ) -> Any:
        index = types.int64
        return types.void(canvas, index, index, kernels, index, index, index, types.float64), generate

    return scatter


def outside(lanes: int = LANES) -> Any:
    """A function for use inside compiled code, ``f(values, first, low, high)``: bit n of the result (an int64) says
    whether ``values[first + n]``, n below ``lanes``, is at most low or at least high; arrays as in `gather_block`.
    """
    real, whole = ir.DoubleType(), ir.IntType(64)
    vector = ir.VectorType(real, lanes)
    undefined, everywhere = ir.Constant(vector, ir.Undefined), ir.Constant(ir.VectorType(ir.IntType(32), lanes), None)

    def generate(context: Any, build: Any, signature: Any, words: Any) -> Any:
        data = context.make_array(signature.args[0])(context, build, words[0]).data
        place = build.gep(data, [words[1]], source_etype=real)
        values = build.load(build.bitcast(place, vector.as_pointer()), align=8)

        def all_of(value: Any) -> Any:
            single = build.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
            return build.shuffle_vector(single, undefined, everywhere)

        below = build.fcmp_ordered("<=", values, all_of(words[2]))
        above = build.fcmp_ordered(">=", values, all_of(words[3]))
        return build.zext(build.bitcast(build.or_(below, above), ir.IntType(lanes)), whole)

    @intrinsic
    def mask(typing: Any, values: Any, first: Any, low: Any, high: Any) -> Any:
        return types.int64(values, types.int64, types.float64, types.float64), generate

    return mask
