"""What a queue accepts: checks, duplicates, quota, the stamp on a message, its way to the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orchestrator.localcloud.servicebus.errors import (
    BrokerError,
    EntityDisabled,
    EntityNotFound,
    InvalidOperation,
    MessageTooLarge,
    QuotaExceeded,
    StoreFailed,
)
from orchestrator.localcloud.servicebus.lifecycle import Lifecycle
from orchestrator.localcloud.servicebus.limits import FOREVER, MEBIBYTE
from orchestrator.localcloud.servicebus.model import (
    NEVER,
    NO_DETAILS,
    Details,
    Done,
    IncomingMessage,
    MessageState,
    StoredMessage,
)
from orchestrator.localcloud.servicebus.store import Change


class Intake(Lifecycle):
    """The sending side of a queue; `queue.Queue` adds the receiving side."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        # Bytes on the way to the store; they count against the quota already.
        self._incoming_size = 0

    @property
    def max_message_size(self) -> int:
        """Bytes; the front advertises it as the link's max-message-size."""
        kibibytes = self.properties.max_message_size_in_kilobytes
        return self._context.limits.message_size if kibibytes is None else kibibytes * 1024

    def check_send(self) -> None:
        """Whether senders are welcome (the front asks when a link attaches).

        Raises EntityNotFound, EntityDisabled, InvalidOperation.
        """
        self._check_exists()
        if self.is_dead_letter:
            raise InvalidOperation(
                f"{self.path} takes no messages from senders: dead-letter one from its queue."
            )
        if not self.properties.status.can_send:
            raise EntityDisabled(
                f"The messaging entity {self.namespace}/{self.path} is disabled for sending "
                f"(status {self.properties.status})."
            )

    def send(self, messages: Sequence[IncomingMessage], done: Done) -> list[int]:
        """Store the messages, all or none, and give their sequence numbers (0 for a duplicate
        that was dropped). Those with a later `scheduled_at` become scheduled.

        Raises EntityDisabled, MessageTooLarge, QuotaExceeded, InvalidOperation (a session queue
        wants a session id; a dead-letter queue takes no sends). `done(StoreFull|StoreFailed)`:
        nothing of it is stored.
        """
        self.check_send()
        for message in messages:
            self._check_message(message)
        now = self._now()
        fresh, repeated = self._sort_out(messages, now)
        size = sum(len(message.payload) for message in fresh)
        self._check_quota(size)
        self._incoming_size += size
        change = Change()
        stamped = [self._stamp(message, now) for message in fresh]
        until = now + self.properties.duplicate_detection_window
        detects = self.properties.requires_duplicate_detection
        ids = [m.message_id for m in fresh if detects and m.message_id is not None]
        for stored in stamped:
            change.put(self.number, stored)
        for message_id in ids:
            self._history.reserve(message_id)
            change.remember(self.number, message_id, until)

        def finished(error: BrokerError | None) -> None:
            self._incoming_size -= size
            if error is not None:
                for message_id in ids:
                    self._history.withdraw(message_id)
                done(error)
                return
            for message_id in ids:
                self._history.remember(message_id, until)
            if ids:
                self._remind(until)
            for stored in stamped:
                self.arrive(stored)
            done(self._repeated_error(repeated))

        if fresh:
            self._context.store.commit(change, finished)
        else:
            # A duplicate is acknowledged only once what it repeats is durable.
            self._context.store.barrier(finished)
        if not repeated:
            return [stored.sequence for stored in stamped]
        numbers = {id(m): stored.sequence for m, stored in zip(fresh, stamped, strict=True)}
        return [numbers.get(id(message), 0) for message in messages]

    def _check_quota(self, size: int) -> None:
        held = self._shelf.size + self.dead_letter._shelf.size
        limit = self.properties.max_size_in_megabytes
        if held + self._incoming_size + size > limit * MEBIBYTE:
            raise QuotaExceeded(
                f"The maximum entity size of {limit} MB has been reached or exceeded by "
                f"{self.namespace}/{self.path} (size of entity in bytes: {held}): receive messages "
                "from it or from its dead-letter queue."
            )

    def _check_message(self, message: IncomingMessage) -> None:
        limits = self._context.limits
        if len(message.payload) > self.max_message_size:
            raise MessageTooLarge(
                f"The message of {len(message.payload)} bytes exceeds the {self.max_message_size} "
                f"bytes that {self.namespace}/{self.path} allows."
            )
        if self.properties.requires_session and not message.session_id:
            raise InvalidOperation(
                "The SessionId was not set on a message, and it cannot be sent to the entity. "
                "Entities that have session support enabled can only receive messages that have "
                "the SessionId set to a valid value."
            )
        if message.session_id and len(message.session_id) > limits.session_id_length:
            raise InvalidOperation(
                f"A session id may have up to {limits.session_id_length} characters."
            )

    def _sort_out(
        self, messages: Sequence[IncomingMessage], now: float
    ) -> tuple[list[IncomingMessage], list[str]]:
        """The messages to store, and the ids of those that repeat an earlier one."""
        if not self.properties.requires_duplicate_detection:
            return list(messages), []
        fresh: list[IncomingMessage] = []
        repeated: list[str] = []
        here: set[str] = set()
        for message in messages:
            message_id = message.message_id
            if message_id is None:
                fresh.append(message)
            elif message_id in here or self._history.seen(message_id, now):
                repeated.append(message_id)
            else:
                here.add(message_id)
                fresh.append(message)
        return fresh, repeated

    def _repeated_error(self, repeated: Sequence[str]) -> BrokerError | None:
        if all(self._history.remembers(message_id) for message_id in repeated):
            return None
        return StoreFailed("The message repeats one whose send has just failed: send it again.")

    def _stamp(self, message: IncomingMessage, now: float) -> StoredMessage:
        scheduled = message.scheduled_at is not None and message.scheduled_at > now
        start = message.scheduled_at if scheduled and message.scheduled_at is not None else now
        ttl = self.properties.default_message_ttl
        if message.ttl is not None and message.ttl < ttl:
            ttl = message.ttl
        details = NO_DETAILS
        if message.session_id or message.partition_key or message.scheduled_at is not None:
            details = Details(message.session_id, message.partition_key, message.scheduled_at)
        return StoredMessage(
            self.next_sequence(),
            message.payload,
            now,
            NEVER if ttl >= FOREVER else start + ttl,
            # Kept only where it means something: it is most of a small message's cost.
            message.message_id if self.properties.requires_duplicate_detection else None,
            details,
            state=MessageState.SCHEDULED if scheduled else MessageState.ACTIVE,
        )

    def _check_exists(self) -> None:
        if self.deleted:
            raise EntityNotFound(
                f"The messaging entity {self.namespace}/{self.path} could not be found."
            )
