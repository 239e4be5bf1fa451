"""The contents of AMQP 1.0 messages (part 3, section 3.2) for the queue engine's rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.localcloud.amqp import sections as s
from orchestrator.localcloud.amqp import types as t
from orchestrator.localcloud.amqp.errors import DecodeError
from orchestrator.localcloud.servicebus.content import MessageContent
from orchestrator.localcloud.servicebus.errors import InvalidOperation
from orchestrator.localcloud.servicebus.front.messages import (
    PARTITION_KEY,
    SCHEDULED_TIME,
    message_key,
)

# Indexes in the properties section.
_FIELDS = {
    "MessageId": 0,
    "To": 2,
    "Label": 3,
    "ReplyTo": 4,
    "CorrelationId": 5,
    "ContentType": 6,
    "SessionId": 10,
    "ReplyToSessionId": 12,
}
_SYMBOLS = {"ContentType"}
_TTL = 2


class AmqpContent:
    """`Content` of messages as `messages.read` keeps them."""

    def message_id(self, payload: bytes) -> str | None:
        try:
            message_id = s.list_of(s.split(payload).properties, 13)[0]
        except DecodeError:
            return None
        return None if message_id is None else message_key(message_id)

    def read(self, payload: bytes) -> MessageContent:
        try:
            parts = s.split(payload)
            fields = s.list_of(parts.properties, 13)
            annotations = s.map_of(parts.message_annotations)
            properties = s.map_of(parts.application_properties)
            header = s.list_of(parts.header, 5)
        except DecodeError as error:
            raise InvalidOperation(f"The message cannot be read: {error}.") from error
        system = {name: fields[index] for name, index in _FIELDS.items()}
        system["PartitionKey"] = annotations.get(PARTITION_KEY)
        system["ScheduledEnqueueTimeUtc"] = annotations.get(SCHEDULED_TIME)
        if header[_TTL] is not None:
            system["TimeToLive"] = header[_TTL] / 1000
        system["Size"] = len(payload)
        return MessageContent(system, {str(name): value for name, value in properties.items()})

    def change(
        self, payload: bytes, system: Mapping[str, Any], properties: Mapping[str, Any]
    ) -> bytes:
        parts = s.split(payload)
        raw_properties = parts.properties
        if system:
            fields = s.list_of(raw_properties, 13)
            for name, value in system.items():
                kind = t.Symbol if name in _SYMBOLS else str
                fields[_FIELDS[name]] = None if value is None else kind(value)
            while fields and fields[-1] is None:
                fields.pop()
            raw_properties = s.section(s.PROPERTIES, fields)
        application = parts.application_properties
        before = s.map_of(application)
        if before != properties:
            application = s.section(s.APPLICATION_PROPERTIES, dict(properties))
        return b"".join(
            (
                parts.header,
                parts.delivery_annotations,
                parts.message_annotations,
                raw_properties,
                application if properties else b"",
                parts.body,
                parts.footer,
            )
        )
