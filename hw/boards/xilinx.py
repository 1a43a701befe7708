"""Boards with AMD FPGAs, exported for Vivado: Arty A7 (Artix-7) and Arty Z7-20 (Zynq-7020). Pins are those of
amaranth-boards.
"""

from collections.abc import Callable
from typing import Any

from amaranth_boards.arty_a7 import ArtyA7_35Platform, ArtyA7_100Platform  # type: ignore[import-untyped]
from amaranth_boards.arty_z7 import ArtyZ720Platform  # type: ignore[import-untyped]

from .board import Board
from .lattice import link_of, link_on


def _arty_a7(kind: type[Any]) -> Callable[[], Any]:
    def make() -> Any:
        platform = kind()
        platform.add_resources([link_of(platform)])
        return platform

    return make


def _arty_z7() -> Any:
    platform = ArtyZ720Platform()
    # FT2232H's UART belongs to the processor; Pmod JA: pin 2 is driven by the adapter, pin 3 drives it
    platform.add_resources([link_on("2", "3", connector=("pmod", 0), IOSTANDARD="LVCMOS33")])
    return platform


def _arty_a7_board(size: int, kind: type[Any]) -> Board:
    return Board(
        name=f"arty-a7-{size}", family="xilinx", device=f"xc7a{size}ti", package="csg324", speed="1L", pll="series7",
        input_mhz=100.0, clock="clk100", clock_mhz=100.0, baud=1_000_000, busy=("led", 0, ""), error=("led", 1, ""),
        buffer=1024, platform=_arty_a7(kind), constraint_file="xdc", wiring="USB connector J10 (FT2232H)",
        program=f"openFPGALoader -b arty_a7_{size}t FILE.bit",
    )  # fmt: skip


BOARDS = (
    _arty_a7_board(35, ArtyA7_35Platform),
    _arty_a7_board(100, ArtyA7_100Platform),
    Board(
        name="zynq-7020", family="xilinx", device="xc7z020", package="clg400", speed="1", pll="series7",
        input_mhz=125.0, clock="clk125", clock_mhz=100.0, baud=1_000_000, busy=("led", 0, ""), error=("led", 1, ""),
        buffer=1024, platform=_arty_z7, constraint_file="xdc",
        wiring="pins of the Arty Z7-20; its USB-UART belongs to the processor: a 3.3 V USB-UART adapter on Pmod JA, "
        "its TX to pin 2 (Y19), its RX to pin 3 (Y16), ground to pin 5",
        program="openFPGALoader -b arty_z7_20 FILE.bit",
    ),
)  # fmt: skip
