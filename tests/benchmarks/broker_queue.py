"""The queue engine alone, without AMQP: `python -m tests.benchmarks.broker_queue`.

Messages per second on each store with the CPU of all threads. Nothing is asserted.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from orchestrator.clock import SystemClock
from orchestrator.localcloud.servicebus.broker import Broker, durably
from orchestrator.localcloud.servicebus.model import (
    Done,
    IncomingMessage,
    LockedMessage,
    QueueProperties,
)
from orchestrator.localcloud.servicebus.queue import Queue
from orchestrator.localcloud.servicebus.store.contract import Store
from orchestrator.localcloud.servicebus.store.memory import MemoryStore
from orchestrator.localcloud.servicebus.store.sqlite import SqliteStore

SIZE = 200
COUNT = 20_000
ONE_BY_ONE = 1_000


async def open_queue(store: Store) -> tuple[Broker, Queue]:
    broker = Broker(store, SystemClock())
    await broker.open()
    await broker.put_namespace("bench")
    await broker.put_queue("bench", "q", QueueProperties())
    queue = broker.queue("bench", "q")
    assert queue is not None
    return broker, queue


def messages(count: int, number: int = 0) -> list[IncomingMessage]:
    return [
        IncomingMessage(os.urandom(SIZE), f"7f3a9c1e-0000-0000-0000-{number + n:012}")
        for n in range(count)
    ]


async def send(queue: Queue, batch: list[IncomingMessage]) -> None:
    await durably(lambda done: queue.send(batch, done))


async def complete(queue: Queue, lock: LockedMessage) -> None:
    queue.complete(lock.token)


async def in_flight(operations: Iterable[Callable[[Done], object]]) -> None:
    """Start all without waiting for one another, wait for all."""
    left = 1
    finished = asyncio.Event()

    def done(error: object) -> None:
        nonlocal left
        assert error is None
        left -= 1
        if not left:
            finished.set()

    for number, operation in enumerate(operations):
        left += 1
        operation(done)
        if number % 50 == 0:
            await asyncio.sleep(0)
    done(None)
    await finished.wait()


async def throughput(store: Store, name: str) -> None:
    broker, queue = await open_queue(store)

    async def send_one_by_one() -> None:
        for message in messages(ONE_BY_ONE):
            await send(queue, [message])

    async def send_in_flight() -> None:
        await in_flight(
            (lambda done, message=message: queue.send([message], done))  # type: ignore[misc]
            for message in messages(COUNT)
        )

    async def send_batches() -> None:
        for _ in range(COUNT // 100):
            await send(queue, messages(100))

    async def settle_one_by_one() -> None:
        for _ in range(ONE_BY_ONE):
            await complete(queue, queue.acquire(1)[0])

    async def settle_all() -> None:
        for _ in range(COUNT // 100):
            for lock in queue.acquire(100):
                queue.complete(lock.token)
            await asyncio.sleep(0)
        await broker.written()

    steps: list[tuple[str, int, Callable[[], Awaitable[None]]]] = [
        ("send one by one", ONE_BY_ONE, send_one_by_one),
        ("send in flight", COUNT, send_in_flight),
        ("send batches of 100", COUNT, send_batches),
        ("receive and complete one by one", ONE_BY_ONE, settle_one_by_one),
        ("receive and complete by hundreds", COUNT, settle_all),
    ]
    print(f"\n{name}, messages of {SIZE} bytes{'messages/s':>19}{'µs of CPU':>12}")
    for what, count, work in steps:
        began, cpu = time.perf_counter(), time.process_time()
        await work()
        rate = count / (time.perf_counter() - began)
        each = (time.process_time() - cpu) / count * 1e6
        print(f"  {what:40}{rate:12,.0f}{each:12.0f}")
    await broker.close()


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        await throughput(MemoryStore(), "memory store")
        await throughput(SqliteStore(Path(folder) / "broker.sqlite"), "SQLite store")


if __name__ == "__main__":
    asyncio.run(main())
