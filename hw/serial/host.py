"""The host's end of the serial link: requests with retries over any transport, and the board's machine behind them."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from .framing import BEAT_BYTES, CRC_BYTES, HEADER, VERSION, Answer, Deframer, Operation, Status, answer_of, frame

TRIES = 10
"""How often a request is sent before the link is given up."""
LEAST_CHUNK = 16
"""Bytes of payload that a frame is cut down to on a bad line. Every retry halves the next frames, every long one that
needs none doubles them, up to the board's buffer.
"""
PATIENCE_S = 0.25
"""What an answer may take beyond the bytes of both frames: the bridge's own waits, buffers and timers of USB."""


class Transport(Protocol):
    """A line of bytes."""

    def write(self, data: bytes) -> None:
        """Send these bytes."""

    def read(self, wait_s: float) -> bytes:
        """What has come; after so many seconds without a byte, nothing."""

    def clear(self) -> None:
        """Forget what has come."""


class LinkError(RuntimeError):
    """The link failed: nobody answers, or not this protocol. One line."""


class RefusedError(LinkError):
    """The board answered that it will not. ``status`` says why."""

    def __init__(self, operation: Operation, status: int, what: str) -> None:
        self.status = status
        names = {Status.REFUSED: "the core refused it", Status.UNKNOWN: "it does not know it",
                 Status.LENGTH: "it has the wrong length"}  # fmt: skip
        why = names.get(Status(status), "it is busy") if status in list(Status) else f"status {status}"
        super().__init__(f"the board does not {operation.name.lower()} {what}: {why}")


@dataclass
class Counters:
    """What the link went through. ``crc_errors``: frames from the board that were none; ``retries``: requests sent
    again; ``lost``: frames from here that the board dropped.
    """

    requests: int = 0
    retries: int = 0
    crc_errors: int = 0
    lost: int = 0
    bytes_out: int = 0
    bytes_in: int = 0


@dataclass
class Link:
    """Requests and answers, one at a time.

    Args:
        transport: the line. baud: its rate, for the time that bytes take; 0: none.
        clock: seconds, for waiting. seed: of the first sequence number.
    """

    transport: Transport
    baud: int = 0
    clock: Callable[[], float] = time.monotonic
    seed: int | None = None
    tries: int = field(default_factory=lambda: TRIES)
    patience_s: float = PATIENCE_S
    counters: Counters = field(default_factory=Counters)
    buffer: int = 64
    chunk: int = LEAST_CHUNK

    def __post_init__(self) -> None:
        self._sequence = random.Random(self.seed).randrange(256)
        self._deframer = Deframer()
        self._bodies: list[bytes] = []
        self._before: int | None = None

    # ---- one request -------------------------------------------------------------------------------------------------
    def request(self, operation: Operation, arguments: bytes = b"", *, expected: int = 0) -> Answer:
        """Send a request until its answer is there; ``expected``: payload bytes of the answer, for the time they take.

        Raises:
            LinkError: no answer to any of ``tries`` requests.
        """
        self._sequence = (self._sequence + 1) % 256
        sent = frame(bytes([operation, self._sequence]) + arguments)
        line_s = 20 * (len(sent) + 2 * (expected + HEADER + 8)) / self.baud if self.baud else 0.0
        self.counters.requests += 1
        for attempt in range(self.tries):
            if attempt:
                self.counters.retries += 1
            self.transport.write(sent)
            self.counters.bytes_out += len(sent)
            answer = self._await(operation, line_s + self.patience_s)
            if answer is not None:
                if attempt:
                    self.chunk = max(self.chunk >> attempt, LEAST_CHUNK)
                elif max(len(sent), len(answer.payload)) > self.chunk // 2:
                    self.chunk = min(2 * self.chunk, self.buffer)
                return answer
        if self.counters.bytes_in == 0:
            raise LinkError(f"no answer: {self.tries} requests were sent and not a byte came back")
        raise LinkError(
            f"no answer to {self.tries} requests in a row; the line is too noisy or the rate is wrong "
            f"({self.counters.bytes_in} bytes came, {self.counters.crc_errors} frames of them bad)"
        )

    def _await(self, operation: Operation, wait_s: float) -> Answer | None:
        """The answer with the sequence number under way, if it comes in time; others are late and are dropped."""
        until = self.clock() + wait_s
        while True:
            while self._bodies:
                answer = answer_of(self._bodies.pop(0))
                if answer and answer.sequence == self._sequence and answer.operation == operation:
                    return answer
            left = until - self.clock()
            if left <= 0:
                return None
            data = self.transport.read(left)
            self.counters.bytes_in += len(data)
            self._bodies += self._deframer.feed(data)
            self.counters.crc_errors = self._deframer.dropped

    def _done(self, operation: Operation, arguments: bytes, what: str, *, expected: int = 0) -> Answer:
        answer = self.request(operation, arguments, expected=expected)
        if answer.status not in (Status.OK, Status.BUSY) or len(answer.payload) < expected:
            raise RefusedError(operation, answer.status, what)
        return answer

    # ---- operations --------------------------------------------------------------------------------------------------
    def hello(self) -> None:
        """Begin, or ask what the board dropped since the first hello.

        Raises:
            LinkError: nobody answers, or a device with another protocol.
        """
        answer = self.request(Operation.HELLO, expected=4)
        if answer.info[0] != VERSION or len(answer.payload) != 4 or not 6 <= answer.info[1] <= 15:
            raise LinkError(f"the device speaks version {answer.info[0]} of the link, this host version {VERSION}")
        self.buffer = 1 << answer.info[1]
        lost = int.from_bytes(answer.payload[:2], "little")
        if self._before is None:
            self._before = lost
        self.counters.lost = (lost - self._before) % 65_536

    def read(self, address: int) -> int:
        """A register.

        Raises:
            LinkError: as ``request``. RefusedError: no such register.
        """
        answer = self._done(Operation.READ, bytes([address]), f"register 0x{address:02x}", expected=4)
        return int.from_bytes(answer.payload[:4], "little")

    def clocks(self) -> int:
        """Clocks from the handshake of the last frame's last pixel to the first word of its codes, modulo 2^32.

        Raises:
            LinkError: as ``request``.
        """
        return int.from_bytes(self._done(Operation.CLOCKS, b"", "clocks", expected=4).payload[:4], "little")

    def write(self, address: int, value: int) -> None:
        """Write a register.

        Raises:
            LinkError: as ``request``. RefusedError: the core refuses.
        """
        arguments = bytes([address]) + (value & 0xFFFF_FFFF).to_bytes(4, "little")
        self._done(Operation.WRITE, arguments, f"register 0x{address:02x} = {value}")

    def stream(
        self, tid: int, values: Sequence[int], *, last: bool = True, tell: Callable[[float], None] | None = None
    ) -> None:
        """Send a packet of signed values to the core, in as few bytes each as all of them fit in.

        Raises:
            LinkError: as ``request``, or the core takes no data. RefusedError: the bridge refuses.
        """
        low, high = (min(values), max(values)) if values else (0, 0)
        log_bytes = next(n for n in range(3) if -(1 << (8 << n) - 1) <= low and high < 1 << (8 << n) - 1)
        wide = 1 << log_bytes
        done, stuck = 0, 0
        while done < len(values):
            room = min(self.buffer - 3 - CRC_BYTES, self.chunk) // wide
            part = values[done : done + room]
            ends = last and done + len(part) == len(values)
            head = tid | log_bytes << 2 | (0x80 if ends else 0)
            body = b"".join(int(value).to_bytes(wide, "little", signed=True) for value in part)
            answer = self._done(Operation.STREAM, bytes([head]) + body, f"{len(part)} values")
            taken = int.from_bytes(bytes(answer.info), "little")
            stuck = 0 if taken else stuck + 1
            if taken > len(part) or stuck >= self.tries:
                raise LinkError(f"the core takes no data: {done} of {len(values)} values were handed over")
            done += taken
            if tell is not None:
                tell(done / len(values))

    def take(self) -> tuple[list[int], int, bool]:
        """Beats of codes that are ready, the frame's number, and whether the last beat is a closing word.

        Raises:
            LinkError: as ``request``.
        """
        most = min(self.buffer - HEADER, self.chunk, 255 * BEAT_BYTES) // BEAT_BYTES
        answer = self.request(Operation.TAKE, bytes([most]), expected=most * BEAT_BYTES)
        if answer.status != Status.OK or len(answer.payload) % BEAT_BYTES:
            raise RefusedError(Operation.TAKE, answer.status, "codes")
        data = answer.payload
        beats = [int.from_bytes(data[n : n + BEAT_BYTES], "little") for n in range(0, len(data), BEAT_BYTES)]
        return beats, answer.info[0], bool(answer.info[1] & 1)


__all__ = ["Counters", "Link", "LinkError", "RefusedError", "Transport"]
