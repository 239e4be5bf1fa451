"""Messages as a client encodes them, for what the broker reads in them."""

from __future__ import annotations

from typing import Any

from orchestrator.localcloud.amqp import sections as s
from orchestrator.localcloud.amqp.types import Symbol

_FIELDS = (
    "message_id",
    "user_id",
    "to",
    "subject",
    "reply_to",
    "correlation_id",
    "content_type",
    "content_encoding",
    "absolute_expiry_time",
    "creation_time",
    "session_id",
    "group_sequence",
    "reply_to_session_id",
)


def encoded(text: str, properties: dict[str, Any] | None = None, **fields: Any) -> bytes:
    """A message with `text` as its body, application `properties`, and properties by name."""
    values = [fields.get(name) for name in _FIELDS]
    if fields.get("content_type") is not None:
        values[6] = Symbol(fields["content_type"])
    parts = [s.section(s.PROPERTIES, values)]
    if properties:
        parts.append(s.section(s.APPLICATION_PROPERTIES, properties))
    parts.append(s.section(s.DATA, text.encode()))
    return b"".join(parts)


def body(payload: bytes) -> str:
    """Its text again."""
    return b"".join(s.data_of(s.split(payload).body)).decode()
