"""What a queue accepts: checks, duplicates, quota, the stamp on a message, its way to the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Literal

from orchestrator.localcloud.servicebus.arrivals import Arrivals
from orchestrator.localcloud.servicebus.errors import (
    BrokerError,
    EntityDisabled,
    EntityNotFound,
    InvalidOperation,
    MessageTooLarge,
    PropertiesTooLarge,
    QuotaExceeded,
    StoreFailed,
)
from orchestrator.localcloud.servicebus.lifecycle import Lifecycle
from orchestrator.localcloud.servicebus.limits import FOREVER, MEBIBYTE, PARTITIONS
from orchestrator.localcloud.servicebus.model import (
    ACTIVE,
    NEVER,
    NO_DETAILS,
    SCHEDULED,
    Details,
    Done,
    IncomingMessage,
    StoredMessage,
)
from orchestrator.localcloud.servicebus.store.contract import Change


class Intake(Lifecycle):
    """The sending side of a queue; `queue.Queue` adds the receiving side."""

    @property
    def max_message_size(self) -> int:
        """Bytes; the front advertises it as the link's max-message-size."""
        kibibytes = self.properties.max_message_size_in_kilobytes
        return self._usual_message_size if kibibytes is None else kibibytes * 1024

    @cached_property
    def _usual_message_size(self) -> int:
        """That of the namespace's tier. Asked for once: no namespace becomes Premium, or is no
        longer."""
        return self._context.limits.message_size_of(self._context.sku(self.namespace))

    @property
    def max_batch_size(self) -> int:
        """Bytes of a whole batch: as one message, but 1 MB where messages may be larger
        (https://learn.microsoft.com/azure/service-bus-messaging/service-bus-quotas)."""
        limits = self._context.limits
        return max(limits.batch_size, min(self.max_message_size, limits.large_batch_size))

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

    def reserve_numbers(self, count: int) -> list[int]:
        """Sequence numbers for messages that are sent later, if at all."""
        return [self.next_sequence() for _ in range(count)]

    def send(
        self,
        messages: Sequence[IncomingMessage],
        done: Done,
        reserved: Sequence[int] | None = None,
    ) -> list[int]:
        """Store the messages, all or none, and give their sequence numbers (0 for a duplicate
        that was dropped). Those with a later `scheduled_at` become scheduled.

        reserved: the numbers of those that become scheduled; the others are as if their time had
        come already, and get new ones.

        Raises EntityDisabled, MessageTooLarge, PropertiesTooLarge, QuotaExceeded, InvalidOperation
        (a session queue wants a session id; a dead-letter queue takes no sends).
        `done(StoreFull|StoreFailed)`: nothing of it is stored.
        """
        self.check_messages(messages)
        now = self._now()
        fresh, repeated = self._sort_out(messages, now)
        if repeated and self._context.together is not None:
            self._check_fate(repeated, fresh, self._context.together)
        size = sum(len(message.payload) for message in fresh)
        self._check_quota(size)
        arrivals = Arrivals(Change())
        known = {} if reserved is None else dict(zip(map(id, messages), reserved, strict=True))
        stamped = self._stamp(fresh, now, known)
        if self.properties.requires_duplicate_detection:
            until = now + self.properties.duplicate_detection_window
            for message in fresh:
                identity = self._identity(message.message_id, message)
                if identity is not None:
                    arrivals.remember(self, identity, until)
        if stamped:
            self._place(stamped, arrivals, now)
        if known:
            # Others may have been numbered meanwhile.
            arrivals.change.note_sequence(self.number, self._last_sequence)

        def finished(error: BrokerError | None) -> None:
            arrivals.finish(error)
            done(self._repeated_error(repeated) if error is None else error)

        if fresh:
            self._commit(arrivals.change, finished)
        else:
            # A duplicate is acknowledged only once what it repeats is durable.
            self._context.store.barrier(finished)
        if not repeated:
            return [stored.sequence for stored in stamped]
        numbers = {id(m): stored.sequence for m, stored in zip(fresh, stamped, strict=True)}
        return [numbers.get(id(message), 0) for message in messages]

    def check_messages(self, messages: Sequence[IncomingMessage]) -> None:
        """Whether they could be sent, but for the quota. Raises as `send`."""
        self.check_send()
        limit = self.max_message_size
        smallest = self._context.limits.property_size
        for message in messages:
            if (
                message.session_id
                or len(message.payload) > limit
                or self.properties.requires_session
            ):
                self._check_content(len(message.payload), message.session_id)
            self._check_ids(message)
            if message.properties_size > smallest:
                self._check_properties(message)

    def check_batch(self, messages: Sequence[IncomingMessage], size: int) -> None:
        """Whether these, of `size` bytes together, may be one batch: in a partitioned entity they
        must be of one partition, which session id or partition key choose, else the id where
        duplicates are detected
        (https://learn.microsoft.com/azure/service-bus-messaging/service-bus-partitioning).

        Raises MessageTooLarge, InvalidOperation.
        """
        if size > self.max_batch_size + self._context.limits.batch_slack:
            raise MessageTooLarge(
                f"The batch of {size} bytes exceeds the {self.max_batch_size} bytes that "
                f"{self.namespace}/{self.path} allows: send its messages in several, or one by one."
            )
        if not self.properties.enable_partitioning:
            return
        detects = self.properties.requires_duplicate_detection
        keys = {
            message.session_id or message.partition_key or (message.message_id if detects else None)
            for message in messages
        }
        if len(keys) > 1:
            raise InvalidOperation(
                "Batching brokered messages with distinct SessionId, PartitionKey, or MessageId is "
                "not supported for an entity with partitioning and duplicate detection enabled."
                if detects
                else "Batching brokered messages with distinct SessionId or PartitionKey is not "
                "supported for an entity with partitioning enabled."
            )

    def _check_properties(self, message: IncomingMessage) -> None:
        limits = self._context.limits
        if message.properties_size > limits.properties_size:
            raise PropertiesTooLarge(
                f"The properties of a message have {message.properties_size} bytes together: "
                f"{self.namespace}/{self.path} takes up to {limits.properties_size}."
            )
        name, size = message.largest_property or ("", 0)
        if size > limits.property_size:
            raise PropertiesTooLarge(
                f"The property '{name}' of a message has {size} bytes: "
                f"{self.namespace}/{self.path} takes up to {limits.property_size}."
            )

    def _check_quota(self, size: int) -> None:
        held = self._held()
        properties = self.properties
        limit = properties.max_size_in_megabytes
        if properties.enable_partitioning:
            limit *= PARTITIONS
        if held + self.incoming_size + size > limit * MEBIBYTE:
            raise QuotaExceeded(
                f"The maximum entity size of {limit} MB has been reached or exceeded by "
                f"{self.namespace}/{self.path} (size of entity in bytes: {held}): receive messages "
                "from it or from its dead-letter queue."
            )

    def _held(self) -> int:
        """Bytes that count against the quota."""
        transfer = 0 if self.is_dead_letter else self.transfer_dead_letter._shelf.size
        return self._shelf.size + self.dead_letter._shelf.size + transfer

    def _check_size(self, size: int) -> None:
        if size > self.max_message_size:
            raise MessageTooLarge(
                f"The message of {size} bytes exceeds the {self.max_message_size} "
                f"bytes that {self.namespace}/{self.path} allows."
            )

    def _check_content(self, size: int, session_id: str | None) -> None:
        limits = self._context.limits
        self._check_size(size)
        if self.properties.requires_session and session_id is None:
            raise InvalidOperation(
                "The SessionId was not set on a message, and it cannot be sent to the entity. "
                "Entities that have session support enabled can only receive messages that have "
                "the SessionId set to a valid value."
            )
        if session_id and len(session_id) > limits.session_id_length:
            raise InvalidOperation(
                f"A session id may have up to {limits.session_id_length} characters."
            )

    def _check_ids(self, message: IncomingMessage) -> None:
        most = self._context.limits.message_id_length
        named = message.message_id or ""
        if len(named) > most and not named.startswith("\0"):
            raise InvalidOperation(f"A message id may have up to {most} characters.")
        # https://learn.microsoft.com/azure/service-bus-messaging/service-bus-partitioning; where
        # there are sessions, since 2020 also without partitions (azure-sdk-for-net#13811). An empty
        # session id goes with any key (azure-sdk-for-js, sessionsTests.spec.ts).
        if (
            (self.properties.requires_session or self.properties.enable_partitioning)
            and message.partition_key is not None
            and message.session_id
            and message.partition_key != message.session_id
        ):
            raise InvalidOperation(
                f"The partition key '{message.partition_key}' of a message must be its session id "
                f"'{message.session_id}'."
            )

    def _identity(self, message_id: str | None, details: IncomingMessage | Details) -> str | None:
        """What tells a message from others where duplicates are detected: its id; in a partitioned
        entity together with its partition key
        (https://learn.microsoft.com/azure/service-bus-messaging/duplicate-detection)."""
        if message_id is None or not self.properties.enable_partitioning:
            return message_id
        key = details.session_id or details.partition_key or ""
        return f"{len(key)}|{key}|{message_id}"

    def _sort_out(
        self, messages: Sequence[IncomingMessage], now: float
    ) -> tuple[list[IncomingMessage], list[str]]:
        """The messages to store, and what identifies those that repeat an earlier one."""
        if not self.properties.requires_duplicate_detection:
            return list(messages), []
        fresh: list[IncomingMessage] = []
        repeated: list[str] = []
        here: set[str] = set()
        for message in messages:
            message_id = self._identity(message.message_id, message)
            if message_id is None:
                fresh.append(message)
            elif message_id in here or self._history.seen(message_id, now):
                repeated.append(message_id)
            else:
                here.add(message_id)
                fresh.append(message)
        return fresh, repeated

    def _new_id(
        self, message: StoredMessage, arrivals: Arrivals, now: float
    ) -> str | Literal[False] | None:
        """The identity to be remembered of a forwarded message; None for none, False if it is
        a duplicate. Raises StoreFailed if what it repeats is not durable yet."""
        if not self.properties.requires_duplicate_detection:
            return None
        named = self._context.content.message_id(message.payload)
        message_id = self._identity(named, message.details)
        if message_id is None or not self._history.seen(message_id, now):
            return message_id
        if not self._history.remembers(message_id) and not arrivals.repeats(self, message_id):
            raise StoreFailed("The message repeats one that is being stored.")
        return False

    def _check_fate(
        self, repeated: Sequence[str], fresh: Sequence[IncomingMessage], together: Change
    ) -> None:
        """In a transaction, what a message repeats must be durable or a part of it: nobody would be
        told if it came to nothing after all. Raises StoreFailed."""
        here = {self._identity(message.message_id, message) for message in fresh}
        for message_id in repeated:
            if not (
                message_id in here
                or (self.number, message_id) in together.history
                or self._history.remembers(message_id)
            ):
                raise StoreFailed("The message repeats one that is being stored: send it again.")

    def _repeated_error(self, repeated: Sequence[str]) -> BrokerError | None:
        if all(self._history.remembers(message_id) for message_id in repeated):
            return None
        return StoreFailed("The message repeats one whose send has just failed: send it again.")

    def _stamp(
        self, messages: Sequence[IncomingMessage], now: float, reserved: Mapping[int, int]
    ) -> list[StoredMessage]:
        longest = self.properties.default_message_ttl
        stamped = []
        for message in messages:
            start = now
            state = ACTIVE
            due = message.scheduled_at
            if due is not None:
                if due > now:
                    start = due
                    state = SCHEDULED
                else:
                    due = None
            ttl = longest if message.ttl is None else min(message.ttl, longest)
            details = NO_DETAILS
            if (
                message.session_id is not None
                or message.partition_key is not None
                or due is not None
            ):
                details = Details(message.session_id, message.partition_key, due)
            number = reserved.get(id(message)) if state is SCHEDULED else None
            stamped.append(
                StoredMessage(
                    self.next_sequence() if number is None else number,
                    message.payload,
                    now,
                    NEVER if ttl >= FOREVER else start + ttl,
                    details,
                    0,
                    state,
                )
            )
        return stamped

    def _check_exists(self) -> None:
        if self.deleted:
            raise EntityNotFound(
                f"The messaging entity {self.namespace}/{self.path} could not be found."
            )
