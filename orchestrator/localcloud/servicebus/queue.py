"""One queue: who may have which message next. No protocol, no I/O.

Every method runs in the event loop's thread and returns at once. What must be durable is handed
to the store; the `done` callback comes when it is (or when it failed and was undone). Arguments
that cannot be served raise a `BrokerError` from the call itself, and then `done` is never called.

A message can be received only once its send is durable. A completion counts at once and is
written behind. Any other settlement is waited for: the message belongs to nobody else until it is
durable; if the store fails, the lock is as it was.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

from orchestrator.localcloud.servicebus.context import Context
from orchestrator.localcloud.servicebus.errors import (
    BrokerError,
    InvalidOperation,
    MessageNotFound,
)
from orchestrator.localcloud.servicebus.model import (
    DEAD_LETTER_SUFFIX,
    NEVER,
    TRANSFER_DEAD_LETTER_SUFFIX,
    Done,
    LockedMessage,
    MessageState,
    QueueCounts,
    QueueProperties,
    StoredMessage,
    new_tokens,
)
from orchestrator.localcloud.servicebus.settling import Settling
from orchestrator.localcloud.servicebus.store.contract import Change
from orchestrator.localcloud.servicebus.structures.line import Available, Waiter
from orchestrator.localcloud.servicebus.structures.session_shelf import SessionLock

Taken = Callable[[Sequence[StoredMessage], BrokerError | None], None]
"""Given the messages whose deletion is durable, or none and the reason."""

NUMBERS_PER_QUEUE = 4
"""Store numbers set aside for one queue: itself, its dead letters, one that is not in use, and
what could not be forwarded."""


class Queue(Settling):
    """A queue, or a dead-letter sub-queue of one (which has the same methods).

    namespace, path: its name in the first spelling; path of a sub-queue `q/$DeadLetterQueue`.
    properties: the settings (of the queue itself also for its sub-queue). deleted: it is gone;
    every method now raises EntityNotFound. dead_letter: the dead-letter sub-queue;
    transfer_dead_letter: the one of what could not be forwarded; of such a one both are itself.
    """

    def __init__(
        self,
        context: Context,
        *,
        namespace: str,
        path: str,
        number: int,
        properties: QueueProperties,
        last_sequences: dict[int, int] | None = None,
        parent: Queue | None = None,
    ) -> None:
        last = (last_sequences or {}).get(number, 0)
        super().__init__(
            context,
            namespace=namespace,
            path=path,
            number=number,
            properties=properties,
            last_sequence=last,
            is_dead_letter=parent is not None,
        )
        self._listeners: list[Callable[[], None]] = []
        self._waiting_for_sessions = OrderedDict()
        if parent is not None:
            self.dead_letter = self.transfer_dead_letter = self
            return

        def dead_letters(suffix: str, place: int) -> Queue:
            return Queue(
                context,
                namespace=namespace,
                path=path + suffix,
                number=number + place,
                properties=properties,
                last_sequences=last_sequences,
                parent=self,
            )

        self.dead_letter = dead_letters(DEAD_LETTER_SUFFIX, 1)
        self.transfer_dead_letter = dead_letters(TRANSFER_DEAD_LETTER_SUFFIX, 3)
        self.transfer_dead_letter.is_transfer = True
        # Dead letters that cannot be forwarded lie with the messages that cannot.
        self.dead_letter.transfer_dead_letter = self.transfer_dead_letter

    @property
    def parts(self) -> tuple[Queue, ...]:
        """The queue and its sub-queues."""
        return self, self.dead_letter, self.transfer_dead_letter

    def watch_idleness(self, last_used: float, noted_until: float = 0.0) -> None:
        super().watch_idleness(last_used, noted_until)
        if not self.is_dead_letter:
            for part in self.parts[1:]:
                part.watch_idleness(last_used)

    def unused_since(self, now: float) -> float:
        if self.is_dead_letter:
            return super().unused_since(now)
        below = (self.dead_letter, self.transfer_dead_letter)
        return max(super().unused_since(now), *(part.unused_since(now) for part in below))

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Have `listener` called when the queue was deleted (`deleted`) or its properties
        changed; returns what ends that."""
        self._listeners.append(listener)

        def unsubscribe() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return unsubscribe

    def counts(self) -> QueueCounts:
        """Live figures; O(1)."""
        if self.is_dead_letter:
            return QueueCounts(active=len(self._shelf), size_in_bytes=self._shelf.size)
        return QueueCounts(
            active=len(self._shelf) - self._shelf.scheduled,
            dead_letter=len(self.dead_letter._shelf),
            scheduled=self._shelf.scheduled,
            transfer_dead_letter=len(self.transfer_dead_letter._shelf),
            size_in_bytes=self._held(),
        )

    # -- for the broker ----------------------------------------------------------------------

    def update(self, properties: QueueProperties) -> None:
        """The queue's settings are others now (durably); its sub-queue's with it."""
        for queue in self.parts:
            queue.properties = properties
            queue._line.wake()
            queue.wake_sessions()
            queue.forward_all()
        self.watch_idleness(self._context.clock.time())
        self.announce()

    def close(self) -> None:
        """The queue is being deleted: nothing works any more, in its sub-queue neither."""
        for queue in self.parts:
            queue.deleted = True

    def reopen(self) -> None:
        """The deletion failed: all is as before."""
        for queue in self.parts:
            queue.deleted = False
        for queue in self.parts:
            queue.tick()
            queue.forward_all()

    def announce(self) -> None:
        """Tell those who subscribed to the queue or its sub-queue that it has changed."""
        for queue in self.parts:
            for listener in list(queue._listeners):
                listener()

    # -- receiving ---------------------------------------------------------------------------

    def check_receive(self) -> None:
        """Whether receivers without a session are welcome (the front asks at attach).

        Raises EntityNotFound, EntityDisabled, InvalidOperation.
        """
        self._check_exists()
        self._check_enabled()
        self.check_stays("receiver")
        if self.properties.requires_session and not self.is_dead_letter:
            raise InvalidOperation(
                "It is not possible for an entity that requires sessions to create a "
                "non-sessionful message receiver."
            )

    def acquire(self, count: int) -> list[LockedMessage]:
        """Lock up to `count` messages, oldest first; fewer or none if there are not as many.

        Raises EntityNotFound, EntityDisabled, InvalidOperation (session queue).
        """
        self.check_receive()
        now = self._now()
        messages = self.pop_ready(count, now)
        return self._lock(messages, now) if messages else []

    def take(self, count: int, taken: Taken) -> int:
        """RECEIVE_AND_DELETE: remove up to `count` messages. Returns how many are reserved (0:
        `taken` is not called); `taken(messages, None)` once their deletion is durable, or
        `taken([], error)` and they are back in the queue."""
        self.check_receive()
        messages = self.pop_ready(count, self._now())
        if messages:
            self._take(messages, taken)
        return len(messages)

    def waiter(self, available: Available) -> Waiter:
        """A place in the line of those who found nothing. Call `waiter.wait()` when `acquire` or
        `take` gave less than the link's credit; `available(share)` comes once, then call
        `acquire(min(share, credit))` and `wait()` again if credit is left."""
        return Waiter(self._line, available)

    def waiter_of(self, session: SessionLock, available: Available) -> Waiter:
        """As `waiter`, for the messages of one session."""
        return Waiter(session.line, available)

    def acquire_deferred(
        self, sequences: Sequence[int], session: SessionLock | None = None
    ) -> list[LockedMessage]:
        """Lock these deferred messages, all or none; in a queue with sessions those of `session`,
        with its lock. Raises MessageNotFound, SessionLockLost, EntityDisabled, InvalidOperation."""
        self._check_deferred(session)
        now = self._now()
        return self._lock(self._pick_deferred(sequences, now, session), now, session)

    def _check_deferred(self, session: SessionLock | None) -> None:
        self._check_exists()
        self._check_enabled()
        if session is not None:
            self._check_session(session)
        elif self.has_sessions:
            raise InvalidOperation("Deferred messages of a session are had with its lock.")

    def take_deferred(
        self, sequences: Sequence[int], taken: Taken, session: SessionLock | None = None
    ) -> None:
        """Remove these deferred messages, all or none (receive-by-sequence-number with settle
        mode 0). Raises as `acquire_deferred`."""
        self._check_deferred(session)
        self._take(self._pick_deferred(sequences, self._now(), session), taken)

    def take_of(self, session: SessionLock, count: int, taken: Taken) -> int:
        """As `take`, of one session's messages. Raises SessionLockLost."""
        messages = self.pop_of(session, count)
        if messages:
            self._take(messages, taken)
        return len(messages)

    def delete_older(
        self, before: float, count: int, deleted: Taken, session: SessionLock | None = None
    ) -> None:
        """Delete up to `count` messages that were enqueued before that moment (epoch seconds),
        oldest first; in a queue with sessions, those of `session`. Locked, deferred and scheduled
        ones stay. Raises EntityNotFound, EntityDisabled, InvalidOperation, SessionLockLost."""
        younger: list[StoredMessage] = []

        def pick(ready: Callable[[], list[StoredMessage]]) -> list[StoredMessage]:
            older: list[StoredMessage] = []
            while len(older) < count and (found := ready()):
                if found[0].enqueued_at < before:
                    older.append(found[0])
                    continue
                younger.append(found[0])
                # Whoever comes to lie behind it came later; but not among the dead letters, which
                # keep the time that they had, and get new numbers.
                if not self.is_dead_letter:
                    break
            return older

        if session is not None:
            older = pick(lambda: self.pop_of(session, 1))
        else:
            self.check_receive()
            now = self._now()
            older = pick(lambda: self.pop_ready(1, now))
        self._shelf.offer(younger)
        if older:
            self._take(older, deleted)
        else:
            deleted([], None)

    def _lock_in(self, lock: SessionLock, messages: list[StoredMessage]) -> list[LockedMessage]:
        return self._lock(messages, self._context.clock.time(), lock) if messages else []

    def peek(self, from_sequence: int, count: int) -> list[StoredMessage]:
        """Up to `count` messages of all states, by sequence number, from `from_sequence` on;
        nothing is locked. Raises EntityNotFound."""
        self._check_exists()
        self._now()
        return self._shelf.walk(from_sequence, min(count, self._context.limits.peek_batch))

    def _lock(
        self, messages: Sequence[StoredMessage], now: float, session: SessionLock | None = None
    ) -> list[LockedMessage]:
        until = now + self.properties.lock_duration if session is None else NEVER
        locks = []
        for message, token in zip(messages, new_tokens(len(messages)), strict=True):
            lock = LockedMessage(message, token, until, session)
            message.lock = lock
            locks.append(lock)
        held = {lock.token: lock for lock in locks}
        self._locks.update(held)
        if session is None:
            self._remind(self._shelf.watch_locks(until, messages))
            self._note(messages)
        else:
            session.held.update(held)
        return locks

    def _take(self, messages: Sequence[StoredMessage], taken: Taken) -> None:
        def done(error: BrokerError | None) -> None:
            taken([] if error is not None else messages, error)

        self._delete([self._hold(message) for message in messages], done)

    def _delete(self, holds: Sequence[LockedMessage], done: Done) -> None:
        change = Change()
        for hold in holds:
            change.delete(self.number, hold.message.sequence)

        def finished(error: BrokerError | None) -> None:
            now = self._context.clock.time()
            for hold in holds:
                if error is None:
                    self._gone(hold)
                else:
                    self._return(hold.message, now)
            done(error)

        self._commit(change, finished)

    def _pick(
        self, sequences: Sequence[int], state: MessageState, session: SessionLock | None = None
    ) -> list[StoredMessage]:
        messages = []
        for sequence in dict.fromkeys(sequences):
            message = self._shelf.messages.get(sequence)
            elsewhere = (
                message is not None
                and session is not None
                and message.details.session_id != session.session_id
            )
            if (
                message is None
                or elsewhere
                or message.state is not state
                or message.lock is not None
            ):
                raise MessageNotFound(
                    "Failed to lock one or more specified messages. Either the message is already "
                    f"locked or does not exist: there is no such {state.name.lower()} message with "
                    f"sequence number {sequence} in {self.namespace}/{self.path}."
                )
            messages.append(message)
        return messages

    def _pick_deferred(
        self, sequences: Sequence[int], now: float, session: SessionLock | None
    ) -> list[StoredMessage]:
        # A deferred message's time to live is looked at only when somebody asks for it
        # (https://learn.microsoft.com/azure/service-bus-messaging/message-deferral).
        for sequence in sequences:
            message = self._shelf.messages.get(sequence)
            if message is not None and message.expires_at <= now:
                deferred = message.state is MessageState.DEFERRED and message.lock is None
                if deferred:
                    self._expire(message)
        return self._pick(sequences, MessageState.DEFERRED, session)

    def check_scheduled(self, sequences: Sequence[int]) -> None:
        """Whether they could be cancelled. Raises MessageNotFound."""
        self._check_exists()
        self._now()
        self._pick(sequences, MessageState.SCHEDULED)

    def cancel_scheduled(self, sequences: Sequence[int], done: Done) -> None:
        """Delete scheduled messages, all or none. Raises MessageNotFound."""
        self._check_exists()
        self._now()
        holds = [self._hold(m) for m in self._pick(sequences, MessageState.SCHEDULED)]
        self._delete(holds, done)
