"""A request that waits for a message: its place in the queue's line, and what ends the waiting.

Nobody looks again and again: the queue says when there is a message, the connection when its client
has gone, the queue's subscription when it can no longer be received from.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from orchestrator.localcloud.messages_http.errors import ServerStopping
from orchestrator.localcloud.servicebus.errors import BrokerError
from orchestrator.localcloud.servicebus.model import LockedMessage, StoredMessage
from orchestrator.localcloud.servicebus.queue import Queue
from orchestrator.localcloud.servicebus.structures.line import Waiter

Found = LockedMessage | StoredMessage
"""A message under a lock; or one that was removed, which nobody else has."""


class Waits:
    """All requests that wait now; so that the server's end ends them."""

    def __init__(self) -> None:
        self._turns: set[Turn] = set()
        self._ended = False

    def end(self) -> None:
        """Nobody waits any more, from now on."""
        self._ended = True
        for turn in list(self._turns):
            turn.fail(_stopping())

    async def next_message(
        self, queue: Queue, seconds: float, transport: asyncio.Transport | None, *, remove: bool
    ) -> Found | None:
        """The queue's next message, locked, or with `remove` durably removed; None if none comes
        within so many seconds (of the machine's time, as clients count them), or the client of
        `transport` has gone: then no message is taken for it.

        Raises BrokerError: the queue cannot be received from, or no longer.
        """
        turn = Turn(queue, transport, remove=remove)
        if turn.take() or not seconds:
            return await turn.outcome()
        if self._ended:
            raise _stopping()
        self._turns.add(turn)
        try:
            return await turn.wait(seconds)
        finally:
            self._turns.discard(turn)


def _stopping() -> ServerStopping:
    return ServerStopping("The local cloud is stopping: try again when it runs.")


class Turn:
    """One request's place in the line of a queue."""

    def __init__(self, queue: Queue, transport: asyncio.Transport | None, *, remove: bool) -> None:
        self._queue = queue
        self._transport = transport
        self._remove = remove
        self._result: asyncio.Future[Found | None] = asyncio.get_running_loop().create_future()
        # A removal is on its way to the store: what comes of it is waited for.
        self._removing = False
        self._waiter: Waiter | None = None

    def take(self) -> bool:
        """Take the next message if there is one. Raises BrokerError."""
        if self._remove:
            self._removing = self._queue.take(1, self._taken) > 0
            return self._removing
        locks = self._queue.acquire(1)
        if locks:
            self._result.set_result(locks[0])
        return bool(locks)

    async def outcome(self) -> Found | None:
        """What was taken, once it is durable; None for nothing."""
        if not self._result.done() and not self._removing:
            return None
        return await self._result

    async def wait(self, seconds: float) -> Found | None:
        """As `Waits.next_message`, from the end of the line."""
        self._waiter = self._queue.waiter(self._available)
        unsubscribe = self._queue.subscribe(self._changed)
        watch = ConnectionWatch(self._transport, self._leave)
        self._waiter.wait()
        try:
            await asyncio.wait((self._result,), timeout=seconds)
            return await self.outcome()
        finally:
            self._waiter.cancel()
            unsubscribe()
            watch.end()
            self._result.cancel()
            # Left so, they would hold the connection until a full garbage collection.
            self._waiter = self._transport = None

    def _available(self, share: int) -> None:
        """A message is there, and it is this request's turn."""
        if self._result.done() or self._removing or self._waiter is None:
            return
        if is_gone(self._transport):
            self._leave()  # the message is the next one's
            return
        try:
            if not self.take():
                self._waiter.wait()
        except BrokerError as error:
            self.fail(error)

    def _taken(self, messages: Sequence[StoredMessage], error: BrokerError | None) -> None:
        self._removing = False
        if self._result.done():
            return
        if error is not None:
            self._result.set_exception(error)
        else:
            self._result.set_result(messages[0])

    def _changed(self) -> None:
        try:
            self._queue.check_receive()
        except BrokerError as error:
            self.fail(error)

    def _leave(self) -> None:
        """The client has gone. (What is being removed for it by now is lost with it: that is what
        receiving without a lock means.)"""
        if not self._result.done() and not self._removing:
            self._result.set_result(None)

    def fail(self, error: BrokerError) -> None:
        """End the waiting with an error, unless it has ended."""
        if not self._result.done() and not self._removing:
            self._result.set_exception(error)


class ConnectionWatch(asyncio.Protocol):
    """Stands before a connection's protocol for a while, and tells when the connection is lost.

    aiohttp tells its handlers only by cancelling them, and all handlers of a server alike.
    """

    def __init__(self, transport: asyncio.Transport | None, lost: Callable[[], None]) -> None:
        self._lost = lost
        self._transport = None if is_gone(transport) else transport
        if self._transport is None:
            lost()
            return
        inner = self._transport.get_protocol()
        assert isinstance(inner, asyncio.Protocol)
        self._inner = inner
        self._transport.set_protocol(self)

    def end(self) -> None:
        """Leave the connection to its own protocol."""
        transport, self._transport, self._lost = self._transport, None, _nothing
        # A TLS connection that is closing cannot be asked; it is watched to its end.
        if transport is None or transport.is_closing():
            return
        if transport.get_protocol() is self:
            transport.set_protocol(self._inner)

    def data_received(self, data: bytes) -> None:
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        lost, self._lost = self._lost, _nothing
        self._inner.connection_lost(error)
        lost()


def _nothing() -> None:
    pass


def is_gone(transport: asyncio.Transport | None) -> bool:
    """Whether a request's connection is lost or about to be."""
    return transport is None or transport.is_closing()
