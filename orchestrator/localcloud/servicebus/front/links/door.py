"""What stands at this end of a link: the common part of the doors to a queue or a node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.localcloud.amqp.errors import (
    NOT_FOUND,
    UNAUTHORIZED_ACCESS,
    AmqpError,
)
from orchestrator.localcloud.amqp.events import Disposed, Received
from orchestrator.localcloud.servicebus.errors import BrokerError
from orchestrator.localcloud.servicebus.model import Right

if TYPE_CHECKING:
    from orchestrator.localcloud.amqp.link import IncomingLink, OutgoingLink

LOCK_LOST = "com.microsoft:message-lock-lost"


class Door:
    """A link's `context`: what the front does with its events.

    right: what a token must grant for it on `path` of `namespace`; None: anything at all.
    """

    link: IncomingLink | OutgoingLink
    namespace: str
    path: str
    right: Right | None = None

    @property
    def entities(self) -> tuple[str, ...]:
        """The paths on which `right` must hold, for as long as the link does."""
        return (self.path,) if self.path else ()

    def on_received(self, event: Received) -> None:
        """A message came in (incoming links)."""

    def on_sendable(self) -> None:
        """There is credit, or a drain to answer (outgoing links)."""

    def on_disposed(self, event: Disposed) -> None:
        """The receiver settled deliveries (outgoing links)."""

    def on_detached(self) -> None:
        """The link is gone; let go of everything held for it."""


def wire_error(error: BrokerError) -> AmqpError:
    """A broker's error as AMQP carries it."""
    return AmqpError(error.condition, error.message or "The operation failed.")


def not_found(address: str) -> AmqpError:
    return AmqpError(NOT_FOUND, f"The messaging entity '{address}' could not be found.")


def unauthorized(right: Right | None, address: str) -> AmqpError:
    claim = f"'{right}' claim(s)" if right is not None else "Claim(s)"
    return AmqpError(
        UNAUTHORIZED_ACCESS,
        f"Unauthorized access. {claim} are required to perform this operation. "
        f"Resource: '{address}'. A token put on $cbs, or a role, has to give it.",
    )


def expired(address: str) -> AmqpError:
    return AmqpError(
        UNAUTHORIZED_ACCESS, f"ExpiredToken: The token for '{address}' is expired; put a new one."
    )
