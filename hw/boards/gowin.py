"""Boards with Gowin FPGAs, for nextpnr-himbaechel: Tang Nano 9K and Tang Primer 20K. Pins: amaranth-boards."""

from collections.abc import Callable
from typing import Any

from amaranth_boards.tang_nano_9k import TangNano9kPlatform  # type: ignore[import-untyped]
from amaranth_boards.tang_primer_20k import TangPrimer20kDockPlatform  # type: ignore[import-untyped]

from .board import Board
from .lattice import link_of


def _platform(kind: type[Any]) -> Callable[[], Any]:
    def make() -> Any:
        platform = kind(toolchain="Apicula")
        platform.add_resources([link_of(platform)])
        return platform

    return make


BOARDS = (
    Board(
        name="tangnano9k", family="gowin", device="GW1NR-LV9QN88PC6/I5", package="QN88P", speed="C6/I5", pll="gw1n",
        pll_device="GW1NR-9C", input_mhz=27.0, clock="clk27", clock_mhz=27.0, baud=1_000_000, busy=("led", 0, ""),
        error=("led", 1, ""), buffer=1024, platform=_platform(TangNano9kPlatform), constraint_file="cst",
        wiring="USB connector (BL702)", program="openFPGALoader -b tangnano9k FILE.fs",
    ),
    Board(
        name="tangprimer20k", family="gowin", device="GW2A-LV18PG256C8/I7", package="PG256", speed="C8/I7", pll="gw2a",
        pll_device="GW2A-18C", input_mhz=27.0, clock="clk27", clock_mhz=54.0, baud=1_000_000, busy=("led", 0, ""),
        error=("led", 1, ""), buffer=1024, platform=_platform(TangPrimer20kDockPlatform), constraint_file="cst",
        wiring="USB connector of the dock (BL616)", program="openFPGALoader -b tangprimer20k FILE.fs",
    ),
)  # fmt: skip
