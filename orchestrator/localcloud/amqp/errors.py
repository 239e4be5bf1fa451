"""Errors as AMQP 1.0 carries them (part 2, section 2.8.14), and the standard conditions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

INTERNAL_ERROR = "amqp:internal-error"
NOT_FOUND = "amqp:not-found"
UNAUTHORIZED_ACCESS = "amqp:unauthorized-access"
DECODE_ERROR = "amqp:decode-error"
RESOURCE_LIMIT_EXCEEDED = "amqp:resource-limit-exceeded"
NOT_ALLOWED = "amqp:not-allowed"
INVALID_FIELD = "amqp:invalid-field"
NOT_IMPLEMENTED = "amqp:not-implemented"
ILLEGAL_STATE = "amqp:illegal-state"

CONNECTION_FORCED = "amqp:connection:forced"
FRAMING_ERROR = "amqp:connection:framing-error"

WINDOW_VIOLATION = "amqp:session:window-violation"
ERRANT_LINK = "amqp:session:errant-link"
HANDLE_IN_USE = "amqp:session:handle-in-use"
UNATTACHED_HANDLE = "amqp:session:unattached-handle"

DETACH_FORCED = "amqp:link:detach-forced"
TRANSFER_LIMIT_EXCEEDED = "amqp:link:transfer-limit-exceeded"
MESSAGE_SIZE_EXCEEDED = "amqp:link:message-size-exceeded"
STOLEN = "amqp:link:stolen"


class AmqpError(Exception):
    """An error with its AMQP condition; raised, or handed to the peer in close, end or detach.

    `info` is always a map on the wire, never null: there are clients that index it unasked.
    """

    def __init__(
        self, condition: str, description: str = "", info: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(f"{condition}: {description}" if description else condition)
        self.condition = condition
        self.description = description
        self.info: dict[str, Any] = dict(info or {})


class DecodeError(AmqpError):
    """Bytes that are not what AMQP says they should be."""

    def __init__(self, description: str) -> None:
        super().__init__(DECODE_ERROR, description)


class EncodeError(ValueError):
    """A Python value that no AMQP type can carry."""
