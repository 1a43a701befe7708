"""What a plan needs of a device: memory blocks and multipliers, counted memory by memory, and what does not fit.

Counted before synthesis. It counts blocks, not bits: 100 words of 112 bits take four 512 x 36 blocks. Blocks and
multipliers agree with synthesis in every committed run (`benchmarks/synthesis.py`); look-up tables and flip-flops are
an estimate fitted to these runs (`estimate`). All is counted for a whole board, with serial link and core.
"""

from dataclasses import dataclass

from ..plan import Plan
from .blocks import block_memory, choose
from .coefficients import BOARD_BLOCKS
from .devices import DEVICES, Device, device_of
from .estimate import cells, event_bits, links_present, memory_sizes, queues

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
    """Of a machine: the memories of one tile, tiles, memory blocks of all tiles, multipliers.

    ``board_blocks`` are those of the serial link, the core and the input kept for a refresh, beside the tiles; ``lut``
    and ``ff`` are estimates and hold the link and the core too.
    """

    memories: tuple[MemoryUse, ...]
    tiles: int
    blocks: int
    multipliers: int
    lut: int
    ff: int = 0
    board_blocks: int = 0

    @property
    def all_blocks(self) -> int:
        """Memory blocks of the whole board."""
        return self.blocks + self.board_blocks

    def fits(self, device: Device) -> bool:
        """Whether blocks and multipliers suffice; cells are known after synthesis only."""
        return self.all_blocks <= device.blocks and self.multipliers <= device.multipliers


@dataclass(frozen=True)
class Budget:
    """Resources beside a device: what is over, and in one line why it does not fit."""

    device: Device
    resources: Resources

    @property
    def blocks_over(self) -> int:
        """Memory blocks wanted beyond those there are; 0 where they suffice."""
        return max(0, self.resources.all_blocks - self.device.blocks)

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
    def ff_over(self) -> int:
        """Flip-flops beyond those there are, by the estimate."""
        return max(0, self.resources.ff - self.device.ff)

    @property
    def fits(self) -> bool:
        """Whether blocks and multipliers suffice and the estimates of look-up tables and flip-flops do too."""
        return not (self.blocks_over or self.multipliers_over or self.lut_over or self.ff_over)

    @property
    def comfortable(self) -> bool:
        """Whether it fits with room for place-and-route."""
        return self.fits and self.resources.lut <= self.device.routable * self.device.lut

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
                f"{found.all_blocks} of {device.blocks} {device.block_name}s, {self.blocks_over} over "
                f"({self.bits_over:,} bits; most for memory {self.largest.name}, of {memories})"
            )
        if self.multipliers_over:
            parts.append(f"{found.multipliers} of {device.multipliers} multipliers, {self.multipliers_over} over")
        if self.lut_over:
            parts.append(f"about {found.lut:,} of {device.lut:,} LUT{device.lut_inputs} (estimated)")
        if self.ff_over:
            parts.append(f"about {found.ff:,} of {device.ff:,} flip-flops (estimated)")
        return "; ".join(parts)


def memory_blocks(words: int, bits: int, device: Device = _DEFAULT, lanes: int = 1) -> int:
    """Blocks that synthesis takes for a memory of that size where it is not cheaper in cells (`blocks.choose`).

    Args:
        lanes: parts of a word with write enables of their own.
    """
    return block_memory(words, bits, device, lanes)[1].count


def lane_multipliers(plan: Plan, device: Device = _DEFAULT) -> int:
    """Hardware multipliers of one lane: 1 unless the operands are wider than one takes."""
    operand = max(plan.code_change_width, plan.residual_change_width, plan.input_operand_width, plan.weight.width)
    (wide, narrow), weight = device.operands, plan.weight.width
    ways = [-(-operand // a) * -(-weight // b) for a, b in ((wide, narrow), (narrow, wide))]
    return min(ways)


def store_bits(plan: Plan) -> int:
    """Bits of a tile's event stores: its own and one for each link that the mesh has."""
    return (1 + links_present(plan)) * plan.link_depth * event_bits(plan)


def resources(plan: Plan, device: Device = _DEFAULT) -> Resources:
    """Count a plan's memories and multipliers in the blocks of a device (an ECP5 85F where none is named)."""
    t = plan.tiling
    memories = tuple(
        MemoryUse(name, banks, words, width, banks * choose(words, width, device, lanes).blocks)
        for name, banks, words, width, lanes in memory_sizes(plan)
    )
    if not device.lut_ram:  # their blocks are read half a clock later
        memories += tuple(
            MemoryUse(name, banks, words, width, banks * choose(words, width, device).blocks)
            for name, banks, words, width in queues(plan)
        )
    lanes = max(t.gather_lanes, t.scatter_lanes)
    return Resources(
        memories,
        t.count,
        t.count * sum(m.blocks for m in memories),
        t.count * lanes * lane_multipliers(plan, device),
        round(cells(plan, device, "lut")),
        round(cells(plan, device, "ff")),
        BOARD_BLOCKS.get(device.family, 0) + _frame_store(plan, device),
    )


def _frame_store(plan: Plan, device: Device) -> int:
    """Blocks in which the front keeps the input for ``machine.refresh``: once a machine, none without."""
    words, width = plan.frame_store
    return choose(words, width, device).blocks if words else 0


def budget(plan: Plan, device: Device | str) -> Budget:
    """A plan beside a device, or a board by its name.

    Raises:
        InputError: an unknown board.
    """
    device = device_of(device) if isinstance(device, str) else device
    return Budget(device, resources(plan, device))


def lut_estimate(plan: Plan, device: Device = _DEFAULT) -> int:
    """Look-up tables of one tile of the plan and its share of the rest; `Resources.lut` has those of the whole board.

    Counted in cells of an ECP5 for a device without runs of its own; one LUT6 holds at least as much, so for the
    7 series it is an upper one.
    """
    return round(cells(plan, device, "lut") / plan.tiling.count)


__all__ = [
    "DEVICES", "Budget", "Device", "MemoryUse", "Resources", "budget", "device_of", "lane_multipliers", "lut_estimate",
    "memory_blocks", "memory_sizes", "resources", "store_bits",
]  # fmt: skip
