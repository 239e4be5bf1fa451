"""Killed at any instant, a chain of forwarding loses no message and doubles none."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path

from orchestrator.clock import SystemClock
from orchestrator.localcloud.amqp import sections as s
from orchestrator.localcloud.servicebus.broker import Broker
from orchestrator.localcloud.servicebus.store.sqlite import SqliteStore
from tests.faults import test_broker_durability as durability

ROUNDS = 6
CHILD = Path(__file__).with_name("forwarding_child.py")


def numbers(broker: Broker, path: str) -> Counter[int]:
    queue = broker.find(None, path)
    assert queue is not None
    found: Counter[int] = Counter()
    start = 0
    while page := queue.peek(start, 250):
        for message in page:
            found[int(b"".join(s.data_of(s.split(message.payload).body)))] += 1
        start = page[-1].sequence + 1
    return found


async def forwarded(broker: Broker) -> None:
    """Wait until what was on its way has arrived."""
    for path in ("entry", "events/subscriptions/all"):
        counts = broker.counts("crash", path)
        while counts is None or counts.active:
            await asyncio.sleep(0.01)
            counts = broker.counts("crash", path)


async def test_forwarding_loses_and_doubles_nothing_when_killed(tmp_path: Path) -> None:
    path = tmp_path / "broker.sqlite"
    sent: set[int] = set()
    dice = random.Random(7)
    for number in range(ROUNDS):
        output = durability.run_and_kill(path, number, 0.05 + dice.random() * 0.3, CHILD)
        for line in output.splitlines():
            verb, _, word = line.partition(" ")
            assert verb in ("ready", "sent"), line
            if verb == "sent":
                sent.add(int(word))
        broker = Broker(SqliteStore(path), SystemClock())
        await broker.open()
        async with asyncio.timeout(30):
            await forwarded(broker)
        out, even = numbers(broker, "out"), numbers(broker, "events/subscriptions/even")
        assert sent <= out.keys(), "an acknowledged message is lost"
        assert set(out.values()) == {1}, "a message was doubled"
        assert even == Counter({one: 1 for one in out if one % 2 == 0})
        for name in ("entry", "events/subscriptions/all"):
            counts = broker.counts("crash", name)
            assert counts is not None
            assert counts.total == 0
        await broker.close()
    assert len(sent) > 300
