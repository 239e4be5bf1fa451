"""Memory that messages have left goes back to the operating system.

The C library of Linux (glibc) keeps what was freed among what is in use: after a queue of a
gigabyte was emptied the process stayed at a gigabyte until its end, with 60 MB in use.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import cache

ENOUGH = 32 * 1024 * 1024
"""Bytes of messages gone that are worth the going through of the whole heap."""
QUIET = 1.0
"""Seconds without more going, after which it is gone through."""
PATIENCE = 10
"""How many of them are waited for at most."""


class FreedMemory:
    """Counts what goes and has it given back. For the event loop's thread.

    later: run a callable after so many seconds of the machine's time.
    """

    __slots__ = ("_bytes", "_due", "_later", "_seen", "_waited")

    def __init__(self, later: Callable[[float, Callable[[], None]], object]) -> None:
        self._later = later
        self._bytes = 0
        self._seen = 0
        self._waited = 0
        self._due = False

    def gone(self, size: int) -> None:
        """A message of so many bytes is no more."""
        self._bytes += size
        if self._bytes > ENOUGH and not self._due:
            self._due = True
            self._waited = 0
            self._wait()

    def _wait(self) -> None:
        self._seen = self._bytes
        self._later(QUIET, self._look)

    def _look(self) -> None:
        self._waited += 1
        if self._bytes > self._seen and self._waited < PATIENCE:
            self._wait()
            return
        self._due = False
        self._bytes = 0
        asyncio.get_running_loop().run_in_executor(None, trim)


def trim() -> None:
    """Give back what is free in the heap, where the C library can be told to; never raises."""
    function = _malloc_trim()
    if function is not None:
        function(0)


@cache
def _malloc_trim() -> Callable[[int], object] | None:
    import ctypes

    try:
        found: Callable[[int], object] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # not glibc
        return None
    return found
