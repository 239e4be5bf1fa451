# ruff: noqa: N818 -- named for what happened, as the broker's errors are
"""What can go wrong with a request for messages besides the broker's errors, and its statuses."""

from __future__ import annotations

from orchestrator.localcloud.servicebus.errors import (
    BrokerError,
    EntityDisabled,
    EntityNotFound,
    InvalidOperation,
    LockLost,
    MessageTooLarge,
    PropertiesTooLarge,
    QuotaExceeded,
)
from orchestrator.localcloud.servicebus.front.faults import SERVER_BUSY


class NotOverHttp(InvalidOperation):
    """An entity that cannot be received from in this way; the service answers 405
    (https://github.com/Azure/azure-sdk-for-php/issues/1024)."""


class Busy(BrokerError):
    """The service is busy: a fault that was asked for."""

    condition = SERVER_BUSY


class ServerStopping(BrokerError):
    """The server stops while a request waits."""

    condition = SERVER_BUSY


_STATUSES: tuple[tuple[type[BrokerError], int], ...] = (
    (EntityNotFound, 410),
    (LockLost, 404),
    (NotOverHttp, 405),
    (QuotaExceeded, 403),
    (MessageTooLarge, 403),
    (EntityDisabled, 403),
    (Busy, 503),
    (ServerStopping, 503),
    (InvalidOperation, 400),
    (PropertiesTooLarge, 400),
)


def status_of(failure: BrokerError) -> int:
    """As the operations' pages have it; what they leave out as the service was seen to do."""
    return next((status for kind, status in _STATUSES if isinstance(failure, kind)), 500)
