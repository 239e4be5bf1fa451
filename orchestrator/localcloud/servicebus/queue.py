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
from dataclasses import replace

from orchestrator.localcloud.servicebus.errors import (
    BrokerError,
    InvalidOperation,
    LockLost,
    MessageNotFound,
)
from orchestrator.localcloud.servicebus.idleness import Idleness
from orchestrator.localcloud.servicebus.lifecycle import Context
from orchestrator.localcloud.servicebus.line import Available, Waiter
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
from orchestrator.localcloud.servicebus.session_shelf import SessionLock
from orchestrator.localcloud.servicebus.store import Change

Taken = Callable[[Sequence[StoredMessage], BrokerError | None], None]
"""Given the messages whose deletion is durable, or none and the reason."""

NUMBERS_PER_QUEUE = 4
"""Store numbers set aside for one queue: itself, its dead letters, one that is not in use, and
what could not be forwarded."""


class Queue(Idleness):
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
        if self.forwards_to is not None:
            raise InvalidOperation(
                f"{self.namespace}/{self.path} forwards its messages to {self.forwards_to}: "
                "receive them there."
            )
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
            # A moved message keeps its time and gets a new number: the order tells nothing here.
            older: list[StoredMessage] = []
            while len(older) < count and (found := ready()):
                (older if found[0].enqueued_at < before else younger).append(found[0])
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

    def cancel_scheduled(self, sequences: Sequence[int], done: Done) -> None:
        """Delete scheduled messages, all or none. Raises MessageNotFound."""
        self._check_exists()
        self._now()
        holds = [self._hold(m) for m in self._pick(sequences, MessageState.SCHEDULED)]
        self._delete(holds, done)

    # -- settling: all raise LockLost at once if the token holds no lock ----------------------

    def locked(self, token: bytes) -> LockedMessage:
        """The lock of that token. Raises LockLost."""
        self._check_exists()
        now = self._now()
        lock = self._locks.get(token)
        if lock is None or lock.settling or lock.locked_until <= now:
            raise LockLost(
                "The lock supplied is invalid. Either the lock expired, or the message has already "
                f"been removed from the queue {self.namespace}/{self.path}."
            )
        return lock

    def _removable(self, token: bytes) -> LockedMessage:
        """The lock of that token. A disabled entity keeps all its messages, also from who has them
        (https://learn.microsoft.com/azure/service-bus-messaging/entity-suspend). Raises LockLost,
        EntityDisabled."""
        lock = self.locked(token)
        self._check_enabled()
        return lock

    def complete(self, token: bytes) -> None:
        """Delete the message: it is gone when this returns, in the store a moment later. A crash
        before that delivers it again. Raises EntityDisabled, too."""
        lock = self._removable(token)
        lock.settling = True
        self._unlock(lock)
        self._depart(lock.message)
        self._freed(lock)

    def abandon(self, token: bytes, done: Done, modified: bytes | None = None) -> None:
        """Give it back with delivery_count + 1 (a dead letter with the same); to the dead-letter
        queue if that reaches the queue's max_delivery_count. `modified` (all entries: merge with
        `details.modified` first) replaces the former one; None keeps that."""
        lock = self.locked(token)
        self._give_back(lock, done, lock.message.state, modified)

    def defer(self, token: bytes, done: Done, modified: bytes | None = None) -> None:
        """Set it aside; from then on only its sequence number fetches it. That counts as a
        delivery (https://github.com/Azure/azure-service-bus/issues/375)."""
        self._give_back(self.locked(token), done, MessageState.DEFERRED, modified)

    def _give_back(
        self, lock: LockedMessage, done: Done, state: MessageState, modified: bytes | None
    ) -> None:
        lock.settling = True
        message = lock.message
        delivery_count = self._count_after_failure(message)
        if self._delivered_too_often(delivery_count):
            self._move_undeliverable(lock, self._or_regain(lock, done), delivery_count, modified)
            return
        change = Change()
        change.update(
            self.number, message, state=state, delivery_count=delivery_count, modified=modified
        )

        def finished(error: BrokerError | None) -> None:
            if error is None:
                self._unlock(lock)
                message.state = state
                message.delivery_count = delivery_count
                if modified is not None:
                    message.details = replace(message.details, modified=modified)
                self._return(message, self._context.clock.time())
                self._freed(lock)
            done(error)

        self._commit(change, self._or_regain(lock, finished))

    def dead_letter_message(
        self,
        token: bytes,
        done: Done,
        reason: str | None = None,
        description: str | None = None,
        modified: bytes | None = None,
    ) -> None:
        """Move it to the dead-letter sub-queue in one transaction. In a dead-letter queue it is
        an InvalidOperation. Raises EntityDisabled, too."""
        lock = self._removable(token)
        if self.is_dead_letter:
            raise InvalidOperation(f"A message in {self.path} cannot be dead-lettered again.")
        lock.settling = True
        self._move(
            lock,
            self._or_regain(lock, done),
            reason=reason,
            description=description,
            modified=modified,
        )

    def release(self, token: bytes) -> None:
        """Give it back as if it had never been delivered (count unchanged)."""
        lock = self.locked(token)
        self._unlock(lock)
        lock.message.lock = None
        self._note([lock.message])
        self._return(lock.message, self._context.clock.time())

    def lose(self, token: bytes) -> None:
        """Take the lock from its holder as if it had expired; one that is gone stays so."""
        lock = self._locks.get(token)
        if lock is not None and lock.session is not None:
            self.lose_session(lock.session)
        elif lock is not None and not lock.settling:
            self._lock_expired(lock, self._context.clock.time())

    def renew(self, token: bytes) -> float:
        """Lock it for another lock_duration from now; the new locked_until."""
        lock = self.locked(token)
        if lock.session is not None:
            raise InvalidOperation(
                "The lock of a message of a session is the session's: renew that."
            )
        lock.locked_until = self._context.clock.time() + self.properties.lock_duration
        self._watch(lock.message)
        self._note([lock.message])
        return lock.locked_until

    def _or_regain(self, lock: LockedMessage, done: Done) -> Done:
        def finished(error: BrokerError | None) -> None:
            if error is not None:
                self._regain(lock)
            done(error)

        return finished

    def _regain(self, lock: LockedMessage) -> None:
        """The settlement failed: the lock is as it was, or has expired meanwhile."""
        lock.settling = False
        now = self._context.clock.time()
        if lock.session is not None:
            if lock.session.over:
                self._lock_expired(lock, now)
                self._freed(lock)
        elif lock.locked_until <= now:
            self._lock_expired(lock, now)
        else:
            self._watch(lock.message)
