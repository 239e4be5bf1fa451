"""What a queue costs in memory: per idle message, and after much coming and going."""

from __future__ import annotations

import asyncio
import gc
import os
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from orchestrator.localcloud.servicebus.broker import durably
from orchestrator.localcloud.servicebus.model import IncomingMessage, StoredMessage
from tests.unit.servicebus.world import World, complete, dead_letter, defer, send, take


@pytest.mark.parametrize("world", ["sqlite"], indirect=True)
@pytest.mark.parametrize("ttl", [None, 3600.0])
async def test_an_idle_message_costs_less_than_twice_its_size_and_300_bytes(
    world: World, ttl: float | None
) -> None:
    queue = await world.queue()
    count, size = 5000, 200
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for start in range(0, count, 100):
        batch = [
            IncomingMessage(os.urandom(size), f"7f3a9c1e-0000-0000-0000-{start + n:012}", ttl=ttl)
            for n in range(100)
        ]
        await durably(lambda done, batch=batch: queue.send(batch, done))  # type: ignore[misc]
    del batch
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert queue.counts().active == count
    assert (after - before) / count < 2 * size + 300


async def test_a_forgotten_queue_whose_messages_expire_does_not_grow(memory_world: World) -> None:
    queue = await memory_world.queue()
    await send(queue, "stays")
    for number in range(60):
        await send(queue, *(f"{number}-{n}" for n in range(50)), ttl=5.0)
        await memory_world.pass_time(6)
    shelf = queue._shelf
    assert queue.counts().active == 1
    assert len(shelf._heap) < 300
    assert len(shelf.message_agenda) < 300


async def test_locks_long_gone_are_not_kept_in_mind(memory_world: World) -> None:
    queue = await memory_world.queue(lock_duration=300.0)
    for number in range(40):
        await send(queue, *(f"{number}-{n}" for n in range(25)))
        for lock in queue.acquire(25):
            queue.renew(lock.token)
            await complete(queue, lock)
    assert len(queue._locks) == 0
    assert len(queue._shelf.lock_agenda) < 200


async def test_ids_are_forgotten_after_their_window_without_anybodys_asking(world: World) -> None:
    queue = await world.queue(requires_duplicate_detection=True, duplicate_detection_window=60.0)
    await send(queue, *(str(number) for number in range(1500)))
    await take(queue, 1500)
    await world.pass_time(61)
    await world.pass_time(1)
    assert len(queue._history) == 0
    await world.restart()
    assert len(world.again(queue)._history) == 0  # type: ignore[attr-defined]


def messages_alive() -> int:
    """Whose text begins with "kept", and that anything refers to."""
    return sum(
        isinstance(found, StoredMessage) and found.payload[:4] == b"kept"
        for found in gc.get_objects()
    )


async def soon(holds: Callable[[], bool]) -> bool:
    """Whether it holds once the store's thread has let go of what it has just written."""
    for _ in range(200):
        if holds():
            return True
        await asyncio.sleep(0.01)
    return False


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
async def test_the_memory_of_a_message_that_is_gone_is_free_at_once(world: World) -> None:
    """Without waiting for the garbage collector, which may not come by for hours."""
    queue = await world.queue()
    names = [f"kept-{number}" for number in range(8)]
    await send(queue, *names)
    await complete(queue, queue.acquire(1)[0])
    assert len(await take(queue, 1)) == 1
    await dead_letter(queue, queue.acquire(1)[0])
    await complete(queue.dead_letter, queue.dead_letter.acquire(1)[0])
    (lock,) = queue.acquire(1)
    number = lock.message.sequence
    await defer(queue, lock)
    (lock,) = queue.acquire_deferred([number])
    await complete(queue, lock)
    del lock
    await send(queue, "kept-short", ttl=5.0)
    await world.pass_time(6)
    await world.settled()
    await asyncio.sleep(0)
    assert queue.counts().active == len(names) - 4
    assert await soon(lambda: messages_alive() == len(names) - 4)


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("succeeds", [True, False])
async def test_nothing_is_left_of_a_transaction(world: World, succeeds: bool) -> None:
    queue = await world.queue()
    await send(queue, "kept")
    token = queue.acquire(1)[0].token if succeeds else b"nobody's"
    sent = IncomingMessage(b"sent in it")
    told: list[str | None] = []
    world.broker.transact(
        (
            partial(queue.send, [sent], lambda _: None),
            partial(queue.complete_durably, token, lambda _: None),
        ),
        lambda error: told.append(error and type(error).__name__),
    )
    del sent
    await world.settled()
    assert told == [None if succeeds else "LockLost"]
    assert await soon(lambda: messages_alive() == (0 if succeeds else 1))
    assert await soon(
        lambda: (
            not any(
                isinstance(found, IncomingMessage) and found.payload == b"sent in it"
                for found in gc.get_objects()
            )
        )
    )
