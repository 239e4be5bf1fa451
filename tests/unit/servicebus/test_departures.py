"""The note of messages that are gone: what is read back of it, in whatever state the file is."""

from __future__ import annotations

import stat
from pathlib import Path

from orchestrator.localcloud.servicebus.store.departures import Departures


def noted(path: Path, *keys: int) -> None:
    departures = Departures(path)
    departures.open()
    departures.clear()
    for key in keys:
        departures.note(key)
    departures.close()  # which writes nothing: as if the process were killed


def found(path: Path) -> list[int]:
    departures = Departures(path)
    try:
        return sorted(departures.open())
    finally:
        departures.close()


def test_what_was_noted_is_read_by_the_next_process(tmp_path: Path) -> None:
    path = tmp_path / "departed"
    noted(path, 7, (1 << 62) + 1)
    assert found(path) == [7, (1 << 62) + 1]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_oldest_are_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "departed"
    noted(path, *range(1, 10_001))
    kept = found(path)
    assert kept[-1] == 10_000
    assert kept == list(range(kept[0], 10_001))
    assert 1000 < len(kept) < 10_000


def test_nothing_is_left_of_it_once_it_is_cleared(tmp_path: Path) -> None:
    path = tmp_path / "departed"
    noted(path, 7)
    noted(path)
    assert found(path) == []


def test_a_file_that_was_cut_gives_what_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "departed"
    noted(path, 7, 8)
    path.write_bytes(path.read_bytes()[:13])
    assert found(path) == [7]


def test_what_cannot_be_noted_is_no_failure(tmp_path: Path) -> None:
    """The promise is weaker then; the message is gone all the same."""
    departures = Departures(tmp_path / "departed")
    departures.note(7)  # not open
    departures.open()
    departures.close()
    departures.close()
    departures.note(8)
    assert found(tmp_path / "departed") == []
