"""What a plan needs of a device: memory blocks and multipliers, counted memory by memory, and the devices it may fit.

An estimate made before synthesis. It counts blocks, not bits: 100 words of 112 bits take four 512 x 36 blocks.
"""

from dataclasses import dataclass

from .plan import Plan

ECP5_SHAPES: tuple[tuple[int, int], ...] = ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))
"""(words, bits) one 18-kbit block of an ECP5 can be."""
MULTIPLIER_BITS = 18
"""A hardware multiplier takes two operands of at most this many bits."""


@dataclass(frozen=True)
class Device:
    """An FPGA: LUT4 cells, 18-kbit memory blocks, 18x18 multipliers."""

    name: str
    lut: int
    blocks: int
    multipliers: int


DEVICES: dict[str, Device] = {
    "ulx3s-85f": Device("ECP5 85F", 83_640, 208, 156),
    "ulx3s-45f": Device("ECP5 45F", 43_848, 108, 72),
    "ulx3s-25f": Device("ECP5 25F", 24_288, 56, 28),
}
"""Board to device."""


@dataclass(frozen=True)
class MemoryUse:
    """One memory of a tile: ``banks`` banks of ``words`` x ``bits``, ``blocks`` block RAMs in all."""

    name: str
    banks: int
    words: int
    bits: int
    blocks: int

    @property
    def total_bits(self) -> int:
        """Bits stored."""
        return self.banks * self.words * self.bits


@dataclass(frozen=True)
class Resources:
    """Of the whole machine: the memories of one tile, tiles, block RAMs and multipliers."""

    memories: tuple[MemoryUse, ...]
    tiles: int
    blocks: int
    multipliers: int

    def fits(self, device: Device) -> bool:
        """Whether blocks and multipliers suffice; LUTs are known after synthesis only."""
        return self.blocks <= device.blocks and self.multipliers <= device.multipliers


def memory_blocks(words: int, bits: int) -> int:
    """Fewest 18-kbit blocks for a memory of that size, over the shapes a block can take."""
    return min(-(-words // depth) * -(-bits // width) for depth, width in ECP5_SHAPES)


def resources(plan: Plan) -> Resources:
    """Count a plan's memories and multipliers."""
    t, k = plan.tiling, plan.tiling.geometry.kernels
    layout = plan.layout
    sizes = (
        ("U", 1, t.positions, k * plan.membrane.width),
        ("D", t.positions_per_cycle, t.drive_depth, k * plan.drive_width),
        ("R", t.residual_banks, t.residual_depth, t.columns_per_word * plan.residual_width),
        ("r~", 1, t.sent_depth, t.detect_lanes * plan.residual.width),
        ("weights", layout.banks, layout.depth, layout.bank_lanes * plan.weight.width),
    )
    memories = tuple(
        MemoryUse(name, banks, words, bits, banks * memory_blocks(words, bits)) for name, banks, words, bits in sizes
    )
    lanes = max(t.gather_lanes, t.scatter_lanes)
    operands = max(plan.weight.width, plan.code_change_width, plan.residual_change_width, plan.input_operand_width)
    per_lane = (-(-operands // MULTIPLIER_BITS)) * -(-plan.weight.width // MULTIPLIER_BITS)
    return Resources(memories, t.count, t.count * sum(m.blocks for m in memories), t.count * lanes * per_lane)
