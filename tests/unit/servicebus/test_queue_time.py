"""What time does to messages: they expire, become due, are put off; on both stores."""

from __future__ import annotations

import pytest

from orchestrator.localcloud.servicebus.broker import durably
from orchestrator.localcloud.servicebus.errors import (
    MessageNotFound,
)
from orchestrator.localcloud.servicebus.model import (
    MessageState,
)
from tests.unit.servicebus.world import (
    World,
    abandon,
    complete,
    defer,
    send,
    take,
    texts,
)


async def test_an_expired_message_vanishes(world: World) -> None:
    queue = await world.queue()
    await send(queue, "short", ttl=10.0)
    await send(queue, "long", ttl=1000.0)
    await send(queue, "for ever")
    await world.pass_time(10)
    assert queue.counts().active == 2
    assert queue.counts().size_in_bytes == len("longfor ever")
    assert texts(queue.acquire(5)) == ["long", "for ever"]


async def test_none_of_many_messages_that_expire_at_once_is_delivered(world: World) -> None:
    queue = await world.queue()
    await send(queue, *(f"{number}" for number in range(1200)), ttl=10.0)
    await send(queue, "stays")
    world.clock.jump(10)
    assert texts(queue.acquire(5)) == ["stays"]


async def test_time_to_live_goes_on_after_a_lock(world: World) -> None:
    queue = await world.queue(lock_duration=20.0)
    await send(queue, "a", ttl=40.0)
    (lock,) = queue.acquire(1)
    # Another message's coming makes the queue forget moments that have become void.
    await send(queue, "b", ttl=30.0)
    await abandon(queue, lock)
    await world.pass_time(39)
    assert texts(queue.peek(0, 5)) == ["a"]
    await world.pass_time(1)
    assert queue.counts().total == 0


async def test_an_expired_message_is_dead_lettered_where_the_queue_says_so(world: World) -> None:
    queue = await world.queue(dead_letter_on_expiration=True, default_message_ttl=60.0)
    await send(queue, "a")
    await send(queue, "b", ttl=1e9)
    await world.pass_time(60)
    assert queue.counts().active == 0
    await world.restart()
    dead = world.again(queue).dead_letter.peek(0, 5)
    assert texts(dead) == ["a", "b"]
    assert {m.details.dead_letter_reason for m in dead} == {"TTLExpiredException"}


async def test_a_locked_message_outlives_its_time_until_it_comes_back(world: World) -> None:
    queue = await world.queue(lock_duration=60.0)
    await send(queue, "a", "b", ttl=10.0)
    first, second = queue.acquire(2)
    await world.pass_time(20)
    await complete(queue, first)
    await abandon(queue, second)
    assert queue.acquire(1) == []
    assert queue.counts().active == 0


async def test_messages_that_expired_while_the_broker_was_down_are_not_delivered(
    world: World,
) -> None:
    queue = await world.queue()
    await send(queue, "a", ttl=10.0)
    await world.broker.close()
    world.clock.jump(11)
    await world.restart()
    await world.settled()
    assert world.again(queue).acquire(1) == []
    assert world.again(queue).counts().active == 0


async def test_scheduled_messages_come_at_their_time_with_a_new_number(world: World) -> None:
    queue = await world.queue()
    at = world.clock.time() + 100
    assert await send(queue, "late", scheduled_at=at) == [1]
    assert await send(queue, "now", scheduled_at=world.clock.time()) == [2]
    counts = queue.counts()
    assert (counts.active, counts.scheduled) == (1, 1)
    assert [m.state for m in queue.peek(0, 5)] == [MessageState.SCHEDULED, MessageState.ACTIVE]
    assert [m.details.scheduled_at for m in queue.peek(0, 5)] == [at, None]
    assert texts(await take(queue, 5)) == ["now"]
    await world.pass_time(50)
    await world.restart()
    queue = world.again(queue)
    await world.pass_time(50)
    (lock,) = queue.acquire(5)
    assert lock.message.payload == b"late"
    assert lock.message.sequence == 3
    assert lock.message.enqueued_at == at
    assert lock.message.details.scheduled_at == at
    assert queue.counts().scheduled == 0


async def test_a_scheduled_messages_life_begins_at_its_time(world: World) -> None:
    queue = await world.queue()
    await send(queue, "a", scheduled_at=world.clock.time() + 100, ttl=10.0)
    await world.pass_time(105)
    assert queue.counts().active == 1
    await world.pass_time(5)
    assert queue.counts().total == 0


async def test_a_message_that_is_activated_late_has_its_whole_life_before_it(
    world: World,
) -> None:
    queue = await world.queue()
    await send(queue, "a", scheduled_at=world.clock.time() + 100, ttl=10.0)
    await world.broker.close()
    world.clock.jump(500)
    await world.restart()
    await world.settled()
    queue = world.again(queue)
    await world.pass_time(9)
    assert texts(queue.acquire(1)) == ["a"]


async def test_scheduled_messages_can_be_cancelled_all_or_none(world: World) -> None:
    queue = await world.queue()
    at = world.clock.time() + 100
    one, two = await send(queue, "a", "b", scheduled_at=at)
    with pytest.raises(MessageNotFound, match="77"):
        queue.cancel_scheduled([one, 77], lambda error: None)
    assert queue.counts().scheduled == 2
    await durably(lambda done: queue.cancel_scheduled([one], done))
    with pytest.raises(MessageNotFound):
        queue.cancel_scheduled([one], lambda error: None)
    await world.restart()
    queue = world.again(queue)
    await world.pass_time(100)
    assert texts(queue.acquire(5)) == ["b"]
    with pytest.raises(MessageNotFound):
        queue.cancel_scheduled([two], lambda error: None)


async def test_a_deferred_message_is_fetched_by_number_only(world: World) -> None:
    queue = await world.queue()
    await send(queue, "a", "b")
    (lock,) = queue.acquire(1)
    await defer(queue, lock)
    assert texts(queue.acquire(5)) == ["b"]
    assert queue.counts().active == 2
    await world.restart()
    queue = world.again(queue)
    assert queue.peek(0, 1)[0].state is MessageState.DEFERRED
    (lock,) = queue.acquire_deferred([1])
    assert lock.message.delivery_count == 1
    with pytest.raises(MessageNotFound):
        queue.acquire_deferred([1])
    await abandon(queue, lock)
    assert queue.acquire(5) == []
    (lock,) = queue.acquire_deferred([1])
    assert lock.message.delivery_count == 2
    await complete(queue, lock)
    assert queue.counts().active == 1
    with pytest.raises(MessageNotFound):
        queue.acquire_deferred([2])


async def test_deferred_messages_can_be_taken(world: World) -> None:
    queue = await world.queue()
    await send(queue, "a", "b")
    for lock in queue.acquire(2):
        await defer(queue, lock)
    got: list[str] = []
    queue.take_deferred([2, 1], lambda messages, error: got.extend(texts(messages)))
    await world.settled()
    assert got == ["b", "a"]
    assert queue.counts().total == 0


async def test_a_deferred_message_expires_when_it_is_asked_for(world: World) -> None:
    queue = await world.queue(dead_letter_on_expiration=True)
    await send(queue, "a", ttl=10.0)
    await defer(queue, queue.acquire(1)[0])
    await world.pass_time(20)
    assert queue.counts().active == 1
    with pytest.raises(MessageNotFound):
        queue.acquire_deferred([1])
    await world.settled()
    assert (queue.counts().active, queue.counts().dead_letter) == (0, 1)
