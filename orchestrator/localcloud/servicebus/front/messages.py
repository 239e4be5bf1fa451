"""Messages between the wire and the queue engine: AMQP bytes in, `IncomingMessage` out, and back.

What a sender wrote is kept bit by bit: the payload given to the engine is the message's own
sections, less the annotations that only the service sets. Delivery annotations would end at this
hop by the standard; the service gives them to the receiver, and clients' tests expect it. At
delivery, header and annotations are written anew around the rest; the body is never decoded.
"""

from __future__ import annotations

import struct
import uuid
from typing import Any

from orchestrator.localcloud.amqp import sections as s
from orchestrator.localcloud.amqp import types as t
from orchestrator.localcloud.amqp.decode import decode_whole, skip
from orchestrator.localcloud.amqp.encode import encode
from orchestrator.localcloud.servicebus.front.decimals import as_dotnet_writes
from orchestrator.localcloud.servicebus.limits import STRICT
from orchestrator.localcloud.servicebus.model import (
    NEVER,
    NO_DETAILS,
    SCHEDULED,
    IncomingMessage,
    LockedMessage,
    StoredMessage,
)

BATCH_FORMAT = 0x80013700
"""message-format of an envelope with one encoded message in each data section."""

REASON = "DeadLetterReason"
DESCRIPTION = "DeadLetterErrorDescription"

SCHEDULED_TIME = "x-opt-scheduled-enqueue-time"
PARTITION_KEY = "x-opt-partition-key"
VIA_PARTITION_KEY = "x-opt-via-partition-key"

# Annotations that the service writes at delivery; what a sender says of them is dropped (a message
# received here and sent again carries the former ones).
_OURS = frozenset(
    {
        "x-opt-sequence-number",
        "x-opt-enqueue-sequence-number",
        "x-opt-enqueued-time",
        "x-opt-locked-until",
        "x-opt-lock-token",
        "x-opt-message-state",
        "x-opt-deadletter-source",
    }
)

_MAX_TTL_MS = 0xFFFFFFFF

# Indexes into the fields of the header and properties sections (AMQP 1.0 part 3, 3.2.1, 3.2.4).
_TTL = 2
_DELIVERY_COUNT = 4
_MESSAGE_ID, _ABSOLUTE_EXPIRY, _CREATION, _GROUP_ID = 0, 8, 9, 10


def read(payload: bytes, now: float) -> IncomingMessage:
    """One message off the wire. Raises `DecodeError`."""
    text = s.sole_id(payload)
    if text is not None:
        return IncomingMessage(payload, message_key(text))
    parts = s.split(payload)
    application = parts.application_properties
    if application:
        application = as_dotnet_writes(application)
    properties = s.list_of(parts.properties, 13)
    message_id = properties[_MESSAGE_ID]
    raw_properties = parts.properties
    if message_id is None:
        # The service gives every message an id; there are clients that cannot do without.
        message_id = properties[_MESSAGE_ID] = uuid.uuid4().hex
        raw_properties = s.section(s.PROPERTIES, _trimmed(properties))
        key = None
    else:
        key = message_key(message_id)
    annotations: dict[Any, Any] = {}
    raw_annotations = parts.message_annotations
    if raw_annotations:
        annotations = s.map_of(raw_annotations)
        raw_annotations = _without_ours(s.MESSAGE_ANNOTATIONS, annotations, raw_annotations)
    for_delivery = parts.delivery_annotations
    if for_delivery:
        for_delivery = _without_ours(s.DELIVERY_ANNOTATIONS, s.map_of(for_delivery), for_delivery)
    size = len(raw_properties) + len(raw_annotations) + len(application)
    scheduled = annotations.get(SCHEDULED_TIME)
    session_id = properties[_GROUP_ID]
    if (
        raw_properties is not parts.properties
        or raw_annotations is not parts.message_annotations
        or for_delivery is not parts.delivery_annotations
        or not parts.in_order
        or application is not parts.application_properties
    ):
        payload = b"".join(
            (
                parts.header,
                for_delivery,
                raw_annotations,
                raw_properties,
                application,
                parts.body,
                parts.footer,
            )
        )
    return IncomingMessage(
        payload=payload,
        message_id=key,
        ttl=_ttl(parts.header, properties, now),
        session_id=text_of(session_id),
        partition_key=text_of(annotations.get(PARTITION_KEY)),
        scheduled_at=scheduled / 1000 if isinstance(scheduled, int) else None,
        properties_size=size,
        largest_property=_largest(application) if size > STRICT.property_size else None,
    )


def _largest(section: bytes) -> tuple[str, int] | None:
    """Name and bytes of the largest value in a map section; None if it is empty."""
    count, entries = s.map_entries(section)
    pos = 0
    largest: tuple[str, int] | None = None
    for _ in range(count // 2):
        value = skip(entries, pos)
        end = skip(entries, value)
        # Text and binary: without the code and the size that stand before them.
        size = end - value - {0xA: 2, 0xB: 5}.get(entries[value] >> 4, 1)
        if largest is None or size > largest[1]:
            largest = str(decode_whole(entries[pos:value])), size
        pos = end
    return largest


def read_transfer(payload: bytes, message_format: int, now: float) -> list[IncomingMessage]:
    """The messages of one transfer: one, or the contents of a batch. Raises `DecodeError`."""
    if message_format != BATCH_FORMAT:
        return [read(payload, now)]
    return [read(one, now) for one in s.batch_of(payload)]


def _without_ours(code: int, annotations: dict[Any, Any], raw: bytes) -> bytes:
    """The section without what only the service sets; `raw` itself if there is nothing of it."""
    if _OURS.isdisjoint(annotations):
        return raw
    kept = {name: value for name, value in annotations.items() if name not in _OURS}
    return s.section(code, kept) if kept else b""


def _trimmed(fields: list[Any]) -> list[Any]:
    last = len(fields)
    while last and fields[last - 1] is None:
        last -= 1
    return fields[:last]


def text_of(value: Any) -> str | None:
    """A string or a symbol as a plain string, which the store can write; None for all else."""
    return str(value) if isinstance(value, str) else None


def message_key(message_id: Any) -> str:
    """Equal ids give equal keys; ids of different AMQP types never do."""
    if isinstance(message_id, str):
        return f"\0{message_id}" if message_id.startswith("\0") else str(message_id)
    return f"\0{type(message_id).__name__}:{encode(message_id).hex()}"


def _ttl(header: bytes, properties: list[Any], now: float) -> float | None:
    """Seconds; from header.ttl, or where that is missing or too small from the absolute expiry."""
    ttl = s.list_of(header, 5)[_TTL] if header else None
    expiry = properties[_ABSOLUTE_EXPIRY]
    if isinstance(expiry, int) and (ttl is None or ttl == _MAX_TTL_MS):
        creation = properties[_CREATION]
        start = creation if isinstance(creation, int) else now * 1000
        return max(0.001, (expiry - start) / 1000)
    if not isinstance(ttl, int) or ttl == 0:
        return None
    return ttl / 1000


# Outwards

_SEQUENCE = b"\xa3\x15x-opt-sequence-number\x81"
_ENQUEUED = b"\xa3\x13x-opt-enqueued-time\x83"
_numbers = struct.Struct(f">{len(_SEQUENCE)}sq{len(_ENQUEUED)}sq").pack
# Only of forwarded and of dead messages, and of those not active: others are what is left out.
_FIRST_SEQUENCE = b"\xa3\x1dx-opt-enqueue-sequence-number\x81"
_STATE = b"\xa3\x13x-opt-message-state\x54"
_LOCKED_UNTIL = b"\xa3\x12x-opt-locked-until\x83"
_LOCK_TOKEN = b"\xa3\x10x-opt-lock-token\x98"
_NOTHING_FOR_DELIVERY = b"\x00\x53\x71\xc1\x01\x00"
_LOCK_TOKEN_ALONE = b"\x00\x53\x71\xc1\x24\x02" + _LOCK_TOKEN
_long = struct.Struct(">q").pack


def write(message: StoredMessage, number: int, locked: LockedMessage | None = None) -> bytes:
    """A message as a receiver gets it: delivered under `locked`, or deleted or peeked without.
    number: its sequence number, as the queue shows it."""
    payload = message.payload
    details = message.details
    header, for_delivery, annotations, rest = s.prelude(payload)
    count, entries = s.map_entries(annotations)
    count += 4
    own = _numbers(_SEQUENCE, number, _ENQUEUED, int(message.enqueued_at * 1000))
    if locked is not None:
        count += 2
        own += _LOCKED_UNTIL + _long(int(locked.until * 1000))
        tag = locked.token
        # A GUID's first three numbers are the other way round in a delivery tag.
        token = tag[3::-1] + tag[5:3:-1] + tag[7:5:-1] + tag[8:]
        if for_delivery:
            number, others = s.map_entries(for_delivery)
            for_delivery = s.map_section(
                s.DELIVERY_ANNOTATIONS, number + 2, others + _LOCK_TOKEN + token
            )
        else:
            for_delivery = _LOCK_TOKEN_ALONE + token
    elif not for_delivery:
        for_delivery = _NOTHING_FOR_DELIVERY
    if details.enqueued_sequence is not None:
        count += 2
        own += _FIRST_SEQUENCE + _long(details.enqueued_sequence)
    state = message.state
    if not state and details.scheduled_at is not None:
        # It says so for life (https://github.com/Azure/azure-sdk-for-js/pull/19357).
        state = SCHEDULED
    if state:
        count += 2
        own += _STATE + bytes((state,))
    if details.dead_letter_source is not None:
        count += 2
        own += encode(t.Symbol("x-opt-deadletter-source")) + encode(details.dead_letter_source)
    return b"".join(
        (
            _header(message, header),
            for_delivery,
            s.map_section(s.MESSAGE_ANNOTATIONS, count, entries + own),
            payload[rest:] if details is NO_DETAILS else _content(message, rest),
        )
    )


def write_outline(message: StoredMessage, number: int) -> bytes:
    """A peeked message without its body, of which a delivery annotation tells the size."""
    parts = s.split(write(message, number))
    count, entries = s.map_entries(parts.delivery_annotations)
    size = encode(t.Symbol("omitted-message-body-size")) + encode(len(parts.body))
    return b"".join(
        (
            parts.header,
            s.map_section(s.DELIVERY_ANNOTATIONS, count + 2, entries + size),
            parts.message_annotations,
            parts.properties,
            parts.application_properties,
        )
    )


def _content(message: StoredMessage, position: int) -> bytes:
    """The sections from the properties on, with what settlements have changed."""
    details = message.details
    if (
        details.modified is None
        and details.dead_letter_reason is None
        and details.dead_letter_description is None
    ):
        return message.payload[position:]
    parts = s.split(message.payload)
    application = _changed(message, parts.application_properties)
    return b"".join((parts.properties, application, parts.body, parts.footer))


def _header(message: StoredMessage, original: bytes) -> bytes:
    """durable, priority, ttl, first-acquirer, delivery-count."""
    count = message.delivery_count
    if not original and message.expires_at == NEVER and count < 256:
        if count == 0:
            return b"\x00\x53\x70\xc0\x06\x05\x40\x40\x40\x40\x43"
        return b"\x00\x53\x70\xc0\x07\x05\x40\x40\x40\x40\x52" + bytes((count,))
    fields = s.list_of(original, 5)
    if message.expires_at == NEVER:
        # A dead letter does not expire, and says what its sender said of its life.
        if message.details.dead_letter_source is None:
            fields[_TTL] = None
    else:
        # The effective one: a queue's default may have shortened the sender's.
        starts = message.enqueued_at
        if message.state is SCHEDULED:
            starts = message.details.scheduled_at or starts
        left = round((message.expires_at - starts) * 1000)
        fields[_TTL] = t.UInt(min(max(left, 0), _MAX_TTL_MS))
    fields[_DELIVERY_COUNT] = t.UInt(count)
    return s.section(s.HEADER, fields)


def _changed(message: StoredMessage, original: bytes) -> bytes:
    """The application properties with what settlements have set."""
    details = message.details
    properties = s.map_of(original)
    if details.modified is not None:
        properties.update(decode_whole(details.modified))
    if details.dead_letter_reason is not None:
        properties[REASON] = details.dead_letter_reason
    if details.dead_letter_description is not None:
        properties[DESCRIPTION] = details.dead_letter_description
    return s.section(s.APPLICATION_PROPERTIES, properties)


def merged(message: StoredMessage, changes: dict[Any, Any]) -> bytes | None:
    """What to store as `Details.modified` when a settlement sets `changes`; None for no change."""
    if not changes:
        return None
    before = message.details.modified
    properties: dict[str, Any] = {} if before is None else decode_whole(before)
    properties.update({str(name): value for name, value in changes.items()})
    return encode(properties)


# Requests and responses ($cbs, $management)


class Request:
    """A request message, decoded whole.

    message_id keeps its AMQP type, for the answer's correlation-id. body: the value of an
    amqp-value body; the binary of a single data section; otherwise None. transaction: the id of
    the one that it is a part of.
    """

    __slots__ = ("application_properties", "body", "message_id", "reply_to", "transaction")

    def __init__(self, payload: bytes, transaction: bytes | None = None) -> None:
        self.transaction = transaction
        parts = s.split(payload)
        properties = s.list_of(parts.properties, 13)
        self.message_id = properties[_MESSAGE_ID]
        self.reply_to = text_of(properties[4])
        self.application_properties = s.map_of(parts.application_properties)
        self.body: Any = None
        if parts.body_kind == s.VALUE:
            self.body = s.value_of(parts.body)
        elif parts.body_kind == s.DATA:
            self.body = b"".join(s.data_of(parts.body))

    def text(self, name: str) -> str | None:
        """An application property that must be a string; None if it is not."""
        return text_of(self.application_properties.get(name))


def response(request: Request, application_properties: dict[str, Any], body: Any) -> bytes:
    """The answer to `request`: correlated by its message-id, `body` as amqp-value."""
    parts = [
        s.section(s.PROPERTIES, [None, None, None, None, None, request.message_id]),
        s.section(s.APPLICATION_PROPERTIES, application_properties),
        s.section(s.VALUE, body),
    ]
    return b"".join(parts)
