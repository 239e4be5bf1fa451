"""What becomes of a queue's messages by themselves: they arrive, fall due, expire, are moved.

`Lifecycle` is the half of a queue that no client asks for; `queue.Queue` adds what clients do.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.localcloud.servicebus import partitions
from orchestrator.localcloud.servicebus.arrivals import Arrivals
from orchestrator.localcloud.servicebus.context import Context
from orchestrator.localcloud.servicebus.errors import BrokerError
from orchestrator.localcloud.servicebus.model import (
    ACTIVE,
    MAX_DELIVERY_COUNT_DESCRIPTION,
    MAX_DELIVERY_COUNT_EXCEEDED,
    NEVER,
    SCHEDULED,
    TTL_EXPIRED,
    TTL_EXPIRED_DESCRIPTION,
    Done,
    LockedMessage,
    MessageState,
    QueueProperties,
    StoredMessage,
)
from orchestrator.localcloud.servicebus.store.contract import (
    Change,
    MessageRow,
    StateRow,
    key_of,
)
from orchestrator.localcloud.servicebus.structures.history import DuplicateHistory
from orchestrator.localcloud.servicebus.structures.line import Line
from orchestrator.localcloud.servicebus.structures.session_shelf import SessionShelf
from orchestrator.localcloud.servicebus.structures.shelf import Shelf, message_due

if TYPE_CHECKING:
    from orchestrator.localcloud.servicebus.queue import Queue

NOBODY = bytes(16)
"""The token of the lock under which the broker itself holds a message."""

RETRY_DELAY = 1.0
"""Seconds until a move that the store refused is tried again."""

NOTE_PATIENCE = 0.002
"""Seconds for which the store may collect what nobody waits for, such as who has locked what."""

DEPARTURE_DELAY = 0.01
"""Seconds (of the machine) after which the store is told which messages are gone: all those of that
time at once. (A crash does not forget which: `Commits.depart`.)"""

_AT_ONCE = 500
"""Due messages dealt with in one go; the event loop runs between two."""


class Lifecycle:
    """A queue's messages and their clockwork. See the module."""

    dead_letter: Queue
    transfer_dead_letter: Queue
    is_transfer = False
    """Of a dead-letter queue: it holds what could not be forwarded."""

    def __init__(
        self,
        context: Context,
        *,
        namespace: str,
        path: str,
        number: int,
        properties: QueueProperties,
        last_sequence: int,
        is_dead_letter: bool,
    ) -> None:
        self.namespace = namespace
        self.path = path
        self.number = number
        self.properties = properties
        self.is_dead_letter = is_dead_letter
        self.deleted = False
        self._context = context
        self._last_sequence = last_sequence
        # Bytes on the way to the store; they count against the quota already.
        self.incoming_size = 0
        sessions = properties.requires_session and not is_dead_letter
        self._shelf = SessionShelf() if sessions else Shelf()
        self._locks: dict[bytes, LockedMessage] = {}
        self._line = Line(self._receivable, context.soon)
        self._history = DuplicateHistory()
        self._retries: list[tuple[float, int, Callable[[], None]]] = []
        self._retry_order = itertools.count()
        # Messages that are gone, whose deletion the store does not know of yet.
        self._departed: list[int] = []
        # Messages whose state the store refused to take.
        self._unnoted: dict[int, StoredMessage] = {}
        # Nothing is due before this moment, as far as the broker's clockwork was told.
        self._reminded = NEVER

    # -- loading -----------------------------------------------------------------------------

    def restore(self, row: MessageRow, state: StateRow | None) -> None:
        """Take in a message from the store."""
        message = row.message()
        if state is not None:
            message.state = MessageState(state.state)
            message.delivery_count = state.delivery_count
            if state.modified is not None:
                message.details = replace(message.details, modified=state.modified)
            if state.token is not None and state.locked_until is not None:
                message.lock = LockedMessage(message, state.token, state.locked_until)
                self._locks[state.token] = message.lock
        self._last_sequence = max(self._last_sequence, message.sequence)
        self.arrive(message)

    def remember(self, message_id: str, until: float) -> None:
        """Take in an entry of the duplicate-detection history from the store."""
        self._history.remember(message_id, until)
        self._remind(until)

    def reserve(self, message_id: str) -> None:
        """A message of that id is on its way to the store."""
        self._history.reserve(message_id)

    def withdraw(self, message_id: str) -> None:
        """It did not get there."""
        self._history.withdraw(message_id)

    # -- the clockwork -----------------------------------------------------------------------

    def tick(self) -> None:
        """Deal with what has come due and ask to be reminded of what comes next."""
        if self.deleted:
            return
        now = self._context.clock.time()
        self._tidy(now)
        self._forget_ids(now)
        self._reminded = NEVER
        self._remind(min(self._shelf.next_due(), self._history.next_due(), self._next_retry()))

    def clock_set_back(self) -> None:
        """The clock shows an earlier time: no lock may last longer than one taken now."""
        latest = self._context.clock.time() + self.properties.lock_duration
        for lock in self._locks.values():
            if lock.session is None and not lock.settling and lock.locked_until > latest:
                lock.locked_until = latest
                self._watch(lock.message)

    def _remind(self, when: float) -> None:
        if when < self._reminded:
            self._reminded = when
            self._context.remind(self, when)

    def _now(self) -> float:
        """The time, after everything that has come due by then is dealt with."""
        now = self._context.clock.time()
        if self._reminded <= now:
            self._tidy(now)
        self._use(now)
        return now

    def _use(self, now: float) -> None:
        """Somebody uses the queue."""

    def _tidy(self, now: float) -> None:
        for _ in range(_AT_ONCE):
            message = self._shelf.pop_due(now)
            if message is None:
                break
            self._review(message, now)
        while self._next_retry() <= now:
            heapq.heappop(self._retries)[2]()

    def _review(self, message: StoredMessage, now: float) -> None:
        lock = message.lock
        if lock is not None:
            if not lock.settling and lock.locked_until <= now:
                self._lock_expired(lock, now)
        elif message.state is SCHEDULED:
            self._activate(message)
        elif message.state is ACTIVE and message.expires_at <= now:
            self._shelf.withhold(message)
            self._expire(message)

    def _forget_ids(self, now: float) -> None:
        change = Change()
        for message_id in self._history.forget_due(now, _AT_ONCE):
            change.forget(self.number, message_id)
        if change.history:
            self._context.store.commit(change, None, patience=NOTE_PATIENCE)

    def _next_retry(self) -> float:
        return self._retries[0][0] if self._retries else NEVER

    def _retry(self, action: Callable[[], None]) -> None:
        when = self._context.clock.time() + RETRY_DELAY
        heapq.heappush(self._retries, (when, next(self._retry_order), action))
        self._remind(when)

    # -- coming and going ----------------------------------------------------------------------

    def number_of(self, message: StoredMessage) -> int:
        """Its sequence number as clients know it."""
        if not self.properties.enable_partitioning:
            return message.sequence
        details = message.details
        return partitions.shown(message.sequence, details.session_id, details.partition_key)

    def first_number_of(self, message: StoredMessage) -> int:
        """The number that clients knew it by where it was sent to."""
        first = message.details.enqueued_sequence
        return self.number_of(message) if first is None else first

    def sequence_of(self, number: int) -> int:
        """What clients know as that sequence number."""
        return partitions.counted(number) if self.properties.enable_partitioning else number

    def next_sequence(self) -> int:
        self._last_sequence += 1
        return self._last_sequence

    def arrive(self, *messages: StoredMessage) -> None:
        """Messages of this queue's are durable now."""
        self._shelf.add(messages)
        self._context.changed(self.namespace, self.path)
        ready = [m for m in messages if m.lock is None and m.state is ACTIVE]
        if ready:
            self._offer(ready)
        for message in messages:
            if message.lock is not None or message_due(message) != NEVER:
                self._watch(message)

    def _receivable(self) -> int:
        return self._shelf.ready if self.properties.status.can_receive else 0

    def _offer(self, messages: Sequence[StoredMessage]) -> None:
        self._shelf.offer(messages)
        self._offered()

    def _offered(self) -> None:
        """Messages are ready."""
        self._line.wake()

    def pop_ready(
        self, count: int, now: float, pop: Callable[[], StoredMessage | None] | None = None
    ) -> list[StoredMessage]:
        """Up to `count` ready messages, oldest first; the caller must lock or remove them.
        pop: gives one; those that receivers get when left out."""
        if pop is None:
            pop = self._shelf.pop_ready
        messages: list[StoredMessage] = []
        while len(messages) < count:
            message = pop()
            if message is None:
                break
            if message.expires_at <= now:
                self._expire(message)
            else:
                messages.append(message)
        return messages

    def _watch(self, message: StoredMessage) -> None:
        self._remind(self._shelf.watch(message))

    def _hold(self, message: StoredMessage) -> LockedMessage:
        """Keep a message that is not ready from everybody while the broker moves it."""
        message.lock = LockedMessage(message, NOBODY, NEVER)
        message.lock.settling = True
        return message.lock

    def _gone(self, lock: LockedMessage) -> None:
        """The locked message's deletion is durable."""
        self._unlock(lock)
        self._let_go(lock.message)
        self._freed(lock)

    def _let_go(self, message: StoredMessage) -> None:
        self._shelf.remove(message)
        # The lock knows its message, too: left so, both would stay in memory until a full garbage
        # collection, which a broker that only hands out what waits may not see for hours.
        message.lock = None
        self._context.memory.gone(message.size)
        self._context.changed(self.namespace, self.path)

    def _depart(self, message: StoredMessage) -> None:
        """Let go of a message for good, at once; it is deleted from the store a little later."""
        self._context.store.depart(key_of(self.number, message.sequence))
        self._let_go(message)
        self._departed.append(message.sequence)
        if len(self._departed) == 1:
            self._context.later(DEPARTURE_DELAY, self.write_departures)

    def _commit(self, change: Change, done: Done) -> None:
        """Commit what somebody waits for, behind everything that has happened before."""
        self.write_departures()
        self._context.store.commit(change, done)

    def write_departures(self) -> None:
        """Have the store delete what has departed."""
        departed, self._departed = self._departed, []
        if not departed:
            return
        change = Change()
        change.delete(self.number, *departed)

        def finished(error: BrokerError | None) -> None:
            if error is not None:
                self._departed += departed
                self._retry(self.write_departures)

        self._context.store.commit(change, finished, patience=NOTE_PATIENCE)

    def _unlock(self, lock: LockedMessage) -> None:
        """The lock is no more."""
        self._locks.pop(lock.token, None)

    def _freed(self, lock: LockedMessage) -> None:
        """A message that was being settled under that lock is where it belongs now."""

    def _return(self, message: StoredMessage, now: float) -> None:
        """A message that nobody holds any more goes back to its place."""
        message.lock = None
        if message.state is ACTIVE:
            if message.expires_at <= now:
                self._expire(message)
                return
            self._offer((message,))
        self._watch(message)

    # -- what time does ------------------------------------------------------------------------

    def _lock_expired(self, lock: LockedMessage, now: float) -> None:
        message = lock.message
        self._unlock(lock)
        message.lock = None
        message.delivery_count = self._count_after_failure(message)
        if self._delivered_too_often(message.delivery_count):
            # Until the move is durable the store keeps the expired lock: a crash comes back here.
            self._bury_undeliverable(self._hold(message))
            return
        self._note([message])
        self._return(message, now)

    def _note(self, messages: Iterable[StoredMessage]) -> None:
        """Write what the messages are now. Nobody waits for it: should a crash come first, a
        message is delivered once more, with a count or a lock that is behind."""
        noted = list(messages)
        change = Change()
        for message in noted:
            lock = message.lock
            # A session and its locks are free after a restart.
            if lock is not None and lock.session is not None:
                lock = None
            change.update(self.number, message, lock=lock)

        def finished(error: BrokerError | None) -> None:
            if error is not None:
                self._note_later(noted)

        self._context.store.commit(change, finished, patience=NOTE_PATIENCE)

    def _note_later(self, messages: Sequence[StoredMessage]) -> None:
        if not self._unnoted:
            self._retry(self._note_again)
        self._unnoted.update((message.sequence, message) for message in messages)

    def _note_again(self) -> None:
        unnoted, self._unnoted = self._unnoted, {}
        # What is being settled or is gone has been written since, or is about to be.
        self._note(
            message
            for sequence, message in unnoted.items()
            if self._shelf.messages.get(sequence) is message
            and (message.lock is None or not message.lock.settling)
        )

    def _count_after_failure(self, message: StoredMessage) -> int:
        """Its delivery count once the present delivery has failed. That of a dead letter stays
        (https://github.com/Azure/azure-sdk-for-net/issues/53437)."""
        return message.delivery_count + (0 if self.is_dead_letter else 1)

    def _delivered_too_often(self, delivery_count: int) -> bool:
        return not self.is_dead_letter and delivery_count >= self.properties.max_delivery_count

    def _expire(self, message: StoredMessage) -> None:
        """End a message whose time to live is over; it is neither ready nor locked."""
        if self.properties.dead_letter_on_expiration and not self.is_dead_letter:
            self._bury_expired(self._hold(message))
            return
        self._depart(message)

    def _bury_expired(self, hold: LockedMessage) -> None:
        def done(error: BrokerError | None) -> None:
            if error is not None:
                self._retry(lambda: self._bury_expired(hold))

        self._move(hold, done, reason=TTL_EXPIRED, description=TTL_EXPIRED_DESCRIPTION)

    def _bury_undeliverable(self, hold: LockedMessage) -> None:
        def done(error: BrokerError | None) -> None:
            if error is not None:
                self._retry(lambda: self._bury_undeliverable(hold))

        self._move_undeliverable(hold, done, hold.message.delivery_count)

    def _move_undeliverable(
        self, lock: LockedMessage, done: Done, delivery_count: int, modified: bytes | None = None
    ) -> None:
        self._move(
            lock,
            done,
            reason=MAX_DELIVERY_COUNT_EXCEEDED,
            description=MAX_DELIVERY_COUNT_DESCRIPTION.format(
                max_delivery_count=self.properties.max_delivery_count
            ),
            delivery_count=delivery_count,
            modified=modified,
        )

    def _move(
        self,
        lock: LockedMessage,
        done: Done,
        *,
        reason: str | None,
        description: str | None,
        delivery_count: int | None = None,
        modified: bytes | None = None,
    ) -> None:
        """To the dead-letter queue, in one transaction. If that fails, all is as before and `done`
        has the error."""
        message = lock.message
        target = self.dead_letter
        moved = message.buried(
            target.next_sequence(),
            self.first_number_of(message),
            self.path,
            reason,
            description,
            message.delivery_count if delivery_count is None else delivery_count,
        )
        if modified is not None:
            moved.details = replace(moved.details, modified=modified)
        change = Change()
        change.put(target.number, moved)
        change.delete(self.number, message.sequence)

        def finished(error: BrokerError | None) -> None:
            if error is None:
                self._gone(lock)
                target.arrive(moved)
            done(error)

        self._commit(change, finished)

    def _activate(self, message: StoredMessage) -> None:
        """A scheduled message's time has come: it is appended as if it were sent now, with a new
        sequence number (https://learn.microsoft.com/azure/service-bus-messaging/message-sequencing).
        """
        hold = self._hold(message)
        now = self._context.clock.time()
        lifetime = message.expires_at - (message.details.scheduled_at or now)
        active = StoredMessage(
            self.next_sequence(),
            message.payload,
            now,
            now + lifetime,
            message.details,
        )
        arrivals = Arrivals(Change())
        self._place([active], arrivals, now)
        arrivals.change.delete(self.number, message.sequence)

        def finished(error: BrokerError | None) -> None:
            if error is not None:
                arrivals.finish(error)
                self._retry(lambda: self._activate(message))
                return
            self._gone(hold)
            arrivals.finish(None)

        self._commit(arrivals.change, finished)

    def _place(self, messages: Sequence[StoredMessage], arrivals: Arrivals, now: float) -> None:
        """Plan where messages go that this entity has accepted and stamped."""
        arrivals.put(self, *messages)
