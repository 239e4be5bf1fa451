"""A server looks after its state folder, and notices when it is taken away."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.clock import ManualClock
from orchestrator.localcloud import state_watch
from orchestrator.localcloud.state import StateFolder, make_folder
from orchestrator.localcloud.state_watch import StateWatch

CONNECTION: dict[str, Any] = {"pid": 1, "resource_manager": "https://127.0.0.1:1"}


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    made = StateFolder(tmp_path / "state")
    made.acquire()
    made.publish(CONNECTION)
    return made


class Watched:
    """A watch that runs, in a time that is moved by hand."""

    def __init__(self, folder: StateFolder) -> None:
        self.clock = ManualClock()
        self.end = asyncio.ensure_future(StateWatch(folder, CONNECTION, self.clock).until_lost())

    async def look(self) -> None:
        await self.clock.advance(state_watch.INTERVAL)


async def test_nothing_happens_while_all_is_in_place(
    folder: StateFolder, caplog: pytest.LogCaptureFixture
) -> None:
    watched = Watched(folder)
    before = folder.file("cloud.json").stat().st_mtime_ns
    for _ in range(5):
        await watched.look()
    assert not watched.end.done()
    assert folder.file("cloud.json").stat().st_mtime_ns == before
    assert caplog.records == []
    watched.end.cancel()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.unlink(),
        lambda path: path.write_text("{"),
        lambda path: path.write_text('{"pid": 2}'),
    ],
)
async def test_a_connection_file_that_is_not_ours_is_written_again(
    folder: StateFolder, caplog: pytest.LogCaptureFixture, spoil: Callable[[Path], None]
) -> None:
    watched = Watched(folder)
    spoil(folder.file("cloud.json"))
    await watched.look()
    assert folder.connection() == CONNECTION
    assert not watched.end.done()
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    watched.end.cancel()


async def test_the_record_of_the_process_is_written_again(folder: StateFolder) -> None:
    watched = Watched(folder)
    before = folder.holder()
    assert before is not None
    folder.file("server.json").unlink()
    await watched.look()
    assert (folder.holder() or {})["pid"] == before["pid"]
    watched.end.cancel()


async def test_a_disk_that_refuses_is_said_once_and_tried_again(
    folder: StateFolder, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object) -> None:
        raise OSError(28, "No space left on device")

    watched = Watched(folder)
    folder.file("cloud.json").unlink()
    with monkeypatch.context() as patched:
        patched.setattr(folder, "publish", full)
        for _ in range(3):
            await watched.look()
    assert len(caplog.records) == 1
    assert not watched.end.done()
    await watched.look()
    assert folder.connection() == CONNECTION
    watched.end.cancel()


def remove(path: Path) -> None:
    shutil.rmtree(path)


def move(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))


def replace(path: Path) -> None:
    move(path)
    make_folder(path)
    (path / "lock").touch()


def give_to_another(path: Path) -> None:
    move(path)
    other = StateFolder(path)
    other.acquire()
    other.publish({"pid": 7})


def unlock(path: Path) -> None:
    (path / "lock").unlink()


def cover(path: Path) -> None:
    move(path)
    path.write_text("a file now")


@pytest.mark.parametrize(
    ("take", "said"),
    [
        (remove, "was removed or moved"),
        (move, "was removed or moved"),
        (replace, "was replaced"),
        (give_to_another, "was replaced"),
        (unlock, "lock was removed"),
        (cover, "was removed or moved"),
    ],
)
async def test_a_folder_that_is_taken_away_is_noticed_and_left_alone(
    folder: StateFolder, take: Callable[[Path], None], said: str
) -> None:
    watched = Watched(folder)
    await watched.look()
    take(folder.path)
    there = _content(folder.path)
    await watched.look()
    assert watched.end.done()
    assert said in watched.end.result()
    assert str(folder.path) in watched.end.result()
    folder.withdraw()
    folder.release()
    assert _content(folder.path) == there, "what is there now is not ours"


def _content(path: Path) -> dict[str, bytes]:
    return {item.name: item.read_bytes() for item in path.iterdir()} if path.is_dir() else {}
