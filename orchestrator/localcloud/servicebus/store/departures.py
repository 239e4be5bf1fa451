"""Which messages are gone and perhaps not yet deleted: a note beside the store's file.

A completion is acknowledged at once, and its deletion written with others a moment later: one
transaction for each would cost as much as everything else that is done for it. So that it is not
forgotten when the process is killed in between, the message's key is handed to the operating system
first. It is not forced to the disk: a power cut may bring the message back, as at-least-once
delivery allows.

The note is a ring of keys, 8 bytes each, in a file whose room is taken beforehand, so that a full
disk is no obstacle. What was overwritten or written in vain costs no more than the former promise:
a crash in that moment delivers the message again. A key may stand there long after the deletion; it
is never used again as long as the process lives, and the next one begins with an empty ring.
"""

from __future__ import annotations

import contextlib
import os
import struct
from io import FileIO
from pathlib import Path

_SIZE = 8
_ROOM = 4096  # keys: many times what is completed until it is deleted, too


class Departures:
    """See the module. `path`: the file, created readable by its owner only."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: FileIO | None = None
        self._next = 0

    def open(self) -> list[int]:
        """The keys that a former process noted, in any order. Raises OSError."""
        os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
        self._file = FileIO(self._path, "r+")
        found = self._file.readall()
        whole = len(found) // _SIZE
        return [key for key in struct.unpack(f"<{whole}q", found[: whole * _SIZE]) if key]

    def clear(self) -> None:
        """What was noted is dealt with. Raises OSError."""
        assert self._file is not None
        self._file.truncate(0)
        self._next = 0
        with contextlib.suppress(OSError):  # a full disk: then it may be that no key is noted
            self._write(bytes(_ROOM * _SIZE), 0)

    def note(self, key: int) -> None:
        """This message is gone."""
        with contextlib.suppress(OSError):
            self._write(struct.pack("<q", key), self._next * _SIZE)
        self._next = (self._next + 1) % _ROOM

    def close(self) -> None:
        """Let go of the file. Idempotent."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _write(self, content: bytes, at: int) -> None:
        if self._file is not None:
            self._file.seek(at)
            self._file.write(content)
