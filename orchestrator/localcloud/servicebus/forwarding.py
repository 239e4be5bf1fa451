"""Forwarding: what arrives in a queue that names another moves on there, in one transaction.

https://learn.microsoft.com/azure/service-bus-messaging/service-bus-auto-forwarding and, for what
becomes of a message that cannot be forwarded,
https://learn.microsoft.com/azure/service-bus-messaging/service-bus-dead-letter-queues.

A send is acknowledged when the first queue holds the message; the move takes it out there and puts
it into the next one at once, so that a crash leaves it in the one or in the other, never in both
and never in neither. A message whose target is missing, disabled, full or more than four hops away
goes to the transfer dead-letter queue of the entity that could not forward it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from orchestrator.localcloud.servicebus.arrivals import Arrivals
from orchestrator.localcloud.servicebus.errors import (
    BrokerError,
    EntityDisabled,
    EntityNotFound,
    InvalidOperation,
    MessageTooLarge,
    QuotaExceeded,
    StoreError,
)
from orchestrator.localcloud.servicebus.intake import Intake
from orchestrator.localcloud.servicebus.limits import FOREVER
from orchestrator.localcloud.servicebus.model import (
    NEVER,
    Details,
    Done,
    IncomingMessage,
    LockedMessage,
    StoredMessage,
)
from orchestrator.localcloud.servicebus.store.contract import Change

HOPS_EXCEEDED = "MaxTransferHopCountExceeded"
SESSION_ID_IS_NULL = "SessionIDIsNull"

_REASONS: dict[type[BrokerError], str] = {
    EntityNotFound: "MessagingEntityNotFound",
    EntityDisabled: "MessagingEntityDisabled",
    QuotaExceeded: "QuotaExceeded",
    MessageTooLarge: "MessageSizeExceeded",
}

_LONGEST_TTL = 0xFFFFFFFF / 1000  # what clients write for "for ever"

_AT_ONCE = 200
"""Messages moved in one transaction; the event loop runs between two."""


class Forwarding(Intake):
    """Adds to a queue what moves its messages on."""

    _forwarding = False

    @property
    def forwards_to(self) -> str | None:
        """The entity that this queue's messages move on to; None: they stay."""
        if not self.is_dead_letter:
            return self.properties.forward_to
        # A dead letter that could not be forwarded stays where it is looked for.
        return None if self.is_transfer else self.properties.forward_dead_letters_to

    def check_stays(self, client: str) -> None:
        """Whether messages stay here for a receiver or a browser (who peeks). Raises
        InvalidOperation, in the service's words
        (https://github.com/Azure/azure-sdk-for-net/pull/34816)."""
        if self.forwards_to is not None:
            raise InvalidOperation(
                f"Cannot create a message {client} on an entity with auto-forwarding enabled: "
                f"{self.namespace}/{self.path} forwards its messages to {self.forwards_to}; look "
                "for them there."
            )

    def _offered(self) -> None:
        if self.forwards_to is None:
            super()._offered()
        elif not self._forwarding:
            self._forwarding = True
            self._context.soon(self._forward)

    def forward_all(self) -> None:
        """The settings have changed: messages that lie here may have to move on."""
        if self.forwards_to is not None and self._shelf.ready:
            self._offered()

    def _forward(self) -> None:
        target = self.forwards_to
        messages: list[StoredMessage] = []
        if target is not None and not self.deleted:
            messages = self.pop_ready(_AT_ONCE, self._now(), self._shelf.pop_any)
        if target is not None and messages:
            self._forward_held([self._hold(message) for message in messages], target)
        else:
            self._forwarding = False

    def _forward_held(self, holds: Sequence[LockedMessage], target: str) -> None:
        """Move them on, and then what has come meanwhile. One transaction at a time: of several
        the first alone may fail, and what was sent in order has to arrive in order."""
        arrivals = Arrivals(Change())
        now = self._context.clock.time()
        count = 0
        for hold in holds:
            try:
                self._transfer(hold.message, target, arrivals, now)
            except StoreError:
                # It repeats one that is on its way to the store: only its fate tells ours.
                break
            arrivals.change.delete(self.number, hold.message.sequence)
            count += 1
        moved, rest = holds[:count], holds[count:]

        def finished(error: BrokerError | None) -> None:
            if error is not None:
                arrivals.finish(error)
                self._retry(lambda: self._forward_again(holds))
                return
            for hold in moved:
                self._gone(hold)
            arrivals.finish(None)
            if rest:
                self._forward_again(rest)
            else:
                self._forward()

        if moved:
            self._commit(arrivals.change, finished)
        else:
            self._context.store.barrier(lambda _: self._forward_again(rest))

    def _forward_again(self, holds: Sequence[LockedMessage]) -> None:
        if self.deleted:  # unless its deletion fails
            self._retry(lambda: self._forward_again(holds))
            return
        target = self.forwards_to
        if target is not None:
            self._forward_held(holds, target)
            return
        self._forwarding = False
        now = self._context.clock.time()
        for hold in holds:
            self._return(hold.message, now)

    def _transfer(
        self, message: StoredMessage, target: str, arrivals: Arrivals, now: float
    ) -> None:
        """Raises StoreError where it must be tried again later."""
        details = message.details
        hops = details.hops + 1
        entity = self._context.resolve(self.namespace, target)
        try:
            if hops > self._context.limits.forward_hops:
                self._bury_transfer(
                    message,
                    arrivals,
                    HOPS_EXCEEDED,
                    "The maximum number of allowed hops when forwarding between queues is "
                    f"exceeded. This value is set to {self._context.limits.forward_hops}.",
                )
                return
            if entity is None:
                raise _no_target(self.namespace, target)
            entity.admit(
                StoredMessage(
                    message.sequence,
                    message.payload,
                    message.enqueued_at,
                    self._end_of_life(message, now),
                    replace(
                        details,
                        hops=hops,
                        scheduled_at=None,
                        enqueued_sequence=self.first_number_of(message),
                    ),
                ),
                arrivals,
                now,
            )
        except StoreError:
            raise
        except BrokerError as error:
            self._bury_transfer(message, arrivals, _reason(error, entity, details), error.message)

    def pass_on(self, message: IncomingMessage, target: str, done: Done) -> None:
        """Send it to that entity by way of this one, which never shows it; what is not taken there
        becomes a transfer dead letter of this one's.

        Raises EntityNotFound, EntityDisabled, MessageTooLarge, PropertiesTooLarge, QuotaExceeded,
        InvalidOperation (a message id is too long) of this one, StoreError."""
        self.check_send()
        self._check_size(len(message.payload))
        self._check_properties(message)
        self._check_ids(message)
        self._check_quota(len(message.payload))
        entity = self._context.resolve(self.namespace, target)
        try:
            if entity is None:
                raise _no_target(self.namespace, target)
            entity.send([message], done)
        except StoreError:
            raise
        except BrokerError as error:
            now = self._now()
            arrivals = Arrivals(Change())
            (stamped,) = self._stamp([message], now, {})
            self._bury_transfer(stamped, arrivals, _reason(error, entity, message), error.message)

            def finished(failure: BrokerError | None) -> None:
                arrivals.finish(failure)
                done(failure)

            self._commit(arrivals.change, finished)

    def _end_of_life(self, message: StoredMessage, now: float) -> float:
        """A dead letter does not expire; where it is forwarded to, its life begins anew
        (https://github.com/Azure/azure-sdk-for-net/issues/6748)."""
        if not self.is_dead_letter:
            return message.expires_at
        try:
            ttl = self._context.content.read(message.payload).system.get("TimeToLive")
        except InvalidOperation:  # nobody can read it; it is moved all the same
            return NEVER
        return now + ttl if ttl and ttl < _LONGEST_TTL else NEVER

    def _bury_transfer(
        self, message: StoredMessage, arrivals: Arrivals, reason: str, description: str
    ) -> None:
        queue = self.transfer_dead_letter
        count = message.delivery_count
        first = self.first_number_of(message)
        number = queue.next_sequence()
        arrivals.put(queue, message.buried(number, first, self.path, reason, description, count))

    def admit(self, message: StoredMessage, arrivals: Arrivals, now: float) -> None:
        """Plan the arrival of a message that another entity forwards or that a topic gives to its
        subscription; nothing is planned for a duplicate.

        Raises EntityNotFound, EntityDisabled, QuotaExceeded, MessageTooLarge, InvalidOperation
        (no session id); StoreFailed for a duplicate of one that is on its way to the store.
        """
        self.check_send()
        session_id = message.details.session_id
        self._check_content(len(message.payload), session_id)
        self._check_quota(message.size)
        message_id = self._new_id(message, arrivals, now)
        self._use(now)
        if message_id is False:
            return
        if message_id is not None:
            until = now + self.properties.duplicate_detection_window
            arrivals.remember(self, message_id, until)
        self._place([self._restamp(message, now)], arrivals, now)

    def _restamp(self, message: StoredMessage, now: float) -> StoredMessage:
        """`message` as one of this queue's own."""
        ttl = self.properties.default_message_ttl
        ends = NEVER if ttl >= FOREVER else now + ttl
        return StoredMessage(
            self.next_sequence(),
            message.payload,
            now,
            min(message.expires_at, ends),
            message.details,
        )


def _no_target(namespace: str, target: str) -> EntityNotFound:
    return EntityNotFound(f"The messaging entity {namespace}/{target} could not be found.")


def _reason(error: BrokerError, entity: Intake | None, details: IncomingMessage | Details) -> str:
    """Why a message could not be forwarded, in the service's words."""
    if (
        isinstance(error, InvalidOperation)
        and entity is not None
        and entity.properties.requires_session
        and details.session_id is None
    ):
        return SESSION_ID_IS_NULL
    return _REASONS.get(type(error), type(error).__name__)
