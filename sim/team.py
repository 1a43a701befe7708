"""Threads that run one compiled function together: who takes which piece of work, and where all wait for all.

Every thread runs the same function without Python's lock. Work is handed out by atomic counters; which thread
takes which piece is left to chance, because no result depends on it. Where pieces stay in a thread's own cache from
step to step, each begins with a band of its own and then helps the others. One thread alone pays next to nothing.
"""

from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils as _cgutils
from numba.extending import intrinsic as _intrinsic

intrinsic: Any = _intrinsic  # its own type is that of the generator, not of the function that compiled code calls
cgutils: Any = _cgutils

_ORDER = "seq_cst"


def _cell(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [index])


@intrinsic
def claim(typingctx, counters, index, amount):  # type: ignore[no-untyped-def]
    """Add ``amount`` to ``counters[index]`` (int64) at once for all threads; the value before."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        counters, index, amount = arguments
        cell = _cell(context, builder, signature.args[0], counters, index)
        return builder.atomic_rmw("add", cell, amount, _ORDER)

    return types.int64(counters, types.int64, types.int64), generate


@intrinsic
def _seen(typingctx, counters, index):  # type: ignore[no-untyped-def]
    """``counters[index]`` as the other threads see it now."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        cell = _cell(context, builder, signature.args[0], *arguments)
        return builder.load_atomic(cell, _ORDER, 8)

    return types.int64(counters, types.int64), generate


@intrinsic
def _give_way(typingctx):  # type: ignore[no-untyped-def]
    """Let another thread of the system have the processor."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.IntType(32), []), "sched_yield")
        builder.call(function, [])
        return context.get_dummy_value()

    return types.void(), generate


SHARE = 8
"""Counters from one thread's to the next one's: a cache line."""


@njit(cache=True)
def claim_own(counters, thread, threads, pieces):  # type: ignore[no-untyped-def]
    """A piece, 0 to ``pieces - 1``, that nobody has: of the thread's own band, or of the next band that has one left;
    -1 when none is left.

    Args:
        counters: (threads * SHARE,) of the bands.
    """
    for turn in range(threads):
        owner = (thread + turn) % threads
        piece = pieces * owner // threads + claim(counters, owner * SHARE, 1)
        if piece < pieces * (owner + 1) // threads:
            return piece
    return -1


PATIENCE = 2000
"""Looks at the counter before a waiting thread offers its processor to others."""


@njit(cache=True)
def meet(counters, index, threads):  # type: ignore[no-untyped-def]
    """Wait until all ``threads`` are here. ``counters[index]`` counts arrivals and is never reset."""
    if threads == 1:
        return
    target = (claim(counters, index, 1) // threads + 1) * threads
    looks = 0
    while _seen(counters, index) < target:
        looks += 1
        if looks > PATIENCE:
            _give_way()
