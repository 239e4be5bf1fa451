"""One client connection: the AMQP engine joined to a transport on one side, to doors on the other.

A `Peer` is an asyncio protocol, but needs of its transport only `write`, `close`, `abort`,
`pause_reading` and `resume_reading`, so that other carriers (WebSocket) can drive it too.

Memory is bounded: reading stops while more than `HELD_HIGH` bytes of sent messages are not durable
or more than `WRITE_FLOOD` bytes wait to be written; deliveries stop while the transport's own
buffer is full.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from orchestrator.clock import Clock
from orchestrator.localcloud.amqp import events as e
from orchestrator.localcloud.amqp import sasl
from orchestrator.localcloud.amqp.connection import Connection
from orchestrator.localcloud.amqp.errors import CONNECTION_FORCED, DETACH_FORCED, AmqpError
from orchestrator.localcloud.amqp.link import IncomingLink
from orchestrator.localcloud.servicebus.errors import SessionLockLost
from orchestrator.localcloud.servicebus.front.admission import Admission
from orchestrator.localcloud.servicebus.front.cbs import Grants
from orchestrator.localcloud.servicebus.front.faults import Strike
from orchestrator.localcloud.servicebus.front.first_bytes import Relay, Speech, heard
from orchestrator.localcloud.servicebus.front.links.door import Door, expired
from orchestrator.localcloud.servicebus.front.links.receive import ReceiverDoor
from orchestrator.localcloud.servicebus.front.links.request import ResponseDoor
from orchestrator.localcloud.servicebus.front.links.session import SessionDoor
from orchestrator.localcloud.servicebus.front.links.transaction import Transactions
from orchestrator.localcloud.servicebus.model import Right
from orchestrator.localcloud.servicebus.queue import Queue
from orchestrator.localcloud.servicebus.structures.session_shelf import SessionLock

if TYPE_CHECKING:
    from orchestrator.localcloud.servicebus.broker import Broker
    from orchestrator.localcloud.servicebus.front.listeners import ServiceBusFront
    from orchestrator.localcloud.servicebus.front.websocket import HttpDoor

_log = logging.getLogger(__name__)

HELD_HIGH = 8 * 1024 * 1024
HELD_LOW = 2 * 1024 * 1024
# Read at one go: little at first, more from a client that has more to say. (Left to itself, asyncio
# takes and gives back 256 KiB for each read, which costs more than most of what is read.)
READ_LEAST = 4 * 1024
READ_MOST = 64 * 1024
WRITE_HIGH = 512 * 1024
WRITE_FLOOD = 16 * 1024 * 1024
# How long a client that was told to go may take to say so too.
CLOSE_SECONDS = 5.0


class Peer(asyncio.BufferedProtocol):
    """The server's end of one client's connection.

    http: who takes over a client that speaks HTTP; None: nobody.
    """

    def __init__(self, front: ServiceBusFront, http: HttpDoor | None = None) -> None:
        self._http = http
        self._first = b""
        # The host name that the client's TLS asked for.
        self.dialled: str | None = None
        self._front = front
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray(READ_LEAST)
        self._grants = Grants()
        self._admission = Admission(self, front, self._grants)
        self._engine = Connection(
            front.container_id,
            limits=front.connection_limits,
            check=self._check_sasl,
            properties={"product": "orchestrator local cloud"},
            now=self._loop.time(),
        )
        self.doors: set[Door] = set()
        self.transactions = Transactions(self)
        self._held = 0
        self._reading = True
        self._awake = False
        self._broken = False
        self._timer: asyncio.TimerHandle | None = None
        # The namespace that this connection counts for, once it is known.
        self.namespace = ""
        self.writable = True
        self.responders: list[ResponseDoor] = []

    # What doors use, and whoever opens them

    @property
    def broker(self) -> Broker:
        """Whose entities the links join."""
        return self._front.broker

    @property
    def batch_slack(self) -> int:
        """Bytes that a batch may have beyond that without being refused."""
        return self._front.broker.limits.batch_slack

    @property
    def clock(self) -> Clock:
        """The broker's."""
        return self._front.clock

    @property
    def hostname(self) -> str | None:
        """The host that the client says it has connected to."""
        return self._engine.hostname

    def now(self) -> float:
        """The broker's time, epoch seconds."""
        return self._front.clock.time()

    def allows(self, namespace: str, path: str, right: Right | None) -> bool:
        """Whether a token put on this connection gives `right` on the entity now."""
        return self._grants.until(namespace, path, right, self._token_now()) is not None

    def _token_now(self) -> float:
        return self._front.token_clock.time()

    def strike(self, operation: str, namespace: str, path: str) -> Strike | None:
        """What goes wrong with an operation; None: nothing."""
        strikes = self._front.strikes
        return None if strikes is None else strikes(operation, namespace, path)

    def cut(self) -> None:
        """Break the connection without a word; what came in and was not dealt with is ignored."""
        self._broken = True
        self.abort()

    def hold(self, size: int) -> None:
        """Count bytes that are taken in but not durable."""
        self._held += size
        self._regulate()

    def unhold(self, size: int) -> None:
        self._held -= size
        self._regulate()

    def wake(self) -> None:
        """Write what there is, soon: once for everything that happens in this turn of the loop."""
        if not self._awake:
            self._awake = True
            self._loop.call_soon(self._flush)

    def count_for(self, namespace: str) -> None:
        """The connection is that namespace's, unless it is known to be another's."""
        if namespace and not self.namespace:
            self.namespace = namespace
            self.broker.meter.connected(namespace)

    def enter(self, door: Door) -> None:
        """A door stands at its link's end from now on."""
        door.link.context = door
        self.doors.add(door)

    def forget(self, door: Door) -> None:
        """It does no more."""
        if door in self.doors:
            self.doors.remove(door)
            door.link.context = None
            door.on_detached()

    def detach(self, door: Door, error: AmqpError) -> None:
        """Take a link from the client."""
        door.link.detach(error)
        self.forget(door)
        self.wake()

    def refuse(self, door: Door, error: AmqpError) -> None:
        """Refuse a link whose attach has waited for an answer."""
        door.link.refuse(error)
        self.forget(door)
        self.wake()

    def is_posting(self, transaction: bytes) -> bool:
        """Whether a message of that transaction has not arrived whole."""
        links = (door.link for door in self.doors)
        return any(
            isinstance(link, IncomingLink) and link.partial_transaction == transaction
            for link in links
        )

    def session_lock(self, queue: Queue, session_id: str) -> SessionLock:
        """The lock by which a link of this connection has that session. Raises SessionLockLost."""
        for door in self.doors:
            lock = door.session if isinstance(door, SessionDoor) else None
            if (
                lock is not None
                and not lock.over
                and lock.session_id == session_id
                and (door.namespace, door.path) == (queue.namespace, queue.path)
            ):
                return lock
        raise SessionLockLost(
            f"The session '{session_id}' of {queue.path} is not locked by this connection: its "
            "lock has expired, or it was never accepted."
        )

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.set_write_buffer_limits(high=WRITE_HIGH)
        self._transport = transport
        secured = transport.get_extra_info("ssl_object")
        self.dialled = transport.get_extra_info("dialled") or getattr(secured, "dialled", None)
        self._front.joined(self)
        self._tick()

    def get_buffer(self, sizehint: int) -> memoryview:
        # asyncio's TLS reads record by record into slices of it, and a slice of a bytearray is a
        # copy.
        return memoryview(self._buffer)

    def buffer_updated(self, nbytes: int) -> None:
        data = bytes(memoryview(self._buffer)[:nbytes])
        if nbytes == len(self._buffer) < READ_MOST:
            self._buffer = bytearray(4 * nbytes)
        self.data_received(data)

    def data_received(self, data: bytes) -> None:
        if self._http is not None:
            self._first = data = self._first + data
            speech = heard(data)
            if speech is Speech.UNHEARD:
                return
            if speech is Speech.HTTP:
                self._hand_over(self._http.protocol(), data)
                return
            if speech is Speech.TLS and self._front.tls_port is not None:
                self._hand_over(Relay(self._front.tls_port), data)
                return
            self._http, self._first = None, b""
        # It is written below, whoever asks for it meanwhile.
        self._awake = True
        for event in self._engine.receive(data, self._loop.time()):
            if self._broken:
                return
            self._handle(event)
        self._flush()

    def _hand_over(self, protocol: asyncio.Protocol, data: bytes) -> None:
        """The client speaks something else: leave its transport to `protocol`."""
        transport = self._transport
        assert transport is not None
        self.connection_lost(None)
        transport.set_write_buffer_limits()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        protocol.data_received(data)

    def pause_writing(self) -> None:
        self.writable = False

    def resume_writing(self) -> None:
        self.writable = True
        self._regulate()
        for door in list(self.doors):
            if isinstance(door, ReceiverDoor):
                door.on_sendable()
        self.wake()

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        for event in self._engine.lost():
            self._handle(event)
        if self._timer is not None:
            self._timer.cancel()
        for door in list(self.doors):
            self.forget(door)
        if self.namespace:
            self.broker.meter.disconnected(self.namespace)
        self._front.left(self)

    # Time

    def _tick(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        found, due = self._engine.tick(self._loop.time())
        for event in found:
            self._handle(event)
        if due is not None and self._transport is not None:
            self._timer = self._loop.call_at(due, self._tick)
        self._flush()

    def token_check(self) -> float | None:
        """Detach the links whose tokens have expired; when to look again (epoch seconds)."""
        now = self._token_now()
        for door in list(self.doors):
            for path in door.entities:
                if not self.allows(door.namespace, path, door.right):
                    self.detach(door, expired(path))
                    break
        self._grants.drop_expired(now)
        return self._grants.next_expiry(now)

    def shut(self, reason: str) -> None:
        """Close from this side."""
        for event in self._engine.close(AmqpError(CONNECTION_FORCED, reason)):
            self._handle(event)
        self._flush()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # Events

    def _handle(self, event: e.Event) -> None:
        if isinstance(event, e.Received):
            door: Door | None = event.link.context
            if door is not None:
                door.on_received(event)
            else:
                self._dropped(event.delivery.transaction)
        elif isinstance(event, e.Disposed):
            # A door may have been shut by an event before this one.
            door = event.link.context
            if door is not None:
                door.on_disposed(event)
            elif event.outcome is not None:
                self._dropped(event.outcome.transaction)
        elif isinstance(event, e.Sendable):
            door = event.link.context
            if door is not None:
                door.on_sendable()
        elif isinstance(event, e.Dropped):
            self.transactions.spoil(event.transaction, event.error)
        elif isinstance(event, e.Attaching):
            self._admission.attach(event.link)
        elif isinstance(event, e.Detached):
            door = event.link.context
            if door is not None:
                self.forget(door)
        elif isinstance(event, e.Opened):
            # Only now is it known how often the client wants to hear from us.
            self._tick()
            label = (self._engine.hostname or "").split(":")[0].split(".")[0].lower()
            names = self.broker.namespaces()
            self.count_for(next((n for n in names if len(names) == 1 or n.lower() == label), ""))
        elif isinstance(event, e.Closed) and not event.by_peer and self._transport is not None:
            if event.error is not None:
                _log.info("closing a connection: %s", event.error)
            self._loop.call_later(CLOSE_SECONDS, self.abort)

    def _dropped(self, transaction: bytes | None) -> None:
        """Something came for a door that has just been shut."""
        if transaction is not None:
            gone = AmqpError(DETACH_FORCED, "A part of it came on a link that is gone.")
            self.transactions.spoil(transaction, gone)

    def _flush(self) -> None:
        self._awake = False
        transport = self._transport
        if transport is None or self._broken:
            return
        output = self._engine.take_output()
        if output:
            transport.write(output)
            self._regulate()
        if self._engine.finished:
            transport.close()

    def _regulate(self) -> None:
        """Read from the client, or not, by how much it has brought us to hold."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        waiting = 0 if self.writable else transport.get_write_buffer_size()
        if self._reading:
            if self._held > HELD_HIGH or waiting > WRITE_FLOOD:
                self._reading = False
                transport.pause_reading()
        elif self._held < HELD_LOW and waiting <= WRITE_FLOOD // 2:
            self._reading = True
            transport.resume_reading()

    # Tokens

    def _check_sasl(self, credentials: sasl.Credentials) -> bool:
        """PLAIN carries a rule's name and key; the others leave it to $cbs."""
        if credentials.mechanism != "PLAIN":
            return True
        grant = self._front.tokens.check_key(credentials.user, credentials.password)
        if grant is None:
            return False
        self._grants.add(grant)
        return True
