"""The monitor of one tile: its write trace as copies of its memories, its events and its phases.

Only what is enabled is read as a number: an unknown bit there ends the bench, one in a lane that nobody writes is left.
"""

from typing import Any

from ...sim.plan import Plan
from ...sim.tiling import IntArray, bits
from ..tile import trace_members


def signed(value: int, width: int) -> int:
    """The low ``width`` bits as a signed number."""
    value &= (1 << width) - 1
    return value - (1 << width) if value >> (width - 1) else value


def lanes(value: int, width: int, count: int) -> list[int]:
    """``count`` signed lanes of a word, the lowest first."""
    return [signed(value >> (n * width), width) for n in range(count)]


def enabled_lanes(value: Any, width: int, enables: list[bool]) -> list[int]:
    """The enabled lanes of a sampled port as numbers without sign, the lowest first; 0 where a lane is not enabled.

    Memories begin unknown in a simulator that knows unknown values, and a lane that nobody enables may carry what was
    read there. AssertionError: an enabled lane has a bit that is neither 0 nor 1.
    """
    text, found = str(value), []
    for n, enabled in enumerate(enables):
        lane = text[len(text) - (n + 1) * width : len(text) - n * width]
        assert not enabled or (len(lane) == width and set(lane) <= {"0", "1"}), f"lane {n} of {text} is unknown"
        found.append(int(lane, 2) if enabled else 0)
    return found


class TileMonitor:
    """Decodes the write trace of one tile into copies of its memories, its events and its phases."""

    OFTEN = ("phase", "hazard", "u_en", "d_en", "r_en", "s_en", "event", "sent", "pixel", "step_done")

    def __init__(self, dut: Any, plan: Plan, tile: int, memories: dict[str, IntArray]) -> None:
        self.plan, self.tile = plan, tile
        self.memories = {name: words[tile] for name, words in memories.items()}
        self._port = {name: getattr(dut, f"trace_{tile}_{name}") for name in trace_members(plan)}
        self._often = [self._port[name] for name in self.OFTEN]
        self._refreshed = self._port.get("refreshed")
        self.phase = 0
        self.phases: list[tuple[int, int, int]] = []
        self.codes: list[list[int]] = []
        self.pixels: list[list[int]] = []
        self.link_events = 0

    def forget(self) -> None:
        """A new frame begins."""
        self.phases, self.codes, self.pixels, self.link_events = [], [], [], 0

    def _read(self, name: str) -> int:
        return int(self._port[name].value)

    def _lanes(self, name: str, width: int, enables: list[bool]) -> list[int]:
        return enabled_lanes(self._port[name].value, width, enables)

    def sample(self, cycle: int) -> int | None:
        """Look at one clock; the step n that the tile ended in it, or -1 - n for a refresh before it, if it did."""
        phase, hazard, u, d, r, s, event, sent, pixel, done = (int(port.value) for port in self._often)
        assert not hazard, f"tile {self.tile}, cycle {cycle}: two touches of one word are too close"
        if phase != self.phase:
            self.phase = phase
            self.phases.append((self.tile, phase, cycle))
        if u:
            self._membrane()
        if d:
            self._drive(d)
        if r:
            self._residual(r)
        if s:
            self._sent(s)
        if event:
            k, i, j, dy = (self._read(f"event_{name}") for name in ("k", "i", "j", "dy"))
            self.codes.append([k, i, j, signed(dy, self.plan.code_change_width)])
        if sent:
            self.link_events += sent.bit_count()
        if pixel:
            c, y, x, dr = (self._read(f"pixel_{name}") for name in ("c", "y", "x", "dr"))
            self.pixels.append([c, y, x, signed(dr, self.plan.residual_change_width)])
        if self._refreshed is not None and int(self._refreshed.value):
            return -1 - self._read("step")
        return self._read("step") - 1 if done else None

    def _membrane(self) -> None:
        t, width = self.plan.tiling, self.plan.membrane.width
        k, together = t.geometry.kernels, t.update_positions
        values = lanes(self._read("u_data"), width, together * k)
        for n in range(together):
            at = divmod(self._read("u_addr") * together + n, t.block[1])
            self.memories["membrane"][at] = values[n * k : (n + 1) * k]

    def _drive(self, enable: int) -> None:
        t, width = self.plan.tiling, self.plan.drive_width
        k, groups, per, banks = t.geometry.kernels, t.kernel_groups, t.kernels_per_cycle, t.positions_per_cycle
        written = [bool(enable >> (bank * groups + n // per) & 1) for bank in range(banks) for n in range(k)]
        touched = [any(written[bank * k : (bank + 1) * k]) for bank in range(banks)]
        addresses, words = self._lanes("d_addr", bits(t.drive_depth), touched), self._lanes("d_data", width, written)
        for bank, address in enumerate(addresses):
            i, j = address // t.drive_words_per_row, address % t.drive_words_per_row * t.positions_per_cycle + bank
            if i >= t.block[0] or j >= t.block[1]:
                continue
            for kernel in range(k):
                if written[bank * k + kernel]:
                    self.memories["drive"][i, j, kernel] = signed(words[bank * k + kernel], width)

    def _residual(self, enable: int) -> None:
        t, width, count = self.plan.tiling, self.plan.residual_width, self.plan.tiling.scatter_lanes
        written = [bool(enable >> n & 1) for n in range(count)]
        touched = [any(written[n : n + t.columns_per_word]) for n in range(0, count, t.columns_per_word)]
        addresses = self._lanes("r_addr", bits(t.residual_depth), touched)
        for n, value in enumerate(self._lanes("r_data", width, written)):
            address = addresses[n // t.columns_per_word]
            self._pixel("residual", written[n], address, t.residual_words_per_row, count, n, signed(value, width))

    def _sent(self, enable: int) -> None:
        t, width, address = self.plan.tiling, self.plan.residual.width, self._read("s_addr")
        written = [bool(enable >> n & 1) for n in range(t.detect_lanes)]
        for n, value in enumerate(self._lanes("s_data", width, written)):
            self._pixel("sent", written[n], address, t.sent_words_per_row, t.detect_lanes, n, signed(value, width))

    def _pixel(self, name: str, enable: bool, address: int, words: int, count: int, lane: int, value: int) -> None:
        (rows, columns), channels = self.plan.tiling.region, self.plan.tiling.geometry.channels
        row, x = address // words, address % words * count + lane
        if enable and row < channels * rows and x < columns:
            self.memories[name][row // rows, row % rows, x] = value
