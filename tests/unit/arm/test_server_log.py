"""server.log does not grow without end and stops nobody."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import pytest

from orchestrator.localcloud import server_log


class Behind:
    """A stderr whose file is `path`, as the server's is."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)

    def write(self, text: str) -> int:
        return os.write(self._descriptor, text.encode())

    def flush(self) -> None: ...

    def fileno(self) -> int:
        return self._descriptor

    def close(self) -> None:
        os.close(self._descriptor)


def test_a_long_log_moves_aside_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_log, "MAX_BYTES", 1000)
    path = tmp_path / "server.log"
    behind = Behind(path)
    monkeypatch.setattr(sys, "stderr", behind)
    handler = server_log.LogHandler(path)
    try:
        for number in range(100):
            handler.emit(logging.makeLogRecord({"msg": f"line {number:03}", "levelname": "INFO"}))
        assert path.stat().st_size <= 1100
        last = path.read_text() or (tmp_path / "server.log.1").read_text()
        assert "line 099" in last
        assert not last.startswith("\x00")
        assert (tmp_path / "server.log.1").stat().st_size <= 1100
    finally:
        behind.close()


def test_a_log_that_cannot_be_written_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "server.log"
    behind = Behind(path)
    behind.close()
    monkeypatch.setattr(sys, "stderr", behind)
    server_log.LogHandler(path).emit(logging.makeLogRecord({"msg": "lost"}))
