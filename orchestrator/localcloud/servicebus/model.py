"""The broker's nouns: what a queue is told, what a message is, what is handed to a receiver.

Nothing here knows AMQP. A message's content is `payload`: bytes that the front chose to keep (the
sections of the message as they arrived) and gets back verbatim. Only what the engine must decide
by is parsed out beside it. All times are seconds since the epoch (UTC), all durations seconds.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING
from uuid import UUID

from orchestrator.localcloud.servicebus.errors import BrokerError
from orchestrator.localcloud.servicebus.limits import FOREVER

if TYPE_CHECKING:
    from orchestrator.localcloud.servicebus.structures.session_shelf import SessionLock

NEVER = float("inf")
"""An expiry that does not come."""

Done = Callable[[BrokerError | None], None]
"""Told once, in the event loop, how an operation ended: None = durable, else what failed and was
undone. Never called before the operation's method has returned."""

DEAD_LETTER_SUFFIX = "/$DeadLetterQueue"
TRANSFER_DEAD_LETTER_SUFFIX = "/$Transfer/$DeadLetterQueue"

# The reasons that the broker itself gives, as the service words them
# (https://learn.microsoft.com/azure/service-bus-messaging/service-bus-dead-letter-queues).
MAX_DELIVERY_COUNT_EXCEEDED = "MaxDeliveryCountExceeded"
TTL_EXPIRED = "TTLExpiredException"
MAX_DELIVERY_COUNT_DESCRIPTION = (
    "Message could not be consumed after {max_delivery_count} delivery attempts."
)
TTL_EXPIRED_DESCRIPTION = "The message expired and was dead lettered."


class EntityStatus(StrEnum):
    """A queue's status: what of sending and receiving it allows."""

    ACTIVE = "Active"
    DISABLED = "Disabled"
    SEND_DISABLED = "SendDisabled"
    RECEIVE_DISABLED = "ReceiveDisabled"

    @property
    def can_send(self) -> bool:
        return self in (EntityStatus.ACTIVE, EntityStatus.RECEIVE_DISABLED)

    @property
    def can_receive(self) -> bool:
        return self in (EntityStatus.ACTIVE, EntityStatus.SEND_DISABLED)


class MessageState(IntEnum):
    """What a message is doing; a locked one is active. On the wire `x-opt-message-state`, but that
    a message which was scheduled goes on saying so."""

    ACTIVE = 0
    DEFERRED = 1
    SCHEDULED = 2


# Looked at for every message; a member found through its class costs forty times as much (3.11).
ACTIVE = MessageState.ACTIVE
SCHEDULED = MessageState.SCHEDULED


class Right(StrEnum):
    """What a shared access rule allows."""

    LISTEN = "Listen"
    SEND = "Send"
    MANAGE = "Manage"


@dataclass(frozen=True, slots=True)
class QueueProperties:
    """A queue's settings, with the service's defaults (api-version 2021-11 and later).

    `requires_session`, `requires_duplicate_detection` and `enable_partitioning` cannot be changed
    after creation. `max_message_size_in_kilobytes` None: the limits' message size.
    """

    lock_duration: float = 60.0
    max_delivery_count: int = 10
    default_message_ttl: float = FOREVER
    requires_session: bool = False
    requires_duplicate_detection: bool = False
    duplicate_detection_window: float = 600.0
    dead_letter_on_expiration: bool = False
    max_size_in_megabytes: int = 1024
    max_message_size_in_kilobytes: int | None = None
    status: EntityStatus = EntityStatus.ACTIVE
    forward_to: str | None = None
    forward_dead_letters_to: str | None = None
    auto_delete_on_idle: float = FOREVER
    enable_batched_operations: bool = True
    enable_partitioning: bool = False
    enable_express: bool = False
    user_metadata: str | None = None


@dataclass(slots=True)
class IncomingMessage:
    """One message as the front hands it in.

    payload: the sections to keep and give back verbatim (the front chooses which and in what
        order; header, annotations, properties, application properties, body, footer).
    message_id: the message id as a canonical key (equal ids give equal keys; the front encodes
        the AMQP type into it when it is not a string). None: no id, no duplicate detection.
    ttl: seconds, from header.ttl (or absolute-expiry-time); None: the queue's default holds.
    scheduled_at: epoch seconds from x-opt-scheduled-enqueue-time; a time not after now counts
        as not scheduled.
    properties_size: bytes of all its properties and annotations, as encoded.
    largest_property: name and bytes of the largest application property; None: not a large one.
    """

    payload: bytes
    message_id: str | None = None
    ttl: float | None = None
    session_id: str | None = None
    partition_key: str | None = None
    scheduled_at: float | None = None
    properties_size: int = 0
    largest_property: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Details:
    """What only some messages have; kept apart so that the others do not pay for it.

    scheduled_at: when it becomes, or became, active, epoch seconds; None: it never had to wait.
    dead_letter_source: the path of the entity it was dead-lettered from (x-opt-deadletter-source).
    enqueued_sequence: the number it had first, as clients knew it, where that is another one.
    modified: properties set by abandon, defer or dead-letter: opaque bytes of the front (an
        encoded map), to be merged over the application properties at delivery.
    hops: how often it was forwarded so far.
    """

    session_id: str | None = None
    partition_key: str | None = None
    scheduled_at: float | None = None
    enqueued_sequence: int | None = None
    dead_letter_reason: str | None = None
    dead_letter_description: str | None = None
    dead_letter_source: str | None = None
    modified: bytes | None = None
    hops: int = 0


NO_DETAILS = Details()


class StoredMessage:
    """One message in a queue. Read-only outside the engine.

    sequence: the queue's number for it, ascending in order of arrival, never used twice.
    enqueued_at: when it was accepted (or, scheduled, became active), epoch seconds.
    expires_at: when its time to live ends; NEVER if it does not.
    delivery_count: failed deliveries so far (AMQP header.delivery-count): 0 at first delivery.
    details: see `Details`; `NO_DETAILS` for most.
    """

    __slots__ = (
        "delivery_count",
        "details",
        "enqueued_at",
        "expires_at",
        "lock",
        "payload",
        "sequence",
        "state",
    )

    def __init__(
        self,
        sequence: int,
        payload: bytes,
        enqueued_at: float,
        expires_at: float = NEVER,
        details: Details = NO_DETAILS,
        delivery_count: int = 0,
        state: MessageState = MessageState.ACTIVE,
    ) -> None:
        self.sequence = sequence
        self.payload = payload
        self.enqueued_at = enqueued_at
        self.expires_at = expires_at
        self.details = details
        self.delivery_count = delivery_count
        self.state = state
        self.lock: LockedMessage | None = None

    @property
    def size(self) -> int:
        """Bytes that it counts against the queue's quota."""
        return len(self.payload)

    def buried(
        self,
        sequence: int,
        first: int,
        source: str,
        reason: str | None,
        description: str | None,
        delivery_count: int = 0,
    ) -> StoredMessage:
        """Itself as a dead letter from the entity `source`, where time to live is not observed.
        first: the number by which clients knew it first."""
        details = replace(
            self.details,
            scheduled_at=None,
            enqueued_sequence=first,
            dead_letter_reason=reason,
            dead_letter_description=description,
            dead_letter_source=source,
        )
        return StoredMessage(
            sequence, self.payload, self.enqueued_at, NEVER, details, delivery_count
        )

    def __repr__(self) -> str:
        return f"StoredMessage({self.sequence}, {self.state.name})"


_VERSION = bytes(byte & 0x0F | 0x40 for byte in range(256))
_VARIANT = bytes(byte & 0x3F | 0x80 for byte in range(256))


def new_tokens(count: int) -> list[bytes]:
    """That many random GUIDs (version 4) in their little-endian form."""
    random = bytearray(os.urandom(16 * count))
    random[7::16] = random[7::16].translate(_VERSION)
    random[8::16] = random[8::16].translate(_VARIANT)
    tokens = bytes(random)
    return [tokens[start : start + 16] for start in range(0, 16 * count, 16)]


class LockedMessage:
    """A message under a lock, handed to one receiver.

    token: the lock token, 16 bytes: a GUID in the order in which it is a delivery tag.
    locked_until: epoch seconds; `Queue.renew` moves it.
    settling: being settled (or moved by the broker itself): nobody else may touch it.
    session: the lock of the session with which it is had, and which alone says until when
        (`locked_until` is NEVER then); None in a queue without sessions.
    """

    __slots__ = ("locked_until", "message", "session", "settling", "token")

    def __init__(
        self,
        message: StoredMessage,
        token: bytes,
        locked_until: float,
        session: SessionLock | None = None,
    ) -> None:
        self.session = session
        self.message = message
        self.token = token
        self.locked_until = locked_until
        self.settling = False

    @property
    def until(self) -> float:
        """`x-opt-locked-until`: when the lock ends, epoch seconds."""
        return self.locked_until if self.session is None else self.session.locked_until

    def __repr__(self) -> str:
        token = UUID(bytes_le=self.token)
        return f"LockedMessage({self.message!r}, token={token}, until={self.locked_until})"


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """Live figures of a queue (`countDetails`, `sizeInBytes`).

    active: active messages, locked ones included; deferred ones count as active, as in the
    service. dead_letter: the dead-letter sub-queue's messages. size_in_bytes: all of them.
    """

    active: int = 0
    dead_letter: int = 0
    scheduled: int = 0
    transfer: int = 0
    transfer_dead_letter: int = 0
    size_in_bytes: int = 0

    @property
    def total(self) -> int:
        """`messageCount`."""
        return (
            self.active
            + self.dead_letter
            + self.scheduled
            + self.transfer
            + self.transfer_dead_letter
        )


@dataclass(frozen=True, slots=True)
class AccessRule:
    """A shared access rule of a namespace (`entity` None) or of one queue. Keys are secrets."""

    name: str
    rights: frozenset[Right]
    primary_key: str = field(repr=False)
    secondary_key: str = field(repr=False)
    entity: str | None = None


@dataclass(frozen=True, slots=True)
class QueueInfo:
    """A queue's definition as it is stored: name in its first spelling, settings, times."""

    namespace: str
    name: str
    properties: QueueProperties
    created_at: float
    updated_at: float
