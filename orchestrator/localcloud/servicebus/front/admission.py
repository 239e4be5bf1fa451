"""Which door a link gets that a client attaches, and which link gets none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.localcloud.amqp.errors import NOT_IMPLEMENTED, AmqpError
from orchestrator.localcloud.amqp.link import IncomingLink, OutgoingLink
from orchestrator.localcloud.amqp.performatives import COORDINATOR, SOURCE, TARGET
from orchestrator.localcloud.servicebus.errors import BrokerError
from orchestrator.localcloud.servicebus.front.addresses import Address, Node, parse
from orchestrator.localcloud.servicebus.front.cbs import Grants
from orchestrator.localcloud.servicebus.front.cbs_node import CbsNode
from orchestrator.localcloud.servicebus.front.faults import Strike, server_busy
from orchestrator.localcloud.servicebus.front.links.door import not_found, unauthorized, wire_error
from orchestrator.localcloud.servicebus.front.links.receive import SESSION_FILTER, ReceiverDoor
from orchestrator.localcloud.servicebus.front.links.request import (
    RequestDoor,
    ResponseDoor,
    Serve,
    check_single,
)
from orchestrator.localcloud.servicebus.front.links.send import SenderDoor
from orchestrator.localcloud.servicebus.front.links.session import SessionDoor
from orchestrator.localcloud.servicebus.front.links.transaction import CoordinatorDoor
from orchestrator.localcloud.servicebus.front.management.node import ManagementNode
from orchestrator.localcloud.servicebus.model import Right
from orchestrator.localcloud.servicebus.queue import Queue

if TYPE_CHECKING:
    from orchestrator.localcloud.servicebus.front.listeners import ServiceBusFront
    from orchestrator.localcloud.servicebus.front.peer import Peer

REQUEST_SIZE = 1024 * 1024
"""Bytes that a request to a node may have."""

Link = IncomingLink | OutgoingLink


class Admission:
    """Opens doors for the links of one connection.

    grants: what the tokens put on the connection allow.
    """

    def __init__(self, peer: Peer, front: ServiceBusFront, grants: Grants) -> None:
        self._peer = peer
        self._front = front
        self._grants = grants

    def attach(self, link: Link) -> None:
        """Open a door for a link, or refuse the link."""
        terminus = link.source if isinstance(link, OutgoingLink) else link.target
        if terminus.kind == COORDINATOR and isinstance(link, IncomingLink):
            coordinator = CoordinatorDoor(self._peer, link)
            self._peer.enter(coordinator)
            coordinator.open(REQUEST_SIZE)
            return
        if terminus.kind not in (SOURCE, TARGET) or terminus.dynamic or terminus.address is None:
            link.refuse(
                AmqpError(NOT_IMPLEMENTED, "A link must name the address of an existing entity.")
            )
            return
        address = parse(terminus.address)
        try:
            self._open_door(link, address, terminus.address)
        except BrokerError as error:
            self._drop_door(link)
            self._refuse_link(link, wire_error(error))
        except AmqpError as error:
            self._drop_door(link)
            self._refuse_link(link, error)

    def _refuse_link(self, link: Link, error: AmqpError) -> None:
        if self._peer.namespace:
            self._front.broker.meter.request(self._peer.namespace, "", error.condition)
        link.refuse(error)

    def _drop_door(self, link: Link) -> None:
        if link.context is not None:
            self._peer.forget(link.context)

    def _open_door(self, link: Link, address: Address, text: str) -> None:
        """Raises `AmqpError` or `BrokerError` for a link that is to be refused."""
        if address.node is Node.CBS:
            check_single(link, Node.CBS.value, self._peer.doors)
            cbs = CbsNode(self._peer, self._front, self._grants, self._peer.dialled)
            self._open_node(link, Node.CBS.value, "", "", cbs.serve)
            return
        # Where the host is no namespace's (a connection string's loopback), the key tells whose.
        host = address.host or self._peer.hostname
        queue = self._front.broker.find(host, address.path, self._grants.namespaces)
        if queue is None:
            # Without a token nobody learns which entities exist.
            if not len(self._grants):
                raise unauthorized(None, text)
            raise not_found(text)
        self._peer.count_for(queue.namespace)
        strike = self._peer.strike("attach", queue.namespace, queue.path)
        if strike is Strike.BUSY:
            raise server_busy()
        if strike in (Strike.CUT, Strike.CUT_AFTER):
            self._peer.cut()
            return
        if address.node is Node.MANAGEMENT:
            self._require(queue, None, text)
            node = f"{queue.namespace}/{queue.path}/$management".casefold()
            management = ManagementNode(self._peer, queue)
            self._open_node(link, node, queue.namespace, queue.path, management.serve)
        elif isinstance(link, IncomingLink):
            self._require(queue, Right.SEND, text)
            sender = SenderDoor(self._peer, link, queue)
            self._peer.enter(sender)
            sender.open()
        else:
            self._require(queue, Right.LISTEN, text)
            by_session = queue.has_sessions and SESSION_FILTER in link.source.filters
            kind = SessionDoor if by_session else ReceiverDoor
            receiver = kind(self._peer, link, queue)
            self._peer.enter(receiver)
            receiver.open()

    def _open_node(
        self,
        link: Link,
        node: str,
        namespace: str,
        path: str,
        serve: Serve,
    ) -> None:
        if isinstance(link, IncomingLink):
            requests = RequestDoor(self._peer, link, node, namespace, path, serve)
            self._peer.enter(requests)
            requests.open(REQUEST_SIZE)
        else:
            responses = ResponseDoor(self._peer, link, node, namespace, path)
            self._peer.enter(responses)
            responses.open(REQUEST_SIZE)

    def _require(self, queue: Queue, right: Right | None, text: str) -> None:
        if not self._peer.allows(queue.namespace, queue.path, right):
            raise unauthorized(right, text)
