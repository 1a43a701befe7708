"""How a memory becomes blocks: the choice that synthesis makes, by what each way costs.

Yosys (`memory_libmap`) gives a block of either kind a price, adds half a unit for each bit of the multiplexers and for
each write enable of the decoder that a memory deeper than a block needs, and takes the cheapest way: flip-flops,
look-up tables as memory where the device has them, or blocks in the cheapest of their widths. The prices are those of
its libraries; the rule is written anew here and held against real runs.
"""

import functools
from dataclasses import dataclass
from typing import Literal

from .devices import Device

Kind = Literal["block", "lut", "register"]


@dataclass(frozen=True)
class Choice:
    """How one memory is built: the kind of store, and how many blocks or 16 x 4 look-up-table memories it takes."""

    kind: Kind
    count: int

    @property
    def blocks(self) -> int:
        """Memory blocks."""
        return self.count if self.kind == "block" else 0


@functools.cache
def choose(words: int, bits: int, device: Device, lanes: int = 1) -> Choice:
    """How a memory with a clocked read port and one write port is built.

    Args:
        lanes: parts of a word with write enables of their own.
    """
    ways = [(float(words * bits), Choice("register", words * bits)), block_memory(words, bits, device, lanes)]
    if device.lut_ram:
        ways.append(lut_memory(words, bits, lanes))
    return min(ways, key=lambda way: way[0])[1]


def block_memory(words: int, bits: int, device: Device, lanes: int = 1) -> tuple[float, Choice]:
    """The cheapest width of a block: its price, and how many are needed."""
    best: tuple[float, int] | None = None
    for depth, width in sorted(device.block_shapes, key=lambda shape: shape[1]):
        byte = min(device.enable, width)
        stored = lanes * -(-(bits // lanes) // byte) * byte  # a lane takes whole enables
        deep = -(-words // depth)
        count = -(-deep * stored // width)
        price = device.block_price * count + _selection(deep, bits, lanes)
        if best is None or price < best[0]:
            best = (price, count)
    assert best is not None
    return best[0] + 2, Choice("block", best[1])


def lut_memory(words: int, bits: int, lanes: int = 1) -> tuple[float, Choice]:
    """Price and number of 16 x 4 memories of look-up tables."""
    deep = -(-words // 16)
    count = -(-deep * lanes * -(-(bits // lanes) // 4) * 4 // 4)
    return 4 * count + _selection(deep, bits, lanes) + 2, Choice("lut", count)


def _selection(deep: int, bits: int, lanes: int) -> float:
    return 0.5 * (deep - 1) * bits + (0.5 * deep * lanes if deep > 1 else 0.0)
