"""Boards with Lattice FPGAs: ULX3S and OrangeCrab (ECP5), iCEBreaker (iCE40 UP5K). Pins: amaranth-boards."""

from collections.abc import Callable
from typing import Any

from amaranth.build import Attrs, Pins, Resource, Subsignal
from amaranth_boards.icebreaker import ICEBreakerPlatform  # type: ignore[import-untyped]
from amaranth_boards.orangecrab_r0_2 import OrangeCrabR0_2_25FPlatform, OrangeCrabR0_2_85FPlatform  # type: ignore[import-untyped]
from amaranth_boards.ulx3s import ULX3S_25F_Platform, ULX3S_45F_Platform, ULX3S_85F_Platform  # type: ignore[import-untyped]

from .board import Board


def link_of(platform: Any) -> Resource:
    """The board's own UART with its two data lines alone, as the resource ``link``."""
    uart = platform.lookup("uart")
    lines = [line for line in uart.ios if line.name in ("rx", "tx")]
    return Resource("link", 0, *lines, Attrs(**uart.attrs))


def link_on(rx: str, tx: str, *, connector: tuple[str, int], **attributes: str) -> Resource:
    """A UART on two pins of a connector."""
    return Resource(
        "link", 0, Subsignal("rx", Pins(rx, dir="i", conn=connector)),
        Subsignal("tx", Pins(tx, dir="o", conn=connector)), Attrs(**attributes),
    )  # fmt: skip


def _ulx3s(kind: type[Any]) -> Callable[[], Any]:
    def make() -> Any:
        platform = kind()
        # the ESP32's GPIO0: held high, or its firmware may reload the FPGA
        hold = Resource("esp32_gpio0", 0, Pins("L2", dir="o"), Attrs(IO_TYPE="LVCMOS33", DRIVE="4"))
        platform.add_resources([link_of(platform), hold])
        return platform

    return make


def _orangecrab(kind: type) -> Callable[[], Any]:
    def make() -> Any:
        platform = kind()
        platform.add_resources([link_on("0", "1", connector=("io", 0), IO_TYPE="LVCMOS33")])
        return platform

    return make


def _icebreaker() -> Any:
    platform = ICEBreakerPlatform()
    platform.add_resources([link_of(platform)])
    return platform


def _ulx3s_board(size: str, kind: type) -> Board:
    return Board(
        name=f"ulx3s-{size}".lower(), family="ecp5", device=f"LFE5U-{size}", package="CABGA381", speed="6", pll="ecp5",
        input_mhz=25.0, clock="clk25", clock_mhz=80.0, baud=1_000_000, busy=("led", 0, ""), error=("led", 1, ""),
        buffer=1024, platform=_ulx3s(kind), tied=("esp32_gpio0",), constraint_file="lpf",
        wiring="USB connector US1 (FT231X)", program="openFPGALoader -b ulx3s FILE.bit, or fujprog FILE.bit",
    )  # fmt: skip


def _orangecrab_board(size: str, kind: type) -> Board:
    return Board(
        name=f"orangecrab-{size}".lower(), family="ecp5", device=f"LFE5U-{size}", package="CSFBGA285", speed="8",
        pll="ecp5", input_mhz=48.0, clock="clk", clock_mhz=60.0, baud=1_000_000, busy=("rgb_led", 0, "g"),
        error=("rgb_led", 0, "r"), buffer=1024, platform=_orangecrab(kind), constraint_file="lpf",
        wiring="no USB-UART chip on the board: a 3.3 V USB-UART adapter on the header, its TX to pin 0 (N17), its RX "
        "to pin 1 (M18), ground to ground",
        program="dfu-suffix -v 1209 -p 5af0 -a FILE.bit; hold the button at power-up; dfu-util -a 0 -D FILE.bit",
    )  # fmt: skip


BOARDS = (
    *(
        _ulx3s_board(size, kind)
        for size, kind in (("25F", ULX3S_25F_Platform), ("45F", ULX3S_45F_Platform), ("85F", ULX3S_85F_Platform))
    ),
    *(
        _orangecrab_board(size, kind)
        for size, kind in (("25F", OrangeCrabR0_2_25FPlatform), ("85F", OrangeCrabR0_2_85FPlatform))
    ),
    Board(
        name="icebreaker", family="ice40", device="up5k", package="sg48", speed="", pll="ice40", input_mhz=12.0,
        clock="clk12", clock_mhz=12.0, baud=1_000_000, busy=("led_g", 0, ""), error=("led_r", 0, ""), buffer=256,
        platform=_icebreaker, constraint_file="pcf", wiring="USB connector, second port of the FT2232H",
        program="iceprog FILE.bin, or openFPGALoader -b ice40_generic FILE.bin",
    ),
)  # fmt: skip
