"""Settling: when a frame may end before its steps are done.

A tile sees its own code events at once, and those of others one tile a step later (``hw/exchange.py``). So that the
bits do not depend on the tiling, every machine judges by steps that lie SETTLE_DELAY back, whatever its mesh: after
step m (from 0) the frame ends when none of the ``settle`` steps

    m - SETTLE_DELAY - settle + 1 .. m - SETTLE_DELAY

of this frame had a code event anywhere. In a cold frame they must lie behind the first event: a silent membrane takes
its time to the threshold. The frame ends at the first such step, at the latest with its last one.
"""

from numba import njit

from .timing import SETTLE_DELAY


@njit(cache=True)
def settled(code_events, done, settle, warm):  # type: ignore[no-untyped-def]
    """Whether the frame ends with the step just done.

    Args:
        code_events: (steps,) code events of each step, all tiles together; the first ``done`` count.
        settle: quiet steps that are asked for (``dynamics.settle``); 0: never. warm: of a warm frame.
    """
    last = done - SETTLE_DELAY  # one beyond the youngest step that is known everywhere
    if not 0 < settle <= last or code_events[last - settle : last].any():
        return False
    return warm or code_events[: last - settle].any()
