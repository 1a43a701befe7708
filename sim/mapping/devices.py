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
_GW1NR = "Gowin DS117, GW1NR series of FPGA products data sheet, table 1-1 (GW1NR-9)"
_GW2A = "Gowin DS102, GW2A series of FPGA products data sheet, table 1-1 (GW2A-18)"
_ARTIX = "AMD DS180, 7 series FPGAs overview, table 4; UG473 for the shapes of a block, UG479 for DSP48E1"
_Z7020 = "AMD DS190, Zynq-7000 SoC overview, table 1 (Z-7020); UG473 for the shapes of a block, UG479 for DSP48E1"


@dataclass(frozen=True)
class Device:
    """An FPGA, as its data sheet counts it.

    Args:
        family: which measured cells an estimate takes (`estimate`); "ecp5" where there are none of its own.
        lut: logic cells with a look-up table of ``lut_inputs`` inputs.
        blocks: memory blocks with one read and one write port; ``block_name`` and ``block_shapes`` say what one is.
        multipliers: signed hardware multipliers of ``operands`` bits, the wider one first.
        enable: bits of a word that one write enable of a block covers.
        block_price: what synthesis thinks a block costs, in look-up tables (`blocks.choose`).
        lut_ram: look-up tables can be small memories read without a clock (the stores of the links need that).
        flip_flops: registers of the fabric; 0: one to each look-up table.
        routable: share of the look-up tables that place-and-route fills well; a search stops there.
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
    enable: int = 9
    block_price: int = 128
    flip_flops: int = 0
    routable: float = 0.9
    single_port_bits: int = 0
    family: str = "ecp5"
    source: str = _ECP5

    @property
    def ff(self) -> int:
        """Registers of the fabric."""
        return self.flip_flops or self.lut

    @property
    def block_bits(self) -> int:
        """Bits of one block: those of its widest shape."""
        return max(words * bits for words, bits in self.block_shapes)

    @property
    def memory_bits(self) -> int:
        """Bits of all blocks."""
        return self.blocks * self.block_bits


_ICE40_UP5K = Device(
    "iCE40 UP5K", 5_280, 30, 8, "4-kbit block", ICE40_SHAPES, (16, 16), lut_ram=False, enable=1, block_price=64,
    single_port_bits=4 * 262_144, family="ice40", routable=0.94, source=_UP5K,
)  # fmt: skip
_ECP5_25F = Device("ECP5 25F", 24_288, 56, 28)
_ECP5_45F = Device("ECP5 45F", 43_848, 108, 72)
_ECP5_85F = Device("ECP5 85F", 83_640, 208, 156)
_GW1NR_9 = Device("GW1NR-9", 8_640, 26, 20, flip_flops=6_480, family="gowin", source=_GW1NR)
_GW2A_18 = Device("GW2A-18", 20_736, 46, 48, flip_flops=15_552, family="gowin", source=_GW2A)


def _xilinx(name: str, lut: int, blocks: int, multipliers: int, source: str) -> Device:
    """A 7-series device, blocks counted in halves of 18 kbit; two flip-flops to each look-up table."""
    return Device(
        name, lut, blocks, multipliers, "18-kbit block", BRAM18_SHAPES, (25, 18), lut_inputs=6, flip_flops=2 * lut,
        source=source,
    )  # fmt: skip


_ZYNQ_7020 = _xilinx("Zynq 7020", 53_200, 280, 220, _Z7020)

DEVICES: dict[str, Device] = {
    "ulx3s-85f": _ECP5_85F,
    "ulx3s-45f": _ECP5_45F,
    "ulx3s-25f": _ECP5_25F,
    "orangecrab-85f": _ECP5_85F,
    "orangecrab-25f": _ECP5_25F,
    "icebreaker": _ICE40_UP5K,
    "tangnano9k": _GW1NR_9,
    "tangprimer20k": _GW2A_18,
    "arty-a7-35": _xilinx("Artix-7 35T", 20_800, 100, 90, _ARTIX),
    "arty-a7-100": _xilinx("Artix-7 100T", 63_400, 270, 240, _ARTIX),
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
