"""The core as a host can see it, by the rules in the docstrings of ``hw/core.py`` and ``hw/packets.py`` alone.

No gate shares code with it. ``axi_fuzz.py`` does something to the core and tells an ``Expectation`` of it; what every
register must then read, and what every access must be answered with, stands here.
"""

from dataclasses import dataclass, field

from ..registers import ERRORS, REGISTERS, Register

START, WARM, CLEAR, ABORT = 1, 2, 4, 8
"""Bits of CONTROL."""
REFUSED, MALFORMED = 4, 16
"""Flags of a closing word."""
ERROR = {entry.name: entry.mask for entry in ERRORS}
SCHEDULE = 1 << 31
"""STEP_SHIFT: the design's shifts."""

Ranges = dict[str, tuple[int, int, int]]
"""Parameter -> lowest, highest, reset value; STEP_SHIFT without ``SCHEDULE``."""


@dataclass
class Expectation:
    """The state of the core as a host can see it. ``parameters``: what their registers read."""

    parameters: dict[str, int]
    ranges: Ranges
    errors: int = 0
    dirty: bool = True
    void: bool = False
    done: bool = False
    swallowing: bool = False
    number: int = 0  # closing words since reset
    threshold: int = 0  # of the state
    counters: dict[str, int] = field(default_factory=dict)  # registers that count, and LAST
    cycles: int = 0
    cycles_exact: bool = True

    @staticmethod
    def after_reset(ranges: Ranges, steps: int, *, void: bool) -> "Expectation":
        """Everything forgotten but whether the weights are void. ``steps``: what STEPS reads."""
        parameters = {name: value for name, (_, _, value) in ranges.items()} | {"STEPS": steps}
        parameters["STEP_SHIFT"] |= SCHEDULE
        now = Expectation(parameters, ranges, void=void)
        now.clear()
        return now

    def clear(self) -> None:
        """CONTROL.clear."""
        self.counters = dict.fromkeys(("CODE_EVENTS", "CODES", "OVERFLOWS", "DIVERGED", "FRAMES", "LAST"), 0)
        self.cycles, self.cycles_exact, self.done = 0, True, False

    def status(self) -> int:
        """What STATUS reads while nothing is under way."""
        bits = (False, self.dirty, False, self.done, self.void, self.swallowing)
        return sum(int(bit) << n for n, bit in enumerate(bits))

    def refuses(self, *, warm: bool) -> bool:
        """Whether a start is answered by a closing word with `refused`."""
        return self.void or (warm and (self.dirty or self.parameters["THRESHOLD"] != self.threshold))

    def write(self, offset: int, value: int, strobe: int, *, busy: bool) -> bool:
        """What a write does; whether it is answered with OKAY. No start but while busy, when it is refused."""
        entry = register_at(offset)
        if entry is None or not entry.writable:
            self.errors |= ERROR["bad_address"]
            return False
        mask = sum(0xFF << (8 * byte) for byte in range(4) if strobe >> byte & 1)
        if entry.name == "ERRORS":
            self.errors &= ~(value & mask)
            return True
        if entry.name == "CONTROL":
            return self._control(value & mask, busy)
        return self._parameter(entry.name, value, mask, busy)

    def _control(self, value: int, busy: bool) -> bool:
        if value & START:
            assert busy, "a start that is not meant to be refused goes another way"
            self.errors |= ERROR["bad_value" if value & ABORT else "write_while_busy"]
            return False
        if value & CLEAR:
            self.clear()
        return True

    def _parameter(self, name: str, value: int, mask: int, busy: bool) -> bool:
        if busy:
            self.errors |= ERROR["write_while_busy"]
            return False
        low, high, own = self.ranges[name]
        whole = self.parameters[name] & ~mask | value & mask
        if name == "STEP_SHIFT" and whole & SCHEDULE:
            whole = SCHEDULE | own
        elif not low <= whole <= high:
            self.errors |= ERROR["bad_value"]
            return False
        self.parameters[name] = whole
        return True


def register_at(offset: int) -> Register | None:
    """The register that an address reaches, if any; its two lowest bits count for nothing."""
    for entry in REGISTERS:
        if entry.offset == offset & ~3:
            return entry
    return None
