"""A client's receiver link: messages of a queue go out, settlements come back.

PEEK_LOCK where the receiver settles (sender-settle-mode unsettled or mixed); the delivery tag is
the lock token. RECEIVE_AND_DELETE where deliveries are sent settled, after their deletion is
durable. Locks belong to the queue: a link that goes leaves its messages locked until they expire,
as the service does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from orchestrator.localcloud.amqp import performatives as p
from orchestrator.localcloud.amqp.errors import NOT_ALLOWED, NOT_IMPLEMENTED, AmqpError
from orchestrator.localcloud.amqp.events import Disposed
from orchestrator.localcloud.amqp.link import (
    OutgoingDelivery,
    OutgoingLink,
    with_filters,
)
from orchestrator.localcloud.amqp.link_base import SenderSettleMode
from orchestrator.localcloud.servicebus.errors import BrokerError
from orchestrator.localcloud.servicebus.front.faults import (
    SERVER_BUSY,
    Strike,
    server_busy,
    settlement,
)
from orchestrator.localcloud.servicebus.front.links.door import Door, wire_error
from orchestrator.localcloud.servicebus.front.messages import (
    DESCRIPTION,
    REASON,
    merged,
    text_of,
    write,
)
from orchestrator.localcloud.servicebus.model import Done, LockedMessage, Right, StoredMessage
from orchestrator.localcloud.servicebus.queue import Queue

if TYPE_CHECKING:
    from orchestrator.localcloud.servicebus.front.peer import Peer

DEAD_LETTER = "com.microsoft:dead-letter"
NO_TAG = b""
"""Of a delivery that is settled when it is sent: nothing refers to it; the service names none."""
SESSION_FILTER = "com.microsoft:session-filter"

# From how many unsettled deliveries on a session those whose locks ended LONG seconds ago are
# forgotten: a client that never settles must not be remembered for ever.
SWEEP = 1000
LONG = 600.0

# Messages fetched from the queue at one go, so that one receiver with endless credit neither holds
# up the loop nor fills its connection's buffer by more than this.
BATCH = 100


class ReceiverDoor(Door):
    """Joins `queue` to an outgoing link."""

    right = Right.LISTEN

    def __init__(self, peer: Peer, link: OutgoingLink, queue: Queue) -> None:
        self.link: OutgoingLink = link
        self.namespace = queue.namespace
        self.path = queue.path
        self._peer = peer
        self._queue = queue
        self._delete = link.snd_settle_mode == SenderSettleMode.SETTLED
        self._waiter = queue.waiter(self._available)
        # Messages of a RECEIVE_AND_DELETE receiver whose deletion is being made durable.
        self._reserved = 0
        self._sweep_at = SWEEP
        self._unsubscribe = queue.subscribe(self._changed)

    def open(self) -> None:
        """Accept the link. Raises `BrokerError` or `AmqpError` if it is to be refused."""
        self._queue.check_receive()
        if SESSION_FILTER in self.link.source.filters:
            raise AmqpError(
                NOT_ALLOWED,
                "A sessionful message receiver cannot be created on an entity that does not "
                "require sessions.",
            )
        # There are no other filters: an entity of a topic filters by its rules.
        source = with_filters(self.link.source, {}) if self.link.source.filters else None
        self.link.accept(max_message_size=self._queue.max_message_size, source=source)

    # Out

    def on_sendable(self) -> None:
        if not self._peer.writable:
            return  # asked again when it is
        if self.link.drain:
            wanted = min(self._wanted(), BATCH)
            given = self._pump(wanted)
            if self._reserved:
                return  # asked again when those are gone
            if given == BATCH:
                # There may be more, and others are to have their turn.
                asyncio.get_running_loop().call_soon(self._drain_on)
            else:
                self.link.drained()
        elif self._wanted() > 0:
            self._waiter.wait()
        else:
            self._waiter.cancel()

    def _drain_on(self) -> None:
        if self.link.attached:
            self.on_sendable()
            self._peer.wake()

    def _wanted(self) -> int:
        return self.link.sendable - self._reserved if self._peer.writable else 0

    def _available(self, share: int) -> None:
        """The queue has `share` messages for this receiver."""
        self._pump(min(share, self._wanted(), BATCH))
        if self._wanted() > 0:
            self._waiter.wait()
        self._peer.wake()

    def _pump(self, count: int) -> int:
        """Send up to `count` messages, as many as are there; how many those are."""
        if count <= 0:
            return 0
        given = 0
        strike = self._peer.strike("receive", self.namespace, self.path)
        if strike is Strike.CUT:
            self._peer.cut()
            return 0
        if strike is Strike.BUSY:
            self._peer.detach(self, server_busy())
            return 0
        try:
            if self._delete:
                given = self._take(count)
                self._reserved += given
            else:
                size = 0
                number_of = self._queue.number_of
                for locked in self._acquire(count):
                    payload = write(locked.message, number_of(locked.message), locked)
                    self.link.send(payload, locked.token, context=locked)
                    given += 1
                    size += locked.message.size
                self._handed(given, size)
                if len(self.link.session.outgoing) > self._sweep_at:
                    self._sweep()
            if strike is Strike.CUT_AFTER:
                self._peer.cut()
        except BrokerError as error:
            self._peer.detach(self, wire_error(error))
        return given

    def _acquire(self, count: int) -> Sequence[LockedMessage]:
        return self._queue.acquire(count)

    def _take(self, count: int) -> int:
        return self._queue.take(count, self._taken)

    def _handed(self, count: int, size: int) -> None:
        """So many messages went out in answer to the receiver's credit."""
        if count:
            meter = self._peer.broker.meter
            meter.outgoing(self.namespace, self.path, count, size)
            meter.request(self.namespace, self.path, None)

    def _sweep(self) -> None:
        before = self._peer.now() - LONG
        self.link.forget(lambda locked: locked.locked_until < before)
        self._sweep_at = max(SWEEP, 2 * len(self.link.session.outgoing))

    def _taken(self, messages: Sequence[StoredMessage], error: BrokerError | None) -> None:
        self._reserved = 0 if error is not None else self._reserved - len(messages)
        if not self.link.attached:
            return
        if error is not None:
            self._peer.detach(self, wire_error(error))
            return
        for message in messages:
            self.link.send(write(message, self._queue.number_of(message)), NO_TAG, settled=True)
        self._handed(len(messages), sum(message.size for message in messages))
        if self.link.drain:
            self.on_sendable()
        elif self._wanted() > 0:
            self._waiter.wait()
        self._peer.wake()

    def _changed(self) -> None:
        try:
            self._queue.check_receive()
        except BrokerError as error:
            self._peer.detach(self, wire_error(error))

    # Back

    def on_disposed(self, event: Disposed) -> None:
        outcome = event.outcome
        deliveries = event.deliveries
        if outcome is None:
            # Settled without an outcome: the receiver let go of them, so give them back; but not
            # those whose outcome it has told in a transaction before.
            outcome = p.RELEASE
            transactions = self._peer.transactions
            deliveries = [one for one in deliveries if not transactions.holds(one)]
        for delivery in deliveries:
            self._settle(delivery, outcome)
        self._peer.wake()

    def _settle(self, delivery: OutgoingDelivery, outcome: p.Outcome) -> None:
        locked: LockedMessage = delivery.context
        operation = settlement(outcome)
        strike = self._peer.strike(operation, self.namespace, self.path)
        if strike is not None and self._struck(strike, delivery, outcome.transaction):
            return
        if outcome.transaction is not None:
            self._enlist(delivery, outcome, outcome.transaction)
            return
        if outcome.kind == p.ACCEPTED:
            failure: BrokerError | None = None
            try:
                self._queue.complete(locked.token)
            except BrokerError as error:
                failure = error
            self._settled(delivery, operation, outcome, strike, failure)
            return
        # The answer names what was applied, without the reasons that the receiver gave: a rejected
        # with an error would tell it that its settlement failed.
        answer = outcome
        if outcome.kind in (p.MODIFIED, p.REJECTED):
            answer = p.Outcome(outcome.kind, failed=outcome.failed, elsewhere=outcome.elsewhere)

        def done(error: BrokerError | None) -> None:
            self._settled(delivery, operation, answer, strike, error)

        try:
            if outcome.kind == p.RELEASED:
                self._queue.release(locked.token)
                self.link.settle(delivery, answer)
            elif outcome.kind in (p.MODIFIED, p.REJECTED):
                self._move(locked, outcome)[0](done)
            else:
                unknown = AmqpError(NOT_IMPLEMENTED, "There is no such outcome.")
                self.link.settle(delivery, p.reject(unknown))
        except BrokerError as error:
            done(error)

    def _move(
        self, locked: LockedMessage, outcome: p.Outcome
    ) -> tuple[Callable[[Done], None], int]:
        """What abandons, defers or dead-letters it (and raises BrokerError), and how many bytes of
        the client's that holds."""
        queue, token = self._queue, locked.token
        if outcome.kind == p.REJECTED:
            reason, description, info = _reasons(outcome.error)
            changes = merged(locked.message, info)
            size = len(reason or "") + len(description or "") + len(changes or b"")
            return lambda done: queue.dead_letter_message(
                token, done, reason, description, changes
            ), size
        changes = merged(locked.message, outcome.annotations)
        settle = queue.defer if outcome.elsewhere else queue.abandon
        return lambda done: settle(token, done, changes), len(changes or b"")

    def _enlist(self, delivery: OutgoingDelivery, outcome: p.Outcome, transaction: bytes) -> None:
        """Settle it when the transaction is discharged; until then it stays locked, and after a
        rollback its holder may settle it again (part 4, section 4.4.3)."""
        locked: LockedMessage = delivery.context
        operation = settlement(outcome)
        kind, failed, elsewhere = outcome.kind, outcome.failed, outcome.elsewhere

        def done(error: BrokerError | None) -> None:
            if error is None:
                self.link.settle(delivery, p.Outcome(kind, failed=failed, elsewhere=elsewhere))
                meter = self._peer.broker.meter
                meter.request(self.namespace, self.path, None)
                meter.settled(self.namespace, self.path, operation)

        try:
            if outcome.kind not in (p.ACCEPTED, p.MODIFIED, p.REJECTED):
                raise AmqpError(
                    NOT_IMPLEMENTED,
                    "In a transaction a message is completed, abandoned, deferred or "
                    "dead-lettered.",
                )
            self._queue.locked(locked.token)
            settle: Callable[[Done], None] = partial(self._queue.complete_durably, locked.token)
            size = 0
            if outcome.kind != p.ACCEPTED:
                settle, size = self._move(locked, outcome)
            # Said without and then with the settling of the delivery (as Proton does when its
            # application settles before the discharge), it happens once.
            how = kind, failed, elsewhere
            self._peer.transactions.enlist(
                transaction, partial(settle, done), size=size, settles=(delivery, how)
            )
        except BrokerError as error:
            self._exclude(delivery, transaction, wire_error(error))
        except AmqpError as error:
            self._exclude(delivery, transaction, error)
        else:
            self.link.answer(
                delivery,
                p.Outcome(kind, failed=failed, elsewhere=elsewhere, transaction=transaction),
            )

    def _exclude(
        self, delivery: OutgoingDelivery, transaction: bytes | None, error: AmqpError
    ) -> None:
        """It cannot be settled, in the transaction if there is one."""
        if delivery.settled and transaction is not None:
            self._peer.transactions.spoil(transaction, error)
        self.link.settle(delivery, p.reject(error))

    def _struck(
        self, strike: Strike, delivery: OutgoingDelivery, transaction: bytes | None
    ) -> bool:
        """A fault befalls a settlement; whether nothing more becomes of it."""
        if strike is Strike.CUT:
            self._peer.cut()
            return True
        if strike is Strike.BUSY:
            self._peer.broker.meter.request(self.namespace, self.path, SERVER_BUSY)
            self._exclude(delivery, transaction, server_busy())
            self._peer.wake()
            return True
        if strike is Strike.LOCK_LOST:
            self._queue.lose(delivery.context.token)
        return False

    def _settled(
        self,
        delivery: OutgoingDelivery,
        operation: str,
        answer: p.Outcome,
        strike: Strike | None,
        error: BrokerError | None,
    ) -> None:
        """The settlement is done, or has failed: tell the receiver."""
        meter = self._peer.broker.meter
        if error is None:
            meter.request(self.namespace, self.path, None)
            meter.settled(self.namespace, self.path, operation)
        else:
            answer = p.reject(wire_error(error))
            meter.request(self.namespace, self.path, wire_error(error).condition)
        if strike is not None and strike is Strike.CUT_AFTER:
            self._peer.cut()
        else:
            self.link.settle(delivery, answer)
        self._peer.wake()

    def on_detached(self) -> None:
        self._waiter.cancel()
        self._unsubscribe()


def _reasons(error: AmqpError | None) -> tuple[str | None, str | None, dict[Any, Any]]:
    """Why it is dead-lettered: reason, description, and further properties."""
    info: dict[Any, Any] = {} if error is None else dict(error.info)
    reason, description = info.pop(REASON, None), info.pop(DESCRIPTION, None)
    if error is not None and error.condition != DEAD_LETTER:
        reason = reason or error.condition
        description = description or error.description
    return text_of(reason), text_of(description), info
