"""The compiled AXI top as a Python object: registers, packets, codes, and the checker of the protocol around it."""

import ctypes
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ...golden.errors import InputError
from ...sim.tiling import IntArray
from ..registers import register
from ..verilated import Options, build_shared

PORTS = ("aw", "w", "b", "ar", "r", "source", "sink")
"""Where a stall can be: channels of the register port, the input stream, the output stream."""
_BUS, _STREAM, _CODES = 1, 2, 4


@dataclass(frozen=True)
class Answer:
    """What a register access was answered with."""

    ok: bool
    data: int = 0


@dataclass(frozen=True)
class Closed:
    """One closing word and the codes before it: rows (k, i, j, y); flags as ``registers.FLAGS``; TID of its beats."""

    codes: IntArray
    flags: int
    steps: int
    late_events: int
    tid: int


@dataclass(frozen=True)
class Stalls:
    """How often each of ``PORTS`` stands still, in 256ths of the clocks."""

    rates: dict[str, int] = field(default_factory=dict)

    @staticmethod
    def all(rate: int) -> "Stalls":
        """Every port at the same rate."""
        return Stalls(dict.fromkeys(PORTS, rate))


class Hang(Exception):
    """The core did not do what was waited for."""


class CompiledCore:
    """One instance of a compiled AXI top, out of reset.

    Calls return when the core has answered, ``Hang`` is raised when it does not within ``limit`` clocks.
    ``violations`` counts breaches of the protocol, ``first_violation`` tells of the first.
    """

    def __init__(self, library: Path, *, wave: Path | None = None, seed: int = 1) -> None:
        self._lib = ctypes.CDLL(str(library))
        lib, pointer, i64 = self._lib, ctypes.c_void_p, ctypes.c_int64
        lib.axi_new.restype, lib.axi_new.argtypes = pointer, []
        lib.axi_delete.argtypes = [pointer]
        lib.axi_wave.argtypes = [pointer, ctypes.c_char_p]
        lib.axi_behave.argtypes = [pointer, ctypes.c_uint64, ctypes.POINTER(ctypes.c_int)]
        lib.axi_hold.argtypes = [pointer, ctypes.c_int]
        lib.axi_write.argtypes = [pointer, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_uint32]
        lib.axi_read.argtypes = [pointer, ctypes.c_uint32]
        lib.axi_send.argtypes = [pointer, pointer, i64]
        lib.axi_withdraw.argtypes = [pointer]
        lib.axi_reset.argtypes = [pointer, ctypes.c_int]
        lib.axi_run.argtypes = [pointer, ctypes.c_int, i64, i64]
        lib.axi_number.restype, lib.axi_number.argtypes = i64, [pointer, ctypes.c_int]
        lib.axi_first.restype, lib.axi_first.argtypes = ctypes.c_char_p, [pointer]
        lib.axi_list.restype, lib.axi_list.argtypes = i64, [pointer, ctypes.c_int, ctypes.POINTER(pointer)]
        lib.axi_forget.argtypes = [pointer, ctypes.c_int]
        self._sim = pointer(lib.axi_new())
        self.limit = 1_000_000
        if wave is not None and lib.axi_wave(self._sim, str(wave).encode()):
            raise InputError(f"cannot write the wave file {wave}; choose another path")
        self.behave(Stalls(), seed)
        self.reset()

    def close(self) -> None:
        """End the simulation and its wave file."""
        if self._sim:
            self._lib.axi_delete(self._sim)
            self._sim = ctypes.c_void_p()

    def __enter__(self) -> "CompiledCore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- time --------------------------------------------------------------------------------------------------------
    @property
    def clock(self) -> int:
        """Clocks since the beginning."""
        return int(self._lib.axi_number(self._sim, 0))

    @property
    def violations(self) -> int:
        """Breaches of the AXI rules so far."""
        return int(self._lib.axi_number(self._sim, 1))

    @property
    def first_violation(self) -> str:
        """The first of them."""
        return str(self._lib.axi_first(self._sim).decode())

    @property
    def interrupt(self) -> bool:
        """The interrupt output."""
        return bool(self._lib.axi_number(self._sim, 3))

    @property
    def stalled(self) -> dict[str, int]:
        """Clocks in which each port stood still with something to do."""
        return {port: int(self._lib.axi_number(self._sim, 10 + n)) for n, port in enumerate(PORTS)}

    def behave(self, stalls: Stalls, seed: int = 0) -> None:
        """Set how ports stand still; a ``seed`` other than 0 begins the random numbers again."""
        rates = (ctypes.c_int * len(PORTS))(*[stalls.rates.get(port, 0) for port in PORTS])
        self._lib.axi_behave(self._sim, seed, rates)

    def hold(self, hold: bool) -> None:
        """Take no code until told otherwise."""
        self._lib.axi_hold(self._sim, int(hold))

    def reset(self, clocks: int = 4) -> None:
        """Reset; what was not sent or answered is forgotten."""
        self._lib.axi_reset(self._sim, clocks)
        self._take(0, 3), self._take(1, 5)

    def run(self, clocks: int) -> None:
        """Let so many clocks pass."""
        self._lib.axi_run(self._sim, 0, 0, clocks)

    def _until(self, what: int, target: int = 0) -> None:
        if not self._lib.axi_run(self._sim, what, target, self.limit):
            names = {_BUS: "the register port", _STREAM: "the input stream", _CODES: "a closing word"}
            waited = " and ".join(text for bit, text in names.items() if what & bit)
            raise Hang(f"clock {self.clock}: nothing from {waited} for {self.limit} clocks")

    def _take(self, which: int, columns: int) -> IntArray:
        data = ctypes.c_void_p()
        count = self._lib.axi_list(self._sim, which, ctypes.byref(data))
        rows = np.zeros((0, columns), np.int64)
        if count:
            flat = np.ctypeslib.as_array(ctypes.cast(data, ctypes.POINTER(ctypes.c_int64)), (count,))
            rows = flat.reshape(-1, columns).copy()
        self._lib.axi_forget(self._sim, which)
        return rows

    # ---- registers ---------------------------------------------------------------------------------------------------
    def queue_write(self, offset: int, value: int, strobe: int = 15) -> None:
        """A write to be made while the clock runs; ``settle`` returns the answers."""
        self._lib.axi_write(self._sim, offset, value & 0xFFFFFFFF, strobe)

    def queue_read(self, offset: int) -> None:
        """A read to be made while the clock runs."""
        self._lib.axi_read(self._sim, offset)

    def settle(self) -> tuple[list[Answer], list[Answer]]:
        """Wait for the answers to everything queued: those of writes and those of reads, each in order."""
        self._until(_BUS)
        rows = self._take(0, 3)
        return tuple(  # type: ignore[return-value]
            [Answer(int(resp) == 0, int(data)) for kind, resp, data in rows if kind == which] for which in (0, 1)
        )

    def write(self, name: str, value: int, strobe: int = 15) -> bool:
        """Write a register; whether it was answered with OKAY."""
        self.queue_write(register(name).offset, value, strobe)
        return self.settle()[0][-1].ok

    def read(self, name: str | int) -> int:
        """Read a register, by name or offset.

        Raises:
            Hang: also when the read was refused.
        """
        self.queue_read(register(name).offset if isinstance(name, str) else name)
        answer = self.settle()[1][-1]
        if not answer.ok:
            raise Hang(f"clock {self.clock}: the read of {name} was refused")
        return answer.data

    # ---- packets and codes -------------------------------------------------------------------------------------------
    def queue_beats(self, values: IntArray, tid: int, *, last: bool = True) -> None:
        """Beats to be sent while the clock runs; TLAST on the final one where ``last``."""
        rows = np.zeros((len(values), 3), np.int64)
        rows[:, 0], rows[:, 1] = np.asarray(values, np.int64) & 0xFFFFFFFF, tid
        if last and len(rows):
            rows[-1, 2] = 1
        self.queue_rows(rows)

    def queue_rows(self, rows: IntArray) -> None:
        """Beats of any kind to be sent while the clock runs: rows (TDATA, TID, TLAST)."""
        rows = np.ascontiguousarray(rows, np.int64)
        self._lib.axi_send(self._sim, rows.ctypes.data, len(rows))

    def withdraw(self) -> None:
        """Forget the beats that were queued and not yet offered."""
        self._lib.axi_withdraw(self._sim)

    def sent(self) -> None:
        """Wait until every beat was taken and the core has looked at it."""
        self._until(_STREAM)
        self.run(4)

    def send(self, values: IntArray, tid: int, *, last: bool = True) -> None:
        """``queue_beats`` and ``sent``."""
        self.queue_beats(values, tid, last=last)
        self.sent()

    def closed(self, count: int = 1) -> list[Closed]:
        """Wait for so many more closing words: the frames that ended, in order."""
        done = int(self._lib.axi_number(self._sim, 2))
        rows = self._take(1, 5)
        before = int(rows[:, 1].sum())
        if before < count:
            self._until(_CODES, done + count - before)
        rows = np.concatenate([rows, self._take(1, 5)])
        frames, first = [], 0
        for n in np.flatnonzero(rows[:, 1]).tolist():
            frames.append(_frame(rows[first : n + 1]))
            first = n + 1
        return frames


def _frame(rows: IntArray) -> Closed:
    words, closing = rows[:-1, 0], int(rows[-1, 0])
    parts = [words >> shift & 0xFFFF for shift in (16, 32, 48)]
    y = ((words & 0xFFFF) ^ 0x8000) - 0x8000
    codes = np.stack([*parts, y], 1) if len(words) else np.zeros((0, 4), np.int64)
    return Closed(codes, closing & 0xFFFF, closing >> 16 & 0xFFFF, closing >> 32 & 0xFFFFFFFF, int(rows[-1, 3]))


def build_core(sources: list[Path], *, trace: bool = False, optimize: int = 1, jobs: int = 1) -> Path:
    """Compile an AXI top with its mesh and tile; cached by content.

    Raises:
        ToolError: Verilator or the compiler refused it.
    """
    harness = (Path(__file__).parent / "axi.cpp").read_text()
    return build_shared(
        sources, "striate_core", harness, options=Options(optimize=optimize, trace=trace, jobs=jobs)
    )
