"""A process that sends into a chain of queues and topics until it is killed.

Run as `python forwarding_child.py DATABASE ROUND`. Lines, each written at once: `ready`, and `sent
NUMBER` for each message whose send was acknowledged.

    entry (queue) -> events (topic) -> all (subscription) -> out (queue)
                                    -> even (subscription: n % 2 = 0)
"""

from __future__ import annotations

import asyncio
import os
import sys
from functools import partial
from pathlib import Path

from orchestrator.clock import SystemClock
from orchestrator.localcloud.amqp import sections as s
from orchestrator.localcloud.servicebus.broker import Broker
from orchestrator.localcloud.servicebus.errors import BrokerError
from orchestrator.localcloud.servicebus.front.messages import read
from orchestrator.localcloud.servicebus.model import QueueProperties
from orchestrator.localcloud.servicebus.store.sqlite import SqliteStore
from orchestrator.localcloud.servicebus.topics.definitions import (
    SubscriptionProperties,
    TopicProperties,
)
from orchestrator.localcloud.servicebus.topics.rules import Rule, SqlFilter


def say(*words: object) -> None:
    """One write, so that a kill leaves whole lines or nothing."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def told(numbers: list[int], error: BrokerError | None) -> None:
    for number in numbers:
        say("sent" if error is None else f"error {error}", number)


def encoded(number: int) -> bytes:
    return (
        s.section(s.PROPERTIES, [str(number)])
        + s.section(s.APPLICATION_PROPERTIES, {"n": number})
        + s.section(s.DATA, str(number).encode())
    )


async def main(path: Path, round_: int) -> None:
    clock = SystemClock()
    broker = Broker(SqliteStore(path), clock)
    await broker.open()
    if not broker.namespaces():
        await broker.put_namespace("crash")
        await broker.put_queue("crash", "out", QueueProperties())
        await broker.put_topic("crash", "events", TopicProperties())
        forwarding = SubscriptionProperties(forward_to="out")
        await broker.put_subscription("crash", "events", "all", forwarding)
        even = Rule("even", SqlFilter("n % 2 = 0"))
        await broker.put_subscription("crash", "events", "even", SubscriptionProperties(), even)
        await broker.put_queue("crash", "entry", QueueProperties(forward_to="events"))
    entry = broker.queue("crash", "entry")
    assert entry is not None
    say("ready")
    number = round_ * 1_000_000
    while True:
        numbers = list(range(number, number + 1 + number % 7))
        number += len(numbers)
        messages = [read(encoded(one), clock.time()) for one in numbers]
        entry.send(messages, partial(told, numbers))
        await asyncio.sleep(0.002)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
