"""Memories that are read without a clock, on a device whose blocks have one: they read half a clock later.

The queue of detect and the event stores are read in the clock in which the address is known. An ECP5 or a Gowin device
builds them of look-up tables as memory; an iCE40 has none, and took 1.4 cells for each bit. A block whose read port
works on the falling edge gives the same word in the same clock: what was written at the rising edge is there, and the
address is steady before the falling one. Place-and-route counts such paths as half a clock.
"""

import re

_MODULE = re.compile(r"^module .*?^end$", re.MULTILINE | re.DOTALL)
_CELL = re.compile(r"^  cell \$(memrd_v2|memwr_v2) .*?^  end$", re.MULTILINE | re.DOTALL)


def half_clock_reads(rtlil: str) -> str:
    """RTLIL with every such read port of a memory that is also written moved to the falling edge; tables stay."""
    return _MODULE.sub(lambda module: _in_module(module[0]), rtlil)


def _in_module(text: str) -> str:
    clocks: dict[str, str] = {}
    for cell in _CELL.finditer(text):
        if cell[1] == "memwr_v2":
            clocks[_of(cell[0], r"parameter \\MEMID (.*)")] = _of(cell[0], r"connect \\CLK (.*)")
    if not clocks:
        return text

    def moved(cell: re.Match[str]) -> str:
        clock = clocks.get(_of(cell[0], r"parameter \\MEMID (.*)"))
        if cell[1] == "memwr_v2" or clock is None or _of(cell[0], r"parameter \\CLK_ENABLE (.*)") != "0":
            return cell[0]
        found = re.sub(r"(parameter \\CLK_ENABLE) .*", r"\1 1'1", cell[0])
        found = re.sub(r"(parameter \\CLK_POLARITY) .*", r"\1 1'0", found)
        return re.sub(r"(connect \\CLK) .*", lambda match: f"{match[1]} {clock}", found)

    return _CELL.sub(moved, text)


def _of(text: str, pattern: str) -> str:
    found = re.search(pattern, text)
    return found[1] if found else ""
