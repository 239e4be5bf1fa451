"""A client's sender link: its messages go into a queue, its outcomes come once they are durable."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from orchestrator.localcloud.amqp import performatives as p
from orchestrator.localcloud.amqp import types as t
from orchestrator.localcloud.amqp.errors import AmqpError
from orchestrator.localcloud.amqp.events import Received
from orchestrator.localcloud.amqp.link import IncomingDelivery, IncomingLink
from orchestrator.localcloud.servicebus.errors import BrokerError
from orchestrator.localcloud.servicebus.front.addresses import parse
from orchestrator.localcloud.servicebus.front.faults import Strike, server_busy
from orchestrator.localcloud.servicebus.front.links.door import (
    Door,
    not_found,
    unauthorized,
    wire_error,
)
from orchestrator.localcloud.servicebus.front.messages import BATCH_FORMAT, read_transfer
from orchestrator.localcloud.servicebus.model import Done, IncomingMessage, Right
from orchestrator.localcloud.servicebus.queue import Queue
from orchestrator.localcloud.servicebus.transactions import Operation

if TYPE_CHECKING:
    from orchestrator.localcloud.servicebus.front.peer import Peer

CREDIT = 1000

BATCH_SIZE = "com.microsoft:max-message-batch-size"
"""Link property: the bytes that a batch may have. Clients make their batches no larger; without it
they go by the link's max-message-size, which is too much for a queue with large messages
(azure-servicebus 7.15.0, CHANGELOG)."""


DESTINATION = "com.microsoft:transfer-destination-address"
"""Link property: the entity that messages are for, where the link's own is only their way there
("send via", of transactions in which messages of the one are settled:
https://learn.microsoft.com/azure/service-bus-messaging/service-bus-amqp-protocol-guide)."""


class SenderDoor(Door):
    """Joins an incoming link to `queue`."""

    right = Right.SEND

    def __init__(self, peer: Peer, link: IncomingLink, queue: Queue) -> None:
        self.link: IncomingLink = link
        self.namespace = queue.namespace
        self.path = queue.path
        self._peer = peer
        self._queue = queue
        # What the messages are for; None: `queue` itself.
        self._destination: Queue | None = None
        self._ends = [queue.subscribe(self._changed)]

    def open(self) -> None:
        """Accept the link. Raises `BrokerError` if the queue takes no messages, `AmqpError`."""
        queue = self._queue
        queue.check_send()
        properties: dict[str, Any] = {BATCH_SIZE: t.ULong(queue.max_batch_size)}
        asked = self.link.properties.get(DESTINATION)
        if asked is not None:
            self._destination = self._find(str(asked))
            self._ends.append(self._destination.subscribe(self._changed))
            properties[DESTINATION] = asked
        self.link.accept(
            max_message_size=max(queue.max_message_size, queue.max_batch_size),
            properties=properties,
        )
        # A single message gains nothing by it: the queue looks at the size of each.
        self.link.tolerate(self._peer.batch_slack)
        self.link.open_window(CREDIT)

    @property
    def entities(self) -> tuple[str, ...]:
        via = super().entities
        return via if self._destination is None else (*via, self._destination.path)

    def _find(self, address: str) -> Queue:
        found = self._peer.broker.queue(self.namespace, parse(address).path)
        if found is None:
            raise not_found(address)
        if not self._peer.allows(self.namespace, found.path, Right.SEND):
            raise unauthorized(Right.SEND, address)
        return found

    def on_received(self, event: Received) -> None:
        delivery = event.delivery
        strike = self._peer.strike("send", self.namespace, self.path)
        if strike is Strike.CUT:
            self._peer.cut()
            return
        if strike is Strike.BUSY:
            self._refuse(delivery, server_busy())
            return
        unheard = strike is Strike.CUT_AFTER
        size = len(delivery.payload)
        try:
            messages = read_transfer(delivery.payload, delivery.format, self._peer.now())
            if delivery.format == BATCH_FORMAT:
                self._queue.check_batch(messages, size)
            delivery.payload = b""
            if delivery.transaction is not None:
                self._enlist(delivery, delivery.transaction, messages, size)
                return
            self._peer.hold(size)
            count = len(messages)
            try:
                self._send(
                    messages, lambda error: self._done(delivery, size, count, error, unheard)
                )
            except BrokerError:
                self._peer.unhold(size)
                raise
        except BrokerError as error:
            self._refuse(delivery, wire_error(error))
        except AmqpError as error:
            self._refuse(delivery, error)

    def _send(self, messages: Sequence[IncomingMessage], done: Done) -> None:
        """Raises BrokerError."""
        if self._destination is None:
            self._queue.send(messages, done)
        else:
            self._peer.broker.transact(self._transfers(self._destination, messages), done)

    def _transfers(
        self, destination: Queue, messages: Sequence[IncomingMessage]
    ) -> list[Operation]:
        path = destination.path
        return [partial(self._queue.pass_on, one, path, lambda error: None) for one in messages]

    def _enlist(
        self,
        delivery: IncomingDelivery,
        transaction: bytes,
        messages: Sequence[IncomingMessage],
        size: int,
    ) -> None:
        """Raises BrokerError, AmqpError."""

        def done(error: BrokerError | None) -> None:
            if error is None:
                self._count(len(messages), size)

        def send() -> None:
            if self._destination is None:
                self._queue.send(messages, done)
                return
            for transfer in self._transfers(self._destination, messages):
                transfer()

        if self._destination is None:
            self._queue.check_messages(messages)
        self._peer.transactions.enlist(transaction, send, len(messages), size)
        self.link.settle(delivery, p.Outcome(p.ACCEPTED, transaction=transaction))

    def _count(self, count: int, size: int) -> None:
        meter = self._peer.broker.meter
        meter.incoming(self.namespace, self.path, count, size)
        meter.request(self.namespace, self.path, None)

    def _done(
        self,
        delivery: IncomingDelivery,
        size: int,
        count: int,
        error: BrokerError | None,
        unheard: bool,
    ) -> None:
        self._peer.unhold(size)
        if error is None:
            self._count(count, size)
        if unheard:
            self._peer.cut()
            return
        if error is None:
            self.link.settle(delivery)
        else:
            self._refuse(delivery, wire_error(error))
        self._peer.wake()

    def _refuse(self, delivery: IncomingDelivery, error: AmqpError) -> None:
        self._peer.broker.meter.request(self.namespace, self.path, str(error.condition))
        if delivery.settled and delivery.transaction is not None:
            self._peer.transactions.spoil(delivery.transaction, error)
        self.link.settle(delivery, p.reject(error))

    def _changed(self) -> None:
        # A queue that is disabled for sending refuses each message; one that is gone, the link.
        for queue in (self._queue, self._destination):
            if queue is not None and queue.deleted:
                self._peer.detach(self, not_found(queue.path))
                return

    def on_detached(self) -> None:
        for end in self._ends:
            end()
