"""Where a deployment script's files lie, in the state folder, by the names that Azure has."""

from __future__ import annotations

import contextlib
import shutil
from collections import deque
from pathlib import Path

FOLDER = "deployment-scripts"
LOG = "log.txt"
LOG_SIZE = 4 * 1024 * 1024
"""Bytes of a log that are kept, the newest ("container instance log capacity")."""


class ScriptFolder:
    """The folder of one run of a script.

    Args:
        state: The local cloud's state folder.
        run: The run's own name.
    """

    def __init__(self, state: Path, run: str) -> None:
        self.path = state / FOLDER / run
        self.input = self.path / "azscriptinput"
        self.output = self.path / "azscriptoutput"
        self.log = self.path / LOG

    def make(self) -> None:
        """Make it. Raises OSError."""
        self.input.mkdir(parents=True, exist_ok=True)
        self.output.mkdir(parents=True, exist_ok=True)

    def clean(self) -> None:
        """Remove all of it but the log."""
        for path in self.path.iterdir() if self.path.is_dir() else ():
            if path != self.log:
                shutil.rmtree(path, ignore_errors=True)

    def remove(self) -> None:
        """Remove all of it."""
        shutil.rmtree(self.path, ignore_errors=True)

    def text(self, tail: int | None = None) -> str:
        """The log so far; with `tail` its last lines."""
        try:
            text = self.log.read_bytes()[-LOG_SIZE:].decode("utf-8", "replace")
        except OSError:
            return ""
        if tail is None:
            return text
        return "".join(text.splitlines(keepends=True)[-tail:])


class Log:
    """Takes a script's lines (an `Output` of the runtime): to its log, and the last errors aside.

    A log that cannot be written any more loses lines; the script goes on.
    """

    def __init__(self, folder: ScriptFolder) -> None:
        self._file = folder.log.open("ab")
        self._size = self._file.tell()
        self.errors: deque[str] = deque(maxlen=40)

    def line(self, stream: str, text: str) -> None:
        """Take one line."""
        if stream == "stderr" and text.strip():
            self.errors.append(text)
        data = f"{text}\n".encode("utf-8", "replace")
        with contextlib.suppress(OSError, ValueError):
            self._file.write(data)
            self._file.flush()
            self._size += len(data)
            if self._size > 2 * LOG_SIZE:
                self._shorten()

    def _shorten(self) -> None:
        path = Path(self._file.name)
        kept = path.read_bytes()[-LOG_SIZE:]
        self._file.close()
        path.write_bytes(kept)
        self._file = path.open("ab")
        self._size = len(kept)

    def behind(self) -> bool:
        """Whether the script must wait: never."""
        return False

    async def ready(self) -> None:
        """At once."""

    def used(self, size: int, nano_cores: float | None) -> None:
        """Nobody measures scripts."""

    def close(self) -> None:
        """Nothing comes any more."""
        self._file.close()
