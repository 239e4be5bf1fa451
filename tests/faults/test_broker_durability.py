"""The broker's process is killed at random instants; what it acknowledged must all be there.

Each round a fresh process opens the same file, sends, schedules, completes, abandons, defers and
dead-letters as fast as it can, says what was acknowledged, and dies by SIGKILL (on Windows
TerminateProcess) without warning. Then the file is opened here and compared.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.clock import ManualClock, SystemClock
from orchestrator.localcloud.servicebus.broker import Broker, durably
from orchestrator.localcloud.servicebus.model import IncomingMessage, MessageState, StoredMessage
from orchestrator.localcloud.servicebus.queue import Queue
from orchestrator.localcloud.servicebus.store.sqlite import SqliteStore

ROUNDS = 12
CHILD = Path(__file__).with_name("broker_child.py")


@dataclass
class Acknowledged:
    """What the child was told, over all rounds."""

    sent: dict[str, int] = field(default_factory=dict)
    completing: set[str] = field(default_factory=set)
    completed: set[str] = field(default_factory=set)
    abandoned: dict[str, int] = field(default_factory=dict)
    dead: set[str] = field(default_factory=set)
    deferred: set[str] = field(default_factory=set)
    scheduled: set[str] = field(default_factory=set)

    def read(self, output: str) -> None:
        """Take in a child's lines."""
        for line in output.splitlines():
            verb, *words = line.split(" ")
            if verb == "sent":
                self.sent[words[0]] = int(words[1])
            elif verb == "completed":
                assert words[0] not in self.completed, f"{words[0]} was completed twice"
                self.completed.add(words[0])
            elif verb == "abandoned":
                self.abandoned[words[0]] = int(words[1])
            elif verb in ("completing", "dead", "deferred", "scheduled"):
                getattr(self, verb).add(words[0])
            else:
                assert verb == "ready", line


def run_and_kill(path: Path, number: int, seconds: float, program: Path = CHILD) -> str:
    """What the child said before its death, `seconds` after it was ready."""
    said, complained = path.with_name(f"said-{number}"), path.with_name(f"complained-{number}")
    with said.open("wb") as output, complained.open("wb") as errors:
        child = subprocess.Popen(
            [sys.executable, str(program), str(path), str(number)], stdout=output, stderr=errors
        )
        try:
            while b"ready\n" not in said.read_bytes():
                assert child.poll() is None, complained.read_text()
                time.sleep(0.01)
            time.sleep(seconds)
        finally:
            child.kill()
            child.wait(timeout=60)
    assert complained.read_text() == ""
    lines = said.read_text()
    assert lines.endswith("\n"), "a line was cut, although it was written at once"
    return lines


def everything(queue: Queue) -> dict[str, StoredMessage]:
    found: dict[str, StoredMessage] = {}
    start = 0
    while page := queue.peek(start, 250):
        for message in page:
            name = message.payload.decode().strip()
            assert name not in found, f"{name} is there twice"
            found[name] = message
        start = page[-1].sequence + 1
    return found


async def test_what_was_acknowledged_survives_a_kill_at_any_instant(tmp_path: Path) -> None:
    path = tmp_path / "broker.sqlite"
    told = Acknowledged()
    dice = random.Random(20260101)
    for number in range(ROUNDS):
        told.read(run_and_kill(path, number, 0.02 + dice.random() * 0.35))
        broker = Broker(SqliteStore(path), SystemClock())
        await broker.open()
        queue = broker.queue("crash", "q")
        assert queue is not None
        compare(told, everything(queue), everything(queue.dead_letter))
        await check_that_numbers_go_on(told, queue, f"probe-{number}")
        await check_that_ids_are_remembered(told, queue, dice)
        await broker.close()
    assert len(told.sent) > 1000
    assert min(len(told.completed), len(told.abandoned), len(told.dead)) > 20


def compare(
    told: Acknowledged, here: dict[str, StoredMessage], dead: dict[str, StoredMessage]
) -> None:
    """Everything acknowledged is there, and nothing that was completed."""
    assert not here.keys() & dead.keys(), "a message is in the queue and in its dead letters"
    lost = told.sent.keys() - here.keys() - dead.keys() - told.completing
    assert not lost, f"{len(lost)} acknowledged messages are lost: {sorted(lost)[:5]}"
    back = told.completed & (here.keys() | dead.keys())
    assert not back, f"{len(back)} completed messages are back: {sorted(back)[:5]}"
    assert told.dead <= dead.keys()
    assert {m.details.dead_letter_reason for m in dead.values()} <= {
        "why",
        "MaxDeliveryCountExceeded",
    }
    for name in told.deferred:
        # Deferring is a delivery, too, and may have been one too many.
        if name in dead:
            assert dead[name].details.dead_letter_reason == "MaxDeliveryCountExceeded"
        else:
            assert here[name].state is MessageState.DEFERRED
    for name in told.scheduled:
        assert here[name].state is MessageState.SCHEDULED
    for name, count in told.abandoned.items():
        found = here.get(name) or dead.get(name)
        assert found is None or found.delivery_count >= count
    for name, sequence in told.sent.items():
        if name in here:
            assert here[name].sequence == sequence


async def check_that_numbers_go_on(told: Acknowledged, queue: Queue, name: str) -> None:
    message = IncomingMessage(name.encode(), name)
    (sequence,) = await durably(lambda done: queue.send([message], done))
    assert sequence > max(told.sent.values())
    told.sent[name] = sequence


async def check_that_ids_are_remembered(
    told: Acknowledged, queue: Queue, dice: random.Random
) -> None:
    before = queue.counts()
    again = [
        IncomingMessage(b"a second time", name)
        for name in dice.sample(sorted(told.sent), min(100, len(told.sent)))
    ]
    assert set(await durably(lambda done: queue.send(again, done))) == {0}
    assert queue.counts() == before


DIES_AT_ONCE = """
import asyncio, os, sys
from pathlib import Path
from orchestrator.clock import ManualClock, SystemClock
from orchestrator.localcloud.servicebus.broker import Broker, durably
from orchestrator.localcloud.servicebus.model import IncomingMessage, QueueProperties
from orchestrator.localcloud.servicebus.store.sqlite import SqliteStore

async def main():
    broker = Broker(SqliteStore(Path(sys.argv[1])), SystemClock())
    await broker.open()
    await broker.put_namespace("crash")
    await broker.put_queue("crash", "q", QueueProperties())
    queue = broker.queue("crash", "q")
    await durably(lambda done: queue.send([IncomingMessage(b"a"), IncomingMessage(b"b")], done))
    first, second = queue.acquire(2)
    await broker.written()
    queue.complete(second.token)
    os._exit(9)

asyncio.run(main())
"""


async def test_what_was_completed_does_not_come_back(tmp_path: Path) -> None:
    """Its deletion was not written yet; the newest message's number is not given again either."""
    path = tmp_path / "broker.sqlite"
    child = subprocess.run(
        [sys.executable, "-c", DIES_AT_ONCE, str(path)], capture_output=True, timeout=60
    )
    assert child.returncode == 9, child.stderr.decode()
    clock = ManualClock(time.time())
    broker = Broker(SqliteStore(path), clock)
    await broker.open()
    queue = broker.queue("crash", "q")
    assert queue is not None
    # The locks of the one that died still hold; then what it did not complete is had again.
    assert queue.acquire(2) == []
    await clock.advance(61)
    (again,) = queue.acquire(2)
    assert (again.message.payload, again.message.delivery_count) == (b"a", 1)
    message = IncomingMessage(b"c")
    assert await durably(lambda done: queue.send([message], done)) == [3]
    await broker.close()
