"""The total-queue property under true crashes: the machine that `test_crash_model` runs.

It goes over forwarding, schedules, sessions and dead letters.

A crash here takes everything with it that was not committed, at any instant: between two commits,
or after a commit and before anybody was told. What is expected is `crash_ledger`'s,
the entities are `crash_topology`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
)

from orchestrator.clock import ManualClock
from orchestrator.localcloud.servicebus.broker import Broker
from orchestrator.localcloud.servicebus.errors import (
    BrokerError,
    EntityDisabled,
    LockLost,
    MessageNotFound,
    SessionCannotBeLocked,
    SessionLockLost,
)
from orchestrator.localcloud.servicebus.front.messages import read
from orchestrator.localcloud.servicebus.model import (
    EntityStatus,
    LockedMessage,
    MessageState,
    QueueProperties,
    StoredMessage,
)
from orchestrator.localcloud.servicebus.queue import Queue
from orchestrator.localcloud.servicebus.structures.session_shelf import SessionLock
from tests.unit.servicebus.crash_ledger import Census, Copy, Fate, Found, Ledger
from tests.unit.servicebus.crash_topology import (
    DEAD,
    LOCK,
    NAMESPACE,
    PLACES,
    QUEUES,
    RECEIVABLE,
    SESSIONS,
    SIMPLE,
    SUBSCRIPTIONS,
    define,
)
from tests.unit.servicebus.crashing import Disk, HeldStore, MemoryDisk, TestLoop
from tests.unit.servicebus.wire_messages import body, encoded

T = TypeVar("T")

Lock = tuple[str, LockedMessage]


@dataclass(eq=False)
class Kept:
    """A state that somebody asked a session to keep."""

    state: bytes | None


class CrashMachine(RuleBasedStateMachine):
    """See the module. `held` is the store of the process that runs."""

    locks = Bundle("locks")
    sessions = Bundle("sessions")

    def __init__(self) -> None:
        super().__init__()
        self.disk = self.make_disk()
        self.ledger = Ledger()
        self.now = 1000.0
        self.serial = self.batches = 0
        # Of each session: the state it has, and those that were asked for since, in order.
        self.states: dict[str, list[Kept]] = {name: [Kept(None)] for name in SESSIONS}
        self.begin()
        self.run(define(self.broker), write=True)

    def make_disk(self) -> Disk:
        return MemoryDisk()

    def teardown(self) -> None:
        try:
            self.come_to_rest()
        finally:
            self.run(self.broker.close())
            self.loop.end()

    # -- the process ---------------------------------------------------------------------------

    def begin(self) -> None:
        self.loop = TestLoop()
        self.clock = ManualClock(self.now)
        self.held = HeldStore(self.disk.store())
        self.broker = Broker(self.held, self.clock)
        self.run(self.broker.open())

    def run(self, work: Coroutine[Any, Any, T], *, write: bool = False) -> T:
        """Do it, and what follows from it as far as the store lets it; `write`: all the way."""

        async def whole() -> T:
            task = asyncio.ensure_future(work)
            for _ in range(8):
                await asyncio.sleep(0)
            while write and (not task.done() or self.held.waiting):
                await self.held.write(len(self.held.waiting))
                for _ in range(8):
                    await asyncio.sleep(0)
            return await task

        return self.loop.run_until_complete(whole())

    def call(self, function: Callable[[], T]) -> T:
        async def work() -> T:
            return function()

        return self.run(work())

    def queue(self, place: str) -> Queue:
        queue = self.broker.find(None, place)
        assert queue is not None, place
        return queue

    def census(self) -> Census:
        found: Census = {}

        async def look() -> None:
            for place in PLACES:
                queue, start = self.queue(place), 0
                while page := queue.peek(start, 250):
                    for message in page:
                        for lane in self.lanes_at(place, body(message.payload)):
                            key = body(message.payload), lane
                            found.setdefault(key, []).append(Found(place, message))
                    start = page[-1].sequence + 1

        self.loop.run_until_complete(look())
        return found

    def lanes_at(self, place: str, text: str) -> Sequence[str]:
        if not text.startswith("fan"):
            return ("",)
        if place == "fan":  # a scheduled one is not yet divided
            return tuple(SUBSCRIPTIONS)
        return ("s2",) if place.startswith("fan/Subscriptions/s2") else ("s1",)

    # -- crashes and time ------------------------------------------------------------------------

    @rule(committed=st.integers(0, 4))
    def crash(self, committed: int) -> None:
        """So much of what waits is committed, and nobody learns of it."""
        self.now = self.clock.time()
        self.loop.run_until_complete(self.held.crash(committed))
        self.disk.crash()
        self.loop.run_until_complete(self.held.let_go())
        self.loop.end()
        self.begin()
        self.ledger.recover(self.census())
        self.check_states()

    @rule(count=st.integers(1, 4))
    def write(self, count: int) -> None:
        self.run(self.held.write(count))

    @rule()
    def write_all(self) -> None:
        self.run(self.held.write(len(self.held.waiting)))

    @rule()
    def tell_the_store_what_departed(self) -> None:
        self.loop.pass_time(1.0)
        self.run(asyncio.sleep(0))

    @rule(count=st.integers(1, 3))
    def refuse(self, count: int) -> None:
        """There is no room for the next few changes."""
        self.held.refusals = count

    @rule(seconds=st.sampled_from([1.0, 6.0, LOCK]))
    def pass_time(self, seconds: float) -> None:
        self.run(self.clock.advance(seconds))

    @rule(
        name=st.sampled_from(["work", "graves", "sess"]),
        status=st.sampled_from([EntityStatus.ACTIVE, EntityStatus.ACTIVE, EntityStatus.DISABLED]),
    )
    def set_status(self, name: str, status: EntityStatus) -> None:
        self.held.refusals = 0
        properties = QueueProperties(**QUEUES[name], status=status)
        self.run(self.broker.put_queue(NAMESPACE, name, properties), write=True)

    # -- producers -------------------------------------------------------------------------------

    @rule(
        home=st.sampled_from(["work", "in", "fan", "sess", "sess-in", "lost"]),
        count=st.integers(1, 3),
        session=st.sampled_from(SESSIONS),
        delay=st.sampled_from([None, None, None, 5.0]),
        ttl=st.sampled_from([None, None, 20.0]),
    )
    def send(
        self, home: str, count: int, session: str, delay: float | None, ttl: float | None
    ) -> None:
        self.batches += 1
        due = None if delay is None else self.clock.time() + delay
        mine: list[Copy] = []
        for _ in range(count):
            self.serial += 1
            text = f"{home}#{self.serial}"
            group = session if home.startswith("sess") else None
            for lane in tuple(SUBSCRIPTIONS) if home == "fan" else ("",):
                mine.append(Copy(text, self.serial, home, lane, group, self.batches, due))
        self.ledger.copies |= {(copy.text, copy.lane): copy for copy in mine}
        self.hand_in(home, mine, ttl)

    def hand_in(self, home: str, mine: Sequence[Copy], ttl: float | None = None) -> None:
        messages = []
        for copy in {copy.text: copy for copy in mine}.values():
            wire = encoded(copy.text, message_id=copy.text, session_id=copy.session)
            message = read(wire, self.clock.time())
            message.scheduled_at, message.ttl = copy.due, ttl
            messages.append(message)

        def done(error: BrokerError | None) -> None:
            if error is None:
                # One that is sent again may be on its way out by now.
                self.ledger.settle((c for c in mine if c.fate is Fate.SENT), Fate.THERE)
            elif mine[0].fate is Fate.SENT and (mine[0].text, mine[0].lane) in self.ledger.copies:
                self.ledger.forget(mine)

        try:
            self.call(lambda: self.queue(home).send(messages, done))
        except BrokerError:  # it is disabled
            assert self.queue(home).properties.status is EntityStatus.DISABLED
            self.ledger.forget([copy for copy in mine if copy.fate is Fate.SENT])

    @rule(pick=st.randoms(use_true_random=False))
    def send_again(self, pick: Any) -> None:
        """A client that has had no answer, or that forgets, sends the same batch to the queue that
        detects duplicates."""
        known = sorted({c.batch for c in self.ledger.copies.values() if c.home == "in"})
        if known:
            batch = pick.choice(known)
            self.hand_in("in", [c for c in self.ledger.copies.values() if c.batch == batch])

    @rule(pick=st.randoms(use_true_random=False))
    def cancel(self, pick: Any) -> None:
        waiting = [
            found
            for founds in self.census().values()
            for found in founds
            if found.message.state is MessageState.SCHEDULED and found.message.lock is None
        ]
        if not waiting:
            return
        found = pick.choice(waiting)
        copies = self.ledger.of(body(found.message.payload))
        self.remove(
            copies,
            lambda done: self.queue(found.place).cancel_scheduled([found.message.sequence], done),
        )

    def remove(self, copies: Sequence[Copy], start: Callable[[Any], None]) -> None:
        def done(error: BrokerError | None) -> None:
            self.ledger.settle(copies, Fate.GONE if error is None else Fate.THERE)

        try:
            self.call(lambda: start(done))
        except MessageNotFound:
            return
        # Whether it is gone is known when `done` comes, and it may have come at once.
        self.ledger.settle((c for c in copies if c.fate is Fate.THERE), Fate.GOING)

    # -- consumers -------------------------------------------------------------------------------

    @rule(target=locks, place=st.sampled_from(RECEIVABLE), count=st.integers(1, 3))
    def acquire(self, place: str, count: int) -> Any:
        try:
            locks = self.call(lambda: self.queue(place).acquire(count))
        except BrokerError:
            assert self.queue(place).properties.status is EntityStatus.DISABLED
            return multiple()
        return self.taken_in(place, locks)

    def taken_in(self, place: str, locks: Sequence[LockedMessage]) -> Any:
        numbers = [lock.message.sequence for lock in locks]
        assert numbers == sorted(numbers)
        for lock in locks:
            copy = self.copy_at(place, lock.message)
            assert copy.fate in (Fate.THERE, Fate.GOING), f"{copy} was handed out"
        return multiple(*((place, lock) for lock in locks))

    def copy_at(self, place: str, message: StoredMessage) -> Copy:
        text = body(message.payload)
        (lane,) = self.lanes_at(place, text)
        return self.ledger.copies[text, lane]

    @rule(target=sessions, session=st.sampled_from(SESSIONS))
    def accept(self, session: str) -> Any:
        try:
            return self.call(lambda: self.queue("sess").accept_session(session, lambda: None))
        except SessionCannotBeLocked:
            return multiple()
        except BrokerError:
            assert self.queue("sess").properties.status is EntityStatus.DISABLED
            return multiple()

    @rule(target=locks, session=sessions, count=st.integers(1, 3))
    def acquire_of(self, session: SessionLock, count: int) -> Any:
        """The first ones that wait, in order."""
        queue = self.queue("sess")

        def waiting() -> list[int]:
            return [
                message.sequence
                for message in queue.peek_session(session.session_id, 0, 250)
                if message.state is MessageState.ACTIVE and message.lock is None
            ]

        before = self.call(waiting)
        try:
            locks = self.call(lambda: queue.acquire_of(self.alive(session), count))
        except (SessionLockLost, LockLost):
            return multiple()
        assert [lock.message.sequence for lock in locks] == before[:count]
        return self.taken_in("sess", locks)

    def alive(self, session: SessionLock) -> SessionLock:
        """A crash ends the links of a session's holder, and with them the session."""
        if self.queue("sess")._sessions.locks.get(session.number) is not session:
            raise LockLost("of a process that is no more")
        return session

    @rule(session=consumes(sessions))
    def let_go(self, session: SessionLock) -> None:
        if self.queue("sess")._sessions.locks.get(session.number) is session:
            self.call(lambda: self.queue("sess").release_session(session))

    @rule(name=st.sampled_from(SESSIONS), state=st.sampled_from([None, b"1", b"2"]))
    def keep_state(self, name: str, state: bytes | None) -> None:
        session = self.queue("sess")._sessions.session(name).lock
        if session is None:
            session = self.accept(name)
        if not isinstance(session, SessionLock):  # it is disabled
            return
        lock, possible, kept = session, self.states[name], Kept(state)

        def done(error: BrokerError | None) -> None:
            if error is None:  # what was asked for after it may still follow
                del possible[: possible.index(kept)]
            else:
                possible.remove(kept)

        possible.append(kept)
        try:
            self.call(lambda: self.queue("sess").set_session_state(lock, state, done))
        except SessionLockLost:
            possible.remove(kept)

    def check_states(self) -> None:
        for name, possible in self.states.items():
            session = self.queue("sess")._sessions.sessions.get(name)
            state = None if session is None else session.state
            known = {kept.state for kept in possible}
            assert state in known, f"the state of {name} is {state!r}, not of {known}"
            possible[:] = [Kept(state)]

    @rule(place=st.sampled_from(SIMPLE), count=st.integers(1, 2))
    def take(self, place: str, count: int) -> None:
        """Receive and delete."""
        queue = self.queue(place)
        ready = [
            message
            for message in self.call(lambda: queue.peek(0, 250))
            if message.state is MessageState.ACTIVE and message.lock is None
        ]

        def taken(messages: Sequence[StoredMessage], error: BrokerError | None) -> None:
            for copy in copies:
                assert copy.fate is Fate.GOING
            self.ledger.settle(copies, Fate.GONE if error is None else Fate.THERE)

        copies = [self.copy_at(place, message) for message in ready[:count]]

        def start() -> None:
            reserved = queue.take(count, taken)
            assert reserved == len(copies)
            self.ledger.settle(copies, Fate.GOING)

        try:
            self.call(start)
        except BrokerError:
            assert queue.properties.status is EntityStatus.DISABLED

    @rule(target=locks, place=st.sampled_from([*SIMPLE, "sess" + DEAD]))
    def acquire_deferred(self, place: str) -> Any:
        queue = self.queue(place)
        waiting = [
            message.sequence
            for message in self.call(lambda: queue.peek(0, 250))
            if message.state is MessageState.DEFERRED and message.lock is None
        ]
        if not waiting:
            return multiple()
        try:
            locks = self.call(lambda: queue.acquire_deferred(waiting[:1]))
        except (MessageNotFound, EntityDisabled):  # its time was over; or nobody may
            return multiple()
        return self.taken_in(place, locks)

    # -- settling --------------------------------------------------------------------------------

    def settle(self, lock: Lock, work: Callable[[Queue, LockedMessage], object]) -> bool:
        """Whether the broker honours the lock; it may be one of a process that is no more."""
        place, locked = lock
        try:
            self.call(lambda: work(self.queue(place), locked))
        except LockLost:
            return False
        except EntityDisabled:
            assert self.queue(place).properties.status is EntityStatus.DISABLED
            return False
        copy = self.copy_at(place, locked.message)
        assert copy.fate in (Fate.THERE, Fate.GOING), f"{copy} was settled twice"
        return True

    @rule(lock=consumes(locks))
    def complete(self, lock: Lock) -> None:
        if self.settle(lock, lambda queue, locked: queue.complete(locked.token)):
            self.copy_at(lock[0], lock[1].message).fate = Fate.GONE

    @rule(lock=locks)
    def complete_with_a_token_kept(self, lock: Lock) -> None:
        self.complete(lock)

    @rule(lock=consumes(locks))
    def abandon(self, lock: Lock) -> None:
        place, locked = lock
        copy = self.copy_at(place, locked.message)
        # Those of dead letters are not counted.
        count = locked.message.delivery_count + (not place.endswith("DeadLetterQueue"))

        def done(error: BrokerError | None) -> None:
            if error is None:
                copy.deliveries = place, count

        self.settle(lock, lambda queue, locked: queue.abandon(locked.token, done))

    @rule(lock=consumes(locks))
    def defer(self, lock: Lock) -> None:
        copy = self.copy_at(lock[0], lock[1].message)

        def done(error: BrokerError | None) -> None:
            if error is None:
                copy.deferred_at = lock[0]

        self.settle(lock, lambda queue, locked: queue.defer(locked.token, done))

    @rule(lock=consumes(locks))
    def dead_letter(self, lock: Lock) -> None:
        place, locked = lock
        copy = self.copy_at(place, locked.message)

        def done(error: BrokerError | None) -> None:
            copy.dead = copy.dead or error is None

        if not place.endswith("DeadLetterQueue"):
            self.settle(
                lock, lambda queue, it: queue.dead_letter_message(it.token, done, reason="why")
            )

    @rule(lock=locks)
    def renew(self, lock: Lock) -> None:
        if lock[0] != "sess":
            self.settle(lock, lambda queue, locked: queue.renew(locked.token))

    @rule(lock=consumes(locks))
    def release(self, lock: Lock) -> None:
        self.settle(lock, lambda queue, locked: queue.release(locked.token))

    # -- what must always hold -------------------------------------------------------------------

    @invariant()
    def nothing_is_lost_and_nothing_is_twice(self) -> None:
        census = self.census()
        self.ledger.check(census, self.clock.time())
        self.ledger.check_order("sess", census)

    def come_to_rest(self) -> None:
        """With time and room enough, everything is where it belongs."""
        self.held.refusals = 0
        for name in ("work", "graves", "sess"):
            self.set_status(name, EntityStatus.ACTIVE)
        for _ in range(6):
            self.loop.pass_time(1.0)
            self.run(self.clock.advance(LOCK), write=True)
        self.run(self.broker.written(), write=True)
        self.nothing_is_lost_and_nothing_is_twice()
        for copy in self.ledger.copies.values():
            assert copy.fate in (Fate.THERE, Fate.GONE), copy
        for place in ("in", "sess-in", "lost", "fan", "fan/Subscriptions/s1", "work" + DEAD):
            left = self.call(partial(self.queue(place).peek, 0, 250))
            assert not left, f"{left} in {place} have not moved on"
