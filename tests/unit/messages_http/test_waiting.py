"""Requests that wait for a message: who gets it, and what is left of those who go."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from typing import Any

import pytest

from orchestrator.clock import ManualClock
from orchestrator.localcloud.messages_http.errors import ServerStopping
from orchestrator.localcloud.messages_http.waiting import ConnectionWatch, Turn, Waits
from orchestrator.localcloud.servicebus.broker import Broker
from orchestrator.localcloud.servicebus.errors import EntityDisabled, EntityNotFound
from orchestrator.localcloud.servicebus.model import (
    EntityStatus,
    IncomingMessage,
    LockedMessage,
    QueueProperties,
    StoredMessage,
)
from orchestrator.localcloud.servicebus.queue import Queue
from orchestrator.localcloud.servicebus.store.memory import MemoryStore


class Connection(asyncio.Transport):
    """A transport that, as asyncio's for TLS, must not be asked for its protocol once it closes."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []
        self.closing = False
        self.protocol: Any = Inner(self.heard)

    def is_closing(self) -> bool:
        return self.closing

    def get_protocol(self) -> Any:
        assert not self.closing
        return self.protocol

    def set_protocol(self, protocol: Any) -> None:
        assert not self.closing
        self.protocol = protocol

    def lose(self) -> None:
        self.closing = True
        self.protocol.connection_lost(None)


class Inner(asyncio.Protocol):
    """The server's own protocol."""

    def __init__(self, heard: list[str]) -> None:
        self.heard = heard

    def data_received(self, data: bytes) -> None:
        self.heard.append(data.decode())

    def eof_received(self) -> bool | None:
        self.heard.append("eof")
        return None

    def pause_writing(self) -> None:
        self.heard.append("pause")

    def resume_writing(self) -> None:
        self.heard.append("resume")

    def connection_lost(self, error: Exception | None) -> None:
        self.heard.append("lost")


@pytest.fixture
async def broker() -> AsyncIterator[Broker]:
    broker = Broker(MemoryStore(), ManualClock(1_800_000_000.0))
    await broker.open()
    await broker.put_namespace("contoso")
    await broker.put_queue("contoso", "q", QueueProperties())
    yield broker
    await broker.close()


@pytest.fixture
def queue(broker: Broker) -> Queue:
    found = broker.queue("contoso", "q")
    assert found is not None
    return found


async def send(queue: Queue, *bodies: bytes) -> None:
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    queue.send([IncomingMessage(body) for body in bodies], lambda error: done.set_result(None))
    await done


async def stand(queue: Queue, count: int) -> None:
    while len(queue._line) != count:
        await asyncio.sleep(0)


async def test_what_is_there_is_had_at_once(queue: Queue) -> None:
    waits = Waits()
    assert await waits.next_message(queue, 0, Connection(), remove=False) is None
    await send(queue, b"a", b"b")
    locked = await waits.next_message(queue, 0, Connection(), remove=False)
    assert isinstance(locked, LockedMessage)
    removed = await waits.next_message(queue, 0, Connection(), remove=True)
    assert isinstance(removed, StoredMessage)
    assert (locked.message.payload, removed.payload) == (b"a", b"b")
    assert queue.counts().active == 1


async def test_a_wait_ends_without_a_message(queue: Queue) -> None:
    assert await Waits().next_message(queue, 0.01, Connection(), remove=True) is None
    assert len(queue._line) == 0


@pytest.mark.parametrize("remove", [False, True])
async def test_a_client_that_is_going_leaves_the_message_to_the_next(
    queue: Queue, remove: bool
) -> None:
    waits = Waits()
    going, staying = Connection(), Connection()
    first = asyncio.create_task(waits.next_message(queue, 60, going, remove=remove))
    await stand(queue, 1)
    second = asyncio.create_task(waits.next_message(queue, 60, staying, remove=remove))
    await stand(queue, 2)
    going.closing = True  # and has not said so yet
    await send(queue, b"a")
    assert await first is None
    assert await second is not None
    assert staying.heard == []


async def test_a_lost_connection_ends_its_wait_and_leaves_nothing(queue: Queue) -> None:
    gone: list[weakref.ref[Any]] = []
    gc.disable()
    try:
        for remove in (False, True):
            connection = Connection()
            turn = Turn(queue, connection, remove=remove)
            gone += [weakref.ref(connection), weakref.ref(turn)]
            task = asyncio.create_task(turn.wait(60))
            del turn
            await stand(queue, 1)
            connection.lose()
            assert await task is None
            assert connection.heard == ["lost"]
            assert len(queue._line) == 0
            del task, connection
        assert [ref() for ref in gone] == [None] * 4
    finally:
        gc.enable()


async def test_the_connection_s_own_protocol_hears_everything() -> None:
    connection = Connection()
    own = connection.protocol
    lost: list[int] = []
    watch = ConnectionWatch(connection, lambda: lost.append(1))
    for call in (
        lambda p: p.data_received(b"data"),
        lambda p: p.pause_writing(),
        lambda p: p.resume_writing(),
        lambda p: p.eof_received(),
    ):
        call(connection.protocol)
    assert connection.heard == ["data", "pause", "resume", "eof"]
    watch.end()
    assert connection.protocol is own
    connection.lose()
    assert (connection.heard[-1], lost) == ("lost", [])
    ConnectionWatch(connection, lambda: lost.append(2))
    assert lost == [2]


async def test_what_ends_a_queue_ends_its_waits(broker: Broker, queue: Queue) -> None:
    waits = Waits()
    for change, error in (
        (
            broker.put_queue("contoso", "q", QueueProperties(status=EntityStatus.DISABLED)),
            EntityDisabled,
        ),
        (broker.delete_queue("contoso", "q"), EntityNotFound),
    ):
        task = asyncio.create_task(waits.next_message(queue, 60, Connection(), remove=False))
        await stand(queue, 1)
        await change
        with pytest.raises(error):
            await task
        if error is EntityDisabled:
            await broker.put_queue("contoso", "q", QueueProperties())


async def test_the_end_of_the_server_ends_all_waits(queue: Queue) -> None:
    waits = Waits()
    task = asyncio.create_task(waits.next_message(queue, 60, Connection(), remove=True))
    await stand(queue, 1)
    waits.end()
    with pytest.raises(ServerStopping):
        await task
    with pytest.raises(ServerStopping):
        await waits.next_message(queue, 60, Connection(), remove=True)
    assert await waits.next_message(queue, 0, Connection(), remove=True) is None
