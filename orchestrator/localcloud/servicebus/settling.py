"""Who has a message under lock says what becomes of it."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.localcloud.servicebus.errors import BrokerError, InvalidOperation, LockLost
from orchestrator.localcloud.servicebus.idleness import Idleness
from orchestrator.localcloud.servicebus.model import Done, LockedMessage, MessageState
from orchestrator.localcloud.servicebus.store.contract import Change


class Settling(Idleness):
    """What holders of locks may do. All raise LockLost at once if the token holds no lock."""

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
        """Delete the message: it is gone when this returns, for a later process, too. Only a power
        cut in that moment delivers it again. Raises EntityDisabled, too."""
        lock = self._removable(token)
        lock.settling = True
        self._unlock(lock)
        self._depart(lock.message)
        self._freed(lock)

    def complete_durably(self, token: bytes, done: Done) -> None:
        """As `complete`, but the message is gone only when its deletion is durable."""
        lock = self._removable(token)
        lock.settling = True
        change = Change()
        change.delete(self.number, lock.message.sequence)

        def finished(error: BrokerError | None) -> None:
            if error is None:
                self._gone(lock)
            done(error)

        self._commit(change, self._or_regain(lock, finished))

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
