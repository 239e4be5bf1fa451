"""server.log: what the server says about itself, never a secret, never without end.

The file is the process's stderr, so that the interpreter's own last words land there, too. When it
grows too long its content moves to `server.log.1` and the file is cut; it is open for appending, so
that nobody's position has to follow.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import time
from pathlib import Path

MAX_BYTES = 5 * 1024 * 1024


class LogHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to stderr; cuts the file behind it when it is too long."""

    def __init__(self, path: Path | None) -> None:
        super().__init__(sys.stderr)
        self._path = path
        formatter = logging.Formatter(
            "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S"
        )
        formatter.converter = time.gmtime
        self.setFormatter(formatter)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; a log that cannot be written stops nobody."""
        super().emit(record)
        if self._path is None:
            return
        try:
            descriptor = sys.stderr.fileno()
            if os.fstat(descriptor).st_size > MAX_BYTES:
                shutil.copyfile(self._path, self._path.with_name(f"{self._path.name}.1"))
                os.ftruncate(descriptor, 0)
        except (OSError, ValueError):
            self._path = None

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """The disk may be full; the server goes on."""


def configure(path: Path | None, level: int = logging.INFO) -> None:
    """Send all logging to stderr; `path` is the file behind it, where there is one."""
    root = logging.getLogger()
    root.handlers[:] = [LogHandler(path)]
    root.setLevel(level)
    # Says which request was malformed, with its bytes: noise, and maybe a token.
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    logging.captureWarnings(True)
