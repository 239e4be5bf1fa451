"""AMQP over WebSocket: the same bytes in binary frames, for clients behind HTTPS-only doors.

Path and subprotocol are the service's
(https://learn.microsoft.com/azure/service-bus-messaging/service-bus-amqp-protocol-guide and
OASIS, "AMQP WebSocket Binding 1.0"). Frames of both sides may be cut anywhere: they are a stream.
Besides the HTTPS port the AMQP ports serve it: a client's first bytes say what it speaks.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

from aiohttp import WSMsgType, web
from aiohttp.typedefs import Middleware

from orchestrator.localcloud.servicebus.front.listeners import ServiceBusFront
from orchestrator.localcloud.servicebus.front.peer import Peer

PATH = "/$servicebus/websocket"
"""The SDKs for .NET and Rust and uamqp put a slash behind it."""

PROTOCOLS = ("AMQPWSB10", "amqp")
"""The service's own name, which both SDKs use, and the standard's."""

# Of one WebSocket message. Clients send an AMQP frame (at most 1 MiB) or less in each.
MESSAGE_SIZE = 4 * 1024 * 1024
CLOSE_SECONDS = 2.0


class WebSocketTransport(asyncio.Transport):
    """What `Peer` needs of a transport, over a WebSocket."""

    def __init__(self, socket: web.WebSocketResponse, peer: Peer, dialled: str | None) -> None:
        """dialled: the host that the client's request names."""
        super().__init__({"dialled": dialled})
        self._socket = socket
        self._peer = peer
        self._waiting: list[bytes] = []
        self._size = 0
        self._high = 64 * 1024
        self._paused = False
        self._closing = False
        self._aborted = False
        self._wake = asyncio.Event()
        self._may_read = asyncio.Event()
        self._may_read.set()

    # What Peer calls

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._closing:
            return
        self._waiting.append(bytes(data))
        self._size += len(data)
        self._wake.set()
        if self._size > self._high and not self._paused:
            self._paused = True
            self._peer.pause_writing()

    def get_write_buffer_size(self) -> int:
        return self._size

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        if high is not None:
            self._high = high

    def pause_reading(self) -> None:
        self._may_read.clear()

    def resume_reading(self) -> None:
        self._may_read.set()

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        """Close once everything is written."""
        self._closing = True
        self._wake.set()

    def abort(self) -> None:
        """Close at once; what waits to be written is lost."""
        self._closing = self._aborted = True
        self._wake.set()

    # The carrying

    async def carry(self) -> None:
        """Carry bytes both ways until either side is done."""
        reader = asyncio.ensure_future(self._read())
        writer = asyncio.ensure_future(self._write())
        try:
            await asyncio.wait((reader, writer), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._closing = True
            for task in (reader, writer):
                task.cancel()
            await asyncio.gather(reader, writer, return_exceptions=True)

    async def _read(self) -> None:
        while True:
            await self._may_read.wait()
            message = await self._socket.receive()
            if message.type is not WSMsgType.BINARY or self._closing:
                return
            self._peer.data_received(message.data)

    async def _write(self) -> None:
        while not self._aborted:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting and not self._aborted:
                data = b"".join(self._waiting)
                self._waiting.clear()
                await self._socket.send_bytes(data)
                self._size -= len(data)
                if self._paused and self._size <= self._high // 4:
                    self._paused = False
                    self._peer.resume_writing()
            if self._closing:
                return

    @property
    def aborted(self) -> bool:
        return self._aborted


def websocket_middleware(front: ServiceBusFront) -> Middleware:
    """Serves AMQP clients of `front` on that path of an HTTP listener, whatever the host."""

    @web.middleware
    async def handle(request: web.Request, handler: Any) -> web.StreamResponse:
        if request.path.rstrip("/") != PATH:
            answer: web.StreamResponse = await handler(request)
            return answer
        socket = web.WebSocketResponse(
            protocols=PROTOCOLS,
            max_msg_size=MESSAGE_SIZE,
            timeout=CLOSE_SECONDS,
            compress=False,
        )
        if not socket.can_prepare(request).ok:
            return web.Response(
                status=400,
                text=f"This path speaks AMQP over WebSocket: upgrade, with {PROTOCOLS[0]}.\n",
            )
        await socket.prepare(request)
        peer = Peer(front)
        transport = WebSocketTransport(socket, peer, request.url.host)
        peer.connection_made(transport)
        try:
            await transport.carry()
        finally:
            peer.connection_lost(None)
        if transport.aborted and request.transport is not None:
            request.transport.abort()
        else:
            with contextlib.suppress(ConnectionError):
                await socket.close()
        return socket

    return handle


class HttpDoor:
    """HTTP on an AMQP port: that path, what `middlewares` take, and a clear word about the rest."""

    def __init__(self, front: ServiceBusFront, middlewares: Sequence[Middleware] = ()) -> None:
        app = web.Application(middlewares=[websocket_middleware(front), *middlewares])
        app.router.add_route("*", "/{path:.*}", _refuse)
        self._runner = web.AppRunner(
            app, access_log=None, handle_signals=False, shutdown_timeout=1.0
        )

    async def start(self) -> None:
        await self._runner.setup()

    def protocol(self) -> asyncio.Protocol:
        """One connection's."""
        server = self._runner.server
        assert server is not None
        return server()

    async def stop(self) -> None:
        await self._runner.cleanup()


async def _refuse(request: web.Request) -> web.Response:
    return web.Response(
        status=404,
        text=f"This port speaks AMQP 1.0: as it is, or over WebSocket at {PATH}.\n",
    )
