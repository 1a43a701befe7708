"""The pipeline's constants and the machine's clock: cycle of every tile's every phase, without running RTL.

All constants live here and ``hw`` reads them, so that model and hardware cannot drift apart.
"""

from enum import IntEnum

HAZARD = 4
"""L: clocks between two touches of one word of D or R (read, register, add, write)."""
DETECT_FIFO = 16
"""Residual events that fit between detect and gather (a power of two)."""
CLEAR_MARGIN = 2
"""Clocks the front waits beyond the clear, so that the first pixel meets a cleared memory."""
FLUSH_INPUT = 7
"""Clocks from the last pixel's issue until R is complete."""
FLUSH_GATHER = 5
"""Clocks from the end of gather until D is complete when update reads it."""
FLUSH_SCATTER = 6
"""Clocks from the end of the exchange until R is complete."""
UPDATE_FILL = 8
"""Clocks from the first address of update until its first position is in the serialiser."""
DETECT_FILL = 6
"""Clocks from the first address of detect until its first word is in the serialiser."""
SCATTER_FILL = 4
"""Clocks from the look at a source with events to the issue of its first one."""
TOKEN_DELAY = 2
"""Clocks from the end of a round to the token being visible to a neighbour; the same for an acknowledgement."""
READY_DELAY = 1
"""Clocks from the first cycle of INPUT in tile (0, 0) until the front knows that it is ready for a refresh; the others
add a clock for each tile on the way."""
STEPS_WIDTH = 16
"""Bits of a tile's step counter: at most 65,535 steps a frame."""
WINDOW = 8
"""Steps at the end of a frame whose code changes are counted for the divergence alarm."""
SETTLE_DELAY = 8
"""Steps until every tile knows that some tile had a code event: news travels one tile a step. Tiles of a mesh that
settles are at most so many links apart."""


class Phase(IntEnum):
    """What a tile is doing; an output of the tile, so that model and RTL compare (phase, cycle) lists."""

    IDLE = 0
    CLEAR = 1
    INPUT = 2
    FLUSH = 3
    GATHER = 4
    WAIT = 5
    UPDATE = 6
    SCATTER = 7
    DRAIN = 8
    REFRESH = 9
