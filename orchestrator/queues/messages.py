"""Messages: one as the library shows it, many as a result, and which of them are meant.

The SDK gives every AMQP string as bytes (`azure.servicebus.ServiceBusMessage.
application_properties` says so); here strings are text again: bytes that are UTF-8 become `str`,
others stay `bytes`.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from orchestrator.errors import BadInput
from orchestrator.records import Column, Kind, Records, jsonable, show
from orchestrator.results import Record

if TYPE_CHECKING:
    from azure.servicebus import ServiceBusReceivedMessage

# What Service Bus adds to a dead-lettered message's own properties.
# https://learn.microsoft.com/azure/service-bus-messaging/service-bus-dead-letter-queues
REASON = "DeadLetterReason"
DESCRIPTION = "DeadLetterErrorDescription"

_NEVER = timedelta(days=365 * 1000)  # what the service calls no time-to-live is longer than this


class Message(Record, frozen=True, kw_only=True):
    """A message, as it was when it was read.

    `sequence_number`: its number in the queue, which never changes. `id`: the sender's name for
    it. `body`: text, or bytes where they are no UTF-8, or the plain value of an AMQP value or
    sequence body. `state`: active, deferred or scheduled. `deliveries`: how often it was received
    before. `reason`, `description`: why it was dead-lettered. `properties`: the sender's own, by
    name. Times are aware UTC; `time_to_live` None: for ever, or the queue's.
    """

    sequence_number: int
    id: str = ""
    body: Any = ""
    enqueued: datetime | None = None
    state: str = "active"
    deliveries: int = 0
    reason: str = ""
    description: str = ""
    session_id: str = ""
    subject: str = ""
    content_type: str = ""
    correlation_id: str = ""
    to: str = ""
    reply_to: str = ""
    partition_key: str = ""
    time_to_live: timedelta | None = None
    expires: datetime | None = None
    scheduled: datetime | None = None
    properties: dict[str, Any] = {}  # noqa: RUF012 -- a struct's default, copied

    @property
    def text(self) -> str:
        """The body as people read it: text as it is, bytes as base64, a value as JSON."""
        if isinstance(self.body, str):
            return self.body
        if isinstance(self.body, bytes):
            return base64.b64encode(self.body).decode()
        return json.dumps(_plain_json(self.body), ensure_ascii=False)

    def json(self) -> Any:
        """The body read as JSON. Raises BadInput when it is none."""
        if not isinstance(self.body, str | bytes):
            return self.body
        try:
            return json.loads(self.body)
        except ValueError:
            raise BadInput(
                f"The body of message {self.sequence_number} is not JSON.",
                "Take it as it is: message.body",
            ) from None

    def as_json(self) -> dict[str, Any]:
        """A plain dict; bytes are base64, and `body_encoding` says so of the body."""
        values = {f: _plain_json(getattr(self, f)) for f in self.__struct_fields__}
        if isinstance(self.body, bytes):
            values["body_encoding"] = "base64"
        return values

    def details(self) -> list[tuple[str, Any, Kind]]:
        shown: list[tuple[str, Any, Kind]] = [
            ("message", self.id, "text"),
            ("number", self.sequence_number, "text"),
            ("enqueued", self.enqueued, "time"),
            ("state", "" if self.state == "active" else self.state, "text"),
            ("scheduled for", self.scheduled, "time"),
            ("expires", self.expires, "time"),
            ("deliveries", self.deliveries or None, "number"),
            ("reason", self.reason, "text"),
            ("description", self.description, "text"),
            ("session", self.session_id, "text"),
            ("subject", self.subject, "text"),
            ("correlation id", self.correlation_id, "text"),
            ("content type", self.content_type, "text"),
            ("to", self.to, "text"),
            ("reply to", self.reply_to, "text"),
        ]
        shown += [(f"property {k}", _property(v), "text") for k, v in self.properties.items()]
        size = f" ({show(len(self.body), 'bytes')}, base64)" if isinstance(self.body, bytes) else ""
        shown.append((f"body{size}", self.text, "text"))
        return [row for row in shown if row[1] not in (None, "")]

    def __repr__(self) -> str:
        text = self.text if len(self.text) <= 60 else self.text[:59] + "…"
        return f"<Message {self.sequence_number} {self.id}: {text}>"


def _property(value: Any) -> str:
    return value if isinstance(value, str) else str(_plain_json(value))


def _pairs(message: Message) -> str:
    return ", ".join(f"{name}={_property(value)}" for name, value in message.properties.items())


_NUMBER = Column("sequence_number", "number", "number")
_ID = Column("id", "message")
_ENQUEUED = Column("enqueued", "enqueued", "time")
_SESSION = Column("session_id", "session")
_PROPERTIES = Column("properties", "properties", "text", _pairs)
_BODY = Column("text", "body")


class Messages(Records[Message]):
    """Messages, in the order of the queue. `more`: there are more than were asked for. `held`: the
    sessions that somebody else held, so that their messages are not among them."""

    noun = "messages"
    columns: tuple[Column, ...] = (
        _NUMBER,
        _ID,
        _ENQUEUED,
        _SESSION,
        Column("state", "state", "status", lambda m: "" if m.state == "active" else m.state),
        _PROPERTIES,
        _BODY,
    )

    def __init__(
        self, items: Iterable[Message] = (), *, more: bool = False, held: Iterable[str] = ()
    ) -> None:
        super().__init__(items)
        self.more = more
        self.held = tuple(held)


class DeadLetterMessages(Messages):
    """Dead-lettered messages, in the order of their queue, with the reasons."""

    noun = "dead letters"
    columns = (
        _NUMBER,
        _ID,
        _ENQUEUED,
        Column("reason", "reason"),
        Column("description", "description"),
        _SESSION,
        _PROPERTIES,
        _BODY,
    )


class Sent(Record, frozen=True, kw_only=True):
    """What `send` did: so many messages accepted by `queue`, with these ids."""

    queue: str
    sent: int
    ids: tuple[str, ...] = ()

    def details(self) -> list[tuple[str, Any, Kind]]:
        only = self.ids[0] if len(self.ids) == 1 else ""
        rows: list[tuple[str, Any, Kind]] = [
            ("queue", self.queue, "text"),
            ("sent", self.sent, "number"),
            ("message", only, "text"),
        ]
        return [row for row in rows if row[1] != ""]

    def __repr__(self) -> str:
        return f"<Sent {self.queue}: {self.sent:,} accepted>"


class Outcome(Record, frozen=True, kw_only=True):
    """What a purge or a resubmission did.

    `action`: purged or resubmitted. `matched`: how many messages were meant. `done`: how many of
    them it was done to. `left`: how many are still where they were: taken by somebody else
    meanwhile, or out of reach; do it again. `messages`: those meant, where they were looked at
    beforehand; with `dry_run` nothing was done to them.
    """

    queue: str
    action: str
    matched: int
    done: int
    left: int = 0
    dry_run: bool = False
    messages: Messages = DeadLetterMessages()

    def details(self) -> list[tuple[str, Any, Kind]]:
        rows: list[tuple[str, Any, Kind]] = [
            ("queue", self.queue, "text"),
            (self.action, self.done, "number"),
            ("left", self.left or None, "number"),
        ]
        return [row for row in rows if row[1] is not None]

    def as_json(self) -> dict[str, Any]:
        """A plain dict, without the messages themselves."""
        return {f: getattr(self, f) for f in self.__struct_fields__ if f != "messages"}

    def __repr__(self) -> str:
        would = "would be " if self.dry_run else ""
        count = self.matched if self.dry_run else self.done
        left = f", {self.left} left" if self.left else ""
        return f"<Outcome {self.queue}: {count} {would}{self.action}{left}>"


class Filter(msgspec.Struct, frozen=True):
    """Which messages are meant: those that match all that is given.

    `reasons`: of the dead-lettering, any of these in any case. `since`: enqueued then or later.
    `grep`: a pattern found in the body, the id, a property, the reason or its description.
    """

    reasons: tuple[str, ...] = ()
    since: datetime | None = None
    grep: re.Pattern[str] | None = None

    @property
    def everything(self) -> bool:
        return not self.reasons and self.since is None and self.grep is None

    def matches(self, message: Message) -> bool:
        if self.reasons and message.reason.lower() not in [r.lower() for r in self.reasons]:
            return False
        if self.since is not None and (message.enqueued is None or message.enqueued < self.since):
            return False
        if self.grep is None:
            return True
        places = [message.text, message.id, message.reason, message.description, _pairs(message)]
        return any(self.grep.search(place) for place in places)


def pattern_of(grep: str | None) -> re.Pattern[str] | None:
    """The compiled pattern. Raises BadInput."""
    if grep is None:
        return None
    try:
        return re.compile(grep)
    except re.error as error:
        raise BadInput(f'"{grep}" is no regular expression: {error.msg}.') from None


# ------------------------------------------------------------------------------ from the wire


def readable(value: Any) -> Any:
    """A value as the SDK decoded it, its strings made text again, all the way down."""
    if isinstance(value, bytes | bytearray | memoryview):
        raw = bytes(value)
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            return raw
    if isinstance(value, Mapping):
        return {readable(key): readable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [readable(item) for item in value]
    return value


def body_of(received: ServiceBusReceivedMessage) -> Any:
    """Text, bytes, or the plain value of a value or sequence body."""
    from azure.servicebus.amqp import AmqpMessageBodyType

    if received.body_type == AmqpMessageBodyType.DATA:
        return readable(b"".join(received.body))
    if received.body_type == AmqpMessageBodyType.SEQUENCE:
        return [item for section in received.body for item in readable(list(section))]
    return readable(received.body) if received.body is not None else ""


def message_of(received: ServiceBusReceivedMessage) -> Message:
    """A `Message` of what the SDK received or peeked."""
    properties = {
        str(readable(name)): readable(value)
        for name, value in (received.application_properties or {}).items()
    }
    reason, description = properties.pop(REASON, None), properties.pop(DESCRIPTION, None)
    ttl = received.time_to_live
    if ttl is not None and ttl > _NEVER:
        ttl = None
    state = getattr(received.state, "name", "ACTIVE").lower()
    due, enqueued = received.scheduled_enqueue_time_utc, received.enqueued_time_utc
    if state == "scheduled" and due is not None and enqueued is not None and due <= enqueued:
        # Its time has come: the service enqueues it then, and goes on saying that it is scheduled.
        state = "active"
    return Message(
        sequence_number=received.sequence_number or 0,
        id=_text(received.message_id),
        body=body_of(received),
        enqueued=received.enqueued_time_utc,
        state=state,
        deliveries=received.delivery_count or 0,
        reason=_text(reason),
        description=_text(description),
        session_id=_text(received.session_id),
        subject=_text(received.subject),
        content_type=_text(received.content_type),
        correlation_id=_text(received.correlation_id),
        to=_text(received.to),
        reply_to=_text(received.reply_to),
        partition_key=_text(received.partition_key),
        time_to_live=ttl,
        expires=received.enqueued_time_utc + ttl if ttl and received.enqueued_time_utc else None,
        scheduled=due if state == "scheduled" else None,
        properties=properties,
    )


def _text(value: Any) -> str:
    value = readable(value)
    return "" if value is None else str(value)


def _plain_json(value: Any) -> Any:
    """`value` for JSON: bytes as base64, everything else as `jsonable` has it."""
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, dict):
        return {str(key): _plain_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_json(item) for item in value]
    return jsonable(value)
