"""Frames: bytes cut into protocol headers and frame bodies (AMQP 1.0 part 2, section 2.3)."""

from __future__ import annotations

import struct

from .errors import FRAMING_ERROR, AmqpError

AMQP_HEADER = b"AMQP\x00\x01\x00\x00"
SASL_HEADER = b"AMQP\x03\x01\x00\x00"
AMQP_FRAME = 0
SASL_FRAME = 1
HEADER_SIZE = 8
EMPTY_FRAME = b"\x00\x00\x00\x08\x02\x00\x00\x00"

_head = struct.Struct(">IBBH")


def frame(channel: int, body: bytes, kind: int = AMQP_FRAME) -> bytes:
    """One frame with `body`."""
    return _head.pack(HEADER_SIZE + len(body), 2, kind, channel) + body


class FrameBuffer:
    """Collects what arrives and gives it back as whole protocol headers and frames.

    Holds at most one incomplete frame, hence at most `max_frame_size` bytes beyond one read.
    """

    __slots__ = ("_held", "_pos", "max_frame_size")

    def __init__(self, max_frame_size: int) -> None:
        self.max_frame_size = max_frame_size
        self._held = b""
        self._pos = 0

    def feed(self, data: bytes) -> None:
        """Add bytes from the peer."""
        # Nearly always what came before was whole frames, and nothing is copied.
        rest = self._held[self._pos :]
        self._held = rest + data if rest else data
        self._pos = 0

    def header(self) -> bytes | None:
        """The eight bytes of a protocol header, or None while there are fewer."""
        if len(self._held) - self._pos < HEADER_SIZE:
            return None
        found = self._held[self._pos : self._pos + HEADER_SIZE]
        self._pos += HEADER_SIZE
        return found

    def next(self) -> tuple[int, int, bytes, int] | None:
        """`(kind, channel, frame, position of its body)` of the next frame, None until it is whole.

        Raises `AmqpError` (framing-error) for a size or offset that no frame can have.
        """
        held = self._held
        pos = self._pos
        present = len(held) - pos
        if present < HEADER_SIZE:
            return None
        size, offset, kind, channel = _head.unpack_from(held, pos)
        if size < HEADER_SIZE or size > self.max_frame_size:
            raise AmqpError(
                FRAMING_ERROR,
                f"A frame of {size} bytes; at least 8 and at most "
                f"{self.max_frame_size} are allowed.",
            )
        start = offset * 4
        if start < HEADER_SIZE or start > size:
            raise AmqpError(FRAMING_ERROR, "A frame's data offset is not valid.")
        if present < size:
            return None
        self._pos = pos + size
        return kind, channel, held[pos : pos + size], start
