"""When the store refuses, a queue is as it was before, and works again when the store does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orchestrator.clock import ManualClock
from orchestrator.localcloud.servicebus.broker import durably
from orchestrator.localcloud.servicebus.errors import (
    BrokerError,
    LockLost,
    MessageNotFound,
    StoreFailed,
    StoreFull,
)
from orchestrator.localcloud.servicebus.model import IncomingMessage, QueueProperties
from orchestrator.localcloud.servicebus.store.contract import Change
from orchestrator.localcloud.servicebus.store.memory import MemoryStore
from tests.unit.servicebus.world import (
    NAMESPACE,
    World,
    abandon,
    complete,
    dead_letter,
    defer,
    send,
    take,
    texts,
)


class FailingStore(MemoryStore):
    """Refuses every change while `broken`."""

    broken = False

    def _apply(self, change: Change) -> BrokerError | None:
        if self.broken:
            return StoreFull("No room is left for the message store.")
        return super()._apply(change)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    store = FailingStore()
    world = await World(ManualClock(), store, lambda: store).start()
    yield world
    await world.broker.close()


def breaks(world: World, broken: bool = True) -> None:
    assert isinstance(world.store, FailingStore)
    world.store.broken = broken


async def test_a_refused_send_leaves_no_trace(world: World) -> None:
    queue = await world.queue(requires_duplicate_detection=True)
    breaks(world)
    with pytest.raises(StoreFull):
        await send(queue, "a", "b")
    assert queue.counts().total == 0
    assert queue.counts().size_in_bytes == 0
    assert queue.peek(0, 10) == []
    breaks(world, False)
    assert await send(queue, "a") != [0]
    assert texts(queue.acquire(5)) == ["a"]


async def test_the_duplicate_of_a_refused_send_is_refused_too(world: World) -> None:
    queue = await world.queue(requires_duplicate_detection=True)
    breaks(world)
    results: list[BrokerError | None] = []
    queue.send([IncomingMessage(b"1", "id")], results.append)
    queue.send([IncomingMessage(b"2", "id")], results.append)
    await world.settled()
    assert isinstance(results[0], StoreFull)
    assert isinstance(results[1], StoreFailed)


async def test_a_completion_counts_at_once_and_is_written_when_the_store_can(world: World) -> None:
    queue = await world.queue(lock_duration=30.0)
    await send(queue, "a", "b")
    first, second = queue.acquire(2)
    await world.settled()
    breaks(world)
    await complete(queue, first)
    assert queue.counts().active == 1
    await world.settled()
    await complete(queue, second)
    with pytest.raises(LockLost):
        queue.locked(first.token)
    await world.pass_time(5)
    assert queue.peek(0, 10) == []
    breaks(world, False)
    await world.pass_time(1)
    await world.restart()
    assert world.again(queue).peek(0, 10) == []


@pytest.mark.parametrize("settle", [abandon, defer, dead_letter])
async def test_a_refused_settlement_leaves_the_lock(world: World, settle: object) -> None:
    queue = await world.queue()
    await send(queue, "a")
    (lock,) = queue.acquire(1)
    breaks(world)
    with pytest.raises(StoreFull):
        await settle(queue, lock)  # type: ignore[operator]
    assert queue.locked(lock.token) is lock
    assert lock.message.delivery_count == 0
    assert queue.acquire(1) == []
    with pytest.raises(MessageNotFound):
        queue.acquire_deferred([1])
    assert queue.counts().dead_letter == 0
    breaks(world, False)
    await settle(queue, lock)  # type: ignore[operator]
    with pytest.raises(LockLost):
        queue.locked(lock.token)


async def test_a_lock_that_expires_while_its_settlement_fails_is_lost(world: World) -> None:
    queue = await world.queue(lock_duration=30.0)
    await send(queue, "a")
    (lock,) = queue.acquire(1)
    breaks(world)
    results: list[BrokerError | None] = []
    queue.defer(lock.token, results.append)
    world.clock.jump(31)
    await world.settled()
    assert isinstance(results[0], StoreFull)
    with pytest.raises(LockLost):
        queue.locked(lock.token)
    (again,) = queue.acquire(1)
    assert again.message.delivery_count == 1


async def test_messages_whose_removal_is_refused_are_back(world: World) -> None:
    queue = await world.queue()
    await send(queue, "a", "b")
    breaks(world)
    with pytest.raises(StoreFull):
        await take(queue, 2)
    breaks(world, False)
    assert texts(await take(queue, 2)) == ["a", "b"]


async def test_a_refused_cancellation_leaves_the_message_scheduled(world: World) -> None:
    queue = await world.queue()
    (number,) = await send(queue, "a", scheduled_at=world.clock.time() + 60)
    breaks(world)
    with pytest.raises(StoreFull):
        await durably(lambda done: queue.cancel_scheduled([number], done))
    breaks(world, False)
    assert queue.counts().scheduled == 1
    await world.pass_time(60)
    assert texts(queue.acquire(1)) == ["a"]


async def test_what_time_does_is_tried_again_until_it_is_stored(world: World) -> None:
    queue = await world.queue(
        dead_letter_on_expiration=True, max_delivery_count=1, lock_duration=10.0
    )
    await send(queue, "expires", ttl=10.0)
    await send(queue, "comes", scheduled_at=world.clock.time() + 10)
    await send(queue, "fails")
    queue.acquire(1)  # its lock outlives it
    queue.acquire(1)
    breaks(world)
    await world.pass_time(60)
    assert queue.acquire(5) == []
    assert queue.counts().active == 2
    assert queue.counts().scheduled == 1
    assert queue.counts().dead_letter == 0
    breaks(world, False)
    await world.pass_time(2)
    assert texts(queue.acquire(5)) == ["comes"]
    reasons = {m.payload: m.details.dead_letter_reason for m in queue.dead_letter.peek(0, 5)}
    assert reasons == {
        b"expires": "MaxDeliveryCountExceeded",
        b"fails": "MaxDeliveryCountExceeded",
    }


async def test_a_message_on_its_way_to_the_dead_letters_is_nobodys(world: World) -> None:
    queue = await world.queue(dead_letter_on_expiration=True)
    await send(queue, "a", "b", ttl=10.0)
    breaks(world)
    await world.pass_time(10)
    for _ in range(3):
        assert queue.acquire(5) == []
        await world.pass_time(1)
    breaks(world, False)
    await world.pass_time(2)
    assert queue.counts().active == 0
    await world.restart()
    assert texts(world.again(queue).dead_letter.acquire(5)) == ["a", "b"]


async def test_locks_and_counts_that_could_not_be_stored_are_stored_later(world: World) -> None:
    queue = await world.queue(lock_duration=30.0)
    await send(queue, "a", "b")
    breaks(world)
    _, second = queue.acquire(2)
    queue.release(second.token)
    await world.pass_time(30)
    (again,) = queue.acquire(1)
    assert again.message.delivery_count == 1
    breaks(world, False)
    await world.pass_time(1)
    await world.restart()
    queue = world.again(queue)
    assert queue.locked(again.token).message.delivery_count == 1
    assert [m.delivery_count for m in queue.peek(0, 5)] == [1, 0]


async def test_refused_definitions_change_nothing(world: World) -> None:
    queue = await world.queue(lock_duration=30.0)
    await send(queue, "a")
    breaks(world)
    with pytest.raises(StoreFull):
        await world.broker.put_queue(NAMESPACE, "q", QueueProperties(lock_duration=40.0))
    with pytest.raises(StoreFull):
        await world.broker.put_queue(NAMESPACE, "new", QueueProperties())
    with pytest.raises(StoreFull):
        await world.broker.put_namespace("another")
    with pytest.raises(StoreFull):
        await world.broker.delete_queue(NAMESPACE, "q")
    with pytest.raises(StoreFull):
        await world.broker.delete_namespace(NAMESPACE)
    with pytest.raises(StoreFull):
        await world.broker.put_rule(NAMESPACE, "rule", frozenset())
    assert queue.properties.lock_duration == 30.0
    assert world.broker.queue(NAMESPACE, "new") is None
    assert world.broker.namespaces() == [NAMESPACE]
    assert [rule.name for rule in world.broker.rules(NAMESPACE)] == ["RootManageSharedAccessKey"]
    assert texts(queue.acquire(1)) == ["a"]
