"""Transactions against a simple model: a message that was accepted is somewhere once, until it is
completed; of a transaction that failed, nothing has happened."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.clock import ManualClock
from orchestrator.localcloud.servicebus.errors import BrokerError
from orchestrator.localcloud.servicebus.model import IncomingMessage, LockedMessage
from orchestrator.localcloud.servicebus.queue import Queue
from orchestrator.localcloud.servicebus.transactions import Operation
from tests.unit.servicebus.test_store_failures import FailingStore
from tests.unit.servicebus.wire_messages import body, encoded
from tests.unit.servicebus.world import World, durably

# `first` forwards to `last`; `own` keeps what it gets.
QUEUES = ("first", "last", "own")
SENDS = st.tuples(
    st.sampled_from(["send", "schedule", "schedule, numbered", "send via"]),
    st.sampled_from(QUEUES),
    st.sampled_from((*QUEUES, "nowhere")),
)
SETTLEMENTS = st.tuples(
    st.sampled_from(["complete", "abandon", "defer", "bury"]),
    st.sampled_from(QUEUES[1:]),
    st.just(""),
)
FAILURES = st.tuples(st.just("lose"), st.sampled_from(QUEUES), st.just(""))
PARTS = st.lists(
    st.one_of(SENDS, SENDS, SETTLEMENTS, SETTLEMENTS, FAILURES), min_size=1, max_size=5
)
STEPS = st.lists(
    st.one_of(
        PARTS,
        PARTS,
        PARTS,
        st.sampled_from(["restart", "wait", "store refuses", "store takes"]),
    ),
    max_size=20,
)


class Run:
    """A world, and what must be in it. detects: `last` drops duplicates (there are none)."""

    def __init__(self, detects: bool, deliveries: int) -> None:
        self._detects = detects
        self._deliveries = deliveries
        self._store = FailingStore()
        self._world = World(ManualClock(), self._store, lambda: self._store)
        self._count = 0
        self.expected: Counter[str] = Counter()

    async def __aenter__(self) -> Run:
        await self._world.start()
        await self._world.queue("last", requires_duplicate_detection=self._detects)
        self._namespace = (await self._world.queue("first", forward_to="last")).namespace
        await self._world.queue("own", max_delivery_count=self._deliveries)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._world.broker.close()

    def _queue(self, name: str) -> Queue:
        queue = self._world.broker.queue(self._namespace, name)
        assert queue is not None
        return queue

    async def step(self, step: Any) -> None:
        if step == "restart":
            self._store.broken = False
            # What was begun while the store refused is done before that.
            await self._world.pass_time(5)
            await self._world.restart()
        elif step == "wait":
            await self._world.pass_time(40)
        elif isinstance(step, str):
            self._store.broken = step == "store refuses"
        else:
            await self._transact(step)

    async def _transact(self, parts: list[tuple[str, str, str]]) -> None:
        operations: list[Operation] = []
        then: Counter[str] = Counter()
        for kind, name, other in parts:
            queue = self._queue(name)
            if kind in ("complete", "abandon", "defer", "bury"):
                for lock in queue.acquire(1):
                    operations.append(_settlement(kind, queue, lock))
                    then[body(lock.message.payload)] -= kind == "complete"
            elif kind == "lose":
                operations.append(partial(queue.complete_durably, bytes(16), _ignored))
            else:
                self._count += 1
                text = f"m{self._count}"
                then[text] += 1
                operations.append(self._send(kind, queue, other, text))
        try:
            await durably(lambda done: self._world.broker.transact(operations, done))
        except BrokerError:
            return
        self.expected.update(then)

    def _send(self, kind: str, queue: Queue, other: str, text: str) -> Operation:
        due = self._world.clock.time() + 20 if kind.startswith("schedule") else None
        payload = encoded(text, message_id=text)
        message = IncomingMessage(payload, message_id=text, scheduled_at=due)
        if kind == "send via":
            return partial(queue.pass_on, message, other, _ignored)
        reserved = queue.reserve_numbers(1) if "numbered" in kind else None
        return partial(queue.send, [message], _ignored, reserved)

    async def check(self) -> None:
        self._store.broken = False
        for _ in range(2):
            await self._world.pass_time(200)
            await self._world.restart()
        found: Counter[str] = Counter()
        for name in QUEUES:
            for part in self._queue(name).parts:
                messages = part.peek(0, 250)
                assert all(message.lock is None for message in messages)
                found.update(body(message.payload) for message in messages)
        assert found == +self.expected


def _ignored(error: BrokerError | None) -> None:
    pass


def _settlement(kind: str, queue: Queue, lock: LockedMessage) -> Operation:
    if kind == "bury":
        return partial(queue.dead_letter_message, lock.token, _ignored, "because")
    settle = {
        "complete": queue.complete_durably,
        "abandon": queue.abandon,
        "defer": queue.defer,
    }[kind]
    return partial(settle, lock.token, _ignored)


@settings(max_examples=50)
@given(STEPS, st.booleans(), st.sampled_from([2, 10]))
def test_what_was_accepted_is_somewhere_once(
    steps: list[Any], detects: bool, deliveries: int
) -> None:
    async def run() -> None:
        async with Run(detects, deliveries) as one:
            for step in steps:
                await one.step(step)
            await one.check()

    asyncio.run(run())
