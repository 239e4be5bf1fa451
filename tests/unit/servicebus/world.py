"""A broker with one namespace and one queue, under a clock that stands still."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.clock import ManualClock
from orchestrator.localcloud.servicebus.broker import Broker, durably
from orchestrator.localcloud.servicebus.limits import STRICT, Limits
from orchestrator.localcloud.servicebus.model import (
    IncomingMessage,
    LockedMessage,
    QueueProperties,
    StoredMessage,
)
from orchestrator.localcloud.servicebus.queue import Queue
from orchestrator.localcloud.servicebus.store.contract import Store
from orchestrator.localcloud.servicebus.store.memory import MemoryStore
from orchestrator.localcloud.servicebus.store.sqlite import SqliteStore

NAMESPACE = "fibonacci"


@dataclass
class World:
    """Everything a test of a queue needs; `reopen` is a restart of the process."""

    clock: ManualClock
    store: Store
    reopen_store: Callable[[], Store]
    limits: Limits = STRICT

    async def start(self) -> World:
        self.broker = Broker(self.store, self.clock, limits=self.limits)
        await self.broker.open()
        await self.broker.put_namespace(NAMESPACE)
        return self

    async def queue(self, name: str = "q", **properties: object) -> Queue:
        await self.broker.put_queue(NAMESPACE, name, QueueProperties(**properties))  # type: ignore[arg-type]
        queue = self.broker.queue(NAMESPACE, name)
        assert queue is not None
        return queue

    async def restart(self) -> None:
        """Close, open what the store kept."""
        await self.broker.close()
        self.store = self.reopen_store()
        self.broker = Broker(self.store, self.clock, limits=self.limits)
        await self.broker.open()

    def again(self, queue: Queue) -> Queue:
        """The same queue after a restart."""
        found = self.broker.find(None, queue.path)
        assert found is not None
        return found

    async def settled(self) -> None:
        """Everything given to the store so far is dealt with, and what follows from it too."""
        for _ in range(3):
            await durably(self.store.barrier)
            await asyncio.sleep(0)

    async def pass_time(self, seconds: float) -> None:
        await self.clock.advance(seconds)
        await self.settled()


def world_of(kind: str, folder: Path) -> World:
    clock = ManualClock()
    if kind == "memory":
        memory = MemoryStore()
        return World(clock, memory, lambda: memory)
    path = folder / "broker.sqlite"
    return World(clock, SqliteStore(path), lambda: SqliteStore(path))


async def send(queue: Queue, *texts: str, **fields: object) -> list[int]:
    """Send one message per text, in one go; the text is payload and message id."""
    messages = [
        IncomingMessage(text.encode(), **{"message_id": text, **fields})  # type: ignore[arg-type]
        for text in texts
    ]
    return await durably(lambda done: queue.send(messages, done))


async def complete(queue: Queue, lock: LockedMessage) -> None:
    queue.complete(lock.token)
    await asyncio.sleep(0)


async def abandon(queue: Queue, lock: LockedMessage, modified: bytes | None = None) -> None:
    await durably(lambda done: queue.abandon(lock.token, done, modified))


async def defer(queue: Queue, lock: LockedMessage) -> None:
    await durably(lambda done: queue.defer(lock.token, done))


async def dead_letter(
    queue: Queue,
    lock: LockedMessage,
    reason: str | None = None,
    description: str | None = None,
    modified: bytes | None = None,
) -> None:
    await durably(
        lambda done: queue.dead_letter_message(lock.token, done, reason, description, modified)
    )


async def take(queue: Queue, count: int) -> list[StoredMessage]:
    got: list[StoredMessage] = []
    finished = asyncio.get_running_loop().create_future()

    def taken(messages: Sequence[StoredMessage], error: object) -> None:
        got.extend(messages)
        finished.set_result(error)

    if queue.take(count, taken):
        error = await finished
        if error is not None:
            raise error
    return got


def texts(messages: Sequence[StoredMessage | LockedMessage]) -> list[str]:
    plain = [m.message if isinstance(m, LockedMessage) else m for m in messages]
    return [message.payload.decode() for message in plain]
