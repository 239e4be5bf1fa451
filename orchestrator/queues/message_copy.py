"""Messages on their way out: new ones, and the copy of a dead-lettered one that is sent again.

The copy keeps what the sender gave: body (its kind, too), message id (see `resubmitted_id`),
content type, subject, correlation id, session id, partition key, reply-to, to, user id, time to
live, annotations and application properties. It drops what the broker added: sequence number,
times, lock, delivery count, and why it was dead-lettered.

What the SDK does not tell cannot be kept: it gives AMQP strings and binaries alike as bytes (those
that are UTF-8 are sent as strings), and timestamps and whole numbers of any width as `int`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from orchestrator.queues.messages import DESCRIPTION, REASON, readable

if TYPE_CHECKING:
    from azure.servicebus import ServiceBusReceivedMessage
    from azure.servicebus.amqp import AmqpAnnotatedMessage

ID_LENGTH = 128  # characters a message id may have
LONGEST_HEADER_TTL = 2**32 - 1  # milliseconds; the header's field is an unsigned int
_END_OF_TIME = 253_402_214_400_000  # milliseconds; 9999-12-31, what clients write for "never"
_MARK = "~resubmitted-"
_OURS = re.compile(rf"{_MARK}\d+$")
_BROKERS = "x-opt-"  # how the broker's annotations begin,
_PARTITION = "x-opt-partition-key"  # and this one, which is the sender's

# Properties that are text by the specification (AMQP 1.0, 3.2.4).
_TEXTS = (
    "to",
    "subject",
    "reply_to",
    "content_type",
    "content_encoding",
    "group_id",
    "reply_to_group_id",
)


def typed(value: Any) -> Any:
    """`value` as the SDK encodes it.

    Whole numbers beyond 32 bits must name their type; so must bytes, of which it makes text among
    the application properties, and fails where they are none.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, bytes):
        return {"TYPE": "BINARY", "VALUE": value}
    if isinstance(value, int) and not -(2**31) <= value < 2**31:
        return {"TYPE": "LONG" if value < 2**63 else "ULONG", "VALUE": value}
    if isinstance(value, Mapping):
        return {key: typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [typed(item) for item in value]
    return value


def resubmitted_id(message_id: Any, sequence_number: int) -> str:
    """The id under which a dead-lettered message is sent again to a queue that drops duplicates.

    Its own id would be dropped for as long as the queue remembers it, and the message be lost.
    The new one is made of the old one and the number of the dead letter: nobody has used it
    before, and doing it again, after an interruption, makes the same one, which the queue drops
    if it has it already.
    """
    before = _OURS.sub("", "" if message_id is None else str(readable(message_id)))
    mark = f"{_MARK}{sequence_number}"
    if len(before) + len(mark) > ID_LENGTH:
        digest = hashlib.sha256(before.encode()).hexdigest()[:16]
        before = f"{before[: ID_LENGTH - len(mark) - 17]}-{digest}"
    return before + mark


def copy_of(
    received: ServiceBusReceivedMessage, *, new_id: bool, now: float
) -> AmqpAnnotatedMessage:
    """The message to send for a dead-lettered one; `new_id`: under `resubmitted_id`.

    It lives as long as the first did, counted from `now` (seconds since the Unix epoch).
    """
    from azure.servicebus.amqp import AmqpAnnotatedMessage

    raw = received.raw_amqp_message
    properties = _properties(raw)
    header: dict[str, Any] = {}
    if raw.header is not None:
        kept = {"durable": raw.header.durable, "priority": raw.header.priority}
        header |= {name: value for name, value in kept.items() if value is not None}
    ttl = _time_to_live(raw, properties)
    for name in ("creation_time", "absolute_expiry_time"):
        properties.pop(name, None)
    if ttl is not None and ttl <= LONGEST_HEADER_TTL:
        header["time_to_live"] = ttl  # the SDK dates it
    elif ttl is not None:  # only two dates can say so much
        made = int(now * 1000)
        properties |= {"creation_time": made, "absolute_expiry_time": made + ttl}
    if new_id:
        properties["message_id"] = resubmitted_id(
            properties.get("message_id"), received.sequence_number or 0
        )
    own = readable(dict(raw.application_properties or {}))
    annotations = readable(dict(raw.annotations or {}))
    return AmqpAnnotatedMessage(
        **_body(received),
        header=header or None,
        properties=properties or None,
        application_properties={
            name: typed(value) for name, value in own.items() if name not in (REASON, DESCRIPTION)
        }
        or None,
        annotations={
            name: typed(value)
            for name, value in annotations.items()
            if name == _PARTITION or not str(name).startswith(_BROKERS)
        }
        or None,
        footer=typed(readable(dict(raw.footer))) if raw.footer else None,
    )


def _properties(raw: AmqpAnnotatedMessage) -> dict[str, Any]:
    """The properties that are set, texts as texts."""
    properties: dict[str, Any] = {}
    if raw.properties is not None:
        properties = {name: value for name, value in raw.properties.items() if value is not None}
    for name in (*_TEXTS, "message_id", "correlation_id"):
        if name in properties:
            properties[name] = readable(properties[name])
    return properties


def _body(received: ServiceBusReceivedMessage) -> dict[str, Any]:
    """The body in the kind of section that it came in, as an argument of a message to send."""
    from azure.servicebus.amqp import AmqpMessageBodyType

    if received.body_type == AmqpMessageBodyType.DATA:
        return {"data_body": [bytes(part) for part in received.body]}
    if received.body_type == AmqpMessageBodyType.SEQUENCE:
        return {"sequence_body": [typed(readable(list(part))) for part in received.body]}
    return {"value_body": typed(readable(received.body))}


def _time_to_live(raw: AmqpAnnotatedMessage, properties: Mapping[str, Any]) -> int | None:
    """Milliseconds, None for ever; a dead-lettered message may tell it by its dates alone."""
    created, expired = properties.get("creation_time"), properties.get("absolute_expiry_time")
    if created and expired and created < expired < _END_OF_TIME:
        return int(expired) - int(created)
    if raw.header is not None and raw.header.time_to_live:
        return int(raw.header.time_to_live)
    return None
