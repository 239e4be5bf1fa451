"""What a client speaks, by its first bytes, and the way on for one that speaks TLS on a plain port.

A namespace's connection string (`UseDevelopmentEmulator=true`, the plain port) is given to clients
of both kinds. Messaging speaks AMQP there. Administration clients speak HTTP, as to the emulator of
the service, or HTTPS all the same (azure-servicebus 7.15, @azure/service-bus 7.9).
"""

from __future__ import annotations

import asyncio
import enum

# How TLS's first record begins (RFC 8446, 5.1): a handshake.
_HANDSHAKE = b"\x16"
_METHODS = (b"GET ", b"PUT ", b"POST ", b"DELETE ", b"HEAD ", b"OPTIONS ")
RELAY_HIGH = 64 * 1024


class Speech(enum.Enum):
    """What a client was heard to speak; UNHEARD: it has not said enough."""

    UNHEARD = enum.auto()
    AMQP = enum.auto()
    HTTP = enum.auto()
    TLS = enum.auto()


def heard(first: bytes) -> Speech:
    """What a client speaks that begins so. What is nothing else is AMQP's to refuse."""
    if not first:
        return Speech.UNHEARD
    if first.startswith(_HANDSHAKE):
        return Speech.TLS
    if first.startswith(_METHODS):
        return Speech.HTTP
    if any(method.startswith(first) for method in _METHODS):
        return Speech.UNHEARD
    return Speech.AMQP


class Relay(asyncio.Protocol):
    """One side of a connection that is carried on to another listener of this process.

    asyncio cannot begin TLS on a connection of which it has read something; the TLS listener can.
    """

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._where = (host, port)
        self._transport: asyncio.Transport | None = None
        self._other: Relay | None = None
        self._waiting: list[bytes] = []
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.set_write_buffer_limits(high=RELAY_HIGH)
        self._transport = transport
        if self._other is None:
            self._task = asyncio.get_running_loop().create_task(self._join())
        else:
            for data in self._other._waiting:
                transport.write(data)
            self._other._waiting.clear()

    async def _join(self) -> None:
        other = Relay(self._where[1], self._where[0])
        other._other = self
        try:
            await asyncio.get_running_loop().create_connection(lambda: other, *self._where)
        except OSError:
            if self._transport is not None:
                self._transport.abort()
            return
        self._other = other
        if self._transport is None:  # it has gone meanwhile
            other.drop()

    def data_received(self, data: bytes) -> None:
        if self._other is None or self._other._transport is None:
            self._waiting.append(data)
        else:
            self._other._transport.write(data)

    def eof_received(self) -> bool:
        return False  # TLS knows no half of a connection

    def pause_writing(self) -> None:
        if self._other is not None and self._other._transport is not None:
            self._other._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._other is not None and self._other._transport is not None:
            self._other._transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self._other is not None:
            self._other.drop()

    def drop(self) -> None:
        """The other side is gone: go, once all is written that came from it."""
        if self._transport is not None:
            self._transport.close()
