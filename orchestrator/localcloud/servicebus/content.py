"""What a message says of itself, as rules and duplicate detection need it.

The queue engine keeps messages as bytes; whoever knows their encoding gives it a `Content`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

SYSTEM_PROPERTIES = (
    "MessageId",
    "CorrelationId",
    "To",
    "ReplyTo",
    "Label",
    "SessionId",
    "ReplyToSessionId",
    "ContentType",
    "PartitionKey",
    "TimeToLive",
    "ScheduledEnqueueTimeUtc",
    "EnqueuedTimeUtc",
    "ExpiresAtUtc",
    "SequenceNumber",
    "EnqueuedSequenceNumber",
    "DeliveryCount",
    "Size",
)
"""What a filter may ask for as `sys.<name>` (the properties of the service's BrokeredMessage);
`Subject` is the newer name of Label."""

SETTABLE = (
    "MessageId",
    "CorrelationId",
    "To",
    "ReplyTo",
    "Label",
    "SessionId",
    "ReplyToSessionId",
    "ContentType",
)
"""What an action may set."""


def system_name(name: str) -> str | None:
    """The property's name in its own spelling; None if there is none such."""
    return _BY_NAME.get(name.lower())


_BY_NAME = {name.lower(): name for name in SYSTEM_PROPERTIES} | {"subject": "Label"}


@dataclass(slots=True)
class MessageContent:
    """system: by the names of `SYSTEM_PROPERTIES`; missing ones are null. properties: the
    application properties, values as the protocol's decoder gives them."""

    system: dict[str, Any] = field(default_factory=dict)
    properties: dict[str, Any] = field(default_factory=dict)


class Content(Protocol):
    """Reads and changes encoded messages."""

    def message_id(self, payload: bytes) -> str | None:
        """The message id as a canonical key; None for none."""
        ...

    def read(self, payload: bytes) -> MessageContent:
        """Raises BrokerError for what cannot be read."""
        ...

    def change(
        self, payload: bytes, system: Mapping[str, Any], properties: Mapping[str, Any]
    ) -> bytes:
        """The message with these system properties (None removes one) set, and with exactly
        these application properties; the body is kept bit by bit."""
        ...
