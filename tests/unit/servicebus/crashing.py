"""Crashes that lose whatever was not committed, under a test's control.

A `HeldStore` stands before a real store and lets a commit through only when told to, so that a test
chooses the instant of a crash between any two commits, and between a commit and the news of it. A
`Disk` is what such a crash leaves: rows in memory, or an SQLite file with its write-ahead log,
copied while the process that wrote it still has them open.
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any, Protocol

from orchestrator.localcloud.servicebus.broker import durably
from orchestrator.localcloud.servicebus.errors import BrokerError, StoreFull
from orchestrator.localcloud.servicebus.model import Done
from orchestrator.localcloud.servicebus.store.contract import Change, Contents, Store
from orchestrator.localcloud.servicebus.store.memory import MemoryStore
from orchestrator.localcloud.servicebus.store.sqlite import SqliteStore


class Disk(Protocol):
    """Where a process's store lies."""

    def store(self) -> Store:
        """For a process that begins."""
        ...

    def crash(self) -> None:
        """Its process is gone: the next one finds what is there at this moment."""
        ...


class MemoryDisk:
    """Rows that outlive the process that committed them."""

    def __init__(self) -> None:
        self._store = MemoryStore()

    def store(self) -> Store:
        return self._store

    def crash(self) -> None:
        before, self._store = self._store, MemoryStore()
        for rows in ("_messages", "_states", "_history", "_last", "_definitions"):
            setattr(self._store, rows, dict(getattr(before, rows)))
        self._store._departed = set(before._departed)


class FileDisk:
    """A database file and its log, moved by a crash to a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._crashes = 0

    @property
    def _path(self) -> Path:
        return self._folder / str(self._crashes) / "broker.sqlite"

    def store(self) -> Store:
        self._path.parent.mkdir(exist_ok=True)
        return SqliteStore(self._path)

    def crash(self) -> None:
        before = self._path
        self._crashes += 1
        self._path.parent.mkdir()
        # Not the shared memory file: what it holds died with the process.
        for suffix in ("", "-wal", "-departed"):
            file = before.with_name(before.name + suffix)
            if file.exists():
                shutil.copyfile(file, self._path.with_name(file.name))


class HeldStore:
    """A store that commits when it is told to; see the module.

    waiting: what it was given and has not committed. refusals: how many of the next changes there
    shall be no room for.
    """

    def __init__(self, inner: Store) -> None:
        self._inner = inner
        self._dead = False
        self.waiting: list[tuple[Change | None, Done | None]] = []
        self.refusals = 0

    async def open(self) -> Contents:
        return await self._inner.open()

    def commit(self, change: Change, done: Done | None, *, patience: float = 0.0) -> None:
        if not self._dead:
            self.waiting.append((change, done))

    def depart(self, key: int) -> None:
        if not self._dead:
            self._inner.depart(key)

    def barrier(self, done: Done) -> None:
        if not self._dead:
            self.waiting.append((None, done))

    async def close(self) -> None:
        await self.write(len(self.waiting))
        await self._inner.close()

    async def write(self, count: int) -> None:
        """Commit the first so many and tell those who wait for them."""
        group, self.waiting = self.waiting[:count], self.waiting[count:]
        for change, done in group:
            if change is not None and self.refusals:
                self.refusals -= 1
                self._inner.barrier(_refused(done))
            elif change is not None:
                self._inner.commit(change, done)
            elif done is not None:
                self._inner.barrier(done)
        await durably(self._inner.barrier)

    async def crash(self, count: int) -> None:
        """The end of the process: it has committed so many more and could tell nobody."""
        self._dead = True
        for change, _ in self.waiting[:count]:
            if change is not None:
                self._inner.commit(change, None)
        await durably(self._inner.barrier)

    async def let_go(self) -> None:
        """What the dead process had open is closed, as its system does it."""
        await self._inner.close()


def _refused(done: Done | None) -> Done:
    def refused(_: BrokerError | None) -> None:
        if done is not None:
            done(StoreFull("no room"))

    return refused


class TestLoop(asyncio.SelectorEventLoop):
    """A loop whose time stands still until `pass_time`: the pace of the machine decides nothing."""

    __test__ = False
    _passed = 0.0

    def time(self) -> float:
        return self._passed

    def pass_time(self, seconds: float) -> None:
        self._passed += seconds

    def end(self) -> None:
        """Cancel all tasks and close."""
        tasks = asyncio.all_tasks(self)
        for task in tasks:
            task.cancel()
        if tasks:

            async def ended() -> list[Any]:
                return await asyncio.gather(*tasks, return_exceptions=True)

            self.run_until_complete(ended())
        self.close()
