"""The devices a machine may fill: what their data sheets count. Nothing here is measured or estimated."""

from dataclasses import dataclass

from ...golden.errors import InputError

ECP5_SHAPES: tuple[tuple[int, int], ...] = ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))
"""(words, bits) one 18-kbit block of an ECP5 (DP16KD) can be with one read and one write port."""
ICE40_SHAPES: tuple[tuple[int, int], ...] = ((256, 16), (512, 8), (1024, 4), (2048, 2))
"""(words, bits) one 4-kbit block of an iCE40 (SB_RAM40_4K) can be; it always has one read and one write port."""
BRAM18_SHAPES = ECP5_SHAPES
"""(words, bits) half a 36-kbit block of a 7-series device (RAMB18E1, simple dual port) can be: those of the ECP5."""

_ECP5 = "Lattice FPGA-DS-02012, ECP5 and ECP5-5G family data sheet, table 1.1"
_UP5K = "Lattice FPGA-DS-02008, iCE40 UltraPlus family data sheet, table 1.1; FPGA-TN-02002 for its memories"
_Z7020 = "AMD DS190, Zynq-7000 SoC overview, table 1 (Z-7020); UG473 for the shapes of a block, UG479 for DSP48E1"


@dataclass(frozen=True)
class Device:
    """An FPGA, as its data sheet counts it.

    Args:
        lut: logic cells with a look-up table of ``lut_inputs`` inputs.
        blocks: memory blocks with one read and one write port; ``block_name`` and ``block_shapes`` say what one is.
        multipliers: signed hardware multipliers of ``operands`` bits, the wider one first.
        enable: bits that one write enable of a block covers, and the narrowest shape that has them.
        lut_ram: look-up tables can be small memories read without a clock (the stores of the links need that).
        single_port_bits: memory with one port only, in bits. The machine reads and writes each of its state memories
            in one clock, so it counts for nothing here.
        source: where the numbers are from.
    """

    name: str
    lut: int
    blocks: int
    multipliers: int
    block_name: str = "18-kbit block"
    block_shapes: tuple[tuple[int, int], ...] = ECP5_SHAPES
    operands: tuple[int, int] = (18, 18)
    lut_inputs: int = 4
    lut_ram: bool = True
    enable: tuple[int, int] = (9, 9)
    single_port_bits: int = 0
    source: str = _ECP5

    @property
    def block_bits(self) -> int:
        """Bits of one block: those of its widest shape."""
        return max(words * bits for words, bits in self.block_shapes)

    @property
    def memory_bits(self) -> int:
        """Bits of all blocks."""
        return self.blocks * self.block_bits


_ICE40_UP5K = Device(
    "iCE40 UP5K", 5_280, 30, 8, "4-kbit block", ICE40_SHAPES, (16, 16), lut_ram=False, enable=(1, 16),
    single_port_bits=4 * 262_144, source=_UP5K,
)  # fmt: skip
_ECP5_25F = Device("ECP5 25F", 24_288, 56, 28)
_ECP5_45F = Device("ECP5 45F", 43_848, 108, 72)
_ECP5_85F = Device("ECP5 85F", 83_640, 208, 156)
_ZYNQ_7020 = Device(
    "Zynq 7020", 53_200, 280, 220, "18-kbit block", BRAM18_SHAPES, (25, 18), lut_inputs=6, source=_Z7020
)

DEVICES: dict[str, Device] = {
    "ulx3s-85f": _ECP5_85F,
    "ulx3s-45f": _ECP5_45F,
    "ulx3s-25f": _ECP5_25F,
    "orangecrab-85f": _ECP5_85F,
    "orangecrab-25f": _ECP5_25F,
    "icebreaker": _ICE40_UP5K,
    "zynq-7020": _ZYNQ_7020,
}
"""Board to device; ``zynq-7020`` stands for any board with that chip."""


def device_of(board: str) -> Device:
    """The device of a board.

    Raises:
        InputError: a board that nothing is known about.
    """
    if board not in DEVICES:
        raise InputError(f"target.board must be one of {', '.join(DEVICES)}, not {board!r}")
    return DEVICES[board]
