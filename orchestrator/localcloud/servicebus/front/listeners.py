"""The Service Bus front: AMQP listeners, plain and TLS, before the queue engine."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from orchestrator.clock import Clock, SystemClock
from orchestrator.localcloud.amqp.connection import Limits as ConnectionLimits
from orchestrator.localcloud.servicebus.broker import Broker
from orchestrator.localcloud.servicebus.front.cbs import Authenticate, RightsOf, TokenChecker
from orchestrator.localcloud.servicebus.front.faults import Strikes
from orchestrator.localcloud.servicebus.front.peer import Peer

if TYPE_CHECKING:
    from aiohttp.typedefs import Middleware

    from orchestrator.localcloud.servicebus.front.websocket import HttpDoor

# How long clients have to take leave when the front stops.
STOP_SECONDS = 0.5
BACKLOG = 1024


class Ports(NamedTuple):
    """The ports listened on; None for a listener that was not asked for."""

    plain: int | None
    tls: int | None


class ServiceBusFront:
    """Serves AMQP 1.0 clients of `broker`.

    authenticate: checks a JWT against audiences and gives its claims (`Identity.check`).
    clock: the broker's clock. token_clock: by which tokens expire, the machine's when left out
    (whoever signs them knows no other). connection_limits: what one connection may ask for.
    strikes: says what goes wrong with an operation; nothing does when left out.
    rights_of: what a principal may do; everything when left out.
    http: middlewares for clients of these ports that speak HTTP (the administration API's).
    """

    def __init__(
        self,
        broker: Broker,
        authenticate: Authenticate,
        clock: Clock,
        *,
        token_clock: Clock | None = None,
        connection_limits: ConnectionLimits | None = None,
        strikes: Strikes | None = None,
        rights_of: RightsOf | None = None,
        http: Sequence[Middleware] = (),
    ) -> None:
        self.broker = broker
        self.clock = clock
        self.token_clock = token_clock or SystemClock()
        self.tokens = TokenChecker(broker, authenticate, rights_of)
        self.connection_limits = connection_limits or ConnectionLimits()
        self.strikes = strikes
        self.container_id = f"orchestrator-{uuid.uuid4().hex[:12]}"
        self.peers: set[Peer] = set()
        self._deserted = asyncio.Event()
        self._deserted.set()
        self._servers: list[asyncio.Server] = []
        self.http: HttpDoor | None = None
        self.tls_port: int | None = None
        self._middlewares = tuple(http)
        self._next_expiry = float("inf")
        self._expiry_moved = asyncio.Event()
        self._expiry_task: asyncio.Task[None] | None = None

    async def start(
        self,
        host: str = "127.0.0.1",
        plain_port: int | socket.socket | None = 0,
        tls_port: int | socket.socket | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> Ports:
        """Listen; port 0 takes a free one, None leaves that listener out. Instead of a port, a
        bound socket is taken over (and closed by `stop`).

        Raises `OSError` if a port cannot be had (nothing is listened on then), `ValueError` for
        a TLS port without a context.
        """
        if tls_port is not None and ssl_context is None:
            raise ValueError("a TLS port needs an ssl_context")
        if ssl_context is not None:
            ssl_context.sni_callback = _note_name
        from orchestrator.localcloud.servicebus.front.websocket import HttpDoor

        self.http = HttpDoor(self, self._middlewares)
        await self.http.start()
        try:
            plain = await self._listen(host, plain_port, None)
            tls = await self._listen(host, tls_port, ssl_context)
        except OSError:
            self._unlisten()
            raise
        self._expiry_task = asyncio.create_task(self._watch_expiry())
        self.tls_port = tls
        return Ports(plain, tls)

    async def _listen(
        self, host: str, port: int | socket.socket | None, context: ssl.SSLContext | None
    ) -> int | None:
        if port is None:
            return None
        loop = asyncio.get_running_loop()
        if isinstance(port, socket.socket):
            server = await loop.create_server(
                lambda: Peer(self, http=self.http), sock=port, ssl=context, backlog=BACKLOG
            )
        else:
            server = await loop.create_server(
                lambda: Peer(self, http=self.http), host, port, ssl=context, backlog=BACKLOG
            )
        self._servers.append(server)
        bound: int = server.sockets[0].getsockname()[1]
        return bound

    def _unlisten(self) -> None:
        servers, self._servers = self._servers, []
        for server in servers:
            server.close()

    async def stop(self) -> None:
        """Stop listening and take leave of all clients. Idempotent."""
        self._unlisten()
        if self._expiry_task is not None:
            self._expiry_task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._expiry_task
            self._expiry_task = None
        for peer in list(self.peers):
            peer.shut("The local cloud is stopping.")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._deserted.wait(), STOP_SECONDS)
        for peer in list(self.peers):
            peer.abort()
        await self._deserted.wait()
        if self.http is not None:
            await self.http.stop()
            self.http = None

    def joined(self, peer: Peer) -> None:
        """A client is connected."""
        self.peers.add(peer)
        self._deserted.clear()

    def left(self, peer: Peer) -> None:
        """A client's connection is gone."""
        self.peers.discard(peer)
        if not self.peers:
            self._deserted.set()

    # Token expiry

    def expiry_changed(self, when: float) -> None:
        """A token was put that expires at `when` (epoch seconds)."""
        if when < self._next_expiry:
            self._next_expiry = when
            self._expiry_moved.set()

    async def _watch_expiry(self) -> None:
        while True:
            if self.token_clock.time() >= self._next_expiry:
                ends = [end for peer in list(self.peers) if (end := peer.token_check()) is not None]
                self._next_expiry = min(ends, default=float("inf"))
            self._expiry_moved.clear()
            moved = asyncio.create_task(self._expiry_moved.wait())
            waits: list[asyncio.Task[object]] = [moved]
            if self._next_expiry < float("inf"):
                waits.append(asyncio.create_task(self.token_clock.sleep_until(self._next_expiry)))
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in waits:
                    task.cancel()


def _note_name(secured: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
    """Keep the name that a TLS client has dialled (its SNI) with the connection."""
    secured.dialled = name  # type: ignore[attr-defined]
