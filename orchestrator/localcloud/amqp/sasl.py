"""SASL as AMQP 1.0 layers it before a connection (part 5, section 5.3), the server's side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import performatives as p
from . import types as t
from .errors import NOT_ALLOWED, AmqpError
from .framing import SASL_FRAME, frame

OK = 0
AUTHENTICATION_FAILED = 1

# Service Bus offers these; MSSBCBS says "I will authorise on $cbs", as ANONYMOUS does in effect.
ANONYMOUS = "ANONYMOUS"
MECHANISMS = ("MSSBCBS", "PLAIN", ANONYMOUS, "EXTERNAL")


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a peer showed. `user` and `password` are set for PLAIN only."""

    mechanism: str
    hostname: str | None = None
    user: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return f"Credentials({self.mechanism}, user={self.user!r})"


Check = Callable[[Credentials], bool]
"""Whether to let a peer with these credentials in."""


def mechanisms_frame(mechanisms: tuple[str, ...]) -> bytes:
    """sasl-mechanisms."""
    return frame(0, p.body(p.SASL_MECHANISMS, t.symbols(mechanisms)), SASL_FRAME)


def outcome_frame(code: int) -> bytes:
    """sasl-outcome."""
    return frame(0, p.body(p.SASL_OUTCOME, t.UByte(code)), SASL_FRAME)


def read_init(code: int, fields: list[Any], mechanisms: tuple[str, ...]) -> Credentials | None:
    """The credentials of a sasl-init; None if they are malformed or of a mechanism not offered.

    Raises `AmqpError` for anything but a sasl-init.
    """
    if code != p.SASL_INIT or not isinstance(fields[0], str):
        raise AmqpError(NOT_ALLOWED, "SASL begins with sasl-init.")
    mechanism = str(fields[0])
    hostname = fields[2] if isinstance(fields[2], str) else None
    if mechanism not in mechanisms:
        return None
    if mechanism != "PLAIN":
        return Credentials(mechanism, hostname)
    response = fields[1] if isinstance(fields[1], bytes) else b""
    parts = response.split(b"\0")
    if len(parts) != 3:
        return None
    try:
        return Credentials(mechanism, hostname, parts[1].decode(), parts[2].decode())
    except UnicodeDecodeError:
        return None
