"""Bytes of a container's output to lines.

A line longer than 16 KiB is cut into pieces of that size, as containerd cuts the lines of the
containers on Azure (`max_container_log_line_size`, default 16,384 bytes); no byte is dropped.
What is not UTF-8 becomes U+FFFD. A carriage return before the line feed belongs to the line end.
"""

from __future__ import annotations

from collections.abc import Callable

PIECE = 16 * 1024
"""Bytes of the longest line."""


class LineSplitter:
    """Splits one stream into lines.

    Args:
        line: Takes each line, without its end.
    """

    def __init__(self, line: Callable[[str], None]) -> None:
        self._line = line
        self._rest = bytearray()

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        head, newline, tail = data.rpartition(b"\n")
        if newline:
            whole = bytes(self._rest) + head
            self._rest.clear()
            self._give(whole)
        self._rest += tail
        while len(self._rest) > PIECE:
            cut = _boundary(self._rest, PIECE)
            self._line(self._rest[:cut].decode("utf-8", "replace"))
            del self._rest[:cut]

    def close(self) -> None:
        """The stream has ended: a last line without a line end counts too."""
        if self._rest:
            self._give(bytes(self._rest))
            self._rest.clear()

    def _give(self, whole: bytes) -> None:
        line = self._line
        for raw in whole.split(b"\n"):
            text = raw.removesuffix(b"\r")
            while len(text) > PIECE:
                cut = _boundary(text, PIECE)
                line(text[:cut].decode("utf-8", "replace"))
                text = text[cut:]
            line(text.decode("utf-8", "replace"))


def _boundary(data: bytes | bytearray, at: int) -> int:
    """The last place at or before `at` that does not cut a character in two."""
    for back in range(4):
        # A byte 10xxxxxx goes on with a character; any other begins one.
        if data[at - back] & 0xC0 != 0x80:
            return at - back
    return at
