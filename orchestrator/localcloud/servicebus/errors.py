# ruff: noqa: N818 -- the names are the wire's conditions, which say what happened
"""What can go wrong in the broker, as exceptions that name the thing and say what to do.

The queue engine raises these; the AMQP front maps each class to its AMQP error condition and the
Resource Manager provider to its HTTP answer. `condition` is the symbol that Service Bus uses for
it on the wire (azure-servicebus, `_common/constants.py` and `exceptions.py`).
"""

from __future__ import annotations


class BrokerError(Exception):
    """Base of all errors of the broker; `str(error)` is one sentence for the user."""

    condition = "amqp:internal-error"

    @property
    def message(self) -> str:
        return str(self)


class EntityNotFound(BrokerError):
    """No such namespace, queue or sub-queue."""

    condition = "amqp:not-found"


class EntityAlreadyExists(BrokerError):
    """A queue of that name is there already and creation must not replace it."""

    condition = "com.microsoft:entity-already-exists"


class EntityDisabled(BrokerError):
    """The queue's status forbids this operation."""

    condition = "com.microsoft:entity-disabled"


class InvalidOperation(BrokerError):
    """The request contradicts the entity: no session id on a session queue, a changed immutable
    property, a value out of range."""

    condition = "amqp:not-allowed"


class LockLost(BrokerError):
    """The lock token is unknown: it expired, or the message was settled."""

    condition = "com.microsoft:message-lock-lost"


class SessionLockLost(BrokerError):
    """The session's lock expired or was taken over."""

    condition = "com.microsoft:session-lock-lost"


class SessionCannotBeLocked(BrokerError):
    """Another receiver holds the session."""

    condition = "com.microsoft:session-cannot-be-locked"


class MessageNotFound(BrokerError):
    """No deferred or scheduled message has that sequence number."""

    condition = "com.microsoft:message-not-found"


class MessageTooLarge(BrokerError):
    """The message exceeds the queue's maximum message size."""

    condition = "amqp:link:message-size-exceeded"


class PropertiesTooLarge(BrokerError):
    """A property of a message, or all of them together, exceed what the service takes. It answers
    as to a failure of its own (https://github.com/Azure/azure-sdk-for-net/issues/15325)."""

    condition = "amqp:internal-error"


class QuotaExceeded(BrokerError):
    """The queue is at its maxSizeInMegabytes; nothing was stored."""

    condition = "amqp:resource-limit-exceeded"


class StoreError(BrokerError):
    """The durable store could not do what was asked; nothing of the request is stored."""

    condition = "amqp:internal-error"


class StoreFull(StoreError):
    """No room left on the device or in the database."""

    condition = "amqp:resource-limit-exceeded"


class StoreFailed(StoreError):
    """An input/output error, or the store is closed."""


class StoreCorrupt(StoreError):
    """The file is not this broker's database, is damaged, or is of a newer version."""
