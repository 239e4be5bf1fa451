"""Transactions of one connection, and the link on which a client asks for them (AMQP 1.0, part 4).

What a client sends or settles in a transaction is looked at and answered at once, and done when
the transaction is discharged: all of it, or nothing. Until then a message that is settled in it
stays under its lock.

https://learn.microsoft.com/azure/service-bus-messaging/service-bus-transactions; the numbers:
https://learn.microsoft.com/azure/service-bus-messaging/service-bus-quotas
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from orchestrator.localcloud.amqp import performatives as p
from orchestrator.localcloud.amqp import sections as s
from orchestrator.localcloud.amqp import types as t
from orchestrator.localcloud.amqp.errors import (
    INVALID_FIELD,
    NOT_IMPLEMENTED,
    RESOURCE_LIMIT_EXCEEDED,
    AmqpError,
)
from orchestrator.localcloud.amqp.events import Received
from orchestrator.localcloud.amqp.link import IncomingDelivery, IncomingLink
from orchestrator.localcloud.servicebus.errors import BrokerError
from orchestrator.localcloud.servicebus.front.links.door import Door
from orchestrator.localcloud.servicebus.transactions import Operation

if TYPE_CHECKING:
    from orchestrator.localcloud.servicebus.front.peer import Peer

UNKNOWN_ID = "amqp:transaction:unknown-id"
ROLLBACK = "amqp:transaction:rollback"
TIMEOUT = "amqp:transaction:timeout"

SECONDS = 120.0
"""After which a transaction that nobody has discharged is rolled back."""
MESSAGES = 100
"""Sent in one transaction; how many are settled in it is not limited."""
AT_ONCE = 50
"""Transactions of one connection that are not discharged."""
HELD_BYTES = 64 * 1024 * 1024
"""Of what was sent in them: messages, and what settlements set."""
OPERATION_BYTES = 500
"""That each operation has besides, about."""

CREDIT = 100


class _Transaction:
    def __init__(self, ends: float, owner: CoordinatorDoor) -> None:
        self.ends = ends
        self.owner = owner
        self.operations: list[Operation] = []
        self.spoilt: AmqpError | None = None
        self.messages = 0
        self.size = 0
        # What it settles, and as what.
        self.settlements: dict[object, object] = {}

    def empty(self) -> None:
        """Let go of what it holds: nothing of it is going to happen."""
        self.operations.clear()
        self.settlements.clear()
        self.size = 0


class Transactions:
    """Those of one connection that are not discharged; with it they are gone."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._open: dict[bytes, _Transaction] = {}
        self._watch: asyncio.Task[None] | None = None

    def declare(self, owner: CoordinatorDoor) -> bytes:
        """A new one's id. Raises AmqpError when there are too many."""
        now = self._peer.now()
        self._open = {id: one for id, one in self._open.items() if one.ends > now}
        if len(self._open) >= AT_ONCE:
            raise AmqpError(
                RESOURCE_LIMIT_EXCEEDED,
                f"A connection may have {AT_ONCE} transactions at once: discharge one.",
            )
        id = uuid.uuid4().bytes
        self._open[id] = _Transaction(now + SECONDS, owner)
        return id

    def forget_of(self, owner: CoordinatorDoor) -> None:
        """Roll back what was declared there and is not discharged (part 4, section 4.2)."""
        self._open = {id: one for id, one in self._open.items() if one.owner is not owner}
        if not self._open and self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def check(self, id: bytes) -> None:
        """Raises AmqpError if there is no such transaction."""
        self._find(id)

    def enlist(
        self,
        id: bytes,
        operation: Operation,
        messages: int = 0,
        size: int = 0,
        settles: tuple[object, object] | None = None,
    ) -> None:
        """Have it done when the transaction is discharged. messages: that it sends. settles: a
        delivery, and how; said again, it is in the transaction already. Raises AmqpError."""
        one = self._find(id)
        delivery, how = settles or (None, None)
        if delivery is not None and one.settlements.get(delivery) == how:
            return
        if one.messages + messages > MESSAGES:
            raise AmqpError(
                RESOURCE_LIMIT_EXCEEDED,
                f"Cannot send more than {MESSAGES} messages in a single transaction.",
            )
        size += OPERATION_BYTES
        if size + self._held() > HELD_BYTES:
            raise AmqpError(
                RESOURCE_LIMIT_EXCEEDED, "The transactions of this connection hold too much."
            )
        one.messages += messages
        one.size += size
        one.operations.append(operation)
        if delivery is not None:
            one.settlements[delivery] = how
        if self._watch is None:
            self._watch = asyncio.get_running_loop().create_task(self._watch_ends())

    def holds(self, delivery: object) -> bool:
        """Whether one of them is going to settle that delivery."""
        return any(delivery in one.settlements for one in self._open.values())

    async def _watch_ends(self) -> None:
        """Empty each as its time ends: its client may say no more, and stay connected."""
        while ends := [one.ends for one in self._open.values() if one.operations]:
            await self._peer.clock.sleep_until(min(ends))
            self._empty_ended()
        self._watch = None

    def _empty_ended(self) -> None:
        now = self._peer.now()
        for one in self._open.values():
            if one.ends <= now:
                one.empty()

    def _held(self) -> int:
        """Bytes in those whose time is not over."""
        self._empty_ended()
        return sum(one.size for one in self._open.values())

    def spoil(self, id: bytes, error: AmqpError) -> None:
        """Something of it failed of which its client is not told, having settled it beforehand: it
        can only be rolled back."""
        one = self._open.get(id)
        if one is not None:
            one.spoilt = error
            one.empty()

    def discharge(self, id: bytes, fail: bool, done: Callable[[AmqpError | None], None]) -> None:
        """Do all that was enlisted, or forget it; `done` is told how that went. Raises AmqpError
        if there is no such transaction, or it is spoilt."""
        one = self._find(id)
        del self._open[id]
        if one.spoilt is not None and not fail:
            raise _rolled_back(one.spoilt.description)
        if fail or not one.operations:
            done(None)
            return

        def finished(error: BrokerError | None) -> None:
            done(None if error is None else _rolled_back(error.message))

        self._peer.broker.transact(one.operations, finished)

    def _find(self, id: bytes) -> _Transaction:
        one = self._open.get(id)
        if one is None:
            raise AmqpError(UNKNOWN_ID, "There is no such transaction on this connection.")
        if one.ends <= self._peer.now():
            del self._open[id]
            raise AmqpError(TIMEOUT, f"The transaction was not discharged in {SECONDS:.0f} s.")
        return one


def _rolled_back(reason: str) -> AmqpError:
    return AmqpError(ROLLBACK, f"The transaction is rolled back: {reason}")


class CoordinatorDoor(Door):
    """The link on which transactions are declared and discharged."""

    namespace = ""
    path = ""

    def __init__(self, peer: Peer, link: IncomingLink) -> None:
        self.link: IncomingLink = link
        self._peer = peer

    def open(self, max_message_size: int) -> None:
        self.link.accept(max_message_size=max_message_size)
        self.link.open_window(CREDIT)

    def on_detached(self) -> None:
        self._peer.transactions.forget_of(self)

    def on_received(self, event: Received) -> None:
        delivery = event.delivery
        try:
            self._serve(delivery)
        except AmqpError as error:
            self.link.settle(delivery, p.reject(error))

    def _serve(self, delivery: IncomingDelivery) -> None:
        asked = s.value_of(s.split(delivery.payload).body)
        kind = p.kind_of(asked.descriptor) if isinstance(asked, t.Described) else 0
        if kind == p.DECLARE:
            declared = p.Outcome(p.DECLARED, transaction=self._peer.transactions.declare(self))
            self.link.settle(delivery, declared)
        elif kind == p.DISCHARGE:
            id, fail = _discharge(asked.value)
            if self._peer.is_posting(id):
                # It costs the link, and with it the transaction (part 4, section 4.4.2).
                early = "A message of the transaction has not arrived whole."
                self._peer.detach(self, AmqpError(ROLLBACK, early))
                return

            def done(error: AmqpError | None) -> None:
                self.link.settle(delivery, p.ACCEPT if error is None else p.reject(error))
                self._peer.wake()

            self._peer.transactions.discharge(id, fail, done)
        else:
            raise AmqpError(NOT_IMPLEMENTED, "A coordinator is asked to declare and to discharge.")


def _discharge(value: Any) -> tuple[bytes, bool]:
    fields = [*value, None, None] if isinstance(value, list) else [None, None]
    if not isinstance(fields[0], bytes) or not isinstance(fields[1], bool | None):
        raise AmqpError(INVALID_FIELD, "A discharge needs the id of a transaction.")
    return fields[0], bool(fields[1])
