"""What a board is to this package: its FPGA, its oscillator, and the few pins that the machine uses."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Family = Literal["ecp5", "ice40", "gowin", "xilinx"]


@dataclass(frozen=True)
class Board:
    """A board that a machine can be built for.

    Args:
        name: as in ``target.board``.
        family: which tools make its bitstream; "xilinx": exported for Vivado.
        device, package, speed: as the tools call them; nextpnr-himbaechel takes the whole part as ``device``.
        pll: key of ``hw.pll.LIMITS``. pll_device: what a Gowin PLL wants to know.
        clock: the platform's oscillator resource, of ``input_mhz``.
        clock_mhz: the machine's clock where none is asked for.
        baud: of the serial link where none is asked for.
        busy, error: (resource, number, subsignal or "") of the two lights.
        tied: outputs that must be 1, resources of one pin.
        buffer: bytes of the largest frame on the link in either direction: a power of two that wastes no memory block.
        platform: makes a fresh Amaranth platform, with a resource ``link`` of two pins, rx and tx.
        wiring: where the serial line comes out. program: how the bitstream gets onto the board.
        constraint_file: suffix of the file of pins and clocks.
    """

    name: str
    family: Family
    device: str
    package: str
    speed: str
    pll: str
    input_mhz: float
    clock: str
    clock_mhz: float
    baud: int
    busy: tuple[str, int, str]
    error: tuple[str, int, str]
    buffer: int
    platform: Callable[[], Any]
    wiring: str
    program: str
    constraint_file: str
    pll_device: str = ""
    tied: tuple[str, ...] = ()
