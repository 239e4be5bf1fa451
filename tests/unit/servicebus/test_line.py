"""Waiting consumers are woken fairly."""

from __future__ import annotations

import asyncio

from orchestrator.localcloud.servicebus.model import EntityStatus, LockedMessage
from orchestrator.localcloud.servicebus.queue import Queue
from orchestrator.localcloud.servicebus.structures.line import Waiter
from tests.unit.servicebus.world import World, abandon, send, texts


class Consumer:
    """What the front's link does: takes its share, waits again while it has credit."""

    def __init__(self, queue: Queue, credit: int) -> None:
        self.queue = queue
        self.credit = credit
        self.calls = 0
        self.got: list[LockedMessage] = []
        self.waiter: Waiter = queue.waiter(self.available)
        self.waiter.wait()

    def available(self, share: int) -> None:
        self.calls += 1
        locks = self.queue.acquire(min(share, self.credit))
        self.got += locks
        self.credit -= len(locks)
        if self.credit:
            self.waiter.wait()


async def test_ten_waiting_consumers_share_a_hundred_messages(memory_world: World) -> None:
    queue = await memory_world.queue()
    consumers = [Consumer(queue, 100) for _ in range(10)]
    await send(queue, *(str(number) for number in range(100)))
    await memory_world.settled()
    assert [len(consumer.got) for consumer in consumers] == [10] * 10
    assert queue.counts().active == 100


async def test_messages_one_by_one_go_round(memory_world: World) -> None:
    queue = await memory_world.queue()
    consumers = [Consumer(queue, 10) for _ in range(3)]
    for number in range(6):
        await send(queue, str(number))
        await memory_world.settled()
    assert [texts(consumer.got) for consumer in consumers] == [["0", "3"], ["1", "4"], ["2", "5"]]


async def test_nobody_is_called_who_has_left_or_for_nothing(memory_world: World) -> None:
    queue = await memory_world.queue()
    left, stays = Consumer(queue, 5), Consumer(queue, 5)
    left.waiter.cancel()
    await memory_world.settled()
    assert (left.calls, stays.calls) == (0, 0)
    await send(queue, "a")
    await memory_world.settled()
    assert (left.calls, stays.calls) == (0, 1)
    assert texts(stays.got) == ["a"]


async def test_a_message_that_comes_back_wakes_the_line(memory_world: World) -> None:
    queue = await memory_world.queue(lock_duration=30.0)
    await send(queue, "a")
    holder = queue.acquire(1)[0]
    waiting = Consumer(queue, 3)
    await abandon(queue, holder)
    await memory_world.settled()
    assert [lock.message.delivery_count for lock in waiting.got] == [1]
    queue.release(waiting.got.pop().token)
    await memory_world.settled()
    assert [lock.message.delivery_count for lock in waiting.got] == [1]
    await memory_world.pass_time(30)
    assert [lock.message.delivery_count for lock in waiting.got] == [2, 2]


async def test_who_waits_while_messages_are_there_is_called_soon(memory_world: World) -> None:
    queue = await memory_world.queue()
    await send(queue, "a", "b", "c")
    consumer = Consumer(queue, 2)
    assert consumer.got == []
    await asyncio.sleep(0)
    assert texts(consumer.got) == ["a", "b"]


async def test_a_consumer_that_takes_nothing_does_not_spin(memory_world: World) -> None:
    queue = await memory_world.queue()
    calls = 0

    def full(share: int) -> None:
        nonlocal calls
        calls += 1
        waiter.wait()

    waiter = queue.waiter(full)
    waiter.wait()
    await send(queue, "a", "b")
    for _ in range(50):
        await asyncio.sleep(0)
    assert calls <= 3


async def test_a_consumer_that_fails_does_not_starve_the_others(memory_world: World) -> None:
    queue = await memory_world.queue()

    def broken(share: int) -> None:
        raise ZeroDivisionError

    queue.waiter(broken).wait()
    consumer = Consumer(queue, 5)
    await send(queue, "a", "b")
    await memory_world.settled()
    assert texts(consumer.got) == ["a", "b"]


async def test_enabling_receiving_again_wakes_the_line(memory_world: World) -> None:
    queue = await memory_world.queue(status=EntityStatus.RECEIVE_DISABLED)
    await send(queue, "a")
    consumer = Consumer(queue, 5)
    await memory_world.settled()
    assert consumer.calls == 0
    await memory_world.queue()
    await memory_world.settled()
    assert texts(consumer.got) == ["a"]
