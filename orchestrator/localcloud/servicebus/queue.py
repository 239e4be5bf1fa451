"""One queue: who may have which message next. No protocol, no I/O.

Every method runs in the event loop's thread and returns at once. What must be durable is handed
to the store; the `done` callback comes when it is (or when it failed and was undone). Arguments
that cannot be served raise a `BrokerError` from the call itself, and then `done` is never called.

A message can be received only once its send is durable. A message being settled belongs to
nobody else until the settlement is durable; if the store fails, the lock is as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

from orchestrator.localcloud.servicebus.errors import BrokerError
from orchestrator.localcloud.servicebus.model import (
    Done,
    IncomingMessage,
    LockedMessage,
    QueueCounts,
    QueueProperties,
    StoredMessage,
)

Taken = Callable[[Sequence[StoredMessage], BrokerError | None], None]
"""Given the messages whose deletion is durable, or none and the reason."""

Available = Callable[[int], None]
"""Called with how many messages this consumer may fairly acquire now (at least 1)."""


class Waiter:
    """A consumer's place in the line for messages; see `Queue.waiter`."""

    def wait(self) -> None:
        """Join the end of the line (no-op when in it): `available` is called once, when messages
        are there and it is this consumer's turn. At once (from the loop) if some are there now."""
        raise NotImplementedError

    def cancel(self) -> None:
        """Leave the line."""
        raise NotImplementedError


class Queue:
    """A queue, or the dead-letter sub-queue of one (which has the same methods)."""

    namespace: str
    path: str
    """The entity path in its first spelling, e.g. `parameters` or `parameters/$DeadLetterQueue`."""
    properties: QueueProperties
    is_dead_letter: bool
    dead_letter: Queue
    """The dead-letter sub-queue; of a sub-queue: itself."""

    @property
    def max_message_size(self) -> int:
        """Bytes; the front advertises it as the link's max-message-size."""
        raise NotImplementedError

    # -- sending ---------------------------------------------------------------------------

    def send(self, messages: Sequence[IncomingMessage], done: Done) -> list[int]:
        """Store the messages, all or none, and give their sequence numbers (0 for a duplicate
        that was dropped). Those with a later `scheduled_at` become scheduled.

        Raises EntityDisabled, MessageTooLarge, QuotaExceeded, InvalidOperation (a session queue
        wants a session id; a dead-letter queue takes no sends). `done(StoreFull|StoreFailed)`:
        nothing of it is stored.
        """
        raise NotImplementedError

    def cancel_scheduled(self, sequences: Sequence[int], done: Done) -> None:
        """Delete scheduled messages, all or none. Raises MessageNotFound."""
        raise NotImplementedError

    # -- receiving -------------------------------------------------------------------------

    def acquire(self, count: int) -> list[LockedMessage]:
        """Lock up to `count` messages, oldest first; fewer or none if there are not as many.

        Raises EntityDisabled, InvalidOperation (session queue).
        """
        raise NotImplementedError

    def take(self, count: int, taken: Taken) -> int:
        """RECEIVE_AND_DELETE: remove up to `count` messages. Returns how many are reserved (0:
        `taken` is not called); `taken(messages, None)` once their deletion is durable, or
        `taken([], error)` and they are back in the queue."""
        raise NotImplementedError

    def waiter(self, available: Available) -> Waiter:
        """A place in the line of those who found nothing. Call `waiter.wait()` when `acquire` or
        `take` gave less than the link's credit; `available(share)` comes once, then call
        `acquire(min(share, credit))` and `wait()` again if credit is left."""
        raise NotImplementedError

    def acquire_deferred(self, sequences: Sequence[int]) -> list[LockedMessage]:
        """Lock these deferred messages, all or none. Raises MessageNotFound."""
        raise NotImplementedError

    def take_deferred(self, sequences: Sequence[int], taken: Taken) -> None:
        """Remove these deferred messages (receive-by-sequence-number with settle mode 0)."""
        raise NotImplementedError

    def peek(self, from_sequence: int, count: int) -> list[StoredMessage]:
        """Up to `count` messages of all states, by sequence number, from `from_sequence` on;
        nothing is locked."""
        raise NotImplementedError

    # -- settling: all raise LockLost at once if the token holds no lock --------------------

    def locked(self, token: UUID) -> LockedMessage:
        """The lock of that token. Raises LockLost."""
        raise NotImplementedError

    def complete(self, token: UUID, done: Done) -> None:
        """Delete the message. A crash before `done` merely redelivers it."""
        raise NotImplementedError

    def abandon(self, token: UUID, done: Done, modified: bytes | None = None) -> None:
        """Give it back with delivery_count + 1; to the dead-letter queue if that reaches the
        queue's max_delivery_count. `modified` (all entries: merge with `details.modified` first)
        replaces the former one; None keeps that."""
        raise NotImplementedError

    def defer(self, token: UUID, done: Done, modified: bytes | None = None) -> None:
        """Set it aside; from then on only its sequence number fetches it."""
        raise NotImplementedError

    def dead_letter_message(
        self,
        token: UUID,
        done: Done,
        reason: str | None = None,
        description: str | None = None,
        modified: bytes | None = None,
    ) -> None:
        """Move it to the dead-letter sub-queue in one transaction. In a dead-letter queue it is
        an InvalidOperation."""
        raise NotImplementedError

    def release(self, token: UUID) -> None:
        """Give it back as if it had never been delivered (count unchanged)."""
        raise NotImplementedError

    def renew(self, token: UUID) -> float:
        """Lock it for another lock_duration from now; the new locked_until."""
        raise NotImplementedError

    # -- figures ---------------------------------------------------------------------------

    def counts(self) -> QueueCounts:
        """Live figures; O(1)."""
        raise NotImplementedError
