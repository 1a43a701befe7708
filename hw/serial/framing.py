"""The frames of the serial link in software: what ``docs/boards.md`` defines and ``bridge.py`` does in gates.

A frame is a FLAG, a body and its CRC-32 with FLAG and ESCAPE bytes escaped (as in HDLC), and a FLAG. So a receiver is
in step again at the next FLAG whatever came before.
"""

import zlib
from dataclasses import dataclass
from enum import IntEnum

FLAG, ESCAPE, FLIP = 0x7E, 0x7D, 0x20
"""Begin and end of a frame; ESCAPE announces a byte that is sent with the bit FLIP inverted."""
ANSWER = 0x80
"""In the first byte of an answer, with the request's operation."""
HEADER = 5
"""Bytes of an answer before its payload: operation, sequence number, status, two of information."""
CRC_BYTES = 4
BEAT_BYTES = 8
"""Bytes of one beat of codes."""
VERSION = 1
"""Of this protocol."""


class Operation(IntEnum):
    """What a request asks for."""

    HELLO = 0
    READ = 1
    WRITE = 2
    STREAM = 3
    TAKE = 4
    CLOCKS = 5


class Status(IntEnum):
    """What became of a request."""

    OK = 0
    BUSY = 1
    REFUSED = 2
    UNKNOWN = 3
    LENGTH = 4


@dataclass(frozen=True)
class Answer:
    """An answer taken apart; ``info`` and ``payload`` as the operation defines them."""

    operation: int
    sequence: int
    status: int
    info: tuple[int, int]
    payload: bytes


def frame(body: bytes) -> bytes:
    """A body as it goes over the line."""
    raw = body + zlib.crc32(body).to_bytes(CRC_BYTES, "little")
    out = bytearray([FLAG])
    for byte in raw:
        out += bytes([ESCAPE, byte ^ FLIP]) if byte in (FLAG, ESCAPE) else bytes([byte])
    out.append(FLAG)
    return bytes(out)


def answer_of(body: bytes) -> Answer | None:
    """A body as an answer; None when it is none."""
    if len(body) < HEADER or not body[0] & ANSWER:
        return None
    return Answer(body[0] & ~ANSWER, body[1], body[2], (body[3], body[4]), body[HEADER:])


class Deframer:
    """Bytes of a line to bodies. ``dropped`` counts frames that were no frames: CRC, length or escape wrong."""

    def __init__(self, longest: int = 65_536) -> None:
        self.longest, self.dropped = longest, 0
        self._inside = self._escaped = False
        self._raw = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The bodies completed by these bytes."""
        bodies = []
        for byte in data:
            if byte == FLAG:
                body = self._close()
                if body is not None:
                    bodies.append(body)
                self._inside = True
            elif not self._inside:
                continue
            elif byte == ESCAPE and not self._escaped:
                self._escaped = True
            else:
                self._raw.append(byte ^ FLIP if self._escaped else byte)
                self._escaped = False
                if len(self._raw) > self.longest:
                    self.dropped += 1
                    self._raw.clear()
                    self._inside = False
        return bodies

    def _close(self) -> bytes | None:
        raw, escaped = bytes(self._raw), self._escaped
        self._raw.clear()
        self._escaped = False
        if not raw and not escaped:
            return None  # two flags in a row
        body, crc = raw[:-CRC_BYTES], raw[-CRC_BYTES:]
        if escaped or not body or zlib.crc32(body).to_bytes(CRC_BYTES, "little") != crc:
            self.dropped += 1
            return None
        return body
