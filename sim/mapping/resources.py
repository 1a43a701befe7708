"""What a plan needs of a device: memory blocks and multipliers, counted memory by memory, and what does not fit.

Counted before synthesis. It counts blocks, not bits: 100 words of 112 bits take four 512 x 36 blocks. Blocks and
multipliers agree with synthesis where that was tried; look-up tables are an estimate (`lut_estimate`).
"""

from dataclasses import dataclass

from ..plan import Plan
from ..tiling import bits
from .devices import DEVICES, ECP5_SHAPES, Device, device_of

MULTIPLIER_BITS = 18
"""A multiplier of an ECP5 takes two operands of at most this many bits."""
_DEFAULT = DEVICES["ulx3s-85f"]


@dataclass(frozen=True)
class MemoryUse:
    """One memory of a tile: ``banks`` banks of ``words`` x ``bits``, ``blocks`` memory blocks in all."""

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
    """Of the whole machine: the memories of one tile, tiles, memory blocks and multipliers; ``lut`` is an estimate."""

    memories: tuple[MemoryUse, ...]
    tiles: int
    blocks: int
    multipliers: int
    lut: int

    def fits(self, device: Device) -> bool:
        """Whether blocks and multipliers suffice; LUTs are known after synthesis only."""
        return self.blocks <= device.blocks and self.multipliers <= device.multipliers


@dataclass(frozen=True)
class Budget:
    """Resources beside a device: what is over, and in one line why it does not fit."""

    device: Device
    resources: Resources

    @property
    def blocks_over(self) -> int:
        """Memory blocks wanted beyond those there are; 0 where they suffice."""
        return max(0, self.resources.blocks - self.device.blocks)

    @property
    def bits_over(self) -> int:
        """The same in bits of whole blocks."""
        return self.blocks_over * self.device.block_bits

    @property
    def multipliers_over(self) -> int:
        """Multipliers wanted beyond those there are."""
        return max(0, self.resources.multipliers - self.device.multipliers)

    @property
    def lut_over(self) -> int:
        """Look-up tables beyond those there are, by the estimate."""
        return max(0, self.resources.lut - self.device.lut)

    @property
    def fits(self) -> bool:
        """Whether blocks and multipliers suffice and the estimate of look-up tables does too."""
        return not (self.blocks_over or self.multipliers_over or self.lut_over)

    @property
    def largest(self) -> MemoryUse:
        """The memory that takes most blocks."""
        return max(self.resources.memories, key=lambda memory: memory.blocks)

    @property
    def reason(self) -> str:
        """Why it does not fit: which resource, by how much; empty where it does."""
        found, device, parts = self.resources, self.device, []
        if self.blocks_over:
            memories = ", ".join(f"{m.name} {found.tiles * m.blocks}" for m in found.memories)
            parts.append(
                f"{found.blocks} of {device.blocks} {device.block_name}s, {self.blocks_over} over "
                f"({self.bits_over:,} bits; most for memory {self.largest.name}, of {memories})"
            )
        if self.multipliers_over:
            parts.append(f"{found.multipliers} of {device.multipliers} multipliers, {self.multipliers_over} over")
        if self.lut_over:
            parts.append(f"about {found.lut:,} of {device.lut:,} LUT{device.lut_inputs} (estimated)")
        return "; ".join(parts)


def memory_blocks(
    words: int, bits: int, shapes: tuple[tuple[int, int], ...] = ECP5_SHAPES, lanes: int = 1,
    enable: tuple[int, int] = (9, 9),
) -> int:  # fmt: skip
    """Fewest blocks for a memory of that size, over the (words, bits) shapes a block can take.

    Args:
        lanes: parts of a word with write enables of their own. A lane takes whole enables of ``enable[0]`` bits in the
            shapes of at least ``enable[1]`` bits, and whole blocks in narrower ones.
    """

    def across(width: int) -> int:
        if lanes == 1:
            return -(-bits // width)
        if width < enable[1]:
            return lanes * -(-bits // (lanes * width))
        return -(-lanes * -(-bits // (lanes * enable[0])) // (width // enable[0]))

    return min(-(-words // depth) * across(width) for depth, width in shapes)


def memory_sizes(plan: Plan) -> tuple[tuple[str, int, int, int, int], ...]:
    """(name, banks, words of a bank, bits of a word, lanes of it with a write enable) of each memory of a tile."""
    t, k, layout = plan.tiling, plan.tiling.geometry.kernels, plan.layout
    return (
        ("U", 1, t.membrane_depth, t.update_positions * k * plan.membrane.width, 1),
        ("D", t.positions_per_cycle, t.drive_depth, k * plan.drive_width, t.kernel_groups),
        ("R", t.residual_banks, t.residual_depth, t.columns_per_word * plan.residual_width, t.columns_per_word),
        ("r~", 1, t.sent_depth, t.detect_lanes * plan.residual.width, t.detect_lanes),
        ("weights", layout.banks, layout.depth, layout.bank_lanes * plan.weight.width, layout.bank_lanes),
    )


def lane_multipliers(plan: Plan, device: Device = _DEFAULT) -> int:
    """Hardware multipliers of one lane: 1 unless the operands are wider than one takes."""
    operand = max(plan.code_change_width, plan.residual_change_width, plan.input_operand_width, plan.weight.width)
    (wide, narrow), weight = device.operands, plan.weight.width
    ways = [-(-operand // a) * -(-weight // b) for a, b in ((wide, narrow), (narrow, wide))]
    return min(ways)


def store_bits(plan: Plan) -> int:
    """Bits of a tile's nine event stores: its own and the eight links', whether a neighbour is there or not."""
    t = plan.tiling
    event = sum(bits(size) for size in (t.geometry.kernels, *t.block)) + plan.code_change_width
    return 9 * plan.link_depth * event


def resources(plan: Plan, device: Device = _DEFAULT) -> Resources:
    """Count a plan's memories and multipliers in the blocks of a device (an ECP5 85F where none is named)."""
    t = plan.tiling
    memories = tuple(
        MemoryUse(
            name, banks, words, width, banks * memory_blocks(words, width, device.block_shapes, lanes, device.enable)
        )
        for name, banks, words, width, lanes in memory_sizes(plan)
    )
    lanes = max(t.gather_lanes, t.scatter_lanes)
    return Resources(
        memories,
        t.count,
        t.count * sum(m.blocks for m in memories),
        t.count * lanes * lane_multipliers(plan, device),
        t.count * lut_estimate(plan, device),
    )


def budget(plan: Plan, device: Device | str) -> Budget:
    """A plan beside a device, or a board by its name.

    Raises:
        InputError: an unknown board.
    """
    device = device_of(device) if isinstance(device, str) else device
    return Budget(device, resources(plan, device))


LUT_FIXED, LUT_LANE_BIT, LUT_KERNEL_BIT, LUT_STORE_BIT = 2116.0, 5.06, 4.96, 0.128
"""Cells of a tile after synthesis for an ECP5 (LUT4 + 2 CCU2C + 6 TRELLIS_DPR16X4): least squares over seven tiles of
1 to 32 gather lanes, 8 or 32 kernels and links of 4 to 64 events; the worst is 8 % off. All have one position a cycle
of update; one tile with two (8 kernels, 16 lanes) has 9 % more than the estimate."""
LUT_PACKING = 1.14
"""Cells after placement over cells after synthesis, on the two tiles that were placed (1.16 and 1.12)."""
LUT_STORE_BIT_REGISTERS = 1.1
"""The same as `LUT_STORE_BIT` where look-up tables are no memories: a flip-flop and its share of the selection."""


def lut_estimate(plan: Plan, device: Device = _DEFAULT) -> int:
    """Look-up tables of one tile: an estimate, good to about a tenth for tiles like those it was fitted to.

    Counted in cells of an ECP5; one LUT6 holds at least as much, so for the Zynq it is an upper one.
    """
    t = plan.tiling
    lane_bits = t.gather_lanes * plan.drive_width + (t.scatter_lanes + t.detect_lanes) * plan.residual_width
    kernel_bits = t.update_positions * t.geometry.kernels * (plan.membrane.width + plan.drive_width)
    store = LUT_STORE_BIT if device.lut_ram else LUT_STORE_BIT_REGISTERS
    cells = LUT_FIXED + LUT_LANE_BIT * lane_bits + LUT_KERNEL_BIT * kernel_bits + store * store_bits(plan)
    return round(LUT_PACKING * cells)


__all__ = [
    "DEVICES", "ECP5_SHAPES", "MULTIPLIER_BITS", "Budget", "Device", "MemoryUse", "Resources", "budget", "device_of",
    "lane_multipliers", "lut_estimate", "memory_blocks", "memory_sizes", "resources", "store_bits",
]  # fmt: skip
