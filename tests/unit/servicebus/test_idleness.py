"""Entities with autoDeleteOnIdle: what keeps them, and that they go when nobody uses them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from orchestrator.localcloud.servicebus.queue import Queue
from orchestrator.localcloud.servicebus.topics.definitions import (
    SubscriptionProperties,
    TopicProperties,
)
from orchestrator.localcloud.servicebus.topics.rules import Rule, TrueFilter
from tests.unit.servicebus.world import NAMESPACE, World, complete, dead_letter, send, take

MINUTE = 60.0
IDLE = 5 * MINUTE


def there(world: World, path: str = "q") -> bool:
    return world.broker.queue(NAMESPACE, path) is not None


async def test_a_queue_that_nobody_uses_is_deleted_with_what_is_in_it(world: World) -> None:
    queue = await world.queue(auto_delete_on_idle=IDLE)
    told: list[bool] = []
    queue.subscribe(lambda: told.append(queue.deleted))
    await send(queue, "a")
    await world.pass_time(IDLE - 1)
    assert there(world)
    await world.pass_time(1)
    assert not there(world)
    assert told == [True]
    await world.restart()
    assert not there(world)
    assert list(world.broker.queues(NAMESPACE)) == []


async def test_a_queue_without_the_setting_stays(world: World) -> None:
    await world.queue()
    await world.pass_time(1000 * 86400)
    assert there(world)


async def test_when_it_was_accessed_is_known_and_kept(world: World) -> None:
    queue = await world.queue()
    assert queue.accessed_at() is None
    await world.pass_time(MINUTE)
    sent_at = world.clock.time()
    await send(queue, "a")
    await world.pass_time(MINUTE)
    await world.queue(max_delivery_count=5)
    assert queue.accessed_at() == sent_at
    await world.restart()
    queue = world.again(queue)
    assert queue.accessed_at() == sent_at
    await take(queue, 1)
    queue.waiter(lambda share: None).wait()
    await world.pass_time(MINUTE)
    assert queue.accessed_at() == world.clock.time()


async def peeked(world: World, queue: Queue) -> None:
    queue.peek(0, 1)


async def sent(world: World, queue: Queue) -> None:
    await send(queue, "another")


async def received(world: World, queue: Queue) -> None:
    await take(queue, 1)


async def renewed(world: World, queue: Queue) -> None:
    queue.renew(queue.acquire(1)[0].token)


async def updated(world: World, queue: Queue) -> None:
    await world.queue(auto_delete_on_idle=IDLE, max_delivery_count=7)


async def buried(world: World, queue: Queue) -> None:
    await dead_letter(queue, queue.acquire(1)[0])


async def read_of_the_dead(world: World, queue: Queue) -> None:
    queue.dead_letter.peek(0, 1)


USES = [peeked, sent, received, renewed, updated, buried, read_of_the_dead]


@pytest.mark.parametrize("use", USES)
async def test_a_use_begins_the_interval_anew(
    world: World, use: Callable[[World, Queue], Awaitable[None]]
) -> None:
    queue = await world.queue(auto_delete_on_idle=IDLE)
    await send(queue, "a")
    await world.pass_time(4 * MINUTE)
    await use(world, queue)
    await world.pass_time(4 * MINUTE)
    assert there(world)
    await world.pass_time(1 * MINUTE)
    assert not there(world)


async def test_who_waits_for_messages_keeps_the_queue(memory_world: World) -> None:
    world = memory_world
    queue = await world.queue(auto_delete_on_idle=IDLE)
    waiter = queue.waiter(lambda share: None)
    waiter.wait()
    await world.pass_time(60 * MINUTE)
    assert there(world)
    waiter.cancel()
    # It was in use when it was last looked at.
    await world.pass_time(IDLE)
    assert not there(world)


async def test_who_has_a_session_keeps_the_queue(memory_world: World) -> None:
    world = memory_world
    queue = await world.queue(auto_delete_on_idle=IDLE, requires_session=True, lock_duration=300.0)
    lock = queue.accept_session("s", lambda: None)
    for _ in range(4):
        await world.pass_time(4 * MINUTE)
        queue.renew_session(lock)
    assert there(world)
    queue.release_session(lock)
    await world.pass_time(2 * IDLE)
    assert not there(world)


async def test_a_scheduled_message_keeps_the_queue_until_it_has_come(world: World) -> None:
    queue = await world.queue(auto_delete_on_idle=IDLE)
    await send(queue, "later", scheduled_at=world.clock.time() + 60 * MINUTE)
    await world.pass_time(59 * MINUTE)
    assert there(world)
    await world.pass_time(1 * MINUTE)
    assert [m.payload for m in queue.peek(0, 5)] == [b"later"]
    await world.pass_time(2 * IDLE)
    assert not there(world)


async def test_a_queue_that_forwards_stays_and_its_target_is_used_by_what_comes(
    memory_world: World,
) -> None:
    world = memory_world
    await world.queue("target", auto_delete_on_idle=IDLE)
    queue = await world.queue("q", auto_delete_on_idle=IDLE, forward_to="target")
    await world.pass_time(4 * MINUTE)
    await send(queue, "a")
    await world.settled()
    await world.pass_time(4 * MINUTE)
    assert there(world, "target")
    await world.pass_time(1 * MINUTE)
    assert not there(world, "target")
    assert there(world, "q")


@pytest.mark.parametrize("ends", ["clean", "killed"])
async def test_the_interval_goes_on_over_a_restart(world: World, ends: str) -> None:
    queue = await world.queue(auto_delete_on_idle=IDLE)
    await world.pass_time(4 * MINUTE)
    await send(queue, "a")
    await world.settled()
    if ends == "killed":
        for part in world.broker._parts():
            part.note_last_use = lambda: None  # type: ignore[method-assign]
    await world.restart()
    await world.pass_time(IDLE - 1)
    assert there(world)
    # After a crash the last use is known to a tenth of the interval.
    await world.pass_time(1 if ends == "clean" else IDLE / 10)
    assert not there(world)


async def test_time_that_passes_while_the_broker_is_down_counts(world: World) -> None:
    queue = await world.queue(auto_delete_on_idle=IDLE)
    await send(queue, "a")
    await world.broker.close()
    world.clock.jump(IDLE)
    await world.restart()
    await world.pass_time(1)
    assert not there(world)


async def test_a_use_in_the_last_moment_saves_the_queue(memory_world: World) -> None:
    world = memory_world
    queue = await world.queue(auto_delete_on_idle=IDLE)
    world.clock.jump(IDLE)
    queue.tick()  # the deletion is on its way
    await send(queue, "a")
    await world.settled()
    assert there(world)


async def topic(world: World, **subscription: float) -> None:
    await world.broker.put_topic(NAMESPACE, "t", TopicProperties(auto_delete_on_idle=IDLE))
    properties = SubscriptionProperties(**subscription)  # type: ignore[arg-type]
    await world.broker.put_subscription(NAMESPACE, "t", "s", properties)


async def test_a_topic_goes_with_its_subscriptions(world: World) -> None:
    await topic(world)
    await world.pass_time(IDLE)
    assert world.broker.topics(NAMESPACE) == []
    assert world.broker.subscriptions(NAMESPACE, "t") == []


async def test_use_of_a_subscription_keeps_its_topic(world: World) -> None:
    await topic(world)
    one = world.broker.subscription(NAMESPACE, "t", "s")
    assert one is not None
    await world.pass_time(4 * MINUTE)
    one.peek(0, 1)
    await world.pass_time(4 * MINUTE)
    assert there(world, "t")
    await world.pass_time(1 * MINUTE)
    assert not there(world, "t")


async def test_a_subscription_that_nobody_reads_goes_though_messages_come(world: World) -> None:
    await topic(world, auto_delete_on_idle=IDLE)
    target = world.broker.topic(NAMESPACE, "t")
    assert target is not None
    for _ in range(2):
        await world.pass_time(2 * MINUTE)
        await send(target, "a")
    await world.pass_time(1 * MINUTE)
    assert world.broker.subscriptions(NAMESPACE, "t") == []
    assert target.subscriptions == {}
    assert there(world, "t")


async def test_a_new_rule_is_a_use(world: World) -> None:
    await topic(world, auto_delete_on_idle=IDLE)
    await world.pass_time(4 * MINUTE)
    await world.broker.put_rule_of(NAMESPACE, "t", "s", Rule("more", TrueFilter()))
    await world.pass_time(4 * MINUTE)
    assert len(world.broker.subscriptions(NAMESPACE, "t")) == 1
    await world.restart()
    await world.pass_time(1 * MINUTE)
    assert world.broker.subscriptions(NAMESPACE, "t") == []


async def test_completing_is_a_use(world: World) -> None:
    queue = await world.queue(auto_delete_on_idle=IDLE, lock_duration=300.0)
    await send(queue, "a")
    (lock,) = queue.acquire(1)
    await world.pass_time(4 * MINUTE)
    await complete(queue, lock)
    await world.pass_time(4 * MINUTE)
    assert there(world)
