"""What 100,000 waiting messages change: `python -m tests.benchmarks.broker_depth`.

The latency of every operation on a deep queue beside the same on an empty one, in turns on one
broker with the SQLite store; and the memory that a waiting message takes. Nothing is asserted.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable
from pathlib import Path

from orchestrator.clock import ManualClock
from orchestrator.localcloud.servicebus.broker import Broker, durably
from orchestrator.localcloud.servicebus.model import IncomingMessage, QueueProperties
from orchestrator.localcloud.servicebus.queue import Queue
from orchestrator.localcloud.servicebus.store.sqlite import SqliteStore
from tests.benchmarks.measuring import Row, ended, python, table

DEPTH = 100_000
SIZE = 200
TIMES = 200


class Timed:
    """Operations on one queue; each takes what it has made away again."""

    def __init__(self, broker: Broker, queue: Queue, clock: ManualClock) -> None:
        self.broker = broker
        self.queue = queue
        self.clock = clock
        self.seconds: dict[str, list[float]] = {}

    async def time(self, what: str, work: Awaitable[object]) -> None:
        began = time.perf_counter()
        await work
        self.seconds.setdefault(what, []).append(time.perf_counter() - began)

    async def send(self, **fields: float) -> list[int]:
        message = IncomingMessage(os.urandom(SIZE), **fields)  # type: ignore[arg-type]
        return await durably(lambda done: self.queue.send([message], done))

    async def receive(self) -> None:
        (lock,) = self.queue.acquire(1)
        self.queue.complete(lock.token)

    async def abandon(self) -> None:
        (lock,) = self.queue.acquire(1)
        await durably(lambda done: self.queue.abandon(lock.token, done))

    async def defer(self) -> int:
        (lock,) = self.queue.acquire(1)
        await durably(lambda done: self.queue.defer(lock.token, done))
        return lock.message.sequence

    async def receive_deferred(self, sequence: int) -> None:
        (lock,) = self.queue.acquire_deferred([sequence])
        self.queue.complete(lock.token)

    async def dead_letter(self) -> None:
        (lock,) = self.queue.acquire(1)
        await durably(lambda done: self.queue.dead_letter_message(lock.token, done, "why"))

    async def cancel(self, sequence: int) -> None:
        await durably(lambda done: self.queue.cancel_scheduled([sequence], done))

    async def expire(self) -> None:
        await self.clock.advance(2.0)

    async def peek(self) -> None:
        counts = self.queue.counts()
        self.queue.peek(counts.active // 2, 1)

    async def count(self) -> None:
        self.queue.counts()

    async def once(self) -> None:
        """Every operation once."""
        await self.time("send", self.send())
        await self.time("receive and complete", self.receive())
        await self.send()
        await self.time("receive and abandon", self.abandon())
        await self.time("receive and dead-letter", self.dead_letter())
        await self.send()
        sequence = await self.defer()
        await self.time("receive deferred and complete", self.receive_deferred(sequence))
        (scheduled,) = await self.send(scheduled_at=self.clock.time() + 3600.0)
        await self.time("cancel a scheduled one", self.cancel(scheduled))
        for _ in range(10):
            await self.send(ttl=1.0)
        await self.time("10 messages expire", self.expire())
        await self.time("peek in the middle", self.peek())
        await self.time("count", self.count())


async def measure(folder: Path, depth: int, times: int) -> list[Row]:
    clock = ManualClock(time.time())
    broker = Broker(SqliteStore(folder / "broker.sqlite"), clock)
    await broker.open()
    await broker.put_namespace("bench")
    queues = []
    for name in ("empty", "deep"):
        await broker.put_queue(
            "bench", name, QueueProperties(lock_duration=300.0, max_delivery_count=2000)
        )
        queue = broker.queue("bench", name)
        assert queue is not None
        queues.append(Timed(broker, queue, clock))
    empty, deep = queues
    for _ in range(depth // 1000):
        batch = [IncomingMessage(os.urandom(SIZE)) for _ in range(1000)]
        await durably(lambda done, batch=batch: deep.queue.send(batch, done))  # type: ignore[misc]
    for _ in range(times):
        for queue in queues:
            await queue.once()
    await broker.close()
    return [
        Row(
            f"{what}, {depth:,} messages waiting",
            statistics.median(seconds) * 1e6,
            "µs",
            "in an empty queue",
            statistics.median(empty.seconds[what]) * 1e6,
            "~ 1",
        )
        for what, seconds in deep.seconds.items()
    ]


# A process of its own: what its memory grows by, from the first of these messages to the last.
MEMORY = """
import asyncio, gc, os, sys
from pathlib import Path
import psutil
from orchestrator.clock import SystemClock
from orchestrator.localcloud.servicebus.broker import Broker, durably
from orchestrator.localcloud.servicebus.model import IncomingMessage, QueueProperties
from orchestrator.localcloud.servicebus.store.sqlite import SqliteStore

COUNT, SIZE = int(os.environ["COUNT"]), int(os.environ["SIZE"])
PROPERTIES = QueueProperties(requires_duplicate_detection=bool(os.environ["DUPLICATES"]))

async def send(queue, count):
    for _ in range(count // 100):
        batch = [IncomingMessage(os.urandom(SIZE), os.urandom(16).hex()) for _ in range(100)]
        await durably(lambda done: queue.send(batch, done))

def resident():
    gc.collect()
    return psutil.Process().memory_info().rss

async def main():
    broker = Broker(SqliteStore(Path(os.environ["FOLDER"]) / "broker.sqlite"), SystemClock())
    before_all = resident()
    await broker.open()
    queue = broker.queue("bench", "q")
    if queue is not None:
        print((resident() - before_all) / queue.counts().active)
        return
    await broker.put_namespace("bench")
    await broker.put_queue("bench", "warm", PROPERTIES)
    await send(broker.queue("bench", "warm"), 5000)
    await broker.put_queue("bench", "q", PROPERTIES)
    before = resident()
    await send(broker.queue("bench", "q"), COUNT)
    await broker.written()
    print((resident() - before) / COUNT)
    await broker.delete_queue("bench", "warm")
    await broker.close()

asyncio.run(main())
"""


def memory(size: int, *, duplicates: bool = False, count: int = DEPTH) -> list[Row]:
    """Bytes of resident memory for each message that waits: after it came, and after a restart.
    duplicates: in a queue that detects them, which keeps each message's id for its window."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        told = {"COUNT": str(count), "SIZE": str(size), "FOLDER": folder}
        told["DUPLICATES"] = "yes" if duplicates else ""
        kind = ", duplicate detection" if duplicates else ""
        for what in ("", ", after a restart"):
            _, said = ended(python(MEMORY), cwd=Path.cwd(), env=os.environ | told)
            rows.append(
                Row(
                    f"memory of a waiting message of {size:,} bytes{kind}{what}",
                    float(said),
                    "bytes",
                    "2 × its size + 300",
                    2.0 * size + 300,
                    "< 1",
                )
            )
    return rows


def rows(depth: int = DEPTH, times: int = TIMES) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        latencies = asyncio.run(measure(Path(folder), depth, times))
    return [
        *latencies,
        *(row for size in (100, 200, 1000) for row in memory(size)),
        *memory(200, duplicates=True),
    ]


def main() -> None:
    print(table(rows()))


if __name__ == "__main__":
    main()
