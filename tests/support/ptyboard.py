"""The far end of a pseudo-terminal: a simulated board that serves it from a thread, with noise if wanted."""

import os
import pty
import random
import select
import threading
import tty
from types import TracebackType

from .boardsim import SimulatedBoard


class PtyBoard:
    """A board behind a pseudo-terminal; ``port`` is what the host opens.

    Args:
        noise: probability a byte, in each direction, that it is flipped, dropped or followed by a stray one. seed: its.
    """

    def __init__(self, board: SimulatedBoard | None, *, noise: float = 0.0, seed: int = 0) -> None:
        self.board, self.noise, self.random = board, noise, random.Random(seed)
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        self.port = os.ttyname(self.slave)
        self.damaged = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def _noisy(self, data: bytes) -> bytes:
        out = bytearray()
        for byte in data:
            if self.random.random() >= self.noise:
                out.append(byte)
                continue
            self.damaged += 1
            kind = self.random.randrange(3)
            if kind == 0:
                out.append(byte ^ 1 << self.random.randrange(8))
            elif kind == 1:
                out += bytes([byte, self.random.randrange(256)])
        return bytes(out)

    def _serve(self) -> None:
        idle = 0
        while not self._stop.is_set():
            ready, _, _ = select.select([self.master], [], [], 0.0 if idle < 20 else 0.002)
            data = os.read(self.master, 4096) if ready else b""
            if self.board is None:
                continue
            answer = self.board.run(self._noisy(data), 1000)
            idle = 0 if data or answer else idle + 1
            if answer:
                os.write(self.master, self._noisy(answer))

    def __enter__(self) -> "PtyBoard":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(5)
        os.close(self.master)
        os.close(self.slave)
