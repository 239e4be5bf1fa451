"""The place where faults come into the front: whoever is asked says what goes wrong, or nothing.

Asked at every operation by its name: `attach`, `token`, `send`, `receive`, `complete`, `abandon`,
`defer`, `dead-letter`, `release`, and those of `$management` without their prefix (`renew-lock`).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from orchestrator.localcloud.amqp import performatives as p
from orchestrator.localcloud.amqp.errors import AmqpError

SERVER_BUSY = "com.microsoft:server-busy"


class Strike(Enum):
    """What goes wrong."""

    BUSY = "the operation is refused, to be tried again later"
    LOCK_LOST = "the lock it needs has gone, as if it had expired"
    CUT = "the connection breaks before anything is done"
    CUT_AFTER = "it is done, and the connection breaks before the client learns of it"


Strikes = Callable[[str, str, str], Strike | None]
"""(operation, namespace, path of the entity or "") -> what goes wrong with it now."""


def server_busy() -> AmqpError:
    """What a busy service answers (azure-servicebus: ServiceBusServerBusyError, tried again)."""
    return AmqpError(
        SERVER_BUSY,
        "The request was terminated because the namespace is being throttled. Please wait 4 "
        "seconds and try again.",
    )


def settlement(outcome: p.Outcome) -> str:
    """The operation that an outcome stands for."""
    if outcome.kind == p.MODIFIED:
        return "defer" if outcome.elsewhere else "abandon"
    return _SETTLEMENTS.get(outcome.kind, "settle")


_SETTLEMENTS = {p.ACCEPTED: "complete", p.RELEASED: "release", p.REJECTED: "dead-letter"}
