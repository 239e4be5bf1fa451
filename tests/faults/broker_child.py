"""A process that works a broker until it is killed; what was acknowledged goes to stdout.

Run as `python broker_child.py DATABASE ROUND`. Lines, each written and flushed before anything
else happens: `sent ID SEQUENCE`, `completed ID`, `abandoned ID COUNT`, `dead ID`, `deferred ID`,
`scheduled ID`, `ready`; `completing ID` before a completion is asked for.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from functools import partial
from pathlib import Path

from orchestrator.clock import SystemClock
from orchestrator.localcloud.servicebus.broker import Broker
from orchestrator.localcloud.servicebus.errors import BrokerError
from orchestrator.localcloud.servicebus.model import (
    IncomingMessage,
    LockedMessage,
    QueueProperties,
)
from orchestrator.localcloud.servicebus.queue import Queue
from orchestrator.localcloud.servicebus.store.sqlite import SqliteStore


def say(*words: object) -> None:
    """One write, so that a kill leaves whole lines or nothing."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def told(line: tuple[object, ...], error: BrokerError | None) -> None:
    if error is None:
        say(*line)
    else:
        say("error", error)


async def send(queue: Queue, name: str, dice: random.Random) -> None:
    number = 0
    while True:
        ids = [f"{name}-{number + offset}" for offset in range(dice.choice([1, 1, 3, 20]))]
        number += len(ids)
        # The numbers are known when `send` returns, which is before it is durable.
        numbered: dict[str, int] = {}
        batch = [IncomingMessage(id_.encode().ljust(200), id_) for id_ in ids]
        sequences = queue.send(batch, partial(say_sent, numbered))
        numbered.update(zip(ids, sequences, strict=True))
        await asyncio.sleep(dice.random() * 0.004)


def say_sent(numbered: dict[str, int], error: BrokerError | None) -> None:
    for id_, sequence in numbered.items():
        told(("sent", id_, sequence), error)


async def schedule(queue: Queue, name: str, clock: SystemClock) -> None:
    number = 0
    while True:
        at = clock.time() + 3600
        message = IncomingMessage(f"{name}-{number}".encode(), f"{name}-{number}", scheduled_at=at)
        queue.send([message], partial(told, ("scheduled", message.message_id)))
        number += 1
        await asyncio.sleep(0.003)


async def settle(queue: Queue, dice: random.Random) -> None:
    while True:
        for lock in queue.acquire(dice.randrange(1, 8)):
            name = text(lock)
            choice = dice.random()
            if choice < 0.6:
                say("completing", name)
                queue.complete(lock.token)
                say("completed", name)
            elif choice < 0.75:
                count = lock.message.delivery_count + 1
                queue.abandon(lock.token, partial(told, ("abandoned", name, count)))
            elif choice < 0.85:
                queue.dead_letter_message(lock.token, partial(told, ("dead", name)), "why")
            elif choice < 0.9:
                queue.defer(lock.token, partial(told, ("deferred", name)))
        await asyncio.sleep(dice.random() * 0.003)


def text(lock: LockedMessage) -> str:
    return lock.message.payload.decode().strip()


async def main(path: Path, round_: int) -> None:
    dice = random.Random(round_)
    clock = SystemClock()
    broker = Broker(SqliteStore(path), clock)
    await broker.open()
    await broker.put_namespace("crash")
    properties = QueueProperties(requires_duplicate_detection=True, max_delivery_count=5)
    await broker.put_queue("crash", "q", properties)
    queue = broker.queue("crash", "q")
    assert queue is not None
    say("ready")
    await asyncio.gather(
        send(queue, f"a{round_}", dice),
        send(queue, f"b{round_}", dice),
        schedule(queue, f"s{round_}", clock),
        settle(queue, dice),
    )


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
