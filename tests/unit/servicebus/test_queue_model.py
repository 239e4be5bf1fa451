"""The queue engine against a simple model: producers, consumers, time, restarts, a failing store.

The model keeps one entry per message that was acknowledged and knows what may be done with it.
After every step: {acknowledged} = {settled for good} ∪ {dead-lettered} ∪ {still queued}, what the
broker counts is what the model counts, and no message is settled twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from orchestrator.clock import ManualClock
from orchestrator.localcloud.servicebus.broker import Broker, durably
from orchestrator.localcloud.servicebus.errors import (
    BrokerError,
    LockLost,
    MessageNotFound,
    StoreFull,
)
from orchestrator.localcloud.servicebus.model import (
    IncomingMessage,
    LockedMessage,
    QueueProperties,
    StoredMessage,
)
from orchestrator.localcloud.servicebus.queue import Queue
from orchestrator.localcloud.servicebus.store.contract import Change
from orchestrator.localcloud.servicebus.store.memory import MemoryStore
from tests.unit.servicebus import world

T = TypeVar("T")

NAMESPACE = "model"
LOCK = 30.0
MAX_DELIVERIES = 3
WINDOW = 120.0


class FlakyStore(MemoryStore):
    """Refuses everything while `broken`."""

    broken = False

    def _apply(self, change: Change) -> BrokerError | None:
        return StoreFull("no room") if self.broken else super()._apply(change)


@dataclass
class Entry:
    """A message that was acknowledged, as the model sees it."""

    text: str
    expires_at: float
    state: str = "active"  # active, scheduled, deferred, gone
    due: float = 0.0
    deliveries: int = 0
    locked_until: float | None = None
    dead: bool = False
    sequence: int = 0
    reasons: list[str] = field(default_factory=list)


class QueueMachine(RuleBasedStateMachine):
    """One queue with duplicate detection, dead-lettering on expiry and at most three deliveries."""

    locks = Bundle("locks")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = ManualClock(1000.0)
        self.store = FlakyStore()
        self.entries: dict[str, Entry] = {}
        self.seen: dict[str, float] = {}
        self.serial = 0
        self.settled: set[str] = set()

    def teardown(self) -> None:
        self.store.broken = False
        self.run(self.broker.close())
        self.loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        async def and_what_follows() -> T:
            try:
                return await work
            finally:
                for _ in range(8):
                    await asyncio.sleep(0)

        return self.loop.run_until_complete(and_what_follows())

    @initialize()
    def start(self) -> None:
        self.broker = Broker(self.store, self.clock)

        async def work() -> None:
            await self.broker.open()
            await self.broker.put_namespace(NAMESPACE)
            await self.broker.put_queue(
                NAMESPACE,
                "q",
                QueueProperties(
                    lock_duration=LOCK,
                    max_delivery_count=MAX_DELIVERIES,
                    dead_letter_on_expiration=True,
                    requires_duplicate_detection=True,
                    duplicate_detection_window=WINDOW,
                ),
            )

        self.run(work())

    @property
    def queue(self) -> Queue:
        queue = self.broker.queue(NAMESPACE, "q")
        assert queue is not None
        return queue

    def now(self) -> float:
        return self.clock.time()

    # -- what the model believes of time -----------------------------------------------------

    def pass_model_time(self) -> None:
        now = self.now()
        for entry in self.entries.values():
            if entry.dead or entry.state == "gone":
                if entry.locked_until is not None and entry.locked_until <= now:
                    entry.locked_until = None
                    entry.deliveries += 1
                continue
            if entry.locked_until is not None and entry.locked_until <= now:
                entry.locked_until = None
                self.model_failed(entry)
            if entry.state == "scheduled" and entry.due <= now:
                entry.state = "active"
                entry.expires_at += now - entry.due
            if self.expired(entry):
                entry.dead = True
        self.seen = {key: until for key, until in self.seen.items() if until > now}

    def expired(self, entry: Entry) -> bool:
        return (
            not entry.dead
            and entry.state == "active"
            and entry.locked_until is None
            and entry.expires_at <= self.now()
        )

    def model_failed(self, entry: Entry) -> None:
        """One more delivery of a live message has come to nothing."""
        entry.deliveries += 1
        if entry.deliveries >= MAX_DELIVERIES:
            entry.dead = True
            entry.state = "active"
        elif self.expired(entry):
            entry.dead = True

    # -- steps -------------------------------------------------------------------------------

    @rule(
        ids=st.lists(st.integers(0, 6), min_size=1, max_size=4),
        ttl=st.sampled_from([None, 20.0, 100.0]),
        delay=st.sampled_from([0.0, 0.0, 15.0]),
    )
    def send(self, ids: list[int], ttl: float | None, delay: float) -> None:
        """A batch; some ids repeat earlier ones."""
        batch, fresh = [], []
        for number in ids:
            key = f"id{number}"
            self.serial += 1
            text = f"{key}#{self.serial}"
            at = self.now() + delay if delay else None
            batch.append(IncomingMessage(text.encode(), key, ttl=ttl, scheduled_at=at))
            if key not in self.seen and key not in {k for k, _ in fresh}:
                fresh.append((key, text))
        try:
            numbers = self.run(durably(lambda done: self.queue.send(batch, done)))
        except StoreFull:
            assert self.store.broken
            return
        assert not self.store.broken or not fresh
        assert len([n for n in numbers if n]) == len(fresh)
        for key, text in fresh:
            self.seen[key] = self.now() + WINDOW
            start = self.now() + delay
            self.entries[text] = Entry(
                text,
                start + ttl if ttl is not None else float("inf"),
                "scheduled" if delay else "active",
                start,
            )

    @rule(target=locks, count=st.integers(1, 3))
    def acquire(self, count: int) -> Any:
        locks = self.loop_call(lambda: self.queue.acquire(count))
        ready = [e for e in self.entries.values() if self.ready(e)]
        assert len(locks) == min(count, len(ready))
        for lock in locks:
            entry = self.entries[lock.message.payload.decode()]
            assert self.ready(entry), f"{entry} was handed out"
            assert lock.message.delivery_count == entry.deliveries
            entry.locked_until = self.now() + LOCK
            assert lock.locked_until == entry.locked_until
        self.check_order(locks)
        return multiple(*((False, lock) for lock in locks))

    @rule(target=locks)
    def acquire_dead_letter(self) -> Any:
        locks = self.loop_call(lambda: self.queue.dead_letter.acquire(1))
        for lock in locks:
            entry = self.entries[lock.message.payload.decode()]
            assert entry.dead
            assert entry.state != "gone"
            assert entry.locked_until is None
            entry.locked_until = lock.locked_until
        return multiple(*((True, lock) for lock in locks))

    @rule(target=locks)
    def acquire_deferred(self) -> Any:
        waiting = [e for e in self.entries.values() if e.state == "deferred" and not e.dead]
        free = [e for e in waiting if e.locked_until is None]
        if not free:
            return multiple()
        entry = free[0]
        try:
            (lock,) = self.loop_call(lambda: self.queue.acquire_deferred([entry.sequence]))
        except MessageNotFound:
            # Asked for after its time, a deferred message is dead-lettered.
            assert entry.expires_at <= self.now()
            entry.dead, entry.state = True, "active"
            if self.store.broken:
                self.repair()
            return multiple()
        assert entry.expires_at > self.now()
        assert lock.message.payload.decode() == entry.text
        entry.locked_until = lock.locked_until
        return (False, lock)

    def ready(self, entry: Entry) -> bool:
        return entry.state == "active" and not entry.dead and entry.locked_until is None

    def check_order(self, locks: list[LockedMessage]) -> None:
        numbers = [lock.message.sequence for lock in locks]
        assert numbers == sorted(numbers)

    def loop_call(self, call: Callable[[], T]) -> T:
        async def work() -> T:
            return call()

        return self.run(work())

    def holds(self, lock: LockedMessage) -> Entry | None:
        """The entry if the model says that this lock is still good."""
        entry = self.entries[lock.message.payload.decode()]
        return entry if entry.locked_until == lock.locked_until else None

    def settle(
        self, dead: bool, lock: LockedMessage, work: Callable[[Queue], Awaitable[None]]
    ) -> Entry | None:
        """Do it and say whose it was, if it was done; check that only a good lock can."""
        queue = self.queue.dead_letter if dead else self.queue
        entry = self.holds(lock)

        async def attempt() -> None:
            await work(queue)

        try:
            self.run(attempt())
        except LockLost:
            assert entry is None, f"the lock of {entry} was good"
            return None
        except StoreFull:
            assert self.store.broken
            return None
        assert entry is not None, "a lost lock was honoured"
        return entry

    @rule(pair=consumes(locks))
    def complete(self, pair: tuple[bool, LockedMessage]) -> None:
        entry = self.settle(*pair, lambda queue: world.complete(queue, pair[1]))
        if entry is not None:
            assert entry.text not in self.settled, "settled twice"
            self.settled.add(entry.text)
            entry.state, entry.locked_until = "gone", None

    @rule(pair=locks)
    def complete_with_a_token_kept(self, pair: tuple[bool, LockedMessage]) -> None:
        """The token stays in the bundle: a client that settles again later."""
        self.complete(pair)

    @rule(pair=consumes(locks))
    def abandon(self, pair: tuple[bool, LockedMessage]) -> None:
        entry = self.settle(*pair, lambda queue: world.abandon(queue, pair[1]))
        if entry is not None:
            entry.locked_until = None
            if entry.dead:
                entry.deliveries += 1
            else:
                self.model_failed(entry)

    @rule(pair=consumes(locks))
    def defer(self, pair: tuple[bool, LockedMessage]) -> None:
        if pair[0]:
            return
        entry = self.settle(*pair, lambda queue: world.defer(queue, pair[1]))
        if entry is not None:
            entry.locked_until = None
            entry.state, entry.sequence = "deferred", pair[1].message.sequence
            self.model_failed(entry)

    @rule(pair=consumes(locks))
    def dead_letter(self, pair: tuple[bool, LockedMessage]) -> None:
        if pair[0]:
            return
        entry = self.settle(*pair, lambda queue: world.dead_letter(queue, pair[1], "why"))
        if entry is not None:
            entry.locked_until, entry.dead, entry.state = None, True, "active"

    @rule(pair=consumes(locks))
    def release(self, pair: tuple[bool, LockedMessage]) -> None:
        async def work(queue: Queue) -> None:
            queue.release(pair[1].token)

        entry = self.settle(*pair, work)
        if entry is not None:
            entry.locked_until = None
            if self.expired(entry):
                entry.dead = True
                if self.store.broken:
                    self.repair()

    @rule(pair=locks)
    def renew(self, pair: tuple[bool, LockedMessage]) -> None:
        async def work(queue: Queue) -> None:
            queue.renew(pair[1].token)

        entry = self.settle(*pair, work)
        if entry is not None:
            # After a restart the engine has another object for the same lock.
            entry.locked_until = pair[1].locked_until = self.now() + LOCK

    @rule(count=st.integers(1, 2))
    def take(self, count: int) -> None:
        async def work() -> list[StoredMessage]:
            return await world.take(self.queue, count)

        ready = [e for e in self.entries.values() if self.ready(e)]
        try:
            messages = self.run(work())
        except StoreFull:
            assert self.store.broken
            return
        assert len(messages) == min(count, len(ready))
        for message in messages:
            entry = self.entries[message.payload.decode()]
            assert self.ready(entry)
            assert entry.text not in self.settled
            self.settled.add(entry.text)
            entry.state = "gone"

    @rule(seconds=st.sampled_from([1.0, 7.0, 15.0, 30.0, 61.0]))
    @precondition(lambda self: not self.store.broken)
    def pass_time(self, seconds: float) -> None:
        # Stepwise, so that the model sees moments in their order.
        for _ in range(int(seconds)):
            self.run(self.clock.advance(1.0))
            self.pass_model_time()

    @rule()
    @precondition(lambda self: not self.store.broken)
    def let_locks_expire(self) -> None:
        self.pass_time(LOCK)

    @rule()
    @precondition(lambda self: not self.store.broken)
    def let_messages_expire(self) -> None:
        self.pass_time(20.0)

    @rule()
    def restart(self) -> None:
        """A crash: the broker is forgotten, the store keeps what was committed."""
        if self.store.broken:
            self.repair()
        self.run(self.broker.close())
        self.broker = Broker(self.store, self.clock)
        self.run(self.broker.open())

    @rule()
    @precondition(lambda self: not self.store.broken)
    def break_store(self) -> None:
        self.store.broken = True

    @rule()
    @precondition(lambda self: self.store.broken)
    def repair(self) -> None:
        """Room again; what the broker had to postpone is done a second later."""
        self.store.broken = False
        for _ in range(2):
            self.run(self.clock.advance(1.0))
            self.pass_model_time()

    # -- what must always hold ---------------------------------------------------------------

    @invariant()
    def nothing_is_lost_and_nothing_is_twice(self) -> None:
        if not hasattr(self, "broker") or self.store.broken:
            return
        here = self.texts(self.queue)
        dead = self.texts(self.queue.dead_letter)
        model_here = {e.text for e in self.entries.values() if e.state != "gone" and not e.dead}
        model_dead = {e.text for e in self.entries.values() if e.state != "gone" and e.dead}
        assert sorted(here) == sorted(model_here)
        assert sorted(dead) == sorted(model_dead)
        counts = self.queue.counts()
        scheduled = {e.text for e in self.entries.values() if e.state == "scheduled"}
        assert counts.scheduled == len(scheduled - self.settled)
        assert counts.active == len(model_here) - counts.scheduled
        assert counts.dead_letter == len(model_dead)
        assert counts.size_in_bytes == sum(len(text) for text in here + dead)

    def texts(self, queue: Queue) -> list[str]:
        """All messages, by peeking page after page."""

        async def page(start: int) -> list[StoredMessage]:
            return queue.peek(start, 3)

        found: list[str] = []
        start = 0
        while messages := self.run(page(start)):
            found += [message.payload.decode() for message in messages]
            assert [m.sequence for m in messages] == sorted({m.sequence for m in messages})
            start = messages[-1].sequence + 1
        return found


QueueMachine.TestCase.settings = settings(
    max_examples=150,
    stateful_step_count=50,
    report_multiple_bugs=False,
)


@pytest.mark.timeout(300)
class TestQueueModel(QueueMachine.TestCase):  # type: ignore[misc,name-defined]
    """Runs the machine."""
