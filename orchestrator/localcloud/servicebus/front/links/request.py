"""Request-response nodes (`$cbs`, `$management`): a link for requests, one for their responses.

A response goes to the link whose target is the request's reply-to, otherwise to the latest link
from the same node on the same session.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from orchestrator.localcloud.amqp import performatives as p
from orchestrator.localcloud.amqp.errors import (
    NOT_ALLOWED,
    RESOURCE_LIMIT_EXCEEDED,
    AmqpError,
)
from orchestrator.localcloud.amqp.events import Received
from orchestrator.localcloud.amqp.link import IncomingLink, OutgoingLink
from orchestrator.localcloud.servicebus.front.links.door import Door
from orchestrator.localcloud.servicebus.front.messages import Request

if TYPE_CHECKING:
    from orchestrator.localcloud.servicebus.front.peer import Peer

_log = logging.getLogger(__name__)

CREDIT = 100
# Responses that wait for credit, in number and bytes; a client that asks on without taking them is
# cut off.
WAITING = 1000
WAITING_BYTES = 8 * 1024 * 1024

Reply = Callable[[bytes], None]
Serve = Callable[[Request, Reply], None]
"""Serves a request and calls `reply` once with the response message, now or later."""


class ResponseDoor(Door):
    """The link on which a client wants its responses from `node` (a folded address path)."""

    def __init__(
        self, peer: Peer, link: OutgoingLink, node: str, namespace: str, path: str
    ) -> None:
        self.link: OutgoingLink = link
        self.node = node
        self.namespace = namespace
        self.path = path
        self._peer = peer
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._sent = 0

    def open(self, max_message_size: int) -> None:
        self.link.accept(max_message_size=max_message_size)
        self._peer.responders.append(self)

    def respond(self, payload: bytes) -> None:
        """Send a response, as soon as there is credit."""
        if len(self._waiting) >= WAITING or self._waiting_bytes > WAITING_BYTES:
            self._peer.detach(
                self, AmqpError(RESOURCE_LIMIT_EXCEEDED, "Too many responses were not taken.")
            )
            return
        self._waiting.append(payload)
        self._waiting_bytes += len(payload)
        self.on_sendable()

    def on_sendable(self) -> None:
        while self._waiting and self.link.sendable > 0:
            self._sent += 1
            payload = self._waiting.popleft()
            self._waiting_bytes -= len(payload)
            self.link.send(payload, self._sent.to_bytes(8, "big"), settled=True)
        self.link.drained()

    def on_detached(self) -> None:
        if self in self._peer.responders:
            self._peer.responders.remove(self)


class RequestDoor(Door):
    """The link on which a client sends requests to `node`."""

    def __init__(
        self,
        peer: Peer,
        link: IncomingLink,
        node: str,
        namespace: str,
        path: str,
        serve: Serve,
    ) -> None:
        self.link: IncomingLink = link
        self.node = node
        self.namespace = namespace
        self.path = path
        self._peer = peer
        self._serve = serve

    def open(self, max_message_size: int) -> None:
        self.link.accept(max_message_size=max_message_size)
        self.link.open_window(CREDIT)

    def on_received(self, event: Received) -> None:
        transaction = event.delivery.transaction
        try:
            # Who settled the request beforehand, as .NET's client does, hears only the answer.
            if transaction is not None and not event.delivery.settled:
                self._peer.transactions.check(transaction)
            request = Request(event.delivery.payload, transaction)
        except AmqpError as error:
            if transaction is not None and event.delivery.settled:
                self._peer.transactions.spoil(transaction, error)
            self.link.settle(event.delivery, p.reject(error))
            return

        def reply(payload: bytes) -> None:
            door = self._responder(request.reply_to)
            if door is None:
                _log.debug("no link to answer a request to %s on", self.node)
            else:
                door.respond(payload)
            self._peer.wake()

        # First of all that the request has come: uamqp takes a response to one of which it has not
        # heard so for a failure.
        taken = p.ACCEPT if transaction is None else p.Outcome(p.ACCEPTED, transaction=transaction)
        self.link.settle(event.delivery, taken)
        self._serve(request, reply)

    def _responder(self, reply_to: str | None) -> ResponseDoor | None:
        doors = [door for door in self._peer.responders if door.node == self.node]
        for door in doors:
            if reply_to is not None and door.link.target.address == reply_to:
                return door
        for door in reversed(doors):
            if door.link.session is self.link.session:
                return door
        return None


def check_single(link: IncomingLink | OutgoingLink, node: str, doors: Iterable[Door]) -> None:
    """A connection has one link to `$cbs` and one from there. (Go's azservicebus, whose
    internal/cbs.go tells so, dials anew when another is refused.)

    doors: of the connection. Raises AmqpError.
    """
    for door in doors:
        if isinstance(door, RequestDoor | ResponseDoor) and (
            door.node == node and type(door.link) is type(link)
        ):
            raise AmqpError(NOT_ALLOWED, f"There is such a link to {node} on this connection.")
