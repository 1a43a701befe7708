"""Random numbers by name: the same seed and key give the same stream, whatever was drawn before and in which order.

Philox counts, so a stream is a function of its key alone (Salmon et al., *Parallel random numbers: as easy as 1, 2, 3*,
SC 2011): programming the tiles in another order, or in other processes, changes no value. `normals` and `uniforms` go
one step further for arrays of devices: every row starts at its own count, so that the number of a device depends on its
row and column only, never on the size of the array it stands in.
"""

from enum import IntEnum

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


class Stream(IntEnum):
    """What a stream is for: the first word of its key."""

    PROGRAM = 1
    STUCK = 2
    DRIFT = 3
    FORWARD = 4
    BACKWARD = 5
    SAMPLE_FORWARD = 6
    SAMPLE_BACKWARD = 7
    DEVICE = 8  # device-to-device spread of the update
    PULSE = 9
    CALIBRATE = 10


def stream(seed: int, what: Stream, *key: int) -> np.random.Generator:
    """The generator of one purpose and place, for instance ``stream(seed, Stream.PROGRAM, tile, array)``.

    Args:
        seed: 0 or more. key: whole numbers of 0 or more.
    """
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=(int(what), *key))))


def read_stream(seed: int, what: Stream, *key: int) -> np.random.Generator:
    """As `stream`, for the many numbers of reads: SFC64 begun from the same key, a fifth faster than Philox."""
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed, spawn_key=(int(what), *key))))


def normals(shape: tuple[int, int], seed: int, what: Stream, *key: int) -> FloatArray:
    """Standard normal numbers (rows, columns), one per device.

    The number at (i, j) is a function of seed, what, key, i and j: a larger array begins with the same numbers, and a
    computation that only scales them (a sweep over sigma) sees the same devices at every point.
    """
    return _by_rows(shape, seed, what, key, normal=True)


def uniforms(shape: tuple[int, int], seed: int, what: Stream, *key: int) -> FloatArray:
    """Numbers uniform in [0, 1), as `normals`."""
    return _by_rows(shape, seed, what, key, normal=False)


def _by_rows(shape: tuple[int, int], seed: int, what: Stream, key: tuple[int, ...], normal: bool) -> FloatArray:
    generator = stream(seed, what, *key)
    bits = generator.bit_generator
    # a copy of the state before the first draw; word 1 of the counter is 2^64 draws away from any other row's
    state = bits.state
    out = np.zeros(shape)
    fill = generator.standard_normal if normal else generator.random
    for row in range(shape[0]):
        state["state"]["counter"][1] = row
        bits.state = state
        fill(out=out[row])
    return out
