"""A message between HTTP and AMQP: sections made of a request, an answer made of sections.

A message that was sent over HTTP is kept as its bytes would have come over AMQP: the body in one
data section. Of a message that came over AMQP the answer's body are its data sections, joined; the
service does not say what it makes of other bodies. Here a text or binary value is given as it is,
anything else as JSON.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from orchestrator.localcloud.amqp import sections as s
from orchestrator.localcloud.amqp import types as t
from orchestrator.localcloud.amqp.decode import decode
from orchestrator.localcloud.amqp.errors import DecodeError, EncodeError
from orchestrator.localcloud.messages_http.properties import (
    BrokerProperties,
    PropertyError,
    broker_properties,
    http_date,
    property_headers,
    user_properties,
)
from orchestrator.localcloud.servicebus.errors import BrokerError
from orchestrator.localcloud.servicebus.front.messages import (
    PARTITION_KEY,
    SCHEDULED_TIME,
    VIA_PARTITION_KEY,
    read,
    write,
)
from orchestrator.localcloud.servicebus.limits import FOREVER
from orchestrator.localcloud.servicebus.model import (
    NEVER,
    IncomingMessage,
    LockedMessage,
    StoredMessage,
)

BATCH_TYPE = "application/vnd.microsoft.servicebus.json"
"""Of a request whose body is a batch: without parameters, as its page says."""

_BASE64 = ("IsBodyBase64", "IsBodyBase64Encoded")
_MOST_MILLISECONDS = 0xFFFFFFFF
# The last moment of .NET's time, which clients can read: milliseconds since 1970.
_LAST_MOMENT = 253_402_300_799_999
_STATES = ("Active", "Deferred", "Scheduled")


def compose(
    body: bytes,
    content_type: str | None,
    broker: BrokerProperties,
    custom: dict[str, Any],
    now: float,
) -> IncomingMessage:
    """A message as the broker takes it. now: epoch seconds. Raises PropertyError."""
    header: list[Any] = []
    creation = expiry = None
    if broker.ttl is not None:
        milliseconds = max(1, round(broker.ttl * 1000))
        header = [None, None, t.UInt(min(milliseconds, _MOST_MILLISECONDS))]
        if milliseconds > _MOST_MILLISECONDS:
            # What header.ttl cannot hold is told as the SDKs do: by when the message ends.
            creation, end = t.Timestamp(now * 1000), int(now * 1000) + milliseconds
            expiry = t.Timestamp(min(end, _LAST_MOMENT))
    annotations: dict[t.Symbol, Any] = {}
    if broker.partition_key is not None:
        annotations[t.Symbol(PARTITION_KEY)] = broker.partition_key
    if broker.via_partition_key is not None:
        annotations[t.Symbol(VIA_PARTITION_KEY)] = broker.via_partition_key
    if broker.scheduled_at is not None:
        annotations[t.Symbol(SCHEDULED_TIME)] = t.Timestamp(broker.scheduled_at * 1000)
    fields = [
        broker.message_id,
        None,
        broker.to,
        broker.label,
        broker.reply_to,
        broker.correlation_id,
        None if content_type is None else t.Symbol(content_type),
        None,
        expiry,
        creation,
        broker.session_id,
        None,
        broker.reply_to_session_id,
    ]
    while fields and fields[-1] is None:
        fields.pop()
    try:
        payload = b"".join(
            (
                s.section(s.HEADER, header) if header else b"",
                s.section(s.MESSAGE_ANNOTATIONS, annotations) if annotations else b"",
                s.section(s.PROPERTIES, fields),
                s.section(s.APPLICATION_PROPERTIES, custom) if custom else b"",
                s.section(s.DATA, body),
            )
        )
    except EncodeError as error:
        raise PropertyError(f"A property of the message cannot be sent: {error}") from error
    return read(payload, now)


def compose_batch(document: bytes, now: float) -> list[IncomingMessage]:
    """The messages of a batch: `[{"Body", "BrokerProperties", "UserProperties"}, …]`.

    Raises PropertyError.
    """
    try:
        entries = json.loads(document)
    except (ValueError, RecursionError) as error:
        raise PropertyError(f"The body must be a JSON array of messages: {error}.") from error
    if not isinstance(entries, list) or not entries:
        raise PropertyError("The body must be a JSON array of messages, with one at least.")
    messages = []
    for place, entry in enumerate(entries):
        try:
            messages.append(_compose_entry(entry, now))
        except PropertyError as error:
            raise PropertyError(f"Message {place} of the batch is invalid. {error}") from error
    return messages


def _compose_entry(entry: object, now: float) -> IncomingMessage:
    if not isinstance(entry, dict):
        raise PropertyError("It must be a JSON object.")
    text = entry.get("Body", "")
    if not isinstance(text, str):
        raise PropertyError("Body must be a string.")
    try:
        body = text.encode()
        if any(entry.get(name) is True for name in _BASE64):
            body = base64.b64decode(body, validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise PropertyError(f"Body cannot be read: {error}.") from error
    given = entry.get("BrokerProperties")
    broker = BrokerProperties() if given is None else broker_properties(given)
    return compose(body, None, broker, user_properties(entry.get("UserProperties")), now)


@dataclass(frozen=True, slots=True)
class Shown:
    """A message as an answer carries it."""

    headers: dict[str, str]
    broker: dict[str, Any]
    content_type: str | None
    body: bytes


def show(message: StoredMessage, number: int, locked: LockedMessage | None = None) -> Shown:
    """A received message, under a lock or removed. number: its sequence number, as the queue shows
    it. Raises BrokerError for one that is no AMQP."""
    try:
        return _show(message, number, locked)
    except DecodeError as error:
        raise BrokerError(
            f"The message with sequence number {number} cannot be read: {error}"
        ) from error


def _show(message: StoredMessage, number: int, locked: LockedMessage | None) -> Shown:
    parts = s.split(write(message, number, locked))
    fields = s.list_of(parts.properties, 13)
    annotations = s.map_of(parts.message_annotations)
    body, kind = _readable_body(parts)
    content_type = fields[6]
    if not isinstance(content_type, str) or not content_type.isprintable():
        # No header can have it, and the message is to be had all the same.
        content_type = kind
    broker = {
        "CorrelationId": _text(fields[5]),
        "DeliveryCount": message.delivery_count + 1,
        # Of a message that was never forwarded the service says 0.
        "EnqueuedSequenceNumber": message.details.enqueued_sequence or 0,
        "EnqueuedTimeUtc": http_date(message.enqueued_at),
        "Label": _text(fields[3]),
        "LockToken": None if locked is None else str(UUID(bytes_le=locked.token)),
        "LockedUntilUtc": None if locked is None else http_date(locked.until),
        "MessageId": _text(fields[0]),
        "PartitionKey": _text(annotations.get(PARTITION_KEY)),
        "ReplyTo": _text(fields[4]),
        "ReplyToSessionId": _text(fields[12]),
        "ScheduledEnqueueTimeUtc": _date(annotations.get(SCHEDULED_TIME)),
        "SequenceNumber": number,
        "SessionId": _text(fields[10]),
        "State": _state(annotations.get("x-opt-message-state")),
        "TimeToLive": _time_to_live(message, s.list_of(parts.header, 5)[2]),
        "To": _text(fields[2]),
        "ViaPartitionKey": _text(annotations.get(VIA_PARTITION_KEY)),
    }
    return Shown(
        property_headers(_application_properties(parts)),
        {name: value for name, value in broker.items() if value is not None},
        None if content_type is None else str(content_type),
        body,
    )


def message_id(message: StoredMessage) -> str | None:
    """Its id as text, as `BrokerProperties` has it."""
    try:
        return _text(s.list_of(s.split(message.payload).properties, 13)[0])
    except DecodeError:
        return None


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return value.hex() if isinstance(value, bytes) else str(value)


def _state(told: Any) -> str:
    """As it is told over AMQP, where it is left out of an active message."""
    return _STATES[told] if isinstance(told, int) and 0 < told < len(_STATES) else _STATES[0]


def _date(value: Any) -> str | None:
    try:
        return http_date(value / 1000) if isinstance(value, int) else None
    except (ValueError, OverflowError):
        return None


def _time_to_live(message: StoredMessage, told: Any) -> float:
    """Seconds: how long it lives from when it was enqueued; of a dead letter, which does not
    expire, what its sender said."""
    if message.expires_at != NEVER:
        seconds = message.expires_at - message.enqueued_at
    elif isinstance(told, int):
        seconds = told / 1000
    else:
        return FOREVER
    rounded = round(seconds, 3)
    return int(rounded) if rounded == int(rounded) else rounded


def _application_properties(parts: s.Sections) -> dict[Any, Any]:
    """None where their sender wrote what is no map: the broker has not looked at it."""
    try:
        return s.map_of(parts.application_properties)
    except DecodeError:
        return {}


def _readable_body(parts: s.Sections) -> tuple[bytes, str | None]:
    """As `_body`; what cannot be read is given as it was encoded, rather than lost."""
    try:
        return _body(parts)
    except DecodeError:
        return parts.body, None


def _body(parts: s.Sections) -> tuple[bytes, str | None]:
    """The bytes of the body, and of what type they are where its sender did not say."""
    if parts.body_kind == s.DATA:
        return b"".join(s.data_of(parts.body)), None
    if not parts.body_kind:
        return b"", None
    if parts.body_kind == s.VALUE:
        value = s.value_of(parts.body)
        if isinstance(value, bytes) and type(value) is bytes:
            return value, None
        if isinstance(value, str):
            return value.encode(), "text/plain; charset=utf-8"
    else:
        value = _items(parts.body)
    return json.dumps(_plain(value)).encode(), "application/json"


def _items(body: bytes) -> list[Any]:
    """All items of a body of sequence sections."""
    found: list[Any] = []
    position = 0
    while position < len(body):
        section, position = decode(body, position)
        if not isinstance(section, t.Described) or not isinstance(section.value, list):
            raise DecodeError("A sequence section is no list.")
        found += section.value
    return found


def _plain(value: Any) -> Any:
    """A value of AMQP as JSON has it; what JSON has not is text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, t.Described):
        return _plain(value.value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(_plain(key)): _plain(item) for key, item in value.items()}
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)
